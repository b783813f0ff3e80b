//! One attempt to connect, and the connection that comes of it. It carries out what the negotiation machine says; nothing is sent to
//! the peer's tracks, and nothing of theirs is read, before the machine has found the certificate to be the signed one.

use std::sync::Arc;
use std::time::Duration;

use conclave_media::clock;
use conclave_protocol::negotiation::{
    Candidate, DescriptionKind as Kind, MismatchReason, Negotiation, NegotiationConfig, NegotiationError, NegotiationOutput,
    Signal, SignalBody,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::mesh::MeshEvent;
use super::peer::{Peer, PeerCommand};
use super::queue::{Frame, Item, PeerQueue};
use super::receive;
use super::transport::{
    Description, DescriptionKind, OutgoingRtp, Track, Transport, TransportError, TransportEvent, TransportState,
};
use crate::view::LinkState;

/// The device that yields leaves the first offer to the other for this long, which saves both a rollback on most paths. Two offers that
/// cross cost one round trip and nothing else.
const YIELD: Duration = Duration::from_millis(250);
/// An opening that was not answered is repeated: the other side may not have been there yet. Doubled from the first to the second, so
/// that the descriptions which are repeated with it stay within what a peer takes.
const HELLO_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// An attempt that does not connect in this time is thrown away.
const ATTEMPT: Duration = Duration::from_secs(12);
/// Between two ICE restarts of one attempt; doubled each time.
const RESTART_BACKOFF: Duration = Duration::from_secs(3);
/// After so many restarts in vain, everything begins anew.
const RESTARTS: u32 = 3;
/// How often figures are told.
const STATS: Duration = Duration::from_secs(1);
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Packets a second, over a whole second, that no honest peer sends: a screen and a camera at their most, all of it sent twice, are
/// not half of it.
const FLOOD: u64 = 2_000;

/// How an attempt ended.
pub(super) enum Ended {
    /// By our own wish.
    Closed,
    /// The other side has closed it, or begun anew with this signal.
    ByPeer(Option<Box<Signal>>),
    Failed(String),
    /// The peer sends more than any honest one.
    Flood,
    Mismatch(MismatchReason),
}

/// One connection and its machine.
pub(super) struct Attempt {
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
    hello_wait: Duration,
    verified: bool,
    /// The certificate of the handshake.
    handshake: Option<[u8; 32]>,
    offered: bool,
}

impl Attempt {
    pub(super) fn new(peer: &Peer, transport: Arc<dyn Transport>) -> Self {
        let config = NegotiationConfig {
            device: Arc::clone(&peer.shared.me),
            room: peer.shared.room,
            call: peer.shared.call,
            peer: peer.id,
            fingerprint: *peer.shared.certificate.fingerprint(),
        };
        Self {
            machine: Negotiation::new(config, clock::now(), &mut rand_core::UnwrapErr(getrandom::SysRng)),
            transport,
            tasks: JoinSet::new(),
            state: TransportState::Connecting,
            restart: false,
            restarts: 0,
            restart_due: None,
            begun: clock::now(),
            hello_due: clock::now() + HELLO_AGAIN.0,
            hello_wait: HELLO_AGAIN.0,
            verified: false,
            handshake: None,
            offered: false,
        }
    }

    /// Until the connection is over.
    pub(super) async fn run(
        &mut self,
        peer: &mut Peer,
        mut events: mpsc::Receiver<TransportEvent>,
        opening: Option<Signal>,
    ) -> Ended {
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
                        let packets = peer.tell_stats(self.transport.as_ref()).await;
                        if packets > FLOOD {
                            return Ended::Flood;
                        }
                        if self.transport.take_servers().await {
                            self.note(peer, "newer credentials for the relay");
                            self.machine.handle_negotiation_needed();
                        }
                        // One handshake a connection: a second one with another certificate is not taken over in silence.
                        if self.transport.remote_fingerprint().await.is_some_and(|seen| Some(seen) != self.handshake) {
                            return Ended::Mismatch(MismatchReason::Handshake);
                        }
                    }
                    if self.transport.state().await == TransportState::Closed {
                        return Ended::ByPeer(None);
                    }
                },
            }
        }
    }

    /// Readers and writers first: nothing of this connection is played or sent after its end. Then the goodbye.
    pub(super) async fn end(mut self, peer: &Peer, ended: &Ended) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        if !matches!(ended, Ended::ByPeer(_)) {
            self.machine.close();
            while let Some(output) = self.machine.poll_output() {
                if let NegotiationOutput::Send(signal) = output {
                    peer.shared.tell(MeshEvent::Signal { to: peer.id, signal }).await;
                }
            }
        }
    }

    /// How far the attempt has come, for whoever asks what connecting took.
    fn note(&self, peer: &Peer, step: &'static str) {
        let elapsed_ms = clock::now().saturating_sub(self.begun).as_millis() as u64;
        tracing::debug!(peer = %peer.id, elapsed_ms, step, "connecting");
    }

    fn offer_wanted(&mut self) {
        self.offered = true;
        self.machine.handle_negotiation_needed();
    }

    fn handle_signal(&mut self, peer: &Peer, signal: Signal) {
        if !self.verified {
            self.note(peer, heard(&signal));
        }
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
                        self.note(peer, "connected");
                        self.restart_due = None;
                        self.restarts = 0;
                        self.look_for_handshake(peer).await;
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

    /// The certificate is there a moment after the engine says that it is connected, and what it says may be lost.
    async fn look_for_handshake(&mut self, peer: &Peer) {
        if self.handshake.is_none()
            && let Some(fingerprint) = self.transport.remote_fingerprint().await
        {
            self.handshake = Some(fingerprint);
            peer.shared.with_ledger(|ledger| self.machine.handle_handshake(fingerprint, ledger));
        }
    }

    async fn handle_tick(&mut self, peer: &mut Peer) -> Option<Ended> {
        let now = clock::now();
        peer.tell_first_frames().await;
        self.look_for_handshake(peer).await;
        if self.verified {
            peer.follow(self.transport.as_ref());
        } else {
            if !self.offered && now > self.begun + YIELD {
                self.offer_wanted();
            }
            if now > self.hello_due {
                self.hello_wait = (self.hello_wait * 2).min(HELLO_AGAIN.1);
                self.hello_due = now + self.hello_wait;
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
            if self.restarts > 1 {
                // The stream may have broken with the last offer on it.
                self.machine.handle_stream_reopened();
            }
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
                    self.note(peer, "offering");
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
        self.note(peer, "verified");
        self.verified = true;
        peer.queue.set_rate(self.transport.stats().estimate_bps);
        peer.queue.open(clock::now());
        self.tasks.spawn(send_all(Arc::clone(&self.transport), Arc::clone(&peer.queue)));
        self.tasks.spawn(receive::run_audio(
            peer.id,
            peer.shared.keys.clone(),
            Arc::clone(&self.transport),
            peer.voice.clone(),
            Arc::clone(&peer.shared.speaker),
            peer.recording.clone(),
        ));
        for stream in &peer.streams {
            let (shared, id) = (Arc::clone(&peer.shared), peer.id);
            let gone = move |stream| shared.tell_now(MeshEvent::StreamGone { peer: id, stream });
            self.tasks.spawn(receive::run_video(
                Arc::clone(&self.transport),
                Arc::clone(&stream.video),
                stream.on.subscribe(),
                gone,
            ));
        }
        peer.shared.greet_newcomer();
        peer.begin_figures();
        peer.tell_link(LinkState::Connected).await;
    }
}

/// The log's word for a signal.
fn heard(signal: &Signal) -> &'static str {
    match &signal.body {
        SignalBody::Hello(_) => "heard a hello",
        SignalBody::Description(description) if description.kind == Kind::Offer => "heard an offer",
        SignalBody::Description(_) => "heard an answer",
        SignalBody::Candidate(_) | SignalBody::EndOfCandidates(_) => "heard a candidate",
        SignalBody::Bye(_) | SignalBody::Unknown(_) => "heard something else",
    }
}

/// Empties the queue into the transport. It may wait for as long as the transport makes it: everybody else has a queue of their own.
async fn send_all(transport: Arc<dyn Transport>, queue: Arc<PeerQueue>) {
    // When the path has taken the video that was sent.
    let mut due = tokio::time::Instant::now();
    loop {
        let sent = match queue.next().await {
            Item::Audio(packet) => transport.send(Track::Audio, packet).await,
            Item::Video(frame) => send_frame(transport.as_ref(), &queue, &frame, &mut due).await,
        };
        match sent {
            Ok(()) => {}
            Err(TransportError::Closed) => return,
            Err(error) => tracing::debug!(%error, "a packet was not sent"),
        }
    }
}

/// Longest that a voice packet waits while a frame is paced.
const PACE_STEP: Duration = Duration::from_millis(5);

/// Voice goes between the packets of a frame.
async fn send_frame(
    transport: &dyn Transport,
    queue: &PeerQueue,
    frame: &Frame,
    due: &mut tokio::time::Instant,
) -> Result<(), TransportError> {
    let last = frame.packets.len().saturating_sub(1);
    for (i, payload) in frame.packets.iter().enumerate() {
        loop {
            while let Some(voice) = queue.next_audio() {
                transport.send(Track::Audio, voice).await?;
            }
            let now = tokio::time::Instant::now();
            // Less than a step is not worth a sleep: timers are no finer.
            if *due <= now + PACE_STEP {
                *due = (*due).max(now) + queue.pace(payload.len());
                break;
            }
            tokio::time::sleep(PACE_STEP).await;
        }
        let packet = OutgoingRtp { timestamp: frame.timestamp, marker: i == last, payload: payload.clone() };
        transport.send(frame.track, packet).await?;
    }
    Ok(())
}
