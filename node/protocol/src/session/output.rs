//! What goes into a session and what comes out of it, beside its messages. It holds no state.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::id::{DeviceId, OpHash, RoomId, SessionId};
use crate::identity::DeviceKey;
use crate::session::message::SessionFrame;

/// What was not taken, and why. Each is counted; none is an error of this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// Cannot be read, or breaks a limit.
    Malformed,
    /// Not signed by whom it names, or sealed under no secret of the room.
    BadSignature,
    /// The sender does not belong to the room.
    NotMember,
    /// What is about one device came from another.
    WrongSender,
    /// Told again.
    Replayed,
    /// More than a peer may send.
    Flood,
    /// About a session that this device has no part in.
    UnknownSession,
    /// A commit or a proposal of someone who is not the writer.
    NotWriter,
    /// A PublicMessage: an external commit or proposal, or one of someone who is no member.
    ExternalCommit,
    /// Cannot be read, not valid, or of another cipher suite.
    BadKeyPackage,
    /// It was used before.
    KeyPackageReused,
    /// Credential, signature key and device are not one.
    ForeignLeaf,
    /// A device with two leaves.
    TwoLeaves,
    /// A group, leaf or KeyPackage with extensions; `external_senders` above all.
    Extensions,
    /// Of another kind than Add, Remove and Update.
    ForbiddenProposal,
    /// A Welcome for somebody else, or one that was not asked for.
    WelcomeNotForMe,
    /// Of an epoch that is over.
    OldEpoch,
    /// Does not decrypt: truncated, forged, told again, or not for this device.
    Undecryptable,
    /// The ACL heads it names did not become known in time.
    AclUnknown,
    /// The ACL heads it names do not admit someone in the roster, or are older than those before.
    NotAdmitted,
    /// The writer's statement and the epoch do not agree.
    Contradiction,
    /// A bounded queue was full.
    QueueFull,
    /// Of a kind that is not known here.
    Unknown,
}

/// Why a payload cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than [`crate::session::message::MAX_PAYLOAD`].
    #[error("the payload is longer than a message can be")]
    TooLong,
    /// So many wait for a session, or for the removal of someone, that no more are kept.
    #[error("too much waits for the session")]
    Full,
    /// This device does not belong to the room.
    #[error("this device is not a member of the room")]
    NotMember,
}

/// What became of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was encrypted to this epoch.
    Now {
        /// Of which session.
        session: SessionId,
        /// Which.
        epoch: u64,
    },
    /// It waits for a session or for the removal of someone, at most 5 s.
    Queued,
}

/// An exporter secret that is wanted of every epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// See RFC 9420, 8.5.
    pub label: &'static str,
    /// See RFC 9420, 8.5.
    pub context: Vec<u8>,
    /// In bytes.
    pub length: usize,
}

/// What a session is of.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Of which room.
    pub room: RoomId,
    /// This device.
    pub device: Arc<DeviceKey>,
    /// Exporter secrets that are kept with every epoch, as long as it is accepted. Those of the current epoch can be had by
    /// [`super::Session::exporter`] whatever they are.
    pub exports: Vec<Export>,
}

/// Rules that a test takes away to see that they are needed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub gate: bool,
    pub fetch: bool,
    pub acl_check: bool,
    pub relay: bool,
    /// This device, where it writes, adds and keeps whom it should not.
    pub accomplice: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { gate: true, fetch: true, acl_check: true, relay: true, accomplice: false }
    }
}

/// Where this device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In no session.
    Idle,
    /// Asking a writer, from no session or from one that is to be left.
    Joining,
    /// In a session of another writer.
    Member,
    /// In the session it writes.
    Writer,
}

/// An epoch that this device has the keys of.
#[derive(Clone)]
pub struct Epoch {
    /// Of which session.
    pub session: SessionId,
    /// Its number.
    pub epoch: u64,
    /// Who makes the epochs of the session.
    pub writer: DeviceId,
    /// Every member by leaf, which is the index of a sender of media.
    pub roster: BTreeMap<u32, DeviceId>,
    /// RFC 9420, 8.7: what the call code is made of.
    pub authenticator: Zeroizing<Vec<u8>>,
    /// In the order of [`SessionConfig::exports`].
    pub exports: Vec<Zeroizing<Vec<u8>>>,
    /// When media are to be sent under it: 500 ms after an add, or as soon as all are heard in it. What comes under it is taken at
    /// once.
    pub send_from: Duration,
    /// Until when what comes under it is taken; `None` for the current one.
    pub accept_until: Option<Duration>,
}

impl core::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Epoch")
            .field("session", &self.session)
            .field("epoch", &self.epoch)
            .field("size", &self.roster.len())
            .field("accept_until", &self.accept_until)
            .finish()
    }
}

/// What a [`super::Session`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOutput {
    /// Send this to these members; who has no live stream is left out.
    Send {
        /// Whom; never empty.
        to: Vec<DeviceId>,
        /// What.
        frame: Box<SessionFrame>,
    },
    /// A member names operations of the ACL log that are not here: ask for them over the room stream with it, then call
    /// [`super::Session::handle_acl_changed`]. May come again.
    FetchAcl {
        /// Who has them.
        from: DeviceId,
        /// Which.
        heads: Vec<OpHash>,
    },
    /// A payload that a member sent.
    Received {
        /// The device of the leaf that signed it.
        from: DeviceId,
        /// What.
        payload: Vec<u8>,
    },
    /// Another epoch is current; it is the last of [`super::Session::epochs`].
    EpochChanged {
        /// Of which session.
        session: SessionId,
        /// Its number.
        epoch: u64,
        /// Added with this epoch; also who was in the roster before and begins anew.
        joined: Vec<DeviceId>,
        /// In the roster before and not in this one.
        left: Vec<DeviceId>,
    },
    /// Everyone in the roster is heard in the current epoch: its [`Epoch::send_from`] has come early.
    EpochReady {
        /// Of which session.
        session: SessionId,
        /// Its number.
        epoch: u64,
    },
    /// An epoch is not accepted any more: its keys are to be forgotten.
    EpochOver {
        /// Of which session.
        session: SessionId,
        /// Its number.
        epoch: u64,
    },
    /// A device does not belong to the room any more: close its media, file and history transports at once.
    Cut(DeviceId),
    /// A payload that waited was given up.
    Unsent {
        /// How many.
        payloads: usize,
    },
    /// This device is in no session any more.
    Ended,
}
