//! Labels: out of a file, or out of a column of the history.
//!
//! file -> **labels** -> `gather`
//!
//! A file has `event_id`, `label` (`fraud` or `legit`), `known_at` and perhaps `kind` and `attack`, as JSON lines, CSV or Parquet. Of
//! several labels of one event the last that is known at a time is its truth at that time; its kind and attack are the last named.
//!
//! Holds: a line that is no label is a refusal that names file and line; nothing is guessed.

use super::gather::unescaped;
use crate::exit::Refusal;
use anyhow::Context;
use cartguard_engine::decode::label::LabelDecoder;
use cartguard_engine::record::{Form, PlaceRef, Records};
use cartguard_engine::reject::Reject;
use cartguard_io::{FileSource, Read, Source};
use cartguard_train::metrics::scenarios::Story;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

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
    /// Of the events whose labels name a kind or an attack.
    stories: HashMap<String, (i64, Story)>,
    kinds: Names,
    attacks: Names,
}

/// Texts by the order in which they were met.
#[derive(Debug, Default)]
struct Names {
    places: HashMap<String, usize>,
    list: Vec<String>,
}

impl Names {
    fn place(&mut self, name: String) -> usize {
        *self.places.entry(name).or_insert_with_key(|name| {
            self.list.push(name.clone());
            self.list.len() - 1
        })
    }
}

/// What a label may have besides.
#[derive(Deserialize)]
struct Besides {
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    attack: Value,
}

/// A line that is a label.
#[derive(Debug, PartialEq, Eq)]
struct Label {
    event_id: String,
    known: Known,
    kind: Option<String>,
    attack: Option<String>,
}

impl LabelFile {
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut source = FileSource::open(paths)?;
        let mut records = Records::default();
        let mut file = Self::default();
        // Ids are told apart by their texts here.
        let mut decoder = LabelDecoder::new(0);
        while source.read(&mut records, 1 << 20, 8_192)? != Read::End {
            for (at, meta) in records.list.iter().enumerate() {
                let form = Form::Label { is_row: meta.form == Form::Row };
                let label = label(&mut decoder, records.bytes_of(at), form).map_err(|what| {
                    let name = &source.partitions()[meta.partition as usize];
                    let line = match records.place_of(at) {
                        PlaceRef::Row { line, .. } => format!(": line {line}"),
                        PlaceRef::Sequence { .. } => String::new(),
                    };
                    Refusal(format!("{name}{line}: no label: {what}"))
                })?;
                file.push(label);
            }
        }
        for list in file.by_id.values_mut() {
            // Stable: of two that became known together the later line is the last.
            list.sort_by_key(|known| known.at_ms);
        }
        Ok(file)
    }

    fn push(&mut self, label: Label) {
        let Label { event_id, known, kind, attack } = label;
        if kind.is_some() || attack.is_some() {
            let story = Story {
                kind: kind.map(|kind| self.kinds.place(kind) as u32),
                attack: attack.map(|attack| self.attacks.place(attack) as u64),
            };
            let last = self.stories.entry(event_id.clone()).or_insert((known.at_ms, story));
            if last.0 <= known.at_ms {
                *last = (known.at_ms, story);
            }
        }
        self.by_id.entry(event_id).or_default().push(known);
    }

    /// What the labels of an event say of it besides fraud or not, where they do.
    pub(super) fn story_of(&self, id: &str) -> Option<Story> {
        self.stories.get(id).map(|(_, story)| *story)
    }

    /// Names of the kinds, by their places in stories.
    pub(super) fn kinds(&self) -> &[String] {
        &self.kinds.list
    }

    pub(super) fn of(&self, id: &str) -> &[Known] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }

    /// How many events have labels.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

fn label(decoder: &mut LabelDecoder, bytes: &[u8], form: Form) -> Result<Label, String> {
    let label = decoder.decode(bytes, form).map_err(Reject::of_label)?;
    let event_id = unescaped(label.id).into_owned();
    let known = Known { fraud: label.is_fraud, at_ms: label.known_ms };
    let Besides { kind, attack } =
        serde_json::from_slice(bytes).map_err(|_| "the record is not valid JSON".to_owned())?;
    let (kind, attack) = (name(kind, "kind")?, name(attack, "attack")?);
    Ok(Label { event_id, known, kind, attack })
}

/// A name as text; absent, null and empty are none.
fn name(value: Value, what: &str) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(format!("{what} is neither a text nor a number")),
    }
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
        let of = |id: &str, known, kind: Option<&str>, attack: Option<&str>| {
            let text = |text: &str| text.to_owned();
            Ok(Label { event_id: text(id), known, kind: kind.map(text), attack: attack.map(text) })
        };
        let label = |bytes: &[u8]| label(&mut LabelDecoder::new(0), bytes, Form::Label { is_row: false });
        let good =
            br#"{"event_id":"\u0061","label":"fraud","known_at":"2000-01-01T00:00:02Z","kind":"x","attack":7}"#;
        assert_eq!(label(good), of("a", known(946_684_802_000, true), Some("x"), Some("7")));
        let number =
            br#"{"event_id":17,"label":"legit","known_at":"2000-01-01 00:00:01","kind":"","attack":null}"#;
        assert_eq!(label(number), of("17", known(946_684_801_000, false), None, None));
        for (bad, what) in [
            (&br#"{"event_id":"a","label":"fraud"}"#[..], "`known_at` of the label is required"),
            (
                br#"{"event_id":"a","label":"maybe","known_at":"2000-01-01T00:00:02Z"}"#,
                "`label` of the label is neither fraud nor legit",
            ),
            (
                br#"{"event_id":"a","label":"fraud","known_at":"soon"}"#,
                "`known_at` of the label cannot be read",
            ),
            (
                br#"{"event_id":null,"label":"fraud","known_at":"2000-01-01T00:00:02Z"}"#,
                "`event_id` of the label is required",
            ),
            (
                br#"{"event_id":1,"label":"fraud","known_at":"2000-01-01T00:00:02Z","attack":[1]}"#,
                "attack is neither",
            ),
        ] {
            assert!(label(bad).expect_err("bad").contains(what), "{what}");
        }
    }

    #[test]
    fn an_event_has_the_kind_that_was_named_last() {
        let mut file = LabelFile::default();
        let mut told = |at_ms, kind: Option<&str>, attack: Option<&str>| {
            file.push(Label {
                event_id: "a".to_owned(),
                known: Known { fraud: true, at_ms },
                kind: kind.map(str::to_owned),
                attack: attack.map(str::to_owned),
            });
            file.story_of("a")
        };
        assert_eq!(told(5, None, None), None);
        assert_eq!(told(5, Some("farm"), Some("3")), Some(Story { kind: Some(0), attack: Some(0) }));
        assert_eq!(told(9, Some("theft"), None), Some(Story { kind: Some(1), attack: None }));
        assert_eq!(told(7, Some("farm"), None), Some(Story { kind: Some(1), attack: None }), "known earlier");
        assert_eq!(file.kinds(), ["farm", "theft"]);
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
