//! Make margins probabilities: fit the map of `cartguard_forest::Calibration`.
//!
//! margins and labels of events that the model was not trained on -> **calibrate** -> map
//!
//! Two maps are fitted: Platt's (linfa), which is one straight line, and an isotonic one of a few broad steps. The one with the
//! lower log loss on days that it did not see is kept, fitted again on all.
//!
//! The isotonic map is of bins, so that none rests on a handful of frauds: from the lowest margin up, a bin ends where it has
//! enough frauds or a twentieth of all events. Neighbours whose shares of fraud fall are pooled until none do (pool
//! adjacent violators); half a fraud and half another event are added to each (Jeffreys' prior), or a bin without fraud would
//! be of no odds at all. A line joins the bins' mean margins.
//!
//! Holds: the map rises, so calibrating changes no order.

use crate::metrics::honesty;
use crate::trainer::TrainError;
use cartguard_forest::Calibration;
use linfa::ParamGuard as _;
use linfa::composing::platt_scaling::{Platt, platt_newton_method};
use ndarray::ArrayView1;

/// Frauds of a bin, at least. Arbitrary: its share is then known to a third.
const BIN_FRAUDS_MIN: usize = 10;
/// Bins that end by their frauds, about at most.
const BINS_BY_FRAUD: usize = 40;
/// Bins that end by their events, about at most.
const BINS_BY_EVENTS: usize = 20;

/// A map and how it was chosen.
#[derive(Clone, Debug)]
pub struct Fit {
    /// `platt` or `isotonic`.
    pub method: &'static str,
    pub map: Calibration,
    /// Mean log loss on days that were not seen, of each method that could be fitted.
    pub log_loss: Vec<(&'static str, f64)>,
}

/// Margins of events and their labels; `days` are numbers of any kind.
#[derive(Clone, Copy, Debug)]
pub struct Margins<'a> {
    pub margins: &'a [f64],
    pub fraud: &'a [bool],
    pub days: &'a [i64],
}

type Method = fn(&[f64], &[bool]) -> Result<Calibration, String>;
const METHODS: [(&str, Method); 2] = [("platt", platt), ("isotonic", isotonic)];

/// Fits both maps and keeps the better one.
pub fn fit(given: Margins<'_>) -> Result<Fit, TrainError> {
    let mut log_loss = Vec::new();
    let mut best: Option<(f64, &'static str, Calibration)> = None;
    let mut faults = Vec::new();
    for (name, method) in METHODS {
        let fitted = held_out(given, method)
            .and_then(|loss| Ok((loss, method(given.margins, given.fraud)?)))
            .map_err(|what| faults.push(format!("{name}: {what}")));
        let Ok((loss, map)) = fitted else { continue };
        log_loss.push((name, loss));
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, name, map));
        }
    }
    match best {
        Some((_, method, map)) => Ok(Fit { method, map, log_loss }),
        None => Err(TrainError::Rows(format!("the scores cannot be calibrated: {}", faults.join("; ")))),
    }
}

/// Mean log loss on every other day of a map of the days between, both ways.
fn held_out(given: Margins<'_>, method: Method) -> Result<f64, String> {
    let part = |odd: bool| -> (Vec<f64>, Vec<bool>) {
        let of = |at: &usize| (given.days[*at].rem_euclid(2) == 1) == odd;
        (0..given.margins.len()).filter(of).map(|at| (given.margins[at], given.fraud[at])).unzip()
    };
    let halves = [part(false), part(true)];
    let mut sum = 0.0;
    for (seen, other) in [(0, 1), (1, 0)] {
        let map = method(&halves[seen].0, &halves[seen].1)?;
        let (margins, fraud) = &halves[other];
        let scores: Vec<f64> = margins.iter().map(|margin| map.score_of(*margin)).collect();
        sum += honesty::log_loss(&scores, fraud) * margins.len() as f64;
    }
    Ok(sum / given.margins.len() as f64)
}

/// Platt's map: log odds that are a line of the margin.
fn platt(margins: &[f64], fraud: &[bool]) -> Result<Calibration, String> {
    both(fraud)?;
    let params = Platt::<f64, ()>::params().check().map_err(|error| error.to_string())?;
    let (a, b) = platt_newton_method(ArrayView1::from(margins), ArrayView1::from(fraud), &params)
        .map_err(|error| error.to_string())?;
    // linfa's is 1 / (1 + exp(a * margin + b)).
    let log_odds = |margin: f64| -(a * margin + b);
    Calibration::new(vec![-1.0, 1.0], vec![log_odds(-1.0), log_odds(1.0)])
        .map_err(|_| format!("the line does not rise (its slope is {})", -a))
}

/// Some events with margins next to each other.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    margins: f64,
    events: f64,
    frauds: f64,
}

impl Bin {
    fn share(&self) -> f64 {
        (self.frauds + 0.5) / (self.events + 1.0)
    }
}

