//! Defaults, file, environment, flags: which wins, and where a value says it comes from.

use super::loaded;
use crate::config::{
    DEFAULT, Effective, Flag, Given, Idle, Sink, Source, Synthetic, World, check, load_text,
};
use cartguard_engine::document::{Faults, Layer, Value, parse};
use cartguard_engine::features::spec::Definition;
use cartguard_engine::schema::{CurrencySource, FieldKind, TimeForm, WindowScale};
use std::path::{Path, PathBuf};

/// Value and place of a key.
fn line(effective: &Effective, key: &str) -> String {
    let lines = effective.lines();
    let found = lines.iter().find(|(known, ..)| known == key);
    found.map_or_else(|| "absent".into(), |(_, value, place)| format!("{value} # {place}"))
}

#[test]
fn without_a_file_it_is_checkout_v1() {
    let config = load_text(None, &Given::default())
        .map_err(|refused| format!("{:?}", refused.faults))
        .expect("defaults")
        .config;
    let schema = config.schema();
    assert_eq!(schema.id.dotted(), "event_id");
    assert_eq!(schema.entities.len(), 19);
    assert!(schema.items.is_some());
    assert_eq!(schema.scale, WindowScale::Common);
    assert_eq!(config.features_name, "builtin:checkout");
    assert_eq!(config.source, Source::Stdin);
    assert_eq!(config.sink, Sink::Stdout);
    assert_eq!(config.model, None);
    assert_eq!(config.engine.idle, Idle::Park);
    assert_eq!(config.state.lateness_ms, 3_600_000);
    assert_eq!(config.dedupe.span_ms, 86_400_000);
    assert_eq!((config.queue.input, config.queue.output), (4, 4));
}

fn remove(effective: &mut Effective, section: &str, key: &str) {
    for entry in &mut effective.table.entries {
        if let Value::Table(below) = &mut entry.node.value
            && entry.key == section
        {
            below.entries.retain(|entry| entry.key != key);
        }
    }
}

/// docs = defaults = code: the code asks for no key that the file has not, and the file has none that nobody asks for.
#[test]
fn the_default_file_holds_every_key_and_no_other() {
    let faults = Faults::default();
    let Value::Table(root) = parse(DEFAULT, Layer::Default, "default.toml", &faults).value else {
        panic!("a table")
    };
    // What is read only for some types is asked for with those types.
    let types = |section: &str, key: &str| match (section, key) {
        ("source", "paths") => vec!["source.type=file", "source.paths=[\"a\"]"],
        ("source", "world" | "events" | "rate" | "seed") => vec!["source.type=synthetic"],
        ("sink", "path") => vec!["sink.type=file", "sink.path=a"],
        _ => Vec::new(),
    };
    for section in &root.entries {
        let Value::Table(table) = &section.node.value else { panic!("{} is a section", section.key) };
        for entry in &table.entries {
            let optional = matches!(
                (section.key.as_str(), entry.key.as_str()),
                ("entities", _) | ("event", "arrival" | "items" | "fields") | ("money", "rates")
            );
            if !optional && entry.key != "type" {
                let key = format!("{}.{}", section.key, entry.key);
                let mut lacking = loaded("", &types(&section.key, &entry.key)).effective;
                remove(&mut lacking, &section.key, &entry.key);
                let read = check(&lacking, Path::new(""), true, &faults);
                assert!(read.config.is_none() || !faults.take().is_empty(), "{key} has a hidden default");
            }
        }
    }
    for (number, line) in DEFAULT.lines().enumerate() {
        let free = line.starts_with(|first: char| first.is_ascii_lowercase()) && !line.contains('#');
        let section = DEFAULT.lines().take(number).filter(|line| line.starts_with('[')).last();
        let named = matches!(section, Some("[event.fields]" | "[entities]"));
        assert!(!free || named, "line {} says nothing of its key: {line}", number + 1);
    }
}

