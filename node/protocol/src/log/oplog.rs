//! The op log as a set of chains: what is known, what stands, what waits, who is frozen. What stands is a function of the set; it must
//! never depend on the order of arrival.

mod exchange;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::id::{DeviceId, OpHash, OpId, RoomId};
use crate::identity::verify;
use crate::log::acl::{AclKind, MAX_CUTS, OpCut};
use crate::log::authority::Authority;
use crate::log::bits::Bits;
use crate::log::dag::AclLog;
use crate::log::op::{EquivocationProof, MAX_DEPS, MAX_OP, OP_LABEL, Op};
use crate::log::pending::{Pending, PendingLimits};
use crate::log::{MAX_BYTES_PER_AUTHOR, MAX_INCARNATIONS, MAX_OPS_PER_MINUTE, Refused, Rejection};
use crate::wire::Signed;

/// Operations that wait for what they build on.
const PENDING: PendingLimits = PendingLimits { ops: 4096, bytes: 16 * 1024 * 1024, ops_per_author: 2048 };

/// No honest count comes near. Who claims more is not followed, or nobody could count further.
const HIGHEST_LAMPORT_TO_BUILD_ON: u64 = 1 << 61;

/// The order of everything that is shown: the same for everyone who holds the same set.
pub(crate) type OrderKey = (u64, DeviceId, u64, u64, OpHash);

/// An operation in its place.
#[derive(Debug)]
pub(crate) struct OpNode {
    pub(crate) signed: Signed,
    pub(crate) hash: OpHash,
    /// Without its body, which is read from `signed` when it is needed.
    pub(crate) op: Op,
    /// Past of its ACL heads, themselves included.
    pub(crate) view: Arc<Bits>,
    /// Over its author's quota, or built on such an operation of the same author.
    over_quota: bool,
    /// Counts: it stands by itself, or one that counts builds on it.
    pub(crate) valid: bool,
    /// How many that count build on it.
    valid_children: u32,
}

impl OpNode {
    pub(crate) fn key(&self) -> OrderKey {
        (self.op.lamport, self.op.id.device, self.op.id.seq, self.op.id.incarnation, self.hash)
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        Op::decode(&self.signed.payload).map(|op| op.body).unwrap_or_default()
    }

    fn parents(&self) -> impl Iterator<Item = &OpHash> {
        self.op.prev.iter().chain(&self.op.deps)
    }
}

/// One incarnation of a device, without gaps: what came after the last one, where this device was away. Where the author signed two operations with one id, the branch that came first.
#[derive(Debug, Default)]
struct Chain {
    nodes: VecDeque<usize>,
}

/// The operations of one author in the order of the author's clock.
#[derive(Debug, Default)]
struct Ledger {
    /// Clock, incarnation, number, hash; and the place in the log.
    entries: BTreeMap<(u64, u64, u64, OpHash), usize>,
    bytes: u64,
    incarnations: BTreeSet<u64>,
}

/// What this device needs of the room's rules to read the log.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) room: &'a RoomId,
    pub(crate) acl: &'a AclLog,
    pub(crate) authority: &'a Authority,
    /// Where history begins for this device, if not at the beginning: the operation that admitted it.
    pub(crate) horizon: Option<usize>,
    /// Newcomers of this room do not get what is older, so nobody waits for what others built on: whoever has it and whoever has not are to
    /// judge alike.
    pub(crate) late: bool,
    /// Where it goes on, if this device was removed and let in again: what was written in between never comes.
    pub(crate) again: Option<usize>,
}

/// What an insertion did.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    pub(crate) linked: Vec<usize>,
    pub(crate) proofs: Vec<EquivocationProof>,
}

/// What a change of verdicts did.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) newly_valid: Vec<usize>,
    /// Something that counted does not any more.
    pub(crate) newly_void: bool,
}

