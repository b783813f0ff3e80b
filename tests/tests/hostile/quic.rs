//! A QUIC peer that leaves gaps: a real client, of whose packets every second one never leaves the machine.

use std::any::Any;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use quinn_proto::congestion::{Controller, ControllerFactory};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, TransportConfig,
};

use crate::attacker::socket_address;

/// Sends as if the path were endless.
struct Unlimited;

impl Controller for Unlimited {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}
    fn on_mtu_update(&mut self, _: u16) {}
    fn window(&self) -> u64 {
        1 << 40
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self)
    }
    fn initial_window(&self) -> u64 {
        1 << 40
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl ControllerFactory for Unlimited {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Self)
    }
}

struct Client {
    socket: UdpSocket,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    /// Runs ahead of the clock, so that the pacer never holds a packet back.
    now: Instant,
    lost: bool,
}

/// Connects, then writes `bytes` at a time on several streams, each write in a packet of its own, and drops every second packet.
/// Nothing is ever sent again. Ends when the victim has no credit left, closes, or after `packets`. Gives the packets sent.
pub(crate) fn send_gaps(address: &Multiaddr, bytes: usize, packets: usize) -> usize {
    let mut client = Client::connect(address);
    let streams: Vec<_> = std::iter::from_fn(|| client.connection.streams().open(Dir::Bi)).take(8).collect();
    assert_eq!(streams.len(), 8);
    let payload = vec![1; bytes];
    let (mut made, mut sent) = (0, 0);
    let mut buffer = Vec::new();
    while sent < packets && !client.lost {
        let mut written = 0;
        for stream in &streams {
            written += client.connection.send_stream(*stream).write(&payload).unwrap_or(0);
            client.now += Duration::from_micros(200);
            buffer.clear();
            while let Some(transmit) = client.connection.poll_transmit(client.now, 1, &mut buffer) {
                made += 1;
                // The very first packet of every stream is among those that are dropped: nothing can be read.
                if made > streams.len() && made % 2 == 0 {
                    // A full socket buffer is a dropped packet: one more gap.
                    let _ = client.socket.send(&buffer[..transmit.size]);
                    sent += 1;
                }
                buffer.clear();
            }
        }
        if written == 0 {
            break;
        }
        if sent % 512 < streams.len() {
            client.look_for_the_end();
        }
    }
    // What was sent is held for as long as the victim cares to.
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        client.look_for_the_end();
    }
    sent
}

impl Client {
    fn connect(address: &Multiaddr) -> Self {
        let remote = socket_address(address);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(remote).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let tls = libp2p_tls::make_client_config(&Keypair::generate_ed25519(), None).unwrap();
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut transport = TransportConfig::default();
        transport.congestion_controller_factory(Arc::new(Unlimited)).mtu_discovery_config(None).send_window(1 << 40);
        // What is missing is never missed: nothing is sent again.
        transport.packet_threshold(u32::MAX).time_threshold(1e6).enable_segmentation_offload(false);
        config.transport_config(Arc::new(transport));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let now = Instant::now();
        let (handle, connection) = endpoint.connect(now, config, remote, "l").unwrap();
        let mut client = Self { socket, endpoint, handle, connection, now, lost: false };
        let deadline = now + Duration::from_secs(10);
        while !client.step() {
            assert!(Instant::now() < deadline && !client.lost, "the attacker connects");
        }
        // The confirmation of the handshake, and the victim's credit.
        for _ in 0..10 {
            client.step();
        }
        client
    }

    /// One honest round: everything out, one datagram in, timers. True once the handshake is done.
    fn step(&mut self) -> bool {
        self.now = self.now.max(Instant::now());
        let mut buffer = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(self.now, 1, &mut buffer) {
            self.socket.send(&buffer[..transmit.size]).unwrap();
            buffer.clear();
        }
        self.receive();
        if self.connection.poll_timeout().is_some_and(|due| due <= self.now) {
            self.connection.handle_timeout(self.now);
        }
        !self.connection.is_handshaking()
    }

    fn receive(&mut self) {
        let mut datagram = [0; 2048];
        let Ok(size) = self.socket.recv(&mut datagram) else { return };
        self.handle(&datagram[..size]);
    }

    fn handle(&mut self, datagram: &[u8]) {
        let remote = self.socket.peer_addr().unwrap();
        let mut response = Vec::new();
        let event = self.endpoint.handle(self.now, remote, None, None, BytesMut::from(datagram), &mut response);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            self.lost |= matches!(event, Event::ConnectionLost { .. });
        }
    }

    /// Takes in what has come, without waiting. Acknowledgements are harmless: nothing ever counts as lost.
    fn look_for_the_end(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let mut datagram = [0; 2048];
        while let Ok(size) = self.socket.recv(&mut datagram) {
            self.handle(&datagram[..size]);
        }
        self.socket.set_nonblocking(false).unwrap();
    }
}
