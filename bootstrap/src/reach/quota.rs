//! Who may be reached through the relay: members, and each person only so often, whatever number of devices they have. One who holds a
//! place keeps it for as long as they renew it, however full the relay is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

/// What the relay has to give.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Places {
    /// Reservations, and how many of them one person may hold.
    pub(crate) all: usize,
    pub(crate) per_user: usize,
    /// Circuits that one person may have begun at a time.
    pub(crate) circuits_per_user: usize,
}

/// The members, and who holds what. Shared with the relay's own limiters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quota(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    accounts: BTreeMap<PeerId, String>,
    held: BTreeMap<String, BTreeSet<PeerId>>,
    circuits: BTreeMap<String, usize>,
    places: Places,
}

impl Inner {
    fn all_held(&self) -> usize {
        self.held.values().map(BTreeSet::len).sum()
    }
}

impl Quota {
    pub(crate) fn new(places: Places) -> Self {
        let quota = Self::default();
        quota.with(|inner| inner.places = places);
        quota
    }

    /// The members from here on. Gives who came, and who is none any more.
    pub(crate) fn set_members(&self, members: BTreeMap<PeerId, String>) -> (Vec<PeerId>, Vec<PeerId>) {
        self.with(|inner| {
            let came = members.keys().filter(|peer| !inner.accounts.contains_key(peer)).copied().collect();
            let went: Vec<PeerId> = inner.accounts.keys().filter(|peer| !members.contains_key(peer)).copied().collect();
            inner.accounts = members;
            for held in inner.held.values_mut() {
                held.retain(|peer| inner.accounts.contains_key(peer));
            }
            inner.held.retain(|_, held| !held.is_empty());
            (came, went)
        })
    }

    /// Whether this device may hold a reservation; one that holds one already may renew it. When three quarters are taken, the rest is
    /// for people who have none yet.
    pub(crate) fn try_reserve(&self, peer: PeerId) -> bool {
        self.with(|inner| {
            let Some(account) = inner.accounts.get(&peer).cloned() else { return false };
            let (all, places) = (inner.all_held(), inner.places);
            let mine = inner.held.get(&account);
            let holds = mine.is_some_and(|held| held.contains(&peer));
            let free = match mine.map_or(0, BTreeSet::len) {
                0 => all < places.all && places.per_user > 0,
                mine => mine < places.per_user && all < places.all - places.all / 4,
            };
            if !holds && free {
                inner.held.entry(account).or_default().insert(peer);
            }
            holds || free
        })
    }

    pub(crate) fn is_member(&self, peer: &PeerId) -> bool {
        self.with(|inner| inner.accounts.contains_key(peer))
    }

    /// Whether this device may begin one more circuit.
    pub(crate) fn may_connect(&self, peer: PeerId) -> bool {
        self.with(|inner| {
            let account = inner.accounts.get(&peer);
            account.is_some_and(|account| inner.circuits.get(account).copied().unwrap_or(0) < inner.places.circuits_per_user)
        })
    }

    /// A circuit that this device began stands, or is over.
    pub(crate) fn set_circuit(&self, peer: PeerId, stands: bool) {
        self.with(|inner| {
            let Some(account) = inner.accounts.get(&peer).cloned() else { return };
            let count = inner.circuits.entry(account).or_default();
            *count = if stands { *count + 1 } else { count.saturating_sub(1) };
            inner.circuits.retain(|_, count| *count > 0);
        });
    }

    /// The device holds none any more.
    pub(crate) fn release(&self, peer: PeerId) {
        self.with(|inner| {
            for held in inner.held.values_mut() {
                held.remove(&peer);
            }
            inner.held.retain(|_, held| !held.is_empty());
        });
    }

    /// Devices that hold one.
    pub(crate) fn held(&self) -> usize {
        self.with(|inner| inner.all_held())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people<const N: usize>(names: [&str; N]) -> ([PeerId; N], BTreeMap<PeerId, String>) {
        let peers = [(); N].map(|()| PeerId::random());
        (peers, peers.into_iter().zip(names.map(str::to_owned)).collect())
    }

    #[test]
    fn a_person_holds_so_many_and_a_stranger_none() {
        let quota = Quota::new(Places { all: 100, per_user: 2, circuits_per_user: 2 });
        let ([a, b, c, d], members) = people(["ada", "ada", "ada", "bob"]);
        assert_eq!(quota.set_members(members.clone()).0.len(), 4);
        assert!(quota.try_reserve(a) && quota.try_reserve(b));
        assert!(!quota.try_reserve(c), "the third of one person");
        assert!(quota.try_reserve(a), "a renewal");
        assert!(quota.try_reserve(d) && !quota.try_reserve(PeerId::random()));
        quota.release(a);
        assert!(quota.try_reserve(c));
        let (_, went) = quota.set_members(members.into_iter().filter(|(peer, _)| *peer != c).collect());
        assert_eq!(went, [c]);
        assert!(!quota.is_member(&c) && !quota.may_connect(c) && quota.try_reserve(a));
    }

    #[test]
    fn who_holds_a_place_keeps_it_and_who_has_none_comes_first() {
        let quota = Quota::new(Places { all: 4, per_user: 4, circuits_per_user: 1 });
        let ([a, b, c, d, bob, cy], members) = people(["ada", "ada", "ada", "ada", "bob", "cy"]);
        quota.set_members(members);
        assert!(quota.try_reserve(a) && quota.try_reserve(b) && quota.try_reserve(c));
        assert!(!quota.try_reserve(d), "the last quarter is for those who have none");
        assert!(quota.try_reserve(bob));
        assert!(!quota.try_reserve(cy), "full");
        assert!(quota.try_reserve(bob) && quota.try_reserve(a), "full, and renewed all the same");
        quota.release(a);
        assert!(!quota.try_reserve(d) && quota.try_reserve(cy));
    }

    #[test]
    fn circuits_count_for_the_person() {
        let quota = Quota::new(Places { all: 4, per_user: 4, circuits_per_user: 2 });
        let ([a, b, bob], members) = people(["ada", "ada", "bob"]);
        quota.set_members(members);
        quota.set_circuit(a, true);
        quota.set_circuit(b, true);
        assert!(!quota.may_connect(a) && !quota.may_connect(b) && quota.may_connect(bob));
        quota.set_circuit(b, false);
        assert!(quota.may_connect(a));
    }
}
