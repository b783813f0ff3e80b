//! `make bench`: one JSON object a line, a measure each. `--only meet/` runs one family.

use anyhow::Result;
use clap::Parser;
use conclave_tests::bench::{self, Measure};

#[derive(Parser)]
struct Args {
    /// Only measures whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// Rounds of each measure; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The part of a measure that runs on a host of its own.
    #[arg(long, hide = true, num_args = 1..)]
    work: Vec<String>,
    /// Of the bench itself: makes the page of the board in a process of its own, and prints what its document takes.
    #[arg(long, hide = true)]
    hold_a_page: bool,
    /// Of the bench itself: loads a page in a process of its own.
    #[arg(long, hide = true)]
    load_a_page: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if !args.work.is_empty() {
        return bench::work(&args.work).await;
    }
    if args.hold_a_page {
        println!("{}", bench::page::hold_a_page()?);
        return Ok(());
    }
    if let Some(path) = &args.load_a_page {
        println!("{}", bench::page::load_a_page(path)?);
        return Ok(());
    }
    for family in bench::FAMILIES {
        if !family.starts_with(&args.only) && !args.only.starts_with(family) {
            continue;
        }
        eprintln!("measuring {family} …");
        let measures: Vec<Measure> = bench::run(family, &args.only, args.rounds).await;
        for measure in measures.iter().filter(|measure| measure.measure.starts_with(&args.only)) {
            println!("{}", serde_json::to_string(measure)?);
        }
    }
    Ok(())
}
