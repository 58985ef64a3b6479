//! The three parsers find the same, or give way: over records that are nearly right.
//!
//! `CARTGUARD_FUZZ_RUNS` (default 5,000) sets the number of records of each test.

use super::sample::{self, Rng};
use super::*;

pub(super) fn runs() -> u64 {
    std::env::var("CARTGUARD_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5_000)
}

/// What gets in the way of parsers.
const TOKENS: [&[u8]; 40] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\n",
    b"\t",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"-",
    b"+",
    b".",
    b"0",
    b"9",
    b"e",
    b"E5",
    b"1e400",
    b"99999999999999999999",
    b"null",
    b"true",
    b"false",
    b"nul",
    b"\\u0061",
    b"\\ud83d\\ude00",
    b"\\ud800",
    b"\\n",
    b"\"\"",
    b"{}",
    b"[]",
    b"\"amount\":1,",
    b"\"event_id\":",
];

/// Records of several shapes, so that layouts compete.
fn shapes(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut list = sample::records(60, rng.next());
    for (index, record) in list.iter_mut().enumerate() {
        let text = String::from_utf8(std::mem::take(record)).expect("the sample is UTF-8");
        *record = match index % 10 {
            0 => text.replace(",\"", ", \"").replace("\":", "\": "),
            1 => text.replace("\"channel\":\"web\"", "\"channel\":null"),
            2 => text.replace("},{", "}, {").replace("[{", "[ {").replace("}]", "} ]"),
            3 => text
                .replace("\"shipping\":{", "\"tags\":[[1,2],[]],\"x\":[true,-1.5e3],\"shipping\":{\"a\":{},"),
            4 => text.replace("\"country\":\"DE\"", "\"country\":\"D\u{c9}\""),
            5 => text.replace("\"items\":[", "\"discount\":0.5,\"items\":["),
            _ => text,
        }
        .into_bytes();
    }
    list
}

fn mutate(record: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    for _ in 0..rng.below(4) {
        let at = rng.below(record.len() as u64 + 1) as usize;
        let end = (at + rng.below(24) as usize).min(record.len());
        match rng.below(8) {
            0 if at < record.len() => record[at] ^= 1 << rng.below(8),
            1 => {
                let token = TOKENS[rng.below(TOKENS.len() as u64) as usize];
                record.splice(at..at, token.iter().copied());
            }
            2 => {
                let token = TOKENS[rng.below(TOKENS.len() as u64) as usize];
                record.splice(at..end, token.iter().copied());
            }
            3 => {
                record.drain(at..end);
            }
            4 if rng.below(4) == 0 => record.truncate(at),
            5 => {
                let again = record[at..end].to_vec();
                record.splice(at..at, again);
            }
            6 => {
                let other = &others[rng.below(others.len() as u64) as usize];
                let from = at.min(other.len());
                let to = (from + rng.below(40) as usize).min(other.len());
                record.splice(at..end, other[from..to].iter().copied());
            }
            _ => escape(record, at),
        }
    }
}

/// Writes the letter at `at` as an escape.
fn escape(record: &mut Vec<u8>, at: usize) {
    if let Some(byte) = record.get(at).copied().filter(u8::is_ascii_alphanumeric) {
        let escaped = format!("\\u{:04x}", u32::from(byte));
        record.splice(at..=at, escaped.bytes());
    }
}

#[test]
fn parsers_agree_on_mutated_records() {
    let mut rng = Rng(11);
    let mut guessed = 0_u64;
    for round in 0..runs().div_ceil(600) {
        let shapes = shapes(&mut rng);
        let mut case = Case::new(checkout());
        for run in 0..600 {
            let mut record = shapes[rng.below(shapes.len() as u64) as usize].clone();
            if run >= 60 && rng.below(8) > 0 {
                mutate(&mut record, &shapes, &mut rng);
            }
            let agree = case.decoder.parsers_agree(&record);
            assert!(agree, "round {round}, run {run}: {}", String::from_utf8_lossy(&record));
            let by_all = case.decode(&record);
            guessed += u64::from(case.decoder.guess.matched);
            let mut fresh = Case::new(checkout());
            assert_eq!(by_all, fresh.decode(&record), "{}", String::from_utf8_lossy(&record));
        }
    }
    assert!(guessed > runs() / 20, "the guess matched {guessed} times only: the test proves nothing");
}

