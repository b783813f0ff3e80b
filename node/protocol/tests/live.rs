//! What lives only while people are there: links, proofs, knocks, presence, calls, negotiation and media, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "live/call.rs"]
mod call;
#[path = "live/codes.rs"]
mod codes;
#[path = "live/corpus.rs"]
mod corpus;
#[path = "live/frame_cipher.rs"]
mod frame_cipher;
#[path = "live/host.rs"]
mod host;
#[path = "live/jitter.rs"]
mod jitter;
#[path = "live/knock.rs"]
mod knock;
#[path = "live/link.rs"]
mod link;
#[path = "live/linking.rs"]
mod linking;
#[path = "live/negotiation.rs"]
mod negotiation;
#[path = "live/pacing.rs"]
mod pacing;
#[path = "live/packetizer.rs"]
mod packetizer;
#[path = "live/proof.rs"]
mod proof;
#[path = "../fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;
#[path = "live/speaker.rs"]
mod speaker;
#[path = "live/spoken.rs"]
mod spoken;
#[path = "live/support.rs"]
mod support;
#[path = "live/vectors.rs"]
mod vectors;
