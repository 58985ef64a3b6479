//! `cartguard dedupe`: lines of a stream that has them at least once, each once.

use crate::cli::complain;
use crate::exit::Exit;
use anyhow::Context;
use cartguard_io::dedupe::{Counts, Dedupe};
use clap::Args;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

/// Arguments of `dedupe`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Files of JSON lines, as one stream; none or -: standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ids to remember, some 60 bytes each; past it the one seen first is forgotten
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    ids: usize,
}

/// Runs it: 1 where an id came with other bytes.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    match pass(arguments) {
        Ok(counts) => {
            complain(&format!(
                "{} lines, {} passed, {} repeated, {} of a known id with other bytes\n",
                counts.lines, counts.passed, counts.repeated, counts.conflicting
            ));
            if counts.conflicting > 0 { Exit::Failed } else { Exit::Done }
        }
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::Failed
        }
    }
}

fn pass(arguments: &Arguments) -> anyhow::Result<Counts> {
    let mut dedupe = Dedupe::new(arguments.ids);
    let mut to = BufWriter::new(io::stdout().lock());
    let mut all = Counts::default();
    let standard = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard[..] } else { &arguments.files };
    for path in files {
        let name = path.display();
        let from: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).with_context(|| name.to_string())?))
        };
        let alarm = |id: &str| complain(&format!("{name}: {id} came before with other bytes\n"));
        let counts = match dedupe.pass(from, &mut to, alarm) {
            Ok(counts) => counts,
            // Whoever read the lines wants no more of them.
            Err(why) if why.kind() == ErrorKind::BrokenPipe => break,
            Err(why) => return Err(why).with_context(|| name.to_string()),
        };
        all.lines += counts.lines;
        all.passed += counts.passed;
        all.repeated += counts.repeated;
        all.conflicting += counts.conflicting;
    }
    Ok(all)
}
