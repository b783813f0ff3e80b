//! What happens to media between codec and network: frames to packets and back, and when a packet of sound is played.
//!
//! Payloads are opaque here. Nothing in this module encodes, decodes, draws or plays.

pub mod frame_cipher;
pub mod jitter;
pub mod pacing;
pub mod packetizer;
pub mod quality;
pub mod speaker;
