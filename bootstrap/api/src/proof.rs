//! The proof that comes with a token: whoever uses it holds the device key that it is bound to (RFC 7800).

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::Key;

/// The header of a request that carries the proof: `time_ms.nonce.signature`.
pub const PROOF_HEADER: &str = "conclave-proof";
/// Clocks may differ by so many seconds, either way.
pub const LEEWAY: u64 = 300;

/// The label of a proof.
pub const PROOF_LABEL: &str = "conclave/request/1";

/// A proof as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub time_ms: u64,
    pub nonce: [u8; 16],
    pub signature: [u8; 64],
}

/// Why a request is not taken for the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the proof cannot be read")]
    Malformed,
    /// The clocks are further apart than [`LEEWAY`].
    #[error("the time of the proof is not now")]
    Time,
    #[error("the proof is not by the device that the token names")]
    Signature,
}

impl Proof {
    /// What the device signs under [`PROOF_LABEL`]: `method ‖ 0x0a ‖ path ‖ 0x0a ‖ SHA-256(body) ‖ SHA-256(token) ‖ time_ms ‖ nonce`,
    /// the time as eight bytes, big-endian.
    pub fn payload(method: &str, path: &str, body: &[u8], token: &str, time_ms: u64, nonce: &[u8; 16]) -> Vec<u8> {
        let mut payload = format!("{method}\n{path}\n").into_bytes();
        payload.extend_from_slice(&Sha256::digest(body));
        payload.extend_from_slice(&Sha256::digest(token.as_bytes()));
        payload.extend_from_slice(&time_ms.to_be_bytes());
        payload.extend_from_slice(nonce);
        payload
    }

    /// The value of the header.
    pub fn header(&self) -> String {
        let (nonce, signature) = (BASE64URL_NOPAD.encode(&self.nonce), BASE64URL_NOPAD.encode(&self.signature));
        format!("{}.{nonce}.{signature}", self.time_ms)
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn parse(header: &str) -> Result<Self, ProofError> {
        let mut parts = header.split('.');
        let (Some(time), Some(nonce), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(ProofError::Malformed);
        };
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| ProofError::Malformed);
        Ok(Self {
            time_ms: time.parse().map_err(|_| ProofError::Malformed)?,
            nonce: decode(nonce)?.try_into().map_err(|_| ProofError::Malformed)?,
            signature: decode(signature)?.try_into().map_err(|_| ProofError::Malformed)?,
        })
    }

    /// Checks the proof of a request.
    ///
    /// # Errors
    /// [`ProofError::Time`] and [`ProofError::Signature`].
    pub fn verify(
        &self,
        device: &Key,
        method: &str,
        path: &str,
        body: &[u8],
        token: &str,
        now_ms: u64,
    ) -> Result<(), ProofError> {
        if now_ms.abs_diff(self.time_ms) > LEEWAY * 1000 {
            return Err(ProofError::Time);
        }
        let payload = Self::payload(method, path, body, token, self.time_ms, &self.nonce);
        if verify_label(device, PROOF_LABEL, &payload, &self.signature) { Ok(()) } else { Err(ProofError::Signature) }
    }
}

/// `label ‖ 0x00 ‖ 32 zero bytes ‖ payload`: what every signature that is not a token's is over, as all over Conclave; the zeros stand
/// where a room would. A label belongs to one use.
pub fn label_input(label: &str, payload: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0; 33], payload].concat()
}

/// Whether `signature` is by `key` over [`label_input`], refusing keys of small order (RFC 8032, strict).
pub fn verify_label(key: &Key, label: &str, payload: &[u8], signature: &[u8]) -> bool {
    <&[u8; 64]>::try_from(signature).is_ok_and(|signature| verify_plain(key, &label_input(label, payload), signature))
}

pub(crate) fn verify_plain(key: &Key, input: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(input, &Signature::from_bytes(signature)).is_ok())
}
