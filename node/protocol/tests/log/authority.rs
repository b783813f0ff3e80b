//! Who may do what, in every order of delivery.

use conclave_protocol::chat::Text;
use conclave_protocol::id::OpHash;
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::log::acl::{AclKind, Close, Invite, Revoke, Role, RoleChange};
use conclave_protocol::log::op::EquivocationProof;
use conclave_protocol::room::{InviteSpec, Refusal, RoomChange};
use conclave_protocol::wire::Signed;

use crate::support::*;

/// A board edit, as far as the log is concerned: an opaque body of a kind beyond the chat.
const BOARD: u32 = 200;

#[derive(Clone)]
enum Piece {
    Acl(Signed),
    Op(Signed),
}

fn give(peer: &mut Peer, piece: &Piece) {
    match piece {
        Piece::Acl(signed) => peer.takes_acl(std::slice::from_ref(signed)),
        Piece::Op(signed) => peer.takes_ops(std::slice::from_ref(signed)),
    };
}

fn founder_admin_member() -> (Peer, Peer, Peer) {
    let mut founder = Peer::founds("Fatima", true);
    let mut admin = founder.admits("Ada", Role::Admin);
    let mut member = founder.admits("Mo", Role::Member);
    sync(&mut founder, &mut admin);
    sync(&mut founder, &mut member);
    (founder, admin, member)
}

#[test]
fn revoked_admins_backdated_admit_is_void_in_every_merge_order() {
    let (mut founder, mut admin, member) = founder_admin_member();
    let mallory = person("Mallory");
    // The admin's own node never hears of the revocation and goes on from what it knew.
    let admit = admin.act(|room, now, rng| room.admit(mallory.card.clone(), Role::Admin, None, now, rng)).unwrap();
    let mut accomplice = admin.begin(mallory.clone());
    let second = accomplice.act(|room, now, rng| room.admit(person("Mate").card, Role::Member, None, now, rng)).unwrap();
    let hello = accomplice.act(|room, now, _| room.say(text("let me in"), now)).unwrap();
    let revoke = founder.revokes(admin.id());

    let pieces = [
        Piece::Acl(admit[0].clone()),
        Piece::Acl(second[0].clone()),
        Piece::Op(hello[0].clone()),
        Piece::Acl(revoke[0].clone()),
        Piece::Acl(revoke[1].clone()),
    ];
    let expected = founder.roster();
    assert_eq!(expected.len(), 2);
    for order in permutations(&pieces) {
        let mut replica = member.reopened(5);
        for piece in &order {
            give(&mut replica, piece);
        }
        assert_eq!(replica.roster(), expected);
        assert!(!replica.room.acl().is_member(&mallory.key.id()));
        assert!(replica.room.chat().is_empty(), "what the void admission authorised is void too");
        assert_eq!(replica.room.acl().secrets(), founder.room.acl().secrets());
    }
}

#[test]
fn what_a_revoked_admin_did_inside_the_cut_stands() {
    let (mut founder, mut admin, _) = founder_admin_member();
    let guest = admin.admits("Guest", Role::Member);
    sync(&mut founder, &mut admin);
    founder.revokes(admin.id());
    assert!(founder.room.acl().is_member(&guest.id()));
    assert!(!founder.room.acl().is_member(&admin.id()));
}

#[test]
fn mutual_revokes_leave_the_senior_admin() {
    let mut founder = Peer::founds("Fatima", true);
    let mut senior = founder.admits("Senior", Role::Admin);
    let mut junior = founder.admits("Junior", Role::Admin);
    let mut witness = founder.admits("Witness", Role::Member);
    for peer in [&mut senior, &mut junior, &mut witness] {
        sync(&mut founder, peer);
    }
    let by_senior = senior.revokes(junior.id());
    // The junior's own node would refuse, so the operation is made by hand from what the junior knew.
    assert_eq!(junior.act(|room, now, rng| room.revoke(senior.id(), now, rng)), Err(Refusal::NotPermitted));
    let parents = acl_of(&by_senior[0]).parents;
    let revoke = AclKind::Revoke(Revoke { device: senior.id(), op_cuts: Vec::new(), acl_cut: None });
    let by_junior = forge_acl(&junior.me.key, &founder.room.id(), &parents, revoke);
    for order in permutations(&[by_senior[0].clone(), by_senior[1].clone(), by_junior]) {
        let mut replica = witness.reopened(5);
        for op in &order {
            replica.takes_acl(std::slice::from_ref(op));
        }
        assert!(replica.room.acl().is_admin(&senior.id()));
        assert!(!replica.room.acl().is_member(&junior.id()));
        assert_eq!(replica.room.acl().roster().count(), 3);
    }
}

