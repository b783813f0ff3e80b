//! What those who lead a call may ask of the others, and small signs that all see. Who may is read from the room's log by whoever
//! receives it, never believed; nobody can be made to send anything.

use core::time::Duration;
use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::allowance::Allowance;
use crate::id::{CallId, DeviceId};
use crate::log::acl::Role;

/// Longest reaction, in bytes: an emoji of several parts.
pub const MAX_REACTION: usize = 32;
/// Reactions of one device: so many at once, then one in each interval. More are not shown.
const REACTIONS: (u32, Duration) = (8, Duration::from_millis(500));
/// Orders of one device, likewise.
const ORDERS: (u32, Duration) = (20, Duration::from_secs(1));
/// Devices that are counted. When it is full all are forgotten: only members are heard, who are fewer.
const MAX_COUNTED: usize = 1_024;

/// Something that floats over the call for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reaction {
    /// In which call.
    #[n(0)]
    pub call: CallId,
    /// At most [`MAX_REACTION`] bytes.
    #[n(1)]
    pub emoji: String,
}

/// What somebody who leads the call wants of one person, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HostOrder {
    /// In which call.
    #[n(0)]
    pub call: CallId,
    /// What.
    #[n(1)]
    pub act: HostAct,
    /// Of whom; absent with [`HostAct::END`].
    #[n(2)]
    pub target: Option<DeviceId>,
}

/// A number, so that one of a newer version can be read and left alone. There is none that opens a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct HostAct(#[n(0)] pub u32);

impl HostAct {
    /// The microphone is switched off; whoever is muted may switch it on again.
    pub const MUTE: Self = Self(0);
    /// The hand goes down.
    pub const LOWER_HAND: Self = Self(1);
    /// Out of the call. Whoever is removed may come back.
    pub const REMOVE: Self = Self(2);
    /// The call ends for everyone.
    pub const END: Self = Self(3);
}

/// Whether a member of this role may do this to a member of that role: those who admit people may, but not to the owner.
pub fn may_lead(role: Option<Role>, target: Option<Role>) -> bool {
    role.is_some_and(|role| role >= Role::Admin) && (target != Some(Role::Owner) || role == Some(Role::Owner))
}

/// How often each member reacts and orders.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    counted: BTreeMap<DeviceId, (Allowance, Allowance)>,
}

impl Signs {
    /// Nobody was heard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a reaction is to be shown.
    pub fn handle_reaction(&mut self, from: DeviceId, reaction: &Reaction, now: Duration) -> bool {
        let fits = (1..=MAX_REACTION).contains(&reaction.emoji.len()) && !reaction.emoji.chars().any(char::is_control);
        fits && self.counts(from, now).0.take(now)
    }

    /// Whether an order is to be looked at.
    pub fn handle_order(&mut self, from: DeviceId, now: Duration) -> bool {
        self.counts(from, now).1.take(now)
    }

    fn counts(&mut self, from: DeviceId, now: Duration) -> &mut (Allowance, Allowance) {
        if self.counted.len() >= MAX_COUNTED && !self.counted.contains_key(&from) {
            self.counted.clear();
        }
        self.counted
            .entry(from)
            .or_insert_with(|| (Allowance::new(REACTIONS.0, REACTIONS.1, now), Allowance::new(ORDERS.0, ORDERS.1, now)))
    }
}
