//! Switches of models while the service runs.
//!
//! `deployment.toml` -> **watch** (a thread of its own) -> pipeline
//!
//! Holds: a model decides only once its folder was checked as at a start; one that is refused is told of, and the one before goes on; the
//! engine waits for none of it.

use super::folder::{load, version_of};
use crate::deployment::Deployment;
use crate::pipeline::Switch;
use anyhow::Context;
use cartguard_engine::features::plan::Plan;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often it is looked. Arbitrary: at once, for a person.
const EVERY: Duration = Duration::from_millis(500);

/// What is watched.
pub(crate) struct Watched {
    /// Folder of models.
    pub(crate) models: PathBuf,
    /// What was active at the start.
    pub(crate) active: Option<String>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) tell: fn(&str),
}

impl Watched {
    /// Watches until nobody wants to hear of it.
    pub(crate) fn start(self) -> anyhow::Result<Receiver<Switch>> {
        let (switches, to_pipeline) = bounded(1);
        thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || self.run(&switches))
            .context("the thread that watches models cannot be started")?;
        Ok(to_pipeline)
    }

    fn run(mut self, switches: &Sender<Switch>) {
        // The last trouble that was told.
        let mut told = String::new();
        loop {
            thread::sleep(EVERY);
            match self.look() {
                Ok(None) => told.clear(),
                Ok(Some(switch)) => {
                    (self.tell)(&format!("model {} decides from the next batch on", switch.version));
                    told.clear();
                    if switches.send(switch).is_err() {
                        return;
                    }
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
    fn look(&mut self) -> Result<Option<Switch>, String> {
        let deployment = Deployment::read(&self.models)?;
        let Some(active) = deployment.active.clone().filter(|active| self.active.as_ref() != Some(active))
        else {
            return Ok(None);
        };
        let folder = self.models.join(&active);
        let version = version_of(&folder).map_err(|fault| fault.to_string())?;
        let scorer = Arc::new(load(&folder, &self.plan).map_err(|fault| fault.to_string())?);
        self.active = Some(active);
        Ok(Some(Switch { version, scorer }))
    }
}
