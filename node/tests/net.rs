//! Two and three networks on this machine's loopback: connecting, frames, one connection a pair, and seeing that a peer is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use conclave_node::net::{
    Net, NetConfig, NetError, NetEvent, NetStream, SendError, StreamError, StreamName, TransportName, address,
};
use conclave_protocol::id::DeviceId;
use libp2p::Multiaddr;
use tokio::sync::mpsc;

const LIMIT: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

struct Peer {
    net: Net,
    events: mpsc::Receiver<NetEvent>,
    addresses: Vec<Multiaddr>,
}

impl Peer {
    /// `listen`: one address on loopback.
    async fn start(seed: u8, listen: &str) -> Self {
        let config = NetConfig { listen: vec![listen.to_owned()], mdns: false };
        let (net, mut events) = Net::start(&[seed; 32], &config).unwrap();
        let wanted = address::parse_listen(listen).unwrap().len();
        let mut addresses = Vec::new();
        while addresses.len() < wanted {
            if let NetEvent::Listening(list) = next(&mut events).await {
                addresses = list.iter().map(|address| address.parse().unwrap()).collect();
            }
        }
        Self { net, events, addresses }
    }

    fn device(&self) -> DeviceId {
        self.net.device()
    }

    async fn until<T>(&mut self, pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        until(&mut self.events, pick).await
    }

    async fn connected(&mut self) -> (DeviceId, TransportName) {
        self.until(|event| match event {
            NetEvent::Connected { device, transport, .. } => Some((device, transport)),
            _ => None,
        })
        .await
    }

