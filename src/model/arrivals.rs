//! Folders that are copied into the folder of models.
//!
//! `models/NAME/VERSION` -> **arrivals** -> `watch`
//!
//! ```text
//! new ──► waiting ──every file as its manifest says──► arrived
//!            ▲  └──unchanged for a minute and not whole──► refused
//!            └────────────────it changes────────────────────┘
//! ```
//!
//! Holds: nothing of a folder is parsed but its manifest before it is whole; what was whole when the watch began is an arrival only where the
//! watch before this one did not know it (`known`); a folder is asked about each of its states once.
//! Not here: whether a whole model is any good, and what then becomes of it (`watch`).

use super::deploy::named;
use super::folder::{MANIFEST, not_sized, not_whole};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a folder may stay as it is without being whole. A copy over a network stalls, and goes on.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a folder looks like from outside: names, sizes, times. A copy that is under way looks different each time.
pub(super) type Look = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Nothing where it cannot be read.
pub(super) fn look_of(folder: &Path) -> Look {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut look: Look = entries
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((entry.path(), about.len(), about.modified().ok()))
        })
        .collect();
    look.sort();
    look
}

/// See the module.
#[derive(Default)]
pub(super) struct Arrivals {
    folders: BTreeMap<String, State>,
    has_begun: bool,
    /// What the watch before this one knew; none: all that is there at the begin is known.
    known: Option<BTreeSet<String>>,
}

enum State {
    /// It was there at the begin, or arrived.
    Known,
    /// It was there at the begin, and is no model.
    Other,
    Waiting(Waiting),
    Refused {
        look: Look,
        why: String,
    },
}

struct Waiting {
    look: Look,
    /// When it was first seen to look so.
    since: Instant,
    /// What is not whole; none: nobody has asked yet.
    not_whole: Option<String>,
}

/// What a look around found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Folders that are whole now.
    pub(super) arrived: Vec<String>,
    /// Folders that are given up, each with what is not whole.
    pub(super) refused: Vec<(String, String)>,
}

impl Arrivals {
    /// With what the watch before knew.
    pub(super) fn new(known: Option<BTreeSet<String>>) -> Self {
        Self { known, ..Self::default() }
    }

    /// The folders that start by a command alone; nothing before the first look.
    pub(super) fn known(&self) -> Option<BTreeSet<String>> {
        let known = self.folders.iter().filter(|(_, state)| matches!(state, State::Known));
        self.has_begun.then(|| known.map(|(name, _)| name.clone()).collect())
    }

    /// Looks around.
    pub(super) fn look(&mut self, models: &Path, now: Instant) -> Found {
        let mut found = Found::default();
        // A folder that cannot be read for a moment loses nobody.
        let Ok(names) = named(models) else { return found };
        let mut before = std::mem::take(&mut self.folders);
        for name in names {
            let folder = models.join(&name);
            let is_model = || folder.join(MANIFEST).exists();
            let state = match before.remove(&name) {
                None if !self.has_begun && !is_model() => State::Other,
                None if !self.has_begun && self.is_known(&name, &folder) => State::Known,
                Some(State::Other) if !is_model() => State::Other,
                None | Some(State::Other) => {
                    State::Waiting(Waiting { look: look_of(&folder), since: now, not_whole: None })
                }
                Some(State::Waiting(waiting)) => waiting.next(&folder, now),
                Some(State::Refused { look, why }) => {
                    let state = State::Refused { look, why };
                    self.folders.insert(name, state.again(&folder, now));
                    continue;
                }
                Some(State::Known) => {
                    self.folders.insert(name, State::Known);
                    continue;
                }
            };
            match &state {
                State::Known if self.has_begun => found.arrived.push(name.clone()),
                State::Refused { why, .. } => found.refused.push((name.clone(), why.clone())),
                State::Known | State::Other | State::Waiting(_) => {}
            }
            self.folders.insert(name, state);
        }
        self.has_begun = true;
        found
    }

    /// Whether a model that is there at the begin was known before, or is one of those that are there when models are watched for the first
    /// time; one that is still being copied then is no such.
    fn is_known(&self, name: &str, folder: &Path) -> bool {
        match &self.known {
            Some(known) => known.contains(name),
            None => not_sized(folder).is_none(),
        }
    }

