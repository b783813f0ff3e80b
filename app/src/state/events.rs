//! The fold of what the node says into the state.

use conclave_node::command::{Command, Reply};
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::event::{Event, LeaveReason};
use conclave_node::view::{CallView, ErrorView, JoinView, MessageView, RoomView, StateView};
use conclave_protocol::id::{DeviceId, OpHash, RoomId};

use super::chat::{Compose, PAGE, Placed, Search};
use super::dialog::{Dialog, JoinForm};
use super::settings::{SETTING_KEY, Settings};
use super::toast::Tone;
use super::{AppState, Effect, Pending, Phase, Place, Selected, Spoken, Stage, WelcomeStep};
use crate::backend::BackendMessage;
use crate::intent::{Intent, JoinKey, Panel};
use crate::text::{Text, displayable};

impl AppState {
    /// Folds one message from the node.
    pub fn apply(&mut self, message: BackendMessage) -> Vec<Effect> {
        match message {
            BackendMessage::Opened(Ok(())) => self.opened(),
            BackendMessage::Opened(Err(error)) => {
                self.open_failed(error);
                Vec::new()
            }
            BackendMessage::Event(event) => self.apply_event(event),
            BackendMessage::Reply { request, result } => {
                let Some(pending) = self.pending.remove(&request) else { return Vec::new() };
                match result {
                    Ok(reply) => self.apply_reply(pending, reply),
                    Err(error) => self.apply_refusal(pending, error.into()),
                }
            }
        }
    }

    fn opened(&mut self) -> Vec<Effect> {
        self.phase = Phase::Home;
        if let Some(link) = self.launch.link.take() {
            self.dialog = Some(Dialog::Join(JoinForm { link, ..Default::default() }));
        }
        vec![
            Effect::Send(Command::State {}, Pending::State),
            Effect::Send(Command::SettingGet { key: SETTING_KEY.to_owned() }, Pending::Settings),
            Effect::Send(Command::MediaDevices {}, Pending::Devices),
        ]
    }

    fn open_failed(&mut self, error: CommandError) {
        if let Phase::Welcome(welcome) = &mut self.phase {
            welcome.busy = false;
            match error.code {
                // Asking for the passphrase is the answer; only a second failure is an error.
                ErrorCode::StoreLocked if welcome.step == WelcomeStep::Opening => {
                    welcome.step = WelcomeStep::Unlock;
                    welcome.error = None;
                }
                ErrorCode::StoreEmpty => {
                    welcome.step = WelcomeStep::Onboard;
                    welcome.error = None;
                }
                _ => welcome.error = Some(error.into()),
            }
        }
    }

