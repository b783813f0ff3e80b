//! Tests of the store: what it promises to keep, to hide and to refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod damage;
mod disk;
mod fixture;
mod journal;
mod power_cut;
mod protection;
mod rows;

use std::path::Path;

use conclave_protocol::id::RoomId;
use zeroize::Zeroizing;

use super::keyring::Cost;
use super::{Identity, Store};
use crate::config::Protection;

fn passphrase(text: &str) -> Protection {
    Protection::Passphrase(Zeroizing::new(text.to_owned()))
}

fn create(dir: &Path) -> Store {
    Store::create_with(dir, &passphrase("open sesame"), Cost::LOW).unwrap()
}

fn open(dir: &Path) -> Result<Store, super::StoreError> {
    Store::open(dir, &passphrase("open sesame"))
}

fn room(number: u8) -> RoomId {
    RoomId([number; 32])
}

fn identity(name: &str) -> Identity {
    Identity {
        device_seed: [7; 32],
        account_seed: [8; 32],
        name: name.to_owned(),
        device_list: Vec::new(),
        created_ms: 1_700_000_000_000,
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Deterministic numbers for a seeded test (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
