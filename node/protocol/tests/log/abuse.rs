//! Members and strangers who sign what no honest node would: refused, void or harmless, and always bounded.

use conclave_protocol::id::OpHash;
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::log::acl::{AclKind, AclOp, OpCut, Rename, Revoke, Role};
use conclave_protocol::log::op::{MAX_OP_BODY, Op};
use conclave_protocol::log::sync::{ChainSummary, DeviceSummary, MAX_ROOM_FRAME, RoomFrame, Summary};
use conclave_protocol::log::{MAX_ACL_OPS_OF_A_MEMBER, MAX_ACL_OPS_OF_AN_ADMIN, MAX_BYTES_PER_AUTHOR, MAX_OPS_PER_MINUTE};
use conclave_protocol::room::{InviteSpec, Refusal, RoomChange};
use conclave_protocol::wire::Signed;

use crate::support::*;

fn pair() -> (Peer, Peer) {
    let mut founder = Peer::founds("Fatima", true);
    let member = founder.admits("Mo", Role::Member);
    (founder, member)
}

/// A chain of messages as someone would sign it who has no quota, each `step_ms` after the one before.
fn chain(peer: &Peer, incarnation: u64, count: u64, step_ms: u64) -> Vec<Signed> {
    let mut ops: Vec<Signed> = Vec::new();
    for seq in 1..=count {
        let op = Op {
            id: conclave_protocol::id::OpId { device: peer.id(), incarnation, seq },
            prev: ops.last().map(Signed::hash),
            acl_heads: peer.room.acl_heads()[..1].to_vec(),
            deps: Vec::new(),
            lamport: seq,
            time_ms: START_MS + seq * step_ms,
            kind: 1,
            body: conclave_protocol::wire::encode(&text(&format!("{incarnation}/{seq}"))),
        };
        ops.push(op.sign(&peer.me.key, &peer.room.id()));
    }
    ops
}

#[test]
fn replays_are_harmless() {
    let (mut founder, mut member) = pair();
    for n in 0..5 {
        founder.says(&format!("f{n}"));
        member.says(&format!("m{n}"));
        sync(&mut founder, &mut member);
    }
    let everything = signed(&founder.stored);
    let (before, sizes) = (founder.bodies(), founder.room.sizes());
    for _ in 0..3 {
        for op in everything.iter().rev() {
            let acl = founder.room.handle_acl_ops(vec![op.clone()]);
            let ops = founder.room.handle_ops(vec![op.clone()]);
            assert!(acl.records.is_empty() && ops.records.is_empty() && acl.changes.is_empty() && ops.changes.is_empty());
            assert_eq!(acl.refused.duplicates + ops.refused.duplicates, 1);
        }
    }
    assert_eq!((founder.bodies(), founder.room.sizes()), (before, sizes));
}

#[test]
fn more_than_the_quota_is_void_for_everyone_in_every_order() {
    let (mut founder, mut member) = pair();
    // An honest node refuses by itself.
    for n in 0..MAX_OPS_PER_MINUTE {
        member.room.say(text(&n.to_string()), START_MS + 10 * n as u64).unwrap();
    }
    assert_eq!(member.room.say(text("one more"), START_MS + 30_000), Err(Refusal::QuotaExceeded));
    assert!(member.room.say(text("a minute later"), START_MS + 90_000).is_ok());

    let flood = chain(&member, 70, 400, 1);
    let mut forwards = founder.reopened(4);
    forwards.takes_ops(&flood);
    assert_eq!(forwards.room.chat().len(), MAX_OPS_PER_MINUTE);
    founder.takes_ops(&flood.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(founder.bodies(), forwards.bodies());
    assert_eq!(founder.room.waiting(), 0);
    // Nor does one that keeps to the quota bring back what it builds on.
    let mut late = op_of(flood.last().unwrap());
    late.prev = Some(flood.last().unwrap().hash());
    late.id.seq += 1;
    late.lamport += 1;
    late.time_ms += 10 * 60_000;
    founder.takes_ops(&[late.sign(&member.me.key, &founder.room.id())]);
    assert_eq!(founder.room.chat().len(), MAX_OPS_PER_MINUTE);
    assert_eq!(founder.reopened(8).bodies(), founder.bodies());

    // Two starts of one device share the quota, whichever comes first.
    let (a, b) = (chain(&member, 71, 200, 20), chain(&member, 72, 200, 20));
    let (mut one, mut other) = (forwards.reopened(4), forwards.reopened(4));
    one.takes_ops(&a);
    one.takes_ops(&b);
    other.takes_ops(&b);
    other.takes_ops(&a);
    assert_eq!(one.bodies(), other.bodies());
    assert!(one.room.chat().len() <= MAX_OPS_PER_MINUTE + 240);
}

#[test]
fn an_author_fills_no_more_than_the_bytes_of_the_quota() {
    let (_, mut member) = pair();
    let mut written = 0;
    for n in 0..2000 {
        match member.room.write(300, vec![1; MAX_OP_BODY], START_MS + n * 1000) {
            Ok(applied) => written += signed(&applied.records)[0].payload.len() as u64,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::QuotaExceeded);
                break;
            }
        }
    }
    assert!(written <= MAX_BYTES_PER_AUTHOR && written > MAX_BYTES_PER_AUTHOR - 2 * 64 * 1024, "{written}");
}

