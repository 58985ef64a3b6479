//! A shard by `GetRecords`: iterators, and how often to ask.
//!
//! Holds: an iterator that expired is got anew AFTER the last record handed on (S1), one before the first record at the same start
//! (S2); the shard's five reads and 2 MB a second are kept, and given up in part where others need them; whatever passes is waited
//! for without end and without moving (S10).

use crate::backoff::Backoff;
use crate::fault::{Fault, Kind};
use crate::limits::IDLE_MAX;
use crate::reader::{Ended, Reader, is_over, position};
use crate::settings::Limits;
use crate::stream::now_ms;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use cartguard_io::Trouble;
use cartguard_shards::{From, Mode};
use std::time::{Duration, Instant};

/// Reads the shard until its end, or until a time.
pub(crate) async fn read(reader: &mut Reader, until: Option<Instant>) -> Ended {
    reader.reads_by(Mode::Polling);
    let mut pace = Pace::new(&reader.limits);
    let mut backoff = Backoff::new(reader.limits.backoff_max);
    let mut iterator: Option<String> = None;
    while !is_over(until) {
        reader.gate.room().await;
        tokio::time::sleep_until(pace.next.into()).await;
        // The service may not take a place that it no longer has.
        if iterator.is_none()
            && let Some(ended) = reader.lost().await
        {
            return ended;
        }
        let current = match iterator.clone() {
            Some(current) => current,
            None => match shard_iterator(reader).await {
                Ok(Some(current)) => iterator.insert(current).clone(),
                // A closed shard with nothing behind the place.
                Ok(None) => return Ended::End,
                Err(fault) => {
                    if let Some(ended) = refused(reader, &fault).await {
                        return ended;
                    }
                    reader.pause_after(&fault, &mut backoff).await;
                    continue;
                }
            },
        };
        let asked_ms = now_ms();
        match get_records(reader, current).await {
            Ok(output) => {
                backoff.reset();
                pace.answered(&output);
                let lag_ms = output.millis_behind_latest.unwrap_or_default();
                reader.metrics.lag(lag_ms);
                // Asked once the answer is here: what is there now was there when the service read on behind it.
                if let Some(ended) = reader.lost().await {
                    return ended;
                }
                if let Err(trouble) = reader.hand_on(output.records) {
                    return Ended::Fatal(trouble);
                }
                reader.was_behind(lag_ms, asked_ms);
                iterator = output.next_shard_iterator;
                if iterator.is_none() {
                    return Ended::End;
                }
            }
            Err(fault) => {
                match fault.kind {
                    Kind::Expired => {
                        reader.metrics.reconnected();
                        iterator = None;
                        continue;
                    }
                    Kind::Missing => return reader.missing().await,
                    // Whose iterator it is the next GetShardIterator says; a stream made anew does not know it.
                    Kind::Invalid => match reader.missing().await {
                        Ended::Gone => iterator = None,
                        ended => return ended,
                    },
                    Kind::Throttled => pace.throttled(),
                    Kind::Busy | Kind::Denied | Kind::Limited | Kind::Passing => {}
                }
                reader.pause_after(&fault, &mut backoff).await;
            }
        }
    }
    Ended::Time
}

/// An end, where the service will never take the question again.
async fn refused(reader: &mut Reader, fault: &Fault) -> Option<Ended> {
    let ended = match fault.kind {
        Kind::Missing => return Some(reader.missing().await),
        Kind::Invalid => reader.missing().await,
        _ => return None,
    };
    match (ended, &reader.from) {
        // The time is in the service's future: its clock is behind ours.
        (Ended::Gone, From::Oldest | From::Time(_)) => None,
        (Ended::Gone, From::At(number) | From::After(number)) => Some(Ended::Fatal(
            Trouble::stop(format!(
                "{}: the stream does not take sequence number {}",
                reader.shard,
                number.as_str()
            ))
            .because(fault.clone()),
        )),
        (ended, _) => Some(ended),
    }
}

