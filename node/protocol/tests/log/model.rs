//! The rules of the two logs once more, as plainly as they can be said: sets of hashes, everything computed anew, nothing fast.

use std::collections::{BTreeMap, BTreeSet};

use conclave_protocol::chat::Body;
use conclave_protocol::id::{DeviceId, OpHash};
use conclave_protocol::log::acl::{AclKind, AclOp, Role};
use conclave_protocol::log::op::Op;
use conclave_protocol::wire::Signed;

use crate::support::{acl_of, op_of};

type Set = BTreeSet<OpHash>;

struct Node {
    op: AclOp,
    past: Set,
    key: (usize, OpHash),
}

/// What everyone should see.
pub struct Model {
    nodes: BTreeMap<OpHash, Node>,
    founder: DeviceId,
    ranks: Vec<DeviceId>,
    valid: Set,
}

pub struct Shown {
    pub author: DeviceId,
    pub body: String,
    pub deleted: bool,
    pub reactions: BTreeSet<(String, DeviceId)>,
}

impl Model {
    pub fn new(ops: &[Signed]) -> Self {
        let mut nodes: BTreeMap<OpHash, Node> = BTreeMap::new();
        let mut left: Vec<(OpHash, AclOp)> = ops.iter().map(|signed| (signed.hash(), acl_of(signed))).collect();
        while !left.is_empty() {
            left.retain(|(hash, op)| {
                if !op.parents.iter().all(|parent| nodes.contains_key(parent)) {
                    return true;
                }
                let mut past: Set = op.parents.iter().copied().collect();
                past.extend(op.parents.iter().flat_map(|parent| nodes[parent].past.clone()));
                let depth = op.parents.iter().map(|parent| nodes[parent].key.0 + 1).max().unwrap_or(0);
                nodes.insert(*hash, Node { op: op.clone(), past, key: (depth, *hash) });
                false
            });
        }
        let founder = nodes.values().find(|node| node.op.parents.is_empty()).unwrap().op.author;
        let mut model = Self { nodes, founder, ranks: Vec::new(), valid: Set::new() };
        model.judge();
        model
    }

    pub fn roster(&self) -> Vec<(DeviceId, Role)> {
        let all: Set = self.nodes.keys().copied().collect();
        let mut roster: Vec<_> = self.ranks.iter().filter_map(|device| Some((*device, self.role(device, &all)?))).collect();
        roster.sort();
        roster
    }

    /// Messages in order, by the hash of their operation, where it is proved of the `frozen` that they signed two operations with one id.
    pub fn chat(&self, ops: &[Signed], frozen: &BTreeSet<DeviceId>) -> Vec<(OpHash, Shown)> {
        let ops: BTreeMap<OpHash, Op> = ops.iter().map(|signed| (signed.hash(), op_of(signed))).collect();
        let mut valid: Set = ops
            .iter()
            .filter(|(hash, op)| !frozen.contains(&op.id.device) && self.stands(hash, op))
            .map(|(hash, _)| *hash)
            .collect();
        loop {
            let below: Set = valid.iter().flat_map(|hash| ops[hash].prev.into_iter().chain(ops[hash].deps.clone())).collect();
            let before = valid.len();
            valid.extend(below);
            if valid.len() == before {
                break;
            }
        }
        let mut order: Vec<(&OpHash, &Op)> = valid.iter().map(|hash| (hash, &ops[hash])).collect();
        order.sort_by_key(|(hash, op)| (op.lamport, op.id.device, op.id.seq, op.id.incarnation, **hash));
        let mut shown: Vec<(OpHash, Shown)> = Vec::new();
        for (hash, op) in order {
            let author = op.id.device;
            let body = Body::decode(op.kind, &op.body);
            let target = match &body {
                Body::Edit(edit) => edit.target,
                Body::Delete(delete) => delete.target,
                Body::React(react) => react.target,
                _ => *hash,
            };
            if let Body::Text(text) = body {
                shown.push((*hash, Shown { author, body: text.body, deleted: false, reactions: BTreeSet::new() }));
                continue;
            }
            let Some((_, message)) = shown.iter_mut().find(|(other, _)| *other == target) else { continue };
            match body {
                Body::Edit(edit) if author == message.author => message.body = edit.body,
                Body::Delete(_) if author == message.author || self.role(&author, &self.view(op)) >= Some(Role::Admin) => {
                    message.deleted = true;
                }
                Body::React(react) if react.on => drop(message.reactions.insert((react.emoji, author))),
                Body::React(react) => drop(message.reactions.remove(&(react.emoji, author))),
                _ => {}
            }
        }
        shown
    }

