//! A story: lives that are killed, one that is not, and the judgement.

use crate::disk::Disk;
use crate::judge::{bounds, judge};
use crate::lie::Lie;
use crate::life::{Life, Lived, Place, live};
use crate::outlet::Outlet;
use crate::shop::{Engines, Shop};
use crate::stream::Stream;
use crate::world::Shared;
use cartguard_history::Partitions;
use cartguard_io::{Advice, Trouble};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display};
use std::sync::Arc;

/// What happened in a story that ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Of the trace: the same for the same seed.
    pub hash: u64,
    /// How often things happened, by name.
    pub seen: BTreeMap<&'static str, u64>,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub why: String,
    /// All steps, if they were asked for.
    pub trace: Vec<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.why)
    }
}

/// Tells the story of a seed; `is_traced` keeps its steps for whoever wants to read them.
pub fn tell(seed: u64, lie: Option<Lie>, is_traced: bool) -> Result<Story, Failure> {
    let world = Shared::new(seed, lie, is_traced);
    let stream = Stream::new(&world);
    let place = Place {
        disk: Disk::new(&world),
        outlet: Outlet::new(&world),
        engines: Arc::new(Engines::new()),
        stream: stream.clone(),
        world: world.clone(),
    };
    let mut shop = Shop::new(&world, &stream);
    let why = told(&place, &mut shop);
    let mut world = world.lock();
    match why {
        Ok(()) => {
            let mut seen = std::mem::take(&mut world.seen);
            seen.insert("events", shop.puts.len() as u64);
            Ok(Story { hash: world.hash(), seen })
        }
        Err(why) => Err(Failure { seed, why, trace: world.take_lines() }),
    }
}

fn told(place: &Place, shop: &mut Shop) -> Result<(), String> {
    let kills = place.world.lock().mood.kills;
    let mut accept_gap = false;
    // What retention took is needed by snapshots from before.
    let mut least = 0;
    for number in 0.. {
        let drain_after = {
            let mut world = place.world.lock();
            let (steps, drains) = (world.mood.life, world.mood.drains);
            let is_left_alone = number >= kills;
            let is_asked = !is_left_alone && world.chance.percent(drains);
            let left = (!is_left_alone && !is_asked).then(|| world.chance.below(steps));
            world.rise(left);
            is_asked.then(|| world.chance.below(steps))
        };
        let lived = live(place, shop, Life { accept_gap, drain_after });
        accept_gap = false;
        let (is_killed, has_failed_sync) = {
            let world = place.world.lock();
            (world.is_down(), world.has_failed_sync())
        };
        match lived {
            // Nobody knows what is on the disk: to go on would be to build on it.
            Ok(_) if has_failed_sync && !is_killed => return Err("a sync failed, and it went on".to_owned()),
            Err(_) if has_failed_sync => {}
            Ok(Lived::All) if !is_killed => return judge(place, shop),
            Ok(Lived::Drained) if !is_killed && place.disk.newest_batch() != Some(place.disk.batches()) => {
                return Err("it was asked to end, and left batches to be done again".to_owned());
            }
            Ok(_) => {}
            Err(_) if is_killed => {}
            // No room for the last snapshot: whoever starts it again finds the order log.
            Err(trouble) if trouble.advice() == Advice::Retry => {}
            Err(trouble) if trouble.advice() == Advice::Refuse && asks_for_gap(place, &trouble)? => {
                place.world.lock().saw("gaps asked for");
                accept_gap = true;
            }
            Err(trouble) => return Err(in_full(&trouble)),
        }
        let (is_host, power_cuts) = {
            let mood = place.world.lock().mood;
            (mood.is_host, mood.power_cuts)
        };
        if is_host && place.world.lock().chance.percent(power_cuts) {
            place.disk.lose_power();
        }
        if lose(place)? {
            least = place.disk.batches();
        } else if place.world.lock().chance.percent(10) {
            place.disk.tear_newest_manifest(least);
        }
    }
    unreachable!("the last life is not killed")
}

/// What was bound is taken of the stream.
fn taken(place: &Place) -> Result<Partitions, String> {
    let mut taken = Partitions::default();
    for bound in bounds(&place.disk.archive())? {
        let changed = bound.changes.iter().try_for_each(|change| taken.apply(change));
        changed
            .and_then(|()| bound.runs.iter().try_for_each(|run| taken.advance(run)))
            .map_err(|why| why.to_string())?;
    }
    Ok(taken)
}

/// Whether it is refused to go on without records; trouble where there is no reason to.
fn asks_for_gap(place: &Place, trouble: &Trouble) -> Result<bool, String> {
    if !trouble.to_string().starts_with("records are lost") {
        return Ok(false);
    }
    if place.stream.may_lack(&taken(place)?) {
        return Ok(true);
    }
    Err(format!("nothing is lost that was not accepted: {trouble}"))
}

/// Between two lives retention may take records: where everything that was taken is in the newest snapshot, so that nothing has to be
/// done again. Whether it did.
fn lose(place: &Place) -> Result<bool, String> {
    // Before anything is bound no shard is open in the history, and nothing is owed.
    if place.disk.newest_batch() != Some(place.disk.batches()) || place.disk.batches() == 0 {
        return Ok(false);
    }
    let losses = place.world.lock().mood.losses;
    if !place.world.lock().chance.percent(losses) {
        return Ok(false);
    }
    let lost = place.stream.lose(&taken(place)?);
    let mut world = place.world.lock();
    world.saw("stays past the retention");
    *world.seen.entry("lost records").or_default() += lost;
    Ok(true)
}

fn in_full(trouble: &Trouble) -> String {
    let mut text = trouble.to_string();
    let mut cause = trouble.source();
    while let Some(why) = cause {
        text.push_str(&format!(": {why}"));
        cause = why.source();
    }
    text
}
