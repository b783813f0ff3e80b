use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::identity::MemberCard;
use conclave_protocol::knock::*;
use conclave_protocol::link::Link;
use conclave_protocol::log::acl::Role;
use conclave_protocol::log::state::AclState;
use conclave_protocol::room::{CreateRoom, InviteSpec, Room};
use conclave_protocol::wire::{self, Signed};
use proptest::prelude::*;

use crate::support::{Person, Seeded, ms};

const HOUR_MS: u64 = 3_600_000;

struct Held(BTreeMap<RoomId, Room>);

impl Rooms for Held {
    fn acl(&self, room: &RoomId) -> Option<&AclState> {
        self.0.get(room).map(Room::acl)
    }
}

/// A device with a room and its doorkeeper, driven as a node drives it.
pub struct Door {
    person: Person,
    rooms: Held,
    doorkeeper: Doorkeeper,
    rng: Seeded,
    now: Duration,
    now_ms: u64,
    /// Frames to send, by session.
    outbox: BTreeMap<SessionId, VecDeque<Vec<u8>>>,
    closed: Vec<SessionId>,
    shown: BTreeMap<DeviceId, String>,
    shown_ever: usize,
    /// Admissions are held back, as a slow disk does.
    slow: bool,
    delayed: Vec<DoorkeeperOutput>,
}

impl Door {
    fn new(person: Person, room: Room) -> Self {
        let doorkeeper = Doorkeeper::new(person.id());
        Self {
            person,
            rooms: Held(BTreeMap::from([(room.id(), room)])),
            doorkeeper,
            rng: Seeded(99),
            now: Duration::ZERO,
            now_ms: 1_000_000,
            outbox: BTreeMap::new(),
            closed: Vec::new(),
            shown: BTreeMap::new(),
            shown_ever: 0,
            slow: false,
            delayed: Vec::new(),
        }
    }

    fn room(&mut self) -> &mut Room {
        self.rooms.0.values_mut().next().unwrap()
    }

    fn room_id(&self) -> RoomId {
        *self.rooms.0.keys().next().unwrap()
    }

    pub fn invite(&mut self, seed: u8, uses: u32, approval: bool) -> Link {
        let link = Link {
            room: self.room_id(),
            room_name: "Room".to_owned(),
            topic_key: [0; 32],
            inviter: self.person.id(),
            admin: self.person.card.account,
            invite_seed: [seed; 32].into(),
            expires_ms: self.now_ms + HOUR_MS,
            hints: Vec::new(),
        };
        let spec = InviteSpec { key: link.invite_key(), expires_ms: link.expires_ms, uses, role: Role::Member, approval };
        let now_ms = self.now_ms;
        self.room().invite(spec, now_ms).unwrap();
        link
    }

    fn run(&mut self) {
        while let Some(output) = self.doorkeeper.poll_output() {
            match output {
                DoorkeeperOutput::Send { session, frame } => self.outbox.entry(session).or_default().push_back(frame),
                DoorkeeperOutput::Close { session } => self.closed.push(session),
                DoorkeeperOutput::KnockReceived { card, code, .. } => {
                    self.shown_ever += 1;
                    self.shown.insert(card.device, code);
                }
                DoorkeeperOutput::KnockEnded { device, .. } => {
                    assert!(self.shown.remove(&device).is_some(), "what ends was shown");
                }
                output if self.slow => self.delayed.push(output),
                output => self.execute(output),
            }
        }
    }

    fn execute(&mut self, output: DoorkeeperOutput) {
        match output {
            DoorkeeperOutput::Admit { room, card, role, invite } => self.admit(room, card, role, invite),
            DoorkeeperOutput::Welcome { room, device } => {
                let ops = self.room().acl_missing(&[]);
                self.doorkeeper.handle_admitted(room, device, ops);
            }
            other => panic!("{other:?}"),
        }
    }

