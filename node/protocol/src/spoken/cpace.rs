//! CPace (draft-irtf-cfrg-cpace) over ristretto255 with SHA-512, in the mode with an initiator and a responder: what two devices that know
//! the same words agree on. It never decides what an agreement is good for.
//!
//! The protocol is `pakery-cpace`; the group and the hash are those that the rest of the program uses.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use pakery_core::PakeError;
use pakery_core::crypto::{CpaceGroup, Hash};
use pakery_cpace::{CpaceCiphersuite, CpaceInitiator, CpaceMode, CpaceOutput, CpaceResponder, InitiatorState};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{Agreed, SpokenCode, channel};
use crate::id::DeviceId;

struct Suite;

impl CpaceCiphersuite for Suite {
    type Group = Point;
    type Hash = Sha;

    const DSI: &'static [u8] = b"CPaceRistretto255";
    const HASH_BLOCK_SIZE: usize = 128;
    const FIELD_SIZE_BYTES: usize = 32;
}

#[derive(Clone)]
struct Sha(Sha512);

impl Hash for Sha {
    const OUTPUT_SIZE: usize = 64;

    fn new() -> Self {
        Self(Sha512::new())
    }

    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

#[derive(Clone, PartialEq)]
struct Point(RistrettoPoint);

impl CpaceGroup for Point {
    type Scalar = Scalar;

    fn scalar_mul(&self, scalar: &Scalar) -> Self {
        Self(self.0 * scalar)
    }

    fn is_identity(&self) -> bool {
        self.0 == RistrettoPoint::identity()
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.compress().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, PakeError> {
        let bytes = bytes.try_into().map_err(|_| PakeError::InvalidPoint)?;
        CompressedRistretto(bytes).decompress().map(Self).ok_or(PakeError::InvalidPoint)
    }

    fn from_uniform_bytes(bytes: &[u8]) -> Result<Self, PakeError> {
        let bytes = bytes.try_into().map_err(|_| PakeError::InvalidInput("64 bytes are mapped to a point"))?;
        Ok(Self(RistrettoPoint::from_uniform_bytes(bytes)))
    }

    fn random_scalar(rng: &mut impl CryptoRng) -> Scalar {
        let mut wide = Zeroizing::new([0; 64]);
        rng.fill_bytes(wide.as_mut());
        Scalar::from_bytes_mod_order_wide(&wide)
    }

    fn add(&self, other: &Self) -> Self {
        Self(self.0 + other.0)
    }

    fn negate(&self) -> Self {
        Self(-self.0)
    }

    fn basepoint_mul(scalar: &Scalar) -> Self {
        Self(RistrettoPoint::mul_base(scalar))
    }

    fn scalar_from_wide_bytes(bytes: &[u8]) -> Result<Scalar, PakeError> {
        let bytes = bytes.try_into().map_err(|_| PakeError::InvalidInput("64 bytes are reduced to a scalar"))?;
        Ok(Scalar::from_bytes_mod_order_wide(bytes))
    }

    fn scalar_to_bytes(scalar: &Scalar) -> Vec<u8> {
        scalar.as_bytes().to_vec()
    }
}

/// A hearer's half of a run, until the speaker's share comes.
pub struct Share(InitiatorState<Suite>);

impl Share {
    /// With the speaker's share. `None` where it is no point, or one that gives everyone the same secret.
    pub fn finish(self, offered: &[u8; 32]) -> Option<Agreed> {
        agreed(self.0.finish(offered, b"", CpaceMode::InitiatorResponder).ok()?)
    }
}

/// The hearer begins: gives the share that it sends with `sid`, which is random and used once.
pub fn begin(
    code: &SpokenCode,
    (hearer, speaker): (&DeviceId, &DeviceId),
    sid: &[u8; 32],
    rng: &mut impl CryptoRng,
) -> Option<([u8; 32], Share)> {
    let text = code.text();
    let begun = CpaceInitiator::<Suite>::start(text.as_bytes(), &channel(hearer, speaker), sid, b"", rng);
    let (share, state) = begun.ok()?;
    Some((share.try_into().ok()?, Share(state)))
}

/// The speaker answers: gives the share that it sends and what both agree on. `None` where the hearer's share is no point, or one that
/// gives everyone the same secret.
pub fn answer(
    code: &SpokenCode,
    (hearer, speaker): (&DeviceId, &DeviceId),
    sid: &[u8; 32],
    asked: &[u8; 32],
    rng: &mut impl CryptoRng,
) -> Option<([u8; 32], Agreed)> {
    let (text, channel) = (code.text(), channel(hearer, speaker));
    let mode = CpaceMode::InitiatorResponder;
    let done = CpaceResponder::<Suite>::respond(asked, text.as_bytes(), &channel, sid, b"", b"", mode, rng);
    let (share, output) = done.ok()?;
    Some((share.try_into().ok()?, agreed(output)?))
}

fn agreed(output: CpaceOutput) -> Option<Agreed> {
    let mut key = Zeroizing::new([0; 64]);
    let isk = output.isk.as_bytes();
    if isk.len() != key.len() {
        return None;
    }
    key.copy_from_slice(isk);
    Some(Agreed(key))
}
