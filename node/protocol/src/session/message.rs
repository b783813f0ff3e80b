//! What members of a session say to each other, and its limits. Reading a message never means believing it: only the machine knows
//! which epoch, writer and heads count.

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, OpHash, RoomId, SessionId};
use crate::identity::{BadSignature, DeviceKey, verify};
use crate::log::acl::MAX_PARENTS;
use crate::open_enum::open_enum;
use crate::wire::{self, Signed, WireError};

/// Signature label of a [`Presence`].
pub const PRESENCE_LABEL: &str = "conclave/session-presence/1";
/// Signature label of a [`JoinReq`].
pub const JOIN_LABEL: &str = "conclave/session-join/1";
/// Signature label of a [`Statement`].
pub const EPOCH_LABEL: &str = "conclave/session-epoch/1";

/// Longest frame of a session, in bytes: a live frame has room for it.
pub const MAX_SESSION_FRAME: usize = 62 * 1024;
/// Longest signed part of a presence, in bytes.
pub const MAX_PRESENCE: usize = 2 * 1024;
/// Longest signed part of a JoinReq, in bytes.
pub const MAX_JOIN_REQ: usize = 2 * 1024;
/// Longest signed part of a statement, in bytes.
pub const MAX_STATEMENT: usize = 1024;
/// Longest MLS commit, in bytes.
pub const MAX_COMMIT: usize = 56 * 1024;
/// Longest MLS Welcome, in bytes.
pub const MAX_WELCOME: usize = 60 * 1024;
/// Longest payload of an application message, in bytes.
pub const MAX_PAYLOAD: usize = 48 * 1024;
/// Longest MLS application message, in bytes.
pub const MAX_APP: usize = MAX_PAYLOAD + 1024;
/// Longest MLS Update proposal, in bytes.
pub const MAX_UPDATE: usize = 1024;
/// Most members of a session. A writer adds nobody beyond.
pub const MAX_ROSTER: usize = 128;

const ID_CONTEXT: &str = "conclave 2026 session id v1";
const AUTHENTICATOR_CONTEXT: &str = "conclave 2026 session authenticator v1";

open_enum! {
    /// What travels between members.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum SessionFrame {
        /// In which session and epoch the sender is.
        0 => Presence(SealedPresence),
        /// Someone asks to be added. Passed on towards the writer.
        1 => JoinReq(SignedJoinReq),
        /// The next epoch. From the writer, or from any member to whoever fetches it.
        2 => Commit(CommitFrame),
        /// The session for someone who was added. Passed on towards them.
        3 => Welcome(WelcomeFrame),
        /// Asks for commits.
        4 => Fetch(Fetch),
        /// An application message.
        5 => App(AppFrame),
        /// What a writer signed of an epoch.
        6 => Evidence(Evidence),
        /// A new leaf key, when the writer collects them.
        7 => Update(UpdateFrame),
        /// The sender goes.
        8 => Leave(Leave),
    }
}

impl SessionFrame {
    /// Reads a frame and checks every limit that can be checked without a session.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let frame: Self = wire::decode_within(bytes, MAX_SESSION_FRAME)?;
        frame.check()?;
        Ok(frame)
    }

    /// As it travels.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Every part is within its limit. For a frame that came inside another message.
    pub fn check(&self) -> Result<(), WireError> {
        let fits = match self {
            Self::Presence(sealed) => sealed.sealed.len() <= MAX_PRESENCE + 256,
            Self::JoinReq(req) => req.signed.payload.len() <= MAX_JOIN_REQ,
            Self::Commit(commit) => {
                commit.statement.payload.len() <= MAX_STATEMENT
                    && commit.mls.len() <= MAX_COMMIT
                    && commit.updates.len() <= MAX_ROSTER
                    && commit.updates.iter().all(|update| update.len() <= MAX_UPDATE)
            }
            Self::Welcome(welcome) => welcome.statement.payload.len() <= MAX_STATEMENT && welcome.mls.len() <= MAX_WELCOME,
            Self::App(app) => app.mls.len() <= MAX_APP,
            Self::Evidence(evidence) => {
                (1..=2).contains(&evidence.claims.len())
                    && evidence.claims.iter().all(|claim| claim.signed.payload.len() <= MAX_PRESENCE)
            }
            Self::Update(update) => update.mls.len() <= MAX_UPDATE,
            Self::Fetch(_) | Self::Leave(_) | Self::Unknown(_) => true,
        };
        if fits { Ok(()) } else { Err(WireError::TooLong) }
    }
}

