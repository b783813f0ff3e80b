//! How large and how often a stream is sent, given what the path carries and what the machine bears. A camera gives up size before it
//! gives up movement; a shared text gives up movement and stays sharp. Voice is never asked to give up anything here.

use core::time::Duration;

/// What a stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A camera, or a film in a share: steps of size.
    Motion,
    /// Writing: steps of rate.
    Text,
}

/// How a screen is shared: what it shows, and the most that is sent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub content: Content,
    /// Pictures a second.
    pub fps: u32,
    /// Pixels.
    pub height: u32,
}

impl Share {
    /// All that a stream of this content may have.
    pub const fn of(content: Content) -> Self {
        match content {
            Content::Motion => Self { content, fps: 30, height: 720 },
            Content::Text => Self { content, fps: 15, height: 1080 },
        }
    }
}

/// One step: what is sent on a path that carries at least so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Bits a second below which it is not worth its while.
    pub least_bps: u32,
    /// Pixels, at most.
    pub max_width: u32,
    /// Pixels, at most.
    pub max_height: u32,
    /// Pictures a second, at most; 0 sends none.
    pub fps: u32,
}

const fn rung(least_bps: u32, max_width: u32, max_height: u32, fps: u32) -> Rung {
    Rung { least_bps, max_width, max_height, fps }
}

/// From the best down; the last sends nothing and leaves the path to the voices.
const MOTION: [Rung; 7] = [
    rung(620_000, 1280, 720, 30),
    rung(330_000, 854, 480, 30),
    rung(190_000, 640, 360, 24),
    rung(110_000, 480, 270, 20),
    rung(60_000, 320, 180, 15),
    // Still a face: a picture that stops is worse than one that is small.
    rung(30_000, 320, 180, 10),
    rung(0, 320, 180, 0),
];
const TEXT: [Rung; 6] = [
    rung(600_000, 1920, 1080, 15),
    rung(350_000, 1920, 1080, 8),
    rung(200_000, 1920, 1080, 4),
    rung(110_000, 1920, 1080, 2),
    rung(60_000, 1280, 720, 1),
    rung(0, 1280, 720, 0),
];
/// A better step is taken when the path has carried this much more than it needs,
const BETTER_BY: f64 = 1.15;
/// for so long: a path that has just become better may become worse again.
const BETTER_FOR: Duration = Duration::from_millis(1_500);
/// An encoder that is busy for more than this part of the time makes the machine late for sound.
const TOO_BUSY: f32 = 0.75;
/// Below this it may try more.
const EASY: f32 = 0.35;
/// How long it must be too busy before a step down, and easy before a step up.
const BUSY_FOR: Duration = Duration::from_secs(1);
const EASY_FOR: Duration = Duration::from_secs(10);

/// The step of one stream.
#[derive(Debug, Clone)]
pub struct Ladder {
    share: Share,
    /// By what the path carries.
    path: usize,
    /// The best that the machine bears.
    machine: usize,
    better_since: Option<Duration>,
    busy_since: Option<Duration>,
    easy_since: Option<Duration>,
}

impl Ladder {
    /// At its best.
    pub fn new(content: Content) -> Self {
        Self::within(Share::of(content))
    }

    /// At its best, which is no more than was chosen.
    pub fn within(share: Share) -> Self {
        Self { share, path: 0, machine: 0, better_since: None, busy_since: None, easy_since: None }
    }

    fn rungs(&self) -> &'static [Rung] {
        match self.share.content {
            Content::Motion => &MOTION,
            Content::Text => &TEXT,
        }
    }

    /// What this stream may make, in bits a second: down at once, up one step at a time.
    pub fn handle_budget(&mut self, bps: u32, now: Duration) {
        let rungs = self.rungs();
        let fits = rungs.iter().position(|rung| rung.least_bps <= bps).unwrap_or(rungs.len() - 1);
        if fits > self.path {
            self.path = fits;
            self.better_since = None;
            return;
        }
        let better = self.path.checked_sub(1).and_then(|better| rungs.get(better));
        if better.is_some_and(|rung| f64::from(bps) >= f64::from(rung.least_bps) * BETTER_BY) {
            if now.saturating_sub(*self.better_since.get_or_insert(now)) >= BETTER_FOR {
                self.path -= 1;
                // The next step waits as long, but not the whole ladder at its foot.
                self.better_since = Some(now.saturating_sub(BETTER_FOR / 2));
            }
        } else {
            self.better_since = None;
        }
    }

    /// Which part of the time the encoder was busy, 0 to 1 and more.
    pub fn handle_load(&mut self, busy: f32, now: Duration) {
        if busy > TOO_BUSY {
            self.easy_since = None;
            if now.saturating_sub(*self.busy_since.get_or_insert(now)) >= BUSY_FOR {
                // Not to nothing: that would only save what a voice needs if voices were in danger of pictures this small.
                self.machine = (self.machine + 1).min(self.rungs().len() - 2);
                self.busy_since = None;
            }
        } else if busy < EASY {
            self.busy_since = None;
            if now.saturating_sub(*self.easy_since.get_or_insert(now)) >= EASY_FOR {
                self.machine = self.machine.saturating_sub(1);
                self.easy_since = None;
            }
        } else {
            (self.busy_since, self.easy_since) = (None, None);
        }
    }

    /// What is sent now.
    pub fn rung(&self) -> Rung {
        let rungs = self.rungs();
        let rung = rungs.get(self.path.max(self.machine)).copied().unwrap_or(rung(0, 320, 180, 0));
        Rung { max_height: rung.max_height.min(self.share.height), fps: rung.fps.min(self.share.fps), ..rung }
    }
}
