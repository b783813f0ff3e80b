//! The face of the node that the window sees: commands go in, messages come out, and nothing here ever blocks a frame.
//!
//! [`node::NodeBackend`] is the real one; the tests drive the window with a scripted one.

pub mod node;

use std::sync::Arc;

use conclave_media::picture::PictureSlot;
use conclave_node::command::{Command, Reply};
use conclave_node::config::Protection;
use conclave_node::error::CommandError;
use conclave_node::event::Event;
use conclave_node::view::PictureKey;

/// Which command a reply belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What is in the data directory before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePresence {
    /// Nobody has used it: onboarding.
    Absent,
    /// An identity is there, kept in one of these ways.
    Present(KeptBy),
}

/// How the store's master key is kept, as far as can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBy {
    Keyring,
    Passphrase,
    Insecure,
    /// The node will tell when it tries.
    Unknown,
}

/// Opens the store of the data directory, or makes it.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    pub protection: Protection,
    /// The person's name, for a first start.
    pub name: Option<String>,
}

/// What came from the node since the last look.
#[derive(Debug)]
pub enum BackendMessage {
    /// The answer to [`Backend::open`].
    Opened(Result<(), CommandError>),
    Event(Event),
    Reply {
        request: RequestId,
        result: Result<Reply, CommandError>,
    },
}

/// The node, as the window's thread may use it: every call returns at once.
pub trait Backend {
    fn presence(&self) -> StorePresence;
    fn open(&mut self, request: OpenRequest);
    /// The reply comes by [`Self::poll`], also where the node could not take the command.
    fn send(&mut self, command: Command) -> RequestId;
    /// Everything that came since the last call, in order.
    fn poll(&mut self) -> Vec<BackendMessage>;
    fn picture(&self, key: PictureKey) -> Arc<PictureSlot>;
    /// The window closes: leave the call and say goodbye, within a bounded time.
    fn close(&mut self);
}
