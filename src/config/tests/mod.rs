//! The configuration: defaults, layers, every fault, and the files that come along.

mod faults;
mod files;
mod fuzz;
mod labels;
mod layers;

use super::{Flag, Given, Loaded, load_text};

/// Loads a file's text with flags `key=value`.
fn load(text: &str, flags: &[&str]) -> Result<Loaded, Vec<String>> {
    let given = Given { flags: flags.iter().map(|text| Flag::set(text)).collect(), ..Given::default() };
    load_text(Some(("shop.toml", text)), &given)
        .map_err(|refused| refused.faults.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn loaded(text: &str, flags: &[&str]) -> Loaded {
    load(text, flags).unwrap_or_else(|faults| panic!("{}", faults.join("\n")))
}
