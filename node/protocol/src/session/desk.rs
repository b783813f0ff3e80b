//! The writer's own: who waits to be added, and making the next epoch. It never adds whom the heads it names do not admit, and never
//! leaves a device in the roster that it knows to be revoked.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use openmls::prelude::*;
use openmls_traits::OpenMlsProvider;

use crate::allowance::Allowance;
use crate::id::{DeviceId, OpHash};
use crate::log::acl::MAX_PARENTS;
use crate::session::commit::ASKED_LATELY;
use crate::session::group::{Group, read_key_package, read_roster};
use crate::session::message::{
    CommitFrame, JoinReq, MAX_COMMIT, MAX_ROSTER, MAX_WELCOME, SessionFrame, Statement, UpdateFrame, WelcomeFrame, authenticator,
    hash, session_id,
};
use crate::session::presence::TOLD_FOR;
use crate::session::provider::MlsSigner;
use crate::session::{
    Acl, COMMIT_INTERVAL, LEAVE_AFTER, LOST_AFTER, REJOIN_BURST, REJOIN_INTERVAL, RefusalKind, Session, UPDATE_INTERVAL,
};

/// Most additions in one commit: its Welcome holds a secret for each.
const MAX_BATCH: usize = 48;
/// Those who come together are added together.
const GATHER_FOR: Duration = Duration::from_millis(100);
/// Most requests that wait.
const MAX_PENDING: usize = 256;
/// KeyPackages that were used in a session.
const MAX_USED: usize = 16_384;
/// Welcomes kept for those who did not get theirs.
const MAX_WELCOMES: usize = 64;
const WELCOME_AGAIN: Duration = Duration::from_millis(700);
/// How long Update proposals are collected for one commit.
const COLLECT_FOR: Duration = Duration::from_millis(1_500);

#[derive(Debug)]
struct Pending {
    key_package: KeyPackage,
    hash: OpHash,
    /// Who passed it on.
    from: DeviceId,
    since: Duration,
    /// When it was last told: who needs it no more does not tell it again.
    asked: Duration,
    /// Not to be served before.
    due: Duration,
}

#[derive(Debug)]
struct Given {
    key_package: OpHash,
    frame: WelcomeFrame,
    at: Duration,
}

/// What a writer keeps beside the group.
#[derive(Debug)]
pub(crate) struct Desk {
    pending: BTreeMap<DeviceId, Pending>,
    /// At most [`MAX_USED`], oldest forgotten: older requests have lower counters.
    used: BTreeSet<OpHash>,
    used_order: VecDeque<OpHash>,
    /// The last request of each device; only of members of the room, of whom there is a bounded number.
    counters: BTreeMap<DeviceId, u64>,
    welcomes: BTreeMap<DeviceId, Given>,
    /// How often each device may still be added that was added before. Only those of the last minute.
    rejoined: BTreeMap<DeviceId, Allowance>,
    /// Every device that was ever added; only members of the room.
    known: BTreeSet<DeviceId>,
    committed_at: Option<Duration>,
    batch: usize,
    updates: BTreeMap<u32, Vec<u8>>,
    collecting_since: Option<Duration>,
    updated_at: Duration,
}

impl Desk {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            pending: BTreeMap::new(),
            used: BTreeSet::new(),
            used_order: VecDeque::new(),
            counters: BTreeMap::new(),
            welcomes: BTreeMap::new(),
            rejoined: BTreeMap::new(),
            known: BTreeSet::new(),
            committed_at: None,
            batch: MAX_BATCH,
            updates: BTreeMap::new(),
            collecting_since: None,
            updated_at: now,
        }
    }

    pub(crate) fn is_collecting(&self) -> bool {
        self.collecting_since.is_some()
    }

    fn use_up(&mut self, key_package: OpHash) {
        if self.used.insert(key_package) {
            self.used_order.push_back(key_package);
        }
        if self.used_order.len() > MAX_USED
            && let Some(oldest) = self.used_order.pop_front()
        {
            self.used.remove(&oldest);
        }
    }
}

