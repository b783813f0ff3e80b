//! A member's device on the libp2p side of a node, and whatever an attacker who is a member would have: a real swarm, driven by a task.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::identity::Keypair;
use libp2p::kad::store::MemoryStore;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, autonat, identify, kad, noise, relay, rendezvous, yamux};
use tokio::sync::mpsc;

use crate::program::Program;
use crate::support::Person;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(NetworkBehaviour)]
pub(crate) struct Client {
    pub(crate) suggest: Suggest,
    identify: identify::Behaviour,
    pub(crate) rendezvous: rendezvous::client::Behaviour,
    pub(crate) kad: kad::Behaviour<MemoryStore>,
    autonat: autonat::v2::client::Behaviour,
    relay: relay::client::Behaviour,
}

type Event = SwarmEvent<ClientEvent>;
type Act = Box<dyn FnOnce(&mut Swarm<Client>) + Send>;

/// A device that runs. Ends when dropped.
pub(crate) struct Device {
    pub(crate) peer: PeerId,
    /// Where it listens, which is where it dials from too.
    pub(crate) address: Multiaddr,
    /// The node's.
    pub(crate) node: (PeerId, Multiaddr),
    acts: mpsc::UnboundedSender<Act>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Device {
    /// A device of a member at a loopback address of its own, connected to the node and known to it.
    pub(crate) async fn start(person: &Person, program: &Program, ip: &str) -> Self {
        let mut device = Self::listen(person, program, ip).await;
        device.connect().await;
        device
    }

    /// Until the node takes it: who is a member is looked at within two seconds.
    pub(crate) async fn connect(&mut self) {
        let connected = async {
            while !self.is_taken_back().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("the node takes the device");
    }

    /// Only listens.
    pub(crate) async fn listen(person: &Person, program: &Program, ip: &str) -> Self {
        let keypair = Keypair::ed25519_from_bytes(person.device.to_bytes()).unwrap();
        let mut swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            // Of the transports the one that dials from where it listens, address and all.
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|keypair, relay| {
                let peer = keypair.public().to_peer_id();
                let mut config = kad::Config::new(StreamProtocol::new("/conclave/kad/1"));
                config
                    .set_kbucket_inserts(kad::BucketInserts::Manual)
                    .set_periodic_bootstrap_interval(None)
                    .set_caching(kad::Caching::Disabled)
                    .set_max_packet_size(4 * 1024 * 1024);
                let mut kad = kad::Behaviour::with_config(peer, MemoryStore::new(peer), config);
                kad.set_mode(Some(kad::Mode::Server));
                Client {
                    suggest: Suggest::default(),
                    identify: identify::Behaviour::new(
                        identify::Config::new("test/1".into(), keypair.public()).with_cache_size(0),
                    ),
                    rendezvous: rendezvous::client::Behaviour::new(keypair.clone()),
                    kad,
                    autonat: autonat::v2::client::Behaviour::default(),
                    relay,
                }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build();
        let peer = *swarm.local_peer_id();
        let node = program.peers_at("udp").await;
        let Some(Protocol::P2p(node_peer)) = node.iter().last() else { panic!("no PeerId in {node}") };
        swarm.behaviour_mut().kad.add_address(&node_peer, node.clone());
        swarm.listen_on(format!("/ip4/{ip}/udp/0/quic-v1").parse().unwrap()).unwrap();
        let (acts, mut to_do) = mpsc::unbounded_channel::<Act>();
        let (told, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => drop(told.send(event)),
                    act = to_do.recv() => match act {
                        Some(act) => act(&mut swarm),
                        None => return,
                    },
                }
            }
        });
        let mut device = Self { peer, address: Multiaddr::empty(), node: (node_peer, node), acts, events };
        device.address = device
            .wait(|event| match event {
                SwarmEvent::NewListenAddr { address, .. } => Some(address.clone()),
                _ => None,
            })
            .await;
        device
    }

    pub(crate) fn act(&self, act: impl FnOnce(&mut Swarm<Client>) + Send + 'static) {
        self.acts.send(Box::new(act)).unwrap();
    }

