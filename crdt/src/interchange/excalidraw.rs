//! Excalidraw's JSON, version 2, in and out. Whatever a file says, what is read of it is within the limits of a page; what this program cannot
//! show (embedded pages, formulas) is counted and left out.

mod read;
mod write;

pub use read::{Imported, MAX_PICTURES, read};
pub use write::write;

use crate::shape::{Align, Dash, Head, Kind};

/// A file that is not one of Excalidraw's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// Not JSON, or not `"type": "excalidraw"`.
    #[error("not a file of Excalidraw")]
    NotExcalidraw,
    /// More elements than a page takes.
    #[error("too many elements")]
    TooLarge,
}

/// Our kinds and Excalidraw's types. A note is a rectangle that says so beside.
const KINDS: [(Kind, &str); 9] = [
    (Kind::Pen, "freedraw"),
    (Kind::Rect, "rectangle"),
    (Kind::Ellipse, "ellipse"),
    (Kind::Diamond, "diamond"),
    (Kind::Line, "line"),
    (Kind::Arrow, "arrow"),
    (Kind::Text, "text"),
    (Kind::Image, "image"),
    (Kind::Frame, "frame"),
];
const DASHES: [(Dash, &str); 3] = [(Dash::Solid, "solid"), (Dash::Dashed, "dashed"), (Dash::Dotted, "dotted")];
const ALIGNS: [(Align, &str); 3] = [(Align::Left, "left"), (Align::Center, "center"), (Align::Right, "right")];
const HEADS: [(Head, &str); 4] = [(Head::Arrow, "arrow"), (Head::Triangle, "triangle"), (Head::Dot, "dot"), (Head::Bar, "bar")];

fn name_of<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> Option<&'static str> {
    table.iter().find(|(known, _)| known == value).map(|(_, name)| *name)
}

fn value_of<T: Copy>(table: &[(T, &'static str)], name: &str) -> Option<T> {
    table.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}
