//! Write a reason of an alert: its code, a sentence for people, and the numbers behind it.
//!
//! score, decide -> **reason** -> line
//!
//! Holds: `value` is the cell as the features show it; only the sentence rounds (two decimals at most), and
//! says a duration in its largest unit.
//! Not here: which reasons there are and their order.

use super::number::Text;
use super::plan::Reasoned;
use super::text::push_escaped;
use crate::features::cell::{Cell, Shape};

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

/// Where the value stands in a sentence, and how it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Number,
    /// Seconds, told as `3 minutes`.
    Duration,
}

/// A sentence cut at its values.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Text up to a value, escaped for JSON, and the manner of the value.
    parts: Vec<(Vec<u8>, Manner)>,
    tail: Vec<u8>,
}

impl Template {
    /// Cuts `sentence` at each `{value}`. In `seconds` a value is a duration with its unit, unless the
    /// sentence itself says `seconds` behind it.
    pub(super) fn new(sentence: &str, unit: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once("{value}") {
            let said = after.trim_start().starts_with("second");
            let manner = if unit == "seconds" && !said { Manner::Duration } else { Manner::Number };
            parts.push((escaped(before), manner));
            rest = after;
        }
        Self { parts, tail: escaped(rest) }
    }

    fn push(&self, out: &mut Vec<u8>, value: Cell, shape: Shape) {
        for (before, manner) in &self.parts {
            out.extend_from_slice(before);
            match manner {
                Manner::Number => push_number(out, value, shape),
                Manner::Duration => push_duration(out, value, shape),
            }
        }
        out.extend_from_slice(&self.tail);
    }
}

impl Reasoned {
    /// Appends the reason as a JSON object.
    pub(super) fn push(&self, out: &mut Vec<u8>, reason: &Reason, value: Cell) {
        out.extend_from_slice(&self.head);
        self.template.push(out, value, self.shape);
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

/// A value for people: hundredths at most, `unknown` where it is missing. An amount keeps both decimals.
fn push_number(out: &mut Vec<u8>, value: Cell, shape: Shape) {
    if value.is_missing(shape) {
        out.extend_from_slice(b"unknown");
        return;
    }
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

/// `45 seconds`, `3 minutes`, `1.5 hours`, `12 days`.
fn push_duration(out: &mut Vec<u8>, value: Cell, shape: Shape) {
    if value.is_missing(shape) {
        out.extend_from_slice(b"an unknown time");
        return;
    }
    let seconds = match shape {
        Shape::Integer => value.0 as f64,
        Shape::Decimal { digits } => value.0 as f64 / 10f64.powi(digits as i32),
        Shape::Real => f64::from(value.as_real()),
    };
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

    fn sentence(template: &str, unit: &str, value: Cell, shape: Shape) -> String {
        let mut out = Vec::new();
        Template::new(template, unit).push(&mut out, value, shape);
        String::from_utf8(out).expect("UTF-8")
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
            (Cell::MISSING, four, "unknown"),
            (Cell::real(1.0 / 3.0), Shape::Real, "0.33"),
            (Cell::real(2.5), Shape::Real, "2.5"),
            (Cell::real(-3.0), Shape::Real, "-3"),
            (Cell::real(0.001), Shape::Real, "about 0"),
            (Cell::real(0.0), Shape::Real, "0"),
            (Cell::real(1e20), Shape::Real, "1e+20"),
            (Cell::real(f32::NAN), Shape::Real, "unknown"),
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
            (f32::NAN, "an unknown time"),
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
