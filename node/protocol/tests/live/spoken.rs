//! Codes that are spoken: who comes in by one, what a wrong guess costs, and that nothing of a run is of use in another.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::knock::{RefusalCode, Rooms, SessionId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::log::state::AclState;
use conclave_protocol::room::{CreateRoom, Room};
use conclave_protocol::spoken::*;
use conclave_protocol::wire::{self, Signed};
use proptest::prelude::*;

use crate::support::{Person, Seeded, ms};

const MINUTE: Duration = Duration::from_secs(60);

struct Held(Room);

impl Rooms for Held {
    fn acl(&self, room: &RoomId) -> Option<&AclState> {
        Some(self.0.acl()).filter(|_| self.0.id() == *room)
    }
}

/// A device with a room, which speaks codes, driven as a node drives it.
struct Door {
    person: Person,
    held: Held,
    speaker: Speaker,
    rng: Seeded,
    now: Duration,
    outbox: BTreeMap<SessionId, VecDeque<Vec<u8>>>,
    open: usize,
    failures: u32,
    ended: Vec<(u32, SpokenEnd)>,
    admitted: usize,
}

impl Door {
    fn new(seed: u64) -> Self {
        let person = Person::new("Ada", seed);
        let wish = CreateRoom { name: "Room".to_owned(), approval: true, full_history: true };
        let (room, _) = Room::create(person.me(), wish, 1, 1_000_000, &mut Seeded(seed)).unwrap();
        Self {
            speaker: Speaker::new(person.id(), person.card.account),
            person,
            held: Held(room),
            rng: Seeded(seed ^ 77),
            now: MINUTE,
            outbox: BTreeMap::new(),
            open: 0,
            failures: 0,
            ended: Vec::new(),
            admitted: 0,
        }
    }

    fn speak(&mut self) -> SpokenCode {
        self.speaker.speak(self.held.0.id(), Role::Member, self.now, &mut self.rng).unwrap()
    }

    fn open(&mut self, peer: DeviceId) -> SessionId {
        let session = self.speaker.handle_opened(peer, self.now);
        self.open += 1;
        self.run();
        session
    }

    fn frame(&mut self, session: SessionId, frame: &[u8]) {
        assert!(frame.len() <= MAX_HEARER_FRAME);
        self.speaker.handle_frame(session, frame, self.now, &mut self.rng);
        self.run();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.speaker.handle_timeout(self.now);
        self.run();
    }

    fn run(&mut self) {
        while let Some(output) = self.speaker.poll_output() {
            match output {
                SpeakerOutput::Send { session, frame } => self.outbox.entry(session).or_default().push_back(frame),
                SpeakerOutput::Close { .. } => self.open -= 1,
                SpeakerOutput::Failed { failures, .. } => self.failures = failures,
                SpeakerOutput::Ended { number, end, .. } => self.ended.push((number, end)),
                SpeakerOutput::Admit { session, card, role, .. } => {
                    self.admitted += 1;
                    match self.held.0.admit(card, role, None, 1_000_000, &mut self.rng) {
                        Ok(_) => self.speaker.handle_admitted(session, self.held.0.acl_missing(&[])),
                        Err(refusal) => self.speaker.handle_not_admitted(session, refusal.into()),
                    }
                }
            }
        }
    }

    fn next(&mut self, session: SessionId) -> Option<SpeakerMessage> {
        self.outbox.get_mut(&session)?.pop_front().map(|frame| wire::decode(&frame).unwrap())
    }

    fn refusal(&mut self, session: SessionId) -> Option<RefusalCode> {
        match self.next(session)? {
            SpeakerMessage::Refused(refused) => Some(RefusalCode::from_number(refused.code)),
            other => panic!("{other:?}"),
        }
    }
}

/// Somebody who heard a code, with the doors within reach.
struct Guest {
    person: Person,
    hearer: Hearer,
    rng: Seeded,
    streams: BTreeMap<DeviceId, SessionId>,
    /// Frames of the guest, as they went out.
    sent: Vec<(DeviceId, Vec<u8>)>,
    in_room: Option<(Introduction, Vec<Signed>)>,
    failed: Option<HearError>,
}

impl Guest {
    fn new(seed: u64, code: &str, now: Duration) -> Self {
        let person = Person::new("Ben", seed);
        let hearer = Hearer::new(code.parse().unwrap(), person.card.clone(), now);
        let (streams, sent) = (BTreeMap::new(), Vec::new());
        Self { person, hearer, rng: Seeded(seed ^ 99), streams, sent, in_room: None, failed: None }
    }

