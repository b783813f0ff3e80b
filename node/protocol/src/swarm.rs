//! Files in a room: what is shared (the manifest, an operation of the op log), what two members say to each other about it, and who asks
//! whom for which chunk. Everything here counts chunks; nothing here sees a byte of a file, a disk or a socket.
//!
//! A file *version* is a stream of bytes cut in chunks, each sealed with the key of the version ([`manifest`]). Hashes are over what is
//! sealed ([`hashes`]), so that whoever holds chunks can check and pass them on. Two members hold one control stream and one data stream
//! ([`wire`]). Whoever lacks chunks has a [`schedule::Download`]; whoever has all of them tells the others by a [`hint::Hinter`] which of
//! them are whose to fetch first; [`slots::Slots`] serves everyone in turn. [`rate`] measures and
//! limits, and [`courtesy`] leaves a call the path that it needs.

pub mod courtesy;
pub mod hashes;
pub mod have;
pub mod hint;
pub mod manifest;
pub mod rate;
pub mod schedule;
pub mod seal;
pub mod slots;
pub mod wire;
