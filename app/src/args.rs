//! The command line of the app, checked before a window opens.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use conclave_node::config::{Config, Protection};
use conclave_node::store::{Peek, ProtectionKind, Store, default_data_dir};

use crate::backend::{KeptBy, StorePresence};
use crate::state::Launch;

/// Private meetings, peer to peer: talk, chat and share with people on your network, end-to-end encrypted, without a server.
#[derive(Debug, Parser)]
#[command(name = "conclave", version)]
pub struct Args {
    /// Where everything is kept [default: the platform's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A file whose first line is the passphrase of the store
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_store")]
    passphrase_file: Option<PathBuf>,
    /// Keep secrets in the clear: for demonstrations only
    #[arg(long)]
    insecure_store: bool,
    /// Your name, for a first start
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Listen here (multiaddr or host:port) instead of on every interface; may be given several times
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Do not look for neighbours on the network
    #[arg(long)]
    no_mdns: bool,
    /// An invitation to join: conclave://join/1#…
    #[arg(value_name = "LINK")]
    link: Option<String>,
}

/// What the window starts with.
#[derive(Debug)]
pub struct Start {
    pub config: Config,
    pub launch: Launch,
}

impl Args {
    /// Looks at the data directory and reads the passphrase.
    ///
    /// # Errors
    /// Where there is no place for data, or the passphrase file cannot be read.
    pub fn start(self) -> anyhow::Result<Start> {
        let data = match self.data {
            Some(data) => data,
            None => default_data_dir().context("this system names no data directory: give one with --data DIR")?,
        };
        let protection = match (self.passphrase_file, self.insecure_store) {
            (Some(file), _) => {
                let text =
                    std::fs::read_to_string(&file).with_context(|| format!("reading the passphrase from {}", file.display()))?;
                let passphrase = text.lines().next().unwrap_or_default().to_owned();
                anyhow::ensure!(!passphrase.is_empty(), "the passphrase file {} is empty", file.display());
                Some(Protection::Passphrase(passphrase.into()))
            }
            (None, true) => {
                tracing::warn!("secrets are kept in the clear (--insecure-store): for demonstrations only");
                Some(Protection::Insecure)
            }
            (None, false) => None,
        };
        let (presence, aside) = match Store::peek(&data) {
            Ok(Peek::Empty { aside }) => (StorePresence::Absent, aside.last().map(|path| path.display().to_string())),
            Ok(Peek::Present { protection }) => {
                let kept = match protection {
                    ProtectionKind::Keyring => KeptBy::Keyring,
                    ProtectionKind::Passphrase => KeptBy::Passphrase,
                    ProtectionKind::Insecure => KeptBy::Insecure,
                };
                (StorePresence::Present(kept), None)
            }
            // In use, damaged or newer: opening it tells the person.
            Err(_) => (StorePresence::Present(KeptBy::Unknown), None),
        };
        let recordings = directories::UserDirs::new()
            .and_then(|dirs| dirs.video_dir().map(|videos| videos.join("Conclave")))
            .unwrap_or_else(|| data.join("recordings"));
        let config = Config { listen: self.listen, mdns: !self.no_mdns, ..Config::new(data, Protection::Keyring) };
        let launch = Launch { presence, aside, name: self.name, protection, link: self.link, recordings, local_offset_s };
        Ok(Start { config, launch })
    }
}

/// Seconds east of UTC here at a moment.
fn local_offset_s(utc_ms: u64) -> i32 {
    use chrono::{Local, Offset as _, TimeZone as _};
    i64::try_from(utc_ms)
        .ok()
        .and_then(|ms| Local.timestamp_millis_opt(ms).single())
        .map_or(0, |time| time.offset().fix().local_minus_utc())
}
