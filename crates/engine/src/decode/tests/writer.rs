//! Random schemas, and random records that they may or may not fit.

use super::sample::Rng;
use super::*;
use crate::schema::Rate;
use std::fmt::Write as _;

/// A writer of random records.
pub(super) struct Writer<'a> {
    pub(super) rng: &'a mut Rng,
    /// Whether most times are counts.
    pub(super) epochs: bool,
    pub(super) text: String,
}

impl Writer<'_> {
    fn pick<'b>(&mut self, list: &[&'b str]) -> &'b str {
        list[self.rng.below(list.len() as u64) as usize]
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.rng.below(chances) == 0
    }

    pub(super) fn space(&mut self) {
        if self.one_in(6) {
            let space = self.pick(&[" ", "\t", "\r\n", "  ", ""]);
            self.text.push_str(space);
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            if self.one_in(12) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(self.text, "\\u{unit:04X}");
                }
            } else if matches!(character, '"' | '\\') {
                self.text.push('\\');
                self.text.push(character);
            } else if character == '/' && self.one_in(2) {
                self.text.push_str("\\/");
            } else {
                self.text.push(character);
            }
        }
        self.text.push('"');
    }

    pub(super) fn number(&mut self) -> String {
        let digits = |rng: &mut Rng, most: u64| -> String {
            (0..=rng.below(most)).map(|_| char::from(b'0' + rng.below(10) as u8)).collect()
        };
        let mut text = String::new();
        if self.one_in(10) {
            text.push('-');
        }
        let long = if self.one_in(8) { 24 } else { 5 };
        let before = digits(self.rng, long);
        let before = before.trim_start_matches('0');
        text.push_str(if before.is_empty() { "0" } else { before });
        if !self.one_in(3) {
            text.push('.');
            let long = if self.one_in(8) { 24 } else { 2 };
            text.push_str(&digits(self.rng, long));
            if self.one_in(6) {
                let tail = self.pick(&["00000", "5", "50", "000001", "9999999", "000000000001"]);
                text.push_str(tail);
            }
        }
        if self.one_in(6) {
            let exponent =
                self.pick(&["e0", "e1", "E+2", "e-1", "e-2", "e9", "e-12", "e400", "e-400", "E22"]);
            text.push_str(exponent);
        }
        text
    }

    fn value(&mut self, name: &str, depth: u64) {
        self.space();
        let kind = if self.one_in(25) { "" } else { name };
        match kind {
            "id" => {
                let text =
                    self.pick(&["a", "a\"b", "é", "x/y", "\u{1f600}", "12", "event-000000000000000001"]);
                self.string(text);
            }
            "time" => {
                let text = self.pick(&[
                    "2024-02-29T12:34:56.789Z",
                    "2023-02-29T12:34:56.789Z",
                    "2000-01-01T00:00:00.000Z",
                    "1999-12-31T23:59:59.999Z",
                    "2100-03-01 00:00:00.001Z",
                    "9999-12-31T23:59:59.999Z",
                    "2024-02-29T12:34:56Z",
                    "2031-08-31t23:59:59.000z",
                ]);
                let epochs = if self.epochs { 8 } else { 1 };
                if self.rng.below(10) < epochs {
                    let epoch = self.pick(&[
                        "1709210096",
                        "1709210096789",
                        "1.709210096789e12",
                        "946684799.9999",
                        "946684800",
                        "17092100967891234",
                    ]);
                    self.text.push_str(epoch);
                } else {
                    self.string(text);
                }
            }
            "currency" => {
                let code = self.pick(&["EUR", "EUR", "USD", "USD", "JPY", "BHD", "CLF", "eur", "XAU", ""]);
                self.string(code);
            }
            "number" => {
                let plain = self.pick(&["0", "1", "12.5", "99.90", "100.00", "3", "1e1"]);
                let number = if self.one_in(2) { self.number() } else { plain.to_owned() };
                if self.one_in(2) { self.string(&number) } else { self.text.push_str(&number) }
            }
            "text" => {
                let text = self.pick(&["DE", "FR", "", "ab", "bc", "abc", "a", "c", "null", "7"]);
                self.string(text);
            }
            "lines" => self.array(|writer| writer.object(&["sku", "qty", "price", "sku2"], 1), 6),
            "object" if depth < 3 => {
                self.object(&["id", "amount", "country", "time", "lines", "x"], depth + 1);
            }
            _ => match self.rng.below(8) {
                0 => self.text.push_str("null"),
                1 => self.text.push_str("true"),
                2 => self.text.push_str("false"),
                3 => {
                    let number = self.number();
                    self.text.push_str(&number);
                }
                4 if depth < 3 => self.array(|writer| writer.value("", depth + 1), 4),
                5 if depth < 3 => self.object(&["country", "x", "y"], depth + 1),
                _ => self.string("z"),
            },
        }
        self.space();
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self), most: u64) {
        self.text.push('[');
        for index in 0..self.rng.below(most) {
            if index > 0 {
                self.text.push(',');
            }
            element(self);
        }
        self.text.push(']');
    }

    /// An object of some of these members, in any order, now and then one of them twice.
    pub(super) fn object(&mut self, names: &[&str], depth: u64) {
        let mut names: Vec<&str> = names.to_vec();
        for _ in 0..names.len() / 3 {
            if self.one_in(2) {
                let away = self.rng.below(names.len() as u64) as usize;
                // Few records are worth anything without these.
                if !matches!(names[away], "id" | "time" | "amount") || self.one_in(8) {
                    names.remove(away);
                }
            }
        }
        for index in (1..names.len()).rev() {
            names.swap(index, self.rng.below(index as u64 + 1) as usize);
        }
        if self.one_in(25) {
            let again = self.pick(&names.clone());
            names.push(again);
        }
        self.members(&names, depth);
    }

    fn members(&mut self, names: &[&str], depth: u64) {
        self.text.push('{');
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.space();
            self.string(name);
            self.space();
            self.text.push(':');
            let kind = match *name {
                "id" | "time" | "currency" | "lines" => name,
                "amount" | "discount" | "qty" | "price" => "number",
                "customer" | "card" | "country" | "sku" => "text",
                "ship" | "bill" | "cart" => "object",
                "arrival" => "time",
                _ => "",
            };
            self.value(kind, depth);
        }
        self.text.push('}');
    }
}

