//! How many connections of one network may be half open at once, so that nobody alone takes all the places that strangers have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::dials::ip_of;
use super::policy::network;

/// Connections of one network (an IPv4 /24, an IPv6 /48) that are being authenticated. One more is refused.
const PENDING_PER_NETWORK: usize = 64;

#[derive(Debug, thiserror::Error)]
#[error("too many half-open connections of one network")]
struct TooMany;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pending: HashMap<ConnectionId, IpAddr>,
    of: HashMap<IpAddr, usize>,
}

impl Sources {
    fn begin(&mut self, id: ConnectionId, ip: IpAddr) -> bool {
        let count = self.of.entry(network(ip)).or_default();
        let room = *count < PENDING_PER_NETWORK;
        if room {
            *count += 1;
            self.pending.insert(id, network(ip));
        }
        room
    }

    fn end(&mut self, id: ConnectionId) {
        if let Some(network) = self.pending.remove(&id)
            && let Some(count) = self.of.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&network);
            }
        }
    }
}

impl NetworkBehaviour for Sources {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match ip_of(remote) {
            Some(ip) if !self.begin(id, ip) => Err(ConnectionDenied::new(TooMany)),
            _ => Ok(()),
        }
    }

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

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => self.end(made.connection_id),
            FromSwarm::ListenFailure(failed) => self.end(failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_network_takes_its_share_and_gives_it_back() {
        let mut sources = Sources::default();
        let id = ConnectionId::new_unchecked;
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..PENDING_PER_NETWORK {
            assert!(sources.begin(id(n), at(&format!("203.0.113.{n}"))));
        }
        assert!(!sources.begin(id(900), at("203.0.113.250")) && !sources.begin(id(901), at("::ffff:203.0.113.9")));
        assert!(sources.begin(id(902), at("203.0.114.1")) && sources.begin(id(903), at("2001:db8:1::1")));
        sources.end(id(900));
        assert!(!sources.begin(id(904), at("203.0.113.1")), "what was refused gives nothing back");
        sources.end(id(0));
        assert!(sources.begin(id(905), at("203.0.113.1")));
        (0..1000).for_each(|n| sources.end(id(n)));
        assert!(sources.pending.is_empty() && sources.of.is_empty());
    }
}
