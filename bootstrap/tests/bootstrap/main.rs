//! The bootstrap node from outside: over HTTP, as clients and as those who mean ill.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abuse;
mod accounts;
mod command;
mod member;
mod others;
mod parsers;
mod program;
mod reach;
mod released;
mod support;
