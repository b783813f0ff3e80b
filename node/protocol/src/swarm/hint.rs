//! What one who holds a whole file tells those who fetch it: which chunks are whose to fetch here. Each is handed out once before any is
//! handed out twice, so that the seeder's uplink carries the file once and the others carry the rest between them.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::Rng;

use crate::id::DeviceId;
use crate::swarm::have::{Have, Range, ranges};

/// Chunks handed out to one peer and not yet asked for: at least and at most. Between them it is what the peer fetches in [`AHEAD`].
const STOCK: (u32, u32) = (8, 256);
/// With one peer alone at least so many: what fills a long path. Not all there is, for others may come a moment later.
const STOCK_ALONE: u32 = 32;
/// How far ahead chunks are handed out.
const AHEAD: Duration = Duration::from_millis(750);
/// A chunk that was handed out and has not turned up after so long may be handed to somebody else.
const LATE: Duration = Duration::from_secs(4);
/// Between two looks through everything for somebody who has nothing left to do.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Chunks that a peer got here and nobody else has yet. One that has so many more than twice the least waits while others are served: its
/// uplink is the slower one, and what it gets stays with it.
const UNSPREAD: u32 = 12;
/// Peers who are told; further ones fetch from the others.
pub const MAX_TAKERS: usize = 64;

#[derive(Debug)]
struct Taker {
    have: Have,
    /// Handed out and not yet asked for.
    stock: Have,
    /// Requests of late: when the second began, how many in it, and how many in the one before.
    second: (Duration, u32, u32),
    looked: Option<Duration>,
    /// Got here, and seen nowhere else.
    unspread: u32,
}

impl Taker {
    fn target(&self, alone: bool, now: Duration) -> u32 {
        let least = if alone { STOCK_ALONE } else { STOCK.0 };
        let (began, this, last) = self.second;
        let since = now.saturating_sub(began);
        let per_second = if since > Duration::from_secs(2) { 0 } else { last.max(this) };
        ((f64::from(per_second) * AHEAD.as_secs_f64()) as u32).clamp(least, STOCK.1)
    }
}

/// Hands out chunks of one file.
#[derive(Debug)]
pub struct Hinter {
    chunks: u32,
    handed: Have,
    /// Those that are asked for or in stock somewhere and not yet known to have arrived: with whom, since when.
    pending: BTreeMap<u32, (DeviceId, Duration)>,
    /// Chunks that one peer got here and nobody else has yet.
    unspread: BTreeMap<u32, DeviceId>,
    /// To be handed out again first: whoever had them is gone.
    returned: VecDeque<u32>,
    /// Where the first round goes on.
    cursor: u32,
    takers: BTreeMap<DeviceId, Taker>,
}

impl Hinter {
    /// For a file of so many chunks. The first round begins anywhere, so that two seeders hand out different parts.
    pub fn new(chunks: u32, rng: &mut impl Rng) -> Self {
        let cursor = if chunks == 0 { 0 } else { (rng.next_u64() % u64::from(chunks)) as u32 };
        Self {
            chunks,
            handed: Have::none(chunks),
            pending: BTreeMap::new(),
            unspread: BTreeMap::new(),
            returned: VecDeque::new(),
            cursor,
            takers: BTreeMap::new(),
        }
    }

    /// Somebody fetches the file and holds this of it. One who holds all is no taker.
    pub fn handle_taker(&mut self, peer: DeviceId, have: Have, now: Duration) {
        if have.is_all() || have.len() != self.chunks {
            return self.handle_gone(peer);
        }
        if self.takers.len() >= MAX_TAKERS && !self.takers.contains_key(&peer) {
            return;
        }
        let taker = Taker { have, stock: Have::none(self.chunks), second: (now, 0, 0), looked: None, unspread: 0 };
        self.handle_gone(peer);
        self.takers.insert(peer, taker);
    }

    /// It holds more.
    pub fn handle_have(&mut self, peer: DeviceId, more: &[Range]) {
        for (start, len) in more {
            for index in *start..start.saturating_add(*len).min(self.chunks) {
                let Some(taker) = self.takers.get_mut(&peer) else { return };
                if taker.have.insert(index) {
                    taker.stock.remove(index);
                    self.arrived(peer, index);
                }
            }
        }
        if self.takers.get(&peer).is_some_and(|taker| taker.have.is_all()) {
            self.handle_gone(peer);
        }
    }

    fn arrived(&mut self, peer: DeviceId, index: u32) {
        if self.pending.get(&index).is_some_and(|(with, _)| *with == peer) {
            self.pending.remove(&index);
            if self.takers.iter().all(|(other, taker)| *other == peer || !taker.have.has(index)) {
                self.unspread.insert(index, peer);
                if let Some(taker) = self.takers.get_mut(&peer) {
                    taker.unspread += 1;
                }
            }
        } else if let Some(first) = self.unspread.remove(&index)
            && let Some(taker) = self.takers.get_mut(&first)
        {
            taker.unspread = taker.unspread.saturating_sub(1);
        }
    }

