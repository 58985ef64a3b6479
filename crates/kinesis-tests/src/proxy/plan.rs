//! What goes wrong, and when.
//!
//! Holds: the same plan does the same to the same calls in the same order: chance comes from seeds.
//! Not here: how a fault is done (`super`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Which calls of an action are hit, counted from the rule's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The first so many.
    First(u64),
    /// This one alone, from 0.
    Nth(u64),
    /// So many of a thousand, by chance from a seed.
    PerMille(u16, u64),
}

/// What is done to a call that is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of the service; see [`Fault::refuse`].
    Refuse { code: &'static str, status: u16 },
    /// `PutRecords`: a call with a record of this partition key is refused whole with this code; nothing of it is written.
    RefuseKey { key: &'static str, code: &'static str },
    /// `PutRecords`: so many of a thousand entries are refused with this code, the others are written.
    FailEntries { per_mille: u16, seed: u64, code: &'static str },
    /// It is done, and its answer is lost with the connection.
    LoseAnswer,
    /// The connection ends before anything is done.
    Reset,
    /// Taken, and never answered: a half-open socket.
    Hang,
    /// The answer ends with its connection after so many bytes.
    Cut { bytes: usize },
    /// A fan-out subscription says an error instead of its event of this number, from 0, and ends.
    ErrorEvent { events: usize, code: &'static str },
    /// A fan-out subscription goes silent after so many events; the connection stays.
    Silence { events: usize },
    /// So much later.
    Delay(Duration),
    /// `GetRecords` tells so much lag.
    Lag { ms: i64 },
}

impl Fault {
    /// An error by its code; throttling, KMS, expired iterators and the like are the caller's fault to the service, with status 400.
    pub fn refuse(code: &'static str) -> Self {
        let status = if code.starts_with("Internal") || code == "ServiceUnavailable" { 500 } else { 400 };
        Self::Refuse { code, status }
    }

    /// A shard or a stream that takes or gives no more at once.
    pub fn throttle() -> Self {
        Self::refuse("ProvisionedThroughputExceededException")
    }
}

/// A rule that was added, to take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

#[derive(Debug)]
struct Rule {
    id: RuleId,
    action: &'static str,
    stream: Option<String>,
    when: When,
    fault: Fault,
    seen: u64,
}

/// Shared with the proxy, and changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct Plan(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    added: u64,
    calls: BTreeMap<String, u64>,
}

impl Plan {
    /// Hits calls of `action` ("*": all) on any stream.
    pub fn add(&self, action: &'static str, when: When, fault: Fault) -> RuleId {
        self.push(action, None, when, fault)
    }

    /// Hits calls of `action` that name this stream.
    pub fn add_on(&self, stream: &str, action: &'static str, when: When, fault: Fault) -> RuleId {
        self.push(action, Some(stream.to_owned()), when, fault)
    }

    fn push(&self, action: &'static str, stream: Option<String>, when: When, fault: Fault) -> RuleId {
        let mut state = self.lock();
        state.added += 1;
        let id = RuleId(state.added);
        state.rules.push(Rule { id, action, stream, when, fault, seen: 0 });
        id
    }

    /// Calls that are under its hand stay there.
    pub fn remove(&self, id: RuleId) {
        self.lock().rules.retain(|rule| rule.id != id);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// How many calls of an action have come.
    pub fn calls(&self, action: &str) -> u64 {
        self.lock().calls.get(action).copied().unwrap_or(0)
    }

    /// The faults of a call, in the order of the rules.
    pub(super) fn meet(&self, action: &str, stream: &str) -> Vec<Fault> {
        let mut state = self.lock();
        *state.calls.entry(action.to_owned()).or_default() += 1;
        let mut faults = Vec::new();
        for rule in &mut state.rules {
            let is_meant = (rule.action == "*" || rule.action == action)
                && rule.stream.as_ref().is_none_or(|name| name == stream);
            if !is_meant {
                continue;
            }
            let seen = rule.seen;
            rule.seen += 1;
            let is_hit = match rule.when {
                When::Always => true,
                When::First(count) => seen < count,
                When::Nth(count) => seen == count,
                When::PerMille(share, seed) => chance(seed, seen) < u64::from(share),
            };
            if is_hit {
                faults.push(match rule.fault.clone() {
                    // Another subset at each call.
                    Fault::FailEntries { per_mille, seed, code } => {
                        Fault::FailEntries { per_mille, seed: mix(seed ^ seen.rotate_left(32)), code }
                    }
                    fault => fault,
                });
            }
        }
        faults
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics with it")
    }
}

/// A number below 1,000 (splitmix64).
pub(super) fn chance(seed: u64, count: u64) -> u64 {
    mix(seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15))) % 1_000
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
