//! A story: lives that are killed, one that is not, and the judgement.

use crate::disk::Disk;
use crate::judge::judge;
use crate::lie::Lie;
use crate::life::{Place, live};
use crate::outlet::Outlet;
use crate::shop::{Engines, Shop};
use crate::stream::Stream;
use crate::world::Shared;
use cartguard_io::Advice;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display};
use std::sync::Arc;

/// What happened in a story that ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Of the trace: the same for the same seed.
    pub hash: u64,
    /// How often things happened, by name.
    pub seen: BTreeMap<&'static str, u64>,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub why: String,
    /// All steps, if they were asked for.
    pub trace: Vec<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.why)
    }
}

/// Tells the story of a seed; `is_traced` keeps its steps for whoever wants to read them.
pub fn tell(seed: u64, lie: Option<Lie>, is_traced: bool) -> Result<Story, Failure> {
    let world = Shared::new(seed, lie, is_traced);
    let stream = Stream::new(&world);
    let place = Place {
        disk: Disk::new(&world),
        outlet: Outlet::new(&world),
        engines: Arc::new(Engines::new()),
        stream: stream.clone(),
        world: world.clone(),
    };
    let mut shop = Shop::new(&world, &stream);
    let why = told(&place, &mut shop);
    let mut world = world.lock();
    match why {
        Ok(()) => {
            let mut seen = std::mem::take(&mut world.seen);
            seen.insert("events", shop.puts.len() as u64);
            Ok(Story { hash: world.hash(), seen })
        }
        Err(why) => Err(Failure { seed, why, trace: world.take_lines() }),
    }
}

fn told(place: &Place, shop: &mut Shop) -> Result<(), String> {
    let kills = place.world.lock().mood.kills;
    for life in 0.. {
        {
            let mut world = place.world.lock();
            let steps = world.mood.life;
            let left = (life < kills).then(|| world.chance.below(steps));
            world.rise(left);
        }
        let lived = live(place, shop);
        let is_killed = place.world.lock().is_down();
        match lived {
            Ok(()) if !is_killed => return judge(place, shop),
            Ok(()) => {}
            Err(_) if is_killed => {}
            // No room for the last snapshot: whoever starts it again finds the order log.
            Err(trouble) if trouble.advice() == Advice::Retry => {}
            Err(trouble) => {
                let mut text = trouble.to_string();
                let mut cause = trouble.source();
                while let Some(why) = cause {
                    text.push_str(&format!(": {why}"));
                    cause = why.source();
                }
                return Err(text);
            }
        }
        if place.world.lock().chance.percent(10) {
            place.disk.tear_newest_manifest();
        }
    }
    unreachable!("the last life is not killed")
}
