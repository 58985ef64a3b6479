//! `cartguard verify`: every decision since a snapshot, derived again from the source and the order log, against what was bound and delivered.

use crate::adapters::{OpenSource, open_source};
use crate::cli::{ConfigArguments, complain, say};
use crate::config::{Config, Sink as SinkConfig};
use crate::engine;
use crate::exit::{Exit, Refusal};
use anyhow::{Context, bail};
use cartguard_engine::batch::Outputs;
use cartguard_io::{Advice, Trouble};
use cartguard_recovery::{Found, Retelling, Storage, Which};
use clap::Args;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Compare what lies in the sink's files too
    #[arg(long)]
    pub(crate) outputs: bool,
    /// Begin with the newest snapshot instead of the oldest that is kept
    #[arg(long)]
    pub(crate) newest: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(Vec::new()) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    match verify(arguments, &config) {
        Ok(text) => say(&text),
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn verify(arguments: &Arguments, config: &Config) -> anyhow::Result<String> {
    let started = Instant::now();
    let (config, _) = &engine::deciding(config, config.history_folder())?;
    let OpenSource::Again(mut source) = open_source(config, started, &|| false)? else {
        bail!(Refusal("what comes from stdin cannot be read again".to_owned()));
    };
    let Some(settings) = &config.history else {
        bail!(Refusal("history.folder: is empty; there is no history to verify".to_owned()));
    };
    let identity = source.identity();
    let opening = engine::history(config, &identity, |what| complain(&format!("note: {what}\n")))?;
    let which = if arguments.newest { Which::Newest } else { Which::Oldest };
    let Found { manifest, mut engine, tail, .. } =
        opening.look(&Storage::look(&settings.folder)?, which, || engine::open(config, &identity))?;
    let mut copies = if arguments.outputs { Some(Copies::open(config)?) } else { None };
    let (taken, bytes) = manifest.map(|one| (one.partitions, one.output_bytes)).unwrap_or_default();
    if let Some(copies) = &mut copies {
        copies.go_to(bytes)?;
    }
    // A difference is what was looked for, and no fault of who looks.
    let told = |trouble: Trouble| trouble.with_advice(Advice::Stop);
    let mut retelling =
        Retelling::begin(source.as_mut(), &mut engine, &taken, opening.models).map_err(told)?;
    let mut outputs = Outputs::default();
    let (mut records, mut copied) = (0, 0);
    for bound in &tail {
        retelling.next(source.as_mut(), &mut engine, bound, &mut outputs, &|| false).map_err(told)?;
        records += bound.records();
        if let Some(copies) = &mut copies {
            copied += copies.compare(bound.batch, &outputs)?;
        }
    }
    let range = match (tail.first(), tail.last()) {
        (Some(first), Some(last)) => format!("batches {} to {}", first.batch, last.batch),
        _ => "no batch behind the snapshot".to_owned(),
    };
    let copies = copies.map_or_else(String::new, |_| format!("; {copied} bytes of outputs compared, equal"));
    Ok(format!(
        "{range}: {records} records derived again in {:.2} s, every hash equal{copies}\n",
        started.elapsed().as_secs_f64()
    ))
}

/// What lies in the sink's files: decisions, alerts, rejects.
struct Copies {
    files: Vec<(PathBuf, File)>,
}

impl Copies {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let SinkConfig::File { folder } = &config.sink else {
            bail!(Refusal("--outputs: only the files of sink.type = \"file\" can be compared".to_owned()));
        };
        let open = |name: &str| {
            let path = folder.join(name);
            let file = File::open(&path).with_context(|| format!("{}: cannot be opened", path.display()))?;
            Ok((path, file))
        };
        let names = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"];
        Ok(Self { files: names.into_iter().map(open).collect::<anyhow::Result<_>>()? })
    }

    fn go_to(&mut self, bytes: [u64; 3]) -> anyhow::Result<()> {
        for ((path, file), bytes) in self.files.iter_mut().zip(bytes) {
            file.seek(SeekFrom::Start(bytes)).with_context(|| format!("{}: byte {bytes}", path.display()))?;
        }
        Ok(())
    }

    /// Compares a batch's outputs with what stands next in the files; the bytes compared. What was not delivered yet is not there.
    fn compare(&mut self, batch: u64, outputs: &Outputs) -> anyhow::Result<u64> {
        let lists: [Vec<u8>; 3] = [
            outputs.decisions().flatten().copied().collect(),
            outputs.alerts().flatten().copied().collect(),
            outputs.rejects().flatten().copied().collect(),
        ];
        let mut compared = 0;
        for ((path, file), expected) in self.files.iter_mut().zip(&lists) {
            compared += compare(path, file, batch, expected)?;
        }
        Ok(compared)
    }
}

fn compare(path: &Path, file: &mut File, batch: u64, expected: &[u8]) -> anyhow::Result<u64> {
    let at = file.stream_position()?;
    let mut held = Vec::with_capacity(expected.len());
    file.take(expected.len() as u64)
        .read_to_end(&mut held)
        .with_context(|| format!("{}: byte {at}", path.display()))?;
    if let Some(differs) = held.iter().zip(expected).position(|(held, expected)| held != expected) {
        let line = expected[..differs].split(|&byte| byte == b'\n').count();
        let what = format!(
            "{}: byte {}: line {line} of batch {batch} is not what comes of its records",
            path.display(),
            at + differs as u64
        );
        return Err(Trouble::stop(what).into());
    }
    Ok(held.len() as u64)
}
