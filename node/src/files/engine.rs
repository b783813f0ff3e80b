//! The engine of files: one task that owns every transfer of this device. It waits for nothing but its queues; disks and cores are waited
//! for in jobs.

mod fetch;
mod limits;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conclave_protocol::id::{DeviceId, FileId, RoomId};
use conclave_protocol::swarm::courtesy::{CallPath, Courtesy};
use conclave_protocol::swarm::hashes::Hashes;
use conclave_protocol::swarm::hint::Hinter;
use conclave_protocol::swarm::manifest::Manifest;
use conclave_protocol::swarm::rate::{Limit, Meter};
use conclave_protocol::swarm::seal::ChunkCipher;
use conclave_protocol::swarm::slots::Slots;
use conclave_protocol::swarm::wire::Control;
use tokio::sync::mpsc;

use self::fetch::Fetch;
use super::error::FileError;
use super::jobs::{Done, Jobs, Kept, Opened, Supply, open};
use super::part::{Beside, Form};
use super::peer::{FromPeer, Peer, PeerKey};
use crate::driver::rng;
use crate::net::Pace;

/// Requests of the loop that wait. The loop waits beyond them, which is never long: the engine waits for nothing.
const ASKS: usize = 64;
/// News that wait for the loop. Progress is left out beyond them; what ends a transfer waits in the engine.
const NEWS: usize = 256;
/// Words of peers that wait; the peers behind them wait then.
const CONTROL_INBOX: usize = 256;
/// Chunks that arrived and wait to be looked at, 1 MiB each at most.
const DATA_INBOX: usize = 16;
/// Ends of jobs that wait.
const JOBS: usize = 256;
/// Bytes asked for and not yet written, of all files together.
const IN_FLIGHT: u64 = 32 * 1024 * 1024;
/// The machines are asked so often while something moves …
const ACTIVE: Duration = Duration::from_millis(25);
/// … and so often otherwise.
const IDLE: Duration = Duration::from_secs(2);
/// Progress of one file is told so often.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Messages taken in one turn before the machines are asked.
const BURST: usize = 32;
/// Parts of the map that a person sees.
const MAP: u32 = 64;

/// What the loop asks for.
pub(crate) enum Ask {
    /// Takes part in a file from here on.
    Begin { room: RoomId, file: FileId, manifest: Arc<Manifest>, kept: Kept },
    /// Takes part no more. `remove`: what was fetched so far goes too.
    End { file: FileId, remove: bool },
    /// Bytes a second, up and down.
    Limits { up: Option<u64>, down: Option<u64> },
    /// A device is reached by another way than before.
    Path { device: DeviceId, relayed: bool },
    /// What a call sees of its paths, ten times a second at most; `None` once it is over.
    Call(Option<CallPath>),
    /// Everything that was written is made sure of; answered when it is.
    Stop(tokio::sync::oneshot::Sender<()>),
}

/// How far a file is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes here, checked.
    pub(crate) done: u64,
    /// Bytes a second, in and out.
    pub(crate) down: u64,
    pub(crate) up: u64,
    /// Who takes part, and who of them holds all.
    pub(crate) peers: u32,
    pub(crate) seeders: u32,
    /// Bytes sent, ever in this run.
    pub(crate) sent: u64,
    /// A digit for each part of the file, from 0 for nothing to 9 for all.
    pub(crate) map: String,
}

/// What the engine tells.
#[derive(Debug)]
pub(crate) enum News {
    Progress {
        file: FileId,
        progress: Progress,
    },
    /// It is whole, under this path; or sealed.
    Finished {
        file: FileId,
        path: PathBuf,
        form: Form,
    },
    /// It cannot go on.
    Stopped {
        file: FileId,
        error: FileError,
    },
    /// A member takes part in the files of a room: what is known of it may be out of date.
    PeerAside {
        file: FileId,
        device: DeviceId,
    },
}

/// The loop's side.
pub(crate) struct FilesHandle {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) news: mpsc::Receiver<News>,
    /// For the tasks that read streams.
    pub(crate) control: mpsc::Sender<FromPeer>,
    pub(crate) data: mpsc::Sender<FromPeer>,
}