#[test]
fn forged_and_contradictory_operations_are_refused() {
    let (mut founder, mut member) = pair();
    let second = founder.admits("Second", Role::Member);
    sync(&mut founder, &mut member);
    member.says("one");
    let two = member.act(|room, now, _| room.say(text("two"), now)).unwrap()[0].clone();
    sync(&mut founder, &mut member);
    let room = founder.room.id();
    let base = {
        let mut op = op_of(&two);
        op.prev = Some(two.hash());
        op.id.seq = 3;
        op.lamport = 3;
        op
    };
    let changed = |change: &dyn Fn(&mut Op)| {
        let mut op = base.clone();
        change(&mut op);
        op.sign(&member.me.key, &room)
    };
    let malformed: Vec<(&str, Signed)> = vec![
        ("lamport too high", changed(&|op| op.lamport = 9)),
        ("lamport too low", changed(&|op| op.lamport = 2)),
        ("lamport at the end of numbers", changed(&|op| op.lamport = u64::MAX)),
        ("a clock that runs backwards", changed(&|op| op.time_ms -= 1)),
        ("a number left out", changed(&|op| op.id.seq = 5)),
        ("another incarnation's chain", changed(&|op| op.id.incarnation += 1)),
        ("no ACL heads", changed(&|op| op.acl_heads.clear())),
        ("ACL heads unseen again", changed(&|op| op.acl_heads = vec![OpHash(*room.as_bytes())])),
        ("too many deps", changed(&|op| op.deps = (0..9).map(|n| OpHash([n; 32])).collect())),
        ("prev among the deps", changed(&|op| op.deps = vec![two.hash()])),
        ("unsorted deps", changed(&|op| op.deps = vec![OpHash([2; 32]), OpHash([1; 32])])),
    ];
    for (what, op) in malformed {
        let refused = founder.takes_ops(&[op]).refused;
        assert_eq!(refused.malformed + refused.not_permitted, 1, "{what}: {refused:?}");
    }
    // Another member's signature under the author's name; a stranger's under their own.
    let forged = base.clone().sign(&second.me.key, &room);
    assert_eq!(founder.takes_ops(&[forged]).refused.bad_signature, 1);
    let stranger = DeviceKey::generate(&mut Seeded(5));
    let mut op = base.clone();
    op.id = conclave_protocol::id::OpId { device: stranger.id(), incarnation: 1, seq: 1 };
    op.prev = None;
    op.lamport = 1;
    assert_eq!(founder.takes_ops(&[op.sign(&stranger, &room)]).refused.not_permitted, 1);
    // The untouched one is fine.
    assert!(founder.takes_ops(&[base.sign(&member.me.key, &room)]).refused == Default::default());
    assert_eq!(founder.room.waiting(), 0);
}

