//! A TOML text as a tree in which every value knows where it was written.
//!
//! text -> **document** -> features file, configuration
//!
//! Holds: reading goes on after a fault, so that all faults of a text are told at once, each with its place and its
//! dotted key. Not here: what the keys mean (`features::file`, the service's `config`), files on disk.

mod fault;
mod reader;
mod units;

pub use fault::{Fault, Faults, did_you_mean};
pub use reader::Reader;
pub use units::{duration, duration_text, size, size_text};

use crate::limits::DOCUMENT_BYTES_MAX;
use std::fmt;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Who gave a value; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The file that is compiled in.
    Default,
    /// A file that the user names.
    File,
    /// An environment variable.
    Environment,
    /// A flag of the command line.
    Flag,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub layer: Layer,
    /// The file, the variable or the flag.
    pub name: Arc<str>,
    /// From 1; 0 where there are no lines (environment, flags).
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl Place {
    /// A place without lines: a whole file, a variable, a flag.
    pub fn whole(layer: Layer, name: &str) -> Self {
        Self { layer, name: name.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Layer::Default | Layer::File if self.line > 0 => {
                write!(out, "{}:{}:{}", self.name, self.line, self.column)
            }
            Layer::Default | Layer::File => write!(out, "{}", self.name),
            Layer::Environment => write!(out, "environment {}", self.name),
            Layer::Flag => write!(out, "flag {}", self.name),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Truth(bool),
    List(Vec<Node>),
    Table(Table),
    /// From the environment or a flag: what it is, whoever asks decides.
    Loose(String),
    /// A value of a kind that nothing takes: a date, an integer past 64 bits.
    Other(&'static str),
}

/// Keys and values in the order written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub entries: Vec<Entry>,
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    pub node: Node,
}

impl Table {
    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reads a text. What could be read comes back even where there are faults.
pub fn parse(text: &str, layer: Layer, name: &str, faults: &Faults) -> Node {
    let whole = Place::whole(layer, name);
    if text.len() > DOCUMENT_BYTES_MAX {
        let what = format!("{} bytes are too many; at most {DOCUMENT_BYTES_MAX}", text.len());
        faults.add(&whole, "", what);
        return Node { value: Value::Table(Table::default()), place: whole };
    }
    let lines = Lines::of(text);
    let convert = Convert { lines: &lines, layer, name: whole.name.clone() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or_else(|| whole.clone(), |span| convert.place(span.start));
        faults.add(&place, "", format!("not TOML: {}", error.message().replace('\n', "; ")));
    }
    Node { value: Value::Table(convert.table(root.get_ref())), place: whole }
}

/// The value of a variable or a flag. A text that is a TOML list, inline table or quoted string is read as that.
pub fn loose(text: &str, place: &Place) -> Node {
    let structured = text.starts_with(['{', '[', '"', '\'']);
    if structured && let Ok(parsed) = DeValue::parse(text) {
        let lines = Lines::of("");
        let convert = Convert { lines: &lines, layer: place.layer, name: place.name.clone() };
        let mut node = convert.node(&parsed);
        relocate(&mut node, place);
        return node;
    }
    Node { value: Value::Loose(text.to_owned()), place: place.clone() }
}

fn relocate(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|node| relocate(node, place)),
        Value::Table(table) => {
            for entry in &mut table.entries {
                entry.place = place.clone();
                relocate(&mut entry.node, place);
            }
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Truth(_)
        | Value::Loose(_)
        | Value::Other(_) => {}
    }
}

/// Byte offsets of the lines of a text.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Line and column, from 1, of a byte offset.
    fn at(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or("");
        (line as u32, before.chars().count() as u32 + 1)
    }
}

struct Convert<'a> {
    lines: &'a Lines<'a>,
    layer: Layer,
    name: Arc<str>,
}

impl Convert<'_> {
    fn place(&self, offset: usize) -> Place {
        let (line, column) = self.lines.at(offset);
        Place { layer: self.layer, name: self.name.clone(), line, column }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let entries = pairs
            .into_iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                place: self.place(key.span().start),
                node: self.node(value),
            })
            .collect();
        Table { entries }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let converted = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Value::Other("an integer past 64 bits"), Value::Integer),
            DeValue::Float(float) => {
                float.as_str().parse().map_or(Value::Other("a number that cannot be read"), Value::Float)
            }
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(list) => Value::List(list.iter().map(|value| self.node(value)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { value: converted, place: self.place(value.span().start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place_and_order() {
        let faults = Faults::default();
        let node = parse("[b]\nz = 1\na = 'ü'\n[a]\nx = [1,\n 2.5]\n", Layer::File, "f.toml", &faults);
        assert!(faults.is_empty());
        let Value::Table(root) = node.value else { panic!("a table") };
        let keys: Vec<_> = root.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "a"]);
        let Value::Table(b) = &root.entries[0].node.value else { panic!("a table") };
        assert_eq!(b.entries[1].node.place.to_string(), "f.toml:3:5");
        let Value::Table(a) = &root.entries[1].node.value else { panic!("a table") };
        let Value::List(list) = &a.entries[0].node.value else { panic!("a list") };
        assert_eq!(list[1].place.to_string(), "f.toml:6:2");
        assert_eq!(list[1].value, Value::Float(2.5));
    }

    #[test]
    fn all_faults_of_syntax_come_at_once() {
        let faults = Faults::default();
        parse("a = \nb = 2\nc = ]\n", Layer::File, "f.toml", &faults);
        let told = faults.take();
        assert!(told.len() >= 2, "{told:?}");
        assert_eq!(told[0].place.line, 1);
    }

    #[test]
    fn loose_values_keep_their_text_or_become_what_they_look_like() {
        let place = Place::whole(Layer::Flag, "--set x");
        assert_eq!(loose("0.92", &place).value, Value::Loose("0.92".into()));
        assert!(matches!(loose("[\"a\", \"b\"]", &place).value, Value::List(_)));
        assert!(matches!(loose("{constant = 'EUR'}", &place).value, Value::Table(_)));
        assert_eq!(loose("[broken", &place).value, Value::Loose("[broken".into()));
        assert_eq!(loose("{a = {b = 1}}", &place).place, place);
    }
}
