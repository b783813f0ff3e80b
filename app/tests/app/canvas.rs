//! The tools on a real document: what a pointer does is asked for as edits, and the document takes them.

use conclave::canvas::machine::{Button, Input, Machine, Output, Pointer};
use conclave::canvas::tool::Tool;
use conclave_crdt::*;
use egui::{Pos2, pos2};

/// A page, and a person before it. The camera looks at the origin at 100 %: the page's (0, 0) is the screen's (400, 300).
struct Paper {
    board: Board,
    machine: Machine,
    refused: Vec<EditError>,
}

impl Paper {
    fn new() -> Self {
        Self { board: Board::new(Actor([3; 16]), 9).unwrap(), machine: Machine::new(11), refused: vec![] }
    }

    fn view(&self) -> PageView {
        self.board.page(PageId::FIRST).unwrap().clone()
    }

    fn take(&mut self, outputs: Vec<Output>) {
        for Output::Edit { edits, gesture } in outputs {
            self.machine.asked();
            match self.board.edit(PageId::FIRST, &edits, gesture) {
                Ok(changed) => changed.deltas.iter().for_each(|delta| self.machine.page_changed(delta)),
                Err(error) => self.refused.push(error),
            }
            let view = self.view();
            self.machine.answered(&view);
        }
    }

    fn input(&mut self, input: Input) {
        let outputs = self.machine.handle(input, &self.view());
        self.take(outputs);
    }

    fn at(&self, x: f32, y: f32) -> Pointer {
        Pointer::at(self.machine.camera.to_screen(pos2(x, y)))
    }

    fn press(&mut self, pointer: Pointer) {
        self.input(Input::Press { pointer, button: Button::Primary, double: false, hand: false });
    }

    fn drag_with(&mut self, from: (f32, f32), to: (f32, f32), change: impl Fn(&mut Pointer)) {
        let mut pointer = self.at(from.0, from.1);
        change(&mut pointer);
        self.press(pointer);
        for step in 1..=8 {
            let t = step as f32 / 8.0;
            let mut pointer = self.at(from.0 + (to.0 - from.0) * t, from.1 + (to.1 - from.1) * t);
            change(&mut pointer);
            self.input(Input::Move(pointer));
        }
        let mut pointer = self.at(to.0, to.1);
        change(&mut pointer);
        self.input(Input::Release(pointer));
    }

    fn drag(&mut self, from: (f32, f32), to: (f32, f32)) {
        self.drag_with(from, to, |_| {});
    }

    fn click(&mut self, x: f32, y: f32) {
        self.press(self.at(x, y));
        self.input(Input::Release(self.at(x, y)));
    }

    fn double_click(&mut self, x: f32, y: f32) {
        self.click(x, y);
        self.input(Input::Press { pointer: self.at(x, y), button: Button::Primary, double: true, hand: false });
        self.input(Input::Release(self.at(x, y)));
    }

    fn draw(&mut self, tool: Tool, from: (f32, f32), to: (f32, f32)) -> ElementId {
        self.machine.set_tool(tool);
        self.machine.snap = false;
        self.drag(from, to);
        *self.machine.selection.iter().next().unwrap()
    }

    fn boxed(&self, id: ElementId) -> (f32, f32, f32, f32) {
        let transform = self.view().get(&id).unwrap().transform;
        (transform.x, transform.y, transform.w, transform.h)
    }

    fn count(&self) -> usize {
        self.view().len()
    }
}

#[test]
fn a_drag_draws_a_shape_and_the_tool_goes_back_to_selecting() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (10.0, 20.0), (110.0, 80.0));
    assert_eq!(paper.boxed(id), (10.0, 20.0, 100.0, 60.0));
    assert_eq!(paper.machine.tool, Tool::Select);
    assert!(paper.machine.previews.is_empty(), "the page says it now");
    paper.machine.keep_tool = true;
    paper.machine.set_tool(Tool::Ellipse);
    paper.drag((0.0, 200.0), (50.0, 250.0));
    assert_eq!((paper.machine.tool, paper.count()), (Tool::Ellipse, 2), "a tool that is kept stays");
}