/// Starts the engine. `files`: the directory beside the store.
pub(crate) fn start(files: PathBuf) -> FilesHandle {
    let (asks, asked) = mpsc::channel(ASKS);
    let (news, told) = mpsc::channel(NEWS);
    let (control, words) = mpsc::channel(CONTROL_INBOX);
    let (data, chunks) = mpsc::channel(DATA_INBOX);
    let (done, jobs_done) = mpsc::channel(JOBS);
    let engine = Engine {
        dir: files,
        news,
        queue: VecDeque::new(),
        jobs: Jobs::new(done),
        files: BTreeMap::new(),
        peers: BTreeMap::new(),
        relayed: BTreeSet::new(),
        slots: Slots::new(),
        up: Limit::new(None, Duration::ZERO),
        down: Limit::new(None, Duration::ZERO),
        pace: Arc::default(),
        courtesy: None,
        wished: (None, None),
        sent: Meter::default(),
        received: Meter::default(),
        paced_to: None,
        storing: 0,
        started: Instant::now(),
        turns: 0,
        unwanted: BTreeSet::new(),
        told: Duration::ZERO,
        wake: None,
    };
    tokio::spawn(engine.run(asked, words, chunks, jobs_done));
    FilesHandle { asks, news: told, control, data }
}

/// A file that this device takes part in.
struct Entry {
    room: RoomId,
    manifest: Arc<Manifest>,
    root: [u8; 32],
    cipher: ChunkCipher,
    turn: u64,
    beside: Beside,
    kept: Kept,
    role: Role,
    up: Meter,
    told: Option<Progress>,
}

enum Role {
    Opening,
    Fetching(Box<Fetch>),
    Serving { hashes: Hashes, supply: Supply, hinter: Hinter, stale: bool },
}

struct Engine {
    dir: PathBuf,
    news: mpsc::Sender<News>,
    /// News that the loop has not taken yet: a few for each file at most.
    queue: VecDeque<News>,
    jobs: Jobs,
    files: BTreeMap<FileId, Entry>,
    peers: BTreeMap<PeerKey, Peer>,
    /// Devices that are connected through a relay: as many as connections at most.
    relayed: BTreeSet<DeviceId>,
    slots: Slots<PeerKey>,
    up: Limit,
    down: Limit,
    /// What all writers of chunks keep to.
    pace: Arc<Pace>,
    /// While a call runs.
    courtesy: Option<Courtesy>,
    /// What a person wished, up and down.
    wished: (Option<u64>, Option<u64>),
    /// All files together.
    sent: Meter,
    received: Meter,
    /// What each peer was last told to keep to.
    paced_to: Option<u64>,
    /// Bytes that arrived and are not written yet.
    storing: u64,
    started: Instant,
    turns: u64,
    /// Times of taking part that ended, with everything to be removed, before they had begun.
    unwanted: BTreeSet<u64>,
    told: Duration,
    /// A limit lets something through then.
    wake: Option<Duration>,
}

