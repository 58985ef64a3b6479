//! Write a reason of an alert: its code, a sentence for people, and the numbers behind it.
//!
//! score, decide -> **reason** -> line
//!
//! Holds: `value` is the cell as the features show it; only the sentence rounds (two decimals at most), and says a
//! duration in its largest unit, a share as a percentage, money with its currency. Which sentence is told follows from
//! the value alone and, where it is missing, from whether the event has the key.
//! Not here: which reasons there are and their order; the sentences (`features`).

use super::number::Text;
use super::plan::Reasoned;
use super::text::push_escaped;
use crate::currency::{Currency, half_even};
use crate::event::{EventRef, NO_KEY};
use crate::features::cell::{Cell, Shape};
use crate::features::sentence::{self, Piece, Sentences};
use crate::features::wording::CURRENCY_UNITS;

/// One reason of an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// Index of the feature.
    pub feature: u16,
    /// What it added to the margin.
    pub contribution: f64,
    /// From the cheaper path contributions; marked so.
    pub approximate: bool,
}

/// How a value is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Number,
    /// Seconds, told as `3 minutes`.
    Duration,
    /// A part of 1, told as `22.5%`.
    Percent,
    /// With the currency's digits, and its code where the sentence does not say it itself.
    Money {
        digits: u32,
        code: &'static str,
    },
}

/// A piece of a sentence; texts are escaped for JSON.
#[derive(Clone, Debug)]
enum Part {
    Text(Vec<u8>),
    Value(Manner),
    Amount,
    Choice { one: Vec<u8>, many: Vec<u8> },
}

/// A sentence cut at its braces.
#[derive(Clone, Debug)]
struct Template(Vec<Part>);

/// The sentences of a feature.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    value: Template,
    zero: Option<Template>,
    negative: Option<Template>,
    missing: Template,
    /// With the entity whose key is absent.
    keyless: Option<(usize, Template)>,
}

impl Templates {
    /// The sentences of a feature in `unit`, of an entity's history or of none.
    pub(super) fn new(sentences: &Sentences, unit: &str, entity: Option<usize>) -> Self {
        let template = |text: &String| Template::new(text, unit);
        Self {
            value: template(&sentences.value),
            zero: sentences.zero.as_ref().map(template),
            negative: sentences.negative.as_ref().map(template),
            missing: template(&sentences.missing),
            keyless: entity.zip(sentences.keyless.as_ref().map(template)),
        }
    }

    fn push(&self, out: &mut Vec<u8>, value: Cell, shape: Shape, event: EventRef<'_>) {
        if value.is_missing(shape) {
            let keyless =
                self.keyless.as_ref().filter(|(entity, _)| event.keys.get(*entity) == Some(&NO_KEY));
            keyless.map_or(&self.missing, |(_, template)| template).push(out, value, shape, event);
            return;
        }
        let number = number(value, shape);
        match (&self.zero, &self.negative) {
            (Some(zero), _) if number == 0.0 => zero.push(out, value, shape, event),
            (_, Some(negative)) if number < 0.0 => negative.push(out, size(value, shape), shape, event),
            _ => self.value.push(out, value, shape, event),
        }
    }
}

impl Template {
    /// Cuts `sentence`. Where the sentence itself says the unit behind a value, the value is told as a number.
    fn new(sentence: &str, unit: &str) -> Self {
        let pieces = sentence::pieces(sentence);
        let parts = pieces.iter().enumerate().map(|(at, piece)| match *piece {
            Piece::Text(text) | Piece::Unknown(text) => Part::Text(escaped(text)),
            Piece::Value => {
                let after = match pieces.get(at + 1) {
                    Some(Piece::Text(text)) => text.trim_start(),
                    _ => "",
                };
                Part::Value(manner(unit, after))
            }
            Piece::Percent => Part::Value(Manner::Percent),
            Piece::Amount => Part::Amount,
            Piece::Choice(one, many) => Part::Choice { one: escaped(one), many: escaped(many) },
        });
        Self(parts.collect())
    }

