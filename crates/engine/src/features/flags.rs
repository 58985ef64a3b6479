//! The flags of the features file: `[flags] large = "amount > 2.2 * customer.mean_amount_30d"`.
//!
//! document -> **flags** -> condition (windows that count them), file (compiled once all names are known), spec
//!
//! A flag is a condition that may read features and other flags besides the event's fields. It is evaluated when the event is scored
//! and stored with it, so that windows of later events can count it (docs/semantics.md, 6).

use super::expression::{Scope, builtin_names, compile};
use super::file::expression_faults;
use super::names::is_word;
use super::spec::Condition;
use crate::document::{Faults, Place, Reader};
use crate::limits::CONDITIONS_MAX;
use crate::schema::Schema;

/// A flag before its expression is compiled.
pub(super) struct FlagDraft {
    pub(super) name: String,
    text: String,
    pub(super) place: Place,
    /// Of the text.
    text_place: Place,
}

/// Reads the table, in the order of the file.
pub(super) fn read(root: &mut Reader<'_>, schema: &Schema) -> Vec<FlagDraft> {
    let faults = root.faults();
    let Some(mut table) = root.table("flags") else { return Vec::new() };
    let mut flags: Vec<FlagDraft> = Vec::new();
    for (name, place, node) in table.entries() {
        let key = table.key(name);
        let Some(text) = node.word() else {
            faults.add(&node.place, &key, "a condition in quotes, such as \"amount > 100\"");
            continue;
        };
        let builtin = builtin_names().any(|(known, _)| known == name);
        if !is_word(name) {
            faults.add(place, &key, format!("{name:?}: letters, digits and _, not a digit first"));
        } else if builtin || schema.fields.iter().any(|field| field.name == name) {
            faults.add(place, &key, format!("{name:?} already is a field or a built-in name"));
        } else {
            if flags.len() == CONDITIONS_MAX {
                faults.add(place, &key, format!("one flag too many; at most {CONDITIONS_MAX}"));
            }
            flags.push(FlagDraft {
                name: name.to_owned(),
                text: text.to_owned(),
                place: place.clone(),
                text_place: node.place.clone(),
            });
        }
    }
    table.finish();
    flags
}

/// Compiles the flags; one that was refused never holds.
pub(super) fn resolve(drafts: &[FlagDraft], scope: &Scope<'_>, faults: &Faults) -> Vec<Condition> {
    let resolve = |(index, draft): (usize, &FlagDraft)| {
        let key = format!("flags.{}", draft.name);
        let program = compile(&draft.text, scope)
            .map_err(|found| expression_faults(found, &draft.text, &draft.text_place, &key, faults))
            .unwrap_or_default();
        if !program.is_truth() && program.shape.is_some() {
            faults.add(&draft.text_place, &key, "a number is no condition; compare it");
        }
        Condition { name: draft.name.clone(), program, flag: Some(index) }
    };
    drafts.iter().enumerate().map(resolve).collect()
}
