//! What goes wrong with files, each so that a person knows what to do about it.

use std::io;

use crate::error::{CommandError, ErrorCode};

/// Why a file cannot be shared, fetched or served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("There is not enough space on the disk: {needed} more are needed.")]
    DiskFull { needed: String },
    #[error("The file was changed after it was shared; share it again.")]
    Stale,
    #[error("The file that was shared is not there any more.")]
    SourceGone,
    #[error("The folder into which the file was to go is not there any more.")]
    TargetGone,
    #[error("Permission to read or write here was denied.")]
    PermissionDenied,
    #[error("The drive does not answer any more; it may have been unplugged.")]
    DriveGone,
    #[error("A link stands where a file was; nothing is written through it.")]
    LinkInTheWay,
    #[error("{0}")]
    Unusable(&'static str),
    #[error("The disk refused: {0}.")]
    Other(String),
}

impl FileError {
    /// What the system said about something that is read or written. `writing`: it is the target that is missing.
    pub(crate) fn of(error: &io::Error, writing: bool) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { needed: "some bytes".to_owned() },
            io::ErrorKind::NotFound if writing => Self::TargetGone,
            io::ErrorKind::NotFound => Self::SourceGone,
            io::ErrorKind::UnexpectedEof => Self::Stale,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::PermissionDenied,
            _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::IO | rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => Self::DriveGone,
                Some(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => Self::LinkInTheWay,
                Some(rustix::io::Errno::STALE) => Self::DriveGone,
                _ => Self::Other(error.to_string()),
            },
        }
    }

    /// Its code for scripts.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::DiskFull { .. } => ErrorCode::DiskFull,
            Self::Stale => ErrorCode::FileStale,
            Self::SourceGone => ErrorCode::FileGone,
            Self::TargetGone => ErrorCode::TargetGone,
            Self::PermissionDenied => ErrorCode::PermissionDenied,
            Self::DriveGone => ErrorCode::DriveGone,
            Self::LinkInTheWay | Self::Unusable(_) => ErrorCode::FileRefused,
            Self::Other(_) => ErrorCode::FileFailed,
        }
    }
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<rustix::io::Errno> for FileError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::of(&errno.into(), true)
    }
}

/// `1.5 GiB`.
pub(crate) fn bytes_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {name}") }
}
