//! Expressions: both sides of each edge, what missing does, and what is refused.

use super::{Context, Program, Scope, compile};
use crate::currency::Currency;
use crate::decode::hash;
use crate::event::{EventRef, Head, MISSING, NO_KEY};
use crate::features::cell::{Cell, Shape};
use crate::schema::samples::{checkout, entity, field};
use crate::schema::{FieldKind, Schema, TimeForm};
use std::collections::BTreeMap;

/// 2026-11-24 is a Tuesday; 06:30 UTC.
const TUESDAY_MS: i64 = 1_795_501_800_000;
const HOUR_MS: i64 = 3_600_000;

fn schema() -> Schema {
    Schema {
        fields: vec![
            field("country", FieldKind::Category),
            field("billing", FieldKind::Category),
            field("discount", FieldKind::Number),
            field("created", FieldKind::Time(TimeForm::Text)),
        ],
        entities: ["customer", "card"].map(|name| entity(name, &[name])).into(),
        hash_seed: 7,
        ..checkout()
    }
}

/// An event and two features.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) head: Head,
    keys: [u64; 2],
    /// country, billing, discount, created, then the five of the basket.
    pub(super) slots: [i64; 9],
    pub(super) features: [f64; 2],
}

impl World {
    /// 12.34 EUR on a Tuesday at 06:30, nothing else known but the customer.
    pub(super) fn bare() -> Self {
        let head = Head {
            time_ms: TUESDAY_MS,
            amount_minor: 1_234,
            amount_scaled: 123_400,
            currency: Currency::from_code(b"EUR").expect("known").0,
            ..Head::default()
        };
        Self { head, keys: [5, NO_KEY], slots: [MISSING; 9], features: [3.0, f64::NAN] }
    }

    pub(super) fn with(mut self, slot: usize, word: i64) -> Self {
        self.slots[slot] = word;
        self
    }

    fn at(mut self, time_ms: i64) -> Self {
        self.head.time_ms = time_ms;
        self
    }

    fn currency(mut self, code: &[u8], minor: i64) -> Self {
        self.head.currency = Currency::from_code(code).expect("known").0;
        self.head.amount_minor = minor;
        self
    }

    pub(super) fn context(&self) -> Context<'_> {
        let event = EventRef { head: &self.head, keys: &self.keys, slots: &self.slots };
        Context { event, operands: &self.features }
    }
}

pub(super) fn word(text: &str) -> i64 {
    hash::category(7, text.as_bytes())
}

pub(super) fn program(text: &str) -> Program {
    let features = BTreeMap::from([("customer.count_1h".to_owned(), 0), ("card.mean_1d".to_owned(), 1)]);
    let schema = schema();
    let scope = Scope { schema: &schema, operands: Some(&features), flags_from: usize::MAX };
    compile(text, &scope).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

pub(super) fn number(text: &str, world: &World) -> f64 {
    program(text).number(&world.context())
}

/// The faults of an expression, as `offset: what`.
fn faults(text: &str) -> Vec<String> {
    let features = BTreeMap::from([("customer.count_1h".to_owned(), 0)]);
    let schema = schema();
    let scope = Scope { schema: &schema, operands: Some(&features), flags_from: usize::MAX };
    let found = compile(text, &scope).expect_err(text);
    found.into_iter().map(|fault| format!("{}: {}", fault.at, fault.what)).collect()
}

#[track_caller]
fn check(text: &str, world: &World, expected: f64) {
    let value = number(text, world);
    let same = value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
    assert!(same, "{text} is {value}, not {expected}");
}

const NONE: f64 = f64::NAN;

#[test]
fn arithmetic() {
    let world = World::bare();
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("7 / 2", 3.5),
        ("-amount", -12.34),
        ("amount - 0.34", 12.34 - 0.34),
        ("1 / 0", NONE),
        ("0 / 0", NONE),
        ("1e308 * 10 - 1e308 * 10", NONE),
        // Finite as f64, infinite as f32.
        ("1e39", NONE),
        ("3.4028235e38", 3.402_823_5e38),
        ("abs(-2.5)", 2.5),
        ("min(3, 2, 4)", 2.0),
        ("max(3, 2, 4)", 4.0),
        ("floor(-1.5)", -2.0),
        ("sqrt(2.25)", 1.5),
        ("sqrt(0)", 0.0),
        ("sqrt(-1e-9)", NONE),
        ("log(1)", 0.0),
        ("log(0)", NONE),
        ("log(-1)", NONE),
        ("log1p(0)", 0.0),
        ("log1p(-1)", NONE),
        ("log1p(-0.5)", -std::f64::consts::LN_2),
        ("customer.count_1h * 2", 6.0),
        ("card.mean_1d * 0", NONE),
    ] {
        check(text, &world, expected);
    }
}

