//! The small language of event histories, so that the next test is cheaper than skipping it.
//!
//! ```text
//! 00:00 card=A 12.00                  time, a key, the amount
//! 04:59 card=A device=X 3.00 +declined items:2 #7 @05:30
//! reject                              uses up a sequence number
//! 05:01 card=A 0.50 => card.count_5m=1 card.sum_amount_5m=3.00
//! ```
//!
//! - time: `[-][Nd][HH:]MM:SS[.mmm]` from the start of the history;
//! - `name=text`: a text field: the key of an entity, or a value of which different ones are counted;
//! - a bare decimal: the amount; `name:decimal`: another numeric field;
//! - `+name`: a condition that holds; `#text`: the event id (else each line has its own); `@time`: arrival;
//! - `=> wanted ...`: what this event's features are to be;
//! - blank lines, and all from `//` on, are passed over.
//!
//! A wanted value is `feature=value[+saturated][+degraded]`. A mark that is not named must not be set. The value is
//! a decimal, a fraction `a/b`, the root of one `√a/b`, or `null`. `late` or `duplicate` alone is about the event.
//!
//! A feature is `entity.aggregate[_field][_window][options]`: `card.count_5m`, `card.sum_amount_5m`,
//! `card.distinct_device_1d`, `card.share_declined_1h`, `card.run_declined`, `card.seconds_since_last[_1d]`,
//! `card.ratio_sum_amount_1h_1d`; options are `[inclusive,delay=1h,where=declined,or=0]`.
//!
//! Holds: what a text means is plain data ([`Line`], [`Wanted`]), which the engine's tests map as well.
//! Not here: what becomes of it in the oracle (`run`); files, JSON. A fault in a text is a panic that names the line or the word: it is a test's own.

use std::collections::BTreeMap;

use crate::exact::Exact;
use crate::plan::Value;

mod run;

pub use run::{Names, check, check_with, compare};

/// An event as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1, in the text.
    pub number: usize,
    pub sequence: u64,
    /// From the start of the history.
    pub time_ms: i64,
    pub arrival_ms: Option<i64>,
    pub id: Option<String>,
    pub amount: Option<Decimal>,
    pub numbers: BTreeMap<String, Decimal>,
    pub texts: BTreeMap<String, String>,
    /// Conditions that hold.
    pub conditions: Vec<String>,
    pub wanted: Vec<Wanted>,
}

/// `scaled / 10^digits`, as many digits as were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub scaled: i128,
    pub digits: u32,
}

/// What a test says of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    Duplicate,
    Late,
    Feature { feature: Box<Feature>, value: Number, saturated: bool, degraded: bool },
}

/// A feature as named.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// As written, options included.
    pub name: String,
    pub entity: String,
    /// As in a features file: `count`, `sum`, … `seconds_since_last`.
    pub aggregate: String,
    /// Of ratio: the aggregate that is divided.
    pub of: Option<String>,
    /// A numeric field, a text field of distinct, or the condition of share and run.
    pub field: Option<String>,
    pub window_ms: Option<i64>,
    /// Of ratio.
    pub over_ms: Option<i64>,
    pub delay_ms: i64,
    pub inclusive: bool,
    pub condition: Option<String>,
    pub or: Option<f64>,
}

/// A wanted number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Null,
    Decimal(Decimal),
    Fraction(i64, i64),
    Root(i64, i64),
}

/// The events of a text.
pub fn history(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut sequence = 0;
    for (at, text) in text.lines().enumerate() {
        let text = text.split("//").next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        if text != "reject" {
            lines.push(line(at + 1, sequence, text));
        }
        sequence += 1;
    }
    lines
}

fn line(number: usize, sequence: u64, text: &str) -> Line {
    let fault = |word: &str| -> ! { panic!("line {number}: `{word}` is no part of an event: {text}") };
    let (event, wants) = text.split_once("=>").unwrap_or((text, ""));
    let mut words = event.split_whitespace();
    let first = words.next().unwrap_or_default();
    let mut line = Line {
        number,
        sequence,
        time_ms: time(first).unwrap_or_else(|| fault(first)),
        arrival_ms: None,
        id: None,
        amount: None,
        numbers: BTreeMap::new(),
        texts: BTreeMap::new(),
        conditions: Vec::new(),
        wanted: wanted(wants),
    };
    for word in words {
        if let Some(id) = word.strip_prefix('#') {
            line.id = Some(id.to_owned());
        } else if let Some(arrival) = word.strip_prefix('@') {
            line.arrival_ms = Some(time(arrival).unwrap_or_else(|| fault(word)));
        } else if let Some((name, text)) = word.split_once('=') {
            line.texts.insert(name.to_owned(), text.to_owned());
        } else if let Some((name, number)) = word.split_once(':') {
            line.numbers.insert(name.to_owned(), decimal(number).unwrap_or_else(|| fault(word)));
        } else if let Some(amount) = decimal(word) {
            line.amount = Some(amount);
        } else if let Some(condition) = word.strip_prefix('+') {
            line.conditions.push(condition.to_owned());
        } else {
            fault(word);
        }
    }
    line
}

