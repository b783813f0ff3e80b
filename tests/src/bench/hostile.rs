//! Hostile changes against the board, by the generator of the crate's own tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "as in the tests it is of")]

#[path = "../../../crdt/tests/hostile/mallory.rs"]
mod mallory;
#[path = "../../../crdt/tests/hostile/mutants.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the board")]
mod mutants;
#[path = "../../../crdt/tests/board/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the board")]
mod support;

use anyhow::{Result, ensure};

/// How many boards out of so many changes came to harm: a panic, a save that does not load, members who see different things.
pub(super) fn escaped(mutants: usize) -> Result<f64> {
    let outcome = mutants::run(mutants, 1);
    ensure!(outcome.taken > 0 && outcome.refused > mutants / 2, "the generator makes nothing hostile");
    Ok(outcome.escaped as f64)
}
