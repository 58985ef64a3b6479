//! The conditions of the features file: `[[condition]]`, and `where` in a table of windows.
//!
//! document -> **condition** -> expand, spec
//!
//! Holds: only conditions that a feature uses are kept, each once, in the order of first use.

use super::expression::{Program, Scope, builtin_names, compile};
use super::file::{expression_faults, tables};
use super::flags::FlagDraft;
use super::names::is_word;
use super::sentence::{Piece, pieces};
use super::spec::Condition;
use crate::document::{Faults, Node, Place, Reader, did_you_mean};
use crate::limits::CONDITIONS_MAX;
use crate::schema::Schema;

/// The conditions of the file, and those of them that features use.
pub(super) struct Conditions {
    named: Vec<Named>,
    pub(super) used: Vec<Condition>,
}

#[derive(Clone)]
struct Named {
    name: String,
    /// The expression, to tell whether two of one name are the same.
    text: String,
    meaning: String,
    program: Option<Program>,
    /// Number of the flag that it is; its program comes once all names are known.
    flag: Option<usize>,
}

impl Conditions {
    /// `[[condition]] name = "declined", when = "auth_result == 'declined'", meaning = "that were declined"`
    pub(super) fn read(root: &mut Reader<'_>, flags: &[FlagDraft], schema: &Schema) -> Self {
        let faults = root.faults();
        let of_flag = |(index, flag): (usize, &FlagDraft)| Named {
            name: flag.name.clone(),
            text: String::new(),
            meaning: meaning_of(&flag.name),
            program: Some(Program::default()),
            flag: Some(index),
        };
        let mut named: Vec<Named> = flags.iter().enumerate().map(of_flag).collect();
        for node in tables(root, "condition") {
            let mut table = Reader::new(node, "condition", faults);
            let name = table.required("name", "a word such as \"declined\"").and_then(|_| table.text("name"));
            let when = table.required("when", "an expression over the event's fields");
            let text = when.and_then(|_| table.text("when"));
            let meaning = table.text("meaning");
            if let Some(text) = &meaning
                && !pieces(text).iter().all(|piece| matches!(piece, Piece::Text(_) | Piece::Choice(..)))
            {
                let what = format!("{text:?} has braces that mean nothing; {{one|many}} can be replaced");
                table.fault("meaning", what);
            }
            table.finish();
            let (Some(name), Some(text)) = (name, text) else { continue };
            if !is_word(&name) {
                table_fault(
                    faults,
                    node,
                    "condition.name",
                    &name,
                    "letters, digits and _, not a digit first",
                );
            }
            if let Some(known) = named.iter().find(|known| known.name == name) {
                let of = if known.flag.is_some() { "a flag" } else { "another condition" };
                table_fault(faults, node, "condition.name", &name, &format!("used for {of} already"));
                continue;
            }
            let place = when.map_or(&node.place, |node| &node.place);
            let program = condition_program(&text, place, "condition.when", schema, faults);
            let meaning = meaning.unwrap_or_else(|| meaning_of(&name));
            named.push(Named { name, text, meaning, program, flag: None });
        }
        Self { named, used: Vec::new() }
    }

    /// The index and the meaning of `where = "…"`: a condition's name, or an expression with `where_name`.
    pub(super) fn find(
        &mut self,
        table: &Reader<'_>,
        text: &str,
        name: Option<String>,
        schema: &Schema,
    ) -> Option<(usize, String, String)> {
        let faults = table.faults();
        let (place, key) = (table.place_of("where"), table.key("where"));
        let known = self.named.iter().find(|known| known.name == text && name.is_none()).cloned();
        let found = if let Some(known) = known {
            known
        } else if is_word(text) && !builtin_names().any(|(builtin, _)| builtin == text) {
            let guess = did_you_mean(text, self.named.iter().map(|known| known.name.as_str()));
            faults.add(place, &key, format!("no condition is named {text:?}{guess}"));
            return None;
        } else {
            let Some(name) = name.or_else(|| is_word(text).then(|| text.to_owned())) else {
                let what = "an expression here needs where_name, which stands in the names of the features";
                faults.add(place, &key, what);
                return None;
            };
            if !is_word(&name) {
                table.fault(
                    "where_name",
                    format!("{name:?} is no word; letters, digits and _, not a digit first"),
                );
                return None;
            }
            let same = self.named.iter().find(|known| known.name == name).cloned();
            match same {
                Some(known) if known.text == text => known,
                Some(_) => {
                    table.fault("where_name", format!("{name:?} is the name of another condition"));
                    return None;
                }
                None => {
                    let program = condition_program(text, place, &key, schema, faults);
                    let meaning = meaning_of(&name);
                    let named = Named { name, text: text.to_owned(), meaning, program, flag: None };
                    self.named.push(named.clone());
                    named
                }
            }
        };
        let program = found.program?;
        let index = self.used.iter().position(|used| used.name == found.name);
        let index = index.unwrap_or_else(|| {
            self.used.push(Condition { name: found.name.clone(), program, flag: found.flag });
            self.used.len() - 1
        });
        if index == CONDITIONS_MAX {
            faults.add(place, &key, format!("one condition too many; at most {CONDITIONS_MAX}"));
        }
        Some((index, found.name, found.meaning))
    }
}

/// What is said of events that meet a condition of this name.
fn meaning_of(name: &str) -> String {
    format!("that {{is|are}} {}", name.replace('_', " "))
}

fn condition_program(
    text: &str,
    place: &Place,
    key: &str,
    schema: &Schema,
    faults: &Faults,
) -> Option<Program> {
    let program = compile(text, &Scope { schema, operands: None, flags_from: 0 })
        .map_err(|found| expression_faults(found, text, place, key, faults))
        .ok()?;
    if !program.is_truth() {
        faults.add(place, key, "a number is no condition; compare it");
        return None;
    }
    Some(program)
}

fn table_fault(faults: &Faults, node: &Node, key: &str, value: &str, what: &str) {
    faults.add(&node.place, key, format!("{value:?}: {what}"));
}
