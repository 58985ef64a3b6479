//! Parquet against the contract, and its types against the table of their texts.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use arrow_array::builder::{
    FixedSizeListBuilder, Int32Builder, LargeListBuilder, ListBuilder, MapBuilder, StringBuilder,
    StringDictionaryBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    LargeBinaryArray, LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    Time32MillisecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field};
use cartguard_engine::record::{Form, Records};
use cartguard_io::contract::{Expected, check_source, take_all};
use cartguard_io::{FileSource, Position, Read, Source};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The texts of one column, by a file of its own.
fn texts(array: ArrayRef) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, vec![("c", array)], WriterProperties::builder().build());
    let records = take_all(&mut FileSource::open(&[&path]).unwrap(), 1 << 19, 1 << 10);
    let text = |record: Expected| {
        let text = String::from_utf8(record.bytes).unwrap();
        text.strip_prefix("{\"c\":")
            .and_then(|text| text.strip_suffix("}"))
            .expect("an object of c")
            .to_owned()
    };
    records.into_iter().map(text).collect()
}

#[test]
fn numbers() {
    let table: Vec<(ArrayRef, &[&str])> = vec![
        (Arc::new(Int8Array::from(vec![Some(-128), None])), &["-128", "null"]),
        (Arc::new(Int16Array::from(vec![-32_768])), &["-32768"]),
        (Arc::new(Int32Array::from(vec![i32::MIN])), &["-2147483648"]),
        (
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
            &["-9223372036854775808", "9223372036854775807"],
        ),
        (Arc::new(UInt8Array::from(vec![255])), &["255"]),
        (Arc::new(UInt16Array::from(vec![65_535])), &["65535"]),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), &["4294967295"]),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), &["18446744073709551615"]),
        (Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), &["true", "false", "null"]),
        (Arc::new(Float32Array::from(vec![12.34, 0.1, f32::MAX])), &["12.34", "0.1", "3.4028235e+38"]),
        (
            Arc::new(Float64Array::from(vec![57.16, f64::NAN, f64::INFINITY, -0.0, 1e300, 5e-324])),
            &["57.16", "null", "null", "-0.0", "1e+300", "5e-324"],
        ),
        (Arc::new(NullArray::new(2)), &["null", "null"]),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(1_234), Some(-5), None])
                    .with_precision_and_scale(38, 2)
                    .unwrap(),
            ),
            &["\"12.34\"", "\"-0.05\"", "null"],
        ),
        (
            Arc::new(Decimal128Array::from(vec![i128::MAX / 2]).with_precision_and_scale(38, 0).unwrap()),
            &["\"85070591730234615865843651857942052863\""],
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![i256::from_i128(i128::MAX), i256::from_i128(-7)])
                    .with_precision_and_scale(76, 40)
                    .unwrap(),
            ),
            &[
                "\"0.0170141183460469231731687303715884105727\"",
                "\"-0.0000000000000000000000000000000000000007\"",
            ],
        ),
    ];
    for (array, expected) in table {
        let kind = array.data_type().clone();
        assert_eq!(texts(array), expected, "{kind}");
    }
}

