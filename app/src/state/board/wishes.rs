//! What the person wants of the board, turned into commands and into changes of what is shown.

use conclave_crdt::{Edit, ElementId, Kind, PageEdit, PageId, Shape, Style, Transform};
use conclave_node::command::Command;
use egui::{Rect, Vec2, vec2};

use super::{Asked, Board, History};
use crate::canvas::arrange::{self, BESIDE};
use crate::canvas::clip::{self, Pasted};
use crate::canvas::machine::{Input, Output};
use crate::canvas::tool::Tool;
use crate::canvas::{hit, rect_of};
use crate::chooser::Choice;
use crate::intent::board::{BoardIntent, StyleChange};
use crate::state::{AppState, Effect, Pending};

/// Names of pages are at most so long, in characters: what fits on a tab.
const PAGE_NAME: usize = 60;

impl AppState {
    pub(in crate::state) fn handle_board(&mut self, intent: BoardIntent) -> Vec<Effect> {
        match intent {
            BoardIntent::Open(room) => return self.open_board(room),
            BoardIntent::Close => {
                if let Some(board) = self.boards.current_mut() {
                    board.machine.end_text(&board.truth);
                    board.machine.cancel();
                    board.machine.pointer = None;
                    board.show_previews(false);
                }
                self.boards.shown = None;
                return Vec::new();
            }
            _ => {}
        }
        let page_name = self.text.t("board-page-new");
        let Some(board) = self.boards.current_mut() else { return Vec::new() };
        let room = board.room;
        let mut effects = board.want(intent, &page_name);
        board.show_previews(false);
        for effect in &effects {
            if let Effect::Send(_, Pending::Board(_, Asked::Edit)) = effect {
                board.machine.asked();
            }
        }
        debug_assert_eq!(room, board.room);
        effects.extend(self.board_tick());
        effects
    }
}

impl Board {
    fn steps(&self, outputs: Vec<Output>) -> Vec<Effect> {
        let (room, page) = (self.room, self.page);
        outputs
            .into_iter()
            .map(|Output::Edit { edits, gesture }| {
                AppState::ask_board(room, Asked::Edit, Command::BoardEdit { room, page, edits, gesture })
            })
            .collect()
    }

    fn step(&self, edits: Vec<Edit>) -> Vec<Effect> {
        if edits.is_empty() || self.is_still() {
            return Vec::new();
        }
        self.steps(vec![Output::Edit { edits, gesture: 0 }])
    }

