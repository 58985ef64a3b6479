//! `cartguard bench`: latency in the engine, open loop.

use crate::cli::{ConfigArguments, complain};
use crate::exit::Exit;
use clap::Args;

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Events a second that are meant to come
    #[arg(long, value_name = "R", required_unless_present = "find_max")]
    pub(crate) rate: Option<f64>,
    /// Search the highest rate at which the latency of --p99 holds
    #[arg(long, requires = "p99")]
    pub(crate) find_max: bool,
    /// Latency that 99 of 100 events keep, such as 1ms
    #[arg(long, value_name = "DURATION")]
    pub(crate) p99: Option<String>,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs it.
pub(crate) fn run(_arguments: &Arguments) -> Exit {
    complain("cartguard bench: not built yet\n");
    Exit::Failed
}
