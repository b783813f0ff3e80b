//! What a stranger, a member and a former member can do to the traffic of a room. There is no gossip mesh here: what others would
//! spread by one travels between members over streams that each open with the room proof. The cases keep their numbers.

use std::sync::Arc;
use std::time::Duration;

use conclave_node::command::Command;
use conclave_node::config::Protection;
use conclave_node::event::Event;
use conclave_node::net::{FrameReader, FrameWriter, Net, NetConfig, NetEvent, StreamName};
use conclave_node::store::Store;
use conclave_node::view::StreamKind;
use conclave_protocol::chat::Text;
use conclave_protocol::id::{DeviceId, RoomId, SessionId};
use conclave_protocol::identity::{DeviceKey, DeviceList, MemberCard};
use conclave_protocol::live::{LiveFrame, Whereabout, Whereabouts};
use conclave_protocol::log::sync::RoomFrame;
use conclave_protocol::proof::{ProofContext, Prover};
use conclave_protocol::room::record::Record;
use conclave_protocol::room::{Me, Room};
use conclave_protocol::session::message::{Fetch, JoinReq, Leave, SealedPresence, SessionFrame};
use conclave_protocol::wire::{self, Signed};
use conclave_tests::peer::{Peer, PeerOptions};
use conclave_tests::process::rss_kib;
use tokio::sync::watch;