    fn apply_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Ready { profile, .. } | Event::ProfileChanged { profile } => self.profile = Some(profile),
            Event::Listening { .. } | Event::PeerDiscovered { .. } | Event::PeerConnected { .. } | Event::PeerLost { .. } => {}
            Event::RoomChanged { room } => self.take_room(room),
            Event::RoomRemoved { room } => self.forget_room(room),
            Event::JoinProgress { join } => return self.take_join(join),
            Event::KnockReceived { room, knock } => {
                let room_name = self.room_name(room);
                let text = self.text.f("toast-knock", &[("name", displayable(&knock.name).into()), ("room", room_name.into())]);
                let action = (self.text.t("toast-knock-action"), Intent::SelectRoom(room));
                self.toasts.push(Tone::Info, text, None, Some(action), self.now_ms);
                let body = self.text.f("notify-knock", &[("name", displayable(&knock.name).into())]);
                return self.with_notice(room, body, vec![Effect::Attention]);
            }
            Event::MediaLevel { level } => self.mic_level = level,
            Event::CallReaction { device, emoji, .. } => self.stage.signs.react(device, displayable(&emoji), self.now_ms),
            Event::CallHandLowered { room, device } => self.hand_lowered(room, device),
            Event::CallMutedBy { room, device } => {
                self.stage.talking = false;
                let name = self.person_name(Some(room), device);
                self.toasts.push(Tone::Info, self.text.f("toast-muted-by", &[("name", name.into())]), None, None, self.now_ms);
            }
            Event::KnockEnded { room, device } => {
                if let Some(room) = self.room_mut(room) {
                    room.knocks.retain(|knock| knock.device != device);
                }
            }
            Event::SpokenFailed { room, number, failures } => {
                if let Some(spoken) = self.spoken_mut(room, number) {
                    spoken.failures = failures;
                }
            }
            Event::SpokenEnded { room, number, end } => {
                if let Some(spoken) = self.spoken_mut(room, number) {
                    spoken.end = Some(end);
                }
            }
            Event::MemberJoined { room, name, .. } => self.say_in_room("toast-member-joined", &name, room),
            Event::MemberRevoked { room, name, .. } => self.say_in_room("toast-member-revoked", &name, room),
            Event::MemberOnline { room, device, online } => {
                if let Some(member) = self.room_mut(room).and_then(|room| room.members.iter_mut().find(|m| m.device == device)) {
                    member.online = online;
                }
            }
            Event::MemberEquivocated { room, device } => {
                let name = self.person_name(Some(room), device);
                let text = self.text.f("toast-equivocated", &[("name", name.into())]);
                self.toasts.push(Tone::Bad, text, None, None, self.now_ms);
            }
            Event::ChatMessage { room, message, after, new } => return self.take_message(room, message, after, new),
            Event::ChatReordered { room } => return self.reload_chat(room),
            Event::FileChanged { room, file } => self.take_file(room, file),
            Event::FileRemoved { room, file } => self.forget_file(room, file),
            Event::FileHashing { room, path, done, size } => self.take_hashing(room, path, done, size),
            Event::BoardChanged { room, revision, pages, can_undo, can_redo, deltas } => {
                return self.board_changed(room, revision, pages, (can_undo, can_redo), &deltas);
            }
            Event::BoardReset { room } => return self.board_reset(room),
            Event::BoardPicture { room, image } => self.board_picture(room, image),
            Event::BoardLive { room, device, live } => self.board_live(room, device, live),
            Event::CallChanged { call } => self.take_call(call),
            Event::CallParticipantJoined { room, device } => {
                let name = self.person_name(Some(room), device);
                let body = self.text.f("notify-call", &[("name", name.into())]);
                return self.with_notice(room, body, Vec::new());
            }
            Event::CallConnected { .. } | Event::CallFirstFrame { .. } => {}
            Event::CallParticipantLeft { room, device, reason } => {
                self.unpin(device);
                let key = match reason {
                    LeaveReason::Left => "toast-call-left",
                    LeaveReason::Lost => "toast-call-lost",
                    LeaveReason::Revoked => "toast-call-revoked",
                    LeaveReason::Mismatch => "toast-call-mismatch",
                };
                let tone = if reason == LeaveReason::Mismatch { Tone::Bad } else { Tone::Info };
                let name = self.person_name(Some(room), device);
                self.toasts.push(tone, self.text.f(key, &[("name", name.into())]), None, None, self.now_ms);
            }
            Event::CallMismatch { room, device, .. } => {
                let name = self.person_name(Some(room), device);
                let text = self.text.f("toast-call-mismatch", &[("name", name.into())]);
                self.toasts.push(Tone::Bad, text, None, None, self.now_ms);
            }
            Event::CallRecording { room, device, on } => {
                let name = self.person_name(Some(room), device);
                let key = if on { "toast-recording-on" } else { "toast-recording-off" };
                self.toasts.push(Tone::Info, self.text.f(key, &[("name", name.into())]), None, None, self.now_ms);
            }
            Event::CallEnded { error, .. } => {
                self.leave_call_screen();
                if let Some(error) = error {
                    self.say_error(&error);
                }
            }
            Event::TeamChanged { team } => self.team = team,
            Event::MediaDevices { devices } => self.devices = devices,
            Event::Problem { error } => self.say_error(&error),
            Event::Lagged { .. } => {
                let mut effects = vec![Effect::Send(Command::State {}, Pending::State)];
                for chat in self.chats.values_mut() {
                    chat.loaded = false;
                }
                for files in self.files.values_mut() {
                    files.loaded = false;
                }
                effects.extend(self.load_files());
                if let Some(room) = self.open_room() {
                    effects.extend(self.reload_chat(room));
                }
                return effects;
            }
            Event::Stopped {} => {
                let error = ErrorView { code: ErrorCode::Stopped.as_str().to_owned(), message: String::new() };
                self.say_error(&error);
            }
        }
        Vec::new()
    }

    fn apply_reply(&mut self, pending: Pending, reply: Reply) -> Vec<Effect> {
        match (pending, reply) {
            (Pending::State, Reply::State { state }) => return self.take_state(*state),
            (Pending::Board(room, asked), reply) => return self.board_reply(room, asked, reply),
            (Pending::Settings, Reply::Setting { value }) => {
                if let Some(value) = value {
                    self.take_settings(Settings::decode(&value));
                }
            }
            (Pending::Devices, Reply::Devices { devices }) => self.devices = devices,
            (Pending::CreateRoom, Reply::Room { room }) => {
                let id = room.room;
                self.take_room(room);
                self.dialog = None;
                let mut effects = self.select_room(id);
                self.panel = Some(Panel::Invite);
                effects.extend(self.handle(Intent::MakeInvite(id)));
                return effects;
            }
            (Pending::Join, Reply::Joining { joining }) => {
                self.dialog = None;
                self.begin_join(JoinView::Searching { room: joining, tried: Default::default() });
            }
            (Pending::Join, Reply::Hearing { hearing }) => {
                self.dialog = None;
                // There is one at a time.
                self.joins.retain(|join| !matches!(join, JoinView::Hearing { .. }));
                self.begin_join(JoinView::Hearing { number: hearing, tried: Default::default() });
            }
            (Pending::Speak { room }, Reply::Spoken { spoken }) => {
                self.invitation.speaking = false;
                if spoken.room == room {
                    self.invitation.spoken = Some(Spoken { view: spoken, failures: 0, end: None });
                }
            }
            // The link was a team's.
            (Pending::Join, Reply::Team { team }) => {
                self.dialog = None;
                self.team = team;
                if let Some(team) = &self.team {
                    let said =
                        self.text.f("team-joined", &[("team", team.team.as_str().into()), ("name", team.name.as_str().into())]);
                    self.toasts.push(Tone::Info, said, None, None, self.now_ms);
                }
            }
            (Pending::ChatPage { room, older }, Reply::Messages { messages }) => {
                let chat = self.chats.entry(room).or_default();
                let first = !chat.loaded && !older;
                chat.take_page(messages, older);
                if first {
                    chat.mark_unread();
                }
            }
            (Pending::Search { room, query }, Reply::Messages { messages }) => {
                // An answer to what is no longer asked is dropped.
                if let Some(search) = self.chats.entry(room).or_default().search.as_mut()
                    && search.query == query
                {
                    search.results = Some(messages);
                }
            }
            (Pending::Invite { room }, Reply::Invite { invite }) => {
                self.invitation.busy = false;
                if invite.room == room {
                    self.invitation.made = Some(invite);
                }
            }
            (Pending::Sound, Reply::Sound { sound }) => self.sound = sound,
            (Pending::Trial, _) => self.end_trial(),
            (Pending::Verification, Reply::Verification { verification }) => self.verification = Some(verification),
            (Pending::Files { room }, Reply::Files { files }) => self.take_files(room, files),
            (Pending::Share { room, path }, Reply::File { file }) => {
                self.hashed(room, &path);
                self.take_file(room, file);
            }
            (Pending::Diagnose, Reply::Diagnosis { diagnosis }) => self.diagnosis = Some(diagnosis),
            (Pending::ProfileName, Reply::Profile { profile }) => {
                self.profile = Some(profile);
                self.toasts.push(Tone::Good, self.text.t("toast-name-saved"), None, None, self.now_ms);
            }
            (Pending::EnterCall, _) => {
                self.place = Place::Call;
                self.panel = None;
            }
            _ => {}
        }
        Vec::new()
    }

    fn apply_refusal(&mut self, pending: Pending, error: ErrorView) -> Vec<Effect> {
        match pending {
            Pending::Quiet => return Vec::new(),
            Pending::Share { room, path } => self.hashed(room, &path),
            Pending::Files { room } => self.files.entry(room).or_default().loaded = false,
            Pending::Board(room, asked) => {
                self.board_refused(room, &asked, &error);
                return Vec::new();
            }
            Pending::Join => {
                let (sentence, detail) = self.sentence(&error.code, &error.message);
                if let Some(Dialog::Join(form)) = &mut self.dialog {
                    form.busy = false;
                    form.error = Some(detail.map_or(sentence.clone(), |detail| format!("{sentence} {detail}")));
                    return Vec::new();
                }
            }
            Pending::CreateRoom => {
                if let Some(Dialog::NewRoom(form)) = &mut self.dialog {
                    form.busy = false;
                }
            }
            Pending::Invite { .. } => self.invitation.busy = false,
            Pending::Speak { .. } => self.invitation.speaking = false,
            Pending::Preview => {
                let (sentence, detail) = self.sentence(&error.code, &error.message);
                if let Place::Lobby(lobby) = &mut self.place {
                    lobby.problem = Some(detail.unwrap_or(sentence));
                    return Vec::new();
                }
            }
            Pending::Trial => self.end_trial(),
            Pending::EnterCall => {
                if let Place::Lobby(lobby) = &mut self.place {
                    lobby.busy = false;
                }
            }
            Pending::ChatPage { room, .. } => self.chats.entry(room).or_default().loading = false,
            Pending::Message { room, draft } => {
                let chat = self.chats.entry(room).or_default();
                if chat.draft.is_empty() {
                    chat.draft = draft;
                }
            }
            _ => {}
        }
        self.say_error(&error);
        Vec::new()
    }

    fn take_state(&mut self, state: StateView) -> Vec<Effect> {
        self.profile = Some(state.profile);
        self.rooms = state.rooms;
        self.sort_rooms();
        self.joins = state.joins;
        self.take_call(state.call);
        if self.selected.is_none()
            && let Some(room) = self.rooms.first().map(|room| room.room)
        {
            return self.select_room(room);
        }
        Vec::new()
    }

    pub(super) fn take_settings(&mut self, settings: Settings) {
        let language = settings.language.unwrap_or_else(crate::text::Language::system);
        if settings.language.is_some() && language != self.text.language() {
            self.text = Text::new(language);
        }
        self.settings = settings;
    }

    pub(super) fn take_room(&mut self, room: RoomView) {
        if let Some(known) = self.rooms.iter_mut().find(|known| known.room == room.room) {
            *known = room;
        } else {
            self.rooms.push(room);
        }
        self.sort_rooms();
    }

    /// Newest talk first; then by name, so that the list does not jump about.
    fn sort_rooms(&mut self) {
        self.rooms.sort_by(|a, b| {
            let at = |room: &RoomView| room.last_message.as_ref().map_or(0, |message| message.sent_ms);
            a.gone.cmp(&b.gone).then(at(b).cmp(&at(a))).then_with(|| a.name.cmp(&b.name)).then(a.room.cmp(&b.room))
        });
    }

    fn forget_room(&mut self, room: RoomId) {
        self.rooms.retain(|known| known.room != room);
        self.chats.remove(&room);
        self.files.remove(&room);
        if self.selected == Some(Selected::Room(room)) {
            self.selected = None;
            self.panel = None;
        }
    }

    fn spoken_mut(&mut self, room: RoomId, number: u32) -> Option<&mut Spoken> {
        self.invitation.spoken.as_mut().filter(|spoken| spoken.view.room == room && spoken.view.number == number)
    }

    /// Shows a join that has just begun.
    fn begin_join(&mut self, join: JoinView) {
        let key = join_key(&join);
        if !self.joins.iter().any(|known| join_key(known) == key) {
            self.joins.push(join);
        }
        self.place = Place::Rooms;
        self.selected = Some(Selected::Join(key));
    }

    fn take_join(&mut self, join: JoinView) -> Vec<Effect> {
        let key = join_key(&join);
        let was_selected = self.selected == Some(Selected::Join(key));
        if let JoinView::Joined { room } | JoinView::Heard { room, .. } = join {
            self.joins.retain(|known| join_key(known) != key);
            let name = self.room_name(room);
            self.toasts.push(Tone::Good, self.text.f("toast-joined", &[("room", name.into())]), None, None, self.now_ms);
            return if was_selected || self.selected.is_none() { self.select_room(room) } else { Vec::new() };
        }
        if let Some(known) = self.joins.iter_mut().find(|known| join_key(known) == key) {
            *known = join;
        } else {
            self.joins.push(join);
        }
        Vec::new()
    }

    fn take_message(&mut self, room: RoomId, message: MessageView, after: Option<OpHash>, new: bool) -> Vec<Effect> {
        let me = self.profile.as_ref().map(|profile| profile.device);
        let names_me = new && !message.mine && me.is_some_and(|me| message.mentions.contains(&me));
        let unread = message.unread && !message.mine;
        let id = message.id;
        let mut effects = Vec::new();
        if names_me {
            effects.push(Effect::Attention);
        }
        if new && !message.mine && !message.deleted {
            let body = format!("{}: {}", displayable(&message.author_name), displayable(&message.body));
            effects = self.with_notice(room, body.chars().take(200).collect(), effects);
        }
        let Some(chat) = self.chats.get_mut(&room).filter(|chat| chat.loaded) else { return effects };
        if chat.place(message, after) == Placed::ReadAgain {
            effects.extend(self.reload_chat(room));
        } else if unread && chat.first_unread.is_none() && self.open_room() != Some(room) {
            self.chats.entry(room).or_default().first_unread = Some(id);
        }
        effects
    }

    /// Reads the newest page again, as large as what was loaded.
    pub(super) fn reload_chat(&mut self, room: RoomId) -> Vec<Effect> {
        let chat = self.chats.entry(room).or_default();
        if chat.loading {
            return Vec::new();
        }
        chat.loading = true;
        let limit = PAGE.max(chat.messages.len() as u32);
        vec![Effect::Send(Command::ChatRead { room, limit, before: None }, Pending::ChatPage { room, older: false })]
    }

    fn take_call(&mut self, call: Option<CallView>) {
        match call {
            Some(call) => {
                self.stage.signs.note(&call, self.now_ms);
                self.sound = call.me.sound;
                // The first news of a call that was begun from the lobby, or by the state after a lag.
                if self.call.is_none() && !matches!(self.place, Place::Rooms) {
                    self.place = Place::Call;
                    self.panel = None;
                }
                let problem = call.me.problem.clone();
                if problem.is_some() && problem != self.call.as_ref().and_then(|call| call.me.problem.clone()) {
                    let sentence = self.text.t("error-device-failed");
                    self.toasts.push(Tone::Bad, sentence, problem, None, self.now_ms);
                }
                self.call = Some(call);
            }
            None => self.leave_call_screen(),
        }
    }

    /// By somebody who leads, or because this person spoke: then it can go up again.
    fn hand_lowered(&mut self, room: RoomId, by: Option<DeviceId>) {
        let (text, action) = match by {
            Some(device) => {
                let name = self.person_name(Some(room), device);
                (self.text.f("toast-hand-lowered", &[("name", name.into())]), None)
            }
            None => (self.text.t("toast-hand-spoke"), Some((self.text.t("undo"), Intent::Hand(true)))),
        };
        self.toasts.push(Tone::Info, text, None, action, self.now_ms);
    }

    fn end_trial(&mut self) {
        if let Place::Lobby(lobby) = &mut self.place {
            lobby.trying = false;
        }
    }

    /// Beside other effects, a notice of the desktop where the person wants any.
    fn with_notice(&self, room: RoomId, body: String, mut effects: Vec<Effect>) -> Vec<Effect> {
        if self.settings.notifications {
            effects.push(Effect::Notify { title: self.room_name(room), body });
        }
        effects
    }

    pub(super) fn leave_call_screen(&mut self) {
        let room = self.call.take().map(|call| call.room);
        self.stage = Stage::default();
        if matches!(self.place, Place::Call) {
            self.place = Place::Rooms;
            self.panel = None;
            if let Some(room) = room {
                self.selected = Some(Selected::Room(room));
            }
        }
    }

    fn unpin(&mut self, device: DeviceId) {
        if self.stage.pinned.is_some_and(|pinned| pinned.device == Some(device)) {
            self.stage.pinned = None;
        }
    }

    pub(super) fn say_error(&mut self, error: &ErrorView) {
        let (sentence, detail) = self.sentence(&error.code, &error.message);
        self.toasts.push(Tone::Bad, sentence, detail, None, self.now_ms);
    }

    fn say_in_room(&mut self, key: &str, name: &str, room: RoomId) {
        let room = self.room_name(room);
        let text = self.text.f(key, &[("name", displayable(name).into()), ("room", room.into())]);
        self.toasts.push(Tone::Info, text, None, None, self.now_ms);
    }

    pub(super) fn select_room(&mut self, room: RoomId) -> Vec<Effect> {
        if self.selected != Some(Selected::Room(room)) {
            // Where "new" begins is for one visit.
            if let Some(Selected::Room(left)) = self.selected
                && let Some(chat) = self.chats.get_mut(&left)
            {
                chat.first_unread = None;
                chat.search = None;
                if chat.compose != Compose::New {
                    chat.compose = Compose::New;
                    chat.draft.clear();
                }
            }
            self.invitation.made = None;
            self.panel = self.panel.filter(|panel| matches!(panel, Panel::People | Panel::Files));
        }
        self.selected = Some(Selected::Room(room));
        self.place = Place::Rooms;
        let mut effects = self.load_files();
        let chat = self.chats.entry(room).or_default();
        if chat.loaded {
            chat.mark_unread();
        } else {
            effects.extend(self.reload_chat(room));
        }
        effects
    }

    fn room_mut(&mut self, room: RoomId) -> Option<&mut RoomView> {
        self.rooms.iter_mut().find(|known| known.room == room)
    }

    pub(crate) fn room_name(&self, room: RoomId) -> String {
        let known = self.room(room).map(|room| displayable(&room.name));
        known.or_else(|| self.join_names.get(&room).cloned()).unwrap_or_else(|| self.text.t("room-unknown"))
    }

    /// What a person is called; never their key.
    pub(crate) fn person_name(&self, room: Option<RoomId>, device: DeviceId) -> String {
        let member = room.and_then(|room| self.member(room, device)).map(|member| member.name.as_str());
        let in_call = || {
            let people = self.call.as_ref().map(|call| call.people.as_slice()).unwrap_or_default();
            people.iter().find(|person| person.device == device).map(|person| person.name.as_str())
        };
        match member.or_else(in_call).map(displayable).filter(|name| !name.trim().is_empty()) {
            Some(name) => name,
            None => self.text.t("person-unknown"),
        }
    }

    pub(super) fn open_search(&mut self, room: RoomId) {
        self.chats.entry(room).or_default().search = Some(Search::default());
    }
}

/// Which join it is.
pub(crate) fn join_key(join: &JoinView) -> JoinKey {
    match join {
        JoinView::Searching { room, .. }
        | JoinView::Waiting { room, .. }
        | JoinView::Joined { room }
        | JoinView::Failed { room, .. } => JoinKey::Room(*room),
        JoinView::Hearing { number, .. } | JoinView::Heard { number, .. } | JoinView::Unheard { number, .. } => {
            JoinKey::Spoken(*number)
        }
    }
}
