//! The system's dialogs for files and folders, and its programs to open them: each in a thread of its own, for all may take as long as
//! they like. What was chosen comes back as an intent.

use std::path::PathBuf;
use std::sync::mpsc;

use conclave_protocol::id::{FileId, RoomId};

use crate::intent::{FileIntent, Intent};

/// Choices that wait for the window; more than one dialog at a time is more than anybody has.
const CHOSEN: usize = 16;

/// Opens dialogs and takes in what was chosen.
pub struct Chooser {
    done: mpsc::SyncSender<Intent>,
    chosen: mpsc::Receiver<Intent>,
}

impl Default for Chooser {
    fn default() -> Self {
        let (done, chosen) = mpsc::sync_channel(CHOSEN);
        Self { done, chosen }
    }
}

impl Chooser {
    /// What to share in a room.
    pub fn files(&self, ctx: &egui::Context, room: RoomId, folder: bool) {
        self.ask(ctx, move || {
            let dialog = rfd::FileDialog::new();
            let paths = if folder { dialog.pick_folder().into_iter().collect() } else { dialog.pick_files().unwrap_or_default() };
            (!paths.is_empty()).then_some(Intent::File(FileIntent::Share(room, paths)))
        });
    }

    /// Where a file is to go.
    pub fn folder(&self, ctx: &egui::Context, room: RoomId, file: FileId) {
        self.ask(ctx, move || {
            let to = rfd::FileDialog::new().pick_folder()?;
            Some(Intent::File(FileIntent::GetTo { room, file, to }))
        });
    }

    /// What was chosen since the last look.
    pub fn chosen(&self) -> Vec<Intent> {
        self.chosen.try_iter().collect()
    }

    fn ask(&self, ctx: &egui::Context, dialog: impl FnOnce() -> Option<Intent> + Send + 'static) {
        let (done, ctx) = (self.done.clone(), ctx.clone());
        let started = std::thread::Builder::new().name("chooser".to_owned()).spawn(move || {
            if let Some(intent) = dialog() {
                let _ = done.try_send(intent);
                ctx.request_repaint();
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no dialog can be shown");
        }
    }
}

/// Hands a path to the program that the system has for it.
pub fn open(path: PathBuf) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(target_os = "windows") {
        "explorer"
    } else {
        "xdg-open"
    };
    let started = std::thread::Builder::new().name("opener".to_owned()).spawn(move || {
        if let Err(error) = std::process::Command::new(program).arg(path).status() {
            tracing::warn!(%error, program, "nothing opens the file");
        }
    });
    if let Err(error) = started {
        tracing::warn!(%error, "nothing can be opened");
    }
}
