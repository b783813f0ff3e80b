//! The machine against any sequence of datagrams: those of strangers, of clients who have a credential, of peers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use md5::{Digest, Md5};

use super::message::{Message, NONCE, REALM, REQUEST, USERNAME, Writer};
use super::server::{Machine, Output, Rules};
use crate::reach::policy::is_public;
use crate::reach::turn_password;

const START_MS: u64 = 1_800_000_000_000;
const ALLOCATIONS: usize = 4;
const EXTERNAL: [u8; 4] = [5, 5, 5, 1];

/// The input is read as steps: a byte of what, a byte of whom, a byte of how many bytes follow, and these.
pub(crate) fn datagrams(data: &[u8]) {
    relayed(data);
}

/// The same; gives how many datagrams went through, either way.
pub(crate) fn relayed(data: &[u8]) -> u64 {
    let external = IpAddr::from(EXTERNAL);
    let mut machine = Machine::new(Rules {
        secret: b"north".to_vec(),
        nonce_key: [7; 32],
        external,
        lan: Vec::new(),
        allocation_ms: 3_600_000,
        allocations: ALLOCATIONS,
        per_user: 2,
        bytes_per_second: 10_000,
        bytes_per_hour: 100_000,
    });
    let (mut now_ms, mut port, mut rest) = (START_MS, 50_000_u16, data);
    let (mut bound, mut through) = (BTreeSet::new(), 0);
    while let [what, whom, length, more @ ..] = rest {
        let (bytes, after) = more.split_at(usize::from(*length).min(more.len()));
        rest = after;
        let client = SocketAddr::from(([8, 8, 8, whom % 6], 4_000 + u16::from(*whom)));
        let output = match what % 5 {
            0 => machine.handle_client(client, bytes, now_ms),
            1 => {
                let request = signed(&machine, client, bytes, now_ms);
                machine.handle_client(client, &request, now_ms)
            }
            2 => machine.handle_peer(client, SocketAddr::from(([9, 9, 9, whom % 4], 9_000)), bytes, now_ms),
            3 => {
                now_ms += u64::from(*whom) * 10_000;
                machine.handle_tick(now_ms);
                None
            }
            _ => {
                let _ = Message::read(bytes);
                None
            }
        };
        let output = match output {
            Some(Output::Bind { client }) => {
                port += 1;
                bound.insert(port);
                machine.handle_bound(client, (whom % 7 > 0).then_some(port))
            }
            output => output,
        };
        assert!(machine.len() <= ALLOCATIONS, "more allocations than there may be");
        match output {
            Some(Output::Relay { to, bytes, .. }) => {
                through += 1;
                let own = to.ip() == external && bound.contains(&to.port());
                assert!(own || (to.ip() != external && is_public(to.ip())), "relayed to {to}");
                assert!(bytes.len() <= data.len());
            }
            Some(Output::Reply { .. }) if what % 5 == 2 => through += 1,
            // At most an error with a realm and a nonce, or an address: nothing that a spoofed sender could make use of.
            Some(Output::Reply { bytes: reply, .. }) => {
                assert!(reply.len() <= bytes.len() + 160, "{} for {}", reply.len(), bytes.len())
            }
            _ => {}
        }
    }
    through
}

/// A request of the method and with the attributes that the input says, by somebody who has a credential.
fn signed(machine: &Machine, client: SocketAddr, bytes: &[u8], now_ms: u64) -> Vec<u8> {
    let username = format!("{}:user{}", START_MS / 1000 + 600, client.port() % 3);
    let password = turn_password(b"north", &username);
    let key: [u8; 16] = Md5::digest(format!("{username}:conclave:{password}")).into();
    let nonce = machine.nonce_of(client, now_ms);
    let (method, mut rest) = bytes.split_first().map_or((0, bytes), |(method, rest)| (u16::from(method % 12), rest));
    let mut writer = Writer::new(method, REQUEST, [bytes.len() as u8; 12]);
    writer = writer.put(USERNAME, username.as_bytes()).put(REALM, b"conclave").put(NONCE, nonce.as_bytes());
    while let [kind, length, more @ ..] = rest {
        let (value, after) = more.split_at(usize::from(length % 24).min(more.len()));
        rest = after;
        writer = writer.put(u16::from(*kind), value);
    }
    writer.finish(Some(&key))
}