/// What a text wants.
pub fn wanted(text: &str) -> Vec<Wanted> {
    text.split_whitespace()
        .map(|word| match word {
            "duplicate" => Wanted::Duplicate,
            "late" => Wanted::Late,
            word => wanted_feature(word).unwrap_or_else(|| panic!("`{word}` is no wanted value")),
        })
        .collect()
}

fn wanted_feature(word: &str) -> Option<Wanted> {
    let equals = word.rfind('=')?;
    let (name, value) = (&word[..equals], &word[equals + 1..]);
    let mut parts = value.split('+');
    let value = number(parts.next()?)?;
    let (mut saturated, mut degraded) = (false, false);
    for mark in parts {
        match mark {
            "saturated" => saturated = true,
            "degraded" => degraded = true,
            _ => return None,
        }
    }
    Some(Wanted::Feature { feature: Box::new(feature(name)?), value, saturated, degraded })
}

fn number(text: &str) -> Option<Number> {
    let fraction = |text: &str| match text.split_once('/') {
        Some((a, b)) => Some((a.parse().ok()?, b.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    if text == "null" {
        Some(Number::Null)
    } else if let Some(text) = text.strip_prefix('√') {
        fraction(text).map(|(a, b)| Number::Root(a, b))
    } else if text.contains('/') {
        fraction(text).map(|(a, b)| Number::Fraction(a, b))
    } else {
        decimal(text).map(Number::Decimal)
    }
}

/// A feature by its name; None where it is not one.
pub fn feature(text: &str) -> Option<Feature> {
    let (path, options) = match text.split_once('[') {
        Some((path, options)) => (path, options.strip_suffix(']')?),
        None => (text, ""),
    };
    let (entity, rest) = path.split_once('.')?;
    let mut feature = Feature {
        name: text.to_owned(),
        entity: entity.to_owned(),
        aggregate: String::new(),
        of: None,
        field: None,
        window_ms: None,
        over_ms: None,
        delay_ms: 0,
        inclusive: false,
        condition: None,
        or: None,
    };
    let mut rest = rest;
    for of_ratio in [false, true] {
        let aggregate = AGGREGATES.iter().find(|aggregate| {
            rest.strip_prefix(**aggregate).is_some_and(|tail| tail.is_empty() || tail.starts_with('_'))
        })?;
        rest = rest[aggregate.len()..].trim_start_matches('_');
        if of_ratio {
            feature.of = Some((*aggregate).to_owned());
        } else {
            feature.aggregate.push_str(aggregate);
        }
        if *aggregate != "ratio" {
            break;
        }
    }
    // From the end: a window, and before it, for a ratio, the one above.
    let mut words: Vec<&str> = rest.split('_').filter(|word| !word.is_empty()).collect();
    if feature.of.is_some() {
        feature.over_ms = Some(length(words.pop()?)?);
    }
    if let Some(window) = words.last().and_then(|word| length(word)) {
        feature.window_ms = Some(window);
        words.pop();
    }
    feature.field = (!words.is_empty()).then(|| words.join("_"));
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            None if option == "inclusive" => feature.inclusive = true,
            Some(("delay", delay)) => feature.delay_ms = length(delay)?,
            Some(("where", condition)) => feature.condition = Some(condition.to_owned()),
            Some(("or", or)) => feature.or = Some(or.parse().ok()?),
            Some(_) | None => return None,
        }
    }
    Some(feature)
}

const AGGREGATES: [&str; 13] = [
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "zscore",
    "distinct",
    "share",
    "ratio",
    "run",
    "seconds_since_last",
    "seconds_since_first",
];

/// `500ms`, `5m`, `7d` in milliseconds.
fn length(text: &str) -> Option<i64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..unit].parse().ok()?;
    let unit_ms = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number * unit_ms)
}

