//! What floats over a call for a moment, and what its figures were in the last two minutes. Both are bounded and end with the call.

use std::collections::{BTreeMap, VecDeque};

use conclave_node::view::CallView;
use conclave_protocol::id::DeviceId;

/// How long a reaction is seen.
pub const FLOATS_MS: u64 = 3_000;
/// Reactions on screen at a time; the oldest gives way.
const MAX_FLOATING: usize = 24;
/// Figures that are kept of each person: one a second for two minutes.
pub const KEPT: usize = 120;
/// Between two of them.
const STEP_MS: u64 = 1_000;

/// A reaction on its way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floating {
    pub device: DeviceId,
    pub emoji: String,
    pub since_ms: u64,
}

/// One second of the path to a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    pub at_ms: u64,
    pub received_kbps: f32,
    pub sent_kbps: f32,
    pub rtt_ms: f32,
    pub lost_pct: f32,
    pub fps: f32,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signs {
    floating: VecDeque<Floating>,
    figures: BTreeMap<DeviceId, VecDeque<Figures>>,
    noted_ms: u64,
}

impl Signs {
    pub fn react(&mut self, device: DeviceId, emoji: String, now_ms: u64) {
        self.floating.push_back(Floating { device, emoji, since_ms: now_ms });
        while self.floating.len() > MAX_FLOATING {
            self.floating.pop_front();
        }
    }

    /// What is to be seen now.
    pub fn floating(&self, now_ms: u64) -> impl Iterator<Item = &Floating> {
        self.floating.iter().filter(move |floating| now_ms.saturating_sub(floating.since_ms) < FLOATS_MS)
    }

    /// Keeps the figures of this second, and forgets those who are gone.
    pub fn note(&mut self, call: &CallView, now_ms: u64) {
        if now_ms.saturating_sub(self.noted_ms) < STEP_MS {
            return;
        }
        self.noted_ms = now_ms;
        self.figures.retain(|device, _| call.people.iter().any(|person| person.device == *device));
        for person in &call.people {
            let kept = self.figures.entry(person.device).or_default();
            kept.push_back(Figures {
                at_ms: now_ms,
                received_kbps: person.stats.received_kbps,
                sent_kbps: person.stats.sent_kbps,
                rtt_ms: person.stats.rtt_ms.unwrap_or_default(),
                lost_pct: person.stats.audio_lost_now_pct,
                fps: person.stats.video_fps,
            });
            while kept.len() > KEPT {
                kept.pop_front();
            }
        }
    }

    pub fn figures(&self, device: DeviceId) -> impl Iterator<Item = &Figures> {
        self.figures.get(&device).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: DeviceId = DeviceId([1; 32]);

    #[test]
    fn reactions_go_by_themselves_and_stay_few() {
        let mut signs = Signs::default();
        for n in 0..100 {
            signs.react(ADA, "👏".to_owned(), n);
        }
        assert_eq!(signs.floating(100).count(), MAX_FLOATING);
        assert_eq!(signs.floating(99 + FLOATS_MS).count(), 0);
    }
}
