//! Long-lived streams on libp2p connections: opening on a connection of our choice, and accepting within limits. It must never
//! queue more for a peer than its limits allow, and never read a byte of a stream.
//!
//! A behaviour of our own beside `libp2p-stream`, which opens on a random one of several connections, drops inbound streams while
//! its reader is busy, counts none and cannot tell which connection carries a stream.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use conclave_protocol::id::DeviceId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, Stream};
use tokio::sync::oneshot;

use super::address::{device_of, ip};
use super::frames::NetStream;
use super::{NetError, StreamName};

/// Streams of one peer that may stand at once because it opened them. One more is reset.
const INBOUND_PER_PEER: usize = 96;
/// Knocks and questions for spoken codes of one peer that may stand at once: strangers open these.
const KNOCKS_PER_PEER: usize = 4;
/// Streams that all peers together may have opened.
const INBOUND_TOTAL: usize = 1_024;
/// Streams that a peer may open in one go …
const BURST: f64 = 96.0;
/// … and each second from there on.
const REFILL_PER_SECOND: f64 = 8.0;
/// Refused streams that make a flood of it: the peer's connections are closed and it stays away for [`BAN`].
const REFUSED_FOR_BAN: u32 = 256;
/// Connections from one address that are being authenticated at once, so that one machine cannot take every place there is.
const PENDING_PER_ADDRESS: usize = 16;
/// How long a peer that flooded is not let in.
const BAN: Duration = Duration::from_secs(60);
/// Peers whose ban is remembered; the earliest gives way.
const BANS: usize = 1_024;
/// Streams that wait to be opened on one connection.
const OUTBOUND_PENDING: usize = 64;

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// What one peer uses, over all its connections.
#[derive(Debug)]
struct PeerUse {
    inbound: AtomicUsize,
    knocks: AtomicUsize,
    refused: AtomicU32,
    bucket: Mutex<Bucket>,
    /// Its connections are kept without any stream.
    kept: AtomicBool,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl PeerUse {
    fn new() -> Self {
        Self {
            inbound: AtomicUsize::new(0),
            knocks: AtomicUsize::new(0),
            refused: AtomicU32::new(0),
            bucket: Mutex::new(Bucket { tokens: BURST, filled: Instant::now() }),
            kept: AtomicBool::new(false),
        }
    }

    fn take_token(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(bucket.filled);
        bucket.tokens = (bucket.tokens + since.as_secs_f64() * REFILL_PER_SECOND).min(BURST);
        bucket.filled = now;
        if bucket.tokens >= BURST {
            // Quiet for long enough: what was refused before is not held against it.
            self.refused.store(0, Ordering::Relaxed);
        }
        let taken = bucket.tokens >= 1.0;
        if taken {
            bucket.tokens -= 1.0;
        }
        taken
    }
}

/// Counts one standing stream until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    connection: Arc<AtomicUsize>,
    inbound: Option<Inbound>,
}

#[derive(Debug)]
struct Inbound {
    peer: Arc<PeerUse>,
    total: Arc<AtomicUsize>,
    knock: bool,
}

impl StreamGuard {
    fn outbound(connection: &Arc<AtomicUsize>) -> Self {
        connection.fetch_add(1, Ordering::Relaxed);
        Self { connection: connection.clone(), inbound: None }
    }

