//! When the next model is due, by the events themselves.
//!
//! records -> **schedule** -> where a batch is cut
//!
//! Holds: a step begins right before the first record that decodes with a time that reaches it, in the order of the sequence; steps
//! without an event are passed over. Times are those that the engine decides by.

use cartguard_engine::decode::Decoder;
use cartguard_engine::event::{EventMut, Head, MISSING, NO_KEY};
use cartguard_engine::record::{Form, Records};
use cartguard_engine::schema::Schema;
use std::ops::Range;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// The begins of steps.
pub(super) struct Schedule {
    decoder: Decoder,
    keys: Vec<u64>,
    slots: Vec<i64>,
    start_ms: i64,
    every_ms: i64,
    /// The begin of the first step and of the next; nothing before the first event.
    due: Option<(i64, i64)>,
}

impl Schedule {
    /// `start_ms` counts from midnight UTC of the first event.
    pub(super) fn new(schema: &Arc<Schema>, start_ms: i64, every_ms: i64) -> Self {
        Self {
            decoder: Decoder::new(Arc::clone(schema)),
            keys: vec![NO_KEY; schema.entities.len()],
            slots: vec![MISSING; schema.slots()],
            start_ms,
            every_ms,
            due: None,
        }
    }

    /// The first record, from `from` on, before which a model is due, and the time by which it knows what it knows.
    pub(super) fn next(&mut self, records: &Records, from: usize) -> Option<(usize, i64)> {
        for at in from..records.len() {
            let Some(time_ms) = self.time(records, at) else { continue };
            let (first, next) = *self.due.get_or_insert_with(|| {
                let first = time_ms.div_euclid(DAY_MS) * DAY_MS + self.start_ms;
                (first, first)
            });
            if time_ms >= next {
                let begin = first + (time_ms - first) / self.every_ms * self.every_ms;
                self.due = Some((first, begin + self.every_ms));
                return Some((at, begin));
            }
        }
        None
    }

    fn time(&mut self, records: &Records, at: usize) -> Option<i64> {
        let meta = &records.list[at];
        if matches!(meta.form, Form::Label { .. }) {
            return None;
        }
        let mut head = Head::default();
        let mut event = EventMut { head: &mut head, keys: &mut self.keys, slots: &mut self.slots };
        let decoded = self.decoder.decode(records.bytes_of(at), meta.form, meta.arrival_ms, &mut event);
        decoded.ok().map(|()| head.time_ms)
    }
}

/// Some records of a batch as a batch.
pub(super) fn part(records: &Records, range: Range<usize>) -> Records {
    Records { bytes: records.bytes.clone(), list: records.list[range].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, load};

    const NEW_YEAR_MS: i64 = 1_767_225_600_000;

    fn records(times: &[&str]) -> Records {
        let mut records = Records::default();
        for (at, time) in times.iter().enumerate() {
            let line =
                format!(r#"{{"event_id":"e{at}","event_time":"{time}","amount":"1.00","currency":"EUR"}}"#);
            records.push_json(line.as_bytes());
        }
        records
    }

    fn cuts(times: &[&str]) -> Vec<(usize, i64)> {
        let config =
            load(&Given::default()).map_err(|faults| format!("{faults:?}")).expect("defaults").config;
        let mut schedule = Schedule::new(config.schema(), 2 * DAY_MS, DAY_MS);
        let records = records(times);
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some((at, begin)) = schedule.next(&records, from) {
            found.push((at, (begin - NEW_YEAR_MS) / DAY_MS));
            from = at;
        }
        found
    }

    #[test]
    fn steps_count_from_midnight_and_begin_before_the_first_event_that_reaches_them() {
        let times = [
            "2026-01-01T18:00:00Z",
            "2026-01-02T23:59:59.999Z",
            "no time",
            "2026-01-03T00:00:00Z",
            "2026-01-02T23:00:00Z",
            "2026-01-03T12:00:00Z",
            "2026-01-04T00:00:00.001Z",
        ];
        assert_eq!(cuts(&times), [(3, 2), (6, 3)]);
    }

    #[test]
    fn steps_without_an_event_are_passed_over() {
        assert_eq!(
            cuts(&["2026-01-01T00:00:00Z", "2026-01-09T03:00:00Z", "2026-01-10T00:00:00Z"]),
            [(1, 8), (2, 9)]
        );
        assert_eq!(cuts(&["2026-01-01T00:00:00Z", "2026-01-02T03:00:00Z"]), []);
    }

    #[test]
    fn a_part_is_the_same_records() {
        let whole = records(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]);
        let part = part(&whole, 1..3);
        assert_eq!((part.len(), part.bytes_of(1)), (2, whole.bytes_of(2)));
    }
}
