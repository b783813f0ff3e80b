//! Presence: who is in the call of a room now, as far as is heard. It never tells who belongs to the room: only the log does.
//!
//! A live stream carries [`LiveFrame`]s once the room proof is done and the other side is in the roster. What all are told travels in
//! the room's presence session ([`crate::session`]) as a [`LivePayload`]; what only the two need travels beside it.

use core::time::Duration;
use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::board::BoardLive;
use crate::call::host::{HostOrder, Reaction};
use crate::id::{CallId, DeviceId};
use crate::link::MAX_ADDRESS_LEN;
use crate::negotiation::Signal;
use crate::open_enum::open_enum;
use crate::session::message::SessionFrame;

/// Longest frame of a live stream, in bytes.
pub const MAX_LIVE_FRAME: usize = 64 * 1024;
/// Time between two presences of someone in a call.
pub const HEARTBEAT_IN_CALL: Duration = Duration::from_secs(1);
/// Time between two presences of someone who is in no call.
pub const HEARTBEAT_IDLE: Duration = Duration::from_secs(15);
/// Silence after which someone in a call is taken to be lost: four heartbeats missed, so that a crash is seen within 5 s.
pub const LOST_AFTER: Duration = Duration::from_millis(4_500);
/// Most devices of which one frame tells the addresses.
pub const MAX_TOLD_DEVICES: usize = 32;
/// Most addresses of one device in a frame.
pub const MAX_TOLD_ADDRESSES: usize = 8;
/// Most devices whose presence is kept. When it is full a new one is only kept in place of one that is in no call.
const MAX_DEVICES: usize = 1_024;

open_enum! {
    /// What travels on a live stream.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum LiveFrame {
        /// A message of the room's presence session.
        0 => Session(SessionFrame),
        /// Negotiation of the media between the two.
        1 => Signal(Signal),
        /// Where members may be reached, so that one address in a link is enough for everyone to find everyone.
        2 => Whereabouts(Whereabouts),
    }
}

open_enum! {
    /// What a member tells all others, sealed as a message of the presence session.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum LivePayload {
        /// Whether the sender is in the call, and what it sends there.
        0 => Presence(Presence),
        /// Something that floats over the call for a moment.
        1 => Reaction(Reaction),
        /// Somebody who leads the call wants something of one person, or of all.
        2 => Host(HostOrder),
        /// Where the sender is on the board, and what it draws there.
        10 => Board(BoardLive),
    }
}

/// Where members may be reached, as far as the sender knows. Hearsay: who answers there is proved by the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Whereabouts {
    #[n(0)]
    devices: Vec<Whereabout>,
}

/// Where one device may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Whereabout {
    /// Who.
    #[n(0)]
    pub device: DeviceId,
    /// Multiaddrs without the peer.
    #[n(1)]
    pub addresses: Vec<String>,
}

impl Whereabouts {
    /// At most [`MAX_TOLD_DEVICES`] devices with [`MAX_TOLD_ADDRESSES`] addresses each; the rest is left out.
    pub fn new(devices: impl IntoIterator<Item = Whereabout>) -> Self {
        let mut devices: Vec<Whereabout> =
            devices.into_iter().filter(|told| !told.addresses.is_empty()).take(MAX_TOLD_DEVICES).collect();
        for told in &mut devices {
            told.addresses.retain(|address| address.len() <= MAX_ADDRESS_LEN);
            told.addresses.truncate(MAX_TOLD_ADDRESSES);
        }
        Self { devices }
    }

    /// What was told, within the same bounds whoever told it.
    pub fn devices(self) -> Vec<Whereabout> {
        Self::new(self.devices).devices
    }
}

/// What a device says of itself, at each change and as a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Presence {
    /// Random at each start of the node.
    #[n(0)]
    pub session: u64,
    /// Grows with each presence of one session.
    #[n(1)]
    pub counter: u64,
    /// Absent where the device is in no call of this room.
    #[n(2)]
    pub in_call: Option<InCall>,
}

/// How a device takes part in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InCall {
    /// Which call.
    #[n(0)]
    pub call: CallId,
    /// When it joined, by its own clock, UTC. For display.
    #[n(1)]
    pub joined_ms: u64,
    /// It has been in long enough not to give way to anyone who comes at the same moment.
    #[n(2)]
    pub seated: bool,
    /// What it sends and plays.
    #[n(3)]
    pub media: MediaState,
    /// Loudness of its microphone in −dBov: 0 the loudest, 127 silence.
    #[n(4)]
    pub level: u8,
    /// Since when its hand is up, by its own clock, UTC; absent where it is down. Hands are taken in this order.
    #[n(5)]
    pub hand_ms: Option<u64>,
}

