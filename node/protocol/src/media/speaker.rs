//! Who speaks, from the loudness that every voice packet carries (RFC 6464). It tells at once who gets a ring, and after about a second
//! who gets the large picture, so that a cough takes nobody's place. It never looks at sound.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::id::DeviceId;

/// Louder than this, in −dBov, somebody begins to speak.
pub const SPEAKS_ABOVE: u8 = 42;
/// Until the voice is quieter than this they go on: a voice is not equally loud from syllable to syllable.
pub const PAUSES_BELOW: u8 = 50;
/// A pause for breath that ends nothing.
const BREATH: Duration = Duration::from_millis(400);
/// How far back loudness is remembered, so that a door that falls shut is not taken for the loudest voice.
const SMOOTHING: Duration = Duration::from_millis(400);
/// The most that one packet counts for: in silence none come.
const LONGEST_STEP: Duration = Duration::from_millis(100);
/// How long somebody speaks before the large picture is theirs.
pub const TAKES_AFTER: Duration = Duration::from_millis(900);
/// A pause that does not start that count again.
const TURN_PAUSE: Duration = Duration::from_millis(700);
/// By how much a second voice must be louder than the first, in dB, while both speak.
const LOUDER_BY: f32 = 4.0;
/// Most voices that are followed: more than any call has. A further one is not.
const MAX_VOICES: usize = 64;

/// One voice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Speech {
    /// Smoothed power, 1 is full scale.
    power: f32,
    heard: Option<Duration>,
    /// When it was last loud enough.
    loud: Option<Duration>,
    /// Since when it speaks, short pauses included.
    since: Option<Duration>,
}

impl Speech {
    /// A packet of this loudness, in −dBov: 0 is the loudest, 127 silence.
    pub fn handle_level(&mut self, level: u8, now: Duration) {
        let step = self.heard.map_or(LONGEST_STEP, |heard| now.saturating_sub(heard).min(LONGEST_STEP));
        self.heard = Some(now);
        let power = 10.0f32.powf(-f32::from(level.min(127)) / 10.0);
        let part = step.as_secs_f32() / SMOOTHING.as_secs_f32();
        self.power += (power - self.power) * part.clamp(0.0, 1.0);
        let pausing = self.loud.is_none_or(|loud| now > loud + BREATH);
        if level <= if pausing { SPEAKS_ABOVE } else { PAUSES_BELOW } {
            if self.loud.is_none_or(|loud| now > loud + TURN_PAUSE) {
                self.since = Some(now);
            }
            self.loud = Some(now);
        }
    }

    /// Is it heard now, or just taking breath?
    pub fn is_speaking(&self, now: Duration) -> bool {
        self.loud.is_some_and(|loud| now <= loud + BREATH)
    }

    /// From its first loud packet to its last, short pauses included; zero for who does not speak.
    pub fn speaking_for(&self, now: Duration) -> Duration {
        let spoken = self.since.zip(self.loud).filter(|_| self.is_speaking(now));
        spoken.map_or(Duration::ZERO, |(since, loud)| loud.saturating_sub(since))
    }

    /// In −dBov over the last stretch.
    fn loudness(&self) -> f32 {
        10.0 * self.power.max(1e-12).log10()
    }
}

/// All voices of a call.
#[derive(Debug, Clone, Default)]
pub struct ActiveSpeaker {
    voices: BTreeMap<DeviceId, Speech>,
    current: Option<DeviceId>,
}

impl ActiveSpeaker {
    /// Nobody speaks.
    pub fn new() -> Self {
        Self::default()
    }

    /// A voice packet of this device.
    pub fn handle_level(&mut self, device: DeviceId, level: u8, now: Duration) {
        if self.voices.len() < MAX_VOICES || self.voices.contains_key(&device) {
            self.voices.entry(device).or_default().handle_level(level, now);
        }
    }

    /// This device is gone, or was muted.
    pub fn forget(&mut self, device: &DeviceId) {
        self.voices.remove(device);
        if self.current == Some(*device) {
            self.current = None;
        }
    }

    /// To be called a few times a second.
    pub fn handle_timeout(&mut self, now: Duration) {
        let ready = self.voices.iter().filter(|(device, voice)| {
            // The first voice of a call need not wait.
            Some(**device) != self.current
                && (voice.speaking_for(now) >= TAKES_AFTER || self.current.is_none() && voice.is_speaking(now))
        });
        let Some((next, voice)) = ready.max_by(|a, b| a.1.loudness().total_cmp(&b.1.loudness())) else { return };
        let held = self.current.and_then(|device| self.voices.get(&device)).filter(|voice| voice.is_speaking(now));
        if held.is_none_or(|held| voice.loudness() > held.loudness() + LOUDER_BY) {
            self.current = Some(*next);
        }
    }

    /// Whose picture is the large one: who spoke last for long enough.
    pub fn current(&self) -> Option<DeviceId> {
        self.current
    }

    /// Who gets a ring, by device.
    pub fn speaking(&self, now: Duration) -> impl Iterator<Item = DeviceId> + '_ {
        self.voices.iter().filter(move |(_, voice)| voice.is_speaking(now)).map(|(device, _)| *device)
    }
}
