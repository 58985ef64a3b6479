//! What was promised, held against what was delivered.
//!
//! disk, stream, outlet -> **judge**

use crate::life::Place;
use crate::outlet::Lists;
use crate::shop::{Put, Shop, WINDOW_MS};
use crate::stream::Stream;
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_history::{Bound, Change, Partitions, Place as At, Tip};
use cartguard_io::{Replayable as _, Trouble};
use cartguard_recovery::{Found, Retelling, Storage, Which};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Lines by id.
type ById = BTreeMap<String, Vec<u8>>;

/// What is wrong, if anything is.
pub(crate) fn judge(place: &Place, shop: &Shop) -> Result<(), String> {
    let bounds = bounds(&place.disk.archive())?;
    if let Some(untold) = untold(&place.stream, &bounds) {
        return Err(untold);
    }
    told_once(&bounds)?;
    let (expected, before) = undisturbed(place, &bounds)?;
    let delivered = place.outlet.lists();
    for ((name, expected), delivered) in
        ["decisions", "alerts", "rejects"].iter().zip(&expected).zip(delivered.iter())
    {
        compare(name, expected, delivered)?;
    }
    let first = first_copies(place, shop);
    let decided = decided(&expected[0], &shop.puts, &first)?;
    let rejected = expected[2].len();
    let distinct: HashSet<&str> = decided.iter().map(|decision| decision.put.id.as_str()).collect();
    let there = first.iter().flatten().count();
    if distinct.len() != decided.len() || distinct.len() != there {
        return Err(format!(
            "{} events were put, {there} were not lost, {} decided, {rejected} rejects",
            shop.puts.len(),
            decided.len()
        ));
    }
    in_order(&decided)?;
    exact(&decided)?;
    from_every_snapshot(place, &expected, &before)
}

/// Of each event the first copy that was not lost, in the order in which copies were put.
fn first_copies(place: &Place, shop: &Shop) -> Vec<Option<usize>> {
    let mut first = vec![None; shop.puts.len()];
    for (at, copy) in shop.copies.iter().enumerate() {
        if !place.stream.is_lost(&copy.shard, &copy.number, copy.part) {
            first[copy.event].get_or_insert(at);
        }
    }
    first
}

/// A gap: shard, the place behind which it begins, and the one at which it ends.
type Gap = (String, Option<At>, Option<At>);

/// The gaps of a history, and the names of all shards that it knows.
fn gaps(bounds: &[Bound]) -> (Vec<Gap>, Vec<String>) {
    let (mut names, mut gaps) = (Vec::new(), Vec::new());
    for change in bounds.iter().flat_map(|bound| &bound.changes) {
        match change {
            Change::Open(opened) => names.push(opened.name.clone()),
            Change::Gap { partition, after, before } => {
                gaps.push((names[*partition as usize].clone(), after.clone(), before.clone()));
            }
            Change::Finish { .. } | Change::Quiet { .. } | Change::Version { .. } => {}
        }
    }
    (gaps, names)
}

/// Something that was lost and is in no gap. A shard that came and went unseen is in those of what it came of, or of what came of it.
pub(crate) fn untold(stream: &Stream, bounds: &[Bound]) -> Option<String> {
    let (gaps, names) = gaps(bounds);
    let is_of_relative = |shard: &String| {
        let relatives = stream.relatives(shard);
        gaps.iter().any(|(of, ..)| relatives.contains(of))
    };
    let lost = stream.lost().into_iter().find(|(shard, number)| {
        // The rest of a record that was taken in part is lost with its place.
        let is_within = |place: &At, is_end: bool| match place {
            At::Sequence { number: other, .. } if is_end => number < other,
            At::Sequence { number: other, .. } => number >= other,
            At::Row { .. } => false,
        };
        let is_told = gaps.iter().any(|(of, after, before)| {
            of == shard
                && after.as_ref().is_none_or(|after| is_within(after, false))
                && before.as_ref().is_none_or(|before| is_within(before, true))
        });
        !is_told && (names.contains(shard) || !is_of_relative(shard))
    });
    lost.map(|(shard, number)| format!("{shard}: {} was lost, and no gap says so", number.as_str()))
}

