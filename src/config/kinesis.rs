//! The keys of `[source]` and `[sink]` for streams of Kinesis.
//!
//! Read whatever the type is, so that what they say is right when it changes.

use super::Relative;
use cartguard_engine::document::Reader;
use std::path::PathBuf;
use std::time::Duration;

/// Which stream is read, how, and from where.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    not(feature = "aws"),
    allow(dead_code, reason = "checked by every build, used by those with the adapter")
)]
pub(crate) struct KinesisSource {
    /// Name or ARN.
    pub(crate) stream: String,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) assume_role: Option<String>,
    pub(crate) fan_out: bool,
    pub(crate) consumer: String,
    pub(crate) start: StreamStart,
    pub(crate) accept_gap: bool,
    pub(crate) calls_per_second: f64,
    pub(crate) bytes_per_second: u64,
    pub(crate) call_records: i32,
    pub(crate) buffer: u64,
    pub(crate) buffer_records: usize,
    pub(crate) subscription: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) timeout: Duration,
    pub(crate) backoff_max: Duration,
}

/// Where a stream that was never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamStart {
    TrimHorizon,
    Latest,
    /// ms UTC.
    AtTimestamp(i64),
}

/// Where lines go, and what is kept to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "aws"),
    allow(dead_code, reason = "checked by every build, used by those with the adapter")
)]
pub(crate) struct KinesisSink {
    /// Names of streams.
    pub(crate) decisions: Option<String>,
    pub(crate) alerts: Option<String>,
    pub(crate) rejects: Option<String>,
    pub(crate) rejects_file: Option<PathBuf>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) assume_role: Option<String>,
    /// Path of the partition key.
    pub(crate) key: String,
    pub(crate) ordered: bool,
    pub(crate) linger: Duration,
    pub(crate) call_records: usize,
    pub(crate) call_bytes: usize,
    pub(crate) calls: usize,
    pub(crate) record_max: usize,
    pub(crate) buffer: usize,
    pub(crate) timeout: Duration,
    pub(crate) drain: Duration,
}

/// The service's own limits.
const GET_RECORDS: i64 = 10_000;
const CALL_RECORDS: i64 = 500;
const CALL_BYTES: u64 = 10 << 20;
const RECORD_BYTES: u64 = 10 << 20;

