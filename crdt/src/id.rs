//! The names of things on a board, as they stand in the document: short, fixed in length, and never made from what a peer says.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of a name.
const LENGTH: usize = 12;

/// A text that is not twelve characters of `0-9A-Za-z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of twelve letters and digits")]
pub struct BadId;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            /// From random bits, of which about 71 are used: enough that two never meet on one board.
            pub fn from_random(bits: u128) -> Self {
                let mut rest = bits;
                Self(core::array::from_fn(|_| {
                    let digit = (rest % 62) as usize;
                    rest /= 62;
                    ALPHABET.get(digit).copied().unwrap_or(b'0')
                }))
            }

            /// Its twelve characters.
            pub fn as_str(&self) -> &str {
                core::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bytes: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| BadId)?;
                if bytes.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(bytes)) } else { Err(BadId) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// An element of a page. Whoever draws it picks it.
    ElementId
);
name!(
    /// A page of the board.
    PageId
);
name!(
    /// A document: the index, or what a page holds. A page that was compacted has another document than before.
    DocId
);
name!(
    /// Elements that are selected together.
    GroupId
);

impl PageId {
    /// The page every board has from the start, so that two people who begin at once begin on the same one.
    pub const FIRST: Self = Self(*b"000000000001");
}

impl DocId {
    /// The document that lists the pages.
    pub const INDEX: Self = Self(*b"000000000000");
    pub(crate) const FIRST: Self = Self(*b"000000000001");
}

/// Who writes: one run of one device. The caller derives it from the signer, so that nobody can write as somebody else. All zeros is
/// the genesis of every document and belongs to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor(pub [u8; 16]);

impl Actor {
    pub(crate) const GENESIS: Self = Self([0; 16]);
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actor(")?;
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}
