//! What lasts: the ACL log, the op log, chat and sync, through the public API, in virtual time and from seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "log/abuse.rs"]
mod abuse;
#[path = "log/authority.rs"]
mod authority;
#[path = "log/chat.rs"]
mod chat;
#[path = "log/convergence.rs"]
mod convergence;
#[path = "log/exchange.rs"]
mod exchange;
#[path = "log/identity.rs"]
mod identity;
#[path = "log/lists.rs"]
mod lists;
#[path = "log/memory.rs"]
mod memory;
#[path = "log/model.rs"]
mod model;
#[path = "log/parsers.rs"]
mod parsers;
#[path = "../fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;
#[path = "log/support.rs"]
mod support;
