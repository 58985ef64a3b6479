//! `cartguard run`: the engine on a stream.

use crate::cli::{ConfigArguments, complain};
use crate::exit::Exit;
use clap::Args;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs it.
pub(crate) fn run(_arguments: &Arguments) -> Exit {
    complain("cartguard run: not built yet\n");
    Exit::Failed
}
