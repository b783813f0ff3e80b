//! The presence session of a room: the members who are here now, as one MLS group (RFC 9420) in RAM that one of them, the *writer*,
//! alone changes. It must never encrypt anything to an epoch whose roster holds a device known to be revoked, never be moved by what
//! somebody else tells again, and never keep a ratchet beyond its process.
//!
//! Every fork, crash, lost commit or partition is a late join: whoever cannot go on asks a writer to be added.
//!
//! # The machine
//!
//! One [`Session`] a room, from its opening to its closing. The caller
//!
//! - gives it the discovery secrets ([`Session::set_secrets`]), the members whose live stream stands
//!   ([`Session::handle_connected`], [`Session::handle_disconnected`]), their frames ([`Session::handle_frame`]; the stream has proved
//!   who sends), every change of the ACL log ([`Session::handle_acl_changed`], [`Session::handle_revoked`]), and the time
//!   ([`Session::handle_timeout`] when [`Session::poll_timeout`] says so);
//! - sends with [`Session::send`];
//! - carries out what [`Session::poll_output`] gives, after every call until `None`;
//! - takes keys for media from [`Session::epochs`].
//!
//! The room's own [`Acl`] is an argument, because it is the caller's: `&room`.
//!
//! # The rules
//!
//! 1. No session heard: create one after 2 s + 2 s for each senior peer that is connected.
//! 2. Session heard: JoinReq to the best live writer. The most senior writer is the best, but a session of one never attracts a larger.
//! 3. The writer commits at most once a second, at once on a revocation: adds, removals (revoked; 2 s after a leave; 5 s silent; a
//!    rejoiner's old leaf), updates. Three rejoins a device at once, then one in 10 s. Commits are kept for `Fetch`.
//! 4. A member judges a commit, and a joiner the whole roster, under the ACL heads it names, fetching what it lacks for up to 2 s.
//! 5. Writer lost, revoked or contradicted, or stuck behind: joining; the old session is kept until the Welcome comes. Who catches up
//!    meanwhile keeps the keys of its request: the writer may have served it. A writer that came back without its session says that it
//!    left it, so that nobody waits for its silence.
//! 6. Nothing is encrypted while the roster holds a device that does not belong to the room. Payloads wait for the next epoch.
//! 7. Every 15 minutes the writer collects new leaf keys from all and commits them at once.
//! 8. JoinReqs are passed on to the writer; revocations travel with the ACL heads of every presence. A writer that leaves one of them
//!    unserved for 5 s is left by all who know, for that session. Two authenticators signed for one epoch are a proof, travel, and end
//!    the trust in that writer.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use openmls_rust_crypto::RustCrypto;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::allowance::Allowance;
use crate::id::{DeviceId, RoomId, SessionId};
use crate::session::beacon::Voices;
use crate::session::gate::Unsent;
use crate::session::group::Group;
use crate::session::join::Join;
use crate::session::message::{Evidence, SessionFrame};
use crate::session::provider::{MlsSigner, Provider, Seed};

mod acl;
pub(crate) mod beacon;
mod commit;
mod desk;
mod evidence;
mod gate;
mod group;
mod join;
pub mod message;
mod output;
mod presence;
mod provider;
mod relay;

pub use acl::Acl;
pub use beacon::{open_presence, seal_presence};
pub use output::{Epoch, Export, Phase, RefusalKind, Rules, SendError, Sent, SessionConfig, SessionOutput};

