//! Who this device is: opened from the store, or made at the first start.

use std::sync::Arc;

use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard, check_name};
use zeroize::Zeroizing;

use crate::backup::{self, Backup, BackupError};
use crate::config::{Config, Restore};
use crate::error::{CommandError, ErrorCode};
use crate::store::{Batch, Identity, ProtectionKind, Store, StoreError, StoreHandle};
use crate::view::ProfileView;

/// The keys of this device and its person, and the name that others see.
#[derive(Debug)]
pub(super) struct Me {
    pub(super) device: Arc<DeviceKey>,
    pub(super) account: AccountKey,
    pub(super) list: DeviceList,
    pub(super) name: String,
    pub(super) created_ms: u64,
    pub(super) protection: ProtectionKind,
}

impl Me {
    /// Opens the data directory, and makes an identity where there is none and a name is given.
    pub(super) fn open(config: &Config, now_ms: u64) -> Result<(Self, Store), CommandError> {
        let store = match Store::open(&config.data, &config.protection) {
            Err(empty @ StoreError::Empty { .. }) => {
                let Some(name) = &config.name else { return Err(empty.into()) };
                check_name(name).map_err(bad_name)?;
                // A backup that does not open must not leave a store behind.
                let backup = config.restore.as_ref().map(open_backup).transpose()?;
                let store = Store::create(&config.data, &config.protection)?;
                return Self::open_in(store, backup, config, now_ms);
            }
            opened => opened?,
        };
        Self::open_in(store, None, config, now_ms)
    }

    fn open_in(store: Store, backup: Option<Backup>, config: &Config, now_ms: u64) -> Result<(Self, Store), CommandError> {
        let protection = store.protection();
        let (me, store) = match store.identity()? {
            Some(identity) => (Self::from_row(&identity, protection, &config.data)?, store),
            // A start that was cut between making the store and making the identity is finished here.
            None => {
                let name = config
                    .name
                    .as_deref()
                    .ok_or_else(|| CommandError::new(ErrorCode::StoreEmpty, "there is no identity yet; give a name"))?;
                check_name(name).map_err(bad_name)?;
                let me = match (backup, &config.restore) {
                    (Some(backup), _) => Self::restore(backup, name, protection, now_ms)?,
                    (None, Some(restore)) => Self::restore(open_backup(restore)?, name, protection, now_ms)?,
                    (None, None) => Self::generate(name, protection, now_ms),
                };
                let mut store = store;
                store.save_identity(&me.row())?;
                (me, store)
            }
        };
        if protection == ProtectionKind::Insecure {
            tracing::warn!(
                "the key of this store lies beside it in the clear (--insecure-store): whoever reads the disk reads everything"
            );
        }
        Ok((me, store))
    }

    fn generate(name: &str, protection: ProtectionKind, now_ms: u64) -> Self {
        let device = Arc::new(DeviceKey::from_seed(&random()));
        let account = AccountKey::from_seed(&random());
        let listed = ListedDevice { device: device.id(), seal_key: device.seal_key() };
        let list = DeviceList::found(&account, listed, now_ms);
        Self { device, account, list, name: name.to_owned(), created_ms: now_ms, protection }
    }

    /// A new device of the person of a backup.
    fn restore(backup: Backup, name: &str, protection: ProtectionKind, now_ms: u64) -> Result<Self, CommandError> {
        let device = Arc::new(DeviceKey::from_seed(&random()));
        let (account, mut list) = (backup.account, backup.list);
        let mut devices = list.head().devices.clone();
        devices.push(ListedDevice { device: device.id(), seal_key: device.seal_key() });
        list.extend(&account, devices, now_ms)
            .map_err(|_| CommandError::new(ErrorCode::Busy, "The person of this backup has as many devices as can be."))?;
        Ok(Self { device, account, list, name: name.to_owned(), created_ms: now_ms, protection })
    }

    fn from_row(row: &Identity, protection: ProtectionKind, data: &std::path::Path) -> Result<Self, CommandError> {
        let damaged =
            |_| CommandError::new(ErrorCode::StoreDamaged, format!("the device list in {} does not verify", data.display()));
        let list = DeviceList::parse(row.device_list.clone()).map_err(damaged)?;
        Ok(Self {
            device: Arc::new(DeviceKey::from_seed(&row.device_seed)),
            account: AccountKey::from_seed(&row.account_seed),
            list,
            name: row.name.clone(),
            created_ms: row.created_ms,
            protection,
        })
    }

    pub(super) fn row(&self) -> Identity {
        Identity {
            device_seed: *self.device.seed(),
            account_seed: *self.account.seed(),
            name: self.name.clone(),
            device_list: self.list.chain().to_vec(),
            created_ms: self.created_ms,
        }
    }

    /// Takes another name, on disk first.
    pub(super) async fn rename(&mut self, name: &str, store: &StoreHandle) -> Result<(), CommandError> {
        check_name(name).map_err(bad_name)?;
        let old = std::mem::replace(&mut self.name, name.to_owned());
        if let Err(error) = store.commit(Batch::new().identity(&self.row())).await {
            self.name = old;
            return Err(error.into());
        }
        Ok(())
    }

    /// Who this device is in every room.
    pub(super) fn in_rooms(&self) -> Result<conclave_protocol::room::Me, CommandError> {
        Ok(conclave_protocol::room::Me { key: Arc::clone(&self.device), card: self.card()? })
    }

    /// What a room is told of this device.
    pub(super) fn card(&self) -> Result<MemberCard, CommandError> {
        MemberCard::new(&self.device, &self.list, &self.name).map_err(|error| {
            CommandError::new(ErrorCode::StoreDamaged, format!("this device is not in its own device list: {error}"))
        })
    }

    pub(super) fn view(&self) -> ProfileView {
        let protection = match self.protection {
            ProtectionKind::Keyring => "keyring",
            ProtectionKind::Passphrase => "passphrase",
            ProtectionKind::Insecure => "insecure",
        };
        ProfileView {
            name: self.name.clone(),
            device: self.device.id(),
            account: self.account.id(),
            protection: protection.to_owned(),
        }
    }
}

fn open_backup(restore: &Restore) -> Result<Backup, CommandError> {
    let refused = |error: BackupError| CommandError::new(ErrorCode::BadRequest, format!("The backup cannot be used: {error}."));
    backup::open(&restore.sealed, &restore.passphrase).map_err(refused)
}

fn bad_name(error: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorCode::BadText, format!("that name cannot be used: {error}"))
}

fn random() -> Zeroizing<[u8; 32]> {
    use rand_core::Rng;
    let mut seed = Zeroizing::new([0; 32]);
    super::rng().fill_bytes(seed.as_mut());
    seed
}
