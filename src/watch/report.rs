//! What a process says of itself: one JSON object. Names are a contract.
//!
//! vitals, source, sink, samples -> **report** -> log line, `admin`

use super::About;
use super::samples::Samples;
use crate::summary::Latency;
use crate::vitals::{Doing, ModelsSeen, Stage, Told, Vitals};
use cartguard_engine::batch::{Counts, StateSize};
use cartguard_engine::decide::Decision;
use cartguard_engine::reject::Reason;
use cartguard_io::{PartitionFigures, StreamFigures};
use cartguard_recovery::Look;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long the engine is waited for: it answers between two batches.
const PATIENCE: Duration = Duration::from_millis(250);
/// Lines that wait longer wait for a stream that does not take them. Arbitrary: no good call takes so long.
const WAITS_LONG_MS: u64 = 10_000;
/// A snapshot that is so many times later than it is due is late. Arbitrary.
const LATE: u32 = 3;

/// Features whose drift a log line tells.
const DRIFT_LOGGED: usize = 5;

/// The log line: the same report, told apart from other lines by its first member.
pub(super) fn line(vitals: &Vitals, samples: &Samples, about: &About) -> String {
    json!({ "log": "status", "status": report(vitals, samples, about, DRIFT_LOGGED) }).to_string()
}

/// All of it, as of now, with so many features that moved most.
pub(super) fn report(vitals: &Vitals, samples: &Samples, about: &About, features: usize) -> Value {
    let told = vitals.ask(PATIENCE);
    let look = told.as_ref().and_then(|told| told.history.as_ref());
    let partitions = vitals.partitions().map_or_else(Vec::new, |ask| ask());
    let streams = vitals.streams().map_or_else(Vec::new, |ask| ask());
    let (seconds, growth) = (samples.seconds(), |name| samples.growth(name) as f64);
    let rate = |name| if seconds > 0.0 { (growth(name) / seconds * 10.0).round() / 10.0 } else { 0.0 };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "at": jiff::Timestamp::now().to_string(),
        "uptime_seconds": samples.began.elapsed().as_secs(),
        "phase": vitals.phase().name(),
        "pipeline": about.pipeline,
        "counts": counts(&vitals.counts()),
        "rates": { "events_per_second": rate("events"), "alerts_per_second": rate("alerts"), "over_seconds": seconds.round() },
        "engine_told_seconds_ago": told.as_ref().map(|told| told.at.elapsed().as_secs()),
        "latency_us": told.as_ref().map(|told| Latency::of(&told.latency)),
        "state": told.as_ref().map(|told| state(&told.state, about)),
        "stages": Stage::ALL.map(|stage| {
            let (doing, done) = vitals.doing(stage);
            json!({ "stage": stage.name(), "doing": doing.name(), "done": done })
        }),
        "partitions": positions(look, &partitions),
        "history": look.map(|look| history(look, about)),
        "sink": { "streams": streams.iter().map(stream).collect::<Vec<_>>() },
        "models": models(vitals),
        "shadow": vitals.shadow().map(|figures| figures.to_json(features)),
        "degraded": degraded(vitals, samples, about, told.as_ref(), &partitions, &streams),
    })
}

fn models(vitals: &Vitals) -> Value {
    let ModelsSeen { active, challengers, waiting, refused } = vitals.models();
    let (switches, longest) = vitals.switches();
    let why = |list: Vec<(String, String)>| {
        list.into_iter().map(|(model, why)| json!({ "model": model, "why": why })).collect::<Vec<_>>()
    };
    let challengers = challengers.into_iter().map(|(model, share)| json!({ "model": model, "share": share }));
    json!({
        "active": active, "challengers": challengers.collect::<Vec<_>>(), "waiting": why(waiting), "refused": why(refused),
        "switches": switches, "switch_us_max": longest.as_nanos() as f64 / 1e3,
    })
}

fn counts(counts: &Counts) -> Value {
    let rejects = Reason::ALL.iter().zip(counts.rejects).filter(|&(_, count)| count > 0);
    let rejects: Map<String, Value> =
        rejects.map(|(reason, count)| (reason.code().to_owned(), count.into())).collect();
    let decisions = Decision::ALL.iter().zip(counts.decisions);
    let decisions: Map<String, Value> =
        decisions.map(|(decision, count)| (decision.name().to_owned(), count.into())).collect();
    json!({
        "events": counts.events, "labels": counts.labels, "accepted": counts.accepted, "duplicates": counts.duplicates, "rejects": rejects,
        "late": counts.late, "early": counts.early, "saturated": counts.saturated, "degraded": counts.degraded,
        "decisions": decisions, "alerts": counts.alerts, "scores_out_of_range": counts.scores_out_of_range,
        "reasons_approximate": counts.reasons_approximate,
    })
}

