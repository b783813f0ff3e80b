//! The one call of a room as this device sees it: who is in, whom to be connected with, what to tell the others. It never moves media,
//! and it never lets a full mesh grow past [`MAX_PEOPLE`].
//!
//! A room has at most one call. Where two begin at once, or two parts of a network meet again, the call with the smaller id stays and
//! everyone in the other one moves. Who comes to a full call is told so before joining; of several who come at the same moment those
//! with the lower device ids stay.

pub mod host;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_core::CryptoRng;

use self::host::{HostAct, HostOrder, Signs};
use crate::id::{CallId, DeviceId};
use crate::live::{Departure, HEARTBEAT_IDLE, HEARTBEAT_IN_CALL, InCall, MediaState, Presence, PresenceChange, PresenceTable};

/// Most people in a full mesh, this device counted.
pub const MAX_PEOPLE: usize = 8;
/// After so long in a call nobody gives way any more.
pub const SEATED_AFTER: Duration = Duration::from_secs(5);
/// Shortest time between two presences, but for joining, moving and leaving.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Moves to a smaller call id that are followed in [`MOVE_WINDOW`]: as many as a dozen people who begin at once can cause. It bounds how
/// often a member who lies can make everyone connect anew.
const MAX_MOVES: usize = 12;
const MOVE_WINDOW: Duration = Duration::from_secs(60);

/// Why this device is in no call any more, or did not come into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallEnd {
    /// By its own wish.
    #[error("left the call")]
    Left,
    /// The call is as full as a mesh can be.
    #[error("the call is full: {MAX_PEOPLE} people are in it")]
    Full,
    /// This device does not belong to the room any more.
    #[error("not a member of the room any more")]
    Revoked,
    /// Somebody who leads the call removed this device from it.
    #[error("removed from the call")]
    Removed(DeviceId),
    /// Somebody who leads the call ended it for everyone.
    #[error("the call was ended for everyone")]
    EndedForAll(DeviceId),
}

/// What a [`Call`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutput {
    /// Tell this to every member of the room who is here.
    Say(Presence),
    /// This device is in the call: start its media.
    Joined(CallId),
    /// The call goes on under another id. Every peer was removed before; those who are there already are added after.
    Moved(CallId),
    /// Connect media with this device, which does the same.
    AddPeer(DeviceId),
    /// End the media with this device.
    RemovePeer(DeviceId, Departure),
    /// Someone else is in the room's call, whether this device is or not.
    ParticipantJoined(DeviceId),
    /// What [`Call::participant`] gives has changed.
    ParticipantChanged(DeviceId),
    /// Someone else is not in the room's call any more.
    ParticipantLeft(DeviceId, Departure),
    /// Somebody who leads the call muted this device.
    MutedBy(DeviceId),
    /// The hand of this device went down, by whom.
    HandLowered(DeviceId),
    /// Somebody else's reaction, to be shown for a moment.
    Reacted(DeviceId, String),
    /// This device is in no call: stop its media.
    Ended(CallEnd),
    /// The call cannot be joined.
    Refused(CallEnd),
}

#[derive(Debug, Clone)]
struct Mine {
    call: CallId,
    joined_ms: u64,
    joined_at: Duration,
    media: MediaState,
    level: u8,
    hand_ms: Option<u64>,
}

/// The call of one room.
#[derive(Debug, Clone)]
pub struct Call {
    me: DeviceId,
    session: u64,
    counter: u64,
    others: PresenceTable,
    mine: Option<Mine>,
    /// At most [`MAX_PEOPLE`] − 1.
    peers: BTreeSet<DeviceId>,
    /// Whose certificate was wrong or who was removed, and in which session and stay: not connected with again before they come anew.
    barred: BTreeMap<DeviceId, (Option<u64>, u64)>,
    moves: VecDeque<Duration>,
    said_at: Option<Duration>,
    /// Something is to be said that was not yet.
    unsaid: bool,
    seated_said: bool,
    signs: Signs,
    outputs: VecDeque<CallOutput>,
}

