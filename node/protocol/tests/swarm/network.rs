//! Members of a room with uplinks, in virtual time: each runs the machines as the node does, over links with a delay.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use conclave_protocol::id::{DeviceId, FileId};
use conclave_protocol::swarm::have::{Have, Range};
use conclave_protocol::swarm::hint::Hinter;
use conclave_protocol::swarm::manifest::Layout;
use conclave_protocol::swarm::schedule::{Arrival, Download, Output};
use conclave_protocol::swarm::slots::{Asked, Slots};
use conclave_protocol::swarm::wire::Why;

use crate::support::Seeded;

pub const FILE: FileId = FileId([5; 32]);
const TICK: Duration = Duration::from_millis(20);

pub fn device(n: usize) -> DeviceId {
    let mut id = [0; 32];
    id[0] = n as u8 + 1;
    DeviceId(id)
}

/// How a member behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Honest,
    /// Says that it holds everything and sends what is wrong.
    Corrupt,
    /// Says that it holds everything and never answers.
    Silent,
    /// Says that it holds everything and rejects all requests.
    Liar,
    /// Sends chunks that nobody asked for.
    Spammer,
}

#[derive(Clone, Debug)]
enum Word {
    Hello(Have, bool),
    Have(Vec<Range>),
    Hint(Vec<Range>),
    Request { id: u64, index: u32, within_ms: u32 },
    Cancel(u64),
    Reject(u64, Why),
    GetHashes(u32),
    Hashes(u32),
    Data { id: u64, index: u32, good: bool },
}

enum Event {
    Word { from: usize, to: usize, word: Word },
    UplinkFree(usize),
    Leave(usize),
    Join(usize),
}

pub struct Node {
    pub kind: Kind,
    pub uplink: u64,
    pub download: Option<Download>,
    pub have: Have,
    hinter: Option<Hinter>,
    slots: Slots,
    lanes: BTreeMap<usize, VecDeque<(u64, u32)>>,
    busy: bool,
    lane: usize,
    pub sent: u64,
    pub finished: Option<Duration>,
    pub online: bool,
    pub aside: BTreeSet<usize>,
}

pub struct Network {
    pub nodes: Vec<Node>,
    pub layout: Layout,
    latency: Duration,
    pub now: Duration,
    next_tick: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    bodies: BTreeMap<u64, Event>,
    count: u64,
    rng: Seeded,
}

impl Network {
    /// The first node holds the file; the others fetch it.
    pub fn new(size: u64, chunk: u32, uplinks: &[u64], latency: Duration, seed: u64) -> Self {
        let layout = Layout { size, chunk };
        let mut rng = Seeded(seed);
        let chunks = layout.chunks();
        let nodes = uplinks
            .iter()
            .enumerate()
            .map(|(n, uplink)| Node {
                kind: Kind::Honest,
                uplink: *uplink,
                download: (n > 0)
                    .then(|| Download::new(layout, Have::none(chunks), Have::none(chunks.div_ceil(1024)), rng.next())),
                have: if n == 0 { Have::all(chunks) } else { Have::none(chunks) },
                hinter: (n == 0).then(|| Hinter::new(chunks, &mut rng)),
                slots: Slots::new(),
                lanes: BTreeMap::new(),
                busy: false,
                lane: 0,
                sent: 0,
                finished: None,
                online: true,
                aside: BTreeSet::new(),
            })
            .collect();
        let mut network = Self {
            nodes,
            layout,
            latency,
            now: Duration::ZERO,
            next_tick: Duration::ZERO,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            count: 0,
            rng,
        };
        network.greet_all();
        network
    }

    /// Chunks that are here and nowhere else, and those that each lacks.
    pub fn state(&self) -> String {
        let lacks = |node: &Node| {
            node.download.as_ref().map(|d| (0..self.layout.chunks()).filter(|i| !d.have().has(*i)).collect::<Vec<_>>())
        };
        self.nodes.iter().map(|node| format!("online {} lacks {:?}\n", node.online, lacks(node))).collect()
    }

    pub fn kind(mut self, node: usize, kind: Kind) -> Self {
        self.nodes[node].kind = kind;
        self.nodes[node].download = None;
        self.nodes[node].have = Have::all(self.layout.chunks());
        // Its false hello follows its honest one.
        self.greet(node);
        self
    }

