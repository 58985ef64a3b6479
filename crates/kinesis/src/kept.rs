//! Whether a shard still has the record at a place, so that nothing behind it was lost to retention (S7).
//!
//! Holds: only the record itself is a proof. Where it is gone, records behind it may have gone with it; the service does not say.

use crate::backoff::Backoff;
use crate::fault::{Fault, Kind};
use crate::reader::{Teller, position};
use crate::stream::{Changed, Stream};
use cartguard_history::SequenceNumber;
use cartguard_io::Trouble;
use cartguard_shards::{From, Kept};
use std::time::Duration;

/// Asks until it is known.
pub(crate) async fn look(
    stream: &Stream,
    shard: &str,
    from: &From,
    longest: Duration,
    mut teller: Teller,
) -> Result<Kept, Trouble> {
    let mut backoff = Backoff::new(longest);
    loop {
        let fault = match once(stream, shard, from).await {
            Ok(kept) => return Ok(kept),
            Err(fault) => fault,
        };
        if matches!(fault.kind, Kind::Missing | Kind::Invalid) {
            match stream.check().await {
                Err(Changed::Unknown(_)) => {}
                Err(changed) => return Err(Trouble::stop(changed.to_string())),
                // It went between the listing and now.
                Ok(()) if fault.kind == Kind::Missing => return Ok(Kept::Nothing),
                Ok(()) => {
                    let what = format!("{shard}: the stream does not take the place to look at: {from:?}");
                    return Err(Trouble::stop(what).because(fault));
                }
            }
        }
        teller.lasting(&fault);
        tokio::time::sleep(backoff.pause()).await;
    }
}

async fn once(stream: &Stream, shard: &str, from: &From) -> Result<Kept, Fault> {
    let on = format!("{}, {shard}", stream.identity.arn);
    let position = position(from);
    let output = stream
        .client
        .get_shard_iterator()
        .set_stream_name(stream.target.name())
        .set_stream_arn(stream.target.arn())
        .shard_id(shard)
        .shard_iterator_type(position.r#type)
        .set_timestamp(position.timestamp)
        .set_starting_sequence_number(position.sequence_number)
        .send()
        .await
        .map_err(|error| Fault::of("GetShardIterator", &on, &error))?;
    let mut iterator = output.shard_iterator;
    while let Some(current) = iterator {
        let call = stream.client.get_records().set_stream_arn(stream.target.arn());
        let output = call.shard_iterator(current).limit(1).send().await;
        let output = output.map_err(|error| Fault::of("GetRecords", &on, &error))?;
        if let Some(record) = output.records.first() {
            return match SequenceNumber::new(&record.sequence_number) {
                Some(number) if *from == From::At(number.clone()) => Ok(Kept::It),
                Some(number) => Ok(Kept::Next(number)),
                None => Err(Fault::new(Kind::Passing, format!("{on}: a record without a sequence number"))),
            };
        }
        // An empty answer says that nothing is there only where it is not behind.
        if output.millis_behind_latest.unwrap_or_default() == 0 {
            break;
        }
        iterator = output.next_shard_iterator;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(Kept::Nothing)
}
