//! More than two: what a call of four costs one of them, and whether eight see each other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::event::Event;

use super::stage::{Part, first_picture, join, members};
use crate::lan::Lan;
use crate::peer::Peer;
use crate::process::{cpu_time, rss_kib};

/// CPU in percent of a core, and memory in MiB, of one of four who all send 720p30. The other three are whole peers too.
pub(super) async fn four() -> Result<[f64; 2]> {
    let (_lan, people) = call(4, "test:1280x720@30").await?;
    let measured = people.first().context("Ada")?;
    let pid = measured.pid().context("no process")?;
    let before = cpu_time(pid).context("no CPU time")?;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let used = cpu_time(pid).context("no CPU time")?.saturating_sub(before);
    let (rss, _) = rss_kib(pid).context("no memory")?;
    let wall = begun.elapsed();
    let mut people = people;
    let slowest = slowest(&mut people)?;
    // Whoever is short of a machine sends less, which would be a figure of something else.
    anyhow::ensure!(slowest >= 24.0, "this machine is too small for four: somebody is seen at {slowest:.1} a second");
    Ok([100.0 * used.as_secs_f64() / wall.as_secs_f64(), rss as f64 / 1024.0])
}

/// How many of eight see everybody else at 360p15, four fifths of it at least.
pub(super) async fn mesh() -> Result<[f64; 1]> {
    let (_lan, mut people) = call(8, "test:640x360@15").await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut see_all = 0;
    for peer in &mut people {
        let seen = rates(peer)?;
        see_all += usize::from(seen.len() == 7 && seen.iter().all(|fps| *fps >= 12.0));
    }
    Ok([see_all as f64])
}

/// Everyone in the call, and the first sees all of them.
async fn call(count: usize, camera: &str) -> Result<(Lan, Vec<Peer>)> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(count)?;
    let (room, mut people) = members(&lan, &vec![Part::default(); count]).await?;
    for peer in &mut people {
        peer.request(join(room, Some("tone"), Some(camera), "null")).await?;
    }
    let devices: Vec<_> = people.iter().map(Peer::device).collect();
    let (first, _) = people.split_first_mut().context("somebody")?;
    let mut missing: Vec<_> = devices.into_iter().skip(1).collect();
    first.drain()?;
    let shown = |event: &Event| if let Event::CallFirstFrame { device, .. } = event { Some(*device) } else { None };
    missing.retain(|device| !first.events.iter().any(|(_, event)| shown(event) == Some(*device)));
    while let Some(device) = missing.pop() {
        first_picture(first, device).await?;
        missing.retain(|device| !first.events.iter().any(|(_, event)| shown(event) == Some(*device)));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    Ok((lan, people))
}

/// Pictures a second of each of the others, as told last.
fn rates(peer: &mut Peer) -> Result<Vec<f32>> {
    peer.drain()?;
    let call = peer.events.iter().rev().find_map(|(_, event)| match event {
        Event::CallChanged { call } => call.clone(),
        _ => None,
    });
    Ok(call.context("no call")?.people.iter().map(|person| person.stats.video_fps).collect())
}

fn slowest(people: &mut [Peer]) -> Result<f32> {
    let mut slowest = f32::INFINITY;
    for peer in people {
        slowest = rates(peer)?.into_iter().fold(slowest, f32::min);
    }
    Ok(slowest)
}
