//! `[backtest]`: how often a model is made again, and of what.

use super::Relative;
use super::features::{Mapping, read_features};
use cartguard_engine::document::Reader;
use cartguard_engine::features::spec::FeatureSet;
use cartguard_train::{DEPTH_MAX, TREES_MAX};
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const SPAN_MS_MAX: i64 = 36_500 * 24 * HOUR_MS;
const ALGORITHMS: [&str; 3] = ["logistic", "forest", "boosted"];

/// `[backtest]`
#[derive(Clone, Debug)]
pub(crate) struct Backtest {
    /// From midnight UTC of the first event.
    pub(crate) start_ms: i64,
    pub(crate) every_ms: i64,
    pub(crate) algorithm: &'static str,
    pub(crate) trees: usize,
    /// None: the trainer's own.
    pub(crate) depth: Option<usize>,
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    /// Another features file's name and features.
    pub(crate) features: Option<(String, Arc<FeatureSet>)>,
}

pub(super) fn backtest(table: &mut Reader<'_>, mapping: &Mapping<'_>, at: &Relative<'_>) -> Option<Backtest> {
    let start_ms = table.duration("start", HOUR_MS..=SPAN_MS_MAX);
    // Less than an hour between two models is no schedule of anybody's.
    let every_ms = table.duration("every", HOUR_MS..=SPAN_MS_MAX);
    let algorithm = table.one_of("algorithm", &ALGORITHMS);
    let trees = table.integer("trees", 1..=TREES_MAX as i64);
    let depth = table.integer("depth", 0..=DEPTH_MAX as i64);
    let rate = table.number("rate", 0.0..=1.0);
    let seed = table.integer("seed", 0..=i64::MAX);
    if rate == Some(0.0) {
        table.fault("rate", "0 lets no tree count; a number above 0 and up to 1");
    }
    let named = table.text("features")?;
    let features = match named.as_str() {
        "" => None,
        _ => Some(read_features(table, "features", mapping, at)?),
    };
    Some(Backtest {
        start_ms: start_ms?,
        every_ms: every_ms?,
        algorithm: ALGORITHMS[algorithm?],
        trees: trees? as usize,
        depth: depth.map(|depth| (depth > 0).then_some(depth as usize))?,
        rate: rate?,
        seed: seed? as u64,
        features: features.map(|(name, features)| (name, Arc::new(features))),
    })
}
