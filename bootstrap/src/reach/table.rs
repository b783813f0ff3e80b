//! What the distributed hash table holds of members: their signed addresses, one record a device under its own key, and in the routing
//! table only so many of one network. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use libp2p::core::{PeerRecord, SignedEnvelope};
use libp2p::{Multiaddr, PeerId};

use super::policy::network;

/// Largest value of a record, in bytes.
pub(super) const MAX_RECORD: usize = 2_048;
/// Addresses of one record.
const MAX_ADDRESSES: usize = 16;
/// Devices of one network (an IPv4 /24, an IPv6 /48) in the routing table: whoever owns a network is not the whole table.
const PER_NETWORK: usize = 8;

/// Why a record is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the record is too large")]
    TooLarge,
    #[error("the record cannot be read, or its signature does not verify")]
    Forged,
    #[error("the record is another device's")]
    Foreign,
    #[error("a newer record is known")]
    Old,
}

/// Reads and checks a value: the device's own signed peer record (the libp2p standard form), under its PeerId as the key, brought by the
/// device itself, and not older than what is `known`. Gives its sequence number.
pub(super) fn check_record(source: PeerId, key: &[u8], value: &[u8], known: Option<&[u8]>) -> Result<u64, RecordError> {
    if value.len() > MAX_RECORD {
        return Err(RecordError::TooLarge);
    }
    let record = read(value).ok_or(RecordError::Forged)?;
    if record.addresses().len() > MAX_ADDRESSES {
        return Err(RecordError::TooLarge);
    }
    if record.peer_id() != source || key != source.to_bytes() {
        return Err(RecordError::Foreign);
    }
    match known.and_then(read) {
        Some(known) if known.seq() > record.seq() => Err(RecordError::Old),
        _ => Ok(record.seq()),
    }
}

fn read(value: &[u8]) -> Option<PeerRecord> {
    PeerRecord::from_signed_envelope_interop(SignedEnvelope::from_protobuf_encoding(value).ok()?).ok()
}

/// Who is in the routing table, by network.
#[derive(Debug, Default)]
pub(super) struct Networks {
    of: BTreeMap<PeerId, IpAddr>,
    count: BTreeMap<IpAddr, usize>,
}

impl Networks {
    /// Whether a device at this address may be in the table; it is from here on.
    pub(super) fn try_insert(&mut self, peer: PeerId, ip: IpAddr) -> bool {
        let network = network(ip);
        if self.of.get(&peer) == Some(&network) {
            return true;
        }
        let room = self.count.get(&network).copied().unwrap_or(0) < PER_NETWORK;
        if room {
            self.remove(&peer);
            self.of.insert(peer, network);
            *self.count.entry(network).or_default() += 1;
        }
        room
    }

    pub(super) fn remove(&mut self, peer: &PeerId) {
        if let Some(network) = self.of.remove(peer)
            && let Some(count) = self.count.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.count.remove(&network);
            }
        }
    }
}

