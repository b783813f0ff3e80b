//! A room whose members run real sessions: a network that loses, doubles, delays and parts, an ACL log that is a list, and a clock
//! that is a number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::id::{DeviceId, RoomId, SessionId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::session::message::{Presence, SealedPresence, SessionFrame};
use conclave_protocol::session::{
    Acl, Epoch, Export, Phase, RefusalKind, Rules, SFRAME_LABEL, Sent, Session, SessionConfig, SessionOutput,
};
use zeroize::Zeroizing;

pub use crate::acl::{AclOp, TestAcl};
use crate::support::{Seeded, ms};

pub const ROOM: RoomId = RoomId([7; 32]);
pub const NOW_MS: u64 = 1_800_000_000_000;
pub const SECRET: [u8; 32] = [9; 32];

pub struct Node {
    pub key: Arc<DeviceKey>,
    pub id: DeviceId,
    /// `None` while it is down.
    pub session: Option<Session>,
    pub acl: TestAcl,
    pub cut: BTreeSet<DeviceId>,
    pub received: Vec<(DeviceId, Vec<u8>)>,
    pub unsent: usize,
    /// It has no session: the test speaks for it, with what comes for it here.
    pub raw: bool,
    pub inbox: Vec<(DeviceId, SessionFrame)>,
    pub changes: usize,
    refusals_before: BTreeMap<RefusalKind, u64>,
}

impl Node {
    pub fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    pub fn epoch(&self) -> Option<&Epoch> {
        self.session.as_ref()?.epoch()
    }

    /// What everyone who is in the same epoch has alike.
    pub fn state(&self) -> Option<(SessionId, u64, Vec<u8>)> {
        self.epoch().map(|epoch| (epoch.session, epoch.epoch, epoch.exports[0].to_vec()))
    }

    pub fn refused(&self, kind: RefusalKind) -> u64 {
        let now = self.session.as_ref().and_then(|session| session.refusals().get(&kind)).copied().unwrap_or(0);
        now + self.refusals_before.get(&kind).copied().unwrap_or(0)
    }
}

#[derive(Debug, Clone)]
enum Event {
    Frame(DeviceId, SessionFrame),
    Acl(usize),
}

/// How bad the network is.
#[derive(Debug, Clone)]
pub struct Network {
    /// Percent of frames.
    pub loss: f64,
    pub double: f64,
    /// Percent of frames that come much later than they would.
    pub reorder: f64,
    pub latency_ms: (u64, u64),
    /// What commits take beyond.
    pub slow_commits_ms: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { loss: 0.0, double: 0.0, reorder: 0.0, latency_ms: (5, 40), slow_commits_ms: 0 }
    }
}

impl Network {
    pub fn bad() -> Self {
        Self { loss: 10.0, double: 5.0, reorder: 10.0, latency_ms: (5, 120), slow_commits_ms: 0 }
    }
}

/// Opens a presence, changes it, and signs and seals it again.
pub fn reseal(sealed: &SealedPresence, change: impl FnOnce(&mut Presence), key: &DeviceKey) -> SealedPresence {
    let secret = [Zeroizing::new(SECRET)];
    let signed = conclave_protocol::session::open_presence(sealed, &secret, &ROOM).expect("a presence of the room");
    let mut presence = Presence::read(&signed).expect("a presence");
    change(&mut presence);
    conclave_protocol::session::seal_presence(&presence.sign(key, &ROOM), &SECRET, &ROOM, &mut Seeded(presence.counter))
}

pub type Tap = Box<dyn FnMut(&mut Seeded, DeviceId, DeviceId, &SessionFrame) -> Option<Vec<SessionFrame>>>;

/// Who sees every application message, and whose messages are not for them.
pub struct Wiretap {
    pub device: DeviceId,
    /// What was read that was sent by someone who knew better.
    pub leaks: usize,
    /// What was read at all.
    pub read: usize,
}

pub struct World {
    pub now: Duration,
    pub rng: Seeded,
    pub nodes: Vec<Node>,
    pub network: Network,
    pub rules: Rules,
    ops: Arc<Vec<AclOp>>,
    index: HashMap<DeviceId, usize>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, (usize, Event)>,
    next_event: u64,
    /// The part of the network that each node is in.
    pub parts: Vec<usize>,
    /// Pairs that have no stream though they are in one part.
    pub apart: BTreeSet<(usize, usize)>,
    /// Looks at each frame on its way, and may change it into others or nothing (`None`: as it is).
    pub tap: Option<Tap>,
    pub wiretap: Option<Wiretap>,
    /// Who adds and keeps whom it should not, whenever it is up.
    pub accomplices: BTreeSet<usize>,
    pub frames: u64,
}

pub fn exports() -> Vec<Export> {
    vec![Export { label: SFRAME_LABEL, context: Vec::new(), length: 32 }]
}

