//! The bodies of the fuzz targets: plain functions that panic when a rule is broken. `tests/log/parsers.rs` runs all of them on stable,
//! over the corpus, its truncations and its mutations.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::call::Call;
use conclave_protocol::chat::Body;
use conclave_protocol::chat::read::ReadMark;
use conclave_protocol::id::{DeviceId, SessionId};
use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard};
use conclave_protocol::knock::{
    Admitted, Challenge, DoorMessage, Doorkeeper, DoorkeeperOutput, Knock, Knocker, Rooms, SignedKnock,
};
use conclave_protocol::link::Link;
use conclave_protocol::live::{LiveFrame, LivePayload, MAX_LIVE_FRAME, MAX_TOLD_ADDRESSES, MAX_TOLD_DEVICES, MediaState};
use conclave_protocol::log::acl::{ACL_LABEL, AclOp, Role};
use conclave_protocol::log::op::{EquivocationProof, OP_LABEL, OP_PADDING, Op};
use conclave_protocol::log::sync::{MAX_ROOM_FRAME, RoomFrame};
use conclave_protocol::media::frame_cipher::{BASE_KEY_LEN, FrameKeys, Meta};
use conclave_protocol::media::jitter::{AudioPacket, CAPACITY, JitterBuffer, MAX_DELAY};
use conclave_protocol::media::packetizer::{Depacketizer, DepacketizerOutput, MAX_PENDING, PayloadHeader, parse_audio_payload};
use conclave_protocol::negotiation::{
    FingerprintLedger, Negotiation, NegotiationConfig, NegotiationOutput, Signal, parse_fingerprints,
};
use conclave_protocol::proof::{ProofContext, Prover, Verifier};
use conclave_protocol::room::record::Record;
use conclave_protocol::room::{CreateRoom, Me, Room};
use conclave_protocol::session::message::{
    AppFrame, Claim, CommitFrame, JoinReq, Presence, SessionFrame, Statement, UpdateFrame, WelcomeFrame,
};
use conclave_protocol::session::{Acl, Epoch, Phase, Session, SessionConfig, SessionOutput};
use conclave_protocol::spoken::{Hearer, HearerOutput, Speaker, SpeakerOutput, SpokenCode};
use conclave_protocol::swarm::manifest::{Manifest, decode_table};
use conclave_protocol::swarm::wire::{Control, Data};
use conclave_protocol::wire::{FrameDecoder, Signed, decode, decode_within, encode, encode_frame};

/// Takes whatever bytes there are.
pub type Target = fn(&[u8]);

/// All targets, by the names under which cargo-fuzz knows them.
pub const TARGETS: &[(&str, Target)] = &[
    ("wire_value", wire_value),
    ("frames", frames),
    ("acl_op", acl_op),
    ("op", op),
    ("room_frame", room_frame),
    ("record", record),
    ("chat_body", chat_body),
    ("read_mark", read_mark),
    ("identity", identity),
    ("link", link),
    ("signal", signal),
    ("media_payload", media_payload),
    ("knock", knock),
    ("knock_talk", knock_talk),
    ("spoken_talk", spoken_talk),
    ("spoken_code", spoken_code),
    ("live_frame", live_frame),
    ("live_payload", live_payload),
    ("room_proof", room_proof),
    ("sealed_frame", sealed_frame),
    ("depacketizer", depacketizer),
    ("jitter", jitter),
    ("file_manifest", file_manifest),
    ("file_talk", file_talk),
    ("session_frame", session_frame),
    ("session_talk", session_talk),
    ("signed_input", signed_input),
];

/// What decodes is the same after another round.
pub fn wire_value(data: &[u8]) {
    if let Ok(signed) = decode::<Signed>(data) {
        assert_eq!(decode::<Signed>(&encode(&signed)), Ok(signed));
    }
    let _ = decode::<Vec<u64>>(data);
    let _ = decode::<String>(data);
}

