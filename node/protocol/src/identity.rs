//! Keys of a device and of a person, what they sign and what is sealed to them. It must never show, log or clone a secret.

use core::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::id::{AccountId, DeviceId, OpHash, RoomId, SealKey};
use crate::wire::{self, Signed, WireError};

/// Signature label of an entry of a device list. Its room is [`NO_ROOM`].
pub const DEVICES_LABEL: &str = "conclave/devices/1";
/// Stands for the room where a signature belongs to none.
pub const NO_ROOM: RoomId = RoomId([0; 32]);
/// Most devices a person may have at one time.
pub const MAX_DEVICES: usize = 64;
/// Most entries of one device list.
pub const MAX_DEVICE_LIST: usize = 1024;
/// Longest entry of a device list, in bytes.
pub const MAX_DEVICE_ENTRY: usize = 8 * 1024;
/// Longest name of a person, a device or a room, in bytes of UTF-8.
pub const MAX_NAME: usize = 128;
/// What [`seal`] adds to a plaintext, in bytes: the ephemeral key and the tag.
pub const SEAL_OVERHEAD: usize = 32 + 16;

const SEAL_KEY_CONTEXT: &str = "conclave 2026 device seal key v1";
const SEAL_CONTEXT: &str = "conclave 2026 sealed box v1";

/// The signature is not by this key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Not sealed to this device in this context, or changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes cannot be opened by this device")]
pub struct NotForMe;

/// Why an identity that someone presents is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not the expected bytes.
    #[error("the identity cannot be read")]
    Wire(#[from] WireError),
    /// Not signed by the account it names.
    #[error("the identity is not signed by its account")]
    Signature(#[from] BadSignature),
    /// The chain of the device list is broken, or a limit is passed.
    #[error("the device list is not a chain")]
    Chain,
    /// The account's entry does not name this device and this seal key.
    #[error("the account does not vouch for this device")]
    NotListed,
    /// See [`check_name`].
    #[error("the name is empty, too long or holds what cannot be shown")]
    Name,
    /// A seal key that gives everyone the same secret.
    #[error("the seal key is weak")]
    WeakKey,
}

/// The key of one installation: Ed25519, and derived from it an X25519 key to which secrets are sealed.
pub struct DeviceKey {
    signing: SigningKey,
    opening: StaticSecret,
}

impl DeviceKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// The key of a stored seed (RFC 8032 secret key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let opening = Zeroizing::new(blake3::derive_key(SEAL_KEY_CONTEXT, seed));
        Self { signing: SigningKey::from_bytes(seed), opening: StaticSecret::from(*opening) }
    }

    /// What a store keeps.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public key, which is the device's name everywhere.
    pub fn id(&self) -> DeviceId {
        DeviceId(self.signing.verifying_key().to_bytes())
    }

    /// Where others seal secrets to.
    pub fn seal_key(&self) -> SealKey {
        SealKey(PublicKey::from(&self.opening).to_bytes())
    }

    /// Signs `label ‖ 0x00 ‖ room ‖ payload`.
    pub fn sign(&self, label: &'static str, room: &RoomId, payload: &[u8]) -> [u8; 64] {
        sign(&self.signing, label, room, payload)
    }

    /// A signed payload.
    pub fn signed(&self, label: &'static str, room: &RoomId, payload: Vec<u8>) -> Signed {
        let sig = self.sign(label, room, &payload);
        Signed { payload, sig }
    }

    /// Signs what MLS asks its members to sign. RFC 9420 (5.1.2) puts a length and "MLS 1.0 " before it, so it is never the beginning of
    /// anything that [`Self::sign`] signs.
    pub(crate) fn sign_mls(&self, content: &[u8]) -> [u8; 64] {
        self.signing.sign(content).to_bytes()
    }

    /// Opens what [`seal`] made for this device in the same context.
    pub fn open_sealed(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotForMe> {
        let (ephemeral, ciphertext) = sealed.split_at_checked(32).ok_or(NotForMe)?;
        let ephemeral: [u8; 32] = ephemeral.try_into().map_err(|_| NotForMe)?;
        let shared = self.opening.diffie_hellman(&PublicKey::from(ephemeral));
        if !shared.was_contributory() {
            return Err(NotForMe);
        }
        let key = box_key(&ephemeral, &self.seal_key(), shared.as_bytes());
        ChaCha20Poly1305::new(&Key::from(*key))
            .decrypt(&Nonce::default(), Payload { msg: ciphertext, aad: context })
            .map(Zeroizing::new)
            .map_err(|_| NotForMe)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceKey").field(&self.id()).finish()
    }
}