/// Time between two presences.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Silence after which a member, or the writer, is taken to be lost.
pub const LOST_AFTER: Duration = Duration::from_secs(5);
/// How long a member that said it goes stays in the roster, in case it comes back.
pub const LEAVE_AFTER: Duration = Duration::from_secs(2);
/// Shortest time between two commits that are not about a revocation.
pub const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a device may be added anew to one session at once: who is killed and started, and again, does not wait.
pub const REJOIN_BURST: u32 = 3;
/// After those, the time between two additions of one device to one session.
pub const REJOIN_INTERVAL: Duration = Duration::from_secs(10);
/// How long a writer may leave a JoinReq unserved.
pub const UNSERVED_AFTER: Duration = Duration::from_secs(5);
/// How long what is missing of the ACL log is waited for.
pub const FETCH_ACL_FOR: Duration = Duration::from_secs(2);
/// Age at which leaf keys are replaced.
pub const UPDATE_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How long the epoch before is accepted where the new one only added someone.
pub const ACCEPTED_AFTER_ADD: Duration = Duration::from_secs(10);
/// How long the epoch before is accepted where the new one removed someone.
pub const ACCEPTED_AFTER_REMOVAL: Duration = Duration::from_millis(500);
/// How long after an add media go on under the epoch before, so that everyone has the new one.
pub const MEDIA_SWITCH: Duration = Duration::from_millis(500);
/// Before a session is created: for oneself, and for each senior peer that is connected.
pub const CREATE_AFTER: Duration = Duration::from_secs(2);
/// The exporter label of the keys of media (RFC 9605, 5.2).
pub const SFRAME_LABEL: &str = "SFrame 1.0 Base Key";

/// Time between two looks at the clock.
const TICK: Duration = Duration::from_millis(250);
/// Shortest time between two, when something is to be done.
const MIN_TICK: Duration = Duration::from_millis(20);
/// Most peers whose stream is counted as standing; more are served without a look at their floods.
const MAX_PEERS: usize = 1_024;
/// Sessions that this device will not join for a while.
const MAX_ABANDONED: usize = 64;
/// Writers that were proved to lie.
const MAX_EXCLUDED: usize = 64;
/// Frames that wait to be sent. The caller takes them after every call, so this is only for one that does not.
const MAX_OUTPUTS: usize = 65_536;

/// The session of one room, as one member takes part in it.
pub struct Session {
    room: RoomId,
    signer: MlsSigner,
    me: DeviceId,
    exports: Vec<Export>,
    rules: Rules,
    crypto: Arc<RustCrypto>,
    seed: Seed,
    secrets: Vec<Zeroizing<[u8; 32]>>,
    /// Members whose live stream stands.
    connected: BTreeSet<DeviceId>,
    voices: Voices,
    current: Option<Group>,
    /// The session that was left, and until when its messages are read. While the new one has no other member it is still sent to.
    previous: Option<(Group, Duration)>,
    join: Option<Join>,
    /// A request that is not waited for any more. The writer may serve it all the same, in place of the leaf of this device.
    retired: Option<Join>,
    /// Since when no live session is heard.
    alone_since: Option<Duration>,
    /// Known to be revoked before the ACL log says so.
    revoked: BTreeSet<DeviceId>,
    /// Told to be cut off.
    cut: BTreeSet<DeviceId>,
    /// Until when they are left alone, and for how long the next time. At most [`MAX_ABANDONED`].
    abandoned: BTreeMap<SessionId, (Duration, Duration)>,
    /// At most [`MAX_EXCLUDED`].
    excluded: BTreeMap<DeviceId, Evidence>,
    /// The last is the current one.
    epochs: Vec<Epoch>,
    unsent: Unsent,
    counter: u64,
    join_counter: u64,
    said_at: Option<Duration>,
    said: Option<(SessionId, u64)>,
    fetched_acl: BTreeMap<DeviceId, Duration>,
    shown: BTreeMap<DeviceId, (SessionId, u64, Duration)>,
    relayed: relay::Relayed,
    floods: BTreeMap<(DeviceId, u8), Allowance>,
    refusals: BTreeMap<RefusalKind, u64>,
    ticked_at: Option<Duration>,
    /// Something is to be done before the next tick.
    wake_at: Option<Duration>,
    outputs: VecDeque<SessionOutput>,
}

impl Session {
    /// In no session. `now_ms`, UTC, only makes the counters of this start greater than those of the one before.
    pub fn new(config: SessionConfig, now: Duration, now_ms: u64, rng: &mut impl CryptoRng) -> Self {
        let me = config.device.id();
        Self {
            room: config.room,
            signer: MlsSigner(config.device),
            me,
            exports: config.exports,
            rules: Rules::default(),
            crypto: Arc::new(RustCrypto::default()),
            seed: Seed::new(rng),
            secrets: Vec::new(),
            connected: BTreeSet::new(),
            voices: Voices::default(),
            current: None,
            previous: None,
            join: None,
            retired: None,
            alone_since: Some(now),
            revoked: BTreeSet::new(),
            cut: BTreeSet::new(),
            abandoned: BTreeMap::new(),
            excluded: BTreeMap::new(),
            epochs: Vec::new(),
            unsent: Unsent::default(),
            counter: 0,
            join_counter: now_ms,
            said_at: None,
            said: None,
            fetched_acl: BTreeMap::new(),
            shown: BTreeMap::new(),
            relayed: relay::Relayed::default(),
            floods: BTreeMap::new(),
            refusals: BTreeMap::new(),
            ticked_at: None,
            wake_at: None,
            outputs: VecDeque::new(),
        }
    }

