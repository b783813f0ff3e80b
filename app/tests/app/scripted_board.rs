//! The boards of the scripted node: real documents, so that what is drawn is what would be there, and something to look at.

use std::collections::HashMap;

use conclave_crdt::*;
use conclave_node::command::{Command, Reply};
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::event::Event;
use conclave_node::view::{
    BoardLiveView, BoardMomentView, BoardPageView, BoardPictureView, BoardView, PictureBytes, PictureState,
};
use conclave_protocol::id::RoomId;

#[derive(Default)]
pub struct Boards {
    boards: HashMap<RoomId, Board>,
    revision: u64,
    pub viewer: bool,
    /// What was shared for the board, by name.
    pub pictures: HashMap<String, PictureBytes>,
    /// What was told the others.
    pub live: Vec<BoardLiveView>,
}

fn refused(_: EditError) -> CommandError {
    CommandError::new(ErrorCode::BadRequest, "refused")
}

impl Boards {
    pub fn board(&mut self, room: RoomId) -> &mut Board {
        self.boards.entry(room).or_insert_with(|| Board::new(Actor([7; 16]), 5).unwrap())
    }

    /// The elements of the first page.
    pub fn elements(&mut self, room: RoomId) -> Vec<Element> {
        self.board(room).page(PageId::FIRST).unwrap().iter().map(|element| (**element).clone()).collect()
    }

    pub fn changed(&mut self, room: RoomId, changed: Changed) -> Event {
        self.revision += 1;
        let revision = self.revision;
        let board = self.board(room);
        let (can_undo, can_redo) = (board.can_undo(), board.can_redo());
        Event::BoardChanged { room, revision, pages: changed.pages, can_undo, can_redo, deltas: changed.deltas }
    }

    pub fn answer(&mut self, command: Command, events: &mut Vec<Event>) -> Result<Reply, CommandError> {
        let (revision, can_edit) = (self.revision, !self.viewer);
        if self.viewer && matches!(command, Command::BoardEdit { .. } | Command::BoardPages { .. }) {
            return Err(CommandError::new(ErrorCode::NotPermitted, "a viewer"));
        }
        let (room, changed) = match command {
            Command::BoardShow { room } => {
                let board = self.board(room);
                let (pages, can_undo, can_redo) = (board.pages(), board.can_undo(), board.can_redo());
                let board = BoardView { title: String::new(), pages, revision, can_edit, can_undo, can_redo };
                return Ok(Reply::Board { board });
            }
            Command::BoardPage { room, page, moment } => {
                let board = self.board(room);
                let view = match moment {
                    Some(moment) => board.page_at(page, moment as usize),
                    None => board.page(page).cloned(),
                };
                let elements = view.unwrap().iter().cloned().collect();
                return Ok(Reply::BoardPage { board_page: BoardPageView { page, revision, elements } });
            }
            Command::BoardHistory { room, page } => {
                let count = self.board(room).history(page).len() as u32;
                return Ok(Reply::BoardMoments {
                    moments: (0..count).map(|moment| BoardMomentView { moment, device: None }).collect(),
                });
            }
            Command::BoardAddPicture { data, .. } => {
                let Some(data) = data else { return Err(CommandError::new(ErrorCode::FileGone, "no such file")) };
                let image = format!("{:064x}", data.0.len());
                self.pictures.insert(image.clone(), data);
                return Ok(self.picture(image, false));
            }
            Command::BoardPicture { image, .. } => return Ok(self.picture(image, true)),
            Command::BoardLive { live, .. } => {
                self.live.push(live);
                return Ok(Reply::Done {});
            }
            Command::BoardEdit { room, page, edits, gesture } => (room, self.board(room).edit(page, &edits, gesture)),
            Command::BoardPages { room, edit } => (room, self.board(room).edit_pages(&edit)),
            Command::BoardUndo { room, redo: false } => (room, self.board(room).undo()),
            Command::BoardUndo { room, redo: true } => (room, self.board(room).redo()),
            Command::BoardRestore { room, page, moment } => (room, self.board(room).restore(page, moment as usize)),
            _ => return Ok(Reply::Done {}),
        };
        let event = self.changed(room, changed.map_err(refused)?);
        events.push(event);
        Ok(Reply::Done {})
    }

    fn picture(&self, image: String, whole: bool) -> Reply {
        let here = self.pictures.get(&image).cloned();
        let state = if here.is_some() { PictureState::Here } else { PictureState::Absent };
        let (width, height) = (here.as_ref().map(|_| 400), here.as_ref().map(|_| 200));
        let data = here.filter(|_| whole);
        Reply::BoardPicture { board_picture: BoardPictureView { image, state, mime: None, width, height, data } }
    }

    /// A plan for a launch, as people draw it.
    pub fn draw_sample(&mut self, room: RoomId) {
        let edits = sample();
        self.board(room).edit(PageId::FIRST, &edits, 0).unwrap();
        let second = PageId::from_random(77);
        self.board(room).edit_pages(&PageEdit::AddPage { page: second, name: "Retro".into() }).unwrap();
    }
}

pub fn id(number: u128) -> ElementId {
    ElementId::from_random(number)
}

fn add(number: u128, shape: Shape) -> Edit {
    Edit::Add { id: id(number), shape, place: Place::Front }
}

