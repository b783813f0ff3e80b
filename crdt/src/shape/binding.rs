//! What the ends of arrows hold on to.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::decode_cbor;
use crate::id::ElementId;

/// How the end of an arrow holds on to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It stops at the outline, on its way to the fixed point.
    #[default]
    #[n(0)]
    Outline,
    /// It ends at the fixed point itself.
    #[n(1)]
    Point,
}

/// What an end of an arrow holds on to. It lives on the arrow alone: moving the target writes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Which element. It may be gone: then the arrow ends where its own points say.
    pub target: ElementId,
    /// The fixed point in the unturned box of the target, 0 to 1 from left to right.
    pub fx: f32,
    /// 0 to 1 from top to bottom.
    pub fy: f32,
    /// How.
    #[serde(default)]
    pub hold: Hold,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct PackedBinding {
    #[n(0)]
    target: String,
    #[n(1)]
    fx: f32,
    #[n(2)]
    fy: f32,
    #[n(3)]
    hold: Hold,
}

impl Binding {
    pub(crate) fn is_sound(&self) -> bool {
        [self.fx, self.fy].into_iter().all(|part| (-1.0..=2.0).contains(&part))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let packed = PackedBinding { target: self.target.to_string(), fx: self.fx, fy: self.fy, hold: self.hold };
        minicbor::to_vec(&packed).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let packed: PackedBinding = decode_cbor(bytes, 64)?;
        let binding = Self { target: packed.target.parse().ok()?, fx: packed.fx, fy: packed.fy, hold: packed.hold };
        binding.is_sound().then_some(binding)
    }
}
