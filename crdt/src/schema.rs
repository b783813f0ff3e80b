//! How a board stands in Automerge documents. This module, the document and the guard are all that know Automerge.
//!
//! ```text
//! index: v:uint  title:Text  pages:{<page id>: {z:str name:str doc:str}}
//! page:  v:uint  els:{<element id>: {k z m s d p g l t a b i}}
//! ```

pub(crate) mod document;
pub(crate) mod guard;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, AutomergeError, ObjType, ScalarValue};

use crate::geometry;
use crate::id::{Actor, DocId, ElementId, GroupId, PageId};
use crate::order::OrderKey;
use crate::shape::{Binding, Kind, MAX_IMAGE, Style, Transform};

/// The version of the schema that this program writes.
pub const SCHEMA: u64 = 1;
/// Longest name of a page, in bytes.
pub const MAX_NAME: usize = 256;

pub(crate) const VERSION: &str = "v";
pub(crate) const ELEMENTS: &str = "els";
pub(crate) const TITLE: &str = "title";
pub(crate) const PAGES: &str = "pages";

/// What kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Index,
    Page,
}

/// A property of an element or of a page's entry in the index, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Kind,
    Order,
    Transform,
    Style,
    Points,
    Frame,
    Group,
    Locked,
    Text,
    Start,
    End,
    Image,
    /// Of a page: its name for people.
    Name,
    /// Of a page: its document.
    Document,
}

impl Field {
    pub(crate) const OF_ELEMENT: [Self; 12] = [
        Self::Kind,
        Self::Order,
        Self::Transform,
        Self::Style,
        Self::Points,
        Self::Frame,
        Self::Group,
        Self::Locked,
        Self::Text,
        Self::Start,
        Self::End,
        Self::Image,
    ];
    pub(crate) const OF_PAGE: [Self; 3] = [Self::Order, Self::Name, Self::Document];

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Kind => "k",
            Self::Order => "z",
            Self::Transform => "m",
            Self::Style => "s",
            Self::Points => "d",
            Self::Frame => "p",
            Self::Group => "g",
            Self::Locked => "l",
            Self::Text => "t",
            Self::Start => "a",
            Self::End => "b",
            Self::Image => "i",
            Self::Name => "name",
            Self::Document => "doc",
        }
    }

    /// It may be taken away again.
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::Frame | Self::Group | Self::Locked | Self::Start | Self::End | Self::Image)
    }

    /// Whether a value may stand there: the same at every peer, because it looks at nothing else.
    pub(crate) fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Kind, Value::Uint(code)) => Kind::from_code(*code).is_some(),
            (Self::Order, Value::Text(key)) => OrderKey::parse(key).is_some(),
            (Self::Transform, Value::Bytes(bytes)) => Transform::decode(bytes).is_some(),
            (Self::Style, Value::Bytes(bytes)) => Style::decode(bytes).is_some(),
            (Self::Points, Value::Bytes(bytes)) => geometry::unpack(bytes).is_ok(),
            (Self::Frame, Value::Text(id)) => id.parse::<ElementId>().is_ok(),
            (Self::Group, Value::Text(id)) => id.parse::<GroupId>().is_ok(),
            (Self::Locked, Value::Bool(_)) => true,
            (Self::Start | Self::End, Value::Bytes(bytes)) => Binding::decode(bytes).is_some(),
            (Self::Image, Value::Text(name)) => is_image_name(name),
            (Self::Name, Value::Text(name)) => is_name(name),
            (Self::Document, Value::Text(id)) => id.parse::<DocId>().is_ok_and(|id| id != DocId::INDEX),
            _ => false,
        }
    }
}

/// Letters, digits and `:_-`, few: how a file is called in the room.
pub(crate) fn is_image_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
    !name.is_empty() && name.len() <= MAX_IMAGE && name.bytes().all(fits)
}

/// One line, at most [`MAX_NAME`] bytes.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// May stand in a text of the board.
pub(crate) fn is_text_char(c: char) -> bool {
    !c.is_control() || c == '\n' || c == '\t'
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Uint(u64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub(crate) fn of(scalar: &ScalarValue) -> Option<Self> {
        match scalar {
            ScalarValue::Uint(value) => Some(Self::Uint(*value)),
            ScalarValue::Boolean(value) => Some(Self::Bool(*value)),
            ScalarValue::Str(text) => Some(Self::Text(text.to_string())),
            ScalarValue::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            _ => None,
        }
    }

    /// About how many bytes it takes in a change.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Uint(_) | Self::Bool(_) => 1,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<Value> for ScalarValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Uint(value) => Self::Uint(value),
            Value::Bool(value) => Self::Boolean(value),
            Value::Text(text) => Self::Str(text.into()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

/// The document everybody begins with, made by nobody: the same bytes everywhere, so that what two people draw first meets in one map.
pub(crate) fn genesis(form: Form) -> Result<Automerge, AutomergeError> {
    let mut document = Automerge::new().with_actor(ActorId::from(Actor::GENESIS.0));
    let mut change = document.transaction();
    change.put(automerge::ROOT, VERSION, ScalarValue::Uint(SCHEMA))?;
    match form {
        Form::Page => {
            change.put_object(automerge::ROOT, ELEMENTS, ObjType::Map)?;
        }
        Form::Index => {
            change.put_object(automerge::ROOT, TITLE, ObjType::Text)?;
            let pages = change.put_object(automerge::ROOT, PAGES, ObjType::Map)?;
            let first = change.put_object(&pages, PageId::FIRST.as_str(), ObjType::Map)?;
            change.put(&first, Field::Order.key(), "V")?;
            change.put(&first, Field::Name.key(), "")?;
            change.put(&first, Field::Document.key(), DocId::FIRST.as_str())?;
        }
    }
    change.commit_with(CommitOptions::default().with_time(0));
    Ok(document)
}
