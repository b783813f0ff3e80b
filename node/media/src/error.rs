//! What can go wrong with a device, a file or a coded stream, in words a person can act on. It never carries media.

/// An error of capture, coding or playback.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The text does not name a source or sink; `reason` says what is expected.
    #[error("`{spec}` does not name a device: {reason}")]
    BadSpec { spec: String, reason: &'static str },
    /// Named rightly, but nobody has written it for this system.
    #[error("{what} is not yet on this platform")]
    Unsupported { what: String },
    /// The device or file cannot be opened, or not as asked.
    #[error("{device} cannot be used: {reason}")]
    Unavailable { device: String, reason: String },
    /// It worked and then went away: unplugged, closed, or the display ended.
    #[error("{device} is gone: {reason}")]
    Gone { device: String, reason: String },
    /// The source has come to its end and does not repeat.
    #[error("{device} has ended")]
    Ended { device: String },
    /// A picture with a side or an area beyond what is taken.
    #[error("a picture of {width}x{height} is outside what is supported")]
    PictureSize { width: u32, height: u32 },
    /// Coded data or a file that does not follow its format.
    #[error("damaged {what}: {reason}")]
    Damaged { what: &'static str, reason: String },
    /// The codec library refused.
    #[error("{codec}: {reason}")]
    Codec { codec: &'static str, reason: String },
    /// The system gave no thread.
    #[error("no thread for {what}: {reason}")]
    Thread { what: &'static str, reason: String },
}

impl MediaError {
    pub(crate) fn unavailable(device: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Unavailable { device: device.into(), reason: reason.to_string() }
    }

    pub(crate) fn gone(device: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Gone { device: device.into(), reason: reason.to_string() }
    }

    pub(crate) fn codec(codec: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Codec { codec, reason: reason.to_string() }
    }

    pub(crate) fn damaged(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { what, reason: reason.to_string() }
    }
}
