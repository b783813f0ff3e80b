//! Short sounds of the call itself: somebody came, somebody went, and what a speaker is tried with. Made here, from two sines each.

use super::{FRAME, Frame, SAMPLE_RATE};

/// Loudness of a chime at its loudest, of full scale.
const LOUDNESS: f32 = 0.14;
/// One note, in samples: 110 ms.
const NOTE: usize = 5_280;
/// Until a note has come up: 4 ms.
const ATTACK: usize = 192;

/// What is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chime {
    /// Somebody is in the call: two notes upwards.
    Join,
    /// Somebody is not in the call any more: two notes downwards.
    Leave,
    /// A speaker is tried: four notes.
    Test,
}

impl Chime {
    /// The notes in hertz.
    fn notes(self) -> &'static [f32] {
        match self {
            Self::Join => &[587.33, 880.0],
            Self::Leave => &[880.0, 587.33],
            Self::Test => &[523.25, 659.26, 783.99, 1046.5],
        }
    }
}

/// A chime that is being played.
#[derive(Debug)]
pub(super) struct Ringing {
    chime: Chime,
    at: usize,
}

impl Ringing {
    pub(super) fn new(chime: Chime) -> Self {
        Self { chime, at: 0 }
    }

    /// Adds the next 20 ms; false when there is no more.
    pub(super) fn mix_into(&mut self, mix: &mut Frame) -> bool {
        for sum in mix.iter_mut() {
            *sum += self.sample();
            self.at += 1;
        }
        self.at < self.chime.notes().len() * NOTE + FRAME
    }

    fn sample(&self) -> f32 {
        let Some(hertz) = self.chime.notes().get(self.at / NOTE) else { return 0.0 };
        let inside = self.at % NOTE;
        let up = (inside as f32 / ATTACK as f32).min(1.0);
        let down = (1.0 - inside as f32 / NOTE as f32).powi(2);
        let turn = inside as f32 * hertz / SAMPLE_RATE as f32 * std::f32::consts::TAU;
        turn.sin() * up * down * LOUDNESS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_chime_is_soft_begins_and_ends_without_a_click_and_ends() {
        for chime in [Chime::Join, Chime::Leave, Chime::Test] {
            let mut ringing = Ringing::new(chime);
            let mut heard = Vec::new();
            loop {
                let mut frame: Frame = [0.0; FRAME];
                let more = ringing.mix_into(&mut frame);
                heard.extend(frame);
                if !more {
                    break;
                }
                assert!(heard.len() < SAMPLE_RATE as usize, "it goes on");
            }
            let peak = heard.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
            assert!((0.08..=LOUDNESS).contains(&peak), "{peak}");
            assert!(heard.first().unwrap().abs() < 1e-3 && heard.last().unwrap().abs() < 1e-3);
            let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(step < 0.03, "{step}");
        }
    }
}
