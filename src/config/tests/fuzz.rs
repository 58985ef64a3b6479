//! No text, variable or flag makes the configuration's reader panic.
//!
//! Seeded: a run number is the whole of a failing case. `CARTGUARD_FUZZ_RUNS` sets how many.

use crate::config::{DEFAULT, Flag, Given, load_text};

const SEEDS: [&str; 3] = [
    DEFAULT,
    include_str!("../../../config/handbook.toml"),
    include_str!("../../../benches/workload/config.toml"),
];

const WORDS: [&str; 28] = [
    "[event]\n",
    "[event.fields]\n",
    "[entities]\n",
    "[money.rates]\n",
    "id = ",
    "x = { path = ",
    "constant = ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "\n",
    "''",
    "'a.b'",
    "'/a~1b'",
    "9223372036854775807",
    "-1",
    "1e308",
    "nan",
    "'400d'",
    "'4GiB'",
    "USD = '0.92'\n",
    "true",
    "1979-05-27",
    "ü",
    "#",
];

const FLAGS: [&str; 8] = [
    "time.lateness",
    "event.currency",
    "event.currency.constant",
    "entities.x",
    "money.rates.USD",
    "source.paths",
    "a.b.c.d",
    "event",
];

/// splitmix64
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % end.max(1) as u64) as usize
    }
}

fn mutated(random: &mut Random) -> String {
    let mut bytes = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 => {
                let end = (at + random.below(60)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.repeat(1 + random.below(3)).into_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_text_makes_it_panic() {
    let runs =
        std::env::var("CARTGUARD_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_u64);
    for run in 0..runs {
        let random = &mut Random(run);
        let text = mutated(random);
        let key = FLAGS[random.below(FLAGS.len())].to_owned();
        let value = WORDS[random.below(WORDS.len())].to_owned();
        let given = Given {
            environment: vec![(
                format!("CARTGUARD__{}", key.to_uppercase().replace('.', "__")),
                value.clone(),
            )],
            flags: vec![Flag { name: "--set".into(), key, value: Some(value) }],
            ..Given::default()
        };
        let outcome = std::panic::catch_unwind(|| load_text(Some(("shop.toml", &text)), &given).map(|_| ()));
        assert!(outcome.is_ok(), "run {run}: {given:?} {text}");
    }
}
