//! One shard's reader: where it is, what it hands on, and what it does when the stream is not the one it was.
//!
//! service -> `polling` or `fan_out` -> **reader** -> events -> source
//!
//! Holds: a record is handed on once and in the order of the shard, whatever the service repeats; whoever reads on begins AFTER the
//! last record handed on; only the service's own word ends a shard.

use crate::backoff::Backoff;
use crate::fan_out;
use crate::fault::{Fault, Kind};
use crate::gate::Gate;
use crate::kept;
use crate::limits::{CLOCKS_DIFFER_MS, POLLED_INSTEAD, QUIET_EVERY_MS, TOLD_EVERY};
use crate::polling;
use crate::settings::{Limits, Voice};
use crate::stream::{Changed, Stream, now_ms};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, ShardIteratorType, StartingPosition};
use cartguard_history::SequenceNumber;
use cartguard_io::Trouble;
use cartguard_shards::{Event, From, Kept, Mode, Order, Raw, ShardMetrics};
use crossbeam_channel::Sender;
use prost::bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a way of reading came to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    End,
    Gone,
    /// Retention took what came behind the last record; the next one there is.
    Lost(Option<SequenceNumber>),
    /// Its time is up.
    Time,
    /// This way is not to be had now.
    Unavailable(Fault),
    Fatal(Trouble),
}

/// Tells trouble that lasts, but not every time.
pub(crate) struct Teller {
    voice: Voice,
    told: Option<Instant>,
}

/// A shard that is being read.
pub(crate) struct Reader {
    pub(crate) stream: Arc<Stream>,
    pub(crate) shard: String,
    reading: u64,
    pub(crate) from: From,
    /// Records before this time were not asked for, until one was not.
    skip_before_ms: Option<i64>,
    pub(crate) gate: Arc<Gate>,
    events: Sender<Event>,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) limits: Limits,
    pub(crate) teller: Teller,
    /// Up to when it was last told that nothing is behind, ms UTC.
    quiet_ms: i64,
    /// What arrived up to then was received, ms UTC.
    known_ms: i64,
}

impl Teller {
    pub(crate) fn new(voice: Voice) -> Self {
        Self { voice, told: None }
    }

    pub(crate) fn say(&self, what: &str) {
        (self.voice)(what);
    }

    /// Of something that is tried again.
    pub(crate) fn lasting(&mut self, what: &dyn std::fmt::Display) {
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            self.told = Some(Instant::now());
            (self.voice)(&format!("{what}; it is tried again"));
        }
    }
}

impl Reader {
    pub(crate) fn new(
        stream: Arc<Stream>,
        order: Order,
        gate: Arc<Gate>,
        events: Sender<Event>,
        limits: Limits,
        voice: Voice,
    ) -> Self {
        let Order { shard, reading, from, metrics } = order;
        // In whole seconds: a server may keep arrivals so, and one that has nothing from that time on may begin at the shard's oldest.
        let skip_before_ms = match from {
            From::Time(ms) => Some(ms - ms.rem_euclid(1_000)),
            From::Oldest | From::At(_) | From::After(_) => None,
        };
        let teller = Teller::new(voice);
        Self {
            stream,
            shard,
            reading,
            from,
            skip_before_ms,
            gate,
            events,
            metrics,
            limits,
            teller,
            quiet_ms: i64::MIN,
            known_ms: now_ms(),
        }
    }

    /// Reads the shard to its end, by subscription where there is a consumer's name.
    pub(crate) async fn run(mut self, consumer: Option<String>) {
        let ended = loop {
            let ended = match &consumer {
                None => polling::read(&mut self, None).await,
                Some(name) => match fan_out::read(&mut self, name).await {
                    Ended::Unavailable(fault) => {
                        self.teller.say(&format!(
                            "{}: no subscription ({fault}); it is polled for {} s, then subscribed again",
                            self.shard,
                            POLLED_INSTEAD.as_secs()
                        ));
                        polling::read(&mut self, Some(Instant::now() + POLLED_INSTEAD)).await
                    }
                    ended => ended,
                },
            };
            match ended {
                Ended::Time | Ended::Unavailable(_) => {}
                ended => break ended,
            }
        };
        let event = match ended {
            // A stream that was made anew has shards of the same names, and their end is not this one's.
            Ended::End => match self.changed().await {
                Some(trouble) => Event::Fatal(trouble),
                None => {
                    self.metrics.ended();
                    Event::End { reading: self.reading }
                }
            },
            Ended::Fatal(trouble) => Event::Fatal(trouble),
            Ended::Lost(next) => Event::Lost { reading: self.reading, next },
            Ended::Gone | Ended::Time | Ended::Unavailable(_) => Event::Gone { reading: self.reading },
        };
        self.tell(event);
    }

    pub(crate) fn reads_by(&self, mode: Mode) {
        self.metrics.reads_by(mode);
    }

