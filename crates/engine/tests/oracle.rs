//! The engine against the oracle: every feature of every event, bit for bit, over random histories, for several numbers of
//! workers and random batches.
//!
//! `CARTGUARD_ORACLE_CASES` sets the number of cases (default 300), `CARTGUARD_ORACLE_FIRST` the first seed.

mod twins;

use cartguard_engine::reject::Reason;
use cartguard_oracle as oracle;
use cartguard_oracle::histories::{Case, Random, Take};
use twins::Twins;

/// What the case was made for, where it has labels of an input: labels and events that found no room, labels for a far future, labels without an event.
fn check(case: Case) -> [u64; 3] {
    let twins = Twins::new(case);
    let seed = twins.case.seed;
    let mut oracle = twins.oracle();
    let records = twins.records();
    let written = twins.run(&records, 1, seed);
    let text = String::from_utf8(written.decisions.clone()).expect("lines are text");
    let mut lines = text.lines();
    let (mut last_sequence, mut labels) = (0, 0);
    for take in twins.case.takes() {
        let event = match take {
            Take::Event(event) => event,
            Take::Label(label) => {
                last_sequence = label.sequence;
                labels += u64::from(oracle.label(label));
                continue;
            }
        };
        last_sequence = event.sequence;
        let oracle::Outcome::Accepted { values, late, saturated, degraded } = oracle.event(event) else {
            continue;
        };
        let line =
            lines.next().unwrap_or_else(|| panic!("seed {seed}: no line for event {}", event.sequence));
        let decision: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(decision["sequence"], event.sequence, "seed {seed}: accepted by one only");
        let got = decision["features"].as_array().expect("an array");
        for ((wanted, got), definition) in values.iter().zip(got).zip(&twins.case.definitions) {
            assert!(
                is_same(*wanted, got),
                "seed {seed}, event {} of {}, {definition:?}: the oracle has {wanted:?}, the engine {got}; {event:?} {:?}",
                event.sequence,
                twins.case.events.len(),
                twins.case.bounds,
            );
        }
        let marks = [
            ("late", late),
            ("saturated", saturated.contains(&true)),
            ("degraded", degraded.contains(&true)),
        ];
        let marks: Vec<_> = marks.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        assert_eq!(
            decision["marks"],
            serde_json::json!(marks),
            "seed {seed}, event {}: the oracle is right; {:?} {saturated:?} {degraded:?} {:?}",
            event.sequence,
            twins.case.definitions,
            twins.case.bounds
        );
    }
    assert_eq!(lines.next(), None, "seed {seed}: lines for events that the oracle dropped");
    let wanted = oracle.counts();
    assert_eq!(written.counts.labels, labels, "seed {seed}");
    let too_far = written.counts.rejects[Reason::KnownAtTooFar as usize];
    assert_eq!(labels + too_far, twins.case.label_lines.len() as u64, "seed {seed}");
    assert_eq!(written.counts.events + labels, last_sequence + 1, "seed {seed}");
    let wanted = [
        wanted.keys,
        wanted.entries + wanted.spans,
        wanted.values,
        wanted.evicted_keys,
        wanted.waiting,
        wanted.lost_labels,
        wanted.labels_without_event,
    ];
    assert_eq!(
        written.state, wanted,
        "seed {seed}: keys, entries, values, evicted; waiting, lost, without an event; {:?} {:?}",
        twins.case.bounds, twins.case.labels
    );
    for workers in [1, 2, 3, 8] {
        let again = twins.run(&records, workers, seed ^ 0x5eed);
        assert!(
            again.decisions == written.decisions,
            "seed {seed}: {workers} workers and other batches give other bytes"
        );
        assert!(again == written, "seed {seed}: {workers} workers give other rejects, counts or states");
    }
    let [.., lost, without_event] = written.state;
    [lost, too_far, without_event]
}

/// Numbers as text are exact here: `serde_json` gives an f64 its shortest form.
fn is_same(wanted: oracle::Value, got: &serde_json::Value) -> bool {
    match wanted {
        oracle::Value::Missing => got.is_null(),
        oracle::Value::Real(real) => {
            got.as_f64().is_some_and(|got| (got as f32).to_bits() == real.to_bits() || got as f32 == real)
        }
        oracle::Value::Exact { scaled, digits } => {
            let scaled_text = format!("{}{}", scaled, "");
            let exact: f64 = scaled_text.parse::<f64>().expect("a number") / 10f64.powi(digits as i32);
            got.as_f64().is_some_and(|got| (got - exact).abs() <= exact.abs() * 1e-15)
        }
    }
}

