//! Files between peers, as scenarios and benchmarks share and fetch them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{FileState, FileView};
use conclave_protocol::id::{FileId, RoomId};

use crate::peer::Peer;

/// Bytes that do not repeat: a chunk at a wrong place would be seen.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend(random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Writes a file of such bytes without holding it.
pub fn write(path: &Path, len: u64, seed: u64) -> Result<()> {
    let mut random = Random(seed | 1);
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut left = len;
    while left > 0 {
        let word = random.next().to_le_bytes();
        let take = word.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(word.get(..take).unwrap_or_default())?;
        left -= take as u64;
    }
    file.flush()?;
    Ok(())
}

/// Whether two files hold the same.
pub fn same(one: &Path, other: &Path) -> Result<bool> {
    use std::io::Read;
    let mut files = [std::fs::File::open(one)?, std::fs::File::open(other)?];
    let mut buffers = [vec![0; 1 << 20], vec![0; 1 << 20]];
    loop {
        let mut read = [0, 0];
        for ((file, buffer), read) in files.iter_mut().zip(&mut buffers).zip(&mut read) {
            while *read < buffer.len() {
                let more = file.read(buffer.get_mut(*read..).unwrap_or_default())?;
                if more == 0 {
                    break;
                }
                *read += more;
            }
        }
        let [one, other] = [0, 1].map(|n| buffers.get(n).and_then(|buffer| buffer.get(..*read.get(n)?)));
        if one != other {
            return Ok(false);
        }
        if read == [0, 0] {
            return Ok(true);
        }
    }
}

/// xorshift64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A room of the first with all the others in it.
pub async fn room_of(peers: &mut [Peer]) -> Result<RoomId> {
    let (first, rest) = peers.split_first_mut().context("a room needs somebody")?;
    let room = first.create_room("Files", false).await?;
    let link = first.invite(room, 99).await?;
    for peer in rest {
        peer.join(&link, None).await?;
    }
    Ok(room)
}

impl Peer {
    /// Shares a file or folder.
    pub async fn share_file(&mut self, room: RoomId, path: &Path) -> Result<FileView> {
        let answer = self.request(Command::FileShare { room, path: path.to_owned() }).await?;
        Ok(serde_json::from_value(answer.get("file").cloned().context("no file")?)?)
    }

    /// The files of a room.
    pub async fn files(&mut self, room: RoomId) -> Result<Vec<FileView>> {
        let answer = self.request(Command::FileList { room }).await?;
        Ok(serde_json::from_value(answer.get("files").cloned().context("no files")?)?)
    }

    /// One file, as this peer sees it.
    pub async fn file(&mut self, room: RoomId, file: FileId) -> Result<FileView> {
        self.files(room).await?.into_iter().find(|view| view.file == file).context("there is no such file")
    }

    /// Waits until a file is offered here.
    pub async fn offered(&mut self, room: RoomId, file: FileId) -> Result<()> {
        if self.files(room).await?.iter().any(|view| view.file == file) {
            return Ok(());
        }
        self.wait_file(file, "the file is offered", |_| true).await.map(drop)
    }

    /// Begins to fetch it into a folder.
    pub async fn get_file(&mut self, room: RoomId, file: FileId, to: &Path) -> Result<()> {
        self.request(Command::FileGet { room, file, to: Some(to.to_owned()) }).await.map(drop)
    }

    /// Waits for what is told of it.
    pub async fn wait_file(&mut self, file: FileId, what: &str, holds: impl Fn(&FileView) -> bool) -> Result<FileView> {
        self.wait(what, |event| match event {
            Event::FileChanged { file: view, .. } if view.file == file && holds(view) => Some(view.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until all of it is here; where that is.
    pub async fn complete_file(&mut self, file: FileId) -> Result<PathBuf> {
        let ended = |view: &FileView| matches!(view.state, FileState::Complete | FileState::Stopped);
        let view = self.wait_file(file, "the file is complete", ended).await?;
        match (view.state, view.path) {
            (FileState::Complete, Some(path)) => Ok(PathBuf::from(path)),
            _ => bail!("the file stopped: {:?}", view.error),
        }
    }

    /// Waits until it cannot go on; the code of what is wrong.
    pub async fn stopped_file(&mut self, file: FileId) -> Result<String> {
        let view = self.wait_file(file, "it stops", |view| view.state == FileState::Stopped).await?;
        Ok(view.error.context("it stopped without a reason")?.code)
    }
}
