//! A checkout as schema v1 has it, and its JSON.
//!
//! people or attack -> **order** -> bytes
//!
//! Holds: members stand in one order; what an order does not have is left out, never null; amounts are
//! decimal strings with two digits, prices of lines are numbers.

use super::basket::{Basket, CATEGORIES};
use super::people::{People, Visit};
use crate::generator::Moment;
use crate::rng::{Names, Rng, mix, scale};
use crate::text::{self, TimeText};

pub(crate) struct Order {
    /// `None`: a guest.
    pub(crate) customer: Option<u64>,
    pub(crate) card: u64,
    pub(crate) bin: u32,
    pub(crate) device: Option<u64>,
    pub(crate) ip: Option<u32>,
    pub(crate) contact: u64,
    pub(crate) email_domain: u8,
    pub(crate) phone: Option<u64>,
    pub(crate) name: Option<u64>,
    pub(crate) created_ms: Option<i64>,
    pub(crate) seller: u32,
    pub(crate) basket: Basket,
    pub(crate) ship: Option<Address>,
    pub(crate) bill: Option<Address>,
    pub(crate) discount_cents: Option<u64>,
    /// 0 web, 1 app, 2 phone.
    pub(crate) channel: u8,
    pub(crate) session: Option<Session>,
    pub(crate) outcome: Outcome,
    /// Decides the currency.
    pub(crate) country: u8,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) country: u8,
    pub(crate) postal: u32,
    pub(crate) hash: u64,
    /// 0 standard, 1 express, 2 pickup, 3 digital.
    pub(crate) method: u8,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) started_ms: i64,
    pub(crate) pages: u32,
}

/// What the payment's authorisation said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) declined: bool,
    /// Places in `CVV` and `AVS`.
    cvv: u8,
    avs: u8,
}

impl Outcome {
    /// Chances of 256: declined; the security code wrong; the address not confirmed.
    pub(crate) fn draw(rng: &mut Rng, declined: u64, cvv_wrong: u64, avs_wrong: u64) -> Self {
        let word = rng.word();
        let pick = |shift: u32, wrong: u64, others: [u64; 2]| match word >> shift & 0xff {
            byte if byte < wrong => 1,
            byte if byte < wrong + others[0] => 2,
            byte if byte < wrong + others[0] + others[1] => 3,
            _ => 0,
        };
        Self {
            declined: word & 0xff < declined,
            cvv: pick(8, cvv_wrong, [8, 0]),
            avs: pick(16, avs_wrong, [16, 10]),
        }
    }

    /// A second attempt fails more often than a first: some have no money.
    pub(crate) fn of_customer(people: &People, visit: &Visit, attempt: u32, rng: &mut Rng) -> Self {
        let declined = if attempt == 0 { people.trouble(visit.who.number) } else { 100 };
        Self::draw(rng, declined, 4, 8)
    }
}

pub(crate) struct Country {
    code: [u8; 2],
    currency: [u8; 3],
    /// Of a thousand customers.
    share: u64,
}

pub(crate) struct Countries([Country; 10]);

const fn country(code: [u8; 2], currency: [u8; 3], share: u64) -> Country {
    Country { code, currency, share }
}

pub(crate) const COUNTRIES: Countries = Countries([
    country(*b"DE", *b"EUR", 560),
    country(*b"AT", *b"EUR", 90),
    country(*b"FR", *b"EUR", 90),
    country(*b"NL", *b"EUR", 60),
    country(*b"IT", *b"EUR", 50),
    country(*b"ES", *b"EUR", 40),
    country(*b"PL", *b"PLN", 40),
    country(*b"CH", *b"CHF", 35),
    country(*b"GB", *b"GBP", 25),
    country(*b"US", *b"USD", 10),
]);

impl Countries {
    pub(crate) fn by_share(&self, word: u64) -> u8 {
        let mut rest = scale(word, 1_000);
        for (place, country) in self.0.iter().enumerate() {
            if rest < country.share {
                return place as u8;
            }
            rest -= country.share;
        }
        0
    }

    fn of(&self, place: u8) -> &Country {
        &self.0[place as usize % self.0.len()]
    }
}

/// The first twelve are common, the last four are given away for an hour.
const DOMAINS: [&str; 16] = [
    "gmail.com",
    "gmx.de",
    "web.de",
    "outlook.com",
    "t-online.de",
    "icloud.com",
    "yahoo.com",
    "orange.fr",
    "hotmail.com",
    "posteo.de",
    "libero.it",
    "proton.me",
    "mailinator.com",
    "temp-mail.org",
    "10minutemail.com",
    "guerrillamail.com",
];
pub(crate) const DOMAINS_DISPOSABLE: u8 = 12;
const METHODS: [&str; 4] = ["standard", "express", "pickup", "digital"];
const CHANNELS: [&str; 3] = ["web", "app", "phone"];
const CVV: [&str; 3] = ["match", "mismatch", "not_provided"];
const AVS: [&str; 4] = ["match", "mismatch", "partial", "unavailable"];

pub(crate) struct Writer {
    names: Names,
    time: TimeText,
    /// Accounts are of other days than events: a calendar of their own.
    created: TimeText,
}

