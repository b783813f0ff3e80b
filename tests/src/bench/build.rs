//! The family `build/`: what `make test` took, as `.ci/run` leaves it beside the build output.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Rounds, Target};

pub(super) const TARGETS: &[Target] =
    &[Target::at_most("build/test_min_warm", 15.0, "min"), Target::at_most("build/test_min_cold", 40.0, "min")];

pub(super) fn run(rounds: &mut Rounds) {
    rounds.add(["build/test_min_warm"], minutes("warm"));
    rounds.add(["build/test_min_cold"], minutes("cold"));
}

fn minutes(kind: &str) -> Result<[f64; 1]> {
    let path = build_folder().join(format!("ci-test-seconds-{kind}"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("no {kind} run of .ci/run has left its time here"))?;
    Ok([text.trim().parse::<f64>()? / 60.0])
}

fn build_folder() -> PathBuf {
    std::env::current_exe().ok().and_then(|own| Some(own.parent()?.parent()?.to_owned())).unwrap_or_default()
}
