//! The bootstrap node of a team: it knows who is a member, says so by tokens, and lets members find and reach each other. It must never
//! read what they say, and can let nobody into a room.
//!
//! [`Server::bind`] starts it from a [`Config`]; `main` only reads the command line.

mod cli;
mod config;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod keys;
mod limits;
mod metrics;
mod reach;
mod registry;
mod server;
mod store;
mod tls;

pub use cli::main;
pub use config::{Config, ConfigError, Data, Http, Reach, Team, Tls, Turn};
pub use server::{Server, initialise};