    fn admit(&mut self, room: RoomId, card: MemberCard, role: Role, invite: Option<OpHash>) {
        let device = card.device;
        let (now_ms, mut rng) = (self.now_ms, Seeded(self.rng.next()));
        match self.room().admit(card, role, invite, now_ms, &mut rng) {
            Ok(_) => {
                let ops = self.room().acl_missing(&[]);
                self.doorkeeper.handle_admitted(room, device, ops);
                self.doorkeeper.handle_room_changed(room, &self.rooms);
            }
            Err(refusal) => self.doorkeeper.handle_not_admitted(room, device, refusal.into()),
        }
    }

    fn open(&mut self, peer: DeviceId) -> SessionId {
        let session = self.doorkeeper.handle_opened(peer, self.now, &mut self.rng);
        self.run();
        session
    }

    fn frame(&mut self, session: SessionId, frame: &[u8]) {
        self.doorkeeper.handle_frame(session, frame, &self.rooms, self.now, self.now_ms);
        self.run();
    }

    fn approve(&mut self, device: DeviceId) -> bool {
        let approved = self.doorkeeper.approve(self.room_id(), device, &self.rooms, self.now_ms);
        self.run();
        approved
    }
}

pub fn founder(seed: u64) -> Door {
    let person = Person::new("Founder", seed);
    let wish = CreateRoom { name: "Room".to_owned(), approval: true, full_history: true };
    let (room, _) = Room::create(person.me(), wish, 1, 1_000_000, &mut Seeded(seed)).unwrap();
    Door::new(person, room)
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Waiting(String),
    Admitted(Vec<Signed>),
    Refused(RefusalCode),
    Failed(KnockError),
}

/// A knock under way, with the stream to the door.
struct Visit {
    knocker: Knocker,
    session: SessionId,
    heard: Vec<Heard>,
}

impl Visit {
    fn new(link: &Link, person: &Person, door: &mut Door) -> Self {
        let knocker = Knocker::new(link, person.card.clone(), door.person.id(), door.now, &mut Seeded(door.rng.next()));
        let session = door.open(person.id());
        let mut visit = Self { knocker, session, heard: Vec::new() };
        visit.run(door);
        visit
    }

    fn run(&mut self, door: &mut Door) {
        loop {
            let frame = door.outbox.get_mut(&self.session).and_then(VecDeque::pop_front);
            let mut idle = frame.is_none();
            if let Some(frame) = frame {
                self.knocker.handle_frame(&frame, door.now);
            }
            while let Some(output) = self.knocker.poll_output() {
                idle = false;
                match output {
                    KnockerOutput::Send(frame) => {
                        assert!(frame.len() <= MAX_KNOCK_FRAME);
                        door.frame(self.session, &frame);
                    }
                    KnockerOutput::Waiting { code } => self.heard.push(Heard::Waiting(code)),
                    KnockerOutput::Admitted(ops) => self.heard.push(Heard::Admitted(ops)),
                    KnockerOutput::Refused(code) => self.heard.push(Heard::Refused(code)),
                    KnockerOutput::Failed(error) => self.heard.push(Heard::Failed(error)),
                }
            }
            if idle {
                return;
            }
        }
    }

    fn refusal(&self) -> Option<RefusalCode> {
        match self.heard.last() {
            Some(Heard::Refused(code)) => Some(*code),
            _ => None,
        }
    }

    fn is_admitted(&self) -> bool {
        matches!(self.heard.last(), Some(Heard::Admitted(_)))
    }
}

#[test]
fn without_approval_the_issuer_admits_at_once_and_the_log_makes_the_room() {
    let mut door = founder(1);
    let link = door.invite(7, 1, false);
    let guest = Person::new("Guest", 2);
    let mut visit = Visit::new(&link, &guest, &mut door);
    let Some(Heard::Admitted(ops)) = visit.heard.pop() else { panic!("{:?}", visit.heard) };
    assert_eq!(door.shown_ever, 0, "nobody is asked");
    let (room, _) = Room::join(guest.me(), link.room, ops, 2).unwrap();
    assert_eq!(room.my_role(), Some(Role::Member));
    assert_eq!(room.acl().secrets().len(), 1);
    assert!(door.closed.contains(&visit.session));
}

