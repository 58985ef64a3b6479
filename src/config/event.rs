//! `[event]`, `[entities]` and `[money]` -> the schema.

use super::path::path;
use cartguard_engine::currency::Currency;
use cartguard_engine::document::{Faults, Node, Place, Reader, Value};
use cartguard_engine::features::expression::{builtin_names, function_names};
use cartguard_engine::features::names::is_word;
use cartguard_engine::limits::{ENTITIES_MAX, FIELDS_MAX, KEY_PARTS_MAX};
use cartguard_engine::schema::{
    CurrencySource, Entity, Field, FieldKind, Items, Path, Rate, Schema, TimeField, TimeForm, WindowScale,
};

/// `[event]`
pub(super) struct Event {
    id: Path,
    time: TimeField,
    amount: Path,
    currency: CurrencySource,
    arrival: Option<TimeField>,
    items: Option<Items>,
    fields: Vec<Field>,
}

/// `[money]`
#[derive(Default)]
pub(super) struct Money {
    base: Currency,
    rates: Vec<Rate>,
}

/// Joins the three sections and checks what only shows then.
pub(super) fn schema(
    event: Event,
    entities: Vec<Entity>,
    money: Money,
    skew_ms: i64,
    hash_seed: u64,
    root: &Reader<'_>,
) -> Schema {
    let place = root.place_of("event");
    let faults = root.faults();
    nested(&event, &entities, place, faults);
    let scale = match (&event.currency, money.rates.is_empty()) {
        (CurrencySource::Constant(_), true) => WindowScale::Constant,
        (CurrencySource::Path { .. }, true) => WindowScale::Common,
        (source, false) => {
            let needed = match source {
                CurrencySource::Constant(currency) => Some(*currency),
                CurrencySource::Path { default, .. } => *default,
            };
            if let Some(currency) = needed
                && currency != money.base
                && !money.rates.iter().any(|rate| rate.currency == currency)
            {
                let code = currency.code();
                let what = format!(
                    "there is no rate for {code}, the currency of event.currency; give {code} = \"…\""
                );
                faults.add(root.place_of("money"), "money.rates", what);
            }
            WindowScale::Rates { base: money.base, rates: money.rates }
        }
    };
    Schema {
        id: event.id,
        time: event.time,
        amount: event.amount,
        currency: event.currency,
        arrival: event.arrival,
        items: event.items,
        fields: event.fields,
        entities,
        scale,
        labels: None,
        skew_ms,
        hash_seed,
    }
}

/// A value cannot lie inside another value.
fn nested(event: &Event, entities: &[Entity], place: &Place, faults: &Faults) {
    let times = std::iter::once(&event.time).chain(&event.arrival).map(|time| &time.path);
    let currency = match &event.currency {
        CurrencySource::Path { path, .. } => Some(path),
        CurrencySource::Constant(_) => None,
    };
    let fields = event.fields.iter().map(|field| &field.path);
    let keys = entities.iter().flat_map(|entity| &entity.key);
    let items = event.items.iter().map(|items| &items.path);
    let paths: Vec<&Path> = [&event.id, &event.amount]
        .into_iter()
        .chain(times)
        .chain(currency)
        .chain(fields)
        .chain(keys)
        .chain(items)
        .collect();
    for outer in &paths {
        for inner in &paths {
            // A path that was faulty is empty.
            if !outer.0.is_empty() && inner.0.len() > outer.0.len() && inner.0.starts_with(&outer.0) {
                let what = format!(
                    "{} lies inside {}, which is mapped as a value or a basket of its own",
                    inner.dotted(),
                    outer.dotted()
                );
                faults.add(place, "event", what);
            }
        }
    }
}

