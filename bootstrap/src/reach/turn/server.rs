//! A TURN server (RFC 8656) over UDP as a machine: datagrams and `now` in, [`Output`] out. It holds no socket and reads no clock. Who may
//! have an allocation is what the credential says; where it may send, [`super::super::policy`].

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use md5::{Digest, Md5};

use super::super::policy::{Prefix, is_public, may_reach, unmapped};
use super::super::turn_password;
use super::message::{
    ALLOCATE, BINDING, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, DATA_ATTRIBUTE, ERROR, INDICATION, LIFETIME,
    Message, NONCE, REALM, REFRESH, REQUEST, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, SEND, SUCCESS, USERNAME, Writer,
    XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS,
};

const REALM_TEXT: &str = "conclave";
/// How long an allocation lives without being refreshed. Longer than a credential, so that one outlives it by no more than this.
const PERMISSION_MS: u64 = 300_000;
const CHANNEL_MS: u64 = 600_000;
const NONCE_MS: u64 = 3_600_000;
/// Peers and channels of one allocation; one more is refused (508).
const PEERS: usize = 64;
/// Answers that one address gets in a second without a credential, and how many it may have saved up.
const STRANGERS_PER_SECOND: f64 = 20.0;
const STRANGERS_BURST: f64 = 40.0;
/// Addresses whose answers are counted; when it is full, strangers share one count.
const STRANGERS: usize = 8_192;
const HOUR_MS: u64 = 3_600_000;

/// What the machine is told at its making.
pub(super) struct Rules {
    pub(super) secret: Vec<u8>,
    /// Random, for nonces.
    pub(super) nonce_key: [u8; 32],
    /// Where relayed addresses are.
    pub(super) external: IpAddr,
    pub(super) lan: Vec<Prefix>,
    /// From each refresh on.
    pub(super) allocation_ms: u64,
    pub(super) allocations: usize,
    pub(super) per_user: usize,
    pub(super) bytes_per_second: u64,
    pub(super) bytes_per_hour: u64,
}

/// What the edge is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    Reply {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// Bind a socket for this client, then call [`Machine::handle_bound`].
    Bind {
        client: SocketAddr,
    },
    /// From the client's relayed address.
    Relay {
        client: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Close {
        client: SocketAddr,
    },
}

/// A bucket of tokens.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: u64,
}

impl Bucket {
    fn take(&mut self, amount: f64, per_second: f64, most: f64, now_ms: u64) -> bool {
        self.tokens = (self.tokens + now_ms.saturating_sub(self.at_ms) as f64 * per_second / 1000.0).min(most);
        self.at_ms = now_ms;
        let enough = self.tokens >= amount;
        if enough {
            self.tokens -= amount;
        }
        enough
    }
}

#[derive(Debug)]
struct Allocation {
    username: String,
    user: String,
    key: [u8; 16],
    transaction: [u8; 12],
    /// Unknown until the socket is bound.
    relayed: Option<SocketAddr>,
    ends_ms: u64,
    permissions: BTreeMap<IpAddr, u64>,
    channels: BTreeMap<u16, (SocketAddr, u64)>,
    up: Bucket,
    down: Bucket,
}

/// Counted since it was made.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    pub(super) refused: u64,
    pub(super) dropped: u64,
}

pub(super) struct Machine {
    rules: Rules,
    allocations: BTreeMap<SocketAddr, Allocation>,
    strangers: HashMap<IpAddr, Bucket>,
    crowd: Bucket,
    /// Bytes of each person in the hour that began at this time.
    used: HashMap<String, (u64, u64)>,
    pub(super) counts: Counts,
}

