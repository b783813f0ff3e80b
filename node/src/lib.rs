//! The Conclave node: one event loop over libp2p, WebRTC and disk, behind a cheap handle.
//!
//! [`handle::Node`] takes a [`command::Command`] and gives an [`event::Event`] stream; the app and the headless command are two faces
//! of it. The loop in `driver` decides nothing: the rules are the machines of `conclave-protocol`.

mod backup;
mod board;
pub mod cli;
pub mod command;
pub mod config;
mod driver;
pub mod error;
pub mod event;
mod files;
pub mod handle;
pub mod net;
pub mod pictures;
pub mod rtc;
pub mod store;
mod team;
pub mod view;
