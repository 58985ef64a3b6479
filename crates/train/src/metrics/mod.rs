//! How good a model is, on events whose truth is known.
//!
//! scores, labels, times, amounts, cards -> **metrics** -> a `Judgement`, for the table, the JSON and the report
//!
//! `ranking` (ROC area, average precision, recall at few false positives), `daily` (precision of the k highest a day, of
//! events and of cards), `honesty` (calibration, Brier score, log loss), `bootstrap` (intervals), `scenarios` (how soon
//! each kind of attack is found); money here.
//!
//! Holds: every number has its definition in a test that computes it as slowly as it can be, or in one that holds it to
//! scikit-learn's; the same scores give the same judgement.

pub mod bootstrap;
pub mod daily;
pub mod honesty;
pub mod ranking;
pub mod scenarios;

use bootstrap::Interval;
use daily::DAY_MS;
use honesty::Bin;
use ranking::{FALSE_POSITIVES, Point, Ranking};
use serde::Serialize;

/// Events with their scores, all lists alike long.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    pub scores: &'a [f64],
    pub fraud: &'a [bool],
    pub time_ms: &'a [i64],
    /// In major units.
    pub amount: &'a [f64],
    /// Whose card each is, as any number; empty where cards are not told apart.
    pub cards: &'a [u64],
}

/// What a judgement depends on besides the events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Events, and cards, that a team looks at a day.
    pub k: usize,
    /// Scores from which an event is reviewed, and declined.
    pub review_at: f64,
    pub decline_at: f64,
}

/// A number and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub interval: Option<Interval>,
}

/// What is estimated, in the order of [`Judgement::estimates`].
pub const METRICS: [&str; COUNT] = [
    "auc",
    "average_precision",
    "recall_at_fpr_0.1%",
    "recall_at_fpr_0.5%",
    "recall_at_fpr_1%",
    "precision_at_k",
    "card_precision_at_k",
    "brier",
    "log_loss",
    "review_precision",
    "review_recall",
    "review_share_of_events",
    "decline_precision",
    "decline_recall",
    "money_caught_share",
];
const COUNT: usize = 15;

/// Everything that is told of a model on some events.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    pub events: u64,
    pub frauds: u64,
    pub days: usize,
    /// By [`METRICS`].
    pub estimates: Vec<(&'static str, Estimate)>,
    /// Fraud that was reviewed or declined, and fraud that passed, in major units.
    pub money_caught: f64,
    pub money_lost: f64,
    pub calibration: Vec<Bin>,
    pub weeks: Vec<Week>,
    pub curve: Vec<Point>,
}

/// Seven days, counted from midnight UTC of the first event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Week {
    pub from_ms: i64,
    pub events: u64,
    pub frauds: u64,
    pub auc: f64,
    pub average_precision: f64,
    pub review_precision: f64,
    pub review_recall: f64,
    pub money_caught: f64,
    pub money_lost: f64,
    /// Mean score and share of fraud.
    pub said: f64,
    pub seen: f64,
}

/// Two models on the same events: what the second has more than the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub metric: &'static str,
    pub first: f64,
    pub second: f64,
    pub difference: Estimate,
}

impl Judgement {
    /// The estimate of a metric; `None` for a name that is none of [`METRICS`].
    pub fn of(&self, metric: &str) -> Option<Estimate> {
        self.estimates.iter().find(|(name, _)| *name == metric).map(|(_, estimate)| *estimate)
    }
}

