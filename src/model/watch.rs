//! Switches of models while the service runs.
//!
//! `deployment.toml` -> **watch** (a thread of its own) -> pipeline
//!
//! Holds: a model decides only once its folder was checked as at a start, and it is checked only once it has stopped changing; one that is
//! refused is told of, and the one before goes on; the engine waits for none of it.

use super::folder::load;
use crate::deployment::Deployment;
use crate::pipeline::{Switch, Switcher, Switches};
use anyhow::Context;
use cartguard_engine::features::plan::Plan;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

/// How often it is looked. Arbitrary: at once, for a person.
const EVERY: Duration = Duration::from_millis(500);

/// What a folder looks like from outside: names, sizes, times. A copy that is under way looks different each time.
type Look = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// What is watched.
pub(crate) struct Watched {
    /// Folder of models.
    pub(crate) models: PathBuf,
    /// What is active, by what was last taken.
    pub(crate) active: Option<String>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) tell: fn(&str),
}

/// A model that is active and was not taken yet.
struct Candidate {
    name: String,
    look: Look,
    /// As it looked when it was refused.
    refused: Option<Look>,
}

impl Watched {
    /// Watches for as long as the switches are wanted.
    pub(crate) fn start(self) -> anyhow::Result<Switches> {
        let switches = Switches::default();
        let switcher = switches.switcher();
        thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || self.run(&switcher))
            .context("the thread that watches models cannot be started")?;
        Ok(switches)
    }

    fn run(mut self, switcher: &Switcher) {
        let mut candidate = None;
        // The last trouble that was told.
        let mut told = String::new();
        while switcher.is_wanted() {
            thread::sleep(EVERY);
            match self.look(&mut candidate) {
                Ok(None) => told.clear(),
                Ok(Some(switch)) => {
                    (self.tell)(&format!("model {} decides from the next batch on", switch.version));
                    switcher.put(switch);
                }
                Err(why) if why == told => {}
                Err(why) => {
                    let now = self.active.as_deref().unwrap_or("none");
                    (self.tell)(&format!("{why}; the model that decides is still {now}"));
                    told = why;
                }
            }
        }
    }

    /// Another model that is active now, and whole.
    fn look(&mut self, candidate: &mut Option<Candidate>) -> Result<Option<Switch>, String> {
        let deployment = Deployment::read(&self.models)?;
        if deployment.active == self.active {
            *candidate = None;
            return Ok(None);
        }
        let Some(name) = deployment.active else {
            return Err(format!("{}: names no active model any more", self.models.display()));
        };
        let folder = self.models.join(&name);
        let look = look_of(&folder);
        match candidate {
            Some(known) if known.name == name && known.look == look => {
                if known.refused.as_ref() == Some(&look) {
                    return Ok(None);
                }
            }
            // It is looked at again once it has stopped changing.
            _ => {
                let refused =
                    candidate.take().filter(|known| known.name == name).and_then(|known| known.refused);
                *candidate = Some(Candidate { name, look, refused });
                return Ok(None);
            }
        }
        match load(&folder, &self.plan) {
            Ok((version, scorer)) => {
                self.active = Some(name);
                *candidate = None;
                Ok(Some(Switch { version, scorer: Arc::new(scorer) }))
            }
            Err(fault) => {
                if let Some(known) = candidate {
                    known.refused = Some(look);
                }
                Err(format!("model {name} is refused: {fault}"))
            }
        }
    }
}

/// Nothing where it cannot be read.
fn look_of(folder: &Path) -> Look {
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

#[cfg(test)]
mod tests {
    use super::*;
    use cartguard_engine::batch::Scorer;
    use cartguard_engine::decide::Thresholds;
    use cartguard_forest::{Format, Model};

    #[test]
    fn of_several_switches_before_a_batch_the_last_decides() {
        let switches = Switches::default();
        let switcher = switches.switcher();
        let text =
            r#"{"format":"cartguard.logistic","version":1,"features":["a"],"weights":[1.0],"intercept":0.0}"#;
        let model = Arc::new(Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("a model"));
        for version in ["good/2", "good/1"] {
            let thresholds = Thresholds { review_at: 0.5, decline_at: 0.9 };
            let scorer =
                Scorer { name: version.to_owned(), model: model.clone(), features: vec![0], thresholds };
            assert!(switcher.put(Switch { version: version.to_owned(), scorer: Arc::new(scorer) }));
        }
        assert_eq!(switches.take().map(|switch| switch.version).as_deref(), Some("good/1"));
        assert!(switches.take().is_none());
        drop(switches);
        assert!(!switcher.is_wanted());
    }
}
