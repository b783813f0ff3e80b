//! Commands about files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use conclave_protocol::id::{FileId, RoomId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::room::Refusal;
use conclave_protocol::swarm::manifest::{Manifest, Withdraw, kind};
use conclave_protocol::wire;

use super::kept::{self, Kept, KeptState};
use super::{KnownFile, op_of};
use crate::command::Reply;
use crate::driver::{Driver, calls, rng, rooms};
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::files::{Ask, Beside, FileError, Pass, Prepared, Progress, prepare};
use crate::store::Batch;
use crate::view::BoardPictureView;

/// Between two looks at a pass that reads a file.
const LOOK: Duration = Duration::from_millis(250);
/// Files that are fetched at once. They share what may be in flight; one more is refused.
const MAX_FETCHES: usize = 64;
const UP: &str = "files.up_kib";
const DOWN: &str = "files.down_kib";
/// The setting that names where files go.
const FOLDER: &str = "files.folder";

/// A file was read and hashed, to be shared.
pub(crate) struct SharedDone {
    pub(super) room: RoomId,
    pub(super) what: What,
    pub(super) prepared: Result<Prepared, FileError>,
    /// Nobody may wait for it: it came with a page.
    pub(super) reply: Option<calls::Answer>,
}

/// What was read.
pub(super) enum What {
    /// A person's file or folder, served as it lies.
    Path(PathBuf),
    /// A picture for the board, served sealed.
    Picture(BoardPictureView),
}

fn unknown_file() -> CommandError {
    CommandError::new(ErrorCode::UnknownFile, "There is no such file in this room.")
}

impl Driver {
    /// Reads a file beside the loop, then shares it.
    pub(in crate::driver) fn file_share(&mut self, room: RoomId, path: PathBuf, reply: calls::Answer) {
        let may = self.entry(room).and_then(|entry| match entry.room.my_role() {
            None => Err(rooms::refused(Refusal::NotMember)),
            Some(Role::Viewer) => Err(rooms::refused(Refusal::NotPermitted)),
            Some(_) if !path.is_absolute() => Err(CommandError::new(ErrorCode::BadRequest, "The path must begin at the root.")),
            Some(_) => Ok(()),
        });
        if let Err(error) = may {
            let _ = reply.send(Err(error));
            return;
        }
        let (done, events, dir) = (self.files.sharing.clone(), self.events.clone(), self.files.dir.clone());
        let pass = Arc::new(Pass::default());
        let shown = path.display().to_string();
        tokio::spawn(async move {
            let (reader, watched) = (pass.clone(), path.clone());
            let mut reading = tokio::task::spawn_blocking(move || {
                let prepared = prepare(&watched, &reader, &mut rng())?;
                // On disk before anybody hears of it.
                let beside = Beside::new(&dir, &prepared.manifest);
                beside.save_hashes(&prepared.hashes)?;
                if let Some(table) = &prepared.table {
                    beside.save_table(table)?;
                }
                Ok(prepared)
            });
            let prepared = loop {
                tokio::select! {
                    read = &mut reading => break read.unwrap_or(Err(FileError::Unusable("Reading the file failed."))),
                    () = tokio::time::sleep(LOOK) => {
                        let (done, size) = (pass.done.load(Ordering::Relaxed), pass.size.load(Ordering::Relaxed));
                        let _ = events.send(Event::FileHashing { room, path: shown.clone(), done, size });
                    }
                }
            };
            let _ = done.send(SharedDone { room, what: What::Path(path), prepared, reply: Some(reply) }).await;
        });
    }

    pub(in crate::driver) async fn handle_shared(&mut self, done: SharedDone) {
        let SharedDone { room, what, prepared, reply } = done;
        let answer = match (what, prepared) {
            (What::Path(path), Ok(prepared)) => {
                let path = path.canonicalize().unwrap_or(path);
                let shared = self.share(room, Some(Kept::shared(path.display().to_string())), prepared).await;
                shared.and_then(|file| self.file_reply(room, file))
            }
            (What::Picture(view), Ok(prepared)) if self.has_picture(room, &prepared.manifest) => {
                Beside::new(&self.files.dir, &prepared.manifest).remove();
                Ok(Reply::BoardPicture { board_picture: view })
            }
            (What::Picture(view), Ok(prepared)) => {
                // What travels in its manifest is everybody's already.
                let kept = prepared.manifest.inline.is_none().then(Kept::sealed);
                self.share(room, kept, prepared).await.map(|_| Reply::BoardPicture { board_picture: view })
            }
            (_, Err(error)) => Err(error.into()),
        };
        self.tell_files().await;
        match (reply, answer) {
            (Some(reply), answer) => drop(reply.send(answer)),
            (None, Err(error)) => self.publish(Event::Problem { error: error.into() }),
            (None, Ok(_)) => {}
        }
    }

