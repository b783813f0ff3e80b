//! STUN and TURN over UDP: the sockets around the machine in [`server`]. It decides nothing, and holds back nothing: what cannot be sent at
//! once is dropped, as UDP does.

mod fuzz;
mod message;
mod server;

pub(crate) use self::fuzz::{datagrams as fuzz_datagrams, relayed as fuzz_relayed};

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::server::{Machine, Output, Rules};
use super::policy::parse_prefix;
use crate::config;
use crate::http::now_ms;
use crate::keys::random;
use crate::metrics::Metrics;

/// Largest datagram that is looked at.
const DATAGRAM: usize = 2_048;
/// Datagrams of all peers that wait for the task; a further one is dropped.
const WAITING: usize = 2_048;
const TICK: Duration = Duration::from_secs(1);

/// The running side. Dropping it ends it.
pub(crate) struct TurnServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds, and serves from here on.
pub(crate) async fn start(config: &config::Turn, secret: Vec<u8>, metrics: Arc<Metrics>) -> anyhow::Result<TurnServer> {
    let socket = UdpSocket::bind(config.listen).await.with_context(|| format!("turn.listen {}", config.listen))?;
    let address = socket.local_addr()?;
    let rules = Rules {
        secret,
        nonce_key: random()?,
        external: config.external.unwrap_or(address.ip()),
        lan: config.lan.iter().filter_map(|text| parse_prefix(text)).collect(),
        allocation_ms: config.allocation_seconds.saturating_mul(1_000),
        allocations: config.allocations,
        per_user: config.allocations_per_user,
        bytes_per_second: config.bytes_per_second,
        bytes_per_hour: config.bytes_per_hour,
    };
    let (peers, from_peers) = mpsc::channel(WAITING);
    let task =
        Task { bind: address.ip(), socket, machine: Machine::new(rules), relays: HashMap::new(), peers, from_peers, metrics };
    tracing::info!(%address, "TURN listens");
    Ok(TurnServer { address, task: tokio::spawn(task.run()) })
}

/// A relayed address, and the task that reads it.
struct Relay {
    socket: Arc<UdpSocket>,
    reading: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

struct FromPeer {
    client: SocketAddr,
    from: SocketAddr,
    bytes: Vec<u8>,
}

struct Task {
    /// Where relayed addresses are bound.
    bind: IpAddr,
    socket: UdpSocket,
    machine: Machine,
    relays: HashMap<SocketAddr, Relay>,
    peers: mpsc::Sender<FromPeer>,
    from_peers: mpsc::Receiver<FromPeer>,
    metrics: Arc<Metrics>,
}

impl Task {
    async fn run(mut self) {
        let mut datagram = vec![0; DATAGRAM];
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                came = self.socket.recv_from(&mut datagram) => match came {
                    Ok((length, from)) => {
                        let output = self.machine.handle_client(from, datagram.get(..length).unwrap_or_default(), now_ms());
                        if let Some(output) = output {
                            self.carry_out(output).await;
                        }
                    }
                    // What an earlier datagram met on its way.
                    Err(error) => tracing::trace!(%error, "the TURN socket"),
                },
                Some(FromPeer { client, from, bytes }) = self.from_peers.recv() => {
                    if let Some(Output::Reply { to, bytes }) = self.machine.handle_peer(client, from, &bytes, now_ms()) {
                        let _ = self.socket.try_send_to(&bytes, to);
                    }
                }
                _ = tick.tick() => self.tick(),
            }
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            // For both: a full socket drops.
            Output::Reply { to, bytes } => drop(self.socket.try_send_to(&bytes, to)),
            Output::Relay { client, to, bytes } => {
                if let Some(relay) = self.relays.get(&client) {
                    let _ = relay.socket.try_send_to(&bytes, to);
                }
            }
            Output::Bind { client } => {
                let port = match self.bind(client).await {
                    Ok(port) => Some(port),
                    Err(error) => {
                        tracing::warn!(%error, "no relayed address can be bound");
                        None
                    }
                };
                if let Some(Output::Reply { to, bytes }) = self.machine.handle_bound(client, port) {
                    let _ = self.socket.try_send_to(&bytes, to);
                }
            }
            Output::Close { client } => drop(self.relays.remove(&client)),
        }
    }

    async fn bind(&mut self, client: SocketAddr) -> io::Result<u16> {
        let socket = Arc::new(UdpSocket::bind(SocketAddr::new(self.bind, 0)).await?);
        let port = socket.local_addr()?.port();
        let (reader, peers) = (Arc::clone(&socket), self.peers.clone());
        let reading = tokio::spawn(async move {
            let mut datagram = vec![0; DATAGRAM];
            loop {
                if let Ok((length, from)) = reader.recv_from(&mut datagram).await {
                    // Too much at once: this one is lost.
                    let bytes = datagram.get(..length).unwrap_or_default().to_vec();
                    let _ = peers.try_send(FromPeer { client, from, bytes });
                }
            }
        });
        self.relays.insert(client, Relay { socket, reading });
        Ok(port)
    }

    fn tick(&mut self) {
        for client in self.machine.handle_tick(now_ms()) {
            self.relays.remove(&client);
        }
        let counts = std::mem::take(&mut self.machine.counts);
        self.metrics.turn_allocations.set(i64::try_from(self.machine.len()).unwrap_or(i64::MAX));
        self.metrics.turn_bytes.inc_by(counts.bytes);
        self.metrics.turn_refused.inc_by(counts.refused);
        self.metrics.dropped.inc_by(counts.dropped);
    }
}
