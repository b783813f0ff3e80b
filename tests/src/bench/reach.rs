//! The family `reach/`: through NATs, each home and each NAT a network namespace.

use std::time::{Duration, Instant};

use anyhow::Result;
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::PeerView;

use super::{Rounds, Target, milliseconds};
use crate::internet::{Internet, Nat};
use crate::peer::{PATIENCE, Peer};

pub(super) const TARGETS: &[Target] = &[Target::at_most("reach/direct_ms", 3000.0, "ms")];

pub(super) async fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        let round = direct().await;
        rounds.add(["reach/direct_ms"], round.map(|found| [found]));
    }
}

/// From a link that is opened, by one of two who sit behind NATs of their own and have a place at the relay, to a path between them that
/// needs no relay.
async fn direct() -> Result<f64> {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain])?;
    let node = internet.node()?;
    let mut people = [Peer::start(internet.peer(1, "Ada")).await?, Peer::start(internet.peer(2, "Bob")).await?];
    for peer in &mut people {
        peer.request(Command::TeamRegister { link: node.invite()?, name: None }).await?;
        let relayed = |event: &Event| matches!(event, Event::TeamChanged { team: Some(team) } if team.relayed).then_some(());
        peer.wait("a place at the relay", relayed).await?;
    }
    let [ada, bob] = &mut people;
    let room = ada.create_room("Kitchen", false).await?;
    let link = ada.invite(room, 1).await?;
    let began = Instant::now();
    bob.join(&link, None).await?;
    loop {
        let answer = bob.request(Command::NetPeers {}).await?;
        let peers: Vec<PeerView> = serde_json::from_value(answer["peers"].clone())?;
        let path = peers.into_iter().find(|peer| peer.device == ada.device() && peer.connected).and_then(|peer| peer.transport);
        if path.is_some_and(|path| path != "relay") {
            return Ok(milliseconds(began));
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "no direct path in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
