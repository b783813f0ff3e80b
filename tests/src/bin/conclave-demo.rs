//! `make demo`: three headless peers on this machine live through a whole meeting on real media.
//!
//! Progress for a person goes to standard error; the last line on standard output is one JSON object of what was seen.

use anyhow::Result;
use conclave_tests::meeting::{Meeting, Plan};

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let seen = Meeting::live(Plan { call_seconds: seconds, say: |line| eprintln!("{line}") }).await?;
    println!("{}", serde_json::to_string(&seen)?);
    anyhow::ensure!(seen.is_whole(), "not everything was seen: {:?}", seen.why);
    Ok(())
}
