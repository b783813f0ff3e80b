//! The media of one call: what this device sends, encoded once for everyone, and one [`super::peer`] for each other participant. It
//! opens only what it is told to, and closes it all within a second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use conclave_media::audio::sink::NullSink;
use conclave_media::audio::{AudioSender, AudioSettings, EncodedAudio, Playout, StreamMeter};
use conclave_media::clock;
use conclave_media::codec::EncodedFrame;
use conclave_media::device::{open_audio_sink, open_audio_source, open_screen, open_video};
use conclave_media::error::MediaError;
use conclave_media::video::{VideoSender, VideoSettings};
use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::media::packetizer::{Packetizer, audio_payload};
use conclave_protocol::negotiation::{FingerprintLedger, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::certificate::CallCertificate;
use super::congestion::{self, KeyframeGate, VOICE_BPS};
use super::peer::{self, Peer, PeerCommand};
use super::queue::{Frame, PeerQueue};
use super::receive::{Voice, codec_field};
use super::recording::Recordings;
use super::transport::{OutgoingRtp, Track, TransportError, TransportFactory, TransportStats};
use super::webrtc_transport::WebRtcFactory;
use crate::pictures::PictureSlots;
use crate::view::{LinkState, LinkStats, MediaKind, PictureKey, StreamKind};

/// Other participants at most; a further one is refused here as well as before joining.
pub const MAX_PEERS: usize = 16;
/// How often bitrates and overdue keyframes are looked at.
const CONTROL: Duration = Duration::from_millis(100);
/// Control rounds between two decisions on bitrates.
const BITRATE_ROUNDS: u32 = 10;
/// Saying goodbye takes at most this long; then connections are dropped without.
const GOODBYE: Duration = Duration::from_millis(700);

/// What a mesh needs to know.
pub struct MeshConfig {
    /// Signs the certificate of this call.
    pub me: Arc<DeviceKey>,
    pub room: RoomId,
    pub call: CallId,
    /// Where events go. Signals and changes of a link wait while it is full; figures are left out.
    pub events: mpsc::Sender<MeshEvent>,
    /// Where pictures go: the own ones, and those of the others.
    pub pictures: PictureSlots,
    /// The engine; webrtc, where absent.
    pub transports: Option<Arc<dyn TransportFactory>>,
    /// Local addresses to use; every usable interface, where absent.
    pub addresses: Option<Vec<IpAddr>>,
}

/// What happened to the media of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum MeshEvent {
    /// To be carried to the peer over its live stream, in order.
    Signal { to: DeviceId, signal: Signal },
    /// `after_ms`: since the peer was added, or since its connection was lost.
    Link { peer: DeviceId, state: LinkState, after_ms: u64 },
    /// The peer's certificate is not the one its device signed. The connection was ended and is not tried again.
    Mismatch { peer: DeviceId, message: String },
    /// The first picture of this stream; `after_ms` since the peer was added.
    FirstFrame { peer: DeviceId, stream: StreamKind, after_ms: u64 },
    /// Every second of a connection. `level`: loudness of the last 300 ms, 0 to 1.
    Stats { peer: DeviceId, stats: LinkStats, level: f32 },
    /// A device of ours failed; the call goes on without it.
    SourceFailed { kind: MediaKind, message: String },
    /// The disk is full or gone: what follows is not recorded.
    RecordingFailed { message: String },
    /// A video stream of the peer has ended, and its slot is empty.
    StreamGone { peer: DeviceId, stream: StreamKind },
}

/// What every part of the mesh sees.
pub(crate) struct Shared {
    pub(crate) me: Arc<DeviceKey>,
    pub(crate) room: RoomId,
    pub(crate) call: CallId,
    pub(crate) certificate: Arc<CallCertificate>,
    pub(crate) transports: Arc<dyn TransportFactory>,
    pub(crate) addresses: Option<Vec<IpAddr>>,
    pub(crate) pictures: PictureSlots,
    events: mpsc::Sender<MeshEvent>,
    ledger: Mutex<FingerprintLedger>,
    peers: Mutex<BTreeMap<DeviceId, Entry>>,
    outlets: Mutex<Outlets>,
    recordings: Recordings,
}

