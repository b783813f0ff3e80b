//! The files of each room as the node tells of them, and what the person wants with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conclave_node::command::Command;
use conclave_node::view::{FileState, FileView};
use conclave_protocol::id::{FileId, RoomId};

use super::toast::Tone;
use super::{AppState, Effect, Pending};
use crate::chooser::Choice;
use crate::intent::board::{BoardIntent, PictureFrom};
use crate::intent::{Confirm, FileIntent, Intent, Panel};
use crate::text::displayable;

/// Endings of what a system would run when it is opened: the folder is opened instead.
const RUN: [&str; 22] = [
    "app", "appimage", "bat", "cmd", "com", "command", "cpl", "desktop", "exe", "hta", "jar", "js", "lnk", "msi", "pif", "ps1",
    "reg", "run", "scr", "sh", "url", "vbs",
];

/// The files of one room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomFiles {
    /// The node was asked for them.
    pub loaded: bool,
    /// The newest last.
    pub list: Vec<FileView>,
    /// What is being read to be shared: bytes done, and in all.
    pub hashing: BTreeMap<String, (u64, u64)>,
    /// The file that is looked at.
    pub preview: Option<FileId>,
}

impl RoomFiles {
    pub fn get(&self, file: FileId) -> Option<&FileView> {
        self.list.iter().find(|view| view.file == file)
    }

    fn take(&mut self, view: FileView) -> Option<FileState> {
        if let Some(known) = self.list.iter_mut().find(|known| known.file == view.file) {
            return Some(std::mem::replace(known, view).state);
        }
        self.list.push(view);
        self.list.sort_by_key(|view| (view.shared_ms, view.file));
        None
    }
}

/// Paths in what was pasted: file names or `file:` addresses, one a line, and nothing else.
pub fn pasted_paths(text: &str) -> Vec<PathBuf> {
    let paths: Option<Vec<PathBuf>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(pasted_path).collect();
    paths.unwrap_or_default()
}

fn pasted_path(line: &str) -> Option<PathBuf> {
    let path = match line.strip_prefix("file://") {
        Some(address) => PathBuf::from(percent_decoded(address)?),
        None => PathBuf::from(line),
    };
    path.is_absolute().then_some(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// What goes on a board as a picture, by the ending of its name. What it is then decides.
fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ["png", "jpg", "jpeg"].contains(&ending.as_str()))
}

/// What opening it would run.
fn runs(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| RUN.contains(&ending.to_ascii_lowercase().as_str()))
}

impl AppState {
    /// Asks for the files of the open room, where that was not done.
    pub(super) fn load_files(&mut self) -> Vec<Effect> {
        let Some(room) = self.open_room().filter(|_| self.panel == Some(Panel::Files)) else { return Vec::new() };
        let files = self.files.entry(room).or_default();
        if std::mem::replace(&mut files.loaded, true) {
            return Vec::new();
        }
        vec![Effect::Send(Command::FileList { room }, Pending::Files { room })]
    }

    pub(super) fn take_files(&mut self, room: RoomId, list: Vec<FileView>) {
        self.files.entry(room).or_default().list = list;
    }

    pub(super) fn take_file(&mut self, room: RoomId, view: FileView) {
        let name = displayable(&view.name);
        let (state, mine, sent, error) = (view.state, view.mine, view.sent, view.error.clone());
        let before = self.files.entry(room).or_default().take(view);
        match (before, state) {
            (None, FileState::Offered) if !mine => {
                let who = self.files.get(&room).and_then(|files| files.list.last()).map(|view| displayable(&view.author_name));
                let text = self.text.f("toast-file-offered", &[("name", name.into()), ("who", who.unwrap_or_default().into())]);
                let action = (self.text.t("files-title"), Intent::File(FileIntent::Show(room)));
                self.toasts.push(Tone::Info, text, None, Some(action), self.now_ms);
            }
            (Some(FileState::Fetching), FileState::Complete | FileState::Sealed) if sent == 0 || !mine => {
                let text = self.text.f("toast-file-complete", &[("name", name.into())]);
                let action = (self.text.t("files-title"), Intent::File(FileIntent::Show(room)));
                self.toasts.push(Tone::Good, text, None, Some(action), self.now_ms);
            }
            (Some(before), FileState::Stopped) if before != FileState::Stopped => {
                if let Some(error) = error {
                    let (sentence, detail) = self.sentence(&error.code, &error.message);
                    let text = self.text.f("toast-file-stopped", &[("name", name.into()), ("why", sentence.into())]);
                    self.toasts.push(Tone::Bad, text, detail, None, self.now_ms);
                }
            }
            _ => {}
        }
    }

    pub(super) fn forget_file(&mut self, room: RoomId, file: FileId) {
        let files = self.files.entry(room).or_default();
        files.list.retain(|view| view.file != file);
        files.preview = files.preview.filter(|shown| *shown != file);
    }

