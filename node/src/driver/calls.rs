//! Calls: who is in one is decided by the machine of `conclave_protocol::call`; the media are those of [`crate::rtc::mesh`]. It speaks
//! for them with the loop and decides nothing.

mod devices;
mod media;
mod signs;
mod sound;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use conclave_media::audio::Chime;
use conclave_media::video::VideoPreview;
use conclave_protocol::call::{CallEnd, CallOutput, MAX_PEOPLE};
use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::live::{Departure, LiveFrame, LivePayload, MAX_LIVE_FRAME, MediaState};
use conclave_protocol::media::pacing::Share;
use conclave_protocol::media::quality::QualityMeter;
use conclave_protocol::media::speaker::Speech;
use conclave_protocol::wire;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub(super) use self::devices::{Change, Done, list_devices, share};
pub(super) use self::sound::load as load_sound;
use super::Driver;
use super::links::{LinkId, LinkKey};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::{Event, LeaveReason};
use crate::net::StreamName;
use crate::pictures::PictureSlots;
use crate::rtc::mesh::{Mesh, MeshEvent};
use crate::rtc::transport::TransportStats;
use crate::view::{LinkState, LinkStats, MyMediaView, SoundView};

/// Events of the media that wait for the loop. When it is full the mesh waits, and leaves figures out.
const MESH_EVENTS: usize = 256;
/// Answers of devices that wait for the loop; one for each command under way, of which the queue of commands bounds the number.
const MEDIA_DONE: usize = 128;
/// How long a shutdown waits for the media to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// What somebody else's media are like, as this device sees them.
#[derive(Debug, Clone)]
struct Person {
    link: LinkState,
    stats: LinkStats,
    level: f32,
    quality: QualityMeter,
}

impl Default for Person {
    fn default() -> Self {
        Self { link: LinkState::Connecting, stats: LinkStats::default(), level: 0.0, quality: QualityMeter::new() }
    }
}

/// The call this device is in.
struct Active {
    room: RoomId,
    mesh: Arc<Mesh>,
    mine: MyMediaView,
    /// How the own screen is shared, while it is.
    share: Share,
    people: BTreeMap<DeviceId, Person>,
    tasks: JoinSet<()>,
    /// Who is heard speaking, and whose picture is the large one.
    speaking: BTreeSet<DeviceId>,
    speaker: Option<DeviceId>,
    /// The own voice.
    voice: Speech,
    /// Which joining of a call this is. It stays when two calls become one.
    joining: u64,
}

/// All that has to do with calls.
pub(super) struct Calls {
    active: Option<Active>,
    pub(super) mesh_events: mpsc::Receiver<MeshEvent>,
    pub(super) done: mpsc::Receiver<Done>,
    doing: mpsc::Sender<Done>,
    pictures: PictureSlots,
    preview: Arc<Mutex<Option<VideoPreview>>>,
    sound: SoundView,
    /// How loud people are played here, until the node stops.
    volumes: BTreeMap<DeviceId, f32>,
    meter: sound::Meter,
    /// Held while a microphone or a speaker is tried.
    trial: Arc<tokio::sync::Mutex<()>>,
    /// Meshes that say goodbye.
    closing: JoinSet<()>,
    /// Counts the calls that were joined.
    joinings: u64,
    changed: bool,
    told: Option<Instant>,
}

impl Calls {
    pub(super) fn new(pictures: PictureSlots, sound: SoundView) -> Self {
        let (doing, done) = mpsc::channel(MEDIA_DONE);
        Self {
            active: None,
            mesh_events: mpsc::channel(MESH_EVENTS).1,
            done,
            doing,
            pictures,
            preview: Arc::default(),
            sound,
            volumes: BTreeMap::new(),
            meter: sound::Meter::default(),
            trial: Arc::default(),
            closing: JoinSet::new(),
            joinings: 0,
            changed: false,
            told: None,
        }
    }
}

fn not_in_call() -> CommandError {
    CommandError::new(ErrorCode::NotInCall, "This device is in no call.")
}

fn reason(departure: Departure) -> LeaveReason {
    match departure {
        Departure::Left | Departure::Moved | Departure::Removed => LeaveReason::Left,
        Departure::Lost => LeaveReason::Lost,
        Departure::Revoked => LeaveReason::Revoked,
        Departure::Mismatch => LeaveReason::Mismatch,
    }
}

