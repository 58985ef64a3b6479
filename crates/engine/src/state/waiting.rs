//! Events whose label does not count yet, and labels that do not, of one shard of ids (docs/semantics.md, 7).
//!
//! dedupe -> **waiting** -> batch (labels) -> apart
//!
//! Two ways, by where labels come from. From a column, an event waits until its label counts and then leaves. From an input, every event
//! is kept for `labels.span`, and labels that come find it by its id, again and again.
//!
//! Holds: of an event what is known earlier counts earlier, labels before its age, in the order of their sequence; labels that wait take
//! no more than their part of the memory, and events the rest. Everything lies in rows (`rows`), of which a snapshot is
//! made; the indices over them are made again from them. Not here: when stream time gets there (batch).

use crate::event::{EventRef, Head, MISSING};
use crate::features::plan::Plan;
use crate::limits::{DEDUPE_SHARDS, ENTITIES_MAX, FIELDS_MAX, WAITING_LABELS_PART};
use crate::schema::{ITEM_STATS, LabelsFrom};
use crate::state::part::{Part, PartFault, PartKind, Read};
use crate::state::rows::{ROWS_HEAD_WORDS, Rows};
use crate::window::capture::{FRAME_WORDS, FramePool};
use hashbrown::HashTable;
use std::collections::BTreeMap;

/// What begins to count, and what windows of labels keep of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The record before which it does, in its batch.
    pub(crate) record: u32,
    pub(crate) from_ms: i64,
    /// Of the label's record; of the event where the label has none of its own.
    pub(crate) sequence: u64,
    pub(crate) is_fraud: bool,
    /// Whether the event was known as something else before, so that its entries change.
    pub(crate) is_again: bool,
    /// Of the event.
    pub(crate) event: u64,
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

/// In the order in which they begin to count: where a label stands in the sequence matters only among labels of one event.
impl Ord for Known {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.from_ms, self.event, self.sequence).cmp(&(other.from_ms, other.event, other.sequence))
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

// Words of an event's row; its keys and its slots follow.
const ID: usize = 0;
const SEQUENCE: usize = 1;
const TIME: usize = 2;
const AMOUNT: usize = 3;
const MET: usize = 4;
/// What it is known as: [`UNKNOWN`], [`GENUINE`], [`FRAUD`].
const KNOWN_AS: usize = 5;
/// Since when its label is known; of one that is genuine by its age alone the least integer, so that every label is later.
const KNOWN_SINCE: usize = 6;
const EVENT_WORDS: usize = 7;
// Words of a label's row.
const LABEL_ID: usize = 0;
const LABEL_SEQUENCE: usize = 1;
const LABEL_SINCE: usize = 2;
const LABEL_IS_FRAUD: usize = 3;
const LABEL_WORDS: usize = 4;

const UNKNOWN: u64 = 0;
const GENUINE: u64 = 1;
const FRAUD: u64 = 2;

const _: () = assert!(EVENT_WORDS + ENTITIES_MAX + FIELDS_MAX + ITEM_STATS + 1 < FRAME_WORDS);

/// Words of a part's head: both kinds of rows, lost, without an event.
const HEAD_WORDS: usize = 2 * ROWS_HEAD_WORDS + 2;

/// (time, sequence)
type When = (i64, u64);

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    Label(u32),
    /// An event's label that stands beside it, or its maturity.
    Event(u32),
}

