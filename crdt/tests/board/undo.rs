//! Undo takes back one's own, and nobody else's.

use conclave_crdt::{Board, Edit, Style, Transform};

use crate::support::{add, board, edit, exchange, id, note, page, rect, seen};

fn moved(number: u128, x: f32) -> Edit {
    Edit::Transform { id: id(number), transform: Transform::new(x, 0.0, 100.0, 60.0) }
}

fn text(board: &Board, number: u128) -> String {
    page(board).get(&id(number)).unwrap().text.clone()
}

#[test]
fn steps_are_undone_and_done_again_in_order() {
    let mut board = board(1);
    let mut states = vec![seen(&board)];
    for step in [
        vec![add(id(1), rect(0.0, 0.0)), add(id(2), note("hello"))],
        vec![moved(1, 50.0), moved(2, 60.0)],
        vec![Edit::Style { id: id(1), style: Style { width: 8.0, ..Style::default() } }],
        vec![Edit::Splice { id: id(2), at: 5, delete: 0, insert: " world".to_owned() }],
        vec![Edit::Splice { id: id(2), at: 0, delete: 5, insert: "bye".to_owned() }],
        vec![Edit::Delete { id: id(2) }],
    ] {
        edit(&mut board, &step);
        states.push(seen(&board));
    }
    for state in states.iter().rev().skip(1) {
        board.undo().unwrap();
        assert_eq!(&seen(&board), state);
    }
    assert!(!board.can_undo() && board.can_redo());
    for state in states.iter().skip(1) {
        board.redo().unwrap();
        assert_eq!(&seen(&board), state);
    }
    assert!(board.can_undo() && !board.can_redo());
    board.undo().unwrap();
    edit(&mut board, &[moved(1, 1.0)]);
    assert!(!board.can_redo());
}

#[test]
fn what_another_changed_since_is_left_alone() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), rect(0.0, 0.0)), add(id(2), rect(0.0, 0.0))]);
    exchange(&mut [&mut one, &mut other]);
    edit(&mut one, &[moved(1, 50.0), moved(2, 50.0)]);
    exchange(&mut [&mut one, &mut other]);
    edit(&mut other, &[moved(1, 70.0)]);
    exchange(&mut [&mut one, &mut other]);
    one.undo().unwrap();
    exchange(&mut [&mut one, &mut other]);
    let x = |board: &Board, number| page(board).get(&id(number)).unwrap().transform.x;
    assert_eq!((x(&one, 1), x(&one, 2), x(&other, 1), x(&other, 2)), (70.0, 0.0, 70.0, 0.0));
    // The other's own undo finds its own.
    other.undo().unwrap();
    assert_eq!(x(&other, 1), 50.0);
}

#[test]
fn nobody_undoes_what_another_drew() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), rect(0.0, 0.0))]);
    exchange(&mut [&mut one, &mut other]);
    assert!(!other.can_undo());
    edit(&mut other, &[add(id(2), rect(0.0, 0.0))]);
    other.undo().unwrap();
    assert!(other.undo().unwrap().is_empty());
    assert_eq!(page(&other).len(), 1);
}

#[test]
fn a_deleted_element_returns_under_its_name() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), note("kept"))]);
    exchange(&mut [&mut one, &mut other]);
    let before = seen(&one);
    edit(&mut other, &[Edit::Delete { id: id(1) }]);
    exchange(&mut [&mut one, &mut other]);
    assert!(page(&one).is_empty());
    other.undo().unwrap();
    exchange(&mut [&mut one, &mut other]);
    assert_eq!((seen(&one), seen(&other)), (before.clone(), before));
}

#[test]
fn undoing_text_leaves_what_others_wrote_in_it() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), note("the fox"))]);
    exchange(&mut [&mut one, &mut other]);
    edit(&mut one, &[Edit::Splice { id: id(1), at: 4, delete: 0, insert: "quick ".to_owned() }]);
    edit(&mut other, &[Edit::Splice { id: id(1), at: 7, delete: 0, insert: " jumps".to_owned() }]);
    exchange(&mut [&mut one, &mut other]);
    assert_eq!(text(&one, 1), "the quick fox jumps");
    // The other writes in the middle of what the first one wrote.
    edit(&mut other, &[Edit::Splice { id: id(1), at: 7, delete: 0, insert: "-".to_owned() }]);
    exchange(&mut [&mut one, &mut other]);
    one.undo().unwrap();
    exchange(&mut [&mut one, &mut other]);
    assert_eq!((text(&one, 1).as_str(), text(&other, 1).as_str()), ("the -fox jumps", "the -fox jumps"));
    one.redo().unwrap();
    assert_eq!(text(&one, 1), "the qui-ck fox jumps");
}

#[test]
fn typing_in_one_gesture_is_one_step() {
    let mut board = board(1);
    edit(&mut board, &[add(id(1), note(""))]);
    for (at, letter) in "hello".chars().enumerate() {
        let splice = Edit::Splice { id: id(1), at, delete: 0, insert: letter.to_string() };
        board.edit(conclave_crdt::PageId::FIRST, &[splice], 42).unwrap();
    }
    assert_eq!(text(&board, 1), "hello");
    board.undo().unwrap();
    assert_eq!(text(&board, 1), "");
    board.redo().unwrap();
    assert_eq!(text(&board, 1), "hello");
}