/// A peer as the mesh keeps it.
struct Entry {
    commands: mpsc::Sender<PeerCommand>,
    task: JoinHandle<()>,
    queue: Arc<PeerQueue>,
    voice: u64,
    meter: StreamMeter,
    /// As of the last second; `None` before there is a connection.
    path: Option<TransportStats>,
}

/// What this device sends and plays.
#[derive(Default)]
struct Outlets {
    mic: Option<AudioSender>,
    camera: Option<Video>,
    screen: Option<Video>,
    playout: Option<Playout>,
}

struct Video {
    sender: VideoSender,
    gate: KeyframeGate,
    bps: u32,
}

impl Outlets {
    fn video(&mut self, track: Track) -> Option<&mut Video> {
        match track {
            Track::Audio => None,
            Track::Camera => self.camera.as_mut(),
            Track::Screen => self.screen.as_mut(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Waits while the driver is busy.
    pub(crate) async fn tell(&self, event: MeshEvent) {
        // Nobody listens any more only when the call is over.
        let _ = self.events.send(event).await;
    }

    /// Leaves the event out while the driver is busy.
    pub(crate) fn tell_now(&self, event: MeshEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::debug!(?event, "event left out: the driver is behind");
        }
    }

    pub(crate) fn with_ledger(&self, run: impl FnOnce(&mut FingerprintLedger)) {
        run(&mut lock(&self.ledger));
    }

    pub(crate) fn want_keyframe(&self, track: Track) {
        if let Some(video) = lock(&self.outlets).video(track)
            && video.gate.handle_request(clock::now())
        {
            video.sender.request_keyframe();
        }
    }

    pub(crate) fn set_path(&self, peer: DeviceId, stats: TransportStats) {
        if let Some(entry) = lock(&self.peers).get_mut(&peer) {
            entry.path = Some(stats);
        }
    }

    pub(crate) fn level(&self, peer: DeviceId) -> f32 {
        lock(&self.peers).get(&peer).map_or(0.0, |entry| entry.meter.level())
    }

    fn fan_out(&self, frame: Frame) {
        let (frame, now, mut ask) = (Arc::new(frame), clock::now(), false);
        for entry in lock(&self.peers).values() {
            ask |= entry.queue.add_frame(Arc::clone(&frame), now);
        }
        if ask {
            self.want_keyframe_later(frame.track);
        }
    }

    /// From the encoder's own thread, whose sender may be just being replaced under the lock.
    fn want_keyframe_later(&self, track: Track) {
        if let Ok(mut outlets) = self.outlets.try_lock()
            && let Some(video) = outlets.video(track)
            && video.gate.handle_request(clock::now())
        {
            video.sender.request_keyframe();
        }
    }
}

/// The media of one call. Dropping it ends everything at once; [`Mesh::close`] says goodbye first.
pub struct Mesh {
    shared: Arc<Shared>,
    control: JoinHandle<()>,
    next_voice: AtomicU64,
    /// Sources and sinks are changed one at a time.
    changing: tokio::sync::Mutex<()>,
    muted: AtomicBool,
    deafened: AtomicBool,
}

impl Mesh {
    /// Draws the certificate of this call and is ready for peers. Nothing is captured yet, and what others say goes nowhere. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// No certificate can be made, or no thread.
    pub fn start(config: MeshConfig) -> Result<Self, MeshError> {
        let certificate = Arc::new(CallCertificate::generate()?);
        let ledger = FingerprintLedger::new(config.me.id(), *certificate.fingerprint());
        let events = config.events.clone();
        let playout = Playout::start(Box::new(NullSink::default()), move |error| fail(&events, MediaKind::Speaker, &error))?;
        let shared = Arc::new(Shared {
            me: config.me,
            room: config.room,
            call: config.call,
            certificate,
            transports: config.transports.unwrap_or_else(|| Arc::new(WebRtcFactory)),
            addresses: config.addresses,
            pictures: config.pictures,
            events: config.events,
            ledger: Mutex::new(ledger),
            peers: Mutex::default(),
            outlets: Mutex::new(Outlets { playout: Some(playout), ..Outlets::default() }),
            recordings: Recordings::default(),
        });
        let control = tokio::spawn(control(Arc::clone(&shared)));
        Ok(Self {
            shared,
            control,
            next_voice: AtomicU64::new(0),
            changing: tokio::sync::Mutex::default(),
            muted: AtomicBool::new(true),
            deafened: AtomicBool::new(false),
        })
    }

    /// Connects with this participant. Both sides call it, in any order. A peer that is there already stays.
    pub fn add_peer(&self, id: DeviceId) {
        let mut peers = lock(&self.shared.peers);
        if id == self.shared.me.id() || peers.contains_key(&id) || peers.len() >= MAX_PEERS {
            return;
        }
        let (commands, receiver) = mpsc::channel(peer::COMMANDS);
        let queue = Arc::new(PeerQueue::default());
        let (voice, voice_id) = (Voice::default(), self.next_voice.fetch_add(1, Relaxed));
        let added = match &lock(&self.shared.outlets).playout {
            Some(playout) => playout.add(voice_id, Box::new(voice.clone())),
            None => return,
        };
        let meter = added.unwrap_or_else(|error| {
            tracing::warn!(%error, "a voice cannot be played");
            StreamMeter::default()
        });
        let recording = self.shared.recordings.of(id);
        let peer = Peer::new(id, Arc::clone(&self.shared), receiver, Arc::clone(&queue), voice, recording);
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            // A panic in the engine, which a hostile description might find, ends this peer's media and nothing else.
            let run = tokio::spawn(peer.run());
            let ended = Abort(run.abort_handle());
            if let Err(error) = run.await
                && error.is_panic()
            {
                tracing::error!(peer = %id, "the media of a peer ended by a panic");
                shared.tell(MeshEvent::Link { peer: id, state: LinkState::Reconnecting, after_ms: 0 }).await;
            }
            drop(ended);
        });
        peers.insert(id, Entry { commands, task, queue, voice: voice_id, meter, path: None });
    }

