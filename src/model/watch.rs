//! Models that change while the service runs.
//!
//! `deployment.toml`, `arrivals` -> **watch** (a thread of its own) -> pipeline
//!
//! Holds: a model decides, or scores beside, only once its folder was checked as at a start, and it is checked only once it has stopped
//! changing; one that is refused is told of, and the one before goes on; everything that a switch needs is made here, and what decided before
//! is dropped here: the engine waits for none of it.

use super::arrivals::{Arrivals, Look, look_of};
use super::folder::{Loaded, load};
use super::known::Known;
use super::standing::Standing;
use crate::config::Start;
use crate::deployment::{self, Act, Deployment};
use crate::pipeline::{Step, Switch, Switcher, Switches};
use crate::shadow::CHALLENGERS_MAX;
use crate::vitals::{ModelsSeen, Vitals};
use anyhow::Context;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::batch::{Prepared, Preparer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked. Arbitrary: at once, for a person.
const EVERY: Duration = Duration::from_millis(500);

/// What is watched.
pub(crate) struct Watched {
    /// Folder of models.
    pub(crate) models: PathBuf,
    /// What is active, by what was last taken.
    pub(crate) active: Option<String>,
    /// What was loaded at the start.
    pub(crate) standing: Standing,
    pub(crate) preparer: Preparer,
    /// What becomes of a model whose folder arrives.
    pub(crate) start: Start,
    pub(crate) drift: Option<Share>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) tell: fn(&str),
}

/// A model that is to decide or to score, and was not taken yet.
struct Candidate {
    look: Look,
    /// As it looked when it was refused, and why.
    refused: Option<(Look, String)>,
}

/// What orders versions, oldest first, the tenth behind the ninth.
fn age(name: &str) -> (&str, u64, &str) {
    let (model, version) = name.split_once('/').unwrap_or((name, ""));
    let digits = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    (model, digits[..end].parse().unwrap_or(0), version)
}

impl Watched {
    /// Watches for as long as the switches are wanted.
    pub(crate) fn start(self) -> anyhow::Result<Switches> {
        let switches = Switches::default();
        let switcher = switches.switcher();
        thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || Watch::new(self, switcher).run())
            .context("the thread that watches models cannot be started")?;
        Ok(switches)
    }
}

/// Models that score in shadow from now on, and whether anything is other than before.
type Followed = (Vec<String>, bool);

/// Why a model that arrived does not start.
enum NotTaken {
    /// It is at fault.
    Refused(String),
    /// Something else is: it is tried again.
    Later(String),
}

struct Watch {
    of: Watched,
    switcher: Switcher,
    arrivals: Arrivals,
    known: Known,
    /// Models that arrived and do not start yet, each with the reason that was told.
    late: BTreeMap<String, String>,
    candidates: BTreeMap<String, Candidate>,
    /// The model that decided before: warm until the next one retires.
    before: Vec<Prepared>,
    /// The last trouble that was told.
    told: String,
}

impl Watch {
    fn new(of: Watched, switcher: Switcher) -> Self {
        let known = Known::read(&of.models);
        let arrivals = Arrivals::new(known.names(&of.models));
        Self {
            of,
            switcher,
            arrivals,
            known,
            late: BTreeMap::new(),
            candidates: BTreeMap::new(),
            before: Vec::new(),
            told: String::new(),
        }
    }

    fn run(mut self) {
        while self.switcher.is_wanted() {
            self.look_for_arrivals();
            match self.follow() {
                Ok(()) => self.told.clear(),
                Err(why) if why == self.told => {}
                Err(why) => {
                    let now = self.of.active.as_deref().unwrap_or("none");
                    (self.of.tell)(&format!("{why}; the model that decides is still {now}"));
                    self.told = why;
                }
            }
            self.let_see();
            thread::sleep(EVERY);
            let retired = self.switcher.retired();
            if !retired.is_empty() {
                self.before = retired;
            }
        }
    }

