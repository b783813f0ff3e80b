//! What the engine of files is told of a call that runs beside it: how its packets fare, as of one moment.

use std::time::{Duration, Instant};

use conclave_protocol::swarm::courtesy::CallPath;

use crate::driver::Driver;
use crate::files::Ask;
use crate::rtc::transport::TransportStats;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Media stay below the estimate by as much, and files with them.
const MARGIN: f64 = 0.85;

/// The last look at the paths of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    sent: u64,
    received: u64,
    lost: u64,
}

impl Driver {
    /// Looks at the call, if there is one and it is time.
    pub(in crate::driver) async fn look_at_call(&mut self) {
        let Some(paths) = self.call_paths() else {
            if self.files.look.take().is_some() {
                self.files.ask(Ask::Call(None)).await;
            }
            return;
        };
        let now = Instant::now();
        if self.files.look.is_some_and(|look| now.saturating_duration_since(look.at) < LOOK) {
            return;
        }
        let sum = |count: fn(&TransportStats) -> u64| paths.iter().map(count).fold(0, u64::saturating_add);
        let look = Look {
            at: now,
            sent: sum(|path| path.bytes_sent),
            received: sum(|path| path.packets_received),
            lost: sum(|path| path.packets_lost),
        };
        let before = self.files.look.replace(look);
        self.files.ask(Ask::Call(Some(path_of(&paths, before, look)))).await;
    }
}

/// The worst of everybody's paths: all of them leave by one uplink.
fn path_of(paths: &[TransportStats], before: Option<Look>, look: Look) -> CallPath {
    let since = before.map_or(LOOK, |before| look.at.saturating_duration_since(before.at)).as_secs_f64().max(0.05);
    let sent = before.map_or(0, |before| look.sent.saturating_sub(before.sent)) as f64 / since;
    let received = before.map_or(0, |before| look.received.saturating_sub(before.received)) as f32;
    let lost = before.map_or(0, |before| look.lost.saturating_sub(before.lost)) as f32;
    let estimate = paths.iter().filter(|path| path.full).map(|path| path.estimate_bps).min();
    CallPath {
        queue: paths.iter().map(|path| path.queue).max().unwrap_or_default(),
        rtt: paths.iter().filter_map(|path| path.rtt).max(),
        lost: (
            paths.iter().map(|path| path.loss_sent).fold(0.0, f32::max),
            // A single packet is chance.
            if lost > 1.0 { lost / (lost + received).max(1.0) } else { 0.0 },
        ),
        spare: estimate.map(|bps| (bps as f64 / 8.0 * MARGIN * paths.len() as f64 - sent).max(0.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn path(estimate_bps: u64, full: bool, sent: u64) -> TransportStats {
        TransportStats {
            estimate_bps,
            full,
            bytes_sent: sent,
            queue: Duration::from_millis(sent / 1000),
            ..TransportStats::default()
        }
    }

    #[test]
    fn files_get_what_the_media_leave_of_an_estimate_that_is_known() {
        let at = Instant::now();
        let before = Look { at, sent: 0, received: 0, lost: 0 };
        let look = Look { at: at + Duration::from_secs(1), sent: 50_000, received: 100, lost: 10 };
        let seen = path_of(&[path(800_000, true, 50_000)], Some(before), look);
        assert_eq!(seen.spare, Some(35_000));
        assert_eq!(seen.queue, Duration::from_millis(50));
        assert!((seen.lost.1 - 0.0909).abs() < 0.001);
        // What was only guessed bounds nothing.
        assert_eq!(path_of(&[path(800_000, false, 50_000)], Some(before), look).spare, None);
    }
}
