//! What the rules are for: a value without a mark is the exact one.
//!
//! The contract says "a window of W at event time t over key k is every accepted event of k with
//! `t - W < t_h <= t` that came earlier in the sequence". Here that sentence is computed from the list of all
//! events, and held against the oracle wherever it sets no mark. Also: that the random histories reach every rule.

use std::collections::BTreeSet;

use cartguard_oracle::exact::Exact;
use cartguard_oracle::histories::Case;
use cartguard_oracle::{Aggregate, Definition, Event, Outcome, Value};

/// An accepted event that was stored under all its keys (a late one may have been under some).
type Past<'a> = (&'a Event, bool);

/// Where docs/semantics.md itself gives up the sentence without a mark: `seconds_since_last`,
/// - under a condition, takes a span's last time though that event need not have met it, and without a window
///   looks only at what has not expired;
/// - without a window, for an event that is not the newest of its key, finds `first` where the one before it has
///   expired.
fn is_open(definition: &Definition, event: &Event, past: &[Past]) -> bool {
    let key = event.keys[definition.entity];
    let newer = |earlier: &Event| earlier.keys[definition.entity] == key && earlier.time_ms > event.time_ms;
    definition.aggregate == Aggregate::SecondsSinceLast
        && (definition.condition.is_some()
            || definition.window_ms.is_none() && past.iter().any(|(earlier, _)| newer(earlier)))
}

/// The value by the sentence; None where a late event leaves it open.
fn promised(case: &Case, definition: &Definition, event: &Event, past: &[Past]) -> Option<Value> {
    let t = event.time_ms;
    let m = t - definition.delay_ms;
    let window_ms = match (&definition.aggregate, definition.window_ms) {
        (Aggregate::Run, _) => {
            let of_entity = case.definitions.iter().filter(|other| other.entity == definition.entity);
            of_entity.map(longest).max().unwrap_or_default()
        }
        (_, Some(window_ms)) => window_ms,
        (_, None) => i64::MAX / 2,
    };
    let key = event.keys[definition.entity];
    let mut window: Vec<&Event> = Vec::new();
    for &(earlier, certain) in past {
        if earlier.keys[definition.entity] == key && m - window_ms < earlier.time_ms && earlier.time_ms <= m {
            if !certain {
                return None;
            }
            window.push(earlier);
        }
    }
    // (t, t] holds nothing: a run where no feature of the entity has a window.
    if definition.inclusive && window_ms > 0 {
        window.push(event);
    }
    let meets = |event: &Event| definition.condition.is_none_or(|condition| event.conditions[condition]);
    let met: Vec<&Event> = window.iter().copied().filter(|event| meets(event)).collect();
    let numbers =
        |column: usize| met.iter().filter_map(|event| event.columns[column]).map(i128::from).collect();
    let in_units = |column: usize, scaled: Option<i128>| {
        let digits = case.columns[column].digits;
        match scaled {
            None => Value::Missing,
            Some(scaled) if case.columns[column].money => Value::Exact { scaled, digits },
            Some(scaled) => Value::Real(Exact::decimal(scaled, digits).to_f32()),
        }
    };
    let whole = |count: usize| Value::Exact { scaled: count as i128, digits: 0 };
    let ratio =
        |a: i128, b: i128| if b == 0 { Value::Missing } else { Value::Real(Exact::ratio(a, b).to_f32()) };
    Some(match &definition.aggregate {
        Aggregate::Count => whole(met.len()),
        Aggregate::Sum(column) => {
            let numbers: Vec<i128> = numbers(*column);
            in_units(*column, Some(numbers.iter().sum()))
        }
        Aggregate::Min(column) => in_units(*column, numbers(*column).into_iter().min()),
        Aggregate::Max(column) => in_units(*column, numbers(*column).into_iter().max()),
        Aggregate::Mean(column) => {
            let numbers: Vec<i128> = numbers(*column);
            let scale = 10i128.pow(case.columns[*column].digits);
            ratio(numbers.iter().sum(), numbers.len() as i128 * scale)
        }
        Aggregate::Distinct(value) => {
            whole(met.iter().filter_map(|event| event.values[*value]).collect::<BTreeSet<u64>>().len())
        }
        Aggregate::Share => ratio(met.len() as i128, window.len() as i128),
        Aggregate::Last => {
            window.sort_by_key(|event| (event.time_ms, event.sequence));
            window.last().map_or(Value::Missing, |event| whole(meets(event).into()))
        }
        Aggregate::Run => {
            window.sort_by_key(|event| (event.time_ms, event.sequence));
            whole(window.iter().rev().take_while(|event| meets(event)).count())
        }
        Aggregate::SecondsSinceLast => {
            let newest = met.iter().map(|event| event.time_ms).max();
            newest.map_or(Value::Missing, |newest| ratio((t - newest).into(), 1000))
        }
        Aggregate::SecondsSinceFirst => {
            let oldest = met.iter().map(|event| event.time_ms).min();
            oldest.map_or(Value::Missing, |oldest| ratio((t - oldest).into(), 1000))
        }
        Aggregate::Ratio { of, over_ms } if **of == Aggregate::Count && definition.condition.is_none() => {
            let over =
                Definition { aggregate: Aggregate::Count, window_ms: Some(*over_ms), ..definition.clone() };
            match promised(case, &over, event, past)? {
                Value::Exact { scaled, .. } => ratio(met.len() as i128, scaled),
                Value::Missing | Value::Real(_) => unreachable!("a count is exact"),
            }
        }
        Aggregate::Ratio { .. } | Aggregate::Std(_) | Aggregate::Zscore(_) => return None,
    })
}