impl Call {
    /// `session`: random at each start of the node.
    pub fn new(me: DeviceId, session: u64) -> Self {
        Self {
            me,
            session,
            counter: 0,
            others: PresenceTable::new(),
            mine: None,
            peers: BTreeSet::new(),
            barred: BTreeMap::new(),
            moves: VecDeque::new(),
            said_at: None,
            unsaid: false,
            seated_said: false,
            signs: Signs::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Enters the room's call, or begins it: gives [`CallOutput::Joined`] or [`CallOutput::Refused`]. Does nothing inside a call.
    pub fn join(&mut self, media: MediaState, now: Duration, now_ms: u64, rng: &mut impl CryptoRng) {
        if self.mine.is_some() {
            return;
        }
        self.expire(now);
        if self.others.in_call().count() >= MAX_PEOPLE {
            self.outputs.push_back(CallOutput::Refused(CallEnd::Full));
            return;
        }
        let call = self.others.in_call().map(|(_, other)| other.call).min().unwrap_or_else(|| {
            let mut id = [0; 16];
            rng.fill_bytes(&mut id);
            CallId(id)
        });
        self.mine = Some(Mine { call, joined_ms: now_ms, joined_at: now, media, level: 127, hand_ms: None });
        self.moves.clear();
        self.seated_said = false;
        self.outputs.push_back(CallOutput::Joined(call));
        // Said before anybody is connected with: what media say to a device that has not heard of this stay is lost.
        self.say(now);
        self.reconcile(now);
    }

    /// Leaves the call.
    pub fn leave(&mut self, now: Duration) {
        self.end(CallEnd::Left, Departure::Left, now);
    }

    /// This device does not belong to the room any more.
    pub fn handle_self_revoked(&mut self, now: Duration) {
        self.end(CallEnd::Revoked, Departure::Revoked, now);
    }

    /// What this device sends and plays has changed; the others are told at once.
    pub fn set_media(&mut self, media: MediaState, now: Duration) {
        if let Some(mine) = &mut self.mine
            && mine.media != media
        {
            mine.media = media;
            self.say_soon(now);
        }
    }

    /// The hand goes up, at this moment in UTC, or down; the others are told at once. Gives whether that changed anything.
    pub fn set_hand(&mut self, up_ms: Option<u64>, now: Duration) -> bool {
        let Some(mine) = self.mine.as_mut().filter(|mine| mine.hand_ms.is_some() != up_ms.is_some()) else { return false };
        mine.hand_ms = up_ms;
        self.say_soon(now);
        true
    }

    /// Since when the hand of this device is up.
    pub fn hand_ms(&self) -> Option<u64> {
        self.mine.as_ref()?.hand_ms
    }

    /// Everyone whose hand is up, in the order in which they went up.
    pub fn hands(&self) -> Vec<(u64, DeviceId)> {
        let Some(call) = self.current() else { return Vec::new() };
        let others = self.others.in_call().filter(|(_, other)| other.call == call);
        let others = others.filter_map(|(device, other)| Some((other.hand_ms?, device)));
        let mut hands: Vec<_> = others.chain(self.hand_ms().map(|ms| (ms, self.me))).collect();
        hands.sort_unstable();
        hands
    }

    /// Somebody reacts. Only those in the same call are shown, and not more often than anyone could see.
    pub fn handle_reaction(&mut self, from: DeviceId, reaction: host::Reaction, now: Duration) {
        let here = self.others.get(&from).is_some_and(|other| other.call == reaction.call);
        if here && self.current() == Some(reaction.call) && self.signs.handle_reaction(from, &reaction, now) {
            self.outputs.push_back(CallOutput::Reacted(from, reaction.emoji));
        }
    }

    /// Somebody orders. `may`: whether their role in the room lets them, of this target; judged by [`host::may_lead`].
    pub fn handle_order(&mut self, from: DeviceId, order: HostOrder, may: bool, now: Duration) {
        let same = self.current() == Some(order.call)
            && (from == self.me || self.others.get(&from).is_some_and(|other| other.call == order.call));
        if !same || !may || !self.signs.handle_order(from, now) {
            return;
        }
        let mine = order.target == Some(self.me);
        match (order.act, order.target) {
            (HostAct::END, None) => self.end(CallEnd::EndedForAll(from), Departure::Left, now),
            (HostAct::MUTE, Some(_)) if mine && from != self.me => self.outputs.push_back(CallOutput::MutedBy(from)),
            (HostAct::LOWER_HAND, Some(_)) if mine => {
                if self.set_hand(None, now) {
                    self.outputs.push_back(CallOutput::HandLowered(from));
                }
            }
            (HostAct::REMOVE, Some(_)) if mine && from != self.me => self.end(CallEnd::Removed(from), Departure::Left, now),
            // Its own word that it goes may never come: nobody sends to it or plays it from here on.
            (HostAct::REMOVE, Some(target)) if target != self.me => self.bar(target, Departure::Removed),
            _ => {}
        }
    }

    /// Loudness of our microphone in −dBov, 127 for silence; told with the next heartbeat.
    pub fn set_level(&mut self, level: u8) {
        if let Some(mine) = &mut self.mine {
            mine.level = level.min(127);
        }
    }

    /// A presence of a member of the room.
    pub fn handle_presence(&mut self, device: DeviceId, presence: Presence, now: Duration) {
        if device == self.me {
            return;
        }
        self.expire(now);
        let change = self.others.handle_presence(device, presence, now);
        self.take(change, now);
    }

    /// Members came who have heard nothing yet: they are told where this device is.
    pub fn handle_newcomers(&mut self, now: Duration) {
        self.say_soon(now);
    }

    /// A member does not belong to the room any more.
    pub fn handle_revoked(&mut self, device: DeviceId, now: Duration) {
        let change = self.others.handle_revoked(device);
        self.take(change, now);
    }

    /// The media of this peer came with another certificate than the signed one. It is removed, and not connected with again before it
    /// leaves and comes back.
    pub fn handle_mismatch(&mut self, device: DeviceId) {
        self.bar(device, Departure::Mismatch);
    }

    fn bar(&mut self, device: DeviceId, departure: Departure) {
        if self.peers.remove(&device) {
            self.outputs.push_back(CallOutput::RemovePeer(device, departure));
        }
        let stay = self.stay(&device);
        self.barred.insert(device, stay);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.expire(now);
        if self.mine.as_ref().is_some_and(|mine| mine.joined_at + SEATED_AFTER <= now) && !self.seated_said {
            self.seated_said = true;
            self.unsaid = true;
        }
        if self.say_at().is_none_or(|at| at <= now) {
            self.say(now);
        }
        self.reconcile(now);
    }

    /// When to call [`Self::handle_timeout`]. At once, until the first presence was said.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let seated = self.mine.as_ref().filter(|_| !self.seated_said).map(|mine| mine.joined_at + SEATED_AFTER);
        let say = self.say_at().unwrap_or(Duration::ZERO);
        [Some(say), seated, self.others.poll_timeout()].into_iter().flatten().min()
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<CallOutput> {
        self.outputs.pop_front()
    }

    /// The call this device is in.
    pub fn current(&self) -> Option<CallId> {
        self.mine.as_ref().map(|mine| mine.call)
    }

    /// When this device joined, UTC.
    pub fn since_ms(&self) -> Option<u64> {
        self.mine.as_ref().map(|mine| mine.joined_ms)
    }

    /// The room's call, whether this device is in it or not, and everyone in it, by device.
    pub fn people(&self) -> Option<(CallId, Vec<DeviceId>)> {
        let mine = self.mine.as_ref().map(|mine| (self.me, mine.call));
        let all: BTreeMap<DeviceId, CallId> =
            self.others.in_call().map(|(device, other)| (device, other.call)).chain(mine).collect();
        let call = self.current().or_else(|| all.values().min().copied())?;
        Some((call, all.into_keys().collect()))
    }

    /// How someone else takes part.
    pub fn participant(&self, device: &DeviceId) -> Option<InCall> {
        self.others.get(device)
    }

    /// Whom this device is to be connected with.
    pub fn peers(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.peers.iter().copied()
    }

    fn expire(&mut self, now: Duration) {
        for change in self.others.handle_timeout(now) {
            self.take(Some(change), now);
        }
    }

    fn take(&mut self, change: Option<PresenceChange>, now: Duration) {
        match change {
            None => return,
            Some(PresenceChange::Entered(device)) => self.outputs.push_back(CallOutput::ParticipantJoined(device)),
            Some(PresenceChange::Changed(device)) => self.outputs.push_back(CallOutput::ParticipantChanged(device)),
            Some(PresenceChange::Departed(device, departure)) => {
                if self.peers.remove(&device) {
                    self.outputs.push_back(CallOutput::RemovePeer(device, departure));
                }
                self.outputs.push_back(CallOutput::ParticipantLeft(device, departure));
            }
        }
        self.reconcile(now);
    }

    /// Brings the peers in line with who is in the call.
    fn reconcile(&mut self, now: Duration) {
        self.follow_smaller_call(now);
        if self.must_give_way(now) {
            return self.end(CallEnd::Full, Departure::Left, now);
        }
        let Some(call) = self.current() else { return };
        let elsewhere: Vec<DeviceId> =
            self.peers.iter().filter(|peer| self.others.get(peer).is_none_or(|other| other.call != call)).copied().collect();
        for peer in elsewhere {
            self.peers.remove(&peer);
            self.outputs.push_back(CallOutput::RemovePeer(peer, Departure::Moved));
        }
        self.barred.retain(|device, stay| self.others.get(device).is_some_and(|other| other.joined_ms == stay.1));
        let others = self.others.in_call().filter(|(device, other)| other.call == call && !self.peers.contains(device));
        let mut wanted: Vec<(bool, DeviceId)> = others.map(|(device, other)| (!other.seated, device)).collect();
        wanted.retain(|(_, device)| self.barred.get(device).is_none_or(|stay| *stay != self.stay(device)));
        wanted.sort_unstable();
        for (_, device) in wanted.into_iter().take((MAX_PEOPLE - 1).saturating_sub(self.peers.len())) {
            self.peers.insert(device);
            self.outputs.push_back(CallOutput::AddPeer(device));
        }
    }

    fn follow_smaller_call(&mut self, now: Duration) {
        let Some(mine) = &mut self.mine else { return };
        let Some(smaller) = self.others.in_call().map(|(_, other)| other.call).min().filter(|call| *call < mine.call) else {
            return;
        };
        while self.moves.front().is_some_and(|at| *at + MOVE_WINDOW <= now) {
            self.moves.pop_front();
        }
        if self.moves.len() >= MAX_MOVES {
            return;
        }
        self.moves.push_back(now);
        // To move is to join the other call now: who is there already has the older right.
        mine.joined_ms =
            mine.joined_ms.saturating_add(u64::try_from(now.saturating_sub(mine.joined_at).as_millis()).unwrap_or(0));
        mine.joined_at = now;
        mine.call = smaller;
        self.seated_said = false;
        for peer in core::mem::take(&mut self.peers) {
            self.outputs.push_back(CallOutput::RemovePeer(peer, Departure::Moved));
        }
        self.outputs.push_back(CallOutput::Moved(smaller));
        // At once, as for joining; moves are few.
        self.say(now);
    }

    /// The call is over-full and this device is one that came last.
    fn must_give_way(&self, now: Duration) -> bool {
        let Some(mine) = &self.mine else { return false };
        if mine.joined_at + SEATED_AFTER <= now {
            return false;
        }
        let ahead =
            self.others.in_call().filter(|(device, other)| other.call == mine.call && (other.seated || *device < self.me));
        ahead.count() >= MAX_PEOPLE
    }

    fn end(&mut self, end: CallEnd, departure: Departure, now: Duration) {
        if self.mine.take().is_none() {
            return;
        }
        for peer in core::mem::take(&mut self.peers) {
            self.outputs.push_back(CallOutput::RemovePeer(peer, departure));
        }
        self.barred.clear();
        self.outputs.push_back(CallOutput::Ended(end));
        // A leave is seen at once: it waits for nothing.
        self.say(now);
    }

    /// One stay of a device in a call, from joining to leaving.
    fn stay(&self, device: &DeviceId) -> (Option<u64>, u64) {
        (self.others.session(device), self.others.get(device).map_or(0, |other| other.joined_ms))
    }

    fn say_soon(&mut self, now: Duration) {
        self.unsaid = true;
        if self.say_at().is_none_or(|at| at <= now) {
            self.say(now);
        }
    }

    /// When the next presence is due; `None` before the first.
    fn say_at(&self) -> Option<Duration> {
        let said = self.said_at?;
        let interval = match &self.mine {
            _ if self.unsaid => MIN_INTERVAL,
            Some(_) => HEARTBEAT_IN_CALL,
            None => HEARTBEAT_IDLE,
        };
        Some(said + interval)
    }

    fn say(&mut self, now: Duration) {
        self.said_at = Some(now);
        self.unsaid = false;
        let presence = self.presence(now);
        self.outputs.push_back(CallOutput::Say(presence));
    }

    fn presence(&mut self, now: Duration) -> Presence {
        self.counter += 1;
        let in_call = self.mine.as_ref().map(|mine| InCall {
            call: mine.call,
            joined_ms: mine.joined_ms,
            seated: mine.joined_at + SEATED_AFTER <= now,
            media: mine.media,
            level: mine.level,
            hand_ms: mine.hand_ms,
        });
        Presence { session: self.session, counter: self.counter, in_call }
    }
}
