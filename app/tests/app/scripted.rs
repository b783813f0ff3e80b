//! A scripted node for the tests and the gallery: it remembers what it was asked, answers as told, and says what the script says.

#[path = "scripted_board.rs"]
pub mod board;
#[path = "scripted_lively.rs"]
mod lively;
#[path = "scripted_pictures.rs"]
mod pictures;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use conclave::backend::{Backend, BackendMessage, OpenRequest, RequestId, StorePresence};
use conclave_media::picture::PictureSlot;
use conclave_node::command::{Command, Reply};
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::event::Event;
use conclave_node::view::*;
use conclave_protocol::id::{AccountId, CallId, DeviceId, OpHash, RoomId};

use board::Boards;
pub use lively::lively;
#[allow(unused_imports)]
pub use pictures::{page, paint, portrait};

/// The moment at which every script plays: Tuesday, 10 November 2026, 14:32 UTC.
pub const NOW_MS: u64 = 1_794_321_120_000;
pub const ME: DeviceId = DeviceId([1; 32]);

/// What the node would know.
pub struct World {
    pub state: StateView,
    pub chats: HashMap<RoomId, Vec<MessageView>>,
    pub devices: Vec<MediaDeviceView>,
    pub diagnosis: DiagnosisView,
    pub setting: Option<String>,
    /// The next command of this name is refused.
    pub refuse: Vec<(&'static str, CommandError)>,
    /// How `open` ends, in order; then well.
    pub opening: Vec<CommandError>,
    pub boards: Boards,
    counter: u8,
}

/// The script, seen from both sides.
#[derive(Clone)]
pub struct Script(Rc<RefCell<Inner>>);

struct Inner {
    world: World,
    queue: Vec<BackendMessage>,
    later: Vec<Event>,
    commands: Vec<Command>,
    opened: Vec<OpenRequest>,
    slots: HashMap<PictureKey, Arc<PictureSlot>>,
    presence: StorePresence,
    next: u64,
}

impl Script {
    pub fn new(world: World, presence: StorePresence) -> Self {
        let inner = Inner {
            world,
            queue: vec![],
            later: vec![],
            commands: vec![],
            opened: vec![],
            slots: HashMap::new(),
            presence,
            next: 0,
        };
        Self(Rc::new(RefCell::new(inner)))
    }

    pub fn backend(&self) -> Box<dyn Backend> {
        Box::new(Scripted(self.clone()))
    }

    /// Something happens.
    pub fn event(&self, event: Event) {
        self.0.borrow_mut().queue.push(BackendMessage::Event(event));
    }

    pub fn world<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        change(&mut self.0.borrow_mut().world)
    }

    /// What was asked since the last look.
    pub fn commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.0.borrow_mut().commands)
    }

    pub fn opened(&self) -> Vec<OpenRequest> {
        std::mem::take(&mut self.0.borrow_mut().opened)
    }

    pub fn slot(&self, key: PictureKey) -> Arc<PictureSlot> {
        Arc::clone(self.0.borrow_mut().slots.entry(key).or_default())
    }

    /// It happens when [`Self::now`] says.
    pub fn later(&self, event: Event) {
        self.0.borrow_mut().later.push(event);
    }

    /// What was to happen later happens.
    pub fn now(&self) {
        let mut inner = self.0.borrow_mut();
        let later = std::mem::take(&mut inner.later);
        inner.queue.extend(later.into_iter().map(BackendMessage::Event));
    }

    /// The room changes, and everyone is told.
    pub fn change_room(&self, room: RoomId, change: impl FnOnce(&mut RoomView)) {
        let mut inner = self.0.borrow_mut();
        let Some(view) = inner.world.state.rooms.iter_mut().find(|view| view.room == room) else { return };
        change(view);
        let view = view.clone();
        inner.queue.push(BackendMessage::Event(Event::RoomChanged { room: view }));
    }

    pub fn change_call(&self, change: impl FnOnce(&mut CallView)) {
        let mut inner = self.0.borrow_mut();
        let Some(call) = &mut inner.world.state.call else { return };
        change(call);
        let call = inner.world.state.call.clone();
        inner.queue.push(BackendMessage::Event(Event::CallChanged { call }));
    }

    /// Somebody else says something.
    pub fn say(&self, room: RoomId, author: DeviceId, body: &str) -> OpHash {
        let mut inner = self.0.borrow_mut();
        let after = inner.world.chats.get(&room).and_then(|chat| chat.last()).map(|last| last.id);
        let message = inner.world.message(room, author, body, NOW_MS);
        inner.world.chats.entry(room).or_default().push(message.clone());
        let id = message.id;
        inner.queue.push(BackendMessage::Event(Event::ChatMessage { room, message, after, new: true }));
        id
    }
}

