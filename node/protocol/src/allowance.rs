//! How often a peer may do something: so many times at once, and one more after each interval. It never reads a clock.

use core::time::Duration;

/// A token bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    burst: u32,
    interval: Duration,
    left: u32,
    /// When what is left was last counted.
    at: Duration,
}

impl Allowance {
    /// Full.
    pub(crate) fn new(burst: u32, interval: Duration, now: Duration) -> Self {
        Self { burst, interval, left: burst, at: now }
    }

    /// Whether it may be done once more at `now`; counts it if so.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    /// When it may be done next: `now` or later.
    pub(crate) fn ready_at(&mut self, now: Duration) -> Duration {
        self.refill(now);
        if self.left > 0 { now } else { self.at + self.interval }
    }

    /// As if it had never been used.
    pub(crate) fn is_full(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.left == self.burst
    }

    fn refill(&mut self, now: Duration) {
        while self.left < self.burst && self.at + self.interval <= now {
            self.left += 1;
            self.at += self.interval;
        }
        if self.left == self.burst {
            self.at = now;
        }
    }

    /// When something was last allowed or gained.
    pub(crate) fn touched(&self) -> Duration {
        self.at
    }
}
