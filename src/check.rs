//! `cartguard check`: is the configuration right?

use crate::cli::{ConfigArguments, complain, say};
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
    for warning in &loaded.config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let name =
        arguments.config.config.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
    let schema = loaded.config.schema();
    say(&format!(
        "{name}: ok, {} entities, {} fields, {} features ({})\n",
        schema.entities.len(),
        schema.fields.len(),
        loaded.config.feature_set().features.len(),
        loaded.config.features_name,
    ))
}
