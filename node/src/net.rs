//! The network of a node: connections, neighbours and long-lived streams of frames.
//!
//! One task owns the libp2p swarm and never awaits I/O; [`Net`] is a cheap handle to it, and what happens comes back as
//! [`NetEvent`]s. This module knows devices, addresses and frames. It must never know a room, judge a member, or hand the bytes
//! of one stream to another.

pub mod address;
mod behaviour;
mod bulk;
mod diagnosis;
mod frames;
mod paths;
mod socket;
mod streams;
mod swarm;
mod transport;

use std::time::Duration;

use conclave_protocol::id::DeviceId;
use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::bulk::{Pace, give_buffer, take_buffer};
pub use self::frames::{FrameReader, FrameWriter, NetStream, SendError, StreamError};
use self::swarm::Ask;
use crate::view::{DiagnosisView, PeerView};

/// Requests that wait for the network task; a caller beyond them waits for room.
const ASKS: usize = 64;
/// Events that wait for the node. When they are full the task holds a few more back and then stops polling the swarm, which slows
/// the peers down and loses nothing.
const EVENTS: usize = 256;
/// Longest wait for a stream to open, protocol negotiation included.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The long-lived streams that two devices may hold with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamName {
    /// Asking to be let into a room. Strangers may open it.
    Knock,
    /// Asking by a code that was spoken. Strangers may open it.
    Speak,
    /// The logs of one room, between members.
    Room,
    /// Presence and call signals of one room, between members.
    Live,
    /// What is said about the files of one room, between members.
    File,
    /// Sealed chunks of the files of one room.
    FileData,
}

impl StreamName {
    /// Every stream, in the order in which they are offered.
    pub const ALL: [Self; 6] = [Self::Room, Self::Live, Self::File, Self::FileData, Self::Knock, Self::Speak];

    /// The name on the wire: `/conclave/<name>/<major>`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Knock => "/conclave/knock/1",
            Self::Speak => "/conclave/speak/1",
            Self::Room => "/conclave/room/1",
            Self::Live => "/conclave/live/1",
            Self::File => "/conclave/file/1",
            Self::FileData => "/conclave/file-data/1",
        }
    }
}

/// What the network needs to know before it starts.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// `ip:port`, `ip` or a multiaddr each; a port of 0 lets the system choose. Empty: every interface, over QUIC and TCP.
    pub listen: Vec<String>,
    /// Ask the LAN for neighbours, and answer those who ask.
    pub mdns: bool,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self { listen: Vec::new(), mdns: true }
    }
}

/// How a connection travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportName {
    Quic,
    Tcp,
    /// Through a relay: slower, and with limits.
    Relay,
}

impl TransportName {
    /// `quic`, `tcp` or `relay`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
            Self::Relay => "relay",
        }
    }
}

/// What happened on the network.
#[derive(Debug)]
pub enum NetEvent {
    /// Where this device listens, each time that changes: an interface came or went.
    Listening(Vec<String>),
    /// mDNS showed a device, or a further address of it. `after_ms`: since the network started.
    Discovered { device: DeviceId, addresses: Vec<String>, after_ms: u64 },
    /// mDNS has not heard of the device for its time to live.
    Expired { device: DeviceId },
    /// The first connection to the device stands.
    Connected { device: DeviceId, transport: TransportName, address: String },
    /// The device is reached by another connection than before, because one of two was closed. Streams on the surviving one stand.
    Moved { device: DeviceId, transport: TransportName, address: String },
    /// No connection to the device is left; every stream with it has ended.
    Disconnected { device: DeviceId },
    /// Time to the device and back, measured by ping.
    Rtt { device: DeviceId, ms: u32 },
    /// The device opened a stream. Dropping it resets it.
    Inbound { device: DeviceId, name: StreamName, stream: NetStream },
    /// An attempt to reach an address failed; `outcome` is a sentence for a person.
    DialFailed { device: Option<DeviceId>, address: String, outcome: String },
}

/// Why the network refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    #[error(transparent)]
    Address(#[from] address::AddressError),
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: String, reason: String },
    /// The device key is unusable, or the system refused what the transport needs.
    #[error("the network could not start: {0}")]
    Start(String),
    #[error("there is no connection to this device")]
    NotConnected,
    /// The device does not offer this stream: another version, or another program.
    #[error("the device does not speak {0}")]
    Unsupported(&'static str),
    #[error("the stream did not open in time")]
    Timeout,
    /// Too many streams wait to be opened on the connection.
    #[error("too many streams are being opened to this device")]
    Busy,
    #[error("the network has stopped")]
    Stopped,
}

