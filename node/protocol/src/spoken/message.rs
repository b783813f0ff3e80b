//! What a hearer and a speaker say to each other. A refusal never says more than its code.

use minicbor::{Decode, Encode};

use crate::id::{AccountId, RoomId};
use crate::knock::{Admitted, Refused};
use crate::open_enum::open_enum;

open_enum! {
    /// What a hearer says.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum HearerMessage {
        /// Is there a code of this number?
        0 => Ask(Ask),
        /// I know its words.
        1 => Prove(Prove),
    }
}

open_enum! {
    /// What a speaker says.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum SpeakerMessage {
        /// There is.
        0 => Offer(Offer),
        /// So do I, and this is the room.
        1 => Proved(Proved),
        /// Let in.
        2 => Admitted(Admitted),
        /// Not let in.
        3 => Refused(Refused),
    }
}

/// Is there a code of this number?
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ask {
    /// 1.
    #[n(0)]
    pub version: u32,
    /// 1 to [`super::MAX_NUMBER`].
    #[n(1)]
    pub number: u32,
    /// Random, used once.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sid: [u8; 32],
    /// The hearer's half of CPace, a ristretto255 point.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub share: [u8; 32],
}

/// There is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Offer {
    /// The speaker's half of CPace.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub share: [u8; 32],
}

/// I know its words.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Prove {
    /// [`super::Agreed::hearer_tag`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub tag: [u8; 32],
    /// The hearer's member card, sealed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// So do I, and this is the room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Proved {
    /// [`super::Agreed::speaker_tag`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub tag: [u8; 32],
    /// A [`RoomIs`], sealed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// Which room the code lets into.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct RoomIs {
    #[n(0)]
    pub(super) room: RoomId,
    /// The person who speaks, which the log of the room must bear out.
    #[n(1)]
    pub(super) account: AccountId,
}
