//! Knocking at a room with an invitation, and answering. A stranger must never learn from an answer that a room exists, unless it holds
//! the secret of an invitation to it.
//!
//! ```text
//! door    → Challenge { commitment to a nonce }
//! knocker → Knock     { room, invitation, card, both devices, commitment, nonce } signed by the invitation's key
//! door    → Waiting   { the nonce }            an admin is asked; both screens show one code of eight digits
//!         → Admitted  { operations of the ACL log } in batches, or Refused { code }
//! ```
//!
//! The door is bound to its nonce before it sees the knocker's, and reveals it after: whoever stands in between cannot choose a nonce
//! that makes the codes of its two conversations equal, but has to be lucky once in a hundred million.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::id::{DeviceId, RoomId};
use crate::identity::{self, MemberCard};
use crate::link::Link;
use crate::open_enum::open_enum;
use crate::room::Refusal;
use crate::wire::{self, Signed};

mod doorkeeper;

pub use doorkeeper::{Doorkeeper, DoorkeeperOutput, MAX_PENDING, Rooms, SessionId};

/// Signature label of a knock.
pub const KNOCK_LABEL: &str = "conclave/knock/1";
/// Longest frame of a knocker, in bytes.
pub const MAX_KNOCK_FRAME: usize = 16 * 1024;
/// Longest frame of a door, in bytes.
pub const MAX_DOOR_FRAME: usize = 256 * 1024;
/// How long either side waits for the other's next word, where no person is asked.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes and operations of an ACL log that a knocker takes.
const MAX_ADMITTED_BYTES: usize = 64 << 20;
const MAX_ADMITTED_OPS: usize = 10_000;
const VERSION: u32 = 1;
const COMMITMENT_CONTEXT: &str = "conclave 2026 knock commitment v1";
const CODE_CONTEXT: &str = "conclave 2026 knock code v1";

open_enum! {
    /// What a knocker says.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum KnockMessage {
        /// Asks to be let in.
        0 => Knock(SignedKnock),
    }
}

open_enum! {
    /// What a door says.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum DoorMessage {
        /// Opens the conversation.
        0 => Challenge(Challenge),
        /// An admin is asked.
        1 => Waiting(Waiting),
        /// Let in.
        2 => Admitted(Admitted),
        /// Not let in.
        3 => Refused(Refused),
    }
}

/// The encoded [`Knock`] and its signature by the invitation's key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedKnock {
    /// The payload is a [`Knock`].
    #[n(0)]
    pub signed: Signed,
}

/// Asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Knock {
    /// 1.
    #[n(0)]
    pub version: u32,
    /// Which room.
    #[n(1)]
    pub room: RoomId,
    /// The public half of the invitation's seed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub invite: [u8; 32],
    /// Who asks.
    #[n(3)]
    pub card: MemberCard,
    /// The device that answers.
    #[n(4)]
    pub door: DeviceId,
    /// As the challenge gave it.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub commitment: [u8; 32],
    /// The knocker's part of the code.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
}

/// Opens the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    /// The newest version the door speaks.
    #[n(0)]
    pub version: u32,
    /// Of the door's nonce.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub commitment: [u8; 32],
}

/// An admin is asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Waiting {
    /// The door's part of the code.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
}

/// Let in: a part of the room's ACL log, parents first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admitted {
    /// Operations of the ACL log.
    #[n(0)]
    pub ops: Vec<Signed>,
    /// No more follow.
    #[n(1)]
    pub last: bool,
}

/// Not let in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// See [`RefusalCode::number`].
    #[n(0)]
    pub code: u32,
}

/// Why someone is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// No such room or invitation is known here, or the knock is not signed with its key. Someone else may know it.
    Unknown,
    /// Past its time, by the clock of who made it.
    Expired,
    /// It has admitted as many as it may.
    UsedUp,
    /// It was revoked: by the removal of anyone, or because its maker is no admin any more.
    Revoked,
    /// An admin said no.
    Refused,
    /// Another version is spoken here.
    Version,
    /// Too many knock here, or this device too often. Try again in a minute.
    Busy,
    /// This member cannot admit anyone. Someone else may.
    NotAnAdmin,
    /// The knock cannot be read, contradicts itself or is not for this conversation.
    Damaged,
    /// A reason of a newer version.
    Other(u32),
}