/// Of what a device claims, the addresses that it may be given out with: those at the very address that it is connected from. So nobody
/// else's address, and no private one from afar, comes into the table.
pub(super) fn own_addresses(claimed: &[Multiaddr], from: IpAddr) -> Vec<Multiaddr> {
    let own = |address: &&Multiaddr| {
        super::dials::ip_of(address) == Some(from) && !address.iter().any(|part| part == libp2p::multiaddr::Protocol::P2pCircuit)
    };
    claimed.iter().filter(own).take(MAX_ADDRESSES).cloned().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use libp2p::identity::Keypair;

    use super::*;

    fn record(key: &Keypair, addresses: usize) -> Vec<u8> {
        let addresses = (0..addresses).map(|n| format!("/ip4/192.0.2.1/tcp/{n}").parse().unwrap()).collect();
        PeerRecord::new_interop(key, addresses).unwrap().into_signed_envelope().into_protobuf_encoding()
    }

    #[test]
    fn a_record_is_its_devices_own_or_nobodys() {
        let (ada, eve) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let (a, e) = (ada.public().to_peer_id(), eve.public().to_peer_id());
        let good = record(&ada, 2);
        let check = |source: PeerId, key: PeerId, value: &[u8]| check_record(source, &key.to_bytes(), value, None);
        assert!(check(a, a, &good).is_ok());
        assert_eq!(check(e, e, &good), Err(RecordError::Foreign), "another's, under one's own key");
        assert_eq!(check(e, a, &good), Err(RecordError::Foreign), "another's, replayed");
        assert_eq!(check(e, a, &record(&eve, 1)), Err(RecordError::Foreign), "one's own, under another's key");
        let mut forged = good.clone();
        let last = forged.last_mut().unwrap();
        *last ^= 1;
        assert_eq!(check(a, a, &forged), Err(RecordError::Forged));
        assert_eq!(check(a, a, b""), Err(RecordError::Forged));
        assert_eq!(check(a, a, &[0; MAX_RECORD + 1]), Err(RecordError::TooLarge));
        assert_eq!(check(a, a, &record(&ada, MAX_ADDRESSES + 1)), Err(RecordError::TooLarge));
    }

    #[test]
    fn addresses_of_before_do_not_come_back() {
        let ada = Keypair::generate_ed25519();
        let peer = ada.public().to_peer_id();
        let old = record(&ada, 1);
        let wait = || std::iter::from_fn(|| Some(record(&ada, 2)));
        let seq = |value: &[u8]| check_record(peer, &peer.to_bytes(), value, None).unwrap();
        // Sequence numbers are seconds: the next one is made until it is later.
        let new = wait().find(|new| seq(new) > seq(&old)).unwrap();
        assert_eq!(check_record(peer, &peer.to_bytes(), &old, Some(&new)), Err(RecordError::Old));
        assert!(check_record(peer, &peer.to_bytes(), &new, Some(&old)).is_ok());
        assert!(check_record(peer, &peer.to_bytes(), &new, Some(&new)).is_ok(), "said again");
    }

    #[test]
    fn one_network_is_not_the_table() {
        let mut networks = Networks::default();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let sybils: Vec<PeerId> = (0..40).map(|_| PeerId::random()).collect();
        let taken: Vec<_> = sybils.iter().filter(|peer| networks.try_insert(**peer, at("203.0.113.9"))).collect();
        assert_eq!(taken.len(), PER_NETWORK);
        assert!(networks.try_insert(*taken[0], at("203.0.113.200")), "the same one again");
        let honest = PeerId::random();
        assert!(networks.try_insert(honest, at("198.51.100.1")));
        assert!(!networks.try_insert(honest, at("203.0.113.1")), "no room there, and it stays where it was");
        networks.remove(taken[0]);
        assert!(networks.try_insert(PeerId::random(), at("203.0.113.1")));
        let mut sixes = Networks::default();
        let six = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, n, 0, 0, 0, n]);
        assert_eq!((0..40).filter(|n| sixes.try_insert(PeerId::random(), six(*n))).count(), PER_NETWORK);
    }

    #[test]
    fn nobody_is_given_out_with_an_address_that_is_not_theirs() {
        let claimed: Vec<Multiaddr> = [
            "/ip4/203.0.113.7/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/127.0.0.1/tcp/1",
            "/dns4/x.example/tcp/1",
            "/ip4/203.0.113.7/udp/1/quic-v1",
            "/ip4/203.0.113.8/tcp/1",
            "/ip4/203.0.113.7/tcp/1/p2p-circuit",
            "/ip6/::ffff:203.0.113.7/tcp/2",
        ]
        .map(|text| text.parse().unwrap())
        .into();
        let own = own_addresses(&claimed, "203.0.113.7".parse().unwrap());
        assert_eq!(
            own.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["/ip4/203.0.113.7/tcp/1", "/ip4/203.0.113.7/udp/1/quic-v1", "/ip6/::ffff:203.0.113.7/tcp/2"]
        );
    }
}
