//! Lines and arrows: by dragging, or point by point with clicks; their ends hold on to what they are let go at.

use conclave_crdt::{Edit, ElementId, Kind, PageView, Place, Point, Shape};
use egui::Pos2;

use super::{DRAG, Gesture, Machine, Output, Pointer};
use crate::canvas::selection::on_ray;
use crate::canvas::tool::{Tool, style_for};
use crate::canvas::{bind, pos_of};

impl Machine {
    pub(super) fn begin_line(&mut self, pointer: Pointer, at: Pos2, view: &PageView) {
        let id = self.new_element();
        let from = self.on_grid(at, &pointer);
        let tool = self.tool;
        self.gesture = Gesture::Line { id, tool, points: vec![from], pressed_at: pointer.at, clicking: false };
        self.catching = self.caught(tool, from, pointer, view);
    }

    fn caught(&self, tool: Tool, at: Pos2, pointer: Pointer, view: &PageView) -> Option<ElementId> {
        if tool != Tool::Arrow || pointer.ctrl {
            return None;
        }
        bind::target(view, at, bind::REACH * self.px(), None).map(|element| element.id)
    }

    pub(super) fn line_moved(&mut self, id: ElementId, tool: Tool, points: &[Pos2], at: Pos2, pointer: Pointer, view: &PageView) {
        let end = self.line_end(points, at, pointer);
        self.catching = self.caught(tool, end, pointer, view);
        let shape = self.line_shape(tool, points.iter().copied().chain([end]), pointer, view);
        self.preview(id, shape);
    }

    fn line_end(&self, points: &[Pos2], at: Pos2, pointer: Pointer) -> Pos2 {
        match points.last() {
            Some(last) if pointer.shift => on_ray(*last, at),
            _ => self.on_grid(at, &pointer),
        }
    }

    fn line_shape(&self, tool: Tool, points: impl Iterator<Item = Pos2>, pointer: Pointer, view: &PageView) -> Shape {
        let points: Vec<Point> = points.map(|at| Point::new(at.x, at.y)).collect();
        let kind = tool.kind().unwrap_or(Kind::Line);
        let mut shape = Shape::through(kind, &points, style_for(kind, &self.brush));
        if kind == Kind::Arrow && !pointer.ctrl {
            let reach = bind::REACH * self.px();
            let hold = |at: Option<&Point>| {
                let at = pos_of(at?);
                bind::target(view, at, reach, None).map(|element| bind::to(element, at))
            };
            shape.start = hold(points.first());
            shape.end = hold(points.last());
            // Both ends on one thing would be an arrow of no length.
            if shape.start.map(|binding| binding.target) == shape.end.map(|binding| binding.target) {
                shape.start = None;
                shape.end = None;
            }
        }
        shape
    }

    /// The button goes down while a line is made point by point.
    pub(super) fn line_pressed(&mut self, pointer: Pointer, double: bool, view: &PageView) -> Vec<Output> {
        let at = self.camera.to_page(pointer.at);
        if double {
            return self.finish_line(view);
        }
        let px = self.px();
        let Gesture::Line { points, .. } = &self.gesture else { return Vec::new() };
        let end = self.line_end(points, at, pointer);
        let again = points.last().is_some_and(|last| (*last - end).length() < DRAG * px);
        if again {
            return self.finish_line(view);
        }
        if let Gesture::Line { points, pressed_at, .. } = &mut self.gesture {
            points.push(end);
            *pressed_at = pointer.at;
        }
        Vec::new()
    }

    /// The button goes up: a drag is a line of two points, a click begins one of many.
    pub(super) fn line_released(&mut self, pointer: Pointer, view: &PageView) -> Vec<Output> {
        let at = self.camera.to_page(pointer.at);
        let Gesture::Line { id, tool, points, pressed_at, clicking } = &mut self.gesture else { return Vec::new() };
        if *clicking {
            return Vec::new();
        }
        if Self::went(*pressed_at, &pointer).length() < DRAG {
            *clicking = true;
            return Vec::new();
        }
        let (id, tool, mut points) = (*id, *tool, points.clone());
        points.push(self.line_end(&points, at, pointer));
        let shape = self.line_shape(tool, points.into_iter(), pointer, view);
        self.gesture = Gesture::None;
        self.catching = None;
        self.add(id, shape)
    }

    /// Enter, Escape or a second click on the last point: the line is done.
    pub fn finish_line(&mut self, view: &PageView) -> Vec<Output> {
        let Gesture::Line { id, tool, points, .. } = std::mem::replace(&mut self.gesture, Gesture::None) else {
            return Vec::new();
        };
        self.catching = None;
        if points.len() < 2 {
            self.previews.remove(&id);
            self.revision += 1;
            return Vec::new();
        }
        let shape = self.line_shape(tool, points.into_iter(), Pointer::at(Pos2::ZERO), view);
        self.add(id, shape)
    }

    /// A line is being made point by point.
    pub fn makes_line(&self) -> bool {
        matches!(self.gesture, Gesture::Line { clicking: true, .. })
    }

    /// A point of a line is pulled. The line's own points are written as they lie on the page, so that its box follows.
    pub(super) fn drag_point(&mut self, id: ElementId, index: usize, at: Pos2, pointer: Pointer, view: &PageView) {
        let Some(element) = view.get(&id) else { return };
        let mut points = view.points(element);
        let count = points.len();
        let neighbour = if index > 0 { points.get(index - 1) } else { points.get(1) };
        let to = match neighbour {
            Some(neighbour) if pointer.shift => on_ray(pos_of(neighbour), at),
            _ => self.on_grid(at, &pointer),
        };
        if let Some(point) = points.get_mut(index) {
            (point.x, point.y) = (to.x, to.y);
        }
        let mut shape = Shape { start: element.start, end: element.end, ..Shape::through(element.kind, &points, element.style) };
        shape.text.clone_from(&element.text);
        (shape.frame, shape.group, shape.locked) = (element.frame, element.group, element.locked);
        self.catching = None;
        if element.kind == Kind::Arrow && (index == 0 || index + 1 == count) {
            let caught = if pointer.ctrl { None } else { bind::target(view, to, bind::REACH * self.px(), Some(id)) };
            let binding = caught.map(|target| bind::to(target, to));
            self.catching = caught.map(|target| target.id);
            if index == 0 {
                shape.start = binding;
            } else {
                shape.end = binding;
            }
        }
        self.preview(id, shape);
    }

    /// Puts a new element on the page, and selects it.
    pub(super) fn add(&mut self, id: ElementId, mut shape: Shape) -> Vec<Output> {
        if !self.can_edit {
            return Vec::new();
        }
        if shape.frame == Some(id) {
            shape.frame = None;
        }
        let pen = shape.kind == Kind::Pen;
        self.preview(id, shape.clone());
        if let Some(preview) = self.previews.get_mut(&id) {
            preview.sent = true;
        }
        if !pen {
            self.selection = [id].into();
            if !self.keep_tool {
                self.tool = Tool::Select;
            } else {
                self.selection.clear();
            }
        }
        self.ask(vec![Edit::Add { id, shape, place: Place::Front }])
    }
}
