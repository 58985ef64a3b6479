//! No text makes the features file's reader panic, loop or grow without bound.
//!
//! Seeded: a run number is the whole of a failing case. `CARTGUARD_FUZZ_RUNS` sets how many.

use super::read;
use super::tests::schema;
use crate::document::Layer;

const SEEDS: [&str; 3] = [
    include_str!("../../../../../config/features/handbook.toml"),
    include_str!("../../../../../benches/workload/features.toml"),
    "[words]\nip = 'address'\n[defaults]\ninclusive = true\n[[condition]]\nname = 'declined'\n\
     when = \"auth_result == 'declined' && !(discount > 1.5e3) || country in ['DE', 'FR']\"\nmeaning = 'x'\n\
     [[feature]]\nname = 'x'\nvalue = \"is_missing(card) ? min(1, -amount) : log1p(items.total / 2)\"\nor = 1\n\
     [[feature]]\nentity = ['card', 'customer']\nwindows = ['1h', '7d']\naggregates = ['ratio', 'share']\n\
     over = '30d'\nratio_of = 'sum'\nwhere = 'declined'\n",
];

const WORDS: [&str; 40] = [
    "[[feature]]\n",
    "[[condition]]\n",
    "[defaults]\n",
    "name = ",
    "value = ",
    "entity = ",
    "windows = ",
    "aggregates = ",
    "where = ",
    "where_name = ",
    "of = ",
    "field = ",
    "over = ",
    "ratio_of = ",
    "delay = ",
    "or = ",
    "inclusive = true\n",
    "'card'",
    "'count'",
    "'distinct'",
    "'run'",
    "'1h'",
    "'90d'",
    "[",
    "]",
    "{",
    "}",
    "(((((",
    "!!!!",
    " ? ",
    " : ",
    " in ",
    "'x'",
    "\"\"\"",
    "\n",
    "9223372036854775808",
    "1e400",
    "nan",
    "amount",
    "ü",
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

/// A seed with a few bytes, words and stretches changed.
fn mutated(random: &mut Random) -> String {
    let mut bytes = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 => {
                let end = (at + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                let other = SEEDS[random.below(SEEDS.len())].as_bytes();
                let from = random.below(other.len());
                let to = (from + random.below(80)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
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
        std::env::var("CARTGUARD_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_u64);
    let schema = schema();
    for run in 0..runs {
        let text = mutated(&mut Random(run));
        let outcome = std::panic::catch_unwind(|| read(&text, Layer::File, "f.toml", &schema).map(|_| ()));
        assert!(outcome.is_ok(), "run {run}: {text}");
    }
}
