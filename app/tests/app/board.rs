//! The board in the window: opened, drawn on with pointer and keys, shared with others, and looked at by those who may not draw.

use conclave::intent::Intent;
use conclave::intent::board::{BoardIntent, PictureFrom};
use conclave::screen::board::canvas_id;
use conclave_crdt::{Edit, Kind, PageId, Point, Style};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{BoardLiveView, InkView};
use conclave_protocol::id::{DeviceId, RoomId};
use egui::{Key, Modifiers, PointerButton, Pos2, pos2, vec2};

use crate::scripted::board::id;
use crate::window::Window;

const DESIGN: RoomId = RoomId([10; 32]);
const ADA: DeviceId = DeviceId([3; 32]);

fn at_board() -> Window {
    let mut window = Window::lively();
    window.press(Key::B);
    assert!(window.state().board().is_some());
    focus(&mut window);
    window.commands();
    window
}

fn focus(window: &mut Window) {
    window.harness.ctx.memory_mut(|memory| memory.request_focus(canvas_id()));
    window.settle();
}

fn pointer(window: &mut Window, at: Pos2, pressed: Option<bool>) {
    window.harness.event(egui::Event::PointerMoved(at));
    if let Some(pressed) = pressed {
        let modifiers = Modifiers::NONE;
        window.harness.event(egui::Event::PointerButton { pos: at, button: PointerButton::Primary, pressed, modifiers });
    }
    window.harness.run_ok();
}

fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    pointer(window, from, None);
    pointer(window, from, Some(true));
    for step in 1..=4 {
        pointer(window, from + (to - from) * (step as f32 / 4.0), None);
    }
    pointer(window, to, Some(false));
    window.settle();
}

fn elements(window: &Window) -> Vec<conclave_crdt::Element> {
    window.script.world(|world| world.boards.elements(DESIGN))
}

#[test]
fn letters_choose_tools_on_the_canvas_and_do_not_reach_the_call() {
    let mut window = Window::lively();
    window.click("Join call");
    window.click("Join call");
    window.press(Key::B);
    focus(&mut window);
    window.commands();
    window.press(Key::V);
    window.press(Key::M);
    assert!(window.commands().iter().all(|command| !matches!(command, Command::CallMic { .. } | Command::CallCamera { .. })));
    window.press(Key::R);
    let middle = window.state().board().unwrap().machine.camera.viewport.center();
    drag(&mut window, middle, middle + vec2(120.0, 80.0));
    let drawn = elements(&window);
    assert_eq!(drawn.len(), 1);
    assert_eq!((drawn[0].kind, drawn[0].transform.w, drawn[0].transform.h), (Kind::Rect, 120.0, 80.0));
    // With Control the microphone is reached from everywhere.
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::D);
    window.settle();
    assert!(window.commands().iter().any(|command| matches!(command, Command::CallMic { .. })));
}

#[test]
fn everything_is_done_by_keyboard() {
    let mut window = at_board();
    window.press(Key::O);
    window.press(Key::Enter);
    assert_eq!(elements(&window).len(), 1);
    let before = elements(&window)[0].transform;
    window.press(Key::ArrowRight);
    window.harness.key_press_modifiers(Modifiers::SHIFT, Key::ArrowDown);
    window.settle();
    let after = elements(&window)[0].transform;
    assert_eq!((after.x - before.x, after.y - before.y), (1.0, 10.0));
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.settle();
    assert_eq!(elements(&window)[0].transform.y, before.y);
    window.press(Key::Enter);
    window.harness.event(egui::Event::Text("Go".into()));
    window.settle();
    window.press(Key::Escape);
    assert_eq!(elements(&window)[0].text, "Go");
    window.press(Key::Tab);
    window.press(Key::Delete);
    assert!(elements(&window).is_empty());
}

