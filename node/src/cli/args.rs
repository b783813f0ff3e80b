//! What the command line says, before any of it is acted on. It never opens anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::view::{RoleView, ShareContent};

/// Rooms, chat and calls between people, without a server. This is the headless node; `conclave` is the window.
#[derive(Debug, Parser)]
#[command(
    name = "conclave-node",
    version,
    propagate_version = true,
    after_help = "Examples:\n  conclave-node init --name Ada\n  conclave-node room create Kitchen\n  conclave-node room invite Kitchen --qr\n  \
                  conclave-node room join 'conclave://join/1#…'\n  conclave-node run --room Kitchen --call --camera test --mic tone\n\n\
                  A room, a person or a message may be given by its id, by the beginning of its id, or (rooms and people) by its\n\
                  name where only one has it. Where a node runs on the data directory, the other commands are served by it.\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a peer or a policy, 4 store unavailable."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The data directory [default: the platform's place for data of Conclave].
    #[arg(long, global = true, value_name = "DIR", env = "CONCLAVE_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// A file with the passphrase that protects the keys; a line end at its end does not count. Without it and without
    /// --insecure-store the keys are in the keyring of the operating system.
    #[arg(long, global = true, value_name = "FILE", env = "CONCLAVE_PASSPHRASE_FILE", hide_env_values = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Keeps the keys in the clear beside the store. For demonstrations only.
    #[arg(long, global = true, conflicts_with = "passphrase_file")]
    pub(crate) insecure_store: bool,
    /// JSON instead of text: one object a line (docs/AUTOMATION.md).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long a command that others should hear of looks for them where no node runs here.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 3, hide = true)]
    pub(crate) linger: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes this device's identity.
    #[command(
        after_help = "Examples:\n  conclave-node init --name Ada\n  conclave-node init --name Ada --passphrase-file ~/.conclave-passphrase"
    )]
    Init {
        /// The name that others see. Asked for, or taken from the system, where absent.
        #[arg(long)]
        name: Option<String>,
        /// Makes this a new device of the person of a backup.
        #[arg(long, value_name = "FILE", requires = "backup_passphrase")]
        from_backup: Option<PathBuf>,
        /// A file with the passphrase of the backup.
        #[arg(long, value_name = "FILE", requires = "from_backup")]
        backup_passphrase: Option<PathBuf>,
    },
    /// Shows who this device is.
    #[command(after_help = "Examples:\n  conclave-node id\n  conclave-node id --rename 'Ada L.'")]
    Id {
        /// Another name from here on.
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
    },
    /// Changes what protects the keys: another passphrase, or the keyring of the operating system. No node may run on the data directory.
    /// What protects them now is given as for any command.
    #[command(after_help = "Examples:\n  conclave-node passphrase --set ~/.conclave-new --passphrase-file ~/.conclave-old\n  \
                      conclave-node passphrase --set ~/.conclave-passphrase        (from the keyring to a passphrase)\n  \
                      conclave-node passphrase --keyring --passphrase-file ~/.conclave-passphrase")]
    Passphrase {
        /// A file with the passphrase from here on; a line end at its end does not count.
        #[arg(long, value_name = "FILE", required_unless_present = "keyring", conflicts_with = "keyring")]
        set: Option<PathBuf>,
        /// The keyring of the operating system from here on.
        #[arg(long)]
        keyring: bool,
    },
    /// The devices of this person: list, take in, take out.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Writes the key of this person to a file that a passphrase seals (the format of age). It holds no room and no message.
    #[command(after_help = "Example:\n  conclave-node backup ada.age --backup-passphrase ~/.backup-passphrase\n  \
                      conclave-node init --name Ada --from-backup ada.age --backup-passphrase ~/.backup-passphrase")]
    Backup {
        /// Must not be there yet.
        file: PathBuf,
        /// A file with the passphrase that seals it; a line end at its end does not count.
        #[arg(long, value_name = "FILE")]
        backup_passphrase: PathBuf,
    },
    /// Removes everything of Conclave from this device: keys, rooms, files. Nothing brings it back.
    #[command(after_help = "Example:\n  conclave-node wipe --everything")]
    Wipe {
        /// Says that this is meant.
        #[arg(long, required = true)]
        everything: bool,
    },
    /// Lists cameras, microphones, speakers and screens, as --camera, --mic, --speaker and --screen take them.
    Devices,
    /// Shows what the network looks like from here, and who is on it.
    Diagnose {
        /// How long to listen for neighbours where no node runs here.
        #[arg(long = "for", value_name = "SECONDS", default_value_t = 3)]
        seconds: u64,
    },
    /// Rooms: make, list, join, govern.
    #[command(subcommand)]
    Room(RoomCommand),
    /// Codes that two people compare, and whom this person has verified.
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// A team, whose bootstrap node helps its members to reach each other.
    #[command(subcommand)]
    Team(TeamCommand),
    /// Logs in with this device's key: with the team of a link, or the one that this device belongs to.
    #[command(after_help = "Examples:\n  conclave-node login\n  conclave-node login 'conclave://team/1#…'")]
    Login { link: Option<String> },
    /// Forgets the token of the team; its node is used no more.
    Logout,
    /// Chat: send, read, search, change.
    #[command(subcommand)]
    Chat(ChatCommand),
    /// Files of a room: share, list, get, pause, resume, cancel, remove, seed.
    #[command(subcommand)]
    File(FileCommand),
    /// The whiteboard of a room: look, draw, export, import.
    #[command(subcommand)]
    Board(super::board::BoardCommand),
    /// Runs the node until Ctrl-C, a termination signal, --for, or (with --json) the end of standard input.
    #[command(
        after_help = "Examples:\n  conclave-node run\n  conclave-node run --json\n  conclave-node run --room Kitchen --call --camera test --mic \
                      tone --record ./out --for 20\n  conclave-node run --join 'conclave://join/1#…' --call --mic file:speech.wav\n\n\
                      Sources and sinks (see `conclave-node devices`):\n  --camera   test, test:1280x720@30, v4l2:/dev/video0, file:clip.y4m\n  \
                      --mic      tone, silence, pulse, pulse:NAME, file:speech.wav\n  --speaker  pulse, pulse:NAME, null, file:out.wav\n  \
                      --screen   x11::0, x11::0+X,Y,WxH, x11:window:0x1234, test, file:clip.y4m\n\nWith --json, commands are read from \
                      standard input, one a line, and answers and events are written to\nstandard output (docs/AUTOMATION.md):\n  \
                      {\"v\":1,\"id\":7,\"cmd\":\"chat.send\",\"room\":\"room:…\",\"body\":\"hello\"}"
    )]
    Run(Box<RunArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The room that --call is about.
    #[arg(long, value_name = "ROOM")]
    pub(crate) room: Option<String>,
    /// Joins by this link first.
    #[arg(long, value_name = "LINK", conflicts_with = "room")]
    pub(crate) join: Option<String>,
    /// Enters the call of the room.
    #[arg(long)]
    pub(crate) call: bool,
    /// Sends this camera in the call.
    #[arg(long, value_name = "SRC", requires = "call")]
    pub(crate) camera: Option<String>,
    /// Sends this microphone in the call.
    #[arg(long, value_name = "SRC", requires = "call")]
    pub(crate) mic: Option<String>,
    /// Leaves in what the speaker plays into the microphone.
    #[arg(long)]
    pub(crate) no_echo_cancellation: bool,
    /// Leaves in the noise of the microphone.
    #[arg(long)]
    pub(crate) no_noise_suppression: bool,
    /// Leaves the voice as loud as it is.
    #[arg(long)]
    pub(crate) no_gain_control: bool,
    /// No sounds when somebody comes or goes.
    #[arg(long)]
    pub(crate) no_chimes: bool,
    /// Plays the others here.
    #[arg(long, value_name = "SINK", requires = "call")]
    pub(crate) speaker: Option<String>,
    /// Shares this screen in the call. There is no default: what is shared is always named.
    #[arg(long, value_name = "SRC", requires = "call")]
    pub(crate) screen: Option<String>,
    /// What the screen shows: text stays sharp and gives up rate, motion gives up size [default: text].
    #[arg(long, value_name = "text|motion", requires = "screen", value_parser = share_content)]
    pub(crate) screen_content: Option<ShareContent>,
    /// Pictures a second of the screen, at most.
    #[arg(long, value_name = "1-30", requires = "screen")]
    pub(crate) screen_fps: Option<u32>,
    /// Lines of the screen's picture, at most.
    #[arg(long, value_name = "PIXELS", requires = "screen")]
    pub(crate) screen_height: Option<u32>,
    /// Records what is received into this directory; the others see that someone records.
    #[arg(long, value_name = "DIR", requires = "call")]
    pub(crate) record: Option<PathBuf>,
    /// Listens here: a multiaddr or host:port. May be repeated [default: every interface, ephemeral ports].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// A multiaddr or host:port to try when joining, beside what the link and the network give.
    #[arg(long, value_name = "HINT", requires = "join")]
    pub(crate) address: Option<String>,
    /// Ends after this time, in seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Neither looks for neighbours by mDNS nor answers them.
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// The name for a first start; an identity that is there keeps its own.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    /// Makes a room; this device is its owner.
    #[command(
        after_help = "Examples:\n  conclave-node room create Kitchen\n  conclave-node room create 'Open house' --no-approval"
    )]
    Create {
        name: String,
        /// Whoever has a link is in, without being asked for.
        #[arg(long)]
        no_approval: bool,
        /// Newcomers read only what is written after they came.
        #[arg(long)]
        no_history: bool,
    },
    /// Lists the rooms of this device.
    List,
    /// Shows a room: its people, who knocks, its call.
    #[command(after_help = "Example:\n  conclave-node room show Kitchen")]
    Show { room: String },
    /// Makes a link that lets people in.
    #[command(
        after_help = "Examples:\n  conclave-node room invite Kitchen --qr\n  conclave-node room invite Kitchen --uses 20 --expires 7d --role viewer"
    )]
    Invite {
        room: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = Role::Member)]
        role: Role,
        /// How many people it lets in, 1 to 1000.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// For how long, as 90s, 30m, 24h or 7d; 1 minute to 30 days.
        #[arg(long, default_value = "24h", value_name = "TIME", value_parser = parse_seconds)]
        expires: u64,
        /// Who comes by this link is asked for, whatever the room says.
        #[arg(long, conflicts_with = "no_approval")]
        approval: bool,
        /// Who comes by this link is not asked for, whatever the room says.
        #[arg(long)]
        no_approval: bool,
        /// Prints a QR code too.
        #[arg(long)]
        qr: bool,
    },
    /// Makes a code of a number and three words, to be said to somebody on the same network: it lets one person in, for ten minutes, and is
    /// burnt by three wrong guesses. Where no node runs here, waits until it has ended.
    #[command(
        after_help = "Examples:\n  conclave-node room speak Kitchen\n  conclave-node room speak Kitchen --role viewer\n  conclave-node room speak Kitchen --end 42"
    )]
    Speak {
        room: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = Role::Member)]
        role: Role,
        /// Takes the code of this number back.
        #[arg(long, value_name = "NUMBER", conflicts_with = "role")]
        end: Option<u32>,
        /// Waits until it has ended also where a node runs here.
        #[arg(long, conflicts_with = "end")]
        wait: bool,
    },
    /// Joins a room by a link or by a code that somebody said, and waits until an answer came.
    #[command(
        after_help = "Examples:\n  conclave-node room join 'conclave://join/1#…'\n  conclave-node room join '42 apple river stone'\n  conclave-node room join 'conclave://join/1#…' --address 192.0.2.7:4001 --wait 60"
    )]
    Join {
        /// `conclave://join/1#…`, or a number and three words.
        #[arg(value_name = "LINK|CODE")]
        link: String,
        /// A multiaddr or host:port to try beside what the link and the network give.
        #[arg(long, value_name = "HINT")]
        address: Option<String>,
        /// Gives up after this time, in seconds; 0 waits until someone answers.
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Lets in someone who knocks. Compare the code by voice first.
    #[command(after_help = "Example:\n  conclave-node room approve Kitchen Bob")]
    Approve { room: String, person: String },
    /// Turns away someone who knocks.
    Refuse { room: String, person: String },
    /// Changes what a member may do.
    #[command(after_help = "Example:\n  conclave-node room role Kitchen Bob admin")]
    Role {
        room: String,
        person: String,
        #[arg(value_enum)]
        role: Role,
    },
    /// Lists the links that still let people in.
    Links { room: String },
    /// Closes a link: it lets nobody in any more, whoever made it.
    #[command(after_help = "Example:\n  conclave-node room close-link Kitchen op:k7xq2")]
    CloseLink {
        room: String,
        /// As `room links` shows it, or its beginning.
        link: String,
    },
    /// Removes a member. Invites that are open become void with it.
    Revoke { room: String, person: String },
    /// Says goodbye to a room; its history stays readable here.
    Leave { room: String },
    /// Leaves a room and removes everything of it from this device.
    Delete { room: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Lists them.
    List,
    /// On the new device: shows its code, for `device add` on a device that this person has already.
    Code {
        /// Prints a QR code too.
        #[arg(long)]
        qr: bool,
    },
    /// On the old device: takes the new one in, and prints what it is to accept.
    #[command(after_help = "Example:\n  conclave-node device add 'conclave://device/1#…'")]
    Add { code: String },
    /// On the new device: becomes a device of the person who answered. `-` reads it from standard input.
    #[command(after_help = "Example:\n  conclave-node device accept 'conclave://linked/1#…'")]
    Accept { code: String },
    /// Takes a device out of the list, and out of every room where this one may.
    Remove { device: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Shows the code that this person and a member compare, and the keys that were seen under their name.
    #[command(after_help = "Examples:\n  conclave-node verify show Kitchen Bob\n  conclave-node verify show Kitchen Bob --qr")]
    Show {
        room: String,
        person: String,
        /// Prints a QR code too.
        #[arg(long)]
        qr: bool,
    },
    /// The codes are the same on both sides.
    #[command(
        after_help = "Examples:\n  conclave-node verify confirm Kitchen Bob\n  conclave-node verify confirm Kitchen Bob --scanned 'conclave://verify/1#…'"
    )]
    Confirm {
        room: String,
        person: String,
        /// What was scanned from the other's screen; refused where it is not the code of these two.
        #[arg(long, value_name = "TEXT")]
        scanned: Option<String>,
    },
    /// A member may go by a name that another account had before, though nothing was compared.
    Accept { room: String, person: String },
    /// Not verified any more.
    Clear { room: String, person: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TeamCommand {
    /// Joins a team by the invite of who runs its node.
    #[command(
        after_help = "Examples:\n  conclave-node team register 'conclave://team/1#…'\n  conclave-node team register 'conclave://team/1#…' --name ada"
    )]
    Register {
        link: String,
        /// Your name in the team [default: the name that others see].
        #[arg(long)]
        name: Option<String>,
    },
    /// Shows the team, and whether its node is there.
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChatCommand {
    /// Sends a message; `-` reads it from standard input.
    #[command(
        after_help = "Examples:\n  conclave-node chat send Kitchen the soup is ready\n  conclave-node chat send Kitchen --reply-to op:k7xq2 yes\n  fortune | conclave-node chat send Kitchen -"
    )]
    Send {
        room: String,
        /// The message that this one answers.
        #[arg(long, value_name = "MESSAGE")]
        reply_to: Option<String>,
        #[arg(required = true, value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Shows the newest messages, oldest first.
    #[command(
        after_help = "Examples:\n  conclave-node chat read Kitchen\n  conclave-node chat read Kitchen --limit 200 --mark-read"
    )]
    Read {
        room: String,
        /// At most so many, 1 to 1000.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only what was before this message.
        #[arg(long, value_name = "MESSAGE")]
        before: Option<String>,
        /// Everything shown counts as read from here on.
        #[arg(long)]
        mark_read: bool,
    },
    /// Searches the messages of one room or of all.
    #[command(after_help = "Examples:\n  conclave-node chat search soup\n  conclave-node chat search --room Kitchen 'is ready'")]
    Search {
        query: String,
        /// In this room alone.
        #[arg(long, value_name = "ROOM")]
        room: Option<String>,
        /// At most so many, 1 to 1000.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Changes a message of one's own.
    Edit {
        room: String,
        message: String,
        #[arg(required = true, value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Deletes a message: one's own, or any as an admin.
    Delete { room: String, message: String },
    /// Puts an emoji under a message, or takes it away.
    #[command(
        after_help = "Examples:\n  conclave-node chat react Kitchen op:k7xq2 👍\n  conclave-node chat react Kitchen op:k7xq2 👍 --off"
    )]
    React {
        room: String,
        message: String,
        emoji: String,
        /// Takes it away.
        #[arg(long)]
        off: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Shares a file or a folder. Others fetch it from here while a node runs (`conclave-node run`).
    #[command(
        after_help = "Examples:\n  conclave-node file share Kitchen report.pdf\n  conclave-node file share Kitchen ~/photos"
    )]
    Share { room: String, path: PathBuf },
    /// Lists the files of a room.
    List { room: String },
    /// Fetches a file, and waits until it is there.
    #[command(
        after_help = "Examples:\n  conclave-node file get Kitchen report.pdf\n  conclave-node file get Kitchen file:k7xq2 --to /tmp --wait 0"
    )]
    Get {
        room: String,
        file: String,
        /// The folder into which it goes [default: the system's folder for downloads].
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Gives up waiting after this time, in seconds; the file is fetched on while a node runs. 0 does not wait.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        wait: u64,
    },
    /// Fetches a file no further until it is resumed. What is here of it stays.
    Pause { room: String, file: String },
    /// Goes on fetching, after a pause or after what stopped it was put right.
    Resume { room: String, file: String },
    /// Fetches a file no more, and removes what was fetched so far.
    Cancel { room: String, file: String },
    /// Takes a share back: one's own, or any as an admin. Those who have the file keep it.
    Remove { room: String, file: String },
    /// Keeps the sealed chunks of a file and serves them to others, without the file itself.
    #[command(after_help = "Example:\n  conclave-node file seed Kitchen report.pdf")]
    Seed {
        room: String,
        file: String,
        /// Gives up waiting after this time, in seconds. 0 does not wait.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        wait: u64,
    },
    /// Sets how fast files may go, in KiB a second; without a limit where an option is left out.
    #[command(after_help = "Examples:\n  conclave-node file limits --up 500\n  conclave-node file limits        (no limits)")]
    Limits {
        /// To others.
        #[arg(long, value_name = "KIB")]
        up: Option<u64>,
        /// From others.
        #[arg(long, value_name = "KIB")]
        down: Option<u64>,
    },
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Sees and hears; writes nothing that lasts.
    Viewer,
    Member,
    /// Admits, invites and revokes.
    Admin,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}

