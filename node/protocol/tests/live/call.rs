use std::collections::BTreeSet;
use std::time::Duration;

use conclave_protocol::call::*;
use conclave_protocol::id::{CallId, DeviceId};
use conclave_protocol::live::*;
use conclave_protocol::wire;
use proptest::prelude::*;

use crate::support::{Seeded, ms};

struct Member {
    call: Call,
    alive: bool,
    /// As its outputs said, to be compared with what the machine says.
    connected: BTreeSet<DeviceId>,
    log: Vec<(Duration, CallOutput)>,
}

/// Members of one room over a network with delay, partitions and crashes, in virtual time.
struct World {
    members: Vec<Member>,
    now: Duration,
    rng: Seeded,
    delay_ms: u64,
    flying: Vec<(Duration, usize, usize, Presence)>,
    /// Members in different parts do not hear each other.
    parts: Vec<u8>,
}

fn device(index: usize) -> DeviceId {
    DeviceId([index as u8 + 1; 32])
}

impl World {
    fn new(people: usize, seed: u64) -> Self {
        let members = (0..people).map(|index| Member {
            call: Call::new(device(index), seed * 100 + index as u64),
            alive: true,
            connected: BTreeSet::new(),
            log: Vec::new(),
        });
        let members = members.collect();
        Self { members, now: ms(0), rng: Seeded(seed), delay_ms: 30, flying: Vec::new(), parts: vec![0; people] }
    }

    fn join(&mut self, index: usize) {
        let mut rng = Seeded(self.rng.next());
        let now = self.now;
        self.members[index].call.join(MediaState::default(), now, 1_000_000 + now.as_millis() as u64, &mut rng);
        self.drain(index);
    }

    fn leave(&mut self, index: usize) {
        let now = self.now;
        self.members[index].call.leave(now);
        self.drain(index);
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.members[index].call.poll_output() {
            let me = &mut self.members[index];
            match &output {
                CallOutput::AddPeer(peer) => assert!(me.connected.insert(*peer), "added once"),
                CallOutput::RemovePeer(peer, _) => assert!(me.connected.remove(peer), "removed once"),
                CallOutput::Ended(_) | CallOutput::Moved(_) => assert!(me.connected.is_empty(), "peers go first"),
                _ => {}
            }
            assert!(me.connected.len() < MAX_PEOPLE);
            me.log.push((self.now, output.clone()));
            let CallOutput::Say(presence) = output else { continue };
            for to in 0..self.members.len() {
                if to != index {
                    let delay = 1 + self.rng.below(self.delay_ms);
                    self.flying.push((self.now + ms(delay), index, to, presence));
                }
            }
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + ms(millis);
        while self.now < end {
            self.now += ms(5);
            let now = self.now;
            self.flying.sort_by_key(|(at, ..)| *at);
            let arrived: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= now).collect();
            for (_, from, to, presence) in arrived {
                if self.members[to].alive && self.parts[from] == self.parts[to] {
                    let bytes = wire::encode(&LivePayload::Presence(presence));
                    let Ok(LivePayload::Presence(presence)) = wire::decode(&bytes) else { panic!() };
                    self.members[to].call.handle_presence(device(from), presence, now);
                    self.drain(to);
                }
            }
            for index in 0..self.members.len() {
                let member = &mut self.members[index];
                if member.alive && member.call.poll_timeout().is_some_and(|at| at <= now) {
                    member.call.handle_timeout(now);
                    self.drain(index);
                }
            }
        }
    }

    fn in_call(&self) -> Vec<usize> {
        (0..self.members.len())
            .filter(|index| self.members[*index].alive && self.members[*index].call.current().is_some())
            .collect()
    }

    /// Everyone in the call is connected with everyone else in it, and with nobody else.
    fn assert_full_mesh(&self) {
        let people = self.in_call();
        let calls: BTreeSet<Option<CallId>> = people.iter().map(|index| self.members[*index].call.current()).collect();
        assert!(calls.len() <= 1, "one call: {calls:?}");
        for index in &people {
            let expected: BTreeSet<DeviceId> =
                people.iter().filter(|other| *other != index).map(|other| device(*other)).collect();
            assert_eq!(self.members[*index].connected, expected, "{index}");
            assert_eq!(self.members[*index].call.peers().collect::<BTreeSet<_>>(), expected);
        }
    }