/// Judges scores.
///
/// # Panics
/// Where the lists are not alike long, or k is 0.
pub fn judge(scored: &Scored<'_>, settings: &Settings) -> Judgement {
    let measured = Measured::new(scored, settings);
    let whole = measured.measure(&measured.once());
    let draws = bootstrap::draws(measured.days, |weights| measured.measure(weights));
    let estimates = METRICS
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let interval = bootstrap::interval(draws.iter().map(|draw| draw[at]).collect());
            (*name, Estimate { value: whole[at], interval })
        })
        .collect();
    let money = |caught: bool| {
        let frauds = (0..scored.fraud.len()).filter(|at| scored.fraud[*at]);
        frauds
            .filter(|at| (scored.scores[*at] >= settings.review_at) == caught)
            .map(|at| scored.amount[at])
            .sum()
    };
    Judgement {
        events: scored.fraud.len() as u64,
        frauds: scored.fraud.iter().filter(|fraud| **fraud).count() as u64,
        days: measured.days,
        estimates,
        money_caught: money(true),
        money_lost: money(false),
        calibration: honesty::bins(scored.scores, scored.fraud),
        weeks: weeks(scored, settings),
        curve: ranking::curve(scored.scores, scored.fraud, 400),
    }
}

/// Compares the scores of two models of the same events.
///
/// # Panics
/// As [`judge`].
pub fn compare(first: &Scored<'_>, second: &Scored<'_>, settings: [&Settings; 2]) -> Vec<Difference> {
    let (one, other) = (Measured::new(first, settings[0]), Measured::new(second, settings[1]));
    let (a, b) = (one.measure(&one.once()), other.measure(&other.once()));
    let draws = bootstrap::draws(one.days, |weights| {
        let (a, b) = (one.measure(weights), other.measure(weights));
        std::array::from_fn::<f64, COUNT, _>(|at| b[at] - a[at])
    });
    METRICS
        .iter()
        .enumerate()
        .map(|(at, metric)| Difference {
            metric,
            first: a[at],
            second: b[at],
            difference: Estimate {
                value: b[at] - a[at],
                interval: bootstrap::interval(draws.iter().map(|draw| draw[at]).collect()),
            },
        })
        .collect()
}

/// Sums by day, and the ranking: what is needed to measure any draw of days.
struct Measured {
    days: usize,
    ranking: Ranking,
    sums: Vec<Sums>,
    precision_at: Vec<f64>,
    card_precision_at: Vec<f64>,
}

/// Of a day.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    events: f64,
    frauds: f64,
    squares: f64,
    surprises: f64,
    reviewed: f64,
    reviewed_frauds: f64,
    declined: f64,
    declined_frauds: f64,
    money: f64,
    money_caught: f64,
}

impl Measured {
    fn new(scored: &Scored<'_>, settings: &Settings) -> Self {
        let Scored { scores, fraud, time_ms, amount, cards } = *scored;
        let events = scores.len();
        assert!(settings.k > 0, "k is above 0");
        assert!([fraud.len(), time_ms.len(), amount.len()] == [events; 3], "lists of one length are needed");
        assert!(cards.is_empty() || cards.len() == events, "a card for each event, or for none");
        let (day_of, starts) = daily::days(time_ms);
        let days = starts.len();
        let mut sums = vec![Sums::default(); days];
        for at in 0..events {
            let (sum, score, is_fraud) = (&mut sums[day_of[at] as usize], scores[at], fraud[at]);
            let one = f64::from(u8::from(is_fraud));
            sum.events += 1.0;
            sum.frauds += one;
            sum.squares += honesty::square(score, is_fraud);
            sum.surprises += honesty::surprise(score, is_fraud);
            let (review, decline) = (score >= settings.review_at, score >= settings.decline_at);
            sum.reviewed += f64::from(u8::from(review));
            sum.reviewed_frauds += one * f64::from(u8::from(review));
            sum.declined += f64::from(u8::from(decline));
            sum.declined_frauds += one * f64::from(u8::from(decline));
            sum.money += one * amount[at];
            sum.money_caught += if review { one * amount[at] } else { 0.0 };
        }
        Self {
            days,
            ranking: Ranking::new(scores, fraud, &day_of, days),
            sums,
            precision_at: daily::precision_at(settings.k, scores, fraud, &day_of, days),
            card_precision_at: if cards.is_empty() {
                vec![f64::NAN; days]
            } else {
                daily::card_precision_at(settings.k, scores, fraud, cards, &day_of, days)
            },
        }
    }

