//! What to tell a person who wonders why nobody is found. Reads the list of interfaces; it must never send anything.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use if_addrs::{IfOperStatus, Interface};
use libp2p::Multiaddr;
use libp2p::core::transport::TransportError;

use crate::view::{DiagnosisView, DialView, InterfaceView};

/// Attempts that are remembered; the oldest gives way.
const DIALLED: usize = 32;
/// Neighbours answer within milliseconds; after so long without one, something is in the way or nobody is there.
const NEIGHBOURS_EXPECTED_AFTER: Duration = Duration::from_secs(3);

/// How the search for neighbours stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mdns {
    Off,
    On,
    Failed(String),
}

/// Everything that the diagnosis is made of.
pub(crate) struct Facts<'a> {
    pub(crate) interfaces: &'a [Interface],
    pub(crate) listening: Vec<String>,
    pub(crate) mdns: &'a Mdns,
    pub(crate) neighbours: usize,
    pub(crate) connected: usize,
    pub(crate) dialled: Vec<DialView>,
    /// Since the network started.
    pub(crate) running: Duration,
}

/// The interfaces of this machine that are up.
pub(crate) fn interfaces() -> Vec<Interface> {
    let up = |status: &IfOperStatus| matches!(status, IfOperStatus::Up | IfOperStatus::Unknown);
    match if_addrs::get_if_addrs() {
        Ok(all) => all.into_iter().filter(|interface| up(&interface.oper_status)).collect(),
        Err(error) => {
            tracing::warn!(%error, "the interfaces of this machine cannot be listed");
            Vec::new()
        }
    }
}

/// The view, with plain sentences on what to try next, the most likely first.
pub(crate) fn diagnose(facts: Facts<'_>) -> DiagnosisView {
    let outside = facts.interfaces.iter().filter(|interface| !interface.is_loopback());
    // Neighbours are looked for over IPv4; a tunnel from point to point has none.
    let multicast = outside.clone().any(|interface| interface.ip().is_ipv4() && !interface.is_p2p());
    let mut hints = Vec::new();
    if outside.clone().next().is_none() {
        hints.push("No network interface is up but loopback: connect this device to a network.".to_owned());
    } else if !multicast {
        hints.push(
            "No network interface can reach neighbours by multicast over IPv4: join a local network, or use an address."
                .to_owned(),
        );
    }
    if facts.listening.is_empty() {
        hints.push("Nothing is listened on, so that others cannot connect to this device.".to_owned());
    } else if outside.clone().next().is_some() && facts.listening.iter().all(|address| is_loopback(address)) {
        hints.push(
            "Only loopback is listened on, so that only this device can connect: choose another --listen address.".to_owned(),
        );
    }
    match facts.mdns {
        Mdns::Off => hints.push("The search for neighbours is switched off: only given addresses are tried.".to_owned()),
        Mdns::Failed(reason) => hints.push(format!("The search for neighbours does not work here: {reason}.")),
        Mdns::On if multicast && facts.neighbours == 0 && facts.running >= NEIGHBOURS_EXPECTED_AFTER => hints.push(
            "No neighbour has answered: the others may be on another network, a firewall may block UDP port 5353, or the Wi-Fi may keep \
             its devices apart. An address of the other device (ip:port) works without it."
                .to_owned(),
        ),
        Mdns::On => {}
    }
    let failed = |word: &str| facts.dialled.iter().any(|dial| dial.outcome.contains(word));
    if facts.connected == 0 && failed(NO_ANSWER) {
        hints.push(
            "An address did not answer: a firewall there may drop connections, or the device is asleep or elsewhere.".to_owned(),
        );
    }
    if facts.connected == 0 && failed(REFUSED) {
        hints.push("A device refused the connection: Conclave may not run there, or listens on another port.".to_owned());
    }
    if failed(SOMEBODY_ELSE) {
        hints
            .push("Another device answers at an address of the one that is looked for: addresses have changed hands.".to_owned());
    }
    DiagnosisView {
        interfaces: facts
            .interfaces
            .iter()
            .map(|interface| InterfaceView {
                name: interface.name.clone(),
                address: interface.ip().to_string(),
                loopback: interface.is_loopback(),
            })
            .collect(),
        listening: facts.listening,
        multicast: multicast && *facts.mdns == Mdns::On,
        neighbours: u32::try_from(facts.neighbours).unwrap_or(u32::MAX),
        dialled: facts.dialled,
        hints,
    }
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

pub(crate) const CONNECTED: &str = "connected";
pub(crate) const SOMEBODY_ELSE: &str = "another device answers here";
pub(crate) const MYSELF: &str = "this is the device itself";
pub(crate) const NAME_UNKNOWN: &str = "the name was not found";
pub(crate) const UNDER_WAY: &str = "no answer yet";
pub(crate) const NAME_UNANSWERED: &str = "no name server answered within 5 s";
pub(crate) const DENIED: &str = "not tried: too many connections";
const NO_ANSWER: &str = "no answer";
const REFUSED: &str = "refused";
const UNREACHABLE: &str = "no route to this address";
const UNSUPPORTED: &str = "this kind of address is not supported";
const NOT_CONCLAVE: &str = "something answered that does not speak this protocol";

/// What became of an attempt over one address, in words.
pub(crate) fn outcome(error: &TransportError<io::Error>) -> &'static str {
    let error = match error {
        TransportError::MultiaddrNotSupported(_) => return UNSUPPORTED,
        TransportError::Other(error) => error,
    };
    match root_kind(error) {
        io::ErrorKind::ConnectionRefused => REFUSED,
        io::ErrorKind::TimedOut => NO_ANSWER,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => UNREACHABLE,
        io::ErrorKind::AddrNotAvailable => UNREACHABLE,
        _ => {
            // The transports hide the kind of some errors behind their own types.
            let text = format!("{error:?}").to_lowercase();
            if text.contains("refused") {
                REFUSED
            } else if text.contains("timedout") || text.contains("timed out") || text.contains("timeout") {
                NO_ANSWER
            } else if text.contains("unreachable") {
                UNREACHABLE
            } else {
                NOT_CONCLAVE
            }
        }
    }
}

