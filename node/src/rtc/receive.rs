//! What arrives from one peer, from RTP packets to pictures and sound. Everything in it is bounded whatever the peer sends, and a
//! frame that cannot be shown whole is never shown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use conclave_media::audio::{AudioFeed, FeedItem};
use conclave_media::clock;
use conclave_media::codec::{EncodedFrame, VideoCodec};
use conclave_media::picture::PictureSlot;
use conclave_media::video::{DecodeEvent, VideoReceiver};
use conclave_protocol::id::DeviceId;
use conclave_protocol::media::frame_cipher::Meta;
use conclave_protocol::media::jitter::{AudioPacket, JitterBuffer, JitterStats, Pull};
use conclave_protocol::media::packetizer::{Depacketizer, DepacketizerOutput, Frame, parse_audio_payload};
use conclave_protocol::media::speaker::ActiveSpeaker;
use tokio::sync::{Notify, watch};

use super::keys::MediaKeys;
use super::recording::Recording;
use super::transport::{IncomingRtp, Track, Transport};
use crate::view::StreamKind;

/// The codec field of the payload header.
pub(crate) const CODEC_H264: u8 = 0;
pub(crate) const CODEC_VP9: u8 = 1;
/// A camera that is on sends pictures all the time; after this it is gone, whatever presence says. So is what was told to be off, if
/// something late has begun it again. A still screen may say nothing.
const SILENT_GONE: Duration = Duration::from_secs(5);

pub(crate) fn codec_field(codec: VideoCodec) -> u8 {
    match codec {
        VideoCodec::H264 => CODEC_H264,
        VideoCodec::Vp9 => CODEC_VP9,
    }
}

/// The stream as a sealed frame is bound to it.
pub(crate) fn stream_field(kind: StreamKind) -> u8 {
    match kind {
        StreamKind::Camera => 0,
        StreamKind::Screen => 1,
    }
}

fn codec_of(field: u8) -> Option<VideoCodec> {
    match field {
        CODEC_H264 => Some(VideoCodec::H264),
        CODEC_VP9 => Some(VideoCodec::Vp9),
        _ => None,
    }
}

/// RTP timestamps without their wrap, as a duration since an arbitrary moment.
#[derive(Debug, Default)]
struct MediaTime {
    newest: Option<u64>,
}

impl MediaTime {
    fn extend(&mut self, timestamp: u32, clock_rate: u32) -> Duration {
        let extended = match self.newest {
            None => u64::from(timestamp),
            Some(newest) => newest.saturating_add_signed(i64::from(timestamp.wrapping_sub(newest as u32).cast_signed())),
        };
        self.newest = Some(self.newest.map_or(extended, |newest| newest.max(extended)));
        Duration::from_micros(extended.saturating_mul(1_000_000) / u64::from(clock_rate.max(1)))
    }
}

/// What the decode thread has to tell; read by the peer's task.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Pictures of this stream since the call began.
    pub(crate) pictures: AtomicU64,
    /// Microseconds on the media clock; 0 = none yet.
    first_us: AtomicU64,
    /// Of the run that is on; 0 = none.
    last_us: AtomicU64,
    frozen_us: AtomicU64,
    wants_keyframe: Notify,
}

impl Progress {
    fn handle(&self, event: DecodeEvent) {
        match event {
            DecodeEvent::Decoded { .. } => {
                let now = (clock::now().as_micros() as u64).max(1);
                self.pictures.fetch_add(1, Relaxed);
                let _ = self.first_us.compare_exchange(0, now, Relaxed, Relaxed);
                let last = self.last_us.swap(now, Relaxed);
                if last != 0 {
                    let gap = now.saturating_sub(last);
                    self.frozen_us.fetch_max(gap, Relaxed);
                    if gap > 200_000 {
                        tracing::debug!(gap_ms = gap / 1000, "pictures stood still");
                    }
                }
            }
            DecodeEvent::NeedKeyframe => self.wants_keyframe.notify_one(),
            DecodeEvent::Error(error) => tracing::debug!(%error, "a peer's frame was not decoded"),
        }
    }

    /// When the first picture was there.
    pub(crate) fn first(&self) -> Option<Duration> {
        let first = self.first_us.load(Relaxed);
        (first != 0).then(|| Duration::from_micros(first))
    }

    /// The longest time between two pictures of a run.
    pub(crate) fn frozen(&self) -> Duration {
        Duration::from_micros(self.frozen_us.load(Relaxed))
    }

