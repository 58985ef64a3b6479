//! When records came past: what a server that stamps whole seconds cannot say, and what a service never does, namely when a consumer had
//! a record in its hands.
//!
//! A line of JSON each, `{"stream":…,"way":"put"|"given","event_id":…,"at_us":…}`, microseconds since 1970: `put` when a call that brings the record
//! is there whole, before the server has it; `given` when an answer with it leaves. What lies between the two at whoever reads one stream
//! and puts into another is its own time, and that of the loopback.
//!
//! Holds: a record without an `event_id` has no line. Not here: what is made of the lines (`loadgen measure`).

use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Clones write into the same file.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Mutex<BufWriter<File>>>);

impl Tap {
    /// Into a file that is new or begun anew.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(BufWriter::new(File::create(path)?)))))
    }

    /// The records of a call, or the record that it is.
    pub(super) fn put(&self, stream: &str, call: &Value) {
        match call["Records"].as_array() {
            Some(records) => self.stamp("put", stream, records),
            None => self.stamp("put", stream, std::slice::from_ref(call)),
        }
    }

    /// The records of an answer or of an event.
    pub(super) fn given(&self, stream: &str, answer: &Value) {
        self.stamp("given", stream, answer["Records"].as_array().map_or(&[][..], Vec::as_slice));
    }

    /// The records of an event of a subscription: prelude of 12 bytes, headers, JSON, CRC.
    pub(super) fn given_event(&self, stream: &str, event: &[u8]) {
        let headers =
            event.get(4..8).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let end = event.len().saturating_sub(4);
        if let Some(payload) = event.get(12 + headers as usize..end)
            && let Ok(answer) = serde_json::from_slice(payload)
        {
            self.given(stream, &answer);
        }
    }

    fn stamp(&self, way: &str, stream: &str, records: &[Value]) {
        let at_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let mut to = self.0.lock().expect("no thread panics with it");
        for record in records {
            let data = record["Data"].as_str().map(of_base64).unwrap_or_default();
            let Ok(event) = serde_json::from_slice::<Value>(&data) else { continue };
            let Some(id) = event["event_id"].as_str() else { continue };
            let line =
                serde_json::json!({ "stream": stream, "way": way, "event_id": id, "at_us": at_us as u64 });
            // Whoever measures finds that lines are lacking.
            let _ = writeln!(to, "{line}");
        }
        let _ = to.flush();
    }
}

/// The bytes of a base64 text; up to the first that is none.
fn of_base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in text.bytes().map_while(digit) {
        held = held << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg==", b"foob")]
        {
            assert_eq!(of_base64(text), bytes, "{text}");
        }
        assert_eq!(of_base64("+/+/"), [0xfb, 0xff, 0xbf]);
    }
}
