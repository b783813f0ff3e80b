//! Coming into a session: which one, asking for it, and judging what comes. A Welcome is judged like a commit that adds everyone.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::VecDeque;

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::*;

use crate::id::{DeviceId, SessionId};
use crate::session::beacon::Candidate;
use crate::session::commit::{ABANDONED_FOR, DISTRUSTED_FOR};
use crate::session::group::{EarlyApp, Group, join_config, key_package, read_roster};
use crate::session::message::{JoinReq, SessionFrame, SignedJoinReq, Statement, WelcomeFrame, authenticator, hash};
use crate::session::provider::Provider;
use crate::session::relay::refusal;
use crate::session::{
    ACCEPTED_AFTER_ADD, Acl, CREATE_AFTER, FETCH_ACL_FOR, MEDIA_SWITCH, REJOIN_INTERVAL, RefusalKind, Session, UNSERVED_AFTER,
};

/// Time between two tellings of one request.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long this device waits for its own Welcome: it does not know whether the writer may serve it before.
const PATIENCE: Duration = Duration::from_secs(REJOIN_INTERVAL.as_secs() + UNSERVED_AFTER.as_secs());
/// How many members a request goes to first, where the writer is out of reach.
const FAN_OUT: usize = 3;
/// What a counter grows by after a request that nobody answered: this device's clock may be behind what it was at an earlier start.
const COUNTER_LEAP: u64 = 1 << 35;

/// A session that is asked for.
pub(crate) struct Join {
    pub(crate) session: SessionId,
    writer: DeviceId,
    provider: Provider,
    req: SignedJoinReq,
    /// Of its KeyPackage.
    reference: KeyPackageRef,
    started: Duration,
    asked: Duration,
    times: u32,
    /// Messages of the session that came before its Welcome.
    pub(crate) early: VecDeque<EarlyApp>,
    /// A Welcome whose ACL heads are not known yet.
    waiting: Option<(DeviceId, WelcomeFrame, Duration)>,
}

impl Join {
    /// A request that was told so long ago may still be with the writer.
    pub(crate) fn may_be_served(&self, now: Duration) -> bool {
        self.asked + PATIENCE > now
    }

    fn is_for(&self, session: &SessionId, references: &[KeyPackageRef]) -> bool {
        self.session == *session && references.contains(&self.reference)
    }
}

impl Session {
    /// Finds out whether this device is where it should be, and asks to be let in elsewhere if not.
    pub(super) fn look_for_session(&mut self, acl: &impl Acl, now: Duration) {
        self.retry_welcome(acl, now);
        match self.best_session(acl, now) {
            Some(best) => {
                self.alone_since = None;
                self.ask(best, now);
            }
            None => {
                // A Welcome that waits for the ACL log has taken the place of the leaf that this device had.
                if self.join.as_ref().is_some_and(|join| join.waiting.is_none()) {
                    self.retired = self.join.take();
                }
                if self.current.as_ref().is_some_and(|group| !self.is_lost(group, acl, now)) {
                    self.alone_since = None;
                    return;
                }
                let since = *self.alone_since.get_or_insert(now);
                let mine = acl.rank(&self.me);
                let is_senior = |peer: &&DeviceId| {
                    acl.is_member(peer)
                        && !self.excluded.contains_key(*peer)
                        && acl.rank(peer).is_some_and(|rank| Some(rank) < mine)
                };
                let seniors = u32::try_from(self.connected.iter().filter(is_senior).count()).unwrap_or(u32::MAX);
                let wait = CREATE_AFTER + CREATE_AFTER.saturating_mul(seniors);
                let at = if acl.is_only_member() { since } else { since + wait };
                if at <= now && !self.excluded.contains_key(&self.me) {
                    self.alone_since = None;
                    self.create_session(acl, now);
                }
            }
        }
    }

    /// The session to ask for, if this device is not in it already.
    fn best_session(&self, acl: &impl Acl, now: Duration) -> Option<Candidate> {
        let order = |candidate: &Candidate| (candidate.size > 1, Reverse(acl.rank(&candidate.writer).unwrap_or(usize::MAX)));
        let current = self.current.as_ref().filter(|group| !self.is_lost(group, acl, now));
        let stuck = current.is_some_and(|group| self.is_stuck(group, now));
        let is_joinable = |candidate: &Candidate| {
            candidate.writer != self.me
                && acl.is_member(&candidate.writer)
                && !self.revoked.contains(&candidate.writer)
                && !self.excluded.contains_key(&candidate.writer)
                && !self.is_abandoned(&candidate.session, now)
        };
        let mut candidates = self.voices.candidates(now);
        candidates.retain(is_joinable);
        let best = candidates.into_iter().max_by_key(order);
        let Some(group) = current else { return best };
        let own = Candidate { session: group.id, writer: group.writer, size: group.size() };
        match best {
            Some(best) if best.session != own.session && order(&best) > order(&own) => Some(best),
            _ if stuck => Some(own),
            _ => None,
        }
    }

