//! Rows of numbers from CSV.
//!
//! split -> **text** -> rows
//!
//! Holds: a row that cannot be read is trouble, since a score left out would shift all that follow.

use super::number;
use crate::Trouble;
use crate::source::csv::split::{Fault, Next, Row, Splitter};
use std::path::{Path, PathBuf};

pub(super) struct Text {
    path: PathBuf,
    rows: Splitter,
    row: Row,
    names: Vec<String>,
    indices: Vec<usize>,
}

impl Text {
    pub(super) fn new(path: &Path, rows: Splitter, names: Vec<String>, indices: Vec<usize>) -> Self {
        Self { path: path.to_path_buf(), rows, row: Row::default(), names, indices }
    }

    pub(super) fn read(&mut self, into: &mut Vec<f64>, max_rows: usize) -> Result<usize, Trouble> {
        let mut rows = 0;
        while rows < max_rows {
            match self.rows.next(&mut self.row, true) {
                Ok(Next::Row) => {}
                Ok(Next::Wait) => continue,
                Ok(Next::End) => break,
                Err(cause) => return Err(self.refuse("cannot be read on").because(cause)),
            }
            self.push_row(into)?;
            self.rows.take(&self.row);
            rows += 1;
        }
        Ok(rows)
    }

    fn push_row(&self, into: &mut Vec<f64>) -> Result<(), Trouble> {
        let (fields, columns) = (self.row.len(), self.names.len());
        match self.row.fault() {
            Some(Fault::TooLong) => return Err(self.refuse("longer than a record may be")),
            Some(Fault::Quotes) => return Err(self.refuse("quotes do not match")),
            None if fields != columns => {
                return Err(self.refuse(&format!("{fields} fields, the header has {columns}")));
            }
            None => {}
        }
        for index in &self.indices {
            let value = number(self.row.field(*index));
            let name = &self.names[*index];
            into.push(value.ok_or_else(|| self.refuse(&format!("column \"{name}\" is not a number")))?);
        }
        Ok(())
    }

    fn refuse(&self, what: &str) -> Trouble {
        Trouble::at(&self.path, format_args!("line {}: {what}", self.rows.line()))
    }
}
