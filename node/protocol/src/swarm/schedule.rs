//! What is fetched from whom: one file that is not complete here. Chunks that a seeder handed out to this device are asked of that seeder;
//! everything else of those who do not hold all, the rarest first; a seeder is asked unasked only where nobody else can give. It must
//! never have more outstanding than a peer's window and the caller's budget allow, nor believe what a peer says it holds beyond setting
//! it aside when that turns out wrong.

mod choose;
mod pages;
mod requests;
mod source;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::Rng;

use self::source::Source;
use crate::id::DeviceId;
use crate::swarm::have::{Have, Range, ranges};
use crate::swarm::manifest::Layout;
use crate::swarm::rate::Meter;
use crate::swarm::wire::Why;

/// Chunks are announced after so many …
const ANNOUNCE_AFTER: usize = 16;
/// … or so long.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(200);
/// Chunks that nobody asked for, beyond those that were taken back, before a peer is set aside.
const UNASKED: u32 = 16;
/// How long a busy peer is left alone.
const BUSY_FOR: Duration = Duration::from_millis(300);
/// Hinted ranges kept for one seeder.
const MAX_HINTED: usize = 4096;
/// Peers a file is fetched from at once; further ones are not asked.
pub const MAX_SOURCES: usize = 64;

/// What is to be said or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask for a chunk.
    Request { peer: DeviceId, id: u64, index: u32, within_ms: u32 },
    /// Take a request back.
    Cancel { peer: DeviceId, id: u64 },
    /// Ask for a page of hashes.
    GetHashes { peer: DeviceId, page: u32 },
    /// Tell everyone who takes part.
    Have { ranges: Vec<Range> },
    /// Nothing is fetched from this peer any more.
    SetAside { peer: DeviceId, reason: Aside },
}

/// Why a peer is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// A chunk that is not what the manifest names, or of another length.
    Wrong,
    /// It was asked and sent nothing: it is left alone for a while.
    Slow,
    /// Chunks that nobody asked for.
    Unasked,
    /// It said that it holds chunks which it does not have.
    Liar,
    /// Its copy was changed.
    Stale,
}

/// What to do with a chunk that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Check it, store it, and say how that went.
    Store,
    /// It is here already, or on its way to the disk.
    Duplicate,
    /// Nobody asked this peer for it.
    Unasked,
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    peer: DeviceId,
    index: u32,
    at: Duration,
}

/// One file that is being fetched.
#[derive(Debug)]
pub struct Download {
    layout: Layout,
    chunks: u32,
    have: Have,
    /// Asked for, or on its way to the disk.
    claimed: Have,
    /// On its way to the disk.
    storing: Have,
    /// Pages whose hashes are known.
    pages: Have,
    pages_asked: BTreeMap<u32, (DeviceId, Duration)>,
    sources: BTreeMap<DeviceId, Source>,
    requests: BTreeMap<u64, Outstanding>,
    /// Requests that lapsed: what answers them is welcome all the same.
    late: VecDeque<(u64, Outstanding)>,
    /// Requests for one chunk.
    by_chunk: BTreeMap<u32, Vec<u64>>,
    /// How many of those who do not hold all hold a chunk.
    copies: Vec<u16>,
    next_id: u64,
    fresh: Vec<u32>,
    /// A chunk came, from anybody.
    progress: Duration,
    announced: Duration,
    outputs: VecDeque<Output>,
}

impl Download {
    /// Begins, or goes on with what is held and the pages that are known. `first_id`: random, so that two runs do not meet.
    pub fn new(layout: Layout, have: Have, pages: Have, first_id: u64) -> Self {
        let chunks = layout.chunks();
        Self {
            layout,
            chunks,
            claimed: have.clone(),
            storing: Have::none(chunks),
            have,
            pages,
            pages_asked: BTreeMap::new(),
            sources: BTreeMap::new(),
            requests: BTreeMap::new(),
            late: VecDeque::new(),
            by_chunk: BTreeMap::new(),
            copies: vec![0; chunks as usize],
            next_id: first_id >> 1,
            fresh: Vec::new(),
            progress: Duration::ZERO,
            announced: Duration::ZERO,
            outputs: VecDeque::new(),
        }
    }

