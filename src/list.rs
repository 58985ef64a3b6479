//! `cartguard config` and `cartguard features`: what holds, in words.

use crate::cli::{ConfigArguments, say};
use crate::config::Config;
use crate::exit::Exit;
use cartguard_engine::document::{duration, duration_text};
use cartguard_engine::features::plan::Plan;
use cartguard_engine::features::spec::{Aggregate, Definition, Feature};
use cartguard_engine::schema::Schema;
use clap::{Args, ValueEnum};
use std::fmt::Write;

/// Arguments of `config`.
#[derive(Args, Debug)]
pub(crate) struct SettingsArguments {
    #[command(flatten)]
    which: ConfigArguments,
}

/// Arguments of `features`.
#[derive(Args, Debug)]
pub(crate) struct FeaturesArguments {
    #[command(flatten)]
    which: ConfigArguments,
    /// How to print them
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Print instead what a key, an entry, a span and a distinct value count for, in bytes
    #[arg(long)]
    memory: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Columns for a terminal
    Table,
    /// The tables of docs/features.md
    Markdown,
    /// A list of objects
    Json,
}

/// Prints every key, its value and its place.
pub(crate) fn config(arguments: &SettingsArguments) -> Exit {
    let loaded = match arguments.which.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let lines = loaded.effective.lines();
    let width =
        lines.iter().map(|(key, value, _)| key.len() + 3 + value.chars().count()).max().unwrap_or(0).min(60);
    let mut text = String::new();
    for (key, value, place) in lines {
        let setting = format!("{key} = {value}");
        put(&mut text, format_args!("{setting:<width$}  # {place}\n"));
    }
    say(&text)
}

/// Prints every feature.
pub(crate) fn features(arguments: &FeaturesArguments) -> Exit {
    let loaded = match arguments.which.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let config = &loaded.config;
    if arguments.memory {
        return say(&memory(config));
    }
    let rows: Vec<Row> =
        config.feature_set().features.iter().map(|feature| Row::of(feature, config.schema())).collect();
    say(&match arguments.format {
        Format::Table => table(&rows),
        Format::Markdown => markdown(&rows),
        Format::Json => json(&rows),
    })
}

/// A feature in words.
struct Row<'a> {
    feature: &'a Feature,
    entity: &'a str,
    window: String,
}

impl<'a> Row<'a> {
    fn of(feature: &'a Feature, schema: &'a Schema) -> Self {
        let Definition::Window(window) = &feature.definition else {
            return Self { feature, entity: "", window: String::new() };
        };
        let text = |ms| written(&feature.name, ms);
        let mut span = window.window_ms.map_or_else(|| "all".to_owned(), text);
        if let Aggregate::Ratio { over_ms, .. } = window.aggregate {
            put(&mut span, format_args!(" over {}", text(over_ms)));
        }
        if window.delay_ms > 0 {
            put(&mut span, format_args!(", {} ago", text(window.delay_ms)));
        }
        Self { feature, entity: &schema.entities[window.entity].name, window: span }
    }
}

/// A duration as the feature's name has it: 24h and not 1d.
fn written(name: &str, ms: i64) -> String {
    let part = name.split('_').find(|part| duration(part) == Some(ms));
    part.map_or_else(|| duration_text(ms), str::to_owned)
}

fn table(rows: &[Row<'_>]) -> String {
    let wide = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name = wide(|row| row.feature.name.len()).max(7);
    let entity = wide(|row| row.entity.len()).max(6);
    let window = wide(|row| row.window.len()).max(6);
    let unit = wide(|row| row.feature.unit.chars().count()).max(4);
    let mut text = String::new();
    put(
        &mut text,
        format_args!(
            "{:<name$}  {:<entity$}  {:<window$}  {:<unit$}  meaning\n",
            "feature", "entity", "window", "unit"
        ),
    );
    for row in rows {
        let feature = row.feature;
        put(
            &mut text,
            format_args!(
                "{:<name$}  {:<entity$}  {:<window$}  {:<unit$}  {}\n",
                feature.name, row.entity, row.window, feature.unit, feature.meaning
            ),
        );
    }
    text
}

fn markdown(rows: &[Row<'_>]) -> String {
    let mut text = String::from("| feature | entity | window | unit | meaning |\n|---|---|---|---|---|\n");
    for row in rows {
        let feature = row.feature;
        let meaning = feature.meaning.replace('|', "\\|");
        put(
            &mut text,
            format_args!(
                "| `{}` | {} | {} | {} | {meaning} |\n",
                feature.name, row.entity, row.window, feature.unit
            ),
        );
    }
    text
}

fn json(rows: &[Row<'_>]) -> String {
    let mut text = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        let feature = row.feature;
        put(&mut text, format_args!("{}\n  {{", if index > 0 { "," } else { "" }));
        let pairs = [
            ("name", feature.name.as_str()),
            ("entity", row.entity),
            ("window", &row.window),
            ("unit", &feature.unit),
            ("meaning", &feature.meaning),
            ("code", &feature.code),
            ("reason", &feature.reason.value),
            ("reason_zero", feature.reason.zero.as_ref().unwrap_or(&feature.reason.value)),
            ("reason_missing", &feature.reason.missing),
        ];
        for (at, (key, value)) in pairs.iter().enumerate() {
            put(&mut text, format_args!("{}\"{key}\": {}", if at > 0 { ", " } else { "" }, quoted(value)));
        }
        text.push('}');
    }
    text.push_str("\n]\n");
    text
}

/// As a JSON string.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            character if character < ' ' => put(&mut text, format_args!("\\u{:04x}", character as u32)),
            character => text.push(character),
        }
    }
    text.push('"');
    text
}

fn memory(config: &Config) -> String {
    let schema = config.schema();
    let plan = Plan::new(schema.clone(), config.feature_set().clone(), config.state.lateness_ms);
    let mut text = String::from("bytes that count against state.memory (docs/semantics.md, 5)\n");
    let named = |entity: usize, layer: usize| {
        let name = &schema.entities[entity].name;
        match layer {
            0 => name.clone(),
            layer if layer == plan.layers() => format!("{name}, labels"),
            layer => format!("{name}, layer {layer}"),
        }
    };
    let names = plan.memory_formula().map(|((entity, layer), _)| named(entity, layer).len());
    let name = names.max().unwrap_or(0).max(6);
    put(
        &mut text,
        format_args!(
            "{:<name$}  {:>6}  {:>6}  {:>6}  {:>14}\n",
            "entity", "key", "entry", "span", "distinct value"
        ),
    );
    for ((entity, layer), [key, entry, span, value]) in plan.memory_formula() {
        let entity = named(entity, layer);
        put(&mut text, format_args!("{entity:<name$}  {key:>6}  {entry:>6}  {span:>6}  {value:>14}\n"));
    }
    if plan.reads_labels()
        && let Some(labels) = &schema.labels
    {
        let ((event, label), all) = (plan.waiting_bytes(), labels.memory_bytes);
        let waits = if label == 0 { "that waits for its label" } else { "that is kept for labels" };
        put(&mut text, format_args!("an event {waits}: {event} bytes of labels.memory, "));
        put(&mut text, format_args!("which has room for {}\n", all / event));
        if label > 0 {
            put(
                &mut text,
                format_args!(
                    "a label until it is known: {label} bytes of labels.memory, of half of it at most\n"
                ),
            );
        }
    }
    text
}

/// Writing to a `String` cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}
