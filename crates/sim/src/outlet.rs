//! Three streams for decisions, alerts and rejects, and a sink that fills them by lanes.
//!
//! life -> **sink** -> `cartguard_shards::lane` -> **outlet**
//!
//! A call may be refused whole or entry by entry, and its answer may be lost: what was written stays written.

use crate::lie::Lie;
use crate::world::{Fate, Shared, killed};
use cartguard_io::{Delivered, Output, Sink, Trouble, member};
use cartguard_shards::lane::{Answer, Call, Lane, Limits, Next, Record};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Time that a round of a waiting sink takes.
const ROUND_US: u64 = 5_000;
/// Rounds without an end that a sink waits: some hours of a stream that takes nothing.
const PATIENCE: usize = 200_000;

/// Lines as a reader of the streams gets them: decisions, alerts, rejects.
pub(crate) type Lists = [Vec<Vec<u8>>; 3];

/// What was written: it outlives a process.
#[derive(Clone)]
pub(crate) struct Outlet {
    world: Shared,
    lists: Arc<Mutex<Lists>>,
}

impl Outlet {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), lists: Arc::default() }
    }

    pub(crate) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one process.
    pub(crate) fn sink(&self) -> SimSink {
        let limits = {
            let chance = &mut self.world.lock().chance;
            Limits {
                call_records: 1 + chance.index(20),
                call_bytes: 600 + chance.index(6_000),
                calls: 1 + chance.index(4),
                buffer: 4_000 + chance.index(60_000),
                linger_us: chance.below(6_000),
                ordered: true,
            }
        };
        SimSink {
            outlet: self.clone(),
            lanes: [Lane::new(limits), Lane::new(limits), Lane::new(limits)],
            answers: Vec::new(),
            delivered: Delivered::default(),
        }
    }

    /// Makes a call: which entries were written, and whether anybody hears of it.
    fn call(&self, list: usize, call: &Call) -> Result<Vec<bool>, Trouble> {
        let mut world = self.world.lock();
        let name = ["decisions", "alerts", "rejects"][list];
        let fate = world.step(format_args!("{name}: a call with {} records", call.records.len()));
        let mood = world.mood;
        let refuse = if fate == Fate::Never { 100 } else { mood.calls_fail };
        let written: Vec<bool> = if world.chance.percent(refuse) {
            vec![false; call.records.len()]
        } else {
            call.records.iter().map(|_| !world.chance.percent(mood.entries_fail)).collect()
        };
        // The process is killed while the call goes out: some of it arrives.
        let arrive = if fate == Fate::Torn { world.chance.index(call.records.len()) } else { usize::MAX };
        let mut lists = self.lists();
        for (record, _) in call.records.iter().zip(&written).take(arrive).filter(|(_, written)| **written) {
            lists[list].push(record.data.to_vec());
        }
        if fate == Fate::Done { Ok(written) } else { Err(killed()) }
    }
}

/// An answer on its way.
struct Coming {
    lane: usize,
    call: u64,
    /// None: it failed, or so it seems.
    entries: Option<Vec<bool>>,
}

/// See the module.
pub(crate) struct SimSink {
    outlet: Outlet,
    lanes: [Lane; 3],
    answers: Vec<Coming>,
    delivered: Delivered,
}

impl SimSink {
    /// Makes the calls that may be made, and hears some of the answers.
    pub(crate) fn round(&mut self) -> Result<(), Trouble> {
        let world = self.outlet.world.clone();
        world.lock().pass(ROUND_US);
        for lane in 0..self.lanes.len() {
            let now = world.lock().now_us;
            while let Next::Call(call) = self.lanes[lane].next(now) {
                let written = self.outlet.call(lane, &call)?;
                let mut world = world.lock();
                let mood = world.mood;
                let is_lost = world.chance.percent(mood.answers_lost) || !written.contains(&true);
                if is_lost && written.contains(&true) {
                    world.saw("lost answers");
                } else if written.contains(&true) && written.contains(&false) {
                    world.saw("partial failures");
                }
                let entries = if world.is_lie(Lie::IgnorePartialFailure) {
                    Some(vec![true; written.len()])
                } else {
                    (!is_lost).then_some(written)
                };
                self.answers.push(Coming { lane, call: call.id, entries });
            }
        }
        while let Some(at) = self.heard() {
            let Coming { lane, call, entries } = self.answers.swap_remove(at);
            let answer = entries.as_deref().map_or(Answer::Failed, Answer::Entries);
            let (now, chance) = {
                let mut world = world.lock();
                (world.now_us, world.chance.next())
            };
            let refused = self.lanes[lane].answered(call, answer, now, chance);
            assert!(refused.is_none(), "no call is refused for what it is");
        }
        let frontier = self.lanes.iter().map(Lane::frontier).min().unwrap_or_default();
        self.delivered.advance(frontier);
        Ok(())
    }

    /// Which answer comes now, if one does.
    fn heard(&self) -> Option<usize> {
        let chance = &mut self.outlet.world.lock().chance;
        (!self.answers.is_empty() && chance.percent(70)).then(|| chance.index(self.answers.len()))
    }

    fn push(&mut self, at: usize, batch: u64, pieces: &[&[u8]]) -> Result<(), Trouble> {
        let lines = pieces.iter().flat_map(|piece| piece.split(|&byte| byte == b'\n'));
        for line in lines.filter(|line| !line.is_empty()) {
            let key = member::raw(line, "event_id").map(String::from_utf8_lossy).unwrap_or_default();
            let record = Record { key: key.into(), data: line.into() };
            self.rounds_until(|sink| sink.lanes[at].has_room(record.bytes()))?;
            let now = self.outlet.world.lock().now_us;
            self.lanes[at].push(batch, record, now);
        }
        self.lanes[at].seal(batch);
        Ok(())
    }

    fn rounds_until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), Trouble> {
        for _ in 0..PATIENCE {
            if is_so(self) {
                return Ok(());
            }
            self.round()?;
        }
        Err(Trouble::stop("a lane is stuck"))
    }
}

impl Sink for SimSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        let lists = [batch.decisions, batch.alerts, batch.rejects];
        for at in [1, 2, 0] {
            self.push(at, batch.batch, lists[at])?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        self.lanes.iter_mut().for_each(Lane::close);
        self.rounds_until(|sink| sink.lanes.iter().all(Lane::is_empty))?;
        self.round()
    }

    fn delivered(&self) -> Option<Delivered> {
        Some(self.delivered.clone())
    }
}