    /// What is held, checked and on disk.
    pub fn have(&self) -> &Have {
        &self.have
    }

    /// Everything is here.
    pub fn is_complete(&self) -> bool {
        self.have.is_all()
    }

    /// Bytes asked for and not yet here.
    pub fn outstanding(&self) -> u64 {
        self.sources.values().map(|source| source.outstanding).sum()
    }

    /// Peers that are asked, and those of them who hold everything.
    pub fn sources(&self) -> (usize, usize) {
        let good = self.sources.values().filter(|source| source.aside.is_none());
        good.fold((0, 0), |(all, seeders), source| (all + 1, seeders + usize::from(source.have.is_all())))
    }

    /// Those who fetch too, and what they hold: whom to hand chunks out to once all are here.
    pub fn takers(&self) -> impl Iterator<Item = (DeviceId, &Have)> {
        let partial = |source: &&Source| source.aside.is_none() && !source.have.is_all();
        self.sources.iter().filter(move |(_, source)| partial(source)).map(|(peer, source)| (*peer, &source.have))
    }

    /// Whether this peer was set aside.
    pub fn is_aside(&self, peer: &DeviceId) -> bool {
        self.sources.get(peer).is_some_and(|source| source.aside.is_some())
    }

    /// A peer takes part and holds this. `relayed`: by a relay, so it is asked for little.
    pub fn handle_peer(&mut self, peer: DeviceId, have: Have, relayed: bool, now: Duration) {
        if have.len() != self.chunks {
            return;
        }
        let (aside, taken_back) = self.sources.get(&peer).map_or((None, 0), |source| (source.aside, source.taken_back));
        self.forget(peer);
        if self.sources.len() >= MAX_SOURCES {
            return;
        }
        if !have.is_all() {
            self.count(&have, 1);
        }
        self.sources.insert(
            peer,
            Source {
                have,
                hinted: VecDeque::new(),
                since: now,
                ever_hinted: false,
                outstanding: 0,
                shortest: None,
                meter: Meter::default(),
                heard: now,
                refusals: 0,
                unasked: 0,
                taken_back,
                // A new stream does not wash off what the peer did.
                aside,
                busy_until: Duration::ZERO,
                relayed,
            },
        );
    }