    fn judge(&mut self) {
        loop {
            // The most senior who was not judged: by the first valid admission.
            let genesis = self.nodes.values().find(|node| node.op.parents.is_empty()).unwrap();
            let next = self
                .nodes
                .values()
                .filter(|node| self.valid.contains(&node.key.1) || node.key == genesis.key)
                .filter_map(|node| match &node.op.kind {
                    AclKind::Create(_) => Some((node.key, node.op.author)),
                    AclKind::Admit(admit) => Some((node.key, admit.card.device)),
                    _ => None,
                })
                .filter(|(_, device)| !self.ranks.contains(device))
                .min();
            let Some((_, device)) = next else { break };
            self.ranks.push(device);
            self.judge_author(device);
        }
        for device in self.ranks.clone() {
            let counted: Vec<OpHash> = self.counted(&device);
            for hash in self.in_order() {
                let node = &self.nodes[&hash];
                let own = node.op.author == device && !self.valid.contains(&hash);
                if own && (self.is_leave(&hash) || matches!(node.op.kind, AclKind::Rename(_) | AclKind::Unknown { .. })) {
                    let stands = counted.iter().all(|cut| self.inside(cut, &hash) || self.again(&device, cut, &node.past, false));
                    if stands && self.role(&device, &node.past).is_some() {
                        self.valid.insert(hash);
                    }
                }
            }
        }
    }

    fn judge_author(&mut self, author: DeviceId) {
        let own: Vec<OpHash> = self.in_order().into_iter().filter(|hash| self.nodes[hash].op.author == author).collect();
        let by_seniors = self.revocations(&author, None, true);
        let void = |model: &Self, hash: &OpHash, cuts: &[OpHash]| {
            cuts.iter()
                .any(|cut| cut != hash && !model.inside(cut, hash) && !model.again(&author, cut, &model.nodes[hash].past, true))
        };
        let mut cuts = by_seniors.clone();
        for hash in own.iter().filter(|hash| self.is_leave(hash)).copied().collect::<Vec<_>>() {
            if !void(self, &hash, &by_seniors) {
                self.valid.insert(hash);
                cuts.push(hash);
            }
        }
        for hash in own {
            let node = &self.nodes[&hash];
            let past = &node.past;
            let over = |target: &DeviceId| *target != self.founder && (self.senior(&author, target) || !self.admin(target, past));
            let permitted = match &node.op.kind {
                AclKind::Create(_) => true,
                _ if self.is_leave(&hash) || !self.admin(&author, past) => false,
                AclKind::Invite(_) | AclKind::Secret(_) | AclKind::Close(_) => true,
                AclKind::Admit(admit) => admit.invite.is_none(),
                AclKind::Revoke(revoke) => over(&revoke.device),
                AclKind::Role(change) if change.role == Role::Admin => {
                    change.device != author && change.device != self.founder && self.senior(&author, &change.device)
                }
                AclKind::Role(change) => change.device == author && author != self.founder || over(&change.device),
                _ => false,
            };
            if permitted && !void(self, &hash, &cuts) {
                self.valid.insert(hash);
            }
        }
    }

    fn stands(&self, hash: &OpHash, op: &Op) -> bool {
        let view = self.view(op);
        let inside = |cut: &OpHash| match &self.nodes[cut].op.kind {
            AclKind::Revoke(revoke) => revoke.op_cuts.iter().any(|cut| {
                cut.incarnation == op.id.incarnation && (op.id.seq < cut.seq || op.id.seq == cut.seq && cut.hash == *hash)
            }),
            _ => unreachable!(),
        };
        self.role(&op.id.device, &view) >= Some(Role::Member)
            && self.counted(&op.id.device).iter().all(|cut| inside(cut) || self.again(&op.id.device, cut, &view, false))
    }

    fn view(&self, op: &Op) -> Set {
        let mut view: Set = op.acl_heads.iter().copied().collect();
        view.extend(op.acl_heads.iter().flat_map(|head| self.nodes[head].past.clone()));
        view
    }

