//! Published vectors (`docs/vectors`): what this code writes of links, logs, bindings, media keys and session messages, byte for byte, so
//! that a stranger in any language can try theirs against it. `scripts/check_vectors.py` does, with nothing but Python.

use std::path::PathBuf;
use std::time::Duration;

use conclave_protocol::id::{CallId, DeviceId, OpHash, OpId, RoomId, SessionId};
use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard};
use conclave_protocol::link::{AddressHint, Link};
use conclave_protocol::linking::LinkRequest;
use conclave_protocol::log::acl::{
    AclKind, AclOp, Admit, Close, Create, Invite, OpCut, Rename, Revoke, Role, RoleChange, Secret, SecretBox,
};
use conclave_protocol::log::op::Op;
use conclave_protocol::media::frame_cipher::{BASE_KEY_LEN, FrameKeys, Meta, key_id};
use conclave_protocol::negotiation::{DTLS_LABEL, DescriptionKind, Nonce, binding};
use conclave_protocol::session::message::{JoinReq, Presence, Statement, authenticator, session_id};
use conclave_protocol::session::{Epoch, seal_presence};
use conclave_protocol::spoken::{SpokenCode, answer, begin};
use conclave_protocol::wire::Signed;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::support::Seeded;

const NOW: u64 = 1_800_000_000_000;
const ROOM: RoomId = RoomId([0x21; 32]);

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed; 32])
}

fn card(seed: u8, name: &str) -> MemberCard {
    let (key, account) = (device(seed), AccountKey::from_seed(&[seed ^ 0x80; 32]));
    let list = DeviceList::found(&account, ListedDevice { device: key.id(), seal_key: key.seal_key() }, NOW);
    MemberCard::new(&key, &list, name).unwrap()
}

fn signed(signed: &Signed) -> Value {
    json!({ "payload": hex(&signed.payload), "sig": hex(signed.sig), "hash": hex(signed.hash().0) })
}

fn links() -> Value {
    let hint = |device, address: &str| AddressHint { device, address: address.to_owned() };
    let link = |name: &str, hints: Vec<AddressHint>| Link {
        room: ROOM,
        room_name: name.to_owned(),
        topic_key: [0x22; 32],
        inviter: device(1).id(),
        admin: AccountKey::from_seed(&[0x81; 32]).id(),
        invite_seed: Zeroizing::new([0x23; 32]),
        expires_ms: NOW,
        hints,
    };
    let links = [
        link("Kitchen", vec![]),
        link(
            "",
            vec![hint(device(1).id(), "/ip4/192.0.2.7/udp/4001/quic-v1"), hint(device(2).id(), "/ip6/2001:db8::7/tcp/4001")],
        ),
    ];
    let links = links.iter().map(|link| {
        let hints = link.hints.iter().map(|hint| json!({ "device": hex(hint.device.0), "address": hint.address }));
        json!({
            "text": link.to_text().as_str(), "room": hex(link.room.0), "room_name": link.room_name, "topic_key": hex(link.topic_key),
            "inviter": hex(link.inviter.0), "admin": hex(link.admin.0), "invite_seed": hex(*link.invite_seed),
            "invite_key": hex(link.invite_key()), "expires_ms": link.expires_ms, "hints": hints.collect::<Vec<_>>(),
        })
    });
    let request = LinkRequest::new(&device(3));
    let requests =
        json!([{ "device": hex(device(3).id().0), "seal_key": hex(device(3).seal_key().0), "text": request.to_text() }]);
    json!({ "join": links.collect::<Vec<_>>(), "device": requests })
}

/// Gives the bytes it was made with, and then zeros: what CPace reduces to a scalar.
struct Fixed(u8);

impl rand_core::TryRng for Fixed {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}

fn spoken() -> Value {
    let (hearer, speaker) = (device(1).id(), device(2).id());
    let runs = ["42 apple river stone", "999 zoo zoo abandon"].into_iter().zip(5_u8..).map(|(text, seed)| {
        let code: SpokenCode = text.parse().unwrap();
        let sid = [seed ^ 0x40; 32];
        let (share, kept) = begin(&code, (&hearer, &speaker), &sid, &mut Fixed(seed)).unwrap();
        let (answered, agreed) = answer(&code, (&hearer, &speaker), &sid, &share, &mut Fixed(seed ^ 0x20)).unwrap();
        let ours = kept.finish(&answered).unwrap();
        assert_eq!((ours.hearer_tag(), ours.speaker_tag()), (agreed.hearer_tag(), agreed.speaker_tag()));
        json!({
            "code": text, "hearer": hex(hearer.0), "speaker": hex(speaker.0), "sid": hex(sid),
            "hearer_random": hex([seed; 64]), "speaker_random": hex([seed ^ 0x20; 64]),
            "hearer_share": hex(share), "speaker_share": hex(answered),
            "hearer_tag": hex(agreed.hearer_tag()), "speaker_tag": hex(agreed.speaker_tag()),
            "hearer_sealed": hex(agreed.seal_hearer(b"a card")), "speaker_sealed": hex(agreed.seal_speaker(b"a room")),
        })
    });
    json!({ "runs": runs.collect::<Vec<_>>() })
}

