//! What is fetched from whom: one file that is not complete here. Chunks that a seeder handed out to this device are asked of that seeder;
//! everything else of those who do not hold all, the rarest first; a seeder is asked unasked only where nobody else can give. It must
//! never have more outstanding than a peer's window and the caller's budget allow, nor believe what a peer says it holds beyond setting
//! it aside when that turns out wrong.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::Rng;

use crate::id::DeviceId;
use crate::swarm::hashes::PAGE;
use crate::swarm::have::{Have, Range, bits, ranges};
use crate::swarm::manifest::Layout;
use crate::swarm::rate::Meter;
use crate::swarm::wire::Why;

/// Bytes that may be asked of one peer at once: two round trips' worth, between these.
pub const WINDOW: (u64, u64) = (1024 * 1024, 8 * 1024 * 1024);
/// A peer that sends nothing for so long while it is asked: what it was asked for is asked of another.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The same for a peer that never sent anything.
const FIRST_PATIENCE: Duration = Duration::from_secs(8);
/// A request that waits longer than this at the other side need not be served.
const WITHIN: Duration = Duration::from_secs(60);
/// How long a peer is left alone that let requests lapse.
const SLOW_FOR: Duration = Duration::from_secs(30);
/// Requests that lapsed and may still be answered; the oldest are forgotten.
const MAX_LATE: usize = 256;
/// Chunks are announced after so many …
const ANNOUNCE_AFTER: usize = 16;
/// … or so long.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(200);
/// A seeder that never hands anything out is asked unasked after so long …
const UNHINTED: Duration = Duration::from_millis(1500);
/// … and any other once nothing came from anybody for so long.
const STUCK: Duration = Duration::from_secs(4);
/// A request must be this old before the same chunk is asked of another at the end.
const ENDGAME_AFTER: Duration = Duration::from_millis(400);
/// Pages of hashes asked for at once.
const PAGES_AT_ONCE: usize = 8;
/// A page that does not come is asked of another.
const PAGE_PATIENCE: Duration = Duration::from_secs(5);
/// Candidates among which the rarest is taken.
const SAMPLE: usize = 48;
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

#[derive(Debug)]
struct Source {
    have: Have,
    hinted: VecDeque<Range>,
    /// Since when it takes part.
    since: Duration,
    ever_hinted: bool,
    outstanding: u64,
    shortest: Option<Duration>,
    meter: Meter,
    /// The last chunk came, or the first was asked for.
    heard: Duration,
    refusals: u32,
    unasked: u32,
    taken_back: u32,
    aside: Option<Aside>,
    busy_until: Duration,
    relayed: bool,
}

impl Source {
    /// Twice what is on its way in a round trip at the rate that was measured.
    fn window(&self, now: Duration) -> u64 {
        let rtt = self.shortest.unwrap_or(Duration::from_millis(1));
        let bdp = (self.meter.per_second(now) as f64 * rtt.as_secs_f64()) as u64;
        let window = (2 * bdp).clamp(WINDOW.0, WINDOW.1);
        if self.relayed { WINDOW.0 / 2 } else { window }
    }
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

    /// A page of hashes was checked and is known.
    pub fn handle_page(&mut self, page: u32) {
        self.pages.insert(page);
        self.pages_asked.remove(&page);
    }

