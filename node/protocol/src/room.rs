//! One room as one member holds it: both logs, what they mean, and this device's own acts. It must never send or show what its caller
//! has not been given to store first.

/// The rules as the fields of a room hold them, borrowed beside its op log.
macro_rules! rules {
    ($room:expr) => {{
        let (horizon, again) = $room.my_horizon();
        let late = !$room.acl.full_history;
        $crate::log::oplog::Rules { room: &$room.id, acl: &$room.acl_log, authority: &$room.authority, horizon, late, again }
    }};
}

mod acts;
mod changes;
mod lists;
pub mod record;
mod standing;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::chat::TextError;
use crate::chat::timeline::Timeline;
use crate::id::{AccountId, DeviceId, OpHash, RoomId};
use crate::identity::{DeviceKey, IdentityError, MemberCard};
use crate::log::Refused;
use crate::log::acl::{AclKind, AclOp, Create, Role, room_of};
use crate::log::authority::Authority;
use crate::log::bits::Bits;
use crate::log::dag::AclLog;
use crate::log::op::{EquivocationProof, FIRST_KIND_BEYOND_CHAT, Op};
use crate::log::oplog::{OpLog, OpNode};
use crate::log::state::AclState;
use crate::log::sync::{MAX_ACL_ANSWER, Summary, batches};
use crate::room::record::Record;
use crate::wire::Signed;

pub use crate::room::acts::InviteSpec;

/// Who this device is in every room.
#[derive(Debug, Clone)]
pub struct Me {
    /// Signs, and opens what is sealed to this device.
    pub key: Arc<DeviceKey>,
    /// What others are shown; its name is used when a room is made.
    pub card: MemberCard,
}

/// What a new room is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRoom {
    /// See [`crate::identity::check_name`].
    pub name: String,
    /// An admin is asked before anyone is admitted.
    pub approval: bool,
    /// Newcomers read what was written before they came.
    pub full_history: bool,
}

/// Why an act of this device's own was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This device was revoked, or it left.
    #[error("this device is not a member of the room")]
    NotMember,
    /// The role of this device does not allow it.
    #[error("your role in this room does not allow that")]
    NotPermitted,
    /// No such member.
    #[error("no such member of the room")]
    UnknownMember,
    /// No such message.
    #[error("no such message in the room")]
    UnknownMessage,
    /// The text cannot be a message.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A name or a card that cannot be taken.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Belongs to the room already.
    #[error("already a member of the room")]
    AlreadyMember,
    /// Its person has taken it out of their list of devices.
    #[error("its person has taken this device out of their list")]
    Withdrawn,
    /// The invitation was not made by this device.
    #[error("the invitation was made by another device")]
    InviteUnknown,
    /// Past its time.
    #[error("the invitation has expired")]
    InviteExpired,
    /// It has admitted as many as it may.
    #[error("the invitation is used up")]
    InviteUsedUp,
    /// Someone was revoked since, which closes every invitation.
    #[error("the invitation was revoked")]
    InviteClosed,
    /// An invitation with impossible values, or an operation too long for the log.
    #[error("a value is outside its limits")]
    OutOfRange,
    /// The quota of this device for the room is used up for the moment, or the room's log is full.
    #[error("too much was written in a short time; try again in a minute")]
    QuotaExceeded,
    /// This device's key signed two operations with one id: nobody takes anything of it any more.
    #[error("this device's key was used twice; nobody in the room accepts it any more")]
    Frozen,
}

/// Why a room cannot be opened or joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// The operation that founds the room is not among them.
    #[error("the beginning of the room's log is missing")]
    NoGenesis,
    /// They do not admit this device.
    #[error("the room's log does not admit this device")]
    NotAdmitted,
}

