//! A reject in the place of a record that its stream does not take.
//!
//! `put` (this one is refused) -> **refuse** -> where rejects go: a lane, a file, or nowhere
//!
//! Holds: the record counts as delivered when its reject does, and stays in its lane until then; a reject that cannot be handed
//! over has its record tried again; a reject itself is never replaced.
//! Not here: whether it is the record's fault (`lane`).

use super::meter::Meter;
use super::put::Stream;
use super::{partition, reject};
use cartguard_io::{Output, Sink, Trouble};
use cartguard_shards::lane::Record;
use std::sync::{Arc, Mutex};

/// Takes the rejects where no stream does; the thread that writes and the one that calls share it.
pub(super) type RejectsFile = Arc<Mutex<Box<dyn Sink>>>;

/// What becomes of the records of a stream that it does not take.
pub(super) struct Refusals {
    /// Of its lines.
    pub(super) kind: &'static str,
    /// Path of the partition key.
    pub(super) key: String,
    pub(super) to: Rejects,
}

/// Where rejects go.
#[derive(Clone)]
pub(super) enum Rejects {
    Stream(Arc<Stream>),
    File(RejectsFile),
    /// Nobody wants them: such a record is counted and told.
    Nowhere,
}

/// A reject in its lane, and the record whose place it takes.
pub(super) struct Standing {
    reject: Arc<Record>,
    stream: Arc<Stream>,
    index: u64,
}

/// Puts a reject in the place of a record that is refused with `code`; whether there will be one.
pub(super) fn replace(
    stream: &Arc<Stream>,
    index: u64,
    record: &Record,
    code: &str,
) -> Result<bool, Trouble> {
    let Some(refusals) = &stream.refusals else {
        retry(stream, index);
        return Ok(false);
    };
    let mut line = reject::refused(&record.data, refusals.kind, record.bytes(), code);
    match &refusals.to {
        Rejects::Nowhere => end(stream, index),
        Rejects::File(file) => {
            let output = Output { rejects: &[&line], ..Output::default() };
            if let Err(trouble) = file.lock().expect("no thread panics with it").write(&output) {
                retry(stream, index);
                return Err(trouble);
            }
            end(stream, index);
        }
        Rejects::Stream(rejects) => {
            line.pop();
            let record = Record { key: partition::key(&line, &refusals.key), data: line.into() };
            let mut lane = rejects.lock();
            let reject = lane.push_aside(record, rejects.now_us());
            let standing = Standing { reject, stream: Arc::clone(stream), index };
            rejects.standing.lock().expect("no thread panics with it").push(standing);
            rejects.publish(&lane);
            drop(lane);
            rejects.work.notify_one();
        }
    }
    Meter::add(&stream.meter.refused, 1);
    Ok(true)
}

/// Rejects that were acknowledged: what they stand for is done with.
pub(super) fn acknowledged<'a>(rejects: &Stream, records: impl Iterator<Item = &'a Arc<Record>>) {
    let mut standing = rejects.standing.lock().expect("no thread panics with it");
    if standing.is_empty() {
        return;
    }
    let mut done = Vec::new();
    for record in records {
        if let Some(at) = standing.iter().position(|standing| Arc::ptr_eq(&standing.reject, record)) {
            done.push(standing.swap_remove(at));
        }
    }
    drop(standing);
    for standing in done {
        end(&standing.stream, standing.index);
    }
}

fn end(stream: &Stream, index: u64) {
    let mut lane = stream.lock();
    lane.replace(index, stream.now_us());
    stream.publish(&lane);
    drop(lane);
    stream.room.notify_all();
    stream.work.notify_one();
}

fn retry(stream: &Stream, index: u64) {
    stream.lock().put_off(index, stream.now_us(), stream.chance());
    stream.work.notify_one();
}
