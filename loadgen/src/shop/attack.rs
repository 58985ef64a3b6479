//! Attacks, and the flash sale that looks like one.
//!
//! arrivals -> plan (one begins by chance) -> **campaign** (event after event) -> order
//!
//! Holds: of all events the shares of `Settings::attacks` and `flash_sales` belong to campaigns, at
//! any rate; some campaigns of each kind are careful and hard to tell from customers.
//! Not here: chargebacks by customers who did buy (`shop`).

use super::basket::Basket;
use super::order::{Address, DOMAINS_DISPOSABLE, Order, Outcome, Session};
use super::people::{BINS, People, Who, address_in, datacentre};
use crate::generator::Truth;
use crate::rng::{Rng, mix};
use crate::settings::Settings;
use crate::zipf::Zipf;

const SECOND_MS: f64 = 1_000.0;
const MINUTE_MS: f64 = 60_000.0;
/// Attackers who try to look like customers. Arbitrary.
const CAREFUL: f64 = 0.3;
/// Addresses to which goods of taken accounts go: rings share them. Arbitrary.
const DROPS: u64 = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One machine and one bank's cards: small amounts, most declined.
    CardTesting,
    /// A dormant customer's account, from a new device and net to a new address.
    AccountTakeover,
    /// A few devices, many fresh accounts, promotions, the same addresses.
    DeviceFarm,
    /// A false shop takes orders elsewhere and fills them here: others' cards, articles in demand, parcels to those who ordered.
    Triangulation,
    /// Many customers, one article, within minutes. Not fraud.
    FlashSale,
}

/// Kind, share of the attacks (of 1; flash sales apart), events of a campaign from and to.
const ATTACKS: [(Kind, f64, u64, u64); 4] = [
    (Kind::CardTesting, 0.40, 30, 140),
    (Kind::AccountTakeover, 0.18, 1, 4),
    (Kind::DeviceFarm, 0.30, 15, 75),
    (Kind::Triangulation, 0.12, 8, 40),
];
const FLASH_SALE: (u64, u64) = (300, 1_100);

/// How often each kind begins.
pub(crate) struct Plan {
    /// Chances an arrival, added up.
    chances: [(Kind, f64, u64, u64); 5],
    /// Campaigns so far.
    begun: u64,
}

impl Plan {
    /// `events_per_arrival`: an arrival and what follows from it.
    pub(crate) fn new(settings: &Settings, events_per_arrival: f64) -> Self {
        let legit = 1.0 - settings.attacks - settings.flash_sales;
        let chance =
            |share: f64, low: u64, high: u64| share / legit * events_per_arrival * 2.0 / (low + high) as f64;
        let [a, b, c, d] = ATTACKS
            .map(|(kind, share, low, high)| (kind, chance(settings.attacks * share, low, high), low, high));
        let (low, high) = FLASH_SALE;
        let mut chances = [a, b, c, d, (Kind::FlashSale, chance(settings.flash_sales, low, high), low, high)];
        let mut sum = 0.0;
        for entry in &mut chances {
            sum += entry.1;
            entry.1 = sum;
        }
        Self { chances, begun: 0 }
    }

    /// At most one campaign begins with an arrival.
    pub(crate) fn begin(&mut self, zipf: &Zipf, rng: &mut Rng) -> Option<Campaign> {
        let draw = rng.unit();
        let &(kind, _, low, high) = self.chances.iter().find(|entry| draw < entry.1)?;
        let left = rng.between(low, high);
        let careful = rng.chance(CAREFUL);
        let mean_gap_ms = match (kind, careful) {
            (Kind::CardTesting, false) => (3.0 + 15.0 * rng.unit()) * SECOND_MS,
            (Kind::CardTesting, true) => (2.0 + 8.0 * rng.unit()) * MINUTE_MS,
            (Kind::AccountTakeover, _) => 15.0 * MINUTE_MS,
            (Kind::DeviceFarm, false) => (4.0 + 20.0 * rng.unit()) * MINUTE_MS,
            (Kind::DeviceFarm, true) => (60.0 + 120.0 * rng.unit()) * MINUTE_MS,
            (Kind::Triangulation, false) => (20.0 + 60.0 * rng.unit()) * MINUTE_MS,
            (Kind::Triangulation, true) => (120.0 + 240.0 * rng.unit()) * MINUTE_MS,
            (Kind::FlashSale, _) => (0.5 + 2.5 * rng.unit()) * SECOND_MS,
        };
        // Unpopular customers: nothing has been seen of most of them for long.
        let count = u64::from(zipf.count());
        let victim = count / 20 + rng.below(count - count / 20);
        self.begun += 1;
        let (number, base) = (self.begun, rng.word());
        Some(Campaign {
            kind,
            number,
            base,
            left,
            done: 0,
            careful,
            mean_gap_ms,
            victim,
            accounts: Vec::new(),
        })
    }
}

