//! The rules of keys, fields, times and the basket, both sides of each edge.

use super::rules::{bad, good};
use super::*;
use crate::event::{KeyText, KeyTexts, MISSING, NO_KEY, marks};
use crate::reject::{Reason, Subject};
use crate::schema::ItemStat;

#[test]
fn keys_are_the_decoded_text() {
    let keys = |members: &str| good(&least(members)).keys;
    let both = keys(r#""customer_id":"a","card_id":"bc","#);
    let other = keys(r#""customer_id":"ab","card_id":"c","#);
    assert_ne!(both[PAIR], other[PAIR]);
    assert_eq!(both[CUSTOMER], super::super::hash::key(7, CUSTOMER, &[b"a"]));
    assert_eq!(both[PAIR], super::super::hash::key(7, PAIR, &[b"a", b"bc"]));
    assert_eq!(keys(r#""customer_id":"\u0061","#)[CUSTOMER], both[CUSTOMER]);
    // A number's digits as written: 1.50 is not 1.5, 7 is "7".
    assert_ne!(keys(r#""card_id":1.50,"#)[CARD], keys(r#""card_id":1.5,"#)[CARD]);
    assert_eq!(keys(r#""card_id":7,"#)[CARD], keys(r#""card_id":"7","#)[CARD]);
    assert_eq!(keys(r#""card_id":1e400,"#)[CARD], keys(r#""card_id":"1e400","#)[CARD]);
    assert_ne!(keys(r#""card_id":"a","#)[CARD], keys(r#""card_id":"A","#)[CARD]);
    for none in ["null", "\"\"", "{}", "[]"] {
        let keys = keys(&format!(r#""customer_id":{none},"card_id":"x","#));
        assert_eq!((keys[CUSTOMER], keys[PAIR]), (NO_KEY, NO_KEY), "{none}");
        assert_ne!(keys[CARD], NO_KEY);
    }
    let mut texts = KeyTexts::default();
    let mut told = |record: &[u8]| {
        Case::new(checkout()).decoder.key_texts(record, &mut texts);
        let owned = |key: KeyText<'_>| key.parts().map(str::to_owned).collect::<Vec<_>>();
        texts.iter().map(|key| key.map(owned)).collect::<Vec<_>>()
    };
    let whole = |parts: &[&str]| Some(parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
    let record = least(r#""customer_id":"\u0061\"","card_id":12.50,"#);
    assert_eq!(told(record.as_bytes()), [whole(&["a\""]), whole(&["12.50"]), whole(&["a\"", "12.50"])]);
    assert_eq!(told(least(r#""customer_id":"a","#).as_bytes()), [whole(&["a"]), None, None]);
    assert_eq!(told(least(r#""card_id":"b","#).as_bytes()), [None, whole(&["b"]), None]);
    assert_eq!(told(least("").as_bytes()), [None, None, None]);
    assert_eq!(told(b"{"), [None, None, None]);
}

#[test]
fn fields_that_cannot_be_read_are_missing() {
    let slots = |members: &str| good(&least(members)).slots;
    let category = |text: &str| super::super::hash::category(7, text.as_bytes());
    for (value, expected) in [
        ("\"DE\"", category("DE")),
        ("12.50", category("12.50")),
        ("true", category("true")),
        ("false", category("false")),
        ("null", MISSING),
        ("\"\"", MISSING),
        ("{}", MISSING),
        ("[\"DE\"]", MISSING),
    ] {
        let members = format!(r#""shipping":{{"country":{value}}},"#);
        assert_eq!(slots(&members)[COUNTRY], expected, "{value}");
    }
    assert_eq!(slots(r#""shipping":"country","#)[COUNTRY], MISSING);
    assert_eq!(slots(r#""shipping":[{"country":"DE"}],"#)[COUNTRY], MISSING);
    for (value, expected) in [
        ("1", 1_000_000),
        ("-1.5", -1_500_000),
        ("\"1.5\"", 1_500_000),
        ("\"1.\\u0035\"", 1_500_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("0.00000250000000000000000001", 3),
        ("-0.0000015", -2),
        ("1000000000", 1_000_000_000_000_000),
        ("1000000000.0000005", 1_000_000_000_000_000),
        ("1000000000.0000006", MISSING),
        ("-1000000000", -1_000_000_000_000_000),
        ("1e400", MISSING),
        ("1e-400", 0),
        ("\"x\"", MISSING),
        ("\" 1\"", MISSING),
        ("\"\"", MISSING),
        ("null", MISSING),
        ("true", MISSING),
        ("[1]", MISSING),
    ] {
        assert_eq!(slots(&format!(r#""discount":{value},"#))[DISCOUNT], expected, "{value}");
    }
    for (value, expected) in [
        ("\"2024-02-29T12:34:56.789Z\"", 1_709_210_096_789),
        ("\"1999-12-31T23:59:59.999Z\"", MISSING),
        ("\"soon\"", MISSING),
        ("1709210096", MISSING),
        ("null", MISSING),
    ] {
        assert_eq!(slots(&format!(r#""session":{{"started_at":{value}}},"#))[STARTED], expected, "{value}");
    }
}

#[test]
fn times() {
    let at = |time: &str| {
        let event = Case::new(checkout()).decode(with_time(time).as_bytes());
        event.map(|event| event.head.shown_ms).map_err(|reject| {
            assert_eq!(reject.subject, Subject::Time);
            reject.reason
        })
    };
    let base = 1_709_210_096_000;
    for (time, expected) in [
        ("2024-02-29T12:34:56Z", Ok(base)),
        ("2024-02-29T12:34:56.7Z", Ok(base + 700)),
        ("2024-02-29T12:34:56.789Z", Ok(base + 789)),
        ("2024-02-29T12:34:56.7899999999999999Z", Ok(base + 789)),
        ("2024-02-29t12:34:56.789z", Ok(base + 789)),
        ("2024-02-29 12:34:56", Ok(base)),
        ("2024-02-29T12:34:56.5", Ok(base + 500)),
        ("2024-02-29T14:04:56+01:30", Ok(base)),
        ("2024-02-28T13:34:56-23:00", Ok(base)),
        ("2024-02-29T12:34:56-00:00", Ok(base)),
        ("2024-02-29T12:34:60Z", Err(Reason::InvalidTime)),
        ("2016-12-31T23:59:60Z", Ok(1_483_228_799_999)),
        ("2017-01-01T00:59:60.5+01:00", Ok(1_483_228_799_999)),
        ("2016-12-31T23:59:61Z", Err(Reason::InvalidTime)),
        ("2000-01-01T00:00:00.000Z", Ok(946_684_800_000)),
        ("1999-12-31T23:59:59.999Z", Err(Reason::TimeOutOfRange)),
        ("2000-01-01T00:00:00+00:01", Err(Reason::TimeOutOfRange)),
        ("9999-12-31T23:59:59.9999Z", Ok(253_402_300_799_999)),
        ("9999-12-31T23:59:59-00:01", Err(Reason::TimeOutOfRange)),
        ("0000-01-01T00:00:00Z", Err(Reason::TimeOutOfRange)),
        ("2023-02-29T00:00:00Z", Err(Reason::InvalidTime)),
        ("2100-02-29T00:00:00Z", Err(Reason::InvalidTime)),
        ("2400-02-29T00:00:00Z", Ok(13_574_563_200_000)),
        ("2024-04-31T00:00:00Z", Err(Reason::InvalidTime)),
        ("2024-12-31T00:00:00Z", Ok(1_735_603_200_000)),
        ("2024-00-01T00:00:00Z", Err(Reason::InvalidTime)),
        ("2024-13-01T00:00:00Z", Err(Reason::InvalidTime)),
        ("2024-01-00T00:00:00Z", Err(Reason::InvalidTime)),
        ("2024-01-32T00:00:00Z", Err(Reason::InvalidTime)),
        ("2024-01-01T24:00:00Z", Err(Reason::InvalidTime)),
        ("2024-01-01T00:60:00Z", Err(Reason::InvalidTime)),
        ("2024-01-01", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00Z", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00.Z", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00,5Z", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00+0100", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00+24:00", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00+00:60", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00 Z", Err(Reason::InvalidTime)),
        ("2024-01-01T00:00:00Zx", Err(Reason::InvalidTime)),
        ("2024-01-01_00:00:00Z", Err(Reason::InvalidTime)),
        ("2024/01/01T00:00:00Z", Err(Reason::InvalidTime)),
        ("-024-01-01T00:00:00Z", Err(Reason::InvalidTime)),
        ("", Err(Reason::Missing)),
    ] {
        assert_eq!(at(&format!("\"{time}\"")), expected, "{time}");
    }
    assert_eq!(at("null"), Err(Reason::Missing));
    assert_eq!(at("1709210096"), Err(Reason::WrongType));
    assert_eq!(at("{}"), Err(Reason::WrongType));
}

#[test]
fn epochs() {
    let at = |per_second: u64, time: &str| {
        let mut schema = checkout();
        schema.time.form = TimeForm::Epoch { per_second };
        let event = Case::new(schema).decode(with_time(time).as_bytes());
        event.map(|event| event.head.shown_ms).map_err(|reject| reject.reason)
    };
    for (per_second, time, expected) in [
        (1, "1709210096", Ok(1_709_210_096_000)),
        (1, "1709210096.7899", Ok(1_709_210_096_789)),
        (1, "1.7092100967899e9", Ok(1_709_210_096_789)),
        (1, "\"1709210096\"", Ok(1_709_210_096_000)),
        (1_000, "1709210096789", Ok(1_709_210_096_789)),
        (1_000_000, "1709210096789999", Ok(1_709_210_096_789)),
        (1_000_000_000, "1709210096789999999", Ok(1_709_210_096_789)),
        (1, "946684800", Ok(946_684_800_000)),
        (1, "946684799.9999", Err(Reason::TimeOutOfRange)),
        (1, "253402300799.9999", Ok(253_402_300_799_999)),
        (1, "253402300800", Err(Reason::TimeOutOfRange)),
        // Milliseconds taken for seconds, and seconds for milliseconds: out of range, never guessed.
        (1, "1709210096789", Err(Reason::TimeOutOfRange)),
        (1_000, "1709210096", Err(Reason::TimeOutOfRange)),
        (1, "-1709210096", Err(Reason::TimeOutOfRange)),
        (1, "1e400", Err(Reason::TimeOutOfRange)),
        (1, "\"2024-02-29T12:34:56Z\"", Err(Reason::InvalidTime)),
        (1, "\" 1709210096\"", Err(Reason::InvalidTime)),
        (1, "true", Err(Reason::WrongType)),
    ] {
        assert_eq!(at(per_second, time), expected, "{time} at {per_second}/s");
    }
}

#[test]
fn a_time_past_arrival_and_skew_is_early() {
    let mut case = Case::new(checkout());
    let record = least("");
    let shown = 1_709_210_096_789;
    for (arrival_ms, time_ms, mark) in [
        (NO_ARRIVAL, shown, 0),
        (shown - 600_000, shown, 0),
        (shown - 600_001, shown - 1, marks::EARLY),
        (shown + 1, shown, 0),
        (i64::MAX, shown, 0),
    ] {
        case.arrival_ms = arrival_ms;
        let head = case.decode(record.as_bytes()).expect("it decodes").head;
        assert_eq!((head.time_ms, head.shown_ms, head.marks), (time_ms, shown, mark));
    }
    case.arrival_ms = 0;
    let reject = case.decode(record.as_bytes()).expect_err("an arrival in 1970");
    assert_eq!(reject, Reject { reason: Reason::TimeOutOfRange, subject: Subject::Arrival });
    // The mapped arrival serves where the upstream knows none.
    let mapped = least(&format!("\"arrival\":{},", shown - 600_001));
    case.arrival_ms = NO_ARRIVAL;
    assert_eq!(case.decode(mapped.as_bytes()).expect("it decodes").head.marks, marks::EARLY);
    case.arrival_ms = shown;
    assert_eq!(case.decode(mapped.as_bytes()).expect("it decodes").head.marks, 0);
    assert_eq!(good(&least("\"arrival\":null,")).head.marks, 0);
    let odd = least("\"arrival\":\"soon\",");
    assert_eq!(bad(odd.as_bytes()), (Reason::InvalidTime, Subject::Arrival));
    assert_eq!(bad(least("\"arrival\":5,").as_bytes()), (Reason::TimeOutOfRange, Subject::Arrival));
}

#[test]
fn baskets() {
    const M: i64 = 1_000_000;
    let stats = |items: &str| {
        let event = good(&least(&format!(r#""items":{items},"#)));
        <[i64; 5]>::try_from(&event.slots[ITEMS..]).expect("five slots")
    };
    let none = [MISSING; 5];
    for (items, expected) in [
        ("null", none),
        ("{}", none),
        ("\"x\"", none),
        ("[1]", none),
        ("[{\"qty\":1,\"price\":1},null]", none),
        ("[]", [0, 0, 0, MISSING, MISSING]),
        (r#"[{"sku":"a","qty":2,"price":"1.50"}]"#, [1, 2 * M, 3 * M, M, 2 * M]),
        (
            r#"[{"sku":"a","qty":2,"price":1.5},{"sku":"b","price":1,"x":[{}]},{"price":2,"qty":1,"sku":"\u0061"}]"#,
            [3, 4 * M, 6 * M, 500_000, 3 * M],
        ),
        (
            r#"[{"qty":1,"price":1},{"qty":1,"price":1},{"qty":1,"price":1}]"#,
            [3, 3 * M, 3 * M, 333_333, MISSING],
        ),
        (r#"[{"qty":"x","price":1,"sku":"a"}]"#, [1, MISSING, MISSING, MISSING, MISSING]),
        (r#"[{"qty":3,"sku":"a"}]"#, [1, 3 * M, MISSING, MISSING, 3 * M]),
        (r#"[{"qty":3,"price":0,"sku":7}]"#, [1, 3 * M, 0, MISSING, 3 * M]),
        // Nobody orders less than nothing: what is negative is missing, and so is what needs it.
        (r#"[{"qty":1,"price":5},{"qty":-1,"price":1}]"#, [2, MISSING, MISSING, MISSING, MISSING]),
        (r#"[{"qty":-2,"price":-5,"sku":"a"}]"#, [1, MISSING, MISSING, MISSING, MISSING]),
        (r#"[{"qty":2,"price":5,"sku":"a"},{"price":"-0.01"}]"#, [2, 3 * M, MISSING, MISSING, 2 * M]),
        (r#"[{"qty":"-0","price":5},{"price":-0.0000001}]"#, [2, M, 0, MISSING, MISSING]),
        (r#"[{"qty":"","price":5},{"qty":null,"price":5}]"#, [2, 2 * M, 10 * M, 500_000, MISSING]),
        // Exact products, rounded once: 0.5 and 1.5 millionths.
        (r#"[{"qty":0.5,"price":0.000001}]"#, [1, 500_000, 0, M, MISSING]),
        (r#"[{"qty":1.5,"price":0.000001}]"#, [1, 1_500_000, 2, M, MISSING]),
        (r#"[{"qty":1000000000,"price":2}]"#, [1, 1000 * M * M, MISSING, M, MISSING]),
    ] {
        assert_eq!(stats(items), expected, "{items}");
    }
    assert_eq!(stats("[{},{}]")[ItemStat::Lines as usize], 2);
    let many: Vec<String> = (0..40).map(|n| format!(r#"{{"sku":{},"qty":1,"price":1}}"#, n % 7)).collect();
    assert_eq!(stats(&format!("[{}]", many.join(",")))[ItemStat::MaxSkuQuantity as usize], 6 * M);
}