/// The memory of an honest node never passes this, whatever is done to it.
const CEILING_KIB: u64 = 128 * 1024;
/// How long an attack by repetition goes on at most.
const BUSY: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_10_a_claim_that_would_last_for_ever_binds_only_who_makes_it() {
    let mut stage = Stage::set().await;
    let mut live = stage.mallory.open(&stage.ada, StreamName::Live).await.expect("a member may open");
    // Its last counter, in a session of its own; and every address of the others is elsewhere.
    for counter in [u64::MAX, 0, u64::MAX] {
        live.session_frames(&stage.mallory, counter).await;
    }
    let elsewhere = (1..=250_u8).map(|host| format!("/ip4/203.0.113.{host}/tcp/9"));
    let told =
        [stage.ada.device(), stage.ben.device()].map(|device| Whereabout { device, addresses: elsewhere.clone().collect() });
    live.say(&wire::encode(&LiveFrame::Whereabouts(Whereabouts::new(told)))).await;
    // What it says next does not count, for it was said in the past of that counter; the others go on meeting.
    live.session_frames(&stage.mallory, 1).await;
    stage.honest_meet().await;
    stage.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_11_a_flood_of_links_and_frames_is_capped() {
    let mut stage = Stage::set().await;
    // Links that stand are replaced, not piled up.
    for n in 0..300 {
        let name = StreamName::ALL[n % 2];
        if let Some(link) = stage.mallory.open(&stage.ada, name).await {
            drop(link);
        }
    }
    // Frames as fast as the stream takes them: of the session, and summaries that are each to be answered.
    if let Some(mut live) = stage.mallory.open(&stage.ada, StreamName::Live).await {
        let flood = async {
            for counter in 1..25_000 {
                live.session_frames(&stage.mallory, counter).await;
            }
        };
        let _ = tokio::time::timeout(BUSY, flood).await;
    }
    if let Some(room) = stage.mallory.open(&stage.ada, StreamName::Room).await {
        let summary = RoomFrame::Summary(stage.mallory.room.summary()).encode();
        let flood = async {
            for _ in 0..20_000 {
                if room.writer.feed(&summary).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(BUSY, flood).await;
    }
    stage.honest_meet().await;
    stage.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_12_duplicate_and_invalid_operations_go_no_further() {
    let mut stage = Stage::set().await;
    let said = stage.mallory.write("said once");
    let forged = {
        let mut forged = stage.mallory.write("never signed");
        forged.sig[0] ^= 1;
        forged
    };
    let link = stage.mallory.open(&stage.ada, StreamName::Room).await.expect("a member may open");
    let again = RoomFrame::Ops(vec![said; 64]).encode();
    for _ in 0..50 {
        link.writer.feed(&again).await.expect("what is known already is no offence");
    }
    assert_eq!(stage.ben.wait_message(stage.room, "said once").await.unwrap().body, "said once");
    // What was forged is counted against the link by which it came, and ends it.
    let forged = RoomFrame::Ops(vec![forged; 64]).encode();
    let mut sent = 0;
    while sent < 1_000 && link.writer.feed(&forged).await.is_ok() {
        sent += 1;
    }
    link.ended().await;
    stage.honest_meet().await;
    for peer in [&mut stage.ada, &mut stage.ben] {
        let count = peer.chat(stage.room).await.unwrap().iter().filter(|message| message.body == "said once").count();
        assert_eq!(count, 1, "{}", peer.name);
    }
    stage.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_13_what_a_non_member_publishes_is_dropped() {
    let mut stage = Stage::set().await;
    // Somebody who never was a member: without a proof, and with one by a guessed secret.
    let stranger = Device::new(Arc::new(DeviceKey::from_seed(&[66; 32])));
    let op = RoomFrame::Ops(vec![stage.mallory.write("published by a stranger")]).encode();
    for name in [StreamName::Room, StreamName::Live] {
        assert!(stranger.prove(&stage.ada, name, stage.room, &[7; 32]).await.is_none(), "a guessed secret opens nothing");
        let (reader, writer) = stranger.stream(&stage.ada, name).await;
        let bare = Link { reader, writer };
        let _ = bare.writer.feed(&op).await;
        bare.ended().await;
    }
    // And somebody who was one: the old secret opens a stream, and nothing that comes over it counts.
    stage.ada.request(Command::RoomRevoke { room: stage.room, device: stage.mallory.device() }).await.unwrap();
    stage.ben.wait_room(stage.room, "two members", |view| view.members.len() == 2).await.unwrap();
    let op = RoomFrame::Ops(vec![stage.mallory.write("published after the revocation")]).encode();
    for victim in [&stage.ada, &stage.ben] {
        for name in [StreamName::Room, StreamName::Live] {
            if let Some(mut link) = stage.mallory.open(victim, name).await {
                let _ = link.writer.feed(&op).await;
                link.session_frames(&stage.mallory, 1).await;
                link.ended().await;
            }
        }
    }
    stage.honest_meet().await;
    for peer in [&mut stage.ada, &mut stage.ben] {
        let chat = peer.chat(stage.room).await.unwrap();
        assert!(chat.iter().all(|message| !message.body.starts_with("published")), "{}: {chat:?}", peer.name);
    }
    stage.assert_well().await;
}

/// Two honest members with a third one who is not.
struct Stage {
    ada: Peer,
    ben: Peer,
    mallory: Mallory,
    room: RoomId,
    met: u32,
}

impl Stage {
    async fn set() -> Self {
        let (mut ada, mut ben, mut mallory) = (honest("Ada").await, honest("Ben").await, honest("Mallory").await);
        let room = ada.create_room("Square", false).await.unwrap();
        let link = ada.invite(room, 2).await.unwrap();
        ben.join(&link, None).await.unwrap();
        mallory.join(&link, None).await.unwrap();
        for peer in [&mut ada, &mut ben] {
            peer.wait_room(room, "three members", |view| view.members.len() == 3).await.unwrap();
        }
        let mallory = Mallory::turn(mallory, room).await;
        Self { ada, ben, mallory, room, met: 0 }
    }

    /// An honest peer is still served: a message arrives, and pictures of a call.
    async fn honest_meet(&mut self) {
        self.met += 1;
        let body = format!("still here, {}", self.met);
        self.ada.say(self.room, &body).await.unwrap();
        self.ben.wait_message(self.room, &body).await.unwrap();
        let join = Command::CallJoin {
            room: self.room,
            mic: Some("silence".into()),
            mic_on: false,
            camera: Some("test:160x90@10".into()),
            speaker: Some("null".into()),
        };
        for peer in [&mut self.ada, &mut self.ben] {
            peer.request(join.clone()).await.unwrap();
        }
        let ada = self.ada.device();
        self.ben
            .wait("a picture of Ada", |event| {
                matches!(event, Event::CallFirstFrame { device, stream: StreamKind::Camera, .. } if *device == ada).then_some(())
            })
            .await
            .unwrap();
    }

    /// The processes live and their memory is under the ceiling.
    async fn assert_well(&mut self) {
        for peer in [&self.ada, &self.ben] {
            let (_, peak) = rss_kib(peer.pid().expect("the process lives")).expect("the process lives");
            println!("memory of {}: at most {peak} KiB", peer.name);
            assert!(peak < CEILING_KIB, "{}: {peak} KiB", peer.name);
        }
    }
}

async fn honest(name: &str) -> Peer {
    let options = PeerOptions::named(name);
    Peer::start(options.args(["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]))
        .await
        .unwrap()
}

/// A device with a network of its own, which sends what it likes.
struct Device {
    key: Arc<DeviceKey>,
    net: Net,
    connected: watch::Receiver<Vec<DeviceId>>,
}

impl Device {
    fn new(key: Arc<DeviceKey>) -> Self {
        let (net, connected) = network(&key);
        Self { key, net, connected }
    }

    async fn stream(&self, victim: &Peer, name: StreamName) -> (FrameReader, FrameWriter) {
        let addresses = victim.listening().iter().map(|address| address.parse().unwrap()).collect();
        self.net.want(victim.device(), addresses).await.unwrap();
        let mut connected = self.connected.clone();
        connected.wait_for(|list| list.contains(&victim.device())).await.unwrap();
        self.net.open_stream(victim.device(), name).await.unwrap().split(256 * 1024)
    }

    /// With the room proof. `None` where the victim does not take it.
    async fn prove(&self, victim: &Peer, name: StreamName, room: RoomId, secret: &[u8; 32]) -> Option<Link> {
        let (mut reader, writer) = self.stream(victim, name).await;
        let context = ProofContext { stream: name.as_str(), opener: self.key.id(), acceptor: victim.device() };
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let (prover, open) = Prover::new(context, room, secret, &mut rng);
        writer.feed(&open).await.ok()?;
        let accept = tokio::time::timeout(Duration::from_secs(20), reader.next()).await.ok()?.ok()?;
        let (_, confirm) = prover.handle_accept(&accept).ok()?;
        writer.feed(&confirm).await.ok()?;
        Some(Link { reader, writer })
    }
}

/// With the keys of a member.
struct Mallory {
    device: Device,
    room: Room,
    /// Keeps its data.
    _peer: Peer,
}

impl Mallory {
    /// Goes on with the keys and the room of a peer, which is stopped.
    async fn turn(mut peer: Peer, room: RoomId) -> Self {
        peer.stop().await.unwrap();
        let store = Store::open(&peer.data().to_owned(), &Protection::Insecure).unwrap();
        let identity = store.identity().unwrap().unwrap();
        let key = Arc::new(DeviceKey::from_seed(&identity.device_seed));
        let list = DeviceList::parse(identity.device_list.clone()).unwrap();
        let card = MemberCard::new(&key, &list, "Mallory").unwrap();
        let records: Vec<Record> = store.load_room(&room).unwrap();
        let room = Room::load(Me { key: Arc::clone(&key), card }, room, records, 0xbad).unwrap();
        Self { device: Device::new(key), room, _peer: peer }
    }

    fn device(&self) -> DeviceId {
        self.device.key.id()
    }

    /// An operation of its own that nobody has yet.
    fn write(&mut self, body: &str) -> Signed {
        let text = Text { body: body.into(), reply_to: None, mentions: Vec::new() };
        let applied = self.room.say(text, 1_790_000_000_000).unwrap();
        match applied.records.into_iter().next().unwrap() {
            Record::Op(signed) => signed,
            other => panic!("{other:?}"),
        }
    }

    async fn open(&self, victim: &Peer, name: StreamName) -> Option<Link> {
        let secret = self.room.acl().secrets().last().unwrap();
        self.device.prove(victim, name, self.room.id(), secret).await
    }
}

fn network(key: &DeviceKey) -> (Net, watch::Receiver<Vec<DeviceId>>) {
    let config = NetConfig { listen: vec!["127.0.0.1".into()], mdns: false };
    let (net, mut events) = Net::start(&key.seed(), &config).unwrap();
    let (sender, connected) = watch::channel(Vec::new());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                NetEvent::Connected { device, .. } => sender.send_modify(|list| list.push(device)),
                NetEvent::Disconnected { device } => sender.send_modify(|list| list.retain(|other| *other != device)),
                _ => {}
            }
        }
    });
    (net, connected)
}

/// A stream behind its proof.
struct Link {
    reader: FrameReader,
    writer: FrameWriter,
}

impl Link {
    async fn say(&mut self, frame: &[u8]) {
        let _ = self.writer.feed(frame).await;
    }

    /// One of each that anybody can make: a request to be added, a presence under no secret, a request for commits, a goodbye.
    async fn session_frames(&mut self, mallory: &Mallory, counter: u64) {
        let session = SessionId([9; 32]);
        let join = JoinReq { device: mallory.device(), session, counter, key_package: vec![1; 300] };
        let frames = [
            SessionFrame::JoinReq(join.sign(&mallory.device.key, &mallory.room.id())),
            SessionFrame::Presence(SealedPresence { sealed: vec![counter as u8; 200] }),
            SessionFrame::Fetch(Fetch { session, epoch: counter }),
            SessionFrame::Leave(Leave { session }),
        ];
        for frame in frames {
            self.say(&wire::encode(&LiveFrame::Session(frame))).await;
        }
    }

    /// Waits until the victim ends it, past whatever it has sent.
    async fn ended(mut self) {
        let end = async { while self.reader.next().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(30), end).await.expect("the victim ends the stream");
    }
}
