//! The rules of a record as a whole, of ids, amounts and currencies, both sides of each edge.

use super::*;
use crate::event::{IdText, MISSING, NO_KEY};
use crate::limits::{AMOUNT_MINOR_MAX, JSON_DEPTH_MAX, RECORD_BYTES_MAX};
use crate::reject::{Reason, Subject};
use crate::schema::Rate;

pub(super) fn good(record: &str) -> Event {
    Case::new(checkout()).decode(record.as_bytes()).unwrap_or_else(|reject| panic!("{record}: {reject:?}"))
}

pub(super) fn bad(record: &[u8]) -> (Reason, Subject) {
    match Case::new(checkout()).decode(record) {
        Ok(event) => panic!("{}: {event:?}", String::from_utf8_lossy(record)),
        Err(reject) => (reject.reason, reject.subject),
    }
}

#[test]
fn the_least_record_decodes() {
    let event = good(&least(""));
    assert_eq!(event.head.shown_ms, 1_709_210_096_789);
    assert_eq!(event.head.time_ms, event.head.shown_ms);
    assert_eq!((event.head.amount_minor, event.head.amount_scaled), (1230, 123_000));
    assert_eq!(Currency(event.head.currency).code(), "EUR");
    assert_eq!(event.head.id, IdText { start: 13, len: 2 });
    assert_eq!(event.head.id_hash, super::super::hash::id(7, b"e1"));
    assert_eq!(event.head.marks, 0);
    assert_eq!(event.keys, [NO_KEY; 3]);
    assert_eq!(event.slots, [MISSING; 10]);
}

