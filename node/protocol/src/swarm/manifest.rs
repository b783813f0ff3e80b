//! What is shared: the manifest of a file version, as an operation of the op log, and what takes it back. A manifest holds the key of the
//! file: it must never be sent to anybody but members, nor written to a log.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::id::{DeviceId, FileId, OpHash};
use crate::room::Operation;
use crate::swarm::hashes::{PAGE, root};
use crate::wire;

/// Body kinds of files in the op log.
pub mod kind {
    /// A file or folder is shared.
    pub const SHARE: u32 = 200;
    /// It is taken back: by whoever shared it, or by an admin.
    pub const WITHDRAW: u32 = 201;
}

/// Bytes of a chunk up to [`SMALL_CHUNKS_UP_TO`] …
pub const CHUNK: u32 = 256 * 1024;
/// … and above.
pub const LARGE_CHUNK: u32 = 1024 * 1024;
/// Files up to this many bytes are cut in chunks of [`CHUNK`].
pub const SMALL_CHUNKS_UP_TO: u64 = 8 * 1024 * 1024 * 1024;
/// What a file may have at most to travel in its manifest.
pub const MAX_INLINE: u64 = 16 * 1024;
/// Bytes that sealing adds to a chunk.
pub const TAG: u32 = 16;
/// Longest name of a file, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;
/// Most pages: 1 TiB in chunks of 1 MiB.
pub const MAX_PAGES: usize = 1024;
/// Largest file or folder, in bytes.
pub const MAX_SIZE: u64 = MAX_PAGES as u64 * PAGE as u64 * LARGE_CHUNK as u64;
/// Most files in a folder.
pub const MAX_ENTRIES: usize = 100_000;
/// Longest table of a folder, in bytes.
pub const MAX_TABLE: u64 = 32 * 1024 * 1024;
/// Most files a room keeps in view; the newest count.
pub const MAX_FILES: usize = 10_000;

/// Where the parts of a folder are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Folder {
    /// Bytes of the table ([`Table`]) with which the stream begins; at most [`MAX_TABLE`].
    #[n(0)]
    pub table_len: u64,
    /// How many files are in it; at most [`MAX_ENTRIES`].
    #[n(1)]
    pub files: u32,
}

/// One version of a file or folder.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct Manifest {
    /// Random: bound to every chunk.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub version: [u8; 16],
    /// ChaCha20-Poly1305 key of this version alone.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// As whoever shared it calls it; never a path. To be made safe before it is used.
    #[n(2)]
    pub name: String,
    /// Bytes of the stream: the file, or a folder's table and its files one after the other.
    #[n(3)]
    pub size: u64,
    /// Bytes of a chunk, before sealing.
    #[n(4)]
    pub chunk: u32,
    /// Hash of each page of chunk hashes, 32 bytes each, one after the other.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub pages: Vec<u8>,
    /// BLAKE3 of the stream before sealing.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub plain: [u8; 32],
    /// A folder.
    #[zeroize(skip)]
    #[n(7)]
    pub folder: Option<Folder>,
    /// The stream itself, where it is at most [`MAX_INLINE`] bytes; there are no chunks then.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub inline: Option<Vec<u8>>,
}

impl core::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Manifest").field("size", &self.size).field("chunk", &self.chunk).finish_non_exhaustive()
    }
}

/// A manifest that breaks a limit or contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is malformed")]
pub struct MalformedManifest;

/// The chunk size for so many bytes.
pub const fn chunk_size(size: u64) -> u32 {
    if size <= SMALL_CHUNKS_UP_TO { CHUNK } else { LARGE_CHUNK }
}

impl Manifest {
    /// Reads and checks one.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedManifest> {
        let manifest: Self = wire::decode(bytes).map_err(|_| MalformedManifest)?;
        if manifest.is_sound() { Ok(manifest) } else { Err(MalformedManifest) }
    }

    fn is_sound(&self) -> bool {
        let name = !self.name.is_empty() && self.name.len() <= MAX_NAME;
        let folder = self.folder.as_ref().is_none_or(|folder| {
            folder.table_len <= self.size && folder.table_len <= MAX_TABLE && folder.files as usize <= MAX_ENTRIES
        });
        let content = match &self.inline {
            Some(inline) => inline.len() as u64 == self.size && self.size <= MAX_INLINE && self.pages.is_empty(),
            None => {
                self.size > 0
                    && self.size <= MAX_SIZE
                    && self.chunk == chunk_size(self.size)
                    && self.pages.len() == self.layout().chunks().div_ceil(PAGE) as usize * 32
            }
        };
        name && folder && content
    }

    /// How it is cut.
    pub fn layout(&self) -> Layout {
        Layout { size: if self.inline.is_some() { 0 } else { self.size }, chunk: self.chunk.max(1) }
    }

    /// The page hashes.
    pub fn page_hashes(&self) -> Vec<[u8; 32]> {
        self.pages.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect()
    }

    /// What peers name beside the file, so that two never exchange chunks of different versions.
    pub fn root(&self) -> [u8; 32] {
        root(&self.page_hashes())
    }
}

