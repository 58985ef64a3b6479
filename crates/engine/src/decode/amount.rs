//! An amount in minor units.
//!
//! read -> **amount**
//!
//! Decimal arithmetic on the text: "12.30", 12.3 and 1.23e1 are the same amount. Digits beyond the minor unit must be
//! zeros. Holds: an accepted amount is 0 to `AMOUNT_MINOR_MAX`. Where several things are wrong the reason is the first
//! of: not a number, below zero, too many decimals, out of range.

use super::number::{POWERS, Scaled, short};
use super::text;
use crate::limits::AMOUNT_MINOR_MAX;
use crate::reject::Reason;

/// A decimal string or a JSON number; `is_number` where the text is known to be a number of JSON's grammar.
pub(super) fn exact(text: &[u8], is_number: bool, digits: u32) -> Result<i64, Reason> {
    if let Some((units, decimals)) = short(text)
        && decimals <= digits
    {
        return bounded(units * POWERS[(digits - decimals) as usize]);
    }
    if !is_number && !text::is_number(text) {
        return Err(Reason::InvalidAmount);
    }
    let scaled = Scaled::of_number(text, digits as i32);
    let zero = scaled.whole == Some(0) && scaled.is_whole();
    if scaled.negative && !zero {
        return Err(Reason::NegativeAmount);
    }
    if !scaled.is_whole() {
        // A number from 10^19 on may have decimals beyond the minor unit too.
        return Err(Reason::TooManyDecimals);
    }
    bounded(scaled.whole.and_then(|whole| i64::try_from(whole).ok()).unwrap_or(i64::MAX))
}

/// A binary float of a CSV or Parquet row, written as a JSON number: the minor unit at most 10^-6 of one away.
pub(super) fn near(text: &[u8], digits: u32) -> Result<i64, Reason> {
    let scaled = Scaled::of_number(text, digits as i32);
    let near = scaled.near();
    if scaled.negative && near != Some(0) {
        return Err(Reason::NegativeAmount);
    }
    if scaled.whole.is_none() {
        return Err(Reason::AmountOutOfRange);
    }
    let near = near.ok_or(Reason::TooManyDecimals)?;
    bounded(i64::try_from(near).unwrap_or(i64::MAX))
}

fn bounded(minor: i64) -> Result<i64, Reason> {
    if minor <= AMOUNT_MINOR_MAX { Ok(minor) } else { Err(Reason::AmountOutOfRange) }
}
