//! Who says to be in which session: sealed presences and what was heard of them. It never moves anybody by itself, and never forgets
//! which presence was newer.
//!
//! ```text
//! key    = BLAKE3 derive_key("conclave 2026 session beacon v1", discovery secret)
//! sealed = nonce (24, random) ‖ XChaCha20-Poly1305(key, nonce, encoded Signed, associated data = RoomId)
//! ```

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::id::{DeviceId, OpHash, RoomId, SessionId};
use crate::session::message::{MAX_PRESENCE, Presence, SealedPresence};
use crate::session::{LOST_AFTER, RefusalKind};
use crate::wire::{self, Signed};

const BEACON_CONTEXT: &str = "conclave 2026 session beacon v1";
/// Most devices whose presence is kept. One more is kept in place of the one heard longest ago.
const MAX_HEARD: usize = 1_024;
/// Sessions of one device whose newest presence is remembered, so that an older one cannot be told again.
const MAX_REMEMBERED: usize = 4;

/// Seals a signed presence under a discovery secret of the room.
pub fn seal_presence(signed: &Signed, secret: &[u8; 32], room: &RoomId, rng: &mut impl CryptoRng) -> SealedPresence {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    seal(signed, secret, room, nonce)
}

/// Opens a sealed presence with any of the room's discovery secrets, newest last. The signature is not looked at.
pub fn open_presence(sealed: &SealedPresence, secrets: &[Zeroizing<[u8; 32]>], room: &RoomId) -> Option<Signed> {
    open(sealed, secrets, room)
}

/// Seals a signed presence. `nonce`: random.
pub(crate) fn seal(signed: &Signed, secret: &[u8; 32], room: &RoomId, nonce: [u8; 24]) -> SealedPresence {
    let plaintext = wire::encode(signed);
    // Sealing fails only beyond 256 GiB.
    let ciphertext =
        cipher(secret).encrypt(&XNonce::from(nonce), Payload { msg: &plaintext, aad: room.as_bytes() }).unwrap_or_default();
    SealedPresence { sealed: [nonce.as_slice(), &ciphertext].concat() }
}

/// Opens a sealed presence with any of the secrets, newest last. The signature is not looked at.
pub(crate) fn open(sealed: &SealedPresence, secrets: &[Zeroizing<[u8; 32]>], room: &RoomId) -> Option<Signed> {
    let (nonce, ciphertext) = sealed.sealed.split_at_checked(24)?;
    let nonce: [u8; 24] = nonce.try_into().ok()?;
    secrets.iter().rev().find_map(|secret| {
        let payload = Payload { msg: ciphertext, aad: room.as_bytes() };
        let plaintext = cipher(secret).decrypt(&XNonce::from(nonce), payload).ok()?;
        wire::decode_within(&plaintext, MAX_PRESENCE + 128).ok()
    })
}

fn cipher(secret: &[u8; 32]) -> XChaCha20Poly1305 {
    let key = Zeroizing::new(blake3::derive_key(BEACON_CONTEXT, secret));
    XChaCha20Poly1305::new(&Key::from(*key))
}

/// What a device said last.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) session: SessionId,
    pub(crate) writer: DeviceId,
    pub(crate) epoch: u64,
    pub(crate) authenticator: [u8; 32],
    pub(crate) size: u32,
    pub(crate) acl_heads: Vec<OpHash>,
    pub(crate) hears: Vec<u8>,
    pub(crate) collecting: bool,
    /// The stream it came over is gone: the device may have begun anew since, and has to say anew where it is.
    pub(crate) interrupted: bool,
    pub(crate) at: Duration,
    pub(crate) signed: Signed,
}

impl Heard {
    /// Whether the device of this leaf was heard by the one who says this.
    pub(crate) fn hears(&self, leaf: u32) -> bool {
        self.hears.get(leaf as usize / 8).is_some_and(|byte| byte & (1 << (leaf % 8)) != 0)
    }
}

#[derive(Debug, Default)]
struct Voice {
    /// `None` after it left.
    last: Option<Heard>,
    /// The newest (epoch, counter) of each session it was in, the newest session last.
    newest: VecDeque<(SessionId, (u64, u64))>,
}

/// An epoch as presences name it: session, number, authenticator.
pub(crate) type InEpoch = (SessionId, u64, [u8; 32]);

/// A session that someone is heard in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) session: SessionId,
    pub(crate) writer: DeviceId,
    pub(crate) size: u32,
}

/// The presences of the other members.
#[derive(Debug, Default)]
pub(crate) struct Voices(BTreeMap<DeviceId, Voice>);

