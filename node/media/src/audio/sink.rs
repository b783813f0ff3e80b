//! Where sound goes: a device, a file, nowhere. A sink is the clock of the playout: it says when it wants the next 20 ms, and never
//! makes it wait for longer than it is told to.

use std::path::Path;
use std::time::Instant;

use super::source::Pace;
use super::wav::WavWriter;
use super::{FRAME_TIME, Frame};
use crate::error::MediaError;

/// Takes sound in frames of 20 ms of 48 kHz mono, in real time. It lives on one thread.
pub trait AudioSink: Send {
    /// Waits until the sink wants the next frame; false when it does not want one by `deadline`.
    ///
    /// # Errors
    /// The sink is gone and will take no more; told once.
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError>;

    /// Takes the frame that it said it wanted. Does not wait.
    ///
    /// # Errors
    /// As [`AudioSink::ready`].
    fn write(&mut self, frame: &Frame) -> Result<(), MediaError>;
}

/// Drops everything, in real time.
#[derive(Debug)]
pub struct NullSink {
    pace: Pace,
}

impl Default for NullSink {
    fn default() -> Self {
        Self { pace: Pace::new(FRAME_TIME) }
    }
}

impl AudioSink for NullSink {
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError> {
        Ok(self.pace.wait(deadline))
    }

    fn write(&mut self, _: &Frame) -> Result<(), MediaError> {
        Ok(())
    }
}

/// A WAV file of 48 kHz mono, 16 bits, written in real time and readable at any moment.
#[derive(Debug)]
pub struct WavSink {
    pace: Pace,
    writer: WavWriter,
}

impl WavSink {
    /// Makes the file or empties it.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(path: &Path) -> Result<Self, MediaError> {
        Ok(Self { pace: Pace::new(FRAME_TIME), writer: WavWriter::create(path)? })
    }
}

impl AudioSink for WavSink {
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError> {
        Ok(self.pace.wait(deadline))
    }

    fn write(&mut self, frame: &Frame) -> Result<(), MediaError> {
        self.writer.write(frame)
    }
}
