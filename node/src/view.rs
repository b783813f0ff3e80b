//! What the node shows: plain values that a person's screen or a script reads. No secrets, no handles.

mod board;

pub use board::{
    BoardLiveView, BoardMomentView, BoardPageView, BoardPictureView, BoardView, InkView, PictureBytes, PictureState,
};
use conclave_protocol::id::{AccountId, CallId, DeviceId, FileId, OpHash, RoomId};
use serde::{Deserialize, Serialize};

/// This device and the person who owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    pub name: String,
    pub device: DeviceId,
    pub account: AccountId,
    /// How secrets are kept: `keyring`, `passphrase` or `insecure`.
    pub protection: String,
}

/// What a member may do. Ordered: a later one may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleView {
    /// Sees and hears; writes nothing that lasts.
    Viewer,
    Member,
    /// Admits, invites and revokes.
    Admin,
    /// Founded the room.
    Owner,
}

/// A room as its list and its panels show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomView {
    pub room: RoomId,
    pub name: String,
    /// An admin is asked before anyone is admitted.
    pub approval: bool,
    /// Newcomers read what was written before they came.
    pub full_history: bool,
    pub my_role: RoleView,
    /// This device was revoked, or it left.
    pub gone: bool,
    pub members: Vec<MemberView>,
    /// People who wait for an admin.
    pub knocks: Vec<KnockView>,
    pub unread: u32,
    /// Unread messages that name this person.
    pub mentions: u32,
    pub last_message: Option<MessageView>,
    /// Who is in the room's call now, whether this device is or not.
    pub call: Option<RoomCallView>,
    /// The presence session, as this device takes part in it.
    pub session: SessionView,
    /// What those in the session may compare; absent outside one, and for a moment after its keys changed.
    pub call_code: Option<CallCodeView>,
    /// What still lets people in, for an admin; at most 64.
    pub invites: Vec<OpenInviteView>,
}

/// How far this device is in the presence session of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    pub phase: SessionPhase,
    /// Devices that share its keys; 0 outside one.
    pub people: u32,
    /// Counts the changes of its keys; absent outside one.
    pub epoch: Option<u64>,
}

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionPhase {
    /// In none.
    Idle,
    /// On the way into one.
    Joining,
    Member,
    /// In the one that it keeps the keys of.
    Writer,
}

/// The code of the call, and why it is not the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCodeView {
    /// Thirty digits in groups of five.
    pub code: String,
    /// Names of those who came with it.
    pub joined: Vec<String>,
    /// Names of those who went with it. Where nobody came or went, the keys were renewed.
    pub left: Vec<String>,
}

/// What two people compare, and what this device knows of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationView {
    pub device: DeviceId,
    pub account: AccountId,
    pub name: String,
    /// Forty-five digits in groups of five, the same on both sides.
    pub code: String,
    /// The same as text for a QR code.
    pub link: String,
    /// When the codes were compared, UTC; absent where never.
    pub verified_ms: Option<u64>,
    pub key_changed: bool,
    /// The accounts that were seen under this name in this room, in the order in which they came.
    pub history: Vec<KeySeenView>,
}

/// An account that was seen under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySeenView {
    pub account: AccountId,
    /// By this device's clock, UTC.
    pub since_ms: u64,
    /// The first, or one that this person accepted.
    pub accepted: bool,
}

/// A call of a room, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCallView {
    pub call: CallId,
    pub people: Vec<DeviceId>,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub device: DeviceId,
    pub account: AccountId,
    pub name: String,
    pub role: RoleView,
    /// A stream of the room to this device stands.
    pub online: bool,
    pub me: bool,
    /// This member signed two operations with one id; nothing more of theirs is taken.
    pub frozen: bool,
    /// When this person compared codes with them, UTC; absent where never.
    pub verified_ms: Option<u64>,
    /// Another account had this name before. No media go to or come from it until it was verified or accepted.
    pub key_changed: bool,
}

/// Someone who asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnockView {
    pub device: DeviceId,
    pub account: AccountId,
    /// The name they gave; nothing vouches for it.
    pub name: String,
    /// Eight digits made of both keys, the same on both screens, to compare by voice.
    pub code: String,
    pub since_ms: u64,
}

/// One message of the chat, after edits, deletions and reactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    pub id: OpHash,
    pub author: DeviceId,
    pub author_name: String,
    /// Empty where `deleted`.
    pub body: String,
    /// By the author's clock, UTC; the order does not depend on it.
    pub sent_ms: u64,
    pub edited: bool,
    pub deleted: bool,
    pub reply_to: Option<OpHash>,
    pub mentions: Vec<DeviceId>,
    pub reactions: Vec<ReactionView>,
    pub mine: bool,
    pub unread: bool,
    /// What a newer version wrote and this one cannot show.
    pub from_newer_version: bool,
}

/// One emoji under a message, and who put it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionView {
    pub emoji: String,
    pub by: Vec<DeviceId>,
}

/// A device of this device's person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDeviceView {
    pub device: DeviceId,
    pub me: bool,
}

/// An invitation that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteView {
    pub room: RoomId,
    pub link: String,
    pub expires_ms: u64,
    pub uses: u32,
    pub role: RoleView,
}

