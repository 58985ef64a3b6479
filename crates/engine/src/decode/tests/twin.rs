//! The decoder against a slow twin on `serde_json`, over random schemas and records.
//!
//! The twin shares the schema, the table of currencies and the hash functions, nothing else: it reads a tree, looks paths up by
//! name, and does decimal arithmetic on strings of digits. `CARTGUARD_FUZZ_RUNS` sets the number of records.

use super::differential::runs;
use super::sample::Rng;
use super::tree::{Tree, tree};
use super::writer::{Writer, schema};
use super::*;
use crate::event::{IdText, MISSING, NO_KEY, marks};
use crate::limits::{AMOUNT_MINOR_MAX, AMOUNT_SCALED_MAX, NUMBER_MICRO_MAX, TIME_MS_MAX, TIME_MS_MIN};
use crate::reject::{Reason, Subject};
use crate::schema::ITEM_STATS;

fn missing(value: Option<&Tree>) -> bool {
    match value {
        None | Some(Tree::Null) => true,
        Some(Tree::String(text, _)) => text.is_empty(),
        Some(_) => false,
    }
}

fn micro(value: Option<&Tree>) -> Option<i64> {
    let decimal = value?.decimal()?.shifted(6);
    let absolute = decimal.half_even();
    let micro = if decimal.negative { -absolute } else { absolute };
    (absolute <= i128::from(NUMBER_MICRO_MAX)).then_some(micro as i64)
}

fn minor(value: &Tree, form: Form, digits: u32) -> Result<i64, Reason> {
    let is_row = form == Form::Row && matches!(value, Tree::Number(_));
    if !matches!(value, Tree::String(..) | Tree::Number(_)) {
        return Err(Reason::WrongType);
    }
    let decimal = value.decimal().ok_or(Reason::InvalidAmount)?.shifted(i64::from(digits));
    let whole = decimal.whole();
    let minor = if is_row {
        // 0.000001 and less, 0.999999 and more.
        let rest = format!("{:0<6}", decimal.behind);
        let is_low = rest.trim_end_matches('0') <= "000001";
        let is_high = rest[..6] == *"999999";
        let near = if is_high { Some(whole + 1) } else { is_low.then_some(whole) };
        if decimal.negative && near != Some(0) {
            return Err(Reason::NegativeAmount);
        }
        if whole >= 10_i128.pow(19) {
            return Err(Reason::AmountOutOfRange);
        }
        near.ok_or(Reason::TooManyDecimals)?
    } else {
        if decimal.negative && !(whole == 0 && decimal.rest_is_zero()) {
            return Err(Reason::NegativeAmount);
        }
        if !decimal.rest_is_zero() {
            return Err(Reason::TooManyDecimals);
        }
        whole
    };
    if minor > i128::from(AMOUNT_MINOR_MAX) { Err(Reason::AmountOutOfRange) } else { Ok(minor as i64) }
}

fn scaled(schema: &Schema, minor: i64, currency: Currency) -> Result<i64, (Reason, Subject)> {
    let minor = i128::from(minor);
    let value = match (&schema.scale, &schema.currency) {
        (WindowScale::Rates { base, rates }, _) => {
            let rate = rates.iter().find(|rate| rate.currency == currency);
            let (numerator, denominator) = match rate {
                Some(rate) => (rate.numerator, rate.denominator),
                None if currency == *base => (1, 1),
                None => return Err((Reason::NoRate, Subject::Currency)),
            };
            let above = minor * i128::from(numerator) * 10_i128.pow(base.digits());
            let below = i128::from(denominator) * 10_i128.pow(currency.digits());
            let (floor, rest) = (above / below, above % below);
            floor + i128::from(2 * rest > below || (2 * rest == below && floor % 2 == 1))
        }
        (WindowScale::Constant, CurrencySource::Constant(_)) => minor,
        _ => minor * 10_i128.pow(4 - currency.digits()),
    };
    if value > i128::from(AMOUNT_SCALED_MAX) {
        return Err((Reason::AmountOutOfRange, Subject::Amount));
    }
    Ok(value as i64)
}

