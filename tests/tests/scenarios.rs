//! Scenarios across crates: real peers as child processes, seen from outside. Those that need namespaces, a sound server or a display
//! are ignored by `make test` and run by `make test-full`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "scenarios/board.rs"]
mod board;
#[path = "scenarios/calls.rs"]
mod calls;
#[path = "scenarios/canvas.rs"]
mod canvas;
#[path = "scenarios/devices.rs"]
mod devices;
#[path = "scenarios/files.rs"]
mod files;
#[path = "scenarios/networks.rs"]
mod networks;
#[path = "scenarios/others.rs"]
mod others;
#[path = "scenarios/outages.rs"]
mod outages;
#[path = "scenarios/pictures.rs"]
mod pictures;
#[path = "scenarios/reach.rs"]
mod reach;
#[path = "scenarios/rooms.rs"]
mod rooms;
#[path = "scenarios/script.rs"]
mod script;
#[path = "scenarios/signs.rs"]
mod signs;
#[path = "scenarios/verify.rs"]
mod verify;
#[path = "scenarios/window.rs"]
mod window;

use conclave_tests::peer::{Peer, PeerOptions};

/// A peer that is reached over loopback only, by the addresses in a link.
async fn loopback(name: &str) -> Peer {
    Peer::start(on_loopback(name)).await.expect("a peer starts")
}

fn on_loopback(name: &str) -> PeerOptions {
    PeerOptions::named(name).args(["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
}
