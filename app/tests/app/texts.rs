//! Every text that the code asks for exists in every language, no text is left over, and the values are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conclave::text::{Language, Text, displayable, initials};
use conclave_node::error::ErrorCode;

/// Keys of a language, each with the values it uses.
fn keys(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in language.source().lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, _)) = line.split_once(" =").filter(|(key, _)| !key.is_empty() && !key.starts_with(' ')) {
            current = key.to_owned();
            assert!(keys.insert(current.clone(), BTreeSet::new()).is_none(), "{}: {key} twice", language.tag());
        }
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            rest = &rest[at + 1..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            keys.get_mut(&current).unwrap().insert(name);
        }
    }
    keys
}

fn sources(dir: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("theme.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

/// Texts that the code asks for: every literal in kebab case, and every literal that is looked up.
fn used() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut used: BTreeSet<String> =
        ErrorCode::ALL.iter().map(|code| format!("error-{}", code.as_str().replace('_', "-"))).collect();
    for file in files {
        let mut before = String::new();
        for (index, part) in file.split('"').enumerate() {
            let kebab = part.contains('-') && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            let looked_up = [".t(", ".f("].iter().any(|call| before.ends_with(call));
            let name = part.starts_with(|c: char| c.is_ascii_lowercase()) && !part.ends_with('-');
            if index % 2 == 1 && name && (kebab || looked_up) {
                used.insert(part.to_owned());
            }
            before = part.to_owned();
        }
    }
    // Names of a thread and of a program are not for people.
    used.remove("conclave-node");
    used.remove("xdg-open");
    used
}

#[test]
fn every_text_exists_in_every_language_and_none_is_left_over() {
    let english = keys(Language::English);
    let used = used();
    let missing: Vec<_> = used.iter().filter(|key| !english.contains_key(*key)).collect();
    assert!(missing.is_empty(), "not in en.ftl: {missing:?}");
    let orphans: Vec<_> = english.keys().filter(|key| !used.contains(*key)).collect();
    assert!(orphans.is_empty(), "used nowhere: {orphans:?}");
    for language in Language::ALL {
        let theirs = keys(language);
        for (key, values) in &english {
            let translated = theirs.get(key).unwrap_or_else(|| panic!("{} lacks {key}", language.tag()));
            assert_eq!(translated, values, "{}: {key} uses other values", language.tag());
        }
        assert_eq!(theirs.len(), english.len(), "{} has texts of its own", language.tag());
        fluent_bundle::FluentResource::try_new(language.source().to_owned())
            .unwrap_or_else(|(_, errors)| panic!("{}: {errors:?}", language.tag()));
    }
}

#[test]
fn numbers_and_months_are_words_of_the_language() {
    let date = |language| Text::new(language).f("day-date", &[("day", 3.into()), ("month", 3.into()), ("year", "2026".into())]);
    assert_eq!(date(Language::English), "3 March 2026");
    assert_eq!(date(Language::German), "3. März 2026");
    let people = |count: i64| Text::new(Language::English).f("room-members", &[("count", count.into())]);
    assert_eq!((people(1), people(4)), ("Only you so far".into(), "4 people".into()));
}

#[test]
fn locales_find_their_language() {
    for (locale, language) in [
        ("de_CH.UTF-8", Language::German),
        ("de", Language::German),
        ("en-GB", Language::English),
        ("xx", Language::English),
        ("", Language::English),
    ] {
        assert_eq!(Language::from_locale(locale), language, "{locale}");
    }
}

#[test]
fn names_cannot_turn_the_line_around() {
    assert_eq!(displayable("Ada\u{202e}nimda\u{2066}"), "Adanimda");
    assert_eq!(initials("Ada Lovelace"), "AL");
    assert_eq!(initials("  élodie "), "É");
    assert_eq!(initials("Jean van der Berg"), "JB");
    assert_eq!(initials("…"), "");
}
