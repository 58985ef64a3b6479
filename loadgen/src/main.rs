//! Open-loop generator of checkouts: to files or standard output, at a pace or as fast as it can.
//!
//! arguments -> generator -> **stream** (`send`) or table; labels and report beside
//!
//! Holds: standard output carries what `-` names and nothing else, everything for people goes to standard error; an
//! interrupt or a closed pipe ends it with a report and exit code 0; what was asked for wrongly is refused with 2
//! before anything is written.
//! Not here: what events are (the library).

mod args;
mod files;
#[cfg(feature = "aws")]
mod kinesis;
mod label_file;
mod outputs;
mod send;
mod table;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use loadgen::handbook::Handbook;
use loadgen::{Generator, Label, LatencySummary};
use serde::Serialize;

use args::{Args, Cli, Command, Job, Refusal};
use label_file::LabelFile;
use outputs::Events;
use send::{Ended, Sender, Sent};
use table::Table;

fn main() -> ExitCode {
    let done = match Cli::of_process().into_command() {
        Command::Generate(args) => run(&args),
        #[cfg(feature = "aws")]
        Command::Measure(args) => interrupts().and_then(|stop| kinesis::measure::run(&args, &stop)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            if error.is::<Refusal>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let job = args.job().map_err(Refusal)?;
    if args.hgrm.is_some() && job.schedule.is_none() {
        bail!(Refusal(anyhow!("--hgrm: without --rate or --ramp there is no latency")));
    }
    let forms = outputs::check(args, &job)?;
    let stop = interrupts()?;
    let mut labels =
        forms.labels.map(|(path, form)| LabelFile::create(path, form, args.force)).transpose()?;
    // Before the run: a report that cannot be written should not cost one.
    let report = args.report.as_deref().map(|path| files::text(path, args.force)).transpose()?;
    let hgrm = args.hgrm.as_deref().map(|path| files::text(path, args.force)).transpose()?;
    let sent = match forms.events {
        Events::Kinesis => put(args, &job, labels.as_mut(), &stop)?,
        Events::Table(form) => {
            let table = Table::create(&args.output, form, args.force)?;
            write_table(&job, table, labels.as_mut(), &stop)?
        }
        Events::Stream => stream(args, &job, labels.as_mut(), stop)?,
    };
    let labels = labels.map(LabelFile::finish).transpose()?;
    let summary = Report::new(&job, &sent, labels);
    tell(&summary, &sent, &mut std::io::stderr())?;
    if let (Some(mut to), Some(path)) = (report, &args.report) {
        serde_json::to_writer_pretty(&mut to, &summary).with_context(|| files::name(path))?;
        writeln!(to).and_then(|()| to.flush()).with_context(|| files::name(path))?;
    }
    if let (Some(mut to), Some(path)) = (hgrm, &args.hgrm) {
        let latency = sent.latency.unwrap_or_default();
        latency.write_hgrm(&mut to).and_then(|()| to.flush()).with_context(|| files::name(path))?;
    }
    Ok(())
}

/// Set by the first SIGINT or SIGTERM; a second one ends the process at once.
fn interrupts() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn stream(
    args: &Args,
    job: &Job,
    labels: Option<&mut LabelFile>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Sent> {
    let generator = Generator::new(&job.settings)?;
    let mut to = files::Stream::create(&args.output, args.force)?;
    let name = files::name(&args.output);
    let sender =
        Sender { job, generator, to: &mut to, labels, stop, progress: args.progress, name: name.clone() };
    let sent = sender.run()?;
    match to.finish() {
        Err(error) if sent.ended != Ended::BrokenPipe => Err(error).context(name),
        Ok(()) | Err(_) => Ok(sent),
    }
}

#[cfg(feature = "aws")]
fn put(
    args: &Args,
    job: &Job,
    labels: Option<&mut LabelFile>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Sent> {
    let sends = args.kinesis.sends.as_deref().map(|path| files::text(path, args.force)).transpose()?;
    kinesis::put::run(&args.kinesis, job, labels, sends, stop, args.progress)
}

#[cfg(not(feature = "aws"))]
fn put(_: &Args, _: &Job, _: Option<&mut LabelFile>, _: &Arc<AtomicBool>) -> anyhow::Result<Sent> {
    unreachable!("the arguments refuse it")
}

fn write_table(
    job: &Job,
    mut table: Table,
    mut labels: Option<&mut LabelFile>,
    stop: &AtomicBool,
) -> anyhow::Result<Sent> {
    let begin = Instant::now();
    let mut sent = Sent::default();
    for row in Handbook::new(&job.settings)? {
        table.write(row)?;
        sent.events += 1;
        sent.fraud += u64::from(row.scenario > 0);
        if let Some(labels) = labels.as_deref_mut()
            && let Some(label) = Label::of_transaction(&row, job.settings.legit_after_days)
        {
            labels.write(&label)?;
        }
        if stop.load(Ordering::Relaxed) {
            sent.ended = Ended::Interrupted;
            break;
        }
    }
    table.finish()?;
    sent.seconds = begin.elapsed().as_secs_f64();
    Ok(sent)
}

/// What is told at the end, and written by `--report`.
#[derive(Debug, Serialize)]
struct Report {
    world: &'static str,
    seed: u64,
    events: u64,
    repeats: u64,
    fraud: u64,
    labels: Option<u64>,
    bytes: u64,
    seconds: f64,
    events_per_second: f64,
    ended: &'static str,
    latency_us: Option<LatencySummary>,
    #[cfg(feature = "aws")]
    #[serde(skip_serializing_if = "Option::is_none")]
    puts: Option<kinesis::put::Puts>,
}

impl Report {
    fn new(job: &Job, sent: &Sent, labels: Option<u64>) -> Self {
        Self {
            world: job.settings.world.name(),
            seed: job.settings.seed,
            events: sent.events,
            repeats: sent.repeats,
            fraud: sent.fraud,
            labels,
            bytes: sent.bytes,
            seconds: sent.seconds,
            events_per_second: sent.events as f64 / sent.seconds.max(1e-9),
            ended: match sent.ended {
                Ended::Done => "done",
                Ended::Interrupted => "interrupted",
                Ended::BrokenPipe => "broken_pipe",
            },
            latency_us: sent.latency.as_ref().map(loadgen::Latency::summary),
            #[cfg(feature = "aws")]
            puts: sent.puts,
        }
    }
}

fn tell(report: &Report, sent: &Sent, to: &mut impl Write) -> anyhow::Result<()> {
    writeln!(
        to,
        "loadgen: {} events ({} repeats, {} fraud) of {}, seed {}, in {:.2} s: {:.0} events/s, {}",
        report.events,
        report.repeats,
        report.fraud,
        report.world,
        report.seed,
        report.seconds,
        report.events_per_second,
        report.ended,
    )?;
    #[cfg(feature = "aws")]
    if let Some(puts) = &sent.puts {
        writeln!(
            to,
            "{} calls, {} failed; {} records throttled, {} sent again, {} not sent",
            puts.calls, puts.failed_calls, puts.throttles, puts.retries, puts.unsent
        )?;
    }
    if let Some(latency) = &sent.latency {
        latency.write_table(to)?;
    }
    Ok(())
}
