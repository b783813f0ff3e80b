//! Newtypes for every identifier and public key, with their text forms.
//!
//! Text is base32 in lower case without padding (RFC 4648 alphabet), behind a prefix that names the kind: `room:`, `dev:`, `acct:`.
//! An identifier is public by nature; secrets never live here.

use core::fmt;
use core::str::FromStr;

use data_encoding::Encoding;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// RFC 4648 base32, lower case, no padding.
pub(crate) fn base32() -> Encoding {
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The text does not begin with the kind's prefix.
    #[error("expected an identifier that begins with `{0}`")]
    Prefix(&'static str),
    /// What follows the prefix is not base32 of the right length.
    #[error("the identifier after `{0}` is damaged")]
    Body(&'static str),
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Takes exactly [`Self::LEN`] bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, base32().encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = base32().encode(&self.0);
                write!(f, "{}{}", $prefix, text.get(..10).unwrap_or(&text))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let body = text.strip_prefix($prefix).ok_or(ParseIdError::Prefix($prefix))?;
                let bytes = base32().decode(body.as_bytes()).map_err(|_| ParseIdError::Body($prefix))?;
                Self::from_slice(&bytes).ok_or(ParseIdError::Body($prefix))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_slice(d.bytes()?).ok_or_else(|| minicbor::decode::Error::message("wrong length of an identifier"))
            }
        }
    };
}

bytes_id!(
    /// A device: its Ed25519 public key, which is also its libp2p identity.
    DeviceId, 32, "dev:"
);
bytes_id!(
    /// A person: the Ed25519 public key of the account, which signs the device list.
    AccountId, 32, "acct:"
);
bytes_id!(
    /// A room: BLAKE3 of its genesis payload.
    RoomId, 32, "room:"
);
bytes_id!(
    /// BLAKE3 of the exact payload bytes of a signed operation.
    OpHash, 32, "op:"
);
bytes_id!(
    /// A shared file: the hash of the operation that shared it.
    FileId, 32, "file:"
);
bytes_id!(
    /// One call of a room, from the first who joins to the last who leaves. Random.
    CallId, 16, "call:"
);
bytes_id!(
    /// A presence session: made of the room, its writer and what the writer drew. It is the group id of the MLS group.
    SessionId, 32, "session:"
);
bytes_id!(
    /// An X25519 public key to which the room's secrets are sealed.
    SealKey, 32, "seal:"
);

/// The id of an operation in the op log: `device` wrote it as its `seq`-th since the start that drew `incarnation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct OpId {
    /// Who wrote it.
    #[n(0)]
    pub device: DeviceId,
    /// Random at each start of the writer.
    #[n(1)]
    pub incarnation: u64,
    /// From 1, without gaps.
    #[n(2)]
    pub seq: u64,
}
