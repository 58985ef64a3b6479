//! Turn the members of an `XGBoost` model, JSON or UBJSON, into trees.
//!
//! `json`, `ubj` -> **xgboost** -> `tree`
//!
//! Holds: margin = base margin, then each tree's leaf in order, all in f32; a leaf of a dart model is multiplied
//! by its tree's weight in f32 before it is added, as the trainer does. A member that is not known is refused but
//! for where nothing has meaning (attributes, options of training).
//! Not here: multi-class and multi-target models, `gblinear`, other objectives: refused by name.

use super::value::{Members, Value, brief};
use super::{Parsed, Sum, Words};
use crate::ModelError;
use crate::limits::{CATEGORY_MAX, FEATURES_MAX};
use crate::link::{Link, Shape, logit_f32};
use crate::tree::{CategoryRule, Node, Test, Tree};

const OBJECTIVES: &str = "accepted are binary:logistic, binary:logitraw, reg:logistic and reg:squarederror";
const BOOSTERS: &str = "accepted are gbtree and dart";

/// What the trainer clamps a base score of logistic loss to, from its version 3.1 on.
const BASE_SCORE_EDGE: f32 = 1e-6;

/// What stands for "no feature" in a deleted node, and for "no parent": the 31 bits of the index, all set.
const DELETED: [i64; 3] = [0x7fff_ffff, 0xffff_ffff, -1];

pub(super) fn read(document: &Value) -> Result<Parsed, ModelError> {
    let root = Members::of("model", document)?;
    known(root, &["learner", "version"])?;
    let learner = Members::of("learner", root.get("learner")?)?;
    known(
        learner,
        &[
            "attributes",
            "feature_names",
            "feature_types",
            "gradient_booster",
            "learner_model_param",
            "objective",
        ],
    )?;
    let params = Members::of("learner.learner_model_param", learner.get("learner_model_param")?)?;
    known(
        params,
        &[
            "base_score",
            "num_class",
            "num_feature",
            "num_target",
            "boost_from_average",
            "contain_eval_metrics",
        ],
    )?;
    let feature_count = feature_count(params)?;
    check_single_output(params)?;
    let objective = Members::of("learner.objective", learner.get("objective")?)?.text("name")?;
    let (link, base) = base(objective, params.text("base_score")?, version(root))?;
    let (trees, rounds) = trees(learner, feature_count)?;
    let best_rounds = best_rounds(learner, rounds)?;
    Ok(Parsed {
        names: names(learner, feature_count)?,
        feature_count,
        sum: Sum::F32 { base },
        link,
        trees,
        edges: None,
        best_rounds,
    })
}

/// What early stopping wrote, where it chose fewer rounds than there are.
fn best_rounds(learner: Members, rounds: usize) -> Result<Option<usize>, ModelError> {
    let Some(attributes) = learner.find("attributes") else { return Ok(None) };
    let best = match Members::of("learner.attributes", attributes)?.find("best_iteration") {
        Some(Value::Text(round)) => round.parse::<usize>().ok().and_then(|round| round.checked_add(1)),
        _ => None,
    };
    Ok(best.filter(|best| *best < rounds))
}

fn known(members: Members, names: &[&str]) -> Result<(), ModelError> {
    match members.names().find(|name| !names.contains(name)) {
        Some(name) => Err(members.fault(&brief(name), "is not known, and may change what the model means")),
        None => Ok(()),
    }
}

fn version(root: Members) -> (i64, i64) {
    match root.find("version") {
        Some(Value::Ints(parts)) if parts.len() >= 2 => (parts[0], parts[1]),
        _ => (0, 0),
    }
}

fn feature_count(params: Members) -> Result<usize, ModelError> {
    let count = params.whole("num_feature")?;
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= FEATURES_MAX)
        .ok_or_else(|| params.fault("num_feature", format!("is {count}; accepted are 0 to {FEATURES_MAX}")))
}

fn check_single_output(params: Members) -> Result<(), ModelError> {
    let one = "accepted are models with one output";
    for (name, what) in [("num_class", "a multi-class model"), ("num_target", "a multi-target model")] {
        if params.find(name).is_some() && params.whole(name)? > 1 {
            return Err(ModelError::unsupported(format!("{what} ({name} {})", params.whole(name)?), one));
        }
    }
    Ok(())
}

