//! Events and labels as one source, and a file that is followed, against the contract and against an order log.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use cartguard_engine::record::{Form, Records};
use cartguard_history::{Change, Opened, Partitions, Place, Run, Start};
use cartguard_io::contract::{Expected, check_source};
use cartguard_io::{FileSource, Labelled, Position, Read, Replayable, Source};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

fn written(folder: &Path, name: &str, lines: &[&str]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    path
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Some labels in two files, and events in two more.
struct Files {
    _folder: tempfile::TempDir,
    labels: [PathBuf; 2],
    events: [PathBuf; 2],
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = |name: &str, lines: &[&str]| written(folder.path(), name, lines);
        let labels = [name("l1.csv", &["a,b", "1,2", "3,4"]), name("l2.jsonl", &["l1", "l2"])];
        let events = [name("e1.jsonl", &["e1", "e2", "e3"]), name("e2.csv", &["a,b", "5,6"])];
        Self { _folder: folder, labels, events }
    }

    fn open(&self) -> Labelled<FileSource, FileSource> {
        let labels = FileSource::open(&self.labels).unwrap().following();
        Labelled::new(labels, FileSource::open(&self.events).unwrap())
    }
}

fn label(is_row: bool) -> Form {
    Form::Label { is_row }
}

#[test]
fn labels_come_first_and_are_said_to_be_labels() {
    let files = Files::new();
    let record = |partition, line, offset, form, text: &str| Expected {
        at: Position { partition, line, offset },
        form,
        bytes: text.as_bytes().to_vec(),
    };
    let open = || {
        let labels = FileSource::open(&files.labels).unwrap();
        Labelled::new(labels, FileSource::open(&files.events).unwrap())
    };
    let expected = [
        record(0, 2, 4, label(true), "{\"a\":\"1\",\"b\":\"2\"}"),
        record(0, 3, 8, label(true), "{\"a\":\"3\",\"b\":\"4\"}"),
        record(1, 1, 0, label(false), "l1"),
        record(1, 2, 3, label(false), "l2"),
        record(2, 1, 0, Form::Json, "e1"),
        record(2, 2, 3, Form::Json, "e2"),
        record(2, 3, 6, Form::Json, "e3"),
        record(3, 2, 4, Form::Row, "{\"a\":\"5\",\"b\":\"6\"}"),
    ];
    check_source(open, &expected);
    let names: Vec<String> =
        files.labels.iter().chain(&files.events).map(|path| path.display().to_string()).collect();
    assert_eq!(open().partitions(), names);
}

/// A batch as an order log has it, and its records run by run.
struct Batch {
    changes: Vec<Change>,
    runs: Vec<(Run, Records)>,
}

/// Everything up to the end.
fn batches(source: &mut dyn Replayable, records_max: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut records = Records::default();
    loop {
        let read = source.read(&mut records, 1 << 20, records_max).unwrap();
        let mut batch = Batch { changes: source.changes(), runs: Vec::new() };
        let mut first = 0;
        for metas in records.list.chunk_by(|one, next| one.partition == next.partition) {
            let mut own = Records::default();
            for (at, meta) in (first..).zip(metas) {
                own.push(records.bytes_of(at), *meta);
            }
            first += metas.len();
            let end = Place::from(records.place_of(first - 1));
            let run = Run { partition: metas[0].partition, records: metas.len() as u32, end };
            batch.runs.push((run, own));
        }
        batches.push(batch);
        if read == Read::End {
            return batches;
        }
    }
}

fn records_of(batches: &[Batch]) -> usize {
    batches.iter().flat_map(|batch| &batch.runs).map(|(_, own)| own.len()).sum()
}

fn told(records: &Records) -> Vec<(u32, Form, &[u8])> {
    let all = records.list.iter().enumerate();
    all.map(|(at, meta)| (meta.partition, meta.form, records.bytes_of(at))).collect()
}

/// Wherever a process ended, the next one takes what was bound from the same places, and goes on behind it.
#[test]
fn what_was_bound_is_taken_again_and_nothing_twice() {
    let files = Files::new();
    for records_max in [1, 2, 100] {
        let whole = batches(&mut files.open(), records_max);
        assert_eq!(records_of(&whole), 8);
        for snapshot in 0..=whole.len() {
            for bound in snapshot..=whole.len() {
                let mut partitions = Partitions::default();
                for batch in &whole[..snapshot] {
                    for change in &batch.changes {
                        partitions.apply(change).unwrap();
                    }
                    for (run, _) in &batch.runs {
                        partitions.advance(run).unwrap();
                    }
                }
                let mut source = files.open();
                source.resume(&partitions).unwrap();
                for batch in &whole[snapshot..bound] {
                    for change in &batch.changes {
                        source.apply(change).unwrap();
                    }
                    for (run, own) in &batch.runs {
                        let mut again = Records::default();
                        source.take(run, &mut again, &|| false).unwrap();
                        assert_eq!(told(&again), told(own));
                    }
                }
                let rest = batches(&mut source, records_max);
                assert_eq!(
                    records_of(&rest),
                    records_of(&whole[bound..]),
                    "{records_max} a read, snapshot at {snapshot}, log up to {bound}"
                );
            }
        }
    }
}

