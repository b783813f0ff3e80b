//! Sealing of chunks: ChaCha20-Poly1305 (RFC 8439) under the key of the version, nonce = number of the chunk, AAD = version ‖ number ‖
//! whether it is the last. A key and nonce are used for one plaintext alone: what is sealed again must be checked against the manifest
//! before it leaves, for the source may have changed.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

use crate::swarm::manifest::{Layout, Manifest, TAG};

/// A chunk that was not sealed with this key as this chunk of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunk does not open")]
pub struct NotSealed;

/// Seals and opens the chunks of one version. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct ChunkCipher {
    cipher: ChaCha20Poly1305,
    version: [u8; 16],
    layout: Layout,
}

impl core::fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ChunkCipher").finish_non_exhaustive()
    }
}

impl ChunkCipher {
    /// Of a version that is cut like this.
    pub fn new(key: &[u8; 32], version: [u8; 16], layout: Layout) -> Self {
        Self { cipher: ChaCha20Poly1305::new(&Key::from(*key)), version, layout }
    }

    /// Of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self::new(&manifest.key, manifest.version, manifest.layout())
    }

    /// How the version is cut.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Seals in place; the buffer grows by the tag.
    pub fn seal(&self, index: u32, buffer: &mut Vec<u8>) -> Result<(), NotSealed> {
        let (nonce, aad) = self.bound_to(index);
        self.cipher.encrypt_in_place(&nonce, &aad, buffer).map_err(|_| NotSealed)
    }

    /// Opens in place; the buffer shrinks by the tag.
    pub fn open(&self, index: u32, buffer: &mut Vec<u8>) -> Result<(), NotSealed> {
        let (nonce, aad) = self.bound_to(index);
        self.cipher.decrypt_in_place(&nonce, &aad, buffer).map_err(|_| NotSealed)
    }

    /// Seals in place, without growing: the tag is given, to be put behind.
    pub fn seal_slice(&self, index: u32, bytes: &mut [u8]) -> Result<[u8; TAG as usize], NotSealed> {
        let (nonce, aad) = self.bound_to(index);
        self.cipher.encrypt_inout_detached(&nonce, &aad, bytes.into()).map(Into::into).map_err(|_| NotSealed)
    }

    /// Opens in place; how many bytes of it, from the beginning, are the chunk.
    pub fn open_slice(&self, index: u32, sealed: &mut [u8]) -> Result<usize, NotSealed> {
        let (nonce, aad) = self.bound_to(index);
        let len = sealed.len().checked_sub(TAG as usize).ok_or(NotSealed)?;
        let (bytes, tag) = sealed.split_at_mut(len);
        let tag: [u8; TAG as usize] = (&*tag).try_into().map_err(|_| NotSealed)?;
        self.cipher.decrypt_inout_detached(&nonce, &aad, bytes.into(), &tag.into()).map_err(|_| NotSealed)?;
        Ok(len)
    }

    fn bound_to(&self, index: u32) -> (Nonce, [u8; 21]) {
        let mut nonce = [0; 12];
        let mut aad = [0; 21];
        let number = index.to_be_bytes();
        nonce.iter_mut().skip(8).zip(number).for_each(|(place, byte)| *place = byte);
        let last = u8::from(self.layout.is_last(index));
        let parts = self.version.into_iter().chain(number).chain([last]);
        aad.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        (Nonce::from(nonce), aad)
    }
}
