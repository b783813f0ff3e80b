//! Where what is received is written, while somebody records. It takes frames as they came and never makes their reader wait; what
//! this device itself sends is not in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use conclave_media::audio::EncodedAudio;
use conclave_media::codec::EncodedFrame;
use conclave_media::error::MediaError;
use conclave_media::record::{AudioTrack, Recorder, VideoTrack};
use conclave_protocol::id::DeviceId;

use crate::view::StreamKind;

/// Characters of a device's id in the name of its files.
const NAME: usize = 12;

/// The recording of a call, on or off.
#[derive(Clone, Default)]
pub(crate) struct Recordings(Arc<Inner>);

#[derive(Default)]
struct Inner {
    recorder: Mutex<Option<Arc<Recorder>>>,
    /// Grows with each change, so that readers look at the lock only then.
    changes: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recordings {
    /// What is received of one device.
    pub(crate) fn of(&self, device: DeviceId) -> Recording {
        let text = device.to_string();
        let name = text.split_once(':').map_or(text.as_str(), |(_, body)| body).chars().take(NAME).collect();
        Recording { name, recordings: self.clone(), tracks: Arc::default() }
    }

    /// Begins in another directory, or ends. Waits for the disk.
    pub(crate) fn set(&self, dir: Option<PathBuf>, on_error: impl FnMut(MediaError) + Send + 'static) -> Result<(), MediaError> {
        let recorder = dir.map(|dir| Recorder::start(&dir, on_error)).transpose()?.map(Arc::new);
        let before = std::mem::replace(&mut *lock(&self.0.recorder), recorder);
        self.0.changes.fetch_add(1, Relaxed);
        // A reader that is just writing keeps it for a moment longer.
        drop(before);
        Ok(())
    }
}

/// The files of one device. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Recording {
    name: String,
    recordings: Recordings,
    tracks: Arc<Mutex<Tracks>>,
}

#[derive(Default)]
struct Tracks {
    /// The change of [`Recordings`] that they belong to.
    change: u64,
    recorder: Option<Arc<Recorder>>,
    voice: Option<AudioTrack>,
    camera: Option<(conclave_media::codec::VideoCodec, VideoTrack)>,
    screen: Option<(conclave_media::codec::VideoCodec, VideoTrack)>,
}

impl Recording {
    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        let mut tracks = lock(&self.tracks);
        let change = self.recordings.0.changes.load(Relaxed);
        if tracks.change != change {
            // Tracks are closed before their recorder, which waits for the disk when it is the last to hold it.
            *tracks = Tracks { change, ..Tracks::default() };
            tracks.recorder.clone_from(&lock(&self.recordings.0.recorder));
        }
        tracks
    }

    pub(crate) fn audio(&self, level: u8, opus: &[u8], at: Duration) {
        let mut tracks = self.tracks();
        let Some(recorder) = tracks.recorder.clone() else { return };
        if tracks.voice.is_none() {
            tracks.voice = opened(recorder.audio(&format!("{}-voice", self.name)));
        }
        if let Some(voice) = &tracks.voice {
            voice.push(EncodedAudio { data: Bytes::copy_from_slice(opus), at, level });
        }
    }

    pub(crate) fn video(&self, kind: StreamKind, frame: &EncodedFrame) {
        let mut tracks = self.tracks();
        let Some(recorder) = tracks.recorder.clone() else { return };
        let (slot, name) = match kind {
            StreamKind::Camera => (&mut tracks.camera, "camera"),
            StreamKind::Screen => (&mut tracks.screen, "screen"),
        };
        if slot.as_ref().is_none_or(|(codec, _)| *codec != frame.codec) {
            *slot = opened(recorder.video(&format!("{}-{name}", self.name), frame.codec)).map(|track| (frame.codec, track));
        }
        if let Some((_, track)) = slot {
            track.push(frame.clone());
        }
    }

    /// Closes the files of one who has left.
    pub(crate) fn end(&self) {
        *lock(&self.tracks) = Tracks { change: u64::MAX, ..Tracks::default() };
    }
}

fn opened<T>(track: Result<T, MediaError>) -> Option<T> {
    track.map_err(|error| tracing::warn!(%error, "a stream is not recorded")).ok()
}
