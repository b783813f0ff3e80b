//! What files leave to a call that goes the same way: an upper bound on what they send and on what they ask for, which gives way as soon as
//! packets of the call wait in a queue, and grows again while they do not. It must never bring a transfer to a halt, nor trust that a path
//! carries tomorrow what it carried today.

use core::time::Duration;

/// Where files begin in a call, in bytes a second each way.
const START: f64 = 128.0 * 1024.0;
/// No transfer goes below this: one that stands still is taken for broken.
const FLOOR: f64 = 24.0 * 1024.0;
/// Above this a bound says nothing any more.
const CEILING: f64 = 128.0 * 1024.0 * 1024.0;
/// Packets of the call that wait so long, beyond the shortest way, cut the bound …
const LONG: Duration = Duration::from_millis(30);
/// … and below this it may grow.
const SHORT: Duration = Duration::from_millis(15);
/// A loss that is more than chance.
const LOST: f32 = 0.03;
/// After a cut the queue needs a moment to drain.
const REST: Duration = Duration::from_millis(400);
/// Of what went through, so that the queue drains and the call has room.
const CUT: f64 = 0.7;
/// Growth a second near the rate at which the queue began, and away from it.
const NEAR: f64 = 1.08;
const AWAY: f64 = 1.6;
/// A bound that is not used for so long begins anew: the path may be another one.
const IDLE: Duration = Duration::from_secs(10);
/// The shortest round trip is remembered for one to two of these.
const BASE: Duration = Duration::from_secs(30);

/// What the media of a call see of their paths, as of one moment; the worst of them counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CallPath {
    /// How long packets wait on their way out, beyond the shortest way.
    pub queue: Duration,
    /// Round trip.
    pub rtt: Option<Duration>,
    /// Share of packets lost of late, out and in, 0 to 1.
    pub lost: (f32, f32),
    /// Bytes a second that the congestion estimate leaves beside the media, where a queue has shown what the path carries.
    pub spare: Option<u64>,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    bound: f64,
    /// What went through when the queue began.
    knee: f64,
    cut: Option<Duration>,
    seen: Option<Duration>,
    used: Duration,
}

impl Lane {
    fn new(now: Duration) -> Self {
        Self { bound: START, knee: 0.0, cut: None, seen: None, used: now }
    }

    /// `moving`: bytes a second that files move now.
    fn observe(&mut self, now: Duration, queue: Duration, lost: f32, moving: u64) {
        let since = self.seen.replace(now).map_or(Duration::ZERO, |seen| now.saturating_sub(seen));
        let moving = moving as f64;
        if moving > FLOOR / 4.0 {
            self.used = now;
        } else if now >= self.used + IDLE {
            self.bound = self.bound.min(START);
            return;
        }
        if queue > LONG || lost > LOST {
            if self.cut.is_none_or(|cut| now >= cut + REST) {
                self.knee = moving.clamp(FLOOR, self.bound);
                self.bound = (self.knee * CUT).max(FLOOR);
                self.cut = Some(now);
            }
        } else if queue < SHORT && moving >= self.bound * 0.5 {
            let near = (0.6..1.2).contains(&(self.bound / self.knee.max(1.0)));
            // A gap in what is seen is no reason to leap.
            let seconds = since.as_secs_f64().min(0.5);
            self.bound = (self.bound * if near { NEAR } else { AWAY }.powf(seconds)).min(CEILING);
        }
    }

    fn limit(&self) -> Option<u64> {
        (self.bound < CEILING).then_some(self.bound as u64)
    }
}

/// Both directions, from the first moment of a call to its end.
#[derive(Debug)]
pub struct Courtesy {
    up: Lane,
    down: Lane,
    /// Shortest round trip in this stretch and the one before.
    base: (Option<Duration>, Option<Duration>),
    turned: Duration,
}

impl Courtesy {
    /// A call begins.
    pub fn new(now: Duration) -> Self {
        Self { up: Lane::new(now), down: Lane::new(now), base: (None, None), turned: now }
    }

    /// What the call sees, and what files send and receive, in bytes a second.
    pub fn handle_path(&mut self, now: Duration, path: CallPath, sending: u64, receiving: u64) {
        if now >= self.turned + BASE {
            self.base = (None, self.base.0);
            self.turned = now;
        }
        let mut waiting = Duration::ZERO;
        if let Some(rtt) = path.rtt {
            self.base.0 = Some(self.base.0.map_or(rtt, |base| base.min(rtt)));
            let base = [self.base.0, self.base.1].into_iter().flatten().min().unwrap_or(rtt);
            // What of a longer round trip is not our own queue is theirs, or the one towards us.
            waiting = rtt.saturating_sub(base).saturating_sub(path.queue);
        }
        self.up.observe(now, path.queue, path.lost.0, sending);
        if let Some(spare) = path.spare {
            self.up.bound = self.up.bound.min(spare as f64).max(FLOOR);
        }
        self.down.observe(now, waiting, path.lost.1, receiving);
    }

    /// Bytes a second that files may send at most.
    pub fn up(&self) -> Option<u64> {
        self.up.limit()
    }

    /// Bytes a second that files may ask for at most.
    pub fn down(&self) -> Option<u64> {
        self.down.limit()
    }
}
