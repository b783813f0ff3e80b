//! The media clock of this process: monotonic, shared by sound and picture so that they can be kept together. It is not the time of
//! day and never leaves the device as such.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the media clock of this process began.
pub fn now() -> Duration {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed()
}
