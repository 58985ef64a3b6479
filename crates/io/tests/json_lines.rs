//! JSON lines from files and pipes against the contract.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use cartguard_engine::limits::RECORD_BYTES_MAX;
use cartguard_engine::record::{Form, Records};
use cartguard_io::contract::{Expected, check_source, take_all};
use cartguard_io::source::stdin::StdinSource;
use cartguard_io::{FileSource, Position, Read, Source};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Records of one file's bytes, found the slow way.
fn expected(bytes: &[u8], partition: u32) -> Vec<Expected> {
    let mut records = Vec::new();
    let mut offset = 0;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let at = Position { partition, line: index as u64 + 1, offset };
        offset += line.len() as u64 + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let bytes = line[..line.len().min(RECORD_BYTES_MAX + 1)].to_vec();
            records.push(Expected { at, form: Form::Json, bytes });
        }
    }
    records
}

/// Lines of many lengths with every kind of end.
fn lines() -> Vec<u8> {
    let mut bytes = b"\n\r\n".to_vec();
    for n in 0..2_000 {
        bytes.extend(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n * 7 % 900)).bytes());
        bytes.extend_from_slice(match n % 5 {
            0 => b"\r\n",
            1 => b"\n\n",
            _ => b"\n",
        });
    }
    bytes.extend_from_slice(b"\r\n\n{\"last\":true}");
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn files_one_after_the_other_whatever_their_packing() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = lines();
    let (front, back) = bytes.split_at(bytes.len() / 3);
    let contents: [(&str, Vec<u8>, &[u8]); 7] = [
        ("a.jsonl", bytes.clone(), &bytes),
        ("b.ndjson.gz", [gzip(front), gzip(back)].concat(), &bytes),
        ("c.json", Vec::new(), b""),
        ("d.json.zst", [zstd(front), zstd(back)].concat(), &bytes),
        ("e.jsonl", b"one".to_vec(), b"one"),
        ("f.jsonl", b"\n\n\n".to_vec(), b"\n\n\n"),
        ("g.jsonl", b"two\n".to_vec(), b"two\n"),
    ];
    let mut all = Vec::new();
    let mut paths = Vec::new();
    for (partition, (name, on_disk, plain)) in contents.iter().enumerate() {
        let path = folder.path().join(name);
        fs::write(&path, on_disk).unwrap();
        paths.push(path);
        all.extend(expected(plain, partition as u32));
    }
    check_source(|| FileSource::open(&paths).unwrap(), &all);

    let mut source = FileSource::open(&paths).unwrap();
    let total: u64 = contents.iter().map(|(_, on_disk, _)| on_disk.len() as u64).sum();
    assert_eq!(source.progress(), (0, total));
    take_all(&mut source, 1 << 16, 1 << 16);
    assert_eq!(source.progress(), (total, total));
    assert_eq!(source.partitions()[1], paths[1].display().to_string());
}

#[test]
fn a_line_over_the_limit_is_a_record_just_over_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.jsonl");
    let mut bytes = b"{}\n".to_vec();
    for (len, end) in [
        (RECORD_BYTES_MAX, "\n"),
        (RECORD_BYTES_MAX, "\r\n"),
        (RECORD_BYTES_MAX + 1, "\r\n"),
        (RECORD_BYTES_MAX + 2, "\n"),
        (3 * RECORD_BYTES_MAX, "\n{}\n"),
        (2 * RECORD_BYTES_MAX, ""),
    ] {
        bytes.resize(bytes.len() + len, b'x');
        bytes.extend_from_slice(end.as_bytes());
    }
    fs::write(&path, &bytes).unwrap();
    check_source(|| FileSource::open(&[&path]).unwrap(), &expected(&bytes, 0));

    // Whatever the line, what is held stays small.
    fs::write(&path, vec![b'x'; 8 * RECORD_BYTES_MAX]).unwrap();
    let mut source = FileSource::open(&[&path]).unwrap();
    let mut batch = Records::default();
    while source.read(&mut batch, 1 << 19, 1_000).unwrap() != Read::End {}
    assert!(batch.bytes.capacity() < 3 * RECORD_BYTES_MAX, "{} bytes held", batch.bytes.capacity());
}

