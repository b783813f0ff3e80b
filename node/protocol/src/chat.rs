//! Chat: what a message is, what may stand in one, and the timeline they make. It must never let text from a peer reach a screen
//! unchecked.

pub mod read;
pub mod timeline;

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, OpHash};
use crate::wire;

/// Longest text of a message, in bytes of UTF-8.
pub const MAX_TEXT: usize = 16 * 1024;
/// Longest emoji of a reaction, in bytes of UTF-8.
pub const MAX_EMOJI: usize = 32;
/// Most people one message names.
pub const MAX_MENTIONS: usize = 64;

/// Body kinds of the chat in the op log. Numbers below [`crate::log::op::FIRST_KIND_BEYOND_CHAT`] that are not here are from newer versions.
pub mod kind {
    /// A new message.
    pub const TEXT: u32 = 1;
    /// Another text for a message.
    pub const EDIT: u32 = 2;
    /// Takes a message back.
    pub const DELETE: u32 = 3;
    /// Puts an emoji under a message, or takes it away.
    pub const REACT: u32 = 4;
}

/// A new message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Text {
    /// See [`check_text`].
    #[n(0)]
    pub body: String,
    /// The message it answers.
    #[n(1)]
    pub reply_to: Option<OpHash>,
    /// Whom it names; at most [`MAX_MENTIONS`].
    #[n(2)]
    pub mentions: Vec<DeviceId>,
}

/// Another text for a message of the same author.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Edit {
    /// Which message.
    #[n(0)]
    pub target: OpHash,
    /// See [`check_text`].
    #[n(1)]
    pub body: String,
    /// Whom it names now.
    #[n(2)]
    pub mentions: Vec<DeviceId>,
}

/// Takes a message back: by its author, or by an admin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Delete {
    /// Which message.
    #[n(0)]
    pub target: OpHash,
}

/// An emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct React {
    /// Which message.
    #[n(0)]
    pub target: OpHash,
    /// See [`check_emoji`].
    #[n(1)]
    pub emoji: String,
    /// Put there, or taken away.
    #[n(2)]
    pub on: bool,
}

/// The body of an operation of the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A new message.
    Text(Text),
    /// Another text.
    Edit(Edit),
    /// Taken back.
    Delete(Delete),
    /// An emoji.
    React(React),
    /// Of a kind this version does not know.
    Newer,
    /// Of a known kind, but not what that kind allows: shown to nobody.
    Invalid,
}

impl Body {
    /// The kind and the bytes for the log.
    pub fn encode(&self) -> (u32, Vec<u8>) {
        match self {
            Self::Text(body) => (kind::TEXT, wire::encode(body)),
            Self::Edit(body) => (kind::EDIT, wire::encode(body)),
            Self::Delete(body) => (kind::DELETE, wire::encode(body)),
            Self::React(body) => (kind::REACT, wire::encode(body)),
            Self::Newer | Self::Invalid => (0, Vec::new()),
        }
    }

    /// Reads a body and checks it. Never fails: what cannot be taken is [`Body::Invalid`].
    pub fn decode(kind: u32, bytes: &[u8]) -> Self {
        let body = match kind {
            kind::TEXT => wire::decode(bytes).map(Self::Text),
            kind::EDIT => wire::decode(bytes).map(Self::Edit),
            kind::DELETE => wire::decode(bytes).map(Self::Delete),
            kind::REACT => wire::decode(bytes).map(Self::React),
            _ => return Self::Newer,
        };
        match body {
            Ok(body) if body.is_sound() => body,
            _ => Self::Invalid,
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Text(text) => check_text(&text.body).is_ok() && text.mentions.len() <= MAX_MENTIONS,
            Self::Edit(edit) => check_text(&edit.body).is_ok() && edit.mentions.len() <= MAX_MENTIONS,
            Self::React(react) => check_emoji(&react.emoji).is_ok(),
            Self::Delete(_) | Self::Newer | Self::Invalid => true,
        }
    }
}

/// Why a text cannot be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("the text is empty")]
    Empty,
    /// Over [`MAX_TEXT`], or [`MAX_EMOJI`] for a reaction.
    #[error("the text is too long")]
    TooLong,
    /// A control character other than a line break or a tab.
    #[error("the text holds characters that cannot be shown")]
    ControlCharacter,
}

/// Whether a text can be a message: not empty, at most [`MAX_TEXT`] bytes, no control characters but `\n` and `\t`.
pub fn check_text(text: &str) -> Result<(), TextError> {
    if text.len() > MAX_TEXT {
        Err(TextError::TooLong)
    } else if text.trim().is_empty() {
        Err(TextError::Empty)
    } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        Err(TextError::ControlCharacter)
    } else {
        Ok(())
    }
}

/// Whether a text can be a reaction: one line without white space, at most [`MAX_EMOJI`] bytes.
pub fn check_emoji(emoji: &str) -> Result<(), TextError> {
    if emoji.is_empty() {
        Err(TextError::Empty)
    } else if emoji.len() > MAX_EMOJI {
        Err(TextError::TooLong)
    } else if emoji.chars().any(|c| c.is_control() || c.is_whitespace() || is_direction(c)) {
        Err(TextError::ControlCharacter)
    } else {
        Ok(())
    }
}

/// A text as it may be put on a screen beside other text: without the characters that would turn the direction of what follows it.
pub fn for_display(text: &str) -> String {
    text.chars().filter(|c| !is_direction(*c)).collect()
}

/// Embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX #9, section 2).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
