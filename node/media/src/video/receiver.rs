//! From coded frames of a peer to pictures: a bounded queue and a decode thread. Whatever the peer sends, memory stays bounded, and
//! after a gap or an error nothing is shown before the next keyframe.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{join, spawn};
use crate::codec::{self, EncodedFrame, MAX_FRAME_BYTES, VideoCodec, VideoDecoder};
use crate::error::MediaError;
use crate::picture::PictureSlot;

/// Frames that wait for the decoder. When it is full, all are dropped up to the next keyframe.
const MAX_QUEUE: usize = 16;
/// Bytes that wait for the decoder; when there are more, the same happens.
const MAX_QUEUE_BYTES: usize = 2 * MAX_FRAME_BYTES;
/// With so many waiting, a keyframe replaces what is before it.
const BACKLOG: usize = 4;
/// The least time between two wishes for a keyframe.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// How often the wish is repeated while nothing arrives.
const MAX_ASKS: u32 = 5;

/// What became of the frames.
#[derive(Debug)]
pub enum DecodeEvent {
    /// A picture is in the slot; `at` is the sender's media clock.
    Decoded { width: u32, height: u32, at: Duration },
    /// Nothing more can be decoded before a keyframe. Repeated, at most twice a second, until one comes.
    NeedKeyframe,
    /// A frame was damaged, or is not taken. A `NeedKeyframe` follows.
    Error(MediaError),
}

/// A stream that is decoded. Dropping it stops the thread and empties the slot.
pub struct VideoReceiver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    slot: Arc<PictureSlot>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    stopping: bool,
    queue: VecDeque<EncodedFrame>,
    queued_bytes: usize,
    wish: Wish,
}

/// Whether a keyframe is missing, and when to say so.
#[derive(Default)]
struct Wish {
    /// Frames that need another before them are dropped.
    missing: bool,
    /// Wishes left before something must arrive again.
    asks_left: u32,
    asked: Option<Instant>,
}

impl Wish {
    fn keyframe_is_missing(&mut self) {
        self.missing = true;
        self.asks_left = MAX_ASKS;
    }

    /// When the next wish is due, if one is.
    fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.asked.map_or(now, |asked| asked + ASK_INTERVAL);
        (self.missing && self.asks_left > 0).then_some(due)
    }
}

impl State {
    fn push(&mut self, frame: EncodedFrame) {
        let full = self.queue.len() >= MAX_QUEUE || self.queued_bytes + frame.data.len() > MAX_QUEUE_BYTES;
        if full || (frame.keyframe && self.queue.len() >= BACKLOG) {
            self.queue.clear();
            self.queued_bytes = 0;
        }
        if full && !frame.keyframe {
            self.wish.keyframe_is_missing();
        }
        if self.wish.missing && !frame.keyframe {
            self.wish.asks_left = MAX_ASKS;
            return;
        }
        self.wish.missing = false;
        self.queued_bytes += frame.data.len();
        self.queue.push_back(frame);
    }
}

enum Next {
    Frame(EncodedFrame),
    Ask,
    Stop,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Next {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Next::Stop;
            }
            if let Some(frame) = state.queue.pop_front() {
                state.queued_bytes -= frame.data.len();
                return Next::Frame(frame);
            }
            let now = Instant::now();
            state = match state.wish.due(now) {
                Some(due) if due <= now => {
                    state.wish.asked = Some(now);
                    state.wish.asks_left -= 1;
                    return Next::Ask;
                }
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What waits needs what failed.
    fn fail(&self) {
        let mut state = self.lock();
        while state.queue.front().is_some_and(|frame| !frame.keyframe) {
            if let Some(frame) = state.queue.pop_front() {
                state.queued_bytes -= frame.data.len();
            }
        }
        if state.queue.is_empty() {
            state.wish.keyframe_is_missing();
        }
    }
}

impl VideoReceiver {
    /// Decodes `codec` until a keyframe of another codec comes. `on_event` runs on the decode thread and must not wait.
    pub fn start(
        codec: VideoCodec,
        slot: Arc<PictureSlot>,
        on_event: impl Fn(DecodeEvent) + Send + Sync + 'static,
    ) -> Result<Self, MediaError> {
        let wish = Wish { missing: true, ..Wish::default() };
        let state = State { stopping: false, queue: VecDeque::new(), queued_bytes: 0, wish };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let decoder = codec::decoder(codec)?;
        let thread = {
            let (shared, slot) = (Arc::clone(&shared), Arc::clone(&slot));
            spawn("video-decode", move || run(&shared, (codec, decoder), &slot, on_event))?
        };
        Ok(Self { shared, thread: Some(thread), slot })
    }

    /// Takes the next frame of the stream, in order. It never waits; a frame that finds no room is dropped with all up to the next
    /// keyframe.
    pub fn push(&self, frame: EncodedFrame) {
        self.shared.lock().push(frame);
        self.shared.changed.notify_all();
    }

    /// A frame is missing here and will not come: what follows is dropped up to the next keyframe, which is wished for.
    pub fn frame_lost(&self) {
        self.shared.lock().wish.keyframe_is_missing();
        self.shared.changed.notify_all();
    }
}

impl Drop for VideoReceiver {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        join(&mut self.thread);
        self.slot.clear();
    }
}

fn run(
    shared: &Shared,
    (mut codec, mut decoder): (VideoCodec, Box<dyn VideoDecoder>),
    slot: &PictureSlot,
    on_event: impl Fn(DecodeEvent),
) {
    loop {
        let frame = match shared.next() {
            Next::Frame(frame) => frame,
            Next::Ask => {
                on_event(DecodeEvent::NeedKeyframe);
                continue;
            }
            Next::Stop => return,
        };
        if frame.codec != codec {
            match codec::decoder(frame.codec) {
                Ok(made) => (codec, decoder) = (frame.codec, made),
                Err(error) => {
                    shared.fail();
                    on_event(DecodeEvent::Error(error));
                    continue;
                }
            }
        }
        match decoder.decode(&frame.data, frame.at) {
            Ok(Some(picture)) => {
                let event = DecodeEvent::Decoded { width: picture.width(), height: picture.height(), at: picture.at };
                slot.put(picture);
                on_event(event);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "frame not decoded");
                shared.fail();
                on_event(DecodeEvent::Error(error));
            }
        }
    }
}
