//! The operations of the ACL log as they travel: found, invite, admit, revoke, change a role, rename, rotate the secret, close an
//! invitation. Reading one
//! must never mean believing it: authority is judged over the whole log.

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, OpHash, RoomId};
use crate::identity::{DeviceKey, MAX_NAME, MemberCard, check_name, verify};
use crate::log::Rejection;
use crate::wire::{self, Signed};

/// Signature label of every operation of the ACL log.
pub const ACL_LABEL: &str = "conclave/acl/1";
/// Longest payload, in bytes.
pub const MAX_ACL_OP: usize = 16 * 1024;
/// Most operations one operation may name as its parents.
pub const MAX_PARENTS: usize = 16;
/// Most uses of one invitation.
pub const MAX_INVITE_USES: u32 = 1000;
/// Most cuts in one revocation; cuts of older incarnations follow from the newer ones, which build on them.
pub const MAX_CUTS: usize = 128;
/// Most devices one rotation seals the secret to; a larger roster takes several operations.
pub const MAX_BOXES: usize = 112;
/// Longest sealed box in an operation, in bytes.
pub const MAX_BOX: usize = 4096;

/// What a member may do. Ordered: a later one may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Sees and hears; writes nothing that lasts.
    #[n(0)]
    Viewer,
    /// Writes.
    #[n(1)]
    Member,
    /// Admits, invites and revokes.
    #[n(2)]
    Admin,
    /// Founded the room.
    #[n(3)]
    Owner,
}

/// Founds the room. Its hash is the room's id.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Create {
    /// Of the room.
    #[n(0)]
    pub name: String,
    /// An admin is asked before anyone is admitted.
    #[n(1)]
    pub approval: bool,
    /// Newcomers read what was written before they came.
    #[n(2)]
    pub full_history: bool,
    /// Who founded it.
    #[n(3)]
    pub founder: MemberCard,
    /// Random, so that two rooms never have one id.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

/// Makes an invitation that its issuer can redeem for others.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invite {
    /// Ed25519 public key of the seed in the link.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// By the issuer's clock, UTC.
    #[n(1)]
    pub expires_ms: u64,
    /// How many it admits; 1 to [`MAX_INVITE_USES`].
    #[n(2)]
    pub uses: u32,
    /// What those it admits may do; never the owner.
    #[n(3)]
    pub role: Role,
    /// An admin is asked first.
    #[n(4)]
    pub approval: bool,
}

/// Admits a device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admit {
    /// Who it is.
    #[n(0)]
    pub card: MemberCard,
    /// What it may do; never the owner.
    #[n(1)]
    pub role: Role,
    /// The invitation this uses up, which must be the admitter's own.
    #[n(2)]
    pub invite: Option<OpHash>,
    /// The room's discovery secrets, sealed to the device: an encoded [`SecretList`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub secrets: Vec<u8>,
}

/// The last operation of an incarnation that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct OpCut {
    /// Of the revoked device.
    #[n(0)]
    pub incarnation: u64,
    /// Up to and with this one.
    #[n(1)]
    pub seq: u64,
    /// Its hash.
    #[n(2)]
    pub hash: OpHash,
}

/// Removes a device; of oneself: leaves.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Revoke {
    /// Who.
    #[n(0)]
    pub device: DeviceId,
    /// What of its op log counts; incarnations that are not named do not.
    #[n(1)]
    pub op_cuts: Vec<OpCut>,
    /// The last of its ACL operations that counts, if one does.
    #[n(2)]
    pub acl_cut: Option<OpHash>,
}

/// Changes what a member may do.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RoleChange {
    /// Whose.
    #[n(0)]
    pub device: DeviceId,
    /// Never the owner.
    #[n(1)]
    pub role: Role,
}

/// Changes the name by which the author is shown.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rename {
    /// See [`check_name`].
    #[n(0)]
    pub name: String,
}