fn acl() -> Value {
    let founder = device(1);
    let create =
        Create { name: "Kitchen".into(), approval: true, full_history: true, founder: card(1, "Ada"), nonce: [0x24; 16] };
    let op = |parents: Vec<OpHash>, kind| AclOp { author: founder.id(), parents, time_ms: NOW, kind };
    let genesis = op(vec![], AclKind::Create(create)).sign(&founder, &ROOM);
    let room = RoomId(genesis.hash().0);
    let second = device(2).id();
    let invite = Invite { key: [0x25; 32], expires_ms: NOW + 86_400_000, uses: 5, role: Role::Member, approval: false };
    let cut = OpCut { incarnation: 9, seq: 4, hash: OpHash([0x26; 32]) };
    let kinds = [
        ("Invite", AclKind::Invite(invite)),
        ("Admit", AclKind::Admit(Admit { card: card(2, "Bob"), role: Role::Member, invite: None, secrets: vec![0x27; 80] })),
        ("Role", AclKind::Role(RoleChange { device: second, role: Role::Viewer })),
        ("Rename", AclKind::Rename(Rename { name: "Ada L.".into() })),
        ("Revoke", AclKind::Revoke(Revoke { device: second, op_cuts: vec![cut], acl_cut: Some(OpHash([0x28; 32])) })),
        ("Secret", AclKind::Secret(Secret { boxes: vec![SecretBox { device: founder.id(), sealed: vec![0x29; 80] }] })),
        ("Close", AclKind::Close(Close { invite: OpHash([0x2a; 32]) })),
    ];
    let mut parent = genesis.hash();
    let mut ops = vec![json!({ "kind": "Create", "signed": signed(&genesis) })];
    for (name, kind) in kinds {
        let next = op(vec![parent], kind).sign(&founder, &room);
        parent = next.hash();
        ops.push(json!({ "kind": name, "signed": signed(&next) }));
    }
    json!({ "label": "conclave/acl/1", "room": hex(room.0), "author": hex(founder.id().0), "ops": ops })
}

fn oplog() -> Value {
    let author = device(1);
    let mut prev = None;
    let ops: Vec<Value> = (1..=3_u64)
        .map(|seq| {
            let op = Op {
                id: OpId { device: author.id(), incarnation: 7, seq },
                prev,
                acl_heads: vec![OpHash([0x2b; 32])],
                deps: if seq == 3 { vec![OpHash([0x2c; 32])] } else { vec![] },
                lamport: seq,
                time_ms: NOW + seq,
                kind: 100,
                body: vec![seq as u8; 100 * seq as usize],
            };
            let made = op.sign(&author, &ROOM);
            prev = Some(made.hash());
            json!({ "seq": seq, "signed": signed(&made) })
        })
        .collect();
    json!({ "label": "conclave/op/1", "room": hex(ROOM.0), "author": hex(author.id().0), "incarnation": 7, "ops": ops })
}

fn dtls() -> Value {
    let (signer, peer) = (device(1), device(2).id());
    let (call, fingerprint, nonce) = (CallId([0x2d; 16]), [0x2e; 32], Nonce([0x2f; 16]));
    let bindings = [("offer", DescriptionKind::Offer), ("answer", DescriptionKind::Answer)].map(|(name, role)| {
        let bytes = binding(call, signer.id(), peer, &fingerprint, role, nonce);
        json!({
            "call": hex(call.0), "signer": hex(signer.id().0), "peer": hex(peer.0), "fingerprint": hex(fingerprint), "role": name,
            "peer_nonce": hex(nonce.0), "signed": hex(&bytes), "sig": hex(signer.sign(DTLS_LABEL, &ROOM, &bytes)),
        })
    });
    json!({ "label": DTLS_LABEL, "room": hex(ROOM.0), "bindings": bindings })
}

