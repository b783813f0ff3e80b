//! What a person or a script asks of the node. One variant is one JSON line in, `{"v":1,"id":7,"cmd":"chat.send",…}`.

use std::path::PathBuf;

use conclave_crdt::{Edit, PageEdit, PageId};
use conclave_protocol::id::{DeviceId, FileId, OpHash, RoomId};
use serde::{Deserialize, Serialize};

use crate::view::{
    BoardLiveView, BoardMomentView, BoardPageView, BoardPictureView, BoardView, DiagnosisView, FileView, InviteView,
    MediaDeviceView, MessageView, OwnDeviceView, PeerView, PictureBytes, ProfileView, RoleView, RoomView, ShareContent,
    SoundView, SpokenView, StateView, TeamView, VerificationView,
};

/// Please do this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cmd")]
pub enum Command {
    #[serde(rename = "profile.show")]
    ProfileShow {},
    /// Changes the name that others see. Rooms learn it by an operation of their log.
    #[serde(rename = "profile.rename")]
    ProfileRename { name: String },
    #[serde(rename = "state")]
    State {},

    #[serde(rename = "room.create")]
    RoomCreate {
        name: String,
        #[serde(default = "yes")]
        approval: bool,
        #[serde(default = "yes")]
        full_history: bool,
    },
    #[serde(rename = "room.list")]
    RoomList {},
    #[serde(rename = "room.show")]
    RoomShow { room: RoomId },
    #[serde(rename = "room.invite")]
    RoomInvite {
        room: RoomId,
        #[serde(default = "member")]
        role: RoleView,
        /// How many people the link admits; 1 to 1000.
        #[serde(default = "one")]
        uses: u32,
        /// Seconds from now, by this device's clock; 60 to 30 days.
        #[serde(default = "one_day")]
        expires_s: u64,
        /// Overrides the room's rule for this link.
        #[serde(default)]
        approval: Option<bool>,
    },
    /// A code of a number and three words, which lets one person within reach in for ten minutes.
    #[serde(rename = "room.speak")]
    RoomSpeak {
        room: RoomId,
        #[serde(default = "member")]
        role: RoleView,
    },
    /// Takes a spoken code back.
    #[serde(rename = "room.speak_end")]
    RoomSpeakEnd { room: RoomId, number: u32 },
    /// Starts a join; progress comes as `join.progress` events.
    #[serde(rename = "room.join")]
    RoomJoin {
        /// A link, or a code as it was spoken.
        link: String,
        /// A multiaddr or `host:port` to try beside what the link and mDNS give.
        #[serde(default)]
        address: Option<String>,
    },
    #[serde(rename = "room.join_cancel")]
    RoomJoinCancel { room: RoomId },
    /// Gives a join by a spoken code up.
    #[serde(rename = "room.hear_cancel")]
    RoomHearCancel {},
    #[serde(rename = "room.approve")]
    RoomApprove { room: RoomId, device: DeviceId },
    #[serde(rename = "room.refuse")]
    RoomRefuse { room: RoomId, device: DeviceId },
    #[serde(rename = "room.role")]
    RoomRole { room: RoomId, device: DeviceId, role: RoleView },
    #[serde(rename = "room.revoke")]
    RoomRevoke { room: RoomId, device: DeviceId },
    /// A link lets nobody in any more, whoever made it. `invite` is one of the room's `invites`.
    #[serde(rename = "room.close_invite")]
    RoomCloseInvite { room: RoomId, invite: OpHash },
    /// Says goodbye to the room; its history stays readable here.
    #[serde(rename = "room.leave")]
    RoomLeave { room: RoomId },
    /// Leaves, and removes everything of the room from this device.
    #[serde(rename = "room.delete")]
    RoomDelete { room: RoomId },

    /// The devices of this device's person.
    #[serde(rename = "device.list")]
    DeviceList {},
    /// What a device that this person has already is to read.
    #[serde(rename = "device.code")]
    DeviceCode {},
    /// Takes a device in by its code. What is answered goes back to it.
    #[serde(rename = "device.add")]
    DeviceAdd { code: String },
    /// Becomes a device of the person whose device answered. Only where this one is in no room.
    #[serde(rename = "device.accept")]
    DeviceAccept { code: String },
    /// Takes a device out of the person's list, and out of every room where this one may.
    #[serde(rename = "device.remove")]
    DeviceRemove { device: DeviceId },
    /// The person's key, sealed by a passphrase as a file of age.
    #[serde(rename = "identity.export")]
    IdentityExport { passphrase: String },

