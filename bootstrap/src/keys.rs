//! The keys of a team: the root, which stays offline and signs key sets; what signs tokens; and the master key, which seals every
//! secret in the database. It must never log one of them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use conclave_bootstrap_api::{Key, KeySet, sign_key_set, thumbprint};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::store::{SigningRow, Store, StoreError};

/// What went wrong with a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("a secret in the database cannot be opened: it was sealed with another master key")]
    Sealed,
    #[error("this is not the root key of the team")]
    WrongRoot,
    #[error("there is no team in this database: run `conclave-bootstrap init`")]
    NoTeam,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a key set cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Fills with the system's randomness, without which no secret can be made.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| KeyError::File { path: "the system's randomness".into(), reason: error.to_string() })?;
    Ok(bytes)
}

/// Seals and opens the secrets of the database.
pub(crate) struct Master(Zeroizing<[u8; 32]>);

impl Master {
    /// Reads the master key, or makes it where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or made.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, KeyError> {
        if !path.exists() {
            write_secret(path, &BASE64URL_NOPAD.encode(&random::<32>()?))?;
        }
        Self::open(path)
    }

    /// # Errors
    /// Where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyError> {
        Ok(Self(read_secret(path)?))
    }

    /// A key of its own for each use.
    pub(crate) fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.0.as_ref())
    }

    /// XChaCha20-Poly1305 under a random nonce, which comes first; `name` is bound to it.
    pub(crate) fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nonce: [u8; 24] = random()?;
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: name.as_bytes() });
        Ok([nonce.as_slice(), &sealed.map_err(|_| KeyError::Sealed)?].concat())
    }

    pub(crate) fn open_sealed(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (nonce, sealed) = sealed.split_at_checked(24).ok_or(KeyError::Sealed)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| KeyError::Sealed)?;
        let opened = self.cipher().decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: name.as_bytes() });
        opened.map(Zeroizing::new).map_err(|_| KeyError::Sealed)
    }

    /// A secret of the database, made by `make` where it is not there.
    pub(crate) async fn secret(
        &self,
        store: &Store,
        name: &'static str,
        make: impl FnOnce() -> Result<Vec<u8>, KeyError>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if let Some(sealed) = store.secret(name).await? {
            return self.open_sealed(name, &sealed);
        }
        let secret = Zeroizing::new(make()?);
        store.put_secret(name, &self.seal(name, &secret)?).await?;
        Ok(secret)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&CipherKey::from(self.derive("conclave 2026 bootstrap secrets v1")))
    }
}

/// Makes the root key in a file of its own. Refuses to write over one.
///
/// # Errors
/// Where the file is there already or cannot be made.
pub(crate) fn create_root(path: &Path) -> Result<SigningKey, KeyError> {
    let seed = Zeroizing::new(random::<32>()?);
    write_secret(path, &BASE64URL_NOPAD.encode(seed.as_ref()))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// # Errors
/// Where the file does not hold a key.
pub(crate) fn open_root(path: &Path) -> Result<SigningKey, KeyError> {
    Ok(SigningKey::from_bytes(&*read_secret(path)?))
}

/// Makes a key that signs tokens from here on, and has the root sign the set of it and of those whose tokens may still be good.
///
/// # Errors
/// Where the root is another team's.
pub(crate) async fn rotate(
    (store, master): (&Store, &Master),
    root: &SigningKey,
    (iss, team): (&str, &str),
    now_ms: u64,
) -> Result<Key, KeyError> {
    let root_key = Key(root.verifying_key().to_bytes());
    let serial = match (store.key_set().await?, store.secret("root").await?) {
        (Some((serial, _)), Some(known)) => {
            if *master.open_sealed("root", &known)? != root_key.0 {
                return Err(KeyError::WrongRoot);
            }
            serial + 1
        }
        _ => {
            store.put_secret("root", &master.seal("root", &root_key.0)?).await?;
            1
        }
    };
    let seed = Zeroizing::new(random::<32>()?);
    let public = Key(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
    let kid = thumbprint(&public);
    let sealed = master.seal(&kid, seed.as_ref())?;
    // A token of an older key shows who somebody was for as long as tokens do.
    let keep_ms = (conclave_bootstrap_api::TOKEN_SECONDS + conclave_bootstrap_api::STALE_SECONDS) * 1000;
    let old = store.signing_keys().await?.into_iter();
    let old = old.filter(|row| row.retired_ms.is_none_or(|at| at + keep_ms > now_ms)).map(|row| row.public).take(8);
    let keys: Vec<Key> = [public].into_iter().chain(old).collect();
    let document = serde_json::to_vec(&sign_key_set(iss, team, serial, &keys, root)?)?;
    store.rotate(&SigningRow { kid, public, sealed, retired_ms: None }, serial, &document, now_ms).await?;
    Ok(public)
}

/// What the running node signs with, and the set that it shows.
pub(crate) struct Signing {
    pub(crate) key: SigningKey,
    pub(crate) keys: KeySet,
    /// The JSON of the set.
    pub(crate) document: Vec<u8>,
}

impl Signing {
    /// Reads what [`rotate`] wrote last.
    pub(crate) async fn load(store: &Store, master: &Master) -> Result<Self, KeyError> {
        let (_, document) = store.key_set().await?.ok_or(KeyError::NoTeam)?;
        let root = master.open_sealed("root", &store.secret("root").await?.ok_or(KeyError::NoTeam)?)?;
        let root = Key(root.as_slice().try_into().map_err(|_| KeyError::Sealed)?);
        let keys = KeySet::verify(&serde_json::from_slice(&document)?, &root, 0).map_err(|_| KeyError::WrongRoot)?;
        let row = store.signing_keys().await?.into_iter().find(|row| row.retired_ms.is_none()).ok_or(KeyError::NoTeam)?;
        let seed = master.open_sealed(&row.kid, &row.sealed)?;
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.as_slice().try_into().map_err(|_| KeyError::Sealed)?);
        Ok(Self { key: SigningKey::from_bytes(&seed), keys, document })
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| at(path, &error))?);
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.trim().as_bytes()).unwrap_or_default());
    let key = bytes
        .as_slice()
        .try_into()
        .map_err(|_| KeyError::File { path: path.display().to_string(), reason: "it holds no key".into() });
    key.map(Zeroizing::new)
}

/// Readable by its owner alone; never over one that is there.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| at(path, &error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(|error| at(path, &error))
}

pub(crate) fn at(path: &Path, error: &io::Error) -> KeyError {
    KeyError::File { path: path.display().to_string(), reason: error.to_string() }
}
