//! What members say on the streams of files, and what is said to them.

use std::time::Duration;

use conclave_protocol::id::{DeviceId, FileId};
use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::slots::Asked;
use conclave_protocol::swarm::wire::{Control, Held, Why};

use super::{Engine, Role, of_room};
use crate::files::error::FileError;
use crate::files::jobs::Supply;
use crate::files::peer::{FileLink, FromPeer, PeerKey};
use crate::net::StreamName;

/// A request is of no use after this, whatever it says.
const MAX_WITHIN_MS: u32 = 120_000;

impl Engine {
    /// A stream stands. A new one takes the place of the one before, and begins with what this device holds.
    fn handle_link(&mut self, link: FileLink) {
        let peer = self.peers.entry(link.key).or_default();
        if link.name == StreamName::FileData {
            link.writer.keep_to([peer.pace.clone(), self.pace.clone()]);
        }
        let place = if link.name == StreamName::FileData { &mut peer.data } else { &mut peer.control };
        let again = place.replace((link.id, link.writer)).is_some();
        if again {
            self.part_with(link.key);
        }
        if link.name == StreamName::File {
            if let Some(peer) = self.peers.get_mut(&link.key) {
                peer.greeted.clear();
                if let Some(bytes_per_s) = self.paced_to {
                    peer.say(&Control::Pace { bytes_per_s });
                }
            }
            for file in of_room(&self.files, link.key.0) {
                self.greet(file, link.key);
            }
        }
    }

    pub(super) fn handle_peer(&mut self, from: FromPeer) {
        match from {
            FromPeer::Up(link) => self.handle_link(link),
            FromPeer::Control { id, key, frame } => {
                if !self.peers.get(&key).is_some_and(|peer| peer.has(id)) {
                    return;
                }
                let sound = match Control::decode(&frame) {
                    Ok(word) => self.handle_word(key, word),
                    Err(_) => false,
                };
                if !sound {
                    tracing::debug!("a member's word about a file makes no sense; its streams are closed");
                    self.peer_gone(key);
                }
            }
            FromPeer::Data { id, key, frame } => {
                if self.peers.get(&key).is_some_and(|peer| peer.has(id)) && !self.handle_data(key, frame) {
                    self.peer_gone(key);
                }
            }
            FromPeer::Ended { id, key } => {
                if self.peers.get(&key).is_some_and(|peer| peer.has(id)) {
                    self.peer_gone(key);
                }
            }
        }
    }

    /// Counts from the next Hello on: where a better connection takes the place of one, streams open anew on it.
    pub(super) fn handle_path(&mut self, device: DeviceId, relayed: bool) {
        if relayed {
            self.relayed.insert(device);
        } else {
            self.relayed.remove(&device);
        }
    }

    /// Both streams of a member end, and with them its part in every file.
    pub(super) fn peer_gone(&mut self, key: PeerKey) {
        if let Some(mut peer) = self.peers.remove(&key) {
            peer.end();
        }
        self.part_with(key);
    }

    fn part_with(&mut self, key: PeerKey) {
        self.slots.handle_gone(key);
        for entry in self.files.values_mut().filter(|entry| entry.room == key.0) {
            match &mut entry.role {
                Role::Fetching(fetch) => fetch.download.handle_gone(key.1),
                Role::Serving { hinter, .. } => hinter.handle_gone(key.1),
                Role::Opening => {}
            }
        }
    }

    /// Tells every member there of a file.
    pub(super) fn greet_all(&mut self, file: FileId) {
        let Some(room) = self.files.get(&file).map(|entry| entry.room) else { return };
        let keys: Vec<PeerKey> = self.peers.keys().filter(|(other, _)| *other == room).copied().collect();
        keys.into_iter().for_each(|key| self.greet(file, key));
    }

