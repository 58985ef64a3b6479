//! Read `LightGBM`'s text model.
//!
//! bytes -> **lightgbm** -> `tree`
//!
//! Holds: margin = 0, then each tree's leaf in order, in f64; a threshold t is compared as the largest f32 not
//! above t, which is the same for f32 inputs. `average_output` (random forests) belongs to the link: the trainer's
//! raw score is the sum.
//! Not here: linear trees, multi-class, ranking and count objectives: refused by name. What follows the trees
//! (importances, parameters) is not read.

use std::collections::HashMap;

use super::value::brief;
use super::{Parsed, Sum, Words};
use crate::ModelError;
use crate::limits::FEATURES_MAX;
use crate::link::{Link, Shape};
use crate::narrow::Edges;
use crate::tree::{CategoryRule, Node, Test, Tree, ZERO};

const OBJECTIVES: &str =
    "accepted are binary, cross_entropy, regression, regression_l1, huber, fair, quantile and mape";

const IDENTITIES: &[&str] = &["regression", "regression_l1", "huber", "fair", "quantile", "mape", "custom"];

const HEADER_KEYS: &[&str] = &[
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];

const TREE_KEYS: &[&str] = &[
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "shrinkage",
];

type Keys<'a> = HashMap<&'a str, &'a str>;

pub(super) fn read(bytes: &[u8]) -> Result<Parsed, ModelError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = format!("byte {}", error.valid_up_to());
        ModelError::Syntax { format: "LightGBM text", at, fault: "not UTF-8".into() }
    })?;
    let last = text.lines().count().saturating_sub(1);
    let mut lines = Lines { lines: text.lines().enumerate().peekable(), last };
    if lines.next().map(|(_, line)| line) != Some("tree") {
        return Err(syntax(0, "the first line is not `tree`"));
    }
    let header = lines.keys(HEADER_KEYS)?;
    let header = Header::read(&header)?;
    let mut edges = Edges::new(header.feature_count);
    let trees = lines.trees(header.feature_count, &mut edges)?;
    edges.sort();
    check_tree_count(&header, trees.len())?;
    let divisor = if header.average { trees.len().max(1) as f64 } else { 1.0 };
    let link = Link { divisor, shape: header.shape };
    let (names, feature_count) = (header.names, header.feature_count);
    Ok(Parsed { names, feature_count, sum: Sum::F64, link, trees, edges: Some(edges), best_rounds: None })
}

fn check_tree_count(header: &Header, trees: usize) -> Result<(), ModelError> {
    match header.announced {
        Some(announced) if announced != trees => Err(ModelError::field(
            "tree_sizes",
            format!("announces {announced} trees, but {trees} are there"),
        )),
        _ => Ok(()),
    }
}

fn syntax(line: usize, fault: impl Into<String>) -> ModelError {
    ModelError::Syntax { format: "LightGBM text", at: format!("line {}", line + 1), fault: fault.into() }
}

struct Lines<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
    /// Of the file's lines the last.
    last: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.lines.next().map(|(at, line)| (at, line.trim_end()))
    }

    fn skip_empty(&mut self) {
        while self.lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
    }

    /// The lines `key=value` up to an empty one or the next tree.
    fn keys(&mut self, known: &[&str]) -> Result<Keys<'a>, ModelError> {
        let mut keys = Keys::new();
        while let Some((at, line)) = self.lines.next_if(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("Tree=") && line != "end of trees"
        }) {
            let (key, value) = line.trim_end().split_once('=').unwrap_or((line.trim_end(), ""));
            if matches!(key, "leaf_const" | "num_features" | "leaf_features" | "leaf_coeff") {
                return Err(linear());
            }
            if !known.contains(&key) {
                let key = brief(key);
                return Err(syntax(at, format!("`{key}` is not known, and may change what the model means")));
            }
            if keys.insert(key, value).is_some() {
                return Err(syntax(at, format!("`{key}` occurs twice")));
            }
        }
        Ok(keys)
    }

    fn trees(&mut self, feature_count: usize, edges: &mut Edges) -> Result<Vec<Tree>, ModelError> {
        let mut trees = Vec::new();
        let mut words = Words::default();
        loop {
            self.skip_empty();
            let Some((at, line)) = self.next() else {
                return Err(syntax(self.last, "the file ends before `end of trees`"));
            };
            if line == "end of trees" {
                return Ok(trees);
            }
            let number = trees.len();
            if line.strip_prefix("Tree=").map(str::parse) != Some(Ok(number)) {
                return Err(syntax(at, format!("`{}` where `Tree={number}` is due", brief(line))));
            }
            let keys = self.keys(TREE_KEYS)?;
            trees.push(TreeText { number, keys }.read(feature_count, &mut words, edges)?);
        }
    }
}

fn linear() -> ModelError {
    ModelError::unsupported("a linear tree (linear_tree=true)", "accepted are trees with constant leaves")
}

