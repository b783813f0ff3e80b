//! Answers knocks at the rooms of this device. It never admits anyone by itself: it asks for an operation of the log, and only what is in
//! the log counts as admitted or as a used invitation.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::CryptoRng;

use super::{
    Admitted, Challenge, DoorMessage, KNOCK_LABEL, Knock, KnockMessage, MAX_KNOCK_FRAME, REPLY_TIMEOUT, RefusalCode, Refused,
    VERSION, Waiting, commitment, compare_code,
};
use crate::allowance::Allowance;
use crate::id::{DeviceId, OpHash, RoomId};
use crate::identity::{MemberCard, verify};
use crate::log::acl::Role;
use crate::log::state::{AclState, InviteState};
use crate::wire::{self, Signed};

/// Most people who wait at one room; more are told to come back.
pub const MAX_PENDING: usize = 32;
/// Most conversations at a time. When it is full a new one is told to come back.
const MAX_SESSIONS: usize = 128;
/// Most conversations of one device; the oldest is closed for a new one.
const MAX_SESSIONS_PER_DEVICE: usize = 4;
/// Knocks a device may make at once, and the time in which one more is allowed again.
const KNOCK_BURST: u32 = 6;
const KNOCK_INTERVAL: Duration = Duration::from_secs(10);
/// Devices whose knocks are counted; the one that was quiet longest is forgotten first.
const MAX_COUNTED: usize = 1_024;
/// How long a knock stays on the screen after its stream is gone.
const KEEP_OFFLINE: Duration = Duration::from_secs(120);
/// How far the clock of another admin may be behind ours before we call its invitation expired.
const FOREIGN_CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;
/// Most bytes and operations in one frame of an ACL log.
const BATCH_BYTES: usize = 224 * 1024;
const BATCH_OPS: usize = 1_024;

/// What the rooms of this device know.
pub trait Rooms {
    /// The room, where this device holds it.
    fn acl(&self, room: &RoomId) -> Option<&AclState>;
}

/// One conversation with a knocker, over one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What a [`Doorkeeper`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorkeeperOutput {
    /// Send this frame.
    Send {
        /// Where.
        session: SessionId,
        /// The payload of one frame.
        frame: Vec<u8>,
    },
    /// Close the stream once everything is sent.
    Close {
        /// Which.
        session: SessionId,
    },
    /// Show that someone knocks, or show it anew with another code.
    KnockReceived {
        /// At which room.
        room: RoomId,
        /// Who, as far as their account vouches for it.
        card: MemberCard,
        /// Eight digits, also on the knocker's screen.
        code: String,
        /// When they first knocked, UTC.
        since_ms: u64,
    },
    /// Nobody has to decide about this knock any more.
    KnockEnded {
        /// At which room.
        room: RoomId,
        /// Who.
        device: DeviceId,
    },
    /// Admit them by an operation of the log; then call [`Doorkeeper::handle_admitted`] or [`Doorkeeper::handle_not_admitted`].
    Admit {
        /// To which room.
        room: RoomId,
        /// Whom.
        card: MemberCard,
        /// As what.
        role: Role,
        /// The invitation of ours that this uses up; without one it is an admin's decision alone.
        invite: Option<OpHash>,
    },
    /// They belong to the room already: call [`Doorkeeper::handle_admitted`].
    Welcome {
        /// To which room.
        room: RoomId,
        /// Whom.
        device: DeviceId,
    },
}

#[derive(Debug)]
struct Session {
    peer: DeviceId,
    nonce: [u8; 32],
    /// The knock must come before.
    deadline: Option<Duration>,
    /// The room that was knocked at.
    room: Option<RoomId>,
}

enum Verdict {
    Person,
    Automatic { role: Role, invite: OpHash },
    UnderWay,
    Member,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Just come; nobody was shown it.
    New,
    /// An admin is asked.
    Person,
    /// The log is being written.
    Admitting { invite: Option<OpHash> },
    /// A member: only the log is to be sent.
    Welcoming,
}

