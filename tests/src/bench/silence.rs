//! The longest silence in a recording.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Sound below this part of the loudest is a gap.
const SILENT: f64 = 0.02;
/// Shorter ones are between two swings of the tone.
const SHORTEST: Duration = Duration::from_millis(2);

/// Between the first and the last sound of a WAV file of 16-bit samples, in milliseconds.
pub(super) fn longest_silence(file: &Path) -> Result<u64> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let at = bytes.windows(4).position(|chunk| chunk == b"fmt ").context("no format")?;
    let number = |at: usize, length: usize| -> Option<u32> {
        bytes.get(at..at + length).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    let (channels, rate) = (number(at + 10, 2).context("no channels")?, number(at + 12, 4).context("no rate")?);
    anyhow::ensure!(number(at + 22, 2) == Some(16) && channels > 0 && rate > 0, "not 16-bit samples");
    let data = bytes.windows(4).position(|chunk| chunk == b"data").context("no samples")? + 8;
    let samples: Vec<f64> = bytes
        .get(data..)
        .unwrap_or_default()
        .chunks_exact(2 * channels as usize)
        .filter_map(|frame| Some(f64::from(i16::from_le_bytes([*frame.first()?, *frame.get(1)?])).abs()))
        .collect();
    let loudest = samples.iter().copied().fold(0.0, f64::max);
    anyhow::ensure!(loudest > 100.0, "nothing was heard");
    let loud = |sample: &f64| *sample > loudest * SILENT;
    let (first, last) = (samples.iter().position(loud).unwrap_or(0), samples.iter().rposition(loud).unwrap_or(0));
    let longest = samples.get(first..last).unwrap_or_default().split(loud).map(<[f64]>::len).max().unwrap_or(0);
    let gap = Duration::from_secs_f64(longest as f64 / f64::from(rate));
    Ok(if gap < SHORTEST { 0 } else { gap.as_millis() as u64 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_gap_in_a_tone_is_found_and_the_tone_itself_has_none() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("tone.wav");
        let tone = |sample: usize| (10_000.0 * (sample as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin()) as i16;
        let mut samples: Vec<i16> = (0..48_000).map(tone).collect();
        crate::clicks::write_wav(&file, &samples).unwrap();
        assert_eq!(longest_silence(&file).unwrap(), 0);
        // 30 ms, and silence before and after that does not count.
        samples[20_000..21_440].fill(0);
        samples[..4_000].fill(0);
        samples[47_000..].fill(0);
        crate::clicks::write_wav(&file, &samples).unwrap();
        assert!((29..=32).contains(&longest_silence(&file).unwrap()));
    }
}
