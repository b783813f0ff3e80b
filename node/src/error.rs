//! Errors of the node, each with a stable code that scripts may rely on. docs/AUTOMATION.md lists them; a test holds the two together.

use crate::view::ErrorView;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
}

impl CommandError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<CommandError> for ErrorView {
    fn from(error: CommandError) -> Self {
        Self { code: error.code.as_str().to_owned(), message: error.message }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal / $exit:literal),* $(,)?) => {
        /// Stable codes, each with the exit code that a one-shot command ends with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name),* }

        impl ErrorCode {
            pub const ALL: &'static [ErrorCode] = &[$(Self::$name),*];

            /// The code as scripts see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// 1 failed, 2 wrong usage, 3 refused by a peer or policy, 4 store unavailable.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit),* }
            }
        }
    };
}

codes! {
    /// The command or one of its values cannot be understood.
    BadRequest = "bad_request" / 2,
    /// The JSON line is of a version that this node does not speak.
    BadVersion = "bad_version" / 2,
    /// No such room on this device.
    UnknownRoom = "unknown_room" / 1,
    /// No such message in the room.
    UnknownMessage = "unknown_message" / 1,
    /// No such page, element or moment of a board.
    UnknownElement = "unknown_element" / 1,
    /// No such member, knock or device.
    UnknownDevice = "unknown_device" / 1,
    /// The role of this device does not allow it.
    NotPermitted = "not_permitted" / 3,
    /// This device was revoked, or it left.
    NotMember = "not_member" / 3,
    /// The text is too long, empty or holds what cannot be shown.
    BadText = "bad_text" / 2,
    /// The author's quota for the room is used up for the moment.
    QuotaExceeded = "quota_exceeded" / 3,
    /// Not a Conclave link at all.
    LinkInvalid = "link_invalid" / 2,
    /// A Conclave link with a piece missing or changed.
    LinkDamaged = "link_damaged" / 2,
    /// A link of a version that this node does not speak.
    LinkVersion = "link_version" / 2,
    /// Past its time.
    LinkExpired = "link_expired" / 3,
    /// It has admitted as many as it may.
    LinkUsedUp = "link_used_up" / 3,
    /// The room's people revoked it, or do not know it.
    LinkRevoked = "link_revoked" / 3,
    /// An admin said no.
    Refused = "refused" / 3,
    /// Already a member.
    AlreadyMember = "already_member" / 1,
    /// Nobody of the room answered; the message tells what was tried.
    NobodyFound = "nobody_found" / 1,
    /// The other side speaks another version.
    PeerVersion = "peer_version" / 3,
    /// The keys are not the same on both sides: another person's code, or someone stands in between.
    CodeMismatch = "code_mismatch" / 3,
    /// The words of a spoken code are others, or no words of a code.
    CodeWrong = "code_wrong" / 3,
    /// No such file in the room.
    UnknownFile = "unknown_file" / 1,
    /// What was shared was changed: nothing of it is sent any more.
    FileStale = "file_stale" / 1,
    /// What was shared is not where it was.
    FileGone = "file_gone" / 1,
    /// A name, kind or size that cannot be shared, or a link where a file was to be written.
    FileRefused = "file_refused" / 1,
    /// The disk refused for another reason.
    FileFailed = "file_failed" / 1,
    /// There is not enough space for the file.
    DiskFull = "disk_full" / 1,
    /// The folder into which the file was to go is gone.
    TargetGone = "target_gone" / 1,
    /// The system does not let this program read or write there.
    PermissionDenied = "permission_denied" / 1,
    /// The drive does not answer.
    DriveGone = "drive_gone" / 1,
    /// This device belongs to no team.
    NoTeam = "no_team" / 1,
    /// The team's node refused; the message says why.
    TeamRefused = "team_refused" / 3,
    /// The team's node shows something else than it did before, or than its team's root key signed.
    TeamFraud = "team_fraud" / 3,
    /// The room's call is as full as a mesh can be.
    CallFull = "call_full" / 3,
    /// Somebody who leads the call removed this device from it, or ended it for everyone.
    RemovedFromCall = "removed_from_call" / 3,
    /// This device is in no call.
    NotInCall = "not_in_call" / 1,
    /// This device is in a call already.
    AlreadyInCall = "already_in_call" / 1,
    /// A camera, microphone, speaker or screen could not be opened.
    DeviceFailed = "device_failed" / 1,
    /// Not yet on this platform.
    Unsupported = "unsupported" / 1,
    /// An address that cannot be understood or reached.
    Unreachable = "unreachable" / 1,
    /// Another process has the data directory.
    StoreInUse = "store_in_use" / 4,
    /// No identity there yet.
    StoreEmpty = "store_empty" / 4,
    /// There is an identity already.
    StoreExists = "store_exists" / 4,
    /// The passphrase or the keyring's key does not open it.
    StoreLocked = "store_locked" / 4,
    /// Damaged; it was kept aside.
    StoreDamaged = "store_damaged" / 4,
    /// Written by a newer version.
    StoreNewer = "store_newer" / 4,
    /// The disk refused, for instance because it is full.
    StoreFailed = "store_failed" / 4,
    /// More commands than the node takes at once.
    Busy = "busy" / 1,
    /// The node is gone.
    Stopped = "stopped" / 1,
}
