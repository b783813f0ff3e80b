//! From a source to coded frames: a capture thread and an encode thread with a handover of one picture between them, the newest. A
//! picture that comes while the encoder is busy replaces the one that waits, so that nothing late is ever encoded.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::capture::{Capture, Limits};
use super::{join, spawn};
use crate::clock;
use crate::codec::{self, EncodedFrame, EncoderSettings, VideoCodec, VideoContent, VideoEncoder};
use crate::error::MediaError;
use crate::picture::{Picture, PictureSlot};
use crate::source::VideoSource;

/// How long a wanted keyframe waits for a new picture before the last one is coded again: a still screen gives few.
const KEYFRAME_PATIENCE: Duration = Duration::from_millis(50);
/// Between two pictures, where their times say something else: a keyframe of a still screen has no time of its own.
const LEAST_INTERVAL: Duration = Duration::from_millis(33);
const MOST_INTERVAL: Duration = Duration::from_millis(200);

/// How a stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSettings {
    pub codec: VideoCodec,
    pub content: VideoContent,
    /// Target in bits per second.
    pub bitrate_bps: u32,
    /// At most so many pictures a second.
    pub fps: u32,
    /// A larger picture is scaled down, in pixels.
    pub max_width: u32,
    pub max_height: u32,
}

impl VideoSettings {
    /// A camera: H.264, 720p at 30 pictures a second, 1.5 Mb/s.
    pub fn camera() -> Self {
        Self {
            codec: VideoCodec::H264,
            content: VideoContent::Camera,
            bitrate_bps: 1_500_000,
            fps: 30,
            max_width: 1280,
            max_height: 720,
        }
    }

    /// A screen: VP9, 1080p at 15 pictures a second, 2 Mb/s.
    pub fn screen() -> Self {
        Self {
            codec: VideoCodec::Vp9,
            content: VideoContent::Screen,
            bitrate_bps: 2_000_000,
            fps: 15,
            max_width: 1920,
            max_height: 1080,
        }
    }
}

impl VideoSettings {
    /// A film in a shared screen: VP9 as for a camera, 720p at 30 pictures a second, 2 Mb/s.
    pub fn film() -> Self {
        Self { content: VideoContent::Camera, fps: 30, max_width: 1280, max_height: 720, ..Self::screen() }
    }
}

/// A stream that is captured and coded. Dropping it stops both threads, which takes as long as one wait of the source and one
/// picture of the encoder: well below 300 ms. The preview is then empty.
pub struct VideoSender {
    capture: Option<Capture>,
    handover: Arc<Handover>,
    encode: Option<JoinHandle<()>>,
    preview: Arc<PictureSlot>,
    load: Arc<AtomicU32>,
}

#[derive(Default)]
struct Handover {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Not yet coded.
    newest: Option<Picture>,
    /// Coded last, from a source that is still there.
    last: Option<Picture>,
    keyframe: bool,
    bitrate_bps: Option<u32>,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits for something to code; `None` when the sender stops.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(picture) = state.newest.take() {
                state.last = Some(picture.clone());
                return Some(Job::of(&mut state, picture));
            }
            if !(state.keyframe && state.last.is_some()) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (woken, timeout) = self.changed.wait_timeout(state, KEYFRAME_PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out()
                && state.newest.is_none()
                && let Some(mut picture) = state.last.clone()
            {
                // It is what the source shows now, too.
                picture.at = clock::now();
                return Some(Job::of(&mut state, picture));
            }
        }
    }
}

struct Job {
    picture: Picture,
    keyframe: bool,
    bitrate_bps: Option<u32>,
}

impl Job {
    fn of(state: &mut State, picture: Picture) -> Self {
        Self { picture, keyframe: std::mem::take(&mut state.keyframe), bitrate_bps: state.bitrate_bps.take() }
    }
}

type OnError = Arc<Mutex<dyn FnMut(MediaError) + Send>>;

fn report(on_error: &OnError, error: MediaError) {
    (on_error.lock().unwrap_or_else(PoisonError::into_inner))(error);
}

