//! The engine with its history: batches that may leave.
//!
//! order log, source -> **processor** (what was bound, again) -> sink; source -> **processor** (what is new) -> sink
//!
//! The order of steps that everything rests on, in one place, with the threads of a pipeline or a simulator around it.

use crate::history::{History, Look};
use crate::retell::{Retelling, name_partitions};
use crate::versions::MODEL;
use cartguard_engine::batch::rows::RowPlan;
use cartguard_engine::batch::{Engine, Outputs, Prepared};
use cartguard_engine::record::Records;
use cartguard_history::Change;
use cartguard_io::{Advice, Delivered, Replayable, Trouble};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// See the module.
pub struct Processor {
    engine: Engine,
    /// None: what is lost with the process is lost.
    history: Option<History>,
    /// Names of the partitions, by number.
    names: Vec<String>,
    next_batch: u64,
}

/// How a processor came to where its history stands.
pub enum Begun {
    /// Everything that was bound was done again; new records come next.
    Ready(Box<Processor>),
    /// It was told to end before that: what was bound stays bound, and the next start does it again. The engine is as far as it came.
    Interrupted(Box<Engine>),
}

impl Processor {
    /// Without a history.
    pub fn new(mut engine: Engine, partitions: &[String]) -> Self {
        engine.set_partitions(partitions);
        Self { engine, history: None, names: partitions.to_vec(), next_batch: 0 }
    }

    /// Does again what was bound and is not in the snapshot. `wanted` is the first batch that the sink wants again, `delivered` where it
    /// tells of deliveries; `release` takes the outputs of a batch to the sink, and says whether to go on. `is_over` is asked before every batch,
    /// and while the source has nothing: it is also a sign of life.
    pub fn begin(
        mut engine: Engine,
        mut history: History,
        source: &mut dyn Replayable,
        (wanted, delivered): (u64, Delivered),
        outputs: &mut Outputs,
        mut release: impl FnMut(u64, &mut Outputs) -> bool,
        is_over: impl Fn() -> bool,
    ) -> Result<Begun, Trouble> {
        history.deliveries(delivered, wanted);

        let mut retelling =
            Retelling::begin(source, &mut engine, history.partitions(), Arc::clone(&history.models))?;
        for bound in history.take_tail() {
            if is_over() {
                return Ok(Begun::Interrupted(Box::new(engine)));
            }
            match retelling.next(source, &mut engine, &bound, outputs, &is_over) {
                Err(trouble) if trouble.advice() == Advice::Over => {
                    return Ok(Begun::Interrupted(Box::new(engine)));
                }
                done => done?,
            }
            history.repeat(&bound, outputs, &mut engine)?;
            if bound.batch >= wanted && !release(bound.batch, outputs) {
                return Ok(Begun::Interrupted(Box::new(engine)));
            }
        }
        match source.go_on(&is_over) {
            Err(trouble) if trouble.advice() == Advice::Over => {
                return Ok(Begun::Interrupted(Box::new(engine)));
            }
            looked => looked?,
        }
        // What was done again may have ended with another model than decides now.
        engine.set_scorer(history.scorer.clone());
        let next_batch = history.next_batch();
        let names = retelling.into_names();
        Ok(Begun::Ready(Box::new(Self { engine, history: Some(history), names, next_batch })))
    }

    /// New records to outputs that may leave, and the number of their batch. `changes` happened before the records.
    pub fn process(
        &mut self,
        changes: Vec<Change>,
        records: &mut Records,
        outputs: &mut Outputs,
        stop: &AtomicBool,
    ) -> Result<u64, Trouble> {
        name_partitions(&changes, &mut self.names, &mut self.engine);
        self.engine.process(records, outputs);
        if let Some(history) = &mut self.history {
            history.bind(changes, records, outputs, &mut self.engine, stop)?;
        }
        let batch = self.next_batch;
        self.next_batch += 1;
        Ok(batch)
    }

    /// From the next batch on this model decides; gives back what decided until now, for whoever has the time to drop it.
    pub fn set_model(&mut self, version: &str, prepared: Prepared) -> Prepared {
        if let Some(history) = &mut self.history {
            history.set_version(MODEL, version);
        }
        self.engine.set_prepared(prepared)
    }

    /// From the next batch on rows of events are handed out with its lines, or no more.
    pub fn hand_out(&mut self, rows: Option<Arc<RowPlan>>) {
        self.engine.hand_out(rows);
    }

    /// While there is no batch: what is due some time. Whether there is more to do at once.
    pub fn tick(&mut self) -> Result<bool, Trouble> {
        self.history.as_mut().map_or(Ok(false), |history| history.tick(&mut self.engine))
    }

    /// Ends with a last snapshot, so that the next start has nothing to do again. Everything must be delivered.
    pub fn finish(mut self) -> Result<Engine, Trouble> {
        if let Some(history) = self.history {
            history.finish(&mut self.engine)?;
        }
        Ok(self.engine)
    }

    /// Ends as it is.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where its history stands, if it has one.
    pub fn look(&self) -> Option<Look> {
        self.history.as_ref().map(History::look)
    }

    pub fn has_history(&self) -> bool {
        self.history.is_some()
    }
}
