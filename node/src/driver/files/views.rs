//! Files as a person sees them.

use conclave_protocol::id::{FileId, RoomId};

use super::kept::KeptState;
use crate::driver::Driver;
use crate::view::{ErrorView, FileState, FileView};

impl Driver {
    pub(super) fn file_view(&self, room: RoomId, file: FileId) -> Option<FileView> {
        let known = self.files.rooms.get(&room)?.get(&file)?;
        let entry = self.rooms.get(&room)?;
        let (manifest, progress, kept) = (&known.manifest, &known.progress, known.kept.as_ref());
        let state = match kept.map(|kept| kept.state) {
            None => FileState::Offered,
            Some(KeptState::Shared | KeptState::Complete) => FileState::Complete,
            Some(KeptState::Fetching) => FileState::Fetching,
            Some(KeptState::Paused) => FileState::Paused,
            Some(KeptState::Sealed) => FileState::Sealed,
            Some(KeptState::Stopped) => FileState::Stopped,
        };
        let name = Self::safe_file_name(manifest);
        let path = kept.and_then(|kept| [&kept.path, &kept.target].into_iter().find(|path| !path.is_empty()).cloned());
        let left = manifest.size.saturating_sub(progress.done);
        let moving = state == FileState::Fetching && progress.down > 0;
        Some(FileView {
            file,
            given_name: (name != manifest.name).then(|| manifest.name.clone()),
            name,
            size: manifest.size,
            files: manifest.folder.as_ref().map(|folder| folder.files),
            author: known.shared.author,
            author_name: entry.room.acl().name_of(&known.shared.author).unwrap_or_default().to_owned(),
            shared_ms: known.shared.time_ms,
            mine: known.shared.author == entry.room.me(),
            state,
            path,
            done: progress.done,
            down: progress.down,
            up: progress.up,
            left_s: moving.then(|| left.div_ceil(progress.down.max(1))),
            peers: progress.peers,
            seeders: progress.seeders,
            sent: progress.sent,
            map: progress.map.clone(),
            error: kept.and_then(|kept| kept.error.clone()).map(|(code, message)| ErrorView { code, message }),
        })
    }

    /// Those of a room, the newest last.
    pub(super) fn file_views(&self, room: RoomId) -> Vec<FileView> {
        let files = self.files.rooms.get(&room).into_iter().flat_map(|files| files.keys());
        let mut views: Vec<FileView> = files.filter_map(|file| self.file_view(room, *file)).collect();
        views.sort_by_key(|view| (view.shared_ms, view.file));
        views
    }
}
