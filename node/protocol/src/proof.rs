//! The proof with which every stream of a room opens: both ends know a discovery secret of one room. It must never tell a stranger
//! which rooms exist here: whoever cannot prove membership sees the stream close, and nothing else, in every case.
//!
//! ```text
//! opener   → Open    { nonce_o, tag = MAC(secret, "tag" ‖ stream ‖ opener ‖ acceptor ‖ nonce_o)[..16] }
//! acceptor → Accept  { nonce_a, MAC(secret, "accept" ‖ the same ‖ nonce_a) }
//! opener   → Confirm { MAC(secret, "confirm" ‖ the same ‖ nonce_a) }
//! ```
//!
//! MAC is keyed BLAKE3. The tag names the room only to those who know the secret, and differs in every stream. All three are bound to
//! the name of the stream and to both devices in their roles, so none can be replayed, reflected or passed on. That a device belongs to
//! the room *now* is for the log to say: someone who was removed still knows old secrets.

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::id::{DeviceId, RoomId};
use crate::wire::{self, WireError};

/// Longest frame of the proof, in bytes.
pub const MAX_PROOF_FRAME: usize = 256;

/// Why a stream is to be closed. Never told to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a frame of the proof.
    #[error("not a room proof: {0}")]
    Wire(#[from] WireError),
    /// No room here has a secret that made this tag.
    #[error("the proof is for no room of this device")]
    UnknownRoom,
    /// The other side does not know the secret, or it is not the one the proof was made for.
    #[error("the room proof is wrong")]
    Wrong,
}

/// What both ends are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofContext {
    /// The name of the stream, such as `/conclave/room/1`; at most 255 bytes count.
    pub stream: &'static str,
    /// The device that opened the stream.
    pub opener: DeviceId,
    /// The device that accepted it.
    pub acceptor: DeviceId,
}

/// The room that a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvedRoom {
    /// Which room.
    pub room: RoomId,
    /// Which of the secrets given for this room served, counted as the caller gave them.
    pub secret: usize,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Open {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    tag: [u8; 16],
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Accept {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    mac: [u8; 32],
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Confirm {
    #[cbor(n(0), with = "minicbor::bytes")]
    mac: [u8; 32],
}

/// The side that opened the stream.
pub struct Prover {
    context: ProofContext,
    room: RoomId,
    secret: zeroize::Zeroizing<[u8; 32]>,
    nonce: [u8; 32],
}

impl Prover {
    /// Begins with the newest secret of the room. Gives the first frame to send.
    pub fn new(context: ProofContext, room: RoomId, secret: &[u8; 32], rng: &mut impl CryptoRng) -> (Self, Vec<u8>) {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let tag = tag(secret, &context, &nonce);
        let prover = Self { context, room, secret: zeroize::Zeroizing::new(*secret), nonce };
        (prover, wire::encode(&Open { nonce, tag }))
    }

    /// Takes the answer. The stream is of the room once the frame that this gives is sent.
    pub fn handle_accept(self, frame: &[u8]) -> Result<(RoomId, Vec<u8>), ProofError> {
        let accept: Accept = wire::decode_within(frame, MAX_PROOF_FRAME)?;
        let transcript = transcript(&self.context, &self.nonce, Some(&accept.nonce));
        if mac(&self.secret, ACCEPT, &transcript) != blake3::Hash::from_bytes(accept.mac) {
            return Err(ProofError::Wrong);
        }
        let mac = *mac(&self.secret, CONFIRM, &transcript).as_bytes();
        Ok((self.room, wire::encode(&Confirm { mac })))
    }
}

/// The side that accepted the stream.
pub struct Verifier {
    proved: ProvedRoom,
    expected: blake3::Hash,
}

impl Verifier {
    /// Takes the first frame, and looks for its room among the secrets of all rooms here: grouped by room, at most the last 16 generations of each, in
    /// any order. Gives the frame to send. On an error close the stream, without a word.
    pub fn handle_open<'a>(
        context: &ProofContext,
        frame: &[u8],
        secrets: impl IntoIterator<Item = (RoomId, &'a [u8; 32])>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>), ProofError> {
        let open: Open = wire::decode_within(frame, MAX_PROOF_FRAME)?;
        let mut found = None;
        let mut place: (Option<RoomId>, usize) = (None, 0);
        // All are tried in any case, so that the time taken does not tell which room it was.
        for (room, secret) in secrets {
            place = if place.0 == Some(room) { (place.0, place.1 + 1) } else { (Some(room), 0) };
            if equal(&tag(secret, context, &open.nonce), &open.tag) && found.is_none() {
                found = Some((ProvedRoom { room, secret: place.1 }, secret));
            }
        }
        let (proved, secret) = found.ok_or(ProofError::UnknownRoom)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let transcript = transcript(context, &open.nonce, Some(&nonce));
        let accept = Accept { nonce, mac: *mac(secret, ACCEPT, &transcript).as_bytes() };
        let verifier = Self { proved, expected: mac(secret, CONFIRM, &transcript) };
        Ok((verifier, wire::encode(&accept)))
    }

    /// Takes the last frame. The stream is of this room now.
    pub fn handle_confirm(self, frame: &[u8]) -> Result<ProvedRoom, ProofError> {
        let confirm: Confirm = wire::decode_within(frame, MAX_PROOF_FRAME)?;
        if self.expected == blake3::Hash::from_bytes(confirm.mac) { Ok(self.proved) } else { Err(ProofError::Wrong) }
    }
}

const TAG: &[u8] = b"conclave/room-tag/1";
const ACCEPT: &[u8] = b"conclave/room-accept/1";
const CONFIRM: &[u8] = b"conclave/room-confirm/1";

fn tag(secret: &[u8; 32], context: &ProofContext, nonce: &[u8; 32]) -> [u8; 16] {
    let full = mac(secret, TAG, &transcript(context, nonce, None));
    let mut tag = [0; 16];
    tag.iter_mut().zip(full.as_bytes()).for_each(|(short, byte)| *short = *byte);
    tag
}

/// Every part has a fixed length but the name of the stream, whose length goes before it.
fn transcript(context: &ProofContext, opener_nonce: &[u8; 32], acceptor_nonce: Option<&[u8; 32]>) -> Vec<u8> {
    let name = context.stream.as_bytes();
    let mut bytes = Vec::with_capacity(1 + name.len() + 4 * 32);
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(context.opener.as_bytes());
    bytes.extend_from_slice(context.acceptor.as_bytes());
    bytes.extend_from_slice(opener_nonce);
    if let Some(nonce) = acceptor_nonce {
        bytes.extend_from_slice(nonce);
    }
    bytes
}

/// `label` is one of three of different lengths, none the beginning of another with what may follow. Comparing two hashes takes the
/// same time whatever they are.
fn mac(secret: &[u8; 32], label: &[u8], transcript: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(label);
    hasher.update(&[0]);
    hasher.update(transcript);
    hasher.finalize()
}

/// In the same time whatever they are.
fn equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
