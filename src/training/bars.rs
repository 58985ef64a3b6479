//! Progress on a terminal, with the time left; nothing where standard error is none.

use cartguard_io::Meter;
use cartguard_train::Watch;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One bar after the other, and whether all is to end.
pub(crate) struct Bars {
    stop: Arc<AtomicBool>,
}

/// Of bytes read, or of steps of a fit.
pub(crate) struct Bar {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

/// Of a history on which one model after the other is fitted, each on more of it.
pub(crate) struct Growing {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    started: Instant,
}

impl Bars {
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        Self { stop }
    }

    /// Whether a signal came.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Of the bytes of an input.
    pub(crate) fn bytes(&self, what: &'static str, meter: &Meter) -> Bar {
        self.bar(what, meter.total(), "{msg:12} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left")
    }

    /// Of a history with fits on the way.
    pub(crate) fn growing(&self, meter: &Meter) -> Growing {
        let bar = styled("", meter.total(), "{bar:40} {bytes}/{total_bytes}, {msg}");
        Growing { bar, stop: Arc::clone(&self.stop), started: Instant::now() }
    }

    /// Of steps.
    pub(crate) fn steps(&self, what: &'static str) -> Bar {
        self.bar(what, 1, "{msg:12} {bar:40} {pos}/{len}, {eta} left")
    }

    fn bar(&self, what: &'static str, length: u64, style: &str) -> Bar {
        Bar { bar: styled(what, length, style), stop: Arc::clone(&self.stop) }
    }
}

fn styled(what: &'static str, length: u64, style: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}

impl Growing {
    /// So much is read, and this many models were made.
    pub(crate) fn tick(&self, meter: &Meter, models: usize) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(meter.done());
        // What is fitted on grows with what is read, so the time grows with its square.
        let share = meter.done() as f64 / meter.total().max(1) as f64;
        let left = self.started.elapsed().as_secs_f64() * (1.0 / (share * share).max(1e-4) - 1.0);
        let left = HumanDuration(Duration::from_secs(left.max(0.0) as u64));
        self.bar.set_message(format!("{models} models, {left} left"));
    }
}

impl Watch for Growing {
    fn step(&self, _: usize, _: usize) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Bar {
    pub(crate) fn tick(&self, meter: &Meter) {
        if !self.bar.is_hidden() {
            self.bar.set_position(meter.done());
        }
    }
}

impl Watch for Bar {
    fn step(&self, done: usize, of: usize) -> ControlFlow<()> {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
