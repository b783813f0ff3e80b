//! Making a manifest of what is on this disk: one pass that reads, seals and hashes. It never follows a link inside a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use conclave_protocol::swarm::hashes::{chunk_hash, pages_of};
use conclave_protocol::swarm::manifest::{
    CHUNK, Entry, Folder, Layout, MAX_DEPTH, MAX_ENTRIES, MAX_INLINE, MAX_NAME, MAX_SIZE, MAX_TABLE, Manifest, chunk_size,
    encode_table,
};
use conclave_protocol::swarm::seal::ChunkCipher;
use rand_core::Rng;

use super::error::FileError;
use super::source::Source;

/// How far a pass is, to be looked at from elsewhere; and whether it is still wanted.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) done: AtomicU64,
    pub(crate) size: AtomicU64,
    pub(crate) cancelled: AtomicBool,
}

/// What a pass gives.
pub(crate) struct Prepared {
    pub(crate) manifest: Manifest,
    pub(crate) hashes: Vec<[u8; 32]>,
    /// A folder's table, to be kept: the folder may look different later.
    pub(crate) table: Option<Vec<u8>>,
}

/// Reads a file or folder once. Blocking.
pub(crate) fn prepare(path: &Path, pass: &Pass, rng: &mut impl Rng) -> Result<Prepared, FileError> {
    let read = |error: std::io::Error| FileError::of(&error, false);
    let path = path.canonicalize().map_err(read)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(FileError::Unusable("The name of the file is not text."))?;
    if name.len() > MAX_NAME {
        return Err(FileError::Unusable("The name of the file is too long."));
    }
    let meta = fs::metadata(&path).map_err(read)?;
    let (source, size, table, folder) = if meta.is_dir() {
        let mut found = Vec::new();
        walk(&path, &mut Vec::new(), &mut found)?;
        let entries: Vec<Entry> = found.iter().map(|(entry, _)| entry.clone()).collect();
        let table = encode_table(&entries);
        let folder = Folder { table_len: table.len() as u64, files: u32::try_from(entries.len()).unwrap_or(u32::MAX) };
        if folder.table_len > MAX_TABLE {
            return Err(FileError::Unusable("The folder holds too many files."));
        }
        let size = entries.iter().fold(table.len() as u64, |sum, entry| sum.saturating_add(entry.size));
        let source = Source::folder(table.clone(), found.into_iter().map(|(entry, path)| (path, entry.size)));
        (source, size, Some(table), Some(folder))
    } else if meta.is_file() {
        (Source::file(&path, meta.len()), meta.len(), None, None)
    } else {
        return Err(FileError::Unusable("Only files and folders can be shared."));
    };
    if size > MAX_SIZE {
        return Err(FileError::Unusable("The file is larger than 1 TiB."));
    }
    pass.size.store(size, Ordering::Relaxed);
    let mut key = [0; 32];
    let mut version = [0; 16];
    rng.fill_bytes(&mut key);
    rng.fill_bytes(&mut version);
    let mut manifest = Manifest {
        version,
        key,
        name: name.to_owned(),
        size,
        chunk: chunk_size(size),
        pages: Vec::new(),
        plain: [0; 32],
        folder,
        inline: None,
    };
    if size <= MAX_INLINE {
        let mut content = vec![0; usize::try_from(size).unwrap_or(0)];
        source.read(0, &mut content).map_err(read)?;
        manifest.plain = *blake3::hash(&content).as_bytes();
        manifest.chunk = CHUNK;
        manifest.inline = Some(content);
        return Ok(Prepared { manifest, hashes: Vec::new(), table });
    }
    let layout = Layout { size, chunk: manifest.chunk };
    let cipher = ChunkCipher::new(&manifest.key, version, layout);
    let mut plain = blake3::Hasher::new();
    let mut hashes = Vec::with_capacity(layout.chunks() as usize);
    let mut buffer = Vec::with_capacity(layout.chunk as usize + 16);
    for index in 0..layout.chunks() {
        if pass.cancelled.load(Ordering::Relaxed) {
            return Err(FileError::Unusable("Sharing was cancelled."));
        }
        buffer.clear();
        buffer.resize(layout.len(index) as usize, 0);
        source.read(layout.offset(index), &mut buffer).map_err(read)?;
        plain.update(&buffer);
        cipher.seal(index, &mut buffer).map_err(|_| FileError::Stale)?;
        hashes.push(chunk_hash(&buffer));
        pass.done.fetch_add(u64::from(layout.len(index)), Ordering::Relaxed);
    }
    manifest.plain = *plain.finalize().as_bytes();
    manifest.pages = pages_of(&hashes).concat();
    Ok(Prepared { manifest, hashes, table })
}

/// Files below a folder, in the order of their names. Links and what is neither file nor folder are left out.
fn walk(folder: &Path, parts: &mut Vec<String>, found: &mut Vec<(Entry, PathBuf)>) -> Result<(), FileError> {
    if parts.len() + 1 >= MAX_DEPTH {
        return Err(FileError::Unusable("The folder is nested too deeply."));
    }
    let read = |error: std::io::Error| FileError::of(&error, false);
    let mut entries = fs::read_dir(folder).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(read)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or(FileError::Unusable("A name in the folder is not text."))?;
        if name.len() > MAX_NAME {
            return Err(FileError::Unusable("A name in the folder is too long."));
        }
        parts.push(name.to_owned());
        if kind.is_dir() {
            walk(&entry.path(), parts, found)?;
        } else if kind.is_file() {
            if found.len() >= MAX_ENTRIES {
                return Err(FileError::Unusable("The folder holds too many files."));
            }
            let size = entry.metadata().map_err(read)?.len();
            found.push((Entry { path: parts.clone(), size }, entry.path()));
        }
        parts.pop();
    }
    Ok(())
}
