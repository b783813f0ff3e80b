//! What this device sends and plays: opening devices, changing them in the middle of a call, and how much the encoders may make.
//! Nothing is opened that was not named, and no lock is held while a device takes its time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use conclave_media::audio::{AudioSender, AudioSettings, AudioSource, EncodedAudio, Playout, SoundProcessing};
use conclave_media::clock;
use conclave_media::codec::EncodedFrame;
use conclave_media::device::{open_audio_sink, open_audio_source, open_screen, open_video};
use conclave_media::error::MediaError;
use conclave_media::source::VideoSource;
use conclave_media::video::{VideoSender, VideoSettings};
use conclave_protocol::id::DeviceId;
use conclave_protocol::media::frame_cipher::Meta;
use conclave_protocol::media::pacing::{Content, Ladder, Rung, Share};
use conclave_protocol::media::packetizer::{Packetizer, audio_payload};
use tokio::sync::mpsc;

use super::congestion::{self, KeyframeGate, VOICE_BPS};
use super::mesh::{Mesh, MeshEvent, Shared, lock};
use super::queue::Frame;
use super::receive::{codec_field, stream_field};
use super::transport::{OutgoingRtp, Track};
use crate::view::{MediaKind, PictureKey, StreamKind};

/// How often bitrates and overdue keyframes are looked at.
const CONTROL: Duration = Duration::from_millis(100);
/// Control rounds between two decisions on bitrates.
const BITRATE_ROUNDS: u32 = 2;
/// What this device sends and plays.
#[derive(Default)]
pub(super) struct Outlets {
    pub(super) mic: Option<AudioSender>,
    pub(super) camera: Option<Video>,
    pub(super) screen: Option<Video>,
    pub(super) playout: Option<Playout>,
    pub(super) processing: SoundProcessing,
}

pub(super) struct Video {
    pub(super) sender: VideoSender,
    pub(super) gate: KeyframeGate,
    bps: u32,
    share: Share,
    ladder: Ladder,
    rung: Rung,
}

impl Video {
    /// Makes what the path carries and the machine bears.
    fn follow(&mut self, bps: u32, least: u32) {
        let now = clock::now();
        self.ladder.handle_budget(bps, now);
        self.ladder.handle_load(self.sender.load(), now);
        let (rung, encoder_bps) = (self.ladder.rung(), bps.max(least));
        if rung != self.rung {
            tracing::debug!(height = rung.max_height, fps = rung.fps, bps, "another step of a stream");
            self.rung = rung;
            self.sender.set_limits(rung.max_width, rung.max_height, rung.fps);
        }
        if congestion::noticeable(self.bps, encoder_bps) {
            self.bps = encoder_bps;
            self.sender.set_bitrate(encoder_bps);
        }
    }
}

impl Outlets {
    pub(super) fn video(&mut self, track: Track) -> Option<&mut Video> {
        match track {
            Track::Audio => None,
            Track::Camera => self.camera.as_mut(),
            Track::Screen => self.screen.as_mut(),
        }
    }
}

impl Mesh {
    /// Chooses a microphone, where `source` is given, and opens or mutes it. While deafened it stays muted.
    ///
    /// # Errors
    /// The source cannot be used, or none was ever chosen; what was open stays as it is.
    pub async fn set_mic(&self, source: Option<&str>, on: bool) -> Result<(), MediaError> {
        let _one = self.changing.lock().await;
        if let Some(spec) = source {
            let spec = spec.to_owned();
            let opened = blocking(move || open_audio_source(&spec)).await?;
            let there = match &lock(&self.shared.outlets).mic {
                Some(mic) => {
                    mic.replace_source(opened);
                    None
                }
                None => Some(opened),
            };
            if let Some(opened) = there {
                let mic = self.start_mic(opened)?;
                lock(&self.shared.outlets).mic = Some(mic);
            }
        } else if on && lock(&self.shared.outlets).mic.is_none() {
            return Err(MediaError::BadSpec { spec: String::new(), reason: "no microphone was chosen" });
        }
        self.muted.store(!on, Relaxed);
        self.apply_mute();
        Ok(())
    }

