//! How the master key is kept: wrapped by a key from the operating system's keyring, from a passphrase, or from a file beside the
//! store that says it is insecure. It never falls back from one to another.

use std::sync::mpsc;
use std::time::Duration;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::directory::Directory;
use super::error::StoreError;
use super::seal::{self, KEY_LEN, MasterKey};
use crate::config::Protection;

const WRAP_LABEL: &[u8] = b"conclave/store-key/1";
const KEYRING_SERVICE: &str = "Conclave";
/// To find out whether there is a keyring at all.
const KEYRING_CONNECT: Duration = Duration::from_secs(5);
/// For an answer of the keyring: a person may have to unlock it first.
const KEYRING_ANSWER: Duration = Duration::from_secs(90);

const CHOICE: &str = "Choose how the keys are kept: give a passphrase (--passphrase-file FILE), or, for a demonstration only, keep \
                      them in the clear (--insecure-store)";

/// Which of the three ways a store was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ProtectionKind {
    #[n(0)]
    Keyring,
    #[n(1)]
    Passphrase,
    #[n(2)]
    Insecure,
}

impl ProtectionKind {
    /// As views and scripts call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
            Self::Insecure => "insecure",
        }
    }
}

impl From<&Protection> for ProtectionKind {
    fn from(protection: &Protection) -> Self {
        match protection {
            Protection::Keyring => Self::Keyring,
            Protection::Passphrase(_) => Self::Passphrase,
            Protection::Insecure => Self::Insecure,
        }
    }
}

/// Cost of one guess at a passphrase (Argon2id, RFC 9106). Kept beside the wrapped key, so that it can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Cost {
    #[n(0)]
    memory_kib: u32,
    #[n(1)]
    passes: u32,
    #[n(2)]
    lanes: u32,
}

impl Cost {
    pub(crate) const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// Only for stores that tests make and throw away.
    #[cfg(test)]
    pub(crate) const LOW: Self = Self { memory_kib: 1024, passes: 1, lanes: 1 };
    /// More than any version wrote: what a damaged store could ask for stays bounded (1 GiB).
    const MOST: Self = Self { memory_kib: 1024 * 1024, passes: 32, lanes: 16 };

    fn derive(self, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, StoreError> {
        if self.memory_kib > Self::MOST.memory_kib || self.passes > Self::MOST.passes || self.lanes > Self::MOST.lanes {
            return Err(StoreError::damaged("the cost of the passphrase is out of bounds"));
        }
        let unusable = |error| StoreError::failed("deriving a key from the passphrase", error);
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_LEN)).map_err(unusable)?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
            .map_err(unusable)?;
        Ok(key)
    }
}

/// The wrapped master key, as it lies in the store in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KeySlot {
    #[n(0)]
    pub(crate) kind: ProtectionKind,
    /// Random; names the entry in the keyring, so that two stores of one person do not share it.
    #[cbor(n(1), with = "minicbor::bytes")]
    store: [u8; 16],
    #[cbor(n(2), with = "minicbor::bytes")]
    salt: [u8; 16],
    #[n(3)]
    cost: Option<Cost>,
    #[cbor(n(4), with = "minicbor::bytes")]
    wrapped: Vec<u8>,
}

impl KeySlot {
    /// Wraps a new master key; see [`Self::wrap`].
    pub(crate) fn create(
        protection: &Protection,
        cost: Cost,
        directory: Option<&Directory>,
    ) -> Result<(Self, MasterKey), StoreError> {
        let master = MasterKey::generate()?;
        Ok((Self::wrap(&master, protection, cost, directory)?, master))
    }

    /// Wraps a master key. With [`Protection::Keyring`] this waits for the keyring, and for the person who unlocks it.
    pub(crate) fn wrap(
        master: &MasterKey,
        protection: &Protection,
        cost: Cost,
        directory: Option<&Directory>,
    ) -> Result<Self, StoreError> {
        let mut slot = Self {
            kind: protection.into(),
            store: *seal::random()?,
            salt: *seal::random()?,
            cost: matches!(protection, Protection::Passphrase(_)).then_some(cost),
            wrapped: Vec::new(),
        };
        let key = match protection {
            Protection::Passphrase(passphrase) if passphrase.is_empty() => {
                return Err(StoreError::locked(format!("an empty passphrase protects nothing. {CHOICE}")));
            }
            Protection::Passphrase(passphrase) => cost.derive(passphrase, &slot.salt)?,
            Protection::Keyring => {
                let key = seal::random::<KEY_LEN>()?;
                keyring_set(slot.keyring_user(), key.clone())?;
                key
            }
            Protection::Insecure => {
                let key = seal::random::<KEY_LEN>()?;
                if let Some(directory) = directory {
                    directory.write_insecure_key(key.as_slice()).map_err(|error| StoreError::failed("insecure.key", error))?;
                }
                key
            }
        };
        slot.wrapped = seal::wrap(&key, &slot.associated(), master.0.as_slice())?;
        Ok(slot)
    }