impl RefusalCode {
    /// As it travels.
    pub fn number(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Expired => 1,
            Self::UsedUp => 2,
            Self::Revoked => 3,
            Self::Refused => 4,
            Self::Version => 5,
            Self::Busy => 6,
            Self::NotAnAdmin => 7,
            Self::Damaged => 8,
            Self::Other(number) => number,
        }
    }

    /// As it came.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::Expired,
            2 => Self::UsedUp,
            3 => Self::Revoked,
            4 => Self::Refused,
            5 => Self::Version,
            6 => Self::Busy,
            7 => Self::NotAnAdmin,
            8 => Self::Damaged,
            number => Self::Other(number),
        }
    }

    /// Nobody else will say otherwise: the join is over. After the others another member, or a later knock, may do.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::UsedUp | Self::Revoked | Self::Refused)
    }
}

impl From<Refusal> for RefusalCode {
    /// What a knocker is told when the room would not admit it after all.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InviteExpired => Self::Expired,
            Refusal::InviteUsedUp => Self::UsedUp,
            Refusal::InviteClosed | Refusal::InviteUnknown => Self::Revoked,
            Refusal::NotMember | Refusal::NotPermitted | Refusal::Frozen => Self::NotAnAdmin,
            Refusal::Identity(_) => Self::Damaged,
            _ => Self::Busy,
        }
    }
}

/// Eight digits that the knocker and the admin compare by voice: made of the room, both devices and both nonces.
pub fn compare_code(
    room: &RoomId,
    knocker: &DeviceId,
    door: &DeviceId,
    knocker_nonce: &[u8; 32],
    door_nonce: &[u8; 32],
) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CODE_CONTEXT);
    for part in [room.as_bytes(), knocker.as_bytes(), door.as_bytes(), knocker_nonce, door_nonce] {
        hasher.update(part);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    format!("{:08}", u64::from_be_bytes(first) % 100_000_000)
}

fn commitment(nonce: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(COMMITMENT_CONTEXT, nonce)
}

/// Why a conversation with a door ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KnockError {
    /// The door speaks another version.
    #[error("the other side speaks another version")]
    Version,
    /// The door said something that cannot be, or changed its nonce.
    #[error("the other side does not keep to the protocol")]
    Protocol,
    /// The door said nothing for [`REPLY_TIMEOUT`].
    #[error("the other side does not answer")]
    Timeout,
}

/// What a [`Knocker`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnockerOutput {
    /// Send this frame to the door.
    Send(Vec<u8>),
    /// An admin sees the knock: show the code.
    Waiting {
        /// Eight digits, see [`compare_code`].
        code: String,
    },
    /// Let in: begin the room from these operations. The room says whether they are worth anything. The machine is over.
    Admitted(Vec<Signed>),
    /// Not let in. The machine is over.
    Refused(RefusalCode),
    /// No answer that counts. The machine is over.
    Failed(KnockError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitingChallenge,
    AwaitingReply,
    AwaitingPerson,
    Receiving,
    Over,
}

/// One conversation with one door. After a lost stream, knock again with a new one: who was admitted meanwhile is admitted again.
pub struct Knocker {
    card: MemberCard,
    room: RoomId,
    invite: SigningKey,
    door: DeviceId,
    nonce: [u8; 32],
    commitment: [u8; 32],
    phase: Phase,
    deadline: Duration,
    ops: Vec<Signed>,
    bytes: usize,
    outputs: VecDeque<KnockerOutput>,
}

