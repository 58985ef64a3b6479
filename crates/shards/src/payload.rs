//! Payloads that the producer compressed: gzip and zstd, known by their first bytes.
//!
//! aggregate -> **payload** -> records
//!
//! Holds: no payload becomes longer than a record may be, nor much longer than its ratio allows, whatever it says of itself; the rest
//! is never held. JSON begins with neither magic, so nothing has to be configured.

use crate::limits::{COMPRESSION_FREE_BYTES, COMPRESSION_RATIO_MAX};
use cartguard_engine::limits::RECORD_BYTES_MAX;
use cartguard_engine::reject::Reason;
use std::io::Read;

const GZIP: [u8; 3] = [0x1F, 0x8B, 8];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Memory of a zstd window at most, as a power of two: 16 MiB, which a record never needs.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// Appends what a payload holds to `into`; nothing is appended where it cannot be had.
pub fn unpack(payload: &[u8], into: &mut Vec<u8>) -> Result<(), Reason> {
    if payload.starts_with(&GZIP) {
        inflate(flate2::read::MultiGzDecoder::new(payload), payload.len(), into)
    } else if payload.starts_with(&ZSTD) {
        let mut decoder = zstd::Decoder::with_buffer(payload).map_err(|_| Reason::InvalidCompression)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| Reason::InvalidCompression)?;
        inflate(decoder, payload.len(), into)
    } else if payload.len() > RECORD_BYTES_MAX {
        Err(Reason::TooLarge)
    } else {
        into.extend_from_slice(payload);
        Ok(())
    }
}

fn inflate(from: impl Read, packed: usize, into: &mut Vec<u8>) -> Result<(), Reason> {
    let start = into.len();
    let most = packed.saturating_mul(COMPRESSION_RATIO_MAX).clamp(COMPRESSION_FREE_BYTES, RECORD_BYTES_MAX);
    let read = from.take(most as u64 + 1).read_to_end(into);
    let unpacked = into.len() - start;
    let result = match read {
        Ok(_) if unpacked <= most => Ok(()),
        Ok(_) => Err(Reason::TooLarge),
        Err(_) => Err(Reason::InvalidCompression),
    };
    if result.is_err() {
        into.truncate(start);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).expect("memory")
    }

    fn read(payload: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut into = b"before".to_vec();
        let result = unpack(payload, &mut into);
        assert!(into.starts_with(b"before"));
        assert!(result.is_ok() || into == b"before", "nothing half");
        result.map(|()| into.split_off(6))
    }

    #[test]
    fn plain_and_packed_payloads() {
        let text = b"{\"event_id\":\"1\"}".to_vec();
        for payload in [text.clone(), gzip(&text), zstd(&text)] {
            assert_eq!(read(&payload), Ok(text.clone()));
        }
        // Two members one after the other are one payload.
        assert_eq!(read(&[gzip(b"{"), gzip(b"}")].concat()), Ok(b"{}".to_vec()));
    }

    #[test]
    fn bombs_are_too_large_and_torn_ones_invalid() {
        let bomb = vec![b' '; RECORD_BYTES_MAX + 1];
        for payload in [gzip(&bomb), zstd(&bomb), bomb.clone()] {
            assert_eq!(read(&payload), Err(Reason::TooLarge));
        }
        // By its ratio, below the absolute cap.
        assert_eq!(read(&zstd(&vec![0; 9 << 20])), Err(Reason::TooLarge));
        for whole in [gzip(b"{\"a\":1}"), zstd(b"{\"a\":1}")] {
            for cut in 4..whole.len() {
                assert_eq!(read(&whole[..cut]), Err(Reason::InvalidCompression), "cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn anything_behind_a_magic(rest: Vec<u8>, is_gzip: bool) {
            let magic = if is_gzip { &GZIP[..] } else { &ZSTD[..] };
            let _ = read(&[magic, &rest].concat());
        }
    }
}
