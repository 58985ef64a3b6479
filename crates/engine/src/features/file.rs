//! The features file: TOML text -> checked definitions, or everything that is wrong with it.
//!
//! text -> document -> **file** (`expand` for windows, `expression` for values) -> spec -> plan
//!
//! Holds: features come in the order of the file; a table of windows expands in the order entity, window, aggregate,
//! field. Names are unique, expressions have no circles, every limit is kept.
//! Not here: what the file is called and where it lies (the service's `config`).

#[cfg(test)]
mod faults;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use super::condition::Conditions;
use super::expand;
use super::expression::{ExpressionFault, Scope, builtin_names, compile};
use super::flags::{self, FlagDraft};
use super::graph::Graph;
use super::names::{code_of, is_name};
use super::plan::shape_of;
use super::sentence::{BRACES, Piece, Sentences, Told, pieces};
use super::spec::{Aggregate, Definition, Feature, FeatureSet, WindowFeature};
use super::wording::Words;
use crate::document::{Fault, Faults, Layer, Node, Place, Reader, Value, did_you_mean, parse};
use crate::features::cell::Shape;
use crate::limits::{FEATURES_MAX, NUMBER_MICRO_MAX};
use crate::schema::Schema;
use std::collections::BTreeMap;

/// Reads a features file for a schema. `name` is what faults call it.
pub fn read(text: &str, layer: Layer, name: &str, schema: &Schema) -> Result<FeatureSet, Vec<Fault>> {
    let faults = Faults::default();
    let root = parse(text, layer, name, &faults);
    if !faults.is_empty() {
        // What could be read of it would make faults of what could not.
        return Err(faults.take());
    }
    let mut root = Reader::new(&root, "", &faults);
    let words = words(&mut root, schema);
    let defaults = defaults(&mut root);
    let flag_drafts = flags::read(&mut root, schema);
    let mut conditions = Conditions::read(&mut root, &flag_drafts, schema);
    let mut drafts = Vec::new();
    let list = tables(&mut root, "feature");
    if list.is_empty() {
        faults.add(root.place(), "feature", "there is none; write at least one [[feature]]");
    }
    for node in list {
        if drafts.len() > FEATURES_MAX {
            break;
        }
        let mut table = Reader::new(node, "feature", &faults);
        let expression = table.node("value").is_some();
        let windows = table.node("entity").is_some();
        match (expression, windows) {
            (true, false) => drafts.extend(value(&mut table, schema)),
            (false, true) => {
                let mut context =
                    expand::Context { schema, words: &words, defaults, conditions: &mut conditions };
                drafts.extend(context.features(&mut table));
            }
            (true, true) => {
                faults.add(table.place(), "feature", "has value and entity; it is one or the other");
                table.know(&KEYS);
            }
            (false, false) => {
                table.know(&KEYS);
                // A key that is only misspelt is told as that.
                let is_meant = |key: &str| !did_you_mean(key, ["value", "entity"]).is_empty();
                if !table.unknown().any(is_meant) {
                    let what = "needs value = \"<expression>\", or entity, windows and aggregates";
                    faults.add(table.place(), "feature", what);
                }
            }
        }
        table.finish();
    }
    root.finish();
    let mut names = unique_names(&drafts, schema, &faults);
    for (index, flag) in flag_drafts.iter().enumerate() {
        if names.insert(flag.name.clone(), drafts.len() + index).is_some() {
            faults.add(&flag.place, &flag.name, "is the name of a feature and of a flag; rename one");
        }
    }
    let scope = Scope { schema, operands: Some(&names), flags_from: drafts.len() };
    let features = resolve(drafts, &scope, &faults);
    let flags = flags::resolve(&flag_drafts, &scope, &faults);
    let mut conditions = conditions.used;
    for condition in &mut conditions {
        if let Some(flag) = condition.flag {
            condition.program = flags[flag].program.clone();
        }
    }
    let definitions = features.iter().map(|(_, feature)| feature.as_ref().map(|feature| &feature.definition));
    let graph = Graph::new(definitions, &conditions, &flags);
    circles(&graph, &features, &flag_drafts, &faults);
    blind_runs(&graph, &features, schema, &faults);
    if !faults.is_empty() {
        return Err(faults.take());
    }
    let features = features.into_iter().filter_map(|(_, feature)| feature).collect();
    Ok(FeatureSet { features, conditions, flags })
}

/// Every key of `[[feature]]`, of either shape.
const KEYS: [&str; 21] = [
    "value",
    "entity",
    "windows",
    "aggregates",
    "ratio_of",
    "field",
    "of",
    "label",
    "where",
    "where_name",
    "delay",
    "inclusive",
    "over",
    "name",
    "or",
    "unit",
    "meaning",
    "reason",
    "reason_zero",
    "reason_missing",
    "code",
];

/// What holds for every table of windows that says nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    pub inclusive: bool,
}

/// A feature before its expression is compiled.
pub(super) struct Draft {
    pub place: Place,
    pub name: String,
    pub kind: DraftKind,
    /// With its place.
    pub or: Option<(f64, Place)>,
    pub unit: String,
    pub meaning: String,
    pub reason: DraftReason,
    pub code: String,
}