/// No frame is over the limit, and cutting the stream elsewhere gives the same frames.
pub fn frames(data: &[u8]) {
    const LIMIT: usize = 4096;
    let read = |piece: usize| {
        let mut decoder = FrameDecoder::new(LIMIT);
        let mut frames = Vec::new();
        for bytes in data.chunks(piece) {
            decoder.push(bytes);
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    };
    let whole = read(data.len().max(1));
    assert!(whole.0.iter().all(|frame| frame.len() <= LIMIT));
    assert_eq!(whole, read(1));
    assert_eq!(whole, read(7));
    if whole.1.is_none() {
        let again: Vec<u8> = whole.0.iter().flat_map(|frame| encode_frame(frame)).collect();
        assert!(data.starts_with(&again));
    }
}

pub fn acl_op(data: &[u8]) {
    if let Ok(op) = AclOp::decode(data) {
        assert_eq!(AclOp::decode(&op.encode()), Ok(op));
    }
}

pub fn op(data: &[u8]) {
    if let Ok(op) = Op::decode(data) {
        let bytes = op.encode();
        assert_eq!(bytes.len() % OP_PADDING, 0);
        assert_eq!(Op::decode(&bytes), Ok(op));
    }
}

pub fn room_frame(data: &[u8]) {
    if let Ok(frame) = RoomFrame::decode(data) {
        let bytes = frame.encode();
        assert!(bytes.len() <= MAX_ROOM_FRAME);
        assert_eq!(RoomFrame::decode(&bytes), Ok(frame));
    }
}

pub fn record(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.key().len(), 33);
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

/// The first byte is the kind.
pub fn chat_body(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match Body::decode(u32::from(*kind), bytes) {
        Body::Newer => assert!(*kind == 0 || *kind > 4),
        Body::Invalid => assert!((1..=4).contains(kind)),
        body => {
            let (again, bytes) = body.encode();
            assert_eq!(Body::decode(again, &bytes), body);
        }
    }
}

pub fn read_mark(data: &[u8]) {
    if let Ok(mark) = ReadMark::decode(data) {
        assert_eq!(ReadMark::decode(&mark.encode()), Ok(mark));
    }
}

pub fn identity(data: &[u8]) {
    if let Ok(card) = decode::<MemberCard>(data) {
        let _ = card.check();
    }
    if let Ok(chain) = decode::<Vec<Signed>>(data) {
        let _ = DeviceList::parse(chain);
    }
}

pub fn link(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        let _ = Link::parse(text);
    }
}

pub fn signal(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        let _ = parse_fingerprints(text);
    }
    if let Ok(signal) = decode::<Signal>(data) {
        let _ = encode(&signal);
    }
}

pub fn media_payload(data: &[u8]) {
    if let Some((_, piece)) = PayloadHeader::parse(data) {
        assert!(piece.len() <= data.len());
    }
    let _ = parse_audio_payload(data);
}

/// A frame that nobody sealed does not open, and one that was bent on its way does not either.
pub fn sealed_frame(data: &[u8]) {
    let (sender, receiver) = (DeviceId([1; 32]), DeviceId([2; 32]));
    let epoch = Epoch {
        session: SessionId([7; 32]),
        epoch: 3,
        writer: sender,
        roster: [(0, sender), (1, receiver)].into(),
        authenticator: zeroize::Zeroizing::new(vec![0; 32]),
        exports: vec![zeroize::Zeroizing::new(vec![5; BASE_KEY_LEN])],
        send_from: Duration::ZERO,
        accept_until: None,
    };
    let keys = |device| {
        let mut keys = FrameKeys::new(device);
        keys.set_epochs(std::slice::from_ref(&epoch), 0, |at| at);
        keys
    };
    let (mut sealing, mut opening) = (keys(sender), keys(receiver));
    let meta = Meta::Video { stream: 0, codec: 0, keyframe: true };
    assert!(opening.open(&sender, data, meta).is_err());
    let sealed = sealing.seal(b"a picture", meta, Duration::ZERO).expect("there is a key");
    let mut bent = sealed.clone();
    bent.iter_mut().zip(data).for_each(|(byte, bits)| *byte ^= bits);
    bent.truncate(sealed.len().saturating_sub(data.len().saturating_sub(sealed.len())));
    assert_eq!(opening.open(&sender, &bent, meta).is_ok(), bent == sealed);
}

pub fn knock(data: &[u8]) {
    let _ = decode::<SignedKnock>(data);
    let _ = decode::<Knock>(data);
    let _ = decode::<Challenge>(data);
    let _ = decode::<Admitted>(data);
}

