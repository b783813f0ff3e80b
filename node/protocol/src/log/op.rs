//! The operations of the op log as they travel: chained by author, linked to what they build on, padded. Reading one must never mean
//! believing it.

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, OpHash, OpId, RoomId};
use crate::identity::{DeviceKey, verify};
use crate::log::acl::{MAX_PARENTS, strictly_sorted};
use crate::wire::{self, MAX_SIGNED_PAYLOAD, Signed};

/// Signature label of every operation of the op log.
pub const OP_LABEL: &str = "conclave/op/1";
/// Longest payload, padding included, in bytes.
pub const MAX_OP: usize = MAX_SIGNED_PAYLOAD;
/// Payloads are padded to a multiple of this many bytes.
pub const OP_PADDING: usize = 256;
/// Longest body, in bytes.
pub const MAX_OP_BODY: usize = 60 * 1024;
/// Most operations of others that one operation names as what it builds on.
pub const MAX_DEPS: usize = 8;
/// Body kinds below this number belong to the chat.
pub const FIRST_KIND_BEYOND_CHAT: u32 = 100;

/// One operation of the op log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Author, start of the author, number.
    pub id: OpId,
    /// The author's operation before it in the same incarnation; absent in the first alone.
    pub prev: Option<OpHash>,
    /// The heads of the ACL log that its author knew, sorted.
    pub acl_heads: Vec<OpHash>,
    /// The newest operations of others (and of the author's earlier incarnations) that it builds on, sorted.
    pub deps: Vec<OpHash>,
    /// One more than the highest of what it builds on.
    pub lamport: u64,
    /// By the author's clock, UTC; never falls within an incarnation.
    pub time_ms: u64,
    /// What the body is.
    pub kind: u32,
    /// Opaque to the log.
    pub body: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Payload {
    #[n(0)]
    id: OpId,
    #[n(1)]
    prev: Option<OpHash>,
    #[n(2)]
    acl_heads: Vec<OpHash>,
    #[n(3)]
    deps: Vec<OpHash>,
    #[n(4)]
    lamport: u64,
    #[n(5)]
    time_ms: u64,
    #[n(6)]
    kind: u32,
    #[cbor(n(7), with = "minicbor::bytes")]
    body: Vec<u8>,
    #[cbor(n(8), with = "minicbor::bytes")]
    pad: Vec<u8>,
}

/// An operation that cannot be read or breaks a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operation is malformed")]
pub struct MalformedOp;

impl Op {
    /// The exact bytes to sign: a multiple of [`OP_PADDING`].
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Payload {
            id: self.id,
            prev: self.prev,
            acl_heads: self.acl_heads.clone(),
            deps: self.deps.clone(),
            lamport: self.lamport,
            time_ms: self.time_ms,
            kind: self.kind,
            body: self.body.clone(),
            pad: Vec::new(),
        };
        let bare = wire::encode(&payload).len();
        let mut length = bare.next_multiple_of(OP_PADDING);
        loop {
            // The length of the padding takes one to three bytes itself, so the first guess may be off.
            for pad in (0..=length - bare).rev().take(4) {
                payload.pad = vec![0; pad];
                let bytes = wire::encode(&payload);
                if bytes.len() == length {
                    return bytes;
                }
            }
            length += OP_PADDING;
        }
    }

    /// Reads a payload and checks all that can be checked without the log. The signature is not looked at.
    pub fn decode(payload: &[u8]) -> Result<Self, MalformedOp> {
        if !payload.len().is_multiple_of(OP_PADDING) {
            return Err(MalformedOp);
        }
        let raw: Payload = wire::decode_within(payload, MAX_OP).map_err(|_| MalformedOp)?;
        let op = Self {
            id: raw.id,
            prev: raw.prev,
            acl_heads: raw.acl_heads,
            deps: raw.deps,
            lamport: raw.lamport,
            time_ms: raw.time_ms,
            kind: raw.kind,
            body: raw.body,
        };
        if op.is_sound() { Ok(op) } else { Err(MalformedOp) }
    }

    /// Signs it for a room.
    pub fn sign(&self, key: &DeviceKey, room: &RoomId) -> Signed {
        key.signed(OP_LABEL, room, self.encode())
    }

    fn is_sound(&self) -> bool {
        self.id.seq >= 1
            && (self.id.seq == 1) == self.prev.is_none()
            && !self.acl_heads.is_empty()
            && self.acl_heads.len() <= MAX_PARENTS
            && strictly_sorted(&self.acl_heads)
            && self.deps.len() <= MAX_DEPS
            && strictly_sorted(&self.deps)
            && self.prev.is_none_or(|prev| !self.deps.contains(&prev))
            && self.lamport >= 1
            && self.lamport < u64::MAX / 2
            && self.body.len() <= MAX_OP_BODY
    }
}

/// Two operations of one author with one id: whoever signed both is frozen wherever this is known.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EquivocationProof {
    /// The one with the smaller hash.
    #[n(0)]
    pub a: Signed,
    /// The other.
    #[n(1)]
    pub b: Signed,
}

impl EquivocationProof {
    /// Orders the two, so that everyone makes the same proof of the same pair.
    pub fn new(one: Signed, other: Signed) -> Self {
        if one.hash() <= other.hash() { Self { a: one, b: other } } else { Self { a: other, b: one } }
    }

    /// Whom it convicts, if both are signed by one device for this room, under one id, and differ.
    pub fn verify(&self, room: &RoomId) -> Result<DeviceId, MalformedOp> {
        let a = Op::decode(&self.a.payload)?;
        let b = Op::decode(&self.b.payload)?;
        if a.id != b.id || self.a.payload == self.b.payload {
            return Err(MalformedOp);
        }
        for signed in [&self.a, &self.b] {
            verify(a.id.device.as_bytes(), OP_LABEL, room, &signed.payload, &signed.sig).map_err(|_| MalformedOp)?;
        }
        Ok(a.id.device)
    }
}