#[test]
fn removed_member_cannot_redeem_an_older_invite() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    let spec = InviteSpec { key: [7; 32], expires_ms: START_MS + 86_400_000, uses: 3, role: Role::Member, approval: false };
    let invite = founder.act(|room, now, _| room.invite(spec, now)).unwrap()[0].clone();
    sync(&mut founder, &mut member);
    assert!(member.room.acl().invite_by_key(&[7; 32]).is_some_and(|invite| invite.open));

    // A second replica of the founder does not know of the revocation yet, and admits by the old invitation.
    let mut unaware = founder.reopened(77);
    founder.revokes(member.id());
    let card = member.me.card.clone();
    let again = founder.act(|room, now, rng| room.admit(card.clone(), Role::Member, Some(invite.hash()), now, rng));
    assert_eq!(again, Err(Refusal::InviteClosed));

    assert_eq!(
        unaware.act(|room, now, rng| room.admit(card.clone(), Role::Member, Some(invite.hash()), now, rng)),
        Err(Refusal::AlreadyMember)
    );
    // Made by hand, before and after the revocation in the log: neither brings the member back.
    let concurrent = founder.me.key.clone();
    let parents = unaware.room.acl_heads()[..1].to_vec();
    let AclKind::Admit(mut admit) = admit_of(&card, Role::Member) else { unreachable!() };
    admit.invite = Some(invite.hash());
    let beside = forge_acl(&concurrent, &founder.room.id(), &parents, AclKind::Admit(admit.clone()));
    let behind = forge_acl(&concurrent, &founder.room.id(), &founder.room.acl_heads()[..1], AclKind::Admit(admit));
    let later = signed(&founder.stored);
    for order in permutations(&[beside, behind]) {
        let mut replica = admin.reopened(5);
        for op in order.iter().chain(&later) {
            replica.takes_acl(std::slice::from_ref(op));
        }
        assert!(!replica.room.acl().is_member(&member.id()));
        assert_eq!(replica.room.waiting(), 0);
    }
    // A new admission that builds on the revocation does.
    founder.act(|room, now, rng| room.admit(card, Role::Member, None, now, rng)).unwrap();
    sync(&mut founder, &mut admin);
    assert!(admin.room.acl().is_member(&member.id()));
}

#[test]
fn role_change_and_board_edit_converge_in_all_delivery_orders() {
    let (mut founder, admin, mut member) = founder_admin_member();
    // At the same time: the member edits the board, the founder takes the right to.
    let edit = member.act(|room, now, _| room.write(BOARD, b"stroke".to_vec(), now)).unwrap();
    let demotion = founder.act(|room, now, _| room.set_role(member.id(), Role::Viewer, now)).unwrap();
    // A viewer's edit under the new role, made by hand.
    let mut late = op_of(&edit[0]);
    late.id.seq = 2;
    late.prev = Some(edit[0].hash());
    late.lamport = 2;
    late.acl_heads = vec![demotion[0].hash()];
    let late = late.sign(&member.me.key, &founder.room.id());

    let pieces = [Piece::Op(edit[0].clone()), Piece::Acl(demotion[0].clone()), Piece::Op(late.clone())];
    for order in permutations(&pieces) {
        let mut replica = admin.reopened(5);
        for piece in &order {
            give(&mut replica, piece);
        }
        assert_eq!(replica.room.acl().role(&member.id()), Some(Role::Viewer));
        let board: Vec<_> = replica.room.operations().into_iter().map(|op| op.id).collect();
        assert_eq!(board, [edit[0].hash()], "written under the old role it stands, under the new one it does not");
        assert_eq!(replica.room.waiting(), 0);
    }
    deliver(&mut founder, &mut member);
    assert_eq!(member.act(|room, now, _| room.write(BOARD, Vec::new(), now)), Err(Refusal::NotPermitted));
    assert_eq!(member.act(|room, now, _| room.say(text("no"), now)), Err(Refusal::NotPermitted));
}