/// Both machines of a knock take any frame, and an unknown door is never told more than a code.
pub fn knock_talk(data: &[u8]) {
    let knocker_card = WORLD.with_borrow(|world| world.founder.card.clone());
    let link = Link {
        room: conclave_protocol::id::RoomId([1; 32]),
        room_name: String::new(),
        topic_key: [0; 32],
        inviter: knocker_card.device,
        admin: knocker_card.account,
        invite_seed: [7; 32].into(),
        expires_ms: 0,
        hints: Vec::new(),
    };
    let mut knocker = Knocker::new(&link, knocker_card.clone(), DeviceId([2; 32]), Duration::ZERO, &mut Counting(3));
    knocker.handle_frame(data, Duration::ZERO);
    while knocker.poll_output().is_some() {}
    let mut doorkeeper = Doorkeeper::new(DeviceId([2; 32]));
    let session = doorkeeper.handle_opened(knocker_card.device, Duration::ZERO, &mut Counting(4));
    doorkeeper.handle_frame(session, data, &Nowhere, Duration::ZERO, 0);
    let outputs = core::iter::from_fn(|| doorkeeper.poll_output()).collect::<Vec<_>>();
    assert!(matches!(
        outputs.as_slice(),
        [DoorkeeperOutput::Send { .. }, DoorkeeperOutput::Send { frame, .. }, DoorkeeperOutput::Close { .. }]
            if matches!(decode(frame), Ok(DoorMessage::Refused(_)))
    ));
}

/// Both machines of a spoken code take any frame, and only a code's owner says that words are wrong.
pub fn spoken_talk(data: &[u8]) {
    let card = WORLD.with_borrow(|world| world.founder.card.clone());
    let (me, other, room) = (card.device, DeviceId([2; 32]), conclave_protocol::id::RoomId([1; 32]));
    let mut speaker = Speaker::new(me, card.account);
    let Some(code) = speaker.speak(room, conclave_protocol::log::acl::Role::Member, Duration::ZERO, &mut Counting(3)) else {
        return;
    };
    let session = speaker.handle_opened(other, Duration::ZERO);
    speaker.handle_frame(session, data, Duration::ZERO, &mut Counting(4));
    while let Some(output) = speaker.poll_output() {
        assert!(!matches!(output, SpeakerOutput::Admit { .. }));
    }
    let mut hearer = Hearer::new(code, card, Duration::ZERO);
    hearer.handle_reachable(other, Duration::ZERO);
    hearer.handle_opened(other, Duration::ZERO, &mut Counting(5));
    hearer.handle_frame(other, data, Duration::ZERO);
    while let Some(output) = hearer.poll_output() {
        assert!(!matches!(output, HearerOutput::Admitted(..)));
    }
}

/// A code that is read is written as the same code.
pub fn spoken_code(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(code) = text.parse::<SpokenCode>() else { return };
    assert!(SpokenCode::looks_like(&code.text()));
    assert_eq!(code.text().parse(), Ok(code));
}

struct Nowhere;

impl Rooms for Nowhere {
    fn acl(&self, _: &conclave_protocol::id::RoomId) -> Option<&conclave_protocol::log::state::AclState> {
        None
    }
}

/// A presence moves a call without a panic.
pub fn live_payload(data: &[u8]) {
    let Ok(payload) = decode::<LivePayload>(data) else { return };
    assert_eq!(decode::<LivePayload>(&encode(&payload)).as_ref(), Ok(&payload));
    let presence = match payload {
        LivePayload::Presence(presence) => presence,
        LivePayload::Reaction(reaction) => {
            return sign(|call| call.handle_reaction(DeviceId([2; 32]), reaction, Duration::from_secs(1)));
        }
        LivePayload::Host(order) => {
            return sign(|call| call.handle_order(DeviceId([2; 32]), order, true, Duration::from_secs(1)));
        }
        // Its words are the board's own: that they read back is all there is here.
        LivePayload::Board(_) | LivePayload::Unknown(_) => return,
    };
    let mut call = Call::new(DeviceId([1; 32]), 1);
    call.join(MediaState::default(), Duration::ZERO, 0, &mut Counting(5));
    call.handle_presence(DeviceId([2; 32]), presence, Duration::from_secs(1));
    call.handle_timeout(Duration::from_secs(9));
    while call.poll_output().is_some() {}
    assert!(call.peers().count() <= 1);
}

