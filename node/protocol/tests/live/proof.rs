use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::proof::*;
use proptest::prelude::*;

use crate::support::Seeded;

const ROOM: RoomId = RoomId([5; 32]);
const OTHER: RoomId = RoomId([6; 32]);
const SECRET: [u8; 32] = [50; 32];

fn context() -> ProofContext {
    ProofContext { stream: "/conclave/room/1", opener: DeviceId([1; 32]), acceptor: DeviceId([2; 32]) }
}

fn secrets() -> Vec<(RoomId, [u8; 32])> {
    vec![(OTHER, [60; 32]), (OTHER, [61; 32]), (ROOM, [49; 32]), (ROOM, SECRET)]
}

fn open(context: &ProofContext, frame: &[u8], seed: u64) -> Result<(Verifier, Vec<u8>), ProofError> {
    let secrets = secrets();
    Verifier::handle_open(context, frame, secrets.iter().map(|(room, secret)| (*room, secret)), &mut Seeded(seed))
}

fn prover(seed: u64) -> (Prover, Vec<u8>) {
    Prover::new(context(), ROOM, &SECRET, &mut Seeded(seed))
}

fn error<T>(result: Result<T, ProofError>) -> ProofError {
    result.err().expect("an error")
}

#[test]
fn two_members_prove_their_room_to_each_other() {
    for (secret, place) in [(SECRET, 1), ([49; 32], 0)] {
        let (prover, frame) = Prover::new(context(), ROOM, &secret, &mut Seeded(1));
        let (verifier, accept) = open(&context(), &frame, 2).unwrap();
        let (room, confirm) = prover.handle_accept(&accept).unwrap();
        assert_eq!(room, ROOM);
        assert_eq!(verifier.handle_confirm(&confirm), Ok(ProvedRoom { room: ROOM, secret: place }));
        for frame in [frame, accept, confirm] {
            assert!(frame.len() <= MAX_PROOF_FRAME);
            assert!(!frame.windows(32).any(|window| window == ROOM.as_bytes() || window == secret));
        }
    }
}

#[test]
fn a_stranger_is_told_nothing_whatever_it_sends() {
    let (_, frame) = Prover::new(context(), ROOM, &[0; 32], &mut Seeded(1));
    assert_eq!(error(open(&context(), &frame, 2)), ProofError::UnknownRoom);
    // The same error, and no frame, where the room does exist here and where it does not.
    let (_, frame) = Prover::new(context(), RoomId([9; 32]), &[0; 32], &mut Seeded(1));
    assert_eq!(error(open(&context(), &frame, 2)), ProofError::UnknownRoom);
}

#[test]
fn an_acceptor_without_the_secret_is_refused() {
    let (prover, frame) = prover(1);
    let (_, accept) = open(&context(), &frame, 2).unwrap();
    let mut wrong = accept.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(error(prover.handle_accept(&wrong)), ProofError::Wrong);
}

#[test]
fn a_replayed_opening_goes_no_further() {
    let (first, frame) = prover(1);
    let (_, accept) = open(&context(), &frame, 2).unwrap();
    let (_, confirm) = first.handle_accept(&accept).unwrap();
    // The same device again, without the secret: the acceptor's nonce is another one.
    let (verifier, _) = open(&context(), &frame, 3).unwrap();
    assert_eq!(verifier.handle_confirm(&confirm), Err(ProofError::Wrong));
}

#[test]
fn a_replayed_answer_is_refused() {
    let (_, frame) = prover(1);
    let (_, accept) = open(&context(), &frame, 2).unwrap();
    let (second, _) = prover(4);
    assert_eq!(error(second.handle_accept(&accept)), ProofError::Wrong);
}

#[test]
fn an_opening_is_for_these_devices_in_these_roles_and_this_stream() {
    let (_, frame) = prover(1);
    let good = context();
    let cases = [
        ProofContext { opener: good.acceptor, acceptor: good.opener, ..good.clone() },
        ProofContext { opener: DeviceId([3; 32]), ..good.clone() },
        ProofContext { acceptor: DeviceId([3; 32]), ..good.clone() },
        ProofContext { stream: "/conclave/live/1", ..good.clone() },
        ProofContext { stream: "/conclave/room/2", ..good.clone() },
    ];
    for case in cases {
        assert_eq!(error(open(&case, &frame, 2)), ProofError::UnknownRoom);
    }
    assert!(open(&good, &frame, 2).is_ok());
}

#[test]
fn a_reflected_frame_is_refused() {
    // A stranger opens a stream back and reflects what the member sends.
    let (member, opening) = prover(1);
    let mirrored = ProofContext { opener: context().acceptor, acceptor: context().opener, stream: context().stream };
    assert_eq!(error(open(&mirrored, &opening, 2)), ProofError::UnknownRoom);
    // The member's own frames, as an answer and as a confirmation.
    assert!(member.handle_accept(&opening).is_err());
    let (verifier, accept) = open(&context(), &opening, 2).unwrap();
    assert!(verifier.handle_confirm(&accept).is_err());
    // The answer's MAC, dressed as a confirmation.
    let (verifier, accept) = open(&context(), &opening, 2).unwrap();
    let mac = &accept[accept.len() - 32..];
    let mut confirm = vec![0xa1, 0x00, 0x58, 0x20];
    confirm.extend_from_slice(mac);
    assert_eq!(verifier.handle_confirm(&confirm), Err(ProofError::Wrong));
}

proptest! {
    #[test]
    fn any_flipped_bit_or_cut_is_refused(bit in 0_usize..4_000, cut in 0_usize..200) {
        let (member, frame) = prover(1);
        let (verifier, accept) = open(&context(), &frame, 2).unwrap();
        let flip = |frame: &[u8]| {
            let mut frame = frame.to_vec();
            let at = bit % (frame.len() * 8);
            frame[at / 8] ^= 1 << (at % 8);
            frame
        };
        let cut = |frame: &[u8]| frame[..cut % frame.len()].to_vec();
        prop_assert!(open(&context(), &flip(&frame), 2).is_err());
        prop_assert!(open(&context(), &cut(&frame), 2).is_err());
        let confirm = member.handle_accept(&accept).unwrap().1;
        prop_assert!(verifier.handle_confirm(&flip(&confirm)).is_err());
        let (member, _) = prover(1);
        prop_assert!(member.handle_accept(&flip(&accept)).is_err());
        let (member, _) = prover(1);
        prop_assert!(member.handle_accept(&cut(&accept)).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&context(), &bytes, 2).is_err());
    }
}