/// The link, and the base score before it: the trainer stores it after it.
fn base(objective: &str, base_score: &str, version: (i64, i64)) -> Result<(Link, f32), ModelError> {
    let fault = |fault: String| ModelError::field("learner.learner_model_param.base_score", fault);
    let inner = base_score.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let text = inner.unwrap_or(base_score).trim();
    let number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let score: f32 = Some(text)
        .filter(|_| number)
        .and_then(|text| text.parse().ok())
        .filter(|score: &f32| score.is_finite())
        .ok_or_else(|| fault(format!("is \"{}\", not one number", brief(base_score))))?;
    match objective {
        "binary:logistic" | "reg:logistic" => {
            if !(0.0..=1.0).contains(&score) {
                return Err(fault(format!("is {score}; logistic loss needs 0 to 1")));
            }
            let clamped = score.clamp(BASE_SCORE_EDGE, 1.0 - BASE_SCORE_EDGE);
            let score = if version >= (3, 1) { clamped } else { score };
            if score <= 0.0 || score >= 1.0 {
                return Err(fault(format!("is {score}; its log odds are not finite")));
            }
            Ok((Link::new(Shape::SigmoidF32), logit_f32(score)))
        }
        "binary:logitraw" | "reg:squarederror" | "reg:linear" => Ok((Link::new(Shape::Identity), score)),
        other => Err(ModelError::unsupported(format!("the objective `{}`", brief(other)), OBJECTIVES)),
    }
}

