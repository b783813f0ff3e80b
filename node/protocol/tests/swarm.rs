//! Files: the machines of the swarm through the public API, in virtual time and from seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "swarm/abuse.rs"]
mod abuse;
#[path = "swarm/corpus.rs"]
mod corpus;
#[path = "swarm/courtesy.rs"]
mod courtesy;
#[path = "swarm/network.rs"]
mod network;
#[path = "swarm/optimum.rs"]
mod optimum;
#[path = "swarm/rules.rs"]
mod rules;
#[path = "../fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;
#[path = "log/support.rs"]
#[allow(dead_code)]
mod support;