fn boxed(kind: Kind, (x, y, w, h): (f32, f32, f32, f32), text: &str, style: Style) -> Shape {
    Shape { text: text.into(), ..Shape::new(kind, Transform::new(x, y, w, h), style) }
}

fn sample() -> Vec<Edit> {
    let plain = Style { round: true, ..Style::default() };
    let filled = |stroke: u32, fill: u32| Style { stroke: Color(stroke), fill: Color(fill), ..plain };
    let note = |fill: u32| Style { fill: Color(fill), align: Align::Center, font_size: 18.0, ..Style::default() };
    let text = |size: f32| Style { font_size: size, ..Style::default() };
    let hold = |number: u128| Some(Binding { target: id(number), fx: 0.5, fy: 0.5, hold: Hold::Outline });
    let arrow = |from: (f32, f32), to: (f32, f32), start: u128, end: u128, dash: Dash| {
        let style = Style { end: Head::Arrow, dash, ..Style::default() };
        let points = [Point::new(from.0, from.1), Point::new(to.0, to.1)];
        Shape { start: hold(start), end: hold(end), ..Shape::through(Kind::Arrow, &points, style) }
    };
    let pen = |points: Vec<Point>, stroke: u32, width: f32| {
        Shape::through(Kind::Pen, &points, Style { stroke: Color(stroke), width, ..Style::default() })
    };
    let wave = |x: f32, y: f32, length: f32, high: f32| -> Vec<Point> {
        (0..48)
            .map(|step| step as f32 / 47.0)
            .map(|t| Point {
                x: x + t * length,
                y: y + (t * 19.0).sin() * high * (1.0 - t * 0.4),
                pressure: 0.35 + 0.5 * (t * 3.1).sin(),
            })
            .collect()
    };
    let ring: Vec<Point> = (0..60)
        .map(|step| step as f32 / 59.0 * 6.6)
        .map(|a| Point {
            x: 905.0 + a.cos() * (118.0 + a * 2.0),
            y: 118.0 + a.sin() * (52.0 + a),
            pressure: 0.45 + 0.2 * a.sin(),
        })
        .collect();
    let frame = Style { stroke: Color(0x8a8f_98ff), width: 1.5, ..Style::default() };
    let mut tilted = boxed(Kind::Note, (780.0, 300.0, 170.0, 170.0), "Ask Ada about the contract", note(0xb2f2_bbff));
    tilted.transform.angle = 0.06;
    vec![
        add(1, boxed(Kind::Frame, (-40.0, -40.0, 700.0, 560.0), "How a call is set up", frame)),
        add(2, boxed(Kind::Text, (0.0, -10.0, 330.0, 45.0), "Two peers, one room", text(36.0))),
        add(3, boxed(Kind::Rect, (0.0, 90.0, 170.0, 90.0), "Mira's laptop", filled(0x1971_c2ff, 0xa5d8_ffff))),
        add(4, boxed(Kind::Rect, (430.0, 90.0, 170.0, 90.0), "Ada's laptop", filled(0x1971_c2ff, 0xa5d8_ffff))),
        add(5, boxed(Kind::Diamond, (215.0, 240.0, 170.0, 130.0), "Same network?", filled(0xf08c_00ff, 0xffec_99ff))),
        add(6, boxed(Kind::Ellipse, (20.0, 410.0, 160.0, 84.0), "direct", filled(0x2f9e_44ff, 0xb2f2_bbff))),
        add(7, boxed(Kind::Ellipse, (430.0, 410.0, 160.0, 84.0), "relay", filled(0xe031_31ff, 0xffc9_c9ff))),
        add(8, arrow((170.0, 135.0), (430.0, 135.0), 3, 4, Dash::Dashed)),
        add(9, arrow((85.0, 180.0), (240.0, 260.0), 3, 5, Dash::Solid)),
        add(10, arrow((515.0, 180.0), (360.0, 260.0), 4, 5, Dash::Solid)),
        add(11, arrow((240.0, 350.0), (100.0, 410.0), 5, 6, Dash::Solid)),
        add(12, arrow((360.0, 350.0), (510.0, 410.0), 5, 7, Dash::Solid)),
        add(13, boxed(Kind::Text, (130.0, 352.0, 40.0, 25.0), "yes", Style { stroke: Color(0x2f9e_44ff), ..text(20.0) })),
        add(14, boxed(Kind::Text, (450.0, 352.0, 40.0, 25.0), "no", Style { stroke: Color(0xe031_31ff), ..text(20.0) })),
        add(15, boxed(Kind::Note, (720.0, 60.0, 170.0, 170.0), "Ship on Thursday", note(0xffec_99ff))),
        add(16, boxed(Kind::Note, (910.0, 60.0, 170.0, 170.0), "Test with eight people on one access point", note(0xffc9_c9ff))),
        add(17, tilted),
        add(18, pen(wave(985.0, 330.0, 150.0, 26.0), 0x9c36_b5ff, 6.0)),
        add(19, pen(ring, 0xe031_31ff, 4.0)),
        add(20, boxed(Kind::Text, (985.0, 385.0, 160.0, 50.0), "one wave,\none idea", text(20.0))),
        add(21, Shape::new(Kind::Image, Transform::new(985.0, 450.0, 150.0, 96.0), Style::default())),
    ]
}
