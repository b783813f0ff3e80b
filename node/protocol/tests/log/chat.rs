//! The timeline: one order, edits, deletions, reactions, search and what was read.

use conclave_protocol::chat::read::ReadMark;
use conclave_protocol::chat::{Text, TextError, check_text, for_display};
use conclave_protocol::log::acl::Role;
use conclave_protocol::room::{Refusal, RoomChange};

use crate::support::*;

fn three() -> (Peer, Peer, Peer) {
    let mut a = Peer::founds("Anna", true);
    let mut b = a.admits("Ben", Role::Member);
    let mut c = a.admits("Cleo", Role::Member);
    sync(&mut a, &mut b);
    sync(&mut a, &mut c);
    (a, b, c)
}

#[test]
fn the_order_is_the_same_on_every_screen_and_late_ones_take_their_place() {
    let (mut a, mut b, mut c) = three();
    a.says("hello");
    sync(&mut a, &mut b);
    let from_b = b.says("from b, alone");
    for n in 0..3 {
        c.says(&format!("from c, alone, {n}"));
    }
    sync(&mut a, &mut c);
    let reader = c.room.chat().last().unwrap().clone();
    let mut read = ReadMark::default();
    read.mark(&reader);

    let missing = b.room.ops_missing(&c.id(), &c.room.summary(), usize::MAX);
    let applied = c.takes_ops(&missing);
    let placed = applied.changes.iter().find_map(|change| match change {
        RoomChange::Message { id, after, at_end } if *id == from_b => Some((*after, *at_end)),
        _ => None,
    });
    let (after, at_end) = placed.unwrap();
    assert_eq!(after, c.room.chat().before(&from_b));
    assert!(!at_end, "it belongs before what was shown already");
    let late = c.room.chat().get(&from_b).unwrap();
    assert!(read.note(late) && read.is_unread(late, &c.id()), "coming late does not make it seen");
    let mut read = ReadMark::decode(&read.encode()).unwrap();
    assert_eq!(read.unread(c.room.chat(), &c.id()).map(|message| message.id).collect::<Vec<_>>(), [from_b]);
    read.mark(&reader);
    assert_eq!(read.unread(c.room.chat(), &c.id()).count(), 0);

    sync(&mut a, &mut b);
    sync(&mut a, &mut c);
    assert_eq!(a.bodies(), b.bodies());
    assert_eq!(a.bodies(), c.bodies());
    assert_eq!(a.bodies().len(), 5);
    assert_eq!(a.room.chat().page(None, 2).len(), 2);
    assert_eq!(a.room.chat().page(Some(&from_b), 100).len(), a.room.chat().index_of(&from_b).unwrap());
}

#[test]
fn reply_edit_delete_reaction_and_mention() {
    let (mut a, mut b, _) = three();
    let first = a.says("frist");
    sync(&mut a, &mut b);
    let reply = Text { body: "you mean first".into(), reply_to: Some(first), mentions: vec![a.id()] };
    let reply = b.act(|room, now, _| room.say(reply, now)).unwrap()[0].hash();
    b.act(|room, now, _| room.react(first, "👍".into(), true, now)).unwrap();
    assert_eq!(b.act(|room, now, _| room.edit(first, "no".into(), vec![], now)), Err(Refusal::NotPermitted));
    assert_eq!(b.act(|room, now, _| room.delete(first, now)), Err(Refusal::NotPermitted));
    a.act(|room, now, _| room.edit(first, "first".into(), vec![b.id()], now)).unwrap();
    a.act(|room, now, _| room.react(first, "👍".into(), true, now)).unwrap();
    sync(&mut a, &mut b);
    for peer in [&a, &b] {
        let message = peer.room.chat().get(&first).unwrap();
        assert_eq!((message.body().as_str(), message.edited(), message.mentions()), ("first", true, [b.id()].as_slice()));
        let reactions = message.reactions();
        assert_eq!(reactions.len(), 1);
        assert_eq!(reactions[0].1.len(), 2);
        let reply = peer.room.chat().get(&reply).unwrap();
        assert_eq!((reply.reply_to, reply.mentions()), (Some(first), [a.id()].as_slice()));
    }
    b.act(|room, now, _| room.react(first, "👍".into(), false, now)).unwrap();
    // The founder takes back what another wrote; one's own can be taken back by anyone.
    a.act(|room, now, _| room.delete(reply, now)).unwrap();
    sync(&mut a, &mut b);
    assert_eq!(b.room.chat().get(&first).unwrap().reactions()[0].1, [a.id()]);
    let gone = b.room.chat().get(&reply).unwrap();
    assert!(gone.deleted() && gone.body().is_empty() && gone.mentions().is_empty());
    assert_eq!(b.act(|room, now, _| room.edit(reply, "back".into(), vec![], now)), Err(Refusal::UnknownMessage));
    let reopened = b.reopened(44);
    assert_eq!(reopened.room.chat().messages().collect::<Vec<_>>(), b.room.chat().messages().collect::<Vec<_>>());
}

