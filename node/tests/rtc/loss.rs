//! A call over a path that loses packets: two processes in two network namespaces, joined by a veth pair with a random drop. Needs
//! root, iproute2 and nftables, and runs with `CONCLAVE_FULL=1`. It is judged by counts, not by times.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use conclave_node::pictures::PictureSlots;
use conclave_node::rtc::keys::MediaKeys;
use conclave_node::rtc::mesh::{Mesh, MeshConfig, MeshEvent};
use conclave_node::view::LinkState;
use conclave_protocol::id::{CallId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::negotiation::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// How long each side sends, where `CONCLAVE_LOSS_SECONDS` says nothing else.
const CALL: Duration = Duration::from_secs(12);
const FPS: u64 = 30;

/// One side of the call, as a process of its own: `CONCLAVE_LOSS_SIDE` is `listen` or `dial`, `CONCLAVE_LOSS_SOCKET` a path. The last
/// line of its output is `FIGURES key=value …`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the test below"]
async fn one_side() {
    let Ok(side) = std::env::var("CONCLAVE_LOSS_SIDE") else { return };
    super::log();
    let path = PathBuf::from(std::env::var("CONCLAVE_LOSS_SOCKET").unwrap());
    let (seed, other) = if side == "listen" { (1u8, 2u8) } else { (2, 1) };
    let stream = if side == "listen" {
        let listener = StdListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        tokio::net::UnixListener::from_std(listener).unwrap().accept().await.unwrap().0
    } else {
        loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let (me, peer) = (DeviceKey::from_seed(&[seed; 32]), DeviceKey::from_seed(&[other; 32]).id());
    let (events, receiver) = mpsc::channel(256);
    let keys = MediaKeys::new(me.id());
    let mut people = [me.id(), peer];
    people.sort();
    keys.set_epochs(&crate::hall::epochs(&people, 0), Duration::ZERO);
    let mesh = Mesh::start(MeshConfig {
        me: Arc::new(me),
        room: RoomId([3; 32]),
        call: CallId([7; 16]),
        events,
        pictures: PictureSlots::default(),
        keys,
        processing: conclave_media::audio::SoundProcessing::default(),
        transports: None,
        addresses: None,
    });
    let mesh = Arc::new(mesh.unwrap());
    mesh.set_mic(Some("tone"), true).await.unwrap();
    mesh.set_camera(Some(&format!("test:320x180@{FPS}"))).await.unwrap();
    let figures = run(&mesh, peer, stream, receiver).await;
    println!("\nFIGURES {figures}");
    while Arc::strong_count(&mesh) > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Arc::try_unwrap(mesh).ok().unwrap().close().await;
}

async fn run(
    mesh: &Arc<Mesh>,
    peer: conclave_protocol::id::DeviceId,
    stream: UnixStream,
    mut events: mpsc::Receiver<MeshEvent>,
) -> String {
    let (mut reading, mut writing) = stream.into_split();
    let inbound = Arc::clone(mesh);
    let reader = tokio::spawn(async move {
        while let Ok(length) = reading.read_u32().await {
            let mut bytes = vec![0; length as usize];
            reading.read_exact(&mut bytes).await.unwrap();
            inbound.signal(peer, minicbor::decode::<Signal>(&bytes).unwrap());
        }
    });
    mesh.add_peer(peer);
    let seconds = std::env::var("CONCLAVE_LOSS_SECONDS").ok().and_then(|text| text.parse().ok());
    let call = seconds.map_or(CALL, Duration::from_secs);
    let mut reconnected = 0;
    let (mut newest, mut end) = (None, tokio::time::Instant::now() + Duration::from_secs(60));
    let mut connected = false;
    while let Ok(Some(event)) = tokio::time::timeout_at(end, events.recv()).await {
        match event {
            MeshEvent::Signal { signal, .. } => {
                let bytes = minicbor::to_vec(&signal).unwrap();
                writing.write_u32(bytes.len() as u32).await.unwrap();
                writing.write_all(&bytes).await.unwrap();
            }
            MeshEvent::FirstFrame { .. } if !connected => {
                connected = true;
                end = tokio::time::Instant::now() + call;
                println!("\nSHOWN");
            }
            MeshEvent::Link { state: LinkState::Connected, .. } if connected => reconnected += 1,
            MeshEvent::Stats { stats, .. } => newest = Some(stats),
            _ => {}
        }
    }
    reader.abort();
    let _ = reader.await;
    let (stats, path) = (newest.unwrap(), mesh.path(peer).unwrap());
    format!(
        "connected={} frames={} frozen_ms={} audio_lost_pct={:.2} sent={} received={} nacks_sent={} nacks_received={} lost={} reconnected={reconnected} fps={:.1}",
        u8::from(connected),
        stats.frames_decoded,
        stats.frozen_ms,
        stats.audio_lost_pct,
        path.packets_sent,
        path.packets_received,
        path.nacks_sent,
        path.nacks_received,
        stats.packets_lost,
        stats.video_fps,
    )
}

struct Namespaces(&'static str);

fn sh(line: &str) {
    let status = Command::new("sh").args(["-ec", line]).status().unwrap();
    assert!(status.success(), "{line}");
}

impl Namespaces {
    fn new(tag: &'static str, loss_percent: u32) -> Self {
        let made = Self(tag);
        made.remove();
        sh(&format!(
            "ip netns add {tag}a; ip netns add {tag}b
             ip link add {tag}va netns {tag}a type veth peer name {tag}vb netns {tag}b
             ip -n {tag}a addr add 10.231.7.1/24 dev {tag}va; ip -n {tag}b addr add 10.231.7.2/24 dev {tag}vb
             ip -n {tag}a link set lo up; ip -n {tag}b link set lo up
             ip -n {tag}a link set {tag}va up; ip -n {tag}b link set {tag}vb up"
        ));
        for side in ["a", "b"].into_iter().filter(|_| loss_percent > 0) {
            sh(&format!(
                "ip netns exec {tag}{side} nft 'add table ip loss; add chain ip loss in {{ type filter hook input priority 0; }}; \
                 add rule ip loss in meta l4proto udp numgen random mod 100 < {loss_percent} drop'"
            ));
        }
        made
    }

    fn remove(&self) {
        for side in ["a", "b"] {
            // It is not there at the first time.
            let _ = Command::new("ip").args(["netns", "del", &format!("{}{side}", self.0)]).stderr(Stdio::null()).status();
        }
    }

    fn side(&self, side: &str, role: &str, socket: &Path, seconds: u64) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &format!("{}{side}", self.0)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "loss::one_side", "--ignored", "--nocapture"])
            .env("CONCLAVE_LOSS_SIDE", role)
            .env("CONCLAVE_LOSS_SOCKET", socket)
            .env("CONCLAVE_LOSS_SECONDS", seconds.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.remove();
    }
}

fn figures(child: Child) -> BTreeMap<String, f64> {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("FIGURES ")).unwrap_or_else(|| panic!("no figures in:\n{text}"));
    println!("{line}");
    parse(line)
}