#[test]
fn later_layers_win_and_say_so() {
    let given = Given {
        file: None,
        environment: vec![
            ("CARTGUARD__TIME__LATENESS".into(), "3s".into()),
            ("CARTGUARD__STATE__SHARDS".into(), "32".into()),
            ("CARTGUARD_FUZZ_RUNS".into(), "7".into()),
            ("HOME".into(), "/".into()),
        ],
        flags: vec![Flag::set("state.shards=16"), Flag::own("--workers", "engine.workers", "3".into())],
    };
    let text = "[time]\nlateness = '2s'\nskew = '1m'\n[reasons]\nmax_share = 1\n";
    let loaded = load_text(Some(("conf/shop.toml", text)), &given).map_err(|_| "faults").expect("good");
    for (key, expected) in [
        ("dedupe.span", "\"24h\" # built-in default"),
        ("time.skew", "\"1m\" # conf/shop.toml:3:8"),
        ("reasons.max_share", "1 # conf/shop.toml:5:13"),
        ("time.lateness", "\"3s\" # environment CARTGUARD__TIME__LATENESS"),
        ("state.shards", "16 # flag --set state.shards=16"),
        ("engine.workers", "3 # flag --workers 3"),
    ] {
        let line = line(&loaded.effective, key);
        assert!(line == expected || line.starts_with(&format!("{expected}:")), "{line}");
    }
    assert_eq!(loaded.config.state.lateness_ms, 3_000);
    assert_eq!(loaded.config.state.shards, 16);
    assert_eq!(loaded.config.engine.workers, 3);
    assert_eq!(loaded.config.schema().skew_ms, 60_000);
}

const OWN: &str = "[event]\nid = 'n'\ntime = { path = 't', unit = 'ms' }\namount = 'a'\n\
                   currency = { constant = 'JPY' }\n[entities]\nbuyer = 'b'\n";

#[test]
fn a_file_with_an_id_describes_its_own_records() {
    let features = "features.toml";
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(features), "[[feature]]\nname = 'amount'\nvalue = 'amount'\n")
        .expect("written");
    let name = folder.path().join("shop.toml").display().to_string();
    let text = format!("{OWN}[features]\nfile = '{features}'\n");
    let config =
        load_text(Some((&name, &text)), &Given::default()).map_err(|_| "faults").expect("good").config;
    let schema = config.schema();
    assert_eq!(schema.id.dotted(), "n");
    assert_eq!(schema.time.form, TimeForm::Epoch { per_second: 1_000 });
    assert!(schema.items.is_none() && schema.fields.is_empty() && schema.arrival.is_none());
    assert_eq!(schema.entities.len(), 1);
    assert_eq!(schema.scale, WindowScale::Constant);
    assert_eq!(schema.scale_digits(), 0);
    // Its path is relative to the configuration's folder.
    assert_eq!(config.features_name, folder.path().join(features).display().to_string());
}

#[test]
fn a_file_without_an_id_adds_to_checkout() {
    let text = "[event]\ntime = { path = 'ts', unit = 's' }\ncurrency = 'currency'\n\
                [event.fields]\ntier = 'loyalty.tier'\npoints = { path = '/loyalty/points', type = 'number' }\n\
                [entities]\nseller_kind = ['seller_id', 'channel']\n";
    let config = loaded(text, &[]).config;
    let schema = config.schema();
    assert_eq!(schema.id.dotted(), "event_id");
    assert_eq!(schema.time.path.dotted(), "ts");
    // Replaced whole: the default's default is gone.
    assert!(matches!(&schema.currency, CurrencySource::Path { default: None, .. }));
    assert_eq!(
        schema.fields.last().map(|field| (field.path.dotted(), field.kind)),
        Some(("loyalty.points".into(), FieldKind::Number))
    );
    assert_eq!(schema.entities.len(), 20);
    assert_eq!(schema.entities[19].key.len(), 2);
}

