//! What waits to be sent to one peer, and what is left out when that peer cannot take it. It never makes another peer wait: adding
//! is immediate, and a full queue drops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::transport::{OutgoingRtp, Track};

/// Voice packets that wait: 400 ms. When it is full the oldest goes, because what is older is of no use.
const AUDIO: usize = 20;
/// Frames that wait, of both video tracks: a second of a camera. When it is full the track goes on at its next keyframe.
const FRAMES: usize = 30;
/// Bytes of frames that wait, likewise.
const FRAME_BYTES: usize = 4 << 20;
/// Between two wishes for a keyframe of a peer that could not take the last one.
const KEYFRAME_PATIENCE: Duration = Duration::from_secs(2);
/// The bucket that a peer's share of video runs through holds this much of its estimated rate, at least [`BUCKET_FLOOR`]: the encoder
/// is told of a lower estimate long before it is empty, and only who cannot be followed is left out.
const BUCKET_SECONDS: f64 = 2.0;
const BUCKET_FLOOR: f64 = 192.0 * 1024.0;
/// Over the estimate by this much, frames are left out. Less is what the estimate itself is wrong by.
const HEADROOM: f64 = 1.25;
/// Estimates below this are not believed for video: an encoder goes no lower, and what is lost then is lost on the way.
const RATE_FLOOR: f64 = 100_000.0;

/// On a path that carries less than this a frame is sent no faster than the path takes it beside the voice: a keyframe would fill the
/// queue of an uplink and push the voice out. On others it is only kept from being one burst, because whoever waits for a first picture
/// waits for it.
const NARROW: f64 = 1_000_000.0;
const NARROW_PACE: f64 = 0.95;
const WIDE_PACE: f64 = 8.0;
/// What a voice takes of a path, with its headers, in bits per second.
const VOICE: f64 = 60_000.0;
/// Headers of a video packet, from RTP down to Ethernet.
const HEADERS: usize = 70;

/// One video frame, packetised once for all peers.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) track: Track,
    pub(crate) timestamp: u32,
    pub(crate) keyframe: bool,
    pub(crate) packets: Vec<Bytes>,
}

impl Frame {
    fn len(&self) -> usize {
        self.packets.iter().map(Bytes::len).sum()
    }
}

/// What goes to the peer next.
#[derive(Debug)]
pub(crate) enum Item {
    Audio(OutgoingRtp),
    Video(Arc<Frame>),
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) audio: u64,
    pub(crate) frames: u64,
}

/// The rule of the queue, without the waiting.
#[derive(Debug, Default)]
struct Backlog {
    /// The connection stands and its certificate is the signed one. Nothing is kept before.
    open: bool,
    audio: VecDeque<OutgoingRtp>,
    video: VecDeque<Arc<Frame>>,
    video_bytes: usize,
    /// By [`Track::index`]: nothing of the track is of use before a keyframe.
    starved: [bool; 3],
    asked: Option<Duration>,
    /// Bytes that video may still send, which may be below zero by one frame.
    tokens: f64,
    refilled: Duration,
    /// Estimate of the path, in bits per second.
    rate_bps: f64,
    dropped: Dropped,
}

impl Backlog {
    fn open(&mut self, now: Duration) {
        *self = Self {
            open: true,
            starved: [true; 3],
            rate_bps: self.rate_bps,
            dropped: self.dropped,
            refilled: now,
            ..Self::default()
        };
        self.tokens = self.capacity();
    }

    fn close(&mut self) {
        *self = Self { rate_bps: self.rate_bps, dropped: self.dropped, ..Self::default() };
    }

    fn rate(&self) -> f64 {
        self.rate_bps.max(RATE_FLOOR)
    }