    pub fn leaves(mut self, node: usize, at: Duration) -> Self {
        self.at(at, Event::Leave(node));
        self
    }

    pub fn joins(mut self, node: usize, at: Duration) -> Self {
        self.nodes[node].online = false;
        self.at(at, Event::Join(node));
        self
    }

    /// Runs until everyone honest who is online has the file; gives when the last had it.
    pub fn run(&mut self, give_up: Duration) -> Option<Duration> {
        loop {
            let waiting = self
                .nodes
                .iter()
                .any(|node| node.online && node.kind == Kind::Honest && node.download.as_ref().is_some_and(|d| !d.is_complete()));
            let joining = self.bodies.values().any(|event| matches!(event, Event::Join(_)));
            if !waiting && !joining {
                return self.nodes.iter().filter_map(|node| node.finished).max();
            }
            if self.now > give_up {
                return None;
            }
            let next = self.events.peek().map(|Reverse((at, _))| *at);
            if next.is_none_or(|next| next > self.next_tick) {
                self.now = self.next_tick;
                self.next_tick += TICK;
                (0..self.nodes.len()).for_each(|node| self.turn(node));
                continue;
            }
            let Some(Reverse((at, id))) = self.events.pop() else { continue };
            self.now = at;
            match self.bodies.remove(&id).unwrap() {
                Event::Word { from, to, word } if self.nodes[from].online && self.nodes[to].online => {
                    self.hear(from, to, word);
                    self.turn(to);
                }
                Event::Word { .. } => {}
                Event::UplinkFree(node) => {
                    self.nodes[node].busy = false;
                    self.turn(node);
                }
                Event::Leave(gone) => {
                    self.nodes[gone].online = false;
                    for node in &mut self.nodes {
                        node.lanes.remove(&gone);
                        node.slots.handle_gone(device(gone));
                        if let Some(download) = &mut node.download {
                            download.handle_gone(device(gone));
                        }
                        if let Some(hinter) = &mut node.hinter {
                            hinter.handle_gone(device(gone));
                        }
                    }
                }
                Event::Join(node) => {
                    self.nodes[node].online = true;
                    self.greet(node);
                    for other in 0..self.nodes.len() {
                        if other != node && self.nodes[other].online {
                            let (have, wants) = (self.nodes[other].have.clone(), self.nodes[other].download.is_some());
                            self.say(other, node, Word::Hello(have, wants));
                        }
                    }
                }
            }
        }
    }