#[test]
fn oversized_operations_are_refused() {
    let (mut founder, member) = pair();
    let room = founder.room.id();
    let parents = founder.room.acl_heads()[..1].to_vec();
    let big = forge_acl(&member.me.key, &room, &parents, AclKind::Unknown { kind: 99, body: vec![0; 17 * 1024] });
    assert_eq!(founder.takes_acl(&[big]).refused.malformed, 1);
    let mut op = op_of(&chain(&member, 3, 1, 1)[0]);
    op.body = vec![0; 65 * 1024];
    assert_eq!(founder.takes_ops(&[op.sign(&member.me.key, &room)]).refused.malformed, 1);
    let mut bare = op_of(&chain(&member, 3, 1, 1)[0]).encode();
    bare.extend([0; 7]);
    let unpadded = member.me.key.signed("conclave/op/1", &room, bare);
    assert_eq!(founder.takes_ops(&[unpadded]).refused.malformed, 1);
}

#[test]
fn a_loop_of_operations_never_links_and_blocks_nobody() {
    let (mut founder, mut member) = pair();
    // A hash cannot be known before what it is the hash of, so a loop can only be claimed: each names the other by a made-up hash.
    let room = founder.room.id();
    let mut one = op_of(&chain(&member, 3, 1, 1)[0]);
    one.deps = vec![OpHash([9; 32])];
    one.lamport = 2;
    let one = one.sign(&member.me.key, &room);
    let mut two = op_of(&chain(&member, 4, 1, 1)[0]);
    two.deps = vec![one.hash()];
    two.lamport = 3;
    let two = two.sign(&member.me.key, &room);
    founder.takes_ops(&[one, two]);
    let made_up = forge_acl(&member.me.key, &room, &[OpHash([8; 32])], AclKind::Rename(Rename { name: "Loop".into() }));
    founder.takes_acl(&[made_up]);
    assert_eq!(founder.room.waiting(), 3);
    assert!(founder.room.summary().wants.contains(&OpHash([9; 32])));
    member.says("all is well");
    sync(&mut founder, &mut member);
    assert_eq!(founder.bodies(), ["all is well"]);
}

#[test]
fn what_waits_is_bounded_and_one_author_crowds_out_nobody() {
    let (mut founder, mut member) = pair();
    let mut other = founder.admits("Other", Role::Member);
    sync(&mut founder, &mut member);
    let flood = chain(&member, 3, 5000, 1);
    let refused = founder.takes_ops(&flood[1..]).refused;
    assert!(refused.buffer_full > 2000, "{refused:?}");
    assert!(founder.room.waiting() <= 2048);
    // Another's still wait for what they build on, and find it.
    let first = other.act(|room, now, _| room.say(text("first"), now)).unwrap();
    let second = other.act(|room, now, _| room.say(text("second"), now)).unwrap();
    assert_eq!(founder.takes_ops(&second).refused.waiting, 1);
    founder.takes_ops(&first);
    assert_eq!(founder.bodies(), ["first", "second"]);
    // The beginning of the flood comes: what waited is linked, the rest can come again, and the quota judges.
    founder.takes_ops(&flood[..1]);
    assert_eq!(founder.room.waiting(), 0);
    let renames: Vec<Signed> = (0..2000_u64)
        .map(|n| {
            forge_acl(
                &member.me.key,
                &founder.room.id(),
                &[OpHash([n as u8; 32])],
                AclKind::Unknown { kind: 50, body: n.to_le_bytes().into() },
            )
        })
        .collect();
    founder.takes_acl(&renames);
    assert!(founder.room.waiting() <= 512);
}

#[test]
fn a_member_cannot_fill_the_acl_log() {
    let (mut founder, mut member) = pair();
    let room = founder.room.id();
    let mut ops: Vec<Signed> = Vec::new();
    for n in 0..MAX_ACL_OPS_OF_A_MEMBER + 20 {
        let parent = ops.last().map_or(founder.room.acl_heads()[0], Signed::hash);
        ops.push(forge_acl(&member.me.key, &room, &[parent], AclKind::Rename(Rename { name: format!("Mo {n}") })));
    }
    let refused = founder.takes_acl(&ops).refused;
    assert!(refused.over_quota >= 1 && founder.room.sizes().0 <= MAX_ACL_OPS_OF_A_MEMBER + 5, "{refused:?}");
    // The founder's own acts go on, and a member who has the whole flood comes to the same.
    member.takes_acl(&signed(&founder.stored));
    founder.revokes(member.id());
    deliver(&mut founder, &mut member);
    assert_eq!(founder.roster(), member.roster());
}