    fn capacity(&self) -> f64 {
        (self.rate() * HEADROOM * BUCKET_SECONDS / 8.0).max(BUCKET_FLOOR)
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + elapsed * self.rate() * HEADROOM / 8.0).min(self.capacity());
    }

    fn add_audio(&mut self, packet: OutgoingRtp) {
        if !self.open {
            return;
        }
        if self.audio.len() >= AUDIO {
            self.audio.pop_front();
            self.dropped.audio += 1;
        }
        self.audio.push_back(packet);
    }

    /// Whether a keyframe should be asked for, because this peer could take it and has nothing to show.
    fn add_frame(&mut self, frame: Arc<Frame>, now: Duration) -> bool {
        if !self.open {
            return false;
        }
        self.refill(now);
        let len = frame.len();
        let full = self.video.len() >= FRAMES || self.video_bytes + len > FRAME_BYTES;
        let index = frame.track.index();
        if full || self.tokens <= 0.0 {
            if full {
                self.forget(frame.track);
            }
            self.starve(index);
            self.dropped.frames += 1;
            return false;
        }
        if self.starved.get(index) == Some(&true) {
            if !frame.keyframe {
                self.dropped.frames += 1;
                let may_ask =
                    self.asked.is_none_or(|asked| now >= asked + KEYFRAME_PATIENCE) && self.tokens >= self.capacity() / 2.0;
                if may_ask {
                    self.asked = Some(now);
                }
                return may_ask;
            }
            if let Some(starved) = self.starved.get_mut(index) {
                *starved = false;
            }
        }
        self.tokens -= len as f64;
        self.video_bytes += len;
        self.video.push_back(frame);
        false
    }

    fn starve(&mut self, index: usize) {
        if let Some(starved) = self.starved.get_mut(index) {
            *starved = true;
        }
    }

    /// What waits of a track has no continuation.
    fn forget(&mut self, track: Track) {
        let before = self.video.len();
        self.video.retain(|frame| frame.track != track);
        self.dropped.frames += (before - self.video.len()) as u64;
        self.video_bytes = self.video.iter().map(|frame| frame.len()).sum();
    }

    /// Voice first.
    fn next(&mut self) -> Option<Item> {
        if let Some(packet) = self.audio.pop_front() {
            return Some(Item::Audio(packet));
        }
        let frame = self.video.pop_front()?;
        self.video_bytes = self.video_bytes.saturating_sub(frame.len());
        Some(Item::Video(frame))
    }
}

fn pace(rate_bps: f64, bytes: usize) -> Duration {
    let share = if rate_bps < NARROW { (rate_bps - VOICE).max(rate_bps / 3.0) * NARROW_PACE } else { rate_bps * WIDE_PACE };
    Duration::from_secs_f64((bytes + HEADERS) as f64 * 8.0 / share)
}

/// The queue between the encoders' threads and the peer's sending task.
#[derive(Debug, Default)]
pub(crate) struct PeerQueue {
    backlog: Mutex<Backlog>,
    ready: Notify,
}

impl PeerQueue {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on things are kept; video begins with a keyframe.
    pub(crate) fn open(&self, now: Duration) {
        self.lock().open(now);
    }

    /// Empties it; what is added is dropped.
    pub(crate) fn close(&self) {
        self.lock().close();
    }

    pub(crate) fn add_audio(&self, packet: OutgoingRtp) {
        self.lock().add_audio(packet);
        self.ready.notify_one();
    }

    /// Gives whether a keyframe should be asked for.
    pub(crate) fn add_frame(&self, frame: Arc<Frame>, now: Duration) -> bool {
        let ask = self.lock().add_frame(frame, now);
        self.ready.notify_one();
        ask
    }

    /// The estimate of the path, in bits per second.
    pub(crate) fn set_rate(&self, bps: u64) {
        self.lock().rate_bps = bps as f64;
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.lock().dropped
    }

    /// A voice packet, where one waits.
    pub(crate) fn next_audio(&self) -> Option<OutgoingRtp> {
        self.lock().audio.pop_front()
    }

    /// How long a packet of video of this many bytes takes on its way, so that a large frame does not fill the path's queue at once.
    pub(crate) fn pace(&self, bytes: usize) -> Duration {
        pace(self.lock().rate(), bytes)
    }

