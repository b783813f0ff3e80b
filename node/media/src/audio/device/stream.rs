//! An open microphone or speaker of cpal. Between its callback and our thread lies a ring that is kept as empty as the device allows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, FromSample, Sample, SampleFormat, SizedSample, StreamConfig};

use super::super::resample::Resampler;
use super::super::ring::{SampleRing, Waited};
use super::super::sink::AudioSink;
use super::super::source::{AudioSource, Heard};
use super::super::{BLOCK, Block, Frame, SAMPLE_RATE};
use crate::error::MediaError;

/// What the device is asked to hand over at once, in samples of 48 kHz: 10 ms.
const PERIOD: u32 = 480;
/// The most that waits between device and thread. Beyond it the oldest goes.
const RING: Duration = Duration::from_millis(200);
/// How long the device may take to come up; the thread that opens it is given up on soon after.
const STREAM_TIMEOUT: Duration = Duration::from_secs(3);

/// How the device is spoken to.
struct Format {
    config: StreamConfig,
    sample: SampleFormat,
}

impl Format {
    /// 48 kHz mono `f32` with short periods where the device converts, as PulseAudio does; otherwise what it prefers.
    fn of_input(device: &cpal::Device) -> Result<Self, cpal::Error> {
        match Self::choose(device.supported_input_configs()?) {
            Some(format) => Ok(format),
            None => device.default_input_config().map(Self::preferred),
        }
    }

    fn of_output(device: &cpal::Device) -> Result<Self, cpal::Error> {
        match Self::choose(device.supported_output_configs()?) {
            Some(format) => Ok(format),
            None => device.default_output_config().map(Self::preferred),
        }
    }

    fn choose(mut ranges: impl Iterator<Item = cpal::SupportedStreamConfigRange>) -> Option<Self> {
        let fits = |range: &cpal::SupportedStreamConfigRange| {
            range.channels() == 1
                && range.sample_format() == SampleFormat::F32
                && (range.min_sample_rate()..=range.max_sample_rate()).contains(&SAMPLE_RATE)
        };
        let range = ranges.find(fits)?;
        let buffer_size = match range.buffer_size() {
            cpal::SupportedBufferSize::Range { min, max } => BufferSize::Fixed(PERIOD.clamp(*min, *max)),
            cpal::SupportedBufferSize::Unknown => BufferSize::Default,
        };
        Some(Self { config: StreamConfig { channels: 1, sample_rate: SAMPLE_RATE, buffer_size }, sample: SampleFormat::F32 })
    }

    fn preferred(config: cpal::SupportedStreamConfig) -> Self {
        Self { sample: config.sample_format(), config: config.config() }
    }

    fn ring(&self) -> Arc<SampleRing> {
        let samples = RING.as_secs_f64() * f64::from(self.config.sample_rate);
        Arc::new(SampleRing::new(samples as usize))
    }
}

/// The stream of the system. Closing one may wait for a server that hangs, so it is closed elsewhere.
struct OpenStream(Option<cpal::Stream>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take() {
            // Without a thread it is closed here, which is no more than slower.
            let _ = std::thread::Builder::new().name("audio-close".into()).spawn(move || drop(stream));
        }
    }
}

/// A microphone.
pub(super) struct DeviceSource {
    name: String,
    ring: Arc<SampleRing>,
    resampler: Resampler,
    /// Device samples in 10 ms, rounded down.
    period: usize,
    ready: Vec<f32>,
    _stream: OpenStream,
}

impl std::fmt::Debug for DeviceSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSource({})", self.name)
    }
}

impl DeviceSource {
    pub(super) fn open(device: &cpal::Device, name: String) -> Result<Self, MediaError> {
        let unavailable = |error: cpal::Error| MediaError::unavailable(&name, error);
        let format = Format::of_input(device).map_err(unavailable)?;
        let ring = format.ring();
        let stream = match format.sample {
            SampleFormat::F32 => input::<f32>(device, &format, &ring),
            SampleFormat::I16 => input::<i16>(device, &format, &ring),
            SampleFormat::U16 => input::<u16>(device, &format, &ring),
            SampleFormat::I32 => input::<i32>(device, &format, &ring),
            other => return Err(MediaError::unavailable(&name, format!("samples of {other} are not supported"))),
        };
        let stream = OpenStream(Some(stream.map_err(unavailable)?));
        let rate = format.config.sample_rate;
        let period = (rate / 100).max(1) as usize;
        Ok(Self { name, ring, resampler: Resampler::to_48k(rate), period, ready: Vec::new(), _stream: stream })
    }
}

fn input<T>(device: &cpal::Device, format: &Format, ring: &Arc<SampleRing>) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let (ring, failed) = (Arc::clone(ring), Arc::clone(ring));
    let channels = usize::from(format.config.channels).max(1);
    let share = 1.0 / channels as f32;
    let stream = device.build_input_stream::<T, _, _>(
        format.config,
        move |samples, _| {
            ring.push(
                samples.chunks_exact(channels).map(|frame| frame.iter().map(|s| f32::from_sample(*s)).sum::<f32>() * share),
            );
        },
        move |error| handle_error(&failed, &error),
        Some(STREAM_TIMEOUT),
    )?;
    stream.play()?;
    Ok(stream)
}