    fn ask(&mut self, candidate: Candidate, now: Duration) {
        if let Some(join) = &mut self.join
            && join.session == candidate.session
        {
            if join.started + PATIENCE <= now {
                self.join_counter = self.join_counter.saturating_add(COUNTER_LEAP);
                return self.abandon(candidate.session, ABANDONED_FOR, now);
            }
            if join.asked + ASK_AGAIN <= now {
                join.asked = now;
                join.times += 1;
                let everywhere = join.times > 1;
                let (req, writer, session) = (join.req.clone(), join.writer, join.session);
                self.tell_join(req, writer, session, everywhere, now);
            }
            return;
        }
        let provider = self.provider();
        let Some((key_package, reference)) = key_package(&provider, &self.signer) else {
            tracing::error!("no KeyPackage can be made");
            return;
        };
        self.join_counter = self.join_counter.saturating_add(1);
        let (session, writer) = (candidate.session, candidate.writer);
        let req = JoinReq { device: self.me, session, counter: self.join_counter, key_package };
        let req = req.sign(&self.signer.0, &self.room);
        self.join = Some(Join {
            session,
            writer,
            provider,
            req: req.clone(),
            reference,
            started: now,
            asked: now,
            times: 1,
            early: VecDeque::new(),
            waiting: None,
        });
        tracing::debug!(%session, %writer, "asking to be added");
        self.tell_join(req, writer, session, false, now);
    }

    /// Tells the writer; where it is out of reach, or does not answer, the members, who are to see that it was asked.
    fn tell_join(&mut self, req: SignedJoinReq, writer: DeviceId, session: SessionId, everywhere: bool, now: Duration) {
        let reach = self.connected.contains(&writer);
        let members = self.voices.all(now).filter(|(device, heard)| heard.session == session && *device != writer);
        let members = members.map(|(device, _)| device).filter(|device| self.connected.contains(device));
        let limit = match (everywhere, reach) {
            (true, _) => usize::MAX,
            (false, true) => 0,
            (false, false) => FAN_OUT,
        };
        let to: Vec<DeviceId> = members.take(limit).chain([writer]).collect();
        self.send_to(to, SessionFrame::JoinReq(req));
    }

    pub(super) fn take_welcome(
        &mut self,
        from: DeviceId,
        welcome: WelcomeFrame,
        acl: &impl Acl,
        now: Duration,
    ) -> Result<(), RefusalKind> {
        if welcome.to != self.me {
            return self.pass_back(from, welcome);
        }
        let statement = Statement::open(&welcome.statement, &self.room).map_err(refusal)?;
        let session = statement.session(&self.room);
        if statement.welcome != Some(hash(&welcome.mls)) {
            return Err(RefusalKind::Contradiction);
        }
        self.recall(&session, &welcome.mls)?;
        let join = self.join.as_mut().filter(|join| join.session == session).ok_or(RefusalKind::WelcomeNotForMe)?;
        if !acl.knows(&statement.acl_heads) {
            join.waiting = Some((from, welcome, now));
            self.fetch_acl(from, statement.acl_heads, now);
            return Ok(());
        }
        self.enter(welcome, &statement, acl, now)
    }

    /// Finds the request that a Welcome answers: the last one, or one that was given up where this device is still in that session
    /// or in none. Nobody else can have its KeyPackage, and the writer has removed the leaf that was here before.
    fn recall(&mut self, session: &SessionId, mls: &[u8]) -> Result<(), RefusalKind> {
        let references = addressees(mls)?;
        if self.join.as_ref().is_some_and(|join| join.is_for(session, &references)) {
            return Ok(());
        }
        let elsewhere = self.current.as_ref().is_some_and(|group| group.id != *session)
            || self.join.as_ref().is_some_and(|join| join.session != *session);
        if elsewhere || !self.retired.as_ref().is_some_and(|join| join.is_for(session, &references)) {
            return Err(RefusalKind::WelcomeNotForMe);
        }
        core::mem::swap(&mut self.join, &mut self.retired);
        Ok(())
    }

    fn retry_welcome(&mut self, acl: &impl Acl, now: Duration) {
        let Some(join) = &mut self.join else { return };
        let Some((from, welcome, since)) = &join.waiting else { return };
        let (from, since) = (*from, *since);
        let Ok(statement) = Statement::open(&welcome.statement, &self.room) else { return };
        if acl.knows(&statement.acl_heads) {
            let Some((_, welcome, _)) = join.waiting.take() else { return };
            if let Err(kind) = self.enter(welcome, &statement, acl, now) {
                self.refuse(kind);
            }
        } else if since + FETCH_ACL_FOR <= now {
            self.join = None;
            self.refuse(RefusalKind::AclUnknown);
        } else {
            self.fetch_acl(from, statement.acl_heads, now);
        }
    }

