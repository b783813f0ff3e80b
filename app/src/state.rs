//! Everything the window knows, as one value. [`AppState::apply`] folds what the node says, [`AppState::handle`] turns what the person
//! wants into effects; both are pure, and neither reads a clock or touches the node.

pub mod board;
pub mod chat;
pub mod dialog;
pub(crate) mod events;
pub mod files;
mod intents;
pub(crate) use intents::MIN_PASSPHRASE;
pub mod settings;
pub mod signs;
pub mod toast;

use std::collections::BTreeMap;
use std::path::PathBuf;

use conclave_node::command::Command;
use conclave_node::config::Protection;
use conclave_node::view::{
    CallView, DiagnosisView, InviteView, JoinView, MediaDeviceView, MediaKind, MemberView, ProfileView, RoleView, RoomView,
    SoundView, SpokenEndView, SpokenView, TeamView, VerificationView,
};
use conclave_protocol::id::{DeviceId, RoomId};

use crate::backend::{KeptBy, OpenRequest, RequestId, StorePresence};
use crate::chooser::Choice;
use crate::intent::{InviteChoice, JoinKey, Panel, ProtectionChoice, TileKey};
use crate::keys::Action;
use crate::text::Text;
use board::Boards;
use chat::Chat;
use dialog::Dialog;
use settings::Settings;
use signs::Signs;
use toast::Toasts;

/// What the window was started with.
#[derive(Debug, Clone)]
pub struct Launch {
    pub presence: StorePresence,
    /// Where an earlier store was put because it is damaged.
    pub aside: Option<String>,
    /// The name that onboarding proposes.
    pub name: Option<String>,
    /// How secrets are kept, where the command line says so: opens without a question.
    pub protection: Option<Protection>,
    /// A link to join once the store is open.
    pub link: Option<String>,
    /// Below this, each recording gets a folder of its own.
    pub recordings: PathBuf,
    /// Seconds east of UTC at a moment (UTC milliseconds).
    pub local_offset_s: fn(u64) -> i32,
}

/// What the shell around the state is to do.
#[derive(Debug, Clone)]
pub enum Effect {
    Send(Command, Pending),
    Open(OpenRequest),
    Copy(String),
    FullScreen(bool),
    /// The window's taskbar entry may blink.
    Attention,
    /// Asks the person for a file or folder, in the dialog of the system.
    Choose(Choice),
    /// By the program that the system has for it.
    OpenPath(PathBuf),
    /// A notice of the desktop, where the window is not looked at.
    Notify {
        title: String,
        body: String,
    },
}

/// What a reply is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Pending {
    State,
    Devices,
    Settings,
    CreateRoom,
    Join,
    /// A page of the chat; `older` goes before what is there, otherwise it replaces it.
    ChatPage {
        room: RoomId,
        older: bool,
    },
    Search {
        room: RoomId,
        query: String,
    },
    /// A message that was sent; its text returns to the composer where the node refused it.
    Message {
        room: RoomId,
        draft: String,
    },
    Speak {
        room: RoomId,
    },
    Invite {
        room: RoomId,
    },
    Preview,
    EnterCall,
    Diagnose,
    ProfileName,
    Verification,
    Files {
        room: RoomId,
    },
    /// A file that is being read, to be shared.
    Share {
        room: RoomId,
        path: String,
    },
    Board(RoomId, board::Asked),
    Sound,
    /// A microphone or a speaker is tried.
    Trial,
    /// Nothing but its error matters.
    Plain,
    /// Not even that: it was asked in passing.
    Quiet,
}

/// Where the person is between first start and the rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Welcome(Welcome),
    Home,
}

/// The form of the first start, and of unlocking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    pub step: WelcomeStep,
    pub name: String,
    pub protection: ProtectionChoice,
    pub passphrase: String,
    pub again: String,
    pub accept_insecure: bool,
    pub busy: bool,
    pub error: Option<conclave_node::view::ErrorView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WelcomeStep {
    /// Nobody has used this data directory.
    Onboard,
    /// A passphrase opens it.
    Unlock,
    /// It opens without a question, or says why not.
    Opening,
}

