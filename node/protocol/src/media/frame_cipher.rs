//! SFrame (RFC 9605) over every encoded frame of media: keys from the room's presence session, one counter for each of them. No pair of
//! key and counter is ever used twice, whatever tracks, renditions and encoders come and go, and in whichever call.
//!
//! A key id tells the session, the sender and the epoch (RFC 9605, 5.2):
//!
//! ```text
//!   16 bits              10 bits   8 bits
//! +--------------------+---------+-------+
//! | session            | leaf    | epoch |
//! +--------------------+---------+-------+
//! ```
//!
//! *Session* is the first two bytes of the session's id, big endian; *leaf* the sender's index in the group; *epoch* the low bits of its
//! number. What describes a frame without being part of it is authenticated with it: see [`Meta`].

use core::time::Duration;
use std::collections::BTreeMap;

use sframe::CipherSuite;
use sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
use sframe::header::KeyId;
use sframe::key::{DecryptionKey, EncryptionKey};
use sframe::mls::{MlsKeyId, MlsKeyIdBitRange};
use zeroize::Zeroizing;

use crate::id::{DeviceId, SessionId};
use crate::session::Epoch;
use crate::session::message::MAX_ROSTER;

/// AES-128-GCM with a tag of 16 bytes (RFC 9605, 4.5: suite 4).
const SUITE: CipherSuite = CipherSuite::AesGcm128Sha256;
/// Length of a base key, in bytes: what is wanted of the exporter.
pub const BASE_KEY_LEN: usize = SUITE.key_len();
/// Longest header and tag of a sealed frame, in bytes.
pub const MAX_OVERHEAD: usize = 1 + 8 + 8 + 16;

const EPOCH_BITS: u8 = 8;
const LEAF_BITS: u8 = 10;
/// How many frames late a frame may be, counted over all tracks of its sender: those of about ten seconds.
const WINDOW: u64 = 2_048;
/// Epochs that are held: the current one, and those that are still accepted.
const MAX_EPOCHS: usize = 16;

/// What travels beside a frame in the clear and is authenticated with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Of a voice.
    Audio {
        /// Loudness in −dBov (RFC 6464): 0 the loudest, 127 silence.
        level: u8,
    },
    /// Of a picture.
    Video {
        /// Which of the sender's streams: a frame of a camera is none of a screen.
        stream: u8,
        /// As in the payload header.
        codec: u8,
        /// It can be decoded without any other.
        keyframe: bool,
    },
}

impl Meta {
    fn bytes(self) -> [u8; 3] {
        match self {
            Self::Audio { level } => [0, level, 0],
            Self::Video { stream, codec, keyframe } => [1 + (stream & 0x7f), codec, u8::from(keyframe)],
        }
    }
}

/// Why a frame was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no session, and nothing leaves in the clear.
    #[error("there is no key yet")]
    NoKey,
    /// The cipher refused.
    #[error("the frame could not be sealed")]
    Cipher,
}

/// Why a frame was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, or no header.
    #[error("not a sealed frame")]
    Malformed,
    /// Of an epoch that is not known yet, or not accepted any more.
    #[error("sealed under a key that is not held")]
    UnknownKey,
    /// The key is another sender's.
    #[error("sealed by somebody else")]
    WrongSender,
    /// It came before, or far too late.
    #[error("the frame came before, or far too late")]
    Replayed,
    /// It is not what was sealed.
    #[error("the frame is not what was sealed")]
    Forged,
}

struct Sender {
    key: DecryptionKey,
    replay: Window,
}

struct Held {
    session: SessionId,
    epoch: u64,
    roster: BTreeMap<u32, DeviceId>,
    base: Zeroizing<Vec<u8>>,
    /// This device's own, with its counter. `None` where it is not in the roster.
    seal: Option<(EncryptionKey, MonotonicCounter)>,
    send_from: Duration,
    /// Keys of the others by leaf, made when their first frame comes; at most one for each of the roster.
    senders: BTreeMap<u32, Sender>,
}

/// The keys of one room's media.
pub struct FrameKeys {
    me: DeviceId,
    /// Oldest first; at most [`MAX_EPOCHS`].
    held: Vec<Held>,
}

impl FrameKeys {
    /// No keys: nothing can be sealed or opened.
    pub fn new(me: DeviceId) -> Self {
        Self { me, held: Vec::new() }
    }

    /// The epochs of the room's session as they now are, whose base key is the export number `export`. `to_media` makes a time of the
    /// session one of [`FrameKeys::seal`]. The counters of epochs that stay go on.
    pub fn set_epochs(&mut self, epochs: &[Epoch], export: usize, to_media: impl Fn(Duration) -> Duration) {
        let mut before = core::mem::take(&mut self.held);
        for epoch in epochs.iter().skip(epochs.len().saturating_sub(MAX_EPOCHS)) {
            let same = |held: &Held| held.session == epoch.session && held.epoch == epoch.epoch;
            if let Some(at) = before.iter().position(same) {
                let mut held = before.swap_remove(at);
                held.send_from = to_media(epoch.send_from);
                self.held.push(held);
                continue;
            }
            let Some(base) = epoch.exports.get(export) else { continue };
            let mine = epoch.roster.iter().find(|(_, device)| **device == self.me).map(|(leaf, _)| *leaf);
            let seal = mine.and_then(|leaf| key_id(&epoch.session, epoch.epoch, leaf)).and_then(|kid| {
                let key = EncryptionKey::derive_from(SUITE, kid, base.as_slice()).ok()?;
                Some((key, MonotonicCounter::new(u64::MAX)))
            });
            self.held.push(Held {
                session: epoch.session,
                epoch: epoch.epoch,
                roster: epoch.roster.iter().take(MAX_ROSTER).map(|(leaf, device)| (*leaf, *device)).collect(),
                base: base.clone(),
                seal,
                send_from: to_media(epoch.send_from),
                senders: BTreeMap::new(),
            });
        }
    }