#[test]
fn texts_and_times() {
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    for value in [Some("a\"b"), None, Some("c"), Some("a\"b")] {
        dictionary.append_option(value);
    }
    let mut absent = StringDictionaryBuilder::<Int32Type>::new();
    absent.append_null();
    let table: Vec<(ArrayRef, &[&str])> = vec![
        (Arc::new(StringArray::from(vec![Some("é\n\\"), Some(""), None])), &["\"é\\n\\\\\"", "\"\"", "null"]),
        (Arc::new(LargeStringArray::from(vec!["x"])), &["\"x\""]),
        (
            Arc::new(StringViewArray::from(vec!["short", "longer than twelve bytes"])),
            &["\"short\"", "\"longer than twelve bytes\""],
        ),
        (Arc::new(dictionary.finish()), &["\"a\\\"b\"", "null", "\"c\"", "\"a\\\"b\""]),
        (Arc::new(absent.finish()), &["null"]),
        (Arc::new(TimestampSecondArray::from(vec![1_522_540_831])), &["\"2018-04-01T00:00:31.000Z\""]),
        (
            Arc::new(TimestampMillisecondArray::from(vec![Some(1_522_540_831_120), None])),
            &["\"2018-04-01T00:00:31.120Z\"", "null"],
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1_522_540_831_000_000]).with_timezone("+02:00")),
            &["\"2018-04-01T00:00:31.000Z\""],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![-1, 1_000]).with_timezone("Europe/Berlin")),
            &["\"1969-12-31T23:59:59.999999999Z\"", "\"1970-01-01T00:00:00.000001Z\""],
        ),
        (Arc::new(Date32Array::from(vec![17_622, -1])), &["\"2018-04-01\"", "\"1969-12-31\""]),
        (Arc::new(Date64Array::from(vec![86_400_000])), &["\"1970-01-02\""]),
        (Arc::new(Time32MillisecondArray::from(vec![31_007])), &["\"00:00:31.007\""]),
        (Arc::new(Time64NanosecondArray::from(vec![86_399_000_000_001])), &["\"23:59:59.000000001\""]),
    ];
    for (array, expected) in table {
        let kind = array.data_type().clone();
        assert_eq!(texts(array), expected, "{kind}");
    }
}

#[test]
fn what_is_nested() {
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("a", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("b\"", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef,
        ),
    ]);
    assert_eq!(texts(Arc::new(inner)), [r#"{"a":1,"b\"":"x"}"#, r#"{"a":null,"b\"":"y"}"#]);

    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), None]);
    list.append_null();
    list.append_value(Vec::<Option<&str>>::new());
    assert_eq!(texts(Arc::new(list.finish())), [r#"["a",null]"#, "null", "[]"]);

    let mut list = LargeListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), Some(2)]);
    assert_eq!(texts(Arc::new(list.finish())), ["[1,2]"]);

    let mut list = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    for value in 1..=4 {
        list.values().append_value(value);
    }
    list.append(true);
    list.append(true);
    assert_eq!(texts(Arc::new(list.finish())), ["[1,2]", "[3,4]"]);
}

#[test]
fn columns_without_a_text_are_left_out_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int32Array::from(vec![1]))),
        ("map", Arc::new(map.finish())),
        ("s", Arc::new(StringArray::from(vec!["y"]))),
    ];
    write(&path, columns, WriterProperties::builder().build());
    let mut source = FileSource::open(&[&path]).unwrap();
    let notes = source.notes().to_vec();
    assert!(notes[0].starts_with(&format!("{}: column \"map\" (Map", path.display())), "{}", notes[0]);
    assert_eq!(notes.len(), 1);
    assert_eq!(take_all(&mut source, 100, 10)[0].bytes, br#"{"n":1,"s":"y"}"#);
}

/// Writers older than the mark for text leave it out.
#[test]
fn bytes_without_a_mark_are_text_where_they_are() {
    let values = || vec![Some(&b"c-1"[..]), None, Some(b"\xff\xfe"), Some(b"")];
    let expected = ["\"c-1\"", "null", "null", "\"\""];
    assert_eq!(texts(Arc::new(BinaryArray::from(values()))), expected);
    assert_eq!(texts(Arc::new(LargeBinaryArray::from(values()))), expected);
    assert_eq!(texts(Arc::new(BinaryViewArray::from_iter(values()))), expected);
}