/// What the next commit does.
#[derive(Debug, Default)]
struct Batch {
    removed: Vec<u32>,
    added: Vec<DeviceId>,
    updates: Vec<Vec<u8>>,
    /// A path is wanted though nobody is removed: the writer's own leaf key is old.
    refresh: bool,
}

/// What a commit made.
struct Written {
    statement: Statement,
    commit: Vec<u8>,
    welcome: Option<Vec<u8>>,
}

impl Session {
    /// A new session, in which nobody else is.
    pub(super) fn create_session(&mut self, acl: &impl Acl, now: Duration) {
        let random = self.seed.array();
        let id = session_id(&self.room, &self.me, &random);
        let (room, key) = (self.room, self.signer.0.clone());
        let sign = |statement: &Statement| statement.sign(&key, &room);
        let Some(group) = Group::create(id, random, self.provider(), &self.signer, acl.heads(), sign, now) else {
            tracing::error!("no session can be created");
            return;
        };
        tracing::debug!(session = %id, "a session was created");
        self.install(group, now);
    }

    /// A request for the session that this device writes, from a member of the room.
    pub(super) fn file_join(&mut self, from: DeviceId, join: &JoinReq, now: Duration) -> Result<(), RefusalKind> {
        let Some(group) = &mut self.current else { return Ok(()) };
        let Some(desk) = &mut group.desk else { return Ok(()) };
        let last = desk.counters.get(&join.device).copied();
        if last.is_some_and(|last| join.counter < last) {
            return Err(RefusalKind::Replayed);
        }
        let (key_package, hash) = read_key_package(&join.key_package, &join.device, &group.provider)?;
        if last == Some(join.counter) {
            return self.welcome_again(from, join.device, hash, now);
        }
        if desk.used.contains(&hash) || desk.pending.values().any(|pending| pending.hash == hash) {
            return Err(RefusalKind::KeyPackageReused);
        }
        if desk.pending.len() >= MAX_PENDING && !desk.pending.contains_key(&join.device) {
            return Err(RefusalKind::QueueFull);
        }
        desk.counters.insert(join.device, join.counter);
        let due = desk.rejoined.get_mut(&join.device).map_or(now, |allowance| allowance.ready_at(now));
        desk.pending.insert(join.device, Pending { key_package, hash, from, since: now, asked: now, due });
        self.wake(due + GATHER_FOR);
        Ok(())
    }

    /// The same request again: it waits, or its Welcome was lost.
    fn welcome_again(&mut self, from: DeviceId, device: DeviceId, hash: OpHash, now: Duration) -> Result<(), RefusalKind> {
        let desk = self.current.as_mut().and_then(|group| group.desk.as_mut());
        let Some(desk) = desk else { return Ok(()) };
        if let Some(pending) = desk.pending.get_mut(&device) {
            pending.from = from;
            pending.asked = now;
            return Ok(());
        }
        let Some(given) = desk.welcomes.get_mut(&device) else { return Err(RefusalKind::Replayed) };
        if given.key_package != hash {
            return Err(RefusalKind::Replayed);
        }
        if given.at + WELCOME_AGAIN <= now {
            given.at = now;
            let frame = given.frame.clone();
            self.send_welcome(frame, from);
        }
        Ok(())
    }

    fn send_welcome(&mut self, frame: WelcomeFrame, from: DeviceId) {
        let to = if self.connected.contains(&frame.to) { frame.to } else { from };
        self.send_to([to], SessionFrame::Welcome(frame));
    }

