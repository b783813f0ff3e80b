//! Each rule by itself, on a network that behaves.

use std::time::Duration;

use conclave_protocol::session::message::{JoinReq, SessionFrame};
use conclave_protocol::session::{Phase, SFRAME_LABEL, Sent};

use crate::support::ms;
use crate::world::{AclOp, ROOM, World};

fn all(members: usize) -> Vec<usize> {
    (0..members).collect()
}

#[test]
fn the_most_senior_creates_and_the_others_are_added() {
    let mut world = World::new(4, 1);
    all(4).into_iter().for_each(|node| world.start(node));
    let took = world.run_until(ms(10_000), |world| world.is_one(&all(4))).unwrap();
    assert!(took <= ms(3_500), "{took:?}");
    assert_eq!(world.writer(&all(4)), Some(0));
    assert!(all(4)[1..].iter().all(|node| world.nodes[*node].session().phase() == Phase::Member));
}

#[test]
fn who_comes_to_a_session_has_its_key_within_a_second() {
    let mut world = World::new(6, 2);
    (0..5).for_each(|node| world.start(node));
    world.run_until(ms(20_000), |world| world.is_one(&all(5))).unwrap();
    world.run(ms(3_000));
    world.start(5);
    let took = world.run_until(ms(10_000), |world| world.is_one(&all(6))).unwrap();
    assert!(took <= ms(1_000), "{took:?}");
}

#[test]
fn what_is_sent_is_received_by_all_with_its_sender() {
    let mut world = World::settled(5, 3);
    assert!(matches!(world.send(2, b"hello"), Some(Sent::Now { .. })));
    world.run(ms(500));
    for node in [0, 1, 3, 4] {
        assert_eq!(world.nodes[node].received, [(world.id(2), b"hello".to_vec())]);
    }
    assert!(world.nodes[2].received.is_empty());
}

#[test]
fn every_frame_reads_back_as_it_was_written() {
    let mut world = World::new(3, 4);
    world.tap = Some(Box::new(|_, _, _, frame| {
        assert_eq!(SessionFrame::decode(&frame.encode()).as_ref(), Ok(frame));
        None
    }));
    all(3).into_iter().for_each(|node| world.start(node));
    world.run_until(ms(10_000), |world| world.is_one(&all(3))).unwrap();
    world.send(1, b"x");
    world.run(ms(500));
    assert_eq!(world.nodes[2].received.len(), 1);
}

#[test]
fn the_exporter_gives_all_the_same_and_the_epoch_before_is_kept() {
    let mut world = World::settled(4, 5);
    let (session, epoch, key) = world.nodes[0].state().unwrap();
    world.crash(3);
    let without: Vec<usize> = all(3);
    world.run_until(ms(10_000), |world| world.is_one(&without)).unwrap();
    assert!(world.nodes[1].state().unwrap().1 > epoch);
    let old = |world: &World| world.nodes[1].session().exporter(&session, epoch, SFRAME_LABEL, b"", 32);
    assert_eq!(old(&world).as_deref(), Some(&key), "500 ms after a removal");
    let epochs = world.nodes[1].session().epochs();
    assert!(epochs.last().unwrap().accept_until.is_none() && epochs[0].accept_until.is_some());
    world.run(ms(700));
    assert_eq!(old(&world), None);
    let current = world.nodes[1].epoch().unwrap();
    let other = |node: usize| world.nodes[node].session().exporter(&current.session, current.epoch, "other", b"c", 20);
    assert!(other(1).is_some() && other(1) == other(2));
}

#[test]
fn a_lost_writer_is_replaced_by_the_next_senior() {
    let mut world = World::settled(5, 6);
    world.crash(0);
    let rest: Vec<usize> = (1..5).collect();
    let took = world.run_until(ms(30_000), |world| world.is_one(&rest)).unwrap();
    assert!(took <= ms(12_000), "{took:?}");
    assert_eq!(world.writer(&rest), Some(1));
}