async fn shard_iterator(reader: &Reader) -> Result<Option<String>, Fault> {
    let position = position(&reader.from);
    let stream = &reader.stream;
    let output = stream
        .client
        .get_shard_iterator()
        .set_stream_name(stream.target.name())
        .set_stream_arn(stream.target.arn())
        .shard_id(&reader.shard)
        .shard_iterator_type(position.r#type)
        .set_timestamp(position.timestamp)
        .set_starting_sequence_number(position.sequence_number)
        .send()
        .await;
    output
        .map(|output| output.shard_iterator)
        .map_err(|error| Fault::of("GetShardIterator", &on(reader), &error))
}

async fn get_records(reader: &Reader, iterator: String) -> Result<GetRecordsOutput, Fault> {
    let stream = &reader.stream;
    let call = stream.client.get_records().set_stream_arn(stream.target.arn()).shard_iterator(iterator);
    let output = call.limit(reader.limits.records_per_call).send().await;
    output.map_err(|error| Fault::of("GetRecords", &on(reader), &error))
}

fn on(reader: &Reader) -> String {
    format!("{}, {}", reader.stream.identity.arn, reader.shard)
}

/// When to ask next.
struct Pace {
    next: Instant,
    /// Between two reads at least.
    interval: Duration,
    bytes_per_second: u64,
    /// How many times longer, since others read the shard too.
    yielding: f64,
    idle: Duration,
}

/// The longest interval that throttling leads to, in intervals: a read every 5 s.
const YIELDING_MAX: f64 = 25.0;

impl Pace {
    fn new(limits: &Limits) -> Self {
        let interval = Duration::from_secs_f64(1.0 / limits.calls_per_second);
        let bytes_per_second = limits.bytes_per_second;
        Self { next: Instant::now(), interval, bytes_per_second, yielding: 1.0, idle: interval }
    }

    fn answered(&mut self, output: &GetRecordsOutput) {
        self.yielding = (self.yielding * 0.9).max(1.0);
        let bytes: usize = output.records.iter().map(|record| record.data.as_ref().len()).sum();
        let is_behind = output.millis_behind_latest.unwrap_or_default() > 0;
        if bytes > 0 || is_behind {
            self.idle = self.interval;
        } else {
            self.idle = (self.idle * 2).min(IDLE_MAX).max(self.interval);
        }
        let for_bytes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let pause = self.interval.mul_f64(self.yielding).max(self.idle).max(for_bytes);
        self.next = Instant::now() + pause;
    }

    fn throttled(&mut self) {
        self.yielding = (self.yielding * 2.0).min(YIELDING_MAX);
        self.next = Instant::now() + self.interval.mul_f64(self.yielding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: usize, lag_ms: i64) -> GetRecordsOutput {
        let record = aws_sdk_kinesis::types::Record::builder()
            .sequence_number("1")
            .data(aws_sdk_kinesis::primitives::Blob::new(vec![0; bytes]))
            .build()
            .expect("a record");
        let records = if bytes > 0 { vec![record] } else { Vec::new() };
        let output = GetRecordsOutput::builder().millis_behind_latest(lag_ms).set_records(Some(records));
        output.build().expect("an answer")
    }

    /// The pause that an answer leads to, from the clock's reading before it to that after it.
    fn pause(pace: &mut Pace, output: &GetRecordsOutput) -> (Duration, Duration) {
        let before = Instant::now();
        pace.answered(output);
        (pace.next.saturating_duration_since(Instant::now()), pace.next - before)
    }

    #[track_caller]
    fn lies(ms: u64, (least, most): (Duration, Duration)) {
        let bound = Duration::from_millis(ms);
        assert!(least <= bound && bound <= most, "{ms} ms is not in {least:?} to {most:?}");
    }

    #[test]
    fn a_shard_is_asked_as_often_as_it_may_be_and_seldom_where_it_is_quiet() {
        let mut pace = Pace::new(&Limits::default());
        lies(200, pause(&mut pace, &answer(100, 0)));
        // Five MiB at two a second.
        lies(2_500, pause(&mut pace, &answer(5 << 20, 0)));
        // Behind, though this answer was empty.
        lies(200, pause(&mut pace, &answer(0, 10)));
        for ms in [400, 800, 1_000, 1_000] {
            lies(ms, pause(&mut pace, &answer(0, 0)));
        }
        lies(200, pause(&mut pace, &answer(100, 0)));
        // Others read it too: it gives way, and comes back by and by.
        for _ in 0..10 {
            pace.throttled();
        }
        lies(4_500, pause(&mut pace, &answer(100, 0)));
        for _ in 0..40 {
            pace.answered(&answer(100, 0));
        }
        lies(200, pause(&mut pace, &answer(100, 0)));
    }
}
