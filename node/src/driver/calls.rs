//! Calls: who is in one is decided by the machine of `conclave_protocol::call`; the media are those of [`crate::rtc::mesh`]. Devices are
//! opened beside the loop, which never waits for a camera.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use conclave_media::device::{self, DeviceKind};
use conclave_media::error::MediaError;
use conclave_media::video::VideoPreview;
use conclave_protocol::call::{CallEnd, CallOutput, MAX_PEOPLE};
use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::live::{Departure, LiveFrame, LivePayload, MAX_LIVE_FRAME, MediaState};
use conclave_protocol::wire;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Driver;
use super::links::{LinkId, LinkKey};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::{Event, LeaveReason};
use crate::net::StreamName;
use crate::pictures::PictureSlots;
use crate::rtc::mesh::{Mesh, MeshConfig, MeshEvent};
use crate::view::{CallView, LinkState, LinkStats, MediaDeviceView, MediaKind, MyMediaView, ParticipantView, PictureKey};

/// Events of the media that wait for the loop. When it is full the mesh waits, and leaves figures out.
const MESH_EVENTS: usize = 256;
/// Answers of devices that wait for the loop; one for each command under way, of which the queue of commands bounds the number.
const MEDIA_DONE: usize = 128;
/// The call is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Pictures a second, width and height of the preview at most.
const PREVIEW: (u32, u32, u32) = (30, 1280, 720);
/// How long a shutdown waits for the media to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// What somebody else's media are like, as this device sees them.
#[derive(Debug, Clone, Copy)]
struct Person {
    link: LinkState,
    stats: LinkStats,
    level: f32,
}

impl Default for Person {
    fn default() -> Self {
        Self { link: LinkState::Connecting, stats: LinkStats::default(), level: 0.0 }
    }
}

/// The call this device is in.
struct Active {
    room: RoomId,
    mesh: Arc<Mesh>,
    mine: MyMediaView,
    people: BTreeMap<DeviceId, Person>,
    tasks: JoinSet<()>,
    /// Which joining of a call this is. It stays when two calls become one.
    joining: u64,
}

/// A change of this device's media that was asked for.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Mic { source: Option<String>, on: bool },
    Camera(Option<String>),
    Screen(Option<String>),
    Speaker(String),
    Record(Option<PathBuf>),
}

/// What came of it.
pub(super) struct Done {
    call: CallId,
    joining: u64,
    change: Change,
    result: Result<(), MediaError>,
    answer: Option<Answer>,
}

/// All that has to do with calls.
pub(super) struct Calls {
    active: Option<Active>,
    pub(super) mesh_events: mpsc::Receiver<MeshEvent>,
    pub(super) done: mpsc::Receiver<Done>,
    doing: mpsc::Sender<Done>,
    pictures: PictureSlots,
    preview: Arc<Mutex<Option<VideoPreview>>>,
    /// Meshes that say goodbye.
    closing: JoinSet<()>,
    /// Counts the calls that were joined.
    joinings: u64,
    changed: bool,
    told: Option<Instant>,
}

impl Calls {
    pub(super) fn new(pictures: PictureSlots) -> Self {
        let (doing, done) = mpsc::channel(MEDIA_DONE);
        Self {
            active: None,
            mesh_events: mpsc::channel(MESH_EVENTS).1,
            done,
            doing,
            pictures,
            preview: Arc::default(),
            closing: JoinSet::new(),
            joinings: 0,
            changed: false,
            told: None,
        }
    }
}

fn media_refused(error: &MediaError) -> CommandError {
    let code = match error {
        MediaError::BadSpec { .. } => ErrorCode::BadRequest,
        MediaError::Unsupported { .. } => ErrorCode::Unsupported,
        _ => ErrorCode::DeviceFailed,
    };
    CommandError::new(code, error.to_string())
}

fn not_in_call() -> CommandError {
    CommandError::new(ErrorCode::NotInCall, "This device is in no call.")
}