#[test]
fn a_member_edits_and_deletes_only_their_own_even_by_hand() {
    let (mut a, mut b, _) = three();
    let first = a.says("mine");
    sync(&mut a, &mut b);
    for (kind, body) in [
        (
            2,
            conclave_protocol::wire::encode(&conclave_protocol::chat::Edit {
                target: first,
                body: "yours".into(),
                mentions: vec![],
            }),
        ),
        (3, conclave_protocol::wire::encode(&conclave_protocol::chat::Delete { target: first })),
    ] {
        b.act(|room, now, _| room.write(kind, body, now)).unwrap();
    }
    sync(&mut a, &mut b);
    assert_eq!(a.bodies(), ["mine"]);
    assert_eq!(b.bodies(), ["mine"]);
}

#[test]
fn search_finds_every_word_in_any_case_and_the_newest_first() {
    let (mut a, ..) = three();
    for body in ["The green door", "a red DOOR", "window", "Grüne Tür, green DOOR"] {
        a.says(body);
    }
    let found: Vec<_> = a.room.chat().search("door GREEN", 10).iter().map(|message| message.body()).collect();
    assert_eq!(found, ["Grüne Tür, green DOOR", "The green door"]);
    assert_eq!(a.room.chat().search("grüne", 10).len(), 1);
    assert!(a.room.chat().search("  ", 10).is_empty());
    assert_eq!(a.room.chat().search("o", 2).len(), 2);
}

#[test]
fn what_a_newer_version_wrote_is_kept_passed_on_and_named_as_such() {
    let (mut a, mut b, mut c) = three();
    a.act(|room, now, _| room.write(77, b"a poll, perhaps".to_vec(), now)).unwrap();
    sync(&mut a, &mut b);
    sync(&mut b, &mut c);
    let message = c.room.chat().last().unwrap();
    assert!(message.from_newer_version && message.body().is_empty());
    // A known kind with a body it does not allow is shown to nobody, and does no harm.
    a.act(|room, now, _| room.write(1, b"\xff\xff".to_vec(), now)).unwrap();
    sync(&mut a, &mut c);
    assert_eq!(c.room.chat().len(), 1);
}

#[test]
fn text_that_cannot_be_shown_is_refused_and_direction_cannot_be_turned() {
    let (mut a, ..) = three();
    assert_eq!(check_text("a\tb\nc"), Ok(()));
    assert_eq!(check_text(" \n "), Err(TextError::Empty));
    assert_eq!(check_text("a\u{7}"), Err(TextError::ControlCharacter));
    assert_eq!(check_text("a\r\n"), Err(TextError::ControlCharacter));
    assert_eq!(check_text(&"x".repeat(16 * 1024 + 1)), Err(TextError::TooLong));
    assert_eq!(a.act(|room, now, _| room.say(text("\u{1b}[31m"), now)), Err(Refusal::Text(TextError::ControlCharacter)));
    assert_eq!(for_display("a\u{202e}b\u{2066}c"), "abc");
    a.says("abc\u{202e}txt.exe");
    assert_eq!(a.bodies(), ["abctxt.exe"]);
}

#[test]
fn newcomers_read_from_their_admission_on_where_the_room_says_so() {
    let mut a = Peer::founds("Anna", false);
    let mut b = a.admits("Ben", Role::Member);
    a.says("before Cleo 1");
    sync(&mut a, &mut b);
    b.says("before Cleo 2");
    sync(&mut a, &mut b);
    let mut c = a.admits("Cleo", Role::Member);
    sync(&mut a, &mut b);
    a.says("after 1");
    b.says("after 2");
    sync(&mut a, &mut b);
    let third = a.says("after 3");
    sync(&mut a, &mut b);
    // A live operation comes before the history does.
    let live = signed(&a.stored).into_iter().find(|op| op.hash() == third).unwrap();
    c.takes_ops(&[live]);
    sync(&mut b, &mut c);
    assert_eq!(c.bodies().len(), 3, "{:?}", c.bodies());
    assert_eq!(c.bodies(), a.bodies()[2..]);
    c.says("mine");
    sync(&mut c, &mut a);
    sync(&mut c, &mut b);
    assert_eq!(a.bodies(), b.bodies());
    assert_eq!(a.bodies().len(), 6);
    assert_eq!(c.room.waiting(), 0);
    let reopened = c.reopened(5);
    assert_eq!(reopened.bodies(), c.bodies());
    // Pushed at it, older ones are refused.
    let old: Vec<_> = signed(&a.stored).into_iter().filter(op_decodes).take(1).collect();
    assert_eq!(c.takes_ops(&old).refused.not_permitted, 1);
}

