//! What ours is compared with over a long path: request-response as libp2p does it, a stream for each request, over the same TCP, Noise
//! and Yamux. Both ends run as processes on hosts of a LAN.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures::stream::FuturesUnordered;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lan::Lan;
use crate::process::{Owned, run};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/measure/chunk/1");
const CHUNK: usize = 1024 * 1024;
const AT_ONCE: usize = 8;
const AGAIN: usize = 16;
/// Nothing of it takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// One end, as a process of its own: `serve ADDRESS`, or `fetch ADDRESS BYTES`.
pub(in crate::bench) async fn work(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", address] => serve(address.parse()?).await,
        ["fetch", address, bytes] => {
            let took =
                tokio::time::timeout(PATIENCE, fetch(address.parse()?, bytes.parse()?)).await.context("it takes too long")??;
            println!("{}", took.as_secs_f64());
            Ok(())
        }
        ["delay", from, to, ms] => delay(from, to, Duration::from_millis(ms.parse()?)).await,
        _ => bail!("there is no such work"),
    }
}

/// A long path: TCP from one address to another, everything that much later each way, in order and at any rate.
async fn delay(from: &str, to: &str, each_way: Duration) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(from).await?;
    println!("ready");
    loop {
        let (near, _) = listener.accept().await?;
        let far = tokio::net::TcpStream::connect(to).await?;
        for socket in [&near, &far] {
            socket.set_nodelay(true)?;
        }
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        tokio::spawn(carry(near_read, far_write, each_way));
        tokio::spawn(carry(far_read, near_write, each_way));
    }
}

/// Pieces on a long path at once: 64 KiB each, more than 1 Gbit/s needs in 20 ms.
const ON_THE_WAY: usize = 512;

async fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, each_way: Duration) {
    let (sender, mut pieces) = tokio::sync::mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(ON_THE_WAY);
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    loop {
        let mut piece = Vec::with_capacity(64 * 1024);
        match from.read_buf(&mut piece).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
        if sender.send((tokio::time::Instant::now() + each_way, piece)).await.is_err() {
            return;
        }
    }
}

fn swarm() -> Result<Swarm<libp2p_stream::Behaviour>> {
    let built = SwarmBuilder::with_new_identity().with_tokio();
    let built = built.with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?;
    let built = built.with_behaviour(|_| libp2p_stream::Behaviour::new()).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(built.with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE)).build())
}

async fn serve(address: Multiaddr) -> Result<()> {
    let mut swarm = swarm()?;
    swarm.listen_on(address)?;
    let mut incoming = swarm.behaviour().new_control().accept(PROTOCOL)?;
    let peer = *swarm.local_peer_id();
    // In a task of its own: streams that come while nobody takes them are dropped.
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            tokio::spawn(async move {
                let mut asked = [0; 8];
                if stream.read_exact(&mut asked).await.is_ok() && stream.write_all(&vec![7; CHUNK]).await.is_ok() {
                    let _ = stream.close().await;
                }
            });
        }
    });
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            println!("{address}/p2p/{peer}");
        }
    }
}

async fn fetch(address: Multiaddr, bytes: usize) -> Result<Duration> {
    let mut swarm = swarm()?;
    swarm.dial(address)?;
    let peer = loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
            SwarmEvent::OutgoingConnectionError { error, .. } => bail!("{error}"),
            _ => {}
        }
    };
    let control = swarm.behaviour().new_control();
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let began = Instant::now();
    let request = |number: usize| {
        let mut control = control.clone();
        async move {
            let mut got = Vec::with_capacity(CHUNK);
            // A stream that was dropped at the other end is opened again.
            for _ in 0..AGAIN {
                let mut stream = control.open_stream(peer, PROTOCOL).await?;
                stream.write_all(&number.to_be_bytes()).await?;
                stream.close().await?;
                stream.read_to_end(&mut got).await?;
                if !got.is_empty() {
                    break;
                }
            }
            anyhow::ensure!(got.len() == CHUNK, "a short answer: {} bytes", got.len());
            Ok(())
        }
    };
    let mut running = FuturesUnordered::new();
    for number in 0..bytes.div_ceil(CHUNK) {
        if running.len() == AT_ONCE {
            running.next().await.context("no request")??;
        }
        running.push(request(number));
    }
    while let Some(done) = running.next().await {
        done?;
    }
    Ok(began.elapsed())
}

/// A worker as a process on a host.
fn worker(lan: &Lan, host: usize, words: &[&str]) -> Result<Owned> {
    let mut command = lan.command(host, &std::env::current_exe()?);
    Owned::spawn(command.arg("--work").args(words).stdin(Stdio::null()).stdout(Stdio::piped()))
}

fn line(owned: &mut Owned) -> Result<String> {
    let mut line = String::new();
    BufReader::new(owned.child().stdout.take().context("no stdout")?).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// The only way from host 2 to a port of host 1: by host 3, which is 20 ms from each of them.
pub(super) fn long_path(lan: &Lan, port: u16) -> Result<Owned> {
    for (host, other) in [(1, 2), (2, 1)] {
        let space = lan.host(host);
        let nft = |words: &[&str]| run("ip", &[&["netns", "exec", &space, "nft"], words].concat());
        if nft(&["list", "table", "inet", "far"]).is_err() {
            nft(&["add", "table", "inet", "far"])?;
            nft(&["add", "chain", "inet", "far", "input", "{ type filter hook input priority 0 ; }"])?;
            nft(&["add", "rule", "inet", "far", "input", "ip", "saddr", &lan.address(other), "drop"])?;
        }
    }
    let (from, to) = (format!("{}:{port}", lan.address(3)), format!("{}:{port}", lan.address(1)));
    let mut delay = worker(lan, 3, &["delay", &from, &to, "20"])?;
    anyhow::ensure!(line(&mut delay)? == "ready", "the long path does not stand");
    Ok(delay)
}

/// Fetches so many bytes from one host of a LAN to another, by a long path.
pub(super) async fn over(lan: &Lan, bytes: u64) -> Result<Duration> {
    let mut server = worker(lan, 1, &["serve", &format!("/ip4/{}/tcp/4200", lan.address(1))])?;
    let address = line(&mut server)?.replace(&lan.address(1), &lan.address(3));
    let _path = long_path(lan, 4200)?;
    let mut client = worker(lan, 2, &["fetch", &address, &bytes.to_string()])?;
    let took = tokio::task::spawn_blocking(move || line(&mut client)).await??;
    drop(server);
    Ok(Duration::from_secs_f64(took.parse().with_context(|| format!("request-response says {took:?}"))?))
}