    fn start_mic(&self, source: Box<dyn AudioSource>) -> Result<AudioSender, MediaError> {
        let (shared, events) = (Arc::downgrade(&self.shared), self.shared.events.clone());
        let on_packet = move |packet: EncodedAudio| {
            if let Some(shared) = shared.upgrade()
                && !packet.data.is_empty()
                && let Some(sealed) = shared.keys.seal(&packet.data, Meta::Audio { level: packet.level.min(127) })
            {
                let payload = Bytes::from(audio_payload(packet.level, &sealed));
                let packet = OutgoingRtp { timestamp: Track::Audio.timestamp(packet.at), marker: false, payload };
                for entry in lock(&shared.peers).values() {
                    entry.queue.add_audio(packet.clone());
                }
            }
        };
        let settings = AudioSettings { bitrate_bps: VOICE_BPS, ..AudioSettings::default() };
        let (played, processing) = {
            let outlets = lock(&self.shared.outlets);
            (outlets.playout.as_ref().map(Playout::played).unwrap_or_default(), outlets.processing)
        };
        let mic =
            AudioSender::start(source, settings, played, on_packet, move |error| fail(&events, MediaKind::Microphone, &error))?;
        mic.set_muted(true);
        mic.set_processing(processing);
        Ok(mic)
    }

    /// Mutes at once, whatever is being opened.
    pub fn mute(&self) {
        self.muted.store(true, Relaxed);
        self.apply_mute();
    }

    /// What is done to a microphone, this one and those that follow.
    pub fn set_processing(&self, processing: SoundProcessing) {
        let mut outlets = lock(&self.shared.outlets);
        outlets.processing = processing;
        if let Some(mic) = &outlets.mic {
            mic.set_processing(processing);
        }
    }

    fn apply_mute(&self) {
        if let Some(mic) = &lock(&self.shared.outlets).mic {
            mic.set_muted(self.muted.load(Relaxed) || self.deafened.load(Relaxed));
        }
    }

    /// Loudness of the own microphone over the last 300 ms, 0 to 1, muted or not.
    pub fn mic_level(&self) -> f32 {
        lock(&self.shared.outlets).mic.as_ref().map_or(0.0, AudioSender::level)
    }

    /// Sends this camera, another one from here on, or none.
    ///
    /// # Errors
    /// The source cannot be used; what was sent goes on.
    pub async fn set_camera(&self, source: Option<&str>) -> Result<(), MediaError> {
        self.set_video(Track::Camera, source, Share::of(Content::Motion)).await
    }

    /// Shares this screen, or ends the share.
    ///
    /// # Errors
    /// As [`Self::set_camera`].
    pub async fn set_screen(&self, source: Option<&str>, share: Share) -> Result<(), MediaError> {
        self.set_video(Track::Screen, source, share).await
    }

    async fn set_video(&self, track: Track, source: Option<&str>, share: Share) -> Result<(), MediaError> {
        let _one = self.changing.lock().await;
        let Some(spec) = source.map(str::to_owned) else {
            let ended = self.place(track, None);
            return blocking(move || {
                drop(ended);
                Ok(())
            })
            .await;
        };
        let opened = blocking(move || if track == Track::Screen { open_screen(&spec) } else { open_video(&spec) }).await?;
        let there = match lock(&self.shared.outlets).video(track) {
            Some(video) if video.share == share => {
                video.sender.replace_source(opened);
                None
            }
            // An encoder is made for what it is to show.
            _ => Some(opened),
        };
        let Some(opened) = there else { return Ok(()) };
        let video = self.start_video(track, opened, share)?;
        let before = self.place(track, Some(video));
        blocking(move || {
            drop(before);
            Ok(())
        })
        .await
    }

    fn place(&self, track: Track, video: Option<Video>) -> Option<Video> {
        let mut outlets = lock(&self.shared.outlets);
        match track {
            Track::Audio => video,
            Track::Camera => std::mem::replace(&mut outlets.camera, video),
            Track::Screen => std::mem::replace(&mut outlets.screen, video),
        }
    }

