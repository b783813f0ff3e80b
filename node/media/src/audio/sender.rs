//! From a source to opus packets, on a thread of its own that outlives every source. What is muted never leaves it, and a device that
//! stalls or is lost becomes silence, not an end.

mod timeline;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::timeline::{Timeline, Verdict};
use super::level::{LevelWindow, level_dbov};
use super::processing::{EchoReference, Processor, SoundProcessing};
use super::source::{AudioSource, Heard, Silence};
use super::{AudioSettings, BLOCK, BLOCK_TIME, Block, EncodedAudio, FRAME, Frame};
use crate::clock;
use crate::codec::opus::OpusEncoder;
use crate::error::MediaError;

/// A source that is this late is taken for stalled, and silence goes out in its place.
const PATIENCE: Duration = Duration::from_millis(50);
/// Blocks over which [`AudioSender::level`] is taken: 300 ms.
const LEVEL_BLOCKS: usize = 30;
/// Samples over which a jump from one sound to another is spread: 5 ms.
const DECLICK: usize = 240;

/// Captures and encodes one voice until it is dropped.
pub struct AudioSender {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for AudioSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AudioSender(muted {})", self.control.muted.load(Ordering::Relaxed))
    }
}

struct Control {
    stop: AtomicBool,
    muted: AtomicBool,
    bitrate_bps: AtomicU32,
    expected_loss: AtomicU8,
    level: AtomicU32,
    /// [`SoundProcessing`], as bits.
    processing: AtomicU8,
    /// The one to go on with. A second one before the thread has looked takes the place of the first.
    next_source: Mutex<Option<Box<dyn AudioSource>>>,
}

impl AudioSender {
    /// Starts to capture and encode. A microphone is cleaned of what `played` carries, of noise and of uneven level, until
    /// [`AudioSender::set_processing`] says otherwise. `on_packet` gets a packet every 20 ms, on the encoder's thread: it must not block. `on_error` is
    /// told that a source is gone; silence takes its place until [`AudioSender::replace_source`].
    ///
    /// # Errors
    /// No encoder, or no thread.
    pub fn start(
        source: Box<dyn AudioSource>,
        settings: AudioSettings,
        played: EchoReference,
        on_packet: impl FnMut(EncodedAudio) + Send + 'static,
        on_error: impl FnMut(MediaError) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let encoder = OpusEncoder::new(settings)?;
        let control = Arc::new(Control {
            stop: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            bitrate_bps: AtomicU32::new(settings.bitrate_bps),
            expected_loss: AtomicU8::new(u8::MAX),
            level: AtomicU32::new(0),
            processing: AtomicU8::new(SoundProcessing::default().to_bits()),
            next_source: Mutex::new(None),
        });
        let worker = Worker {
            control: Arc::clone(&control),
            encoder,
            bitrate_bps: settings.bitrate_bps,
            expected_loss: u8::MAX,
            muted: false,
            frame: Vec::with_capacity(FRAME),
            frame_at: Duration::ZERO,
            timeline: Timeline::default(),
            declick: Declick::default(),
            levels: LevelWindow::new(LEVEL_BLOCKS),
            played,
            processor: None,
            on_packet,
            on_error,
        };
        let thread = std::thread::Builder::new()
            .name("audio-sender".into())
            .spawn(move || worker.run(source))
            .map_err(|error| MediaError::Thread { what: "sound capture", reason: error.to_string() })?;
        Ok(Self { control, thread: Some(thread) })
    }

    /// Muted, nothing is sent, not even silence, and nothing heard meanwhile is sent later. Takes effect within 10 ms.
    pub fn set_muted(&self, muted: bool) {
        self.control.muted.store(muted, Ordering::Relaxed);
    }

    /// Goes on with another source; packets and their times go on as well.
    pub fn replace_source(&self, source: Box<dyn AudioSource>) {
        *self.control.next_source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// What is done to a microphone from the next block on. Files and tones are sent as they are whatever is set.
    pub fn set_processing(&self, processing: SoundProcessing) {
        self.control.processing.store(processing.to_bits(), Ordering::Relaxed);
    }

    /// How many of a hundred packets are thought to be lost, which decides how much is spent on recovery.
    pub fn set_expected_loss(&self, percent: u8) {
        self.control.expected_loss.store(percent.min(100), Ordering::Relaxed);
    }

    /// In bits a second.
    pub fn set_bitrate(&self, bitrate_bps: u32) {
        self.control.bitrate_bps.store(bitrate_bps, Ordering::Relaxed);
    }

    /// The root mean square of what the source heard in the last 300 ms, after it was cleaned, 0.0..=1.0; it is measured while muted as
    /// well.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.control.level.load(Ordering::Relaxed))
    }
}

