//! A file that is being fetched: the machine, the disk behind it, and when what was written is made sure of.

use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::id::FileId;
use conclave_protocol::swarm::hashes::Hashes;
use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::hint::Hinter;
use conclave_protocol::swarm::manifest::Layout;
use conclave_protocol::swarm::rate::Meter;
use conclave_protocol::swarm::schedule::{Arrival, Download, Output};
use conclave_protocol::swarm::wire::{Control, Data};
use rand_core::Rng;

use super::{Engine, IN_FLIGHT, News, Role};
use crate::driver::rng;
use crate::files::error::FileError;
use crate::files::jobs::{Done, Kept, Supply};
use crate::files::part::{Finished, Form, Part, SealedFile};
use crate::files::peer::PeerKey;
use crate::net::give_buffer;

/// Written chunks are made sure of after so many bytes: with those that arrive while that is done, and those on their way, a kill costs less
/// than 64 MiB …
const SETTLE_BYTES: u64 = 24 * 1024 * 1024;
/// … or so long.
const SETTLE_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Fetch {
    pub(super) download: Download,
    pub(super) part: Arc<Part>,
    pub(super) hashes: Hashes,
    pub(super) meter: Meter,
    pub(super) settling: bool,
    unsettled: Vec<u32>,
    unsettled_bytes: u64,
    settled: Duration,
    finishing: bool,
}

impl Fetch {
    pub(super) fn new(part: Arc<Part>, hashes: Hashes, have: Have, layout: Layout, now: Duration) -> Self {
        let mut pages = Have::none(hashes.page_count());
        (0..hashes.page_count()).filter(|page| hashes.page(*page).is_some()).for_each(|page| {
            pages.insert(page);
        });
        Self {
            download: Download::new(layout, have, pages, rng().next_u64()),
            part,
            hashes,
            meter: Meter::default(),
            settling: false,
            unsettled: Vec::new(),
            unsettled_bytes: 0,
            settled: now,
            finishing: false,
        }
    }

    /// Fetches no more. What was written is made sure of, or goes; done when the task that is given ends.
    pub(super) fn leave(self, remove: bool) -> Option<tokio::task::JoinHandle<()>> {
        let (part, unsettled) = (self.part, self.unsettled);
        if self.finishing && !remove {
            return None;
        }
        Some(tokio::task::spawn_blocking(move || {
            if remove {
                part.remove();
            } else if !unsettled.is_empty()
                && let Err(error) = part.settle(&unsettled)
            {
                tracing::warn!(%error, "what was written of a file is not sure to be on disk");
            }
        }))
    }
}

impl Engine {
    /// A frame of the data stream.
    pub(super) fn handle_data(&mut self, key: PeerKey, mut frame: Vec<u8>) -> bool {
        let now = self.now();
        let Ok(data) = Data::decode(&frame) else { return false };
        let (file, id, index, header) = (data.file, data.id, data.index, frame.len() - data.sealed.len());
        let Some(entry) = self.files.get_mut(&file).filter(|entry| entry.room == key.0) else { return true };
        let Role::Fetching(fetch) = &mut entry.role else { return true };
        if fetch.download.handle_data(key.1, id, index, now) != Arrival::Store {
            return true;
        }
        let Some(hash) = fetch.hashes.of(index).copied() else {
            fetch.download.handle_not_stored(index);
            return true;
        };
        let bytes = (frame.len() - header) as u64;
        self.storing += bytes;
        let (part, cipher, turn) = (fetch.part.clone(), entry.cipher.clone(), entry.turn);
        self.jobs.run(move || {
            let result = part.take(index, frame.get_mut(header..).unwrap_or_default(), &hash, &cipher);
            give_buffer(frame);
            Done::Stored { file, turn, key, index, bytes, result }
        });
        true
    }

    /// A chunk is on disk, or not. An error ends the transfer.
    pub(super) fn handle_stored(
        &mut self,
        file: FileId,
        turn: u64,
        key: PeerKey,
        index: u32,
        bytes: u64,
        result: Result<bool, FileError>,
    ) -> Option<FileError> {
        let now = self.now();
        let entry = self.files.get_mut(&file).filter(|entry| entry.turn == turn)?;
        let Role::Fetching(fetch) = &mut entry.role else { return None };
        match result {
            Ok(true) => {
                fetch.download.handle_stored(index);
                fetch.meter.add(bytes, now);
                self.received.add(bytes, now);
                fetch.unsettled.push(index);
                fetch.unsettled_bytes += bytes;
            }
            Ok(false) => fetch.download.handle_bad(key.1, index),
            Err(error) => {
                fetch.download.handle_not_stored(index);
                return Some(error);
            }
        }
        None
    }

