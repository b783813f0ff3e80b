//! Addresses: what a person types, what a peer claims, and what is worth dialling. Nothing here resolves a name or dials.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use conclave_protocol::id::DeviceId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::TransportName;
use crate::view::PathView;

/// Longest address taken from a person or a peer, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 256;

/// The prefix of an Ed25519 peer id: an identity multihash (code 0, 36 bytes) of the protobuf key {type 1, 32 bytes}.
const ED25519_PEER_ID: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("`{0}` is not an address: write ip:port, an ip, or a multiaddr such as /ip4/192.0.2.7/tcp/4001")]
    Unreadable(String),
    #[error("`{0}` names no port")]
    NoPort(String),
    #[error("`{0}` is not reachable over QUIC or TCP: end it with /udp/PORT/quic-v1 or /tcp/PORT")]
    Transport(String),
    #[error("`{0}` names a host: listening needs an ip address")]
    Name(String),
}

/// The addresses to listen on for one `--listen`: over QUIC and TCP, except where a multiaddr names one of them.
///
/// # Errors
/// Where the text is none of `ip:port`, `ip`, `localhost[:port]` or a multiaddr of QUIC or TCP on an ip address.
pub fn parse_listen(text: &str) -> Result<Vec<Multiaddr>, AddressError> {
    let text = bounded(text)?;
    if text.starts_with('/') {
        let address = parse_multiaddr(text)?;
        if !matches!(address.iter().next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_))) {
            return Err(AddressError::Name(text.to_owned()));
        }
        return Ok(vec![address]);
    }
    let socket = if let Ok(socket) = text.parse::<SocketAddr>() {
        socket
    } else if let Ok(ip) = text.parse::<IpAddr>() {
        SocketAddr::new(ip, 0)
    } else if let Some(rest) = text.strip_prefix("localhost") {
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => 0,
            Some(port) => port.parse().map_err(|_| AddressError::Unreadable(text.to_owned()))?,
            None => return Err(AddressError::Name(text.to_owned())),
        };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    } else if split_host_port(text).is_some() {
        return Err(AddressError::Name(text.to_owned()));
    } else {
        return Err(AddressError::Unreadable(text.to_owned()));
    };
    Ok(both_transports(Multiaddr::from(socket.ip()), socket.port()))
}

/// Where a device may be reached, for one text: `host:port` (over QUIC and TCP) or a multiaddr, which may end in `/p2p/…`.
///
/// # Errors
/// Where the text is neither, or has no port.
pub fn parse_dial(text: &str) -> Result<Vec<Multiaddr>, AddressError> {
    let text = bounded(text)?;
    if text.starts_with('/') {
        let address = parse_multiaddr(text)?;
        return if port(&address) == Some(0) { Err(AddressError::NoPort(text.to_owned())) } else { Ok(vec![address]) };
    }
    let (host, port) = if let Ok(socket) = text.parse::<SocketAddr>() {
        (Multiaddr::from(socket.ip()), socket.port())
    } else if text.parse::<IpAddr>().is_ok() {
        return Err(AddressError::NoPort(text.to_owned()));
    } else if let Some((host, port)) = split_host_port(text) {
        (Multiaddr::empty().with(Protocol::Dns(host.to_owned().into())), port)
    } else {
        return Err(AddressError::Unreadable(text.to_owned()));
    };
    if port == 0 {
        return Err(AddressError::NoPort(text.to_owned()));
    }
    Ok(both_transports(host, port))
}

/// Every interface, over QUIC and TCP, on ports that the system chooses. The second half is IPv6, which a system may lack.
pub(crate) fn everywhere() -> (Vec<Multiaddr>, Vec<Multiaddr>) {
    (
        both_transports(Multiaddr::from(Ipv4Addr::UNSPECIFIED), 0),
        both_transports(Multiaddr::from(std::net::Ipv6Addr::UNSPECIFIED), 0),
    )
}

/// The device behind a peer id; only Ed25519 keys name one.
pub fn device_of(peer: &PeerId) -> Option<DeviceId> {
    DeviceId::from_slice(peer.to_bytes().strip_prefix(&ED25519_PEER_ID)?)
}

/// The peer id of a device; `None` where the bytes are no point of the curve, and so nobody's key.
pub fn peer_of(device: &DeviceId) -> Option<PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(device.as_bytes()).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// Takes the trailing `/p2p/…` off, and gives the device that it names.
pub fn split_device(mut address: Multiaddr) -> (Multiaddr, Option<DeviceId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, device_of(&peer))
        }
        _ => (address, None),
    }
}