#[test]
fn comparisons_on_both_sides() {
    let world = World::bare();
    for (text, holds) in [
        ("amount < 12.34", false),
        ("amount < 12.35", true),
        ("amount <= 12.34", true),
        ("amount <= 12.33", false),
        ("amount > 12.34", false),
        ("amount > 12.33", true),
        ("amount >= 12.34", true),
        ("amount >= 12.35", false),
        ("amount == 12.34", true),
        ("amount != 12.34", false),
        ("customer.count_1h in [1, 3]", true),
        ("customer.count_1h in [1, 2]", false),
        ("true == (1 < 2)", true),
        ("!(1 < 2) || 2 < 3 && true", true),
    ] {
        check(text, &world, f64::from(u8::from(holds)));
    }
}

#[test]
fn categories_compare_by_hash() {
    let world = World::bare().with(0, word("DE")).with(1, word("FR"));
    for (text, expected) in [
        ("country == 'DE'", 1.0),
        ("'DE' == country", 1.0),
        ("country == 'de'", 0.0),
        ("country != \"FR\"", 1.0),
        ("country == billing", 0.0),
        ("country != billing", 1.0),
        ("country in ['FR', 'DE']", 1.0),
        ("country in ['FR', 'AT']", 0.0),
        ("mismatch(country, billing)", 1.0),
        ("mismatch(country, country)", 0.0),
        ("mismatch(discount, 3)", NONE),
        ("is_missing(country)", 0.0),
    ] {
        check(text, &world, expected);
    }
}

/// Stripe's trap: NOT of a comparison with a missing value is false, not true.
#[test]
fn not_of_a_comparison_with_missing_is_false() {
    let world = World::bare();
    for text in [
        "country == 'DE'",
        "!(country == 'DE')",
        "country != 'DE'",
        "!(country in ['DE'])",
        "country == billing",
        "discount > 5",
        "!(discount > 5)",
        "!!(discount > 5)",
        "discount == discount",
        "discount > 5 || country == 'DE'",
        "discount > 5 && true",
        "discount > 5 || false",
    ] {
        let program = program(text);
        assert!(!program.truth(&world.context()), "{text}");
        assert!(program.number(&world.context()).is_nan(), "{text} is unknown");
    }
}

#[test]
fn one_operand_can_decide() {
    let world = World::bare();
    for (text, expected) in [
        ("discount > 5 && false", 0.0),
        ("false && discount > 5", 0.0),
        ("discount > 5 || true", 1.0),
        ("true || discount > 5", 1.0),
        ("is_missing(discount)", 1.0),
        ("!is_missing(discount)", 0.0),
        ("is_missing(discount > 5)", 1.0),
        ("is_missing(customer)", 0.0),
        ("is_missing(card)", 1.0),
        ("is_missing(card.mean_1d)", 1.0),
        ("is_missing(discount) ? 7 : discount", 7.0),
        ("discount > 5 ? 1 : 2", NONE),
        ("amount > 5 ? 1 : discount", 1.0),
        ("amount < 5 ? 1 : discount", NONE),
        ("min(discount, 1)", NONE),
        ("max(1, discount)", NONE),
        ("mismatch(country, billing)", NONE),
        ("age_seconds(created)", NONE),
    ] {
        check(text, &world, expected);
    }
}

#[test]
fn fields_and_basket() {
    let mut world = World::bare().with(2, 1_500_000).with(3, TUESDAY_MS - 90_500);
    world.slots[4..].copy_from_slice(&[3, 4_000_000, 12_340_000, 333_333, 2_000_000]);
    for (text, expected) in [
        ("discount", 1.5),
        ("age_seconds(created)", 90.5),
        ("created", (TUESDAY_MS - 90_500) as f64),
        ("items.lines", 3.0),
        ("items.quantity", 4.0),
        ("items.total", 12.34),
        ("items.max_share", 0.333_333),
        ("items.max_sku_quantity", 2.0),
        // billing, country; the card's key
        ("missing_fields", 3.0),
        ("base_amount", 12.34),
    ] {
        check(text, &world, expected);
    }
}

#[test]
fn the_cents_of_every_digit_count() {
    for (code, minor, amount, cents) in [
        (b"EUR", 1_234, 12.34, 34.0),
        (b"EUR", 1_200, 12.0, 0.0),
        (b"JPY", 1_234, 1_234.0, 0.0),
        (b"BHD", 1_234, 1.234, 23.4),
        (b"EUR", 0, 0.0, 0.0),
    ] {
        let world = World::bare().currency(code, minor);
        check("amount", &world, amount);
        check("amount_cents", &world, cents);
    }
}