    fn start_video(&self, track: Track, source: Box<dyn VideoSource>, share: Share) -> Result<Video, MediaError> {
        let (stream, kind, settings, bps) = match track {
            Track::Screen if share.content == Content::Motion => {
                (StreamKind::Screen, MediaKind::Screen, VideoSettings::film(), congestion::SCREEN_BPS.1)
            }
            Track::Screen => (StreamKind::Screen, MediaKind::Screen, VideoSettings::screen(), congestion::SCREEN_BPS.1),
            _ => (StreamKind::Camera, MediaKind::Camera, VideoSettings::camera(), congestion::CAMERA_BPS.1),
        };
        let (shared, events) = (Arc::downgrade(&self.shared), self.shared.events.clone());
        let mut packetizer = Packetizer::new();
        let mut sealing = None;
        let on_frame = move |frame: EncodedFrame| {
            let Some(shared) = shared.upgrade() else { return };
            let codec = codec_field(frame.codec);
            let meta = Meta::Video { stream: stream_field(stream), codec, keyframe: frame.keyframe };
            let Some(sealed) = shared.keys.seal(&frame.data, meta) else {
                // What follows builds on what was not sent.
                return shared.want_keyframe_later(track);
            };
            let before = sealing;
            sealing = shared.keys.sealing();
            if sealing != before && before.is_some() {
                // Somebody may have been added, who could open nothing until now.
                shared.greet_newcomer_later(track);
            }
            match packetizer.packetize(&sealed, frame.keyframe, codec) {
                Ok(packets) => shared.fan_out(Frame {
                    track,
                    timestamp: track.timestamp(frame.at),
                    keyframe: frame.keyframe,
                    packets: packets.into_iter().map(Bytes::from).collect(),
                }),
                Err(error) => tracing::warn!(%error, "a frame was not sent"),
            }
        };
        let preview = self.shared.pictures.get(PictureKey::Own { stream });
        let ladder = Ladder::within(share);
        let rung = ladder.rung();
        let settings = VideoSettings { bitrate_bps: bps, fps: rung.fps, max_height: rung.max_height, ..settings };
        let sender = VideoSender::start(source, settings, on_frame, preview, move |error| fail(&events, kind, &error))?;
        Ok(Video { sender, gate: KeyframeGate::default(), bps, share, rung, ladder })
    }

    /// Plays what the others say here from now on.
    ///
    /// # Errors
    /// The sink cannot be used; what was used goes on.
    pub async fn set_speaker(&self, sink: &str) -> Result<(), MediaError> {
        let _one = self.changing.lock().await;
        let spec = sink.to_owned();
        let opened = blocking(move || open_audio_sink(&spec)).await?;
        if let Some(playout) = &lock(&self.shared.outlets).playout {
            playout.replace_sink(opened);
        }
        Ok(())
    }

    /// Plays nothing, and mutes the microphone with it.
    pub fn set_deafened(&self, on: bool) {
        self.deafened.store(on, Relaxed);
        if let Some(playout) = &lock(&self.shared.outlets).playout {
            playout.set_deafened(on);
        }
        self.apply_mute();
    }
}

/// Bitrates and overdue keyframes.
pub(super) async fn control(shared: Arc<Shared>) {
    let mut rounds = 0u32;
    let mut heard = (Vec::new(), None);
    let mut tick = tokio::time::interval(CONTROL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(BITRATE_ROUNDS) {
            adapt(&shared);
        }
        let speakers = speakers(&shared);
        if speakers != heard {
            heard = speakers.clone();
            // Where it is left out, the next change tells it.
            shared.tell_now(MeshEvent::Speaking { who: speakers.0, current: speakers.1 });
        }
        let mut outlets = lock(&shared.outlets);
        for track in [Track::Camera, Track::Screen] {
            if let Some(video) = outlets.video(track)
                && video.gate.poll(clock::now())
            {
                video.sender.request_keyframe();
            }
        }
    }
}

fn speakers(shared: &Shared) -> (Vec<DeviceId>, Option<DeviceId>) {
    let (mut speaker, now) = (lock(&shared.speaker), clock::now());
    speaker.handle_timeout(now);
    (speaker.speaking(now).collect(), speaker.current())
}

fn adapt(shared: &Shared) {
    let (estimates, loss) = {
        let peers = lock(&shared.peers);
        let paths = peers.values().filter_map(|entry| entry.path);
        let estimates: Vec<u64> = paths.clone().map(|path| path.estimate_bps).collect();
        (estimates, paths.map(|path| path.loss_sent).fold(0.0, f32::max))
    };
    let mut outlets = lock(&shared.outlets);
    let budget = congestion::budget(&estimates, outlets.camera.is_some(), outlets.screen.is_some());
    for (track, bps) in [(Track::Camera, budget.camera_bps), (Track::Screen, budget.screen_bps)] {
        if let Some(video) = outlets.video(track) {
            video.follow(bps, if track == Track::Screen { congestion::SCREEN_BPS.0 } else { congestion::CAMERA_BPS.0 });
        }
    }
    if let Some(mic) = &outlets.mic {
        mic.set_expected_loss((loss * 100.0).ceil().clamp(0.0, 30.0) as u8);
    }
}

pub(super) fn fail(events: &mpsc::Sender<MeshEvent>, kind: MediaKind, error: &MediaError) {
    // From a media thread, which the driver may be joining: it must not wait.
    if events.try_send(MeshEvent::SourceFailed { kind, message: error.to_string() }).is_err() {
        tracing::warn!(%error, "a device failed, and the driver is behind");
    }
}

/// Opening and closing devices takes its time.
pub(super) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => Err(MediaError::Thread { what: "opening a device", reason: error.to_string() }),
    }
}
