//! Files of rooms on this disk and on their way: one engine task owns every transfer, moves what happens to the machines of
//! `conclave_protocol::swarm`, and carries out what they ask for with blocking jobs beside it. The loop tells it which files this device
//! takes part in and hands it proved streams; it never judges a member, changes a room or writes to the store.

mod engine;
pub(crate) mod error;
mod jobs;
mod names;
mod part;
mod peer;
mod picture;
mod share;
mod source;

pub(crate) use self::engine::{Ask, FilesHandle, News, Progress, start};
pub(crate) use self::error::{FileError, bytes_text};
pub(crate) use self::jobs::Kept as EngineKept;
pub(crate) use self::names::safe as safe_name;
pub(crate) use self::part::{Beside, Form};
pub(crate) use self::peer::{FileLink, carry};
pub(crate) use self::picture::{Whole, read as read_whole, seal};
pub(crate) use self::share::{Pass, Prepared, prepare};
