//! Our own side of the measures: real peers as child processes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::FileState;

use super::{Cost, GIB, MIB};
use crate::clicks;
use crate::files::{room_of, same, write};
use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};
use crate::process::{cpu_time, rss_kib, run};
use crate::sound::SoundServer;

/// How much of the largest file goes over the wire, unless `BENCH=long`.
const SPARSE_LOOK: u64 = 8 * GIB;
/// The uplink that a call and a file share.
const SHARED_KBIT: u32 = 8_000;
/// Times that twelve clicks are played, with and without a file.
const ROUNDS_OF_CLICKS: usize = 3;

fn loopback(name: &str) -> PeerOptions {
    PeerOptions::named(name).args(["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"])
}

/// A host of a LAN that is reached by its address alone.
fn host(lan: &Lan, number: usize) -> PeerOptions {
    let address = format!("/ip4/{}/tcp/4100", lan.address(number));
    PeerOptions::named(&format!("host{number}")).args(["--no-mdns", "--listen", &address]).on(lan, number)
}

async fn two_peers() -> Result<[Peer; 2]> {
    Ok([Peer::start(loopback("Ada")).await?, Peer::start(loopback("Bob")).await?])
}

fn cpu(peer: &Peer) -> Result<Duration> {
    peer.pid().and_then(cpu_time).context("the CPU time of a peer")
}

fn worse_peak_kib(peers: [&Peer; 2]) -> Result<u64> {
    peers.into_iter().filter_map(|peer| Some(rss_kib(peer.pid()?)?.1)).max().context("the memory of a peer")
}

/// From one peer to another over loopback.
pub(super) async fn one(folder: &Path, source: &Path) -> Result<Cost> {
    let mut peers = two_peers().await?;
    let room = room_of(&mut peers).await?;
    let [ada, bob] = &mut peers;
    let file = ada.share_file(room, source).await?.file;
    bob.offered(room, file).await?;
    let target = folder.join("got");
    std::fs::create_dir(&target)?;
    let began = Instant::now();
    bob.get_file(room, file, &target).await?;
    let arrived = bob.complete_file(file).await?;
    let wall = began.elapsed();
    let (sender, receiver) = (cpu(ada)?, cpu(bob)?);
    let peak_kib = worse_peak_kib([ada, bob])?;
    anyhow::ensure!(same(source, &arrived)?, "what arrived is not what was sent");
    Ok(Cost { wall, sender, receiver, peak_kib })
}

/// From one host to all the others, who begin at once: when the last is done, and what left the first by its network card.
pub(super) async fn swarm(lan: &Lan, folder: &Path, size: u64) -> Result<(Duration, u64)> {
    let mut peers = Vec::new();
    for number in 1..=5 {
        peers.push(Peer::start(host(lan, number)).await?);
    }
    let room = room_of(&mut peers).await?;
    let source = folder.join("source.bin");
    write(&source, size, 7)?;
    let (first, others) = peers.split_first_mut().context("nobody")?;
    let file = first.share_file(room, &source).await?.file;
    for (number, peer) in others.iter_mut().enumerate() {
        peer.offered(room, file).await?;
        // Everybody knows everybody, as in a room that has been open for a while.
        peer.wait_room(room, "everybody there", |room| room.members.iter().all(|member| member.me || member.online)).await?;
        std::fs::create_dir(folder.join(number.to_string()))?;
    }
    let before = sent(lan, 1)?;
    let began = Instant::now();
    for (number, peer) in others.iter_mut().enumerate() {
        peer.get_file(room, file, &folder.join(number.to_string())).await?;
    }
    for peer in others.iter_mut() {
        let arrived = peer.complete_file(file).await?;
        anyhow::ensure!(std::fs::metadata(&arrived)?.len() == size, "what arrived is not what was sent");
    }
    let took = began.elapsed();
    for peer in others.iter_mut() {
        let view = peer.file(room, file).await?;
        eprintln!("files: {} sent {} MiB on", peer.name, view.sent / MIB);
    }
    Ok((took, sent(lan, 1)? - before))
}