/// What happened to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomChange {
    /// A member more; or one again.
    MemberJoined(DeviceId),
    /// A member less.
    MemberGone {
        /// Who.
        device: DeviceId,
        /// By their own wish.
        left: bool,
    },
    /// A member's role or name, the invitations or the room's own description changed.
    AclChanged,
    /// Another generation of the discovery secret is known.
    SecretsChanged,
    /// A newer entry of this person's device list is known.
    ListChanged(AccountId),
    /// Two operations with one id are known of this author. The proof is among the records, to be sent on.
    Frozen(DeviceId),
    /// A message took its place in the timeline.
    Message {
        /// Which.
        id: OpHash,
        /// The message before it.
        after: Option<OpHash>,
        /// Nothing stands after it: where false, it came before messages that were shown already.
        at_end: bool,
    },
    /// A message was edited, taken back or reacted to.
    MessageChanged(OpHash),
    /// Messages that counted do not any more: read the timeline anew.
    Reordered,
    /// An operation beyond the chat counts.
    Operation {
        /// Which.
        id: OpHash,
        /// Its body kind.
        kind: u32,
    },
}

/// What an act or what came from a peer did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// To be on disk before anything of it is sent or shown. An act's own operation is the first.
    pub records: Vec<Record>,
    /// What a person or the rest of the node wants to know.
    pub changes: Vec<RoomChange>,
    /// What was not taken.
    pub refused: Refused,
}

impl Applied {
    /// The hash of the first operation: what an act has made.
    pub fn first_hash(&self) -> Option<OpHash> {
        match self.records.first()? {
            Record::Acl(signed) | Record::Op(signed) => Some(signed.hash()),
            Record::Equivocation(_) | Record::List(_) => None,
        }
    }
}

/// An operation that counts, of a kind beyond the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its hash.
    pub id: OpHash,
    /// Who wrote it.
    pub author: DeviceId,
    /// Random at each start of the author.
    pub incarnation: u64,
    /// Within the incarnation.
    pub seq: u64,
    /// By the author's clock, UTC.
    pub time_ms: u64,
    /// Its body kind.
    pub kind: u32,
    /// Opaque here.
    pub body: Vec<u8>,
}

/// A room.
#[derive(Debug)]
pub struct Room {
    me: Me,
    id: RoomId,
    incarnation: u64,
    acl_log: AclLog,
    authority: Authority,
    acl: AclState,
    known_secrets: BTreeMap<OpHash, Zeroizing<[u8; 32]>>,
    /// Operations that were looked through for secrets.
    searched: HashSet<OpHash>,
    ops: OpLog,
    timeline: Timeline,
    lists: lists::Lists,
}

impl Room {
    /// Founds a room. `incarnation`: random at each start of the node.
    pub fn create(
        me: Me,
        wish: CreateRoom,
        incarnation: u64,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Applied), Refusal> {
        crate::identity::check_name(&wish.name)?;
        me.card.check()?;
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let create =
            Create { name: wish.name, approval: wish.approval, full_history: wish.full_history, founder: me.card.clone(), nonce };
        let op = AclOp { author: me.key.id(), parents: Vec::new(), time_ms: now_ms, kind: AclKind::Create(create) };
        let genesis = op.sign(&me.key, &crate::identity::NO_ROOM);
        let mut room = Self::empty(me, room_of(&genesis.payload), incarnation);
        let mut applied = room.handle_acl_ops(vec![genesis]);
        let rotated = room.rotate(now_ms, rng)?;
        applied.records.extend(rotated.records);
        applied.changes.extend(rotated.changes);
        Ok((room, applied))
    }