    /// Judges a Welcome whose heads are known, and changes over.
    fn enter(&mut self, welcome: WelcomeFrame, statement: &Statement, acl: &impl Acl, now: Duration) -> Result<(), RefusalKind> {
        // The KeyPackage is used up whatever comes of it.
        let Some(join) = self.join.take() else { return Err(RefusalKind::WelcomeNotForMe) };
        let session = join.session;
        let early = join.early;
        let told = welcome.statement.clone();
        let members = |devices: &[DeviceId]| !self.rules.acl_check || acl.are_members_at(devices, &statement.acl_heads);
        match open_welcome(&welcome.mls, join.provider, statement, session, self.me, members, now) {
            Ok(mut group) => {
                group.remember_statement(statement.epoch, welcome.statement, statement.authenticator);
                group.early = early;
                tracing::debug!(%session, epoch = statement.epoch, size = group.size(), "added to a session");
                self.install(group, now);
                self.take_early(acl, now);
                self.flush(acl, now);
                Ok(())
            }
            Err(RefusalKind::WelcomeNotForMe) => Err(RefusalKind::WelcomeNotForMe),
            Err(kind) => {
                self.show_all(told);
                self.abandon(session, DISTRUSTED_FOR, now);
                Err(kind)
            }
        }
    }

    /// Changes over to another session. The one before is read for a while.
    pub(super) fn install(&mut self, group: Group, now: Duration) {
        let until = now + ACCEPTED_AFTER_ADD;
        let joined: Vec<DeviceId> = group.roster.values().filter(|device| **device != self.me).copied().collect();
        let left =
            self.current.as_ref().map(|before| before.roster.values().filter(|device| !group.has(device)).copied().collect());
        let (mut joined, left): (Vec<DeviceId>, Vec<DeviceId>) = (joined, left.unwrap_or_default());
        if let Some(before) = &self.current {
            joined.retain(|device| !before.has(device));
        }
        if let Some(mut before) = self.current.replace(group) {
            before.desk = None;
            self.previous = Some((before, until));
        }
        self.hold_epoch(now + MEDIA_SWITCH, until, joined, left);
        self.relayed = super::relay::Relayed::default();
        self.speak_soon(now);
    }
}

/// The KeyPackages that a Welcome is for.
fn addressees(bytes: &[u8]) -> Result<Vec<KeyPackageRef>, RefusalKind> {
    let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| RefusalKind::Malformed)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(RefusalKind::Malformed) };
    Ok(welcome.secrets().iter().map(EncryptedGroupSecrets::new_member).collect())
}

/// Opens a Welcome and judges what it leads to. `members`: each of these belongs to the room as the statement's heads tell it.
fn open_welcome(
    bytes: &[u8],
    provider: Provider,
    statement: &Statement,
    session: SessionId,
    me: DeviceId,
    members: impl FnOnce(&[DeviceId]) -> bool,
    now: Duration,
) -> Result<Group, RefusalKind> {
    let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| RefusalKind::Malformed)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(RefusalKind::Malformed) };
    let builder = StagedWelcome::build_from_welcome(&provider, &join_config(), welcome).map_err(|error| {
        tracing::debug!(%error, "a Welcome cannot be opened");
        RefusalKind::WelcomeNotForMe
    })?;
    if !builder.processed_welcome().psks().is_empty() {
        return Err(RefusalKind::ForbiddenProposal);
    }
    // A time in a leaf says nothing here: see the lifetime of a KeyPackage.
    let staged = builder.skip_lifetime_validation().build().map_err(|error| {
        tracing::debug!(%error, "a Welcome is not valid");
        RefusalKind::Undecryptable
    })?;
    let context = staged.group_context();
    if context.extensions().iter().next().is_some() {
        return Err(RefusalKind::Extensions);
    }
    if context.group_id().as_slice() != session.as_bytes() || context.epoch().as_u64() != statement.epoch {
        return Err(RefusalKind::Contradiction);
    }
    let roster = read_roster(staged.members())?;
    // Whoever creates a group is leaf 0, and the writer is the only one who signs Welcomes.
    if roster.get(&0) != Some(&statement.writer) || staged.welcome_sender_index().u32() != 0 {
        return Err(RefusalKind::NotWriter);
    }
    if roster.get(&staged.own_leaf_index().u32()) != Some(&me) {
        return Err(RefusalKind::WelcomeNotForMe);
    }
    let devices: Vec<DeviceId> = roster.values().copied().collect();
    if !members(&devices) {
        return Err(RefusalKind::NotAdmitted);
    }
    let mls = staged.into_group(&provider).map_err(|_| RefusalKind::Undecryptable)?;
    if authenticator(mls.epoch_authenticator().as_slice()) != statement.authenticator {
        return Err(RefusalKind::Contradiction);
    }
    let mut group = Group::new(mls, provider, statement, session, roster, now);
    group.added.insert(me, now);
    Ok(group)
}
