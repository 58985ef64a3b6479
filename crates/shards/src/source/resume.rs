//! Whether what a source goes on with is still there: every shard that was begun must have the record it was taken up to, or must have
//! been seen quiet within the retention.
//!
//! Holds: what may be lost is trouble that names shard and range, or, where gaps are accepted, a change that is told once (S7). The
//! record itself is a proof that nothing behind it is lost; so is a time, within the retention, up to which there was nothing.

use super::{ShardSource, lost_records};
use crate::limits::CLOCKS_DIFFER_MS;
use crate::queue::Last;
use crate::service::{From, Kept, Service};
use cartguard_history::{Beyond, Change, Opened, PartitionState, Place, SequenceNumber, Start};
use cartguard_io::Trouble;

/// What a gap without an end leaves.
const LOST_TO_ITS_END: Beyond = Beyond::NothingBefore(i64::MIN);

/// A shard that is asked for.
struct Asked {
    partition: u32,
    name: String,
    after: Option<Place>,
    /// Since when nothing is known of it, ms UTC; none: its place says enough.
    since_ms: Option<i64>,
}

impl<S: Service> ShardSource<S> {
    /// Looks whether the shards that were begun still have what comes behind their places.
    pub(super) fn look(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        let (oldest_ms, now_ms) = (self.service.kept_since_ms(), self.service.now_ms() - CLOCKS_DIFFER_MS);
        let (mut asked, mut places) = (Vec::new(), Vec::new());
        for (number, state) in self.partitions.list().iter().enumerate() {
            let name = &state.opened.name;
            if state.is_finished {
                continue;
            }
            let is_orphan = self.is_orphan(&state.opened);
            let Some((from, since_ms)) = question(state, oldest_ms, is_orphan)? else { continue };
            let (partition, name, after) = (number as u32, name.clone(), state.place.clone());
            places.push((name.clone(), from));
            asked.push(Asked { partition, name, after, since_ms });
        }
        let kept = self.service.kept(places, is_over)?;
        for (asked, kept) in asked.into_iter().zip(kept) {
            let before = match kept {
                Kept::It => continue,
                Kept::Next(next) => Some(next),
                // Not listed: too new for the listing, or past its retention, which the lineage names.
                Kept::Nothing if self.lineage.shard(&asked.name).is_none() => continue,
                Kept::Nothing => None,
            };
            self.gap(&asked, before, now_ms)?;
        }
        Ok(())
    }

    /// Passes by what retention took while the source was behind, where all before it was taken.
    pub(super) fn pass_lost(&mut self) -> Result<(), Trouble> {
        let lost: Vec<_> = self
            .shards
            .iter()
            .filter(|queue| queue.is_empty())
            .filter_map(|queue| match &queue.last {
                Some(Last::Lost(next)) => Some((queue.partition, queue.shard.clone(), next.clone())),
                Some(Last::End | Last::Gone) | None => None,
            })
            .collect();
        let now_ms = self.service.now_ms() - CLOCKS_DIFFER_MS;
        for (partition, name, next) in lost {
            let after = self.partitions.list()[partition as usize].place.clone();
            self.gap(&Asked { partition, name, after, since_ms: None }, next, now_ms)?;
        }
        Ok(())
    }

    /// What lies before `before` is lost; all of it up to now, where nothing is left.
    fn gap(&mut self, asked: &Asked, before: Option<SequenceNumber>, now_ms: i64) -> Result<(), Trouble> {
        let what = self.loss(asked, before.as_ref().map(SequenceNumber::as_str));
        if !self.settings.accept_gap {
            return Err(lost_records(&what));
        }
        self.service.say(&format!("gap accepted: {what}"));
        let (partition, is_empty) = (asked.partition, before.is_none());
        let before = before.map(|number| Place::Sequence { number, sub: 0 });
        self.decide(Change::Gap { partition, after: asked.after.clone(), before })?;
        if is_empty {
            // What comes from now on is not part of it.
            self.decide(Change::Quiet { partition, until_ms: now_ms })?;
        }
        Ok(())
    }

    /// Whether a shard came of others, and all of them are past their retention: they ended so long ago, and it began then.
    fn is_orphan(&self, opened: &Opened) -> bool {
        let name = |parent: &u32| &self.names[*parent as usize];
        opened.start == Start::Oldest
            && !opened.parents.is_empty()
            && opened.parents.iter().all(|parent| self.lineage.shard(name(parent)).is_none())
    }