/// `[-][Nd][HH:]MM:SS[.mmm]` in milliseconds.
fn time(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (days, text) = text.split_once('d').unwrap_or(("0", text));
    let (clock, millis) = text.split_once('.').unwrap_or((text, "000"));
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => (0, minutes, seconds),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let millis: i64 = if millis.len() == 3 { millis.parse().ok()? } else { return None };
    let days: i64 = days.parse().ok()?;
    Some(sign * ((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + millis))
}

fn decimal(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.starts_with('+') || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Decimal { scaled: format!("{whole}{fraction}").parse().ok()?, digits: fraction.len() as u32 })
}

impl Decimal {
    /// As an integer in units of `10^-digits`; None where that loses digits or does not fit.
    pub fn at(self, digits: u32) -> Option<i64> {
        let up = 10i128.pow(digits.saturating_sub(self.digits));
        let down = 10i128.pow(self.digits.saturating_sub(digits));
        (self.scaled % down == 0).then(|| i64::try_from(self.scaled * up / down).ok()).flatten()
    }
}

impl Number {
    /// Whether a value is this number: exact values exactly, others by the bits of their f32.
    pub fn is(self, value: Value) -> bool {
        let exact = match self {
            Self::Null => return matches!(value, Value::Missing),
            Self::Decimal(Decimal { scaled, digits }) => {
                if let Value::Exact { scaled: other, digits: other_digits } = value {
                    return scaled * 10i128.pow(other_digits) == other * 10i128.pow(digits);
                }
                Exact::decimal(scaled, digits)
            }
            Self::Fraction(a, b) => Exact::ratio(a, b),
            Self::Root(a, b) => Exact::ratio(a, b).sqrt(),
        };
        match value {
            Value::Missing => false,
            Value::Exact { .. } | Value::Real(_) => value.to_f32().to_bits() == exact.to_f32().to_bits(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_full() {
        let lines = history(
            "// nothing here

             reject
             -1d02:03:04.005 card=A ip= 12.30 items:-2 +declined #7 @01:00 // and here
             00:01",
        );
        let Decimal { scaled, digits } = lines[0].amount.expect("an amount");
        assert_eq!((lines[0].number, lines[0].sequence, lines[1].sequence), (4, 1, 2));
        assert_eq!(lines[0].time_ms, -(86_400_000 + 7_384_005));
        assert_eq!((scaled, digits), (1230, 2));
        assert_eq!(lines[0].numbers["items"].at(6), Some(-2_000_000));
        assert_eq!((lines[0].texts["card"].as_str(), lines[0].texts["ip"].as_str()), ("A", ""));
        assert_eq!(lines[0].conditions, ["declined"]);
        assert_eq!((lines[0].id.as_deref(), lines[0].arrival_ms), (Some("7"), Some(60_000)));
        assert_eq!((lines[1].time_ms, lines[1].amount), (1000, None));
    }

    #[test]
    #[should_panic(expected = "line 2: `declined` is no part of an event")]
    fn a_fault_names_its_line() {
        history("00:00 card=A\n00:01 declined");
    }

    #[test]
    fn features_by_name() {
        let named = |name: &str| {
            let feature = feature(name).expect("a feature");
            (feature.aggregate, feature.of, feature.field, feature.window_ms, feature.over_ms)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(named("card.count_5m"), ("count".to_owned(), None, None, Some(300_000), None));
        assert_eq!(
            named("card.ratio_sum_net_amount_1h_1d"),
            ("ratio".to_owned(), text("sum"), text("net_amount"), Some(3_600_000), Some(86_400_000))
        );
        assert_eq!(named("card.run_declined"), ("run".to_owned(), None, text("declined"), None, None));
        assert_eq!(named("card.seconds_since_last").0, "seconds_since_last");
        let options = feature("card.count_1h[inclusive,where=declined,or=-1]").expect("a feature");
        assert_eq!((options.inclusive, options.condition, options.or), (true, text("declined"), Some(-1.0)));
        assert_eq!(feature("card.count_1h[delay=1m]").expect("a feature").delay_ms, 60_000);
        for fault in ["count_1h", "card.median_1h", "card.count_1h[often]", "card.count_1h[inclusive"] {
            assert_eq!(feature(fault), None, "{fault}");
        }
    }
}
