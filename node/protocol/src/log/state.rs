//! The room as its ACL log stands: who belongs to it, what is open, which secrets this device knows. It must never hold what the log
//! does not say.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::id::{AccountId, DeviceId, OpHash, SealKey};
use crate::log::acl::{AclKind, Role};
use crate::log::authority::{Authority, View};
use crate::log::dag::{AclLog, AclNode};

/// Generations of the discovery secret that are kept.
pub const MAX_SECRETS: usize = 16;

/// A device that belongs to the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The installation.
    pub device: DeviceId,
    /// The person.
    pub account: AccountId,
    /// As they call themselves.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where secrets for them are sealed to.
    pub seal_key: SealKey,
    /// 0 is the founder; a lower number is senior.
    pub rank: usize,
    /// The operation that admitted them, or let them in again after what removed them.
    pub admitted_by: OpHash,
    /// The first that did.
    pub(crate) first_admitted_by: OpHash,
    /// When that was, by the clock of who admitted them.
    pub admitted_ms: u64,
}

/// A device that belonged to the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The person.
    pub account: AccountId,
    /// As they called themselves.
    pub name: String,
    /// They left by their own wish.
    pub left: bool,
}

/// An invitation, as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteState {
    /// The operation that made it.
    pub hash: OpHash,
    /// Public key of the seed in the link.
    pub key: [u8; 32],
    /// Who alone can redeem it.
    pub issuer: DeviceId,
    /// By the issuer's clock, UTC. Judged by the caller.
    pub expires_ms: u64,
    /// How many it admits.
    pub uses: u32,
    /// How many it has admitted.
    pub used: u32,
    /// What those it admits may do.
    pub role: Role,
    /// An admin is asked first.
    pub approval: bool,
    /// No revocation has closed it, and its issuer is still an admin. Uses and time are beside this.
    pub open: bool,
}

/// The room as it stands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AclState {
    pub(crate) name: String,
    pub(crate) approval: bool,
    pub(crate) full_history: bool,
    pub(crate) founder: Option<DeviceId>,
    pub(crate) roster: BTreeMap<DeviceId, Member>,
    pub(crate) former: BTreeMap<DeviceId, Former>,
    pub(crate) invites: BTreeMap<OpHash, InviteState>,
    pub(crate) secrets: Vec<Zeroizing<[u8; 32]>>,
    /// The operations that brought them.
    pub(crate) secret_ops: Vec<OpHash>,
    pub(crate) rotation_due: bool,
}

impl AclState {
    /// Of the room.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An admin is asked before anyone is admitted, where the invitation does not say otherwise.
    pub fn approval(&self) -> bool {
        self.approval
    }

    /// Newcomers read what was written before they came.
    pub fn full_history(&self) -> bool {
        self.full_history
    }

    /// Who founded the room, member or not.
    pub fn founder(&self) -> Option<DeviceId> {
        self.founder
    }

    /// Everyone who belongs to the room, by device.
    pub fn roster(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.roster.values()
    }

    /// A member.
    pub fn member(&self, device: &DeviceId) -> Option<&Member> {
        self.roster.get(device)
    }

    /// Belongs to the room.
    pub fn is_member(&self, device: &DeviceId) -> bool {
        self.roster.contains_key(device)
    }

    /// What a member may do.
    pub fn role(&self, device: &DeviceId) -> Option<Role> {
        self.roster.get(device).map(|member| member.role)
    }

    /// May admit, invite and revoke.
    pub fn is_admin(&self, device: &DeviceId) -> bool {
        self.role(device).is_some_and(|role| role >= Role::Admin)
    }

    /// Those who belonged to the room and do not any more.
    pub fn former(&self) -> impl Iterator<Item = (&DeviceId, &Former)> {
        self.former.iter()
    }

    /// Someone who was revoked or left.
    pub fn is_former(&self, device: &DeviceId) -> bool {
        self.former.contains_key(device)
    }

