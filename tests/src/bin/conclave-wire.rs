//! `conclave-wire ONE OTHER DELAY_MS JITTER_MS`: joins two TAP interfaces by a cable that takes its time. For the scenarios.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use conclave_tests::wire::{self, Nature};

#[derive(Parser)]
struct Args {
    one: String,
    other: String,
    delay_ms: u64,
    jitter_ms: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let nature = Nature { delay: Duration::from_millis(args.delay_ms), jitter: Duration::from_millis(args.jitter_ms) };
    wire::run(&args.one, &args.other, nature)
}
