//! The JSON lines: what a script writes and reads. A line that cannot be understood is answered, and never ends anything.

use serde::Serialize;
use serde_json::Value;

use crate::command::{Command, Reply};
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::view::ErrorView;

/// The version of the lines.
pub const VERSION: u64 = 1;
/// Longest line that is read, in bytes, without its end.
pub const LINE_LIMIT: usize = 1024 * 1024;
/// Longest id that is given back, in bytes of JSON.
const ID_LIMIT: usize = 256;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Something of the node.
    Node(Command),
    /// Whether events are written to this connection.
    Events { on: bool },
}

/// A line that was read: what to answer under, and what it asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Given back with the answer: a number or a string, `None` where there was none.
    pub id: Option<Value>,
    pub ask: Result<Ask, CommandError>,
}

impl Line {
    /// A line that was longer than [`LINE_LIMIT`]; nothing of it was kept.
    pub fn too_long() -> Self {
        Self { id: None, ask: Err(bad(format!("the line is longer than {LINE_LIMIT} bytes"))) }
    }

    /// Reads a line; `None` where it is blank.
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => return Some(Self { id: None, ask: Err(bad(format!("not JSON: {error}"))) }),
        };
        let id = value.get("id").filter(|id| (id.is_number() || id.is_string()) && id.to_string().len() <= ID_LIMIT).cloned();
        Some(Self { id, ask: ask(value) })
    }
}

fn ask(value: Value) -> Result<Ask, CommandError> {
    let Value::Object(mut fields) = value else { return Err(bad("a line is a JSON object")) };
    match fields.remove("v") {
        Some(Value::Number(version)) if version.as_u64() == Some(VERSION) => {}
        Some(Value::Number(version)) => {
            return Err(CommandError::new(
                ErrorCode::BadVersion,
                format!("version {version} is not spoken here; this is {VERSION}"),
            ));
        }
        _ => return Err(bad(format!("`v` is missing: the version of the line, {VERSION}"))),
    }
    match fields.remove("id") {
        None | Some(Value::Null | Value::Number(_)) => {}
        Some(Value::String(id)) if id.len() <= ID_LIMIT => {}
        Some(_) => return Err(bad("`id` is a number or a short string")),
    }
    if fields.get("cmd").and_then(Value::as_str) == Some("events") {
        return match (fields.get("on").and_then(Value::as_bool), fields.len()) {
            (Some(on), 2) => Ok(Ask::Events { on }),
            _ => Err(bad("`events` takes `on`: true or false")),
        };
    }
    let given: Vec<String> = fields.keys().cloned().collect();
    let command: Command = serde_json::from_value(Value::Object(fields)).map_err(|error| bad(error.to_string()))?;
    // What would be passed over in silence may be the very thing that mattered, misspelt.
    let known = serde_json::to_value(&command).unwrap_or_default();
    match given.iter().find(|key| known.get(key.as_str()).is_none()) {
        Some(unknown) => Err(bad(format!("unknown field `{}`", unknown.escape_default()))),
        None => Ok(Ask::Node(command)),
    }
}

fn bad(message: impl Into<String>) -> CommandError {
    CommandError::new(ErrorCode::BadRequest, message)
}

/// What is written back, in the order in which a person reads it.
#[derive(Serialize)]
struct AnswerLine<'a, T> {
    v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

#[derive(Serialize)]
struct EventLine<'a> {
    v: u64,
    #[serde(flatten)]
    event: &'a Event,
}

/// The answer to a line, without the line's end.
pub fn answer(id: Option<&Value>, result: &Result<Reply, CommandError>) -> String {
    match result {
        Ok(reply) => ok(id, reply),
        Err(error) => refusal(id, error.clone().into()),
    }
}

/// A positive answer of any shape.
pub fn ok(id: Option<&Value>, reply: &impl Serialize) -> String {
    write(&AnswerLine { v: VERSION, id, ok: Some(reply), error: None })
}

/// A negative answer.
pub fn refusal(id: Option<&Value>, error: ErrorView) -> String {
    write(&AnswerLine::<()> { v: VERSION, id, ok: None, error: Some(error) })
}

/// An event, without the line's end.
pub fn event(event: &Event) -> String {
    write(&EventLine { v: VERSION, event })
}

