//! Where pictures come from, behind one trait. A source captures; it does not code, send or show.

pub mod camera;
pub mod file;
pub mod screen;
pub mod synthetic;

use std::time::{Duration, Instant};

use crate::error::MediaError;
use crate::picture::Picture;

/// The longest time a source keeps its thread when it has no picture: it bounds how long stopping takes.
pub const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A source of pictures, paced by itself.
pub trait VideoSource: Send {
    /// Waits for the next picture, [`LONGEST_WAIT`] at most; `None` where there is none yet. After an error the source is used up.
    fn next(&mut self) -> Result<Option<Picture>, MediaError>;

    /// What a person calls this source.
    fn describe(&self) -> String;
}

/// Keeps a source at its rate.
pub(crate) struct Pacer {
    interval: Duration,
    due: Instant,
}

impl Pacer {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, due: Instant::now() }
    }

    /// Sleeps until the next picture is due, [`LONGEST_WAIT`] at most; false where it is not yet due.
    pub(crate) fn wait(&mut self) -> bool {
        let now = Instant::now();
        let left = self.due.saturating_duration_since(now);
        if !left.is_zero() {
            std::thread::sleep(left.min(LONGEST_WAIT));
        }
        if left > LONGEST_WAIT {
            return false;
        }
        // Who comes late does not hurry after the pictures that were missed.
        self.due = (self.due + self.interval).max(now);
        true
    }
}
