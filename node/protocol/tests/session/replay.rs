//! The two tests that the design names.

use std::cell::RefCell;
use std::rc::Rc;

use conclave_protocol::session::message::{JoinReq, SessionFrame};
use conclave_protocol::session::{Phase, RefusalKind};

use crate::support::ms;
use crate::world::{ROOM, World};

/// Every presence and every request of a whole life of the room is told again, by each member, to each other: no roster, session or epoch
/// changes for it.
#[test]
fn replayed_joinreq_or_presence_moves_nobody() {
    let recorded = Rc::new(RefCell::new(Vec::new()));
    let tap = recorded.clone();
    let mut world = World::new(5, 41);
    world.tap = Some(Box::new(move |_, from, to, frame| {
        if matches!(frame, SessionFrame::Presence(_) | SessionFrame::JoinReq(_)) {
            tap.borrow_mut().push((from, to, frame.clone()));
        }
        None
    }));
    let all: Vec<usize> = (0..5).collect();
    all.iter().for_each(|node| world.start(*node));
    world.run_until(ms(20_000), |world| world.is_one(&all)).unwrap();
    // Two parts, a restart, and back: requests for several sessions, some of which were never served.
    world.part(vec![0, 0, 1, 1, 1]);
    world.run_until(ms(40_000), |world| world.is_one(&[0, 1]) && world.is_one(&[2, 3, 4])).unwrap();
    world.crash(3);
    world.run(ms(1_000));
    world.start(3);
    world.part(vec![0; 5]);
    world.run_until(ms(40_000), |world| world.is_one(&all)).unwrap();
    world.run(ms(12_000));
    world.tap = None;
    let frames = recorded.borrow().clone();
    let requests = frames.iter().filter(|(.., frame)| matches!(frame, SessionFrame::JoinReq(_))).count();
    assert!(requests >= 8 && frames.len() > 200, "{requests} of {}", frames.len());
    let before: Vec<_> = all.iter().map(|node| world.nodes[*node].state()).collect();
    let changes: Vec<usize> = all.iter().map(|node| world.nodes[*node].changes).collect();
    // A presence is told again by its device, or by another in its name; a request by anyone. Slowly enough that no flood is cut short.
    for (index, (from, _, frame)) in frames.iter().enumerate() {
        for node in &all {
            if world.id(*node) != *from {
                world.deliver(*node, *from, frame.clone());
            }
        }
        let other = world.id(index % 5);
        world.deliver((index + 1) % 5, other, frame.clone());
        if index % 2 == 0 {
            world.run(ms(200));
        }
    }
    world.run(ms(20_000));
    assert_eq!(all.iter().map(|node| world.nodes[*node].state()).collect::<Vec<_>>(), before);
    assert_eq!(all.iter().map(|node| world.nodes[*node].changes).collect::<Vec<_>>(), changes, "no epoch was made");
    assert!(world.refused(RefusalKind::Replayed) > 100);
    assert!(all.iter().all(|node| world.nodes[*node].session().phase() != Phase::Joining));
}

#[test]
fn writer_that_starves_one_member_is_left_by_all() {
    let mut world = World::new(5, 42);
    let (writer, victim) = (world.id(0), world.id(4));
    let all: Vec<usize> = (0..5).collect();
    (0..4).for_each(|node| world.start(node));
    world.run_until(ms(20_000), |world| world.is_one(&[0, 1, 2, 3])).unwrap();
    world.run(ms(12_000));
    let starved = world.nodes[0].epoch().unwrap().session;
    // The writer does as if it had never heard the one.
    world.tap = Some(Box::new(move |_, from, to, frame| match frame {
        SessionFrame::JoinReq(req) if to == writer => {
            JoinReq::open(req, &ROOM).is_ok_and(|join| join.device == victim).then(Vec::new)
        }
        SessionFrame::Welcome(welcome) if from == writer && welcome.to == victim => Some(Vec::new()),
        _ => None,
    }));
    world.start(4);
    let left = |world: &World| (1..4).all(|node| world.nodes[node].epoch().is_some_and(|epoch| epoch.session != starved));
    let took = world.run_until(ms(30_000), left).expect("all leave the writer");
    assert!(took >= ms(5_000) && took <= ms(14_000), "{took:?}");
    let rest: Vec<usize> = (1..5).collect();
    let roster = |world: &World| rest.iter().all(|node| world.nodes[*node].epoch().is_some_and(|epoch| epoch.roster.len() >= 4));
    world.run_until(ms(10_000), roster).expect("the one is in with the others");
    assert!(world.nodes[4].epoch().unwrap().session != starved);
    world.run_until(ms(30_000), |world| world.is_one(&all)).expect("the writer comes to them in the end");
}