    /// A folder that arrived is not taken.
    pub(super) fn refuse(&mut self, models: &Path, name: &str, why: &str) {
        let look = look_of(&models.join(name));
        self.folders.insert(name.to_owned(), State::Refused { look, why: why.to_owned() });
    }

    /// Folders that are not whole yet, with what is not, and those that were refused, with the reason.
    pub(super) fn seen(&self) -> [Vec<(String, String)>; 2] {
        let mut seen = [Vec::new(), Vec::new()];
        for (name, state) in &self.folders {
            match state {
                State::Known | State::Other => {}
                State::Waiting(waiting) => {
                    let why = waiting.not_whole.clone().unwrap_or_else(|| "it still changes".to_owned());
                    seen[0].push((name.clone(), why));
                }
                State::Refused { why, .. } => seen[1].push((name.clone(), why.clone())),
            }
        }
        seen
    }
}

impl State {
    /// A folder that was refused, unless it changed.
    fn again(self, folder: &Path, now: Instant) -> Self {
        let look = look_of(folder);
        match &self {
            Self::Refused { look: was, .. } if *was != look => {
                Self::Waiting(Waiting { look, since: now, not_whole: None })
            }
            Self::Known | Self::Other | Self::Waiting(_) | Self::Refused { .. } => self,
        }
    }
}

