//! The 90 features of the checkout-scoring workload (benches/workload), computed a second way.
//!
//! JSON lines by `serde_json`, a list of all past events for each key, and a rescan of it for every feature. Nothing
//! here knows of shards, spans, memory or lateness: only the sentence "the exact windows `(t - W, t]` in event time,
//! of the events of that key that came before in the file, the current one included".
//!
//! Holds: integers until the last step; amounts in 10^-4 of a unit. Shares only [`exact`](crate::exact) with the
//! oracle proper. A line that is not of the workload is a panic that names it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use num_bigint::BigInt;
use serde_json::Value as Json;

use crate::exact::Exact;

/// Features of an event.
pub const FEATURES: usize = 90;

const ENTITIES: [&str; 4] = ["customer_id", "card_id", "device_id", "ip"];
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const WINDOWS: [i64; 5] = [MINUTE, 10 * MINUTE, 60 * MINUTE, DAY, 7 * DAY];
const DUPLICATE_SPAN: i64 = 10 * MINUTE;
/// Digits of an amount.
const DIGITS: u32 = 4;

/// One feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    Missing,
    /// Counts, flags, hours.
    Whole(i64),
    /// In 10^-4 of a unit.
    Money(i64),
    /// Rounded once.
    Real(f32),
}

/// As JSON: money with two digits (four where two are not enough), floats in the shortest form.
impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => out.write_str("null"),
            Self::Whole(whole) => write!(out, "{whole}"),
            Self::Money(money) if money % 100 == 0 => {
                write!(out, "{}.{:02}", money / 10_000, money % 10_000 / 100)
            }
            Self::Money(money) => write!(out, "{}.{:04}", money / 10_000, money % 10_000),
            Self::Real(real) => write!(out, "{real}"),
        }
    }
}

/// Events accepted so far.
#[derive(Default)]
pub struct Workload {
    stream_time: Option<i64>,
    /// Id to the time it was accepted with.
    ids: HashMap<String, i64>,
    /// (entity, key) to its events in file order.
    past: HashMap<(usize, String), Vec<Past>>,
}

#[derive(Clone)]
struct Past {
    time: i64,
    amount: i64,
    keys: [String; 4],
}

/// A list for each line: None for a duplicate.
pub fn workload_features<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Option<[Cell; FEATURES]>> {
    let mut workload = Workload::default();
    lines.map(|line| workload.line(line)).collect()
}

impl Workload {
    /// The next line's features; None for a duplicate.
    pub fn line(&mut self, line: &str) -> Option<[Cell; FEATURES]> {
        let json: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text =
            |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {line}")).to_owned();
        let t = time(&text("event_time")).unwrap_or_else(|| panic!("no time: {line}"));
        let amount = amount(&json["amount"]).unwrap_or_else(|| panic!("no amount: {line}"));

        // Step 2.
        let stream_time = self.stream_time.map_or(t, |before| before.max(t));
        self.stream_time = Some(stream_time);
        let id = text("event_id");
        if self.ids.get(&id).is_some_and(|&accepted| accepted > stream_time - DUPLICATE_SPAN) {
            return None;
        }
        self.ids.insert(id, t);

        // "of the events of that key that came before in the file"; then "the current one included".
        let present = Past { time: t, amount, keys: ENTITIES.map(text) };
        let earlier_of_customer = self.past.get(&(0, present.keys[0].clone())).cloned().unwrap_or_default();
        for entity in 0..ENTITIES.len() {
            self.past.entry((entity, present.keys[entity].clone())).or_default().push(present.clone());
        }

        let mut cells = Vec::with_capacity(FEATURES);
        // Step 3.
        for entity in 0..ENTITIES.len() {
            let of_key = &self.past[&(entity, present.keys[entity].clone())];
            for window in WINDOWS {
                let amounts: Vec<i64> = of_key
                    .iter()
                    .filter(|past| t - window < past.time && past.time <= t)
                    .map(|past| past.amount)
                    .collect();
                let sum: i64 = amounts.iter().sum();
                let count = amounts.len() as i64;
                let max = amounts.iter().copied().max().unwrap_or_default();
                let mean = Exact::ratio(sum, BigInt::from(count) * 10i64.pow(DIGITS)).to_f32();
                cells.extend([Cell::Whole(count), Cell::Money(sum), Cell::Real(mean), Cell::Money(max)]);
            }
        }
        // Step 4.
        let of_customer = &self.past[&(0, present.keys[0].clone())];
        let within = |past: &&Past, window: i64| t - window < past.time && past.time <= t;
        for other in 1..ENTITIES.len() {
            let keys: BTreeSet<&String> =
                of_customer.iter().filter(|past| within(past, DAY)).map(|past| &past.keys[other]).collect();
            cells.push(Cell::Whole(keys.len() as i64));
        }
        let latest =
            earlier_of_customer.iter().filter(|past| within(past, 7 * DAY)).map(|past| past.time).max();
        cells
            .push(latest.map_or(Cell::Missing, |latest| Cell::Real(Exact::ratio(t - latest, 1000).to_f32())));
        let amounts: Vec<i64> =
            of_customer.iter().filter(|past| within(past, 7 * DAY)).map(|past| past.amount).collect();
        cells.push(Cell::Real(z_score(amount, &amounts)));
        // Step 5.
        let items = json["items"].as_array().map_or(&[][..], Vec::as_slice);
        let quantity =
            items.iter().map(|item| item["qty"].as_i64().unwrap_or_else(|| panic!("no qty: {line}"))).sum();
        let (shipping, billing) = (&json["shipping"]["country"], &json["billing"]["country"]);
        cells.extend([
            Cell::Money(amount),
            Cell::Whole(items.len() as i64),
            Cell::Whole(quantity),
            Cell::Whole(i64::from(shipping != billing)),
            Cell::Whole(t.rem_euclid(DAY) / (60 * MINUTE)),
        ]);
        Some(cells.try_into().expect("ninety features"))
    }
}