#[test]
fn with_shift_it_is_a_square_and_with_alt_it_grows_from_the_middle() {
    let mut paper = Paper::new();
    paper.machine.set_tool(Tool::Rect);
    paper.drag_with((0.0, 0.0), (100.0, 30.0), |pointer| pointer.shift = true);
    let id = *paper.machine.selection.iter().next().unwrap();
    assert_eq!(paper.boxed(id), (0.0, 0.0, 100.0, 100.0));
    paper.machine.set_tool(Tool::Diamond);
    paper.machine.snap = false;
    paper.drag_with((300.0, 300.0), (320.0, 310.0), |pointer| pointer.alt = true);
    let id = *paper.machine.selection.iter().next().unwrap();
    assert_eq!(paper.boxed(id), (280.0, 290.0, 40.0, 20.0));
}

#[test]
fn a_stroke_keeps_the_pressure_of_the_pen_and_few_points() {
    let mut paper = Paper::new();
    paper.machine.set_tool(Tool::Pen);
    let sample =
        |paper: &Paper, step: f32| Pointer { pressure: step / 100.0, ..paper.at(step * 2.0, (step / 10.0).sin() * 30.0) };
    paper.press(sample(&paper, 0.0));
    for step in 1..100 {
        paper.input(Input::Move(sample(&paper, step as f32)));
    }
    paper.input(Input::Release(sample(&paper, 99.0)));
    let view = paper.view();
    let stroke = view.iter().next().unwrap();
    assert_eq!(stroke.kind, Kind::Pen);
    assert!((10..90).contains(&stroke.points.len()), "{}", stroke.points.len());
    assert!(stroke.points.first().unwrap().pressure < 0.1 && stroke.points.last().unwrap().pressure > 0.9);
    assert_eq!(paper.machine.tool, Tool::Pen, "one goes on drawing");
}

#[test]
fn what_is_pulled_moves_and_an_arrow_stays_with_what_it_holds() {
    let mut paper = Paper::new();
    paper.machine.brush.fill = Color(0xffff_ffff);
    let one = paper.draw(Tool::Rect, (-200.0, 0.0), (-100.0, 100.0));
    let other = paper.draw(Tool::Rect, (100.0, 0.0), (200.0, 100.0));
    let arrow = paper.draw(Tool::Arrow, (-150.0, 50.0), (150.0, 50.0));
    let element = paper.view().get(&arrow).unwrap().clone();
    assert_eq!(element.start.map(|binding| binding.target), Some(one));
    assert_eq!(element.end.map(|binding| binding.target), Some(other));
    paper.drag((150.0, 20.0), (150.0, 220.0));
    assert_eq!(paper.boxed(other), (100.0, 200.0, 100.0, 100.0));
    let view = paper.view();
    let end = *view.points(view.get(&arrow).unwrap()).last().unwrap();
    assert!(end.y > 150.0, "the arrow follows: {end:?}");
}

#[test]
fn an_arrow_that_is_moved_alone_lets_go() {
    let mut paper = Paper::new();
    let one = paper.draw(Tool::Rect, (-200.0, 0.0), (-100.0, 100.0));
    let arrow = paper.draw(Tool::Arrow, (-90.0, 50.0), (150.0, 50.0));
    assert_eq!(paper.view().get(&arrow).unwrap().start.map(|binding| binding.target), Some(one));
    let view = paper.view();
    let from = *view.points(view.get(&arrow).unwrap()).first().unwrap();
    paper.machine.selection.clear();
    paper.drag((50.0, 50.0), (50.0, 150.0));
    let view = paper.view();
    let moved = view.get(&arrow).unwrap();
    assert_eq!(moved.start, None);
    let now = *view.points(moved).first().unwrap();
    assert!((now.x - from.x).abs() < 1.0 && (now.y - from.y - 100.0).abs() < 1.0, "{from:?} {now:?}");
}

