//! The family `call/`: pictures and sound as they arrive, and what they cost.

mod crowd;
mod pictures;
mod stage;
mod voice;

use std::time::Duration;

use anyhow::{Result, bail};
use conclave_node::command::Command;
use conclave_node::event::Event;

use super::room::{shares_keys, three};
use super::silence::longest_silence;
use super::{Rounds, Target};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("call/glass_to_glass_ms_p50", 100.0, "ms"),
    Target::at_most("call/glass_to_glass_ms_p95", 150.0, "ms"),
    Target::at_most("call/mouth_to_ear_ms_p50", 150.0, "ms"),
    Target::at_most("call/frozen_ms_loss2", 200.0, "ms"),
    Target::at_most("call/audio_lost_pct_loss10", 3.0, "%"),
    Target::at_most("call/cpu_pct_four_720p30", 60.0, "% of a core"),
    Target::at_most("call/rss_mib_four", 200.0, "MiB"),
    Target::at_least("call/mesh_people", 8.0, "people"),
    Target::at_least("call/forward_people", 25.0, "people"),
    Target::at_most("call/rekey_gap_ms", 40.0, "ms"),
];

pub(super) async fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["call/glass_to_glass_ms_p50", "call/glass_to_glass_ms_p95"], pictures::glass_to_glass().await);
        rounds.add(["call/mouth_to_ear_ms_p50"], voice::mouth_to_ear().await);
        rounds.add(["call/frozen_ms_loss2"], pictures::frozen().await);
        rounds.add(["call/audio_lost_pct_loss10"], voice::lost().await);
        rounds.add(["call/cpu_pct_four_720p30", "call/rss_mib_four"], crowd::four().await);
        rounds.add(["call/mesh_people"], crowd::mesh().await);
        rounds.add(["call/rekey_gap_ms"], rekey_gap().await);
    }
    rounds.add(["call/forward_people"], no_forwarding());
}

fn no_forwarding() -> Result<[f64; 1]> {
    bail!("no member forwards the media of others: a call is a full mesh, of eight people at most")
}

/// Ben records Ada's tone while Cleo leaves the call and the room's session: the longest silence in it.
async fn rekey_gap() -> Result<[f64; 1]> {
    let (_lan, room, [mut ada, mut ben, mut cleo]) = three().await?;
    let scratch = tempfile::tempdir()?;
    let heard = scratch.path().join("heard.wav");
    let join = |mic: &str, mic_on, speaker: String| Command::CallJoin {
        room,
        mic: Some(mic.into()),
        mic_on,
        camera: None,
        speaker: Some(speaker),
    };
    cleo.request(join("silence", false, "null".into())).await?;
    ada.request(join("tone", true, "null".into())).await?;
    ben.request(join("silence", false, format!("file:{}", heard.display()))).await?;
    let connected = |event: &Event| match event {
        Event::CallConnected { device, .. } => Some(*device),
        _ => None,
    };
    let (from, other) = (ada.device(), cleo.device());
    let mut missing = vec![from, other];
    while !missing.is_empty() {
        let device = ben.wait("the others in the call", connected).await?;
        missing.retain(|wanted| *wanted != device);
    }
    // The tone stands before the one leaves, and for as long after as an old epoch is accepted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    cleo.stop().await?;
    shares_keys(&mut ben, room, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ben.request(Command::CallLeave {}).await?;
    ada.request(Command::CallLeave {}).await?;
    Ok([longest_silence(&heard)? as f64])
}