/// Bytes that a host sent by its network card.
fn sent(lan: &Lan, host: usize) -> Result<u64> {
    let text = run("ip", &["netns", "exec", &lan.host(host), "cat", "/sys/class/net/eth0/statistics/tx_bytes"])?;
    Ok(text.trim().parse()?)
}

/// From one host of a LAN to another, by a long path.
pub(super) async fn over(lan: &Lan, folder: &Path, size: u64) -> Result<Duration> {
    let _path = super::request_response::long_path(lan, 4100)?;
    let mut peers = [Peer::start(host(lan, 1)).await?, Peer::start(host(lan, 2)).await?];
    let [ada, bob] = &mut peers;
    let room = ada.create_room("Files", false).await?;
    let link = ada.invite(room, 9).await?;
    bob.join(&link, Some(format!("/ip4/{}/tcp/4100", lan.address(3)))).await?;
    let source = folder.join("source.bin");
    write(&source, size, 7)?;
    let target = folder.join("got");
    std::fs::create_dir(&target)?;
    let file = ada.share_file(room, &source).await?.file;
    bob.offered(room, file).await?;
    let began = Instant::now();
    bob.get_file(room, file, &target).await?;
    bob.complete_file(file).await?;
    Ok(began.elapsed())
}

/// Two things one after the other, from sharing to the last byte.
pub(super) async fn two(folder: &Path, one: &Path, other: &Path) -> Result<(Duration, Duration)> {
    let mut peers = two_peers().await?;
    let room = room_of(&mut peers).await?;
    let [ada, bob] = &mut peers;
    let mut took = Vec::new();
    for path in [one, other] {
        let target = folder.join(format!("got{}", took.len()));
        std::fs::create_dir(&target)?;
        let began = Instant::now();
        let file = ada.share_file(room, path).await?.file;
        bob.offered(room, file).await?;
        bob.get_file(room, file, &target).await?;
        bob.complete_file(file).await?;
        took.push(began.elapsed());
    }
    match took.as_slice() {
        [one, other] => Ok((*one, *other)),
        _ => anyhow::bail!("nothing was measured"),
    }
}

/// Kills the receiver with SIGKILL at half, and starts it again: MiB sent beyond the size of the file, and milliseconds from the start of
/// the new process until more of the file is there than before.
pub(super) async fn resume(size: u64) -> Result<[f64; 2]> {
    let folder = super::memory_folder()?;
    let source = folder.path().join("source.bin");
    write(&source, size, 7)?;
    let mut peers = two_peers().await?;
    let room = room_of(&mut peers).await?;
    let [mut ada, mut bob] = peers;
    let file = ada.share_file(room, &source).await?.file;
    bob.offered(room, file).await?;
    let target = folder.path().join("got");
    std::fs::create_dir(&target)?;
    bob.get_file(room, file, &target).await?;
    bob.wait_file(file, "half of it", |view| view.done >= size / 2).await?;
    bob.kill().await?;
    let mut bob = bob.restart(Some(loopback("Bob"))).await?;
    let had = bob.wait_file(file, "it goes on", |view| view.done > 0).await?.done;
    bob.wait_file(file, "more of it", |view| view.done > had || view.state == FileState::Complete).await?;
    let took = bob.started.elapsed();
    if bob.file(room, file).await?.state != FileState::Complete {
        bob.complete_file(file).await?;
    }
    let sent = ada.file(room, file).await?.sent;
    anyhow::ensure!(same(&source, &target.join("source.bin"))?, "what arrived is not what was sent");
    Ok([sent.saturating_sub(size) as f64 / MIB as f64, took.as_secs_f64() * 1000.0])
}