/// No gap is written down twice.
fn told_once(bounds: &[Bound]) -> Result<(), String> {
    let mut seen = HashSet::new();
    let gaps = gaps(bounds).0.into_iter().filter(|(_, _, before)| before.is_some());
    match gaps.map(|gap| format!("{gap:?}")).find(|gap| !seen.insert(gap.clone())) {
        Some(gap) => Err(format!("a gap is told twice: {gap}")),
        None => Ok(()),
    }
}

/// All batches that were ever bound.
pub(crate) fn bounds(log: &[u8]) -> Result<Vec<Bound>, String> {
    let (mut tip, mut at, mut bounds) = (Tip::default(), 0, Vec::new());
    loop {
        match tip.read(log, at) {
            Ok(Some((bound, next))) => {
                bounds.push(bound);
                at = next;
            }
            Ok(None) => return Ok(bounds),
            Err(fault) => return Err(format!("the order log, batch {}: {fault}", bounds.len())),
        }
    }
}

/// The outputs of a run over the same order log that nobody disturbs, and how many of each there are before each batch.
fn undisturbed(place: &Place, bounds: &[Bound]) -> Result<(Lists, Vec<[usize; 3]>), String> {
    place.stream.remember();
    retold(place, place.engines.engine(1, 0), &Partitions::default(), bounds)
        .map_err(|trouble| format!("the run that nobody disturbs: {trouble}"))
}

/// What snapshots are for: from each that is kept, the same outputs follow.
fn from_every_snapshot(place: &Place, expected: &Lists, before: &[[usize; 3]]) -> Result<(), String> {
    // Who only looks meets no trouble.
    {
        let mut world = place.world.lock();
        // In some stories: it takes nearly as long as the rest of one.
        if !world.chance.percent(25) {
            return Ok(());
        }
        world.rise(None);
        (world.mood.no_room, world.mood.sync_fails) = (0, 0);
    }
    for batch in place.disk.kept_batches() {
        let told = |trouble: Trouble| format!("from the snapshot before batch {batch}: {trouble}");
        let storage =
            Storage::of("sim", place.disk.store().map_err(told)?, place.disk.segments().map_err(told)?);
        let opening = place.opening(place.source(true, false).identity(), 0);
        let engine = || Ok(place.engines.engine(1, 0));
        let Found { manifest, engine, tail, .. } =
            opening.look(&storage, Which::At(batch), engine).map_err(told)?;
        let taken = manifest.map(|manifest| manifest.partitions).unwrap_or_default();
        let (lists, _) = retold(place, engine, &taken, &tail).map_err(told)?;
        let before = match before.get(batch as usize) {
            Some(before) => *before,
            None if batch == before.len() as u64 => expected.each_ref().map(Vec::len),
            None => {
                let batches = before.len();
                return Err(format!("a snapshot stands before batch {batch}, and {batches} were bound"));
            }
        };
        for ((list, expected), before) in lists.iter().zip(expected).zip(before) {
            if list != &expected[before..] {
                return Err(format!("from the snapshot before batch {batch}: other outputs follow"));
            }
        }
        place.world.lock().saw(if tail.is_empty() {
            "snapshots at the end"
        } else {
            "snapshots gone on from"
        });
    }
    Ok(())
}

/// Batches done again by an engine from behind what was taken; how many outputs there are before each.
fn retold(
    place: &Place,
    mut engine: Engine,
    taken: &Partitions,
    bounds: &[Bound],
) -> Result<(Lists, Vec<[usize; 3]>), Trouble> {
    let mut source = place.source(true, false);
    let mut retelling = Retelling::begin(&mut source, &mut engine, taken, place.engines.clone())?;
    let (mut lists, mut before, mut outputs) = (Lists::default(), Vec::new(), Outputs::default());
    for bound in bounds {
        before.push(lists.each_ref().map(Vec::len));
        retelling.next(&mut source, &mut engine, bound, &mut outputs, &|| false)?;
        let pieces = [
            outputs.decisions().collect::<Vec<_>>().concat(),
            outputs.alerts().collect::<Vec<_>>().concat(),
            outputs.rejects().collect::<Vec<_>>().concat(),
        ];
        for (list, text) in lists.iter_mut().zip(pieces) {
            list.extend(
                text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec),
            );
        }
    }
    Ok((lists, before))
}

