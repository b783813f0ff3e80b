//! The newest entries of members' device lists, which members pass on to each other: a device that its person has taken out of the list
//! is out of the room as soon as an admin knows. It must never believe an entry that the account did not sign, nor go back to an older
//! one.

use std::collections::BTreeMap;

use crate::id::{AccountId, DeviceId, OpHash};
use crate::identity::{DeviceListEntry, MemberCard};
use crate::log::acl::{AclKind, Role};
use crate::room::record::Record;
use crate::room::{Applied, Room, RoomChange};
use crate::wire::Signed;

/// What is known of each person who is a member: at most one entry of at most [`crate::identity::MAX_DEVICE_ENTRY`] bytes each.
pub(super) type Lists = BTreeMap<AccountId, Known>;

#[derive(Debug)]
pub(super) struct Known {
    entry: DeviceListEntry,
    signed: Signed,
}

impl Known {
    /// The later of two entries is the one of the higher version. Of two with one version, which an account makes that was changed on two
    /// devices apart, everybody takes the same.
    fn age(&self) -> (u64, OpHash) {
        (self.entry.version, self.signed.hash())
    }
}

impl Room {
    /// Entries of device lists, as a member or this device's own person gives them.
    pub fn handle_lists(&mut self, entries: Vec<Signed>) -> Applied {
        let mut applied = Applied::default();
        for signed in entries {
            let Ok(entry) = DeviceListEntry::verify(&signed) else {
                applied.refused.malformed += 1;
                continue;
            };
            // Of those alone who are here, so that nobody fills the store with strangers.
            // An honest member may know of somebody who is not known here yet: it is said again on the next stream.
            if !self.acl.roster().any(|member| member.account == entry.account) {
                continue;
            }
            let account = entry.account;
            if self.learn(Known { entry, signed: signed.clone() }) {
                applied.records.push(Record::List(signed));
                applied.changes.push(RoomChange::ListChanged(account));
            }
        }
        applied
    }

    /// What is known beyond the cards in the ACL log, to be shown to every member that comes.
    pub fn lists(&self) -> impl Iterator<Item = &Signed> {
        let shown = |known: &&Known| self.acl.roster().any(|member| member.account == known.entry.account);
        self.lists.values().filter(shown).map(|known| &known.signed)
    }

    /// The newest entry that is known of a person.
    pub fn list_of(&self, account: &AccountId) -> Option<&Signed> {
        self.lists.get(account).map(|known| &known.signed)
    }

    /// Members that their own person has taken out of the list, as far as is known.
    pub fn withdrawn(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.acl.roster().filter(|member| !self.is_listed(&member.account, &member.device)).map(|member| member.device)
    }

    /// Those of [`Room::withdrawn`] that this device may remove: an admin, over whoever is no senior of it.
    pub fn to_remove(&self) -> Vec<DeviceId> {
        if self.my_role() < Some(Role::Admin) {
            return Vec::new();
        }
        self.withdrawn().filter(|device| *device != self.me() && self.may_revoke(device)).collect()
    }

    /// The person behind a card vouches for its device still: by the newest entry that is known, not by the one that the card brings.
    pub(super) fn vouches_for(&self, card: &MemberCard) -> bool {
        self.is_listed(&card.account, &card.device)
    }

    /// What a store held.
    pub(super) fn recall_list(&mut self, signed: Signed) {
        if let Ok(entry) = DeviceListEntry::verify(&signed) {
            self.learn(Known { entry, signed });
        }
    }

    /// What the cards of newly linked operations say.
    pub(super) fn learn_from_cards(&mut self, linked: &[OpHash]) {
        for hash in linked {
            let card = match self.acl_log.get(hash).map(|node| &node.op.kind) {
                Some(AclKind::Create(create)) => &create.founder,
                Some(AclKind::Admit(admit)) => &admit.card,
                _ => continue,
            };
            let signed = card.account_proof.clone();
            // The signature was checked with the card.
            if let Ok(entry) = DeviceListEntry::decode(&signed) {
                self.learn(Known { entry, signed });
            }
        }
    }

    /// Whether it is news.
    fn learn(&mut self, known: Known) -> bool {
        let newer = self.lists.get(&known.entry.account).is_none_or(|before| before.age() < known.age());
        if newer {
            self.lists.insert(known.entry.account, known);
        }
        newer
    }

    fn is_listed(&self, account: &AccountId, device: &DeviceId) -> bool {
        self.lists.get(account).is_none_or(|known| known.entry.devices.iter().any(|listed| listed.device == *device))
    }
}