    /// The code that this person and a member compare.
    #[serde(rename = "verify.show")]
    VerifyShow { room: RoomId, device: DeviceId },
    /// The codes are the same.
    #[serde(rename = "verify.confirm")]
    VerifyConfirm {
        room: RoomId,
        device: DeviceId,
        /// What was scanned from the other's screen: refused where it is not the code of these two.
        #[serde(default)]
        scanned: Option<String>,
    },
    /// A member may go by a name that another account had before; nothing was compared.
    #[serde(rename = "verify.accept")]
    VerifyAccept { room: RoomId, device: DeviceId },
    /// Not verified any more.
    #[serde(rename = "verify.clear")]
    VerifyClear { room: RoomId, device: DeviceId },

    #[serde(rename = "chat.send")]
    ChatSend {
        room: RoomId,
        body: String,
        #[serde(default)]
        reply_to: Option<OpHash>,
    },
    #[serde(rename = "chat.edit")]
    ChatEdit { room: RoomId, message: OpHash, body: String },
    #[serde(rename = "chat.delete")]
    ChatDelete { room: RoomId, message: OpHash },
    #[serde(rename = "chat.react")]
    ChatReact { room: RoomId, message: OpHash, emoji: String, on: bool },
    /// The newest `limit` messages before `before`, oldest first.
    #[serde(rename = "chat.read")]
    ChatRead {
        room: RoomId,
        #[serde(default = "fifty")]
        limit: u32,
        #[serde(default)]
        before: Option<OpHash>,
    },
    #[serde(rename = "chat.search")]
    ChatSearch {
        query: String,
        /// Everywhere, where absent.
        #[serde(default)]
        room: Option<RoomId>,
        #[serde(default = "fifty")]
        limit: u32,
    },
    /// Everything up to this message, in the room's order, has been seen.
    #[serde(rename = "chat.mark_read")]
    ChatMarkRead { room: RoomId, message: OpHash },

    /// Shares a file or a folder of this device. Answered once it was read and hashed; progress comes as `file.hashing` events.
    #[serde(rename = "file.share")]
    FileShare { room: RoomId, path: PathBuf },
    /// The files of a room, the newest last.
    #[serde(rename = "file.list")]
    FileList { room: RoomId },
    /// Fetches a file; progress comes as `file.changed` events.
    #[serde(rename = "file.get")]
    FileGet {
        room: RoomId,
        file: FileId,
        /// The folder into which it goes; the person's downloads, where absent.
        #[serde(default)]
        to: Option<PathBuf>,
    },
    #[serde(rename = "file.pause")]
    FilePause { room: RoomId, file: FileId },
    #[serde(rename = "file.resume")]
    FileResume { room: RoomId, file: FileId },
    /// Fetches it no more, and removes what was fetched so far.
    #[serde(rename = "file.cancel")]
    FileCancel { room: RoomId, file: FileId },
    /// Takes a share back: one's own, or any as an admin. Files that people have stay with them.
    #[serde(rename = "file.remove")]
    FileRemove { room: RoomId, file: FileId },
    /// Keeps the sealed chunks of a file and serves them, without the file itself.
    #[serde(rename = "file.seed")]
    FileSeed { room: RoomId, file: FileId },
    /// How fast files may go, in KiB a second; without a limit where absent.
    #[serde(rename = "file.limits")]
    FileLimits {
        #[serde(default)]
        up_kib: Option<u64>,
        #[serde(default)]
        down_kib: Option<u64>,
    },
    /// The pages of a room's whiteboard, and what this person may do there. Opens the board: its events come from here on.
    #[serde(rename = "board.show")]
    BoardShow { room: RoomId },
    /// What stands on a page, or stood there after a moment of its history.
    #[serde(rename = "board.page")]
    BoardPage {
        room: RoomId,
        page: PageId,
        #[serde(default)]
        moment: Option<u32>,
    },
    /// A step on a page: all of it is done, or nothing. Answered when it is on the disk.
    #[serde(rename = "board.edit")]
    BoardEdit {
        room: RoomId,
        page: PageId,
        edits: Vec<Edit>,
        /// Steps of one gesture other than 0 are undone together.
        #[serde(default)]
        gesture: u64,
    },
    /// A step on the list of pages.
    #[serde(rename = "board.pages")]
    BoardPages { room: RoomId, edit: PageEdit },
    /// Takes this person's last step back, or does it again.
    #[serde(rename = "board.undo")]
    BoardUndo {
        room: RoomId,
        #[serde(default)]
        redo: bool,
    },
    /// The moments of a page, the oldest first.
    #[serde(rename = "board.history")]
    BoardHistory { room: RoomId, page: PageId },
    /// Makes a page look as it did after a moment.
    #[serde(rename = "board.restore")]
    BoardRestore { room: RoomId, page: PageId, moment: u32 },
    /// Writes a page to a file.
    #[serde(rename = "board.export")]
    BoardExport { room: RoomId, page: PageId, format: BoardFormat, path: PathBuf },
    /// Puts what a file of Excalidraw holds on a page.
    #[serde(rename = "board.import")]
    BoardImport { room: RoomId, page: PageId, path: PathBuf },
    /// Shares a picture, PNG or JPEG, so that elements of the board can show it. The answer says what they call it.
    #[serde(rename = "board.add_picture")]
    BoardAddPicture {
        room: RoomId,
        #[serde(default)]
        path: Option<PathBuf>,
        /// In base 64, where there is no file.
        #[serde(default)]
        data: Option<PictureBytes>,
    },
    /// A picture that an element names. One that is not here yet is fetched, within limits; `board.picture` tells when it has come.
    #[serde(rename = "board.picture")]
    BoardPicture {
        room: RoomId,
        image: String,
        /// Its file is written there, if it is here; on the machine of the node.
        #[serde(default)]
        to: Option<PathBuf>,
        /// Its file is in the answer, if it is here: up to 22 MiB in base 64.
        #[serde(default)]
        data: bool,
    },
    /// Shows the others where this person is on the board and what is being drawn. Nothing of it lasts.
    #[serde(rename = "board.live")]
    BoardLive { room: RoomId, live: BoardLiveView },