    /// How a member calls themselves, or last did.
    pub fn name_of(&self, device: &DeviceId) -> Option<&str> {
        let member = self.roster.get(device).map(|member| member.name.as_str());
        member.or_else(|| self.former.get(device).map(|former| former.name.as_str()))
    }

    /// The person behind a device that belongs or belonged to the room.
    pub fn account_of(&self, device: &DeviceId) -> Option<AccountId> {
        let member = self.roster.get(device).map(|member| member.account);
        member.or_else(|| self.former.get(device).map(|former| former.account))
    }

    /// All valid invitations, open or not.
    pub fn invites(&self) -> impl Iterator<Item = &InviteState> {
        self.invites.values()
    }

    /// The invitation of an operation.
    pub fn invite(&self, hash: &OpHash) -> Option<&InviteState> {
        self.invites.get(hash)
    }

    /// The invitation whose link has this key.
    pub fn invite_by_key(&self, key: &[u8; 32]) -> Option<&InviteState> {
        self.invites.values().find(|invite| invite.key == *key)
    }

    /// The discovery secrets this device can open, newest last; at most [`MAX_SECRETS`].
    pub fn secrets(&self) -> &[Zeroizing<[u8; 32]>] {
        &self.secrets
    }

    /// Someone left or was revoked after the newest secret was made, or was admitted beside it and cannot open it: an admin should rotate.
    pub fn rotation_due(&self) -> bool {
        self.rotation_due
    }

    /// The place of a device among the admins, 0 for the most senior: who acts first where one is enough.
    pub fn admin_rank(&self, device: &DeviceId) -> Option<usize> {
        let me = self.roster.get(device).filter(|member| member.role >= Role::Admin)?;
        Some(self.roster.values().filter(|other| other.role >= Role::Admin && other.rank < me.rank).count())
    }
}

impl core::fmt::Debug for AclState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AclState")
            .field("name", &self.name)
            .field("roster", &self.roster)
            .field("former", &self.former)
            .field("invites", &self.invites)
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

/// Reads the state out of the verdicts. `known` holds the secrets this device could open, by the operation that brought them.
pub(crate) fn state(log: &AclLog, authority: &Authority, known: &BTreeMap<OpHash, Zeroizing<[u8; 32]>>) -> AclState {
    let mut state = AclState::default();
    let Some(AclKind::Create(create)) = log.node(0).map(|node| &node.op.kind) else { return state };
    state.name.clone_from(&create.name);
    state.approval = create.approval;
    state.full_history = create.full_history;
    state.founder = Some(create.founder.device);
    for (device, rank) in authority.devices() {
        read_device(log, authority, *device, rank, &mut state);
    }
    read_invites(log, authority, &mut state);
    read_secrets(log, authority, known, &mut state);
    state
}

fn read_device(log: &AclLog, authority: &Authority, device: DeviceId, rank: usize, state: &mut AclState) {
    let mut first = None;
    let mut card = None;
    let mut names: BTreeMap<(u32, OpHash), &str> = BTreeMap::new();
    for node in authority.about(&device).iter().filter(|index| authority.is_valid(**index)).filter_map(|index| log.node(*index)) {
        let shown = match &node.op.kind {
            AclKind::Create(create) => &create.founder,
            AclKind::Admit(admit) => &admit.card,
            _ => continue,
        };
        first.get_or_insert(node);
        card = Some(shown);
        names.insert(node.key(), &shown.name);
    }
    for node in log.by_author(&device).iter().filter(|index| authority.is_valid(**index)).filter_map(|index| log.node(*index)) {
        if let AclKind::Rename(rename) = &node.op.kind {
            names.insert(node.key(), &rename.name);
        }
    }
    let (Some(first), Some(card)) = (first, card) else { return };
    let name = names.last_key_value().map_or(card.name.as_str(), |(_, name)| name).to_owned();
    match authority.role_in(log, &device, View::All) {
        Some(role) => {
            let again = authority.admission_that_counts(log, &device).and_then(|index| log.node(index));
            let member = Member {
                device,
                account: card.account,
                name,
                role,
                seal_key: card.seal_key,
                rank,
                admitted_by: again.map_or(first.hash, |node| node.hash),
                first_admitted_by: first.hash,
                admitted_ms: first.op.time_ms,
            };
            state.roster.insert(device, member);
        }
        None => {
            let mut revocations = authority.revocations().get(&device).into_iter().flatten();
            let left = revocations.all(|index| log.node(*index).is_some_and(|node| node.op.is_leave()));
            state.former.insert(device, Former { account: card.account, name, left });
        }
    }
}

