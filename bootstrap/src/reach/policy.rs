//! Which addresses the relays may send to: none that only this machine or its network reaches. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    ip: IpAddr,
    bits: u8,
}

/// Reads `10.1.0.0/16`.
pub(crate) fn parse_prefix(text: &str) -> Option<Prefix> {
    let (ip, bits) = text.split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some(Prefix { ip, bits })
}

impl Prefix {
    fn contains(&self, ip: IpAddr) -> bool {
        let shifted = |bits: u128, width: u8| bits.checked_shr(u32::from(width - self.bits)).unwrap_or(0);
        match (self.ip, ip) {
            (IpAddr::V4(mine), IpAddr::V4(ip)) => shifted(u32::from(mine).into(), 32) == shifted(u32::from(ip).into(), 32),
            (IpAddr::V6(mine), IpAddr::V6(ip)) => shifted(mine.into(), 128) == shifted(ip.into(), 128),
            _ => false,
        }
    }
}

/// What an address stands for: the IPv4 address inside a mapped, compatible, 6to4 or NAT64 one, or itself. First of all, for these are
/// how refused addresses were smuggled past such lists (CVE-2020-26262, CVE-2026-27624).
pub(crate) fn unmapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let inner = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        // ::/96 (deprecated, but stacks still read it) and ::ffff:0:0/96; :: and ::1 are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => inner(high, low),
        [0, 0, 0, 0, 0, 0xffff, high, low] => inner(high, low),
        // ::ffff:0:a.b.c.d (RFC 2765)
        [0, 0, 0, 0, 0xffff, 0, high, low] => inner(high, low),
        // NAT64, 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052, RFC 8215)
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => inner(high, low),
        // 6to4 (RFC 3056)
        [0x2002, high, low, ..] => inner(high, low),
        _ => IpAddr::V6(v6),
    }
}

/// Whether a relay may send there. `lan`: private ranges that who runs the node has named.
pub(crate) fn may_reach(ip: IpAddr, lan: &[Prefix]) -> bool {
    let ip = unmapped(ip);
    is_public(ip) || (!is_never(ip) && lan.iter().any(|prefix| prefix.contains(ip)))
}

/// Addresses that no list can allow: they are this machine, or nobody in particular.
fn is_never(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The network that an address is counted with: one who has an address of it has, as a rule, all of it. An IPv4 /24, an IPv6 /48.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match unmapped(ip) {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) & 0xffff_ff00)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & (u128::MAX << 80))),
    }
}

/// Whether everybody reaches the address (the special registries of RFC 6890).
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match unmapped(ip) {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19)) || a == 0 || a >= 224;
            let documents = matches!((a, b, c), (192, 0, 2) | (198, 51, 100) | (203, 0, 113));
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared || special || documents)
        }
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    // Global unicast is 2000::/3, without Teredo, ORCHID and documentation.
    (0x2000..0x4000).contains(&first) && !(first == 0x2001 && (second < 0x200 || second == 0xdb8)) && first != 0x3fff
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NONE: [&str; 28] = [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "192.0.0.170",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
    ];

    #[test]
    fn what_is_not_everybodys_is_not_reached() {
        for text in NONE {
            assert!(!may_reach(text.parse().unwrap(), &[]), "{text}");
        }
        for text in ["1.1.1.1", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8", "2002:808:808::"] {
            assert!(may_reach(text.parse().unwrap(), &[]), "{text}");
        }
    }

    #[test]
    fn a_named_lan_is_reached_and_nothing_of_this_machine() {
        let lan =
            [parse_prefix("10.1.0.0/16").unwrap(), parse_prefix("127.0.0.0/8").unwrap(), parse_prefix("fd00:1::/32").unwrap()];
        let reached = |text: &str| may_reach(text.parse().unwrap(), &lan);
        assert!(reached("10.1.9.9") && reached("::ffff:10.1.0.1") && reached("fd00:1::7"));
        assert!(!reached("10.2.0.1") && !reached("127.0.0.1") && !reached("fd00:2::1"));
        let everything = [parse_prefix("0.0.0.0/0").unwrap(), parse_prefix("::/0").unwrap()];
        assert!(!may_reach("::1".parse().unwrap(), &everything) && !may_reach("127.0.0.1".parse().unwrap(), &everything));
        assert!(may_reach("192.168.0.1".parse().unwrap(), &everything));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/", "::/129"] {
            assert!(parse_prefix(bad).is_none(), "{bad}");
        }
    }
}