/// An invitation that still lets people in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInviteView {
    pub invite: OpHash,
    pub by: DeviceId,
    pub by_name: String,
    pub expires_ms: u64,
    pub uses: u32,
    pub used: u32,
    pub role: RoleView,
    pub approval: bool,
}

/// How far a join has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JoinView {
    /// Nobody of the room was reached so far; what was tried.
    Searching { room: RoomId, tried: DiagnosisView },
    /// An admin sees the knock; `code` is on both screens.
    Waiting { room: RoomId, code: String },
    /// A member.
    Joined { room: RoomId },
    /// Ended without admission.
    Failed { room: RoomId, error: ErrorView },
    /// Looks for whoever spoke the code of this number; which room it is shows when they are found.
    Hearing { number: u32, tried: DiagnosisView },
    /// A member, by the code of this number.
    Heard { number: u32, room: RoomId },
    /// The code of this number led nowhere.
    Unheard { number: u32, error: ErrorView },
}

/// A code to be spoken to somebody within reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenView {
    pub room: RoomId,
    /// Names the code without giving it away.
    pub number: u32,
    /// The number and three words.
    pub code: String,
    pub role: RoleView,
    pub expires_ms: u64,
}

/// Why a spoken code lets nobody in any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpokenEndView {
    /// Somebody came in by it.
    Used,
    /// Ten minutes are over.
    Expired,
    /// Three times the words were wrong.
    Burnt,
    /// It was taken back.
    Withdrawn,
}

/// What the network looks like from here, for a person who wonders why nobody is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisView {
    pub interfaces: Vec<InterfaceView>,
    pub listening: Vec<String>,
    /// Queries for neighbours go out on a multicast-capable interface.
    pub multicast: bool,
    /// Devices that mDNS has shown, whether they share a room or not.
    pub neighbours: u32,
    /// Addresses that were dialled, and how each attempt ended.
    pub dialled: Vec<DialView>,
    /// Plain sentences on what to try next.
    pub hints: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    pub name: String,
    pub address: String,
    pub loopback: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialView {
    pub address: String,
    pub outcome: String,
}

/// Another device on the network that speaks Conclave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    pub device: DeviceId,
    pub connected: bool,
    /// `quic`, `tcp`, or `relay`: through the team's relay.
    pub transport: Option<String>,
    pub addresses: Vec<String>,
    pub rtt_ms: Option<u32>,
    /// By which way it is reached; none where it is not connected.
    pub path: Option<PathView>,
}

/// By which way a device is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathView {
    /// At a private address: the same network, or one that is joined to it.
    Lan,
    /// At a public address, through routers alone.
    Direct,
    /// Through a relay of the team, which sees addresses, sizes and times.
    Relay,
}

impl PathView {
    /// What an address says of the way to it, where no relay is in between.
    pub fn to(ip: std::net::IpAddr) -> Self {
        let private = match ip.to_canonical() {
            std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
            std::net::IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
        };
        if private { Self::Lan } else { Self::Direct }
    }

    /// `lan`, `direct` or `relay`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }
}

/// The team of this device, whose bootstrap node helps it to reach the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamView {
    pub team: String,
    /// The person's name in the team.
    pub name: String,
    /// Where the team's node is.
    pub url: String,
    pub logged_in: bool,
    /// The node answered when it was last asked.
    pub online: bool,
    /// This device can be reached through the team's relay.
    pub relayed: bool,
    /// The node gives credentials for a relay of media.
    pub media_relay: bool,
    /// Why the node could not be used, if it could not.
    pub problem: Option<ErrorView>,
}

/// The call this device is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    pub room: RoomId,
    pub call: CallId,
    pub since_ms: u64,
    pub me: MyMediaView,
    pub people: Vec<ParticipantView>,
    /// Whose picture is the large one: who spoke last for about a second.
    pub speaker: Option<DeviceId>,
    /// Everyone whose hand is up, this device too, in the order in which they went up.
    pub hands: Vec<DeviceId>,
}

/// What this device sends and plays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MyMediaView {
    pub mic_on: bool,
    pub mic: Option<String>,
    pub camera: Option<String>,
    pub screen: Option<String>,
    pub speaker: Option<String>,
    pub deafened: bool,
    pub recording: Option<String>,
    /// Loudness of the own microphone over the last 300 ms, muted or not, 0 to 1.
    pub level: f32,
    /// Is heard speaking.
    pub speaking: bool,
    /// Speaks, and nobody hears it.
    pub talking_muted: bool,
    /// Since when the hand is up.
    pub hand_ms: Option<u64>,
    /// What is done to the microphone.
    pub sound: SoundView,
    /// The last thing that went wrong with a device of ours, in a sentence.
    pub problem: Option<String>,
}

/// What is done to the microphone, and whether the call makes sounds of its own. All of it, until somebody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SoundView {
    /// What the speaker plays is taken out of what the microphone hears.
    pub echo: bool,
    /// Steady noise is turned down.
    pub noise: bool,
    /// Quiet voices are turned up, loud ones limited.
    pub gain: bool,
    /// A sound when somebody comes or goes.
    pub chimes: bool,
}