/// All known operations of one room's op log.
#[derive(Debug)]
pub(crate) struct OpLog {
    nodes: Vec<OpNode>,
    index: HashMap<OpHash, usize>,
    by_id: HashMap<OpId, usize>,
    chains: BTreeMap<(DeviceId, u64), Chain>,
    ledgers: BTreeMap<DeviceId, Ledger>,
    proofs: BTreeMap<DeviceId, EquivocationProof>,
    /// Those that count and on which nothing that counts builds.
    frontier: BTreeSet<usize>,
    views: HashMap<Vec<OpHash>, Arc<Bits>>,
    pending: Pending,
    /// What known operations build on and is not here, which only a history that begins late allows.
    late: HashSet<OpHash>,
    /// Verdicts of known operations may have changed: [`OpLog::settle`] judges all anew.
    stale: bool,
    unjudged: Vec<usize>,
}

impl OpLog {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            index: HashMap::new(),
            by_id: HashMap::new(),
            chains: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            proofs: BTreeMap::new(),
            frontier: BTreeSet::new(),
            views: HashMap::new(),
            pending: Pending::new(PENDING),
            late: HashSet::new(),
            stale: false,
            unjudged: Vec::new(),
        }
    }

    /// Takes operations in any order. `trusted`: they were verified before and come from this device's own store.
    pub(crate) fn insert(&mut self, ops: Vec<Signed>, rules: Rules<'_>, trusted: bool, refused: &mut Refused) -> Inserted {
        let needed = self.needed(&ops);
        let mut inserted = Inserted::default();
        let mut queue: VecDeque<(Signed, bool)> = ops.into_iter().map(|signed| (signed, trusted)).collect();
        while let Some((signed, verified)) = queue.pop_front() {
            let hash = signed.hash();
            if self.index.contains_key(&hash) || self.pending.contains(&hash) {
                refused.duplicates += 1;
                continue;
            }
            let is_needed = trusted || needed.contains(&hash) || self.pending.wants(&hash);
            match self.place(hash, signed, rules, verified, trusted, is_needed, &mut inserted.proofs) {
                Ok(Some(index)) => {
                    inserted.linked.push(index);
                    for woken in self.pending.wake(&hash) {
                        refused.waiting = refused.waiting.saturating_sub(1);
                        queue.push_front((woken, true));
                    }
                }
                Ok(None) => refused.waiting += 1,
                Err(rejection) => refused.count(rejection),
            }
        }
        inserted
    }

    /// Tries those again that waited for operations of the ACL log.
    pub(crate) fn retry(&mut self, arrived: &[OpHash], rules: Rules<'_>, refused: &mut Refused) -> Inserted {
        let mut inserted = Inserted::default();
        let mut queue: VecDeque<Signed> = arrived.iter().flat_map(|hash| self.pending.wake(hash)).collect();
        while let Some(signed) = queue.pop_front() {
            let hash = signed.hash();
            match self.place(hash, signed, rules, true, false, true, &mut inserted.proofs) {
                Ok(Some(index)) => {
                    inserted.linked.push(index);
                    queue.extend(self.pending.wake(&hash));
                }
                Ok(None) => {}
                Err(rejection) => refused.count(rejection),
            }
        }
        inserted
    }

    /// Freezes an author. The caller has verified the proof. False where the author is frozen already.
    pub(crate) fn freeze(&mut self, device: DeviceId, proof: EquivocationProof) -> bool {
        if self.proofs.contains_key(&device) {
            return false;
        }
        self.proofs.insert(device, proof);
        self.stale = true;
        true
    }

    /// Verdicts of the ACL log changed in a way that known operations may feel.
    pub(crate) fn mark_stale(&mut self) {
        self.stale = true;
    }

    /// Everything known will be judged anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn node(&self, index: usize) -> Option<&OpNode> {
        self.nodes.get(index)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &OpNode> {
        self.nodes.iter()
    }

    pub(crate) fn get(&self, hash: &OpHash) -> Option<&OpNode> {
        self.nodes.get(*self.index.get(hash)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Something here waits for it.
    pub(crate) fn wants(&self, hash: &OpHash) -> bool {
        self.pending.wants(hash)
    }

    pub(crate) fn wants_more(&self) -> bool {
        !self.pending.wanted(1).is_empty()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn is_frozen(&self, device: &DeviceId) -> bool {
        self.proofs.contains_key(device)
    }

    pub(crate) fn proofs(&self) -> impl Iterator<Item = (&DeviceId, &EquivocationProof)> {
        self.proofs.iter()
    }

    /// The next operation of this device. `None` where its quota is used up.
    pub(crate) fn next(
        &self,
        device: DeviceId,
        incarnation: u64,
        acl_heads: Vec<OpHash>,
        now_ms: u64,
        kind: u32,
        body: Vec<u8>,
    ) -> Option<Op> {
        let last = self.chains.get(&(device, incarnation)).and_then(|chain| self.node(*chain.nodes.back()?));
        let prev = last.map(|node| node.hash);
        let mut newest: Vec<&OpNode> = self.frontier.iter().filter_map(|index| self.node(*index)).collect();
        newest.retain(|node| Some(node.hash) != prev && node.op.lamport < HIGHEST_LAMPORT_TO_BUILD_ON);
        newest.sort_by_key(|node| std::cmp::Reverse(node.key()));
        newest.truncate(MAX_DEPS);
        let lamport = newest.iter().copied().chain(last).map(|node| node.op.lamport).max().unwrap_or(0) + 1;
        let mut deps: Vec<OpHash> = newest.iter().map(|node| node.hash).collect();
        deps.sort();
        let time_ms = last.map_or(now_ms, |node| node.op.time_ms.max(now_ms));
        let id = OpId { device, incarnation, seq: last.map_or(0, |node| node.op.id.seq) + 1 };
        if let Some(ledger) = self.ledgers.get(&device) {
            // By the newest of the clocks it has used, so that a clock that was set back does not open the quota again.
            let window = (time_ms.saturating_sub(60_000) + 1, 0, 0, OpHash([0; 32]));
            if ledger.entries.range(window..).count() >= MAX_OPS_PER_MINUTE || ledger.bytes + MAX_OP as u64 > MAX_BYTES_PER_AUTHOR
            {
                return None;
            }
            if ledger.incarnations.len() >= MAX_INCARNATIONS && !ledger.incarnations.contains(&incarnation) {
                return None;
            }
        }
        Some(Op { id, prev, acl_heads, deps, lamport, time_ms, kind, body })
    }

    /// The ACL heads of the last operation of an incarnation.
    pub(crate) fn last_heads(&self, device: DeviceId, incarnation: u64) -> &[OpHash] {
        let last = self.chains.get(&(device, incarnation)).and_then(|chain| self.node(*chain.nodes.back()?));
        last.map_or(&[], |node| &node.op.acl_heads)
    }

    /// What of a device counts when it is revoked now: the heads of its incarnations, the newest first where there are too many.
    pub(crate) fn cuts(&self, device: &DeviceId) -> Vec<OpCut> {
        let chains = self.chains.range((*device, 0)..=(*device, u64::MAX));
        let mut heads: Vec<&OpNode> = chains
            .filter_map(|(_, chain)| chain.nodes.iter().rev().filter_map(|index| self.node(*index)).find(|node| node.valid))
            .collect();
        heads.sort_by_key(|node| std::cmp::Reverse(node.key()));
        heads.truncate(MAX_CUTS);
        let mut cuts: Vec<OpCut> = heads
            .iter()
            .map(|node| OpCut { incarnation: node.op.id.incarnation, seq: node.op.id.seq, hash: node.hash })
            .collect();
        cuts.sort();
        cuts
    }

    /// Where it was linked, or `None` where it waits.
    #[allow(clippy::too_many_arguments)]
    fn place(
        &mut self,
        hash: OpHash,
        signed: Signed,
        rules: Rules<'_>,
        verified: bool,
        trusted: bool,
        is_needed: bool,
        proofs: &mut Vec<EquivocationProof>,
    ) -> Result<Option<usize>, Rejection> {
        if signed.payload.len() > MAX_OP {
            return Err(Rejection::Malformed);
        }
        let mut op = Op::decode(&signed.payload).map_err(|_| Rejection::Malformed)?;
        op.body = Vec::new();
        let missing = self.missing_for(&op, rules);
        if missing.is_some() && !self.pending.has_room(&op.id.device, signed.wire_len()) && !trusted {
            return Err(Rejection::BufferFull);
        }
        if !verified {
            verify(op.id.device.as_bytes(), OP_LABEL, rules.room, &signed.payload, &signed.sig)
                .map_err(|_| Rejection::BadSignature)?;
        }
        if let Some(other) = self.by_id.get(&op.id).and_then(|index| self.node(*index))
            && !self.is_frozen(&op.id.device)
        {
            let proof = EquivocationProof::new(other.signed.clone(), signed.clone());
            proofs.push(proof.clone());
            self.freeze(op.id.device, proof);
        }
        if self.is_frozen(&op.id.device) && !is_needed {
            return Err(Rejection::Frozen);
        }
        if let Some(missing) = missing {
            self.pending.keep(hash, op.id.device, signed, missing);
            return Ok(None);
        }
        let view = self.view(&op, rules);
        self.check_past(&op, &view, rules)?;
        if !trusted && !is_needed && !self.has_space(&op, signed.payload.len()) {
            return Err(Rejection::OverQuota);
        }
        Ok(Some(self.link(hash, signed, op, view)))
    }

    /// The first thing this operation builds on that is not here and should be.
    fn missing_for(&self, op: &Op, rules: Rules<'_>) -> Option<OpHash> {
        if let Some(head) = op.acl_heads.iter().find(|head| rules.acl.index_of(head).is_none()) {
            return Some(*head);
        }
        let prev_missing = op.prev.filter(|prev| !self.index.contains_key(prev));
        if !rules.late {
            return prev_missing.or_else(|| op.deps.iter().find(|dep| !self.index.contains_key(*dep)).copied());
        }
        if rules.horizon.is_none() {
            return prev_missing;
        }
        // History begins late here: what others built on may be older than all that is sent, and a chain may begin anywhere.
        let prev = prev_missing?;
        let chain = self.chains.get(&(op.id.device, op.id.incarnation))?;
        let (first, last) = (self.node(*chain.nodes.front()?)?, self.node(*chain.nodes.back()?)?);
        if op.id.seq >= first.op.id.seq {
            let heads: Vec<usize> = op.acl_heads.iter().filter_map(|head| rules.acl.index_of(head)).collect();
            let after = |again: usize| !last.view.contains(again) && rules.acl.view(&heads).contains(again);
            return if op.id.seq > last.op.id.seq && rules.again.is_some_and(after) { None } else { Some(prev) };
        }
        let fits = first.op.id.seq == op.id.seq + 1;
        if fits { None } else { first.op.prev }
    }

    /// What the past of an operation settles for ever, so that every member refuses alike.
    fn check_past(&self, op: &Op, view: &Bits, rules: Rules<'_>) -> Result<(), Rejection> {
        let admitted = rules.acl.about(&op.id.device).iter().any(|index| {
            view.contains(*index)
                && rules.acl.node(*index).is_some_and(|node| matches!(node.op.kind, AclKind::Create(_) | AclKind::Admit(_)))
        });
        if !admitted || rules.horizon.is_some_and(|horizon| !view.contains(horizon)) {
            return Err(Rejection::NotPermitted);
        }
        let known = |parent: &OpHash| self.get(parent).map_or(0, |node| node.op.lamport);
        let lamport_fits = if rules.late {
            op.lamport > op.prev.as_ref().map_or(0, known)
        } else {
            op.lamport == op.prev.iter().chain(&op.deps).map(known).max().unwrap_or(0) + 1
        };
        if !lamport_fits {
            return Err(Rejection::Malformed);
        }
        let Some(prev) = op.prev.and_then(|prev| self.get(&prev)) else { return Ok(()) };
        let follows = prev.op.id.device == op.id.device
            && prev.op.id.incarnation == op.id.incarnation
            && prev.op.id.seq.checked_add(1) == Some(op.id.seq)
            && prev.op.time_ms <= op.time_ms
            // What an author has seen of the ACL log cannot be unseen.
            && prev.op.acl_heads.iter().all(|head| rules.acl.index_of(head).is_some_and(|index| view.contains(index)));
        if follows { Ok(()) } else { Err(Rejection::Malformed) }
    }

    fn has_space(&self, op: &Op, bytes: usize) -> bool {
        let Some(ledger) = self.ledgers.get(&op.id.device) else { return true };
        ledger.bytes + bytes as u64 <= MAX_BYTES_PER_AUTHOR
            && (ledger.incarnations.len() < MAX_INCARNATIONS || ledger.incarnations.contains(&op.id.incarnation))
    }

    fn view(&mut self, op: &Op, rules: Rules<'_>) -> Arc<Bits> {
        if let Some(view) = self.views.get(&op.acl_heads) {
            return Arc::clone(view);
        }
        let heads: Vec<usize> = op.acl_heads.iter().filter_map(|head| rules.acl.index_of(head)).collect();
        let view = Arc::new(rules.acl.view(&heads));
        self.views.insert(op.acl_heads.clone(), Arc::clone(&view));
        view
    }

    fn link(&mut self, hash: OpHash, signed: Signed, op: Op, view: Arc<Bits>) -> usize {
        let index = self.nodes.len();
        let id = op.id;
        let ledger = self.ledgers.entry(id.device).or_default();
        ledger.bytes += signed.payload.len() as u64;
        ledger.incarnations.insert(id.incarnation);
        let entry = (op.time_ms, id.incarnation, id.seq, hash);
        let at_end = ledger.entries.last_key_value().is_none_or(|(last, _)| *last < entry);
        ledger.entries.insert(entry, index);
        let since = (op.time_ms.saturating_sub(60_000) + 1, 0, 0, OpHash([0; 32]));
        let until = (op.time_ms.saturating_add(60_000), 0, 0, OpHash([0; 32]));
        let crowded = ledger.entries.range(since..until).take(MAX_OPS_PER_MINUTE + 1).count() > MAX_OPS_PER_MINUTE;
        let mut over_quota = ledger.bytes > MAX_BYTES_PER_AUTHOR || crowded;
        if over_quota && !at_end {
            // It may push others over.
            self.stale = true;
            over_quota = false;
        }
        let chain = self.chains.entry((id.device, id.incarnation)).or_default();
        let first = chain.nodes.front().and_then(|first| self.nodes.get(*first));
        let last = chain.nodes.back().and_then(|last| self.nodes.get(*last));
        match (first, last) {
            (None, _) => chain.nodes.push_back(index),
            (_, Some(last)) if op.prev == Some(last.hash) => chain.nodes.push_back(index),
            (Some(first), _) if first.op.prev == Some(hash) => {
                chain.nodes.push_front(index);
                // The gap may be closed by this.
                let mut below = op.prev;
                while let Some(index) = below.and_then(|hash| self.index.get(&hash)) {
                    chain.nodes.push_front(*index);
                    below = self.nodes.get(*index).and_then(|node| node.op.prev);
                }
            }
            (_, Some(last)) if last.op.id.seq < id.seq && op.prev.is_some_and(|prev| !self.index.contains_key(&prev)) => {
                chain.nodes = VecDeque::from([index]);
            }
            _ => {} // another branch of someone who is frozen
        }
        self.by_id.entry(id).or_insert(index);
        self.index.insert(hash, index);
        let same_author_over =
            |hash: &OpHash| self.get(hash).is_some_and(|node| node.op.id.device == id.device && node.over_quota);
        over_quota |= op.prev.iter().chain(&op.deps).any(same_author_over);
        for parent in op.prev.iter().chain(&op.deps).filter(|parent| !self.index.contains_key(*parent)) {
            self.late.insert(*parent);
        }
        if self.late.remove(&hash) {
            self.stale = true;
        }
        self.nodes.push(OpNode { signed, hash, op, view, over_quota, valid: false, valid_children: 0 });
        self.unjudged.push(index);
        index
    }
}