#[test]
fn two_ops_with_one_id_are_proved_and_frozen_everywhere() {
    let (mut founder, mut admin, member) = founder_admin_member();
    // A copy of the data directory: two nodes with one key and one incarnation.
    let mut one = member.reopened(9);
    let mut other = member.reopened(9);
    let a = one.act(|room, now, _| room.say(text("to the left"), now)).unwrap();
    let a2 = one.act(|room, now, _| room.say(text("and further left"), now)).unwrap();
    let b = other.act(|room, now, _| room.say(text("to the right"), now)).unwrap();
    let b2 = other.act(|room, now, _| room.say(text("and further right"), now)).unwrap();
    founder.takes_ops(&[a[0].clone(), a2[0].clone()]);
    admin.takes_ops(&[b[0].clone(), b2[0].clone()]);
    // Someone answers each before the two halves meet.
    founder.act(|room, now, _| room.say(Text { reply_to: Some(a[0].hash()), ..text("left?") }, now)).unwrap();
    let answered = founder.bodies();
    assert_eq!(answered, ["to the left", "and further left", "left?"]);

    let applied = founder.takes_ops(&b);
    assert!(applied.changes.contains(&RoomChange::Frozen(member.id())));
    assert!(founder.room.is_frozen(&member.id()));
    sync(&mut founder, &mut admin);
    for peer in [&founder, &admin] {
        assert!(peer.room.is_frozen(&member.id()));
        assert_eq!(peer.room.proofs().count(), 1);
        assert_eq!(peer.bodies(), answered, "what an answer built on stands, the rest does not");
    }
    // Nothing more of the author is taken, and the author's own node knows as much.
    let c = one.act(|room, now, _| room.say(text("still here"), now)).unwrap();
    assert_eq!(founder.takes_ops(&c).refused.frozen, 1);
    sync(&mut founder, &mut one);
    assert_eq!(one.act(|room, now, _| room.say(text("anyone?"), now)), Err(Refusal::Frozen));
    // It survives a restart.
    let reopened = founder.reopened(12);
    assert!(reopened.room.is_frozen(&member.id()));
    assert_eq!(reopened.bodies(), answered);
    // A newcomer comes to the same.
    let mut newcomer = founder.admits("Nina", Role::Member);
    sync(&mut founder, &mut newcomer);
    assert_eq!(newcomer.bodies(), answered);
    assert!(newcomer.room.is_frozen(&member.id()));
}

#[test]
fn a_forged_proof_freezes_nobody() {
    let (mut founder, _, mut member) = founder_admin_member();
    let a = member.act(|room, now, _| room.say(text("one"), now)).unwrap();
    let mut twin = op_of(&a[0]);
    twin.time_ms += 1;
    let by_another = twin.sign(&DeviceKey::generate(&mut Seeded(4)), &founder.room.id());
    let same = EquivocationProof::new(a[0].clone(), a[0].clone());
    let foreign = EquivocationProof::new(a[0].clone(), by_another);
    for proof in [same, foreign] {
        assert_eq!(founder.room.handle_proof(proof).refused.malformed, 1);
    }
    assert!(!founder.room.is_frozen(&member.id()));
}

#[test]
fn op_copied_to_another_room_is_refused() {
    let (mut founder, _, mut member) = founder_admin_member();
    let said = member.act(|room, now, _| room.say(text("only for this room"), now)).unwrap();
    let renamed = member.act(|room, now, _| room.rename_me("Mo the second", now)).unwrap();
    let mut other = Peer::founds("Fatima the other", true);
    let guest = other.admits("Mo", Role::Member);
    assert_eq!(guest.id(), member.id(), "the same device belongs to both rooms");

    // Even where everything else is put right, the signature is for the other room.
    let mut op = op_of(&said[0]);
    op.acl_heads = other.room.acl_heads()[..1].to_vec();
    let transplanted = Signed { payload: op.encode(), sig: said[0].sig };
    for op in [&said[0], &transplanted] {
        let applied = other.room.handle_ops(vec![op.clone()]);
        assert!(applied.records.is_empty() && applied.refused.bad_signature == 1, "{:?}", applied.refused);
    }
    let mut op = acl_of(&renamed[0]);
    op.parents = other.room.acl_heads()[..1].to_vec();
    let transplanted = Signed { payload: op.encode(), sig: renamed[0].sig };
    for op in [&renamed[0], &transplanted] {
        let applied = other.room.handle_acl_ops(vec![op.clone()]);
        assert!(applied.records.is_empty() && applied.refused.bad_signature == 1, "{:?}", applied.refused);
    }
    assert!(founder.takes_ops(&said).refused.hostile() == 0);
}