/// `[event]`. What is faulty is told and replaced by something harmless, so that the features file is still read.
pub(super) fn event(table: &mut Reader<'_>) -> Event {
    let nowhere = || Path(Vec::new());
    let id = required_path(table, "id").unwrap_or_else(nowhere);
    let time_form = "a path, or { path = \"…\", unit = \"ms\" }";
    let time = table.required("time", time_form).and_then(|_| time(table, "time"));
    let time = time.unwrap_or_else(|| TimeField { path: nowhere(), form: TimeForm::Text });
    let amount = required_path(table, "amount").unwrap_or_else(nowhere);
    let currency = currency(table).unwrap_or(CurrencySource::Constant(Currency::default()));
    let arrival = match table.node("arrival") {
        Some(node) if node.word() != Some("") => self::time(table, "arrival"),
        _ => None,
    };
    let items = items(table);
    let fields = fields(table);
    Event { id, time, amount, currency, arrival, items, fields }
}

fn required_path(table: &mut Reader<'_>, key: &str) -> Option<Path> {
    table.required(key, "a path such as \"order.id\"")?;
    let text = table.text(key)?;
    path(&text, table.place_of(key), &table.key(key), table.faults())
}

const UNITS: [(&str, TimeForm); 5] = [
    ("rfc3339", TimeForm::Text),
    ("s", TimeForm::Epoch { per_second: 1 }),
    ("ms", TimeForm::Epoch { per_second: 1_000 }),
    ("us", TimeForm::Epoch { per_second: 1_000_000 }),
    ("ns", TimeForm::Epoch { per_second: 1_000_000_000 }),
];

/// A path, or `{ path, unit }`.
fn time(table: &mut Reader<'_>, key: &str) -> Option<TimeField> {
    let node = table.node(key)?;
    let dotted = table.key(key);
    if !matches!(node.value, Value::Table(_)) {
        let text = table.text(key)?;
        let path = path(&text, &node.place, &dotted, table.faults())?;
        return Some(TimeField { path, form: TimeForm::Text });
    }
    let mut inner = Reader::new(node, &dotted, table.faults());
    let path = required_path(&mut inner, "path");
    let form = unit(&mut inner);
    inner.finish();
    Some(TimeField { path: path?, form: form? })
}

fn unit(table: &mut Reader<'_>) -> Option<TimeForm> {
    if table.node("unit").is_none() {
        return Some(TimeForm::Text);
    }
    table.one_of("unit", &UNITS.map(|(name, _)| name)).map(|index| UNITS[index].1)
}

/// A path, `{ path, default }` or `{ constant }`.
fn currency(table: &mut Reader<'_>) -> Option<CurrencySource> {
    let node = table.required("currency", "a path, or { constant = \"EUR\" }")?;
    let dotted = table.key("currency");
    let faults = table.faults();
    if !matches!(node.value, Value::Table(_)) {
        let text = table.text("currency")?;
        return Some(CurrencySource::Path {
            path: path(&text, &node.place, &dotted, faults)?,
            default: None,
        });
    }
    let mut inner = Reader::new(node, &dotted, faults);
    let constant = code(&mut inner, "constant");
    let default = code(&mut inner, "default");
    let from = inner.text("path");
    let result = match (from, inner.node("constant").is_some()) {
        (Some(_), true) => {
            inner.fault("constant", "stands beside path; it is one or the other");
            None
        }
        (Some(text), false) => path(&text, inner.place_of("path"), &inner.key("path"), faults)
            .zip(default)
            .map(|(path, default)| CurrencySource::Path { path, default }),
        (None, true) => {
            if inner.node("default").is_some() {
                inner.fault("default", "belongs to path");
            }
            constant.flatten().map(CurrencySource::Constant)
        }
        (None, false) => {
            faults.add(
                &node.place,
                &dotted,
                "has neither path nor constant; { path = \"…\" } or { constant = \"EUR\" }",
            );
            None
        }
    };
    inner.finish();
    result
}

/// The currency of a key, none where the key is absent; nothing where it is faulty.
#[expect(clippy::option_option, reason = "faulty, absent, or a currency")]
fn code(table: &mut Reader<'_>, key: &str) -> Option<Option<Currency>> {
    if table.node(key).is_none() {
        return Some(None);
    }
    let text = table.text(key)?;
    known_code(&text, table.place_of(key), &table.key(key), table.faults()).map(Some)
}