    fn reach(&mut self, door: &mut Door) {
        self.hearer.handle_reachable(door.person.id(), door.now);
        self.run(door);
    }

    /// Until nothing moves any more.
    fn run(&mut self, door: &mut Door) {
        loop {
            let mut idle = true;
            while let Some(output) = self.hearer.poll_output() {
                idle = false;
                match output {
                    HearerOutput::Open(device) => {
                        assert_eq!(device, door.person.id());
                        let session = door.open(self.person.id());
                        self.streams.insert(device, session);
                        self.hearer.handle_opened(device, door.now, &mut self.rng);
                    }
                    HearerOutput::Send { device, frame } => {
                        self.sent.push((device, frame.clone()));
                        door.frame(self.streams[&device], &frame);
                    }
                    HearerOutput::Close(device) => drop(self.streams.remove(&device)),
                    HearerOutput::Admitted(whom, ops) => self.in_room = Some((whom, ops)),
                    HearerOutput::Failed(error) => self.failed = Some(error),
                }
            }
            if let Some(session) = self.streams.get(&door.person.id()).copied()
                && let Some(frame) = door.outbox.get_mut(&session).and_then(VecDeque::pop_front)
            {
                idle = false;
                self.hearer.handle_frame(door.person.id(), &frame, door.now);
            }
            if idle {
                return;
            }
        }
    }

    fn wait(&mut self, door: &mut Door, time: Duration) {
        door.wait(time);
        self.hearer.handle_timeout(door.now);
        self.run(door);
    }
}

/// The number of a code with other words.
fn wrong(code: &SpokenCode) -> String {
    let fits = code.text().ends_with("zoo zoo zoo");
    format!("{} {}", code.number(), if fits { "able able able" } else { "zoo zoo zoo" })
}

#[test]
fn a_number_and_three_words_let_one_person_in_and_no_second() {
    let mut door = Door::new(1);
    let code = door.speak();
    assert_eq!(code.text().split(' ').count(), 1 + CODE_WORDS);
    let mut ben = Guest::new(2, &code.text(), door.now);
    ben.reach(&mut door);
    let (whom, ops) = ben.in_room.take().expect("let in");
    assert_eq!((whom.room, whom.speaker, whom.account), (door.held.0.id(), door.person.id(), door.person.card.account));
    let (room, _) = Room::join(ben.person.me(), whom.room, ops, 2).unwrap();
    assert_eq!(room.my_role(), Some(Role::Member));
    assert_eq!(room.acl().account_of(&whom.speaker), Some(whom.account));
    assert_eq!(door.ended, [(code.number(), SpokenEnd::Used)]);
    assert_eq!(door.open, 0, "nothing is left of it");
    let mut late = Guest::new(3, &code.text(), door.now);
    late.reach(&mut door);
    assert!(late.in_room.is_none() && door.admitted == 1);
}

#[test]
fn of_two_who_come_at_once_one_is_let_in() {
    let mut door = Door::new(1);
    let code = door.speak();
    // Both have the offer before either proves.
    let mut shares = Vec::new();
    for seed in [2, 3] {
        let person = Person::new("Ben", seed);
        let session = door.open(person.id());
        let (share, kept) = begin(&code, (&person.id(), &door.person.id()), &[seed as u8; 32], &mut Seeded(seed)).unwrap();
        let ask = Ask { version: 1, number: code.number(), sid: [seed as u8; 32], share };
        door.frame(session, &wire::encode(&HearerMessage::Ask(ask)));
        let Some(SpeakerMessage::Offer(offer)) = door.next(session) else { panic!() };
        shares.push((person, session, kept.finish(&offer.share).unwrap()));
    }
    for (person, session, agreed) in &shares {
        let prove = Prove { tag: agreed.hearer_tag(), sealed: agreed.seal_hearer(&wire::encode(&person.card)) };
        door.frame(*session, &wire::encode(&HearerMessage::Prove(prove)));
    }
    assert!(matches!(door.next(shares[0].1), Some(SpeakerMessage::Proved(_))));
    assert_eq!(door.refusal(shares[1].1), Some(RefusalCode::Unknown), "not told whether the words fit");
    assert_eq!((door.admitted, door.failures), (1, 0));
}

