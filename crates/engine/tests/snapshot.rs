//! Cut, copied while it runs, restored: an engine from a snapshot goes on with the same bytes, and is cut to the same bytes again.
//!
//! `CARTGUARD_SNAPSHOT_CASES` sets the number of random histories (default 60), `CARTGUARD_ORACLE_FIRST` the first seed.

mod twins;

use cartguard_engine::batch::Engine;
use cartguard_engine::batch::snapshot::{FramePool, Head, PartFault};
use cartguard_oracle::histories::{Case, Random};
use twins::{Twins, Written, step};

/// A snapshot in hand.
struct Snapshot {
    head: Head,
    /// By name.
    parts: Vec<(String, Vec<u8>)>,
    /// The record behind the cut, and what was written before it.
    next: usize,
    written: Written,
}

/// Copies until all parts are there.
fn rest_of(engine: &mut Engine, parts: &mut Vec<(String, Vec<u8>)>) {
    while engine.is_taking_snapshot() {
        take(engine, 1 << 20, parts);
    }
}

fn take(engine: &mut Engine, frames: usize, parts: &mut Vec<(String, Vec<u8>)>) {
    engine.continue_snapshot(frames, |part| {
        let mut bytes = Vec::new();
        part.push_bytes(&mut bytes);
        parts.push((part.name(), bytes));
    });
}

fn restore(twins: &Twins, snapshot: &Snapshot, workers: usize) -> Engine {
    let mut engine = twins.engine(workers);
    for (_, part) in &snapshot.parts {
        engine.restore_part(part).expect("a part of its own");
    }
    engine.resume(&snapshot.head);
    engine
}

fn check(case: Case) {
    let twins = Twins::new(case);
    let seed = twins.case.seed;
    let records = twins.records();
    let whole = twins.run(&records, 1, seed);
    let mut random = Random::new(seed ^ 0xc0de);
    let pool = FramePool::default();
    let mut engine = twins.engine(1 + random.below(3) as usize);
    let (mut next, mut written) = (0, Written::default());
    let mut parts = Vec::new();
    let mut snapshot: Option<Snapshot> = None;
    let mut cut: Option<(Head, usize, Written)> = None;
    let mut restored = 0;
    while next < records.len() {
        if cut.is_none() && random.below(3) == 0 {
            cut = Some((engine.begin_snapshot(&pool), next, written.clone()));
        }
        next = step(&mut engine, &mut random, &records, next, &mut written);
        if cut.is_some() {
            // Few frames at a time, so that most are copied because they are written to.
            for _ in 0..random.below(60) {
                take(&mut engine, 1 + random.below(3) as usize, &mut parts);
            }
            if random.below(4) == 0 {
                rest_of(&mut engine, &mut parts);
            }
            if !engine.is_taking_snapshot()
                && let Some((head, next, written)) = cut.take()
            {
                assert_eq!(parts.len(), engine.snapshot_parts(), "seed {seed}");
                snapshot = Some(Snapshot { head, parts: std::mem::take(&mut parts), next, written });
            }
        }
        if let Some(snapshot) = &snapshot
            && restored < 5
            && random.below(3) == 0
        {
            restored += 1;
            engine = restore(&twins, snapshot, 1 + random.below(8) as usize);
            (next, written, cut) = (snapshot.next, snapshot.written.clone(), None);
            parts.clear();
            // Cut again at once, it is the same.
            let head = engine.begin_snapshot(&pool);
            let mut again = Vec::new();
            rest_of(&mut engine, &mut again);
            assert_eq!(head, snapshot.head, "seed {seed}");
            assert!(again == snapshot.parts, "seed {seed}: a snapshot of what was restored differs");
        }
    }
    written.end(&engine);
    assert!(written.decisions == whole.decisions, "seed {seed}: other decisions after {restored} restores");
    assert!(written == whole, "seed {seed}: other rejects, counts or state after {restored} restores");
    // However it came to be, the same state is the same bytes.
    let mut other = twins.engine(3);
    let mut at = 0;
    while at < records.len() {
        at = step(&mut other, &mut random, &records, at, &mut Written::default());
    }
    let [one, other] = [&mut engine, &mut other].map(|engine| {
        let head = engine.begin_snapshot(&pool);
        let mut parts = Vec::new();
        rest_of(engine, &mut parts);
        (head, parts)
    });
    assert_eq!(one.0, other.0, "seed {seed}");
    for (one, other) in one.1.iter().zip(&other.1) {
        assert!(one == other, "seed {seed}: part {} depends on how it came to be", one.0);
    }
}

#[test]
fn an_engine_from_a_snapshot_goes_on_with_the_same_bytes() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let first = number("CARTGUARD_ORACLE_FIRST", 0);
    for seed in first..first + number("CARTGUARD_SNAPSHOT_CASES", 60) {
        check(Case::new(seed, 400));
    }
}

#[test]
fn what_is_no_part_of_this_state_is_refused() {
    let twins = Twins::new(Case::new(3, 50));
    let mut engine = twins.engine(1);
    engine.begin_snapshot(&FramePool::default());
    let mut parts = Vec::new();
    rest_of(&mut engine, &mut parts);
    for (name, part) in &parts {
        for length in [0, 8, 40, part.len() / 16 * 8, part.len().saturating_sub(8), part.len() - 1] {
            assert!(engine.restore_part(&part[..length]).is_err(), "{name} cut to {length}");
        }
        let mut foreign = part.clone();
        foreign[0] ^= 1;
        assert_eq!(engine.restore_part(&foreign), Err(PartFault::Foreign), "{name}");
        let mut misplaced = part.clone();
        misplaced[18] = 1;
        assert_eq!(engine.restore_part(&misplaced), Err(PartFault::Shard), "{name}");
    }
}