#[derive(Debug)]
struct Pending {
    card: MemberCard,
    invite_key: [u8; 32],
    session: Option<SessionId>,
    since_ms: u64,
    stage: Stage,
    /// Forgotten then, unless they knock again.
    expires: Option<Duration>,
}

/// All doors of this device.
#[derive(Debug)]
pub struct Doorkeeper {
    me: DeviceId,
    next_session: u64,
    /// At most [`MAX_SESSIONS`].
    sessions: BTreeMap<SessionId, Session>,
    /// At most [`MAX_PENDING`] a room.
    pending: BTreeMap<(RoomId, DeviceId), Pending>,
    allowances: BTreeMap<DeviceId, Allowance>,
    outputs: VecDeque<DoorkeeperOutput>,
}

impl Doorkeeper {
    /// Of this device.
    pub fn new(me: DeviceId) -> Self {
        Self {
            me,
            next_session: 0,
            sessions: BTreeMap::new(),
            pending: BTreeMap::new(),
            allowances: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// `peer` has opened a knock stream. The challenge is among the outputs.
    pub fn handle_opened(&mut self, peer: DeviceId, now: Duration, rng: &mut impl CryptoRng) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let own: Vec<SessionId> = self.sessions.iter().filter(|(_, other)| other.peer == peer).map(|(id, _)| *id).collect();
        if let Some(oldest) = own.first().filter(|_| own.len() >= MAX_SESSIONS_PER_DEVICE) {
            self.outputs.push_back(DoorkeeperOutput::Close { session: *oldest });
            self.handle_closed(*oldest, now);
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let full = self.sessions.len() >= MAX_SESSIONS;
        self.sessions.insert(session, Session { peer, nonce, deadline: Some(now + REPLY_TIMEOUT), room: None });
        if full {
            self.refuse_session(session, RefusalCode::Busy);
        } else {
            let challenge = Challenge { version: VERSION, commitment: commitment(&nonce) };
            self.send(session, &DoorMessage::Challenge(challenge));
        }
        session
    }

    /// A frame of a knocker. `now_ms` is UTC.
    pub fn handle_frame(&mut self, session: SessionId, frame: &[u8], rooms: &impl Rooms, now: Duration, now_ms: u64) {
        let Some(peer) = self.sessions.get(&session).map(|open| open.peer) else { return };
        let knock = match self.read(session, frame, now) {
            Ok(knock) => knock,
            Err(code) => return self.turn_away(session, code, now),
        };
        match self.judge(&knock, rooms, now_ms) {
            Ok(verdict) => self.take_up(session, knock, verdict, now_ms),
            Err(code) => {
                self.turn_away(session, code, now);
                // An earlier knock of theirs has no more right than this one, where it was with the same invitation.
                let key = (knock.room, peer);
                if code.is_final() && self.pending.get(&key).is_some_and(|before| before.invite_key == knock.invite) {
                    self.end_pending(key, None);
                }
            }
        }
    }

    /// The stream is gone.
    pub fn handle_closed(&mut self, session: SessionId, now: Duration) {
        self.sessions.remove(&session);
        for pending in self.pending.values_mut().filter(|pending| pending.session == Some(session)) {
            pending.session = None;
            pending.expires = Some(now + KEEP_OFFLINE);
        }
    }

    /// An admin says yes. False where nobody waits under this name, or the invitation has lost its force since.
    pub fn approve(&mut self, room: RoomId, device: DeviceId, rooms: &impl Rooms, now_ms: u64) -> bool {
        let key = (room, device);
        let Some(pending) = self.pending.get(&key).filter(|pending| pending.stage == Stage::Person) else { return false };
        let Some((acl, invite)) = known_invite(rooms, &room, &pending.invite_key) else { return false };
        if let Err(code) = self.has_force(acl, invite, &room) {
            self.end_pending(key, Some(code));
            return false;
        }
        // An invitation of another admin is not ours to count, and one that ran out while a person thought about it is none any more:
        // then it is the admin's own decision that admits.
        let own = invite.issuer == self.me && now_ms <= invite.expires_ms;
        let (role, invite) = (invite.role, Some(invite.hash).filter(|_| own));
        self.admit(key, role, invite);
        true
    }

    /// An admin says no. False where nobody waits under this name.
    pub fn refuse(&mut self, room: RoomId, device: DeviceId) -> bool {
        let waits = self.pending.get(&(room, device)).is_some_and(|pending| pending.stage == Stage::Person);
        if waits {
            self.end_pending((room, device), Some(RefusalCode::Refused));
        }
        waits
    }

    /// They are a member: sends them the room's whole ACL log, parents first.
    pub fn handle_admitted(&mut self, room: RoomId, device: DeviceId, acl_ops: Vec<Signed>) {
        let Some(pending) = self.pending.remove(&(room, device)) else { return };
        if pending.stage == Stage::Person {
            self.outputs.push_back(DoorkeeperOutput::KnockEnded { room, device });
        }
        let Some(session) = pending.session else { return };
        let mut batches = batches(acl_ops).peekable();
        while let Some(ops) = batches.next() {
            let last = batches.peek().is_none();
            self.send(session, &DoorMessage::Admitted(Admitted { ops, last }));
        }
        self.close(session);
    }

    /// The log would not take the admission.
    pub fn handle_not_admitted(&mut self, room: RoomId, device: DeviceId, code: RefusalCode) {
        self.end_pending((room, device), Some(code));
    }

    /// The room's ACL log has changed: whoever waits may have been admitted by someone else, or not be admitted by anyone now. Also for
    /// a room that is gone.
    pub fn handle_room_changed(&mut self, room: RoomId, rooms: &impl Rooms) {
        let waiting = self.pending.iter().filter(|((at, _), pending)| *at == room && pending.stage == Stage::Person);
        let waiting: Vec<((RoomId, DeviceId), [u8; 32])> = waiting.map(|(key, pending)| (*key, pending.invite_key)).collect();
        for (key, invite_key) in waiting {
            match known_invite(rooms, &room, &invite_key) {
                None => self.end_pending(key, Some(RefusalCode::Unknown)),
                Some((acl, _)) if acl.is_member(&key.1) => self.welcome(key),
                Some((acl, invite)) => {
                    if let Err(code) = self.has_force(acl, invite, &room) {
                        self.end_pending(key, Some(code));
                    }
                }
            }
        }
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        let late: Vec<SessionId> =
            self.sessions.iter().filter(|(_, open)| open.deadline.is_some_and(|at| at <= now)).map(|(id, _)| *id).collect();
        for session in late {
            self.close(session);
        }
        let gone: Vec<(RoomId, DeviceId)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.expires.is_some_and(|at| at <= now) && pending.stage == Stage::Person)
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.end_pending(key, None);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        let knocks = self.sessions.values().filter_map(|session| session.deadline);
        let offline =
            self.pending.values().filter(|pending| pending.stage == Stage::Person).filter_map(|pending| pending.expires);
        knocks.chain(offline).min()
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<DoorkeeperOutput> {
        self.outputs.pop_front()
    }

    /// Reads a knock and checks all that needs no knowledge of rooms.
    fn read(&mut self, session: SessionId, frame: &[u8], now: Duration) -> Result<Knock, RefusalCode> {
        let (peer, nonce, knocked) = match self.sessions.get(&session) {
            Some(open) => (open.peer, open.nonce, open.room.is_some()),
            None => return Err(RefusalCode::Damaged),
        };
        if !self.allow(peer, now) {
            return Err(RefusalCode::Busy);
        }
        let message = wire::decode_within(frame, MAX_KNOCK_FRAME).map_err(|_| RefusalCode::Damaged)?;
        let KnockMessage::Knock(request) = message else { return Err(RefusalCode::Version) };
        let knock: Knock = wire::decode(&request.signed.payload).map_err(|_| RefusalCode::Damaged)?;
        if knock.version != VERSION {
            return Err(RefusalCode::Version);
        }
        let ours = knock.door == self.me && knock.card.device == peer && knock.commitment == commitment(&nonce);
        if knocked || !ours {
            return Err(RefusalCode::Damaged);
        }
        verify(&knock.invite, KNOCK_LABEL, &knock.room, &request.signed.payload, &request.signed.sig)
            .map_err(|_| RefusalCode::Unknown)?;
        knock.card.check().map_err(|_| RefusalCode::Damaged)?;
        Ok(knock)
    }

    /// What is to be done about a knock that is well-formed and signed with the invitation's key.
    fn judge(&self, knock: &Knock, rooms: &impl Rooms, now_ms: u64) -> Result<Verdict, RefusalCode> {
        let (acl, invite) = known_invite(rooms, &knock.room, &knock.invite).ok_or(RefusalCode::Unknown)?;
        if acl.is_member(&knock.card.device) {
            return Ok(Verdict::Member);
        }
        let pending = self.pending.get(&(knock.room, knock.card.device));
        if pending.is_some_and(|pending| matches!(pending.stage, Stage::Admitting { .. })) {
            return Ok(Verdict::UnderWay);
        }
        self.has_force(acl, invite, &knock.room)?;
        let mine = invite.issuer == self.me;
        let grace_ms = if mine { 0 } else { FOREIGN_CLOCK_SKEW_MS };
        if now_ms > invite.expires_ms.saturating_add(grace_ms) {
            return Err(RefusalCode::Expired);
        }
        if pending.is_none() && self.pending.keys().filter(|(room, _)| *room == knock.room).count() >= MAX_PENDING {
            return Err(RefusalCode::Busy);
        }
        let automatic = mine && !invite.approval;
        Ok(if automatic { Verdict::Automatic { role: invite.role, invite: invite.hash } } else { Verdict::Person })
    }

    /// Whether the invitation can still admit anyone here, its time apart. Admissions under way count as uses.
    fn has_force(&self, acl: &AclState, invite: &InviteState, room: &RoomId) -> Result<(), RefusalCode> {
        if !acl.is_admin(&self.me) {
            return Err(RefusalCode::NotAnAdmin);
        }
        if !invite.open {
            return Err(RefusalCode::Revoked);
        }
        let uses = Stage::Admitting { invite: Some(invite.hash) };
        let under_way =
            self.pending.iter().filter(|((at, device), pending)| at == room && pending.stage == uses && !acl.is_member(device));
        if under_way.count() + invite.used as usize >= invite.uses as usize {
            return Err(RefusalCode::UsedUp);
        }
        Ok(())
    }

    fn take_up(&mut self, session: SessionId, knock: Knock, verdict: Verdict, now_ms: u64) {
        let key = (knock.room, knock.card.device);
        let Some(open) = self.sessions.get_mut(&session) else { return };
        open.deadline = None;
        open.room = Some(knock.room);
        let nonce = open.nonce;
        let pending = self.pending.entry(key).or_insert_with(|| Pending {
            card: knock.card.clone(),
            invite_key: knock.invite,
            session: None,
            since_ms: now_ms,
            stage: Stage::New,
            expires: None,
        });
        pending.expires = None;
        let since_ms = pending.since_ms;
        if matches!(pending.stage, Stage::New | Stage::Person) {
            pending.card = knock.card.clone();
            pending.invite_key = knock.invite;
        }
        if let Some(replaced) = pending.session.replace(session) {
            self.close(replaced);
        }
        match verdict {
            Verdict::UnderWay => {}
            Verdict::Member => self.welcome(key),
            Verdict::Automatic { role, invite } => self.admit(key, role, Some(invite)),
            Verdict::Person => {
                self.set_stage(key, Stage::Person);
                self.send(session, &DoorMessage::Waiting(Waiting { nonce }));
                let code = compare_code(&knock.room, &knock.card.device, &self.me, &knock.nonce, &nonce);
                self.outputs.push_back(DoorkeeperOutput::KnockReceived { room: key.0, card: knock.card, code, since_ms });
            }
        }
    }

    fn admit(&mut self, key: (RoomId, DeviceId), role: Role, invite: Option<OpHash>) {
        let Some(pending) = self.pending.get_mut(&key) else { return };
        let shown = pending.stage == Stage::Person;
        pending.stage = Stage::Admitting { invite };
        let card = pending.card.clone();
        if shown {
            self.outputs.push_back(DoorkeeperOutput::KnockEnded { room: key.0, device: key.1 });
        }
        self.outputs.push_back(DoorkeeperOutput::Admit { room: key.0, card, role, invite });
    }

    fn welcome(&mut self, key: (RoomId, DeviceId)) {
        if self.pending.get(&key).is_some_and(|pending| pending.stage == Stage::Person) {
            self.outputs.push_back(DoorkeeperOutput::KnockEnded { room: key.0, device: key.1 });
        }
        self.set_stage(key, Stage::Welcoming);
        self.outputs.push_back(DoorkeeperOutput::Welcome { room: key.0, device: key.1 });
    }

    fn set_stage(&mut self, key: (RoomId, DeviceId), stage: Stage) {
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.stage = stage;
        }
    }

    /// Ends a knock; its stream is told the code and closed.
    fn end_pending(&mut self, key: (RoomId, DeviceId), code: Option<RefusalCode>) {
        let Some(pending) = self.pending.remove(&key) else { return };
        if pending.stage == Stage::Person {
            self.outputs.push_back(DoorkeeperOutput::KnockEnded { room: key.0, device: key.1 });
        }
        match (pending.session, code) {
            (Some(session), Some(code)) => self.refuse_session(session, code),
            (Some(session), None) => self.close(session),
            (None, _) => {}
        }
    }

    fn turn_away(&mut self, session: SessionId, code: RefusalCode, now: Duration) {
        self.refuse_session(session, code);
        self.handle_closed(session, now);
    }

    fn refuse_session(&mut self, session: SessionId, code: RefusalCode) {
        self.send(session, &DoorMessage::Refused(Refused { code: code.number() }));
        self.close(session);
    }

    fn close(&mut self, session: SessionId) {
        if self.sessions.remove(&session).is_some() {
            self.outputs.push_back(DoorkeeperOutput::Close { session });
        }
    }

    fn send(&mut self, session: SessionId, message: &DoorMessage) {
        if self.sessions.contains_key(&session) {
            self.outputs.push_back(DoorkeeperOutput::Send { session, frame: wire::encode(message) });
        }
    }

    /// Counts one knock of a device.
    fn allow(&mut self, peer: DeviceId, now: Duration) -> bool {
        if self.allowances.len() >= MAX_COUNTED && !self.allowances.contains_key(&peer) {
            let quietest = self.allowances.iter().min_by_key(|(_, allowance)| allowance.touched()).map(|(device, _)| *device);
            quietest.map(|device| self.allowances.remove(&device));
        }
        self.allowances.entry(peer).or_insert_with(|| Allowance::new(KNOCK_BURST, KNOCK_INTERVAL, now)).take(now)
    }
}

fn known_invite<'a>(rooms: &'a impl Rooms, room: &RoomId, key: &[u8; 32]) -> Option<(&'a AclState, &'a InviteState)> {
    let acl = rooms.acl(room)?;
    Some((acl, acl.invite_by_key(key)?))
}

/// Cuts a log into frames; at least one, even of nothing.
pub(crate) fn batches(ops: Vec<Signed>) -> impl Iterator<Item = Vec<Signed>> {
    let mut ops = ops.into_iter().peekable();
    let mut first = true;
    core::iter::from_fn(move || {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(op) =
            ops.next_if(|op| batch.len() < BATCH_OPS && (batch.is_empty() || bytes + op.wire_len() <= BATCH_BYTES))
        {
            bytes += op.wire_len();
            batch.push(op);
        }
        let more = first || !batch.is_empty();
        first = false;
        more.then_some(batch)
    })
}
