//! What nobody honest sends: refused, counted, and the honest go on.

use conclave_protocol::id::DeviceId;
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::session::message::{AppFrame, Fetch, JoinReq, SessionFrame};
use conclave_protocol::session::{Phase, RefusalKind};
use openmls::prelude::*;

use crate::raw::{CIPHERSUITE, Raw, TestProvider, TestSigner, credential, encode_key_package, key_package_of};
use crate::support::{Seeded, ms};
use crate::world::{AclOp, ROOM, World};

/// Node 0 is a writer that does as it likes; the others are honest and in its session.
fn led_by_raw(members: usize, seed: u64) -> (World, Raw) {
    let mut world = World::new(members, seed);
    let mut raw = Raw::new(&mut world, 0);
    raw.create(Extensions::empty());
    (1..members).for_each(|node| world.start(node));
    // The others must not find each other before.
    let honest: Vec<usize> = (1..members).collect();
    raw.gather(&mut world, &honest);
    for node in &honest {
        assert_eq!(world.nodes[*node].epoch().unwrap().session, raw.session());
    }
    (world, raw)
}

/// The honest have left the raw writer and are in a session of their own.
fn they_go_on(world: &mut World, honest: &[usize]) {
    let took = world.run_until(ms(40_000), |world| world.is_one(honest));
    assert!(took.is_some(), "the honest come together again");
    assert!(world.send(honest[0], b"on we go").is_some());
    world.run(ms(500));
    for node in &honest[1..] {
        assert_eq!(world.nodes[*node].received.last().unwrap().1, b"on we go");
    }
}

#[test]
fn a_commit_by_someone_else_is_refused_even_if_the_writer_vouches_for_it() {
    let mut world = World::new(3, 21);
    let mut writer = Raw::new(&mut world, 0);
    let mut other = Raw::new(&mut world, 2);
    writer.create(Extensions::empty());
    let key_package = key_package_of(&other.provider, &other.signer, other.id);
    let (_, welcome) = writer.commit(&world, vec![key_package], vec![]);
    let bytes = welcome.unwrap().1;
    let MlsMessageBodyIn::Welcome(welcome) =
        tls_codec::Deserialize::tls_deserialize_exact(&bytes).map(MlsMessageIn::extract).unwrap()
    else {
        panic!()
    };
    let config = MlsGroupJoinConfig::builder().use_ratchet_tree_extension(true).build();
    let staged = StagedWelcome::new_from_welcome(&other.provider, &config, welcome, None).unwrap();
    other.group = Some(staged.into_group(&other.provider).unwrap());
    world.start(1);
    writer.gather(&mut world, &[1]);
    // The other one has to follow to make a commit for the same epoch as the honest member is in.
    let epoch = world.nodes[1].epoch().unwrap().epoch;
    assert_eq!(epoch, 2);
    let (commit, _) = other.commit(&world, vec![], vec![]);
    // Signed by itself: it is of no session. Signed by the writer: its sender is not the writer.
    world.deliver(1, other.id, SessionFrame::Commit(commit.clone()));
    assert_eq!(world.nodes[1].refused(RefusalKind::UnknownSession), 1);
    let mut statement = writer.statement(&world, &commit.mls, None);
    statement.epoch = 3;
    let vouched = conclave_protocol::session::message::CommitFrame { statement: statement.sign(&writer.key, &ROOM), ..commit };
    world.deliver(1, other.id, SessionFrame::Commit(vouched));
    let node = &world.nodes[1];
    assert!(
        node.refused(RefusalKind::NotWriter) + node.refused(RefusalKind::Undecryptable) >= 1,
        "{:?}",
        node.session().refusals()
    );
    assert_eq!(node.epoch().unwrap().epoch, epoch);
}

