//! `[model]`: one model, or a folder of models whose deployment says which decides; `[shadow]` and `[drift]`: what is done beside.

use super::Relative;
use crate::deployment::Deployment;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::document::Reader;
use std::path::PathBuf;

/// Which model decides at the start, and where others may come from.
pub(super) struct Models {
    pub(super) active: Option<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    /// None: faulty.
    pub(super) start: Option<Start>,
}

/// What a model does whose folder was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Shadow,
    Active,
    Nothing,
}

/// Where scores of challengers go, and how large their file becomes.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// None: the sink's folder, if it is one, else that of the history.
    pub(crate) path: Option<PathBuf>,
    pub(crate) max_bytes: u64,
}

pub(super) fn shadow(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Scores> {
    // 64 KiB: some hundreds of scores.
    let (path, max_bytes) = (at.path(table, "path"), table.size("max_bytes", 1 << 16..=1 << 44));
    Some(Scores { path: path?, max_bytes: max_bytes? })
}

/// Of which events drift is counted; none: of no event.
#[expect(clippy::option_option, reason = "faulty, none, or a share")]
pub(super) fn drift(table: &mut Reader<'_>) -> Option<Option<Share>> {
    table.number("share", 0.0..=1.0).map(Share::of)
}

pub(super) fn model(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Models> {
    let (path, folder) = (at.path(table, "path"), at.path(table, "folder"));
    let start = [Start::Shadow, Start::Active, Start::Nothing];
    let start = table.one_of("start", &["shadow", "active", "none"]).map(|word| start[word]);
    match (path?, folder?) {
        (Some(_), Some(_)) => {
            let what = "is set, and model.path too; one model, or a folder whose deployment.toml names one"
                .to_owned();
            table.fault("folder", what);
            None
        }
        (None, Some(models)) => match Deployment::read(&models) {
            Ok(deployment) => {
                Some(Models { active: deployment.folder(&models), folder: Some(models), start })
            }
            Err(why) => {
                table.fault("folder", why);
                None
            }
        },
        (active, None) => Some(Models { active, folder: None, start }),
    }
}