    /// Commits what is to be, if there is something and it is time.
    pub(super) fn write_next_epoch(&mut self, acl: &impl Acl, now: Duration) {
        let Some(batch) = self.next_batch(acl, now) else { return };
        let Some(group) = &mut self.current else { return };
        let mut heads = acl.heads();
        // What was judged before must stay in sight, also what does not count any more.
        for head in &group.acl_heads {
            if heads.len() < MAX_PARENTS && !acl.covers(&heads, core::slice::from_ref(head)) {
                heads.push(*head);
            }
        }
        let before = group.roster.clone();
        match group.write(&batch, heads, &self.signer) {
            Ok(written) => self.publish(before, batch, written, now),
            Err(error) => {
                tracing::warn!(%error, added = batch.added.len(), "a commit could not be made");
                let _ = group.mls.clear_pending_commit(group.provider.storage());
                let _ = group.mls.clear_pending_proposals(group.provider.storage());
                let Some(desk) = &mut group.desk else { return };
                desk.committed_at = Some(now);
                desk.updates.clear();
                // One request that does not fit must not keep the others out: they are tried one by one.
                if let ([device], 1) = (batch.added.as_slice(), desk.batch) {
                    desk.pending.remove(device);
                    self.refuse(RefusalKind::BadKeyPackage);
                } else {
                    desk.batch = 1;
                }
            }
        }
    }

    fn next_batch(&mut self, acl: &impl Acl, now: Duration) -> Option<Batch> {
        let me = self.me;
        let group = self.current.as_mut().filter(|group| group.writer == me)?;
        let accomplice = self.rules.accomplice;
        let revoked = |device: &DeviceId| !accomplice && (!acl.is_member(device) || self.revoked.contains(device));
        let desk = group.desk.as_mut()?;
        desk.pending.retain(|device, pending| !revoked(device) && pending.asked + ASKED_LATELY > now);
        let urgent = group.roster.values().any(&revoked);
        let free_at = desk.committed_at.map_or(Duration::ZERO, |at| at + COMMIT_INTERVAL);
        if !urgent && free_at > now {
            self.wake_at = Some(self.wake_at.map_or(free_at, |at| at.min(free_at)));
            return None;
        }
        let gone = |device: &DeviceId| {
            *device != me
                && (revoked(device)
                    || group.left.get(device).is_some_and(|at| *at + LEAVE_AFTER <= now)
                    || group.alive.get(device).is_none_or(|at| *at + LOST_AFTER <= now))
        };
        let removed: BTreeSet<u32> = group.roster.iter().filter(|(_, device)| gone(device)).map(|(leaf, _)| *leaf).collect();
        let mut batch = Batch { removed: removed.into_iter().collect(), ..Batch::default() };
        // Who is heard in this very epoch needs no new leaf: the request is older than that, or somebody else tells it again.
        let epoch = (group.id, group.mls.epoch().as_u64(), group.authenticator);
        let leaf_of = |device: &DeviceId| group.roster.iter().find(|(_, other)| *other == device).map(|(leaf, _)| *leaf);
        let is_well = |device: &DeviceId, pending: &Pending| {
            if pending.from == *device {
                let asked = now.saturating_sub(pending.asked);
                self.voices.is_heard_in(&epoch, device, None, asked, now)
            } else {
                self.voices.is_heard_in(&epoch, device, leaf_of(device), TOLD_FOR, now)
            }
        };
        let waits = desk.pending.iter().filter(|(device, pending)| pending.due <= now && !is_well(device, pending));
        let first = waits.clone().map(|(_, pending)| pending.since.max(pending.due)).min();
        if let Some(gathered) = first.map(|first| first + GATHER_FOR).filter(|at| *at > now && batch.removed.is_empty()) {
            self.wake_at = Some(self.wake_at.map_or(gathered, |at| at.min(gathered)));
            return None;
        }
        let heads = acl.heads();
        let mut size = group.roster.len() - batch.removed.len();
        let mut waiting: Vec<(&DeviceId, &Pending)> = waits.collect();
        waiting.sort_by_key(|(_, pending)| pending.since);
        for (device, _) in waiting {
            if batch.added.len() >= desk.batch || !(accomplice || acl.are_members_at(&[*device], &heads)) {
                continue;
            }
            match leaf_of(device) {
                Some(leaf) if !batch.removed.contains(&leaf) => batch.removed.push(leaf),
                _ if size >= MAX_ROSTER => continue,
                _ => size += 1,
            }
            batch.added.push(*device);
        }
        // Leaf keys of all are replaced in one commit: first they are collected.
        if desk.updated_at + UPDATE_INTERVAL <= now && group.roster.len() > 1 {
            match desk.collecting_since {
                None => {
                    desk.collecting_since = Some(now);
                    self.said = None;
                }
                Some(since) if since + COLLECT_FOR <= now || desk.updates.len() + 1 >= group.roster.len() => batch.refresh = true,
                Some(_) => {}
            }
        }
        if desk.is_collecting() && !batch.refresh && !urgent {
            let collected = desk.collecting_since.map_or(now, |since| since + COLLECT_FOR);
            self.wake_at = Some(self.wake_at.map_or(collected, |at| at.min(collected)));
            return None;
        }
        if batch.refresh {
            let stays = desk.updates.iter().filter(|(leaf, _)| !batch.removed.contains(leaf));
            batch.updates = stays.map(|(_, update)| update.clone()).collect();
        }
        (batch.refresh || !batch.removed.is_empty() || !batch.added.is_empty()).then_some(batch)
    }

