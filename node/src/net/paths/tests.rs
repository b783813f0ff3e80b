//! The machine in virtual time: who dials, what is kept, what is forgotten.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const LOW: DeviceId = DeviceId([1; 32]);
const HIGH: DeviceId = DeviceId([2; 32]);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
}

fn path(number: usize, dialled_by_me: bool) -> Path {
    let connection = ConnectionId::new_unchecked(number);
    Path { connection, dialled_by_me, transport: TransportName::Tcp, address: address(9) }
}

fn idle(_: ConnectionId) -> usize {
    0
}

#[test]
fn lower_id_dials_a_neighbour_at_once_and_the_other_one_waits() {
    let mut low = Paths::new(LOW);
    assert_eq!(low.handle_discovered(HIGH, vec![address(1), address(2)], at(0)), [address(1), address(2)]);
    assert_eq!(low.poll(at(0), idle), Some(Act::Dial { device: HIGH, addresses: vec![address(1), address(2)] }));
    assert_eq!(low.poll(at(0), idle), None);

    let mut high = Paths::new(HIGH);
    high.handle_discovered(LOW, vec![address(1)], at(0));
    assert_eq!(high.poll(at(0), idle), None);
    assert_eq!(high.poll_timeout(), Some(YIELD));
    assert!(matches!(high.poll(YIELD, idle), Some(Act::Dial { .. })));
}

#[test]
fn a_connection_that_came_spares_the_second_dial() {
    let mut high = Paths::new(HIGH);
    high.handle_discovered(LOW, vec![address(1)], at(0));
    assert_eq!(high.handle_connected(LOW, path(1, false), at(5)), Came::First);
    assert_eq!(high.poll_timeout(), None);
    assert_eq!(high.poll(YIELD, idle), None);
}

#[test]
fn a_wanted_device_is_dialled_again_with_growing_waits_and_a_stranger_is_given_up() {
    for (wanted, most) in [(true, usize::MAX), (false, UNASKED_ATTEMPTS as usize)] {
        let mut low = Paths::new(LOW);
        low.handle_discovered(HIGH, vec![address(1)], at(0));
        if wanted {
            low.handle_want(HIGH, vec![], at(0));
        }
        let mut attempts = Vec::new();
        let mut now = at(0);
        while let Some(due) = low.poll_timeout().filter(|due| *due < at(600_000)) {
            now = now.max(due);
            if low.poll(now, idle).is_some() {
                attempts.push(now);
                low.handle_dial_failed(HIGH, now);
            }
        }
        assert!(attempts.len() <= most);
        assert!(attempts.len() >= UNASKED_ATTEMPTS as usize);
        let waits: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.iter().all(|wait| *wait >= FIRST_BACKOFF && *wait <= LAST_BACKOFF.mul_f32(1.25)), "{waits:?}");
        assert!(waits.last() > waits.first());
    }
}

#[test]
fn a_closed_connection_is_not_dialled_again_unless_wanted() {
    for wanted in [false, true] {
        let mut low = Paths::new(LOW);
        low.handle_discovered(HIGH, vec![address(1)], at(0));
        low.poll(at(0), idle).unwrap();
        if wanted {
            low.handle_want(HIGH, vec![], at(0));
        }
        low.handle_connected(HIGH, path(1, true), at(10));
        assert_eq!(low.handle_closed(HIGH, ConnectionId::new_unchecked(1), at(30_000)), Left::Nobody);
        assert_eq!(low.poll_timeout().is_some(), wanted);
    }
}

#[test]
fn a_restarted_neighbour_is_dialled_at_its_new_address_at_once() {
    let mut low = Paths::new(LOW);
    low.handle_discovered(HIGH, vec![address(1)], at(0));
    low.poll(at(0), idle).unwrap();
    for _ in 0..4 {
        low.handle_dial_failed(HIGH, at(0));
    }
    assert!(low.poll_timeout().unwrap() >= at(1_000));
    low.handle_discovered(HIGH, vec![address(2)], at(100));
    assert!(matches!(low.poll(at(100), idle), Some(Act::Dial { addresses, .. }) if addresses.contains(&address(2))));
}

#[test]
fn both_sides_of_a_simultaneous_dial_keep_the_connection_of_the_lower_id() {
    let (mut low, mut high) = (Paths::new(LOW), Paths::new(HIGH));
    // Connection 1 was dialled by the higher id and stood first, connection 2 by the lower one.
    assert_eq!(low.handle_connected(HIGH, path(1, false), at(0)), Came::First);
    assert_eq!(low.handle_connected(HIGH, path(2, true), at(1)), Came::Beside);
    high.handle_connected(LOW, path(1, true), at(0));
    high.handle_connected(LOW, path(2, false), at(1));
    let kept = Some(ConnectionId::new_unchecked(2));
    assert_eq!(low.best(HIGH, idle), kept);
    assert_eq!(high.best(LOW, idle), kept);
    let close = Some(Act::Close { connection: ConnectionId::new_unchecked(1) });
    assert_eq!(low.poll(at(500), idle), None);
    assert_eq!(low.poll(at(1_001), idle), close);
    assert_eq!(high.poll(at(1_001), idle), None, "the lower id judges first");
    assert_eq!(high.poll(at(5_001), idle), close, "and the higher one the same, if the lower one does not");
    assert_eq!(low.handle_closed(HIGH, ConnectionId::new_unchecked(1), at(1_002)), Left::Moved(path(2, true)));
    assert_eq!(low.poll_timeout(), None);
}

