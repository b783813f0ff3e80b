//! The family `bootstrap/`: a team's node under load, its real program in a process of its own.

mod connections;
mod people;
mod turn;

use anyhow::{Context, Result};

use self::people::Node;
use super::{Rounds, Target};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("bootstrap/idle_kib_per_peer", 100.0, "KiB"),
    Target::at_least("bootstrap/verify_per_s", 10000.0, "/s/core"),
    Target::at_most("bootstrap/turn_vs_coturn", 2.0, "ratio"),
    Target::at_least("bootstrap/logins_per_s", 200.0, "/s"),
    Target::at_most("bootstrap/start_ms_10k_users", 1000.0, "ms"),
];

/// Names of what needs a team of thousands, which is made once.
const LARGE: [&str; 3] = ["bootstrap/start_ms_10k_users", "bootstrap/logins_per_s", "bootstrap/idle_kib_per_peer"];
const PEOPLE: usize = 10_000;
const CONNECTIONS: usize = 5_000;

pub(super) async fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["bootstrap/verify_per_s"], people::verified_per_s().map(|found| [found]));
    }
    rounds.beside("bootstrap/turn_vs_coturn", format!("coturn {}", turn::version()));
    match turn::Servers::start() {
        Ok(mut servers) => {
            for _ in 0..rounds.count {
                rounds.add(["bootstrap/turn_vs_coturn"], servers.round().map(|found| [found]));
            }
        }
        Err(error) => rounds.add(["bootstrap/turn_vs_coturn"], Err(error)),
    }
    if let Err(error) = of_a_large_team(rounds).await {
        for name in LARGE {
            rounds.add([name], Err(anyhow::anyhow!("{error:#}")));
        }
    }
}

async fn of_a_large_team(rounds: &mut Rounds) -> Result<()> {
    let mut node = Node::start().await.context("starting a node")?;
    let members = node.register(PEOPLE).await.context("registering people")?;
    for _ in 0..rounds.count {
        node.stop()?;
        rounds.add(["bootstrap/start_ms_10k_users"], node.run().map(|found| [found]));
        let known = node.logins().await;
        rounds.add(["bootstrap/logins_per_s"], known.map(|found| [found]));
    }
    // One round: each connection is a sample of its own.
    rounds.add(
        ["bootstrap/idle_kib_per_peer"],
        connections::idle_kib(&node, members.get(..CONNECTIONS).unwrap_or_default()).await.map(|found| [found]),
    );
    Ok(())
}