impl World {
    /// So many members who know of each other, none started.
    pub fn new(members: usize, seed: u64) -> Self {
        let mut rng = Seeded(seed);
        let keys: Vec<Arc<DeviceKey>> = (0..members).map(|_| Arc::new(DeviceKey::generate(&mut rng))).collect();
        let ops = Arc::new(keys.iter().map(|key| AclOp::Admit(key.id())).collect::<Vec<_>>());
        let nodes: Vec<Node> = keys
            .into_iter()
            .map(|key| Node {
                id: key.id(),
                key,
                session: None,
                acl: TestAcl { ops: ops.clone(), known: ops.len(), ignores: None },
                cut: BTreeSet::new(),
                received: Vec::new(),
                unsent: 0,
                raw: false,
                inbox: Vec::new(),
                changes: 0,
                refusals_before: BTreeMap::new(),
            })
            .collect();
        Self {
            now: ms(1_000),
            rng,
            index: nodes.iter().enumerate().map(|(index, node)| (node.id, index)).collect(),
            parts: vec![0; nodes.len()],
            nodes,
            network: Network::default(),
            rules: Rules::default(),
            ops,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            next_event: 0,
            apart: BTreeSet::new(),
            tap: None,
            wiretap: None,
            accomplices: BTreeSet::new(),
            frames: 0,
        }
    }

    /// Everyone is there, in one session.
    pub fn settled(members: usize, seed: u64) -> Self {
        let mut world = Self::new(members, seed);
        (0..members).for_each(|node| world.start(node));
        let all: Vec<usize> = (0..members).collect();
        world.run_until(ms(30_000), |world| world.is_one(&all)).expect("they come together");
        world
    }

    pub fn id(&self, node: usize) -> DeviceId {
        self.nodes[node].id
    }

    pub fn node_of(&self, device: &DeviceId) -> usize {
        self.index[device]
    }

    pub fn start(&mut self, node: usize) {
        let config = SessionConfig { room: ROOM, device: self.nodes[node].key.clone(), exports: exports() };
        let now_ms = NOW_MS + self.now.as_millis() as u64;
        let mut session = Session::new(config, self.now, now_ms, &mut self.rng);
        session.set_secrets(&[Zeroizing::new(SECRET)]);
        session.set_rules(Rules { accomplice: self.accomplices.contains(&node), ..self.rules });
        self.nodes[node].session = Some(session);
        for peer in 0..self.nodes.len() {
            if self.has_stream(node, peer) {
                self.connect(node, peer);
            }
        }
        self.drain(node);
    }

    pub fn crash(&mut self, node: usize) {
        let Some(session) = self.nodes[node].session.take() else { return };
        for (kind, count) in session.refusals() {
            *self.nodes[node].refusals_before.entry(*kind).or_default() += count;
        }
        let id = self.id(node);
        for peer in 0..self.nodes.len() {
            if let Some(session) = &mut self.nodes[peer].session {
                session.handle_disconnected(&id);
            }
        }
    }

    /// Puts every node into a part of the network.
    pub fn part(&mut self, parts: Vec<usize>) {
        let before: Vec<(usize, usize)> = self.streams();
        self.parts = parts;
        self.streams_changed(&before);
    }

    /// Makes or breaks the stream between two.
    pub fn set_apart(&mut self, a: usize, b: usize, apart: bool) {
        let before = self.streams();
        if apart {
            self.apart.insert((a.min(b), a.max(b)));
        } else {
            self.apart.remove(&(a.min(b), a.max(b)));
        }
        self.streams_changed(&before);
    }

    pub fn write_acl(&mut self, op: AclOp) -> usize {
        Arc::make_mut(&mut self.ops).push(op);
        for node in &mut self.nodes {
            node.acl.ops = self.ops.clone();
        }
        self.ops.len()
    }

    /// A node learns of the ACL log up to here.
    pub fn learn(&mut self, node: usize, known: usize) {
        if self.nodes[node].acl.known >= known {
            return;
        }
        self.nodes[node].acl.known = known;
        let now = self.now;
        let Node { session: Some(session), acl, .. } = &mut self.nodes[node] else { return };
        session.handle_acl_changed(acl, now);
        self.drain(node);
    }

    /// Revokes a device; these know it at once, the others as the network tells them.
    pub fn revoke(&mut self, device: DeviceId, who: &[usize]) {
        let known = self.write_acl(AclOp::Revoke(device));
        for node in who {
            self.learn(*node, known);
        }
        self.gossip_acl();
    }

    pub fn send(&mut self, node: usize, payload: &[u8]) -> Option<Sent> {
        let now = self.now;
        let Node { session: Some(session), acl, .. } = &mut self.nodes[node] else { return None };
        let sent = session.send(payload.to_vec(), acl, now).ok();
        self.drain(node);
        sent
    }

