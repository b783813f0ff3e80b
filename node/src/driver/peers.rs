//! Devices on the network: who is there, which of them are to be connected, and where members were last reached.

use conclave_protocol::id::{DeviceId, RoomId};

use super::Driver;
use crate::error::CommandError;
use crate::event::Event;
use crate::net::{NetEvent, address};
use crate::store::Batch;
use crate::view::{PathView, PeerView};

/// Addresses of a member that are kept across runs.
const MAX_ADDRESSES: usize = 12;

/// Devices nearby that are kept in view. Past it further ones are not shown; they can still be reached.
const MAX_PEERS: usize = 4096;

/// A device on the network.
#[derive(Debug, Default)]
pub(super) struct PeerState {
    pub(super) discovered: bool,
    pub(super) connected: bool,
    pub(super) transport: Option<String>,
    pub(super) addresses: Vec<String>,
    /// The other end of the newest connection.
    pub(super) reached: Option<String>,
    pub(super) rtt_ms: Option<u32>,
    pub(super) path: Option<PathView>,
}

impl Driver {
    pub(super) async fn handle_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Listening(listening) => {
                self.listening.clone_from(&listening);
                self.tell_everyone_where();
                self.tell_team();
                if std::mem::replace(&mut self.ready, true) {
                    self.publish(Event::Listening { listening });
                } else {
                    self.publish(Event::Ready { profile: self.me.view(), listening });
                }
            }
            NetEvent::Discovered { device, addresses, after_ms } => {
                let Some(peer) = self.peer(device) else { return };
                let news = !std::mem::replace(&mut peer.discovered, true);
                peer.addresses = addresses;
                if news {
                    let peer = peer_view(device, peer);
                    self.publish(Event::PeerDiscovered { peer, after_ms });
                }
                self.handle_neighbour(device).await;
            }
            NetEvent::Expired { device } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.discovered = false;
                    if !peer.connected {
                        self.peers.remove(&device);
                    }
                }
            }
            NetEvent::Connected { device, transport, address } => {
                let Some(peer) = self.peer(device) else { return };
                peer.connected = true;
                peer.transport = Some(transport.as_str().to_owned());
                peer.path = way_to(&address);
                peer.reached = Some(address.clone());
                let view = peer_view(device, peer);
                self.publish(Event::PeerConnected { peer: view });
                self.tell_files_of_path(device).await;
                self.wish_links(device);
                self.handle_neighbour(device).await;
                self.remember_address(device, address).await;
            }
            NetEvent::Moved { device, transport, address } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.transport = Some(transport.as_str().to_owned());
                    peer.path = way_to(&address);
                }
                self.tell_files_of_path(device).await;
            }
            NetEvent::Disconnected { device } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.connected = false;
                    peer.transport = None;
                    peer.path = None;
                    peer.rtt_ms = None;
                    if !peer.discovered {
                        self.peers.remove(&device);
                    }
                }
                self.tell_files_of_path(device).await;
                self.links.unwish(device, None);
                self.hear_no_more(device);
                self.publish(Event::PeerLost { device });
            }
            NetEvent::Rtt { device, ms } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.rtt_ms = Some(ms);
                }
            }
            NetEvent::Inbound { stream, .. } => self.links.accept(stream),
            NetEvent::DialFailed { .. } => {}
        }
    }

    fn peer(&mut self, device: DeviceId) -> Option<&mut PeerState> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&device) {
            // A neighbour that was only heard of makes room for the next.
            let stranger = self.peers.iter().find(|(_, peer)| !peer.connected).map(|(device, _)| *device)?;
            self.peers.remove(&stranger);
        }
        Some(self.peers.entry(device).or_default())
    }

    pub(super) fn peer_views(&self) -> Vec<PeerView> {
        self.peers.iter().map(|(device, peer)| peer_view(*device, peer)).collect()
    }

    /// A device is connected: the streams of every room that both belong to are to stand.
    pub(super) fn wish_links(&mut self, device: DeviceId) {
        for (room, entry) in &self.rooms {
            if entry.room.my_role().is_some() && entry.room.acl().is_member(&device) {
                self.links.wish(device, *room);
            }
        }
    }

    /// Keeps a connection to every member of a room.
    pub(super) async fn reach_members(&mut self, room: RoomId) {
        let Some(entry) = self.rooms.get(&room) else { return };
        if entry.room.my_role().is_none() {
            return;
        }
        let me = entry.room.me();
        let members: Vec<DeviceId> =
            entry.room.acl().roster().map(|member| member.device).filter(|device| *device != me).collect();
        for device in members {
            let known = self.addresses.get(&device).map(Vec::as_slice).unwrap_or_default();
            let addresses = known.iter().filter_map(|address| address.parse().ok()).collect();
            if self.net.want(device, addresses).await.is_err() {
                return;
            }
            if let Some(peer) = self.peers.get(&device).filter(|peer| peer.connected) {
                // Whoever let this device in was connected before they were a member of any room here.
                let reached = peer.reached.clone();
                self.links.wish(device, room);
                if let Some(address) = reached {
                    self.remember_address(device, address).await;
                }
            }
        }
    }

    /// Lets go of devices that no room needs any more.
    pub(super) async fn review_wanted(&mut self) {
        self.forget_whereabouts();
        let known: Vec<DeviceId> = self.peers.keys().copied().collect();
        for device in known {
            let shared = self.rooms.values().any(|entry| entry.room.my_role().is_some() && entry.room.acl().is_member(&device));
            if !shared && self.net.unwant(device).await.is_err() {
                return;
            }
        }
    }

    /// Where a device was reached last.
    pub(super) async fn remember_address(&mut self, device: DeviceId, address: String) {
        self.remember_addresses(device, vec![address]).await;
    }

    /// Keeps where a member may be found in the next run: the newest first.
    pub(super) async fn remember_addresses(&mut self, device: DeviceId, newest: Vec<String>) {
        if !self.rooms.values().any(|entry| entry.room.acl().is_member(&device)) {
            return;
        }
        let known = self.addresses.entry(device).or_default();
        let mut merged = newest;
        merged.extend(known.iter().filter(|address| !merged.contains(address)).cloned().collect::<Vec<_>>());
        merged.truncate(MAX_ADDRESSES);
        if *known == merged {
            return;
        }
        *known = merged;
        let batch = Batch::new().addresses(&device, known);
        if let Err(error) = self.store.commit(batch).await {
            self.publish(Event::Problem { error: CommandError::from(error).into() });
        }
    }
}

fn way_to(address: &str) -> Option<PathView> {
    address::way_to(&address.parse().ok()?)
}

fn peer_view(device: DeviceId, peer: &PeerState) -> PeerView {
    PeerView {
        device,
        connected: peer.connected,
        transport: peer.transport.clone(),
        addresses: peer.addresses.clone(),
        rtt_ms: peer.rtt_ms,
        path: peer.path,
    }
}