impl Engine {
    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        mut words: mpsc::Receiver<FromPeer>,
        mut chunks: mpsc::Receiver<FromPeer>,
        mut jobs: mpsc::Receiver<Done>,
    ) {
        loop {
            let pause = if self.is_active() { ACTIVE } else { IDLE };
            let due = self.wake.take().map_or(pause, |wake| wake.saturating_sub(self.now()).min(pause));
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask::Stop(answer)) => {
                        self.stop().await;
                        let _ = answer.send(());
                        return;
                    }
                    Some(ask) => self.handle_ask(ask),
                    None => return self.stop().await,
                },
                Some(from) = words.recv() => {
                    self.handle_peer(from);
                    for _ in 0..BURST {
                        let Ok(from) = words.try_recv() else { break };
                        self.handle_peer(from);
                    }
                }
                Some(from) = chunks.recv() => {
                    self.handle_peer(from);
                    while let Ok(from) = chunks.try_recv() {
                        self.handle_peer(from);
                    }
                }
                Some(done) = jobs.recv() => {
                    self.handle_done(done);
                    for _ in 0..BURST {
                        let Ok(done) = jobs.try_recv() else { break };
                        self.handle_done(done);
                    }
                }
                () = tokio::time::sleep(due) => {}
            }
            self.turn();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_active(&self) -> bool {
        self.slots.waiting() > 0
            || !self.queue.is_empty()
            || self.peers.values().any(Peer::waits)
            || self
                .files
                .values()
                .any(|entry| matches!(entry.role, Role::Fetching(_)) || entry.told.as_ref().is_some_and(|told| told.up > 0))
    }

    fn handle_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Begin { room, file, manifest, kept } => self.begin(room, file, manifest, kept),
            Ask::End { file, remove } => self.end(file, remove),
            Ask::Path { device, relayed } => self.handle_path(device, relayed),
            Ask::Limits { up, down } => {
                self.wished = (up, down);
                self.set_limits();
            }
            Ask::Call(path) => self.handle_call(path),
            Ask::Stop(_) => {}
        }
    }

    fn begin(&mut self, room: RoomId, file: FileId, manifest: Arc<Manifest>, kept: Kept) {
        self.end(file, false);
        self.turns += 1;
        let turn = self.turns;
        let beside = Beside::new(&self.dir, &manifest);
        let entry = Entry {
            room,
            root: manifest.root(),
            cipher: ChunkCipher::of(&manifest),
            turn,
            beside: beside.clone(),
            kept: kept.clone(),
            role: Role::Opening,
            up: Meter::default(),
            told: None,
            manifest: manifest.clone(),
        };
        self.files.insert(file, entry);
        self.jobs.run(move || Done::Opened { file, turn, result: open(&beside, file, &manifest, &kept) });
    }

    /// Takes part no more, and says so.
    fn end(&mut self, file: FileId, remove: bool) {
        let Some(entry) = self.files.remove(&file) else { return };
        for (key, asked) in self.slots.handle_ended(None, file) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.say(&Control::Reject { file, id: asked.id, why: conclave_protocol::swarm::wire::Why::Gone });
            }
        }
        for (_, peer) in self.peers.iter_mut().filter(|((room, _), _)| *room == entry.room) {
            if peer.greeted.remove(&file) {
                peer.say(&Control::Bye { file });
            }
        }
        match entry.role {
            Role::Fetching(fetch) => drop(fetch.leave(remove)),
            Role::Opening if remove => drop(self.unwanted.insert(entry.turn)),
            _ if remove => entry.beside.remove(),
            _ => {}
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Opened { file, turn, result } => {
                let now = self.now();
                if self.unwanted.remove(&turn) {
                    if let Ok(Opened { supply: Supply::Part(part), .. }) = result {
                        tokio::task::spawn_blocking(move || part.remove());
                    }
                    return;
                }
                let Some(entry) = self.files.get_mut(&file).filter(|entry| entry.turn == turn) else { return };
                match result {
                    Ok(opened) => {
                        entry.role = match (opened.have, &opened.supply) {
                            (Some(have), Supply::Part(part)) => Role::Fetching(Box::new(Fetch::new(
                                part.clone(),
                                opened.hashes,
                                have,
                                entry.manifest.layout(),
                                now,
                            ))),
                            _ => {
                                let hinter = Hinter::new(entry.manifest.layout().chunks(), &mut rng());
                                Role::Serving { hashes: opened.hashes, supply: opened.supply, hinter, stale: false }
                            }
                        };
                        self.greet_all(file);
                    }
                    Err(error) => self.stopped(file, error),
                }
            }
            Done::Stored { file, turn, key, index, bytes, result } => {
                self.storing = self.storing.saturating_sub(bytes);
                if let Some(error) = self.handle_stored(file, turn, key, index, bytes, result) {
                    self.stopped(file, error);
                }
            }
            Done::Settled { file, turn, result } => {
                let Some(entry) = self.files.get_mut(&file).filter(|entry| entry.turn == turn) else { return };
                if let Role::Fetching(fetch) = &mut entry.role {
                    fetch.settling = false;
                }
                if let Err(error) = result {
                    self.stopped(file, error);
                }
            }
            Done::Finished { file, turn, result } => {
                if self.files.get(&file).is_none_or(|entry| entry.turn != turn) {
                    return;
                }
                match result {
                    Ok(finished) => self.finished(file, finished),
                    Err(error) => self.stopped(file, error),
                }
            }
            Done::Served { file, key, id, bytes, result } => self.handle_served(file, key, id, bytes, result),
        }
    }

    /// It cannot go on: what was written is made sure of as far as that is possible, and the loop is told.
    fn stopped(&mut self, file: FileId, error: FileError) {
        self.end(file, false);
        self.queue.push_back(News::Stopped { file, error });
    }

    async fn stop(&mut self) {
        let mut waits = Vec::new();
        for (_, entry) in std::mem::take(&mut self.files) {
            if let Role::Fetching(fetch) = entry.role {
                waits.extend(fetch.leave(false));
            }
        }
        for wait in waits {
            let _ = wait.await;
        }
        self.peers.values_mut().for_each(Peer::end);
    }

    /// What follows from what happened.
    fn turn(&mut self) {
        let files: Vec<FileId> = self.files.keys().copied().collect();
        for file in &files {
            self.poll_fetch(*file);
            self.poll_hints(*file);
        }
        self.poll_slots();
        self.tell_pace();
        let lost: Vec<PeerKey> = self.peers.iter_mut().filter_map(|(key, peer)| (!peer.flush()).then_some(*key)).collect();
        lost.into_iter().for_each(|key| self.peer_gone(key));
        while let Some(news) = self.queue.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(news)) = self.news.try_send(news) {
                self.queue.push_front(news);
                break;
            }
        }
        let now = self.now();
        if now >= self.told + TELL_EVERY {
            self.told = now;
            files.into_iter().for_each(|file| self.tell(file));
        }
    }

    fn tell(&mut self, file: FileId) {
        let now = self.now();
        let Some(entry) = self.files.get_mut(&file) else { return };
        let layout = entry.manifest.layout();
        let mut progress = Progress { up: entry.up.per_second(now), sent: entry.up.total(), ..Progress::default() };
        match &entry.role {
            Role::Opening => return,
            Role::Fetching(fetch) => {
                let (peers, seeders) = fetch.download.sources();
                let have = fetch.download.have();
                let last = layout.chunks().checked_sub(1).filter(|last| have.has(*last));
                let short = last.map_or(0, |last| u64::from(layout.chunk) - u64::from(layout.len(last)));
                progress.done = u64::from(have.count()) * u64::from(layout.chunk) - short;
                progress.down = fetch.meter.per_second(now);
                (progress.peers, progress.seeders) = (peers as u32, seeders as u32);
                progress.map = map_of(have);
            }
            Role::Serving { .. } => progress.done = entry.manifest.size,
        }
        if entry.told.as_ref() != Some(&progress) {
            entry.told = Some(progress.clone());
            // The next one says the same anew.
            let _ = self.news.try_send(News::Progress { file, progress });
        }
    }
}

fn map_of(have: &conclave_protocol::swarm::have::Have) -> String {
    let parts = have.len().min(MAP);
    let digit = |part: u32| {
        let from = u64::from(part) * u64::from(have.len()) / u64::from(parts.max(1));
        let to = (u64::from(part) + 1) * u64::from(have.len()) / u64::from(parts.max(1));
        let held = (from..to).filter(|index| have.has(*index as u32)).count() as u64;
        let share = if held == 0 { 0 } else { (held * 9 / (to - from).max(1)).max(1) };
        char::from_digit(share as u32, 10).unwrap_or('0')
    };
    (0..parts).map(digit).collect()
}

/// Files in a room, to find those that a peer is to be told of.
fn of_room(files: &BTreeMap<FileId, Entry>, room: RoomId) -> BTreeSet<FileId> {
    files.iter().filter(|(_, entry)| entry.room == room).map(|(file, _)| *file).collect()
}
