//! What a consumer of the outputs does: the first line of each id passes, and the same id with other bytes is an alarm.
//!
//! streams, at least once -> **dedupe** -> each line once
//!
//! A stream may hold a line twice: what is sent again after a lost answer or a crash is the same bytes. The id is `decision_id`
//! where a line has one, else `event_id`.
//!
//! Holds: memory is bounded by the number of ids; past it the id seen first is forgotten, and a later copy of it passes again.
//! A line without an id passes. Not here: where lines come from.

use crate::member;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufRead, Read, Write};

/// The longest line: a record of a stream has at most 10 MiB.
const LINE_MAX: u64 = 64 * 1024 * 1024;

/// What is to be done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its id is new.
    First,
    /// The same was there.
    Again,
    /// The id was there with other bytes: somebody decided twice.
    Conflict,
    /// It has no id.
    Nameless,
}

/// The ids seen last.
#[derive(Debug)]
pub struct Dedupe {
    /// Hash of an id -> hash of its line.
    seen: HashMap<u128, u64>,
    order: VecDeque<u128>,
    ids_max: usize,
}

/// What came of a stream of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub lines: u64,
    pub passed: u64,
    pub repeated: u64,
    pub conflicting: u64,
}

impl Dedupe {
    /// Remembers so many ids, some 60 bytes each.
    pub fn new(ids_max: usize) -> Self {
        Self { seen: HashMap::new(), order: VecDeque::new(), ids_max: ids_max.max(1) }
    }

    /// The id of a line, as it stands there.
    pub fn id(line: &[u8]) -> Option<&[u8]> {
        member::raw(line, "decision_id").or_else(|| member::raw(line, "event_id"))
    }

    /// Looks at a line, without its end.
    pub fn see(&mut self, line: &[u8]) -> Verdict {
        let Some(id) = Self::id(line) else { return Verdict::Nameless };
        // Two hashes: of a thousand million ids two share both by a chance of one in 10^20.
        let id = u128::from(hash(0, id)) << 64 | u128::from(hash(1, id));
        let bytes = hash(2, line);
        if let Some(before) = self.seen.get(&id) {
            return if *before == bytes { Verdict::Again } else { Verdict::Conflict };
        }
        if self.order.len() == self.ids_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(id);
        self.seen.insert(id, bytes);
        Verdict::First
    }

    /// Passes lines on; `alarm` hears the id of each that was there with other bytes, which does not pass.
    pub fn pass(
        &mut self,
        mut from: impl BufRead,
        mut to: impl Write,
        mut alarm: impl FnMut(&str),
    ) -> io::Result<Counts> {
        let (mut counts, mut line) = (Counts::default(), Vec::new());
        loop {
            line.clear();
            from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                to.flush()?;
                return Ok(counts);
            }
            let text = line.trim_ascii_end();
            if text.len() as u64 >= LINE_MAX - 1 {
                return Err(io::Error::other(format!("line {} is longer than 64 MiB", counts.lines + 1)));
            }
            if text.is_empty() {
                continue;
            }
            counts.lines += 1;
            match self.see(text) {
                Verdict::First | Verdict::Nameless => {
                    counts.passed += 1;
                    to.write_all(text)?;
                    to.write_all(b"\n")?;
                }
                Verdict::Again => counts.repeated += 1,
                Verdict::Conflict => {
                    counts.conflicting += 1;
                    let id = Self::id(text).unwrap_or_default();
                    alarm(&String::from_utf8_lossy(id));
                }
            }
        }
    }
}

fn hash(which: u8, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(which);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ids_max: usize, lines: &str, passed: &str, alarms: &[&str]) {
        let (mut out, mut heard) = (Vec::new(), Vec::new());
        let counts = Dedupe::new(ids_max).pass(lines.as_bytes(), &mut out, |id| heard.push(id.to_owned()));
        let counts = counts.expect("memory does not fail");
        assert_eq!(String::from_utf8(out).expect("text"), passed);
        assert_eq!(heard, alarms);
        assert_eq!(counts.lines, counts.passed + counts.repeated + counts.conflicting);
    }

    const A: &str = "{\"event_id\":\"a\",\"score\":1}\n";
    const A2: &str = "{\"event_id\":\"a\",\"score\":2}\n";
    const B: &str = "{\"event_id\":\"b\",\"score\":1}\n";

    #[test]
    fn the_first_of_each_id_passes() {
        check(10, &[A, B, A, A].concat(), &[A, B].concat(), &[]);
        check(10, A.trim_end(), A, &[]);
        check(10, "{\"partition\":0}\n{\"partition\":0}\n", "{\"partition\":0}\n{\"partition\":0}\n", &[]);
    }

    #[test]
    fn the_same_id_with_other_bytes_is_an_alarm() {
        check(10, &[A, A2, B].concat(), &[A, B].concat(), &["\"a\""]);
    }

    #[test]
    fn decisions_go_by_their_own_id() {
        let first = "{\"decision_id\":\"1\",\"event_id\":\"a\"}\n";
        let second = "{\"decision_id\":\"2\",\"event_id\":\"a\"}\n";
        check(10, &[first, second, first].concat(), &[first, second].concat(), &[]);
    }

    #[test]
    fn memory_is_bounded_by_ids() {
        check(1, &[A, B, A].concat(), &[A, B, A].concat(), &[]);
        let mut dedupe = Dedupe::new(100);
        for number in 0..10_000 {
            dedupe.see(format!("{{\"event_id\":{number}}}").as_bytes());
        }
        assert_eq!((dedupe.seen.len(), dedupe.order.len()), (100, 100));
    }
}
