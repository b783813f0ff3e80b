//! Files of rooms: their commands, what is kept about them across runs, their views. What is shared is decided by the room's machine, who
//! fetches what from whom by the engine's; here the two are told of each other.

mod acts;
mod beside_call;
mod kept;
mod pictures;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use conclave_protocol::id::{DeviceId, FileId, OpHash, RoomId};
use conclave_protocol::swarm::manifest::{Manifest, Shared, catalogue, kind};
use tokio::sync::mpsc;

use self::acts::SharedDone;
use self::kept::{Kept, KeptState};
pub(crate) use self::pictures::{From as PictureFrom, Shelf};
use super::Driver;
use super::links::{FromLink, LinkId, LinkKey};
use crate::error::CommandError;
use crate::event::Event;
use crate::files::{Ask, FileLink, FilesHandle, Form, News, Progress};
use crate::net::{FrameReader, FrameWriter, StreamName};
use crate::store::Batch;
use crate::view::PathView;

/// Answers of passes over files that are being shared.
const SHARED: usize = 64;

/// What the loop hears of files.
pub(super) enum FromFiles {
    News(News),
    Shared(SharedDone),
}

/// A file of a room, as this device sees it.
struct KnownFile {
    shared: Shared,
    manifest: Arc<Manifest>,
    kept: Option<Kept>,
    progress: Progress,
}

/// What this device knows of the files of its rooms.
pub(super) struct Files {
    handle: FilesHandle,
    dir: PathBuf,
    rooms: BTreeMap<RoomId, BTreeMap<FileId, KnownFile>>,
    /// Rooms whose operations changed.
    review: BTreeSet<RoomId>,
    /// Files whose views changed.
    changed: BTreeSet<(RoomId, FileId)>,
    shared: mpsc::Receiver<SharedDone>,
    sharing: mpsc::Sender<SharedDone>,
    /// At the call that runs, if one does.
    look: Option<beside_call::Look>,
    /// Pictures that boards wait for.
    wanted: pictures::Wanted,
}

impl Files {
    pub(super) fn start(dir: PathBuf) -> Self {
        let (sharing, shared) = mpsc::channel(SHARED);
        Self {
            handle: crate::files::start(dir.clone()),
            dir,
            rooms: BTreeMap::new(),
            review: BTreeSet::new(),
            changed: BTreeSet::new(),
            shared,
            sharing,
            look: None,
            wanted: pictures::Wanted::default(),
        }
    }

    /// What happened to files. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<FromFiles> {
        tokio::select! {
            Some(news) = self.handle.news.recv() => Some(FromFiles::News(news)),
            Some(done) = self.shared.recv() => Some(FromFiles::Shared(done)),
            else => None,
        }
    }

    /// What is shared in a room is to be looked at again.
    pub(super) fn review(&mut self, room: RoomId) {
        self.review.insert(room);
    }

    /// Makes sure of what was written.
    pub(super) async fn stop(&self) {
        let (answer, stopped) = tokio::sync::oneshot::channel();
        self.ask(Ask::Stop(answer)).await;
        let _ = stopped.await;
    }

    async fn ask(&self, ask: Ask) {
        // The engine ends with the loop.
        let _ = self.handle.asks.send(ask).await;
    }

    fn find(&mut self, room: RoomId, file: FileId) -> Option<&mut KnownFile> {
        self.rooms.get_mut(&room)?.get_mut(&file)
    }

    fn room_of(&self, file: FileId) -> Option<RoomId> {
        self.rooms.iter().find(|(_, files)| files.contains_key(&file)).map(|(room, _)| *room)
    }
}

