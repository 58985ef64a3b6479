//! The last seconds, one look a second: rates, what grows, and which stage stands still.
//!
//! vitals -> **samples** -> `report`, the watchdog

use crate::vitals::{Doing, Stage, Vitals};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Looks that are kept: rates are over some ten seconds.
const KEPT: usize = 11;

/// Counters at a moment, by name.
struct Sample {
    at: Instant,
    counters: BTreeMap<String, u64>,
}

/// A stage as it was last seen to move.
#[derive(Clone, Copy)]
struct Seen {
    beats: u64,
    moved: Instant,
    is_told: bool,
}

/// See the module.
pub(super) struct Samples {
    pub(super) began: Instant,
    stall: Duration,
    kept: VecDeque<Sample>,
    seen: [Seen; 3],
    /// Stages that stand still, and since when.
    pub(super) standing: Vec<(Stage, Duration)>,
}

impl Samples {
    pub(super) fn new(stall: Duration) -> Self {
        let began = Instant::now();
        let seen = [Seen { beats: 0, moved: began, is_told: false }; 3];
        Self { began, stall, kept: VecDeque::new(), seen, standing: Vec::new() }
    }

    /// Looks; what is to be told of stages that began to stand still, or go on.
    pub(super) fn take(&mut self, vitals: &Vitals) -> Vec<String> {
        self.kept.push_back(Sample { at: Instant::now(), counters: counters(vitals) });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.standing.clear();
        let mut told = Vec::new();
        for stage in Stage::ALL {
            let (doing, beats) = vitals.doing(stage);
            let seen = &mut self.seen[stage as usize];
            // A full disk is told where it is found, and waited for.
            let is_excused = stage == Stage::Engine && vitals.has_no_room();
            if doing != Doing::Working || beats != seen.beats || is_excused {
                *seen = Seen { beats, moved: Instant::now(), is_told: false };
                continue;
            }
            let since = seen.moved.elapsed();
            if since < self.stall {
                continue;
            }
            self.standing.push((stage, since));
            if !seen.is_told {
                seen.is_told = true;
                told.push(format!(
                    "the {} has made no progress for {} s though it has work; cartguard status says what it waits for",
                    stage.name(),
                    since.as_secs()
                ));
            }
        }
        told
    }

    /// Whether the engine's thread is among those that stand still. The source and the sink may wait for the world as long as it takes.
    pub(super) fn engine_stands(&self) -> bool {
        self.standing.iter().any(|(stage, _)| *stage == Stage::Engine)
    }

    /// By how much a counter grew in the last seconds.
    pub(super) fn growth(&self, name: &str) -> u64 {
        let of = |sample: Option<&Sample>| sample.and_then(|sample| sample.counters.get(name).copied());
        let newest = of(self.kept.back()).unwrap_or_default();
        newest.saturating_sub(of(self.kept.front()).unwrap_or_default())
    }

    /// How many seconds those are.
    pub(super) fn seconds(&self) -> f64 {
        let ends = self.kept.front().zip(self.kept.back());
        ends.map_or(0.0, |(oldest, newest)| (newest.at - oldest.at).as_secs_f64())
    }
}

/// Everything whose growth says something.
fn counters(vitals: &Vitals) -> BTreeMap<String, u64> {
    let counts = vitals.counts();
    let mut counters = BTreeMap::from([
        ("events".to_owned(), counts.events),
        ("alerts".to_owned(), counts.alerts),
        ("degraded".to_owned(), counts.degraded),
        ("reasons_approximate".to_owned(), counts.reasons_approximate),
        ("shadow_skipped".to_owned(), vitals.shadow().map_or(0, |figures| figures.skipped())),
    ]);
    for shard in vitals.partitions().map_or_else(Vec::new, |ask| ask()) {
        counters.insert(format!("throttles {}", shard.name), shard.throttles);
    }
    for stream in vitals.streams().map_or_else(Vec::new, |ask| ask()) {
        counters.insert(format!("throttles {}", stream.output), stream.throttles);
        counters.insert(format!("failed_calls {}", stream.output), stream.failed_calls);
        counters.insert(format!("refused {}", stream.output), stream.refused);
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_stands_still_only_where_it_has_work_and_is_told_once() {
        let vitals = Vitals::default();
        let mut samples = Samples::new(Duration::ZERO);
        assert!(samples.take(&vitals).is_empty(), "nothing to do");
        vitals.set(Stage::Sink, Doing::Working);
        vitals.set(Stage::Engine, Doing::Waiting);
        let told = samples.take(&vitals);
        assert!(told.len() == 1 && told[0].contains("the sink has made no progress"), "{told:?}");
        assert!(samples.take(&vitals).is_empty() && !samples.engine_stands(), "told once");
        assert_eq!(samples.standing.len(), 1);
        vitals.beat(Stage::Sink);
        assert!(samples.take(&vitals).is_empty() && samples.standing.is_empty(), "it moved");
        vitals.set(Stage::Engine, Doing::Working);
        assert_eq!(samples.take(&vitals).len(), 2);
        assert!(samples.engine_stands());
    }
}