    /// Enters the room's call, or begins it. Nothing is sent that is not named here.
    #[serde(rename = "call.join")]
    CallJoin {
        room: RoomId,
        #[serde(default)]
        mic: Option<String>,
        #[serde(default)]
        mic_on: bool,
        #[serde(default)]
        camera: Option<String>,
        #[serde(default)]
        speaker: Option<String>,
    },
    #[serde(rename = "call.leave")]
    CallLeave {},
    #[serde(rename = "call.mic")]
    CallMic {
        on: bool,
        /// Another microphone from here on.
        #[serde(default)]
        source: Option<String>,
    },
    /// Camera off, where `source` is absent.
    #[serde(rename = "call.camera")]
    CallCamera {
        #[serde(default)]
        source: Option<String>,
    },
    /// Ends the share, where `source` is absent. There is no default: what is shared is always named.
    #[serde(rename = "call.screen")]
    CallScreen {
        #[serde(default)]
        source: Option<String>,
        /// Text, where absent.
        #[serde(default)]
        content: Option<ShareContent>,
        /// Pictures a second at most, 1 to 30; as many as the content may have, where absent.
        #[serde(default)]
        fps: Option<u32>,
        /// Pixels at most, 180 to 2160; likewise.
        #[serde(default)]
        height: Option<u32>,
    },
    #[serde(rename = "call.speaker")]
    CallSpeaker { sink: String },
    /// Plays nothing of the others, and mutes the microphone with it.
    #[serde(rename = "call.deafen")]
    CallDeafen { on: bool },
    /// Records what is received; everyone in the call is told. Stops where `dir` is absent.
    #[serde(rename = "call.record")]
    CallRecord {
        #[serde(default)]
        dir: Option<PathBuf>,
    },

    /// Raises the hand, or lowers it.
    #[serde(rename = "call.hand")]
    CallHand { on: bool },
    /// Something that floats over the call for a moment: an emoji of at most 32 bytes.
    #[serde(rename = "call.react")]
    CallReact { emoji: String },
    /// For those who admit people: asks one person, or ends the call for all. Nobody can be unmuted.
    #[serde(rename = "call.host")]
    CallHost {
        act: HostAsk,
        /// Absent with `end`.
        #[serde(default)]
        device: Option<DeviceId>,
    },
    /// How loud somebody is played here, 0 to 2; 1 is as they are.
    #[serde(rename = "call.volume")]
    CallVolume { device: DeviceId, volume: f32 },

