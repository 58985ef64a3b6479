//! Many events in one record, as Kinesis's producer library puts them.
//!
//! events of a shard -> **kpl** -> a record: `F3 89 9A C2`, a protobuf message (keys, then events with the index of theirs), its MD5
//!
//! Written by hand and not by the service's own reader of it, so that each is held to the other.

use md5::{Digest, Md5};
use std::collections::HashMap;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// Fields of the message, each of a length that stands before it: a partition key, an event; of an event its key's index and its bytes.
const KEY: u8 = 1 << 3 | 2;
const EVENT: u8 = 3 << 3 | 2;
const EVENT_KEY: u8 = 1 << 3;
const EVENT_DATA: u8 = 3 << 3 | 2;

/// A record that is being filled.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    keys: Vec<u8>,
    places: HashMap<String, u64>,
    events: Vec<u8>,
    len: usize,
}

impl Aggregate {
    /// One more event under its partition key.
    pub fn push(&mut self, key: &str, data: &[u8]) {
        let next = self.places.len() as u64;
        let place = match self.places.get(key) {
            Some(&place) => place,
            None => {
                field(KEY, key.as_bytes(), &mut self.keys);
                self.places.insert(key.to_owned(), next);
                next
            }
        };
        let mut event = vec![EVENT_KEY];
        varint(place, &mut event);
        field(EVENT_DATA, data, &mut event);
        field(EVENT, &event, &mut self.events);
        self.len += 1;
    }

    /// Events in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it would be.
    pub fn size(&self) -> usize {
        MAGIC.len() + self.keys.len() + self.events.len() + size_of::<[u8; 16]>()
    }

    /// Bytes that it would be with this event too.
    pub fn size_with(&self, key: &str, data: &[u8]) -> usize {
        let place = self.places.get(key).copied();
        let key_bytes = if place.is_none() { field_bytes(key.len()) } else { 0 };
        let event_bytes =
            1 + varint_bytes(place.unwrap_or(self.places.len() as u64)) + field_bytes(data.len());
        self.size() + key_bytes + field_bytes(event_bytes)
    }

    /// The record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let digest = Md5::new().chain_update(&self.keys).chain_update(&self.events).finalize();
        [&MAGIC[..], &self.keys, &self.events, digest.as_slice()].concat()
    }
}

/// Where the service puts a partition key among the hash keys of a stream.
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

fn field(tag: u8, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(tag);
    varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// Bytes of a field with so many.
fn field_bytes(bytes: usize) -> usize {
    1 + varint_bytes(bytes as u64) + bytes
}

/// Bytes of such a number.
fn varint_bytes(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Seven bits a byte, the lowest first; the top bit says that more come.
fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number > 0x7F {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_keys_events_and_a_digest() {
        let mut aggregate = Aggregate::default();
        assert!(aggregate.is_empty());
        let long = [b'x'; 200];
        for (key, data) in [("a", &b"one"[..]), ("bc", &long), ("a", b"")] {
            aggregate.push(key, data);
        }
        let mut message = vec![0x0A, 1, b'a', 0x0A, 2, b'b', b'c'];
        message.extend([0x1A, 7, 0x08, 0, 0x1A, 3, b'o', b'n', b'e']);
        // 205 is 1 times 128 and 77, 200 is 1 times 128 and 72.
        message.extend([0x1A, 0x80 + 77, 1, 0x08, 1, 0x1A, 0x80 + 72, 1]);
        message.extend(long);
        message.extend([0x1A, 4, 0x08, 0, 0x1A, 0]);
        let bytes = aggregate.to_bytes();
        let digest = Md5::digest(&message);
        assert_eq!(bytes, [&[0xF3, 0x89, 0x9A, 0xC2][..], &message, digest.as_slice()].concat());
        assert_eq!((aggregate.len(), aggregate.size()), (3, bytes.len()));
    }

    #[test]
    fn what_it_would_be_is_what_it_becomes() {
        let mut aggregate = Aggregate::default();
        for n in 0..400 {
            // Some keys twice; indexes, keys and events of one and two bytes of length, and of three.
            let (key, data) = ("k".repeat(1 + n % 200), vec![b'x'; n * n / 4]);
            let with = aggregate.size_with(&key, &data);
            aggregate.push(&key, &data);
            assert_eq!(aggregate.size(), with, "event {n}");
        }
    }

    #[test]
    fn a_hash_key_is_the_md5_of_a_partition_key() {
        assert_eq!(hash_key(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    }
}
