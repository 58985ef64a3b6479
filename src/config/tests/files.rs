//! The configurations that come along, read from the files themselves.

use crate::config::{Config, Given, load};
use cartguard_engine::features::spec::{Aggregate, Definition};
use cartguard_engine::schema::WindowScale;
use std::path::Path;

fn config(file: &str) -> Config {
    let given = Given { file: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)), ..Given::default() };
    load(&given).map_err(|faults| format!("{faults:?}")).expect("good").config
}

fn names(config: &Config) -> Vec<&str> {
    config.feature_set().features.iter().map(|feature| feature.name.as_str()).collect()
}

#[test]
fn the_handbook() {
    let config = config("config/handbook.toml");
    assert_eq!(
        names(&config),
        [
            "amount",
            "customer.count_1d",
            "customer.mean_amount_1d",
            "customer.count_7d",
            "customer.mean_amount_7d",
            "customer.count_30d",
            "customer.mean_amount_30d",
            "terminal.count_1d",
            "terminal.count_7d",
            "terminal.count_30d",
        ]
    );
    for feature in &config.feature_set().features[1..] {
        let Definition::Window(window) = &feature.definition else { panic!("a window") };
        assert!(window.inclusive && window.delay_ms == 0);
    }
    assert_eq!(config.schema().scale, WindowScale::Constant);
    assert_eq!(config.model, None);
    // The book's file does not say when a transaction arrived.
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].starts_with("event.arrival: none is mapped"));
}

#[test]
fn every_feature_has_a_unit_and_no_code_means_two_things() {
    for file in ["config/default.toml", "config/handbook.toml", "benches/workload/config.toml"] {
        for feature in &config(file).feature_set().features {
            assert!(!feature.unit.is_empty(), "{file}: {}", feature.name);
        }
    }
    let config = config("config/default.toml");
    let code = |name: &str| {
        let found = config.feature_set().features.iter().find(|feature| feature.name == name);
        found.map(|feature| feature.code.clone())
    };
    assert_eq!(code("amount").as_deref(), Some("AMOUNT"));
    assert_eq!(code("log_amount").as_deref(), Some("LOG_AMOUNT"));
}

#[test]
fn the_workload_has_its_ninety_in_order() {
    let config = config("benches/workload/config.toml");
    let mut expected = Vec::new();
    for entity in ["customer", "card", "device", "ip"] {
        for window in ["1m", "10m", "1h", "24h", "7d"] {
            expected.push(format!("{entity}.count_{window}"));
            expected.extend(["sum", "mean", "max"].map(|word| format!("{entity}.{word}_amount_{window}")));
        }
    }
    expected.extend(["card", "device", "ip"].map(|of| format!("customer.distinct_{of}_24h")));
    let rest = ["amount", "items", "quantity", "foreign_shipping", "hour"];
    expected.extend(["customer.seconds_since_last_7d", "customer.zscore_amount_7d"].map(str::to_owned));
    expected.extend(rest.map(str::to_owned));
    assert_eq!(expected.len(), 90);
    assert_eq!(names(&config), expected);
    for feature in &config.feature_set().features {
        if let Definition::Window(window) = &feature.definition {
            assert_eq!(window.inclusive, window.aggregate != Aggregate::SecondsSinceLast, "{}", feature.name);
        }
    }
    assert_eq!(config.state.lateness_ms, 2_000);
    assert_eq!(config.dedupe.span_ms, 600_000);
    assert!(config.output.as_array);
    assert_eq!(config.schema().scale_digits(), 2);
}