    #[doc(hidden)]
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The room's discovery secrets, newest last: the last seals, all open.
    pub fn set_secrets(&mut self, secrets: &[Zeroizing<[u8; 32]>]) {
        self.secrets = secrets.to_vec();
    }

    /// A live stream to a member stands.
    pub fn handle_connected(&mut self, peer: DeviceId, now: Duration) {
        if peer == self.me || self.connected.len() >= MAX_PEERS {
            return;
        }
        if self.connected.insert(peer) {
            let proofs: Vec<Evidence> = self.excluded.values().cloned().collect();
            for proof in proofs {
                self.send_to([peer], SessionFrame::Evidence(proof));
            }
            self.speak_soon(now);
        }
    }

    /// The live stream to a member is gone.
    pub fn handle_disconnected(&mut self, peer: &DeviceId) {
        self.connected.remove(peer);
        self.voices.interrupt(peer);
        self.floods.retain(|(other, _), _| other != peer);
        self.shown.remove(peer);
        self.fetched_acl.remove(peer);
    }

    /// A frame of a member, over the stream that proved who it is.
    pub fn handle_frame(&mut self, from: DeviceId, frame: SessionFrame, acl: &impl Acl, now: Duration) {
        let belongs = self.rules.accomplice || (acl.is_member(&from) && !self.revoked.contains(&from));
        if from == self.me || !belongs {
            return self.refuse(RefusalKind::NotMember);
        }
        if frame.check().is_err() {
            return self.refuse(RefusalKind::Malformed);
        }
        if !self.may_send(from, &frame, now) {
            return self.refuse(RefusalKind::Flood);
        }
        let taken = match frame {
            SessionFrame::Presence(sealed) => self.take_presence(from, &sealed, acl, now),
            SessionFrame::JoinReq(req) => self.take_join_req(from, req, acl, now),
            SessionFrame::Commit(commit) => self.take_commit(from, commit, acl, now),
            SessionFrame::Welcome(welcome) => self.take_welcome(from, welcome, acl, now),
            SessionFrame::Fetch(fetch) => self.take_fetch(from, fetch),
            SessionFrame::App(app) => self.take_app(from, app, acl, now),
            SessionFrame::Evidence(evidence) => self.take_evidence(from, evidence, acl, now),
            SessionFrame::Update(update) => self.take_update(from, update),
            SessionFrame::Leave(leave) => self.take_leave(from, leave, now),
            SessionFrame::Unknown(_) => Err(RefusalKind::Unknown),
        };
        if let Err(kind) = taken {
            self.refuse(kind);
        }
    }

    /// Bytes of a member that are no frame.
    pub fn handle_malformed(&mut self) {
        self.refuse(RefusalKind::Malformed);
    }

    /// The ACL log has grown.
    pub fn handle_acl_changed(&mut self, acl: &impl Acl, now: Duration) {
        self.revoked.retain(|device| !acl.is_member(device));
        self.cut.retain(|device| !acl.is_member(device));
        if !acl.is_member(&self.me) {
            return self.end();
        }
        self.cut_off(acl);
        self.retry_waiting(acl, now);
        self.speak_soon(now);
        self.wake(now);
    }

