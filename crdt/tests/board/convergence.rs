//! Boards that took in the same changes show the same, whatever came in what order.

use conclave_crdt::{Actor, Board, Change, Edit, GroupId, Kind, PageId, Place, Refusal, Style, Transform};

use crate::support::{Dice, add, board, edit, exchange, id, note, outgoing, page, rect, seen, stroke};

fn random_edit(board: &Board, dice: &mut Dice) -> Edit {
    let ids: Vec<_> = page(board).iter().map(|element| element.id).collect();
    let Some(some) = ids.get(dice.below(ids.len())).copied() else { return add(dice.id(), note("start")) };
    let other = ids[dice.below(ids.len())];
    match dice.below(12) {
        0 => add(dice.id(), stroke(dice)),
        1 => add(dice.id(), note("tëxt")),
        2 => Edit::Add { id: dice.id(), shape: rect(dice.float(100.0), 0.0), place: Place::Below(some) },
        3 => Edit::Delete { id: some },
        4 | 5 => Edit::Transform { id: some, transform: Transform::new(dice.float(99.0), dice.float(99.0), 10.0, 10.0) },
        6 => Edit::Style { id: some, style: Style { opacity: dice.below(101) as u8, ..Style::default() } },
        7 => Edit::Order { id: some, place: if other == some { Place::Back } else { Place::Above(other) } },
        8 => Edit::Group { id: some, group: (dice.below(2) == 0).then(|| GroupId::from_random(dice.next().into())) },
        9 => Edit::Lock { id: some, locked: dice.below(2) == 0 },
        _ if page(board).get(&some).is_some_and(|element| element.kind == Kind::Note) => {
            let length = page(board).get(&some).unwrap().text.chars().count();
            let at = dice.below(length + 1);
            Edit::Splice { id: some, at, delete: dice.below(length - at + 1).min(3), insert: "äb".to_owned() }
        }
        _ => Edit::Frame { id: some, frame: None },
    }
}

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for place in (1..items.len()).rev() {
        items.swap(place, dice.below(place + 1));
    }
}

/// Three people edit, undo and redo; what they send arrives late and in any order; all see the same, and so does one who comes afterwards.
#[test]
fn all_orders_of_delivery_come_to_the_same_board() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut boards = [board(1), board(2), board(3)];
        let mut sent: Vec<(Actor, Change)> = Vec::new();
        let mut inbox: [Vec<(Actor, Change)>; 3] = Default::default();
        for _ in 0..120 {
            let who = dice.below(3);
            let board = &mut boards[who];
            match dice.below(10) {
                0 => drop(board.undo().unwrap()),
                1 => drop(board.redo().unwrap()),
                _ => {
                    let edit = random_edit(board, &mut dice);
                    board.edit(PageId::FIRST, &[edit], 0).unwrap();
                }
            }
            let made = outgoing(board);
            sent.extend(made.clone());
            (0..3).filter(|to| *to != who).for_each(|to| inbox[to].extend(made.clone()));
            let reader = dice.below(3);
            if dice.below(4) == 0 {
                let mut letters = std::mem::take(&mut inbox[reader]);
                shuffle(&mut letters, &mut dice);
                let refused = boards[reader].merge(letters).refused;
                assert!(refused.is_empty(), "{refused:?}");
            }
        }
        for (board, letters) in boards.iter_mut().zip(inbox) {
            assert!(board.merge(letters).refused.is_empty());
            assert_eq!(board.waiting(), 0);
        }
        shuffle(&mut sent, &mut dice);
        let mut late = board(9);
        for letter in sent {
            late.merge(vec![letter]);
        }
        for board in &boards {
            assert_eq!(seen(board), seen(&late), "seed {seed}");
            assert_eq!(board.page_heads(PageId::FIRST), late.page_heads(PageId::FIRST));
        }
        assert!(!seen(&late).is_empty());
    }
}

#[test]
fn what_comes_before_what_it_builds_on_waits() {
    let (mut one, mut other) = (board(1), board(2));
    for number in 0..5 {
        edit(&mut one, &[add(id(number), rect(0.0, 0.0))]);
    }
    let mut changes = outgoing(&mut one);
    let first = changes.remove(0);
    changes.reverse();
    assert_eq!(other.merge(changes).applied, 0);
    assert_eq!((other.waiting(), page(&other).len()), (4, 0));
    assert_eq!(other.merge(vec![first.clone(), first]).applied, 5);
    assert_eq!((other.waiting(), seen(&other)), (0, seen(&one)));
}

#[test]
fn the_queue_for_what_never_comes_is_bounded() {
    let (mut one, mut other) = (board(1), board(2));
    for number in 0..5000 {
        edit(
            &mut one,
            &[if number == 0 { add(id(1), rect(0.0, 0.0)) } else { Edit::Lock { id: id(1), locked: number % 2 == 0 } }],
        );
    }
    // Unlocking what is not locked writes nothing, and the first of the rest never comes.
    let orphans = outgoing(&mut one).into_iter().skip(1).collect();
    let merged = other.merge(orphans);
    assert_eq!((other.waiting(), merged.refused.get(&Refusal::QueueFull).copied()), (4096, Some(4998 - 4096)));
}

#[test]
fn two_write_in_one_note_at_once_and_both_stand() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), note("middle"))]);
    exchange(&mut [&mut one, &mut other]);
    edit(&mut one, &[Edit::Text { id: id(1), text: "the middle".to_owned() }]);
    edit(&mut other, &[Edit::Text { id: id(1), text: "middle of it".to_owned() }]);
    exchange(&mut [&mut one, &mut other]);
    assert_eq!(page(&one).get(&id(1)).unwrap().text, "the middle of it");
    assert_eq!(seen(&one), seen(&other));
}

#[test]
fn a_deletion_wins_over_what_was_changed_at_once() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), rect(0.0, 0.0))]);
    exchange(&mut [&mut one, &mut other]);
    edit(&mut one, &[Edit::Delete { id: id(1) }]);
    edit(&mut other, &[Edit::Lock { id: id(1), locked: true }]);
    exchange(&mut [&mut one, &mut other]);
    assert!(page(&one).is_empty() && page(&other).is_empty());
}

#[test]
fn a_page_that_was_saved_is_read_by_automerge_itself() {
    let mut one = board(1);
    edit(&mut one, &[add(id(1), note("saved")), add(id(2), stroke(&mut Dice(3)))]);
    let saved = one.save_page(PageId::FIRST).unwrap();
    let document = automerge::Automerge::load(&saved).unwrap();
    let (_, elements) = automerge::ReadDoc::get(&document, automerge::ROOT, "els").unwrap().unwrap();
    assert_eq!(automerge::ReadDoc::length(&document, &elements), 2);
}