/// Where labels come from.
#[derive(Clone, Copy, Debug)]
enum Way {
    Column { delay_ms: i64, slot: usize },
    Input { span_ms: i64 },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Waiting {
    events: Rows,
    labels: Rows,
    /// Labels by when they begin to count: their rows.
    labels_due: BTreeMap<When, u32>,
    /// Events by when they count without a label of an input.
    events_due: BTreeMap<When, u32>,
    /// Of an input: all events, by time and by id.
    by_time: BTreeMap<When, u32>,
    by_id: HashTable<u32>,
    way: Way,
    maturity_ms: Option<i64>,
    keys: usize,
    /// By the published formula; of all, and what labels take of it at most.
    budget_bytes: u64,
    labels_budget_bytes: u64,
    event_bytes: u64,
    label_bytes: u64,
    /// Labels, and events, that found no room.
    pub(crate) lost: u64,
    /// Labels that began to count when their event was not kept.
    pub(crate) without_event: u64,
    /// While a snapshot is taken: what is not in pages, as of the cut.
    captured_head: Vec<u64>,
}

impl Waiting {
    /// Nothing yet; `plan` has labels.
    pub(crate) fn new(plan: &Plan) -> Self {
        let schema = &plan.schema;
        let labels = schema.labels.as_ref();
        let (event_bytes, label_bytes) = plan.waiting_bytes();
        let way = match labels.map(|labels| &labels.from) {
            Some(LabelsFrom::Column { delay_ms, .. }) => {
                Way::Column { delay_ms: *delay_ms, slot: schema.label_slot().unwrap_or_default() }
            }
            Some(LabelsFrom::Input { span_ms }) => Way::Input { span_ms: *span_ms },
            None => Way::Input { span_ms: 0 },
        };
        let memory = labels.map_or(0, |labels| labels.memory_bytes);
        // One event at least.
        let budget_bytes = (memory / DEDUPE_SHARDS as u64).max(event_bytes);
        Self {
            events: Rows::new(EVENT_WORDS + schema.entities.len() + schema.slots()),
            labels: Rows::new(LABEL_WORDS),
            labels_due: BTreeMap::new(),
            events_due: BTreeMap::new(),
            by_time: BTreeMap::new(),
            by_id: HashTable::new(),
            way,
            maturity_ms: labels.and_then(|labels| labels.maturity_ms),
            keys: schema.entities.len(),
            budget_bytes,
            labels_budget_bytes: budget_bytes / WAITING_LABELS_PART,
            event_bytes,
            label_bytes,
            lost: 0,
            without_event: 0,
            captured_head: Vec::new(),
        }
    }

    /// Events and labels in store.
    pub(crate) fn len(&self) -> usize {
        self.events.len() + self.labels.len()
    }

    /// The stream time at which something is due.
    #[inline]
    pub(crate) fn next_ms(&self) -> i64 {
        let first = |due: &BTreeMap<When, u32>| due.first_key_value().map_or(i64::MAX, |(when, _)| when.0);
        let gone_ms = self.by_time.first_key_value().map_or(i64::MAX, |(when, _)| self.gone_ms(when.0));
        first(&self.labels_due).min(first(&self.events_due)).min(gone_ms)
    }

    /// What is due first, and when; of what is due together labels come first.
    fn pop_due(&mut self, stream_ms: i64) -> Option<(When, Due)> {
        let first = |due: &BTreeMap<When, u32>| {
            due.first_key_value().map(|(when, _)| when.0).filter(|&time_ms| time_ms <= stream_ms)
        };
        match (first(&self.labels_due), first(&self.events_due)) {
            (None, None) => None,
            (Some(label_ms), event_ms) if event_ms.is_none_or(|event_ms| label_ms <= event_ms) => {
                self.labels_due.pop_first().map(|(when, row)| (when, Due::Label(row)))
            }
            _ => self.events_due.pop_first().map(|(when, row)| (when, Due::Event(row))),
        }
    }

    fn bytes(&self) -> u64 {
        self.events.len() as u64 * self.event_bytes + self.labels.len() as u64 * self.label_bytes
    }

    /// The stream time at which an event is no longer kept.
    fn gone_ms(&self, time_ms: i64) -> i64 {
        match self.way {
            Way::Column { .. } => i64::MAX,
            Way::Input { span_ms } => time_ms.saturating_add(span_ms),
        }
    }

    /// An accepted event, at a stream time.
    pub(crate) fn add(&mut self, event: &EventRef<'_>, met: u64, sequence: u64, stream_ms: i64) {
        let time_ms = event.head.time_ms;
        match self.way {
            Way::Column { .. } => {
                if self.due_ms(time_ms, self.label_beside(event.slots)).is_none() {
                    return;
                }
                if self.bytes() + self.event_bytes > self.budget_bytes {
                    self.lost += 1;
                    return;
                }
            }
            Way::Input { .. } => {
                // Of two events with one id only the later one can be found.
                if let Some(before) = self.find(event.head.id_hash) {
                    self.remove(before);
                }
                if self.gone_ms(time_ms) <= stream_ms {
                    return;
                }
            }
        }
        let row = self.events.add();
        let words = self.events.get_mut(row);
        words[ID] = event.head.id_hash;
        words[SEQUENCE] = sequence;
        words[TIME] = time_ms as u64;
        words[AMOUNT] = event.head.amount_scaled as u64;
        words[MET] = met;
        words[KNOWN_AS] = UNKNOWN;
        words[KNOWN_SINCE] = i64::MIN as u64;
        let (keys, slots) = words[EVENT_WORDS..].split_at_mut(self.keys);
        keys.copy_from_slice(event.keys);
        slots.iter_mut().zip(event.slots).for_each(|(word, &slot)| *word = slot as u64);
        self.index_event(row);
        if matches!(self.way, Way::Input { .. }) {
            self.make_room();
        }
    }