/// How a stream is cut in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the stream.
    pub size: u64,
    /// Bytes of a chunk.
    pub chunk: u32,
}

impl Layout {
    /// Number of chunks.
    pub fn chunks(&self) -> u32 {
        u32::try_from(self.size.div_ceil(u64::from(self.chunk.max(1)))).unwrap_or(u32::MAX)
    }

    /// Where a chunk begins.
    pub fn offset(&self, index: u32) -> u64 {
        u64::from(index) * u64::from(self.chunk)
    }

    /// Bytes of a chunk before sealing; 0 where there is none.
    pub fn len(&self, index: u32) -> u32 {
        let left = self.size.saturating_sub(self.offset(index));
        u32::try_from(left.min(u64::from(self.chunk))).unwrap_or(self.chunk)
    }

    /// There is nothing to cut.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Bytes of a chunk once sealed.
    pub fn sealed_len(&self, index: u32) -> u32 {
        self.len(index) + TAG
    }

    /// The last chunk.
    pub fn is_last(&self, index: u32) -> bool {
        index.checked_add(1) == Some(self.chunks())
    }
}

/// One file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Entry {
    /// The parts of its path within the folder. To be made safe before they are used.
    #[n(0)]
    pub path: Vec<String>,
    /// Bytes.
    #[n(1)]
    pub size: u64,
}

/// Longest path within a folder, in parts.
pub const MAX_DEPTH: usize = 32;

/// Writes a table: each entry as CBOR behind its length (u16, big-endian), so that a long table is no single value.
pub fn encode_table(entries: &[Entry]) -> Vec<u8> {
    let mut table = Vec::new();
    for entry in entries {
        let bytes = wire::encode(entry);
        table.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        table.extend_from_slice(&bytes);
    }
    table
}

/// Reads a table and checks it against its manifest.
pub fn decode_table(mut bytes: &[u8], manifest: &Manifest) -> Result<Vec<Entry>, MalformedManifest> {
    let folder = manifest.folder.as_ref().ok_or(MalformedManifest)?;
    if bytes.len() as u64 != folder.table_len {
        return Err(MalformedManifest);
    }
    let mut entries = Vec::new();
    let mut total = folder.table_len;
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(MalformedManifest)?;
        let entry: Entry = wire::decode(entry).map_err(|_| MalformedManifest)?;
        let parts = !entry.path.is_empty() && entry.path.len() <= MAX_DEPTH;
        if !parts || entry.path.iter().any(|part| part.is_empty() || part.len() > MAX_NAME) || entries.len() >= MAX_ENTRIES {
            return Err(MalformedManifest);
        }
        total = total.checked_add(entry.size).filter(|total| *total <= manifest.size).ok_or(MalformedManifest)?;
        entries.push(entry);
        bytes = rest;
    }
    let whole = bytes.is_empty() && total == manifest.size && entries.len() == folder.files as usize;
    if whole { Ok(entries) } else { Err(MalformedManifest) }
}

/// Takes a share back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdraw {
    /// The operation that shared it.
    #[n(0)]
    pub target: OpHash,
}

/// A file that is shared in a room.
#[derive(Debug, Clone)]
pub struct Shared {
    /// By whom.
    pub author: DeviceId,
    /// By the author's clock, UTC.
    pub time_ms: u64,
    /// What.
    pub manifest: Manifest,
}

/// What is shared in a room now, as the operations that count say. `is_admin`: now.
pub fn catalogue(operations: Vec<Operation>, is_admin: impl Fn(&DeviceId) -> bool) -> BTreeMap<FileId, Shared> {
    let mut shared = Vec::new();
    let mut withdrawn: BTreeSet<(OpHash, DeviceId)> = BTreeSet::new();
    let mut by_admins: BTreeSet<OpHash> = BTreeSet::new();
    for operation in operations {
        match operation.kind {
            kind::SHARE => {
                if let Ok(manifest) = Manifest::decode(&operation.body) {
                    shared.push((operation.id, Shared { author: operation.author, time_ms: operation.time_ms, manifest }));
                }
            }
            kind::WITHDRAW => {
                if let Ok(Withdraw { target }) = wire::decode(&operation.body) {
                    if is_admin(&operation.author) {
                        by_admins.insert(target);
                    }
                    withdrawn.insert((target, operation.author));
                }
            }
            _ => {}
        }
    }
    let stands = |(id, shared): &(OpHash, Shared)| !by_admins.contains(id) && !withdrawn.contains(&(*id, shared.author));
    let standing: Vec<_> = shared.into_iter().filter(stands).collect();
    let skip = standing.len().saturating_sub(MAX_FILES);
    standing.into_iter().skip(skip).map(|(id, shared)| (FileId(id.0), shared)).collect()
}
