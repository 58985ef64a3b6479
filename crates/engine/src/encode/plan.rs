//! Render once what never changes from line to line.
//!
//! features, model, schema -> **plan** -> line, reason, reject
//!
//! Holds: a plan is for one model and one set of features; a change of either makes a new plan.
//! Not here: the lines themselves.

use super::features::FeaturePlan;
use super::reason::Templates;
use super::reject::Subjects;
use super::text::{push_escaped, push_string};
use crate::decide::Decision;
use crate::features::cell::Shape;
use crate::features::sentence::Sentences;
use crate::schema::Schema;

/// What encoding needs to know of a feature; in the order of the cells.
#[derive(Clone, Copy, Debug)]
pub struct FeatureMeta<'a> {
    pub name: &'a str,
    pub shape: Shape,
    /// An earlier feature of the same shape that often has the same value (the next shorter window): its text
    /// is copied where the cells are equal.
    pub same_as: Option<u16>,
    /// The code of a reason.
    pub code: &'a str,
    /// The sentences of a reason.
    pub reason: &'a Sentences,
    /// Seconds, shares and currencies are told in their own manner.
    pub unit: &'a str,
    /// The entity of whose history it tells.
    pub entity: Option<usize>,
}

/// Which features a decision line carries.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Selection {
    #[default]
    All,
    /// These, by index, ascending: those that the model reads.
    Model(Vec<u16>),
    /// The member is left out.
    None,
}

/// `[output]`, and the model in force.
#[derive(Clone, Debug)]
pub struct LineOptions {
    pub features: Selection,
    /// `features_as = "array"`.
    pub as_array: bool,
    /// Whether a decision line carries the event.
    pub event: bool,
    /// `name/version`.
    pub model: Option<String>,
}

impl Default for LineOptions {
    fn default() -> Self {
        Self { features: Selection::All, as_array: false, event: true, model: None }
    }
}

/// One feature as reasons need it.
#[derive(Clone, Debug)]
pub(super) struct Reasoned {
    pub(super) shape: Shape,
    /// `{"code":"…","text":"`
    pub(super) head: Vec<u8>,
    pub(super) templates: Templates,
    /// `","feature":"…","value":`
    pub(super) middle: Vec<u8>,
}

/// Everything about lines that does not change between them.
#[derive(Clone, Debug)]
pub struct LinePlan {
    pub(super) features: FeaturePlan,
    /// What stands before and after the features: `"features":[`, `]`; empty where they are left out.
    pub(super) open: &'static [u8],
    pub(super) close: &'static [u8],
    pub(super) event: bool,
    /// `,"decision":"approve","score":` by decision.
    pub(super) decisions: [Vec<u8>; 3],
    /// `,"model":"name/version","reasons":[`
    pub(super) model: Vec<u8>,
    /// `name/version`; empty without a model.
    pub(super) model_name: String,
    pub(super) reasons: Vec<Reasoned>,
    /// `"kind":` by entity.
    pub(super) entities: Vec<Vec<u8>>,
    pub(super) subjects: Subjects,
    names_json: Vec<u8>,
}

impl LinePlan {
    /// Panics where an index is not of an earlier feature of the same shape: a fault of the caller's plan.
    pub fn new(features: &[FeatureMeta<'_>], options: &LineOptions, schema: &Schema) -> Self {
        let chosen: Vec<u16> = match &options.features {
            Selection::All => (0..features.len() as u16).collect(),
            Selection::Model(list) => list.clone(),
            Selection::None => Vec::new(),
        };
        Self {
            features: FeaturePlan::new(features, &chosen, options.as_array),
            open: match (&options.features, options.as_array) {
                (Selection::None, _) => b"",
                (_, true) => b",\"features\":[",
                (_, false) => b",\"features\":{",
            },
            close: match (&options.features, options.as_array) {
                (Selection::None, _) => b"",
                (_, true) => b"]",
                (_, false) => b"}",
            },
            event: options.event,
            decisions: Decision::ALL
                .map(|decision| format!(",\"decision\":\"{}\",\"score\":", decision.name()).into_bytes()),
            model: model_member(options.model.as_deref()),
            model_name: options.model.clone().unwrap_or_default(),
            reasons: features.iter().map(reasoned).collect(),
            entities: schema.entities.iter().map(|entity| member(&entity.name, b":")).collect(),
            subjects: Subjects::new(schema),
            names_json: names_json(features, &chosen),
        }
    }

    /// The content of `features.json`: the names in the order of arrays.
    pub fn names_json(&self) -> &[u8] {
        &self.names_json
    }
}

fn reasoned(feature: &FeatureMeta<'_>) -> Reasoned {
    let mut head = b"{\"code\":".to_vec();
    push_string(&mut head, feature.code);
    head.extend_from_slice(b",\"text\":\"");
    let mut middle = b"\",\"feature\":".to_vec();
    push_string(&mut middle, feature.name);
    middle.extend_from_slice(b",\"value\":");
    let templates = Templates::new(feature.reason, feature.unit, feature.entity);
    Reasoned { shape: feature.shape, head, templates, middle }
}

/// `"name"` and what follows it.
pub(super) fn member(name: &str, then: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_string(&mut out, name);
    out.extend_from_slice(then);
    out
}

fn model_member(model: Option<&str>) -> Vec<u8> {
    let mut out = b",\"model\":".to_vec();
    if let Some(name) = model {
        push_string(&mut out, name);
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"reasons\":[");
    out
}

fn names_json(features: &[FeatureMeta<'_>], chosen: &[u16]) -> Vec<u8> {
    let mut out = b"{\"features\":[".to_vec();
    for (at, &index) in chosen.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        push_escaped(&mut out, features[usize::from(index)].name);
        out.push(b'"');
    }
    out.extend_from_slice(b"]}\n");
    out
}