    /// This device is known to be revoked. The ACL log need not say so yet.
    pub fn handle_revoked(&mut self, device: DeviceId, acl: &impl Acl, now: Duration) {
        self.revoked.insert(device);
        if device == self.me {
            return self.end();
        }
        self.cut_off(acl);
        self.wake(now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, acl: &impl Acl, now: Duration) {
        self.ticked_at = Some(now);
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
        }
        if !acl.is_member(&self.me) || self.revoked.contains(&self.me) {
            return self.end();
        }
        self.expire(now);
        self.cut_off(acl);
        self.retry_waiting(acl, now);
        self.look_after_group(acl, now);
        self.look_for_session(acl, now);
        self.write_next_epoch(acl, now);
        self.flush(acl, now);
        self.speak(acl, now);
        // Whatever is wanted at once has just been looked at: never twice in a moment.
        self.wake_at = self.wake_at.map(|at| at.max(now + MIN_TICK));
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        let tick = self.ticked_at.map_or(Duration::ZERO, |at| at + TICK);
        Some(self.wake_at.map_or(tick, |at| at.min(tick)))
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// Leaves the session: to be called once, before the room is closed.
    pub fn leave(&mut self) {
        if let Some(group) = &self.current {
            let leave = message::Leave { session: group.id };
            let to: Vec<DeviceId> = self.connected.iter().copied().collect();
            self.send_to(to, SessionFrame::Leave(leave));
        }
        self.end();
    }

    /// Where this device is.
    pub fn phase(&self) -> Phase {
        match &self.current {
            _ if self.join.is_some() => Phase::Joining,
            None => Phase::Idle,
            Some(group) if group.writer == self.me => Phase::Writer,
            Some(_) => Phase::Member,
        }
    }

    /// The epochs whose keys are held, the current one last; none outside a session.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The current epoch.
    pub fn epoch(&self) -> Option<&Epoch> {
        self.epochs.last().filter(|_| self.current.is_some())
    }

    /// An exporter secret of an epoch (RFC 9420, 8.5): of the current one any, of one before those of [`SessionConfig::exports`].
    pub fn exporter(
        &self,
        session: &SessionId,
        epoch: u64,
        label: &'static str,
        context: &[u8],
        length: usize,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let wanted = Export { label, context: context.to_vec(), length };
        if let Some(group) = self.current.as_ref().filter(|group| group.id == *session && group.epoch() == epoch) {
            return group.export(&wanted);
        }
        let kept = self.epochs.iter().find(|kept| kept.session == *session && kept.epoch == epoch)?;
        let index = self.exports.iter().position(|export| *export == wanted)?;
        kept.exports.get(index).cloned()
    }

    /// Nothing can be sent: the roster holds a device that does not belong to the room.
    pub fn is_gated(&self, acl: &impl Acl) -> bool {
        self.sending().is_some_and(|group| !self.may_encrypt_to(group, acl))
    }

    /// What was not taken, by kind.
    pub fn refusals(&self) -> &BTreeMap<RefusalKind, u64> {
        &self.refusals
    }

    /// Writers that were proved to lie.
    pub fn excluded(&self) -> impl Iterator<Item = &DeviceId> {
        self.excluded.keys()
    }

    fn refuse(&mut self, kind: RefusalKind) {
        *self.refusals.entry(kind).or_default() += 1;
        tracing::trace!(?kind, "a session message was refused");
    }

    fn provider(&self) -> Provider {
        Provider::new(self.crypto.clone(), self.seed.clone())
    }

    fn push(&mut self, output: SessionOutput) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(output);
        } else {
            self.refuse(RefusalKind::QueueFull);
        }
    }

    fn send_to(&mut self, to: impl IntoIterator<Item = DeviceId>, frame: SessionFrame) {
        let to: Vec<DeviceId> = to.into_iter().filter(|device| self.connected.contains(device)).collect();
        if !to.is_empty() {
            self.push(SessionOutput::Send { to, frame: Box::new(frame) });
        }
    }

    fn wake(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }

    /// Out of every session.
    fn end(&mut self) {
        let had = self.current.is_some();
        self.current = None;
        self.previous = None;
        self.join = None;
        self.retired = None;
        self.alone_since = None;
        for epoch in core::mem::take(&mut self.epochs) {
            self.push(SessionOutput::EpochOver { session: epoch.session, epoch: epoch.epoch });
        }
        let payloads = self.unsent.clear();
        if payloads > 0 {
            self.push(SessionOutput::Unsent { payloads });
        }
        if had {
            self.push(SessionOutput::Ended);
        }
    }
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("me", &self.me).field("phase", &self.phase()).field("current", &self.current).finish()
    }
}
