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
/// Arrivals that are remembered, by the peer's clock; and at most so many, further ones push the oldest out.
const QUEUED_FOR: Duration = Duration::from_millis(400);
const MAX_QUEUED: usize = 512;
/// A rate is taken over at least this much of them: less is a burst.
const RATE_OVER: Duration = Duration::from_millis(60);
/// The shortest way is remembered for one to two of these: clocks drift and routes change.
const BASE: Duration = Duration::from_secs(5);
/// Of what got through, so that the queue drains; and where it is so long that it is about to overflow.
const CUT: f64 = 0.85;
const DEEP_CUT: f64 = 0.6;
const DEEP: Duration = Duration::from_millis(140);
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
    /// Packets that waited in a queue: when each came by the peer's clock, and its size.
    queued: VecDeque<(Duration, usize)>,
    cap: Option<f64>,
    /// What got through when the queue was long.
    full: f64,
    cut: Option<Instant>,
    heard: Option<Instant>,
    queue: Duration,
}

impl DelayGuard {
    /// Packets that arrived: when each left by our clock, when it came by theirs, and its size in bytes.
    pub(crate) fn handle_reports(&mut self, now: Instant, packets: impl Iterator<Item = (Instant, Duration, usize)>) {
        let epoch = *self.epoch.get_or_insert(now);
        let mut ways = Vec::new();
        for (left, came, size) in packets.take(MAX_QUEUED) {
            let left = left.checked_duration_since(epoch).map_or_else(|| -micros(epoch.saturating_duration_since(left)), micros);
            ways.push((micros(came).saturating_sub(left), came, size));
        }
        let Some(way) = ways.iter().map(|(way, ..)| *way).min() else { return };
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) >= BASE {
            self.base = (None, self.base.0);
            self.turned = Some(now);
        }
        self.base.0 = Some(self.base.0.map_or(way, |base| base.min(way)));
        let base = [self.base.0, self.base.1].into_iter().flatten().min().unwrap_or(way);
        let waited = |way: i64| Duration::from_micros(u64::try_from(way.saturating_sub(base)).unwrap_or(0));
        let queue = waited(way);
        self.queue = queue;
        for (way, came, size) in ways {
            // What did not wait says what was sent, not what the path carries.
            if waited(way) > SHORT {
                self.remember(came, size);
            }
        }
        let since = self.heard.replace(now).map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
        if queue > LONG {
            if self.cut.is_none_or(|cut| now.saturating_duration_since(cut) >= REST) {
                // A machine that was busy elsewhere takes what has come all at once: that is late too, and no path that is full.
                let Some(through) = self.through() else { return };
                self.full = through;
                let part = if queue > DEEP { DEEP_CUT } else { CUT };
                self.cap = Some(self.cap.unwrap_or(CEILING).min(through * part).max(FLOOR));
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

    fn remember(&mut self, came: Duration, size: usize) {
        // A clock that goes back begins anew.
        if self.queued.back().is_some_and(|(newest, _)| *newest > came.saturating_add(QUEUED_FOR)) {
            self.queued.clear();
        }
        self.queued.push_back((came, size));
        while self.queued.len() > MAX_QUEUED
            || self.queued.front().is_some_and(|(oldest, _)| oldest.saturating_add(QUEUED_FOR) < came)
        {
            self.queued.pop_front();
        }
    }

    /// Bits a second that a path with a queue lets through: the best of the stretches, for in others nothing may have been sent. One
    /// pass over what is remembered, whatever the peer's clock says.
    fn through(&self) -> Option<f64> {
        let mut best: Option<f64> = None;
        // As reals: a peer that reports absurd sizes must not make a sum overflow.
        let (mut end, mut bytes) = (self.queued.iter().enumerate(), 0.0);
        let mut last = end.next()?;
        for (begin, (began, size)) in self.queued.iter().enumerate() {
            if begin > 0 {
                bytes -= *size as f64;
            }
            while last.0 <= begin || last.1.0.saturating_sub(*began) < RATE_OVER {
                last = match end.next() {
                    Some(next) => next,
                    None => return best,
                };
                bytes += last.1.1 as f64;
            }
            let span = last.1.0.saturating_sub(*began).as_secs_f64();
            best = Some(best.unwrap_or(0.0).max(bytes * 8.0 / span));
        }
        best
    }

    /// How long packets waited, by the last reports.
    pub(crate) fn queue(&self) -> Duration {
        self.queue
    }

    /// A queue has shown what the path carries, and it was not long ago.
    pub(crate) fn is_cut(&self) -> bool {
        self.cap.is_some()
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
    fn a_machine_that_stood_still_is_no_path_that_is_full() {
        let (mut guard, begun) = (DelayGuard::default(), Instant::now());
        let packet = |left_ms: u64, came_ms: u64| (begun + Duration::from_millis(left_ms), Duration::from_millis(came_ms), 1_000);
        for ms in (0..1_000).step_by(50) {
            guard.handle_reports(begun + Duration::from_millis(ms), (ms..ms + 50).step_by(8).map(|ms| packet(ms, ms + 5)));
        }
        // For 300 ms nothing is read; then all of it, as fast as it can be.
        let late: Vec<_> = (1_000..1_300).step_by(8).enumerate().map(|(n, ms)| packet(ms, 1_300 + n as u64 * 2)).collect();
        guard.handle_reports(begun + Duration::from_millis(1_400), late.into_iter());
        assert!(guard.limit(1e6) >= 1e6, "{}", guard.limit(1e6));
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
        assert!(guard.queued.len() <= MAX_QUEUED && guard.limit(1e6) >= FLOOR);
    }
}
