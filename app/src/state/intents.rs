//! What the person wants, turned into commands and into changes of what is shown.

use conclave_node::command::Command;
use conclave_node::config::Protection;
use conclave_node::view::{MediaKind, StreamKind};
use conclave_protocol::id::{OpHash, RoomId};
use conclave_protocol::link::Link;

use super::chat::{Compose, PAGE, Search};
use super::dialog::{Dialog, JoinForm, NewRoom};
use super::settings::{CallLayout, SETTING_KEY, Settings};
use super::toast::Tone;
use super::{AppState, Effect, Lobby, Pending, Phase, Place, Selected, WelcomeStep};
use crate::backend::OpenRequest;
use crate::intent::{Confirm, Intent, Panel, ProtectionChoice};
use crate::text::{Language, Text, displayable};

/// A passphrase shorter than this is not taken, in characters.
pub(crate) const MIN_PASSPHRASE: usize = 8;

fn plain(command: Command) -> Vec<Effect> {
    vec![Effect::Send(command, Pending::Plain)]
}

impl AppState {
    /// Turns a wish into effects.
    pub fn handle(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::WelcomeName(_)
            | Intent::WelcomeProtection(_)
            | Intent::WelcomePassphrase(_)
            | Intent::WelcomePassphraseAgain(_)
            | Intent::WelcomeAcceptInsecure(_)
            | Intent::WelcomeStart
            | Intent::WelcomeRetry => self.handle_welcome(intent),
            Intent::Draft(..)
            | Intent::Send(_)
            | Intent::Reply(..)
            | Intent::Edit(..)
            | Intent::EditLast(_)
            | Intent::CancelCompose(_)
            | Intent::React { .. }
            | Intent::LoadOlder(_)
            | Intent::Seen(..)
            | Intent::ToggleSearch(_)
            | Intent::Search(..)
            | Intent::ShowMessage(..) => self.handle_chat(intent),
            Intent::OpenLobby(_)
            | Intent::CloseLobby
            | Intent::LobbyMic(_)
            | Intent::LobbyCamera(_)
            | Intent::ChooseDevice { .. }
            | Intent::EnterCall
            | Intent::ShowCall
            | Intent::ShowRooms
            | Intent::ToggleMic
            | Intent::ToggleCamera
            | Intent::ToggleDeafen
            | Intent::PushToTalk(_)
            | Intent::ShowShare
            | Intent::Share(_)
            | Intent::StopShare
            | Intent::ToggleRecord
            | Intent::SetLayout(_)
            | Intent::ToggleLayout
            | Intent::Pin(_)
            | Intent::LeaveCall => self.handle_call(intent),
            intent => self.handle_room(intent),
        }
    }

    fn handle_welcome(&mut self, intent: Intent) -> Vec<Effect> {
        let Phase::Welcome(welcome) = &mut self.phase else { return Vec::new() };
        match intent {
            Intent::WelcomeName(name) => welcome.name = name,
            Intent::WelcomeProtection(protection) => {
                welcome.protection = protection;
                welcome.error = None;
            }
            Intent::WelcomePassphrase(passphrase) => welcome.passphrase = passphrase,
            Intent::WelcomePassphraseAgain(again) => welcome.again = again,
            Intent::WelcomeAcceptInsecure(accept) => welcome.accept_insecure = accept,
            Intent::WelcomeRetry => {
                welcome.error = None;
                if welcome.step == WelcomeStep::Opening {
                    return self.start();
                }
            }
            Intent::WelcomeStart => {
                if welcome.busy || !welcome.ready() {
                    return Vec::new();
                }
                let passphrase = || Protection::Passphrase(welcome.passphrase.clone().into());
                let request = match welcome.step {
                    WelcomeStep::Unlock | WelcomeStep::Opening => OpenRequest { protection: passphrase(), name: None },
                    WelcomeStep::Onboard => OpenRequest {
                        protection: match welcome.protection {
                            ProtectionChoice::Keyring => Protection::Keyring,
                            ProtectionChoice::Passphrase => passphrase(),
                            ProtectionChoice::Insecure => Protection::Insecure,
                        },
                        name: Some(welcome.name.trim().to_owned()),
                    },
                };
                welcome.busy = true;
                welcome.error = None;
                return vec![Effect::Open(request)];
            }
            _ => {}
        }
        Vec::new()
    }

    fn handle_room(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::SelectRoom(room) => {
                self.dialog = None;
                let knocks = self.room(room).is_some_and(|room| !room.knocks.is_empty());
                let effects = self.select_room(room);
                if knocks {
                    self.panel = Some(Panel::People);
                }
                return effects;
            }
            Intent::SelectJoin(room) => {
                self.selected = Some(Selected::Join(room));
                self.place = Place::Rooms;
            }
            Intent::ShowNewRoom => {
                let form = NewRoom { name: String::new(), approval: true, full_history: true, busy: false };
                self.dialog = Some(Dialog::NewRoom(form));
            }
            Intent::NewRoomName(name) => self.new_room(|form| form.name = name),
            Intent::NewRoomApproval(on) => self.new_room(|form| form.approval = on),
            Intent::NewRoomHistory(on) => self.new_room(|form| form.full_history = on),
            Intent::CreateRoom => {
                if let Some(Dialog::NewRoom(form)) = &mut self.dialog
                    && !form.busy
                    && !form.name.trim().is_empty()
                {
                    form.busy = true;
                    let name = form.name.trim().to_owned();
                    let command = Command::RoomCreate { name, approval: form.approval, full_history: form.full_history };
                    return vec![Effect::Send(command, Pending::CreateRoom)];
                }
            }
            Intent::ShowJoin => self.dialog = Some(Dialog::Join(JoinForm::default())),
            Intent::JoinLink(link) => self.join_form(|form| {
                form.link = link;
                form.error = None;
            }),
            Intent::JoinAddress(address) => self.join_form(|form| form.address = address),
            Intent::JoinWith(link) => self.dialog = Some(Dialog::Join(JoinForm { link, ..Default::default() })),
            Intent::Join => {
                if let Some(Dialog::Join(form)) = &mut self.dialog
                    && !form.busy
                    && !form.link.trim().is_empty()
                {
                    form.busy = true;
                    form.error = None;
                    if let Ok(link) = Link::parse(form.link.trim()) {
                        self.join_names.insert(link.room, displayable(&link.room_name));
                    }
                    let address = Some(form.address.trim().to_owned()).filter(|address| !address.is_empty());
                    let command = Command::RoomJoin { link: form.link.trim().to_owned(), address };
                    return vec![Effect::Send(command, Pending::Join)];
                }
            }
            Intent::CancelJoin(room) => {
                self.drop_join(room);
                return plain(Command::RoomJoinCancel { room });
            }
            Intent::DismissJoin(room) => self.drop_join(room),
            Intent::OpenPanel(panel) => self.panel = panel,
            Intent::TogglePanel(panel) => self.panel = if self.panel == Some(panel) { None } else { Some(panel) },

            Intent::Approve { room, device } => return plain(Command::RoomApprove { room, device }),
            Intent::Refuse { room, device } => return plain(Command::RoomRefuse { room, device }),
            Intent::SetRole { room, device, role } => return plain(Command::RoomRole { room, device, role }),
            Intent::ShowPerson { room, device } => {
                self.dialog = Some(Dialog::Person { room, device });
                self.verification = None;
                // With oneself nothing is to be compared.
                if self.member(room, device).is_some_and(|member| !member.me) {
                    return vec![Effect::Send(Command::VerifyShow { room, device }, Pending::Verification)];
                }
            }
            Intent::Verify { room, device } => return plain(Command::VerifyConfirm { room, device, scanned: None }),
            Intent::AcceptKey { room, device } => return plain(Command::VerifyAccept { room, device }),
            Intent::Unverify { room, device } => return plain(Command::VerifyClear { room, device }),
            Intent::InviteChoice(choice) => {
                self.invitation.choice = choice;
                self.invitation.made = None;
            }
            Intent::MakeInvite(room) => {
                self.invitation.busy = true;
                let choice = self.invitation.choice;
                let command = Command::RoomInvite {
                    room,
                    role: choice.role,
                    uses: choice.uses,
                    expires_s: choice.expires_s,
                    approval: Some(choice.approval),
                };
                return vec![Effect::Send(command, Pending::Invite { room })];
            }
            Intent::Ask(confirm) => self.dialog = Some(Dialog::Confirm(confirm)),
            Intent::Confirmed => return self.confirmed(),

            Intent::CopyText(text) => {
                self.toasts.push(Tone::Good, self.text.t("toast-copied"), None, None, self.now_ms);
                return vec![Effect::Copy(text)];
            }
            Intent::ShowSettings(page) => {
                let name = self.profile.as_ref().map(|profile| profile.name.clone()).unwrap_or_default();
                self.dialog = Some(Dialog::Settings { page, name });
                return match page {
                    crate::intent::SettingsPage::Network => self.handle(Intent::Diagnose),
                    crate::intent::SettingsPage::Devices => self.handle(Intent::RefreshDevices),
                    _ => Vec::new(),
                };
            }
            Intent::Settings(settings) => return self.keep_settings(settings),
            Intent::ProfileName(typed) => {
                if let Some(Dialog::Settings { name, .. }) = &mut self.dialog {
                    *name = typed;
                }
            }
            Intent::SaveProfileName => {
                if let Some(Dialog::Settings { name, .. }) = &self.dialog
                    && !name.trim().is_empty()
                {
                    let command = Command::ProfileRename { name: name.trim().to_owned() };
                    return vec![Effect::Send(command, Pending::ProfileName)];
                }
            }
            Intent::RefreshDevices => return vec![Effect::Send(Command::MediaDevices {}, Pending::Devices)],
            Intent::Diagnose => return vec![Effect::Send(Command::NetDiagnose {}, Pending::Diagnose)],
            Intent::ShowShortcuts => {
                let shown = matches!(self.dialog, Some(Dialog::Shortcuts));
                self.dialog = (!shown).then_some(Dialog::Shortcuts);
            }
            Intent::CloseDialog => self.dialog = None,
            Intent::DismissToast(id) => self.toasts.dismiss(id),
            Intent::ToggleFullScreen => {
                self.stage.full_screen = !self.stage.full_screen;
                return vec![Effect::FullScreen(self.stage.full_screen)];
            }
            _ => {}
        }
        Vec::new()
    }

    fn new_room(&mut self, change: impl FnOnce(&mut NewRoom)) {
        if let Some(Dialog::NewRoom(form)) = &mut self.dialog {
            change(form);
        }
    }

    fn join_form(&mut self, change: impl FnOnce(&mut JoinForm)) {
        if let Some(Dialog::Join(form)) = &mut self.dialog {
            change(form);
        }
    }

    fn drop_join(&mut self, room: RoomId) {
        self.joins.retain(|join| super::events::join_room(join) != room);
        if self.selected == Some(Selected::Join(room)) {
            self.selected = None;
        }
    }

    fn confirmed(&mut self) -> Vec<Effect> {
        let Some(Dialog::Confirm(confirm)) = self.dialog.take() else { return Vec::new() };
        match confirm {
            Confirm::Revoke { room, device, .. } => plain(Command::RoomRevoke { room, device }),
            Confirm::LeaveRoom { room, .. } => plain(Command::RoomLeave { room }),
            Confirm::DeleteRoom { room, .. } => plain(Command::RoomDelete { room }),
            Confirm::DeleteMessage { room, message } => plain(Command::ChatDelete { room, message }),
            Confirm::Record => {
                let folder = format!("{}", self.now_ms / 1000);
                plain(Command::CallRecord { dir: Some(self.launch.recordings.join(folder)) })
            }
        }
    }

    fn keep_settings(&mut self, settings: Settings) -> Vec<Effect> {
        if settings.language != self.settings.language {
            self.text = Text::new(settings.language.unwrap_or_else(Language::system));
        }
        self.settings = settings;
        let command = Command::SettingSet { key: SETTING_KEY.to_owned(), value: Some(self.settings.encode()) };
        vec![Effect::Send(command, Pending::Quiet)]
    }

    fn handle_chat(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::Draft(room, draft) => self.chats.entry(room).or_default().draft = draft,
            Intent::Send(room) => return self.send_message(room),
            Intent::Reply(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if matches!(chat.compose, Compose::Edit(_)) {
                    chat.draft.clear();
                }
                chat.compose = Compose::Reply(message);
            }
            Intent::Edit(room, message) => self.edit(room, message),
            Intent::EditLast(room) => {
                let last = self.chats.get(&room).and_then(|chat| chat.messages.iter().rev().find(|m| m.mine && !m.deleted));
                if let Some(message) = last.map(|message| message.id) {
                    self.edit(room, message);
                }
            }
            Intent::CancelCompose(room) => {
                let chat = self.chats.entry(room).or_default();
                if matches!(chat.compose, Compose::Edit(_)) {
                    chat.draft.clear();
                }
                chat.compose = Compose::New;
            }
            Intent::React { room, message, emoji, on } => return plain(Command::ChatReact { room, message, emoji, on }),
            Intent::LoadOlder(room) => {
                let chat = self.chats.entry(room).or_default();
                if let Some(oldest) = chat.messages.first().map(|message| message.id)
                    && !chat.loading
                    && !chat.complete
                {
                    chat.loading = true;
                    let command = Command::ChatRead { room, limit: PAGE, before: Some(oldest) };
                    return vec![Effect::Send(command, Pending::ChatPage { room, older: true })];
                }
            }
            Intent::Seen(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if chat.read_to != Some(message) {
                    chat.read_to = Some(message);
                    for message in &mut chat.messages {
                        message.unread = false;
                    }
                    return vec![Effect::Send(Command::ChatMarkRead { room, message }, Pending::Quiet)];
                }
            }
            Intent::ToggleSearch(room) => {
                let chat = self.chats.entry(room).or_default();
                if chat.search.take().is_none() {
                    self.open_search(room);
                }
            }
            Intent::Search(room, query) => {
                let asked = query.trim().to_owned();
                self.chats.entry(room).or_default().search = Some(Search { query: asked.clone(), results: None });
                if !asked.is_empty() {
                    let command = Command::ChatSearch { query: asked.clone(), room: Some(room), limit: 50 };
                    return vec![Effect::Send(command, Pending::Search { room, query: asked })];
                }
            }
            Intent::ShowMessage(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if chat.message(message).is_some() {
                    chat.show = Some(message);
                } else {
                    self.toasts.push(Tone::Info, self.text.t("toast-message-far"), None, None, self.now_ms);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn edit(&mut self, room: RoomId, message: OpHash) {
        let chat = self.chats.entry(room).or_default();
        if let Some(body) = chat.message(message).filter(|message| message.mine && !message.deleted).map(|m| m.body.clone()) {
            chat.draft = body;
            chat.compose = Compose::Edit(message);
        }
    }

    fn send_message(&mut self, room: RoomId) -> Vec<Effect> {
        let chat = self.chats.entry(room).or_default();
        let body = chat.draft.trim().to_owned();
        let compose = std::mem::take(&mut chat.compose);
        let draft = std::mem::take(&mut chat.draft);
        let command = match compose {
            // An edit to nothing is a wish to delete, and that is asked for.
            Compose::Edit(message) if body.is_empty() => {
                self.dialog = Some(Dialog::Confirm(Confirm::DeleteMessage { room, message }));
                return Vec::new();
            }
            Compose::Edit(message) => Command::ChatEdit { room, message, body },
            _ if body.is_empty() => return Vec::new(),
            Compose::New => Command::ChatSend { room, body, reply_to: None },
            Compose::Reply(message) => Command::ChatSend { room, body, reply_to: Some(message) },
        };
        chat.first_unread = None;
        vec![Effect::Send(command, Pending::Message { room, draft })]
    }

    fn handle_call(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::OpenLobby(room) => return self.open_lobby(room),
            Intent::CloseLobby => {
                if matches!(self.place, Place::Lobby(_)) {
                    self.place = Place::Rooms;
                    return self.preview(None);
                }
            }
            Intent::LobbyMic(on) => {
                if let Place::Lobby(lobby) = &mut self.place {
                    lobby.mic_on = on;
                }
            }
            Intent::LobbyCamera(on) => {
                let camera = self.spec_for(MediaKind::Camera).filter(|_| on);
                if let Place::Lobby(lobby) = &mut self.place {
                    lobby.camera_on = camera.is_some();
                    lobby.problem = None;
                    return self.preview(camera);
                }
            }
            Intent::ChooseDevice { kind, spec } => return self.choose_device(kind, spec),
            Intent::EnterCall => return self.enter_call(),
            Intent::ShowCall => {
                if self.call.is_some() {
                    self.place = Place::Call;
                    self.panel = None;
                    self.dialog = None;
                }
            }
            Intent::ShowRooms => {
                let room = self.call.as_ref().map(|call| call.room);
                self.place = Place::Rooms;
                self.panel = None;
                if let Some(room) = room {
                    return self.select_room(room);
                }
            }
            Intent::SetLayout(layout) => return self.keep_settings(Settings { layout, ..self.settings.clone() }),
            Intent::ToggleLayout => {
                let layout = match self.settings.layout {
                    CallLayout::Grid => CallLayout::Spotlight,
                    CallLayout::Spotlight => CallLayout::Grid,
                };
                return self.keep_settings(Settings { layout, ..self.settings.clone() });
            }
            Intent::Pin(tile) => self.stage.pinned = if self.stage.pinned == Some(tile) { None } else { Some(tile) },
            Intent::ShowShare => {
                if self.call.is_some() {
                    self.dialog = Some(Dialog::Share);
                    return vec![Effect::Send(Command::MediaDevices {}, Pending::Devices)];
                }
            }
            intent if self.call.is_some() => return self.handle_in_call(intent),
            _ => {}
        }
        Vec::new()
    }

    fn handle_in_call(&mut self, intent: Intent) -> Vec<Effect> {
        let Some(me) = self.call.as_ref().map(|call| call.me.clone()) else { return Vec::new() };
        match intent {
            Intent::ToggleMic => {
                self.stage.talking = false;
                return self.set_mic(!me.mic_on);
            }
            Intent::PushToTalk(true) if !me.mic_on && !self.stage.talking => {
                self.stage.talking = true;
                return self.set_mic(true);
            }
            Intent::PushToTalk(false) if self.stage.talking => {
                self.stage.talking = false;
                return plain(Command::CallMic { on: false, source: None });
            }
            Intent::ToggleCamera if me.camera.is_some() => return plain(Command::CallCamera { source: None }),
            Intent::ToggleCamera => match self.spec_for(MediaKind::Camera) {
                Some(camera) => return plain(Command::CallCamera { source: Some(camera) }),
                None => self.say("toast-no-camera"),
            },
            Intent::ToggleDeafen => return plain(Command::CallDeafen { on: !me.deafened }),
            Intent::Share(source) => {
                self.dialog = None;
                return plain(Command::CallScreen { source: Some(source) });
            }
            Intent::StopShare => {
                self.stage.pinned =
                    self.stage.pinned.filter(|pinned| pinned.device.is_some() || pinned.stream != StreamKind::Screen);
                return plain(Command::CallScreen { source: None });
            }
            Intent::ToggleRecord if me.recording.is_some() => return plain(Command::CallRecord { dir: None }),
            Intent::ToggleRecord => self.dialog = Some(Dialog::Confirm(Confirm::Record)),
            Intent::LeaveCall => {
                let mut effects = plain(Command::CallLeave {});
                if self.stage.full_screen {
                    effects.push(Effect::FullScreen(false));
                }
                self.leave_call_screen();
                return effects;
            }
            _ => {}
        }
        Vec::new()
    }

    fn say(&mut self, key: &str) {
        self.toasts.push(Tone::Bad, self.text.t(key), None, None, self.now_ms);
    }

    fn set_mic(&mut self, on: bool) -> Vec<Effect> {
        let none_yet = self.call.as_ref().is_some_and(|call| call.me.mic.is_none());
        let source = self.spec_for(MediaKind::Microphone).filter(|_| on && none_yet);
        if on && none_yet && source.is_none() {
            self.stage.talking = false;
            self.say("toast-no-mic");
            return Vec::new();
        }
        plain(Command::CallMic { on, source })
    }

    fn preview(&self, source: Option<String>) -> Vec<Effect> {
        vec![Effect::Send(Command::MediaPreview { source }, Pending::Preview)]
    }

    fn open_lobby(&mut self, room: RoomId) -> Vec<Effect> {
        if let Some(call) = &self.call {
            if call.room == room {
                return self.handle(Intent::ShowCall);
            }
            self.say("error-already-in-call");
            return Vec::new();
        }
        self.dialog = None;
        self.selected = Some(Selected::Room(room));
        let camera = self.spec_for(MediaKind::Camera);
        self.place = Place::Lobby(Lobby { room, mic_on: false, camera_on: camera.is_some(), busy: false, problem: None });
        let mut effects = vec![Effect::Send(Command::MediaDevices {}, Pending::Devices)];
        if camera.is_some() {
            effects.extend(self.preview(camera));
        }
        effects
    }

    fn choose_device(&mut self, kind: MediaKind, spec: String) -> Vec<Effect> {
        let mut settings = self.settings.clone();
        match kind {
            MediaKind::Camera => settings.camera = Some(spec.clone()),
            MediaKind::Microphone => settings.mic = Some(spec.clone()),
            MediaKind::Speaker => settings.speaker = Some(spec.clone()),
            MediaKind::Screen => return Vec::new(),
        }
        let mut effects = self.keep_settings(settings);
        if let Place::Lobby(lobby) = &mut self.place {
            if kind == MediaKind::Camera && lobby.camera_on {
                lobby.problem = None;
                effects.extend(self.preview(Some(spec)));
            }
            return effects;
        }
        let Some(me) = self.call.as_ref().map(|call| call.me.clone()) else { return effects };
        effects.extend(match kind {
            MediaKind::Camera if me.camera.is_some() => plain(Command::CallCamera { source: Some(spec) }),
            MediaKind::Microphone if me.mic.is_some() => plain(Command::CallMic { on: me.mic_on, source: Some(spec) }),
            MediaKind::Speaker => plain(Command::CallSpeaker { sink: spec }),
            _ => Vec::new(),
        });
        effects
    }

    fn enter_call(&mut self) -> Vec<Effect> {
        let Place::Lobby(lobby) = &self.place else { return Vec::new() };
        if lobby.busy {
            return Vec::new();
        }
        let (room, mic_on, camera_on) = (lobby.room, lobby.mic_on, lobby.camera_on);
        let mic = self.spec_for(MediaKind::Microphone);
        let join = Command::CallJoin {
            room,
            mic_on: mic_on && mic.is_some(),
            mic,
            camera: self.spec_for(MediaKind::Camera).filter(|_| camera_on),
            speaker: self.spec_for(MediaKind::Speaker),
        };
        if let Place::Lobby(lobby) = &mut self.place {
            lobby.busy = true;
        }
        // The preview lets go of the camera before the call takes it.
        let mut effects = vec![Effect::Send(Command::MediaPreview { source: None }, Pending::Quiet)];
        effects.push(Effect::Send(join, Pending::EnterCall));
        effects
    }
}

impl super::Welcome {
    /// Everything is filled in.
    pub fn ready(&self) -> bool {
        match self.step {
            WelcomeStep::Opening => false,
            WelcomeStep::Unlock => !self.passphrase.is_empty(),
            WelcomeStep::Onboard => {
                !self.name.trim().is_empty()
                    && match self.protection {
                        ProtectionChoice::Keyring => true,
                        ProtectionChoice::Passphrase => {
                            self.passphrase.chars().count() >= MIN_PASSPHRASE && self.passphrase == self.again
                        }
                        ProtectionChoice::Insecure => self.accept_insecure,
                    }
            }
        }
    }
}
