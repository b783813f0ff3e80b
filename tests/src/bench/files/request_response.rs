//! What ours is compared with over a long path: request-response as libp2p does it, a stream for each request, over the same TCP, Noise
//! and Yamux. Both ends run as processes on hosts of a LAN.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::FuturesUnordered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};

use crate::lan::Lan;
use crate::process::Owned;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/measure/chunk/1");
const CHUNK: usize = 1024 * 1024;
const AT_ONCE: usize = 8;
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
        _ => bail!("there is no such work"),
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
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    println!("{address}/p2p/{peer}");
                }
            }
            Some((_, mut stream)) = incoming.next() => {
                tokio::spawn(async move {
                    let mut asked = [0; 8];
                    if stream.read_exact(&mut asked).await.is_ok() && stream.write_all(&vec![7; CHUNK]).await.is_ok() {
                        let _ = stream.close().await;
                    }
                });
            }
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
            let mut stream = control.open_stream(peer, PROTOCOL).await?;
            stream.write_all(&number.to_be_bytes()).await?;
            stream.close().await?;
            let mut got = Vec::with_capacity(CHUNK);
            stream.read_to_end(&mut got).await?;
            anyhow::ensure!(got.len() == CHUNK, "a short answer");
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

/// Fetches so many bytes from one host of a LAN to another.
pub(super) async fn over(lan: &Lan, bytes: u64) -> Result<Duration> {
    let own = std::env::current_exe()?;
    let address = format!("/ip4/{}/tcp/4200", lan.address(1));
    let end = |host: usize, words: &[&str]| {
        let mut command = lan.command(host, Path::new(&own));
        command.arg("--work").args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        Owned::spawn(&mut command)
    };
    let mut server = end(1, &["serve", &address])?;
    let line = |owned: &mut Owned| -> Result<String> {
        let mut line = String::new();
        BufReader::new(owned.child().stdout.take().context("no stdout")?).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    };
    let address = line(&mut server)?;
    let mut client = end(2, &["fetch", &address, &bytes.to_string()])?;
    let took = tokio::task::spawn_blocking(move || line(&mut client)).await??;
    drop(server);
    Ok(Duration::from_secs_f64(took.parse().with_context(|| format!("request-response says {took:?}"))?))
}
