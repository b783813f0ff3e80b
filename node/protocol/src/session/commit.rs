//! Following the writer: judging its commits, fetching those that are missing, and telling when it cannot be followed any more. A commit
//! is judged before any of it counts.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use openmls::prelude::*;
use zeroize::Zeroizing;

use crate::id::{DeviceId, SessionId};
use crate::session::group::{Group, MAX_WAITING, WaitingCommit, check_key_package, leaf_device, read_private, read_roster};
use crate::session::message::{Claim, CommitFrame, Evidence, Fetch, SessionFrame, Statement, authenticator, hash};
use crate::session::relay::refusal;
use crate::session::{
    ACCEPTED_AFTER_ADD, ACCEPTED_AFTER_REMOVAL, Acl, Epoch, FETCH_ACL_FOR, LOST_AFTER, MAX_ABANDONED, MEDIA_SWITCH,
    REJOIN_INTERVAL, RefusalKind, Session, SessionOutput, UNSERVED_AFTER,
};
use crate::wire::Signed;

/// Shortest time between two fetches.
const FETCH_AGAIN: Duration = Duration::from_millis(300);
/// How long a session is left alone whose writer starved someone, the first time.
pub(super) const ABANDONED_FOR: Duration = Duration::from_secs(10);
/// How long a session is left alone whose writer did what it must not, the first time.
pub(super) const DISTRUSTED_FOR: Duration = Duration::from_secs(60);
/// Most commits given to one fetch.
const MAX_FETCHED: usize = 8;
/// How long this device may be behind before it asks to be added anew.
const STUCK_AFTER: Duration = Duration::from_secs(4);
/// A request that was not repeated for so long is given up by who made it.
pub(super) const ASKED_LATELY: Duration = Duration::from_millis(3_500);
/// Epochs whose keys are kept: as many as a writer can make while the oldest is accepted, and some on a revocation.
const MAX_EPOCHS: usize = 24;

impl Session {
    pub(super) fn take_commit(
        &mut self,
        from: DeviceId,
        frame: CommitFrame,
        acl: &impl Acl,
        now: Duration,
    ) -> Result<(), RefusalKind> {
        let statement = Statement::open(&frame.statement, &self.room).map_err(refusal)?;
        let session = statement.session(&self.room);
        let group = self.current.as_mut().filter(|group| group.id == session).ok_or(RefusalKind::UnknownSession)?;
        if statement.commit != Some(hash(&frame.mls)) {
            return Err(RefusalKind::Contradiction);
        }
        let other = match group.waiting.get(&statement.epoch) {
            Some(waiting) => Some(waiting.frame.statement.clone()),
            None => group.statement_of(statement.epoch).map(|(signed, _)| signed.clone()),
        };
        if let Some(other) = other {
            let differs = Statement::open(&other, &self.room).is_ok_and(|other| other.authenticator != statement.authenticator);
            if differs {
                let claims = [other, frame.statement].map(|signed| Claim { presence: false, signed });
                self.exclude(Evidence { claims: claims.to_vec() }, acl, now);
                return Err(RefusalKind::Contradiction);
            }
            return Err(if statement.epoch <= group.epoch() { RefusalKind::OldEpoch } else { RefusalKind::Replayed });
        }
        if statement.epoch <= group.epoch() {
            return Err(RefusalKind::OldEpoch);
        }
        if statement.epoch > group.epoch() + MAX_WAITING as u64 {
            group.behind_since.get_or_insert(now);
            return Err(RefusalKind::QueueFull);
        }
        let gap = statement.epoch > group.epoch() + 1;
        group.waiting.insert(statement.epoch, WaitingCommit { frame, from, since: now });
        self.retry_waiting(acl, now);
        if gap {
            self.fetch_from(from, now);
        }
        Ok(())
    }

    pub(super) fn take_fetch(&mut self, from: DeviceId, fetch: Fetch) -> Result<(), RefusalKind> {
        if !self.rules.fetch {
            return Ok(());
        }
        let group = self.current.as_ref().filter(|group| group.id == fetch.session).ok_or(RefusalKind::UnknownSession)?;
        let wanted = group.commits.iter().filter(|(epoch, _)| *epoch >= fetch.epoch).take(MAX_FETCHED);
        let frames: Vec<CommitFrame> = wanted.map(|(_, frame)| frame.clone()).collect();
        for frame in frames {
            self.send_to([from], SessionFrame::Commit(frame));
        }
        Ok(())
    }

