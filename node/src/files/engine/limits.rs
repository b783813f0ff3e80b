//! How fast bytes may go: as a person wished, and less while a call runs that goes the same way. Chunks are long, so writers keep to a pace
//! of their own between two packets of a voice; and whoever sends to this device is told what it wants at most.

use std::time::Duration;

use conclave_protocol::swarm::courtesy::{CallPath, Courtesy};
use conclave_protocol::swarm::wire::Control;

use super::{Engine, Role};

/// A peer that asks for less gets this: a chunk must not hold a slot for minutes.
const SLOWEST: u64 = 4 * 1024;
/// A smaller change is not told to peers.
const NOTICEABLE: f64 = 0.1;

impl Engine {
    /// What a call sees.
    pub(super) fn handle_call(&mut self, path: Option<CallPath>) {
        let now = self.now();
        match path {
            Some(path) => {
                let courtesy = self.courtesy.get_or_insert_with(|| Courtesy::new(now));
                courtesy.handle_path(now, path, self.sent.per_second(now), self.received.per_second(now));
            }
            None => self.courtesy = None,
        }
        self.set_limits();
    }

    pub(super) fn set_limits(&mut self) {
        let now = self.now();
        let (up, down) = self.courtesy.as_ref().map_or((None, None), |courtesy| (courtesy.up(), courtesy.down()));
        let up = self.wished.0.into_iter().chain(up).min();
        self.up.set(up, now);
        self.pace.set(up);
        self.down.set(self.wished.1.into_iter().chain(down).min(), now);
    }

    /// What a peer wants at most; 0: whatever there is.
    pub(super) fn handle_pace(&mut self, key: super::PeerKey, bytes_per_s: u64) {
        if let Some(peer) = self.peers.get(&key) {
            peer.pace.set((bytes_per_s > 0).then_some(bytes_per_s.max(SLOWEST)));
        }
    }

    /// Tells those who are asked for chunks what share of the limit is theirs.
    pub(super) fn tell_pace(&mut self) {
        let asked: usize = self
            .files
            .values()
            .map(|entry| match &entry.role {
                Role::Fetching(fetch) => fetch.download.sources().0,
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        let share = self.down.get().filter(|_| asked > 0).map(|limit| (limit / asked as u64).max(SLOWEST));
        let same = match (self.paced_to, share) {
            (None, None) => true,
            (Some(told), Some(share)) => (told as f64 - share as f64).abs() < told as f64 * NOTICEABLE,
            _ => false,
        };
        if !same {
            self.paced_to = share;
            let word = Control::Pace { bytes_per_s: share.unwrap_or(0) };
            self.peers.values_mut().for_each(|peer| peer.say(&word));
        }
    }

    /// Bytes of a chunk went out.
    pub(super) fn note_sent(&mut self, bytes: u64, now: Duration) {
        self.sent.add(bytes, now);
    }
}
