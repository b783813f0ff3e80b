//! The presence sessions of this device's rooms: frames in, frames and payloads out. Everything that all members of a room are told
//! live goes through here; who may read it is decided by the machine of `conclave_protocol::session`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::live::{LiveFrame, LivePayload};
use conclave_protocol::log::sync::RoomFrame;
use conclave_protocol::session::message::SessionFrame;
use conclave_protocol::session::{Session, SessionConfig, SessionOutput};
use conclave_protocol::wire;

use super::Driver;
use super::links::LinkKey;
use crate::net::StreamName;
use crate::rtc::keys;

/// The loop looks at its sessions at least so often.
const LOOK: Duration = Duration::from_secs(1);

/// The session of a room that is opened.
pub(super) fn begin(room: RoomId, device: &Arc<DeviceKey>, now: Duration) -> Session {
    let config = SessionConfig { room, device: Arc::clone(device), exports: vec![keys::export()] };
    Session::new(config, now, super::now_ms(), &mut super::rng())
}

impl Driver {
    /// Tells all members who are here now. Where no session stands yet the payload waits a moment for one.
    pub(super) fn say(&mut self, room: RoomId, payload: &LivePayload) {
        let now = self.now();
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        if let Err(error) = entry.session.send(wire::encode(payload), &entry.room, now) {
            tracing::debug!(%error, "a live message was not sent");
        }
        self.run_session(room);
    }

    /// The live stream to a member is gone.
    pub(super) fn session_disconnected(&mut self, key: &LinkKey) {
        if key.name == StreamName::Live
            && let Some(entry) = self.rooms.get_mut(&key.room)
        {
            entry.session.handle_disconnected(&key.device);
        }
    }

    pub(super) fn session_acl_changed(&mut self, room: RoomId) {
        let now = self.now();
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        entry.session.handle_acl_changed(&entry.room, now);
        self.run_session(room);
    }

    /// Leaves the session, so that the others need not wait to find out.
    pub(super) fn leave_session(&mut self, room: RoomId) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        entry.session.leave();
        self.run_session(room);
    }

    /// When a session has something due.
    pub(super) fn sessions_due(&self) -> Instant {
        let due = self.rooms.values().filter_map(|entry| entry.session.poll_timeout()).min();
        due.map_or_else(|| Instant::now() + LOOK, |due| self.started + due)
    }

    pub(super) fn handle_sessions_tick(&mut self) {
        let now = self.now();
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            let Some(entry) = self.rooms.get_mut(&room) else { continue };
            if entry.session.poll_timeout().is_some_and(|due| due <= now) {
                entry.session.handle_timeout(&entry.room, now);
                self.run_session(room);
            }
        }
    }

    /// Carries out what the session of a room asks for, and then what its call makes of that.
    pub(super) fn run_session(&mut self, room: RoomId) {
        let mut told = false;
        while let Some(output) = self.rooms.get_mut(&room).and_then(|entry| entry.session.poll_output()) {
            match output {
                SessionOutput::Send { to, frame } => self.send_session(room, &to, *frame),
                SessionOutput::FetchAcl { from, .. } => self.ask_for_acl(room, from),
                SessionOutput::Received { from, payload } => {
                    self.handle_payload(room, from, &payload);
                    told = true;
                }
                SessionOutput::EpochChanged { session, epoch, joined, left } => {
                    tracing::debug!(%session, epoch, joined = joined.len(), left = left.len(), "another epoch");
                    self.share_media_keys(room);
                    self.handle_code_due(room, &joined, &left);
                    let now = self.now();
                    if let Some(entry) = self.rooms.get_mut(&room)
                        && !joined.is_empty()
                    {
                        entry.call.handle_newcomers(now);
                        told = true;
                    }
                }
                SessionOutput::EpochReady { .. } | SessionOutput::EpochOver { .. } => self.share_media_keys(room),
                SessionOutput::Cut(device) => self.cut_transports(room, device),
                SessionOutput::Unsent { payloads } => tracing::debug!(payloads, "live messages found no session in time"),
                SessionOutput::Ended => {
                    tracing::debug!("out of the session");
                    self.forget_code(room);
                }
            }
        }
        if let Some(entry) = self.rooms.get_mut(&room)
            && entry.code.phase_changed(entry.session.phase())
        {
            self.dirty.insert(room);
        }
        if told {
            self.carry_out(room);
        }
    }

    fn share_media_keys(&self, room: RoomId) {
        let now = self.now();
        if let Some(entry) = self.rooms.get(&room) {
            entry.keys.set_epochs(entry.session.epochs(), now);
        }
    }

    fn send_session(&self, room: RoomId, to: &[DeviceId], frame: SessionFrame) {
        // What is said anew every second may be left out for whoever reads too slowly; a commit may not.
        let optional = matches!(frame, SessionFrame::Presence(_));
        let bytes = wire::encode(&LiveFrame::Session(frame));
        for device in to {
            let Some(link) = self.links.by_key(LinkKey { device: *device, room, name: StreamName::Live }) else { continue };
            if optional {
                link.send_if_room(&bytes);
            } else {
                link.send(bytes.clone());
            }
        }
    }

    /// A member knows more of the ACL log: it is told what is known here, and answers with the rest.
    fn ask_for_acl(&self, room: RoomId, from: DeviceId) {
        let Some(entry) = self.rooms.get(&room) else { return };
        if let Some(link) = self.links.by_key(LinkKey { device: from, room, name: StreamName::Room }) {
            link.send_if_room(&RoomFrame::AclHeads(entry.room.acl_heads_for(&from)).encode());
        }
    }

    fn handle_payload(&mut self, room: RoomId, from: DeviceId, payload: &[u8]) {
        let now = self.now();
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        match wire::decode::<LivePayload>(payload) {
            Ok(LivePayload::Presence(presence)) => entry.call.handle_presence(from, presence, now),
            Ok(LivePayload::Board(live)) => self.handle_board_live(room, from, &live),
            Ok(LivePayload::Reaction(reaction)) => entry.call.handle_reaction(from, reaction, now),
            Ok(LivePayload::Host(order)) => self.handle_order(room, from, order),
            Ok(LivePayload::Unknown(kind)) => tracing::debug!(kind, "a live message from a newer version"),
            Err(error) => tracing::debug!(%error, "a live message cannot be read"),
        }
    }

    /// A device does not belong to the room any more: nothing of the room goes to it or is taken from it, whatever the writer does.
    fn cut_transports(&mut self, room: RoomId, device: DeviceId) {
        let now = self.now();
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.call.handle_revoked(device, now);
        }
        self.carry_out(room);
    }
}