#[test]
fn only_a_senior_makes_or_unmakes_an_admin() {
    let mut founder = Peer::founds("Fatima", true);
    let mut old = founder.admits("Old", Role::Member);
    let mut young = founder.admits("Young", Role::Admin);
    sync(&mut founder, &mut old);
    sync(&mut founder, &mut young);
    assert_eq!(young.act(|room, now, _| room.set_role(old.id(), Role::Admin, now)), Err(Refusal::NotPermitted));
    assert_eq!(young.act(|room, now, _| room.set_role(founder.id(), Role::Viewer, now)), Err(Refusal::NotPermitted));
    let parents = founder.room.acl_heads()[..1].to_vec();
    for (target, role) in [(old.id(), Role::Admin), (founder.id(), Role::Viewer), (young.id(), Role::Admin)] {
        let forged = forge_acl(&young.me.key, &founder.room.id(), &parents, AclKind::Role(RoleChange { device: target, role }));
        founder.takes_acl(&[forged]);
    }
    assert_eq!(founder.room.acl().role(&old.id()), Some(Role::Member));
    assert_eq!(founder.room.my_role(), Some(Role::Owner));
    // The founder does, and the member becomes senior to whom it was junior in nothing but rank.
    founder.act(|room, now, _| room.set_role(old.id(), Role::Admin, now)).unwrap();
    sync(&mut founder, &mut old);
    old.revokes(young.id());
    sync(&mut founder, &mut old);
    assert!(!founder.room.acl().is_member(&young.id()));
}

#[test]
fn members_and_viewers_cannot_act_as_admins() {
    let (mut founder, _, mut member) = founder_admin_member();
    let guest = person("Guest").card;
    assert_eq!(member.act(|room, now, rng| room.admit(guest.clone(), Role::Member, None, now, rng)), Err(Refusal::NotPermitted));
    assert_eq!(member.act(|room, now, rng| room.revoke(founder.id(), now, rng)), Err(Refusal::NotPermitted));
    let parents = founder.room.acl_heads()[..1].to_vec();
    let invite = Invite { key: [1; 32], expires_ms: u64::MAX, uses: 1, role: Role::Admin, approval: false };
    let before = founder.room.sizes();
    for kind in [
        admit_of(&guest, Role::Admin),
        AclKind::Invite(invite),
        AclKind::Role(RoleChange { device: member.id(), role: Role::Admin }),
    ] {
        let forged = forge_acl(&member.me.key, &founder.room.id(), &parents, kind);
        assert_eq!(founder.takes_acl(&[forged]).refused.not_permitted, 1);
    }
    let stranger = DeviceKey::generate(&mut Seeded(8));
    let forged = forge_acl(&stranger, &founder.room.id(), &parents, AclKind::Unknown { kind: 900, body: vec![1] });
    assert_eq!(founder.takes_acl(&[forged]).refused.not_permitted, 1);
    assert_eq!(founder.room.sizes(), before);
}

#[test]
fn leaving_ends_membership_and_a_rotation_falls_due() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    let secrets = founder.room.acl().secrets().to_vec();
    member.says("goodbye");
    member.act(|room, now, _| room.leave(now)).unwrap();
    assert_eq!(member.act(|room, now, _| room.say(text("one more"), now)), Err(Refusal::NotMember));
    sync(&mut founder, &mut member);
    deliver(&mut member, &mut admin);
    assert!(!founder.room.acl().is_member(&member.id()));
    assert!(founder.room.acl().former().any(|(device, former)| *device == member.id() && former.left));
    assert!(founder.room.acl().rotation_due());
    founder.act(|room, now, rng| room.rotate(now, rng)).unwrap();
    assert!(!founder.room.acl().rotation_due());
    assert_eq!(founder.room.acl().secrets().len(), secrets.len() + 1);
    sync(&mut founder, &mut admin);
    assert_eq!(admin.room.acl().secrets(), founder.room.acl().secrets());
    deliver(&mut founder, &mut member);
    assert_eq!(member.room.acl().secrets(), secrets, "who left cannot read the new secret");
    assert_eq!(founder.bodies(), ["goodbye"]);
}