    /// The first event that `choose` takes.
    pub(crate) async fn wait<T>(&mut self, mut choose: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the device runs");
                if let Some(found) = choose(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("what was waited for")
    }

    /// Whether the node takes it for a topic.
    pub(crate) async fn register(&mut self, topic: &str) -> bool {
        let (node, topic) = (self.node.0, rendezvous::Namespace::new(topic.to_owned()).unwrap());
        let mine = self.address.clone();
        self.act(move |swarm| {
            swarm.add_external_address(mine);
            swarm.behaviour_mut().rendezvous.register(topic, node, None).unwrap();
        });
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Rendezvous(rendezvous::client::Event::Registered { .. })) => Some(true),
            SwarmEvent::Behaviour(ClientEvent::Rendezvous(rendezvous::client::Event::RegisterFailed { .. })) => Some(false),
            _ => None,
        })
        .await
    }

    /// Who is at a topic.
    pub(crate) async fn discover(&mut self, topic: &str) -> Vec<PeerId> {
        let (node, topic) = (self.node.0, rendezvous::Namespace::new(topic.to_owned()).unwrap());
        self.act(move |swarm| swarm.behaviour_mut().rendezvous.discover(Some(topic), None, None, node));
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Rendezvous(rendezvous::client::Event::Discovered { registrations, .. })) => {
                Some(registrations.iter().map(|registration| registration.record.peer_id()).collect())
            }
            SwarmEvent::Behaviour(ClientEvent::Rendezvous(rendezvous::client::Event::DiscoverFailed { .. })) => Some(Vec::new()),
            _ => None,
        })
        .await
    }

    /// Gives the node a record; true where it answered.
    pub(crate) async fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let node = self.node.0;
        let record = kad::Record { key: key.into(), value, publisher: None, expires: None };
        self.act(move |swarm| {
            let _ = swarm.behaviour_mut().kad.put_record_to(record, std::iter::once(node), kad::Quorum::One);
        });
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Kad(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::PutRecord(result),
                ..
            })) => Some(result.is_ok()),
            _ => None,
        })
        .await
    }

    /// The value that the node has under a key.
    pub(crate) async fn get(&mut self, key: Vec<u8>) -> Option<Vec<u8>> {
        self.act(move |swarm| {
            let _ = swarm.behaviour_mut().kad.get_record(key.into());
        });
        let mut value = None;
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Kad(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetRecord(result),
                step,
                ..
            })) => {
                if let Ok(kad::GetRecordOk::FoundRecord(found)) = result {
                    value = Some(found.record.value.clone());
                }
                step.last.then_some(())
            }
            _ => None,
        })
        .await;
        value
    }

    /// Whom the table of the node has near a key, and where.
    pub(crate) async fn closest(&mut self, key: PeerId) -> Vec<kad::PeerInfo> {
        self.act(move |swarm| {
            let _ = swarm.behaviour_mut().kad.get_closest_peers(key);
        });
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Kad(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetClosestPeers(result),
                step,
                ..
            })) if step.last => Some(match result {
                Ok(found) => found.peers.clone(),
                Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers.clone(),
            }),
            _ => None,
        })
        .await
    }

    /// Whether the relay gives it a place.
    pub(crate) async fn reserve(&mut self) -> bool {
        let at = self.node.1.clone().with(Protocol::P2pCircuit);
        self.act(move |swarm| drop(swarm.listen_on(at)));
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Relay(relay::client::Event::ReservationReqAccepted { .. })) => Some(true),
            SwarmEvent::ListenerClosed { .. } => Some(false),
            _ => None,
        })
        .await
    }

    /// Reaches another device through the relay.
    pub(crate) async fn reach(&mut self, other: &Self) {
        let (peer, at) = (other.peer, self.node.1.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(other.peer)));
        self.act(move |swarm| swarm.dial(at).unwrap());
        self.wait(|event| match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } if *peer_id == peer => Some(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
            _ => None,
        })
        .await;
    }

    /// Has the node try whether it can be reached there; whether it could.
    pub(crate) async fn ask_to_be_dialled(&mut self, at: Multiaddr) -> bool {
        let (candidate, at) = (at.clone(), at.to_string());
        self.act(move |swarm| swarm.behaviour_mut().suggest.0.push_back(candidate));
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Autonat(tried)) if tried.tested_addr.to_string().starts_with(&at) => {
                Some(tried.result.is_ok())
            }
            _ => None,
        })
        .await
    }

    /// Until the node has closed every connection.
    pub(crate) async fn is_cut_off(&mut self) {
        let node = self.node.0;
        self.wait(|event| match event {
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } if *peer_id == node => Some(()),
            _ => None,
        })
        .await;
    }

    /// Whether the node takes a connection of it; it has none.
    pub(crate) async fn is_taken_back(&mut self) -> bool {
        let (peer, address) = self.node.clone();
        self.act(move |swarm| drop(swarm.dial(address)));
        self.wait(|event| match event {
            SwarmEvent::Behaviour(ClientEvent::Identify(identify::Event::Sent { peer_id, .. })) if *peer_id == peer => Some(true),
            SwarmEvent::ConnectionClosed { num_established: 0, .. } | SwarmEvent::OutgoingConnectionError { .. } => Some(false),
            _ => None,
        })
        .await
    }
}

/// Says that the device might be reached at these addresses.
#[derive(Default)]
pub(crate) struct Suggest(VecDeque<Multiaddr>);

impl NetworkBehaviour for Suggest {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.pop_front().map_or(Poll::Pending, |address| Poll::Ready(ToSwarm::NewExternalAddrCandidate(address)))
    }
}
