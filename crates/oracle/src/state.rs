//! What a key holds and how an event is stored: §2 steps 1, 3, 4 and 5, and §4.

use std::collections::BTreeMap;

use crate::plan::{Aggregate, Bounds, Definition, Event, LabelIs, Sizes};

/// The constants of an entity kind (§2).
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// `L`: the largest window + delay of its features.
    pub(crate) longest_ms: i64,
    /// `H = L + time.lateness`
    pub(crate) horizon_ms: i64,
    /// `D`: different "distinct of" under the same condition, as (value, condition).
    pub(crate) distinct: Vec<(usize, Option<usize>)>,
    /// `H` of each distinct column: the largest window + delay of its features, and lateness.
    pub(crate) distinct_horizon_ms: Vec<i64>,
}

impl Kind {
    pub(crate) fn of(entity: usize, definitions: &[Definition], bounds: &Bounds) -> Self {
        let mut longest_ms = 0;
        let mut distinct = Vec::new();
        let mut distinct_horizon_ms: Vec<i64> = Vec::new();
        for definition in definitions.iter().filter(|definition| definition.entity == entity) {
            let mut aggregate = &definition.aggregate;
            let mut windows = Vec::new();
            match aggregate {
                // Its window is L, so it adds nothing to L.
                Aggregate::Run => {}
                Aggregate::Ratio { of, over_ms } => {
                    windows.extend(definition.window_ms);
                    windows.push(*over_ms);
                    aggregate = of;
                }
                Aggregate::Count
                | Aggregate::Sum(_)
                | Aggregate::Mean(_)
                | Aggregate::Min(_)
                | Aggregate::Max(_)
                | Aggregate::Std(_)
                | Aggregate::Zscore(_)
                | Aggregate::Distinct(_)
                | Aggregate::Share
                | Aggregate::Last
                | Aggregate::SecondsSinceLast
                | Aggregate::SecondsSinceFirst => windows.extend(definition.window_ms),
            }
            for &window in &windows {
                longest_ms = longest_ms.max(window + definition.delay_ms);
            }
            if let Aggregate::Distinct(value) = aggregate {
                let column = (*value, definition.condition);
                if !distinct.contains(&column) {
                    distinct.push(column);
                    distinct_horizon_ms.push(0);
                }
                let own = windows.iter().max().map_or(0, |window| window + definition.delay_ms);
                let at = distinct.iter().position(|held| *held == column).expect("just put there");
                distinct_horizon_ms[at] = distinct_horizon_ms[at].max(own + bounds.lateness_ms);
            }
        }
        Self { longest_ms, horizon_ms: longest_ms + bounds.lateness_ms, distinct, distinct_horizon_ms }
    }
}

/// One event of a key.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) time: i64,
    /// Of the event.
    pub(crate) sequence: u64,
    pub(crate) columns: Vec<Option<i64>>,
    pub(crate) conditions: Vec<bool>,
    /// Of an entry of a label: whether it is fraud.
    pub(crate) label: Option<bool>,
    /// Per distinct column: the value, where it is present, meets the condition and found a place.
    pub(crate) distinct: Vec<Option<u64>>,
}

impl Entry {
    fn of(event: &Event, kind: &Kind) -> Self {
        let value = |&(value, condition): &(usize, Option<usize>)| {
            event.values[value].filter(|_| condition.is_none_or(|condition| event.conditions[condition]))
        };
        Self {
            time: event.time_ms,
            sequence: event.sequence,
            columns: event.columns.clone(),
            conditions: event.conditions.clone(),
            label: event.label,
            distinct: kind.distinct.iter().map(value).collect(),
        }
    }

    /// Whether it meets a window's condition and has the label that the window wants.
    pub(crate) fn meets(&self, definition: &Definition) -> bool {
        let label = match definition.label {
            None | Some(LabelIs::Known) => true,
            Some(LabelIs::Fraud) => self.label == Some(true),
            Some(LabelIs::Genuine) => self.label == Some(false),
        };
        label && self.meets_condition(definition.condition)
    }

    /// Whether `share` and `last` look at it: of labels at those under the window's condition, else at all.
    pub(crate) fn is_looked_at(&self, definition: &Definition) -> bool {
        definition.label.is_none() || self.meets_condition(definition.condition)
    }

    fn meets_condition(&self, condition: Option<usize>) -> bool {
        condition.is_none_or(|condition| self.conditions[condition])
    }
}

/// Merged neighbours. The totals of §4 (n, Σx, Σx², min, max, number that met a condition) are taken from the
/// events themselves, which no memory formula counts here; their times and distinct values are not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) events: Vec<Entry>,
}

/// The values seen of one distinct column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Value to `last`.
    pub(crate) last: BTreeMap<u64, i64>,
    pub(crate) dropped: Option<i64>,
}

/// The state of a key (§2).
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) first: i64,
    pub(crate) newest: i64,
    /// Ordered by (time, sequence).
    pub(crate) entries: Vec<Entry>,
    /// Older than all entries.
    pub(crate) spans: Vec<Span>,
    /// Per distinct column of the kind.
    pub(crate) seen: Vec<Seen>,
    pub(crate) lost_before: Option<i64>,
    /// Sequence and entity of the last update.
    pub(crate) updated: (u64, usize),
}

/// Where an entry is put.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// §4: an event older than the newest span's last time goes to the spans.
    EntriesOrSpans,
    Entries,
}