#[test]
fn a_corner_resizes_and_the_handle_above_turns() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (0.0, 0.0), (100.0, 100.0));
    paper.drag((100.0, 100.0), (150.0, 180.0));
    assert_eq!(paper.boxed(id), (0.0, 0.0, 150.0, 180.0));
    paper.drag((75.0, -26.0), (400.0, 90.0));
    let angle = paper.view().get(&id).unwrap().transform.angle;
    assert!((angle - core::f32::consts::FRAC_PI_2).abs() < 0.02, "{angle}");
}

#[test]
fn a_box_drawn_over_elements_selects_those_that_lie_in_it() {
    let mut paper = Paper::new();
    let inside = paper.draw(Tool::Rect, (0.0, 0.0), (50.0, 50.0));
    paper.draw(Tool::Rect, (200.0, 0.0), (250.0, 50.0));
    paper.machine.selection.clear();
    paper.drag((-20.0, -20.0), (120.0, 120.0));
    assert_eq!(paper.machine.selection.iter().collect::<Vec<_>>(), [&inside]);
}

#[test]
fn the_eraser_takes_what_it_goes_over_and_alt_spares_it() {
    let mut paper = Paper::new();
    paper.draw(Tool::Line, (0.0, -50.0), (0.0, 50.0));
    paper.draw(Tool::Line, (40.0, -50.0), (40.0, 50.0));
    paper.machine.set_tool(Tool::Eraser);
    paper.press(paper.at(-30.0, 0.0));
    paper.input(Input::Move(paper.at(80.0, 0.0)));
    assert_eq!(paper.machine.erasing.len(), 2);
    paper.input(Input::Move(Pointer { alt: true, ..paper.at(30.0, 0.0) }));
    paper.input(Input::Release(Pointer { alt: true, ..paper.at(30.0, 0.0) }));
    assert_eq!(paper.count(), 1);
    let left = paper.view().iter().next().unwrap().transform.x;
    assert_eq!(left, 40.0);
}

#[test]
fn typing_after_two_clicks_is_a_text_and_all_of_it_is_undone_at_once() {
    let mut paper = Paper::new();
    paper.double_click(10.0, 10.0);
    for text in ["h", "he", "hey"] {
        let outputs = paper.machine.typed(text.into(), egui::vec2(30.0, 25.0), &paper.view());
        paper.take(outputs);
    }
    assert_eq!(paper.view().iter().next().unwrap().text, "hey");
    paper.click(300.0, 200.0);
    assert!(paper.machine.editing.is_none());
    paper.board.undo().unwrap();
    assert_eq!(paper.count(), 0, "{:?}", paper.view().iter().map(|element| element.text.clone()).collect::<Vec<_>>());
}

#[test]
fn a_text_without_a_word_leaves_nothing_behind() {
    let mut paper = Paper::new();
    paper.double_click(10.0, 10.0);
    paper.click(300.0, 200.0);
    assert_eq!(paper.count(), 0);
}

#[test]
fn what_others_write_in_the_same_text_stays() {
    let mut paper = Paper::new();
    paper.double_click(10.0, 10.0);
    let outputs = paper.machine.typed("plan".into(), egui::vec2(30.0, 25.0), &paper.view());
    paper.take(outputs);
    let id = paper.machine.editing.as_ref().unwrap().id;
    // Somebody else writes at the end of it.
    let changed = paper.board.edit(PageId::FIRST, &[Edit::Splice { id, at: 4, delete: 0, insert: " B".into() }], 0).unwrap();
    changed.deltas.iter().for_each(|delta| paper.machine.page_changed(delta));
    assert_eq!(paper.machine.editing.as_ref().unwrap().text, "plan B");
    let outputs = paper.machine.typed("the plan B".into(), egui::vec2(30.0, 25.0), &paper.view());
    paper.take(outputs);
    assert_eq!(paper.view().get(&id).unwrap().text, "the plan B");
}

