//! Why the store did not do what it was asked; every sentence is for a person. It never holds a secret.

use std::path::{Path, PathBuf};

use crate::error::{CommandError, ErrorCode};

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("another process is using {}; one data directory serves one node", .dir.display())]
    InUse { dir: PathBuf },
    #[error("there is no identity in {} yet{}", .dir.display(), aside_sentence(.aside))]
    Empty { dir: PathBuf, aside: Vec<PathBuf> },
    #[error("there is an identity in {} already", .dir.display())]
    Exists { dir: PathBuf },
    #[error("{reason}")]
    Locked { reason: String },
    #[error("the store is damaged: {reason}.{}", kept_sentence(.aside.as_deref()))]
    Damaged { reason: String, aside: Option<PathBuf> },
    #[error(
        "the store was written by a newer version of Conclave (schema {found}; this version knows up to {known}). Nothing was changed; start the newer version"
    )]
    Newer { found: u32, known: u32 },
    #[error("the disk refused: {reason}")]
    Failed { reason: String },
    #[error("the store was closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn locked(reason: impl Into<String>) -> Self {
        Self::Locked { reason: reason.into() }
    }

    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into(), aside: None }
    }

    pub(crate) fn failed(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Failed { reason: format!("{what}: {error}") }
    }

    /// The stable code of this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } => ErrorCode::StoreInUse,
            Self::Empty { .. } => ErrorCode::StoreEmpty,
            Self::Exists { .. } => ErrorCode::StoreExists,
            Self::Locked { .. } => ErrorCode::StoreLocked,
            Self::Damaged { .. } => ErrorCode::StoreDamaged,
            Self::Newer { .. } => ErrorCode::StoreNewer,
            Self::Failed { .. } => ErrorCode::StoreFailed,
            Self::Closed => ErrorCode::Stopped,
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            redb::StorageError::Corrupted(reason) => Self::damaged(reason),
            redb::StorageError::Io(error) => error.into(),
            other => Self::Failed { reason: other.to_string() },
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // A file that ends early or begins with something else is no disk that failed.
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => Self::damaged(error.to_string()),
            _ => Self::Failed { reason: error.to_string() },
        }
    }
}

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::Storage(error) => error.into(),
            // No version of ours wrote another file format than today's.
            redb::DatabaseError::UpgradeRequired(version) => Self::damaged(format!("unknown file format {version}")),
            other => Self::Failed { reason: other.to_string() },
        }
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            other => Self::Failed { reason: other.to_string() },
        }
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            other => Self::damaged(other.to_string()),
        }
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            other => Self::Failed { reason: other.to_string() },
        }
    }
}

fn aside_sentence(aside: &[PathBuf]) -> String {
    match aside.last() {
        None => String::new(),
        Some(last) => {
            format!(" (a damaged store was kept aside in {}; to begin anew all the same: `conclave-node init`)", last.display())
        }
    }
}

fn kept_sentence(aside: Option<&Path>) -> String {
    aside.map(|path| format!(" Everything of it was kept, unchanged, in {}", path.display())).unwrap_or_default()
}
