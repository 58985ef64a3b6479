//! What depends on what: features, and behind them the flags, by operand number.
//!
//! spec -> **graph** -> file (circles, blind runs), plan (order, layers)
//!
//! An expression reads operands of the same event; a window reads, of earlier events, the flag that its condition is.
//! Operands are numbered features first, in the order of the file, then flags.

use super::spec::{Condition, Definition, FeatureSet};

/// The reads of every operand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    features: usize,
    reads: Vec<Vec<usize>>,
    /// By operand: whether it is a window.
    is_window: Vec<bool>,
}

impl Graph {
    /// Of definitions and flags as far as there are any; what was refused reads nothing.
    pub(crate) fn new<'a>(
        definitions: impl Iterator<Item = Option<&'a Definition>>,
        conditions: &[Condition],
        flags: &[Condition],
    ) -> Self {
        let mut graph = Self::default();
        let mut windows = Vec::new();
        for definition in definitions {
            let mut reads = Vec::new();
            match definition {
                Some(Definition::Expression(program)) => reads.extend_from_slice(program.reads()),
                Some(Definition::Window(window)) => {
                    let flag = window.condition.and_then(|condition| conditions[condition].flag);
                    windows.extend(flag.map(|flag| (graph.reads.len(), flag)));
                }
                None => {}
            }
            graph.is_window.push(matches!(definition, Some(Definition::Window(_))));
            graph.reads.push(reads);
        }
        graph.features = graph.reads.len();
        for (window, flag) in windows {
            graph.reads[window].push(graph.features + flag);
        }
        graph.reads.extend(flags.iter().map(|flag| flag.program.reads().to_vec()));
        graph.is_window.resize(graph.reads.len(), false);
        graph
    }

    /// Of a checked feature set.
    pub(crate) fn of(set: &FeatureSet) -> Self {
        let definitions = set.features.iter().map(|feature| Some(&feature.definition));
        Self::new(definitions, &set.conditions, &set.flags)
    }

    /// Features and flags.
    pub(crate) fn operands(&self) -> usize {
        self.reads.len()
    }

    pub(crate) fn reads(&self, operand: usize) -> &[usize] {
        &self.reads[operand]
    }

    pub(crate) fn is_window(&self, operand: usize) -> bool {
        self.is_window[operand]
    }

    /// Every circle as the operands on its way, the first one again at its end.
    pub(crate) fn circles(&self) -> Vec<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            OnTheWay,
            Done,
        }
        let mut circles = Vec::new();
        let mut seen = vec![Seen::Not; self.operands()];
        for start in 0..self.operands() {
            // The way down: an operand, and which of its reads comes next.
            let mut way = vec![(start, 0)];
            while let Some((operand, next)) = way.last().copied() {
                if next == 0 {
                    if seen[operand] != Seen::Not {
                        way.pop();
                        continue;
                    }
                    seen[operand] = Seen::OnTheWay;
                }
                let Some(&read) = self.reads[operand].get(next) else {
                    seen[operand] = Seen::Done;
                    way.pop();
                    continue;
                };
                if let Some(last) = way.last_mut() {
                    last.1 += 1;
                }
                if seen[read] == Seen::OnTheWay {
                    let from = way.iter().position(|(operand, _)| *operand == read).unwrap_or(0);
                    circles.push(way[from..].iter().map(|(operand, _)| *operand).chain([read]).collect());
                } else {
                    way.push((read, 0));
                }
            }
        }
        circles
    }

    /// The expressions and flags that an event's `roots` need, each behind those that it reads. What a window counts is of
    /// earlier events, so that the way ends there. Without circles.
    pub(crate) fn order(&self, roots: impl IntoIterator<Item = usize>) -> Vec<usize> {
        self.walk(roots, |operand| !self.is_window[operand])
    }

    /// By operand: the layer of a window (0, or that of its flag), and of an expression or a flag the layers of windows that come
    /// before it: one more than the highest that it reads. Without circles.
    pub(crate) fn layers(&self) -> Vec<usize> {
        let mut layers = vec![0; self.operands()];
        for operand in self.walk(0..self.operands(), |_| true) {
            let before = |&read: &usize| layers[read] + usize::from(self.is_window[read]);
            layers[operand] = self.reads[operand].iter().map(before).max().unwrap_or(0);
        }
        layers
    }

    /// Depth first, what is read before what reads it; operands that are not `wanted` are passed by with all that they read.
    fn walk(&self, roots: impl IntoIterator<Item = usize>, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut order = Vec::new();
        let mut is_done = vec![false; self.operands()];
        for root in roots {
            let mut way = vec![(root, 0)];
            while let Some((operand, next)) = way.pop() {
                if is_done[operand] || !wanted(operand) {
                    continue;
                }
                if let Some(&read) = self.reads[operand].get(next) {
                    way.push((operand, next + 1));
                    way.push((read, 0));
                } else {
                    is_done[operand] = true;
                    order.push(operand);
                }
            }
        }
        order
    }
}
