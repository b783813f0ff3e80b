//! How good the path to somebody is, in the four words that people are shown. It gets worse at once and better only after a while, so
//! that the word does not flicker.

use core::time::Duration;

/// A word for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Quality {
    /// Nothing to notice.
    #[default]
    Excellent,
    /// Somebody who listens for it may notice.
    Good,
    /// Words are lost, or people talk into each other.
    Poor,
    /// Nothing comes.
    Lost,
}

/// What was measured in the last second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// There and back.
    pub rtt: Option<Duration>,
    /// Voice that had to be guessed, of what was played, 0 to 1.
    pub concealed: f32,
    /// Packets that the other side misses of ours, 0 to 1.
    pub loss_sent: f32,
    /// How long the pictures stood still.
    pub frozen: Duration,
    /// The connection is down.
    pub down: bool,
}

/// How long it must have been better before it is called so.
const BETTER_AFTER: Duration = Duration::from_secs(4);

/// The word for one path, over time.
#[derive(Debug, Clone, Copy, Default)]
pub struct QualityMeter {
    shown: Quality,
    /// Since when what was measured is better than what is shown.
    better_since: Option<Duration>,
}

impl QualityMeter {
    /// Nothing was measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was measured in the last second.
    pub fn handle_measured(&mut self, measured: Measured, now: Duration) -> Quality {
        let is = judge(&measured);
        if is >= self.shown {
            self.shown = is;
            self.better_since = None;
        } else {
            let since = *self.better_since.get_or_insert(now);
            if now.saturating_sub(since) >= BETTER_AFTER {
                self.shown = is;
                self.better_since = None;
            }
        }
        self.shown
    }

    /// The word of now.
    pub fn quality(&self) -> Quality {
        self.shown
    }
}

/// After ITU-T G.114 (a one-way delay below 150 ms is not noticed, above 400 ms not borne) and G.113 (opus with recovery bears a few
/// percent of loss).
fn judge(measured: &Measured) -> Quality {
    if measured.down {
        return Quality::Lost;
    }
    let rtt = measured.rtt.unwrap_or_default();
    let loss = measured.concealed.max(measured.loss_sent / 2.0);
    if rtt > Duration::from_millis(500) || loss > 0.05 || measured.frozen > Duration::from_millis(1_000) {
        Quality::Poor
    } else if rtt > Duration::from_millis(200) || loss > 0.01 || measured.frozen > Duration::from_millis(300) {
        Quality::Good
    } else {
        Quality::Excellent
    }
}
