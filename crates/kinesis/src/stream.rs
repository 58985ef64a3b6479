//! A stream as the service describes it: who it is, its shards, its consumers.
//!
//! Holds: a stream is its ARN and the time of its creation; one that was deleted and made again under the same name is another, and
//! nothing of it is read as if it were the first (S8).

use crate::backoff::Backoff;
use crate::fault::{Fault, Kind};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ConsumerStatus;
use cartguard_history::SequenceNumber;
use cartguard_history::lineage::{HashRange, Shard};
use std::fmt::{self, Display};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The name or ARN that was given; calls name the stream the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Name(String),
    Arn(String),
}

/// What makes a stream this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub arn: String,
    /// ms UTC.
    pub created_ms: i64,
}

/// A stream that was found.
#[derive(Clone, Debug)]
pub struct Stream {
    pub client: Client,
    pub target: Target,
    pub identity: Identity,
    /// How long it keeps a record.
    pub retention: Duration,
}

impl Target {
    pub fn new(text: &str) -> Self {
        if text.starts_with("arn:") { Self::Arn(text.to_owned()) } else { Self::Name(text.to_owned()) }
    }

    pub fn name(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Arn(_) => None,
        }
    }

    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => Some(arn.clone()),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Name(text) | Self::Arn(text)) = self;
        f.write_str(text)
    }
}

impl Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.arn, self.created_ms)
    }
}

impl Stream {
    /// Finds it.
    pub async fn find(client: Client, target: Target) -> Result<Self, Fault> {
        let described = client
            .describe_stream_summary()
            .set_stream_name(target.name())
            .set_stream_arn(target.arn())
            .send()
            .await
            .map_err(|error| Fault::of("DescribeStreamSummary", &target.to_string(), &error))?;
        let summary = described.stream_description_summary.ok_or_else(|| {
            Fault::new(Kind::Passing, format!("kinesis:DescribeStreamSummary on {target}: an empty answer"))
        })?;
        let created_ms = summary.stream_creation_timestamp.to_millis().unwrap_or_default();
        let identity = Identity { arn: summary.stream_arn, created_ms };
        let hours = u64::try_from(summary.retention_period_hours).unwrap_or_default();
        Ok(Self { client, target, identity, retention: Duration::from_secs(hours * 3_600) })
    }

    /// Whether the name still means this stream.
    pub async fn check(&self) -> Result<(), Changed> {
        match Self::find(self.client.clone(), self.target.clone()).await {
            Ok(found) if found.identity == self.identity => Ok(()),
            Ok(found) => Err(Changed::Recreated(self.identity.clone(), found.identity)),
            Err(fault) if fault.kind == Kind::Missing => Err(Changed::Deleted(self.identity.clone())),
            Err(fault) => Err(Changed::Unknown(fault)),
        }
    }

    /// Every shard that is not past its retention.
    pub async fn shards(&self) -> Result<Vec<Shard>, Fault> {
        let mut shards = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = self.client.list_shards();
            // The token stands for the stream: the service refuses both.
            let call = match next.take() {
                Some(token) => call.next_token(token),
                None => call.set_stream_name(self.target.name()).set_stream_arn(self.target.arn()),
            };
            let on = self.target.to_string();
            let page = call.send().await.map_err(|error| Fault::of("ListShards", &on, &error))?;
            for shard in page.shards.unwrap_or_default() {
                shards.push(listed(&shard).ok_or_else(|| {
                    let what = format!("kinesis:ListShards on {on}: a shard that cannot be read: {shard:?}");
                    Fault::new(Kind::Passing, what)
                })?);
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(shards);
            }
        }
    }

    /// The ARN of the consumer with this name, registered where it is absent, once it is active.
    pub async fn consumer(&self, name: &str, longest: Duration) -> Result<String, Fault> {
        let on = format!("{}/consumer/{name}", self.identity.arn);
        let mut backoff = Backoff::new(longest);
        loop {
            let described = self
                .client
                .describe_stream_consumer()
                .stream_arn(&self.identity.arn)
                .consumer_name(name)
                .send()
                .await
                .map_err(|error| Fault::of("DescribeStreamConsumer", &on, &error));
            match described {
                Ok(described) => {
                    if let Some(consumer) = described.consumer_description
                        && consumer.consumer_status == ConsumerStatus::Active
                    {
                        return Ok(consumer.consumer_arn);
                    }
                }
                Err(fault) if fault.kind == Kind::Missing => {
                    let call = self.client.register_stream_consumer();
                    let registered = call.stream_arn(&self.identity.arn).consumer_name(name).send().await;
                    match registered.map_err(|error| Fault::of("RegisterStreamConsumer", &on, &error)) {
                        Ok(_) => {}
                        // Another process registers it.
                        Err(fault) if fault.kind == Kind::Busy => {}
                        Err(fault) => return Err(fault),
                    }
                }
                Err(fault) => return Err(fault),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

/// By the clock here, ms UTC.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What became of a stream whose shard could not be found.
#[derive(Clone, Debug)]
pub enum Changed {
    Deleted(Identity),
    Recreated(Identity, Identity),
    /// It cannot be said now.
    Unknown(Fault),
}

impl Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted(was) => write!(f, "stream {} was deleted", was.arn),
            Self::Recreated(was, is) if was.arn == is.arn => write!(
                f,
                "stream identity changed: {} was created at {} ms and again at {} ms; what was taken of the first does \
                 not belong to the second",
                was.arn, was.created_ms, is.created_ms
            ),
            Self::Recreated(was, is) => write!(f, "stream identity changed: {was} is now {is}"),
            Self::Unknown(fault) => Display::fmt(fault, f),
        }
    }
}

fn listed(shard: &aws_sdk_kinesis::types::Shard) -> Option<Shard> {
    let range = shard.hash_key_range.as_ref()?;
    let numbers = shard.sequence_number_range.as_ref()?;
    let until = match &numbers.ending_sequence_number {
        Some(number) => Some(SequenceNumber::new(number)?),
        None => None,
    };
    Some(Shard {
        name: shard.shard_id.clone(),
        parent: shard.parent_shard_id.clone(),
        adjacent_parent: shard.adjacent_parent_shard_id.clone(),
        range: HashRange {
            first: range.starting_hash_key.parse().ok()?,
            last: range.ending_hash_key.parse().ok()?,
        },
        from: SequenceNumber::new(&numbers.starting_sequence_number)?,
        until,
    })
}