#[test]
fn revocation_rotates_the_secret_for_those_who_stay() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    assert_eq!(member.room.acl().secrets(), founder.room.acl().secrets(), "the admission carried the secret");
    let first = founder.room.acl().secrets().to_vec();
    founder.revokes(member.id());
    sync(&mut founder, &mut admin);
    deliver(&mut founder, &mut member);
    assert_eq!(admin.room.acl().secrets(), founder.room.acl().secrets());
    assert_eq!(founder.room.acl().secrets().len(), 2);
    assert_eq!(member.room.acl().secrets(), first);
    // A later member learns all generations that are kept.
    let late = founder.admits("Late", Role::Viewer);
    assert_eq!(late.room.acl().secrets(), founder.room.acl().secrets());
    for _ in 0..20 {
        founder.act(|room, now, rng| room.rotate(now, rng)).unwrap();
    }
    assert_eq!(founder.room.acl().secrets().len(), 16);
}

#[test]
fn concurrent_rotations_are_all_kept_and_one_is_newest_for_all() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    founder.act(|room, now, rng| room.rotate(now, rng)).unwrap();
    admin.act(|room, now, rng| room.rotate(now, rng)).unwrap();
    sync(&mut founder, &mut admin);
    sync(&mut founder, &mut member);
    assert_eq!(founder.room.acl().secrets().len(), 3);
    assert_eq!(admin.room.acl().secrets(), founder.room.acl().secrets());
    assert_eq!(member.room.acl().secrets(), founder.room.acl().secrets());
}

#[test]
fn an_invitation_admits_as_many_as_it_says_and_not_after_its_time() {
    let mut founder = Peer::founds("Fatima", true);
    let expires_ms = START_MS + 60_000;
    let spec = InviteSpec { key: [7; 32], expires_ms, uses: 2, role: Role::Viewer, approval: false };
    let invite = founder.act(|room, now, _| room.invite(spec, now)).unwrap()[0].hash();
    for name in ["One", "Two"] {
        let card = person(name).card;
        founder.act(|room, now, rng| room.admit(card.clone(), Role::Admin, Some(invite), now, rng)).unwrap();
        assert_eq!(founder.room.acl().role(&card.device), Some(Role::Viewer), "the invitation's role is given");
    }
    let third = person("Three").card;
    let used_up = founder.act(|room, now, rng| room.admit(third.clone(), Role::Viewer, Some(invite), now, rng));
    assert_eq!(used_up, Err(Refusal::InviteUsedUp));
    // By hand it is refused by everyone.
    let AclKind::Admit(mut admit) = admit_of(&third, Role::Viewer) else { unreachable!() };
    admit.invite = Some(invite);
    let forged = forge_acl(&founder.me.key, &founder.room.id(), &founder.room.acl_heads()[..1], AclKind::Admit(admit));
    founder.takes_acl(&[forged]);
    assert!(!founder.room.acl().is_member(&third.device));

    let spec = InviteSpec { key: [8; 32], expires_ms, uses: 2, role: Role::Member, approval: false };
    let invite = founder.act(|room, now, _| room.invite(spec, now)).unwrap()[0].hash();
    founder.now_ms = expires_ms;
    let expired = founder.act(|room, now, rng| room.admit(third.clone(), Role::Viewer, Some(invite), now, rng));
    assert_eq!(expired, Err(Refusal::InviteExpired));
}

#[test]
fn what_was_written_beyond_the_cut_is_void_unless_someone_built_on_it() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    member.says("inside the cut");
    sync(&mut founder, &mut member);
    member.says("beyond, and answered");
    deliver(&mut member, &mut admin);
    admin.says("an answer");
    member.says("beyond, and unanswered");
    founder.revokes(member.id());
    sync(&mut founder, &mut admin);
    deliver(&mut member, &mut founder);
    deliver(&mut member, &mut admin);
    for peer in [&founder, &admin] {
        assert_eq!(peer.bodies(), ["inside the cut", "beyond, and answered", "an answer"]);
    }
}

