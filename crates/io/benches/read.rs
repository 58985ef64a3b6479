//! Reading records: JSON lines from the page cache, plain and packed, CSV and Parquet.
//!
//! `cargo bench -p cartguard-io`. Throughput is in records.

use cartguard_engine::record::Records;
use cartguard_io::{FileSource, Read, Source};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const LINES: usize = 400_000;
const LINE_BYTES: usize = 450;

/// Reads a file to its end and counts.
fn read_all(path: &Path) -> usize {
    let mut source = FileSource::open(&[path]).expect("opens");
    let mut batch = Records::default();
    let mut records = 0;
    while source.read(&mut batch, 512 * 1024, usize::MAX).expect("reads") != Read::End {
        records += batch.len();
    }
    records
}

fn lines() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LINES * LINE_BYTES);
    for n in 0..LINES {
        let start = bytes.len();
        write!(bytes, "{{\"event_id\":\"{:032x}\",\"pad\":\"", n as u128 * 0x9e37_79b9_7f4a_7c15_f39c)
            .expect("memory");
        let pad = LINE_BYTES - 3 - (bytes.len() - start);
        bytes.extend((0..pad).map(|at| b'a' + ((n * 31 + at * n) % 26) as u8));
        bytes.extend_from_slice(b"\"}\n");
    }
    bytes
}

fn json_lines(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = lines();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&bytes).expect("memory");
    let contents = [
        ("plain.jsonl", bytes.clone()),
        ("gzip.jsonl.gz", gzip.finish().expect("memory")),
        ("zstd.jsonl.zst", zstd::encode_all(&*bytes, 3).expect("memory")),
    ];
    let mut group = criterion.benchmark_group("json_lines_450_bytes");
    group.throughput(Throughput::Elements(LINES as u64)).sample_size(10);
    for (name, bytes) in contents {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("disk");
        group.bench_function(name, |bencher| bencher.iter(|| assert_eq!(read_all(&path), LINES)));
    }
    group.finish();
}

/// The Handbook's file, where it is at hand.
fn handbook() -> Option<PathBuf> {
    let shared = std::env::var_os("CARTGUARD_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    Some(shared.join("data/handbook.parquet")).filter(|path| path.is_file())
}

fn parquet(criterion: &mut Criterion) {
    let Some(path) = handbook() else {
        eprintln!("handbook.parquet is absent: skipped");
        return;
    };
    let rows = read_all(&path);
    let mut group = criterion.benchmark_group("parquet");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
    group.bench_function("handbook", |bencher| bencher.iter(|| read_all(&path)));
    group.finish();
}

fn csv(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let mut text = b"transaction_id,tx_datetime,customer_id,terminal_id,tx_amount,tx_fraud\n".to_vec();
    for n in 0..LINES {
        let (customer, terminal) = (n * 31 % 5_000, n * 17 % 10_000);
        let (minute, second, cents) = (n / 60 % 60, n % 60, n * 7 % 20_000);
        writeln!(text, "{n},2018-04-01 00:{minute:02}:{second:02},{customer},{terminal},{cents}.16,0")
            .expect("memory");
    }
    fs::write(&path, text).expect("disk");
    let mut group = criterion.benchmark_group("csv");
    group.throughput(Throughput::Elements(LINES as u64)).sample_size(10);
    group.bench_function("six_columns", |bencher| bencher.iter(|| assert_eq!(read_all(&path), LINES)));
    group.finish();
}

criterion_group!(benches, json_lines, csv, parquet);
criterion_main!(benches);
