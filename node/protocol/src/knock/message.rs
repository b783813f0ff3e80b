//! What a knocker and a door say to each other. A refusal never says more than its code.

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, RoomId};
use crate::identity::MemberCard;
use crate::open_enum::open_enum;
use crate::room::Refusal;
use crate::wire::Signed;

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
    /// The words of a spoken code are others.
    WrongWords,
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
            Self::WrongWords => 9,
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
            9 => Self::WrongWords,
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
            Refusal::Withdrawn => Self::Refused,
            _ => Self::Busy,
        }
    }
}
