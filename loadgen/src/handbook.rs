//! The Fraud Detection Handbook's published process (Le Borgne et al.), from its description.
//!
//! customers, terminals -> a day's payments each -> three frauds, later ones overwriting -> time order
//!
//! Customers and terminals lie evenly on 100 x 100. A customer has a mean amount of 5 to 100 with half
//! of it as deviation, 0 to 4 payments a day (Poisson), around noon (deviation 20,000 s), at terminals
//! within 5. Frauds: every amount above 220; two new terminals a day, with all of their payments for 28
//! days; three new customers a day, of whose payments of 14 days a third becomes 5 times as high.
//!
//! Holds: all rows are made at the start (20 bytes each), since the third fraud looks 14 days ahead;
//! rows are in order of time and then of customer; `transaction_id` counts them from 0.
//! Not here: repeats and disorder, which the published data have not.

use crate::error::Error;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::text::{self, TimeText};

const SIDE: f64 = 100.0;
const RADIUS: f64 = 5.0;
/// Cells of the search grid a side: as wide as the radius, so that neighbours suffice.
const CELLS: usize = 20;
const DAY_S: u32 = 86_400;
const NOON_S: f64 = 43_200.0;
const SPREAD_S: f64 = 20_000.0;
const ALWAYS_FRAUD_CENTS: u32 = 22_000;
const TERMINALS_A_DAY: usize = 2;
const TERMINAL_DAYS: u32 = 28;
const CUSTOMERS_A_DAY: usize = 3;
const CUSTOMER_DAYS: u32 = 14;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// `transaction_id`.
    pub id: u64,
    /// `tx_datetime`, s since the epoch.
    pub time_s: i64,
    /// `customer_id`.
    pub customer: u32,
    /// `terminal_id`.
    pub terminal: u32,
    /// `tx_amount`, in minor units.
    pub cents: u32,
    /// Which of the frauds (1 to 3); 0 is none: `tx_fraud` is whether it is not 0.
    pub scenario: u8,
}

impl Transaction {
    /// The word of label files.
    pub fn kind(&self) -> &'static str {
        ["normal", "high_amount", "terminal", "customer"][usize::from(self.scenario & 3)]
    }
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// Since the start.
    at_s: u32,
    customer: u32,
    terminal: u32,
    cents: u32,
    scenario: u8,
}

/// Every row of the world, in order; an iterator.
pub struct Handbook {
    rows: Vec<Row>,
    start_s: i64,
    next: usize,
    time: TimeText,
}

impl Handbook {
    /// Makes all rows: about 2 a customer and day, 0.2 µs each.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let rows_mean = f64::from(settings.customers) * f64::from(settings.days) * 2.0;
        crate::error::check(
            rows_mean < 2e8,
            "customers x days",
            rows_mean / 2.0,
            "at most 100,000,000: all rows are held at once",
        )?;
        let mut rng = Rng::new(settings.seed, 2);
        let terminals = Grid::new(settings.terminals, &mut rng);
        let mut rows = Vec::with_capacity((rows_mean * 1.02) as usize);
        let mut first_row = Vec::with_capacity(settings.customers as usize + 1);
        for customer in 0..settings.customers {
            first_row.push(rows.len());
            pay(customer, settings.days, &terminals, &mut rng, &mut rows);
        }
        first_row.push(rows.len());
        for row in &mut rows {
            row.scenario = u8::from(row.cents > ALWAYS_FRAUD_CENTS);
        }
        compromise_terminals(settings, &mut rng, &mut rows);
        compromise_customers(settings, &mut rng, &first_row, &mut rows);
        // Stable: rows are in order of customers before.
        rows.sort_by_key(|row| row.at_s);
        let start_s = settings.start_ms.div_euclid(1_000);
        if let Some(events) = settings.events {
            rows.truncate(usize::try_from(events).unwrap_or(usize::MAX));
        }
        Ok(Self { rows, start_s, next: 0, time: TimeText::new() })
    }

    /// Appends the next row as a JSON object, without a newline.
    pub(crate) fn write_next(&mut self, out: &mut Vec<u8>) -> Option<Transaction> {
        let row = self.next()?;
        out.extend_from_slice(b"{\"transaction_id\":");
        text::number(out, row.id);
        out.extend_from_slice(b",\"tx_datetime\":\"");
        self.time.write(out, row.time_s * 1_000);
        out.extend_from_slice(b"\",\"customer_id\":");
        text::number(out, u64::from(row.customer));
        out.extend_from_slice(b",\"terminal_id\":");
        text::number(out, u64::from(row.terminal));
        out.extend_from_slice(b",\"tx_amount\":");
        text::cents(out, u64::from(row.cents));
        out.extend_from_slice(if row.scenario > 0 { b",\"tx_fraud\":1}" } else { b",\"tx_fraud\":0}" });
        Some(row)
    }
}

