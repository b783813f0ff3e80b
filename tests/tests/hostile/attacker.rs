//! Peers that break the rules: one that negotiates streams properly and then sends what it likes, and one that writes Yamux frames
//! by hand.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use conclave_node::net::StreamName;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::core::upgrade::{OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, ping, tcp, yamux};
use multistream_select::{Version, dialer_select_proto};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::victim::GREETING;

/// How long a single stream may take to open before the attacker gives up.
const OPENING: Duration = Duration::from_secs(5);

/// Enough of a peer that its connection is kept: it answers pings.
#[derive(NetworkBehaviour)]
struct Plausible {
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

/// A libp2p swarm with its own idea of what to send.
pub(crate) struct Attacker {
    control: libp2p_stream::Control,
    peer: PeerId,
}

impl Attacker {
    pub(crate) async fn connect(address: Multiaddr) -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(|_| Plausible { streams: libp2p_stream::Behaviour::new(), ping: ping::Behaviour::default() })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build();
        let control = swarm.behaviour().streams.new_control();
        swarm.dial(address).unwrap();
        let peer = loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        };
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { control, peer }
    }

    pub(crate) async fn open(&mut self, name: StreamName) -> Result<Stream, String> {
        let opening = self.control.open_stream(self.peer, StreamProtocol::new(name.as_str()));
        tokio::time::timeout(OPENING, opening).await.map_err(|_| "timeout".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Waits until the other side has ended the stream, past whatever it has sent.
pub(crate) async fn expect_end(stream: &mut Stream, within: Duration) {
    let end = async {
        let mut buffer = [0; 4096];
        while matches!(stream.read(&mut buffer).await, Ok(n) if n > 0) {}
    };
    tokio::time::timeout(within, end).await.expect("the stream is closed");
}

/// Whether the greeting of the victim came.
pub(crate) async fn was_accepted(stream: &mut Stream) -> bool {
    let mut greeting = vec![0; GREETING.len() + 1];
    let read = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut greeting)).await;
    matches!(read, Ok(Ok(()))) && &greeting[1..] == GREETING
}

/// The first bytes of a stream: multistream-select's header and one proposal.
pub(crate) fn negotiation(name: StreamName) -> Vec<u8> {
    ["/multistream/1.0.0\n".to_owned(), format!("{}\n", name.as_str())]
        .iter()
        .flat_map(|line| [&[u8::try_from(line.len()).unwrap()], line.as_bytes()].concat())
        .collect()
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// An authenticated connection on which Yamux frames are written by hand.
pub(crate) struct RawYamux(Box<dyn Socket>);

impl RawYamux {
    pub(crate) async fn connect(address: Multiaddr) -> Self {
        let socket = tokio::net::TcpStream::connect(socket_address(&address)).await.unwrap().compat();
        let config = noise::Config::new(&Keypair::generate_ed25519()).unwrap();
        let info = config.protocol_info().next().unwrap();
        let (_, socket) = dialer_select_proto(socket, [info], Version::V1).await.unwrap();
        let (_, socket) = config.upgrade_outbound(socket, info).await.unwrap();
        let (_, socket) = dialer_select_proto(socket, ["/yamux/1.0.0"], Version::V1).await.unwrap();
        Self(Box::new(socket))
    }

    /// One frame: what the header claims, and what really follows.
    pub(crate) async fn frame(&mut self, kind: u8, flags: u16, stream: u32, length: u32, body: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0, kind];
        bytes.extend(flags.to_be_bytes());
        bytes.extend(stream.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        let write = async {
            self.0.write_all(&bytes).await?;
            self.0.flush().await
        };
        tokio::time::timeout(Duration::from_secs(5), write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the victim ends the connection.
    pub(crate) async fn ends_within(&mut self, within: Duration) -> bool {
        let end = async {
            let mut buffer = [0; 4096];
            while matches!(self.0.read(&mut buffer).await, Ok(n) if n > 0) {}
        };
        tokio::time::timeout(within, end).await.is_ok()
    }
}

/// The socket address of a multiaddr.
pub(crate) fn socket_address(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next().unwrap(), parts.next().unwrap()) {
        (Protocol::Ip4(ip), Protocol::Tcp(port) | Protocol::Udp(port)) => SocketAddr::new(ip.into(), port),
        other => panic!("{other:?}"),
    }
}
