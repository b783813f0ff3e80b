//! The abuse cases of TURN by number, in virtual time: whom the machine answers, where it relays, what it costs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::super::super::policy::parse_prefix;
use super::*;

const NOW: u64 = 1_800_000_000_000;
const EXTERNAL: &str = "5.5.5.1";

const ALLOCATION_MS: u64 = 3_600_000;

fn machine() -> Machine {
    Machine::new(Rules {
        secret: b"north".to_vec(),
        nonce_key: [7; 32],
        external: EXTERNAL.parse().unwrap(),
        lan: vec![parse_prefix("10.9.0.0/16").unwrap()],
        allocation_ms: ALLOCATION_MS,
        allocations: 6,
        per_user: 2,
        bytes_per_second: 10_000,
        bytes_per_hour: 100_000,
    })
}

struct Client {
    at: SocketAddr,
    username: String,
    key: [u8; 16],
}

fn client(at: &str, user: &str, ends_s: u64) -> Client {
    let username = format!("{ends_s}:{user}");
    let password = turn_password(b"north", &username);
    let key = Md5::digest(format!("{username}:conclave:{password}")).into();
    Client { at: at.parse().unwrap(), username, key }
}

fn good(at: &str, user: &str) -> Client {
    client(at, user, NOW / 1000 + 600)
}

impl Client {
    /// Sends a request with this client's credential; gives the error code, or 0.
    fn ask(&self, machine: &mut Machine, method: u16, now: u64, with: impl Fn(Writer) -> Writer) -> u16 {
        let nonce = machine.nonce(self.at, now / NONCE_MS);
        let mut transaction = [0; 12];
        getrandom::fill(&mut transaction).unwrap();
        let writer = Writer::new(method, REQUEST, transaction).put(USERNAME, self.username.as_bytes());
        let writer = with(writer.put(REALM, b"conclave").put(NONCE, nonce.as_bytes()));
        let output = machine.handle_client(self.at, &writer.finish(Some(&self.key)), now).unwrap();
        let output = match output {
            Output::Bind { client } => {
                let port = 50_000 + machine.len() as u16;
                machine.handle_bound(client, Some(port)).unwrap()
            }
            output => output,
        };
        match output {
            Output::Reply { bytes, .. } => code(&bytes),
            Output::Close { .. } => 0,
            output => panic!("{output:?}"),
        }
    }

    fn allocate(&self, machine: &mut Machine) -> u16 {
        self.ask(machine, ALLOCATE, NOW, |writer| writer.put(REQUESTED_TRANSPORT, &[17, 0, 0, 0]))
    }

    fn permit(&self, machine: &mut Machine, peer: &str) -> u16 {
        let peer: SocketAddr = peer.parse().unwrap();
        // Not folded to IPv4 by the writer, as an attacker would send it.
        self.ask(machine, CREATE_PERMISSION, NOW, |writer| raw_address(writer, peer))
    }

    fn send(&self, machine: &mut Machine, peer: &str, bytes: usize, now: u64) -> Option<Output> {
        let writer = Writer::new(SEND, INDICATION, [1; 12]).address(XOR_PEER_ADDRESS, peer.parse().unwrap());
        machine.handle_client(self.at, &writer.put(DATA_ATTRIBUTE, &vec![0; bytes]).finish(None), now)
    }
}

fn raw_address(writer: Writer, peer: SocketAddr) -> Writer {
    let IpAddr::V6(ip) = peer.ip() else { return writer.address(XOR_PEER_ADDRESS, peer) };
    let transaction: Vec<u8> = writer_transaction(&writer);
    let mask = [&0x2112_A442_u32.to_be_bytes()[..], &transaction].concat();
    let octets: Vec<u8> = ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect();
    let value = [&[0, 2][..], &(peer.port() ^ 0x2112).to_be_bytes(), &octets].concat();
    writer.put(XOR_PEER_ADDRESS, &value)
}

fn writer_transaction(writer: &Writer) -> Vec<u8> {
    writer.transaction().to_vec()
}

fn code(bytes: &[u8]) -> u16 {
    let message = Message::read(bytes).unwrap();
    message.get(0x0009).map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
}

