//! Two shards, of which one totals every window anew: whatever comes, both read the same.

use super::*;
use crate::features::cell::Cell;
use crate::features::plan::Plan;
use crate::state::shard::{Shard, StateSettings, Update};
use crate::window::read;
use crate::window::reserve::Reserve;
use crate::window::write::Entry;
use proptest::prelude::*;

const LATENESS_MS: i64 = 20_000;
const KEY: u64 = 77;

const FEATURES: &str = r#"
[[condition]]
name = "dear"
when = "amount > 5"

[[feature]]
entity = "card"
windows = ["2s", "10s", "1m", "10m"]
aggregates = ["count", "sum", "mean", "min", "max", "std"]
inclusive = true

[[feature]]
entity = "card"
windows = ["10s", "5m"]
aggregates = ["count", "sum", "max"]
delay = "7s"

[[feature]]
entity = "card"
windows = ["1m", "10m"]
aggregates = ["share", "count"]
where = "dear"

[[feature]]
entity = "card"
windows = ["30s", "4m"]
aggregates = ["count", "zscore", "seconds_since_last"]
"#;

fn plan() -> Plan {
    Plan::of_card(FEATURES, LATENESS_MS)
}

/// An entity that `read::plain` reads.
const PLAIN: &str = r#"
[[feature]]
entity = "card"
windows = ["2s", "10s", "1m", "10m"]
aggregates = ["count", "sum", "mean", "min", "max", "std"]
inclusive = true

[[feature]]
entity = "card"
windows = ["10s", "5m"]
aggregates = ["count", "sum", "mean", "max"]
delay = "7s"

[[feature]]
entity = "card"
windows = ["30s", "4m"]
aggregates = ["zscore", "seconds_since_last", "sum", "mean"]
"#;

/// One whose windows are moved, read and added to in one pass.
const ONE_PASS: &str = r#"
[[feature]]
entity = "card"
windows = ["2s", "10s", "1m", "10m"]
aggregates = ["count", "sum", "mean", "max"]
inclusive = true

[[feature]]
entity = "card"
windows = ["1s", "30s", "4m"]
aggregates = ["seconds_since_last", "min", "std"]

[[feature]]
entity = "card"
windows = ["10m"]
aggregates = ["zscore"]
inclusive = true

[[feature]]
entity = "card"
windows = ["10s", "1m"]
aggregates = ["distinct"]
of = "amount"
inclusive = true
"#;

fn settings(entries_per_key: usize) -> StateSettings {
    StateSettings { entries_per_key, lateness_ms: LATENESS_MS, ..StateSettings::roomy() }
}

/// One event of the key: how much later than the one before, and its amount.
#[derive(Clone, Copy, Debug)]
struct Step {
    ms: i64,
    amount: i64,
}

/// Mostly in order and close together, some late, some after a pause; amounts that repeat, so that extremes are lost and found.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ms = prop_oneof![
        8 => 0i64..400,
        3 => 0i64..3,
        2 => -9_000i64..0,
        1 => 0i64..40_000,
    ];
    let pause =
        prop_oneof![60 => Just(0i64), 1 => Just(700_000i64), 1 => Just(600_000i64), 1 => Just(90_000i64)];
    let amount = prop_oneof![3 => 0i64..1_000, 2 => Just(500i64), 1 => 900i64..1_000_000];
    prop::collection::vec(
        (ms, pause, amount).prop_map(|(ms, pause, amount)| Step { ms: ms + pause, amount }),
        1..700,
    )
}

/// What came of an event: its cells, its marks, and the windows' words where they stand once it is stored.
#[derive(Debug, PartialEq)]
struct Came {
    cells: Vec<Cell>,
    marks: u8,
    windows: Option<Vec<u64>>,
}

