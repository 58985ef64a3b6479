//! The models of a deployment as they were loaded: who decides, who scores beside it.
//!
//! `deployment.toml`, folders -> **standing** -> `watch`, the roster of `shadow`
//!
//! Holds: a model that cannot be loaded scores for nobody, and keeps nobody else from it.

use super::fault::Fault;
use super::folder::{baseline_of, load};
use super::plan_names;
use crate::drift::Baseline;
use crate::shadow::Roster;
use cartguard_engine::batch::Scorer;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::features::plan::Plan;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// See the module.
#[derive(Default)]
pub(crate) struct Standing {
    /// What the model that decides was trained on, and the places of its features in the plan.
    pub(super) trained: Option<(Vec<usize>, Arc<Baseline>)>,
    /// By name, with the share of each.
    pub(super) challengers: BTreeMap<String, (Arc<Scorer>, f64)>,
}

impl Standing {
    /// With a model that decides.
    pub(crate) fn of_active(folder: Option<&Path>, plan: &Plan) -> Result<Self, Fault> {
        let baseline = folder.map(baseline_of).transpose()?.flatten();
        let trained = baseline.and_then(|baseline| {
            let names: Vec<String> =
                baseline.features.iter().map(|histogram| histogram.name.clone()).collect();
            let computed = plan.set.features.iter().map(|feature| feature.name.as_str());
            // A model that decides has all its features in the plan.
            Some((plan_names::find(&names, computed).ok()?, Arc::new(baseline)))
        });
        Ok(Self { trained, challengers: BTreeMap::new() })
    }

    /// Loads a challenger.
    pub(crate) fn add(&mut self, models: &Path, name: &str, share: f64, plan: &Plan) -> Result<(), Fault> {
        let scorer = load(&models.join(name), plan)?.scorer;
        self.challengers.insert(name.to_owned(), (Arc::new(scorer), share));
        Ok(())
    }

    pub(crate) fn has_challengers(&self) -> bool {
        !self.challengers.is_empty()
    }

    /// Who scores beside, and of which events drift is counted.
    pub(crate) fn roster(&self, plan: &Plan, drift: Option<Share>) -> Option<Arc<Roster>> {
        let shares = self.challengers.values();
        let challengers: Vec<_> =
            shares.filter_map(|(scorer, share)| Some((Arc::clone(scorer), Share::of(*share)?))).collect();
        let trained = self.trained.as_ref().zip(drift);
        let drift = trained.map(|((features, baseline), share)| (&features[..], Arc::clone(baseline), share));
        Roster::new(plan, &challengers, drift)
    }
}
