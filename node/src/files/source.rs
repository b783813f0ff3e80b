//! The stream of a file or folder that is whole on this disk: what is sealed for others. Whoever reads it must check the outcome against
//! the manifest, for the files are a person's and may change.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use conclave_protocol::swarm::manifest::TAG;
use conclave_protocol::swarm::seal::ChunkCipher;

use super::error::FileError;

/// One file of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) path: PathBuf,
    /// Where it begins in the stream.
    pub(crate) at: u64,
    pub(crate) len: u64,
}

/// Where a stream comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// With which the stream begins: the table of a folder.
    table: Vec<u8>,
    pieces: Vec<Piece>,
    /// The piece that was read last, open.
    open: Mutex<Option<(usize, std::sync::Arc<File>)>>,
}

impl Source {
    pub(crate) fn file(path: &Path, len: u64) -> Self {
        Self { table: Vec::new(), pieces: vec![Piece { path: path.to_owned(), at: 0, len }], open: Mutex::new(None) }
    }

    /// `files`: paths and lengths in the order of the table.
    pub(crate) fn folder(table: Vec<u8>, files: impl IntoIterator<Item = (PathBuf, u64)>) -> Self {
        let mut at = table.len() as u64;
        let pieces = files
            .into_iter()
            .map(|(path, len)| {
                let piece = Piece { path, at, len };
                at += len;
                piece
            })
            .collect();
        Self { table, pieces, open: Mutex::new(None) }
    }

    /// Fills `buffer` with what stands at `offset` of the stream.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = buffer;
        if let Some(table) = usize::try_from(at).ok().and_then(|at| self.table.get(at..)).filter(|table| !table.is_empty()) {
            let take = table.len().min(rest.len());
            let (here, later) = rest.split_at_mut(take);
            here.iter_mut().zip(table).for_each(|(place, byte)| *place = *byte);
            at += take as u64;
            rest = later;
        }
        let mut index = self.pieces.partition_point(|piece| piece.at + piece.len <= at);
        while !rest.is_empty() {
            let piece = self.pieces.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let skip = at.saturating_sub(piece.at);
            let take = usize::try_from(piece.len.saturating_sub(skip)).unwrap_or(usize::MAX).min(rest.len());
            let (here, later) = rest.split_at_mut(take);
            if take > 0 {
                read_at(&*self.open(index, &piece.path)?, here, skip)?;
            }
            at += take as u64;
            rest = later;
            index += 1;
        }
        Ok(())
    }

    fn open(&self, index: usize, path: &Path) -> io::Result<std::sync::Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, file)) = open.as_ref()
            && *at == index
        {
            return Ok(file.clone());
        }
        let file = std::sync::Arc::new(File::open(path)?);
        *open = Some((index, file.clone()));
        Ok(file)
    }

    /// Reads a chunk and seals it. To be checked against the manifest before it leaves. Blocking.
    pub(crate) fn append_sealed(&self, cipher: &ChunkCipher, index: u32, to: &mut Vec<u8>) -> Result<(), FileError> {
        let layout = cipher.layout();
        append_sealed(cipher, index, to, |bytes| {
            self.read(layout.offset(index), bytes).map_err(|error| FileError::of(&error, false))
        })
    }
}

/// Has a chunk read behind what is in a buffer, and seals it there.
pub(crate) fn append_sealed(
    cipher: &ChunkCipher,
    index: u32,
    to: &mut Vec<u8>,
    read: impl FnOnce(&mut [u8]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let (from, len) = (to.len(), cipher.layout().len(index) as usize);
    to.reserve(len + TAG as usize);
    to.resize(from + len, 0);
    let bytes = to.get_mut(from..).unwrap_or_default();
    read(bytes)?;
    let tag = cipher.seal_slice(index, bytes).map_err(|_| FileError::Stale)?;
    to.extend_from_slice(&tag);
    Ok(())
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