impl Drop for AudioSender {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sound capture thread panicked");
        }
    }
}

struct Worker<P, E> {
    control: Arc<Control>,
    encoder: OpusEncoder,
    bitrate_bps: u32,
    expected_loss: u8,
    muted: bool,
    /// The beginning of the next packet.
    frame: Vec<f32>,
    frame_at: Duration,
    timeline: Timeline,
    declick: Declick,
    levels: LevelWindow,
    played: EchoReference,
    /// Only for a microphone.
    processor: Option<Processor>,
    on_packet: P,
    on_error: E,
}

impl<P: FnMut(EncodedAudio), E: FnMut(MediaError)> Worker<P, E> {
    fn run(mut self, mut source: Box<dyn AudioSource>) {
        let mut block: Block = [0.0; BLOCK];
        let mut deadline = Instant::now() + BLOCK_TIME + PATIENCE;
        self.prepare(source.as_ref());
        while !self.control.stop.load(Ordering::Relaxed) {
            let next = self.control.next_source.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(next) = next {
                source = next;
                self.prepare(source.as_ref());
                self.declick.begin();
            }
            match source.read(&mut block, deadline) {
                Ok(Heard::Block) => deadline = Instant::now() + BLOCK_TIME + PATIENCE,
                Ok(Heard::Nothing) => {
                    block.fill(0.0);
                    self.declick.begin();
                    deadline = (deadline + BLOCK_TIME).max(Instant::now());
                }
                Err(error) => {
                    (self.on_error)(error);
                    source = Box::new(Silence::default());
                    self.prepare(source.as_ref());
                    self.declick.begin();
                    continue;
                }
            }
            self.handle_block(&mut block);
        }
    }

    /// Another microphone is another room: what was learnt of the one before is of no use.
    fn prepare(&mut self, source: &dyn AudioSource) {
        self.processor = source.is_microphone().then(|| Processor::new(self.played.clone(), self.processing()));
    }

    fn processing(&self) -> SoundProcessing {
        SoundProcessing::from_bits(self.control.processing.load(Ordering::Relaxed))
    }

    fn handle_block(&mut self, block: &mut Block) {
        let wanted = self.processing();
        // Before a late block is left out: the canceller counts every one.
        if let Some(processor) = &mut self.processor {
            processor.set(wanted);
            processor.process(block);
        }
        let at = match self.timeline.place(clock::now(), self.frame.is_empty()) {
            Verdict::At(at) => at,
            // What was late has been made up for by silence already.
            Verdict::Late => return self.declick.begin(),
        };
        self.control.level.store(self.levels.push(block).to_bits(), Ordering::Relaxed);
        if self.control.muted.load(Ordering::Relaxed) {
            self.muted = true;
            self.frame.clear();
            return;
        }
        if std::mem::take(&mut self.muted) {
            let reset = self.encoder.reset();
            self.report(reset);
            self.declick = Declick::default();
            self.declick.begin();
        }
        self.declick.apply(block);
        if self.frame.is_empty() {
            self.frame_at = at;
        }
        self.frame.extend_from_slice(block);
        if let Ok(frame) = <&Frame>::try_from(self.frame.as_slice()) {
            let level = level_dbov(frame);
            let encoded = self.encoder.encode(frame);
            self.frame.clear();
            if let Some(data) = self.report(encoded) {
                (self.on_packet)(EncodedAudio { data, at: self.frame_at, level });
            }
            self.adjust();
        }
    }

    fn adjust(&mut self) {
        let bitrate_bps = self.control.bitrate_bps.load(Ordering::Relaxed);
        if bitrate_bps != self.bitrate_bps {
            self.bitrate_bps = bitrate_bps;
            let set = self.encoder.set_bitrate(bitrate_bps);
            self.report(set);
        }
        let expected_loss = self.control.expected_loss.load(Ordering::Relaxed);
        if expected_loss != self.expected_loss {
            self.expected_loss = expected_loss;
            let set = self.encoder.set_expected_loss(expected_loss);
            self.report(set);
        }
    }

    fn report<T>(&mut self, result: Result<T, MediaError>) -> Option<T> {
        result.map_err(|error| (self.on_error)(error)).ok()
    }
}

/// Spreads a jump from one sound to another over 5 ms.
#[derive(Default)]
struct Declick {
    last: f32,
    wanted: bool,
}

impl Declick {
    fn begin(&mut self) {
        self.wanted = true;
    }

    fn apply(&mut self, block: &mut Block) {
        if std::mem::take(&mut self.wanted) {
            let jump = self.last - block.first().copied().unwrap_or_default();
            for (i, sample) in block.iter_mut().take(DECLICK).enumerate() {
                *sample += jump * (1.0 - i as f32 / DECLICK as f32);
            }
        }
        self.last = block.last().copied().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
