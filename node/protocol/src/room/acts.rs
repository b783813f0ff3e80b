//! What this device does in a room: each act is checked as every other member will check it, signed and applied here, and given to the
//! caller to store. An act must never be sent before that.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::chat::{Body, Delete, Edit, MAX_MENTIONS, React, Text, check_emoji, check_text};
use crate::id::{DeviceId, OpHash};
use crate::identity::{MemberCard, check_name, seal};
use crate::log::Refused;
use crate::log::acl::{
    AclKind, AclOp, Admit, Close, Invite, KnownSecret, MAX_BOXES, MAX_INVITE_USES, MAX_PARENTS, Rename, Revoke, Role, RoleChange,
    Secret, SecretBox, SecretList, admit_context, secret_context,
};
use crate::log::dag::AclNode;
use crate::log::op::{MAX_OP_BODY, Op};
use crate::room::{Applied, Refusal, Room};
use crate::wire;

/// What an invitation is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteSpec {
    /// Ed25519 public key of the seed in the link.
    pub key: [u8; 32],
    /// By this device's clock, UTC.
    pub expires_ms: u64,
    /// 1 to [`MAX_INVITE_USES`].
    pub uses: u32,
    /// Never the owner.
    pub role: Role,
    /// An admin is asked first.
    pub approval: bool,
}

impl Room {
    /// Writes a message.
    pub fn say(&mut self, text: Text, now_ms: u64) -> Result<Applied, Refusal> {
        check_text(&text.body)?;
        if text.mentions.len() > MAX_MENTIONS {
            return Err(Refusal::OutOfRange);
        }
        if text.reply_to.is_some_and(|id| self.chat().get(&id).is_none()) {
            return Err(Refusal::UnknownMessage);
        }
        self.write_chat(&Body::Text(text), now_ms)
    }

    /// Gives a message of this device another text.
    pub fn edit(&mut self, target: OpHash, body: String, mentions: Vec<DeviceId>, now_ms: u64) -> Result<Applied, Refusal> {
        check_text(&body)?;
        if mentions.len() > MAX_MENTIONS {
            return Err(Refusal::OutOfRange);
        }
        let message = self.chat().get(&target).filter(|message| !message.deleted()).ok_or(Refusal::UnknownMessage)?;
        if message.author != self.me() {
            return Err(Refusal::NotPermitted);
        }
        self.write_chat(&Body::Edit(Edit { target, body, mentions }), now_ms)
    }

    /// Takes a message back: one's own, or anyone's as an admin.
    pub fn delete(&mut self, target: OpHash, now_ms: u64) -> Result<Applied, Refusal> {
        let message = self.chat().get(&target).ok_or(Refusal::UnknownMessage)?;
        if message.author != self.me() && !self.acl.is_admin(&self.me()) {
            return Err(Refusal::NotPermitted);
        }
        if message.deleted() {
            return Ok(Applied::default());
        }
        self.write_chat(&Body::Delete(Delete { target }), now_ms)
    }

    /// Puts an emoji under a message, or takes it away.
    pub fn react(&mut self, target: OpHash, emoji: String, on: bool, now_ms: u64) -> Result<Applied, Refusal> {
        check_emoji(&emoji)?;
        if self.chat().get(&target).is_none_or(|message| message.deleted()) {
            return Err(Refusal::UnknownMessage);
        }
        self.write_chat(&Body::React(React { target, emoji, on }), now_ms)
    }

    /// Writes an operation of any kind; at most [`MAX_OP_BODY`] bytes.
    pub fn write(&mut self, kind: u32, body: Vec<u8>, now_ms: u64) -> Result<Applied, Refusal> {
        match self.my_role() {
            None => return Err(Refusal::NotMember),
            Some(Role::Viewer) => return Err(Refusal::NotPermitted),
            Some(_) => {}
        }
        if self.is_frozen(&self.me()) {
            return Err(Refusal::Frozen);
        }
        if body.len() > MAX_OP_BODY {
            return Err(Refusal::OutOfRange);
        }
        let heads = self.heads_to_write_under();
        let op: Op = self.ops.next(self.me(), self.incarnation, heads, now_ms, kind, body).ok_or(Refusal::QuotaExceeded)?;
        let signed = op.sign(&self.me.key, &self.id);
        let mut applied = Applied::default();
        let rules = rules!(self);
        let inserted = self.ops.insert(vec![signed], rules, true, &mut applied.refused);
        if inserted.linked.is_empty() {
            return Err(Refusal::OutOfRange);
        }
        self.after_ops(inserted, &mut applied);
        Ok(applied)
    }

    /// Makes an invitation. [`Applied::first_hash`] is its name in the log.
    pub fn invite(&mut self, spec: InviteSpec, now_ms: u64) -> Result<Applied, Refusal> {
        self.must_be_admin()?;
        if !(1..=MAX_INVITE_USES).contains(&spec.uses) || spec.role >= Role::Owner || spec.expires_ms <= now_ms {
            return Err(Refusal::OutOfRange);
        }
        let InviteSpec { key, expires_ms, uses, role, approval } = spec;
        self.act(AclKind::Invite(Invite { key, expires_ms, uses, role, approval }), now_ms)
    }

