//! Both sides of a door: this device's own joins, and those who knock here. Who is let in is decided by the machines of
//! `conclave_protocol::knock` and by people.

pub(super) mod doors;
mod invite;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::knock::{Doorkeeper, KnockError, Knocker, KnockerOutput, RefusalCode, SessionId};
use conclave_protocol::link::{Link, LinkError};
use conclave_protocol::log::state::AclState;
use conclave_protocol::room::Room;
use conclave_protocol::spoken::SpokenCode;
use conclave_protocol::wire::Signed;
use libp2p::Multiaddr;
use tokio::task::AbortHandle;

use self::doors::Known;
use super::links::LinkId;
use super::{Driver, net_refused};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::net::FrameWriter;
use crate::store::Batch;
use crate::view::{DiagnosisView, ErrorView, JoinView, KnockView};

/// Joins under way at once.
const MAX_JOINS: usize = 16;
/// How long a join looks for somebody of the room before it gives up.
const SEARCH_FOR: Duration = Duration::from_secs(600);
/// How often a person is told what was tried.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(2);
/// Between two knocks at one door.
const KNOCK_AGAIN: Duration = Duration::from_secs(3);
/// How far this device's clock may be ahead of the issuer's before a link is called expired without asking.
const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;

/// A stream by which somebody knocks, in either direction.
pub(super) struct KnockStream {
    pub(super) writer: FrameWriter,
    pub(super) task: AbortHandle,
}

impl Drop for KnockStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A join of this device.
struct Joining {
    link: Link,
    since: Instant,
    told: Option<Instant>,
    /// What the person was told last.
    view: JoinView,
    /// Doors where a conversation is under way or was.
    doors: BTreeMap<DeviceId, Door>,
}

/// One door of a join.
#[derive(Default)]
struct Door {
    knocker: Option<Knocker>,
    stream: Option<(LinkId, KnockStream)>,
    /// A stream is being opened.
    opening: bool,
    knocked: Option<Instant>,
    /// What this door said, where it was no answer for the whole room.
    said: Option<RefusalCode>,
}

/// Joins of this device, and the doors of its rooms.
#[derive(Default)]
pub(super) struct Joins {
    mine: BTreeMap<RoomId, Joining>,
    keeper: Option<Doorkeeper>,
    /// Streams of those who knock here.
    sessions: BTreeMap<LinkId, SessionId>,
    streams: BTreeMap<SessionId, (LinkId, KnockStream)>,
    /// Those who wait for an admin here.
    waiting: BTreeMap<(RoomId, DeviceId), KnockView>,
}

impl Joins {
    pub(super) fn views(&self) -> Vec<JoinView> {
        self.mine.values().map(|joining| joining.view.clone()).collect()
    }

    /// Those who wait at this room.
    pub(super) fn knocks(&self, room: RoomId) -> Vec<KnockView> {
        self.waiting.iter().filter(|((at, _), _)| *at == room).map(|(_, knock)| knock.clone()).collect()
    }

    fn find_stream(&self, id: LinkId) -> Option<(RoomId, DeviceId)> {
        self.mine.iter().find_map(|(room, joining)| {
            let (device, _) =
                joining.doors.iter().find(|(_, door)| door.stream.as_ref().is_some_and(|(stream, _)| *stream == id))?;
            Some((*room, *device))
        })
    }
}

fn link_refused(error: LinkError) -> CommandError {
    let (code, message) = match error {
        LinkError::NotALink => (ErrorCode::LinkInvalid, "This is not a Conclave link. A link begins with conclave://join/."),
        LinkError::Version => {
            (ErrorCode::LinkVersion, "This link is from another version of Conclave. Update the older of the two.")
        }
        LinkError::Damaged => {
            (ErrorCode::LinkDamaged, "This link is damaged: a piece is missing or was changed. Copy it again, whole.")
        }
        LinkError::TooLong => (ErrorCode::LinkInvalid, "This is too long to be a Conclave link."),
    };
    CommandError::new(code, message)
}

pub(super) fn refusal(code: RefusalCode) -> CommandError {
    let (code, message) = match code {
        RefusalCode::Expired => (ErrorCode::LinkExpired, "This link has expired. Ask for a new one."),
        RefusalCode::UsedUp => (ErrorCode::LinkUsedUp, "This link has admitted as many people as it may. Ask for a new one."),
        RefusalCode::Revoked => (ErrorCode::LinkRevoked, "This link was revoked. Ask for a new one."),
        RefusalCode::Refused => (ErrorCode::Refused, "An admin of the room said no."),
        RefusalCode::Version => {
            (ErrorCode::PeerVersion, "The other side speaks another version of Conclave. Update the older of the two.")
        }
        RefusalCode::Damaged => (ErrorCode::LinkDamaged, "The other side could not read the request: the link may be damaged."),
        RefusalCode::Unknown => (ErrorCode::LinkRevoked, "The other side knows no such invitation."),
        RefusalCode::WrongWords => (ErrorCode::CodeWrong, "The words are not those of the code."),
        RefusalCode::NotAnAdmin => (ErrorCode::NobodyFound, "Someone was found, but nobody who may let you in."),
        RefusalCode::Busy | RefusalCode::Other(_) => (ErrorCode::Busy, "The other side is busy; trying again."),
    };
    CommandError::new(code, message)
}

