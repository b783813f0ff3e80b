//! Holds docs/AUTOMATION.md against the code: what exists is there, and what is there exists.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::json::{self, Ask, Line};
use crate::command::{Command, Reply};
use crate::error::ErrorCode;
use crate::event::{Event, LeaveReason};
use crate::view::{FileState, LinkState, MediaKind, QualityView, RoleView, SessionPhase, StreamKind};

const PAGE: &str = include_str!("../../../docs/AUTOMATION.md");

/// The example lines, each with the title of its section.
fn lines() -> Vec<(&'static str, &'static str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("### `").and_then(|title| title.strip_suffix('`')) {
            section = title;
        } else if line.starts_with("## ") {
            section = "";
        } else if line.starts_with('{') {
            found.push((section, line));
        }
    }
    found
}

/// The text of a section of a chapter, without its examples. A command and an event may share a name.
fn text_of(chapter: &str, title: &str) -> String {
    let page = &PAGE[PAGE.find(chapter).unwrap()..];
    let start = page.find(&format!("### `{title}`\n")).unwrap_or_else(|| panic!("no section on {title}"));
    let rest = &page[start + 4..];
    let end = rest.find("\n#").unwrap_or(rest.len());
    rest[..end].lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

/// What serde calls the variants of an enum: it lists them when it meets one that it does not know.
fn variants<T: DeserializeOwned + std::fmt::Debug>(unknown: Value) -> BTreeSet<String> {
    let message = serde_json::from_value::<T>(unknown).unwrap_err().to_string();
    let listed = message.split("expected").nth(1).unwrap_or_else(|| panic!("{message}"));
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn without_version(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).unwrap();
    assert_eq!(value.as_object_mut().unwrap().remove("v"), Some(json!(json::VERSION)), "{line}");
    value
}

fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            keys(value, into);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, into)),
        _ => {}
    }
}