#[test]
fn a_removed_admin_fills_no_log_and_closes_no_invitation() {
    let mut founder = Peer::founds("Fatima", true);
    let admin = founder.admits("Ada", Role::Admin);
    let mut other = founder.admits("Other", Role::Admin);
    sync(&mut founder, &mut other);
    let base = founder.room.acl_heads()[0];
    founder.revokes(admin.id());
    let spec = InviteSpec { key: [7; 32], expires_ms: START_MS + 86_400_000, uses: 3, role: Role::Member, approval: false };
    let invite = founder.act(|room, now, _| room.invite(spec, now)).unwrap()[0].hash();
    sync(&mut founder, &mut other);
    // From what the admin knew before: departures and revocations, each beside the others. Each member gets another part of them first.
    let revoke = |n: usize| {
        let op_cuts = vec![OpCut { incarnation: n as u64, seq: 1, hash: OpHash([1; 32]) }];
        let device = if n.is_multiple_of(2) { admin.id() } else { other.id() };
        forge_acl(&admin.me.key, &founder.room.id(), &[base], AclKind::Revoke(Revoke { device, op_cuts, acl_cut: None }))
    };
    let flood: Vec<Signed> = (0..1000).map(revoke).collect();
    let before = founder.room.sizes().0;
    let refused = founder.takes_acl(&flood).refused;
    assert!(refused.over_quota > 900, "{refused:?}");
    other.takes_acl(&flood.iter().rev().cloned().collect::<Vec<_>>());
    sync(&mut founder, &mut other);
    for peer in [&founder, &other] {
        assert!(peer.room.sizes().0 <= before + 64, "{:?}", peer.room.sizes());
        assert!(peer.room.acl().invite(&invite).is_some_and(|invite| invite.open));
        assert!(peer.room.acl().is_admin(&other.id()));
    }
    // The room goes on, and nobody builds on what is void.
    let guest = person("Guest");
    founder.act(|room, now, rng| room.admit(guest.card.clone(), Role::Member, Some(invite), now, rng)).unwrap();
    let mut third = other.admits("Third", Role::Member);
    third.says("hello");
    for _ in 0..2 {
        sync(&mut founder, &mut other);
        sync(&mut other, &mut third);
    }
    for peer in [&founder, &other, &third] {
        assert!(peer.room.acl().is_member(&guest.key.id()) && peer.room.acl().is_member(&third.id()));
        assert_eq!((peer.roster(), peer.bodies(), peer.room.waiting()), (founder.roster(), vec!["hello".to_owned()], 0));
    }
}

#[test]
fn an_admin_has_a_share_of_the_log_and_the_others_keep_theirs() {
    let mut founder = Peer::founds("Fatima", true);
    let admin = founder.admits("Ada", Role::Admin);
    let base = founder.room.acl_heads()[0];
    let rename = |n: usize| {
        forge_acl(&admin.me.key, &founder.room.id(), &[base], AclKind::Unknown { kind: 900, body: n.to_le_bytes().to_vec() })
    };
    let flood: Vec<Signed> = (0..MAX_ACL_OPS_OF_AN_ADMIN + 100).map(rename).collect();
    assert_eq!(founder.takes_acl(&flood).refused.over_quota, 100);
    founder.revokes(admin.id());
    assert!(!founder.room.acl().is_member(&admin.id()));
}

