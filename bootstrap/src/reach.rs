//! How members reach each other: discovery and relay over libp2p, and the relay of media. It carries what it cannot read, for members
//! alone.

mod behaviour;
mod budget;
mod dials;
mod discovery;
mod policy;
mod quota;
mod sources;
mod table;
mod turn;

pub(crate) use self::discovery::{Reach, start};
pub(crate) use self::policy::{is_public, parse_prefix};
pub(crate) use self::turn::{TurnServer, fuzz_datagrams as fuzz_turn, fuzz_relayed, start as start_turn};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The password of a TURN user name: base64 of HMAC-SHA1 under the shared secret (draft-uberti-behave-turn-rest, as coturn has it).
pub(crate) fn turn_password(secret: &[u8], username: &str) -> String {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return String::new() };
    mac.update(username.as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_password_is_what_coturn_computes() {
        // echo -n 1700000000:ada | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(turn_password(b"north", "1700000000:ada"), "ndZ88ryT1whVxdkcRLepT9D1MpM=");
    }
}