fn parse(line: &str) -> BTreeMap<String, f64> {
    line.split(' ')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.parse().unwrap()))
        .collect()
}

fn call_with_loss(tag: &'static str, percent: u32) -> Option<[BTreeMap<String, f64>; 2]> {
    if std::env::var("CONCLAVE_FULL").as_deref() != Ok("1") {
        println!("not run: needs root and CONCLAVE_FULL=1");
        return None;
    }
    let namespaces = Namespaces::new(tag, percent);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("signals");
    let (a, b) = (namespaces.side("a", "listen", &socket, CALL.as_secs()), namespaces.side("b", "dial", &socket, CALL.as_secs()));
    Some([figures(a), figures(b)])
}

#[test]
fn two_percent_of_loss_are_recovered_without_a_storm() {
    let Some([a, b]) = call_with_loss("cvl2", 2) else { return };
    for (mine, other) in [(&a, &b), (&b, &a)] {
        assert_eq!(mine["connected"], 1.0);
        // Nearly every frame is there: losses were asked for again, in time.
        assert!(mine["frames"] >= 0.8 * (CALL.as_secs() * FPS) as f64, "{mine:?}");
        // No storm: what arrives is hardly more than what a path without loss would bring.
        assert!(mine["received"] <= 1.3 * other["sent"], "{mine:?} {other:?}");
        assert!(other["sent"] <= 1.3 * mine["received"], "{mine:?} {other:?}");
        assert!(mine["nacks_sent"] > 0.0 && mine["nacks_sent"] < 0.3 * mine["received"], "{mine:?}");
        assert!(mine["audio_lost_pct"] < 2.0, "{mine:?}");
    }
}

#[test]
fn ten_percent_of_loss_leave_sound_and_pictures() {
    let Some([a, b]) = call_with_loss("cvl10", 10) else { return };
    for (mine, other) in [(&a, &b), (&b, &a)] {
        assert_eq!(mine["connected"], 1.0);
        assert!(mine["frames"] >= 0.4 * (CALL.as_secs() * FPS) as f64, "{mine:?}");
        assert!(mine["received"] <= 1.3 * other["sent"], "{mine:?} {other:?}");
        assert!(mine["audio_lost_pct"] < 6.0, "{mine:?}");
    }
}

#[test]
fn a_cable_that_is_cut_and_put_back_leaves_a_call_that_goes_on() {
    if std::env::var("CONCLAVE_FULL").as_deref() != Ok("1") {
        println!("not run: needs root and CONCLAVE_FULL=1");
        return;
    }
    let namespaces = Namespaces::new("cvcut", 0);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("signals");
    let (mut a, b) = (namespaces.side("a", "listen", &socket, 35), namespaces.side("b", "dial", &socket, 35));
    // Both have seen a picture when the first has; then nothing gets through for ten seconds.
    let mut lines = BufReader::new(a.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line == "SHOWN"), "no picture");
    std::thread::sleep(Duration::from_secs(2));
    sh("ip -n cvcuta link set cvcutva down");
    std::thread::sleep(Duration::from_secs(10));
    sh("ip -n cvcuta link set cvcutva up");
    let line = lines.find_map(|line| line.strip_prefix("FIGURES ").map(str::to_owned)).expect("no figures");
    println!("{line}");
    a.wait().unwrap();
    for mine in [parse(&line), figures(b)] {
        assert!(mine["reconnected"] >= 1.0, "{mine:?}");
        // The outage is owned up to: it counts as frozen.
        assert!(mine["frozen_ms"] >= 8_000.0, "{mine:?}");
        assert!(mine["fps"] > 0.3 * FPS as f64, "pictures at the end of the call: {mine:?}");
    }
}
