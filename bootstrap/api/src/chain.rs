//! The registrations of a team, hash-chained: what the node showed to one it must show to all. A token carries the head; a head that
//! is not in the chain that a client was shown is the proof of a split view.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Key};

const CONTEXT: &str = "conclave 2026 team chain v1";
/// Most entries of one answer.
pub const MAX_CHAIN_PAGE: usize = 256;

/// A place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last entry; 0 before the first.
    pub seq: u64,
    pub hash: Key,
}

impl Head {
    /// Before the first entry.
    pub const EMPTY: Self = Self { seq: 0, hash: Key([0; 32]) };
}

/// What an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainEvent {
    Registered,
    DeviceAdded,
    DeviceRevoked,
    Disabled,
    Enabled,
}

/// One entry. Its bytes are hashed as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEntry {
    pub seq: u64,
    pub prev: Key,
    pub at_ms: u64,
    pub event: ChainEvent,
    pub name: String,
    pub account: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Key>,
}

/// What `GET /v1/chain?after=N` answers: the JSON of the entries after N, at most [`MAX_CHAIN_PAGE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReply {
    pub entries: Vec<Bytes>,
    pub head: Head,
}

/// The chain is broken: the node showed something else before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {0} of the team's registrations does not follow the one before it")]
pub struct ChainError(pub u64);

/// The hash of an entry: BLAKE3 in derive-key mode over its bytes, which name the one before it.
pub fn entry_hash(entry: &[u8]) -> Key {
    Key(blake3::derive_key(CONTEXT, entry))
}

/// Follows the chain from `head` over `entries`; gives each entry, and the head after it.
///
/// # Errors
/// At the first entry that cannot be read or does not follow.
pub fn follow(mut head: Head, entries: &[Bytes]) -> Result<Vec<(ChainEntry, Head)>, ChainError> {
    let mut followed = Vec::with_capacity(entries.len().min(MAX_CHAIN_PAGE));
    for bytes in entries.iter().take(MAX_CHAIN_PAGE) {
        let broken = ChainError(head.seq + 1);
        let entry: ChainEntry = serde_json::from_slice(&bytes.0).map_err(|_| broken)?;
        if entry.seq != head.seq + 1 || entry.prev != head.hash {
            return Err(broken);
        }
        head = Head { seq: entry.seq, hash: entry_hash(&bytes.0) };
        followed.push((entry, head));
    }
    Ok(followed)
}
