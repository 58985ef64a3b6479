//! The four layers, laid over each other; every value keeps its place.
//!
//! Tables merge key by key down to the sections and their tables of free names; what stands in a key there (a path, a
//! `{ path = … }`) is replaced whole. Variables and flags name one dotted key each.

use super::{DEFAULT, DEFAULT_NAME, Given};
use cartguard_engine::document::{Entry, Faults, Layer, Node, Place, Table, Value, loose, parse};
use std::fmt::Write;

/// Sections below sections: their keys are free names.
const FREE_TABLES: [&str; 2] = ["event.fields", "money.rates"];
/// How a variable of ours begins. One underscore stays free for others.
const PREFIX: &str = "CARTGUARD__";

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// As it is called: `--workers`, `--set`.
    pub(crate) name: String,
    /// `engine.workers`
    pub(crate) key: String,
    /// None: a `--set` without one, which is a fault.
    pub(crate) value: Option<String>,
}

impl Flag {
    /// A command's own flag, which always has a value.
    pub(crate) fn own(name: &str, key: &str, value: String) -> Self {
        Self { name: name.to_owned(), key: key.to_owned(), value: Some(value) }
    }

    /// What was written after `--set`.
    pub(crate) fn set(text: &str) -> Self {
        let (key, value) =
            text.split_once('=').map_or((text, None), |(key, value)| (key.trim(), Some(value)));
        Self { name: "--set".to_owned(), key: key.to_owned(), value: value.map(str::to_owned) }
    }

    /// As the user wrote it.
    fn written(&self) -> String {
        let (name, key) = (&self.name, &self.key);
        match &self.value {
            None => format!("{name} {key}"),
            Some(value) if name == "--set" => format!("{name} {key}={value}"),
            Some(value) => format!("{name} {value}"),
        }
    }
}

/// What holds, and where each value was given.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    pub(super) table: Table,
    pub(super) place: Place,
}

/// Lays the layers over each other; nothing where the file is no TOML: what could be read of it would make faults of
/// what could not.
pub(super) fn merge(file: Option<(&str, &str)>, given: &Given, faults: &Faults) -> Option<Effective> {
    let mut table = table_of(parse(DEFAULT, Layer::Default, DEFAULT_NAME, faults));
    let mut place = Place::whole(Layer::Default, DEFAULT_NAME);
    if let Some((name, text)) = file {
        place = Place::whole(Layer::File, name);
        let over = table_of(parse(text, Layer::File, name, faults));
        if !faults.is_empty() {
            return None;
        }
        if own_schema(&over) {
            for entry in &mut table.entries {
                if entry.key == "event" || (entry.key == "entities" && over.get("entities").is_some()) {
                    entry.node.value = Value::Table(Table::default());
                }
            }
        }
        lay(&mut table, over, "");
    }
    for (name, value) in &given.environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = key_of_variable(rest);
        let at = Place::whole(Layer::Environment, name);
        set(&mut table, &key, value, &at, faults);
    }
    for flag in &given.flags {
        let at = Place::whole(Layer::Flag, &flag.written());
        match &flag.value {
            Some(value) => set(&mut table, &flag.key, value, &at, faults),
            None => faults.add(&at, "", "has no value; write --set key=value, such as time.lateness=2s"),
        }
    }
    placeholders(&table, "", faults);
    Some(Effective { table, place })
}

impl Effective {
    /// Every key with its value as TOML and its place, in the order of the default file.
    pub(crate) fn lines(&self) -> Vec<(String, String, Place)> {
        let mut lines = Vec::new();
        list(&self.table, "", &mut lines);
        lines
    }

    /// Where a dotted key was given.
    pub(super) fn place_of(&self, key: &str) -> Place {
        find(&self.table, key).map_or_else(|| self.place.clone(), |node| node.place.clone())
    }

    /// Whether the user gave nothing for a key that has a default.
    pub(super) fn is_default(&self, key: &str) -> bool {
        find(&self.table, key).is_some_and(|node| node.place.layer == Layer::Default)
    }

    /// Where a dotted key was given, or, where only the other was, where that was.
    pub(super) fn place_for(&self, key: &str, other: &str) -> Place {
        self.place_of(if self.is_default(key) { other } else { key })
    }

    /// Where the user said something of a section: its key `first`, or else the first of its keys.
    pub(super) fn given(&self, section: &str, first: &str) -> Option<Place> {
        let own = |place: &Place| place.layer != Layer::Default;
        let first = find(&self.table, &format!("{section}.{first}")).map(|node| node.place.clone());
        first.filter(own).or_else(|| {
            let mut lines = Vec::new();
            let node = find(&self.table, section)?;
            let Value::Table(table) = &node.value else { return None };
            list(table, section, &mut lines);
            lines.into_iter().map(|(_, _, place)| place).find(own)
        })
    }