/// Histories in which the two once differed.
#[test]
fn histories_that_once_differed() {
    // Distinct values of a window whose edge lies within a span, copied to the next longer one.
    check(Case::new(1741, 400));
}

#[test]
fn every_feature_equals_the_oracle() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let first = number("CARTGUARD_ORACLE_FIRST", 0);
    let cases = number("CARTGUARD_ORACLE_CASES", 300);
    let mut met = [0; 3];
    for seed in first..first + cases {
        for (met, count) in met.iter_mut().zip(check(Case::new(seed, 400))) {
            *met += u64::from(count > 0);
        }
    }
    assert!(
        met.iter().all(|met| *met >= cases / 30),
        "losses, far futures, labels for nothing in {met:?} of {cases} cases"
    );
}

const PARTITIONS: usize = 4;

/// Of each event its features, where the partitions of its history are taken by so many instances, each of which interleaves those it has.
fn apart(
    twins: &Twins,
    partitions: &[Vec<usize>],
    instances: usize,
    random: &mut Random,
) -> Vec<serde_json::Value> {
    let records = twins.records();
    let mut features = vec![serde_json::Value::Null; records.len()];
    for instance in 0..instances {
        let own = (0..PARTITIONS).filter(|partition| partition % instances == instance);
        let mut own: Vec<&[usize]> = own.map(|partition| &partitions[partition][..]).collect();
        let mut order: Vec<usize> = Vec::new();
        while !own.is_empty() {
            let from = random.below(own.len() as u64) as usize;
            let most = random.one_of(&[1, 2, 9]).min(own[from].len());
            let (taken, left) = own[from].split_at(most);
            order.extend(taken);
            own[from] = left;
            own.retain(|left| !left.is_empty());
        }
        let taken: Vec<_> = order.iter().map(|&event| records[event].clone()).collect();
        let written = twins.run(&taken, 1 + random.below(3) as usize, random.next_u64());
        let text = String::from_utf8(written.decisions).expect("lines are text");
        assert_eq!(text.lines().count(), taken.len(), "every event is decided");
        for (line, event) in text.lines().zip(order) {
            let mut decision: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            features[event] = decision["features"].take();
        }
    }
    features
}

/// T4: of a key of which a partition has every event, by event id and where nothing is evicted or forgotten. Those of other keys do depend on the
/// order in which partitions are taken, or this would prove nothing.
#[test]
fn features_of_a_partitions_own_keys_know_no_interleaving_and_no_number_of_instances() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let first = number("CARTGUARD_ORACLE_FIRST", 0);
    let cases = number("CARTGUARD_ORACLE_CASES", 300).div_ceil(3);
    let (mut own, mut others) = (0, 0);
    for seed in first..first + cases {
        let mut case = Case::new(seed, 400).without_flags();
        case.tight = None;
        case.bounds.memory = 1 << 40;
        case.bounds.forget_after_ms = 1 << 50;
        case.bounds.dedupe_ids_per_shard = 1 << 20;
        case.definitions[0].entity = 0;
        for (at, event) in (0..).zip(&mut case.events) {
            (event.id, event.sequence) = (at, at);
        }
        let twins = Twins::new(case);
        let mut partitions = vec![Vec::new(); PARTITIONS];
        for (at, event) in twins.case.events.iter().enumerate() {
            // One that has no such key may be anywhere.
            partitions[event.keys[0].map_or(at, |key| key as usize) % PARTITIONS].push(at);
        }
        let mut random = Random::new(seed ^ 0x1417);
        let whole = apart(&twins, &partitions, 1, &mut random);
        for instances in [1, 2, PARTITIONS] {
            let again = apart(&twins, &partitions, instances, &mut random);
            for (at, definition) in twins.case.definitions.iter().enumerate() {
                for (event, (one, other)) in whole.iter().zip(&again).enumerate() {
                    let is_same = one[at] == other[at];
                    let is_own = definition.entity == 0;
                    assert!(
                        is_same || !is_own,
                        "seed {seed}, {instances} instances, event {event}: {} and {}; {definition:?}",
                        one[at],
                        other[at]
                    );
                    own += u64::from(is_own && !one[at].is_null());
                    others += u64::from(!is_same);
                }
            }
        }
    }
    assert!(
        cases < 50 || own > 1_000 && others > 1_000,
        "{own} features of own keys, {others} of others that differ"
    );
}
