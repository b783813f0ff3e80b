//! Thousands of members who are connected and do nothing: what each costs the node.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, SwarmBuilder, identify, noise, ping, tcp, yamux};
use tokio::task::JoinSet;

use super::people::{Node, Person};

/// Connections that are being made at once: below what the node takes from one network.
const AT_ONCE: usize = 32;
/// A connection that is not made by then never will be.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long the node has for what follows a connection: identify, a first ping, and giving back what handshakes took.
const SETTLE: Duration = Duration::from_secs(20);

#[derive(NetworkBehaviour)]
struct Member {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// KiB of resident memory for each of them.
pub(super) async fn idle_kib(node: &Node, members: &[Person]) -> Result<f64> {
    let address: Multiaddr = node.peers.first().context("no libp2p address")?.parse()?;
    let before = node.rss_kib()?;
    let mut alive = JoinSet::new();
    let connect = |person: &Person| {
        let (seed, address) = (person.device.to_bytes(), address.clone());
        async move { tokio::time::timeout(PATIENCE, connected(seed, address)).await.context("no connection in time")? }
    };
    let mut swarms = stream::iter(members).map(connect).buffer_unordered(AT_ONCE);
    while let Some(mut swarm) = swarms.try_next().await? {
        // Answers pings for as long as it lives.
        alive.spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
    }
    tokio::time::sleep(SETTLE).await;
    let stand = node.metric("conclave_peer_connections").await?;
    anyhow::ensure!(stand >= members.len() as f64, "{stand} of {} connections stand", members.len());
    Ok(node.rss_kib()?.saturating_sub(before) as f64 / members.len() as f64)
}

async fn connected(mut seed: [u8; 32], address: Multiaddr) -> Result<libp2p::Swarm<Member>> {
    let keypair = Keypair::ed25519_from_bytes(&mut seed)?;
    let mut swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|keypair| Member {
            identify: identify::Behaviour::new(identify::Config::new("bench/1".into(), keypair.public()).with_cache_size(0)),
            ping: ping::Behaviour::default(),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    swarm.dial(address)?;
    loop {
        match swarm.select_next_some().await {
            // The node has let it in: it asked who this is.
            SwarmEvent::Behaviour(MemberEvent::Identify(identify::Event::Sent { .. })) => return Ok(swarm),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            SwarmEvent::ConnectionClosed { cause, .. } => anyhow::bail!("the node closed it: {cause:?}"),
            _ => {}
        }
    }
}
