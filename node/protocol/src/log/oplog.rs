//! The op log as a set of chains: what is known, what stands, what waits, who is frozen. What stands is a function of the set; it must
//! never depend on the order of arrival.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::id::{DeviceId, OpHash, OpId, RoomId};
use crate::identity::verify;
use crate::log::acl::{AclKind, MAX_CUTS, OpCut, Revoke};
use crate::log::authority::Authority;
use crate::log::bits::Bits;
use crate::log::dag::AclLog;
use crate::log::op::{EquivocationProof, MAX_DEPS, MAX_OP, OP_LABEL, Op};
use crate::log::pending::{Pending, PendingLimits};
use crate::log::sync::{ChainSummary, DeviceSummary, MAX_SUMMARY_CHAINS, MAX_WANTS, Summary};
use crate::log::{MAX_BYTES_PER_AUTHOR, MAX_INCARNATIONS, MAX_OPS_PER_MINUTE, Refused, Rejection};
use crate::wire::Signed;

/// Most operations sent below one that was asked for by name; what is missing beyond is asked for next.
const MAX_BRANCH: usize = 1024;
/// Operations that wait for what they build on.
const PENDING: PendingLimits = PendingLimits { ops: 4096, bytes: 16 * 1024 * 1024, ops_per_author: 2048 };

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

/// One incarnation of a device, without gaps. Where the author signed two operations with one id, the branch that came first.
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

    /// Judges what is new, or everything where that is necessary.
    pub(crate) fn settle(&mut self, rules: Rules<'_>) -> Verdicts {
        let unjudged = std::mem::take(&mut self.unjudged);
        let mut verdicts = Verdicts::default();
        if !self.stale {
            for index in unjudged {
                if self.stands(index, rules) {
                    self.mark_valid(index, &mut verdicts.newly_valid);
                }
            }
            return verdicts;
        }
        self.stale = false;
        let before: Vec<bool> = self.nodes.iter().map(|node| node.valid).collect();
        self.judge_quotas();
        self.frontier.clear();
        for node in &mut self.nodes {
            node.valid = false;
            node.valid_children = 0;
        }
        let mut valid = Vec::new();
        for index in 0..self.nodes.len() {
            if self.stands(index, rules) {
                self.mark_valid(index, &mut valid);
            }
        }
        verdicts.newly_valid = valid.into_iter().filter(|index| !before.get(*index).copied().unwrap_or(false)).collect();
        verdicts.newly_void = self.nodes.iter().zip(before).any(|(node, was)| was && !node.valid);
        verdicts
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
        let mut newest: Vec<&OpNode> =
            self.frontier.iter().filter_map(|index| self.node(*index)).filter(|node| Some(node.hash) != prev).collect();
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
        let mut floor = 0;
        if heads.len() > MAX_SUMMARY_CHAINS {
            heads.sort_by_key(|(lamport, device, chain)| std::cmp::Reverse((*lamport, *device, chain.incarnation)));
            heads.truncate(MAX_SUMMARY_CHAINS);
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
    fn needed(&self, ops: &[Signed]) -> HashSet<OpHash> {
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
        if rules.horizon.is_none() {
            return prev_missing.or_else(|| op.deps.iter().find(|dep| !self.index.contains_key(*dep)).copied());
        }
        // History begins late here: what others built on may be older than all that is sent, and a chain may begin anywhere.
        let prev = prev_missing?;
        let chain = self.chains.get(&(op.id.device, op.id.incarnation))?;
        let first = self.node(*chain.nodes.front()?)?;
        if op.id.seq >= first.op.id.seq {
            return Some(prev);
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
        let mut expected = 0;
        let mut all_known = true;
        for parent in op.prev.iter().chain(&op.deps) {
            match self.get(parent) {
                Some(node) => expected = expected.max(node.op.lamport),
                None => all_known = false,
            }
        }
        let lamport_fits = if all_known { op.lamport == expected + 1 } else { op.lamport > expected };
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
            (Some(first), _) if first.op.prev == Some(hash) => chain.nodes.push_front(index),
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

    /// Over the whole log: who was over the quota when, by their own clocks, and what they built on it.
    fn judge_quotas(&mut self) {
        for ledger in self.ledgers.values() {
            let mut window: VecDeque<u64> = VecDeque::new();
            let mut bytes = 0;
            for ((time_ms, ..), index) in &ledger.entries {
                while window.front().is_some_and(|first| first + 60_000 <= *time_ms) {
                    window.pop_front();
                }
                window.push_back(*time_ms);
                let Some(node) = self.nodes.get_mut(*index) else { continue };
                bytes += node.signed.payload.len() as u64;
                node.over_quota = window.len() > MAX_OPS_PER_MINUTE || bytes > MAX_BYTES_PER_AUTHOR;
            }
        }
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| self.nodes.get(*index).map(OpNode::key));
        for index in order {
            let Some(node) = self.nodes.get(index) else { continue };
            let device = node.op.id.device;
            let over = node
                .parents()
                .any(|hash| self.get(hash).is_some_and(|parent| parent.op.id.device == device && parent.over_quota));
            if over && let Some(node) = self.nodes.get_mut(index) {
                node.over_quota = true;
            }
        }
    }

    /// Counts by itself, whatever builds on it.
    fn stands(&self, index: usize, rules: Rules<'_>) -> bool {
        let Some(node) = self.node(index) else { return false };
        !node.over_quota
            && !self.is_frozen(&node.op.id.device)
            && rules.authority.may_write(rules.acl, &node.op.id.device, &node.view, |revoke| is_inside(revoke, node))
    }

    /// It counts, and with it all that it builds on.
    fn mark_valid(&mut self, index: usize, newly: &mut Vec<usize>) {
        let mut stack = vec![index];
        while let Some(index) = stack.pop() {
            let Some(node) = self.nodes.get_mut(index).filter(|node| !node.valid) else { continue };
            node.valid = true;
            newly.push(index);
            if node.valid_children == 0 {
                self.frontier.insert(index);
            }
            let parents: Vec<usize> = self
                .nodes
                .get(index)
                .into_iter()
                .flat_map(OpNode::parents)
                .filter_map(|hash| self.index.get(hash).copied())
                .collect();
            for parent in parents {
                self.frontier.remove(&parent);
                if let Some(node) = self.nodes.get_mut(parent) {
                    node.valid_children += 1;
                    if !node.valid {
                        stack.push(parent);
                    }
                }
            }
        }
    }
}

fn is_inside(revoke: &Revoke, node: &OpNode) -> bool {
    let id = node.op.id;
    revoke
        .op_cuts
        .iter()
        .find(|cut| cut.incarnation == id.incarnation)
        .is_some_and(|cut| id.seq < cut.seq || (id.seq == cut.seq && node.hash == cut.hash))
}

fn short(hash: &OpHash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |value, byte| (value << 8) | u64::from(*byte))
}
