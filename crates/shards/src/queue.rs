//! What was received of one shard and not taken yet: raw records, opened one by one as the engine takes them.
//!
//! service -> **queue** (aggregate, payload) -> records
//!
//! Holds: at most one aggregate and one decompressed payload are open at a time, so a batch of small bombs is never large; what was
//! received leaves the shard's room when its last record was taken. A place within an aggregate is gone on from behind it (S16).

use crate::aggregate;
use crate::metrics::ShardMetrics;
use crate::payload;
use crate::service::{Raw, Room};
use cartguard_engine::record::{Form, Location, PlaceRef, RecordMeta, Records};
use cartguard_engine::reject::Reason;
use cartguard_history::lineage::HashRange;
use cartguard_history::{Place, SequenceNumber};
use cartguard_io::Trouble;
use prost::bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// How a shard's reader ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    End,
    Gone,
    /// Retention took what comes next; then there is this one.
    Lost(Option<SequenceNumber>),
}

/// One shard's.
pub(crate) struct Queue {
    pub(crate) partition: u32,
    /// See [`crate::Order`].
    pub(crate) reading: u64,
    pub(crate) shard: String,
    range: Option<HashRange>,
    chunks: VecDeque<Chunk>,
    open: Option<Open>,
    /// A record that did not fit into the last batch.
    spare: Option<(Vec<u8>, RecordMeta)>,
    /// Taken before: the first raw record must be this one, and its parts up to here are left out.
    behind: Option<Place>,
    pub(crate) last: Option<Last>,
    /// Everything that arrived before this time was received.
    pub(crate) quiet_ms: Option<i64>,
    /// When the last record that was taken had arrived.
    pub(crate) arrival_ms: Option<i64>,
    room: Arc<dyn Room>,
    pub(crate) metrics: Arc<ShardMetrics>,
}

/// Records of one answer.
struct Chunk {
    records: std::vec::IntoIter<Raw>,
    /// As they took room.
    bytes: u64,
    count: usize,
}

/// A raw record that is being taken.
struct Open {
    number: SequenceNumber,
    arrival_ms: i64,
    parts: std::vec::IntoIter<Bytes>,
    /// Of the next part.
    sub: u64,
    /// The whole is refused: one record without bytes.
    refused: Option<Reason>,
}

/// Whether a record was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    One,
    /// It does not fit any more.
    Full,
    /// Nothing is there.
    Nothing,
}

impl Queue {
    /// `behind`: the place that its reading begins AT.
    pub(crate) fn new(
        (partition, reading): (u32, u64),
        shard: String,
        range: Option<HashRange>,
        behind: Option<Place>,
        room: Arc<dyn Room>,
        metrics: Arc<ShardMetrics>,
    ) -> Self {
        Self {
            partition,
            reading,
            shard,
            range,
            chunks: VecDeque::new(),
            open: None,
            spare: None,
            behind,
            last: None,
            quiet_ms: None,
            arrival_ms: None,
            room,
            metrics,
        }
    }

    pub(crate) fn push(&mut self, records: Vec<Raw>, bytes: u64) {
        self.chunks.push_back(Chunk { count: records.len(), records: records.into_iter(), bytes });
    }

