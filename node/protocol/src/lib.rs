//! The rules of Conclave as pure state machines.
//!
//! Every machine has one face: `handle_*(input, now)` takes what happened, `poll_*()` gives what to do. Time and randomness are
//! arguments. Nothing here reads a clock, a file, a socket or the environment, and nothing a peer sends can make it panic or grow
//! past a named bound.

pub mod board;
pub mod call;
pub mod chat;
pub mod codes;
pub mod id;
pub mod identity;
pub mod knock;
pub mod link;
pub mod linking;
pub mod live;
pub mod log;
pub mod media;
pub mod negotiation;
pub mod proof;
pub mod room;
pub mod session;
pub mod spoken;
pub mod swarm;
pub mod verification;
pub mod wire;

mod allowance;
mod open_enum;