#[test]
fn with_approval_both_screens_show_one_code_and_the_admin_decides() {
    let mut door = founder(1);
    let link = door.invite(7, 2, true);
    let (guest, other) = (Person::new("Guest", 2), Person::new("Other", 3));
    let mut visit = Visit::new(&link, &guest, &mut door);
    let Some(Heard::Waiting(code)) = visit.heard.last() else { panic!("{:?}", visit.heard) };
    assert_eq!((code.len(), Some(code)), (8, door.shown.get(&guest.id())));
    assert!(door.approve(guest.id()));
    visit.run(&mut door);
    assert!(visit.is_admitted());
    assert!(door.shown.is_empty());
    let mut visit = Visit::new(&link, &other, &mut door);
    assert!(door.doorkeeper.refuse(link.room, other.id()));
    door.run();
    visit.run(&mut door);
    assert_eq!(visit.refusal(), Some(RefusalCode::Refused));
    assert!(!door.doorkeeper.refuse(link.room, other.id()), "nobody waits any more");
    assert!(!door.approve(other.id()));
}

#[test]
fn each_kind_of_bad_invitation_has_its_own_code() {
    let mut door = founder(1);
    let guest = Person::new("Guest", 2);
    // Expired, by the clock of who made it.
    let link = door.invite(1, 1, false);
    door.now_ms = link.expires_ms + 1;
    assert_eq!(Visit::new(&link, &guest, &mut door).refusal(), Some(RefusalCode::Expired));
    // Used up.
    let link = door.invite(2, 1, false);
    assert!(Visit::new(&link, &Person::new("First", 3), &mut door).is_admitted());
    assert_eq!(Visit::new(&link, &guest, &mut door).refusal(), Some(RefusalCode::UsedUp));
    // Revoked, by the removal of anyone.
    let link = door.invite(3, 1, false);
    let (first, now_ms) = (Person::new("First", 3).id(), door.now_ms);
    door.room().revoke(first, now_ms, &mut Seeded(5)).unwrap();
    assert_eq!(Visit::new(&link, &guest, &mut door).refusal(), Some(RefusalCode::Revoked));
    // Of another room, and of this room but never made.
    let wrong = Link { room: RoomId([1; 32]), ..link.clone() };
    let strange = Link { invite_seed: [77; 32].into(), ..link.clone() };
    let guest = Person::new("Guest", 4);
    assert_eq!(Visit::new(&wrong, &guest, &mut door).refusal(), Some(RefusalCode::Unknown));
    assert_eq!(Visit::new(&strange, &guest, &mut door).refusal(), Some(RefusalCode::Unknown));
    assert_eq!(door.room().acl().roster().len(), 1);
}

/// The signed knock that an honest knocker would send into this session, changed before it is signed.
pub fn forged(link: &Link, guest: &Person, door: &mut Door, change: impl FnOnce(&mut Knock)) -> (SessionId, Vec<u8>) {
    let session = door.open(guest.id());
    let challenge = door.outbox.get_mut(&session).unwrap().pop_front().unwrap();
    let Ok(DoorMessage::Challenge(challenge)) = wire::decode(&challenge) else { panic!() };
    let key = conclave_protocol::identity::AccountKey::from_seed(&link.invite_seed);
    let mut knock = Knock {
        version: 1,
        room: link.room,
        invite: *key.id().as_bytes(),
        card: guest.card.clone(),
        door: door.person.id(),
        commitment: challenge.commitment,
        nonce: [3; 32],
    };
    change(&mut knock);
    let payload = wire::encode(&knock);
    let sig = key.sign(KNOCK_LABEL, &knock.room, &payload);
    (session, wire::encode(&KnockMessage::Knock(SignedKnock { signed: Signed { payload, sig } })))
}

