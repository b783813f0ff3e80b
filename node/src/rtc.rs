//! The media of a call: one connection to each other participant, one encoder for all of them. It speaks to nobody whose
//! certificate is not the one that their device signed, and a slow peer never holds up another.

pub mod certificate;
mod tap;
pub mod transport;
pub mod webrtc_transport;
