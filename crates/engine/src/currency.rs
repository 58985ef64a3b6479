//! ISO 4217: the currencies, their minor digits, and the way of an amount to the window scale.
//!
//! configuration, decode -> **currency** (vocabulary)
//!
//! Holds: the table is sorted by code; digits are 0 to 4; conversion is in integers, half to even.
//! Not here: codes without a minor unit (XAU, XDR, XXX ...): nothing can be priced in them, so they are unknown.

use crate::limits::AMOUNT_SCALED_MAX;
use crate::reject::Reason;
use crate::schema::{CurrencySource, Schema, WindowScale};

/// Most minor digits that a currency has, and the digits of the common scale.
pub const DIGITS_MAX: u32 = 4;

/// An index into the table of currencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Currency(pub u16);

impl Currency {
    /// The currency of an alphabetic code, capitals only.
    pub fn from_code(code: &[u8]) -> Option<Self> {
        let [a, b, c] = *code else { return None };
        match PLACES.get(place([a, b, c])?) {
            Some(&row) if row != NOWHERE => Some(Self(u16::from(row))),
            _ => None,
        }
    }

    /// Its alphabetic code.
    pub fn code(self) -> &'static str {
        TABLE[usize::from(self.0)].0
    }

    /// Its minor digits, 0 to 4.
    pub fn digits(self) -> u32 {
        u32::from(TABLE[usize::from(self.0)].1)
    }

    /// Every currency, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len() as u16).map(Self)
    }
}

/// The code as a number to base 26; `None` where it is not of capitals.
const fn place(code: [u8; 3]) -> Option<usize> {
    let [a, b, c] = code;
    if a < b'A' || a > b'Z' || b < b'A' || b > b'Z' || c < b'A' || c > b'Z' {
        return None;
    }
    Some(((a - b'A') as usize * 26 + (b - b'A') as usize) * 26 + (c - b'A') as usize)
}

const NOWHERE: u8 = u8::MAX;
const _: () = assert!(TABLE.len() < NOWHERE as usize);

/// The row of every code: one look instead of eight steps of a search (15 ns of 350 a record where currencies mix).
static PLACES: [u8; 26 * 26 * 26] = {
    let mut places = [NOWHERE; 26 * 26 * 26];
    let mut row = 0;
    while row < TABLE.len() {
        if let Some(at) = place(*TABLE[row].0.as_bytes().first_chunk().expect("three letters")) {
            places[at] = row as u8;
        }
        row += 1;
    }
    places
};

/// `numerator / denominator`, half to even; the denominator is above zero.
pub fn half_even(numerator: i128, denominator: i128) -> i128 {
    if let (Ok(numerator), Ok(denominator)) = (u64::try_from(numerator), u64::try_from(denominator)) {
        let (floor, rest) = (numerator / denominator, numerator % denominator);
        let left = denominator - rest;
        return i128::from(floor) + i128::from(rest > left || (rest == left && floor % 2 != 0));
    }
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    // rest < denominator, so the difference does not overflow where twice the rest might.
    let up = match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    floor + i128::from(up)
}

/// How an amount comes to the window scale (docs/semantics.md, 1), compiled.
#[derive(Clone, Debug)]
pub struct Scale {
    /// By currency: factor and divisor, or `None` without a rate.
    rows: Vec<Option<(i128, i128)>>,
}

impl Scale {
    /// The scale of a schema.
    pub fn of(schema: &Schema) -> Self {
        let constant = match (&schema.scale, &schema.currency) {
            (WindowScale::Constant, CurrencySource::Constant(currency)) => Some(*currency),
            _ => None,
        };
        let row = |currency: Currency| match (&schema.scale, constant) {
            (_, Some(only)) => (only == currency).then_some((1, 1)),
            (WindowScale::Rates { base, rates }, None) => {
                let listed = rates.iter().find(|rate| rate.currency == currency);
                let (numerator, denominator) = match listed {
                    Some(rate) => (rate.numerator, rate.denominator),
                    None if *base == currency => (1, 1),
                    None => return None,
                };
                let factor = i128::from(numerator) * 10_i128.pow(base.digits());
                let divisor = i128::from(denominator) * 10_i128.pow(currency.digits());
                (divisor > 0).then_some((factor, divisor))
            }
            (WindowScale::Constant | WindowScale::Common, None) => {
                Some((10_i128.pow(DIGITS_MAX - currency.digits()), 1))
            }
        };
        Self { rows: Currency::all().map(row).collect() }
    }

    /// An amount in minor units (0 to `AMOUNT_MINOR_MAX`) in the window scale.
    pub fn scaled(&self, minor: i64, currency: Currency) -> Result<i64, Reason> {
        let Some(&Some((factor, divisor))) = self.rows.get(usize::from(currency.0)) else {
            return Err(Reason::NoRate);
        };
        // At most 10^13 x 2^64 x 10^4 < 2^127.
        let product = i128::from(minor) * factor;
        let scaled = if divisor == 1 { product } else { half_even(product, divisor) };
        match i64::try_from(scaled) {
            Ok(scaled) if scaled <= AMOUNT_SCALED_MAX => Ok(scaled),
            _ => Err(Reason::AmountOutOfRange),
        }
    }
}

