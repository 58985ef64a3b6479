//! `cartguard check`: is the configuration right, and does its model fit it?

use crate::cli::{ConfigArguments, complain, refuse, say};
use crate::engine;
use crate::exit::Exit;
use clap::Args;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// Tells every fault and ends with 2, or what is configured and ends with 0.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let loaded = match arguments.config.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let scorer = match engine::scorer(&loaded.config, &engine::plan(&loaded.config)) {
        Ok(scorer) => scorer,
        Err(fault) => return refuse(&[loaded.fault("model.path", fault)]),
    };
    for warning in &loaded.config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let name =
        arguments.config.config.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
    let schema = loaded.config.schema();
    let model = scorer.map_or_else(String::new, |scorer| format!(", model {}", scorer.name));
    say(&format!(
        "{name}: ok, {} entities, {} fields, {} features ({}){model}\n",
        schema.entities.len(),
        schema.fields.len(),
        loaded.config.feature_set().features.len(),
        loaded.config.features_name,
    ))
}