fn sframe() -> Value {
    let ids: Vec<Value> = [(0x00, 0, 0), (0xab, 1, 3), (0xff, 255, 127), (0x5a, 256, 1), (0x5a, 1_000_000, 9)]
        .map(|(session, epoch, leaf)| {
            let id = key_id(&SessionId([session; 32]), epoch, leaf).unwrap();
            json!({ "session": hex([session; 32]), "epoch": epoch, "leaf": leaf, "kid": id })
        })
        .to_vec();
    let epoch = Epoch {
        session: SessionId([0xab; 32]),
        epoch: 1,
        writer: device(1).id(),
        roster: [(0, device(1).id()), (3, device(2).id())].into(),
        authenticator: Zeroizing::new(vec![0; 32]),
        exports: vec![Zeroizing::new(vec![0x30; BASE_KEY_LEN])],
        send_from: Duration::ZERO,
        accept_until: None,
    };
    let mut keys = FrameKeys::new(device(2).id());
    keys.set_epochs(&[epoch], 0, |time| time);
    let frames = [
        ("00 1e 00", Meta::Audio { level: 30 }),
        ("01 00 01", Meta::Video { stream: 0, codec: 0, keyframe: true }),
        ("02 01 00", Meta::Video { stream: 1, codec: 1, keyframe: false }),
    ];
    // One counter for all of them.
    let frames = frames.into_iter().enumerate().map(|(counter, (bytes, meta))| {
        let sealed = keys.seal(b"a frame", meta, Duration::ZERO).unwrap();
        json!({ "counter": counter, "meta": bytes.replace(' ', ""), "frame": hex(b"a frame"), "sealed": hex(sealed) })
    });
    let frames: Vec<Value> = frames.collect();
    json!({
        "key_ids": ids, "suite": "AES_128_GCM_SHA256_128", "base_key": hex([0x30; BASE_KEY_LEN]),
        "kid": key_id(&SessionId([0xab; 32]), 1, 3).unwrap(), "frames": frames,
    })
}

fn session() -> Value {
    let (writer, joiner) = (device(1), device(2));
    let (random, secret) = ([0x31; 32], [0x32; 32]);
    let id = session_id(&ROOM, &writer.id(), &random);
    let shown = authenticator(&[0x33; 32]);
    let presence = Presence {
        device: writer.id(),
        writer: writer.id(),
        random,
        epoch: 4,
        authenticator: shown,
        size: 2,
        acl_heads: vec![OpHash([0x34; 32])],
        counter: 17,
        heard: vec![0b11],
        collecting: None,
    };
    let said = presence.sign(&writer, &ROOM);
    let sealed = seal_presence(&said, &secret, &ROOM, &mut Seeded(5));
    let join = JoinReq { device: joiner.id(), session: id, counter: NOW, key_package: vec![0x35; 40] }.sign(&joiner, &ROOM);
    let statement = Statement {
        writer: writer.id(),
        random,
        epoch: 5,
        authenticator: shown,
        acl_heads: vec![OpHash([0x34; 32])],
        commit: Some(OpHash([0x36; 32])),
        welcome: None,
    };
    let label =
        |label: &str, signer: DeviceId, made: &Signed| json!({ "label": label, "signer": hex(signer.0), "signed": signed(made) });
    json!({
        "room": hex(ROOM.0), "discovery_secret": hex(secret),
        "session": { "writer": hex(writer.id().0), "random": hex(random), "id": hex(id.0) },
        "authenticator": { "epoch_authenticator": hex([0x33; 32]), "shown": hex(shown) },
        "messages": [
            label("conclave/session-presence/1", writer.id(), &said),
            label("conclave/session-join/1", joiner.id(), &join.signed),
            label("conclave/session-epoch/1", writer.id(), &statement.sign(&writer, &ROOM)),
        ],
        "sealed_presence": hex(&sealed.sealed),
    })
}

fn all() -> [(&'static str, Value); 7] {
    [
        ("links", links()),
        ("acl", acl()),
        ("oplog", oplog()),
        ("dtls", dtls()),
        ("sframe", sframe()),
        ("session", session()),
        ("spoken", spoken()),
    ]
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors").join(name).with_extension("json")
}

#[test]
#[ignore = "writes docs/vectors"]
fn write_the_vectors() {
    for (name, value) in all() {
        std::fs::write(file(name), serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
    }
}

/// A vector that changes is a protocol that changes: others have built on it.
#[test]
fn the_published_vectors_are_what_this_code_writes() {
    for (name, value) in all() {
        let published: Value = serde_json::from_slice(&std::fs::read(file(name)).unwrap()).unwrap();
        assert_eq!(published, value, "{name}");
    }
}

/// And what it reads.
#[test]
fn the_published_vectors_are_read() {
    for link in links()["join"].as_array().unwrap() {
        let read = Link::parse(link["text"].as_str().unwrap()).unwrap();
        assert_eq!((hex(read.invite_key()), read.room), (link["invite_key"].as_str().unwrap().to_owned(), ROOM));
    }
    for op in acl()["ops"].as_array().unwrap() {
        let payload = HEXLOWER.decode(op["signed"]["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(AclOp::decode(&payload).unwrap().encode(), payload, "{}", op["kind"]);
    }
    for op in oplog()["ops"].as_array().unwrap() {
        let payload = HEXLOWER.decode(op["signed"]["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(Op::decode(&payload).unwrap().encode(), payload);
    }
}
