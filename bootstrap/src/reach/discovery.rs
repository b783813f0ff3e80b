//! The one task that owns the swarm of the node. It serves members and nobody else: whoever is none is refused as soon as their key is
//! known, before any protocol is spoken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use conclave_bootstrap_api::Key;
use futures::StreamExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, Transport, noise, quic, relay, swarm, tcp, yamux};
use tokio::sync::{mpsc, watch};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::quota::Quota;
use crate::config;
use crate::metrics::Metrics;
use crate::store::Store;

/// A connection that is not authenticated by then is dropped: a slow one, or half of one.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// Streams of one connection.
const STREAMS: usize = 64;
/// Devices keep their connection for as long as they like; an idle one costs a ping.
const IDLE: Duration = Duration::from_secs(3600);
/// How often it is looked whether another replica changed who is a member.
const LOOK: Duration = Duration::from_secs(2);

/// The running side.
pub(crate) struct Reach {
    /// Multiaddrs with `/p2p/…`, as members are told.
    pub(crate) addresses: watch::Receiver<Vec<String>>,
    /// Says that who is a member has changed; full means that it has been said.
    pub(crate) changed: mpsc::Sender<()>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

/// Listens and starts the task.
pub(crate) fn start(seed: &[u8; 32], config: &config::Reach, store: Store, metrics: Arc<Metrics>) -> anyhow::Result<Reach> {
    let keypair = Keypair::ed25519_from_bytes(*seed).context("the node's key")?;
    let quota = Quota::new(config.reservations_per_user);
    let peer = keypair.public().to_peer_id();
    let limits = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(32);
    let mut swarm = Swarm::new(transport(&keypair)?, Behaviour::new(&keypair, config, &quota), peer, limits);
    for text in &config.listen {
        let address: Multiaddr = text.parse().with_context(|| text.clone())?;
        swarm.listen_on(address).with_context(|| format!("listening on {text}"))?;
    }
    let external: Vec<Multiaddr> = config.external.iter().filter_map(|text| text.parse().ok()).collect();
    for address in &external {
        swarm.add_external_address(address.clone());
    }
    let (told, addresses) = watch::channel(Vec::new());
    let (changed, changes) = mpsc::channel(1);
    let task = Task { swarm, quota, store, metrics, told, changes, fixed: !external.is_empty(), seen: None };
    Ok(Reach { addresses, changed, task: tokio::spawn(task.run()) })
}

fn transport(keypair: &Keypair) -> anyhow::Result<libp2p::core::transport::Boxed<(PeerId, StreamMuxerBox)>> {
    let mut muxing = yamux::Config::default();
    muxing.set_max_num_streams(STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(muxing)
        .timeout(HANDSHAKE);
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE;
    config.max_concurrent_stream_limit = STREAMS as u32;
    let quic = quic::tokio::Transport::new(config);
    Ok(quic
        .or_transport(tcp)
        .map(|either, _| match either {
            futures::future::Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
            futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
        })
        .boxed())
}

struct Task {
    swarm: Swarm<Behaviour>,
    quota: Quota,
    store: Store,
    metrics: Arc<Metrics>,
    told: watch::Sender<Vec<String>>,
    changes: mpsc::Receiver<()>,
    /// The addresses are given and not found out.
    fixed: bool,
    /// Where the chain of registrations stood when members were last read.
    seen: Option<u64>,
}

impl Task {
    async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.tell();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.handle(event),
                _ = look.tick() => self.read_members().await,
                change = self.changes.recv() => match change {
                    Some(()) => self.read_members().await,
                    // The server is gone.
                    None => return,
                },
            }
        }
    }

    async fn read_members(&mut self) {
        let read = async {
            let head = self.store.chain_head().await?.seq;
            if self.seen == Some(head) {
                return Ok(None);
            }
            Ok::<_, crate::store::StoreError>(Some((head, self.store.members().await?)))
        };
        match read.await {
            Ok(Some((head, members))) => {
                self.seen = Some(head);
                let members: BTreeMap<PeerId, String> =
                    members.into_iter().filter_map(|(device, account)| Some((peer_of(device)?, account))).collect();
                let (came, went) = self.quota.set_members(members);
                let allowed = &mut self.swarm.behaviour_mut().members;
                for peer in came {
                    allowed.allow_peer(peer);
                }
                // What they have open is closed with it.
                for peer in went {
                    allowed.disallow_peer(peer);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "who is a member cannot be read; those known stay"),
        }
    }

    fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.handle_relay(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "libp2p listens");
                if !self.fixed {
                    // The relay offers itself only where it is known how it is reached.
                    self.swarm.add_external_address(address);
                }
                self.tell();
            }
            SwarmEvent::ConnectionEstablished { .. } => {
                self.metrics.connections.inc();
            }
            SwarmEvent::ConnectionClosed { .. } => {
                self.metrics.connections.dec();
            }
            SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "a connection was not taken"),
            _ => {}
        }
    }

    fn handle_relay(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationTimedOut { src_peer_id } => self.quota.release(src_peer_id),
            // Told for each connection that closes, whether or not the reservation was on it.
            relay::Event::ReservationClosed { src_peer_id } if !self.swarm.is_connected(&src_peer_id) => {
                self.quota.release(src_peer_id);
            }
            relay::Event::ReservationReqDenied { .. } | relay::Event::CircuitReqDenied { .. } => {
                self.metrics.relay_denied.inc();
            }
            relay::Event::CircuitReqAccepted { .. } => {
                self.metrics.circuits.inc();
            }
            relay::Event::CircuitClosed { .. } => {
                self.metrics.circuits.dec();
            }
            _ => {}
        }
        self.metrics.reservations.set(i64::try_from(self.quota.held()).unwrap_or(i64::MAX));
    }

    fn tell(&self) {
        let me = Protocol::P2p(*self.swarm.local_peer_id());
        let addresses = self.swarm.external_addresses().map(|address| address.clone().with(me.clone()).to_string()).collect();
        self.told.send_replace(addresses);
    }
}

fn peer_of(device: Key) -> Option<PeerId> {
    Some(PublicKey::from(ed25519::PublicKey::try_from_bytes(&device.0).ok()?).to_peer_id())
}
