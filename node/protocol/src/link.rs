//! The invitation as a link or a QR code. It never shows its secret in `Debug`, and never takes a link of which a character is wrong.
//!
//! `conclave://join/1#` is followed by base64url without padding (RFC 4648) of a CBOR map and a checksum of four bytes: the beginning of
//! BLAKE3 over `"conclave/join/1" ‖ map`. White space, as mail programs put it in, is left out before reading.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

use crate::id::{AccountId, DeviceId, RoomId};
use crate::identity::{MAX_NAME, check_name};
use crate::log::state::AclState;
use crate::wire;

/// Longest text of a link, in characters.
pub const MAX_LINK_LEN: usize = 2_048;
/// Most addresses in a link.
pub const MAX_HINTS: usize = 8;
/// Longest address, in bytes.
pub const MAX_ADDRESS_LEN: usize = 160;

const SCHEME: &str = "conclave://join/";
const VERSION: &str = "1";
const CHECKSUM_LEN: usize = 4;
const CHECKSUM_CONTEXT: &[u8] = b"conclave/join/1";

/// Why a text is not an invitation that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin with `conclave://join/`.
    #[error("this is not a Conclave invitation")]
    NotALink,
    /// Made by a version that is not spoken here.
    #[error("this invitation is of another version of Conclave")]
    Version,
    /// A piece is missing or changed.
    #[error("this invitation is damaged: copy all of it again")]
    Damaged,
    /// Longer than [`MAX_LINK_LEN`].
    #[error("this is too long to be an invitation")]
    TooLong,
}

/// Where someone may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressHint {
    /// Who listens there.
    pub device: DeviceId,
    /// A multiaddr without the peer, such as `/ip4/192.0.2.7/udp/4001/quic-v1`; at most [`MAX_ADDRESS_LEN`] bytes.
    pub address: String,
}

/// An invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Which room.
    pub room: RoomId,
    /// For display before anything of the room is known; nothing vouches for it.
    pub room_name: String,
    /// Finds those who answer knocks, and nothing else of the room.
    pub topic_key: [u8; 32],
    /// Who made the link: the device that redeems it.
    pub inviter: DeviceId,
    /// The person of the inviter, which the log that admits the joiner must bear out: [`Link::is_borne_out_by`].
    pub admin: AccountId,
    /// Ed25519 seed: whoever knows it may knock.
    pub invite_seed: Zeroizing<[u8; 32]>,
    /// By the issuer's clock, UTC. The caller compares.
    pub expires_ms: u64,
    /// At most [`MAX_HINTS`].
    pub hints: Vec<AddressHint>,
}

/// As it travels. A later minor version may add keys.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    room: RoomId,
    #[n(1)]
    room_name: String,
    #[cbor(n(2), with = "minicbor::bytes")]
    topic_key: [u8; 32],
    #[n(3)]
    inviter: DeviceId,
    #[n(4)]
    admin: AccountId,
    #[cbor(n(5), with = "minicbor::bytes")]
    invite_seed: [u8; 32],
    #[n(6)]
    expires_ms: u64,
    #[n(7)]
    hints: Vec<Hint>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Hint {
    /// The inviter, where absent.
    #[n(0)]
    device: Option<DeviceId>,
    #[n(1)]
    address: String,
}

impl Link {
    /// Whether the log of a room knows the inviter as a device of the person that the link names. A door that answers with another room's
    /// log, or a link whose parts do not belong together, fails here.
    pub fn is_borne_out_by(&self, acl: &AclState) -> bool {
        acl.account_of(&self.inviter) == Some(self.admin)
    }

    /// Reads a link as a person pasted it.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        if text.len() > 2 * MAX_LINK_LEN {
            return Err(LinkError::TooLong);
        }
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        let rest = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
            _ => return Err(LinkError::NotALink),
        };
        if text.len() > MAX_LINK_LEN {
            return Err(LinkError::TooLong);
        }
        let (version, encoded) = rest.split_once('#').ok_or(LinkError::Damaged)?;
        if version != VERSION {
            let number = !version.is_empty() && version.len() <= 4 && version.bytes().all(|digit| digit.is_ascii_digit());
            return Err(if number { LinkError::Version } else { LinkError::Damaged });
        }
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| LinkError::Damaged)?);
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(LinkError::Damaged)?;
        if checksum(body) != *sum {
            return Err(LinkError::Damaged);
        }
        let mut body: Body = wire::decode(body).map_err(|_| LinkError::Damaged)?;
        let link = Self {
            room: body.room,
            room_name: core::mem::take(&mut body.room_name),
            topic_key: body.topic_key,
            inviter: body.inviter,
            admin: body.admin,
            invite_seed: Zeroizing::new(body.invite_seed),
            expires_ms: body.expires_ms,
            hints: core::mem::take(&mut body.hints)
                .into_iter()
                .map(|hint| AddressHint { device: hint.device.unwrap_or(body.inviter), address: hint.address })
                .collect(),
        };
        body.invite_seed.zeroize();
        if link.is_well_formed() { Ok(link) } else { Err(LinkError::Damaged) }
    }

    /// The text. About 330 characters, and 60 more for each address: a QR code of medium size. Addresses beyond [`MAX_HINTS`], or longer
    /// than [`MAX_ADDRESS_LEN`], are left out; a room name that cannot be shown is left empty.
    pub fn to_text(&self) -> Zeroizing<String> {
        let usable = self.hints.iter().filter(|hint| is_address(&hint.address)).take(MAX_HINTS);
        let hints = usable.map(|hint| Hint {
            device: Some(hint.device).filter(|device| *device != self.inviter),
            address: hint.address.clone(),
        });
        let mut body = Body {
            room: self.room,
            room_name: if check_name(&self.room_name).is_ok() { self.room_name.clone() } else { String::new() },
            topic_key: self.topic_key,
            inviter: self.inviter,
            admin: self.admin,
            invite_seed: *self.invite_seed,
            expires_ms: self.expires_ms,
            hints: hints.collect(),
        };
        let mut bytes = Zeroizing::new(wire::encode(&body));
        body.invite_seed.zeroize();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        let mut text = Zeroizing::new(format!("{SCHEME}{VERSION}#"));
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        text
    }

    /// The public half of the invite seed: how the room's log names this invitation.
    pub fn invite_key(&self) -> [u8; 32] {
        SigningKey::from_bytes(&self.invite_seed).verifying_key().to_bytes()
    }

    fn is_well_formed(&self) -> bool {
        let named = self.room_name.is_empty() || (self.room_name.len() <= MAX_NAME && check_name(&self.room_name).is_ok());
        named && self.hints.len() <= MAX_HINTS && self.hints.iter().all(|hint| is_address(&hint.address))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("room", &self.room)
            .field("inviter", &self.inviter)
            .field("expires_ms", &self.expires_ms)
            .field("hints", &self.hints.len())
            .finish_non_exhaustive()
    }
}

fn is_address(address: &str) -> bool {
    address.starts_with('/') && address.len() <= MAX_ADDRESS_LEN && address.bytes().all(|byte| byte.is_ascii_graphic())
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CHECKSUM_CONTEXT);
    hasher.update(body);
    let mut sum = [0; CHECKSUM_LEN];
    hasher.finalize_xof().fill(&mut sum);
    sum
}
