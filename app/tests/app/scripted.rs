//! A scripted node for the tests and the gallery: it remembers what it was asked, answers as told, and says what the script says.

#[path = "scripted_board.rs"]
pub mod board;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use conclave::backend::{Backend, BackendMessage, OpenRequest, RequestId, StorePresence};
use conclave_media::picture::{Picture, PictureSlot};
use conclave_node::command::{Command, Reply};
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::event::Event;
use conclave_node::view::*;
use conclave_protocol::id::{AccountId, CallId, DeviceId, OpHash, RoomId};

use board::Boards;

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
            Command::CallScreen { source } => self.change_media(events, |me| me.screen = source),
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
            stats: LinkStats { rtt_ms: Some(3.0), received_kbps: 812.0, sent_kbps: 790.0, video_fps: 30.0, ..Default::default() },
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

/// A picture that stands for a camera: a wash of colour with a soft figure in it.
pub fn portrait(width: u32, height: u32, hue: f32) -> Picture {
    let colour = |lift: f32, x: f32, y: f32| {
        let base = egui::ecolor::Hsva::new(hue, 0.35, 0.32 + lift, 1.0).to_rgb();
        [base[0] + 0.16 * x, base[1] + 0.08 * y, base[2] + 0.1 * (1.0 - y)]
    };
    paint(width, height, |x, y| {
        let (dx, dy) = ((x - 0.5) * width as f32 / height as f32, y - 0.42);
        let head = 1.0 - ((dx * dx + dy * dy).sqrt() / 0.17).clamp(0.0, 1.0);
        let (sx, sy) = (dx / 0.36, (y - 1.02) / 0.42);
        let body = 1.0 - (sx * sx + sy * sy).sqrt().clamp(0.0, 1.0);
        let figure = (head * 12.0).clamp(0.0, 1.0).max((body * 12.0).clamp(0.0, 1.0));
        let [r, g, b] = colour(0.0, x, y);
        let skin = colour(0.42, x, y);
        [r + (skin[0] - r) * figure, g + (skin[1] - g) * figure, b + (skin[2] - b) * figure]
    })
}

/// A picture that stands for a shared screen: a page of text beside a figure.
pub fn page(width: u32, height: u32) -> Picture {
    paint(width, height, |x, y| {
        if y < 0.07 {
            return [0.16, 0.18, 0.23];
        }
        if x < 0.2 {
            return if (y * 18.0).fract() < 0.35 && x > 0.03 && x < 0.15 { [0.55, 0.58, 0.64] } else { [0.94, 0.95, 0.96] };
        }
        let line = (y * 26.0).fract();
        let end = 0.6 + 0.35 * ((y * 26.0).floor() * 12.989).sin().abs();
        if (0.3..0.55).contains(&line) && x > 0.25 && x < end && y < 0.55 {
            return [0.35, 0.38, 0.44];
        }
        if y > 0.6 && y < 0.93 && x > 0.25 && x < 0.92 {
            let bar = ((x - 0.25) * 14.0).floor();
            let top = 0.9 - 0.26 * (0.3 + 0.7 * (bar * 0.9).sin().abs());
            return if y > top && ((x - 0.25) * 14.0).fract() < 0.7 { [0.35, 0.42, 0.85] } else { [0.97, 0.97, 0.98] };
        }
        [1.0, 1.0, 1.0]
    })
}

