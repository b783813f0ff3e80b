//! What the person wants, turned into commands and into changes of what is shown.

mod call;
mod chat;

use conclave_node::command::{Command, HostAsk};
use conclave_node::config::Protection;
use conclave_protocol::link::Link;

use super::dialog::{Dialog, JoinForm, NewRoom};
use super::settings::{SETTING_KEY, Settings};
use super::toast::Tone;
use super::{AppState, Effect, Pending, Phase, Place, Selected, WelcomeStep};
use crate::backend::OpenRequest;
use crate::intent::board::BoardIntent;
use crate::intent::{Confirm, Intent, JoinKey, Panel, ProtectionChoice};
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
            | Intent::Hand(_)
            | Intent::ToggleHand
            | Intent::CallReact(_)
            | Intent::Host { .. }
            | Intent::Volume { .. }
            | Intent::Sound(_)
            | Intent::TrySpeaker
            | Intent::TryMic
            | Intent::LeaveCall => self.handle_call(intent),
            Intent::ToggleBoard => {
                let room = self.open_room();
                match room.filter(|room| self.boards.shown != Some(*room)) {
                    Some(room) => self.handle_board(BoardIntent::Open(room)),
                    None => self.handle_board(BoardIntent::Close),
                }
            }
            Intent::Board(intent) => self.handle_board(intent),
            Intent::Rebind(action) => {
                self.rebinding = action;
                Vec::new()
            }
            Intent::Bind(action, key) => {
                self.rebinding = None;
                self.keep_settings(crate::keys::bind(&self.settings, action, &key))
            }
            Intent::ResetKeys => self.keep_settings(Settings { keys: Default::default(), ..self.settings.clone() }),
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
            Intent::SelectJoin(key) => {
                self.selected = Some(Selected::Join(key));
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
                    if form.link.trim().starts_with("conclave://team/") {
                        let command = Command::TeamRegister { link: form.link.trim().to_owned(), name: None };
                        return vec![Effect::Send(command, Pending::Join)];
                    }
                    if let Ok(link) = Link::parse(form.link.trim()) {
                        self.join_names.insert(link.room, displayable(&link.room_name));
                    }
                    let address = Some(form.address.trim().to_owned()).filter(|address| !address.is_empty());
                    let command = Command::RoomJoin { link: form.link.trim().to_owned(), address };
                    return vec![Effect::Send(command, Pending::Join)];
                }
            }
            Intent::CancelJoin(key) => {
                self.drop_join(key);
                return plain(match key {
                    JoinKey::Room(room) => Command::RoomJoinCancel { room },
                    JoinKey::Spoken(_) => Command::RoomHearCancel {},
                });
            }
            Intent::DismissJoin(key) => self.drop_join(key),
            Intent::File(intent) => return self.handle_file(intent),
            Intent::OpenPanel(panel) => {
                self.panel = panel;
                return self.load_files();
            }
            Intent::TogglePanel(panel) => {
                self.panel = if self.panel == Some(panel) { None } else { Some(panel) };
                return self.load_files();
            }

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
            Intent::Scanned(text) => {
                let Some(Dialog::Person { room, device, .. }) = self.dialog else { return Vec::new() };
                let Some(text) = text else {
                    self.toasts.push(Tone::Bad, self.text.t("scan-nothing"), None, None, self.now_ms);
                    return Vec::new();
                };
                return plain(Command::VerifyConfirm { room, device, scanned: Some(text) });
            }
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
            Intent::Speak(room) => {
                self.invitation.speaking = true;
                let role = self.invitation.choice.role;
                return vec![Effect::Send(Command::RoomSpeak { room, role }, Pending::Speak { room })];
            }
            Intent::StopSpeaking { room, number } => return plain(Command::RoomSpeakEnd { room, number }),
            Intent::CloseInvite { room, invite } => {
                // What was just made may be the one.
                self.invitation.made = None;
                return plain(Command::RoomCloseInvite { room, invite });
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
                    crate::intent::SettingsPage::Devices => {
                        let mut effects = self.handle(Intent::RefreshDevices);
                        let ask = Command::MediaSound { echo: None, noise: None, gain: None, chimes: None };
                        effects.push(Effect::Send(ask, Pending::Sound));
                        effects
                    }
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

    fn drop_join(&mut self, key: JoinKey) {
        self.joins.retain(|join| super::events::join_key(join) != key);
        if self.selected == Some(Selected::Join(key)) {
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
            Confirm::Wipe => plain(Command::Wipe { everything: true }),
            Confirm::RemoveFile { room, file, .. } => plain(Command::FileRemove { room, file }),
            Confirm::EndForAll => plain(Command::CallHost { act: HostAsk::End, device: None }),
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