    fn greet_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.greet(node));
    }

    fn greet(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            if other != node {
                let (have, wants) = (self.nodes[node].have.clone(), self.nodes[node].download.is_some());
                self.say(node, other, Word::Hello(have, wants));
            }
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count)));
        self.bodies.insert(self.count, event);
    }

    fn say(&mut self, from: usize, to: usize, word: Word) {
        self.at(self.now + self.latency, Event::Word { from, to, word });
    }

    fn hear(&mut self, from: usize, to: usize, word: Word) {
        let now = self.now;
        let peer = device(from);
        let node = &mut self.nodes[to];
        match word {
            Word::Hello(have, wants) => {
                if let Some(download) = &mut node.download {
                    download.handle_peer(peer, have.clone(), false, now);
                }
                if let Some(hinter) = &mut node.hinter
                    && wants
                {
                    hinter.handle_taker(peer, have, now);
                }
            }
            Word::Have(more) => {
                if let Some(download) = &mut node.download {
                    download.handle_have(peer, &more);
                }
                if let Some(hinter) = &mut node.hinter {
                    hinter.handle_have(peer, &more);
                }
            }
            Word::Hint(hinted) => {
                if let Some(download) = &mut node.download {
                    download.handle_hint(peer, &hinted);
                }
            }
            Word::Request { id, index, within_ms } => match node.kind {
                Kind::Silent => {}
                Kind::Liar => self.say(to, from, Word::Reject(id, Why::Gone)),
                _ => {
                    if let Some(hinter) = &mut node.hinter {
                        hinter.handle_request(peer, index, now);
                    }
                    let until = now + Duration::from_millis(u64::from(within_ms));
                    if !node.have.has(index) {
                        self.say(to, from, Word::Reject(id, Why::Gone));
                    } else if !node.slots.handle_request(peer, Asked { file: FILE, id, index, until }) {
                        self.say(to, from, Word::Reject(id, Why::Busy));
                    }
                }
            },
            Word::Cancel(id) => node.slots.handle_cancel(peer, FILE, id),
            Word::Reject(id, why) => {
                if let Some(download) = &mut node.download {
                    download.handle_reject(peer, id, why, now);
                }
            }
            Word::GetHashes(page) => {
                if node.kind != Kind::Silent {
                    self.say(to, from, Word::Hashes(page));
                }
            }
            Word::Hashes(page) => {
                if let Some(download) = &mut node.download {
                    download.handle_page(page);
                }
            }
            Word::Data { id, index, good } => {
                let Some(download) = &mut node.download else { return };
                if download.handle_data(peer, id, index, now) == Arrival::Store {
                    if good {
                        download.handle_stored(index);
                        node.have.insert(index);
                    } else {
                        download.handle_bad(peer, index);
                    }
                }
            }
        }
    }

    /// What a node does after anything happened to it.
    fn turn(&mut self, n: usize) {
        if !self.nodes[n].online {
            return;
        }
        let now = self.now;
        if self.nodes[n].kind == Kind::Spammer {
            for other in 1..self.nodes.len() {
                if other != n && self.rng.below(10) == 0 {
                    let index = self.rng.below(self.layout.chunks() as usize) as u32;
                    self.say(n, other, Word::Data { id: 3, index, good: false });
                }
            }
        }
        let mut words = Vec::new();
        if let Some(download) = &mut self.nodes[n].download {
            let mut budget = (32_u64 << 20).saturating_sub(download.outstanding());
            for output in download.poll(now, &mut budget, &mut self.rng) {
                let index_of = |peer: DeviceId| usize::from(peer.0[0]) - 1;
                match output {
                    Output::Request { peer, id, index, within_ms } => {
                        words.push((index_of(peer), Word::Request { id, index, within_ms }))
                    }
                    Output::Cancel { peer, id } => words.push((index_of(peer), Word::Cancel(id))),
                    Output::GetHashes { peer, page } => words.push((index_of(peer), Word::GetHashes(page))),
                    Output::Have { ranges } => {
                        words.extend(
                            (0..self.nodes.len()).filter(|other| *other != n).map(|other| (other, Word::Have(ranges.clone()))),
                        );
                    }
                    Output::SetAside { peer, .. } => {
                        self.nodes[n].aside.insert(index_of(peer));
                    }
                }
            }
        }
        let node = &mut self.nodes[n];
        if node.finished.is_none() && node.download.as_ref().is_some_and(Download::is_complete) {
            node.finished = Some(now);
            let mut hinter = Hinter::new(self.layout.chunks(), &mut self.rng);
            for (peer, have) in node.download.as_ref().unwrap().takers() {
                hinter.handle_taker(peer, have.clone(), now);
            }
            node.hinter = Some(hinter);
        }
        if let Some(hinter) = &mut node.hinter {
            words.extend(hinter.poll(now).into_iter().map(|(peer, ranges)| (usize::from(peer.0[0]) - 1, Word::Hint(ranges))));
        }
        while let Some((peer, asked)) = node.slots.poll(now) {
            let to = usize::from(peer.0[0]) - 1;
            match asked {
                Ok(asked) => node.lanes.entry(to).or_default().push_back((asked.id, asked.index)),
                Err(asked) => words.push((to, Word::Reject(asked.id, Why::Busy))),
            }
        }
        // The uplink takes from the streams in turn.
        if !node.busy && !node.lanes.is_empty() {
            let next = node.lanes.range(node.lane + 1..).next().or_else(|| node.lanes.iter().next()).map(|(to, _)| *to).unwrap();
            node.lane = next;
            let lane = node.lanes.get_mut(&next).unwrap();
            let (id, index) = lane.pop_front().unwrap();
            if lane.is_empty() {
                node.lanes.remove(&next);
            }
            node.busy = true;
            let bytes = u64::from(self.layout.sealed_len(index)) + 90;
            node.sent += bytes;
            let took = Duration::from_secs_f64(bytes as f64 / node.uplink as f64);
            node.slots.handle_done(device(next));
            let good = node.kind != Kind::Corrupt;
            self.at(now + took, Event::UplinkFree(n));
            self.at(now + took + self.latency, Event::Word { from: n, to: next, word: Word::Data { id, index, good } });
        }
        words.into_iter().for_each(|(to, word)| self.say(n, to, word));
    }
}
