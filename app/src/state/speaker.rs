//! Who has the spotlight: the loudest voice, once it has spoken for about a second, so that a cough does not take the picture.

use conclave_protocol::id::DeviceId;

/// Loudness (0 to 1) from which somebody counts as speaking.
pub const SPEAKING: f32 = 0.03;
/// How long somebody speaks before the spotlight moves.
const TAKE_MS: u64 = 1_000;
/// A pause for breath that does not start the count again.
const PAUSE_MS: u64 = 500;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveSpeaker {
    current: Option<DeviceId>,
    candidate: Option<Candidate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    device: DeviceId,
    since_ms: u64,
    heard_ms: u64,
}

impl ActiveSpeaker {
    pub fn current(&self) -> Option<DeviceId> {
        self.current
    }

    /// Folds the levels of one moment.
    pub fn hear(&mut self, levels: impl Iterator<Item = (DeviceId, f32)>, now_ms: u64) {
        let loudest = levels.filter(|(_, level)| *level >= SPEAKING).max_by(|a, b| a.1.total_cmp(&b.1));
        match (loudest, &mut self.candidate) {
            (Some((device, _)), Some(candidate)) if candidate.device == device => candidate.heard_ms = now_ms,
            (Some((device, _)), Some(candidate)) if now_ms.saturating_sub(candidate.heard_ms) > PAUSE_MS => {
                *candidate = Candidate { device, since_ms: now_ms, heard_ms: now_ms };
            }
            (Some((device, _)), None) => self.candidate = Some(Candidate { device, since_ms: now_ms, heard_ms: now_ms }),
            (None, Some(candidate)) if now_ms.saturating_sub(candidate.heard_ms) > PAUSE_MS => self.candidate = None,
            _ => {}
        }
        if let Some(candidate) = &self.candidate
            && (self.current.is_none() || now_ms.saturating_sub(candidate.since_ms) >= TAKE_MS)
        {
            self.current = Some(candidate.device);
        }
    }

    /// Somebody is gone.
    pub fn forget(&mut self, device: DeviceId) {
        if self.current == Some(device) {
            self.current = None;
        }
        if self.candidate.is_some_and(|candidate| candidate.device == device) {
            self.candidate = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: DeviceId = DeviceId([1; 32]);
    const BEN: DeviceId = DeviceId([2; 32]);

    #[test]
    fn spotlight_moves_after_a_second_of_speech() {
        let mut speaker = ActiveSpeaker::default();
        speaker.hear([(ADA, 0.3)].into_iter(), 0);
        assert_eq!(speaker.current(), Some(ADA));
        for at in (600..1500).step_by(100) {
            speaker.hear([(ADA, 0.0), (BEN, 0.4)].into_iter(), at);
            assert_eq!(speaker.current(), Some(ADA), "at {at}");
        }
        speaker.hear([(BEN, 0.4)].into_iter(), 1700);
        assert_eq!(speaker.current(), Some(BEN));
    }

    #[test]
    fn cough_does_not_take_the_spotlight() {
        let mut speaker = ActiveSpeaker::default();
        speaker.hear([(ADA, 0.3)].into_iter(), 0);
        speaker.hear([(BEN, 0.9)].into_iter(), 700);
        speaker.hear([(BEN, 0.0)].into_iter(), 800);
        speaker.hear([(ADA, 0.3)].into_iter(), 2500);
        assert_eq!(speaker.current(), Some(ADA));
    }
}
