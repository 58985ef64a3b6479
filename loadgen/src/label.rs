//! What the generator knows about an event and a shop learns later.
//!
//! generator -> **label** -> label file
//!
//! Holds: one label an event at most, never for a repeat; `known_at` is not before the event.

use std::fmt;

use crate::handbook::Transaction;

/// Identity of an event, without allocation; `Display` gives the text that stands in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventId {
    /// `shop` and `workload`.
    Uuid(u128),
    /// `handbook`: the transaction's number.
    Number(u64),
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EventId::Uuid(bits) => {
                let mut text = Vec::with_capacity(36);
                crate::text::uuid(&mut text, bits);
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
            EventId::Number(number) => number.fmt(f),
        }
    }
}

/// The truth about one event and when it becomes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The event it is about.
    pub event_id: EventId,
    /// Whether the event is fraud.
    pub fraud: bool,
    /// When the shop learns it, ms since the epoch.
    pub known_at_ms: i64,
    /// Which attack, or which legitimate behaviour.
    pub kind: &'static str,
    /// Which attack of its world it belongs to, counted from 1; none: it stands alone.
    pub attack: Option<u64>,
}

impl Label {
    /// The Handbook takes every truth as known after the same delay; without legitimate labels, frauds
    /// after the book's 7 days.
    pub fn of_transaction(row: &Transaction, legit_after_days: Option<u32>) -> Option<Self> {
        let fraud = row.scenario > 0;
        let days = legit_after_days.or(fraud.then_some(7))?;
        Some(Label {
            event_id: EventId::Number(row.id),
            fraud,
            known_at_ms: row.time_s * 1_000 + i64::from(days) * 86_400_000,
            kind: row.kind(),
            attack: None,
        })
    }

    /// `fraud` or `legit`, the word of label files.
    pub fn word(&self) -> &'static str {
        if self.fraud { "fraud" } else { "legit" }
    }
}