    /// What is done to the microphone, and whether the call makes sounds; kept. What is absent stays as it is.
    #[serde(rename = "media.sound")]
    MediaSound {
        #[serde(default)]
        echo: Option<bool>,
        #[serde(default)]
        noise: Option<bool>,
        #[serde(default)]
        gain: Option<bool>,
        #[serde(default)]
        chimes: Option<bool>,
    },
    /// Tells how loud a microphone is, by `media.level`; stops where `source` is absent.
    #[serde(rename = "media.meter")]
    MediaMeter {
        #[serde(default)]
        source: Option<String>,
    },
    /// Plays a few notes; with `source`, what that microphone hears in the seconds before. Answered when it was played.
    #[serde(rename = "media.try")]
    MediaTry {
        sink: String,
        #[serde(default)]
        source: Option<String>,
        #[serde(default = "three")]
        seconds: u32,
    },
    #[serde(rename = "media.devices")]
    MediaDevices {},
    /// Shows a camera to this device's person alone; stops where `source` is absent.
    #[serde(rename = "media.preview")]
    MediaPreview {
        #[serde(default)]
        source: Option<String>,
    },
    #[serde(rename = "net.peers")]
    NetPeers {},
    #[serde(rename = "net.dial")]
    NetDial { address: String },
    #[serde(rename = "net.diagnose")]
    NetDiagnose {},

    /// Registers with a team by its link.
    #[serde(rename = "team.register")]
    TeamRegister {
        link: String,
        /// The person's name in the team; the profile's where absent.
        #[serde(default)]
        name: Option<String>,
    },
    /// Logs in with this device's key: with the team of the link, or the one that this device belongs to.
    #[serde(rename = "team.login")]
    TeamLogin {
        #[serde(default)]
        link: Option<String>,
    },
    /// Forgets the token, and the team's node is used no more.
    #[serde(rename = "team.logout")]
    TeamLogout {},
    #[serde(rename = "team.show")]
    TeamShow {},

    /// A setting of a face of the node (theme, language, devices); the node only keeps it. At most 4 KiB.
    #[serde(rename = "setting.get")]
    SettingGet { key: String },
    #[serde(rename = "setting.set")]
    SettingSet { key: String, value: Option<String> },

    /// Stops, and removes everything of Conclave from the data directory: keys, rooms, files. Nothing brings it back.
    #[serde(rename = "wipe")]
    Wipe { everything: bool },
    /// Leaves the call, tells the peers and stops.
    #[serde(rename = "shutdown")]
    Shutdown {},
}

/// What a page is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BoardFormat {
    /// A drawing for screens and print.
    Svg,
    /// A picture.
    Png,
    /// A page for print.
    Pdf,
    /// What Excalidraw opens.
    Excalidraw,
    /// The document itself, as Automerge's libraries read it.
    Automerge,
}

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}
fn three() -> u32 {
    3
}
fn fifty() -> u32 {
    50
}
fn one_day() -> u64 {
    86_400
}
fn member() -> RoleView {
    RoleView::Member
}

/// What those who lead a call may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAsk {
    /// The microphone is switched off; whoever is muted may switch it on again.
    Mute,
    LowerHand,
    /// Out of the call; whoever is removed may come back.
    Remove,
    /// For everyone.
    End,
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "one at a time is on its way to whoever asked")]
pub enum Reply {
    Room {
        room: RoomView,
    },
    Rooms {
        rooms: Vec<RoomView>,
    },
    Invite {
        invite: InviteView,
    },
    Joining {
        joining: RoomId,
    },
    /// A join by a spoken code has begun: its number.
    Hearing {
        hearing: u32,
    },
    Spoken {
        spoken: SpokenView,
    },
    Message {
        message: MessageView,
    },
    Messages {
        messages: Vec<MessageView>,
    },
    Profile {
        profile: ProfileView,
    },
    State {
        state: Box<StateView>,
    },
    Devices {
        devices: Vec<MediaDeviceView>,
    },
    Peers {
        peers: Vec<PeerView>,
    },
    Diagnosis {
        diagnosis: DiagnosisView,
    },
    Verification {
        verification: VerificationView,
    },
    OwnDevices {
        own_devices: Vec<OwnDeviceView>,
        version: u64,
    },
    Code {
        code: String,
    },
    Backup {
        backup: String,
    },
    File {
        file: FileView,
    },
    Files {
        files: Vec<FileView>,
    },
    Board {
        board: BoardView,
    },
    BoardPage {
        board_page: BoardPageView,
    },
    BoardPicture {
        board_picture: BoardPictureView,
    },
    BoardMoments {
        moments: Vec<BoardMomentView>,
    },
    Sound {
        sound: SoundView,
    },
    Team {
        // Named even where it is null: or every answer with one value that may be absent would read as this.
        #[serde(deserialize_with = "Option::deserialize")]
        team: Option<TeamView>,
    },
    Setting {
        value: Option<String>,
    },
    Done {},
}
