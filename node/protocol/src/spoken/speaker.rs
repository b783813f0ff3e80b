//! The side that speaks codes and answers those who heard one. It never admits anyone by itself: it asks for an operation of the log.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::CryptoRng;

use super::message::RoomIs;
use super::{
    Agreed, Ask, HearerMessage, MAX_HEARER_FRAME, MAX_NUMBER, Offer, Prove, Proved, SPOKEN_FOR, SpeakerMessage, SpokenCode,
    VERSION, answer, same,
};
use crate::allowance::Allowance;
use crate::id::{AccountId, DeviceId, RoomId};
use crate::identity::MemberCard;
use crate::knock::{Admitted, REPLY_TIMEOUT, RefusalCode, Refused, Rooms, SessionId, batches};
use crate::log::acl::Role;
use crate::wire::{self, Signed};

/// Wrong words that burn a code.
pub const MAX_FAILURES: u32 = 3;
/// Codes of one device that are open at a time; a further one is refused.
pub const MAX_CODES: usize = 16;
/// Most conversations at a time, and of one device. When it is full a new one is told to come back.
const MAX_SESSIONS: usize = 64;
const MAX_SESSIONS_PER_DEVICE: usize = 2;
/// Questions a device may ask at once, and the time in which one more is allowed again.
const ASK_BURST: u32 = 6;
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// The same for all devices together: each question costs a few hundred microseconds.
const ALL_BURST: u32 = 64;
const ALL_INTERVAL: Duration = Duration::from_millis(100);
/// Devices whose questions are counted; the one that was quiet longest is forgotten first.
const MAX_COUNTED: usize = 1_024;

/// Why a code lets nobody in any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpokenEnd {
    /// Somebody came in by it.
    Used,
    /// [`SPOKEN_FOR`] is over.
    Expired,
    /// [`MAX_FAILURES`] times the words were wrong: somebody guesses, or hears badly.
    Burnt,
    /// Whoever spoke it took it back, or may not let people in any more.
    Withdrawn,
}

/// What a [`Speaker`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpeakerOutput {
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
    /// Admit them by an operation of the log, if they are not a member; then call [`Speaker::handle_admitted`] or
    /// [`Speaker::handle_not_admitted`].
    Admit {
        /// On which stream they came.
        session: SessionId,
        /// To which room.
        room: RoomId,
        /// Whom.
        card: MemberCard,
        /// As what.
        role: Role,
    },
    /// Somebody had the wrong words: so many times by now.
    Failed {
        /// The room of the code.
        room: RoomId,
        /// Which code.
        number: u32,
        /// Of [`MAX_FAILURES`].
        failures: u32,
    },
    /// A code lets nobody in any more.
    Ended {
        /// Its room.
        room: RoomId,
        /// Which code.
        number: u32,
        /// Why.
        end: SpokenEnd,
    },
}

#[derive(Debug)]
struct Open {
    room: RoomId,
    role: Role,
    code: SpokenCode,
    expires: Duration,
    failures: u32,
}

#[derive(Debug)]
enum Stage {
    /// The question must come before.
    New,
    /// The proof must come before.
    Offered { number: u32, agreed: Agreed },
    /// The log is being written.
    Admitting,
}

#[derive(Debug)]
struct Session {
    peer: DeviceId,
    stage: Stage,
    deadline: Duration,
}

/// All codes of this device.
#[derive(Debug)]
pub struct Speaker {
    me: DeviceId,
    account: AccountId,
    next_session: u64,
    /// At most [`MAX_CODES`], by number.
    codes: BTreeMap<u32, Open>,
    /// At most [`MAX_SESSIONS`].
    sessions: BTreeMap<SessionId, Session>,
    /// At most [`MAX_COUNTED`].
    allowances: BTreeMap<DeviceId, Allowance>,
    all: Allowance,
    outputs: VecDeque<SpeakerOutput>,
}

impl Speaker {
    /// Of this device and its person.
    pub fn new(me: DeviceId, account: AccountId) -> Self {
        Self {
            me,
            account,
            next_session: 0,
            codes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            allowances: BTreeMap::new(),
            all: Allowance::new(ALL_BURST, ALL_INTERVAL, Duration::ZERO),
            outputs: VecDeque::new(),
        }
    }

