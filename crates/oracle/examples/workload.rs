//! `cargo run --release -p cartguard-oracle --example workload -- FILE [LINES] > features.jsonl`
//!
//! One JSON array of 90 features for each accepted event of the workload's input: counts and money exactly, others as
//! the shortest text of their f32, null where missing. LINES takes a prefix of the file.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write, stdout};
use std::process::ExitCode;

use cartguard_oracle::workload::Workload;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (file, lines) = (arguments.next(), arguments.next().map_or(Ok(usize::MAX), |lines| lines.parse()));
    let (Some(file), Ok(lines)) = (file, lines) else {
        eprintln!("usage: workload FILE [LINES]");
        return ExitCode::from(2);
    };
    match write(&file, lines) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(file: &str, lines: usize) -> std::io::Result<()> {
    let mut workload = Workload::default();
    let mut out = BufWriter::new(stdout().lock());
    for line in BufReader::new(File::open(file)?).lines().take(lines) {
        if let Some(cells) = workload.line(&line?) {
            let cells = cells.map(|cell| cell.to_string());
            writeln!(out, "[{}]", cells.join(","))?;
        }
    }
    out.flush()
}
