//! What two negotiations say to each other, and what they sign. It never shows the text of a description, which names addresses.

use core::fmt;

use minicbor::{Decode, Encode};

use crate::id::{CallId, DeviceId};
use crate::open_enum::open_enum;

/// SHA-256 of a DER certificate (RFC 8122).
pub type Fingerprint = [u8; 32];

/// Random, one for each attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Nonce(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

/// Which half of an exchange a description is. Also the role that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum DescriptionKind {
    /// Proposes.
    #[n(0)]
    Offer,
    /// Accepts.
    #[n(1)]
    Answer,
}

/// A message between two negotiations.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signal {
    /// The call it belongs to; one of another call is ignored.
    #[n(0)]
    pub call: CallId,
    /// The receiver's nonce; what is meant for an earlier attempt is ignored. Absent in `Hello`.
    #[n(1)]
    pub to: Option<Nonce>,
    /// What it says.
    #[n(2)]
    pub body: SignalBody,
}

open_enum! {
    /// What a [`Signal`] says.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum SignalBody {
        /// Opens an attempt.
        0 => Hello(Hello),
        /// An offer or an answer.
        1 => Description(Description),
        /// One address to try.
        2 => Candidate(Candidate),
        /// No more addresses come for the latest description.
        3 => EndOfCandidates(Empty),
        /// The sender closes the connection.
        4 => Bye(Empty),
    }
}

/// A body with nothing in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Empty {}

/// Opens an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// The sender's, for the receiver to sign.
    #[n(0)]
    pub nonce: Nonce,
    /// The receiver's, as far as the sender knows it. Where it is not the receiver's own, the receiver answers.
    #[n(1)]
    pub yours: Option<Nonce>,
}

/// An offer or an answer, with the signed fingerprint of its certificate.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Description {
    /// Offer or answer.
    #[n(0)]
    pub kind: DescriptionKind,
    /// The offer's number, counted by who offers; an answer repeats it.
    #[n(1)]
    pub number: u32,
    /// At most [`MAX_SDP_LEN`] bytes.
    #[n(2)]
    pub sdp: String,
    /// Of the sender's certificate.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub fingerprint: Fingerprint,
    /// By the sender's device key, over what [`binding`] gives.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub sig: [u8; 64],
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text names addresses.
        f.debug_struct("Description")
            .field("kind", &self.kind)
            .field("number", &self.number)
            .field("bytes", &self.sdp.len())
            .finish()
    }
}

/// One address to try, as trickle ICE gives it (RFC 8838).
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Candidate {
    /// The `candidate:` attribute, at most [`MAX_CANDIDATE_LEN`] bytes.
    #[n(0)]
    pub candidate: String,
    /// Which media section, by name.
    #[n(1)]
    pub mid: Option<String>,
    /// Which media section, by number.
    #[n(2)]
    pub line: Option<u16>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("line", &self.line).field("bytes", &self.candidate.len()).finish()
    }
}

/// The exact bytes that are signed, behind label and room: `call ‖ signer ‖ peer ‖ fingerprint ‖ role ‖ peer's nonce`.
pub fn binding(
    call: CallId,
    signer: DeviceId,
    peer: DeviceId,
    fingerprint: &Fingerprint,
    role: DescriptionKind,
    peer_nonce: Nonce,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + 32 + 32 + 32 + 1 + 16);
    bytes.extend_from_slice(call.as_bytes());
    bytes.extend_from_slice(signer.as_bytes());
    bytes.extend_from_slice(peer.as_bytes());
    bytes.extend_from_slice(fingerprint);
    bytes.push(match role {
        DescriptionKind::Offer => 0,
        DescriptionKind::Answer => 1,
    });
    bytes.extend_from_slice(&peer_nonce.0);
    bytes
}
