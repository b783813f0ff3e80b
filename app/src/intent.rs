//! What the person wants, as the widgets say it. An intent carries no decision: [`crate::state`] turns it into commands.

pub mod board;

use std::path::PathBuf;

use conclave_node::command::HostAsk;
use conclave_node::view::{MediaKind, RoleView, SoundView, StreamKind};
use conclave_protocol::id::{DeviceId, FileId, OpHash, RoomId};

use crate::state::settings::{CallLayout, Settings};

/// How a new store's key shall be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectionChoice {
    Keyring,
    Passphrase,
    Insecure,
}

/// Which join: of a room by its link, or by the number of a code that was spoken, whose room shows later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKey {
    Room(RoomId),
    Spoken(u32),
}

/// A panel at the right edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    Chat,
    People,
    Invite,
    Files,
    Stats,
}

/// A page of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsPage {
    Profile,
    Appearance,
    Devices,
    Network,
}

/// What is asked for a second time before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// Everything of Conclave on this computer.
    Wipe,
    Revoke {
        room: RoomId,
        device: DeviceId,
        name: String,
    },
    LeaveRoom {
        room: RoomId,
        name: String,
    },
    DeleteRoom {
        room: RoomId,
        name: String,
    },
    DeleteMessage {
        room: RoomId,
        message: OpHash,
    },
    Record,
    RemoveFile {
        room: RoomId,
        file: FileId,
        name: String,
    },
    EndForAll,
}

/// What is chosen for an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteChoice {
    pub role: RoleView,
    pub uses: u32,
    pub expires_s: u64,
    /// An admin lets each one in.
    pub approval: bool,
}

/// One of the answers to a stream in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileKey {
    /// Oneself, where absent.
    pub device: Option<DeviceId>,
    pub stream: StreamKind,
}

/// What the person wants with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileIntent {
    /// Opens the panel of a room.
    Show(RoomId),
    /// Asks the person what to share.
    Choose {
        room: RoomId,
        folder: bool,
    },
    Share(RoomId, Vec<PathBuf>),
    /// In the room that is open: what was dropped or pasted.
    ShareHere(Vec<PathBuf>),
    Get {
        room: RoomId,
        file: FileId,
    },
    /// Asks the person where to.
    GetInto {
        room: RoomId,
        file: FileId,
    },
    GetTo {
        room: RoomId,
        file: FileId,
        to: PathBuf,
    },
    Pause {
        room: RoomId,
        file: FileId,
    },
    Resume {
        room: RoomId,
        file: FileId,
    },
    Cancel {
        room: RoomId,
        file: FileId,
    },
    Seed {
        room: RoomId,
        file: FileId,
    },
    Remove {
        room: RoomId,
        file: FileId,
    },
    Open {
        room: RoomId,
        file: FileId,
    },
    OpenFolder {
        room: RoomId,
        file: FileId,
    },
    /// Shows a look into it, or no longer.
    Preview {
        room: RoomId,
        file: FileId,
    },
}

/// The person wants this.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    // First start
    WelcomeName(String),
    WelcomeProtection(ProtectionChoice),
    WelcomePassphrase(String),
    WelcomePassphraseAgain(String),
    WelcomeAcceptInsecure(bool),
    WelcomeStart,
    WelcomeRetry,

    // Rooms
    SelectRoom(RoomId),
    SelectJoin(JoinKey),
    ShowNewRoom,
    NewRoomName(String),
    NewRoomApproval(bool),
    NewRoomHistory(bool),
    CreateRoom,
    ShowJoin,
    JoinLink(String),
    JoinAddress(String),
    Join,
    JoinWith(String),
    CancelJoin(JoinKey),
    DismissJoin(JoinKey),
    OpenPanel(Option<Panel>),
    TogglePanel(Panel),

    // Chat
    Draft(RoomId, String),
    Send(RoomId),
    Reply(RoomId, OpHash),
    Edit(RoomId, OpHash),
    EditLast(RoomId),
    CancelCompose(RoomId),
    React {
        room: RoomId,
        message: OpHash,
        emoji: String,
        on: bool,
    },
    LoadOlder(RoomId),
    Seen(RoomId, OpHash),
    ToggleSearch(RoomId),
    Search(RoomId, String),
    ShowMessage(RoomId, OpHash),
    CopyText(String),

    // People
    Approve {
        room: RoomId,
        device: DeviceId,
    },
    Refuse {
        room: RoomId,
        device: DeviceId,
    },
    SetRole {
        room: RoomId,
        device: DeviceId,
        role: RoleView,
    },
    ShowPerson {
        room: RoomId,
        device: DeviceId,
    },
    Verify {
        room: RoomId,
        device: DeviceId,
    },
    /// What a picture said that was dropped on a person; nothing where it has no code.
    Scanned(Option<String>),
    AcceptKey {
        room: RoomId,
        device: DeviceId,
    },
    Unverify {
        room: RoomId,
        device: DeviceId,
    },
    InviteChoice(InviteChoice),
    /// A code of a number and three words.
    Speak(RoomId),
    StopSpeaking {
        room: RoomId,
        number: u32,
    },
    MakeInvite(RoomId),
    CloseInvite {
        room: RoomId,
        invite: OpHash,
    },
    Ask(Confirm),
    Confirmed,

    // Files
    File(FileIntent),

    // Lobby and call
    OpenLobby(RoomId),
    CloseLobby,
    LobbyMic(bool),
    LobbyCamera(bool),
    ChooseDevice {
        kind: MediaKind,
        spec: String,
    },
    EnterCall,
    ShowCall,
    ShowRooms,
    ToggleMic,
    ToggleCamera,
    ToggleDeafen,
    PushToTalk(bool),
    ShowShare,
    Share(String),
    StopShare,
    ToggleRecord,
    SetLayout(CallLayout),
    ToggleLayout,
    Pin(TileKey),
    LeaveCall,
    Hand(bool),
    ToggleHand,
    CallReact(String),
    Host {
        act: HostAsk,
        device: DeviceId,
    },
    Volume {
        device: DeviceId,
        pct: u16,
    },
    Sound(SoundView),
    TrySpeaker,
    TryMic,
    /// Another key for this; the next one that is pressed.
    Rebind(Option<crate::keys::Action>),
    Bind(crate::keys::Action, String),
    ResetKeys,

    // The whiteboard
    ToggleBoard,
    Board(board::BoardIntent),

    // Everywhere
    ShowSettings(SettingsPage),
    Settings(Settings),
    ProfileName(String),
    SaveProfileName,
    RefreshDevices,
    Diagnose,
    ShowShortcuts,
    CloseDialog,
    DismissToast(u64),
    ToggleFullScreen,
}