#[test]
fn faults_of_the_record_as_a_whole() {
    let twice = least("") + &least("");
    let nested = |depth: usize| least(&format!("\"x\":{}{},", "[".repeat(depth), "]".repeat(depth)));
    let (deep, deeper) = (nested(JSON_DEPTH_MAX - 1), nested(JSON_DEPTH_MAX));
    let bomb = "[".repeat(1_000_000);
    let bom = format!("\u{feff}{}", least(""));
    let cases: &[(&[u8], Reason)] = &[
        (b"", Reason::InvalidJson),
        (b" \n", Reason::InvalidJson),
        (b"{", Reason::InvalidJson),
        (b"{}x", Reason::InvalidJson),
        (b"{\"a\":1,}", Reason::InvalidJson),
        (b"{\"a\" 1}", Reason::InvalidJson),
        (b"{a:1}", Reason::InvalidJson),
        (b"{\"a\":[1,]}", Reason::InvalidJson),
        (b"{\"a\":[1}}", Reason::InvalidJson),
        (b"{\"a\":NaN}", Reason::InvalidJson),
        (b"{\"a\":Infinity}", Reason::InvalidJson),
        (b"{\"a\":+1}", Reason::InvalidJson),
        (b"{\"a\":01}", Reason::InvalidJson),
        (b"{\"a\":1.}", Reason::InvalidJson),
        (b"{\"a\":.5}", Reason::InvalidJson),
        (b"{\"a\":1e}", Reason::InvalidJson),
        (b"{\"a\":tru}", Reason::InvalidJson),
        (b"{\"a\":nullx}", Reason::InvalidJson),
        (b"{\"a\":'b'}", Reason::InvalidJson),
        (b"{\"a\":\"\\x\"}", Reason::InvalidJson),
        (b"{\"a\":\"\\ud800\"}", Reason::InvalidJson),
        (b"{\"a\":\"\\udc00\"}", Reason::InvalidJson),
        (b"{\"a\":\"\\ud800\\u0041\"}", Reason::InvalidJson),
        (b"{\"a\":\"\x01\"}", Reason::InvalidJson),
        (b"{\"a\":\"\n\"}", Reason::InvalidJson),
        (b"{\"a\":1}\0", Reason::InvalidJson),
        (b"{\"a\":\x0c1}", Reason::InvalidJson),
        (b"{\"a\":\"\xff\"}", Reason::InvalidUtf8),
        (b"{\"a\":\"\xed\xa0\x80\"}", Reason::InvalidUtf8),
        (b"{\"a\":\"\xc0\xaf\"}", Reason::InvalidUtf8),
        (b"\xff", Reason::InvalidUtf8),
        (b"[]", Reason::NotAnObject),
        (b"[1", Reason::InvalidJson),
        (b"3", Reason::NotAnObject),
        (b" \"a\" ", Reason::NotAnObject),
        (b"null", Reason::NotAnObject),
        (twice.as_bytes(), Reason::InvalidJson),
        (deeper.as_bytes(), Reason::TooDeep),
        (bomb.as_bytes(), Reason::TooDeep),
    ];
    for &(record, reason) in cases {
        assert_eq!(bad(record), (reason, Subject::Record), "{}", String::from_utf8_lossy(record));
    }
    assert_eq!(bad(bom.as_bytes()), (Reason::InvalidJson, Subject::Marked));
    good(&deep);
    // The strict parser alone has the same bounds: simd-json refuses the number.
    good(&deep.replacen('{', r#"{"huge":1e400,"#, 1));
    assert_eq!(
        bad(deeper.replacen('{', r#"{"huge":1e400,"#, 1).as_bytes()),
        (Reason::TooDeep, Subject::Record)
    );
    for control in 0..0x20_u8 {
        let record = [br#"{"huge":1e400,"a":""#, &[control][..], br#""}"#].concat();
        assert_eq!(bad(&record), (Reason::InvalidJson, Subject::Record), "{control}");
    }
    let mut long = least("").into_bytes();
    long.resize(RECORD_BYTES_MAX, b' ');
    good(std::str::from_utf8(&long).expect("ascii"));
    long.push(b' ');
    assert_eq!(bad(&long), (Reason::TooLarge, Subject::Record));
}

#[test]
fn what_is_not_mapped_never_matters() {
    let plain = good(&least(""));
    for members in [
        r#""x":1e400,"#,
        r#""x":123456789012345678901234567890,"y":-1e-400,"#,
        r#""x":[[],{},[{"event_id":"no"}],"}"],"#,
        r#""x":1,"x":2,"a":{"b":1,"b":2},"#,
        r#""customer":"c","event":"e","#,
        r#""Event_id":"no","event_id ":"no","#,
        r#""é":"é\ud83d\ude00","#,
    ] {
        let mut event = good(&least(members));
        event.head.id = plain.head.id;
        assert_eq!(event, plain, "{members}");
    }
}

#[test]
fn order_space_and_escapes_never_matter() {
    let mut plain = good(&least(r#""customer_id":"c/1","shipping":{"country":"DE","zip":1},"#));
    let others = [
        "\t{ \"shipping\" : { \"zip\":1 , \"country\" :\"DE\" } ,\r\n \"\\u0061mount\" : \"12.30\" ,\"event_time\":\"2024-02-29T12:34:56.789Z\", \"customer_id\":\"c\\/1\",\"event_id\" : \"\\u0065\\u0031\" } ",
        r#"{"amount":12.3,"event_id":"e1","event_time":"2024-02-29T12:34:56.789\u005a","shipping":{"c\u006funtry":"D\u0045"},"customer_id":"c/1"}"#,
    ];
    for record in others {
        let event = good(record);
        plain.head.id = event.head.id;
        assert_eq!(event, plain, "{record}");
    }
    let escaped = good(&with_id(r#""\u0061\n""#));
    assert_eq!(escaped.head.id, IdText { start: 13, len: 8 });
    assert_eq!(escaped.head.id_hash, super::super::hash::id(7, b"a\n"));
}

#[test]
fn a_mapped_member_may_occur_once() {
    let cases = [
        (r#""event_id":"e0","#, Subject::Id),
        (r#""event_id":null,"#, Subject::Id),
        (r#""\u0065vent_id":"e1","#, Subject::Id),
        (r#""amount":"12.30","#, Subject::Amount),
        (r#""card_id":1,"card_id":1,"#, Subject::Entity(1)),
        (r#""customer_id":1,"customer_id":1,"#, Subject::Entity(0)),
        (r#""shipping":{},"shipping":{},"#, Subject::Field(0)),
        (r#""shipping":null,"shipping":1,"#, Subject::Field(0)),
        (r#""shipping":{"country":1,"country":1},"#, Subject::Field(0)),
        (r#""items":[],"items":[],"#, Subject::Items),
        (r#""items":[{"qty":1,"qty":1}],"#, Subject::Items),
        (r#""arrival":1,"arrival":1,"#, Subject::Arrival),
    ];
    for (members, subject) in cases {
        assert_eq!(bad(least(members).as_bytes()), (Reason::DuplicateMember, subject), "{members}");
    }
    // Nothing is learned from such a record.
    let mut case = Case::new(checkout());
    for _ in 0..3 {
        let reject = case.decode(least(r#""amount":1,"#).as_bytes()).expect_err("a duplicate");
        assert_eq!(reject.reason, Reason::DuplicateMember);
    }
    // The same names elsewhere are not the mapped ones.
    good(&least(r#""x":{"event_id":1,"event_id":1},"shipping":{"event_id":1,"event_id":1},"#));
    good(&least(r#""items":[{"qty":1},{"qty":1}],"shipping":{"country":1},"billing":{"country":1},"#));
    // Faults of syntax come first, wherever they are.
    assert_eq!(bad(br#"{"amount":1,"amount":1"#), (Reason::InvalidJson, Subject::Record));
    // Bytes that are no UTF-8 come before a byte order mark.
    assert_eq!(bad(b"\xef\xbb\xbf{\"a\":\"\xff\"}"), (Reason::InvalidUtf8, Subject::Record));
    // A duplicate comes before the faults of fields.
    assert_eq!(bad(br#"{"amount":1,"amount":1}"#), (Reason::DuplicateMember, Subject::Amount));
}

#[test]
fn amounts_are_exact_decimals() {
    let good_ones: &[(&str, i64)] = &[
        ("0", 0),
        ("0.00", 0),
        ("-0", 0),
        ("-0.00", 0),
        ("\"-0\"", 0),
        ("0e999999999999999999999", 0),
        ("12", 1200),
        ("12.3", 1230),
        ("\"12.30\"", 1230),
        ("12.300", 1230),
        ("\"12.30000000000000000000000000000000\"", 1230),
        ("1.23e1", 1230),
        ("1.23E+1", 1230),
        ("1230e-2", 1230),
        ("\"1.23e1\"", 1230),
        ("0.0000000000000000000000000123e26", 123),
        ("100000000000000000000000000e-24", 10000),
        ("0.01", 1),
        ("\"\\u0031\"", 100),
        ("99999999999.99", 9_999_999_999_999),
        ("100000000000", 10_000_000_000_000),
        ("90071992547.41", 9_007_199_254_741),
    ];
    let mut case = Case::new(checkout());
    case.schema = Arc::new(Schema {
        currency: CurrencySource::Constant(Currency::from_code(b"EUR").expect("EUR")),
        scale: WindowScale::Constant,
        ..checkout()
    });
    case.decoder = Decoder::new(Arc::clone(&case.schema));
    for &(amount, minor) in good_ones {
        let event = case.decode(with_amount(amount).as_bytes());
        let event = event.unwrap_or_else(|reject| panic!("{amount}: {reject:?}"));
        assert_eq!((event.head.amount_minor, event.head.amount_scaled), (minor, minor), "{amount}");
    }
    let bad_ones: &[(&str, Reason)] = &[
        ("null", Reason::Missing),
        ("\"\"", Reason::Missing),
        ("true", Reason::WrongType),
        ("{}", Reason::WrongType),
        ("[1]", Reason::WrongType),
        ("\"+1\"", Reason::InvalidAmount),
        ("\"1_000\"", Reason::InvalidAmount),
        ("\"1,000\"", Reason::InvalidAmount),
        ("\" 12.30\"", Reason::InvalidAmount),
        ("\"12.30 \"", Reason::InvalidAmount),
        ("\"12.\"", Reason::InvalidAmount),
        ("\".5\"", Reason::InvalidAmount),
        ("\"007\"", Reason::InvalidAmount),
        ("\"00.5\"", Reason::InvalidAmount),
        ("\"0x1\"", Reason::InvalidAmount),
        ("\"NaN\"", Reason::InvalidAmount),
        ("\"-\"", Reason::InvalidAmount),
        ("\"1.2.3\"", Reason::InvalidAmount),
        ("\"12€\"", Reason::InvalidAmount),
        ("-1", Reason::NegativeAmount),
        ("\"-0.01\"", Reason::NegativeAmount),
        ("-0.001", Reason::NegativeAmount),
        ("-1e400", Reason::NegativeAmount),
        ("12.301", Reason::TooManyDecimals),
        ("\"0.001\"", Reason::TooManyDecimals),
        ("1e-400", Reason::TooManyDecimals),
        ("1e-99999999999999999999", Reason::TooManyDecimals),
        ("12345678901234567890.001", Reason::TooManyDecimals),
        ("123456789012345678901234.001", Reason::TooManyDecimals),
        ("100000000000.01", Reason::AmountOutOfRange),
        ("1e400", Reason::AmountOutOfRange),
        ("1e99999999999999999999", Reason::AmountOutOfRange),
        ("12345678901234567890123.00", Reason::AmountOutOfRange),
        ("\"18446744073709551616\"", Reason::AmountOutOfRange),
        ("184467440737095516.16", Reason::AmountOutOfRange),
    ];
    for &(amount, reason) in bad_ones {
        let reject = case.decode(with_amount(amount).as_bytes()).expect_err(amount);
        assert_eq!(reject, Reject { reason, subject: Subject::Amount }, "{amount}");
    }
    assert_eq!(
        case.decode(br#"{"event_id":"e1","event_time":"2024-02-29T12:34:56.789Z"}"#),
        Err(Reject { reason: Reason::Missing, subject: Subject::Amount })
    );
}

#[test]
fn a_row_has_binary_floats() {
    let mut case = Case::new(checkout());
    case.form = Form::Row;
    for (amount, expected) in [
        ("12.3", Ok(1230)),
        ("0.30000000000000004", Ok(30)),
        ("12.299999999999999", Ok(1230)),
        ("1.00000001", Ok(100)),
        ("1.0000000100000001", Err(Reason::TooManyDecimals)),
        ("0.99999999", Ok(100)),
        ("0.99999998999", Err(Reason::TooManyDecimals)),
        ("12.305", Err(Reason::TooManyDecimals)),
        ("1e-9", Ok(0)),
        ("-1e-9", Ok(0)),
        ("-0.01", Err(Reason::NegativeAmount)),
        ("-0.005", Err(Reason::NegativeAmount)),
        ("1e22", Err(Reason::AmountOutOfRange)),
        ("\"12.301\"", Err(Reason::TooManyDecimals)),
        ("\"0.30000000000000004\"", Err(Reason::TooManyDecimals)),
    ] {
        let minor = case.decode(with_amount(amount).as_bytes()).map(|event| event.head.amount_minor);
        assert_eq!(minor.map_err(|reject| reject.reason), expected, "{amount}");
    }
}

#[test]
fn currencies() {
    let minor = |currency: &str, amount: &str| {
        let record = format!(
            r#"{{"event_id":"e1","event_time":"2024-02-29T12:34:56Z","currency":{currency},"amount":{amount}}}"#
        );
        let event = Case::new(checkout()).decode(record.as_bytes());
        event
            .map(|event| (event.head.amount_minor, event.head.amount_scaled))
            .map_err(|reject| (reject.reason, reject.subject))
    };
    assert_eq!(minor("\"JPY\"", "12"), Ok((12, 120_000)));
    assert_eq!(minor("\"JPY\"", "12.0"), Ok((12, 120_000)));
    assert_eq!(minor("\"JPY\"", "12.5"), Err((Reason::TooManyDecimals, Subject::Amount)));
    assert_eq!(minor("\"BHD\"", "1.234"), Ok((1234, 12_340)));
    assert_eq!(minor("\"CLF\"", "1.2345"), Ok((12_345, 12_345)));
    assert_eq!(minor("\"UYW\"", "1.23456"), Err((Reason::TooManyDecimals, Subject::Amount)));
    assert_eq!(minor("\"E\\u0055R\"", "1"), Ok((100, 10_000)));
    assert_eq!(minor("null", "1"), Ok((100, 10_000)));
    assert_eq!(minor("\"\"", "1"), Ok((100, 10_000)));
    assert_eq!(minor("978", "1"), Err((Reason::WrongType, Subject::Currency)));
    for unknown in ["\"eur\"", "\"XAU\"", "\"EURO\"", "\"EU\"", "\" EUR\"", "\"XXX\""] {
        assert_eq!(minor(unknown, "1"), Err((Reason::UnknownCurrency, Subject::Currency)), "{unknown}");
    }
    // 10^15 in the window scale is the bound.
    assert_eq!(minor("\"JPY\"", "100000000000"), Ok((100_000_000_000, 1_000_000_000_000_000)));
    assert_eq!(minor("\"JPY\"", "100000000001"), Err((Reason::AmountOutOfRange, Subject::Amount)));
    let mut none = checkout();
    none.currency = CurrencySource::Path { path: path("currency"), default: None };
    let reject = Case::new(none).decode(least("").as_bytes()).expect_err("no currency");
    assert_eq!(reject, Reject { reason: Reason::Missing, subject: Subject::Currency });
}

#[test]
fn rates_convert_half_to_even() {
    let code = |code: &str| Currency::from_code(code.as_bytes()).expect("a code");
    let mut schema = checkout();
    schema.scale = WindowScale::Rates {
        base: code("EUR"),
        rates: vec![
            Rate { currency: code("USD"), numerator: 1, denominator: 2 },
            Rate { currency: code("JPY"), numerator: 61, denominator: 10_000 },
            Rate { currency: code("KWD"), numerator: u64::MAX, denominator: 1 },
        ],
    };
    let mut case = Case::new(schema);
    let mut scaled = |currency: &str, amount: &str| {
        let record = format!(
            r#"{{"event_id":"e1","event_time":"2024-02-29T12:34:56Z","currency":"{currency}","amount":{amount}}}"#
        );
        case.decode(record.as_bytes())
            .map(|event| event.head.amount_scaled)
            .map_err(|reject| (reject.reason, reject.subject))
    };
    assert_eq!(scaled("EUR", "12.34"), Ok(1234));
    assert_eq!(scaled("USD", "0.01"), Ok(0));
    assert_eq!(scaled("USD", "0.03"), Ok(2));
    assert_eq!(scaled("USD", "0.05"), Ok(2));
    assert_eq!(scaled("JPY", "1000"), Ok(610));
    assert_eq!(scaled("JPY", "1"), Ok(1));
    assert_eq!(scaled("KWD", "0"), Ok(0));
    assert_eq!(scaled("KWD", "0.001"), Err((Reason::AmountOutOfRange, Subject::Amount)));
    assert_eq!(scaled("KWD", "10000000000"), Err((Reason::AmountOutOfRange, Subject::Amount)));
    assert_eq!(scaled("GBP", "1"), Err((Reason::NoRate, Subject::Currency)));
    assert_eq!(AMOUNT_MINOR_MAX, 10_i64.pow(13));
}

#[test]
fn ids_are_text_or_integers() {
    let hash = |id: &str| good(&with_id(id)).head.id_hash;
    assert_eq!(hash("\"5\""), hash("5"));
    assert_eq!(hash("\"a\""), hash("\"\\u0061\""));
    assert_ne!(hash("9007199254740993"), hash("9007199254740992"));
    assert_ne!(hash("123456789012345678901234567890"), hash("123456789012345678901234567891"));
    assert_ne!(hash("-5"), hash("5"));
    let event = good(&with_id("9007199254740993"));
    assert_eq!(event.head.id, IdText { start: 12, len: 16 });
    for (id, reason) in [
        ("\"\"", Reason::Missing),
        ("null", Reason::Missing),
        ("1.5", Reason::WrongType),
        ("1e3", Reason::WrongType),
        ("true", Reason::WrongType),
        ("[]", Reason::WrongType),
    ] {
        assert_eq!(bad(with_id(id).as_bytes()), (reason, Subject::Id), "{id}");
    }
}
