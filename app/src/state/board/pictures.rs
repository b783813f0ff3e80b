//! The pictures of a board: which the node was asked for, which are here, and how one comes onto the page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conclave_crdt::{Element, Kind, PageDelta, PageId, Shape, Style, Transform};
use conclave_node::command::Command;
use conclave_node::view::{BoardPictureView, PictureState};
use conclave_protocol::id::RoomId;
use egui::{Pos2, Rect, Vec2};

use super::{Asked, Board};
use crate::canvas::hit;
use crate::intent::board::PictureFrom;
use crate::state::{AppState, Effect};

/// Bytes of pictures of one board that are held; beyond them a picture's place is shown.
const MAX_HELD: usize = 192 * 1024 * 1024;
/// Questions for pictures that are under way at once.
const AT_ONCE: usize = 4;
/// How much of what is seen a picture takes at most when it is put there.
const SHARE: f32 = 0.6;

/// How it stands with a picture.
#[derive(Debug, Clone)]
enum Known {
    Asked,
    Here(Arc<[u8]>),
    /// Not in the room yet, on its way, or refused: asked for again when the node says that it came.
    Missing,
}

/// The pictures of one board.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    known: BTreeMap<String, Known>,
    to_ask: BTreeSet<String>,
    held: usize,
}

impl Pictures {
    /// Those that are here.
    pub fn here(&self) -> impl Iterator<Item = (&String, &Arc<[u8]>)> {
        self.known.iter().filter_map(|(name, known)| match known {
            Known::Here(bytes) => Some((name, bytes)),
            Known::Asked | Known::Missing => None,
        })
    }

    pub(super) fn see<'a>(&mut self, elements: impl Iterator<Item = &'a Arc<Element>>) {
        for name in elements.filter_map(|element| element.image.as_ref()) {
            if !self.known.contains_key(name) {
                self.to_ask.insert(name.clone());
            }
        }
    }

    /// The node has it now.
    pub(super) fn came(&mut self, name: String) {
        if matches!(self.known.get(&name), Some(Known::Asked | Known::Missing)) {
            self.to_ask.insert(name);
        }
    }

    pub(super) fn answered(&mut self, picture: BoardPictureView) {
        let bytes = picture.data.filter(|_| picture.state == PictureState::Here).map(|data| data.0);
        let known = match bytes {
            Some(bytes) if self.held + bytes.len() <= MAX_HELD => {
                self.held += bytes.len();
                Known::Here(bytes)
            }
            _ => Known::Missing,
        };
        if let Some(Known::Here(old)) = self.known.insert(picture.image, known) {
            self.held -= old.len();
        }
    }

    /// The node would not say.
    pub(super) fn refused(&mut self, name: &str) {
        self.known.insert(name.to_owned(), Known::Missing);
    }

    pub(super) fn ask(&mut self, room: RoomId) -> Vec<Effect> {
        let asked = self.known.values().filter(|known| matches!(known, Known::Asked)).count();
        let mut effects = Vec::new();
        for _ in asked..AT_ONCE {
            let Some(image) = self.to_ask.pop_first() else { break };
            self.known.insert(image.clone(), Known::Asked);
            let asked = Asked::Picture(image.clone());
            effects.push(AppState::ask_board(room, asked, Command::BoardPicture { room, image, to: None, data: true }));
        }
        effects
    }
}

impl Board {
    pub(super) fn see_pictures(&mut self, delta: &PageDelta) {
        self.pictures.see(delta.changed.iter());
    }

    /// Has the node share a picture; it comes onto the page when that is done.
    pub(super) fn add_picture(&self, from: PictureFrom) -> Vec<Effect> {
        if self.is_still() {
            return Vec::new();
        }
        let (room, page) = (self.room, self.page);
        let camera = &self.machine.camera;
        let at = self.machine.pointer.filter(|at| camera.visible().contains(*at)).unwrap_or(camera.center);
        let (path, data) = match from {
            PictureFrom::Path(path) => (Some(path), None),
            PictureFrom::Bytes(bytes) => (None, Some(conclave_node::view::PictureBytes(bytes))),
        };
        vec![AppState::ask_board(room, Asked::Insert { page, at }, Command::BoardAddPicture { room, path, data })]
    }

    /// Puts a picture that was shared on the page, where the pointer was when it was asked for.
    pub(super) fn place_picture(&mut self, page: PageId, at: Pos2, picture: &BoardPictureView) -> Vec<Effect> {
        if page != self.page {
            return Vec::new();
        }
        let own = Vec2::new(picture.width.unwrap_or(1).max(1) as f32, picture.height.unwrap_or(1).max(1) as f32);
        let room = self.machine.camera.visible().size() * SHARE;
        let size = own * (room.x / own.x).min(room.y / own.y).min(1.0);
        let rect = Rect::from_center_size(at, size);
        let transform = Transform::new(rect.left(), rect.top(), size.x, size.y);
        let mut shape = Shape::new(Kind::Image, transform, Style::default());
        shape.image = Some(picture.image.clone());
        shape.frame = hit::frame_at(&self.truth, at);
        let id = self.machine.new_element();
        self.add_copies(vec![(id, shape)])
    }
}
