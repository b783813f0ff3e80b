//! The identity of a person in a file, sealed by a passphrase in the format of age (age-encryption.org/v1). It never holds the key of a
//! device: whoever restores it is a new device of the same person.

use std::io::{Read, Write};

use age::secrecy::SecretString;
use conclave_protocol::identity::{AccountKey, DeviceList};
use conclave_protocol::wire::{self, Signed};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

/// Longest backup that is read, in bytes.
pub(crate) const MAX_BACKUP: u64 = 256 * 1024;
/// The only version so far.
const VERSION: u32 = 1;

/// What a backup holds.
pub(crate) struct Backup {
    pub(crate) account: AccountKey,
    pub(crate) name: String,
    pub(crate) list: DeviceList,
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    version: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    account_seed: [u8; 32],
    #[n(2)]
    name: String,
    #[n(3)]
    device_list: Vec<Signed>,
}

/// Why there is no backup, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("the passphrase is empty")]
    NoPassphrase,
    #[error("it could not be sealed: {0}")]
    Seal(std::io::Error),
    #[error("it is no backup of Conclave, or a damaged one")]
    Damaged,
    #[error("it was made by a newer version")]
    Newer,
    #[error("the passphrase is not the one of this backup")]
    WrongPassphrase,
}

/// Seals an identity. Takes about a second: a guess at the passphrase takes as long.
pub(crate) fn seal(
    account: &AccountKey,
    name: &str,
    list: &DeviceList,
    passphrase: Zeroizing<String>,
) -> Result<Vec<u8>, BackupError> {
    if passphrase.is_empty() {
        return Err(BackupError::NoPassphrase);
    }
    let mut body =
        Body { version: VERSION, account_seed: *account.seed(), name: name.to_owned(), device_list: list.chain().to_vec() };
    let plaintext = Zeroizing::new(wire::encode(&body));
    body.account_seed.zeroize();
    let encryptor = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.as_str().to_owned()));
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(BackupError::Seal)?;
    writer.write_all(&plaintext).map_err(BackupError::Seal)?;
    writer.finish().map_err(BackupError::Seal)?;
    Ok(sealed)
}

/// Opens a backup. What is in it was signed by the account, all of it.
pub(crate) fn open(sealed: &[u8], passphrase: &str) -> Result<Backup, BackupError> {
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|_| BackupError::Damaged)?;
    if !decryptor.is_scrypt() {
        return Err(BackupError::Damaged);
    }
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|error| match error {
        age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed | age::DecryptError::NoMatchingKeys => {
            BackupError::WrongPassphrase
        }
        _ => BackupError::Damaged,
    })?;
    let mut plaintext = Zeroizing::new(Vec::new());
    reader.take(MAX_BACKUP).read_to_end(&mut plaintext).map_err(|_| BackupError::Damaged)?;
    let mut body: Body = wire::decode(&plaintext).map_err(|_| BackupError::Damaged)?;
    if body.version > VERSION {
        return Err(BackupError::Newer);
    }
    let account = AccountKey::from_seed(&body.account_seed);
    body.account_seed.zeroize();
    let list = DeviceList::parse(body.device_list).map_err(|_| BackupError::Damaged)?;
    if list.head().account != account.id() {
        return Err(BackupError::Damaged);
    }
    Ok(Backup { account, name: body.name, list })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use conclave_protocol::identity::{DeviceKey, ListedDevice};

    use super::*;

    #[test]
    fn a_backup_opens_with_its_passphrase_alone() {
        let (device, account) = (DeviceKey::from_seed(&[1; 32]), AccountKey::from_seed(&[2; 32]));
        let list = DeviceList::found(&account, ListedDevice { device: device.id(), seal_key: device.seal_key() }, 7);
        let sealed = seal(&account, "Ada", &list, Zeroizing::new("correct horse".to_owned())).unwrap();
        assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));
        let opened = open(&sealed, "correct horse").unwrap();
        assert_eq!((opened.account.id(), opened.name.as_str(), opened.list), (account.id(), "Ada", list.clone()));
        assert!(matches!(open(&sealed, "another"), Err(BackupError::WrongPassphrase)));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(matches!(open(&changed, "correct horse"), Err(BackupError::Damaged)));
        assert!(matches!(open(b"hello", "x"), Err(BackupError::Damaged)));
        assert!(matches!(seal(&account, "Ada", &list, Zeroizing::default()), Err(BackupError::NoPassphrase)));
    }
}
