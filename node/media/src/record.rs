//! Writes what is received to a folder as it came, without decoding it: Ogg Opus for each voice, IVF for each picture, on a thread of
//! its own. It never slows down the call: what the disk cannot take in time is left out.
//!
//! Every file begins at the moment the recording began and its gaps are kept, so that all files of a folder can be laid side by side.
//! A file is whole up to its last second even where the program is killed.

pub mod ivf;
pub mod ogg;
mod track;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use self::track::{AudioWriter, VideoWriter};
use crate::audio::EncodedAudio;
use crate::clock;
use crate::codec::{EncodedFrame, VideoCodec};
use crate::error::MediaError;

/// Packets and frames that wait for the disk. When it is full, newer ones are left out.
const QUEUE: usize = 1024;
/// Bytes that wait for the disk, likewise.
const QUEUE_BYTES: usize = 32 << 20;
/// Tracks of one recording: eight people with a voice, a camera and a screen, coming back several times.
const MAX_TRACKS: u32 = 256;
/// What has been heard for this long is on the disk.
const FLUSH: Duration = Duration::from_secs(1);

/// Records until it is dropped, which waits for the disk.
pub struct Recorder {
    queue: Queue,
    tracks: AtomicU32,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({} tracks)", self.tracks.load(Ordering::Relaxed))
    }
}

#[derive(Clone)]
struct Queue {
    messages: SyncSender<Message>,
    bytes: Arc<AtomicUsize>,
}

enum Message {
    Audio { track: u32, arrived: Duration, packet: EncodedAudio },
    Video { track: u32, arrived: Duration, frame: EncodedFrame },
    Open { track: u32, writer: Writer },
    Close { track: u32 },
    Stop,
}

enum Writer {
    Audio(AudioWriter),
    Video(VideoWriter),
}

impl Recorder {
    /// Starts to record into this folder, which is made if need be. `on_error` is told, once and on the recorder's thread, that the
    /// disk is full or gone.
    ///
    /// # Errors
    /// The folder cannot be made, or no thread.
    pub fn start(folder: &Path, on_error: impl FnMut(MediaError) + Send + 'static) -> Result<Self, MediaError> {
        std::fs::create_dir_all(folder).map_err(|error| MediaError::unavailable(folder.display().to_string(), error))?;
        let (messages, receiver) = sync_channel(QUEUE);
        let bytes = Arc::new(AtomicUsize::new(0));
        let disk = Disk {
            folder: folder.to_owned(),
            started: clock::now(),
            bytes: Arc::clone(&bytes),
            writers: Vec::new(),
            told: false,
            on_error,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || disk.run(&receiver))
            .map_err(|error| MediaError::Thread { what: "recording", reason: error.to_string() })?;
        Ok(Self { queue: Queue { messages, bytes }, tracks: AtomicU32::new(0), thread: Some(thread) })
    }

    /// A voice, written to `NAME.ogg` from its first packet on. A file of that name is not overwritten: `NAME-2.ogg` is next.
    ///
    /// # Errors
    /// A name that is more than a file name, or too many tracks.
    pub fn audio(&self, name: &str) -> Result<AudioTrack, MediaError> {
        let track = self.new_track(name)?;
        self.queue.open(track, Writer::Audio(AudioWriter::new(track, name)));
        Ok(AudioTrack { track, queue: self.queue.clone() })
    }

    /// Pictures, written to `NAME.ivf` from their first keyframe on. As [`Recorder::audio`].
    ///
    /// # Errors
    /// As [`Recorder::audio`].
    pub fn video(&self, name: &str, codec: VideoCodec) -> Result<VideoTrack, MediaError> {
        let track = self.new_track(name)?;
        self.queue.open(track, Writer::Video(VideoWriter::new(name, codec)));
        Ok(VideoTrack { track, codec, queue: self.queue.clone(), wants_keyframe: AtomicBool::new(true) })
    }

    fn new_track(&self, name: &str) -> Result<u32, MediaError> {
        let bad = name.is_empty() || name.len() > 200 || name.starts_with('.') || name.contains(['/', '\\', '\0', ':']);
        if bad {
            return Err(MediaError::BadSpec { spec: name.chars().take(80).collect(), reason: "expected a plain file name" });
        }
        let track = self.tracks.fetch_add(1, Ordering::Relaxed);
        if track >= MAX_TRACKS {
            return Err(MediaError::unavailable("the recorder", format!("it records {MAX_TRACKS} tracks already")));
        }
        Ok(track)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Waits while the queue is full. The thread can only be gone by a panic, which is reported below.
        let _ = self.queue.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder's thread panicked");
        }
    }
}

impl Queue {
    /// Waits while the queue is full, as tracks are few.
    fn open(&self, track: u32, writer: Writer) {
        let _ = self.messages.send(Message::Open { track, writer });
    }