impl Writer {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, time: TimeText::new(), created: TimeText::new() }
    }

    pub(crate) fn write(&mut self, event: Moment, order: &Order, out: &mut Vec<u8>) {
        // Longest seen: 1,430 bytes. One check here spares growing in the middle.
        out.reserve(2_048);
        out.extend_from_slice(b"{\"event_id\":\"");
        text::uuid(out, event.id);
        out.extend_from_slice(b"\",\"event_time\":\"");
        self.time.write(out, event.time_ms);
        write_money(order, out);
        self.write_identity(order, out);
        out.extend_from_slice(b",\"seller_id\":\"s");
        text::padded::<5>(out, u64::from(order.seller));
        out.extend_from_slice(b"\",\"items\":[");
        write_lines(&order.basket, out);
        out.push(b']');
        if let Some(address) = &order.ship {
            write_address(
                b",\"shipping\":{\"country\":\"",
                address,
                Some(METHODS[address.method as usize & 3]),
                out,
            );
        }
        if let Some(address) = &order.bill {
            write_address(b",\"billing\":{\"country\":\"", address, None, out);
        }
        word(out, b",\"channel\":\"", CHANNELS[order.channel as usize % 3]);
        self.write_session(order, out);
        let outcome = &order.outcome;
        word(out, b",\"auth_result\":\"", if outcome.declined { "declined" } else { "approved" });
        word(out, b",\"cvv_result\":\"", CVV[outcome.cvv as usize % 3]);
        word(out, b",\"avs_result\":\"", AVS[outcome.avs as usize & 3]);
        out.push(b'}');
    }

    fn write_identity(&mut self, order: &Order, out: &mut Vec<u8>) {
        if let Some(customer) = order.customer {
            out.extend_from_slice(b",\"customer_id\":\"c");
            text::padded::<9>(out, customer);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"card_id\":\"tok_");
        text::hex(out, order.card);
        out.extend_from_slice(b"\",\"card_bin\":\"");
        text::padded::<6>(out, u64::from(order.bin));
        out.push(b'"');
        hash(out, b",\"device_id\":\"d", order.device);
        if let Some(ip) = order.ip {
            out.extend_from_slice(b",\"ip\":\"");
            text::ipv4(out, ip);
            out.push(b'"');
        }
        hash(out, b",\"email_hash\":\"", Some(order.contact));
        word(out, b",\"email_domain\":\"", DOMAINS[order.email_domain as usize & 15]);
        hash(out, b",\"phone_hash\":\"", order.phone);
        hash(out, b",\"name_hash\":\"", order.name);
        if let Some(created_ms) = order.created_ms {
            out.extend_from_slice(b",\"account_created_at\":\"");
            self.created.write(out, created_ms);
            out.push(b'"');
        }
    }

    fn write_session(&mut self, order: &Order, out: &mut Vec<u8>) {
        if let Some(session) = order.session {
            out.extend_from_slice(b",\"session\":{\"id\":\"");
            text::hex(out, mix(session.id ^ self.names.of(60, 0)));
            out.extend_from_slice(b"\",\"started_at\":\"");
            self.time.write(out, session.started_ms);
            out.extend_from_slice(b"\",\"pages\":");
            text::number(out, u64::from(session.pages));
            out.push(b'}');
        }
    }
}

fn write_money(order: &Order, out: &mut Vec<u8>) {
    let discount = order.discount_cents.unwrap_or(0);
    out.extend_from_slice(b"\",\"amount\":\"");
    text::cents(out, order.basket.cents() - discount);
    out.extend_from_slice(b"\",\"currency\":\"");
    out.extend_from_slice(&COUNTRIES.of(order.country).currency);
    if order.discount_cents.is_some() {
        out.extend_from_slice(b"\",\"discount\":\"");
        text::cents(out, discount);
    }
    out.push(b'"');
}

fn write_lines(basket: &Basket, out: &mut Vec<u8>) {
    for (place, line) in basket.lines().iter().enumerate() {
        let category = &CATEGORIES[line.category as usize];
        out.extend_from_slice(if place == 0 { b"{\"sku\":\"" } else { b",{\"sku\":\"" });
        out.extend_from_slice(&category.code);
        text::padded::<5>(out, u64::from(line.sku));
        out.extend_from_slice(b"\",\"qty\":");
        text::number(out, u64::from(line.qty));
        out.extend_from_slice(b",\"price\":");
        text::cents(out, line.price_cents);
        out.extend_from_slice(b",\"category\":\"");
        out.extend_from_slice(category.name);
        out.extend_from_slice(b"\"}");
    }
}

fn write_address(name: &[u8], address: &Address, method: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(&COUNTRIES.of(address.country).code);
    out.extend_from_slice(b"\",\"postal\":\"");
    text::padded::<5>(out, u64::from(address.postal));
    hash(out, b"\",\"address_hash\":\"", Some(address.hash));
    if let Some(method) = method {
        word(out, b",\"method\":\"", method);
    }
    out.push(b'}');
}

fn word(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn hash(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        text::hex(out, value);
        out.push(b'"');
    }
}
