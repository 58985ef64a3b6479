//! Who scores in shadow, and what is handed out for them.
//!
//! `deployment.toml`, model folders -> **roster** -> engine, `hand`, `scoring`
//!
//! Holds: a row has the features of all of them, each once; a row and the roster by which it was made stay together.

use crate::drift::Baseline;
use cartguard_engine::batch::Scorer;
use cartguard_engine::batch::rows::{RowPlan, Share};
use cartguard_engine::features::plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(super) challengers: Vec<Challenger>,
    pub(super) drift: Option<DriftOf>,
    rows: Arc<RowPlan>,
}

/// A model that scores beside.
#[derive(Clone, Debug)]
pub(crate) struct Challenger {
    pub(super) scorer: Arc<Scorer>,
    pub(super) share: Share,
    /// For each of its features the row's.
    pub(super) columns: Vec<usize>,
}

/// What the model that decides was trained on, and of which events it is compared with what comes.
#[derive(Debug)]
pub(crate) struct DriftOf {
    pub(super) baseline: Arc<Baseline>,
    pub(super) share: Share,
    pub(super) columns: Vec<usize>,
}

impl Roster {
    /// Of challengers with their shares, and the features that the model which decides reads with its baseline and share; nothing where
    /// there is neither.
    pub(crate) fn new(
        plan: &Plan,
        challengers: &[(Arc<Scorer>, Share)],
        drift: Option<(&[usize], Arc<Baseline>, Share)>,
    ) -> Option<Arc<Self>> {
        let mut read: BTreeSet<usize> = BTreeSet::new();
        read.extend(challengers.iter().flat_map(|(scorer, _)| &scorer.features));
        read.extend(drift.iter().flat_map(|(features, _, _)| *features));
        let read: Vec<usize> = read.into_iter().collect();
        let columns = |features: &[usize]| {
            let place =
                |feature| read.binary_search(feature).expect("each of them is among those that are read");
            features.iter().map(place).collect()
        };
        let drift =
            drift.map(|(features, baseline, share)| DriftOf { baseline, share, columns: columns(features) });
        let shares = challengers.iter().map(|(_, share)| *share);
        let share = shares.chain(drift.iter().map(|drift| drift.share)).max()?;
        let challengers = challengers.iter().map(|(scorer, share)| Challenger {
            scorer: Arc::clone(scorer),
            share: *share,
            columns: columns(&scorer.features),
        });
        let rows = Arc::new(RowPlan::new(plan, &read, share));
        Some(Arc::new(Self { challengers: challengers.collect(), drift, rows }))
    }

    /// For the engine.
    pub(crate) fn rows(&self) -> Arc<RowPlan> {
        Arc::clone(&self.rows)
    }
}
