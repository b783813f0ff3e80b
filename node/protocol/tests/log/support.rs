//! People with keys, rooms and stores, and the ways in which their logs meet.

use std::convert::Infallible;
use std::sync::Arc;

use conclave_protocol::chat::Text;
use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard};
use conclave_protocol::log::acl::{AclKind, AclOp, Admit, Role};
use conclave_protocol::log::op::Op;
use conclave_protocol::log::sync::{RoomFrame, batches};
use conclave_protocol::room::record::Record;
use conclave_protocol::room::{Applied, CreateRoom, Me, Refusal, Room};
use conclave_protocol::wire::Signed;
use rand_core::{TryCryptoRng, TryRng};

/// SplitMix64: the same numbers for the same seed. For tests only.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.next() as u8);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

pub const START_MS: u64 = 1_800_000_000_000;

pub fn person(name: &str) -> Me {
    let seed = name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut rng = Seeded(seed);
    let key = DeviceKey::generate(&mut rng);
    let account = AccountKey::generate(&mut rng);
    let list = DeviceList::found(&account, ListedDevice { device: key.id(), seal_key: key.seal_key() }, START_MS);
    let card = MemberCard::new(&key, &list, name).unwrap();
    Me { key: Arc::new(key), card }
}

/// A member with a room and all that its store would hold.
pub struct Peer {
    pub me: Me,
    pub room: Room,
    pub stored: Vec<Record>,
    pub rng: Seeded,
    pub now_ms: u64,
}

impl Peer {
    pub fn founds(name: &str, full_history: bool) -> Self {
        let me = person(name);
        let mut rng = Seeded(99);
        let wish = CreateRoom { name: "The room".to_owned(), approval: true, full_history };
        let (room, applied) = Room::create(me.clone(), wish, 1, START_MS, &mut rng).unwrap();
        Self { me, room, stored: applied.records, rng, now_ms: START_MS }
    }

    /// Admits a newcomer, who begins with this peer's ACL log.
    pub fn admits(&mut self, name: &str, role: Role) -> Self {
        let me = person(name);
        let (now, mut rng) = (self.tick(), self.rng.clone());
        let applied = self.room.admit(me.card.clone(), role, None, now, &mut rng).unwrap();
        self.rng = rng;
        self.stored.extend(applied.records);
        self.begin(me)
    }

    /// The room as someone begins it from this peer's ACL log.
    pub fn begin(&self, me: Me) -> Self {
        let seed = me.card.name.bytes().fold(3_u64, |seed, byte| seed.wrapping_mul(131).wrapping_add(u64::from(byte)));
        let (room, applied) = Room::join(me.clone(), self.room.id(), self.room.acl_missing(&[]), seed).unwrap();
        Self { me, room, stored: applied.records, rng: Seeded(seed), now_ms: self.now_ms }
    }

    /// The same member after a restart, from the store.
    pub fn reopened(&self, incarnation: u64) -> Self {
        let room = Room::load(self.me.clone(), self.room.id(), self.stored.clone(), incarnation).unwrap();
        Self { me: self.me.clone(), room, stored: self.stored.clone(), rng: self.rng.clone(), now_ms: self.now_ms }
    }

    pub fn id(&self) -> DeviceId {
        self.me.key.id()
    }

    pub fn tick(&mut self) -> u64 {
        self.now_ms += 1000;
        self.now_ms
    }

    pub fn keep(&mut self, applied: Applied) -> Applied {
        self.stored.extend(applied.records.iter().cloned());
        applied
    }

    pub fn act(
        &mut self,
        act: impl FnOnce(&mut Room, u64, &mut Seeded) -> Result<Applied, Refusal>,
    ) -> Result<Vec<Signed>, Refusal> {
        let now = self.tick();
        let applied = act(&mut self.room, now, &mut self.rng)?;
        let ops = signed(&applied.records);
        self.keep(applied);
        Ok(ops)
    }

