//! Operations whose dependencies are missing, by what they wait for. It must never hold more than its bounds: what does not fit is
//! dropped, and anti-entropy brings it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::{DeviceId, OpHash};
use crate::wire::Signed;

/// Bounds of one buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingLimits {
    pub(crate) ops: usize,
    pub(crate) bytes: usize,
    /// So that one author cannot crowd out the others.
    pub(crate) ops_per_author: usize,
}

#[derive(Debug)]
struct Waiting {
    author: DeviceId,
    signed: Signed,
    waits_for: OpHash,
}

/// The buffer.
#[derive(Debug)]
pub(crate) struct Pending {
    limits: PendingLimits,
    bytes: usize,
    waiting: BTreeMap<OpHash, Waiting>,
    by_missing: BTreeMap<OpHash, BTreeSet<OpHash>>,
    per_author: HashMap<DeviceId, usize>,
}

impl Pending {
    pub(crate) fn new(limits: PendingLimits) -> Self {
        Self { limits, bytes: 0, waiting: BTreeMap::new(), by_missing: BTreeMap::new(), per_author: HashMap::new() }
    }

    pub(crate) fn contains(&self, hash: &OpHash) -> bool {
        self.waiting.contains_key(hash)
    }

    pub(crate) fn has_room(&self, author: &DeviceId, bytes: usize) -> bool {
        self.waiting.len() < self.limits.ops
            && self.bytes.saturating_add(bytes) <= self.limits.bytes
            && self.per_author.get(author).copied().unwrap_or(0) < self.limits.ops_per_author
    }

    /// Keeps an operation until `waits_for` is there. The caller has asked [`Self::has_room`].
    pub(crate) fn keep(&mut self, hash: OpHash, author: DeviceId, signed: Signed, waits_for: OpHash) {
        if self.waiting.contains_key(&hash) {
            return;
        }
        self.bytes += signed.wire_len();
        *self.per_author.entry(author).or_default() += 1;
        self.by_missing.entry(waits_for).or_default().insert(hash);
        self.waiting.insert(hash, Waiting { author, signed, waits_for });
    }

    /// Takes out what waited for `arrived`.
    pub(crate) fn wake(&mut self, arrived: &OpHash) -> Vec<Signed> {
        let hashes = self.by_missing.get(arrived).cloned().unwrap_or_default();
        hashes.iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// Something here waits for it.
    pub(crate) fn wants(&self, hash: &OpHash) -> bool {
        self.by_missing.contains_key(hash)
    }

    /// Something of another author waits for it, or for what waits for it.
    pub(crate) fn wants_for_another(&self, hash: &OpHash, author: &DeviceId) -> bool {
        let mut seen: BTreeSet<OpHash> = BTreeSet::new();
        let mut stack = vec![*hash];
        while let Some(hash) = stack.pop() {
            for child in self.by_missing.get(&hash).into_iter().flatten() {
                if self.waiting.get(child).is_some_and(|waiting| waiting.author != *author) {
                    return true;
                }
                if seen.insert(*child) {
                    stack.push(*child);
                }
            }
        }
        false
    }

    /// What is waited for, except what is here itself; at most `limit`.
    pub(crate) fn wanted(&self, limit: usize) -> Vec<OpHash> {
        self.by_missing.keys().filter(|hash| !self.waiting.contains_key(*hash)).take(limit).copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn remove(&mut self, hash: &OpHash) -> Option<Signed> {
        let gone = self.waiting.remove(hash)?;
        self.bytes -= gone.signed.wire_len();
        if let Some(count) = self.per_author.get_mut(&gone.author) {
            *count -= 1;
            if *count == 0 {
                self.per_author.remove(&gone.author);
            }
        }
        if let Some(set) = self.by_missing.get_mut(&gone.waits_for) {
            set.remove(hash);
            if set.is_empty() {
                self.by_missing.remove(&gone.waits_for);
            }
        }
        Some(gone.signed)
    }
}
