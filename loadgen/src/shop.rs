//! A web shop: customers with habits, and people who attack it.
//!
//! rhythm of day and week -> **shop** -> generator
//!
//! An arrival is a customer by popularity, a newcomer or a guest; a declined payment is often tried
//! again, a few orders are followed by another. Attacks and flash sales begin by chance with arrivals
//! and then run on the agenda beside them.
//!
//! Holds: shares of attacks and flash sales are of all events at any rate; state is the agenda and
//! some thousand newcomers, nothing a customer (people are drawn from their number).
//! Not here: what people own (`people`), what they buy (`basket`), how attackers behave (`attack`),
//! the JSON (`order`).

mod attack;
mod basket;
mod order;
mod people;

use crate::clock::Clock;
use crate::generator::{Agenda, Moment, Scene, Truth};
use crate::rng::{Names, Rng};
use crate::settings::Settings;
use crate::zipf::Zipf;
use attack::{Campaign, Plan};
use basket::Basket;
use order::{Outcome, Writer};
use people::{People, Visit, Who};

/// Arrivals who are new to the shop, and who were new lately. Arbitrary.
const NEWCOMER: f64 = 0.03;
const RECENT: f64 = 0.03;
const RECENT_MAX: usize = 4_096;
/// Declined customers who try again, and orders that are followed by another one. Arbitrary.
const RETRY: f64 = 0.65;
const ONE_MORE: f64 = 0.015;
/// Follow-ups an arrival, measured over a million events: keeps the total at the rate asked for.
const FOLLOW_UPS: f64 = 0.045;
/// Chargebacks by customers who did buy, as a share of the attacks: nothing in the event tells, but some customers do it again.
const FRIENDLY: f64 = 0.04;

pub(crate) struct Shop {
    rng: Rng,
    zipf: Zipf,
    people: People,
    clock: Clock,
    arrivals: u64,
    next_ms: i64,
    agenda: Agenda<Task>,
    plan: Plan,
    friendly_chance: f64,
    newcomers: Newcomers,
    writer: Writer,
}

enum Task {
    /// A customer comes back within minutes: after a decline, or for one more thing.
    Again(Again),
    /// The next event of an attack or a flash sale.
    Next(Box<Campaign>),
}

#[derive(Debug, Clone, Copy)]
struct Again {
    visit: Visit,
    /// Of the basket: a second attempt carries the same.
    basket: u64,
    attempt: u32,
}

/// Accounts opened during the run, the latest of them by number.
struct Newcomers {
    first: u64,
    created_ms: Vec<i64>,
    count: u64,
}

impl Newcomers {
    fn open(&mut self, created_ms: i64) -> Who {
        let place = self.count as usize % RECENT_MAX;
        if place == self.created_ms.len() {
            self.created_ms.push(created_ms);
        } else {
            self.created_ms[place] = created_ms;
        }
        self.count += 1;
        Who { number: self.first + self.count - 1, created_ms: Some(created_ms) }
    }

    fn recent(&self, rng: &mut Rng) -> Option<Who> {
        let kept = self.created_ms.len() as u64;
        let number = self.count.checked_sub(1 + rng.below(kept.max(1)))?;
        Some(Who {
            number: self.first + number,
            created_ms: Some(self.created_ms[number as usize % RECENT_MAX]),
        })
    }
}

impl Shop {
    pub(crate) fn new(settings: &Settings) -> Self {
        let others = settings.attacks + settings.flash_sales;
        let arriving = settings.rate * (1.0 - settings.duplicates) * (1.0 - others) / (1.0 + FOLLOW_UPS);
        let names = Names::new(settings.seed);
        let mut new = Self {
            rng: Rng::new(settings.seed, 1),
            zipf: Zipf::new(settings.customers, settings.zipf),
            people: People::new(names, settings.customers, settings.start_ms),
            clock: Clock::rhythmic(settings.start_ms, arriving),
            arrivals: 0,
            next_ms: 0,
            agenda: Agenda::new(),
            plan: Plan::new(settings, 1.0 + FOLLOW_UPS),
            friendly_chance: settings.attacks * FRIENDLY,
            // Attackers' accounts have numbers of their own from the same range.
            newcomers: Newcomers { first: u64::from(settings.customers), created_ms: Vec::new(), count: 0 },
            writer: Writer::new(names),
        };
        new.next_arrival();
        new
    }

