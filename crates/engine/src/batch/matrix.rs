//! Turn cells into the f32 rows that the model scores.
//!
//! cell -> **matrix** -> forest
//!
//! Holds: a real is itself, an integer or decimal its exact value rounded once, a missing value NaN. A row is made
//! without a branch or a call a cell, as though all values were small; a row that has another is made again with
//! more care. Which instruction set makes it changes no bit (`cartguard_forest::Kernel`).

#![expect(
    clippy::inline_always,
    reason = "all of a kernel has to be one function, compiled for one instruction set"
)]

use crate::features::cell::{Cell, Shape};
use crate::features::rounding::{TENTHS, decimal_to_f32, is_off_middle};
use cartguard_forest::{Detected, Kernel};

/// 1.5 · 2^52. An integer from -2^51 to below 2^51, added to its bits, adds itself to its value, for the sum has
/// the same sign and exponent: a conversion for instruction sets that have none of several 64-bit integers at once.
const SHIFTER: f64 = 6_755_399_441_055_744.0;

/// Sign and exponent of an f64.
const NOT_FRACTION: i64 = !((1 << 52) - 1);

/// What a model reads of each row of cells.
#[derive(Debug)]
pub(crate) struct ModelColumns {
    /// Cells of a row.
    features: usize,
    /// The cell of each column; empty where the columns are all cells in order.
    cells: Vec<usize>,
    shapes: Vec<Shape>,
    /// What an integer or decimal is multiplied by; 0 for reals.
    units: Vec<f64>,
    /// All ones for reals.
    reals: Vec<u32>,
    /// Bits that are set in a value that is negative, missing or not small.
    not_small: Vec<u64>,
}

impl ModelColumns {
    /// Of the features `read`, by index into `shapes`.
    pub(crate) fn new(shapes: &[Shape], read: &[usize]) -> Self {
        let in_order = read.iter().copied().eq(0..shapes.len());
        let features = shapes.len();
        let shapes: Vec<Shape> = read.iter().map(|&index| shapes[index]).collect();
        let cells = if in_order { Vec::new() } else { read.to_vec() };
        let (mut units, mut reals, mut not_small) = (Vec::new(), Vec::new(), Vec::new());
        for shape in &shapes {
            let (unit, real, small_bits) = match *shape {
                Shape::Integer => (1.0, 0, small_bits(0)),
                Shape::Decimal { digits } => (TENTHS[digits as usize], 0, small_bits(digits)),
                Shape::Real => (0.0, u32::MAX, 32),
            };
            units.push(unit);
            reals.push(real);
            not_small.push(u64::MAX << small_bits);
        }
        Self { features, cells, shapes, units, reals, not_small }
    }
}

/// Bits of the values of this many decimal digits that are small: those of which the f64 next to the value always
/// rounds to the f32 that the value does.
///
/// Derived: the f64 is off by 2^-51 of the value at most (two roundings). A middle between two f32s is m/2^k with
/// 2^24 < m < 2^25, and lies away from value/10^digits by a multiple of 1/(10^digits·2^k), which is more than
/// 2^-46 of it for up to 6 digits, unless they are equal. Then, m being odd, k is at most the digits, and the
/// value is 2^24·5^digits or more.
fn small_bits(digits: u32) -> u32 {
    match digits {
        0 => 24,
        1 => 26,
        2..=6 => 28,
        _ => 0,
    }
}

/// Rows of one worker at a time.
#[derive(Debug)]
pub(crate) struct Matrix {
    set: Detected,
    values: Vec<f32>,
    /// The cells of a row's columns, where they are not all cells.
    chosen: Vec<Cell>,
}

impl Default for Matrix {
    fn default() -> Self {
        Self { set: Detected::best(), values: Vec::new(), chosen: Vec::new() }
    }
}

impl Matrix {
    /// A row of what was made last, where it was of so many columns.
    pub(crate) fn row(&self, at: usize, width: usize) -> &[f32] {
        &self.values[at * width..(at + 1) * width]
    }

    /// What a model reads of `rows` of cells, row by row.
    pub(crate) fn of(&mut self, columns: &ModelColumns, rows: &[Cell]) -> &[f32] {
        let width = columns.shapes.len();
        if width == 0 {
            return &[];
        }
        // The vector only grows; every place in use is written.
        let count = rows.len() / columns.features * width;
        if self.values.len() < count {
            self.values.resize(count, 0.0);
        }
        let values = &mut self.values[..count];
        self.set.run(Conversion { columns, rows, chosen: &mut self.chosen, values });
        values
    }
}

/// Rows of cells, and where the rows of their values go.
struct Conversion<'a> {
    columns: &'a ModelColumns,
    rows: &'a [Cell],
    chosen: &'a mut Vec<Cell>,
    values: &'a mut [f32],
}

impl Kernel for Conversion<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { columns, rows, chosen, values } = self;
        let values = values.chunks_exact_mut(columns.shapes.len());
        for (row, out) in rows.chunks_exact(columns.features).zip(values) {
            if columns.cells.is_empty() {
                convert(columns, row, out);
            } else {
                chosen.clear();
                chosen.extend(columns.cells.iter().map(|&cell| row[cell]));
                convert(columns, chosen, out);
            }
        }
    }
}

/// One row: of small values, as most rows are, else of any but a few, else cell by cell.
#[inline(always)]
fn convert(columns: &ModelColumns, cells: &[Cell], out: &mut [f32]) {
    if !convert_small(columns, cells, out) && !convert_usual(columns, cells, out) {
        convert_exactly(columns, cells, out);
    }
}