/// The secret for one device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SecretBox {
    /// Who can open it.
    #[n(0)]
    pub device: DeviceId,
    /// 32 bytes, sealed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// A new generation of the room's discovery secret, readable by the roster alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Secret {
    /// At most [`MAX_BOXES`].
    #[n(0)]
    pub boxes: Vec<SecretBox>,
}

/// Closes an invitation: its link lets nobody in any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Close {
    /// Which.
    #[n(0)]
    pub invite: OpHash,
}

/// What the sealed part of an [`Admit`] holds. Never shown.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct SecretList {
    #[n(0)]
    pub(crate) secrets: Vec<KnownSecret>,
}

/// One generation and the operation that brought it.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct KnownSecret {
    #[n(0)]
    pub(crate) op: OpHash,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) secret: [u8; 32],
}

/// What an ACL operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclKind {
    /// The first operation, and only that.
    Create(Create),
    /// By an admin.
    Invite(Invite),
    /// By an admin.
    Admit(Admit),
    /// By an admin, or by the device itself.
    Revoke(Revoke),
    /// By an admin.
    Role(RoleChange),
    /// By the member.
    Rename(Rename),
    /// By an admin.
    Secret(Secret),
    /// By an admin.
    Close(Close),
    /// From a newer version: kept and passed on, without effect here.
    Unknown {
        /// Its number.
        kind: u16,
        /// Opaque.
        body: Vec<u8>,
    },
}

/// One operation of the ACL log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclOp {
    /// Who signed it.
    pub author: DeviceId,
    /// What its author knew: the heads of the log, sorted. Empty in the first alone.
    pub parents: Vec<OpHash>,
    /// By the author's clock, UTC.
    pub time_ms: u64,
    /// What it does.
    pub kind: AclKind,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Payload {
    #[n(0)]
    author: DeviceId,
    #[n(1)]
    parents: Vec<OpHash>,
    #[n(2)]
    time_ms: u64,
    #[n(3)]
    kind: u16,
    #[cbor(n(4), with = "minicbor::bytes")]
    body: Vec<u8>,
}

