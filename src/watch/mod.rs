//! Looks at a running pipeline: a log line every so often, the admin socket, stages that stand still, systemd's watchdog.
//!
//! vitals, source, sink -> **watch** (`samples`, `report`) -> standard error, `admin`, `systemd`
//!
//! One thread, awake ten times a second. Holds: it takes part in nothing: whatever becomes of it, the pipeline goes on.
//! Not here: what a stage does (`vitals`), how a report is shown (`status`).

mod admin;
mod ask;
mod report;
mod samples;
mod systemd;

pub(crate) use self::ask::ask;

use self::admin::Admin;
use self::samples::Samples;
use self::systemd::Systemd;
use crate::cli::complain;
use crate::config::Config;
use crate::vitals::Vitals;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How soon somebody at the socket is answered. Arbitrary: at once, for a person.
const WAKE_EVERY: Duration = Duration::from_millis(100);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What is looked at and how.
pub(crate) struct Settings {
    /// Where the admin socket lies; none: there is none.
    pub(crate) socket: Option<PathBuf>,
    /// Time between two lines; none: no lines.
    pub(crate) log_every: Option<Duration>,
    /// How long a stage with work may make no progress.
    pub(crate) stall: Duration,
    /// Whether a stage that stands still ends the process.
    pub(crate) abort: bool,
    /// What the report says of the process itself.
    pub(crate) about: About,
}

/// What does not change.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) pipeline: Option<String>,
    pub(crate) order_log: Option<PathBuf>,
    pub(crate) snapshot_every: Duration,
    pub(crate) state_memory: u64,
    /// Shards are to be read by subscription.
    pub(crate) fan_out: bool,
}

/// See the module; ends its thread when it goes.
pub(crate) struct Watcher {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Settings {
    /// Of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let history = config.history.as_ref();
        let beside = || history.map(|history| history.folder.join("admin.sock"));
        Self {
            socket: config.operations.socket.clone().or_else(beside),
            // Rejects of a run to standard output are lines on standard error: nothing else may be between them.
            log_every: config.operations.log_every.filter(|_| !config.sink_is_stdout()),
            stall: config.operations.stall,
            abort: config.operations.abort,
            about: About {
                pipeline: history.map(|history| history.pipeline.clone()),
                order_log: history.map(|history| history.folder.join("order")),
                snapshot_every: config.snapshot.every,
                state_memory: config.state.memory_bytes,
                fan_out: config.reads_by_subscription(),
            },
        }
    }
}

impl Watcher {
    pub(crate) fn start(vitals: Arc<Vitals>, settings: Settings) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        let admin = settings.socket.as_deref().and_then(|path| match Admin::open(path) {
            Ok(admin) => Some(admin),
            Err(why) => {
                // Whoever wants to know how it is must not be the reason that it is not.
                complain(&format!("warning: {why}; cartguard status has no answer\n"));
                None
            }
        });
        let thread = thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || run(&vitals, &settings, admin, &over));
        if let Err(why) = &thread {
            complain(&format!("warning: the thread that looks after the others cannot be started: {why}\n"));
        }
        Self { is_over, thread: thread.ok() }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic ended the process.
            let _ = thread.join();
        }
    }
}

fn run(vitals: &Vitals, settings: &Settings, mut admin: Option<Admin>, is_over: &AtomicBool) {
    let mut samples = Samples::new(settings.stall);
    let mut systemd = Systemd::find();
    let mut sampled: Option<Instant> = None;
    let mut logged = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        if sampled.is_none_or(|sampled| sampled.elapsed() >= SAMPLE_EVERY) {
            sampled = Some(Instant::now());
            for standing in samples.take(vitals) {
                complain(&format!("warning: {standing}\n"));
                if settings.abort {
                    complain("cartguard: watchdog.abort is set: the process ends\n");
                    std::process::abort();
                }
            }
            systemd.tell(vitals.phase(), !samples.engine_stands());
        }
        if settings.log_every.is_some_and(|every| logged.elapsed() >= every) {
            logged = Instant::now();
            complain(&format!("{}\n", report::line(vitals, &samples, &settings.about)));
        }
        if let Some(admin) = &mut admin {
            admin.answer(|| report::report(vitals, &samples, &settings.about, usize::MAX).to_string());
        }
        thread::park_timeout(WAKE_EVERY);
    }
    systemd.ending();
}
