//! The whiteboard document: elements on pages that many people change at once and apart, and that come out the same for all. It must never
//! touch a disk, a clock or a network, and never hand a peer's bytes to Automerge unchecked.
//!
//! # For whoever draws
//! A [`PageView`] is one page as it is to be drawn: [`PageView::iter`] in z-order, [`PageView::in_rect`] for what is on the screen,
//! [`PageView::get`] by id, [`PageView::points`] for a stroke, line or arrow (its ends where they hold on to something). Elements are plain
//! values behind `Arc`: an [`Element`] is an [`ElementId`], an [`OrderKey`] and a [`Shape`] (kind, [`Transform`], [`Style`], points, text, frame,
//! group, lock, bindings, image). A view is kept up to date by [`PageView::apply`] with the [`PageDelta`]s that every edit and merge answers with,
//! and needs no document: the canvas holds its own.
//!
//! # For whoever edits
//! [`Board::edit`] does a step of [`Edit`]s on a page, all or nothing; ids of new elements are the caller's, from random bits
//! ([`ElementId::from_random`]). Steps with one gesture number are undone together. [`Board::undo`] takes back only what is still this person's.
//! [`Board::edit_pages`] does the same for the list of pages ([`PageEdit`]). [`Edit`] and [`Shape`] are JSON through serde. What is still being
//! drawn is not an edit: it travels as a live message and becomes one [`Edit::Add`] when the pen is lifted.
//!
//! # For whoever carries
//! [`Board::take_changes`] gives what was made here; [`pack`] makes batches of it for the room's log, [`unpack`] reads one, and
//! [`Board::merge`] takes them in, in any order, each with the [`Actor`] of its signer. A change that breaks a rule is counted by [`Refusal`] and left
//! out, at every peer alike.

mod batch;
mod board;
mod edit;
mod geometry;
mod id;
pub mod interchange;
mod order;
mod outline;
mod schema;
mod shape;
mod stage;
mod undo;
mod view;

pub use batch::{BadBatch, Change, MAX_CHANGES, MAX_UNPACKED, pack, unpack};
pub use board::{Board, ChangeId, Changed, MAX_DOCUMENTS, Merged, Moment, PageInfo};
pub use edit::{Edit, EditError, End, MAX_EDITS, PageEdit, Place};
pub use geometry::{
    GeometryError, MAX_COORDINATE, MAX_GEOMETRY, MAX_POINTS, Point, Rect, pack as pack_points, unpack as unpack_points,
};
pub use id::{Actor, BadId, DocId, ElementId, GroupId, PageId};
pub use order::OrderKey;
pub use schema::guard::{MAX_CHANGE, MAX_OPS, Refusal};
pub use schema::{MAX_NAME, SCHEMA};
pub use shape::{
    Align, BadColor, Binding, Color, Dash, Element, Head, Hold, Kind, MAX_FONT, MAX_IMAGE, MAX_TEXT, MAX_WIDTH, Shape, Style,
    Transform,
};
pub use stage::MAX_ELEMENTS;
pub use view::{PageDelta, PageView, shared};
