//! STUN messages (RFC 8489) as far as TURN over UDP needs them: read without copying, written with their integrity. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const COOKIE: u32 = 0x2112_A442;
pub(super) const HEADER: usize = 20;

pub(super) const BINDING: u16 = 0x001;
pub(super) const ALLOCATE: u16 = 0x003;
pub(super) const REFRESH: u16 = 0x004;
pub(super) const SEND: u16 = 0x006;
pub(super) const DATA: u16 = 0x007;
pub(super) const CREATE_PERMISSION: u16 = 0x008;
pub(super) const CHANNEL_BIND: u16 = 0x009;

pub(super) const REQUEST: u16 = 0x000;
pub(super) const INDICATION: u16 = 0x010;
pub(super) const SUCCESS: u16 = 0x100;
pub(super) const ERROR: u16 = 0x110;
const CLASS: u16 = 0x110;

pub(super) const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
pub(super) const CHANNEL_NUMBER: u16 = 0x000C;
pub(super) const LIFETIME: u16 = 0x000D;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(super) const DATA_ATTRIBUTE: u16 = 0x0013;
pub(super) const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;
pub(super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub(super) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
pub(super) const REQUESTED_TRANSPORT: u16 = 0x0019;
pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    kind: u16,
    pub(super) transaction: [u8; 12],
}