/// One attack or sale that is going on.
pub(crate) struct Campaign {
    kind: Kind,
    /// From 1, in the order in which they began.
    number: u64,
    /// What is the campaign's own is drawn from it.
    base: u64,
    pub(crate) left: u64,
    done: u64,
    careful: bool,
    mean_gap_ms: f64,
    victim: u64,
    /// Those that it opened to use again.
    accounts: Vec<Who>,
}

/// Who and what a campaign can use.
pub(crate) struct Cast<'a> {
    pub(crate) people: &'a People,
    pub(crate) zipf: &'a Zipf,
    pub(crate) rng: &'a mut Rng,
    /// Opens an account.
    pub(crate) open: &'a mut dyn FnMut(i64) -> Who,
}

impl Campaign {
    pub(crate) fn gap_ms(&self, rng: &mut Rng) -> i64 {
        rng.exponential(self.mean_gap_ms) as i64
    }

    pub(crate) fn truth(&self) -> Truth {
        let kind = match self.kind {
            Kind::CardTesting => "card_testing",
            Kind::AccountTakeover => "account_takeover",
            Kind::DeviceFarm => "device_farm",
            Kind::Triangulation => "triangulation",
            Kind::FlashSale => return Truth::alone(false, "flash_sale"),
        };
        Truth { fraud: true, kind, attack: Some(self.number) }
    }

    /// The campaign's next event.
    pub(crate) fn order(&mut self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        let order = match self.kind {
            Kind::CardTesting => self.card_testing(time_ms, cast),
            Kind::AccountTakeover => self.account_takeover(time_ms, cast),
            Kind::DeviceFarm => self.device_farm(time_ms, cast),
            Kind::Triangulation => self.triangulation(time_ms, cast),
            Kind::FlashSale => self.flash_sale(time_ms, cast),
        };
        self.left -= 1;
        self.done += 1;
        order
    }

    fn card_testing(&self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        // The careful change machine and net every few cards and buy what customers buy.
        let turn = if self.careful { self.done / 4 } else { self.done / 60 };
        let place = mix(self.base ^ turn);
        let draw = cast.rng.word();
        // A sixth are second tries of the card before.
        let card =
            mix(self.base ^ 0xca4d ^ (self.done - u64::from(draw.is_multiple_of(6) && self.done > 0)) << 20);
        let (low, high) = if self.careful { (500, 4_000) } else { (100, 600) };
        let seed = if (draw >> 8).is_multiple_of(4) { draw } else { self.base };
        let basket = Basket::single(cast.people.names(), seed, low, high, 1);
        let account =
            (draw >> 10 & 1 == 0).then(|| (cast.open)(time_ms - cast.rng.between(20_000, 300_000) as i64));
        let mut order = self.stranger(account, place, time_ms, cast, basket);
        order.card = card;
        order.bin = cast.people.bin_of_bank(self.base % BINS);
        order.device = (self.careful || self.base >> 20 & 3 != 0).then_some(mix(place ^ 1));
        order.ip = Some(if self.careful {
            address_in(order.country, mix(place ^ 2))
        } else {
            datacentre(mix(place ^ 2))
        });
        order.seller = (self.base >> 32) as u32 % 3_000;
        order.outcome = Outcome::draw(cast.rng, if self.careful { 130 } else { 200 }, 90, 110);
        order
    }

