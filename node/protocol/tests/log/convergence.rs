//! Many members, random acts, partitions, restarts and forks: in the end everyone has the same, and it is what the plain model says.

use std::collections::BTreeSet;

use conclave_protocol::id::DeviceId;
use conclave_protocol::log::acl::{AclOp, Role};
use conclave_protocol::log::op::Op;
use conclave_protocol::wire::Signed;

use crate::model::Model;
use crate::support::*;

const NAMES: [&str; 8] = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana"];
const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Member, Role::Admin];

struct World {
    peers: Vec<Peer>,
    /// Which part of the network each peer is in.
    part: Vec<usize>,
    rng: Seeded,
    forks: bool,
}

impl World {
    fn new(seed: u64, forks: bool) -> Self {
        let mut founder = Peer::founds("Fatima", true);
        founder.rng = Seeded(seed ^ 0xabcd);
        Self { peers: vec![founder], part: vec![0], rng: Seeded(seed), forks }
    }

    fn step(&mut self) {
        let who = self.rng.below(self.peers.len());
        let whom = self.rng.below(self.peers.len());
        let target = self.peers[whom].id();
        let role = ROLES[self.rng.below(ROLES.len())];
        let chance = self.rng.below(100);
        let pick = self.rng.next() as usize;
        let peer = &mut self.peers[who];
        let message = {
            let count = peer.room.chat().len();
            (count > 0).then(|| peer.room.chat().messages().nth(pick % count).unwrap().id)
        };
        // Refusals are part of life here: a role that does not allow it, a member gone.
        match (chance, message) {
            (0..30, _) => drop(peer.act(|room, now, _| room.say(text(&format!("{chance} {pick}")), now))),
            (30..36, Some(id)) => drop(peer.act(|room, now, _| room.edit(id, format!("edited {pick}"), vec![], now))),
            (36..39, Some(id)) => drop(peer.act(|room, now, _| room.delete(id, now))),
            (39..45, Some(id)) => {
                let emoji = ["👍", "🎉"][pick % 2].to_owned();
                drop(peer.act(|room, now, _| room.react(id, emoji, !pick.is_multiple_of(3), now)));
            }
            (45..55, _) => self.admit(who, role, pick),
            (55..60, _) => drop(peer.act(|room, now, rng| room.revoke(target, now, rng))),
            (60..67, _) => drop(peer.act(|room, now, _| room.set_role(target, role, now))),
            (67..68, _) => drop(peer.act(|room, now, _| room.leave(now))),
            (68..70, _) => drop(peer.act(|room, now, _| room.rename_me(&format!("Name {}", pick % 50), now))),
            (70..73, _) => self.peers[who] = self.peers[who].reopened(pick as u64),
            (73..74, _) if self.forks && who != 0 => self.fork(who),
            (74..77, _) => {
                let parts = 1 + pick % 3;
                self.part = self.part.iter().map(|_| self.rng.below(parts)).collect();
            }
            _ if who != whom && self.part[who] == self.part[whom] => self.deliver(who, whom),
            _ => {}
        }
    }

    fn admit(&mut self, who: usize, role: Role, pick: usize) {
        let me = person(NAMES[pick % NAMES.len()]);
        let card = me.card.clone();
        if self.peers[who].act(|room, now, rng| room.admit(card, role, None, now, rng)).is_ok()
            && self.peers.iter().all(|peer| peer.id() != me.key.id())
        {
            let mut newcomer = self.peers[who].begin(me);
            newcomer.rng = Seeded(self.rng.next());
            self.peers.push(newcomer);
            self.part.push(self.part[who]);
        }
    }

    /// The same device goes on twice from one state: the second node is another peer with the same key.
    fn fork(&mut self, who: usize) {
        let twins = self.peers.iter().filter(|peer| peer.id() == self.peers[who].id()).count();
        if twins > 1 || self.peers.len() > 12 {
            return;
        }
        let incarnation = self.rng.next();
        self.peers[who] = self.peers[who].reopened(incarnation);
        let mut twin = self.peers[who].reopened(incarnation);
        twin.rng = Seeded(self.rng.next());
        twin.now_ms += 500;
        self.peers.push(twin);
        self.part.push(self.rng.below(2));
    }

    fn deliver(&mut self, from: usize, to: usize) {
        let (low, high) = (from.min(to), from.max(to));
        let (left, right) = self.peers.split_at_mut(high);
        let (a, b) = (&mut left[low], &mut right[0]);
        if from < to {
            deliver(a, b)
        } else {
            deliver(b, a)
        };
    }

    fn settle(&mut self) {
        for round in 0.. {
            let before: Vec<_> =
                self.peers.iter().map(|peer| (peer.room.sizes(), peer.room.proofs().count(), peer.room.waiting())).collect();
            for from in 0..self.peers.len() {
                for to in 0..self.peers.len() {
                    if from != to {
                        self.deliver(from, to);
                    }
                }
            }
            let after: Vec<_> =
                self.peers.iter().map(|peer| (peer.room.sizes(), peer.room.proofs().count(), peer.room.waiting())).collect();
            if before == after {
                return;
            }
            assert!(round < 200, "never comes to rest");
        }
    }
}

