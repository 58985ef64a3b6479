//! Find a model's features among those that the engine computes.
//!
//! manifest -> **`plan_names`** -> the engine's `Scorer`
//!
//! Holds: features are matched by name alone, so their order in the features file does not matter; what is absent
//! is told all at once, as a table.
//! Not here: what a feature means: two features of one name are taken for the same.

use std::collections::HashMap;
use std::fmt::Write;

/// Rows of the table before it says how many more there are.
const LISTED_MAX: usize = 40;

/// For each of the model's features the plan's, or a table of those that the plan lacks.
pub(super) fn find<'a>(
    model: &[String],
    plan: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<usize>, String> {
    let places: HashMap<&str, usize> = plan.clone().enumerate().map(|(at, name)| (name, at)).collect();
    let mut found = Vec::with_capacity(model.len());
    let mut absent = Vec::new();
    for (at, name) in model.iter().enumerate() {
        match places.get(name.as_str()) {
            Some(place) => found.push(*place),
            None => absent.push((at, name.as_str())),
        }
    }
    if absent.is_empty() { Ok(found) } else { Err(table(&absent, model.len(), plan)) }
}

fn table<'a>(absent: &[(usize, &str)], count: usize, plan: impl Iterator<Item = &'a str> + Clone) -> String {
    let listed = &absent[..absent.len().min(LISTED_MAX)];
    let wide = listed.iter().map(|(_, name)| name.len()).max().unwrap_or(0).max(17);
    let mut text = format!(
        "{} of the model's {count} features are not in the features file ({} features)\n  {:>5}  {:<wide$}  in the \
         features file",
        absent.len(),
        plan.clone().count(),
        "place",
        "the model reads",
    );
    for (at, name) in listed {
        let near = match nearest(name, plan.clone()) {
            Some(near) => format!("absent; did you mean {near}?"),
            None => "absent".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {:>5}  {name:<wide$}  {near}", at + 1);
    }
    if absent.len() > listed.len() {
        let _ = write!(text, "\n  and {} more", absent.len() - listed.len());
    }
    text
}

/// The most similar name, where it is similar at all.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best =
        names.map(|name| (strsim::jaro_winkler(name, wanted), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    // 0.85: as for columns of rows; "card.count_1h" and "card.count_10m" are above, "count" and "amount" below.
    best.filter(|(likeness, _)| *likeness >= 0.85).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn features_are_found_by_name_in_any_order() {
        let plan = ["a", "b", "c"];
        assert_eq!(find(&names(&["c", "a"]), plan.iter().copied()), Ok(vec![2, 0]));
        assert_eq!(find(&[], plan.iter().copied()), Ok(vec![]));
    }

    #[test]
    fn what_is_absent_is_told_at_once_with_the_nearest() {
        let plan = ["amount", "card.count_1h"];
        let table =
            find(&names(&["card.count_1hr", "amount", "zzz"]), plan.iter().copied()).expect_err("absent");
        assert!(table.starts_with("2 of the model's 3 features are not in the features file (2 features)\n"));
        assert!(table.contains("    1  card.count_1hr     absent; did you mean card.count_1h?\n"), "{table}");
        assert!(table.ends_with("    3  zzz                absent"), "{table}");
    }

    #[test]
    fn a_long_table_ends() {
        let model: Vec<String> = (0..100).map(|at| format!("f{at}")).collect();
        let table = find(&model, std::iter::empty()).expect_err("absent");
        assert_eq!(table.lines().count(), LISTED_MAX + 3);
        assert!(table.ends_with("and 60 more"));
    }
}
