//! Which folders of models a service has seen, so that the next one knows what was copied while none ran.
//!
//! `models/.known`, `deployment.toml`, the audit log -> **known** -> `arrivals`
//!
//! Holds: the file has a name a line and is there whole or not at all; where it is absent no service ever watched these models, and what lies
//! there was put there by somebody who asked for nothing. A folder that the deployment or its audit log names is known too: a command was given
//! about it, also where it was taken out or rolled back.
//! Not here: what becomes of a folder that is not known (`watch`).

use crate::deployment;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the folder of models.
const KNOWN: &str = ".known";

/// See the module.
pub(super) struct Known {
    path: PathBuf,
    /// As the file has them; none: there is no file.
    written: Option<BTreeSet<String>>,
    /// Why the file could not be written, as it was told.
    told: Option<String>,
}

impl Known {
    /// Of a folder of models. A file that cannot be read is as good as none.
    pub(super) fn read(models: &Path) -> Self {
        let path = models.join(KNOWN);
        let text = fs::read_to_string(&path).ok();
        let written = text.map(|text| text.lines().map(str::to_owned).collect());
        Self { path, written, told: None }
    }

    /// The folders that were seen before; none where all that is there counts as seen.
    pub(super) fn names(&self, models: &Path) -> Option<BTreeSet<String>> {
        let mut names = self.written.clone()?;
        names.extend(deployment::named(models));
        Some(names)
    }

    /// From now on these are known. What keeps it from being written, once.
    pub(super) fn keep(&mut self, names: BTreeSet<String>) -> Option<String> {
        if self.written.as_ref() == Some(&names) {
            return None;
        }
        match put(&self.path, &names) {
            Ok(()) => {
                self.written = Some(names);
                self.told = None;
                None
            }
            Err(why) => {
                let why = format!(
                    "{}: cannot be written: {why}; models that are copied while no service runs may not start by themselves",
                    self.path.display()
                );
                let is_new = self.told.as_ref() != Some(&why);
                self.told = Some(why.clone());
                is_new.then_some(why)
            }
        }
    }
}

fn put(path: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    deployment::put(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::{Act, Deployment};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_a_service_saw_and_what_a_command_was_about_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let models = folder.path();
        let act = |action, model| Act { action, model, by: "command" };
        let first = Deployment::default().with_active("a/1");
        Deployment::default().replace(models, &first, act("activate", None)).expect("a folder");
        let mut known = Known::read(models);
        assert_eq!(known.names(models), None, "nobody ever watched");
        assert_eq!(known.keep(set(&["a/1", "a/2"])), None);
        // While nobody runs: one is tried in shadow and taken out again, another decides for a while.
        let tried = first.with_shadow("a/3", 1.0);
        first.replace(models, &tried, act("shadow", Some("a/3"))).expect("a folder");
        tried.replace(models, &first, act("shadow_off", Some("a/3"))).expect("a folder");
        let other = first.with_active("a/4");
        first.replace(models, &other, act("activate", None)).expect("a folder");
        other.replace(models, &first, act("rollback", None)).expect("a folder");
        let known = Known::read(models);
        assert_eq!(known.names(models), Some(set(&["a/1", "a/2", "a/3", "a/4"])));
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join(KNOWN)).expect("a folder in the place of the file");
        let mut known = Known::read(folder.path());
        let told = known.keep(set(&["a/1"])).expect("it cannot be written");
        assert!(told.contains(KNOWN) && told.contains("cannot be written"), "{told}");
        assert_eq!((known.keep(set(&["a/1"])), known.names(folder.path())), (None, None));
    }
}
