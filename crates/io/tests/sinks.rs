//! The sinks against the contract.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use cartguard_io::contract::check_sink;
use cartguard_io::sink::stdout::StdoutSink;
use cartguard_io::{Advice, FileSink, FileSinkOptions, NullSink, Output, Sink};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

const FRESH: FileSinkOptions = FileSinkOptions { force: false, sync: true, settles: true };
const FORCED: FileSinkOptions = FileSinkOptions { force: true, sync: false, settles: false };

fn contents(folder: &Path) -> [Option<Vec<u8>>; 3] {
    ["decisions", "alerts", "rejects"].map(|name| fs::read(folder.join(format!("{name}.jsonl"))).ok())
}

#[test]
fn a_folder_holds_the_contract_fresh_and_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/out");
    let mut sink = FileSink::open(&folder, FRESH).unwrap();
    check_sink(&mut sink, || contents(&folder));
    drop(sink);

    let refused = FileSink::open(&folder, FRESH).err().unwrap().to_string();
    assert_eq!(
        refused,
        format!("{}: the folder is not empty; --force overwrites what is in it", folder.display())
    );

    // Longer contents of a run before are cut, other files are left alone.
    fs::write(folder.join("decisions.jsonl"), vec![b'x'; 20_000_000]).unwrap();
    fs::write(folder.join("summary.json"), b"{}").unwrap();
    let mut sink = FileSink::open(&folder, FORCED).unwrap();
    check_sink(&mut sink, || contents(&folder));
    assert_eq!(fs::read(folder.join("summary.json")).unwrap(), b"{}");
}

#[test]
fn overwriting_starts_in_place_and_a_run_that_ends_early_leaves_nothing_of_the_run_before() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in contents(folder.path()) {
        assert_eq!(bytes, None);
    }
    fs::write(folder.path().join("decisions.jsonl"), b"old old old\n").unwrap();
    let mut sink = FileSink::open(folder.path(), FORCED).unwrap();
    assert_eq!(contents(folder.path())[0].as_deref(), Some(b"old old old\n".as_slice()));
    sink.write(&Output { decisions: &[b"new\n"], ..Output::default() }).unwrap();
    assert_eq!(contents(folder.path())[0].as_deref(), Some(b"new\nold old\n".as_slice()));
    drop(sink);
    assert_eq!(contents(folder.path())[0].as_deref(), Some(b"new\n".as_slice()));
}

#[test]
fn stdout_delivers_the_decisions_and_a_closed_pipe_is_no_failure() {
    let (mut reader, writer) = io::pipe().unwrap();
    let taken = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let nowhere = || File::create("/dev/null").unwrap().into();
    let mut sink = StdoutSink::of(writer.into(), nowhere());
    check_sink(&mut sink, || [None, None, None]);
    drop(sink);
    assert!(taken.join().unwrap().starts_with(b"{\"decision\":1}\n{\"decision\":2}\n"));

    let (reader, writer) = io::pipe().unwrap();
    let mut sink = StdoutSink::of(writer.into(), nowhere());
    drop(reader);
    let trouble = sink.write(&Output { decisions: &[b"x\n"], ..Output::default() }).unwrap_err();
    assert_eq!(
        (trouble.advice(), trouble.to_string().as_str()),
        (Advice::Done, "stdout: closed by its reader after 0 bytes")
    );

    let (reader, writer) = io::pipe().unwrap();
    let mut sink = StdoutSink::of(nowhere(), writer.into());
    drop(reader);
    let trouble = sink.write(&Output { rejects: &[b"x\n"], ..Output::default() }).unwrap_err();
    assert_eq!(
        (trouble.advice(), trouble.to_string().as_str()),
        (Advice::Stop, "stderr: closed by its reader after 0 bytes")
    );
}

#[test]
fn stdout_and_stderr_into_files_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let [decisions, rejects] = ["out", "err"].map(|name| folder.path().join(name));
    let open = |path: &Path| File::create(path).unwrap().into();
    let mut sink = StdoutSink::of(open(&decisions), open(&rejects));
    check_sink(&mut sink, || [fs::read(&decisions).ok(), None, fs::read(&rejects).ok()]);
}

#[test]
fn null_counts() {
    let mut sink = NullSink::default();
    sink.write(&Output { batch: 0, decisions: &[b"ab", b"c"], alerts: &[b"d"], rejects: &[] }).unwrap();
    assert_eq!(sink, NullSink { decisions: 3, alerts: 1, rejects: 0 });
    check_sink(&mut sink, || [None, None, None]);
}

#[test]
fn a_failure_names_the_path_and_the_bytes() {
    // A full disk that every Linux has.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("alerts.jsonl")).unwrap();
    let mut sink = FileSink::open(folder.path(), FORCED).unwrap();
    let output = Output { batch: 0, decisions: &[b"ab\n", b"c\n"], alerts: &[b"dd\n"], rejects: &[] };
    for _ in 0..2 {
        let trouble = sink.write(&output).unwrap_err();
        let path = folder.path().join("alerts.jsonl");
        let message = format!("{}: 0 of 3 bytes could be written behind the first 0", path.display());
        assert_eq!((trouble.to_string(), trouble.advice()), (message, Advice::Retry));
        assert_eq!(trouble.source().unwrap().to_string(), "No space left on device (os error 28)");
    }
    // The batch that failed is taken back, so repeating it doubled nothing.
    assert_eq!(fs::read(folder.path().join("decisions.jsonl")).unwrap(), b"ab\nc\n");

    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();
    let refused = FileSink::open(&path.join("out"), FRESH).err().unwrap();
    assert_eq!(refused.to_string(), format!("{}: the folder cannot be made", path.join("out").display()));
}
