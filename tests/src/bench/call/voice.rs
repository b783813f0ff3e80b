//! Voices: how long they take, and how much of them is made up on a path that loses a tenth of what it carries.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::stage::{Part, figures, first_picture, join, members};
use crate::lan::Lan;
use crate::sound::SoundServer;
use crate::{clicks, process};

/// Clicks that are played into Ada's microphone, and heard from Ben's speaker: the median.
pub(super) async fn mouth_to_ear() -> Result<[f64; 1]> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    let server = SoundServer::start(&["mouth", "ear"])?;
    let part = Part { env: server.environment(), ..Part::default() };
    let (room, mut people) = members(&lan, &[part.clone(), part]).await?;
    let (mut ben, mut ada) = (people.pop().context("Ben")?, people.pop().context("Ada")?);
    ada.request(join(room, Some("pulse:mouth_mic"), Some("test:640x360@15"), "null")).await?;
    ben.request(join(room, None, None, "pulse:ear")).await?;
    first_picture(&mut ben, ada.device()).await?;
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("clicks.wav");
    clicks::write(&file)?;
    let (mouth, ear) = (server.listen("mouth")?, server.listen("ear")?);
    let mut playing: process::Owned = server.play("mouth", &file)?;
    tokio::task::spawn_blocking(move || playing.child().wait()).await??;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let onsets =
        |(samples, first): (Vec<f32>, Option<Instant>)| first.map(|first| clicks::onsets(&samples, first)).unwrap_or_default();
    let (played, heard) = (onsets(mouth.finish()), onsets(ear.finish()));
    let latencies: Vec<u64> = clicks::latencies(&played, &heard).iter().map(|latency| latency.as_millis() as u64).collect();
    anyhow::ensure!(latencies.len() >= 6, "{} clicks played, {} heard", played.len(), heard.len());
    Ok([clicks::quantile(&latencies, 0.5).context("no click was heard")? as f64])
}

/// Concealed sound, in percent of what was played, with 10 % lost each way and a round trip of 40 ms. What error correction or a
/// second try brought back is not concealed.
pub(super) async fn lost() -> Result<[f64; 1]> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    lan.set_delay(2, 20, 0)?;
    let (room, mut people) = members(&lan, &[Part::default(), Part::default()]).await?;
    let (mut ben, mut ada) = (people.pop().context("Ben")?, people.pop().context("Ada")?);
    ada.request(join(room, Some("tone"), Some("test:640x360@15"), "null")).await?;
    ben.request(join(room, None, None, "null")).await?;
    first_picture(&mut ben, ada.device()).await?;
    for host in [1, 2] {
        lan.set_loss(host, 10)?;
    }
    // Until the sender knows of it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let told = figures(&mut ben, ada.device(), Duration::from_secs(30)).await?;
    anyhow::ensure!(told.len() >= 10, "figures came {} times", told.len());
    let lost = told.iter().map(|person| f64::from(person.stats.audio_lost_now_pct)).sum::<f64>();
    Ok([lost / told.len() as f64])
}
