//! A ceiling over the estimate of a path, from how long packets wait on their way. The engine's own controller notices a queue only
//! after seconds, in which the queue of an uplink at home overflows and takes the voice with it; this one cuts at once to what got
//! through, and lets go slowly near the rate at which the queue began. No clock and no sockets here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A queue of this length cuts the rate; below the second the rate may grow.
const LONG: Duration = Duration::from_millis(70);
const SHORT: Duration = Duration::from_millis(30);
/// After a cut the queue needs a moment to drain.
const REST: Duration = Duration::from_millis(400);
/// Over which it is counted what got through.
const ACKED: Duration = Duration::from_millis(500);
/// Reports in that time; further ones push the oldest out.
const MAX_ACKED: usize = 256;
/// The shortest way is remembered for one to two of these: clocks drift and routes change.
const BASE: Duration = Duration::from_secs(5);
/// Of what got through, so that the queue drains.
const CUT: f64 = 0.85;
/// No cut goes below this, in bits a second: less is voice alone.
const FLOOR: f64 = 80_000.0;
/// Growth a second near the rate at which the queue began, and away from it.
const NEAR: f64 = 1.10;
const AWAY: f64 = 1.45;
/// Above this a ceiling says nothing any more.
const CEILING: f64 = 10_000_000.0;

/// The ceiling of one path.
#[derive(Debug, Default)]
pub(crate) struct DelayGuard {
    epoch: Option<Instant>,
    /// Shortest way seen in this stretch and in the one before, in microseconds between two clocks that have nothing in common.
    base: (Option<i64>, Option<i64>),
    turned: Option<Instant>,
    acked: VecDeque<(Instant, usize)>,
    cap: Option<f64>,
    /// What got through when the queue was long.
    full: f64,
    cut: Option<Instant>,
    heard: Option<Instant>,
}

impl DelayGuard {
    /// Packets that arrived: when each left by our clock, when it came by theirs, and its size in bytes.
    pub(crate) fn handle_reports(&mut self, now: Instant, packets: impl Iterator<Item = (Instant, Duration, usize)>) {
        let epoch = *self.epoch.get_or_insert(now);
        let (mut shortest, mut bytes): (Option<i64>, usize) = (None, 0);
        for (left, came, size) in packets {
            let left = left.checked_duration_since(epoch).map_or_else(|| -micros(epoch.saturating_duration_since(left)), micros);
            let way = micros(came).saturating_sub(left);
            shortest = Some(shortest.map_or(way, |shortest| shortest.min(way)));
            bytes = bytes.saturating_add(size);
        }
        let Some(way) = shortest else { return };
        self.acked.push_back((now, bytes));
        while self.acked.len() > MAX_ACKED || self.acked.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > ACKED)
        {
            self.acked.pop_front();
        }
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) >= BASE {
            self.base = (None, self.base.0);
            self.turned = Some(now);
        }
        self.base.0 = Some(self.base.0.map_or(way, |base| base.min(way)));
        let base = [self.base.0, self.base.1].into_iter().flatten().min().unwrap_or(way);
        let queue = Duration::from_micros(u64::try_from(way.saturating_sub(base)).unwrap_or(0));
        let since = self.heard.replace(now).map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
        if queue > LONG {
            if self.cut.is_none_or(|cut| now.saturating_duration_since(cut) >= REST) {
                let through = self.through(now);
                self.full = through;
                self.cap = Some(self.cap.unwrap_or(CEILING).min(through * CUT).max(FLOOR));
                self.cut = Some(now);
            }
        } else if queue < SHORT
            && let Some(cap) = self.cap
        {
            let near = (0.7..1.15).contains(&(cap / self.full.max(1.0)));
            // A gap in the reports is no reason to leap.
            let seconds = since.as_secs_f64().min(0.5);
            let grown = cap * if near { NEAR } else { AWAY }.powf(seconds);
            self.cap = (grown < CEILING).then_some(grown);
        }
    }

    /// Bits a second that got through of late.
    fn through(&self, now: Instant) -> f64 {
        // As reals: a peer that reports absurd sizes must not make a sum overflow.
        let bytes: f64 = self.acked.iter().map(|(_, bytes)| *bytes as f64).sum();
        let span = self.acked.front().map_or(ACKED, |(at, _)| now.saturating_duration_since(*at)).max(ACKED / 2);
        bytes * 8.0 / span.as_secs_f64()
    }

    /// What an estimate may be at most, in bits a second.
    pub(crate) fn limit(&self, estimate: f64) -> f64 {
        self.cap.map_or(estimate, |cap| estimate.min(cap))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link of this rate with an endless buffer: what is sent at `wanted` for so long, in packets of 1,000 bytes, reported every 50 ms.
    fn drive(
        guard: &mut DelayGuard,
        begun: Instant,
        from_ms: u64,
        millis: u64,
        link_bps: f64,
        free: &mut f64,
        rate: impl Fn(&DelayGuard) -> f64,
    ) -> Vec<f64> {
        let mut caps = Vec::new();
        let mut credit = 0.0;
        let mut report = Vec::new();
        for ms in from_ms..from_ms + millis {
            let now = begun + Duration::from_millis(ms);
            credit += rate(guard) / 8_000.0;
            while credit >= 1_000.0 {
                credit -= 1_000.0;
                *free = free.max(ms as f64) + 8_000_000.0 / link_bps;
                report.push((now, Duration::from_secs_f64((*free + 20.0) / 1_000.0), 1_000));
            }
            if ms % 50 == 0 {
                let came: Vec<_> = report.extract_if(.., |(_, came, _)| came.as_secs_f64() * 1_000.0 <= ms as f64).collect();
                guard.handle_reports(now, came.into_iter());
                caps.push(guard.limit(f64::INFINITY));
            }
        }
        caps
    }

    #[test]
    fn a_queue_cuts_the_rate_at_once_and_relief_gives_it_back() {
        let (mut guard, begun, mut free) = (DelayGuard::default(), Instant::now(), 0.0);
        let wanted = |guard: &DelayGuard| guard.limit(1_200_000.0);
        let caps = drive(&mut guard, begun, 0, 3_000, 10e6, &mut free, wanted);
        assert!(caps.iter().all(|cap| cap.is_infinite()), "a path that carries it is left alone");
        let caps = drive(&mut guard, begun, 3_000, 8_000, 500e3, &mut free, wanted);
        let settled = caps.iter().position(|cap| *cap < 500e3).map(|n| n * 50);
        assert!(settled.is_some_and(|ms| ms < 700), "{settled:?}");
        assert!(caps.iter().skip(40).all(|cap| (150e3..800e3).contains(cap)), "{caps:?}");
        let caps = drive(&mut guard, begun, 11_000, 9_000, 10e6, &mut free, wanted);
        assert!(caps.last().is_some_and(|cap| *cap > 1.2e6), "{caps:?}");
    }

    #[test]
    fn times_that_make_no_sense_are_borne() {
        let (mut guard, begun) = (DelayGuard::default(), Instant::now());
        for (n, came) in [Duration::MAX, Duration::ZERO, Duration::from_secs(1), Duration::MAX].into_iter().enumerate() {
            let now = begun + Duration::from_millis(n as u64 * 500);
            guard.handle_reports(now, [(begun, came, usize::MAX), (now, came, 0)].into_iter());
        }
        for n in 0..10_000u64 {
            guard.handle_reports(begun + Duration::from_millis(3_000), [(begun, Duration::from_micros(n), 1)].into_iter());
        }
        assert!(guard.acked.len() <= MAX_ACKED && guard.limit(1e6) >= FLOOR);
    }
}
