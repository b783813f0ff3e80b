//! From one sample rate to another by a windowed sinc, without drift. It holds no more than the kernel's length between calls.

use super::SAMPLE_RATE;

/// Zero crossings of the kernel on each side: about 80 dB of rejection with the window below.
const CROSSINGS: usize = 16;
/// Table steps between two zero crossings; between them the kernel is interpolated.
const STEPS: usize = 256;
/// The part of the narrower band that passes.
const PASS: f64 = 0.94;

/// Converts a stream of mono samples to 48 kHz or from it.
pub struct Resampler {
    from: u64,
    to: u64,
    /// The kernel's right half, from its middle.
    kernel: Vec<f32>,
    /// Input samples on each side that one output sample needs.
    reach: usize,
    /// Kernel steps that one input sample spans.
    stretch: f64,
    gain: f32,
    history: Vec<f32>,
    /// Where the next output sample lies after `history[reach]`, in parts of 1/`to` of an input sample.
    phase: u64,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resampler({} to {} Hz)", self.from, self.to)
    }
}

impl Resampler {
    /// From this rate to 48 kHz. Rates outside 1,000..=768,000 Hz are clamped.
    pub fn to_48k(rate: u32) -> Self {
        Self::new(rate, SAMPLE_RATE)
    }

    /// Both rates in hertz, clamped to 1,000..=768,000.
    pub fn new(from: u32, to: u32) -> Self {
        let (from, to) = (u64::from(from.clamp(1_000, 768_000)), u64::from(to.clamp(1_000, 768_000)));
        // Going down, the kernel widens, so that what the lower rate cannot hold is filtered out.
        let cutoff = (to as f64 / from as f64).min(1.0) * PASS;
        let reach = (CROSSINGS as f64 / cutoff).ceil() as usize + 1;
        let kernel = (0..=CROSSINGS * STEPS + 1).map(|i| windowed_sinc(i as f64 / STEPS as f64) as f32).collect();
        Self { from, to, kernel, reach, stretch: cutoff * STEPS as f64, gain: cutoff as f32, history: vec![0.0; reach], phase: 0 }
    }

    /// Adds what comes out to `out`.
    pub fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        if self.from == self.to {
            out.extend_from_slice(input);
            return;
        }
        self.history.extend_from_slice(input);
        let mut middle = self.reach;
        while let Some(around) = self.history.get(middle - self.reach..=middle + self.reach) {
            out.push(self.sample(around));
            self.phase += self.from;
            middle += (self.phase / self.to) as usize;
            self.phase %= self.to;
        }
        // One step is far shorter than the kernel, so `middle - reach` lies within what has come.
        self.history.drain(..(middle - self.reach).min(self.history.len()));
    }

    fn sample(&self, around: &[f32]) -> f32 {
        let fraction = self.phase as f64 / self.to as f64;
        let mut sum = 0.0;
        for (i, sample) in around.iter().enumerate() {
            let distance = (i as f64 - self.reach as f64 - fraction).abs() * self.stretch;
            let step = distance as usize;
            if let (Some(a), Some(b)) = (self.kernel.get(step), self.kernel.get(step + 1)) {
                sum += sample * (a + (b - a) * (distance - step as f64) as f32);
            }
        }
        sum * self.gain
    }
}

/// Sinc under a Blackman window that ends at [`CROSSINGS`].
fn windowed_sinc(x: f64) -> f64 {
    let end = CROSSINGS as f64;
    if x >= end {
        return 0.0;
    }
    let angle = std::f64::consts::PI * x;
    let sinc = if x == 0.0 { 1.0 } else { angle.sin() / angle };
    let turn = std::f64::consts::PI * x / end;
    sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
        (0..samples).map(|i| (i as f64 * hertz * std::f64::consts::TAU / f64::from(rate)).sin() as f32).collect()
    }

    /// What is left when the best fitting tone is taken away, in dB below the tone.
    fn noise_db(samples: &[f32], rate: u32, hertz: f64) -> f64 {
        let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
        for (i, s) in samples.iter().enumerate() {
            let angle = i as f64 * hertz * std::f64::consts::TAU / f64::from(rate);
            re += f64::from(*s) * angle.cos();
            im += f64::from(*s) * angle.sin();
            energy += f64::from(*s) * f64::from(*s);
        }
        let of_tone = 2.0 * (re * re + im * im) / samples.len() as f64;
        10.0 * (of_tone / (energy - of_tone).max(1e-12)).log10()
    }

    fn convert(from: u32, to: u32, input: &[f32], chunk: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to);
        let mut out = Vec::new();
        for part in input.chunks(chunk) {
            resampler.push(part, &mut out);
        }
        out
    }

    #[test]
    fn a_tone_stays_clean_at_every_common_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 96_000, 192_000] {
            let out = convert(rate, SAMPLE_RATE, &tone(rate, 1_000.0, rate as usize), 441);
            // Whole periods, away from the ends.
            let middle = &out[4_800..43_200];
            assert!(noise_db(middle, SAMPLE_RATE, 1_000.0) > 60.0, "{rate} Hz: {} dB", noise_db(middle, SAMPLE_RATE, 1_000.0));
            assert!(out.len().abs_diff(48_000) < 300, "{rate} Hz: {} samples", out.len());
        }
    }

    #[test]
    fn what_does_not_fit_is_filtered_out() {
        let out = convert(96_000, SAMPLE_RATE, &tone(96_000, 30_000.0, 96_000), 1000);
        assert!(super::super::level::rms(&out[1000..40_000]) < 0.001);
    }

    #[test]
    fn the_size_of_the_parts_does_not_matter() {
        for (from, to) in [(44_100, 48_000), (48_000, 8_000), (192_000, 48_000), (48_000, 44_100)] {
            let input = tone(from, 700.0, 20_000);
            assert_eq!(convert(from, to, &input, 1), convert(from, to, &input, 7_777), "{from} to {to}");
        }
    }
}