    /// Sends what a commit made: the commit to those who were there and are not revoked, the Welcome to those who were added.
    fn publish(&mut self, before: BTreeMap<u32, DeviceId>, batch: Batch, written: Written, now: Duration) {
        let signed = written.statement.sign(&self.signer.0, &self.room);
        let updates = batch.updates.into_iter().map(Into::into).collect();
        let frame = CommitFrame { statement: signed.clone(), mls: written.commit, updates };
        let Some(group) = &mut self.current else { return };
        group.remember_commit(written.statement.epoch, frame.clone());
        let mut welcomes = Vec::new();
        if let Some(desk) = &mut group.desk {
            desk.committed_at = Some(now);
            desk.batch = MAX_BATCH;
            desk.updates.clear();
            desk.rejoined.retain(|_, allowance| !allowance.is_full(now));
            if batch.refresh {
                desk.collecting_since = None;
                desk.updated_at = now;
            }
            for device in &batch.added {
                let Some(pending) = desk.pending.remove(device) else { continue };
                desk.use_up(pending.hash);
                if !desk.known.insert(*device) {
                    let full = Allowance::new(REJOIN_BURST, REJOIN_INTERVAL, now);
                    desk.rejoined.entry(*device).or_insert(full).take(now);
                }
                let Some(mls) = written.welcome.clone() else { continue };
                let welcome = WelcomeFrame { to: *device, statement: signed.clone(), mls };
                if desk.welcomes.len() >= MAX_WELCOMES {
                    let oldest = desk.welcomes.iter().min_by_key(|(_, given)| given.at).map(|(device, _)| *device);
                    oldest.map(|oldest| desk.welcomes.remove(&oldest));
                }
                desk.welcomes.insert(*device, Given { key_package: pending.hash, frame: welcome.clone(), at: now });
                welcomes.push((welcome, pending.from));
            }
        }
        let added = batch.added;
        let to: Vec<DeviceId> =
            before.values().filter(|device| !added.contains(device) && !self.cut.contains(*device)).copied().collect();
        self.send_to(to, SessionFrame::Commit(frame));
        for (welcome, from) in welcomes {
            self.send_welcome(welcome, from);
        }
        self.enter_epoch(before, added, &written.statement, signed, now);
    }

