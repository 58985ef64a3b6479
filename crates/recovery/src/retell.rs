//! What a history tells, told again: batches as they were bound, from the records that the source still has.
//!
//! order log, source -> **retell** -> pipeline, replay, verify

use crate::versions::{MODEL, Models};
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_engine::record::Records;
use cartguard_history::{Bound, Change, OutputHash, Partitions};
use cartguard_io::{Advice, Replayable, Trouble};
use std::sync::Arc;

/// Does batches again, in order.
pub struct Retelling {
    /// Names of the partitions, by number.
    names: Vec<String>,
    models: Arc<dyn Models>,
    records: Records,
    run: Records,
}

impl Retelling {
    /// From behind what was taken; the source goes there.
    pub fn begin(
        source: &mut dyn Replayable,
        engine: &mut Engine,
        taken: &Partitions,
        models: Arc<dyn Models>,
    ) -> Result<Self, Trouble> {
        source.resume(taken)?;
        let names: Vec<String> = taken.list().iter().map(|partition| partition.opened.name.clone()).collect();
        engine.set_partitions(&names);
        Ok(Self { names, models, records: Records::default(), run: Records::default() })
    }

    /// Does a batch again, waiting for its records until `is_over`, which is trouble with that advice. Trouble where what comes of it is not
    /// what was bound.
    pub fn next(
        &mut self,
        source: &mut dyn Replayable,
        engine: &mut Engine,
        bound: &Bound,
        outputs: &mut Outputs,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        for change in &bound.changes {
            match change {
                Change::Version { name, is } if name == MODEL => engine.set_scorer(self.models.load(is)?),
                Change::Version { .. } => {}
                change => source.apply(change)?,
            }
        }
        name_partitions(&bound.changes, &mut self.names, engine);
        self.records.clear();
        for run in &bound.runs {
            source.take(run, &mut self.run, is_over)?;
            self.records.append(&self.run);
        }
        engine.process(&mut self.records, outputs);
        if hash_of(outputs) == bound.outputs {
            return Ok(());
        }
        let what = format!(
            "batch {} (records from sequence {}): what comes of it now is not what was bound before; nothing of it is sent. Either another \
             version, model or configuration decided then, or the source gives other records",
            bound.batch, bound.first_sequence
        );
        Err(Trouble::stop(what).with_advice(Advice::Refuse))
    }

    /// Names of the partitions so far.
    pub fn into_names(self) -> Vec<String> {
        self.names
    }
}

/// Partitions that appear get their names in the engine, for rejects.
pub(crate) fn name_partitions(changes: &[Change], names: &mut Vec<String>, engine: &mut Engine) {
    let before = names.len();
    for change in changes {
        if let Change::Open(opened) = change
            && !names.contains(&opened.name)
        {
            names.push(opened.name.clone());
        }
    }
    if names.len() > before {
        engine.set_partitions(names);
    }
}

/// The hash by which outputs are bound.
pub(crate) fn hash_of(outputs: &Outputs) -> u128 {
    let mut hash = OutputHash::default();
    hash.list(outputs.decisions());
    hash.list(outputs.alerts());
    hash.list(outputs.rejects());
    hash.finish()
}
