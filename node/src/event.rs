//! What happened. One variant is one JSON line out, `{"v":1,"event":"member.joined",…}`.

use conclave_crdt::PageDelta;
use conclave_protocol::id::{DeviceId, FileId, OpHash, RoomId};
use serde::{Deserialize, Serialize};

use crate::view::{
    BoardLiveView, CallView, ErrorView, FileView, JoinView, KnockView, MediaDeviceView, MessageView, PeerView, ProfileView,
    RoomView, SpokenEndView, StreamKind, TeamView,
};

/// It happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// The node serves.
    #[serde(rename = "ready")]
    Ready { profile: ProfileView, listening: Vec<String> },
    /// Another address to be reached at, or one that is gone.
    #[serde(rename = "net.listening")]
    Listening { listening: Vec<String> },
    #[serde(rename = "profile.changed")]
    ProfileChanged { profile: ProfileView },

    #[serde(rename = "peer.discovered")]
    PeerDiscovered { peer: PeerView, after_ms: u64 },
    #[serde(rename = "peer.connected")]
    PeerConnected { peer: PeerView },
    #[serde(rename = "peer.lost")]
    PeerLost { device: DeviceId },

    /// The room as it now is; also sent when it appears.
    #[serde(rename = "room.changed")]
    RoomChanged { room: RoomView },
    /// It is no more on this device.
    #[serde(rename = "room.removed")]
    RoomRemoved { room: RoomId },
    #[serde(rename = "join.progress")]
    JoinProgress { join: JoinView },
    #[serde(rename = "knock.received")]
    KnockReceived { room: RoomId, knock: KnockView },
    #[serde(rename = "knock.ended")]
    KnockEnded { room: RoomId, device: DeviceId },
    /// Somebody had the wrong words for a spoken code; at three it ends.
    #[serde(rename = "spoken.failed")]
    SpokenFailed { room: RoomId, number: u32, failures: u32 },
    /// A spoken code lets nobody in any more.
    #[serde(rename = "spoken.ended")]
    SpokenEnded { room: RoomId, number: u32, end: SpokenEndView },
    #[serde(rename = "member.joined")]
    MemberJoined { room: RoomId, device: DeviceId, name: String },
    #[serde(rename = "member.revoked")]
    MemberRevoked { room: RoomId, device: DeviceId, name: String },
    #[serde(rename = "member.online")]
    MemberOnline { room: RoomId, device: DeviceId, online: bool },
    /// Two operations with one id were seen: the proof travels, and the author is frozen.
    #[serde(rename = "member.equivocated")]
    MemberEquivocated { room: RoomId, device: DeviceId },

    /// A new message in its place, or one that was edited, deleted or reacted to. `after` is the message before it in the order.
    #[serde(rename = "chat.message")]
    ChatMessage { room: RoomId, message: MessageView, after: Option<OpHash>, new: bool },
    /// Messages came that belong before others already shown: read again.
    #[serde(rename = "chat.reordered")]
    ChatReordered { room: RoomId },

    /// A file of a room as it now is; also sent when it appears. While it moves, at most four a second.
    #[serde(rename = "file.changed")]
    FileChanged { room: RoomId, file: FileView },
    /// It is no more in the room.
    #[serde(rename = "file.removed")]
    FileRemoved { room: RoomId, file: FileId },
    /// A file of this device is being read, to be shared.
    #[serde(rename = "file.hashing")]
    FileHashing { room: RoomId, path: String, done: u64, size: u64 },
    /// A board that was asked for looks different: by this person's hand or another's.
    #[serde(rename = "board.changed")]
    BoardChanged {
        room: RoomId,
        /// See [`crate::view::BoardView::revision`].
        revision: u64,
        /// The title or the list of pages.
        pages: bool,
        can_undo: bool,
        can_redo: bool,
        deltas: Vec<PageDelta>,
    },
    /// What was shown of a board counts no more: read it again.
    #[serde(rename = "board.reset")]
    BoardReset { room: RoomId },
    /// A picture that was asked for has come: ask again.
    #[serde(rename = "board.picture")]
    BoardPicture { room: RoomId, image: String },
    /// Where a member is on the board, and what they are drawing.
    #[serde(rename = "board.live")]
    BoardLive { room: RoomId, device: DeviceId, live: BoardLiveView },

    /// The call this device is in, as it now is. At most ten a second.
    #[serde(rename = "call.changed")]
    CallChanged { call: Option<CallView> },
    #[serde(rename = "call.participant_joined")]
    CallParticipantJoined { room: RoomId, device: DeviceId },
    #[serde(rename = "call.participant_left")]
    CallParticipantLeft { room: RoomId, device: DeviceId, reason: LeaveReason },
    /// Media flows to and from this participant.
    #[serde(rename = "call.connected")]
    CallConnected { room: RoomId, device: DeviceId, after_ms: u64 },
    /// Their certificate is not the one they signed: the connection was ended.
    #[serde(rename = "call.mismatch")]
    CallMismatch { room: RoomId, device: DeviceId, message: String },
    #[serde(rename = "call.first_frame")]
    CallFirstFrame { room: RoomId, device: DeviceId, stream: StreamKind, after_ms: u64 },
    #[serde(rename = "call.recording")]
    CallRecording { room: RoomId, device: DeviceId, on: bool },
    /// Somebody reacts, this device too: to be shown for a moment.
    #[serde(rename = "call.reaction")]
    CallReaction { room: RoomId, device: DeviceId, emoji: String },
    /// The hand of this device went down without its asking: by somebody who leads the call, or, where `device` is absent, because it
    /// spoke.
    #[serde(rename = "call.hand_lowered")]
    CallHandLowered { room: RoomId, device: Option<DeviceId> },
    /// Somebody who leads the call muted this device. It may unmute.
    #[serde(rename = "call.muted_by")]
    CallMutedBy { room: RoomId, device: DeviceId },
    /// The call ended for this device, and why, if not by its own wish.
    #[serde(rename = "call.ended")]
    CallEnded { room: RoomId, error: Option<ErrorView> },

    /// The team of this device, as it now is.
    #[serde(rename = "team.changed")]
    TeamChanged { team: Option<TeamView> },

    /// How loud the microphone is that `media.meter` listens to, 0 to 1; ten a second.
    #[serde(rename = "media.level")]
    MediaLevel { level: f32 },
    #[serde(rename = "media.devices")]
    MediaDevices { devices: Vec<MediaDeviceView> },
    /// Something went wrong that nobody asked for just now.
    #[serde(rename = "problem")]
    Problem { error: ErrorView },
    /// More happened than the reader took: ask for `state`.
    #[serde(rename = "lagged")]
    Lagged { missed: u64 },
    #[serde(rename = "stopped")]
    Stopped {},
}

/// How someone came to be out of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    Left,
    /// Nothing heard for the time a crash or a cut cable is allowed.
    Lost,
    Revoked,
    /// Their media certificate was not the one they signed.
    Mismatch,
}
