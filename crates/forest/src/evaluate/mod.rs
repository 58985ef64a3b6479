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
mod single;

use crate::Score;
use crate::format::Sum;
use crate::link::Link;
use crate::scratch::Scratch;
use crate::simd::{Detected, Kernel};
use crate::tree::Tree;

use block::Block;
use single::Single;

pub(crate) use block::LANES;

/// Fewer rows than this are scored one by one. Derived from the benches: a block costs 6 to 7 us whatever it
/// holds, a single row about 1 us.
const BLOCK_ROWS_MIN: usize = 8;

/// Rows that are stood in columns together.
const GROUP: usize = 4;

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
pub(crate) enum Evaluator {
    F32(Block<f32>, Single<f32>),
    F64(Block<f64>, Single<f64>),
}

/// Rows as the caller holds them.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    /// Values from one row to the next.
    pub(crate) width: usize,
    pub(crate) features: usize,
}

impl Rows<'_> {
    #[inline(always)]
    fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.width..at * self.width + self.features]
    }
}

impl Evaluator {
    pub(crate) fn new(trees: &[Tree], sum: Sum) -> Self {
        match sum {
            Sum::F32 { base } => Self::F32(Block::new(trees, base), Single::new(trees, base)),
            Sum::F64 => Self::F64(Block::new(trees, 0.0), Single::new(trees, 0.0)),
        }
    }

    pub(crate) fn prepare(feature_count: usize, scratch: &mut Scratch) {
        if scratch.columns.len() < feature_count {
            scratch.columns.resize(feature_count, [0.0; LANES]);
        }
    }

    pub(crate) fn margin(&self, set: Detected, row: &[f32]) -> f64 {
        match self {
            Self::F32(_, single) => f64::from(set.run(One { single, row })),
            Self::F64(_, single) => set.run(One { single, row }),
        }
    }

    pub(crate) fn score_rows(
        &self,
        set: Detected,
        rows: Rows,
        link: Link,
        scratch: &mut Scratch,
        out: &mut [Score],
    ) {
        match self {
            Self::F32(block, single) => many(set, block, single, rows, link, scratch, out),
            Self::F64(block, single) => many(set, block, single, rows, link, scratch, out),
        }
    }
}

fn many<T: Leaf>(
    set: Detected,
    block: &Block<T>,
    single: &Single<T>,
    rows: Rows,
    link: Link,
    scratch: &mut Scratch,
    out: &mut [Score],
) {
    let columns = &mut scratch.columns[..rows.features];
    let mut at = 0;
    for out in out.chunks_mut(LANES) {
        if out.len() < BLOCK_ROWS_MIN {
            for (lane, out) in out.iter_mut().enumerate() {
                let margin = set.run(One { single, row: rows.row(at + lane) }).widen();
                *out = Score { margin, score: link.apply(margin) };
            }
        } else {
            turn(rows, at, out.len(), columns);
            set.run(Lanes { block, columns, link, out });
        }
        at += out.len();
    }
}

/// Stands `count` rows, from the row `at` on, in columns, four rows at a time.
fn turn(rows: Rows, at: usize, count: usize, columns: &mut [[f32; LANES]]) {
    for (group, lane) in (0..LANES).step_by(GROUP).enumerate().take(count / GROUP) {
        let [a, b, c, d] = std::array::from_fn(|row| rows.row(at + lane + row));
        for ((((column, a), b), c), d) in columns.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            column.as_chunks_mut::<GROUP>().0[group] = [*a, *b, *c, *d];
        }
    }
    for lane in count / GROUP * GROUP..count {
        for (column, x) in columns.iter_mut().zip(rows.row(at + lane)) {
            column[lane] = *x;
        }
    }
}

/// A block of rows in columns.
struct Lanes<'a, T> {
    block: &'a Block<T>,
    columns: &'a [[f32; LANES]],
    link: Link,
    out: &'a mut [Score],
}

impl<T: Leaf> Kernel for Lanes<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        self.block.score(self.columns, self.link, self.out);
    }
}

struct One<'a, T> {
    single: &'a Single<T>,
    row: &'a [f32],
}

impl<T: Leaf> Kernel for One<'_, T> {
    type Out = T;

    #[inline(always)]
    fn run(self) -> T {
        self.single.margin(self.row)
    }
}

#[cfg(test)]
mod tests;