    pub(super) fn take_hashing(&mut self, room: RoomId, path: String, done: u64, size: u64) {
        self.files.entry(room).or_default().hashing.insert(path, (done, size));
    }

    /// A file was shared, or could not be.
    pub(super) fn hashed(&mut self, room: RoomId, path: &str) {
        self.files.entry(room).or_default().hashing.remove(path);
    }

    pub(super) fn handle_file(&mut self, intent: FileIntent) -> Vec<Effect> {
        let plain = |command| vec![Effect::Send(command, Pending::Plain)];
        match intent {
            FileIntent::Show(room) => {
                let mut effects = Vec::new();
                if self.open_room() != Some(room) {
                    effects = self.select_room(room);
                }
                self.panel = Some(Panel::Files);
                effects.extend(self.load_files());
                effects
            }
            FileIntent::Choose { room, folder } => vec![Effect::Choose(Choice::Share { room, folder })],
            FileIntent::Share(room, paths) => {
                self.panel = Some(Panel::Files);
                let mut effects = self.load_files();
                for path in paths {
                    let shown = path.display().to_string();
                    self.files.entry(room).or_default().hashing.insert(shown.clone(), (0, 0));
                    effects.push(Effect::Send(Command::FileShare { room, path }, Pending::Share { room, path: shown }));
                }
                effects
            }
            // On the board a picture is for the page.
            FileIntent::ShareHere(paths) if self.board().is_some_and(|board| !board.is_still()) => {
                let (pictures, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| is_picture(path));
                let mut effects = Vec::new();
                for path in pictures {
                    effects.extend(self.handle_board(BoardIntent::AddPicture(PictureFrom::Path(path))));
                }
                match self.open_room() {
                    Some(room) if !files.is_empty() => effects.extend(self.handle_file(FileIntent::Share(room, files))),
                    _ => {}
                }
                effects
            }
            FileIntent::ShareHere(paths) => match self.open_room() {
                Some(room) if !paths.is_empty() => self.handle_file(FileIntent::Share(room, paths)),
                _ => Vec::new(),
            },
            FileIntent::Get { room, file } => plain(Command::FileGet { room, file, to: None }),
            FileIntent::GetInto { room, file } => vec![Effect::Choose(Choice::GetTo { room, file })],
            FileIntent::GetTo { room, file, to } => plain(Command::FileGet { room, file, to: Some(to) }),
            FileIntent::Pause { room, file } => plain(Command::FilePause { room, file }),
            FileIntent::Resume { room, file } => plain(Command::FileResume { room, file }),
            FileIntent::Cancel { room, file } => plain(Command::FileCancel { room, file }),
            FileIntent::Seed { room, file } => plain(Command::FileSeed { room, file }),
            FileIntent::Remove { room, file } => {
                let name = self.files.get(&room).and_then(|files| files.get(file)).map(|view| displayable(&view.name));
                let confirm = Confirm::RemoveFile { room, file, name: name.unwrap_or_default() };
                self.dialog = Some(super::dialog::Dialog::Confirm(confirm));
                Vec::new()
            }
            FileIntent::Open { room, file } => match self.whole_path(room, file) {
                Some(path) if runs(&path) => vec![Effect::OpenPath(path.parent().map(Path::to_owned).unwrap_or(path))],
                Some(path) => vec![Effect::OpenPath(path)],
                None => Vec::new(),
            },
            FileIntent::OpenFolder { room, file } => match self.whole_path(room, file) {
                Some(path) => vec![Effect::OpenPath(path.parent().map(Path::to_owned).unwrap_or(path))],
                None => Vec::new(),
            },
            FileIntent::Preview { room, file } => {
                let files = self.files.entry(room).or_default();
                files.preview = if files.preview == Some(file) { None } else { Some(file) };
                Vec::new()
            }
        }
    }

    fn whole_path(&self, room: RoomId, file: FileId) -> Option<PathBuf> {
        let view = self.files.get(&room)?.get(file)?;
        if view.state != FileState::Complete {
            return None;
        }
        view.path.as_deref().map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_are_taken_for_pasted_files() {
        assert_eq!(pasted_paths("/home/ada/a.txt"), [PathBuf::from("/home/ada/a.txt")]);
        assert_eq!(
            pasted_paths("file:///tmp/with%20space\n/tmp/b\n"),
            [PathBuf::from("/tmp/with space"), PathBuf::from("/tmp/b")]
        );
        for text in ["hello", "/tmp/a\nand a word", "", "file:///tmp/%zz", "../up", "https://example.org/a"] {
            assert!(pasted_paths(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_would_run_is_not_opened() {
        assert!(runs(Path::new("/tmp/Invoice.pdf.EXE")) && runs(Path::new("/tmp/x.desktop")));
        assert!(!runs(Path::new("/tmp/exe")) && !runs(Path::new("/tmp/a.pdf")));
    }
}