    /// A label of some event was read. Past their part of the memory the label goes that is known last, be it this one: one that waits for a
    /// time which never comes crowds out no other.
    pub(crate) fn announce(&mut self, id_hash: u64, sequence: u64, known_ms: i64, is_fraud: bool) {
        let row = self.labels.add();
        let words = self.labels.get_mut(row);
        words[LABEL_ID] = id_hash;
        words[LABEL_SEQUENCE] = sequence;
        words[LABEL_SINCE] = known_ms as u64;
        words[LABEL_IS_FRAUD] = is_fraud.into();
        self.labels_due.insert((known_ms, sequence), row);
        while self.labels.len() as u64 * self.label_bytes > self.labels_budget_bytes
            && let Some((_, last)) = self.labels_due.pop_last()
        {
            self.labels.remove(last);
            self.lost += 1;
        }
        self.make_room();
    }

    /// What counts once stream time is `stream_ms`, before a record.
    pub(crate) fn take(&mut self, stream_ms: i64, record: u32, out: &mut Vec<Known>) {
        while let Some(((from_ms, sequence), due)) = self.pop_due(stream_ms) {
            let known = match due {
                Due::Event(row) => self.grow_up(row),
                Due::Label(row) => self.label(row),
            };
            let Some((row, is_fraud, is_again)) = known else { continue };
            let known = Known { record, from_ms, sequence, is_fraud, is_again, ..self.known(row) };
            out.push(known);
            if matches!(self.way, Way::Column { .. }) {
                self.events.remove(row);
            }
        }
        while let Some((&(time_ms, _), &row)) = self.by_time.first_key_value()
            && self.gone_ms(time_ms) <= stream_ms
        {
            self.remove(row);
        }
    }

    /// An event's own label counts, or it is old enough to be genuine: its row, whether it is fraud, and that it was not known before.
    fn grow_up(&mut self, row: u32) -> Option<(u32, bool, bool)> {
        if let Way::Column { slot, .. } = self.way {
            return Some((row, self.events.get(row)[EVENT_WORDS + self.keys + slot] == 1, false));
        }
        self.events.get_mut(row)[KNOWN_AS] = GENUINE;
        Some((row, false, false))
    }

    /// A label counts: the row of its event, whether it is fraud, and whether it was known as something else; nothing where no entry changes.
    fn label(&mut self, row: u32) -> Option<(u32, bool, bool)> {
        let words = self.labels.get(row);
        let (id, since_ms, is_fraud) =
            (words[LABEL_ID], words[LABEL_SINCE] as i64, words[LABEL_IS_FRAUD] == 1);
        self.labels.remove(row);
        let found = self.find(id).filter(|&row| since_ms < self.gone_ms(self.when(row).0));
        let Some(row) = found else {
            self.without_event += 1;
            return None;
        };
        let words = self.events.get(row);
        let (before, before_ms) = (words[KNOWN_AS], words[KNOWN_SINCE] as i64);
        if since_ms < before_ms {
            return None;
        }
        if before == UNKNOWN
            && let Some(due_ms) = self.due_ms(self.when(row).0, MISSING)
        {
            let sequence = self.when(row).1;
            self.events_due.remove(&(due_ms, sequence));
        }
        let now = if is_fraud { FRAUD } else { GENUINE };
        let words = self.events.get_mut(row);
        (words[KNOWN_AS], words[KNOWN_SINCE]) = (now, since_ms as u64);
        (before != now).then_some((row, is_fraud, before != UNKNOWN))
    }

    /// What windows keep of an event.
    fn known(&self, row: u32) -> Known {
        let words = self.events.get(row);
        Known {
            event: words[SEQUENCE],
            time_ms: words[TIME] as i64,
            amount_scaled: words[AMOUNT] as i64,
            met: words[MET],
            keys: words[EVENT_WORDS..][..self.keys].into(),
            slots: self.slots(row).into(),
            ..Known::default()
        }
    }

    fn slots(&self, row: u32) -> Vec<i64> {
        self.events.get(row)[EVENT_WORDS + self.keys..].iter().map(|&word| word as i64).collect()
    }

    /// Time and sequence of an event.
    fn when(&self, row: u32) -> When {
        let words = self.events.get(row);
        (words[TIME] as i64, words[SEQUENCE])
    }

    /// The label that stands beside an event.
    fn label_beside(&self, slots: &[i64]) -> i64 {
        match self.way {
            Way::Column { slot, .. } => slots[slot],
            Way::Input { .. } => MISSING,
        }
    }