impl Knocker {
    /// `door`: the device at the other end of the stream, which the stream proves.
    pub fn new(link: &Link, card: MemberCard, door: DeviceId, now: Duration, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        Self {
            card,
            room: link.room,
            invite: SigningKey::from_bytes(&link.invite_seed),
            door,
            nonce,
            commitment: [0; 32],
            phase: Phase::AwaitingChallenge,
            deadline: now + REPLY_TIMEOUT,
            ops: Vec::new(),
            bytes: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A frame of the door.
    pub fn handle_frame(&mut self, frame: &[u8], now: Duration) {
        if self.phase == Phase::Over {
            return;
        }
        let Ok(message) = wire::decode_within::<DoorMessage>(frame, MAX_DOOR_FRAME) else {
            return self.fail(KnockError::Protocol);
        };
        match (message, self.phase) {
            (DoorMessage::Challenge(challenge), Phase::AwaitingChallenge) => self.knock(&challenge, now),
            (DoorMessage::Waiting(waiting), Phase::AwaitingReply) => self.wait(&waiting),
            (DoorMessage::Admitted(part), Phase::AwaitingReply | Phase::AwaitingPerson | Phase::Receiving) => {
                self.take(part, now)
            }
            (DoorMessage::Refused(refused), _) => {
                self.phase = Phase::Over;
                self.outputs.push_back(KnockerOutput::Refused(RefusalCode::from_number(refused.code)));
            }
            (DoorMessage::Unknown(_), _) => {}
            _ => self.fail(KnockError::Protocol),
        }
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.fail(KnockError::Timeout);
        }
    }

    /// When to call [`Self::handle_timeout`]. A person may take as long as they like.
    pub fn poll_timeout(&self) -> Option<Duration> {
        (!matches!(self.phase, Phase::AwaitingPerson | Phase::Over)).then_some(self.deadline)
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<KnockerOutput> {
        self.outputs.pop_front()
    }

    fn knock(&mut self, challenge: &Challenge, now: Duration) {
        if challenge.version < VERSION {
            return self.fail(KnockError::Version);
        }
        self.commitment = challenge.commitment;
        let knock = Knock {
            version: VERSION,
            room: self.room,
            invite: self.invite.verifying_key().to_bytes(),
            card: self.card.clone(),
            door: self.door,
            commitment: challenge.commitment,
            nonce: self.nonce,
        };
        let payload = wire::encode(&knock);
        let sig = identity::sign(&self.invite, KNOCK_LABEL, &self.room, &payload);
        let message = KnockMessage::Knock(SignedKnock { signed: Signed { payload, sig } });
        self.outputs.push_back(KnockerOutput::Send(wire::encode(&message)));
        self.phase = Phase::AwaitingReply;
        self.deadline = now + REPLY_TIMEOUT;
    }

    fn wait(&mut self, waiting: &Waiting) {
        if commitment(&waiting.nonce) != self.commitment {
            return self.fail(KnockError::Protocol);
        }
        let code = compare_code(&self.room, &self.card.device, &self.door, &self.nonce, &waiting.nonce);
        self.phase = Phase::AwaitingPerson;
        self.outputs.push_back(KnockerOutput::Waiting { code });
    }

    fn take(&mut self, part: Admitted, now: Duration) {
        self.bytes += part.ops.iter().map(Signed::wire_len).sum::<usize>();
        self.ops.extend(part.ops);
        if self.bytes > MAX_ADMITTED_BYTES || self.ops.len() > MAX_ADMITTED_OPS {
            return self.fail(KnockError::Protocol);
        }
        self.phase = Phase::Receiving;
        self.deadline = now + REPLY_TIMEOUT;
        if part.last {
            self.phase = Phase::Over;
            self.outputs.push_back(KnockerOutput::Admitted(core::mem::take(&mut self.ops)));
        }
    }

    fn fail(&mut self, error: KnockError) {
        self.phase = Phase::Over;
        self.ops = Vec::new();
        self.outputs.push_back(KnockerOutput::Failed(error));
    }
}

impl fmt::Debug for Knocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knocker")
            .field("room", &self.room)
            .field("door", &self.door)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