#[test]
fn clicks_make_a_line_of_several_points() {
    let mut paper = Paper::new();
    paper.machine.set_tool(Tool::Line);
    for (x, y) in [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0)] {
        paper.click(x, y);
        paper.input(Input::Move(paper.at(x + 20.0, y + 20.0)));
    }
    assert!(paper.machine.makes_line());
    let outputs = paper.machine.finish_line(&paper.view());
    paper.take(outputs);
    assert_eq!(paper.view().iter().next().unwrap().points.len(), 3);
}

#[test]
fn a_frame_takes_in_what_lies_in_it_and_moves_it_along() {
    let mut paper = Paper::new();
    let inside = paper.draw(Tool::Rect, (0.0, 0.0), (50.0, 50.0));
    let frame = paper.draw(Tool::Frame, (-40.0, -40.0), (200.0, 200.0));
    assert_eq!(paper.view().get(&inside).unwrap().frame, Some(frame));
    paper.machine.selection.clear();
    paper.drag((-40.0, 100.0), (60.0, 100.0));
    assert_eq!(paper.boxed(inside).0, 100.0);
}

#[test]
fn a_viewer_looks_and_changes_nothing() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (0.0, 0.0), (100.0, 100.0));
    paper.machine.can_edit = false;
    paper.machine.set_tool(Tool::Rect);
    assert_eq!(paper.machine.tool, Tool::Select);
    paper.drag((0.0, 50.0), (200.0, 50.0));
    assert_eq!(paper.boxed(id), (0.0, 0.0, 100.0, 100.0));
    paper.drag((100.0, 100.0), (300.0, 300.0));
    assert_eq!(paper.boxed(id), (0.0, 0.0, 100.0, 100.0));
    assert!(paper.machine.previews.is_empty() && paper.refused.is_empty());
}

#[test]
fn a_locked_element_stays_where_it_is() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (0.0, 0.0), (100.0, 100.0));
    paper.board.edit(PageId::FIRST, &[Edit::Lock { id, locked: true }], 0).unwrap();
    paper.drag((0.0, 50.0), (200.0, 50.0));
    assert_eq!(paper.boxed(id), (0.0, 0.0, 100.0, 100.0));
}

#[test]
fn an_edit_that_is_refused_takes_its_preview_with_it() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (0.0, 0.0), (100.0, 100.0));
    // Somebody takes it away while it is being pulled.
    paper.press(paper.at(0.0, 50.0));
    paper.input(Input::Move(paper.at(80.0, 50.0)));
    assert!(!paper.machine.previews.is_empty());
    let changed = paper.board.edit(PageId::FIRST, &[Edit::Delete { id }], 0).unwrap();
    changed.deltas.iter().for_each(|delta| paper.machine.page_changed(delta));
    paper.input(Input::Release(paper.at(80.0, 50.0)));
    paper.machine.cancel();
    assert!(paper.machine.previews.is_empty());
    assert_eq!(paper.count(), 0);
}

#[test]
fn the_hand_and_the_middle_button_move_the_page_and_nothing_on_it() {
    let mut paper = Paper::new();
    let id = paper.draw(Tool::Rect, (0.0, 0.0), (100.0, 100.0));
    let before: Pos2 = paper.machine.camera.to_screen(pos2(0.0, 0.0));
    paper.machine.set_tool(Tool::Hand);
    let pointer = Pointer::at(pos2(400.0, 350.0));
    paper.press(pointer);
    paper.input(Input::Move(Pointer::at(pos2(440.0, 340.0))));
    paper.input(Input::Release(Pointer::at(pos2(440.0, 340.0))));
    let after = paper.machine.camera.to_screen(pos2(0.0, 0.0));
    assert_eq!(after - before, egui::vec2(40.0, -10.0));
    assert_eq!(paper.boxed(id), (0.0, 0.0, 100.0, 100.0));
}