    /// Says goodbye and forgets this participant, whose slots become empty. Returns at once.
    pub fn remove_peer(&self, id: DeviceId) {
        let Some(entry) = lock(&self.shared.peers).remove(&id) else { return };
        if let Some(playout) = &lock(&self.shared.outlets).playout {
            playout.remove(entry.voice);
        }
        entry.queue.close();
        let pictures = self.shared.pictures.clone();
        tokio::spawn(async move {
            part(entry).await;
            pictures.clear(|key| matches!(key, PictureKey::Remote { device, .. } if *device == id));
        });
    }

    /// What a participant has to say about connecting, in the order of their live stream.
    pub fn signal(&self, from: DeviceId, signal: Signal) {
        self.command(from, PeerCommand::Signal(signal));
    }

    /// What a participant says of their own streams, by presence. One that is off is closed and its slot emptied.
    pub fn set_peer_streams(&self, peer: DeviceId, camera: bool, screen: bool) {
        self.command(peer, PeerCommand::Streams { camera, screen });
    }

    /// Figures of the connection to a participant, as of the last second: the packets behind [`MeshEvent::Stats`].
    pub fn path(&self, peer: DeviceId) -> Option<TransportStats> {
        lock(&self.shared.peers).get(&peer)?.path
    }

    /// Voice packets and frames that were left out of what this participant is sent, because their path or their engine was slower.
    pub fn left_out(&self, peer: DeviceId) -> Option<(u64, u64)> {
        let dropped = lock(&self.shared.peers).get(&peer)?.queue.dropped();
        Some((dropped.audio, dropped.frames))
    }

