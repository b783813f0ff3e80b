//! The button goes up: what was previewed is asked for.

use std::collections::BTreeMap;

use conclave_crdt::{Edit, ElementId, Kind, PageView, Place, Shape, Transform};
use egui::{Pos2, pos2};

use super::{DRAG, Gesture, Machine, Output, Pointer};
use crate::canvas::tool::{Tool, style_for};
use crate::canvas::{hit, rect_of, selection};

/// Side of a note that is placed with a click, in px.
const NOTE: f32 = 200.0;
/// Size of a shape that is placed with a click or by the keyboard.
const CLICKED: (f32, f32) = (160.0, 100.0);

impl Machine {
    pub(super) fn release(&mut self, pointer: Pointer, view: &PageView) -> Vec<Output> {
        if matches!(self.gesture, Gesture::Line { .. }) {
            return self.line_released(pointer, view);
        }
        self.drag(pointer, view);
        let at = self.camera.to_page(pointer.at);
        self.guides.clear();
        self.marquee = None;
        self.catching = None;
        match std::mem::replace(&mut self.gesture, Gesture::None) {
            Gesture::Move { ids, moved: true, .. } => self.moved(&ids, pointer.alt, view),
            Gesture::Move { click: Some(id), moved: false, .. } if !pointer.shift => {
                // A click on one of several selects that one.
                self.select([id], view);
                Vec::new()
            }
            Gesture::Resize { ids, .. } | Gesture::Turn { ids, .. } => self.settle(&ids, view),
            Gesture::Point { id, .. } => self.settle(&[id], view),
            Gesture::Draw { id, tool, from } => self.drawn(id, tool, from, at, view),
            Gesture::Stroke { id, mut stroke } => {
                let points = if pointer.shift { stroke.points().to_vec() } else { stroke.finish(at, self.px()) };
                let mut shape = Shape::through(Kind::Pen, &points, style_for(Kind::Pen, &self.brush));
                shape.frame = self.frame_of(&shape, view);
                self.add(id, shape)
            }
            Gesture::Erase { .. } => {
                let gone = std::mem::take(&mut self.erasing);
                self.selection.retain(|id| !gone.contains(id));
                self.revision += 1;
                self.ask(gone.into_iter().filter(|id| view.get(id).is_some()).map(|id| Edit::Delete { id }).collect())
            }
            Gesture::Laser => {
                self.laser = None;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn frame_of(&self, shape: &Shape, view: &PageView) -> Option<ElementId> {
        if shape.kind == Kind::Frame {
            return None;
        }
        let (x, y) = shape.transform.center();
        hit::frame_at(view, pos2(x, y))
    }

    /// What was previewed is asked for, and shown until it is there.
    fn settle(&mut self, ids: &[ElementId], view: &PageView) -> Vec<Output> {
        let mut edits = Vec::new();
        for id in ids {
            let (Some(element), Some(preview)) = (view.get(id), self.previews.get_mut(id)) else { continue };
            let wanted = selection::edits(element, &preview.shape);
            if wanted.is_empty() {
                self.previews.remove(id);
            } else {
                preview.sent = true;
                edits.extend(wanted);
            }
        }
        self.revision += 1;
        self.ask(edits)
    }

    fn moved(&mut self, ids: &[ElementId], copy: bool, view: &PageView) -> Vec<Output> {
        let moving: Vec<ElementId> = self.movable(view, ids).iter().map(|element| element.id).collect();
        if copy {
            let shapes: Vec<(ElementId, Shape)> =
                moving.iter().filter_map(|id| Some((*id, self.previews.remove(id)?.shape))).collect();
            self.revision += 1;
            return self.add_copies(shapes);
        }
        for id in &moving {
            let Some(mut shape) = self.previews.get(id).map(|preview| preview.shape.clone()) else { continue };
            // What is dropped on a frame belongs to it; what goes along with its own frame stays in it.
            if shape.frame.is_none_or(|frame| !moving.contains(&frame)) {
                shape.frame = self.frame_of(&shape, view).filter(|frame| frame != id);
            }
            // An arrow that is moved by itself lets go.
            if shape.kind == Kind::Arrow {
                self.let_go(*id, &mut shape, &moving, view);
            }
            self.preview(*id, shape);
        }
        self.settle(&moving, view)
    }

    /// The arrow is drawn from its fixed points: moved alone it must be let go, and its own points put where they are seen.
    fn let_go(&self, id: ElementId, shape: &mut Shape, moving: &[ElementId], view: &PageView) {
        let kept = |binding: &conclave_crdt::Binding| moving.contains(&binding.target);
        let Some(element) = view.get(&id) else { return };
        let loose = [element.start, element.end].into_iter().flatten().any(|binding| !kept(&binding));
        if !loose {
            return;
        }
        let by = (shape.transform.x - element.transform.x, shape.transform.y - element.transform.y);
        let mut points = view.points(element);
        for point in &mut points {
            point.x += by.0;
            point.y += by.1;
        }
        let placed = Shape::through(Kind::Arrow, &points, shape.style);
        shape.transform = placed.transform;
        shape.points = placed.points;
        shape.start = shape.start.filter(kept);
        shape.end = shape.end.filter(kept);
    }

    /// New elements like these, holding on to each other as they did.
    pub fn add_copies(&mut self, shapes: Vec<(ElementId, Shape)>) -> Vec<Output> {
        let names: BTreeMap<ElementId, ElementId> = shapes.iter().map(|(id, _)| (*id, self.ids.element())).collect();
        let mut groups = BTreeMap::new();
        let mut edits = Vec::new();
        self.selection.clear();
        for (id, mut shape) in shapes {
            let Some(new) = names.get(&id).copied() else { continue };
            for binding in [&mut shape.start, &mut shape.end] {
                *binding = binding.and_then(|old| Some(conclave_crdt::Binding { target: *names.get(&old.target)?, ..old }));
            }
            shape.frame = shape.frame.map(|frame| names.get(&frame).copied().unwrap_or(frame));
            shape.group = shape.group.map(|group| *groups.entry(group).or_insert_with(|| self.ids.group()));
            shape.locked = false;
            self.preview(new, shape.clone());
            if let Some(preview) = self.previews.get_mut(&new) {
                preview.sent = true;
            }
            self.selection.insert(new);
            edits.push(Edit::Add { id: new, shape, place: Place::Front });
        }
        self.ask(edits)
    }

    fn drawn(&mut self, id: ElementId, tool: Tool, from: Pos2, at: Pos2, view: &PageView) -> Vec<Output> {
        let Some(preview) = self.previews.remove(&id) else { return Vec::new() };
        self.revision += 1;
        let mut shape = preview.shape;
        let small =
            rect_of(&shape.transform.rect()).size().max_elem() < DRAG * self.px() && (at - from).length() < DRAG * self.px();
        if small {
            if tool != Tool::Note {
                // A click without a drag makes nothing and leaves the tool.
                return Vec::new();
            }
            shape.transform = Transform::new(at.x - NOTE / 2.0, at.y - NOTE / 2.0, NOTE, NOTE);
        }
        if shape.kind == Kind::Frame {
            return self.add_frame(id, shape, view);
        }
        shape.frame = self.frame_of(&shape, view);
        let note = shape.kind == Kind::Note;
        let out = self.add(id, shape.clone());
        if note && !out.is_empty() {
            self.edit_new(id, shape);
        }
        out
    }

    /// A frame takes in what lies in it, and stands below it.
    fn add_frame(&mut self, id: ElementId, shape: Shape, view: &PageView) -> Vec<Output> {
        let area = rect_of(&shape.transform.rect());
        let inside: Vec<ElementId> = hit::within(view, area)
            .into_iter()
            .filter(|id| view.get(id).is_some_and(|element| element.kind != Kind::Frame && element.frame.is_none()))
            .collect();
        let place = inside.first().map_or(Place::Front, |lowest| Place::Below(*lowest));
        let mut out = self.add(id, shape);
        if let Some(Output::Edit { edits, .. }) = out.first_mut() {
            if let Some(Edit::Add { place: at, .. }) = edits.first_mut() {
                *at = place;
            }
            edits.extend(inside.into_iter().map(|element| Edit::Frame { id: element, frame: Some(id) }));
        }
        out
    }

    /// By the keyboard: an element of the tool in the middle of what is seen.
    pub fn place(&mut self, view: &PageView) -> Vec<Output> {
        let Some(kind) = self.tool.kind().filter(|_| self.can_edit) else { return Vec::new() };
        let middle = self.camera.center;
        let (w, h) = if kind == Kind::Note { (NOTE, NOTE) } else { CLICKED };
        let rect = egui::Rect::from_center_size(middle, egui::vec2(w, h));
        match kind {
            Kind::Text => {
                self.begin_text(middle, view);
                Vec::new()
            }
            Kind::Line | Kind::Arrow | Kind::Pen => {
                let points = [rect.left_center(), rect.right_center()].map(|at| conclave_crdt::Point::new(at.x, at.y));
                let id = self.new_element();
                let shape = Shape::through(kind, &points, style_for(kind, &self.brush));
                self.add(id, shape)
            }
            _ => {
                let id = self.new_element();
                let shape = Shape::new(kind, Transform::new(rect.left(), rect.top(), w, h), style_for(kind, &self.brush));
                if kind == Kind::Frame { self.add_frame(id, shape, view) } else { self.add(id, shape) }
            }
        }
    }
}