#[test]
fn an_external_commit_is_refused_even_if_the_writer_vouches_for_it() {
    let (mut world, raw) = led_by_raw(4, 22);
    let banned = world.id(3);
    let info = raw.group.as_ref().unwrap().export_group_info(raw.provider.crypto(), &raw.signer, true).unwrap();
    let MlsMessageBodyIn::GroupInfo(info) =
        <MlsMessageIn as tls_codec::Deserialize>::tls_deserialize_exact(info.to_bytes().unwrap()).unwrap().extract()
    else {
        panic!()
    };
    let provider = TestProvider::default();
    let signer = TestSigner::of(&world.nodes[3].key);
    let (_, bundle) = MlsGroup::external_commit_builder()
        .build_group(&provider, info, credential(banned, &signer))
        .unwrap()
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &signer, |_| true)
        .unwrap()
        .finalize(&provider)
        .unwrap();
    let mls = bundle.into_commit().to_bytes().unwrap();
    let mut statement = raw.statement(&world, &mls, None);
    statement.epoch += 1;
    let frame =
        conclave_protocol::session::message::CommitFrame { statement: statement.sign(&raw.key, &ROOM), mls, updates: vec![] };
    let before = world.nodes[1].state();
    world.deliver(1, banned, SessionFrame::Commit(frame));
    assert_eq!(world.nodes[1].refused(RefusalKind::ExternalCommit), 1);
    assert_eq!(world.nodes[1].state(), before);
    they_go_on(&mut world, &[1, 2, 3]);
}

#[test]
fn a_group_with_external_senders_is_not_joined() {
    let mut world = World::new(3, 23);
    let mut raw = Raw::new(&mut world, 0);
    let sender = ExternalSender::new(raw.signer.public().into(), BasicCredential::new(raw.id.0.to_vec()).into());
    raw.create(Extensions::single(Extension::ExternalSenders(vec![sender])).unwrap());
    world.start(1);
    world.start(2);
    raw.gather(&mut world, &[1, 2]);
    for node in [1, 2] {
        assert_eq!(world.nodes[node].refused(RefusalKind::Extensions), 1, "{:?}", world.nodes[node].session().refusals());
    }
    they_go_on(&mut world, &[1, 2]);
}

#[test]
fn a_strangers_key_package_is_refused_by_the_writer_and_by_every_member() {
    let stranger = DeviceKey::generate(&mut Seeded(99));
    let (provider, signer) = (TestProvider::default(), TestSigner::of(&stranger));
    let key_package = key_package_of(&provider, &signer, stranger.id());
    // An honest writer.
    let mut world = World::settled(3, 24);
    let session = world.nodes[0].epoch().unwrap().session;
    let join = JoinReq { device: stranger.id(), session, counter: 1, key_package: encode_key_package(&key_package) };
    let (member, req) = (world.id(1), join.sign(&stranger, &ROOM));
    world.deliver(0, member, SessionFrame::JoinReq(req));
    assert_eq!(world.nodes[0].refused(RefusalKind::NotMember), 1);
    // The stranger's KeyPackage under a member's name.
    let join = JoinReq { device: member, counter: u64::MAX / 2, ..join };
    let req = join.sign(&world.nodes[1].key, &ROOM);
    world.deliver(0, member, SessionFrame::JoinReq(req));
    assert_eq!(world.nodes[0].refused(RefusalKind::ForeignLeaf), 1);
    world.run(ms(3_000));
    assert!(world.is_one(&[0, 1, 2]));
    // A writer that adds it.
    let (mut world, mut raw) = led_by_raw(3, 25);
    let (commit, _) = raw.commit(&world, vec![key_package], vec![]);
    for node in [1, 2] {
        world.deliver(node, raw.id, SessionFrame::Commit(commit.clone()));
        assert_eq!(world.nodes[node].refused(RefusalKind::NotAdmitted), 1);
    }
    they_go_on(&mut world, &[1, 2]);
}

#[test]
fn a_key_package_used_twice_is_refused() {
    let mut world = World::settled(4, 26);
    let recorded = std::rc::Rc::new(std::cell::RefCell::new(None));
    let tap = recorded.clone();
    world.tap = Some(Box::new(move |_, _, _, frame| {
        if let SessionFrame::JoinReq(req) = frame {
            *tap.borrow_mut() = Some(req.clone());
        }
        None
    }));
    world.crash(3);
    world.run(ms(500));
    world.start(3);
    world.run_until(ms(20_000), |world| world.is_one(&[0, 1, 2, 3])).unwrap();
    let mut join = JoinReq::open(recorded.borrow().as_ref().unwrap(), &ROOM).unwrap();
    join.counter += 5;
    let epoch = world.nodes[0].state();
    let (device, req) = (world.id(3), join.sign(&world.nodes[3].key, &ROOM));
    world.deliver(0, device, SessionFrame::JoinReq(req));
    assert_eq!(world.nodes[0].refused(RefusalKind::KeyPackageReused), 1);
    world.run(ms(3_000));
    assert_eq!(world.nodes[0].state(), epoch, "nobody was added");
}

