//! Latency of sound: clicks that are played into one sink and heard, some time later, in another.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::sound::RATE;

/// A click: 8 ms of 1 kHz at most of full scale, which survives a voice codec.
const CLICK: Duration = Duration::from_millis(8);
/// Gaps between clicks, in ms, uneven so that one cannot be taken for another.
const GAPS_MS: [u32; 12] = [700, 830, 610, 970, 740, 890, 650, 1010, 780, 930, 690, 860];

/// Writes a mono 16-bit WAV file of clicks with silence between, about 10 s long.
pub fn write(file: &Path) -> Result<()> {
    let mut samples: Vec<i16> = vec![0; RATE as usize / 2];
    for gap in GAPS_MS {
        let length = (CLICK.as_secs_f32() * RATE as f32) as usize;
        samples.extend((0..length).map(|n| {
            let phase = n as f32 / RATE as f32 * 1000.0 * core::f32::consts::TAU;
            (phase.sin() * 26_000.0) as i16
        }));
        samples.extend(std::iter::repeat_n(0, (gap * RATE / 1000) as usize - length));
    }
    write_wav(file, &samples)
}

/// Writes a mono 16-bit WAV file.
pub fn write_wav(file: &Path, samples: &[i16]) -> Result<()> {
    let data = samples.len() as u32 * 2;
    let mut bytes = Vec::with_capacity(44 + data as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for (value, width) in [(16, 4), (1, 2), (1, 2), (RATE, 4), (RATE * 2, 4), (2, 2), (16, 2)] {
        bytes.extend(value.to_le_bytes().iter().take(width));
    }
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(file, bytes)?;
    Ok(())
}

/// When each click began, as the time axis of the listener tells.
pub fn onsets(samples: &[f32], first: Instant) -> Vec<Instant> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(ahead) = samples.get(index..).and_then(|rest| rest.iter().position(|sample| sample.abs() > 0.15)) {
        let at = index + ahead;
        found.push(first + Duration::from_secs_f64(at as f64 / f64::from(RATE)));
        // The rest of the click and its echoes belong to it: the next one is at least 600 ms away.
        index = at + RATE as usize * 4 / 10;
    }
    found
}

/// For each click that was played and heard, how long it took: the first one heard within 500 ms is it.
pub fn latencies(played: &[Instant], heard: &[Instant]) -> Vec<Duration> {
    let limit = Duration::from_millis(500);
    played
        .iter()
        .filter_map(|played| {
            heard.iter().filter_map(|heard| heard.checked_duration_since(*played)).find(|latency| *latency < limit)
        })
        .collect()
}

/// The value at this share, 0 to 1, of the sorted values.
pub fn quantile<T: Copy + Ord>(values: &[T], share: f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_that_comes_back_later_gives_its_delay() {
        let start = Instant::now();
        let click = |at_ms: usize| {
            let mut samples = vec![0.0_f32; RATE as usize * 2];
            for sample in samples.iter_mut().skip(at_ms * 48).take(300) {
                *sample = 0.6;
            }
            onsets(&samples, start)
        };
        let latencies = latencies(&click(500), &click(623));
        assert_eq!(latencies.iter().map(Duration::as_millis).collect::<Vec<_>>(), [123]);
    }

    #[test]
    fn a_click_that_is_lost_gives_no_delay() {
        let start = Instant::now();
        assert!(latencies(&[start], &[start + Duration::from_millis(700)]).is_empty());
    }
}
