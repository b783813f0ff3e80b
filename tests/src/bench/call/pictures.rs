//! Pictures: how long they take, and for how long they stand still on a path that loses some of what it carries.

use std::time::Duration;

use anyhow::{Context, Result};

use super::stage::{Part, first_picture, join, members, seen, watch};
use crate::lan::Lan;
use crate::peer::Peer;
use crate::process::program;

const CAMERA: &str = "test:1280x720@30";

/// Ada's camera, as Ben's window would draw it.
async fn two(lan: &Lan) -> Result<[Peer; 2]> {
    let probe = Part { program: Some(program("conclave-probe")?), ..Part::default() };
    let (room, mut people) = members(lan, &[Part::default(), probe]).await?;
    let mut ben = people.pop().context("Ben")?;
    let mut ada = people.pop().context("Ada")?;
    watch(&mut ben, ada.device()).await?;
    ada.request(join(room, Some("tone"), Some(CAMERA), "null")).await?;
    ben.request(join(room, None, Some("test:640x360@15"), "null")).await?;
    first_picture(&mut ben, ada.device()).await?;
    // A figure covers a call as it runs, not its first moments.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok([ada, ben])
}

/// The clock in the picture against the clock when it is there to be drawn: the median, and the 95th of a hundred.
pub(super) async fn glass_to_glass() -> Result<[f64; 2]> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    let [ada, mut ben] = two(&lan).await?;
    seen(&mut ben, ada.device(), true).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let seen = seen(&mut ben, ada.device(), false).await?;
    anyhow::ensure!(seen.height == 720 && seen.fps > 20.0, "{} lines at {:.1} a second", seen.height, seen.fps);
    let of = |value: Option<u64>| value.map(|ms| ms as f64).context("no clock was read");
    Ok([of(seen.glass_to_glass_ms_p50)?, of(seen.glass_to_glass_ms_p95)?])
}

/// The longest time without a new picture in 30 s, with 2 % lost each way and a round trip of 40 ms.
pub(super) async fn frozen() -> Result<[f64; 1]> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    lan.set_delay(2, 20, 0)?;
    let [ada, mut ben] = two(&lan).await?;
    for host in [1, 2] {
        lan.set_loss(host, 2)?;
    }
    seen(&mut ben, ada.device(), true).await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let seen = seen(&mut ben, ada.device(), false).await?;
    anyhow::ensure!(seen.pictures > 30, "{} pictures in 30 s", seen.pictures);
    Ok([seen.frozen_ms as f64])
}
