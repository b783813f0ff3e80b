//! The bounded queue of samples between a device's callback and our thread. A callback holds its lock only to copy; it never waits,
//! and never for longer than a copy of 200 ms of sound takes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Samples that pass between a device and a thread. When it is full the oldest go: late sound is worth less than new sound.
pub(crate) struct SampleRing {
    inner: Mutex<Inner>,
    changed: Condvar,
    capacity: usize,
}

struct Inner {
    samples: VecDeque<f32>,
    /// Why the device is gone, told once.
    failure: Option<String>,
    failed: bool,
    /// The longest stretch that the device asked for at once, of late.
    largest_request: usize,
    /// Times the device asked for more than there was.
    underruns: u64,
    started: bool,
}

/// What waiting came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    TimedOut,
    Failed(String),
}

impl SampleRing {
    pub(crate) fn new(capacity: usize) -> Self {
        let inner = Inner {
            samples: VecDeque::with_capacity(capacity),
            failure: None,
            failed: false,
            // 10 ms at 48 kHz, until the device has shown what it asks for.
            largest_request: 480,
            underruns: 0,
            started: false,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds samples; returns how many old ones had to go.
    pub(crate) fn push(&self, samples: impl Iterator<Item = f32>) -> usize {
        let mut inner = self.lock();
        inner.samples.extend(samples.map(|s| if s.is_finite() { s } else { 0.0 }));
        let excess = inner.samples.len().saturating_sub(self.capacity);
        inner.samples.drain(..excess);
        drop(inner);
        self.changed.notify_one();
        excess
    }

    /// The device is gone. Whoever waits is told why.
    pub(crate) fn fail(&self, reason: String) {
        let mut inner = self.lock();
        if !inner.failed {
            inner.failed = true;
            inner.failure = Some(reason);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Waits for as many samples as `out` holds and takes them; takes nothing when they do not come by `deadline`.
    pub(crate) fn take(&self, out: &mut [f32], deadline: Instant) -> Waited {
        let wanted = out.len();
        let (mut inner, waited) = self.wait(deadline, |inner| inner.samples.len() >= wanted);
        if waited == Waited::Ready {
            for (slot, sample) in out.iter_mut().zip(inner.samples.drain(..wanted)) {
                *slot = sample;
            }
        }
        waited
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().samples.len()
    }

    /// Waits until the device's next request would leave fewer than `margin` samples.
    pub(crate) fn wait_for_demand(&self, margin: usize, deadline: Instant) -> Waited {
        self.wait(deadline, |inner| inner.samples.len() < margin + inner.largest_request.min(self.capacity / 2)).1
    }

    /// Called by the device: copies what there is, the rest stays silent.
    pub(crate) fn fill(&self, out: &mut [f32]) {
        let mut inner = self.lock();
        let forgotten = inner.largest_request.saturating_sub(out.len()).div_ceil(32);
        inner.largest_request = inner.largest_request.saturating_sub(forgotten).max(out.len());
        let have = inner.samples.len().min(out.len());
        for (slot, sample) in out.iter_mut().zip(inner.samples.drain(..have)) {
            *slot = sample;
        }
        if have < out.len() && inner.started {
            inner.underruns += 1;
        }
        inner.started = have > 0;
        drop(inner);
        self.changed.notify_one();
        if let Some(rest) = out.get_mut(have..) {
            rest.fill(0.0);
        }
    }

    /// Times that the device ran dry since this was asked last.
    pub(crate) fn take_underruns(&self) -> u64 {
        std::mem::take(&mut self.lock().underruns)
    }

    fn wait(&self, deadline: Instant, ready: impl Fn(&Inner) -> bool) -> (MutexGuard<'_, Inner>, Waited) {
        let mut inner = self.lock();
        loop {
            if ready(&inner) {
                return (inner, Waited::Ready);
            }
            if let Some(reason) = inner.failure.take() {
                return (inner, Waited::Failed(reason));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (inner, Waited::TimedOut);
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn oldest_samples_go_when_full() {
        let ring = SampleRing::new(4);
        assert_eq!(ring.push([1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0].into_iter()), 2);
        let mut out = [0.0; 4];
        assert_eq!(ring.take(&mut out, Instant::now()), Waited::Ready);
        assert_eq!(out, [3.0, 0.0, 5.0, 6.0]);
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_takes_nothing() {
        let ring = SampleRing::new(100);
        ring.push([1.0; 9].into_iter());
        assert_eq!(ring.take(&mut [0.0; 10], Instant::now() + Duration::from_millis(5)), Waited::TimedOut);
        assert_eq!(ring.len(), 9);
    }

    #[test]
    fn a_failure_is_told_once_after_what_was_heard() {
        let ring = SampleRing::new(100);
        ring.push([1.0; 4].into_iter());
        ring.fail("unplugged".into());
        ring.fail("again".into());
        assert_eq!(ring.take(&mut [0.0; 4], Instant::now()), Waited::Ready);
        assert_eq!(ring.take(&mut [0.0; 4], Instant::now()), Waited::Failed("unplugged".into()));
        assert_eq!(ring.take(&mut [0.0; 4], Instant::now()), Waited::TimedOut);
    }

    #[test]
    fn a_dry_device_gets_silence_and_is_counted() {
        let ring = SampleRing::new(100);
        let mut out = [9.0; 4];
        ring.fill(&mut out);
        assert_eq!((out, ring.take_underruns()), ([0.0; 4], 0), "nothing had begun");
        ring.push([1.0; 6].into_iter());
        ring.fill(&mut out);
        ring.fill(&mut out);
        assert_eq!((out, ring.take_underruns()), ([1.0, 1.0, 0.0, 0.0], 1));
        assert_eq!(ring.wait_for_demand(0, Instant::now()), Waited::Ready);
    }
}