/// Only what the generator below writes; the forms of text have their table in `rules`.
fn time(value: &Tree, form: TimeForm) -> Result<i64, Reason> {
    let ms = match (form, value) {
        (TimeForm::Text, Tree::String(text, _)) => {
            let number =
                |at: usize, len: usize| text.get(at..at + len).and_then(|part| part.parse::<i64>().ok());
            let parts =
                (number(0, 4), number(5, 2), number(8, 2), number(11, 2), number(14, 2), number(17, 2));
            let (Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)) = parts else {
                return Err(Reason::InvalidTime);
            };
            let fraction = text.get(20..23).and_then(|part| part.parse::<i64>().ok()).unwrap_or(0);
            let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let mut days: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
            days -= (year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>();
            days += lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
            if day > lengths[month as usize - 1] {
                return Err(Reason::InvalidTime);
            }
            (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction
        }
        (TimeForm::Epoch { per_second }, Tree::String(..) | Tree::Number(_)) => {
            let decimal = value.decimal().ok_or(Reason::InvalidTime)?;
            let places = match per_second {
                1 => 3,
                1_000 => 0,
                1_000_000 => -3,
                _ => -6,
            };
            let ms = decimal.shifted(places).whole();
            if value.decimal().is_some_and(|decimal| decimal.negative) {
                return Err(Reason::TimeOutOfRange);
            }
            i64::try_from(ms).map_err(|_| Reason::TimeOutOfRange)?
        }
        _ => return Err(Reason::WrongType),
    };
    if (TIME_MS_MIN..=TIME_MS_MAX).contains(&ms) { Ok(ms) } else { Err(Reason::TimeOutOfRange) }
}

fn basket(schema: &Schema, root: &Tree) -> Result<[i64; ITEM_STATS], Reason> {
    let missing_all = Ok([MISSING; ITEM_STATS]);
    let Some(items) = &schema.items else { return missing_all };
    let Some(Tree::Array(lines)) = root.at(&items.path.0) else { return missing_all };
    let names = [&items.sku, &items.quantity, &items.price];
    if lines.iter().any(|line| names.iter().any(|name| line.repeats(std::slice::from_ref(*name)))) {
        return Err(Reason::DuplicateMember);
    }
    if lines.iter().any(|line| !matches!(line, Tree::Object(_))) {
        return missing_all;
    }
    let not_negative = |value| micro(value).map(i128::from).filter(|number| *number >= 0);
    let get = |line: usize, name: &String| lines[line].at(std::slice::from_ref(name));
    let all = 0..lines.len();
    let quantity = |line: usize| {
        let value = get(line, &items.quantity);
        if missing(value) { Some(1_000_000) } else { not_negative(value) }
    };
    let product = |line: usize| Some(quantity(line)? * not_negative(get(line, &items.price))?);
    let quantities: Option<Vec<i128>> = all.clone().map(quantity).collect();
    let products: Option<Vec<i128>> = all.clone().map(product).collect();
    let round = |above: i128, below: i128| {
        let (floor, rest) = (above.div_euclid(below), above.rem_euclid(below));
        floor + i128::from(2 * rest > below || (2 * rest == below && floor.rem_euclid(2) == 1))
    };
    let share = products.as_ref().and_then(|products| {
        let total: i128 = products.iter().sum();
        (total > 0).then(|| round(products.iter().max().copied().unwrap_or(0) * 1_000_000, total))
    });
    let skus: Vec<Option<&str>> = all.map(|line| get(line, &items.sku).and_then(Tree::text)).collect();
    let most = quantities.as_ref().and_then(|quantities| {
        let of = |sku: &str| {
            let same = skus.iter().zip(quantities).filter(|(other, _)| **other == Some(sku));
            same.map(|(_, quantity)| quantity).sum::<i128>()
        };
        skus.iter().flatten().map(|sku| of(sku)).max()
    });
    let slot = |value: Option<i128>| {
        value
            .filter(|value| value.abs() <= i128::from(NUMBER_MICRO_MAX))
            .map_or(MISSING, |value| value as i64)
    };
    Ok([
        lines.len() as i64,
        slot(quantities.as_ref().map(|quantities| quantities.iter().sum())),
        slot(products.map(|products| round(products.iter().sum(), 1_000_000))),
        slot(share),
        slot(most),
    ])
}

fn twin(
    schema: &Schema,
    record: &str,
    form: Form,
    arrival_ms: i64,
) -> Result<Event, (Reason, Option<Subject>)> {
    let fault = |reason, subject| (reason, Some(subject));
    let trimmed = record.trim_matches([' ', '\t', '\n', '\r']);
    let unread = if form == Form::Row { Reason::InvalidRow } else { Reason::InvalidJson };
    let root = tree(trimmed).ok_or((unread, Some(Subject::Record)))?;
    if !matches!(root, Tree::Object(_)) {
        return Err(fault(Reason::NotAnObject, Subject::Record));
    }
    let mut paths = vec![&schema.id, &schema.time.path, &schema.amount];
    if let CurrencySource::Path { path, .. } = &schema.currency {
        paths.push(path);
    }
    paths.extend(schema.arrival.iter().map(|field| &field.path));
    paths.extend(schema.items.iter().map(|items| &items.path));
    paths.extend(schema.fields.iter().map(|field| &field.path));
    paths.extend(schema.entities.iter().flat_map(|entity| &entity.key));
    if paths.iter().any(|path| root.repeats(&path.0)) {
        return Err((Reason::DuplicateMember, None));
    }
    let stats = basket(schema, &root).map_err(|reason| (reason, None))?;

    let mut head = Head::default();
    let id = root.at(&schema.id.0);
    if missing(id) {
        return Err(fault(Reason::Missing, Subject::Id));
    }
    let raw = match id {
        Some(Tree::String(text, raw)) => {
            head.id_hash = super::super::hash::id(schema.hash_seed, text.as_bytes());
            raw
        }
        Some(Tree::Number(text)) if text.chars().all(|c| c == '-' || c.is_ascii_digit()) => {
            head.id_hash = super::super::hash::id(schema.hash_seed, text.as_bytes());
            text
        }
        _ => return Err(fault(Reason::WrongType, Subject::Id)),
    };
    head.id.len = raw.len() as u32;
    let required = |field: &TimeField, subject| {
        let value = root.at(&field.path.0);
        let value = value.filter(|_| !missing(value)).ok_or(fault(Reason::Missing, subject))?;
        time(value, field.form).map_err(|reason| fault(reason, subject))
    };
    head.shown_ms = required(&schema.time, Subject::Time)?;
    let currency = match &schema.currency {
        CurrencySource::Constant(currency) => *currency,
        CurrencySource::Path { path, default } => match root.at(&path.0) {
            value if missing(value) => default.ok_or(fault(Reason::Missing, Subject::Currency))?,
            Some(Tree::String(code, _)) => Currency::all()
                .find(|currency| currency.code() == code)
                .ok_or(fault(Reason::UnknownCurrency, Subject::Currency))?,
            _ => return Err(fault(Reason::WrongType, Subject::Currency)),
        },
    };
    head.currency = currency.0;
    let amount = root.at(&schema.amount.0);
    let amount = amount.filter(|_| !missing(amount)).ok_or(fault(Reason::Missing, Subject::Amount))?;
    head.amount_minor =
        minor(amount, form, currency.digits()).map_err(|reason| fault(reason, Subject::Amount))?;
    head.amount_scaled =
        scaled(schema, head.amount_minor, currency).map_err(|(reason, subject)| fault(reason, subject))?;
    let arrival_ms = match &schema.arrival {
        Some(field) if arrival_ms == NO_ARRIVAL && !missing(root.at(&field.path.0)) => {
            required(field, Subject::Arrival)?
        }
        _ => arrival_ms,
    };
    head.time_ms = head.shown_ms;
    if arrival_ms != NO_ARRIVAL && head.shown_ms - schema.skew_ms > arrival_ms {
        (head.time_ms, head.marks) = (arrival_ms + schema.skew_ms, marks::EARLY);
        if head.time_ms < TIME_MS_MIN {
            return Err(fault(Reason::TimeOutOfRange, Subject::Arrival));
        }
    }
    let keys = schema.entities.iter().enumerate().map(|(index, entity)| {
        let parts: Option<Vec<&[u8]>> =
            entity.key.iter().map(|path| Some(root.at(&path.0)?.text()?.as_bytes())).collect();
        parts.map_or(NO_KEY, |parts| super::super::hash::key(schema.hash_seed, index, &parts))
    });
    let mut slots: Vec<i64> = schema
        .fields
        .iter()
        .map(|field| {
            let value = root.at(&field.path.0);
            let slot = match field.kind {
                FieldKind::Category => value
                    .and_then(Tree::text)
                    .map(|text| super::super::hash::category(schema.hash_seed, text.as_bytes())),
                FieldKind::Number => micro(value),
                FieldKind::Time(form) => value.and_then(|value| time(value, form).ok()),
            };
            slot.unwrap_or(MISSING)
        })
        .collect();
    if schema.items.is_some() {
        slots.extend(stats);
    }
    Ok(Event { head, keys: keys.collect(), slots })
}

#[test]
fn the_decoder_equals_its_twin() {
    const NAMES: [&str; 15] = [
        "id", "time", "amount", "currency", "arrival", "customer", "card", "lines", "ship", "bill", "cart",
        "discount", "x", "Id", "amounts",
    ];
    let mut rng = Rng(5);
    let (mut accepted, mut reasons) = (0_u64, std::collections::BTreeMap::new());
    for _ in 0..runs().div_ceil(50) {
        let schema = schema(&mut rng);
        let mut case = Case::new(schema);
        for _ in 0..50 {
            let epochs = case.schema.time.form != TimeForm::Text;
            let mut writer = Writer { rng: &mut rng, epochs, text: String::new() };
            writer.object(&NAMES, 0);
            writer.space();
            let mut record = writer.text;
            if rng.below(20) == 0 {
                let at = rng.below(record.len() as u64) as usize;
                if record.is_char_boundary(at) {
                    record.truncate(at);
                }
            }
            case.form = if rng.below(4) == 0 { Form::Row } else { Form::Json };
            case.arrival_ms =
                [NO_ARRIVAL, NO_ARRIVAL, 1_709_210_096_789, 946_684_000_000, 5][rng.below(5) as usize];
            let expected = twin(&case.schema, &record, case.form, case.arrival_ms);
            let actual = case.decode(record.as_bytes());
            match (&expected, actual) {
                (Ok(expected), Ok(mut actual)) => {
                    // The twin does not know where the id stood.
                    let IdText { start, len } = actual.head.id;
                    let id = &record[start as usize..(start + len) as usize];
                    assert!(
                        record[..start as usize].ends_with(['"', ':', ' ', '\t', '\n']),
                        "{id} in {record}"
                    );
                    actual.head.id.start = 0;
                    assert_eq!(actual, *expected, "{record}\n{:#?}", case.schema);
                    accepted += 1;
                }
                (Err((reason, subject)), Err(reject)) => {
                    assert_eq!(reject.reason, *reason, "{record}\n{:#?}", case.schema);
                    assert!(subject.is_none_or(|subject| subject == reject.subject), "{record}");
                    *reasons.entry(*reason).or_insert(0) += 1;
                }
                (_, actual) => panic!("{expected:?}\n{actual:?}\n{record}\n{:#?}", case.schema),
            }
        }
    }
    assert!(accepted > runs() / 20, "{accepted} accepted: the test proves little");
    assert!(reasons.len() >= 10, "{reasons:?}");
}

#[test]
fn amounts_equal_big_decimals() {
    let mut rng = Rng(9);
    for _ in 0..runs() {
        let text = Writer { rng: &mut rng, epochs: false, text: String::new() }.number();
        for digits in 0..=4 {
            for form in [Form::Json, Form::Row] {
                let expected = minor(&Tree::Number(text.clone()), form, digits);
                let actual = match form {
                    Form::Json => super::super::amount::exact(text.as_bytes(), true, digits),
                    _ => super::super::amount::near(text.as_bytes(), digits),
                };
                assert_eq!(actual, expected, "{text} to {digits} digits, {form:?}");
            }
            let string = minor(&Tree::String(text.clone(), String::new()), Form::Row, digits);
            assert_eq!(super::super::amount::exact(text.as_bytes(), false, digits), string, "{text}");
        }
        let number = super::super::number::micro(text.as_bytes(), false);
        assert_eq!(number, micro(Some(&Tree::Number(text.clone()))), "{text}");
    }
}
