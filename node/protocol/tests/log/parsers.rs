//! Every parser against every truncation, every flipped bit, random bytes, and the corpus of the fuzz targets: an error or a value, never
//! a panic, and never more memory than its bound.

use std::path::PathBuf;

use conclave_protocol::chat::read::ReadMark;
use conclave_protocol::chat::{Body, Edit, React, Text};
use conclave_protocol::identity::MemberCard;
use conclave_protocol::log::acl::{AclKind, AclOp, Role};
use conclave_protocol::log::op::{EquivocationProof, MAX_OP_BODY, OP_PADDING, Op};
use conclave_protocol::log::sync::{MAX_ROOM_FRAME, RoomFrame, Summary};
use conclave_protocol::room::InviteSpec;
use conclave_protocol::room::record::Record;
use conclave_protocol::wire::*;
use proptest::prelude::*;

use crate::memory::peak_of;
use crate::seeds::folder as corpus;
use crate::support::*;

#[allow(dead_code)]
#[path = "../../fuzz/targets.rs"]
mod targets;

/// What a parser may hold at once for `len` bytes of input. Sixteen bytes of input make at most one 40-byte struct in a vector that may
/// double while it is copied, and every target reads its input up to four times over.
fn bound(len: usize) -> usize {
    48 * len + 64 * 1024
}

/// Well-formed inputs of every target but the frames.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut founder = Peer::founds("Fatima", true);
    let mut member = founder.admits("Mo", Role::Member);
    let first = member.says("hello, with an ünïcode text");
    member
        .act(|room, now, _| room.say(Text { reply_to: Some(first), mentions: vec![founder.id()], ..text("again") }, now))
        .unwrap();
    member.act(|room, now, _| room.edit(first, "edited".into(), vec![], now)).unwrap();
    member.act(|room, now, _| room.react(first, "👍".into(), true, now)).unwrap();
    sync(&mut founder, &mut member);
    let spec = InviteSpec { key: [1; 32], expires_ms: START_MS + 99_999, uses: 3, role: Role::Member, approval: true };
    founder.act(|room, now, _| room.invite(spec, now)).unwrap();
    founder.act(|room, now, _| room.rename_me("Fátima", now)).unwrap();
    founder.act(|room, now, _| room.set_role(member.id(), Role::Viewer, now)).unwrap();
    founder.revokes(member.id());

    let mut samples = Vec::new();
    for record in &founder.stored {
        samples.push(("record", record.encode()));
        match record {
            Record::Acl(signed) => {
                samples.push(("acl_op", signed.payload.clone()));
                if let AclKind::Admit(admit) = &acl_of(signed).kind {
                    samples.push(("identity", encode(&admit.card)));
                    samples.push(("identity", encode(&vec![admit.card.account_proof.clone()])));
                }
            }
            Record::Op(signed) => {
                let op = op_of(signed);
                samples.push(("op", signed.payload.clone()));
                let mut body = vec![op.kind as u8];
                body.extend(op.body);
                samples.push(("chat_body", body));
            }
            Record::Equivocation(_) | Record::List(_) => {}
        }
    }
    let ops = signed(&founder.stored);
    let op = ops.iter().find(|signed| Op::decode(&signed.payload).is_ok()).unwrap().clone();
    let mut twin = op_of(&op);
    twin.time_ms += 1;
    let proof = EquivocationProof::new(op.clone(), twin.sign(&member.me.key, &founder.room.id()));
    samples.push(("record", Record::Equivocation(Box::new(proof.clone())).encode()));
    for frame in [
        RoomFrame::AclHeads(founder.room.acl_heads()),
        RoomFrame::AclOps(ops[..2].to_vec()),
        RoomFrame::Summary(founder.room.summary()),
        RoomFrame::Ops(vec![op.clone()]),
        RoomFrame::Proof(Box::new(proof)),
        RoomFrame::Unknown(99),
        RoomFrame::Lists(vec![founder.me.card.account_proof.clone()]),
    ] {
        samples.push(("room_frame", frame.encode()));
    }
    samples.push(("wire_value", encode(&op)));
    let mut mark = ReadMark::default();
    for message in founder.room.chat().messages() {
        mark.note(message);
        mark.mark(message);
    }
    samples.push(("read_mark", mark.encode()));
    let (_, records) = targets::signed_input_world();
    for record in &records {
        match record {
            Record::Acl(signed) => samples.push(("signed_input", [[0].as_slice(), &signed.payload].concat())),
            Record::Op(signed) => {
                samples.push(("signed_input", [[3].as_slice(), &signed.payload].concat()));
                let mut next = op_of(signed);
                next.prev = Some(signed.hash());
                next.id.seq = 2;
                next.lamport = 2;
                samples.push(("signed_input", [[3].as_slice(), &next.encode()].concat()));
                next.id.seq = 1;
                next.prev = None;
                samples.push(("signed_input", [[5].as_slice(), &next.encode()].concat()));
                samples.push(("signed_input", [[7].as_slice(), &RoomFrame::Ops(vec![signed.clone()]).encode()].concat()));
            }
            Record::Equivocation(_) | Record::List(_) => {}
        }
    }
    samples
}

