//! What is wrong with a text: one line each, gathered and told at once.

use super::Place;
use std::cell::RefCell;
use std::fmt;

/// Faults told of one text; more of them help nobody. Arbitrary.
const FAULTS_MAX: usize = 500;

/// One fault, displayed as `file:line:column: dotted.key: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    /// Dotted; empty where it is about the text as a whole.
    pub key: String,
    /// What is wrong, the value, the accepted form, perhaps a guess.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(out, "{}: {}", self.place, self.what)
        } else {
            write!(out, "{}: {}: {}", self.place, self.key, self.what)
        }
    }
}

/// The faults gathered so far.
#[derive(Debug, Default)]
pub struct Faults {
    list: RefCell<Vec<Fault>>,
}

impl Faults {
    /// Gathers one.
    pub fn add(&self, place: &Place, key: &str, what: impl Into<String>) {
        let mut list = self.list.borrow_mut();
        let fault = Fault { place: place.clone(), key: key.to_owned(), what: what.into() };
        // What is no TOML has no value either; one fault is enough.
        let told = |known: &Fault| known.key.is_empty() && known.place.line > 0 && known.place == *place;
        if list.len() < FAULTS_MAX && !list.contains(&fault) && !list.iter().any(told) {
            list.push(fault);
        }
    }

    /// Adds those of another text.
    pub fn extend(&self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.add(&fault.place, &fault.key, fault.what);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// Whether one is about a dotted key or what lies below it.
    pub fn concern(&self, key: &str) -> bool {
        let below = |fault: &Fault| {
            fault.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.list.borrow().iter().any(below)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.borrow().len()
    }

    /// All of them, by file in the order met, then line and column.
    pub fn take(&self) -> Vec<Fault> {
        let mut list = self.list.take();
        let mut names: Vec<std::sync::Arc<str>> = Vec::new();
        for fault in &list {
            if !names.contains(&fault.place.name) {
                names.push(fault.place.name.clone());
            }
        }
        let file = |fault: &Fault| names.iter().position(|name| *name == fault.place.name);
        list.sort_by_key(|fault| (file(fault), fault.place.line, fault.place.column));
        list
    }
}

/// `; did you mean "x"?` for the nearest known word, or nothing where none is near: a third of its letters may be wrong,
/// or it begins alike.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let wrong_max = (word.chars().count() / 3).max(1);
    let near = |candidate: &str| {
        let wrong = strsim::osa_distance(word, candidate);
        let alike = strsim::jaro_winkler(word, candidate);
        (wrong <= wrong_max || alike >= 0.9).then_some((wrong, alike))
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((near(candidate)?, candidate)))
        .min_by(|(left, _), (right, _)| left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)))
        .map(|(_, candidate)| format!("; did you mean \"{candidate}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Layer;

    #[test]
    fn faults_come_in_the_order_of_the_text() {
        let faults = Faults::default();
        let at = |line| Place { layer: Layer::File, name: "a.toml".into(), line, column: 3 };
        faults.add(&at(7), "b", "second");
        faults.add(&at(2), "", "first");
        faults.add(&at(2), "", "first");
        faults.add(&at(2), "c", "what the first made of it");
        let told: Vec<_> = faults.take().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a.toml:2:3: first", "a.toml:7:3: b: second"]);
    }

    #[test]
    fn a_guess_is_near_or_not_made() {
        assert_eq!(did_you_mean("latness", ["skew", "lateness"]), "; did you mean \"lateness\"?");
        assert_eq!(did_you_mean("lg", ["log1p", "log"]), "; did you mean \"log\"?");
        assert_eq!(did_you_mean("feature", ["features_as", "file"]), "; did you mean \"features_as\"?");
        assert_eq!(did_you_mean("zzz", ["skew", "lateness"]), "");
    }
}