fn state(state: &StateSize, about: &About) -> Value {
    json!({
        "bytes": state.bytes, "bytes_max": about.state_memory, "keys": state.keys, "entries": state.entries,
        "values": state.values, "ids": state.ids, "resident_bytes": state.resident_bytes, "evicted": state.evicted,
        "evicted_ids": state.evicted_ids, "waiting": state.waiting, "lost_labels": state.lost_labels,
        "labels_without_event": state.labels_without_event,
    })
}

/// Where each partition stands in the history, and what its reader says of it. A finished one is among them only where this process has read
/// of it, and has neither a lag nor a way of being read.
fn positions(look: Option<&Look>, read: &[PartitionFigures]) -> Value {
    let known = look.map_or(&[][..], |look| look.partitions.list());
    let mut all: Vec<Value> = Vec::new();
    for partition in known {
        let name = &partition.opened.name;
        let figures = read.iter().find(|figures| &figures.name == name);
        if figures.is_none() && partition.is_finished {
            continue;
        }
        let place = partition.place.as_ref().map(ToString::to_string);
        all.push(position(name, place, partition.is_finished, figures));
    }
    for figures in read {
        if !known.iter().any(|partition| partition.opened.name == figures.name) {
            all.push(position(&figures.name, None, figures.is_ended, Some(figures)));
        }
    }
    Value::Array(all)
}

fn position(
    name: &str,
    place: Option<String>,
    is_finished: bool,
    figures: Option<&PartitionFigures>,
) -> Value {
    let mut value = json!({ "name": name, "place": place, "finished": is_finished });
    if let (Some(value), Some(figures)) = (value.as_object_mut(), figures) {
        let is_read = !is_finished && !figures.is_ended;
        let more = json!({
            "lag_ms": is_read.then_some(figures.lag_ms), "records": figures.records, "bytes": figures.bytes, "throttles": figures.throttles,
            "reconnects": figures.reconnects, "outside": figures.outside,
            "mode": is_read.then_some(figures.mode),
        });
        value.extend(more.as_object().cloned().unwrap_or_default());
    }
    value
}

fn history(look: &Look, about: &About) -> Value {
    let (segments, bytes) = about.order_log.as_deref().map_or((0, 0), size_of);
    json!({
        "epoch": look.epoch, "batch": look.batch, "sequence": look.sequence, "delivered_batch": look.delivered,
        "undelivered_batches": look.batch.saturating_sub(look.delivered),
        "order_log": { "segments": segments, "bytes": bytes },
        "snapshot": {
            "batch": look.snapshot.batch, "sequence": look.snapshot.sequence,
            "records_behind": look.sequence - look.snapshot.sequence,
            "age_seconds": look.snapshot.stored.map(|stored| stored.elapsed().as_secs()),
            "taking": look.snapshot.taking,
        },
    })
}

/// Files in a folder, and their bytes.
fn size_of(folder: &Path) -> (usize, u64) {
    let Ok(entries) = fs::read_dir(folder) else { return (0, 0) };
    let sizes = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    sizes.fold((0, 0), |(files, bytes), more| (files + 1, bytes + more))
}

fn stream(stream: &StreamFigures) -> Value {
    json!({
        "output": stream.output, "records": stream.records, "bytes": stream.bytes, "calls": stream.calls,
        "retries": stream.retries, "throttles": stream.throttles, "failed_calls": stream.failed_calls,
        "refused": stream.refused, "waiting_records": stream.waiting_records, "waiting_bytes": stream.waiting_bytes,
        "oldest_ms": stream.oldest_ms,
    })
}