    fn next_arrival(&mut self) {
        let place = self.rng.unit();
        self.next_ms = self.clock.at(self.arrivals, place);
        self.arrivals += 1;
    }

    fn arrival(&mut self, event: Moment, out: &mut Vec<u8>) -> Truth {
        let chance = self.rng.unit();
        let recent = if chance < NEWCOMER {
            let made_ms = self.rng.between(60_000, 1_800_000) as i64;
            Some(self.newcomers.open(event.time_ms - made_ms))
        } else if chance < NEWCOMER + RECENT {
            self.newcomers.recent(&mut self.rng)
        } else {
            None
        };
        let who = recent
            .unwrap_or_else(|| Who { number: u64::from(self.zipf.draw(&mut self.rng)), created_ms: None });
        let visit = self.people.visit(who, event.time_ms, &mut self.rng);
        let basket = self.rng.word();
        self.legit(event, Again { visit, basket, attempt: 0 }, out)
    }

    /// Writes a customer's attempt to pay and plans what follows from it.
    fn legit(&mut self, event: Moment, mut again: Again, out: &mut Vec<u8>) -> Truth {
        let outcome = Outcome::of_customer(&self.people, &again.visit, again.attempt, &mut self.rng);
        let basket = Basket::of_customer(self.people.names(), again.visit.who.number, again.basket);
        let order = self.people.order(&again.visit, basket, outcome, event.time_ms, &mut self.rng);
        self.writer.write(event, &order, out);
        if outcome.declined {
            if again.attempt < 3 && self.rng.chance(RETRY) {
                again.attempt += 1;
                if self.rng.chance(0.3) {
                    again.visit.card_slot += 1;
                }
                let after_ms = self.rng.between(12_000, 180_000) as i64;
                self.agenda.add(event.due_ms + after_ms, Task::Again(again));
            }
        } else if self.rng.chance(ONE_MORE) {
            again.attempt = 0;
            again.basket = self.rng.word();
            let after_ms = self.rng.between(90_000, 1_800_000) as i64;
            self.agenda.add(event.due_ms + after_ms, Task::Again(again));
        }
        if self.rng.chance(self.friendly_chance * self.people.dispute_factor(again.visit.who.number)) {
            return Truth::alone(true, "friendly_fraud");
        }
        Truth::alone(false, "normal")
    }

    fn campaign(&mut self, event: Moment, mut campaign: Box<Campaign>, out: &mut Vec<u8>) -> Truth {
        let mut cast = attack::Cast {
            people: &self.people,
            zipf: &self.zipf,
            rng: &mut self.rng,
            open: &mut |created_ms| self.newcomers.open(created_ms),
        };
        let order = campaign.order(event.time_ms, &mut cast);
        self.writer.write(event, &order, out);
        let truth = campaign.truth();
        if campaign.left > 0 {
            let gap_ms = campaign.gap_ms(&mut self.rng);
            self.agenda.add(event.due_ms + gap_ms, Task::Next(campaign));
        }
        truth
    }
}

impl Scene for Shop {
    fn due_ms(&self) -> i64 {
        self.next_ms.min(self.agenda.due_ms())
    }

    fn write(&mut self, event: Moment, out: &mut Vec<u8>) -> Truth {
        if self.agenda.due_ms() < self.next_ms
            && let Some((_, task)) = self.agenda.take()
        {
            return match task {
                Task::Again(again) => self.legit(event, again, out),
                Task::Next(campaign) => self.campaign(event, campaign, out),
            };
        }
        let truth = self.arrival(event, out);
        if let Some(campaign) = self.plan.begin(&self.zipf, &mut self.rng) {
            let after_ms = campaign.gap_ms(&mut self.rng);
            self.agenda.add(self.next_ms + after_ms, Task::Next(Box::new(campaign)));
        }
        self.next_arrival();
        truth
    }
}
