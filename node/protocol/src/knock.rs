//! Knocking at a room with an invitation, and answering. A stranger must never learn from an answer that a room exists, unless it holds
//! the secret of an invitation to it.
//!
//! ```text
//! door    → Challenge { commitment to a nonce }
//! knocker → Knock     { room, invitation, card, both devices, commitment, nonce } signed by the invitation's key
//! door    → Waiting   { the nonce }            an admin is asked; both screens show one code of eight digits
//!         → Admitted  { operations of the ACL log } in batches, or Refused { code }
//! ```
//!
//! The door is bound to its nonce before it sees the knocker's, and reveals it after: whoever stands in between cannot choose a nonce
//! that makes the codes of its two conversations equal, but has to be lucky once in a hundred million.

use core::time::Duration;

use crate::id::{DeviceId, RoomId};

mod doorkeeper;
mod knocker;
mod message;

pub(crate) use doorkeeper::batches;
pub use doorkeeper::{Doorkeeper, DoorkeeperOutput, MAX_PENDING, Rooms, SessionId};
pub(crate) use knocker::Collected;
pub use knocker::{KnockError, Knocker, KnockerOutput};
pub use message::{Admitted, Challenge, DoorMessage, Knock, KnockMessage, RefusalCode, Refused, SignedKnock, Waiting};

/// Signature label of a knock.
pub const KNOCK_LABEL: &str = "conclave/knock/1";
/// Longest frame of a knocker, in bytes.
pub const MAX_KNOCK_FRAME: usize = 16 * 1024;
/// Longest frame of a door, in bytes.
pub const MAX_DOOR_FRAME: usize = 256 * 1024;
/// How long either side waits for the other's next word, where no person is asked.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
const VERSION: u32 = 1;
const COMMITMENT_CONTEXT: &str = "conclave 2026 knock commitment v1";
const CODE_CONTEXT: &str = "conclave 2026 knock code v1";

/// Eight digits that the knocker and the admin compare by voice: made of the room, both devices and both nonces.
pub fn compare_code(
    room: &RoomId,
    knocker: &DeviceId,
    door: &DeviceId,
    knocker_nonce: &[u8; 32],
    door_nonce: &[u8; 32],
) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CODE_CONTEXT);
    for part in [room.as_bytes(), knocker.as_bytes(), door.as_bytes(), knocker_nonce, door_nonce] {
        hasher.update(part);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    format!("{:08}", u64::from_be_bytes(first) % 100_000_000)
}

fn commitment(nonce: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(COMMITMENT_CONTEXT, nonce)
}
