//! Every frame of a session against every truncation, every flipped bit and random bytes: an error or a value, never a panic. And the
//! seeds of its fuzz targets; `tests/log.rs` runs all targets over the whole corpus.

use conclave_protocol::session::message::{
    Claim, Evidence, Fetch, JoinReq, Leave, Presence, SessionFrame, Statement, UpdateFrame,
};
use conclave_protocol::wire::{Signed, WireError};
use proptest::prelude::*;

use crate::support::Seeded;

#[allow(dead_code)]
#[path = "../../fuzz/targets.rs"]
mod targets;

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let frames = targets::session_frames();
    let mut kinds: Vec<SessionFrame> = Vec::new();
    for frame in &frames {
        let frame = SessionFrame::decode(frame).unwrap();
        if !kinds.iter().any(|other| core::mem::discriminant(other) == core::mem::discriminant(&frame)) {
            kinds.push(frame);
        }
    }
    let session = conclave_protocol::id::SessionId([5; 32]);
    let claim = kinds
        .iter()
        .find_map(|frame| match frame {
            SessionFrame::Commit(commit) => Some(commit.statement.clone()),
            SessionFrame::Welcome(welcome) => Some(welcome.statement.clone()),
            _ => None,
        })
        .unwrap();
    kinds.extend([
        SessionFrame::Fetch(Fetch { session, epoch: 3 }),
        SessionFrame::Leave(Leave { session }),
        SessionFrame::Update(UpdateFrame { session, mls: vec![1, 2, 3] }),
        SessionFrame::Evidence(Evidence { claims: vec![Claim { presence: false, signed: claim.clone() }] }),
    ]);
    let mut samples: Vec<(&'static str, Vec<u8>)> = kinds.iter().map(|frame| ("session_frame", frame.encode())).collect();
    samples.push(("session_frame", claim.payload));
    for frame in &kinds {
        let (choice, mls) = match frame {
            SessionFrame::App(app) => (0, app.mls.clone()),
            SessionFrame::JoinReq(req) => {
                let room = conclave_protocol::id::RoomId([3; 32]);
                (2, JoinReq::open(req, &room).unwrap().key_package)
            }
            SessionFrame::Commit(commit) => (3, commit.mls.clone()),
            SessionFrame::Welcome(welcome) => (4, welcome.mls.clone()),
            _ => (5, frame.encode()),
        };
        samples.push(("session_talk", [vec![choice], mls].concat()));
    }
    samples
}

fn target(name: &str) -> targets::Target {
    targets::TARGETS.iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn any_truncation_and_any_flipped_bit_of_a_frame_is_an_error_or_a_value() {
    let mut rng = Seeded(3);
    for (name, sample) in samples() {
        let target = target(name);
        target(&sample);
        let talks = name == "session_talk";
        for length in (0..sample.len()).step_by(if talks { 23 } else { 1 }) {
            target(&sample[..length]);
        }
        for _ in 0..if talks { 60 } else { 400 } {
            let mut bent = sample.clone();
            let bit = rng.below(bent.len() as u64 * 8) as usize;
            bent[bit / 8] ^= 1 << (bit % 8);
            target(&bent);
        }
    }
}

#[test]
fn what_is_over_its_limit_is_refused() {
    let long = vec![0; conclave_protocol::session::message::MAX_UPDATE + 1];
    let session = conclave_protocol::id::SessionId([5; 32]);
    let update = SessionFrame::Update(UpdateFrame { session, mls: long });
    assert_eq!(SessionFrame::decode(&update.encode()), Err(WireError::TooLong));
    let evidence = SessionFrame::Evidence(Evidence { claims: vec![] });
    assert_eq!(SessionFrame::decode(&evidence.encode()), Err(WireError::TooLong));
    let unknown = [0x82, 0x18, 99, 0xa1, 0x00, 0x01];
    assert_eq!(SessionFrame::decode(&unknown), Ok(SessionFrame::Unknown(99)));
    let signed = Signed { payload: vec![0; 4_000], sig: [0; 64] };
    assert!(Presence::read(&signed).is_err());
    assert!(Statement::open(&signed, &conclave_protocol::id::RoomId([0; 32])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_frame_or_one_that_reads_back(data in prop::collection::vec(any::<u8>(), 0..400)) {
        targets::session_frame(&data);
    }
}

/// Writes the seeds of the corpus anew: `cargo test -p conclave-protocol --test session -- --ignored write_the_corpus`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    crate::seeds::write("session", samples());
}