fn run(name: &str, data: &[u8]) {
    let (_, target) = targets::TARGETS.iter().find(|(other, _)| *other == name).unwrap();
    let ((), peak) = peak_of(|| target(data));
    // The room and the session behind these are no parsers: their bounds have tests of their own.
    if name != "signed_input" && name != "session_talk" {
        assert!(peak <= bound(data.len()), "{name} took {peak} bytes for {}", data.len());
    }
}

#[test]
fn any_truncation_and_any_flipped_bit_is_an_error_or_a_value() {
    let mut rng = Seeded(17);
    for (name, sample) in samples() {
        run(name, &sample);
        let costly = name == "signed_input";
        for cut in 0..sample.len() {
            if !costly || rng.below(64) == 0 {
                run(name, &sample[..cut]);
            }
        }
        for bit in 0..sample.len() * 8 {
            if costly && rng.below(256) != 0 {
                continue;
            }
            let mut bent = sample.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            run(name, &bent);
        }
    }
}

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    for (name, target) in targets::TARGETS {
        let directory = corpus(name);
        let mut files: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let seed = std::fs::read(&file).unwrap();
            target(&seed);
            let mut rng = Seeded(seed.len() as u64);
            let rounds = if *name == "signed_input" || *name == "session_talk" { 10 } else { 200 };
            for _ in 0..rounds {
                run(name, &mutated(&seed, &mut rng));
            }
        }
    }
}

#[test]
fn every_fuzz_target_is_declared() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let source = std::fs::read_to_string(root.join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(source.contains(&format!("targets::{name}(data)")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::TARGETS.len());
}

/// Writes the seeds of the corpus anew: `cargo test -p conclave-protocol --test log -- --ignored write_the_corpus`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    for (name, _) in targets::TARGETS {
        std::fs::create_dir_all(corpus(name)).unwrap();
    }
    let mut written = std::collections::HashMap::new();
    for (name, sample) in samples() {
        let count: &mut u32 = written.entry(name).or_default();
        *count += 1;
        std::fs::write(corpus(name).join(format!("{count:02}")), sample).unwrap();
    }
    let frames: Vec<u8> = [b"".as_slice(), b"one", &[7; 300]].iter().flat_map(|payload| encode_frame(payload)).collect();
    std::fs::write(corpus("frames").join("01"), frames).unwrap();
    std::fs::write(corpus("frames").join("02"), [0xff, 0xff, 0xff, 0x7f]).unwrap();
    std::fs::write(corpus("signal").join("01"), [0xa1, 0x00, 0x50]).unwrap();
    std::fs::write(corpus("media_payload").join("01"), [0b1110_0000, 0, 1, 9, 9, 9]).unwrap();
    std::fs::write(corpus("link").join("01"), "conclave://join/1#AAAA").unwrap();
    let card: MemberCard = person("Knocker").card;
    std::fs::write(corpus("knock").join("01"), encode(&card)).unwrap();
}

