//! The one task that owns the swarm. It turns requests into swarm calls and swarm events into [`NetEvent`]s, asks [`Paths`] what
//! to do, and never awaits I/O: everything slow happens in tasks of libp2p, of streams, or in a future that it polls beside them.

mod dial;
mod listen;
mod relays;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::time::Duration;

use conclave_protocol::id::DeviceId;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::TransportError;
use libp2p::identity::Keypair;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, mdns, ping, relay, swarm};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::dial::{ADDRESSES, Looked, hints};
use self::listen::listen;
use self::relays::Relays;
use super::address::{self, device_of, peer_of, split_device, transport_of, worth_dialling};
use super::behaviour::{Behaviour, BehaviourEvent, PROTOCOL_FAMILY};
use super::diagnosis::{self, Dialled, Facts, Mdns, diagnose};
use super::frames::NetStream;
use super::paths::{Act, Came, Left, Path, Paths};
use super::streams::InboundStream;
use super::{NetConfig, NetError, NetEvent, StreamName, TransportName, transport};
use crate::view::{DiagnosisView, PeerView};

/// A connection without streams is closed after so long, unless the device is wanted.
const IDLE: Duration = Duration::from_secs(30);
/// Inbound streams of a connection whose protocol is being negotiated; one more is reset.
const NEGOTIATING: usize = 64;
/// Events held back while the node takes none. With so many, the swarm is not polled …
const OUTBOX: usize = 64;
/// … and with so many, what will be said again (round trips, failed attempts) is left out.
const OUTBOX_LAST: usize = 1_024;
/// At most one [`NetEvent::Rtt`] for a device in this time.
const RTT_EVERY: Duration = Duration::from_secs(5);
/// Time for the closing of connections to reach the peers when the node stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the node asks of the task.
#[derive(Debug)]
pub(crate) enum Ask {
    Open { device: DeviceId, name: StreamName, reply: oneshot::Sender<Result<NetStream, NetError>> },
    Dial { device: Option<DeviceId>, addresses: Vec<Multiaddr> },
    Want { device: DeviceId, addresses: Vec<Multiaddr> },
    Unwant { device: DeviceId },
    Disconnect { device: DeviceId },
    Relays { addresses: Vec<Multiaddr> },
    Listening { reply: oneshot::Sender<Vec<String>> },
    Peers { reply: oneshot::Sender<Vec<PeerView>> },
    Diagnosis { reply: oneshot::Sender<DiagnosisView> },
    Shutdown { reply: oneshot::Sender<()> },
}

/// Listens, and spawns the task.
pub(crate) fn start(
    seed: &[u8; 32],
    config: &NetConfig,
    asks: mpsc::Receiver<Ask>,
    events: mpsc::Sender<NetEvent>,
) -> Result<DeviceId, NetError> {
    let started = |error: &dyn std::fmt::Display| NetError::Start(error.to_string());
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| started(&error))?;
    // The key is copied into libp2p's own type, which clears what it is given.
    let keypair = Keypair::ed25519_from_bytes(*seed).map_err(|error| started(&error))?;
    let peer = keypair.public().to_peer_id();
    let device = device_of(&peer).ok_or_else(|| started(&"the device key is no Ed25519 key"))?;
    let (circuits, relay) = relay::client::new(peer);
    let (behaviour, mdns_failure) = Behaviour::new(&keypair, config.mdns, relay);
    let mdns = match (config.mdns, mdns_failure) {
        (false, _) => Mdns::Off,
        (true, None) => Mdns::On,
        (true, Some(reason)) => Mdns::Failed(reason),
    };
    let limits =
        swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(NEGOTIATING);
    let transport = transport::build(&keypair, circuits).map_err(|error| started(&error))?;
    let mut swarm = Swarm::new(transport, behaviour, peer, limits);
    listen(&mut swarm, &config.listen)?;
    let task = Task {
        swarm,
        asks,
        events,
        outbox: VecDeque::new(),
        paths: Paths::new(device),
        relays: Relays::default(),
        blind: HashMap::new(),
        lookups: FuturesUnordered::new(),
        listening: Vec::new(),
        mdns,
        dialled: Dialled::default(),
        rtt: BTreeMap::new(),
        started: Instant::now(),
    };
    runtime.spawn(task.run());
    Ok(device)
}

