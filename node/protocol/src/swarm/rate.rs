//! How fast bytes go, and how fast they may. It never reads a clock.

use core::time::Duration;
use std::collections::VecDeque;

/// Measures bytes a second over the last few seconds.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// When a slice of [`SLICE`] began, and its bytes.
    slices: VecDeque<(Duration, u64)>,
    total: u64,
    began: Option<Duration>,
}

const SLICE: Duration = Duration::from_millis(250);
const SLICES: usize = 12;

impl Meter {
    /// Counts bytes.
    pub fn add(&mut self, bytes: u64, now: Duration) {
        self.total += bytes;
        self.began.get_or_insert(now);
        match self.slices.back_mut() {
            Some((at, sum)) if now < *at + SLICE => *sum += bytes,
            _ => self.slices.push_back((now, bytes)),
        }
        while self.slices.len() > SLICES {
            self.slices.pop_front();
        }
    }

    /// Bytes a second, over at most three seconds.
    pub fn per_second(&self, now: Duration) -> u64 {
        let window = SLICE * SLICES as u32;
        let from = now.saturating_sub(window);
        let bytes: u64 = self.slices.iter().filter(|(at, _)| *at >= from).map(|(_, bytes)| bytes).sum();
        let since = self.began.map_or(window, |began| now.saturating_sub(began)).clamp(SLICE, window);
        (bytes as f64 / since.as_secs_f64()) as u64
    }

    /// Bytes ever counted.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// What a limit lets through at once after a rest, unless it is told otherwise.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket over bytes: so many a second, and a burst of a quarter of a second (at least one chunk of 1 MiB may always go at once,
/// by debt).
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    bytes_per_second: Option<u64>,
    burst: Duration,
    left: f64,
    at: Duration,
}

impl Limit {
    /// `None`: without a limit.
    pub fn new(bytes_per_second: Option<u64>, now: Duration) -> Self {
        Self { bytes_per_second, burst: BURST, left: 0.0, at: now }
    }

    /// What was not used adds up to so long at most: a short one makes an even stream.
    pub fn with_burst(self, burst: Duration) -> Self {
        Self { burst, ..self }
    }

    /// Another limit from here on.
    pub fn set(&mut self, bytes_per_second: Option<u64>, now: Duration) {
        self.refill(now);
        self.bytes_per_second = bytes_per_second;
    }

    /// What is set.
    pub fn get(&self) -> Option<u64> {
        self.bytes_per_second
    }

    /// Takes bytes if some may go now; what is too much is owed, so that the rate holds over any chunk size. Otherwise how long to wait.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Result<(), Duration> {
        let Some(rate) = self.bytes_per_second else { return Ok(()) };
        self.refill(now);
        if self.left >= 0.0 {
            self.left -= bytes as f64;
            return Ok(());
        }
        Err(Duration::from_secs_f64((-self.left / rate.max(1) as f64).clamp(0.001, 60.0)))
    }

    fn refill(&mut self, now: Duration) {
        if let Some(rate) = self.bytes_per_second {
            let since = now.saturating_sub(self.at).as_secs_f64();
            self.left = (self.left + since * rate as f64).min(rate as f64 * self.burst.as_secs_f64());
        }
        self.at = now;
    }
}