    /// Folders that were copied.
    fn look_for_arrivals(&mut self) {
        let found = self.arrivals.look(&self.of.models, Instant::now());
        for (name, why) in found.refused {
            (self.of.tell)(&format!("model {name} is refused: {why}"));
        }
        let late = std::mem::take(&mut self.late);
        let mut coming: Vec<&String> = late.keys().chain(&found.arrived).collect();
        coming.sort_by_key(|name| age(name));
        for name in coming {
            match self.admit(name) {
                Ok(told) => (self.of.tell)(&format!("model {name} has arrived: {told}")),
                Err(NotTaken::Refused(why)) => {
                    (self.of.tell)(&format!("model {name} is refused: {why}"));
                    self.arrivals.refuse(&self.of.models, name, &why);
                }
                Err(NotTaken::Later(why)) => {
                    if late.get(name) != Some(&why) {
                        (self.of.tell)(&format!("model {name} has arrived, and starts later: {why}"));
                    }
                    self.late.insert(name.clone(), why);
                }
            }
        }
        // Whoever comes next has those start that did not start yet.
        let Some(mut known) = self.arrivals.known() else { return };
        known.retain(|name| !self.late.contains_key(name));
        if let Some(why) = self.known.keep(known) {
            (self.of.tell)(&why);
        }
    }