fn reason(departure: Departure) -> LeaveReason {
    match departure {
        Departure::Left | Departure::Moved => LeaveReason::Left,
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
                CallOutput::AddPeer(device) => {
                    if let Some(active) = self.active_in(room) {
                        active.people.insert(device, Person::default());
                        active.mesh.add_peer(device);
                    }
                    self.tell_streams(room, device);
                }
                CallOutput::RemovePeer(device, _) => {
                    if let Some(active) = self.active_in(room) {
                        active.people.remove(&device);
                        active.mesh.remove_peer(device);
                    }
                }
                CallOutput::ParticipantJoined(device) => {
                    self.dirty.insert(room);
                    self.publish(Event::CallParticipantJoined { room, device });
                }
                CallOutput::ParticipantChanged(device) => self.tell_streams(room, device),
                CallOutput::ParticipantLeft(device, departure) => {
                    self.dirty.insert(room);
                    self.publish(Event::CallParticipantLeft { room, device, reason: reason(departure) });
                }
                CallOutput::Ended(end) => {
                    self.dirty.insert(room);
                    self.end_mesh(room);
                    let error = match end {
                        CallEnd::Left => None,
                        CallEnd::Full => Some(full().into()),
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

    fn active_in(&mut self, room: RoomId) -> Option<&mut Active> {
        self.calls.active.as_mut().filter(|active| active.room == room)
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

    fn start_mesh(&mut self, room: RoomId, call: CallId, mine: MyMediaView) -> Result<(), CommandError> {
        let (events, receiver) = mpsc::channel(MESH_EVENTS);
        let config = MeshConfig {
            me: Arc::clone(&self.me.device),
            room,
            call,
            events,
            pictures: self.calls.pictures.clone(),
            keys: self.entry(room)?.keys.clone(),
            transports: None,
            addresses: None,
        };
        let mesh = Mesh::start(config).map_err(|error| CommandError::new(ErrorCode::DeviceFailed, error.to_string()))?;
        self.calls.mesh_events = receiver;
        self.calls.active = Some(Active {
            room,
            mesh: Arc::new(mesh),
            mine,
            people: BTreeMap::new(),
            tasks: JoinSet::new(),
            joining: self.calls.joinings,
        });
        self.dirty.insert(room);
        Ok(())
    }

    /// Two calls became one: the media begin anew under the other id, with the same devices.
    fn move_mesh(&mut self, room: RoomId, call: CallId) {
        let Some(mine) = self.active_in(room).map(|active| active.mine.clone()) else { return };
        self.end_mesh(room);
        if let Err(error) = self.start_mesh(room, call, MyMediaView { deafened: mine.deafened, ..MyMediaView::default() }) {
            return self.publish(Event::Problem { error: error.into() });
        }
        if let Some(active) = self.active_in(room) {
            active.mesh.set_deafened(mine.deafened);
        }
        if let Some(speaker) = mine.speaker {
            self.change(Change::Speaker(speaker), None);
        }
        if mine.mic.is_some() {
            self.change(Change::Mic { source: mine.mic, on: mine.mic_on }, None);
        }
        for change in
            [mine.camera.map(|source| Change::Camera(Some(source))), mine.screen.map(|source| Change::Screen(Some(source)))]
        {
            change.into_iter().for_each(|change| self.change(change, None));
        }
        if let Some(dir) = mine.recording {
            self.change(Change::Record(Some(dir.into())), None);
        }
    }

    fn end_mesh(&mut self, room: RoomId) {
        let Some(active) = self.calls.active.take_if(|active| active.room == room) else { return };
        let Active { mesh, mut tasks, .. } = active;
        self.calls.closing.spawn(async move {
            // Devices that are just being opened still hold the mesh.
            while tasks.join_next().await.is_some() {}
            if let Some(mesh) = Arc::into_inner(mesh) {
                mesh.close().await;
            }
        });
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.recorders.clear();
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

    /// Answered when the device has been opened, or could not be.
    pub(super) fn change(&mut self, change: Change, answer: Option<Answer>) {
        let call = self.call_id();
        let Some((active, call)) = self.calls.active.as_mut().zip(call) else {
            if let Some(answer) = answer {
                let _ = answer.send(Err(not_in_call()));
            }
            return;
        };
        let (mesh, doing, joining) = (Arc::clone(&active.mesh), self.calls.doing.clone(), active.joining);
        active.tasks.spawn(async move {
            let result = match &change {
                Change::Mic { source, on } => mesh.set_mic(source.as_deref(), *on).await,
                Change::Camera(source) => mesh.set_camera(source.as_deref()).await,
                Change::Screen(source) => mesh.set_screen(source.as_deref()).await,
                Change::Speaker(sink) => mesh.set_speaker(sink).await,
                Change::Record(dir) => mesh.set_recording(dir.clone()).await,
            };
            drop(mesh);
            // The loop is gone when the node stops.
            let _ = doing.send(Done { call, joining, change, result, answer }).await;
        });
    }

    fn call_id(&self) -> Option<CallId> {
        let active = self.calls.active.as_ref()?;
        self.rooms.get(&active.room)?.call.current()
    }

    /// A device was opened, or could not be.
    pub(super) fn handle_media_done(&mut self, done: Done) {
        let Done { call, joining, change, result, answer } = done;
        if self.call_id() != Some(call) {
            // Two calls became one while the device was opening: it is wanted in the one that stays.
            if self.calls.active.as_ref().is_some_and(|active| active.joining == joining) {
                return self.change(change, answer);
            }
            if let Some(answer) = answer {
                let _ = answer.send(Err(not_in_call()));
            }
            return;
        }
        let Some(active) = &mut self.calls.active else { return };
        while active.tasks.try_join_next().is_some() {}
        let (room, mine) = (active.room, &mut active.mine);
        match &result {
            Ok(()) => {
                mine.problem = None;
                match change {
                    Change::Mic { source, on } => {
                        mine.mic = source.or(mine.mic.take());
                        mine.mic_on = on;
                    }
                    Change::Camera(source) => mine.camera = source,
                    Change::Screen(source) => mine.screen = source,
                    Change::Speaker(sink) => mine.speaker = Some(sink),
                    Change::Record(dir) => mine.recording = dir.map(|dir| dir.display().to_string()),
                }
            }
            Err(error) => mine.problem = Some(error.to_string()),
        }
        let recording = mine.recording.is_some();
        self.tell_media(room);
        self.note_recording(room, self.me.device.id(), recording);
        let outcome = result.map(|()| Reply::Done {}).map_err(|error| media_refused(&error));
        match (answer, outcome) {
            (Some(answer), outcome) => drop(answer.send(outcome)),
            (None, Err(error)) => self.publish(Event::Problem { error: error.into() }),
            (None, Ok(_)) => {}
        }
    }

    /// The others learn what this device sends and plays.
    fn tell_media(&mut self, room: RoomId) {
        let now = self.now();
        let Some(state) = self.active_in(room).map(|active| active.mine.state()) else { return };
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.call.set_media(state, now);
        }
        self.calls.changed = true;
        self.carry_out(room);
    }

    pub(super) fn call_deafen(&mut self, on: bool) -> Result<Reply, CommandError> {
        let active = self.calls.active.as_mut().ok_or_else(not_in_call)?;
        active.mine.deafened = on;
        active.mesh.set_deafened(on);
        let room = active.room;
        self.tell_media(room);
        Ok(Reply::Done {})
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

    pub(super) fn handle_mesh(&mut self, event: MeshEvent) {
        let Some(active) = &mut self.calls.active else { return };
        let room = active.room;
        self.calls.changed = true;
        match event {
            MeshEvent::Signal { to, signal } => {
                if let Some(link) = self.links.by_key(LinkKey { device: to, room, name: StreamName::Live }) {
                    link.send(wire::encode(&LiveFrame::Signal(signal)));
                }
            }
            MeshEvent::Link { peer, state, after_ms } => {
                let Some(person) = active.people.get_mut(&peer) else { return };
                person.link = state;
                if state == LinkState::Connected {
                    self.publish(Event::CallConnected { room, device: peer, after_ms });
                }
            }
            MeshEvent::Mismatch { peer, message } => {
                if let Some(entry) = self.rooms.get_mut(&room) {
                    entry.call.handle_mismatch(peer);
                }
                self.carry_out(room);
                if let Some(active) = self.active_in(room) {
                    active.people.insert(peer, Person { link: LinkState::Mismatch, ..Person::default() });
                }
                self.publish(Event::CallMismatch { room, device: peer, message });
            }
            MeshEvent::FirstFrame { peer, stream, after_ms } => {
                self.publish(Event::CallFirstFrame { room, device: peer, stream, after_ms });
            }
            MeshEvent::Stats { peer, stats, level } => {
                if let Some(person) = active.people.get_mut(&peer) {
                    (person.stats, person.level) = (stats, level);
                }
            }
            MeshEvent::SourceFailed { kind, message } => {
                match kind {
                    MediaKind::Camera => active.mine.camera = None,
                    MediaKind::Screen => active.mine.screen = None,
                    // The microphone and the speaker stay chosen: silence stands in until they are back or another is chosen.
                    MediaKind::Microphone | MediaKind::Speaker => {}
                }
                active.mine.problem = Some(message.clone());
                self.tell_media(room);
                self.problem(ErrorCode::DeviceFailed, message);
            }
            MeshEvent::RecordingFailed { message } => {
                active.mine.recording = None;
                active.mine.problem = Some(message.clone());
                self.tell_media(room);
                let me = self.me.device.id();
                self.note_recording(room, me, false);
                self.problem(ErrorCode::DeviceFailed, message);
            }
            MeshEvent::StreamGone { .. } => {}
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

    /// Who is in the room's call.
    pub(super) fn room_call(&self, room: RoomId) -> Option<(CallId, Vec<DeviceId>)> {
        self.rooms.get(&room)?.call.people()
    }

    pub(super) fn call_view(&self) -> Option<CallView> {
        let active = self.calls.active.as_ref()?;
        let entry = self.rooms.get(&active.room)?;
        let (call, people) = entry.call.people()?;
        let me = self.me.device.id();
        let people = people.into_iter().filter(|device| *device != me).filter_map(|device| {
            let told = entry.call.participant(&device)?;
            let seen = active.people.get(&device).copied().unwrap_or_default();
            Some(ParticipantView {
                device,
                name: entry.room.acl().name_of(&device).unwrap_or_default().to_owned(),
                link: seen.link,
                mic_on: told.media.mic,
                camera_on: told.media.camera,
                screen_on: told.media.screen,
                deafened: told.media.deafened,
                recording: told.media.recording,
                level: seen.level,
                stats: seen.stats,
            })
        });
        Some(CallView {
            room: active.room,
            call,
            since_ms: entry.call.since_ms().unwrap_or_default(),
            me: active.mine.clone(),
            people: people.collect(),
        })
    }

    /// Tells how the call is, where it changed and it was not told just now.
    pub(super) fn tell_call(&mut self) {
        if !self.calls.changed || self.calls.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        self.calls.changed = false;
        if let Some(call) = self.call_view() {
            self.calls.told = Some(Instant::now());
            self.publish(Event::CallChanged { call: Some(call) });
        }
    }

    pub(super) fn media_preview(&mut self, source: Option<String>, answer: Answer) {
        let (preview, slot) = (Arc::clone(&self.calls.preview), self.calls.pictures.get(PictureKey::Preview));
        // One at a time, in the order of the commands as the blocking pool takes them; the last one stays.
        tokio::task::spawn_blocking(move || {
            let mut preview = preview.lock().unwrap_or_else(PoisonError::into_inner);
            *preview = None;
            let started = source.map(|source| {
                let source = device::open_video(&source)?;
                VideoPreview::start(source, PREVIEW, slot, |error| tracing::debug!(%error, "the preview ended"))
            });
            let outcome = match started.transpose() {
                Ok(started) => {
                    *preview = started;
                    Ok(Reply::Done {})
                }
                Err(error) => Err(media_refused(&error)),
            };
            let _ = answer.send(outcome);
        });
    }
}

/// From loudness, 0 to 1, to RFC 6464's −dBov.
fn dbov(level: f32) -> u8 {
    if level <= 0.0 { 127 } else { (-20.0 * level.log10()).clamp(0.0, 127.0) as u8 }
}

/// Answers with what can be chosen here, beside the loop.
pub(super) fn list_devices(answer: Answer) {
    // Whoever asked may have gone.
    tokio::task::spawn_blocking(move || drop(answer.send(Ok(Reply::Devices { devices: devices() }))));
}

/// The sources and sinks that can be chosen here.
fn devices() -> Vec<MediaDeviceView> {
    device::list_devices()
        .into_iter()
        .map(|device| MediaDeviceView {
            kind: match device.kind {
                DeviceKind::Camera => MediaKind::Camera,
                DeviceKind::Microphone => MediaKind::Microphone,
                DeviceKind::Speaker => MediaKind::Speaker,
                DeviceKind::Screen => MediaKind::Screen,
            },
            spec: device.spec,
            label: device.label,
            unavailable: device.unavailable,
        })
        .collect()
}
