//! The engine's state as of a sequence number, cut between two batches and copied while later ones run; and an engine from it.
//!
//! batch -> **snapshot** -> whoever stores it
//!
//! [`Engine::begin_snapshot`] is the cut and takes microseconds. Then [`Engine::continue_snapshot`], a little between batches, until it
//! has given out every part. What is written to meanwhile is copied first (`window::capture`).
//!
//! Holds: head and parts are a pure function of the sequence up to the cut, whatever batches, workers and snapshots there were; an engine
//! restored from them goes on with the same bytes. Not here: files, compression, hashes of content.

use crate::batch::shared::Shared;
use crate::batch::{Counts, Engine};
use crate::limits::DEDUPE_SHARDS;
use crate::state::ids::IdShard;
use crate::state::part::Read;
pub use crate::state::part::{Part, PartFault, PartKind};
use crate::state::shard::Shard;
use crate::state::waiting::Waiting;
pub use crate::window::capture::{FramePool, Needed};
use serde::{Deserialize, Serialize};
use std::sync::{MutexGuard, PoisonError};

/// What an engine is besides its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Sequence number of the next record.
    pub next_sequence: u64,
    /// Stream time, ms; the least integer before the first event.
    pub stream_ms: i64,
    pub counts: Counts,
    /// Which of the last events were alerts: sequence numbers modulo the ring's length.
    pub recent_alerts: Vec<u32>,
}

/// Lists of copies that are filled, or that whoever stores the parts has, at a time; some more than there are by now.
const LISTS_AT_ONCE: usize = 16;

/// A snapshot that is being taken.
pub(super) struct Taking {
    /// Parts given out.
    done: usize,
    pool: FramePool,
}

/// What makes two engines' states comparable: a snapshot fits an engine where all of it is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// How records are read, hash seed included.
    pub schema: String,
    /// `[state]` and `[dedupe]`, name and value.
    pub settings: Vec<(String, String)>,
    /// Name and definition of every feature, in order.
    pub features: Vec<(String, String)>,
    /// Name and definition of every condition that windows count: its truth is in the state.
    pub conditions: Vec<(String, String)>,
}

impl Identity {
    /// What differs, a line each; nothing where a snapshot of `self` fits an engine of `other`.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.schema != other.schema {
            lines.push("[event], [entities], [money] or state.hash_seed".to_owned());
        }
        for (name, value) in &self.settings {
            let now = other.settings.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            if now != Some(value) {
                lines.push(format!("{name}: was {value}, is {}", now.unwrap_or("absent")));
            }
        }
        let find =
            |list: &[(String, String)], name: &str| list.iter().find(|(other, _)| other == name).cloned();
        let lists = [
            ("feature", &self.features, &other.features),
            ("condition", &self.conditions, &other.conditions),
        ];
        for (kind, was, is) in lists {
            for (name, definition) in was {
                match find(is, name) {
                    None => lines.push(format!("{kind} {name}: is gone")),
                    Some((_, now)) if now != *definition => lines.push(format!("{kind} {name}: was changed")),
                    Some(_) => {}
                }
            }
            for (name, _) in is {
                if find(was, name).is_none() {
                    lines.push(format!("{kind} {name}: is new"));
                }
            }
        }
        if lines.is_empty() && self.features != other.features {
            lines.push("the order of the features".to_owned());
        }
        lines
    }
}

/// Shards of ids, of keys, of what waits for labels.
fn parts_of(shared: &Shared) -> usize {
    DEDUPE_SHARDS + shared.stores.shards + shared.waiting.len()
}

impl Engine {
    /// What a snapshot cut now would take to copy all at once, for [`FramePool::prepare`].
    pub fn snapshot_needs(&self) -> Needed {
        let shared = &*self.shared;
        let (mut frames, mut longest) = (0, 0);
        let mut add = |lists: &[usize]| {
            frames += lists.iter().sum::<usize>();
            longest = lists.iter().copied().fold(longest, usize::max);
        };
        shared.shards.iter().for_each(|shard| add(&shard.frames()));
        for ids in &shared.ids {
            add(&[ids.lock().unwrap_or_else(PoisonError::into_inner).frames()]);
        }
        self.waiting().for_each(|waiting| add(&waiting.frames()));
        // Lists of ids are begun before their turn; of the others some are copied, with the writer, or on their way back.
        let lists = DEDUPE_SHARDS + LISTS_AT_ONCE;
        // Some grow until the cut.
        Needed { frames, lists, list_frames: longest + longest / 16 + 64 }
    }

