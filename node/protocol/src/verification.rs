//! Whom this person has verified, and which key stood behind which name first. It never takes a new key under a known name for the same
//! person by itself: that one is *changed* until this person has verified or accepted it.
//!
//! A mark belongs to an account and holds in every room. A name belongs to a room: the first account that is seen under it is pinned to
//! it, and what comes later under that name is kept as its history. Two devices of one account are one person.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::id::AccountId;
use crate::identity::MAX_NAME;

/// Names that are pinned in a room. People who come under further names are still told as not verified.
pub const MAX_PINS: usize = 4_096;
/// Accounts that are kept of one name. Where there are more, one that was accepted by nobody is forgotten, and is *changed* again
/// whenever it is seen.
pub const MAX_HISTORY: usize = 16;
/// Accounts that can be verified.
pub const MAX_MARKS: usize = 65_536;

/// The accounts that this person has compared codes with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Marks {
    /// When, UTC milliseconds by this device's clock.
    #[n(0)]
    verified: BTreeMap<AccountId, u64>,
}

impl Marks {
    /// The codes were the same. Whether there was room for the mark; a first mark keeps its time.
    pub fn verify(&mut self, account: AccountId, now_ms: u64) -> bool {
        if self.verified.len() >= MAX_MARKS && !self.verified.contains_key(&account) {
            return false;
        }
        self.verified.entry(account).or_insert(now_ms);
        true
    }

    /// Takes the mark away; whether there was one.
    pub fn clear(&mut self, account: &AccountId) -> bool {
        self.verified.remove(account).is_some()
    }

    /// Since when, UTC milliseconds; `None` where never.
    pub fn since(&self, account: &AccountId) -> Option<u64> {
        self.verified.get(account).copied()
    }
}

/// One account that was seen under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeySeen {
    /// Which.
    #[n(0)]
    pub account: AccountId,
    /// When it was first seen, UTC milliseconds by this device's clock.
    #[n(1)]
    pub since_ms: u64,
    /// It was the first under the name, or this person accepted or verified it.
    #[n(2)]
    pub accepted: bool,
}

/// The names of one room, and the accounts that were seen under each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pins {
    #[n(0)]
    names: BTreeMap<String, Vec<KeySeen>>,
}

impl Pins {
    /// A member of the room has this name. Whether that is news, to be kept.
    pub fn see(&mut self, name: &str, account: AccountId, now_ms: u64) -> bool {
        let full = self.names.len() >= MAX_PINS;
        let Some(seen) = self.names.get_mut(name) else {
            if full || name.len() > MAX_NAME {
                return false;
            }
            self.names.insert(name.to_owned(), vec![KeySeen { account, since_ms: now_ms, accepted: true }]);
            return true;
        };
        if seen.iter().any(|key| key.account == account) {
            return false;
        }
        if seen.len() >= MAX_HISTORY {
            let Some(unaccepted) = seen.iter().position(|key| !key.accepted) else { return false };
            seen.remove(unaccepted);
        }
        seen.push(KeySeen { account, since_ms: now_ms, accepted: false });
        true
    }

    /// Another account stood under this name before, and this person has not said that it may.
    pub fn is_changed(&self, name: &str, account: &AccountId, marks: &Marks) -> bool {
        let Some(seen) = self.names.get(name) else { return false };
        marks.since(account).is_none() && !seen.iter().any(|key| key.account == *account && key.accepted)
    }

    /// From here on this account may go by this name. Whether that changed anything.
    pub fn accept(&mut self, name: &str, account: &AccountId) -> bool {
        let key = self.names.get_mut(name).and_then(|seen| seen.iter_mut().find(|key| key.account == *account));
        key.is_some_and(|key| !std::mem::replace(&mut key.accepted, true))
    }

    /// The accounts that were seen under a name, in the order in which they came.
    pub fn history(&self, name: &str) -> &[KeySeen] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }
}