fn answer(door: &mut Door, session: SessionId, frame: &[u8]) -> Option<RefusalCode> {
    door.now += ms(60_000);
    door.frame(session, frame);
    let frame = door.outbox.get_mut(&session)?.pop_front()?;
    match wire::decode(&frame) {
        Ok(DoorMessage::Refused(refused)) => Some(RefusalCode::from_number(refused.code)),
        _ => None,
    }
}

#[test]
fn a_knock_is_for_one_door_one_conversation_and_one_device() {
    let mut door = founder(1);
    let link = door.invite(7, 1, false);
    let (guest, thief) = (Person::new("Guest", 2), Person::new("Thief", 3));
    let damaged = Some(RefusalCode::Damaged);
    let changes: [fn(&mut Knock); 3] =
        [|knock| knock.door = DeviceId([9; 32]), |knock| knock.commitment = [0; 32], |knock| knock.card.name = "x\ny".to_owned()];
    for change in changes {
        let (session, frame) = forged(&link, &guest, &mut door, change);
        assert_eq!(answer(&mut door, session, &frame), damaged);
    }
    let (session, frame) = forged(&link, &guest, &mut door, |knock| knock.version = 2);
    assert_eq!(answer(&mut door, session, &frame), Some(RefusalCode::Version));
    // The knock of another device, replayed.
    let (_, stolen) = forged(&link, &guest, &mut door, |_| {});
    let session = door.open(thief.id());
    door.outbox.get_mut(&session).unwrap().pop_front();
    assert_eq!(answer(&mut door, session, &stolen), damaged);
    // One's own of an earlier conversation.
    let session = door.open(guest.id());
    door.outbox.get_mut(&session).unwrap().pop_front();
    assert_eq!(answer(&mut door, session, &stolen), damaged);
    // A card that the account does not vouch for.
    let (session, frame) =
        forged(&link, &guest, &mut door, |knock| knock.card.seal_key = conclave_protocol::id::SealKey([4; 32]));
    assert_eq!(answer(&mut door, session, &frame), damaged);
    // Not signed with the invitation's key.
    let (session, frame) = forged(&link, &guest, &mut door, |_| {});
    let Ok(KnockMessage::Knock(mut request)) = wire::decode(&frame) else { panic!() };
    request.signed.sig[5] ^= 1;
    assert_eq!(answer(&mut door, session, &wire::encode(&KnockMessage::Knock(request))), Some(RefusalCode::Unknown));
    assert_eq!(door.room().acl().roster().len(), 1);
    let (session, frame) = forged(&link, &guest, &mut door, |_| {});
    assert_eq!(answer(&mut door, session, &frame), None);
    assert_eq!(door.room().acl().roster().len(), 2);
}

#[test]
fn an_invitation_redeemed_fifty_times_at_once_admits_one() {
    for approval in [false, true] {
        let mut door = founder(1);
        door.slow = true;
        let link = door.invite(7, 1, approval);
        let guests: Vec<Person> = (0..50).map(|index| Person::new("Guest", 100 + index)).collect();
        let mut visits: Vec<Visit> = guests.iter().map(|guest| Visit::new(&link, guest, &mut door)).collect();
        for guest in &guests {
            door.approve(guest.id());
        }
        door.slow = false;
        for output in std::mem::take(&mut door.delayed) {
            door.execute(output);
        }
        door.run();
        visits.iter_mut().for_each(|visit| visit.run(&mut door));
        assert_eq!(visits.iter().filter(|visit| visit.is_admitted()).count(), 1);
        let told = visits.iter().filter(|visit| matches!(visit.refusal(), Some(RefusalCode::UsedUp | RefusalCode::Busy)));
        assert_eq!(told.count(), 49);
        assert_eq!(door.room().acl().roster().len(), 2);
    }
}