#[test]
fn row_groups_and_codecs_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let rows = 20_000;
    let mut paths = Vec::new();
    let mut expected = Vec::new();
    for (partition, codec) in codecs.into_iter().enumerate() {
        let path = folder.path().join(format!("{partition}.parquet"));
        let ids: Vec<i64> = (0..rows).collect();
        let names: Vec<Option<String>> =
            ids.iter().map(|n| (n % 5 > 0).then(|| format!("name {}", n % 100))).collect();
        let properties =
            WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(3_333));
        let columns: Vec<(&str, ArrayRef)> =
            vec![("id", Arc::new(Int64Array::from(ids))), ("name", Arc::new(StringArray::from(names)))];
        write(&path, columns, properties.build());
        for n in 0..rows {
            let name = if n % 5 > 0 { format!("\"name {}\"", n % 100) } else { "null".to_owned() };
            let at = Position { partition: partition as u32, line: n as u64 + 1, offset: 0 };
            expected.push(Expected {
                at,
                form: Form::Row,
                bytes: format!("{{\"id\":{n},\"name\":{name}}}").into_bytes(),
            });
        }
        paths.push(path);
    }
    check_source(|| FileSource::open(&paths).unwrap(), &expected);
    let mut source = FileSource::open(&paths).unwrap();
    take_all(&mut source, 1 << 19, 1 << 10);
    assert_eq!(source.progress().0, source.progress().1);
}

#[test]
fn a_file_that_is_not_whole_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.parquet");
    let numbers: ArrayRef = Arc::new(Int64Array::from((0..50_000).collect::<Vec<_>>()));
    write(&good, vec![("n", numbers)], WriterProperties::builder().build());
    let bytes = fs::read(&good).unwrap();
    let bad = folder.path().join("bad.parquet");
    for part in [&bytes[..0], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], b"not Parquet at all"] {
        fs::write(&bad, part).unwrap();
        let error = FileSource::open(&[&good, &bad]).err().unwrap().to_string();
        assert_eq!(error, format!("{}: is not a whole Parquet file", bad.display()));
    }
}

/// Any flipped byte: records or trouble that names the file, no panic, no endless memory.
#[test]
fn flipped_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flip.parquet");
    let numbers: ArrayRef = Arc::new(Int64Array::from((0..300).map(|n| n * n % 17).collect::<Vec<_>>()));
    let texts: ArrayRef =
        Arc::new(StringArray::from((0..300).map(|n| format!("t{}", n % 9)).collect::<Vec<_>>()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(100));
    write(&path, vec![("n", numbers), ("t", texts)], properties.build());
    let bytes = fs::read(&path).unwrap();
    // As the service's own hook does it: what is caught is not printed.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !cartguard_io::panic_is_caught() {
            print(info);
        }
    }));
    for at in 0..bytes.len() {
        for flip in [0x01, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            let Ok(mut source) = FileSource::open(&[&path]) else { continue };
            let mut batch = Records::default();
            for _ in 0..1_000 {
                match source.read(&mut batch, 1 << 19, 1_000) {
                    Ok(Read::End) => break,
                    Ok(_) => {}
                    Err(trouble) => {
                        assert!(trouble.to_string().starts_with(&path.display().to_string()));
                        break;
                    }
                }
            }
        }
    }
}

fn handbook() -> Option<PathBuf> {
    let shared = std::env::var_os("CARTGUARD_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    Some(shared.join("data/handbook.parquet")).filter(|path| path.is_file())
}

#[test]
fn the_handbook_reads_whole() {
    let Some(path) = handbook() else {
        eprintln!("skipped: shared/data/handbook.parquet is absent (CARTGUARD_SHARED names the folder)");
        return;
    };
    let mut source = FileSource::open(&[&path]).unwrap();
    let mut batch = Records::default();
    let mut rows = 0;
    let mut frauds = 0;
    while source.read(&mut batch, 1 << 19, usize::MAX).unwrap() == Read::More {
        if rows == 0 {
            let first: serde_json::Value = serde_json::from_slice(batch.bytes_of(0)).unwrap();
            assert_eq!(first["tx_datetime"], "2018-04-01T00:00:31.000Z");
        }
        rows += batch.len();
        frauds += (0..batch.len()).filter(|n| batch.bytes_of(*n).ends_with(b"\"tx_fraud\":1}")).count();
    }
    assert_eq!((rows, frauds), (1_754_155, 14_681));
}
