//! `cartguard snapshot`: the snapshots of a data folder, listed, looked into and removed.
//!
//! data folder -> `Catalog` -> **snapshot** -> standard output
//!
//! Not here: how snapshots are taken and restored (`recovery`).

use crate::cli::{ConfigArguments, complain, say};
use crate::config::History;
use crate::exit::{Exit, Refusal};
use anyhow::bail;
use cartguard_engine::reject::Reason;
use cartguard_history::{Manifest, Tip};
use cartguard_io::Trouble;
use cartguard_recovery::{Catalog, Kept, head_of};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

/// Arguments of `snapshot`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every snapshot: where it stands, how large it is, and whether it is whole
    List(ListArguments),
    /// One snapshot: how far partitions were taken, what it belongs to, what was counted
    Inspect(InspectArguments),
    /// Remove old ones, and the order log that only they needed; refused while a process uses the folder
    Prune(PruneArguments),
}

#[derive(Args, Debug)]
struct ListArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// A list of objects
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct InspectArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The batch that it ends before, as `list` has it; none: the newest whole one
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// An object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PruneArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Whole snapshots that stay, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep: u64,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let which = match &arguments.action {
        Action::List(list) => &list.config,
        Action::Inspect(inspect) => &inspect.config,
        Action::Prune(prune) => &prune.config,
    };
    let config = match which.load(Vec::new()) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let done = catalog(config.history.as_ref()).and_then(|catalog| match &arguments.action {
        Action::List(arguments) => list(&catalog, arguments.json),
        Action::Inspect(arguments) => inspect(&catalog, arguments.batch, arguments.json),
        Action::Prune(arguments) => prune(&catalog, arguments.keep as usize),
    });
    let done = done.and_then(|Shown { text, damage }| {
        let said = say(&text);
        damage.map_or(Ok(said), |damage| Err(damage.into()))
    });
    match done {
        Ok(exit) => exit,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

/// What is found, and what is wrong with the order log beside it.
struct Shown {
    text: String,
    damage: Option<Trouble>,
}

/// Where the order log ends, as a sequence number; none where it is damaged, and the damage.
fn log_end(catalog: &Catalog) -> (Option<u64>, Option<Trouble>) {
    match catalog.log_end() {
        Ok(end) => (Some(end.map_or(0, |end| end.next_sequence)), None),
        Err(damage) => (None, Some(damage)),
    }
}

fn catalog(history: Option<&History>) -> anyhow::Result<Catalog> {
    match history {
        Some(history) => Ok(Catalog::look(&history.folder)?),
        None => bail!(Refusal("history.folder: is empty; there is no history".to_owned())),
    }
}

fn list(catalog: &Catalog, as_json: bool) -> anyhow::Result<Shown> {
    let snapshots = catalog.snapshots()?;
    let (end, damage) = log_end(catalog);
    if as_json {
        let rows: Vec<Value> = snapshots.iter().map(|kept| row(kept, end)).collect();
        return Ok(Shown { text: format!("{:#}\n", Value::from(rows)), damage });
    }
    let mut text = format!(
        "{:>10}  {:>12}  {:<24}  {:>12}  {:>12}  {:>12}  {:>5}  whole\n",
        "batch", "sequence", "stream time", "behind it", "bytes", "stored", "packs"
    );
    for kept in &snapshots {
        let row = row(kept, end);
        let cell = |name: &str| match &row[name] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        text += &format!(
            "{:>10}  {:>12}  {:<24}  {:>12}  {:>12}  {:>12}  {:>5}  {}\n",
            kept.batch,
            cell("sequence"),
            cell("stream_time"),
            cell("records_behind"),
            cell("bytes"),
            cell("stored_bytes"),
            cell("packs"),
            kept.fault().unwrap_or("yes"),
        );
    }
    let damage = match catalog.log_size() {
        Ok((segments, bytes)) => {
            text += &format!("order log: {segments} segments, {bytes} bytes\n");
            damage
        }
        Err(trouble) => damage.or(Some(trouble)),
    };
    Ok(Shown { text, damage })
}

/// A snapshot as `list` has it; names are a contract.
fn row(kept: &Kept, end: Option<u64>) -> Value {
    let manifest = kept.manifest.as_ref().ok();
    let behind = |tip: &Tip| end.map(|end| end.saturating_sub(tip.next_sequence));
    json!({
        "batch": kept.batch,
        "sequence": manifest.map(|one| one.tip.next_sequence),
        "stream_time": manifest.and_then(stream_time),
        "records_behind": manifest.map(|one| behind(&one.tip)),
        "bytes": manifest.map(|one| one.packs.iter().map(|pack| pack.bytes).sum::<u64>()),
        "stored_bytes": manifest.map(|one| one.packs.iter().map(|pack| pack.stored_bytes).sum::<u64>()),
        "packs": manifest.map(|one| one.packs.len()),
        "whole": kept.fault().is_none(),
        "fault": kept.fault(),
    })
}

/// RFC 3339; none before the first event.
fn stream_time(manifest: &Manifest) -> Option<String> {
    let ms = head_of(manifest)?.stream_ms;
    jiff::Timestamp::from_millisecond(ms).ok().filter(|_| ms != i64::MIN).map(|time| format!("{time:.3}"))
}

fn inspect(catalog: &Catalog, batch: Option<u64>, as_json: bool) -> anyhow::Result<Shown> {
    let snapshots = catalog.snapshots()?;
    let kept = match batch {
        Some(batch) => snapshots.iter().find(|kept| kept.batch == batch),
        None => snapshots.iter().rfind(|kept| kept.fault().is_none()),
    };
    let Some(kept) = kept else {
        let batches: Vec<String> = snapshots.iter().map(|kept| kept.batch.to_string()).collect();
        let wanted = batch.map_or("whole one".to_owned(), |batch| format!("one before batch {batch}"));
        bail!(Refusal(format!("there is no {wanted} among the snapshots: {}", batches.join(", "))));
    };
    let manifest = match &kept.manifest {
        Ok(manifest) => manifest,
        Err(why) => bail!("snapshot {}: {why}", kept.batch),
    };
    let (end, damage) = log_end(catalog);
    let details = details(kept, manifest, end);
    let text = if as_json { format!("{details:#}\n") } else { in_words(&details) };
    Ok(Shown { text, damage })
}

/// A snapshot as `inspect` has it; names are a contract.
fn details(kept: &Kept, manifest: &Manifest, end: Option<u64>) -> Value {
    let mut details = row(kept, end);
    let head = head_of(manifest);
    let counts = head.as_ref().map(|head| head.counts);
    let accepted = counts.map(|counts| counts.accepted).filter(|&accepted| accepted > 0);
    let per_event = |name: &str| {
        accepted.and_then(|accepted| details[name].as_f64().map(|bytes| bytes / accepted as f64))
    };
    let (bytes, stored) = (per_event("bytes"), per_event("stored_bytes"));
    let partitions = manifest.partitions.list().iter().enumerate().map(|(number, partition)| {
        json!({
            "number": number,
            "name": partition.opened.name,
            "place": partition.place.as_ref().map(ToString::to_string),
            "finished": partition.is_finished,
        })
    });
    let versions =
        manifest.versions.iter().map(|(name, digest)| (name.clone(), Value::from(digest.as_str())));
    let counted = counts.map(|counts| {
        let rejects = Reason::ALL.iter().zip(counts.rejects).filter(|&(_, count)| count > 0);
        json!({
            "events": counts.events,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "rejects": rejects.map(|(reason, count)| (reason.code().to_owned(), count.into())).collect::<Map<_, _>>(),
            "late": counts.late,
            "early": counts.early,
            "alerts": counts.alerts,
        })
    });
    let more = json!({
        "format": manifest.format,
        "written_by": manifest.written_by,
        "pipeline": manifest.pipeline,
        "source": manifest.source,
        "epoch": manifest.tip.epoch,
        "output_bytes": manifest.output_bytes,
        "bytes_per_event": bytes,
        "stored_bytes_per_event": stored,
        "partitions": partitions.collect::<Vec<_>>(),
        "versions": versions.collect::<Map<_, _>>(),
        "counts": counted,
        "identity": manifest.identity,
    });
    if let (Value::Object(details), Value::Object(more)) = (&mut details, more) {
        details.extend(more);
    }
    details
}

/// The same for a person: what is short, one line each; the identity by what it has.
fn in_words(details: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut text = String::new();
    let names = [
        "batch",
        "sequence",
        "epoch",
        "stream_time",
        "records_behind",
        "bytes",
        "stored_bytes",
        "packs",
        "bytes_per_event",
        "stored_bytes_per_event",
        "whole",
        "fault",
        "pipeline",
        "source",
        "written_by",
    ];
    for name in names {
        let value = &details[name];
        let value = value
            .as_f64()
            .filter(|_| value.is_f64())
            .map_or_else(|| plain(value), |number| format!("{number:.1}"));
        if value != "null" {
            text += &format!("{name:<24}{value}\n");
        }
    }
    for name in ["counts", "versions"] {
        for (key, value) in details[name].as_object().into_iter().flatten() {
            text += &format!("{:<24}{}\n", format!("{name}.{key}"), plain(value));
        }
    }
    for setting in details["identity"]["settings"].as_array().into_iter().flatten() {
        text += &format!("{:<24}{}\n", plain(&setting[0]), plain(&setting[1]));
    }
    let features = details["identity"]["features"].as_array().map_or(0, Vec::len);
    text += &format!("{:<24}{features}\n", "features");
    for partition in details["partitions"].as_array().into_iter().flatten() {
        let is_finished = partition["finished"].as_bool().unwrap_or_default();
        text += &format!(
            "partition {:<14}{} at {}{}\n",
            plain(&partition["number"]),
            plain(&partition["name"]),
            partition["place"].as_str().unwrap_or("its start"),
            if is_finished { ", finished" } else { "" }
        );
    }
    text
}

fn prune(catalog: &Catalog, keep: usize) -> anyhow::Result<Shown> {
    let (removed, faults) = catalog.prune(keep)?;
    let text = format!(
        "removed {} snapshots with {} packs and {} segments of the order log: {} bytes\n",
        removed.snapshots, removed.packs, removed.segments, removed.bytes
    );
    let mut faults = faults.into_iter();
    let first = faults.next();
    for fault in faults {
        complain(&format!("cartguard: {:#}\n", anyhow::Error::from(fault)));
    }
    Ok(Shown { text, damage: first })
}