struct Task {
    swarm: Swarm<Behaviour>,
    asks: mpsc::Receiver<Ask>,
    events: mpsc::Sender<NetEvent>,
    outbox: VecDeque<NetEvent>,
    paths: Paths,
    relays: Relays,
    /// Attempts without a known device, and what to try next where one fails.
    blind: HashMap<ConnectionId, VecDeque<Multiaddr>>,
    lookups: FuturesUnordered<BoxFuture<'static, Looked>>,
    listening: Vec<Multiaddr>,
    mdns: Mdns,
    dialled: Dialled,
    rtt: BTreeMap<DeviceId, (u32, Instant)>,
    started: Instant,
}

impl Task {
    async fn run(mut self) {
        let events = self.events.clone();
        let farewell = loop {
            self.act();
            let due = self.paths.poll_timeout().into_iter().chain(self.relays.poll_timeout()).min().map(|due| self.started + due);
            tokio::select! {
                slot = events.reserve(), if !self.outbox.is_empty() => match slot {
                    Ok(slot) => {
                        if let Some(event) = self.outbox.pop_front() {
                            slot.send(event);
                        }
                    }
                    Err(_) => break None,
                },
                ask = self.asks.recv() => match ask {
                    Some(Ask::Shutdown { reply }) => break Some(reply),
                    Some(ask) => self.handle_ask(ask),
                    None => break None,
                },
                event = self.swarm.select_next_some(), if self.outbox.len() < OUTBOX => self.handle_event(event),
                Some(looked) = self.lookups.next(), if !self.lookups.is_empty() => self.handle_looked(looked),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        };
        self.say_farewell().await;
        if let Some(reply) = farewell {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    /// Closes every connection so that the peers see it now and not by silence.
    async fn say_farewell(mut self) {
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // Not connected any more: what was wanted.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, closed).await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn tell(&mut self, event: NetEvent) {
        let said_again = matches!(event, NetEvent::Rtt { .. } | NetEvent::DialFailed { .. });
        if !said_again || self.outbox.len() < OUTBOX_LAST {
            self.outbox.push_back(event);
        }
    }

    /// Does what is due.
    fn act(&mut self) {
        self.reach_relays();
        loop {
            let streams = &self.swarm.behaviour().streams;
            match self.paths.poll(self.started.elapsed(), |connection| streams.live(connection)) {
                Some(Act::Dial { device, addresses }) => self.look_up(Some(device), addresses),
                Some(Act::Upgrade { device, addresses }) => self.upgrade(device, addresses),
                Some(Act::Close { connection }) => {
                    self.swarm.close_connection(connection);
                }
                Some(Act::Gone { device }) => self.tell_gone(device),
                None => return,
            }
        }
    }

    fn handle_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Open { device, name, reply } => {
                let streams = &self.swarm.behaviour().streams;
                let connection = self.paths.best(device, |connection| streams.live(connection));
                match (peer_of(&device), connection) {
                    (Some(peer), Some(connection)) => self.swarm.behaviour_mut().streams.open(peer, connection, name, reply),
                    // The caller may have stopped waiting.
                    _ => drop(reply.send(Err(NetError::NotConnected))),
                }
            }
            Ask::Dial { device, addresses } => self.dial(device, addresses),
            Ask::Want { device, addresses } => {
                if let Some(peer) = peer_of(&device) {
                    let now = self.now();
                    let hinted = hints(Some(device), addresses).into_iter().chain(self.relays.circuits()).collect();
                    self.paths.handle_want(device, hinted, now);
                    self.swarm.behaviour_mut().streams.keep(peer, true);
                }
            }
            Ask::Unwant { device } => self.unwant(device),
            Ask::Disconnect { device } => {
                self.unwant(device);
                if let Some(peer) = peer_of(&device) {
                    // Not connected: nothing to do.
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
            }
            Ask::Relays { addresses } => self.set_relays(addresses),
            // For each reply below: a caller that has stopped waiting needs none.
            Ask::Listening { reply } => drop(reply.send(self.listening_texts())),
            Ask::Peers { reply } => drop(reply.send(self.peers())),
            Ask::Diagnosis { reply } => drop(reply.send(self.diagnosis())),
            Ask::Shutdown { reply } => drop(reply.send(())),
        }
    }

    fn unwant(&mut self, device: DeviceId) {
        self.paths.handle_unwant(device);
        if let Some(peer) = peer_of(&device) {
            self.swarm.behaviour_mut().streams.keep(peer, false);
        }
    }

    fn handle_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.handle_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, concurrent_dial_errors, .. } => {
                self.handle_connected(peer_id, connection_id, &endpoint, concurrent_dial_errors.unwrap_or_default());
            }
            SwarmEvent::ConnectionClosed { peer_id, .. } if self.relays.contains(&peer_id) => {}
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let Some(device) = device_of(&peer_id) else { return };
                tracing::debug!(?device, cause = cause.map(|cause| cause.to_string()), "a connection closed");
                let now = self.now();
                match self.paths.handle_closed(device, connection_id, now) {
                    Left::Nobody => self.tell_gone(device),
                    Left::Moved(path) => {
                        self.tell(NetEvent::Moved { device, transport: path.transport, address: path.address.to_string() });
                    }
                    Left::Same | Left::Unsettled => {}
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                let device = peer_id.as_ref().filter(|peer| !self.relays.contains(peer)).and_then(device_of);
                if let Some(rest) = self.blind.remove(&connection_id) {
                    self.record_dial_error(None, &error);
                    self.dial_blindly(rest);
                } else {
                    self.record_dial_error(device, &error);
                    if let Some(device) = device {
                        let now = self.now();
                        self.paths.handle_dial_failed(device, now);
                    }
                }
            }
            SwarmEvent::NewListenAddr { address, .. } if !self.listening.contains(&split_device(address.clone()).0) => {
                let address = split_device(address).0;
                tracing::debug!(%address, "listening");
                if let Some(relay) = address::relay_of(&address) {
                    self.relay_reserved(&relay);
                }
                self.listening.push(address);
                let now = self.now();
                self.paths.handle_network_change(now);
                let texts = self.listening_texts();
                self.tell(NetEvent::Listening(texts));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.forget_listening(&[split_device(address).0]),
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                self.relay_listener_closed(listener_id);
                let addresses: Vec<Multiaddr> = addresses.into_iter().map(|address| split_device(address).0).collect();
                if let Err(error) = reason {
                    tracing::warn!(%error, addresses = addresses.len(), "a listener closed");
                }
                self.forget_listening(&addresses);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::info!(%error, "a listener reported an error"),
            SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "an incoming connection failed"),
            _ => {}
        }
    }

    fn tell_gone(&mut self, device: DeviceId) {
        self.rtt.remove(&device);
        self.tell(NetEvent::Disconnected { device });
    }

    fn forget_listening(&mut self, gone: &[Multiaddr]) {
        tracing::debug!(addresses = ?gone, "no longer listening");
        self.listening.retain(|address| !gone.contains(address));
        let texts = self.listening_texts();
        self.tell(NetEvent::Listening(texts));
    }

    fn handle_connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        failed: Vec<(Multiaddr, TransportError<io::Error>)>,
    ) {
        self.blind.remove(&connection);
        if self.relay_connected(&peer) {
            return;
        }
        let Some(device) = device_of(&peer) else { return };
        // Of one who came through a relay, the other end tells only who they are.
        let address = match endpoint {
            ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => local_addr.clone(),
            endpoint => endpoint.get_remote_address().clone(),
        };
        let (address, _) = split_device(address);
        let Some(transport) = transport_of(&address) else { return };
        for (failed, error) in failed {
            self.dialled.record(&split_device(failed).0, diagnosis::outcome(&error));
        }
        self.paths.addresses(device).iter().for_each(|address| self.dialled.give_up(address));
        if endpoint.is_dialer() {
            self.dialled.record(&address, diagnosis::CONNECTED);
        }
        tracing::debug!(?device, %address, dialled = endpoint.is_dialer(), "a connection stands");
        let path = Path { connection, dialled_by_me: endpoint.is_dialer(), transport, address: address.clone() };
        let now = self.now();
        let address = address.to_string();
        match self.paths.handle_connected(device, path, now) {
            Came::First => self.tell(NetEvent::Connected { device, transport, address }),
            Came::Instead | Came::Better => self.tell(NetEvent::Moved { device, transport, address }),
            Came::Beside => {}
        }
    }

    fn handle_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(InboundStream { device, name, stream }) => {
                self.tell(NetEvent::Inbound { device, name, stream })
            }
            BehaviourEvent::Ping(event) => self.handle_ping(event),
            BehaviourEvent::Mdns(event) => self.handle_mdns(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => self.handle_identity(peer_id, &info),
            BehaviourEvent::Identify(event) => tracing::trace!(?event, "identify"),
            BehaviourEvent::Relay(event) => tracing::debug!(?event, "relay"),
            BehaviourEvent::Dcutr(event) => tracing::debug!(ok = event.result.is_ok(), "a hole was punched, or not"),
        }
    }

    fn handle_ping(&mut self, event: ping::Event) {
        if self.relays.contains(&event.peer) {
            return;
        }
        let Some(device) = device_of(&event.peer) else { return };
        match event.result {
            Ok(rtt) => {
                let ms = u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX);
                let now = Instant::now();
                let due = self.rtt.get(&device).is_none_or(|(_, told)| now - *told >= RTT_EVERY);
                if due {
                    self.rtt.insert(device, (ms, now));
                    self.tell(NetEvent::Rtt { device, ms });
                }
            }
            Err(error) => {
                tracing::debug!(?device, %error, "a ping failed, the connection is closed");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn handle_mdns(&mut self, event: mdns::Event) {
        let now = self.now();
        match event {
            mdns::Event::Discovered(list) => {
                for (device, addresses) in by_device(list) {
                    let new = self.paths.handle_discovered(device, addresses, now);
                    if !new.is_empty() {
                        let addresses = new.iter().map(ToString::to_string).collect();
                        let after_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                        self.tell(NetEvent::Discovered { device, addresses, after_ms });
                    }
                }
            }
            mdns::Event::Expired(list) => {
                for (device, addresses) in by_device(list) {
                    if self.paths.handle_expired(device, &addresses) {
                        self.tell(NetEvent::Expired { device });
                    }
                }
            }
        }
    }

    fn handle_identity(&mut self, peer: PeerId, info: &identify::Info) {
        if self.relays.contains(&peer) {
            return;
        }
        let Some(device) = device_of(&peer) else { return };
        if !info.protocol_version.starts_with(PROTOCOL_FAMILY) {
            if !self.paths.is_wanted(device) {
                tracing::debug!(?device, "another program answers; it is left alone");
                self.paths.handle_foreign(device);
                // Already gone: what was wanted.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            return;
        }
        let local = self.paths.path(device).and_then(|path| address::ip(&path.address)).is_some_and(|ip| ip.is_loopback());
        let told = info.listen_addrs.iter().map(|address| split_device(address.clone()).0);
        let told = told.filter(|address| worth_dialling(address, local)).take(ADDRESSES).collect();
        self.paths.handle_told(device, told);
    }

    /// One way through each relay first: a list that is cut has it.
    fn listening_texts(&self) -> Vec<String> {
        let (mut circuits, direct): (Vec<_>, Vec<_>) =
            self.listening.iter().partition(|address| transport_of(address) == Some(TransportName::Relay));
        let mut relays = Vec::new();
        circuits.retain(|address| match address::relay_of(address) {
            Some(relay) if !relays.contains(&relay) => {
                relays.push(relay);
                true
            }
            _ => false,
        });
        circuits.into_iter().chain(direct).map(ToString::to_string).collect()
    }

    fn peers(&self) -> Vec<PeerView> {
        self.paths
            .devices()
            .map(|(device, _, addresses)| {
                let path = self.paths.path(device);
                PeerView {
                    device,
                    connected: path.is_some(),
                    transport: path.map(|path| path.transport.as_str().to_owned()),
                    addresses: path.map_or_else(
                        || addresses.iter().map(ToString::to_string).collect(),
                        |path| vec![path.address.to_string()],
                    ),
                    rtt_ms: self.rtt.get(&device).map(|(ms, _)| *ms),
                    path: path.and_then(|path| address::way_to(&path.address)),
                }
            })
            .collect()
    }

    fn diagnosis(&self) -> DiagnosisView {
        diagnose(Facts {
            interfaces: &diagnosis::interfaces(),
            listening: self.listening_texts(),
            mdns: &self.mdns,
            neighbours: self.paths.devices().filter(|(_, shown, _)| *shown).count(),
            connected: self.swarm.connected_peers().count(),
            dialled: self.dialled.list(),
            running: self.now(),
        })
    }
}

fn by_device(list: Vec<(PeerId, Multiaddr)>) -> BTreeMap<DeviceId, Vec<Multiaddr>> {
    let mut grouped: BTreeMap<DeviceId, Vec<Multiaddr>> = BTreeMap::new();
    for (peer, address) in list {
        let (address, _) = split_device(address);
        if let Some(device) = device_of(&peer)
            && worth_dialling(&address, false)
        {
            grouped.entry(device).or_default().push(address);
        }
    }
    grouped
}