impl Machine {
    pub(super) fn new(rules: Rules) -> Self {
        let crowd = Bucket { tokens: STRANGERS_BURST, at_ms: 0 };
        Self {
            rules,
            allocations: BTreeMap::new(),
            strangers: HashMap::new(),
            crowd,
            used: HashMap::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.allocations.len()
    }

    /// A datagram came to the port that clients speak to.
    pub(super) fn handle_client(&mut self, from: SocketAddr, bytes: &[u8], now_ms: u64) -> Option<Output> {
        if bytes.first().is_some_and(|first| (0x40..0x80).contains(first)) {
            return self.handle_channel_data(from, bytes, now_ms);
        }
        let Some(message) = Message::read(bytes) else {
            self.counts.dropped += 1;
            return None;
        };
        match (message.class(), message.method()) {
            (INDICATION, SEND) => {
                let (to, data) = (message.address(XOR_PEER_ADDRESS)?, message.get(DATA_ATTRIBUTE)?);
                self.relay(from, to, data, now_ms)
            }
            (REQUEST, BINDING) => self.may_answer(from.ip(), now_ms).then(|| {
                let reply = Writer::new(BINDING, SUCCESS, message.transaction).address(XOR_MAPPED_ADDRESS, from).finish(None);
                Output::Reply { to: from, bytes: reply }
            }),
            (REQUEST, ALLOCATE | REFRESH | CREATE_PERMISSION | CHANNEL_BIND) => self.handle_request(from, &message, now_ms),
            _ => {
                self.counts.dropped += 1;
                None
            }
        }
    }

    fn handle_request(&mut self, from: SocketAddr, message: &Message<'_>, now_ms: u64) -> Option<Output> {
        let (username, user, key) = match self.authenticate(from, message, now_ms) {
            Ok(known) => known,
            // Without a credential nobody is answered more often than this.
            Err(_) if !self.may_answer(from.ip(), now_ms) => return None,
            Err(code) => {
                let nonce = self.nonce(from, now_ms / NONCE_MS);
                let writer = Writer::new(message.method(), ERROR, message.transaction).error(code, "");
                let writer = writer.put(REALM, REALM_TEXT.as_bytes()).put(NONCE, nonce.as_bytes());
                return Some(Output::Reply { to: from, bytes: writer.finish(None) });
            }
        };
        let answer = match message.method() {
            ALLOCATE => match self.allocate(from, message, (username, user, key), now_ms) {
                Ok(Some(again)) => Ok(again),
                Ok(None) => return Some(Output::Bind { client: from }),
                Err(code) => Err(code),
            },
            _ if self.allocations.get(&from).is_none_or(|allocation| allocation.relayed.is_none()) => Err(437),
            _ if self.allocations.get(&from).is_some_and(|allocation| allocation.user != user) => Err(441),
            REFRESH => {
                let lifetime = message.number(LIFETIME).unwrap_or(600);
                if lifetime == 0 {
                    self.allocations.remove(&from);
                    // The client knows, and does not wait for the answer.
                    return Some(Output::Close { client: from });
                }
                let allocation = self.allocations.get_mut(&from)?;
                allocation.ends_ms = now_ms + self.rules.allocation_ms;
                (allocation.username, allocation.key) = (username, key);
                Ok(Writer::new(REFRESH, SUCCESS, message.transaction).put(LIFETIME, &seconds(self.rules.allocation_ms)))
            }
            CREATE_PERMISSION => self.permit(from, message, now_ms),
            _ => self.bind_channel(from, message, now_ms),
        };
        let writer = answer.unwrap_or_else(|code| {
            self.counts.refused += 1;
            Writer::new(message.method(), ERROR, message.transaction).error(code, "")
        });
        Some(Output::Reply { to: from, bytes: writer.finish(Some(&key)) })
    }

    /// The user name, the person in it and the key; or 400, 401 and 438 (RFC 8489, 9.2.4). A user name is `expiry:person`: past its end it
    /// begins nothing and prolongs nothing.
    fn authenticate(&self, from: SocketAddr, message: &Message<'_>, now_ms: u64) -> Result<(String, String, [u8; 16]), u16> {
        if !message.has_integrity() {
            return Err(401);
        }
        let (Some(username), Some(nonce)) = (message.text(USERNAME), message.text(NONCE)) else { return Err(400) };
        let (expiry, user) = username.split_once(':').filter(|_| username.len() <= 128).ok_or(401_u16)?;
        let prolongs = matches!(message.method(), ALLOCATE | REFRESH) && message.number(LIFETIME) != Some(0);
        let over = expiry.parse::<u64>().map_err(|_| 401_u16)? < now_ms / 1000;
        if over && (prolongs || !self.allocations.contains_key(&from)) {
            return Err(401);
        }
        let password = turn_password(&self.rules.secret, username);
        let key: [u8; 16] = Md5::digest(format!("{username}:{REALM_TEXT}:{password}")).into();
        if !message.is_by(&key) {
            return Err(401);
        }
        let period = now_ms / NONCE_MS;
        if nonce != self.nonce(from, period) && nonce != self.nonce(from, period.saturating_sub(1)) {
            return Err(438);
        }
        Ok((username.to_owned(), user.to_owned(), key))
    }

    /// Nothing is kept for it: one who only asks costs no memory.
    fn nonce(&self, from: SocketAddr, period: u64) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.rules.nonce_key);
        hasher.update(from.to_string().as_bytes()).update(&period.to_be_bytes());
        data_encoding::HEXLOWER.encode(hasher.finalize().as_bytes().get(..16).unwrap_or_default())
    }

    /// What a client would be told at this time.
    pub(super) fn nonce_of(&self, from: SocketAddr, now_ms: u64) -> String {
        self.nonce(from, now_ms / NONCE_MS)
    }

    /// `None`: a socket is needed first.
    fn allocate(
        &mut self,
        from: SocketAddr,
        message: &Message<'_>,
        (username, user, key): (String, String, [u8; 16]),
        now_ms: u64,
    ) -> Result<Option<Writer>, u16> {
        if let Some(known) = self.allocations.get(&from) {
            // The same request once more: its answer was lost.
            return match known.relayed.filter(|_| known.transaction == message.transaction) {
                Some(relayed) => Ok(Some(allocated(message.transaction, relayed, from, self.rules.allocation_ms))),
                None => Err(437),
            };
        }
        if message.get(REQUESTED_TRANSPORT).and_then(<[u8]>::first) != Some(&17) {
            return Err(442);
        }
        let family = message.get(REQUESTED_ADDRESS_FAMILY).and_then(<[u8]>::first).copied().unwrap_or(1);
        if family != if self.rules.external.is_ipv4() { 1 } else { 2 } {
            return Err(440);
        }
        if self.allocations.values().filter(|allocation| allocation.user == user).count() >= self.rules.per_user
            || self.is_spent(&user, now_ms)
        {
            return Err(486);
        }
        if self.allocations.len() >= self.rules.allocations {
            return Err(508);
        }
        let full = Bucket { tokens: self.rules.bytes_per_second as f64, at_ms: now_ms };
        let allocation = Allocation {
            username,
            user,
            key,
            transaction: message.transaction,
            relayed: None,
            ends_ms: now_ms + self.rules.allocation_ms,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            up: full,
            down: full,
        };
        self.allocations.insert(from, allocation);
        Ok(None)
    }

    /// The socket of a client is bound to this port; or none could be.
    pub(super) fn handle_bound(&mut self, client: SocketAddr, port: Option<u16>) -> Option<Output> {
        let external = self.rules.external;
        let allocation = self.allocations.get_mut(&client)?;
        let (key, transaction) = (allocation.key, allocation.transaction);
        let writer = match port {
            Some(port) => {
                let relayed = SocketAddr::new(external, port);
                allocation.relayed = Some(relayed);
                allocated(transaction, relayed, client, self.rules.allocation_ms)
            }
            None => {
                self.allocations.remove(&client);
                Writer::new(ALLOCATE, ERROR, transaction).error(508, "")
            }
        };
        Some(Output::Reply { to: client, bytes: writer.finish(Some(&key)) })
    }

    fn permit(&mut self, from: SocketAddr, message: &Message<'_>, now_ms: u64) -> Result<Writer, u16> {
        let peers = message.peers().filter(|peers| !peers.is_empty()).ok_or(400_u16)?;
        if !peers.iter().all(|peer| self.reaches(*peer)) {
            return Err(403);
        }
        let allocation = self.allocations.get_mut(&from).ok_or(437_u16)?;
        allocation.permissions.retain(|_, ends| *ends > now_ms);
        for peer in peers {
            if allocation.permissions.len() >= PEERS && !allocation.permissions.contains_key(&peer.ip()) {
                return Err(508);
            }
            allocation.permissions.insert(peer.ip().to_canonical(), now_ms + PERMISSION_MS);
        }
        Ok(Writer::new(CREATE_PERMISSION, SUCCESS, message.transaction))
    }

    fn bind_channel(&mut self, from: SocketAddr, message: &Message<'_>, now_ms: u64) -> Result<Writer, u16> {
        // RFC 8656 has less of them; clients of RFC 5766 take any of these.
        let number = message.number(CHANNEL_NUMBER).map(|number| (number >> 16) as u16);
        let (Some(number @ 0x4000..=0x7FFE), Some(peer)) = (number, message.address(XOR_PEER_ADDRESS)) else { return Err(400) };
        if !self.reaches(peer) {
            return Err(403);
        }
        let allocation = self.allocations.get_mut(&from).ok_or(437_u16)?;
        allocation.channels.retain(|_, (_, ends)| *ends > now_ms);
        let other = allocation.channels.iter().any(|(known, (to, _))| (*known == number) != (*to == peer));
        if other {
            return Err(400);
        }
        if allocation.channels.len() >= PEERS && !allocation.channels.contains_key(&number) {
            return Err(508);
        }
        allocation.channels.insert(number, (peer, now_ms + CHANNEL_MS));
        allocation.permissions.insert(peer.ip().to_canonical(), now_ms + PERMISSION_MS);
        Ok(Writer::new(CHANNEL_BIND, SUCCESS, message.transaction))
    }

    fn handle_channel_data(&mut self, from: SocketAddr, bytes: &[u8], now_ms: u64) -> Option<Output> {
        let number = u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
        let data = bytes.get(4..4 + length)?;
        let (to, _) = self.allocations.get(&from)?.channels.get(&number).filter(|(_, ends)| *ends > now_ms).copied()?;
        self.relay(from, to, data, now_ms)
    }

    /// From a client to a peer.
    fn relay(&mut self, client: SocketAddr, to: SocketAddr, data: &[u8], now_ms: u64) -> Option<Output> {
        if !self.reaches(to) || !self.spend(client, data.len(), true, to, now_ms) {
            self.counts.refused += 1;
            return None;
        }
        Some(Output::Relay { client, to, bytes: data.to_vec() })
    }

    /// A datagram came to the relayed address of a client.
    pub(super) fn handle_peer(&mut self, client: SocketAddr, from: SocketAddr, data: &[u8], now_ms: u64) -> Option<Output> {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if !self.spend(client, data.len(), false, from, now_ms) {
            self.counts.dropped += 1;
            return None;
        }
        let allocation = self.allocations.get(&client)?;
        let channel =
            allocation.channels.iter().find(|(_, (peer, ends))| *peer == from && *ends > now_ms).map(|(number, _)| *number);
        let bytes = match channel {
            Some(number) => [&number.to_be_bytes()[..], &u16::try_from(data.len()).ok()?.to_be_bytes(), data].concat(),
            None => {
                let mut transaction = [0; 12];
                // An indication is not answered: its number is of no use to anybody.
                transaction.iter_mut().zip(now_ms.to_be_bytes()).for_each(|(place, byte)| *place = byte);
                Writer::new(DATA, INDICATION, transaction).address(XOR_PEER_ADDRESS, from).put(DATA_ATTRIBUTE, data).finish(None)
            }
        };
        Some(Output::Reply { to: client, bytes })
    }

    /// Whether the permission, the bucket and the person's hour have room for it.
    fn spend(&mut self, client: SocketAddr, bytes: usize, up: bool, peer: SocketAddr, now_ms: u64) -> bool {
        let rate = self.rules.bytes_per_second as f64;
        let Some(allocation) = self.allocations.get_mut(&client) else { return false };
        if allocation.permissions.get(&peer.ip()).is_none_or(|ends| *ends <= now_ms) || allocation.ends_ms <= now_ms {
            return false;
        }
        let bucket = if up { &mut allocation.up } else { &mut allocation.down };
        if !bucket.take(bytes as f64, rate, rate, now_ms) {
            return false;
        }
        let user = allocation.user.clone();
        if self.is_spent(&user, now_ms) {
            return false;
        }
        self.used.entry(user).or_insert((now_ms, 0)).1 += bytes as u64;
        self.counts.bytes += bytes as u64;
        true
    }

    fn is_spent(&mut self, user: &str, now_ms: u64) -> bool {
        match self.used.get_mut(user) {
            Some((began, used)) if now_ms < *began + HOUR_MS => *used >= self.rules.bytes_per_hour,
            Some(hour) => {
                *hour = (now_ms, 0);
                false
            }
            None => false,
        }
    }

    /// Public addresses, named LANs, and relayed addresses that stand here now: two who both need a relay meet there.
    fn reaches(&self, peer: SocketAddr) -> bool {
        let ip = unmapped(peer.ip());
        if ip == self.rules.external {
            return self.allocations.values().any(|allocation| allocation.relayed == Some(SocketAddr::new(ip, peer.port())));
        }
        // A smuggled address is refused as such, even where what is inside would do.
        (peer.ip().to_canonical() == ip || is_public(peer.ip())) && may_reach(ip, &self.rules.lan)
    }

    fn may_answer(&mut self, ip: IpAddr, now_ms: u64) -> bool {
        let ip = ip.to_canonical();
        let room = self.strangers.len() < STRANGERS || self.strangers.contains_key(&ip);
        let bucket = match room {
            true => self.strangers.entry(ip).or_insert(Bucket { tokens: STRANGERS_BURST, at_ms: now_ms }),
            false => &mut self.crowd,
        };
        let may = bucket.take(1.0, STRANGERS_PER_SECOND, STRANGERS_BURST, now_ms);
        self.counts.dropped += u64::from(!may);
        may
    }

    /// Forgets what has passed; gives the clients whose sockets are to be closed.
    pub(super) fn handle_tick(&mut self, now_ms: u64) -> Vec<SocketAddr> {
        let over: Vec<SocketAddr> =
            self.allocations.iter().filter(|(_, allocation)| allocation.ends_ms <= now_ms).map(|(client, _)| *client).collect();
        over.iter().for_each(|client| drop(self.allocations.remove(client)));
        let saved = (STRANGERS_BURST / STRANGERS_PER_SECOND * 1000.0) as u64;
        self.strangers.retain(|_, bucket| bucket.at_ms + saved > now_ms);
        self.used.retain(|_, (began, _)| now_ms < *began + HOUR_MS);
        over
    }
}

fn allocated(transaction: [u8; 12], relayed: SocketAddr, client: SocketAddr, lifetime_ms: u64) -> Writer {
    Writer::new(ALLOCATE, SUCCESS, transaction)
        .address(XOR_RELAYED_ADDRESS, relayed)
        .put(LIFETIME, &seconds(lifetime_ms))
        .address(XOR_MAPPED_ADDRESS, client)
}

fn seconds(ms: u64) -> [u8; 4] {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
