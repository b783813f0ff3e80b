//! The pointer moves: what the gesture makes of it, as previews.

use std::collections::BTreeSet;
use std::sync::Arc;

use conclave_crdt::{Element, ElementId, Kind, PageView, Shape, Transform};
use egui::{Pos2, Rect, Vec2, vec2};

use super::{DRAG, Gesture, Machine, Pointer};
use crate::canvas::selection::{self, Frame, Pull};
use crate::canvas::snap::{self, Sides};
use crate::canvas::tool::{Tool, style_for};
use crate::canvas::{hit, rect_of};

impl Machine {
    pub(super) fn drag(&mut self, pointer: Pointer, view: &PageView) {
        let at = self.camera.to_page(pointer.at);
        self.guides.clear();
        // The gesture is put back below: it is taken out so that its parts can be used while the machine changes.
        let mut gesture = std::mem::replace(&mut self.gesture, Gesture::None);
        match &mut gesture {
            Gesture::None => self.hover(at, view),
            Gesture::Pan { last } => {
                self.camera.pan(pointer.at - *last);
                *last = pointer.at;
            }
            Gesture::Marquee { from, before } => {
                let area = Rect::from_two_pos(*from, at);
                self.marquee = Some(area);
                let inside = hit::within(view, area);
                self.selection = self.with_groups(inside, view);
                self.selection.extend(before.iter().copied());
            }
            Gesture::Move { from, ids, moved, .. } => {
                if *moved || Self::went(*from, &pointer).length() >= DRAG {
                    *moved = true;
                    self.drag_selection(*from, ids, pointer, view);
                }
            }
            Gesture::Resize { frame, side, ids } => self.drag_side(frame, *side, ids, at, pointer, view),
            Gesture::Turn { frame, ids } => {
                let elements = changeable(view, ids);
                let borrowed: Vec<&Element> = elements.iter().map(AsRef::as_ref).collect();
                let shapes = selection::rotate(frame, &borrowed, selection::turned(frame, at, pointer.shift));
                for (element, shape) in elements.iter().zip(shapes) {
                    self.preview(element.id, shape);
                }
            }
            Gesture::Point { id, index } => self.drag_point(*id, *index, at, pointer, view),
            Gesture::Draw { id, tool, from } => self.drag_shape(*id, *tool, *from, at, pointer, view),
            Gesture::Stroke { id, stroke } => {
                if pointer.shift {
                    // A straight stroke, from where it began.
                    if let Some(first) = stroke.points().first().copied() {
                        let end = selection::on_ray(Pos2::new(first.x, first.y), at);
                        *stroke = Default::default();
                        stroke.push(Pos2::new(first.x, first.y), first.pressure, self.px());
                        let _ = stroke.finish(end, self.px());
                    }
                } else {
                    stroke.push(at, pointer.pressure, self.px());
                }
                let shape = Shape::through(Kind::Pen, stroke.points(), style_for(Kind::Pen, &self.brush));
                self.preview(*id, shape);
            }
            Gesture::Line { id, tool, points, pressed_at, clicking } => {
                let _ = (pressed_at, clicking);
                self.line_moved(*id, *tool, points, at, pointer, view);
            }
            Gesture::Erase { last } => {
                self.erase_between(*last, at, pointer.alt, view);
                *last = at;
            }
            Gesture::Laser => self.laser = Some(at),
        }
        if matches!(self.gesture, Gesture::None) {
            self.gesture = gesture;
        }
    }

    /// Nothing is held: what an arrow would catch here.
    fn hover(&mut self, at: Pos2, view: &PageView) {
        self.catching = match self.tool {
            Tool::Arrow => {
                crate::canvas::bind::target(view, at, crate::canvas::bind::REACH * self.px(), None).map(|element| element.id)
            }
            _ => None,
        };
    }

    fn drag_selection(&mut self, from: Pos2, ids: &[ElementId], pointer: Pointer, view: &PageView) {
        let mut by = Self::went(from, &pointer) * self.px();
        if pointer.shift {
            by = if by.x.abs() > by.y.abs() { vec2(by.x, 0.0) } else { vec2(0.0, by.y) };
        }
        let elements = self.movable(view, ids);
        let Some(frame) = Frame::around(elements.iter().map(|element| &element.shape)) else { return };
        let bounds = if elements.len() == 1 {
            elements.first().map_or(frame.rect, |element| rect_of(&element.transform.bounds()))
        } else {
            frame.rect
        };
        if self.grid && !pointer.ctrl {
            let to = snap::to_grid(bounds.min + by, super::GRID);
            by = to - bounds.min;
        } else if self.snap && !pointer.ctrl {
            let moving: Vec<ElementId> = elements.iter().map(|element| element.id).collect();
            let neighbours = self.neighbours(view, &moving);
            let (correction, guides) = snap::snap(bounds.translate(by), Sides::ALL, &neighbours, snap::REACH * self.px());
            let free = if pointer.shift {
                vec2(if by.x == 0.0 { 0.0 } else { 1.0 }, if by.y == 0.0 { 0.0 } else { 1.0 })
            } else {
                Vec2::splat(1.0)
            };
            by += correction * free;
            self.guides = guides;
        }
        for element in &elements {
            self.preview(element.id, selection::moved(element, by));
        }
    }

