//! The data directory: its lock, its modes, and the place where damaged stores are kept. It never deletes or overwrites a store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::StoreError;

pub(crate) const STORE_FILE: &str = "store.redb";
const NEW_STORE_FILE: &str = "store.redb.new";
const LOCK_FILE: &str = "store.lock";
const INSECURE_KEY_FILE: &str = "insecure.key";
const ASIDE_PREFIX: &str = "damaged-";
const FILES_DIR: &str = "files";

/// Where data goes when nothing else is said: the platform's directory for it.
pub fn default_data_dir() -> Option<PathBuf> {
    Some(directories::ProjectDirs::from("", "", "Conclave")?.data_dir().to_owned())
}

/// A data directory that this process alone has, until dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Holds the lock; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Directory {
    /// Whether a store is there.
    pub(crate) fn has_store(path: &Path) -> bool {
        path.join(STORE_FILE).exists()
    }

    /// Takes the directory, and makes it where it is missing (mode 0700).
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        create_private_dir(path).map_err(|error| StoreError::failed(&path.display().to_string(), error))?;
        let lock = private_file().truncate(false).open(path.join(LOCK_FILE));
        let lock = lock.map_err(|error| StoreError::failed(&path.join(LOCK_FILE).display().to_string(), error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StoreError::failed("locking the data directory", error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.path.join(STORE_FILE)
    }

    pub(crate) fn open_file(store: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(store)
    }

    /// An empty file for a store in the making; it has its name only from [`Self::keep_new_store`] on, so that a crash before
    /// leaves nothing that looks like a store.
    pub(crate) fn new_store(&self) -> io::Result<File> {
        private_file().truncate(true).open(self.path.join(NEW_STORE_FILE))
    }

    pub(crate) fn keep_new_store(&self) -> io::Result<()> {
        create_private_dir(&self.path.join(FILES_DIR))?;
        fs::rename(self.path.join(NEW_STORE_FILE), self.path.join(STORE_FILE))?;
        sync_dir(&self.path)
    }

    pub(crate) fn read_insecure_key(&self) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(INSECURE_KEY_FILE))
    }

    /// Writes a key for a store in the making; a key that is there already belongs to some store, and is kept aside.
    pub(crate) fn write_insecure_key(&self, key: &[u8]) -> io::Result<()> {
        let path = self.path.join(INSECURE_KEY_FILE);
        if path.exists() {
            fs::rename(&path, self.new_aside()?.join(INSECURE_KEY_FILE))?;
        }
        let mut file = private_file().create_new(true).open(path)?;
        io::Write::write_all(&mut file, key)?;
        file.sync_all()
    }

    pub(crate) fn remove_insecure_key(&self) -> io::Result<()> {
        fs::remove_file(self.path.join(INSECURE_KEY_FILE))?;
        sync_dir(&self.path)
    }

    /// Moves the store, and the key that lies beside it, to a place of their own; not a byte of them is changed.
    pub(crate) fn keep_aside(&self) -> io::Result<PathBuf> {
        let aside = self.new_aside()?;
        let key = self.path.join(INSECURE_KEY_FILE);
        if key.exists() {
            fs::rename(key, aside.join(INSECURE_KEY_FILE))?;
        }
        fs::rename(self.path.join(STORE_FILE), aside.join(STORE_FILE))?;
        sync_dir(&aside)?;
        sync_dir(&self.path)?;
        Ok(aside)
    }

    /// Where damaged stores of this directory were kept, oldest first.
    pub(crate) fn kept_aside(path: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE_PREFIX))
            .map(|entry| entry.path())
            .filter(|path| path.join(STORE_FILE).exists())
            .collect();
        found.sort();
        found
    }

    /// Removes what this program keeps in the directory, the key first.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        for file in [INSECURE_KEY_FILE, STORE_FILE, NEW_STORE_FILE] {
            gone(fs::remove_file(self.path.join(file)))?;
        }
        gone(fs::remove_dir_all(self.path.join(FILES_DIR)))?;
        for entry in fs::read_dir(&self.path)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE_PREFIX) {
                gone(fs::remove_dir_all(entry.path()))?;
            }
        }
        sync_dir(&self.path)
    }

    fn new_aside(&self) -> io::Result<PathBuf> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for attempt in 0_u32.. {
            let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
            let path = self.path.join(format!("{ASIDE_PREFIX}{seconds:010}{suffix}"));
            match private_dir().create(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Makes a directory that is this person's alone. An empty one that is there becomes so; one with other things in it keeps its mode.
fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        #[cfg(unix)]
        if fs::read_dir(path)?.next().is_none() {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match private_dir().create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

fn private_dir() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are of Unix"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A rename is on disk only when its directory is.
fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