/// Found by counting batches: with records of which `max_records` come to somewhat less than `max_bytes`, every other batch of
/// a file had only the few that the one before had left.
#[test]
fn a_batch_of_a_file_is_full_though_the_one_before_left_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.jsonl");
    let line = format!("{{\"pad\":\"{}\"}}\n", "x".repeat(400));
    fs::write(&path, line.repeat(10_500)).unwrap();
    let mut source = FileSource::open(&[&path]).unwrap();
    let (mut batch, mut sizes) = (Records::default(), Vec::new());
    while source.read(&mut batch, 1 << 19, 1_000).unwrap() != Read::End {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [vec![1_000; 10], vec![500]].concat());
}

/// A zstd frame (RFC 8878) of `blocks` blocks of 128 KiB of the letter `x`, 4 bytes each, with a window of `window` (its byte).
fn bomb(window: u8, blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    for block in 0..blocks {
        let header = (128 << 10 << 3) | (1 << 1) | u32::from(block + 1 == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame
}

/// Reads to the end or to trouble: the records' lengths and the message, and how much a batch held.
fn drained(path: &Path) -> (Vec<usize>, Option<String>, usize) {
    let mut source = FileSource::open(&[path]).unwrap();
    let (mut batch, mut lengths, mut held) = (Records::default(), Vec::new(), 0);
    loop {
        let read = source.read(&mut batch, 1 << 19, 1_000);
        held = held.max(batch.bytes.capacity());
        match read {
            Ok(Read::End) => return (lengths, None, held),
            Ok(_) => lengths.extend((0..batch.len()).map(|index| batch.bytes_of(index).len())),
            Err(trouble) => return (lengths, Some(with_chain(&trouble)), held),
        }
    }
}

/// D8: one line that expands 32,768 times is held no further than a record's limit, and ends the file past 1 GiB.
#[test]
fn a_bomb_is_refused_by_name_and_held_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.jsonl.zst");
    // A window of 128 KiB.
    fs::write(&path, bomb(0x38, 9_000)).unwrap();
    let (lengths, trouble, held) = drained(&path);
    assert_eq!(lengths, [RECORD_BYTES_MAX + 1]);
    let text = trouble.expect("trouble");
    assert!(text.starts_with(&format!("{}: cannot be read on from line 1, byte ", path.display())), "{text}");
    assert!(
        text.ends_with("expand to more than 1073741824 and 400 times as many, as no records do"),
        "{text}"
    );
    assert!(held < 3 * RECORD_BYTES_MAX, "{held} bytes held");

    // Less than the cap is one line that is too long, whatever the ratio.
    fs::write(&path, bomb(0x38, 800)).unwrap();
    let (lengths, trouble, _) = drained(&path);
    assert_eq!((lengths, trouble), (vec![RECORD_BYTES_MAX + 1], None));

    // A window of 2 GiB would have to be held: refused before it is.
    fs::write(&path, bomb(0xa8, 800)).unwrap();
    let (lengths, trouble, held) = drained(&path);
    assert!(lengths.is_empty());
    assert!(trouble.expect("trouble").contains("bomb.jsonl.zst: cannot be read on from line 1, byte 0: "));
    assert!(held < 3 * RECORD_BYTES_MAX, "{held} bytes held");
}

fn open_error(paths: &[&Path]) -> String {
    let error = with_chain(&FileSource::open(paths).err().expect("is refused"));
    error.replace(&format!("{}/", paths[paths.len() - 1].parent().unwrap().display()), "")
}

/// The message with its chain.
fn with_chain(error: &cartguard_io::Trouble) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn every_input_is_looked_at_before_the_first_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("good.jsonl"), b"{}\n").unwrap();
    fs::write(path("plain.jsonl.gz"), b"{}\n").unwrap();
    fs::write(path("empty.jsonl.zst"), b"").unwrap();
    fs::write(path("a.txt"), b"").unwrap();
    fs::create_dir(path("folder.jsonl")).unwrap();
    let table = [
        ("absent.jsonl", "absent.jsonl: cannot be opened: No such file or directory (os error 2)"),
        ("folder.jsonl", "folder.jsonl: is a directory, not a file"),
        ("plain.jsonl.gz", "plain.jsonl.gz: is not a gzip file: it does not begin like one"),
        ("empty.jsonl.zst", "empty.jsonl.zst: is not a zstd file: it is empty"),
        (
            "a.txt",
            "a.txt: the format is told by the extension: .jsonl, .ndjson, .json and .csv (each also with .gz or .zst behind it), .parquet",
        ),
    ];
    for (name, message) in table {
        assert_eq!(open_error(&[&path("good.jsonl"), &path(name)]), message);
    }
}

