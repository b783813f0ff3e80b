//! How much of the ACL log one answer has, and who gets it.

use conclave_protocol::id::OpHash;
use conclave_protocol::log::acl::{AclKind, AclOp, Rename, Role};
use conclave_protocol::log::sync::MAX_ACL_ANSWER;
use conclave_protocol::wire::Signed;

use crate::support::{Peer, START_MS, signed};

/// So many renames by the founder, one on top of the other.
fn renames(founder: &Peer, count: usize) -> Vec<Signed> {
    let mut parents = founder.room.acl_heads().into_iter().take(1).collect::<Vec<OpHash>>();
    let rename = |number: usize, parents: Vec<OpHash>| {
        let kind = AclKind::Rename(Rename { name: format!("Founder {number}") });
        let op = AclOp { author: founder.id(), parents, time_ms: START_MS + number as u64, kind };
        op.sign(&founder.me.key, &founder.room.id())
    };
    (0..count)
        .map(|number| {
            let op = rename(number, std::mem::take(&mut parents));
            parents = vec![op.hash()];
            op
        })
        .collect()
}

#[test]
fn a_long_acl_log_comes_in_bounded_answers() {
    let mut founder = Peer::founds("Founder", true);
    let mut member = founder.admits("Member", Role::Member);
    let long = renames(&founder, 4_200);
    founder.takes_acl(&long);
    let mut answers = 0;
    loop {
        let announced = member.room.acl_heads_for(&founder.id());
        let answer = founder.room.acl_answer(&member.id(), &announced);
        assert!(answer.len() <= MAX_ACL_ANSWER);
        let mut fresh = false;
        for batch in answer {
            fresh |= !member.takes_acl(&batch).records.is_empty();
        }
        if !fresh {
            break;
        }
        answers += 1;
        assert_eq!(member.room.waiting(), 0, "parents come first");
    }
    assert!(answers > 1);
    assert_eq!(member.room.sizes(), founder.room.sizes());
    assert!(!member.room.acl_lacks(&founder.room.acl_heads()));
}

#[test]
fn a_removed_device_learns_of_its_removal_and_of_nothing_after_it() {
    let mut founder = Peer::founds("Founder", true);
    let mut removed = founder.admits("Removed", Role::Member);
    let before = removed.room.acl_heads();
    let revoke = founder.revokes(removed.id());
    let later = founder.admits("Newcomer", Role::Member);
    let rename = founder.act(|room, now, _| room.rename_me("Somebody", now)).unwrap();

    // What it asks for with what it knows, with nothing, and with what it cannot know.
    for announced in [before, Vec::new(), rename.iter().map(Signed::hash).collect()] {
        let answer: Vec<Signed> = founder.room.acl_answer(&removed.id(), &announced).concat();
        assert!(!answer.iter().any(|op| op.hash() == rename[0].hash()));
        let learnt = removed.room.handle_acl_ops(answer);
        removed.stored.extend(learnt.records);
    }
    assert_eq!(removed.room.my_role(), None, "it knows that it was removed");
    assert!(removed.room.acl().name_of(&later.id()).is_none());
    assert_eq!(removed.room.acl().name_of(&founder.id()), Some("Founder"));
    // The secret that the removal is followed by is after it, too.
    assert_eq!(revoke.iter().filter(|op| founder.room.may_learn(&removed.id(), &op.hash())).count(), 1);
    assert!(!founder.room.may_learn(&removed.id(), &rename[0].hash()));
    assert!(founder.room.may_learn(&later.id(), &rename[0].hash()));
    // Nor do heads tell that anything came after.
    let told = founder.room.acl_heads_for(&removed.id());
    assert!(!removed.room.acl_lacks(&told));
}

#[test]
fn a_removed_device_that_was_let_in_again_gets_the_whole_log() {
    let mut founder = Peer::founds("Founder", true);
    let mut admin = founder.admits("Admin", Role::Admin);
    let member = founder.admits("Member", Role::Member);
    founder.revokes(member.id());
    admin.takes_acl(&founder.room.acl_missing(&[]));
    let ops = admin.act(|room, now, rng| room.admit(member.me.card.clone(), Role::Member, None, now, rng)).unwrap();
    // The founder does not know yet, is told by the one concerned, and then gives what it held back.
    let kept_back = founder.act(|room, now, _| room.rename_me("Somebody", now)).unwrap();
    assert!(founder.room.acl_answer(&member.id(), &[]).concat().iter().all(|op| op.hash() != kept_back[0].hash()));
    founder.takes_acl(&ops);
    let answer = founder.room.acl_answer(&member.id(), &signed(&admin.stored).iter().map(Signed::hash).collect::<Vec<_>>());
    assert!(answer.concat().iter().any(|op| op.hash() == kept_back[0].hash()));
}
