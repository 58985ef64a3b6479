//! Whether a table has the columns that a configuration maps, told when it is opened.
//!
//! files -> **columns**
//!
//! Without a required one every row would be a reject, without an optional one its features would be missing throughout; most
//! often a name is written otherwise. Not here: JSON, whose records may each have other members.

use crate::Trouble;
use cartguard_engine::document::did_you_mean;
use std::fmt::Write as _;
use std::path::Path;

/// What a configuration maps.
#[derive(Clone, Debug, Default)]
pub struct Mapped {
    /// Without these no record is an event.
    pub required: Vec<MappedPath>,
    pub optional: Vec<MappedPath>,
}

/// One path, and the key that maps it.
#[derive(Clone, Debug)]
pub struct MappedPath {
    /// Dotted, as `entities.card`.
    pub key: String,
    /// Member by member.
    pub path: Vec<String>,
    /// It is a time that is written as a number, of a declared unit.
    pub is_number_of_time: bool,
}

impl Mapped {
    /// Refuses a table of which a column holds times where numbers are to be times.
    pub(crate) fn check_times(
        &self,
        file: &Path,
        is_time: impl Fn(&[String]) -> bool,
    ) -> Result<(), Trouble> {
        let mut numbers =
            self.required.iter().chain(&self.optional).filter(|mapped| mapped.is_number_of_time);
        match numbers.find(|mapped| is_time(&mapped.path)) {
            Some(MappedPath { key, path, .. }) => Err(Trouble::refused(
                file,
                format_args!(
                    "column \"{}\" holds times: {key} has a unit, which is for numbers; leave it out",
                    path.join(".")
                ),
            )),
            None => Ok(()),
        }
    }

    /// Refuses a table that lacks what is required; a warning where it lacks something else. `has` knows what lies in columns.
    pub(crate) fn check(
        &self,
        file: &Path,
        names: &[String],
        has: impl Fn(&[String]) -> bool,
    ) -> Result<Option<String>, Trouble> {
        // A column that is mapped already is not what a name was meant to be.
        let taken: Vec<String> =
            self.required.iter().chain(&self.optional).map(|mapped| mapped.path.join(".")).collect();
        let free = || names.iter().filter(|name| !taken.contains(name)).map(String::as_str);
        let absent = |list: &[MappedPath]| {
            let mut text = String::new();
            let mut told: Vec<&[String]> = Vec::new();
            for mapped in list.iter().filter(|mapped| !has(&mapped.path)) {
                if told.contains(&mapped.path.as_slice()) {
                    continue;
                }
                told.push(&mapped.path);
                let dotted = mapped.path.join(".");
                let hint = if mapped.path.len() > 1 && names.contains(&dotted) {
                    format!("; the column of that name is mapped as \"/{dotted}\"")
                } else {
                    did_you_mean(&dotted, free())
                };
                let comma = if text.is_empty() { "" } else { ", " };
                // Writing to a String cannot fail.
                let _ = write!(text, "{comma}\"{dotted}\" ({}{hint})", mapped.key);
            }
            text
        };
        let required = absent(&self.required);
        if !required.is_empty() {
            let hint = separator_hint(names);
            return Err(Trouble::refused(file, format_args!("mapped columns are absent: {required}{hint}")));
        }
        let optional = absent(&self.optional);
        let warning = format!(
            "{}: mapped columns are absent, and what needs them is missing: {optional}",
            file.display()
        );
        Ok((!optional.is_empty()).then_some(warning))
    }
}

/// A table of one column whose name looks like a row of names.
fn separator_hint(names: &[String]) -> String {
    let [name] = names else { return String::new() };
    let found = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];
    let found = found.iter().find(|(separator, _)| name.contains(*separator));
    found.map_or_else(String::new, |(_, separators)| {
        format!(
            "; its one column is \"{}\": columns are parted by commas, not {separators}",
            name.escape_debug()
        )
    })
}
