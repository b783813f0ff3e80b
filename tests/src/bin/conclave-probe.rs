//! A headless peer as `conclave-node run --json` is, on the same `Node`, that also looks at the pictures it receives.
//!
//! Two commands more: `probe.watch` (a picture key) and `probe.read` (a picture key, whether to begin anew).

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use conclave_node::command::Command;
use conclave_node::config::{Config, Protection};
use conclave_node::handle::Node;
use conclave_node::view::{ErrorView, PictureKey};
use conclave_tests::probe::Probe;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    data: PathBuf,
    /// Accepted, and always so: a probe keeps nothing worth keeping.
    #[arg(long)]
    insecure_store: bool,
    #[command(subcommand)]
    command: Sub,
}

#[derive(clap::Subcommand)]
enum Sub {
    Run {
        #[arg(long)]
        json: bool,
        #[arg(long)]
        name: String,
        #[arg(long)]
        listen: Vec<String>,
        #[arg(long)]
        no_mdns: bool,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { data, command: Sub::Run { name, listen, no_mdns, .. }, .. } = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config { name: Some(name), listen, mdns: !no_mdns, ..Config::new(data, Protection::Insecure) };
    let (node, mut events) = Node::open(config).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let probe = Probe::default();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { return Ok(()) };
                let mut value = serde_json::to_value(event)?;
                if let Some(object) = value.as_object_mut() {
                    object.insert("v".into(), json!(1));
                }
                println!("{value}");
            }
            line = lines.next_line() => match line? {
                Some(line) => answer(&node, &probe, &line).await?,
                None => {
                    let _ = node.request(Command::Shutdown {}).await;
                }
            }
        }
    }
}

async fn answer(node: &Node, probe: &Probe, line: &str) -> Result<()> {
    let value: Value = serde_json::from_str(line)?;
    let id = value.get("id").cloned().unwrap_or_default();
    let key = || -> Result<PictureKey> { Ok(serde_json::from_value(value.get("key").cloned().context("no key")?)?) };
    let result = match value.get("cmd").and_then(Value::as_str) {
        Some("probe.watch") => {
            probe.watch(node, key()?);
            Ok(json!({}))
        }
        Some("probe.read") => {
            let seen = serde_json::to_value(probe.seen(key()?))?;
            if value.get("reset") == Some(&json!(true)) {
                probe.reset();
            }
            Ok(seen)
        }
        _ => match node.request(serde_json::from_value(value.clone())?).await {
            Ok(reply) => Ok(serde_json::to_value(reply)?),
            Err(error) => Err(ErrorView::from(error)),
        },
    };
    match result {
        Ok(value) => println!("{}", json!({ "v": 1, "id": id, "ok": value })),
        Err(error) => println!("{}", json!({ "v": 1, "id": id, "error": error })),
    }
    Ok(())
}