#[test]
fn the_calendar() {
    let midnight = TUESDAY_MS - 6 * HOUR_MS - HOUR_MS / 2;
    let day = 24 * HOUR_MS;
    for (time, text, expected) in [
        (midnight, "hour", 0.0),
        (midnight - 1, "hour", 23.0),
        (midnight, "weekday", 1.0),
        (midnight - 1, "weekday", 0.0),
        (midnight + 7 * HOUR_MS - 1, "night", 1.0),
        (midnight + 7 * HOUR_MS, "night", 0.0),
        (midnight + 4 * day - 1, "weekend", 0.0),
        (midnight + 4 * day, "weekend", 1.0),
        (midnight + 6 * day - 1, "weekend", 1.0),
        (midnight + 6 * day, "weekend", 0.0),
        (midnight, "hour_sin", 0.0),
        (midnight, "hour_cos", 1.0),
        (midnight + 6 * HOUR_MS, "hour_sin", 1.0),
        (midnight - day, "weekday_sin", 0.0),
        (midnight - day, "weekday_cos", 1.0),
    ] {
        check(text, &World::bare().at(time), expected);
    }
}

#[test]
fn shapes_say_how_a_value_is_published() {
    for (text, shape) in [
        ("amount", Shape::Decimal { digits: 4 }),
        ("amount + 0", Shape::Real),
        ("amount > 5", Shape::Integer),
        ("hour", Shape::Integer),
        ("items.lines", Shape::Integer),
        ("missing_fields", Shape::Integer),
        ("mismatch(country, billing)", Shape::Integer),
        ("items.total", Shape::Real),
        ("log(amount)", Shape::Real),
        ("customer.count_1h", Shape::Real),
    ] {
        assert_eq!(program(text).shape(), shape, "{text}");
    }
    let world = World::bare();
    assert_eq!(program("amount").cell(&world.context()), Cell(123_400));
    assert_eq!(program("hour").cell(&world.context()), Cell(6));
    assert_eq!(program("country == 'DE'").cell(&world.context()), Cell::MISSING);
    assert_eq!(program("amount / 2").cell(&world.context()), Cell::real(6.17));
}

#[test]
fn programs_know_what_they_read() {
    let program =
        program("customer.count_1h + discount > card.mean_1d + customer.count_1h && country == 'DE'");
    assert_eq!(program.reads(), [0, 1]);
    assert_eq!(program.slots(), [0, 2]);
}

#[test]
fn faults_say_what_belongs_where() {
    for (text, expected) in [
        ("amout", "0: amout is no mapped field, feature, flag or built-in name; did you mean \"amount\"?"),
        ("1 + country", "4: a category where a number belongs"),
        ("1 + (1 < 2)", "7: true or false where a number belongs; write condition ? 1 : 0"),
        ("!amount", "1: a number where true or false belongs; compare it"),
        ("country", "0: a category is not a value; compare it with == or !="),
        ("country == 3", "8: compares a category with a number"),
        ("'a' == 'b'", "4: compares two constant texts"),
        ("country < 5", "0: a category where a number belongs"),
        ("country in [1]", "12: not a text; a category is looked for in texts only"),
        ("amount in ['a']", "11: not a number; a number is looked for in numbers only"),
        ("amount in []", "7: the list is empty; nothing is in it"),
        (
            "amount > 1 ? 1 : country",
            "11: chooses between a number and a category; both numbers or both truths",
        ),
        (
            "lg(2)",
            "0: lg is no function; there are abs, min, max, log, log1p, sqrt, floor, is_missing, mismatch, age_seconds; did you mean \"log\"?",
        ),
        ("not(night)", "0: not is no function; write !"),
        ("log(1, 2)", "0: 2 arguments do not fit log(x): natural logarithm; missing for x <= 0"),
        ("min(1)", "0: 1 arguments do not fit min(x, y, …): the smallest; missing where any is"),
        ("log", "0: log is a function; its arguments go in brackets"),
        ("customer", "0: customer is an entity; only is_missing(customer) can ask for it"),
        ("age_seconds(amount)", "12: a number where a field of type time belongs"),
        ("is_missing('a')", "0: a constant is never missing"),
    ] {
        assert_eq!(faults(text), [expected], "{text}");
    }
    // Both sides are told.
    assert_eq!(faults("x_y + z_z").len(), 2);
    // A choice holds the condition and the first value while the second is computed: 2 n + 1 in all.
    let held = |n: usize| format!("{}1", "true ? 1 : ".repeat(n));
    assert!(program(&held(15)).reads().is_empty());
    assert_eq!(faults(&held(16)), ["5: holds more than 32 values at once"]);
}

#[test]
fn a_condition_reads_no_feature() {
    let schema = schema();
    let scope = Scope { schema: &schema, operands: None, flags_from: 0 };
    let found = compile("customer.count_1h > 2", &scope).expect_err("a feature");
    assert!(found[0].what.contains("a condition reads the event's own fields only"), "{found:?}");
}