/// What a device sends and plays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MediaState {
    /// The microphone is on.
    #[n(0)]
    pub mic: bool,
    /// The camera is on.
    #[n(1)]
    pub camera: bool,
    /// A screen is shared.
    #[n(2)]
    pub screen: bool,
    /// Nothing of the others is played.
    #[n(3)]
    pub deafened: bool,
    /// What is received is recorded.
    #[n(4)]
    pub recording: bool,
}

/// How someone came to be out of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Departure {
    /// Said so.
    Left,
    /// Nothing heard for [`LOST_AFTER`].
    Lost,
    /// Does not belong to the room any more.
    Revoked,
    /// Their media certificate was not the one they signed.
    Mismatch,
    /// Somebody who leads the call removed them from it.
    Removed,
    /// The two calls of the room become one, and everyone connects anew.
    Moved,
}

/// What a presence changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceChange {
    /// Someone is in a call who was not.
    Entered(DeviceId),
    /// Someone sends or plays something else, or is in another call than before.
    Changed(DeviceId),
    /// Someone is in no call any more.
    Departed(DeviceId, Departure),
}

#[derive(Debug, Clone)]
struct Entry {
    session: u64,
    /// The session before, of which frames may still be on their way.
    session_before: Option<u64>,
    counter: u64,
    in_call: Option<InCall>,
    heard: Duration,
}

/// The presences of the other members of one room.
#[derive(Debug, Clone, Default)]
pub struct PresenceTable {
    /// At most [`MAX_DEVICES`].
    entries: BTreeMap<DeviceId, Entry>,
}

impl PresenceTable {
    /// Nobody is heard.
    pub fn new() -> Self {
        Self::default()
    }

    /// A presence of a member, from a stream that proves the device.
    pub fn handle_presence(&mut self, device: DeviceId, presence: Presence, now: Duration) -> Option<PresenceChange> {
        let before = self.entries.get(&device);
        if let Some(before) = before {
            let older = presence.session == before.session && presence.counter <= before.counter;
            if older || Some(presence.session) == before.session_before {
                return None;
            }
        } else if self.entries.len() >= MAX_DEVICES && !self.make_room() {
            return None;
        }
        let before = self.entries.get(&device);
        let was = before.and_then(|before| before.in_call);
        let session_before = match before {
            Some(before) if before.session == presence.session => before.session_before,
            before => before.map(|before| before.session),
        };
        let Presence { session, counter, in_call } = presence;
        self.entries.insert(device, Entry { session, session_before, counter, in_call, heard: now });
        match (was, in_call) {
            (None, Some(_)) => Some(PresenceChange::Entered(device)),
            (Some(_), None) => Some(PresenceChange::Departed(device, Departure::Left)),
            (Some(was), Some(is)) if was != is => Some(PresenceChange::Changed(device)),
            _ => None,
        }
    }

    /// The device does not belong to the room any more.
    pub fn handle_revoked(&mut self, device: DeviceId) -> Option<PresenceChange> {
        let entry = self.entries.remove(&device)?;
        entry.in_call.map(|_| PresenceChange::Departed(device, Departure::Revoked))
    }

    /// Who has not been heard for too long.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<PresenceChange> {
        let mut lost = Vec::new();
        for (device, entry) in &mut self.entries {
            if entry.in_call.is_some() && entry.heard + LOST_AFTER <= now {
                entry.in_call = None;
                lost.push(PresenceChange::Departed(*device, Departure::Lost));
            }
        }
        lost
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.entries.values().filter(|entry| entry.in_call.is_some()).map(|entry| entry.heard + LOST_AFTER).min()
    }

    /// Everyone who is in a call of the room, by device.
    pub fn in_call(&self) -> impl Iterator<Item = (DeviceId, InCall)> + '_ {
        self.entries.iter().filter_map(|(device, entry)| Some((*device, entry.in_call?)))
    }

    /// How a device takes part, if it does.
    pub fn get(&self, device: &DeviceId) -> Option<InCall> {
        self.entries.get(device)?.in_call
    }

    /// The session in which a device was last heard.
    pub fn session(&self, device: &DeviceId) -> Option<u64> {
        self.entries.get(device).map(|entry| entry.session)
    }

    fn make_room(&mut self) -> bool {
        let quietest = self.entries.iter().filter(|(_, entry)| entry.in_call.is_none()).min_by_key(|(_, entry)| entry.heard);
        let quietest = quietest.map(|(device, _)| *device);
        quietest.is_some_and(|device| self.entries.remove(&device).is_some())
    }
}