impl AudioSource for DeviceSource {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        while self.ready.len() < BLOCK {
            let mut taken = vec![0.0; self.period];
            match self.ring.take(&mut taken, deadline) {
                Waited::Ready => self.resampler.push(&taken, &mut self.ready),
                Waited::TimedOut => return Ok(Heard::Nothing),
                Waited::Failed(reason) => return Err(MediaError::gone(&self.name, reason)),
            }
        }
        for (slot, sample) in block.iter_mut().zip(self.ready.drain(..BLOCK)) {
            *slot = sample;
        }
        Ok(Heard::Block)
    }

    fn is_microphone(&self) -> bool {
        true
    }
}

/// A speaker.
pub(super) struct DeviceSink {
    name: String,
    ring: Arc<SampleRing>,
    resampler: Resampler,
    converted: Vec<f32>,
    margin: Margin,
    _stream: OpenStream,
}

impl std::fmt::Debug for DeviceSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSink({}, margin {})", self.name, self.margin.samples)
    }
}

impl DeviceSink {
    pub(super) fn open(device: &cpal::Device, name: String) -> Result<Self, MediaError> {
        let unavailable = |error: cpal::Error| MediaError::unavailable(&name, error);
        let format = Format::of_output(device).map_err(unavailable)?;
        let ring = format.ring();
        let stream = match format.sample {
            SampleFormat::F32 => output::<f32>(device, &format, &ring),
            SampleFormat::I16 => output::<i16>(device, &format, &ring),
            SampleFormat::U16 => output::<u16>(device, &format, &ring),
            SampleFormat::I32 => output::<i32>(device, &format, &ring),
            other => return Err(MediaError::unavailable(&name, format!("samples of {other} are not supported"))),
        };
        let stream = OpenStream(Some(stream.map_err(unavailable)?));
        let rate = format.config.sample_rate;
        let resampler = Resampler::new(SAMPLE_RATE, rate);
        Ok(Self { name, ring, resampler, converted: Vec::new(), margin: Margin::new(rate, Instant::now()), _stream: stream })
    }
}

fn output<T>(device: &cpal::Device, format: &Format, ring: &Arc<SampleRing>) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32>,
{
    let (ring, failed) = (Arc::clone(ring), Arc::clone(ring));
    let channels = usize::from(format.config.channels).max(1);
    let mut mono = Vec::new();
    let stream = device.build_output_stream::<T, _, _>(
        format.config,
        move |samples, _| {
            mono.resize(samples.len() / channels, 0.0);
            ring.fill(&mut mono);
            for (frame, sample) in samples.chunks_exact_mut(channels).zip(&mono) {
                frame.fill(T::from_sample(*sample));
            }
        },
        move |error| handle_error(&failed, &error),
        Some(STREAM_TIMEOUT),
    )?;
    stream.play()?;
    Ok(stream)
}

impl AudioSink for DeviceSink {
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError> {
        self.margin.handle_underruns(self.ring.take_underruns(), Instant::now());
        match self.ring.wait_for_demand(self.margin.samples, deadline) {
            Waited::Ready => Ok(true),
            Waited::TimedOut => Ok(false),
            Waited::Failed(reason) => Err(MediaError::gone(&self.name, reason)),
        }
    }

    fn write(&mut self, frame: &Frame) -> Result<(), MediaError> {
        self.converted.clear();
        self.resampler.push(frame, &mut self.converted);
        self.ring.push(self.converted.iter().copied());
        Ok(())
    }
}

/// How much more than the device's next request is kept ready: more after the device ran dry, less while it does not.
struct Margin {
    samples: usize,
    step: usize,
    calm_since: Instant,
}

/// After this long without running dry one step is given back.
const CALM: Duration = Duration::from_secs(15);
/// The margin's bound in steps of 5 ms.
const MAX_STEPS: usize = 12;

impl Margin {
    fn new(rate: u32, now: Instant) -> Self {
        Self { samples: 0, step: (rate / 200).max(1) as usize, calm_since: now }
    }

    fn handle_underruns(&mut self, underruns: u64, now: Instant) {
        if underruns > 0 {
            self.samples = (self.samples + self.step).min(self.step * MAX_STEPS);
            self.calm_since = now;
        } else if now.saturating_duration_since(self.calm_since) > CALM {
            self.samples = self.samples.saturating_sub(self.step);
            self.calm_since = now;
        }
    }
}

fn handle_error(ring: &SampleRing, error: &cpal::Error) {
    match error.kind() {
        // The stream goes on.
        cpal::ErrorKind::Xrun | cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {
            tracing::debug!(%error, "a sound device hiccuped");
        }
        _ => ring.fail(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_grows_when_the_device_runs_dry_and_shrinks_when_calm() {
        let start = Instant::now();
        let mut margin = Margin::new(SAMPLE_RATE, start);
        margin.handle_underruns(0, start);
        assert_eq!(margin.samples, 0);
        for _ in 0..100 {
            margin.handle_underruns(1, start);
        }
        assert_eq!(margin.samples, 2_880);
        margin.handle_underruns(0, start + CALM);
        assert_eq!(margin.samples, 2_880);
        margin.handle_underruns(0, start + CALM * 2);
        assert_eq!(margin.samples, 2_640);
    }
}