#[test]
fn wrong_words_are_told_and_count_and_three_burn_the_code() {
    let mut door = Door::new(1);
    let code = door.speak();
    for failures in 1..=MAX_FAILURES {
        let mut guest = Guest::new(10 + u64::from(failures), &wrong(&code), door.now);
        guest.reach(&mut door);
        assert_eq!(door.failures, failures);
        assert_eq!(guest.failed, None, "another device may speak a code of this number");
        guest.wait(&mut door, Duration::from_secs(4));
        assert_eq!(guest.failed, Some(HearError::WrongWords));
        let card = wire::encode(&guest.person.card);
        assert!(guest.sent.iter().all(|(_, frame)| !frame.windows(32).any(|part| part == &card[card.len() - 32..])), "sealed");
    }
    assert_eq!(door.ended, [(code.number(), SpokenEnd::Burnt)]);
    let mut right = Guest::new(20, &code.text(), door.now);
    right.reach(&mut door);
    assert!(right.in_room.is_none(), "burnt for everyone");
}

#[test]
fn who_asks_and_goes_away_has_learnt_nothing_and_burns_nothing() {
    let mut door = Door::new(1);
    let code = door.speak();
    for round in 0..20_u64 {
        let peer = DeviceId([round as u8 + 50; 32]);
        let (share, _) = begin(&code, (&peer, &door.person.id()), &[0; 32], &mut Seeded(round)).unwrap();
        let session = door.open(peer);
        let ask = HearerMessage::Ask(Ask { version: 1, number: code.number(), sid: [0; 32], share });
        door.frame(session, &wire::encode(&ask));
        assert!(matches!(door.next(session), Some(SpeakerMessage::Offer(_))));
        door.wait(Duration::from_secs(11));
        assert_eq!(door.open, 0, "dropped in time");
    }
    assert_eq!(door.failures, 0);
    let mut ben = Guest::new(2, &code.text(), door.now);
    ben.reach(&mut door);
    assert!(ben.in_room.is_some());
}

#[test]
fn a_code_is_over_after_ten_minutes_or_when_it_is_taken_back() {
    let mut door = Door::new(1);
    let (first, second) = (door.speak(), door.speak());
    assert_ne!(first.number(), second.number());
    assert!(!door.speaker.withdraw(RoomId([9; 32]), second.number()), "of another room");
    assert!(door.speaker.withdraw(door.held.0.id(), second.number()));
    door.wait(SPOKEN_FOR - ms(1));
    assert_eq!(door.ended, [(second.number(), SpokenEnd::Withdrawn)]);
    door.wait(ms(1));
    assert_eq!(door.ended[1], (first.number(), SpokenEnd::Expired));
    let mut ben = Guest::new(2, &first.text(), door.now);
    ben.reach(&mut door);
    for _ in 0..700 {
        ben.wait(&mut door, Duration::from_secs(1));
    }
    assert_eq!(ben.failed, Some(HearError::Nobody));
}

#[test]
fn a_run_that_began_before_the_end_of_a_code_does_not_outlive_it() {
    let mut door = Door::new(1);
    let code = door.speak();
    let ben = Person::new("Ben", 2);
    door.wait(SPOKEN_FOR - ms(1));
    let session = door.open(ben.id());
    let (share, kept) = begin(&code, (&ben.id(), &door.person.id()), &[1; 32], &mut Seeded(1)).unwrap();
    door.frame(session, &wire::encode(&HearerMessage::Ask(Ask { version: 1, number: code.number(), sid: [1; 32], share })));
    let Some(SpeakerMessage::Offer(offer)) = door.next(session) else { panic!() };
    let agreed = kept.finish(&offer.share).unwrap();
    door.now += ms(2);
    let prove = Prove { tag: agreed.hearer_tag(), sealed: agreed.seal_hearer(&wire::encode(&ben.card)) };
    door.frame(session, &wire::encode(&HearerMessage::Prove(prove)));
    assert_eq!(door.refusal(session), Some(RefusalCode::Unknown));
    assert_eq!(door.admitted, 0);
}

#[test]
fn who_stands_in_between_with_keys_of_its_own_lets_nobody_in() {
    let mut door = Door::new(1);
    let code = door.speak();
    let (ben, mallory) = (Person::new("Ben", 2), Person::new("Mallory", 3));
    // Ben speaks with Mallory, who carries every byte to Ada and back.
    let (share, kept) = begin(&code, (&ben.id(), &mallory.id()), &[1; 32], &mut Seeded(1)).unwrap();
    let session = door.open(mallory.id());
    door.frame(session, &wire::encode(&HearerMessage::Ask(Ask { version: 1, number: code.number(), sid: [1; 32], share })));
    let Some(SpeakerMessage::Offer(offer)) = door.next(session) else { panic!() };
    let agreed = kept.finish(&offer.share).unwrap();
    let prove = Prove { tag: agreed.hearer_tag(), sealed: agreed.seal_hearer(&wire::encode(&ben.card)) };
    door.frame(session, &wire::encode(&HearerMessage::Prove(prove)));
    assert_eq!(door.refusal(session), Some(RefusalCode::WrongWords));
    assert_eq!((door.admitted, door.failures), (0, 1));
}