#[test]
fn two_leaves_of_one_device_are_refused() {
    let (mut world, mut raw) = led_by_raw(3, 27);
    // MLS itself allows no two leaves with one signature key, so the second has another and the name of the device.
    let other = TestSigner::of(&DeviceKey::generate(&mut Seeded(5)));
    let key_package = key_package_of(&TestProvider::default(), &other, world.id(2));
    let (commit, _) = raw.commit(&world, vec![key_package], vec![]);
    world.deliver(1, raw.id, SessionFrame::Commit(commit));
    let node = &world.nodes[1];
    assert_eq!(node.refused(RefusalKind::ForeignLeaf) + node.refused(RefusalKind::TwoLeaves), 1);
    they_go_on(&mut world, &[1, 2]);
}

#[test]
fn a_welcome_for_someone_else_is_refused() {
    let mut world = World::new(3, 28);
    let mut raw = Raw::new(&mut world, 0);
    raw.create(Extensions::empty());
    let other = TestSigner::of(&world.nodes[2].key);
    let (_, welcome) = raw.commit(&world, vec![key_package_of(&TestProvider::default(), &other, world.id(2))], vec![]);
    let (statement, welcome) = welcome.unwrap();
    world.start(1);
    // For another device; for this device though it asked for nothing; for this device with what was sealed to another.
    let (id1, id2) = (world.id(1), world.id(2));
    world.deliver(1, raw.id, raw.welcome(id2, &statement, welcome.clone()));
    world.deliver(1, raw.id, raw.welcome(id1, &statement, welcome.clone()));
    raw.speak(&mut world, 1);
    world.run(ms(400));
    assert_eq!(world.nodes[1].session().phase(), Phase::Joining);
    world.deliver(1, raw.id, raw.welcome(id1, &statement, welcome));
    assert_eq!(world.nodes[1].refused(RefusalKind::WelcomeNotForMe), 3);
    assert!(world.nodes[1].epoch().is_none());
}

#[test]
fn floods_of_each_message_are_cut_short_and_the_others_are_served() {
    let mut world = World::settled(4, 29);
    let frames = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = frames.clone();
    world.tap = Some(Box::new(move |_, from, _, frame| {
        tap.borrow_mut().push((from, frame.clone()));
        None
    }));
    world.send(3, b"one message");
    world.crash(2);
    world.run(ms(7_000));
    world.start(2);
    world.run_until(ms(20_000), |world| world.is_one(&[0, 1, 2, 3])).unwrap();
    world.tap = None;
    let session = world.nodes[0].epoch().unwrap().session;
    let mut kinds: Vec<SessionFrame> = Vec::new();
    for (_, frame) in frames.borrow().iter() {
        if !kinds.iter().any(|other| core::mem::discriminant(other) == core::mem::discriminant(frame)) {
            kinds.push(frame.clone());
        }
    }
    kinds.push(SessionFrame::Fetch(Fetch { session, epoch: 0 }));
    kinds.push(SessionFrame::Leave(conclave_protocol::session::message::Leave {
        session: conclave_protocol::id::SessionId([1; 32]),
    }));
    assert!(kinds.len() >= 6, "{}", kinds.len());
    let flooder = world.id(1);
    for kind in &kinds {
        let before = world.nodes[0].refused(RefusalKind::Flood);
        for _ in 0..3_000 {
            world.deliver(0, flooder, kind.clone());
        }
        assert!(world.nodes[0].refused(RefusalKind::Flood) > before + 2_000);
    }
    world.run(ms(3_000));
    assert!(world.is_one(&[0, 1, 2, 3]));
    world.send(0, b"still here");
    world.run(ms(500));
    assert!([1, 2, 3].iter().all(|node| world.nodes[*node].received.last().unwrap().1 == b"still here"));
}

