//! The reject line of a record that no stream takes.
//!
//! Holds: it carries the event's id and sequence, and nothing else of the record.

use cartguard_io::member;

/// What stands in the place of a line: which kind of output it was, its size and the limit.
pub(super) fn reject(line: &[u8], kind: &str, bytes: usize, bytes_max: usize) -> Vec<u8> {
    let mut out = b"{\"event_id\":".to_vec();
    // As it stands in the line, so that it needs no quotes of ours.
    out.extend_from_slice(member::raw(line, "event_id").unwrap_or(b"null"));
    out.extend_from_slice(b",\"sequence\":");
    out.extend_from_slice(member::raw(line, "sequence").unwrap_or(b"null"));
    let rest = format!(
        ",\"reason\":\"output_too_large\",\"output\":\"{kind}\",\"bytes\":{bytes},\"bytes_max\":{bytes_max}}}\n"
    );
    out.extend_from_slice(rest.as_bytes());
    out
}
