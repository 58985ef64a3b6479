//! The fixed input of the benchmark: 14 members, about 450 bytes, the same for every contestant.
//!
//! rhythmless clock -> **workload** -> generator
//!
//! Holds: members and their order never change (numbers compared between versions depend on it):
//! `event_id`, `event_time`, `customer_id`, `card_id`, `device_id`, `ip`, `email_hash`, `amount`
//! (decimal string), `currency`, `seller_id`, `items` (1 to 4, prices as numbers), `shipping`,
//! `billing`, `channel`. A customer has 1 to 3 cards and devices and a home address on the net that
//! two customers share on average; a fifth of the events come over one of 2,000 mobile gateways.
//! Not here: realism beyond what state and skew need (`shop`).

use crate::clock::Clock;
use crate::generator::{Agenda, Moment, Scene, Truth};
use crate::rng::{Names, Rng, mix, scale, unit};
use crate::settings::Settings;
use crate::text::{self, TimeText};
use crate::zipf::Zipf;

/// Attempts of a fraud burst, and the mean gap between them. Arbitrary.
const BURST_MIN: u64 = 20;
const BURST_MAX: u64 = 60;
const BURST_GAP_MS: f64 = 6_000.0;

const MOBILE_GATEWAYS: u64 = 2_000;
const SKUS: u64 = 20_000;
const SELLERS: u64 = 2_000;

/// Names of attributes; see [`Names`].
mod what {
    pub(super) const PROFILE: u64 = 10;
    pub(super) const CARD: u64 = 11;
    pub(super) const DEVICE: u64 = 12;
    pub(super) const HOUSEHOLD: u64 = 13;
    pub(super) const HOME_IP: u64 = 14;
    pub(super) const GATEWAY_IP: u64 = 15;
    pub(super) const EMAIL: u64 = 16;
    pub(super) const PRICE: u64 = 17;
    pub(super) const BURST: u64 = 18;
}

pub(crate) struct Workload {
    names: Names,
    rng: Rng,
    zipf: Zipf,
    clock: Clock,
    arrivals: u64,
    next_ms: i64,
    bursts: Agenda<Burst>,
    burst_chance: f64,
    bursts_begun: u64,
    time: TimeText,
}

/// One fraudster at work.
#[derive(Debug, Clone, Copy)]
struct Burst {
    number: u64,
    left: u64,
    /// The account that was taken over; `None`: card testing with fresh accounts.
    victim: Option<u32>,
}

/// Who pays and from where.
struct Buyer {
    customer: u64,
    card: u64,
    device: u64,
    ip: u32,
    country: usize,
    ship_country: usize,
}

impl Workload {
    pub(crate) fn new(settings: &Settings) -> Self {
        let arriving = settings.rate * (1.0 - settings.duplicates) * (1.0 - settings.attacks);
        let mean_burst = (BURST_MIN + BURST_MAX) as f64 / 2.0;
        let mut new = Self {
            names: Names::new(settings.seed),
            rng: Rng::new(settings.seed, 1),
            zipf: Zipf::new(settings.customers, settings.zipf),
            clock: Clock::even(settings.start_ms, arriving),
            arrivals: 0,
            next_ms: 0,
            bursts: Agenda::new(),
            burst_chance: settings.attacks / (1.0 - settings.attacks) / mean_burst,
            bursts_begun: 0,
            time: TimeText::new(),
        };
        new.next_arrival();
        new
    }

    fn next_arrival(&mut self) {
        let place = self.rng.unit();
        self.next_ms = self.clock.at(self.arrivals, place);
        self.arrivals += 1;
    }

    fn begin_burst(&mut self, at_ms: i64) {
        let number = self.bursts_begun;
        self.bursts_begun += 1;
        let victim = self.rng.chance(0.5).then(|| self.zipf.draw(&mut self.rng));
        let left = self.rng.between(BURST_MIN, BURST_MAX);
        let after_ms = self.rng.exponential(BURST_GAP_MS) as i64;
        self.bursts.add(at_ms + after_ms, Burst { number, left, victim });
    }