impl Default for SoundView {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true, chimes: true }
    }
}

impl SoundView {
    pub(crate) fn processing(self) -> conclave_media::audio::SoundProcessing {
        conclave_media::audio::SoundProcessing { echo: self.echo, noise: self.noise, gain: self.gain }
    }
}

/// How good the path to somebody is, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityView {
    #[default]
    Excellent,
    Good,
    /// Words are lost, or people talk into each other.
    Poor,
    /// Nothing comes.
    Lost,
}

/// How the media path to one participant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    Connecting,
    Connected,
    /// Nothing heard for a while; still trying.
    Reconnecting,
    /// Their certificate is not the one they signed: nothing of theirs is played or shown.
    Mismatch,
    /// Another account had this name before: nothing is sent to it or taken from it until it was verified or accepted.
    KeyChanged,
}

/// Someone else in the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParticipantView {
    pub device: DeviceId,
    pub name: String,
    pub link: LinkState,
    pub mic_on: bool,
    pub camera_on: bool,
    pub screen_on: bool,
    pub deafened: bool,
    pub recording: bool,
    /// Loudness of the last 300 ms, 0 to 1.
    pub level: f32,
    /// Is heard speaking now.
    pub speaking: bool,
    /// Since when their hand is up, by their own clock.
    pub hand_ms: Option<u64>,
    /// How loud they are played here; 1 is as they are.
    pub volume: f32,
    pub quality: QualityView,
    pub stats: LinkStats,
}

/// Figures of the media path to one participant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkStats {
    pub rtt_ms: Option<f32>,
    pub received_kbps: f32,
    pub sent_kbps: f32,
    pub video_fps: f32,
    pub frames_decoded: u64,
    /// Longest time between two pictures since the first one.
    pub frozen_ms: u32,
    pub packets_lost: u64,
    /// Samples that were concealed, of all that were played, in percent.
    pub audio_lost_pct: f32,
    /// The same of the last second.
    pub audio_lost_now_pct: f32,
    /// What they miss of ours, lately, in percent.
    pub sent_lost_pct: f32,
    /// What the path to them is thought to carry.
    pub estimate_kbps: f32,
    /// By which way packets go now; none before it is known.
    pub path: Option<PathView>,
    /// Bytes of media that a relay carried to and from them, since they came.
    pub relayed_bytes: u64,
}

/// What a shared screen shows, and so what it gives up first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShareContent {
    /// Writing: it stays sharp and gives up rate.
    #[default]
    Text,
    /// A film: it gives up size and goes on moving.
    Motion,
}

/// Which stream of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    Camera,
    Screen,
}

/// The names of a picture slot: a participant's stream, one's own, or the preview before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureKey {
    Remote { device: DeviceId, stream: StreamKind },
    Own { stream: StreamKind },
    Preview,
}

/// A source or sink that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaDeviceView {
    pub kind: MediaKind,
    /// What the command line and the commands take.
    pub spec: String,
    /// What a person reads.
    pub label: String,
    /// Why it cannot be used here, if it cannot.
    pub unavailable: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Camera,
    Microphone,
    Speaker,
    Screen,
}

/// An error with a stable code. Codes are listed in docs/AUTOMATION.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    pub code: String,
    pub message: String,
}

/// Everything that the app draws, in one value: the answer to `state`, and where the event stream begins again after a lag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateView {
    pub profile: ProfileView,
    pub rooms: Vec<RoomView>,
    pub joins: Vec<JoinView>,
    pub call: Option<CallView>,
    pub peers: Vec<PeerView>,
}

/// Where a shared file stands on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Nothing of it is here.
    Offered,
    /// It is being fetched, or waits for somebody who has it.
    Fetching,
    Paused,
    /// It is whole here, and others may fetch it here.
    Complete,
    /// Its sealed chunks are whole here.
    Sealed,
    /// It cannot go on: see `error`.
    Stopped,
}

/// A file or folder that is shared in a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileView {
    pub file: FileId,
    /// Safe to show and to write.
    pub name: String,
    /// What whoever shared it called it, where that was not safe: for a program to compare, never to show as it is.
    pub given_name: Option<String>,
    /// Bytes.
    pub size: u64,
    /// How many files a folder holds; absent for a file.
    pub files: Option<u32>,
    pub author: DeviceId,
    pub author_name: String,
    pub shared_ms: u64,
    pub mine: bool,
    pub state: FileState,
    /// Where it is here, or is to go.
    pub path: Option<String>,
    /// Bytes here, each checked.
    pub done: u64,
    /// Bytes a second that come in, and that go out to others.
    pub down: u64,
    pub up: u64,
    /// Time that is left at this speed; absent where nothing comes.
    pub left_s: Option<u64>,
    /// Members it is fetched from now, and those of them who have all of it.
    pub peers: u32,
    pub seeders: u32,
    /// Bytes that went out to others in this run.
    pub sent: u64,
    /// A digit for each part of it, from 0 for nothing to 9 for all; empty where nothing moves.
    pub map: String,
    pub error: Option<ErrorView>,
}