    /// The peer holds more.
    pub fn handle_have(&mut self, peer: DeviceId, more: &[Range]) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        if source.have.is_all() {
            return;
        }
        for (start, len) in more {
            for index in *start..start.saturating_add(*len).min(self.chunks) {
                if source.have.insert(index)
                    && let Some(copies) = self.copies.get_mut(index as usize)
                {
                    *copies = copies.saturating_add(1);
                }
            }
        }
        if source.have.is_all() {
            // From here on it is a seeder, and counts for no chunk's rarity.
            let have = source.have.clone();
            self.count(&have, -1);
        }
    }

    /// A seeder hands these out to this device.
    pub fn handle_hint(&mut self, peer: DeviceId, hinted: &[Range]) {
        let Some(source) = self.sources.get_mut(&peer).filter(|source| source.have.is_all()) else { return };
        source.ever_hinted = true;
        for range in hinted {
            if source.hinted.len() < MAX_HINTED {
                source.hinted.push_back(*range);
            }
        }
    }

    /// A chunk arrived, not yet looked at.
    pub fn handle_data(&mut self, peer: DeviceId, id: u64, index: u32, now: Duration) -> Arrival {
        let is_it = |request: &Outstanding| request.peer == peer && request.index == index;
        let expected = self.requests.get(&id).copied().filter(is_it);
        let late = self.late.iter().position(|(late, request)| *late == id && is_it(request));
        let late = late.and_then(|at| self.late.remove(at)).map(|(_, request)| request);
        let Some(request) = expected.or(late) else {
            if let Some(source) = self.sources.get_mut(&peer) {
                source.unasked += 1;
                if source.unasked > source.taken_back + UNASKED {
                    self.set_aside(peer, Aside::Unasked);
                }
            }
            return Arrival::Unasked;
        };
        self.end_request(id);
        self.progress = now;
        let bytes = u64::from(self.layout.sealed_len(index));
        if let Some(source) = self.sources.get_mut(&peer) {
            let took = now.saturating_sub(request.at);
            source.shortest = Some(source.shortest.map_or(took, |shortest| shortest.min(took)));
            source.meter.add(bytes, now);
            source.heard = now;
            source.refusals = 0;
        }
        // Whoever else was asked for it need not send it.
        for other in self.by_chunk.remove(&index).unwrap_or_default() {
            if let Some(request) = self.end_request(other) {
                self.take_back(request.peer, other);
            }
        }
        if self.have.has(index) || self.storing.has(index) {
            return Arrival::Duplicate;
        }
        self.claimed.insert(index);
        self.storing.insert(index);
        Arrival::Store
    }

    /// A chunk that was to be stored is checked and written.
    pub fn handle_stored(&mut self, index: u32) {
        self.claimed.insert(index);
        self.storing.remove(index);
        if self.have.insert(index) {
            self.fresh.push(index);
        }
    }

    /// A chunk that was to be stored is not what the manifest names.
    pub fn handle_bad(&mut self, peer: DeviceId, index: u32) {
        self.storing.remove(index);
        self.unclaim(index);
        self.set_aside(peer, Aside::Wrong);
    }

    /// A chunk that was to be stored could not be written: it is fetched again once that is possible.
    pub fn handle_not_stored(&mut self, index: u32) {
        self.storing.remove(index);
        self.unclaim(index);
    }

    /// A request is not served.
    pub fn handle_reject(&mut self, peer: DeviceId, id: u64, why: Why, now: Duration) {
        let Some(request) = self.requests.get(&id).copied().filter(|request| request.peer == peer) else { return };
        self.end_request(id);
        self.unclaim(request.index);
        let Some(source) = self.sources.get_mut(&peer) else { return };
        match why {
            Why::Busy => source.busy_until = now + BUSY_FOR,
            Why::Gone => {
                // Said to be held a moment ago: once may be a file that was just removed, often is a lie.
                source.refusals += 1;
                if !source.have.is_all() && source.have.remove(request.index) {
                    if let Some(copies) = self.copies.get_mut(request.index as usize) {
                        *copies = copies.saturating_sub(1);
                    }
                }
                if source.refusals > 8 {
                    self.set_aside(peer, Aside::Liar);
                }
            }
            Why::Stale => self.set_aside(peer, Aside::Stale),
        }
    }

    /// The peer is gone.
    pub fn handle_gone(&mut self, peer: DeviceId) {
        // What it did is remembered only while it could come back at once; the entry is small.
        if self.sources.get(&peer).is_some_and(|source| source.aside.is_some()) {
            self.drop_requests(peer);
            return;
        }
        self.forget(peer);
    }

    /// Decides what to ask for, as far as `budget` bytes allow (counted down), and gives everything to say.
    pub fn poll(&mut self, now: Duration, budget: &mut u64, rng: &mut impl Rng) -> Vec<Output> {
        self.lapse(now);
        self.ask_for_pages(now);
        if self.fresh.len() >= ANNOUNCE_AFTER
            || !self.fresh.is_empty() && (now >= self.announced + ANNOUNCE_EVERY || self.have.is_all())
        {
            let mut fresh = std::mem::take(&mut self.fresh);
            fresh.sort_unstable();
            self.announced = now;
            self.outputs.push_back(Output::Have { ranges: ranges(fresh) });
        }
        let peers: Vec<DeviceId> =
            self.sources.iter().filter(|(_, source)| source.aside.is_none()).map(|(peer, _)| *peer).collect();
        // Round by round, so that no peer takes all of the budget; relayed ones come last.
        let mut open: Vec<(bool, DeviceId)> =
            peers.into_iter().map(|peer| (self.sources.get(&peer).is_some_and(|source| source.relayed), peer)).collect();
        open.sort();
        while !open.is_empty() {
            open.retain(|(_, peer)| self.ask(*peer, now, budget, rng));
        }
        self.outputs.drain(..).collect()
    }
}