#[test]
fn a_truncated_file_yields_its_whole_lines_then_trouble_then_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = lines();
    for (name, packed) in [("a.jsonl.gz", gzip(&bytes)), ("a.jsonl.zst", zstd(&bytes))] {
        let path = folder.path().join(name);
        fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let good = folder.path().join("good.jsonl");
        fs::write(&good, "{}\n").unwrap();
        let mut source = FileSource::open(&[&path, &good]).unwrap();
        let mut batch = Records::default();
        let mut taken = 0;
        let expected = expected(&bytes, 0);
        let trouble = loop {
            match source.read(&mut batch, 1 << 19, 100) {
                Ok(read) => assert_eq!(read, Read::More),
                Err(trouble) => break trouble,
            }
            for index in 0..batch.len() {
                assert_eq!(batch.bytes_of(index), expected[taken].bytes);
                taken += 1;
            }
        };
        assert!(taken > 100 && taken < expected.len(), "{taken} records");
        let at = expected[taken].at;
        let text = with_chain(&trouble);
        let start =
            format!("{}: cannot be read on from line {}, byte {}: ", path.display(), at.line, at.offset);
        // An empty line may lie between the last record taken and the next one.
        let near = text.starts_with(&start) || text.contains(&format!("from line {}, byte", at.line - 1));
        assert!(near, "{text} does not begin with {start}");
        assert!(batch.is_empty());
        assert_eq!(source.read(&mut batch, 1 << 19, 100).unwrap(), Read::End);
    }
}

#[test]
fn a_pipe_yields_what_is_there() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = StdinSource::of("stdin", reader.into());
    let mut batch = Records::default();
    let mut read = |source: &mut StdinSource| {
        let read = source.read(&mut batch, 1 << 19, 1_000).unwrap();
        (
            read,
            (0..batch.len())
                .map(|n| String::from_utf8_lossy(batch.bytes_of(n)).into_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(read(&mut source), (Read::Idle, vec![]));
    writer.write_all(b"{\"a\":1}\n{\"a\":2}\n{\"a\"").unwrap();
    assert_eq!(read(&mut source), (Read::More, vec!["{\"a\":1}".to_owned(), "{\"a\":2}".to_owned()]));
    assert_eq!(read(&mut source), (Read::Idle, vec![]));
    writer.write_all(b":3}\r\n\n{\"a\":4}").unwrap();
    assert_eq!(read(&mut source), (Read::More, vec!["{\"a\":3}".to_owned()]));
    assert_eq!(source.position(), Position { partition: 0, line: 5, offset: 26 });
    drop(writer);
    assert_eq!(read(&mut source), (Read::More, vec!["{\"a\":4}".to_owned()]));
    assert_eq!(read(&mut source), (Read::End, vec![]));
    assert_eq!(source.partitions(), ["stdin"]);
}

#[test]
fn pipes_hold_the_contract() {
    let bytes = lines();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let mut writers = Vec::new();
    check_source(
        || {
            let (path, bytes) = (path.clone(), bytes.clone());
            writers.push(std::thread::spawn(move || fs::write(path, bytes).unwrap()));
            FileSource::open(&[&folder.path().join("pipe.jsonl")]).unwrap()
        },
        &expected(&bytes, 0),
    );
    check_source(
        || {
            let (reader, mut writer) = std::io::pipe().unwrap();
            let bytes = bytes.clone();
            writers.push(std::thread::spawn(move || {
                for piece in bytes.chunks(777) {
                    writer.write_all(piece).unwrap();
                }
            }));
            StdinSource::of("stdin", reader.into())
        },
        &expected(&bytes, 0),
    );
    for writer in writers {
        writer.join().unwrap();
    }
}