#[test]
fn invented_dependencies_and_numbers_split_no_room_whose_history_begins_late() {
    let mut founder = Peer::founds("Fatima", false);
    let member = founder.admits("Mo", Role::Member);
    let mut newcomer = founder.admits("Nina", Role::Member);
    let op = |incarnation: u64, dep: u8, lamport: u64| {
        let op = Op {
            id: conclave_protocol::id::OpId { device: member.id(), incarnation, seq: 1 },
            prev: None,
            acl_heads: vec![newcomer.room.acl_heads()[0]],
            deps: vec![OpHash([dep; 32])],
            lamport,
            time_ms: START_MS,
            kind: 1,
            body: conclave_protocol::wire::encode(&text(&format!("mark {incarnation}"))),
        };
        op.sign(&member.me.key, &founder.room.id())
    };
    let marks = [op(1, 1, 3), op(2, 2, u64::MAX / 2 - 1)];
    newcomer.takes_ops(&marks);
    newcomer.says("I can write");
    sync(&mut newcomer, &mut founder);
    founder.says("and so can I");
    sync(&mut newcomer, &mut founder);
    assert_eq!(founder.bodies(), ["mark 1", "I can write", "and so can I", "mark 2"]);
    assert_eq!(newcomer.bodies(), founder.bodies());
    assert_eq!((founder.room.waiting(), newcomer.room.waiting()), (0, 0));
}

#[test]
fn a_summary_fits_a_frame_whatever_the_log_holds() {
    // Where history begins late a chain may begin at any number, and so be as long to name as can be.
    let mut founder = Peer::founds("Fatima", false);
    let member = founder.admits("Mo", Role::Member);
    let mut newcomer = founder.admits("Nina", Role::Member);
    let heads = vec![newcomer.room.acl_heads()[0]];
    let flood: Vec<Signed> = (0..7_500_u64)
        .map(|n| {
            let op = Op {
                id: conclave_protocol::id::OpId { device: member.id(), incarnation: u64::MAX - n, seq: u64::MAX - 1 - n },
                prev: Some(OpHash([7; 32])),
                acl_heads: heads.clone(),
                deps: Vec::new(),
                lamport: 1 + n,
                time_ms: START_MS + n * 1000,
                kind: 200,
                body: Vec::new(),
            };
            op.sign(&member.me.key, &founder.room.id())
        })
        .collect();
    newcomer.takes_ops(&flood);
    assert_eq!(newcomer.room.sizes().1, 7_500);
    let frame = RoomFrame::Summary(newcomer.room.summary()).encode();
    assert!(frame.len() <= MAX_ROOM_FRAME, "{}", frame.len());
    let RoomFrame::Summary(summary) = RoomFrame::decode(&frame).unwrap() else { panic!() };
    let named: usize = summary.devices.iter().map(|entry| entry.chains.len()).sum();
    assert!(named > 5_000 && summary.floor == 7_501 - named as u64, "{named} from {}", summary.floor);
}

/// Chains of renames beside each other, each `depth` long, from one parent.
fn fan(member: &Peer, parent: OpHash, width: usize, depth: usize, mark: &str) -> Vec<Signed> {
    let mut ops = Vec::new();
    for branch in 0..width {
        let mut parent = parent;
        for step in 0..depth {
            let name = format!("{mark} {branch} {step}");
            let rename = forge_acl(&member.me.key, &member.room.id(), &[parent], AclKind::Rename(Rename { name }));
            parent = rename.hash();
            ops.push(rename);
        }
    }
    ops
}

#[test]
fn more_heads_than_an_operation_can_name_silence_nobody() {
    let (mut founder, mut member) = pair();
    let mut other = founder.admits("Other", Role::Member);
    let base = acl_of(&signed(&founder.stored).pop().unwrap()).parents[0];
    let honest = |founder: &mut Peer, other: &mut Peer, what: &str| {
        founder.says(what);
        other.says(what);
        sync(founder, other);
    };
    for depth in 1..5 {
        let flood = fan(&member, base, 20, depth, &depth.to_string());
        founder.takes_acl(&flood);
        member.takes_acl(&flood);
        honest(&mut founder, &mut other, &depth.to_string());
    }
    assert_eq!(founder.bodies().len(), 8);
    assert_eq!(founder.bodies(), other.bodies());
    assert_eq!((founder.room.waiting(), other.room.waiting()), (0, 0));
}