    /// A frame arrives now, whatever the network is like.
    pub fn deliver(&mut self, to: usize, from: DeviceId, frame: SessionFrame) {
        if self.nodes[to].raw {
            self.nodes[to].inbox.push((from, frame));
            return;
        }
        let now = self.now;
        let Node { session: Some(session), acl, .. } = &mut self.nodes[to] else { return };
        session.handle_frame(from, frame, acl, now);
        self.drain(to);
    }

    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until it holds; how long that took.
    pub fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        let begun = self.now;
        let end = begun + limit;
        let mut next_look = begun;
        loop {
            if self.now >= next_look {
                if holds(self) {
                    return Some(self.now - begun);
                }
                next_look = self.now + ms(100);
            }
            let event = self.queue.peek().map(|Reverse((at, _))| *at);
            let timeouts = self.nodes.iter().enumerate();
            let timeout =
                timeouts.filter_map(|(index, node)| Some((node.session.as_ref()?.poll_timeout()?.max(self.now), index))).min();
            let at = event.into_iter().chain(timeout.map(|(at, _)| at)).min().unwrap_or(end);
            if at >= end {
                self.now = end;
                return holds(self).then(|| end - begun);
            }
            self.now = self.now.max(at);
            if event == Some(at) {
                self.take_event();
            } else if let Some((_, node)) = timeout {
                let now = self.now;
                let Node { session: Some(session), acl, .. } = &mut self.nodes[node] else { continue };
                session.handle_timeout(acl, now);
                self.drain(node);
            }
        }
    }

    /// These nodes, which are up, are in one epoch, and nobody else is in its roster.
    pub fn is_one(&self, nodes: &[usize]) -> bool {
        self.is_one_beside(nodes, None)
    }

    /// The same, where one more may be in the roster.
    pub fn is_one_beside(&self, nodes: &[usize], beside: Option<usize>) -> bool {
        let up: Vec<usize> = nodes.iter().copied().filter(|node| self.nodes[*node].session.is_some()).collect();
        let Some(first) = up.first() else { return true };
        let Some(state) = self.nodes[*first].state() else { return false };
        let roster = &self.nodes[*first].epoch().unwrap().roster;
        let beside = beside.filter(|node| roster.values().any(|device| *device == self.id(*node)));
        roster.len() == up.len() + beside.map_or(0, |_| 1)
            && up.iter().all(|node| {
                self.nodes[*node].state().as_ref() == Some(&state) && roster.values().any(|device| *device == self.id(*node))
            })
    }

    pub fn writer(&self, nodes: &[usize]) -> Option<usize> {
        nodes
            .iter()
            .copied()
            .find(|node| self.nodes[*node].session.as_ref().is_some_and(|session| session.phase() == Phase::Writer))
    }

    pub fn refused(&self, kind: RefusalKind) -> u64 {
        self.nodes.iter().map(|node| node.refused(kind)).sum()
    }

    fn has_stream(&self, a: usize, b: usize) -> bool {
        a != b
            && (self.nodes[a].session.is_some() || self.nodes[a].raw)
            && (self.nodes[b].session.is_some() || self.nodes[b].raw)
            && self.parts[a] == self.parts[b]
            && !self.apart.contains(&(a.min(b), a.max(b)))
            && !self.nodes[a].cut.contains(&self.id(b))
            && !self.nodes[b].cut.contains(&self.id(a))
    }

    fn streams(&self) -> Vec<(usize, usize)> {
        let pairs = (0..self.nodes.len()).flat_map(|a| (a + 1..self.nodes.len()).map(move |b| (a, b)));
        pairs.filter(|(a, b)| self.has_stream(*a, *b)).collect()
    }

    fn streams_changed(&mut self, before: &[(usize, usize)]) {
        let before: BTreeSet<(usize, usize)> = before.iter().copied().collect();
        let after: BTreeSet<(usize, usize)> = self.streams().into_iter().collect();
        for (a, b) in before.difference(&after) {
            let (ida, idb) = (self.id(*a), self.id(*b));
            for (node, peer) in [(*a, idb), (*b, ida)] {
                if let Some(session) = &mut self.nodes[node].session {
                    session.handle_disconnected(&peer);
                }
            }
        }
        for (a, b) in after.difference(&before) {
            self.connect(*a, *b);
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let now = self.now;
        let (ida, idb) = (self.id(a), self.id(b));
        for (node, peer) in [(a, idb), (b, ida)] {
            if let Some(session) = &mut self.nodes[node].session {
                session.handle_connected(peer, now);
            }
            self.drain(node);
        }
        // The room stream tells both what the other lacks.
        let known = self.nodes[a].acl.known.max(self.nodes[b].acl.known);
        for node in [a, b] {
            if self.nodes[node].acl.known < known {
                let delay = ms(50 + self.rng.below(400));
                self.push(delay, node, Event::Acl(known));
            }
        }
    }

    /// Who knows more of the ACL log tells the others of its part, as the room streams do.
    pub fn gossip_acl(&mut self) {
        for a in 0..self.nodes.len() {
            let reached = (0..self.nodes.len()).filter(|b| self.has_stream(a, *b));
            let known = reached.map(|b| self.nodes[b].acl.known).max().unwrap_or(0);
            if known > self.nodes[a].acl.known {
                let delay = ms(20 + self.rng.below(600));
                self.push(delay, a, Event::Acl(known));
            }
        }
    }

    fn push(&mut self, delay: Duration, to: usize, event: Event) {
        let id = self.next_event;
        self.next_event += 1;
        self.queue.push(Reverse((self.now + delay, id)));
        self.events.insert(id, (to, event));
    }

    fn take_event(&mut self) {
        let Some(Reverse((_, id))) = self.queue.pop() else { return };
        let Some((to, event)) = self.events.remove(&id) else { return };
        match event {
            Event::Acl(known) => {
                if self.nodes[to].acl.known < known {
                    self.learn(to, known);
                    self.gossip_acl();
                }
            }
            Event::Frame(from, frame) => {
                if self.has_stream(self.node_of(&from), to) {
                    self.deliver(to, from, frame);
                }
            }
        }
    }

    fn drain(&mut self, node: usize) {
        loop {
            let Some(output) = self.nodes[node].session.as_mut().and_then(Session::poll_output) else { return };
            match output {
                SessionOutput::Send { to, frame } => {
                    for device in &to {
                        self.transmit(node, *device, &frame);
                    }
                    self.listen_in(node, &frame);
                }
                SessionOutput::FetchAcl { from, .. } => {
                    let known = self.nodes[self.node_of(&from)].acl.known;
                    let delay = ms(20 + self.rng.below(200));
                    self.push(delay, node, Event::Acl(known));
                }
                SessionOutput::Received { from, payload } => self.nodes[node].received.push((from, payload)),
                SessionOutput::EpochChanged { .. } => self.nodes[node].changes += 1,
                SessionOutput::EpochReady { .. } | SessionOutput::EpochOver { .. } | SessionOutput::Ended => {}
                SessionOutput::Unsent { payloads } => self.nodes[node].unsent += payloads,
                SessionOutput::Cut(device) => {
                    let before = self.streams();
                    self.nodes[node].cut.insert(device);
                    self.streams_changed(&before);
                }
            }
        }
    }

    fn transmit(&mut self, from: usize, device: DeviceId, frame: &SessionFrame) {
        let to = self.node_of(&device);
        if !self.has_stream(from, to) {
            return;
        }
        let frames = match self.tap.take() {
            Some(mut tap) => {
                let sender = self.id(from);
                let frames = tap(&mut self.rng, sender, device, frame);
                self.tap = Some(tap);
                frames.unwrap_or_else(|| vec![frame.clone()])
            }
            None => vec![frame.clone()],
        };
        let sender = self.id(from);
        for frame in frames {
            self.frames += 1;
            let copies = if self.rng.chance(self.network.double) { 2 } else { 1 };
            for _ in 0..copies {
                if self.rng.chance(self.network.loss) {
                    continue;
                }
                let (least, most) = self.network.latency_ms;
                let mut delay = least + self.rng.below(most - least + 1);
                if self.rng.chance(self.network.reorder) {
                    delay += self.rng.below(1_500);
                }
                if matches!(frame, SessionFrame::Commit(_)) && self.network.slow_commits_ms > 0 {
                    delay += self.rng.below(self.network.slow_commits_ms);
                }
                self.push(ms(delay), to, Event::Frame(sender, frame.clone()));
            }
        }
    }

    /// The wiretap tries to read every application message, wherever it goes.
    fn listen_in(&mut self, from: usize, frame: &SessionFrame) {
        let Some(device) = self.wiretap.as_ref().map(|tap| tap.device) else { return };
        let SessionFrame::App(_) = frame else { return };
        let spy = self.node_of(&device);
        if spy == from {
            return;
        }
        let (sender, now) = (self.id(from), self.now);
        let knows = !self.nodes[from].acl.is_member(&device);
        let before = self.nodes[spy].received.len();
        {
            let Node { session: Some(session), acl, .. } = &mut self.nodes[spy] else { return };
            session.handle_frame(sender, frame.clone(), acl, now);
        }
        self.drain(spy);
        let read = self.nodes[spy].received.len() - before;
        if let Some(tap) = &mut self.wiretap {
            tap.read += read;
            if knows {
                tap.leaks += read;
            }
        }
    }
}
