//! Colours, as numbers in the document and as text for people and files.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Red, green, blue and opacity, eight bits each; `#rrggbb` or `#rrggbbaa` as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Color(#[n(0)] pub u32);

impl Color {
    /// Nothing at all.
    pub const NONE: Self = Self(0);
    /// The colour that lines have from the start.
    pub const INK: Self = Self(0x1e1e_1eff);

    /// Red, green, blue, opacity.
    pub fn rgba(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// From red, green, blue, opacity.
    pub fn from_rgba(rgba: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(rgba))
    }

    /// Not to be seen.
    pub fn is_none(self) -> bool {
        self.0 & 0xff == 0
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & 0xff == 0xff { write!(f, "#{:06x}", self.0 >> 8) } else { write!(f, "#{:08x}", self.0) }
    }
}

impl fmt::Debug for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a colour: #rrggbb or #rrggbbaa")]
pub struct BadColor;

impl FromStr for Color {
    type Err = BadColor;

    fn from_str(text: &str) -> Result<Self, BadColor> {
        if text == "transparent" {
            return Ok(Self::NONE);
        }
        let digits =
            text.strip_prefix('#').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(BadColor)?;
        let value = u32::from_str_radix(digits, 16).map_err(|_| BadColor)?;
        match digits.len() {
            3 => {
                let [r, g, b] = [value >> 8 & 15, value >> 4 & 15, value & 15].map(|digit| digit * 17);
                Ok(Self(r << 24 | g << 16 | b << 8 | 0xff))
            }
            6 => Ok(Self(value << 8 | 0xff)),
            8 => Ok(Self(value)),
            _ => Err(BadColor),
        }
    }
}

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