fn full() -> CommandError {
    CommandError::new(ErrorCode::CallFull, format!("The call is full: {MAX_PEOPLE} people are in it."))
}

impl MyMediaView {
    fn state(&self) -> MediaState {
        MediaState {
            mic: self.mic_on && !self.deafened,
            camera: self.camera.is_some(),
            screen: self.screen.is_some(),
            deafened: self.deafened,
            recording: self.recording.is_some(),
        }
    }
}

impl Driver {
    fn call_join(&mut self, room: RoomId) -> Result<(), CommandError> {
        if self.entry(room)?.room.my_role().is_none() {
            return Err(CommandError::new(ErrorCode::NotMember, "This device is not a member of the room any more."));
        }
        if self.calls.active.is_some() {
            return Err(CommandError::new(ErrorCode::AlreadyInCall, "This device is in a call already; leave it first."));
        }
        let (now, now_ms) = (self.now(), self.now_ms());
        self.calls.joinings += 1;
        self.entry(room)?.call.join(MediaState::default(), now, now_ms, &mut super::rng());
        self.run_call(room)?;
        if self.calls.active.is_none() { Err(full()) } else { Ok(()) }
    }

    /// Carries out what the call of a room asks for.
    fn run_call(&mut self, room: RoomId) -> Result<(), CommandError> {
        let mut failed = None;
        while let Some(output) = self.rooms.get_mut(&room).and_then(|entry| entry.call.poll_output()) {
            match output {
                CallOutput::Say(presence) => self.say(room, &LivePayload::Presence(presence)),
                CallOutput::Joined(call) => {
                    if let Err(error) = self.start_mesh(room, call, MyMediaView::default()) {
                        let now = self.now();
                        if let Some(entry) = self.rooms.get_mut(&room) {
                            entry.call.leave(now);
                        }
                        failed = Some(error);
                    }
                }
                CallOutput::Moved(call) => self.move_mesh(room, call),
                CallOutput::AddPeer(device) => self.add_person(room, device),
                CallOutput::RemovePeer(device, _) => {
                    if let Some(active) = self.active_in(room) {
                        active.people.remove(&device);
                        active.speaking.remove(&device);
                        active.mesh.remove_peer(device);
                    }
                }
                CallOutput::ParticipantJoined(device) => {
                    self.dirty.insert(room);
                    self.chime(room, Chime::Join);
                    self.publish(Event::CallParticipantJoined { room, device });
                }
                CallOutput::ParticipantChanged(device) => self.tell_streams(room, device),
                CallOutput::ParticipantLeft(device, departure) => {
                    self.dirty.insert(room);
                    self.chime(room, Chime::Leave);
                    self.publish(Event::CallParticipantLeft { room, device, reason: reason(departure) });
                }
                CallOutput::MutedBy(by) => self.handle_muted_by(room, by),
                CallOutput::HandLowered(by) => self.publish(Event::CallHandLowered { room, device: Some(by) }),
                CallOutput::Reacted(device, emoji) => self.publish(Event::CallReaction { room, device, emoji }),
                CallOutput::Ended(end) => {
                    self.dirty.insert(room);
                    self.end_mesh(room);
                    let error = match end {
                        CallEnd::Left => None,
                        CallEnd::Full => Some(full().into()),
                        CallEnd::Removed(by) => Some(self.ended_by(room, by, "removed you from the call").into()),
                        CallEnd::EndedForAll(by) if by == self.me.device.id() => None,
                        CallEnd::EndedForAll(by) => Some(self.ended_by(room, by, "ended the call for everyone").into()),
                        CallEnd::Revoked => Some(
                            CommandError::new(ErrorCode::NotMember, "This device does not belong to the room any more.").into(),
                        ),
                    };
                    self.publish(Event::CallEnded { room, error });
                    self.publish(Event::CallChanged { call: None });
                }
                CallOutput::Refused(_) => failed = Some(full()),
            }
            self.calls.changed = true;
        }
        failed.map_or(Ok(()), Err)
    }

    /// This device is in a call.
    /// How the packets of the call fare on their ways, where there is a call.
    pub(super) fn call_paths(&self) -> Option<Vec<TransportStats>> {
        self.calls.active.as_ref().map(|active| active.mesh.paths())
    }

