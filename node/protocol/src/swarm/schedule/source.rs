//! A peer that a file is fetched from: what it says it holds, what it owes, and how much may be asked of it at once. It never decides what
//! is asked.

use core::time::Duration;
use std::collections::VecDeque;

use super::Aside;
use crate::swarm::have::{Have, Range};
use crate::swarm::rate::Meter;

/// Bytes that may be asked of one peer at once: two round trips' worth, between these.
const WINDOW: (u64, u64) = (1024 * 1024, 8 * 1024 * 1024);

#[derive(Debug)]
pub(super) struct Source {
    pub(super) have: Have,
    pub(super) hinted: VecDeque<Range>,
    /// Since when it takes part.
    pub(super) since: Duration,
    pub(super) ever_hinted: bool,
    pub(super) outstanding: u64,
    pub(super) shortest: Option<Duration>,
    pub(super) meter: Meter,
    /// The last chunk came, or the first was asked for.
    pub(super) heard: Duration,
    pub(super) refusals: u32,
    pub(super) unasked: u32,
    pub(super) taken_back: u32,
    pub(super) aside: Option<Aside>,
    pub(super) busy_until: Duration,
    pub(super) relayed: bool,
}

impl Source {
    /// Twice what is on its way in a round trip at the rate that was measured.
    pub(super) fn window(&self, now: Duration) -> u64 {
        let rtt = self.shortest.unwrap_or(Duration::from_millis(1));
        let bdp = (self.meter.per_second(now) as f64 * rtt.as_secs_f64()) as u64;
        let window = (2 * bdp).clamp(WINDOW.0, WINDOW.1);
        if self.relayed { WINDOW.0 / 2 } else { window }
    }
}