#[test]
fn a_card_of_another_device_than_the_one_that_speaks_is_refused() {
    let mut door = Door::new(1);
    let code = door.speak();
    let (ben, cleo) = (Person::new("Ben", 2), Person::new("Cleo", 3));
    let session = door.open(ben.id());
    let (share, kept) = begin(&code, (&ben.id(), &door.person.id()), &[1; 32], &mut Seeded(1)).unwrap();
    door.frame(session, &wire::encode(&HearerMessage::Ask(Ask { version: 1, number: code.number(), sid: [1; 32], share })));
    let Some(SpeakerMessage::Offer(offer)) = door.next(session) else { panic!() };
    let agreed = kept.finish(&offer.share).unwrap();
    let prove = Prove { tag: agreed.hearer_tag(), sealed: agreed.seal_hearer(&wire::encode(&cleo.card)) };
    door.frame(session, &wire::encode(&HearerMessage::Prove(prove)));
    assert_eq!(door.refusal(session), Some(RefusalCode::Damaged));
    assert_eq!(door.admitted, 0);
}

#[test]
fn frames_of_one_run_are_of_no_use_in_another() {
    let mut door = Door::new(1);
    let (code, second) = (door.speak(), door.speak());
    let mut ben = Guest::new(2, &code.text(), door.now);
    ben.reach(&mut door);
    assert!(ben.in_room.is_some());
    // The same frames again, by the same device and by another, while another code is open.
    for peer in [ben.person.id(), DeviceId([9; 32])] {
        let session = door.open(peer);
        for (_, frame) in &ben.sent {
            door.frame(session, frame);
        }
        assert_eq!(door.refusal(session), Some(RefusalCode::Unknown));
    }
    // A proof without a question, and a second question.
    let session = door.open(DeviceId([8; 32]));
    door.frame(session, &ben.sent[1].1);
    assert_eq!(door.refusal(session), Some(RefusalCode::Damaged));
    let session = door.open(DeviceId([7; 32]));
    let (share, _) = begin(&second, (&DeviceId([7; 32]), &door.person.id()), &[1; 32], &mut Seeded(1)).unwrap();
    let ask = wire::encode(&HearerMessage::Ask(Ask { version: 1, number: second.number(), sid: [1; 32], share }));
    door.frame(session, &ask);
    assert!(matches!(door.next(session), Some(SpeakerMessage::Offer(_))));
    door.frame(session, &ask);
    assert_eq!(door.refusal(session), Some(RefusalCode::Damaged));
    assert_eq!(door.admitted, 1);
}

#[test]
fn points_that_give_everyone_the_same_secret_are_refused() {
    let mut door = Door::new(1);
    let code = door.speak();
    // The neutral element, and bytes that are no point (RFC 9496, A.2 and A.3).
    for share in [[0; 32], [0xff; 32]] {
        let session = door.open(DeviceId([9; 32]));
        let ask = Ask { version: 1, number: code.number(), sid: [0; 32], share };
        door.frame(session, &wire::encode(&HearerMessage::Ask(ask)));
        assert_eq!(door.refusal(session), Some(RefusalCode::Damaged));
        let (_, kept) = begin(&code, (&DeviceId([9; 32]), &door.person.id()), &[0; 32], &mut Seeded(1)).unwrap();
        assert!(kept.finish(&share).is_none());
    }
}

#[test]
fn a_flood_of_questions_costs_little_and_an_honest_one_is_answered_soon() {
    let mut door = Door::new(1);
    let code = door.speak();
    let mut offers = 0;
    for round in 0..5_000_u32 {
        let mut peer = [7; 32];
        peer[..4].copy_from_slice(&(round % 600).to_le_bytes());
        let peer = DeviceId(peer);
        let session = door.open(peer);
        let mut share = [0; 32];
        // The generator of the group (RFC 9496, A.1): a share that costs the attacker nothing.
        share.copy_from_slice(&data_encoding::HEXLOWER.decode(GENERATOR).unwrap());
        let ask = Ask { version: 1, number: code.number(), sid: [0; 32], share };
        door.frame(session, &wire::encode(&HearerMessage::Ask(ask)));
        offers += usize::from(matches!(door.next(session), Some(SpeakerMessage::Offer(_))));
        assert!(door.open <= 64, "conversations are bounded");
    }
    assert!(offers <= 64, "{offers} answers that cost something");
    assert_eq!(door.failures, 0);
    // Those who wait are dropped, and others have their turn.
    door.wait(Duration::from_secs(11));
    let mut ben = Guest::new(2, &code.text(), door.now);
    ben.reach(&mut door);
    assert!(ben.in_room.is_some());
}

