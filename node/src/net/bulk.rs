//! What moves chunks of files cheaply: long frames read straight into their place, buffers used again, and a pace that writes keep to. The
//! allocator would map and unmap every chunk, which costs a receiver a fifth of its time.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use conclave_protocol::swarm::rate::Limit;
use conclave_protocol::wire::{FrameError, MAX_FRAME_PREFIX, frame_length};
use futures::io::{AsyncRead, AsyncReadExt};

/// Buffers that wait to be used again; one more is given back to the allocator.
const KEPT: usize = 24;
/// Shorter ones are not worth keeping, longer ones are no chunks.
const WORTH_KEEPING: std::ops::RangeInclusive<usize> = 64 * 1024..=2 * 1024 * 1024;
/// What is written at once where a pace is kept: about the packets that a slow uplink carries between two of a voice.
pub(super) const SLICE: usize = 4 * 1024;
/// What a pace lets through at once after a rest.
const EVEN: Duration = Duration::from_millis(20);

static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer, perhaps one that was used before.
pub(crate) fn take_buffer() -> Vec<u8> {
    let mut buffer = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    buffer.clear();
    buffer
}

/// Keeps a buffer for the next chunk.
pub(crate) fn give_buffer(buffer: Vec<u8>) {
    let mut kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < KEPT && WORTH_KEEPING.contains(&buffer.capacity()) {
        kept.push(buffer);
    }
}

/// Reads long frames without a copy in between. A frame takes its announced length at once, which is within the limit of its stream.
pub(super) struct BulkReader {
    limit: usize,
    prefix: Vec<u8>,
    frame: Vec<u8>,
    /// Bytes of the frame that are there; `None` while its length is not known.
    filled: Option<usize>,
}

impl BulkReader {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, prefix: Vec::with_capacity(MAX_FRAME_PREFIX), frame: Vec::new(), filled: None }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn is_partial(&self) -> bool {
        self.filled.is_some() || !self.prefix.is_empty()
    }

    /// The frame, once it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if self.filled.is_none() {
            let Some((length, _)) = frame_length(&self.prefix)? else { return Ok(None) };
            if length > self.limit {
                return Err(FrameError::TooLong { announced: length, limit: self.limit });
            }
            self.prefix.clear();
            self.frame = take_buffer();
            self.frame.resize(length, 0);
            self.filled = Some(0);
        }
        if self.filled == Some(self.frame.len()) {
            self.filled = None;
            return Ok(Some(std::mem::take(&mut self.frame)));
        }
        Ok(None)
    }

    /// Reads what there is; 0 at the end of the stream. Cancel safe.
    pub(super) async fn read(&mut self, stream: &mut Pin<Box<dyn AsyncRead + Send>>) -> io::Result<usize> {
        let Some(filled) = self.filled else {
            // Its length is at most four bytes, which wait in the stream's buffer.
            let mut byte = [0];
            let read = stream.read(&mut byte).await?;
            self.prefix.extend(byte.iter().take(read));
            return Ok(read);
        };
        let read = stream.read(self.frame.get_mut(filled..).unwrap_or_default()).await?;
        self.filled = Some(filled + read);
        Ok(read)
    }
}

/// Bytes a second that the writers which share it keep to.
#[derive(Debug)]
pub(crate) struct Pace {
    /// 0: without a limit.
    bytes_per_s: AtomicU64,
    limit: Mutex<Limit>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes_per_s: AtomicU64::new(0), limit: Mutex::new(Limit::new(None, now()).with_burst(EVEN)) }
    }
}

/// Since the first time that anybody asked.
fn now() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

impl Pace {
    /// From here on.
    pub(crate) fn set(&self, bytes_per_s: Option<u64>) {
        self.bytes_per_s.store(bytes_per_s.unwrap_or(0), Relaxed);
        self.limit.lock().unwrap_or_else(PoisonError::into_inner).set(bytes_per_s, now());
    }

    pub(super) fn is_limited(&self) -> bool {
        self.bytes_per_s.load(Relaxed) != 0
    }

    /// Waits until so many bytes may go.
    pub(super) async fn wait(&self, bytes: usize) {
        loop {
            let taken = self.limit.lock().unwrap_or_else(PoisonError::into_inner).take(bytes as u64, now());
            match taken {
                Ok(()) => return,
                // Looked at again soon: a limit may be lifted.
                Err(wait) => tokio::time::sleep(wait.min(Duration::from_millis(250))).await,
            }
        }
    }
}

/// What a writer keeps to: its own pace, and one that all share.
pub(crate) type Paces = [Arc<Pace>; 2];
