//! Pictures of boards among the files: sealed as they are shared and as they come, so that none lies open on this disk, and read back whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conclave_protocol::swarm::hashes::{chunk_hash, pages_of};
use conclave_protocol::swarm::manifest::{CHUNK, Layout, MAX_INLINE, Manifest, chunk_size};
use conclave_protocol::swarm::seal::ChunkCipher;
use rand_core::Rng;

use super::error::FileError;
use super::part::{Beside, SealedFile};
use super::share::Prepared;

/// Makes a manifest of bytes in memory, and puts their sealed chunks where they are served from. Blocking.
pub(crate) fn seal(dir: &Path, name: &str, bytes: Vec<u8>, rng: &mut impl Rng) -> Result<Prepared, FileError> {
    let (mut key, mut version) = ([0; 32], [0; 16]);
    rng.fill_bytes(&mut key);
    rng.fill_bytes(&mut version);
    let size = bytes.len() as u64;
    let inline = size <= MAX_INLINE;
    let mut manifest = Manifest {
        version,
        key,
        name: name.to_owned(),
        size,
        chunk: if inline { CHUNK } else { chunk_size(size) },
        pages: Vec::new(),
        plain: *blake3::hash(&bytes).as_bytes(),
        folder: None,
        inline: None,
    };
    if inline {
        manifest.inline = Some(bytes);
        return Ok(Prepared { manifest, hashes: Vec::new(), table: None });
    }
    let layout = Layout { size, chunk: manifest.chunk };
    let cipher = ChunkCipher::new(&manifest.key, version, layout);
    let (mut hashes, mut sealed) = (Vec::new(), Vec::new());
    for (index, part) in (0..layout.chunks()).zip(bytes.chunks(layout.chunk as usize)) {
        let mut chunk = part.to_vec();
        cipher.seal(index, &mut chunk).map_err(|_| FileError::Stale)?;
        hashes.push(chunk_hash(&chunk));
        sealed.append(&mut chunk);
    }
    manifest.pages = pages_of(&hashes).concat();
    let beside = Beside::new(dir, &manifest);
    beside.save_sealed(&sealed)?;
    beside.save_hashes(&hashes)?;
    Ok(Prepared { manifest, hashes, table: None })
}

/// Where a file lies that is whole here.
#[derive(Debug, Clone)]
pub(crate) enum Whole {
    /// In its manifest.
    Inline,
    /// A person's file.
    Plain(PathBuf),
    /// Its sealed chunks, in this directory.
    Sealed(PathBuf),
}

/// All of a file of at most `most` bytes, checked. Blocking.
pub(crate) fn read(manifest: &Arc<Manifest>, whole: &Whole, most: u64) -> Result<Vec<u8>, FileError> {
    if manifest.size > most {
        return Err(FileError::Unusable("The file is too large."));
    }
    let bytes = match whole {
        Whole::Inline => manifest.inline.clone().unwrap_or_default(),
        Whole::Plain(path) => {
            let mut bytes = vec![0; usize::try_from(manifest.size).unwrap_or(0)];
            super::source::Source::file(path, manifest.size).read(0, &mut bytes).map_err(|error| FileError::of(&error, false))?;
            bytes
        }
        Whole::Sealed(dir) => {
            let (layout, cipher) = (manifest.layout(), ChunkCipher::of(manifest));
            let file = SealedFile::open(&Beside::new(dir, manifest), layout)?;
            let mut bytes = Vec::with_capacity(usize::try_from(manifest.size).unwrap_or(0));
            for index in 0..layout.chunks() {
                let mut chunk = Vec::new();
                file.append_sealed(index, &mut chunk)?;
                cipher.open(index, &mut chunk).map_err(|_| FileError::Stale)?;
                bytes.append(&mut chunk);
            }
            bytes
        }
    };
    // What lies here may have been changed since.
    if *blake3::hash(&bytes).as_bytes() == manifest.plain { Ok(bytes) } else { Err(FileError::Stale) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_read_back_and_what_was_changed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 1000, 16 * 1024, 16 * 1024 + 1, 700_000] {
            let bytes: Vec<u8> = (0..size).map(|at: u32| (at * 7 + at / 251) as u8).collect();
            let prepared = seal(dir.path(), "a.png", bytes.clone(), &mut crate::driver::rng()).unwrap();
            let manifest = Arc::new(prepared.manifest.clone());
            assert!(Manifest::decode(&conclave_protocol::wire::encode(manifest.as_ref())).is_ok(), "others take it");
            let whole = if manifest.inline.is_some() { Whole::Inline } else { Whole::Sealed(dir.path().to_owned()) };
            assert_eq!(read(&manifest, &whole, 1 << 20).unwrap(), bytes);
            assert!(size == 0 || read(&manifest, &whole, u64::from(size) - 1).is_err());
            if manifest.inline.is_none() {
                let path = Beside::new(dir.path(), &manifest).sealed();
                let mut sealed = std::fs::read(&path).unwrap();
                assert!(!sealed.windows(64).any(|part| bytes.windows(64).next() == Some(part)), "it lies sealed");
                sealed[100] ^= 1;
                std::fs::write(&path, sealed).unwrap();
                assert_eq!(read(&manifest, &whole, 1 << 20), Err(FileError::Stale));
            }
        }
    }
}