    /// `None` where a limit is reached.
    fn inbound(connection: &Arc<AtomicUsize>, peer: &Arc<PeerUse>, total: &Arc<AtomicUsize>, name: StreamName) -> Option<Self> {
        let knock = matches!(name, StreamName::Knock | StreamName::Speak);
        // Counters go up first and down again by Drop, so that connections which race cannot pass a limit together.
        connection.fetch_add(1, Ordering::Relaxed);
        let others = peer.inbound.fetch_add(1, Ordering::Relaxed);
        let knocks = if knock { peer.knocks.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let all = total.fetch_add(1, Ordering::Relaxed);
        let guard =
            Self { connection: connection.clone(), inbound: Some(Inbound { peer: peer.clone(), total: total.clone(), knock }) };
        let within = others < INBOUND_PER_PEER && knocks < KNOCKS_PER_PEER && all < INBOUND_TOTAL;
        (within && peer.take_token(Instant::now())).then_some(guard)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.connection.fetch_sub(1, Ordering::Relaxed);
        if let Some(inbound) = &self.inbound {
            inbound.peer.inbound.fetch_sub(1, Ordering::Relaxed);
            inbound.total.fetch_sub(1, Ordering::Relaxed);
            if inbound.knock {
                inbound.peer.knocks.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// A request to open a stream, on its way to the connection.
#[derive(Debug)]
pub(crate) struct OpenStream {
    name: StreamName,
    reply: oneshot::Sender<Result<NetStream, NetError>>,
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct InboundStream {
    pub(crate) device: DeviceId,
    pub(crate) name: StreamName,
    pub(crate) stream: NetStream,
}

/// The behaviour. Its events are bounded by [`INBOUND_TOTAL`], its requests by [`OUTBOUND_PENDING`] a connection.
pub(crate) struct Streams {
    peers: BTreeMap<PeerId, (Arc<PeerUse>, usize)>,
    connections: HashMap<ConnectionId, Arc<AtomicUsize>>,
    kept: BTreeSet<PeerId>,
    banned: VecDeque<(PeerId, Instant)>,
    /// Incoming connections before they are authenticated; their number is limited before they come here.
    pending: HashMap<ConnectionId, IpAddr>,
    total: Arc<AtomicUsize>,
    events: VecDeque<ToSwarm<InboundStream, OpenStream>>,
    waker: Option<Waker>,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self {
            peers: BTreeMap::new(),
            connections: HashMap::new(),
            kept: BTreeSet::new(),
            banned: VecDeque::new(),
            pending: HashMap::new(),
            total: Arc::new(AtomicUsize::new(0)),
            events: VecDeque::new(),
            waker: None,
        }
    }

    /// Opens a stream on one connection. Where that connection closes first, `reply` is dropped.
    pub(crate) fn open(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        name: StreamName,
        reply: oneshot::Sender<Result<NetStream, NetError>>,
    ) {
        let event = OpenStream { name, reply };
        self.events.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler: NotifyHandler::One(connection), event });
        self.wake();
    }

    /// Streams that stand on a connection, or are being opened from here.
    pub(crate) fn live(&self, connection: ConnectionId) -> usize {
        self.connections.get(&connection).map_or(0, |live| live.load(Ordering::Relaxed))
    }

    /// Whether connections to the peer are kept when no stream stands on them.
    pub(crate) fn keep(&mut self, peer: PeerId, keep: bool) {
        if keep {
            self.kept.insert(peer);
        } else {
            self.kept.remove(&peer);
        }
        if let Some((peer_use, _)) = self.peers.get(&peer) {
            peer_use.kept.store(keep, Ordering::Relaxed);
        }
    }

    fn admit(&mut self, peer: PeerId, connection: ConnectionId) -> Result<Handler, ConnectionDenied> {
        let Some(device) = device_of(&peer) else { return Err(ConnectionDenied::new(NotADevice)) };
        let now = Instant::now();
        self.banned.retain(|(_, until)| *until > now);
        if self.banned.iter().any(|(banned, _)| *banned == peer) {
            return Err(ConnectionDenied::new(Banned));
        }
        // A connection that another behaviour denies leaves this count behind; it is dropped with the peer's last connection.
        let peer_use = self.peers.entry(peer).or_insert_with(|| (Arc::new(PeerUse::new()), 0)).0.clone();
        peer_use.kept.store(self.kept.contains(&peer), Ordering::Relaxed);
        let live = self.connections.entry(connection).or_default().clone();
        Ok(Handler {
            device,
            peer: peer_use,
            live,
            total: self.total.clone(),
            opening: 0,
            wanted: VecDeque::new(),
            happened: VecDeque::new(),
        })
    }

    fn forget_if_unused(&mut self, peer: PeerId) {
        if self.peers.get(&peer).is_some_and(|(_, connections)| *connections == 0) {
            self.peers.remove(&peer);
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The peer's key is no device key.
#[derive(Debug, thiserror::Error)]
#[error("the peer has no Ed25519 key")]
struct NotADevice;

/// The peer flooded a moment ago.
#[derive(Debug, thiserror::Error)]
#[error("the peer opened too many streams")]
struct Banned;

/// Too many connections from one address are being authenticated.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from one address at once")]
struct Crowded;

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = InboundStream;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(ip) = ip(remote) else { return Ok(()) };
        if self.pending.values().filter(|pending| **pending == ip).count() >= PENDING_PER_ADDRESS {
            return Err(ConnectionDenied::new(Crowded));
        }
        self.pending.insert(connection, ip);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                self.pending.remove(&established.connection_id);
                if let Some((_, connections)) = self.peers.get_mut(&established.peer_id) {
                    *connections += 1;
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.remove(&closed.connection_id);
                if let Some((_, connections)) = self.peers.get_mut(&closed.peer_id) {
                    *connections = connections.saturating_sub(1);
                }
                self.forget_if_unused(closed.peer_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.connections.remove(&failure.connection_id);
                if let Some(peer) = failure.peer_id {
                    self.forget_if_unused(peer);
                }
            }
            FromSwarm::ListenFailure(failure) => {
                self.pending.remove(&failure.connection_id);
                self.connections.remove(&failure.connection_id);
                if let Some(peer) = failure.peer_id {
                    self.forget_if_unused(peer);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            HandlerEvent::Inbound(inbound) => self.events.push_back(ToSwarm::GenerateEvent(inbound)),
            HandlerEvent::Flood => {
                tracing::info!(device = ?device_of(&peer), "a peer opened too many streams and is sent away");
                if self.banned.len() >= BANS {
                    self.banned.pop_front();
                }
                self.banned.push_back((peer, Instant::now() + BAN));
                self.events.push_back(ToSwarm::CloseConnection { peer_id: peer, connection: CloseConnection::All });
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// One connection's side of the behaviour.
pub(crate) struct Handler {
    device: DeviceId,
    peer: Arc<PeerUse>,
    live: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
    /// Streams that are being negotiated from here.
    opening: usize,
    wanted: VecDeque<(OpenStream, StreamGuard)>,
    happened: VecDeque<HandlerEvent>,
}

/// Nearly all of them are streams, and few wait: a box would be one more allocation for each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum HandlerEvent {
    Inbound(InboundStream),
    Flood,
}

impl Handler {
    fn accept(&mut self, stream: Stream, name: StreamName) {
        if let Some(guard) = StreamGuard::inbound(&self.live, &self.peer, &self.total, name) {
            let stream = NetStream::new(self.device, name, stream, guard);
            self.happened.push_back(HandlerEvent::Inbound(InboundStream { device: self.device, name, stream }));
            return;
        }
        drop(stream);
        if self.peer.refused.fetch_add(1, Ordering::Relaxed) + 1 == REFUSED_FOR_BAN {
            self.happened.push_back(HandlerEvent::Flood);
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = OpenStream;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Named;
    type OutboundProtocol = Named;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = (OpenStream, StreamGuard);

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        SubstreamProtocol::new(Named(StreamName::ALL.to_vec()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.peer.kept.load(Ordering::Relaxed)
    }

    fn on_behaviour_event(&mut self, open: OpenStream) {
        if self.opening + self.wanted.len() >= OUTBOUND_PENDING {
            // The caller may have stopped waiting; then nobody needs the answer.
            let _ = open.reply.send(Err(NetError::Busy));
            return;
        }
        self.wanted.push_back((open, StreamGuard::outbound(&self.live)));
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, Self::InboundOpenInfo, Self::OutboundOpenInfo>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, name), .. }) => {
                self.accept(stream, name);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, name),
                info: (open, guard),
            }) => {
                self.opening = self.opening.saturating_sub(1);
                // A caller that has stopped waiting drops the stream with its answer.
                let _ = open.reply.send(Ok(NetStream::new(self.device, name, stream, guard)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: (open, _), error }) => {
                self.opening = self.opening.saturating_sub(1);
                let error = match error {
                    StreamUpgradeError::Timeout => NetError::Timeout,
                    StreamUpgradeError::NegotiationFailed => NetError::Unsupported(open.name.as_str()),
                    StreamUpgradeError::Io(_) => NetError::NotConnected,
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = open.reply.send(Err(error));
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        if let Some(event) = self.happened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        while let Some((open, guard)) = self.wanted.pop_front() {
            if open.reply.is_closed() {
                continue;
            }
            self.opening += 1;
            let upgrade = Named(vec![open.name]);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(upgrade, (open, guard)),
            });
        }
        // The connection polls again after every event it hands in.
        Poll::Pending
    }
}

/// Negotiates one of the named streams and hands over the bare stream.
#[derive(Debug, Clone)]
pub(crate) struct Named(Vec<StreamName>);

impl UpgradeInfo for Named {
    type Info = StreamName;
    type InfoIter = std::vec::IntoIter<StreamName>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Named {
    type Output = (Stream, StreamName);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamName) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

impl OutboundUpgrade<Stream> for Named {
    type Output = (Stream, StreamName);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamName) -> Self::Future {
        ready(Ok((stream, name)))
    }
}
