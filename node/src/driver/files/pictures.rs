//! Pictures of boards: they travel as files of the room and lie sealed on this disk. An element names a picture by the hash of its file;
//! what a board that is looked at names is fetched unasked, within limits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use conclave_crdt::interchange::picture::{MAX_PICTURE, Picture};
use conclave_protocol::id::{FileId, RoomId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::room::Refusal;
use conclave_protocol::swarm::manifest::Manifest;

use super::acts::{SharedDone, What};
use super::kept::{Kept, KeptState};
use super::{Files, KnownFile};
use crate::board::picture;
use crate::command::Reply;
use crate::driver::{Driver, calls, rng, rooms};
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::files::{FileError, Whole, read_whole, seal};
use crate::view::{BoardPictureView, PictureBytes, PictureState};

/// Pictures that boards wait for. Beyond them a picture comes when it is asked for again.
const MAX_WANTED: usize = 4096;
/// Bytes of pictures of one room that are fetched unasked.
const MAX_UNASKED: u64 = 512 * 1024 * 1024;

/// The hash of a picture's file.
type Hash = [u8; 32];

/// What boards wait for.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeSet<(RoomId, Hash)>);

/// The files of a room that could be pictures and are whole here, by hash: to be read by whoever may wait for a disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(BTreeMap<String, (Arc<Manifest>, Whole)>);

impl Shelf {
    /// A picture, read and checked. Blocking.
    pub(crate) fn read(&self, name: &str) -> Option<Picture> {
        let (manifest, whole) = self.0.get(name)?;
        Picture::new(read_whole(manifest, whole, MAX_PICTURE as u64).ok()?)
    }
}

/// Where a picture is to come from.
#[derive(Debug)]
pub(crate) enum From {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

fn hex(hash: &Hash) -> String {
    data_encoding::HEXLOWER.encode(hash)
}

impl KnownFile {
    fn whole(&self, dir: &std::path::Path) -> Option<Whole> {
        if self.manifest.inline.is_some() {
            return Some(Whole::Inline);
        }
        let kept = self.kept.as_ref()?;
        match kept.state {
            KeptState::Shared | KeptState::Complete => Some(Whole::Plain(PathBuf::from(&kept.path))),
            KeptState::Sealed => Some(Whole::Sealed(dir.to_owned())),
            KeptState::Fetching | KeptState::Paused | KeptState::Stopped => None,
        }
    }
}

impl Files {
    /// Files of a room with this content, those that are whole here first.
    fn with_content(&self, room: RoomId, hash: &Hash) -> Vec<(FileId, &KnownFile)> {
        let files = self.rooms.get(&room).into_iter().flatten();
        let same = |known: &&KnownFile| known.manifest.plain == *hash && known.manifest.folder.is_none();
        let mut found: Vec<_> = files.filter(|(_, known)| same(known)).map(|(file, known)| (*file, known)).collect();
        found.sort_by_key(|(_, known)| known.whole(&self.dir).is_none());
        found
    }

    /// Bytes of pictures that came, or come, unasked.
    fn unasked(&self, room: RoomId) -> u64 {
        let files = self.rooms.get(&room).into_iter().flat_map(BTreeMap::values);
        let sealed = files.filter(|known| known.kept.as_ref().is_some_and(|kept| kept.sealed));
        sealed.fold(0, |sum, known| sum.saturating_add(known.manifest.size))
    }
}

impl Driver {
    /// Shares a picture in a room, for its board. The answer is what elements call it.
    pub(in crate::driver) fn picture_add(&mut self, room: RoomId, from: From, reply: Option<calls::Answer>) {
        let may = self.entry(room).and_then(|entry| match entry.room.my_role() {
            None => Err(rooms::refused(Refusal::NotMember)),
            Some(Role::Viewer) => Err(rooms::refused(Refusal::NotPermitted)),
            Some(_) => Ok(()),
        });
        if let Err(error) = may {
            if let Some(reply) = reply {
                let _ = reply.send(Err(error));
            }
            return;
        }
        let (done, dir) = (self.files.sharing.clone(), self.files.dir.clone());
        tokio::spawn(async move {
            let reading = tokio::task::spawn_blocking(move || {
                let bytes = match from {
                    From::Bytes(bytes) => bytes,
                    From::Path(path) => read_file(&path)?,
                };
                let (picture, (width, height)) = picture::accept(bytes)?;
                let image = crate::board::picture_name(&picture.bytes);
                let name = format!("{}.{}", image.get(..12).unwrap_or_default(), picture.format.ending());
                let prepared = seal(&dir, &name, picture.bytes, &mut rng())?;
                let state = PictureState::Here;
                let mime = Some(picture.format.mime().to_owned());
                let view = BoardPictureView { image, state, mime, width: Some(width), height: Some(height), data: None };
                Ok((prepared, view))
            });
            let read = reading.await.unwrap_or(Err(CommandError::new(ErrorCode::FileFailed, "Reading the picture failed.")));
            let done_with = match read {
                Ok((prepared, view)) => SharedDone { room, what: What::Picture(view), prepared: Ok(prepared), reply },
                Err(error) => {
                    if let Some(reply) = reply {
                        let _ = reply.send(Err(error));
                    }
                    return;
                }
            };
            let _ = done.send(done_with).await;
        });
    }

    /// The room has this picture already: it is not shared twice.
    pub(super) fn has_picture(&self, room: RoomId, manifest: &Manifest) -> bool {
        self.files.with_content(room, &manifest.plain).first().is_some_and(|(_, known)| known.whole(&self.files.dir).is_some())
    }

    /// A picture of a board, or how it stands with it; it is fetched where that is within the limits.
    pub(in crate::driver) async fn picture_show(
        &mut self,
        room: RoomId,
        image: String,
        (to, wants_data): (Option<PathBuf>, bool),
        reply: calls::Answer,
    ) {
        if let Err(error) = self.entry(room) {
            let _ = reply.send(Err(error));
            return;
        }
        let bytes = data_encoding::HEXLOWER.decode(image.as_bytes()).ok();
        let Some(hash) = bytes.and_then(|bytes| Hash::try_from(bytes).ok()) else {
            // Named by another program, or by nonsense: nothing in a room is called so.
            let _ = reply.send(Ok(answer(image, PictureState::Absent)));
            return;
        };
        let found = self.files.with_content(room, &hash).first().map(|(_, known)| {
            let manifest = known.manifest.clone();
            (known.whole(&self.files.dir), manifest)
        });
        if let Some((Some(whole), manifest)) = &found {
            let (whole, manifest) = (whole.clone(), manifest.clone());
            tokio::task::spawn_blocking(move || {
                let read = read_whole(&manifest, &whole, MAX_PICTURE as u64).ok().and_then(Picture::new);
                let sized = read.and_then(|picture| Some((picture::size(&picture)?, picture)));
                let answer = match sized {
                    None => Ok(answer(image, PictureState::Refused)),
                    Some(((width, height), picture)) => {
                        let (state, mime) = (PictureState::Here, Some(picture.format.mime().to_owned()));
                        let (width, height) = (Some(width), Some(height));
                        to.map_or(Ok(()), |to| write_file(&to, &picture.bytes)).map(|()| {
                            let data = wants_data.then(|| PictureBytes(picture.bytes.into()));
                            Reply::BoardPicture { board_picture: BoardPictureView { image, state, mime, width, height, data } }
                        })
                    }
                };
                let _ = reply.send(answer);
            });
            return;
        }
        let state = match found {
            Some((_, manifest)) if manifest.size > MAX_PICTURE as u64 => PictureState::Refused,
            found => {
                if self.files.wanted.0.len() < MAX_WANTED {
                    self.files.wanted.0.insert((room, hash));
                }
                match found {
                    None => PictureState::Absent,
                    Some(_) if self.fetch_pictures(room).await.contains(&hash) => PictureState::Coming,
                    Some(_) => PictureState::Refused,
                }
            }
        };
        let _ = reply.send(Ok(answer(image, state)));
    }

    /// Begins to fetch what boards wait for and the room has; says what is on its way.
    pub(super) async fn fetch_pictures(&mut self, room: RoomId) -> BTreeSet<Hash> {
        let mut coming = BTreeSet::new();
        let from = (room, [0; 32]);
        let wanted: Vec<Hash> =
            self.files.wanted.0.range(from..).take_while(|(of, _)| *of == room).map(|(_, hash)| *hash).collect();
        for hash in wanted {
            let found = self.files.with_content(room, &hash);
            let state = |known: &KnownFile| known.kept.as_ref().map(|kept| kept.state);
            if found.iter().any(|(_, known)| known.whole(&self.files.dir).is_some()) {
                self.picture_came(room, hash);
                continue;
            }
            if found.iter().any(|(_, known)| state(known) == Some(KeptState::Fetching)) {
                coming.insert(hash);
                continue;
            }
            // What a person paused, or what failed, is theirs to begin again.
            let offered = found.iter().find(|(_, known)| state(known).is_none() && known.manifest.size <= MAX_PICTURE as u64);
            let Some((file, size)) = offered.map(|(file, known)| (*file, known.manifest.size)) else { continue };
            if self.files.unasked(room).saturating_add(size) > MAX_UNASKED {
                tracing::info!("the pictures of a board are too many to be fetched unasked");
                continue;
            }
            match self.fetch(room, file, Kept::fetch(String::new(), true)).await {
                Ok(_) => drop(coming.insert(hash)),
                // Too many at once: the next goes when one of them is done.
                Err(error) => tracing::debug!(%error, "a picture waits"),
            }
        }
        coming
    }

    /// A file is whole: a board may wait for it.
    pub(super) async fn picture_finished(&mut self, room: RoomId, file: FileId) {
        let Some(hash) = self.files.find(room, file).map(|known| known.manifest.plain) else { return };
        self.picture_came(room, hash);
        self.fetch_pictures(room).await;
    }

    fn picture_came(&mut self, room: RoomId, hash: Hash) {
        if self.files.wanted.0.remove(&(room, hash)) {
            self.publish(Event::BoardPicture { room, image: hex(&hash) });
        }
    }

    pub(super) fn forget_pictures(&mut self, room: RoomId) {
        self.files.wanted.0.retain(|(other, _)| *other != room);
    }

    /// What of a room's files could be a picture and is whole here.
    pub(in crate::driver) fn picture_shelf(&self, room: RoomId) -> Shelf {
        let files = self.files.rooms.get(&room).into_iter().flat_map(BTreeMap::values);
        let fits = files.filter(|known| known.manifest.folder.is_none() && known.manifest.size <= MAX_PICTURE as u64);
        let whole = |known: &KnownFile| {
            let place = known.whole(&self.files.dir)?;
            Some((hex(&known.manifest.plain), (known.manifest.clone(), place)))
        };
        Shelf(fits.filter_map(whole).collect())
    }
}

fn answer(image: String, state: PictureState) -> Reply {
    Reply::BoardPicture { board_picture: BoardPictureView { image, state, mime: None, width: None, height: None, data: None } }
}

fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<(), CommandError> {
    if !path.is_absolute() {
        return Err(CommandError::new(ErrorCode::BadRequest, "The path must begin at the root."));
    }
    std::fs::write(path, bytes)
        .map_err(|error| CommandError::new(ErrorCode::StoreFailed, format!("{} cannot be written: {error}.", path.display())))
}

/// A file that a person chose; its size is looked at first.
fn read_file(path: &std::path::Path) -> Result<Vec<u8>, CommandError> {
    use std::io::Read;
    if !path.is_absolute() {
        return Err(CommandError::new(ErrorCode::BadRequest, "The path must begin at the root."));
    }
    let failed = |error: std::io::Error| CommandError::from(FileError::of(&error, false));
    let meta = std::fs::metadata(path).map_err(failed)?;
    // A pipe would be waited for, a device may never end.
    if !meta.is_file() || meta.len() > MAX_PICTURE as u64 {
        return Err(CommandError::new(ErrorCode::FileRefused, "Only PNG and JPEG pictures of at most 16 MiB go on a board."));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_PICTURE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
