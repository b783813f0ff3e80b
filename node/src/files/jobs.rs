//! What takes a disk or a core: done on blocking threads, two at a time, each ending in one message to the engine.

use std::path::PathBuf;
use std::sync::Arc;

use conclave_protocol::id::FileId;
use conclave_protocol::swarm::hashes::{Hashes, chunk_hash};
use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::manifest::Manifest;
use conclave_protocol::swarm::seal::ChunkCipher;
use conclave_protocol::swarm::wire::begin_data_frame;
use tokio::sync::{Semaphore, mpsc};

use super::error::FileError;
use super::names;
use super::part::{Beside, Finished, Form, Part, SealedFile};
use super::peer::PeerKey;
use super::source::Source;
use crate::net::{FrameWriter, take_buffer};

/// Jobs that run at once.
const THREADS: usize = 2;

/// How this device takes part in a file.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// It is here as it is: shared from here (`planned` is false), or fetched before.
    Whole { path: PathBuf, planned: bool },
    /// Its sealed chunks are here.
    Sealed,
    /// It is being fetched into this folder.
    Fetch { target: PathBuf, form: Form },
}

/// Where chunks come from.
#[derive(Debug, Clone)]
pub(crate) enum Supply {
    Source(Arc<Source>),
    Part(Arc<Part>),
    Sealed(Arc<SealedFile>),
}

/// What taking part begins with.
pub(crate) struct Opened {
    pub(crate) hashes: Hashes,
    pub(crate) supply: Supply,
    /// What is here of a file that is fetched.
    pub(crate) have: Option<Have>,
}

/// What a job ended with. `turn` tells two times of taking part in one file apart.
pub(crate) enum Done {
    Opened { file: FileId, turn: u64, result: Result<Opened, FileError> },
    Stored { file: FileId, turn: u64, key: PeerKey, index: u32, bytes: u64, result: Result<bool, FileError> },
    Settled { file: FileId, turn: u64, result: Result<(), FileError> },
    Finished { file: FileId, turn: u64, result: Result<Finished, FileError> },
    Served { file: FileId, key: PeerKey, id: u64, bytes: u64, result: Result<(), FileError> },
}

/// Starts jobs.
#[derive(Clone)]
pub(crate) struct Jobs {
    threads: Arc<Semaphore>,
    done: mpsc::Sender<Done>,
}

impl Jobs {
    pub(crate) fn new(done: mpsc::Sender<Done>) -> Self {
        Self { threads: Arc::new(Semaphore::new(THREADS)), done }
    }

    /// Runs `work` and sends what it gives.
    pub(crate) fn run(&self, work: impl FnOnce() -> Done + Send + 'static) {
        let (threads, done) = (self.threads.clone(), self.done.clone());
        tokio::spawn(async move {
            let Ok(permit) = threads.acquire_owned().await else { return };
            let ended = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work()
            });
            match ended.await {
                // The engine is gone when the node stops.
                Ok(ended) => drop(done.send(ended).await),
                Err(error) => tracing::error!(%error, "a job of a file panicked"),
            }
        });
    }

    /// Reads a chunk, checks it and feeds it to a stream.
    #[allow(clippy::too_many_arguments, reason = "all of it goes into one message")]
    pub(crate) fn serve(
        &self,
        supply: Supply,
        cipher: ChunkCipher,
        hash: [u8; 32],
        file: FileId,
        key: PeerKey,
        id: u64,
        index: u32,
        writer: FrameWriter,
    ) {
        let (threads, done) = (self.threads.clone(), self.done.clone());
        tokio::spawn(async move {
            let Ok(permit) = threads.acquire_owned().await else { return };
            let read = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let mut frame = take_buffer();
                begin_data_frame(file, id, index, cipher.layout().sealed_len(index), &mut frame);
                let head = frame.len();
                supply.append_sealed(index, &cipher, &mut frame)?;
                // What is here may have changed: only what the manifest names leaves.
                if frame.get(head..).is_none_or(|sealed| chunk_hash(sealed) != hash) {
                    return Err(FileError::Stale);
                }
                Ok(frame)
            });
            let (bytes, result) = match read.await {
                Ok(Ok(frame)) => {
                    let bytes = frame.len() as u64;
                    // A peer that is gone has its own end.
                    let fed = writer.feed_frame(frame).await.is_ok();
                    (if fed { bytes } else { 0 }, Ok(()))
                }
                Ok(Err(error)) => (0, Err(error)),
                Err(_) => (0, Err(FileError::Unusable("A job of a file panicked."))),
            };
            drop(done.send(Done::Served { file, key, id, bytes, result }).await);
        });
    }
}

impl Supply {
    /// Puts a sealed chunk behind what is in the buffer. To be checked against the manifest before it leaves.
    fn append_sealed(&self, index: u32, cipher: &ChunkCipher, to: &mut Vec<u8>) -> Result<(), FileError> {
        match self {
            Self::Source(source) => source.append_sealed(cipher, index, to),
            Self::Part(part) => part.append_sealed(index, cipher, to),
            Self::Sealed(sealed) => sealed.append_sealed(index, to),
        }
    }
}

/// Opens what is kept of a file. Blocking.
pub(crate) fn open(beside: &Beside, file: FileId, manifest: &Manifest, kept: &Kept) -> Result<Opened, FileError> {
    let hashes = beside.load_hashes(manifest);
    match kept {
        Kept::Whole { path, planned } => {
            let source = match &manifest.folder {
                None => Source::file(path, manifest.size),
                Some(_) => {
                    let (table, entries) = beside.load_table(manifest)?;
                    let paths: Vec<PathBuf> = match planned {
                        true => names::plan(&entries),
                        false => entries.iter().map(|entry| entry.path.iter().collect()).collect(),
                    };
                    let files = paths.into_iter().zip(&entries).map(|(part, entry)| (path.join(part), entry.size));
                    Source::folder(table, files.collect::<Vec<_>>())
                }
            };
            if !path.exists() {
                return Err(FileError::SourceGone);
            }
            Ok(Opened { hashes, supply: Supply::Source(Arc::new(source)), have: None })
        }
        Kept::Sealed => {
            let sealed = SealedFile::open(beside, manifest.layout())?;
            Ok(Opened { hashes, supply: Supply::Sealed(Arc::new(sealed)), have: None })
        }
        Kept::Fetch { target, form } => {
            let (part, have) = Part::open(target, beside, file, manifest, *form, &hashes)?;
            if let Some(content) = &manifest.inline {
                part.fill(content)?;
            }
            Ok(Opened { hashes, supply: Supply::Part(Arc::new(part)), have: Some(have) })
        }
    }
}
