//! A stream as frames: a reader that a peer cannot make wait or swell, and a writer that never makes its caller wait. Bytes are
//! never looked into beyond the length of a frame.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use conclave_protocol::id::DeviceId;
use conclave_protocol::wire::{FrameDecoder, FrameError, MAX_FRAME_PREFIX, encode_frame};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::StreamName;
use super::bulk::{BulkReader, Paces, SLICE, give_buffer};
use super::streams::StreamGuard;

/// Frames that wait to be written. One more and the stream is too slow; see [`FrameWriter::send`].
const QUEUE_FRAMES: usize = 64;
/// Bytes that wait to be written, length prefixes included.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// From the first byte of a frame that arrives to its last.
    frame: Duration,
    /// For one of our frames to be taken.
    write: Duration,
    /// For the close, once everything is written.
    close: Duration,
}

const PATIENCE: Patience =
    Patience { frame: Duration::from_secs(10), write: Duration::from_secs(20), close: Duration::from_secs(5) };
/// Chunks of files are long and go over the slowest links too.
const BULK_PATIENCE: Patience =
    Patience { frame: Duration::from_secs(60), write: Duration::from_secs(60), close: Duration::from_secs(5) };
/// Bytes taken from the stream at a time.
const READ_BYTES: usize = 8 * 1024;

/// Why no further frame comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer ended the stream between two frames.
    #[error("the peer closed the stream")]
    Closed,
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// A frame was begun and not finished within 10 s.
    #[error("the peer began a frame and did not finish it")]
    Stalled,
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// This side gave the stream up: it was aborted, or the peer took too long to read.
    #[error("the stream was given up")]
    Aborted,
    /// The connection is gone.
    #[error("the connection was lost ({0})")]
    Io(io::ErrorKind),
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is full; the stream stands.
    #[error("too much waits to be sent")]
    Full,
    /// The queue was full, and the stream is closed for it.
    #[error("the peer reads too slowly")]
    TooSlow,
    /// Longer than the stream's limit. An error of the caller.
    #[error("a frame of {bytes} bytes is longer than {limit}")]
    TooLong { bytes: usize, limit: usize },
    #[error("the stream is closed")]
    Closed,
}

/// A stream that was opened and not yet used. Dropping it resets it.
pub struct NetStream {
    device: DeviceId,
    name: StreamName,
    stream: libp2p::Stream,
    guard: StreamGuard,
}

impl fmt::Debug for NetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetStream").field("device", &self.device).field("name", &self.name).finish_non_exhaustive()
    }
}

impl NetStream {
    pub(crate) fn new(device: DeviceId, name: StreamName, stream: libp2p::Stream, guard: StreamGuard) -> Self {
        Self { device, name, stream, guard }
    }

    /// The device at the other end, as its connection proved it.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    pub fn name(&self) -> StreamName {
        self.name
    }

    /// Starts reading and writing frames of at most `limit` bytes each way. Needs a tokio runtime around it.
    pub fn split(self, limit: usize) -> (FrameReader, FrameWriter) {
        if self.name == StreamName::FileData {
            let (mut reader, writer) = split(self.stream, limit, Some(self.guard), BULK_PATIENCE);
            reader.bulk = Some(BulkReader::new(limit));
            return (reader, writer);
        }
        split(self.stream, limit, Some(self.guard), PATIENCE)
    }
}

fn split<S>(stream: S, limit: usize, guard: Option<StreamGuard>, patience: Patience) -> (FrameReader, FrameWriter)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = stream.split();
    let guard = Arc::new(guard);
    let stop = CancellationToken::new();
    let room = Arc::new(Semaphore::new(QUEUE_BYTES));
    let (queue, queued) = mpsc::channel(QUEUE_FRAMES);
    let paces = Arc::new(OnceLock::new());
    let ended = Ended { room: room.clone(), _guard: guard.clone() };
    tokio::spawn(write_frames(write, queued, ended, stop.clone(), patience, paces.clone()));
    let reader = FrameReader {
        stream: Box::pin(read),
        decoder: FrameDecoder::new(limit),
        bulk: None,
        chunk: vec![0; READ_BYTES].into_boxed_slice(),
        patience: patience.frame,
        due: None,
        failed: None,
        stop: stop.clone(),
        _guard: guard,
    };
    (reader, FrameWriter { queue, room, stop, limit, paces })
}