    /// A shard opens: where it is an orphan its first records may be lost, as part of what was accepted of its parents or by itself.
    pub(super) fn open(&mut self, opened: Opened) -> Result<(), Trouble> {
        let (name, is_orphan) = (opened.name.clone(), self.is_orphan(&opened));
        let partitions = self.partitions.list();
        let was_accepted =
            opened.parents.iter().any(|&parent| partitions[parent as usize].beyond == Some(LOST_TO_ITS_END));
        let partition = partitions.len() as u32;
        let is_first =
            opened.start == Start::Oldest && opened.parents.is_empty() && self.lineage.shard(&name).is_some();
        self.decide(Change::Open(opened))?;
        if is_first {
            // It begins with what there is now; what comes from now on must not be lost before it is taken.
            let until_ms = self.service.now_ms() - CLOCKS_DIFFER_MS;
            return self.decide(Change::Quiet { partition, until_ms });
        }
        if !is_orphan {
            return Ok(());
        }
        let what = self.loss(&Asked { partition, name, after: None, since_ms: None }, None);
        if !self.settings.accept_gap && !was_accepted {
            return Err(lost_records(&what));
        }
        self.service.say(&format!("gap accepted: {what}"));
        self.decide(Change::Gap { partition, after: None, before: None })
    }

    /// What is lost of a shard, or may be, in words.
    fn loss(&self, asked: &Asked, next: Option<&str>) -> String {
        let range =
            self.lineage.shard(&asked.name).map_or_else(String::new, |shard| format!(" ({})", shard.range));
        let after = asked.after.as_ref();
        let known = match (after, asked.since_ms) {
            (Some(after), None) => format!("was taken up to {after}, which is past its retention"),
            (Some(after), Some(ms)) => {
                format!(
                    "was taken up to {after}, and what arrived from {ms} ms on is past its retention in part"
                )
            }
            (None, Some(ms)) => {
                format!(
                    "nothing was taken of it, and what arrived from {ms} ms on is past its retention in part"
                )
            }
            (None, None) => {
                "nothing was taken of it, and the shards that it came of are past their retention".to_owned()
            }
        };
        let goes_on = match (next, after) {
            (Some(next), _) => format!("it goes on at {next}; "),
            (None, Some(_)) => "it has nothing behind it; ".to_owned(),
            (None, None) => String::new(),
        };
        let lost = match asked.since_ms {
            None if after.is_some() => "what lay between is lost",
            _ => "whether anything lay between nobody can say",
        };
        format!("shard {}{range}: {known}; {goes_on}{lost}", asked.name)
    }
}

/// From where a shard has to be asked whether nothing is lost, and since when nothing is known of it; nothing where that is known.
fn question(
    state: &PartitionState,
    oldest_ms: i64,
    is_orphan: bool,
) -> Result<Option<(From, Option<i64>)>, Trouble> {
    let name = &state.opened.name;
    let number = |place: &Place| match place {
        Place::Sequence { number, .. } => Ok(number.clone()),
        Place::Row { .. } => Err(Trouble::stop(format!("{name}: {place} is no place in a shard"))),
    };
    let started_ms = match state.opened.start {
        Start::At(ms) => Some(ms),
        Start::Oldest => None,
    };
    Ok(match (&state.beyond, &state.place) {
        (Some(Beyond::NothingBefore(ms)), _) if *ms >= oldest_ms => None,
        (Some(Beyond::GoesOnAt(place)), _) | (None, Some(place)) => Some((From::At(number(place)?), None)),
        (Some(Beyond::NothingBefore(ms)), Some(place)) => Some((From::At(number(place)?), Some(*ms))),
        // A gap that was accepted before there was anything: it ends with the first record, whenever that comes.
        (Some(Beyond::NothingBefore(i64::MIN)), None) => None,
        (Some(Beyond::NothingBefore(ms)), None) => Some((From::Oldest, Some(*ms))),
        (None, None) if is_orphan => Some((From::Oldest, None)),
        (None, None) => started_ms.filter(|&ms| ms < oldest_ms).map(|ms| (From::Oldest, Some(ms))),
    })
}