    /// Asks the machine of a file, and carries out what it says.
    pub(super) fn poll_fetch(&mut self, file: FileId) {
        let now = self.now();
        let outstanding: u64 = self
            .files
            .values()
            .map(|entry| match &entry.role {
                Role::Fetching(fetch) => fetch.download.outstanding(),
                _ => 0,
            })
            .sum();
        let Some(entry) = self.files.get_mut(&file) else { return };
        let Role::Fetching(fetch) = &mut entry.role else { return };
        let mut budget = IN_FLIGHT.saturating_sub(outstanding + self.storing);
        if let Err(wait) = self.down.take(0, now) {
            budget = 0;
            self.wake = Some(now + wait);
        }
        let before = budget;
        let said = fetch.download.poll(now, &mut budget, &mut rng());
        let _ = self.down.take(before - budget, now);
        let mut aside = Vec::new();
        for output in said {
            let (peer, word) = match output {
                Output::Request { peer, id, index, within_ms } => (peer, Control::Request { file, id, index, within_ms }),
                Output::Cancel { peer, id } => (peer, Control::Cancel { file, id }),
                Output::GetHashes { peer, page } => (peer, Control::GetHashes { file, page }),
                Output::Have { ranges } => {
                    let word = Control::Have { file, ranges };
                    let told =
                        self.peers.iter_mut().filter(|((room, _), peer)| *room == entry.room && peer.greeted.contains(&file));
                    told.for_each(|(_, peer)| peer.say(&word));
                    continue;
                }
                Output::SetAside { peer, reason } => {
                    tracing::info!(?reason, "a member's copy of a file is not used");
                    aside.push(peer);
                    continue;
                }
            };
            if let Some(peer) = self.peers.get_mut(&(entry.room, peer)) {
                peer.say(&word);
            }
        }
        for device in aside {
            self.queue.push_back(News::PeerAside { file, device });
        }
        let complete = fetch.download.is_complete();
        let due = fetch.unsettled_bytes >= SETTLE_BYTES || now >= fetch.settled + SETTLE_EVERY && !fetch.unsettled.is_empty();
        if !fetch.settling && !fetch.finishing && (due || complete) {
            let (part, turn, indices) = (fetch.part.clone(), entry.turn, std::mem::take(&mut fetch.unsettled));
            fetch.unsettled_bytes = 0;
            fetch.settled = now;
            if complete {
                fetch.finishing = true;
                let manifest = entry.manifest.clone();
                self.jobs.run(move || {
                    let result = part.settle(&indices).and_then(|()| part.finish(&manifest));
                    Done::Finished { file, turn, result }
                });
            } else {
                fetch.settling = true;
                self.jobs.run(move || Done::Settled { file, turn, result: part.settle(&indices) });
            }
        }
    }

    /// A file is whole: it is served from where it lies now.
    pub(super) fn finished(&mut self, file: FileId, finished: Finished) {
        let now = self.now();
        let Some(entry) = self.files.get_mut(&file) else { return };
        let Role::Fetching(fetch) = std::mem::replace(&mut entry.role, Role::Opening) else { return };
        let form = match &entry.kept {
            Kept::Fetch { form, .. } => *form,
            _ => Form::Plain,
        };
        let supply = match form {
            Form::Plain => Supply::Source(Arc::new(finished.source)),
            Form::Sealed => match SealedFile::open(&entry.beside, entry.manifest.layout()) {
                Ok(sealed) => Supply::Sealed(Arc::new(sealed)),
                Err(error) => return self.stopped(file, error),
            },
        };
        let mut hinter = Hinter::new(entry.manifest.layout().chunks(), &mut rng());
        for (peer, have) in fetch.download.takers() {
            hinter.handle_taker(peer, have.clone(), now);
        }
        entry.kept = match form {
            Form::Plain => Kept::Whole { path: finished.path.clone(), planned: true },
            Form::Sealed => Kept::Sealed,
        };
        entry.role = Role::Serving { hashes: fetch.hashes, supply, hinter, stale: false };
        self.queue.push_back(News::Finished { file, path: finished.path, form });
    }
}