#[test]
fn copy_and_paste_carry_elements_from_board_to_board() {
    let mut window = at_board();
    window.script.world(|world| world.boards.draw_sample(DESIGN));
    window.script.event(Event::BoardReset { room: DESIGN });
    window.settle();
    let count = elements(&window).len();
    window.want(Intent::Board(BoardIntent::SelectAll));
    window.harness.event(egui::Event::Copy);
    window.harness.step();
    let copied = window.harness.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let copied = copied.expect("a text on the clipboard");
    window.settle();
    window.want(Intent::Board(BoardIntent::Paste(copied)));
    assert_eq!(elements(&window).len(), 2 * count);
    // The arrows of the copy hold on to the copy.
    let all = elements(&window);
    let bound: Vec<_> = all.iter().filter_map(|element| element.start.map(|binding| binding.target)).collect();
    let mut targets = bound.clone();
    targets.sort();
    targets.dedup();
    assert_eq!(bound.len(), 10);
    assert!(targets.len() >= 6, "{targets:?}");
}

#[test]
fn what_somebody_else_draws_is_seen_before_it_is_done() {
    let mut window = at_board();
    let ink = |from: u32, points: Vec<Point>, done: bool| BoardLiveView {
        page: PageId::FIRST,
        cursor: Some((40.0, 40.0)),
        laser: false,
        selection: vec![],
        viewport: None,
        ink: Some(InkView { element: id(5), kind: Kind::Pen, style: (from == 0).then(Style::default), from, points, done }),
    };
    window.script.event(Event::BoardLive {
        room: DESIGN,
        device: ADA,
        live: ink(0, vec![Point::new(0.0, 0.0), Point::new(20.0, 10.0)], false),
    });
    window.script.event(Event::BoardLive { room: DESIGN, device: ADA, live: ink(2, vec![Point::new(40.0, 40.0)], false) });
    window.settle();
    let board = window.state().board().unwrap();
    assert_eq!(board.shown.get(&id(5)).unwrap().points.len(), 3);
    assert!(board.truth.get(&id(5)).is_none());
    assert!(window.labels().iter().any(|label| label.starts_with("Follow ")), "{:?}", window.labels());
    // It becomes an element, once.
    let event = window.script.world(|world| {
        let shape = conclave_crdt::Shape::through(Kind::Pen, &[Point::new(0.0, 0.0), Point::new(40.0, 40.0)], Style::default());
        let edit = Edit::Add { id: id(5), shape, place: Default::default() };
        let changed = world.boards.board(DESIGN).edit(PageId::FIRST, &[edit], 0).unwrap();
        world.boards.changed(DESIGN, changed)
    });
    window.script.event(event);
    window.settle();
    let board = window.state().board().unwrap();
    assert_eq!((board.shown.len(), board.truth.len()), (1, 1));
}

#[test]
fn the_others_are_told_where_one_is_and_what_one_draws() {
    let mut window = at_board();
    window.press(Key::P);
    let middle = window.state().board().unwrap().machine.camera.viewport.center();
    pointer(&mut window, middle, None);
    pointer(&mut window, middle, Some(true));
    pointer(&mut window, middle + vec2(60.0, 30.0), None);
    let told = window.script.world(|world| world.boards.live.clone());
    assert!(told.iter().any(|live| live.cursor.is_some()));
}

#[test]
fn a_viewer_sees_the_board_and_why_the_tools_are_off() {
    let mut window = Window::lively();
    window.script.world(|world| {
        world.boards.draw_sample(DESIGN);
        world.boards.viewer = true;
    });
    window.press(Key::B);
    focus(&mut window);
    window.commands();
    assert!(window.says("You can look, not draw"));
    window.press(Key::R);
    drag(&mut window, pos2(700.0, 500.0), pos2(800.0, 600.0));
    window.press(Key::Delete);
    let asked = window.commands();
    assert!(asked.iter().all(|command| !matches!(command, Command::BoardEdit { .. })), "{asked:?}");
}

#[test]
fn the_past_is_looked_at_and_brought_back() {
    let mut window = at_board();
    window.press(Key::O);
    window.press(Key::Enter);
    window.press(Key::R);
    window.press(Key::Enter);
    assert_eq!(elements(&window).len(), 2);
    window.want(Intent::Board(BoardIntent::History(true)));
    window.want(Intent::Board(BoardIntent::Moment(0)));
    assert_eq!(window.state().board().unwrap().drawn().len(), 1);
    window.click("Restore this");
    assert_eq!(elements(&window).len(), 1);
    assert!(window.state().board().unwrap().history.is_none());
}

