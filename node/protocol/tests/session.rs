//! The presence session: its rules, its bad inputs, and a simulation of many members in virtual time and from seeds. Real openmls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "session/abuse.rs"]
mod abuse;
#[path = "session/acl.rs"]
mod acl;
#[path = "session/corpus.rs"]
mod corpus;
#[path = "session/figures.rs"]
mod figures;
#[path = "session/raw.rs"]
mod raw;
#[path = "session/replay.rs"]
mod replay;
#[path = "session/rules.rs"]
mod rules;
#[path = "../fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;
#[path = "session/simulation.rs"]
mod simulation;
#[path = "live/support.rs"]
#[allow(dead_code)]
mod support;
#[path = "session/world.rs"]
#[allow(dead_code)]
mod world;