    /// When an event begins to count without a label of an input, if ever.
    fn due_ms(&self, time_ms: i64, label_beside: i64) -> Option<i64> {
        let wait_ms = match self.way {
            Way::Column { delay_ms, .. } if label_beside != MISSING => Some(delay_ms),
            Way::Column { .. } | Way::Input { .. } => self.maturity_ms,
        };
        wait_ms.map(|wait_ms| time_ms.saturating_add(wait_ms))
    }

    fn find(&self, id_hash: u64) -> Option<u32> {
        let is_it = |&row: &u32| self.events.get(row)[ID] == id_hash;
        self.by_id.find(id_hash.rotate_right(16), is_it).copied()
    }

    /// Enters an event into the indices.
    fn index_event(&mut self, row: u32) {
        let when = self.when(row);
        let words = self.events.get(row);
        let id = words[ID];
        let label_beside = match self.way {
            Way::Column { slot, .. } => words[EVENT_WORDS + self.keys + slot] as i64,
            Way::Input { .. } => MISSING,
        };
        if words[KNOWN_AS] == UNKNOWN
            && let Some(due_ms) = self.due_ms(when.0, label_beside)
        {
            self.events_due.insert((due_ms, when.1), row);
        }
        if matches!(self.way, Way::Input { .. }) {
            self.by_time.insert(when, row);
            let events = &self.events;
            self.by_id.insert_unique(id.rotate_right(16), row, |&row| events.get(row)[ID].rotate_right(16));
        }
    }

    /// No longer keeps an event of an input.
    fn remove(&mut self, row: u32) {
        let when = self.when(row);
        let words = self.events.get(row);
        let (id, is_unknown) = (words[ID], words[KNOWN_AS] == UNKNOWN);
        if is_unknown && let Some(due_ms) = self.due_ms(when.0, MISSING) {
            self.events_due.remove(&(due_ms, when.1));
        }
        self.by_time.remove(&when);
        if let Ok(entry) = self.by_id.find_entry(id.rotate_right(16), |&held| held == row) {
            entry.remove();
        }
        self.events.remove(row);
    }

    /// The oldest events go until all is within the memory.
    fn make_room(&mut self) {
        while self.bytes() > self.budget_bytes
            && let Some((_, &oldest)) = self.by_time.first_key_value()
        {
            self.remove(oldest);
            self.lost += 1;
        }
    }

    /// Frames that a snapshot copies, in their lists.
    pub(crate) fn frames(&self) -> [usize; 2] {
        [self.events.frames(), self.labels.frames()]
    }

    /// The cut: from here on everything is copied before it is written to.
    pub(crate) fn begin_capture(&mut self, pool: &FramePool) {
        let (events, labels) = (self.events.begin_capture(pool), self.labels.begin_capture(pool));
        self.captured_head = [&events[..], &labels, &[self.lost, self.without_event]].concat();
    }

    /// Copies at least `frames` more frames, or all that are left; returns how many.
    pub(crate) fn capture_some(&mut self, frames: usize) -> usize {
        let events = self.events.capture_some(frames);
        events + self.labels.capture_some(frames.saturating_sub(events))
    }

    /// Copies no more.
    pub(crate) fn abandon_capture(&mut self) {
        self.events.abandon_capture();
        self.labels.abandon_capture();
    }

    /// The part, once there is nothing left to copy.
    pub(crate) fn end_capture(&mut self, shard: usize, pool: &FramePool) -> Part {
        let copies = vec![self.events.end_capture(), self.labels.end_capture()];
        Part::new(PartKind::Labels, shard, std::mem::take(&mut self.captured_head), copies, pool.clone())
    }

    /// As its part has it.
    pub(crate) fn restore(plan: &Plan, part: &Read) -> Result<Self, PartFault> {
        let &[events_used, events_free, labels_used, labels_free, lost, without_event] =
            part.head::<HEAD_WORDS>()?;
        let mut waiting = Self { lost, without_event, ..Self::new(plan) };
        let schema = &plan.schema;
        let words = EVENT_WORDS + schema.entities.len() + schema.slots();
        let events = Rows::restore(words, [events_used, events_free], part.frames(0));
        let labels = Rows::restore(LABEL_WORDS, [labels_used, labels_free], part.frames(1));
        (waiting.events, waiting.labels) = events.zip(labels).ok_or(PartFault::Foreign)?;
        let rows: Vec<u32> = waiting.events.numbers().collect();
        for row in rows {
            waiting.index_event(row);
        }
        let rows: Vec<u32> = waiting.labels.numbers().collect();
        for row in rows {
            let words = waiting.labels.get(row);
            let at = (words[LABEL_SINCE] as i64, words[LABEL_SEQUENCE]);
            waiting.labels_due.insert(at, row);
        }
        Ok(waiting)
    }
}