#[test]
fn a_file_that_grows_gives_a_line_once_its_end_is_there() {
    let files = Files::new();
    let mut source = FileSource::open(&files.labels[1..]).unwrap().following();
    let mut records = Records::default();
    let mut read = |wanted: &[&str]| {
        let read = source.read(&mut records, 1 << 20, 100).unwrap();
        let lines: Vec<&str> =
            (0..records.len()).map(|at| std::str::from_utf8(records.bytes_of(at)).unwrap()).collect();
        assert_eq!(lines, wanted);
        assert_eq!(read, if wanted.is_empty() { Read::Idle } else { Read::More });
    };
    read(&["l1", "l2"]);
    read(&[]);
    append(&files.labels[1], "l3\nl");
    read(&["l3"]);
    read(&[]);
    append(&files.labels[1], "4");
    read(&[]);
    append(&files.labels[1], "\nl5\n");
    read(&["l4", "l5"]);
    read(&[]);
    // Where it was cut behind what was taken, nobody goes on as if nothing were missing.
    fs::write(&files.labels[1], "l1\n").unwrap();
    let mut partitions = Partitions::default();
    let name = files.labels[1].display().to_string();
    partitions.apply(&Change::Open(Opened { name, start: Start::Oldest, parents: Vec::new() })).unwrap();
    let end = Place::Row { line: 5, offset: 12 };
    partitions.advance(&Run { partition: 0, records: 5, end }).unwrap();
    let again = FileSource::open(&files.labels[1..]).unwrap().following().resume(&partitions);
    let why = again.expect_err("lines are gone").to_string();
    assert!(why.contains("ends before line 5"), "{why}");
}

/// Partitions as a history has them after everything was read.
fn read_whole(source: &mut dyn Replayable) -> Partitions {
    let mut partitions = Partitions::default();
    for batch in batches(source, 100) {
        for change in &batch.changes {
            partitions.apply(change).unwrap();
        }
        for (run, _) in &batch.runs {
            partitions.advance(run).unwrap();
        }
    }
    partitions
}

#[test]
fn other_files_of_labels_than_before_are_refused() {
    let files = Files::new();
    let partitions = read_whole(&mut files.open());
    let open = |labels: &[&PathBuf]| {
        Labelled::new(FileSource::open(labels).unwrap(), FileSource::open(&files.events).unwrap())
    };
    let [one, two] = &files.labels;
    let why = open(&[two, one]).resume(&partitions).expect_err("another order").to_string();
    assert!(why.contains("labels.input: ") && why.contains("l2.jsonl stands where"), "{why}");
    let [_, more] = &files.events;
    let why = open(&[one, two, more]).resume(&partitions).expect_err("one more, behind which events came");
    assert!(why.to_string().contains("labels.input: "), "{why}");
    open(&[one, two]).resume(&partitions).unwrap();
}

/// Lines that were taken are passed by their number, and the last of them must be where it was.
#[test]
fn a_file_that_was_replaced_is_not_gone_on_with() {
    let files = Files::new();
    let partitions = |end: Place| {
        let mut partitions = Partitions::default();
        let name = files.labels[1].display().to_string();
        partitions.apply(&Change::Open(Opened { name, start: Start::Oldest, parents: Vec::new() })).unwrap();
        partitions.advance(&Run { partition: 0, records: 2, end }).unwrap();
        partitions
    };
    let resumed = || {
        let mut source = FileSource::open(&files.labels[1..]).unwrap().following();
        source.resume(&partitions(Place::Row { line: 2, offset: 3 }))
    };
    resumed().unwrap();
    fs::write(&files.labels[1], "another one\nl2\nl3\n").unwrap();
    let why = resumed().expect_err("another file under the name").to_string();
    assert!(why.contains("l2.jsonl: has another line 2 than was read of it before"), "{why}");
}

/// A source that is asked to go on until it may end, and says whether it was.
struct Asked(FileSource, bool);

impl Source for Asked {
    fn partitions(&self) -> &[String] {
        self.0.partitions()
    }

    fn read(
        &mut self,
        into: &mut Records,
        max_bytes: usize,
        max_records: usize,
    ) -> Result<Read, cartguard_io::Trouble> {
        self.0.read(into, max_bytes, max_records)
    }

    fn position(&self) -> Position {
        self.0.position()
    }
}

impl Replayable for Asked {
    fn identity(&self) -> String {
        self.0.identity()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), cartguard_io::Trouble> {
        self.0.resume(taken)
    }

    fn take(
        &mut self,
        run: &Run,
        into: &mut Records,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), cartguard_io::Trouble> {
        self.0.take(run, into, is_over)
    }

    fn apply(&mut self, change: &Change) -> Result<(), cartguard_io::Trouble> {
        self.0.apply(change)
    }

    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), cartguard_io::Trouble> {
        self.1 = is_over();
        Ok(())
    }
}

/// A stream behind labels looks at its retention when it is told to, with whoever may end that.
#[test]
fn the_source_of_events_is_told_to_go_on() {
    let files = Files::new();
    let events = Box::new(Asked(FileSource::open(&files.events).unwrap(), false));
    let mut source = Labelled::new(FileSource::open(&files.labels).unwrap(), events);
    source.go_on(&|| true).unwrap();
    assert!(source.events().1);
}
