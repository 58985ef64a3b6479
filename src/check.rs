//! `cartguard check`: is the configuration right, and does its model fit it?

use crate::cli::{ConfigArguments, complain, refuse, say};
use crate::config::{self, Refused};
use crate::engine;
use crate::exit::Exit;
use crate::model;
use cartguard_engine::document::{Fault, Faults};
use clap::Args;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// Tells every fault and ends with 2, or what is configured and ends with 0.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let loaded = match config::read(&arguments.config.given(Vec::new())) {
        Ok(loaded) => loaded,
        Err(refused) => return refuse(&with_model(refused)),
    };
    let plan = engine::plan(&loaded.config);
    let named = match loaded.model.as_ref().map(|at| (at, model::load(&at.folder, &plan))) {
        Some((at, Err(fault))) => return refuse(&[at.fault(fault)]),
        Some((_, Ok(loaded))) => format!(", model {}", loaded.scorer.name),
        None => String::new(),
    };
    for warning in &loaded.config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let name =
        arguments.config.config.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
    let schema = loaded.config.schema();
    say(&format!(
        "{name}: ok, {} entities, {} fields, {} features ({}){named}\n",
        schema.entities.len(),
        schema.fields.len(),
        loaded.config.feature_set().features.len(),
        loaded.config.features_name,
    ))
}

/// The faults with what is wrong with the model's folder, in the order of the texts.
fn with_model(refused: Refused) -> Vec<Fault> {
    let Some(at) = refused.model else { return refused.faults };
    let faults = Faults::default();
    faults.extend(refused.faults);
    // A path that is told already, as a placeholder, is no folder.
    if !faults.concern(at.key) {
        let looked = match &refused.plan {
            Some(plan) => model::load(&at.folder, plan).map(drop),
            None => model::look(&at.folder),
        };
        faults.extend(looked.err().map(|fault| at.fault(fault)));
    }
    faults.take()
}