    /// It asks for a chunk here.
    pub fn handle_request(&mut self, peer: DeviceId, index: u32, now: Duration) {
        let Some(taker) = self.takers.get_mut(&peer) else { return };
        taker.stock.remove(index);
        let (began, this, _) = taker.second;
        taker.second = match now.saturating_sub(began) {
            since if since < Duration::from_secs(1) => (began, this + 1, taker.second.2),
            _ => (now, 1, this),
        };
        if index < self.chunks {
            self.handed.insert(index);
            self.pending.insert(index, (peer, now));
        }
    }

    /// It takes no part any more: what it was to fetch goes to others.
    pub fn handle_gone(&mut self, peer: DeviceId) {
        self.takers.remove(&peer);
        let lost: Vec<u32> = self.pending.iter().filter(|(_, (with, _))| *with == peer).map(|(index, _)| *index).collect();
        self.unspread.retain(|_, with| *with != peer);
        for index in lost {
            self.pending.remove(&index);
            self.handed.remove(index);
            self.returned.push_back(index);
        }
    }

    /// Who is to be told what.
    pub fn poll(&mut self, now: Duration) -> Vec<(DeviceId, Vec<Range>)> {
        let alone = self.takers.len() == 1;
        let least = self.takers.values().map(|taker| taker.unspread).min().unwrap_or(0);
        let mut wanting: Vec<(DeviceId, u32, u32)> = self
            .takers
            .iter()
            .filter(|(_, taker)| taker.unspread <= 2 * least + UNSPREAD)
            .map(|(peer, taker)| (*peer, taker.stock.count(), taker.target(alone, now)))
            .filter(|(_, stock, target)| *stock <= target / 2)
            .collect();
        // Those with the least first, so that a round that ends is shared evenly.
        wanting.sort_by_key(|(_, stock, _)| *stock);
        let mut told = Vec::new();
        for (peer, stock, target) in wanting {
            let mut chunks = self.fresh_for(peer, target - stock);
            if chunks.is_empty() && stock == 0 {
                chunks = self.stuck_for(peer, now);
            }
            if chunks.is_empty() {
                continue;
            }
            chunks.sort_unstable();
            let Some(taker) = self.takers.get_mut(&peer) else { continue };
            for index in &chunks {
                self.handed.insert(*index);
                taker.stock.insert(*index);
                self.pending.insert(*index, (peer, now));
            }
            told.push((peer, ranges(chunks)));
        }
        told
    }

    /// What was handed to nobody yet and this peer lacks.
    fn fresh_for(&mut self, peer: DeviceId, most: u32) -> Vec<u32> {
        let Some(taker) = self.takers.get(&peer) else { return Vec::new() };
        let mut found = Vec::new();
        for _ in 0..self.returned.len() {
            let Some(index) = self.returned.pop_front() else { break };
            if self.handed.has(index) {
                continue;
            }
            if taker.have.has(index) || found.len() as u32 >= most {
                self.returned.push_back(index);
            } else {
                found.push(index);
            }
        }
        let mut skipped = None;
        let mut looked = 0;
        while (found.len() as u32) < most && looked < self.chunks && !self.handed.is_all() {
            let index = self.cursor;
            looked += 1;
            self.cursor = if index + 1 == self.chunks { 0 } else { index + 1 };
            if self.handed.has(index) {
                continue;
            }
            if taker.have.has(index) {
                // Others may lack it: the next round of this walk finds it.
                skipped.get_or_insert(index);
                continue;
            }
            if !found.contains(&index) {
                found.push(index);
            }
        }
        if let Some(skipped) = skipped
            && looked < self.chunks
        {
            self.cursor = skipped;
        }
        found
    }

    /// For one who has nothing to fetch here and lacks chunks that nobody else can give: those again.
    fn stuck_for(&mut self, peer: DeviceId, now: Duration) -> Vec<u32> {
        let Some(taker) = self.takers.get_mut(&peer) else { return Vec::new() };
        if taker.looked.is_some_and(|looked| now < looked + LOOK_EVERY) {
            return Vec::new();
        }
        taker.looked = Some(now);
        let lacks = taker.have.clone();
        let others: Vec<&Have> = self.takers.iter().filter(|(other, _)| **other != peer).map(|(_, taker)| &taker.have).collect();
        let mut found = Vec::new();
        for at in 0..lacks.words() {
            let held = others.iter().fold(lacks.word(at), |held, other| held | other.word(at));
            for bit in crate::swarm::have::bits(!held) {
                let index = at as u32 * 64 + bit;
                if index >= self.chunks {
                    break;
                }
                let free = self.pending.get(&index).is_none_or(|(with, since)| *with == peer || now >= *since + LATE);
                if free {
                    found.push(index);
                    if found.len() as u32 >= STOCK.0 {
                        return found;
                    }
                }
            }
        }
        found
    }
}