    async fn share(&mut self, room: RoomId, kept: Option<Kept>, prepared: Prepared) -> Result<FileId, CommandError> {
        let body = wire::encode(&prepared.manifest);
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.write(kind::SHARE, body, now).map_err(rooms::refused)?;
        let file = applied.first_hash().map(|id| FileId(id.0)).ok_or_else(unknown_file)?;
        let note = match kept {
            Some(kept) => Batch::new().note(Some(&room), &kept::note(file), Some(&kept.encode())),
            None => Batch::new(),
        };
        // The note goes with the operation: a crash leaves both or none.
        self.settle(room, applied, None, note).await?;
        self.review_files(room, true).await;
        Ok(file)
    }

    pub(in crate::driver) fn file_list(&mut self, room: RoomId) -> Result<Reply, CommandError> {
        self.entry(room)?;
        Ok(Reply::Files { files: self.file_views(room) })
    }

    pub(in crate::driver) async fn file_get(
        &mut self,
        room: RoomId,
        file: FileId,
        to: Option<PathBuf>,
    ) -> Result<Reply, CommandError> {
        let target = match to {
            Some(to) if !to.is_absolute() => {
                return Err(CommandError::new(ErrorCode::BadRequest, "The path must begin at the root."));
            }
            Some(to) => to,
            None => self.files_folder().await?,
        };
        self.fetch(room, file, Kept::fetch(target.display().to_string(), false)).await
    }

    pub(in crate::driver) async fn file_seed(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let known = self.known_file(room, file)?;
        if known.manifest.inline.is_some() {
            return Err(CommandError::new(
                ErrorCode::FileRefused,
                "A file this small travels with the room; everybody has it already.",
            ));
        }
        self.fetch(room, file, Kept::fetch(String::new(), true)).await
    }

    pub(super) async fn fetch(&mut self, room: RoomId, file: FileId, wish: Kept) -> Result<Reply, CommandError> {
        self.entry(room)?;
        let running = self.files.rooms.values().flat_map(|files| files.values());
        let running = running.filter(|known| known.kept.as_ref().is_some_and(|kept| kept.state == KeptState::Fetching)).count();
        let known = self.known_file(room, file)?;
        match known.kept.as_ref().map(|kept| kept.state) {
            Some(KeptState::Fetching) => return self.file_reply(room, file),
            Some(KeptState::Shared | KeptState::Complete) if wish.sealed => {
                return Err(CommandError::new(
                    ErrorCode::FileRefused,
                    "The file itself is here, and others may fetch it here already.",
                ));
            }
            Some(KeptState::Shared | KeptState::Complete)
                if known.kept.as_ref().is_some_and(|kept| Path::new(&kept.path).exists()) =>
            {
                return self.file_reply(room, file);
            }
            _ => {}
        }
        if running >= MAX_FETCHES {
            return Err(CommandError::new(ErrorCode::Busy, "Too many files are being fetched; wait for some of them."));
        }
        known.kept = Some(wish);
        self.start_fetch(room, file).await
    }

    /// What is kept says that it is being fetched: on disk first, then to the engine.
    async fn start_fetch(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let known = self.known_file(room, file)?;
        known.progress = Progress::default();
        let (manifest, begins) = (known.manifest.clone(), known.kept.as_ref().and_then(Kept::engine));
        self.keep(room, file, |kept| kept.error = None).await;
        if let Some(kept) = begins {
            self.files.ask(Ask::Begin { room, file, manifest, kept }).await;
        }
        self.reach_for_files(room);
        self.file_reply(room, file)
    }

    pub(in crate::driver) async fn file_pause(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let known = self.known_file(room, file)?;
        if known.kept.as_ref().is_some_and(|kept| kept.state == KeptState::Fetching) {
            (known.progress.down, known.progress.peers, known.progress.seeders) = (0, 0, 0);
            self.files.ask(Ask::End { file, remove: false }).await;
            self.keep(room, file, |kept| kept.state = KeptState::Paused).await;
        }
        self.file_reply(room, file)
    }

    /// Goes on after a pause, or after what stopped it was put right.
    pub(in crate::driver) async fn file_resume(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let known = self.known_file(room, file)?;
        let Some(kept) = &mut known.kept else {
            return Err(CommandError::new(ErrorCode::BadRequest, "The file is not being fetched; get it first."));
        };
        match kept.state {
            KeptState::Paused => kept.state = KeptState::Fetching,
            KeptState::Stopped => kept.state = kept.before.and_then(KeptState::of).unwrap_or(KeptState::Fetching),
            _ => return self.file_reply(room, file),
        }
        self.start_fetch(room, file).await
    }