    fn greet(&mut self, file: FileId, key: PeerKey) {
        let Some(entry) = self.files.get(&file) else { return };
        let chunks = entry.manifest.layout().chunks();
        let (have, wants) = match &entry.role {
            Role::Opening => return,
            Role::Fetching(fetch) => (fetch.download.have().clone(), true),
            Role::Serving { .. } => (Have::all(chunks), false),
        };
        if chunks == 0 {
            // It travels in its manifest.
            return;
        }
        let hello = Control::Hello { file, root: entry.root, held: Held::of(&have), wants };
        if let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.control.is_some()) {
            peer.greeted.insert(file);
            peer.say(&hello);
        }
    }

    /// False where no honest member would say that.
    fn handle_word(&mut self, key: PeerKey, word: Control) -> bool {
        let now = self.now();
        if let Control::Pace { bytes_per_s } = word {
            self.handle_pace(key, bytes_per_s);
            return true;
        }
        let Some(file) = word.file() else { return true };
        // Something that was ended here a moment ago, or that this device does not take part in, or not yet.
        let takes_part = |entry: &&mut super::Entry| entry.room == key.0 && !matches!(entry.role, Role::Opening);
        let Some(entry) = self.files.get_mut(&file).filter(takes_part) else {
            if let Some(peer) = self.peers.get_mut(&key) {
                match word {
                    Control::Request { id, .. } => peer.say(&Control::Reject { file, id, why: Why::Gone }),
                    // So that the other side says it again once this device does.
                    Control::Hello { .. } => peer.say(&Control::Bye { file }),
                    _ => {}
                }
            }
            return true;
        };
        let chunks = entry.manifest.layout().chunks();
        let mut reply = None;
        match word {
            Control::Hello { root, held, wants, .. } => {
                if root != entry.root {
                    return false;
                }
                let Some(have) = held.read(chunks) else { return false };
                match &mut entry.role {
                    Role::Fetching(fetch) => fetch.download.handle_peer(key.1, have, self.relayed.contains(&key.1), now),
                    Role::Serving { hinter, .. } if wants => hinter.handle_taker(key.1, have, now),
                    _ => {}
                }
                if self.peers.get(&key).is_some_and(|peer| !peer.greeted.contains(&file)) {
                    self.greet(file, key);
                }
                return true;
            }
            Control::Have { ranges, .. } => {
                if ranges.iter().any(|(start, len)| start.saturating_add(*len) > chunks) {
                    return false;
                }
                match &mut entry.role {
                    Role::Fetching(fetch) => fetch.download.handle_have(key.1, &ranges),
                    Role::Serving { hinter, .. } => hinter.handle_have(key.1, &ranges),
                    Role::Opening => {}
                }
            }
            Control::GetHashes { page, .. } => {
                let hashes = match &entry.role {
                    Role::Fetching(fetch) => fetch.hashes.page(page),
                    Role::Serving { hashes, .. } => hashes.page(page),
                    Role::Opening => None,
                };
                // Without them the asker asks another.
                reply = hashes.map(|hashes| Control::Hashes { file, page, hashes: hashes.to_vec() });
            }
            Control::Hashes { page, hashes, .. } => {
                let Role::Fetching(fetch) = &mut entry.role else { return true };
                if fetch.hashes.page(page).is_some() {
                    return true;
                }
                if fetch.hashes.insert(page, hashes.clone()) {
                    // Kept for the next start; where that fails they are asked for again.
                    if let Err(error) = entry.beside.save_page(page, &hashes) {
                        tracing::debug!(%error, "hashes of a file are not kept");
                    }
                    fetch.download.handle_page(page);
                } else {
                    fetch.download.handle_bad_page(key.1, page);
                }
            }
            Control::Hint { ranges, .. } => {
                if let Role::Fetching(fetch) = &mut entry.role {
                    fetch.download.handle_hint(key.1, &ranges);
                }
            }
            Control::Request { id, index, within_ms, .. } => {
                if index >= chunks {
                    return false;
                }
                let until = now + Duration::from_millis(u64::from(within_ms.min(MAX_WITHIN_MS)));
                let why = match &mut entry.role {
                    Role::Fetching(fetch) if fetch.download.have().has(index) => None,
                    Role::Serving { stale: true, .. } => Some(Why::Stale),
                    Role::Serving { hinter, .. } => {
                        hinter.handle_request(key.1, index, now);
                        None
                    }
                    _ => Some(Why::Gone),
                };
                let why =
                    why.or_else(|| (!self.slots.handle_request(key, Asked { file, id, index, until })).then_some(Why::Busy));
                reply = why.map(|why| Control::Reject { file, id, why });
            }
            Control::Cancel { id, .. } => self.slots.handle_cancel(key, file, id),
            Control::Reject { id, why, .. } => {
                if let Role::Fetching(fetch) = &mut entry.role {
                    fetch.download.handle_reject(key.1, id, why, now);
                }
            }
            Control::Bye { .. } => {
                match &mut entry.role {
                    Role::Fetching(fetch) => fetch.download.handle_gone(key.1),
                    Role::Serving { hinter, .. } => hinter.handle_gone(key.1),
                    Role::Opening => {}
                }
                self.slots.handle_ended(Some(key), file);
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.greeted.remove(&file);
                }
            }
            Control::Pace { .. } | Control::Unknown(_) => {}
        }
        if let Some(reply) = reply
            && let Some(peer) = self.peers.get_mut(&key)
        {
            peer.say(&reply);
        }
        true
    }

    /// Tells those who fetch a file which chunks are whose to fetch here.
    pub(super) fn poll_hints(&mut self, file: FileId) {
        let now = self.now();
        let Some(entry) = self.files.get_mut(&file) else { return };
        let Role::Serving { hinter, stale: false, .. } = &mut entry.role else { return };
        for (device, ranges) in hinter.poll(now) {
            if let Some(peer) = self.peers.get_mut(&(entry.room, device)) {
                peer.say(&Control::Hint { file, ranges });
            }
        }
    }

    /// Serves who is next, as far as the limit allows.
    pub(super) fn poll_slots(&mut self) {
        let now = self.now();
        loop {
            if self.slots.waiting() == 0 {
                return;
            }
            if let Err(wait) = self.up.take(0, now) {
                self.wake = Some(self.wake.map_or(now + wait, |wake| wake.min(now + wait)));
                return;
            }
            let Some((key, asked)) = self.slots.poll(now) else { return };
            let Ok(asked) = asked else {
                if let (Err(asked), Some(peer)) = (asked, self.peers.get_mut(&key)) {
                    peer.say(&Control::Reject { file: asked.file, id: asked.id, why: Why::Busy });
                }
                continue;
            };
            let writer = self.peers.get(&key).and_then(|peer| peer.data.as_ref()).map(|(_, writer)| writer.clone());
            let entry = self.files.get(&asked.file);
            let found = entry.and_then(|entry| match &entry.role {
                Role::Fetching(fetch) => {
                    Some((Supply::Part(fetch.part.clone()), *fetch.hashes.of(asked.index)?, entry.cipher.clone()))
                }
                Role::Serving { hashes, supply, .. } => Some((supply.clone(), *hashes.of(asked.index)?, entry.cipher.clone())),
                Role::Opening => None,
            });
            match (writer, found) {
                (Some(writer), Some((supply, hash, cipher))) => {
                    let bytes = entry.map_or(0, |entry| u64::from(entry.manifest.layout().sealed_len(asked.index)));
                    let _ = self.up.take(bytes, now);
                    self.jobs.serve(supply, cipher, hash, asked.file, key, asked.id, asked.index, writer);
                }
                (writer, _) => {
                    self.slots.handle_done(key);
                    let why = if writer.is_none() { Why::Busy } else { Why::Gone };
                    if let Some(peer) = self.peers.get_mut(&key) {
                        peer.say(&Control::Reject { file: asked.file, id: asked.id, why });
                    }
                }
            }
        }
    }

    /// A chunk went out, or could not be read.
    pub(super) fn handle_served(&mut self, file: FileId, key: PeerKey, id: u64, bytes: u64, result: Result<(), FileError>) {
        let now = self.now();
        self.slots.handle_done(key);
        let Some(entry) = self.files.get_mut(&file) else { return };
        let Err(error) = result else {
            entry.up.add(bytes, now);
            self.note_sent(bytes, now);
            return;
        };
        let why = if error == FileError::Stale { Why::Stale } else { Why::Gone };
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.say(&Control::Reject { file, id, why });
        }
        match &mut entry.role {
            // One chunk that changed is enough: what else did cannot be known.
            Role::Serving { stale, .. } => {
                if !std::mem::replace(stale, true) {
                    self.queue.push_back(super::News::Stopped { file, error });
                }
            }
            // What was written is not what is read back: a disk that fails, or somebody wrote to the part.
            Role::Fetching(_) => self.stopped(file, error),
            Role::Opening => {}
        }
    }
}