    /// A member is in a later epoch: it has the commits that are missing here.
    pub(super) fn fetch_from(&mut self, peer: DeviceId, now: Duration) {
        let Some(group) = &mut self.current else { return };
        group.behind_since.get_or_insert(now);
        if group.fetched_at.is_some_and(|at| at + FETCH_AGAIN > now) {
            return;
        }
        group.fetched_at = Some(now);
        let fetch = Fetch { session: group.id, epoch: group.epoch() + 1 };
        self.send_to([peer], SessionFrame::Fetch(fetch));
    }

    /// Applies the commits that follow the current epoch, as far as they can be judged.
    pub(super) fn retry_waiting(&mut self, acl: &impl Acl, now: Duration) {
        while let Some(group) = &mut self.current {
            let next = group.epoch() + 1;
            group.waiting = group.waiting.split_off(&next);
            let Some(waiting) = group.waiting.get(&next) else { break };
            let Ok(statement) = Statement::open(&waiting.frame.statement, &self.room) else { break };
            if !acl.knows(&statement.acl_heads) {
                let (from, late) = (waiting.from, waiting.since + FETCH_ACL_FOR <= now);
                if late {
                    group.waiting.remove(&next);
                    group.behind_since.get_or_insert(now);
                    self.refuse(RefusalKind::AclUnknown);
                } else {
                    self.fetch_acl(from, statement.acl_heads, now);
                }
                break;
            }
            let Some(waiting) = group.waiting.remove(&next) else { break };
            let refused = waiting.frame.statement.clone();
            if let Err(kind) = self.follow(waiting.frame, &statement, acl, now) {
                tracing::debug!(?kind, epoch = next, "a commit was refused");
                self.refuse(kind);
                match kind {
                    // What was received cannot be used here; another member may be able to.
                    RefusalKind::Undecryptable | RefusalKind::Malformed => {
                        if let Some(group) = &mut self.current {
                            group.behind_since = Some(now.saturating_sub(STUCK_AFTER));
                        }
                    }
                    _ => {
                        // Whoever was told something else of this epoch can prove that the writer lies.
                        self.show_all(refused);
                        self.abandon(statement.session(&self.room), DISTRUSTED_FOR, now);
                    }
                }
                break;
            }
        }
        self.wake_if_behind(now);
    }

    fn wake_if_behind(&mut self, now: Duration) {
        if self.current.as_ref().is_some_and(|group| group.behind_since.is_some_and(|since| since + STUCK_AFTER <= now)) {
            self.wake(now);
        }
    }

    /// Judges a commit whose heads are known, and enters its epoch.
    fn follow(&mut self, frame: CommitFrame, statement: &Statement, acl: &impl Acl, now: Duration) -> Result<(), RefusalKind> {
        let check = self.rules.acl_check;
        let Some(group) = &mut self.current else { return Ok(()) };
        if check && !acl.covers(&statement.acl_heads, &group.acl_heads) {
            return Err(RefusalKind::NotAdmitted);
        }
        let staged = group.stage(&frame)?;
        let removed: BTreeSet<u32> =
            staged.remove_proposals().map(|proposal| proposal.remove_proposal().removed().u32()).collect();
        let stays = group.roster.iter().filter(|(leaf, _)| !removed.contains(leaf)).map(|(_, device)| *device);
        let mut devices: Vec<DeviceId> = stays.collect();
        let mut added = Vec::new();
        for proposal in staged.add_proposals() {
            let key_package = proposal.add_proposal().key_package();
            let device = leaf_device(key_package.leaf_node())?;
            check_key_package(key_package, &device)?;
            if devices.contains(&device) {
                return Err(RefusalKind::TwoLeaves);
            }
            devices.push(device);
            added.push(device);
        }
        if check && !acl.are_members_at(&devices, &statement.acl_heads) {
            return Err(RefusalKind::NotAdmitted);
        }
        let before = group.roster.clone();
        if staged.self_removed() {
            let (session, epoch) = (group.id, group.epoch());
            tracing::debug!(%session, epoch, "removed from the session");
            self.step_out(now);
            return Ok(());
        }
        let own = staged.epoch_authenticator().map(|own| authenticator(own.as_slice()));
        if own != Some(statement.authenticator) {
            return Err(RefusalKind::Contradiction);
        }
        let refreshed = staged
            .update_proposals()
            .any(|update| matches!(update.sender(), Sender::Member(leaf) if *leaf == group.mls.own_leaf_index()));
        group.mls.merge_staged_commit(&group.provider, staged).map_err(|_| RefusalKind::Undecryptable)?;
        group.roster = read_roster(group.mls.members())?;
        if refreshed {
            group.refreshed_at = now;
        }
        group.remember_commit(statement.epoch, frame.clone());
        self.enter_epoch(before, added, statement, frame.statement, now);
        self.take_early(acl, now);
        self.flush(acl, now);
        Ok(())
    }