/// The key of one person: signs the list of the person's devices.
pub struct AccountKey {
    signing: SigningKey,
}

impl AccountKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// The key of a stored seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed) }
    }

    /// What a store keeps.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public key, which names the person.
    pub fn id(&self) -> AccountId {
        AccountId(self.signing.verifying_key().to_bytes())
    }

    /// Signs `label ‖ 0x00 ‖ room ‖ payload`.
    pub fn sign(&self, label: &'static str, room: &RoomId, payload: &[u8]) -> [u8; 64] {
        sign(&self.signing, label, room, payload)
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountKey").field(&self.id()).finish()
    }
}

/// Checks a signature over `label ‖ 0x00 ‖ room ‖ payload`, refusing keys and signatures of small order (RFC 8032, strict).
pub fn verify(key: &[u8; 32], label: &str, room: &RoomId, payload: &[u8], sig: &[u8; 64]) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    key.verify_strict(&signature_input(label, room, payload), &Signature::from_bytes(sig)).map_err(|_| BadSignature)
}

/// Seals `plaintext` to a device: ephemeral X25519, BLAKE3 as KDF, ChaCha20-Poly1305 with `context` as associated data. Gives the
/// ephemeral key (32 bytes), the ciphertext and the tag (16 bytes).
pub fn seal(to: SealKey, context: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let ephemeral = StaticSecret::random_from_rng(rng);
    let public = PublicKey::from(&ephemeral).to_bytes();
    let shared = ephemeral.diffie_hellman(&PublicKey::from(to.0));
    let key = box_key(&public, &to, shared.as_bytes());
    // Every box has a key of its own, so the nonce can be fixed. Sealing fails only beyond 256 GiB.
    let ciphertext = ChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&Nonce::default(), Payload { msg: plaintext, aad: context })
        .unwrap_or_default();
    let mut sealed = Vec::with_capacity(32 + ciphertext.len());
    sealed.extend_from_slice(&public);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// Whether a text can be the name of a person, a device or a room: 1 to [`MAX_NAME`] bytes, something to see, no control characters, no line
/// breaks and nothing that turns the direction of what follows.
pub fn check_name(name: &str) -> Result<(), IdentityError> {
    let forbidden = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let invisible =
        |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{3164}');
    if name.len() > MAX_NAME || name.chars().any(forbidden) || name.chars().all(invisible) || name.trim() != name {
        return Err(IdentityError::Name);
    }
    Ok(())
}

/// One device in a person's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct ListedDevice {
    /// Its signing key.
    #[n(0)]
    pub device: DeviceId,
    /// Where secrets for it are sealed to.
    #[n(1)]
    pub seal_key: SealKey,
}

/// One state of a person's device list, signed by the account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceListEntry {
    /// Whose list.
    #[n(0)]
    pub account: AccountId,
    /// From 1, without gaps.
    #[n(1)]
    pub version: u64,
    /// The entry before; absent in the first.
    #[n(2)]
    pub prev: Option<OpHash>,
    /// All devices from here on.
    #[n(3)]
    pub devices: Vec<ListedDevice>,
    /// When, by the signer's clock.
    #[n(4)]
    pub time_ms: u64,
}

impl DeviceListEntry {
    /// Reads one entry without verifying it.
    pub(crate) fn decode(signed: &Signed) -> Result<Self, IdentityError> {
        let entry: Self = wire::decode_within(&signed.payload, MAX_DEVICE_ENTRY)?;
        if entry.devices.len() > MAX_DEVICES || (entry.version == 1) != entry.prev.is_none() {
            return Err(IdentityError::Chain);
        }
        Ok(entry)
    }

    /// Reads and verifies one entry, by itself.
    pub fn verify(signed: &Signed) -> Result<Self, IdentityError> {
        let entry = Self::decode(signed)?;
        verify(entry.account.as_bytes(), DEVICES_LABEL, &NO_ROOM, &signed.payload, &signed.sig)?;
        Ok(entry)
    }
}

/// A person's device list: a hash chain of signed entries, of which the last holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    chain: Vec<Signed>,
    head: DeviceListEntry,
}

impl DeviceList {
    /// A new list with one device.
    pub fn found(account: &AccountKey, device: ListedDevice, now_ms: u64) -> Self {
        let entry = DeviceListEntry { account: account.id(), version: 1, prev: None, devices: vec![device], time_ms: now_ms };
        Self { chain: vec![sign_entry(account, &entry)], head: entry }
    }