/// Reads those of `[source]`; `is_meant`: the type is kinesis, and a stream has to be named.
pub(super) fn source(table: &mut Reader<'_>, is_meant: bool) -> Option<KinesisSource> {
    let stream = table.text("stream");
    let region = text(table, "region");
    let profile = text(table, "profile");
    let endpoint_url = text(table, "endpoint_url");
    let assume_role = text(table, "assume_role");
    let mode = table.one_of("mode", &["fan-out", "polling"]);
    let consumer = table.text("consumer");
    let start = table.one_of("start", &["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]);
    let start_at = text(table, "start_at");
    let accept_gap = table.truth("accept_gap");
    let calls_per_second = table.number("calls_per_second", 0.1..=1_000.0);
    let bytes_per_second = table.size("bytes_per_second", 1024..=1 << 40);
    let call_records = table.integer("call_records", 1..=GET_RECORDS);
    let buffer = table.size("buffer", 1 << 20..=1 << 40);
    let buffer_records = table.integer("buffer_records", 1..=1 << 30);
    let subscription = duration(table, "subscription", 5_000..=300_000);
    let heartbeat = duration(table, "heartbeat", 6_000..=300_000);
    let timeout = duration(table, "timeout", 1_000..=300_000);
    let backoff_max = duration(table, "backoff_max", 10..=300_000);
    // What one key needs of another is told whatever is wrong with the rest.
    let is_empty = |text: &Option<String>| is_meant && text.as_ref().is_some_and(String::is_empty);
    if is_empty(&stream) {
        table.needed("stream", "type", "is empty; the name or the ARN of a stream");
    }
    if mode == Some(0) && is_empty(&consumer) {
        table.needed("consumer", "mode", "is empty; a name for the consumer that the mode fan-out registers");
    }
    let start = match (start?, start_at?) {
        (0, _) => StreamStart::TrimHorizon,
        (1, _) => StreamStart::Latest,
        (_, at) => StreamStart::AtTimestamp(start_at_ms(table, at.as_deref(), is_meant)?),
    };
    Some(KinesisSource {
        stream: stream?,
        region: region?,
        profile: profile?,
        endpoint_url: endpoint_url?,
        assume_role: assume_role?,
        fan_out: mode? == 0,
        consumer: consumer?,
        start,
        accept_gap: accept_gap?,
        calls_per_second: calls_per_second?,
        bytes_per_second: bytes_per_second?,
        call_records: call_records? as i32,
        buffer: buffer?,
        buffer_records: buffer_records? as usize,
        subscription: subscription?,
        heartbeat: heartbeat?,
        timeout: timeout?,
        backoff_max: backoff_max?,
    })
}

fn start_at_ms(table: &mut Reader<'_>, at: Option<&str>, is_meant: bool) -> Option<i64> {
    match at.unwrap_or_default().parse::<jiff::Timestamp>() {
        Ok(at) => Some(at.as_millisecond()),
        Err(_) if !is_meant => Some(0),
        Err(_) if at.is_none() => {
            table.needed("start_at", "start", "is empty; a time such as \"2026-11-24T06:00:00Z\"");
            None
        }
        Err(_) => {
            let at = at.unwrap_or_default();
            table.fault("start_at", format!("{at:?} is no time; such as \"2026-11-24T06:00:00Z\""));
            None
        }
    }
}

/// Reads those of `[sink]`; `is_meant`: the type is kinesis, and streams have to be named.
pub(super) fn sink(table: &mut Reader<'_>, at: &Relative<'_>, is_meant: bool) -> Option<KinesisSink> {
    let decisions = text(table, "decisions");
    let alerts = text(table, "alerts");
    let rejects = text(table, "rejects");
    let rejects_file = at.path(table, "rejects_file");
    let region = text(table, "region");
    let profile = text(table, "profile");
    let endpoint_url = text(table, "endpoint_url");
    let assume_role = text(table, "assume_role");
    let key = table.text("key");
    let ordered = table.truth("ordered");
    let linger = duration(table, "linger", 0..=1_000);
    let call_records = table.integer("call_records", 1..=CALL_RECORDS);
    let call_bytes = table.size("call_bytes", 1024..=CALL_BYTES);
    let calls = table.integer("calls", 1..=64);
    let record_max = table.size("record_max", 1024..=RECORD_BYTES);
    let buffer = table.size("buffer", 1 << 20..=1 << 40);
    let timeout = duration(table, "timeout", 100..=300_000);
    let drain = duration(table, "drain", 0..=86_400_000);
    // What one key needs of another is told whatever is wrong with the rest.
    if is_meant {
        let is_none = |stream: &Option<Option<String>>| matches!(stream, Some(None));
        if [&decisions, &alerts, &rejects].into_iter().all(is_none) {
            let what = "is empty, and so are decisions and rejects; the name of a stream for at least one";
            table.needed("alerts", "type", what);
        }
        if matches!((&rejects, &rejects_file), (Some(Some(_)), Some(Some(_)))) {
            table.fault("rejects_file", "rejects go to the stream of sink.rejects already; one of the two");
        }
        if key.as_deref() == Some("") {
            table.needed("key", "type", "is empty; a member of the lines, such as event_id");
        }
    }
    Some(KinesisSink {
        decisions: decisions?,
        alerts: alerts?,
        rejects: rejects?,
        rejects_file: rejects_file?,
        region: region?,
        profile: profile?,
        endpoint_url: endpoint_url?,
        assume_role: assume_role?,
        key: key?,
        ordered: ordered?,
        linger: linger?,
        call_records: call_records? as usize,
        call_bytes: call_bytes? as usize,
        calls: calls? as usize,
        record_max: record_max? as usize,
        buffer: buffer? as usize,
        timeout: timeout?,
        drain: drain?,
    })
}

/// An empty text is none.
#[expect(clippy::option_option, reason = "faulty, none, or a text")]
fn text(table: &mut Reader<'_>, key: &str) -> Option<Option<String>> {
    table.text(key).map(|text| (!text.is_empty()).then_some(text))
}

fn duration(table: &mut Reader<'_>, key: &str, range_ms: std::ops::RangeInclusive<i64>) -> Option<Duration> {
    table.duration(key, range_ms).map(|ms| Duration::from_millis(ms as u64))
}