    /// After the group has moved to another epoch: keys, and what hangs off the roster.
    pub(super) fn enter_epoch(
        &mut self,
        before: BTreeMap<u32, DeviceId>,
        added: Vec<DeviceId>,
        statement: &Statement,
        signed: Signed,
        now: Duration,
    ) {
        let Some(group) = &mut self.current else { return };
        group.authenticator = statement.authenticator;
        group.acl_heads.clone_from(&statement.acl_heads);
        group.remember_statement(statement.epoch, signed, statement.authenticator);
        group.update = None;
        group.behind_since = None;
        let left: Vec<DeviceId> = before.values().filter(|device| !group.has(device)).copied().collect();
        for device in &added {
            group.added.insert(*device, now);
            group.alive.insert(*device, now);
            group.left.remove(device);
            group.owed.remove(device);
        }
        for device in &left {
            group.alive.remove(device);
            group.left.remove(device);
        }
        group.added.retain(|_, at| *at + REJOIN_INTERVAL + UNSERVED_AFTER > now);
        let removal = !left.is_empty();
        let accepted = if removal { ACCEPTED_AFTER_REMOVAL } else { ACCEPTED_AFTER_ADD };
        let until = now + accepted;
        group.forget_at = Some(group.forget_at.filter(|_| removal).map_or(until, |at| at.min(until)));
        self.hold_epoch(if removal { now } else { now + MEDIA_SWITCH }, until, added, left);
        self.speak_soon(now);
        self.wake(until);
    }

    /// The keys of the current epoch; those before are accepted until then.
    pub(super) fn hold_epoch(&mut self, send_from: Duration, until: Duration, joined: Vec<DeviceId>, left: Vec<DeviceId>) {
        let Some(group) = &self.current else { return };
        let epoch = Epoch {
            session: group.id,
            epoch: group.epoch(),
            writer: group.writer,
            roster: group.roster.clone(),
            authenticator: Zeroizing::new(group.mls.epoch_authenticator().as_slice().to_vec()),
            exports: self.exports.iter().filter_map(|export| group.export(export)).collect(),
            send_from,
            accept_until: None,
        };
        let (session, number) = (epoch.session, epoch.epoch);
        for before in &mut self.epochs {
            let of_removal = !left.is_empty() && before.session == session;
            before.accept_until = Some(match before.accept_until {
                Some(at) if of_removal => at.min(until),
                Some(at) => at,
                None => until,
            });
        }
        self.epochs.push(epoch);
        self.push(SessionOutput::EpochChanged { session, epoch: number, joined, left });
        while self.epochs.len() > MAX_EPOCHS {
            let over = self.epochs.remove(0);
            self.push(SessionOutput::EpochOver { session: over.session, epoch: over.epoch });
        }
    }

