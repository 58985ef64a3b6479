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
//! Not here: files, JSON. A fault in a text is a panic that names the line or the word: it is a test's own.

use std::collections::BTreeMap;

use crate::exact::Exact;
use crate::oracle::Oracle;
use crate::plan::{Aggregate, Bounds, Column, Counts, Definition, Event, Outcome, Settings, Sizes, Value};

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

/// The names that features use, in the order of their first use: the indices of an event's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub entities: Vec<String>,
    /// `amount` is money in cents, all others are in millionths.
    pub columns: Vec<String>,
    pub values: Vec<String>,
    pub conditions: Vec<String>,
}

impl Names {
    pub fn of<'a>(features: impl IntoIterator<Item = &'a Feature>) -> Self {
        let mut names = Self::default();
        for feature in features {
            names.definition(feature);
        }
        names
    }

    /// The feature by indices; names that are new get one.
    pub fn definition(&mut self, feature: &Feature) -> Definition {
        let index = |names: &mut Vec<String>, name: &Option<String>| {
            let name = name.as_ref().unwrap_or_else(|| panic!("{}: a field is missing", feature.name));
            names.iter().position(|other| other == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            })
        };
        let entity = index(&mut self.entities, &Some(feature.entity.clone()));
        let mut condition =
            feature.condition.is_some().then(|| index(&mut self.conditions, &feature.condition));
        let field = &feature.field;
        let mut aggregate = match feature.of.as_ref().unwrap_or(&feature.aggregate).as_str() {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum(index(&mut self.columns, field)),
            "mean" => Aggregate::Mean(index(&mut self.columns, field)),
            "min" => Aggregate::Min(index(&mut self.columns, field)),
            "max" => Aggregate::Max(index(&mut self.columns, field)),
            "std" => Aggregate::Std(index(&mut self.columns, field)),
            "zscore" => Aggregate::Zscore(index(&mut self.columns, field)),
            "distinct" => Aggregate::Distinct(index(&mut self.values, field)),
            "share" => Aggregate::Share,
            "run" => Aggregate::Run,
            "seconds_since_last" => Aggregate::SecondsSinceLast,
            "seconds_since_first" => Aggregate::SecondsSinceFirst,
            other => panic!("{}: no aggregate `{other}`", feature.name),
        };
        if matches!(aggregate, Aggregate::Share | Aggregate::Run) {
            condition = Some(index(&mut self.conditions, field));
        }
        if let Some(over_ms) = feature.over_ms {
            aggregate = Aggregate::Ratio { of: Box::new(aggregate), over_ms };
        }
        Definition {
            entity,
            aggregate,
            window_ms: feature.window_ms,
            delay_ms: feature.delay_ms,
            inclusive: feature.inclusive,
            condition,
            or: feature.or,
        }
    }

    pub fn columns(&self) -> Vec<Column> {
        let column = |name: &String| match name.as_str() {
            "amount" => Column { digits: 2, money: true },
            _ => Column { digits: 6, money: false },
        };
        self.columns.iter().map(column).collect()
    }

    /// The line by indices; texts become their hashes.
    pub fn event(&self, line: &Line) -> Event {
        let text =
            |name: &String| line.texts.get(name).filter(|text| !text.is_empty()).map(|text| hash(text));
        let column = |(name, column): (&String, Column)| {
            let number = if name == "amount" { line.amount } else { line.numbers.get(name).copied() };
            number.map(|number| number.at(column.digits).unwrap_or_else(|| panic!("{number:?} of {line:?}")))
        };
        let id = line.id.clone().unwrap_or_else(|| format!("line {}", line.number));
        Event {
            sequence: line.sequence,
            id: hash(&id),
            time_ms: line.time_ms,
            keys: self.entities.iter().map(text).collect(),
            columns: self.columns.iter().zip(self.columns()).map(column).collect(),
            values: self.values.iter().map(text).collect(),
            conditions: self.conditions.iter().map(|name| line.conditions.contains(name)).collect(),
        }
    }
}

/// FNV-1a: any function of the text would do.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The last event's features in the oracle, under limits that no short history reaches.
pub fn check(history: &str, wanted: &str) {
    check_with(&Bounds::default(), history, wanted);
}

/// The same under given limits; a key is 100 bytes, an entry 10, a span 20, a distinct value 5; all keys are in part 1. Returns what the
/// state holds in the end.
pub fn check_with(bounds: &Bounds, text: &str, wanted_last: &str) -> Counts {
    let mut lines = history(text);
    if let Some(last) = lines.last_mut() {
        last.wanted.extend(wanted(wanted_last));
    }
    let mut features: Vec<Feature> = Vec::new();
    for want in lines.iter().flat_map(|line| &line.wanted) {
        if let Wanted::Feature { feature, .. } = want
            && !features.contains(&**feature)
        {
            features.push((**feature).clone());
        }
    }
    let mut names = Names::default();
    let definitions = features.iter().map(|feature| names.definition(feature)).collect();
    let sizes = Sizes { key_bytes: 100, entry_bytes: 10, span_bytes: 20, value_bytes: 5 };
    let (shards, id_shards) = (bounds.shards as u64, bounds.dedupe_shards as u64);
    let settings = Settings {
        bounds: bounds.clone(),
        sizes: vec![sizes; names.entities.len()],
        columns: names.columns(),
        shard_of: Box::new(move |entity, key| (key.wrapping_add(entity as u64) % shards) as usize),
        part_of: Box::new(|_, _| 1),
        shard_of_id: Box::new(move |id| (id % id_shards) as usize),
    };
    let mut oracle = Oracle::new(settings, definitions);
    for line in &lines {
        let outcome = oracle.event(&names.event(line));
        compare(line, &features, &outcome);
    }
    oracle.counts()
}

/// Holds an outcome against what the line wants; `features` are in the order of the outcome's lists.
pub fn compare(line: &Line, features: &[Feature], outcome: &Outcome) {
    for want in &line.wanted {
        let at = format!("line {}: {want:?}", line.number);
        match (want, outcome) {
            (Wanted::Duplicate, Outcome::Duplicate) => {}
            (Wanted::Late, Outcome::Accepted { late, .. }) => assert!(*late, "{at}"),
            (
                Wanted::Feature { feature, value, saturated, degraded },
                Outcome::Accepted { values, saturated: are_saturated, degraded: are_degraded, .. },
            ) => {
                let index =
                    features.iter().position(|other| other == &**feature).expect("a feature of the plan");
                assert!(value.is(values[index]), "{at}: is {:?}", values[index]);
                assert_eq!(are_saturated[index], *saturated, "{at}: saturated");
                assert_eq!(are_degraded[index], *degraded, "{at}: degraded");
            }
            (Wanted::Duplicate | Wanted::Late | Wanted::Feature { .. }, outcome) => {
                panic!("{at}: the event is {outcome:?}")
            }
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

    #[test]
    fn a_check_can_fail() {
        let history = "00:00 card=A 1\n00:01 card=A 2";
        check(history, "card.sum_amount_1h=1.00");
        for wrong in [
            "card.sum_amount_1h=1.01",
            "card.count_1h=2",
            "card.count_1h=null",
            "card.count_1h=1+saturated",
            "card.count_1h=1+degraded",
            "card.mean_amount_1h=1/3",
            "late",
            "duplicate",
        ] {
            let failed = std::panic::catch_unwind(|| check(history, wrong)).is_err();
            assert!(failed, "{wrong}");
        }
    }
}