    fn ended_by(&self, room: RoomId, by: DeviceId, what: &str) -> CommandError {
        let name = self.rooms.get(&room).and_then(|entry| entry.room.acl().name_of(&by));
        CommandError::new(ErrorCode::RemovedFromCall, format!("{} {what}.", name.unwrap_or("Somebody")))
    }

    fn chime(&mut self, room: RoomId, chime: Chime) {
        let wanted = self.calls.sound.chimes;
        if let Some(active) = self.active_in(room).filter(|_| wanted) {
            active.mesh.chime(chime);
        }
    }

    fn active_in(&mut self, room: RoomId) -> Option<&mut Active> {
        self.calls.active.as_mut().filter(|active| active.room == room)
    }

    /// Media with a participant begin, unless another account had the name before.
    fn add_person(&mut self, room: RoomId, device: DeviceId) {
        let key_changed = self.is_key_changed(room, &device);
        let volume = self.calls.volumes.get(&device).copied();
        if let Some(active) = self.active_in(room) {
            let link = if key_changed { LinkState::KeyChanged } else { LinkState::Connecting };
            active.people.insert(device, Person { link, ..Person::default() });
            if !key_changed {
                active.mesh.add_peer(device);
                if let Some(volume) = volume {
                    active.mesh.set_volume(device, volume);
                }
            }
        }
        self.tell_streams(room, device);
    }

    /// After a name, a mark or a key changed: media with whoever may not have them end, and begin with whoever may.
    pub(super) fn review_blocked(&mut self, room: RoomId) {
        let Some(active) = self.active_in(room) else { return };
        let people: Vec<(DeviceId, LinkState)> = active.people.iter().map(|(device, person)| (*device, person.link)).collect();
        for (device, link) in people {
            match (self.is_key_changed(room, &device), link) {
                (_, LinkState::Mismatch) | (true, LinkState::KeyChanged) => {}
                (false, LinkState::KeyChanged) => self.add_person(room, device),
                (true, _) => {
                    if let Some(active) = self.active_in(room) {
                        active.mesh.remove_peer(device);
                    }
                    self.add_person(room, device);
                }
                (false, _) => {}
            }
        }
    }

    /// What a participant says of their own streams reaches the media: one that is off leaves no frozen picture.
    fn tell_streams(&mut self, room: RoomId, device: DeviceId) {
        let Some(told) = self.rooms.get(&room).and_then(|entry| entry.call.participant(&device)) else { return };
        let Some(active) = self.active_in(room) else { return };
        active.mesh.set_peer_streams(device, told.media.camera, told.media.screen);
        self.note_recording(room, device, told.media.recording);
        self.calls.changed = true;
    }