    fn customer(&mut self) -> Buyer {
        let customer = u64::from(self.zipf.draw(&mut self.rng));
        let profile = self.names.of(what::PROFILE, customer);
        let draw = self.rng.word();
        // Most payments use the first card and the first device.
        let nth = |word: u64, have: u64| if word & 3 < 3 { 0 } else { (word >> 2 & 0xff) % have };
        let card = nth(draw, 1 + profile % 3);
        let device = nth(draw >> 10, 1 + (profile >> 2) % 3);
        let ip = if draw >> 20 & 0xff < 51 {
            self.names.of(what::GATEWAY_IP, scale(mix(draw), MOBILE_GATEWAYS))
        } else {
            let homes = u64::from(self.zipf.count() / 2);
            self.names.of(what::HOME_IP, scale(self.names.of(what::HOUSEHOLD, customer), homes))
        };
        let country = country(profile >> 8 & 0xff);
        let abroad = draw >> 28 & 0xff < 8;
        Buyer {
            customer,
            card: self.names.of(what::CARD, customer * 4 + card),
            device: self.names.of(what::DEVICE, customer * 4 + device),
            ip: ip as u32,
            country,
            ship_country: if abroad { country + 1 } else { country } % COUNTRIES.len(),
        }
    }

    fn fraudster(&mut self, burst: Burst) -> Buyer {
        let base = self.names.of(what::BURST, burst.number);
        let draw = self.rng.word();
        let (customer, card) = match burst.victim {
            Some(victim) => (u64::from(victim), self.names.of(what::CARD, u64::from(victim) * 4)),
            // A new account for every few cards.
            None => {
                (u64::from(self.zipf.count()) + burst.number * 16 + draw % 12, mix(base ^ (draw >> 8 & 31)))
            }
        };
        let country = country(base >> 8 & 0xff);
        let abroad = draw >> 16 & 1 == 1;
        Buyer {
            customer,
            card,
            device: mix(base ^ 0x100),
            ip: mix(base ^ 0x101) as u32,
            country,
            ship_country: if abroad { country + 1 } else { country } % COUNTRIES.len(),
        }
    }

