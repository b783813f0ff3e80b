//! This person: devices, the backup of the key, and the end of it all.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use conclave_protocol::id::DeviceId;
use serde_json::json;
use zeroize::Zeroizing;

use super::Output;
use crate::backup::MAX_BACKUP;
use crate::cli::args::DeviceCommand;
use crate::cli::client::{Client, Failure, part};
use crate::cli::render;
use crate::command::Command;
use crate::config::Restore;
use crate::error::ErrorCode;
use crate::view::{OwnDeviceView, ProfileView};

/// Longest code that is read from standard input.
const CODE_LIMIT: u64 = 1024 * 1024;

pub(crate) async fn device(client: &mut Client, command: DeviceCommand) -> Result<Output, Failure> {
    match command {
        DeviceCommand::List => list(client, Command::DeviceList {}).await,
        DeviceCommand::Code { qr } => {
            let json = client.ask(Command::DeviceCode {}).await?;
            let code: String = part(&json, "code")?;
            let mut text = format!("{code}\n\nOn a device that you have already: conclave-node device add 'CODE'\n");
            if qr {
                text.push_str(&render::qr(&code, std::io::stdout().is_terminal()).unwrap_or_default());
            }
            Ok(Output { json, text })
        }
        DeviceCommand::Add { code } => {
            let json = client.ask(Command::DeviceAdd { code }).await?;
            let code: String = part(&json, "code")?;
            let text =
                format!("{code}\n\nIt holds your key, sealed to the new device. There: conclave-node device accept 'CODE'\n");
            Ok(Output { json, text })
        }
        DeviceCommand::Accept { code } => {
            let code = if code == "-" { read_code()? } else { code };
            let json = client.ask(Command::DeviceAccept { code }).await?;
            let profile: ProfileView = part(&json, "profile")?;
            Ok(Output { json, text: format!("This is a device of {} now.\n", render::clean(&profile.name)) })
        }
        DeviceCommand::Remove { device } => {
            let known: Vec<OwnDeviceView> = client.ask_for(Command::DeviceList {}, "own_devices").await?;
            let device = find(&known, &device)?;
            list(client, Command::DeviceRemove { device }).await
        }
    }
}

async fn list(client: &mut Client, command: Command) -> Result<Output, Failure> {
    let json = client.ask(command).await?;
    let devices: Vec<OwnDeviceView> = part(&json, "own_devices")?;
    let line = |device: &OwnDeviceView| format!("{}{}\n", device.device, if device.me { "  (this one)" } else { "" });
    Ok(Output { text: devices.iter().map(line).collect(), json })
}

fn find(known: &[OwnDeviceView], typed: &str) -> Result<DeviceId, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let body = typed.strip_prefix("dev:").unwrap_or(typed);
    let fits = |device: &&OwnDeviceView| device.device.to_string().strip_prefix("dev:").is_some_and(|id| id.starts_with(body));
    match known.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [only] if body.len() >= 3 => Ok(only.device),
        _ => Err(Failure::new(ErrorCode::UnknownDevice, format!("there is no one device `{}` of yours", render::clean(typed)))),
    }
}

fn read_code() -> Result<String, Failure> {
    let mut code = String::new();
    let read = std::io::stdin().take(CODE_LIMIT).read_to_string(&mut code);
    read.map_err(|error| Failure::usage(format!("no code was read: {error}")))?;
    Ok(code)
}

/// Writes a backup, readable by this person alone.
pub(crate) async fn backup(client: &mut Client, file: &Path, passphrase: Zeroizing<String>) -> Result<Output, Failure> {
    let asked = Command::IdentityExport { passphrase: passphrase.as_str().to_owned() };
    let encoded: String = client.ask_for(asked, "backup").await?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(ErrorCode::BadRequest, format!("{}: {error}", file.display()));
    let sealed = data_encoding::BASE64.decode(encoded.as_bytes()).map_err(|error| failed(&error))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut out| out.write_all(&sealed).and_then(|()| out.sync_all()));
    written.map_err(|error| failed(&error))?;
    let text = format!("Written to {}. Whoever has it and its passphrase is you.\n", file.display());
    Ok(Output { json: json!({ "file": file, "bytes": sealed.len() }), text })
}

/// Reads a backup for a first start.
pub(crate) fn restore(file: &Path, passphrase: Zeroizing<String>) -> Result<Restore, Failure> {
    let failed = |error: std::io::Error| Failure::new(ErrorCode::BadRequest, format!("{}: {error}", file.display()));
    let mut sealed = Vec::new();
    std::fs::File::open(file).and_then(|opened| opened.take(MAX_BACKUP).read_to_end(&mut sealed)).map_err(failed)?;
    Ok(Restore { sealed, passphrase })
}

pub(crate) async fn wipe(client: &mut Client, everything: bool) -> Result<Output, Failure> {
    let json = client.ask(Command::Wipe { everything }).await?;
    Ok(Output { json, text: "Everything of Conclave on this device is gone.\n".to_owned() })
}
