//! The basket's statistics, exactly.
//!
//! read -> **items**
//!
//! | the basket is | its slots |
//! |---|---|
//! | absent, null, not an array, or has an element that is not an object | all missing |
//! | an array | `Lines` is its length, the others as below |
//!
//! A line without a quantity (absent, null, empty) counts 1. A quantity that cannot be read makes missing what needs
//! it: `Quantity`, `Total`, `MaxShare` and `MaxSkuQuantity`; a price that cannot be read, or is absent, `Total` and
//! `MaxShare`. Numbers are read like number fields (millionths, half to even); one below zero cannot be read, for nobody
//! orders less than nothing, and a share of a total that it lowered could pass 1. The total is a sum of exact products, rounded once, half to even. `MaxShare` is missing where the total is not above
//! zero; `MaxSkuQuantity` where no line has a sku (text, or a number's digits). What is past `NUMBER_MICRO_MAX` is missing.

use super::found::{Kind, Leaf, Line, PRICE, QUANTITY, SKU};
use super::hash::Hasher;
use super::{number, value};
use crate::currency::half_even;
use crate::event::MISSING;
use crate::limits::NUMBER_MICRO_MAX;
use crate::schema::{ITEM_STATS, ItemStat};

const MICRO: i64 = 1_000_000;

/// Lines up to which equal skus are found by comparing each with each.
const PAIRS_MAX: usize = 16;

/// Quantities by sku, kept between records.
#[derive(Debug, Default)]
pub(super) struct Skus {
    list: Vec<(i64, i64)>,
}

/// Fills the slots of the basket from its lines.
pub(super) fn stats(
    record: &[u8],
    lines: &[Line],
    skus: &mut Skus,
    hasher: &Hasher,
    text: &mut Vec<u8>,
    slots: &mut [i64],
) {
    debug_assert_eq!(slots.len(), ITEM_STATS);
    skus.list.clear();
    if usual(record, lines, skus, hasher, text, slots).is_some() {
        return;
    }
    slots.fill(MISSING);
    skus.list.clear();
    let (mut quantities, mut total, mut largest) = (Some(0_i128), Some(0_i128), i128::MIN);
    for line in lines {
        let quantity = if value::is_missing(line[QUANTITY]) {
            Some(MICRO)
        } else {
            value::number(line[QUANTITY], record, text).filter(|&quantity| quantity >= 0)
        };
        quantities = quantities.zip(quantity).map(|(sum, quantity)| sum + i128::from(quantity));
        let product = quantity
            .zip(value::number(line[PRICE], record, text).filter(|&price| price >= 0))
            .map(|(quantity, price)| i128::from(quantity) * i128::from(price));
        // At most 10^30 a line and 10^7 lines a record.
        total = total.zip(product).map(|(sum, product)| sum + product);
        largest = largest.max(product.unwrap_or(i128::MIN));
        let Some(quantity) = quantity else { continue };
        if let [_] = lines {
            // Alone it needs no name, only to have one.
            skus.list.extend(value::has_text(line[SKU]).then_some((0, quantity)));
        } else if let Some(sku) = value::text(line[SKU], record, text) {
            skus.list.push((hasher.category(sku), quantity));
        }
    }
    let mut put = |stat: ItemStat, value: Option<i128>| {
        let value = value.and_then(|value| i64::try_from(value).ok());
        slots[stat as usize] = value.filter(|value| value.abs() <= NUMBER_MICRO_MAX).unwrap_or(MISSING);
    };
    put(ItemStat::Lines, Some(lines.len() as i128));
    put(ItemStat::Quantity, quantities);
    put(ItemStat::Total, total.map(|total| half_even(total, i128::from(MICRO))));
    let share = total.filter(|&total| total > 0).map(|total| share(largest, total, lines.len()));
    put(ItemStat::MaxShare, share);
    put(ItemStat::MaxSkuQuantity, quantities.and_then(|_| skus.largest()));
}