struct Header {
    feature_count: usize,
    names: Option<Vec<String>>,
    shape: Shape,
    /// Whether the trainer averages the trees, after its raw score.
    average: bool,
    announced: Option<usize>,
}

impl Header {
    fn read(keys: &Keys) -> Result<Self, ModelError> {
        let one = "accepted are models with one output";
        match keys.get("version").copied() {
            Some("v2" | "v3" | "v4") => {}
            Some(other) => {
                let what = format!("the model version `{}`", brief(other));
                return Err(ModelError::unsupported(what, "accepted are v2, v3 and v4"));
            }
            None => return Err(ModelError::field("version", "is missing")),
        }
        for key in ["num_class", "num_tree_per_iteration"] {
            let number = keys.get(key).copied().unwrap_or("1");
            if number != "1" {
                let what = format!("a multi-class model ({key}={})", brief(number));
                return Err(ModelError::unsupported(what, one));
            }
        }
        let last = keys.get("max_feature_idx").copied().ok_or_else(|| missing("max_feature_idx"))?;
        let feature_count = last
            .parse::<usize>()
            .ok()
            .filter(|last| *last < FEATURES_MAX)
            .map(|last| last + 1)
            .ok_or_else(|| ModelError::field("max_feature_idx", format!("is `{}`", brief(last))))?;
        Ok(Self {
            feature_count,
            names: names(keys, feature_count)?,
            shape: shape(keys)?,
            average: keys.contains_key("average_output"),
            announced: keys.get("tree_sizes").map(|sizes| sizes.split_ascii_whitespace().count()),
        })
    }
}

fn missing(key: &str) -> ModelError {
    ModelError::field(key, "is missing")
}

fn names(keys: &Keys, feature_count: usize) -> Result<Option<Vec<String>>, ModelError> {
    let names = keys.get("feature_names").copied().ok_or_else(|| missing("feature_names"))?;
    let names: Vec<String> = names.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() != feature_count {
        let fault = format!("has {} names, but the model has {feature_count} features", names.len());
        return Err(ModelError::field("feature_names", fault));
    }
    Ok(Some(names))
}

fn shape(keys: &Keys) -> Result<Shape, ModelError> {
    let Some(objective) = keys.get("objective").copied() else {
        return Ok(Shape::Identity);
    };
    let mut parts = objective.split_ascii_whitespace();
    let name = parts.next().unwrap_or("");
    let options: Vec<&str> = parts.collect();
    match (name, options.as_slice()) {
        ("binary", options) => Ok(Shape::Sigmoid { slope: slope(options)? }),
        ("cross_entropy", []) => Ok(Shape::Sigmoid { slope: 1.0 }),
        ("regression", ["sqrt"]) => Ok(Shape::SignedSquare),
        (name, []) if IDENTITIES.contains(&name) => Ok(Shape::Identity),
        _ => Err(ModelError::unsupported(format!("the objective `{}`", brief(objective)), OBJECTIVES)),
    }
}

/// The `sigmoid:` of a binary objective; other options only say how it was trained.
fn slope(options: &[&str]) -> Result<f64, ModelError> {
    let Some(text) = options.iter().find_map(|option| option.strip_prefix("sigmoid:")) else {
        return Err(ModelError::field("objective", "binary without `sigmoid:`"));
    };
    text.parse()
        .ok()
        .filter(|slope: &f64| slope.is_finite() && *slope > 0.0)
        .ok_or_else(|| ModelError::field("objective", format!("sigmoid is `{}`", brief(text))))
}

struct TreeText<'a> {
    number: usize,
    keys: Keys<'a>,
}

