//! Whether what a source goes on with is still there: every shard that was begun must have the record it was taken up to.
//!
//! Holds: what may be lost is trouble that names shard and range, or, where gaps are accepted, a change that is told (S7).

use super::{ShardSource, lost_records};
use crate::service::{Kept, Service};
use cartguard_history::{Change, Place, Start};
use cartguard_io::Trouble;

impl<S: Service> ShardSource<S> {
    /// Looks whether the shards that were begun still have the record they were taken up to.
    pub(super) fn look(&mut self) -> Result<(), Trouble> {
        let oldest_ms = self.service.kept_since_ms();
        let (mut asked, mut places, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        for (number, state) in self.partitions.list().iter().enumerate() {
            let name = &state.opened.name;
            if state.is_finished || self.lineage.shard(name).is_none() {
                // What is not listed any more the lineage names.
                continue;
            }
            match (&state.place, state.opened.start) {
                (Some(Place::Sequence { number: at, .. }), _) => {
                    asked.push((number as u32, name.clone(), state.place.clone()));
                    places.push((name.clone(), at.clone()));
                }
                (Some(place @ Place::Row { .. }), _) => {
                    return Err(Trouble::stop(format!("{name}: {place} is no place in a shard")));
                }
                (None, Start::At(ms)) if ms < oldest_ms => {
                    let what =
                        format!("shard {name}: what arrived from {ms} ms on is past its retention in part");
                    gaps.push((what, Change::Gap { partition: number as u32, after: None, before: None }));
                }
                (None, Start::At(_) | Start::Oldest) => {}
            }
        }
        let looks = self.service.kept(places)?;
        for ((partition, name, after), kept) in asked.into_iter().zip(looks) {
            let before = match kept {
                Kept::It => continue,
                Kept::Next(next) => Some(next),
                Kept::Nothing => None,
            };
            let goes_on = match &before {
                Some(next) => format!("goes on at {}", next.as_str()),
                None => "has nothing behind it".to_owned(),
            };
            let range =
                self.lineage.shard(&name).map_or_else(String::new, |shard| format!(" ({})", shard.range));
            let up_to = after.as_ref().map_or_else(String::new, ToString::to_string);
            let what = format!(
                "shard {name}{range}: was taken up to {up_to}, which is past its retention, and {goes_on}; what lay \
                 between is lost"
            );
            let before = before.map(|number| Place::Sequence { number, sub: 0 });
            gaps.push((what, Change::Gap { partition, after, before }));
        }
        for (what, gap) in gaps {
            self.gap(&what, gap)?;
        }
        Ok(())
    }

    fn gap(&mut self, what: &str, gap: Change) -> Result<(), Trouble> {
        if !self.settings.accept_gap {
            return Err(lost_records(what));
        }
        self.service.say(&format!("gap accepted: {what}"));
        self.gaps.push(gap);
        Ok(())
    }
}