impl AclOp {
    /// The exact bytes to sign.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match &self.kind {
            AclKind::Create(body) => (0, wire::encode(body)),
            AclKind::Invite(body) => (1, wire::encode(body)),
            AclKind::Admit(body) => (2, wire::encode(body)),
            AclKind::Revoke(body) => (3, wire::encode(body)),
            AclKind::Role(body) => (4, wire::encode(body)),
            AclKind::Rename(body) => (5, wire::encode(body)),
            AclKind::Secret(body) => (6, wire::encode(body)),
            AclKind::Close(body) => (7, wire::encode(body)),
            AclKind::Unknown { kind, body } => (*kind, body.clone()),
        };
        wire::encode(&Payload { author: self.author, parents: self.parents.clone(), time_ms: self.time_ms, kind, body })
    }

    /// Reads a payload and checks all that can be checked without the log. The signature is not looked at.
    pub fn decode(payload: &[u8]) -> Result<Self, MalformedAclOp> {
        let raw: Payload = wire::decode_within(payload, MAX_ACL_OP).map_err(|_| MalformedAclOp)?;
        let body = raw.body.as_slice();
        let kind = match raw.kind {
            0 => AclKind::Create(read(body)?),
            1 => AclKind::Invite(read(body)?),
            2 => AclKind::Admit(read(body)?),
            3 => AclKind::Revoke(read(body)?),
            4 => AclKind::Role(read(body)?),
            5 => AclKind::Rename(read(body)?),
            6 => AclKind::Secret(read(body)?),
            7 => AclKind::Close(read(body)?),
            kind => AclKind::Unknown { kind, body: raw.body },
        };
        let op = Self { author: raw.author, parents: raw.parents, time_ms: raw.time_ms, kind };
        if op.is_sound() { Ok(op) } else { Err(MalformedAclOp) }
    }

    /// Signs it for a room. For the operation that founds the room, `room` is ignored: it is the hash of the payload.
    pub fn sign(&self, key: &DeviceKey, room: &RoomId) -> Signed {
        let payload = self.encode();
        let room = match self.kind {
            AclKind::Create(_) => room_of(&payload),
            _ => *room,
        };
        key.signed(ACL_LABEL, &room, payload)
    }

    /// The device this is about: admitted, revoked or given a role.
    pub fn target(&self) -> Option<DeviceId> {
        match &self.kind {
            AclKind::Create(create) => Some(create.founder.device),
            AclKind::Admit(admit) => Some(admit.card.device),
            AclKind::Revoke(revoke) => Some(revoke.device),
            AclKind::Role(change) => Some(change.device),
            _ => None,
        }
    }

    pub(crate) fn is_leave(&self) -> bool {
        matches!(&self.kind, AclKind::Revoke(revoke) if revoke.device == self.author)
    }

    fn is_sound(&self) -> bool {
        let rooted = matches!(self.kind, AclKind::Create(_)) == self.parents.is_empty();
        if !rooted || self.parents.len() > MAX_PARENTS || !strictly_sorted(&self.parents) {
            return false;
        }
        match &self.kind {
            AclKind::Create(create) => {
                create.founder.device == self.author && check_name(&create.name).is_ok() && create.founder.check().is_ok()
            }
            AclKind::Invite(invite) => (1..=MAX_INVITE_USES).contains(&invite.uses) && invite.role < Role::Owner,
            AclKind::Admit(admit) => {
                admit.role < Role::Owner
                    && admit.secrets.len() <= MAX_BOX
                    && admit.card.device != self.author
                    && admit.card.check().is_ok()
            }
            AclKind::Revoke(revoke) => revoke.op_cuts.len() <= MAX_CUTS && strictly_sorted(&revoke.op_cuts),
            AclKind::Role(change) => change.role < Role::Owner,
            AclKind::Rename(rename) => rename.name.len() <= MAX_NAME && check_name(&rename.name).is_ok(),
            AclKind::Secret(secret) => {
                !secret.boxes.is_empty()
                    && secret.boxes.len() <= MAX_BOXES
                    && secret.boxes.iter().all(|entry| entry.sealed.len() <= MAX_BOX)
            }
            AclKind::Close(_) | AclKind::Unknown { .. } => true,
        }
    }
}

/// An ACL operation that cannot be read or breaks a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operation is malformed")]
pub struct MalformedAclOp;

/// The room that an operation founds.
pub fn room_of(genesis_payload: &[u8]) -> RoomId {
    RoomId(*blake3::hash(genesis_payload).as_bytes())
}

/// Reads an operation and verifies its signature for this room, unless that was done before.
pub(crate) fn open(room: &RoomId, signed: &Signed, verified: bool) -> Result<AclOp, Rejection> {
    let op = AclOp::decode(&signed.payload).map_err(|_| Rejection::Malformed)?;
    if matches!(op.kind, AclKind::Create(_)) && room_of(&signed.payload) != *room {
        return Err(Rejection::Malformed);
    }
    if !verified {
        verify(op.author.as_bytes(), ACL_LABEL, room, &signed.payload, &signed.sig).map_err(|_| Rejection::BadSignature)?;
    }
    Ok(op)
}

/// What a rotated secret is sealed under.
pub(crate) fn secret_context(room: &RoomId) -> Vec<u8> {
    [b"conclave/secret/1".as_slice(), room.as_bytes()].concat()
}

/// What the secrets in an admission are sealed under.
pub(crate) fn admit_context(room: &RoomId, device: &DeviceId) -> Vec<u8> {
    [b"conclave/admit/1".as_slice(), room.as_bytes(), device.as_bytes()].concat()
}

fn read<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Result<T, MalformedAclOp> {
    wire::decode(body).map_err(|_| MalformedAclOp)
}

pub(crate) fn strictly_sorted<T: Ord>(items: &[T]) -> bool {
    items.windows(2).all(|pair| matches!(pair, [a, b] if a < b))
}
