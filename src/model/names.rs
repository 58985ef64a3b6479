//! Names: a model's from its path, its features' from a file.
//!
//! path -> **names** -> `folder`, `import`
//!
//! Holds: a name and a version are of `A-Z a-z 0-9 . _ -` and do not begin with a dot; feature names are not
//! empty and occur once.

use super::fault::Fault;
use super::files;
use std::collections::HashMap;
use std::path::{Component, Path};

/// `NAME/VERSION`, the last two parts of the path of a model folder.
pub(super) fn of_folder(path: &Path) -> Result<String, Fault> {
    let whole = std::path::absolute(path).map_err(|cause| Fault::world(path, "is no path", cause))?;
    if let Some(parts) = last_two(&whole) {
        return checked(path, parts);
    }
    // It ends in `..`: the folder itself knows better, where there is one.
    let real = whole.canonicalize().map_err(|cause| Fault::world(path, "cannot be read", cause))?;
    match last_two(&real) {
        Some(parts) => checked(path, parts),
        None => Err(Fault::refused(path, "a model folder is called NAME/VERSION, as in models/demo/1")),
    }
}

fn last_two(path: &Path) -> Option<[&str; 2]> {
    let mut parts = path.components().rev();
    match (parts.next()?, parts.next()?) {
        (Component::Normal(version), Component::Normal(name)) => {
            // What is not UTF-8 has no valid name either.
            Some([name.to_str().unwrap_or("\u{fffd}"), version.to_str().unwrap_or("\u{fffd}")])
        }
        _ => None,
    }
}

fn checked(path: &Path, [name, version]: [&str; 2]) -> Result<String, Fault> {
    for (what, text) in [("name", name), ("version", version)] {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.starts_with('.') || !text.bytes().all(good) {
            let what = format_args!(
                "the model's {what} would be `{text}`; a folder is called NAME/VERSION, each of A-Z, a-z, 0-9, \
                 `.`, `_` and `-`, not beginning with `.`"
            );
            return Err(Fault::refused(path, what));
        }
    }
    Ok(format!("{name}/{version}"))
}

/// Feature names, one a line.
pub(super) fn of_file(path: &Path) -> Result<Vec<String>, Fault> {
    let text = files::read_text(path, files::TEXT_BYTES_MAX)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    check_features(&names)
        .map_err(|(at, what)| Fault::refused(path, format_args!("line {}: {what}", at + 1)))?;
    Ok(names)
}

/// Where a name is empty or comes again, its place and what is wrong.
pub(super) fn check_features(names: &[String]) -> Result<(), (usize, String)> {
    let mut seen = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err((at, "the name of a feature is empty".to_owned()));
        }
        if let Some(before) = seen.insert(name, at) {
            return Err((at, format!("`{name}` is feature {} already", before + 1)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_by_the_last_two_parts_of_its_path() {
        for (path, name) in [
            ("models/demo/1", "demo/1"),
            ("models/demo/1/", "demo/1"),
            ("/a/b/fraud_2.1/2026-11-24", "fraud_2.1/2026-11-24"),
            ("models/demo/./1/.", "demo/1"),
        ] {
            assert_eq!(of_folder(Path::new(path)).expect(path), name);
        }
    }

    #[test]
    fn other_letters_are_refused() {
        for path in ["models/de mo/1", "models/demo/ä", "models/demo/.1", "models/a:b/1"] {
            let message = of_folder(Path::new(path)).expect_err(path).to_string();
            assert!(message.starts_with(path) && message.contains("NAME/VERSION"), "{message}");
        }
        assert!(of_folder(Path::new("/")).is_err());
    }

    #[test]
    fn a_feature_is_named_once() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_features(&names(&["a", "b"])), Ok(()));
        assert_eq!(check_features(&names(&["a", "b", "a"])), Err((2, "`a` is feature 1 already".to_owned())));
        assert_eq!(check_features(&names(&["a", ""])).map_err(|fault| fault.0), Err(1));
    }
}