    fn push(&self, out: &mut Vec<u8>, value: Cell, shape: Shape, event: EventRef<'_>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Value(_) if value.is_missing(shape) => out.extend_from_slice(b"unknown"),
                Part::Value(Manner::Number) => push_number(out, value, shape),
                Part::Value(Manner::Duration) => push_duration(out, number(value, shape)),
                Part::Value(Manner::Percent) => {
                    push_rounded(out, number(value, shape) * 100.0, 10);
                    out.push(b'%');
                }
                Part::Value(Manner::Money { digits, code }) => push_money(out, value, shape, *digits, code),
                Part::Amount => {
                    let currency = Currency(event.head.currency);
                    let digits = currency.digits();
                    push_money(
                        out,
                        Cell(event.head.amount_minor),
                        Shape::Decimal { digits },
                        digits,
                        currency.code(),
                    );
                }
                Part::Choice { one, many } => {
                    // By the value as it is told.
                    let is_one = (number(value, shape) * 100.0).round() == 100.0;
                    out.extend_from_slice(if is_one { one } else { many });
                }
            }
        }
    }
}

/// How a value in `unit` is told, before the text `after`.
fn manner(unit: &str, after: &str) -> Manner {
    if unit == "seconds" && !after.starts_with("second") {
        return Manner::Duration;
    }
    if unit == "share" {
        return if after.starts_with('%') { Manner::Number } else { Manner::Percent };
    }
    if unit == CURRENCY_UNITS {
        return Manner::Money { digits: 2, code: "" };
    }
    match Currency::from_code(unit.as_bytes()) {
        Some(currency) => {
            let code = if after.starts_with(unit) { "" } else { currency.code() };
            Manner::Money { digits: currency.digits(), code }
        }
        None => Manner::Number,
    }
}

/// The value; NaN where it is missing.
fn number(value: Cell, shape: Shape) -> f64 {
    match shape {
        Shape::Integer | Shape::Decimal { .. } if value.is_missing(shape) => f64::NAN,
        Shape::Integer => value.0 as f64,
        Shape::Decimal { digits } => value.0 as f64 / 10f64.powi(digits as i32),
        Shape::Real => f64::from(value.as_real()),
    }
}

fn size(value: Cell, shape: Shape) -> Cell {
    match shape {
        Shape::Integer | Shape::Decimal { .. } => Cell(value.0.saturating_abs()),
        Shape::Real => Cell::real(value.as_real().abs()),
    }
}

impl Reasoned {
    /// Appends the reason as a JSON object.
    pub(super) fn push(&self, out: &mut Vec<u8>, reason: &Reason, value: Cell, event: EventRef<'_>) {
        out.extend_from_slice(&self.head);
        self.templates.push(out, value, self.shape, event);
        out.extend_from_slice(&self.middle);
        out.extend_from_slice(Text::of(value, self.shape).as_bytes());
        out.extend_from_slice(b",\"contribution\":");
        if reason.contribution.is_finite() {
            out.extend_from_slice(zmij::Buffer::new().format_finite(reason.contribution).as_bytes());
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(if reason.approximate { b",\"approximate\":true}" } else { b"}" });
    }
}

fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_escaped(&mut out, text);
    out
}

/// A value for people: hundredths at most. A decimal keeps both of them.
fn push_number(out: &mut Vec<u8>, value: Cell, shape: Shape) {
    match shape {
        Shape::Integer | Shape::Decimal { digits: 0 | 1 } => {
            out.extend_from_slice(Text::of(value, shape).as_bytes());
        }
        Shape::Decimal { digits } => {
            let unit = 10u128.pow(digits - 2);
            let hundredths = (u128::from(value.0.unsigned_abs()) + unit / 2) / unit;
            let hundredths = i64::try_from(hundredths).expect("no larger than the value");
            let rounded = if value.0 < 0 { -hundredths } else { hundredths };
            let whole = rounded % 100 == 0;
            let (rounded, digits) = if whole { (rounded / 100, 0) } else { (rounded, 2) };
            out.extend_from_slice(Text::of(Cell(rounded), Shape::Decimal { digits }).as_bytes());
        }
        Shape::Real => push_rounded(out, f64::from(value.as_real()), 100),
    }
}

/// Rounded to one part in `parts` (1, 10 or 100), without trailing zeros.
fn push_rounded(out: &mut Vec<u8>, value: f64, parts: i64) {
    let scaled = (value * parts as f64).round();
    // Up to 2^53 the parts are exact; beyond, there are no decimals to round away.
    if scaled.abs() > 9_007_199_254_740_992.0 || value.is_infinite() {
        let mut buffer = zmij::Buffer::new();
        out.extend_from_slice(buffer.format(value as f32).as_bytes());
        return;
    }
    if scaled == 0.0 && value != 0.0 {
        out.extend_from_slice(b"about ");
    }
    let (mut scaled, mut digits) = (scaled as i64, parts.ilog10());
    while digits > 0 && scaled % 10 == 0 {
        (scaled, digits) = (scaled / 10, digits - 1);
    }
    out.extend_from_slice(Text::of(Cell(scaled), Shape::Decimal { digits }).as_bytes());
}

