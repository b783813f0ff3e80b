//! One participant: one attempt to connect after the other, until one of them is refused or the participant is removed. It keeps what
//! outlives a connection, and never tries again after a certificate that was not the signed one.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use conclave_media::clock;
use conclave_protocol::id::DeviceId;
use conclave_protocol::negotiation::Signal;
use tokio::sync::{mpsc, watch};

use super::attempt::{Attempt, Ended};
use super::mesh::{MeshEvent, Shared};
use super::queue::PeerQueue;
use super::receive::{self, Progress, VideoStream, Voice};
use super::recording::Recording;
use super::transport::{Transport, TransportConfig};
use crate::view::{LinkState, LinkStats, PathView, PictureKey, StreamKind};

/// Commands that wait for a peer's task: signals for the most part. When it is full, signals are dropped, and asked for again by the
/// machines of both sides.
pub(crate) const COMMANDS: usize = 256;
/// Between two attempts: doubled each time from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));
/// How long a peer is left alone whose packets were a flood.
const SET_ASIDE: Duration = Duration::from_secs(60);
/// What the mesh asks of a peer's task.
pub(crate) enum PeerCommand {
    Signal(Signal),
    /// What the peer says of its own streams.
    Streams {
        camera: bool,
        screen: bool,
    },
    /// Asks the peer for a keyframe of each stream.
    WantKeyframes,
    /// Says goodbye and ends.
    Close,
}

/// What of a peer outlives a connection.
pub(crate) struct Peer {
    pub(super) id: DeviceId,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Receiver<PeerCommand>,
    pub(super) queue: Arc<PeerQueue>,
    pub(super) voice: Voice,
    pub(super) streams: [Stream; 2],
    pub(super) recording: Recording,
    /// Since the peer was added, or since the connection was lost.
    since: Duration,
    added: Duration,
    link: Option<LinkState>,
    pub(super) figures: Figures,
}

/// One of the peer's video streams, as the session sees it.
pub(super) struct Stream {
    pub(super) kind: StreamKind,
    pub(super) video: Arc<tokio::sync::Mutex<VideoStream>>,
    progress: Arc<Progress>,
    /// What the peer says of it.
    pub(super) on: watch::Sender<bool>,
    first_frame_told: bool,
}

/// The last figures that were told, for rates.
#[derive(Default)]
pub(super) struct Figures {
    at: Duration,
    sent: u64,
    received: u64,
    packets: u64,
    pictures: u64,
    /// Voice samples or packets that were to be played, and how many of them were concealed.
    heard: u64,
    concealed: u64,
    /// Of connections that are gone.
    lost_before: u64,
    path: Option<PathView>,
    relayed: u64,
}

impl Peer {
    pub(crate) fn new(
        id: DeviceId,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<PeerCommand>,
        queue: Arc<PeerQueue>,
        voice: Voice,
        recording: Recording,
    ) -> Self {
        let streams = [StreamKind::Camera, StreamKind::Screen].map(|kind| {
            let slot = shared.pictures.get(PictureKey::Remote { device: id, stream: kind });
            let stream = VideoStream::new(id, shared.keys.clone(), kind, slot, recording.clone());
            let progress = stream.progress();
            Stream {
                kind,
                video: Arc::new(tokio::sync::Mutex::new(stream)),
                progress,
                on: watch::channel(true).0,
                first_frame_told: false,
            }
        });
        let now = clock::now();
        Self {
            id,
            shared,
            commands,
            queue,
            voice,
            streams,
            recording,
            since: now,
            added: now,
            link: None,
            figures: Figures::default(),
        }
    }