    fn role(&self, device: &DeviceId, view: &Set) -> Option<Role> {
        if self.admin(device, view) {
            return Some(if *device == self.founder { Role::Owner } else { Role::Admin });
        }
        let revocations = self.revocations(device, Some(view), false);
        let standing =
            self.about(device, view).into_iter().filter(|hash| revocations.iter().all(|cut| self.nodes[hash].past.contains(cut)));
        let standing: Vec<OpHash> = standing.collect();
        let member = standing.iter().any(|hash| self.grants(hash, device, false));
        let role = standing.iter().filter_map(|hash| self.role_given(hash)).next_back();
        member.then_some(role.unwrap_or(Role::Member).min(Role::Member))
    }

    fn admin(&self, device: &DeviceId, view: &Set) -> bool {
        let revocations = self.revocations(device, Some(view), true);
        if *device == self.founder {
            return revocations.is_empty();
        }
        let standing = self.about(device, view).into_iter().filter(|hash| self.strong(hash, device));
        let standing = standing.filter(|hash| revocations.iter().all(|cut| self.nodes[hash].past.contains(cut)));
        standing.filter_map(|hash| self.role_given(&hash)).next_back() == Some(Role::Admin)
    }

    fn role_given(&self, hash: &OpHash) -> Option<Role> {
        match &self.nodes[hash].op.kind {
            AclKind::Admit(admit) => Some(admit.role),
            AclKind::Role(change) => Some(change.role),
            _ => None,
        }
    }

    /// Valid operations about a device, in the order of the fold.
    fn about(&self, device: &DeviceId, view: &Set) -> Vec<OpHash> {
        let about = self.in_order().into_iter().filter(|hash| self.nodes[hash].op.target() == Some(*device));
        about.filter(|hash| self.valid.contains(hash) && view.contains(hash)).collect()
    }

    fn revocations(&self, device: &DeviceId, view: Option<&Set>, strong: bool) -> Vec<OpHash> {
        let all: Set = self.nodes.keys().copied().collect();
        let about = self.about(device, view.unwrap_or(&all)).into_iter();
        let revocations = about.filter(|hash| matches!(self.nodes[hash].op.kind, AclKind::Revoke(_)));
        revocations.filter(|hash| !strong || self.strong(hash, device)).collect()
    }

    fn counted(&self, device: &DeviceId) -> Vec<OpHash> {
        let all: Set = self.nodes.keys().copied().collect();
        let revocations = self.revocations(device, None, false).into_iter();
        revocations.filter(|hash| self.strong(hash, device) || !self.admin(device, &all)).collect()
    }

    fn again(&self, device: &DeviceId, cut: &OpHash, past: &Set, strong: bool) -> bool {
        self.about(device, past).iter().any(|hash| self.grants(hash, device, strong) && self.nodes[hash].past.contains(cut))
    }

    fn grants(&self, hash: &OpHash, device: &DeviceId, strong: bool) -> bool {
        match &self.nodes[hash].op.kind {
            AclKind::Create(_) => true,
            AclKind::Admit(_) => !strong || self.strong(hash, device),
            AclKind::Role(change) => change.role == Role::Admin && self.strong(hash, device),
            _ => false,
        }
    }

    fn strong(&self, hash: &OpHash, device: &DeviceId) -> bool {
        let author = &self.nodes[hash].op.author;
        author == device || self.senior(author, device)
    }

    fn senior(&self, a: &DeviceId, b: &DeviceId) -> bool {
        let rank = |device: &DeviceId| self.ranks.iter().position(|other| other == device).unwrap_or(usize::MAX);
        rank(a) < rank(b)
    }

    fn inside(&self, cut: &OpHash, hash: &OpHash) -> bool {
        let last = match &self.nodes[cut].op.kind {
            AclKind::Revoke(_) if self.is_leave(cut) => Some(*cut),
            AclKind::Revoke(revoke) => revoke.acl_cut,
            _ => unreachable!(),
        };
        last.is_some_and(|last| last == *hash || self.nodes[&last].past.contains(hash))
    }

    fn is_leave(&self, hash: &OpHash) -> bool {
        let op = &self.nodes[hash].op;
        matches!(&op.kind, AclKind::Revoke(revoke) if revoke.device == op.author)
    }

    fn in_order(&self) -> Vec<OpHash> {
        let mut keys: Vec<_> = self.nodes.values().map(|node| node.key).collect();
        keys.sort();
        keys.into_iter().map(|(_, hash)| hash).collect()
    }
}
