//! Requests that are out: how they end, lapse, or are taken back, and what happens to a peer over them. Whatever way one ends, its chunk
//! is claimed no more unless it is here or somebody else was asked for it.

use core::time::Duration;

use super::{Aside, Download, Output, Outstanding};
use crate::id::DeviceId;
use crate::swarm::have::Have;

/// A peer that sends nothing for so long while it is asked: what it was asked for is asked of another.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for a peer that never sent anything.
const FIRST_PATIENCE: Duration = Duration::from_secs(8);
/// How long a peer is left alone that let requests lapse.
const SLOW_FOR: Duration = Duration::from_secs(30);
/// Requests that lapsed and may still be answered; the oldest are forgotten.
const MAX_LATE: usize = 256;

impl Download {
    pub(super) fn lapse(&mut self, now: Duration) {
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

    pub(super) fn take_back(&mut self, peer: DeviceId, id: u64) {
        if let Some(source) = self.sources.get_mut(&peer) {
            source.taken_back += 1;
        }
        self.outputs.push_back(Output::Cancel { peer, id });
    }

    pub(super) fn end_request(&mut self, id: u64) -> Option<Outstanding> {
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
    pub(super) fn unclaim(&mut self, index: u32) {
        if !self.have.has(index) && !self.storing.has(index) && !self.by_chunk.contains_key(&index) {
            self.claimed.remove(index);
        }
    }

    pub(super) fn set_aside(&mut self, peer: DeviceId, reason: Aside) {
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

    pub(super) fn drop_requests(&mut self, peer: DeviceId) {
        let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| request.peer == peer).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(request) = self.end_request(id) {
                self.unclaim(request.index);
            }
        }
        self.pages_asked.retain(|_, (asked, _)| *asked != peer);
    }

    pub(super) fn forget(&mut self, peer: DeviceId) {
        self.drop_requests(peer);
        if let Some(source) = self.sources.remove(&peer)
            && !source.have.is_all()
        {
            self.count(&source.have, -1);
        }
    }

    pub(super) fn count(&mut self, have: &Have, by: i32) {
        for index in have.iter() {
            if let Some(copies) = self.copies.get_mut(index as usize) {
                *copies = if by > 0 { copies.saturating_add(1) } else { copies.saturating_sub(1) };
            }
        }
    }
}
