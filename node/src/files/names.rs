//! Names that others gave, made safe for a disk here: no way out of the folder, nothing a system takes for a device, nothing that reads
//! differently from what it is. A name is changed, never refused: the file is still the person's to have.

use std::collections::BTreeSet;
use std::path::PathBuf;

use conclave_protocol::swarm::manifest::Entry;

/// Longest name that is used, in bytes: most systems take 255, and ` (99)` and `.part` come on top.
const MAX_NAME: usize = 200;

/// What Windows takes for a device, whatever follows the first dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// A single safe name.
pub(crate) fn safe(name: &str) -> String {
    let mut safe: String = name.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    safe = safe.trim_end_matches(['.', ' ']).trim_start().to_owned();
    if safe.starts_with('.') {
        // Hidden where it lands; also what is left of `..`.
        safe.replace_range(..1, "_");
    }
    let stem = safe.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.chars().count() == 1 && rest.chars().all(|c| c.is_ascii_digit() || "¹²³".contains(c)))
    };
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        safe.insert(0, '_');
    }
    shorten(&mut safe);
    if safe.is_empty() { "_".to_owned() } else { safe }
}

fn is_safe(c: char) -> bool {
    let separates = matches!(c, '/' | '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*');
    // Marks, embeddings, overrides and isolates of direction (UAX #9), joiners, line separators, the byte order mark.
    let misleads =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}');
    !c.is_control() && !separates && !misleads
}

/// Keeps the ending, which tells what it is.
fn shorten(name: &mut String) {
    if name.len() <= MAX_NAME {
        return;
    }
    let ending = name.rfind('.').map(|at| name.split_off(at)).filter(|ending| ending.len() <= 16).unwrap_or_default();
    let mut end = MAX_NAME - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name.push_str(&ending);
}

/// `name`, then `name (1).ending`, `name (2).ending`, …
pub(crate) fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    match name.rfind('.').filter(|at| *at > 0) {
        Some(at) => format!("{} ({number}){}", name.get(..at).unwrap_or(name), name.get(at..).unwrap_or_default()),
        None => format!("{name} ({number})"),
    }
}

/// Safe paths for the entries of a folder, in their order: the same each time, no two alike even where case does not count, and none below
/// another.
pub(crate) fn plan(entries: &[Entry]) -> Vec<PathBuf> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut folders: BTreeSet<String> = BTreeSet::new();
    let mut planned = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut path = PathBuf::new();
        let mut key = String::new();
        let parts = entry.path.len();
        for (at, part) in entry.path.iter().enumerate() {
            let part = safe(part);
            let last = at + 1 == parts;
            let mut number = 0;
            loop {
                let name = numbered(&part, number);
                let candidate = format!("{key}/{}", name.to_lowercase());
                let free =
                    if last { !taken.contains(&candidate) && !folders.contains(&candidate) } else { !taken.contains(&candidate) };
                if free {
                    path.push(name);
                    key = candidate;
                    break;
                }
                number += 1;
            }
            if last {
                taken.insert(key.clone());
            } else {
                folders.insert(key.clone());
            }
        }
        planned.push(path);
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder_or_pass_for_another() {
        for (given, made) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "_"),
            (".", "_"),
            ("", "_"),
            (".bashrc", "_bashrc"),
            ("C:\\windows\\x", "C__windows_x"),
            ("a\0b", "a_b"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("com1.log", "_com1.log"),
            ("community", "community"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("name. . .", "name"),
            ("a\nb", "a_b"),
        ] {
            assert_eq!(safe(given), made, "{given:?}");
        }
        let long = safe(&format!("{}.tar.gz", "é".repeat(300)));
        assert!(long.len() <= MAX_NAME && long.ends_with(".gz"));
    }

    #[test]
    fn entries_never_share_a_path() {
        let entry = |path: &[&str]| Entry { path: path.iter().map(|part| (*part).to_owned()).collect(), size: 0 };
        let entries = [
            entry(&["a", "x"]),
            entry(&["A", "X"]),
            entry(&["a"]),
            entry(&["b"]),
            entry(&["b", "c"]),
            entry(&["..", "up"]),
            entry(&["a", "x"]),
        ];
        let planned = plan(&entries);
        let keys: BTreeSet<String> = planned.iter().map(|path| path.display().to_string().to_lowercase()).collect();
        assert_eq!(keys.len(), entries.len(), "{planned:?}");
        for path in &planned {
            assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{path:?}");
            // Nothing is a file and a folder at once.
            assert!(!planned.iter().any(|other| other != path && other.starts_with(path)), "{path:?} in {planned:?}");
        }
        assert_eq!(plan(&entries), planned);
    }
}