    fn waiting(&self) -> impl Iterator<Item = MutexGuard<'_, Waiting>> {
        self.shared.waiting.iter().map(|waiting| waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The cut: the state is what it is before the next batch. One that is not finished yet is given up.
    pub fn begin_snapshot(&mut self, pool: &FramePool) -> Head {
        let shared = &*self.shared;
        for ids in &shared.ids {
            ids.lock().unwrap_or_else(PoisonError::into_inner).begin_capture(pool);
        }
        for mut shard in shared.shards.iter_mut() {
            shard.begin_capture(pool);
        }
        self.waiting().for_each(|mut waiting| waiting.begin_capture(pool));
        self.taking = Some(Taking { done: 0, pool: pool.clone() });
        let stream_ms = shared.job.read().unwrap_or_else(PoisonError::into_inner).stream_ms;
        let recent = shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        Head {
            next_sequence: self.next_sequence,
            stream_ms,
            counts: self.counts,
            recent_alerts: recent.alerts(),
        }
    }

    /// Gives up the one that is being taken: nothing is copied for it any more.
    pub fn abandon_snapshot(&mut self) {
        let shared = &*self.shared;
        for ids in &shared.ids {
            ids.lock().unwrap_or_else(PoisonError::into_inner).abandon_capture();
        }
        for mut shard in shared.shards.iter_mut() {
            shard.abandon_capture();
        }
        self.waiting().for_each(|mut waiting| waiting.abandon_capture());
        self.taking = None;
    }

    /// Whether parts are still to come.
    pub fn is_taking_snapshot(&self) -> bool {
        self.taking.is_some()
    }

    /// Copies `frames` more frames of 4 KiB and gives out the parts that are now whole.
    pub fn continue_snapshot(&mut self, frames: usize, mut give: impl FnMut(Part)) {
        let mut left = frames;
        while left > 0
            && let Some(Taking { done, pool }) = &mut self.taking
        {
            let shared = &*self.shared;
            let (copied, part) = if *done < DEDUPE_SHARDS {
                let mut ids = shared.ids[*done].lock().unwrap_or_else(PoisonError::into_inner);
                let copied = ids.capture_some(left);
                (copied, (copied < left).then(|| ids.end_capture(*done, pool)))
            } else if let Some(number) = done.checked_sub(DEDUPE_SHARDS + shared.stores.shards) {
                let mut waiting = shared.waiting[number].lock().unwrap_or_else(PoisonError::into_inner);
                let copied = waiting.capture_some(left);
                (copied, (copied < left).then(|| waiting.end_capture(number, pool)))
            } else {
                let number = *done - DEDUPE_SHARDS;
                let Some(mut shard) = shared.shards.get_mut(&number) else { return };
                let copied = shard.capture_some(left);
                (copied, (copied < left).then(|| shard.end_capture(number, pool)))
            };
            left = left.saturating_sub(copied);
            if let Some(part) = part {
                *done += 1;
                if *done == parts_of(shared) {
                    self.taking = None;
                }
                give(part);
            }
        }
    }

    /// How many parts a snapshot has.
    pub fn snapshot_parts(&self) -> usize {
        parts_of(&self.shared)
    }

    /// Puts a part of a snapshot in place of what this engine has there. Several threads may do so at once, before the first batch.
    pub fn restore_part(&self, bytes: &[u8]) -> Result<(), PartFault> {
        let part = Read::of(bytes)?;
        let shared = &*self.shared;
        match part.kind {
            PartKind::Ids => {
                let ids = shared.ids.get(part.shard).ok_or(PartFault::Shard)?;
                let restored = IdShard::restore(&shared.settings.dedupe, &part)?;
                *ids.lock().unwrap_or_else(PoisonError::into_inner) = restored;
            }
            PartKind::Keys => {
                if part.shard >= shared.stores.shards {
                    return Err(PartFault::Shard);
                }
                let restored = Shard::restore(&shared.stores, shared.reserve.clone(), &part)?;
                shared.shards.insert(part.shard, restored);
            }
            PartKind::Labels => {
                let waiting = shared.waiting.get(part.shard).ok_or(PartFault::Shard)?;
                let restored = Waiting::restore(&shared.plan, &part)?;
                *waiting.lock().unwrap_or_else(PoisonError::into_inner) = restored;
            }
        }
        Ok(())
    }

    /// Goes on where a snapshot was cut, once all of its parts are in place.
    pub fn resume(&mut self, head: &Head) {
        self.next_sequence = head.next_sequence;
        self.counts = head.counts;
        let shared = &*self.shared;
        shared.job.write().unwrap_or_else(PoisonError::into_inner).stream_ms = head.stream_ms;
        let mut recent = shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.restore(head.next_sequence, &head.recent_alerts);
    }

    /// What a snapshot of this engine belongs to.
    pub fn identity(&self) -> Identity {
        let shared = &*self.shared;
        let (state, dedupe) = (&shared.settings.state, &shared.settings.dedupe);
        let settings = [
            ("state.shards", state.shards as i64),
            ("state.memory", state.memory_bytes as i64),
            ("state.entries_per_key", state.entries_per_key as i64),
            ("state.forget_after", state.forget_after_ms),
            ("state.sweep_every", state.sweep_every as i64),
            ("time.lateness", state.lateness_ms),
            ("dedupe.span", dedupe.span_ms),
            ("dedupe.memory", dedupe.memory_bytes as i64),
        ];
        Identity {
            schema: format!("{:?}", shared.plan.schema),
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect(),
            features: shared
                .plan
                .set
                .features
                .iter()
                .map(|feature| (feature.name.clone(), format!("{:?}", feature.definition)))
                .collect(),
            conditions: shared
                .plan
                .set
                .conditions
                .iter()
                .map(|condition| (condition.name.clone(), format!("{:?}", condition.program)))
                .collect(),
        }
    }
}