/// `12.50 EUR`, `12 EUR`: the currency's digits, or none for a whole amount. Decimals are rounded in integers.
fn push_money(out: &mut Vec<u8>, value: Cell, shape: Shape, digits: u32, code: &str) {
    let unit = 10f64.powi(digits as i32);
    let minor = match shape {
        Shape::Decimal { digits: kept } if kept >= digits => {
            half_even(i128::from(value.0), 10_i128.pow(kept - digits)) as i64
        }
        // Past 2^53 parts there are none to round; the cast saturates far beyond every amount.
        Shape::Integer | Shape::Decimal { .. } | Shape::Real => (number(value, shape) * unit).round() as i64,
    };
    let whole = 10_i64.pow(digits);
    let (shown, digits) = if minor % whole == 0 { (minor / whole, 0) } else { (minor, digits) };
    out.extend_from_slice(Text::of(Cell(shown), Shape::Decimal { digits }).as_bytes());
    if !code.is_empty() {
        out.push(b' ');
        out.extend_from_slice(code.as_bytes());
    }
}

/// `45 seconds`, `3 minutes`, `1.5 hours`, `12 days`.
fn push_duration(out: &mut Vec<u8>, seconds: f64) {
    let (span, name) = match seconds.abs() {
        size if size < 59.95 => (1.0, " second"),
        size if size < 3_597.0 => (60.0, " minute"),
        size if size < 172_800.0 => (3_600.0, " hour"),
        _ => (86_400.0, " day"),
    };
    let start = out.len();
    push_rounded(out, seconds / span, 10);
    let one = &out[start..] == b"1";
    out.extend_from_slice(name.as_bytes());
    if !one {
        out.push(b's');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Head;

    fn told(sentences: &Sentences, unit: &str, value: Cell, shape: Shape, keys: &[u64]) -> String {
        let currency = Currency::from_code(b"CHF").expect("a currency").0;
        let head = Head { amount_minor: 15_099, currency, ..Head::default() };
        let mut out = Vec::new();
        let event = EventRef { head: &head, keys, slots: &[] };
        Templates::new(sentences, unit, Some(1)).push(&mut out, value, shape, event);
        String::from_utf8(out).expect("UTF-8")
    }

    fn sentence(template: &str, unit: &str, value: Cell, shape: Shape) -> String {
        let sentences = Sentences { value: template.into(), ..Sentences::default() };
        told(&sentences, unit, value, shape, &[])
    }

    #[test]
    fn the_sentence_follows_the_value() {
        let sentences = Sentences {
            value: "{value} above".into(),
            zero: Some("equal".into()),
            negative: Some("{value} below".into()),
            missing: "nothing known".into(),
            keyless: Some("no card was given".into()),
        };
        for (value, shape, keys, wanted) in [
            (Cell(2), Shape::Integer, [0, 7], "2 above"),
            (Cell(0), Shape::Integer, [0, 7], "equal"),
            (Cell(-2), Shape::Integer, [0, 7], "2 below"),
            (Cell::real(-0.5), Shape::Real, [0, 7], "0.5 below"),
            (Cell::real(-0.0), Shape::Real, [0, 7], "equal"),
            (Cell::MISSING, Shape::Integer, [0, 7], "nothing known"),
            (Cell::real(f32::NAN), Shape::Real, [7, 0], "no card was given"),
            // A value that stands for a missing one is told as the value.
            (Cell(2), Shape::Integer, [7, 0], "2 above"),
        ] {
            assert_eq!(told(&sentences, "", value, shape, &keys), wanted);
        }
        let text = told(
            &Sentences { missing: "{value}".into(), ..sentences },
            "",
            Cell::MISSING,
            Shape::Integer,
            &[],
        );
        assert_eq!(text, "unknown");
    }

    #[test]
    fn one_is_told_apart_from_many() {
        let text = "{value} {order|orders}";
        for (value, shape, wanted) in [
            (Cell(1), Shape::Integer, "1 order"),
            (Cell(2), Shape::Integer, "2 orders"),
            (Cell(0), Shape::Integer, "0 orders"),
            (Cell::real(1.0), Shape::Real, "1 order"),
            (Cell::real(1.002), Shape::Real, "1 order"),
            (Cell::real(1.5), Shape::Real, "1.5 orders"),
            (Cell(100), Shape::Decimal { digits: 2 }, "1 order"),
        ] {
            assert_eq!(sentence(text, "orders", value, shape), wanted);
        }
    }

    #[test]
    fn money_has_its_currency() {
        let two = Shape::Decimal { digits: 2 };
        for (template, unit, value, shape, wanted) in [
            ("{value}", "EUR", Cell(1_234), two, "12.34 EUR"),
            ("{value}", "EUR", Cell(1_200), two, "12 EUR"),
            ("{value}", "EUR", Cell::real(45.1), Shape::Real, "45.10 EUR"),
            ("{value}", "EUR", Cell(0), two, "0 EUR"),
            ("{value} EUR", "EUR", Cell(1_234), two, "12.34 EUR"),
            ("{value}", "JPY", Cell(1_234), Shape::Decimal { digits: 0 }, "1234 JPY"),
            ("{value}", "BHD", Cell(1_234), Shape::Decimal { digits: 3 }, "1.234 BHD"),
            ("{value}", "JPY", Cell::real(1_233.7), Shape::Real, "1234 JPY"),
            ("{value}", CURRENCY_UNITS, Cell(123_450), Shape::Decimal { digits: 4 }, "12.34"),
            ("{value}", CURRENCY_UNITS, Cell(123_550), Shape::Decimal { digits: 4 }, "12.36"),
            ("{amount}", "", Cell(0), Shape::Integer, "150.99 CHF"),
        ] {
            assert_eq!(sentence(template, unit, value, shape), wanted);
        }
    }

    #[test]
    fn shares_are_told_as_percentages() {
        for (template, unit, share, wanted) in [
            ("{value}", "share", 0.21875, "21.9%"),
            ("{value}", "share", 1.0, "100%"),
            ("{value}", "share", 0.0, "0%"),
            ("{value}", "share", 0.0001, "about 0%"),
            ("{percent}", "", 0.5, "50%"),
        ] {
            assert_eq!(sentence(template, unit, Cell::real(share), Shape::Real), wanted);
        }
    }

    #[test]
    fn values_are_rounded_for_people() {
        let four = Shape::Decimal { digits: 4 };
        for (value, shape, wanted) in [
            (Cell(12), Shape::Integer, "12"),
            (Cell(123_400), four, "12.34"),
            (Cell(125_000), four, "12.50"),
            (Cell(120_000), four, "12"),
            (Cell(123_450), four, "12.35"),
            (Cell(-123_450), four, "-12.35"),
            (Cell(15), Shape::Decimal { digits: 1 }, "1.5"),
            (Cell::real(1.0 / 3.0), Shape::Real, "0.33"),
            (Cell::real(2.5), Shape::Real, "2.5"),
            (Cell::real(-3.0), Shape::Real, "-3"),
            (Cell::real(0.001), Shape::Real, "about 0"),
            (Cell::real(0.0), Shape::Real, "0"),
            (Cell::real(1e20), Shape::Real, "1e+20"),
        ] {
            assert_eq!(sentence("{value}", "", value, shape), wanted);
        }
    }

    #[test]
    fn seconds_are_told_in_their_largest_unit() {
        for (seconds, wanted) in [
            (0.25, "0.3 seconds"),
            (1.0, "1 second"),
            (59.9, "59.9 seconds"),
            (59.96, "1 minute"),
            (180.0, "3 minutes"),
            (5_400.0, "1.5 hours"),
            (3_600.0, "1 hour"),
            (86_400.0, "24 hours"),
            (604_800.0, "7 days"),
        ] {
            assert_eq!(sentence("{value}", "seconds", Cell::real(seconds), Shape::Real), wanted);
        }
        let value = Cell::real(180.0);
        assert_eq!(sentence("{value} seconds ago", "seconds", value, Shape::Real), "180 seconds ago");
    }

    #[test]
    fn a_template_is_escaped_and_may_name_the_value_twice() {
        let text = sentence("\"{value}\" is {value}\\", "", Cell(2), Shape::Integer);
        assert_eq!(text, r#"\"2\" is 2\\"#);
        assert_eq!(sentence("no value at all", "", Cell(2), Shape::Integer), "no value at all");
    }
}