impl Driver {
    pub(super) async fn room_join(&mut self, text: &str, address: Option<&str>) -> Result<Reply, CommandError> {
        if SpokenCode::looks_like(text) {
            return self.room_hear(text, address).await;
        }
        let link = Link::parse(text).map_err(link_refused)?;
        let room = link.room;
        if self.rooms.get(&room).is_some_and(|entry| entry.room.my_role().is_some()) {
            return Err(CommandError::new(ErrorCode::AlreadyMember, "You are a member of this room already."));
        }
        if self.now_ms() > link.expires_ms.saturating_add(CLOCK_SKEW_MS) {
            return Err(refusal(RefusalCode::Expired));
        }
        self.room_for_one_more()?;
        if self.joins.mine.len() >= MAX_JOINS && !self.joins.mine.contains_key(&room) {
            return Err(CommandError::new(ErrorCode::Busy, "Too many joins are under way; cancel one first."));
        }
        let extra = match address {
            Some(address) => crate::net::address::parse_dial(address)
                .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))?,
            None => Vec::new(),
        };
        let mut by_device: BTreeMap<DeviceId, Vec<Multiaddr>> = BTreeMap::new();
        by_device.entry(link.inviter).or_default().extend(extra);
        for hint in &link.hints {
            if let Ok(address) = hint.address.parse() {
                by_device.entry(hint.device).or_default().push(address);
            }
        }
        for (device, addresses) in &by_device {
            self.net.want(*device, addresses.clone()).await.map_err(net_refused)?;
        }
        let doors = by_device.keys().map(|device| (*device, Door::default())).collect();
        let view = JoinView::Searching { room, tried: self.net.diagnosis().await.map_err(net_refused)? };
        self.joins.mine.insert(room, Joining { link, since: Instant::now(), told: None, view, doors });
        self.knock_where_possible(room);
        Ok(Reply::Joining { joining: room })
    }

    pub(super) async fn room_join_cancel(&mut self, room: RoomId) -> Result<Reply, CommandError> {
        match self.joins.mine.remove(&room) {
            Some(joining) => {
                self.let_go(joining).await;
                Ok(Reply::Done {})
            }
            None => Err(CommandError::new(ErrorCode::UnknownRoom, "There is no join of this room under way.")),
        }
    }

    /// A join is over: devices that no room needs are not looked for any more.
    async fn let_go(&mut self, joining: Joining) {
        self.let_go_of(joining.doors.into_keys()).await;
    }

    /// These devices are not looked for any more, unless a room or another join needs them.
    pub(super) async fn let_go_of(&mut self, devices: impl Iterator<Item = DeviceId>) {
        for device in devices {
            let shared = self.rooms.values().any(|entry| entry.room.acl().is_member(&device));
            let other_join = self.joins.mine.values().any(|other| other.doors.contains_key(&device));
            if !shared && !other_join && self.net.unwant(device).await.is_err() {
                return;
            }
        }
    }

    /// A device was found or reached: it may be a door.
    pub(super) async fn handle_neighbour(&mut self, device: DeviceId) {
        let rooms: Vec<RoomId> =
            self.joins.mine.iter().filter(|(_, joining)| joining.doors.contains_key(&device)).map(|(room, _)| *room).collect();
        for room in rooms {
            self.knock_where_possible(room);
        }
        self.hear_neighbour(device).await;
    }

    fn knock_where_possible(&mut self, room: RoomId) {
        let now = Instant::now();
        let Some(joining) = self.joins.mine.get_mut(&room) else { return };
        for (device, door) in &mut joining.doors {
            let connected = self.peers.get(device).is_some_and(|peer| peer.connected);
            let rested = door.knocked.is_none_or(|knocked| now.duration_since(knocked) > KNOCK_AGAIN);
            if connected && rested && !door.opening && door.stream.is_none() {
                door.opening = true;
                door.knocked = Some(now);
                self.links.knock(room, *device);
            }
        }
    }

    /// The stream by which this device knocks stands.
    pub(super) fn handle_knocking(&mut self, id: LinkId, room: RoomId, device: DeviceId, writer: FrameWriter, task: AbortHandle) {
        let stream = KnockStream { writer, task };
        let now = self.now();
        let Ok(card) = self.me.card() else { return };
        let Some(joining) = self.joins.mine.get_mut(&room) else { return };
        let Some(door) = joining.doors.get_mut(&device) else { return };
        door.opening = false;
        door.knocker = Some(Knocker::new(&joining.link, card, device, now, &mut super::rng()));
        door.stream = Some((id, stream));
    }

    pub(super) fn handle_not_knocking(&mut self, room: RoomId, device: DeviceId, why: &str) {
        tracing::debug!(why, "could not knock");
        if let Some(door) = self.joins.mine.get_mut(&room).and_then(|joining| joining.doors.get_mut(&device)) {
            door.opening = false;
        }
    }

    /// A frame of a knock stream, in either direction.
    pub(super) async fn handle_knock_frame(&mut self, id: LinkId, frame: &[u8]) {
        let (now, now_ms) = (self.now(), self.now_ms());
        if let Some(session) = self.joins.sessions.get(&id).copied() {
            self.keeper();
            if let Some(keeper) = &mut self.joins.keeper {
                keeper.handle_frame(session, frame, &Known(&self.rooms), now, now_ms);
            }
            self.run_keeper().await;
        } else if let Some((room, device)) = self.joins.find_stream(id) {
            if let Some(knocker) = self.door(room, device).and_then(|door| door.knocker.as_mut()) {
                knocker.handle_frame(frame, now);
            }
            self.run_knocker(room, device).await;
        }
    }

    pub(super) async fn handle_knock_down(&mut self, id: LinkId) {
        let now = self.now();
        if let Some(session) = self.joins.sessions.remove(&id) {
            self.joins.streams.remove(&session);
            self.keeper().handle_closed(session, now);
            self.run_keeper().await;
        } else if let Some((room, device)) = self.joins.find_stream(id)
            && let Some(door) = self.door(room, device)
        {
            // Knocked again after a rest, with a new machine.
            door.stream = None;
            door.knocker = None;
        }
    }

    fn door(&mut self, room: RoomId, device: DeviceId) -> Option<&mut Door> {
        self.joins.mine.get_mut(&room)?.doors.get_mut(&device)
    }

    /// Carries out what a conversation of this device with a door asks for.
    async fn run_knocker(&mut self, room: RoomId, device: DeviceId) {
        while let Some(output) = self.door(room, device).and_then(|door| door.knocker.as_mut()?.poll_output()) {
            match output {
                KnockerOutput::Send(frame) => {
                    if let Some((_, stream)) = self.door(room, device).and_then(|door| door.stream.as_ref()) {
                        let _ = stream.writer.send(&frame);
                    }
                }
                KnockerOutput::Waiting { code } => self.tell_join(JoinView::Waiting { room, code }),
                KnockerOutput::Admitted(ops) => self.enter(room, ops).await,
                KnockerOutput::Refused(code) if code.is_final() => self.end_join(room, refusal(code)).await,
                KnockerOutput::Refused(code) => self.turned_away(room, device, code).await,
                KnockerOutput::Failed(KnockError::Version) => self.end_join(room, refusal(RefusalCode::Version)).await,
                KnockerOutput::Failed(error) => {
                    tracing::debug!(%error, "a knock ended without an answer");
                    if let Some(door) = self.door(room, device) {
                        door.stream = None;
                        door.knocker = None;
                    }
                }
            }
        }
    }

    /// This door cannot say yes. Another may, or this one later.
    async fn turned_away(&mut self, room: RoomId, device: DeviceId, code: RefusalCode) {
        let Some(joining) = self.joins.mine.get_mut(&room) else { return };
        if let Some(door) = joining.doors.get_mut(&device) {
            door.stream = None;
            door.knocker = None;
            door.said = Some(code);
        }
        // The inviter itself does not know the invitation: nobody else will.
        if device == joining.link.inviter && matches!(code, RefusalCode::Unknown | RefusalCode::Damaged) {
            self.end_join(room, refusal(code)).await;
        }
    }

    /// Let in: the room begins here.
    async fn enter(&mut self, room: RoomId, ops: Vec<Signed>) {
        let Some(link) = self.joins.mine.get(&room).map(|joining| joining.link.clone()) else { return };
        match self.enter_room(room, ops, |acl| link.is_borne_out_by(acl)).await {
            Ok(()) => {
                self.joins.mine.remove(&room);
                self.publish(Event::JoinProgress { join: JoinView::Joined { room } });
            }
            Err(error) => self.end_join(room, error).await,
        }
    }

    /// From what a door sent. `borne_out`: the log knows the one by whom this device was asked in.
    pub(super) async fn enter_room(
        &mut self,
        room: RoomId,
        ops: Vec<Signed>,
        borne_out: impl FnOnce(&AclState) -> bool,
    ) -> Result<(), CommandError> {
        if self.rooms.contains_key(&room) {
            // Back in a room that this device had been out of.
            return self.enter_again(room, ops).await;
        }
        let (room, applied) = Room::join(self.me.in_rooms()?, room, ops, self.incarnation)
            .map_err(|error| CommandError::new(ErrorCode::Refused, format!("The other side's answer does not hold: {error}.")))?;
        if !borne_out(room.acl()) {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "The other side's answer does not hold: the room does not know who asked you in.",
            ));
        }
        self.adopt(room, applied, Batch::new()).await
    }

    async fn enter_again(&mut self, room: RoomId, ops: Vec<Signed>) -> Result<(), CommandError> {
        let entry = self.entry(room)?;
        let applied = entry.room.handle_acl_ops(ops);
        let inside = entry.room.my_role().is_some();
        self.settle(room, applied, None, Batch::new()).await?;
        if !inside {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "The other side's answer does not hold: it does not admit this device.",
            ));
        }
        self.reach_members(room).await;
        Ok(())
    }

    fn tell_join(&mut self, view: JoinView) {
        let room = match &view {
            JoinView::Searching { room, .. }
            | JoinView::Waiting { room, .. }
            | JoinView::Joined { room }
            | JoinView::Failed { room, .. } => *room,
            // Of codes that were spoken.
            JoinView::Hearing { .. } | JoinView::Heard { .. } | JoinView::Unheard { .. } => return,
        };
        if let Some(joining) = self.joins.mine.get_mut(&room) {
            joining.told = Some(Instant::now());
            joining.view = view.clone();
            self.publish(Event::JoinProgress { join: view });
        }
    }

    async fn end_join(&mut self, room: RoomId, error: CommandError) {
        if let Some(joining) = self.joins.mine.remove(&room) {
            self.let_go(joining).await;
            self.publish(Event::JoinProgress { join: JoinView::Failed { room, error: ErrorView::from(error) } });
        }
    }

    pub(super) async fn handle_join_tick(&mut self) {
        let now = self.now();
        if let Some(keeper) = &mut self.joins.keeper
            && keeper.poll_timeout().is_some_and(|due| due <= now)
        {
            keeper.handle_timeout(now);
            self.run_keeper().await;
        }
        let rooms: Vec<RoomId> = self.joins.mine.keys().copied().collect();
        for room in rooms {
            self.tick_join(room, now).await;
        }
    }

    async fn tick_join(&mut self, room: RoomId, now: Duration) {
        let Some(joining) = self.joins.mine.get_mut(&room) else { return };
        let doors: BTreeSet<DeviceId> = joining.doors.keys().copied().collect();
        for door in joining.doors.values_mut() {
            if let Some(knocker) = &mut door.knocker
                && knocker.poll_timeout().is_some_and(|due| due <= now)
            {
                knocker.handle_timeout(now);
            }
        }
        for device in doors {
            self.run_knocker(room, device).await;
        }
        self.knock_where_possible(room);
        let Some(joining) = self.joins.mine.get(&room) else { return };
        let waiting =
            matches!(joining.view, JoinView::Waiting { .. }) && joining.doors.values().any(|door| door.stream.is_some());
        if waiting || joining.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        let late = joining.since.elapsed() > SEARCH_FOR;
        let said = joining.doors.values().find_map(|door| door.said);
        let Ok(mut tried) = self.net.diagnosis().await else { return };
        if said == Some(RefusalCode::NotAnAdmin) {
            tried.hints.insert(0, "Someone of the room was found, but nobody who may let you in is there.".to_owned());
        }
        if late {
            self.end_join(room, nobody_found(&tried)).await;
        } else {
            self.tell_join(JoinView::Searching { room, tried });
        }
    }
}

pub(super) fn nobody_found(tried: &DiagnosisView) -> CommandError {
    let interfaces: Vec<&str> =
        tried.interfaces.iter().filter(|interface| !interface.loopback).map(|interface| interface.name.as_str()).collect();
    let interfaces = if interfaces.is_empty() { "no network interface".to_owned() } else { interfaces.join(", ") };
    let multicast = if tried.multicast { "with multicast" } else { "without multicast" };
    CommandError::new(
        ErrorCode::NobodyFound,
        format!(
            "Nobody of the room answered. Tried: {interfaces} ({multicast}), {} neighbours, {} addresses. {}",
            tried.neighbours,
            tried.dialled.len(),
            tried.hints.join(" ")
        ),
    )
}
