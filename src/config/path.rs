//! Paths into a record: `shipping.country` or the JSON pointer `/shipping/country`.

use cartguard_engine::document::Faults;
use cartguard_engine::document::Place;
use cartguard_engine::limits::JSON_DEPTH_MAX;
use cartguard_engine::schema::Path;

/// Reads a path, or tells what is wrong with it.
pub(super) fn path(text: &str, place: &Place, key: &str, faults: &Faults) -> Option<Path> {
    match parse(text) {
        Ok(path) => Some(path),
        Err(_) if is_indexed(text) => {
            let pointer = format!("/{}", text.replace('.', "/"));
            let what = "it leads into a list, and no single line of one can be mapped; the basket is event.items \
                        (statistics of all its lines), and a name that has brackets is a pointer";
            faults.add(place, key, format!("{text:?} is no path: {what}: {pointer:?}"));
            None
        }
        Err(what) => {
            let accepted = "write \"shipping.country\", or \"/shipping/country\" where a name has dots";
            faults.add(place, key, format!("{text:?} is no path: {what}; {accepted}"));
            None
        }
    }
}

fn parse(text: &str) -> Result<Path, &'static str> {
    let parts: Vec<String> = match text.strip_prefix('/') {
        // RFC 6901: ~1 is a slash, ~0 a tilde.
        Some(rest) => {
            rest.split('/').map(unescape).collect::<Option<_>>().ok_or("a ~ that is not ~0 or ~1")?
        }
        None => text.split('.').map(str::to_owned).collect(),
    };
    if is_indexed(text) {
        return Err("it leads into a list");
    }
    if text.is_empty() {
        return Err("it is empty");
    }
    if parts.iter().any(String::is_empty) {
        return Err("a name in it is empty");
    }
    if parts.len() >= JSON_DEPTH_MAX {
        return Err("it is deeper than a record may be");
    }
    Ok(Path(parts))
}

/// `items[0].price`, as other tools write the first line of a list.
fn is_indexed(text: &str) -> bool {
    !text.starts_with('/') && text.contains(['[', ']'])
}

fn unescape(part: &str) -> Option<String> {
    let rest = part.replace("~1", "").replace("~0", "");
    (!rest.contains('~')).then(|| part.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_pointers() {
        for (text, parts) in [
            ("event_id", vec!["event_id"]),
            ("shipping.country", vec!["shipping", "country"]),
            ("/shipping/country", vec!["shipping", "country"]),
            ("/a.b/c~1d~0e", vec!["a.b", "c/d~e"]),
            ("/a[0]/b", vec!["a[0]", "b"]),
        ] {
            assert_eq!(parse(text).expect(text).0, parts, "{text}");
        }
        for text in ["", "/", "a..b", ".a", "a.", "a[0].b", "a]", "//a", "/a~2", "/a~"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