    fn account_takeover(&self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        let people = cast.people;
        let names = people.names();
        let who = Who { number: self.victim, created_ms: None };
        let mut visit = people.visit(who, time_ms, cast.rng);
        let size = if self.careful { 0 } else { cast.rng.between(1, 3) };
        let basket = Basket::resaleable(names, cast.rng.word(), size);
        let outcome = Outcome::draw(cast.rng, 36, if self.careful { 6 } else { 30 }, 30);
        visit.channel = 0;
        visit.device = Some(mix(self.base ^ 1));
        let country = people.country(self.victim);
        visit.ip = Some(match self.base & 3 {
            _ if self.careful => address_in(country, mix(self.base ^ 2)),
            0 => datacentre(mix(self.base ^ 2)),
            _ => address_in((self.base >> 8 & 7) as u8, mix(self.base ^ 2)),
        });
        visit.card_slot = 0;
        visit.session = self.base ^ self.done;
        visit.started_ms = time_ms - cast.rng.between(40_000, 400_000) as i64;
        if !self.careful || self.base & 4 == 0 {
            let drop = mix(names.of(61, (self.base >> 16) % DROPS));
            visit.ship = Address { country, postal: (drop >> 20) as u32 % 100_000, hash: drop, method: 0 };
        }
        let mut order = people.order(&visit, basket, outcome, time_ms, cast.rng);
        // The account is what was taken: never a guest.
        order.customer = Some(self.victim);
        order.created_ms = Some(people.created_ms(who));
        order.discount_cents = None;
        if let Some(ship) = &mut order.ship {
            ship.method = if cast.rng.chance(0.6) { 1 } else { ship.method };
        }
        if let Some(session) = &mut order.session {
            session.pages = 2 + cast.rng.below(6) as u32;
        }
        order
    }

    fn device_farm(&self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        let machines = if self.careful { 8 } else { 2 + self.base % 3 };
        let draw = cast.rng.word();
        let place = mix(self.base ^ (draw % machines));
        let age_ms = if (draw >> 8).is_multiple_of(4) {
            cast.rng.between(86_400_000, 12 * 86_400_000)
        } else {
            cast.rng.between(60_000, 5_400_000)
        };
        let account = (cast.open)(time_ms - age_ms as i64);
        let basket = Basket::single(
            cast.people.names(),
            mix(self.base ^ draw >> 10 & 7),
            2_500,
            15_000,
            1 + (draw >> 13 & 1),
        );
        let mut order = self.stranger(Some(account), place, time_ms, cast, basket);
        order.card = mix(self.base ^ 0xfa43 ^ (self.done * 2 / 3) << 20);
        order.bin = cast.people.bin_of_bank((self.base >> 8 ^ draw >> 16 & 3) % BINS);
        order.device = Some(mix(place ^ 1));
        order.ip = Some(address_in(order.country, mix(place ^ 2 ^ (self.done / 12) << 8)));
        order.discount_cents = (draw >> 18 & 7 > 0).then(|| basket.cents() * 3 / 10);
        let drop = mix(self.base ^ 0xd40b ^ ((draw >> 22) % if self.careful { 9 } else { 3 }));
        order.ship = Some(Address {
            country: order.country,
            postal: (self.base >> 20) as u32 % 100_000,
            hash: drop,
            method: (draw >> 30 & 1) as u8,
        });
        order.outcome = Outcome::draw(cast.rng, 26, 8, 24);
        order
    }

