//! The capture thread: takes pictures from a source that can be replaced while it runs, at the wanted rate and size. It never waits
//! for whoever takes the pictures.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{join, spawn};
use crate::error::MediaError;
use crate::picture::{Picture, PictureSlot};
use crate::scale::Fitter;
use crate::source::VideoSource;

/// Rate and size that are not exceeded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) fps: u32,
    pub(super) max_width: u32,
    pub(super) max_height: u32,
}

/// A running capture. Dropping it stops the thread within [`crate::source::LONGEST_WAIT`].
pub(super) struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    limits: Option<Limits>,
    replacement: Option<Box<dyn VideoSource>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Capture {
    /// `on_error` is called when a source has failed; the capture then waits for another one.
    pub(super) fn start(
        source: Box<dyn VideoSource>,
        limits: Limits,
        on_picture: impl FnMut(Picture) + Send + 'static,
        on_error: impl FnMut(MediaError) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let shared = Arc::new(Shared::default());
        shared.lock().replacement = Some(source);
        let thread = {
            let shared = Arc::clone(&shared);
            spawn("video-capture", move || run(&shared, limits, on_picture, on_error))?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The old source is dropped by the capture thread.
    pub(super) fn replace(&self, source: Box<dyn VideoSource>) {
        self.shared.lock().replacement = Some(source);
        self.shared.changed.notify_all();
    }

    /// Other limits, from the next picture on.
    pub(super) fn limit(&self, limits: Limits) {
        self.shared.lock().limits = Some(limits);
    }

    /// Tells the thread to end, and does not wait for it.
    pub(super) fn stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
        join(&mut self.thread);
    }
}

fn run(
    shared: &Shared,
    mut limits: Limits,
    mut on_picture: impl FnMut(Picture) + Send,
    mut on_error: impl FnMut(MediaError) + Send,
) {
    let mut fitter = Fitter::new();
    let mut rate = Rate::new(limits.fps);
    let mut source: Option<Box<dyn VideoSource>> = None;
    loop {
        {
            let mut state = shared.lock();
            while !state.stopping && state.replacement.is_none() && source.is_none() {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            if let Some(wanted) = state.limits.take() {
                limits = wanted;
                rate.set(limits.fps);
            }
            if let Some(replacement) = state.replacement.take() {
                // Devices may be slow to close: not under the lock.
                drop(state);
                source = Some(replacement);
            }
        }
        let Some(current) = &mut source else { continue };
        let taken = match current.next() {
            Ok(Some(picture)) if limits.fps > 0 && rate.takes(picture.at) => {
                fitter.fit(picture, limits.max_width, limits.max_height)
            }
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match taken {
            Ok(picture) => on_picture(picture),
            Err(error) => {
                tracing::info!(source = current.describe(), %error, "video source failed");
                source = None;
                on_error(error);
            }
        }
    }
}

/// Leaves out pictures of a source that is faster than wanted.
struct Rate {
    interval: Duration,
    due: Duration,
}

impl Rate {
    fn new(fps: u32) -> Self {
        Self { interval: Duration::from_secs(1) / fps.clamp(1, 120), due: Duration::ZERO }
    }

    fn set(&mut self, fps: u32) {
        self.interval = Duration::from_secs(1) / fps.clamp(1, 120);
    }

    fn takes(&mut self, at: Duration) -> bool {
        // Another source may have another beginning.
        if self.due > at + self.interval * 2 {
            self.due = at;
        }
        // A quarter of the interval is forgiven, for no source is exact.
        if at + self.interval / 4 < self.due {
            return false;
        }
        // What was late is not made up for.
        self.due = if self.due + self.interval < at { at + self.interval } else { self.due + self.interval };
        true
    }
}

/// Shows a source to its own person alone: nothing is encoded. Dropping it stops the source and empties the slot.
pub struct VideoPreview {
    capture: Capture,
    slot: Arc<PictureSlot>,
}

impl VideoPreview {
    /// Puts the pictures of `source` into `slot`, at most `fps` a second and within `max_width` by `max_height` pixels. `on_error`
    /// is called when the source fails.
    pub fn start(
        source: Box<dyn VideoSource>,
        (fps, max_width, max_height): (u32, u32, u32),
        slot: Arc<PictureSlot>,
        on_error: impl FnMut(MediaError) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let limits = Limits { fps, max_width, max_height };
        let capture = {
            let slot = Arc::clone(&slot);
            Capture::start(source, limits, move |picture| slot.put(picture), on_error)?
        };
        Ok(Self { capture, slot })
    }

    /// Shows another source from here on.
    pub fn replace_source(&self, source: Box<dyn VideoSource>) {
        self.capture.replace(source);
    }
}

impl Drop for VideoPreview {
    fn drop(&mut self) {
        self.capture.stop();
        join(&mut self.capture.thread);
        self.slot.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_of(source_fps: u32, wanted_fps: u32) -> usize {
        let mut rate = Rate::new(wanted_fps);
        (0..source_fps * 10).filter(|index| rate.takes(Duration::from_secs(1) * *index / source_fps)).count()
    }

    #[test]
    fn rate_is_capped_and_a_slower_source_is_left_alone() {
        assert_eq!(taken_of(30, 30), 300);
        assert_eq!(taken_of(15, 30), 150);
        assert!((295..=305).contains(&taken_of(60, 30)));
        assert!((145..=155).contains(&taken_of(25, 15)));
    }

    #[test]
    fn nothing_is_made_up_for_after_a_pause() {
        let mut rate = Rate::new(10);
        let times = [5000, 5016, 5033, 5100, 9000, 9016, 9100];
        let taken: Vec<u64> = times.into_iter().filter(|at| rate.takes(Duration::from_millis(*at))).collect();
        assert_eq!(taken, [5000, 5100, 9000, 9100]);
    }

    #[test]
    fn clock_that_jumps_back_does_not_stop_the_stream() {
        let mut rate = Rate::new(30);
        assert!(rate.takes(Duration::from_secs(1000)));
        assert!(rate.takes(Duration::from_secs(1)));
    }
}