struct Scripted(Script);

impl Backend for Scripted {
    fn presence(&self) -> StorePresence {
        self.0.0.borrow().presence
    }

    fn open(&mut self, request: OpenRequest) {
        let mut inner = self.0.0.borrow_mut();
        if let Some(name) = &request.name {
            inner.world.state.profile.name.clone_from(name);
        }
        inner.opened.push(request);
        let result = if inner.world.opening.is_empty() { Ok(()) } else { Err(inner.world.opening.remove(0)) };
        let opened = result.is_ok();
        inner.queue.push(BackendMessage::Opened(result));
        if opened {
            let profile = inner.world.state.profile.clone();
            inner.queue.push(BackendMessage::Event(Event::Ready { profile, listening: vec![] }));
        }
    }

    fn send(&mut self, command: Command) -> RequestId {
        let mut inner = self.0.0.borrow_mut();
        inner.next += 1;
        let request = RequestId(inner.next);
        inner.commands.push(command.clone());
        let (result, events) = inner.world.carry_out(command);
        inner.queue.push(BackendMessage::Reply { request, result });
        inner.queue.extend(events.into_iter().map(BackendMessage::Event));
        request
    }

    fn poll(&mut self) -> Vec<BackendMessage> {
        std::mem::take(&mut self.0.0.borrow_mut().queue)
    }

    fn picture(&self, key: PictureKey) -> Arc<PictureSlot> {
        self.0.slot(key)
    }

    fn close(&mut self) {}
}

impl World {
    /// Nobody but this person, and no room.
    pub fn empty(name: &str) -> Self {
        Self {
            state: StateView {
                profile: ProfileView { name: name.into(), device: ME, account: account(ME), protection: "keyring".into() },
                rooms: vec![],
                joins: vec![],
                call: None,
                peers: vec![],
            },
            chats: HashMap::new(),
            devices: devices(),
            diagnosis: diagnosis(),
            setting: None,
            refuse: vec![],
            opening: vec![],
            counter: 100,
            boards: Boards::default(),
        }
    }

    fn next_id(&mut self) -> u8 {
        self.counter += 1;
        self.counter
    }

    pub fn message(&mut self, room: RoomId, author: DeviceId, body: &str, sent_ms: u64) -> MessageView {
        let members =
            self.state.rooms.iter().find(|view| view.room == room).map(|view| view.members.as_slice()).unwrap_or_default();
        let name =
            members.iter().find(|member| member.device == author).map_or("Somebody", |member| member.name.as_str()).to_owned();
        let mentions =
            members.iter().filter(|member| body.contains(&format!("@{}", member.name))).map(|member| member.device).collect();
        let id = self.next_id();
        MessageView {
            id: OpHash([id; 32]),
            author,
            author_name: name,
            body: body.into(),
            sent_ms,
            edited: false,
            deleted: false,
            reply_to: None,
            mentions,
            reactions: vec![],
            mine: author == ME,
            unread: author != ME,
            from_newer_version: false,
        }
    }

    fn room_mut(&mut self, room: RoomId) -> Result<&mut RoomView, CommandError> {
        let unknown = || CommandError::new(ErrorCode::UnknownRoom, "no such room");
        self.state.rooms.iter_mut().find(|view| view.room == room).ok_or_else(unknown)
    }

    fn carry_out(&mut self, command: Command) -> (Result<Reply, CommandError>, Vec<Event>) {
        let name =
            serde_json::to_value(&command).ok().and_then(|json| json["cmd"].as_str().map(str::to_owned)).unwrap_or_default();
        if let Some(at) = self.refuse.iter().position(|(refused, _)| *refused == name) {
            return (Err(self.refuse.remove(at).1), vec![]);
        }
        let mut events = vec![];
        let reply = self.answer(command, &mut events);
        (reply, events)
    }

