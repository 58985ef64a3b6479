//! A feature's value and its marks, from the state of a key: §3, §4 "Reading" and §5 "degraded".

use std::cmp::Ordering;

use num_bigint::BigInt;

use crate::exact::Exact;
use crate::plan::{Aggregate, Column, Definition, Event, Value};
use crate::state::{Entry, Key, Kind, Span};

/// What a feature is read from.
pub(crate) struct Reading<'a> {
    pub(crate) event: &'a Event,
    pub(crate) definition: &'a Definition,
    pub(crate) kind: &'a Kind,
    pub(crate) columns: &'a [Column],
    /// The state; None where the key is not in store. Holds the event itself for an inclusive feature.
    pub(crate) key: Option<&'a Key>,
    /// What the key can know: its `lost_before`, or the shard's horizon where it is not in store (§5).
    pub(crate) lost_before: Option<i64>,
}

/// A value before `or`, and its marks.
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) saturated: bool,
    pub(crate) degraded: bool,
}

/// A value before it is rounded.
enum Number {
    Missing,
    /// Published as it stands: `scaled / 10^digits`.
    Whole {
        scaled: i128,
        digits: u32,
    },
    /// Published as f32.
    Rounded(Exact),
}

/// `(e, m]`
#[derive(Clone, Copy)]
struct Window {
    e: i64,
    m: i64,
}

impl Window {
    fn holds(self, time: i64) -> bool {
        self.e < time && time <= self.m
    }

    /// §4: "a span takes part, whole, if e < last <= m".
    fn takes(self, span: &Span) -> bool {
        self.holds(span.last)
    }

    fn crosses_m(self, span: &Span) -> bool {
        span.first <= self.m && self.m < span.last
    }

    fn crosses_e(self, span: &Span) -> bool {
        span.first <= self.e && self.e < span.last
    }
}

