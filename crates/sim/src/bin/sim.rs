//! Tells many stories, and the first that ends badly.
//!
//! `cargo run --release -p cartguard-sim -- --seeds 1000000`; `--first S --seeds 1 --trace` shows the steps of one.

use cartguard_sim::{Lie, Story, tell};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seeded stories of crashes, held against the promise of one history.
#[derive(Parser, Debug)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Break a rule on purpose
    #[arg(long)]
    lie: Option<Lie>,
    /// Print every step
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let Arguments { seeds, first, lie, trace } = Arguments::parse();
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let all = Mutex::new((Story::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let told = tell(seed, lie, trace);
                    let (sum, failures) = &mut *all.lock().expect("no thread panics with it");
                    match told {
                        Ok(story) => {
                            sum.hash ^= story.hash.wrapping_mul(2 * seed + 1);
                            for (what, times) in story.seen {
                                *sum.seen.entry(what).or_default() += times;
                            }
                        }
                        Err(failure) => failures.push(failure),
                    }
                }
            });
        }
    });
    let (sum, mut failures) = all.into_inner().expect("no thread panics with it");
    failures.sort_by_key(|failure| failure.seed);
    println!(
        "{seeds} stories in {:.1} s, trace {:016x}; {} broke a promise",
        began.elapsed().as_secs_f64(),
        sum.hash,
        failures.len()
    );
    let seen: Vec<_> = sum.seen.iter().map(|(what, times)| format!("{times} {what}")).collect();
    println!("{}", seen.join(", "));
    if let Some(failure) = failures.first() {
        for line in &failure.trace {
            println!("{line}");
        }
        println!("{failure}");
    }
    ExitCode::from(u8::from(!failures.is_empty()))
}
