//! The store: one encrypted redb file in the data directory. What was acknowledged is on disk; nothing of value is there in the
//! clear; a file that is damaged or newer is never written to.
//!
//! [`Store`] blocks and belongs to one thread; [`journal::StoreHandle`] is the face of it for async code.

mod directory;
pub mod error;
mod holding;
mod identity;
pub mod journal;
mod keyring;
mod records;
mod schema;
mod seal;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};

use self::directory::Directory;
use self::holding::{Hold, Holding};
use self::keyring::{Cost, KeySlot};
use self::seal::Sealer;
use crate::config::Protection;

pub use self::directory::default_data_dir;
pub use self::error::StoreError;
pub use self::identity::Identity;
pub use self::journal::StoreHandle;
pub use self::keyring::ProtectionKind;
pub use self::records::{Batch, InviteSecret, KeyValue};

const KEY_ROW: &str = "key";
/// What redb keeps of the file in memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// An open store. Every call blocks until the disk answered.
pub struct Store {
    /// Absent only after the disk refused and until it is opened again.
    database: Option<Database>,
    /// Opens the same file once more.
    reopen: Box<dyn Fn() -> Result<Database, StoreError> + Send>,
    sealer: Sealer,
    kind: ProtectionKind,
    /// Number of the next record in the order of arrival.
    next_record: u64,
    /// Held for the lock; absent where a test brings a disk of its own.
    directory: Option<Directory>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("directory", &self.directory).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What can be told of a data directory without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// No store; damaged ones that were kept aside, oldest first.
    Empty { aside: Vec<PathBuf> },
    /// A store, and what opens it.
    Present { protection: ProtectionKind },
}

impl Store {
    /// Makes a store in `dir`, and the directory where it is missing.
    ///
    /// # Errors
    /// `Exists`, `InUse`, `Locked` where the keyring is not there, `Failed`.
    pub fn create(dir: &Path, protection: &Protection) -> Result<Self, StoreError> {
        Self::create_with(dir, protection, Cost::DEFAULT)
    }

    fn create_with(dir: &Path, protection: &Protection, cost: Cost) -> Result<Self, StoreError> {
        let directory = Directory::take(dir)?;
        if Directory::has_store(dir) {
            return Err(StoreError::Exists { dir: dir.to_owned() });
        }
        let file = directory.new_store().map_err(|error| StoreError::failed("making the store", error))?;
        initialize(FileBackend::new(file)?, protection, cost, Some(&directory))?;
        directory.keep_new_store().map_err(|error| StoreError::failed("making the store", error))?;
        Self::open_in(directory, protection)
    }

    /// Opens the store of `dir`. It is checked whole first; one that is damaged is moved to a place of its own inside `dir`,
    /// unchanged, and the error says where.
    ///
    /// # Errors
    /// `Empty`, `InUse`, `Locked`, `Damaged`, `Newer`, `Failed`.
    pub fn open(dir: &Path, protection: &Protection) -> Result<Self, StoreError> {
        if !Directory::has_store(dir) {
            return Err(StoreError::Empty { dir: dir.to_owned(), aside: Directory::kept_aside(dir) });
        }
        Self::open_in(Directory::take(dir)?, protection)
    }

    /// Protects the store of `dir` by `to` from here on; `from` opens it now. The master key stays, so whoever kept a copy of the store
    /// and of what opened it can still read that copy. Either protection holds whenever the power fails, never none.
    ///
    /// # Errors
    /// As [`Self::open`]; `Locked` also where the new passphrase is empty or there is no keyring. `Failed` where the old key could not be
    /// taken away after the change, which the message says.
    pub fn change_protection(dir: &Path, from: &Protection, to: &Protection) -> Result<(), StoreError> {
        Self::change_protection_with(dir, from, to, Cost::DEFAULT)
    }