#[test]
fn parsers_agree_on_all_short_texts() {
    // Everything of these letters up to four, in a place where it may be a value.
    let letters = b"{}[]\",:\\u0 19-+.eEtn";
    let mut case = Case::new(checkout());
    for len in 0..=3 {
        let mut digits = vec![0; len];
        loop {
            let text: Vec<u8> = digits.iter().map(|&digit| letters[digit]).collect();
            for (before, behind) in
                [("", ""), ("{\"amount\":", "}"), ("{\"amount\":\"", "\"}"), ("{\"x\":[1,", "]}")]
            {
                let record = [before.as_bytes(), &text, behind.as_bytes()].concat();
                assert!(case.decoder.parsers_agree(&record), "{}", String::from_utf8_lossy(&record));
            }
            let Some(place) = digits.iter().rposition(|&digit| digit + 1 < letters.len()) else { break };
            digits[place] += 1;
            digits[place + 1..].fill(0);
        }
    }
}

#[test]
fn the_workload_stays_on_the_guess() {
    let mut case = Case::new(checkout());
    let records = sample::records(2_000, 3);
    let matched = records.iter().filter(|record| {
        case.decode(record).expect("the sample decodes");
        case.decoder.guess.matched
    });
    assert!(matched.count() >= records.len() - 1, "all but the first");
}

#[test]
fn a_layout_is_matched_in_full() {
    let learned =
        r#"{"event_id":"e1","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]}"#;
    let same = [
        r#"{"event_id":"e2","event_time":null,"amount":"1.50","items":[],"x":[]}"#,
        r#"{"event_id":12345,"event_time":true,"amount":-1e5,"items":[{"qty":"1"}, {"qty":null}],"x":["",false ]}"#,
        r#"{"event_id":"","event_time":"é","amount":0,"items":[ {"qty":1} ,{"qty":2}],"x":[1e400]}"#,
        r#"{"event_id":"\u0065\n","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{}],"x":[]}"#,
        r#"{"event_id":"e2", "amount" :1,"items":[{"qty":1},{}, {"qty":2}]}"#,
        r#"{"event_time":"2024-02-29T12:34:56Z","items":null,"x":"none"}"#,
        "{ }",
    ];
    let others = [
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]} "#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]}}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1],"y":1}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1,"qty":2}],"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1},1],"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":{"qty":1},"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":01,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1.,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":{},"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1,]}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[,1]}"#,
        r#"{"event_id":"\ud800","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_i\u0064":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_time":"2024-02-29T12:34:56Z","event_id":"e2","amount":1,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_id":"e2","event_id":"e2","amount":1,"items":[{"qty":1}],"x":[1]}"#,
        r#"{"event_id":"e2","amount":1,"items":[{"qty":1}],}"#,
        r#"{,"event_id":"e2","amount":1}"#,
        r#"{"event_id":"e2",,"amount":1}"#,
        r#"{"event_id":"e2" "amount":1}"#,
        r#"{"event_id":"e2","amount":1,"items":[{"qty":1},],"x":[1]}"#,
        r#"{"event_id":"e2","amount":1,"items":[{"qty":1}}}"#,
        r#"{"event_id":"e2","event_time":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]"#,
        r#"{"event_id":"e2","event_tine":"2024-02-29T12:34:56Z","amount":1,"items":[{"qty":1}],"x":[1]}"#,
    ];
    for (records, expected) in [(&same[..], true), (&others[..], false)] {
        for record in records {
            let mut case = Case::new(checkout());
            case.decode(learned.as_bytes()).expect("it decodes");
            assert!(case.decoder.parsers_agree(record.as_bytes()), "{record}");
            assert_eq!(case.decoder.guess.matched, expected, "{record}");
        }
    }
    let mut case = Case::new(checkout());
    case.decode(learned.as_bytes()).expect("it decodes");
    let mut bad = learned.as_bytes().to_vec();
    let place = bad.iter().position(|&byte| byte == b'e').expect("a letter in a name");
    for byte in [0xff, 0x00, b'\n', 0x80] {
        for at in [place, 14] {
            bad[at] = byte;
            assert!(case.decoder.parsers_agree(&bad));
            assert!(!case.decoder.guess.matched);
        }
    }
}