#[test]
fn every_command_is_described_with_all_its_fields() {
    let mut shown = BTreeSet::new();
    for (section, line) in lines().into_iter().filter(|(_, line)| line.contains(r#""cmd":"#)) {
        let ask = Line::parse(line.as_bytes()).unwrap().ask.unwrap_or_else(|error| panic!("{line}: {error}"));
        let value = match &ask {
            Ask::Node(command) => serde_json::to_value(command).unwrap(),
            Ask::Events { on } => json!({"cmd": "events", "on": on}),
        };
        let name = value["cmd"].as_str().unwrap().to_owned();
        if section.is_empty() {
            continue;
        }
        assert_eq!(section, name);
        // All fields are in the example, defaults too.
        let mut example = without_version(line);
        example.as_object_mut().unwrap().remove("id");
        assert_eq!(example, value, "{line}");
        let text = text_of("## Commands", section);
        for key in value.as_object().unwrap().keys().filter(|key| *key != "cmd") {
            assert!(text.contains(&format!("- `{key}`: ")), "`{key}` of {section}");
        }
        shown.insert(name);
    }
    let mut known = variants::<Command>(json!({"cmd": "?"}));
    known.insert("events".to_owned());
    assert_eq!(shown, known);
}

#[test]
fn every_event_is_described_with_all_its_fields() {
    let mut shown = BTreeSet::new();
    for (section, line) in lines().into_iter().filter(|(_, line)| line.contains(r#""event":"#)) {
        let value = without_version(line);
        let event: Event = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(serde_json::to_value(&event).unwrap(), value, "{line}");
        assert_eq!(json::event(&event), line, "the order of the fields");
        assert_eq!(value["event"], section);
        let text = text_of("## Events", section);
        for key in value.as_object().unwrap().keys().filter(|key| *key != "event") {
            assert!(text.contains(&format!("- `{key}`: ")), "`{key}` of {section}");
        }
        shown.insert(section.to_owned());
    }
    assert_eq!(shown, variants::<Event>(json!({"event": "?"})));
}

/// A new answer does not compile here until it has a name, and does not pass until the page shows it.
fn name_of(reply: &Reply) -> &'static str {
    match reply {
        Reply::Room { .. } => "room",
        Reply::Rooms { .. } => "rooms",
        Reply::Invite { .. } => "invite",
        Reply::Joining { .. } => "joining",
        Reply::Hearing { .. } => "hearing",
        Reply::Spoken { .. } => "spoken",
        Reply::Message { .. } => "message",
        Reply::Messages { .. } => "messages",
        Reply::Profile { .. } => "profile",
        Reply::State { .. } => "state",
        Reply::Devices { .. } => "devices",
        Reply::Peers { .. } => "peers",
        Reply::Diagnosis { .. } => "diagnosis",
        Reply::OwnDevices { .. } => "own_devices",
        Reply::Code { .. } => "code",
        Reply::Backup { .. } => "backup",
        Reply::File { .. } => "file",
        Reply::Files { .. } => "files",
        Reply::Setting { .. } => "value",
        Reply::Sound { .. } => "sound",
        Reply::Verification { .. } => "verification",
        Reply::Team { .. } => "team",
        Reply::Board { .. } => "board",
        Reply::BoardPage { .. } => "board_page",
        Reply::BoardPicture { .. } => "board_picture",
        Reply::BoardMoments { .. } => "moments",
        Reply::Done {} => "",
    }
}

#[test]
fn every_answer_is_described() {
    let mut shown = BTreeSet::new();
    for (_, line) in lines().into_iter().filter(|(_, line)| line.contains(r#""ok":"#)) {
        let value = without_version(line);
        let ok = &value["ok"];
        if ok == &json!({}) {
            shown.insert(name_of(&Reply::Done {}));
            continue;
        }
        let reply: Reply = serde_json::from_value(ok.clone()).unwrap();
        assert_eq!(&serde_json::to_value(&reply).unwrap(), ok, "{line}");
        assert!(ok.get(name_of(&reply)).is_some(), "{line}");
        shown.insert(name_of(&reply));
    }
    let all = [
        "room",
        "rooms",
        "own_devices",
        "code",
        "backup",
        "invite",
        "joining",
        "hearing",
        "spoken",
        "message",
        "messages",
        "profile",
        "state",
        "devices",
        "peers",
        "diagnosis",
        "file",
        "files",
        "value",
        "sound",
        "verification",
        "team",
        "board",
        "board_page",
        "board_picture",
        "moments",
        "",
    ];
    assert_eq!(shown, all.into_iter().collect());
}

#[test]
fn every_error_code_is_listed_with_its_exit_code() {
    let rows = PAGE.split("## Error codes").nth(1).unwrap().lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<(String, u8)> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].parse().unwrap())
        })
        .collect();
    let known = ErrorCode::ALL.iter().map(|code| (code.as_str().to_owned(), code.exit_code())).collect();
    assert_eq!(listed, known);
    for (_, line) in lines().into_iter().filter(|(_, line)| line.contains(r#""error":{"#)) {
        let code = line.split(r#""code":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(listed.iter().any(|(known, _)| *known == code), "{code}");
    }
}

#[test]
fn every_field_and_value_of_the_views_is_explained() {
    let mut found = BTreeSet::new();
    lines().iter().for_each(|(_, line)| keys(&serde_json::from_str(line).unwrap(), &mut found));
    for values in [
        variants::<RoleView>(json!("?")),
        variants::<LinkState>(json!("?")),
        variants::<FileState>(json!("?")),
        variants::<QualityView>(json!("?")),
        variants::<crate::command::HostAsk>(json!("?")),
        variants::<MediaKind>(json!("?")),
        variants::<StreamKind>(json!("?")),
        variants::<SessionPhase>(json!("?")),
        variants::<LeaveReason>(json!("?")),
        variants::<crate::view::SpokenEndView>(json!("?")),
        variants::<crate::view::JoinView>(json!({"state": "?"})),
    ] {
        assert!(!values.is_empty());
        found.extend(values);
    }
    let missing: Vec<_> = found.iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
}

#[test]
fn a_page_that_forgot_something_would_be_found() {
    assert!(variants::<Command>(json!({"cmd": "?"})).len() > 30);
    assert!(variants::<Event>(json!({"event": "?"})).contains("call.participant_left"));
    assert!(lines().len() > 60);
}
