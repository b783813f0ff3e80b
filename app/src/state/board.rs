//! The boards of the rooms: what the node said of them, and what this person is doing on the one that is shown. Pure, like all of the state.

pub mod pictures;
mod wishes;

use std::collections::BTreeMap;
use std::sync::Arc;

use conclave_crdt::{Element, ElementId, PageDelta, PageId, PageInfo, PageView};
use conclave_node::command::{Command, Reply};
use conclave_node::view::{BoardLiveView, BoardMomentView, BoardPageView, BoardView, ErrorView};
use conclave_protocol::id::{DeviceId, RoomId};

use self::pictures::Pictures;
use super::toast::Tone;
use super::{AppState, Effect, Pending};
use crate::canvas::live::{self, Other, Telling};
use crate::canvas::machine::Machine;

/// What a reply of the board is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Show,
    Page(PageId),
    /// Of the history: the page as it was.
    Past(u32),
    Edit,
    Pages,
    History,
    Restore,
    /// A file was written or read.
    File,
    /// A picture is to come onto a page, there.
    Insert {
        page: PageId,
        at: egui::Pos2,
    },
    /// To be shown.
    Picture(String),
}

/// The history of a page, while it is looked at.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub moments: Vec<BoardMomentView>,
    /// Which is shown.
    pub at: usize,
    /// The page as it was then.
    pub then: Option<PageView>,
}

/// A board that was opened.
#[derive(Debug, Clone)]
pub struct Board {
    pub room: RoomId,
    pub title: String,
    pub pages: Vec<PageInfo>,
    pub page: PageId,
    pub can_edit: bool,
    pub can_undo: bool,
    pub can_redo: bool,
    /// The page was read at least once.
    pub loaded: bool,
    /// The page as it is.
    pub truth: PageView,
    /// The page as it is drawn: with what is previewed here, and what others are drawing.
    pub shown: PageView,
    pub machine: Machine,
    pub others: BTreeMap<DeviceId, Other>,
    pub following: Option<DeviceId>,
    pub minimap: bool,
    pub history: Option<History>,
    pub pictures: Pictures,
    /// The window said where the canvas is.
    placed: bool,
    /// All of the page was brought into view once.
    fitted: bool,
    telling: Telling,
    revision: u64,
    /// Elements of `shown` that are not what `truth` says, with the revision of the previews.
    laid_over: BTreeMap<ElementId, Arc<Element>>,
    previewed: u64,
}

impl Board {
    fn new(room: RoomId, seed: u64) -> Self {
        Self {
            room,
            title: String::new(),
            pages: Vec::new(),
            page: PageId::FIRST,
            can_edit: false,
            can_undo: false,
            can_redo: false,
            loaded: false,
            truth: PageView::default(),
            shown: PageView::default(),
            machine: Machine::new(seed),
            others: BTreeMap::new(),
            following: None,
            minimap: true,
            history: None,
            pictures: Pictures::default(),
            placed: false,
            fitted: false,
            telling: Telling::default(),
            revision: 0,
            laid_over: BTreeMap::new(),
            previewed: 0,
        }
    }

    /// What is to be drawn: the page, or how it once was.
    pub fn drawn(&self) -> &PageView {
        self.history.as_ref().and_then(|history| history.then.as_ref()).unwrap_or(&self.shown)
    }

    /// Looking back, or only a viewer: nothing can be changed.
    pub fn is_still(&self) -> bool {
        !self.can_edit || self.history.is_some()
    }

    fn take_view(&mut self, view: BoardView) {
        self.title = view.title;
        self.pages = view.pages;
        self.can_edit = view.can_edit;
        self.can_undo = view.can_undo;
        self.can_redo = view.can_redo;
        self.machine.can_edit = view.can_edit && self.history.is_none();
        if !self.pages.iter().any(|info| info.page == self.page) {
            self.page = self.pages.first().map_or(PageId::FIRST, |info| info.page);
            self.loaded = false;
        }
    }

    fn take_page(&mut self, page: BoardPageView) {
        if page.page != self.page {
            return;
        }
        self.revision = page.revision;
        self.pictures.see(page.elements.iter());
        self.truth = PageView::from_elements(page.elements);
        self.shown = self.truth.clone();
        self.laid_over.clear();
        self.loaded = true;
        self.machine.selection.retain(|id| self.truth.get(id).is_some());
        self.show_previews(true);
        self.fit_once();
    }

    /// The first look at a page shows all of it.
    fn fit_once(&mut self) {
        if self.fitted || !self.loaded || !self.placed {
            return;
        }
        self.fitted = true;
        if let Some(bounds) = self.truth.bounds() {
            self.machine.camera.fit(crate::canvas::rect_of(&bounds), 1.0);
        }
    }

    fn take_delta(&mut self, delta: &PageDelta) {
        if delta.page != self.page || !self.loaded {
            return;
        }
        self.truth.apply(delta);
        self.shown.apply(delta);
        self.see_pictures(delta);
        for id in delta.changed.iter().map(|element| &element.id).chain(&delta.removed) {
            self.laid_over.remove(id);
        }
        self.machine.page_changed(delta);
        for other in self.others.values_mut() {
            other.settled(delta);
        }
        self.show_previews(true);
    }

