//! How soon each kind of fraud is found: in what share, after how many events, after how much money.
//!
//! scores, labels, kinds, attacks -> **scenarios** -> the report
//!
//! The events of a kind that belong together are an attack; one that stands alone is an attack of its own. An attack is found at its first
//! event whose score is reviewed or declined; its delay is what came of it before that event: none for an attack that is found at
//! its first.
//!
//! Holds: events are told apart by what their labels say alone; the order is that of the events.

use super::Scored;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What the labels say of an event besides fraud or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// A place in the list of kinds; none: the label names no kind.
    pub kind: Option<u32>,
    /// Which attack it is part of; events of one number and kind belong together.
    pub attack: Option<u64>,
}

/// A kind of fraud.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    pub kind: String,
    /// Fraudulent events.
    pub events: u64,
    /// In major units, over all currencies as they stand.
    pub money: f64,
    /// Shares of the events that were reviewed (or declined), and declined.
    pub review_recall: f64,
    pub decline_recall: f64,
    /// Share of the money that was reviewed or declined.
    pub money_caught_share: f64,
    pub attacks: u64,
    /// Attacks of which at least one event was reviewed or declined.
    pub attacks_found: u64,
    /// Events of an attack that was found before it was: half of the attacks, nine of ten, and the mean.
    pub delay_events: Delay,
    /// The same in money that had gone through.
    pub delay_money: Delay,
}

/// What passed before attacks were found; all 0 where none was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delay {
    pub p50: f64,
    pub p90: f64,
    pub mean: f64,
}

/// An attack so far.
#[derive(Clone, Copy, Debug, Default)]
struct Attack {
    kind: u32,
    events: u64,
    money: f64,
    is_found: bool,
}

/// Judges each kind of fraud, by name; fraud without a kind is of the kind `fraud`. `stories` has one for each event.
///
/// # Panics
/// Where the lists are not alike long, or a kind is not in the list.
pub fn scenarios(
    scored: &Scored<'_>,
    stories: &[Story],
    kinds: &[String],
    (review_at, decline_at): (f64, f64),
) -> Vec<Scenario> {
    assert_eq!(scored.scores.len(), stories.len(), "a story for each event");
    let no_kind = kinds.len() as u32;
    let mut sums: BTreeMap<u32, Scenario> = BTreeMap::new();
    let mut attacks: Vec<Attack> = Vec::new();
    let mut known: HashMap<(u32, u64), usize> = HashMap::new();
    for (at, story) in stories.iter().enumerate().filter(|(at, _)| scored.fraud[*at]) {
        let kind = story.kind.unwrap_or(no_kind);
        let name = || kinds.get(kind as usize).map_or("fraud", String::as_str).to_owned();
        let sum = sums.entry(kind).or_insert_with(|| Scenario::nothing(name()));
        let (score, money) = (scored.scores[at], scored.amount[at]);
        let (is_caught, is_declined) = (score >= review_at, score >= decline_at);
        sum.events += 1;
        sum.money += money;
        sum.review_recall += f64::from(u8::from(is_caught || is_declined));
        sum.decline_recall += f64::from(u8::from(is_declined));
        sum.money_caught_share += if is_caught || is_declined { money } else { 0.0 };
        let alone = attacks.len();
        let place = story.attack.map_or(alone, |attack| *known.entry((kind, attack)).or_insert(alone));
        if place == alone {
            attacks.push(Attack { kind, ..Attack::default() });
        }
        let attack = &mut attacks[place];
        attack.is_found |= is_caught || is_declined;
        if !attack.is_found {
            attack.events += 1;
            attack.money += money;
        }
    }
    let mut scenarios: Vec<Scenario> = sums
        .into_iter()
        .map(|(kind, sum)| {
            let own = || attacks.iter().filter(move |attack| attack.kind == kind);
            let found = || own().filter(|attack| attack.is_found);
            Scenario {
                review_recall: sum.review_recall / sum.events as f64,
                decline_recall: sum.decline_recall / sum.events as f64,
                money_caught_share: if sum.money > 0.0 { sum.money_caught_share / sum.money } else { 0.0 },
                attacks: own().count() as u64,
                attacks_found: found().count() as u64,
                delay_events: Delay::of(found().map(|attack| attack.events as f64).collect()),
                delay_money: Delay::of(found().map(|attack| attack.money).collect()),
                ..sum
            }
        })
        .collect();
    scenarios.sort_by(|a, b| a.kind.cmp(&b.kind));
    scenarios
}

