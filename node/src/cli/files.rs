//! Commands about files, and files as text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conclave_protocol::id::{FileId, RoomId};
use tokio::time::{Instant, timeout_at};

use super::args::FileCommand;
use super::client::{Client, Failure, part};
use super::oneshot::{Output, be_heard, done, find_room};
use super::{render, select};
use crate::command::Command;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::files::bytes_text;
use crate::view::{FileState, FileView};

pub(crate) async fn file(client: &mut Client, command: FileCommand, linger: Duration) -> Result<Output, Failure> {
    match command {
        FileCommand::Share { room, path } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::FileShare { room, path: absolute(&path)? }).await?;
            be_heard(client, room, linger).await?;
            let mut text = list(&[part::<FileView>(&json, "file")?]);
            if client.is_own() {
                text.push_str("Others can fetch it while a node runs here: `conclave-node run`.\n");
            }
            Ok(Output { json, text })
        }
        FileCommand::List { room } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::FileList { room }).await?;
            let text = list(&part::<Vec<FileView>>(&json, "files")?);
            Ok(Output { json, text })
        }
        FileCommand::Get { room, file, to, wait } => {
            let (room, file) = find(client, &room, &file).await?;
            let to = to.map(|to| absolute(&to)).transpose()?;
            fetch(client, Command::FileGet { room, file, to }, file, wait).await
        }
        FileCommand::Seed { room, file, wait } => {
            let (room, file) = find(client, &room, &file).await?;
            fetch(client, Command::FileSeed { room, file }, file, wait).await
        }
        FileCommand::Pause { room, file } => {
            let (room, file) = find(client, &room, &file).await?;
            shown(client, Command::FilePause { room, file }).await
        }
        FileCommand::Resume { room, file } => {
            let (room, file) = find(client, &room, &file).await?;
            shown(client, Command::FileResume { room, file }).await
        }
        FileCommand::Cancel { room, file } => {
            let (room, file) = find(client, &room, &file).await?;
            shown(client, Command::FileCancel { room, file }).await
        }
        FileCommand::Remove { room, file } => {
            let (room, file) = find(client, &room, &file).await?;
            done(client, Command::FileRemove { room, file }, room, linger, "Shared no more.").await
        }
        FileCommand::Limits { up, down } => {
            let json = client.ask(Command::FileLimits { up_kib: up, down_kib: down }).await?;
            Ok(Output { json, text: "Set.\n".to_owned() })
        }
    }
}

async fn shown(client: &mut Client, command: Command) -> Result<Output, Failure> {
    let json = client.ask(command).await?;
    let text = list(&[part::<FileView>(&json, "file")?]);
    Ok(Output { json, text })
}

/// Starts a transfer and waits for its end, telling how far it is.
async fn fetch(client: &mut Client, command: Command, file: FileId, wait_s: u64) -> Result<Output, Failure> {
    client.follow_events().await?;
    let deadline = Instant::now() + Duration::from_secs(wait_s);
    let mut json = client.ask(command).await?;
    let mut view: FileView = part(&json, "file")?;
    let mut told = String::new();
    loop {
        match view.state {
            FileState::Complete | FileState::Sealed => break,
            FileState::Stopped => {
                let error = view.error.clone();
                return Err(error.map_or_else(|| Failure::new(ErrorCode::FileFailed, "the transfer stopped"), Failure::from));
            }
            FileState::Paused | FileState::Offered => break,
            FileState::Fetching => {}
        }
        if wait_s == 0 {
            break;
        }
        let line = progress(&view);
        if line != told {
            eprintln!("{line}");
            told = line;
        }
        match timeout_at(deadline, client.next_event()).await {
            Ok(Some(Event::FileChanged { file: changed, .. })) if changed.file == file => view = changed,
            Ok(Some(_)) => {}
            Ok(None) => return Err(Failure::new(ErrorCode::Stopped, "the node stopped")),
            Err(_) => {
                return Err(Failure::new(ErrorCode::NobodyFound, format!("the file did not come in time: {}", progress(&view))));
            }
        }
    }
    if let Some(object) = json.as_object_mut() {
        object.insert("file".to_owned(), serde_json::to_value(&view).unwrap_or_default());
    }
    Ok(Output { json, text: list(&[view]) })
}

async fn find(client: &mut Client, room: &str, file: &str) -> Result<(RoomId, FileId), Failure> {
    let room = find_room(client, room).await?;
    if let Ok(exact) = file.parse() {
        return Ok((room, exact));
    }
    let files: Vec<FileView> = client.ask_for(Command::FileList { room }, "files").await?;
    Ok((room, select::file(&files, file)?))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// A line a file.
pub(crate) fn list(files: &[FileView]) -> String {
    if files.is_empty() {
        return "No files.\n".to_owned();
    }
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|file| {
            let folder = file.files.map(|files| format!(" ({files} files)")).unwrap_or_default();
            vec![
                render::short(&file.file),
                format!("{}{folder}", render::clean(&file.name)),
                bytes_text(file.size),
                render::clean(&file.author_name),
                progress(file),
            ]
        })
        .collect();
    render::table(&rows)
}

fn progress(file: &FileView) -> String {
    match file.state {
        FileState::Offered => "offered".to_owned(),
        FileState::Fetching if file.peers == 0 => format!("{}, waiting for somebody who has it", share_of(file.done, file.size)),
        FileState::Fetching => {
            let left = file.left_s.map(|left| format!(", {left} s left")).unwrap_or_default();
            format!("{}, {}/s from {}{left}", share_of(file.done, file.size), bytes_text(file.down), file.peers)
        }
        FileState::Paused => format!("{}, paused", share_of(file.done, file.size)),
        FileState::Complete => format!("here: {}", render::clean(file.path.as_deref().unwrap_or("?"))),
        FileState::Sealed => "here, sealed".to_owned(),
        FileState::Stopped => render::clean(file.error.as_ref().map_or("stopped", |error| error.message.as_str())),
    }
}

/// `37 %`.
pub(crate) fn share_of(done: u64, size: u64) -> String {
    format!("{} %", if size == 0 { 100 } else { done.min(size).saturating_mul(100) / size })
}

/// What a person is told of a change: what is new, what has come, what went wrong. Progress is looked up.
pub(crate) fn changed(room: &str, file: &FileView) -> Option<String> {
    let name = render::clean(&file.name);
    Some(match file.state {
        FileState::Offered => format!("{room}: {} shares {name} ({})", render::clean(&file.author_name), bytes_text(file.size)),
        FileState::Complete if !file.mine && file.sent == 0 => format!("{room}: {name} is here"),
        FileState::Sealed if file.sent == 0 => format!("{room}: {name} is here, sealed"),
        FileState::Stopped => format!("{room}: {name}: {}", progress(file)),
        _ => return None,
    })
}