    fn change_protection_with(dir: &Path, from: &Protection, to: &Protection, cost: Cost) -> Result<(), StoreError> {
        let store = Self::open(dir, from)?;
        let old = read_slot(store.database()?)?;
        let master = old.unlock(from, store.directory.as_ref())?;
        if matches!((from, to), (Protection::Insecure, Protection::Insecure)) {
            return store.close();
        }
        let slot = KeySlot::wrap(&master, to, cost, store.directory.as_ref())?;
        let row = minicbor::to_vec(&slot).map_err(|error| StoreError::failed("encoding the key", error))?;
        let mut transaction = store.database()?.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.open_table(schema::META)?.insert(KEY_ROW, row.as_slice())?;
        transaction.commit()?;
        let discarded = old.discard_key(store.directory.as_ref());
        store.close()?;
        discarded
    }

    /// What is in `dir`, without its key. Only a damaged store is moved, as [`Self::open`] does; all else stays as it is.
    ///
    /// # Errors
    /// `InUse`, `Damaged`, `Newer`, `Failed`.
    pub fn peek(dir: &Path) -> Result<Peek, StoreError> {
        if !Directory::has_store(dir) {
            return Ok(Peek::Empty { aside: Directory::kept_aside(dir) });
        }
        let directory = Directory::take(dir)?;
        let peeked = (|| {
            let (database, _unreleased) = open_database(FileBackend::new(Directory::open_file(&directory.store_path())?)?)?;
            schema::read(&database, schema::SCHEMA)?;
            Ok(Peek::Present { protection: read_slot(&database)?.kind })
        })();
        peeked.map_err(|error| keep_aside_if_damaged(error, Some(directory)))
    }

    /// Removes everything of a store from `dir`: what unlocks it first, then itself, what was kept aside, and files. Other things in the
    /// directory stay. Nobody may have the store open.
    ///
    /// # Errors
    /// `InUse`; `Failed` where something could not be removed, the key in the keyring among it.
    pub fn wipe(dir: &Path) -> Result<(), StoreError> {
        let directory = Directory::take(dir)?;
        let slot = (|| {
            let (database, _unreleased) = open_database(FileBackend::new(Directory::open_file(&directory.store_path())?)?)?;
            read_slot(&database)
        })();
        // Without the key the rest is noise already. A store that cannot be read has no key that could be found.
        let discarded = slot.map_or(Ok(()), |slot| match slot.kind {
            ProtectionKind::Keyring => slot.discard_key(Some(&directory)),
            // In the passphrase's case there is nothing; the file beside the store goes with the rest.
            ProtectionKind::Passphrase | ProtectionKind::Insecure => Ok(()),
        });
        directory.remove_all().map_err(|error| StoreError::failed("wiping", error))?;
        discarded
    }

    fn open_in(directory: Directory, protection: &Protection) -> Result<Self, StoreError> {
        let path = directory.store_path();
        let backend = move || FileBackend::new(Directory::open_file(&path)?).map_err(std::io::Error::other);
        let opened = Self::open_on(backend, protection, Some(directory));
        opened.map_err(|(error, directory)| keep_aside_if_damaged(error, directory))
    }

    /// Opens, proves sound, and only then lets anything be written. The directory comes back with an error.
    fn open_on<B: StorageBackend>(
        backend: impl Fn() -> std::io::Result<B> + Send + 'static,
        protection: &Protection,
        directory: Option<Directory>,
    ) -> Result<Self, (StoreError, Option<Directory>)> {
        let opened = (|| {
            let (database, hold) = open_database(backend()?)?;
            let found = schema::read(&database, schema::SCHEMA)?;
            let slot = read_slot(&database)?;
            let sealer = Sealer::new(&slot.unlock(protection, directory.as_ref())?);
            records::prove(&database, &sealer)?;
            let next_record = records::next_record(&database)?;
            hold.release()?;
            schema::migrate(&database, &sealer, found, schema::MIGRATIONS, schema::SCHEMA)?;
            Ok((database, sealer, slot.kind, next_record))
        })();
        match opened {
            Ok((database, sealer, kind, next_record)) => {
                let reopen = Box::new(move || {
                    let (database, hold) = open_database(backend()?)?;
                    hold.release()?;
                    Ok(database)
                });
                Ok(Self { database: Some(database), reopen, sealer, kind, next_record, directory })
            }
            Err(error) => Err((error, directory)),
        }
    }