    /// `state.hash_seed`, needed before its section is read; its faults are told there.
    pub(super) fn hash_seed(&self) -> u64 {
        match find(&self.table, "state.hash_seed").map(|node| &node.value) {
            Some(Value::Integer(seed)) => *seed as u64,
            Some(Value::Loose(text)) => text.parse().unwrap_or(0),
            _ => 0,
        }
    }
}

fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Node> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let node = &table.get(first)?.node;
    match (rest, &node.value) {
        (None, _) => Some(node),
        (Some(rest), Value::Table(table)) => find(table, rest),
        (Some(_), _) => None,
    }
}

fn table_of(node: Node) -> Table {
    match node.value {
        Value::Table(table) => table,
        _ => Table::default(),
    }
}

/// Whether a file says where the id is, and so describes records of its own.
fn own_schema(file: &Table) -> bool {
    find(file, "event.id").is_some()
}

/// Lays `over` on `under`, which stands at the dotted key `path`.
fn lay(under: &mut Table, over: Table, path: &str) {
    for entry in over.entries {
        let key = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        let merges = path.is_empty() || FREE_TABLES.contains(&key.as_str());
        match under.entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => match (&mut known.node.value, entry.node.value) {
                (Value::Table(below), Value::Table(above)) if merges => {
                    lay(below, above, &key);
                    known.node.place = entry.node.place;
                }
                (_, value) => {
                    known.place = entry.place;
                    known.node = Node { value, place: entry.node.place };
                }
            },
            None => under.entries.push(entry),
        }
    }
}

/// `TIME__LATENESS` is `time.lateness`; codes of currencies stay capitals.
fn key_of_variable(rest: &str) -> String {
    let parts: Vec<_> = rest.split("__").collect();
    match parts.as_slice() {
        [money, rates, code]
            if money.eq_ignore_ascii_case("money") && rates.eq_ignore_ascii_case("rates") =>
        {
            format!("money.rates.{}", code.to_ascii_uppercase())
        }
        parts => parts.join(".").to_ascii_lowercase(),
    }
}

/// Sets one dotted key.
fn set(table: &mut Table, key: &str, value: &str, place: &Place, faults: &Faults) {
    let parts: Vec<_> = key.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) || parts.len() < 2 {
        faults.add(place, key, "is no key; a section and a key, such as time.lateness=2s");
        return;
    }
    let mut table = table;
    for part in &parts[..parts.len() - 1] {
        let node = node_of(table, part, place);
        if !matches!(node.value, Value::Table(_)) {
            *node = Node { value: Value::Table(Table::default()), place: place.clone() };
        }
        let Value::Table(below) = &mut node.value else { return };
        table = below;
    }
    let last = parts[parts.len() - 1];
    *node_of(table, last, place) = loose(value, place);
}

/// The node of a key, made where it is absent.
fn node_of<'a>(table: &'a mut Table, key: &str, place: &Place) -> &'a mut Node {
    let at = table.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { value: Value::Table(Table::default()), place: place.clone() };
        table.entries.push(Entry { key: key.to_owned(), place: place.clone(), node });
        table.entries.len() - 1
    });
    let entry = &mut table.entries[at];
    entry.place = place.clone();
    &mut entry.node
}

/// Refuses `${NAME}` and `SECRET[name]` that nobody filled in: used as they stand they would be passwords in clear.
fn placeholders(table: &Table, path: &str, faults: &Faults) {
    for entry in &table.entries {
        let key = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        placeholder(&entry.node, &key, faults);
    }
}

fn placeholder(node: &Node, key: &str, faults: &Faults) {
    match &node.value {
        Value::Text(text) | Value::Loose(text) if text.contains("${") || text.contains("SECRET[") => {
            let what = format!("{} is a placeholder that nothing filled in; write the value", node.shown());
            faults.add(&node.place, key, what);
        }
        Value::List(list) => list.iter().for_each(|node| placeholder(node, key, faults)),
        Value::Table(table) => placeholders(table, key, faults),
        Value::Text(_)
        | Value::Loose(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Truth(_)
        | Value::Other(_) => {}
    }
}

fn list(table: &Table, path: &str, lines: &mut Vec<(String, String, Place)>) {
    for entry in &table.entries {
        let key = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        let section = path.is_empty() || FREE_TABLES.contains(&key.as_str());
        match &entry.node.value {
            Value::Table(below) if section => list(below, &key, lines),
            _ => lines.push((key, written(&entry.node), entry.node.place.clone())),
        }
    }
}

/// As TOML on one line.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Loose(text) if text.parse::<f64>().is_ok() || text == "true" || text == "false" => {
            text.clone()
        }
        Value::Text(text) | Value::Loose(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Truth(truth) => truth.to_string(),
        Value::Other(what) => (*what).to_owned(),
        Value::List(list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let mut text = String::from("{ ");
            for (index, entry) in table.entries.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                // Writing to a String cannot fail.
                let _ = write!(text, "{comma}{} = {}", entry.key, written(&entry.node));
            }
            text.push_str(" }");
            text
        }
    }
}
