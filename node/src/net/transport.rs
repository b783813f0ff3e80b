//! QUIC, and TCP under Noise and Yamux, with the limits that every connection lives under. It must never carry anything that is
//! not bound to the peer's device key.

use std::time::Duration;

use futures::future::Either;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, noise, quic, relay, tcp, yamux};

use super::socket::Socket;

/// Both sides ask for an answer this often, over TCP by ping and over QUIC by its own keep-alive too.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(1);
/// A TCP peer silent for this long is gone. With one ping a second, a cut cable is seen within 4 s.
const TCP_SILENCE: Duration = Duration::from_secs(4);
/// QUIC counts from the first packet sent after the last one received, so that up to one keep-alive interval comes on top: 4 s.
const QUIC_SILENCE_MS: u32 = 3_000;
/// A connection that is not authenticated by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(8);
/// Streams of one TCP connection, both directions together; one beyond them ends the connection. Each may hold 256 KiB unread.
const YAMUX_STREAMS: usize = 192;
/// Streams that a QUIC peer may have open at once.
const QUIC_STREAMS: u32 = 128;
/// Bytes of one QUIC stream that may be unread, gaps included.
const QUIC_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one QUIC connection that may be unread, gaps included.
const QUIC_CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The transport of a node. QUIC, TCP and circuits through a relay are told apart by the address. Through a relay, Noise and Yamux run
/// between the two ends: the relay sees what they make.
///
/// # Errors
/// Where Noise refuses the key.
pub(crate) fn build(
    keypair: &Keypair,
    circuits: relay::client::Transport,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(YAMUX_STREAMS);
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux.clone())
        .timeout(HANDSHAKE_TIMEOUT);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|socket, _| Socket::new(socket, TCP_SILENCE))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux)
        .timeout(HANDSHAKE_TIMEOUT);

    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.keep_alive_interval = PING_INTERVAL;
    config.max_idle_timeout = QUIC_SILENCE_MS;
    config.max_concurrent_stream_limit = QUIC_STREAMS;
    config.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
    config.max_connection_data = QUIC_CONNECTION_WINDOW_BYTES;
    let quic = quic::tokio::Transport::new(config);

    // Circuits first: the others would take such an address for their own.
    Ok(OrTransport::new(circuits, OrTransport::new(quic, tcp))
        .map(|either, _| match either {
            Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
            Either::Right(Either::Left((peer, muxer))) => (peer, StreamMuxerBox::new(muxer)),
            Either::Right(Either::Right((peer, muxer))) => (peer, StreamMuxerBox::new(muxer)),
        })
        .boxed())
}