    /// What is over by now.
    pub(super) fn expire(&mut self, now: Duration) {
        let (over, held) =
            core::mem::take(&mut self.epochs).into_iter().partition(|epoch| epoch.accept_until.is_some_and(|until| until <= now));
        self.epochs = held;
        let over: Vec<Epoch> = over;
        for epoch in over {
            self.push(SessionOutput::EpochOver { session: epoch.session, epoch: epoch.epoch });
        }
        if let Some(at) = self.epochs.iter().filter_map(|epoch| epoch.accept_until).min() {
            self.wake(at);
        }
        self.retired.take_if(|join| !join.may_be_served(now));
        if self.previous.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.previous = None;
        }
        for group in self.current.iter_mut().chain(self.previous.iter_mut().map(|(group, _)| group)) {
            if group.forget_at.is_some_and(|at| at <= now) {
                group.forget_past();
            }
            group.early.retain(|early| early.since + LOST_AFTER > now);
        }
    }

    /// Watches the writer; leaves it where it starves someone.
    pub(super) fn look_after_group(&mut self, acl: &impl Acl, now: Duration) {
        let Some(group) = &mut self.current else { return };
        group.owed.retain(|device, (_, last)| *last + ASKED_LATELY > now && acl.is_member(device));
        let left_alone = self.abandoned.get(&group.id).is_some_and(|(until, _)| *until > now);
        let full = group.roster.len() >= super::message::MAX_ROSTER;
        let starved = group.owed.iter().find(|(device, (since, _))| {
            // Who was added before this device came may have been added just then.
            let served = group.added.get(*device).copied().unwrap_or(group.entered_at);
            (*since).max(served + REJOIN_INTERVAL) + UNSERVED_AFTER <= now
        });
        if let Some((device, _)) = starved.filter(|_| !full && group.writer != self.me && !left_alone) {
            tracing::info!(writer = %group.writer, %device, "the writer leaves a member unserved");
            let session = group.id;
            return self.abandon(session, ABANDONED_FOR, now);
        }
        // A revocation that the writer does not carry out keeps everyone who knows it from sending.
        let tainted = group.roster.values().any(|device| !acl.is_member(device) || self.revoked.contains(device));
        group.tainted_since = group.tainted_since.filter(|_| tainted).or(tainted.then_some(now));
        let ignored = group.tainted_since.is_some_and(|since| since + UNSERVED_AFTER <= now);
        if ignored && group.writer != self.me && !left_alone {
            tracing::info!(writer = %group.writer, "the writer leaves a revocation unserved");
            let session = group.id;
            return self.abandon(session, ABANDONED_FOR, now);
        }
        let Some(since) = group.behind_since else { return };
        let (session, epoch) = (group.id, group.epoch());
        let ahead = self.voices.all(now).filter(|(_, heard)| heard.session == session && heard.epoch > epoch);
        let ahead: Vec<DeviceId> = ahead.map(|(device, _)| device).filter(|device| self.connected.contains(device)).collect();
        if ahead.is_empty() && since + LOST_AFTER <= now {
            if let Some(group) = &mut self.current {
                group.behind_since = None;
            }
        } else if let Some(peer) = ahead.get((now.as_millis() as usize / 250) % ahead.len().max(1)) {
            self.fetch_from(*peer, now);
        }
    }

    /// The session goes on without this device: a new leaf is needed.
    pub(super) fn is_stuck(&self, group: &Group, now: Duration) -> bool {
        group.writer != self.me && group.behind_since.is_some_and(|since| since + STUCK_AFTER <= now)
    }

    /// The writer does not lead this session any more, or must not.
    pub(super) fn is_lost(&self, group: &Group, acl: &impl Acl, now: Duration) -> bool {
        let distrusted = self.excluded.contains_key(&group.writer) || self.is_abandoned(&group.id, now);
        if group.writer == self.me {
            return distrusted;
        }
        distrusted
            || !acl.is_member(&group.writer)
            || self.revoked.contains(&group.writer)
            || group.left.contains_key(&group.writer)
            || group.alive.get(&group.writer).is_none_or(|at| *at + LOST_AFTER <= now)
    }

    /// This session is not joined or stayed in for a while, each time for twice as long: those who have no cause to leave it may be right,
    /// and would otherwise be kept apart for ever.
    pub(super) fn abandon(&mut self, session: SessionId, first: Duration, now: Duration) {
        if self.abandoned.len() >= MAX_ABANDONED && !self.abandoned.contains_key(&session) {
            let oldest = self.abandoned.iter().min_by_key(|(_, (until, _))| *until).map(|(session, _)| *session);
            oldest.map(|oldest| self.abandoned.remove(&oldest));
        }
        let (until, next) = self.abandoned.entry(session).or_insert((now, first));
        if *until <= now {
            *until = now + *next;
            *next = next.saturating_mul(2);
        }
        self.join.take_if(|join| join.session == session);
        self.retired.take_if(|join| join.session == session);
        self.wake(now);
    }

    pub(super) fn is_abandoned(&self, session: &SessionId, now: Duration) -> bool {
        self.abandoned.get(session).is_some_and(|(until, _)| *until > now)
    }

    /// Out of the session, which others go on with. What was sent before can still be read for a while.
    fn step_out(&mut self, now: Duration) {
        if let Some(mut group) = self.current.take() {
            group.desk = None;
            self.previous = Some((group, now + ACCEPTED_AFTER_REMOVAL));
            for epoch in &mut self.epochs {
                epoch.accept_until.get_or_insert(now + ACCEPTED_AFTER_REMOVAL);
            }
            self.push(SessionOutput::Ended);
        }
        self.wake(now);
    }
}

