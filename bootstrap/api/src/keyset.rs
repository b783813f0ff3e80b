//! The keys that sign a team's tokens, signed themselves by the team's root key, which stays offline. Whoever pins the root needs to
//! trust neither the bootstrap node nor the network for them.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::proof::{label_input, verify_label};
use crate::{Bytes, Jwk, Key};

const LABEL: &str = "conclave/keyset/1";
/// Most keys of one set.
const MAX_KEYS: usize = 16;

/// What `/.well-known/jwks.json` answers. `keys` is there for other people's programs (RFC 7517); ours read `signed`, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    pub keys: Vec<Jwk>,
    /// The JSON of the set, as signed.
    pub signed: Bytes,
    /// By the root key over `"conclave/keyset/1" ‖ 0x00 ‖ 32 zero bytes ‖ signed`.
    pub signature: Bytes,
}

#[derive(Serialize, Deserialize)]
struct SignedSet {
    iss: String,
    team: String,
    serial: u64,
    keys: Vec<Jwk>,
}

/// A key set whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    pub root: Key,
    pub iss: String,
    pub team: String,
    /// Grows with each rotation; a lower one than was seen is a replay.
    pub serial: u64,
    keys: BTreeMap<String, Key>,
}

/// Why a key set is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("the key set cannot be read")]
    Malformed,
    #[error("the key set is not signed by the team's root key")]
    Signature,
    #[error("the key set is older than one that was seen before")]
    RolledBack,
}

impl KeySet {
    /// Checks a key set against the pinned root. `serial`: the highest that was seen.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn verify(set: &JwkSet, root: &Key, serial: u64) -> Result<Self, KeySetError> {
        if !verify_label(root, LABEL, &set.signed.0, &set.signature.0) {
            return Err(KeySetError::Signature);
        }
        let signed: SignedSet = serde_json::from_slice(&set.signed.0).map_err(|_| KeySetError::Malformed)?;
        if signed.serial < serial {
            return Err(KeySetError::RolledBack);
        }
        let pairs = signed.keys.iter().take(MAX_KEYS).map(|jwk| Some((jwk.kid.clone()?, jwk.ed25519()?)));
        let keys = pairs.collect::<Option<_>>().ok_or(KeySetError::Malformed)?;
        Ok(Self { root: *root, iss: signed.iss, team: signed.team, serial: signed.serial, keys })
    }

    /// The key of this id.
    pub fn key(&self, kid: &str) -> Option<Key> {
        self.keys.get(kid).copied()
    }
}

/// Signs the keys of a team with its root key. `serial` is higher than any before.
///
/// # Errors
/// Where the set is no JSON, which it always is.
pub fn sign_key_set(iss: &str, team: &str, serial: u64, keys: &[Key], root: &SigningKey) -> Result<JwkSet, serde_json::Error> {
    let keys: Vec<Jwk> = keys.iter().copied().map(Jwk::signing).collect();
    let signed = serde_json::to_vec(&SignedSet { iss: iss.to_owned(), team: team.to_owned(), serial, keys: keys.clone() })?;
    let signature = root.sign(&label_input(LABEL, &signed)).to_bytes().to_vec();
    Ok(JwkSet { keys, signed: Bytes(signed), signature: Bytes(signature) })
}
