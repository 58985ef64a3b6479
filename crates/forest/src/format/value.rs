//! The tree of values that JSON and UBJSON model files are read into.
//!
//! `json`, `ubj` -> **value** -> `xgboost`
//!
//! Holds: numbers are i64 or f32 (parsed straight to f32, the trainer's own type, never through f64); a list of
//! nothing but numbers takes 4 or 8 bytes a number; a member occurs once in an object; nesting is at most
//! [`NESTING_MAX`] and there are at most [`VALUES_MAX`] other values.
//! Not here: what the members mean.

use crate::ModelError;
use crate::limits::{NESTING_MAX, VALUES_MAX};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Ints(_) => "a list of integers",
            Self::Floats(_) => "a list of numbers",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// What is open while a document is read, innermost last. Takes the place of recursion.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    open: Vec<Open>,
    values: usize,
}

#[derive(Debug)]
enum Open {
    List(Value),
    Map(Vec<(String, Value)>, Option<String>),
}

/// Whether the document goes on after a value.
pub(crate) enum Step {
    More,
    Done(Value),
}

impl Builder {
    /// Whether a member name, and not a value, comes next.
    pub(crate) fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(_, None)))
    }

    pub(crate) fn in_list(&self) -> bool {
        matches!(self.open.last(), Some(Open::List(_)))
    }

    pub(crate) fn in_map(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(..)))
    }

    pub(crate) fn key(&mut self, name: String) {
        if let Some(Open::Map(_, key)) = self.open.last_mut() {
            *key = Some(name);
        }
    }

    pub(crate) fn open_list(&mut self) -> Result<(), String> {
        self.open_one(Open::List(Value::Ints(Vec::new())))
    }

    pub(crate) fn open_map(&mut self) -> Result<(), String> {
        self.open_one(Open::Map(Vec::new(), None))
    }

    fn open_one(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= NESTING_MAX {
            return Err(format!("nested deeper than {NESTING_MAX}"));
        }
        self.open.push(open);
        Ok(())
    }

    /// Closes the innermost list or object and puts it where it belongs.
    pub(crate) fn close(&mut self) -> Result<Step, String> {
        let value = match self.open.pop() {
            Some(Open::List(value)) => value,
            Some(Open::Map(members, None)) => {
                check_unique(&members)?;
                Value::Map(members)
            }
            Some(Open::Map(_, Some(key))) => return Err(format!("member `{}` has no value", brief(&key))),
            None => return Err("closes what was not opened".into()),
        };
        self.value(value)
    }

    pub(crate) fn value(&mut self, value: Value) -> Result<Step, String> {
        if !matches!(value, Value::Int(_) | Value::Float(_)) {
            self.values += 1;
            if self.values > VALUES_MAX {
                return Err(format!("more than {VALUES_MAX} strings, lists and objects"));
            }
        }
        match self.open.last_mut() {
            None => return Ok(Step::Done(value)),
            Some(Open::List(list)) => append(list, value),
            Some(Open::Map(members, key)) => match key.take() {
                Some(key) => members.push((key, value)),
                None => return Err("a value without a member name".into()),
            },
        }
        Ok(Step::More)
    }
}

/// Keeps a list of numbers compact for as long as it holds nothing else.
fn append(list: &mut Value, value: Value) {
    match (&mut *list, value) {
        (Value::Ints(ints), Value::Int(int)) => ints.push(int),
        (Value::Floats(floats), Value::Float(float)) => floats.push(float),
        (Value::Floats(floats), Value::Int(int)) => floats.push(int as f32),
        (Value::Ints(ints), Value::Float(float)) => {
            let mut floats: Vec<f32> = ints.iter().map(|int| *int as f32).collect();
            floats.push(float);
            *list = Value::Floats(floats);
        }
        (Value::List(values), value) => values.push(value),
        (_, value) => {
            let mut values = match std::mem::replace(list, Value::Null) {
                Value::Ints(ints) => ints.into_iter().map(Value::Int).collect(),
                Value::Floats(floats) => floats.into_iter().map(Value::Float).collect(),
                _ => Vec::new(),
            };
            values.push(value);
            *list = Value::List(values);
        }
    }
}

fn check_unique(members: &[(String, Value)]) -> Result<(), String> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("member `{}` occurs twice", brief(pair[0]))),
        None => Ok(()),
    }
}

/// The beginning of a foreign text, fit for a message.
pub(crate) fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(40).flat_map(char::escape_default).collect();
    if text.chars().nth(40).is_some() {
        brief.push('…');
    }
    brief
}

/// An object with the path that leads to it, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    pub(crate) path: &'a str,
    members: &'a [(String, Value)],
}

impl<'a> Members<'a> {
    pub(crate) fn of(path: &'a str, value: &'a Value) -> Result<Self, ModelError> {
        match value {
            Value::Map(members) => Ok(Self { path, members }),
            other => Err(ModelError::field(path, format!("is {}, not an object", other.kind()))),
        }
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn find(self, name: &str) -> Option<&'a Value> {
        self.members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    pub(crate) fn get(self, name: &str) -> Result<&'a Value, ModelError> {
        self.find(name).ok_or_else(|| self.fault(name, "is missing"))
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, ModelError> {
        match self.get(name)? {
            Value::Text(text) => Ok(text),
            other => Err(self.fault(name, format!("is {}, not a string", other.kind()))),
        }
    }

    /// A whole number, written as a number or as a string of one.
    pub(crate) fn whole(self, name: &str) -> Result<i64, ModelError> {
        match self.get(name)? {
            Value::Int(int) => Ok(*int),
            Value::Text(text) => text
                .parse()
                .map_err(|_| self.fault(name, format!("is \"{}\", not a whole number", brief(text)))),
            other => Err(self.fault(name, format!("is {}, not a whole number", other.kind()))),
        }
    }

    pub(crate) fn ints(self, name: &str) -> Result<Vec<i64>, ModelError> {
        match self.get(name)? {
            Value::Ints(ints) => Ok(ints.clone()),
            Value::List(values) => values
                .iter()
                .map(|value| match value {
                    Value::Bool(bool) => Ok(i64::from(*bool)),
                    Value::Int(int) => Ok(*int),
                    other => Err(self.fault(name, format!("holds {}", other.kind()))),
                })
                .collect(),
            other => Err(self.fault(name, format!("is {}, not a list of integers", other.kind()))),
        }
    }

    pub(crate) fn floats(self, name: &str) -> Result<Vec<f32>, ModelError> {
        match self.get(name)? {
            Value::Ints(ints) => Ok(ints.iter().map(|int| *int as f32).collect()),
            Value::Floats(floats) => Ok(floats.clone()),
            other => Err(self.fault(name, format!("is {}, not a list of numbers", other.kind()))),
        }
    }

    pub(crate) fn fault(self, name: &str, fault: impl Into<String>) -> ModelError {
        ModelError::field(format!("{}.{name}", self.path), fault)
    }
}
