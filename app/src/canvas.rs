//! The canvas of a board: where one looks, what the tools do with pointer and keys, and how elements become meshes. Everything but
//! [`paint`] is pure: positions and keys in, [`conclave_crdt`] edits and previews out; nothing here talks to the node.

pub mod arrange;
pub mod bind;
pub mod camera;
pub mod clip;
pub mod hit;
pub mod keys;
pub mod live;
pub mod machine;
pub mod mesh;
pub mod paint;
pub mod pictures;
pub mod selection;
pub mod snap;
pub mod stroke;
pub mod tool;

use conclave_crdt::{Point, Rect as PageRect};
use egui::{Pos2, Rect, pos2};

/// A box of the document as the interface has it.
pub fn rect_of(rect: &PageRect) -> Rect {
    Rect::from_min_max(pos2(rect.x0, rect.y0), pos2(rect.x1, rect.y1))
}

/// A box of the interface as the document has it.
pub fn page_rect(rect: Rect) -> PageRect {
    PageRect { x0: rect.min.x, y0: rect.min.y, x1: rect.max.x, y1: rect.max.y }
}

/// A point of the document without its pressure.
pub fn pos_of(point: &Point) -> Pos2 {
    pos2(point.x, point.y)
}
