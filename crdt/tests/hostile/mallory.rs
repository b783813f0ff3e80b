//! A member who signs whatever she likes.

use conclave_crdt::{Actor, Change, DocId};

pub(crate) const MALLORY: Actor = Actor([66; 16]);

/// Bytes as a change of hers on the first page.
pub(crate) fn wrap(bytes: &[u8]) -> Vec<(Actor, Change)> {
    vec![(MALLORY, Change { document: "000000000001".parse::<DocId>().unwrap(), bytes: bytes.to_vec() })]
}
