//! Where members may be reached: told between members over their live streams, so that one address in a link is enough for everyone to
//! find everyone. Hearsay only makes this device dial; who answers is proved by the connection.

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::live::{LiveFrame, MAX_TOLD_ADDRESSES, Whereabout, Whereabouts};
use conclave_protocol::wire;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::Driver;
use super::links::{LinkId, LinkKey};
use crate::net::StreamName;

impl Driver {
    /// Tells a member where this device and the others of the room may be reached.
    pub(super) fn tell_whereabouts(&self, key: LinkKey) {
        let Some(link) = self.links.by_key(key) else { return };
        let Some(entry) = self.rooms.get(&key.room) else { return };
        let me = entry.room.me();
        let others =
            entry.room.acl().roster().map(|member| member.device).filter(|device| *device != me && *device != key.device);
        let known = others.filter_map(|device| {
            let told = self.told.get(&device).or_else(|| self.addresses.get(&device))?;
            Some(Whereabout { device, addresses: told.clone() })
        });
        let own = Whereabout { device: me, addresses: self.listening.clone() };
        let told = Whereabouts::new(std::iter::once(own).chain(known));
        link.send_if_room(&wire::encode(&LiveFrame::Whereabouts(told)));
    }

    /// This device is reached elsewhere from here on.
    pub(super) fn tell_everyone_where(&self) {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            let keys: Vec<LinkKey> = self.links.of_room(room, StreamName::Live).map(|link| link.key).collect();
            keys.into_iter().filter(|key| self.is_member(key)).for_each(|key| self.tell_whereabouts(key));
        }
    }

    /// A member told where members may be reached.
    pub(super) async fn handle_whereabouts(&mut self, from: LinkId, told: Whereabouts) {
        let Some(key) = self.links.get(from).map(|link| link.key) else { return };
        for Whereabout { device, addresses } in told.devices() {
            let Some(entry) = self.rooms.get(&key.room) else { return };
            if device == entry.room.me() || !entry.room.acl().is_member(&device) {
                continue;
            }
            let addresses: Vec<String> = addresses.into_iter().filter(|address| dialable(address).is_some()).collect();
            // What a device says of itself is passed on; what it says of others is only tried.
            if device == key.device && self.told.get(&device) != Some(&addresses) {
                self.told.insert(device, addresses.clone());
                self.remember_addresses(device, addresses.clone()).await;
                self.pass_on(key, Whereabout { device, addresses });
            } else if !self.peers.get(&device).is_some_and(|peer| peer.connected) {
                let addresses = addresses.iter().take(MAX_TOLD_ADDRESSES).filter_map(|address| dialable(address)).collect();
                if self.net.want(device, addresses).await.is_err() {
                    return;
                }
            }
        }
    }

    fn pass_on(&self, from: LinkKey, told: Whereabout) {
        let frame = wire::encode(&LiveFrame::Whereabouts(Whereabouts::new([told])));
        for link in self.links.of_room(from.room, StreamName::Live) {
            if link.key.device != from.device && self.is_member(&link.key) {
                link.send_if_room(&frame);
            }
        }
    }

    fn is_member(&self, key: &LinkKey) -> bool {
        self.rooms.get(&key.room).is_some_and(|entry| entry.room.acl().is_member(&key.device))
    }

    /// Forgets what a device said that no room needs any more.
    pub(super) fn forget_whereabouts(&mut self) {
        let rooms = &self.rooms;
        self.told.retain(|device: &DeviceId, _| rooms.values().any(|entry| entry.room.acl().is_member(device)));
    }
}

/// An address by number: a name would be looked up in the open.
fn dialable(address: &str) -> Option<Multiaddr> {
    let address: Multiaddr = address.parse().ok()?;
    matches!(address.iter().next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_))).then_some(address)
}