/// Frames as they arrive. Only what is asked for is read, so a slow caller slows the peer down.
pub struct FrameReader {
    stream: Pin<Box<dyn AsyncRead + Send>>,
    decoder: FrameDecoder,
    /// In place of the decoder, for chunks of files.
    bulk: Option<BulkReader>,
    chunk: Box<[u8]>,
    patience: Duration,
    /// When the frame that has begun must be whole.
    due: Option<Instant>,
    failed: Option<StreamError>,
    stop: CancellationToken,
    _guard: Arc<Option<StreamGuard>>,
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl FrameReader {
    /// Longer frames than `limit` bytes are refused from here on, also where they have arrived already: so a peer that has proved
    /// nothing cannot make this side hold more than a proof takes.
    pub fn set_limit(&mut self, limit: usize) {
        self.decoder.set_limit(limit);
        if let Some(bulk) = &mut self.bulk {
            bulk.set_limit(limit);
        }
    }

    /// The next frame. Safe to cancel: nothing that has arrived is lost. After an error it gives that error for ever; any error
    /// but [`StreamError::Closed`] closes the other direction too.
    pub async fn next(&mut self) -> Result<Vec<u8>, StreamError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.read().await.inspect_err(|error| {
            self.failed = Some(*error);
            if *error != StreamError::Closed {
                self.stop.cancel();
            }
        })
    }

    async fn read(&mut self) -> Result<Vec<u8>, StreamError> {
        loop {
            let whole = self.bulk.as_mut().map_or_else(|| self.decoder.next(), BulkReader::next)?;
            if let Some(frame) = whole {
                self.due = None;
                return Ok(frame);
            }
            let partial = self.bulk.as_ref().map_or_else(|| self.decoder.is_partial(), BulkReader::is_partial);
            if partial && self.due.is_none() {
                self.due = Some(Instant::now() + self.patience);
            }
            let due = self.due.unwrap_or_else(Instant::now);
            let read = async {
                match &mut self.bulk {
                    Some(bulk) => bulk.read(&mut self.stream).await,
                    None => self.stream.read(&mut self.chunk).await,
                }
            };
            let read = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(StreamError::Aborted),
                () = tokio::time::sleep_until(due), if partial => return Err(StreamError::Stalled),
                read = read => read.map_err(|error| StreamError::Io(error.kind()))?,
            };
            match self.chunk.get(..read) {
                _ if read > 0 && self.bulk.is_some() => {}
                Some(bytes) if !bytes.is_empty() => self.decoder.push(bytes),
                _ if partial => return Err(StreamError::Truncated),
                _ => return Err(StreamError::Closed),
            }
        }
    }
}

/// A bounded queue of frames, written by a task of its own. Clones share the queue; when the last one is dropped, what is queued
/// is written and this direction is closed.
#[derive(Clone)]
pub struct FrameWriter {
    queue: mpsc::Sender<Vec<u8>>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    limit: usize,
    paces: Arc<OnceLock<Paces>>,
}

impl fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl FrameWriter {
    /// Queues a frame. Where the queue is full the peer reads too slowly for what it must get, and the stream is closed.
    ///
    /// # Errors
    /// [`SendError::TooSlow`], [`SendError::TooLong`] or [`SendError::Closed`].
    pub fn send(&self, payload: &[u8]) -> Result<(), SendError> {
        self.try_send(payload).map_err(|error| {
            if error != SendError::Full {
                return error;
            }
            self.stop.cancel();
            SendError::TooSlow
        })
    }

