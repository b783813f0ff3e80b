//! What a media path to one peer must offer, whatever implements it. It carries RTP and keyframe requests; it never learns what is in
//! a payload, and decides nothing about who may be spoken to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::certificate::CallCertificate;
use crate::view::PathView;

/// The three streams of a connection. All are negotiated from the start, so that muting, a camera or a share needs no new offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    Audio,
    Camera,
    Screen,
}

impl Track {
    pub const ALL: [Track; 3] = [Track::Audio, Track::Camera, Track::Screen];

    /// Ticks of the RTP timestamp a second (RFC 7587 for opus, RFC 3551 for video).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Audio => 48_000,
            Self::Camera | Self::Screen => 90_000,
        }
    }

    /// How the track is named in a session description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Camera => "camera",
            Self::Screen => "screen",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Audio => 0,
            Self::Camera => 1,
            Self::Screen => 2,
        }
    }

    /// The RTP timestamp of a moment on the media clock. It wraps about every 13 hours, as RTP timestamps do.
    pub fn timestamp(self, at: Duration) -> u32 {
        // Truncation is the wrap.
        (at.as_micros() * u128::from(self.clock_rate()) / 1_000_000) as u32
    }
}

/// Which side of an exchange a session description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptionKind {
    Offer,
    Answer,
}

/// A session description (RFC 8866), with every candidate that was known when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub kind: DescriptionKind,
    pub sdp: String,
}

/// How the path stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportState {
    Connecting,
    /// ICE and the DTLS handshake are through. The certificate is there to be compared; nothing was compared yet.
    Connected,
    /// Nothing was heard for a few seconds; it may come back by itself.
    Disconnected,
    /// It does not come back without an ICE restart.
    Failed,
    /// Ended, by this side or the other.
    Closed,
}

/// What happened on the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    State(TransportState),
    /// A local candidate that came too late for the description.
    Candidate(String),
    /// The peer lost a picture of this track, or has just begun to watch it.
    KeyframeWanted(Track),
}

/// An RTP packet to send: the transport adds SSRC, sequence number, payload type and header extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRtp {
    pub timestamp: u32,
    /// The last packet of a video frame, or the first of a talk spurt.
    pub marker: bool,
    pub payload: Bytes,
}

/// An RTP packet that arrived, decrypted and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingRtp {
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Bytes,
}

/// Counters of a path since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TransportStats {
    /// From the newest receiver report.
    pub rtt: Option<Duration>,
    /// RTP packets put on the wire, retransmissions included.
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    /// Packets of the peer that were missing and not recovered, by this side's receiver reports.
    pub packets_lost: u64,
    /// What the congestion controller thinks the path carries towards the peer, in bits per second.
    pub estimate_bps: u64,
    /// How long packets wait on their way to the peer, beyond the shortest way.
    pub queue: Duration,
    /// A queue has shown what the path carries: the estimate is no guess.
    pub full: bool,
    /// Share of packets that the peer reported missing lately, 0 to 1.
    pub loss_sent: f32,
    /// Packets that this side asked for again.
    pub nacks_sent: u64,
    /// Packets that the peer asked for again.
    pub nacks_received: u64,
}

/// Why the transport refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The peer's description or candidate cannot be used.
    #[error("the session description cannot be used: {0}")]
    Description(String),
    /// No socket, or the engine failed.
    #[error("the media connection failed: {0}")]
    Engine(String),
    /// It was closed, or its engine stopped.
    #[error("the media connection is closed")]
    Closed,
}

/// Everything a transport is made of.
#[derive(Clone)]
pub struct TransportConfig {
    /// One for the device and the call.
    pub certificate: Arc<CallCertificate>,
    /// Local addresses to bind; every usable interface, enumerated anew at each bind, where absent.
    pub addresses: Option<Vec<IpAddr>>,
}

/// Events wait here for the peer's task. A transport has a few dozen in its life; when the task stands still, further ones are
/// dropped and counted in the log, and the state is read again by [`Transport::state`].
pub const EVENTS: usize = 256;

/// Makes transports, so that the engine can be another one and a test can bend it.
#[async_trait]
pub trait TransportFactory: Send + Sync + 'static {
    async fn connect(
        &self,
        config: TransportConfig,
    ) -> Result<(Arc<dyn Transport>, mpsc::Receiver<TransportEvent>), TransportError>;
}

/// A media path to one peer. Every method may be called from any task; none blocks the thread.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes an offer and applies it locally. `ice_restart` takes new credentials and new sockets.
    async fn offer(&self, ice_restart: bool) -> Result<Description, TransportError>;
    /// Answers the offer that was applied last, and applies the answer locally.
    async fn answer(&self) -> Result<Description, TransportError>;
    /// Withdraws the own offer, so that the peer's can be applied.
    async fn rollback(&self) -> Result<(), TransportError>;
    async fn apply_remote(&self, description: Description) -> Result<(), TransportError>;
    /// A candidate line of the peer, `candidate:…`.
    async fn add_candidate(&self, candidate: &str) -> Result<(), TransportError>;
    /// SHA-256 of the certificate that the peer proved to hold in the DTLS handshake; `None` before it.
    async fn remote_fingerprint(&self) -> Option<[u8; 32]>;
    async fn state(&self) -> TransportState;
    /// Queues one packet. Waits while the engine's queue is full: a task for each peer calls it, and nobody else waits.
    async fn send(&self, track: Track, packet: OutgoingRtp) -> Result<(), TransportError>;
    /// The next packet of the track; `None` once the transport is closed. Cancel safe.
    async fn receive(&self, track: Track) -> Option<IncomingRtp>;
    /// Asks the peer for a keyframe (RFC 4585 PLI). Does nothing before the first packet of the track.
    async fn request_keyframe(&self, track: Track);
    fn stats(&self) -> TransportStats;
    /// By which way packets go now; `None` before ICE has chosen.
    async fn path(&self) -> Option<PathView> {
        None
    }
    /// Takes over what is newer of servers and credentials. True where this side's end of the path is at a relay: a negotiation then
    /// carries the new credential to it, on the same allocation (RFC 8656, section 7).
    async fn take_servers(&self) -> bool {
        false
    }
    /// Tells the peer and frees the sockets, in about 100 ms at most. Idempotent.
    async fn close(&self);
}
