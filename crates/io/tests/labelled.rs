//! Events and labels as one source, and a file that is followed, against the contract and against an order log.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use cartguard_engine::record::{Form, Records};
use cartguard_history::{Change, Opened, Partitions, Place, Run, Start};
use cartguard_io::contract::{Expected, check_source};
use cartguard_io::{Advice, FileSource, Labelled, Position, Read, Replayable, Source};
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
    batches_of(source, records_max, usize::MAX)
}

/// So many batches, or all up to the end.
fn batches_of(source: &mut dyn Replayable, records_max: usize, most: usize) -> Vec<Batch> {
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
        if read == Read::End || batches.len() == most {
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
                let mut source = files.open();
                source.resume(&partitions_of(&whole[..snapshot])).unwrap();
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
    // A line that was begun and taken back was never taken.
    append(&files.labels[1], "half");
    read(&[]);
    OpenOptions::new().write(true).open(&files.labels[1]).unwrap().set_len(15).unwrap();
    read(&[]);
    append(&files.labels[1], "l6\n");
    read(&["l6"]);
    // Where it was cut behind what was taken, nobody goes on as if nothing were missing.
    fs::write(&files.labels[1], "l1\n").unwrap();
    let mut partitions = Partitions::default();
    let name = files.labels[1].display().to_string();
    partitions.apply(&Change::Open(Opened::new(name, Start::Oldest))).unwrap();
    let end = Place::Row { line: 5, offset: 12 };
    partitions.advance(&Run { partition: 0, records: 5, end }).unwrap();
    let again = FileSource::open(&files.labels[1..]).unwrap().following().resume(&partitions);
    let why = again.expect_err("lines are gone").to_string();
    assert!(why.contains("up to line 5: it ends before that line"), "{why}");
}

/// What a process that follows a file says once it is no longer what was taken of it; nothing where it goes on. It may have looked behind
/// what it took before that.
fn told_of(change: impl Fn(&Path), looks: bool) -> Option<String> {
    let files = Files::new();
    let path = &files.labels[1];
    let mut source = FileSource::open(&files.labels[1..]).unwrap().following();
    let mut records = Records::default();
    assert_eq!(source.read(&mut records, 1 << 20, 100).unwrap(), Read::More);
    if looks {
        assert_eq!(source.read(&mut records, 1 << 20, 100).unwrap(), Read::Idle);
    }
    change(path);
    match source.read(&mut records, 1 << 20, 100) {
        Ok(read) => {
            assert_eq!((read, records.len()), (Read::More, 1));
            assert_eq!(records.bytes_of(0), b"l3");
            None
        }
        Err(trouble) => {
            assert!(records.is_empty() && trouble.advice() == Advice::Refuse, "{trouble}");
            Some(trouble.to_string())
        }
    }
}

/// The same check as at a start, while it runs.
#[test]
fn a_file_that_is_cut_or_replaced_while_it_is_followed_is_told() {
    let beside = |path: &Path, text: &str| {
        let other = path.with_extension("new");
        fs::write(&other, text).unwrap();
        fs::rename(&other, path).unwrap();
    };
    let same_and_more = |path: &Path| beside(path, "l1\nl2\nl3\n");
    for looks in [true, false] {
        assert_eq!(told_of(same_and_more, looks), None, "written anew, with one more");
    }
    let cut = |path: &Path| fs::write(path, "l1\n").unwrap();
    let cut_and_grown = |path: &Path| fs::write(path, "l1\nl9\nl3\n").unwrap();
    let emptied_beside = |path: &Path| beside(path, "");
    let other = |path: &Path| beside(path, "l1\nl9\nl3\n");
    let moved = |path: &Path| fs::rename(path, path.with_extension("1")).unwrap();
    for (change, why) in [
        (&cut as &dyn Fn(&Path), "has 3 bytes, and 6 were taken of it"),
        (&cut_and_grown, "has other lines than were taken"),
        (&emptied_beside, "has 0 bytes, and 6 were taken"),
        (&other, "is another file now"),
        (&moved, "is gone"),
    ] {
        for looks in [true, false] {
            let told = told_of(change, looks).expect("it is told");
            let parts =
                ["l2.jsonl: is not what was taken of it, up to line 2: ", why, "Put it back as it was"];
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }
}

/// Partitions as a history has them after everything was read.
fn read_whole(source: &mut dyn Replayable) -> Partitions {
    partitions_of(&batches(source, 100))
}

/// The same after some batches.
fn partitions_of(batches: &[Batch]) -> Partitions {
    let mut partitions = Partitions::default();
    for batch in batches {
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
    let refused = |labels: &[&PathBuf], wanted: &[&str]| {
        let why = open(labels).resume(&partitions).expect_err("other files").to_string();
        assert!(why.starts_with("labels.input: "), "{why}");
        assert!(wanted.iter().all(|part| why.contains(part)), "{why}");
    };
    refused(&[two, one], &["l1.csv was file 1 before, and is file 2 now", "new ones come behind them"]);
    refused(&[one], &["l2.jsonl was file 2 before, and is not among them now"]);
    let new = written(files.labels[0].parent().unwrap(), "l3.jsonl", &["l3"]);
    refused(&[one, &new, two], &["l2.jsonl was file 2 before, and is file 3 now"]);
    let [_, more] = &files.events;
    refused(&[one, two, more], &["e2.csv was read as a file of events before"]);
    open(&[one, two]).resume(&partitions).unwrap();
    open(&[one, two, &new]).resume(&partitions).unwrap();
    // The same from an order log without a snapshot.
    let whole = batches(&mut files.open(), 100);
    let mut source = open(&[two, one]);
    source.resume(&Partitions::default()).unwrap();
    let why = source.apply(&whole[0].changes[0]).expect_err("another order").to_string();
    assert!(why.contains("l1.csv was file 1 before"), "{why}");
}

/// What comes behind the end of a file that is not followed would never be read.
#[test]
fn a_file_that_has_more_behind_its_end_is_told() {
    for (name, lines, more) in [
        ("l.csv", &["a,b", "1,2", "\"3\n\",4"][..], "5,6\n"),
        ("quote.csv", &["a,b", "1,5\" tube"], "5,6\n"),
        ("empty.csv", &["a,b"], "5,6\n"),
        ("l.jsonl", &["l1", "l2"], "l3"),
        ("empty.jsonl", &[], "l1\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), name, lines);
        let partitions = read_whole(&mut FileSource::open(&[&path]).unwrap());
        let resumed = || FileSource::open(&[&path]).unwrap().checking_ends().resume(&partitions);
        resumed().unwrap();
        append(&path, "\r\n\n");
        resumed().unwrap();
        append(&path, more);
        let why = resumed().expect_err("more").to_string();
        assert!(why.contains(name) && why.contains("was read to its end, line "), "{why}");
        // Events are not looked at so.
        FileSource::open(&[&path]).unwrap().resume(&partitions).unwrap();
    }
}

/// A file of labels that is added behind the others is read by the next process, under the next number, and comes back so.
#[test]
fn a_file_of_labels_is_added_to_a_history() {
    let files = Files::new();
    for stands in 1..4 {
        let mut all = Vec::new();
        let [one, two] = &files.labels;
        // The first process ends somewhere in between.
        let mut first = files.open();
        let mut before = batches_of(&mut first, 2, stands);
        all.append(&mut before);
        let new = written(one.parent().unwrap(), "l3.jsonl", &["l5", "l6"]);
        let open = || {
            let labels = FileSource::open(&[one, two, &new]).unwrap();
            Labelled::new(labels, FileSource::open(&files.events).unwrap())
        };
        let mut second = open();
        second.resume(&partitions_of(&all)).unwrap();
        all.extend(batches(&mut second, 2));
        assert_eq!(records_of(&all), 10, "{stands} batches before it was added");
        let partitions = partitions_of(&all);
        let opened: Vec<_> = partitions.list().iter().map(|state| &state.opened).collect();
        let of_labels = opened.iter().filter(|opened| opened.is_labels).count();
        assert_eq!((opened.len(), of_labels), (5, 3));
        // A third takes all of it again from the order log.
        for snapshot in 0..=all.len() {
            let mut third = open();
            third.resume(&partitions_of(&all[..snapshot])).unwrap();
            for batch in &all[snapshot..] {
                for change in &batch.changes {
                    third.apply(change).unwrap();
                }
                for (run, own) in &batch.runs {
                    let mut again = Records::default();
                    third.take(run, &mut again, &|| false).unwrap();
                    assert_eq!(told(&again), told(own));
                }
            }
            assert_eq!(third.partitions(), opened.iter().map(|one| one.name.clone()).collect::<Vec<_>>());
            assert_eq!(records_of(&batches(&mut third, 2)), 0);
        }
        fs::remove_file(new).unwrap();
    }
}

/// Lines that were taken are passed by their number, and the last of them must be where it was.
#[test]
fn a_file_that_was_replaced_is_not_gone_on_with() {
    let files = Files::new();
    let partitions = |end: Place| {
        let mut partitions = Partitions::default();
        let name = files.labels[1].display().to_string();
        partitions.apply(&Change::Open(Opened::new(name, Start::Oldest))).unwrap();
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
    assert!(
        why.contains("l2.jsonl: is not what was taken of it, up to line 2: that line stands elsewhere"),
        "{why}"
    );
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