    /// Until the peer is removed.
    pub(crate) async fn run(mut self) {
        let mut backoff = BACKOFF.0;
        let mut opening = None;
        self.tell_link(LinkState::Connecting).await;
        loop {
            let ended = self.attempt(opening.take()).await;
            self.queue.close();
            match ended {
                Ended::Closed => break,
                Ended::ByPeer(signal) => {
                    self.lose().await;
                    backoff = BACKOFF.0;
                    opening = signal.map(|signal| *signal);
                    if opening.is_none() {
                        match self.wait_for_signal(BACKOFF.1).await {
                            Some(signal) => opening = signal,
                            None => break,
                        }
                    }
                }
                Ended::Failed(reason) => {
                    tracing::info!(peer = %self.id, %reason, "media connection failed; trying again");
                    self.lose().await;
                    match self.wait_for_signal(backoff).await {
                        Some(signal) => opening = signal,
                        None => break,
                    }
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
                Ended::Flood => {
                    tracing::warn!(peer = %self.id, "a peer sends far too much; it is set aside for a minute");
                    self.lose().await;
                    if self.wait_out(SET_ASIDE).await.is_none() {
                        break;
                    }
                    backoff = BACKOFF.1;
                }
                Ended::Mismatch(reason) => {
                    tracing::warn!(peer = %self.id, %reason, "media connection refused");
                    let message = format!("The media connection was ended: {reason}. Somebody may be in between.");
                    self.shared.tell(MeshEvent::Mismatch { peer: self.id, message }).await;
                    self.tell_link(LinkState::Mismatch).await;
                    self.wait_for_removal().await;
                    break;
                }
            }
        }
        self.queue.close();
        for stream in &self.streams {
            receive::close(&stream.video).await;
        }
        self.recording.end();
    }

    pub(super) async fn lose(&mut self) {
        if self.link == Some(LinkState::Connected) {
            self.since = clock::now();
            self.tell_link(LinkState::Reconnecting).await;
        }
    }

    pub(super) async fn tell_link(&mut self, state: LinkState) {
        if self.link != Some(state) {
            self.link = Some(state);
            let after_ms = millis(clock::now().saturating_sub(self.since));
            self.shared.tell(MeshEvent::Link { peer: self.id, state, after_ms }).await;
        }
    }

    /// Waits between two attempts; a signal ends the wait. `None`: the peer is to be closed.
    async fn wait_for_signal(&mut self, wait: Duration) -> Option<Option<Signal>> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            match tokio::time::timeout_at(until, self.commands.recv()).await {
                Err(_) => return Some(None),
                Ok(None | Some(PeerCommand::Close)) => return None,
                Ok(Some(PeerCommand::Signal(signal))) => return Some(Some(signal)),
                Ok(Some(PeerCommand::Streams { camera, screen })) => self.set_streams(camera, screen),
                Ok(Some(PeerCommand::WantKeyframes)) => {}
            }
        }
    }

    /// Whatever the peer says meanwhile. `None`: the peer is to be closed.
    async fn wait_out(&mut self, wait: Duration) -> Option<()> {
        let until = tokio::time::Instant::now() + wait;
        while let Ok(command) = tokio::time::timeout_at(until, self.commands.recv()).await {
            match command {
                None | Some(PeerCommand::Close) => return None,
                Some(PeerCommand::Streams { camera, screen }) => self.set_streams(camera, screen),
                Some(PeerCommand::Signal(_) | PeerCommand::WantKeyframes) => {}
            }
        }
        Some(())
    }

    async fn wait_for_removal(&mut self) {
        while let Some(command) = self.commands.recv().await {
            if matches!(command, PeerCommand::Close) {
                return;
            }
        }
    }

    pub(super) fn set_streams(&self, camera: bool, screen: bool) {
        for stream in &self.streams {
            let told = match stream.kind {
                StreamKind::Camera => camera,
                StreamKind::Screen => screen,
            };
            // Presence repeats itself, and is slower than pictures: only a change says anything.
            stream.on.send_if_modified(|on| std::mem::replace(on, told) != told);
        }
    }

    /// One attempt to connect, and the connection that comes of it.
    async fn attempt(&mut self, opening: Option<Signal>) -> Ended {
        let config =
            TransportConfig { certificate: Arc::clone(&self.shared.certificate), addresses: self.shared.addresses.clone() };
        let (transport, events) = match self.shared.transports.connect(config).await {
            Ok(made) => made,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let mut attempt = Attempt::new(self, Arc::clone(&transport));
        let ended = attempt.run(self, events, opening).await;
        attempt.end(self, &ended).await;
        self.figures.lost_before += transport.stats().packets_lost;
        transport.close().await;
        ended
    }

    /// Another connection counts from zero.
    pub(super) fn begin_figures(&mut self) {
        self.figures = Figures {
            at: clock::now(),
            pictures: self.figures.pictures,
            lost_before: self.figures.lost_before,
            heard: self.figures.heard,
            concealed: self.figures.concealed,
            relayed: self.figures.relayed,
            ..Figures::default()
        };
    }

    /// What the path carries, for those who fill it.
    pub(super) fn follow(&self, transport: &dyn Transport) {
        let stats = transport.stats();
        self.queue.set_rate(stats.estimate_bps);
        self.shared.set_path(self.id, stats);
    }

    /// Figures of the last second; gives how many packets a second came in it.
    pub(super) async fn tell_stats(&mut self, transport: &dyn Transport) -> u64 {
        let now = clock::now();
        let stats = transport.stats();
        let seconds = now.saturating_sub(self.figures.at).as_secs_f32().max(0.001);
        // A first look just after the beginning is no second.
        let packets = stats.packets_received.saturating_sub(self.figures.packets) as f32 / seconds.max(0.5);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f32 * 8.0 / 1000.0 / seconds;
        let pictures: u64 = self.streams.iter().map(|stream| stream.progress.pictures.load(Relaxed)).sum();
        let camera_pictures = self.streams.first().map_or(0, |camera| camera.progress.pictures.load(Relaxed));
        let audio = self.voice.stats();
        let path = transport.path().await;
        let mut relayed = self.figures.relayed;
        // A second on both sides of a change counts for the way that it began on.
        if self.figures.path.or(path) == Some(PathView::Relay) {
            relayed +=
                stats.bytes_sent.saturating_sub(self.figures.sent) + stats.bytes_received.saturating_sub(self.figures.received);
        }
        let heard = audio.played + audio.fec + audio.concealed;
        let told = LinkStats {
            rtt_ms: stats.rtt.map(|rtt| rtt.as_secs_f32() * 1000.0),
            received_kbps: rate(stats.bytes_received, self.figures.received),
            sent_kbps: rate(stats.bytes_sent, self.figures.sent),
            video_fps: camera_pictures.saturating_sub(self.figures.pictures) as f32 / seconds,
            frames_decoded: pictures,
            frozen_ms: self.streams.iter().map(|stream| millis(stream.progress.frozen()) as u32).max().unwrap_or(0),
            packets_lost: self.figures.lost_before + stats.packets_lost,
            audio_lost_pct: percent(audio.concealed, heard),
            audio_lost_now_pct: percent(
                audio.concealed.saturating_sub(self.figures.concealed),
                heard.saturating_sub(self.figures.heard),
            ),
            sent_lost_pct: stats.loss_sent * 100.0,
            estimate_kbps: stats.estimate_bps as f32 / 1_000.0,
            path,
            relayed_bytes: relayed,
        };
        let lost_before = self.figures.lost_before;
        self.figures = Figures {
            at: now,
            sent: stats.bytes_sent,
            received: stats.bytes_received,
            packets: stats.packets_received,
            pictures: camera_pictures,
            heard,
            concealed: audio.concealed,
            lost_before,
            path,
            relayed,
        };
        let level = self.shared.level(self.id);
        // A newer one follows in a second: nobody waits for a driver that is busy.
        self.shared.tell_now(MeshEvent::Stats { peer: self.id, stats: told, level });
        packets as u64
    }

    pub(super) async fn tell_first_frames(&mut self) {
        for stream in &mut self.streams {
            if !stream.first_frame_told
                && let Some(first) = stream.progress.first()
            {
                stream.first_frame_told = true;
                let after_ms = millis(first.saturating_sub(self.added));
                self.shared.tell(MeshEvent::FirstFrame { peer: self.id, stream: stream.kind, after_ms }).await;
            }
        }
    }
}

fn percent(part: u64, of: u64) -> f32 {
    if of == 0 { 0.0 } else { part as f32 * 100.0 / of as f32 }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