#[test]
fn revoked_and_admitted_again_a_member_writes_again() {
    let (mut founder, _, mut member) = founder_admin_member();
    member.says("first");
    sync(&mut founder, &mut member);
    founder.revokes(member.id());
    deliver(&mut founder, &mut member);
    assert_eq!(member.act(|room, now, _| room.say(text("no"), now)), Err(Refusal::NotMember));
    let card = member.me.card.clone();
    founder.act(|room, now, rng| room.admit(card, Role::Member, None, now, rng)).unwrap();
    deliver(&mut founder, &mut member);
    member.says("second");
    sync(&mut founder, &mut member);
    assert_eq!(founder.bodies(), ["first", "second"]);
    // And can leave, and is gone.
    member.act(|room, now, _| room.leave(now)).unwrap();
    sync(&mut founder, &mut member);
    assert!(!founder.room.acl().is_member(&member.id()));
}

#[test]
fn a_name_is_what_its_owner_last_said() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    member.act(|room, now, _| room.rename_me("Morgan", now)).unwrap();
    sync(&mut founder, &mut member);
    sync(&mut founder, &mut admin);
    assert_eq!(admin.room.acl().name_of(&member.id()), Some("Morgan"));
    assert!(member.act(|room, now, _| room.rename_me("a\u{202e}b", now)).is_err());
    founder.revokes(member.id());
    assert_eq!(founder.room.acl().name_of(&member.id()), Some("Morgan"));
}

#[test]
fn a_large_roster_gets_the_secret_in_several_operations() {
    let mut founder = Peer::founds("Fatima", true);
    let cards: Vec<_> = (0..130).map(|n| person(&format!("Person {n}")).card).collect();
    for card in &cards {
        let now = founder.tick();
        let applied = founder.room.admit(card.clone(), Role::Viewer, None, now, &mut Seeded(now)).unwrap();
        founder.keep(applied);
    }
    let revoke = founder.revokes(cards[0].device);
    assert_eq!(revoke.len(), 3, "the revocation, and two operations with boxes");
    assert!(!founder.room.acl().rotation_due());
    assert_eq!(founder.room.acl().secrets().len(), 2);
    for name in ["Person 1", "Person 129"] {
        let member = founder.begin(person(name));
        assert_eq!(member.room.acl().secrets(), founder.room.acl().secrets());
        assert!(!member.room.acl().rotation_due());
    }
}

#[test]
fn a_revocation_keeps_what_was_written_in_more_starts_than_it_can_name() {
    let (mut founder, mut admin, member) = founder_admin_member();
    let mut member = member;
    for start in 0..150 {
        member = member.reopened(100 + start);
        member.says(&format!("start {start}"));
    }
    sync(&mut founder, &mut member);
    founder.revokes(member.id());
    sync(&mut founder, &mut admin);
    assert_eq!(founder.bodies().len(), 150);
    assert_eq!(admin.bodies(), founder.bodies());
}

#[test]
fn a_room_opens_only_with_its_beginning_and_for_those_it_admits() {
    use conclave_protocol::room::{Room, RoomError};
    let (mut founder, _, member) = founder_admin_member();
    founder.says("hello");
    let (id, me) = (founder.room.id(), person("Stranger"));
    assert_eq!(Room::load(me.clone(), id, founder.stored[1..].to_vec(), 1).err(), Some(RoomError::NoGenesis));
    assert_eq!(Room::join(me.clone(), id, founder.room.acl_missing(&[]), 1).err(), Some(RoomError::NotAdmitted));
    let other = Peer::founds("Other", true);
    assert_eq!(Room::join(me, id, other.room.acl_missing(&[]), 1).err(), Some(RoomError::NoGenesis));
    // Records come back in any order.
    let mut records = founder.stored.clone();
    records.reverse();
    let reopened = Room::load(founder.me.clone(), id, records, 9).unwrap();
    assert_eq!(reopened.acl(), founder.room.acl());
    assert_eq!(reopened.chat().len(), 1);
    assert!(founder.room.acl().is_member(&member.id()));
}