impl Driver {
    /// What was going on when this device last ran goes on.
    pub(super) async fn begin_files(&mut self) {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.review_files(room, false).await;
        }
        self.apply_file_limits().await;
    }

    pub(super) fn note_file_operation(&mut self, room: RoomId, kind: u32) {
        if (kind::SHARE..=kind::WITHDRAW).contains(&kind) {
            self.files.review(room);
        }
    }

    /// Little is asked of a member behind a relay, and that last.
    pub(super) async fn tell_files_of_path(&mut self, device: DeviceId) {
        let relayed = self.peers.get(&device).is_some_and(|peer| peer.path == Some(PathView::Relay));
        self.files.ask(Ask::Path { device, relayed }).await;
    }

    /// Tells of the files that changed in a turn of the loop.
    pub(super) async fn tell_files(&mut self) {
        for room in std::mem::take(&mut self.files.review) {
            self.review_files(room, true).await;
        }
        for (room, file) in std::mem::take(&mut self.files.changed) {
            if let Some(view) = self.file_view(room, file) {
                self.publish(Event::FileChanged { room, file: view });
            }
        }
        self.look_at_call().await;
    }

    /// Compares what is shared in a room with what was known of it.
    async fn review_files(&mut self, room: RoomId, tell: bool) {
        let Some(entry) = self.rooms.get(&room) else { return };
        let acl = entry.room.acl();
        let now = catalogue(entry.room.operations_of(kind::SHARE..=kind::WITHDRAW), |device| acl.is_admin(device));
        let known = self.files.rooms.entry(room).or_default();
        let gone: Vec<FileId> = known.keys().filter(|file| !now.contains_key(file)).copied().collect();
        let new: Vec<(FileId, Shared)> = now.into_iter().filter(|(file, _)| !known.contains_key(file)).collect();
        for file in gone {
            self.forget_file(room, file).await;
            if tell {
                self.publish(Event::FileRemoved { room, file });
            }
        }
        if new.is_empty() {
            return;
        }
        let names: Vec<String> = new.iter().map(|(file, _)| kept::note(*file)).collect();
        let read =
            self.store.read(move |store| names.iter().map(|name| store.note(Some(&room), name)).collect::<Result<Vec<_>, _>>());
        let notes = match read.await {
            Ok(notes) => notes,
            Err(error) => return self.publish(Event::Problem { error: CommandError::from(error).into() }),
        };
        for ((file, shared), note) in new.into_iter().zip(notes) {
            let kept = note.and_then(|note| Kept::decode(&note));
            let manifest = Arc::new(shared.manifest.clone());
            let begins = kept.as_ref().and_then(Kept::engine);
            let progress = Progress {
                done: if kept.as_ref().is_some_and(Kept::is_whole) { manifest.size } else { 0 },
                ..Progress::default()
            };
            let known = KnownFile { shared, manifest: manifest.clone(), kept, progress };
            self.files.rooms.entry(room).or_default().insert(file, known);
            if let Some(kept) = begins {
                self.files.ask(Ask::Begin { room, file, manifest, kept }).await;
            }
            if tell {
                self.files.changed.insert((room, file));
            }
        }
        if tell {
            for (room, file) in std::mem::take(&mut self.files.changed) {
                if let Some(view) = self.file_view(room, file) {
                    self.publish(Event::FileChanged { room, file: view });
                }
            }
        }
        self.fetch_pictures(room).await;
        self.reach_for_files(room);
    }

    /// It is in the room no more: what is here of it stays, what was on its way goes.
    async fn forget_file(&mut self, room: RoomId, file: FileId) {
        let Some(known) = self.files.rooms.get_mut(&room).and_then(|files| files.remove(&file)) else { return };
        if let Some(kept) = known.kept {
            self.discard(room, file, &kept, known.manifest).await;
            if let Err(error) = self.store.commit(Batch::new().note(Some(&room), &kept::note(file), None)).await {
                self.publish(Event::Problem { error: CommandError::from(error).into() });
            }
        }
    }

    /// The room is deleted.
    pub(super) async fn forget_files(&mut self, room: RoomId) {
        let files: Vec<FileId> = self.files.rooms.get(&room).map(|files| files.keys().copied().collect()).unwrap_or_default();
        for file in files {
            self.forget_file(room, file).await;
        }
        self.files.rooms.remove(&room);
        self.forget_pictures(room);
        self.files.changed.retain(|(other, _)| *other != room);
    }

    /// Something of this room is being fetched: streams of files to everyone who is there are to stand.
    pub(super) fn reach_for_files(&mut self, room: RoomId) {
        let fetches = |known: &KnownFile| known.kept.as_ref().is_some_and(|kept| kept.state == KeptState::Fetching);
        if !self.files.rooms.get(&room).is_some_and(|files| files.values().any(fetches)) {
            return;
        }
        let Some(entry) = self.rooms.get(&room) else { return };
        let me = entry.room.me();
        let there: Vec<DeviceId> = entry.room.acl().roster().map(|member| member.device).filter(|device| *device != me).collect();
        for device in there {
            if self.links.is_online(room, device) {
                self.links.wish_files(device, room);
            }
        }
    }

    /// A stream of files was proved. It stands only with a member.
    pub(super) async fn handle_file_link(
        &mut self,
        id: LinkId,
        key: LinkKey,
        opened: (bool, [u8; 32]),
        reader: FrameReader,
        writer: FrameWriter,
    ) {
        let member = self
            .rooms
            .get(&key.room)
            .is_some_and(|entry| entry.room.my_role().is_some() && entry.room.acl().is_member(&key.device));
        if !member {
            writer.abort();
            return;
        }
        let peer = (key.room, key.device);
        let inbox =
            if key.name == StreamName::FileData { self.files.handle.data.clone() } else { self.files.handle.control.clone() };
        let outbox = self.links.outbox();
        let link = FileLink { id, key: peer, name: key.name, writer: writer.clone() };
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            if wait.await.is_ok() {
                crate::files::carry(inbox, link, reader).await;
                let _ = outbox.send(FromLink::Down { id }).await;
            }
        });
        if self.links.handle_up(id, key, opened, writer.clone(), task.abort_handle()).is_none() {
            task.abort();
            writer.abort();
            return;
        }
        let _ = go.send(());
    }

    pub(super) async fn handle_files(&mut self, from: FromFiles) {
        match from {
            FromFiles::News(news) => self.handle_file_news(news).await,
            FromFiles::Shared(done) => self.handle_shared(done).await,
        }
    }

    /// What the engine tells.
    async fn handle_file_news(&mut self, news: News) {
        match news {
            News::Progress { file, progress } => {
                let Some(room) = self.files.room_of(file) else { return };
                if let Some(known) = self.files.find(room, file) {
                    known.progress = progress;
                    self.files.changed.insert((room, file));
                }
            }
            News::Finished { file, path, form } => {
                let Some(room) = self.files.room_of(file) else { return };
                let state = if form == Form::Sealed { KeptState::Sealed } else { KeptState::Complete };
                self.keep(room, file, |kept| {
                    kept.state = state;
                    kept.path = path.display().to_string();
                    kept.error = None;
                })
                .await;
                if let Some(known) = self.files.find(room, file) {
                    known.progress.done = known.manifest.size;
                    known.progress.down = 0;
                    known.progress.map = String::new();
                }
                self.picture_finished(room, file).await;
            }
            News::Stopped { file, error } => {
                let Some(room) = self.files.room_of(file) else { return };
                tracing::info!(code = error.code().as_str(), "a file cannot go on");
                let error = CommandError::from(error);
                self.keep(room, file, |kept| {
                    kept.before = Some(kept.state.number());
                    kept.state = KeptState::Stopped;
                    kept.error = Some((error.code.as_str().to_owned(), error.message.clone()));
                })
                .await;
                if let Some(known) = self.files.find(room, file) {
                    (known.progress.down, known.progress.peers, known.progress.seeders) = (0, 0, 0);
                }
            }
            News::PeerAside { file, device } => tracing::debug!(%file, %device, "a member's copy is not used"),
        }
    }

    /// Changes what is kept of a file: on disk first.
    async fn keep(&mut self, room: RoomId, file: FileId, change: impl FnOnce(&mut Kept)) {
        let Some(known) = self.files.find(room, file) else { return };
        let Some(kept) = &mut known.kept else { return };
        change(kept);
        let note = kept.encode();
        self.files.changed.insert((room, file));
        if let Err(error) = self.store.commit(Batch::new().note(Some(&room), &kept::note(file), Some(&note))).await {
            self.publish(Event::Problem { error: CommandError::from(error).into() });
        }
    }
}

/// A file is named by the operation that shared it.
fn op_of(file: FileId) -> OpHash {
    OpHash(file.0)
}
