//! The stream of records: arrivals of a world, out of order, some of them twice.
//!
//! settings -> scene (what happens) -> **generator** (when it arrives, how often) -> caller's buffer
//!
//! Holds: events are delivered in order of an arrival time that is at most `disorder_ms` after their
//! event time, so no event is further behind the newest than that; a repeat is the same bytes within
//! 5 minutes of stream time and has no label; the bytes depend on the settings alone.
//! Not here: what an event looks like (`workload`, `shop`), rows of the Handbook (`handbook`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::Error;
use crate::handbook::Handbook;
use crate::label::{EventId, Label};
use crate::rng::{Names, Rng};
use crate::settings::{Settings, World};
use crate::shop::Shop;
use crate::workload::Workload;

/// Repeats come within half of the ten minutes over which the workload's consumers look back.
const REPEAT_MS_MAX: i64 = 300_000;
const REPEAT_MS_MEAN: f64 = 60_000.0;
/// Copies that wait at once, of half a KiB to 2 KiB each; above it (more than some 20,000 records a
/// second of event time) the oldest comes early. Arbitrary.
const REPEATS_MAX: usize = 16_384;
/// Nine of ten events are late by at most a tenth of the bound: stragglers are rare. Arbitrary.
const PROMPT: f64 = 0.9;

const DAY_MS: i64 = 86_400_000;

/// Names the kind of a drawn attribute; see [`Names`].
const EVENT_ID: u64 = 1;

/// What is known about a record beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventInfo {
    /// Event time, ms since the epoch.
    pub time_ms: i64,
    /// Number of the record in order of arrival, from 0.
    pub index: u64,
    /// Whether the record repeats an earlier one.
    pub repeat: bool,
    /// The truth, once an event; `None` for repeats and, without `legit_after_days`, for legitimate
    /// events.
    pub label: Option<Label>,
}

/// Makes records, one at a time.
pub struct Generator {
    settings: Settings,
    source: Source,
    records: u64,
}

enum Source {
    Arrivals(Box<Arrivals>),
    Rows(Box<Handbook>),
}

/// A scene's events as they arrive.
struct Arrivals {
    scene: Box<dyn Scene>,
    names: Names,
    rng: Rng,
    repeats: Repeats,
    /// Chance of a repeat for each event that is not one.
    repeat_chance: f64,
    events: u64,
}

/// What happens in a world, event after event.
pub(crate) trait Scene: Send {
    /// When the next event arrives, ms; never less than before.
    fn due_ms(&self) -> i64;

    /// Appends that event and moves on to the one after.
    fn write(&mut self, event: Moment, out: &mut Vec<u8>) -> Truth;
}

/// The part of an event that does not depend on the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) id: u128,
    pub(crate) time_ms: i64,
    /// When it arrives; what follows from the event is planned from here.
    pub(crate) due_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) fraud: bool,
    pub(crate) kind: &'static str,
    /// Which attack it belongs to, counted from 1 in the order in which they began; none: it stands alone.
    pub(crate) attack: Option<u64>,
}

impl Truth {
    /// An event that belongs to no attack.
    pub(crate) fn alone(fraud: bool, kind: &'static str) -> Self {
        Self { fraud, kind, attack: None }
    }
}

impl Generator {
    /// Builds the world: popularity tables cost some 60 ns a customer, once.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let source = match settings.world {
            World::Workload => Source::arrivals(Box::new(Workload::new(settings)), settings),
            World::Shop => Source::arrivals(Box::new(Shop::new(settings)), settings),
            World::Handbook => Source::Rows(Box::new(Handbook::new(settings)?)),
        };
        Ok(Self { settings: settings.clone(), source, records: 0 })
    }

    /// The settings it was built from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Appends one JSON object, without a newline; `None` when all were made.
    pub fn next_event(&mut self, out: &mut Vec<u8>) -> Option<EventInfo> {
        if self.settings.events.is_some_and(|events| self.records >= events) {
            return None;
        }
        let (index, settings) = (self.records, &self.settings);
        let info = match &mut self.source {
            Source::Rows(rows) => row(rows, settings, index, out)?,
            Source::Arrivals(arrivals) => arrivals.next(settings, index, out),
        };
        self.records += 1;
        Some(info)
    }
}

impl Source {
    fn arrivals(scene: Box<dyn Scene>, settings: &Settings) -> Self {
        Source::Arrivals(Box::new(Arrivals {
            scene,
            names: Names::new(settings.seed),
            rng: Rng::new(settings.seed, 0),
            repeats: Repeats::default(),
            repeat_chance: settings.duplicates / (1.0 - settings.duplicates),
            events: 0,
        }))
    }
}

