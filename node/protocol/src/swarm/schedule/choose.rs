//! Which chunk is asked of whom next: what a seeder handed out, else the rarest, a second peer at the very end. It only chooses: every
//! request goes through [`Download::ask`], which keeps the peer's window and the caller's budget.

use core::time::Duration;
use std::collections::VecDeque;

use rand_core::Rng;

use super::{Download, Output, Outstanding};
use crate::id::DeviceId;
use crate::swarm::hashes::PAGE;
use crate::swarm::have::bits;

/// A request that waits longer than this at the other side need not be served.
const WITHIN: Duration = Duration::from_secs(60);
/// A seeder that never hands anything out is asked unasked after so long …
const UNHINTED: Duration = Duration::from_millis(1500);
/// … and any other once nothing came from anybody for so long.
const STUCK: Duration = Duration::from_secs(4);
/// A request must be this old before the same chunk is asked of another at the end.
const ENDGAME_AFTER: Duration = Duration::from_millis(400);
/// Candidates among which the rarest is taken.
const SAMPLE: usize = 48;

impl Download {
    /// Asks one peer for one chunk. False where there is none to ask for.
    pub(super) fn ask(&mut self, peer: DeviceId, now: Duration, budget: &mut u64, rng: &mut impl Rng) -> bool {
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

    pub(super) fn wanted(&self, index: u32) -> bool {
        index < self.chunks && !self.claimed.has(index) && self.pages.has(index / PAGE)
    }

    /// What this seeder handed out; what nobody else can give, where it hands out nothing.
    pub(super) fn from_seeder(&mut self, peer: DeviceId, now: Duration, rng: &mut impl Rng) -> Option<u32> {
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

    pub(super) fn rarest_of(&self, peer: DeviceId, rng: &mut impl Rng) -> Option<u32> {
        let source = self.sources.get(&peer)?;
        self.sample(rng, |at| source.have.word(at), |_| true)
    }

    /// The rarest among some of the wanted chunks in `mask`, from a random place on.
    pub(super) fn sample(&self, rng: &mut impl Rng, mask: impl Fn(usize) -> u64, allowed: impl Fn(u16) -> bool) -> Option<u32> {
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
    pub(super) fn endgame(&self, peer: DeviceId, now: Duration) -> Option<u32> {
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
}
