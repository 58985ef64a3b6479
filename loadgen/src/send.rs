//! Events to a receiver, at their intended times or as fast as it takes them.
//!
//! generator, schedule -> **send** -> stream; labels beside
//!
//! Holds: an event's intended time is the schedule's, whatever the receiver does; its latency counts
//! from there to when its bytes were taken. A receiver that stalls makes later events late, never
//! fewer. Without a schedule there is no intended time and no latency.
//! Not here: what is sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use loadgen::{Generator, Latency};

use crate::args::Job;
use crate::files::Stream;
use crate::label_file::LabelFile;

/// Bytes handed over at once: what a pipe takes without another turn is 64 KiB.
const BLOCK: usize = 64 * 1024;
/// Longest sleep, so that an interrupt is seen soon.
const NAP: Duration = Duration::from_millis(50);

/// What was done.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) events: u64,
    pub(crate) repeats: u64,
    pub(crate) fraud: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) latency: Option<Latency>,
    pub(crate) ended: Ended,
    /// Of a stream of Kinesis.
    #[cfg(feature = "aws")]
    pub(crate) puts: Option<crate::kinesis::put::Puts>,
}

/// Why it ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All events or all seconds are done.
    #[default]
    Done,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// The receiver closed its end.
    BrokenPipe,
}

pub(crate) struct Sender<'a> {
    pub(crate) job: &'a Job,
    pub(crate) generator: Generator,
    pub(crate) to: &'a mut Stream,
    pub(crate) labels: Option<&'a mut LabelFile>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) progress: bool,
    /// Of the output, for errors.
    pub(crate) name: String,
}

impl Sender<'_> {
    pub(crate) fn run(mut self) -> anyhow::Result<Sent> {
        let mut sent = Sent { latency: self.job.schedule.is_some().then(Latency::new), ..Sent::default() };
        let mut block = Vec::with_capacity(BLOCK + 4096);
        let mut dues = Vec::new();
        let begin = Instant::now();
        let mut told = begin;
        loop {
            let more = self.fill(&mut block, &mut dues, &mut sent, begin)?;
            if !block.is_empty() {
                match self.to.write_all(&block).and_then(|()| self.to.flush()) {
                    Ok(()) => sent.bytes += block.len() as u64,
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        sent.ended = Ended::BrokenPipe;
                        break;
                    }
                    Err(error) => return Err(error).with_context(|| self.name.clone()),
                }
                let done_ns = begin.elapsed().as_nanos() as u64;
                if let Some(latency) = &mut sent.latency {
                    for &due_ns in &dues {
                        latency.record(due_ns, done_ns);
                    }
                }
                block.clear();
                dues.clear();
            }
            if !more {
                break;
            }
            if self.stop.load(Ordering::Relaxed) {
                sent.ended = Ended::Interrupted;
                break;
            }
            if self.progress && told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                let rate = sent.events as f64 / begin.elapsed().as_secs_f64();
                eprintln!("loadgen: {} events, {rate:.0} events/s", sent.events);
            }
        }
        sent.seconds = begin.elapsed().as_secs_f64();
        Ok(sent)
    }

    /// Collects what is due by now, at most a block; waits where nothing is. False: there is no more.
    fn fill(
        &mut self,
        block: &mut Vec<u8>,
        dues: &mut Vec<u64>,
        sent: &mut Sent,
        begin: Instant,
    ) -> anyhow::Result<bool> {
        let now_ns = begin.elapsed().as_nanos() as u64;
        let end_ns = self.job.seconds.map_or(u64::MAX, |seconds| (seconds * 1e9) as u64);
        while block.len() < BLOCK {
            // Without a schedule everything is due at once.
            let due_ns =
                self.job.schedule.as_ref().map_or(now_ns, |schedule| schedule.offset_ns(sent.events));
            if due_ns >= end_ns {
                return Ok(false);
            }
            if due_ns > now_ns {
                if block.is_empty() {
                    std::thread::sleep(Duration::from_nanos(due_ns - now_ns).min(NAP));
                }
                return Ok(true);
            }
            let Some(info) = self.generator.next_event(block) else {
                return Ok(false);
            };
            dues.push(due_ns);
            block.push(b'\n');
            sent.events += 1;
            sent.repeats += u64::from(info.repeat);
            if let Some(label) = &info.label {
                sent.fraud += u64::from(label.fraud);
                if let Some(labels) = self.labels.as_deref_mut() {
                    labels.write(label)?;
                }
            }
        }
        Ok(true)
    }
}