#[test]
fn an_honest_client_relays_both_ways() {
    let mut machine = machine();
    let ada = good("5.6.7.8:1000", "ada");
    assert_eq!(ada.allocate(&mut machine), 0);
    assert_eq!(ada.permit(&mut machine, "9.9.9.9:5"), 0);
    let sent = ada.send(&mut machine, "9.9.9.9:5", 100, NOW).unwrap();
    assert_eq!(sent, Output::Relay { client: ada.at, to: "9.9.9.9:5".parse().unwrap(), bytes: vec![0; 100] });
    let back = machine.handle_peer(ada.at, "9.9.9.9:5".parse().unwrap(), b"hello", NOW).unwrap();
    let Output::Reply { to, bytes } = back else { panic!() };
    let message = Message::read(&bytes).unwrap();
    assert_eq!((to, message.method(), message.get(DATA_ATTRIBUTE)), (ada.at, DATA, Some(&b"hello"[..])));
    // By a channel, with four bytes in the place of thirty-six.
    let peer: SocketAddr = "9.9.9.9:5".parse().unwrap();
    let bind = |writer: Writer| writer.put(CHANNEL_NUMBER, &[0x40, 1, 0, 0]).address(XOR_PEER_ADDRESS, peer);
    assert_eq!(ada.ask(&mut machine, CHANNEL_BIND, NOW, bind), 0);
    assert_eq!(
        machine.handle_client(ada.at, b"\x40\x01\x00\x02hi", NOW),
        Some(Output::Relay { client: ada.at, to: peer, bytes: b"hi".to_vec() })
    );
    assert_eq!(
        machine.handle_peer(ada.at, peer, b"yo", NOW),
        Some(Output::Reply { to: ada.at, bytes: b"\x40\x01\x00\x02yo".to_vec() })
    );
    // Nobody whom she did not permit.
    assert_eq!(machine.handle_peer(ada.at, "9.9.9.8:5".parse().unwrap(), b"spam", NOW), None);
    assert_eq!(machine.handle_peer(ada.at, peer, b"late", NOW + PERMISSION_MS), None);
}

#[test]
fn case_29_this_machine_by_any_name_is_refused() {
    let mut machine = machine();
    let ada = good("5.6.7.8:1000", "ada");
    ada.allocate(&mut machine);
    for peer in [
        "127.0.0.1:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "[64:ff9b::7f00:1]:80",
        "[2002:7f00:1::]:80",
    ] {
        assert_eq!(ada.permit(&mut machine, peer), 403, "{peer}");
        assert_eq!(ada.send(&mut machine, peer, 10, NOW), None, "{peer}");
    }
    assert_eq!(ada.permit(&mut machine, "9.9.9.9:5"), 0);
}

#[test]
fn case_30_private_addresses_and_the_node_itself_are_refused_but_for_live_relays() {
    let mut machine = machine();
    let (ada, bob) = (good("5.6.7.8:1000", "ada"), good("5.6.7.9:1000", "bob"));
    ada.allocate(&mut machine);
    for peer in [
        "10.0.0.1:80",
        "192.168.1.1:80",
        "169.254.169.254:80",
        "100.64.0.1:80",
        "[fd00::1]:80",
        "[64:ff9b::a00:1]:80",
        "5.5.5.1:7480",
        "[::ffff:5.5.5.1]:22",
    ] {
        assert_eq!(ada.permit(&mut machine, peer), 403, "{peer}");
    }
    assert_eq!(ada.permit(&mut machine, "10.9.1.1:80"), 0, "a LAN that was named");
    bob.allocate(&mut machine);
    let relayed = machine.allocations[&bob.at].relayed.unwrap().to_string();
    assert_eq!(ada.permit(&mut machine, &relayed), 0, "two who both need a relay");
    bob.ask(&mut machine, REFRESH, NOW, |writer| writer.put(LIFETIME, &[0; 4]));
    assert_eq!(ada.permit(&mut machine, &relayed), 403, "it is gone");
    assert_eq!(ada.send(&mut machine, &relayed, 10, NOW), None);
}

