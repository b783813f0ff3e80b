//! The one rule for connections that this node makes: only back to an address from which a device is connected right now. So AutoNAT
//! cannot be turned on a third party, and what Identify claims is never dialled.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::policy::unmapped;

/// The address is nobody's who is here.
#[derive(Debug, thiserror::Error)]
#[error("this node dials only back to where a device is connected from")]
struct NotBack;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct DialBack {
    /// How many connections stand from each address of each device.
    from: BTreeMap<(PeerId, IpAddr), usize>,
}

impl NetworkBehaviour for DialBack {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let back = |address: &Multiaddr| {
            peer.zip(ip_of(address)).is_some_and(|from| self.from.contains_key(&from))
                && !address.iter().any(|part| part == Protocol::P2pCircuit)
        };
        if addresses.iter().all(back) { Ok(Vec::new()) } else { Err(ConnectionDenied::new(NotBack)) }
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
            FromSwarm::ConnectionEstablished(made) if made.endpoint.is_listener() => {
                if let Some(ip) = ip_of(made.endpoint.get_remote_address()) {
                    *self.from.entry((made.peer_id, ip)).or_default() += 1;
                }
            }
            FromSwarm::ConnectionClosed(closed) if closed.endpoint.is_listener() => {
                if let Some(ip) = ip_of(closed.endpoint.get_remote_address())
                    && let Some(count) = self.from.get_mut(&(closed.peer_id, ip))
                {
                    *count -= 1;
                    if *count == 0 {
                        self.from.remove(&(closed.peer_id, ip));
                    }
                }
            }
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

pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(unmapped(IpAddr::V6(ip))),
        _ => None,
    }
}