const GENERATOR: &[u8] = b"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

#[test]
fn a_hearer_shows_its_words_to_three_devices_at_most() {
    let code = "42 apple river stone";
    let mut ben = Guest::new(2, code, MINUTE);
    let mut shown = 0;
    for seed in 1..=10_u8 {
        let liar = DeviceId([seed; 32]);
        ben.hearer.handle_reachable(liar, MINUTE);
        while let Some(output) = ben.hearer.poll_output() {
            match output {
                HearerOutput::Open(device) => ben.hearer.handle_opened(device, MINUTE, &mut ben.rng),
                HearerOutput::Send { device, frame } => match wire::decode(&frame).unwrap() {
                    // Who does not know the words answers with some share, and then with anything.
                    HearerMessage::Ask(_) => {
                        let mut share = [0; 32];
                        share.copy_from_slice(&data_encoding::HEXLOWER.decode(GENERATOR).unwrap());
                        let offer = wire::encode(&SpeakerMessage::Offer(Offer { share }));
                        ben.hearer.handle_frame(device, &offer, MINUTE);
                    }
                    HearerMessage::Prove(_) => {
                        shown += 1;
                        let proved = SpeakerMessage::Proved(Proved { tag: [1; 32], sealed: vec![1; 80] });
                        ben.hearer.handle_frame(device, &wire::encode(&proved), MINUTE);
                    }
                    HearerMessage::Unknown(_) => panic!(),
                },
                HearerOutput::Close(_) => {}
                HearerOutput::Admitted(..) => panic!("nobody knew the words"),
                HearerOutput::Failed(error) => ben.failed = Some(error),
            }
        }
    }
    assert_eq!((shown, ben.failed), (MAX_SHOWN, Some(HearError::Interference)));
}

#[test]
fn who_may_not_let_people_in_any_more_has_no_code() {
    let mut door = Door::new(1);
    let code = door.speak();
    let room = door.held.0.id();
    door.speaker.handle_room_changed(room, &door.held);
    door.run();
    assert!(door.ended.is_empty(), "still the owner");
    struct Gone;
    impl Rooms for Gone {
        fn acl(&self, _: &RoomId) -> Option<&AclState> {
            None
        }
    }
    door.speaker.handle_room_changed(room, &Gone);
    door.run();
    assert_eq!(door.ended, [(code.number(), SpokenEnd::Withdrawn)]);
}

#[test]
fn codes_of_one_device_are_bounded() {
    let mut door = Door::new(1);
    let numbers: std::collections::BTreeSet<u32> = (0..MAX_CODES).map(|_| door.speak().number()).collect();
    assert_eq!(numbers.len(), MAX_CODES);
    assert!(door.speaker.speak(door.held.0.id(), Role::Member, door.now, &mut Seeded(1)).is_none());
}

#[test]
fn a_code_is_read_as_people_type_it() {
    let same: SpokenCode = "42 apple river stone".parse().unwrap();
    for text in ["42 Apple RIVER stone", " 42-apple-river-stone ", "42, apple, rive, ston", "042\napple  river\tstone."] {
        assert_eq!(text.parse(), Ok(same.clone()), "{text}");
    }
    assert_eq!(format!("{same:?}"), "SpokenCode { number: 42, .. }");
    let refused = |text: &str| text.parse::<SpokenCode>().unwrap_err();
    for text in ["", "42", "42 apple river", "42 apple river stone stone", "apple river stone", "forty-two apple river stone"] {
        assert_eq!(refused(text), CodeError::Shape, "{text}");
    }
    assert_eq!(refused("0 apple river stone"), CodeError::Number);
    assert_eq!(refused("1000 apple river stone"), CodeError::Number);
    assert_eq!(refused("42 appel river stone"), CodeError::Word("appel".to_owned()));
    assert_eq!(refused("42 app river stone"), CodeError::Word("app".to_owned()), "three letters are too few");
}

proptest! {
    #[test]
    fn any_text_is_a_code_or_refused(text in ".{0,80}") {
        if let Ok(code) = text.parse::<SpokenCode>() {
            prop_assert_eq!(code.text().parse(), Ok(code));
        }
    }

    #[test]
    fn what_is_made_is_read(seed: u64, number in 1..=MAX_NUMBER) {
        let code = SpokenCode::generate(number, &mut Seeded(seed));
        prop_assert_eq!(code.text().parse(), Ok(code));
    }
}
