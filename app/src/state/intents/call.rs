//! The lobby, and what a person does in a call.

use conclave_node::command::Command;
use conclave_node::view::{MediaKind, StreamKind};
use conclave_protocol::id::RoomId;

use super::plain;
use crate::intent::{Confirm, Intent};
use crate::state::dialog::Dialog;
use crate::state::settings::{CallLayout, Settings};
use crate::state::toast::Tone;
use crate::state::{AppState, Effect, Lobby, Pending, Place, Selected};

impl AppState {
    pub(super) fn handle_call(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::OpenLobby(room) => return self.open_lobby(room),
            Intent::CloseLobby => {
                if matches!(self.place, Place::Lobby(_)) {
                    self.place = Place::Rooms;
                    let mut effects = self.preview(None);
                    effects.extend(meter(None));
                    return effects;
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
            Intent::Sound(sound) => {
                self.sound = sound;
                let (echo, noise) = (Some(sound.echo), Some(sound.noise));
                let (gain, chimes) = (Some(sound.gain), Some(sound.chimes));
                return vec![Effect::Send(Command::MediaSound { echo, noise, gain, chimes }, Pending::Sound)];
            }
            Intent::TrySpeaker => return self.try_out(None),
            Intent::TryMic => {
                let mic = self.spec_for(MediaKind::Microphone);
                return if mic.is_some() { self.try_out(mic) } else { Vec::new() };
            }
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
            Intent::Hand(on) => return plain(Command::CallHand { on }),
            Intent::ToggleHand => return plain(Command::CallHand { on: me.hand_ms.is_none() }),
            Intent::CallReact(emoji) => return plain(Command::CallReact { emoji }),
            Intent::Host { act, device } => return plain(Command::CallHost { act, device: Some(device) }),
            Intent::Volume { device, pct } => {
                return plain(Command::CallVolume { device, volume: f32::from(pct.min(200)) / 100.0 });
            }
            Intent::ToggleDeafen => return plain(Command::CallDeafen { on: !me.deafened }),
            Intent::Share(source) => {
                self.dialog = None;
                let Settings { share_content, share_fps, share_height, .. } = self.settings;
                return plain(Command::CallScreen {
                    source: Some(source),
                    content: Some(share_content),
                    fps: Some(share_fps),
                    height: Some(share_height),
                });
            }
            Intent::StopShare => {
                self.stage.pinned =
                    self.stage.pinned.filter(|pinned| pinned.device.is_some() || pinned.stream != StreamKind::Screen);
                return plain(Command::CallScreen { source: None, content: None, fps: None, height: None });
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

    /// The speaker with a few notes, or a microphone with what it hears for three seconds.
    fn try_out(&mut self, source: Option<String>) -> Vec<Effect> {
        let Some(sink) = self.spec_for(MediaKind::Speaker) else { return Vec::new() };
        if let Place::Lobby(lobby) = &mut self.place {
            lobby.trying = true;
        }
        vec![Effect::Send(Command::MediaTry { sink, source, seconds: 3 }, Pending::Trial)]
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
        self.place =
            Place::Lobby(Lobby { room, mic_on: false, camera_on: camera.is_some(), busy: false, problem: None, trying: false });
        self.mic_level = 0.0;
        let mut effects = vec![Effect::Send(Command::MediaDevices {}, Pending::Devices)];
        if camera.is_some() {
            effects.extend(self.preview(camera));
        }
        effects.extend(meter(self.spec_for(MediaKind::Microphone)));
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
            } else if kind == MediaKind::Microphone {
                effects.extend(meter(Some(spec)));
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

/// The meter of the lobby. Where it cannot be had the call will say why.
fn meter(source: Option<String>) -> Vec<Effect> {
    vec![Effect::Send(Command::MediaMeter { source }, Pending::Quiet)]
}
