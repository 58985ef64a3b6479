//! What survives a process, and what happens to it: chance, time, the trace, and the moment at which it is killed.
//!
//! disk, stream, outlet -> **world**

use crate::lie::Lie;
use cartguard_io::Trouble;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3Default;

/// All chance of a story.
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    /// The same, as an index.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What becomes of a step that leaves something behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// The process is killed before it.
    Never,
    /// In the middle of it.
    Torn,
    /// Behind it, before anybody hears that it was done.
    Unheard,
}

/// How unkind a story is; chosen by its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mood {
    /// Percent of polls at which the stream gives nothing.
    pub(crate) idle: u64,
    /// Percent of entries of a call that fail, of calls that fail whole, of answers that are lost.
    pub(crate) entries_fail: u64,
    pub(crate) calls_fail: u64,
    pub(crate) answers_lost: u64,
    /// Percent of writes that find no room.
    pub(crate) no_room: u64,
    /// Percent of rounds in which shards are split or merged.
    pub(crate) reshard: u64,
    /// Percent of batches that are on their way as soon as they are released.
    pub(crate) eager: u64,
    /// Records that the shop puts.
    pub(crate) puts: u64,
    /// Records between two snapshots.
    pub(crate) snapshot_every: u64,
    /// Steps that a life has at most, before it is killed.
    pub(crate) life: u64,
    /// Lives that end by being killed, or asked to end.
    pub(crate) kills: u32,
    /// Percent of those that are asked.
    pub(crate) drains: u64,
    /// Percent of the ends at which retention takes records, where it may.
    pub(crate) losses: u64,
    /// Batches are to survive the machine; percent of the ends at which it loses power then.
    pub(crate) is_host: bool,
    pub(crate) power_cuts: u64,
    /// Percent of syncs that fail.
    pub(crate) sync_fails: u64,
}

impl Mood {
    fn new(chance: &mut Chance) -> Self {
        let mut one_of = |list: &[u64]| list[chance.index(list.len())];
        Self {
            idle: one_of(&[0, 10, 40]),
            entries_fail: one_of(&[0, 2, 30]),
            calls_fail: one_of(&[0, 5, 30]),
            answers_lost: one_of(&[0, 5, 20]),
            no_room: one_of(&[0, 0, 5]),
            reshard: one_of(&[0, 2, 6]),
            eager: one_of(&[0, 50, 100]),
            puts: one_of(&[50, 150, 500]),
            snapshot_every: one_of(&[5, 20, 80]),
            life: one_of(&[40, 150, 400]),
            kills: one_of(&[1, 3, 8]) as u32,
            drains: one_of(&[0, 20, 60]),
            losses: one_of(&[0, 50, 100]),
            is_host: one_of(&[0, 1]) == 1,
            power_cuts: one_of(&[0, 50, 100]),
            sync_fails: one_of(&[0, 0, 1]),
        }
    }

    /// A lie about the disk is told where disks fail: elsewhere it takes hundreds of stories to matter.
    fn with(self, lie: Option<Lie>) -> Self {
        match lie {
            Some(Lie::UnsyncedBytes | Lie::UnsyncedNames) => Self { is_host: true, power_cuts: 100, ..self },
            Some(Lie::SyncedAgain | Lie::TrustedMemory) => {
                Self { is_host: true, power_cuts: 50, sync_fails: 2, kills: 8, ..self }
            }
            Some(
                Lie::ReleaseBeforeBind
                | Lie::LatestChildren
                | Lie::ImpatientChildren
                | Lie::IgnorePartialFailure
                | Lie::PositionsBeforeOutputs
                | Lie::UnboundSwitch
                | Lie::SnapshotAlone
                | Lie::UnsaidNoModel
                | Lie::UntoldGap
                | Lie::HastyEnd,
            )
            | None => self,
        }
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) mood: Mood,
    pub(crate) lie: Option<Lie>,
    /// Simulated.
    pub(crate) now_us: u64,
    /// Steps until the process is killed; none: it is left alone.
    pub(crate) left: Option<u64>,
    is_down: bool,
    /// A sync failed, which this process must not survive.
    has_failed_sync: bool,
    hash: Xxh3Default,
    /// The trace itself, where somebody wants to read it.
    lines: Option<Vec<String>>,
    /// How often the rarer things happened.
    pub(crate) seen: Seen,
}

/// How often something happened, by name.
pub(crate) type Seen = BTreeMap<&'static str, u64>;

/// The world, as its parts hold it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(seed: u64, lie: Option<Lie>, is_traced: bool) -> Self {
        let mut chance = Chance::new(seed);
        let mood = Mood::new(&mut chance).with(lie);
        Self(Arc::new(Mutex::new(World {
            chance,
            mood,
            lie,
            now_us: 1_700_000_000_000_000,
            left: None,
            is_down: false,
            has_failed_sync: false,
            hash: Xxh3Default::new(),
            lines: is_traced.then(Vec::new),
            seen: Seen::new(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// A step that leaves something behind: what becomes of it.
    pub(crate) fn step(&mut self, what: Arguments<'_>) -> Fate {
        self.saw("steps");
        let fate = if self.is_down {
            Fate::Never
        } else if self.left == Some(0) {
            self.is_down = true;
            self.saw("kills");
            [Fate::Never, Fate::Torn, Fate::Unheard][self.chance.index(3)]
        } else {
            self.left = self.left.map(|left| left - 1);
            Fate::Done
        };
        self.note(format_args!("{what}: {fate:?}"));
        fate
    }

    /// Counts what happens.
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Notes what happens.
    pub(crate) fn note(&mut self, what: Arguments<'_>) {
        let line = format!("{} {what}", self.now_us);
        self.hash.update(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    pub(crate) fn is_lie(&self, lie: Lie) -> bool {
        self.lie == Some(lie)
    }

    /// Whether the process was killed.
    pub(crate) fn is_down(&self) -> bool {
        self.is_down
    }

    /// A sync fails.
    pub(crate) fn fail_sync(&mut self) {
        self.has_failed_sync = true;
        self.saw("failed syncs");
    }

    /// Whether one failed in this process.
    pub(crate) fn has_failed_sync(&self) -> bool {
        self.has_failed_sync
    }

    /// A new process.
    pub(crate) fn rise(&mut self, left: Option<u64>) {
        self.is_down = false;
        self.has_failed_sync = false;
        self.left = left;
        self.note(format_args!("a process starts"));
    }

    pub(crate) fn pass(&mut self, us: u64) {
        self.now_us += us;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.digest()
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

/// What a killed process hears of its last step.
pub(crate) fn killed() -> Trouble {
    Trouble::stop("the process was killed")
}
