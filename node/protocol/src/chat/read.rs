//! What of a chat its reader has seen. It must never count a message as seen because it came late and belongs before seen ones.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::chat::timeline::{Message, Position, Timeline};
use crate::id::{DeviceId, OpHash};
use crate::wire::{self, WireError};

/// Most late messages that are remembered as unseen; beyond it the oldest counts as seen.
pub const MAX_LATE: usize = 10_000;

/// How far a reader has read. A store keeps its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadMark {
    upto: Option<Position>,
    late: BTreeSet<Position>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    upto: Option<Place>,
    #[n(1)]
    late: Vec<Place>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Place {
    #[n(0)]
    lamport: u64,
    #[n(1)]
    device: DeviceId,
    #[n(2)]
    seq: u64,
    #[n(3)]
    incarnation: u64,
    #[n(4)]
    hash: OpHash,
}

impl ReadMark {
    /// Everything up to this message has been seen. True where that changed something.
    pub fn mark(&mut self, message: &Message) -> bool {
        let before = (self.upto, self.late.len());
        self.upto = self.upto.max(Some(message.position));
        self.late = self.late.split_off(&message.position);
        self.late.remove(&message.position);
        before != (self.upto, self.late.len())
    }

    /// A message came. True where it belongs before what has been seen, and is remembered as unseen.
    pub fn note(&mut self, message: &Message) -> bool {
        if self.upto.is_none_or(|upto| message.position > upto) {
            return false;
        }
        self.late.insert(message.position);
        if self.late.len() > MAX_LATE {
            self.late.pop_first();
        }
        true
    }

    /// Not seen yet. One's own messages never count.
    pub fn is_unread(&self, message: &Message, me: &DeviceId) -> bool {
        message.author != *me && (self.upto.is_none_or(|upto| message.position > upto) || self.late.contains(&message.position))
    }

    /// All that was not seen, oldest first, without one's own and without what was taken back.
    pub fn unread<'a>(&'a self, timeline: &'a Timeline, me: &'a DeviceId) -> impl Iterator<Item = &'a Message> {
        let late = self.late.iter().filter_map(|position| timeline.get(&position.4));
        late.chain(timeline.after(self.upto.as_ref())).filter(|message| message.author != *me && !message.deleted())
    }

    /// For a store.
    pub fn encode(&self) -> Vec<u8> {
        let place = |(lamport, device, seq, incarnation, hash): &Position| Place {
            lamport: *lamport,
            device: *device,
            seq: *seq,
            incarnation: *incarnation,
            hash: *hash,
        };
        wire::encode(&Raw { upto: self.upto.as_ref().map(place), late: self.late.iter().map(place).collect() })
    }

    /// From a store.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: Raw = wire::decode(bytes)?;
        let position = |place: Place| (place.lamport, place.device, place.seq, place.incarnation, place.hash);
        Ok(Self { upto: raw.upto.map(position), late: raw.late.into_iter().take(MAX_LATE).map(position).collect() })
    }
}