/// `90s`, `30m`, `24h`, `7d`, or seconds alone.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3_600),
        Some((at, 'd')) => (text.get(..at), 86_400),
        _ => (Some(text), 1),
    };
    let seconds = number.and_then(|number| number.parse::<u64>().ok()).and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if (60..=30 * 86_400).contains(&seconds) => Ok(seconds),
        Some(_) => Err("between 60s and 30d".to_owned()),
        None => Err("a time like 90s, 30m, 24h or 7d".to_owned()),
    }
}

fn share_content(text: &str) -> Result<ShareContent, String> {
    match text {
        "text" => Ok(ShareContent::Text),
        "motion" => Ok(ShareContent::Motion),
        _ => Err("either text or motion".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use clap::{CommandFactory, Parser};

    use super::{Arguments, parse_seconds};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let known = ["help", "version"].contains(&argument.get_id().as_str());
                assert!(known || argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, seconds) in [("90s", 90), ("90", 90), ("30m", 1_800), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(parse_seconds(text), Ok(seconds));
        }
        for text in ["", "h", "59s", "31d", "1w", "-5m", "99999999999999999999d", "é"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_passphrase_and_an_insecure_store_exclude_each_other() {
        let error = Arguments::try_parse_from(["conclave-node", "id", "--insecure-store", "--passphrase-file", "f"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn how_a_screen_is_shared_is_said_beside_which() {
        let run = ["conclave-node", "run", "--call", "--room", "r"];
        let parse = |more: &[&str]| Arguments::try_parse_from(run.iter().chain(more));
        assert!(parse(&["--screen", "test", "--screen-content", "motion", "--screen-fps", "15"]).is_ok());
        assert!(parse(&["--screen-content", "motion"]).is_err());
        assert!(parse(&["--screen", "test", "--screen-content", "film"]).is_err());
    }

    #[test]
    fn a_screen_is_shared_only_where_it_is_named() {
        assert!(Arguments::try_parse_from(["conclave-node", "run", "--call", "--room", "r", "--screen"]).is_err());
        assert!(Arguments::try_parse_from(["conclave-node", "run", "--room", "r", "--screen", "test"]).is_err());
        assert!(Arguments::try_parse_from(["conclave-node", "run", "--call", "--room", "r", "--screen", "test"]).is_ok());
    }
}
