//! Labels: out of a file, or out of a column of the history.
//!
//! file -> **labels** -> `gather`
//!
//! A file has `event_id`, `label` (`fraud` or `legit`), `known_at` and perhaps `kind`, as JSON lines, CSV or Parquet. Of several
//! labels of one event the last that is known at a time is its truth at that time.
//!
//! Holds: a line that is no label is a refusal that names file and line; nothing is guessed.

use crate::exit::Refusal;
use anyhow::Context;
use cartguard_engine::record::{PlaceRef, Records};
use cartguard_io::{FileSource, Read, Source};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// What was found out about an event, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) fraud: bool,
    pub(crate) at_ms: i64,
}

/// A file of labels, by event id, each event's in the order in which they became known.
#[derive(Debug, Default)]
pub(super) struct LabelFile {
    by_id: HashMap<String, Vec<Known>>,
}

#[derive(Deserialize)]
struct Line {
    event_id: Value,
    label: Value,
    known_at: Value,
}

impl LabelFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut source = FileSource::open(&[path])?;
        let mut records = Records::default();
        let mut file = Self::default();
        while source.read(&mut records, 1 << 20, 8_192)? != Read::End {
            for at in 0..records.len() {
                let place = || match records.place_of(at) {
                    PlaceRef::Row { line, .. } => format!("{}: line {line}", path.display()),
                    PlaceRef::Sequence { .. } => path.display().to_string(),
                };
                let (id, known) =
                    label(records.bytes_of(at)).map_err(|what| Refusal(format!("{}: {what}", place())))?;
                file.by_id.entry(id).or_default().push(known);
            }
        }
        for list in file.by_id.values_mut() {
            // Stable: of two that became known together the later line is the last.
            list.sort_by_key(|known| known.at_ms);
        }
        Ok(file)
    }

    pub(super) fn of(&self, id: &str) -> &[Known] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }

    /// How many events have labels.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

fn label(bytes: &[u8]) -> Result<(String, Known), String> {
    let line: Line = serde_json::from_slice(bytes)
        .map_err(|_| "no label; event_id, label and known_at are needed".to_owned())?;
    let id = match line.event_id {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return Err("event_id is neither a text nor a number".to_owned()),
    };
    let fraud = truth(&line.label).ok_or("label is none of \"fraud\" and \"legit\"")?;
    let Value::String(text) = &line.known_at else {
        return Err("known_at is no time such as \"2026-01-31T12:00:00Z\"".to_owned());
    };
    let at_ms = super::time(text).ok_or("known_at is no time such as \"2026-01-31T12:00:00Z\"")?;
    Ok((id, Known { fraud, at_ms }))
}

/// Whether a value says fraud, or legit, or neither.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(fraud) => Some(*fraud),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(word) => match word.as_str() {
            "fraud" | "true" | "1" => Some(true),
            "legit" | "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// What a record's label column says; `None` where it is absent or null.
pub(super) fn of_record(bytes: &[u8], path: &[String]) -> anyhow::Result<Option<bool>> {
    let value = Member(path).deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    let Some(value) = value.context("a record that was accepted is JSON")? else { return Ok(None) };
    if value.is_null() {
        return Ok(None);
    }
    let fraud = truth(&value).ok_or_else(|| {
        let path = path.join(".");
        Refusal(format!(
            "labels.column = {path:?}: {value} says neither fraud (true, 1, \"fraud\") nor legit"
        ))
    })?;
    Ok(Some(fraud))
}

/// Reads one member of an object, by its path, and passes over the rest.
#[derive(Clone, Copy)]
struct Member<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() { Value::deserialize(from).map(Some) } else { from.deserialize_map(self) }
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (first, rest) = self.0.split_first().expect("asked for only where there is one");
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == first.as_str() {
                found = map.next_value_seed(Member(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_its_id_its_word_and_its_time() {
        let known = |at_ms, fraud| Known { fraud, at_ms };
        let good = br#"{"event_id":"a","label":"fraud","known_at":"1970-01-01T00:00:02Z","kind":"x"}"#;
        assert_eq!(label(good), Ok(("a".to_owned(), known(2_000, true))));
        let number = br#"{"event_id":17,"label":"legit","known_at":"1970-01-01 00:00:01"}"#;
        assert_eq!(label(number), Ok(("17".to_owned(), known(1_000, false))));
        for (bad, what) in [
            (&br#"{"event_id":"a","label":"fraud"}"#[..], "known_at are needed"),
            (br#"{"event_id":"a","label":"maybe","known_at":"1970-01-01T00:00:02Z"}"#, "label is none"),
            (br#"{"event_id":"a","label":"fraud","known_at":"soon"}"#, "known_at is no time"),
            (
                br#"{"event_id":null,"label":"fraud","known_at":"1970-01-01T00:00:02Z"}"#,
                "event_id is neither",
            ),
        ] {
            assert!(label(bad).expect_err("bad").contains(what), "{what}");
        }
    }

    #[test]
    fn a_column_is_found_by_its_path() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let record = br#"{"a":{"b":[1,{"fraud":0}],"fraud":1},"fraud":"legit","n":null,"\u0066":true,"x":7}"#;
        let found = |text: &str| of_record(record, &path(text)).map_err(|why| why.to_string());
        assert_eq!(found("a.fraud"), Ok(Some(true)));
        assert_eq!(found("fraud"), Ok(Some(false)));
        assert_eq!(found("f"), Ok(Some(true)), "an escaped name");
        assert_eq!(found("n"), Ok(None));
        assert_eq!(found("absent"), Ok(None));
        assert!(found("x").expect_err("7").contains("labels.column = \"x\": 7 says neither"));
    }
}