    fn happened(&self, index: usize, since: Duration, what: impl Fn(&CallOutput) -> bool) -> Option<Duration> {
        self.members[index].log.iter().find(|(at, output)| *at >= since && what(output)).map(|(at, _)| *at)
    }
}

#[test]
fn people_who_join_one_after_another_are_all_connected() {
    let mut world = World::new(5, 1);
    for index in 0..4 {
        world.join(index);
        world.run(700);
    }
    world.assert_full_mesh();
    assert_eq!(world.in_call().len(), 4);
    // One who is not in it sees who is.
    let (_, people) = world.members[4].call.people().unwrap();
    assert_eq!(people.len(), 4);
    assert!(world.members[4].connected.is_empty());
}

#[test]
fn a_leave_is_seen_at_once_and_the_call_goes_on() {
    let mut world = World::new(4, 2);
    (0..4).for_each(|index| world.join(index));
    world.run(2_000);
    let at = world.now;
    world.leave(2);
    world.run(200);
    for index in [0, 1, 3] {
        let left = world.happened(index, at, |output| *output == CallOutput::RemovePeer(device(2), Departure::Left));
        assert!(left.unwrap() - at <= ms(50));
    }
    world.assert_full_mesh();
    assert_eq!(world.happened(2, at, |output| *output == CallOutput::Ended(CallEnd::Left)), Some(at));
}

#[test]
fn a_crash_and_a_cut_cable_are_seen_within_five_seconds() {
    let mut world = World::new(4, 3);
    (0..4).for_each(|index| world.join(index));
    world.run(3_300);
    let at = world.now;
    world.members[1].alive = false;
    world.parts[3] = 1;
    world.run(5_000);
    for lost in [1, 3] {
        for index in [0, 2] {
            let seen = world.happened(index, at, |output| *output == CallOutput::RemovePeer(device(lost), Departure::Lost));
            assert!(seen.unwrap() - at < ms(5_000), "{index} sees {lost}");
        }
    }
    // The one with the cut cable sees nobody, and is found again when it comes back.
    assert!(world.members[3].connected.is_empty());
    world.parts[3] = 0;
    world.run(2_500);
    world.assert_full_mesh();
    assert_eq!(world.in_call().len(), 3);
}

#[test]
fn two_who_begin_at_once_come_to_one_call() {
    for seed in 0..30 {
        let mut world = World::new(5, seed);
        for index in 0..5 {
            world.join(index);
            let pause = world.rng.below(40);
            world.run(pause);
        }
        world.run(3_000);
        world.assert_full_mesh();
        assert_eq!(world.in_call().len(), 5, "seed {seed}");
    }
}

#[test]
fn parts_of_a_network_that_meet_again_become_one_call_with_the_smaller_id() {
    for seed in 0..20 {
        let mut world = World::new(6, seed);
        world.parts = vec![0, 0, 0, 1, 1, 1];
        (0..6).for_each(|index| world.join(index));
        world.run(8_000);
        let calls: BTreeSet<CallId> = (0..6).filter_map(|index| world.members[index].call.current()).collect();
        assert_eq!(calls.len(), 2);
        world.parts = vec![0; 6];
        world.run(4_000);
        world.assert_full_mesh();
        assert_eq!(world.members[0].call.current(), calls.first().copied());
    }
}

#[test]
fn a_ninth_person_is_told_before_joining() {
    let mut world = World::new(9, 5);
    for index in 0..8 {
        world.join(index);
        world.run(300);
    }
    let at = world.now;
    world.join(8);
    assert_eq!(world.happened(8, at, |output| matches!(output, CallOutput::Refused(CallEnd::Full))), Some(at));
    world.run(6_000);
    world.assert_full_mesh();
    assert_eq!(world.in_call(), (0..8).collect::<Vec<_>>());
    // A place that becomes free can be taken.
    world.leave(3);
    world.run(100);
    world.join(8);
    world.run(1_000);
    world.assert_full_mesh();
    assert_eq!(world.in_call().len(), 8);
}