    pub fn says(&mut self, body: &str) -> OpHash {
        self.act(|room, now, _| room.say(text(body), now)).unwrap()[0].hash()
    }

    pub fn revokes(&mut self, device: DeviceId) -> Vec<Signed> {
        self.act(|room, now, rng| room.revoke(device, now, rng)).unwrap()
    }

    pub fn takes_acl(&mut self, ops: &[Signed]) -> Applied {
        let applied = self.room.handle_acl_ops(ops.to_vec());
        self.keep(applied)
    }

    pub fn takes_ops(&mut self, ops: &[Signed]) -> Applied {
        let applied = self.room.handle_ops(ops.to_vec());
        self.keep(applied)
    }

    /// Each device and its role, by device.
    pub fn roster(&self) -> Vec<(DeviceId, Role)> {
        self.room.acl().roster().map(|member| (member.device, member.role)).collect()
    }

    pub fn bodies(&self) -> Vec<String> {
        self.room.chat().messages().map(|message| message.body()).collect()
    }
}

pub fn text(body: &str) -> Text {
    Text { body: body.to_owned(), reply_to: None, mentions: Vec::new() }
}

pub fn signed(records: &[Record]) -> Vec<Signed> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::Acl(signed) | Record::Op(signed) => Some(signed.clone()),
            Record::Equivocation(_) | Record::List(_) => None,
        })
        .collect()
}

/// Everything in `from` that `to` lacks goes over, as frames. True where something did.
pub fn deliver(from: &mut Peer, to: &mut Peer) -> bool {
    let mut moved = false;
    let before = to.room.waiting();
    let mut frames = Vec::new();
    frames.extend(batches(from.room.acl_missing(&to.room.acl_heads())).into_iter().map(RoomFrame::AclOps));
    frames.extend(from.room.proofs().map(|proof| RoomFrame::Proof(Box::new(proof.clone()))));
    let summary = match RoomFrame::decode(&RoomFrame::Summary(to.room.summary()).encode()).unwrap() {
        RoomFrame::Summary(summary) => summary,
        _ => unreachable!(),
    };
    frames.extend(batches(from.room.ops_missing(&to.id(), &summary, 64 * 1024)).into_iter().map(RoomFrame::Ops));
    for frame in frames {
        let applied = match RoomFrame::decode(&frame.encode()).unwrap() {
            RoomFrame::AclOps(ops) => to.room.handle_acl_ops(ops),
            RoomFrame::Ops(ops) => to.room.handle_ops(ops),
            RoomFrame::Proof(proof) => to.room.handle_proof(*proof),
            _ => unreachable!(),
        };
        moved |= !applied.records.is_empty();
        to.keep(applied);
    }
    moved || to.room.waiting() != before
}

/// Until neither has something for the other.
pub fn sync(a: &mut Peer, b: &mut Peer) {
    for _ in 0..10_000 {
        let moved = deliver(a, b) | deliver(b, a);
        if !moved {
            return;
        }
    }
    panic!("two members never agree that they have the same");
}

/// An operation that no honest member would sign, with the room's present heads as its parents.
pub fn forge_acl(key: &DeviceKey, room: &RoomId, parents: &[OpHash], kind: AclKind) -> Signed {
    let mut parents = parents.to_vec();
    parents.sort();
    AclOp { author: key.id(), parents, time_ms: START_MS + 1, kind }.sign(key, room)
}

pub fn admit_of(card: &MemberCard, role: Role) -> AclKind {
    AclKind::Admit(Admit { card: card.clone(), role, invite: None, secrets: Vec::new() })
}

pub fn op_of(signed: &Signed) -> Op {
    Op::decode(&signed.payload).unwrap()
}

pub fn acl_of(signed: &Signed) -> AclOp {
    AclOp::decode(&signed.payload).unwrap()
}

/// All orders of a few things.
pub fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for index in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(index);
        for mut tail in permutations(&rest) {
            tail.insert(0, first.clone());
            all.push(tail);
        }
    }
    all
}
