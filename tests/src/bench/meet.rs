//! The family `meet/`: from the start of a program to the first picture.

use std::time::Instant;

use anyhow::Result;
use conclave_node::command::Command;
use conclave_node::event::Event;

use super::{Rounds, Target, milliseconds};
use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("meet/discover_ms", 1000.0, "ms"),
    Target::at_most("meet/join_ms", 1000.0, "ms"),
    Target::at_most("meet/first_frame_ms", 1000.0, "ms"),
];

pub(super) async fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["meet/discover_ms", "meet/join_ms", "meet/first_frame_ms"], round().await);
    }
}

/// Two peers on a LAN of their own: found, joined, seen.
async fn round() -> Result<[f64; 3]> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    let mut ada = Peer::start(PeerOptions::named("Ada").on(&lan, 1)).await?;
    let mut ben = Peer::start(PeerOptions::named("Ben").on(&lan, 2)).await?;
    // From the start of the second process: what a person waits for.
    ben.wait("a neighbour", |event| matches!(event, Event::PeerDiscovered { .. }).then_some(())).await?;
    let discovered = milliseconds(ben.started);
    let room = ada.create_room("Bench", false).await?;
    let link = ada.invite(room, 1).await?;
    let start = Instant::now();
    ben.join(&link, None).await?;
    let joined = milliseconds(start);
    ben.wait_room(room, "both online", |view| view.members.iter().all(|member| member.online || member.me)).await?;
    let join = |camera: &str| Command::CallJoin {
        room,
        mic: Some("silence".into()),
        mic_on: false,
        camera: Some(camera.into()),
        speaker: Some("null".into()),
    };
    ada.request(join("test:1280x720@30")).await?;
    let start = Instant::now();
    ben.request(join("test:640x360@15")).await?;
    ben.wait("a first picture", |event| matches!(event, Event::CallFirstFrame { .. }).then_some(())).await?;
    Ok([discovered, joined, milliseconds(start)])
}