/// From somebody who is in no call: whatever it says moves nothing.
fn sign(handle: impl FnOnce(&mut Call)) {
    let mut call = Call::new(DeviceId([1; 32]), 1);
    call.join(MediaState::default(), Duration::ZERO, 0, &mut Counting(5));
    while call.poll_output().is_some() {}
    handle(&mut call);
    assert_eq!(call.poll_output(), None);
}

/// A signal moves a negotiation without a panic.
pub fn live_frame(data: &[u8]) {
    let Ok(frame) = decode_within::<LiveFrame>(data, MAX_LIVE_FRAME) else { return };
    assert_eq!(decode::<LiveFrame>(&encode(&frame)).as_ref(), Ok(&frame));
    match frame {
        // The target of session frames has these.
        LiveFrame::Session(_) => {}
        LiveFrame::Signal(signal) => {
            let device = WORLD.with_borrow(|world| world.founder.key.clone());
            let mut ledger = FingerprintLedger::new(device.id(), [9; 32]);
            let config = NegotiationConfig {
                room: conclave_protocol::id::RoomId([1; 32]),
                call: signal.call,
                peer: DeviceId([2; 32]),
                fingerprint: [9; 32],
                device,
            };
            let mut negotiation = Negotiation::new(config, Duration::ZERO, &mut Counting(6));
            negotiation.handle_signal(signal, &mut ledger, Duration::ZERO);
            while let Some(output) = negotiation.poll_output() {
                assert!(!matches!(output, NegotiationOutput::ApplyOffer { .. } | NegotiationOutput::ApplyAnswer { .. }));
            }
        }
        LiveFrame::Whereabouts(told) => {
            let devices = told.devices();
            assert!(devices.len() <= MAX_TOLD_DEVICES && devices.iter().all(|told| told.addresses.len() <= MAX_TOLD_ADDRESSES));
        }
        LiveFrame::Unknown(_) => {}
    }
}

/// Nothing that is made up proves anything.
pub fn room_proof(data: &[u8]) {
    let (opener, acceptor) = (DeviceId([1; 32]), DeviceId([2; 32]));
    let context = ProofContext { stream: "/conclave/room/1", opener, acceptor };
    let room = conclave_protocol::id::RoomId([3; 32]);
    let (prover, open) = Prover::new(context.clone(), room, &[4; 32], &mut Counting(7));
    assert!(prover.handle_accept(data).is_err());
    assert!(Verifier::handle_open(&context, data, [(room, &[5; 32])], &mut Counting(8)).is_err());
    let Ok((verifier, _)) = Verifier::handle_open(&context, &open, [(room, &[4; 32])], &mut Counting(8)) else {
        panic!("its own")
    };
    assert!(verifier.handle_confirm(data).is_err());
}

/// Packets as `sequence, timestamp, length, payload`, each but the last in one byte; a high sequence byte is a step of 2,000.
pub fn depacketizer(data: &[u8]) {
    let mut machine = Depacketizer::new();
    for_each_packet(data, |index, sequence, timestamp, payload| {
        let now = Duration::from_millis(index * 7);
        machine.handle_packet(sequence, u32::from(timestamp), payload, now);
        let mut outputs = 0_u32;
        while let Some(output) = machine.poll(now) {
            outputs += 1;
            assert!(outputs <= MAX_PENDING as u32 + 1);
            if let DepacketizerOutput::Frame(frame) = output {
                assert!(frame.data.len() <= data.len());
            }
        }
    });
}

pub fn jitter(data: &[u8]) {
    let mut machine = JitterBuffer::new();
    for_each_packet(data, |index, sequence, timestamp, payload| {
        let now = Duration::from_millis(index * 11);
        let timestamp = (u32::from(timestamp) * 960).wrapping_mul(if sequence & 1 == 0 { 1 } else { 70_000 });
        machine.push(AudioPacket { sequence, timestamp, level: timestamp as u8, payload: payload.to_vec() }, now);
        if index % 2 == 0 {
            machine.pull(now);
        }
        assert!(machine.len() <= CAPACITY && machine.target_delay() <= MAX_DELAY);
    });
}

fn for_each_packet(data: &[u8], mut take: impl FnMut(u64, u16, u8, &[u8])) {
    let mut rest = data;
    let mut index = 0;
    while let Some((&[sequence, timestamp, length], tail)) = rest.split_first_chunk::<3>() {
        let (payload, tail) = tail.split_at(usize::from(length).min(tail.len()));
        let sequence = u16::from(sequence & 0x3f) + u16::from(sequence >> 6) * 2_000;
        take(index, sequence, timestamp, payload);
        index += 1;
        rest = tail;
    }
}

