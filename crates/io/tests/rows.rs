//! Rows of numbers from CSV and Parquet.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampSecondArray,
};
use cartguard_io::RowReader;
use cartguard_io::rows::write::{About, RowWriter};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

fn read(path: &Path, wanted: &[&str], max_rows: usize) -> Result<Vec<Vec<f64>>, String> {
    let mut reader = RowReader::open(path, wanted).map_err(|e| e.to_string())?;
    let (mut rows, mut batch) = (Vec::new(), vec![7.0]);
    loop {
        let count = reader.read(&mut batch, max_rows).map_err(|e| e.to_string())?;
        assert_eq!(batch.len(), count * reader.width());
        if count == 0 {
            return Ok(rows);
        }
        rows.extend(batch.chunks(reader.width()).map(<[f64]>::to_vec));
    }
}

/// Rows as text, so that missing equals missing.
fn show(rows: &[Vec<f64>]) -> String {
    format!("{rows:?}")
}

#[test]
fn csv_gives_the_wanted_columns_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "id,x,y,z\na,1,0.1,\nb,, 1e300 ,true\nc,nan,-0,False\n").unwrap();
    for max_rows in [1, 2, 100] {
        let rows = read(&path, &["y", "x", "z"], max_rows).unwrap();
        assert_eq!(show(&rows), "[[0.1, 1.0, NaN], [1e300, NaN, 1.0], [-0.0, NaN, 0.0]]");
    }
    assert_eq!(RowReader::columns(&path).unwrap(), ["id", "x", "y", "z"]);
    let mut reader = RowReader::open(&path, &["y"]).unwrap();
    let mut batch = Vec::new();
    assert_eq!(reader.read_f32(&mut batch, 2).unwrap(), 2);
    assert_eq!(batch, [0.1_f32, f32::INFINITY]);

    fs::write(&path, "x,y\n1,2\n\n3\n").unwrap();
    assert_eq!(
        read(&path, &["x"], 9),
        Err(format!("{}: line 4: 1 fields, the header has 2", path.display()))
    );
    fs::write(&path, "x,y\n1,2\n3,4111111111111111x\n").unwrap();
    assert_eq!(
        read(&path, &["y"], 9),
        Err(format!("{}: line 3: column \"y\" is not a number", path.display()))
    );
}

#[test]
fn absent_columns_are_listed_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "customer.count_1d,amount\n").unwrap();
    let error =
        |wanted: &[&str]| read(&path, wanted, 1).unwrap_err().replace(&format!("{}: ", path.display()), "");
    assert_eq!(
        error(&["customer.count_1", "amount"]),
        "column is absent: \"customer.count_1\" (did you mean \"customer.count_1d\"?)"
    );
    let many: Vec<String> = (0..12).map(|n| format!("f{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let listed: Vec<String> = many[..10].iter().map(|name| format!("\"{name}\"")).collect();
    assert_eq!(error(&many), format!("columns are absent: {} and 2 more", listed.join(", ")));
    let path = folder.path().join("a.jsonl");
    let refused = "rows are read from .csv (also with .gz or .zst behind it) or .parquet";
    assert_eq!(read(&path, &["x"], 1), Err(format!("{}: {refused}", path.display())));
}

#[test]
fn parquet_gives_the_wanted_columns_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("f64", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(-3), None]))),
        ("bool", Arc::new(BooleanArray::from(vec![true, false]))),
        ("dec", Arc::new(Decimal128Array::from(vec![1_234, -5]).with_precision_and_scale(10, 2).unwrap())),
        ("text", Arc::new(StringArray::from(vec!["1.5", "x"]))),
        ("time", Arc::new(TimestampSecondArray::from(vec![1, 2]))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for max_rows in [1, 100] {
        let rows = read(&path, &["dec", "f32", "f64", "i64", "bool", "f32"], max_rows).unwrap();
        let f32 = f64::from(0.1_f32);
        assert_eq!(
            show(&rows),
            format!("[[12.34, {f32}, 0.1, -3.0, 1.0, {f32}], [-0.05, NaN, NaN, NaN, 0.0, NaN]]")
        );
    }
    let error =
        |wanted: &[&str]| read(&path, wanted, 1).unwrap_err().replace(&format!("{}: ", path.display()), "");
    assert_eq!(error(&["text"]), "row 2: column \"text\" is not a number");
    assert_eq!(error(&["time"]), "column \"time\" (Timestamp(s)) is not of numbers");
    assert_eq!(error(&["f65"]), "column is absent: \"f65\" (did you mean \"f64\"?)");
}

fn about(at: i64, label: Option<(bool, i64)>) -> About<'static> {
    About { event_id: "a", time_ms: at, amount: 1.5, currency: "EUR", label }
}

#[test]
fn rows_that_are_written_are_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.parquet");
    let names = ["x".to_owned(), "y".to_owned()];
    let mut writer = RowWriter::create(&path, &names, false).expect("a file");
    // More than a group of rows.
    for at in 0..70_000 {
        let label = [None, Some((true, at)), Some((false, at))][at as usize % 3];
        writer.push(&about(at, label), &[at as f32, f32::NAN]).expect("a row");
    }
    assert!(!path.exists(), "it has its name before it is whole");
    writer.finish().expect("whole");
    let mut reader = RowReader::open(&path, &["label", "y", "x", "event_amount"]).expect("rows");
    let mut rows = Vec::new();
    assert_eq!(reader.read(&mut rows, 100_000).expect("rows"), 70_000);
    for (at, row) in rows.chunks_exact(4).enumerate() {
        let label = [f64::NAN, 1.0, 0.0][at % 3];
        assert!(row[0] == label || (row[0].is_nan() && label.is_nan()), "row {at}: {row:?}");
        assert!(row[1].is_nan() && row[2] == at as f64 && row[3] == 1.5, "row {at}: {row:?}");
    }
    let columns = RowReader::columns(&path).expect("columns");
    assert_eq!(
        columns,
        ["event_id", "event_time", "event_amount", "event_currency", "label", "label_known_at", "x", "y"]
    );
}

#[test]
fn rows_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.parquet");
    let names = ["x".to_owned()];
    let mut writer = RowWriter::create(&path, &names, false).expect("a file");
    writer.push(&about(1, None), &[1.0]).expect("a row");
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    fs::write(&path, "mine").expect("written");
    let fault = RowWriter::create(&path, &names, false).err().expect("refused").to_string();
    assert!(fault.contains("rows.parquet: exists; --force replaces it"), "{fault}");
    RowWriter::create(&path, &names, true).expect("forced").finish().expect("whole");
    let fault = RowWriter::create(&path, &["label".to_owned()], true).err().expect("refused").to_string();
    assert!(fault.contains("a feature is called \"label\""), "{fault}");
}