    /// Takes away what unlocks this slot, once another one has its place: the entry in the keyring, or the file beside the store. A
    /// passphrase is in nobody's hands but the person's.
    pub(crate) fn discard_key(&self, directory: Option<&Directory>) -> Result<(), StoreError> {
        match self.kind {
            ProtectionKind::Passphrase => Ok(()),
            ProtectionKind::Keyring => {
                let user = self.keyring_user();
                in_keyring(move || keyring::Entry::new(KEYRING_SERVICE, &user)?.delete_credential())
            }
            ProtectionKind::Insecure => match directory {
                Some(directory) => {
                    directory.remove_insecure_key().map_err(|error| StoreError::failed("removing insecure.key", error))
                }
                None => Ok(()),
            },
        }
    }

    /// The master key, or why it stays locked.
    pub(crate) fn unlock(&self, protection: &Protection, directory: Option<&Directory>) -> Result<MasterKey, StoreError> {
        let key = match (protection, self.kind) {
            (Protection::Passphrase(passphrase), ProtectionKind::Passphrase) => {
                let cost = self.cost.ok_or_else(|| StoreError::damaged("the cost of the passphrase is missing"))?;
                cost.derive(passphrase, &self.salt)?
            }
            (Protection::Keyring, ProtectionKind::Keyring) => keyring_get(self.keyring_user())?,
            (Protection::Insecure, ProtectionKind::Insecure) => insecure_key(directory)?,
            (_, ProtectionKind::Passphrase) => {
                return Err(StoreError::locked("this store is protected by a passphrase: give it with --passphrase-file FILE"));
            }
            (_, ProtectionKind::Keyring) => {
                return Err(StoreError::locked(
                    "the key of this store is in the keyring of the operating system: start without --passphrase-file and --insecure-store",
                ));
            }
            (_, ProtectionKind::Insecure) => {
                return Err(StoreError::locked(
                    "this store was made with --insecure-store, its key lies beside it in the clear: start with --insecure-store",
                ));
            }
        };
        let master = seal::unwrap(&key, &self.associated(), &self.wrapped);
        let master = master.and_then(|bytes| Some(MasterKey(Zeroizing::new(bytes.as_slice().try_into().ok()?))));
        master.ok_or_else(|| {
            StoreError::locked(match self.kind {
                ProtectionKind::Passphrase => "the passphrase is not the one of this store",
                ProtectionKind::Keyring => "the key in the keyring is not the one of this store",
                ProtectionKind::Insecure => "insecure.key is not the key of this store",
            })
        })
    }

    fn associated(&self) -> Vec<u8> {
        let mut out = WRAP_LABEL.to_vec();
        out.push(self.kind as u8);
        out.extend_from_slice(&self.store);
        out
    }

    fn keyring_user(&self) -> String {
        format!("store {}", data_encoding::HEXLOWER.encode(&self.store))
    }
}

fn insecure_key(directory: Option<&Directory>) -> Result<Zeroizing<[u8; KEY_LEN]>, StoreError> {
    let directory = directory.ok_or_else(|| StoreError::locked("insecure.key is missing"))?;
    let bytes = directory.read_insecure_key().map(Zeroizing::new);
    let bytes = bytes.map_err(|error| StoreError::locked(format!("insecure.key cannot be read: {error}")))?;
    let key = bytes.as_slice().try_into().map_err(|_| StoreError::locked("insecure.key is damaged"))?;
    Ok(Zeroizing::new(key))
}

fn keyring_set(user: String, key: Zeroizing<[u8; KEY_LEN]>) -> Result<(), StoreError> {
    in_keyring(move || {
        let entry = keyring::Entry::new(KEYRING_SERVICE, &user)?;
        entry.set_secret(key.as_slice())
    })
}

fn keyring_get(user: String) -> Result<Zeroizing<[u8; KEY_LEN]>, StoreError> {
    let secret = in_keyring(move || keyring::Entry::new(KEYRING_SERVICE, &user)?.get_secret().map(Zeroizing::new))?;
    let key = secret.as_slice().try_into().map_err(|_| StoreError::locked("the key in the keyring is damaged"))?;
    Ok(Zeroizing::new(key))
}

/// Asks the keyring in a thread of its own: a bus that does not answer must not hold up the start for ever. A thread that was
/// given up on ends with its answer, or with the process.
fn in_keyring<T: Send + 'static>(act: impl FnOnce() -> keyring::Result<T> + Send + 'static) -> Result<T, StoreError> {
    let (there, is_there) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let thread = std::thread::Builder::new().name("keyring".to_owned()).spawn(move || {
        let status = keyring::Entry::store_status();
        // Nobody listens any more where the time is over.
        let _ = there.send(status.as_ref().copied().map_err(ToString::to_string));
        if status.is_ok() {
            let _ = answer.send(act());
        }
    });
    thread.map_err(|error| StoreError::failed("asking the keyring", error))?;
    match is_there.recv_timeout(KEYRING_CONNECT) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(StoreError::locked(format!("there is no keyring of the operating system here ({error}). {CHOICE}")));
        }
        Err(_) => return Err(StoreError::locked(format!("the keyring of the operating system does not answer. {CHOICE}"))),
    }
    match answered.recv_timeout(KEYRING_ANSWER) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(keyring::Error::NoEntry)) => Err(StoreError::locked(
            "the keyring of the operating system holds no key for this store: it was removed, or it is another person's",
        )),
        Ok(Err(error)) => Err(StoreError::locked(format!("the keyring of the operating system refused: {error}. {CHOICE}"))),
        Err(_) => Err(StoreError::locked("the keyring of the operating system was not unlocked in time")),
    }
}
