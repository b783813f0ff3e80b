//! `doctor`: looks at everything that a node needs before it runs, and changes nothing. Each line says what was looked at.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::SystemTime;

use anyhow::bail;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde_json::json;

use crate::config::Config;
use crate::reach::is_public;
use crate::server::registry;
use crate::tls;

/// Files that nobody but the user of the node may read.
const SECRET: [&str; 3] = ["master.key", "peer.key", "certificate.key"];
/// The year in which this was written: a clock before it is not set.
const CLOCK_S: u64 = 1_767_225_600;
/// A certificate that ends sooner is told about.
const CERTIFICATE_S: u64 = 14 * 86_400;

#[derive(Default)]
struct Doctor {
    wrong: usize,
}

impl Doctor {
    fn good(&self, what: &str, said: impl Display) {
        println!("ok     {what}: {said}");
    }

    /// It works, and may not be meant so.
    fn odd(&self, what: &str, why: impl Display) {
        println!("odd    {what}: {why}");
    }

    fn bad(&mut self, what: &str, why: impl Display) {
        self.wrong += 1;
        println!("wrong  {what}: {why}");
    }

    fn look(&mut self, what: &str, found: Result<impl Display, impl Display>) {
        match found {
            Ok(said) => self.good(what, said),
            Err(why) => self.bad(what, why),
        }
    }

    /// A port that nobody has, or that this node has, if it runs.
    fn port(&mut self, what: &str, at: SocketAddr, bound: std::io::Result<()>) {
        match bound {
            Ok(()) => self.good(what, format!("{at} is free")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                self.good(what, format!("{at} is in use; by this node, if it runs"));
            }
            Err(error) => self.bad(what, format!("{at}: {error}")),
        }
    }
}

/// An error says that something is wrong.
pub(super) async fn doctor(path: &Path) -> anyhow::Result<()> {
    let mut doctor = Doctor::default();
    let config = match Config::read(path, true, &json!({})) {
        Ok(config) => {
            doctor.good("configuration", path.display());
            config
        }
        Err(error) => bail!("{error}"),
    };
    data(&mut doctor, &config).await;
    certificate(&mut doctor, &config);
    ports(&mut doctor, &config);
    addresses(&doctor, &config);
    let now = now_s();
    doctor.look("clock", if now > CLOCK_S { Ok(now) } else { Err("it is not set; every login would fail") });
    match doctor.wrong {
        0 => Ok(()),
        wrong => bail!("{wrong} things are wrong"),
    }
}

async fn data(doctor: &mut Doctor, config: &Config) {
    match registry(config).await {
        Ok(registry) => {
            doctor.good("keys and database", config.data.dir.display());
            match registry.users().await {
                Ok(users) => doctor.good("people", users.len()),
                Err(error) => doctor.bad("people", error),
            }
            match registry.store.chain_head().await {
                Ok(head) => doctor.good("registrations", format!("{} entries", head.seq)),
                Err(error) => doctor.bad("registrations", error),
            }
        }
        Err(error) => doctor.bad("keys and database", format!("{error:#}")),
    }
    #[cfg(unix)]
    for file in SECRET {
        use std::os::unix::fs::PermissionsExt;
        let path = config.data.dir.join(file);
        if let Ok(known) = fs::metadata(&path) {
            let mode = known.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                doctor.bad(file, format!("others may read it (mode {mode:o}): chmod 600 {}", path.display()));
            }
        }
    }
    for place in [Some(config.data.dir.as_path()), config.data.dir.parent()].into_iter().flatten() {
        let root = place.join("team-root.key");
        if root.exists() {
            doctor.odd("root key", format!("{} is still on this machine: only `keys rotate` needs it", root.display()));
        }
    }
}

fn certificate(doctor: &mut Doctor, config: &Config) {
    match tls::config(config) {
        Ok(Some(_)) => match tls::ends_s(config) {
            Ok(Some(end)) if end <= now_s() => doctor.bad("certificate", "it has ended: no client takes it"),
            Ok(Some(end)) if end - now_s() < CERTIFICATE_S => {
                doctor.odd("certificate", format!("it ends in {} days", (end - now_s()) / 86_400));
            }
            Ok(_) => doctor.good("certificate", "can be used"),
            Err(error) => doctor.bad("certificate", format!("{error:#}")),
        },
        Ok(None) => doctor.good("certificate", "none: without TLS, for this machine alone or behind a proxy"),
        Err(error) => doctor.bad("certificate", format!("{error:#}")),
    }
}

fn ports(doctor: &mut Doctor, config: &Config) {
    let tcp = |at: SocketAddr| TcpListener::bind(at).map(drop);
    let udp = |at: SocketAddr| UdpSocket::bind(at).map(drop);
    doctor.port("http port", config.http.listen, tcp(config.http.listen));
    if config.reach.enabled {
        for (at, is_udp) in config.reach.listen.iter().filter_map(|text| socket(&text.parse().ok()?)) {
            doctor.port("libp2p port", at, if is_udp { udp(at) } else { tcp(at) });
        }
    }
    if config.turn.enabled {
        doctor.port("TURN port", config.turn.listen, udp(config.turn.listen));
    }
}

fn addresses(doctor: &Doctor, config: &Config) {
    if config.reach.enabled && config.reach.external.is_empty() {
        doctor.odd("reach.external", "unset: members are told the addresses of this machine's interfaces");
    }
    let told = config.reach.external.iter().filter_map(|text| socket(&text.parse().ok()?)).map(|(at, _)| at.ip());
    let turn = config.turn.external.filter(|_| config.turn.enabled);
    for ip in told.chain(turn).filter(|ip: &IpAddr| !is_public(*ip)) {
        doctor.odd("external address", format!("{ip} is reached from your own network alone"));
    }
    if config.turn.urls.is_empty() && !config.turn.enabled {
        doctor.odd("TURN", "off: calls between hard NATs will not come about");
    }
}

/// The address of a multiaddr, and whether it is UDP.
fn socket(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((SocketAddr::new(ip, port), false)),
        Protocol::Udp(port) => Some((SocketAddr::new(ip, port), true)),
        _ => None,
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