#[test]
fn a_new_page_is_turned_to_and_holds_what_is_drawn_there() {
    let mut window = at_board();
    window.click("New page");
    focus(&mut window);
    let board = window.state().board().unwrap();
    assert_eq!(board.pages.len(), 2);
    assert_ne!(board.page, PageId::FIRST);
    window.press(Key::O);
    window.press(Key::Enter);
    assert!(elements(&window).is_empty(), "the first page stays as it is");
    assert_eq!(window.state().board().unwrap().truth.len(), 1);
}

#[test]
fn a_board_that_nobody_touches_asks_for_no_frame() {
    let mut window = at_board();
    window.script.world(|world| world.boards.draw_sample(DESIGN));
    window.script.event(Event::BoardReset { room: DESIGN });
    window.settle();
    window.settle();
    let board = window.state().next_change_ms();
    assert_eq!(board, None, "nothing is to happen by itself");
}

/// A PNG, the left half green, the right half blue.
fn flag() -> Vec<u8> {
    let pixels =
        image::RgbaImage::from_fn(40, 20, |x, _| image::Rgba(if x < 20 { [0, 150, 60, 255] } else { [0, 60, 200, 255] }));
    let mut png = Vec::new();
    pixels.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    png
}

#[test]
fn a_picture_comes_onto_the_page_and_is_asked_for_once() {
    let mut window = at_board();
    window.want(Intent::Board(BoardIntent::AddPicture(PictureFrom::Bytes(flag().into()))));
    window.settle();
    let drawn = elements(&window);
    let [element] = drawn.as_slice() else { panic!("{drawn:?}") };
    assert_eq!(element.kind, Kind::Image);
    assert!((element.transform.w / element.transform.h - 2.0).abs() < 0.01, "as it is shaped");
    window.settle();
    let commands = window.commands();
    let asked = commands.iter().filter(|command| matches!(command, Command::BoardPicture { data: true, .. })).count();
    assert_eq!(asked, 1);
    assert_eq!(window.state().board().unwrap().pictures.here().count(), 1);
    // It is decoded beside the window.
    let began = std::time::Instant::now();
    while !window.painted_pictures() {
        assert!(began.elapsed().as_secs() < 20, "the picture is never drawn");
        std::thread::yield_now();
        window.settle();
    }
}

#[test]
fn a_picture_that_is_not_there_yet_is_asked_for_again_when_it_has_come() {
    let mut window = at_board();
    let mut shape =
        conclave_crdt::Shape::new(Kind::Image, conclave_crdt::Transform::new(0.0, 0.0, 200.0, 100.0), Style::default());
    let name = format!("{:064x}", flag().len());
    shape.image = Some(name.clone());
    let edit = Edit::Add { id: id(9), shape, place: conclave_crdt::Place::Front };
    window.script.world(|world| world.boards.board(DESIGN).edit(PageId::FIRST, &[edit], 0).unwrap());
    window.script.event(Event::BoardReset { room: DESIGN });
    window.settle();
    window.settle();
    assert_eq!(window.state().board().unwrap().pictures.here().count(), 0);
    window.script.world(|world| {
        world.boards.pictures.insert(name.clone(), conclave_node::view::PictureBytes(flag().into()));
    });
    window.script.event(Event::BoardPicture { room: DESIGN, image: name });
    window.settle();
    window.settle();
    assert_eq!(window.state().board().unwrap().pictures.here().count(), 1);
}

#[test]
fn pictures_that_are_dropped_go_onto_the_board_and_other_files_into_the_room() {
    let mut window = at_board();
    let paths = vec!["/tmp/plan.PNG".into(), "/tmp/notes.pdf".into()];
    window.want(Intent::File(conclave::intent::FileIntent::ShareHere(paths)));
    window.settle();
    let commands = window.commands();
    assert!(commands.iter().any(|command| matches!(command, Command::BoardAddPicture { path: Some(_), .. })));
    let shared = commands.iter().filter(|command| matches!(command, Command::FileShare { .. })).count();
    assert_eq!(shared, 1, "{commands:?}");
}