/// A schema of random paths, forms and scales.
pub(super) fn schema(rng: &mut Rng) -> Schema {
    let mut pick = |list: &[&str]| path(list[rng.below(list.len() as u64) as usize]);
    let id = pick(&["id", "id", "id", "cart.id"]);
    let (time_path, amount) =
        (pick(&["time", "time", "time", "ship.time"]), pick(&["amount", "amount", "amount", "cart.amount"]));
    let fields = [
        ("text", pick(&["ship.country", "ship", "customer", "x"]), FieldKind::Category),
        ("number", pick(&["discount", "amount", "cart.amount", "lines"]), FieldKind::Number),
        ("time", pick(&["ship.time", "time", "arrival"]), FieldKind::Time(TimeForm::Text)),
        ("epoch", pick(&["time", "arrival"]), FieldKind::Time(TimeForm::Epoch { per_second: 1000 })),
        ("deep", pick(&["cart.x.y", "cart.x.country", "bill.x"]), FieldKind::Category),
    ];
    let keys = [
        vec![pick(&["customer", "card", "id", "ship.country"])],
        vec![pick(&["customer", "card"]), pick(&["card", "customer", "bill.country"])],
    ];
    let items_path = pick(&["lines", "cart.lines"]);
    let code = |code: &str| Currency::from_code(code.as_bytes()).expect("a code");
    let one = |rng: &mut Rng, of: u64| rng.below(of) == 0;
    Schema {
        labels: None,
        id,
        time: TimeField {
            path: time_path,
            form: if one(rng, 3) {
                TimeForm::Epoch { per_second: [1, 1_000, 1_000_000, 1_000_000_000][rng.below(4) as usize] }
            } else {
                TimeForm::Text
            },
        },
        amount,
        currency: if one(rng, 3) {
            CurrencySource::Constant(code("EUR"))
        } else {
            CurrencySource::Path { path: path("currency"), default: one(rng, 2).then(|| code("JPY")) }
        },
        arrival: one(rng, 2).then(|| TimeField { path: path("arrival"), form: TimeForm::Text }),
        items: (!one(rng, 4)).then(|| Items {
            path: items_path,
            sku: "sku".to_owned(),
            quantity: "qty".to_owned(),
            price: "price".to_owned(),
        }),
        fields: fields
            .into_iter()
            .map(|(name, path, kind)| Field { name: name.to_owned(), path, kind })
            .collect(),
        entities: keys.into_iter().map(|key| Entity { name: "e".to_owned(), key }).collect(),
        scale: match rng.below(3) {
            0 => WindowScale::Constant,
            1 => WindowScale::Common,
            _ => WindowScale::Rates {
                base: code("EUR"),
                rates: vec![
                    Rate { currency: code("USD"), numerator: 7, denominator: 8 },
                    Rate { currency: code("JPY"), numerator: 61, denominator: 10_000 },
                    Rate { currency: code("CLF"), numerator: u64::MAX, denominator: 3 },
                ],
            },
        },
        skew_ms: 600_000,
        hash_seed: rng.next(),
    }
}
