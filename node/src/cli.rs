//! The headless command: the same node as the window, for a terminal, a script or a server. It shows names and never secrets.

mod args;
mod board;
mod client;
mod converse;
mod files;
pub mod json;
mod oneshot;
mod render;
mod run;
#[cfg(unix)]
mod socket;

#[cfg(test)]
mod schema;
mod select;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use self::args::{Arguments, Command as Typed, Global};
use self::client::{Client, Failure};
use self::oneshot::Output;
use crate::command::Command;
use crate::config::{Config, Protection};
use crate::error::ErrorCode;
use crate::store::{self, Peek, ProtectionKind, Store, StoreError};
use crate::view::{MediaDeviceView, MediaKind, ProfileView};

/// Longest passphrase, in bytes.
const PASSPHRASE_LIMIT: usize = 4096;
/// An address of this machine alone: for what needs a node and no network.
const NOWHERE: &str = "127.0.0.1:0";

/// Reads the command line, does what it says, and gives the exit code that `docs/AUTOMATION.md` lists.
pub fn main() -> ExitCode {
    conclave_media::memory::keep_small();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed terminal leaves the exit code to speak.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    start_log();
    let json = arguments.global.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(Box::pin(carry_out(arguments)));
            // Nothing that is still blocked, such as a read of a terminal, holds up the end.
            runtime.shutdown_timeout(Duration::from_millis(200));
            outcome
        }
        Err(error) => Err(Failure::new(ErrorCode::Stopped, format!("the system gives no threads: {error}"))),
    };
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(output)) => {
            let written = if json { json::ok(None, &output.json) + "\n" } else { output.text };
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(written.as_bytes()).and_then(|()| out.flush());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if json && !failure.told {
                println!("{}", json::refusal(None, failure.view));
            } else if !failure.told {
                eprintln!("error: {}", failure.view.message);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

async fn carry_out(arguments: Arguments) -> Result<Option<Output>, Failure> {
    let Arguments { global, command } = arguments;
    if matches!(command, Typed::Devices) {
        return Ok(Some(devices()));
    }
    let dir = data_dir(&global)?;
    let mut config = Config::new(&dir, protection(&global)?);
    if !oneshot::needs_network(&command) {
        config.listen = vec![NOWHERE.to_owned()];
        config.mdns = false;
    }
    let linger = Duration::from_secs(global.linger);
    match command {
        Typed::Run(arguments) => {
            config.listen.clone_from(&arguments.listen);
            config.mdns = !arguments.no_mdns;
            config.name.clone_from(&arguments.name);
            Box::pin(run::run(*arguments, config, global.json)).await.map(|()| None)
        }
        Typed::Init { name, from_backup, backup_passphrase } => {
            if let (Some(file), Some(passphrase)) = (from_backup, backup_passphrase) {
                config.restore = Some(oneshot::restore(&file, read_passphrase(&passphrase)?)?);
            }
            Box::pin(init(config, name)).await.map(Some)
        }
        Typed::Passphrase { set, .. } => change_protection(dir, config.protection, set).await.map(Some),
        Typed::Devices => Ok(Some(devices())),
        other => {
            let mut client = Box::pin(Client::reach(config)).await?;
            let output = match other {
                Typed::Id { rename } => Box::pin(oneshot::id(&mut client, rename, &dir, linger)).await,
                Typed::Diagnose { seconds } => Box::pin(oneshot::diagnose(&mut client, Duration::from_secs(seconds))).await,
                Typed::Device(device) => Box::pin(oneshot::device(&mut client, device)).await,
                Typed::Backup { file, backup_passphrase } => match read_passphrase(&backup_passphrase) {
                    Ok(passphrase) => Box::pin(oneshot::backup(&mut client, &file, passphrase)).await,
                    Err(failure) => Err(failure),
                },
                Typed::Wipe { everything } => Box::pin(oneshot::wipe(&mut client, everything)).await,
                Typed::Room(room) => Box::pin(oneshot::room(&mut client, room, linger)).await,
                Typed::Team(team) => Box::pin(oneshot::team(&mut client, team)).await,
                Typed::Login { link } => Box::pin(oneshot::ask_team(&mut client, Command::TeamLogin { link })).await,
                Typed::Logout => Box::pin(oneshot::logout(&mut client)).await,
                Typed::Verify(verify) => Box::pin(oneshot::verify(&mut client, verify)).await,
                Typed::File(file) => Box::pin(files::file(&mut client, file, linger)).await,
                Typed::Chat(chat) => Box::pin(oneshot::chat(&mut client, chat, linger)).await,
                Typed::Board(board) => Box::pin(board::board(&mut client, board, linger)).await,
                Typed::Run(_) | Typed::Init { .. } | Typed::Passphrase { .. } | Typed::Devices => {
                    Err(Failure::usage("not a command of its own"))
                }
            };
            client.finish().await;
            output.map(Some)
        }
    }
}

async fn init(mut config: Config, name: Option<String>) -> Result<Output, Failure> {
    let dir = config.data.clone();
    match Store::peek(&dir) {
        Ok(Peek::Present { .. }) => return Err(failure(StoreError::Exists { dir })),
        Ok(Peek::Empty { .. }) => {}
        Err(error) => return Err(failure(error)),
    }
    config.name = Some(match name {
        Some(name) => name,
        None => ask_name()?,
    });
    let (node, events) = Box::pin(crate::handle::Node::open(config)).await?;
    let mut client = Client::Own { node, events };
    let json = client.ask(Command::ProfileShow {}).await;
    client.finish().await;
    let json = json?;
    let profile: ProfileView = client::part(&json, "profile")?;
    Ok(Output { text: render::profile(&profile, &dir), json })
}

/// To the passphrase in a file, or to the keyring where there is none.
async fn change_protection(dir: PathBuf, from: Protection, set: Option<PathBuf>) -> Result<Output, Failure> {
    let to = match &set {
        Some(file) => Protection::Passphrase(read_passphrase(file)?),
        None => Protection::Keyring,
    };
    let kind = ProtectionKind::from(&to).as_str();
    // A keyring waits for a person.
    let changed = tokio::task::spawn_blocking(move || Store::change_protection(&dir, &from, &to)).await;
    changed.map_err(|error| Failure::new(ErrorCode::StoreFailed, error.to_string()))?.map_err(failure)?;
    let text = format!("The keys are protected by the {kind} from here on.\n");
    Ok(Output { text, json: json!({ "protection": kind }) })
}

/// Asks whoever sits at the terminal; elsewhere takes the name that the system knows.
fn ask_name() -> Result<String, Failure> {
    let known = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    if !std::io::stdin().is_terminal() {
        return known.ok_or_else(|| Failure::usage("give the name that others see: --name NAME"));
    }
    let proposal = known.as_deref().map(|name| format!(" [{}]", render::clean(name))).unwrap_or_default();
    eprint!("The name that others see{proposal}: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Failure::usage(format!("no name was read: {error}")))?;
    match (line.trim(), known) {
        ("", Some(known)) => Ok(known),
        ("", None) => Err(Failure::usage("give the name that others see: --name NAME")),
        (typed, _) => Ok(typed.to_owned()),
    }
}

fn devices() -> Output {
    let devices: Vec<MediaDeviceView> = conclave_media::device::list_devices().into_iter().map(device_view).collect();
    Output { text: render::devices(&devices), json: json!({ "devices": devices }) }
}

fn device_view(device: conclave_media::device::DeviceInfo) -> MediaDeviceView {
    use conclave_media::device::DeviceKind;
    let kind = match device.kind {
        DeviceKind::Camera => MediaKind::Camera,
        DeviceKind::Microphone => MediaKind::Microphone,
        DeviceKind::Speaker => MediaKind::Speaker,
        DeviceKind::Screen => MediaKind::Screen,
    };
    MediaDeviceView { kind, spec: device.spec, label: device.label, unavailable: device.unavailable }
}

fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    let dir = global.data.clone().or_else(store::default_data_dir);
    dir.ok_or_else(|| Failure::usage("this system has no place for data; say where: --data DIR"))
}

fn protection(global: &Global) -> Result<Protection, Failure> {
    match &global.passphrase_file {
        Some(file) => Ok(Protection::Passphrase(read_passphrase(file)?)),
        None if global.insecure_store => Ok(Protection::Insecure),
        None => Ok(Protection::Keyring),
    }
}

fn read_passphrase(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let locked = |reason: String| failure(StoreError::Locked { reason: format!("{}: {reason}", file.display()) });
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| locked(error.to_string()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.len() {
        0 => Err(locked("the passphrase is empty".to_owned())),
        1..=PASSPHRASE_LIMIT => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(locked(format!("longer than {PASSPHRASE_LIMIT} bytes"))),
    }
}

fn failure(error: StoreError) -> Failure {
    crate::error::CommandError::from(error).into()
}

/// These tell addresses of peers at INFO. Whoever wants them names them, or asks for DEBUG of everything.
const TELLTALES: [&str; 4] = ["libp2p_mdns", "libp2p_identify", "rtc", "rtc_ice"];

/// To standard error, warnings of ours alone unless CONCLAVE_LOG says otherwise.
fn start_log() {
    let wanted = std::env::var("CONCLAVE_LOG").unwrap_or_default();
    let filter = EnvFilter::try_new(log_directives(&wanted)).unwrap_or_else(|_| EnvFilter::new(log_directives("")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).without_time();
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // A second start within one process keeps the first one's log.
    let _ = log.try_init();
}

/// What is logged, where a person asked for `wanted`: no peer's address above DEBUG, whichever crate knows it.
fn log_directives(wanted: &str) -> String {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        // A peer's private addresses are among what TURN is asked for, and rightly refused.
        return "error,webrtc::peer_connection::transport::turn_relayer=off,conclave_node=warn,conclave_media=warn".to_owned();
    }
    let everything = |directive: &str| directive.eq_ignore_ascii_case("debug") || directive.eq_ignore_ascii_case("trace");
    if wanted.split(',').any(|directive| everything(directive.trim())) {
        return wanted.to_owned();
    }
    // What is said later of the same target counts.
    TELLTALES.iter().map(|target| format!("{target}=warn,")).chain([wanted.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_not_named_in_the_log_above_debug() {
        let directives = log_directives("info");
        assert!(directives.starts_with("libp2p_mdns=warn,") && directives.ends_with(",info"), "{directives}");
        assert_eq!(log_directives("debug"), "debug");
        assert!(log_directives("conclave_node=debug,libp2p_mdns=info").ends_with("libp2p_mdns=info"));
        assert!(!log_directives("").contains("info"));
        for wanted in ["", "info", "debug", "libp2p_mdns=info"] {
            assert!(EnvFilter::try_new(log_directives(wanted)).is_ok());
        }
    }
}
