//! Where sound comes from: a device, a file, a tone, nothing. A source is its own clock: it waits for its next 10 ms, and never longer
//! than it is told to.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use super::resample::Resampler;
use super::wav::WavReader;
use super::{BLOCK, BLOCK_TIME, Block, SAMPLE_RATE};
use crate::error::MediaError;

/// What a source had when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The block is filled with the next 10 ms.
    Block,
    /// Nothing came in time; the block is as it was.
    Nothing,
}

/// Gives sound in blocks of 10 ms of 48 kHz mono, in real time. It lives on one thread.
pub trait AudioSource: Send {
    /// Waits for the next block, but not beyond `deadline`.
    ///
    /// # Errors
    /// The source is gone and will give no more; told once.
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError>;

    /// Is it a microphone in a room, with the room's echo and noise? What is not is sent as it is.
    fn is_microphone(&self) -> bool {
        false
    }
}

/// Gives out turns of equal length in real time.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Option<Instant>,
    step: std::time::Duration,
}

impl Pace {
    pub(crate) fn new(step: std::time::Duration) -> Self {
        Self { next: None, step }
    }

    /// Sleeps until the next turn; false where it lies beyond `deadline`, which is then slept to.
    pub(crate) fn wait(&mut self, deadline: Instant) -> bool {
        let now = Instant::now();
        let mut turn = *self.next.get_or_insert(now);
        // After a suspend the turns that were missed are not made up for.
        if now.saturating_duration_since(turn) > self.step * 10 {
            turn = now;
        }
        let until = turn.min(deadline);
        std::thread::sleep(until.saturating_duration_since(now));
        let due = turn <= deadline;
        self.next = Some(if due { turn + self.step } else { turn });
        due
    }
}

/// Nothing, in real time.
#[derive(Debug)]
pub struct Silence {
    pace: Pace,
}

impl Default for Silence {
    fn default() -> Self {
        Self { pace: Pace::new(BLOCK_TIME) }
    }
}

impl AudioSource for Silence {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        if !self.pace.wait(deadline) {
            return Ok(Heard::Nothing);
        }
        block.fill(0.0);
        Ok(Heard::Block)
    }
}

/// A sine of −12 dBFS.
#[derive(Debug)]
pub struct Tone {
    pace: Pace,
    /// In parts of a turn.
    phase: f64,
    step: f64,
}

/// What a tone is when nothing is said, in hertz.
pub const DEFAULT_TONE_HZ: f32 = 440.0;

impl Tone {
    /// In hertz, clamped to 20..=20,000.
    pub fn new(hertz: f32) -> Self {
        let hertz = if hertz.is_finite() { hertz.clamp(20.0, 20_000.0) } else { DEFAULT_TONE_HZ };
        Self { pace: Pace::new(BLOCK_TIME), phase: 0.0, step: f64::from(hertz) / f64::from(SAMPLE_RATE) }
    }
}

impl AudioSource for Tone {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        if !self.pace.wait(deadline) {
            return Ok(Heard::Nothing);
        }
        for sample in block {
            *sample = (self.phase * std::f64::consts::TAU).sin() as f32 * 0.25;
            self.phase = (self.phase + self.step).fract();
        }
        Ok(Heard::Block)
    }
}

/// A WAV file, over and over.
#[derive(Debug)]
pub struct WavSource {
    pace: Pace,
    name: String,
    reader: WavReader<BufReader<File>>,
    resampler: Resampler,
    read: Vec<f32>,
    ready: Vec<f32>,
}

impl WavSource {
    /// # Errors
    /// A file that cannot be opened, is no WAV file, or holds no sound.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let reader = WavReader::open(path)?;
        let name = path.display().to_string();
        if reader.frames() == 0 {
            return Err(MediaError::unavailable(name, "it holds no sound"));
        }
        let resampler = Resampler::to_48k(reader.rate());
        Ok(Self { pace: Pace::new(BLOCK_TIME), name, reader, resampler, read: Vec::new(), ready: Vec::new() })
    }
}

impl AudioSource for WavSource {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        if !self.pace.wait(deadline) {
            return Ok(Heard::Nothing);
        }
        while self.ready.len() < BLOCK {
            self.read.clear();
            if self.reader.read(BLOCK, &mut self.read).map_err(|error| MediaError::gone(&self.name, error))? == 0 {
                self.reader.rewind()?;
            }
            self.resampler.push(&self.read, &mut self.ready);
        }
        for (slot, sample) in block.iter_mut().zip(self.ready.drain(..BLOCK)) {
            *slot = sample;
        }
        Ok(Heard::Block)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::{FRAME, Frame, SAMPLE_RATE};

    /// Something like a voice: pulses at a moving pitch through two resonances, in syllables.
    #[derive(Default)]
    pub(crate) struct Voice {
        sample: u64,
        phase: f64,
        state: [[f64; 2]; 2],
    }

    impl Voice {
        pub(crate) fn frame(&mut self) -> Frame {
            let mut frame = [0.0; FRAME];
            for slot in &mut frame {
                let t = self.sample as f64 / f64::from(SAMPLE_RATE);
                self.sample += 1;
                let pitch = 130.0 + 30.0 * (t * 5.0).sin();
                self.phase += pitch / f64::from(SAMPLE_RATE);
                let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
                self.phase = self.phase.fract();
                let syllable = (t * 3.0 * std::f64::consts::PI).sin().abs();
                let mut out = 0.0;
                for (state, formant) in
                    self.state.iter_mut().zip([600.0 + 200.0 * (t * 7.0).sin(), 1_400.0 + 400.0 * (t * 4.0).cos()])
                {
                    let (r, w) = (0.99, formant * std::f64::consts::TAU / f64::from(SAMPLE_RATE));
                    let y = pulse + 2.0 * r * w.cos() * state[0] - r * r * state[1];
                    *state = [y, state[0]];
                    out += y;
                }
                *slot = (out * syllable * 0.03).clamp(-1.0, 1.0) as f32;
            }
            frame
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::level::rms;
    use super::super::wav::WavWriter;
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[test]
    fn a_file_goes_on_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.wav");
        WavWriter::create(&path).unwrap().write(&[0.5; 700]).unwrap();
        let mut source = WavSource::open(&path).unwrap();
        let mut block = [0.0; BLOCK];
        for _ in 0..5 {
            assert_eq!(source.read(&mut block, soon()).unwrap(), Heard::Block);
            assert!((rms(&block) - 0.5).abs() < 1e-3);
        }
    }

    #[test]
    fn an_empty_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.wav");
        drop(WavWriter::create(&path).unwrap());
        assert!(WavSource::open(&path).is_err());
    }

    #[test]
    fn a_source_keeps_real_time_and_the_deadline() {
        let mut source = Tone::new(1_000.0);
        let mut block = [0.0; BLOCK];
        let start = Instant::now();
        for _ in 0..6 {
            source.read(&mut block, soon()).unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(49));
        assert!((rms(&block) - 0.177).abs() < 0.01);
        assert_eq!(source.read(&mut block, Instant::now()).unwrap(), Heard::Nothing);
    }
}