    /// Being off is not being frozen.
    fn end_run(&self) {
        self.last_us.store(0, Relaxed);
    }
}

/// One video stream of a peer. It outlives connections.
pub(crate) struct VideoStream {
    from: DeviceId,
    keys: MediaKeys,
    kind: StreamKind,
    track: Track,
    slot: Arc<PictureSlot>,
    depacketizer: Depacketizer,
    time: MediaTime,
    receiver: Option<VideoReceiver>,
    progress: Arc<Progress>,
    recording: Recording,
    /// When the last frame came.
    heard: Duration,
}

impl VideoStream {
    pub(crate) fn new(from: DeviceId, keys: MediaKeys, kind: StreamKind, slot: Arc<PictureSlot>, recording: Recording) -> Self {
        let track = match kind {
            StreamKind::Camera => Track::Camera,
            StreamKind::Screen => Track::Screen,
        };
        Self {
            from,
            keys,
            kind,
            track,
            slot,
            depacketizer: Depacketizer::new(),
            time: MediaTime::default(),
            receiver: None,
            progress: Arc::default(),
            recording,
            heard: Duration::ZERO,
        }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Gives whether the peer should be asked for a keyframe.
    fn handle(&mut self, packet: &IncomingRtp, now: Duration) -> bool {
        self.depacketizer.handle_packet(packet.sequence, packet.timestamp, &packet.payload, now);
        self.poll(now)
    }

    fn poll(&mut self, now: Duration) -> bool {
        let mut ask = false;
        while let Some(output) = self.depacketizer.poll(now) {
            match output {
                DepacketizerOutput::Frame(frame) => self.take(frame, now),
                DepacketizerOutput::RequestKeyframe => ask = true,
            }
        }
        ask
    }

    fn take(&mut self, frame: Frame, now: Duration) {
        let Some(codec) = codec_of(frame.codec) else {
            tracing::debug!(codec = frame.codec, "a codec of a newer version is not shown");
            return;
        };
        let meta = Meta::Video { stream: stream_field(self.kind), codec: frame.codec, keyframe: frame.keyframe };
        let data = match self.keys.open(&self.from, &frame.data, meta) {
            Ok(data) => data,
            Err(error) => {
                tracing::debug!(%error, from = %self.from, "a frame was not opened");
                // What follows builds on it.
                return self.depacketizer.handle_decode_failure();
            }
        };
        self.heard = now;
        let at = self.time.extend(frame.timestamp, self.track.clock_rate());
        let frame = EncodedFrame { data: Bytes::from(data), codec, keyframe: frame.keyframe, at };
        self.recording.video(self.kind, &frame);
        if self.receiver.is_none() {
            let progress = Arc::clone(&self.progress);
            match VideoReceiver::start(codec, Arc::clone(&self.slot), move |event| progress.handle(event)) {
                Ok(receiver) => self.receiver = Some(receiver),
                Err(error) => tracing::warn!(%error, "a peer's video cannot be decoded here"),
            }
        }
        if let Some(receiver) = &self.receiver {
            receiver.push(frame);
        }
    }

    /// Ends the run; gives the decoder, whose thread is to be joined where waiting is allowed. Only a stream that was switched off is
    /// excused from having shown nothing: after an outage the whole of it counts as frozen.
    fn end(&mut self, switched_off: bool) -> Option<VideoReceiver> {
        if switched_off {
            self.progress.end_run();
        }
        self.receiver.take()
    }

    fn is_gone(&self, on: bool, now: Duration) -> bool {
        (self.kind == StreamKind::Camera || !on) && now > self.heard + SILENT_GONE
    }
}

/// Joins a decode thread off the runtime.
pub(crate) async fn join(receiver: Option<VideoReceiver>) {
    if let Some(receiver) = receiver
        && tokio::task::spawn_blocking(move || drop(receiver)).await.is_err()
    {
        tracing::error!("a decoder did not end well");
    }
}

/// Ends a stream for good.
pub(crate) async fn close(stream: &tokio::sync::Mutex<VideoStream>) {
    let receiver = stream.lock().await.end(true);
    join(receiver).await;
}

/// Drains one video track until the transport closes. `on` is what the peer says of itself; `gone` is called when a run has ended.
pub(crate) async fn run_video(
    transport: Arc<dyn Transport>,
    stream: Arc<tokio::sync::Mutex<VideoStream>>,
    mut on: watch::Receiver<bool>,
    gone: impl Fn(StreamKind) + Send,
) {
    let mut stream = stream.lock().await;
    let (progress, track) = (stream.progress(), stream.track);
    // Another connection numbers its packets anew.
    stream.depacketizer = Depacketizer::new();
    stream.time = MediaTime::default();
    on.mark_unchanged();
    loop {
        let now = clock::now();
        // While frames flow there is always a next packet; the second is for a stream that has ended.
        let wait = stream.depacketizer.poll_timeout().map_or(Duration::from_secs(1), |at| at.saturating_sub(now));
        let (mut ask, mut told_off) = (false, false);
        tokio::select! {
            packet = transport.receive(track) => match packet {
                Some(packet) => ask = stream.handle(&packet, clock::now()),
                None => return,
            },
            () = progress.wants_keyframe.notified() => ask = true,
            () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => ask = stream.poll(clock::now()),
            changed = on.changed() => {
                if changed.is_err() {
                    return;
                }
                told_off = !*on.borrow_and_update();
            }
        }
        if ask {
            tracing::debug!(track = track.name(), stats = ?stream.depacketizer.stats(), "a keyframe is asked for");
            transport.request_keyframe(track).await;
        }
        if stream.receiver.is_some() && (told_off || stream.is_gone(*on.borrow(), clock::now())) {
            let switched_off = !*on.borrow();
            let ended = stream.end(switched_off);
            join(ended).await;
            gone(stream.kind);
        }
    }
}

/// The jitter buffer of a voice, between the task that receives and the thread that plays.
#[derive(Clone, Default)]
pub(crate) struct Voice(Arc<Mutex<JitterBuffer>>);

impl Voice {
    fn lock(&self) -> MutexGuard<'_, JitterBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> JitterStats {
        self.lock().stats()
    }
}