    /// Has a model that is whole start as is configured; what becomes of it, or why nothing does.
    fn admit(&self, name: &str) -> Result<&'static str, NotTaken> {
        load(&self.of.models.join(name), self.of.preparer.plan())
            .map_err(|fault| NotTaken::Refused(fault.to_string()))?;
        if self.of.start == Start::Nothing {
            return Ok("it is good, and waits for cartguard model activate or shadow");
        }
        // A command may change the deployment at the same moment, or the folder may be one that only others write.
        let _lock = deployment::lock(&self.of.models)
            .map_err(|why| NotTaken::Later(format!("{:#}", anyhow::Error::new(why))))?;
        let now = Deployment::read(&self.of.models).map_err(NotTaken::Later)?;
        if now.active.as_deref() == Some(name) || now.shadow.contains_key(name) {
            return Ok("it is in the deployment already");
        }
        let (next, action, told) = match self.of.start {
            Start::Active => (now.with_active(name), "activate", "it is to decide"),
            Start::Shadow if now.shadow.len() >= CHALLENGERS_MAX => {
                return Err(NotTaken::Later(format!(
                    "{CHALLENGERS_MAX} models are in shadow already; cartguard model shadow NAME/VERSION --off takes one out"
                )));
            }
            Start::Shadow | Start::Nothing => (now.with_shadow(name, 1.0), "shadow", "it scores in shadow"),
        };
        let model = (self.of.start == Start::Shadow).then_some(name);
        now.replace(&self.of.models, &next, Act { action, model, by: "service" }).map_err(NotTaken::Later)?;
        Ok(told)
    }

    /// Takes what the deployment says now.
    fn follow(&mut self) -> Result<(), String> {
        let deployment = Deployment::read(&self.of.models)?;
        let active = deployment.active.clone();
        self.candidates
            .retain(|name, _| active.as_ref() == Some(name) || deployment.shadow.contains_key(name));
        let (model, mut first) = match self.follow_active(active) {
            Ok(model) => (model, None),
            Err(why) => (None, Some(why)),
        };
        let (in_shadow, is_other) = match self.follow_shadow(&deployment.shadow) {
            Ok(followed) => followed,
            Err((followed, why)) => {
                first.get_or_insert(why);
                followed
            }
        };
        if model.is_some() || is_other {
            let told =
                model.as_ref().map(|model| format!("model {} decides from the next batch on", model.version));
            let roster = self.of.standing.roster(self.of.preparer.plan(), self.of.drift);
            // Both before the same batch: nobody scores beside itself, and what is counted of a batch is of one deployment.
            self.switcher.put(Step { model, roster: Some(roster) });
            // Said once it is so: what comes after the line is decided by this model.
            if let Some(told) = told {
                (self.of.tell)(&told);
            }
            for name in in_shadow {
                (self.of.tell)(&format!("model {name} scores in shadow from the next batch on"));
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// The model that is to decide from now on, if it is another one.
    fn follow_active(&mut self, active: Option<String>) -> Result<Option<Switch>, String> {
        if active == self.of.active {
            return Ok(None);
        }
        let Some(name) = active else {
            return Err(format!("{}: names no active model any more", self.of.models.display()));
        };
        let Some(Loaded { version, scorer, baseline }) = self.load(&name)? else { return Ok(None) };
        let scorer = Arc::new(scorer);
        self.of.standing.trained = baseline.map(|baseline| (scorer.features.clone(), Arc::new(baseline)));
        let prepared = self.of.preparer.prepare(Some(scorer));
        self.of.active = Some(name);
        Ok(Some(Switch { version, prepared }))
    }

    /// Who scores beside from now on: the models that are new, whether anything is other than before, and what is wrong with one of them.
    fn follow_shadow(&mut self, shadow: &BTreeMap<String, f64>) -> Result<Followed, (Followed, String)> {
        let mut changed = false;
        let active = self.of.active.clone();
        let is_wanted = |name: &String| shadow.contains_key(name) && active.as_ref() != Some(name);
        self.of.standing.challengers.retain(|name, _| {
            changed |= !is_wanted(name);
            is_wanted(name)
        });
        let (mut first, mut new) = (None, Vec::new());
        for (name, share) in shadow.iter().filter(|(name, _)| is_wanted(name)).take(CHALLENGERS_MAX) {
            if let Some((_, known)) = self.of.standing.challengers.get_mut(name) {
                changed |= known != share;
                *known = *share;
                continue;
            }
            match self.load(name) {
                Ok(None) => {}
                Ok(Some(loaded)) => {
                    let challenger = (Arc::new(loaded.scorer), *share);
                    self.of.standing.challengers.insert(name.clone(), challenger);
                    new.push(name.clone());
                    changed = true;
                }
                Err(why) => {
                    first.get_or_insert(why);
                }
            }
        }
        match first {
            None => Ok((new, changed)),
            Some(why) => Err(((new, changed), why)),
        }
    }

    /// A model that is to be taken, once it has stopped changing; nothing while it has not, or was refused as it looks now.
    fn load(&mut self, name: &str) -> Result<Option<Loaded>, String> {
        let folder = self.of.models.join(name);
        let look = look_of(&folder);
        match self.candidates.get_mut(name) {
            Some(known) if known.look == look => {
                if let Some((refused, why)) = &known.refused
                    && *refused == look
                {
                    return Err(format!("model {name} is refused: {why}"));
                }
            }
            known => {
                let refused = known.and_then(|known| known.refused.take());
                self.candidates.insert(name.to_owned(), Candidate { look, refused });
                return Ok(None);
            }
        }
        match load(&folder, self.of.preparer.plan()) {
            Ok(loaded) => {
                self.candidates.remove(name);
                Ok(Some(loaded))
            }
            Err(fault) => {
                let why = fault.to_string();
                self.candidates.insert(
                    name.to_owned(),
                    Candidate { look: look.clone(), refused: Some((look, why.clone())) },
                );
                Err(format!("model {name} is refused: {why}"))
            }
        }
    }

    fn let_see(&self) {
        let [mut waiting, mut refused] = self.arrivals.seen();
        waiting.extend(self.late.clone());
        let of_deployment = self.candidates.iter();
        refused.extend(of_deployment.filter_map(|(name, one)| Some((name.clone(), one.refused.clone()?.1))));
        let challengers = self.of.standing.challengers.iter();
        let challengers = challengers.map(|(name, (_, share))| (name.clone(), *share)).collect();
        let active = self.of.active.clone();
        self.of.vitals.see_models(ModelsSeen { active, challengers, waiting, refused });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_version_comes_behind_the_ninth() {
        let mut names = ["shop/10", "shop/v9", "shop/9", "shop/2026-01", "cart/11"];
        names.sort_by_key(|name| age(name));
        assert_eq!(names, ["cart/11", "shop/9", "shop/v9", "shop/10", "shop/2026-01"]);
    }
}