#[test]
fn case_31_allocations_and_bytes_have_an_end() {
    let mut machine = machine();
    let many: Vec<u16> = (0..4).map(|n| good(&format!("5.6.7.8:{}", 1000 + n), "ada").allocate(&mut machine)).collect();
    assert_eq!(many, [0, 0, 486, 486]);
    let more: Vec<u16> = (0..6).map(|n| good(&format!("5.6.8.{n}:1"), &format!("user{n}")).allocate(&mut machine)).collect();
    assert_eq!(more, [0, 0, 0, 0, 508, 508]);
    let ada = good("5.6.7.8:1000", "ada");
    ada.permit(&mut machine, "9.9.9.9:5");
    let through = |machine: &mut Machine, now| (0..100).filter(|_| ada.send(machine, "9.9.9.9:5", 1000, now).is_some()).count();
    assert_eq!(through(&mut machine, NOW), 10, "a second's worth");
    assert_eq!(through(&mut machine, NOW + 500), 5);
    let (mut all, mut now) = (15, NOW + 500);
    for _ in 0..60 {
        now += 1000;
        all += through(&mut machine, now);
    }
    assert_eq!(all, 100, "and an hour's");
    // Another person is not touched by it.
    let bob = good("5.6.8.0:1", "user0");
    bob.permit(&mut machine, "9.9.9.9:5");
    assert!(bob.send(&mut machine, "9.9.9.9:5", 1000, NOW).is_some());
}

#[test]
fn case_32_strangers_are_answered_seldom_and_cost_nothing() {
    let mut machine = machine();
    let binding = Writer::new(BINDING, REQUEST, [1; 12]).finish(None);
    let answered = |machine: &mut Machine, ip: &str, now| {
        let from = format!("{ip}:9").parse().unwrap();
        (0..1000).filter(|_| machine.handle_client(from, &binding, now).is_some()).count()
    };
    assert_eq!(answered(&mut machine, "6.6.6.6", NOW), 40);
    assert_eq!(answered(&mut machine, "6.6.6.6", NOW + 1000), 20);
    assert_eq!(answered(&mut machine, "6.6.6.7", NOW + 1000), 40, "another one is served");
    for n in 0..20_000_u32 {
        let from = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::from(0x0700_0000 + n)), 9);
        machine.handle_client(from, &Writer::new(ALLOCATE, REQUEST, [1; 12]).finish(None), NOW + 1000);
    }
    assert!(machine.strangers.len() <= STRANGERS && machine.allocations.is_empty());
    machine.handle_tick(NOW + 10_000);
    assert!(machine.strangers.is_empty());
}

#[test]
fn a_credential_that_is_over_forged_or_anothers_is_refused() {
    let mut machine = machine();
    let late = client("5.6.7.8:1", "ada", NOW / 1000 - 1);
    assert_eq!(late.allocate(&mut machine), 401);
    let mut forged = good("5.6.7.8:2", "ada");
    forged.key = [0; 16];
    assert_eq!(forged.allocate(&mut machine), 401);
    assert_eq!(client("5.6.7.8:3", "ada", u64::MAX).allocate(&mut machine), 0, "whoever has the secret says how long");
    let ada = good("5.6.7.8:4", "ada");
    ada.allocate(&mut machine);
    let after = NOW + 601_000;
    let refresh =
        |who: &Client, machine: &mut Machine, now| who.ask(machine, REFRESH, now, |writer| writer.put(LIFETIME, &[0, 0, 2, 88]));
    assert_eq!(refresh(&ada, &mut machine, NOW + 500_000), 0);
    assert_eq!(refresh(&ada, &mut machine, after), 401, "past its end nothing is prolonged");
    assert_eq!(
        ada.ask(&mut machine, CREATE_PERMISSION, after, |writer| writer.address(XOR_PEER_ADDRESS, "9.9.9.9:5".parse().unwrap())),
        0
    );
    let thief = good("5.6.7.8:4", "eve");
    assert_eq!(refresh(&thief, &mut machine, NOW), 441);
    let over = machine.handle_tick(NOW + 500_000 + ALLOCATION_MS);
    assert!(over.contains(&ada.at));
}

#[test]
fn whatever_comes_is_survived() {
    let mut machine = machine();
    let from: SocketAddr = "6.6.6.6:6".parse().unwrap();
    let mut seed = 7_u64;
    let mut datagram = Writer::new(ALLOCATE, REQUEST, [1; 12]).put(USERNAME, b"1:a").put(NONCE, b"x").finish(Some(b"key"));
    for round in 0..100_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (seed >> 33) as usize % datagram.len();
        datagram[at] = (seed >> 20) as u8;
        machine.handle_client(from, &datagram[..at], NOW + round);
        machine.handle_client(from, &datagram, NOW + round);
    }
    assert!(machine.allocations.is_empty());
}