    fn command(&self, peer: DeviceId, command: PeerCommand) {
        if let Some(entry) = lock(&self.shared.peers).get(&peer)
            && entry.commands.try_send(command).is_err()
        {
            tracing::warn!(%peer, "a peer's signals come faster than they can be served");
        }
    }

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

    fn start_mic(&self, source: Box<dyn conclave_media::audio::AudioSource>) -> Result<AudioSender, MediaError> {
        let (shared, events) = (Arc::downgrade(&self.shared), self.shared.events.clone());
        let on_packet = move |packet: EncodedAudio| {
            if let Some(shared) = shared.upgrade()
                && !packet.data.is_empty()
            {
                let payload = Bytes::from(audio_payload(packet.level, &packet.data));
                let packet = OutgoingRtp { timestamp: Track::Audio.timestamp(packet.at), marker: false, payload };
                for entry in lock(&shared.peers).values() {
                    entry.queue.add_audio(packet.clone());
                }
            }
        };
        let settings = AudioSettings { bitrate_bps: VOICE_BPS, ..AudioSettings::default() };
        let mic = AudioSender::start(source, settings, on_packet, move |error| fail(&events, MediaKind::Microphone, &error))?;
        mic.set_muted(true);
        Ok(mic)
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
        self.set_video(Track::Camera, source).await
    }

    /// Shares this screen, or ends the share.
    ///
    /// # Errors
    /// As [`Self::set_camera`].
    pub async fn set_screen(&self, source: Option<&str>) -> Result<(), MediaError> {
        self.set_video(Track::Screen, source).await
    }

    async fn set_video(&self, track: Track, source: Option<&str>) -> Result<(), MediaError> {
        let _one = self.changing.lock().await;
        let Some(spec) = source.map(str::to_owned) else {
            let ended = self.place(track, None);
            return blocking(move || Ok(drop(ended))).await;
        };
        let opened = blocking(move || if track == Track::Screen { open_screen(&spec) } else { open_video(&spec) }).await?;
        let there = match lock(&self.shared.outlets).video(track) {
            Some(video) => {
                video.sender.replace_source(opened);
                None
            }
            None => Some(opened),
        };
        if let Some(opened) = there {
            let video = self.start_video(track, opened)?;
            drop(self.place(track, Some(video)));
        }
        Ok(())
    }

    fn place(&self, track: Track, video: Option<Video>) -> Option<Video> {
        let mut outlets = lock(&self.shared.outlets);
        match track {
            Track::Audio => video,
            Track::Camera => std::mem::replace(&mut outlets.camera, video),
            Track::Screen => std::mem::replace(&mut outlets.screen, video),
        }
    }

