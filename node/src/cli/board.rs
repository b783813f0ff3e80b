//! `conclave-node board …`: whiteboards from a terminal.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use conclave_crdt::{Edit, PageId};
use conclave_protocol::id::RoomId;

use super::client::{Client, Failure, part};
use super::oneshot::{Output, be_heard, find_room};
use super::render;
use crate::command::{BoardFormat, Command};
use crate::error::ErrorCode;
use crate::view::{BoardPageView, BoardView};

/// Longest list of edits that is read, in bytes.
const MAX_EDITS: u64 = 16 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum BoardCommand {
    /// Lists the pages of a room's board.
    List { room: String },
    /// Shows what stands on a page.
    Show {
        room: String,
        /// Which page, by its id, its name or its number [default: the first].
        #[arg(long)]
        page: Option<String>,
    },
    /// Draws: a list of edits as JSON, from a file or from standard input (docs/AUTOMATION.md, `board.edit`).
    #[command(
        after_help = "Example:\n  echo '[{\"do\":\"add\",\"id\":\"hello0000001\",\"kind\":\"note\",\"x\":0,\"y\":0,\"w\":200,\"h\":200,\"text\":\"hello\"}]' |\n    conclave-node board draw Kitchen -"
    )]
    Draw {
        room: String,
        /// A file, or `-` for standard input.
        file: PathBuf,
        /// Which page [default: the first].
        #[arg(long)]
        page: Option<String>,
    },
    /// Writes a page to a file: by the ending of its name .svg, .png, .pdf, .excalidraw or .automerge.
    #[command(
        after_help = "Examples:\n  conclave-node board export Kitchen plan.png\n  conclave-node board export Kitchen plan --format pdf"
    )]
    Export {
        room: String,
        file: PathBuf,
        /// Whatever the name of the file says.
        #[arg(long, value_enum)]
        format: Option<BoardFormat>,
        /// Which page [default: the first].
        #[arg(long)]
        page: Option<String>,
    },
    /// Puts what a file of Excalidraw holds on a page.
    Import {
        room: String,
        file: PathBuf,
        /// Which page [default: the first].
        #[arg(long)]
        page: Option<String>,
    },
}

impl BoardCommand {
    /// Others should hear of it.
    pub(crate) fn is_heard(&self) -> bool {
        matches!(self, Self::Draw { .. } | Self::Import { .. })
    }
}

pub(crate) async fn board(client: &mut Client, command: BoardCommand, linger: Duration) -> Result<Output, Failure> {
    match command {
        BoardCommand::List { room } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::BoardShow { room }).await?;
            let board: BoardView = part(&json, "board")?;
            Ok(Output { text: pages(&board), json })
        }
        BoardCommand::Show { room, page } => {
            let (room, page) = find_page(client, &room, page).await?;
            let json = client.ask(Command::BoardPage { room, page, moment: None }).await?;
            let view: BoardPageView = part(&json, "board_page")?;
            Ok(Output { text: elements(&view), json })
        }
        BoardCommand::Draw { room, file, page } => {
            let edits = read_edits(&file)?;
            let (room, page) = find_page(client, &room, page).await?;
            let json = client.ask(Command::BoardEdit { room, page, edits, gesture: 0 }).await?;
            be_heard(client, room, linger).await?;
            Ok(Output { json, text: "Drawn.\n".to_owned() })
        }
        BoardCommand::Export { room, file, format, page } => {
            let format = match format.or_else(|| format_of(&file)) {
                Some(format) => format,
                None => return Err(Failure::usage("what the file is to be is told by --format, or by the ending of its name")),
            };
            let (room, page) = find_page(client, &room, page).await?;
            let path = std::path::absolute(&file).map_err(|error| Failure::usage(error.to_string()))?;
            let json = client.ask(Command::BoardExport { room, page, format, path }).await?;
            Ok(Output { json, text: format!("Written: {}\n", file.display()) })
        }
        BoardCommand::Import { room, file, page } => {
            let (room, page) = find_page(client, &room, page).await?;
            let path = std::path::absolute(&file).map_err(|error| Failure::usage(error.to_string()))?;
            let json = client.ask(Command::BoardImport { room, page, path }).await?;
            be_heard(client, room, linger).await?;
            Ok(Output { json, text: "Imported.\n".to_owned() })
        }
    }
}

fn format_of(file: &std::path::Path) -> Option<BoardFormat> {
    match file.extension()?.to_str()? {
        "svg" => Some(BoardFormat::Svg),
        "png" => Some(BoardFormat::Png),
        "pdf" => Some(BoardFormat::Pdf),
        "excalidraw" | "json" => Some(BoardFormat::Excalidraw),
        "automerge" => Some(BoardFormat::Automerge),
        _ => None,
    }
}

fn read_edits(file: &std::path::Path) -> Result<Vec<Edit>, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(MAX_EDITS).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_EDITS).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("not a list of edits: {error}")))
}

/// A page by its id, its name or its number; the first where nothing was typed.
async fn find_page(client: &mut Client, room: &str, typed: Option<String>) -> Result<(RoomId, PageId), Failure> {
    let room = find_room(client, room).await?;
    let board: BoardView = client.ask_for(Command::BoardShow { room }, "board").await?;
    let named = |typed: &str| board.pages.iter().find(|page| page.page.as_str() == typed || page.name == typed);
    let found = match &typed {
        None => board.pages.first(),
        Some(typed) => named(typed).or_else(|| board.pages.get(typed.parse::<usize>().ok()?.checked_sub(1)?)),
    };
    let found = found.ok_or_else(|| Failure::new(ErrorCode::UnknownElement, "there is no such page on the board"))?;
    Ok((room, found.page))
}

fn pages(board: &BoardView) -> String {
    let line = |(at, page): (usize, &conclave_crdt::PageInfo)| {
        format!("{}  {}  {} elements  {}\n", at + 1, page.page, page.elements, render::clean(&page.name))
    };
    board.pages.iter().enumerate().map(line).collect()
}

fn elements(view: &BoardPageView) -> String {
    if view.elements.is_empty() {
        return "Nothing is drawn there.\n".to_owned();
    }
    let line = |element: &std::sync::Arc<conclave_crdt::Element>| {
        let t = element.transform;
        let kind = format!("{:?}", element.kind).to_lowercase();
        let text: String = element.text.chars().take(60).collect();
        format!("{}  {kind:8} {:>8.0} {:>8.0}  {:.0}×{:.0}  {}\n", element.id, t.x, t.y, t.w, t.h, render::clean(&text))
    };
    view.elements.iter().map(line).collect()
}