/// The same of a usual basket: whole quantities, prices of few digits. Everything is whole millionths then, in 64 bits.
fn usual(
    record: &[u8],
    lines: &[Line],
    skus: &mut Skus,
    hasher: &Hasher,
    text: &mut Vec<u8>,
    slots: &mut [i64],
) -> Option<()> {
    /// Quantities up to this and prices of eight bytes make products that a sum of 64 lines has room for.
    const QUANTITY_MAX: i64 = 1_000;
    const LINES_MAX: usize = 64;
    if lines.is_empty() || lines.len() > LINES_MAX {
        return None;
    }
    let (mut quantities, mut total, mut largest) = (0, 0, 0);
    for line in lines {
        let (quantity, 0) = digits(line[QUANTITY], record)? else { return None };
        let (price, decimals @ 0..=6) = digits(line[PRICE], record)? else { return None };
        if quantity > QUANTITY_MAX {
            return None;
        }
        let product = quantity * price * number::POWERS[6 - decimals as usize];
        quantities += quantity;
        total += product;
        largest = largest.max(product);
        if lines.len() == 1 {
            // Alone it needs no name, only to have one.
            skus.list.extend(value::has_text(line[SKU]).then_some((0, quantity * MICRO)));
        } else if let Some(sku) = value::text(line[SKU], record, text) {
            skus.list.push((hasher.category(sku), quantity * MICRO));
        }
    }
    if total > NUMBER_MICRO_MAX {
        return None;
    }
    let share = match total {
        0 => MISSING,
        _ if lines.len() == 1 => MICRO,
        _ => half_even(i128::from(largest) * i128::from(MICRO), i128::from(total)) as i64,
    };
    slots[ItemStat::Lines as usize] = lines.len() as i64;
    slots[ItemStat::Quantity as usize] = quantities * MICRO;
    slots[ItemStat::Total as usize] = total;
    slots[ItemStat::MaxShare as usize] = share;
    slots[ItemStat::MaxSkuQuantity as usize] = skus.largest().map_or(MISSING, |quantity| quantity as i64);
    Some(())
}

/// The digits of a usual number of at most eight bytes, and how many are behind its point.
#[inline]
fn digits(leaf: Leaf, record: &[u8]) -> Option<(i64, u32)> {
    match (leaf.kind, leaf.bytes(record)) {
        (Kind::Number, [digit @ b'0'..=b'9']) => Some((i64::from(digit - b'0'), 0)),
        (Kind::Number, text) if text.len() <= 8 => number::short(text),
        _ => None,
    }
}

/// `largest / total` in millionths, half to even.
fn share(largest: i128, total: i128, lines: usize) -> i128 {
    let micro = i128::from(MICRO);
    if lines == 1 {
        return micro;
    }
    // Whole quantities at prices of up to six decimals: both are whole millionths, and the division takes 64 bits.
    if let (Ok(part), Ok(all)) = (u64::try_from(largest), u64::try_from(total))
        && part % MICRO as u64 == 0
        && all % MICRO as u64 == 0
    {
        return half_even(i128::from(part / MICRO as u64) * micro, i128::from(all / MICRO as u64));
    }
    half_even(largest * micro, total)
}

impl Skus {
    /// The largest sum of one sku's quantities.
    fn largest(&mut self) -> Option<i128> {
        let sum = |list: &[(i64, i64)]| list.iter().map(|&(_, quantity)| i128::from(quantity)).sum::<i128>();
        match *self.list {
            [] => return None,
            [one] => return Some(i128::from(one.1)),
            _ => {}
        }
        if self.list.len() <= PAIRS_MAX {
            let of = |sku: i64| {
                let same = self.list.iter().filter(|known| known.0 == sku);
                same.map(|&(_, quantity)| i128::from(quantity)).sum::<i128>()
            };
            return self.list.iter().map(|&(sku, _)| of(sku)).max();
        }
        self.list.sort_unstable();
        self.list.chunk_by(|a, b| a.0 == b.0).map(sum).max()
    }
}