    /// The next thing to send. Cancel safe; one task at a time.
    pub(crate) async fn next(&self) -> Item {
        loop {
            let item = self.lock().next();
            match item {
                Some(item) => return item,
                None => self.ready.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frame(track: Track, keyframe: bool, len: usize) -> Arc<Frame> {
        Arc::new(Frame { track, timestamp: 0, keyframe, packets: vec![Bytes::from(vec![0; len])] })
    }

    fn voice(timestamp: u32) -> OutgoingRtp {
        OutgoingRtp { timestamp, marker: false, payload: Bytes::from_static(b"v") }
    }

    fn opened(rate_bps: f64) -> Backlog {
        let mut backlog = Backlog { rate_bps, ..Backlog::default() };
        backlog.open(Duration::ZERO);
        backlog
    }

    #[test]
    fn nothing_is_kept_before_the_certificate_is_known() {
        let mut backlog = Backlog::default();
        backlog.add_audio(voice(1));
        backlog.add_frame(frame(Track::Camera, true, 100), Duration::ZERO);
        assert!(backlog.next().is_none());
    }

    #[test]
    fn video_begins_with_a_keyframe_and_asks_for_it() {
        let mut backlog = opened(1e6);
        assert!(backlog.add_frame(frame(Track::Camera, false, 100), Duration::ZERO), "it asks");
        assert!(!backlog.add_frame(frame(Track::Camera, false, 100), Duration::from_millis(33)), "once");
        assert!(backlog.next().is_none());
        backlog.add_frame(frame(Track::Camera, true, 100), Duration::from_millis(66));
        backlog.add_frame(frame(Track::Camera, false, 100), Duration::from_millis(99));
        assert!(matches!(backlog.next().unwrap(), Item::Video(frame) if frame.keyframe));
        assert!(matches!(backlog.next().unwrap(), Item::Video(frame) if !frame.keyframe));
    }

    #[test]
    fn a_peer_that_takes_nothing_keeps_the_newest_voice_and_bounded_video() {
        let mut backlog = opened(1e9);
        for i in 0..1_000u32 {
            let now = Duration::from_millis(u64::from(i) * 20);
            backlog.add_audio(voice(i));
            backlog.add_frame(frame(Track::Camera, i % 50 == 0, 5_000), now);
        }
        assert_eq!(backlog.audio.len(), AUDIO);
        assert_eq!(backlog.audio.back().unwrap().timestamp, 999);
        assert!(backlog.video.len() <= FRAMES && backlog.video_bytes <= FRAME_BYTES);
        // What waits is still decodable from its beginning.
        assert!(backlog.video.front().is_none_or(|frame| frame.keyframe));
    }

    #[test]
    fn a_keyframe_on_a_narrow_path_leaves_room_for_the_voice() {
        for rate in [150_000.0, 300_000.0, 500_000.0, 900_000.0] {
            // 40 packets of a keyframe, and the voice that is said meanwhile, take no more than the path has.
            let lasts: Duration = (0..40).map(|_| pace(rate, 1_130)).sum();
            let sent = 40.0 * 1_200.0 * 8.0 + lasts.as_secs_f64() * 50_000.0;
            assert!(sent <= rate * lasts.as_secs_f64(), "{sent} b in {lasts:?} at {rate} b/s");
        }
        // Whoever waits for a first picture on a good path has it at once.
        assert!((0..40).map(|_| pace(2e6, 1_130)).sum::<Duration>() < Duration::from_millis(50));
    }

    #[test]
    fn voice_goes_before_video() {
        let mut backlog = opened(1e6);
        backlog.add_frame(frame(Track::Screen, true, 100), Duration::ZERO);
        backlog.add_audio(voice(1));
        assert!(matches!(backlog.next().unwrap(), Item::Audio(_)));
    }

    #[test]
    fn a_path_far_below_the_encoder_gets_whole_runs_from_keyframes_at_its_own_rate() {
        // 300 kb/s path, 1.2 Mb/s encoder at 30 fps for 20 s: what is let through is about the path's rate.
        let mut backlog = opened(300_000.0);
        let (mut sent, mut broken, mut keyframe_due) = (0usize, 0, true);
        let mut last: Option<bool> = None;
        for i in 0..600u64 {
            let keyframe = std::mem::take(&mut keyframe_due);
            let len = if keyframe { 20_000 } else { 5_000 };
            let dropped = backlog.dropped.frames;
            keyframe_due = backlog.add_frame(frame(Track::Camera, keyframe, len), Duration::from_millis(i * 33));
            let taken = backlog.dropped.frames == dropped;
            if taken && !keyframe && last == Some(false) {
                broken += 1;
            }
            last = Some(taken);
            while let Some(Item::Video(frame)) = backlog.next() {
                sent += frame.len();
            }
        }
        assert_eq!(broken, 0, "a frame went out whose reference was left out");
        let bps = sent as f64 * 8.0 / 19.8;
        assert!((150_000.0..520_000.0).contains(&bps), "{bps} b/s");
    }
}