/// A [`Presence`], signed and sealed under the room's discovery key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedPresence {
    /// Nonce (24 bytes), ciphertext, tag (16 bytes): see [`crate::session::beacon`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// In which session and epoch a device is; said every second and at every change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Presence {
    /// Who says it.
    #[n(0)]
    pub device: DeviceId,
    /// Who made the session.
    #[n(1)]
    pub writer: DeviceId,
    /// What the writer drew for it. With the room and the writer it gives the session's id, which is not repeated.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub random: [u8; 32],
    /// Of the MLS group.
    #[n(3)]
    pub epoch: u64,
    /// See [`authenticator`].
    #[cbor(n(4), with = "minicbor::bytes")]
    pub authenticator: [u8; 32],
    /// Members of the session.
    #[n(5)]
    pub size: u32,
    /// What of the ACL log is known, at most [`MAX_PARENTS`] hashes.
    #[n(6)]
    pub acl_heads: Vec<OpHash>,
    /// Grows with each presence of one session and epoch.
    #[n(7)]
    pub counter: u64,
    /// A bit for each leaf whose presence in this very epoch came from the device itself in the last 2.5 s, the lowest bit of the first
    /// byte for leaf 0; the speaker's own is set.
    /// So nobody is taken for gone who is only out of the writer's reach.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub heard: Vec<u8>,
    /// Said by a writer that collects Update proposals for its next commit.
    #[n(9)]
    pub collecting: Option<bool>,
}

impl Presence {
    /// The session it is about.
    pub fn session(&self, room: &RoomId) -> SessionId {
        session_id(room, &self.writer, &self.random)
    }

    fn is_sound(&self) -> bool {
        self.acl_heads.len() <= MAX_PARENTS && self.heard.len() <= MAX_ROSTER * 2 / 8 && self.size >= 1
    }
}

/// Asks the writer of a session to be added to it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinReq {
    /// Who asks.
    #[n(0)]
    pub device: DeviceId,
    /// For which session: it is worth nothing in another.
    #[n(1)]
    pub session: SessionId,
    /// Grows with each request of a device.
    #[n(2)]
    pub counter: u64,
    /// An MLS KeyPackage (RFC 9420, 10), used once.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub key_package: Vec<u8>,
}

/// A [`JoinReq`] as it is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedJoinReq {
    /// The payload is a [`JoinReq`].
    #[n(0)]
    pub signed: Signed,
}

/// What a writer says of an epoch that it made. Two of one session and epoch with different authenticators prove that it lies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statement {
    /// Who made the session, and signs this.
    #[n(0)]
    pub writer: DeviceId,
    /// What the writer drew for it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub random: [u8; 32],
    /// The epoch that begins.
    #[n(2)]
    pub epoch: u64,
    /// Of that epoch.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub authenticator: [u8; 32],
    /// What of the ACL log its roster is to be judged by, at most [`MAX_PARENTS`] hashes.
    #[n(4)]
    pub acl_heads: Vec<OpHash>,
    /// BLAKE3 of the MLS commit; absent in epoch 0.
    #[n(5)]
    pub commit: Option<OpHash>,
    /// BLAKE3 of the MLS Welcome, where someone was added.
    #[n(6)]
    pub welcome: Option<OpHash>,
}

impl Statement {
    /// The session it is about.
    pub fn session(&self, room: &RoomId) -> SessionId {
        session_id(room, &self.writer, &self.random)
    }
}

/// The commit that leads to an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitFrame {
    /// The payload is a [`Statement`] of the epoch that begins.
    #[n(0)]
    pub statement: Signed,
    /// An MLSMessage with a PrivateMessage.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub mls: Vec<u8>,
    /// The members' Update proposals to which the commit refers, each an MLSMessage with a PrivateMessage.
    #[n(2)]
    pub updates: Vec<minicbor::bytes::ByteVec>,
}

/// The session for someone who was added.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WelcomeFrame {
    /// For whom.
    #[n(0)]
    pub to: DeviceId,
    /// The payload is a [`Statement`] of the epoch that begins.
    #[n(1)]
    pub statement: Signed,
    /// An MLSMessage with a Welcome, the ratchet tree in it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub mls: Vec<u8>,
}

/// Asks for the commit that leads to an epoch, and those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fetch {
    /// Of which session.
    #[n(0)]
    pub session: SessionId,
    /// The first epoch that is missing.
    #[n(1)]
    pub epoch: u64,
}

/// An application message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AppFrame {
    /// Of which session.
    #[n(0)]
    pub session: SessionId,
    /// An MLSMessage with a PrivateMessage.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub mls: Vec<u8>,
}

/// One thing that a writer signed of an epoch; or two that contradict each other, which is a proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Evidence {
    /// One or two.
    #[n(0)]
    pub claims: Vec<Claim>,
}

/// Something signed that names an epoch and its authenticator.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Claim {
    /// The payload is a [`Presence`] of the writer rather than a [`Statement`].
    #[n(0)]
    pub presence: bool,
    /// By the writer.
    #[n(1)]
    pub signed: Signed,
}