/// Peak memory of the worse side, in MiB, with a file of 100 GiB that is all holes: in chunks, hashes and maps it is as large as any, and
/// where it lands it stays all holes.
pub(super) async fn sparse() -> Result<f64> {
    let folder = super::memory_folder()?;
    let source = folder.path().join("huge.bin");
    let size = 100 * GIB;
    std::fs::File::create(&source)?.set_len(size)?;
    let mut peers = two_peers().await?;
    let room = room_of(&mut peers).await?;
    let [ada, bob] = &mut peers;
    // Hashing 100 GiB takes minutes, longer than anything else is waited for.
    for peer in [&mut *ada, &mut *bob] {
        peer.patience = Duration::from_secs(3600);
    }
    let file = ada.share_file(room, &source).await?.file;
    bob.offered(room, file).await?;
    let target = folder.path().join("got");
    std::fs::create_dir(&target)?;
    bob.get_file(room, file, &target).await?;
    let wanted = if std::env::var("BENCH").is_ok_and(|bench| bench == "long") { size } else { SPARSE_LOOK };
    let enough = |view: &conclave_node::view::FileView| view.done >= wanted || view.state == FileState::Stopped;
    let view = bob.wait_file(file, "enough of it", enough).await?;
    anyhow::ensure!(view.state != FileState::Stopped, "{:?}", view.error);
    Ok(worse_peak_kib([ada, bob])? as f64 / 1024.0)
}

/// How much later a voice is heard at the 95th percentile while a file goes the same way as without, over one uplink.
pub(super) async fn voice_latency() -> Result<f64> {
    let sound = SoundServer::start(&["mouth", "ear"])?;
    let lan = Lan::new(2)?;
    for number in 1..=2 {
        lan.set_uplink(number, Some(SHARED_KBIT))?;
    }
    let folder = super::memory_folder()?;
    let source = folder.path().join("source.bin");
    write(&source, 256 * MIB, 7)?;
    let talks = |number: usize| host(&lan, number).env(sound.environment());
    let mut peers = [Peer::start(talks(1)).await?, Peer::start(talks(2)).await?];
    let room = room_of(&mut peers).await?;
    let [ada, bob] = &mut peers;
    let join = |mic: &str, speaker: &str| Command::CallJoin {
        room,
        mic: Some(mic.to_owned()),
        mic_on: true,
        camera: Some("test:640x360@15".to_owned()),
        speaker: Some(speaker.to_owned()),
    };
    ada.request(join("pulse:mouth_mic", "null")).await?;
    bob.request(join("silence", "pulse:ear")).await?;
    bob.wait("the first picture", |event| matches!(event, Event::CallFirstFrame { .. }).then_some(())).await?;
    let click = folder.path().join("clicks.wav");
    clicks::write(&click)?;
    let p95 = async || -> Result<f64> {
        let mut waits = Vec::new();
        for _ in 0..ROUNDS_OF_CLICKS {
            let ears = (sound.listen("mouth")?, sound.listen("ear")?);
            let mut playing = sound.play("mouth", &click)?;
            tokio::task::block_in_place(|| playing.child().wait())?;
            let onsets = |(samples, first): (Vec<f32>, Option<Instant>)| {
                first.map(|first| clicks::onsets(&samples, first)).unwrap_or_default()
            };
            let (played, heard) = (onsets(ears.0.finish()), onsets(ears.1.finish()));
            waits.extend(clicks::latencies(&played, &heard).iter().map(|wait| wait.as_millis() as u64));
        }
        Ok(clicks::quantile(&waits, 0.95).context("no click was heard")? as f64)
    };
    let quiet = p95().await?;
    let file = ada.share_file(room, &source).await?.file;
    bob.offered(room, file).await?;
    bob.get_file(room, file, folder.path()).await?;
    let begun = bob.wait_file(file, "some of it", |view| view.done > 0).await?.done;
    let busy = p95().await?;
    let moved = bob.file(room, file).await?.done.saturating_sub(begun);
    eprintln!("files: mouth to ear, p95: {quiet} ms without, {busy} ms with a file of which {} KiB came", moved / 1024);
    Ok(busy / quiet.max(1.0))
}
