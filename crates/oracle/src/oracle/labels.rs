//! Labels (§7): which event a label is of, when it begins to count, and what of both there is room for.

use super::{Layer, Oracle};
use crate::plan::{Event, LabelLine, LabelsFrom};

/// §7: a label that is known later than this after stream time is a reject: 400 days.
const LABEL_AHEAD_MS: i64 = 400 * 86_400_000;

/// An event that waits for its label.
pub(super) struct Waiting {
    event: Event,
    /// Whether it is known as fraud, and since when by a label.
    known: Option<(bool, Option<i64>)>,
}

/// By its place among the events and labels of its shard.
#[derive(Clone, Copy)]
enum Due {
    Event(usize),
    Label(usize),
}

/// Time, whether it is an event's age, sequence of the event or the label.
type When = (i64, bool, u64);

/// What begins to count: the event as it is known now, and whether it was known before.
struct Effect {
    when: When,
    event: Event,
    is_again: bool,
}

impl Oracle {
    /// §7: takes a label that is a record of its own; false where it is a reject.
    pub fn label(&mut self, label: &LabelLine) -> bool {
        if self.stream_time.is_some_and(|stream_time| label.known_ms > stream_time + LABEL_AHEAD_MS) {
            return false;
        }
        let Some(LabelsFrom::Input { bytes, label_bytes, .. }) = self.labels_from() else { return true };
        let shard = (self.settings.shard_of_id)(label.id);
        if self.label_tier().is_none() {
            return true;
        }
        let waiting = &mut self.announced[shard];
        waiting.push(label.clone());
        while waiting.len() as u64 * label_bytes > bytes / 2 {
            let last = (0..waiting.len()).max_by_key(|&at| (waiting[at].known_ms, waiting[at].sequence));
            let Some(last) = last else { break };
            waiting.remove(last);
            self.lost_labels += 1;
        }
        self.make_room(shard, bytes);
        true
    }

    /// §7, Room: "the kept event with the smallest (t, sequence) is no longer kept".
    fn make_room(&mut self, shard: usize, bytes: u64) {
        while self.waiting_bytes(shard) > bytes {
            let events = self.waiting[shard].iter().enumerate();
            let oldest = events.min_by_key(|(_, kept)| (kept.event.time_ms, kept.event.sequence));
            let Some((oldest, _)) = oldest else { break };
            self.waiting[shard].remove(oldest);
            self.lost_labels += 1;
        }
    }

    /// §7: what begins to count before the event of a sequence number.
    pub(super) fn labels(&mut self, sequence: u64, stream_time: i64) {
        let Some(tier) = self.label_tier() else { return };
        let mut effects: Vec<Effect> = Vec::new();
        for shard in 0..self.waiting.len() {
            while let Some((when, due)) = self.next_due(shard).filter(|(when, _)| when.0 <= stream_time) {
                let effect = match due {
                    Due::Event(at) => self.matures(shard, at),
                    Due::Label(at) => self.counts_now(shard, at),
                };
                effects.extend(effect.map(|(event, is_again)| Effect { when, event, is_again }));
            }
            if let Some(LabelsFrom::Input { span_ms, .. }) = self.labels_from() {
                self.waiting[shard].retain(|kept| kept.event.time_ms + span_ms > stream_time);
            }
        }
        effects.sort_by_key(|effect| (effect.when.0, effect.event.sequence, effect.when.2));
        for Effect { event, is_again, .. } in effects {
            for entity in 0..event.keys.len() {
                if let Some(key) = event.keys[entity].filter(|_| self.has_windows(tier, entity)) {
                    self.store_label((&event, is_again), tier, (entity, key), (sequence, stream_time));
                }
            }
        }
    }

    fn store_label(
        &mut self,
        (event, is_again): (&Event, bool),
        tier: usize,
        name: (usize, u64),
        (sequence, stream_time): (u64, i64),
    ) {
        let Self { settings, layers, .. } = self;
        let bounds = &settings.bounds;
        let sizes = (&settings.sizes[tier][..], bounds.memory / (bounds.shards * layers.len()) as u64);
        let at = (settings.shard_of)(name.0, name.1);
        let Layer { kinds, shards } = &mut layers[tier];
        let shard = &mut shards[at];
        if shard.keys.get(&name).is_some_and(|stored| stored.is_forgotten(stream_time, bounds)) {
            shard.keys.remove(&name);
        }
        if is_again {
            let is_in_span = shard.keys.get_mut(&name).is_some_and(|stored| stored.relabel(event));
            self.lost_labels += u64::from(is_in_span);
            return;
        }
        // "Eviction goes by the order in which labels were stored."
        self.labels_stored[at] += 1;
        let order = (self.labels_stored[at], sequence);
        self.evicted_keys += shard.store(settings, &kinds[name.0], sizes, (event, order), name, stream_time);
    }

