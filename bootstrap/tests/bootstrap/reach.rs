//! The abuse cases of the libp2p side, by number, against the program itself: the attacker is a member, for nobody else gets so far. Each
//! asserts three things: the process lives, its memory stayed under its ceiling, and an honest member is still served.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, rendezvous};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use crate::member::Device;
use crate::program::Program;
use crate::support::{Person, Place};

/// So many people, by one invite.
async fn people(team: &Program, names: &str, count: u32) -> Vec<Person> {
    let link = team.invite(count).await;
    let mut people = Vec::new();
    for n in 0..count {
        let person = Person::new(&format!("{names} {n}"));
        person.register(team, &link, None).await.unwrap();
        people.push(person);
    }
    people
}

/// Ada and Bob, each at an address of a network of their own.
async fn honest(team: &Program) -> [Device; 2] {
    let people = people(team, "honest", 2).await;
    [Device::start(&people[0], team, "127.0.1.1").await, Device::start(&people[1], team, "127.0.2.1").await]
}

/// The three things: one is found under a topic and reached through the relay by the other.
async fn is_well(team: &mut Program, [ada, bob]: &mut [Device; 2]) {
    assert!(ada.register("topic of an honest room").await, "the topic is taken");
    assert_eq!(bob.discover("topic of an honest room").await, [ada.peer], "who is there is found");
    assert!(ada.reserve().await, "the relay has a place");
    bob.reach(ada).await;
    team.lives_within_its_ceiling();
}

fn record(key: &Keypair, addresses: &[&str]) -> Vec<u8> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    PeerRecord::new_interop(key, addresses).unwrap().into_signed_envelope().into_protobuf_encoding()
}

fn keypair(person: &Person) -> Keypair {
    Keypair::ed25519_from_bytes(person.device.to_bytes()).unwrap()
}

/// Ten thousand requests at once, and again for as long as the device is let in; what is asserted is that there is an end to it.
async fn flood(eve: &mut Device, ask: fn(&mut rendezvous::client::Behaviour, rendezvous::Namespace, PeerId)) {
    let node = eve.node.0;
    for _ in 0..40 {
        eve.act(move |swarm| {
            for n in 0..10_000 {
                let topic = rendezvous::Namespace::new(format!("flood {n}")).unwrap();
                ask(&mut swarm.behaviour_mut().rendezvous, topic, node);
            }
        });
        // Cut by the transport for its number of streams, or by the node for good.
        eve.is_cut_off().await;
        if !eve.is_taken_back().await {
            return;
        }
    }
    panic!("it is never kept out");
}

