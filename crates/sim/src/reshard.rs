//! The same records through a stream of four shards that stay, and through one that is split and merged at random while it is read.
//!
//! shop -> stream, stream -> **reshard**
//!
//! Held: the same events are decided, those of a card in the same order and with the same features of the card, by event id. A card is a
//! partition key; features of a device, which is none, depend on the order in which shards are taken, and are counted to show that the
//! two streams were read in different ones.
//! Not here: crashes, which the stories have.

use crate::lie::Lie;
use crate::shop::{Engines, Put, Shop};
use crate::stream::Stream;
use crate::world::{Chance, Shared};
use cartguard_engine::batch::Outputs;
use cartguard_engine::record::Records;
use cartguard_history::Start;
use cartguard_io::{Source as _, Trouble};
use cartguard_recovery::Processor;
use cartguard_shards::{Settings, ShardSource};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

const SHARDS: u64 = 4;
/// Percent of rounds in which shards are split or merged.
const RESHARD: u64 = 8;
/// Rounds in which nothing is taken though not all was, before it counts as never taken.
const PATIENCE: u32 = 5_000;

/// What was different, for whoever wants to know that there was something to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resharded {
    pub reshards: u64,
    /// Events whose device had other features.
    pub devices: u64,
}

/// What was decided: the events of each card in order, and of each event its features.
#[derive(Default)]
struct Decided {
    cards: BTreeMap<u64, Vec<String>>,
    features: BTreeMap<String, Vec<Value>>,
}

/// Holds the two against each other; what differs where they differ. A lie is told by the one that is resharded.
pub fn reshard(seed: u64, lie: Option<Lie>) -> Result<Resharded, String> {
    let mut seen = Resharded::default();
    let stays = read(seed, None, |_, _| {})?;
    let mut chance = Chance::new(seed ^ 0x7e54);
    let resharded = read(seed, lie, |stream, now_ms| {
        if chance.percent(RESHARD) {
            seen.reshards += 1;
            stream.reshard(&mut chance, now_ms);
        }
    })?;
    if stays.cards != resharded.cards {
        let differs = stays.cards.iter().find(|(card, events)| resharded.cards.get(*card) != Some(events));
        return Err(format!(
            "seed {seed}: other events, or in another order: {differs:?} of a stream that stays"
        ));
    }
    for (id, features) in &stays.features {
        let other = &resharded.features[id];
        if features[..2] != other[..2] {
            return Err(format!(
                "seed {seed}: {id}: features {features:?}, and {other:?} where it was resharded"
            ));
        }
        seen.devices += u64::from(features[2..] != other[2..]);
    }
    Ok(seen)
}

/// The records of a seed through a stream, until all are decided; `between` is asked between two rounds.
fn read(seed: u64, lie: Option<Lie>, mut between: impl FnMut(&Stream, i64)) -> Result<Decided, String> {
    let world = Shared::new(seed, None, false);
    let stream = Stream::of(&world, SHARDS);
    let mut shop = Shop::new(&world, &stream);
    let mut puts = shop.records(&world).into_iter();
    world.lock().lie = lie;
    let settings = Settings { start: Start::Oldest, accept_gap: false };
    let mut source = ShardSource::new(stream.service(false), settings, stream.listing(false));
    let mut processor = Processor::new(Engines::new().engine(1, 0), &[]);
    let (mut records, mut outputs, never) = (Records::default(), Outputs::default(), AtomicBool::new(false));
    let (mut decided, mut idle) = (Decided::default(), 0);
    while puts.len() > 0 || processor.engine().next_sequence() < stream.parts() {
        let now_ms = world.lock().now_us as i64 / 1_000;
        if puts.len() > 0 {
            between(&stream, now_ms);
        }
        let most = world.lock().chance.index(6);
        for (hash_key, data, parts) in puts.by_ref().take(most) {
            stream.put(hash_key, data, parts);
        }
        let told = |trouble: Trouble| format!("seed {seed}: {trouble}");
        let most = 1 + world.lock().chance.index(30);
        source.read(&mut records, usize::MAX, most).map_err(told)?;
        idle = if records.is_empty() { idle + 1 } else { 0 };
        processor.process(source.changes(), &mut records, &mut outputs, &never).map_err(told)?;
        let lines = outputs.decisions().collect::<Vec<_>>().concat();
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            decided.note(line, &shop.puts).map_err(|why| format!("seed {seed}: {why}"))?;
        }
        if idle > PATIENCE {
            let (taken, put) = (processor.engine().next_sequence(), stream.parts());
            return Err(format!("seed {seed}: {put} records were put, and {taken} are ever taken"));
        }
    }
    Ok(decided)
}

impl Decided {
    fn note(&mut self, line: &[u8], puts: &[Put]) -> Result<(), String> {
        let line: Value = serde_json::from_slice(line).map_err(|why| why.to_string())?;
        let id = line["event_id"].as_str().ok_or("a decision without an event")?.to_owned();
        let features = line["features"].as_array().ok_or("a decision without features")?.clone();
        let put = puts.iter().find(|put| put.id == id).ok_or("a decision of what was never put")?;
        self.cards.entry(put.card).or_default().push(id.clone());
        self.features.insert(id, features);
        Ok(())
    }
}