/// A frame of a session reads back as it was, and what is in it is read without a panic.
pub fn session_frame(data: &[u8]) {
    let room = conclave_protocol::id::RoomId([3; 32]);
    let signed = Signed { payload: data.to_vec(), sig: [0; 64] };
    let _ = Presence::read(&signed);
    let _ = Statement::open(&signed, &room);
    let _ = Claim { presence: true, signed }.open(&room);
    let Ok(frame) = SessionFrame::decode(data) else { return };
    assert_eq!(SessionFrame::decode(&frame.encode()).as_ref(), Ok(&frame));
    match frame {
        SessionFrame::JoinReq(req) => drop(JoinReq::open(&req, &room)),
        SessionFrame::Commit(commit) => drop(Statement::open(&commit.statement, &room)),
        SessionFrame::Evidence(evidence) => {
            let _ = evidence.claims.iter().filter(|claim| claim.open(&room).is_ok()).count();
        }
        _ => {}
    }
}

/// Two members of a session, and a third that may be whatever the input says. The first byte says what the rest is: an MLS message in one
/// of its frames, well signed where a signature is asked for. Nothing of it moves the two.
pub fn session_talk(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    SESSION.with_borrow_mut(|world| {
        let Some(epoch) = world.member.epoch() else { return };
        let (session, before) = (epoch.session, epoch.epoch);
        let mls = rest.to_vec();
        let hash = conclave_protocol::id::OpHash(*blake3::hash(rest).as_bytes());
        world.counter += 1;
        let statement = |welcome: bool| Statement {
            writer: world.third.id(),
            random: [1; 32],
            epoch: before + 1,
            authenticator: [2; 32],
            acl_heads: Everyone.heads(),
            commit: (!welcome).then_some(hash),
            welcome: welcome.then_some(hash),
        };
        let room = conclave_protocol::id::RoomId([3; 32]);
        let frame = match choice % 6 {
            0 => SessionFrame::App(AppFrame { session, mls }),
            1 => SessionFrame::Update(UpdateFrame { session, mls }),
            2 => {
                let join = JoinReq { device: world.third.id(), session, counter: world.counter, key_package: mls };
                SessionFrame::JoinReq(join.sign(&world.third, &room))
            }
            3 => {
                let statement = statement(false).sign(&world.third, &room);
                SessionFrame::Commit(CommitFrame { statement, mls, updates: vec![] })
            }
            4 => SessionFrame::Welcome(WelcomeFrame {
                to: world.writer_id,
                statement: statement(true).sign(&world.third, &room),
                mls,
            }),
            _ => match SessionFrame::decode(rest) {
                Ok(frame) => frame,
                Err(_) => return,
            },
        };
        let now = Duration::from_millis(60_000 + world.counter * 100);
        let from = world.third.id();
        for session in [&mut world.writer, &mut world.member] {
            session.handle_frame(from, frame.clone(), &Everyone, now);
            let mut outputs = 0;
            while session.poll_output().is_some() {
                outputs += 1;
            }
            assert!(outputs <= 8);
        }
        assert_eq!(world.member.epoch().map(|epoch| (epoch.session, epoch.epoch)), Some((session, before)));
        assert_eq!(world.writer.phase(), Phase::Writer);
    });
}

/// Whoever it is, it belongs to the room; the lower id is senior.
struct Everyone;

impl Acl for Everyone {
    fn heads(&self) -> Vec<conclave_protocol::id::OpHash> {
        vec![conclave_protocol::id::OpHash([1; 32])]
    }

    fn knows(&self, heads: &[conclave_protocol::id::OpHash]) -> bool {
        heads == self.heads()
    }

    fn covers(&self, heads: &[conclave_protocol::id::OpHash], older: &[conclave_protocol::id::OpHash]) -> bool {
        self.knows(heads) && self.knows(older)
    }

    fn are_members_at(&self, _: &[DeviceId], heads: &[conclave_protocol::id::OpHash]) -> bool {
        self.knows(heads)
    }

    fn is_member(&self, _: &DeviceId) -> bool {
        true
    }

