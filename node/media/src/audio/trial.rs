//! Trying a microphone and a speaker before anybody hears them. Nothing of it leaves the device, and nothing is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::level::rms;
use super::processing::{EchoReference, Processor, SoundProcessing};
use super::source::{AudioSource, Heard};
use super::{BLOCK, BLOCK_TIME, Block, Chime, FRAME, FRAME_TIME, Frame, chime};
use crate::device::{open_audio_sink, open_audio_source};
use crate::error::MediaError;

/// A device that is this late is taken for stalled.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest that is listened to.
pub const MAX_TRIAL: Duration = Duration::from_secs(10);
/// A speaker that takes nothing for this long is given up on.
const SPEAKER_PATIENCE: Duration = Duration::from_secs(3);

/// Tells how loud a microphone is until it is dropped.
#[derive(Debug)]
pub struct MicMeter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MicMeter {
    /// `on_level` gets the root mean square of each stretch, 0 to 1, on a thread of its own; a lost device is silent.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        mut source: Box<dyn AudioSource>,
        processing: SoundProcessing,
        every: Duration,
        mut on_level: impl FnMut(f32) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let meter = move || {
            // Nothing is played meanwhile that could come back.
            let mut processor = processor_for(source.as_ref(), processing);
            let blocks = (every.as_millis() / BLOCK_TIME.as_millis()).clamp(1, 100) as usize;
            let mut heard = Vec::with_capacity(blocks * BLOCK);
            while !stopped.load(Ordering::Relaxed) {
                let mut block: Block = [0.0; BLOCK];
                match source.read(&mut block, Instant::now() + PATIENCE) {
                    Ok(Heard::Block) => {}
                    Ok(Heard::Nothing) => block.fill(0.0),
                    Err(error) => {
                        tracing::debug!(%error, "the microphone that was tried is gone");
                        return on_level(0.0);
                    }
                }
                if let Some(processor) = &mut processor {
                    processor.process(&mut block);
                }
                heard.extend_from_slice(&block);
                if heard.len() >= blocks * BLOCK {
                    on_level(rms(&heard).min(1.0));
                    heard.clear();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("audio-meter".into())
            .spawn(meter)
            .map_err(|error| MediaError::Thread { what: "a meter", reason: error.to_string() })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for MicMeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a meter panicked");
        }
    }
}

fn processor_for(source: &dyn AudioSource, processing: SoundProcessing) -> Option<Processor> {
    source.is_microphone().then(|| Processor::new(EchoReference::default(), SoundProcessing { echo: false, ..processing }))
}

/// Plays a few notes. Blocks until they were played.
///
/// # Errors
/// The speaker cannot be used.
pub fn play_test(sink: &str) -> Result<(), MediaError> {
    let mut ringing = chime::Ringing::new(Chime::Test);
    let mut frames = Vec::new();
    loop {
        let mut frame: Frame = [0.0; FRAME];
        let more = ringing.mix_into(&mut frame);
        frames.push(frame);
        if !more {
            return play(sink, &frames);
        }
    }
}

/// Listens to a microphone for so long, at most [`MAX_TRIAL`], and plays what it heard as the others would hear it. Blocks.
///
/// # Errors
/// The microphone or the speaker cannot be used.
pub fn hear_oneself(source: &str, sink: &str, time: Duration, processing: SoundProcessing) -> Result<(), MediaError> {
    let mut source = open_audio_source(source)?;
    let mut processor = processor_for(source.as_ref(), processing);
    let until = Instant::now() + time.min(MAX_TRIAL);
    let mut heard = Vec::new();
    while Instant::now() < until {
        let mut block: Block = [0.0; BLOCK];
        if source.read(&mut block, until)? == Heard::Block {
            if let Some(processor) = &mut processor {
                processor.process(&mut block);
            }
            heard.extend_from_slice(&block);
        }
    }
    drop(source);
    let frames: Vec<Frame> = heard.chunks_exact(FRAME).filter_map(|frame| frame.try_into().ok()).collect();
    play(sink, &frames)
}

fn play(sink: &str, frames: &[Frame]) -> Result<(), MediaError> {
    let name = sink;
    let mut sink = open_audio_sink(sink)?;
    // What the device still holds when the last frame was taken is heard too.
    let silence = [[0.0; FRAME]; 5];
    for frame in frames.iter().chain(&silence) {
        let until = Instant::now() + SPEAKER_PATIENCE;
        while !sink.ready(Instant::now() + FRAME_TIME)? {
            if Instant::now() > until {
                return Err(MediaError::unavailable(name, "it plays nothing"));
            }
        }
        sink.write(frame)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::super::wav::WavReader;
    use super::*;

    #[test]
    fn a_meter_tells_how_loud_a_microphone_is() {
        let (levels, told) = mpsc::channel();
        let source = open_audio_source("tone").unwrap();
        let meter = MicMeter::start(source, SoundProcessing::default(), Duration::from_millis(50), move |level| {
            let _ = levels.send(level);
        });
        let meter = meter.unwrap();
        let level = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!((level - 0.177).abs() < 0.02, "a tone of −12 dBFS: {level}");
        drop(meter);
        while told.try_recv().is_ok() {}
        assert!(told.recv().is_err(), "it ended");
    }

    #[test]
    fn what_was_said_is_played_and_a_test_sounds() {
        let folder = tempfile::tempdir().unwrap();
        let energy = |name: &str| {
            let file = std::fs::File::open(folder.path().join(name)).unwrap();
            let mut reader = WavReader::new(std::io::BufReader::new(file)).unwrap();
            let mut samples = Vec::new();
            while reader.read(4_800, &mut samples).unwrap() > 0 {}
            (samples.len(), rms(&samples))
        };
        let path = |name: &str| format!("file:{}", folder.path().join(name).display());
        hear_oneself("tone", &path("said.wav"), Duration::from_millis(400), SoundProcessing::default()).unwrap();
        let (length, loud) = energy("said.wav");
        assert!(length > 14_000 && loud > 0.1, "{length} samples, {loud}");
        play_test(&path("test.wav")).unwrap();
        assert!(energy("test.wav").1 > 0.01);
        assert!(play_test("no such").is_err());
    }
}