impl Scenario {
    fn nothing(kind: String) -> Self {
        Self {
            kind,
            events: 0,
            money: 0.0,
            review_recall: 0.0,
            decline_recall: 0.0,
            money_caught_share: 0.0,
            attacks: 0,
            attacks_found: 0,
            delay_events: Delay::default(),
            delay_money: Delay::default(),
        }
    }
}

impl Delay {
    /// Percentiles are of the nearest rank.
    fn of(mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        let count = delays.len();
        let rank = |share: f64| delays[((share * count as f64).ceil() as usize).clamp(1, count) - 1];
        if count == 0 {
            return Self::default();
        }
        Self { p50: rank(0.5), p90: rank(0.9), mean: delays.iter().sum::<f64>() / count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 2] = ["farm", "card_testing"];

    /// Score, whether it is fraud, amount, kind, attack.
    type Judged = (f64, bool, f64, Option<u32>, Option<u64>);

    fn judged(events: &[Judged]) -> Vec<Scenario> {
        let scores: Vec<f64> = events.iter().map(|event| event.0).collect();
        let fraud: Vec<bool> = events.iter().map(|event| event.1).collect();
        let amount: Vec<f64> = events.iter().map(|event| event.2).collect();
        let stories: Vec<Story> =
            events.iter().map(|event| Story { kind: event.3, attack: event.4 }).collect();
        let time_ms = vec![0; events.len()];
        let scored =
            Scored { scores: &scores, fraud: &fraud, time_ms: &time_ms, amount: &amount, cards: &[] };
        scenarios(&scored, &stories, &KINDS.map(str::to_owned), (0.5, 0.9))
    }

    #[test]
    fn an_attack_is_found_at_its_first_event_that_is_reviewed() {
        let found = judged(&[
            (0.1, true, 10.0, Some(1), Some(7)),
            (0.9, false, 99.0, None, None),
            (0.2, true, 20.0, Some(1), Some(7)),
            (0.6, true, 30.0, Some(1), Some(7)),
            (0.1, true, 40.0, Some(1), Some(7)),
            (0.95, true, 50.0, Some(1), Some(8)),
            (0.1, true, 5.0, Some(1), Some(9)),
        ]);
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.kind.as_str(), one.events, one.money), ("card_testing", 6, 155.0));
        assert_eq!((one.attacks, one.attacks_found), (3, 2));
        assert_eq!((one.review_recall, one.decline_recall), (2.0 / 6.0, 1.0 / 6.0));
        assert_eq!(one.money_caught_share, 80.0 / 155.0);
        assert_eq!(one.delay_events, Delay { p50: 0.0, p90: 2.0, mean: 1.0 });
        assert_eq!(one.delay_money, Delay { p50: 0.0, p90: 30.0, mean: 15.0 });
    }

    #[test]
    fn kinds_are_told_apart_and_fraud_without_one_stands_alone() {
        let found = judged(&[
            (0.1, true, 1.0, Some(0), Some(7)),
            (0.7, true, 1.0, Some(1), Some(7)),
            (0.7, true, 2.0, None, None),
            (0.1, true, 3.0, None, None),
        ]);
        let told: Vec<_> =
            found.iter().map(|one| (one.kind.as_str(), one.attacks, one.attacks_found)).collect();
        assert_eq!(told, [("card_testing", 1, 1), ("farm", 1, 0), ("fraud", 2, 1)]);
        assert_eq!(found[1].delay_events, Delay::default(), "never found");
    }

    #[test]
    fn without_fraud_there_is_nothing_to_tell() {
        assert_eq!(judged(&[(0.7, false, 1.0, Some(0), None)]), []);
    }
}
