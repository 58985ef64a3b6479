//! The records of a stream, as they come.
//!
//! stream -> **tail** -> measure
//!
//! Holds: every record of every shard, also of those that come later; where an iterator fails it goes on from behind the last record.

use super::{id, member, now_us};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The time of an answer of the stream that is no trouble, doubled: how long to wait after one.
const PAUSE: Duration = Duration::from_millis(500);

/// Which of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Input,
    Decision,
    Alert,
}

/// A record as it was seen.
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) hash: u64,
    pub(super) is_alert: bool,
    pub(super) arrived_us: u64,
    pub(super) at_us: u64,
}

/// Follows a stream.
#[derive(Clone)]
pub(super) struct Tail {
    pub(super) client: Client,
    pub(super) stream: String,
    pub(super) kind: Kind,
    pub(super) poll: Duration,
}

impl Tail {
    /// Every shard of it, also those that come later.
    pub(super) async fn all(
        self,
        to: mpsc::UnboundedSender<Seen>,
        last_us: Arc<AtomicU64>,
    ) -> anyhow::Result<()> {
        let mut known = HashSet::new();
        let mut shards = tokio::task::JoinSet::new();
        loop {
            let mut token = None;
            loop {
                let asked = self.client.list_shards();
                let asked = match token.take() {
                    Some(token) => asked.next_token(token),
                    None => asked.stream_name(&self.stream),
                };
                let Ok(answer) = asked.send().await else { break };
                for shard in answer.shards() {
                    if known.insert(shard.shard_id().to_owned()) {
                        let (tail, shard) = (self.clone(), shard.shard_id().to_owned());
                        shards.spawn(tail.shard(shard, to.clone(), Arc::clone(&last_us)));
                    }
                }
                token = answer.next_token().map(str::to_owned);
                if token.is_none() {
                    break;
                }
            }
            tokio::select! {
                Some(ended) = shards.join_next() => ended?,
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }

    /// One shard to its end; where its iterator fails, on from behind the last record.
    async fn shard(self, shard: String, to: mpsc::UnboundedSender<Seen>, last_us: Arc<AtomicU64>) {
        let mut after: Option<String> = None;
        loop {
            let asked = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(&shard);
            let asked = match &after {
                Some(number) => asked
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .starting_sequence_number(number),
                None => asked.shard_iterator_type(ShardIteratorType::TrimHorizon),
            };
            let mut next = match asked.send().await {
                Ok(answer) => answer.shard_iterator().map(str::to_owned),
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            loop {
                let Some(iterator) = next else { return };
                let Ok(answer) = self.client.get_records().shard_iterator(iterator).send().await else {
                    tokio::time::sleep(PAUSE).await;
                    break;
                };
                let at_us = now_us();
                for record in answer.records() {
                    last_us.store(at_us, Ordering::Relaxed);
                    after = Some(record.sequence_number().to_owned());
                    if let Some(seen) = self.see(record, at_us)
                        && to.send(seen).is_err()
                    {
                        return;
                    }
                }
                next = answer.next_shard_iterator().map(str::to_owned);
                tokio::time::sleep(self.poll).await;
            }
        }
    }

    fn see(&self, record: &Record, at_us: u64) -> Option<Seen> {
        let data = record.data().as_ref();
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let arrived = record.approximate_arrival_timestamp().and_then(|time| time.to_millis().ok());
        Some(Seen {
            kind: self.kind,
            id: id(data)?.to_owned(),
            hash: hasher.finish(),
            is_alert: member(data, "decision").is_some_and(|decision| decision != "approve"),
            arrived_us: arrived.map_or(0, |ms| ms as u64 * 1_000),
            at_us,
        })
    }
}
