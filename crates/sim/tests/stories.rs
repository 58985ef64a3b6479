//! Many stories, each of which must end well; and lies, each of which must be found out.
//!
//! `CARTGUARD_SIM_SEEDS` sets how many stories (default 2,000), `CARTGUARD_SIM_FIRST` the first seed. `sim` tells millions.

use cartguard_sim::{Lie, reshard, tell};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Within so many seeds every lie is found out.
const LIES_WITHIN: u64 = 60;

/// What has to have happened in many stories, or they prove little.
const RARE: [&str; 19] = [
    "batches sent again",
    "drains",
    "failed syncs",
    "forgotten shards",
    "gaps asked for",
    "kills",
    "lost answers",
    "lost records",
    "old listings",
    "partial failures",
    "power cuts",
    "recoveries left",
    "reshards",
    "snapshots",
    "snapshots gone on from",
    "switches",
    "switches to no model",
    "torn manifests",
    "torn records",
];

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_story_ends_well() {
    let (seeds, first) = (number("CARTGUARD_SIM_SEEDS", 2_000), number("CARTGUARD_SIM_FIRST", 0));
    let next = AtomicU64::new(first);
    let seen = Mutex::new(BTreeMap::<&str, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let story = tell(seed, None, false).unwrap_or_else(|failure| panic!("{failure}"));
                    let mut seen = seen.lock().expect("no thread panics with it");
                    for (what, times) in story.seen {
                        *seen.entry(what).or_default() += times;
                    }
                }
            });
        }
    });
    let seen = seen.into_inner().expect("no thread panics with it");
    for what in RARE {
        assert!(seeds < 500 || seen.contains_key(what), "no {what} in {seeds} stories: {seen:?}");
    }
}

#[test]
fn a_seed_is_one_story() {
    for seed in 0..30 {
        let [one, other] =
            [(); 2].map(|()| tell(seed, None, false).unwrap_or_else(|failure| panic!("{failure}")));
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn every_lie_is_found_out() {
    for lie in Lie::ALL {
        // By what it breaks, and not by a simulator that got stuck on it.
        let broken: &[&str] = match lie {
            Lie::ReleaseBeforeBind | Lie::SnapshotAlone | Lie::UnsyncedNames => &["two payloads under"],
            // What was never brought to the disk is a hole in the log, or gone with what was released.
            Lie::TrustedMemory => &["two payloads under", "damaged at byte"],
            Lie::UnsyncedBytes => {
                &["two payloads under", "damaged at byte", "snapshots can be used", "its snapshot"]
            }
            Lie::SyncedAgain => &["a sync failed, and it went on"],
            Lie::LatestChildren => &["records were put, and"],
            Lie::ImpatientChildren => &["was decided before"],
            Lie::IgnorePartialFailure | Lie::PositionsBeforeOutputs | Lie::HastyEnd => &["was lost:"],
            Lie::UnboundSwitch | Lie::UnsaidNoModel => &["is not what was bound before"],
            Lie::UntoldGap => &["no gap says so"],
        };
        let mut failures = (0..LIES_WITHIN).filter_map(|seed| tell(seed, Some(lie), false).err());
        let found = failures.any(|failure| broken.iter().any(|broken| failure.why.contains(broken)));
        assert!(found, "{lie:?} is not found out within {LIES_WITHIN} seeds");
    }
}

/// T5: shards that are split and merged, against four that stay.
#[test]
fn a_stream_that_is_resharded_comes_to_the_same_as_one_that_is_not() {
    let (seeds, first) =
        (number("CARTGUARD_SIM_SEEDS", 2_000).div_ceil(10), number("CARTGUARD_SIM_FIRST", 0));
    let (mut reshards, mut devices) = (0, 0);
    for seed in first..first + seeds {
        let seen = reshard(seed, None).unwrap_or_else(|why| panic!("{why}"));
        (reshards, devices) = (reshards + seen.reshards, devices + seen.devices);
    }
    assert!(
        seeds < 50 || reshards > seeds && devices > seeds,
        "{reshards} reshards, {devices} devices with other features"
    );
    for lie in [Lie::LatestChildren, Lie::ImpatientChildren] {
        let found = (0..LIES_WITHIN).any(|seed| reshard(seed, Some(lie)).is_err());
        assert!(found, "{lie:?} is not found out within {LIES_WITHIN} seeds");
    }
}