    /// Brings what is drawn up to date with what is previewed.
    pub(super) fn show_previews(&mut self, anyway: bool) {
        if self.previewed == self.machine.revision && !anyway {
            return;
        }
        self.previewed = self.machine.revision;
        let mut wanted: BTreeMap<ElementId, Arc<Element>> = BTreeMap::new();
        for (id, preview) in &self.machine.previews {
            let same = self.laid_over.get(id).filter(|element| element.shape == preview.shape);
            let z = self.truth.get(id).map(|element| element.z.clone()).or_else(live::top);
            let Some(z) = z else { continue };
            let element = same.cloned().unwrap_or_else(|| Arc::new(Element { id: *id, z, shape: preview.shape.clone() }));
            wanted.insert(*id, element);
        }
        let before = std::mem::take(&mut self.laid_over);
        let mut delta = PageDelta { page: self.page, changed: Vec::new(), removed: Vec::new() };
        for id in before.keys().filter(|id| !wanted.contains_key(id)) {
            self.restore(id, &mut delta);
        }
        for (id, element) in &wanted {
            if before.get(id).is_none_or(|old| !Arc::ptr_eq(old, element))
                || self.shown.get(id).is_none_or(|shown| !Arc::ptr_eq(shown, element))
            {
                delta.changed.push(element.clone());
            }
        }
        self.laid_over = wanted;
        self.shown.apply(&delta);
    }

    /// Draws an element as the page says it again.
    fn restore(&self, id: &ElementId, delta: &mut PageDelta) {
        match self.truth.get(id) {
            Some(element) => delta.changed.push(element.clone()),
            None => delta.removed.push(*id),
        }
    }

    fn hear(&mut self, device: DeviceId, live: BoardLiveView, now_ms: u64) {
        let here = live.page == self.page;
        let ink = self.others.entry(device).or_default().hear(live, now_ms);
        // What the page already says is not drawn a second time from what was told of it.
        if let Some(element) = ink.filter(|element| here && self.loaded && self.truth.get(&element.id).is_none()) {
            self.shown.apply(&PageDelta { page: self.page, changed: vec![element], removed: Vec::new() });
        }
        self.follow();
    }

    /// Looks where the person who is followed looks.
    fn follow(&mut self) {
        let Some(other) = self.following.and_then(|device| self.others.get(&device)) else { return };
        if other.page != Some(self.page) {
            return;
        }
        if let Some(viewport) = other.viewport {
            let (center, zoom) = live::fit(viewport, self.machine.camera.viewport.size());
            self.machine.camera.zoom = zoom.clamp(crate::canvas::camera::MIN_ZOOM, crate::canvas::camera::MAX_ZOOM);
            self.machine.camera.look_at(center);
        }
    }

    fn expire(&mut self, now_ms: u64) {
        let mut delta = PageDelta { page: self.page, changed: Vec::new(), removed: Vec::new() };
        let gone: Vec<ElementId> = self.others.values_mut().flat_map(|other| other.expire(now_ms)).collect();
        for id in gone {
            self.restore(&id, &mut delta);
        }
        self.shown.apply(&delta);
    }

    /// Nothing of this page is shown any longer.
    fn leave_page(&mut self) {
        self.machine.forget_page();
        self.truth = PageView::default();
        self.shown = PageView::default();
        self.laid_over.clear();
        self.loaded = false;
        self.fitted = false;
        self.history = None;
        self.machine.can_edit = self.can_edit;
    }
}

/// All boards that were opened since the start, and which is shown.
#[derive(Debug, Default)]
pub struct Boards {
    pub open: BTreeMap<RoomId, Board>,
    pub shown: Option<RoomId>,
    seed: u64,
}

impl Boards {
    /// Chance for the names of what is drawn. Set once, by the shell.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    pub fn current(&self) -> Option<&Board> {
        self.open.get(&self.shown?)
    }

    fn current_mut(&mut self) -> Option<&mut Board> {
        self.open.get_mut(&self.shown?)
    }
}

impl AppState {
    /// The board that is before the person's eyes: beside the call, or in the middle of its room.
    pub fn board(&self) -> Option<&Board> {
        let shown = self.boards.shown?;
        self.boards.open.get(&shown).filter(|_| self.open_room() == Some(shown))
    }

    pub(super) fn ask_board(room: RoomId, asked: Asked, command: Command) -> Effect {
        Effect::Send(command, Pending::Board(room, asked))
    }

    pub(super) fn open_board(&mut self, room: RoomId) -> Vec<Effect> {
        self.boards.shown = Some(room);
        self.boards.seed = self.boards.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        let seed = self.boards.seed;
        self.boards.open.entry(room).or_insert_with(|| Board::new(room, seed));
        vec![Self::ask_board(room, Asked::Show, Command::BoardShow { room })]
    }