fn check(seed: u64, steps: usize, forks: bool) {
    let mut world = World::new(seed, forks);
    for _ in 0..steps {
        world.step();
    }
    world.settle();
    let expected = world.peers[0].roster();
    let all: Vec<Signed> = {
        let mut all: Vec<Signed> = world.peers.iter().flat_map(|peer| signed(&peer.stored)).collect();
        all.sort();
        all.dedup();
        all
    };
    let (acl, ops): (Vec<Signed>, Vec<Signed>) = all.into_iter().partition(|signed| AclOp::decode(&signed.payload).is_ok());
    assert!(ops.iter().all(|signed| Op::decode(&signed.payload).is_ok()));
    let model = Model::new(&acl);
    assert_eq!(expected, model.roster(), "seed {seed}: the roster is not what the model says");

    let members: Vec<&Peer> = world.peers.iter().filter(|peer| peer.room.my_role().is_some()).collect();
    // Only what a member holds can be shown by one: what the removed wrote for themselves is nobody's.
    let held: Vec<Signed> = ops.into_iter().filter(|op| members.iter().any(|peer| signed(&peer.stored).contains(op))).collect();
    // Who signed two operations with one id is known from the proofs, also where a member holds only one of the two.
    let frozen: BTreeSet<DeviceId> =
        world.peers.iter().flat_map(|peer| peer.room.proofs()).map(|proof| op_of(&proof.a).id.device).collect();
    let mut ids = BTreeSet::new();
    for id in held.iter().map(|signed| op_of(signed).id) {
        assert!(ids.insert(id) || frozen.contains(&id.device), "seed {seed}: a fork that nobody noticed");
    }
    let chat = model.chat(&held, &frozen);
    for peer in &members {
        let name = &peer.me.card.name;
        assert_eq!(peer.roster(), expected, "seed {seed}: roster of {name}");
        assert!(frozen.iter().all(|device| peer.room.is_frozen(device)), "seed {seed}: a proof that did not reach {name}");
        assert_eq!(peer.room.acl(), &with_secrets_of(peer), "seed {seed}: what a restart of {name} shows");
        let shown: Vec<_> = peer.room.chat().messages().map(|message| message.id).collect();
        assert_eq!(shown, chat.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "seed {seed}: order at {name}");
        for (message, (_, model)) in peer.room.chat().messages().zip(&chat) {
            assert_eq!(message.deleted(), model.deleted, "seed {seed}");
            if !model.deleted {
                assert_eq!(message.body(), model.body, "seed {seed}");
                let reactions: Vec<(String, DeviceId)> = message
                    .reactions()
                    .into_iter()
                    .flat_map(|(emoji, devices)| devices.into_iter().map(move |device| (emoji.clone(), device)))
                    .collect();
                assert_eq!(reactions.into_iter().collect::<BTreeSet<_>>(), model.reactions, "seed {seed}");
            }
        }
        let reopened = peer.reopened(1234);
        assert!(reopened.room.chat().messages().eq(peer.room.chat().messages()), "seed {seed}: {name} after a restart");
    }
    check_secrets(&mut world, seed);
}

/// Where a rotation is due one is enough, and then everyone has the same newest secret, and nobody who is gone.
fn check_secrets(world: &mut World, seed: u64) {
    let Some(admin) = world.peers.iter().position(|peer| peer.room.acl().admin_rank(&peer.id()) == Some(0)) else { return };
    if world.peers[admin].room.acl().rotation_due() {
        world.peers[admin].act(|room, now, rng| room.rotate(now, rng)).unwrap();
        world.settle();
    }
    let newest = world.peers[admin].room.acl().secrets().last().cloned().unwrap();
    for peer in &world.peers {
        let name = &peer.me.card.name;
        assert!(!peer.room.acl().rotation_due(), "seed {seed}: still due at {name}");
        let knows = peer.room.acl().secrets().contains(&newest);
        assert_eq!(knows, peer.room.my_role().is_some(), "seed {seed}: the newest secret at {name}");
        if knows {
            assert_eq!(peer.room.acl().secrets().last(), Some(&newest), "seed {seed}: newest at {name}");
        }
    }
}

fn with_secrets_of(peer: &Peer) -> conclave_protocol::log::state::AclState {
    peer.reopened(4321).room.acl().clone()
}

#[test]
fn everyone_ends_with_the_roster_and_the_chat_of_the_model() {
    for seed in 0..40 {
        check(seed, 150, false);
    }
}

#[test]
fn and_also_where_devices_sign_two_operations_with_one_id() {
    for seed in 1000..1025 {
        check(seed, 150, true);
    }
}

/// For a long night: `cargo test -p conclave-protocol --test log -- --ignored many_seeds`.
#[test]
#[ignore = "takes minutes"]
fn many_seeds() {
    for seed in 10_000..11_000 {
        check(seed, 300, seed % 2 == 0);
    }
}