impl Arrivals {
    fn next(&mut self, settings: &Settings, index: u64, out: &mut Vec<u8>) -> EventInfo {
        let due_ms = self.scene.due_ms();
        if let Some(time_ms) = self.repeats.take(due_ms, out) {
            return EventInfo { time_ms, index, repeat: true, label: None };
        }
        let time_ms = (due_ms - delay_ms(settings.disorder_ms, &mut self.rng)).max(settings.start_ms);
        let id = self.names.uuid(EVENT_ID, self.events);
        self.events += 1;
        let begin = out.len();
        let truth = self.scene.write(Moment { id, time_ms, due_ms }, out);
        if self.rng.chance(self.repeat_chance) {
            let after_ms = (self.rng.exponential(REPEAT_MS_MEAN) as i64).min(REPEAT_MS_MAX);
            self.repeats.keep(due_ms + after_ms, time_ms, &out[begin..]);
        }
        let known_after_ms = match settings.legit_after_days {
            _ if truth.fraud => Some(fraud_known_after_ms(&mut self.rng)),
            days => days.map(|days| i64::from(days) * DAY_MS),
        };
        let label = known_after_ms.map(|after_ms| Label {
            event_id: EventId::Uuid(id),
            fraud: truth.fraud,
            known_at_ms: time_ms + after_ms,
            kind: truth.kind,
            attack: truth.attack,
        });
        EventInfo { time_ms, index, repeat: false, label }
    }
}

/// A row of the Handbook as an event.
fn row(rows: &mut Handbook, settings: &Settings, index: u64, out: &mut Vec<u8>) -> Option<EventInfo> {
    let row = rows.write_next(out)?;
    let time_ms = row.time_s * 1_000;
    let label = Label::of_transaction(&row, settings.legit_after_days);
    Some(EventInfo { time_ms, index, repeat: false, label })
}

/// How much later than it happened an event arrives.
fn delay_ms(disorder_ms: u32, rng: &mut Rng) -> i64 {
    let bound = u64::from(disorder_ms);
    let span = if rng.chance(PROMPT) { bound / 10 } else { bound };
    rng.below(span + 1) as i64
}

/// Review finds a sixth of the fraud within two days; the rest comes as chargebacks, half of them
/// within 14 days, none after 60. Arbitrary, in the range that card schemes allow.
fn fraud_known_after_ms(rng: &mut Rng) -> i64 {
    if rng.chance(1.0 / 6.0) {
        return rng.between(30 * 60_000, 48 * 3_600_000) as i64;
    }
    let days = 14.0 * crate::maths::exp(0.7 * rng.normal());
    (days.clamp(1.0, 60.0) * DAY_MS as f64) as i64
}

/// Copies of records that will come again.
#[derive(Default)]
struct Repeats {
    /// Due time, a number that keeps ties in order, event time, place in `copies`.
    waiting: BinaryHeap<Reverse<(i64, u64, i64, usize)>>,
    copies: Vec<Vec<u8>>,
    free: Vec<usize>,
    kept: u64,
}

impl Repeats {
    /// Appends the first copy that is due by `due_ms`; its event time.
    fn take(&mut self, due_ms: i64, out: &mut Vec<u8>) -> Option<i64> {
        let &Reverse((copy_due_ms, _, time_ms, place)) = self.waiting.peek()?;
        if copy_due_ms > due_ms && self.waiting.len() < REPEATS_MAX {
            return None;
        }
        self.waiting.pop();
        self.free.push(place);
        out.extend_from_slice(&self.copies[place]);
        Some(time_ms)
    }

    fn keep(&mut self, due_ms: i64, time_ms: i64, record: &[u8]) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.copies.push(Vec::new());
            self.copies.len() - 1
        });
        self.copies[place].clear();
        self.copies[place].extend_from_slice(record);
        self.waiting.push(Reverse((due_ms, self.kept, time_ms, place)));
        self.kept += 1;
    }
}

/// Things that will happen, in order of time; worlds keep follow-ups and campaigns in it.
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Entry<T>>,
    added: u64,
}

struct Entry<T> {
    due_ms: i64,
    order: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { entries: BinaryHeap::new(), added: 0 }
    }

    pub(crate) fn add(&mut self, due_ms: i64, what: T) {
        self.entries.push(Entry { due_ms, order: self.added, what });
        self.added += 1;
    }

    /// When the first is due; far in the future where there is none.
    pub(crate) fn due_ms(&self) -> i64 {
        self.entries.peek().map_or(i64::MAX, |entry| entry.due_ms)
    }

    pub(crate) fn take(&mut self) -> Option<(i64, T)> {
        self.entries.pop().map(|entry| (entry.due_ms, entry.what))
    }
}

// The heap gives the greatest first: order is reversed here.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due_ms, other.order).cmp(&(self.due_ms, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Entry<T> {}