/// The active codes with a minor unit (list one as of 2026, funds codes too), and ANG and BGN, withdrawn in 2025 and
/// 2026, because history holds them.
#[rustfmt::skip]
const TABLE: [(&str, u8); 167] = [
    ("AED", 2), ("AFN", 2), ("ALL", 2), ("AMD", 2), ("ANG", 2), ("AOA", 2), ("ARS", 2), ("AUD", 2), ("AWG", 2), ("AZN", 2),
    ("BAM", 2), ("BBD", 2), ("BDT", 2), ("BGN", 2), ("BHD", 3), ("BIF", 0), ("BMD", 2), ("BND", 2), ("BOB", 2), ("BOV", 2),
    ("BRL", 2), ("BSD", 2), ("BTN", 2), ("BWP", 2), ("BYN", 2), ("BZD", 2), ("CAD", 2), ("CDF", 2), ("CHE", 2), ("CHF", 2),
    ("CHW", 2), ("CLF", 4), ("CLP", 0), ("CNY", 2), ("COP", 2), ("COU", 2), ("CRC", 2), ("CUP", 2), ("CVE", 2), ("CZK", 2),
    ("DJF", 0), ("DKK", 2), ("DOP", 2), ("DZD", 2), ("EGP", 2), ("ERN", 2), ("ETB", 2), ("EUR", 2), ("FJD", 2), ("FKP", 2),
    ("GBP", 2), ("GEL", 2), ("GHS", 2), ("GIP", 2), ("GMD", 2), ("GNF", 0), ("GTQ", 2), ("GYD", 2), ("HKD", 2), ("HNL", 2),
    ("HTG", 2), ("HUF", 2), ("IDR", 2), ("ILS", 2), ("INR", 2), ("IQD", 3), ("IRR", 2), ("ISK", 0), ("JMD", 2), ("JOD", 3),
    ("JPY", 0), ("KES", 2), ("KGS", 2), ("KHR", 2), ("KMF", 0), ("KPW", 2), ("KRW", 0), ("KWD", 3), ("KYD", 2), ("KZT", 2),
    ("LAK", 2), ("LBP", 2), ("LKR", 2), ("LRD", 2), ("LSL", 2), ("LYD", 3), ("MAD", 2), ("MDL", 2), ("MGA", 2), ("MKD", 2),
    ("MMK", 2), ("MNT", 2), ("MOP", 2), ("MRU", 2), ("MUR", 2), ("MVR", 2), ("MWK", 2), ("MXN", 2), ("MXV", 2), ("MYR", 2),
    ("MZN", 2), ("NAD", 2), ("NGN", 2), ("NIO", 2), ("NOK", 2), ("NPR", 2), ("NZD", 2), ("OMR", 3), ("PAB", 2), ("PEN", 2),
    ("PGK", 2), ("PHP", 2), ("PKR", 2), ("PLN", 2), ("PYG", 0), ("QAR", 2), ("RON", 2), ("RSD", 2), ("RUB", 2), ("RWF", 0),
    ("SAR", 2), ("SBD", 2), ("SCR", 2), ("SDG", 2), ("SEK", 2), ("SGD", 2), ("SHP", 2), ("SLE", 2), ("SOS", 2), ("SRD", 2),
    ("SSP", 2), ("STN", 2), ("SVC", 2), ("SYP", 2), ("SZL", 2), ("THB", 2), ("TJS", 2), ("TMT", 2), ("TND", 3), ("TOP", 2),
    ("TRY", 2), ("TTD", 2), ("TWD", 2), ("TZS", 2), ("UAH", 2), ("UGX", 0), ("USD", 2), ("USN", 2), ("UYI", 0), ("UYU", 2),
    ("UYW", 4), ("UZS", 2), ("VED", 2), ("VES", 2), ("VND", 0), ("VUV", 0), ("WST", 2), ("XAD", 2), ("XAF", 0), ("XCD", 2),
    ("XCG", 2), ("XOF", 0), ("XPF", 0), ("YER", 2), ("ZAR", 2), ("ZMW", 2), ("ZWG", 2),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for currency in Currency::all() {
            assert_eq!(Currency::from_code(currency.code().as_bytes()), Some(currency));
            assert!(currency.digits() <= DIGITS_MAX);
        }
        for (code, digits) in
            [("EUR", 2), ("JPY", 0), ("BHD", 3), ("CLF", 4), ("UYW", 4), ("ISK", 0), ("TND", 3), ("MGA", 2)]
        {
            assert_eq!(Currency::from_code(code.as_bytes()).map(Currency::digits), Some(digits), "{code}");
        }
        for unknown in ["", "E", "EU", "eur", "EURO", "XAU", "XXX", "XTS", "ZZZ", "AAA", "E R", "\u{c9}R"] {
            assert_eq!(Currency::from_code(unknown.as_bytes()), None, "{unknown}");
        }
        let without = |digits| Currency::all().filter(|currency| currency.digits() == digits).count();
        // Counted in list one: 16 currencies and UYI without decimals, 7 with three, 2 with four.
        assert_eq!((without(0), without(3), without(4)), (17, 7, 2));
    }

    #[test]
    fn halves_go_to_even() {
        for (numerator, denominator, expected) in [
            (5, 10, 0),
            (15, 10, 2),
            (25, 10, 2),
            (26, 10, 3),
            (24, 10, 2),
            (-5, 10, 0),
            (-15, 10, -2),
            (-25, 10, -2),
            (-26, 10, -3),
            (0, 7, 0),
            (7, 7, 1),
            (3, 2, 2),
            (1, 3, 0),
            (2, 3, 1),
        ] {
            assert_eq!(half_even(numerator, denominator), expected, "{numerator}/{denominator}");
            // The same past 64 bits.
            let big = 1 << 70;
            assert_eq!(half_even(numerator * big, denominator * big), expected, "{numerator}/{denominator}");
        }
        assert_eq!(half_even(i128::MAX, i128::MAX), 1);
        assert_eq!(half_even(i128::from(u64::MAX), i128::from(u64::MAX) - 1), 1);
    }
}
