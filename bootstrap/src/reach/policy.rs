//! Addresses that hide another one. Pure.

use std::net::{IpAddr, Ipv4Addr};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_inside_another_is_what_counts() {
        let inner: IpAddr = "127.0.0.1".parse().unwrap();
        for text in
            ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "::ffff:0:7f00:1"]
        {
            assert_eq!(unmapped(text.parse().unwrap()), inner, "{text}");
        }
        for text in ["::1", "::", "2606:4700::1", "127.0.0.1"] {
            assert_eq!(unmapped(text.parse().unwrap()), text.parse::<IpAddr>().unwrap(), "{text}");
        }
    }
}
