//! Whether a stream, read from some time on, goes on where a rebuilt snapshot ends.
//!
//! configuration, the snapshot's stream time -> **overlap** -> run
//!
//! Holds: what is in the snapshot and in the stream is dropped by its id, and ids are remembered for `dedupe.span`; so the stream begins
//! before the snapshot ends, by no more than that.

use crate::config::{Config, Source, StreamStart};
use cartguard_engine::document::duration_text;

/// Where the newest event of the snapshot lies, and how far back ids are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    newest_ms: i64,
    known_ms: i64,
}

/// What is to be told; an error where events would be decided twice, or it cannot be known.
pub(crate) fn check(config: &Config, newest_ms: i64) -> Result<Option<String>, String> {
    let edge = Edge { newest_ms, known_ms: config.dedupe.span_ms - config.state.lateness_ms };
    match &config.source {
        Source::Kinesis(settings) => of_stream(settings.start, edge),
        Source::File { .. } | Source::Stdin | Source::Synthetic(_) => Ok(Some(format!(
            "the snapshot ends at {}: what the source has of the {} before it is dropped by its id, what is older would be decided again",
            time(newest_ms),
            duration_text(edge.known_ms.max(0))
        ))),
    }
}

fn of_stream(start: StreamStart, edge: Edge) -> Result<Option<String>, String> {
    let Edge { newest_ms, known_ms } = edge;
    let earliest = newest_ms - known_ms;
    let range = format!("from {} to {}", time(earliest), time(newest_ms));
    match start {
        StreamStart::TrimHorizon | StreamStart::Latest => Err(format!(
            "source.start: with --seed-from it is \"AT_TIMESTAMP\", and source.start_at a time {range}: where the snapshot ends, and not \
             farther back than ids are remembered (dedupe.span less time.lateness)"
        )),
        StreamStart::AtTimestamp(ms) if ms < earliest => Err(format!(
            "source.start_at: {} lies {} before the end of the snapshot, and ids are remembered for {} (dedupe.span less time.lateness): \
             what is older would be decided twice; a time {range}, or a snapshot of newer history",
            time(ms),
            duration_text(newest_ms - ms),
            duration_text(known_ms.max(0))
        )),
        StreamStart::AtTimestamp(ms) if ms > newest_ms => Ok(Some(format!(
            "source.start_at: {} lies behind the end of the snapshot, {}: events between them are in neither",
            time(ms),
            time(newest_ms)
        ))),
        StreamStart::AtTimestamp(_) => Ok(None),
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_before_the_snapshot_ends_by_no_more_than_ids_are_known() {
        const HOUR: i64 = 3_600_000;
        let edge = Edge { newest_ms: 100 * HOUR, known_ms: 24 * HOUR };
        for hour in [76, 99, 100] {
            assert_eq!(of_stream(StreamStart::AtTimestamp(hour * HOUR), edge), Ok(None), "{hour}");
        }
        let early = of_stream(StreamStart::AtTimestamp(76 * HOUR - 1), edge).expect_err("a ms too early");
        assert!(
            early.contains("would be decided twice") && early.contains("1970-01-04T04:00:00Z"),
            "{early}"
        );
        let late = of_stream(StreamStart::AtTimestamp(100 * HOUR + 1), edge).expect("allowed");
        assert!(late.is_some_and(|warning| warning.contains("are in neither")));
        for start in [StreamStart::TrimHorizon, StreamStart::Latest] {
            let refused = of_stream(start, edge).expect_err("no time");
            assert!(refused.contains("source.start_at a time from 1970-01-04T04:00:00Z to"), "{refused}");
        }
    }
}
