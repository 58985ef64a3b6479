//! Customers and what belongs to them: cards, devices, nets, addresses, habits.
//!
//! Holds: everything is drawn from the customer's number and the time, so there is no table and no
//! order of visits that matters; a device, a card or a flat is the same until the customer's next
//! change of it. Households share an address and a net, colleagues an office's net.
//! Not here: which customer comes (`shop`), fraudsters (`attack`).

use super::basket::Basket;
use super::order::{Address, COUNTRIES, Order, Outcome, Session};
use crate::rng::{Names, Rng, mix, scale};

const DAY_MS: i64 = 86_400_000;
/// People an address and an office have on average, phone networks' gateways, BINs. Arbitrary.
const HOUSEHOLD: u64 = 2;
const OFFICE: u64 = 60;
const GATEWAYS: u64 = 3_000;
pub(crate) const BINS: u64 = 400;
/// One customer in so many disputes payments by habit. Arbitrary.
const HABITUAL: u64 = 64;
/// Common mail domains; see `order`.
const DOMAINS_COMMON: u64 = 12;

/// Names of attributes; see [`Names`].
mod what {
    pub(super) const PROFILE: u64 = 40;
    pub(super) const AGE: u64 = 41;
    pub(super) const CARD: u64 = 42;
    pub(super) const DEVICE: u64 = 43;
    pub(super) const HOUSEHOLD: u64 = 44;
    pub(super) const HOME: u64 = 45;
    pub(super) const NET: u64 = 46;
    pub(super) const OFFICE: u64 = 47;
    pub(super) const GATEWAY: u64 = 48;
    pub(super) const CONTACT: u64 = 49;
    pub(super) const BIN: u64 = 50;
    pub(super) const DISPUTES: u64 = 51;
}

/// A customer; newcomers carry the time of their account, the others' follows from the number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    pub(crate) number: u64,
    pub(crate) created_ms: Option<i64>,
}

/// One sitting at a device: what a second attempt shares with the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) who: Who,
    pub(crate) card_slot: u64,
    pub(crate) device: Option<u64>,
    pub(crate) ip: Option<u32>,
    pub(crate) ship: Address,
    pub(crate) session: u64,
    pub(crate) started_ms: i64,
    pub(crate) channel: u8,
}

pub(crate) struct People {
    names: Names,
    households: u64,
    offices: u64,
    start_ms: i64,
}

impl People {
    pub(crate) fn new(names: Names, customers: u32, start_ms: i64) -> Self {
        let customers = u64::from(customers);
        Self { names, households: customers / HOUSEHOLD + 1, offices: customers / OFFICE + 1, start_ms }
    }

    pub(crate) fn names(&self) -> Names {
        self.names
    }

    /// A customer comes to the shop.
    pub(crate) fn visit(&self, who: Who, time_ms: i64, rng: &mut Rng) -> Visit {
        let profile = self.profile(who.number);
        let draw = rng.word();
        let channel = match draw & 0xff {
            0..148 => 0,
            148..248 => 1,
            _ => 2,
        };
        // By phone there is no device, no net and no session.
        let by_phone = channel == 2;
        let device = if by_phone || draw >> 8 & 0xff < 6 {
            None
        } else {
            Some(self.device(who.number, draw >> 16, time_ms))
        };
        let ip = if by_phone || draw >> 32 & 0xff < 1 {
            None
        } else {
            Some(self.ip(who.number, rng.word(), time_ms))
        };
        let ship = match draw >> 40 & 0xff {
            // A present, or a colleague who takes the parcel.
            0..14 => self.home(scale(rng.word(), self.households * HOUSEHOLD), time_ms),
            14..26 => Address { hash: mix(profile ^ 0x77), ..self.home(who.number, time_ms) },
            _ => self.home(who.number, time_ms),
        };
        Visit {
            who,
            card_slot: if (draw >> 48).is_multiple_of(4) { draw >> 50 & 3 } else { 0 },
            device,
            ip,
            ship,
            session: rng.word(),
            started_ms: time_ms - rng.exponential(480_000.0) as i64 - 20_000,
            channel,
        }
    }

    /// The order that a visit leads to.
    pub(crate) fn order(
        &self,
        visit: &Visit,
        basket: Basket,
        outcome: Outcome,
        time_ms: i64,
        rng: &mut Rng,
    ) -> Order {
        let number = visit.who.number;
        let profile = self.profile(number);
        let draw = rng.word();
        let card = self.card(number, visit.card_slot, time_ms);
        let guest = profile >> 40 & 0xff < 31 && visit.who.created_ms.is_none();
        let sum = basket.cents();
        let discount_cents = match draw & 0xff {
            0..20 => Some(sum / 10),
            20..26 => Some(sum / 5),
            _ => None,
        };
        let mut ship = visit.ship;
        ship.method = match draw >> 8 & 0xff {
            0..170 => 0,
            170..205 => 1,
            205..240 => 2,
            _ => 3,
        };
        Order {
            customer: (!guest).then_some(number),
            card,
            bin: self.bin(card),
            device: visit.device,
            ip: visit.ip,
            contact: self.contact(number),
            email_domain: self.email_domain(number),
            phone: (profile >> 48 & 0xff > 40).then(|| mix(self.contact(number) ^ 1)),
            name: (draw >> 16 & 0xff > 3).then(|| mix(self.contact(number) ^ 2)),
            created_ms: (!guest).then(|| self.created_ms(visit.who)),
            seller: {
                let place = crate::rng::unit(mix(draw));
                (place * place * 3_000.0) as u32
            },
            basket,
            ship: Some(ship),
            bill: (draw >> 24 & 0xff > 8).then(|| self.home(number, time_ms)),
            discount_cents,
            channel: visit.channel,
            session: (visit.channel < 2 && draw >> 32 & 0xff > 4).then(|| Session {
                id: visit.session,
                started_ms: visit.started_ms,
                pages: 2 + (rng.exponential(9.0) as u32).min(120),
            }),
            outcome,
            country: self.country(number),
        }
    }