fn write(line: &impl Serialize) -> String {
    // Every value that is written has text for keys and finite numbers, so this has no way to fail.
    serde_json::to_string(line)
        .unwrap_or_else(|error| format!(r#"{{"v":{VERSION},"error":{{"code":"stopped","message":"{error}"}}}}"#))
}

/// Cuts a stream of bytes into lines, and keeps no more than [`LINE_LIMIT`] of any.
#[derive(Debug, Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    skipping: bool,
}

impl LineSplitter {
    /// Takes bytes; gives the lines that they end, blank ones left out.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (now, later) = bytes.split_at(end);
            self.take(now);
            lines.extend(self.end());
            bytes = later.get(1..).unwrap_or_default();
        }
        self.take(bytes);
        lines
    }

    /// The end of the stream, which ends a line too.
    pub fn finish(&mut self) -> Option<Line> {
        self.end()
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.skipping || self.partial.len() + bytes.len() > LINE_LIMIT {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.skipping) { Some(Line::too_long()) } else { Line::parse(&line) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(line: &str) -> Line {
        Line::parse(line.as_bytes()).unwrap()
    }

    fn code(line: &str) -> ErrorCode {
        parse(line).ask.unwrap_err().code
    }

    #[test]
    fn a_command_is_read_with_its_id_and_defaults() {
        let line = parse(r#"{"v":1,"id":7,"cmd":"room.create","name":"Kitchen"}"#);
        assert_eq!(line.id, Some(json!(7)));
        assert_eq!(
            line.ask,
            Ok(Ask::Node(Command::RoomCreate { name: "Kitchen".to_owned(), approval: true, full_history: true }))
        );
        assert_eq!(parse(r#"{"v":1,"id":"a","cmd":"events","on":false}"#).ask, Ok(Ask::Events { on: false }));
        assert!(Line::parse(b"  \t\r").is_none());
    }

    #[test]
    fn what_cannot_be_understood_is_answered_with_its_reason() {
        assert_eq!(code("hello"), ErrorCode::BadRequest);
        assert_eq!(code("[1]"), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"cmd":"state"}"#), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"v":2,"cmd":"state"}"#), ErrorCode::BadVersion);
        assert_eq!(code(r#"{"v":1,"cmd":"dance"}"#), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"v":1,"cmd":"chat.send","room":"room:nonsense","body":"x"}"#), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"v":1,"id":{},"cmd":"state"}"#), ErrorCode::BadRequest);
        assert_eq!(code(r#"{"v":1,"cmd":"events"}"#), ErrorCode::BadRequest);
        let misspelt = parse(r#"{"v":1,"id":3,"cmd":"room.create","name":"x","aproval":false}"#);
        assert_eq!(misspelt.id, Some(json!(3)));
        assert!(misspelt.ask.unwrap_err().message.contains("aproval"));
        assert_eq!(code(&"[".repeat(100_000)), ErrorCode::BadRequest);
    }

    #[test]
    fn answers_and_events_read_in_their_order() {
        assert_eq!(answer(Some(&json!(7)), &Ok(Reply::Done {})), r#"{"v":1,"id":7,"ok":{}}"#);
        let expired = Err(CommandError::new(ErrorCode::LinkExpired, "The link is past its time."));
        assert_eq!(answer(None, &expired), r#"{"v":1,"error":{"code":"link_expired","message":"The link is past its time."}}"#);
        assert_eq!(event(&Event::Lagged { missed: 3 }), r#"{"v":1,"event":"lagged","missed":3}"#);
    }

    #[test]
    fn a_line_too_long_is_answered_once_and_the_next_one_is_read() {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for _ in 0..40 {
            lines.extend(splitter.push(&vec![b'x'; 64 * 1024]));
            assert!(splitter.partial.len() <= LINE_LIMIT);
        }
        lines.extend(splitter.push(b"\n{\"v\":1,\"cmd\":\"state\"}\n\n{\"v\":1,\"cmd\":"));
        lines.extend(splitter.push(b"\"room.list\"}"));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], Line::too_long());
        assert_eq!(lines[1].ask, Ok(Ask::Node(Command::State {})));
        assert_eq!(splitter.finish().unwrap().ask, Ok(Ask::Node(Command::RoomList {})));
        assert_eq!(splitter.finish(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_lines_and_no_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut splitter = LineSplitter::default();
            let mut count = 0;
            for piece in &pieces {
                count += splitter.push(piece).len();
            }
            count += usize::from(splitter.finish().is_some());
            let ends: usize = pieces.iter().flatten().filter(|byte| **byte == b'\n').count();
            prop_assert!(count <= ends + 1);
        }

        #[test]
        fn any_piece_of_a_good_line_is_read_or_refused(cut in 0_usize..80, flip in 0_usize..80, bit in 0..8_u8) {
            let good = br#"{"v":1,"id":7,"cmd":"chat.search","query":"soup","room":null,"limit":5}"#;
            let mut changed = good[..cut.min(good.len())].to_vec();
            if let Some(byte) = changed.get_mut(flip) {
                *byte ^= 1 << bit;
            }
            let _ = Line::parse(&changed);
        }
    }
}