/// The transport of an address, where it is one of ours.
pub fn transport_of(address: &Multiaddr) -> Option<TransportName> {
    if let Some(at) = address.iter().position(|part| part == Protocol::P2pCircuit) {
        // A relay that is named, and nothing behind the circuit but whom it leads to.
        let named = matches!(address.iter().nth(at.checked_sub(1)?), Some(Protocol::P2p(_)));
        let behind: Vec<_> = address.iter().skip(at + 1).collect();
        let direct: Multiaddr = address.iter().take(at).collect();
        let ends = matches!(behind.as_slice(), [] | [Protocol::P2p(_)]);
        return (named && ends && transport_of(&direct).is_some()).then_some(TransportName::Relay);
    }
    let mut parts = address.iter();
    parts.next()?;
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(_), None | Some(Protocol::P2p(_))) => Some(TransportName::Tcp),
        (Protocol::Udp(_), Some(Protocol::QuicV1)) => match parts.next() {
            None | Some(Protocol::P2p(_)) => Some(TransportName::Quic),
            Some(_) => None,
        },
        _ => None,
    }
}

/// The relay that an address goes through.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let at = address.iter().position(|part| part == Protocol::P2pCircuit)?;
    match address.iter().nth(at.checked_sub(1)?)? {
        Protocol::P2p(relay) => Some(relay),
        _ => None,
    }
}

/// By which way the device at the other end of a connection is reached.
pub(crate) fn way_to(address: &Multiaddr) -> Option<PathView> {
    match transport_of(address) {
        Some(TransportName::Relay) => Some(PathView::Relay),
        _ => ip(address).map(PathView::to),
    }
}

/// Whether an address that a peer claims, or that mDNS shows, is worth an attempt. `local`: the claim came over this machine's
/// own loopback, where loopback addresses mean something.
pub(crate) fn worth_dialling(address: &Multiaddr, local: bool) -> bool {
    if address.len() > MAX_ADDRESS_BYTES || transport_of(address).is_none() || matches!(port(address), None | Some(0)) {
        return false;
    }
    match ip(address) {
        Some(ip) if ip.is_loopback() => local,
        Some(IpAddr::V4(ip)) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        // A link-local IPv6 address says nothing without its zone, which a multiaddr of TCP or QUIC does not carry.
        Some(IpAddr::V6(ip)) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
        None => false,
    }
}

/// The socket address of a TCP address on a port of its own choice.
pub(crate) fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let port = port(address).filter(|port| *port != 0)?;
    (transport_of(address) == Some(TransportName::Tcp)).then_some(SocketAddr::new(ip(address)?, port))
}

/// The ip address at the front.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The host name at the front, and whether IPv4 and IPv6 answers are wanted.
pub(crate) fn host_name(address: &Multiaddr) -> Option<(String, bool, bool)> {
    match address.iter().next()? {
        Protocol::Dns(name) => Some((name.into_owned(), true, true)),
        Protocol::Dns4(name) => Some((name.into_owned(), true, false)),
        Protocol::Dns6(name) => Some((name.into_owned(), false, true)),
        _ => None,
    }
}

/// The same address with `ip` in front.
pub(crate) fn with_ip(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    address.iter().skip(1).fold(Multiaddr::from(ip), |made, part| made.with(part))
}

fn port(address: &Multiaddr) -> Option<u16> {
    match address.iter().nth(1)? {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    }
}

fn bounded(text: &str) -> Result<&str, AddressError> {
    let text = text.trim();
    if text.len() <= MAX_ADDRESS_BYTES {
        Ok(text)
    } else {
        Err(AddressError::Unreadable(text.chars().take(40).chain(['…']).collect()))
    }
}

fn parse_multiaddr(text: &str) -> Result<Multiaddr, AddressError> {
    let address: Multiaddr = text.parse().map_err(|_| AddressError::Unreadable(text.to_owned()))?;
    if transport_of(&address).is_some() { Ok(address) } else { Err(AddressError::Transport(text.to_owned())) }
}

fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    (!host.is_empty() && host.chars().all(plain)).then_some((host, port.parse().ok()?))
}