    /// A page of hashes that a peer sent was wrong.
    pub fn handle_bad_page(&mut self, peer: DeviceId, page: u32) {
        self.pages_asked.remove(&page);
        self.set_aside(peer, Aside::Wrong);
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

    /// A page that was asked for is not there.
    pub fn handle_no_page(&mut self, page: u32) {
        self.pages_asked.remove(&page);
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

    /// Asks one peer for one chunk. False where there is none to ask for.
    fn ask(&mut self, peer: DeviceId, now: Duration, budget: &mut u64, rng: &mut impl Rng) -> bool {
        let Some(source) = self.sources.get(&peer) else { return false };
        let room = source.outstanding < source.window(now) && now >= source.busy_until;
        if !room || *budget < u64::from(self.layout.chunk) {
            return false;
        }
        let index = if source.have.is_all() { self.from_seeder(peer, now, rng) } else { self.rarest_of(peer, rng) };
        let Some(index) = index.or_else(|| self.endgame(peer, now)) else { return false };
        let bytes = u64::from(self.layout.sealed_len(index));
        *budget = budget.saturating_sub(bytes);
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.claimed.insert(index);
        self.requests.insert(id, Outstanding { peer, index, at: now });
        self.by_chunk.entry(index).or_default().push(id);
        if let Some(source) = self.sources.get_mut(&peer) {
            if source.outstanding == 0 {
                source.heard = now;
            }
            source.outstanding += bytes;
        }
        let within_ms = WITHIN.as_millis() as u32;
        self.outputs.push_back(Output::Request { peer, id, index, within_ms });
        true
    }

    fn wanted(&self, index: u32) -> bool {
        index < self.chunks && !self.claimed.has(index) && self.pages.has(index / PAGE)
    }

    /// What this seeder handed out; what nobody else can give, where it hands out nothing.
    fn from_seeder(&mut self, peer: DeviceId, now: Duration, rng: &mut impl Rng) -> Option<u32> {
        let mut waiting_for_page = VecDeque::new();
        let mut found = None;
        while found.is_none() {
            let source = self.sources.get_mut(&peer)?;
            let Some((start, len)) = source.hinted.pop_front() else { break };
            if len > 1 {
                source.hinted.push_front((start + 1, len - 1));
            }
            if !self.claimed.has(start) && start < self.chunks && !self.pages.has(start / PAGE) {
                waiting_for_page.push_back((start, 1));
            } else if self.wanted(start) {
                found = Some(start);
            }
        }
        let source = self.sources.get_mut(&peer)?;
        source.hinted.extend(waiting_for_page);
        if found.is_some() {
            return found;
        }
        let waits = if source.ever_hinted { self.progress.max(source.since) + STUCK } else { source.since + UNHINTED };
        if !source.hinted.is_empty() || now < waits {
            return None;
        }
        self.sample(rng, |_| u64::MAX, |copies| copies == 0).or_else(|| {
            // Others hold it and do not give it: they may be slow, or lie.
            let nobody_else = self.sources.iter().all(|(other, source)| {
                *other == peer || source.aside.is_some() || source.have.is_all() || now < source.busy_until
            });
            if nobody_else { self.sample(rng, |_| u64::MAX, |_| true) } else { None }
        })
    }

    fn rarest_of(&self, peer: DeviceId, rng: &mut impl Rng) -> Option<u32> {
        let source = self.sources.get(&peer)?;
        self.sample(rng, |at| source.have.word(at), |_| true)
    }

    /// The rarest among some of the wanted chunks in `mask`, from a random place on.
    fn sample(&self, rng: &mut impl Rng, mask: impl Fn(usize) -> u64, allowed: impl Fn(u16) -> bool) -> Option<u32> {
        let words = self.claimed.words();
        if words == 0 {
            return None;
        }
        let from = (rng.next_u64() % words as u64) as usize;
        let mut best: Option<(u16, u64, u32)> = None;
        let mut seen = 0;
        for step in 0..words {
            let at = (from + step) % words;
            let candidates = !self.claimed.word(at) & mask(at);
            if candidates == 0 {
                continue;
            }
            for bit in bits(candidates) {
                let index = at as u32 * 64 + bit;
                if !self.wanted(index) {
                    continue;
                }
                let copies = self.copies.get(index as usize).copied().unwrap_or(0);
                if !allowed(copies) {
                    continue;
                }
                seen += 1;
                let tie = rng.next_u64();
                if best.is_none_or(|(rarest, best_tie, _)| (copies, tie) < (rarest, best_tie)) {
                    best = Some((copies, tie, index));
                }
            }
            if seen >= SAMPLE {
                break;
            }
        }
        best.map(|(.., index)| index)
    }

    /// Everything is asked for, and little is left: what has been out longest is asked of a second peer.
    fn endgame(&self, peer: DeviceId, now: Duration) -> Option<u32> {
        let left = self.chunks - self.have.count();
        if left > (self.chunks / 100).max(4) || !self.claimed.is_all() {
            return None;
        }
        let source = self.sources.get(&peer)?;
        let mut oldest: Option<(Duration, u32)> = None;
        for (index, ids) in &self.by_chunk {
            let [only] = ids.as_slice() else { continue };
            let Some(request) = self.requests.get(only) else { continue };
            let others = self.copies.get(*index as usize).copied().unwrap_or(0);
            // A seeder's uplink is for what nobody else has.
            let spare = !source.have.is_all() || others == 0;
            if request.peer != peer
                && source.have.has(*index)
                && spare
                && now >= request.at + ENDGAME_AFTER
                && oldest.is_none_or(|(at, _)| request.at < at)
            {
                oldest = Some((request.at, *index));
            }
        }
        oldest.map(|(_, index)| index)
    }

    fn ask_for_pages(&mut self, now: Duration) {
        self.pages_asked.retain(|_, (_, at)| now < *at + PAGE_PATIENCE);
        if self.pages.is_all() {
            return;
        }
        let peers: Vec<(DeviceId, bool)> = self
            .sources
            .iter()
            .filter(|(_, source)| source.aside.is_none())
            .map(|(peer, source)| (*peer, source.have.is_all()))
            .collect();
        if peers.is_empty() {
            return;
        }
        // Seeders know all pages; others may not.
        let seeders: Vec<DeviceId> = peers.iter().filter(|(_, seeder)| *seeder).map(|(peer, _)| *peer).collect();
        let of = if seeders.is_empty() { peers.iter().map(|(peer, _)| *peer).collect() } else { seeders };
        for page in 0..self.pages.len() {
            if self.pages_asked.len() >= PAGES_AT_ONCE {
                return;
            }
            if self.pages.has(page) || self.pages_asked.contains_key(&page) {
                continue;
            }
            // Another one each time it had to be asked again.
            let turn = (page as usize + (now.as_secs() / PAGE_PATIENCE.as_secs()) as usize) % of.len();
            let Some(peer) = of.get(turn).copied() else { return };
            self.pages_asked.insert(page, (peer, now));
            self.outputs.push_back(Output::GetHashes { peer, page });
        }
    }

    fn lapse(&mut self, now: Duration) {
        let silent: Vec<DeviceId> = self
            .sources
            .iter()
            .filter(|(_, source)| {
                let patience = if source.meter.total() == 0 { FIRST_PATIENCE } else { PATIENCE };
                source.outstanding > 0 && now >= source.heard + patience
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in silent {
            let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| request.peer == peer).map(|(id, _)| *id).collect();
            for id in ids {
                let Some(request) = self.end_request(id) else { continue };
                self.unclaim(request.index);
                self.take_back(peer, id);
                if self.late.len() >= MAX_LATE {
                    self.late.pop_front();
                }
                self.late.push_back((id, request));
            }
            if let Some(source) = self.sources.get_mut(&peer) {
                source.busy_until = now + SLOW_FOR;
                self.outputs.push_back(Output::SetAside { peer, reason: Aside::Slow });
            }
        }
    }

    fn take_back(&mut self, peer: DeviceId, id: u64) {
        if let Some(source) = self.sources.get_mut(&peer) {
            source.taken_back += 1;
        }
        self.outputs.push_back(Output::Cancel { peer, id });
    }

    fn end_request(&mut self, id: u64) -> Option<Outstanding> {
        let request = self.requests.remove(&id)?;
        if let Some(source) = self.sources.get_mut(&request.peer) {
            source.outstanding = source.outstanding.saturating_sub(u64::from(self.layout.sealed_len(request.index)));
        }
        if let Some(ids) = self.by_chunk.get_mut(&request.index) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_chunk.remove(&request.index);
            }
        }
        Some(request)
    }

    /// It is to be asked for again, unless it is here or asked of somebody else.
    fn unclaim(&mut self, index: u32) {
        if !self.have.has(index) && !self.storing.has(index) && !self.by_chunk.contains_key(&index) {
            self.claimed.remove(index);
        }
    }

    fn set_aside(&mut self, peer: DeviceId, reason: Aside) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        if source.aside.is_some() {
            return;
        }
        source.aside = Some(reason);
        let have = std::mem::replace(&mut source.have, Have::none(self.chunks));
        if !have.is_all() {
            self.count(&have, -1);
        }
        self.drop_requests(peer);
        self.outputs.push_back(Output::SetAside { peer, reason });
    }

    fn drop_requests(&mut self, peer: DeviceId) {
        let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| request.peer == peer).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(request) = self.end_request(id) {
                self.unclaim(request.index);
            }
        }
        self.pages_asked.retain(|_, (asked, _)| *asked != peer);
    }

    fn forget(&mut self, peer: DeviceId) {
        self.drop_requests(peer);
        if let Some(source) = self.sources.remove(&peer)
            && !source.have.is_all()
        {
            self.count(&source.have, -1);
        }
    }

    fn count(&mut self, have: &Have, by: i32) {
        for index in have.iter() {
            if let Some(copies) = self.copies.get_mut(index as usize) {
                *copies = if by > 0 { copies.saturating_add(1) } else { copies.saturating_sub(1) };
            }
        }
    }
}