    async fn inbound(&mut self) -> NetStream {
        self.until(|event| match event {
            NetEvent::Inbound { stream, .. } => Some(stream),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self) -> DeviceId {
        self.until(|event| match event {
            NetEvent::Disconnected { device } => Some(device),
            _ => None,
        })
        .await
    }
}

async fn next(events: &mut mpsc::Receiver<NetEvent>) -> NetEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("the network runs")
}

async fn until<T>(events: &mut mpsc::Receiver<NetEvent>, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
    loop {
        if let Some(picked) = pick(next(events).await) {
            return picked;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_connect_and_exchange_frames_over_each_transport() {
    for (listen, transport) in [
        ("/ip4/127.0.0.1/udp/0/quic-v1", TransportName::Quic),
        ("/ip4/127.0.0.1/tcp/0", TransportName::Tcp),
        ("127.0.0.1", TransportName::Tcp),
    ] {
        let mut alice = Peer::start(1, listen).await;
        let mut bob = Peer::start(2, listen).await;
        alice.net.dial(Some(bob.device()), bob.addresses.clone()).await.unwrap();
        let (device, over) = alice.connected().await;
        assert_eq!(device, bob.device());
        if listen.starts_with('/') {
            assert_eq!(over, transport);
        }
        assert_eq!(bob.connected().await.0, alice.device());

        let stream = alice.net.open_stream(bob.device(), StreamName::Room).await.unwrap();
        let accepted = bob.inbound().await;
        assert_eq!((accepted.device(), accepted.name()), (alice.device(), StreamName::Room));
        let (mut alice_reads, alice_writes) = stream.split(LIMIT);
        let (mut bob_reads, bob_writes) = accepted.split(LIMIT);
        for n in 0..200_u32 {
            let frame = vec![n as u8; (n as usize * 331) % LIMIT];
            alice_writes.feed(&frame).await.unwrap();
            bob_writes.feed(&frame).await.unwrap();
            assert_eq!(bob_reads.next().await.unwrap(), frame);
            assert_eq!(alice_reads.next().await.unwrap(), frame);
        }
        drop(alice_writes);
        assert_eq!(bob_reads.next().await, Err(StreamError::Closed));
        alice.net.shutdown().await;
        bob.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simultaneous_dial_leaves_one_connection_on_which_streams_work() {
    let mut alice = Peer::start(1, "127.0.0.1").await;
    let mut bob = Peer::start(2, "127.0.0.1").await;
    let (to_bob, to_alice) = (bob.addresses.clone(), alice.addresses.clone());
    let (first, second) = tokio::join!(alice.net.dial(Some(bob.device()), to_bob), bob.net.dial(Some(alice.device()), to_alice));
    first.and(second).unwrap();
    alice.connected().await;
    bob.connected().await;
    // Whoever of the two judges has done so by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stream = alice.net.open_stream(bob.device(), StreamName::Live).await.unwrap();
    let (_alice_reads, alice_writes) = stream.split(LIMIT);
    alice_writes.send(b"still there").unwrap();
    let (mut bob_reads, _bob_writes) = bob.inbound().await.split(LIMIT);
    assert_eq!(bob_reads.next().await.unwrap(), b"still there");
    for peer in [&mut alice, &mut bob] {
        let diagnosis = peer.net.diagnosis().await.unwrap();
        assert!(diagnosis.dialled.iter().all(|dial| dial.outcome == "connected"), "{:?}", diagnosis.dialled);
        while let Ok(event) = peer.events.try_recv() {
            assert!(!matches!(event, NetEvent::Disconnected { .. }), "the pair was never apart");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_leaves_is_seen_at_once_and_a_wanted_one_is_found_again() {
    let mut alice = Peer::start(1, "127.0.0.1").await;
    let bob = Peer::start(2, "127.0.0.1").await;
    alice.net.want(bob.device(), bob.addresses.clone()).await.unwrap();
    alice.connected().await;
    let stream = alice.net.open_stream(bob.device(), StreamName::Room).await.unwrap();
    let (mut reads, writes) = stream.split(LIMIT);
    let left = Instant::now();
    let port = bob.addresses.iter().find_map(|address| address.to_string().rsplit_once("/tcp/").map(|(_, port)| port.to_owned()));
    bob.net.shutdown().await;
    drop(bob);
    assert!(reads.next().await.is_err());
    alice.disconnected().await;
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
    assert!(matches!(alice.net.open_stream(device(2), StreamName::Room).await, Err(NetError::NotConnected)));
    drop((reads, writes));

    let again = Peer::start(2, &format!("/ip4/127.0.0.1/tcp/{}", port.unwrap())).await;
    assert_eq!(alice.connected().await.0, again.device());
    alice.net.unwant(again.device()).await.unwrap();
}

/// The device of a seed.
fn device(seed: u8) -> DeviceId {
    let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    address::device_of(&key.public().to_peer_id()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_lead_nowhere_are_told_with_a_reason() {
    let mut alice = Peer::start(1, "127.0.0.1").await;
    let bob = Peer::start(2, "127.0.0.1").await;
    let nobody: Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    alice.net.dial(None, vec![nobody]).await.unwrap();
    let outcome = |event| match event {
        NetEvent::DialFailed { outcome, .. } => Some(outcome),
        _ => None,
    };
    assert_eq!(alice.until(outcome).await, "refused");
    // Bob answers where Carol is looked for.
    let tcp = bob.addresses.iter().find(|address| address.to_string().contains("/tcp/")).cloned().unwrap();
    alice.net.dial(Some(device(3)), vec![tcp]).await.unwrap();
    assert_eq!(alice.until(outcome).await, "another device answers here");
    // No name server is asked for a label of more than 63 bytes.
    let name = format!("/dns4/{}.invalid/tcp/9", "n".repeat(70)).parse().unwrap();
    alice.net.dial(None, vec![name]).await.unwrap();
    assert_eq!(alice.until(outcome).await, "the name was not found");
    let own = alice.addresses.clone();
    alice.net.dial(None, own).await.unwrap();
    assert_eq!(alice.until(outcome).await, "this is the device itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_a_device_connects_whoever_answers_once() {
    let mut alice = Peer::start(1, "127.0.0.1").await;
    let mut bob = Peer::start(2, "127.0.0.1").await;
    alice.net.dial(None, bob.addresses.clone()).await.unwrap();
    assert_eq!(alice.connected().await.0, bob.device());
    bob.connected().await;
    let view = alice.net.peers().await.unwrap();
    assert_eq!((view.len(), view[0].device, view[0].connected), (1, bob.device(), true));
    alice.net.disconnect(bob.device()).await.unwrap();
    assert_eq!(alice.disconnected().await, bob.device());
    assert_eq!(bob.disconnected().await, alice.device());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_a_foreign_address_are_refused_with_a_reason() {
    let alice = Peer::start(1, "/ip4/127.0.0.1/tcp/0").await;
    let taken = alice.addresses[0].to_string();
    let refused = |listen: &str| {
        let config = NetConfig { listen: vec![listen.to_owned()], mdns: false };
        Net::start(&[2; 32], &config).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(refused(&taken), format!("cannot listen on {taken}: the port is in use"));
    let foreign = refused("192.0.2.1:0");
    assert!(foreign.ends_with("this machine has no such address"), "{foreign}");
    assert!(refused("nonsense").contains("not an address"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_does_not_hold_the_writer() {
    let mut alice = Peer::start(1, "/ip4/127.0.0.1/tcp/0").await;
    let mut bob = Peer::start(2, "/ip4/127.0.0.1/tcp/0").await;
    alice.net.dial(Some(bob.device()), bob.addresses.clone()).await.unwrap();
    alice.connected().await;
    let (_reads, writes) = alice.net.open_stream(bob.device(), StreamName::Room).await.unwrap().split(LIMIT);
    let never_read = bob.inbound().await;
    let began = Instant::now();
    let frame = vec![7; LIMIT];
    let mut sent = 0;
    while writes.send(&frame).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
        assert!(sent < 10_000, "the queue is bounded");
    }
    assert_eq!(writes.send(&frame), Err(SendError::Closed));
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(never_read);
}
