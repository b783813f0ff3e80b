//! Who may do what: a pure function of the set of ACL operations. It must never depend on the order in which they came.
//!
//! Devices are ranked by seniority: the (depth, hash) of their first valid admission, the founder first. Authors are judged in this
//! order. What settles whether an author's acts as an admin count was written by seniors (or by the author), so it is settled before:
//! a grant of the admin role counts from seniors alone, and a junior's revocation ends a membership but never an admin's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::{DeviceId, OpHash};
use crate::log::acl::{AclKind, Admit, Revoke, Role};
use crate::log::bits::Bits;
use crate::log::dag::{AclLog, AclNode};

/// Which operations a question is asked over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'a> {
    All,
    Of(&'a Bits),
}

impl View<'_> {
    fn holds(self, index: usize) -> bool {
        match self {
            View::All => true,
            View::Of(bits) => bits.contains(index),
        }
    }
}

/// The verdicts over one set of operations.
#[derive(Debug, Default)]
pub(crate) struct Authority {
    founder: Option<DeviceId>,
    valid: Vec<bool>,
    /// Devices with a valid admission; a lower number is senior.
    ranks: HashMap<DeviceId, usize>,
    /// Operations about a device, in the order of the fold.
    about: HashMap<DeviceId, Vec<usize>>,
    /// Every revocation of the log, valid or not.
    all_revocations: Vec<usize>,
    /// What closes an invitation, by it, whether it counts or not.
    closings: HashMap<OpHash, Vec<usize>>,
    /// Revocations that count, by their target.
    revocations: BTreeMap<DeviceId, BTreeSet<usize>>,
    /// Valid operations on which no valid one builds, the deepest first.
    tips: Vec<usize>,
    /// The past of the tips, themselves included: what valid operations are or build on.
    sight: Bits,
}

/// Judges every operation of the log.
pub(crate) fn evaluate(log: &AclLog) -> Authority {
    let mut authority = Authority { valid: vec![false; log.len()], ..Authority::default() };
    let Some(genesis) = log.node(0) else { return authority };
    authority.founder = Some(genesis.op.author);
    for (index, node) in log.nodes() {
        if let Some(target) = node.op.target() {
            authority.about.entry(target).or_default().push(index);
        }
        if matches!(node.op.kind, AclKind::Revoke(_)) {
            authority.all_revocations.push(index);
        }
        if let AclKind::Close(close) = &node.op.kind {
            authority.closings.entry(close.invite).or_default().push(index);
        }
    }
    for indices in authority.about.values_mut() {
        indices.sort_by_key(|index| log.node(*index).map(AclNode::key));
    }
    // Admissions that are valid and wait for their device to be judged, the oldest first. One that is found later is always younger
    // than the admission of its author, so the order of the judgements is the order of seniority.
    let mut open: BTreeMap<(u32, OpHash), DeviceId> = BTreeMap::from([(genesis.key(), genesis.op.author)]);
    while let Some((_, device)) = open.pop_first() {
        if authority.ranks.contains_key(&device) {
            continue;
        }
        let rank = authority.ranks.len();
        authority.ranks.insert(device, rank);
        for index in authority.judge_admin_acts(log, &device) {
            if let Some(node) = log.node(index)
                && let AclKind::Admit(admit) = &node.op.kind
            {
                open.insert(node.key(), admit.card.device);
            }
        }
    }
    authority.judge_member_acts(log);
    authority.settle_revocations(log);
    authority.find_tips(log);
    authority
}

impl Authority {
    pub(crate) fn is_valid(&self, index: usize) -> bool {
        self.valid.get(index).copied().unwrap_or(false)
    }

    /// 0 is the founder; `None` where no admission of the device is valid.
    pub(crate) fn rank(&self, device: &DeviceId) -> Option<usize> {
        self.ranks.get(device).copied()
    }

