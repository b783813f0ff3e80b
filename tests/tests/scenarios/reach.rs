//! Members behind NATs, by the bootstrap node of their team: its real program, real NATs, real media. The inner addresses of the homes are
//! the same, so that no address of one means anything in the other.

use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{LinkState, PathView, PeerView, StreamKind, TeamView};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_tests::internet::{BootstrapNode, Internet, Nat};
use conclave_tests::peer::Peer;

/// Pictures that are waited for until there is a hole, at 10 a second.
const PUNCHED_WITHIN: usize = 600;

/// Two members, each reached through the relay.
pub(crate) async fn members(internet: &Internet, node: &BootstrapNode) -> [Peer; 2] {
    let mut people = [Peer::start(internet.peer(1, "Ada")).await.unwrap(), Peer::start(internet.peer(2, "Bob")).await.unwrap()];
    for peer in &mut people {
        let answer = peer.request(Command::TeamRegister { link: node.invite().unwrap(), name: None }).await.unwrap();
        let team: TeamView = serde_json::from_value(answer["team"].clone()).unwrap();
        assert_eq!((team.team.as_str(), team.name.as_str(), team.online), ("Field office", peer.name.as_str(), true));
        let relayed = |event: &Event| matches!(event, Event::TeamChanged { team: Some(team) } if team.relayed).then_some(());
        peer.wait("a place at the relay", relayed).await.unwrap();
    }
    people
}

pub(crate) async fn call(people: &mut [Peer; 2]) -> RoomId {
    let [ada, bob] = people;
    let room = ada.create_room("Kitchen", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    bob.join(&link, None).await.unwrap();
    for peer in [&mut *ada, &mut *bob] {
        let join = Command::CallJoin {
            room,
            mic: Some("tone".into()),
            mic_on: true,
            camera: Some("test:320x180@10".into()),
            speaker: Some("null".into()),
        };
        peer.request(join).await.unwrap();
    }
    let devices = [ada.device(), bob.device()];
    for (peer, other) in [(ada, devices[1]), (bob, devices[0])] {
        sees(peer, other).await;
    }
    room
}

async fn sees(peer: &mut Peer, other: DeviceId) {
    let first = |event: &Event| {
        matches!(event, Event::CallFirstFrame { device, stream: StreamKind::Camera, .. } if *device == other).then_some(())
    };
    peer.wait("a picture", first).await.unwrap();
}

pub(crate) async fn path(peer: &mut Peer, other: DeviceId) -> Option<String> {
    let answer = peer.request(Command::NetPeers {}).await.unwrap();
    let peers: Vec<PeerView> = serde_json::from_value(answer["peers"].clone()).unwrap();
    peers.into_iter().find(|peer| peer.device == other && peer.connected)?.transport
}

/// Pictures go on arriving.
pub(crate) async fn goes_on(peer: &mut Peer, other: DeviceId, more: u64) {
    let mut from = None;
    peer.wait("the call going on", |event| {
        let Event::CallChanged { call: Some(call) } = event else { return None };
        let person = call.people.iter().find(|person| person.device == other)?;
        let frames = person.stats.frames_decoded;
        let began = *from.get_or_insert(frames);
        (person.link == LinkState::Connected && frames >= began + more).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn two_behind_nats_meet_through_the_node_and_their_call_outlives_it() {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain]).unwrap();
    let mut node = internet.node().unwrap();
    let mut people = members(&internet, &node).await;
    call(&mut people).await;
    let [ada, bob] = &mut people;
    // The hole is punched sooner or later; what was begun through the relay goes on.
    let mut punched = false;
    for _ in 0..PUNCHED_WITHIN {
        punched = path(ada, bob.device()).await.as_deref() != Some("relay");
        if punched {
            break;
        }
        goes_on(ada, bob.device(), 1).await;
    }
    assert!(punched, "still through the relay");
    node.kill().unwrap();
    ada.drain().unwrap();
    bob.drain().unwrap();
    goes_on(ada, bob.device(), 30).await;
    goes_on(bob, ada.device(), 30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn two_behind_symmetric_nats_hold_a_call_through_turn() {
    let internet = Internet::new(&[Nat::Symmetric, Nat::Symmetric]).unwrap();
    let node = internet.node().unwrap();
    let mut people = members(&internet, &node).await;
    call(&mut people).await;
    let [ada, bob] = &mut people;
    assert_eq!(path(ada, bob.device()).await.as_deref(), Some("relay"), "no hole can be punched here");
    ada.drain().unwrap();
    goes_on(ada, bob.device(), 10).await;
}

/// Credentials of 30 s and allocations of 40 s: what was given at first refreshes the allocation once, after 20 s, and never again, so that it
/// ends after 60 s. What is asked for in time keeps it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn a_call_through_turn_outlives_its_credentials_and_its_allocation() {
    let internet = Internet::new(&[Nat::Symmetric, Nat::Symmetric]).unwrap();
    let short = [("CONCLAVE_BOOTSTRAP_TURN__CREDENTIAL_SECONDS", "30"), ("CONCLAVE_BOOTSTRAP_TURN__ALLOCATION_SECONDS", "40")];
    let node = internet.node_with(&short).unwrap();
    let mut people = members(&internet, &node).await;
    call(&mut people).await;
    let devices = people.each_ref().map(Peer::device);
    let mut carried = [0; 2];
    let until = std::time::Instant::now() + std::time::Duration::from_secs(100);
    while std::time::Instant::now() < until {
        for ((peer, other), carried) in people.iter_mut().zip([devices[1], devices[0]]).zip(&mut carried) {
            *carried = through_the_relay(peer, other, *carried).await;
        }
    }
    for peer in &people {
        let lost = |event: &Event| match event {
            Event::CallChanged { call: Some(call) } => call.people.iter().any(|person| person.link == LinkState::Reconnecting),
            _ => false,
        };
        assert!(!peer.events.iter().any(|(_, event)| lost(event)), "{} lost the media", peer.name);
    }
}

/// The call goes on, and the relay carries more of it than before.
async fn through_the_relay(peer: &mut Peer, other: DeviceId, before: u64) -> u64 {
    peer.wait("media through the relay", |event| {
        let Event::CallChanged { call: Some(call) } = event else { return None };
        let stats = call.people.iter().find(|person| person.device == other)?.stats;
        (stats.path == Some(PathView::Relay) && stats.relayed_bytes > before).then_some(stats.relayed_bytes)
    })
    .await
    .unwrap()
}
