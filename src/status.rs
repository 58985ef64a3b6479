//! `cartguard status`: what a running process says of itself.
//!
//! admin socket -> **status** -> standard output

use crate::cli::{ConfigArguments, complain, say};
use crate::exit::Exit;
use crate::watch;
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;

mod metrics;

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The admin socket, instead of that of the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// As metrics, in the text format of Prometheus
    #[arg(long, conflicts_with = "json")]
    metrics: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let socket = match &arguments.socket {
        Some(socket) => Some(socket.clone()),
        None => match arguments.config.load(Vec::new()) {
            Ok(loaded) => watch::Settings::of(&loaded.config).socket,
            Err(exit) => return exit,
        },
    };
    match watch::ask(socket.as_deref()) {
        Ok(report) if arguments.json => say(&format!("{report:#}\n")),
        Ok(report) if arguments.metrics => say(&metrics::of(&report)),
        Ok(report) => say(&text(&report)),
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

/// For a person; what is not there is left out.
fn text(report: &Value) -> String {
    let mut out = String::new();
    let at = |pointer: &str| report.pointer(pointer).filter(|value| !value.is_null());
    let mut row = |label: &str, pieces: &[(&str, &str)]| {
        let known = pieces.iter().filter_map(|(name, pointer)| {
            let value = at(pointer)?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(format!("{name} {value}").trim_start().to_owned())
        });
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            let _ = writeln!(out, "{label:<10}{}", known.join(", "));
        }
    };
    row("cartguard", &[("", "/version"), ("process", "/pid"), ("", "/phase"), ("up s", "/uptime_seconds")]);
    row(
        "events",
        &[
            ("", "/counts/events"),
            ("accepted", "/counts/accepted"),
            ("duplicates", "/counts/duplicates"),
            ("alerts", "/counts/alerts"),
            ("a second", "/rates/events_per_second"),
        ],
    );
    row("latency", &[("us p50", "/latency_us/p50"), ("p99", "/latency_us/p99"), ("max", "/latency_us/max")]);
    row(
        "state",
        &[
            ("bytes", "/state/bytes"),
            ("of", "/state/bytes_max"),
            ("keys", "/state/keys"),
            ("entries", "/state/entries"),
            ("ids", "/state/ids"),
        ],
    );
    row(
        "order log",
        &[
            ("batch", "/history/batch"),
            ("sequence", "/history/sequence"),
            ("undelivered batches", "/history/undelivered_batches"),
            ("bytes", "/history/order_log/bytes"),
        ],
    );
    row(
        "snapshot",
        &[
            ("batch", "/history/snapshot/batch"),
            ("records behind", "/history/snapshot/records_behind"),
            ("age s", "/history/snapshot/age_seconds"),
            ("taking", "/history/snapshot/taking"),
        ],
    );
    row(
        "model",
        &[("", "/models/active"), ("switches", "/models/switches"), ("skipped in shadow", "/shadow/skipped")],
    );
    row(
        "drift",
        &[
            ("", "/shadow/drift/model"),
            ("events", "/shadow/drift/events"),
            ("score psi", "/shadow/drift/score/psi"),
            ("features that moved far", "/shadow/drift/large"),
        ],
    );
    for (label, list, members) in [
        ("stage", "/stages", &["stage", "doing", "done"][..]),
        (
            "partition",
            "/partitions",
            &["name", "place", "finished", "lag_ms", "mode", "throttles", "reconnects"],
        ),
        (
            "stream",
            "/sink/streams",
            &["output", "records", "waiting_records", "oldest_ms", "throttles", "failed_calls"],
        ),
        ("in shadow", "/models/challengers", &["model", "share"]),
        ("waiting", "/models/waiting", &["model", "why"]),
        ("refused", "/models/refused", &["model", "why"]),
        ("scored", "/shadow/models", &["model", "scored", "agreed", "out_of_range"]),
        ("degraded", "/degraded", &["code", "what"]),
    ] {
        for one in report.pointer(list).and_then(Value::as_array).into_iter().flatten() {
            let known = members.iter().enumerate().filter_map(|(number, member)| {
                let value = one.get(member).filter(|value| !value.is_null())?;
                if let Some(is_so) = value.as_bool() {
                    return is_so.then(|| (*member).to_owned());
                }
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                // The first says what it is, words speak for themselves.
                let is_plain = number == 0 || !one[*member].is_number();
                Some(if is_plain { value } else { format!("{member} {value}") })
            });
            let _ = writeln!(out, "{label:<10}{}", known.collect::<Vec<_>>().join(", "));
        }
    }
    if at("/degraded").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        out += "degraded  nothing\n";
    }
    out
}