fn names(learner: Members, feature_count: usize) -> Result<Option<Vec<String>>, ModelError> {
    let names: Vec<String> = match learner.find("feature_names") {
        None | Some(Value::Ints(_)) => return Ok(None),
        Some(Value::List(values)) => values
            .iter()
            .map(|value| match value {
                Value::Text(name) => Ok(name.clone()),
                other => Err(learner.fault("feature_names", format!("holds {}", other.kind()))),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(learner.fault("feature_names", format!("is {}", other.kind()))),
    };
    if names.len() != feature_count {
        let fault = format!("has {} names, but the model has {feature_count} features", names.len());
        return Err(learner.fault("feature_names", fault));
    }
    Ok(Some(names))
}

/// The trees, and in how many rounds they were grown.
fn trees(learner: Members, feature_count: usize) -> Result<(Vec<Tree>, usize), ModelError> {
    let booster = Members::of("learner.gradient_booster", learner.get("gradient_booster")?)?;
    let (holder, mut weights) = match booster.text("name")? {
        "gbtree" => {
            known(booster, &["name", "model"])?;
            (booster, None)
        }
        "dart" => {
            known(booster, &["name", "gbtree", "weight_drop"])?;
            let inner = Members::of("learner.gradient_booster.gbtree", booster.get("gbtree")?)?;
            known(inner, &["name", "model"])?;
            (inner, Some(booster.floats("weight_drop")?))
        }
        other => return Err(ModelError::unsupported(format!("the booster `{}`", brief(other)), BOOSTERS)),
    };
    let model = Members::of("learner.gradient_booster.model", holder.get("model")?)?;
    known(model, &["gbtree_model_param", "trees", "tree_info", "iteration_indptr", "cats", "weight_drop"])?;
    if model.find("weight_drop").is_some() {
        weights = Some(model.floats("weight_drop")?);
    }
    let list = match model.get("trees")? {
        Value::List(list) => list.as_slice(),
        Value::Ints(none) if none.is_empty() => &[],
        other => return Err(model.fault("trees", format!("is {}, not a list of trees", other.kind()))),
    };
    check_counts(model, list.len(), weights.as_deref())?;
    let mut words = Words::default();
    let mut trees = Vec::with_capacity(list.len());
    for (number, value) in list.iter().enumerate() {
        let weight = weights.as_ref().map_or(1.0, |weights| weights[number]);
        trees.push(tree(number, value, weight, feature_count, &mut words)?);
    }
    // A round may have several trees; files without its bounds are older than that.
    let rounds = match model.find("iteration_indptr") {
        Some(_) => model.ints("iteration_indptr")?.len().saturating_sub(1),
        None => trees.len(),
    };
    Ok((trees, rounds))
}

fn check_counts(model: Members, trees: usize, weights: Option<&[f32]>) -> Result<(), ModelError> {
    let params = Members::of("gbtree_model_param", model.get("gbtree_model_param")?)?;
    let announced = params.whole("num_trees")?;
    if usize::try_from(announced) != Ok(trees) {
        return Err(params.fault("num_trees", format!("is {announced}, but there are {trees} trees")));
    }
    let groups = model.ints("tree_info")?;
    if groups.len() != trees {
        return Err(model.fault("tree_info", format!("has {} entries for {trees} trees", groups.len())));
    }
    if let Some(group) = groups.iter().find(|group| **group != 0) {
        let what = format!("a tree for output {group} (multi-class or multi-target)");
        return Err(ModelError::unsupported(what, "accepted are models with one output"));
    }
    if model.find("iteration_indptr").is_some() {
        let last = model.ints("iteration_indptr")?.last().copied().unwrap_or(0);
        if usize::try_from(last) != Ok(trees) {
            return Err(
                model.fault("iteration_indptr", format!("ends at {last}, but there are {trees} trees"))
            );
        }
    }
    if let Some(weights) = weights.filter(|weights| weights.len() != trees) {
        return Err(model.fault("weight_drop", format!("has {} entries for {trees} trees", weights.len())));
    }
    Ok(())
}

const TREE_MEMBERS: &[&str] = &[
    "base_weights",
    "categories",
    "categories_nodes",
    "categories_segments",
    "categories_sizes",
    "default_left",
    "id",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
    "tree_param",
];

/// The columns of a tree, a value for each node.
struct Columns {
    left: Vec<i64>,
    right: Vec<i64>,
    parent: Vec<i64>,
    feature: Vec<i64>,
    condition: Vec<f32>,
    default_left: Vec<i64>,
    hessian: Vec<f32>,
    /// Bit set of a categorical node, as start and length in the tree's words.
    sets: Vec<Option<(u32, u32)>>,
}

fn tree(
    number: usize,
    value: &Value,
    weight: f32,
    feature_count: usize,
    words: &mut Words,
) -> Result<Tree, ModelError> {
    let path = format!("trees[{number}]");
    let members = Members::of(&path, value)?;
    known(members, TREE_MEMBERS)?;
    let params = Members::of(&path, members.get("tree_param")?)?;
    if params.find("size_leaf_vector").is_some() && params.whole("size_leaf_vector")? > 1 {
        return Err(ModelError::unsupported(
            "a tree with vector leaves",
            "accepted are models with one output",
        ));
    }
    let nodes = params.whole("num_nodes")?;
    let left = members.ints("left_children")?;
    if usize::try_from(nodes) != Ok(left.len()) {
        return Err(ModelError::tree(number, format!("num_nodes is {nodes}, but {} are there", left.len())));
    }
    if members.find("id").is_some() && usize::try_from(members.whole("id")?) != Ok(number) {
        return Err(ModelError::tree(number, format!("its id is {}", members.whole("id")?)));
    }
    let mut tree_words = Vec::new();
    let columns = Columns {
        sets: sets(number, members, left.len(), &mut tree_words, words)?,
        left,
        right: members.ints("right_children")?,
        parent: members.ints("parents")?,
        feature: members.ints("split_indices")?,
        condition: members.floats("split_conditions")?,
        default_left: members.ints("default_left")?,
        hessian: members.floats("sum_hessian")?,
    };
    columns.check(number)?;
    let nodes: Vec<Node> = (0..columns.left.len()).map(|at| columns.node(at, weight)).collect();
    Tree::plant(number, &nodes, tree_words, feature_count)
}

impl Columns {
    fn check(&self, number: usize) -> Result<(), ModelError> {
        let count = self.left.len();
        let lengths = [
            ("right_children", self.right.len()),
            ("parents", self.parent.len()),
            ("split_indices", self.feature.len()),
            ("split_conditions", self.condition.len()),
            ("default_left", self.default_left.len()),
            ("sum_hessian", self.hessian.len()),
        ];
        if let Some((name, length)) = lengths.iter().find(|(_, length)| *length != count) {
            return Err(ModelError::tree(number, format!("{name} has {length} entries for {count} nodes")));
        }
        for at in 0..count {
            if (self.left[at] == -1) != (self.right[at] == -1) {
                return Err(ModelError::node(number, at as i64, "has one child only"));
            }
            for child in [self.left[at], self.right[at]] {
                let parent = usize::try_from(child).ok().and_then(|child| self.parent.get(child));
                if child != -1 && parent.is_some_and(|parent| *parent != at as i64) {
                    let fault = match parent {
                        Some(named) if !DELETED.contains(named) => {
                            format!("is a child of node {at}, but says that node {named} is its parent")
                        }
                        _ => format!("is a child of node {at}, but says that it has no parent"),
                    };
                    return Err(ModelError::node(number, child, fault));
                }
            }
        }
        Ok(())
    }

    fn node(&self, at: usize, weight: f32) -> Node {
        let cover = f64::from(self.hessian[at]);
        if self.left[at] == -1 {
            if at > 0 && DELETED.contains(&self.feature[at]) {
                return Node::Deleted;
            }
            return Node::Leaf { value: f64::from(self.condition[at] * weight), cover };
        }
        let default_right = self.default_left[at] == 0;
        let test = match self.sets[at] {
            Some((start, len)) => {
                let rule = CategoryRule::Xgboost;
                Test::Member { start, len, member_right: true, default_right, rule }
            }
            None => Test::AtLeast { threshold: self.condition[at], default_right },
        };
        Node::Split { feature: self.feature[at], test, left: self.left[at], right: self.right[at], cover }
    }
}

fn sets(
    number: usize,
    members: Members,
    count: usize,
    tree_words: &mut Vec<u32>,
    words: &mut Words,
) -> Result<Vec<Option<(u32, u32)>>, ModelError> {
    let mut sets = vec![None; count];
    if members.find("split_type").is_none() {
        return Ok(sets);
    }
    let types = members.ints("split_type")?;
    let nodes = members.ints("categories_nodes")?;
    let starts = members.ints("categories_segments")?;
    let sizes = members.ints("categories_sizes")?;
    let categories = members.ints("categories")?;
    if types.len() != count || starts.len() != nodes.len() || sizes.len() != nodes.len() {
        return Err(ModelError::tree(number, "the lists of its categorical splits differ in length"));
    }
    for ((node, start), size) in nodes.iter().zip(&starts).zip(&sizes) {
        let fault = |fault: &str| ModelError::node(number, *node, fault);
        let at = usize::try_from(*node).ok().filter(|at| *at < count);
        let at = at.ok_or_else(|| fault("has categories, but does not exist"))?;
        let range = usize::try_from(*start).ok().zip(usize::try_from(*size).ok());
        let of_node = range
            .filter(|(_, size)| *size > 0)
            .and_then(|(start, size)| Some(start..start.checked_add(size)?))
            .and_then(|range| categories.get(range))
            .ok_or_else(|| fault("has a list of categories that is empty or ends outside of the file's"))?;
        if sets[at].is_some() {
            return Err(fault("has two lists of categories"));
        }
        let last = of_node.iter().max().copied().unwrap_or(0);
        if last > CATEGORY_MAX || of_node.iter().any(|category| *category < 0) {
            return Err(fault("has a category that is negative or above 16777214"));
        }
        let len = last as usize / 32 + 1;
        words.take(len).map_err(|over| ModelError::node(number, *node, over))?;
        let first = tree_words.len();
        tree_words.resize(first + len, 0);
        for category in of_node {
            tree_words[first + *category as usize / 32] |= 1 << (*category % 32);
        }
        sets[at] = Some((first as u32, len as u32));
    }
    for (at, kind) in types.iter().enumerate() {
        match (kind, sets[at]) {
            (0, None) | (1, Some(_)) => {}
            (0, Some(_)) => {
                return Err(ModelError::node(number, at as i64, "has categories, but is numerical"));
            }
            (1, None) => {
                return Err(ModelError::node(number, at as i64, "is categorical without categories"));
            }
            (other, _) => {
                return Err(ModelError::node(
                    number,
                    at as i64,
                    format!("has the unknown split type {other}"),
                ));
            }
        }
    }
    Ok(sets)
}
