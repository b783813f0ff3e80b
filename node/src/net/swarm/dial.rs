//! Attempts to connect: names are looked up first, then addresses are dialled; what becomes of each address is kept for the diagnosis.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use conclave_protocol::id::DeviceId;
use libp2p::Multiaddr;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::Task;
use crate::net::address::{self, peer_of, split_device, transport_of, worth_dialling};
use crate::net::{NetEvent, TransportName, diagnosis};

/// Names that are being looked up; an attempt beyond them fails.
const LOOKUPS: usize = 32;

/// The system's resolver gets so long; without a network it may take minutes. [`diagnosis::NAME_UNANSWERED`] names it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses of one request.
pub(super) const ADDRESSES: usize = 16;

/// Attempts at addresses without a known device, at once.
const BLIND_DIALS: usize = 64;

/// Addresses whose names have been looked up.
pub(super) struct Looked {
    device: Option<DeviceId>,
    addresses: Vec<Multiaddr>,
    /// Names that gave no address, and why.
    unknown: Vec<(Multiaddr, &'static str)>,
}

impl Task {
    pub(super) fn dial(&mut self, device: Option<DeviceId>, addresses: Vec<Multiaddr>) {
        let now = self.now();
        if let Some(device) = device {
            self.paths.handle_dial(device, hints(Some(device), addresses), now);
            return;
        }
        let mut nobodys = Vec::new();
        for address in addresses.into_iter().take(ADDRESSES) {
            match split_device(address) {
                (address, Some(device)) => {
                    self.paths.handle_dial(device, hints(Some(device), vec![address]), now);
                }
                (address, None) => nobodys.push(address),
            }
        }
        let nobodys = hints(None, nobodys);
        if !nobodys.is_empty() {
            self.look_up(None, nobodys);
        }
    }

    /// Tries a device that is reached through a relay without it.
    pub(super) fn upgrade(&mut self, device: DeviceId, mut addresses: Vec<Multiaddr>) {
        // Names were looked up when they were dialled first.
        addresses.retain(|address| address::host_name(address).is_none());
        let Some(peer) = peer_of(&device).filter(|_| !addresses.is_empty()) else { return };
        let options =
            DialOpts::peer_id(peer).condition(PeerCondition::NotDialing).addresses(addresses).allocate_new_port().build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(?device, %error, "no direct connection is tried");
        }
    }

