//! `cartguard demo`: a synthetic shop under attack, in a terminal.

use crate::cli::complain;
use crate::exit::Exit;
use clap::Args;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// End after so many seconds
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) seconds: u64,
    /// End after so many events
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<u64>,
    /// Events a second, or max
    #[arg(long, value_name = "R", default_value = "20000")]
    pub(crate) rate: String,
}

/// Runs it.
pub(crate) fn run(_arguments: &Arguments) -> Exit {
    complain("cartguard demo: not built yet\n");
    Exit::Failed
}