    fn rank(&self, device: &DeviceId) -> Option<usize> {
        device.0.first().map(|byte| usize::from(*byte))
    }
}

struct SessionWorld {
    writer: Session,
    writer_id: DeviceId,
    member: Session,
    third: DeviceKey,
    counter: u64,
}

thread_local! {
    static SESSION: RefCell<SessionWorld> = RefCell::new(session_world());
}

/// Frames that went between two until they were in one session: what a corpus begins with.
pub fn session_frames() -> Vec<Vec<u8>> {
    session_world_and_frames().1
}

fn session_world() -> SessionWorld {
    session_world_and_frames().0
}

fn session_world_and_frames() -> (SessionWorld, Vec<Vec<u8>>) {
    let room = conclave_protocol::id::RoomId([3; 32]);
    let mut keys: Vec<Arc<DeviceKey>> = (1..=2).map(|seed| Arc::new(DeviceKey::from_seed(&[seed; 32]))).collect();
    keys.sort_by_key(|key| key.id());
    let ids: Vec<DeviceId> = keys.iter().map(|key| key.id()).collect();
    let mut sessions: Vec<Session> = keys
        .iter()
        .zip(1..)
        .map(|(device, seed)| {
            let config = SessionConfig { room, device: device.clone(), exports: Vec::new() };
            let mut session = Session::new(config, Duration::ZERO, 1, &mut Counting(seed));
            session.set_secrets(&[[6; 32].into()]);
            session
        })
        .collect();
    sessions[0].handle_connected(ids[1], Duration::ZERO);
    sessions[1].handle_connected(ids[0], Duration::ZERO);
    let mut frames = Vec::new();
    for tick in 0..60_u64 {
        let now = Duration::from_millis(tick * 100);
        for me in 0..2 {
            sessions[me].handle_timeout(&Everyone, now);
            if tick == 59 {
                let _ = sessions[me].send(b"hello".to_vec(), &Everyone, now);
            }
            while let Some(output) = sessions[me].poll_output() {
                if let SessionOutput::Send { frame, .. } = output {
                    frames.push(frame.encode());
                    sessions[1 - me].handle_frame(ids[me], *frame, &Everyone, now);
                }
            }
        }
    }
    let member = sessions.pop().unwrap();
    let writer = sessions.pop().unwrap();
    assert!(writer.phase() == Phase::Writer && member.phase() == Phase::Member);
    let third = DeviceKey::from_seed(&[77; 32]);
    (SessionWorld { writer, writer_id: ids[0], member, third, counter: 1 }, frames)
}

/// What a member signs, however odd: the first byte says who signs what, the rest is the payload. A room takes it without a panic, and
/// comes to the same after a restart.
pub fn signed_input(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    WORLD.with_borrow(|world| {
        let Ok(mut room) = Room::load(world.founder.clone(), world.room, world.records.clone(), 77) else { return };
        let key = if choice & 1 == 0 { &world.admin } else { &world.member };
        let applied = match (choice >> 1) % 4 {
            0 => room.handle_acl_ops(vec![key.signed(ACL_LABEL, &world.room, payload.to_vec())]),
            1 => room.handle_ops(vec![key.signed(OP_LABEL, &world.room, payload.to_vec())]),
            2 => {
                let signed = key.signed(OP_LABEL, &world.room, payload.to_vec());
                match world.records.iter().rev().find(|record| matches!(record, Record::Op(_))) {
                    Some(Record::Op(other)) => room.handle_proof(EquivocationProof::new(signed, other.clone())),
                    _ => return,
                }
            }
            _ => match RoomFrame::decode(payload) {
                Ok(RoomFrame::AclOps(ops)) => room.handle_acl_ops(ops),
                Ok(RoomFrame::Ops(ops)) => room.handle_ops(ops),
                Ok(RoomFrame::Proof(proof)) => room.handle_proof(*proof),
                Ok(RoomFrame::Lists(entries)) => room.handle_lists(entries),
                Ok(RoomFrame::Summary(summary)) => {
                    let _ = room.ops_missing(&world.member.id(), &summary, 4096);
                    return;
                }
                Ok(RoomFrame::AclHeads(heads)) => {
                    let _ = room.acl_missing(&heads);
                    return;
                }
                _ => return,
            },
        };
        let records: Vec<Record> = world.records.iter().cloned().chain(applied.records).collect();
        let Ok(again) = Room::load(world.founder.clone(), world.room, records, 78) else { panic!("the records do not open") };
        assert_eq!(again.acl(), room.acl());
        assert!(again.chat().messages().eq(room.chat().messages()));
    });
}

