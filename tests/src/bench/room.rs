//! The family `room/`: keys for whoever arrives, none for whoever is removed.

use std::time::Instant;

use anyhow::{Result, bail};
use conclave_node::command::Command;
use conclave_node::view::RoomView;
use conclave_protocol::id::RoomId;

use super::{Rounds, Target, milliseconds};
use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("room/session_ms", 1500.0, "ms"),
    Target::at_most("room/revoke_ms", 1000.0, "ms"),
    Target::at_most("room/heal_cpu_ms_49", 1000.0, "ms"),
    Target::at_most("room/sframe_cpu_pct", 3.0, "%"),
];

pub(super) async fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["room/session_ms", "room/revoke_ms"], round().await);
    }
    rounds.add(["room/heal_cpu_ms_49"], by_hand());
}

fn by_hand() -> Result<[f64; 1]> {
    bail!(
        "a figure of the pure machine: cargo test --release -p conclave-protocol --test session -- --ignored --nocapture figures"
    )
}

/// One arrives, one is removed.
async fn round() -> Result<[f64; 2]> {
    let (_lan, room, [mut ada, mut ben, mut cleo]) = three().await?;
    // Away for long enough that the others have the session to themselves, then back: from the start of the process.
    cleo.stop().await?;
    shares_keys(&mut ada, room, 2).await?;
    let mut cleo = cleo.restart(None).await?;
    shares_keys(&mut cleo, room, 3).await?;
    let session = milliseconds(cleo.started);

    let device = cleo.device();
    let start = Instant::now();
    ada.request(Command::RoomRevoke { room, device }).await?;
    let gone = |view: &RoomView| view.session.people == 2 && view.members.iter().all(|member| member.device != device);
    ada.wait_room(room, "without Cleo", gone).await?;
    ben.wait_room(room, "without Cleo", gone).await?;
    Ok([session, milliseconds(start)])
}

/// Three people on a LAN of their own share the keys of a room.
pub(super) async fn three() -> Result<(Lan, RoomId, [Peer; 3])> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(3)?;
    let mut ada = Peer::start(PeerOptions::named("Ada").on(&lan, 1)).await?;
    let mut ben = Peer::start(PeerOptions::named("Ben").on(&lan, 2)).await?;
    let mut cleo = Peer::start(PeerOptions::named("Cleo").on(&lan, 3)).await?;
    let room = ada.create_room("Bench", false).await?;
    let link = ada.invite(room, 2).await?;
    ben.join(&link, None).await?;
    cleo.join(&link, None).await?;
    shares_keys(&mut cleo, room, 3).await?;
    Ok((lan, room, [ada, ben, cleo]))
}

/// Until `people` are in the session and `peer` has its keys.
pub(super) async fn shares_keys(peer: &mut Peer, room: RoomId, people: u32) -> Result<()> {
    peer.wait_room(room, "the group key", |view| view.session.people == people && view.session.epoch.is_some()).await?;
    Ok(())
}
