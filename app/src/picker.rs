//! The file dialogs of the system: asked in a thread of their own, answered as intents. The window never waits for one.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use conclave_node::command::BoardFormat;
use egui::Context;

use crate::intent::Intent;
use crate::intent::board::BoardIntent;

/// What a file is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    ExportBoard(BoardFormat),
    ImportBoard,
}

/// Open dialogs.
pub struct Picker {
    answers: Receiver<Intent>,
    sender: Sender<Intent>,
}

impl Default for Picker {
    fn default() -> Self {
        let (sender, answers) = channel();
        Self { answers, sender }
    }
}

impl Picker {
    /// Opens a dialog. A person has one before them at a time, so that there are never many threads.
    pub fn ask(&self, ctx: &Context, pick: Pick) {
        let (sender, ctx) = (self.sender.clone(), ctx.clone());
        let dialog = move || {
            if let Some(intent) = answer(pick) {
                let _ = sender.send(intent);
                ctx.request_repaint();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("file dialog".into()).spawn(dialog) {
            tracing::warn!(%error, "no thread for a file dialog");
        }
    }

    /// What was chosen since the last call.
    pub fn poll(&self) -> Vec<Intent> {
        self.answers.try_iter().collect()
    }
}

fn answer(pick: Pick) -> Option<Intent> {
    let path = |file: Option<rfd::FileHandle>| file.map(|file| PathBuf::from(file.path()));
    match pick {
        Pick::ExportBoard(format) => {
            let ending = ending(format);
            let dialog = rfd::AsyncFileDialog::new().set_file_name(format!("board.{ending}")).add_filter(ending, &[ending]);
            let path = path(futures::executor::block_on(dialog.save_file()))?;
            Some(Intent::Board(BoardIntent::ExportTo(format, path)))
        }
        Pick::ImportBoard => {
            let dialog = rfd::AsyncFileDialog::new().add_filter("Excalidraw", &["excalidraw", "json"]);
            let path = path(futures::executor::block_on(dialog.pick_file()))?;
            Some(Intent::Board(BoardIntent::ImportFrom(path)))
        }
    }
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
