//! The system's dialogs for files and folders, and its programs to open them: each in a thread of its own, for all may take as long as
//! they like. What was chosen comes back as an intent.

use std::path::PathBuf;
use std::sync::mpsc;

use conclave_node::command::BoardFormat;
use conclave_protocol::id::{FileId, RoomId};

use crate::intent::board::{BoardIntent, PictureFrom};
use crate::intent::{FileIntent, Intent};

/// Choices that wait for the window; more than one dialog at a time is more than anybody has.
const CHOSEN: usize = 16;

/// What a dialog is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// What to share in a room: files, or a folder.
    Share { room: RoomId, folder: bool },
    /// Where a file is to go.
    GetTo { room: RoomId, file: FileId },
    /// Where a page of the board is to go.
    ExportBoard(BoardFormat),
    /// What is put on the page.
    ImportBoard,
    /// Pictures for the page.
    BoardPictures,
    /// No dialog at all: what is on the clipboard. Asking for it may take as long as its owner likes.
    ClipboardPicture,
}

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
    /// Opens a dialog.
    pub fn ask(&self, ctx: &egui::Context, choice: Choice) {
        let (done, ctx) = (self.done.clone(), ctx.clone());
        let started = std::thread::Builder::new().name("chooser".to_owned()).spawn(move || {
            for intent in answer(choice) {
                let _ = done.try_send(intent);
            }
            ctx.request_repaint();
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no dialog can be shown");
        }
    }

    /// What was chosen since the last look.
    pub fn chosen(&self) -> Vec<Intent> {
        self.chosen.try_iter().collect()
    }
}

/// Shows a dialog until the person has chosen, or has not.
fn answer(choice: Choice) -> Vec<Intent> {
    match choice {
        Choice::BoardPictures => {
            let chosen = rfd::FileDialog::new().add_filter("PNG, JPEG", &["png", "jpg", "jpeg"]).pick_files();
            let add = |path| Intent::Board(BoardIntent::AddPicture(PictureFrom::Path(path)));
            chosen.unwrap_or_default().into_iter().take(CHOSEN).map(add).collect()
        }
        other => one(other).into_iter().collect(),
    }
}

fn one(choice: Choice) -> Option<Intent> {
    let dialog = rfd::FileDialog::new();
    match choice {
        Choice::BoardPictures => None,
        Choice::ClipboardPicture => {
            let bytes = clipboard_picture()?;
            Some(Intent::Board(BoardIntent::AddPicture(PictureFrom::Bytes(bytes.into()))))
        }
        Choice::Share { room, folder } => {
            let paths = if folder { dialog.pick_folder().into_iter().collect() } else { dialog.pick_files().unwrap_or_default() };
            (!paths.is_empty()).then_some(Intent::File(FileIntent::Share(room, paths)))
        }
        Choice::GetTo { room, file } => {
            let to = dialog.pick_folder()?;
            Some(Intent::File(FileIntent::GetTo { room, file, to }))
        }
        Choice::ExportBoard(format) => {
            let ending = ending(format);
            let path = dialog.set_file_name(format!("board.{ending}")).add_filter(ending, &[ending]).save_file()?;
            Some(Intent::Board(BoardIntent::ExportTo(format, path)))
        }
        Choice::ImportBoard => {
            let path = dialog.add_filter("Excalidraw", &["excalidraw", "json"]).pick_file()?;
            Some(Intent::Board(BoardIntent::ImportFrom(path)))
        }
    }
}

/// The picture on the clipboard, as PNG.
fn clipboard_picture() -> Option<Vec<u8>> {
    let pixels = arboard::Clipboard::new().and_then(|mut clipboard| clipboard.get_image());
    let pixels = pixels.inspect_err(|error| tracing::debug!(%error, "no picture is on the clipboard")).ok()?;
    let (width, height) = (u32::try_from(pixels.width).ok()?, u32::try_from(pixels.height).ok()?);
    let picture = image::RgbaImage::from_raw(width, height, pixels.bytes.into_owned())?;
    let mut png = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).ok()?;
    Some(png)
}

/// How files of a format end.
fn ending(format: BoardFormat) -> &'static str {
    match format {
        BoardFormat::Svg => "svg",
        BoardFormat::Png => "png",
        BoardFormat::Pdf => "pdf",
        BoardFormat::Excalidraw => "excalidraw",
        BoardFormat::Automerge => "automerge",
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
