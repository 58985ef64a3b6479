//! The command line: arguments -> one command.
//!
//! main -> **cli** -> check, list, replay, rebuild, run, bench, demo, model, train, evaluate, backtest, rows, dedupe, verify, snapshot, status
//!
//! Not here: what a command does. Usage errors end with code 2, as clap has it.

use crate::config::{self, Flag, Given, Loaded};
use crate::exit::Exit;
use crate::{
    backtest, bench, check, dedupe, demo, evaluate, list, model, rebuild, replay, rows, run, snapshot,
    status, train, verify,
};
use cartguard_engine::document::Fault;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;

/// Scores checkouts for fraud: exact, deterministic, fast.
#[derive(Debug, Parser)]
#[command(name = "cartguard", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it at work: a synthetic shop under attack, scored by the model that comes along
    Demo(demo::Arguments),
    /// Run over history in files
    Replay(replay::Arguments),
    /// Make a snapshot from history in files, for a history that begins with it (run --seed-from)
    Rebuild(rebuild::Arguments),
    /// Run on a stream until it ends or a signal comes
    Run(run::Arguments),
    /// Measure latency in the engine, open loop
    Bench(bench::Arguments),
    /// Import a trained model, or score rows with one
    Model(model::Arguments),
    /// Train a model on history, with the features of the engine
    Train(Box<train::Arguments>),
    /// Judge a model, or two side by side, on history whose truth is known
    Evaluate(evaluate::Arguments),
    /// Score history as it would have been, by models made again and again on what was known then
    Backtest(backtest::Arguments),
    /// Write training rows, for training with other tools
    Rows(rows::Arguments),
    /// Check a configuration and its features file: every fault at once
    Check(check::Arguments),
    /// Print every setting that holds, and where it was given
    Config(list::SettingsArguments),
    /// Print every feature with what it means
    Features(list::FeaturesArguments),
    /// Pass the first line of each id on; the same id with other bytes is an alarm
    Dedupe(dedupe::Arguments),
    /// Derive every decision again since a snapshot, and compare it with what was bound and delivered
    Verify(verify::Arguments),
    /// List, look into or remove the snapshots of a data folder
    Snapshot(snapshot::Arguments),
    /// What a running process says of itself: places, lag, rates, state, what is degraded
    Status(status::Arguments),
}

/// Which configuration; the same for every command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigArguments {
    /// Configuration file; without one the built-in defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key, as in --set time.lateness=2s; wins over file and environment
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl ConfigArguments {
    /// Reads the configuration; `flags` are those of the command itself. Faults are printed here.
    pub(crate) fn load(&self, flags: Vec<Flag>) -> Result<Loaded, Exit> {
        config::load(&self.given(flags)).map_err(|faults| refuse(&faults))
    }

    /// What the user gave, and the flags of the command itself.
    pub(crate) fn given(&self, flags: Vec<Flag>) -> Given {
        let mut given = Given { file: self.config.clone(), environment: environment(), flags: Vec::new() };
        given.flags.extend(self.set.iter().map(|text| Flag::set(text)));
        given.flags.extend(flags);
        given
    }
}

/// Prints faults of a configuration.
pub(crate) fn refuse(faults: &[Fault]) -> Exit {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let lines = lines.join("\n");
    let many = if faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", faults.len()) };
    complain(&format!("{lines}\ncartguard: the configuration has {many}\n"));
    Exit::Refused
}

/// The arguments; a number below zero is taken for a value, so that its flag can say what it accepts.
fn parse() -> Arguments {
    let matches = with_negative_numbers(Arguments::command()).get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|why| why.exit())
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_values = |argument: &Arg| argument.get_action().takes_values();
    command
        .mut_args(
            |argument| if takes_values(&argument) { argument.allow_negative_numbers(true) } else { argument },
        )
        .mut_subcommands(with_negative_numbers)
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> Exit {
    match parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Rebuild(arguments) => rebuild::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Model(arguments) => model::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Rows(arguments) => rows::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Config(arguments) => list::config(&arguments),
        Command::Features(arguments) => list::features(&arguments),
        Command::Dedupe(arguments) => dedupe::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
    }
}

/// Prints to standard output; whoever closed it (`| head`) wants no more, which is no error.
pub(crate) fn say(text: &str) -> Exit {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(why) => {
            complain(&format!("cartguard: standard output: {why}\n"));
            Exit::Failed
        }
    }
}

/// Prints to standard error. Where even that is closed, nobody is left to be told.
pub(crate) fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Variables whose name and value are text; ours are.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