/// The first kind in the chain of causes that says anything.
pub(crate) fn root_kind(error: &io::Error) -> io::ErrorKind {
    let mut kind = error.kind();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while kind == io::ErrorKind::Other
        && let Some(inner) = cause
    {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            kind = io.kind();
            cause = io.get_ref().map(|inner| inner as _);
        } else {
            cause = inner.source();
        }
    }
    if kind == io::ErrorKind::Other { numbered_kind(&error.to_string()).unwrap_or(kind) } else { kind }
}

/// Some layers pass the system's error on as their own, which hides it from `source`: then only its number is left in the text.
fn numbered_kind(text: &str) -> Option<io::ErrorKind> {
    let number = text.rsplit_once("(os error ")?.1.split(')').next()?;
    Some(io::Error::from_raw_os_error(number.parse().ok()?).kind())
}

/// The last attempts, the newest last; one address is listed once.
#[derive(Debug, Default)]
pub(crate) struct Dialled(VecDeque<DialView>);

impl Dialled {
    pub(crate) fn record(&mut self, address: &Multiaddr, outcome: &str) {
        let address = address.to_string();
        self.0.retain(|dial| dial.address != address);
        if self.0.len() >= DIALLED {
            self.0.pop_front();
        }
        self.0.push_back(DialView { address, outcome: outcome.to_owned() });
    }

    /// An attempt has begun. What an earlier one has found stays until this one finds something.
    pub(crate) fn begin(&mut self, address: &Multiaddr) {
        if !self.0.iter().any(|dial| dial.address == address.to_string()) {
            self.record(address, UNDER_WAY);
        }
    }

    /// An attempt was given up, because another one was faster.
    pub(crate) fn give_up(&mut self, address: &Multiaddr) {
        self.0.retain(|dial| dial.outcome != UNDER_WAY || dial.address != address.to_string());
    }

    pub(crate) fn list(&self) -> Vec<DialView> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::net::Ipv4Addr;

    use if_addrs::{IfAddr, Ifv4Addr};

    use super::*;

