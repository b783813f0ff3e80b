//! Who may be reached through the relay: members, and each person only so often, whatever number of devices they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

/// The members, and who holds what. Shared with the relay's own limiters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quota(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    accounts: BTreeMap<PeerId, String>,
    held: BTreeMap<String, BTreeSet<PeerId>>,
    per_user: usize,
}

impl Quota {
    pub(crate) fn new(per_user: usize) -> Self {
        let quota = Self::default();
        quota.with(|inner| inner.per_user = per_user);
        quota
    }

    /// The members from here on. Gives who came, and who is none any more.
    pub(crate) fn set_members(&self, members: BTreeMap<PeerId, String>) -> (Vec<PeerId>, Vec<PeerId>) {
        self.with(|inner| {
            let came = members.keys().filter(|peer| !inner.accounts.contains_key(peer)).copied().collect();
            let went: Vec<PeerId> = inner.accounts.keys().filter(|peer| !members.contains_key(peer)).copied().collect();
            inner.accounts = members;
            for held in inner.held.values_mut() {
                held.retain(|peer| !went.contains(peer));
            }
            (came, went)
        })
    }

    /// Whether this device may hold a reservation; one that holds one already may renew it.
    pub(crate) fn try_reserve(&self, peer: PeerId) -> bool {
        self.with(|inner| {
            let Some(account) = inner.accounts.get(&peer) else { return false };
            let held = inner.held.entry(account.clone()).or_default();
            let free = held.contains(&peer) || held.len() < inner.per_user;
            if free {
                held.insert(peer);
            }
            free
        })
    }

    pub(crate) fn is_member(&self, peer: PeerId) -> bool {
        self.with(|inner| inner.accounts.contains_key(&peer))
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
        self.with(|inner| inner.held.values().map(BTreeSet::len).sum())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_holds_so_many_and_a_stranger_none() {
        let quota = Quota::new(2);
        let peers: Vec<PeerId> = (0..5).map(|_| PeerId::random()).collect();
        let [a, b, c, d, stranger] = peers[..] else { panic!("five peers") };
        let members = [(a, "ada"), (b, "ada"), (c, "ada"), (d, "bob")].map(|(peer, name)| (peer, name.to_owned()));
        assert_eq!(quota.set_members(members.clone().into()).0.len(), 4);
        assert!(quota.try_reserve(a) && quota.try_reserve(b));
        assert!(!quota.try_reserve(c), "the third of one person");
        assert!(quota.try_reserve(a), "a renewal");
        assert!(quota.try_reserve(d) && !quota.try_reserve(stranger));
        quota.release(a);
        assert!(quota.try_reserve(c));
        let (_, went) = quota.set_members(members.into_iter().filter(|(peer, _)| *peer != c).collect());
        assert_eq!(went, [c]);
        assert!(!quota.is_member(c) && quota.try_reserve(a));
    }
}