#[test]
fn a_revoked_device_is_removed_at_once_and_the_gate_is_closed_before() {
    let mut world = World::settled(5, 7);
    let banned = world.id(4);
    let known = world.write_acl(AclOp::Revoke(banned));
    world.learn(2, known);
    assert!(world.nodes[2].session().is_gated(&world.nodes[2].acl));
    assert!(world.nodes[2].cut.contains(&banned));
    assert_eq!(world.send(2, b"not for the banned"), Some(Sent::Queued));
    let rest: Vec<usize> = (0..4).collect();
    let took = world.run_until(ms(10_000), |world| world.is_one(&rest)).unwrap();
    assert!(took <= ms(1_000), "{took:?}");
    world.run(ms(300));
    assert_eq!(world.nodes[1].received.last().unwrap().1, b"not for the banned");
    assert!(world.nodes[4].received.is_empty());
}

#[test]
fn two_parts_become_one_session_of_the_senior_writer() {
    let mut world = World::settled(6, 8);
    world.part(vec![0, 0, 0, 1, 1, 1]);
    let (left, right) = ([0, 1, 2], [3, 4, 5]);
    world.run_until(ms(40_000), |world| world.is_one(&left) && world.is_one(&right)).unwrap();
    world.part(vec![0; 6]);
    let took = world.run_until(ms(40_000), |world| world.is_one(&all(6))).unwrap();
    assert!(took <= ms(6_000), "{took:?}");
    assert_eq!(world.writer(&all(6)), Some(0));
}

#[test]
fn a_session_of_one_never_attracts_a_larger() {
    let mut world = World::new(5, 9);
    world.parts = vec![1, 0, 0, 0, 0];
    all(5).into_iter().for_each(|node| world.start(node));
    let rest: Vec<usize> = (1..5).collect();
    world.run_until(ms(20_000), |world| world.is_one(&rest) && world.is_one(&[0])).unwrap();
    let before = world.nodes[1].state().unwrap().0;
    world.part(vec![0; 5]);
    world.run_until(ms(20_000), |world| world.is_one(&all(5))).unwrap();
    assert_eq!(world.nodes[0].state().unwrap().0, before, "the senior came to the larger one");
}

#[test]
fn a_member_out_of_the_writers_reach_stays_in() {
    let mut world = World::new(4, 10);
    world.set_apart(0, 3, true);
    all(4).into_iter().for_each(|node| world.start(node));
    world.run_until(ms(20_000), |world| world.is_one(&all(4))).unwrap();
    let epoch = world.nodes[0].state().unwrap().1;
    world.run(ms(20_000));
    assert!(world.is_one(&all(4)));
    assert_eq!(world.nodes[0].state().unwrap().1, epoch, "nobody was removed and added again");
    world.crash(2);
    let rest = [0, 1, 3];
    world.run_until(ms(20_000), |world| world.is_one(&rest)).expect("the commit is fetched from another member");
}

#[test]
fn a_restarted_member_comes_back_with_one_leaf() {
    let mut world = World::settled(4, 11);
    world.run(ms(12_000));
    world.crash(2);
    world.run(ms(1_000));
    world.start(2);
    let took = world.run_until(ms(30_000), |world| world.is_one(&all(4))).unwrap();
    assert!(took <= ms(3_000), "{took:?}");
}

#[test]
fn a_leaver_is_removed_after_two_seconds() {
    let mut world = World::settled(4, 12);
    world.nodes[3].session.as_mut().unwrap().leave();
    let leave = world.nodes[3].session.as_mut().unwrap().poll_output();
    let Some(conclave_protocol::session::SessionOutput::Send { frame, .. }) = leave else { panic!() };
    let leaver = world.id(3);
    for node in 0..3 {
        world.deliver(node, leaver, (*frame).clone());
    }
    world.crash(3);
    let took = world.run_until(ms(20_000), |world| world.is_one(&[0, 1, 2])).unwrap();
    assert!(took >= Duration::from_secs(2) && took <= ms(3_500), "{took:?}");
}

