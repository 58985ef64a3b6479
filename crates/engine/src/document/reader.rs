//! Reads a table key by key: what is asked for is known, what is left over at the end is a fault.

use super::{
    Faults, Layer, Node, Place, Table, Value, did_you_mean, duration, duration_text, size, size_text,
};
use std::ops::RangeInclusive;

/// A table being read.
pub struct Reader<'a> {
    table: &'a Table,
    place: &'a Place,
    path: String,
    faults: &'a Faults,
    asked: Vec<String>,
}

static EMPTY: Table = Table { entries: Vec::new() };

impl<'a> Reader<'a> {
    /// Reads the node of the dotted key `path`; a fault and an empty table where it is none.
    pub fn new(node: &'a Node, path: &str, faults: &'a Faults) -> Self {
        let table = if let Value::Table(table) = &node.value {
            table
        } else {
            let what = format!("{} is not a table; write [{path}] and its keys below it", shown(node));
            faults.add(&node.place, path, what);
            &EMPTY
        };
        Self { table, place: &node.place, path: path.to_owned(), faults, asked: Vec::new() }
    }

    /// The dotted key of a member.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the table stands.
    pub fn place(&self) -> &'a Place {
        self.place
    }

    /// Where a member stands, or else the table.
    pub fn place_of(&self, key: &str) -> &'a Place {
        self.table.get(key).map_or(self.place, |entry| &entry.node.place)
    }

    /// The faults that reading adds to.
    pub fn faults(&self) -> &'a Faults {
        self.faults
    }

    /// Adds a fault about a member.
    pub fn fault(&self, key: &str, what: impl Into<String>) {
        self.faults.add(self.place_of(key), &self.key(key), what);
    }

    /// Adds a fault about a member that another one makes necessary. Where the user gave only the other, its place is told.
    pub fn needed(&self, key: &str, by: &str, what: &str) {
        let own = self.place_of(key);
        let place = if own.layer == Layer::Default { self.place_of(by) } else { own };
        let value = self.table.get(by).map_or_else(String::new, |entry| shown(&entry.node));
        self.faults.add(place, &self.key(key), format!("{what}; {} = {value} needs it", self.key(by)));
    }

    /// The member as it stands.
    pub fn node(&mut self, key: &str) -> Option<&'a Node> {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_owned());
        }
        self.table.get(key).map(|entry| &entry.node)
    }

    /// The member, or a fault that says what belongs there.
    pub fn required(&mut self, key: &str, accepted: &str) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            self.fault(key, format!("is missing; {accepted}"));
        }
        node
    }

    /// All members of a table whose keys are free names.
    pub fn entries(&mut self) -> impl Iterator<Item = (&'a str, &'a Place, &'a Node)> + use<'a> {
        self.asked.extend(self.table.entries.iter().map(|entry| entry.key.clone()));
        self.table.entries.iter().map(|entry| (entry.key.as_str(), &entry.place, &entry.node))
    }

    /// A table below this one.
    pub fn table(&mut self, key: &str) -> Option<Reader<'a>> {
        let path = self.key(key);
        self.node(key).map(|node| Reader::new(node, &path, self.faults))
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let path = self.key(key);
        self.node(key).and_then(|node| text(node, &path, self.faults))
    }

    /// A text or a list of texts, each with its place.
    pub fn texts(&mut self, key: &str) -> Option<Vec<(String, &'a Place)>> {
        let path = self.key(key);
        let node = self.node(key)?;
        let Value::List(list) = &node.value else {
            return text(node, &path, self.faults).map(|text| vec![(text, &node.place)]);
        };
        list.iter().map(|node| text(node, &path, self.faults).map(|text| (text, &node.place))).collect()
    }

    /// One of these words, by index.
    pub fn one_of(&mut self, key: &str, words: &[&str]) -> Option<usize> {
        let word = self.text(key)?;
        let found = words.iter().position(|known| *known == word);
        if found.is_none() {
            let guess = did_you_mean(&word, words.iter().copied());
            self.fault(key, format!("{word:?} is not known; one of {}{guess}", words.join(", ")));
        }
        found
    }

    /// `true` or `false`.
    pub fn truth(&mut self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        let truth = match &node.value {
            Value::Truth(truth) => Some(*truth),
            Value::Loose(text) => text.parse().ok(),
            _ => None,
        };
        if truth.is_none() {
            self.fault(key, format!("{} is not true or false", shown(node)));
        }
        truth
    }

    /// A whole number within a range.
    pub fn integer(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let integer = match &node.value {
            Value::Integer(integer) => Some(*integer),
            Value::Loose(text) => text.parse().ok(),
            _ => None,
        };
        match integer {
            Some(integer) if range.contains(&integer) => Some(integer),
            _ => {
                let (low, high) = (range.start(), range.end());
                self.fault(key, format!("{} is not a whole number from {low} to {high}", shown(node)));
                None
            }
        }
    }

    /// A number within a range.
    pub fn number(&mut self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Integer(integer) => Some(*integer as f64),
            Value::Float(float) => Some(*float),
            Value::Loose(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let (low, high) = (range.start(), range.end());
                let what = if *low <= f64::MIN {
                    format!("{} is not a number", shown(node))
                } else {
                    format!("{} is not a number from {low} to {high}", shown(node))
                };
                self.fault(key, what);
                None
            }
        }
    }

    /// A duration, ms, within a range.
    pub fn duration(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let path = self.key(key);
        let node = self.node(key)?;
        read_duration(node, &path, range, self.faults)
    }

    /// A size, bytes, within a range.
    pub fn size(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = self.node(key)?;
        let bytes = word(node).and_then(size);
        match bytes {
            Some(bytes) if range.contains(&bytes) => Some(bytes),
            Some(_) => {
                let (low, high) = (size_text(*range.start()), size_text(*range.end()));
                self.fault(key, format!("{} is out of range; from {low} to {high}", shown(node)));
                None
            }
            None => {
                let accepted = "a whole number and a unit (B, KiB, MiB, GiB), such as \"4GiB\"";
                self.fault(key, format!("{} is not a size; {accepted}", shown(node)));
                None
            }
        }
    }

    /// Has these keys known, whether or not they are asked for.
    pub fn know(&mut self, keys: &[&str]) {
        for key in keys {
            self.node(key);
        }
    }

    /// The keys that were not asked for.
    pub fn unknown(&self) -> impl Iterator<Item = &'a str> {
        self.table
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .filter(|key| !self.asked.iter().any(|asked| asked == key))
    }

    /// Every key that was not asked for is a fault. The last call.
    pub fn finish(self) {
        for entry in &self.table.entries {
            if self.asked.contains(&entry.key) {
                continue;
            }
            let unset = self.asked.iter().map(String::as_str).filter(|key| self.table.get(key).is_none());
            let mut guess = did_you_mean(&entry.key, unset);
            if guess.is_empty() {
                guess = did_you_mean(&entry.key, self.asked.iter().map(String::as_str));
            }
            if guess.is_empty() {
                guess = format!("; known here: {}", self.asked.join(", "));
            }
            self.faults.add(&entry.place, &self.key(&entry.key), format!("unknown key{guess}"));
        }
    }

    /// The keys that were asked for.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }
}

