//! What follows from operations that were linked: verdicts, roster, secrets, timeline. It must never tell a change that a second look
//! would not show.

use zeroize::Zeroizing;

use crate::chat::Body;
use crate::chat::timeline::{ChatOp, Effect, Timeline};
use crate::id::{DeviceId, OpHash};
use crate::log::acl::{AclKind, Role, SecretList, admit_context, secret_context};
use crate::log::authority::{View, evaluate};
use crate::log::op::FIRST_KIND_BEYOND_CHAT;
use crate::log::oplog::{Inserted, OpNode};
use crate::log::state::{AclState, state};
use crate::room::record::Record;
use crate::room::{Applied, Room, RoomChange};
use crate::wire;

impl Room {
    /// After operations of the ACL log were linked.
    pub(super) fn after_acl(&mut self, linked: &[OpHash], applied: &mut Applied) {
        if linked.is_empty() {
            return;
        }
        applied
            .records
            .extend(linked.iter().filter_map(|hash| self.acl_log.get(hash)).map(|node| Record::Acl(node.signed.clone())));
        self.learn_from_cards(linked);
        let before = self.judge_acl();
        tell_difference(&before, &self.acl, &mut applied.changes);
        let rules = rules!(self);
        let inserted = self.ops.retry(linked, rules, &mut applied.refused);
        self.after_ops(inserted, applied);
    }

    /// After operations of the op log were linked.
    pub(super) fn after_ops(&mut self, inserted: Inserted, applied: &mut Applied) {
        for proof in inserted.proofs {
            if let Ok(device) = proof.verify(&self.id) {
                applied.changes.push(RoomChange::Frozen(device));
            }
            applied.records.push(Record::Equivocation(Box::new(proof)));
        }
        applied
            .records
            .extend(inserted.linked.iter().filter_map(|index| self.ops.node(*index)).map(|node| Record::Op(node.signed.clone())));
        self.settle_ops(&mut applied.changes);
    }

    /// Judges the ACL log anew; gives the state before.
    pub(super) fn judge_acl(&mut self) -> AclState {
        let authority = evaluate(&self.acl_log);
        if authority.contradicts(&self.authority) {
            self.ops.mark_stale();
        }
        self.authority = authority;
        self.search_secrets();
        let after = state(&self.acl_log, &self.authority, &self.known_secrets);
        std::mem::replace(&mut self.acl, after)
    }

    /// Judges what is new in the op log and brings the timeline up to it.
    pub(super) fn settle_ops(&mut self, changes: &mut Vec<RoomChange>) {
        let everything = self.ops.is_stale();
        let rules = rules!(self);
        let mut verdicts = self.ops.settle(rules);
        verdicts.newly_valid.sort_by_key(|index| self.ops.node(*index).map(OpNode::key));
        for index in verdicts.newly_valid {
            let Some(node) = self.ops.node(index) else { continue };
            if node.op.kind >= FIRST_KIND_BEYOND_CHAT {
                changes.push(RoomChange::Operation { id: node.hash, kind: node.op.kind });
                continue;
            }
            let change = match self.timeline.apply(self.chat_op(node)) {
                Effect::Inserted { id, after, at_end } => RoomChange::Message { id, after, at_end },
                Effect::Changed(id) => RoomChange::MessageChanged(id),
                Effect::Nothing => continue,
            };
            changes.push(change);
        }
        if everything {
            let mut timeline = Timeline::default();
            for node in self.ops.nodes().filter(|node| node.valid && node.op.kind < FIRST_KIND_BEYOND_CHAT) {
                timeline.apply(self.chat_op(node));
            }
            if verdicts.newly_void || !timeline.shows_the_same(&self.timeline) {
                changes.retain(|change| !matches!(change, RoomChange::Message { .. } | RoomChange::MessageChanged(_)));
                changes.push(RoomChange::Reordered);
            }
            self.timeline = timeline;
        }
    }

    fn chat_op(&self, node: &OpNode) -> ChatOp {
        let author = node.op.id.device;
        let body = Body::decode(node.op.kind, &node.body());
        let by_admin = matches!(body, Body::Delete(_))
            && self.authority.role_in(&self.acl_log, &author, View::Of(&node.view)).is_some_and(|role| role >= Role::Admin);
        ChatOp { hash: node.hash, position: node.key(), author, by_admin, time_ms: node.op.time_ms, body }
    }

    /// Opens what is sealed to this device in operations that count.
    fn search_secrets(&mut self) {
        let me = self.me();
        for (index, node) in self.acl_log.nodes() {
            if !self.authority.is_valid(index) || self.searched.contains(&node.hash) {
                continue;
            }
            match &node.op.kind {
                AclKind::Secret(secret) => {
                    let sealed = secret.boxes.iter().filter(|entry| entry.device == me).map(|entry| entry.sealed.as_slice());
                    for sealed in sealed.take(1) {
                        if let Ok(opened) = self.me.key.open_sealed(&secret_context(&self.id), sealed)
                            && let Ok(secret) = <[u8; 32]>::try_from(opened.as_slice())
                        {
                            self.known_secrets.insert(node.hash, Zeroizing::new(secret));
                        }
                    }
                }
                AclKind::Admit(admit) if admit.card.device == me => {
                    if let Ok(opened) = self.me.key.open_sealed(&admit_context(&self.id, &me), &admit.secrets)
                        && let Ok(list) = wire::decode::<SecretList>(&opened)
                    {
                        for known in list.secrets {
                            self.known_secrets.entry(known.op).or_insert(Zeroizing::new(known.secret));
                        }
                    }
                }
                _ => continue,
            }
            self.searched.insert(node.hash);
        }
    }
}

fn tell_difference(before: &AclState, after: &AclState, changes: &mut Vec<RoomChange>) {
    let joined = after.roster.keys().filter(|device| !before.is_member(device)).map(|device| RoomChange::MemberJoined(*device));
    changes.extend(joined);
    for device in before.roster.keys().filter(|device| !after.is_member(device)) {
        changes.push(RoomChange::MemberGone { device: *device, left: left(after, device) });
    }
    if before.secrets != after.secrets {
        changes.push(RoomChange::SecretsChanged);
    }
    if before != after {
        changes.push(RoomChange::AclChanged);
    }
}

fn left(state: &AclState, device: &DeviceId) -> bool {
    state.former.get(device).is_some_and(|former| former.left)
}