    fn note_recording(&mut self, room: RoomId, device: DeviceId, on: bool) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        let changed = if on { entry.recorders.insert(device) } else { entry.recorders.remove(&device) };
        if changed {
            self.publish(Event::CallRecording { room, device, on });
        }
    }

    /// Joins, and opens what is wanted from the first moment; where that fails it is told as a problem of the call.
    pub(super) fn call_join_with(
        &mut self,
        room: RoomId,
        (mic, mic_on): (Option<String>, bool),
        camera: Option<String>,
        speaker: Option<String>,
    ) -> Result<Reply, CommandError> {
        self.call_join(room)?;
        self.calls.end_meter();
        if let Some(speaker) = speaker {
            self.change(Change::Speaker(speaker), None);
        }
        if mic.is_some() {
            self.change(Change::Mic { source: mic, on: mic_on }, None);
        }
        if camera.is_some() {
            self.change(Change::Camera(camera), None);
        }
        Ok(Reply::Done {})
    }

    fn call_id(&self) -> Option<CallId> {
        let active = self.calls.active.as_ref()?;
        self.rooms.get(&active.room)?.call.current()
    }

    pub(super) fn call_leave(&mut self) -> Result<Reply, CommandError> {
        let room = self.calls.active.as_ref().ok_or_else(not_in_call)?.room;
        self.leave_call_of(room);
        Ok(Reply::Done {})
    }

    pub(super) fn leave_call_of(&mut self, room: RoomId) {
        let now = self.now();
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.call.leave(now);
        }
        self.carry_out(room);
    }

    /// Leaves the call, and waits a moment for its goodbyes.
    pub(super) async fn leave_for_good(&mut self) {
        if let Some(active) = &self.calls.active {
            let room = active.room;
            self.leave_call_of(room);
        }
        let preview = self.calls.preview.lock().unwrap_or_else(PoisonError::into_inner).take();
        let preview = tokio::task::spawn_blocking(move || drop(preview));
        let goodbyes = async {
            while self.calls.closing.join_next().await.is_some() {}
            let _ = preview.await;
        };
        if tokio::time::timeout(GOODBYE, goodbyes).await.is_err() {
            tracing::warn!("the media did not close in time");
        }
    }

    pub(super) fn carry_out(&mut self, room: RoomId) {
        if let Err(error) = self.run_call(room) {
            self.publish(Event::Problem { error: error.into() });
        }
    }

    /// A member is no member any more: out of the call at once, whatever they say.
    pub(super) fn drop_participant(&mut self, room: RoomId, device: DeviceId) {
        let (now, me) = (self.now(), self.me.device.id());
        if let Some(entry) = self.rooms.get_mut(&room) {
            if device == me { entry.call.handle_self_revoked(now) } else { entry.call.handle_revoked(device, now) }
        }
        self.carry_out(room);
    }

    /// A device belongs to the room from here on: a live stream that it opened before is one of a member now.
    pub(super) fn greet_member(&mut self, room: RoomId, device: DeviceId) {
        if let Some(link) = self.links.by_key(LinkKey { device, room, name: StreamName::Live }).map(|link| link.id) {
            self.greet_live(link);
        }
    }

    /// The live stream to a member stands.
    pub(super) fn greet_live(&mut self, link: LinkId) {
        let now = self.now();
        let Some(key) = self.links.get(link).map(|link| link.key) else { return };
        if let Some(entry) = self.rooms.get_mut(&key.room)
            && entry.room.acl().is_member(&key.device)
        {
            // A new stream: what was said over one before it may be lost.
            entry.session.handle_disconnected(&key.device);
            entry.session.handle_connected(key.device, now);
            self.tell_whereabouts(key);
        }
        self.run_session(key.room);
    }

    pub(super) async fn handle_live_frame(&mut self, link: LinkId, frame: &[u8]) {
        let now = self.now();
        let Some(key) = self.links.get(link).map(|link| link.key) else { return };
        let Some(entry) = self.rooms.get_mut(&key.room) else { return };
        if !entry.room.acl().is_member(&key.device) {
            // Its admission may be known to others and not here yet; nothing of it counts before.
            return;
        }
        match wire::decode_within::<LiveFrame>(frame, MAX_LIVE_FRAME) {
            Ok(LiveFrame::Session(frame)) => {
                entry.session.handle_frame(key.device, frame, &entry.room, now);
                self.run_session(key.room);
            }
            Ok(LiveFrame::Signal(signal)) => {
                if let Some(active) = self.active_in(key.room) {
                    active.mesh.signal(key.device, signal);
                }
            }
            Ok(LiveFrame::Whereabouts(told)) => self.handle_whereabouts(link, told).await,
            Ok(LiveFrame::Unknown(kind)) => tracing::debug!(kind, "a live frame from a newer version"),
            Err(error) => {
                tracing::debug!(%error, "a live frame cannot be read");
                self.links.close(link);
            }
        }
    }

    /// When the call that this device is in has something due.
    pub(super) fn call_due(&self) -> Option<Instant> {
        let room = self.calls.active.as_ref()?.room;
        Some(self.started + self.rooms.get(&room)?.call.poll_timeout()?)
    }

    pub(super) fn handle_call_tick(&mut self) {
        let now = self.now();
        if let Some(active) = &self.calls.active {
            let (room, level) = (active.room, dbov(active.mesh.mic_level()));
            let speaks = active.mine.state().mic;
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.call.set_level(if speaks { level } else { 127 });
            }
        }
        self.hear_myself();
        let due: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(_, entry)| entry.call.poll_timeout().is_some_and(|due| due <= now))
            .map(|(room, _)| *room)
            .collect();
        for room in due {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.call.handle_timeout(now);
            }
            self.carry_out(room);
        }
        while self.calls.closing.try_join_next().is_some() {}
    }
}

/// From loudness, 0 to 1, to RFC 6464's −dBov.
fn dbov(level: f32) -> u8 {
    if level <= 0.0 { 127 } else { (-20.0 * level.log10()).clamp(0.0, 127.0) as u8 }
}
