//! Seeds of the fuzz targets for what these tests are about. `tests/log.rs` runs all targets over the whole corpus.

use conclave_protocol::id::{CallId, DeviceId, RoomId, SessionId};
use conclave_protocol::knock::{Admitted, Challenge, DoorMessage, Knock, KnockMessage, Refused, SignedKnock, Waiting};
use conclave_protocol::live::{InCall, LiveFrame, LivePayload, MediaState, Presence};
use conclave_protocol::media::packetizer::{Packetizer, audio_payload};
use conclave_protocol::negotiation::SignalBody;
use conclave_protocol::proof::{ProofContext, Prover, Verifier};
use conclave_protocol::session::message::{Leave, SessionFrame};
use conclave_protocol::wire::{Signed, decode, encode};

use crate::support::{Person, Seeded};

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut samples = Vec::new();
    for hints in [0, 3] {
        samples.push(("link", crate::link::link(hints, 1).to_text().as_bytes().to_vec()));
    }
    let signal = crate::negotiation::offer_on_its_way().1;
    if let SignalBody::Description(description) = &signal.body {
        samples.push(("signal", description.sdp.clone().into_bytes()));
    }
    samples.push(("signal", encode(&signal)));
    samples.push(("live_frame", encode(&LiveFrame::Signal(signal))));
    let in_call = InCall {
        call: CallId([7; 16]),
        joined_ms: 1_800_000_000_000,
        seated: true,
        media: MediaState::default(),
        level: 30,
        hand_ms: None,
    };
    for in_call in [None, Some(in_call)] {
        samples.push(("live_payload", encode(&LivePayload::Presence(Presence { session: 1, counter: 2, in_call }))));
    }

    let mut door = crate::knock::founder(1);
    let link = door.invite(7, 1, false);
    let guest = Person::new("Guest", 2);
    let (_, frame) = crate::knock::forged(&link, &guest, &mut door, |_| {});
    let Ok(KnockMessage::Knock(SignedKnock { signed })) = decode(&frame) else { panic!() };
    let knock: Knock = decode(&signed.payload).unwrap();
    let ops = vec![Signed { payload: vec![1, 2, 3], sig: [4; 64] }];
    samples.push(("knock", signed.payload.clone()));
    samples.push(("knock", encode(&SignedKnock { signed })));
    samples.push(("knock", encode(&Admitted { ops: ops.clone(), last: true })));
    samples.push(("knock_talk", frame));
    for message in [
        DoorMessage::Challenge(Challenge { version: 1, commitment: knock.commitment }),
        DoorMessage::Waiting(Waiting { nonce: [3; 32] }),
        DoorMessage::Admitted(Admitted { ops, last: false }),
        DoorMessage::Refused(Refused { code: 3 }),
    ] {
        samples.push(("knock_talk", encode(&message)));
    }

    let context = ProofContext { stream: "/conclave/room/1", opener: DeviceId([1; 32]), acceptor: DeviceId([2; 32]) };
    let room = RoomId([3; 32]);
    let (prover, open) = Prover::new(context.clone(), room, &[6; 32], &mut Seeded(1));
    let (_, accept) = Verifier::handle_open(&context, &open, [(room, &[6; 32])], &mut Seeded(2)).ok().unwrap();
    let confirm = prover.handle_accept(&accept).unwrap().1;
    samples.extend([open, accept, confirm].map(|frame| ("room_proof", frame)));

    let mut packetizer = Packetizer::new();
    let mut video = Vec::new();
    for (index, bytes) in [40, 20, 30, 20].into_iter().enumerate() {
        let payloads = packetizer.packetize(&vec![index as u8; bytes], index == 0 || index == 3, 1).unwrap();
        for payload in payloads {
            video.extend([index as u8, index as u8, payload.len() as u8]);
            video.extend(payload);
        }
    }
    samples.push(("depacketizer", video));
    samples.push(("media_payload", audio_payload(30, &[1, 2, 3])));
    let voice = (0..12_u8).filter(|index| *index != 5).flat_map(|index| [index * 2 % 64, index, 2, 9, index]);
    samples.push(("jitter", voice.collect()));
    let leave = SessionFrame::Leave(Leave { session: SessionId([7; 32]) });
    samples.push(("live_frame", encode(&LiveFrame::Session(leave))));
    samples
}

/// Writes these seeds anew: `cargo test -p conclave-protocol --test live -- --ignored write_the_corpus`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    crate::seeds::write("live", samples());
}