fn both_transports(host: Multiaddr, port: u16) -> Vec<Multiaddr> {
    vec![host.clone().with(Protocol::Udp(port)).with(Protocol::QuicV1), host.with(Protocol::Tcp(port))]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn texts(addresses: &[Multiaddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn listen_takes_what_people_write() {
        assert_eq!(
            texts(&parse_listen("127.0.0.1:7000").unwrap()),
            ["/ip4/127.0.0.1/udp/7000/quic-v1", "/ip4/127.0.0.1/tcp/7000"]
        );
        assert_eq!(texts(&parse_listen("[::1]:7000").unwrap()), ["/ip6/::1/udp/7000/quic-v1", "/ip6/::1/tcp/7000"]);
        assert_eq!(texts(&parse_listen(" 10.0.0.1 ").unwrap()), ["/ip4/10.0.0.1/udp/0/quic-v1", "/ip4/10.0.0.1/tcp/0"]);
        assert_eq!(texts(&parse_listen("localhost:9").unwrap()), ["/ip4/127.0.0.1/udp/9/quic-v1", "/ip4/127.0.0.1/tcp/9"]);
        assert_eq!(texts(&parse_listen("/ip4/0.0.0.0/tcp/0").unwrap()), ["/ip4/0.0.0.0/tcp/0"]);
    }

    #[test]
    fn listen_says_what_is_wrong() {
        assert_eq!(parse_listen("example.org:80"), Err(AddressError::Name("example.org:80".into())));
        assert_eq!(parse_listen("/dns/example.org/tcp/80"), Err(AddressError::Name("/dns/example.org/tcp/80".into())));
        assert_eq!(parse_listen("/ip4/1.2.3.4/udp/80"), Err(AddressError::Transport("/ip4/1.2.3.4/udp/80".into())));
        assert_eq!(parse_listen("what"), Err(AddressError::Unreadable("what".into())));
        assert!(parse_listen(&"9".repeat(10_000)).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn dial_takes_hosts_and_multiaddrs_with_a_port() {
        assert_eq!(
            texts(&parse_dial("laptop.local:7000").unwrap()),
            ["/dns/laptop.local/udp/7000/quic-v1", "/dns/laptop.local/tcp/7000"]
        );
        assert_eq!(parse_dial("10.0.0.1"), Err(AddressError::NoPort("10.0.0.1".into())));
        assert_eq!(parse_dial("/ip4/10.0.0.1/tcp/0"), Err(AddressError::NoPort("/ip4/10.0.0.1/tcp/0".into())));
        assert!(parse_dial("::1:").is_err());
        assert!(parse_dial("").is_err());
    }

    #[test]
    fn device_and_peer_id_are_the_same_key() {
        let key = libp2p::identity::Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let device = device_of(&peer).unwrap();
        assert_eq!(device.as_bytes(), &key.public().try_into_ed25519().unwrap().to_bytes());
        assert_eq!(peer_of(&device), Some(peer));
        let (address, named) = split_device(format!("/ip4/10.0.0.1/tcp/9/p2p/{peer}").parse().unwrap());
        assert_eq!((address.to_string().as_str(), named), ("/ip4/10.0.0.1/tcp/9", Some(device)));
    }

    #[test]
    fn junk_of_identify_is_not_dialled() {
        let worth = |text: &str, local| worth_dialling(&text.parse().unwrap(), local);
        assert!(worth("/ip4/192.168.1.7/tcp/4001", false));
        assert!(worth("/ip6/fd00::7/udp/4001/quic-v1", false));
        assert!(worth("/ip4/127.0.0.1/tcp/4001", true));
        for junk in [
            "/ip4/127.0.0.1/tcp/4001",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/192.168.1.7/tcp/0",
            "/ip4/192.168.1.7/udp/4001",
            "/ip4/224.0.0.251/udp/5353/quic-v1",
            "/ip6/fe80::1/tcp/4001",
            "/dns/victim.example/tcp/443",
            "/ip4/192.168.1.7/tcp/4001/ws",
            "/p2p-circuit",
            "/ip4/192.168.1.7/tcp/4001/p2p-circuit",
            "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit",
        ] {
            assert!(!worth(junk, false), "{junk}");
        }
    }

    #[test]
    fn a_circuit_through_a_named_relay_is_dialled() {
        let relay = "/ip4/192.0.2.7/udp/7400/quic-v1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit";
        let address: Multiaddr = relay.parse().unwrap();
        assert_eq!(transport_of(&address), Some(TransportName::Relay));
        assert!(worth_dialling(&address, false) && relay.len() <= 160, "it fits into a link");
        let twice: Multiaddr = format!("{relay}/ip4/192.0.2.8/tcp/1").parse().unwrap();
        assert_eq!(transport_of(&twice), None);
        assert_eq!(tcp_socket(&address), None);
    }

    #[test]
    fn a_name_gives_way_to_its_ip() {
        let address: Multiaddr = "/dns4/laptop.local/udp/7/quic-v1".parse().unwrap();
        assert_eq!(host_name(&address), Some(("laptop.local".into(), true, false)));
        assert_eq!(with_ip(&address, Ipv4Addr::LOCALHOST.into()).to_string(), "/ip4/127.0.0.1/udp/7/quic-v1");
    }
}