    /// Queues a frame that may as well be skipped: where the queue is full it says so and the stream stands.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLong`] or [`SendError::Closed`].
    pub fn try_send(&self, payload: &[u8]) -> Result<(), SendError> {
        self.check(payload)?;
        let slot = self.queue.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => SendError::Full,
            mpsc::error::TrySendError::Closed(()) => SendError::Closed,
        })?;
        let frame = encode_frame(payload);
        self.room.try_acquire_many(permits(&frame)).map_err(|_| SendError::Full)?.forget();
        slot.send(frame);
        Ok(())
    }

    /// Queues a frame, waiting for room: for bulk, from a task of its own. A peer that stalls for 20 s ends the wait.
    ///
    /// # Errors
    /// [`SendError::TooLong`] or [`SendError::Closed`].
    pub async fn feed(&self, payload: &[u8]) -> Result<(), SendError> {
        self.check(payload)?;
        self.feed_frame(encode_frame(payload)).await
    }

    /// The same for a whole frame that was made in place: its length, then its payload. The buffer is used again once it is written.
    pub(crate) async fn feed_frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
        let queued = async {
            let slot = self.queue.reserve().await.map_err(|_| SendError::Closed)?;
            self.room.acquire_many(permits(&frame)).await.map_err(|_| SendError::Closed)?.forget();
            slot.send(frame);
            Ok(())
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(SendError::Closed),
            result = queued => result,
        }
    }

    /// From here on frames are written no faster than these allow, in small pieces. Once for a stream.
    pub(crate) fn keep_to(&self, paces: Paces) {
        let _ = self.paces.set(paces);
    }

    /// Resets the stream both ways. What is queued is lost.
    pub fn abort(&self) {
        self.stop.cancel();
    }

    pub fn is_closed(&self) -> bool {
        self.stop.is_cancelled() || self.queue.is_closed()
    }

    fn check(&self, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > self.limit {
            return Err(SendError::TooLong { bytes: payload.len(), limit: self.limit });
        }
        if self.stop.is_cancelled() { Err(SendError::Closed) } else { Ok(()) }
    }
}

/// What a frame takes of [`QUEUE_BYTES`]; one longer than the whole queue takes all of it.
fn permits(frame: &[u8]) -> u32 {
    u32::try_from(frame.len().min(QUEUE_BYTES)).unwrap_or(u32::MAX)
}

async fn write_frames(
    mut stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    // However this ends, nobody waits for room in a queue that nobody empties, and the reader learns of it.
    ended: Ended,
    stop: CancellationToken,
    patience: Patience,
    paces: Arc<OnceLock<Paces>>,
) {
    let written = async {
        while let Some(frame) = queue.recv().await {
            let paced = paces.get().filter(|paces| paces.iter().any(|pace| pace.is_limited()));
            for piece in frame.chunks(if paced.is_some() { SLICE } else { frame.len().max(1) }) {
                for pace in paced.into_iter().flatten() {
                    pace.wait(piece.len()).await;
                }
                let write = async {
                    stream.write_all(piece).await?;
                    // More is coming: one flush for all of it. What is paced would otherwise leave all at once.
                    if paced.is_some() || queue.is_empty() { stream.flush().await } else { Ok(()) }
                };
                if !matches!(tokio::time::timeout(patience.write, write).await, Ok(Ok(()))) {
                    return false;
                }
            }
            ended.room.add_permits(permits(&frame) as usize);
            give_buffer(frame);
        }
        matches!(tokio::time::timeout(patience.close, stream.close()).await, Ok(Ok(())))
    };
    let clean = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        clean = written => clean,
    };
    if !clean {
        stop.cancel();
    }
}

struct Ended {
    room: Arc<Semaphore>,
    _guard: Arc<Option<StreamGuard>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.room.close();
    }
}