fn known_code(text: &str, place: &Place, key: &str, faults: &Faults) -> Option<Currency> {
    let currency = Currency::from_code(text.as_bytes());
    if currency.is_none() {
        let upper = text.to_ascii_uppercase();
        let guess = Currency::from_code(upper.as_bytes()).map(|_| upper);
        let guess = guess.map_or(String::new(), |code| format!("; did you mean \"{code}\"?"));
        faults.add(place, key, format!("{text:?} is no ISO 4217 code such as \"EUR\"{guess}"));
    }
    currency
}

/// `{ path, sku, quantity, price }`, or none.
fn items(table: &mut Reader<'_>) -> Option<Items> {
    let node = table.node("items").filter(|node| node.word() != Some(""))?;
    let dotted = table.key("items");
    let accepted = "{ path = \"items\", sku = \"sku\", quantity = \"qty\", price = \"price\" }";
    if !matches!(node.value, Value::Table(_)) {
        table.fault("items", format!("{} is no basket; {accepted}", node.shown()));
        return None;
    }
    let mut inner = Reader::new(node, &dotted, table.faults());
    let path = required_path(&mut inner, "path");
    let mut member = |key: &str| {
        inner.required(key, "the name of the member in each line")?;
        let name = inner.text(key)?;
        if name.is_empty() {
            inner.fault(key, "is empty; the name of the member in each line");
        }
        Some(name)
    };
    let (sku, quantity, price) = (member("sku"), member("quantity"), member("price"));
    inner.finish();
    let items = Items { path: path?, sku: sku?, quantity: quantity?, price: price? };
    if items.sku == items.quantity || items.sku == items.price || items.quantity == items.price {
        table.fault("items", "names one member twice");
    }
    Some(items)
}

/// `[event.fields]`
fn fields(table: &mut Reader<'_>) -> Vec<Field> {
    let Some(mut inner) = table.table("fields") else { return Vec::new() };
    let faults = table.faults();
    let mut fields = Vec::new();
    for (name, place, node) in inner.entries() {
        let key = inner.key(name);
        let own = function_names().chain(builtin_names()).any(|(known, _)| known == name);
        if !is_word(name) {
            faults.add(place, &key, "is no name; letters, digits and _, not a digit first");
        } else if own {
            faults.add(place, &key, "is a name that expressions have already; call it otherwise");
        }
        fields.extend(field(name, &key, node, faults));
    }
    if fields.len() > FIELDS_MAX {
        table.fault("fields", format!("{} fields are too many; at most {FIELDS_MAX}", fields.len()));
    }
    fields
}

fn field(name: &str, key: &str, node: &Node, faults: &Faults) -> Option<Field> {
    if let Some(text) = node.word() {
        let path = path(text, &node.place, key, faults)?;
        return Some(Field { name: name.to_owned(), path, kind: FieldKind::Category });
    }
    if !matches!(node.value, Value::Table(_)) {
        let accepted = "a path, or { path = \"…\", type = \"number\" }";
        faults.add(&node.place, key, format!("{} maps nothing; {accepted}", node.shown()));
        return None;
    }
    let mut table = Reader::new(node, key, faults);
    let path = required_path(&mut table, "path");
    const KINDS: [&str; 3] = ["category", "number", "time"];
    let kind = if table.node("type").is_none() { Some(0) } else { table.one_of("type", &KINDS) };
    let form = unit(&mut table);
    if kind != Some(2) && table.node("unit").is_some() {
        table.fault("unit", "belongs to type = \"time\"");
    }
    table.finish();
    let kind = match kind? {
        0 => FieldKind::Category,
        1 => FieldKind::Number,
        _ => FieldKind::Time(form?),
    };
    Some(Field { name: name.to_owned(), path: path?, kind })
}

