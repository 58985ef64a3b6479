//! `cartguard replay`: the engine over history in files.

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::Output;
use crate::pipeline::{self, Ended, Input};
use crate::run::workers_flag;
use crate::summary::Summary;
use crate::{engine, signals};
use cartguard_engine::batch::Engine;
use cartguard_io::{FileSink, FileSinkOptions, FileSource, Meter, NullSink, Sink};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Files, one after the other: .json(l), .csv, .parquet; text also .gz or .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) input: Vec<PathBuf>,
    /// Folder to write into; refused where it is not empty
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Do all the work and write summary.json only
    #[arg(long)]
    pub(crate) discard: bool,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(workers_flag(arguments.workers)) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    for warning in &config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let engine = match engine::open(&config) {
        Ok(engine) => engine,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            return Exit::Refused;
        }
    };
    match replay(arguments, &config, engine) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn replay(arguments: &Arguments, config: &Config, engine: Engine) -> anyhow::Result<Exit> {
    let stop = signals::listen()?;
    let source = FileSource::open(&arguments.input)?;
    for note in source.notes() {
        complain(&format!("note: {note}\n"));
    }
    let bar = Bar::new(source.meter());
    let names = config.output.as_array.then(|| engine.feature_names_json());
    let output = Output::open(&arguments.output, arguments.force, &arguments.input)?;
    output.clear(!arguments.discard)?;
    let mut sink: Box<dyn Sink> = if arguments.discard {
        Box::new(NullSink::default())
    } else {
        // Whether it may be written into was found out above.
        Box::new(FileSink::open(&arguments.output, FileSinkOptions { force: true, sync: false })?)
    };
    if let Some(names) = names.filter(|_| !arguments.discard) {
        output.write_features(&names)?;
    }
    let settings = pipeline::Settings::of_history(config);
    let finished =
        pipeline::run(Input::Once(Box::new(source)), engine, sink.as_mut(), settings, &stop.flag, |_| {
            bar.tick()
        })?;
    bar.finish();
    if let (Ended::Stopped(place), Some((name, exit))) = (&finished.ended, stop.signal()) {
        complain(&format!(
            "cartguard: {name}: stopped before {place}; what came before it is delivered, and no summary.json is written\n"
        ));
        return Ok(exit);
    }
    let summary = Summary::of(&finished);
    output.write_summary(&summary.to_json())?;
    Ok(say(&summary.to_text()))
}

/// A progress bar on a terminal, by bytes of the input.
struct Bar {
    bar: ProgressBar,
    meter: Meter,
}

impl Bar {
    fn new(meter: Meter) -> Self {
        let bar = ProgressBar::with_draw_target(Some(meter.total()), ProgressDrawTarget::stderr_with_hz(10));
        let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, meter }
    }

    fn tick(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_position(self.meter.done());
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