impl VideoSender {
    /// Begins to capture and to code. `on_frame` runs on the encode thread and must not wait; `preview` shows what is sent;
    /// `on_error` tells that the source failed (it can be replaced) or that a picture could not be coded.
    pub fn start(
        source: Box<dyn VideoSource>,
        settings: VideoSettings,
        on_frame: impl FnMut(EncodedFrame) + Send + 'static,
        preview: Arc<PictureSlot>,
        on_error: impl FnMut(MediaError) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let on_error: OnError = Arc::new(Mutex::new(on_error));
        let handover = Arc::new(Handover::default());
        let load = Arc::new(AtomicU32::new(0));
        let encode = {
            let (handover, on_error, load) = (Arc::clone(&handover), Arc::clone(&on_error), Arc::clone(&load));
            spawn("video-encode", move || encode(&handover, settings, on_frame, &on_error, &load))?
        };
        // From here on, dropping the half-made sender stops what runs.
        let mut sender = Self { capture: None, handover, encode: Some(encode), preview, load };
        let limits = Limits { fps: settings.fps, max_width: settings.max_width, max_height: settings.max_height };
        let on_picture = {
            let (handover, preview) = (Arc::clone(&sender.handover), Arc::clone(&sender.preview));
            move |picture: Picture| {
                preview.put(picture.clone());
                handover.change(|state| state.newest = Some(picture));
            }
        };
        let on_failure = {
            let (handover, preview) = (Arc::clone(&sender.handover), Arc::clone(&sender.preview));
            move |error| {
                handover.change(|state| state.last = None);
                preview.clear();
                report(&on_error, error);
            }
        };
        sender.capture = Some(Capture::start(source, limits, on_picture, on_failure)?);
        Ok(sender)
    }

    /// The next frame is a keyframe. Whoever calls keeps it rare.
    pub fn request_keyframe(&self) {
        self.handover.change(|state| state.keyframe = true);
    }

    /// Target in bits per second, from the next picture on.
    pub fn set_bitrate(&self, bitrate_bps: u32) {
        self.handover.change(|state| state.bitrate_bps = Some(bitrate_bps));
    }

    /// At most this size and so many pictures a second from here on; none where `fps` is 0. The preview shows the same.
    pub fn set_limits(&self, max_width: u32, max_height: u32, fps: u32) {
        if let Some(capture) = &self.capture {
            capture.limit(Limits { fps, max_width, max_height });
        }
    }

    /// The part of the time between two pictures that coding one takes, of late: 1 is as much as there is.
    pub fn load(&self) -> f32 {
        f32::from_bits(self.load.load(Ordering::Relaxed))
    }

    /// Captures another source from here on; the encoder lives on, and codes a keyframe where the size is another.
    pub fn replace_source(&self, source: Box<dyn VideoSource>) {
        if let Some(capture) = &self.capture {
            capture.replace(source);
        }
    }
}

impl Drop for VideoSender {
    fn drop(&mut self) {
        if let Some(capture) = &self.capture {
            capture.stop();
        }
        self.handover.change(|state| state.stopping = true);
        join(&mut self.encode);
        self.capture = None;
        self.preview.clear();
    }
}

/// Of the newest picture, in what [`VideoSender::load`] tells: about a second's worth counts.
const LOAD_SHARE: f32 = 0.1;

fn encode(
    handover: &Handover,
    settings: VideoSettings,
    mut on_frame: impl FnMut(EncodedFrame),
    on_error: &OnError,
    load: &AtomicU32,
) {
    let mut coding = EncoderSettings { content: settings.content, bitrate_bps: settings.bitrate_bps, fps: settings.fps };
    let mut encoder: Option<Box<dyn VideoEncoder>> = None;
    let mut failing = false;
    let mut last_taken = Duration::ZERO;
    while let Some(job) = handover.next() {
        if let Some(bitrate_bps) = job.bitrate_bps {
            coding.bitrate_bps = bitrate_bps;
            if let Some(encoder) = &mut encoder {
                encoder.set_bitrate(bitrate_bps);
            }
        }
        let (begun, taken) = (clock::now(), job.picture.at);
        let coded = match &mut encoder {
            Some(encoder) => encoder.encode(&job.picture, job.keyframe),
            None => {
                codec::encoder(settings.codec, coding).and_then(|made| encoder.insert(made).encode(&job.picture, job.keyframe))
            }
        };
        let ended = clock::now();
        let interval = taken.saturating_sub(std::mem::replace(&mut last_taken, taken)).clamp(LEAST_INTERVAL, MOST_INTERVAL);
        let busy = ended.saturating_sub(begun).as_secs_f32() / interval.as_secs_f32();
        let before = f32::from_bits(load.load(Ordering::Relaxed));
        load.store((before + (busy - before) * LOAD_SHARE).to_bits(), Ordering::Relaxed);
        let keyframe_missed = job.keyframe && !matches!(&coded, Ok(Some(frame)) if frame.keyframe);
        if keyframe_missed {
            handover.lock().keyframe = true;
        }
        match coded {
            Ok(frame) => {
                failing = false;
                if let Some(frame) = frame {
                    on_frame(frame);
                }
            }
            Err(error) => {
                // A new one is made for the next picture. It is said once, not thirty times a second.
                encoder = None;
                if !std::mem::replace(&mut failing, true) {
                    report(on_error, error);
                }
            }
        }
    }
}