    pub(crate) fn country(&self, number: u64) -> u8 {
        COUNTRIES.by_share(self.names.of(what::HOUSEHOLD, self.household(number)))
    }

    /// How often payments of this customer fail, of 256: most hardly ever, some often.
    pub(crate) fn trouble(&self, number: u64) -> u64 {
        match self.profile(number) >> 56 {
            0..12 => 50,
            12..60 => 14,
            _ => 6,
        }
    }

    /// How much likelier than others this customer is to dispute a payment for what came: half of all such disputes are from the one
    /// in 64 who makes a habit of it.
    pub(crate) fn dispute_factor(&self, number: u64) -> f64 {
        if scale(self.names.of(what::DISPUTES, number), HABITUAL) == 0 { HABITUAL as f64 / 2.0 } else { 0.5 }
    }

    /// Mostly the first device, sometimes the second, rarely one never seen before.
    fn device(&self, number: u64, draw: u64, time_ms: i64) -> u64 {
        match draw & 0xff {
            0..5 => mix(draw ^ number << 20),
            5..60 => self.changing(what::DEVICE, number * 4 + 1, time_ms, 200, 700),
            _ => self.changing(what::DEVICE, number * 4, time_ms, 300, 900),
        }
    }

    pub(crate) fn card(&self, number: u64, slot: u64, time_ms: i64) -> u64 {
        let have = 1 + (self.profile(number) >> 8 & 0xff) % 3;
        self.changing(what::CARD, number * 4 + slot % have, time_ms, 500, 1_400)
    }

    pub(crate) fn bin(&self, card: u64) -> u32 {
        // The square makes some banks big.
        let place = crate::rng::unit(mix(card ^ what::BIN));
        self.bin_of_bank((place * place * BINS as f64) as u64)
    }

    pub(crate) fn bin_of_bank(&self, bank: u64) -> u32 {
        400_000 + scale(self.names.of(what::BIN, bank), 159_999) as u32
    }

    pub(crate) fn contact(&self, number: u64) -> u64 {
        self.names.of(what::CONTACT, number)
    }

    pub(crate) fn email_domain(&self, number: u64) -> u8 {
        let place = crate::rng::unit(mix(self.contact(number)));
        (place * place * DOMAINS_COMMON as f64) as u8
    }

    pub(crate) fn created_ms(&self, who: Who) -> i64 {
        let before = || {
            let place = crate::rng::unit(self.names.of(what::AGE, who.number));
            // Up to 8 years, a quarter within the last half year.
            self.start_ms - (place * place * 8.0 * 365.25 * DAY_MS as f64) as i64
        };
        who.created_ms.unwrap_or_else(before)
    }

    /// Where the customer lives now.
    pub(crate) fn home(&self, number: u64, time_ms: i64) -> Address {
        let household = self.household(number);
        let word = self.changing(what::HOME, household, time_ms, 500, 4_000);
        Address {
            country: self.country(number),
            postal: (word >> 20) as u32 % 100_000,
            hash: word,
            method: 0,
        }
    }

    /// At home, at work, on the phone's net, or on a journey.
    fn ip(&self, number: u64, draw: u64, time_ms: i64) -> u32 {
        let hour = time_ms.rem_euclid(DAY_MS) / 3_600_000;
        let at_work = (7..17).contains(&hour) && draw & 0xff < 70 && self.profile(number) >> 16 & 1 == 0;
        if at_work {
            let office = scale(mix(self.profile(number)), self.offices);
            return address_in(self.country(number), self.names.of(what::OFFICE, office));
        }
        match draw >> 8 & 0xff {
            0..52 => {
                address_in(self.country(number), self.names.of(what::GATEWAY, scale(mix(draw), GATEWAYS)))
            }
            52..54 => address_in(COUNTRIES.by_share(mix(draw ^ 1)), mix(draw)),
            _ => {
                let net = self.changing(what::NET, self.household(number), time_ms, 20, 120);
                address_in(self.country(number), net)
            }
        }
    }

    fn profile(&self, number: u64) -> u64 {
        self.names.of(what::PROFILE, number)
    }

    fn household(&self, number: u64) -> u64 {
        scale(self.names.of(what::HOUSEHOLD, number), self.households)
    }

    /// Something that is replaced after a span between `low` and `high` days, own to each.
    fn changing(&self, kind: u64, who: u64, time_ms: i64, low: u64, high: u64) -> u64 {
        let word = self.names.of(kind, who);
        let span_ms = (low + (word >> 32) % (high - low)) as i64 * DAY_MS;
        let since = time_ms + i64::from(word as u32 % 4_000) * DAY_MS;
        mix(word.wrapping_add(since.div_euclid(span_ms) as u64))
    }
}

/// An address in one of the country's 16 blocks of 65,536.
pub(crate) fn address_in(country: u8, word: u64) -> u32 {
    let block = 0x5000 + u32::from(country) * 0x100 + (word >> 40 & 15) as u32 * 7;
    block << 16 | word as u32 & 0xffff
}

/// An address of a data centre: no customer's.
pub(crate) fn datacentre(word: u64) -> u32 {
    (0x2d00 + (word >> 40 & 31) as u32) << 16 | word as u32 & 0xffff
}
