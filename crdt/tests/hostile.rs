//! Rules 1 to 8 on what hostile members sign: a test for each rule, and a seeded generator of changes that are almost right. 20,000 of them by
//! default; CONCLAVE_MUTANTS says how many otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "hostile/mallory.rs"]
mod mallory;
#[path = "hostile/mutants.rs"]
mod mutants;
#[path = "hostile/rules.rs"]
mod rules;
#[path = "board/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the board")]
mod support;