    /// Every day once.
    fn once(&self) -> Vec<u32> {
        vec![1; self.days]
    }

    /// By [`METRICS`].
    fn measure(&self, weights: &[u32]) -> [f64; COUNT] {
        let ranked = self.ranking.pass(weights);
        let weighted = |of: &dyn Fn(usize) -> f64| -> f64 {
            weights.iter().enumerate().map(|(day, weight)| f64::from(*weight) * of(day)).sum()
        };
        let sum = |of: fn(&Sums) -> f64| weighted(&|day| of(&self.sums[day]));
        let days = weighted(&|_| 1.0);
        let (events, frauds) = (sum(|sums| sums.events), sum(|sums| sums.frauds));
        let (reviewed, declined) = (sum(|sums| sums.reviewed), sum(|sums| sums.declined));
        [
            ranked.auc,
            ranked.average_precision,
            ranked.recall[0],
            ranked.recall[1],
            ranked.recall[2],
            weighted(&|day| self.precision_at[day]) / days,
            weighted(&|day| self.card_precision_at[day]) / days,
            sum(|sums| sums.squares) / events,
            sum(|sums| sums.surprises) / events,
            sum(|sums| sums.reviewed_frauds) / reviewed,
            sum(|sums| sums.reviewed_frauds) / frauds,
            reviewed / events,
            sum(|sums| sums.declined_frauds) / declined,
            sum(|sums| sums.declined_frauds) / frauds,
            sum(|sums| sums.money_caught) / sum(|sums| sums.money),
        ]
    }
}

fn weeks(scored: &Scored<'_>, settings: &Settings) -> Vec<Week> {
    let Some(first) = scored.time_ms.iter().min() else { return Vec::new() };
    let start = first.div_euclid(DAY_MS) * DAY_MS;
    let of = |time: i64| ((time - start) / (7 * DAY_MS)) as usize;
    let count = scored.time_ms.iter().map(|time| of(*time)).max().unwrap_or(0) + 1;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, time) in scored.time_ms.iter().enumerate() {
        members[of(*time)].push(at);
    }
    let week = |(number, events): (usize, &Vec<usize>)| {
        let scores: Vec<f64> = events.iter().map(|at| scored.scores[*at]).collect();
        let fraud: Vec<bool> = events.iter().map(|at| scored.fraud[*at]).collect();
        let ranked = Ranking::new(&scores, &fraud, &vec![0; events.len()], 1).pass(&[1]);
        let count = |of: &dyn Fn(usize) -> bool| (0..events.len()).filter(|at| of(*at)).count() as f64;
        let frauds = count(&|at| fraud[at]);
        let reviewed = count(&|at| scores[at] >= settings.review_at);
        let hits = count(&|at| fraud[at] && scores[at] >= settings.review_at);
        let money = |caught: bool| -> f64 {
            let frauds = (0..events.len()).filter(|at| fraud[*at]);
            let chosen = frauds.filter(|at| (scores[*at] >= settings.review_at) == caught);
            chosen.map(|at| scored.amount[events[at]]).sum()
        };
        Week {
            from_ms: start + number as i64 * 7 * DAY_MS,
            events: events.len() as u64,
            frauds: frauds as u64,
            auc: ranked.auc,
            average_precision: ranked.average_precision,
            review_precision: hits / reviewed,
            review_recall: hits / frauds,
            money_caught: money(true),
            money_lost: money(false),
            said: scores.iter().sum::<f64>() / events.len() as f64,
            seen: frauds / events.len() as f64,
        }
    };
    members.iter().enumerate().filter(|(_, events)| !events.is_empty()).map(week).collect()
}

/// The names of [`FALSE_POSITIVES`] stand in [`METRICS`].
const _: () = assert!(FALSE_POSITIVES.len() == 3);

#[cfg(test)]
mod tests;
