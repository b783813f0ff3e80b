//! The ACL log as a set of hash-linked operations: what is known, what it builds on, what waits. It must never decide who may do what
//! beyond what an operation's own past settles for ever.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::id::{DeviceId, OpHash, RoomId};
use crate::log::acl::{self, AclKind, AclOp, MAX_ACL_OP, MAX_PARENTS, Role};
use crate::log::authority::{Authority, View};
use crate::log::bits::Bits;
use crate::log::pending::{Pending, PendingLimits};
use crate::log::{
    MAX_ACL_OPS, MAX_ACL_OPS_OF_A_MEMBER, MAX_ACL_OPS_OF_AN_ADMIN, MAX_ANNOUNCED, MAX_VOID_ACL_OPS_OF_A_FORMER, Refused,
    Rejection,
};
use crate::wire::Signed;

/// Of these, kept free for revocations and rotations.
const RESERVED_FOR_REVOKES: usize = 1_000;
/// How many times its share is taken of an author where others build on it.
const NEEDED_BEYOND: usize = 3;
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
    /// from this device's own store. `authority`: the verdicts over what is here already. `wanted`: the op log waits for it.
    pub(crate) fn insert(
        &mut self,
        ops: Vec<Signed>,
        trusted: bool,
        authority: &Authority,
        wanted: impl Fn(&OpHash) -> bool,
        refused: &mut Refused,
    ) -> Vec<OpHash> {
        let scarce = self.nodes.len() + ops.len() > MAX_VOID_ACL_OPS_OF_A_FORMER;
        let needed = if trusted || !scarce { HashSet::new() } else { self.needed(&ops, wanted) };
        let mut linked = Vec::new();
        let mut queue: VecDeque<Signed> = ops.into();
        while let Some(signed) = queue.pop_front() {
            let hash = signed.hash();
            if self.index.contains_key(&hash) || self.pending.contains(&hash) {
                refused.duplicates += 1;
                continue;
            }
            match self.place(hash, signed, trusted, authority, &needed) {
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

    /// What the next operation names of the log, sorted: first what brings into its past what it must have there, the most important
    /// first; then the first of `tips`, up to `fill` in all. Never more than [`MAX_PARENTS`].
    pub(crate) fn heads_over(&self, tips: &[usize], needed: impl IntoIterator<Item = usize>, fill: usize) -> Vec<OpHash> {
        let covers = |head: usize, index: usize| head == index || self.node(head).is_some_and(|node| node.past.contains(index));
        let mut chosen: Vec<usize> = Vec::new();
        for index in needed {
            if chosen.len() < MAX_PARENTS && !chosen.iter().any(|head| covers(*head, index)) {
                chosen.push(tips.iter().copied().find(|tip| covers(*tip, index)).unwrap_or(index));
            }
        }
        for tip in tips {
            if chosen.len() >= fill.min(MAX_PARENTS) {
                break;
            }
            if !chosen.iter().any(|head| covers(*head, *tip)) {
                chosen.push(*tip);
            }
        }
        let mut hashes: Vec<OpHash> = chosen.into_iter().filter_map(|index| self.node(index)).map(|node| node.hash).collect();
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
    fn place(
        &mut self,
        hash: OpHash,
        signed: Signed,
        trusted: bool,
        authority: &Authority,
        needed: &HashSet<OpHash>,
    ) -> Result<bool, Rejection> {
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
            self.check_caps(&op, authority, needed.contains(&hash) || self.pending.wants_for_another(&hash, &op.author))?;
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
            AclKind::Close(close) => in_past(&close.invite).is_some_and(|node| matches!(node.op.kind, AclKind::Invite(_))),
            _ => true,
        };
        if sound { Ok(()) } else { Err(Rejection::Malformed) }
    }

    /// Bounds what one author can make everyone keep. An operation that somebody else's builds on is `needed`, and taken beyond the first
    /// bound, so that what counts does not depend on who took what first.
    fn check_caps(&self, op: &AclOp, authority: &Authority, needed: bool) -> Result<(), Rejection> {
        let author = &op.author;
        let own = self.by_author(author);
        let mut former = false;
        if own.len() >= MAX_VOID_ACL_OPS_OF_A_FORMER {
            former = authority.rank(author).is_some() && authority.role_in(self, author, View::All).is_none();
            let founded = self.node(0).is_some_and(|genesis| genesis.op.author == *author);
            let was_admin = || self.about(author).iter().any(|index| self.node(*index).is_some_and(|node| makes_admin(&node.op)));
            let (held, share, most) = if former {
                // What is inside the cut came before the revocation that names it.
                let void = own.iter().filter(|index| !authority.is_valid(**index)).count();
                (void, MAX_VOID_ACL_OPS_OF_A_FORMER, MAX_ACL_OPS_OF_AN_ADMIN)
            } else if founded {
                (0, MAX_ACL_OPS, MAX_ACL_OPS)
            } else if was_admin() {
                (own.len(), MAX_ACL_OPS_OF_AN_ADMIN, MAX_ACL_OPS_OF_AN_ADMIN * NEEDED_BEYOND)
            } else {
                (own.len(), MAX_ACL_OPS_OF_A_MEMBER, MAX_ACL_OPS_OF_A_MEMBER * NEEDED_BEYOND)
            };
            if held >= if needed { most } else { share } {
                return Err(Rejection::OverQuota);
            }
        }
        let urgent = !former && matches!(op.kind, AclKind::Revoke(_) | AclKind::Secret(_));
        let cap = if urgent { MAX_ACL_OPS } else { MAX_ACL_OPS - RESERVED_FOR_REVOKES };
        if self.nodes.len() >= cap { Err(Rejection::OverQuota) } else { Ok(()) }
    }

    /// Operations of a batch, parents first, on which an operation of another author builds, in the batch or among those that wait.
    fn needed(&self, ops: &[Signed], wanted: impl Fn(&OpHash) -> bool) -> HashSet<OpHash> {
        let mut needed: HashSet<OpHash> = HashSet::new();
        let mut built_on: HashMap<OpHash, DeviceId> = HashMap::new();
        for signed in ops.iter().rev() {
            let Ok(op) = AclOp::decode(&signed.payload) else { continue };
            let hash = signed.hash();
            let by_another = built_on.get(&hash).is_some_and(|other| *other != op.author);
            let is_needed =
                needed.contains(&hash) || by_another || wanted(&hash) || self.pending.wants_for_another(&hash, &op.author);
            if is_needed {
                needed.insert(hash);
            }
            for parent in op.parents {
                let by_two = built_on.insert(parent, op.author).is_some_and(|other| other != op.author);
                if is_needed || by_two {
                    needed.insert(parent);
                }
            }
        }
        needed
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