/// What the middle of the window shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Rooms,
    Lobby(Lobby),
    Call,
}

/// Before entering a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lobby {
    pub room: RoomId,
    pub mic_on: bool,
    pub camera_on: bool,
    pub busy: bool,
    /// Why the preview shows nothing.
    pub problem: Option<String>,
    /// A microphone or a speaker is being tried.
    pub trying: bool,
}

/// What is chosen in the sidebar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    Room(RoomId),
    Join(JoinKey),
}

/// The invitation panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub choice: InviteChoice,
    pub made: Option<InviteView>,
    pub busy: bool,
    /// The code that was spoken last.
    pub spoken: Option<Spoken>,
    /// One is being made.
    pub speaking: bool,
}

/// A code to be spoken, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    pub view: SpokenView,
    pub failures: u32,
    pub end: Option<SpokenEndView>,
}

/// Choices within a call that end with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stage {
    pub pinned: Option<TileKey>,
    pub signs: Signs,
    /// Held down to talk: letting go mutes again.
    pub talking: bool,
    pub full_screen: bool,
}

/// The whole state of the window.
#[derive(Debug)]
pub struct AppState {
    pub text: Text,
    pub settings: Settings,
    pub launch: Launch,
    /// UTC milliseconds, as the shell last said.
    pub now_ms: u64,
    pub phase: Phase,
    pub profile: Option<ProfileView>,
    pub rooms: Vec<RoomView>,
    pub joins: Vec<JoinView>,
    /// What the links that were followed call their rooms.
    pub join_names: BTreeMap<RoomId, String>,
    pub chats: BTreeMap<RoomId, Chat>,
    pub files: BTreeMap<RoomId, files::RoomFiles>,
    pub devices: Vec<MediaDeviceView>,
    pub diagnosis: Option<DiagnosisView>,
    pub team: Option<TeamView>,
    pub call: Option<CallView>,
    pub stage: Stage,
    pub place: Place,
    pub selected: Option<Selected>,
    pub panel: Option<Panel>,
    pub dialog: Option<Dialog>,
    pub invitation: Invitation,
    /// What is compared with the person whose details are shown.
    pub verification: Option<VerificationView>,
    pub toasts: Toasts,
    pub boards: Boards,
    /// What is done to the microphone, as the node last said.
    pub sound: SoundView,
    /// Loudness of the microphone in the lobby, 0 to 1.
    pub mic_level: f32,
    /// Waits for its new key.
    pub rebinding: Option<Action>,
    pending: BTreeMap<RequestId, Pending>,
}

impl AppState {
    pub fn new(launch: Launch, text: Text, now_ms: u64) -> Self {
        let step = match launch.presence {
            StorePresence::Absent => WelcomeStep::Onboard,
            StorePresence::Present(KeptBy::Passphrase) => WelcomeStep::Unlock,
            StorePresence::Present(_) => WelcomeStep::Opening,
        };
        let welcome = Welcome {
            step,
            name: launch.name.clone().unwrap_or_default(),
            protection: ProtectionChoice::Keyring,
            passphrase: String::new(),
            again: String::new(),
            accept_insecure: false,
            busy: false,
            error: None,
        };
        Self {
            text,
            settings: Settings::default(),
            launch,
            now_ms,
            phase: Phase::Welcome(welcome),
            profile: None,
            rooms: Vec::new(),
            joins: Vec::new(),
            join_names: BTreeMap::new(),
            chats: BTreeMap::new(),
            files: BTreeMap::new(),
            devices: Vec::new(),
            diagnosis: None,
            team: None,
            call: None,
            stage: Stage::default(),
            place: Place::Rooms,
            selected: None,
            panel: None,
            dialog: None,
            invitation: Invitation {
                choice: InviteChoice { role: RoleView::Member, uses: 1, expires_s: 86_400, approval: true },
                made: None,
                busy: false,
                spoken: None,
                speaking: false,
            },
            verification: None,
            toasts: Toasts::default(),
            boards: Boards::default(),
            sound: SoundView::default(),
            mic_level: 0.0,
            rebinding: None,
            pending: BTreeMap::new(),
        }
    }

