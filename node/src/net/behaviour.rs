//! The libp2p behaviours of a node, put together with their limits. Its events never leave this module's parent.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{connection_limits, dcutr, identify, mdns, memory_connection_limits, ping, relay};

use super::streams::Streams;
use super::transport::PING_INTERVAL;

/// The family and major version of the streams; a peer that names another family is another program.
pub(crate) const PROTOCOL_FAMILY: &str = "conclave/";
const PROTOCOL_VERSION: &str = "conclave/1";
const AGENT_VERSION: &str = concat!("conclave/", env!("CARGO_PKG_VERSION"));

/// Connections that are being authenticated at once, each way. One more is refused.
const PENDING: u32 = 48;
/// Connections at once. Outgoing ones keep a share that nobody outside can take.
const ESTABLISHED: u32 = 192;
const ESTABLISHED_INCOMING: u32 = 144;
/// Connections of one peer: one, and what a simultaneous dial leaves for a moment.
const ESTABLISHED_PER_PEER: u32 = 4;
/// No connection is made while the whole process holds more memory than this.
const MEMORY_BYTES: usize = 1024 * 1024 * 1024;
/// An unanswered ping has failed after so long.
const PING_TIMEOUT: Duration = Duration::from_secs(4);
/// How long neighbours remember this device without hearing of it, and how often it asks for them.
const MDNS_TTL: Duration = Duration::from_secs(120);
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(30);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // Limits come first: what they deny, the others never see.
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(crate) streams: Streams,
    identify: identify::Behaviour,
    relay: relay::client::Behaviour,
    // Punches a hole wherever a circuit stands.
    dcutr: dcutr::Behaviour,
    ping: ping::Behaviour,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    /// Also gives why mDNS does not work here, where it was asked for and does not.
    pub(crate) fn new(keypair: &Keypair, with_mdns: bool, relay: relay::client::Behaviour) -> (Self, Option<String>) {
        let limits = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING))
            .with_max_pending_outgoing(Some(PENDING))
            .with_max_established(Some(ESTABLISHED))
            .with_max_established_incoming(Some(ESTABLISHED_INCOMING))
            .with_max_established_per_peer(Some(ESTABLISHED_PER_PEER));
        // What peers tell of their addresses is kept and judged by `paths`, not by a cache that dials by itself.
        let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
            .with_agent_version(AGENT_VERSION.to_owned())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        let mut mdns_failure = None;
        let mdns = with_mdns.then(|| {
            let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6: false };
            mdns::tokio::Behaviour::new(config, keypair.public().to_peer_id())
        });
        let mdns = match mdns {
            Some(Ok(mdns)) => Some(mdns),
            Some(Err(error)) => {
                tracing::warn!(%error, "the LAN cannot be asked for neighbours");
                mdns_failure = Some(error.to_string());
                None
            }
            None => None,
        };
        let behaviour = Self {
            limits: connection_limits::Behaviour::new(limits),
            memory: memory_connection_limits::Behaviour::with_max_bytes(MEMORY_BYTES),
            streams: Streams::new(),
            identify: identify::Behaviour::new(identify),
            relay,
            dcutr: dcutr::Behaviour::new(keypair.public().to_peer_id()),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            mdns: Toggle::from(mdns),
        };
        (behaviour, mdns_failure)
    }
}
