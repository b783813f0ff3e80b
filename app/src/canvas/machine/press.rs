//! A button goes down: which gesture begins.

use conclave_crdt::{Kind, PageView, Shape, Transform};
use egui::Pos2;

use super::{Button, Gesture, Machine, Output, Pointer};
use crate::canvas::selection::Handle;
use crate::canvas::stroke::Stroke;
use crate::canvas::tool::{Tool, style_for};
use crate::canvas::{bind, hit};

impl Machine {
    pub(super) fn press(&mut self, pointer: Pointer, button: Button, double: bool, hand: bool, view: &PageView) -> Vec<Output> {
        let at = self.camera.to_page(pointer.at);
        self.pointer = Some(at);
        let mut out = self.end_text(view);
        if button == Button::Middle || hand || (self.tool == Tool::Hand && button == Button::Primary) {
            self.gesture = Gesture::Pan { last: pointer.at };
            return out;
        }
        if button == Button::Secondary {
            self.press_secondary(at, view);
            return out;
        }
        if let Gesture::Line { .. } = self.gesture {
            out.extend(self.line_pressed(pointer, double, view));
            return out;
        }
        match self.tool {
            Tool::Select if double => out.extend(self.open(at, view)),
            Tool::Select => self.press_select(pointer, at, view),
            Tool::Laser => {
                self.gesture = Gesture::Laser;
                self.laser = Some(at);
            }
            _ if !self.can_edit => {}
            Tool::Eraser => {
                self.gesture = Gesture::Erase { last: at };
                self.erase_between(at, at, pointer.alt, view);
            }
            Tool::Pen => {
                let id = self.new_element();
                let mut stroke = Stroke::default();
                stroke.push(at, pointer.pressure, self.px());
                let shape = Shape::through(Kind::Pen, stroke.points(), style_for(Kind::Pen, &self.brush));
                self.preview(id, shape);
                self.gesture = Gesture::Stroke { id, stroke };
            }
            Tool::Text => self.begin_text(self.on_grid(at, &pointer), view),
            Tool::Line | Tool::Arrow => self.begin_line(pointer, at, view),
            Tool::Rect | Tool::Diamond | Tool::Ellipse | Tool::Note | Tool::Frame => {
                let id = self.new_element();
                let from = self.on_grid(at, &pointer);
                if let Some(kind) = self.tool.kind() {
                    self.preview(id, Shape::new(kind, Transform::new(from.x, from.y, 0.0, 0.0), style_for(kind, &self.brush)));
                }
                self.gesture = Gesture::Draw { id, tool: self.tool, from };
            }
            Tool::Hand => {}
        }
        out
    }

    /// What the context menu is about: what lies under the pointer, selected if it was not.
    fn press_secondary(&mut self, at: Pos2, view: &PageView) {
        let hit = hit::topmost(view, at, hit::REACH * self.px(), true).map(|element| element.id);
        match hit {
            Some(id) if !self.selection.contains(&id) => self.select([id], view),
            Some(_) => {}
            None => {
                let inside = self.frame(view).is_some_and(|frame| frame.rect.contains(frame.turn_back(at)));
                if !inside {
                    self.selection.clear();
                }
            }
        }
    }

    fn press_select(&mut self, pointer: Pointer, at: Pos2, view: &PageView) {
        if let Some(handle) = self.handle_at(at, view) {
            let ids: Vec<_> = self.selection.iter().copied().collect();
            let frame = self.frame(view);
            self.gesture = match (handle, frame, ids.first()) {
                (Handle::Point(index), _, Some(id)) => Gesture::Point { id: *id, index },
                (Handle::Turn, Some(frame), _) => Gesture::Turn { frame, ids },
                (Handle::Side(x, y), Some(frame), _) => Gesture::Resize { frame, side: (x, y), ids },
                _ => Gesture::None,
            };
            return;
        }
        let hit = hit::topmost(view, at, hit::REACH * self.px(), false).map(|element| element.id);
        // Within the box of what is selected the press moves it, also where an outline is hollow.
        let on_selection = self.frame(view).is_some_and(|frame| frame.rect.contains(frame.turn_back(at)));
        match hit {
            Some(id) if pointer.shift => {
                let group = self.with_groups([id], view);
                if self.selection.contains(&id) {
                    self.selection.retain(|id| !group.contains(id));
                } else {
                    self.selection.extend(group);
                }
                self.begin_move(pointer, None);
            }
            Some(id) if self.selection.contains(&id) => self.begin_move(pointer, Some(id)),
            Some(id) => {
                let leaves = view.get(&id).is_none_or(|element| element.group != self.inside);
                if leaves {
                    self.inside = None;
                }
                self.select([id], view);
                self.begin_move(pointer, None);
            }
            None if on_selection && !pointer.shift => self.begin_move(pointer, None),
            None => {
                let before = if pointer.shift { self.selection.clone() } else { Default::default() };
                if !pointer.shift {
                    self.selection.clear();
                    self.inside = None;
                }
                self.gesture = Gesture::Marquee { from: at, before };
            }
        }
    }

    fn begin_move(&mut self, pointer: Pointer, click: Option<conclave_crdt::ElementId>) {
        let ids = self.selection.iter().copied().collect();
        self.gesture = Gesture::Move { from: pointer.at, ids, moved: false, click };
    }

    /// Two clicks: into a group, or into the text of what is there, or a new text.
    fn open(&mut self, at: Pos2, view: &PageView) -> Vec<Output> {
        let hit = hit::topmost(view, at, hit::REACH * self.px(), false).cloned();
        match hit {
            Some(element) if element.group.is_some() && element.group != self.inside => {
                self.inside = element.group;
                self.selection = [element.id].into();
                Vec::new()
            }
            Some(element) if self.can_edit && has_text(element.kind) => {
                self.edit_text(&element);
                Vec::new()
            }
            Some(_) => Vec::new(),
            None => {
                // A hollow shape is meant by two clicks into it.
                let around =
                    bind::target(view, at, 0.0, None).filter(|element| has_text(element.kind) && !element.locked).cloned();
                match around {
                    Some(element) if self.can_edit => self.edit_text(&element),
                    _ if self.can_edit => self.begin_text(at, view),
                    _ => {}
                }
                Vec::new()
            }
        }
    }
}

/// Something can be written in it.
pub(super) fn has_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Note | Kind::Rect | Kind::Ellipse | Kind::Diamond | Kind::Frame)
}