fn read_invites(log: &AclLog, authority: &Authority, state: &mut AclState) {
    for (index, node) in log.nodes().filter(|(index, _)| authority.is_valid(*index)) {
        match &node.op.kind {
            AclKind::Invite(invite) => {
                // As whoever redeems it will be judged, who builds on what is in sight.
                let closed =
                    authority.revocations_in_sight().any(|revocation| revocation != index && !node.past.contains(revocation));
                let open = !closed && !authority.is_closed(&node.hash) && state.is_admin(&node.op.author);
                let entry = InviteState {
                    hash: node.hash,
                    key: invite.key,
                    issuer: node.op.author,
                    expires_ms: invite.expires_ms,
                    uses: invite.uses,
                    used: 0,
                    role: invite.role,
                    approval: invite.approval,
                    open,
                };
                state.invites.insert(node.hash, entry);
            }
            AclKind::Admit(admit) => {
                // An invitation is always linked before the admissions that name it.
                if let Some(invite) = admit.invite.and_then(|hash| state.invites.get_mut(&hash)) {
                    invite.used = invite.used.saturating_add(1);
                }
            }
            _ => {}
        }
    }
}

fn read_secrets(log: &AclLog, authority: &Authority, known: &BTreeMap<OpHash, Zeroizing<[u8; 32]>>, state: &mut AclState) {
    let mut generations: Vec<&AclNode> = log
        .nodes()
        .filter(|(index, node)| authority.is_valid(*index) && matches!(node.op.kind, AclKind::Secret(_)))
        .map(|(_, node)| node)
        .collect();
    generations.sort_by_key(|node| node.key());
    if let Some(newest) = generations.last() {
        let mut counted = authority.revocations().values().flatten();
        state.rotation_due = counted.any(|revocation| !newest.past.contains(*revocation))
            || state.roster.keys().any(|device| !reaches(log, authority, &generations, newest, device));
    }
    for node in generations.iter().rev() {
        if let Some(secret) = known.get(&node.hash)
            && !state.secrets.contains(secret)
        {
            state.secrets.push(secret.clone());
            state.secret_ops.push(node.hash);
            if state.secrets.len() == MAX_SECRETS {
                break;
            }
        }
    }
    state.secrets.reverse();
    state.secret_ops.reverse();
}

/// Whether a member can open the newest generation: by a box of its own, or because whoever admitted it knew that generation. A large
/// roster has its boxes in several operations of one author and moment.
fn reaches(log: &AclLog, authority: &Authority, generations: &[&AclNode], newest: &AclNode, device: &DeviceId) -> bool {
    let mut same =
        generations.iter().rev().filter(|node| node.op.author == newest.op.author && node.op.time_ms == newest.op.time_ms);
    let boxed = same.any(|node| match &node.op.kind {
        AclKind::Secret(secret) => secret.boxes.iter().any(|entry| entry.device == *device),
        _ => false,
    });
    let newest = log.index_of(&newest.hash);
    boxed
        || authority.about(device).iter().any(|index| {
            authority.is_valid(*index)
                && log.node(*index).is_some_and(|node| {
                    matches!(node.op.kind, AclKind::Admit(_)) && newest.is_some_and(|newest| node.past.contains(newest))
                })
        })
}