    /// Seals a frame under the newest epoch that everyone is taken to have by now.
    pub fn seal(&mut self, frame: &[u8], meta: Meta, now: Duration) -> Result<Vec<u8>, SealError> {
        let index = self.sealing_index(now).ok_or(SealError::NoKey)?;
        let (key, counter) = self.held.get_mut(index).and_then(|held| held.seal.as_mut()).ok_or(SealError::NoKey)?;
        let meta = meta.bytes();
        let view = MediaFrameView::try_with_meta_data(counter, frame, &meta).map_err(|_| SealError::Cipher)?;
        let mut sealed = Vec::new();
        view.encrypt_into(key, &mut sealed).map_err(|_| SealError::Cipher)?;
        sealed.drain(..meta.len());
        Ok(sealed)
    }

    /// What the next frame is sealed under: whoever was added with it could open none before.
    pub fn sealing(&self, now: Duration) -> Option<(SessionId, u64)> {
        self.sealing_index(now).and_then(|index| self.held.get(index)).map(|held| (held.session, held.epoch))
    }

    fn sealing_index(&self, now: Duration) -> Option<usize> {
        let ready = self.held.iter().rposition(|held| held.send_from <= now && held.seal.is_some());
        ready.or_else(|| self.held.iter().rposition(|held| held.seal.is_some()))
    }

    /// Opens a frame that is said to be of `from`.
    pub fn open(&mut self, from: &DeviceId, sealed: &[u8], meta: Meta) -> Result<Vec<u8>, OpenError> {
        let meta = meta.bytes();
        let view = EncryptedFrameView::try_with_meta_data(sealed, &meta).map_err(|_| OpenError::Malformed)?;
        let (kid, counter) = (view.header().key_id(), view.header().counter());
        let parts = MlsKeyId::from_key_id(kid, bit_range());
        let leaf = u32::try_from(parts.member_index()).map_err(|_| OpenError::UnknownKey)?;
        let fits = |held: &&mut Held| key_id(&held.session, held.epoch, leaf) == Some(kid);
        let held = self.held.iter_mut().rev().find(fits).ok_or(OpenError::UnknownKey)?;
        if held.roster.get(&leaf).ok_or(OpenError::UnknownKey)? != from {
            return Err(OpenError::WrongSender);
        }
        let sender = match held.senders.entry(leaf) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(first) => {
                let key = DecryptionKey::derive_from(SUITE, kid, held.base.as_slice()).map_err(|_| OpenError::UnknownKey)?;
                first.insert(Sender { key, replay: Window::default() })
            }
        };
        if !sender.replay.is_new(counter) {
            return Err(OpenError::Replayed);
        }
        let mut frame = Vec::new();
        view.decrypt_into(&sender.key, &mut frame).map_err(|_| OpenError::Forged)?;
        // Only what is authentic moves the window.
        sender.replay.mark(counter);
        frame.drain(..meta.len());
        Ok(frame)
    }

    /// Nothing can be sealed.
    pub fn is_empty(&self) -> bool {
        self.held.iter().all(|held| held.seal.is_none())
    }
}

impl core::fmt::Debug for FrameKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let epochs: Vec<u64> = self.held.iter().map(|held| held.epoch).collect();
        f.debug_struct("FrameKeys").field("epochs", &epochs).finish_non_exhaustive()
    }
}

fn bit_range() -> MlsKeyIdBitRange {
    MlsKeyIdBitRange::new(EPOCH_BITS, LEAF_BITS)
}

/// The key id of a leaf in an epoch; `None` where the leaf does not fit.
pub fn key_id(session: &SessionId, epoch: u64, leaf: u32) -> Option<KeyId> {
    let [high, low, ..] = session.0;
    MlsKeyId::try_new(u16::from_be_bytes([high, low]), epoch, leaf, bit_range()).ok().map(Into::into)
}

/// Which of the last [`WINDOW`] counters of one sender were taken.
#[derive(Debug)]
struct Window {
    /// One past the highest.
    next: u64,
    seen: [u64; (WINDOW / 64) as usize],
}

impl Default for Window {
    fn default() -> Self {
        Self { next: 0, seen: [0; (WINDOW / 64) as usize] }
    }
}

impl Window {
    fn is_new(&self, counter: u64) -> bool {
        counter >= self.next || (self.next - counter <= WINDOW && !self.is_set(counter))
    }

    fn is_set(&self, counter: u64) -> bool {
        self.seen.get((counter % WINDOW / 64) as usize).is_some_and(|word| word >> (counter % 64) & 1 == 1)
    }

    fn set(&mut self, counter: u64, on: bool) {
        if let Some(word) = self.seen.get_mut((counter % WINDOW / 64) as usize) {
            *word = *word & !(1 << (counter % 64)) | u64::from(on) << (counter % 64);
        }
    }

    fn mark(&mut self, counter: u64) {
        if counter >= self.next {
            // What the window moves over has not come.
            let from = self.next.max(counter.saturating_sub(WINDOW - 1));
            (from..counter).for_each(|skipped| self.set(skipped, false));
            self.next = counter.saturating_add(1);
        }
        self.set(counter, true);
    }
}
