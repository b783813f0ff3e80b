//! The configuration: one TOML file, the environment over it (`CONCLAVE_BOOTSTRAP_HTTP__LISTEN`), flags over both. A value that is
//! wrong is named with its place. Nothing here opens or listens.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// The prefix of the environment's names.
const ENV: &str = "CONCLAVE_BOOTSTRAP_";

/// What the node is told. See [`TEMPLATE`] for each value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub team: Team,
    #[serde(default)]
    pub data: Data,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub reach: Reach,
    #[serde(default)]
    pub turn: Turn,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    pub name: String,
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
    /// Empty: an SQLite file in `dir`.
    pub database: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub tls: Tls,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub max_connections: usize,
    /// Connections of one address (IPv4) or one /64 (IPv6).
    pub max_connections_per_source: usize,
    /// Logins and registrations that are worked on at once; one more is refused with 503.
    pub max_logins: usize,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    SelfSigned,
    Files,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    pub enabled: bool,
    pub listen: Vec<String>,
    pub external: Vec<String>,
    pub max_connections: u32,
    pub reservations: usize,
    pub reservations_per_user: usize,
    pub circuits: usize,
    pub circuits_per_user: usize,
    pub circuit_seconds: u64,
    pub circuit_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    pub enabled: bool,
    pub listen: SocketAddr,
    /// Where the relayed addresses are: the address that peers see. Unset: that of `listen`.
    pub external: Option<IpAddr>,
    /// What clients are told. Empty: made from `external` and the port of `listen`.
    pub urls: Vec<String>,
    /// Of a server beside this one (coturn's `static-auth-secret`). Empty: one of our own.
    pub secret: String,
    pub credential_seconds: u64,
    /// How long an allocation stands, from each refresh on.
    pub allocation_seconds: u64,
    pub allocations: usize,
    pub allocations_per_user: usize,
    /// Of each allocation and each way.
    pub bytes_per_second: u64,
    /// Of each user in an hour.
    pub bytes_per_hour: u64,
    /// Private addresses that may be reached all the same, as `10.1.0.0/16`.
    pub lan: Vec<String>,
}

impl Default for Team {
    fn default() -> Self {
        Self { name: "Team".into(), url: "https://127.0.0.1:7480".into() }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "bootstrap-data".into(), database: String::new() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7480)),
            tls: Tls::SelfSigned,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            max_connections: 1_024,
            max_connections_per_source: 256,
            max_logins: 64,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: vec!["/ip4/0.0.0.0/tcp/7400".into(), "/ip4/0.0.0.0/udp/7400/quic-v1".into()],
            external: Vec::new(),
            max_connections: 10_000,
            reservations: 500,
            reservations_per_user: 8,
            circuits: 500,
            circuits_per_user: 64,
            circuit_seconds: 3_600,
            circuit_bytes: 256 * 1024 * 1024,
        }
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([0, 0, 0, 0], 3478)),
            external: None,
            urls: Vec::new(),
            secret: String::new(),
            credential_seconds: 600,
            allocation_seconds: 3_600,
            allocations: 200,
            allocations_per_user: 5,
            bytes_per_second: 500_000,
            bytes_per_hour: 2_000_000_000,
            lan: Vec::new(),
        }
    }
}

/// A value is wrong, and where it stands.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Names the key and the file or the variable itself.
    #[error("{0}")]
    Read(Box<figment::Error>),
    #[error("{key} in {place}: {what}")]
    Value { key: &'static str, place: String, what: String },
}

impl Config {
    /// Reads `file` (which need not be there where `required` is false), the environment, and `flags` over them.
    ///
    /// # Errors
    /// Where a value cannot be read or cannot be meant, with its place.
    pub fn read(file: &Path, required: bool, flags: &serde_json::Value) -> Result<Self, ConfigError> {
        let toml = if required { Toml::file_exact(file) } else { Toml::file(file) };
        let figment = Figment::new()
            .merge(toml)
            .merge(Env::prefixed(ENV).split("__"))
            .merge(Serialized::from(flags, figment::Profile::Default));
        Self::extract(&figment)
    }

    /// Reads the text of a file, and nothing else.
    pub(crate) fn from_text(text: &str) -> Result<Self, ConfigError> {
        Self::extract(&Figment::new().merge(Toml::string(text)))
    }

    fn extract(figment: &Figment) -> Result<Self, ConfigError> {
        let config: Self = figment.extract().map_err(|error| ConfigError::Read(Box::new(error)))?;
        config.check(|key| {
            let source = figment.find_metadata(key);
            let of = |meta: &figment::Metadata| match &meta.source {
                Some(source) => format!("{source}"),
                None if meta.name.contains("environment") => "the environment".to_owned(),
                None => "the flags".to_owned(),
            };
            source.map_or_else(|| "the defaults".to_owned(), of)
        })?;
        Ok(config)
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        match self.data.database.as_str() {
            "" => format!("sqlite:{}", self.data.dir.join("bootstrap.db").display()),
            url => url.to_owned(),
        }
    }