impl AudioFeed for Voice {
    fn pull(&mut self) -> FeedItem {
        match self.lock().pull(clock::now()) {
            Pull::Packet(packet) => FeedItem::Packet(packet.into()),
            Pull::Fec(packet) => FeedItem::Fec(packet.into()),
            Pull::Lost => FeedItem::Lost,
            Pull::Idle => FeedItem::Idle,
        }
    }
}

/// Drains the audio track until the transport closes.
pub(crate) async fn run_audio(
    from: DeviceId,
    keys: MediaKeys,
    transport: Arc<dyn Transport>,
    voice: Voice,
    speaker: Arc<Mutex<ActiveSpeaker>>,
    recording: Recording,
) {
    let mut time = MediaTime::default();
    while let Some(packet) = transport.receive(Track::Audio).await {
        let Some((level, sealed)) = parse_audio_payload(&packet.payload) else { continue };
        let opus = match keys.open(&from, sealed, Meta::Audio { level }) {
            Ok(opus) => opus,
            Err(error) => {
                tracing::trace!(%error, %from, "a voice packet was not opened");
                continue;
            }
        };
        // Only what was sealed with it is believed.
        speaker.lock().unwrap_or_else(PoisonError::into_inner).handle_level(from, level, clock::now());
        recording.audio(level, &opus, time.extend(packet.timestamp, Track::Audio.clock_rate()));
        let packet = AudioPacket { sequence: packet.sequence, timestamp: packet.timestamp, level, payload: opus };
        voice.lock().push(packet, clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_goes_on_over_the_wrap_of_the_timestamp() {
        let mut time = MediaTime::default();
        let before = time.extend(u32::MAX - 89_999, 90_000);
        let after = time.extend(0, 90_000);
        assert_eq!(after - before, Duration::from_secs(1));
        // Reordered, then on again.
        assert_eq!(time.extend(u32::MAX - 44_999, 90_000), after - Duration::from_millis(500));
        assert_eq!(time.extend(90_000, 90_000), after + Duration::from_secs(1));
    }

    #[test]
    fn being_off_is_not_being_frozen() {
        let progress = Progress::default();
        let picture = || progress.handle(DecodeEvent::Decoded { width: 2, height: 2, at: Duration::ZERO });
        picture();
        std::thread::sleep(Duration::from_millis(30));
        progress.end_run();
        picture();
        assert!(progress.frozen() < Duration::from_millis(30));
        assert_eq!(progress.pictures.load(Relaxed), 2);
    }
}