    pub(super) fn board_changed(
        &mut self,
        room: RoomId,
        revision: u64,
        pages: bool,
        undo: (bool, bool),
        deltas: &[PageDelta],
    ) -> Vec<Effect> {
        let Some(board) = self.boards.open.get_mut(&room) else { return Vec::new() };
        (board.can_undo, board.can_redo) = undo;
        // What was read after it happened has it already.
        if revision > board.revision {
            for delta in deltas {
                board.take_delta(delta);
            }
            board.revision = revision;
        }
        if pages { vec![Self::ask_board(room, Asked::Show, Command::BoardShow { room })] } else { Vec::new() }
    }

    pub(super) fn board_reset(&mut self, room: RoomId) -> Vec<Effect> {
        let Some(board) = self.boards.open.get_mut(&room) else { return Vec::new() };
        board.loaded = false;
        vec![Self::ask_board(room, Asked::Show, Command::BoardShow { room })]
    }

    /// A picture has come.
    pub(super) fn board_picture(&mut self, room: RoomId, image: String) {
        if let Some(board) = self.boards.open.get_mut(&room) {
            board.pictures.came(image);
        }
    }

    pub(super) fn board_live(&mut self, room: RoomId, device: DeviceId, live: BoardLiveView) {
        let now_ms = self.now_ms;
        if let Some(board) = self.boards.open.get_mut(&room) {
            board.hear(device, live, now_ms);
        }
    }

    /// An answer of the node that is the board's.
    pub(super) fn board_reply(&mut self, room: RoomId, asked: Asked, reply: Reply) -> Vec<Effect> {
        let Some(board) = self.boards.open.get_mut(&room) else { return Vec::new() };
        match (asked, reply) {
            (Asked::Show, Reply::Board { board: view }) => {
                board.take_view(view);
                if !board.loaded {
                    let page = board.page;
                    return vec![Self::ask_board(room, Asked::Page(page), Command::BoardPage { room, page, moment: None })];
                }
            }
            (Asked::Page(_), Reply::BoardPage { board_page }) => board.take_page(board_page),
            (Asked::Past(moment), Reply::BoardPage { board_page }) => {
                if let Some(history) = board.history.as_mut().filter(|history| history.at == moment as usize) {
                    board.pictures.see(board_page.elements.iter());
                    history.then = Some(PageView::from_elements(board_page.elements));
                }
            }
            (Asked::History, Reply::BoardMoments { moments }) => {
                if let Some(history) = &mut board.history {
                    history.at = moments.len().saturating_sub(1);
                    history.moments = moments;
                }
            }
            (Asked::Edit, _) => {
                board.machine.answered(&board.truth);
                board.show_previews(false);
            }
            (Asked::Restore, _) => {
                board.history = None;
                board.machine.can_edit = board.can_edit;
            }
            (Asked::Insert { page, at }, Reply::BoardPicture { board_picture }) => {
                let effects = board.place_picture(page, at, &board_picture);
                effects.iter().for_each(|_| board.machine.asked());
                return effects;
            }
            (Asked::Picture(_), Reply::BoardPicture { board_picture }) => board.pictures.answered(board_picture),
            (Asked::File, _) => self.toasts.push(Tone::Good, self.text.t("board-file-done"), None, None, self.now_ms),
            _ => {}
        }
        Vec::new()
    }

    /// An edit was refused: what was previewed is taken back, and the person is told.
    pub(super) fn board_refused(&mut self, room: RoomId, asked: &Asked, error: &ErrorView) {
        if let (Some(board), Asked::Picture(image)) = (self.boards.open.get_mut(&room), asked) {
            // Its place says it.
            return board.pictures.refused(image);
        }
        if let Some(board) = self.boards.open.get_mut(&room)
            && *asked == Asked::Edit
        {
            board.machine.answered(&board.truth);
            board.show_previews(false);
        }
        let (text, detail) = self.sentence(&error.code, &error.message);
        self.toasts.push(Tone::Bad, text, detail, None, self.now_ms);
    }

    /// What the others are to be told of this person's pointer, and what goes out of date. Called once a frame.
    pub fn board_tick(&mut self) -> Vec<Effect> {
        let now_ms = self.now_ms;
        let visible = self.board().map(|board| board.room);
        let Some(board) = visible.and_then(|room| self.boards.open.get_mut(&room)) else { return Vec::new() };
        board.expire(now_ms);
        let (room, page) = (board.room, board.page);
        let mut effects = board.pictures.ask(room);
        let telling = board.telling.poll(page, &board.machine, now_ms);
        effects.extend(telling.map(|live| Effect::Send(Command::BoardLive { room, live }, Pending::Quiet)));
        effects
    }

    /// The next moment at which the board has something to do by itself, in UTC milliseconds.
    pub(super) fn next_board_ms(&self) -> Option<u64> {
        let board = self.board()?;
        let expiry = board.others.values().filter_map(Other::next_expiry_ms).min();
        let trail = board.others.values().any(|other| !other.trail.is_empty()).then_some(self.now_ms + 33);
        let telling = board.telling.clone().poll(board.page, &board.machine, u64::MAX).map(|_| board.telling.next_ms());
        [expiry, trail, telling].into_iter().flatten().min()
    }
}
