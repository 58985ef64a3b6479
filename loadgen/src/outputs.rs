//! What a run writes into, looked at as a whole before any of it is made.
//!
//! arguments -> **outputs** -> `files`, `table`, `label_file`
//!
//! Holds: what is refused here has made nothing, so that the corrected call finds no file of it in its way; no two outputs are
//! one file, by whatever name or link, nor are two of them standard output.
//! Not here: making files.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use loadgen::World;

use crate::args::{Args, Job, Refusal};
use crate::{files, label_file, table};

/// A flag and the file that it names.
pub(crate) type Named<'a> = (&'static str, &'a Path);

/// How the events are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Events {
    Kinesis,
    /// To a file or standard output.
    Stream,
    Table(table::Form),
}

/// How a run writes what it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forms<'a> {
    pub(crate) events: Events,
    pub(crate) labels: Option<(&'a Path, label_file::Form)>,
}

/// Of a run, all of whose outputs can be made as far as can be told without making them.
pub(crate) fn check<'a>(args: &'a Args, job: &Job) -> anyhow::Result<Forms<'a>> {
    let events = if args.to == "kinesis" { Events::Kinesis } else { events(&args.output, job)? };
    let labels = match args.labels.as_deref() {
        Some(path) => Some((path, label_file::Form::of(path)?)),
        None => None,
    };
    let output = (!matches!(events, Events::Kinesis)).then_some(&args.output);
    #[cfg(feature = "aws")]
    let sends = args.kinesis.sends.as_ref();
    #[cfg(not(feature = "aws"))]
    let sends = None;
    let named = [
        ("--output", output),
        ("--labels", args.labels.as_ref()),
        ("--report", args.report.as_ref()),
        ("--hgrm", args.hgrm.as_ref()),
        ("--sends", sends),
    ];
    let named: Vec<Named> =
        named.into_iter().filter_map(|(flag, path)| Some((flag, path?.as_path()))).collect();
    apart(&named)?;
    named.into_iter().try_for_each(|output| free(output, args.force))?;
    Ok(Forms { events, labels })
}

/// Refuses two flags that name one file.
pub(crate) fn apart(named: &[Named]) -> anyhow::Result<()> {
    for (at, (flag, path)) in named.iter().enumerate() {
        let same = |(_, other): &&Named| is_same(path, other);
        let Some((other_flag, other)) = named[..at].iter().find(same) else { continue };
        if files::is_standard_output(path) {
            bail!(Refusal(anyhow!("{other_flag} and {flag} are both standard output; name a file for one")));
        }
        let (path, other) = (path.display(), other.display());
        bail!(Refusal(anyhow!("{other_flag} {other} and {flag} {path} are one file; name two")));
    }
    Ok(())
}

/// Refuses an output that is there already, or that cannot be.
fn free((flag, path): Named, force: bool) -> anyhow::Result<()> {
    if files::is_standard_output(path) {
        return Ok(());
    }
    if path.is_dir() {
        bail!(Refusal(anyhow!("{flag} {}: is a folder; name a file", path.display())));
    }
    // A link that leads nowhere is in the way too.
    if !force && path.symlink_metadata().is_ok() {
        return Err(files::exists(path));
    }
    let folder = folder(path);
    let found = fs::metadata(folder)
        .with_context(|| format!("{}: the folder {} cannot be used", path.display(), folder.display()))?;
    if !found.is_dir() {
        bail!(Refusal(anyhow!("{flag} {}: {} is no folder", path.display(), folder.display())));
    }
    Ok(())
}

/// By the ending of `--output`; a refusal where nothing can be written so.
fn events(path: &Path, job: &Job) -> anyhow::Result<Events> {
    let refused = |what: &str| Refusal(anyhow!("{}: {what}", path.display()));
    let ending = files::ending(path);
    let is_compressed = ["gz", "zst"].contains(&ending.as_str());
    let plain =
        if is_compressed { files::ending(Path::new(path.file_stem().unwrap_or_default())) } else { ending };
    let table = match plain.as_str() {
        _ if files::is_standard_output(path) || path.starts_with("/dev") => return Ok(Events::Stream),
        "jsonl" | "json" | "ndjson" => return Ok(Events::Stream),
        "csv" => table::Form::Csv,
        "parquet" => table::Form::Parquet,
        _ => bail!(refused(".jsonl or .json, each also .gz or .zst; handbook also .csv, .parquet")),
    };
    if job.settings.world != World::Handbook {
        bail!(refused("only the handbook world is a table; use .jsonl"));
    }
    if job.schedule.is_some() || job.seconds.is_some() {
        bail!(refused("a table is written without --rate, --ramp and --seconds"));
    }
    if is_compressed {
        bail!(refused("tables are not compressed"));
    }
    Ok(Events::Table(table))
}

/// Whether what is written to one would be in the other.
fn is_same(one: &Path, other: &Path) -> bool {
    if files::is_standard_output(one) || files::is_standard_output(other) {
        return one == other;
    }
    match (fs::metadata(one), fs::metadata(other)) {
        // Devices and pipes keep nothing that could be overwritten.
        (Ok(one), Ok(other)) => one.is_file() && inode(&one) == inode(&other),
        (Err(_), Err(_)) => place(one) == place(other),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn inode(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Where a file that is not there yet would be.
fn place(path: &Path) -> PathBuf {
    let folder = folder(path);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}