/// A new leaf key of the sender, for the writer alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UpdateFrame {
    /// Of which session.
    #[n(0)]
    pub session: SessionId,
    /// An MLSMessage with a PrivateMessage: an Update proposal.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub mls: Vec<u8>,
}

/// The sender leaves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Leave {
    /// Which.
    #[n(0)]
    pub session: SessionId,
}

/// Why something signed is not what it is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It cannot be read, or breaks a limit.
    #[error("the message cannot be read: {0}")]
    Wire(#[from] WireError),
    /// Not signed by whom it names.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl Presence {
    /// Signs it.
    pub fn sign(&self, key: &DeviceKey, room: &RoomId) -> Signed {
        key.signed(PRESENCE_LABEL, room, wire::encode(self))
    }

    /// Reads it without looking at the signature.
    pub fn read(signed: &Signed) -> Result<Self, WireError> {
        let presence: Self = wire::decode_within(&signed.payload, MAX_PRESENCE)?;
        if presence.is_sound() { Ok(presence) } else { Err(WireError::TooLong) }
    }

    /// Reads and verifies it.
    pub fn open(signed: &Signed, room: &RoomId) -> Result<Self, ClaimError> {
        let presence = Self::read(signed)?;
        verify(presence.device.as_bytes(), PRESENCE_LABEL, room, &signed.payload, &signed.sig)?;
        Ok(presence)
    }
}

impl JoinReq {
    /// Signs it.
    pub fn sign(&self, key: &DeviceKey, room: &RoomId) -> SignedJoinReq {
        SignedJoinReq { signed: key.signed(JOIN_LABEL, room, wire::encode(self)) }
    }

    /// Reads and verifies it. The KeyPackage is not looked at.
    pub fn open(req: &SignedJoinReq, room: &RoomId) -> Result<Self, ClaimError> {
        let signed = &req.signed;
        let req: Self = wire::decode_within(&signed.payload, MAX_JOIN_REQ)?;
        verify(req.device.as_bytes(), JOIN_LABEL, room, &signed.payload, &signed.sig)?;
        Ok(req)
    }
}

impl Statement {
    /// Signs it.
    pub fn sign(&self, key: &DeviceKey, room: &RoomId) -> Signed {
        key.signed(EPOCH_LABEL, room, wire::encode(self))
    }

    /// Reads and verifies it.
    pub fn open(signed: &Signed, room: &RoomId) -> Result<Self, ClaimError> {
        let statement: Self = wire::decode_within(&signed.payload, MAX_STATEMENT)?;
        if statement.acl_heads.len() > MAX_PARENTS {
            return Err(WireError::TooLong.into());
        }
        verify(statement.writer.as_bytes(), EPOCH_LABEL, room, &signed.payload, &signed.sig)?;
        Ok(statement)
    }
}

/// What a claim says, once its signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Who signed it: the writer of the session.
    pub writer: DeviceId,
    /// Of which session.
    pub session: SessionId,
    /// Of which epoch.
    pub epoch: u64,
    /// What it says of it.
    pub authenticator: [u8; 32],
}

impl Claim {
    /// Reads and verifies it. A presence counts only where the writer itself signed it.
    pub fn open(&self, room: &RoomId) -> Result<Claimed, ClaimError> {
        if self.presence {
            let presence = Presence::open(&self.signed, room)?;
            if presence.device != presence.writer {
                return Err(BadSignature.into());
            }
            let session = presence.session(room);
            let Presence { writer, epoch, authenticator, .. } = presence;
            Ok(Claimed { writer, session, epoch, authenticator })
        } else {
            let statement = Statement::open(&self.signed, room)?;
            let session = statement.session(room);
            let Statement { writer, epoch, authenticator, .. } = statement;
            Ok(Claimed { writer, session, epoch, authenticator })
        }
    }
}

/// `BLAKE3 derive_key("conclave 2026 session id v1", room ‖ writer ‖ random)`.
pub fn session_id(room: &RoomId, writer: &DeviceId, random: &[u8; 32]) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    hasher.update(room.as_bytes()).update(writer.as_bytes()).update(random);
    SessionId(*hasher.finalize().as_bytes())
}

/// What of an epoch is shown: `BLAKE3 derive_key("conclave 2026 session authenticator v1", epoch_authenticator)` (RFC 9420, 8.7).
pub fn authenticator(epoch_authenticator: &[u8]) -> [u8; 32] {
    blake3::derive_key(AUTHENTICATOR_CONTEXT, epoch_authenticator)
}

/// BLAKE3 of an MLS message, as a statement names it.
pub(crate) fn hash(mls: &[u8]) -> OpHash {
    OpHash(*blake3::hash(mls).as_bytes())
}
