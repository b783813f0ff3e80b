//! Adds voices together without clicks and without clipping. What it gives out never exceeds full scale, whatever goes in.

use super::{FRAME, Frame};

/// Below this nothing is changed.
const THRESHOLD: f32 = 0.7;
/// How much of its pull the limiter keeps from sample to sample: 10 dB in about 100 ms.
const RELEASE: f32 = 0.999_76;

/// What no sum of sensible voices reaches; more would keep the limiter down for long.
const CEILING: f32 = 64.0;

/// Turns down what is too loud, at once, and lets go slowly.
#[derive(Debug, Default)]
pub struct Limiter {
    envelope: f32,
}

impl Limiter {
    /// Limits the samples in place to −1.0..=1.0. What is not a number becomes silent.
    pub fn apply(&mut self, samples: &mut [f32]) {
        for sample in samples {
            if !sample.is_finite() {
                *sample = 0.0;
            }
            *sample = sample.clamp(-CEILING, CEILING);
            self.envelope = sample.abs().max(self.envelope * RELEASE);
            if self.envelope > THRESHOLD {
                let room = 1.0 - THRESHOLD;
                let wanted = THRESHOLD + room * ((self.envelope - THRESHOLD) / room).tanh();
                *sample = (*sample * (wanted / self.envelope)).clamp(-1.0, 1.0);
            }
        }
    }
}

/// A volume that moves within one frame and never jumps.
#[derive(Debug)]
pub struct Gain {
    now: f32,
    target: f32,
}

/// The loudest a stream can be turned up to.
pub const MAX_VOLUME: f32 = 4.0;

impl Gain {
    /// Starts silent and comes up to `volume` within the first frame.
    pub fn rising_to(volume: f32) -> Self {
        Self { now: 0.0, target: sensible(volume) }
    }

    /// Is reached by the end of the next frame. Clamped to 0..=[`MAX_VOLUME`].
    pub fn set(&mut self, volume: f32) {
        self.target = sensible(volume);
    }

    /// Adds the frame, turned up or down, to the mix.
    pub fn mix_into(&mut self, mix: &mut Frame, frame: &Frame) {
        let (start, change) = (self.now, self.target - self.now);
        for (i, (sum, sample)) in mix.iter_mut().zip(frame).enumerate() {
            *sum += sample * (start + change * (i + 1) as f32 / FRAME as f32);
        }
        self.now = self.target;
    }

    /// Turns the frame itself up or down.
    pub fn apply(&mut self, frame: &mut Frame) {
        let original = *frame;
        frame.fill(0.0);
        self.mix_into(frame, &original);
    }
}

fn sensible(volume: f32) -> f32 {
    if volume.is_finite() { volume.clamp(0.0, MAX_VOLUME) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn largest_step(samples: &[f32]) -> f32 {
        samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn quiet_sound_is_not_touched() {
        let mut samples: Vec<f32> = (0..2000).map(|i| (i as f32 * 0.05).sin() * 0.65).collect();
        let before = samples.clone();
        Limiter::default().apply(&mut samples);
        assert_eq!(samples, before);
    }

    #[test]
    fn many_loud_voices_are_turned_down_and_not_clipped() {
        let mut samples: Vec<f32> = (0..48_000).map(|i| (i as f32 * 0.05).sin() * 5.0).collect();
        Limiter::default().apply(&mut samples);
        let settled = &samples[24_000..];
        let flat = settled.iter().filter(|s| s.abs() > 0.98).count() as f32 / settled.len() as f32;
        // A clipped sine of this strength is flat for nine tenths of the time.
        assert!(flat < 0.2, "{flat} of the samples are at the limit");
        assert!(settled.iter().fold(0.0, |m: f32, s| m.max(s.abs())) > 0.9);
    }

    #[test]
    fn a_volume_moves_without_a_click() {
        let steady = [0.5; FRAME];
        let mut gain = Gain::rising_to(1.0);
        let mut heard = Vec::new();
        for volume in [1.0, 0.0, 2.0, 1.0] {
            gain.set(volume);
            let mut mix = [0.0; FRAME];
            gain.mix_into(&mut mix, &steady);
            heard.extend(mix);
        }
        assert!(largest_step(&heard) < 0.01);
        assert_eq!((heard[FRAME - 1], heard[2 * FRAME - 1], heard[3 * FRAME - 1]), (0.5, 0.0, 1.0));
    }

    proptest! {
        #[test]
        fn never_beyond_full_scale(samples in prop::collection::vec(prop_oneof![any::<f32>(), -100.0f32..100.0, -1.0f32..1.0], 1..2000)) {
            let mut limited = samples;
            Limiter::default().apply(&mut limited);
            prop_assert!(limited.iter().all(|s| s.abs() <= 1.0));
        }
    }
}