impl Group {
    /// Decrypts and verifies a commit, and checks what does not hang off the ACL log: who made it, and what it may hold. Nothing of it
    /// counts before it is merged.
    fn stage(&mut self, frame: &CommitFrame) -> Result<StagedCommit, RefusalKind> {
        let result = self.stage_with_updates(frame);
        if result.is_err() {
            // The store of this provider cannot fail.
            let _ = self.mls.clear_pending_proposals(openmls_traits::OpenMlsProvider::storage(&self.provider));
        }
        result
    }

    fn stage_with_updates(&mut self, frame: &CommitFrame) -> Result<StagedCommit, RefusalKind> {
        for update in &frame.updates {
            let proposal = self.read_update(update)?;
            let storage = openmls_traits::OpenMlsProvider::storage(&self.provider);
            self.mls.store_pending_proposal(storage, proposal).map_err(|_| RefusalKind::Undecryptable)?;
        }
        let message = read_private(&frame.mls)?;
        if message.content_type() != ContentType::Commit || message.group_id().as_slice() != self.id.as_bytes() {
            return Err(RefusalKind::ForbiddenProposal);
        }
        let processed = self.mls.process_message(&self.provider, message).map_err(|error| {
            tracing::debug!(%error, "a commit cannot be processed");
            RefusalKind::Undecryptable
        })?;
        let Sender::Member(sender) = *processed.sender() else { return Err(RefusalKind::ExternalCommit) };
        if self.roster.get(&sender.u32()) != Some(&self.writer) {
            return Err(RefusalKind::NotWriter);
        }
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(RefusalKind::Undecryptable);
        };
        for proposal in staged.queued_proposals() {
            match (proposal.proposal(), proposal.sender()) {
                (Proposal::Add(_) | Proposal::Remove(_), Sender::Member(by)) if *by == sender => {}
                (Proposal::Update(update), Sender::Member(by)) => {
                    if Some(&leaf_device(update.leaf_node())?) != self.roster.get(&by.u32()) {
                        return Err(RefusalKind::ForeignLeaf);
                    }
                }
                _ => return Err(RefusalKind::ForbiddenProposal),
            }
        }
        if let Some(leaf) = staged.update_path_leaf_node()
            && leaf_device(leaf)? != self.writer
        {
            return Err(RefusalKind::ForeignLeaf);
        }
        if staged.group_context().extensions().iter().next().is_some() {
            return Err(RefusalKind::Extensions);
        }
        Ok(*staged)
    }

    /// An Update proposal of a member, or the one that this device made for this epoch.
    pub(super) fn read_update(&mut self, bytes: &[u8]) -> Result<QueuedProposal, RefusalKind> {
        let message = read_private(bytes)?;
        if message.content_type() != ContentType::Proposal || message.group_id().as_slice() != self.id.as_bytes() {
            return Err(RefusalKind::ForbiddenProposal);
        }
        let processed = self.mls.process_message(&self.provider, message).map_err(|_| RefusalKind::Undecryptable)?;
        match processed.into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => match (proposal.proposal(), proposal.sender()) {
                (Proposal::Update(update), Sender::Member(by)) => {
                    if Some(&leaf_device(update.leaf_node())?) == self.roster.get(&by.u32()) {
                        Ok(*proposal)
                    } else {
                        Err(RefusalKind::ForeignLeaf)
                    }
                }
                _ => Err(RefusalKind::ForbiddenProposal),
            },
            ProcessedMessageContent::OwnPrivateMessage => {
                self.update.take().map(|update| *update).ok_or(RefusalKind::Undecryptable)
            }
            _ => Err(RefusalKind::ForbiddenProposal),
        }
    }
}