/// Members that may be missing, one in two each, and values of every kind where any is known.
fn loose(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::from("{");
    let kinds = [
        "null",
        "true",
        "-1.5e3",
        "\"a\"",
        "\"\\u00e9\"",
        "{}",
        "[]",
        "[[{\"y\":1}],2]",
        "{\"country\":\"DE\"}",
    ];
    for name in
        ["event_id", "event_time", "amount", "customer_id", "card_id", "x", "shipping", "session", "channel"]
    {
        match rng.below(8) {
            0..=2 => {}
            3 => text.push_str(&format!("\"{name}\":{},", kinds[rng.below(kinds.len() as u64) as usize])),
            4 if name == "shipping" => text.push_str("\"shipping\":{\"postal\":\"1\",\"country\":\"AT\"},"),
            5 if name == "session" => text.push_str("\"items\":[{\"sku\":\"a\",\"price\":1.5},{\"qty\":2}],"),
            _ => text.push_str(&format!("\"{name}\":\"value of {name}\",")),
        }
    }
    text.push_str("\"currency\":\"EUR\"}");
    text.into_bytes()
}

#[test]
fn members_that_may_be_missing_stay_on_the_guess() {
    let mut rng = Rng(5);
    let (mut guessed, mut total) = (0, 0);
    for _ in 0..runs().div_ceil(500) {
        let mut case = Case::new(checkout());
        for run in 0..500 {
            let mut record = loose(&mut rng);
            let others = [record.clone()];
            if rng.below(8) == 0 {
                mutate(&mut record, &others, &mut rng);
            }
            let shown = String::from_utf8_lossy(&record);
            assert!(case.decoder.parsers_agree(&record), "{shown}");
            guessed += u64::from(run >= 250 && case.decoder.guess.matched);
            total += u64::from(run >= 250);
        }
    }
    assert!(guessed > total * 6 / 10, "{guessed} of {total}");
}

#[test]
fn two_orders_of_members_are_two_layouts() {
    let records = [
        r#"{"event_id":"e","event_time":"2024-02-29T12:34:56Z","amount":1,"x":1,"y":2}"#,
        r#"{"y":2,"x":1,"amount":1,"event_time":"2024-02-29T12:34:56Z","event_id":"e"}"#,
    ];
    let mut case = Case::new(checkout());
    for round in 0..4 {
        for record in records {
            assert!(case.decoder.parsers_agree(record.as_bytes()));
            assert_eq!(case.decoder.guess.matched, round > 0, "{record}");
        }
    }
}

#[test]
fn a_container_where_a_scalar_was_is_learned() {
    let records = [r#"{"event_id":"e","shipping":null}"#, r#"{"event_id":"e","shipping":{"country":"DE"}}"#];
    let mut case = Case::new(checkout());
    for (round, record) in records.iter().cycle().take(10).enumerate() {
        assert!(case.decoder.parsers_agree(record.as_bytes()));
        assert_eq!(case.decoder.guess.matched, round > 1, "round {round}");
    }
}

/// Names longer than what is kept of a way, and names that begin alike.
#[test]
fn long_names_and_prefixes_are_told_apart() {
    let name = "n".repeat(60);
    let records = [
        format!(r#"{{"{name}":1,"{name}a":"{name}","{name}":2}}"#),
        format!(r#"{{"{name}":1,"{name}a":"{name}","{name}b":2}}"#),
        format!(r#"{{"{name}":1,"{name}b":2}}"#),
        format!(r#"{{"{name}a":"","{name}b":2}}"#),
        format!(r#"{{"{name}c":"","{name}b":2}}"#),
    ];
    let mut case = Case::new(checkout());
    for record in records.iter().cycle().take(20) {
        assert!(case.decoder.parsers_agree(record.as_bytes()), "{record}");
    }
}

/// Short ways, a way that is too long to be kept, and white space of each kind.
#[test]
fn a_line_end_is_never_overlooked() {
    let name = "n".repeat(60);
    let plain = format!(r#"{{"event_id":"e\n","{name}":[1, 2],"amount":1}}"#);
    for (at, _) in plain.match_indices([',', ':', '{', '}', '[', ']']) {
        for end in ["\n", "\r\n", " \r", "\t"] {
            let mut case = Case::new(checkout());
            let broken = [&plain[..at], end, &plain[at..]].concat();
            for record in [&plain, &plain, &plain, &broken, &broken, &plain, &broken] {
                assert!(case.decoder.parsers_agree(record.as_bytes()), "{record:?}");
            }
        }
    }
    let mut case = Case::new(checkout());
    for round in 0..3 {
        assert!(case.decoder.parsers_agree(plain.as_bytes()));
        assert_eq!(case.decoder.is_one_line(), round > 0);
    }
}