/// Runs the steps through a shard.
fn run(plan: &Plan, entries_per_key: usize, steps: &[Step]) -> Vec<Came> {
    let settings = settings(entries_per_key);
    let entity = &plan.entities[0];
    let mut shard = Shard::new(&settings, Reserve::none());
    let mut scratch = read::Scratch::new(entity);
    let mut newest_ms = 1_000_000_000;
    let mut all = Vec::new();
    for (sequence, step) in steps.iter().enumerate() {
        let now_ms = newest_ms + step.ms;
        newest_ms = newest_ms.max(now_ms);
        let entry = Entry {
            time_ms: now_ms,
            columns: vec![step.amount],
            present: vec![step.amount],
            values: vec![Some(step.amount as u64 % 7); entity.layout.distincts],
            conditions: u64::from(step.amount > 500),
            event: 0,
        };
        let update = Update { hash: KEY, sequence: sequence as u64, time_ms: now_ms, stream_ms: newest_ms };
        let mut cells = vec![Cell::MISSING; entity.features.len()];
        let hint = shard.guess(KEY);
        let marks =
            shard.update(&settings, &plan.entities, entity, hint, &update, &entry, &mut scratch, &mut cells);
        all.push(Came { cells, marks, windows: shard.windows(entity, KEY) });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn sliding_windows_equal_those_totalled_anew(steps in steps(), entries_per_key in prop::sample::select(vec![64, 200, 4_096])) {
        let sliding = plan();
        let mut anew = plan();
        for entity in &mut anew.entities {
            entity.layout.finish(SlidingLayout::default());
        }
        let expected = run(&anew, entries_per_key, &steps);
        for (event, (came, expected)) in run(&sliding, entries_per_key, &steps).iter().zip(&expected).enumerate() {
            prop_assert_eq!(&expected.windows, &None, "the twin has no windows that slide");
            prop_assert_eq!((&came.cells, came.marks), (&expected.cells, expected.marks), "event {}", event);
        }
    }

    #[test]
    fn a_plain_entity_is_read_as_any_other(steps in steps(), entries_per_key in prop::sample::select(vec![64, 4_096])) {
        let plain = Plan::of_card(PLAIN, LATENESS_MS);
        let mut other = Plan::of_card(PLAIN, LATENESS_MS);
        for entity in &mut other.entities {
            prop_assert!(entity.layout.is_plain);
            entity.layout.is_plain = false;
        }
        prop_assert_eq!(run(&plain, entries_per_key, &steps), run(&other, entries_per_key, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn one_pass_gives_what_its_steps_give(steps in steps(), entries_per_key in prop::sample::select(vec![64, 4_096])) {
        let one_pass = Plan::of_card(ONE_PASS, LATENESS_MS);
        let mut other = Plan::of_card(ONE_PASS, LATENESS_MS);
        for entity in &mut other.entities {
            prop_assert!(entity.is_one_pass);
            (entity.is_one_pass, entity.layout.is_plain) = (false, false);
        }
        prop_assert_eq!(run(&one_pass, entries_per_key, &steps), run(&other, entries_per_key, &steps));
    }
}

/// Sums that leave 64 bits but for the last.
#[test]
fn one_pass_over_huge_amounts_gives_what_its_steps_give() {
    let one_pass = Plan::of_card(ONE_PASS, LATENESS_MS);
    let mut other = Plan::of_card(ONE_PASS, LATENESS_MS);
    for entity in &mut other.entities {
        (entity.is_one_pass, entity.layout.is_plain) = (false, false);
    }
    let steps = vec![Step { ms: 100, amount: 1_000_000_000_000_000 }; 5_000];
    assert!(run(&one_pass, 8_192, &steps) == run(&other, 8_192, &steps), "the cells or words differ");
}

#[test]
fn the_windows_of_a_busy_key_stand() {
    let steps: Vec<Step> =
        (0..500).map(|n| Step { ms: if n % 50 == 49 { -1_500 } else { 100 }, amount: n % 7 }).collect();
    let stood = run(&plan(), 4_096, &steps).iter().filter(|came| came.windows.is_some()).count();
    assert!(stood > 400, "past the first 33 events of its key every one slides: {stood}");
}