const _: () = assert!(QUEUE_BYTES > 256 * 1024 + MAX_FRAME_PREFIX, "the longest frame of any stream fits the queue");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

    use super::*;

    const LIMIT: usize = 1_000;
    const SHORT: Duration = Duration::from_millis(60);
    const IMPATIENT: Patience = Patience { frame: SHORT, write: SHORT, close: SHORT };

    /// Our side as frames, the peer's as bytes. `buffer`: what the path holds.
    fn pair(buffer: usize) -> (FrameReader, FrameWriter, Compat<tokio::io::DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(buffer);
        let (reader, writer) = split(ours.compat(), LIMIT, None, IMPATIENT);
        (reader, writer, theirs.compat())
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_the_bytes_come() {
        let (mut reader, _writer, mut peer) = pair(64);
        let sender = tokio::spawn(async move {
            for frame in [vec![1; 999], vec![], vec![2; 3]] {
                for byte in encode_frame(&frame) {
                    peer.write_all(&[byte]).await.unwrap();
                }
            }
            peer.close().await.unwrap();
        });
        assert_eq!(reader.next().await.unwrap(), vec![1; 999]);
        assert_eq!(reader.next().await.unwrap(), Vec::<u8>::new());
        assert_eq!(reader.next().await.unwrap(), vec![2; 3]);
        assert_eq!(reader.next().await, Err(StreamError::Closed));
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn a_frame_begun_and_not_finished_ends_the_stream_in_time() {
        let (mut reader, writer, mut peer) = pair(64);
        peer.write_all(&[9, 1]).await.unwrap();
        let began = Instant::now();
        let slow = tokio::spawn(async move {
            // Further bytes do not put it off.
            for _ in 0..7 {
                tokio::time::sleep(SHORT / 4).await;
                let _ = peer.write_all(&[1]).await;
            }
        });
        assert_eq!(reader.next().await, Err(StreamError::Stalled));
        assert!(began.elapsed() >= SHORT);
        assert_eq!(writer.send(b"late"), Err(SendError::Closed));
        slow.abort();
    }

    #[tokio::test]
    async fn an_idle_stream_stays_open() {
        let (mut reader, _writer, mut peer) = pair(64);
        assert!(tokio::time::timeout(SHORT * 3, reader.next()).await.is_err());
        peer.write_all(&encode_frame(b"hello")).await.unwrap();
        assert_eq!(reader.next().await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_ends_the_stream() {
        let (mut reader, _writer, mut peer) = pair(64);
        peer.write_all(&[0xff, 0xff, 0xff, 0x7f]).await.unwrap();
        assert!(matches!(reader.next().await, Err(StreamError::Frame(FrameError::TooLong { .. }))));
        // Both halves are gone, then so is the stream: the writer's by the error, the reader's with its owner.
        drop(reader);
        let mut rest = Vec::new();
        assert!(matches!(peer.read_to_end(&mut rest).await, Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn a_limit_holds_until_another_is_set() {
        let (mut reader, _writer, mut peer) = pair(4_096);
        reader.set_limit(256);
        // All of it is there before the first frame is read.
        peer.write_all(&[encode_frame(&[1; 256]), encode_frame(&[2; 900])].concat()).await.unwrap();
        assert_eq!(reader.next().await.unwrap(), vec![1; 256]);
        reader.set_limit(LIMIT);
        assert_eq!(reader.next().await.unwrap(), vec![2; 900]);
        reader.set_limit(256);
        // The length alone is enough: nothing of the frame is waited for.
        peer.write_all(&encode_frame(&[3; 257])[..2]).await.unwrap();
        assert!(matches!(reader.next().await, Err(StreamError::Frame(FrameError::TooLong { announced: 257, limit: 256 }))));
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_a_frame_is_truncated() {
        let (mut reader, _writer, mut peer) = pair(64);
        peer.write_all(&[9, 1, 2]).await.unwrap();
        peer.close().await.unwrap();
        assert_eq!(reader.next().await, Err(StreamError::Truncated));
    }

    #[tokio::test]
    async fn a_full_queue_is_told_or_ends_the_stream() {
        let (mut reader, writer, _peer) = pair(64);
        while writer.try_send(&[0; 100]).is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(writer.try_send(&[0; 100]), Err(SendError::Full));
        assert!(!writer.is_closed());
        assert_eq!(writer.send(&[0; 100]), Err(SendError::TooSlow));
        assert!(writer.is_closed());
        assert_eq!(reader.next().await, Err(StreamError::Aborted));
    }

    #[tokio::test]
    async fn a_peer_that_stops_reading_ends_the_stream() {
        let (mut reader, writer, _peer) = pair(64);
        let feeding = tokio::spawn(async move { while writer.feed(&[0; 900]).await.is_ok() {} });
        assert_eq!(reader.next().await, Err(StreamError::Aborted));
        feeding.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_queued_is_written_before_the_close() {
        let (_reader, writer, mut peer) = pair(16);
        for n in 0..50 {
            writer.send(&[n; 20]).unwrap();
        }
        drop(writer);
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, (0..50).flat_map(|n| encode_frame(&[n; 20])).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_frame_too_long_to_send_is_refused_and_the_stream_stands() {
        let (_reader, writer, _peer) = pair(16);
        assert_eq!(writer.send(&[0; LIMIT + 1]), Err(SendError::TooLong { bytes: LIMIT + 1, limit: LIMIT }));
        assert!(!writer.is_closed());
    }
}