/// A picture from a function of the place (0 to 1) to linear RGB (0 to 1).
pub fn paint(width: u32, height: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> Picture {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut data = vec![0u8; w * h + 2 * cw * ch];
    for row in 0..h {
        for column in 0..w {
            let [r, g, b] = colour(column as f32 / width as f32, row as f32 / height as f32).map(|c| c.clamp(0.0, 1.0));
            data[row * w + column] = (16.0 + 65.481 * r + 128.553 * g + 24.966 * b) as u8;
            if row % 2 == 0 && column % 2 == 0 {
                let at = w * h + row / 2 * cw + column / 2;
                data[at] = (128.0 - 37.797 * r - 74.203 * g + 112.0 * b) as u8;
                data[at + cw * ch] = (128.0 + 112.0 * r - 93.786 * g - 18.214 * b) as u8;
            }
        }
    }
    Picture::new(width, height, data, Duration::ZERO).expect("the planes fit the size")
}

/// People and rooms as they are after a few weeks of use.
pub fn lively() -> World {
    use RoleView::{Admin, Member, Owner, Viewer};
    let d = |n: u8| DeviceId([n; 32]);
    let mut world = World::empty("Mira Okafor");
    let mut design = room(
        10,
        "Design review",
        &[
            (ME, "Mira Okafor", Owner, true),
            (d(2), "Ben Castellanos", Admin, true),
            (d(3), "Ada Lindqvist", Member, true),
            (d(4), "Tomás Ferreira", Member, true),
            (d(5), "Yuki Tanabe", Member, false),
            (d(6), "Leonie Brandt", Viewer, false),
        ],
    );
    design.call = Some(RoomCallView { call: CallId([5; 16]), people: vec![d(2), d(3), d(4)] });
    design.unread = 2;
    design.mentions = 1;
    let field = room(
        11,
        "Field office",
        &[(ME, "Mira Okafor", Member, true), (d(7), "Ngozi Eze", Owner, true), (d(8), "Per Holm", Member, false)],
    );
    let mut choir = room(12, "Choir rehearsal", &[(ME, "Mira Okafor", Admin, true), (d(9), "Clara Weiss", Owner, false)]);
    choir.unread = 7;
    choir.knocks = vec![KnockView {
        device: d(21),
        account: account(d(21)),
        name: "Jonas".into(),
        code: "48210937".into(),
        since_ms: NOW_MS,
    }];
    let mut old = room(13, "Workshop 2025", &[(ME, "Mira Okafor", Member, true), (d(9), "Clara Weiss", Owner, false)]);
    old.gone = true;
    let (design_id, field_id, choir_id) = (design.room, field.room, choir.room);
    world.state.rooms = vec![design, field, choir, old];

    let day = 86_400_000;
    let minute = 60_000;
    let lines: &[(u8, u64, &str)] = &[
        (3, day + 95 * minute, "Morning! I put the three layouts side by side, have a look before the review."),
        (2, day + 90 * minute, "Thanks. The second one reads best to me, the spacing around the tiles finally breathes."),
        (2, day + 89 * minute, "One thing: the *Reconnecting* state covers the name. Could it move up?"),
        (1, day + 80 * minute, "Good catch. I'd move it to the top edge and keep the picture visible behind it."),
        (4, 58 * minute, "I measured it on the old laptop, **21 ms a frame** with four tiles. Numbers are in `bench/app.json`."),
        (4, 57 * minute, "```\nframe_ms_p50  19.8\nframe_ms_p95  21.4\nidle_cpu_pct   0.2\n```"),
        (1, 41 * minute, "That's well inside what we promised 🎉"),
        (3, 22 * minute, "Notes from the usability round: https://example.org/notes/round-3"),
        (3, 21 * minute, "Two people asked where to find the invite link. I think the button should say what it does."),
        (2, 6 * minute, "@Mira Okafor can you share your screen in the call and walk us through it?"),
        (4, 5 * minute, "We are in already, join whenever you like."),
    ];
    for (author, ago, body) in lines {
        let mut message = world.message(design_id, d(*author), body, NOW_MS - ago);
        message.unread = *ago < 10 * minute;
        world.chats.entry(design_id).or_default().push(message);
    }
    let chat = world.chats.get_mut(&design_id).expect("just filled");
    chat[3].reply_to = Some(chat[2].id);
    chat[3].edited = true;
    chat[6].reactions = vec![
        ReactionView { emoji: "🎉".into(), by: vec![d(2), d(3), d(4)] },
        ReactionView { emoji: "👍".into(), by: vec![ME, d(2)] },
    ];
    chat[8].reactions = vec![ReactionView { emoji: "👍".into(), by: vec![d(2)] }];
    world.state.rooms[0].last_message = chat.last().cloned();
    let message = world.message(field_id, d(7), "The generator is back, we can meet at four.", NOW_MS - 3 * 60 * minute);
    world.state.rooms[1].last_message = Some(MessageView { unread: false, ..message.clone() });
    world.chats.insert(field_id, vec![message]);
    let message = world.message(choir_id, d(9), "Please bring the Bruckner scores!", NOW_MS - 26 * 60 * minute);
    world.state.rooms[2].last_message = Some(message.clone());
    world.chats.insert(choir_id, vec![message]);
    world
}
