//! The libp2p behaviours of the node with their limits.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    PeerId, StreamProtocol, allow_block_list, autonat, connection_limits, identify, kad, memory_connection_limits, ping, relay,
    rendezvous,
};

use super::budget::REGISTERED;
use super::dials::DialBack;
use super::quota::Quota;
use super::sources::Sources;
use super::table::MAX_RECORD;
use crate::config;

const PROTOCOL_VERSION: &str = "conclave-bootstrap/1";
/// Connections that are being authenticated at once. One more is refused.
const PENDING: u32 = 512;
/// Connections of one device.
const PER_PEER: u32 = 4;
/// No connection is taken while the whole process holds more memory than this.
const MEMORY_BYTES: usize = 2 * 1024 * 1024 * 1024;
/// Topics under which one device may be found.
const TOPICS_PER_PEER: usize = 32;
/// Registrations and cookies of all: a cookie remembers every registration that it showed, so both together bound the memory.
const TOPICS: usize = 20_000;
const COOKIES: usize = 2_048;
/// How long a device is found without saying again that it is there.
const TOPIC_MAX_TTL_S: u64 = REGISTERED.as_secs();
/// The hash table is the team's own: it never meets the public one.
pub(super) const KADEMLIA: StreamProtocol = StreamProtocol::new("/conclave/kad/1");
/// Records of all devices; a device has one.
const RECORDS: usize = 20_000;
const RECORD_TTL: Duration = Duration::from_secs(24 * 3600);
/// Largest message of the hash table, in bytes: a record, and 20 peers with their addresses.
const KADEMLIA_MESSAGE: usize = 16 * 1024;
const KADEMLIA_TIMEOUT: Duration = Duration::from_secs(8);
const RESERVATION: Duration = Duration::from_secs(3600);
const PING_INTERVAL: Duration = Duration::from_secs(15);

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // Limits come first: what they deny, the others never see.
    limits: connection_limits::Behaviour,
    sources: Sources,
    memory: memory_connection_limits::Behaviour,
    pub(super) members: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    dials: DialBack,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) relay: relay::Behaviour,
    rendezvous: rendezvous::server::Behaviour,
    autonat: autonat::v2::server::Behaviour,
    pub(super) kademlia: kad::Behaviour<MemoryStore>,
}

impl Behaviour {
    pub(super) fn new(keypair: &Keypair, config: &config::Reach, quota: &Quota) -> Self {
        let limits = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING))
            .with_max_established_incoming(Some(config.max_connections))
            .with_max_established_per_peer(Some(PER_PEER));
        let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public()).with_cache_size(0);
        let (reserving, connecting) = (quota.clone(), quota.clone());
        let relay = relay::Config {
            // The quota counts them all: libp2p's own count would refuse renewals too when the relay is full.
            max_reservations: usize::MAX,
            max_reservations_per_peer: 2,
            reservation_duration: RESERVATION,
            reservation_rate_limiters: vec![Box::new(move |peer, _: &_, _| reserving.try_reserve(peer))],
            max_circuits: config.circuits,
            max_circuits_per_peer: 32,
            max_circuit_duration: Duration::from_secs(config.circuit_seconds),
            max_circuit_bytes: config.circuit_bytes,
            circuit_src_rate_limiters: vec![Box::new(move |peer, _: &_, _| connecting.may_connect(peer))],
        };
        let topics = rendezvous::server::Config::default()
            .with_max_ttl(TOPIC_MAX_TTL_S)
            .with_min_ttl(60)
            .with_max_registration_per_peer(TOPICS_PER_PEER)
            .with_max_registration_total(TOPICS)
            .with_max_stored_cookies(COOKIES);
        Self {
            limits: connection_limits::Behaviour::new(limits),
            sources: Sources::default(),
            memory: memory_connection_limits::Behaviour::with_max_bytes(MEMORY_BYTES),
            members: allow_block_list::Behaviour::default(),
            dials: DialBack::default(),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
            relay: relay::Behaviour::new(keypair.public().to_peer_id(), relay),
            rendezvous: rendezvous::server::Behaviour::new(topics),
            autonat: autonat::v2::server::Behaviour::default(),
            kademlia: kademlia(keypair.public().to_peer_id()),
        }
    }
}

/// A server of the hash table that asks nobody anything: no queries, no replication, nobody let in whom [`super::table`] did not see.
fn kademlia(me: PeerId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(KADEMLIA);
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_periodic_bootstrap_interval(None)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_record_ttl(Some(RECORD_TTL))
        .set_max_packet_size(KADEMLIA_MESSAGE)
        .set_substreams_timeout(KADEMLIA_TIMEOUT);
    let limits = MemoryStoreConfig {
        max_records: RECORDS,
        max_value_bytes: MAX_RECORD + 1,
        // Who is in a room is found by rendezvous alone.
        max_providers_per_key: 0,
        max_provided_keys: 0,
    };
    let mut behaviour = kad::Behaviour::with_config(me, MemoryStore::with_config(me, limits), config);
    behaviour.set_mode(Some(kad::Mode::Server));
    behaviour
}
