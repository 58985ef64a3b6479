//! From the totals of a range to the value of a feature.
//!
//! totals -> **value** -> read

use crate::features::cell::Cell;
use crate::features::reads::Part;
use crate::features::rounding;
use crate::window::totals::ColumnTotals;

/// One half of a ratio.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartTotals {
    pub(crate) n: u64,
    pub(crate) sum: i128,
}

pub(crate) fn ratio_of(of: Part, top: PartTotals, bottom: PartTotals) -> Cell {
    let (numerator, denominator) = match of {
        Part::Count | Part::CountIf(_) => (i128::from(top.n), i128::from(bottom.n)),
        Part::Sum(_) => (top.sum, bottom.sum),
        Part::Mean(_) => {
            // (Σa / n) / (Σb / m) = Σa·m / (Σb·n); n and m are at most the events of a key.
            let numerator = top.sum.checked_mul(i128::from(bottom.n));
            match (top.n, numerator, bottom.sum.checked_mul(i128::from(top.n))) {
                (0, _, _) => return Cell::real(f32::NAN),
                (_, Some(numerator), Some(denominator)) => (numerator, denominator),
                _ => {
                    return Cell::real(
                        (top.sum as f64 / top.n as f64 / (bottom.sum as f64 / bottom.n as f64)) as f32,
                    );
                }
            }
        }
    };
    match denominator {
        0 => Cell::real(f32::NAN),
        1.. => Cell::real(rounding::ratio_to_f32(numerator, denominator)),
        _ => Cell::real(rounding::ratio_to_f32(-numerator, -denominator)),
    }
}

#[inline]
pub(crate) fn mean(column: &ColumnTotals, unit: i64) -> Cell {
    if column.n == 0 {
        return Cell::real(f32::NAN);
    }
    let sum = column.sum as i64;
    // A product that leaves 64 bits is one of factors that are not both small.
    if i128::from(sum) == column.sum && (column.n | unit as u64) < 1 << 31 {
        return Cell::finite(rounding::narrow_ratio_to_f32(sum, column.n as i64 * unit));
    }
    wide_mean(column, unit)
}

#[cold]
#[inline(never)]
fn wide_mean(column: &ColumnTotals, unit: i64) -> Cell {
    Cell::real(rounding::ratio_to_f32(column.sum, i128::from(column.n) * i128::from(unit)))
}

#[inline]
pub(crate) fn extreme(column: &ColumnTotals, value: i64) -> Cell {
    if column.n == 0 { Cell::MISSING } else { Cell(value) }
}

pub(crate) fn real_extreme(column: &ColumnTotals, value: i64, digits: u32) -> Cell {
    if column.n == 0 {
        return Cell::real(f32::NAN);
    }
    Cell::real(rounding::decimal_to_f32(value, digits))
}

pub(crate) fn seconds_since(time_ms: i64, earlier_ms: Option<i64>) -> Cell {
    match earlier_ms {
        Some(earlier) => Cell::real(rounding::narrow_ratio_to_f32(time_ms - earlier, 1_000)),
        None => Cell::real(f32::NAN),
    }
}

/// A sum within 64 bits, or the end of the range.
#[inline]
pub(crate) fn narrow(sum: i128) -> (i64, bool) {
    let low = sum as i64;
    if i128::from(low) == sum && low != i64::MIN {
        (low, true)
    } else {
        (if sum > 0 { i64::MAX } else { i64::MIN + 1 }, false)
    }
}