    fn start_video(&self, track: Track, source: Box<dyn conclave_media::source::VideoSource>) -> Result<Video, MediaError> {
        let (stream, kind, settings, bps) = match track {
            Track::Screen => (StreamKind::Screen, MediaKind::Screen, VideoSettings::screen(), congestion::SCREEN_BPS.1),
            _ => (StreamKind::Camera, MediaKind::Camera, VideoSettings::camera(), congestion::CAMERA_BPS.1),
        };
        let (shared, events) = (Arc::downgrade(&self.shared), self.shared.events.clone());
        let mut packetizer = Packetizer::new();
        let on_frame = move |frame: EncodedFrame| {
            let Some(shared) = shared.upgrade() else { return };
            match packetizer.packetize(&frame.data, frame.keyframe, codec_field(frame.codec)) {
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
        let settings = VideoSettings { bitrate_bps: bps, ..settings };
        let sender = VideoSender::start(source, settings, on_frame, preview, move |error| fail(&events, kind, &error))?;
        Ok(Video { sender, gate: KeyframeGate::default(), bps })
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

    /// Records what is received into a directory, one file a stream, or ends the recording.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub async fn set_recording(&self, dir: Option<PathBuf>) -> Result<(), MediaError> {
        let _one = self.changing.lock().await;
        let (recordings, events) = (self.shared.recordings.clone(), self.shared.events.clone());
        let on_error = move |error: MediaError| {
            // From the recorder's thread, which the driver may be joining: it must not wait.
            if events.try_send(MeshEvent::RecordingFailed { message: error.to_string() }).is_err() {
                tracing::warn!(%error, "the recording failed, and the driver is behind");
            }
        };
        blocking(move || recordings.set(dir, on_error)).await?;
        // So that what is recorded begins at once.
        for entry in lock(&self.shared.peers).values() {
            if entry.commands.try_send(PeerCommand::WantKeyframes).is_err() {
                tracing::debug!("a recording begins at the peer's next keyframe");
            }
        }
        Ok(())
    }

    /// Says goodbye to everyone and closes everything, in less than a second.
    pub async fn close(self) {
        self.control.abort();
        let peers = std::mem::take(&mut *lock(&self.shared.peers));
        let mut parting: tokio::task::JoinSet<()> = peers.into_values().map(part).collect();
        let outlets = std::mem::take(&mut *lock(&self.shared.outlets));
        // Threads are joined where waiting is allowed.
        let media = tokio::task::spawn_blocking(move || drop(outlets));
        while parting.join_next().await.is_some() {}
        if media.await.is_err() {
            tracing::error!("a media thread did not end well");
        }
        let recordings = self.shared.recordings.clone();
        if blocking(move || recordings.set(None, drop)).await.is_err() {
            tracing::warn!("the recording was not closed well");
        }
        let me = self.shared.me.id();
        self.shared.pictures.clear(|key| match key {
            PictureKey::Remote { device, .. } => *device != me,
            PictureKey::Own { .. } => true,
            PictureKey::Preview => false,
        });
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.control.abort();
        for (_, entry) in std::mem::take(&mut *lock(&self.shared.peers)) {
            entry.task.abort();
        }
        let outlets = std::mem::take(&mut *lock(&self.shared.outlets));
        // Joining takes up to 300 ms, which the runtime's thread must not wait.
        if std::thread::Builder::new().name("media-end".to_owned()).spawn(move || drop(outlets)).is_err() {
            tracing::warn!("no thread to end the media on");
        }
    }
}

/// Why a mesh could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Media(#[from] MediaError),
}

/// Ends a task with the one that watches it.
struct Abort(tokio::task::AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Goodbye to one peer, in bounded time.
async fn part(mut entry: Entry) {
    entry.queue.close();
    if entry.commands.try_send(PeerCommand::Close).is_ok() && tokio::time::timeout(GOODBYE, &mut entry.task).await.is_ok() {
        return;
    }
    entry.task.abort();
    // A cancelled task says so by an error; there is nothing more to learn from it.
    let _ = entry.task.await;
}

/// Bitrates and overdue keyframes.
async fn control(shared: Arc<Shared>) {
    let mut rounds = 0u32;
    let mut tick = tokio::time::interval(CONTROL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(BITRATE_ROUNDS) {
            adapt(&shared);
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
        if let Some(video) = outlets.video(track)
            && congestion::noticeable(video.bps, bps)
        {
            video.bps = bps;
            video.sender.set_bitrate(bps);
        }
    }
    if let Some(mic) = &outlets.mic {
        mic.set_expected_loss((loss * 100.0).ceil().clamp(0.0, 30.0) as u8);
    }
}

fn fail(events: &mpsc::Sender<MeshEvent>, kind: MediaKind, error: &MediaError) {
    // From a media thread, which the driver may be joining: it must not wait.
    if events.try_send(MeshEvent::SourceFailed { kind, message: error.to_string() }).is_err() {
        tracing::warn!(%error, "a device failed, and the driver is behind");
    }
}

/// Opening and closing devices takes its time.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T, MediaError> + Send + 'static) -> Result<T, MediaError> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => Err(MediaError::Thread { what: "opening a device", reason: error.to_string() }),
    }
}