#[test]
fn a_session_can_be_moved_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<conclave_protocol::session::Session>();
}

#[test]
fn every_leaf_key_is_replaced_in_one_commit_after_fifteen_minutes() {
    let mut world = World::settled(4, 13);
    let updates = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = updates.clone();
    world.tap = Some(Box::new(move |_, _, to, frame| {
        if let SessionFrame::Commit(commit) = frame {
            tap.borrow_mut().push((to, commit.updates.len()));
        }
        None
    }));
    let (session, epoch, _) = world.nodes[0].state().unwrap();
    world.run(Duration::from_secs(14 * 60));
    assert_eq!(world.nodes[0].state().unwrap().1, epoch, "nothing happens before");
    world.run(Duration::from_secs(2 * 60));
    let (now_session, now_epoch, _) = world.nodes[0].state().unwrap();
    assert_eq!((now_session, now_epoch), (session, epoch + 1), "one commit for all");
    assert!(updates.borrow().len() >= 3 && updates.borrow().iter().all(|(_, updates)| *updates == 3), "{updates:?}");
    assert!(world.is_one(&all(4)));
    world.send(2, b"under new keys");
    world.run(ms(300));
    assert_eq!(world.nodes[3].received.last().unwrap().1, b"under new keys");
}

/// A member asks to be added anew because it is behind, catches up, and is served after all: the writer has not heard that it is well.
#[test]
fn who_catches_up_after_asking_takes_the_answer_all_the_same() {
    let mut world = World::settled(5, 14);
    world.run(ms(12_000));
    let (writer, late) = (world.id(0), world.id(3));
    let requests = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let held = requests.clone();
    world.tap = Some(Box::new(move |_, _, to, frame| match frame {
        SessionFrame::Commit(_) if to == late => Some(Vec::new()),
        SessionFrame::JoinReq(req) if JoinReq::open(req, &ROOM).is_ok_and(|join| join.device == late) => {
            held.borrow_mut().push(frame.clone());
            Some(Vec::new())
        }
        _ => None,
    }));
    world.crash(4);
    world.run_until(ms(30_000), |_| !requests.borrow().is_empty()).expect("it asks");
    // The commits come after all. What it says does not reach the writer.
    world.tap = Some(Box::new(move |_, from, to, frame| match frame {
        SessionFrame::Presence(_) if from == late && to == writer => Some(Vec::new()),
        SessionFrame::JoinReq(_) if to == writer => Some(Vec::new()),
        _ => None,
    }));
    let caught_up = |world: &World| world.is_one(&[0, 1, 2, 3]) && world.nodes[3].session().phase() == Phase::Member;
    world.run_until(ms(3_000), caught_up).expect("it catches up");
    let (before, asked) = (world.nodes[0].state().unwrap().1, requests.borrow().len());
    let request = requests.borrow()[0].clone();
    world.deliver(0, late, request);
    let took = world.run_until(ms(3_000), |world| world.nodes[0].state().unwrap().1 > before).expect("it is served");
    world.tap = None;
    world.run_until(ms(1_000), caught_up).expect("it is in the new epoch");
    assert!(took <= ms(500), "{took:?}");
    assert_eq!(requests.borrow().len(), asked, "it does not ask again");
}

#[test]
fn who_is_killed_three_times_in_a_row_is_back_at_once_and_then_waits() {
    let mut world = World::settled(4, 15);
    for (start, limit) in [(1, 2_500), (2, 2_500), (3, 2_500), (4, 12_000)] {
        world.crash(2);
        world.run(ms(100));
        world.start(2);
        let took = world.run_until(ms(limit), |world| world.is_one(&all(4))).unwrap_or_else(|| panic!("start {start}"));
        assert_eq!(took > ms(2_500), start == 4, "start {start} took {took:?}");
    }
}

/// Also where it is out of the writer's reach, which hears of it from the others.
#[test]
fn a_restarted_member_out_of_the_writers_reach_is_back_soon() {
    let mut world = World::settled(5, 16);
    world.set_apart(0, 3, true);
    world.run(ms(5_000));
    world.crash(3);
    world.run(ms(100));
    world.start(3);
    let took = world.run_until(ms(10_000), |world| world.is_one(&all(5))).unwrap();
    assert!(took <= ms(2_500), "{took:?}");
}

