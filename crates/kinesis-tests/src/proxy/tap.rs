//! When records came past: what a server that stamps whole seconds cannot say, and what a service never does, namely when a consumer had
//! a record in its hands.
//!
//! A line of JSON each, `{"stream":…,"way":"put"|"given","event_id":…,"at_us":…}`, microseconds since 1970: `put` when the last byte of a call that
//! brings the record is there, before anything is made of it and before the server has it; `given` when an answer with it leaves. What
//! lies between the two at whoever reads one stream and puts into another is its own time, and that of the loopback.
//!
//! Holds: a record without an `event_id` has no line, a KPL aggregate has one for each of its parts; what a line costs is done on a thread of its
//! own, since the time of whoever is measured would have it in it. Not here: what is made of the lines (`loadgen measure`).

use cartguard_shards::aggregate;
use hyper::body::Bytes;
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Clones write into the same file.
#[derive(Clone, Debug)]
pub struct Tap(Sender<Passed>);

/// What a tap's thread hears of.
#[derive(Debug)]
enum Passed {
    Records {
        at_us: u64,
        way: &'static str,
        stream: String,
        content: Content,
    },
    /// Whether all before it is in the file is asked.
    Settle(Sender<()>),
}

#[derive(Debug)]
enum Content {
    /// A call, an answer: JSON.
    Body(Bytes),
    /// An event of a subscription: prelude of 12 bytes, headers, JSON, CRC.
    Event(Bytes),
}

impl Tap {
    /// Into a file that is new or begun anew.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let mut to = BufWriter::new(File::create(path)?);
        let (tap, passed) = channel();
        let write = move || write_all(&passed, &mut to);
        thread::Builder::new().name("stamps".to_owned()).spawn(write)?;
        Ok(Self(tap))
    }

    /// Waits until the file has everything that came past so far.
    pub fn settle(&self) {
        let (done, is_done) = channel();
        if self.0.send(Passed::Settle(done)).is_ok() {
            // The thread writes what it can, and then says so.
            let _ = is_done.recv();
        }
    }

    /// The records of a call, or the record that it is.
    pub(super) fn put(&self, stream: &str, at_us: u64, call: Bytes) {
        self.pass(stream, "put", at_us, Content::Body(call));
    }

    /// The records of an answer.
    pub(super) fn given(&self, stream: &str, answer: Bytes) {
        self.pass(stream, "given", now_us(), Content::Body(answer));
    }

    /// The records of an event of a subscription.
    pub(super) fn given_event(&self, stream: &str, event: Bytes) {
        self.pass(stream, "given", now_us(), Content::Event(event));
    }

    fn pass(&self, stream: &str, way: &'static str, at_us: u64, content: Content) {
        // Whoever measures finds that lines are lacking.
        let _ = self.0.send(Passed::Records { at_us, way, stream: stream.to_owned(), content });
    }
}

pub(super) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// The thread's life: until nobody passes anything any more.
fn write_all(passed: &Receiver<Passed>, to: &mut impl Write) {
    for passed in passed {
        match passed {
            Passed::Records { at_us, way, stream, content } => {
                for id in content.ids() {
                    let line =
                        serde_json::json!({ "stream": stream, "way": way, "event_id": id, "at_us": at_us });
                    let _ = writeln!(to, "{line}");
                }
                let _ = to.flush();
            }
            Passed::Settle(done) => {
                let _ = done.send(());
            }
        }
    }
}

impl Content {
    fn ids(&self) -> Vec<String> {
        let body = match self {
            Self::Body(body) => Some(&body[..]),
            Self::Event(event) => json_of(event),
        };
        let Some(Ok(body)) = body.map(serde_json::from_slice::<Value>) else { return Vec::new() };
        let records = body["Records"].as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
        let data = records.iter().filter_map(|record| record["Data"].as_str());
        data.flat_map(|data| ids_in(of_base64(data).into())).collect()
    }
}

fn json_of(event: &[u8]) -> Option<&[u8]> {
    let headers = event.get(4..8)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    event.get(12 + headers as usize..event.len().checked_sub(4)?)
}

/// The ids of a record, or of what a producer put into it.
fn ids_in(data: Bytes) -> Vec<String> {
    let parts = match aggregate::parts(&data, None) {
        Ok(Some(parts)) => parts.payloads,
        Ok(None) | Err(_) => vec![data],
    };
    let id = |part: &Bytes| {
        let event: Value = serde_json::from_slice(part).ok()?;
        event["event_id"].as_str().map(str::to_owned)
    };
    parts.iter().filter_map(id).collect()
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
