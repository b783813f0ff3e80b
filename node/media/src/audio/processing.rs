//! What is done to a microphone before anybody hears it: echo, noise and level. It works on blocks of 10 ms, on the thread of the
//! sender, and never on a file or a tone, which are sent as they are.
//!
//! The echo canceller (WebRTC's AEC3, by `sonora`) subtracts what the loudspeaker played. It learns that from [`EchoReference`], into
//! which the playout copies every frame that its sink took; how long the way through loudspeaker, room and microphone is it finds out
//! by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression, NoiseSuppressionLevel,
    Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use super::{BLOCK, Block, Frame, SAMPLE_RATE};

/// Played blocks that wait for the sender: 400 ms. When it is full the oldest go, and the canceller looks for the delay anew.
pub const REFERENCE: usize = 40;
/// About how long sound takes from the playout through the device, the room and the microphone's buffer. Only a first guess.
const FIRST_DELAY_MS: i32 = 60;

/// What is done to a microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundProcessing {
    /// What the loudspeaker plays is taken out of what the microphone hears.
    pub echo: bool,
    /// Steady noise is turned down.
    pub noise: bool,
    /// Quiet voices are turned up and loud ones limited.
    pub gain: bool,
}

impl SoundProcessing {
    /// As it was heard.
    pub const NONE: Self = Self { echo: false, noise: false, gain: false };

    pub(super) fn to_bits(self) -> u8 {
        u8::from(self.echo) | u8::from(self.noise) << 1 | u8::from(self.gain) << 2
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        Self { echo: bits & 1 != 0, noise: bits & 2 != 0, gain: bits & 4 != 0 }
    }
}

impl Default for SoundProcessing {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true }
    }
}

/// What the loudspeaker played, on its way to whoever cancels its echo. All clones are the same queue; it never makes the playout wait
/// for longer than a copy takes.
#[derive(Clone, Default)]
pub struct EchoReference(Arc<Mutex<VecDeque<Block>>>);

impl std::fmt::Debug for EchoReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EchoReference({} blocks)", self.waiting())
    }
}

impl EchoReference {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These 20 ms are played now.
    pub fn push(&self, frame: &Frame) {
        let mut blocks = self.lock();
        for half in frame.chunks_exact(BLOCK) {
            if let Ok(block) = <&Block>::try_from(half) {
                blocks.push_back(*block);
            }
        }
        let excess = blocks.len().saturating_sub(REFERENCE);
        blocks.drain(..excess);
    }

    /// Blocks that wait.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    fn take(&self) -> VecDeque<Block> {
        std::mem::take(&mut *self.lock())
    }
}

/// The chain of one microphone.
pub struct Processor {
    chain: AudioProcessing,
    wanted: SoundProcessing,
    reference: EchoReference,
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Processor({:?})", self.wanted)
    }
}

impl Processor {
    /// Listens to what is played from here on.
    pub fn new(reference: EchoReference, wanted: SoundProcessing) -> Self {
        // What was played before somebody listened is no echo of anything.
        reference.take();
        Self { chain: chain(wanted), wanted, reference }
    }

    /// Switches parts on and off; what stays keeps what it learnt where the library lets it.
    pub fn set(&mut self, wanted: SoundProcessing) {
        if wanted != self.wanted {
            self.wanted = wanted;
            self.chain.apply_config(config(wanted));
        }
    }

    /// Cleans a block in place. What was played since the block before is heard first.
    pub fn process(&mut self, block: &mut Block) {
        let played = self.reference.take();
        if self.wanted == SoundProcessing::NONE {
            return;
        }
        let mut out: Block = [0.0; BLOCK];
        if self.wanted.echo {
            for heard in &played {
                if let Err(error) = self.chain.process_render_f32(&[heard], &mut [&mut out]) {
                    tracing::debug!(%error, "what was played was not taken by the echo canceller");
                }
            }
            // Clamped where it is out of range: it is no more than a hint.
            let _ = self.chain.set_stream_delay_ms(FIRST_DELAY_MS);
        }
        match self.chain.process_capture_f32(&[block.as_slice()], &mut [&mut out]) {
            Ok(()) => {
                for (slot, sample) in block.iter_mut().zip(&out) {
                    *slot = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
                }
            }
            // The block goes out as it was heard.
            Err(error) => tracing::debug!(%error, "a block of the microphone was not processed"),
        }
    }
}

fn chain(wanted: SoundProcessing) -> AudioProcessing {
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    AudioProcessing::builder().config(config(wanted)).capture_config(mono).render_config(mono).build()
}

fn config(wanted: SoundProcessing) -> Config {
    Config {
        pipeline: Pipeline { maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz, ..Pipeline::default() },
        high_pass_filter: (wanted.echo || wanted.noise).then(HighPassFilter::default),
        echo_canceller: wanted.echo.then(EchoCanceller::default),
        noise_suppression: wanted
            .noise
            .then(|| NoiseSuppression { level: NoiseSuppressionLevel::High, ..NoiseSuppression::default() }),
        gain_controller2: wanted.gain.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital { initial_gain_db: 0.0, max_gain_db: 30.0, ..AdaptiveDigital::default() }),
            ..GainController2::default()
        }),
        ..Config::default()
    }
}