impl Iterator for Handbook {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        let row = self.rows.get(self.next)?;
        let id = self.next as u64;
        self.next += 1;
        Some(Transaction {
            id,
            time_s: self.start_s + i64::from(row.at_s),
            customer: row.customer,
            terminal: row.terminal,
            cents: row.cents,
            scenario: row.scenario,
        })
    }
}

/// A customer's payments of all days; none where no terminal is near.
fn pay(customer: u32, days: u32, terminals: &Grid, rng: &mut Rng, rows: &mut Vec<Row>) {
    let (x, y) = (rng.unit() * SIDE, rng.unit() * SIDE);
    let mean = 5.0 + 95.0 * rng.unit();
    let a_day = 4.0 * rng.unit();
    let near = terminals.within(x, y);
    if near.is_empty() {
        return;
    }
    for day in 0..days {
        for _ in 0..rng.poisson(a_day) {
            let of_day = (NOON_S + SPREAD_S * rng.normal()) as i64;
            let amount = mean + mean / 2.0 * rng.normal();
            let amount = if amount < 0.0 { 2.0 * mean * rng.unit() } else { amount };
            let terminal = near[rng.below(near.len() as u64) as usize];
            // The published process leaves out what falls on another day (3 %).
            if of_day > 0 && of_day < i64::from(DAY_S) {
                let cents = (amount * 100.0).round() as u32;
                rows.push(Row { at_s: day * DAY_S + of_day as u32, customer, terminal, cents, scenario: 0 });
            }
        }
    }
}

fn compromise_terminals(settings: &Settings, rng: &mut Rng, rows: &mut [Row]) {
    let mut since: Vec<Vec<u32>> = vec![Vec::new(); settings.terminals as usize];
    for day in 0..settings.days {
        for terminal in distinct::<TERMINALS_A_DAY>(settings.terminals, rng) {
            since[terminal as usize].push(day);
        }
    }
    for row in rows {
        let day = row.at_s / DAY_S;
        if since[row.terminal as usize].iter().any(|&from| (from..from + TERMINAL_DAYS).contains(&day)) {
            row.scenario = 2;
        }
    }
}

fn compromise_customers(settings: &Settings, rng: &mut Rng, first_row: &[usize], rows: &mut [Row]) {
    let mut candidates = Vec::new();
    for day in 0..settings.days {
        for customer in distinct::<CUSTOMERS_A_DAY>(settings.customers, rng) {
            let own = first_row[customer as usize]..first_row[customer as usize + 1];
            candidates.clear();
            candidates
                .extend(own.filter(|&row| (day..day + CUSTOMER_DAYS).contains(&(rows[row].at_s / DAY_S))));
            for taken in 0..candidates.len() / 3 {
                let other = taken + rng.below((candidates.len() - taken) as u64) as usize;
                candidates.swap(taken, other);
                let row = &mut rows[candidates[taken]];
                row.cents = row.cents.saturating_mul(5);
                row.scenario = 3;
            }
        }
    }
}

/// `N` different numbers below `bound`.
fn distinct<const N: usize>(bound: u32, rng: &mut Rng) -> [u32; N] {
    let mut drawn = [u32::MAX; N];
    for place in 0..N {
        drawn[place] = loop {
            let number = rng.below(u64::from(bound)) as u32;
            if !drawn[..place].contains(&number) {
                break number;
            }
        };
    }
    drawn
}

/// Terminals by cell, to find those near a customer.
struct Grid {
    cells: Vec<Vec<(f64, f64, u32)>>,
}

impl Grid {
    fn new(terminals: u32, rng: &mut Rng) -> Self {
        let mut cells = vec![Vec::new(); CELLS * CELLS];
        for terminal in 0..terminals {
            let (x, y) = (rng.unit() * SIDE, rng.unit() * SIDE);
            cells[Self::cell(y) * CELLS + Self::cell(x)].push((x, y, terminal));
        }
        Self { cells }
    }

    fn cell(coordinate: f64) -> usize {
        ((coordinate / SIDE * CELLS as f64) as usize).min(CELLS - 1)
    }

    fn within(&self, x: f64, y: f64) -> Vec<u32> {
        let around = |coordinate: f64| {
            let cell = Self::cell(coordinate);
            cell.saturating_sub(1)..=(cell + 1).min(CELLS - 1)
        };
        let mut found = Vec::new();
        for row in around(y) {
            for column in around(x) {
                let near = self.cells[row * CELLS + column]
                    .iter()
                    .filter(|&&(tx, ty, _)| (tx - x) * (tx - x) + (ty - y) * (ty - y) < RADIUS * RADIUS);
                found.extend(near.map(|&(_, _, terminal)| terminal));
            }
        }
        found
    }
}
