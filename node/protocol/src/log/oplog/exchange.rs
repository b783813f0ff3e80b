//! What two members tell each other of their op logs, and what one lacks of the other's. An answer must never be longer than was asked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::id::{DeviceId, OpHash};
use crate::log::op::Op;
use crate::log::oplog::{OpLog, OpNode, OrderKey};
use crate::log::sync::{ChainSummary, DeviceSummary, MAX_BATCH_BYTES, MAX_SUMMARY_CHAINS, MAX_WANTS, Summary};
use crate::wire::{self, MAX_ITEMS, Signed};

/// Most operations sent below one that was asked for by name; what is missing beyond is asked for next.
const MAX_BRANCH: usize = 1024;

/// Most bytes that a device takes in a summary beside its chains: two arrays and an id.
const DEVICE_BYTES: usize = 1 + 34 + 5;
/// Items of a frame with a summary that are not chains, with room to spare.
const SPARE_ITEMS: usize = 2 * MAX_WANTS;

impl OpLog {
    pub(crate) fn summary(&self) -> Summary {
        let mut heads: Vec<(u64, DeviceId, ChainSummary)> = Vec::new();
        for ((device, incarnation), chain) in &self.chains {
            let (Some(first), Some(last)) =
                (chain.nodes.front().and_then(|i| self.node(*i)), chain.nodes.back().and_then(|i| self.node(*i)))
            else {
                continue;
            };
            let summary =
                ChainSummary { incarnation: *incarnation, first: first.op.id.seq, seq: last.op.id.seq, head: short(&last.hash) };
            heads.push((last.op.lamport, *device, summary));
        }
        heads.sort_by_key(|(lamport, device, chain)| std::cmp::Reverse((*lamport, *device, chain.incarnation)));
        let fitting = fitting(&heads);
        let mut floor = 0;
        if heads.len() > fitting {
            heads.truncate(fitting);
            floor = heads.last().map_or(0, |(lamport, _, _)| *lamport);
        }
        let mut devices: BTreeMap<DeviceId, Vec<ChainSummary>> = BTreeMap::new();
        for (_, device, chain) in heads {
            devices.entry(device).or_default().push(chain);
        }
        Summary {
            devices: devices.into_iter().map(|(device, chains)| DeviceSummary { device, chains }).collect(),
            floor,
            wants: self.pending.wanted(MAX_WANTS),
        }
    }

    /// What someone with this summary lacks and may see, in an order in which it can be linked; at least one operation if there is any,
    /// then as many as `max_bytes` allow.
    pub(crate) fn missing(&self, summary: &Summary, max_bytes: usize, visible: impl Fn(&OpNode) -> bool) -> Vec<Signed> {
        let held = summary.index();
        let mut send: BTreeMap<OrderKey, usize> = BTreeMap::new();
        for (chain_id, chain) in &self.chains {
            if self.is_frozen(&chain_id.0) {
                continue;
            }
            let Some(last) = chain.nodes.back().and_then(|index| self.node(*index)) else { continue };
            let theirs = held.get(chain_id);
            if theirs.is_none() && last.op.lamport < summary.floor {
                continue;
            }
            for node in chain.nodes.iter().rev().filter_map(|index| self.node(*index)) {
                let seq = node.op.id.seq;
                let lacking = match theirs {
                    None => true,
                    // Where both have this number and not the same operation, the other side is to see it: it is the proof.
                    Some(theirs) => {
                        seq > theirs.seq || seq < theirs.first || (seq == theirs.seq && short(&node.hash) != theirs.head)
                    }
                };
                if !lacking && theirs.is_some_and(|theirs| theirs.first <= 1) {
                    break;
                }
                if !visible(node) {
                    break;
                }
                if lacking && let Some(index) = self.index.get(&node.hash) {
                    send.insert(node.key(), *index);
                }
            }
        }
        for wanted in summary.wants.iter().take(MAX_WANTS) {
            self.add_wanted(wanted, &held, &visible, &mut send);
        }
        let mut bytes = 0;
        let mut ops = Vec::new();
        for node in send.values().filter_map(|index| self.node(*index)) {
            if !ops.is_empty() && bytes + node.signed.wire_len() > max_bytes {
                break;
            }
            bytes += node.signed.wire_len();
            ops.push(node.signed.clone());
        }
        ops
    }

    /// What was asked for by name, with what is below it in its chain and beyond what the other side has.
    fn add_wanted(
        &self,
        wanted: &OpHash,
        held: &BTreeMap<(DeviceId, u64), ChainSummary>,
        visible: &impl Fn(&OpNode) -> bool,
        send: &mut BTreeMap<OrderKey, usize>,
    ) {
        let mut next = Some(*wanted);
        for _ in 0..MAX_BRANCH {
            let Some(hash) = next else { return };
            let Some(index) = self.index.get(&hash) else { return };
            let Some(node) = self.node(*index).filter(|node| visible(node)) else { return };
            let id = node.op.id;
            // Of someone who is frozen, the other side may hold another branch under the same numbers.
            let has =
                !self.is_frozen(&id.device) && held.get(&(id.device, id.incarnation)).is_some_and(|chain| id.seq <= chain.seq);
            if (has && hash != *wanted) || send.insert(node.key(), *index).is_some() {
                return;
            }
            next = node.op.prev;
        }
    }

    /// Operations of a batch that an operation of another author, or one that waits here, builds on.
    pub(super) fn needed(&self, ops: &[Signed]) -> HashSet<OpHash> {
        let mut needed = HashSet::new();
        if self.proofs.is_empty() {
            return needed;
        }
        for signed in ops.iter().rev() {
            let Ok(op) = Op::decode(&signed.payload) else { continue };
            let hash = signed.hash();
            if !self.is_frozen(&op.id.device) || needed.contains(&hash) || self.pending.wants(&hash) {
                needed.extend(op.prev.into_iter().chain(op.deps));
            }
        }
        needed
    }
}

/// How many of these chains fit in one frame and one message, beside what is wanted by name.
fn fitting(heads: &[(u64, DeviceId, ChainSummary)]) -> usize {
    let mut devices = BTreeSet::new();
    let (mut bytes, mut items) = (0, 0);
    let fits = |(_, device, chain): &&(u64, DeviceId, ChainSummary)| {
        if devices.insert(*device) {
            bytes += DEVICE_BYTES;
            items += 3;
        }
        bytes += wire::encode(chain).len();
        items += 5;
        bytes <= MAX_BATCH_BYTES && items <= MAX_ITEMS - SPARE_ITEMS
    };
    heads.iter().take(MAX_SUMMARY_CHAINS).take_while(fits).count()
}

fn short(hash: &OpHash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |value, byte| (value << 8) | u64::from(*byte))
}
