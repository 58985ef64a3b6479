//! A shard by `SubscribeToShard`: one HTTP/2 stream a shard, made anew before its five minutes are over.
//!
//! Holds: whatever ends a subscription (its time, an error event, a reset, silence), the next one begins AFTER the last record
//! accepted; silence longer than the heartbeat ends it, since a half-open socket never says so (S12); a shard ends by a null
//! continuation, or by a poll's word where a server ends the stream without one (S11); what retention takes between two events of one
//! subscription is found before the second is handed on (S7). What keeps failing becomes `Ended::Unavailable`, and the shard is polled.

use crate::backoff::Backoff;
use crate::fault::{Fault, Kind};
use crate::limits::FAN_OUT_FAILURES_MAX;
use crate::polling;
use crate::reader::{Ended, Reader, left, position};
use crate::stream::now_ms;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::SubscribeToShardEventStream;
use cartguard_shards::Mode;
use std::time::{Duration, Instant};

/// The service refuses a second subscription within 5 s of the first: so much sooner than the backoff's first pauses is no use.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// What a subscription came to.
enum Session {
    /// Its time, or the service's: at once the next.
    Over,
    Failed(Fault),
    /// The stream ended behind a word of child shards.
    PerhapsEnd,
    Ended(Ended),
}

/// Reads the shard until its end, or until subscriptions keep failing.
pub(crate) async fn read(reader: &mut Reader, consumer: &str) -> Ended {
    let mut backoff = Backoff::new(reader.limits.backoff_max);
    let mut failures = 0;
    let arn = match reader.stream.consumer(consumer, reader.limits.backoff_max).await {
        Ok(arn) => arn,
        Err(fault) => return Ended::Unavailable(fault),
    };
    reader.reads_by(Mode::FanOut);
    loop {
        reader.gate.room().await;
        // The service may not take a place that it no longer has.
        if let Some(ended) = reader.lost().await {
            return ended;
        }
        let mut is_alive = false;
        let session = match subscribe(reader, &arn).await {
            Ok(output) => session(reader, output, &mut is_alive).await,
            Err(fault) => Session::Failed(fault),
        };
        if is_alive {
            backoff.reset();
            failures = 0;
        }
        let fault = match session {
            Session::Over if is_alive => continue,
            Session::Over => {
                Fault::new(Kind::Passing, format!("{}: a subscription without an event", reader.shard))
            }
            // A closed shard has an end, so the poll finds it.
            Session::PerhapsEnd => return polling::read(reader, None).await,
            Session::Ended(ended) => return ended,
            Session::Failed(fault) => fault,
        };
        reader.metrics.reconnected();
        failures += 1;
        match fault.kind {
            // The shard, or the consumer: the poll knows which.
            Kind::Missing => match reader.missing().await {
                Ended::Gone => return Ended::Unavailable(fault),
                ended => return ended,
            },
            Kind::Denied | Kind::Limited => return Ended::Unavailable(fault),
            _ if failures >= FAN_OUT_FAILURES_MAX => return Ended::Unavailable(fault),
            Kind::Busy => tokio::time::sleep(BUSY_PAUSE.min(reader.limits.backoff_max)).await,
            Kind::Throttled | Kind::Expired | Kind::Invalid | Kind::Passing => {}
        }
        reader.pause_after(&fault, &mut backoff).await;
    }
}

/// One subscription.
async fn session(reader: &mut Reader, mut output: SubscribeToShardOutput, is_alive: &mut bool) -> Session {
    let ends = Instant::now() + reader.limits.subscription;
    let mut has_children = false;
    loop {
        // Not read while the engine is behind: the service then waits, and the silence is ours.
        reader.gate.room().await;
        let patience = reader.limits.heartbeat.min(left(ends));
        let Ok(received) = tokio::time::timeout(patience, output.event_stream.recv()).await else {
            if left(ends).is_zero() {
                return Session::Over;
            }
            let what = format!(
                "{}: no event for {} ms, so the subscription is dead",
                reader.shard,
                patience.as_millis()
            );
            return Session::Failed(Fault::new(Kind::Passing, what));
        };
        match received {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => {
                *is_alive = true;
                has_children = event.child_shards.as_ref().is_some_and(|children| !children.is_empty());
                reader.metrics.lag(event.millis_behind_latest);
                // Asked once the event is here: what is there now was there when the service read on behind it.
                if let Some(ended) = reader.lost().await {
                    return Session::Ended(ended);
                }
                // The SDK makes an empty text of a null.
                let is_end = event.continuation_sequence_number.is_empty();
                if let Err(trouble) = reader.hand_on(event.records) {
                    return Session::Ended(Ended::Fatal(trouble));
                }
                reader.was_behind(event.millis_behind_latest, now_ms());
                if is_end {
                    return Session::Ended(Ended::End);
                }
            }
            // Of a kind that came later than this version.
            Ok(Some(_)) => *is_alive = true,
            Ok(None) if has_children => return Session::PerhapsEnd,
            Ok(None) => return Session::Over,
            Err(error) => return Session::Failed(Fault::of("SubscribeToShard", &on(reader), &error)),
        }
    }
}

async fn subscribe(reader: &Reader, consumer_arn: &str) -> Result<SubscribeToShardOutput, Fault> {
    let call = reader.stream.client.subscribe_to_shard();
    let call = call.consumer_arn(consumer_arn).shard_id(&reader.shard);
    let output = call.starting_position(position(&reader.from)).send().await;
    output.map_err(|error| Fault::of("SubscribeToShard", &on(reader), &error))
}

fn on(reader: &Reader) -> String {
    format!("{}, {}", reader.stream.identity.arn, reader.shard)
}