#[test]
fn of_many_who_come_at_the_same_moment_eight_stay() {
    for seed in 0..10 {
        let mut world = World::new(12, seed);
        (0..12).for_each(|index| world.join(index));
        world.run(8_000);
        world.assert_full_mesh();
        assert_eq!(world.in_call().len(), MAX_PEOPLE, "seed {seed}");
        // And where some were in it for long, they are the ones who stay.
        let mut world = World::new(12, seed);
        for index in 6..12 {
            world.join(index);
        }
        world.run(7_000);
        (0..6).for_each(|index| world.join(index));
        world.run(8_000);
        world.assert_full_mesh();
        let people = world.in_call();
        assert!(people.len() == MAX_PEOPLE && (6..12).all(|index| people.contains(&index)), "seed {seed}: {people:?}");
    }
}

#[test]
fn two_full_parts_that_meet_again_leave_a_whole_call_of_eight() {
    for seed in 0..10 {
        let mut world = World::new(12, seed);
        world.parts = (0..12).map(|index| index / 6).collect();
        (0..12).for_each(|index| world.join(index));
        world.run(8_000);
        world.parts = vec![0; 12];
        world.run(10_000);
        world.assert_full_mesh();
        assert_eq!(world.in_call().len(), MAX_PEOPLE, "seed {seed}");
    }
}

#[test]
fn what_one_sends_is_told_at_once_but_not_more_than_ten_times_a_second() {
    let mut world = World::new(2, 6);
    world.join(0);
    world.join(1);
    world.run(1_500);
    let at = world.now;
    for step in 0..100_u64 {
        let media = MediaState { mic: step % 2 == 0, camera: true, ..MediaState::default() };
        world.members[0].call.set_media(media, at + ms(step * 10));
        world.drain(0);
        world.run(10);
    }
    world.run(200);
    let said = world.members[0].log.iter().filter(|(when, output)| *when >= at && matches!(output, CallOutput::Say(_)));
    assert!((5..=14).contains(&said.count()));
    let seen = world.members[1].call.participant(&device(0)).unwrap();
    assert_eq!((seen.media.mic, seen.media.camera), (false, true), "the last state arrives");
}

#[test]
fn someone_who_was_revoked_is_out_at_once() {
    let mut world = World::new(3, 7);
    (0..3).for_each(|index| world.join(index));
    world.run(1_000);
    let now = world.now;
    world.members[0].call.handle_revoked(device(1), now);
    world.drain(0);
    assert!(world.happened(0, now, |output| *output == CallOutput::RemovePeer(device(1), Departure::Revoked)).is_some());
    world.members[1].call.handle_self_revoked(now);
    world.drain(1);
    assert!(world.happened(1, now, |output| *output == CallOutput::Ended(CallEnd::Revoked)).is_some());
    assert!(world.members[1].connected.is_empty());
}

#[test]
fn a_peer_with_a_wrong_certificate_is_not_connected_with_again_until_it_comes_anew() {
    let mut world = World::new(2, 8);
    world.join(0);
    world.run(100);
    world.join(1);
    world.run(1_000);
    world.members[0].call.handle_mismatch(device(1));
    world.drain(0);
    world.run(3_000);
    assert!(world.members[0].connected.is_empty());
    assert!(world.members[0].call.participant(&device(1)).is_some(), "it is still in the call");
    world.leave(1);
    world.run(200);
    world.join(1);
    world.run(200);
    world.assert_full_mesh();
    assert_eq!(world.members[0].connected.len(), 1);
}

