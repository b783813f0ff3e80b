//! Answers and events as text for a person. What others wrote is shown, never obeyed: no control sequence of theirs reaches the
//! terminal.

mod chat;
mod events;
mod rooms;
#[cfg(test)]
pub(crate) mod samples;
mod team;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use chat::{found, messages};
pub(crate) use events::{event, join};
pub(crate) use rooms::{devices, diagnosis, invite, links, profile, qr, room, rooms, spoken, verification};
pub(crate) use team::team;
pub(crate) use text::{clean, short, table};