impl TreeText<'_> {
    fn read(&self, feature_count: usize, words: &mut Words, edges: &mut Edges) -> Result<Tree, ModelError> {
        if self.keys.get("is_linear").is_some_and(|linear| *linear != "0") {
            return Err(linear());
        }
        let leaves: usize = self.one("num_leaves")?;
        if leaves == 0 {
            return Err(self.fault("num_leaves is 0"));
        }
        let value = self.column::<f64>("leaf_value", leaves)?;
        let leaf_cover = self.covers("leaf_count", leaves)?;
        let leaf = |at: usize| Node::Leaf { value: value[at], cover: leaf_cover[at] };
        if leaves == 1 {
            return Tree::plant(self.number, &[leaf(0)], Vec::new(), feature_count);
        }
        let splits = leaves - 1;
        let feature = self.column::<i64>("split_feature", splits)?;
        let threshold = self.column::<f64>("threshold", splits)?;
        let kind = match self.keys.get("decision_type") {
            Some(_) => self.column::<u8>("decision_type", splits)?,
            None => vec![0; splits],
        };
        let left = self.column::<i64>("left_child", splits)?;
        let right = self.column::<i64>("right_child", splits)?;
        let cover = self.covers("internal_count", splits)?;
        let (bounds, set_words) = self.sets(words)?;
        // Leaf number n is written -n-1; here leaves stand after the splits.
        let place = |child: i64| if child < 0 { splits as i64 + !child } else { child };
        let mut nodes = Vec::with_capacity(splits + leaves);
        for at in 0..splits {
            if [left[at], right[at]].iter().any(|child| *child >= splits as i64) {
                return Err(ModelError::node(
                    self.number,
                    at as i64,
                    "has a child that is no split of the tree",
                ));
            }
            let test = if kind[at] & 1 == 1 {
                edges.category(feature[at]);
                self.member(at, threshold[at], &bounds)?
            } else {
                edges.threshold(feature[at], threshold[at]);
                self.at_least(at, threshold[at], kind[at])?
            };
            let (left, right) = (place(left[at]), place(right[at]));
            nodes.push(Node::Split { feature: feature[at], test, left, right, cover: cover[at] });
        }
        nodes.extend((0..leaves).map(leaf));
        Tree::plant(self.number, &nodes, set_words, feature_count)
    }

    fn at_least(&self, at: usize, threshold: f64, kind: u8) -> Result<Test, ModelError> {
        let fault = |fault: String| ModelError::node(self.number, at as i64, fault);
        if threshold.is_nan() {
            return Err(fault("has NaN as its threshold".into()));
        }
        let default_left = kind & 2 != 0;
        // The trainer goes left for x <= t.
        let next = with_zeros_equal(floor_f32(threshold).next_up());
        match kind >> 2 {
            // No missing value was seen: NaN counts as 0.
            0 => Ok(Test::AtLeast { threshold: next, default_right: 0.0 >= next }),
            1 => Ok(Test::AtLeastNonzero { threshold: next, default_right: !default_left }),
            2 => Ok(Test::AtLeast { threshold: next, default_right: !default_left }),
            _ => Err(fault(format!("has the unknown decision type {kind}"))),
        }
    }

    fn member(&self, at: usize, index: f64, bounds: &[usize]) -> Result<Test, ModelError> {
        let found = (index >= 0.0 && index < bounds.len() as f64)
            .then_some(index as usize)
            .and_then(|index| bounds.get(index).copied().zip(bounds.get(index + 1).copied()));
        let (start, end) = found.ok_or_else(|| {
            let fault = format!("is categorical, but the tree has no set number {index}");
            ModelError::node(self.number, at as i64, fault)
        })?;
        let (start, len) = (start as u32, (end - start) as u32);
        let rule = CategoryRule::Lightgbm;
        Ok(Test::Member { start, len, member_right: false, default_right: true, rule })
    }

    /// Bounds of the bit sets of categories, and their words.
    fn sets(&self, words: &mut Words) -> Result<(Vec<usize>, Vec<u32>), ModelError> {
        let count: usize = self.one("num_cat")?;
        if count == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        let length = count.checked_add(1).ok_or_else(|| self.fault("num_cat is too large"))?;
        let bounds = self.column::<usize>("cat_boundaries", length)?;
        let total = bounds.last().copied().unwrap_or(0);
        if bounds.first() != Some(&0) || bounds.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(self.fault("cat_boundaries do not rise from 0"));
        }
        words.take(total).map_err(|over| self.fault(over))?;
        let set_words = self.column::<u32>("cat_threshold", total)?;
        Ok((bounds, set_words))
    }

    /// Rows of training data, as weights; absent in some files.
    fn covers(&self, key: &str, count: usize) -> Result<Vec<f64>, ModelError> {
        match self.keys.get(key) {
            Some(_) => self.column(key, count),
            None => Ok(vec![0.0; count]),
        }
    }

    fn one<T: std::str::FromStr>(&self, key: &str) -> Result<T, ModelError> {
        let text = self.keys.get(key).ok_or_else(|| self.fault(format!("{key} is missing")))?;
        text.trim().parse().map_err(|_| self.fault(format!("{key} is `{}`", brief(text))))
    }

    fn column<T: std::str::FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, ModelError> {
        let text = self.keys.get(key).ok_or_else(|| self.fault(format!("{key} is missing")))?;
        let mut values = Vec::new();
        for part in text.split_ascii_whitespace() {
            values.push(part.parse().map_err(|_| {
                self.fault(format!("{key} holds `{}` at position {}", brief(part), values.len()))
            })?);
        }
        if values.len() != count {
            return Err(self.fault(format!("{key} has {} entries, not {count}", values.len())));
        }
        Ok(values)
    }

    fn fault(&self, fault: impl Into<String>) -> ModelError {
        ModelError::tree(self.number, fault)
    }
}

/// The largest f32 that is not above `t`.
fn floor_f32(t: f64) -> f32 {
    let near = t as f32;
    if f64::from(near) > t { near.next_down() } else { near }
}

/// The trainer's prediction takes |x| up to [`ZERO`] for 0 before it looks at a split, so that all of them go where
/// 0 goes: a threshold among them moves to the edge that says so.
fn with_zeros_equal(threshold: f32) -> f32 {
    if threshold > -ZERO && threshold <= 0.0 {
        -ZERO
    } else if threshold > 0.0 && threshold <= ZERO {
        ZERO.next_up()
    } else {
        threshold
    }
}