/// `[entities]`
pub(super) fn entities(table: &mut Reader<'_>) -> Vec<Entity> {
    let faults = table.faults();
    let mut entities = Vec::new();
    for (name, place, node) in table.entries() {
        let key = table.key(name);
        if !is_word(name) {
            faults.add(place, &key, "is no name; letters, digits and _, not a digit first");
        }
        let parts: Vec<&Node> = match &node.value {
            Value::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        if parts.is_empty() || parts.len() > KEY_PARTS_MAX {
            let what = format!("{} paths make no key; 1 to {KEY_PARTS_MAX} do", parts.len());
            faults.add(&node.place, &key, what);
        }
        let mut paths: Vec<Path> = Vec::new();
        for part in parts {
            let Some(text) = part.word() else {
                let accepted = "a path, or a list of paths whose values together are the key";
                faults.add(&part.place, &key, format!("{} is no path; {accepted}", part.shown()));
                continue;
            };
            let Some(found) = path(text, &part.place, &key, faults) else { continue };
            if paths.contains(&found) {
                faults.add(&part.place, &key, format!("{text:?} stands in the key twice"));
            }
            paths.push(found);
        }
        entities.push(Entity { name: name.to_owned(), key: paths });
    }
    if entities.len() > ENTITIES_MAX {
        faults.add(
            table.place(),
            "entities",
            format!("{} kinds are too many; at most {ENTITIES_MAX}", entities.len()),
        );
    }
    entities
}

/// `[money]`
pub(super) fn money(table: &mut Reader<'_>) -> Option<Money> {
    let base = code(table, "base");
    if base == Some(None) {
        table.fault("base", "is missing; the currency that amounts are added in, such as \"EUR\"");
    }
    let base = base.flatten();
    let mut rates = Vec::new();
    if let Some(mut inner) = table.table("rates") {
        for (name, place, node) in inner.entries() {
            let key = inner.key(name);
            let currency = known_code(name, place, &key, table.faults());
            let rate = rate(node, &key, table.faults());
            if currency.is_some() && currency == base {
                let what = "is the base currency itself; its rate is 1 and is not written";
                table.faults().add(place, &key, what);
            }
            if let Some((currency, (numerator, denominator))) = currency.zip(rate) {
                rates.push(Rate { currency, numerator, denominator });
            }
        }
    }
    Some(Money { base: base?, rates })
}

/// An exact decimal greater than 0 as a fraction in lowest terms.
fn rate(node: &Node, key: &str, faults: &Faults) -> Option<(u64, u64)> {
    let accepted = "a decimal greater than 0 in quotes, such as \"0.92\"";
    let fault = |what: &str| {
        faults.add(&node.place, key, format!("{} {what}; {accepted}", node.shown()));
        None
    };
    let Some(text) = node.word() else { return fault("is not exact") };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || (part.is_empty() && text.contains('.')) {
        return fault("is no rate");
    }
    // More digits than any quotation has, few enough that conversion stays within 128 bits.
    if whole.len() > 9 || part.len() > 9 {
        return fault("has more than nine digits before or after the point");
    }
    let numerator: u64 = format!("{whole}{part}").parse().ok()?;
    let denominator = 10_u64.pow(part.len() as u32);
    if numerator == 0 {
        return fault("is no rate");
    }
    let common = greatest_common_divisor(numerator, denominator);
    Some((numerator / common, denominator / common))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cartguard_engine::document::Layer;

    #[test]
    fn rates_are_exact_fractions() {
        let rate = |text: &str| {
            let faults = Faults::default();
            let place = Place::whole(Layer::Flag, "test");
            rate(&Node { value: Value::Text(text.to_owned()), place }, "money.rates.USD", &faults)
        };
        assert_eq!(rate("0.92"), Some((23, 25)));
        assert_eq!(rate("1"), Some((1, 1)));
        assert_eq!(rate("0.0061"), Some((61, 10_000)));
        assert_eq!(rate("999999999.999999999"), Some((999_999_999_999_999_999, 1_000_000_000)));
        for text in ["", "0", "0.000", "-1", "1.", ".5", "1e3", "1,5", "1234567890", "0.1234567891", "NaN"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }
}