impl Voices {
    /// Takes a presence that came over a stream of the device that it names. A signature is verified by `verify` where what it
    /// vouches for is new: the stream has proved the sender, the signature is for those who are shown it.
    pub(crate) fn take(
        &mut self,
        room: &RoomId,
        presence: Presence,
        signed: Signed,
        now: Duration,
        verify: impl FnOnce() -> bool,
    ) -> Result<&Heard, RefusalKind> {
        let session = presence.session(room);
        let order = (presence.epoch, presence.counter);
        let voice = self.0.get(&presence.device);
        let newest = voice.and_then(|voice| voice.newest.iter().find(|(other, _)| *other == session));
        if newest.is_some_and(|(_, newest)| order <= *newest) {
            return Err(RefusalKind::Replayed);
        }
        let same = voice.and_then(|voice| voice.last.as_ref()).is_some_and(|last| {
            (last.session, last.epoch, last.authenticator) == (session, presence.epoch, presence.authenticator)
        });
        if !same && !verify() {
            return Err(RefusalKind::BadSignature);
        }
        if voice.is_none() && self.0.len() >= MAX_HEARD {
            let quietest = self.0.iter().min_by_key(|(_, voice)| voice.last.as_ref().map(|last| last.at));
            if let Some(device) = quietest.map(|(device, _)| *device) {
                self.0.remove(&device);
            }
        }
        let device = presence.device;
        let voice = self.0.entry(device).or_default();
        voice.newest.retain(|(other, _)| *other != session);
        voice.newest.push_back((session, order));
        if voice.newest.len() > MAX_REMEMBERED {
            voice.newest.pop_front();
        }
        // Where what was signed is the same as before, the signature that was verified is kept beside it.
        let signed = match voice.last.take() {
            Some(last) if same => last.signed,
            _ => signed,
        };
        let Presence { writer, epoch, authenticator, size, acl_heads, heard: hears, collecting, .. } = presence;
        let collecting = collecting == Some(true);
        let interrupted = false;
        let heard =
            Heard { session, writer, epoch, authenticator, size, acl_heads, hears, collecting, interrupted, at: now, signed };
        Ok(voice.last.insert(heard))
    }

    /// What a device said last, if that was lately.
    pub(crate) fn fresh(&self, device: &DeviceId, now: Duration) -> Option<&Heard> {
        self.0.get(device)?.last.as_ref().filter(|heard| heard.at + LOST_AFTER > now)
    }

    /// The device left, or does not belong to the room any more.
    pub(crate) fn forget(&mut self, device: &DeviceId) {
        if let Some(voice) = self.0.get_mut(device) {
            voice.last = None;
        }
    }

    /// The stream to the device is gone.
    pub(crate) fn interrupt(&mut self, device: &DeviceId) {
        if let Some(heard) = self.0.get_mut(device).and_then(|voice| voice.last.as_mut()) {
            heard.interrupted = true;
        }
    }

    /// Everyone who was heard lately.
    pub(crate) fn all(&self, now: Duration) -> impl Iterator<Item = (DeviceId, &Heard)> {
        let fresh = move |heard: &&Heard| heard.at + LOST_AFTER > now;
        self.0.iter().filter_map(move |(device, voice)| Some((*device, voice.last.as_ref().filter(fresh)?)))
    }

    /// The device of this leaf is heard in this epoch, by this device or by another that was heard lately.
    pub(crate) fn is_heard_in(
        &self,
        epoch: &InEpoch,
        device: &DeviceId,
        leaf: Option<u32>,
        lately: Duration,
        now: Duration,
    ) -> bool {
        let in_epoch = |heard: &Heard| (heard.session, heard.epoch, heard.authenticator) == *epoch && heard.at + lately > now;
        self.fresh(device, now).is_some_and(|heard| !heard.interrupted && in_epoch(heard))
            || leaf
                .is_some_and(|leaf| self.all(now).any(|(other, heard)| other != *device && in_epoch(heard) && heard.hears(leaf)))
    }

    /// The sessions whose writer is heard: by this device, or by a member of the session that is.
    pub(crate) fn candidates(&self, now: Duration) -> Vec<Candidate> {
        let mut candidates: BTreeMap<SessionId, (Candidate, bool)> = BTreeMap::new();
        for (device, heard) in self.all(now) {
            let own = heard.writer == device;
            // The writer is leaf 0 as long as the session lives.
            if !own && !heard.hears(0) {
                continue;
            }
            let candidate = Candidate { session: heard.session, writer: heard.writer, size: heard.size };
            let (known, by_writer) = candidates.entry(heard.session).or_insert((candidate, own));
            // What the writer itself says of the size counts, else the largest that a member says.
            if own {
                (*known, *by_writer) = (candidate, true);
            } else if !*by_writer {
                known.size = known.size.max(heard.size);
            }
        }
        candidates.into_values().map(|(candidate, _)| candidate).collect()
    }
}
