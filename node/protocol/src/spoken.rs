//! A code that is spoken: a number and three words, by which somebody in the same room is let in without a link. The words never travel,
//! and who listens, asks or answers falsely gets one guess for each time that somebody tries.
//!
//! ```text
//! hearer  → Ask    { number, sid, share }       to every device within reach: the number names no room and is no secret
//! speaker → Offer  { share }                    CPace with the words and both devices
//! hearer  → Prove  { tag, sealed card }         who does not know the words learns neither the name nor whether they fit
//! speaker → Proved { tag, sealed room }
//!         → Admitted { operations of the ACL log } in batches, as behind a knock
//! ```
//!
//! The hearer proves first, so that a stranger who guesses has to show the guess before it learns anything, and the speaker counts it.
//! The other way round the hearer counts what it has shown: [`MAX_SHOWN`] in all.

use core::fmt;
use core::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use zeroize::Zeroizing;

use crate::id::DeviceId;

mod code;
mod cpace;
mod hearer;
mod message;
mod speaker;

pub use code::{CODE_WORDS, CodeError, MAX_NUMBER, SpokenCode};
pub use cpace::{Share, answer, begin};
pub use hearer::{HearError, Hearer, HearerOutput, Introduction, MAX_SHOWN};
pub use message::{Ask, HearerMessage, Offer, Prove, Proved, SpeakerMessage};
pub use speaker::{MAX_CODES, MAX_FAILURES, Speaker, SpeakerOutput, SpokenEnd};

/// How long a code lets somebody in.
pub const SPOKEN_FOR: Duration = Duration::from_secs(600);
/// Longest frame of a hearer, in bytes: its card sealed.
pub const MAX_HEARER_FRAME: usize = 16 * 1024;
/// Longest frame of a speaker, in bytes.
pub const MAX_SPEAKER_FRAME: usize = crate::knock::MAX_DOOR_FRAME;
const VERSION: u32 = 1;
/// What CPace calls the channel: it binds a run to its purpose and both devices.
const CHANNEL: &[u8] = b"conclave/speak/1";

/// What both sides of one run share, if they had the same words.
pub struct Agreed(Zeroizing<[u8; 64]>);

impl Agreed {
    fn key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.0.as_ref())
    }

    /// Shows that the hearer knows the words.
    pub fn hearer_tag(&self) -> [u8; 32] {
        self.key("conclave 2026 speak hearer tag v1")
    }

    /// Shows that the speaker does.
    pub fn speaker_tag(&self) -> [u8; 32] {
        self.key("conclave 2026 speak speaker tag v1")
    }

    /// Seals what the hearer says of itself.
    pub fn seal_hearer(&self, plain: &[u8]) -> Vec<u8> {
        seal(&self.key("conclave 2026 speak hearer box v1"), &self.hearer_tag(), plain)
    }

    /// Seals what the speaker says of the room.
    pub fn seal_speaker(&self, plain: &[u8]) -> Vec<u8> {
        seal(&self.key("conclave 2026 speak speaker box v1"), &self.speaker_tag(), plain)
    }

    fn open_hearer(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.key("conclave 2026 speak hearer box v1"), &self.hearer_tag(), sealed)
    }

    fn open_speaker(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.key("conclave 2026 speak speaker box v1"), &self.speaker_tag(), sealed)
    }
}

impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agreed(..)")
    }
}

/// The channel of a run: hearer, then speaker.
fn channel(hearer: &DeviceId, speaker: &DeviceId) -> Vec<u8> {
    [CHANNEL, hearer.as_bytes(), speaker.as_bytes()].concat()
}

/// Each key seals once, so the nonce is fixed. What is sealed is opened only after the tag was compared: ChaCha20-Poly1305 by itself would
/// let one box fit several keys, which is several guesses in one.
fn seal(key: &[u8; 32], tag: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: tag };
    ChaCha20Poly1305::new(&Key::from(*key)).encrypt(&Nonce::default(), payload).unwrap_or_default()
}

fn open(key: &[u8; 32], tag: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: sealed, aad: tag };
    ChaCha20Poly1305::new(&Key::from(*key)).decrypt(&Nonce::default(), payload).ok()
}

/// In the same time wherever they differ.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    blake3::Hash::from(*one) == blake3::Hash::from(*other)
}