    /// Opens a room from this device's own store, in any order. Signatures are not verified again: the store is sealed.
    pub fn load(me: Me, id: RoomId, records: Vec<Record>, incarnation: u64) -> Result<Self, RoomError> {
        let mut room = Self::empty(me, id, incarnation);
        let mut acl_ops = Vec::new();
        let mut ops = Vec::new();
        for record in records {
            match record {
                Record::List(signed) => room.recall_list(signed),
                Record::Acl(signed) => acl_ops.push(signed),
                Record::Op(signed) => ops.push(signed),
                Record::Equivocation(proof) => {
                    if let Ok(device) = proof.verify(&id) {
                        room.ops.freeze(device, *proof);
                    }
                }
            }
        }
        let mut refused = Refused::default();
        let linked = room.acl_log.insert(acl_ops, true, &room.authority, |_| false, &mut refused);
        room.learn_from_cards(&linked);
        if room.acl_log.len() == 0 {
            return Err(RoomError::NoGenesis);
        }
        room.judge_acl();
        let rules = rules!(room);
        if rules.again.is_some() {
            // What is missing of a chain since this device was away is told from what comes later only by what is there before.
            ops.sort_by_cached_key(|signed| Op::decode(&signed.payload).map_or(0, |op| op.id.seq));
        }
        room.ops.insert(ops, rules, true, &mut refused);
        room.settle_ops(&mut Vec::new());
        Ok(room)
    }

    /// Begins a room from the operations that admitted this device. All of them are among the records.
    pub fn join(me: Me, id: RoomId, acl_ops: Vec<Signed>, incarnation: u64) -> Result<(Self, Applied), RoomError> {
        let mut room = Self::empty(me, id, incarnation);
        let applied = room.handle_acl_ops(acl_ops);
        if room.acl_log.len() == 0 {
            return Err(RoomError::NoGenesis);
        }
        if !room.acl.is_member(&room.me.key.id()) {
            return Err(RoomError::NotAdmitted);
        }
        Ok((room, applied))
    }

    /// Takes operations of the ACL log, in any order.
    pub fn handle_acl_ops(&mut self, ops: Vec<Signed>) -> Applied {
        let mut applied = Applied::default();
        let linked = self.acl_log.insert(ops, false, &self.authority, |hash| self.ops.wants(hash), &mut applied.refused);
        self.after_acl(&linked, &mut applied);
        applied
    }

    /// Takes operations of the op log, in any order.
    pub fn handle_ops(&mut self, ops: Vec<Signed>) -> Applied {
        let mut applied = Applied::default();
        let rules = rules!(self);
        let inserted = self.ops.insert(ops, rules, false, &mut applied.refused);
        self.after_ops(inserted, &mut applied);
        applied
    }

    /// Takes a proof that a member signed two operations with one id.
    pub fn handle_proof(&mut self, proof: EquivocationProof) -> Applied {
        let mut applied = Applied::default();
        match proof.verify(&self.id) {
            Ok(device) if self.acl_log.is_known(&device) => {
                if self.ops.freeze(device, proof.clone()) {
                    applied.records.push(Record::Equivocation(Box::new(proof)));
                    applied.changes.push(RoomChange::Frozen(device));
                    self.settle_ops(&mut applied.changes);
                } else {
                    applied.refused.duplicates += 1;
                }
            }
            Ok(_) => applied.refused.not_permitted += 1,
            Err(_) => applied.refused.malformed += 1,
        }
        applied
    }

    /// Of the room.
    pub fn id(&self) -> RoomId {
        self.id
    }

    /// This device.
    pub fn me(&self) -> DeviceId {
        self.me.key.id()
    }

    /// What this device may do; `None` where it was revoked or left.
    pub fn my_role(&self) -> Option<Role> {
        self.acl.role(&self.me())
    }

    /// Who belongs to the room, and the rest of what the ACL log says.
    pub fn acl(&self) -> &AclState {
        &self.acl
    }

    /// The messages.
    pub fn chat(&self) -> &Timeline {
        &self.timeline
    }

    /// Signed two operations with one id: nothing new of this author is taken.
    pub fn is_frozen(&self, device: &DeviceId) -> bool {
        self.ops.is_frozen(device)
    }

    /// All proofs, to be shown to every member that comes.
    pub fn proofs(&self) -> impl Iterator<Item = &EquivocationProof> {
        self.ops.proofs().map(|(_, proof)| proof)
    }