    fn check(&self, place: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        let wrong = |key: &'static str, what: &str| Err(ConfigError::Value { key, place: place(key), what: what.to_owned() });
        if conclave_protocol::identity::check_name(&self.team.name).is_err() {
            return wrong("team.name", "a name of 1 to 128 bytes is needed");
        }
        let https = self.team.url.starts_with("https://");
        if !https && !self.team.url.starts_with("http://") || self.team.url.ends_with('/') {
            return wrong("team.url", "https://host:port is needed, without a slash at its end");
        }
        if https == (self.http.tls == Tls::Off) && self.http.trusted_proxies.is_empty() {
            return wrong("http.tls", "it says the opposite of what team.url begins with");
        }
        if self.http.tls == Tls::Files && (self.http.certificate.as_os_str().is_empty() || self.http.key.as_os_str().is_empty()) {
            return wrong("http.tls", "`files` needs http.certificate and http.key");
        }
        if self.http.max_connections == 0 {
            return wrong("http.max_connections", "at least 1 is needed");
        }
        if self.http.max_connections_per_source == 0 {
            return wrong("http.max_connections_per_source", "at least 1 is needed");
        }
        if !(1..=1_024).contains(&self.http.max_logins) {
            return wrong("http.max_logins", "1 to 1024 are possible");
        }
        let database = self.database_url();
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
            return wrong("data.database", "sqlite:PATH or postgres://… is needed");
        }
        let multiaddr = |texts: &[String]| texts.iter().all(|text| text.parse::<libp2p::Multiaddr>().is_ok());
        if self.reach.enabled && (self.reach.listen.is_empty() || !multiaddr(&self.reach.listen)) {
            return wrong("reach.listen", "multiaddrs such as /ip4/0.0.0.0/tcp/7400 are needed");
        }
        if !multiaddr(&self.reach.external) {
            return wrong("reach.external", "multiaddrs such as /ip4/203.0.113.7/tcp/7400 are needed");
        }
        if !(30..=600).contains(&self.turn.credential_seconds) {
            return wrong("turn.credential_seconds", "30 to 600 are possible");
        }
        if !(30..=3_600).contains(&self.turn.allocation_seconds) {
            return wrong("turn.allocation_seconds", "30 to 3600 are possible");
        }
        if let Some(bad) = self.turn.lan.iter().find(|text| crate::reach::parse_prefix(text).is_none()) {
            return wrong("turn.lan", &format!("`{bad}` is no prefix such as 10.1.0.0/16"));
        }
        if self.turn.enabled
            && self.turn.external.is_none()
            && self.turn.listen.ip().is_unspecified()
            && self.turn.urls.is_empty()
        {
            return wrong("turn.external", "the address that peers see is needed where turn.listen is every address");
        }
        if !self.turn.enabled && self.turn.secret.is_empty() != self.turn.urls.is_empty() {
            return wrong("turn.secret", "turn.urls and turn.secret belong together");
        }
        Ok(())
    }
}

/// The configuration file that `init` writes.
pub(crate) fn template(team: &str, url: &str, dir: &Path, external: Option<IpAddr>) -> String {
    let quoted = |text: &str| toml_string(text);
    let (external_turn, turn) = match external {
        Some(ip) => (format!("external = \"{ip}\""), true),
        None => ("# external = \"203.0.113.7\"".to_owned(), false),
    };
    let reach = external.map_or_else(
        || "# external = [\"/ip4/203.0.113.7/tcp/7400\", \"/ip4/203.0.113.7/udp/7400/quic-v1\"]".to_owned(),
        |ip| {
            let family = if ip.is_ipv4() { "ip4" } else { "ip6" };
            format!("external = [\"/{family}/{ip}/tcp/7400\", \"/{family}/{ip}/udp/7400/quic-v1\"]")
        },
    );
    let tls = if url.starts_with("https://") { "self-signed" } else { "off" };
    format!(
        r#"# A bootstrap node of Conclave. The environment goes over this file (CONCLAVE_BOOTSTRAP_HTTP__LISTEN), flags over both.

[team]
# What members see.
name = {team}
# Where members reach the HTTP side. It stands in invites and in tokens.
url = {url}

[data]
# Keys, certificate and the SQLite file. Back it up with `conclave-bootstrap backup`.
dir = {dir}
# Empty: SQLite in `dir`. For several replicas: postgres://user:password@host/database
database = ""

[http]
listen = "0.0.0.0:7480"
# self-signed (invites carry the pin), files (certificate and key below), or off (this machine, or behind a proxy).
tls = "{tls}"
# certificate = "/etc/conclave/fullchain.pem"
# key = "/etc/conclave/privkey.pem"
max_connections = 1024
# Of one address (a /64 of IPv6). A proxy in trusted_proxies may have them all.
max_connections_per_source = 256
# Logins and registrations that are worked on at once; one more is answered 503.
max_logins = 64
# Whose X-Forwarded-For is believed.
trusted_proxies = []

[reach]
# Discovery and relay over libp2p.
enabled = true
listen = ["/ip4/0.0.0.0/tcp/7400", "/ip4/0.0.0.0/udp/7400/quic-v1"]
# What members are told, where it is not what `listen` says.
{reach}
max_connections = 10000
# The relay: who may be reached through it at once, and what one connection through it may carry.
reservations = 500
reservations_per_user = 8
circuits = 500
circuits_per_user = 64
circuit_seconds = 3600
circuit_bytes = 268435456

[turn]
# STUN and TURN over UDP, for media across NATs.
enabled = {turn}
listen = "0.0.0.0:3478"
# The address that peers see; needed where `listen` is every address.
{external_turn}
# A TURN server beside this one, such as coturn with `use-auth-secret`: enabled = false, its urls, and its static-auth-secret.
urls = []
secret = ""
credential_seconds = 600
# From each refresh on; clients refresh at half of it, with a credential that holds then.
allocation_seconds = 3600
allocations = 200
allocations_per_user = 5
# Of each allocation and way; of each user in an hour.
bytes_per_second = 500000
bytes_per_hour = 2000000000
# Private addresses that may be reached through the relay all the same.
lan = []
"#,
        team = quoted(team),
        url = quoted(url),
        dir = quoted(&dir.display().to_string()),
    )
}

/// A JSON string of these is a TOML basic string too.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