    /// A new code for a room. `None` where [`MAX_CODES`] are open.
    pub fn speak(&mut self, room: RoomId, role: Role, now: Duration, rng: &mut impl CryptoRng) -> Option<SpokenCode> {
        if self.codes.len() >= MAX_CODES {
            return None;
        }
        let taken = |number: &u32| self.codes.contains_key(number);
        let number = core::iter::repeat_with(|| 1 + rng.next_u32() % MAX_NUMBER).find(|number| !taken(number))?;
        let code = SpokenCode::generate(number, rng);
        let open = Open { room, role, code: code.clone(), expires: now + SPOKEN_FOR, failures: 0 };
        self.codes.insert(number, open);
        Some(code)
    }

    /// Takes a code back. False where there is none of this number for the room.
    pub fn withdraw(&mut self, room: RoomId, number: u32) -> bool {
        let known = self.codes.get(&number).is_some_and(|open| open.room == room);
        if known {
            self.end(number, SpokenEnd::Withdrawn);
        }
        known
    }

    /// The members of a room have changed, or it is gone: who may not let people in has no code for it.
    pub fn handle_room_changed(&mut self, room: RoomId, rooms: &impl Rooms) {
        if rooms.acl(&room).is_some_and(|acl| acl.is_admin(&self.me)) {
            return;
        }
        let void: Vec<u32> = self.codes.iter().filter(|(_, open)| open.room == room).map(|(number, _)| *number).collect();
        for number in void {
            self.end(number, SpokenEnd::Withdrawn);
        }
    }