impl<'a> Message<'a> {
    /// `None` for what is no STUN message.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let kind = two(bytes, 0)?;
        let length = usize::from(two(bytes, 2)?);
        let well = kind & 0xC000 == 0 && length % 4 == 0 && bytes.len() == HEADER + length;
        (well && bytes.get(4..8)? == COOKIE.to_be_bytes()).then_some(Self {
            bytes,
            kind,
            transaction: bytes.get(8..20)?.try_into().ok()?,
        })
    }

    pub(super) fn class(&self) -> u16 {
        self.kind & CLASS
    }

    pub(super) fn method(&self) -> u16 {
        self.kind & !CLASS
    }

    /// Each attribute with where it begins. What is cut off ends the list.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8], usize)> {
        let (bytes, mut at) = (self.bytes, HEADER);
        std::iter::from_fn(move || {
            let kind = two(bytes, at)?;
            let length = usize::from(two(bytes, at + 2)?);
            let value = bytes.get(at + 4..at + 4 + length)?;
            let began = at;
            at += 4 + length.next_multiple_of(4);
            Some((kind, value, began))
        })
    }

    /// The first attribute of this kind that the integrity covers.
    pub(super) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .take_while(|(found, ..)| *found != MESSAGE_INTEGRITY)
            .find(|(found, ..)| *found == kind)
            .map(|(_, value, _)| value)
    }

    pub(super) fn text(&self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.get(kind)?).ok()
    }

    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(super) fn address(&self, kind: u16) -> Option<SocketAddr> {
        self.unmask(self.get(kind)?)
    }

    /// Every peer address; `None` where one cannot be read.
    pub(super) fn peers(&self) -> Option<Vec<SocketAddr>> {
        let covered = self.attributes().take_while(|(kind, ..)| *kind != MESSAGE_INTEGRITY);
        covered.filter(|(kind, ..)| *kind == XOR_PEER_ADDRESS).map(|(_, value, _)| self.unmask(value)).collect()
    }

    pub(super) fn has_integrity(&self) -> bool {
        self.attributes().any(|(kind, ..)| kind == MESSAGE_INTEGRITY)
    }

    /// Whether the message was made with this key (RFC 8489, 14.5).
    pub(super) fn is_by(&self, key: &[u8]) -> bool {
        let Some((_, sum, at)) = self.attributes().find(|(kind, ..)| *kind == MESSAGE_INTEGRITY) else { return false };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return false };
        let Some(before) = self.bytes.get(..at) else { return false };
        let Ok(length) = u16::try_from(at + 24 - HEADER) else { return false };
        let (head, rest) = before.split_at(4);
        mac.update(head.get(..2).unwrap_or_default());
        mac.update(&length.to_be_bytes());
        mac.update(rest);
        mac.verify_slice(sum).is_ok()
    }

    fn unmask(&self, value: &[u8]) -> Option<SocketAddr> {
        let port = two(value, 2)? ^ (COOKIE >> 16) as u16;
        let ip = match (value.get(1)?, value.len()) {
            (1, 8) => IpAddr::V4(Ipv4Addr::from(u32::from_be_bytes(value.get(4..8)?.try_into().ok()?) ^ COOKIE)),
            (2, 20) => {
                let mut octets: [u8; 16] = value.get(4..20)?.try_into().ok()?;
                octets.iter_mut().zip(mask(&self.transaction)).for_each(|(octet, mask)| *octet ^= mask);
                IpAddr::V6(Ipv6Addr::from(octets))
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

fn mask(transaction: &[u8; 12]) -> impl Iterator<Item = u8> {
    COOKIE.to_be_bytes().into_iter().chain(*transaction)
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A message that is being written.
pub(super) struct Writer {
    bytes: Vec<u8>,
    transaction: [u8; 12],
}

impl Writer {
    pub(super) fn new(method: u16, class: u16, transaction: [u8; 12]) -> Self {
        let mut bytes = (method | class).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE.to_be_bytes());
        bytes.extend_from_slice(&transaction);
        Self { bytes, transaction }
    }

    #[cfg(test)]
    pub(super) fn transaction(&self) -> [u8; 12] {
        self.transaction
    }

    pub(super) fn put(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let length = (self.bytes.len() - HEADER) as u16;
        if let Some(place) = self.bytes.get_mut(2..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self
    }

    pub(super) fn address(self, kind: u16, address: SocketAddr) -> Self {
        let port = (address.port() ^ (COOKIE >> 16) as u16).to_be_bytes();
        let masked: Vec<u8> = match address.ip().to_canonical() {
            IpAddr::V4(ip) => [[0, 1].as_slice(), &port, &(u32::from(ip) ^ COOKIE).to_be_bytes()].concat(),
            IpAddr::V6(ip) => {
                let octets: Vec<u8> = ip.octets().iter().zip(mask(&self.transaction)).map(|(octet, mask)| octet ^ mask).collect();
                [[0, 2].as_slice(), &port, &octets].concat()
            }
        };
        self.put(kind, &masked)
    }

    pub(super) fn error(self, code: u16, reason: &str) -> Self {
        let value = [&[0, 0, (code / 100) as u8, (code % 100) as u8], reason.as_bytes()].concat();
        self.put(ERROR_CODE, &value)
    }

    /// The bytes, with integrity where there is a key.
    pub(super) fn finish(mut self, key: Option<&[u8]>) -> Vec<u8> {
        if let Some(mut mac) = key.and_then(|key| Hmac::<Sha1>::new_from_slice(key).ok()) {
            // The length that is summed includes the integrity itself.
            let (before, with) = (self.bytes.len(), self.put(MESSAGE_INTEGRITY, &[0; 20]));
            mac.update(with.bytes.get(..before).unwrap_or_default());
            let sum = mac.finalize().into_bytes();
            self = with;
            if let Some(place) = self.bytes.get_mut(before + 4..) {
                place.copy_from_slice(&sum);
            }
        }
        let (before, mut with) = (self.bytes.len(), self.put(FINGERPRINT, &[0; 4]));
        let sum = crc32(with.bytes.get(..before).unwrap_or_default()) ^ 0x5354_554E;
        if let Some(place) = with.bytes.get_mut(before + 4..) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
        with.bytes
    }
}

/// The remainders of every byte, for CRC-32 (ISO 3309): fingerprints are over relayed data too.
#[allow(clippy::indexing_slicing, reason = "a constant: an index past its end would not compile")]
const REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let place = usize::from((sum as u8) ^ byte);
        (sum >> 8) ^ REMAINDERS.get(place).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_request_of_rfc_5769_verifies() {
        let bytes = data_encoding::HEXLOWER.decode(
            b"000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36000600\
              096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
                .iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect::<Vec<u8>>().as_slice(),
        ).unwrap();
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.method(), message.class(), message.text(USERNAME)), (BINDING, REQUEST, Some("evtj:h6vY")));
        assert!(message.is_by(b"VOkJxbRl1RmTxUk/WvJxBt") && !message.is_by(b"VOkJxbRl1RmTxUk/WvJxBT"));
        assert_eq!(crc32(&bytes[..bytes.len() - 8]) ^ 0x5354_554E, 0xe57a_3bcf);
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        for address in ["192.0.2.1:32853", "[2001:db8::7]:9"] {
            let address: SocketAddr = address.parse().unwrap();
            let bytes = Writer::new(ALLOCATE, SUCCESS, [7; 12])
                .address(XOR_RELAYED_ADDRESS, address)
                .put(LIFETIME, &[0, 0, 2, 88])
                .finish(Some(b"key"));
            let message = Message::read(&bytes).unwrap();
            assert_eq!((message.address(XOR_RELAYED_ADDRESS), message.number(LIFETIME)), (Some(address), Some(600)));
            assert!(message.is_by(b"key") && !message.is_by(b"kez"));
            for at in 0..bytes.len() {
                assert!(Message::read(&bytes[..at]).is_none());
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                // Reading never fails in another way than by saying no.
                if let Some(message) = Message::read(&changed) {
                    let _ = (message.peers(), message.address(XOR_RELAYED_ADDRESS), message.is_by(b"key"));
                }
            }
        }
    }
}
