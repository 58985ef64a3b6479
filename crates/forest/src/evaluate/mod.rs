//! Sum the trees of a forest for rows of features.
//!
//! tree -> **evaluate** -> `link`
//!
//! Two layouts of the same trees: `block` for many rows, `single` for one. Both add each tree's leaf in the
//! trainer's order in the trainer's type, so that their bits are equal; `Tree::leaf_of` is the slow twin they are
//! held to.
//!
//! Holds: which version runs is chosen once, at load, by what the machine can do; all versions give the same bits.
//! Not here: links; contributions.

mod block;
mod simd;
mod single;

use crate::Score;
use crate::format::Sum;
use crate::link::Link;
use crate::scratch::Scratch;
use crate::tree::Tree;

use block::Block;
use single::Single;

pub(crate) use block::LANES;

/// Fewer rows than this are scored one by one. Derived from the benches: a block costs 6 to 7 us whatever it
/// holds, a single row about 1 us.
const BLOCK_ROWS_MIN: usize = 8;

/// What the block evaluator is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionSet {
    /// Whatever the target has at least.
    Baseline,
    Avx2,
    Avx512,
}

impl InstructionSet {
    /// The best one that this machine runs.
    pub fn detect() -> Self {
        simd::detect()
    }
}

/// The type of a trainer's leaves and sums.
pub(crate) trait Leaf: Copy + Default + std::fmt::Debug + std::ops::AddAssign {
    fn narrow(value: f64) -> Self;
    fn widen(self) -> f64;
}

impl Leaf for f32 {
    #[inline(always)]
    fn narrow(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Leaf for f64 {
    #[inline(always)]
    fn narrow(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
}

#[derive(Debug)]
pub(crate) struct Evaluator {
    set: InstructionSet,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    F32(Block<f32>, Single<f32>),
    F64(Block<f64>, Single<f64>),
}

impl Evaluator {
    pub(crate) fn new(trees: &[Tree], sum: Sum, set: InstructionSet) -> Self {
        let layout = match sum {
            Sum::F32 { base } => Layout::F32(Block::new(trees, base), Single::new(trees, base)),
            Sum::F64 => Layout::F64(Block::new(trees, 0.0), Single::new(trees, 0.0)),
        };
        Self { set, layout }
    }

    pub(crate) fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    pub(crate) fn limit_to(&mut self, set: InstructionSet) {
        self.set = self.set.min(set);
    }

    pub(crate) fn prepare(&self, feature_count: usize, scratch: &mut Scratch) {
        if scratch.columns.len() < feature_count {
            scratch.columns.resize(feature_count, [0.0; LANES]);
        }
    }

    pub(crate) fn margin(&self, row: &[f32]) -> f64 {
        match &self.layout {
            Layout::F32(_, single) => single.margin(row).widen(),
            Layout::F64(_, single) => single.margin(row),
        }
    }

    pub(crate) fn score_rows(
        &self,
        rows: &[f32],
        width: usize,
        features: usize,
        link: Link,
        scratch: &mut Scratch,
        out: &mut [Score],
    ) {
        match &self.layout {
            Layout::F32(block, single) => {
                self.run(block, single, Rows { rows, width, features, link }, scratch, out);
            }
            Layout::F64(block, single) => {
                self.run(block, single, Rows { rows, width, features, link }, scratch, out);
            }
        }
    }

    fn run<T: Leaf>(
        &self,
        block: &Block<T>,
        single: &Single<T>,
        rows: Rows,
        scratch: &mut Scratch,
        out: &mut [Score],
    ) {
        let mut at = 0;
        for out in out.chunks_mut(LANES) {
            if out.len() < BLOCK_ROWS_MIN {
                for (lane, out) in out.iter_mut().enumerate() {
                    let margin = single.margin(rows.row(at + lane)).widen();
                    *out = Score { margin, score: rows.link.apply(margin) };
                }
            } else {
                let columns = &mut scratch.columns[..rows.features];
                for lane in 0..out.len() {
                    for (column, x) in columns.iter_mut().zip(rows.row(at + lane)) {
                        column[lane] = *x;
                    }
                }
                simd::score(self.set, block, columns, rows.link, out);
            }
            at += out.len();
        }
    }
}

/// Rows as the caller holds them.
#[derive(Clone, Copy)]
struct Rows<'a> {
    rows: &'a [f32],
    width: usize,
    features: usize,
    link: Link,
}

impl Rows<'_> {
    fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * self.width..at * self.width + self.features]
    }
}
