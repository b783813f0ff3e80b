//! The media of a call over real sockets on this machine: transports, meshes and how they fail. No root, no devices, no sound card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod hall;
mod loss;
mod mesh;
mod transport;

/// `RUST_LOG=debug` shows what the engine says.
fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