    /// Closes an invitation, of any admin. What is closed already stays so.
    pub fn close_invite(&mut self, invite: OpHash, now_ms: u64) -> Result<Applied, Refusal> {
        self.must_be_admin()?;
        let known = self.acl.invite(&invite).ok_or(Refusal::InviteUnknown)?;
        if !known.open {
            return Ok(Applied::default());
        }
        self.act(AclKind::Close(Close { invite }), now_ms)
    }

    /// Admits a device: by one of this device's own invitations, whose role is then given, or as an admin by a knock. The device learns
    /// the discovery secrets from the operation.
    pub fn admit(
        &mut self,
        card: MemberCard,
        role: Role,
        invite: Option<OpHash>,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Applied, Refusal> {
        self.must_be_admin()?;
        card.check()?;
        if !self.vouches_for(&card) {
            return Err(Refusal::Withdrawn);
        }
        if self.acl.is_member(&card.device) {
            return Err(Refusal::AlreadyMember);
        }
        let mut role = role;
        if let Some(hash) = invite {
            let known = self.acl.invite(&hash).filter(|known| known.issuer == self.me()).ok_or(Refusal::InviteUnknown)?;
            role = known.role;
            if !known.open {
                return Err(Refusal::InviteClosed);
            }
            if known.used >= known.uses {
                return Err(Refusal::InviteUsedUp);
            }
            if now_ms > known.expires_ms {
                return Err(Refusal::InviteExpired);
            }
        }
        if role >= Role::Owner {
            return Err(Refusal::OutOfRange);
        }
        let generations = self.acl.secret_ops.iter().zip(&self.acl.secrets);
        let list = SecretList { secrets: generations.map(|(op, secret)| KnownSecret { op: *op, secret: **secret }).collect() };
        let plaintext = Zeroizing::new(wire::encode(&list));
        let secrets = seal(card.seal_key, &admit_context(&self.id, &card.device), &plaintext, rng);
        self.act(AclKind::Admit(Admit { card, role, invite, secrets }), now_ms)
    }

    /// Removes a member and rotates the discovery secret. Of an admin only by a senior; of oneself it is [`Room::leave`].
    pub fn revoke(&mut self, device: DeviceId, now_ms: u64, rng: &mut impl CryptoRng) -> Result<Applied, Refusal> {
        if device == self.me() {
            return self.leave(now_ms);
        }
        self.must_be_admin()?;
        self.must_be_over(&device)?;
        let mut applied = self.act(AclKind::Revoke(self.revocation(device)), now_ms)?;
        // The revocation stands even where the log has no place for a rotation any more.
        if let Ok(rotated) = self.rotate(now_ms, rng) {
            append(&mut applied, rotated);
        }
        Ok(applied)
    }

    /// Leaves the room. Those who stay rotate the discovery secret (see [`crate::log::state::AclState::rotation_due`]).
    pub fn leave(&mut self, now_ms: u64) -> Result<Applied, Refusal> {
        if self.my_role().is_none() {
            return Err(Refusal::NotMember);
        }
        self.act(AclKind::Revoke(self.revocation(self.me())), now_ms)
    }

    /// Changes what a member may do. Only a senior makes someone an admin or takes it back; anyone lowers their own role.
    pub fn set_role(&mut self, device: DeviceId, role: Role, now_ms: u64) -> Result<Applied, Refusal> {
        self.must_be_admin()?;
        let current = self.acl.role(&device).ok_or(Refusal::UnknownMember)?;
        if role >= Role::Owner || current == Role::Owner {
            return Err(Refusal::NotPermitted);
        }
        if current == role {
            return Ok(Applied::default());
        }
        if device != self.me() && (role == Role::Admin || current == Role::Admin) && !self.is_senior_to(&device) {
            return Err(Refusal::NotPermitted);
        }
        self.act(AclKind::Role(RoleChange { device, role }), now_ms)
    }

    /// Changes the name by which this device is shown in the room.
    pub fn rename_me(&mut self, name: &str, now_ms: u64) -> Result<Applied, Refusal> {
        check_name(name)?;
        let member = self.acl.member(&self.me()).ok_or(Refusal::NotMember)?;
        if member.name == name {
            return Ok(Applied::default());
        }
        self.act(AclKind::Rename(Rename { name: name.to_owned() }), now_ms)
    }

    /// Makes another discovery secret for those who belong to the room now.
    pub fn rotate(&mut self, now_ms: u64, rng: &mut impl CryptoRng) -> Result<Applied, Refusal> {
        self.must_be_admin()?;
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        let context = secret_context(&self.id);
        let boxes: Vec<SecretBox> = self
            .acl
            .roster()
            .map(|member| SecretBox { device: member.device, sealed: seal(member.seal_key, &context, secret.as_ref(), rng) })
            .collect();
        let mut applied = Applied::default();
        for boxes in boxes.chunks(MAX_BOXES) {
            append(&mut applied, self.act(AclKind::Secret(Secret { boxes: boxes.to_vec() }), now_ms)?);
        }
        Ok(applied)
    }

    fn write_chat(&mut self, body: &Body, now_ms: u64) -> Result<Applied, Refusal> {
        let (kind, bytes) = body.encode();
        self.write(kind, bytes, now_ms)
    }

    fn act(&mut self, kind: AclKind, now_ms: u64) -> Result<Applied, Refusal> {
        let op = AclOp { author: self.me(), parents: self.parents_for(&kind), time_ms: now_ms, kind };
        let signed = op.sign(&self.me.key, &self.id);
        let mut refused = Refused::default();
        let linked = self.acl_log.insert(vec![signed], false, &self.authority, |_| false, &mut refused);
        if linked.is_empty() {
            return Err(if refused.over_quota > 0 { Refusal::QuotaExceeded } else { Refusal::OutOfRange });
        }
        let mut applied = Applied::default();
        self.after_acl(&linked, &mut applied);
        Ok(applied)
    }

    /// What an operation of the op log names of the ACL log. What its author has shown to know must stay in sight, or
    /// everyone refuses it; and so must what gives the author the right to write.
    fn heads_to_write_under(&self) -> Vec<OpHash> {
        let shown = self.ops.last_heads(self.me(), self.incarnation);
        let shown = shown.iter().filter_map(|head| self.acl_log.index_of(head));
        // The rest of the places stays free for what the next operation needs beside the heads of this one.
        self.acl_log.heads_over(self.authority.tips(), shown.chain(self.own_standing()), MAX_PARENTS / 2)
    }

    /// What an operation of the ACL log names of it as its parents.
    fn parents_for(&self, kind: &AclKind) -> Vec<OpHash> {
        let mut needed: Vec<usize> = Vec::new();
        match kind {
            AclKind::Admit(admit) => {
                needed.extend(admit.invite.and_then(|invite| self.acl_log.index_of(&invite)));
                // An admission counts only if it builds on what removed the device before.
                needed.extend(self.authority.revocations().get(&admit.card.device).into_iter().flatten().rev());
                needed.extend(self.acl.secret_ops.last().and_then(|secret| self.acl_log.index_of(secret)));
            }
            AclKind::Revoke(revoke) => {
                needed.extend(revoke.acl_cut.and_then(|cut| self.acl_log.index_of(&cut)));
                needed.extend(self.standing_of(&revoke.device));
            }
            AclKind::Role(change) => needed.extend(self.standing_of(&change.device)),
            AclKind::Close(close) => needed.extend(self.acl_log.index_of(&close.invite)),
            _ => {}
        }
        // What a rotation is to answer comes after the right to make it.
        let mut after: Vec<usize> = Vec::new();
        if matches!(kind, AclKind::Secret(_)) {
            after.extend(self.authority.revocations().values().flatten());
        }
        self.acl_log.heads_over(self.authority.tips(), needed.into_iter().chain(self.own_standing()).chain(after), MAX_PARENTS)
    }

    /// What gives this device its role, and the newest of its own operations of the ACL log.
    fn own_standing(&self) -> Vec<usize> {
        let mut standing = self.standing_of(&self.me());
        standing.extend(self.acl_log.by_author(&self.me()).last());
        standing
    }

    /// The valid admissions of a device and the changes of its role, the last first.
    fn standing_of(&self, device: &DeviceId) -> Vec<usize> {
        let about = self.authority.about(device).iter().rev().copied().filter(|index| self.authority.is_valid(*index));
        about.filter(|index| !self.acl_log.node(*index).is_some_and(|node| matches!(node.op.kind, AclKind::Revoke(_)))).collect()
    }

    fn must_be_admin(&self) -> Result<(), Refusal> {
        match self.my_role() {
            None => Err(Refusal::NotMember),
            Some(role) if role < Role::Admin => Err(Refusal::NotPermitted),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn may_revoke(&self, device: &DeviceId) -> bool {
        self.must_be_over(device).is_ok()
    }

    fn must_be_over(&self, device: &DeviceId) -> Result<(), Refusal> {
        match self.acl.role(device).ok_or(Refusal::UnknownMember)? {
            Role::Owner => Err(Refusal::NotPermitted),
            Role::Admin if !self.is_senior_to(device) => Err(Refusal::NotPermitted),
            _ => Ok(()),
        }
    }

    fn is_senior_to(&self, device: &DeviceId) -> bool {
        matches!((self.authority.rank(&self.me()), self.authority.rank(device)), (Some(mine), Some(theirs)) if mine < theirs)
    }

    /// What counts of a device that is removed now.
    fn revocation(&self, device: DeviceId) -> Revoke {
        let valid = self.acl_log.by_author(&device).iter().filter(|index| self.authority.is_valid(**index));
        let newest = valid.filter_map(|index| self.acl_log.node(*index)).max_by_key(|node| AclNode::key(node));
        Revoke { device, op_cuts: self.ops.cuts(&device), acl_cut: newest.map(|node| node.hash) }
    }
}

fn append(applied: &mut Applied, more: Applied) {
    applied.records.extend(more.records);
    applied.changes.extend(more.changes);
    applied.refused.add(&more.refused);
}