#[test]
fn who_knocks_again_after_a_lost_stream_is_admitted_again() {
    let mut door = founder(1);
    let link = door.invite(7, 1, false);
    let guest = Person::new("Guest", 2);
    assert!(Visit::new(&link, &guest, &mut door).is_admitted());
    // Although the invitation is used up, and has expired since.
    door.now_ms += 2 * HOUR_MS;
    assert!(Visit::new(&link, &guest, &mut door).is_admitted());
    assert_eq!(door.room().acl().roster().len(), 2);
}

#[test]
fn a_knock_outlives_its_stream_for_a_while_and_takes_it_up_again() {
    let mut door = founder(1);
    let link = door.invite(7, 1, true);
    let guest = Person::new("Guest", 2);
    let visit = Visit::new(&link, &guest, &mut door);
    door.doorkeeper.handle_closed(visit.session, door.now);
    door.now += ms(60_000);
    door.doorkeeper.handle_timeout(door.now);
    let mut again = Visit::new(&link, &guest, &mut door);
    assert_eq!(again.heard.last(), Some(&Heard::Waiting(door.shown[&guest.id()].clone())));
    // Approved while away.
    door.doorkeeper.handle_closed(again.session, door.now);
    assert!(door.approve(guest.id()));
    again.run(&mut door);
    assert!(!again.is_admitted());
    assert!(Visit::new(&link, &guest, &mut door).is_admitted());
    // One that is never taken up again is forgotten.
    let link = door.invite(8, 1, true);
    let gone = Visit::new(&link, &Person::new("Gone", 3), &mut door);
    door.doorkeeper.handle_closed(gone.session, door.now);
    let due = door.doorkeeper.poll_timeout().unwrap();
    assert_eq!(due, door.now + ms(120_000));
    door.doorkeeper.handle_timeout(due);
    door.run();
    assert!(door.shown.is_empty());
    assert_eq!(door.doorkeeper.poll_timeout(), None);
}

/// The founder's door, and that of a member with this role.
fn two_doors(role: Role) -> (Door, Door) {
    let mut first = founder(1);
    let second = Person::new("Second", 2);
    let now_ms = first.now_ms;
    first.room().admit(second.card.clone(), role, None, now_ms, &mut Seeded(3)).unwrap();
    let ops = first.room().acl_missing(&[]);
    let (room, _) = Room::join(second.me(), first.room_id(), ops, 2).unwrap();
    let door = Door::new(second, room);
    (first, door)
}

fn exchange(from: &mut Door, to: &mut Door) {
    let ops = from.room().acl_missing(&[]);
    to.room().handle_acl_ops(ops);
    let room = to.room_id();
    to.doorkeeper.handle_room_changed(room, &to.rooms);
    to.run();
}

#[test]
fn an_admin_who_did_not_make_the_link_asks_a_person_and_admits_by_its_own_right() {
    let (mut first, mut second) = two_doors(Role::Admin);
    let link = first.invite(7, 1, false);
    exchange(&mut first, &mut second);
    let guest = Person::new("Guest", 5);
    let mut visit = Visit::new(&link, &guest, &mut second);
    assert!(matches!(visit.heard.last(), Some(Heard::Waiting(_))));
    assert!(second.approve(guest.id()));
    visit.run(&mut second);
    assert!(visit.is_admitted());
    assert_eq!(second.room().acl().role(&guest.id()), Some(Role::Member));
}

#[test]
fn a_member_who_is_no_admin_sends_the_knocker_on() {
    let (mut first, mut second) = two_doors(Role::Member);
    let link = first.invite(7, 1, false);
    exchange(&mut first, &mut second);
    let visit = Visit::new(&link, &Person::new("Guest", 5), &mut second);
    assert_eq!(visit.refusal(), Some(RefusalCode::NotAnAdmin));
    assert!(!RefusalCode::NotAnAdmin.is_final() && !RefusalCode::Unknown.is_final());
}

