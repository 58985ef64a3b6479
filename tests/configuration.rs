//! `check`, `config` and `features` as real processes.

use std::process::{Command, Output};

fn cartguard(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartguard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARTGUARD__") {
            command.env_remove(name);
        }
    }
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_good_configuration_ends_with_0() {
    let output = cartguard(&["check", "--config", "config/handbook.toml"]);
    assert_eq!(output.status.code(), Some(0));
    let expected =
        "config/handbook.toml: ok, 2 entities, 0 fields, 10 features (config/features/handbook.toml)\n";
    assert_eq!(text(&output.stdout), expected);
    let far = "warning: event.arrival: none is mapped, so no record of a file or of standard input is early";
    let complained = text(&output.stderr);
    assert!(complained.starts_with(far) && complained.lines().count() == 1, "{complained}");
    let output = cartguard(&["check", "--config", "config/default.toml"]);
    assert_eq!(output.status.code(), Some(0));
    let complained = text(&output.stderr);
    assert!(complained.starts_with("warning: money.rates: none are set"), "{complained}");
    assert!(complained.lines().count() == 2 && complained.contains(far), "{complained}");
    let output =
        cartguard(&["check", "--config", "config/handbook.toml", "--set", "event.arrival=received_at"]);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn every_fault_is_told_and_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[time]\nlatness = '2s'\n[engine]\nidle = 'sleep'\n").expect("written");
    let name = file.display().to_string();
    for command in ["check", "config", "features"] {
        let output = cartguard(&[command, "--config", &name]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stdout), "");
        let expected = format!(
            "{name}:2:1: time.latness: unknown key; did you mean \"lateness\"?\n\
             {name}:4:8: engine.idle: \"sleep\" is not known; one of park, spin\n\
             cartguard: the configuration has 2 faults\n"
        );
        assert_eq!(text(&output.stderr), expected);
    }
    assert_eq!(cartguard(&["check", "--sett", "x"]).status.code(), Some(2));
    assert_eq!(cartguard(&["check", "--set", "x"]).status.code(), Some(2));
}

#[test]
fn config_says_what_holds_and_why() {
    let output = cartguard(&["config", "--config", "config/handbook.toml", "--set", "time.skew=5m"]);
    let printed = text(&output.stdout);
    let lines: Vec<_> =
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "event.currency = { constant = \"EUR\" } # config/handbook.toml:11:12",
        "time.skew = \"5m\" # flag --set time.skew=5m",
        "output.features = \"all\" # built-in default:",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{printed}");
    }
}

#[test]
fn features_are_listed_in_every_format() {
    let list = |format: &str| {
        let output = cartguard(&["features", "--config", "benches/workload/config.toml", "--format", format]);
        text(&output.stdout)
    };
    assert_eq!(list("table").lines().count(), 91);
    assert_eq!(list("markdown").lines().count(), 92);
    let json: serde_json::Value = serde_json::from_str(&list("json")).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(90));
    assert_eq!(json[3]["name"], "customer.max_amount_1m");
    assert_eq!(json[3]["code"], "CUSTOMER_MAX_AMOUNT");
    let memory = cartguard(&["features", "--config", "benches/workload/config.toml", "--memory"]);
    assert_eq!(text(&memory.stdout).lines().count(), 6);
}

/// "unexpected argument '-5' found" names neither the flag nor what it accepts.
#[test]
fn a_number_below_zero_is_refused_with_what_is_accepted() {
    for command in [
        &["run"][..],
        &["bench", "--rate", "1000"],
        &["rows", "--input", "in.jsonl", "--labels", "l.jsonl", "--output", "out"],
    ] {
        let output = cartguard(&[command, &["--workers", "-1"]].concat());
        let complained = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {complained}");
        let expected = "flag --workers -1: engine.workers: \"-1\" is not a whole number from 0 to 256\n";
        assert!(complained.starts_with(expected), "{command:?}: {complained}");
    }
    for (arguments, expected) in [
        (["bench", "--rate", "-5"], "--rate -5: events a second, 0.001 to 1,000,000,000"),
        (["demo", "--seconds", "-5"], "--seconds"),
        (["bench", "--warm-up", "-5"], "invalid value '-5' for '--warm-up <N>'"),
    ] {
        let output = cartguard(&arguments);
        let complained = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complained}");
        assert!(complained.contains(expected), "{arguments:?}: {complained}");
        assert!(!complained.contains("unexpected"), "{arguments:?}: {complained}");
    }
}
