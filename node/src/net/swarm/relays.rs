//! The relays of this person's team: a connection to each is kept, and on it a reservation, so that members behind other NATs reach this
//! device. A relay is no peer: it is not shown, and carries what it cannot read.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::Task;
use crate::net::TransportName;
use crate::net::address::{self, transport_of};

/// Relays at once, and addresses of each.
const RELAYS: usize = 4;
const ADDRESSES: usize = 8;
/// Wait before a relay is tried again; doubled for each further attempt.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);
/// Attempts by QUIC alone. A new member may be turned away once, until the relay has read who is one.
const QUIC_ALONE: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<PeerId, Relay>);

#[derive(Debug, Default)]
struct Relay {
    addresses: Vec<Multiaddr>,
    listener: Option<ListenerId>,
    failures: u32,
    due: Option<Duration>,
}

impl Relay {
    fn again(&mut self, now: Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(6)).min(LAST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
    }
}

impl Relays {
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.0.values().filter_map(|relay| relay.due).min()
    }

    /// Through which any member may be dialled: one address for each relay that stands.
    pub(super) fn circuits(&self) -> Vec<Multiaddr> {
        let stand = self.0.iter().filter(|(_, relay)| relay.listener.is_some());
        stand.filter_map(|(peer, relay)| Some(circuit(relay.addresses.first()?, *peer))).collect()
    }
}

impl Task {
    /// These and no others from here on, each address with `/p2p/…`.
    pub(super) fn set_relays(&mut self, addresses: Vec<Multiaddr>) {
        let now = self.now();
        let mut relays: BTreeMap<PeerId, Relay> = BTreeMap::new();
        for mut address in addresses {
            let Some(Protocol::P2p(peer)) = address.pop() else { continue };
            let known = relays.contains_key(&peer) || relays.len() < RELAYS;
            // A name would be looked up in the open.
            if known && address::worth_dialling(&address, true) {
                let relay = relays.entry(peer).or_default();
                if relay.addresses.len() < ADDRESSES {
                    relay.addresses.push(address);
                }
            }
        }
        for (peer, old) in std::mem::take(&mut self.relays.0) {
            match relays.get_mut(&peer) {
                Some(new) => (new.listener, new.due, new.failures) = (old.listener, old.due, old.failures),
                None => {
                    old.listener.map(|listener| self.swarm.remove_listener(listener));
                    // Not connected: what was wanted.
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
            }
        }
        for relay in relays.values_mut().filter(|relay| relay.listener.is_none()) {
            relay.due = Some(now);
            relay.failures = 0;
        }
        self.relays.0 = relays;
    }

    /// Dials the relays that are due.
    pub(super) fn reach_relays(&mut self) {
        let now = self.now();
        for (peer, relay) in &mut self.relays.0 {
            if relay.due.is_none_or(|due| due > now) {
                continue;
            }
            // Until something is heard of the attempt.
            relay.again(now);
            if self.swarm.is_connected(peer) {
                reserve(&mut self.swarm, *peer, relay);
                continue;
            }
            // QUIC alone at first: of what a NAT makes of its one port, others are told where to punch; a hole for TCP fails more often.
            let quic = relay.addresses.iter().filter(|address| transport_of(address) == Some(TransportName::Quic));
            let quic: Vec<Multiaddr> = if relay.failures <= QUIC_ALONE { quic.cloned().collect() } else { Vec::new() };
            let addresses = if quic.is_empty() { relay.addresses.clone() } else { quic };
            // From the port that is listened on.
            let options = DialOpts::peer_id(*peer).condition(PeerCondition::Disconnected).addresses(addresses).build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%error, "the relay was not dialled");
            }
        }
    }

    /// True where it was a relay that connected.
    pub(super) fn relay_connected(&mut self, peer: &PeerId) -> bool {
        let Some(relay) = self.relays.0.get_mut(peer) else { return false };
        if relay.listener.is_none() {
            reserve(&mut self.swarm, *peer, relay);
        }
        true
    }

    /// The reservation stands: members are dialled through it, and may dial this device.
    pub(super) fn relay_reserved(&mut self, peer: &PeerId) {
        let now = self.now();
        if let Some(relay) = self.relays.0.get_mut(peer) {
            tracing::info!("this device can be reached through the team's relay");
            (relay.failures, relay.due) = (0, None);
        }
        self.paths.handle_circuits(&self.relays.circuits(), now);
    }

    /// A listener ended; where it was a relay's, it is tried again.
    pub(super) fn relay_listener_closed(&mut self, listener: ListenerId) {
        let now = self.now();
        if let Some(relay) = self.relays.0.values_mut().find(|relay| relay.listener == Some(listener)) {
            relay.listener = None;
            relay.again(now);
        }
    }
}

fn reserve(swarm: &mut libp2p::Swarm<crate::net::behaviour::Behaviour>, peer: PeerId, relay: &mut Relay) {
    let Some(first) = relay.addresses.first() else { return };
    match swarm.listen_on(circuit(first, peer)) {
        Ok(listener) => {
            relay.listener = Some(listener);
            relay.due = None;
        }
        Err(error) => tracing::warn!(%error, "no place at the relay can be asked for"),
    }
}

fn circuit(address: &Multiaddr, relay: PeerId) -> Multiaddr {
    address.clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}