#[test]
fn variables_and_flags_take_lists_and_tables() {
    let flags = [
        "event.currency={ constant = \"USD\" }",
        "entities.pair=[\"customer_id\", \"ip\"]",
        "source.type=file",
        "source.paths=[\"a.jsonl\", \"b.jsonl\"]",
        "sink.type=file",
        "sink.path=out",
        "money.rates.USD=0.92",
        "model.path=models/m/1",
    ];
    let config = loaded("", &flags).config;
    // Of a flag, so not from the file's folder.
    assert_eq!(config.source, Source::File { paths: vec!["a.jsonl".into(), "b.jsonl".into()] });
    assert_eq!(config.sink, Sink::File { folder: "out".into() });
    assert_eq!(config.model, Some(PathBuf::from("models/m/1")));
    assert_eq!(config.schema().entities.last().map(|entity| entity.key.len()), Some(2));
    let WindowScale::Rates { rates, .. } = &config.schema().scale else { panic!("rates") };
    assert_eq!((rates[0].numerator, rates[0].denominator), (23, 25));
    let variable = ("CARTGUARD__MONEY__RATES__USD".to_owned(), "0.92".to_owned());
    let given = Given { environment: vec![variable], ..Given::default() };
    let config =
        load_text(None, &given).map_err(|refused| format!("{:?}", refused.faults)).expect("good").config;
    assert!(matches!(config.schema().scale, WindowScale::Rates { .. }));
}

#[test]
fn paths_of_a_file_start_at_its_folder() {
    let text = "[source]\ntype = 'file'\npaths = ['a.csv', '/b.csv']\n[sink]\ntype = 'file'\npath = 'out'\n[model]\npath = 'm/1'\n";
    let loaded =
        load_text(Some(("conf/shop.toml", text)), &Given::default()).map_err(|_| "faults").expect("good");
    assert_eq!(loaded.config.source, Source::File { paths: vec!["conf/a.csv".into(), "/b.csv".into()] });
    assert_eq!(loaded.config.sink, Sink::File { folder: "conf/out".into() });
    assert_eq!(loaded.config.model, Some("conf/m/1".into()));
}

#[test]
fn the_generator_can_run_without_end_and_without_pause() {
    let text = "[source]\ntype = 'synthetic'\nworld = 'workload'\nrate = 0\nseed = 9\n";
    let expected = Synthetic { world: World::Workload, events: None, rate: None, seed: 9 };
    assert_eq!(loaded(text, &[]).config.source, Source::Synthetic(expected));
    let expected = Synthetic { world: World::Workload, events: Some(5), rate: Some(2.5), seed: 9 };
    assert_eq!(
        loaded(text, &["source.events=5", "source.rate=2.5"]).config.source,
        Source::Synthetic(expected)
    );
}

#[test]
fn rates_silence_the_warning() {
    let warnings = |text: &str| loaded(text, &["event.arrival=received_at"]).config.warnings;
    assert!(warnings("")[0].starts_with("money.rates: none are set, so amounts of different currencies add"));
    assert_eq!(warnings("[money.rates]\nUSD = '0.92'\n"), Vec::<String>::new());
    assert_eq!(warnings("[event]\ncurrency = { constant = 'EUR' }\n"), Vec::<String>::new());
}

#[test]
fn an_arrival_silences_the_warning_of_far_times() {
    let euro = "[event]\ncurrency = { constant = 'EUR' }\n";
    let warnings = |arrival: &str| loaded(&format!("{euro}{arrival}"), &[]).config.warnings;
    let far = warnings("");
    assert_eq!(far.len(), 1);
    assert!(
        far[0].starts_with(
            "event.arrival: none is mapped, so no record of a file or of standard input is early"
        )
    );
    assert_eq!(warnings("arrival = ''\n"), far);
    assert_eq!(warnings("arrival = 'received_at'\n"), Vec::<String>::new());
    assert_eq!(warnings("arrival = { path = 'received_at', unit = 'ms' }\n"), Vec::<String>::new());
}

/// The current payment's outcome is not known when a checkout is scored: only history may use it.
#[test]
fn no_default_feature_reads_the_current_outcome() {
    let config = loaded("", &[]).config;
    let schema = config.schema();
    let outcome = |slot: usize| schema.fields.get(slot).is_some_and(|field| field.name.ends_with("_result"));
    let set = config.feature_set();
    let mut conditional = 0;
    for feature in &set.features {
        match &feature.definition {
            Definition::Expression(program) => {
                assert!(!program.slots().iter().any(|slot| outcome(*slot)), "{}", feature.name);
            }
            Definition::Window(window) => {
                assert!(!window.inclusive, "{} counts the current event", feature.name);
                conditional += usize::from(window.condition.is_some());
            }
        }
    }
    assert!(conditional > 30);
    let reads = |index: usize| set.conditions[index].program.slots().iter().any(|slot| outcome(*slot));
    assert!((0..set.conditions.len()).all(reads));
}
