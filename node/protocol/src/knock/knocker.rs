//! Knocks at one door. It never takes a room on the word of the door: what it gets is for the room's own rules to judge.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;

use super::{
    Admitted, Challenge, DoorMessage, KNOCK_LABEL, Knock, KnockMessage, MAX_DOOR_FRAME, REPLY_TIMEOUT, RefusalCode, SignedKnock,
    VERSION, Waiting, commitment, compare_code,
};
use crate::id::{DeviceId, RoomId};
use crate::identity::{self, MemberCard};
use crate::link::Link;
use crate::wire::{self, Signed};

/// Most bytes and operations of an ACL log that a knocker takes.
const MAX_ADMITTED_BYTES: usize = 64 << 20;
const MAX_ADMITTED_OPS: usize = 10_000;

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
    log: Collected,
    outputs: VecDeque<KnockerOutput>,
}

/// An ACL log that comes in pieces, within limits.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    ops: Vec<Signed>,
    bytes: usize,
}

/// More than any log has.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl Collected {
    /// The whole log, with its last piece.
    pub(crate) fn take(&mut self, part: Admitted) -> Result<Option<Vec<Signed>>, TooMuch> {
        self.bytes += part.ops.iter().map(Signed::wire_len).sum::<usize>();
        self.ops.extend(part.ops);
        if self.bytes > MAX_ADMITTED_BYTES || self.ops.len() > MAX_ADMITTED_OPS {
            return Err(TooMuch);
        }
        Ok(part.last.then(|| core::mem::take(&mut self.ops)))
    }
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
            log: Collected::default(),
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
        self.phase = Phase::Receiving;
        self.deadline = now + REPLY_TIMEOUT;
        match self.log.take(part) {
            Err(TooMuch) => self.fail(KnockError::Protocol),
            Ok(None) => {}
            Ok(Some(ops)) => {
                self.phase = Phase::Over;
                self.outputs.push_back(KnockerOutput::Admitted(ops));
            }
        }
    }

    fn fail(&mut self, error: KnockError) {
        self.phase = Phase::Over;
        self.log = Collected::default();
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
