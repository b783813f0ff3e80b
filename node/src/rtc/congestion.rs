//! How much each encoder may make, and when it makes a keyframe. One encode serves all peers, so it follows the second-worst path;
//! the worst one leaves frames out in its own queue. No clock and no sockets here.

use std::time::Duration;

/// Least and usual bitrate of a camera, in bits per second.
pub(crate) const CAMERA_BPS: (u32, u32) = (35_000, 1_200_000);
/// Least and usual bitrate of a screen.
pub(crate) const SCREEN_BPS: (u32, u32) = (60_000, 2_000_000);
/// Bitrate of a voice.
pub(crate) const VOICE_BPS: u32 = 32_000;
/// Video stays below the estimate by this factor, because nothing paces it on its way.
const MARGIN: f64 = 0.85;
/// A voice with its headers.
const VOICE_SHARE: f64 = 50_000.0;
/// Where camera and screen compete, the screen gets this much of what there is.
const SCREEN_SHARE: f64 = 0.6;
/// An encoder is told of a smaller change only when it is this large a part of the old rate.
const NOTICEABLE: f64 = 0.08;

/// Bits per second for each encoder; what a ladder does not think worth its while is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) camera_bps: u32,
    pub(crate) screen_bps: u32,
}

/// What the encoders may make, given the estimates of the paths to the peers, in bits per second.
pub(crate) fn budget(estimates: &[u64], camera_on: bool, screen_on: bool) -> Budget {
    let usual = Budget { camera_bps: CAMERA_BPS.1, screen_bps: SCREEN_BPS.1 };
    let mut sorted = estimates.to_vec();
    sorted.sort_unstable();
    // Of two, the lower one: leaving half the call without pictures is no way to serve the other half.
    let Some(estimate) = (if sorted.len() > 2 { sorted.get(1) } else { sorted.first() }) else { return usual };
    let available = (*estimate as f64 * MARGIN - VOICE_SHARE).max(0.0);
    let within = |bps: f64, (_, most): (u32, u32)| bps.clamp(0.0, f64::from(most)) as u32;
    match (camera_on, screen_on) {
        (true, true) => {
            let screen_bps = within(available * SCREEN_SHARE, SCREEN_BPS);
            Budget { screen_bps, camera_bps: within(available - f64::from(screen_bps), CAMERA_BPS) }
        }
        _ => Budget { camera_bps: within(available, CAMERA_BPS), screen_bps: within(available, SCREEN_BPS) },
    }
}

/// Is the change worth telling the encoder?
pub(crate) fn noticeable(old_bps: u32, new_bps: u32) -> bool {
    f64::from(old_bps.abs_diff(new_bps)) > f64::from(old_bps) * NOTICEABLE
}

/// Keyframe requests of all peers for one encoder, let through at most every 500 ms; for somebody new, at most every 100 ms.
#[derive(Debug, Default)]
pub(crate) struct KeyframeGate {
    last: Option<Duration>,
    /// How long after the last one the next may come, where one was asked for.
    pending: Option<Duration>,
}

const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Whoever has just connected sees nothing at all before a keyframe. Still no request of a peer makes more than ten a second.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(100);

impl KeyframeGate {
    /// Somebody asks. True: make one now.
    pub(crate) fn handle_request(&mut self, now: Duration) -> bool {
        self.ask(KEYFRAME_INTERVAL, now)
    }

    /// Somebody has connected. True: make one now.
    pub(crate) fn handle_newcomer(&mut self, now: Duration) -> bool {
        self.ask(NEWCOMER_INTERVAL, now)
    }

    fn ask(&mut self, interval: Duration, now: Duration) -> bool {
        self.pending = Some(self.pending.map_or(interval, |pending| pending.min(interval)));
        self.poll(now)
    }

    /// True: one that was asked for is due now.
    pub(crate) fn poll(&mut self, now: Duration) -> bool {
        let due = self.pending.is_some_and(|interval| self.last.is_none_or(|last| now >= last + interval));
        if due {
            self.pending = None;
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_poor_path_of_many_does_not_lower_the_call() {
        let rich = budget(&[9_000_000, 9_000_000, 200_000], true, false);
        assert_eq!(rich.camera_bps, CAMERA_BPS.1);
        let poor = budget(&[9_000_000, 500_000, 400_000], true, false);
        assert!((300_000..450_000).contains(&poor.camera_bps), "{poor:?}");
        assert!(budget(&[9_000_000, 500_000], true, false).camera_bps < 450_000);
    }

    #[test]
    fn rates_stay_within_their_bounds() {
        for estimate in [0, 1, 100_000, 1_000_000, u64::MAX] {
            for (camera, screen) in [(true, true), (true, false), (false, true)] {
                let budget = budget(&[estimate], camera, screen);
                assert!(budget.camera_bps <= CAMERA_BPS.1 && budget.screen_bps <= SCREEN_BPS.1);
            }
        }
        assert_eq!(budget(&[], true, true).camera_bps, CAMERA_BPS.1);
    }

    #[test]
    fn camera_and_screen_together_stay_below_the_estimate() {
        let budget = budget(&[2_000_000], true, true);
        assert!(budget.camera_bps + budget.screen_bps < 1_800_000, "{budget:?}");
    }

    #[test]
    fn many_requests_make_at_most_two_keyframes_a_second() {
        let mut gate = KeyframeGate::default();
        let made = (0..1_000u64).filter(|ms| gate.handle_request(Duration::from_millis(*ms))).count();
        assert_eq!(made, 2);
        // The last request is not forgotten.
        assert!(gate.poll(Duration::from_millis(1_600)));
        assert!(!gate.poll(Duration::from_millis(2_600)));
    }

    #[test]
    fn a_newcomer_does_not_wait_for_the_keyframe_of_somebody_else() {
        let mut gate = KeyframeGate::default();
        assert!(gate.handle_request(Duration::from_millis(1_000)));
        assert!(!gate.handle_request(Duration::from_millis(1_010)));
        assert!(gate.handle_newcomer(Duration::from_millis(1_150)));
        // Those who come together get one together.
        assert!(!gate.handle_newcomer(Duration::from_millis(1_160)));
        assert!(gate.poll(Duration::from_millis(1_250)));
        assert!(!gate.poll(Duration::from_millis(9_000)));
    }
}
