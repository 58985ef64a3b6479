//! Events whose label does not count yet, of one shard of ids (docs/semantics.md, 7).
//!
//! dedupe -> **waiting** -> batch (labels) -> apart
//!
//! Holds: labels begin to count in the order (known at, sequence of the event). Not here: when stream time gets there (batch).

use crate::event::{EventRef, Head, MISSING};
use crate::features::plan::Plan;
use crate::limits::DEDUPE_SHARDS;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An event's label when it begins to count, and what windows of labels keep of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The record before which it does, in its batch.
    pub(crate) record: u32,
    pub(crate) from_ms: i64,
    /// Of the event.
    pub(crate) sequence: u64,
    pub(crate) is_fraud: bool,
    pub(crate) time_ms: i64,
    pub(crate) amount_scaled: i64,
    /// Conditions over fields that it met.
    pub(crate) met: u64,
    pub(crate) keys: Box<[u64]>,
    pub(crate) slots: Box<[i64]>,
}

impl Known {
    /// The event as windows store it.
    pub(crate) fn head(&self) -> Head {
        Head { time_ms: self.time_ms, amount_scaled: self.amount_scaled, ..Head::default() }
    }
}

/// In order of their labels.
impl Ord for Known {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.from_ms, self.sequence).cmp(&(other.from_ms, other.sequence))
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Waiting {
    events: BinaryHeap<Reverse<Known>>,
    capacity: usize,
    label_slot: usize,
    delay_ms: i64,
    maturity_ms: Option<i64>,
    /// Labels that found no place.
    pub(crate) lost: u64,
}

impl Waiting {
    pub(crate) fn new(plan: &Plan) -> Self {
        let schema = &plan.schema;
        let labels = schema.labels.as_ref();
        let memory = labels.map_or(0, |labels| labels.memory_bytes);
        Self {
            events: BinaryHeap::new(),
            capacity: (memory / DEDUPE_SHARDS as u64 / plan.waiting_bytes()).max(1) as usize,
            label_slot: schema.label_slot().unwrap_or_default(),
            delay_ms: labels.map_or(0, |labels| labels.delay_ms),
            maturity_ms: labels.and_then(|labels| labels.maturity_ms),
            lost: 0,
        }
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// When the next label begins to count.
    #[inline]
    pub(crate) fn next_ms(&self) -> i64 {
        self.events.peek().map_or(i64::MAX, |Reverse(known)| known.from_ms)
    }

    /// An accepted event waits for its label, if it will ever have one and there is room.
    pub(crate) fn add(&mut self, event: &EventRef<'_>, met: u64, sequence: u64) {
        let label = event.slots[self.label_slot];
        let wait_ms = if label == MISSING { self.maturity_ms } else { Some(self.delay_ms) };
        let Some(wait_ms) = wait_ms else { return };
        if self.events.len() >= self.capacity {
            self.lost += 1;
            return;
        }
        self.events.push(Reverse(Known {
            record: 0,
            from_ms: event.head.time_ms.saturating_add(wait_ms),
            sequence,
            is_fraud: label == 1,
            time_ms: event.head.time_ms,
            amount_scaled: event.head.amount_scaled,
            met,
            keys: event.keys.into(),
            slots: event.slots.into(),
        }));
    }

    /// The labels that count once stream time is `stream_ms`, before a record.
    pub(crate) fn take(&mut self, stream_ms: i64, record: u32, out: &mut Vec<Known>) {
        while self.next_ms() <= stream_ms {
            out.extend(self.events.pop().map(|Reverse(known)| Known { record, ..known }));
        }
    }
}
