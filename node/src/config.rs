//! What a node needs to know before it starts.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// How the store's master key is kept.
#[derive(Clone)]
pub enum Protection {
    /// In the operating system's keyring.
    Keyring,
    /// Wrapped by a passphrase (Argon2id).
    Passphrase(Zeroizing<String>),
    /// In the clear beside the store. For demonstrations; said on every start.
    Insecure,
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keyring => "Keyring",
            Self::Passphrase(_) => "Passphrase(…)",
            Self::Insecure => "Insecure",
        })
    }
}

/// A backup of a person, for a first start.
#[derive(Clone)]
pub struct Restore {
    /// As `identity.export` made it.
    pub sealed: Vec<u8>,
    pub passphrase: Zeroizing<String>,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restore(…)")
    }
}

/// Configuration of a node. Nothing in it changes while the node runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory: `store.redb`, `files/`, the local socket.
    pub data: PathBuf,
    pub protection: Protection,
    /// The name for a first start; a data directory that already has an identity keeps its own.
    pub name: Option<String>,
    /// Whose device a first start makes this; a new person's where absent.
    pub restore: Option<Restore>,
    /// Multiaddrs or `host:port`. Empty: every interface, ephemeral ports, QUIC and TCP.
    pub listen: Vec<String>,
    /// Look for neighbours on the LAN.
    pub mdns: bool,
}

impl Config {
    /// A node in `data` that listens everywhere and looks for neighbours.
    pub fn new(data: impl Into<PathBuf>, protection: Protection) -> Self {
        Self { data: data.into(), protection, name: None, restore: None, listen: Vec::new(), mdns: true }
    }
}
