//! `conclave-node board …`: whiteboards from a terminal.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use conclave_crdt::{Edit, ElementId, Kind, PageId, Place, Shape, Style, Transform};
use conclave_protocol::id::RoomId;
use tokio::time::{Instant, timeout_at};

use super::client::{Client, Failure, part};
use super::oneshot::{Output, be_heard, find_room};
use super::render;
use crate::command::{BoardFormat, Command};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::view::{BoardPageView, BoardPictureView, BoardView, PictureState};

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
    /// Puts a picture, PNG or JPEG, on a page.
    #[command(after_help = "Example:\n  conclave-node board insert Kitchen plan.png --at 100,200 --width 640")]
    Insert {
        room: String,
        file: PathBuf,
        /// Where its top left is to be, in px of the page.
        #[arg(long, value_name = "X,Y", default_value = "0,0", value_parser = point, allow_hyphen_values = true)]
        at: (f32, f32),
        /// How wide it is to be, in px of the page [default: as wide as it is].
        #[arg(long, value_name = "PX")]
        width: Option<f32>,
        /// Which page [default: the first].
        #[arg(long)]
        page: Option<String>,
    },
    /// Writes a picture of the board to a file, as it was shared.
    Picture {
        room: String,
        /// What an element calls it (`image` in `board show --json`).
        image: String,
        file: PathBuf,
    },
    /// Puts what a file of Excalidraw holds on a page, with its pictures.
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
        matches!(self, Self::Draw { .. } | Self::Import { .. } | Self::Insert { .. } | Self::Picture { .. } | Self::Export { .. })
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
            let missing = if format == BoardFormat::Automerge { 0 } else { fetch_pictures(client, room, page, linger).await? };
            let json = client.ask(Command::BoardExport { room, page, format, path }).await?;
            let mut text = format!("Written: {}\n", file.display());
            if missing > 0 {
                text += &format!("{missing} of its pictures are not here; their places are shown.\n");
            }
            Ok(Output { json, text })
        }
        BoardCommand::Insert { room, file, at, width, page } => {
            let (room, page) = find_page(client, &room, page).await?;
            let path = std::path::absolute(&file).map_err(|error| Failure::usage(error.to_string()))?;
            let add = Command::BoardAddPicture { room, path: Some(path), data: None };
            let picture: BoardPictureView = client.ask_for(add, "board_picture").await?;
            let edit = picture_edit(&picture, at, width)?;
            let json = client.ask(Command::BoardEdit { room, page, edits: vec![edit], gesture: 0 }).await?;
            be_heard(client, room, linger).await?;
            Ok(Output { json, text: format!("Inserted: {}\n", picture.image) })
        }
        BoardCommand::Picture { room, image, file } => {
            let room = find_room(client, &room).await?;
            wait_for_pictures(client, room, [image.clone()].into(), linger).await?;
            let to = std::path::absolute(&file).map_err(|error| Failure::usage(error.to_string()))?;
            let json = client.ask(Command::BoardPicture { room, image, to: Some(to), data: false }).await?;
            let picture: BoardPictureView = part(&json, "board_picture")?;
            if picture.state != PictureState::Here {
                return Err(Failure::new(ErrorCode::FileGone, "the picture is not here, and nobody who is here has it"));
            }
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

/// `X,Y`.
fn point(text: &str) -> Result<(f32, f32), String> {
    let parts = text.split_once(',').and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)));
    parts.ok_or_else(|| "two numbers with a comma between them are wanted".to_owned())
}

/// What puts a picture on a page: as large as it is, or as wide as was asked.
fn picture_edit(picture: &BoardPictureView, (x, y): (f32, f32), width: Option<f32>) -> Result<Edit, Failure> {
    let own = (picture.width.unwrap_or(1).max(1) as f32, picture.height.unwrap_or(1).max(1) as f32);
    let wide = width.unwrap_or(own.0);
    if !(wide.is_finite() && wide >= 1.0) {
        return Err(Failure::usage("a picture is at least 1 px wide"));
    }
    let mut shape = Shape::new(Kind::Image, Transform::new(x, y, wide, wide / own.0 * own.1), Style::default());
    shape.image = Some(picture.image.clone());
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(ErrorCode::Busy, format!("the system gives no chance: {error}")))?;
    Ok(Edit::Add { id: ElementId::from_random(u128::from_le_bytes(random)), shape, place: Place::Front })
}

/// Has the pictures of a page here, as far as somebody who is there has them; says how many are not.
async fn fetch_pictures(client: &mut Client, room: RoomId, page: PageId, linger: Duration) -> Result<usize, Failure> {
    let view: BoardPageView = client.ask_for(Command::BoardPage { room, page, moment: None }, "board_page").await?;
    let images: BTreeSet<String> = view.elements.iter().filter_map(|element| element.image.clone()).collect();
    wait_for_pictures(client, room, images, linger).await
}

async fn wait_for_pictures(
    client: &mut Client,
    room: RoomId,
    images: BTreeSet<String>,
    linger: Duration,
) -> Result<usize, Failure> {
    if images.is_empty() {
        return Ok(0);
    }
    client.follow_events().await?;
    let (mut coming, mut missing) = (BTreeSet::new(), 0);
    for image in images {
        let ask = Command::BoardPicture { room, image: image.clone(), to: None, data: false };
        let picture: BoardPictureView = client.ask_for(ask, "board_picture").await?;
        match picture.state {
            PictureState::Here => {}
            PictureState::Refused => missing += 1,
            PictureState::Coming | PictureState::Absent => drop(coming.insert(image)),
        }
    }
    let deadline = Instant::now() + linger;
    while !coming.is_empty() {
        match timeout_at(deadline, client.next_event()).await {
            Ok(Some(Event::BoardPicture { room: of, image })) if of == room => drop(coming.remove(&image)),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    Ok(missing + coming.len())
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