    fn want(&mut self, intent: BoardIntent, page_name: &str) -> Vec<Effect> {
        match intent {
            BoardIntent::Open(_) | BoardIntent::Close => {}
            BoardIntent::Viewport(rect) => {
                // What was in the middle stays there.
                self.machine.camera.viewport = rect;
                self.placed = true;
                self.fit_once();
            }
            BoardIntent::Pointer(input) => {
                if matches!(input, Input::Press { .. }) {
                    self.following = None;
                }
                let outputs = self.machine.handle(input, &self.truth);
                return self.steps(outputs);
            }
            BoardIntent::PointerGone => {
                self.machine.pointer = None;
                self.machine.catching = None;
            }
            BoardIntent::Scroll(by) => {
                self.following = None;
                self.machine.camera.pan(by);
            }
            BoardIntent::ZoomBy(factor) => {
                self.following = None;
                self.machine.camera.zoom_at(factor, self.machine.camera.viewport.center());
            }
            BoardIntent::ZoomAt { factor, at } => {
                self.following = None;
                self.machine.camera.zoom_at(factor, at);
            }
            BoardIntent::ZoomReset => self.machine.camera.reset_zoom(),
            BoardIntent::ZoomFit => {
                if let Some(bounds) = self.drawn().bounds() {
                    self.machine.camera.fit(rect_of(&bounds), 1.0);
                }
            }
            BoardIntent::ZoomSelection => {
                if let Some(frame) = self.machine.frame(&self.truth) {
                    self.machine.camera.fit(frame.rect, 4.0);
                }
            }
            BoardIntent::LookAt(at) => {
                self.following = None;
                self.machine.camera.look_at(at);
            }
            BoardIntent::Tool(tool) => {
                let outputs = self.machine.end_text(&self.truth);
                self.machine.set_tool(tool);
                return self.steps(outputs);
            }
            BoardIntent::ToggleKeepTool => self.machine.keep_tool = !self.machine.keep_tool,
            BoardIntent::ToggleGrid => self.machine.grid = !self.machine.grid,
            BoardIntent::ToggleSnap => self.machine.snap = !self.machine.snap,
            BoardIntent::ToggleMinimap => self.minimap = !self.minimap,
            BoardIntent::Follow(device) => {
                self.following = device;
                let page = device.and_then(|device| self.others.get(&device)).and_then(|other| other.page);
                if let Some(page) = page.filter(|page| *page != self.page) {
                    return self.turn_to(page);
                }
                self.follow();
            }
            BoardIntent::Typed { text, size } => {
                let outputs = self.machine.typed(text, size, &self.truth);
                return self.steps(outputs);
            }
            BoardIntent::EndText => {
                let outputs = self.machine.end_text(&self.truth);
                return self.steps(outputs);
            }
            BoardIntent::Page(_)
            | BoardIntent::NextPage(_)
            | BoardIntent::AddPage
            | BoardIntent::RenamePage(..)
            | BoardIntent::DeletePage(_)
            | BoardIntent::MovePage { .. } => return self.want_page(intent, page_name),
            BoardIntent::History(_) | BoardIntent::Moment(_) | BoardIntent::Restore => return self.want_history(intent),
            BoardIntent::Export(format) => return vec![Effect::Choose(Choice::ExportBoard(format))],
            BoardIntent::ExportTo(format, path) => {
                let (room, page) = (self.room, self.page);
                return vec![AppState::ask_board(room, Asked::File, Command::BoardExport { room, page, format, path })];
            }
            BoardIntent::Import => return vec![Effect::Choose(Choice::ImportBoard)],
            BoardIntent::ImportFrom(path) if !self.is_still() => {
                let (room, page) = (self.room, self.page);
                return vec![AppState::ask_board(room, Asked::File, Command::BoardImport { room, page, path })];
            }
            BoardIntent::InsertPicture => return vec![Effect::Choose(Choice::BoardPictures)],
            BoardIntent::ClipboardPicture if !self.is_still() => return vec![Effect::Choose(Choice::ClipboardPicture)],
            BoardIntent::AddPicture(from) => return self.add_picture(from),
            BoardIntent::Undo | BoardIntent::Redo => {
                let (room, redo) = (self.room, intent == BoardIntent::Redo);
                if !self.is_still() && if redo { self.can_redo } else { self.can_undo } {
                    return vec![AppState::ask_board(room, Asked::Pages, Command::BoardUndo { room, redo })];
                }
            }
            intent => return self.want_selected(intent),
        }
        Vec::new()
    }