fn isotonic(margins: &[f64], fraud: &[bool]) -> Result<Calibration, String> {
    both(fraud)?;
    let frauds = fraud.iter().filter(|fraud| **fraud).count();
    let enough_frauds = (frauds / BINS_BY_FRAUD).max(BIN_FRAUDS_MIN) as f64;
    let enough_events = (margins.len() / BINS_BY_EVENTS).max(1) as f64;
    let mut order: Vec<u32> = (0..margins.len() as u32).collect();
    order.sort_unstable_by(|a, b| margins[*a as usize].total_cmp(&margins[*b as usize]).then(a.cmp(b)));
    let mut pooled: Vec<Bin> = Vec::new();
    let mut bin = Bin::default();
    for (place, &at) in order.iter().enumerate() {
        let at = at as usize;
        bin.margins += margins[at];
        bin.events += 1.0;
        bin.frauds += f64::from(u8::from(fraud[at]));
        let next = order.get(place + 1).map(|next| margins[*next as usize]);
        let is_full = bin.frauds >= enough_frauds || bin.events >= enough_events;
        if next.is_none() || (is_full && next != Some(margins[at])) {
            pool(&mut pooled, std::mem::take(&mut bin));
        }
    }
    let log_odds = |bin: &Bin| (bin.share() / (1.0 - bin.share())).ln();
    let places = pooled.iter().map(|bin| (bin.margins / bin.events, log_odds(bin)));
    let (margin_at, log_odds): (Vec<f64>, Vec<f64>) = places.unzip();
    Calibration::new(margin_at, log_odds)
        .map_err(|_| "the share of fraud does not rise with the margin".to_owned())
}

/// Adds a bin, together with those before it that have no lower share.
fn pool(pooled: &mut Vec<Bin>, mut bin: Bin) {
    while let Some(before) = pooled.last().copied().filter(|before| before.share() >= bin.share()) {
        pooled.pop();
        bin.margins += before.margins;
        bin.events += before.events;
        bin.frauds += before.frauds;
    }
    pooled.push(bin);
}

fn both(fraud: &[bool]) -> Result<(), String> {
    let frauds = fraud.iter().filter(|fraud| **fraud).count();
    if frauds == 0 || frauds == fraud.len() {
        return Err(format!(
            "{} events with {frauds} frauds: both labels are needed on every other day",
            fraud.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Margins, and labels drawn with these log odds of a margin.
    fn drawn(events: usize, truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>, Vec<i64>) {
        let mut draw = Draw::new(11);
        let margins: Vec<f64> = (0..events).map(|_| draw.share() * 10.0 - 5.0).collect();
        let fraud =
            margins.iter().map(|margin| draw.share() < 1.0 / (1.0 + (-truth(*margin)).exp())).collect();
        let days = (0..events as i64).map(|at| at / 500).collect();
        (margins, fraud, days)
    }

    fn fitted(events: usize, truth: impl Fn(f64) -> f64) -> Fit {
        let (margins, fraud, days) = drawn(events, truth);
        fit(Margins { margins: &margins, fraud: &fraud, days: &days }).expect("a map")
    }

    #[test]
    fn a_line_is_found_by_platt() {
        let fit = fitted(20_000, |margin| 0.8 * margin - 2.0);
        assert_eq!(fit.method, "platt", "{:?}", fit.log_loss);
        for margin in [-4.0, 0.0, 4.0] {
            assert!((fit.map.log_odds_of(margin) - (0.8 * margin - 2.0)).abs() < 0.25, "{:?}", fit.map);
        }
    }

    #[test]
    fn a_bent_truth_is_found_by_the_isotonic_map() {
        let truth =
            |margin: f64| if margin < 1.0 { -5.0 + 0.1 * margin } else { -5.0 + 2.5 * (margin - 1.0) };
        let fit = fitted(40_000, truth);
        assert_eq!(fit.method, "isotonic", "{:?}", fit.log_loss);
        for margin in [-3.0, 2.0, 3.0, 4.5] {
            let (said, seen) = (fit.map.log_odds_of(margin), truth(margin));
            assert!((said - seen).abs() < 0.6, "{margin}: {said} for {seen}");
        }
    }

    #[test]
    fn margins_that_say_nothing_are_refused() {
        let (margins, fraud, days) = drawn(5_000, |margin| -margin);
        let fault = fit(Margins { margins: &margins, fraud: &fraud, days: &days }).expect_err("falls");
        let fault = fault.to_string();
        assert!(fault.contains("platt: the line does not rise") && fault.contains("isotonic: "), "{fault}");
        let none = fit(Margins { margins: &margins, fraud: &vec![false; 5_000], days: &days });
        assert!(none.expect_err("no fraud").to_string().contains("both labels are needed"));
    }

    #[test]
    fn pooled_shares_rise() {
        let mut pooled = Vec::new();
        for (events, frauds) in [(100.0, 2.0), (100.0, 1.0), (50.0, 10.0), (40.0, 8.0), (10.0, 9.0)] {
            pool(&mut pooled, Bin { margins: 0.0, events, frauds });
        }
        let shown: Vec<(f64, f64)> = pooled.iter().map(|bin| (bin.events, bin.frauds)).collect();
        assert_eq!(shown, [(200.0, 3.0), (50.0, 10.0), (40.0, 8.0), (10.0, 9.0)]);
        assert!(pooled.windows(2).all(|pair| pair[0].share() < pair[1].share()));
    }

    #[test]
    fn the_same_margins_give_the_same_map() {
        let (one, other) = (fitted(5_000, |margin| margin - 2.0), fitted(5_000, |margin| margin - 2.0));
        assert_eq!(one.map, other.map);
    }
}