    /// The elements that move with these: what stands in a frame goes with it.
    pub fn movable(&self, view: &PageView, ids: &[ElementId]) -> Vec<Arc<Element>> {
        let mut all: BTreeSet<ElementId> = ids.iter().copied().collect();
        for id in ids {
            if view.get(id).is_some_and(|element| element.kind == Kind::Frame) {
                all.extend(view.in_frame(*id).map(|element| element.id));
            }
        }
        if !self.can_edit {
            return Vec::new();
        }
        all.iter().filter_map(|id| view.get(id)).filter(|element| !element.locked).cloned().collect()
    }

    fn drag_side(&mut self, frame: &Frame, side: (i8, i8), ids: &[ElementId], at: Pos2, pointer: Pointer, view: &PageView) {
        let elements = changeable(view, ids);
        let borrowed: Vec<&Element> = elements.iter().map(AsRef::as_ref).collect();
        let mut to = self.on_grid(at, &pointer);
        let pull = Pull { keep: pointer.shift, middle: pointer.alt };
        if self.snap && !self.grid && !pointer.ctrl && frame.angle == 0.0 && !pull.keep {
            let sides = Sides { x: [side.0 < 0, false, side.0 > 0], y: [side.1 < 0, false, side.1 > 0] };
            let edge = Rect::from_two_pos(to, to);
            let neighbours = self.neighbours(view, ids);
            let (by, guides) = snap::snap(edge, sides, &neighbours, snap::REACH * self.px());
            to += by;
            self.guides = guides;
        }
        for (element, shape) in elements.iter().zip(selection::resize(frame, &borrowed, side, to, pull)) {
            self.preview(element.id, shape);
        }
    }

    fn drag_shape(&mut self, id: ElementId, tool: Tool, from: Pos2, at: Pos2, pointer: Pointer, view: &PageView) {
        let Some(kind) = tool.kind() else { return };
        let mut to = self.on_grid(at, &pointer);
        if self.snap && !self.grid && !pointer.ctrl && !pointer.shift {
            let sides = Sides { x: [false, false, true], y: [false, false, true] };
            let neighbours = self.neighbours(view, &[id]);
            let (by, guides) = snap::snap(Rect::from_two_pos(to, to), sides, &neighbours, snap::REACH * self.px());
            to += by;
            self.guides = guides;
        }
        if pointer.shift {
            to = selection::square(from, to);
        }
        let rect = if pointer.alt { Rect::from_two_pos(from - (to - from), to) } else { Rect::from_two_pos(from, to) };
        let transform = Transform::new(rect.left(), rect.top(), rect.width(), rect.height());
        self.preview(id, Shape::new(kind, transform, style_for(kind, &self.brush)));
    }

    /// Marks what the eraser went over; with Alt it is spared again.
    pub(super) fn erase_between(&mut self, from: Pos2, to: Pos2, spare: bool, view: &PageView) {
        let reach = hit::REACH * self.px();
        let steps = ((to - from).length() / (2.0 * reach)).ceil().clamp(1.0, 200.0) as usize;
        for step in 0..=steps {
            let at = from + (to - from) * (step as f32 / steps as f32);
            let area = crate::canvas::page_rect(Rect::from_center_size(at, Vec2::splat(2.0 * reach)));
            let hit: Vec<ElementId> = view
                .in_rect(area)
                .into_iter()
                .filter(|element| !element.locked && hit::hits(view, element, at, reach))
                .map(|element| element.id)
                .collect();
            for id in self.with_groups(hit, view) {
                let changed = if spare { self.erasing.remove(&id) } else { self.erasing.insert(id) };
                self.revision += u64::from(changed);
            }
        }
    }
}

/// Of these elements those that are there and may be changed.
fn changeable(view: &PageView, ids: &[ElementId]) -> Vec<Arc<Element>> {
    ids.iter().filter_map(|id| view.get(id)).filter(|element| !element.locked).cloned().collect()
}
