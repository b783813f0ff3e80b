//! Codes that are spoken, on both sides: whoever speaks one here, and the one that was heard here. Who is let in, and whom to ask, is
//! decided by the machines of `conclave_protocol::spoken`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::identity::MemberCard;
use conclave_protocol::knock::{RefusalCode, SessionId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::spoken::{
    CodeError, HearError, Hearer, HearerOutput, Introduction, MAX_CODES, SPOKEN_FOR, Speaker, SpeakerOutput, SpokenCode,
    SpokenEnd,
};
use conclave_protocol::wire::Signed;
use tokio::task::AbortHandle;

use super::joins::doors::Known;
use super::joins::{KnockStream, TELL_EVERY, nobody_found, refusal};
use super::links::LinkId;
use super::{Driver, net_refused, rng};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::net::FrameWriter;
use crate::store::Batch;
use crate::view::{ErrorView, JoinView, SpokenEndView, SpokenView};

/// Neighbours that are kept connected while a code is looked for.
const MAX_WANTED: usize = 64;

/// The code that was heard here.
struct Hearing {
    hearer: Hearer,
    streams: BTreeMap<DeviceId, (LinkId, KnockStream)>,
    /// At most [`MAX_WANTED`].
    wanted: BTreeSet<DeviceId>,
    told: Option<Instant>,
    view: JoinView,
}

/// Spoken codes of this device, and the one that it heard.
#[derive(Default)]
pub(super) struct Spoken {
    speaker: Option<Speaker>,
    /// Streams of those who ask here.
    sessions: BTreeMap<LinkId, SessionId>,
    streams: BTreeMap<SessionId, (LinkId, KnockStream)>,
    hearing: Option<Hearing>,
}

impl Spoken {
    /// Whether a stream belongs to a spoken code.
    pub(super) fn has(&self, id: LinkId) -> bool {
        self.sessions.contains_key(&id) || self.device_of(id).is_some()
    }

    pub(super) fn hearing_view(&self) -> Option<JoinView> {
        self.hearing.as_ref().map(|hearing| hearing.view.clone())
    }

    fn device_of(&self, id: LinkId) -> Option<DeviceId> {
        let streams = self.hearing.as_ref().map(|hearing| &hearing.streams)?;
        streams.iter().find(|(_, (stream, _))| *stream == id).map(|(device, _)| *device)
    }
}

fn code_refused(error: CodeError) -> CommandError {
    let message = match error {
        CodeError::Word(word) => format!("No code has the word “{word}”. Listen again: the words are English."),
        CodeError::Shape => "A code is a number and three words, such as 42 apple river stone.".to_owned(),
        CodeError::Number => "The number of a code is between 1 and 999.".to_owned(),
    };
    CommandError::new(ErrorCode::CodeWrong, message)
}

impl Driver {
    // The side that speaks.

    pub(super) async fn room_speak(&mut self, room: RoomId, role: Role) -> Result<Reply, CommandError> {
        let (now, expires_ms) = (self.now(), self.now_ms() + SPOKEN_FOR.as_millis() as u64);
        if role == Role::Owner {
            return Err(CommandError::new(ErrorCode::BadRequest, "Nobody can be invited as the owner of a room."));
        }
        if self.entry(room)?.room.my_role().is_none_or(|mine| mine < Role::Admin) {
            return Err(CommandError::new(ErrorCode::NotPermitted, "Only an admin of the room lets people in."));
        }
        let code = self.speaker().speak(room, role, now, &mut rng());
        let code = code.ok_or_else(|| {
            CommandError::new(ErrorCode::Busy, format!("{MAX_CODES} codes are open here already; take one back first."))
        })?;
        let (number, code) = (code.number(), code.text().to_string());
        Ok(Reply::Spoken { spoken: SpokenView { room, number, code, role: role.into(), expires_ms } })
    }

    pub(super) async fn room_speak_end(&mut self, room: RoomId, number: u32) -> Result<Reply, CommandError> {
        let known = self.speaker().withdraw(room, number);
        self.run_speaker().await;
        match known {
            true => Ok(Reply::Done {}),
            false => Err(CommandError::new(ErrorCode::CodeWrong, "No code of this number is open for the room.")),
        }
    }

    fn speaker(&mut self) -> &mut Speaker {
        let (me, account) = (self.me.device.id(), self.me.account.id());
        self.spoken.speaker.get_or_insert_with(|| Speaker::new(me, account))
    }

    /// Somebody asks for a code.
    pub(super) async fn handle_asked(&mut self, id: LinkId, device: DeviceId, writer: FrameWriter, task: AbortHandle) {
        let now = self.now();
        let session = self.speaker().handle_opened(device, now);
        self.spoken.sessions.insert(id, session);
        self.spoken.streams.insert(session, (id, KnockStream { writer, task }));
        self.run_speaker().await;
    }

    /// The room's members changed: whoever may not let people in any more has no code for it.
    pub(super) async fn review_codes(&mut self, room: RoomId) {
        if let Some(speaker) = &mut self.spoken.speaker {
            speaker.handle_room_changed(room, &Known(&self.rooms));
            Box::pin(self.run_speaker()).await;
        }
    }

    async fn run_speaker(&mut self) {
        let mut frames: BTreeMap<SessionId, Vec<Vec<u8>>> = BTreeMap::new();
        while let Some(output) = self.spoken.speaker.as_mut().and_then(Speaker::poll_output) {
            match output {
                SpeakerOutput::Send { session, frame } => frames.entry(session).or_default().push(frame),
                SpeakerOutput::Close { session } => {
                    self.send_to_hearer(session, frames.remove(&session).unwrap_or_default());
                    if let Some((id, _)) = self.spoken.streams.remove(&session) {
                        self.spoken.sessions.remove(&id);
                    }
                }
                SpeakerOutput::Admit { session, room, card, role } => {
                    // What proves the room goes out before the log is written.
                    self.send_to_hearer(session, frames.remove(&session).unwrap_or_default());
                    self.admit_by_code(session, room, card, role).await;
                }
                SpeakerOutput::Failed { room, number, failures } => {
                    self.publish(Event::SpokenFailed { room, number, failures });
                }
                SpeakerOutput::Ended { room, number, end } => {
                    let end = match end {
                        SpokenEnd::Used => SpokenEndView::Used,
                        SpokenEnd::Expired => SpokenEndView::Expired,
                        SpokenEnd::Burnt => SpokenEndView::Burnt,
                        SpokenEnd::Withdrawn => SpokenEndView::Withdrawn,
                    };
                    self.publish(Event::SpokenEnded { room, number, end });
                }
            }
        }
        for (session, frames) in frames {
            self.send_to_hearer(session, frames);
        }
    }

    fn send_to_hearer(&self, session: SessionId, frames: Vec<Vec<u8>>) {
        if let Some((_, stream)) = self.spoken.streams.get(&session) {
            stream.send_all(frames);
        }
    }

    async fn admit_by_code(&mut self, session: SessionId, room: RoomId, card: MemberCard, role: Role) {
        let now = self.now_ms();
        let admitted = match self.entry(room) {
            Err(_) => Err(RefusalCode::Unknown),
            // A member that lost its log gets it again.
            Ok(entry) if entry.room.acl().is_member(&card.device) => Ok(None),
            Ok(entry) => entry.room.admit(card, role, None, now, &mut rng()).map(Some).map_err(RefusalCode::from),
        };
        let settled = match admitted {
            Ok(Some(applied)) => match Box::pin(self.settle(room, applied, None, Batch::new())).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.publish(Event::Problem { error: error.into() });
                    Err(RefusalCode::Busy)
                }
            },
            Ok(None) => Ok(()),
            Err(code) => Err(code),
        };
        let ops = self.rooms.get(&room).map(|entry| entry.room.acl_missing(&[]));
        match (settled, ops) {
            (Ok(()), Some(ops)) => self.speaker().handle_admitted(session, ops),
            (Err(code), _) => self.speaker().handle_not_admitted(session, code),
            (Ok(()), None) => self.speaker().handle_not_admitted(session, RefusalCode::Unknown),
        }
    }

    // The side that heard.

    pub(super) async fn room_hear(&mut self, text: &str, address: Option<&str>) -> Result<Reply, CommandError> {
        let code: SpokenCode = text.parse().map_err(code_refused)?;
        self.room_for_one_more()?;
        let addresses = match address {
            Some(address) => crate::net::address::parse_dial(address)
                .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))?,
            None => Vec::new(),
        };
        let card = self.me.card()?;
        // Another code instead of the one before.
        self.stop_hearing().await;
        let (number, now) = (code.number(), self.now());
        let view = JoinView::Hearing { number, tried: self.net.diagnosis().await.map_err(net_refused)? };
        let hearer = Hearer::new(code, card, now);
        self.spoken.hearing = Some(Hearing { hearer, streams: BTreeMap::new(), wanted: BTreeSet::new(), told: None, view });
        if !addresses.is_empty() {
            self.net.dial(None, addresses).await.map_err(net_refused)?;
        }
        let within_reach: Vec<DeviceId> = self.peers.keys().copied().collect();
        for device in within_reach {
            self.hear_neighbour(device).await;
        }
        Ok(Reply::Hearing { hearing: number })
    }

    pub(super) async fn room_hear_cancel(&mut self) -> Result<Reply, CommandError> {
        match self.stop_hearing().await {
            true => Ok(Reply::Done {}),
            false => Err(CommandError::new(ErrorCode::CodeWrong, "No join by a code is under way.")),
        }
    }

    /// Whether there was one.
    async fn stop_hearing(&mut self) -> bool {
        let Some(hearing) = self.spoken.hearing.take() else { return false };
        self.let_go_of(hearing.wanted.into_iter()).await;
        true
    }

    /// A device was found or reached: it may be the one that speaks.
    pub(super) async fn hear_neighbour(&mut self, device: DeviceId) {
        let now = self.now();
        let connected = self.peers.get(&device).is_some_and(|peer| peer.connected);
        let Some(hearing) = &mut self.spoken.hearing else { return };
        let is_new = hearing.wanted.len() < MAX_WANTED && hearing.wanted.insert(device);
        if connected {
            hearing.hearer.handle_reachable(device, now);
        }
        if is_new && self.net.want(device, Vec::new()).await.is_err() {
            return;
        }
        self.run_hearer().await;
    }

    pub(super) fn hear_no_more(&mut self, device: DeviceId) {
        if let Some(hearing) = &mut self.spoken.hearing {
            hearing.hearer.handle_unreachable(device);
        }
    }

    pub(super) async fn handle_asking(&mut self, id: LinkId, device: DeviceId, writer: FrameWriter, task: AbortHandle) {
        let now = self.now();
        let stream = KnockStream { writer, task };
        let Some(hearing) = &mut self.spoken.hearing else { return };
        hearing.streams.insert(device, (id, stream));
        hearing.hearer.handle_opened(device, now, &mut rng());
        self.run_hearer().await;
    }

    pub(super) async fn handle_not_asking(&mut self, device: DeviceId, why: &str) {
        tracing::debug!(why, "could not ask for a code");
        let now = self.now();
        let Some(hearing) = &mut self.spoken.hearing else { return };
        hearing.hearer.handle_closed(device, now);
        self.run_hearer().await;
    }

    // Both.

    pub(super) async fn handle_spoken_frame(&mut self, id: LinkId, frame: &[u8]) {
        let now = self.now();
        if let Some(session) = self.spoken.sessions.get(&id).copied() {
            self.speaker().handle_frame(session, frame, now, &mut rng());
            Box::pin(self.run_speaker()).await;
        } else if let Some(device) = self.spoken.device_of(id)
            && let Some(hearing) = &mut self.spoken.hearing
        {
            hearing.hearer.handle_frame(device, frame, now);
            Box::pin(self.run_hearer()).await;
        }
    }

    pub(super) async fn handle_spoken_down(&mut self, id: LinkId) {
        let now = self.now();
        if let Some(session) = self.spoken.sessions.remove(&id) {
            self.spoken.streams.remove(&session);
            self.speaker().handle_closed(session);
        } else if let Some(device) = self.spoken.device_of(id)
            && let Some(hearing) = &mut self.spoken.hearing
        {
            hearing.streams.remove(&device);
            hearing.hearer.handle_closed(device, now);
            Box::pin(self.run_hearer()).await;
        }
    }

    pub(super) async fn handle_spoken_tick(&mut self) {
        let now = self.now();
        if let Some(speaker) = &mut self.spoken.speaker
            && speaker.poll_timeout().is_some_and(|due| due <= now)
        {
            speaker.handle_timeout(now);
            Box::pin(self.run_speaker()).await;
        }
        let Some(hearing) = &mut self.spoken.hearing else { return };
        if hearing.hearer.poll_timeout().is_some_and(|due| due <= now) {
            hearing.hearer.handle_timeout(now);
            Box::pin(self.run_hearer()).await;
        }
        self.tell_hearing().await;
    }

    async fn tell_hearing(&mut self) {
        let Some(hearing) = &self.spoken.hearing else { return };
        if hearing.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        let Ok(tried) = self.net.diagnosis().await else { return };
        let Some(hearing) = &mut self.spoken.hearing else { return };
        hearing.told = Some(Instant::now());
        hearing.view = JoinView::Hearing { number: hearing.hearer.number(), tried };
        let join = hearing.view.clone();
        self.publish(Event::JoinProgress { join });
    }

    async fn run_hearer(&mut self) {
        while let Some(hearing) = &mut self.spoken.hearing
            && let Some(output) = hearing.hearer.poll_output()
        {
            match output {
                HearerOutput::Open(device) => self.links.ask_for_code(device),
                HearerOutput::Send { device, frame } => {
                    if let Some((_, stream)) = hearing.streams.get(&device) {
                        stream.send_all(vec![frame]);
                    }
                }
                HearerOutput::Close(device) => drop(hearing.streams.remove(&device)),
                HearerOutput::Admitted(whom, ops) => return self.enter_by_code(&whom, ops).await,
                HearerOutput::Failed(error) => {
                    let error = match error {
                        HearError::Nobody => match self.net.diagnosis().await {
                            Ok(tried) => nobody_found(&tried),
                            Err(error) => net_refused(error),
                        },
                        error => hear_failed(error),
                    };
                    return self.end_hearing(error).await;
                }
            }
        }
    }

    async fn enter_by_code(&mut self, whom: &Introduction, ops: Vec<Signed>) {
        let (room, speaker, account) = (whom.room, whom.speaker, whom.account);
        let entered = self.enter_room(room, ops, |acl| acl.account_of(&speaker) == Some(account)).await;
        let Some(hearing) = &self.spoken.hearing else { return };
        let number = hearing.hearer.number();
        match entered {
            Ok(()) => {
                self.stop_hearing().await;
                self.publish(Event::JoinProgress { join: JoinView::Heard { number, room } });
            }
            Err(error) => self.end_hearing(error).await,
        }
    }

    async fn end_hearing(&mut self, error: CommandError) {
        let Some(number) = self.spoken.hearing.as_ref().map(|hearing| hearing.hearer.number()) else { return };
        self.stop_hearing().await;
        self.publish(Event::JoinProgress { join: JoinView::Unheard { number, error: ErrorView::from(error) } });
    }
}

fn hear_failed(error: HearError) -> CommandError {
    let (code, message) = match error {
        HearError::Refused(code) => return refusal(code),
        HearError::WrongWords => {
            (ErrorCode::CodeWrong, "The words are not those of the code. Ask for them again; after three times a code is burnt.")
        }
        HearError::Gone => (ErrorCode::LinkExpired, "The code lets nobody in any more. Ask for a new one."),
        HearError::Interference => (
            ErrorCode::CodeMismatch,
            "Devices nearby answer for this code and do not know it: somebody may be in between. Ask for a new one.",
        ),
        HearError::Nobody => (ErrorCode::NobodyFound, "Nobody within reach speaks this code."),
    };
    CommandError::new(code, message)
}
