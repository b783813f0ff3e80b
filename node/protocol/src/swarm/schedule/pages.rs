//! Pages of hashes: without its page a chunk can be checked by nobody and is not asked for. No page is asked for twice at once.

use core::time::Duration;

use super::{Aside, Download, Output};
use crate::id::DeviceId;

/// Pages of hashes asked for at once.
const PAGES_AT_ONCE: usize = 8;
/// A page that does not come is asked of another.
const PAGE_PATIENCE: Duration = Duration::from_secs(5);

impl Download {
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

    /// A page that was asked for is not there.
    pub fn handle_no_page(&mut self, page: u32) {
        self.pages_asked.remove(&page);
    }

    pub(super) fn ask_for_pages(&mut self, now: Duration) {
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
}
