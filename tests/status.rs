//! `cartguard status`, the log line and what systemd is told, of real processes.
//!
//! Holds: a test waits for an answer, bytes or an exit, never for a time to be over.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds, said, signal, status_until};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Child;

const CONFIG: &str = "[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n[sink]\ntype = \"file\"\npath = \"out\"\n[history]\n\
                      folder = \"data\"\n[log]\nevery = \"50ms\"\n";

/// A run whose source is a pipe that has brought 200 checkouts and goes on; its pipe.
fn running(shop: &Shop, config: &str) -> (Child, fs::File) {
    shop.make_pipe("in.jsonl");
    shop.write("c.toml", config);
    let child = shop.start(&["run", "--config", "c.toml"]);
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    pipe.write_all(checkouts(0, 200).as_bytes()).expect("a reader");
    (child, pipe)
}

#[test]
fn a_running_process_says_where_it_is_and_how() {
    let shop = Shop::new();
    let (child, pipe) = running(&shop, CONFIG);
    let report = status_until(&shop, |report| report["history"]["sequence"] == 200);
    assert_eq!(report["pid"], child.id());
    assert_eq!(
        (&report["phase"], &report["version"]),
        (&"running".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!((&report["counts"]["events"], &report["counts"]["accepted"]), (&200.into(), &200.into()));
    assert_eq!(
        (&report["partitions"][0]["name"], &report["partitions"][0]["finished"]),
        (&"in.jsonl".into(), &false.into())
    );
    assert!(
        report["partitions"][0]["place"].as_str().is_some_and(|place| place.starts_with("200:")),
        "{report:#}"
    );
    for figure in
        ["/state/bytes", "/state/keys", "/state/entries", "/history/order_log/bytes", "/latency_us/p50"]
    {
        assert!(
            report.pointer(figure).and_then(Value::as_f64).is_some_and(|value| value > 0.0),
            "{figure}: {report:#}"
        );
    }
    assert_eq!(report["history"]["snapshot"]["records_behind"], 200);
    assert_eq!(report["degraded"], Value::Array(vec![]));
    let metrics = shop.good(&["status", "--config", "c.toml", "--metrics"]);
    let parts = [
        "# TYPE cartguard_events_total counter\ncartguard_events_total 200\n",
        "cartguard_latency_seconds{quantile=\"0.99\"} ",
        "cartguard_snapshot_records_behind 200\n",
    ];
    holds(&metrics, &parts);
    let text = shop.good(&["status", "--config", "c.toml"]);
    holds(&text, &["order log batch ", "sequence 200", "partition in.jsonl, 200:", "degraded  nothing"]);

    // Absent where the system has no huge pages.
    let system = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let huge = system.lines().find(|line| line.starts_with("THP_enabled:"));
    assert!(huge.is_none_or(|line| line.ends_with('0')), "no event waits for a huge page: {huge:?}");

    let mode = fs::metadata(shop.path("data/admin.sock")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its own user");
    signal("-TERM", &child);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    drop(pipe);
    let line =
        complained.lines().find(|line| line.starts_with("{\"log\":\"status\"")).expect("a line of status");
    let line: Value = serde_json::from_str(line).expect("one object a line");
    assert_eq!(line["status"]["pid"], report["pid"]);
    let refused = shop.bad(1, &["status", "--config", "c.toml"]);
    holds(&refused, &["data/admin.sock: there is no socket; no process runs with this configuration"]);
}

#[test]
fn a_socket_that_a_killed_process_left_is_told_and_replaced() {
    let shop = Shop::new();
    let (mut child, pipe) = running(&shop, CONFIG);
    status_until(&shop, |report| report["counts"]["events"] == 200);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    drop(pipe);
    holds(
        &shop.bad(1, &["status", "--config", "c.toml"]),
        &["data/admin.sock: nobody answers", "was killed"],
    );
    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    // The file that the pipe should have been: what was bound is in it.
    let (child, pipe) = running(&shop, CONFIG);
    status_until(&shop, |report| report["pid"] == child.id());
    signal("-TERM", &child);
    drop(pipe);
    child.wait_with_output().expect("it ends");
}

#[test]
fn without_a_socket_it_says_which_key_to_set() {
    let shop = Shop::new();
    holds(&shop.bad(2, &["status"]), &["admin.socket: is empty", "admin.socket = \"admin.sock\""]);
    holds(&shop.bad(1, &["status", "--socket", "none.sock"]), &["none.sock: there is no socket"]);
    let long = "x".repeat(120);
    let set = format!("admin.socket={long}");
    shop.write("in.jsonl", checkouts(0, 5));
    shop.write("c.toml", CONFIG);
    let (_, complained) = shop.ends(0, &["run", "--config", "c.toml", "--set", &set]);
    holds(&complained, &["warning: ", "set admin.socket to a shorter one", "5 events in"]);
}

/// O6: a reader that does not read. The engine waits, which is no standstill of its own.
#[test]
fn a_stage_that_stands_still_is_told() {
    let shop = Shop::new();
    shop.write(
        "c.toml",
        "[source]\ntype = \"synthetic\"\nrate = 0\n[admin]\nsocket = \"a.sock\"\n[watchdog]\nafter = \"1s\"\n",
    );
    let mut child = shop.start(&["run", "--config", "c.toml"]);
    let report =
        status_until(&shop, |report| report["degraded"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(report["degraded"][0]["code"], "stage_stands");
    assert_eq!(report["stages"][2], serde_json::json!({ "stage": "sink", "doing": "working", "done": 0 }));
    assert_eq!(report["stages"][1]["doing"], "waiting");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.starts_with("warning: the sink has made no progress for")));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let child = shop.start(&["run", "--config", "c.toml", "--set", "watchdog.abort=true"]);
    let mut child = child;
    // SIGABRT: no code.
    assert_eq!(child.wait().expect("it ends by itself").code(), None);
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    holds(&text, &["watchdog.abort is set: the process ends"]);
}

#[test]
fn systemd_hears_that_it_is_ready_alive_and_ending() {
    let shop = Shop::new();
    let systemd = UnixDatagram::bind(shop.path("notify")).expect("a socket");
    shop.make_pipe("in.jsonl");
    shop.write("c.toml", CONFIG);
    let mut command = shop.command(&["run", "--config", "c.toml"]);
    command.env("NOTIFY_SOCKET", shop.path("notify")).env("WATCHDOG_USEC", "1000000");
    let child = command.spawn().expect("cartguard runs");
    let pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    let hear = || {
        let mut text = [0; 64];
        let length = systemd.recv(&mut text).expect("a datagram");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    // It may be alive before it is ready.
    while hear() != "READY=1" {}
    assert_eq!([hear(), hear()], ["WATCHDOG=1", "WATCHDOG=1"]);
    signal("-TERM", &child);
    drop(pipe);
    child.wait_with_output().expect("it ends");
    let mut heard = hear();
    while heard == "WATCHDOG=1" {
        heard = hear();
    }
    assert_eq!(heard, "STOPPING=1");
}