impl Waiting {
    fn next(self, folder: &Path, now: Instant) -> State {
        let look = look_of(folder);
        if look != self.look {
            return State::Waiting(Self { look, since: now, not_whole: None });
        }
        match self.not_whole {
            None => match not_whole(folder) {
                None => State::Known,
                why => State::Waiting(Self { not_whole: why.map(|why| why.to_string()), ..self }),
            },
            Some(why) if now.saturating_duration_since(self.since) >= PATIENCE => {
                let why = format!("{why}; nothing of it has changed for {} s", PATIENCE.as_secs());
                State::Refused { look, why }
            }
            not_whole @ Some(_) => State::Waiting(Self { not_whole, ..self }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/2");

    struct Copying {
        models: tempfile::TempDir,
        arrivals: Arrivals,
        now: Instant,
    }

    impl Copying {
        fn new() -> Self {
            let models = tempfile::tempdir().expect("a folder");
            Self { models, arrivals: Arrivals::default(), now: Instant::now() }
        }

        fn copy(&self, to: &str, file: &str, bytes: usize) {
            let folder = self.models.path().join(to);
            fs::create_dir_all(&folder).expect("a folder");
            let from = fs::read(Path::new(DEMO).join(file)).expect("the demo's model");
            fs::write(folder.join(file), &from[..bytes.min(from.len())]).expect("written");
        }

        fn copy_all(&self, to: &str) {
            for file in ["golden.jsonl", "manifest.toml", "model.json"] {
                self.copy(to, file, usize::MAX);
            }
        }

        fn look(&mut self, later: u64) -> Found {
            self.now += Duration::from_secs(later);
            self.arrivals.look(self.models.path(), self.now)
        }

        fn waiting(&self) -> Vec<(String, String)> {
            self.arrivals.seen()[0].clone()
        }
    }

    #[test]
    fn what_was_there_at_the_begin_is_no_arrival_and_what_comes_later_is_one() {
        let mut models = Copying::new();
        models.copy_all("shop/1");
        fs::create_dir_all(models.models.path().join("shop/notes")).expect("a folder");
        assert_eq!(models.look(0), Found::default());
        assert_eq!(models.look(100), Found::default());
        models.copy_all("shop/2");
        models.copy_all(".shop/3");
        assert_eq!(models.look(1), Found::default(), "it may still change");
        assert_eq!(models.look(1).arrived, ["shop/2"]);
        assert_eq!((models.look(1), models.waiting()), (Found::default(), vec![]));
    }

    /// M1: file after file, and the model in two parts.
    #[test]
    fn a_slow_copy_is_waited_for_as_long_as_it_changes() {
        let mut models = Copying::new();
        models.look(0);
        models.copy("shop/1", "golden.jsonl", usize::MAX);
        for (file, bytes, wanted) in [
            ("manifest.toml", 300, "manifest.toml"),
            ("manifest.toml", usize::MAX, "model.json"),
            ("model.json", 1_000, "has 1000 bytes"),
            ("model.json", 2_000, "half-written"),
        ] {
            for _ in 0..3 {
                assert_eq!(models.look(15), Found::default(), "{file} {bytes}");
            }
            let told = models.waiting();
            assert!(told.len() == 1 && told[0].0 == "shop/1", "{told:?}");
            models.copy("shop/1", file, bytes);
            models.look(1);
            models.look(1);
            let told = models.waiting();
            assert!(told[0].1.contains(wanted), "{wanted} {told:?}");
        }
        models.copy("shop/1", "model.json", usize::MAX);
        models.look(1);
        assert_eq!(models.look(1).arrived, ["shop/1"]);
    }

    #[test]
    fn what_does_not_change_for_a_minute_is_refused_until_it_changes() {
        let mut models = Copying::new();
        models.look(0);
        models.copy_all("shop/1");
        models.copy("shop/1", "model.json", 5_000);
        assert_eq!([models.look(1), models.look(1), models.look(55)], [(); 3].map(|()| Found::default()));
        let refused = models.look(10).refused;
        assert!(refused[0].0 == "shop/1" && refused[0].1.contains("half-written"), "{refused:?}");
        assert_eq!(models.look(100), Found::default(), "told once");
        assert_eq!(models.arrivals.seen()[1], refused);
        models.copy("shop/1", "model.json", usize::MAX);
        models.look(1);
        assert_eq!(models.look(1).arrived, ["shop/1"]);
        models.arrivals.refuse(models.models.path(), "shop/1", "no place");
        assert_eq!((models.look(1), models.arrivals.seen()[1].len()), (Found::default(), 1));
        fs::remove_dir_all(models.models.path().join("shop/1")).expect("removed");
        assert_eq!((models.look(1), models.arrivals.seen()), (Found::default(), [vec![], vec![]]));
    }

    /// Another file of the right size.
    #[test]
    fn bytes_are_told_by_their_digest() {
        let mut models = Copying::new();
        models.look(0);
        models.copy_all("shop/1");
        let path = models.models.path().join("shop/1/model.json");
        let mut bytes = fs::read(&path).expect("a model");
        bytes[100] ^= 1;
        fs::write(&path, bytes).expect("written");
        models.look(1);
        models.look(1);
        assert!(models.waiting()[0].1.contains("SHA-256"), "{:?}", models.waiting());
    }

    /// M1: a copy that was made while no service ran is as good as one that is made now.
    #[test]
    fn what_was_copied_while_nobody_watched_arrives() {
        let mut models = Copying::new();
        for version in ["shop/1", "shop/2", "shop/3"] {
            models.copy_all(version);
        }
        models.copy("shop/3", "model.json", 5_000);
        fs::create_dir_all(models.models.path().join("shop/notes")).expect("a folder");
        models.arrivals = Arrivals::new(Some(BTreeSet::from(["shop/1".to_owned()])));
        assert_eq!(models.look(0), Found::default());
        assert_eq!(models.look(1).arrived, ["shop/2"]);
        assert!(models.waiting()[0].1.contains("half-written"), "{:?}", models.waiting());
        models.copy("shop/3", "model.json", usize::MAX);
        models.look(1);
        assert_eq!(models.look(1).arrived, ["shop/3"]);
        assert_eq!(models.arrivals.known().map(|known| known.len()), Some(3));
        // A folder that was no model becomes one.
        models.copy_all("shop/notes");
        models.look(1);
        assert_eq!(models.look(1).arrived, ["shop/notes"]);
    }

    /// A copy that began before the service did.
    #[test]
    fn what_was_not_whole_at_the_begin_arrives() {
        let mut models = Copying::new();
        models.copy_all("shop/1");
        models.copy("shop/1", "model.json", 5_000);
        assert_eq!((models.look(0), models.waiting().len()), (Found::default(), 1));
        models.copy("shop/1", "model.json", usize::MAX);
        models.look(1);
        assert_eq!(models.look(1).arrived, ["shop/1"]);
    }
}