#[test]
fn who_was_let_in_again_reads_on_from_then_where_the_room_says_so() {
    let mut a = Peer::founds("Anna", false);
    let mut b = a.admits("Ben", Role::Member);
    let mut c = a.admits("Cleo", Role::Member);
    sync(&mut a, &mut b);
    let everyone = |a: &mut Peer, b: &mut Peer, c: &mut Peer| {
        for _ in 0..3 {
            sync(a, b);
            sync(a, c);
            sync(b, c);
        }
    };
    a.says("with Cleo, by Anna");
    b.says("with Cleo, by Ben");
    c.says("with Cleo, by Cleo");
    everyone(&mut a, &mut b, &mut c);
    a.revokes(c.id());
    everyone(&mut a, &mut b, &mut c);
    for n in 0..3 {
        a.says(&format!("without Cleo, by Anna {n}"));
        b.says(&format!("without Cleo, by Ben {n}"));
        sync(&mut a, &mut b);
    }
    let card = c.me.card.clone();
    a.act(|room, now, rng| room.admit(card, Role::Member, None, now, rng)).unwrap();
    a.says("again, by Anna");
    sync(&mut a, &mut b);
    b.says("again, by Ben");
    sync(&mut a, &mut b);
    let third = a.says("again, by Anna too");
    // The newest comes first, alone.
    deliver(&mut a, &mut b);
    c.takes_acl(&a.room.acl_missing(&c.room.acl_heads()));
    let live = signed(&a.stored).into_iter().find(|op| op.hash() == third).unwrap();
    c.takes_ops(&[live]);
    everyone(&mut a, &mut b, &mut c);
    let read = [
        "with Cleo, by Anna",
        "with Cleo, by Ben",
        "with Cleo, by Cleo",
        "again, by Anna",
        "again, by Ben",
        "again, by Anna too",
    ];
    let sorted = |peer: &Peer| peer.bodies().into_iter().filter(|body| !body.starts_with("without")).collect::<Vec<_>>();
    assert!(c.bodies().iter().all(|body| !body.starts_with("without")), "{:?}", c.bodies());
    assert_eq!(c.bodies().len(), read.len(), "{:?}", c.bodies());
    assert_eq!(c.bodies(), sorted(&a));
    assert_eq!(c.room.waiting(), 0);
    c.says("and on");
    everyone(&mut a, &mut b, &mut c);
    assert_eq!((a.bodies().len(), a.bodies()), (13, b.bodies()));
    // So it is after a restart, in whatever order the store gives it.
    let mut reopened = c.reopened(5);
    assert_eq!((reopened.bodies(), reopened.room.waiting()), (c.bodies(), 0));
    c.stored.reverse();
    assert_eq!(c.reopened(6).bodies(), reopened.bodies());
    a.says("still on");
    sync(&mut a, &mut reopened);
    assert_eq!(reopened.bodies().len(), 8);
    assert_eq!(reopened.room.waiting(), 0);
}

fn op_decodes(signed: &conclave_protocol::wire::Signed) -> bool {
    conclave_protocol::log::op::Op::decode(&signed.payload).is_ok()
}

#[test]
fn another_message_in_a_long_chat_costs_what_it_costs_in_a_short_one() {
    let (mut a, mut b, _) = three();
    for n in 0..10_000 {
        a.says(&n.to_string());
    }
    sync(&mut a, &mut b);
    assert_eq!(b.room.chat().len(), 10_000);
    // A second look at the log would need at least a byte for each operation; some appends also grow a table.
    let mut said = Vec::new();
    let own = (0..8).map(|n| crate::memory::peak_of(|| said.push(a.says(&format!("more {n}")))).1).min();
    let ops: Vec<_> = signed(&a.stored).into_iter().rev().take(8).collect();
    let taken = ops.iter().rev().map(|op| crate::memory::peak_of(|| b.takes_ops(std::slice::from_ref(op))).1).min();
    assert!(own < Some(9_000) && taken < Some(9_000), "{own:?} {taken:?}");
    assert_eq!(b.bodies().len(), 10_008);
}