    /// What of the ACL log is known, for [`Room::acl_missing`] on the other side. At most [`crate::log::MAX_ANNOUNCED`] hashes.
    pub fn acl_heads(&self) -> Vec<OpHash> {
        self.acl_log.announce()
    }

    /// The other side knows operations of the ACL log that are not here.
    pub fn acl_lacks(&self, announced: &[OpHash]) -> bool {
        self.acl_log.lacks(announced)
    }

    /// What someone who announced these heads lacks of the ACL log, parents first.
    pub fn acl_missing(&self, announced: &[OpHash]) -> Vec<Signed> {
        self.acl_log.missing(announced)
    }

    /// What is told to a device of what is known of the ACL log: [`Room::acl_heads`], but to someone who belongs to the room no more
    /// only what concerns them.
    pub fn acl_heads_for(&self, peer: &DeviceId) -> Vec<OpHash> {
        if !self.acl.is_former(peer) {
            return self.acl_heads();
        }
        let about = self.acl_log.about(peer).iter().rev().take(crate::log::MAX_ANNOUNCED);
        about.filter_map(|index| self.acl_log.node(*index)).map(|node| node.hash).collect()
    }

    /// The answer to a device that announced these heads: what it lacks of the ACL log and may learn, parents first, in at most
    /// [`MAX_ACL_ANSWER`] batches.
    pub fn acl_answer(&self, peer: &DeviceId, announced: &[OpHash]) -> Vec<Vec<Signed>> {
        let mut missing = self.acl_log.missing(announced);
        if let Some(view) = self.last_view_of(peer) {
            missing.retain(|signed| self.acl_log.index_of(&signed.hash()).is_some_and(|index| view.contains(index)));
        }
        batches(missing).into_iter().take(MAX_ACL_ANSWER).collect()
    }

    /// Nothing of the room is told to this device, whose stream was proved by the secret of this [`secret_print`]: it is not known
    /// here, and whoever was removed knows that secret too. It may still tell what admits it, and is heard from then on.
    pub fn withholds_from(&self, peer: &DeviceId, proved_by: &[u8; 32]) -> bool {
        let newest = self.acl.secrets.last().map(|secret| secret_print(secret));
        let known = self.acl.is_member(peer) || self.acl.is_former(peer);
        !known && (self.acl.rotation_due || newest.as_ref() != Some(proved_by))
    }

    /// Whether a device may learn an operation of the ACL log: someone who was removed learns of the removal, and of nothing after it.
    /// A device that is not known yet may, where nothing is withheld from it: its admission may come with its next words.
    pub fn may_learn(&self, peer: &DeviceId, id: &OpHash) -> bool {
        self.last_view_of(peer).is_none_or(|view| self.acl_log.index_of(id).is_some_and(|index| view.contains(index)))
    }

    /// What was known of the room when this device was removed, and the removal; `None` for whoever was not.
    fn last_view_of(&self, peer: &DeviceId) -> Option<Bits> {
        self.acl.is_former(peer).then(|| self.acl_log.view(self.acl_log.about(peer)))
    }

    /// What of the op log is held and what is wanted.
    pub fn summary(&self) -> Summary {
        self.ops.summary()
    }

    /// What a member with this summary lacks and may read, at most about `max_bytes`; empty for whoever is not a member.
    pub fn ops_missing(&self, peer: &DeviceId, summary: &Summary, max_bytes: usize) -> Vec<Signed> {
        if !self.acl.is_member(peer) {
            return Vec::new();
        }
        let horizon = self.horizon_of(peer);
        self.ops.missing(summary, max_bytes, |node| horizon.is_none_or(|horizon| node.view.contains(horizon)))
    }

    /// Whether a member may read an operation of the op log: where history begins with one's own admission, not what is older.
    pub fn may_read(&self, peer: &DeviceId, id: &OpHash) -> bool {
        let horizon = self.horizon_of(peer);
        self.acl.is_member(peer) && self.ops.get(id).is_some_and(|node| horizon.is_none_or(|horizon| node.view.contains(horizon)))
    }