    /// Hands records on and moves behind them.
    pub(crate) fn hand_on(&mut self, records: Vec<Record>) -> Result<(), Trouble> {
        let records = records.into_iter().map(|record| raw(record, &self.shard));
        let mut records: Vec<Raw> = records.collect::<Result<_, _>>()?;
        self.drop_repeated(&mut records);
        if let Some(before) = self.skip_before_ms {
            let skipped = records.iter().take_while(|record| record.arrival_ms < before).count();
            records.drain(..skipped);
            if !records.is_empty() {
                self.skip_before_ms = None;
            }
        }
        let Some(last) = records.last() else { return Ok(()) };
        self.from = From::After(last.number.clone());
        self.known_ms = self.known_ms.max(last.arrival_ms);
        let bytes = records.iter().map(|record| record.data.len() as u64).sum();
        self.metrics.took(records.len() as u64, bytes);
        self.gate.enter(bytes, records.len());
        self.tell(Event::Records { reading: self.reading, records, bytes });
        Ok(())
    }

    /// The service said how far behind its newest record it was, at a time, and what it gave with that was handed on.
    pub(crate) fn was_behind(&mut self, lag_ms: i64, at_ms: i64) {
        if lag_ms > 0 {
            return;
        }
        self.known_ms = self.known_ms.max(at_ms);
        if at_ms >= self.quiet_ms.saturating_add(QUIET_EVERY_MS) {
            self.quiet_ms = at_ms;
            self.tell(Event::Quiet { reading: self.reading, at_ms });
        }
    }

    /// Whether retention took what comes next: whoever is as far behind as that would be given the next record there is, without a word.
    pub(crate) async fn lost(&mut self) -> Option<Ended> {
        let From::After(last) = &self.from else { return None };
        let kept_since_ms = now_ms() - self.stream.retention.as_millis() as i64 + CLOCKS_DIFFER_MS;
        if self.known_ms >= kept_since_ms {
            return None;
        }
        let teller = Teller::new(self.teller.voice.clone());
        let last = From::At(last.clone());
        match kept::look(&self.stream, &self.shard, &last, self.limits.backoff_max, teller).await {
            Ok(Kept::It) => None,
            Ok(Kept::Next(next)) => Some(Ended::Lost(Some(next))),
            Ok(Kept::Nothing) => Some(Ended::Lost(None)),
            Err(trouble) => Some(Ended::Fatal(trouble)),
        }
    }

    /// What to do when the service does not know the shard, or its iterator, or its sequence number.
    pub(crate) async fn missing(&mut self) -> Ended {
        self.changed().await.map_or(Ended::Gone, Ended::Fatal)
    }

    /// Whether the stream is another one by now, or none; asked until the service says.
    async fn changed(&mut self) -> Option<Trouble> {
        let mut backoff = Backoff::new(self.limits.backoff_max);
        loop {
            match self.stream.check().await {
                Ok(()) => return None,
                Err(Changed::Unknown(fault)) => {
                    self.teller.lasting(&fault);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(changed) => return Some(Trouble::stop(changed.to_string())),
            }
        }
    }

    /// Waits after a fault that passes; tells of it.
    pub(crate) async fn pause_after(&mut self, fault: &Fault, backoff: &mut Backoff) {
        if fault.kind == Kind::Throttled {
            self.metrics.throttled();
        }
        // A single throttled call is everyday.
        if fault.kind != Kind::Throttled || backoff.tries() > 3 {
            self.teller.lasting(fault);
        }
        tokio::time::sleep(backoff.pause()).await;
    }

    /// What a service repeats after an error was handed on before; and a server's subscription AT a number may begin with older records.
    fn drop_repeated(&self, records: &mut Vec<Raw>) {
        let is_before = |number: &SequenceNumber| match &self.from {
            From::After(last) => number <= last,
            From::At(first) => number < first,
            From::Oldest | From::Time(_) => false,
        };
        let repeated = records.iter().take_while(|record| is_before(&record.number)).count();
        records.drain(..repeated);
    }

    fn tell(&self, event: Event) {
        // The source may be gone already; its readers are ended next.
        let _ = self.events.send(event);
    }
}

/// A place, as the SDK has it.
pub(crate) fn position(from: &From) -> StartingPosition {
    let position = StartingPosition::builder();
    let position = match from {
        From::Oldest => position.r#type(ShardIteratorType::TrimHorizon),
        From::Time(ms) => {
            position.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*ms))
        }
        From::At(number) => {
            position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(number.as_str())
        }
        From::After(number) => {
            position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(number.as_str())
        }
    };
    position.build().expect("its type was given")
}

/// A record as the SDK has it, as we do.
fn raw(record: Record, shard: &str) -> Result<Raw, Trouble> {
    let number = SequenceNumber::new(&record.sequence_number).ok_or_else(|| {
        Trouble::stop(format!("{shard}: {:?} is no sequence number", record.sequence_number))
    })?;
    let arrival_ms = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    Ok(Raw {
        number,
        arrival_ms: arrival_ms.unwrap_or(i64::MIN),
        data: Bytes::from(record.data.into_inner()),
    })
}

/// A pause that ends in time for `until`.
pub(crate) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// What is left until then.
pub(crate) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
