//! Days, and what of a day a team of a fixed size would find.
//!
//! scores and times -> **daily** -> `judge`
//!
//! Card precision@k is the Fraud Detection Handbook's (chapter 4): each day the k cards with the highest score of their day
//! are looked at; the share that had a fraud that day is the day's precision, of k whether there were so many or not; a card
//! that was found leaves the days after; the mean over days is the metric.
//!
//! Holds: days are those of UTC that have events; ties are in the order of events.

use std::collections::{HashMap, HashSet};

/// ms.
pub const DAY_MS: i64 = 86_400_000;

/// For each event the number of its day among those with events, from 0, and the days' first ms.
pub(super) fn days(time_ms: &[i64]) -> (Vec<u32>, Vec<i64>) {
    let of = |time: &i64| time.div_euclid(DAY_MS);
    let mut list: Vec<i64> = time_ms.iter().map(of).collect();
    list.sort_unstable();
    list.dedup();
    let mut place = 0;
    let numbers = time_ms
        .iter()
        .map(|time| {
            let day = of(time);
            // Events are most often in order.
            if list.get(place) != Some(&day) {
                place = list.binary_search(&day).unwrap_or(0);
            }
            place as u32
        })
        .collect();
    (numbers, list.into_iter().map(|day| day * DAY_MS).collect())
}

/// The events of each day, in their order.
fn by_day(days: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new(); count];
    for (at, day) in days.iter().enumerate() {
        lists[*day as usize].push(at as u32);
    }
    lists
}

/// By day: of the k events with the highest scores, the share of k that is fraud.
pub(super) fn precision_at(k: usize, scores: &[f64], fraud: &[bool], days: &[u32], count: usize) -> Vec<f64> {
    let top = |mut events: Vec<u32>| {
        events.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        events.iter().take(k).filter(|at| fraud[**at as usize]).count() as f64 / k as f64
    };
    by_day(days, count).into_iter().map(top).collect()
}

/// By day: card precision@k; see the module.
pub(super) fn card_precision_at(
    k: usize,
    scores: &[f64],
    fraud: &[bool],
    cards: &[u64],
    days: &[u32],
    count: usize,
) -> Vec<f64> {
    let mut found: HashSet<u64> = HashSet::new();
    let mut precisions = Vec::with_capacity(count);
    for events in by_day(days, count) {
        // In the order of their first event, so that ties have one.
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut of_day: Vec<(u64, f64, bool)> = Vec::new();
        for at in events {
            let at = at as usize;
            if found.contains(&cards[at]) {
                continue;
            }
            let place = *places.entry(cards[at]).or_insert(of_day.len());
            if place == of_day.len() {
                of_day.push((cards[at], scores[at], fraud[at]));
            } else {
                let (_, highest, any) = &mut of_day[place];
                *highest = highest.max(scores[at]);
                *any |= fraud[at];
            }
        }
        of_day.sort_by(|a, b| b.1.total_cmp(&a.1));
        let hits: Vec<u64> = of_day.iter().take(k).filter(|card| card.2).map(|card| card.0).collect();
        precisions.push(hits.len() as f64 / k as f64);
        found.extend(hits);
    }
    precisions
}

/// Which events are left once cards leave whose fraud is known: those of a card of which no fraud was known when the event's
/// day began. `known` are frauds: card and the time from which they are known.
pub fn without_known_cards(
    time_ms: &[i64],
    cards: &[u64],
    known: impl IntoIterator<Item = (u64, i64)>,
) -> Vec<bool> {
    let mut first: HashMap<u64, i64> = HashMap::new();
    for (card, from) in known {
        first.entry(card).and_modify(|first| *first = from.min(*first)).or_insert(from);
    }
    let begins = |time: i64| time.div_euclid(DAY_MS) * DAY_MS;
    time_ms
        .iter()
        .zip(cards)
        .map(|(time, card)| first.get(card).is_none_or(|known| *known > begins(*time)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_where_there_are_events() {
        let (numbers, starts) = days(&[5, DAY_MS - 1, 3 * DAY_MS, DAY_MS, -1]);
        assert_eq!(numbers, [1, 1, 3, 2, 0]);
        assert_eq!(starts, [-DAY_MS, 0, DAY_MS, 3 * DAY_MS]);
    }

    #[test]
    fn a_day_is_judged_by_its_highest_scores() {
        let scores = [0.9, 0.8, 0.7, 0.9, 0.1];
        let fraud = [true, false, true, false, true];
        assert_eq!(precision_at(2, &scores, &fraud, &[0, 0, 0, 1, 1], 2), [0.5, 0.5]);
        assert_eq!(precision_at(4, &scores, &fraud, &[0, 0, 0, 1, 1], 2), [0.5, 0.25]);
    }

    #[test]
    fn a_found_card_leaves_the_days_after() {
        // Card 1 is found on day 0; on day 1 card 2 moves up for it.
        let scores = [0.9, 0.2, 0.9, 0.3, 0.1];
        let fraud = [false, false, true, true, false];
        let cards = [1, 2, 1, 2, 3];
        assert_eq!(card_precision_at(1, &scores, &fraud, &cards, &[0, 0, 0, 1, 1], 2), [1.0, 1.0]);
        let also = [true, false, true, false, false];
        assert_eq!(card_precision_at(1, &scores, &also, &cards, &[0, 0, 1, 1, 1], 2), [1.0, 0.0]);
    }

    #[test]
    fn a_card_leaves_from_the_day_after_its_fraud_is_known() {
        let times = [0, DAY_MS, DAY_MS + 5, 2 * DAY_MS, 2 * DAY_MS];
        let left = without_known_cards(&times, &[1, 1, 1, 1, 2], [(1, DAY_MS + 1), (1, 9 * DAY_MS)]);
        assert_eq!(left, [true, true, true, false, true]);
        assert_eq!(without_known_cards(&[DAY_MS], &[1], [(1, DAY_MS)]), [false]);
    }
}