    /// Devices with a valid admission, members or not.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&DeviceId, usize)> {
        self.ranks.iter().map(|(device, rank)| (device, *rank))
    }

    /// Operations about a device, in the order of the fold.
    pub(crate) fn about(&self, device: &DeviceId) -> &[usize] {
        self.about.get(device).map_or(&[], Vec::as_slice)
    }

    /// Every revocation that is valid, or on which a valid operation builds.
    pub(crate) fn revocations_in_sight(&self) -> impl Iterator<Item = usize> + '_ {
        self.all_revocations.iter().copied().filter(|index| self.sight.contains(*index))
    }

    /// What was signed to close an invitation, by whoever was an admin once.
    fn closings_of(&self, invite: &OpHash) -> impl Iterator<Item = usize> + '_ {
        self.closings.get(invite).into_iter().flatten().copied()
    }

    /// Somebody who may has closed this invitation, as far as is known.
    pub(crate) fn is_closed(&self, invite: &OpHash) -> bool {
        self.closings_of(invite).any(|closing| self.sight.contains(closing))
    }

    /// Valid operations on which no valid one builds, the deepest first: what the next operation is to build on. What is void is left to
    /// itself, however much there is of it.
    pub(crate) fn tips(&self) -> &[usize] {
        &self.tips
    }

    /// All revocations that count, by their target.
    pub(crate) fn revocations(&self) -> &BTreeMap<DeviceId, BTreeSet<usize>> {
        &self.revocations
    }

    /// Some verdict over an operation that was known to `earlier` differs, or a revocation counts that did not.
    pub(crate) fn contradicts(&self, earlier: &Self) -> bool {
        self.revocations != earlier.revocations || self.valid.get(..earlier.valid.len()) != Some(earlier.valid.as_slice())
    }

    /// What a device may do, seen from somewhere in the log; `None` where it is no member there.
    pub(crate) fn role_in(&self, log: &AclLog, device: &DeviceId, view: View<'_>) -> Option<Role> {
        if self.is_admin_in(log, device, view) {
            return Some(if Some(*device) == self.founder { Role::Owner } else { Role::Admin });
        }
        self.ranks.get(device)?;
        let revocations: Vec<usize> = self.revocations_in(log, device, view, false).collect();
        let standing =
            |index: usize| log.node(index).is_some_and(|node| revocations.iter().all(|revoke| node.past.contains(*revoke)));
        let mut member = false;
        let mut role = Role::Member;
        for index in
            self.about(device).iter().copied().filter(|index| self.is_valid(*index) && view.holds(*index) && standing(*index))
        {
            match log.node(index).map(|node| &node.op.kind) {
                Some(AclKind::Create(_)) => member = true,
                Some(AclKind::Admit(admit)) => {
                    member = true;
                    role = admit.role.min(Role::Member);
                }
                Some(AclKind::Role(change)) => {
                    member |= self.is_grant(log, index, device, false);
                    role = change.role.min(Role::Member);
                }
                _ => {}
            }
        }
        member.then_some(role)
    }

    /// What makes the device belong to the room after all that removed it: an admission, or a senior's grant of the admin role.
    pub(crate) fn admission_that_counts(&self, log: &AclLog, device: &DeviceId) -> Option<usize> {
        let after_all = |index: usize| {
            let mut counted = self.revocations.get(device).into_iter().flatten();
            log.node(index).is_some_and(|node| counted.all(|revocation| node.past.contains(*revocation)))
        };
        let mut about = self.about(device).iter().copied();
        about.find(|index| self.is_valid(*index) && self.is_grant(log, *index, device, false) && after_all(*index))
    }

    /// Whether an operation of the op log stands by itself: its author may write in the view of its ACL heads, and it is inside every cut
    /// that `is_inside` is asked about.
    pub(crate) fn may_write(
        &self,
        log: &AclLog,
        device: &DeviceId,
        view: &Bits,
        mut is_inside: impl FnMut(&Revoke) -> bool,
    ) -> bool {
        if self.role_in(log, device, View::Of(view)).is_none_or(|role| role < Role::Member) {
            return false;
        }
        self.revocations.get(device).into_iter().flatten().all(|revocation| {
            let inside = match log.node(*revocation).map(|node| &node.op.kind) {
                Some(AclKind::Revoke(revoke)) => is_inside(revoke),
                _ => true,
            };
            inside || self.is_granted_again(log, device, *revocation, view, false)
        })
    }

    /// The author's acts as an admin, judged in the order of the fold. Gives those that are valid.
    fn judge_admin_acts(&mut self, log: &AclLog, author: &DeviceId) -> Vec<usize> {
        let mut acts: Vec<usize> = log.by_author(author).to_vec();
        acts.sort_by_key(|index| log.node(*index).map(AclNode::key));
        let by_seniors: Vec<usize> = self.revocations_in(log, author, View::All, true).collect();
        let is_void = |authority: &Self, index: usize, revocations: &[usize]| {
            revocations.iter().any(|revocation| {
                *revocation != index
                    && is_outside(log, *revocation, index)
                    && !log.node(index).is_some_and(|node| authority.is_granted_again(log, author, *revocation, &node.past, true))
            })
        };
        // Leaving first: it is the author's own cut. Two departures of one author do not void each other.
        let leaves: Vec<usize> =
            acts.iter().copied().filter(|index| log.node(*index).is_some_and(|node| node.op.is_leave())).collect();
        let mut revocations = by_seniors.clone();
        for index in leaves {
            if !is_void(self, index, &by_seniors) {
                self.set_valid(index);
                revocations.push(index);
            }
        }
        let mut valid = Vec::new();
        for index in acts {
            let Some(node) = log.node(index) else { continue };
            let permitted = matches!(node.op.kind, AclKind::Create(_))
                || (!node.op.is_leave() && self.is_admin_in(log, author, View::Of(&node.past)) && self.permits(log, index, node));
            if permitted && !is_void(self, index, &revocations) {
                self.set_valid(index);
                valid.push(index);
            }
        }
        valid
    }

    /// What an admin may do with this operation, beyond being an admin.
    fn permits(&self, log: &AclLog, index: usize, node: &AclNode) -> bool {
        let author = &node.op.author;
        let view = View::Of(&node.past);
        let over = |target: &DeviceId| {
            Some(*target) != self.founder && (self.is_senior(author, target) || !self.is_admin_in(log, target, view))
        };
        match &node.op.kind {
            AclKind::Invite(_) | AclKind::Secret(_) | AclKind::Close(_) => true,
            AclKind::Admit(admit) => self.permits_admission(log, index, node, admit),
            AclKind::Revoke(revoke) => over(&revoke.device),
            AclKind::Role(change) if change.role == Role::Admin => {
                change.device != *author && Some(change.device) != self.founder && self.is_senior(author, &change.device)
            }
            AclKind::Role(change) => change.device == *author && Some(*author) != self.founder || over(&change.device),
            // Not the acts of an admin: judged with the members' acts.
            AclKind::Create(_) | AclKind::Rename(_) | AclKind::Unknown { .. } => false,
        }
    }

    fn permits_admission(&self, log: &AclLog, index: usize, node: &AclNode, admit: &Admit) -> bool {
        let Some(invite_hash) = admit.invite else { return true };
        let Some(invite_index) = log.index_of(&invite_hash) else { return false };
        let Some(invite_node) = log.node(invite_index) else { return false };
        let AclKind::Invite(invite) = &invite_node.op.kind else { return false };
        if !self.is_valid(invite_index) || invite.role != admit.role || node.op.time_ms > invite.expires_ms {
            return false;
        }
        // Any revocation the admitter knew of has closed the invitations that were open, whether it counts in the end or not.
        let closed = self.all_revocations.iter().any(|other| node.past.contains(*other) && !invite_node.past.contains(*other))
            || self.closings_of(&invite_hash).any(|closing| node.past.contains(closing));
        let used = log
            .by_author(&node.op.author)
            .iter()
            .filter(|other| **other != index && node.past.contains(**other))
            .filter(|other| matches!(log.node(**other).map(|node| &node.op.kind), Some(AclKind::Admit(other)) if other.invite == Some(invite_hash)))
            .count();
        !closed && used < invite.uses as usize
    }

    /// Departures that only a junior's re-admission made possible, and renames.
    fn judge_member_acts(&mut self, log: &AclLog) {
        let mut members: Vec<(usize, DeviceId)> = self.ranks.iter().map(|(device, rank)| (*rank, *device)).collect();
        members.sort();
        for (_, device) in &members {
            let counted: Vec<usize> =
                self.revocations_in(log, device, View::All, false).filter(|index| self.counts(log, device, *index)).collect();
            for index in log.by_author(device) {
                let Some(node) = log.node(*index) else { continue };
                if self.is_valid(*index)
                    || !(node.op.is_leave() || matches!(node.op.kind, AclKind::Rename(_) | AclKind::Unknown { .. }))
                {
                    continue;
                }
                let stands = counted.iter().all(|revocation| {
                    !is_outside(log, *revocation, *index) || self.is_granted_again(log, device, *revocation, &node.past, false)
                });
                if stands && self.role_in(log, device, View::Of(&node.past)).is_some() {
                    self.set_valid(*index);
                }
            }
        }
    }

    fn settle_revocations(&mut self, log: &AclLog) {
        let mut settled: BTreeMap<DeviceId, BTreeSet<usize>> = BTreeMap::new();
        for device in self.ranks.keys() {
            let counted: BTreeSet<usize> =
                self.revocations_in(log, device, View::All, false).filter(|index| self.counts(log, device, *index)).collect();
            if !counted.is_empty() {
                settled.insert(*device, counted);
            }
        }
        self.revocations = settled;
    }

    fn find_tips(&mut self, log: &AclLog) {
        let mut valid: Vec<(usize, &AclNode)> = log.nodes().filter(|(index, _)| self.is_valid(*index)).collect();
        valid.sort_by_key(|(_, node)| std::cmp::Reverse(node.key()));
        for (index, node) in valid {
            if !self.sight.contains(index) {
                self.tips.push(index);
                self.sight.insert(index);
                self.sight.union(&node.past);
            }
        }
    }

    /// A junior's revocation does not count against someone whom a senior has made an admin meanwhile.
    fn counts(&self, log: &AclLog, device: &DeviceId, revocation: usize) -> bool {
        self.is_strong(log, revocation, device) || !self.is_admin_in(log, device, View::All)
    }

    /// Whether seniors have made the device an admin in this view, and neither they nor the device itself have ended it.
    fn is_admin_in(&self, log: &AclLog, device: &DeviceId, view: View<'_>) -> bool {
        let revocations: Vec<usize> = self.revocations_in(log, device, view, true).collect();
        if Some(*device) == self.founder {
            return revocations.is_empty();
        }
        let mut admin = false;
        for index in self.about(device).iter().copied() {
            if !self.is_valid(index) || !view.holds(index) || !self.is_strong(log, index, device) {
                continue;
            }
            let Some(node) = log.node(index) else { continue };
            if !revocations.iter().all(|revocation| node.past.contains(*revocation)) {
                continue;
            }
            match &node.op.kind {
                AclKind::Admit(admit) => admin = admit.role == Role::Admin,
                AclKind::Role(change) => admin = change.role == Role::Admin,
                _ => {}
            }
        }
        admin
    }

    /// Valid revocations of a device; `strong`: by seniors or by itself.
    fn revocations_in<'a>(
        &'a self,
        log: &'a AclLog,
        device: &'a DeviceId,
        view: View<'a>,
        strong: bool,
    ) -> impl Iterator<Item = usize> + 'a {
        self.about(device).iter().copied().filter(move |index| {
            self.is_valid(*index)
                && view.holds(*index)
                && log.node(*index).is_some_and(|node| matches!(node.op.kind, AclKind::Revoke(_)))
                && (!strong || self.is_strong(log, *index, device))
        })
    }

    /// A valid grant of membership in this past builds on the revocation.
    fn is_granted_again(&self, log: &AclLog, device: &DeviceId, revocation: usize, past: &Bits, strong: bool) -> bool {
        self.about(device).iter().any(|index| {
            past.contains(*index)
                && self.is_valid(*index)
                && self.is_grant(log, *index, device, strong)
                && log.node(*index).is_some_and(|node| node.past.contains(revocation))
        })
    }

    /// An admission, or a senior's grant of the admin role, which vouches for the membership too.
    fn is_grant(&self, log: &AclLog, index: usize, device: &DeviceId, strong: bool) -> bool {
        match log.node(index).map(|node| &node.op.kind) {
            Some(AclKind::Create(_)) => true,
            Some(AclKind::Admit(_)) => !strong || self.is_strong(log, index, device),
            Some(AclKind::Role(change)) => change.role == Role::Admin && self.is_strong(log, index, device),
            _ => false,
        }
    }

    /// By a senior of the device, or by the device itself.
    fn is_strong(&self, log: &AclLog, index: usize, device: &DeviceId) -> bool {
        log.node(index).is_some_and(|node| node.op.author == *device || self.is_senior(&node.op.author, device))
    }

    /// A device that is not ranked yet will be ranked later, or never.
    fn is_senior(&self, a: &DeviceId, b: &DeviceId) -> bool {
        match (self.ranks.get(a), self.ranks.get(b)) {
            (Some(a), Some(b)) => a < b,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn set_valid(&mut self, index: usize) {
        if let Some(verdict) = self.valid.get_mut(index) {
            *verdict = true;
        }
    }
}

/// Whether an operation of the revoked author is beyond the cut.
fn is_outside(log: &AclLog, revocation: usize, index: usize) -> bool {
    let Some(node) = log.node(revocation) else { return false };
    let cut = match &node.op.kind {
        AclKind::Revoke(_) if node.op.is_leave() => Some(revocation),
        AclKind::Revoke(revoke) => revoke.acl_cut.and_then(|cut| log.index_of(&cut)),
        _ => return false,
    };
    cut.is_none_or(|cut| cut != index && !log.node(cut).is_some_and(|node| node.past.contains(index)))
}
