//! `[model]`: one model, or a folder of models whose deployment says which decides.

use super::Relative;
use crate::deployment::Deployment;
use cartguard_engine::document::Reader;
use std::path::PathBuf;

/// Which model decides at the start, and where others may come from.
pub(super) struct Models {
    pub(super) model: Option<PathBuf>,
    pub(super) models: Option<PathBuf>,
}

pub(super) fn model(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Models> {
    let (path, folder) = (at.path(table, "path"), at.path(table, "folder"));
    match (path?, folder?) {
        (Some(_), Some(_)) => {
            let what = "is set, and model.path too; one model, or a folder whose deployment.toml names one"
                .to_owned();
            table.fault("folder", what);
            None
        }
        (None, Some(models)) => match Deployment::read(&models) {
            Ok(deployment) => Some(Models { model: deployment.folder(&models), models: Some(models) }),
            Err(why) => {
                table.fault("folder", why);
                None
            }
        },
        (model, None) => Some(Models { model, models: None }),
    }
}