#[test]
fn a_signed_operation_with_any_bit_changed_is_not_taken() {
    let mut founder = Peer::founds("Fatima", true);
    let mut member = founder.admits("Mo", Role::Member);
    member.says("hi");
    let renamed = member.act(|room, now, _| room.rename_me("Momo", now)).unwrap()[0].clone();
    let said = signed(&member.stored).into_iter().find(|op| Op::decode(&op.payload).is_ok()).unwrap();
    let mut rng = Seeded(3);
    for _ in 0..400 {
        for (original, acl) in [(&renamed, true), (&said, false)] {
            let mut bent = original.clone();
            let bit = rng.below((bent.payload.len() + 64) * 8);
            match bent.payload.get_mut(bit / 8) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => bent.sig[bit / 8 - original.payload.len()] ^= 1 << (bit % 8),
            }
            let applied = if acl { founder.room.handle_acl_ops(vec![bent]) } else { founder.room.handle_ops(vec![bent]) };
            assert!(applied.records.is_empty(), "bit {bit}");
        }
    }
    assert_eq!(founder.room.waiting(), 0, "nothing unsigned waits either");
}

#[test]
fn a_map_with_a_key_twice_is_refused_wherever_it_stands() {
    let head = [0xa3, 0x00, 0x80, 0x01, 0x00, 0x02, 0x80];
    let plain = RoomFrame::Summary(Summary::default()).encode();
    assert!(plain.windows(head.len()).any(|part| part == head), "{plain:x?}");
    assert!(RoomFrame::decode(&plain).is_ok());
    // A summary with its floor twice, also where the second is written wider; an unknown key twice, low and high; a key that is no integer.
    for more in [
        vec![0x01, 0x05],
        vec![0x18, 0x01, 0x05],
        vec![0x05, 0x00, 0x05, 0x00],
        vec![0x18, 99, 0, 0x19, 0, 99, 0],
        vec![0x61, b'x', 0],
    ] {
        let pairs = if more.len() > 3 { 2 } else { 1 };
        let map = [&[0xa3 + pairs], &head[1..], &more].concat();
        let at = plain.windows(head.len()).position(|part| part == head).unwrap();
        let frame = [&plain[..at], &map, &plain[at + head.len()..]].concat();
        assert_eq!(RoomFrame::decode(&frame), Err(WireError::Malformed), "{more:x?}");
    }
    // The same keys in two maps beside and inside each other are fine, and so are unknown ones.
    let unknown = [0x18, 99, 0xa1, 0x18, 99, 0x00, 0x18, 100, 0xa1, 0x18, 99, 0x00];
    let map = [&[0xa5], &head[1..], unknown.as_slice()].concat();
    let at = plain.windows(head.len()).position(|part| part == head).unwrap();
    assert!(RoomFrame::decode(&[&plain[..at], &map, &plain[at + head.len()..]].concat()).is_ok());
}