/// Reads a duration, ms, within a range.
pub(super) fn read_duration(
    node: &Node,
    path: &str,
    range: RangeInclusive<i64>,
    faults: &Faults,
) -> Option<i64> {
    match word(node).and_then(duration) {
        Some(ms) if range.contains(&ms) => Some(ms),
        Some(_) => {
            let (low, high) = (duration_text(*range.start()), duration_text(*range.end()));
            faults.add(&node.place, path, format!("{} is out of range; from {low} to {high}", shown(node)));
            None
        }
        None => {
            let accepted = "a whole number and a unit (ms, s, m, h, d), such as \"90s\"";
            faults.add(&node.place, path, format!("{} is not a duration; {accepted}", shown(node)));
            None
        }
    }
}

fn text(node: &Node, path: &str, faults: &Faults) -> Option<String> {
    let found = word(node).map(str::to_owned);
    if found.is_none() {
        faults.add(&node.place, path, format!("{} is not a text; put it in quotes", shown(node)));
    }
    found
}

fn word(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) | Value::Loose(text) => Some(text),
        _ => None,
    }
}

impl Node {
    /// The value on one line, cut where it is long.
    pub fn shown(&self) -> String {
        shown(self)
    }

    /// The text, where it is one.
    pub fn word(&self) -> Option<&str> {
        word(self)
    }

    /// A duration within a range, or a fault about the dotted key `path`.
    pub fn duration(&self, path: &str, range: RangeInclusive<i64>, faults: &Faults) -> Option<i64> {
        read_duration(self, path, range, faults)
    }
}

fn shown(node: &Node) -> String {
    let full = match &node.value {
        Value::Text(text) | Value::Loose(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Truth(truth) => truth.to_string(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Other(what) => (*what).to_owned(),
    };
    if full.chars().count() <= 60 { full } else { full.chars().take(57).chain("…".chars()).collect() }
}