    /// Whether everything received was taken; an aggregate may still turn out to hold nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.spare.is_none() && self.open.is_none() && self.chunks.is_empty()
    }

    /// Takes the next record; the first of a batch whatever its size.
    pub(crate) fn take_one(&mut self, into: &mut Records, max_bytes: usize) -> Result<Took, Trouble> {
        let start = into.bytes.len();
        let mut meta = if let Some((bytes, meta)) = self.spare.take() {
            into.bytes.extend_from_slice(&bytes);
            meta
        } else {
            match self.next(&mut into.bytes)? {
                Some(meta) => meta,
                None => return Ok(Took::Nothing),
            }
        };
        if !into.list.is_empty() && into.bytes.len() > max_bytes {
            self.spare = Some((into.bytes.split_off(start), meta));
            return Ok(Took::Full);
        }
        // Written from 0, so that it can be set aside.
        meta.start = start as u32;
        if let Location::Sequence { start: digits, .. } = &mut meta.place {
            *digits += start as u32;
        }
        into.list.push(meta);
        self.arrival_ms = Some(meta.arrival_ms);
        Ok(Took::One)
    }

    /// The place of a batch's last record.
    pub(crate) fn last_place(batch: &Records) -> Option<Place> {
        match batch.place_of(batch.len().checked_sub(1)?) {
            PlaceRef::Sequence { number, sub } => {
                let number = SequenceNumber::new(std::str::from_utf8(number).ok()?)?;
                Some(Place::Sequence { number, sub })
            }
            PlaceRef::Row { .. } => None,
        }
    }

    /// Appends the next record's payload and then the digits of its number; places count from where it began.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Option<RecordMeta>, Trouble> {
        loop {
            let Some(open) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let start = bytes.len();
            let form = match (open.refused.take(), open.parts.next()) {
                (Some(reason), _) => Form::Refused(reason),
                (None, Some(part)) => {
                    if self.behind.as_ref().is_some_and(|behind| is_behind(open, behind)) {
                        open.sub += 1;
                        continue;
                    }
                    payload::unpack(&part, bytes).map_or_else(Form::Refused, |()| Form::Json)
                }
                (None, None) => {
                    self.open = None;
                    self.behind = None;
                    self.leave();
                    continue;
                }
            };
            let len = (bytes.len() - start) as u32;
            let digits = open.number.as_str();
            bytes.extend_from_slice(digits.as_bytes());
            // A sequence number has 129 digits at most.
            let place = Location::Sequence { start: len, len: digits.len() as u8, sub: open.sub };
            open.sub += 1;
            let arrival_ms = open.arrival_ms;
            return Ok(Some(RecordMeta {
                start: 0,
                len,
                partition: self.partition,
                form,
                place,
                arrival_ms,
            }));
        }
    }

    /// Opens the next raw record, if there is one.
    fn open_next(&mut self) -> Result<bool, Trouble> {
        let Raw { number, arrival_ms, data } = loop {
            let Some(chunk) = self.chunks.front_mut() else { return Ok(false) };
            if let Some(record) = chunk.records.next() {
                break record;
            }
            self.leave();
        };
        if let Some(Place::Sequence { number: expected, .. }) = &self.behind
            && number != *expected
        {
            return Err(Trouble::refuse(format!(
                "{}: what was taken up to {} goes on at {}: records between them are past their retention, or this is \
                 another stream",
                self.shard,
                expected.as_str(),
                number.as_str()
            )));
        }
        let (parts, refused) = match aggregate::parts(&data, self.range) {
            Ok(None) => (vec![data], None),
            Ok(Some(parts)) => {
                self.metrics.strangers(parts.outside);
                (parts.payloads, None)
            }
            Err(aggregate::Broken) => (Vec::new(), Some(Reason::InvalidAggregate)),
        };
        let mut open = Open { number, arrival_ms, parts: parts.into_iter(), sub: 0, refused };
        // The broken one was taken before.
        if self.behind.as_ref().is_some_and(|behind| is_behind(&open, behind)) {
            open.refused = None;
        }
        self.open = Some(open);
        Ok(true)
    }

    /// Lets a chunk go whose records are all taken.
    fn leave(&mut self) {
        if self.chunks.front().is_some_and(|chunk| chunk.records.len() == 0)
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.room.leave(chunk.bytes, chunk.count);
        }
    }
}

/// Whether the next part was taken before.
fn is_behind(open: &Open, behind: &Place) -> bool {
    match behind {
        Place::Sequence { number, sub } => *number == open.number && open.sub <= *sub,
        Place::Row { .. } => false,
    }
}
