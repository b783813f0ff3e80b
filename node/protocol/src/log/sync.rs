//! What two members say to each other to have the same logs: heads, summaries, batches, proofs. It must never make one side hold or
//! send without a bound.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::id::{DeviceId, OpHash};
use crate::log::MAX_ANNOUNCED;
use crate::log::op::EquivocationProof;
use crate::wire::{self, Signed, WireError};

/// Longest frame of a room stream, in bytes.
pub const MAX_ROOM_FRAME: usize = 256 * 1024;
/// Most bytes of operations in one frame.
pub const MAX_BATCH_BYTES: usize = 224 * 1024;
/// Most operations in one frame.
pub const MAX_BATCH_OPS: usize = 1024;
/// Most batches of the ACL log in one answer: below 1 MiB, so that no queue of a stream is filled. Whoever lacks more asks again.
pub const MAX_ACL_ANSWER: usize = 4;
/// Most chains in one summary: the newest.
pub const MAX_SUMMARY_CHAINS: usize = 8192;
/// Most entries of device lists in one frame.
pub const MAX_LISTS: usize = 24;
/// Most operations a summary asks for by name.
pub const MAX_WANTS: usize = 128;

/// What is held of one incarnation of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ChainSummary {
    /// Which.
    #[n(0)]
    pub incarnation: u64,
    /// The number of the first operation held: 1, except where history begins with one's own admission.
    #[n(1)]
    pub first: u64,
    /// The number of the last.
    #[n(2)]
    pub seq: u64,
    /// The first eight bytes of the hash of the last, big-endian.
    #[n(3)]
    pub head: u64,
}

/// What is held of one device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DeviceSummary {
    /// Whose.
    #[n(0)]
    pub device: DeviceId,
    /// One entry an incarnation.
    #[n(1)]
    pub chains: Vec<ChainSummary>,
}

/// What is held of the op log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Summary {
    /// What is held.
    #[n(0)]
    pub devices: Vec<DeviceSummary>,
    /// Chains whose last operation has a lower Lamport number than this are left out, and are held.
    #[n(1)]
    pub floor: u64,
    /// Operations that others build on and that are missing.
    #[n(2)]
    pub wants: Vec<OpHash>,
}

impl Summary {
    pub(crate) fn index(&self) -> BTreeMap<(DeviceId, u64), ChainSummary> {
        let chains =
            self.devices.iter().flat_map(|entry| entry.chains.iter().map(|chain| ((entry.device, chain.incarnation), *chain)));
        chains.take(MAX_SUMMARY_CHAINS).collect()
    }
}

/// What travels on a room stream, behind the room proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomFrame {
    /// What of the ACL log is known. Answered with at most [`MAX_ACL_ANSWER`] times [`RoomFrame::AclOps`] if the other side lacks
    /// something; said again while what comes is new and something that was announced is still missing.
    AclHeads(Vec<OpHash>),
    /// Operations of the ACL log, parents first.
    AclOps(Vec<Signed>),
    /// What of the op log is held. Answered with [`RoomFrame::Ops`].
    Summary(Summary),
    /// Operations of the op log, in an order in which each can be linked.
    Ops(Vec<Signed>),
    /// A member signed two operations with one id.
    Proof(Box<EquivocationProof>),
    /// The newest entries that are known of members' device lists, at most [`MAX_LISTS`].
    Lists(Vec<Signed>),
    /// From a newer version: skipped.
    Unknown(u32),
}

#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    kind: u32,
    #[n(1)]
    hashes: Option<Vec<OpHash>>,
    #[n(2)]
    ops: Option<Vec<Signed>>,
    #[n(3)]
    summary: Option<Summary>,
    #[n(4)]
    proof: Option<EquivocationProof>,
}

impl RoomFrame {
    /// The payload of a frame.
    pub fn encode(&self) -> Vec<u8> {
        let raw = match self.clone() {
            Self::AclHeads(hashes) => Raw { kind: 1, hashes: Some(hashes), ..Raw::default() },
            Self::AclOps(ops) => Raw { kind: 2, ops: Some(ops), ..Raw::default() },
            Self::Summary(summary) => Raw { kind: 3, summary: Some(summary), ..Raw::default() },
            Self::Ops(ops) => Raw { kind: 4, ops: Some(ops), ..Raw::default() },
            Self::Proof(proof) => Raw { kind: 5, proof: Some(*proof), ..Raw::default() },
            Self::Lists(entries) => Raw { kind: 6, ops: Some(entries), ..Raw::default() },
            Self::Unknown(kind) => Raw { kind, ..Raw::default() },
        };
        wire::encode(&raw)
    }

    /// Reads the payload of a frame.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let raw: Raw = wire::decode_within(payload, MAX_ROOM_FRAME)?;
        let frame = match raw.kind {
            1 => Self::AclHeads(raw.hashes.filter(|hashes| hashes.len() <= MAX_ANNOUNCED).ok_or(WireError::Malformed)?),
            2 => Self::AclOps(raw.ops.filter(|ops| ops.len() <= MAX_BATCH_OPS).ok_or(WireError::Malformed)?),
            3 => {
                let summary = raw.summary.ok_or(WireError::Malformed)?;
                let chains: usize = summary.devices.iter().map(|entry| entry.chains.len()).sum();
                if chains > MAX_SUMMARY_CHAINS || summary.wants.len() > MAX_WANTS {
                    return Err(WireError::Malformed);
                }
                Self::Summary(summary)
            }
            4 => Self::Ops(raw.ops.filter(|ops| ops.len() <= MAX_BATCH_OPS).ok_or(WireError::Malformed)?),
            5 => Self::Proof(Box::new(raw.proof.ok_or(WireError::Malformed)?)),
            6 => Self::Lists(raw.ops.filter(|entries| entries.len() <= MAX_LISTS).ok_or(WireError::Malformed)?),
            kind => Self::Unknown(kind),
        };
        Ok(frame)
    }
}

/// Cuts operations into batches that fit a frame, keeping their order.
pub fn batches(ops: Vec<Signed>) -> Vec<Vec<Signed>> {
    let mut batches = Vec::new();
    let mut batch: Vec<Signed> = Vec::new();
    let mut bytes = 0;
    for op in ops {
        if !batch.is_empty() && (bytes + op.wire_len() > MAX_BATCH_BYTES || batch.len() == MAX_BATCH_OPS) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += op.wire_len();
        batch.push(op);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
