//! What a stream no longer has: records go with time, and what was not taken of them is lost; a shard goes some time after its end.
//!
//! story -> **retention** -> stream, judge
//!
//! Holds: time passes so only while no process lives, so that who is to hear of a loss is whoever starts next.

use super::{Kin, RETENTION_MS, Stream};
use cartguard_history::{Beyond, Partitions, Place, SequenceNumber};
use std::collections::BTreeSet;

impl Stream {
    /// Time passes while nobody reads, until some of what there is is past its retention; what was not taken of that is lost. How many
    /// records.
    pub(crate) fn lose(&self, taken: &Partitions) -> u64 {
        let mut world = self.world.lock();
        let mut contents = self.lock();
        let arrivals = contents.shards.iter().flat_map(|kin| &kin.records[kin.trimmed..]);
        let arrivals: Vec<i64> = arrivals.map(|record| record.arrival_ms).collect();
        if arrivals.is_empty() {
            return 0;
        }
        let cut_ms = arrivals[world.chance.index(arrivals.len())];
        world.now_us = world.now_us.max((cut_ms + RETENTION_MS) as u64 * 1_000);
        let mut lost = 0;
        for kin in &mut contents.shards {
            let state = taken.number_of(&kin.shard.name).map(|number| &taken.list()[number as usize]);
            let trimmed = kin.records.partition_point(|record| record.arrival_ms < cut_ms);
            for at in kin.trimmed..trimmed.max(kin.trimmed) {
                let (number, parts) = (&kin.records[at].number, kin.parts[at]);
                let from = match state.and_then(|state| state.place.as_ref()) {
                    Some(Place::Sequence { number: last, .. }) if number < last => parts,
                    Some(Place::Sequence { number: last, sub }) if number == last => sub + 1,
                    _ => 0,
                };
                if from < parts && state.is_none_or(|state| !state.is_finished) {
                    kin.lost.insert(number.clone(), from);
                    lost += parts - from;
                }
            }
            kin.trimmed = kin.trimmed.max(trimmed);
            kin.is_gone |= kin.closed_ms.is_some_and(|closed_ms| closed_ms < cut_ms);
        }
        contents.lost_parts += lost;
        world.note(format_args!("retention takes {lost} records that were not taken"));
        lost
    }

    /// Whether a part of a record was lost.
    pub(crate) fn is_lost(&self, shard: &str, number: &SequenceNumber, part: u64) -> bool {
        let contents = self.lock();
        let mut kin = contents.shards.iter().filter(|kin| kin.shard.name == shard);
        kin.any(|kin| kin.lost.get(number).is_some_and(|&from| part >= from))
    }

    /// What was lost: shards and numbers.
    pub(crate) fn lost(&self) -> Vec<(String, SequenceNumber)> {
        let contents = self.lock();
        let of = |kin: &Kin| -> Vec<_> {
            kin.lost.keys().map(|number| (kin.shard.name.clone(), number.clone())).collect()
        };
        contents.shards.iter().flat_map(of).collect()
    }

    /// What a shard came of, and what came of it.
    pub(crate) fn relatives(&self, shard: &str) -> BTreeSet<String> {
        let contents = self.lock();
        let (mut before, mut behind) =
            (BTreeSet::from([shard.to_owned()]), BTreeSet::from([shard.to_owned()]));
        // Children stand behind their parents.
        for kin in contents.shards.iter().rev() {
            if before.contains(&kin.shard.name) {
                before.extend(kin.parents().cloned());
            }
        }
        for kin in &contents.shards {
            if kin.parents().any(|parent| behind.contains(parent)) {
                behind.insert(kin.shard.name.clone());
            }
        }
        before.append(&mut behind);
        before
    }

    /// Whether somebody who goes on behind what was taken has reason to ask whether records are lost: not where the record that was taken
    /// last, or the first behind a gap that was accepted, is still there, nor where a shard was quiet within the retention.
    pub(crate) fn may_lack(&self, taken: &Partitions) -> bool {
        let since_ms = self.world.lock().now_us as i64 / 1_000 - RETENTION_MS;
        let contents = self.lock();
        let is_there = |kin: &Kin, place: &Place| match place {
            Place::Sequence { number, .. } => {
                kin.records.partition_point(|record| record.number < *number) >= kin.trimmed
            }
            Place::Row { .. } => false,
        };
        // Then its first records may be gone, too.
        let is_orphan = |kin: &Kin| {
            let mut parents = kin.parents().peekable();
            parents.peek().is_some() && parents.all(|parent| contents.kin(parent).is_none())
        };
        contents.shards.iter().any(|kin| {
            let Some(number) = taken.number_of(&kin.shard.name) else {
                return kin.is_gone || is_orphan(kin);
            };
            let state = &taken.list()[number as usize];
            let is_known = match (&state.beyond, &state.place) {
                (Some(Beyond::NothingBefore(ms)), _) if *ms >= since_ms => true,
                (Some(Beyond::GoesOnAt(place)), _) | (_, Some(place)) => is_there(kin, place),
                // A gap without an end, accepted before there was anything.
                (Some(Beyond::NothingBefore(ms)), None) => *ms == i64::MIN,
                (None, None) => !is_orphan(kin),
            };
            !state.is_finished && (kin.is_gone || !is_known)
        })
    }

    /// Nothing is past its retention any more but what nobody took: for whoever reads it all again.
    pub(crate) fn remember(&self) {
        for kin in &mut self.lock().shards {
            (kin.is_gone, kin.trimmed) = (false, 0);
        }
    }
}