impl Reading<'_> {
    pub(crate) fn read(&self) -> Read {
        let definition = self.definition;
        match (&definition.aggregate, definition.window_ms) {
            (Aggregate::SecondsSinceFirst, None) => {
                let first = self.key.map(|key| key.first).filter(|&first| first <= self.event.time_ms);
                // §5: "where anything was ever lost".
                Self::marked(self.seconds_since(first), false, self.lost_before.is_some())
            }
            (Aggregate::SecondsSinceLast, None) if self.definition.condition.is_none() => {
                self.seconds_since_last_ever()
            }
            // §3: "under a condition within `W` = `L` of the entity".
            (Aggregate::SecondsSinceLast, None) => {
                let window = self.window(self.kind.longest_ms);
                let (number, saturated) = self.over(window, &Aggregate::SecondsSinceLast);
                Self::marked(number, saturated, self.is_degraded(window))
            }
            (Aggregate::Run, _) => {
                let window = self.window(self.kind.longest_ms);
                let (run, saturated) = self.run(window);
                Self::marked(whole(run), saturated, self.is_degraded(window))
            }
            (Aggregate::Ratio { of, over_ms }, window_ms) => {
                let window = self.window(window_ms.expect("a ratio has a window"));
                let over = self.window(*over_ms);
                let (dividend, saturated) = self.over(window, of);
                let (divisor, over_saturated) = self.over(over, of);
                let number = match (dividend.exact(), divisor.exact()) {
                    (Some(dividend), Some(divisor)) if !divisor.is_zero() => {
                        Number::Rounded(dividend.over(divisor))
                    }
                    // "missing where the divisor is 0 or missing"
                    (Some(_) | None, Some(_) | None) => Number::Missing,
                };
                let degraded = self.is_degraded(window) || self.is_degraded(over);
                Self::marked(number, saturated || over_saturated, degraded)
            }
            (aggregate, window_ms) => {
                let window = self.window(window_ms.expect("the aggregate has a window"));
                let (number, saturated) = self.over(window, aggregate);
                Self::marked(number, saturated, self.is_degraded(window))
            }
        }
    }

    /// §3: "`(e, m]`, `e = t - W - d`, `m = t - d`".
    fn window(&self, window_ms: i64) -> Window {
        let m = self.event.time_ms - self.definition.delay_ms;
        Window { e: m - window_ms, m }
    }

    /// §5: "where its window reaches before what its key can know: `e < lost_before`".
    fn is_degraded(&self, window: Window) -> bool {
        self.lost_before.is_some_and(|lost_before| window.e < lost_before)
    }

    fn marked(number: Number, saturated: bool, degraded: bool) -> Read {
        let value = match number {
            Number::Missing => Value::Missing,
            Number::Whole { scaled, digits } => Value::Exact { scaled, digits },
            Number::Rounded(exact) => Value::Real(exact.to_f32()),
        };
        Read { value, saturated, degraded }
    }

    fn entries(&self) -> &[Entry] {
        self.key.map_or(&[], |key| &key.entries)
    }

    fn spans(&self) -> &[Span] {
        self.key.map_or(&[], |key| &key.spans)
    }

    /// An aggregate over one window: the number, and whether it is saturated.
    fn over(&self, window: Window, aggregate: &Aggregate) -> (Number, bool) {
        let mut saturated = self.spans().iter().any(|span| window.crosses_e(span) || window.crosses_m(span));
        // Every entry of the window and every event of the spans that take part, and of these what is looked at.
        let entries = self.entries().iter().filter(|entry| window.holds(entry.time));
        let spans = self.spans().iter().filter(|span| window.takes(span));
        let all: Vec<&Entry> = spans.flat_map(|span| &span.events).chain(entries).collect();
        let met: Vec<&Entry> = all.iter().copied().filter(|entry| entry.meets(self.definition)).collect();
        let present =
            |column: usize| met.iter().filter_map(|entry| entry.columns[column]).collect::<Vec<i64>>();

        let number = match aggregate {
            Aggregate::Count => whole(met.len()),
            Aggregate::Sum(column) => {
                // §4: "A sum that leaves 64 bits stays at the end of the range, saturated."
                let sum: i128 = present(*column).into_iter().map(i128::from).sum();
                let held = sum.clamp(i64::MIN.into(), i64::MAX.into());
                saturated |= held != sum;
                self.in_units(*column, held)
            }
            Aggregate::Min(column) => self.extreme(*column, present(*column).into_iter().min()),
            Aggregate::Max(column) => self.extreme(*column, present(*column).into_iter().max()),
            Aggregate::Mean(column) => {
                let values = present(*column);
                if values.is_empty() {
                    Number::Missing
                } else {
                    let scale = BigInt::from(10).pow(self.columns[*column].digits);
                    Number::Rounded(Exact::ratio(sum(&values), scale * values.len()))
                }
            }
            Aggregate::Std(column) => {
                let values = present(*column);
                if values.is_empty() {
                    Number::Missing
                } else {
                    let scale = BigInt::from(10).pow(self.columns[*column].digits);
                    let root = Exact::ratio(spread(&values), 1).sqrt();
                    Number::Rounded(root.over(Exact::ratio(scale * values.len(), 1)))
                }
            }
            Aggregate::Zscore(column) => {
                let values = present(*column);
                match self.event.columns[*column] {
                    None => Number::Missing,
                    Some(_) if values.is_empty() => Number::Missing,
                    Some(x) => {
                        let root = Exact::ratio(spread(&values), 1).sqrt();
                        let distance = Exact::ratio(BigInt::from(x) * values.len() - sum(&values), 1);
                        let none = Exact::ratio(0, 1);
                        Number::Rounded(if root.is_zero() { none } else { distance.over(root) })
                    }
                }
            }
            Aggregate::Distinct(value) => {
                let (number, full) = self.distinct(window, *value);
                saturated = full; // §4 gives distinct a rule of its own
                number
            }
            Aggregate::Share => {
                let among = all.iter().filter(|entry| entry.is_looked_at(self.definition)).count();
                if among == 0 { Number::Missing } else { Number::Rounded(Exact::ratio(met.len(), among)) }
            }
            Aggregate::Last => {
                let last = self.last(window);
                saturated |= last.is_some_and(|(_, certain)| !certain);
                last.map_or(Number::Missing, |(met, _)| whole(met.into()))
            }
            Aggregate::SecondsSinceFirst => {
                let oldest = self.oldest(window);
                saturated |= oldest.is_some_and(|(_, certain)| !certain);
                self.seconds_since(oldest.map(|(time, _)| time))
            }
            Aggregate::SecondsSinceLast => {
                let newest = self.newest(window);
                saturated |= newest.is_some_and(|(_, certain)| !certain);
                self.seconds_since(newest.map(|(time, _)| time))
            }
            Aggregate::Ratio { .. } | Aggregate::Run => {
                panic!("{aggregate:?} is no aggregate over one window")
            }
        };
        (number, saturated)
    }

    fn in_units(&self, column: usize, scaled: i128) -> Number {
        let Column { digits, money } = self.columns[column];
        // §3 Rounding: "money sums, minima and maxima are kept and written exactly".
        if money { Number::Whole { scaled, digits } } else { Number::Rounded(Exact::decimal(scaled, digits)) }
    }

    fn extreme(&self, column: usize, value: Option<i64>) -> Number {
        value.map_or(Number::Missing, |value| self.in_units(column, value.into()))
    }

    /// §4 *distinct*.
    fn distinct(&self, window: Window, value: usize) -> (Number, bool) {
        let Some(key) = self.key else { return (whole(0), false) };
        let wanted = (value, self.definition.condition);
        let column =
            self.kind.distinct.iter().position(|&column| column == wanted).expect("a column of the kind");
        let seen = &key.seen[column];
        let mut count = 0;
        let mut any_later = false;
        // The present event is looked at however late it is; it is the last of its time.
        let own = key.entries.iter().rposition(|entry| entry.time <= self.event.time_ms);
        let own = own.filter(|_| self.definition.inclusive);
        for (&value, &last) in &seen.last {
            if last <= window.m {
                count += usize::from(last > window.e);
            } else {
                any_later = true;
                // §2: an entry's value is kept as long as its column's own H.
                let edge = key.newest - self.kind.distinct_horizon_ms[column];
                let in_window = |(at, entry): (usize, &Entry)| {
                    (entry.time > edge || Some(at) == own)
                        && window.holds(entry.time)
                        && entry.distinct[column] == Some(value)
                };
                count += usize::from(key.entries.iter().enumerate().any(in_window));
            }
        }
        let any_span = key
            .spans
            .iter()
            .any(|span| window.takes(span) || window.crosses_e(span) || window.crosses_m(span));
        let dropped = seen.dropped.is_some_and(|dropped| dropped > window.e);
        (whole(count), (any_later && any_span) || dropped)
    }

    /// §3 and §4 *run*: the run, and whether it is saturated.
    fn run(&self, window: Window) -> (usize, bool) {
        let mut run = 0;
        for entry in self.entries().iter().rev().filter(|entry| window.holds(entry.time)) {
            if !entry.meets(self.definition) {
                return (run, false);
            }
            run += 1;
        }
        for span in self.spans().iter().rev() {
            if window.crosses_m(span) {
                return (run, true);
            }
            if span.first > window.m {
                continue;
            }
            if span.last <= window.e {
                break;
            }
            let met = span.events.iter().filter(|event| event.meets(self.definition)).count();
            let within = window.e < span.first;
            if !within || met < span.events.len() {
                return (run, met > 0);
            }
            run += met;
        }
        (run, false)
    }

    /// The time of the newest entry in the window, and whether it is certain; §4 *`seconds_since_last`* for spans.
    fn newest(&self, window: Window) -> Option<(i64, bool)> {
        let entries = self
            .entries()
            .iter()
            .filter(|entry| entry.meets(self.definition))
            .map(|entry| (entry.time, true));
        let spans = self.spans().iter().filter_map(|span| {
            let met = span.events.iter().filter(|event| event.meets(self.definition)).count();
            let all = met == span.events.len();
            (met > 0).then_some(if window.crosses_m(span) { (span.first, false) } else { (span.last, all) })
        });
        entries.chain(spans).filter(|&(time, _)| window.holds(time)).max()
    }

    /// The same of the oldest: §4 *`seconds_since_first`*.
    fn oldest(&self, window: Window) -> Option<(i64, bool)> {
        let entries = self.entries().iter().filter(|entry| entry.meets(self.definition));
        let entries = entries.map(|entry| (entry.time, true));
        let spans = self.spans().iter().filter_map(|span| {
            let met = span.events.iter().filter(|event| event.meets(self.definition)).count();
            let all = met == span.events.len();
            let counts_by = match (window.crosses_m(span), window.e < span.first) {
                (true, _) => (span.first, false),
                (false, true) => (span.first, all),
                (false, false) => (span.last, false),
            };
            (met > 0).then_some(counts_by)
        });
        entries.chain(spans).filter(|&(time, _)| window.holds(time)).min()
    }

    /// Whether the newest that is looked at met the condition, and whether that is certain: §4 *last*.
    fn last(&self, window: Window) -> Option<(bool, bool)> {
        let of_span = |span: &Span| {
            let looked_at = span.events.iter().filter(|event| event.is_looked_at(self.definition)).count();
            let met = span.events.iter().filter(|event| event.meets(self.definition)).count();
            (looked_at > 0).then_some((met > 0, met == 0 || met == looked_at))
        };
        let across = self.spans().iter().find(|span| window.crosses_m(span) && window.e < span.first);
        if let Some((met, _)) = across.and_then(of_span) {
            return Some((met, false));
        }
        let entries = self.entries().iter().rev();
        let mut entries =
            entries.filter(|entry| window.holds(entry.time) && entry.is_looked_at(self.definition));
        if let Some(entry) = entries.next() {
            return Some((entry.meets(self.definition), true));
        }
        self.spans().iter().rev().filter(|span| window.takes(span)).find_map(of_span)
    }

    /// §3 `seconds_since_last` without a window: `newest` if it is `<= t`, else the newest entry, else `first`.
    fn seconds_since_last_ever(&self) -> Read {
        let window = Window { e: i64::MIN, m: self.event.time_ms };
        let Some(key) = self.key else {
            return Self::marked(Number::Missing, false, self.lost_before.is_some());
        };
        let (found, certain) = if key.newest <= window.m {
            (Some(key.newest), true)
        } else {
            match self.newest(window) {
                Some((time, certain)) => (Some(time), certain),
                // Entries that expired may have lain between.
                None => (Some(key.first).filter(|&first| first <= window.m), key.first > window.m),
            }
        };
        let saturated = !certain || self.spans().iter().any(|span| window.crosses_m(span));
        // §5: "where the time found is before lost_before, or none was found and it is set".
        let degraded =
            self.lost_before.is_some_and(|lost_before| found.is_none_or(|time| time < lost_before));
        Self::marked(self.seconds_since(found), saturated, degraded)
    }

    fn seconds_since(&self, time: Option<i64>) -> Number {
        time.map_or(Number::Missing, |time| Number::Rounded(Exact::ratio(self.event.time_ms - time, 1000)))
    }
}

impl Number {
    fn exact(self) -> Option<Exact> {
        match self {
            Self::Missing => None,
            Self::Whole { scaled, digits } => Some(Exact::decimal(scaled, digits)),
            Self::Rounded(exact) => Some(exact),
        }
    }
}

fn whole(count: usize) -> Number {
    Number::Whole { scaled: count as i128, digits: 0 }
}

/// Σx
fn sum(values: &[i64]) -> BigInt {
    values.iter().copied().map(BigInt::from).sum()
}

/// n·Σx² − (Σx)²
fn spread(values: &[i64]) -> BigInt {
    let squares: BigInt = values.iter().map(|&x| BigInt::from(x).pow(2)).sum();
    let spread = squares * values.len() - sum(values).pow(2);
    assert!(spread.cmp(&BigInt::ZERO) != Ordering::Less, "Cauchy and Schwarz");
    spread
}
