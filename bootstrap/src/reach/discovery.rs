//! The one task that owns the swarm of the node. It serves members and nobody else: whoever is none is refused as soon as their key is
//! known, before any protocol is spoken.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use conclave_bootstrap_api::Key;
use futures::StreamExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::kad::store::RecordStore;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport, identify, kad, noise, quic, relay, rendezvous, swarm, tcp, yamux};
use tokio::sync::{mpsc, watch};

use super::behaviour::{Behaviour, BehaviourEvent, KADEMLIA};
use super::budget::{Budget, GREEDY, QUESTION, REGISTERED, REGISTRATION};
use super::dials::ip_of;
use super::quota::{Places, Quota};
use super::table::{MAX_RECORD, Networks, check_record, own_addresses};
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

/// Members are read no more often than this, whatever is said: a team that grows by thousands at once leaves time for those who are here.
const READ_AGAIN: Duration = Duration::from_millis(50);

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
    let places =
        Places { all: config.reservations, per_user: config.reservations_per_user, circuits_per_user: config.circuits_per_user };
    let quota = Quota::new(places);
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
    let task = Task {
        swarm,
        quota,
        budget: Budget::default(),
        networks: Networks::default(),
        from: HashMap::new(),
        store,
        metrics,
        told,
        changes,
        fixed: !external.is_empty(),
        seen: None,
        read: Instant::now(),
    };
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
    budget: Budget,
    /// Whom the routing table holds.
    networks: Networks,
    /// Where each connection comes from; as many as there are connections.
    from: HashMap<ConnectionId, IpAddr>,
    store: Store,
    metrics: Arc<Metrics>,
    told: watch::Sender<Vec<String>>,
    changes: mpsc::Receiver<()>,
    /// The addresses are given and not found out.
    fixed: bool,
    /// Where the chain of registrations stood when members were last read, and when that was.
    seen: Option<u64>,
    read: Instant,
}

impl Task {
    async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.tell();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.handle(event),
                _ = look.tick() => {
                    self.let_back();
                    self.read_members().await;
                }
                change = self.changes.recv() => match change {
                    Some(()) => match READ_AGAIN.checked_sub(self.read.elapsed()) {
                        Some(rest) => look.reset_after(rest),
                        None => self.read_members().await,
                    },
                    // The server is gone.
                    None => return,
                },
            }
        }
    }

    async fn read_members(&mut self) {
        self.read = Instant::now();
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
                for peer in came.into_iter().filter(|peer| !self.budget.is_expelled(peer)) {
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

    /// Those who were kept out for their time.
    fn let_back(&mut self) {
        for peer in self.budget.handle_tick(Instant::now()) {
            self.allow_again(peer);
        }
    }

    fn allow_again(&mut self, peer: PeerId) {
        if self.quota.is_member(&peer) {
            self.swarm.behaviour_mut().members.allow_peer(peer);
        }
    }

    fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.handle_relay(event),
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(event)) => self.handle_rendezvous(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kademlia(kad::Event::InboundRequest { request })) => {
                self.handle_record(request)
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info })) => {
                self.handle_identity(connection_id, peer_id, &info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Autonat(tried)) => {
                self.metrics.dialled_back.inc();
                self.pay(tried.client, QUESTION);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "libp2p listens");
                if !self.fixed {
                    // The relay offers itself only where it is known how it is reached.
                    self.swarm.add_external_address(address);
                }
                self.tell();
            }
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                self.metrics.connections.inc();
                self.from.extend(ip_of(endpoint.get_remote_address()).map(|ip| (connection_id, ip)));
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.metrics.connections.dec();
                self.from.remove(&connection_id);
                if num_established == 0 {
                    self.networks.remove(&peer_id);
                    self.swarm.behaviour_mut().kademlia.remove_peer(&peer_id);
                }
            }
            SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "a connection was not taken"),
            _ => {}
        }
    }

    fn pay(&mut self, peer: PeerId, cost: f64) {
        let now = Instant::now();
        if !self.budget.take(peer, cost, now) {
            self.expel(peer, GREEDY, now);
        }
    }

    fn expel(&mut self, peer: PeerId, time: Duration, now: Instant) {
        tracing::info!(%peer, minutes = time.as_secs() / 60, "a device asked for too much and is kept out");
        self.metrics.expelled.inc();
        let back = self.budget.expel(peer, time, now);
        self.swarm.behaviour_mut().members.disallow_peer(peer);
        if let Some(back) = back {
            self.allow_again(back);
        }
    }

    fn handle_rendezvous(&mut self, event: rendezvous::server::Event) {
        use rendezvous::server::Event;
        match event {
            Event::PeerRegistered { peer, registration } => {
                // What is kept for a registration is its record; the server itself takes a megabyte.
                let size = registration.record.to_signed_envelope().into_protobuf_encoding().len();
                if size > MAX_RECORD {
                    self.expel(peer, REGISTERED, Instant::now());
                } else {
                    self.pay(peer, REGISTRATION);
                }
            }
            Event::DiscoverServed { enquirer, registrations } => {
                // Topics are for those who know them. Whoever asks for all at once is none of them.
                let mut topics = registrations.iter().map(|registration| &registration.namespace);
                let first = topics.next();
                if topics.any(|topic| Some(topic) != first) {
                    self.expel(enquirer, GREEDY, Instant::now());
                } else {
                    self.pay(enquirer, QUESTION);
                }
            }
            Event::PeerNotRegistered { peer, .. }
            | Event::DiscoverNotServed { enquirer: peer, .. }
            | Event::PeerUnregistered { peer, .. } => self.pay(peer, QUESTION),
            Event::RegistrationExpired(_) => {}
        }
    }

    fn handle_record(&mut self, request: kad::InboundRequest) {
        let kad::InboundRequest::PutRecord { source, record: Some(record), .. } = request else { return };
        let store = self.swarm.behaviour_mut().kademlia.store_mut();
        let known = store.get(&record.key).map(|known| known.value.clone());
        match check_record(source, record.key.as_ref(), &record.value, known.as_deref()) {
            Ok(_) => {
                // Whoever says that they published it is the one whose it is.
                let record = kad::Record { publisher: Some(source), ..record };
                if let Err(error) = store.put(record) {
                    tracing::debug!(%error, "a record was not kept");
                }
            }
            Err(error) => {
                tracing::debug!(%source, %error, "a record was refused");
                self.metrics.records_refused.inc();
            }
        }
        self.pay(source, QUESTION);
    }

    /// Into the routing table come those who serve the hash table themselves, at the address that they are connected from.
    fn handle_identity(&mut self, connection: ConnectionId, peer: PeerId, info: &identify::Info) {
        self.pay(peer, QUESTION);
        let Some(from) = self.from.get(&connection).copied() else { return };
        let addresses = own_addresses(&info.listen_addrs, from);
        let serves = info.protocols.contains(&KADEMLIA) && !addresses.is_empty();
        let kademlia = &mut self.swarm.behaviour_mut().kademlia;
        if serves && self.networks.try_insert(peer, from) {
            for address in addresses {
                kademlia.add_address(&peer, address);
            }
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
            relay::Event::CircuitReqAccepted { src_peer_id, .. } => {
                self.quota.set_circuit(src_peer_id, true);
                self.metrics.circuits.inc();
            }
            relay::Event::CircuitClosed { src_peer_id, .. } => {
                self.quota.set_circuit(src_peer_id, false);
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