#[test]
fn a_writer_that_begins_anew_is_not_waited_for() {
    let mut world = World::settled(5, 17);
    world.run(ms(3_000));
    world.crash(0);
    world.run(ms(200));
    world.start(0);
    let took = world.run_until(ms(20_000), |world| world.is_one(&all(5))).unwrap();
    assert!(took <= ms(5_000), "{took:?}");
}

/// A newcomer can read no media of the epoch before, so the others do not go on with it for longer than anyone needs it.
#[test]
fn media_change_over_as_soon_as_all_are_heard_in_the_new_epoch() {
    let mut world = World::new(5, 18);
    (0..4).for_each(|node| world.start(node));
    world.run_until(ms(20_000), |world| world.is_one(&all(4))).unwrap();
    world.run(ms(3_000));
    world.start(4);
    world.run_until(ms(10_000), |world| world.is_one(&all(5))).unwrap();
    let entered = world.now;
    let over =
        |world: &World, nodes: &[usize]| nodes.iter().all(|node| world.nodes[*node].epoch().unwrap().send_from <= world.now);
    let took = world.run_until(ms(1_000), |world| over(world, &all(5))).unwrap();
    assert!(took <= ms(300), "{took:?}");
    // Where one is not heard, the others wait: it may not have the new key yet.
    let deaf = world.id(3);
    world.tap = Some(Box::new(move |_, from, _, _| (from == deaf).then(Vec::new)));
    world.crash(4);
    world.run(ms(300));
    world.start(4);
    let added = |world: &World| world.nodes[0].epoch().unwrap().send_from > entered + ms(1_000);
    world.run_until(ms(4_000), added).unwrap();
    let begun = world.now;
    world.run(ms(250));
    assert!(!over(&world, &[0]), "{:?}", world.now - begun);
    world.run(ms(400));
    assert!(over(&world, &[0]));
}

/// The writer hears of the Revoke and never acts on it. Every other member cuts the device off when it learns of the Revoke, before any
/// commit; nobody sends to it; and in the end they meet without that writer.
#[test]
fn revoke_closes_media_file_and_history_streams_when_the_writer_never_commits() {
    let mut world = World::settled(6, 19);
    world.run(ms(12_000));
    let (writer, banned) = (world.id(0), world.id(5));
    let before = world.nodes[1].state().unwrap();
    world.tap = Some(Box::new(move |_, from, _, frame| {
        (from == writer && matches!(frame, SessionFrame::Commit(_) | SessionFrame::Welcome(_))).then(Vec::new)
    }));
    world.nodes[5].acl.ignores = Some(banned);
    let known = world.write_acl(AclOp::Revoke(banned));
    for node in 0..5 {
        assert!(!world.nodes[node].cut.contains(&banned));
        world.learn(node, known);
        // The caller closes by this every stream and every connection for media with the device.
        assert!(world.nodes[node].cut.contains(&banned), "{node} cuts at once");
    }
    for node in 1..5 {
        assert_eq!(world.nodes[node].state().unwrap(), before, "no epoch has begun");
        assert!(world.nodes[node].epoch().unwrap().roster.values().any(|device| *device == banned));
        assert_eq!(world.send(node, b"after the revocation"), Some(Sent::Queued));
    }
    let rest: Vec<usize> = (1..5).collect();
    let out = |world: &World| rest.iter().all(|node| world.nodes[*node].state().is_some_and(|state| state.0 != before.0));
    world.run_until(ms(20_000), out).expect("they leave the writer");
    world.run(ms(5_000));
    assert!(world.nodes[5].received.is_empty(), "{:?}", world.nodes[5].received);
    assert!(rest.iter().all(|node| !world.nodes[*node].epoch().unwrap().roster.values().any(|device| *device == banned)));
}
