//! From history to rows with labels, to a model, to a report: what `rows`, `train`, `evaluate` and `backtest` share.
//!
//! files -> engine -> **training** (`gather`, `labels` -> `split` -> `fit`, `refit` -> `judge`, `report`) -> commands
//!
//! Holds: a row is what the engine hands out when the event is scored; a label counts in training only from the time on from
//! which it was known.
//! Not here: trainers, metrics (crates/train), the model folder (`model`).

mod bars;
mod fit;
mod gather;
mod judge;
mod labels;
mod notes;
mod refit;
mod report;
mod split;

pub(crate) use bars::Bars;
pub(crate) use fit::{Algorithm, Fitted, Wish, fit};
pub(crate) use gather::{Ask, Gathered, Passage, gather, names, pass};
pub(crate) use judge::{Eye, ScoredModel, judge, midnight, scored, seen};
pub(crate) use notes::training;
pub(crate) use refit::{Refits, Refitted};
pub(crate) use report::{ModelReport, Report, html, json, text};
pub(crate) use split::{Said, Split, duration, instant, shown, time};

use crate::cli::complain;
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::signals::Stop;
use cartguard_train::TrainError;

/// Tells why a command ended early, and gives its code. A signal is no failure of anything.
pub(crate) fn ended(why: &anyhow::Error, stop: &Stop) -> Exit {
    let is_cancelled = why.chain().any(|why| matches!(why.downcast_ref(), Some(TrainError::Cancelled)));
    if let (true, Some((name, exit))) = (is_cancelled, stop.signal()) {
        complain(&format!("cartguard: {name}: ended; nothing is written\n"));
        return exit;
    }
    complain(&format!("cartguard: {why:#}\n"));
    match why.downcast_ref::<TrainError>() {
        Some(TrainError::Rows(_)) => Exit::Refused,
        _ => Exit::of(why),
    }
}

/// The entity whose keys are cards: the one named, or `customer` or `card` where the configuration has one.
pub(crate) fn card(config: &Config, named: Option<&str>) -> Result<Option<usize>, Refusal> {
    let entities = &config.schema().entities;
    let place = |name: &str| entities.iter().position(|entity| entity.name == name);
    match named {
        None => Ok(place("customer").or_else(|| place("card"))),
        Some(name) => place(name).map(Some).ok_or_else(|| {
            let known: Vec<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
            Refusal(format!(
                "--card {name}: the configuration has no such entity; it has {}",
                known.join(", ")
            ))
        }),
    }
}
