//! Encryption of the store's rows under the master key. It never lets a value, or the name of a row, reach the disk in the clear.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::StoreError;

pub(crate) const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
/// Name of a row on disk: 16 bytes that stand for its scope (a room) and 16 that stand for its key.
pub(crate) const ROW_LEN: usize = 32;
const SCOPE_LEN: usize = 16;

const RECORD_CONTEXT: &str = "conclave 2026 store record key v1";
const NAME_CONTEXT: &str = "conclave 2026 store row name key v1";

/// 32 random bytes from which the keys of the store come.
pub(crate) struct MasterKey(pub(crate) Zeroizing<[u8; KEY_LEN]>);

impl MasterKey {
    pub(crate) fn generate() -> Result<Self, StoreError> {
        Ok(Self(random()?))
    }
}

/// Seals and opens rows: XChaCha20-Poly1305, random 24-byte nonce in front, AAD = table ‖ 0x00 ‖ row.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    names: Zeroizing<[u8; KEY_LEN]>,
}

impl Sealer {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let record = Zeroizing::new(blake3::derive_key(RECORD_CONTEXT, master.0.as_slice()));
        let names = Zeroizing::new(blake3::derive_key(NAME_CONTEXT, master.0.as_slice()));
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*record)), names }
    }

    pub(crate) fn seal(&self, table: &str, row: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
        seal_with(&self.cipher, &associated(table, row), plaintext)
    }

    /// `None`: not what was sealed under this key for this row of this table.
    pub(crate) fn open(&self, table: &str, row: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open_with(&self.cipher, &associated(table, row), sealed)
    }

    /// What a row is called on disk: keyed hashes, so that the file tells neither rooms nor people.
    pub(crate) fn row(&self, table: &str, scope: &[u8], key: &[u8]) -> [u8; ROW_LEN] {
        let mut row = [0; ROW_LEN];
        let mut hash = blake3::Hasher::new_keyed(&self.names);
        frame(&mut hash, table.as_bytes());
        frame(&mut hash, scope);
        let (of_scope, of_key) = row.split_at_mut(SCOPE_LEN);
        hash.finalize_xof().fill(of_scope);
        frame(&mut hash, key);
        hash.finalize_xof().fill(of_key);
        row
    }

    /// The part that all rows of one scope begin with.
    pub(crate) fn scope(&self, table: &str, scope: &[u8]) -> Vec<u8> {
        self.row(table, scope, &[]).iter().copied().take(SCOPE_LEN).collect()
    }
}

fn frame(hash: &mut blake3::Hasher, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// Seals under a key that is used for this alone, as the master key is under the key that wraps it.
pub(crate) fn wrap(key: &[u8; KEY_LEN], associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
    seal_with(&XChaCha20Poly1305::new(&Key::from(*key)), associated, plaintext)
}

pub(crate) fn unwrap(key: &[u8; KEY_LEN], associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    open_with(&XChaCha20Poly1305::new(&Key::from(*key)), associated, sealed)
}

pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, StoreError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| StoreError::failed("no random numbers", error))?;
    Ok(bytes)
}

fn seal_with(cipher: &XChaCha20Poly1305, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
    let nonce = random::<NONCE_LEN>()?;
    let payload = Payload { msg: plaintext, aad: associated };
    let sealed = cipher.encrypt(&XNonce::from(*nonce), payload).map_err(|_| StoreError::failed("sealing", "too long"))?;
    let mut out = Vec::with_capacity(NONCE_LEN + sealed.len());
    out.extend_from_slice(nonce.as_slice());
    out.extend_from_slice(&sealed);
    Ok(out)
}

fn open_with(cipher: &XChaCha20Poly1305, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: associated }).ok().map(Zeroizing::new)
}

fn associated(table: &str, row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(table.len() + 1 + row.len());
    out.extend_from_slice(table.as_bytes());
    out.push(0);
    out.extend_from_slice(row);
    out
}