/// Where nobody was asked to be dialled.
fn third_party() -> (TcpListener, Multiaddr) {
    let listener = TcpListener::bind("127.0.0.77:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("IPv4") };
    let at = Multiaddr::empty().with(Protocol::Ip4(*address.ip())).with(Protocol::Tcp(address.port()));
    (listener, at)
}

fn is_untouched(third_party: &TcpListener) -> bool {
    third_party.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_08_half_open_connections_of_one_network_leave_room_for_others() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    let Some(Protocol::Tcp(port)) = team.peers_at("tcp").await.iter().nth(1) else { panic!("TCP") };
    let mut held = Vec::new();
    for n in 0..300_u32 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 9, (n % 200 + 1) as u8], 0))).unwrap();
        held.push(socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap());
    }
    // Those that there is no room for are closed; those that are held are cut when their time for a handshake is over.
    let people = people(&team, "late", 1).await;
    let mut late = Device::start(&people[0], &team, "127.0.3.1").await;
    assert!(late.register("late").await);
    let ends = held.into_iter().map(|mut stream| async move {
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut Vec::new())).await;
        ended.is_ok()
    });
    assert!(futures::future::join_all(ends).await.into_iter().all(|ended| ended), "each is closed by the node");
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_14_a_crowd_of_one_network_is_not_the_table() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    let sybils = people(&team, "sybil", 24).await;
    let mut crowd = Vec::new();
    for (n, sybil) in (1..).zip(&sybils) {
        crowd.push(Device::start(sybil, &team, &format!("127.0.9.{n}")).await);
    }
    let near = honest[0].peer;
    let found = honest[1].closest(near).await;
    let of_crowd = found.iter().filter(|found| crowd.iter().any(|sybil| sybil.peer == found.peer_id)).count();
    assert!((1..=8).contains(&of_crowd), "{of_crowd} of one network");
    assert!(found.iter().any(|found| found.peer_id == near), "the honest one is in the table");
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_15_a_forged_or_oversize_record_is_not_kept() {
    let mut team = Program::start(&[]);
    let people = people(&team, "honest", 3).await;
    let mut honest = [Device::start(&people[0], &team, "127.0.1.1").await, Device::start(&people[1], &team, "127.0.2.1").await];
    let mut eve = Device::start(&people[2], &team, "127.0.9.1").await;
    let (ada, key) = (honest[0].peer, honest[0].peer.to_bytes());
    let good = record(&keypair(&people[0]), &["/ip4/192.0.2.7/tcp/7400"]);
    assert!(honest[0].put(key.clone(), good.clone()).await);
    assert_eq!(honest[1].get(key.clone()).await.as_ref(), Some(&good));
    let evil = keypair(&people[2]);
    let mut tampered = good.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let many: Vec<String> = (0..400).map(|n| format!("/ip4/192.0.2.9/tcp/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (key, value) in [
        (ada.to_bytes(), record(&evil, &["/ip4/192.0.2.66/tcp/1"])),
        (ada.to_bytes(), tampered),
        (ada.to_bytes(), b"not a record".to_vec()),
        (eve.peer.to_bytes(), good.clone()),
        (eve.peer.to_bytes(), record(&evil, &many)),
        (eve.peer.to_bytes(), vec![0; 3 * 1024 * 1024]),
        (b"anything".to_vec(), record(&evil, &[])),
        (vec![7; 10_000], record(&evil, &[])),
    ] {
        // The protocol has no word for a refusal: what counts is what is there afterwards.
        eve.put(key, value).await;
    }
    assert_eq!(honest[1].get(key).await, Some(good), "what was there stays");
    assert_eq!(honest[1].get(eve.peer.to_bytes()).await, None);
    assert_eq!(honest[1].get(b"anything".to_vec()).await, None);
    assert!(team.metric("conclave_records_refused_total").await >= 5.0);
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_16_of_ten_thousand_topics_a_device_has_thirty_two() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    let people = people(&team, "eve", 1).await;
    let mut eve = Device::start(&people[0], &team, "127.0.9.1").await;
    for n in 0..32 {
        assert!(eve.register(&format!("topic {n}")).await, "{n}");
    }
    assert!(!eve.register("one more").await);
    flood(&mut eve, |rendezvous, topic, node| rendezvous.register(topic, node, None).unwrap()).await;
    assert_eq!(honest[1].discover("one more").await, []);
    assert_eq!(honest[1].discover("flood 1").await, []);
    assert!(team.metric("conclave_devices_expelled_total").await >= 1.0);
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_17_questions_without_end_are_cut_and_topics_are_not_listed() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    is_well(&mut team, &mut honest).await;
    assert!(honest[1].register("another room").await);
    let before = team.rss_mib();
    let people = people(&team, "eve", 2).await;
    let mut eve = Device::start(&people[0], &team, "127.0.9.1").await;
    let node = eve.node.0;
    flood(&mut eve, |rendezvous, topic, node| rendezvous.discover(Some(topic), None, None, node)).await;
    let mut mallory = Device::start(&people[1], &team, "127.0.9.2").await;
    mallory.act(move |swarm| swarm.behaviour_mut().rendezvous.discover(None, None, None, node));
    mallory.is_cut_off().await;
    assert!(team.rss_mib() < before + 32.0, "{} MiB before, {} after", before, team.rss_mib());
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_18_nobody_takes_every_place_at_the_relay() {
    let settings = [("REACH__RESERVATIONS", "8"), ("REACH__RESERVATIONS_PER_USER", "3")];
    let mut team = Program::start(&settings);
    let link = team.invite(1).await;
    let eve = Person::new("Eve");
    eve.register(&team, &link, Some("correct horse")).await.unwrap();
    let mut devices = team.add_devices(&eve, link.root, 5).await;
    devices.push(eve);
    let (mut crowd, mut places) = (Vec::new(), 0);
    for (n, device) in (1..).zip(&devices) {
        let mut device = Device::start(device, &team, &format!("127.0.9.{n}")).await;
        places += usize::from(device.reserve().await);
        crowd.push(device);
    }
    assert_eq!((crowd.len(), places), (6, 3), "of one person's six devices three");
    let mut honest = honest(&team).await;
    is_well(&mut team, &mut honest).await;
    assert!(honest[1].reserve().await, "and the second person has one as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_19_nobody_is_dialled_who_did_not_ask() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    let people = people(&team, "eve", 1).await;
    let mut eve = Device::start(&people[0], &team, "127.0.9.1").await;
    let (victim, at) = third_party();
    assert!(!eve.ask_to_be_dialled(at).await, "refused");
    assert!(is_untouched(&victim));
    // The service itself works: whoever asks for themselves is dialled.
    let mine = honest[0].address.clone();
    assert!(honest[0].ask_to_be_dialled(mine).await);
    assert!(is_untouched(&victim));
    is_well(&mut team, &mut honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_20_what_identify_claims_is_neither_dialled_nor_told() {
    let mut team = Program::start(&[]);
    let mut honest = honest(&team).await;
    let people = people(&team, "eve", 1).await;
    let (victim, at) = third_party();
    let mut eve = Device::listen(&people[0], &team, "127.0.9.1").await;
    let claims = [at.clone(), "/ip4/10.0.0.1/tcp/22".parse().unwrap(), "/ip4/169.254.169.254/tcp/80".parse().unwrap()];
    eve.act(move |swarm| claims.into_iter().for_each(|claim| swarm.add_external_address(claim)));
    eve.connect().await;
    // Told about by the table and by the relay, it would be dialled by everybody: it stands in neither.
    let found: Vec<_> = honest[1].closest(eve.peer).await.into_iter().filter(|found| found.peer_id == eve.peer).collect();
    let own: Vec<PeerId> = found.iter().map(|found| found.peer_id).collect();
    assert_eq!(own, [eve.peer], "it is in the table with what is its own");
    let told = found.iter().flat_map(|found| &found.addrs).all(|address| address.to_string().starts_with("/ip4/127.0.9.1/"));
    assert!(told, "{found:?}");
    is_well(&mut team, &mut honest).await;
    assert!(is_untouched(&victim));
}