/// At least once, and the same bytes every time.
fn compare(name: &str, expected: &[Vec<u8>], delivered: &[Vec<u8>]) -> Result<(), String> {
    let by_id = |line: &Vec<u8>| (id_of(line), line.clone());
    let expected: ById = expected.iter().map(by_id).collect();
    let mut seen = HashSet::new();
    for line in delivered {
        let id = id_of(line);
        match expected.get(&id) {
            Some(expected) if expected == line => drop(seen.insert(id)),
            Some(expected) => {
                let [one, other] = [expected, line].map(|line| String::from_utf8_lossy(line).into_owned());
                return Err(format!("{name}: two payloads under {id}:\n{one}\n{other}"));
            }
            None => return Err(format!("{name}: {id} was delivered, and is not in the history")),
        }
    }
    match expected.keys().find(|id| !seen.contains(*id)) {
        Some(id) => Err(format!("{name}: {id} was lost: {} of {} delivered", seen.len(), expected.len())),
        None => Ok(()),
    }
}

/// Its own id, or a reject's place.
fn id_of(line: &[u8]) -> String {
    let line: Value = serde_json::from_slice(line).unwrap_or_default();
    ["alert_id", "decision_id"]
        .iter()
        .find_map(|name| line[name].as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{} {}", line["partition"], line["position"]))
}

/// A decision and the event that it is of.
struct Decision<'a> {
    /// Which copy of all that were put.
    at: usize,
    put: &'a Put,
    features: Vec<f64>,
}

/// In the order decided.
fn decided<'a>(
    lines: &[Vec<u8>],
    puts: &'a [Put],
    first: &[Option<usize>],
) -> Result<Vec<Decision<'a>>, String> {
    let index: HashMap<&str, usize> =
        puts.iter().enumerate().map(|(at, put)| (put.id.as_str(), at)).collect();
    let decision = |line: &Vec<u8>| {
        let line: Value = serde_json::from_slice(line).map_err(|why| why.to_string())?;
        let id = line["event_id"].as_str().unwrap_or_default();
        let at = *index.get(id).ok_or(format!("a decision of {id:?}, which was never put"))?;
        let features = line["features"].as_array().into_iter().flatten();
        let features = features.map(|value| value.as_f64().unwrap_or(f64::NAN)).collect();
        let copy = first[at].ok_or(format!("a decision of {id:?}, every copy of which was lost"))?;
        Ok(Decision { at: copy, put: &puts[at], features })
    };
    lines.iter().map(decision).collect()
}

/// The events of a card in the order in which they were put.
fn in_order(decided: &[Decision<'_>]) -> Result<(), String> {
    let mut last: HashMap<u64, &Decision<'_>> = HashMap::new();
    for decision in decided {
        if let Some(before) = last.insert(decision.put.card, decision)
            && before.at > decision.at
        {
            return Err(format!(
                "card {}: {} was decided before {}",
                decision.put.card, before.put.id, decision.put.id
            ));
        }
    }
    Ok(())
}

/// Every window, counted anew from the events decided before.
fn exact(decided: &[Decision<'_>]) -> Result<(), String> {
    for (at, decision) in decided.iter().enumerate() {
        let now = decision.put;
        let within = |put: &Put| now.time_ms - WINDOW_MS < put.time_ms && put.time_ms <= now.time_ms;
        let mut naive = [0_i64; 4];
        for before in decided[..at].iter().map(|decision| decision.put).filter(|put| within(put)) {
            for (same, first) in [(before.card == now.card, 0), (before.device == now.device, 2)] {
                if same {
                    naive[first] += 1;
                    naive[first + 1] += before.amount;
                }
            }
        }
        let [card_count, card_sum, device_count, device_sum] = naive.map(|value| value as f64);
        let naive = [card_count, card_sum / 100.0, device_count, device_sum / 100.0];
        if decision.features.iter().zip(naive).any(|(have, want)| *have as f32 != want as f32)
            || decision.features.len() != naive.len()
        {
            return Err(format!("{}: features {:?}, counted anew {naive:?}", now.id, decision.features));
        }
    }
    Ok(())
}
