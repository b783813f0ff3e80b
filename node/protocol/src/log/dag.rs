//! The ACL log as a set of hash-linked operations: what is known, what it builds on, what waits. It must never decide who may do what
//! beyond what an operation's own past settles for ever.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::id::{DeviceId, OpHash, RoomId};
use crate::log::acl::{self, AclKind, AclOp, MAX_ACL_OP, MAX_PARENTS, Role};
use crate::log::bits::Bits;
use crate::log::pending::{Pending, PendingLimits};
use crate::log::{MAX_ACL_OPS, MAX_ACL_OPS_OF_A_MEMBER, MAX_ANNOUNCED, Refused, Rejection};
use crate::wire::Signed;

/// Of these, kept free for revocations and rotations.
const RESERVED_FOR_REVOKES: usize = 1_000;
/// Operations that wait for their parents.
const PENDING: PendingLimits = PendingLimits { ops: 1024, bytes: 4 * 1024 * 1024, ops_per_author: 512 };

/// An operation in its place.
#[derive(Debug)]
pub(crate) struct AclNode {
    pub(crate) signed: Signed,
    pub(crate) hash: OpHash,
    pub(crate) op: AclOp,
    pub(crate) depth: u32,
    /// Everything it builds on, itself excluded.
    pub(crate) past: Bits,
}

impl AclNode {
    /// The order in which operations are folded. A parent is always before its children.
    pub(crate) fn key(&self) -> (u32, OpHash) {
        (self.depth, self.hash)
    }
}

/// All known operations of one room's ACL log.
#[derive(Debug)]
pub(crate) struct AclLog {
    room: RoomId,
    nodes: Vec<AclNode>,
    index: HashMap<OpHash, usize>,
    heads: BTreeSet<OpHash>,
    /// Operations that name a device, valid or not.
    about: HashMap<DeviceId, Vec<usize>>,
    by_author: HashMap<DeviceId, Vec<usize>>,
    pending: Pending,
}

impl AclLog {
    pub(crate) fn new(room: RoomId) -> Self {
        Self {
            room,
            nodes: Vec::new(),
            index: HashMap::new(),
            heads: BTreeSet::new(),
            about: HashMap::new(),
            by_author: HashMap::new(),
            pending: Pending::new(PENDING),
        }
    }