    /// Turns names into addresses with the system's resolver, which knows `/etc/hosts` and `.local`, then dials.
    pub(super) fn look_up(&mut self, device: Option<DeviceId>, addresses: Vec<Multiaddr>) {
        let (named, mut ready): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| address::host_name(address).is_some());
        if named.is_empty() {
            self.handle_looked(Looked { device, addresses: ready, unknown: Vec::new() });
        } else if self.lookups.len() >= LOOKUPS {
            let unknown = named.into_iter().map(|address| (address, diagnosis::DENIED)).collect();
            self.handle_looked(Looked { device, addresses: ready, unknown });
        } else {
            self.lookups.push(Box::pin(async move {
                let mut unknown = Vec::new();
                let mut ips: BTreeMap<String, Result<Vec<IpAddr>, &'static str>> = BTreeMap::new();
                for address in named {
                    let Some((name, ip4, ip6)) = address::host_name(&address) else { continue };
                    if !ips.contains_key(&name) {
                        ips.insert(name.clone(), resolve(&name).await);
                    }
                    match ips.get(&name) {
                        Some(Ok(found)) => {
                            let usable = found.iter().filter(|ip| if ip.is_ipv4() { ip4 } else { ip6 });
                            let before = ready.len();
                            ready.extend(usable.map(|ip| address::with_ip(&address, *ip)));
                            if ready.len() == before {
                                unknown.push((address, diagnosis::NAME_UNKNOWN));
                            }
                        }
                        Some(Err(why)) => unknown.push((address, *why)),
                        None => {}
                    }
                }
                ready.truncate(ADDRESSES);
                Looked { device, addresses: ready, unknown }
            }));
        }
    }

    pub(super) fn handle_looked(&mut self, looked: Looked) {
        for (address, why) in &looked.unknown {
            self.dial_failed(looked.device, address, why);
        }
        let now = self.now();
        let Some(device) = looked.device else {
            // TCP first: it says at once where nobody listens.
            let mut addresses = looked.addresses;
            addresses.sort_by_key(|address| transport_of(address) != Some(TransportName::Tcp));
            self.dial_blindly(addresses.into());
            return;
        };
        let dialled = match peer_of(&device) {
            Some(peer) if !looked.addresses.is_empty() => {
                looked.addresses.iter().for_each(|address| self.dialled.begin(address));
                // A port of its own: from the listening port, two TCP dials that cross would become one socket with two dialers.
                let options = DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(looked.addresses)
                    .allocate_new_port()
                    .build();
                self.swarm.dial(options)
            }
            _ => Err(DialError::NoAddresses),
        };
        if let Err(error) = dialled {
            tracing::debug!(?device, %error, "not dialled");
            self.paths.handle_dial_failed(device, now);
        }
    }

    pub(super) fn dial_blindly(&mut self, mut addresses: VecDeque<Multiaddr>) {
        while let Some(address) = addresses.pop_front() {
            if self.blind.len() >= BLIND_DIALS {
                self.dial_failed(None, &address, diagnosis::DENIED);
                continue;
            }
            let options = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => {
                    self.dialled.begin(&address);
                    self.blind.insert(connection, addresses);
                    return;
                }
                // Of the one address, nothing is left once the device's own are taken out.
                Err(DialError::NoAddresses) => self.dial_failed(None, &address, diagnosis::MYSELF),
                Err(error) => self.record_dial_error(None, &error),
            }
        }
    }

    pub(super) fn dial_failed(&mut self, device: Option<DeviceId>, address: &Multiaddr, outcome: &str) {
        self.dialled.record(address, outcome);
        tracing::debug!(?device, %address, outcome, "an address was not reached");
        self.tell(NetEvent::DialFailed { device, address: address.to_string(), outcome: outcome.to_owned() });
    }

    pub(super) fn record_dial_error(&mut self, device: Option<DeviceId>, error: &DialError) {
        let plain = |address: &Multiaddr| split_device(address.clone()).0;
        match error {
            DialError::Transport(attempts) => {
                for (address, error) in attempts {
                    self.dial_failed(device, &plain(address), diagnosis::outcome(error));
                }
            }
            DialError::WrongPeerId { address, .. } => self.dial_failed(device, &plain(address), diagnosis::SOMEBODY_ELSE),
            DialError::LocalPeerId { address } => self.dial_failed(device, &plain(address), diagnosis::MYSELF),
            DialError::Denied { .. } => tracing::info!(?device, %error, "not dialled"),
            DialError::NoAddresses | DialError::DialPeerConditionFalse(_) | DialError::Aborted => {
                tracing::debug!(?device, %error, "not dialled");
            }
        }
    }
}

/// Addresses from a person or a link that are worth an attempt. A name is, an address of another device is not.
pub(super) fn hints(device: Option<DeviceId>, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut hints: Vec<Multiaddr> = addresses
        .into_iter()
        .map(split_device)
        .filter(|(address, named)| {
            let named_right = named.is_none() || device.is_none() || *named == device;
            let dialled =
                worth_dialling(address, true) || (address::host_name(address).is_some() && transport_of(address).is_some());
            named_right && dialled
        })
        .map(|(address, _)| address)
        .collect();
    hints.truncate(ADDRESSES);
    hints
}

/// Why there is no address is one of the outcomes of [`diagnosis`].
pub(super) async fn resolve(name: &str) -> Result<Vec<IpAddr>, &'static str> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|socket| socket.ip()).collect()),
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "a name was not found");
            Err(diagnosis::NAME_UNKNOWN)
        }
        Err(_) => Err(diagnosis::NAME_UNANSWERED),
    }
}