#[test]
fn deeper_heads_push_no_admission_and_no_invitation_out_of_sight() {
    let (mut founder, member) = pair();
    let base = founder.room.acl_heads()[0];
    let spec = InviteSpec { key: [7; 32], expires_ms: START_MS + 86_400_000, uses: 3, role: Role::Member, approval: false };
    let mut admin = founder.admits("Ada", Role::Admin);
    let mut other = founder.admits("Other", Role::Member);
    sync(&mut founder, &mut admin);
    let invite = admin.act(|room, now, _| room.invite(spec, now)).unwrap()[0].hash();
    sync(&mut founder, &mut admin);
    let flood = fan(&member, base, 20, 12, "deep");
    for peer in [&mut founder, &mut admin, &mut other] {
        peer.takes_acl(&flood);
    }
    // The admissions of both, and the invitation, are no part of what is deepest.
    other.says("I am here");
    let guest = person("Guest");
    admin.act(|room, now, rng| room.admit(guest.card.clone(), Role::Member, Some(invite), now, rng)).unwrap();
    other.act(|room, now, _| room.rename_me("Still here", now)).unwrap();
    sync(&mut founder, &mut admin);
    sync(&mut founder, &mut other);
    assert!(founder.room.acl().is_member(&guest.key.id()));
    assert_eq!(founder.room.acl().name_of(&other.id()), Some("Still here"));
    assert_eq!(founder.bodies(), ["I am here"]);
    // And someone who is let in again writes on, in the same start of the device.
    founder.revokes(other.id());
    let card = other.me.card.clone();
    founder.act(|room, now, rng| room.admit(card, Role::Member, None, now, rng)).unwrap();
    sync(&mut founder, &mut other);
    other.says("and back");
    sync(&mut founder, &mut other);
    assert_eq!(founder.bodies(), ["I am here", "and back"]);
}

#[test]
fn a_hostile_summary_costs_one_answer() {
    let (mut founder, member) = pair();
    for n in 0..20 {
        founder.says(&n.to_string());
    }
    let chains = (0..1000)
        .map(|n| ChainSummary { incarnation: n, first: u64::MAX - n, seq: if n % 2 == 0 { u64::MAX } else { 0 }, head: n })
        .collect();
    let summary = Summary {
        devices: vec![DeviceSummary { device: founder.id(), chains }],
        floor: u64::MAX,
        wants: (0..128).map(|n| OpHash([n; 32])).collect(),
    };
    let RoomFrame::Summary(summary) = RoomFrame::decode(&RoomFrame::Summary(summary).encode()).unwrap() else { panic!() };
    let answer = founder.room.ops_missing(&member.id(), &summary, 2000);
    assert!(answer.iter().map(Signed::wire_len).sum::<usize>() <= 2000);
    let stranger = person("Stranger");
    assert!(founder.room.ops_missing(&stranger.key.id(), &Summary::default(), usize::MAX).is_empty());
    founder.revokes(member.id());
    assert!(founder.room.ops_missing(&member.id(), &Summary::default(), usize::MAX).is_empty());
}

#[test]
fn two_branches_are_found_out_by_anti_entropy_alone() {
    let (mut founder, member) = pair();
    let mut admin = founder.admits("Ada", Role::Admin);
    let (mut one, mut other) = (member.reopened(9), member.reopened(9));
    for n in 0..3 {
        let left = one.act(|room, now, _| room.say(text(&format!("left {n}")), now)).unwrap();
        founder.takes_ops(&left);
        let right = other.act(|room, now, _| room.say(text(&format!("right {n}")), now)).unwrap();
        admin.takes_ops(&right);
    }
    let missing = founder.room.ops_missing(&admin.id(), &admin.room.summary(), usize::MAX);
    let applied = admin.takes_ops(&missing);
    assert!(applied.changes.contains(&RoomChange::Frozen(member.id())));
    sync(&mut founder, &mut admin);
    assert!(founder.room.is_frozen(&member.id()));
    assert!(founder.bodies().is_empty() && admin.bodies().is_empty());
}

#[test]
fn a_second_genesis_and_a_foreign_one_are_refused() {
    let (mut founder, _) = pair();
    let foreign = Peer::founds("Mallory", true);
    let genesis = signed(&foreign.stored)[0].clone();
    assert!(matches!(AclOp::decode(&genesis.payload).unwrap().kind, AclKind::Create(_)));
    assert_eq!(founder.takes_acl(&[genesis]).refused.malformed, 1);
}