#[test]
fn records_come_back_as_they_were_and_have_one_name_each() {
    use conclave_protocol::room::record::Record;
    let (mut founder, ..) = founder_admin_member();
    founder.says("hello");
    let mut names = std::collections::BTreeSet::new();
    for record in &founder.stored {
        assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(record));
        assert!(names.insert(record.key()));
    }
}

#[test]
fn a_closed_invitation_admits_nobody_whoever_closes_it() {
    let (mut founder, mut admin, mut member) = founder_admin_member();
    let spec = InviteSpec { key: [3; 32], expires_ms: u64::MAX / 2, uses: 5, role: Role::Member, approval: false };
    let made = founder.act(|room, now, _| room.invite(spec, now)).unwrap();
    let invite = made[0].hash();
    admin.takes_acl(&made);
    member.takes_acl(&made);
    assert!(founder.room.acl().invite(&invite).unwrap().open);
    assert_eq!(member.act(|room, now, _| room.close_invite(invite, now)).unwrap_err(), Refusal::NotPermitted);
    assert_eq!(admin.act(|room, now, _| room.close_invite(OpHash([9; 32]), now)).unwrap_err(), Refusal::InviteUnknown);
    // What a member forges is not even taken.
    let parents = founder.room.acl_heads()[..1].to_vec();
    let forged = forge_acl(&member.me.key, &founder.room.id(), &parents, AclKind::Close(Close { invite }));
    assert_eq!(founder.room.handle_acl_ops(vec![forged]).refused.not_permitted, 1);
    assert!(founder.room.acl().invite(&invite).unwrap().open);

    let closed = admin.act(|room, now, _| room.close_invite(invite, now)).unwrap();
    assert_eq!(closed.len(), 1);
    assert!(admin.act(|room, now, _| room.close_invite(invite, now)).unwrap().is_empty(), "closed is closed");
    founder.takes_acl(&closed);
    assert!(!founder.room.acl().invite(&invite).unwrap().open);
    let card = person("Nils").card;
    let late = founder.act(|room, now, rng| room.admit(card.clone(), Role::Member, Some(invite), now, rng));
    assert_eq!(late.unwrap_err(), Refusal::InviteClosed);
    // Also where the one who made it does as if nothing had been closed.
    let AclKind::Admit(mut admit) = admit_of(&card, Role::Member) else { unreachable!() };
    admit.invite = Some(invite);
    let forged = forge_acl(&founder.me.key, &founder.room.id(), &founder.room.acl_heads()[..1], AclKind::Admit(admit));
    for peer in [&mut founder, &mut admin, &mut member] {
        peer.takes_acl(&closed);
        peer.takes_acl(std::slice::from_ref(&forged));
        assert!(!peer.room.acl().is_member(&card.device));
    }
}

/// The old secret proves the room to those who still hold it. Under a key that nobody knows it opens nothing.
#[test]
fn who_was_removed_and_comes_under_another_key_is_told_nothing() {
    use conclave_protocol::room::secret_print;
    let (mut founder, _, member) = founder_admin_member();
    let newest = |peer: &Peer| secret_print(peer.room.acl().secrets().last().unwrap());
    let (old, stranger) = (newest(&founder), DeviceKey::generate(&mut Seeded(77)).id());
    assert!(!founder.room.withholds_from(&stranger, &old), "its admission may be on its way");
    let removed = member.id();
    founder.act(|room, now, rng| room.revoke(removed, now, rng)).unwrap();
    assert!(founder.room.withholds_from(&stranger, &old));
    assert!(!founder.room.withholds_from(&stranger, &newest(&founder)));
    // A member that has not heard of the rotation is a member, and whoever was removed is told of that.
    let admin = founder.room.acl().roster().map(|member| member.device).find(|device| *device != founder.id()).unwrap();
    assert!(!founder.room.withholds_from(&admin, &old));
    assert!(!founder.room.withholds_from(&removed, &old));
    // Somebody left, and nobody has made another secret yet.
    let mut leaver = founder.admits("Lea", Role::Member);
    let left = leaver.act(|room, now, _| room.leave(now)).unwrap();
    founder.takes_acl(&left);
    assert!(founder.room.withholds_from(&stranger, &newest(&founder)));
}
