//! cartguard: scores every checkout of an online shop for fraud while the customer waits for the page.
//!
//! arguments -> `cli` -> command -> exit code

mod adapters;
mod backtest;
mod bench;
mod check;
mod cli;
mod config;
mod dedupe;
mod demo;
mod deployment;
mod drift;
mod engine;
mod evaluate;
mod exit;
mod list;
mod memory;
mod model;
mod output;
mod overlap;
mod panics;
mod pipeline;
mod rebuild;
mod replay;
mod rows;
mod run;
mod shadow;
mod signals;
mod snapshot;
mod status;
mod summary;
mod synthetic;
mod train;
mod training;
mod usage;
mod verify;
mod vitals;
mod watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    panics::end_the_process();
    cli::main().into()
}