fn longest(definition: &Definition) -> i64 {
    let over_ms = if let Aggregate::Ratio { over_ms, .. } = definition.aggregate { over_ms } else { 0 };
    definition.window_ms.unwrap_or_default().max(over_ms) + definition.delay_ms
}

#[test]
fn a_value_without_a_mark_is_exact() {
    let (mut compared, mut with_spans) = (0u64, 0u64);
    for seed in 0..500 {
        let mut case = Case::new(seed, 200).without_flags();
        case.bounds.forget_after_ms = i64::MAX / 4;
        let mut oracle = case.oracle();
        let mut past: Vec<Past> = Vec::new();
        for event in &case.events {
            let spans = oracle.counts().spans > 0;
            let Outcome::Accepted { values, late, saturated, degraded } = oracle.event(event) else {
                continue;
            };
            for (at, definition) in case.definitions.iter().enumerate() {
                let missing = event.keys[definition.entity].is_none();
                if late
                    || saturated[at]
                    || degraded[at]
                    || missing
                    || definition.or.is_some()
                    || is_open(definition, event, &past)
                {
                    continue;
                }
                let Some(promised) = promised(&case, definition, event, &past) else { continue };
                assert_eq!(
                    values[at], promised,
                    "seed {seed}, sequence {}: {definition:?} {:?}",
                    event.sequence, case.bounds
                );
                compared += 1;
                with_spans += u64::from(spans);
            }
            // Late under its only key, it was stored under none.
            if !late || event.keys.iter().flatten().count() > 1 {
                past.push((event, !late));
            }
        }
    }
    assert!(compared > 30_000 && with_spans > 8_000, "{compared} values, {with_spans} beside spans");
}

#[test]
fn random_histories_reach_every_rule() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut values_seen = BTreeSet::new();
    for seed in 0..400 {
        let case = Case::new(seed, 300);
        let mut oracle = case.oracle();
        for event in &case.events {
            let Outcome::Accepted { values, late, saturated, degraded } = oracle.event(event) else {
                seen.insert("duplicate");
                continue;
            };
            for (at, value) in values.iter().enumerate() {
                let name = format!("{:?}", case.definitions[at].aggregate);
                let mut name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
                if name == "SecondsSinceFirst" && case.definitions[at].window_ms.is_none() {
                    name.push_str(" of all");
                }
                values_seen.insert((name.clone(), "missing", *value == Value::Missing));
                values_seen.insert((name.clone(), "saturated", saturated[at]));
                values_seen.insert((name, "degraded", degraded[at]));
            }
            if late {
                seen.insert("late");
            }
        }
        let counts = oracle.counts();
        for (name, count) in [
            ("evicted keys", counts.evicted_keys),
            ("evicted ids", counts.evicted_ids),
            ("spans", counts.spans),
            ("values", counts.values),
        ] {
            if count > 0 {
                seen.insert(name);
            }
        }
    }
    let all = BTreeSet::from(["duplicate", "late", "evicted keys", "evicted ids", "spans", "values"]);
    assert_eq!(seen, all);
    // 14 aggregates, one of them with and without a window, three marks, set and not set; all but these can be.
    let never = [("SecondsSinceFirst of all", "saturated", true)];
    for (name, mark, set) in never {
        assert!(!values_seen.contains(&(name.to_owned(), mark, set)), "{name} {mark}");
    }
    assert_eq!(values_seen.len(), 15 * 6 - never.len(), "{values_seen:#?}");
}

#[test]
fn a_seed_is_a_case() {
    let case = Case::new(7, 300);
    assert_eq!(case.events, Case::new(7, 300).events);
    assert_ne!(case.events, Case::new(8, 300).events);
}

#[test]
fn stretched_numbers_leave_64_bits() {
    let mut at_the_end = 0;
    for seed in 0..100 {
        let case = Case::new(seed, 100).stretched();
        let mut oracle = case.oracle();
        for event in &case.events {
            let Outcome::Accepted { values, saturated, .. } = oracle.event(event) else { continue };
            for (at, definition) in case.definitions.iter().enumerate() {
                if definition.aggregate == Aggregate::Sum(1)
                    && let Value::Real(sum) = values[at]
                {
                    let end = Exact::decimal(i64::MAX, 6).to_f32();
                    assert!(sum.abs() <= end);
                    at_the_end += u64::from(sum.abs() >= end && saturated[at]);
                }
            }
        }
    }
    assert!(at_the_end > 0);
}