    /// What is to be done before the first frame: a store that needs no answer is opened.
    pub fn start(&mut self) -> Vec<Effect> {
        let Phase::Welcome(welcome) = &mut self.phase else { return Vec::new() };
        let named = self.launch.name.is_some();
        let protection = match (self.launch.presence, &self.launch.protection) {
            (StorePresence::Absent, Some(given)) if named => given.clone(),
            (StorePresence::Absent, _) => return Vec::new(),
            (StorePresence::Present(_), Some(given)) => given.clone(),
            (StorePresence::Present(KeptBy::Passphrase), None) => return Vec::new(),
            (StorePresence::Present(KeptBy::Insecure), None) => Protection::Insecure,
            (StorePresence::Present(KeptBy::Keyring | KeptBy::Unknown), None) => Protection::Keyring,
        };
        welcome.step = WelcomeStep::Opening;
        welcome.busy = true;
        vec![Effect::Open(OpenRequest { protection, name: self.launch.name.clone() })]
    }

    /// The shell has sent the command of a [`Effect::Send`]; its reply will carry this id.
    pub fn sent(&mut self, request: RequestId, pending: Pending) {
        self.pending.insert(request, pending);
    }

    /// A frame was drawn: what was to be shown once has been.
    pub fn frame_drawn(&mut self) {
        for chat in self.chats.values_mut() {
            chat.show = None;
        }
    }

    pub fn room(&self, room: RoomId) -> Option<&RoomView> {
        self.rooms.iter().find(|candidate| candidate.room == room)
    }

    pub fn member(&self, room: RoomId, device: DeviceId) -> Option<&MemberView> {
        self.room(room)?.members.iter().find(|member| member.device == device)
    }

    /// The room whose chat is before the person's eyes.
    pub fn open_room(&self) -> Option<RoomId> {
        match (&self.place, self.selected) {
            (Place::Rooms, Some(Selected::Room(room))) => Some(room),
            (Place::Call, _) => self.call.as_ref().map(|call| call.room),
            _ => None,
        }
    }

    /// The device that is used for a kind: the chosen one while it is there, else the first that works.
    pub fn device_for(&self, kind: MediaKind) -> Option<&MediaDeviceView> {
        let chosen = match kind {
            MediaKind::Camera => self.settings.camera.as_deref(),
            MediaKind::Microphone => self.settings.mic.as_deref(),
            MediaKind::Speaker => self.settings.speaker.as_deref(),
            MediaKind::Screen => None,
        };
        let mut usable = self.devices.iter().filter(|device| device.kind == kind && device.unavailable.is_none());
        usable.clone().find(|device| Some(device.spec.as_str()) == chosen).or_else(|| usable.next())
    }

    fn spec_for(&self, kind: MediaKind) -> Option<String> {
        self.device_for(kind).map(|device| device.spec.clone())
    }

    /// A sentence for an error code, in the person's language, with what the node adds where that helps.
    pub fn sentence(&self, code: &str, message: &str) -> (String, Option<String>) {
        /// Codes whose message tells more than the sentence: which device, which address, what was tried.
        const TELLING: [&str; 7] =
            ["device_failed", "nobody_found", "unreachable", "bad_request", "store_failed", "unsupported", "store_damaged"];
        match self.text.find(&format!("error-{}", code.replace('_', "-"))) {
            Some(sentence) => (sentence, (TELLING.contains(&code) && !message.is_empty()).then(|| message.to_owned())),
            None => (message.to_owned(), None),
        }
    }

    /// The next moment at which something changes on screen without an event, in UTC milliseconds.
    pub fn next_change_ms(&self) -> Option<u64> {
        let clock = self.call.as_ref().map(|call| {
            let since = self.now_ms.saturating_sub(call.since_ms);
            self.now_ms + 1000 - since % 1000
        });
        [self.toasts.next_expiry_ms(), clock, self.next_board_ms()].into_iter().flatten().min()
    }
}