    /// Operations that count of the kinds from [`FIRST_KIND_BEYOND_CHAT`] on, in the order that everyone shares.
    pub fn operations(&self) -> Vec<Operation> {
        let mut nodes: Vec<&OpNode> =
            self.ops.nodes().filter(|node| node.valid && node.op.kind >= FIRST_KIND_BEYOND_CHAT).collect();
        nodes.sort_by_key(|node| node.key());
        nodes.into_iter().map(operation).collect()
    }

    /// Those of some kinds, in the same order.
    pub fn operations_of(&self, kinds: core::ops::RangeInclusive<u32>) -> Vec<Operation> {
        let mut nodes: Vec<&OpNode> = self.ops.nodes().filter(|node| node.valid && kinds.contains(&node.op.kind)).collect();
        nodes.sort_by_key(|node| node.key());
        nodes.into_iter().map(operation).collect()
    }

    /// One of them.
    pub fn operation(&self, id: &OpHash) -> Option<Operation> {
        self.ops.get(id).filter(|node| node.valid && node.op.kind >= FIRST_KIND_BEYOND_CHAT).map(operation)
    }

    /// Whether an operation of the op log is known and counts.
    pub fn counts(&self, id: &OpHash) -> bool {
        self.ops.get(id).is_some_and(|node| node.valid)
    }

    /// Operations wait for others that are not here: another [`Room::summary`] asks for them by name. They may also wait for the ACL log, so
    /// [`Room::acl_heads`] goes with it.
    pub fn wants_more(&self) -> bool {
        self.ops.wants_more()
    }

    /// Operations that wait for what they build on, in both logs.
    pub fn waiting(&self) -> usize {
        self.ops.pending_len() + self.acl_log.pending_len()
    }

    /// Operations held, in the ACL log and the op log.
    pub fn sizes(&self) -> (usize, usize) {
        (self.acl_log.len(), self.ops.len())
    }

    fn empty(me: Me, id: RoomId, incarnation: u64) -> Self {
        Self {
            me,
            id,
            incarnation,
            acl_log: AclLog::new(id),
            authority: Authority::default(),
            acl: AclState::default(),
            known_secrets: BTreeMap::new(),
            searched: HashSet::new(),
            ops: OpLog::new(),
            timeline: Timeline::default(),
            lists: lists::Lists::default(),
        }
    }

    /// Where history begins for this device, also when it is no member any more; and where it goes on after it was let in again.
    fn my_horizon(&self) -> (Option<usize>, Option<usize>) {
        let me = self.me();
        if self.acl.full_history || self.acl.founder == Some(me) {
            return (None, None);
        }
        let first = self.acl.member(&me).and_then(|member| self.acl_log.index_of(&member.first_admitted_by));
        let first = first.or_else(|| self.acl_log.about(&me).first().copied());
        (first, self.horizon_of(&me).filter(|again| Some(*again) != first))
    }

    /// Where history begins for a device: `None` for all of it.
    fn horizon_of(&self, device: &DeviceId) -> Option<usize> {
        if self.acl.full_history || self.acl.founder == Some(*device) {
            return None;
        }
        self.acl.member(device).and_then(|member| self.acl_log.index_of(&member.admitted_by))
    }
}

fn operation(node: &OpNode) -> Operation {
    let id = node.op.id;
    Operation {
        id: node.hash,
        author: id.device,
        incarnation: id.incarnation,
        seq: id.seq,
        time_ms: node.op.time_ms,
        kind: node.op.kind,
        body: node.body(),
    }
}

/// What a discovery secret is known by where the secret itself need not be: `BLAKE3 derive_key("conclave 2026 secret print v1", secret)`.
pub fn secret_print(secret: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("conclave 2026 secret print v1", secret)
}