/// A handle to the network task. Clones share it; when the last one is dropped, connections are closed and the task ends.
#[derive(Debug, Clone)]
pub struct Net {
    asks: mpsc::Sender<Ask>,
    device: DeviceId,
}

impl Net {
    /// Starts listening and, where asked, looking for neighbours. Needs a tokio runtime around it. `seed` is the device key.
    ///
    /// # Errors
    /// [`NetError::Address`] or [`NetError::Listen`] where one of `config.listen` cannot be used.
    pub fn start(seed: &[u8; 32], config: &NetConfig) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let (asks, asked) = mpsc::channel(ASKS);
        let (events, happened) = mpsc::channel(EVENTS);
        let device = swarm::start(seed, config, asked, events)?;
        Ok((Self { asks, device }, happened))
    }

    /// This device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Opens a stream on the standing connection to `device`. It does not dial: see [`Net::want`] and [`Net::dial`].
    ///
    /// # Errors
    /// [`NetError::NotConnected`], [`NetError::Unsupported`], [`NetError::Busy`], or [`NetError::Timeout`] after 10 s.
    pub async fn open_stream(&self, device: DeviceId, name: StreamName) -> Result<NetStream, NetError> {
        let open = async {
            // A duplicate connection may be closed under the request; the one that is kept then takes it.
            for _ in 0..2 {
                let (reply, answer) = oneshot::channel();
                self.ask(Ask::Open { device, name, reply }).await?;
                match answer.await {
                    Ok(result) => return result,
                    Err(_) => continue,
                }
            }
            Err(NetError::NotConnected)
        };
        tokio::time::timeout(OPEN_TIMEOUT, open).await.unwrap_or(Err(NetError::Timeout))
    }

    /// Tries to reach a device now, once. With `device`, everything that is known of it is tried beside `addresses`, and only
    /// that device is accepted; without, whoever answers there. The outcome comes as an event.
    pub async fn dial(&self, device: Option<DeviceId>, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        self.ask(Ask::Dial { device, addresses }).await
    }

    /// Keeps a connection to `device`, and tries again whenever it is lost: by mDNS, by what the device told of itself, and by
    /// `addresses` (the first 16 are kept).
    pub async fn want(&self, device: DeviceId, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        self.ask(Ask::Want { device, addresses }).await
    }

    /// No longer keeps a connection to `device`; one without streams closes after a while.
    pub async fn unwant(&self, device: DeviceId) -> Result<(), NetError> {
        self.ask(Ask::Unwant { device }).await
    }

    /// Closes every connection to `device` now, and ends what [`Net::want`] began.
    pub async fn disconnect(&self, device: DeviceId) -> Result<(), NetError> {
        self.ask(Ask::Disconnect { device }).await
    }

    /// The relays by which this device is reached from here on, and through which it reaches members; each address ends in `/p2p/…`.
    pub async fn set_relays(&self, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        self.ask(Ask::Relays { addresses }).await
    }

    /// The addresses at which this device listens.
    pub async fn listening(&self) -> Result<Vec<String>, NetError> {
        self.query(|reply| Ask::Listening { reply }).await
    }

    /// Neighbours and connected devices.
    pub async fn peers(&self) -> Result<Vec<PeerView>, NetError> {
        self.query(|reply| Ask::Peers { reply }).await
    }

    /// What the network looks like from here.
    pub async fn diagnosis(&self) -> Result<DiagnosisView, NetError> {
        self.query(|reply| Ask::Diagnosis { reply }).await
    }

    /// Closes every connection so that peers see it at once, and stops. Returns when done, at most 1 s later.
    pub async fn shutdown(&self) {
        // A task that has already stopped has done what is asked.
        let _ = self.query(|reply| Ask::Shutdown { reply }).await;
    }

    async fn ask(&self, ask: Ask) -> Result<(), NetError> {
        self.asks.send(ask).await.map_err(|_| NetError::Stopped)
    }

    async fn query<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, NetError> {
        let (reply, answer) = oneshot::channel();
        self.ask(ask(reply)).await?;
        answer.await.map_err(|_| NetError::Stopped)
    }
}
