//! The reject line of a record that no stream takes.
//!
//! Holds: it carries the event's id and sequence, and nothing else of the record.

use cartguard_io::member;

/// What stands in the place of a line that is longer than a record may be: which kind of output it was, its size and the limit.
pub(super) fn too_large(line: &[u8], kind: &str, bytes: usize, bytes_max: usize) -> Vec<u8> {
    let rest =
        format!("\"output_too_large\",\"output\":\"{kind}\",\"bytes\":{bytes},\"bytes_max\":{bytes_max}");
    reject(line, &rest)
}

/// What stands in the place of a line that the stream refuses alone, and takes others; the service's code, whose message may
/// repeat what is in the line.
pub(super) fn refused(line: &[u8], kind: &str, bytes: usize, code: &str) -> Vec<u8> {
    let code = serde_json::Value::from(code);
    let rest = format!("\"output_refused\",\"output\":\"{kind}\",\"bytes\":{bytes},\"code\":{code}");
    reject(line, &rest)
}

fn reject(line: &[u8], rest: &str) -> Vec<u8> {
    let mut out = b"{\"event_id\":".to_vec();
    // As it stands in the line, so that it needs no quotes of ours.
    out.extend_from_slice(member::raw(line, "event_id").unwrap_or(b"null"));
    out.extend_from_slice(b",\"sequence\":");
    out.extend_from_slice(member::raw(line, "sequence").unwrap_or(b"null"));
    out.extend_from_slice(b",\"reason\":");
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(b"}\n");
    out
}