/// One row; false where a value is missing, negative or not small.
#[inline(always)]
fn convert_small(columns: &ModelColumns, cells: &[Cell], out: &mut [f32]) -> bool {
    let mut not_small = 0;
    let columns = columns.not_small.iter().zip(&columns.units).zip(&columns.reals);
    for ((cell, ((bits, unit), real)), out) in cells.iter().zip(columns).zip(out) {
        not_small |= cell.0 as u64 & bits;
        let number = f64::from(cell.0 as i32) * unit;
        *out = f32::from_bits((number as f32).to_bits() | (cell.0 as u32 & real));
    }
    not_small == 0
}

/// One row; false where a value is huge or next to a middle between two f32s.
#[cold]
#[inline(never)]
fn convert_usual(columns: &ModelColumns, cells: &[Cell], out: &mut [f32]) -> bool {
    let (mut huge, mut middle) = (0, false);
    for (((cell, unit), real), out) in cells.iter().zip(&columns.units).zip(&columns.reals).zip(out) {
        let is_missing = *cell == Cell::MISSING;
        let value = if is_missing { 0 } else { cell.0 };
        let shifted = value.wrapping_add(SHIFTER.to_bits() as i64);
        let near = (f64::from_bits(shifted as u64) - SHIFTER) * unit;
        huge |= shifted ^ SHIFTER.to_bits() as i64;
        middle |= !is_off_middle(near);
        let missing = if is_missing { f32::NAN.to_bits() } else { 0 };
        *out = f32::from_bits((near as f32).to_bits() | (cell.0 as u32 & real) | missing);
    }
    !middle && (huge & NOT_FRACTION == 0)
}

#[cold]
#[inline(never)]
fn convert_exactly(columns: &ModelColumns, cells: &[Cell], out: &mut [f32]) {
    for ((&cell, &shape), out) in cells.iter().zip(&columns.shapes).zip(out) {
        *out = exact(cell, shape);
    }
}

/// One cell.
fn exact(cell: Cell, shape: Shape) -> f32 {
    match shape {
        Shape::Real => cell.as_real(),
        Shape::Integer | Shape::Decimal { .. } if cell == Cell::MISSING => f32::NAN,
        Shape::Integer => cell.0 as f32,
        Shape::Decimal { digits } => decimal_to_f32(cell.0, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From here on integers are huge.
    const HUGE: i64 = 1 << 51;

    fn a_small_cell() -> impl Strategy<Value = (Shape, Cell)> {
        let shape = prop::sample::select((0..=6).map(|digits| Shape::Decimal { digits }).collect::<Vec<_>>());
        // Halfway between two f32s and next to it, where that is small.
        (shape, 1i64 << 23..1 << 24, 0u32..30, -1i64..=1).prop_map(|(shape, half, shift, by)| {
            let Shape::Decimal { digits } = shape else { unreachable!("only decimals") };
            let middle = (i128::from(2 * half + 1) * 10i128.pow(digits)) >> shift;
            (shape, Cell((middle as i64 + by) & ((1 << small_bits(digits)) - 1)))
        })
    }

    fn a_cell() -> impl Strategy<Value = (Shape, Cell)> {
        let shape = prop::sample::select(vec![
            Shape::Integer,
            Shape::Decimal { digits: 0 },
            Shape::Decimal { digits: 2 },
            Shape::Decimal { digits: 4 },
            Shape::Real,
        ]);
        let number = prop_oneof![
            4 => -1_000_000i64..1_000_000_000,
            1 => Just(i64::MIN),
            2 => (20u32..30, -2i64..=2).prop_map(|(bits, by)| (1 << bits) + by),
            1 => prop::sample::select(vec![HUGE - 1, HUGE, -HUGE, -HUGE - 1, i64::MIN + 1, i64::MAX, 0]),
            // Halfway between two f32s, as an integer and in hundredths, and beside it.
            1 => (1i64 << 23..1 << 24, -1i64..=1).prop_map(|(half, by)| 2 * half + 1 + by),
            1 => (1i64 << 23..1 << 24, -1i64..=1).prop_map(|(half, by)| (2 * half + 1) * 25 + by),
        ];
        (shape, number, any::<f32>()).prop_map(|(shape, number, real)| match shape {
            Shape::Real => (shape, Cell::real(real)),
            Shape::Integer | Shape::Decimal { .. } => (shape, Cell(number)),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn small_values_need_no_more_care(row in prop::collection::vec(a_small_cell(), 1..12)) {
            let (shapes, cells): (Vec<Shape>, Vec<Cell>) = row.into_iter().unzip();
            let columns = ModelColumns::new(&shapes, &(0..cells.len()).collect::<Vec<_>>());
            let mut out = vec![0.0; cells.len()];
            prop_assert!(convert_small(&columns, &cells, &mut out));
            for ((cell, shape), out) in cells.into_iter().zip(shapes).zip(out) {
                prop_assert_eq!(exact(cell, shape).to_bits(), out.to_bits());
            }
        }

        #[test]
        fn a_matrix_is_its_cells_one_by_one(row in prop::collection::vec(a_cell(), 1..12), skip: bool, pick: u16) {
            let (shapes, cells): (Vec<Shape>, Vec<Cell>) = row.into_iter().unzip();
            let read: Vec<usize> =
                (0..cells.len()).rev().filter(|index| !skip || pick >> index & 1 == 1).collect();
            let read: Vec<usize> = if skip { read } else { (0..cells.len()).collect() };
            let columns = ModelColumns::new(&shapes, &read);
            let mut matrix = Matrix::default();
            let wanted: Vec<u32> = read.iter().map(|&at| exact(cells[at], shapes[at]).to_bits()).collect();
            for rows in [3, 1, 2] {
                let cells = cells.repeat(rows);
                let found: Vec<u32> = matrix.of(&columns, &cells).iter().map(|value| value.to_bits()).collect();
                prop_assert_eq!(found, wanted.repeat(rows));
            }
        }
    }
}