/// `(x - Σx / n) / sqrt(Σx² / n - (Σx / n)²)`, both sides times n; 0 without spread.
fn z_score(x: i64, amounts: &[i64]) -> f32 {
    let n = amounts.len();
    let sum: BigInt = amounts.iter().copied().map(BigInt::from).sum();
    let squares: BigInt = amounts.iter().map(|&amount| BigInt::from(amount) * amount).sum();
    let variance = squares * n - &sum * &sum;
    if variance == BigInt::ZERO {
        return 0.0;
    }
    Exact::ratio(BigInt::from(x) * n - sum, 1).over(Exact::ratio(variance, 1).sqrt()).to_f32()
}

/// A decimal string or number in 10^-4 of a unit.
fn amount(json: &Json) -> Option<i64> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() > DIGITS as usize {
        return None;
    }
    format!("{whole}{fraction:0<4}").parse().ok()
}

/// RFC 3339 in UTC (`2024-02-29T12:34:56.789Z`), in milliseconds since 1970.
fn time(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, millis) = clock.split_once('.').unwrap_or((clock, "000"));
    let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
        let numbers: Option<Vec<i64>> = text.split(by).map(|part| part.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
    let millis: i64 = if millis.len() == 3 { millis.parse().ok()? } else { return None };
    // Years begin in March, so that the leap day is the last; 719,468 days from 0000-03-01 to 1970-01-01.
    let (year, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * months + 2) / 5
        + (day - 1)
        - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histories::Random;
    use crate::{Aggregate, Bounds, Column, Definition, Event, Oracle, Outcome, Settings, Sizes, Value};

    #[test]
    fn times() {
        assert_eq!(time("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(time("2024-02-29T12:34:56.789Z"), Some(1_709_210_096_789));
        assert_eq!(time("2000-03-01T00:00:00Z"), Some(951_868_800_000));
        assert_eq!(time("2000-03-01T00:00:00+01:00"), None);
    }

    #[test]
    fn cells_as_json() {
        let text = |cell: Cell| cell.to_string();
        assert_eq!(text(Cell::Money(123_400)), "12.34");
        assert_eq!(text(Cell::Money(123_405)), "12.3405");
        assert_eq!(text(Cell::Money(5)), "0.0005");
        assert_eq!(text(Cell::Real(0.1)), "0.1");
        assert_eq!(text(Cell::Missing), "null");
        assert_eq!(amount(&Json::from("12.3")), Some(123_000));
        assert_eq!(amount(&serde_json::json!(12.34)), Some(123_400));
        assert_eq!(amount(&Json::from(7)), Some(70_000));
        assert_eq!(amount(&Json::from("0.00001")), None);
    }

    fn line(id: u64, time: &str, keys: [u64; 4], amount: &str) -> String {
        let [customer, card, device, ip] = keys;
        format!(
            r#"{{"event_id":"{id}","event_time":"{time}","customer_id":"{customer}","card_id":"{card}",
            "device_id":"{device}","ip":"{ip}","amount":"{amount}","items":[{{"qty":2}},{{"qty":3}}],
            "shipping":{{"country":"DE"}},"billing":{{"country":"AT"}}}}"#
        )
    }

    #[test]
    fn three_events_by_hand() {
        let lines = [
            line(1, "2024-01-01T10:00:00.000Z", [1, 1, 1, 1], "10.00"),
            line(2, "2024-01-01T10:01:00.000Z", [1, 2, 1, 2], "20.00"),
            line(1, "2024-01-01T10:02:00.000Z", [1, 2, 1, 2], "20.00"),
            line(3, "2024-01-01T10:09:59.999Z", [1, 2, 3, 3], "30.00"),
        ];
        let features = workload_features(lines.iter().map(String::as_str));
        assert!(features[2].is_none());
        let texts = |row: usize| features[row].expect("no duplicate").map(|cell| cell.to_string());
        let first = texts(0);
        assert_eq!(first[..4], ["1", "10.00", "10", "10.00"]);
        assert_eq!(first[80..], ["1", "1", "1", "null", "0", "10.00", "2", "5", "1", "10"]);
        // (10:00, 10:01]: the first is at the far edge of the minute.
        assert_eq!(texts(1)[..8], ["1", "20.00", "20", "20.00", "2", "30.00", "15", "20.00"]);
        // z: (3 * 30 - 60) / sqrt(3 * 1400 - 3600) = 30 / sqrt(600)
        assert_eq!(texts(3)[4..8], ["3", "60.00", "20", "30.00"]);
        assert_eq!(texts(3)[24..28], ["2", "50.00", "25", "30.00"], "card 2 in ten minutes");
        assert_eq!(texts(3)[80..85], ["2", "2", "3", "539.999", "1.2247449"]);
    }

    /// The 80 window features and step 4 in the oracle proper, over the same random lines.
    #[test]
    fn equals_the_oracle() {
        let mut definitions = Vec::new();
        let definition = |entity, aggregate, window_ms, inclusive| Definition {
            entity,
            aggregate,
            window_ms: Some(window_ms),
            delay_ms: 0,
            inclusive,
            condition: None,
            label: None,
            or: None,
        };
        for entity in 0..4 {
            for window in WINDOWS {
                for aggregate in [Aggregate::Count, Aggregate::Sum(0), Aggregate::Mean(0), Aggregate::Max(0)]
                {
                    definitions.push(definition(entity, aggregate, window, true));
                }
            }
        }
        definitions.extend((0..3).map(|value| definition(0, Aggregate::Distinct(value), DAY, true)));
        definitions.push(definition(0, Aggregate::SecondsSinceLast, 7 * DAY, false));
        definitions.push(definition(0, Aggregate::Zscore(0), 7 * DAY, true));
        let settings = Settings {
            bounds: Bounds { dedupe_span_ms: DUPLICATE_SPAN, lateness_ms: 2000, ..Bounds::default() },
            sizes: vec![vec![Sizes { key_bytes: 1, entry_bytes: 1, span_bytes: 1, value_bytes: 1 }; 4]],
            flags: Vec::new(),
            labels: None,
            columns: vec![Column { digits: DIGITS, money: true }],
            shard_of: Box::new(|_, key| (key % 64) as usize),
            part_of: Box::new(|_, key| key >> 54),
            shard_of_id: Box::new(|id| (id % 64) as usize),
        };
        let mut oracle = Oracle::new(settings, definitions, 0);
        let mut workload = Workload::default();
        let mut random = Random::new(1);
        let mut now = 0;
        for sequence in 0..1500 {
            now += if random.chance(5) { random.within(0, DAY / 2) } else { random.within(0, 60_000) };
            // 30 days of January 2024 and on, up to 2 s out of order.
            let at = now - random.within(0, 2000);
            let at = at.clamp(0, 30 * DAY);
            let (day, clock) = (at / DAY, at % DAY);
            let stamp = format!(
                "2024-01-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                day + 1,
                clock / 3_600_000,
                clock / 60_000 % 60,
                clock / 1000 % 60,
                clock % 1000
            );
            let id = if random.chance(5) { random.below(sequence + 1) } else { sequence };
            let keys = [random.below(6), random.below(9), random.below(12), random.below(4)];
            let cents = random.below(100_000) as i64;
            let line = line(id, &stamp, keys, &format!("{}.{:02}", cents / 100, cents % 100));
            let event = Event {
                sequence,
                id,
                time_ms: at,
                keys: keys.map(Some).to_vec(),
                columns: vec![Some(cents * 100)],
                values: keys[1..].iter().copied().map(Some).collect(),
                conditions: Vec::new(),
                label: None,
            };
            match (oracle.event(&event), workload.line(&line)) {
                (Outcome::Duplicate, None) => {}
                (Outcome::Accepted { values, late: false, .. }, Some(cells)) => {
                    for (at, (value, cell)) in values.into_iter().zip(cells).enumerate() {
                        let expected = match cell {
                            Cell::Missing => Value::Missing,
                            Cell::Whole(whole) => Value::Exact { scaled: whole.into(), digits: 0 },
                            Cell::Money(money) => Value::Exact { scaled: money.into(), digits: DIGITS },
                            Cell::Real(real) => Value::Real(real),
                        };
                        assert_eq!(value, expected, "sequence {sequence}, feature {at}");
                    }
                }
                (outcome, cells) => panic!("sequence {sequence}: {outcome:?}, {cells:?}"),
            }
        }
    }
}