pub(super) enum DraftReason {
    /// Of an expression: what the file says; the rest follows from the expression's type.
    Told(Told),
    Made(Sentences),
}

pub(super) enum DraftKind {
    /// The text and where it stands.
    Expression(String, Place),
    Window(WindowFeature),
}

/// Tells the faults of an expression, each at its character.
pub(super) fn expression_faults(
    found: Vec<ExpressionFault>,
    text: &str,
    place: &Place,
    key: &str,
    faults: &Faults,
) {
    for fault in found {
        let mut place = place.clone();
        // Behind the quote, where the text stands on one line.
        if place.line > 0 && !text.contains('\n') {
            let before = text.get(..fault.at).unwrap_or(text);
            place.column += 1 + before.chars().count() as u32;
        }
        faults.add(&place, key, fault.what);
    }
}

/// The tables of `[[key]]`.
pub(super) fn tables<'a>(root: &mut Reader<'a>, key: &str) -> &'a [Node] {
    match root.node(key) {
        Some(Node { value: Value::List(list), .. }) => list,
        Some(node) => {
            root.faults().add(
                &node.place,
                key,
                format!("{} is not a list of tables; write [[{key}]]", node.shown()),
            );
            &[]
        }
        None => &[],
    }
}

/// `[words] ip = "IP address"`
fn words(root: &mut Reader<'_>, schema: &Schema) -> Words {
    let mut words = Words::default();
    if let Some(mut table) = root.table("words") {
        for (key, place, node) in table.entries() {
            if !Words::known(schema).any(|known| known == key) {
                let what =
                    "names nothing that texts speak of: an entity, a mapped field, amount, order, orders";
                let guess = did_you_mean(key, Words::known(schema));
                root.faults().add(place, &table.key(key), format!("{what}{guess}"));
            }
            match node.word() {
                Some(word) => {
                    words.words.insert(key.to_owned(), word.to_owned());
                }
                None => root.faults().add(place, &table.key(key), "what it is called in texts, in quotes"),
            }
        }
    }
    words
}

/// `[defaults] inclusive = true`
fn defaults(root: &mut Reader<'_>) -> Defaults {
    let Some(mut table) = root.table("defaults") else { return Defaults::default() };
    let inclusive = table.truth("inclusive").unwrap_or(false);
    table.finish();
    Defaults { inclusive }
}

/// A feature of the first shape: `name`, `value` and what is told about it.
fn value(table: &mut Reader<'_>, schema: &Schema) -> Option<Draft> {
    let value = table.node("value")?;
    let text = table.text("value");
    let name = table.required("name", "a name such as \"amount_per_item\"").and_then(|_| table.text("name"));
    let or = or(table);
    let (unit, meaning) = (table.text("unit"), table.text("meaning"));
    let reason = reason(table, "");
    let code = code(table);
    let (name, text) = (name?, text?);
    if !is_name(&name) {
        table.fault("name", format!("{name:?} is no name; words of letters, digits and _, joined by dots"));
    }
    let builtin = builtin_names().find(|(known, _)| *known == text.trim());
    let taken = builtin_names().any(|(known, _)| known == name)
        || schema.fields.iter().any(|field| field.name == name);
    if taken && text.trim() != name {
        // Its expression is still looked at: other faults are told with this one.
        table.fault("name", format!("{name:?} already is a field or a built-in name of another value"));
    }
    let meaning = meaning.unwrap_or_else(|| match builtin {
        Some((_, meaning)) => sentence(meaning),
        None => text.clone(),
    });
    Some(Draft {
        place: table.place().clone(),
        or,
        unit: unit.unwrap_or_default(),
        meaning,
        reason: DraftReason::Told(reason),
        code: code.unwrap_or_else(|| code_of(&name)),
        name,
        kind: DraftKind::Expression(text, value.place.clone()),
    })
}

/// `or`, and where it stands.
pub(super) fn or(table: &mut Reader<'_>) -> Option<(f64, Place)> {
    let number = table.number("or", f64::MIN..=f64::MAX)?;
    Some((number, table.place_of("or").clone()))
}

/// The sentences of a reason; `more` is one more word in braces that may stand in them.
pub(super) fn reason(table: &mut Reader<'_>, more: &str) -> Told {
    let mut read = |key| {
        let text = table.text(key)?;
        let unknown = |piece: &Piece<'_>| matches!(piece, Piece::Unknown(braces) if *braces != more);
        if pieces(&text).iter().any(unknown) {
            let more = if more.is_empty() { String::new() } else { format!(", {more}") };
            table
                .fault(key, format!("{text:?} has braces that mean nothing; {BRACES}{more} can be replaced"));
        }
        Some(text)
    };
    Told { value: read("reason"), zero: read("reason_zero"), missing: read("reason_missing") }
}

