//! The media of one call: what this device sends, encoded once for everyone, and one [`super::peer`] for each other participant. It
//! opens only what it is told to, and closes it all within a second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use conclave_media::audio::sink::NullSink;
use conclave_media::audio::{Chime, Playout, SoundProcessing, StreamMeter};
use conclave_media::clock;
use conclave_media::error::MediaError;
use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::media::speaker::ActiveSpeaker;
use conclave_protocol::negotiation::{FingerprintLedger, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::certificate::CallCertificate;
use super::keys::MediaKeys;
use super::outlets::{Outlets, blocking, control, fail};
use super::peer::{self, Peer, PeerCommand};
use super::queue::{Frame, PeerQueue};
use super::receive::Voice;
use super::recording::Recordings;
use super::transport::{Track, TransportError, TransportFactory, TransportStats};
use super::webrtc_transport::WebRtcFactory;
use crate::pictures::PictureSlots;
use crate::view::{LinkState, LinkStats, MediaKind, PictureKey, StreamKind};

/// Other participants at most; a further one is refused here as well as before joining.
pub const MAX_PEERS: usize = 16;
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
    /// What every frame is sealed with, and opened.
    pub keys: MediaKeys,
    /// What is done to a microphone.
    pub processing: SoundProcessing,
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
    /// Who is heard speaking, and whose picture is the large one; told when it changes.
    Speaking { who: Vec<DeviceId>, current: Option<DeviceId> },
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
    pub(crate) keys: MediaKeys,
    pub(super) events: mpsc::Sender<MeshEvent>,
    ledger: Mutex<FingerprintLedger>,
    pub(super) peers: Mutex<BTreeMap<DeviceId, Entry>>,
    pub(super) outlets: Mutex<Outlets>,
    /// By the loudness of the voices' packets.
    pub(super) speaker: Arc<Mutex<ActiveSpeaker>>,
    recordings: Recordings,
}

/// A peer as the mesh keeps it.
pub(super) struct Entry {
    commands: mpsc::Sender<PeerCommand>,
    task: JoinHandle<()>,
    pub(super) queue: Arc<PeerQueue>,
    voice: u64,
    meter: StreamMeter,
    /// As of the last second; `None` before there is a connection.
    pub(super) path: Option<TransportStats>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

    /// Somebody connected, who sees nothing before a keyframe.
    pub(crate) fn greet_newcomer(&self) {
        let (mut outlets, now) = (lock(&self.outlets), clock::now());
        for track in [Track::Camera, Track::Screen] {
            if let Some(video) = outlets.video(track)
                && video.gate.handle_newcomer(now)
            {
                video.sender.request_keyframe();
            }
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

    pub(super) fn fan_out(&self, frame: Frame) {
        let (frame, now, mut ask) = (Arc::new(frame), clock::now(), false);
        for entry in lock(&self.peers).values() {
            ask |= entry.queue.add_frame(Arc::clone(&frame), now);
        }
        if ask {
            self.want_keyframe_later(frame.track);
        }
    }

    /// The same for one track, from the encoder's own thread.
    pub(super) fn greet_newcomer_later(&self, track: Track) {
        if let Ok(mut outlets) = self.outlets.try_lock()
            && let Some(video) = outlets.video(track)
            && video.gate.handle_newcomer(clock::now())
        {
            video.sender.request_keyframe();
        }
    }

    /// From the encoder's own thread, whose sender may be just being replaced under the lock.
    pub(super) fn want_keyframe_later(&self, track: Track) {
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
    pub(super) shared: Arc<Shared>,
    control: JoinHandle<()>,
    next_voice: AtomicU64,
    /// Sources and sinks are changed one at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) muted: AtomicBool,
    pub(super) deafened: AtomicBool,
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
            keys: config.keys,
            events: config.events,
            ledger: Mutex::new(ledger),
            peers: Mutex::default(),
            outlets: Mutex::new(Outlets { playout: Some(playout), processing: config.processing, ..Outlets::default() }),
            speaker: Arc::default(),
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
        lock(&self.shared.speaker).forget(&id);
        entry.queue.close();
        let pictures = self.shared.pictures.clone();
        tokio::spawn(async move {
            part(entry).await;
            pictures.clear(|key| matches!(key, PictureKey::Remote { device, .. } if *device == id));
        });
    }

    /// How loud this participant is played; 1 is as they are.
    pub fn set_volume(&self, peer: DeviceId, volume: f32) {
        let voice = lock(&self.shared.peers).get(&peer).map(|entry| entry.voice);
        if let (Some(voice), Some(playout)) = (voice, &lock(&self.shared.outlets).playout) {
            playout.set_volume(voice, volume);
        }
    }

    /// A short sound beside the voices.
    pub fn chime(&self, chime: Chime) {
        if let Some(playout) = &lock(&self.shared.outlets).playout {
            playout.chime(chime);
        }
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

    /// The paths to everybody who is connected.
    pub(crate) fn paths(&self) -> Vec<TransportStats> {
        lock(&self.shared.peers).values().filter_map(|entry| entry.path).collect()
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
