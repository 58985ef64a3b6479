//! What is bought: lines of a basket, with prices that fit their category.
//!
//! Holds: a basket follows from its seed alone, so that a second attempt carries the same one; a SKU
//! has one price for good.

use crate::rng::{Names, mix, scale, unit};

pub(crate) const LINES_MAX: usize = 5;
/// SKUs of a category.
const SKUS: u64 = 8_000;
const PRICE: u64 = 30;
const TASTE: u64 = 31;

pub(crate) struct Category {
    pub(crate) name: &'static [u8],
    pub(crate) code: [u8; 2],
    /// Sales in a thousand.
    share: u64,
    low_cents: u64,
    high_cents: u64,
}

const fn shelf(name: &'static str, code: [u8; 2], share: u64, low_cents: u64, high_cents: u64) -> Category {
    Category { name: name.as_bytes(), code, share, low_cents, high_cents }
}

/// The shop's shelves; sales in a thousand, prices in minor units.
pub(crate) const CATEGORIES: [Category; 11] = [
    shelf("fashion", *b"FA", 220, 900, 22_000),
    shelf("home", *b"HO", 150, 600, 45_000),
    shelf("books", *b"BO", 120, 400, 6_000),
    shelf("beauty", *b"BE", 110, 300, 9_000),
    shelf("grocery", *b"GR", 110, 100, 3_000),
    shelf("toys", *b"TO", 90, 500, 12_000),
    shelf("sports", *b"SP", 80, 800, 35_000),
    shelf("electronics", *b"EL", 70, 1_500, 150_000),
    shelf("digital", *b"DI", 30, 100, 7_000),
    shelf("gift_card", *b"GC", 12, 1_000, 20_000),
    shelf("luxury", *b"LX", 8, 15_000, 250_000),
];

const DIGITAL: usize = 8;
/// Electronics, gift cards, luxury: easily turned into money.
const RESALEABLE: [usize; 3] = [7, 9, 10];

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    pub(crate) category: u8,
    pub(crate) sku: u32,
    pub(crate) qty: u32,
    pub(crate) price_cents: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Basket {
    lines: [Line; LINES_MAX],
    count: usize,
}

impl Basket {
    /// One to five lines, two of three from the customer's two favourite categories.
    pub(crate) fn of_customer(names: Names, customer: u64, seed: u64) -> Self {
        let taste = names.of(TASTE, customer);
        let lines: u64 = match seed & 0xff {
            0..115 => 1,
            115..180 => 2,
            180..220 => 3,
            220..242 => 4,
            _ => 5,
        };
        let mut basket = Self::default();
        for place in 0..lines {
            let word = mix(seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let category = match word & 0xff {
                0..110 => by_share(taste),
                110..170 => by_share(mix(taste)),
                _ => by_share(mix(word)),
            };
            let popular = unit(word);
            let qty = if word & 0x700 == 0 { 2 + (word >> 11 & 3) } else { 1 };
            basket.add(names, category, (popular * popular * SKUS as f64) as u64, qty);
        }
        basket
    }

    /// Expensive goods that can be sold on; `size` 0 is one cheap piece, 2 a heap.
    pub(crate) fn resaleable(names: Names, seed: u64, size: u64) -> Self {
        let mut basket = Self::default();
        for place in 0..=size {
            let word = mix(seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let category = RESALEABLE[scale(word, 3) as usize];
            // The dearest of a few: attackers choose by price.
            let pick = (0..=size)
                .map(|nth| scale(mix(word ^ nth << 32), SKUS))
                .max_by_key(|&sku| (price(names, category, sku), sku));
            basket.add(names, category, pick.unwrap_or_default(), 1 + (word & 1) * (size / 2));
        }
        basket
    }

    /// One line of one SKU, from any category, of a price between the bounds where there is one.
    pub(crate) fn single(names: Names, seed: u64, low_cents: u64, high_cents: u64, qty: u64) -> Self {
        let mut basket = Self::default();
        let fitting = (0..64_u64)
            .map(|nth| mix(seed ^ nth))
            .map(|word| (by_share(word), scale(mix(word), SKUS)))
            .find(|&(category, sku)| (low_cents..=high_cents).contains(&price(names, category, sku)));
        let (category, sku) = fitting.unwrap_or((DIGITAL, scale(seed, SKUS)));
        basket.add(names, category, sku, qty);
        basket
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines[..self.count]
    }

    pub(crate) fn cents(&self) -> u64 {
        self.lines().iter().map(|line| line.price_cents * u64::from(line.qty)).sum()
    }

    fn add(&mut self, names: Names, category: usize, sku: u64, qty: u64) {
        self.lines[self.count] = Line {
            category: category as u8,
            sku: sku as u32,
            qty: qty as u32,
            price_cents: price(names, category, sku),
        };
        self.count += 1;
    }
}

/// A category by its share of sales.
fn by_share(word: u64) -> usize {
    let mut rest = scale(word, 1_000);
    for (place, category) in CATEGORIES.iter().enumerate() {
        if rest < category.share {
            return place;
        }
        rest -= category.share;
    }
    0
}

/// Between the category's bounds, most of them low; four of five end in 99 or 95.
fn price(names: Names, category: usize, sku: u64) -> u64 {
    let Category { low_cents, high_cents, .. } = CATEGORIES[category];
    let word = names.of(PRICE, (category as u64) << 32 | sku);
    let place = unit(word);
    let raw = low_cents + (place * place * place * place * (high_cents - low_cents) as f64) as u64;
    match word & 7 {
        0 => raw,
        1 => raw / 100 * 100 + 95,
        _ => raw / 100 * 100 + 99,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_a_whole() {
        assert_eq!(CATEGORIES.iter().map(|category| category.share).sum::<u64>(), 1_000);
    }

    #[test]
    fn baskets_follow_from_their_seed() {
        let names = Names::new(5);
        let cents = |seed| Basket::of_customer(names, 9, seed).cents();
        assert_eq!(cents(3), cents(3));
        let customers = |seed| Basket::of_customer(names, seed, mix(seed)).cents();
        let mean = (0..20_000).map(customers).sum::<u64>() / 20_000;
        assert!((3_000..30_000).contains(&mean), "{mean}");
        let loot =
            (0..2_000).map(|seed| Basket::resaleable(names, mix(seed), 2).cents()).sum::<u64>() / 2_000;
        assert!(loot > 5 * mean, "{loot} against {mean}");
        assert!(Basket::single(names, 1, 100, 500, 1).cents() <= 500);
    }
}
