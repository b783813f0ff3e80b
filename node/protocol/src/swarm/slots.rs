//! Who is served next: requests of all files, a queue for each peer, in turn. It must never hold more than [`MAX_QUEUED`] for one peer, so
//! that nobody's greed costs another's turn.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use crate::id::{DeviceId, FileId};

/// Requests of one peer that wait; one more is rejected as busy.
pub const MAX_QUEUED: usize = 256;
/// Chunks that are being read and handed to streams at once …
pub const SLOTS: usize = 12;
/// … and for one peer.
pub const SLOTS_OF_A_PEER: usize = 4;

/// A chunk that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Of which file.
    pub file: FileId,
    /// The asker's number.
    pub id: u64,
    /// Which chunk.
    pub index: u32,
    /// Of no use after this.
    pub until: Duration,
}

#[derive(Debug, Default)]
struct Taker {
    queue: VecDeque<Asked>,
    active: usize,
}

/// The queues.
#[derive(Debug, Default)]
pub struct Slots<K: Ord + Copy = DeviceId> {
    takers: BTreeMap<K, Taker>,
    active: usize,
    last: Option<K>,
}

impl<K: Ord + Copy> Slots<K> {
    /// Nobody asks.
    pub fn new() -> Self {
        Self { takers: BTreeMap::new(), active: 0, last: None }
    }

    /// A request. False where too many wait: it is to be rejected.
    pub fn handle_request(&mut self, peer: K, asked: Asked) -> bool {
        let taker = self.takers.entry(peer).or_default();
        let room = taker.queue.len() < MAX_QUEUED;
        if room {
            taker.queue.push_back(asked);
        }
        room
    }

    /// A request is taken back. One that is being served goes on.
    pub fn handle_cancel(&mut self, peer: K, file: FileId, id: u64) {
        if let Some(taker) = self.takers.get_mut(&peer) {
            taker.queue.retain(|asked| asked.file != file || asked.id != id);
        }
    }

    /// A file is served no more, or the peer takes no part in it any more. Gives what waited.
    pub fn handle_ended(&mut self, peer: Option<K>, file: FileId) -> Vec<(K, Asked)> {
        let mut dropped = Vec::new();
        for (key, taker) in self.takers.iter_mut().filter(|(key, _)| peer.is_none_or(|peer| peer == **key)) {
            taker.queue.retain(|asked| {
                let keep = asked.file != file;
                if !keep {
                    dropped.push((*key, *asked));
                }
                keep
            });
        }
        dropped
    }

    /// The peer is gone. What is being served for it still counts until it is done.
    pub fn handle_gone(&mut self, peer: K) {
        if let Some(taker) = self.takers.get_mut(&peer) {
            taker.queue.clear();
        }
        self.sweep(peer);
    }

    /// What [`Slots::poll`] gave was handed to the stream, or could not be.
    pub fn handle_done(&mut self, peer: K) {
        self.active = self.active.saturating_sub(1);
        if let Some(taker) = self.takers.get_mut(&peer) {
            taker.active = taker.active.saturating_sub(1);
        }
        self.sweep(peer);
    }

    /// The next to serve, if there is a slot: the first peer after the one served last. What is past its time comes too, as `Err`.
    pub fn poll(&mut self, now: Duration) -> Option<(K, Result<Asked, Asked>)> {
        let after = |last: K| self.takers.range((core::ops::Bound::Excluded(last), core::ops::Bound::Unbounded));
        let ready = |(key, taker): (&K, &Taker)| (!taker.queue.is_empty() && taker.active < SLOTS_OF_A_PEER).then_some(*key);
        if self.active >= SLOTS {
            return None;
        }
        let next = self.last.and_then(|last| after(last).find_map(ready)).or_else(|| self.takers.iter().find_map(ready))?;
        let taker = self.takers.get_mut(&next)?;
        let asked = taker.queue.pop_front()?;
        self.last = Some(next);
        if asked.until < now {
            return Some((next, Err(asked)));
        }
        taker.active += 1;
        self.active += 1;
        Some((next, Ok(asked)))
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.takers.values().map(|taker| taker.queue.len()).sum()
    }

    fn sweep(&mut self, peer: K) {
        if self.takers.get(&peer).is_some_and(|taker| taker.queue.is_empty() && taker.active == 0) {
            self.takers.remove(&peer);
        }
    }
}
