//! [`Transport`] over webrtc-rs 0.21: host candidates, and those of the team's servers; one certificate a call, no pacer and no RTX. It never lets the engine's
//! defaults decide about loss, because they were measured to lose calls (see `engine`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceGatheringState, RTCIceServer, RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpSender};
use webrtc_core::media_stream::MediaStreamTrack;
use webrtc_core::peer_connection::configuration::RTCOfferOptions;
use webrtc_core::peer_connection::transport::{RTCDtlsTransportState, RTCIceCandidatePair, RTCIceCandidateType};
use webrtc_core::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use webrtc_core::rtp;
use webrtc_core::rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters};

use super::certificate::fingerprint_of;
use super::engine::{LocalAddresses, chain, codec, kind, media_engine, settings};
use super::tap::Counters;
use super::transport::{
    Description, DescriptionKind, EVENTS, IncomingRtp, OutgoingRtp, Track, Transport, TransportConfig, TransportError,
    TransportEvent, TransportFactory, TransportState, TransportStats,
};
use crate::view::PathView;

/// Host candidates take no time, a server answers within a round trip; what is later follows by itself.
const GATHERING: Duration = Duration::from_millis(500);
/// Makes [`WebRtcTransport`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebRtcFactory;

#[async_trait]
impl TransportFactory for WebRtcFactory {
    async fn connect(
        &self,
        config: TransportConfig,
    ) -> Result<(Arc<dyn Transport>, mpsc::Receiver<TransportEvent>), TransportError> {
        // Boxed, because webrtc's builder makes a future of tens of kilobytes.
        let (transport, events) = Box::pin(WebRtcTransport::connect(config)).await?;
        Ok((Arc::new(transport), events))
    }
}