    /// Damaged stores that were kept aside in `dir` while no store has taken their place, oldest first.
    pub fn kept_aside(dir: &Path) -> Vec<PathBuf> {
        if Directory::has_store(dir) { Vec::new() } else { Directory::kept_aside(dir) }
    }

    /// How the master key is kept.
    pub fn protection(&self) -> ProtectionKind {
        self.kind
    }

    /// The data directory.
    pub fn dir(&self) -> Option<&Path> {
        self.directory.as_ref().map(Directory::path)
    }

    /// Closes the file, then lets go of the directory. Dropping does the same and hides the error.
    ///
    /// # Errors
    /// `Failed` where the last flush does; what was acknowledged is on disk all the same.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { database, directory, .. } = self;
        let closed = database.map_or(Ok(()), Database::close);
        drop(directory);
        Ok(closed?)
    }

    /// After the disk refused, redb takes nothing more until the file is opened again. What is then there is what counts: the
    /// batch that failed may be among it.
    ///
    /// # Errors
    /// `Failed` where the disk still refuses, `Damaged`.
    fn recover(&mut self) -> Result<(), StoreError> {
        if self.database.is_none() {
            let database = (self.reopen)()?;
            self.next_record = records::next_record(&database)?;
            self.database = Some(database);
            tracing::info!("the store was opened again");
        }
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::failed("the store", "it must be opened again first"))
    }
}

/// Moves a damaged store to a place of its own, and says where.
fn keep_aside_if_damaged(error: StoreError, directory: Option<Directory>) -> StoreError {
    let (StoreError::Damaged { reason, .. }, Some(directory)) = (&error, directory) else { return error };
    match directory.keep_aside() {
        Ok(aside) => {
            tracing::error!(aside = %aside.display(), reason, "the store is damaged and was kept aside");
            StoreError::Damaged { reason: reason.clone(), aside: Some(aside) }
        }
        Err(failed) => StoreError::failed(
            &format!("the store is damaged ({reason}) and could not be kept aside; it was left as it is"),
            failed,
        ),
    }
}

/// Writes the first transaction of a store into an empty backend.
fn initialize<B: StorageBackend>(
    backend: B,
    protection: &Protection,
    cost: Cost,
    directory: Option<&Directory>,
) -> Result<(), StoreError> {
    let (slot, _master) = KeySlot::create(protection, cost, directory)?;
    let slot = minicbor::to_vec(&slot).map_err(|error| StoreError::failed("encoding the key", error))?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    schema::write(&transaction, schema::SCHEMA)?;
    transaction.open_table(schema::META)?.insert(KEY_ROW, slot.as_slice())?;
    records::create_tables(&transaction)?;
    transaction.commit()?;
    Ok(database.close()?)
}

fn read_slot(database: &Database) -> Result<KeySlot, StoreError> {
    let row = schema::read_meta(database, KEY_ROW)?.ok_or_else(|| StoreError::damaged("its key is missing"))?;
    minicbor::decode(&row).map_err(|_| StoreError::damaged("its key is unreadable"))
}

/// Opens and checks every page. Commits of ours have two phases, so a page that fails its checksum is damage and never the trace
/// of a power cut.
fn open_database<B: StorageBackend>(backend: B) -> Result<(Database, Hold<B>), StoreError> {
    if backend.len()? == 0 {
        return Err(StoreError::damaged("the file is empty"));
    }
    let (holding, hold) = Holding::new(backend)?;
    // The check reports what it finds; where a damaged file leads redb astray all the same, that too is damage.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create_with_backend(holding)
    }));
    match opened {
        Ok(opened) => Ok((opened?, hold)),
        Err(_) => Err(StoreError::damaged("its pages contradict each other")),
    }
}
