//! What a store keeps of a room. It must never hold a secret in the clear, nor anything that others do not hold as well.

use minicbor::{Decode, Encode};

use crate::identity::DeviceListEntry;
use crate::log::op::{EquivocationProof, Op};
use crate::wire::{self, Signed, WireError};

/// One record of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An operation of the ACL log.
    Acl(Signed),
    /// An operation of the op log.
    Op(Signed),
    /// A proof against a member.
    Equivocation(Box<EquivocationProof>),
    /// The newest entry that is known of a member's device list.
    List(Signed),
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    kind: u32,
    #[n(1)]
    signed: Option<Signed>,
    #[n(2)]
    proof: Option<EquivocationProof>,
}

impl Record {
    /// Under which name a store keeps it, within the room: one letter and 32 bytes. The same record always has the same name.
    pub fn key(&self) -> Vec<u8> {
        let (letter, name) = match self {
            Self::Acl(signed) => (b'a', *signed.hash().as_bytes()),
            Self::Op(signed) => (b'o', *signed.hash().as_bytes()),
            Self::Equivocation(proof) => {
                let author = Op::decode(&proof.a.payload).map(|op| *op.id.device.as_bytes());
                (b'e', author.unwrap_or_else(|_| *proof.a.hash().as_bytes()))
            }
            // One for each person: a newer one takes its place.
            Self::List(signed) => {
                let account = DeviceListEntry::verify(signed).map(|entry| *entry.account.as_bytes());
                (b'l', account.unwrap_or_else(|_| *signed.hash().as_bytes()))
            }
        };
        let mut key = vec![letter];
        key.extend_from_slice(&name);
        key
    }

    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let raw = match self.clone() {
            Self::Acl(signed) => Raw { kind: 0, signed: Some(signed), proof: None },
            Self::Op(signed) => Raw { kind: 1, signed: Some(signed), proof: None },
            Self::Equivocation(proof) => Raw { kind: 2, signed: None, proof: Some(*proof) },
            Self::List(signed) => Raw { kind: 3, signed: Some(signed), proof: None },
        };
        wire::encode(&raw)
    }

    /// Reads what [`Record::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: Raw = wire::decode(bytes)?;
        match raw.kind {
            0 => raw.signed.map(Self::Acl),
            1 => raw.signed.map(Self::Op),
            2 => raw.proof.map(|proof| Self::Equivocation(Box::new(proof))),
            3 => raw.signed.map(Self::List),
            _ => None,
        }
        .ok_or(WireError::Malformed)
    }
}