#[test]
fn a_first_connection_that_makes_place_for_another_is_no_parting() {
    let mut high = Paths::new(HIGH);
    assert_eq!(high.handle_connected(LOW, path(1, false), at(0)), Came::First);
    assert_eq!(high.handle_closed(LOW, ConnectionId::new_unchecked(1), at(20)), Left::Unsettled);
    assert_eq!(high.poll(at(100), idle), None);
    assert_eq!(high.handle_connected(LOW, path(2, false), at(120)), Came::Instead);
    assert_eq!(high.poll(at(5_000), idle), None);

    assert_eq!(high.handle_closed(LOW, ConnectionId::new_unchecked(2), at(300)), Left::Unsettled);
    let due = high.poll_timeout().unwrap();
    assert!(due <= at(1_000));
    assert_eq!(high.poll(due, idle), Some(Act::Gone { device: LOW }));
    assert_eq!(high.poll(at(60_000), idle), None);
    assert!(high.devices.is_empty());
    assert_eq!(high.handle_connected(LOW, path(3, false), at(70_000)), Came::First);
    assert_eq!(high.handle_closed(LOW, ConnectionId::new_unchecked(3), at(72_000)), Left::Nobody);
}

#[test]
fn the_connection_with_streams_survives_an_idle_one() {
    let mut low = Paths::new(LOW);
    low.handle_connected(HIGH, path(1, false), at(0));
    low.handle_connected(HIGH, path(2, true), at(1));
    let live = |connection| usize::from(connection == ConnectionId::new_unchecked(1));
    assert_eq!(low.best(HIGH, live), Some(ConnectionId::new_unchecked(1)));
    assert_eq!(low.poll(at(1_001), live), Some(Act::Close { connection: ConnectionId::new_unchecked(2) }));
    assert_eq!(low.handle_closed(HIGH, ConnectionId::new_unchecked(2), at(1_002)), Left::Same);
}

#[test]
fn two_connections_with_streams_are_given_time_to_become_one() {
    let mut low = Paths::new(LOW);
    low.handle_connected(HIGH, path(1, false), at(0));
    low.handle_connected(HIGH, path(2, true), at(0));
    let (now, closed) = loop {
        let now = low.poll_timeout().unwrap();
        if let Some(act) = low.poll(now, |_| 1) {
            break (now, act);
        }
    };
    assert_eq!(closed, Act::Close { connection: ConnectionId::new_unchecked(1) });
    assert!(now >= JUDGE_LAST && now <= JUDGE_LAST + JUDGE_AGAIN);
}

#[test]
fn another_program_is_not_dialled_again() {
    let mut low = Paths::new(LOW);
    low.handle_discovered(HIGH, vec![address(1)], at(0));
    low.poll(at(0), idle).unwrap();
    low.handle_connected(HIGH, path(1, true), at(1));
    low.handle_foreign(HIGH);
    low.handle_closed(HIGH, ConnectionId::new_unchecked(1), at(2));
    low.handle_discovered(HIGH, vec![address(2)], at(3));
    assert_eq!(low.poll_timeout(), None);
    assert_eq!(low.devices().count(), 0);
}

#[test]
fn a_flood_of_neighbours_takes_bounded_room_and_leaves_the_wanted_ones() {
    let mut low = Paths::new(LOW);
    low.handle_want(HIGH, vec![address(1)], at(0));
    for n in 0..5_000_u32 {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        low.handle_discovered(DeviceId(id), (0..100).map(address).collect(), at(0));
    }
    assert_eq!(low.devices.len(), MAX_DEVICES);
    assert!(low.is_wanted(HIGH));
    assert!(low.devices.values().all(|known| known.shown.len() <= MAX_ADDRESSES));
}

#[test]
fn this_device_is_nobodys_neighbour() {
    let mut low = Paths::new(LOW);
    low.handle_discovered(LOW, vec![address(1)], at(0));
    low.handle_want(LOW, vec![address(1)], at(0));
    assert_eq!(low.poll_timeout(), None);
}

#[test]
fn a_lost_connection_to_a_wanted_device_is_restored_within_a_second() {
    for (me, other) in [(LOW, HIGH), (HIGH, LOW)] {
        let mut paths = Paths::new(me);
        paths.handle_want(other, vec![address(1)], at(0));
        paths.handle_connected(other, path(1, false), at(10));
        paths.handle_closed(other, ConnectionId::new_unchecked(1), at(5_000));
        let due = paths.poll_timeout().unwrap();
        assert!(due <= at(6_000));
        assert!(matches!(paths.poll(due, idle), Some(Act::Dial { .. })));
    }
}