    /// Verifies a whole chain, as a store or a peer gives it.
    pub fn parse(chain: Vec<Signed>) -> Result<Self, IdentityError> {
        if chain.len() > MAX_DEVICE_LIST {
            return Err(IdentityError::Chain);
        }
        let mut head: Option<DeviceListEntry> = None;
        let mut prev = None;
        for signed in &chain {
            let entry = DeviceListEntry::verify(signed)?;
            let follows = match &head {
                None => entry.version == 1,
                Some(before) => {
                    before.account == entry.account && before.version.checked_add(1) == Some(entry.version) && entry.prev == prev
                }
            };
            if !follows {
                return Err(IdentityError::Chain);
            }
            prev = Some(signed.hash());
            head = Some(entry);
        }
        Ok(Self { chain, head: head.ok_or(IdentityError::Chain)? })
    }

    /// Appends an entry that holds from now on.
    pub fn extend(&mut self, account: &AccountKey, devices: Vec<ListedDevice>, now_ms: u64) -> Result<(), IdentityError> {
        if account.id() != self.head.account || devices.len() > MAX_DEVICES || self.chain.len() >= MAX_DEVICE_LIST {
            return Err(IdentityError::Chain);
        }
        let prev = self.chain.last().map(Signed::hash);
        let entry = DeviceListEntry {
            account: account.id(),
            version: self.head.version.saturating_add(1),
            prev,
            devices,
            time_ms: now_ms,
        };
        self.chain.push(sign_entry(account, &entry));
        self.head = entry;
        Ok(())
    }

    /// The entry that holds.
    pub fn head(&self) -> &DeviceListEntry {
        &self.head
    }

    /// The entry that holds, as it was signed: what a [`MemberCard`] carries.
    pub fn proof(&self) -> Option<&Signed> {
        self.chain.last()
    }

    /// All entries, oldest first: what a store keeps.
    pub fn chain(&self) -> &[Signed] {
        &self.chain
    }
}

/// Who a member is: carried by the operation that founds a room or admits a device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MemberCard {
    /// The installation.
    #[n(0)]
    pub device: DeviceId,
    /// The person.
    #[n(1)]
    pub account: AccountId,
    /// Where the room's secrets are sealed to for this device.
    #[n(2)]
    pub seal_key: SealKey,
    /// As the person calls themselves. Nothing vouches for it.
    #[n(3)]
    pub name: String,
    /// The entry of the account's device list that names the device.
    #[n(4)]
    pub account_proof: Signed,
}

impl MemberCard {
    /// The card of this installation.
    pub fn new(device: &DeviceKey, list: &DeviceList, name: &str) -> Result<Self, IdentityError> {
        let card = Self {
            device: device.id(),
            account: list.head().account,
            seal_key: device.seal_key(),
            name: name.to_owned(),
            account_proof: list.proof().cloned().ok_or(IdentityError::Chain)?,
        };
        card.check()?;
        Ok(card)
    }

    /// The account vouches for the device and its seal key; the name can be shown.
    pub fn check(&self) -> Result<(), IdentityError> {
        check_name(&self.name)?;
        if x25519_dalek::x25519([1; 32], self.seal_key.0) == [0; 32] {
            return Err(IdentityError::WeakKey);
        }
        let entry = DeviceListEntry::verify(&self.account_proof)?;
        let listed = ListedDevice { device: self.device, seal_key: self.seal_key };
        if entry.account != self.account || !entry.devices.contains(&listed) {
            return Err(IdentityError::NotListed);
        }
        Ok(())
    }
}

fn sign_entry(account: &AccountKey, entry: &DeviceListEntry) -> Signed {
    let payload = wire::encode(entry);
    let sig = account.sign(DEVICES_LABEL, &NO_ROOM, &payload);
    Signed { payload, sig }
}

/// Signs what [`verify`] checks.
pub(crate) fn sign(key: &SigningKey, label: &str, room: &RoomId, payload: &[u8]) -> [u8; 64] {
    key.sign(&signature_input(label, room, payload)).to_bytes()
}

fn signature_input(label: &str, room: &RoomId, payload: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(label.len() + 1 + RoomId::LEN + payload.len());
    input.extend_from_slice(label.as_bytes());
    input.push(0);
    input.extend_from_slice(room.as_bytes());
    input.extend_from_slice(payload);
    input
}

fn box_key(ephemeral: &[u8; 32], to: &SealKey, shared: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut kdf = blake3::Hasher::new_derive_key(SEAL_CONTEXT);
    kdf.update(ephemeral);
    kdf.update(to.as_bytes());
    kdf.update(shared);
    Zeroizing::new(*kdf.finalize().as_bytes())
}