struct World {
    founder: Me,
    admin: Arc<DeviceKey>,
    member: Arc<DeviceKey>,
    room: conclave_protocol::id::RoomId,
    records: Vec<Record>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

/// The keys with which [`signed_input`] signs, so that a corpus can be made for it.
pub fn signed_input_world() -> (conclave_protocol::id::RoomId, Vec<Record>) {
    WORLD.with_borrow(|world| (world.room, world.records.clone()))
}

fn world() -> World {
    const NOW_MS: u64 = 1_800_000_000_000;
    let mut rng = Counting(1);
    let mut person = |name: &str| {
        let (key, account) = (DeviceKey::generate(&mut rng), AccountKey::generate(&mut rng));
        let list = DeviceList::found(&account, ListedDevice { device: key.id(), seal_key: key.seal_key() }, NOW_MS);
        let card = MemberCard::new(&key, &list, name).expect("a card");
        Me { key: Arc::new(key), card }
    };
    let (founder, admin, member) = (person("Founder"), person("Admin"), person("Member"));
    let wish = CreateRoom { name: "Fuzzed".to_owned(), approval: true, full_history: true };
    let (mut room, mut applied) = Room::create(founder.clone(), wish, 1, NOW_MS, &mut rng).expect("a room");
    let mut records = applied.records;
    for (card, role) in [(&admin.card, Role::Admin), (&member.card, Role::Member)] {
        applied = room.admit(card.clone(), role, None, NOW_MS, &mut rng).expect("an admission");
        records.extend(applied.records);
    }
    let (mut theirs, _) = Room::join(member.clone(), room.id(), room.acl_missing(&[]), 2).expect("a member");
    let text = conclave_protocol::chat::Text { body: "hello".to_owned(), reply_to: None, mentions: Vec::new() };
    records.extend(theirs.say(text, NOW_MS).expect("a message").records);
    World { founder, admin: admin.key, member: member.key, room: room.id(), records }
}

struct Counting(u64);

impl rand_core::TryRng for Counting {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|value| value as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(self.0.rotate_left(29))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = (self.try_next_u64()? >> 32) as u8;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counting {}

/// A manifest and the table behind it: what is taken is encoded to what it was read from, and adds up.
pub fn file_manifest(data: &[u8]) {
    let (first, rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    if first & 1 == 0 {
        if let Ok(manifest) = Manifest::decode(rest) {
            assert!(Manifest::decode(&encode(&manifest)).is_ok_and(|again| again == manifest));
            let layout = manifest.layout();
            let chunks = layout.chunks();
            assert_eq!((0..chunks.min(3)).all(|index| layout.len(index) > 0), true);
            assert_eq!(layout.len(chunks), 0);
        }
        return;
    }
    // A table for a folder of exactly these bytes.
    let folder = conclave_protocol::swarm::manifest::Folder { table_len: rest.len() as u64, files: u32::from(first >> 1) };
    let manifest = Manifest {
        version: [0; 16],
        key: [0; 32],
        name: "x".to_owned(),
        size: rest.len() as u64 + 9,
        chunk: 256 * 1024,
        pages: Vec::new(),
        plain: [0; 32],
        folder: Some(folder),
        inline: None,
    };
    if let Ok(entries) = decode_table(rest, &manifest) {
        assert_eq!(entries.iter().map(|entry| entry.size).sum::<u64>(), 9);
    }
}

/// Words of both streams of files, and what they say is held.
pub fn file_talk(data: &[u8]) {
    if let Ok(word) = Control::decode(data) {
        if let Control::Hello { held, .. } = &word
            && let Some(have) = held.read(4096)
        {
            assert!(have.count() <= 4096);
            assert_eq!(have.iter().count(), have.count() as usize);
        }
        if !matches!(word, Control::Unknown(_)) {
            assert_eq!(Control::decode(&word.encode()), Ok(word));
        }
    }
    if let Ok(data) = Data::decode(data) {
        let bytes = data.encode();
        assert_eq!(Data::decode(&bytes).as_ref(), Ok(&data));
    }
}