    /// `peer` has opened a stream.
    pub fn handle_opened(&mut self, peer: DeviceId, now: Duration) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let own: Vec<SessionId> = self.sessions.iter().filter(|(_, other)| other.peer == peer).map(|(id, _)| *id).collect();
        if let Some(oldest) = own.first().filter(|_| own.len() >= MAX_SESSIONS_PER_DEVICE) {
            self.close(*oldest);
        }
        let full = self.sessions.len() >= MAX_SESSIONS;
        self.sessions.insert(session, Session { peer, stage: Stage::New, deadline: now + REPLY_TIMEOUT });
        if full {
            self.refuse(session, RefusalCode::Busy);
        }
        session
    }

    /// A frame of a hearer.
    pub fn handle_frame(&mut self, session: SessionId, frame: &[u8], now: Duration, rng: &mut impl CryptoRng) {
        self.expire(now);
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let peer = open.peer;
        let Ok(message) = wire::decode_within::<HearerMessage>(frame, MAX_HEARER_FRAME) else {
            return self.refuse(session, RefusalCode::Damaged);
        };
        let done = match (message, core::mem::replace(&mut open.stage, Stage::New)) {
            (HearerMessage::Ask(ask), Stage::New) => self.asked(session, peer, &ask, now, rng),
            (HearerMessage::Prove(prove), Stage::Offered { number, agreed }) => {
                self.proved(session, peer, &prove, (number, &agreed), now)
            }
            (HearerMessage::Unknown(_), stage) => {
                open.stage = stage;
                Ok(())
            }
            _ => Err(RefusalCode::Damaged),
        };
        if let Err(code) = done {
            self.refuse(session, code);
        }
    }

    /// The stream is gone. Who asked and then went away has learnt nothing, and it counts for nothing.
    pub fn handle_closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// They are a member: sends them the room's whole ACL log, parents first.
    pub fn handle_admitted(&mut self, session: SessionId, acl_ops: Vec<Signed>) {
        let mut batches = batches(acl_ops).peekable();
        while let Some(ops) = batches.next() {
            let last = batches.peek().is_none();
            self.send(session, &SpeakerMessage::Admitted(Admitted { ops, last }));
        }
        self.close(session);
    }

    /// The log would not take the admission.
    pub fn handle_not_admitted(&mut self, session: SessionId, code: RefusalCode) {
        self.refuse(session, code);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.expire(now);
        let late = |(_, open): &(&SessionId, &Session)| open.deadline <= now && !matches!(open.stage, Stage::Admitting);
        let late: Vec<SessionId> = self.sessions.iter().filter(late).map(|(id, _)| *id).collect();
        for session in late {
            self.close(session);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        let waiting = self.sessions.values().filter(|open| !matches!(open.stage, Stage::Admitting));
        waiting.map(|open| open.deadline).chain(self.codes.values().map(|open| open.expires)).min()
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<SpeakerOutput> {
        self.outputs.pop_front()
    }

    fn asked(
        &mut self,
        session: SessionId,
        peer: DeviceId,
        ask: &Ask,
        now: Duration,
        rng: &mut impl CryptoRng,
    ) -> Result<(), RefusalCode> {
        if !self.allow(peer, now) {
            return Err(RefusalCode::Busy);
        }
        if ask.version != VERSION {
            return Err(RefusalCode::Version);
        }
        let code = &self.codes.get(&ask.number).ok_or(RefusalCode::Unknown)?.code;
        let (share, agreed) = answer(code, (&peer, &self.me), &ask.sid, &ask.share, rng).ok_or(RefusalCode::Damaged)?;
        self.step(session, Stage::Offered { number: ask.number, agreed }, now);
        self.send(session, &SpeakerMessage::Offer(Offer { share }));
        Ok(())
    }

    fn proved(
        &mut self,
        session: SessionId,
        peer: DeviceId,
        prove: &Prove,
        (number, agreed): (u32, &Agreed),
        now: Duration,
    ) -> Result<(), RefusalCode> {
        // Meanwhile used up, burnt, taken back or spoken anew: whether the words fit is not told.
        let open = self.codes.get_mut(&number).ok_or(RefusalCode::Unknown)?;
        if !same(&agreed.hearer_tag(), &prove.tag) {
            open.failures += 1;
            let (room, failures) = (open.room, open.failures);
            self.outputs.push_back(SpeakerOutput::Failed { room, number, failures });
            if failures >= MAX_FAILURES {
                self.end(number, SpokenEnd::Burnt);
            }
            return Err(RefusalCode::WrongWords);
        }
        let card = agreed.open_hearer(&prove.sealed).and_then(|plain| wire::decode::<MemberCard>(&plain).ok());
        let card = card.filter(|card| card.device == peer && card.check().is_ok()).ok_or(RefusalCode::Damaged)?;
        let (room, role) = (open.room, open.role);
        // It lets one person in, whatever becomes of it.
        self.end(number, SpokenEnd::Used);
        self.step(session, Stage::Admitting, now);
        let sealed = agreed.seal_speaker(&wire::encode(&RoomIs { room, account: self.account }));
        self.send(session, &SpeakerMessage::Proved(Proved { tag: agreed.speaker_tag(), sealed }));
        self.outputs.push_back(SpeakerOutput::Admit { session, room, card, role });
        Ok(())
    }

    fn step(&mut self, session: SessionId, stage: Stage, now: Duration) {
        if let Some(open) = self.sessions.get_mut(&session) {
            open.stage = stage;
            open.deadline = now + REPLY_TIMEOUT;
        }
    }

    /// No run that was begun with a code outlives it.
    fn end(&mut self, number: u32, end: SpokenEnd) {
        let Some(open) = self.codes.remove(&number) else { return };
        self.outputs.push_back(SpeakerOutput::Ended { room: open.room, number, end });
        let begun = |(_, open): &(&SessionId, &Session)| matches!(open.stage, Stage::Offered { number: of, .. } if of == number);
        let begun: Vec<SessionId> = self.sessions.iter().filter(begun).map(|(id, _)| *id).collect();
        for session in begun {
            self.refuse(session, RefusalCode::Unknown);
        }
    }

    fn expire(&mut self, now: Duration) {
        let over: Vec<u32> = self.codes.iter().filter(|(_, open)| open.expires <= now).map(|(number, _)| *number).collect();
        for number in over {
            self.end(number, SpokenEnd::Expired);
        }
    }

    fn refuse(&mut self, session: SessionId, code: RefusalCode) {
        self.send(session, &SpeakerMessage::Refused(Refused { code: code.number() }));
        self.close(session);
    }

    fn close(&mut self, session: SessionId) {
        if self.sessions.remove(&session).is_some() {
            self.outputs.push_back(SpeakerOutput::Close { session });
        }
    }

    fn send(&mut self, session: SessionId, message: &SpeakerMessage) {
        if self.sessions.contains_key(&session) {
            self.outputs.push_back(SpeakerOutput::Send { session, frame: wire::encode(message) });
        }
    }

    /// Counts one question of a device, and of all.
    fn allow(&mut self, peer: DeviceId, now: Duration) -> bool {
        if self.allowances.len() >= MAX_COUNTED && !self.allowances.contains_key(&peer) {
            let quietest = self.allowances.iter().min_by_key(|(_, allowance)| allowance.touched()).map(|(device, _)| *device);
            quietest.map(|device| self.allowances.remove(&device));
        }
        let own = self.allowances.entry(peer).or_insert_with(|| Allowance::new(ASK_BURST, ASK_INTERVAL, now));
        own.take(now) && self.all.take(now)
    }
}