    fn write_event(&mut self, event: Moment, buyer: &Buyer, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"event_id\":\"");
        text::uuid(out, event.id);
        out.extend_from_slice(b"\",\"event_time\":\"");
        self.time.write(out, event.time_ms);
        out.extend_from_slice(b"\",\"customer_id\":\"c");
        text::padded::<8>(out, buyer.customer);
        out.extend_from_slice(b"\",\"card_id\":\"");
        text::hex(out, buyer.card);
        out.extend_from_slice(b"\",\"device_id\":\"");
        text::hex(out, buyer.device);
        out.extend_from_slice(b"\",\"ip\":\"");
        text::ipv4(out, buyer.ip);
        out.extend_from_slice(b"\",\"email_hash\":\"");
        text::hex(out, self.names.of(what::EMAIL, buyer.customer));
        out.extend_from_slice(b"\",\"amount\":\"");
        let mut basket = [Item::default(); 4];
        let basket = self.fill(&mut basket);
        text::cents(out, basket.iter().map(|item| item.qty * item.price_cents).sum());
        out.extend_from_slice(b"\",\"currency\":\"");
        out.extend_from_slice(COUNTRIES[buyer.country].currency);
        let draw = self.rng.word();
        out.extend_from_slice(b"\",\"seller_id\":\"s");
        // The square makes some sellers big.
        let seller = unit(draw);
        text::padded::<5>(out, (seller * seller * SELLERS as f64) as u64);
        out.extend_from_slice(b"\",\"items\":[");
        for (place, item) in basket.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"{\"sku\":\"p" } else { b",{\"sku\":\"p" });
            text::padded::<6>(out, item.sku);
            out.extend_from_slice(b"\",\"qty\":");
            text::number(out, item.qty);
            out.extend_from_slice(b",\"price\":");
            text::cents(out, item.price_cents);
            out.push(b'}');
        }
        out.push(b']');
        let postal = self.names.of(what::PROFILE, buyer.customer) >> 16;
        address(out, b",\"shipping\":{\"country\":\"", buyer.ship_country, postal);
        address(out, b",\"billing\":{\"country\":\"", buyer.country, postal);
        out.extend_from_slice(b",\"channel\":\"");
        out.extend_from_slice(CHANNELS[(draw & 7) as usize]);
        out.extend_from_slice(b"\"}");
    }

    fn fill<'a>(&mut self, basket: &'a mut [Item; 4]) -> &'a [Item] {
        let draw = self.rng.word();
        // 1 to 4 items: 50, 27, 15 and 8 of a hundred.
        let count = match draw & 0xff {
            0..128 => 1,
            128..197 => 2,
            197..236 => 3,
            _ => 4,
        };
        for (place, item) in basket[..count].iter_mut().enumerate() {
            let word = mix(draw.wrapping_add((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let popular = unit(word);
            item.sku = (popular * popular * SKUS as f64) as u64;
            item.qty = if word & 7 < 6 { 1 } else { 1 + (word >> 3 & 3) };
            // 2.00 to 400.00, most of them low: the cube of a uniform.
            let price = unit(self.names.of(what::PRICE, item.sku));
            item.price_cents = 200 + (price * price * price * 39_800.0) as u64;
        }
        &basket[..count]
    }
}

impl Scene for Workload {
    fn due_ms(&self) -> i64 {
        self.next_ms.min(self.bursts.due_ms())
    }

    fn write(&mut self, event: Moment, out: &mut Vec<u8>) -> Truth {
        if self.bursts.due_ms() < self.next_ms
            && let Some((due_ms, mut burst)) = self.bursts.take()
        {
            let buyer = self.fraudster(burst);
            self.write_event(event, &buyer, out);
            burst.left -= 1;
            if burst.left > 0 {
                let gap_ms = self.rng.exponential(BURST_GAP_MS) as i64;
                self.bursts.add(due_ms + gap_ms, burst);
            }
            let kind = if burst.victim.is_some() { "account_takeover" } else { "card_testing" };
            return Truth::alone(true, kind);
        }
        let buyer = self.customer();
        self.write_event(event, &buyer, out);
        if self.rng.chance(self.burst_chance) {
            self.begin_burst(self.next_ms);
        }
        self.next_arrival();
        Truth::alone(false, "normal")
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Item {
    sku: u64,
    qty: u64,
    price_cents: u64,
}

struct Country {
    code: &'static [u8; 2],
    currency: &'static [u8; 3],
}

const COUNTRIES: [Country; 8] = [
    Country { code: b"DE", currency: b"EUR" },
    Country { code: b"AT", currency: b"EUR" },
    Country { code: b"FR", currency: b"EUR" },
    Country { code: b"NL", currency: b"EUR" },
    Country { code: b"IT", currency: b"EUR" },
    Country { code: b"PL", currency: b"PLN" },
    Country { code: b"CH", currency: b"CHF" },
    Country { code: b"GB", currency: b"GBP" },
];

const CHANNELS: [&[u8]; 8] = [b"web", b"web", b"web", b"web", b"app", b"app", b"app", b"phone"];

/// 0 to 255 to a country: 70 of a hundred are at home.
fn country(byte: u64) -> usize {
    match byte {
        0..180 => 0,
        180..200 => 1,
        200..216 => 2,
        216..228 => 3,
        228..236 => 4,
        236..243 => 5,
        243..250 => 6,
        _ => 7,
    }
}

fn address(out: &mut Vec<u8>, name: &[u8], country: usize, postal: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(COUNTRIES[country].code);
    out.extend_from_slice(b"\",\"postal\":\"");
    text::padded::<5>(out, postal % 100_000);
    out.extend_from_slice(b"\"}");
}