    fn triangulation(&mut self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        let people = cast.people;
        let draw = cast.rng.word();
        // A few accounts, each on a machine of its own; the careful have more of them, and older ones.
        let (accounts, days) = if self.careful { (6, 60) } else { (1 + self.base % 2, 5) };
        let account = (draw % accounts) as usize;
        while self.accounts.len() <= account {
            let age_ms = cast.rng.between(3_600_000, days * 86_400_000);
            self.accounts.push((cast.open)(time_ms - age_ms as i64));
        }
        // Who ordered from the false shop, and whose card pays: neither knows of it.
        let buyer = u64::from(cast.zipf.draw(cast.rng));
        let holder = cast.rng.below(u64::from(cast.zipf.count()));
        let basket = Basket::resaleable(people.names(), mix(self.base ^ draw >> 10 & 3), draw >> 12 & 1);
        let place = mix(self.base ^ account as u64);
        let mut order = self.stranger(Some(self.accounts[account]), place, time_ms, cast, basket);
        order.card = people.card(holder, 0, time_ms);
        order.bin = people.bin(order.card);
        order.device = Some(mix(place ^ 1));
        order.ip = Some(address_in(order.country, mix(place ^ 2 ^ (self.done / 12) << 8)));
        order.name = Some(mix(people.contact(buyer) ^ 2));
        order.ship = Some(people.home(buyer, time_ms));
        // The careful know where the holder of the card lives.
        order.bill = order.bill.map(|_| people.home(if self.careful { holder } else { buyer }, time_ms));
        order.outcome = Outcome::draw(cast.rng, 30, 10, if self.careful { 12 } else { 70 });
        order
    }

    fn flash_sale(&self, time_ms: i64, cast: &mut Cast<'_>) -> Order {
        let people = cast.people;
        let who = if cast.rng.chance(0.15) {
            (cast.open)(time_ms - cast.rng.between(30_000, 600_000) as i64)
        } else {
            Who { number: u64::from(cast.zipf.draw(cast.rng)), created_ms: None }
        };
        let visit = people.visit(who, time_ms, cast.rng);
        let basket =
            Basket::single(people.names(), self.base, 4_000, 40_000, 1 + u64::from(cast.rng.chance(0.1)));
        let outcome = Outcome::of_customer(people, &visit, 0, cast.rng);
        let mut order = people.order(&visit, basket, outcome, time_ms, cast.rng);
        order.seller = (self.base >> 32) as u32 % 3_000;
        order.discount_cents = Some(basket.cents() * 3 / 10);
        if let Some(session) = &mut order.session {
            session.started_ms = time_ms - cast.rng.between(20_000, 240_000) as i64;
            session.pages = 2 + cast.rng.below(4) as u32;
        }
        order
    }

    /// Somebody with a fresh account or none; what marks the attack is set by the caller.
    fn stranger(
        &self,
        account: Option<Who>,
        place: u64,
        time_ms: i64,
        cast: &mut Cast<'_>,
        basket: Basket,
    ) -> Order {
        let draw = cast.rng.word();
        let contact =
            account.map_or_else(|| mix(self.base ^ draw & 7), |who| cast.people.contact(who.number));
        let country = super::order::COUNTRIES.by_share(mix(self.base ^ 3));
        let home = mix(contact ^ 4);
        let address = Address { country, postal: (home >> 20) as u32 % 100_000, hash: home, method: 0 };
        let disposable = !self.careful && draw >> 3 & 1 == 0;
        Order {
            customer: account.map(|who| who.number),
            card: 0,
            bin: 0,
            device: None,
            ip: None,
            contact,
            email_domain: if disposable {
                DOMAINS_DISPOSABLE + (draw >> 4 & 3) as u8
            } else {
                (draw >> 4 & 7) as u8
            },
            phone: (draw >> 8 & 1 == 0).then(|| mix(contact ^ 1)),
            name: (draw >> 9 & 7 > 0).then(|| mix(place ^ draw >> 12 & 3)),
            created_ms: account.and_then(|who| who.created_ms),
            seller: (draw >> 32) as u32 % 3_000,
            basket,
            ship: Some(address),
            bill: (draw >> 16 & 3 > 0).then_some(address),
            discount_cents: None,
            channel: u8::from(self.careful && draw >> 20 & 1 == 1),
            session: (draw >> 24 & 7 > 0).then(|| Session {
                id: draw,
                started_ms: time_ms - cast.rng.between(8_000, 150_000) as i64,
                pages: 1 + cast.rng.below(if self.careful { 8 } else { 3 }) as u32,
            }),
            outcome: Outcome::draw(cast.rng, 0, 0, 0),
            country,
        }
    }
}