    /// Takes operations in any order; gives those that found their place, parents first. `trusted`: they were verified before and come
    /// from this device's own store.
    pub(crate) fn insert(&mut self, ops: impl IntoIterator<Item = Signed>, trusted: bool, refused: &mut Refused) -> Vec<OpHash> {
        let mut linked = Vec::new();
        let mut queue: VecDeque<Signed> = ops.into_iter().collect();
        while let Some(signed) = queue.pop_front() {
            let hash = signed.hash();
            if self.index.contains_key(&hash) || self.pending.contains(&hash) {
                refused.duplicates += 1;
                continue;
            }
            match self.place(hash, signed, trusted) {
                Ok(true) => {
                    linked.push(hash);
                    for woken in self.pending.wake(&hash) {
                        refused.waiting = refused.waiting.saturating_sub(1);
                        queue.push_front(woken);
                    }
                }
                Ok(false) => refused.waiting += 1,
                Err(rejection) => refused.count(rejection),
            }
        }
        linked
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn node(&self, index: usize) -> Option<&AclNode> {
        self.nodes.get(index)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, &AclNode)> {
        self.nodes.iter().enumerate()
    }

    pub(crate) fn index_of(&self, hash: &OpHash) -> Option<usize> {
        self.index.get(hash).copied()
    }

    pub(crate) fn get(&self, hash: &OpHash) -> Option<&AclNode> {
        self.nodes.get(self.index_of(hash)?)
    }

    pub(crate) fn about(&self, device: &DeviceId) -> &[usize] {
        self.about.get(device).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn by_author(&self, device: &DeviceId) -> &[usize] {
        self.by_author.get(device).map_or(&[], Vec::as_slice)
    }

    /// Some operation admits this device, or it founded the room.
    pub(crate) fn is_known(&self, device: &DeviceId) -> bool {
        self.about(device).iter().any(|index| self.node(*index).is_some_and(|node| admits(&node.op)))
    }

    /// Heads for the next operation to name, sorted: first those that bring what it must have in its past, the most important first;
    /// then the deepest, up to `fill` in all. Never more than [`MAX_PARENTS`].
    pub(crate) fn heads_over(&self, needed: impl IntoIterator<Item = usize>, fill: usize) -> Vec<OpHash> {
        let mut heads: Vec<(usize, &AclNode)> = self
            .heads
            .iter()
            .filter_map(|hash| self.index_of(hash))
            .filter_map(|index| Some((index, self.node(index)?)))
            .collect();
        heads.sort_by_key(|(_, node)| std::cmp::Reverse(node.key()));
        let covers = |(head, node): &(usize, &AclNode), index: usize| *head == index || node.past.contains(index);
        let mut chosen: Vec<(usize, &AclNode)> = Vec::new();
        for index in needed {
            if chosen.len() < MAX_PARENTS
                && !chosen.iter().any(|head| covers(head, index))
                && let Some(head) = heads.iter().find(|head| covers(head, index))
            {
                chosen.push(*head);
            }
        }
        for head in heads {
            if chosen.len() >= fill.min(MAX_PARENTS) {
                break;
            }
            if !chosen.iter().any(|(index, _)| *index == head.0) {
                chosen.push(head);
            }
        }
        let mut hashes: Vec<OpHash> = chosen.into_iter().map(|(_, node)| node.hash).collect();
        hashes.sort();
        hashes
    }

    /// The heads and a thinning sample of what is below them, for a peer to find out what is missing here.
    pub(crate) fn announce(&self) -> Vec<OpHash> {
        let mut hashes: Vec<OpHash> = self.heads.iter().take(MAX_ANNOUNCED / 2).copied().collect();
        let mut back = 1_usize;
        while back <= self.nodes.len() {
            if let Some(node) = self.nodes.get(self.nodes.len() - back)
                && !hashes.contains(&node.hash)
            {
                hashes.push(node.hash);
            }
            back *= 2;
        }
        hashes
    }

    /// What someone who announced these hashes lacks, parents first.
    pub(crate) fn missing(&self, announced: &[OpHash]) -> Vec<Signed> {
        let mut held = Bits::default();
        for index in announced.iter().take(MAX_ANNOUNCED).filter_map(|hash| self.index_of(hash)) {
            held.insert(index);
            if let Some(node) = self.node(index) {
                held.union(&node.past);
            }
        }
        self.nodes.iter().enumerate().filter(|(index, _)| !held.contains(*index)).map(|(_, node)| node.signed.clone()).collect()
    }

    /// One of these is unknown here.
    pub(crate) fn lacks(&self, announced: &[OpHash]) -> bool {
        announced.iter().any(|hash| !self.index.contains_key(hash))
    }

    /// The past of a set of heads, themselves included.
    pub(crate) fn view(&self, heads: &[usize]) -> Bits {
        let mut view = Bits::default();
        for head in heads {
            view.insert(*head);
            if let Some(node) = self.node(*head) {
                view.union(&node.past);
            }
        }
        view
    }

    /// True where it was linked, false where it waits.
    fn place(&mut self, hash: OpHash, signed: Signed, trusted: bool) -> Result<bool, Rejection> {
        if signed.payload.len() > MAX_ACL_OP {
            return Err(Rejection::Malformed);
        }
        let op = acl::open(&self.room, &signed, trusted)?;
        if let Some(missing) = op.parents.iter().find(|parent| !self.index.contains_key(*parent)) {
            if !trusted && !self.pending.has_room(&op.author, signed.wire_len()) {
                return Err(Rejection::BufferFull);
            }
            self.pending.keep(hash, op.author, signed, *missing);
            return Ok(false);
        }
        let parents: Vec<usize> = op.parents.iter().filter_map(|parent| self.index_of(parent)).collect();
        let past = self.view(&parents);
        let depth = parents.iter().filter_map(|parent| self.node(*parent)).map(|node| node.depth + 1).max().unwrap_or(0);
        self.check_past(&op, &past)?;
        if !trusted {
            self.check_caps(&hash, &op)?;
        }
        self.link(AclNode { signed, hash, op, depth, past });
        Ok(true)
    }

    fn link(&mut self, node: AclNode) {
        let index = self.nodes.len();
        for parent in &node.op.parents {
            self.heads.remove(parent);
        }
        self.heads.insert(node.hash);
        self.index.insert(node.hash, index);
        self.by_author.entry(node.op.author).or_default().push(index);
        if let Some(target) = node.op.target() {
            self.about.entry(target).or_default().push(index);
        }
        self.nodes.push(node);
    }

    /// What the past of an operation settles for ever, so that every member refuses alike: nobody without a trace of the right in the
    /// past can add to the log. Revocations, demotions and seniority are not looked at here.
    fn check_past(&self, op: &AclOp, past: &Bits) -> Result<(), Rejection> {
        if matches!(op.kind, AclKind::Create(_)) {
            return if self.nodes.is_empty() { Ok(()) } else { Err(Rejection::Malformed) };
        }
        let known = |device: &DeviceId, test: fn(&AclOp) -> bool| {
            self.about(device).iter().any(|index| past.contains(*index) && self.node(*index).is_some_and(|node| test(&node.op)))
        };
        let needs_admin = match op.kind {
            AclKind::Rename(_) | AclKind::Unknown { .. } => false,
            AclKind::Revoke(_) => !op.is_leave(),
            _ => true,
        };
        if !known(&op.author, if needs_admin { makes_admin } else { admits }) {
            return Err(Rejection::NotPermitted);
        }
        let in_past =
            |hash: &OpHash| self.index_of(hash).filter(|index| past.contains(*index)).and_then(|index| self.node(index));
        let sound = match &op.kind {
            AclKind::Revoke(revoke) => {
                known(&revoke.device, admits)
                    && revoke.acl_cut.is_none_or(|cut| in_past(&cut).is_some_and(|node| node.op.author == revoke.device))
            }
            AclKind::Role(change) => known(&change.device, admits),
            AclKind::Admit(admit) => admit.invite.is_none_or(|invite| {
                in_past(&invite).is_some_and(|node| node.op.author == op.author && matches!(node.op.kind, AclKind::Invite(_)))
            }),
            _ => true,
        };
        if sound { Ok(()) } else { Err(Rejection::Malformed) }
    }

    fn check_caps(&self, hash: &OpHash, op: &AclOp) -> Result<(), Rejection> {
        let urgent = matches!(op.kind, AclKind::Revoke(_) | AclKind::Secret(_));
        let cap = if urgent { MAX_ACL_OPS } else { MAX_ACL_OPS - RESERVED_FOR_REVOKES };
        if self.nodes.len() >= cap {
            return Err(Rejection::OverQuota);
        }
        let was_admin = self.about(&op.author).iter().any(|index| self.node(*index).is_some_and(|node| makes_admin(&node.op)));
        if !was_admin && self.by_author(&op.author).len() >= MAX_ACL_OPS_OF_A_MEMBER && !self.pending.wants(hash) {
            return Err(Rejection::OverQuota);
        }
        Ok(())
    }
}

fn admits(op: &AclOp) -> bool {
    matches!(op.kind, AclKind::Create(_) | AclKind::Admit(_))
}

fn makes_admin(op: &AclOp) -> bool {
    match &op.kind {
        AclKind::Create(_) => true,
        AclKind::Admit(admit) => admit.role == Role::Admin,
        AclKind::Role(change) => change.role == Role::Admin,
        _ => false,
    }
}