impl Key {
    pub(crate) fn new(event: &Event, kind: &Kind, lost_before: Option<i64>) -> Self {
        Self {
            first: event.time_ms,
            newest: event.time_ms,
            entries: Vec::new(),
            spans: Vec::new(),
            seen: vec![Seen::default(); kind.distinct.len()],
            lost_before,
            updated: (0, 0),
        }
    }

    /// §2 step 1.
    pub(crate) fn is_forgotten(&self, stream_time: i64, bounds: &Bounds) -> bool {
        self.newest <= stream_time - bounds.forget_after_ms
    }

    /// §2 step 3.
    pub(crate) fn is_late(&self, event: &Event, bounds: &Bounds) -> bool {
        self.newest - event.time_ms > bounds.lateness_ms
    }

    /// §2 steps 4 and 5; `order` is that of updates for eviction.
    pub(crate) fn store(&mut self, event: &Event, order: u64, entity: usize, kind: &Kind, bounds: &Bounds) {
        // "with t = newest - H exactly it is not kept"
        let kept = event.time_ms > self.newest.max(event.time_ms) - kind.horizon_ms;
        self.take_in(event, kind, bounds, kept.then_some(Place::EntriesOrSpans));
        // "Merge where an entry was kept and …"
        if kept {
            self.merge(bounds);
        }
        self.updated = (order, entity);
    }

    /// §7, relabelling: the entry of the event changes what it is known as. Whether it lies in a span instead.
    pub(crate) fn relabel(&mut self, event: &Event) -> bool {
        let own = self.entries.iter_mut().find(|entry| entry.sequence == event.sequence);
        if let Some(entry) = own {
            entry.label = event.label;
            return false;
        }
        let t = event.time_ms;
        self.spans.iter().any(|span| span.first <= t && t <= span.last)
    }

    /// The state "as though the event had been stored" (§2, §3 `inclusive`): the event is an entry of its own,
    /// whatever its age, and nothing is merged.
    pub(crate) fn with(&self, event: &Event, kind: &Kind, bounds: &Bounds) -> Self {
        let mut key = self.clone();
        key.take_in(event, kind, bounds, Some(Place::Entries));
        key
    }

    fn take_in(&mut self, event: &Event, kind: &Kind, bounds: &Bounds, place: Option<Place>) {
        self.first = self.first.min(event.time_ms);
        self.newest = self.newest.max(event.time_ms);
        let edge = self.newest - kind.horizon_ms;
        self.entries.retain(|entry| entry.time > edge);
        self.spans.retain(|span| span.last > edge);
        for (seen, horizon_ms) in self.seen.iter_mut().zip(&kind.distinct_horizon_ms) {
            let edge = self.newest - horizon_ms;
            seen.last.retain(|_, last| *last > edge);
        }
        let Some(place) = place else { return };
        let mut entry = Entry::of(event, kind);
        for (seen, value) in self.seen.iter_mut().zip(&mut entry.distinct) {
            let Some(known) = *value else { continue };
            if let Some(last) = seen.last.get_mut(&known) {
                *last = (*last).max(event.time_ms);
            } else if seen.last.len() < bounds.distinct_max {
                seen.last.insert(known, event.time_ms);
            } else {
                seen.dropped = seen.dropped.max(Some(event.time_ms));
                *value = None;
            }
        }
        let to_spans = self.spans.last().is_some_and(|newest| entry.time < newest.last);
        if place == Place::EntriesOrSpans && to_spans {
            self.insert_into_spans(entry);
        } else {
            let at = self.entries.iter().filter(|other| other.time <= entry.time).count();
            self.entries.insert(at, entry);
        }
    }

    /// §4: "into the first span with `first <= t <= last`, or else as a span of its own in its place".
    fn insert_into_spans(&mut self, entry: Entry) {
        let t = entry.time;
        if let Some(span) = self.spans.iter_mut().find(|span| span.first <= t && t <= span.last) {
            span.events.push(entry);
        } else {
            let at = self.spans.iter().filter(|span| span.last < t).count();
            self.spans.insert(at, Span { first: t, last: t, events: vec![entry] });
        }
    }

    /// §4, the first list.
    fn merge(&mut self, bounds: &Bounds) {
        if self.entries.len() + self.spans.len() <= bounds.entries_per_key {
            return;
        }
        let oldest = self.entries.len().div_ceil(2);
        for entry in self.entries.drain(..oldest) {
            self.spans.push(Span { first: entry.time, last: entry.time, events: vec![entry] });
        }
        let mut merged: Vec<Span> = Vec::new();
        for neighbour in self.spans.drain(..) {
            match merged.last_mut() {
                Some(span) if 100 * (neighbour.last - span.first) <= self.newest - neighbour.last => {
                    span.last = neighbour.last;
                    span.events.extend(neighbour.events);
                }
                Some(_) | None => merged.push(neighbour),
            }
        }
        self.spans = merged;
    }

    /// §5, the formula.
    pub(crate) fn bytes(&self, sizes: &Sizes) -> u64 {
        sizes.key_bytes
            + sizes.entry_bytes * self.entries.len() as u64
            + sizes.span_bytes * self.spans.len() as u64
            + sizes.value_bytes * self.values()
    }

    /// Distinct values held.
    pub(crate) fn values(&self) -> u64 {
        self.seen.iter().map(|seen| seen.last.len() as u64).sum()
    }
}