    fn offer(&self, message: Message) -> bool {
        let length = message.bytes();
        if self.bytes.fetch_add(length, Ordering::Relaxed) + length <= QUEUE_BYTES {
            match self.messages.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        self.bytes.fetch_sub(length, Ordering::Relaxed);
        false
    }
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Audio { packet, .. } => packet.data.len(),
            Self::Video { frame, .. } => frame.data.len(),
            Self::Open { .. } | Self::Close { .. } | Self::Stop => 0,
        }
    }
}

/// One voice of a recording. Dropping it closes its file.
pub struct AudioTrack {
    track: u32,
    queue: Queue,
}

impl std::fmt::Debug for AudioTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AudioTrack({})", self.track)
    }
}

impl AudioTrack {
    /// Takes a packet as it arrives; packets that overtook each other by up to 200 ms are put in order. Never blocks.
    pub fn push(&self, packet: EncodedAudio) {
        if !self.queue.offer(Message::Audio { track: self.track, arrived: clock::now(), packet }) {
            tracing::debug!(track = self.track, "the disk is too slow for a voice");
        }
    }
}

impl Drop for AudioTrack {
    fn drop(&mut self) {
        self.queue.offer(Message::Close { track: self.track });
    }
}

/// One stream of pictures of a recording. Dropping it closes its file.
pub struct VideoTrack {
    track: u32,
    codec: VideoCodec,
    queue: Queue,
    wants_keyframe: AtomicBool,
}

impl std::fmt::Debug for VideoTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VideoTrack({}, {:?})", self.track, self.codec)
    }
}

impl VideoTrack {
    /// Takes a whole frame, in decoding order. Never blocks.
    pub fn push(&self, frame: EncodedFrame) {
        if frame.codec != self.codec || (self.wants_keyframe() && !frame.keyframe) {
            return;
        }
        let taken = self.queue.offer(Message::Video { track: self.track, arrived: clock::now(), frame });
        self.wants_keyframe.store(!taken, Ordering::Relaxed);
    }

    /// Nothing can be recorded before the next keyframe: at the beginning, and after the disk was too slow.
    pub fn wants_keyframe(&self) -> bool {
        self.wants_keyframe.load(Ordering::Relaxed)
    }
}

impl Drop for VideoTrack {
    fn drop(&mut self) {
        self.queue.offer(Message::Close { track: self.track });
    }
}

struct Disk<E> {
    folder: PathBuf,
    /// The zero of every file, on the media clock.
    started: Duration,
    bytes: Arc<AtomicUsize>,
    writers: Vec<(u32, Writer)>,
    told: bool,
    on_error: E,
}

impl<E: FnMut(MediaError)> Disk<E> {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut flushed = clock::now();
        loop {
            let message = match messages.recv_timeout(FLUSH) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
            };
            if let Some(message) = message {
                self.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
                self.handle(message);
            }
            if clock::now().saturating_sub(flushed) >= FLUSH {
                flushed = clock::now();
                self.each(|writer| match writer {
                    Writer::Audio(writer) => writer.flush(),
                    Writer::Video(writer) => writer.flush(),
                });
            }
        }
        self.each(finish);
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Open { track, writer } => self.writers.push((track, writer)),
            Message::Close { track } => self.only(track, finish, true),
            Message::Audio { track, arrived, packet } => {
                let (folder, heard) = (self.folder.clone(), arrived.saturating_sub(self.started));
                self.only(
                    track,
                    |writer| match writer {
                        Writer::Audio(writer) => writer.push(&folder, heard, packet),
                        Writer::Video(_) => Ok(()),
                    },
                    false,
                );
            }
            Message::Video { track, arrived, frame } => {
                let (folder, seen) = (self.folder.clone(), arrived.saturating_sub(self.started));
                self.only(
                    track,
                    |writer| match writer {
                        Writer::Video(writer) => writer.push(&folder, seen, &frame),
                        Writer::Audio(_) => Ok(()),
                    },
                    false,
                );
            }
            Message::Stop => {}
        }
    }

    /// Does something with one track; closes it afterwards if asked, or if the disk refuses.
    fn only(&mut self, track: u32, act: impl FnOnce(&mut Writer) -> Result<(), MediaError>, close: bool) {
        let Some(at) = self.writers.iter().position(|(other, _)| *other == track) else { return };
        let result = self.writers.get_mut(at).map_or(Ok(()), |(_, writer)| act(writer));
        if result.is_err() || close {
            self.writers.swap_remove(at);
        }
        self.tell(result);
    }

    fn each(&mut self, act: impl Fn(&mut Writer) -> Result<(), MediaError>) {
        let results: Vec<_> = self.writers.iter_mut().map(|(track, writer)| (*track, act(writer))).collect();
        for (track, result) in results {
            if result.is_err() {
                self.writers.retain(|(other, _)| *other != track);
            }
            self.tell(result);
        }
    }

    fn tell(&mut self, result: Result<(), MediaError>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.told, true)
        {
            (self.on_error)(error);
        }
    }
}

fn finish(writer: &mut Writer) -> Result<(), MediaError> {
    match writer {
        Writer::Audio(writer) => writer.finish(),
        Writer::Video(writer) => writer.finish(),
    }
}

#[cfg(test)]
mod tests;