/// A server that tells a device its address as others see it (STUN, RFC 8489), or relays what it cannot read (TURN, RFC 8656).
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port`, over UDP.
    pub urls: Vec<String>,
    pub username: String,
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Makes [`WebRtcTransport`]s that are reached by servers too, those that are known when one is made.
#[derive(Debug, Clone)]
pub struct ServedFactory(pub watch::Receiver<Vec<IceServer>>);

#[async_trait]
impl TransportFactory for ServedFactory {
    async fn connect(
        &self,
        config: TransportConfig,
    ) -> Result<(Arc<dyn Transport>, mpsc::Receiver<TransportEvent>), TransportError> {
        let (transport, events) = Box::pin(WebRtcTransport::connect_by(config, self.0.clone())).await?;
        Ok((Arc::new(transport), events))
    }
}

/// The path to one peer.
pub struct WebRtcTransport {
    connection: Arc<dyn PeerConnection>,
    own: [OwnTrack; 3],
    inbound: Arc<Inbound>,
    counters: Arc<Counters>,
    gathered: watch::Receiver<bool>,
    handler: Arc<Handler>,
    /// STUN and TURN. Credentials end long before a call does.
    servers: tokio::sync::Mutex<watch::Receiver<Vec<IceServer>>>,
    closed: AtomicBool,
}

/// What this side sends on one track. One `TrackLocalStaticRTP` binds to one connection, so each peer has its own; the payload
/// bytes are shared.
struct OwnTrack {
    track: Track,
    ssrc: u32,
    sequence: AtomicU16,
    /// The negotiated payload type; `NOT_NEGOTIATED` before.
    payload_type: AtomicU32,
    local: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
}

const NOT_NEGOTIATED: u32 = u32::MAX;

/// The peer's tracks, as they show themselves.
struct Inbound {
    tracks: [watch::Sender<Option<Arc<dyn TrackRemote>>>; 3],
}

struct Handler {
    events: mpsc::Sender<TransportEvent>,
    inbound: Arc<Inbound>,
    gathered: watch::Sender<bool>,
    state: watch::Sender<TransportState>,
    /// The description was made: what is gathered from here on is sent by itself.
    described: AtomicBool,
}

impl Handler {
    fn send(&self, event: TransportEvent) {
        // Never awaited: this runs on the engine's loop, which also keeps ICE alive.
        if self.events.try_send(event).is_err() {
            tracing::debug!("transport event dropped: the peer's task is behind or gone");
        }
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if self.described.load(Relaxed)
            && let Ok(candidate) = event.candidate.to_json()
        {
            self.send(TransportEvent::Candidate(candidate.candidate));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connected => TransportState::Connected,
            RTCPeerConnectionState::Disconnected => TransportState::Disconnected,
            RTCPeerConnectionState::Failed => TransportState::Failed,
            RTCPeerConnectionState::Closed => TransportState::Closed,
            _ => TransportState::Connecting,
        };
        if self.state.send_replace(state) != state {
            self.send(TransportEvent::State(state));
        }
    }

    async fn on_track(&self, remote: Arc<dyn TrackRemote>) {
        let id = remote.track_id().await;
        let Some(track) = Track::ALL.into_iter().find(|track| id.starts_with(track.name())) else {
            tracing::debug!("a track of an unknown kind is not read");
            return;
        };
        if let Some(slot) = self.inbound.tracks.get(track.index()) {
            // The first one counts: a peer that declares a second gets no second reader.
            slot.send_if_modified(|slot| {
                let first = slot.is_none();
                if first {
                    *slot = Some(remote);
                }
                first
            });
        }
    }
}

impl WebRtcTransport {
    /// Binds the sockets and prepares the three tracks. Nothing is sent before a description was applied on both sides.
    pub async fn connect(config: TransportConfig) -> Result<(Self, mpsc::Receiver<TransportEvent>), TransportError> {
        Self::connect_by(config, watch::channel(Vec::new()).1).await
    }

    async fn connect_by(
        config: TransportConfig,
        mut served: watch::Receiver<Vec<IceServer>>,
    ) -> Result<(Self, mpsc::Receiver<TransportEvent>), TransportError> {
        let servers = ice_servers(&served.borrow_and_update());
        let (events, receiver) = mpsc::channel(EVENTS);
        let (gathered, gathered_receiver) = watch::channel(false);
        let inbound = Arc::new(Inbound { tracks: std::array::from_fn(|_| watch::channel(None).0) });
        let handler = Arc::new(Handler {
            events: events.clone(),
            inbound: Arc::clone(&inbound),
            gathered,
            state: watch::channel(TransportState::Connecting).0,
            described: AtomicBool::new(false),
        });

        let mut random = [0u8; 24];
        getrandom::fill(&mut random).map_err(engine_error)?;
        let ssrcs = distinct_ssrcs(&random);
        let own_ssrcs = std::array::from_fn(|i| {
            (ssrcs.get(i).copied().unwrap_or_default(), Track::ALL.get(i).copied().unwrap_or(Track::Audio))
        });

        let counters = Arc::new(Counters::default());
        let building = PeerConnectionBuilder::new()
            .with_configuration(
                RTCConfigurationBuilder::default()
                    .with_certificates(vec![config.certificate.webrtc()])
                    .with_ice_servers(servers)
                    .build(),
            )
            .with_media_engine(media_engine()?)
            .with_setting_engine(settings())
            .with_interceptor_registry(chain(&counters, own_ssrcs, events))
            .with_handler(Arc::clone(&handler) as Arc<dyn PeerConnectionEventHandler>)
            .with_udp_addrs(vec![LocalAddresses(config.addresses)])
            .build();
        let connection = Box::pin(building).await.map_err(engine_error)?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);

        // The names of the tracks differ between the two sides: webrtc routes RTCP by the name, in one table for both directions.
        let tag = data_encoding::HEXLOWER.encode(random.get(12..).unwrap_or_default());
        let mut own = Vec::with_capacity(3);
        for (ssrc, track) in own_ssrcs {
            own.push(own_track(connection.as_ref(), track, ssrc, &tag).await?);
        }
        let own: [OwnTrack; 3] = own.try_into().map_err(|_| engine_error("three tracks were not made"))?;
        let transport = Self {
            connection,
            own,
            inbound,
            counters,
            gathered: gathered_receiver,
            handler,
            servers: tokio::sync::Mutex::new(served),
            closed: AtomicBool::new(false),
        };
        Ok((transport, receiver))
    }

    /// The pair that ICE has chosen, and whether the peer's end of it is one that it named as a relay's.
    async fn pair(&self) -> Option<(RTCIceCandidatePair, bool)> {
        let dtls = self.own(Track::Audio)?.sender.transport().await.ok()??;
        let ice = dtls.ice_transport();
        let pair = ice.get_selected_candidate_pair().await.ok()??;
        // A peer's relay that was heard before it was named stands as a reflexive address.
        let remote = pair.remote();
        let named = ice.get_remote_candidates().await.unwrap_or_default();
        let relayed = remote.typ == RTCIceCandidateType::Relay
            || named.iter().any(|other| {
                other.typ == RTCIceCandidateType::Relay && other.address == remote.address && other.port == remote.port
            });
        Some((pair, relayed))
    }

    fn own(&self, track: Track) -> Option<&OwnTrack> {
        self.own.get(track.index())
    }

    /// Waits for the candidates and gives the description that has them.
    async fn described(&self, kind: DescriptionKind) -> Result<Description, TransportError> {
        let mut gathered = self.gathered.clone();
        if tokio::time::timeout(GATHERING, gathered.wait_for(|done| *done)).await.is_err() {
            tracing::debug!("candidates are late; they follow one by one");
        }
        self.handler.described.store(true, Relaxed);
        let description = self.connection.local_description().await.ok_or(TransportError::Closed)?;
        Ok(Description { kind, sdp: description.sdp })
    }

    async fn apply_local(&self, description: RTCSessionDescription) -> Result<(), TransportError> {
        self.handler.gathered.send_replace(false);
        self.handler.described.store(false, Relaxed);
        self.connection.set_local_description(description).await.map_err(engine_error)
    }

    /// What the two sides agreed on for each track; known once both descriptions are applied.
    async fn read_payload_types(&self) {
        for own in &self.own {
            let Ok(parameters) = own.sender.get_parameters().await else { continue };
            let codecs = &parameters.rtp_parameters.codecs;
            let wanted = codec(own.track).rtp_codec.mime_type;
            let chosen = codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(&wanted)).or(codecs.first());
            if let Some(chosen) = chosen {
                own.payload_type.store(u32::from(chosen.payload_type), Relaxed);
            }
        }
    }
}

/// webrtc's loop goes on by itself when nobody holds the connection any more: it would keep its sockets, and answer the peer's checks
/// as if somebody were there.
impl Drop for WebRtcTransport {
    fn drop(&mut self) {
        if !self.closed.swap(true, Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let connection = Arc::clone(&self.connection);
            runtime.spawn(async move {
                if let Err(error) = connection.close().await {
                    tracing::debug!(%error, "closing a media connection that was dropped");
                }
            });
        }
    }
}

fn ice_servers(servers: &[IceServer]) -> Vec<RTCIceServer> {
    let servers = servers.iter().cloned();
    servers.map(|server| RTCIceServer { urls: server.urls, username: server.username, credential: server.password }).collect()
}

fn distinct_ssrcs(random: &[u8; 24]) -> [u32; 3] {
    let mut ssrcs = [0u32; 3];
    for (ssrc, bytes) in ssrcs.iter_mut().zip(random.chunks_exact(4)) {
        *ssrc = u32::from_be_bytes(bytes.try_into().unwrap_or_default());
    }
    // The two lowest bits keep them apart, and from zero, whatever was drawn.
    for (i, ssrc) in (1u32..).zip(ssrcs.iter_mut()) {
        *ssrc = (*ssrc & !3) | i;
    }
    ssrcs
}

async fn own_track(connection: &dyn PeerConnection, track: Track, ssrc: u32, tag: &str) -> Result<OwnTrack, TransportError> {
    let codec = codec(track).rtp_codec;
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        active: true,
        codec,
        ..Default::default()
    };
    let id = format!("{}-{tag}", track.name());
    let local = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        format!("conclave-{tag}"),
        id.clone(),
        id,
        kind(track),
        vec![coding.clone()],
    )));
    let init = RTCRtpTransceiverInit {
        direction: RTCRtpTransceiverDirection::Sendrecv,
        streams: vec![format!("conclave-{tag}")],
        send_encodings: vec![coding],
    };
    let transceiver = connection
        .add_transceiver_from_track(Arc::clone(&local) as Arc<dyn TrackLocal>, Some(init))
        .await
        .map_err(engine_error)?;
    let sender = transceiver.sender().await.map_err(engine_error)?.ok_or_else(|| engine_error("a track without a sender"))?;
    // The first sequence number is below 2^15, so that SRTP's rollover counter starts well (RFC 3711, section 3.3.1).
    let sequence = AtomicU16::new((ssrc >> 8) as u16 & 0x7fff);
    Ok(OwnTrack { track, ssrc, sequence, payload_type: AtomicU32::new(NOT_NEGOTIATED), local, sender })
}

#[async_trait]
impl Transport for WebRtcTransport {
    async fn offer(&self, ice_restart: bool) -> Result<Description, TransportError> {
        let offer = self.connection.create_offer(Some(RTCOfferOptions { ice_restart })).await.map_err(engine_error)?;
        self.apply_local(offer).await?;
        self.described(DescriptionKind::Offer).await
    }

    async fn answer(&self) -> Result<Description, TransportError> {
        let answer = self.connection.create_answer(None).await.map_err(engine_error)?;
        self.apply_local(answer).await?;
        self.read_payload_types().await;
        self.described(DescriptionKind::Answer).await
    }

    async fn rollback(&self) -> Result<(), TransportError> {
        let rollback = RTCSessionDescription::rollback(None).map_err(engine_error)?;
        self.connection.set_local_description(rollback).await.map_err(engine_error)
    }

    async fn apply_remote(&self, description: Description) -> Result<(), TransportError> {
        let answered = description.kind == DescriptionKind::Answer;
        let description = match description.kind {
            DescriptionKind::Offer => RTCSessionDescription::offer(description.sdp),
            DescriptionKind::Answer => RTCSessionDescription::answer(description.sdp),
        }
        .map_err(refused)?;
        self.connection.set_remote_description(description).await.map_err(refused)?;
        if answered {
            self.read_payload_types().await;
        }
        Ok(())
    }

    async fn add_candidate(&self, candidate: &str) -> Result<(), TransportError> {
        let candidate = RTCIceCandidateInit { candidate: candidate.to_owned(), sdp_mline_index: Some(0), ..Default::default() };
        self.connection.add_ice_candidate(candidate).await.map_err(refused)
    }

    async fn remote_fingerprint(&self) -> Option<[u8; 32]> {
        let sender = &self.own(Track::Audio)?.sender;
        let certificates = sender.transport().await.ok()??.get_remote_certificates().await.ok()?;
        fingerprint_of(certificates.first()?).ok()
    }

    async fn state(&self) -> TransportState {
        if self.closed.load(Relaxed) {
            return TransportState::Closed;
        }
        // The engine calls a connection whose DTLS the peer has closed `connected` until ICE hears nothing more.
        if let Some(own) = self.own(Track::Audio)
            && let Ok(Some(dtls)) = own.sender.transport().await
            && let Ok(state) = dtls.state().await
            && matches!(state, RTCDtlsTransportState::Closed | RTCDtlsTransportState::Failed)
        {
            return TransportState::Closed;
        }
        *self.handler.state.borrow()
    }

    async fn send(&self, track: Track, packet: OutgoingRtp) -> Result<(), TransportError> {
        let own = self.own(track).ok_or(TransportError::Closed)?;
        let Ok(payload_type) = u8::try_from(own.payload_type.load(Relaxed)) else {
            return Err(TransportError::Engine("nothing was negotiated yet".to_owned()));
        };
        let header = rtp::Header {
            version: 2,
            marker: packet.marker,
            payload_type,
            sequence_number: own.sequence.fetch_add(1, Relaxed),
            timestamp: packet.timestamp,
            ssrc: own.ssrc,
            ..Default::default()
        };
        own.local.write_rtp(rtp::Packet { header, payload: packet.payload }).await.map_err(|_| TransportError::Closed)
    }

    async fn receive(&self, track: Track) -> Option<IncomingRtp> {
        let mut slot = self.inbound.tracks.get(track.index())?.subscribe();
        let remote = slot.wait_for(Option::is_some).await.ok()?.clone()?;
        loop {
            match remote.poll().await? {
                TrackRemoteEvent::OnRtpPacket(packet) => {
                    return Some(IncomingRtp {
                        sequence: packet.header.sequence_number,
                        timestamp: packet.header.timestamp,
                        payload: packet.payload,
                    });
                }
                TrackRemoteEvent::OnEnded => return None,
                _ => {}
            }
        }
    }

    async fn request_keyframe(&self, track: Track) {
        let Some(slot) = self.inbound.tracks.get(track.index()) else { return };
        let remote = slot.borrow().clone();
        let Some(remote) = remote else { return };
        if let Some(media_ssrc) = remote.ssrcs().await.first().copied() {
            let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc };
            if remote.write_rtcp(vec![Box::new(pli)]).await.is_err() {
                tracing::debug!("keyframe request not sent: the connection is gone");
            }
        }
    }

    fn stats(&self) -> TransportStats {
        self.counters.stats()
    }

    async fn path(&self) -> Option<PathView> {
        let (pair, remote_relayed) = self.pair().await?;
        if remote_relayed || pair.local().typ == RTCIceCandidateType::Relay {
            return Some(PathView::Relay);
        }
        pair.remote().address.parse().ok().map(PathView::to)
    }

    async fn take_servers(&self) -> bool {
        let mut served = self.servers.lock().await;
        if !served.has_changed().unwrap_or(false) {
            return false;
        }
        let servers = ice_servers(&served.borrow_and_update());
        if servers.is_empty() {
            // What stands goes on until its credentials end.
            return false;
        }
        let configuration = RTCConfigurationBuilder::default().with_ice_servers(servers).build();
        if let Err(error) = self.connection.set_configuration(configuration).await {
            tracing::warn!(%error, "newer credentials for the relay of media were not taken");
            return false;
        }
        // Those of an allocation that carries nothing are of use to the next ICE restart at the earliest.
        self.pair().await.is_some_and(|(pair, _)| pair.local().typ == RTCIceCandidateType::Relay)
    }

    async fn close(&self) {
        if self.closed.swap(true, Relaxed) {
            return;
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "closing a media connection");
        }
    }
}

pub(super) fn engine_error(error: impl std::fmt::Display) -> TransportError {
    TransportError::Engine(error.to_string())
}

fn refused(error: impl std::fmt::Display) -> TransportError {
    TransportError::Description(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_streams_never_share_an_ssrc() {
        let ssrcs = distinct_ssrcs(&[7; 24]);
        assert!(ssrcs[0] != ssrcs[1] && ssrcs[1] != ssrcs[2] && ssrcs[0] != ssrcs[2]);
    }
}