    fn interface(name: &str, ip: [u8; 4], is_p2p: bool) -> Interface {
        let ip = Ipv4Addr::from(ip);
        Interface {
            name: name.to_owned(),
            addr: IfAddr::V4(Ifv4Addr { ip, netmask: Ipv4Addr::BROADCAST, prefixlen: 24, broadcast: None }),
            index: None,
            oper_status: IfOperStatus::Up,
            is_p2p,
        }
    }

    fn hints(interfaces: &[Interface], mdns: &Mdns, neighbours: usize, dialled: &[(&str, &str)]) -> String {
        let mut record = Dialled::default();
        for (address, outcome) in dialled {
            record.record(&address.parse().unwrap(), outcome);
        }
        let listening = vec!["/ip4/192.168.1.7/tcp/4001".to_owned()];
        let running = Duration::from_secs(10);
        let facts = Facts { interfaces, listening, mdns, neighbours, connected: 0, dialled: record.list(), running };
        diagnose(facts).hints.join("\n")
    }

    #[test]
    fn each_obstacle_has_its_hint() {
        let loopback = interface("lo", [127, 0, 0, 1], false);
        let wifi = interface("wlan0", [192, 168, 1, 7], false);
        let tunnel = interface("tun0", [10, 8, 0, 2], true);
        assert!(hints(&[loopback.clone()], &Mdns::On, 0, &[]).starts_with("No network interface is up but loopback"));
        assert!(hints(&[loopback.clone(), tunnel], &Mdns::On, 0, &[]).contains("by multicast"));
        let both = [loopback, wifi];
        assert!(hints(&both, &Mdns::On, 0, &[]).contains("UDP port 5353"));
        assert_eq!(hints(&both, &Mdns::On, 1, &[]), "");
        assert!(hints(&both, &Mdns::Off, 0, &[]).contains("switched off"));
        assert!(hints(&both, &Mdns::Failed("permission denied".into()), 0, &[]).contains("permission denied"));
        assert!(hints(&both, &Mdns::On, 1, &[("/ip4/10.0.0.1/tcp/9", NO_ANSWER)]).contains("did not answer"));
        assert!(hints(&both, &Mdns::On, 1, &[("/ip4/10.0.0.1/tcp/9", REFUSED)]).contains("may not run there"));
    }

    #[test]
    fn an_attempt_is_listed_once_and_the_list_is_bounded() {
        let mut dialled = Dialled::default();
        for port in 1..100_u16 {
            for outcome in [NO_ANSWER, CONNECTED] {
                dialled.record(&format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap(), outcome);
            }
        }
        let list = dialled.list();
        assert_eq!(list.len(), DIALLED);
        assert_eq!(list.last().unwrap(), &DialView { address: "/ip4/10.0.0.1/tcp/99".into(), outcome: CONNECTED.into() });
        assert!(list.iter().all(|dial| dial.outcome == CONNECTED));
    }

    #[test]
    fn an_attempt_under_way_is_listed_until_something_is_known() {
        let mut dialled = Dialled::default();
        let addresses: Vec<Multiaddr> = [1, 2].map(|port| format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()).to_vec();
        addresses.iter().for_each(|address| dialled.begin(address));
        assert!(dialled.list().iter().all(|dial| dial.outcome == UNDER_WAY));
        dialled.record(&addresses[0], NO_ANSWER);
        addresses.iter().for_each(|address| dialled.begin(address));
        addresses.iter().for_each(|address| dialled.give_up(address));
        assert_eq!(dialled.list().len(), 1);
        assert_eq!(dialled.list()[0].outcome, NO_ANSWER);
    }

    #[test]
    fn outcomes_name_the_cause_behind_wrapped_errors() {
        let wrapped = |kind: io::ErrorKind| TransportError::Other(io::Error::other(io::Error::other(io::Error::from(kind))));
        assert_eq!(outcome(&wrapped(io::ErrorKind::ConnectionRefused)), REFUSED);
        assert_eq!(outcome(&wrapped(io::ErrorKind::TimedOut)), NO_ANSWER);
        assert_eq!(outcome(&wrapped(io::ErrorKind::NetworkUnreachable)), UNREACHABLE);
        assert_eq!(outcome(&TransportError::Other(io::Error::other("handshake timed out"))), NO_ANSWER);
        assert_eq!(outcome(&wrapped(io::ErrorKind::InvalidData)), NOT_CONCLAVE);
    }
}
