//! The media of a call: one connection to each other participant, one encoder for all of them. It speaks to nobody whose
//! certificate is not the one that their device signed, and a slow peer never holds up another.
//!
//! [`mesh::Mesh`] is the whole of it for the driver. Inside, each participant has a task (`peer`) that owns a
//! [`transport::Transport`] and a negotiation machine, and a bounded queue that the encoders fill; what arrives runs through
//! `receive` into a picture slot or the playout.

mod attempt;
pub mod certificate;
mod congestion;
mod engine;
mod guard;
pub mod keys;
pub mod mesh;
mod outlets;
mod peer;
mod queue;
mod receive;
mod recording;
mod tap;
pub mod transport;
pub mod webrtc_transport;
