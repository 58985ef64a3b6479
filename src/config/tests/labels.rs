//! `[labels]`: what fits neither the schema nor the rest, and the message that tells it.

use super::load;
use crate::config::Given;

const EVENT: &str = "[event]\nid = 'n'\ntime = 't'\namount = 'a'\ncurrency = { constant = 'EUR' }\n\
                     [event.fields]\nkind = 'kind'\n[entities]\ncard = 'card.id'\n";
const FEATURES: &str =
    "[[feature]]\nentity = 'card'\nwindows = '7d'\naggregates = 'count'\nlabel = 'fraud'\n";

/// Faults of `[labels]` behind the schema, that begin with its line 10.
#[track_caller]
fn faults(labels: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f.toml"), FEATURES).expect("written");
    let name = folder.path().join("shop.toml").display().to_string();
    let text = format!("{EVENT}[features]\nfile = 'f.toml'\n{labels}");
    let found =
        crate::config::load_text(Some((&name, &text)), &Given::default()).map_err(|refused| refused.faults);
    let at = format!("{}/", folder.path().display());
    let found: Vec<String> =
        found.err().unwrap_or_default().iter().map(|fault| fault.to_string().replace(&at, "")).collect();
    assert_eq!(found, expected, "{labels}");
}

#[test]
fn labels_that_fit() {
    faults("[labels]\ncolumn = 'fraud'\ndelay = '0s'\nmaturity = '90d'\n", &[]);
    faults("[labels]\ncolumn = 'card.fraud'\n", &[]);
}

#[test]
fn a_mapped_column_is_refused() {
    let refused = |labels: &str, column: &str, other: &str| {
        let what = format!(
            "shop.toml:13:10: labels.column: {column:?} is the label, and {other:?} is mapped too; a feature must not reach the label"
        );
        faults(labels, &[&what]);
    };
    refused("[labels]\ncolumn = 'kind'\n", "kind", "kind");
    refused("[labels]\ncolumn = 'a'\n", "a", "a");
    refused("[labels]\ncolumn = 'card'\n", "card", "card.id");
    refused("[labels]\ncolumn = 't.x'\n", "t.x", "t");
}

#[test]
fn features_of_labels_need_a_column() {
    faults(
        "",
        &[
            "f.toml:5:9: feature.label: no label is ever known; give [labels] column or input in the configuration",
        ],
    );
}

#[test]
fn values_out_of_range() {
    faults(
        "[labels]\ncolumn = 'fraud'\ndelay = '500d'\nmaturity = '0s'\nmemory = '1KiB'\n",
        &[
            "shop.toml:14:9: labels.delay: \"500d\" is out of range; from 0s to 400d",
            "shop.toml:15:12: labels.maturity: \"0s\" is out of range; from 1ms to 400d",
            "shop.toml:16:10: labels.memory: \"1KiB\" is out of range; from 64KiB to 16TiB",
        ],
    );
}

#[test]
fn maturity_without_labels() {
    let found = load("[labels]\nmaturity = '90d'\n", &[]).err().unwrap_or_default();
    assert_eq!(
        found,
        [
            "shop.toml:2:12: labels.maturity: says when an event without a label is genuine, and there are no labels; give labels.column or labels.input"
        ]
    );
}

#[test]
fn labels_of_an_input() {
    faults("[labels]\ninput = ['labels.jsonl', 'more.csv']\nmaturity = '90d'\n", &[]);
    faults("[labels]\ncolumn = 'fraud'\ninput = ['labels.jsonl']\n", &[]);
    faults(
        "[labels]\ninput = ['labels.jsonl']\nspan = '30d'\nmaturity = '31d'\n",
        &[
            "shop.toml:15:12: labels.maturity: 31d is longer than labels.span, 30d: events are not kept for so long",
        ],
    );
    faults(
        "[labels]\ncolumn = 'kind'\ninput = ['labels.jsonl']\n",
        &[
            "shop.toml:13:10: labels.column: \"kind\" is the label, and \"kind\" is mapped too; a feature must not reach the label",
        ],
    );
}

#[test]
fn a_history_keeps_labels() {
    faults("[labels]\ncolumn = 'fraud'\n[history]\nfolder = 'kept'\n", &[]);
    faults("[labels]\ninput = ['labels.jsonl']\n[history]\nfolder = 'kept'\n", &[]);
}

/// `train` takes labels beside a configuration that `run` keeps a history with.
#[test]
fn a_column_that_no_feature_looks_at_fits_a_history() {
    let loaded = load("[labels]\ncolumn = 'fraud'\n[history]\nfolder = 'kept'\n", &[]);
    assert!(loaded.is_ok(), "{:?}", loaded.err());
}