    /// What is due next in a shard of ids.
    fn next_due(&self, shard: usize) -> Option<(When, Due)> {
        let labels = self.settings.labels.as_ref()?;
        let events = self.waiting[shard].iter().enumerate().filter_map(|(at, kept)| {
            let wait_ms = match labels.from {
                LabelsFrom::Column { delay_ms, .. } if kept.event.label.is_some() => Some(delay_ms),
                LabelsFrom::Column { .. } | LabelsFrom::Input { .. } => labels.maturity_ms,
            };
            let is_due = kept.known.is_none();
            let time = kept.event.time_ms + wait_ms.filter(|_| is_due)?;
            Some(((time, true, kept.event.sequence), Due::Event(at)))
        });
        let own = self.announced[shard].iter().enumerate();
        let own = own.map(|(at, label)| ((label.known_ms, false, label.sequence), Due::Label(at)));
        events.chain(own).min_by_key(|(when, _)| *when)
    }

    /// An event's own label counts, or without one it is genuine.
    fn matures(&mut self, shard: usize, at: usize) -> Option<(Event, bool)> {
        if let Some(LabelsFrom::Column { .. }) = self.labels_from() {
            let mut event = self.waiting[shard].remove(at).event;
            event.label = Some(event.label.unwrap_or(false));
            return Some((event, false));
        }
        let kept = &mut self.waiting[shard][at];
        kept.known = Some((false, None));
        Some((Event { label: Some(false), ..kept.event.clone() }, false))
    }

    /// A label counts; the event as it is known now, and whether it was known before, where that changes.
    fn counts_now(&mut self, shard: usize, at: usize) -> Option<(Event, bool)> {
        let label = self.announced[shard].remove(at);
        let Some(LabelsFrom::Input { span_ms, .. }) = self.labels_from() else { return None };
        let own =
            |kept: &&mut Waiting| kept.event.id == label.id && label.known_ms < kept.event.time_ms + span_ms;
        let Some(kept) = self.waiting[shard].iter_mut().find(own) else {
            self.labels_without_event += 1;
            return None;
        };
        // "The one that is known later is the label": any is, to an event that is genuine by its age.
        if kept.known.is_some_and(|(_, since)| since.is_some_and(|since| label.known_ms < since)) {
            return None;
        }
        let before = kept.known.map(|(is_fraud, _)| is_fraud);
        kept.known = Some((label.is_fraud, Some(label.known_ms)));
        let event = Event { label: Some(label.is_fraud), ..kept.event.clone() };
        (before != Some(label.is_fraud)).then_some((event, before.is_some()))
    }

    /// §7: an accepted event waits for its label, or for its maturity where it has none, or is kept for labels to come.
    pub(super) fn await_label(&mut self, event: &Event, stream_time: i64) {
        let (Some(labels), Some(_)) = (self.settings.labels.clone(), self.label_tier()) else { return };
        let at = (self.settings.shard_of_id)(event.id);
        // "Beside a label no flag is looked at."
        let mut waits = event.clone();
        waits.conditions.resize(event.conditions.len() + self.settings.flags.len(), false);
        match labels.from {
            LabelsFrom::Column { waiting_max, .. } => {
                if event.label.is_none() && labels.maturity_ms.is_none() {
                    return;
                }
                if self.waiting[at].len() >= waiting_max {
                    self.lost_labels += 1;
                    return;
                }
                self.waiting[at].push(Waiting { event: waits, known: None });
            }
            LabelsFrom::Input { span_ms, bytes, .. } => {
                self.waiting[at].retain(|kept| kept.event.id != event.id);
                if event.time_ms + span_ms <= stream_time {
                    return;
                }
                waits.label = None;
                self.waiting[at].push(Waiting { event: waits, known: None });
                self.make_room(at, bytes);
            }
        }
    }

    fn labels_from(&self) -> Option<LabelsFrom> {
        self.settings.labels.as_ref().map(|labels| labels.from.clone())
    }

    fn waiting_bytes(&self, shard: usize) -> u64 {
        let Some(LabelsFrom::Input { event_bytes, label_bytes, .. }) = self.labels_from() else { return 0 };
        self.waiting[shard].len() as u64 * event_bytes + self.announced[shard].len() as u64 * label_bytes
    }
}