    /// A member's new leaf key.
    pub(super) fn take_update(&mut self, from: DeviceId, update: UpdateFrame) -> Result<(), RefusalKind> {
        let me = self.me;
        let group = self.current.as_mut().filter(|group| group.id == update.session && group.writer == me);
        let group = group.ok_or(RefusalKind::UnknownSession)?;
        let leaf = group.leaf_of(&from).ok_or(RefusalKind::NotMember)?;
        let desk = group.desk.as_mut().filter(|desk| desk.is_collecting()).ok_or(RefusalKind::NotWriter)?;
        desk.updates.entry(leaf).or_insert(update.mls);
        Ok(())
    }

    /// The writer collects new leaf keys: here is this device's.
    pub(super) fn propose_update(&mut self, now: Duration) {
        let Some(group) = &mut self.current else { return };
        if group.update.is_some() || group.refreshed_at + UPDATE_INTERVAL / 2 > now {
            return;
        }
        let Ok((message, _)) = group.mls.propose_self_update(&group.provider, &self.signer, LeafNodeParameters::default()) else {
            return;
        };
        // A proposal in the store would keep every message back until the commit comes. It is put there again with the commit.
        let queued = group.mls.pending_proposals().last().cloned();
        let _ = group.mls.clear_pending_proposals(group.provider.storage());
        group.update = queued.map(Box::new);
        let Ok(mls) = message.to_bytes() else { return };
        let (session, writer) = (group.id, group.writer);
        self.send_to([writer], SessionFrame::Update(UpdateFrame { session, mls }));
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("an Update proposal is not valid")]
    Update,
    #[error("openmls refuses it: {0}")]
    Mls(String),
    #[error("it is too large")]
    TooLarge,
}

impl Group {
    /// Makes the next epoch and enters it: nobody else can make it.
    fn write(&mut self, batch: &Batch, acl_heads: Vec<OpHash>, signer: &MlsSigner) -> Result<Written, WriteError> {
        let mls_error = |error: &dyn core::fmt::Display| WriteError::Mls(error.to_string());
        for update in &batch.updates {
            let proposal = self.read_update(update).map_err(|_| WriteError::Update)?;
            self.mls.store_pending_proposal(self.provider.storage(), proposal).map_err(|error| mls_error(&error))?;
        }
        let pending = self.desk.as_ref().map(|desk| &desk.pending);
        let key_packages: Vec<KeyPackage> = batch
            .added
            .iter()
            .filter_map(|device| pending.and_then(|pending| pending.get(device)).map(|pending| pending.key_package.clone()))
            .collect();
        let bundle = self
            .mls
            .commit_builder()
            .propose_removals(batch.removed.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .propose_adds(key_packages)
            .force_self_update(batch.refresh)
            .load_psks(self.provider.storage())
            .map_err(|error| mls_error(&error))?
            .build(self.provider.rand(), self.provider.crypto(), signer, |_| true)
            .map_err(|error| mls_error(&error))?
            .stage_commit(&self.provider)
            .map_err(|error| mls_error(&error))?;
        let (commit, welcome, _) = bundle.into_messages();
        let commit = commit.to_bytes().map_err(|error| mls_error(&error))?;
        let welcome = welcome.map(|welcome| welcome.to_bytes()).transpose().map_err(|error| mls_error(&error))?;
        if commit.len() > MAX_COMMIT || welcome.as_ref().is_some_and(|welcome| welcome.len() > MAX_WELCOME) {
            return Err(WriteError::TooLarge);
        }
        self.mls.merge_pending_commit(&self.provider).map_err(|error| mls_error(&error))?;
        self.roster = read_roster(self.mls.members()).map_err(|_| WriteError::Update)?;
        let statement = Statement {
            writer: self.writer,
            random: self.random,
            epoch: self.epoch(),
            authenticator: authenticator(self.mls.epoch_authenticator().as_slice()),
            acl_heads,
            commit: Some(hash(&commit)),
            welcome: welcome.as_deref().map(hash),
        };
        Ok(Written { statement, commit, welcome })
    }
}