#[test]
fn who_waits_is_let_in_when_another_admin_admits_them() {
    let (mut first, mut second) = two_doors(Role::Admin);
    let link = first.invite(7, 1, true);
    exchange(&mut first, &mut second);
    let guest = Person::new("Guest", 5);
    let mut at_first = Visit::new(&link, &guest, &mut first);
    let mut at_second = Visit::new(&link, &guest, &mut second);
    assert!(first.approve(guest.id()));
    at_first.run(&mut first);
    assert!(at_first.is_admitted());
    exchange(&mut first, &mut second);
    at_second.run(&mut second);
    assert!(at_second.is_admitted());
    assert!(second.shown.is_empty());
}

#[test]
fn who_waits_is_told_when_the_invitation_loses_its_force() {
    let mut door = founder(1);
    let member = Person::new("Member", 3);
    let now_ms = door.now_ms;
    door.room().admit(member.card.clone(), Role::Member, None, now_ms, &mut Seeded(3)).unwrap();
    let link = door.invite(7, 5, true);
    let mut visit = Visit::new(&link, &Person::new("Guest", 2), &mut door);
    door.room().revoke(member.id(), now_ms, &mut Seeded(4)).unwrap();
    let room = door.room_id();
    door.doorkeeper.handle_room_changed(room, &door.rooms);
    door.run();
    visit.run(&mut door);
    assert_eq!(visit.refusal(), Some(RefusalCode::Revoked));
    // And when the room is gone from this device.
    let link = door.invite(8, 5, true);
    let mut visit = Visit::new(&link, &Person::new("Guest", 6), &mut door);
    door.rooms.0.clear();
    door.doorkeeper.handle_room_changed(room, &door.rooms);
    door.run();
    visit.run(&mut door);
    assert_eq!(visit.refusal(), Some(RefusalCode::Unknown));
}

#[test]
fn knocks_are_bounded_and_one_device_cannot_crowd_out_another() {
    let mut door = founder(1);
    let link = door.invite(7, 1_000, true);
    let guests: Vec<Person> = (0..MAX_PENDING as u64 + 5).map(|index| Person::new("Guest", 100 + index)).collect();
    let visits: Vec<Visit> = guests.iter().map(|guest| Visit::new(&link, guest, &mut door)).collect();
    assert_eq!(door.shown.len(), MAX_PENDING);
    assert_eq!(visits.iter().filter(|visit| visit.refusal() == Some(RefusalCode::Busy)).count(), 5);
    // The same device again and again: it keeps its one place, and is soon told to wait.
    let busy: Vec<Option<RefusalCode>> = (0..10).map(|_| Visit::new(&link, &guests[0], &mut door).refusal()).collect();
    assert_eq!(busy.iter().filter(|code| **code == Some(RefusalCode::Busy)).count(), 5);
    assert_eq!(door.shown.len(), MAX_PENDING);
    // Streams without a knock are closed after a while, and never more than a few stand for one device.
    let idle = Person::new("Idle", 900);
    let sessions: Vec<SessionId> = (0..300).map(|_| door.open(idle.id())).collect();
    assert!(sessions.iter().filter(|session| !door.closed.contains(session)).count() <= 4);
    door.now += REPLY_TIMEOUT;
    door.doorkeeper.handle_timeout(door.now);
    door.run();
    assert!(sessions.iter().all(|session| door.closed.contains(session)));
}