/// The code of a reason: capitals, digits and `_`.
pub(super) fn code(table: &mut Reader<'_>) -> Option<String> {
    let code = table.text("code")?;
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if code.is_empty() || !code.bytes().all(fits) {
        table.fault("code", format!("{code:?} is no code; capitals, digits and _, such as \"CARD_COUNT\""));
    }
    Some(code)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The index of every name.
fn unique_names(drafts: &[Draft], schema: &Schema, faults: &Faults) -> BTreeMap<String, usize> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(first) = names.get(&draft.name) {
            let place: &Place = &drafts[*first].place;
            let what = format!("a second feature of this name; the first stands at {place}");
            faults.add(&draft.place, &draft.name, what);
        } else {
            names.insert(draft.name.clone(), index);
        }
        let window = matches!(draft.kind, DraftKind::Window(_));
        if window && schema.fields.iter().any(|field| field.name == draft.name) {
            faults.add(&draft.place, &draft.name, "already is the name of a field");
        }
    }
    if let Some(draft) = drafts.get(FEATURES_MAX) {
        faults.add(&draft.place, "feature", format!("one feature too many; at most {FEATURES_MAX}"));
    }
    names
}

/// Compiles the expressions, now that every name is known.
fn resolve(drafts: Vec<Draft>, scope: &Scope<'_>, faults: &Faults) -> Vec<(Place, Option<Feature>)> {
    let schema = scope.schema;
    let resolve = |draft: Draft| {
        let definition = match draft.kind {
            DraftKind::Window(window) => Some(Definition::Window(window)),
            DraftKind::Expression(text, place) => compile(&text, scope)
                .map_err(|found| expression_faults(found, &text, &place, &draft.name, faults))
                .ok()
                .map(Definition::Expression),
        };
        let feature = definition.map(|definition| {
            if let Some((or, place)) = &draft.or {
                check_or(*or, shape_of(&definition, schema), place, faults);
            }
            let is_truth = matches!(&definition, Definition::Expression(program) if program.is_truth());
            let noun = draft.name.replace(['_', '.'], " ");
            Feature {
                name: draft.name,
                definition,
                or: draft.or.map(|(or, _)| or),
                meaning: draft.meaning,
                unit: draft.unit,
                reason: match draft.reason {
                    DraftReason::Told(told) => Sentences::of_expression(&noun, told, is_truth),
                    DraftReason::Made(made) => made,
                },
                code: draft.code,
            }
        });
        (draft.place, feature)
    };
    drafts.into_iter().map(resolve).collect()
}

/// Refuses a default that would have to be rounded to be a count or an amount.
fn check_or(or: f64, shape: Shape, place: &Place, faults: &Faults) {
    let max = NUMBER_MICRO_MAX as f64;
    let (unit, accepted) = match shape {
        Shape::Real => return,
        Shape::Integer | Shape::Decimal { digits: 0 } => (1.0, "whole number, such as 0".to_owned()),
        Shape::Decimal { digits } => {
            (10f64.powi(digits as i32), format!("number of at most {digits} decimals, such as 0"))
        }
    };
    // The nearest f64 of a decimal is what the division gives back.
    let parts = (or * unit).round();
    if parts / unit != or || parts.abs() > max {
        let what = format!("{or:?} is no value of this feature; a {accepted}");
        faults.add(place, "feature.or", what);
    }
}

/// Refuses runs that look back over nothing: the longest window of their entity, in their layer, is how far they see.
fn blind_runs(graph: &Graph, features: &[(Place, Option<Feature>)], schema: &Schema, faults: &Faults) {
    if !faults.is_empty() {
        return;
    }
    let layers = graph.layers();
    let windows = || {
        features.iter().zip(&layers).filter_map(|((place, feature), layer)| match feature {
            Some(Feature { name, definition: Definition::Window(window), .. }) => {
                Some((place, name, window, *layer))
            }
            _ => None,
        })
    };
    for (place, name, run, layer) in windows().filter(|(_, _, window, _)| window.aggregate == Aggregate::Run)
    {
        if windows()
            .any(|(_, _, other, own)| other.entity == run.entity && own == layer && other.window_ms.is_some())
        {
            continue;
        }
        let entity = &schema.entities[run.entity].name;
        let (of, more) = if layer == 0 { ("", "") } else { (" over its flags", ", where = \"<the flag>\"") };
        let what = format!(
            "run looks back over the longest window of {entity:?}{of}, which has none, so that it would not count; give \
             {entity:?} a window, such as entity = {entity:?}, windows = \"7d\", aggregates = \"count\"{more}"
        );
        faults.add(place, name, what);
    }
}

/// Refuses what depends on itself, and names each circle.
fn circles(graph: &Graph, features: &[(Place, Option<Feature>)], flags: &[FlagDraft], faults: &Faults) {
    let named = |operand: usize| match operand.checked_sub(features.len()) {
        None => (&features[operand].0, features[operand].1.as_ref().map_or("", |feature| &feature.name)),
        Some(flag) => (&flags[flag].place, flags[flag].name.as_str()),
    };
    for circle in graph.circles() {
        let names: Vec<_> = circle.iter().map(|&operand| named(operand).1).collect();
        let place = named(circle[0]).0;
        faults.add(place, names[0], format!("depends on itself: {}", names.join(" -> ")));
    }
}