    pub(in crate::driver) async fn file_cancel(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let known = self.known_file(room, file)?;
        let Some(kept) = known.kept.clone() else { return self.file_reply(room, file) };
        if matches!(kept.state, KeptState::Shared | KeptState::Complete) {
            return Err(CommandError::new(
                ErrorCode::BadRequest,
                "The file is not being fetched; remove it to take the share back.",
            ));
        }
        let manifest = known.manifest.clone();
        known.kept = None;
        known.progress = Progress::default();
        self.discard(room, file, &kept, manifest).await;
        self.store.commit(Batch::new().note(Some(&room), &kept::note(file), None)).await?;
        self.files.changed.insert((room, file));
        self.file_reply(room, file)
    }

    /// Nothing of what was on its way stays. A file that is whole stays the person's.
    pub(super) async fn discard(&mut self, room: RoomId, file: FileId, kept: &Kept, manifest: Arc<Manifest>) {
        if !kept.runs() {
            if kept.before == Some(KeptState::Shared.number()) || kept.before == Some(KeptState::Complete.number()) {
                return Beside::new(&self.files.dir, &manifest).remove();
            }
            // The engine has nothing open of it: it opens it once more, to leave nothing behind.
            let again = Kept { state: KeptState::Fetching, ..kept.clone() };
            if let Some(kept) = again.engine() {
                self.files.ask(Ask::Begin { room, file, manifest, kept }).await;
            }
        }
        self.files.ask(Ask::End { file, remove: true }).await;
    }

    /// Takes a share back for everybody.
    pub(in crate::driver) async fn file_remove(&mut self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        let author = self.known_file(room, file)?.shared.author;
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        if author != entry.room.me() && !entry.room.acl().is_admin(&entry.room.me()) {
            return Err(rooms::refused(Refusal::NotPermitted));
        }
        let body = wire::encode(&Withdraw { target: op_of(file) });
        let applied = entry.room.write(kind::WITHDRAW, body, now).map_err(rooms::refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        self.review_files(room, true).await;
        Ok(Reply::Done {})
    }

    pub(in crate::driver) async fn file_limits(
        &mut self,
        up_kib: Option<u64>,
        down_kib: Option<u64>,
    ) -> Result<Reply, CommandError> {
        if up_kib.into_iter().chain(down_kib).any(|kib| !(8..=1 << 30).contains(&kib)) {
            return Err(CommandError::new(ErrorCode::BadRequest, "A limit is at least 8 KiB a second."));
        }
        let text = |kib: Option<u64>| kib.map(|kib| kib.to_string());
        let batch = Batch::new().setting(UP, text(up_kib).as_deref()).setting(DOWN, text(down_kib).as_deref());
        self.store.commit(batch).await?;
        self.apply_file_limits().await;
        Ok(Reply::Done {})
    }

    /// The limits that a person set in this run or an earlier one.
    pub(in crate::driver) async fn apply_file_limits(&mut self) {
        let read = self.store.read(|store| Ok((store.setting(UP)?, store.setting(DOWN)?)));
        let Ok((up, down)) = read.await else { return };
        let bytes = |kib: Option<String>| kib.and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib.saturating_mul(1024));
        self.files.ask(Ask::Limits { up: bytes(up), down: bytes(down) }).await;
    }

    /// Where files go that were given no place: as set, or where the system keeps downloads.
    async fn files_folder(&self) -> Result<PathBuf, CommandError> {
        let set = self.store.read(|store| store.setting(FOLDER)).await?;
        let system = || {
            let dirs = directories::UserDirs::new()?;
            dirs.download_dir().map(Path::to_owned).filter(|dir| dir.is_dir()).or_else(|| Some(dirs.home_dir().to_owned()))
        };
        set.map(PathBuf::from).or_else(system).ok_or_else(|| {
            CommandError::new(ErrorCode::TargetGone, "There is no folder for downloads; say where the file is to go.")
        })
    }

    fn known_file(&mut self, room: RoomId, file: FileId) -> Result<&mut KnownFile, CommandError> {
        self.files.find(room, file).ok_or_else(unknown_file)
    }

    fn file_reply(&self, room: RoomId, file: FileId) -> Result<Reply, CommandError> {
        self.file_view(room, file).map(|file| Reply::File { file }).ok_or_else(unknown_file)
    }

    /// A name of the manifest that may be shown.
    pub(super) fn safe_file_name(manifest: &Manifest) -> String {
        crate::files::safe_name(&manifest.name)
    }
}