/// What is not as it should be, each with a code and a sentence; of counters, what grew in the last seconds.
fn degraded(
    vitals: &Vitals,
    samples: &Samples,
    about: &About,
    told: Option<&Told>,
    partitions: &[PartitionFigures],
    streams: &[StreamFigures],
) -> Vec<Value> {
    let mut all = Vec::new();
    let mut say = |code: &str, what: String| all.push(json!({ "code": code, "what": what }));
    for (stage, since) in &samples.standing {
        say("stage_stands", format!("the {} has made no progress for {} s", stage.name(), since.as_secs()));
    }
    if vitals.has_no_room() {
        say("disk_full", "the order log finds no room: nothing is released until there is".to_owned());
    }
    if let Some(told) = told {
        // One that waits for the sink cannot answer, and the sink says why.
        let is_working = vitals.doing(Stage::Engine).0 == Doing::Working;
        if is_working && told.at.elapsed() > PATIENCE * 4 {
            let age = told.at.elapsed().as_secs_f64();
            say("engine_silent", format!("what the engine says of itself is {age:.1} s old"));
        }
        let stored = told.history.as_ref().map(|look| look.snapshot.stored.unwrap_or(samples.began));
        let age = stored.map(|stored| stored.elapsed()).unwrap_or_default();
        let is_behind = told.history.as_ref().is_some_and(|look| look.sequence > look.snapshot.sequence);
        if is_behind && age > about.snapshot_every * LATE {
            say("snapshot_late", format!("the newest snapshot is {} s old", age.as_secs()));
        }
    }
    let finished = |name: &str| {
        let look = told.and_then(|told| told.history.as_ref());
        look.is_some_and(|look| {
            look.partitions.list().iter().any(|known| known.is_finished && known.opened.name == name)
        })
    };
    for shard in partitions.iter().filter(|shard| !shard.is_ended && !finished(&shard.name)) {
        let throttles = samples.growth(&format!("throttles {}", shard.name));
        if throttles > 0 {
            say("shard_throttled", format!("{}: {throttles} reads were throttled", shard.name));
        }
        if about.fan_out && shard.mode == "polling" {
            say("shard_polled", format!("{}: is polled, where it should be subscribed", shard.name));
        }
    }
    for stream in streams {
        let name = stream.output;
        let [throttles, failed, refused] =
            ["throttles", "failed_calls", "refused"].map(|what| samples.growth(&format!("{what} {name}")));
        if throttles > 0 {
            say("sink_throttled", format!("the stream of {name}s throttled {throttles} times"));
        }
        if failed > 0 || stream.oldest_ms > WAITS_LONG_MS {
            say(
                "sink_failing",
                format!(
                    "the stream of {name}s: {failed} calls failed, {} records wait, the oldest for {} s",
                    stream.waiting_records,
                    stream.oldest_ms / 1_000
                ),
            );
        }
        if refused > 0 {
            say(
                "records_refused",
                format!("{refused} {name}s became rejects: their stream does not take them"),
            );
        }
    }
    for (model, why) in vitals.models().refused {
        say("model_refused", format!("model {model} is refused: {why}"));
    }
    let skipped = samples.growth("shadow_skipped");
    if skipped > 0 {
        say("shadow_skipped", format!("{skipped} events had no room on their way to the models in shadow"));
    }
    let approximate = samples.growth("reasons_approximate");
    if approximate > 0 {
        say("reasons_approximate", format!("{approximate} alerts have reasons of the cheap kind"));
    }
    // Of all time: windows of labels reach back weeks, and lack what was lost for as long.
    let lost = told.map_or(0, |told| told.state.lost_labels);
    if lost > 0 {
        say(
            "labels_lost",
            format!(
                "{lost} labels, or events kept for labels, were lost for want of labels.memory, or came again when their event was merged: windows of labels lack them"
            ),
        );
    }
    let evicted = samples.growth("degraded");
    if evicted > 0 {
        say("state_full", format!("{evicted} events have values of keys that were evicted"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use cartguard_history::{Change, Opened, Partitions, Start};
    use cartguard_recovery::SnapshotLook;
    use std::time::Instant;

    #[test]
    fn a_finished_shard_lags_behind_nothing() {
        let mut partitions = Partitions::default();
        for name in ["parent", "child", "long ago"] {
            let opened = Opened::new(name, Start::Oldest);
            partitions.apply(&Change::Open(opened)).expect("in order");
        }
        for partition in [0, 2] {
            partitions.apply(&Change::Finish { partition }).expect("in order");
        }
        let snapshot = SnapshotLook { batch: 0, sequence: 0, stored: None, taking: "none" };
        let look = Look { epoch: 1, batch: 0, sequence: 0, partitions, delivered: 0, snapshot };
        let read = |name: &str| PartitionFigures {
            name: name.to_owned(),
            lag_ms: 700,
            mode: "polling",
            ..PartitionFigures::default()
        };
        let figures = ["parent", "child"].map(read);
        let shown = positions(Some(&look), &figures);
        assert_eq!(shown.as_array().map(Vec::len), Some(2));
        assert_eq!((&shown[0]["finished"], &shown[1]["finished"]), (&true.into(), &false.into()));
        assert_eq!((&shown[0]["lag_ms"], &shown[1]["lag_ms"]), (&Value::Null, &700.into()));
        assert_eq!((&shown[0]["mode"], &shown[1]["mode"]), (&Value::Null, &"polling".into()));
    }

    /// A loss changes what features see, and is told for as long as they may.
    #[test]
    fn lost_labels_are_told_wherever_somebody_looks() {
        let lost = |lost_labels| {
            let told = Told {
                at: Instant::now(),
                state: StateSize { lost_labels, ..StateSize::default() },
                latency: crate::pipeline::new_histogram(),
                history: None,
            };
            let samples = Samples::new(Duration::from_mins(1));
            let all = degraded(&Vitals::default(), &samples, &About::default(), Some(&told), &[], &[]);
            all.iter().map(|one| (one["code"].to_string(), one["what"].to_string())).collect::<Vec<_>>()
        };
        assert_eq!(lost(0), []);
        let told = lost(3);
        assert_eq!((told.len(), told[0].0.as_str()), (1, "\"labels_lost\""));
        assert!(told[0].1.contains("3 labels") && told[0].1.contains("labels.memory"), "{told:?}");
    }
}
