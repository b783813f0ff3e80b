//! Peers with a board each, and a network that loses nothing but keeps no order.

use conclave_crdt::{Actor, Board, Change, Edit, ElementId, Kind, PageId, PageView, Place, Point, Shape, Style, Transform};

/// Chance that is the same in every run (SplitMix64, Steele et al. 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn id(&mut self) -> ElementId {
        ElementId::from_random(u128::from(self.next()) << 64 | u128::from(self.next()))
    }

    pub(crate) fn float(&mut self, limit: f32) -> f32 {
        self.below(10_000) as f32 / 10_000.0 * limit
    }
}

pub(crate) fn board(number: u8) -> Board {
    Board::new(Actor([number; 16]), u64::from(number) * 7919).unwrap()
}

pub(crate) fn id(number: u128) -> ElementId {
    ElementId::from_random(number)
}

pub(crate) fn rect(x: f32, y: f32) -> Shape {
    Shape::new(Kind::Rect, Transform::new(x, y, 100.0, 60.0), Style::default())
}

pub(crate) fn note(text: &str) -> Shape {
    let mut shape = Shape::new(Kind::Note, Transform::new(0.0, 0.0, 200.0, 200.0), Style::default());
    shape.text = text.to_owned();
    shape
}

/// A stroke of about sixty points.
pub(crate) fn stroke(dice: &mut Dice) -> Shape {
    let (mut x, mut y) = (dice.float(4000.0), dice.float(4000.0));
    let (mut dx, mut dy) = (dice.float(8.0) - 4.0, dice.float(8.0) - 4.0);
    let points: Vec<Point> = (0..60)
        .map(|step| {
            dx += dice.float(2.0) - 1.0;
            dy += dice.float(2.0) - 1.0;
            (x, y) = (x + dx, y + dy);
            Point { x, y, pressure: 0.5 + (step as f32 / 10.0).sin() * 0.2 }
        })
        .collect();
    Shape::through(Kind::Pen, &points, Style::default())
}

pub(crate) fn add(id: ElementId, shape: Shape) -> Edit {
    Edit::Add { id, shape, place: Place::Front }
}

pub(crate) fn page(board: &Board) -> &PageView {
    board.page(PageId::FIRST).unwrap()
}

/// Does a step on the first page, which must be allowed.
pub(crate) fn edit(board: &mut Board, edits: &[Edit]) {
    board.edit(PageId::FIRST, edits, 0).unwrap();
}

/// What a board has to send, with who signed it.
pub(crate) fn outgoing(board: &mut Board) -> Vec<(Actor, Change)> {
    let actor = board.actor();
    board.take_changes().into_iter().map(|change| (actor, change)).collect()
}

/// Everyone gets what everyone made.
pub(crate) fn exchange(boards: &mut [&mut Board]) {
    let sent: Vec<Vec<(Actor, Change)>> = boards.iter_mut().map(|board| outgoing(board)).collect();
    for (to, board) in boards.iter_mut().enumerate() {
        for (from, changes) in sent.iter().enumerate() {
            if from != to {
                let merged = board.merge(changes.clone());
                assert!(merged.refused.is_empty(), "{:?}", merged.refused);
            }
        }
    }
}

/// Everything one can see of a page.
pub(crate) fn seen(board: &Board) -> Vec<conclave_crdt::Element> {
    page(board).iter().map(|element| element.as_ref().clone()).collect()
}