#[test]
fn a_door_that_does_not_answer_or_lies_about_its_nonce_is_left() {
    let mut door = founder(1);
    let link = door.invite(7, 1, true);
    let guest = Person::new("Guest", 2);
    let new = || Knocker::new(&link, guest.card.clone(), DeviceId([8; 32]), ms(0), &mut Seeded(1));
    let mut knocker = new();
    assert_eq!(knocker.poll_timeout(), Some(REPLY_TIMEOUT));
    knocker.handle_timeout(REPLY_TIMEOUT);
    assert_eq!(knocker.poll_output(), Some(KnockerOutput::Failed(KnockError::Timeout)));
    let mut knocker = new();
    let challenge = DoorMessage::Challenge(Challenge { version: 1, commitment: [5; 32] });
    knocker.handle_frame(&wire::encode(&challenge), ms(1));
    assert!(matches!(knocker.poll_output(), Some(KnockerOutput::Send(_))));
    knocker.handle_frame(&wire::encode(&DoorMessage::Waiting(Waiting { nonce: [6; 32] })), ms(2));
    assert_eq!(knocker.poll_output(), Some(KnockerOutput::Failed(KnockError::Protocol)));
    let mut knocker = new();
    knocker.handle_frame(&wire::encode(&DoorMessage::Challenge(Challenge { version: 0, commitment: [5; 32] })), ms(1));
    assert_eq!(knocker.poll_output(), Some(KnockerOutput::Failed(KnockError::Version)));
}

#[test]
fn a_large_log_comes_in_frames_within_the_limit() {
    let mut door = founder(1);
    let link = door.invite(7, 1, false);
    let guest = Person::new("Guest", 2);
    // More operations than two frames hold.
    let ops: Vec<Signed> = (0..3_000_u32).map(|index| Signed { payload: vec![index as u8; 300], sig: [0; 64] }).collect();
    door.slow = true;
    let mut visit = Visit::new(&link, &guest, &mut door);
    door.doorkeeper.handle_admitted(link.room, guest.id(), ops.clone());
    door.run();
    let frames = &door.outbox[&visit.session];
    assert!(frames.len() >= 4 && frames.iter().all(|frame| frame.len() <= MAX_DOOR_FRAME));
    visit.run(&mut door);
    assert_eq!(visit.heard.last(), Some(&Heard::Admitted(ops)));
}

#[test]
fn codes_of_two_conversations_differ() {
    let (room, a, b) = (RoomId([1; 32]), DeviceId([2; 32]), DeviceId([3; 32]));
    let code = compare_code(&room, &a, &b, &[4; 32], &[5; 32]);
    assert_eq!(code, compare_code(&room, &a, &b, &[4; 32], &[5; 32]));
    assert!(code.len() == 8 && code.bytes().all(|digit| digit.is_ascii_digit()));
    let others = [
        compare_code(&room, &b, &a, &[4; 32], &[5; 32]),
        compare_code(&room, &a, &b, &[5; 32], &[4; 32]),
        compare_code(&RoomId([9; 32]), &a, &b, &[4; 32], &[5; 32]),
    ];
    assert!(others.iter().all(|other| *other != code));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_flipped_bit_or_cut_of_a_knock_admits_nobody(bit in 0_usize..20_000, cut in 0_usize..2_000) {
        let mut door = founder(1);
        let link = door.invite(7, 1, false);
        let guest = Person::new("Guest", 2);
        let (session, frame) = forged(&link, &guest, &mut door, |_| {});
        let mut flipped = frame.clone();
        let at = bit % (frame.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        door.frame(session, &flipped);
        let (session, frame) = forged(&link, &guest, &mut door, |_| {});
        door.frame(session, &frame[..cut % frame.len()]);
        prop_assert_eq!(door.room().acl().roster().len(), 1);
    }

    #[test]
    fn any_bytes_from_either_side_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut door = founder(1);
        let link = door.invite(7, 1, false);
        let guest = Person::new("Guest", 2);
        let session = door.open(guest.id());
        door.frame(session, &bytes);
        let mut knocker = Knocker::new(&link, guest.card.clone(), door.person.id(), ms(0), &mut Seeded(1));
        knocker.handle_frame(&bytes, ms(1));
        let _ = wire::decode::<Knock>(&bytes);
    }
}