    fn answer(&mut self, command: Command, events: &mut Vec<Event>) -> Result<Reply, CommandError> {
        Ok(match command {
            Command::State {} => Reply::State { state: Box::new(self.state.clone()) },
            Command::SettingGet { .. } => Reply::Setting { value: self.setting.clone() },
            Command::SettingSet { value, .. } => {
                self.setting = value;
                Reply::Done {}
            }
            Command::MediaDevices {} => Reply::Devices { devices: self.devices.clone() },
            Command::NetDiagnose {} => Reply::Diagnosis { diagnosis: self.diagnosis.clone() },
            Command::RoomCreate { name, approval, full_history } => {
                let id = self.next_id();
                let mut room = room(id, &name, &[(ME, &self.state.profile.name.clone(), RoleView::Owner, true)]);
                room.approval = approval;
                room.full_history = full_history;
                self.state.rooms.push(room.clone());
                Reply::Room { room }
            }
            Command::RoomInvite { room, role, uses, expires_s, .. } => {
                let link = format!("conclave://join/1#{}", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ".repeat(7));
                Reply::Invite { invite: InviteView { room, link, expires_ms: NOW_MS + expires_s * 1000, uses, role } }
            }
            Command::RoomSpeak { room, role } => {
                let code = "42 apple river stone".to_owned();
                Reply::Spoken { spoken: SpokenView { room, number: 42, code, role, expires_ms: NOW_MS + 600_000 } }
            }
            Command::RoomSpeakEnd { room, number } => {
                events.push(Event::SpokenEnded { room, number, end: SpokenEndView::Withdrawn });
                Reply::Done {}
            }
            Command::RoomJoin { link, .. } if link.starts_with("42 ") => {
                let join = JoinView::Hearing { number: 42, tried: self.diagnosis.clone() };
                events.push(Event::JoinProgress { join });
                Reply::Hearing { hearing: 42 }
            }
            Command::RoomJoin { link, .. } if !link.starts_with("conclave://") => {
                return Err(CommandError::new(ErrorCode::LinkInvalid, "not a link"));
            }
            Command::RoomJoin { .. } => {
                let room = RoomId([77; 32]);
                events.push(Event::JoinProgress { join: JoinView::Searching { room, tried: self.diagnosis.clone() } });
                Reply::Joining { joining: room }
            }
            Command::ChatRead { room, limit, before } => {
                let chat = self.chats.get(&room).map(Vec::as_slice).unwrap_or_default();
                let end = before.and_then(|before| chat.iter().position(|message| message.id == before)).unwrap_or(chat.len());
                let start = end.saturating_sub(limit as usize);
                Reply::Messages { messages: chat[start..end].to_vec() }
            }
            Command::ChatSearch { query, room, .. } => {
                let query = query.to_lowercase();
                let chats = self.chats.iter().filter(|(id, _)| room.is_none_or(|room| room == **id));
                let found = chats.flat_map(|(_, chat)| chat).filter(|message| message.body.to_lowercase().contains(&query));
                Reply::Messages { messages: found.cloned().collect() }
            }
            Command::ChatSend { room, body, reply_to } => {
                let after = self.chats.get(&room).and_then(|chat| chat.last()).map(|last| last.id);
                let mut message = self.message(room, ME, &body, NOW_MS);
                message.reply_to = reply_to;
                self.chats.entry(room).or_default().push(message.clone());
                events.push(Event::ChatMessage { room, message: message.clone(), after, new: true });
                Reply::Message { message }
            }
            Command::ChatEdit { room, message, body } => self.change_message(room, message, events, |message| {
                message.body = body;
                message.edited = true;
            })?,
            Command::ChatDelete { room, message } => self.change_message(room, message, events, |message| {
                message.body.clear();
                message.deleted = true;
            })?,
            Command::ChatReact { room, message, emoji, on } => self.change_message(room, message, events, |message| {
                message.reactions.retain(|reaction| reaction.emoji != emoji);
                if on {
                    message.reactions.push(ReactionView { emoji, by: vec![ME] });
                }
            })?,
            Command::ChatMarkRead { room, .. } => {
                for message in self.chats.entry(room).or_default() {
                    message.unread = false;
                }
                let view = self.room_mut(room)?;
                view.unread = 0;
                view.mentions = 0;
                events.push(Event::RoomChanged { room: view.clone() });
                Reply::Done {}
            }
            Command::RoomApprove { room, device } => {
                let view = self.room_mut(room)?;
                if let Some(at) = view.knocks.iter().position(|knock| knock.device == device) {
                    let knock = view.knocks.remove(at);
                    view.members.push(member(device, &knock.name, RoleView::Member, true));
                }
                events.push(Event::RoomChanged { room: view.clone() });
                Reply::Done {}
            }
            Command::RoomRevoke { room, device } => {
                let view = self.room_mut(room)?;
                view.members.retain(|member| member.device != device);
                events.push(Event::RoomChanged { room: view.clone() });
                Reply::Done {}
            }
            Command::RoomRole { room, device, role } => {
                let view = self.room_mut(room)?;
                for member in view.members.iter_mut().filter(|member| member.device == device) {
                    member.role = role;
                }
                events.push(Event::RoomChanged { room: view.clone() });
                Reply::Done {}
            }
            Command::RoomDelete { room } => {
                self.state.rooms.retain(|view| view.room != room);
                events.push(Event::RoomRemoved { room });
                Reply::Done {}
            }
            Command::CallJoin { room, mic, mic_on, camera, speaker } => {
                let people: Vec<DeviceId> = self.room_mut(room)?.call.iter().flat_map(|call| call.people.clone()).collect();
                let participants = people.iter().map(|device| self.participant(room, *device)).collect();
                let me = MyMediaView { mic_on, mic, camera, speaker, ..Default::default() };
                self.state.call = Some(CallView {
                    room,
                    call: CallId([5; 16]),
                    since_ms: NOW_MS,
                    me,
                    people: participants,
                    speaker: None,
                    hands: Vec::new(),
                });
                events.push(Event::CallChanged { call: self.state.call.clone() });
                Reply::Done {}
            }
            Command::CallLeave {} => {
                let room = self.state.call.take().map(|call| call.room);
                if let Some(room) = room {
                    events.push(Event::CallEnded { room, error: None });
                    events.push(Event::CallChanged { call: None });
                }
                Reply::Done {}
            }
            Command::CallMic { on, source } => self.change_media(events, |me| {
                me.mic_on = on;
                me.mic = source.or(me.mic.take());
            }),
            Command::CallCamera { source } => self.change_media(events, |me| me.camera = source),
            Command::CallScreen { source, .. } => self.change_media(events, |me| me.screen = source),
            Command::CallDeafen { on } => self.change_media(events, |me| {
                me.deafened = on;
                me.mic_on &= !on;
            }),
            Command::CallHand { on } => {
                if let Some(call) = &mut self.state.call {
                    call.me.hand_ms = on.then_some(NOW_MS);
                    call.hands.retain(|device| *device != ME);
                    if on {
                        call.hands.push(ME);
                    }
                    events.push(Event::CallChanged { call: self.state.call.clone() });
                }
                Reply::Done {}
            }
            Command::CallReact { emoji } => {
                if let Some(room) = self.state.call.as_ref().map(|call| call.room) {
                    events.push(Event::CallReaction { room, device: ME, emoji });
                }
                Reply::Done {}
            }
            Command::CallRecord { dir } => {
                self.change_media(events, |me| me.recording = dir.map(|dir| dir.display().to_string()))
            }
            Command::ProfileRename { name } => {
                self.state.profile.name = name;
                Reply::Profile { profile: self.state.profile.clone() }
            }
            Command::VerifyShow { room, device } => {
                let view = self.room_mut(room)?;
                let unknown = || CommandError::new(ErrorCode::UnknownDevice, "no such member");
                let member = view.members.iter().find(|member| member.device == device).ok_or_else(unknown)?;
                Reply::Verification {
                    verification: VerificationView {
                        device,
                        account: member.account,
                        name: member.name.clone(),
                        code: "36885 41452 32734 94635 98083 17737 78570 18150 94843".into(),
                        link: format!("conclave://verify/1#{}", "AQEB".repeat(32)),
                        verified_ms: member.verified_ms,
                        key_changed: member.key_changed,
                        history: vec![],
                    },
                }
            }
            Command::VerifyConfirm { room, device, .. }
            | Command::VerifyClear { room, device }
            | Command::VerifyAccept { room, device } => {
                let confirmed = matches!(command, Command::VerifyConfirm { .. });
                let view = self.room_mut(room)?;
                for member in view.members.iter_mut().filter(|member| member.device == device) {
                    member.verified_ms = confirmed.then_some(NOW_MS);
                    member.key_changed = false;
                }
                events.push(Event::RoomChanged { room: view.clone() });
                Reply::Done {}
            }
            Command::FileList { .. } => Reply::Files { files: vec![] },
            command @ (Command::BoardShow { .. }
            | Command::BoardPage { .. }
            | Command::BoardEdit { .. }
            | Command::BoardPages { .. }
            | Command::BoardUndo { .. }
            | Command::BoardHistory { .. }
            | Command::BoardRestore { .. }
            | Command::BoardAddPicture { .. }
            | Command::BoardPicture { .. }
            | Command::BoardLive { .. }) => self.boards.answer(command, events)?,
            _ => Reply::Done {},
        })
    }

    fn change_media(&mut self, events: &mut Vec<Event>, change: impl FnOnce(&mut MyMediaView)) -> Reply {
        if let Some(call) = &mut self.state.call {
            change(&mut call.me);
            events.push(Event::CallChanged { call: self.state.call.clone() });
        }
        Reply::Done {}
    }

    fn change_message(
        &mut self,
        room: RoomId,
        id: OpHash,
        events: &mut Vec<Event>,
        change: impl FnOnce(&mut MessageView),
    ) -> Result<Reply, CommandError> {
        let chat = self.chats.entry(room).or_default();
        let unknown = || CommandError::new(ErrorCode::UnknownMessage, "no such message");
        let at = chat.iter().position(|message| message.id == id).ok_or_else(unknown)?;
        change(&mut chat[at]);
        let after = at.checked_sub(1).map(|before| chat[before].id);
        events.push(Event::ChatMessage { room, message: chat[at].clone(), after, new: false });
        Ok(Reply::Message { message: chat[at].clone() })
    }

    pub fn participant(&self, room: RoomId, device: DeviceId) -> ParticipantView {
        let members =
            self.state.rooms.iter().find(|view| view.room == room).map(|view| view.members.as_slice()).unwrap_or_default();
        ParticipantView {
            device,
            name: members.iter().find(|member| member.device == device).map(|member| member.name.clone()).unwrap_or_default(),
            link: LinkState::Connected,
            mic_on: true,
            camera_on: true,
            screen_on: false,
            deafened: false,
            recording: false,
            level: 0.0,
            speaking: false,
            hand_ms: None,
            volume: 1.0,
            quality: Default::default(),
            stats: LinkStats {
                rtt_ms: Some(3.0),
                received_kbps: 812.0,
                sent_kbps: 790.0,
                video_fps: 30.0,
                path: Some(PathView::Relay),
                relayed_bytes: 4_200_000,
                ..Default::default()
            },
        }
    }
}

pub fn account(device: DeviceId) -> AccountId {
    let mut bytes = device.0;
    bytes[0] = bytes[0].wrapping_mul(37).wrapping_add(11);
    AccountId(bytes)
}

pub fn member(device: DeviceId, name: &str, role: RoleView, online: bool) -> MemberView {
    MemberView {
        device,
        account: account(device),
        name: name.into(),
        role,
        online,
        me: device == ME,
        frozen: false,
        verified_ms: None,
        key_changed: false,
    }
}

pub fn room(id: u8, name: &str, members: &[(DeviceId, &str, RoleView, bool)]) -> RoomView {
    let members: Vec<MemberView> =
        members.iter().map(|(device, name, role, online)| member(*device, name, *role, *online)).collect();
    RoomView {
        room: RoomId([id; 32]),
        name: name.into(),
        approval: true,
        full_history: true,
        my_role: members.iter().find(|member| member.me).map_or(RoleView::Viewer, |member| member.role),
        gone: false,
        members,
        knocks: vec![],
        unread: 0,
        mentions: 0,
        last_message: None,
        call: None,
        session: SessionView { phase: SessionPhase::Idle, people: 0, epoch: None },
        call_code: None,
        invites: Vec::new(),
    }
}

fn devices() -> Vec<MediaDeviceView> {
    let device =
        |kind, spec: &str, label: &str| MediaDeviceView { kind, spec: spec.into(), label: label.into(), unavailable: None };
    vec![
        device(MediaKind::Camera, "v4l2:/dev/video0", "Integrated Webcam"),
        device(MediaKind::Camera, "test", "Test card"),
        device(MediaKind::Microphone, "pulse", "Built-in Microphone"),
        device(MediaKind::Microphone, "pulse:usb", "USB Podcast Mic"),
        device(MediaKind::Speaker, "pulse", "Built-in Speakers"),
        device(MediaKind::Screen, "x11::0", "Whole screen (2560 × 1440)"),
        device(MediaKind::Screen, "x11:window:0x1", "Text Editor — notes.md"),
        device(MediaKind::Screen, "x11:window:0x2", "Figures.ods"),
    ]
}

fn diagnosis() -> DiagnosisView {
    DiagnosisView {
        interfaces: vec![
            InterfaceView { name: "lo".into(), address: "127.0.0.1".into(), loopback: true },
            InterfaceView { name: "wlan0".into(), address: "192.168.1.20".into(), loopback: false },
        ],
        listening: vec!["/ip4/192.168.1.20/udp/41234/quic-v1".into(), "/ip4/192.168.1.20/tcp/41235".into()],
        multicast: true,
        neighbours: 0,
        dialled: vec![DialView { address: "192.168.1.31:7401".into(), outcome: "no answer within 5 s".into() }],
        hints: vec![
            "Some guest networks keep devices apart. Try another network, or a cable.".into(),
            "A firewall may block UDP 5353 (mDNS) or the ports of Conclave.".into(),
        ],
    }
}