#[test]
fn an_oversize_length_is_refused_before_anything_is_allocated() {
    let (result, peak) = peak_of(|| {
        let mut decoder = FrameDecoder::new(64 * 1024);
        decoder.push(&[0xff, 0xff, 0xff, 0x7f]);
        decoder.next()
    });
    assert_eq!(result, Err(FrameError::TooLong { announced: (1 << 28) - 1, limit: 64 * 1024 }));
    assert!(peak < 1024, "{peak}");
    // CBOR: byte strings, arrays and maps of 2^63 items in ten bytes.
    for head in [0x5b, 0x7b, 0x9b, 0xbb] {
        let bytes = [head, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
        let (result, peak) = peak_of(|| decode::<Vec<u64>>(&bytes));
        assert_eq!(result, Err(WireError::Truncated));
        assert!(peak < 1024, "{peak}");
    }
    let (result, _) = peak_of(|| decode::<Vec<u64>>(&[0x81; 100_000]));
    assert_eq!(result, Err(WireError::TooComplex), "nesting ends before the stack does");
    assert_eq!(decode::<Vec<u64>>(&[0x9f, 0x01, 0xff]), Err(WireError::Malformed), "no indefinite lengths");
    assert_eq!(decode::<u64>(&[0x01, 0x01]), Err(WireError::Trailing));
    assert_eq!(RoomFrame::decode(&vec![0; MAX_ROOM_FRAME + 1]), Err(WireError::TooLong));
    let mut op = op_of(&sample_op());
    op.body = vec![0; MAX_OP_BODY + 1];
    assert!(Op::decode(&op.encode()).is_err());
}

#[test]
fn a_frame_decoder_refuses_what_is_not_minimal_and_stays_refusing() {
    for prefix in [&[0x80, 0x00][..], &[0x80, 0x80, 0x80, 0x80, 0x01], &[0xff, 0x80, 0x00]] {
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.push(prefix);
        assert_eq!(decoder.next(), Err(FrameError::BadLength));
        decoder.push(&encode_frame(b"fine"));
        assert_eq!(decoder.next(), Err(FrameError::BadLength));
    }
}

fn sample_op() -> Signed {
    let mut founder = Peer::founds("Fatima", true);
    founder.act(|room, now, _| room.say(text("x"), now)).unwrap()[0].clone()
}

fn mutated(seed: &[u8], rng: &mut Seeded) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next() as u8),
            2 if at < bytes.len() => bytes[at] = rng.next() as u8,
            3 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail.into_iter().take(64));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_an_error_or_a_value(data in prop::collection::vec(any::<u8>(), 0..600)) {
        for (name, _) in targets::TARGETS.iter().filter(|(name, _)| *name != "signed_input") {
            run(name, &data);
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..10), piece in 1_usize..50) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode_frame(payload)).collect();
        let mut decoder = FrameDecoder::new(400);
        let mut out = Vec::new();
        for bytes in stream.chunks(piece) {
            decoder.push(bytes);
            while let Some(frame) = decoder.next().unwrap() {
                out.push(frame);
            }
        }
        prop_assert_eq!(out, payloads);
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn an_operation_of_any_size_is_padded_and_comes_back(length in 0_usize..3000, time_ms in any::<u64>(), kind in any::<u32>()) {
        let mut op = op_of(&sample_op_cached());
        op.body = vec![0xa5; length];
        op.time_ms = time_ms;
        op.kind = kind;
        let bytes = op.encode();
        prop_assert_eq!(bytes.len() % OP_PADDING, 0);
        prop_assert_eq!(Op::decode(&bytes).unwrap(), op);
    }

    #[test]
    fn chat_bodies_come_back(body in "[a-zA-Z äöü\n]{1,200}", emoji in "[👍🎉❤a-z]{1,4}", on in any::<bool>()) {
        prop_assume!(!body.trim().is_empty());
        let target = conclave_protocol::id::OpHash([4; 32]);
        for body in [
            Body::Text(Text { body: body.clone(), reply_to: Some(target), mentions: vec![] }),
            Body::Edit(Edit { target, body, mentions: vec![] }),
            Body::React(React { target, emoji, on }),
        ] {
            let (kind, bytes) = body.encode();
            prop_assert_eq!(Body::decode(kind, &bytes), body);
        }
    }
}

fn sample_op_cached() -> Signed {
    static OP: std::sync::OnceLock<Signed> = std::sync::OnceLock::new();
    OP.get_or_init(sample_op).clone()
}

#[test]
fn an_unknown_acl_operation_is_kept_passed_on_and_without_effect() {
    let mut founder = Peer::founds("Fatima", true);
    let mut member = founder.admits("Mo", Role::Member);
    let parents = founder.room.acl_heads()[..1].to_vec();
    let newer = forge_acl(&member.me.key, &founder.room.id(), &parents, AclKind::Unknown { kind: 41, body: vec![1, 2, 3] });
    assert_eq!(AclOp::decode(&newer.payload).unwrap().kind, AclKind::Unknown { kind: 41, body: vec![1, 2, 3] });
    let before = founder.roster();
    assert_eq!(founder.takes_acl(std::slice::from_ref(&newer)).records.len(), 1);
    assert_eq!(founder.roster(), before);
    sync(&mut founder, &mut member);
    assert!(signed(&member.stored).contains(&newer));
}
