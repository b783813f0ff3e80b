//! Which moment of the media clock a captured block belongs to. Its times only grow, by whole frames from packet to packet.

use std::time::Duration;

use super::super::{BLOCK_TIME, FRAME_TIME};

/// A block that is this far ahead of the clock came after silence had taken its place, or from a device whose clock is fast.
const TOO_FAR_AHEAD: Duration = Duration::from_millis(45);
/// When every block of a second was further behind than this, sound was lost or the device's clock is slow.
const TOO_FAR_BEHIND: Duration = Duration::from_millis(60);
/// Blocks in a second.
const WINDOW: u32 = 100;

/// What is to be done with a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its first sample was heard at this time.
    At(Duration),
    /// It is to be left out.
    Late,
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// When the next block begins.
    next: Option<Duration>,
    blocks: u32,
    /// How far behind the clock the least late block of this window was.
    least_behind: Duration,
}

impl Timeline {
    /// Places a block that ended at `now`. Jumps only where `frame_begins`, so that packets are whole.
    pub(super) fn place(&mut self, now: Duration, frame_begins: bool) -> Verdict {
        let heard = now.saturating_sub(BLOCK_TIME);
        let mut at = *self.next.get_or_insert(heard);
        if at.saturating_sub(heard) > TOO_FAR_AHEAD {
            return Verdict::Late;
        }
        let behind = heard.saturating_sub(at);
        self.least_behind = if self.blocks == 0 { behind } else { self.least_behind.min(behind) };
        self.blocks += 1;
        if self.blocks >= WINDOW && frame_begins {
            self.blocks = 0;
            if self.least_behind > TOO_FAR_BEHIND {
                let frames = self.least_behind.as_nanos() / FRAME_TIME.as_nanos();
                at += FRAME_TIME * u32::try_from(frames).unwrap_or(u32::MAX);
            }
        }
        self.next = Some(at + BLOCK_TIME);
        Verdict::At(at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    const START: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        START + Duration::from_millis(ms)
    }

    #[test]
    fn times_grow_evenly_while_blocks_jitter() {
        let mut timeline = Timeline::default();
        for n in 0..1000 {
            let late = [0, 9, 30, 3][n as usize % 4];
            assert_eq!(timeline.place(ms(n * 10 + 10 + late), n % 2 == 0), Verdict::At(ms(n * 10)));
        }
    }

    #[test]
    fn sound_that_comes_after_its_silence_is_left_out() {
        let mut timeline = Timeline::default();
        timeline.place(ms(10), true);
        // 100 ms of nothing, filled with silence, and then all of it at once.
        for n in 1..=10 {
            assert_eq!(timeline.place(ms(10 + n * 10), true), Verdict::At(ms(n * 10)));
        }
        let kept = (0..10).filter(|_| timeline.place(ms(110), true) != Verdict::Late).count();
        assert!((4..=6).contains(&kept), "{kept} of 10 late blocks kept");
    }

    #[test]
    fn after_a_loss_time_catches_up_by_whole_frames() {
        let mut timeline = Timeline::default();
        timeline.place(ms(10), true);
        let mut last = ms(0);
        for n in 0..300 {
            if let Verdict::At(at) = timeline.place(ms(1020 + n * 10), n % 2 == 1) {
                assert!(at > last && (at - last).as_millis().is_multiple_of(10));
                last = at;
            }
        }
        assert!(ms(1020 + 2990) - last < Duration::from_millis(80), "{:?} behind", ms(4010) - last);
    }
}