/// Case 39.
#[test]
fn truncated_old_replayed_and_foreign_messages_are_refused() {
    let mut world = World::settled(4, 30);
    let recorded = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = recorded.clone();
    world.tap = Some(Box::new(move |_, from, _, frame| {
        if let SessionFrame::App(app) = frame {
            tap.borrow_mut().push((from, app.clone()));
        }
        None
    }));
    world.send(1, b"the message");
    world.send(3, b"of a member that is removed");
    world.run(ms(300));
    let (from, app) = recorded.borrow().iter().find(|(from, _)| *from == world.id(1)).unwrap().clone();
    let received = world.nodes[2].received.len();
    let count = |world: &World| world.nodes[2].session().refusals().values().sum::<u64>();
    // Told again, cut short anywhere, without a tag, and with any bit changed.
    let before = count(&world);
    world.deliver(2, from, SessionFrame::App(app.clone()));
    let mut tried = 1;
    for length in [0, 1, 20, app.mls.len() - 17, app.mls.len() - 16, app.mls.len() - 1] {
        world.deliver(2, from, SessionFrame::App(AppFrame { mls: app.mls[..length].to_vec(), ..app.clone() }));
        tried += 1;
    }
    for at in (0..app.mls.len()).step_by(7) {
        let mut mls = app.mls.clone();
        mls[at] ^= 0x10;
        world.deliver(2, from, SessionFrame::App(AppFrame { mls, ..app.clone() }));
        tried += 1;
    }
    // A message of a later epoch waits; all others are refused.
    assert!(count(&world) - before >= tried - 8, "{} of {tried}", count(&world) - before);
    assert_eq!(world.nodes[2].received.len(), received, "nothing of it is shown");
    // Of a member that was removed, and of an epoch that is over.
    let (removed, of_removed) = recorded.borrow().iter().find(|(from, _)| *from == world.id(3)).unwrap().clone();
    let known = world.write_acl(AclOp::Revoke(removed));
    (0..3).for_each(|node| world.learn(node, known));
    world.run_until(ms(10_000), |world| world.is_one(&[0, 1, 2])).unwrap();
    world.run(ms(1_000));
    let before = world.nodes[2].refused(RefusalKind::NotMember);
    world.deliver(2, removed, SessionFrame::App(of_removed.clone()));
    assert_eq!(world.nodes[2].refused(RefusalKind::NotMember), before + 1);
    let before = world.nodes[2].refused(RefusalKind::OldEpoch);
    world.deliver(2, from, SessionFrame::App(of_removed));
    assert_eq!(world.nodes[2].refused(RefusalKind::OldEpoch), before + 1);
    assert_eq!(world.nodes[2].received.len(), received);
}

/// Case 40.
#[test]
fn conflicting_commits_are_proved_and_the_members_converge() {
    let (mut world, mut raw) = led_by_raw(4, 31);
    let mut twin = raw.fork();
    let (one, _) = raw.commit(&world, vec![], vec![]);
    let (other, _) = twin.commit(&world, vec![], vec![]);
    world.deliver(1, raw.id, SessionFrame::Commit(one.clone()));
    world.deliver(2, raw.id, SessionFrame::Commit(one));
    world.deliver(3, raw.id, SessionFrame::Commit(other));
    let authenticator = |world: &World, node: usize| world.nodes[node].state().unwrap();
    assert_ne!(authenticator(&world, 1), authenticator(&world, 3));
    let excluded = |world: &World| (1..4).all(|node| world.nodes[node].session().excluded().any(|device| *device == raw.id));
    world.run_until(ms(5_000), excluded).expect("the proof travels");
    they_go_on(&mut world, &[1, 2, 3]);
}

#[test]
fn a_writer_that_ignores_a_revocation_is_left_by_all_who_know_it() {
    let (mut world, mut raw) = led_by_raw(4, 33);
    let known = world.write_acl(AclOp::Revoke(world.id(3)));
    world.learn(1, known);
    world.learn(2, known);
    for _ in 0..14 {
        raw.speak(&mut world, 1);
        raw.speak(&mut world, 2);
        world.run(ms(1_000));
    }
    assert!([1, 2].iter().all(|node| world.nodes[*node].epoch().is_some_and(|epoch| epoch.session != raw.session())));
    they_go_on(&mut world, &[1, 2]);
}

#[test]
fn a_message_of_someone_who_is_no_member_is_refused() {
    let mut world = World::settled(3, 32);
    let stranger = DeviceId([3; 32]);
    let session = world.nodes[0].epoch().unwrap().session;
    world.deliver(0, stranger, SessionFrame::Fetch(Fetch { session, epoch: 0 }));
    assert_eq!(world.nodes[0].refused(RefusalKind::NotMember), 1);
}

#[test]
fn the_cipher_suite_is_the_designs() {
    assert_eq!(CIPHERSUITE as u16, 3);
}
