//! CSV against the contract, and its rows against the table of what becomes of them.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use cartguard_engine::limits::RECORD_BYTES_MAX;
use cartguard_engine::record::Form;
use cartguard_io::contract::{Expected, check_source, take_all};
use cartguard_io::{FileSource, Mapped, MappedPath, Position};
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// What a file of these bytes yields, as line, offset and text.
fn rows(bytes: &[u8]) -> Vec<(u64, u64, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.csv", bytes);
    let expected = take_all(&mut FileSource::open(&[&path]).unwrap(), 1 << 19, 1 << 10);
    check_source(|| FileSource::open(&[&path]).unwrap(), &expected);
    let show = |record: Expected| {
        assert_eq!(record.form, Form::Row);
        (record.at.line, record.at.offset, String::from_utf8_lossy(&record.bytes).into_owned())
    };
    expected.into_iter().map(show).collect()
}

fn check(text: &str, expected: &[(u64, u64, &str)]) {
    let have = rows(text.as_bytes());
    let have: Vec<_> = have.iter().map(|(line, offset, text)| (*line, *offset, text.as_str())).collect();
    assert_eq!(have, expected, "{text:?}");
}

#[test]
fn values_are_their_text_and_nothing_is_null() {
    check("a,b\n1,x\n,\"\"\n", &[(2, 4, r#"{"a":"1","b":"x"}"#), (3, 8, r#"{"a":null,"b":null}"#)]);
    check("a,\"b \"\"c\"\"\"\r\n 1 ,2\r\n", &[(2, 13, r#"{"a":" 1 ","b \"c\"":"2"}"#)]);
    check("\u{feff}a\n1\n2", &[(2, 5, r#"{"a":"1"}"#), (3, 7, r#"{"a":"2"}"#)]);
    check("\"a\",b\nx\"y,\"z\"", &[(2, 6, r#"{"a":"x\"y","b":"z"}"#)]);
    check("a\n", &[]);
    check("a,b\n1,\n", &[(2, 4, r#"{"a":"1","b":null}"#)]);
}

#[test]
fn a_row_starts_where_it_starts_whatever_is_in_it() {
    check(
        "a,b\r\n\r\n\n\"1\n2\r\n3\",\"x,\"\"y\"\"\"\r\n4,5",
        &[(4, 8, r#"{"a":"1\n2\r\n3","b":"x,\"y\""}"#), (7, 28, r#"{"a":"4","b":"5"}"#)],
    );
}

#[test]
fn a_row_that_cannot_be_read_is_a_record_without_its_text() {
    check(
        "a,b\n1\n1,2,3\n\"x\"y,2\n5,6\n7,\"8\n",
        &[
            (2, 4, "ragged row: 1 fields, the header has 2"),
            (3, 6, "ragged row: 3 fields, the header has 2"),
            (4, 12, "malformed row: its quotes do not match"),
            (5, 19, r#"{"a":"5","b":"6"}"#),
            (6, 23, "malformed row: its quotes do not match"),
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.csv", b"a,b\nx\xff,1\n");
    let records = take_all(&mut FileSource::open(&[path]).unwrap(), 1 << 19, 10);
    assert_eq!(records[0].bytes, b"{\"a\":\"x\xff\",\"b\":\"1\"}");
}

#[test]
fn a_stray_quote_takes_its_own_row_and_no_other() {
    let malformed = "malformed row: its quotes do not match";
    // Nothing closes it.
    check(
        "a,b\n1,\"2\n3,4\n5,6\n",
        &[(2, 4, malformed), (3, 9, r#"{"a":"3","b":"4"}"#), (4, 13, r#"{"a":"5","b":"6"}"#)],
    );
    check("a,b\n1,\"2\n3,4", &[(2, 4, malformed), (3, 9, r#"{"a":"3","b":"4"}"#)]);
    // A later row's quote seems to.
    check(
        "a,b\n1,\"2\n3,4\n5,\"6\"\n7,8\n",
        &[
            (2, 4, malformed),
            (3, 9, r#"{"a":"3","b":"4"}"#),
            (4, 13, r#"{"a":"5","b":"6"}"#),
            (5, 19, r#"{"a":"7","b":"8"}"#),
        ],
    );
    // More rows than a row may be long.
    let rows_behind = RECORD_BYTES_MAX / 8 + 1_000;
    let text = format!("a,b\n1,\"2\n{}", "333,444\n".repeat(rows_behind));
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.csv", text.as_bytes());
    let records = take_all(&mut FileSource::open(&[path]).unwrap(), 1 << 19, 1 << 10);
    assert_eq!(records.len(), 1 + rows_behind);
    assert_eq!(records[0].bytes, malformed.as_bytes());
    assert!(records[1..].iter().all(|record| record.bytes == br#"{"a":"333","b":"444"}"#));
}

#[test]
fn a_row_without_end_is_cut_and_reading_goes_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = b"a,b\n1,\"".to_vec();
    let row = bytes.len() - 3;
    bytes.resize(bytes.len() + 2 * RECORD_BYTES_MAX, b'x');
    bytes.extend_from_slice(b"\n2,3\n");
    let path = file(folder.path(), "a.csv", &bytes);
    let at = |line, offset| Position { partition: 0, line, offset };
    let behind = bytes.len() as u64 - 4;
    let expected = [
        Expected { at: at(2, 4), form: Form::Row, bytes: bytes[row..][..=RECORD_BYTES_MAX].to_vec() },
        Expected { at: at(3, behind), form: Form::Row, bytes: br#"{"a":"2","b":"3"}"#.to_vec() },
    ];
    check_source(|| FileSource::open(&[&path]).unwrap(), &expected);
}

#[test]
fn packed_and_several_files_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "id,text,amount\n".to_owned();
    let mut expected = Vec::new();
    for n in 0..20_000_u64 {
        let at = Position { partition: 0, line: 2 + n * 2, offset: text.len() as u64 };
        let row = format!("{n},\"multi\nline {}\",{}.5\r\n", "y".repeat(n as usize % 97), n % 7);
        text.push_str(&row);
        let bytes = format!(
            "{{\"id\":\"{n}\",\"text\":\"multi\\nline {}\",\"amount\":\"{}.5\"}}",
            "y".repeat(n as usize % 97),
            n % 7
        );
        expected.push(Expected { at, form: Form::Row, bytes: bytes.into_bytes() });
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let paths = [
        file(folder.path(), "a.csv", text.as_bytes()),
        file(folder.path(), "b.csv.gz", &gzip.finish().unwrap()),
        file(folder.path(), "c.csv.zst", &zstd::encode_all(text.as_bytes(), 1).unwrap()),
    ];
    let all: Vec<Expected> = (0..3)
        .flat_map(|partition| {
            expected.iter().cloned().map(move |mut record| {
                record.at.partition = partition;
                record
            })
        })
        .collect();
    check_source(|| FileSource::open(&paths).unwrap(), &all);
}

#[test]
fn a_table_with_other_separators_or_line_ends_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = |key: &str, name: &str| MappedPath {
        key: key.to_owned(),
        path: vec![name.to_owned()],
        is_number_of_time: false,
    };
    let mapped = Mapped { required: vec![path("event.id", "id")], optional: Vec::new() };
    let refused = |name: &str, bytes: &[u8]| {
        let path = file(folder.path(), name, bytes);
        FileSource::open_mapped(&[path], &mapped).err().unwrap().to_string()
    };
    let told = refused("a.csv", b"id;time\n1;2\n");
    assert!(
        told.ends_with("; its one column is \"id;time\": columns are parted by commas, not semicolons"),
        "{told}"
    );
    let told = refused("b.csv", b"id\ttime\n1\t2\n");
    assert!(told.ends_with("is \"id\\ttime\": columns are parted by commas, not tabs"), "{told}");
    let told = refused("c.csv", b"id,time\r1,2\r");
    assert!(told.contains("column names: a carriage return is within; lines end in a line feed"), "{told}");
}

#[test]
fn a_header_that_cannot_serve_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table: [(&[u8], &str); 5] = [
        (b"", "is empty; a CSV file begins with the names of its columns"),
        (b"\n\n", "is empty; a CSV file begins with the names of its columns"),
        (b"a,b,a\n", "line 1, column names: \"a\" occurs twice"),
        (b"\na,\"b\"c\n", "line 2, column names: quotes do not match"),
        (b"a,\xff\n", "line 1, column names: number 2 is not UTF-8"),
    ];
    for (bytes, message) in table {
        let path = file(folder.path(), "a.csv", bytes);
        let error = FileSource::open(&[&path]).err().unwrap().to_string();
        assert_eq!(error, format!("{}: {message}", path.display()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any table that is written reads back, at the lines and offsets where it was written.
    #[test]
    fn what_is_written_reads_back(
        table in proptest::collection::vec(proptest::collection::vec("[a-c,\"\r\n €]{0,6}", 3), 0..40),
        crlf in any::<bool>(),
    ) {
        let mut text = "x,y,z".to_owned() + if crlf { "\r\n" } else { "\n" };
        let mut expected = Vec::new();
        for row in &table {
            let line = 1 + text.matches('\n').count() as u64;
            let members: Vec<String> = ["x", "y", "z"].iter().zip(row).map(|(name, value)| {
                let value = if value.is_empty() { "null".to_owned() } else { serde_json::to_string(value).unwrap() };
                format!("\"{name}\":{value}")
            }).collect();
            expected.push((line, text.len() as u64, format!("{{{}}}", members.join(","))));
            let fields: Vec<String> = row.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
            text += &fields.join(",");
            text += if crlf { "\r\n" } else { "\n" };
        }
        prop_assert_eq!(rows(text.as_bytes()), expected);
    }

    /// Any bytes at all: no panic, every line accounted for, the same whatever the limits.
    #[test]
    fn any_bytes_give_the_same_rows_whatever_the_limits(tail in "[a,\"\r\n\\x00]{0,60}") {
        rows(format!("x,y\n{tail}").as_bytes());
    }
}
