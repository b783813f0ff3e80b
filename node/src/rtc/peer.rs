//! One participant: connecting, staying connected, and ending. It carries out what the negotiation machine says; nothing is sent to
//! the peer's tracks, and nothing of theirs is read, before the machine has found the certificate to be the signed one.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use conclave_media::clock;
use conclave_protocol::id::DeviceId;
use conclave_protocol::negotiation::{
    Candidate, MismatchReason, Negotiation, NegotiationConfig, NegotiationError, NegotiationOutput, Signal,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::mesh::{MeshEvent, Shared};
use super::queue::{Item, PeerQueue};
use super::receive::{self, Progress, VideoStream, Voice};
use super::recording::Recording;
use super::transport::{
    Description, DescriptionKind, OutgoingRtp, Track, Transport, TransportConfig, TransportError, TransportEvent, TransportState,
};
use crate::view::{LinkState, LinkStats, PictureKey, StreamKind};

/// Commands that wait for a peer's task: signals for the most part. When it is full, signals are dropped, and asked for again by the
/// machines of both sides.
pub(crate) const COMMANDS: usize = 256;
/// The device that yields leaves the first offer to the other for this long, which saves both a rollback.
const YIELD: Duration = Duration::from_millis(700);
/// An opening that was not answered is repeated: the other side may not have been there yet.
const HELLO_AGAIN: Duration = Duration::from_secs(1);
/// An attempt that does not connect in this time is thrown away.
const ATTEMPT: Duration = Duration::from_secs(12);
/// Between two attempts: doubled each time from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));
/// Between two ICE restarts of one attempt; doubled each time.
const RESTART_BACKOFF: Duration = Duration::from_secs(3);
/// After so many restarts in vain, everything begins anew.
const RESTARTS: u32 = 3;
/// How often figures are told.
const STATS: Duration = Duration::from_secs(1);
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(100);

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

/// How an attempt ended.
enum Ended {
    /// By our own wish.
    Closed,
    /// The other side has closed it, or begun anew with this signal.
    ByPeer(Option<Box<Signal>>),
    Failed(String),
    Mismatch(MismatchReason),
}

/// What of a peer outlives a connection.
pub(crate) struct Peer {
    id: DeviceId,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<PeerCommand>,
    queue: Arc<PeerQueue>,
    voice: Voice,
    streams: [(StreamKind, Arc<tokio::sync::Mutex<VideoStream>>, Arc<Progress>, watch::Sender<bool>, bool); 2],
    recording: Recording,
    /// Since the peer was added, or since the connection was lost.
    since: Duration,
    added: Duration,
    link: Option<LinkState>,
    figures: Figures,
}

/// The last figures that were told, for rates.
#[derive(Default)]
struct Figures {
    at: Duration,
    sent: u64,
    received: u64,
    pictures: u64,
    /// Of connections that are gone.
    lost_before: u64,
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
            let stream = VideoStream::new(kind, slot, recording.clone());
            let progress = stream.progress();
            (kind, Arc::new(tokio::sync::Mutex::new(stream)), progress, watch::channel(true).0, false)
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
        for (_, stream, ..) in &self.streams {
            receive::close(stream).await;
        }
        self.recording.end();
    }

    async fn lose(&mut self) {
        if self.link == Some(LinkState::Connected) {
            self.since = clock::now();
            self.tell_link(LinkState::Reconnecting).await;
        }
    }

    async fn tell_link(&mut self, state: LinkState) {
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

    async fn wait_for_removal(&mut self) {
        while let Some(command) = self.commands.recv().await {
            if matches!(command, PeerCommand::Close) {
                return;
            }
        }
    }

    fn set_streams(&self, camera: bool, screen: bool) {
        for (kind, _, _, on, _) in &self.streams {
            on.send_replace(match kind {
                StreamKind::Camera => camera,
                StreamKind::Screen => screen,
            });
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
        let config = NegotiationConfig {
            device: Arc::clone(&self.shared.me),
            room: self.shared.room,
            call: self.shared.call,
            peer: self.id,
            fingerprint: *self.shared.certificate.fingerprint(),
        };
        let mut attempt = Attempt {
            machine: Negotiation::new(config, clock::now(), &mut rand_core::UnwrapErr(getrandom::SysRng)),
            transport: Arc::clone(&transport),
            tasks: JoinSet::new(),
            state: TransportState::Connecting,
            restart: false,
            restarts: 0,
            restart_due: None,
            begun: clock::now(),
            hello_due: clock::now() + HELLO_AGAIN,
            verified: false,
            handshaken: false,
            offered: false,
        };
        let ended = attempt.run(self, events, opening).await;
        // Readers and writers first: nothing of this connection is played or sent after its end.
        attempt.tasks.abort_all();
        while attempt.tasks.join_next().await.is_some() {}
        if !matches!(ended, Ended::ByPeer(_)) {
            attempt.machine.close();
            while let Some(output) = attempt.machine.poll_output() {
                if let NegotiationOutput::Send(signal) = output {
                    self.shared.tell(MeshEvent::Signal { to: self.id, signal }).await;
                }
            }
        }
        self.figures.lost_before += transport.stats().packets_lost;
        transport.close().await;
        ended
    }

    /// Figures of the last second.
    async fn tell_stats(&mut self, transport: &dyn Transport) {
        let now = clock::now();
        let stats = transport.stats();
        self.queue.set_rate(stats.estimate_bps);
        self.shared.set_path(self.id, stats);
        let seconds = now.saturating_sub(self.figures.at).as_secs_f32().max(0.001);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f32 * 8.0 / 1000.0 / seconds;
        let pictures: u64 = self.streams.iter().map(|(_, _, progress, ..)| progress.pictures.load(Relaxed)).sum();
        let camera_pictures = self.streams.first().map_or(0, |(_, _, progress, ..)| progress.pictures.load(Relaxed));
        let audio = self.voice.stats();
        let heard = audio.played + audio.fec + audio.concealed;
        let told = LinkStats {
            rtt_ms: stats.rtt.map(|rtt| rtt.as_secs_f32() * 1000.0),
            received_kbps: rate(stats.bytes_received, self.figures.received),
            sent_kbps: rate(stats.bytes_sent, self.figures.sent),
            video_fps: camera_pictures.saturating_sub(self.figures.pictures) as f32 / seconds,
            frames_decoded: pictures,
            frozen_ms: self.streams.iter().map(|(_, _, progress, ..)| millis(progress.frozen()) as u32).max().unwrap_or(0),
            packets_lost: self.figures.lost_before + stats.packets_lost,
            audio_lost_pct: if heard == 0 { 0.0 } else { audio.concealed as f32 * 100.0 / heard as f32 },
        };
        let lost_before = self.figures.lost_before;
        self.figures =
            Figures { at: now, sent: stats.bytes_sent, received: stats.bytes_received, pictures: camera_pictures, lost_before };
        let level = self.shared.level(self.id);
        // A newer one follows in a second: nobody waits for a driver that is busy.
        self.shared.tell_now(MeshEvent::Stats { peer: self.id, stats: told, level });
    }

    async fn tell_first_frames(&mut self) {
        for (kind, _, progress, _, told) in &mut self.streams {
            if !*told && let Some(first) = progress.first() {
                *told = true;
                let after_ms = millis(first.saturating_sub(self.added));
                self.shared.tell(MeshEvent::FirstFrame { peer: self.id, stream: *kind, after_ms }).await;
            }
        }
    }
}

/// One connection and its machine.
struct Attempt {
    machine: Negotiation,
    transport: Arc<dyn Transport>,
    /// Readers and the writer, from the moment the certificate is verified.
    tasks: JoinSet<()>,
    state: TransportState,
    /// The next offer restarts ICE.
    restart: bool,
    restarts: u32,
    restart_due: Option<Duration>,
    begun: Duration,
    hello_due: Duration,
    verified: bool,
    handshaken: bool,
    offered: bool,
}

impl Attempt {
    async fn run(&mut self, peer: &mut Peer, mut events: mpsc::Receiver<TransportEvent>, opening: Option<Signal>) -> Ended {
        let mut stats = tokio::time::interval(STATS);
        let mut tick = tokio::time::interval(TICK);
        stats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if let Some(signal) = opening {
            self.handle_signal(peer, signal);
        }
        if !self.machine.is_polite() {
            self.offer_wanted();
        }
        loop {
            if let Some(ended) = self.carry_out(peer).await {
                return ended;
            }
            tokio::select! {
                command = peer.commands.recv() => match command {
                    Some(PeerCommand::Signal(signal)) => self.handle_signal(peer, signal),
                    Some(PeerCommand::Streams { camera, screen }) => peer.set_streams(camera, screen),
                    Some(PeerCommand::WantKeyframes) => {
                        self.transport.request_keyframe(Track::Camera).await;
                        self.transport.request_keyframe(Track::Screen).await;
                    }
                    Some(PeerCommand::Close) | None => return Ended::Closed,
                },
                event = events.recv() => match event {
                    Some(event) => self.handle_event(peer, event).await,
                    None => return Ended::Failed("the media engine stopped".to_owned()),
                },
                // A reader or writer ends when the engine does, which may tell in no other way.
                Some(_) = self.tasks.join_next(), if self.verified => {
                    return match self.transport.state().await {
                        TransportState::Closed => Ended::ByPeer(None),
                        _ => Ended::Failed("the media engine stopped".to_owned()),
                    };
                },
                _ = tick.tick() => if let Some(ended) = self.handle_tick(peer).await {
                    return ended;
                },
                _ = stats.tick() => {
                    if self.verified {
                        peer.tell_stats(self.transport.as_ref()).await;
                    }
                    if self.transport.state().await == TransportState::Closed {
                        return Ended::ByPeer(None);
                    }
                },
            }
        }
    }

    fn offer_wanted(&mut self) {
        self.offered = true;
        self.machine.handle_negotiation_needed();
    }

    fn handle_signal(&mut self, peer: &Peer, signal: Signal) {
        peer.shared.with_ledger(|ledger| self.machine.handle_signal(signal, ledger, clock::now()));
    }

    async fn handle_event(&mut self, peer: &mut Peer, event: TransportEvent) {
        match event {
            TransportEvent::KeyframeWanted(track) if self.verified => peer.shared.want_keyframe(track),
            TransportEvent::KeyframeWanted(_) => {}
            TransportEvent::Candidate(candidate) => {
                self.machine.handle_local_candidate(Candidate { candidate, mid: None, line: Some(0) });
            }
            TransportEvent::State(state) => {
                self.state = state;
                match state {
                    TransportState::Connected => {
                        self.restart_due = None;
                        self.restarts = 0;
                        if self.verified {
                            peer.tell_link(LinkState::Connected).await;
                            // Whatever was lost meanwhile, pictures go on from here.
                            peer.shared.want_keyframe(Track::Camera);
                            peer.shared.want_keyframe(Track::Screen);
                        }
                    }
                    TransportState::Disconnected if self.verified => {
                        peer.lose().await;
                        self.restart_due = Some(clock::now() + RESTART_BACKOFF);
                    }
                    TransportState::Failed => {
                        peer.lose().await;
                        self.restart_due = Some(clock::now());
                    }
                    _ => {}
                }
            }
        }
    }

    async fn handle_tick(&mut self, peer: &mut Peer) -> Option<Ended> {
        let now = clock::now();
        peer.tell_first_frames().await;
        // The engine tells the state by an event that can be lost, and the certificate is there a moment after.
        if !self.handshaken
            && self.state == TransportState::Connected
            && let Some(fingerprint) = self.transport.remote_fingerprint().await
        {
            self.handshaken = true;
            peer.shared.with_ledger(|ledger| self.machine.handle_handshake(fingerprint, ledger));
        }
        if !self.verified {
            if !self.offered && now > self.begun + YIELD {
                self.offer_wanted();
            }
            if now > self.hello_due {
                self.hello_due = now + HELLO_AGAIN;
                self.machine.handle_stream_reopened();
            }
            if now > self.begun + ATTEMPT {
                return Some(Ended::Failed("it did not connect in time".to_owned()));
            }
        }
        if self.restart_due.is_some_and(|due| now >= due) {
            if self.restarts >= RESTARTS {
                return Some(Ended::Failed("nothing came back after several ICE restarts".to_owned()));
            }
            self.restart_due = Some(now + RESTART_BACKOFF * 2u32.pow(self.restarts));
            self.restarts += 1;
            self.restart = true;
            tracing::debug!(peer = %peer.id, count = self.restarts, "ICE restart");
            self.machine.handle_negotiation_needed();
        }
        None
    }

    /// Does what the machine says, until it says nothing more.
    async fn carry_out(&mut self, peer: &mut Peer) -> Option<Ended> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                NegotiationOutput::Send(signal) => peer.shared.tell(MeshEvent::Signal { to: peer.id, signal }).await,
                NegotiationOutput::CreateOffer => {
                    let restart = std::mem::take(&mut self.restart);
                    let offer = self.transport.offer(restart).await;
                    self.describe(peer, offer);
                }
                NegotiationOutput::ApplyOffer { sdp, rollback } => {
                    let answer = self.answer(sdp, rollback).await;
                    self.describe(peer, answer);
                }
                NegotiationOutput::ApplyAnswer { sdp } => {
                    match self.transport.apply_remote(Description { kind: DescriptionKind::Answer, sdp }).await {
                        Ok(()) => self.machine.handle_applied(),
                        Err(error) => self.refuse(peer, &error),
                    }
                }
                NegotiationOutput::AddCandidate(candidate) => {
                    if let Err(error) = self.transport.add_candidate(&candidate.candidate).await {
                        tracing::debug!(peer = %peer.id, %error, "a candidate was not taken");
                    }
                }
                NegotiationOutput::EndOfCandidates => {}
                NegotiationOutput::Verified => self.open(peer).await,
                NegotiationOutput::Mismatch(reason) => return Some(Ended::Mismatch(reason)),
                NegotiationOutput::Failed(
                    error @ (NegotiationError::Transport | NegotiationError::Flood | NegotiationError::OwnDescription),
                ) => {
                    return Some(Ended::Failed(error.to_string()));
                }
                NegotiationOutput::PeerRestarted(signal) => return Some(Ended::ByPeer(Some(Box::new(signal)))),
                NegotiationOutput::Closed => return Some(Ended::ByPeer(None)),
            }
        }
        None
    }

    async fn answer(&self, sdp: String, rollback: bool) -> Result<Description, TransportError> {
        if rollback {
            self.transport.rollback().await?;
        }
        self.transport.apply_remote(Description { kind: DescriptionKind::Offer, sdp }).await?;
        self.transport.answer().await
    }

    fn describe(&mut self, peer: &Peer, made: Result<Description, TransportError>) {
        match made {
            Ok(description) => self.machine.handle_local_description(description.sdp),
            Err(error) => self.refuse(peer, &error),
        }
    }

    fn refuse(&mut self, peer: &Peer, error: &TransportError) {
        tracing::debug!(peer = %peer.id, %error, "the transport refused");
        self.machine.handle_failed();
    }

    /// The certificate is the signed one: media flows.
    async fn open(&mut self, peer: &mut Peer) {
        self.verified = true;
        peer.queue.set_rate(self.transport.stats().estimate_bps);
        peer.queue.open(clock::now());
        self.tasks.spawn(send_all(Arc::clone(&self.transport), Arc::clone(&peer.queue)));
        self.tasks.spawn(receive::run_audio(Arc::clone(&self.transport), peer.voice.clone(), peer.recording.clone()));
        for (_, stream, _, on, _) in &peer.streams {
            let (shared, id) = (Arc::clone(&peer.shared), peer.id);
            let gone = move |stream| shared.tell_now(MeshEvent::StreamGone { peer: id, stream });
            self.tasks.spawn(receive::run_video(Arc::clone(&self.transport), Arc::clone(stream), on.subscribe(), gone));
        }
        peer.shared.want_keyframe(Track::Camera);
        peer.shared.want_keyframe(Track::Screen);
        peer.figures = Figures {
            at: clock::now(),
            pictures: peer.figures.pictures,
            lost_before: peer.figures.lost_before,
            ..Figures::default()
        };
        peer.tell_link(LinkState::Connected).await;
    }
}

/// Empties the queue into the transport. It may wait for as long as the transport makes it: everybody else has a queue of their own.
async fn send_all(transport: Arc<dyn Transport>, queue: Arc<PeerQueue>) {
    loop {
        let sent = match queue.next().await {
            Item::Audio(packet) => transport.send(Track::Audio, packet).await,
            Item::Video(frame) => send_frame(transport.as_ref(), &frame).await,
        };
        match sent {
            Ok(()) => {}
            Err(TransportError::Closed) => return,
            Err(error) => tracing::debug!(%error, "a packet was not sent"),
        }
    }
}

async fn send_frame(transport: &dyn Transport, frame: &super::queue::Frame) -> Result<(), TransportError> {
    let last = frame.packets.len().saturating_sub(1);
    for (i, payload) in frame.packets.iter().enumerate() {
        let packet = OutgoingRtp { timestamp: frame.timestamp, marker: i == last, payload: payload.clone() };
        transport.send(frame.track, packet).await?;
    }
    Ok(())
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