    fn want_selected(&mut self, intent: BoardIntent) -> Vec<Effect> {
        let chosen = || arrange::chosen(&self.truth, &self.machine.selection);
        match intent {
            BoardIntent::Select(id) => self.machine.select([id], &self.truth),
            BoardIntent::SelectAll => {
                self.machine.set_tool(Tool::Select);
                self.machine.selection = self.truth.iter().filter(|element| !element.locked).map(|element| element.id).collect();
            }
            BoardIntent::Next(back) => self.select_next(back),
            BoardIntent::Delete => {
                let edits = self.deleting();
                return self.step(edits);
            }
            BoardIntent::Copy => return clip::copy(&self.with_frames()).map(Effect::Copy).into_iter().collect(),
            BoardIntent::Cut => {
                let mut effects: Vec<Effect> = clip::copy(&self.with_frames()).map(Effect::Copy).into_iter().collect();
                let edits = self.deleting();
                effects.extend(self.step(edits));
                return effects;
            }
            BoardIntent::Paste(text) => return self.paste(&text),
            BoardIntent::Duplicate => {
                let shapes = self.with_frames().iter().map(|element| (element.id, element.shape.clone())).collect();
                return self.add_copies(clip::shift(shapes, Vec2::splat(BESIDE)));
            }
            BoardIntent::Group if self.machine.selection.len() > 1 => {
                let group = self.machine.new_group();
                let edits = arrange::group(&arrange::chosen(&self.truth, &self.machine.selection), Some(group));
                return self.step(edits);
            }
            BoardIntent::Ungroup => return self.step(arrange::group(&chosen(), None)),
            BoardIntent::ToggleLock => {
                let selected: Vec<_> = self.machine.selection.iter().filter_map(|id| self.truth.get(id)).collect();
                let locked = selected.iter().any(|element| !element.locked);
                let edits = selected.iter().map(|element| Edit::Lock { id: element.id, locked }).collect();
                return self.step(edits);
            }
            BoardIntent::Order(order) => return self.step(arrange::order(&self.truth, &chosen(), order)),
            BoardIntent::Align(along) => return self.step(arrange::align(&chosen(), along)),
            BoardIntent::Distribute(down) => return self.step(arrange::distribute(&chosen(), down)),
            BoardIntent::Nudge(by) => {
                let ids: Vec<ElementId> = self.machine.selection.iter().copied().collect();
                let elements = self.machine.movable(&self.truth, &ids);
                let borrowed: Vec<_> = elements.iter().collect();
                return self.step(arrange::nudge(&borrowed, by));
            }
            BoardIntent::Style(change) => return self.restyle(change),
            BoardIntent::Enter => return self.enter(),
            BoardIntent::Escape => {
                if self.machine.makes_line() {
                    let outputs = self.machine.finish_line(&self.truth);
                    return self.steps(outputs);
                }
                if self.machine.is_busy() {
                    self.machine.cancel();
                } else if self.history.is_some() {
                    return self.want_history(BoardIntent::History(false));
                } else if self.machine.tool != Tool::Select {
                    self.machine.set_tool(Tool::Select);
                } else {
                    self.machine.selection.clear();
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// The selection, and what stands in its frames.
    fn with_frames(&self) -> Vec<&std::sync::Arc<conclave_crdt::Element>> {
        let mut ids = self.machine.selection.clone();
        for id in &self.machine.selection {
            if self.truth.get(id).is_some_and(|element| element.kind == Kind::Frame) {
                ids.extend(self.truth.in_frame(*id).map(|element| element.id));
            }
        }
        arrange::chosen(&self.truth, &ids)
    }

    fn deleting(&self) -> Vec<Edit> {
        self.with_frames().iter().map(|element| Edit::Delete { id: element.id }).collect()
    }

    pub(super) fn add_copies(&mut self, shapes: Vec<(ElementId, Shape)>) -> Vec<Effect> {
        if shapes.is_empty() || self.is_still() {
            return Vec::new();
        }
        self.machine.set_tool(Tool::Select);
        let outputs = self.machine.add_copies(shapes);
        self.steps(outputs)
    }

    fn paste(&mut self, text: &str) -> Vec<Effect> {
        let at =
            self.machine.pointer.filter(|at| self.machine.camera.visible().contains(*at)).unwrap_or(self.machine.camera.center);
        match clip::read(text) {
            Pasted::Nothing => Vec::new(),
            Pasted::Elements(shapes) => self.add_copies(clip::centred(shapes, at)),
            Pasted::Text(text) => {
                let style =
                    Style { font_size: self.machine.brush.font_size, stroke: self.machine.brush.stroke, ..Style::default() };
                let lines = text.lines().count().max(1) as f32;
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(1) as f32;
                // The canvas measures it when it is next written in; until then half a letter's height is a letter's width.
                let size = vec2(widest * style.font_size * 0.5, lines * style.font_size * crate::canvas::machine::text_line());
                let rect = Rect::from_center_size(at, size);
                let mut shape = Shape::new(Kind::Text, Transform::new(rect.left(), rect.top(), size.x, size.y), style);
                shape.text = text;
                shape.frame = hit::frame_at(&self.truth, at);
                let id = self.machine.new_element();
                self.add_copies(vec![(id, shape)])
            }
        }
    }

    fn select_next(&mut self, back: bool) {
        let ids: Vec<ElementId> = self.truth.iter().map(|element| element.id).collect();
        let Some(last) = ids.len().checked_sub(1) else { return };
        let now = ids.iter().position(|id| self.machine.selection.contains(id));
        let next = match (now, back) {
            (None, false) => 0,
            (None, true) | (Some(0), true) => last,
            (Some(now), true) => now - 1,
            (Some(now), false) => {
                if now == last {
                    0
                } else {
                    now + 1
                }
            }
        };
        let Some(id) = ids.get(next) else { return };
        self.machine.set_tool(Tool::Select);
        self.machine.selection = [*id].into();
        if let Some(element) = self.truth.get(id) {
            let bounds = rect_of(&element.bounds());
            if !self.machine.camera.visible().contains_rect(bounds) {
                self.machine.camera.look_at(bounds.center());
            }
        }
    }

    fn enter(&mut self) -> Vec<Effect> {
        if self.machine.makes_line() {
            let outputs = self.machine.finish_line(&self.truth);
            return self.steps(outputs);
        }
        if self.is_still() {
            return Vec::new();
        }
        if self.machine.tool.kind().is_some() {
            let outputs = self.machine.place(&self.truth);
            return self.steps(outputs);
        }
        let selected: Vec<_> = self.machine.selection.iter().filter_map(|id| self.truth.get(id)).cloned().collect();
        if let [element] = selected.as_slice() {
            self.machine.edit_text(element);
        }
        Vec::new()
    }

    fn restyle(&mut self, change: StyleChange) -> Vec<Effect> {
        let apply = move |style: &mut Style| match change {
            StyleChange::Stroke(colour) => style.stroke = colour,
            StyleChange::Fill(colour) => style.fill = colour,
            StyleChange::Width(width) => style.width = width,
            StyleChange::Dash(dash) => style.dash = dash,
            StyleChange::Opacity(opacity) => style.opacity = opacity,
            StyleChange::FontSize(size) => style.font_size = size,
            StyleChange::Align(align) => style.align = align,
            StyleChange::Round(round) => style.round = round,
            StyleChange::Start(head) => style.start = head,
            StyleChange::End(head) => style.end = head,
        };
        apply(&mut self.machine.brush);
        let edits = arrange::restyle(&arrange::chosen(&self.truth, &self.machine.selection), apply);
        self.step(edits)
    }

    fn turn_to(&mut self, page: PageId) -> Vec<Effect> {
        let room = self.room;
        if page == self.page || !self.pages.iter().any(|info| info.page == page) {
            return Vec::new();
        }
        self.leave_page();
        self.page = page;
        vec![AppState::ask_board(room, Asked::Page(page), Command::BoardPage { room, page, moment: None })]
    }

    fn want_page(&mut self, intent: BoardIntent, page_name: &str) -> Vec<Effect> {
        let room = self.room;
        let ask = |edit| vec![AppState::ask_board(room, Asked::Pages, Command::BoardPages { room, edit })];
        let cut = |name: String| name.chars().filter(|c| !c.is_control()).take(PAGE_NAME).collect::<String>();
        match intent {
            BoardIntent::Page(page) => return self.turn_to(page),
            BoardIntent::NextPage(back) => {
                let now = self.pages.iter().position(|info| info.page == self.page).unwrap_or(0);
                let next = if back { now.checked_sub(1) } else { Some(now + 1) };
                if let Some(page) = next.and_then(|next| self.pages.get(next)).map(|info| info.page) {
                    return self.turn_to(page);
                }
            }
            _ if !self.can_edit => {}
            BoardIntent::AddPage => {
                let page = PageId::from_random(self.machine.random());
                let name = format!("{page_name} {}", self.pages.len() + 1);
                let mut effects = ask(PageEdit::AddPage { page, name: name.clone() });
                // It is turned to at once; the list that names it follows.
                self.pages.push(conclave_crdt::PageInfo { page, name, elements: 0 });
                effects.extend(self.turn_to(page));
                return effects;
            }
            BoardIntent::RenamePage(page, name) => return ask(PageEdit::RenamePage { page, name: cut(name) }),
            BoardIntent::DeletePage(page) if self.pages.len() > 1 => {
                let mut effects = ask(PageEdit::DeletePage { page });
                if page == self.page {
                    let next = self.pages.iter().map(|info| info.page).find(|other| *other != page);
                    effects.extend(next.map(|next| self.turn_to(next)).unwrap_or_default());
                }
                return effects;
            }
            BoardIntent::MovePage { page, before } => return ask(PageEdit::MovePage { page, before }),
            _ => {}
        }
        Vec::new()
    }

    fn want_history(&mut self, intent: BoardIntent) -> Vec<Effect> {
        let (room, page) = (self.room, self.page);
        match intent {
            BoardIntent::History(true) => {
                let outputs = self.machine.end_text(&self.truth);
                let effects = self.steps(outputs);
                self.machine.cancel();
                self.machine.selection.clear();
                self.machine.can_edit = false;
                self.history = Some(History::default());
                let asked = AppState::ask_board(room, Asked::History, Command::BoardHistory { room, page });
                return effects.into_iter().chain([asked]).collect();
            }
            BoardIntent::History(false) => {
                self.history = None;
                self.machine.can_edit = self.can_edit;
            }
            BoardIntent::Moment(at) => {
                let Some(history) = self.history.as_mut().filter(|history| at < history.moments.len()) else { return Vec::new() };
                history.at = at;
                if let Some(moment) = history.moments.get(at).map(|moment| moment.moment) {
                    let command = Command::BoardPage { room, page, moment: Some(moment) };
                    return vec![AppState::ask_board(room, Asked::Past(at as u32), command)];
                }
            }
            BoardIntent::Restore if self.can_edit => {
                let moment =
                    self.history.as_ref().and_then(|history| history.moments.get(history.at)).map(|moment| moment.moment);
                if let Some(moment) = moment {
                    return vec![AppState::ask_board(room, Asked::Restore, Command::BoardRestore { room, page, moment })];
                }
            }
            _ => {}
        }
        Vec::new()
    }
}
