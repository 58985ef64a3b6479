//! Events into records: each into one of its own, or many of a shard into one.
//!
//! event -> **pack** -> records of a call
//!
//! As the producer library does it: an aggregate holds events of one shard, by the shards that there were at the beginning (after a split some
//! lie in the other child, which a consumer has to bear); the record has the key of its first event; an event that nobody joins goes as it is.
//!
//! Holds: events of a shard keep their order. Not here: when a call is made.

use super::id;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use loadgen::kpl::{Aggregate, hash_key};
use std::collections::BTreeMap;

/// Of an aggregate, and the longest that an event waits in one: the producer library's own defaults.
const AGGREGATE_BYTES: usize = 51_200;
const WAIT_NS: u64 = 100_000_000;

/// What is known of an event that is on its way.
pub(super) struct Event {
    pub(super) due_ns: u64,
    pub(super) id: String,
    pub(super) bytes: usize,
}

/// A record of a call, and the events in it.
pub(super) struct Packed {
    pub(super) record: PutRecordsRequestEntry,
    pub(super) events: Vec<Event>,
}

impl Packed {
    /// As the service counts them.
    pub(super) fn bytes(&self) -> usize {
        self.record.data().as_ref().len() + self.record.partition_key().map_or(0, str::len)
    }
}

/// See the module.
pub(super) struct Packer {
    events_max: usize,
    /// The last hash key of each shard, ascending.
    shards: Vec<u128>,
    /// By shard, what is being filled.
    open: BTreeMap<usize, Open>,
}

#[derive(Default)]
struct Open {
    aggregate: Aggregate,
    first: (String, Vec<u8>),
    events: Vec<Event>,
}

impl Packer {
    /// Into each record so many events at most; `shards`: the last hash key of each.
    pub(super) fn new(events_max: usize, mut shards: Vec<u128>) -> Self {
        shards.sort_unstable();
        Self { events_max, shards, open: BTreeMap::new() }
    }

    /// Takes an event; the record that is full with it or, where it has no room, without it.
    pub(super) fn push(&mut self, key: &str, data: &[u8], due_ns: u64) -> anyhow::Result<Option<Packed>> {
        let event = Event { due_ns, id: id(data).unwrap_or_default().to_owned(), bytes: data.len() };
        if self.events_max == 1 {
            return Ok(Some(Packed { record: record(key, data.to_vec())?, events: vec![event] }));
        }
        let hash = hash_key(key);
        let open = self.open.entry(self.shards.partition_point(|last| *last < hash)).or_default();
        let has_room = open.aggregate.size_with(key, data) <= AGGREGATE_BYTES;
        let mut full = None;
        if !open.events.is_empty() && !has_room {
            full = Some(std::mem::take(open).close()?);
        }
        if open.events.is_empty() {
            open.first = (key.to_owned(), data.to_vec());
        }
        open.aggregate.push(key, data);
        open.events.push(event);
        // Never with the other: it holds two at least.
        if open.events.len() >= self.events_max {
            full = Some(std::mem::take(open).close()?);
        }
        Ok(full)
    }

    /// When the first that waits has waited long enough, ns.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let firsts = self.open.values().filter_map(|open| open.events.first());
        firsts.map(|first| first.due_ns.saturating_add(WAIT_NS)).min()
    }

    /// The one that has waited longest, if it has long enough by then.
    pub(super) fn take(&mut self, now_ns: u64) -> anyhow::Result<Option<Packed>> {
        let first_ns = |open: &Open| open.events.first().map(|first| first.due_ns);
        let waiting = self.open.values_mut().filter(|open| !open.events.is_empty());
        let Some(open) = waiting.min_by_key(|open| first_ns(open)) else { return Ok(None) };
        let is_due = first_ns(open).is_some_and(|first_ns| first_ns.saturating_add(WAIT_NS) <= now_ns);
        if is_due { std::mem::take(open).close().map(Some) } else { Ok(None) }
    }

    /// Events that wait.
    pub(super) fn waiting(&self) -> usize {
        self.open.values().map(|open| open.events.len()).sum()
    }
}

impl Open {
    fn close(self) -> anyhow::Result<Packed> {
        let (key, data) = self.first;
        let data = if self.events.len() == 1 { data } else { self.aggregate.to_bytes() };
        Ok(Packed { record: record(&key, data)?, events: self.events })
    }
}

fn record(key: &str, data: Vec<u8>) -> anyhow::Result<PutRecordsRequestEntry> {
    Ok(PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize) -> Vec<u8> {
        format!("{{\"event_id\":\"e{n}\"}}").into_bytes()
    }

    fn ids(packed: &Packed) -> Vec<&str> {
        packed.events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn by_itself_each_event_is_a_record() {
        let mut packer = Packer::new(1, Vec::new());
        let packed = packer.push("k", &event(1), 7).expect("a record").expect("at once");
        assert_eq!(
            (packed.record.partition_key(), packed.record.data().as_ref()),
            (Some("k"), &event(1)[..])
        );
        assert_eq!((ids(&packed), packed.events[0].due_ns), (vec!["e1"], 7));
        assert_eq!((packer.waiting(), packer.next_ns()), (0, None));
    }

    #[test]
    fn an_aggregate_holds_events_of_one_shard_until_it_is_full_or_old() {
        let half = u128::MAX / 2;
        let keys = || (0..20).map(|n| format!("k{n}"));
        let upper: Vec<String> = keys().filter(|key| hash_key(key) > half).collect();
        let lower: Vec<String> = keys().filter(|key| hash_key(key) <= half).collect();
        let mut packer = Packer::new(3, vec![u128::MAX, half]);
        for (n, key) in [&upper[0], &lower[0], &upper[1]].into_iter().enumerate() {
            assert!(packer.push(key, &event(n), n as u64).expect("a record").is_none());
        }
        let full = packer.push(&upper[0], &event(3), 3).expect("a record").expect("the third of its shard");
        assert_eq!(ids(&full), ["e0", "e2", "e3"]);
        assert_eq!(full.record.partition_key(), Some(upper[0].as_str()));
        let mut aggregate = Aggregate::default();
        for (key, n) in [(&upper[0], 0), (&upper[1], 2), (&upper[0], 3)] {
            aggregate.push(key, &event(n));
        }
        assert_eq!(full.record.data().as_ref(), aggregate.to_bytes());
        // Nobody joined the other, which goes as it is once it has waited.
        assert_eq!((packer.waiting(), packer.next_ns()), (1, Some(1 + WAIT_NS)));
        assert!(packer.take(WAIT_NS).expect("no record").is_none());
        let alone = packer.take(1 + WAIT_NS).expect("a record").expect("one that waited");
        assert_eq!((ids(&alone), alone.record.data().as_ref()), (vec!["e1"], &event(1)[..]));
        assert_eq!(packer.waiting(), 0);
    }

    #[test]
    fn an_aggregate_is_closed_before_it_is_too_large() {
        let mut events = 0;
        for bytes in AGGREGATE_BYTES / 2 - 100..AGGREGATE_BYTES / 2 {
            let mut packer = Packer::new(100, vec![u128::MAX]);
            let event = vec![b'x'; bytes];
            let mut push = |n| packer.push("k", &event, n).expect("a record");
            assert!(push(0).is_none());
            let full = push(1).or_else(|| push(2)).expect("no room for a third");
            assert!(full.record.data().as_ref().len() <= AGGREGATE_BYTES, "two of {bytes} bytes");
            events += full.events.len();
        }
        assert!(events > 100 && events < 200, "some have room for two, some for one");
    }
}
