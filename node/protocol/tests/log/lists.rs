//! A person takes a device out of their list: members pass the list on, and an admin removes the device.

use std::sync::Arc;

use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard};
use conclave_protocol::log::acl::Role;
use conclave_protocol::log::sync::RoomFrame;
use conclave_protocol::room::{Me, Refusal, RoomChange};
use conclave_protocol::wire::Signed;

use crate::support::*;

/// Somebody with two devices.
struct Ada {
    account: AccountKey,
    list: DeviceList,
    phone: Me,
    laptop: Me,
}

fn listed(key: &DeviceKey) -> ListedDevice {
    ListedDevice { device: key.id(), seal_key: key.seal_key() }
}

impl Ada {
    fn new() -> Self {
        let account = AccountKey::from_seed(&[1; 32]);
        let (phone, laptop) = (DeviceKey::from_seed(&[2; 32]), DeviceKey::from_seed(&[3; 32]));
        let mut list = DeviceList::found(&account, listed(&phone), START_MS);
        list.extend(&account, vec![listed(&phone), listed(&laptop)], START_MS + 1).unwrap();
        let card = |key: &DeviceKey| MemberCard::new(key, &list, "Ada").unwrap();
        let (first, second) = (card(&phone), card(&laptop));
        let (phone, laptop) = (Arc::new(phone), Arc::new(laptop));
        Self { account, phone: Me { key: phone, card: first }, laptop: Me { key: laptop, card: second }, list }
    }

    /// The entry in which the laptop is no more.
    fn without_laptop(&self) -> Signed {
        let mut list = self.list.clone();
        list.extend(&self.account, vec![listed(&self.phone.key)], START_MS + 2).unwrap();
        list.proof().unwrap().clone()
    }
}

/// Fay founded the room; Ada's two devices and Ben are plain members.
fn room(ada: &Ada) -> (Peer, Peer) {
    let mut fay = Peer::founds("Fay", true);
    for me in [&ada.phone, &ada.laptop] {
        let (now, mut rng) = (fay.tick(), Seeded(5));
        let applied = fay.room.admit(me.card.clone(), Role::Member, None, now, &mut rng).unwrap();
        fay.keep(applied);
    }
    let ben = fay.admits("Ben", Role::Member);
    (fay, ben)
}

#[test]
fn a_device_that_its_person_took_out_is_removed_by_an_admin_who_hears_of_it_from_a_member() {
    let ada = Ada::new();
    let (mut fay, mut ben) = room(&ada);
    let laptop = ada.laptop.key.id();
    assert_eq!(ben.room.withdrawn().count(), 0);
    let applied = ben.room.handle_lists(vec![ada.without_laptop()]);
    assert_eq!(applied.changes, [RoomChange::ListChanged(ada.account.id())]);
    ben.keep(applied);
    assert_eq!(ben.room.withdrawn().collect::<Vec<_>>(), [laptop]);
    assert!(ben.room.to_remove().is_empty(), "a plain member removes nobody");
    // As a frame, to Fay.
    let frame = RoomFrame::Lists(ben.room.lists().cloned().collect()).encode();
    let Ok(RoomFrame::Lists(entries)) = RoomFrame::decode(&frame) else { panic!() };
    let applied = fay.room.handle_lists(entries);
    fay.keep(applied);
    assert_eq!(fay.room.to_remove(), [laptop]);
    let revoked = fay.revokes(laptop);
    ben.takes_acl(&revoked);
    assert!(!ben.room.acl().is_member(&laptop) && ben.room.acl().is_member(&ada.phone.key.id()));
    assert!(ben.room.withdrawn().next().is_none() && fay.room.to_remove().is_empty());
}

#[test]
fn a_lower_head_is_refused_and_a_device_that_is_listed_still_may_come_back() {
    let ada = Ada::new();
    let (mut fay, _) = room(&ada);
    let (phone, laptop) = (ada.phone.key.id(), ada.laptop.key.id());
    let applied = fay.room.handle_lists(vec![ada.without_laptop()]);
    fay.keep(applied);
    // Older ones, and the same again, are no news.
    for older in ada.list.chain().iter().cloned().chain([ada.without_laptop()]) {
        assert!(fay.room.handle_lists(vec![older]).records.is_empty());
    }
    for device in [laptop, phone] {
        fay.revokes(device);
    }
    let admit = |fay: &mut Peer, me: &Me| {
        let card = me.card.clone();
        fay.act(|room, now, rng| room.admit(card, Role::Member, None, now, rng)).map(|_| ())
    };
    assert_eq!(admit(&mut fay, &ada.laptop), Err(Refusal::Withdrawn), "its card is of the list before");
    assert_eq!(admit(&mut fay, &ada.phone), Ok(()), "so is this one, but the newest list has it");
}

#[test]
fn what_is_known_of_a_list_outlives_a_restart() {
    let ada = Ada::new();
    let (mut fay, _) = room(&ada);
    let applied = fay.room.handle_lists(vec![ada.without_laptop()]);
    fay.keep(applied);
    let again = fay.reopened(9);
    assert_eq!(again.room.to_remove(), [ada.laptop.key.id()]);
    assert_eq!(again.room.list_of(&ada.account.id()), Some(&ada.without_laptop()));
}

#[test]
fn lists_of_strangers_and_lists_that_nobody_signed_change_nothing() {
    let ada = Ada::new();
    let (mut fay, _) = room(&ada);
    let stranger = person("Stranger").card.account_proof;
    let mut forged = ada.without_laptop();
    forged.sig[0] ^= 1;
    let not_a_list = Signed { payload: vec![0xa0], sig: [0; 64] };
    for entry in [stranger, forged, not_a_list] {
        let applied = fay.room.handle_lists(vec![entry]);
        assert!(applied.records.is_empty() && applied.changes.is_empty());
    }
    assert!(fay.room.to_remove().is_empty());
}

#[test]
fn two_lists_of_one_version_end_alike_in_both_orders() {
    let ada = Ada::new();
    let mut other = ada.list.clone();
    other.extend(&ada.account, vec![listed(&ada.laptop.key)], START_MS + 3).unwrap();
    let entries = [ada.without_laptop(), other.proof().unwrap().clone()];
    let ends = permutations(&entries).into_iter().map(|order| {
        let (mut fay, _) = room(&ada);
        for entry in order {
            fay.room.handle_lists(vec![entry]);
        }
        fay.room.to_remove()
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends[0].len(), 1);
    assert!(ends.iter().all(|end| *end == ends[0]));
}

#[test]
fn the_founder_is_never_removed_by_a_list() {
    let ada = Ada::new();
    let (mut fay, _) = room(&ada);
    fay.act(|room, now, _| room.set_role(ada.phone.key.id(), Role::Admin, now)).unwrap();
    let mut phone = fay.begin(ada.phone.clone());
    let seed_of_fay = fay.me.card.account;
    assert!(phone.room.withdrawn().all(|device| device != fay.id()));
    assert_eq!(phone.room.acl().account_of(&fay.id()), Some(seed_of_fay));
    let applied = phone.room.handle_lists(vec![ada.without_laptop()]);
    phone.keep(applied);
    assert_eq!(phone.room.to_remove(), [ada.laptop.key.id()], "an admin of the same person may");
}