#[test]
fn a_member_that_lowers_the_id_again_and_again_moves_nobody_for_long() {
    let mut world = World::new(3, 9);
    world.join(0);
    world.join(1);
    world.run(1_000);
    let mut moves = 0;
    for step in 0..100_u8 {
        let in_call = InCall {
            call: CallId([100 - step; 16]),
            joined_ms: 0,
            seated: true,
            media: MediaState::default(),
            level: 0,
            hand_ms: None,
        };
        let presence = Presence { session: 5, counter: u64::from(step) + 1, in_call: Some(in_call) };
        for index in 0..2 {
            let now = world.now;
            world.members[index].call.handle_presence(device(2), presence, now);
            world.drain(index);
        }
        world.run(100);
        moves = world.members[0].log.iter().filter(|(_, output)| matches!(output, CallOutput::Moved(_))).count();
    }
    assert!(moves <= 13, "{moves}");
}

#[test]
fn presences_that_are_old_or_of_a_former_start_are_ignored() {
    let mut table = PresenceTable::new();
    let at = |session: u64, counter: u64, call: Option<u8>| Presence {
        session,
        counter,
        in_call: call.map(|call| InCall {
            call: CallId([call; 16]),
            joined_ms: 0,
            seated: false,
            media: MediaState::default(),
            level: 127,
            hand_ms: None,
        }),
    };
    let who = device(0);
    assert_eq!(table.handle_presence(who, at(1, 5, Some(1)), ms(0)), Some(PresenceChange::Entered(who)));
    assert_eq!(table.handle_presence(who, at(1, 5, None), ms(1)), None);
    assert_eq!(table.handle_presence(who, at(1, 4, None), ms(1)), None);
    assert_eq!(table.handle_presence(who, at(2, 1, None), ms(2)), Some(PresenceChange::Departed(who, Departure::Left)));
    assert_eq!(table.handle_presence(who, at(1, 9, Some(1)), ms(3)), None);
    assert_eq!(table.handle_presence(who, at(2, 2, Some(1)), ms(3)), Some(PresenceChange::Entered(who)));
    assert_eq!(table.handle_presence(who, at(2, 3, Some(1)), ms(4)), None);
    assert_eq!(table.poll_timeout(), Some(ms(4) + LOST_AFTER));
    assert_eq!(table.handle_timeout(ms(4) + LOST_AFTER), vec![PresenceChange::Departed(who, Departure::Lost)]);
    assert_eq!(table.handle_presence(who, at(2, 4, Some(1)), ms(9_000)), Some(PresenceChange::Entered(who)));
}

#[test]
fn random_comings_and_goings_end_in_one_full_mesh() {
    for seed in 0..40 {
        let mut world = World::new(7, seed);
        world.delay_ms = 200;
        for _ in 0..60 {
            let index = world.rng.below(7) as usize;
            match world.rng.below(6) {
                0 | 1 => world.join(index),
                2 => world.leave(index),
                3 => {
                    let parts = (0..7).map(|_| world.rng.below(2) as u8).collect();
                    world.parts = parts;
                }
                _ => world.parts = vec![0; 7],
            }
            let pause = world.rng.below(3_000);
            world.run(pause);
        }
        world.parts = vec![0; 7];
        world.run(8_000);
        world.assert_full_mesh();
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_or_cut_of_a_presence_is_an_error_or_a_value(bit in 0_usize..1_000, cut in 0_usize..100) {
        let in_call = InCall { call: CallId([7; 16]), joined_ms: 9, seated: true, media: MediaState::default(), level: 3, hand_ms: None };
        let frame = LivePayload::Presence(Presence { session: 1, counter: 2, in_call: Some(in_call) });
        let mut bytes = wire::encode(&frame);
        prop_assert!(wire::decode::<LivePayload>(&bytes[..cut % bytes.len()]).is_err());
        let at = bit % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(LivePayload::Presence(presence)) = wire::decode(&bytes) {
            let mut call = Call::new(device(0), 1);
            call.join(MediaState::default(), ms(0), 0, &mut Seeded(1));
            call.handle_presence(device(1), presence, ms(1));
        }
    }

    #[test]
    fn any_bytes_are_a_live_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = wire::decode_within::<LivePayload>(&bytes, MAX_LIVE_FRAME);
    }
}
