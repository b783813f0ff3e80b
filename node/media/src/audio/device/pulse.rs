//! Microphones and speakers of a PulseAudio server, or of PipeWire in its place. The server's thread only copies; it never waits for
//! ours, and where sound is missing the server plays silence and time goes on.
//!
//! The server is found as its own programs find it, but only by a local socket: `PULSE_SERVER=unix:PATH`, else
//! `$PULSE_RUNTIME_PATH/pulse/native`, else `$XDG_RUNTIME_DIR/pulse/native`. A stream that nobody named a device for follows the
//! server's choice.

use std::collections::VecDeque;
use std::ffi::CString;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{ChannelMap, PlaybackStreamParams, Prop, Props, RecordStreamParams, SampleFormat, SampleSpec};
use pulseaudio::{Client, ClientError, PlaybackSource, PlaybackStream, RecordStream};

use super::super::ring::{SampleRing, Waited};
use super::super::sink::AudioSink;
use super::super::source::{AudioSource, Heard};
use super::super::{BLOCK, Block, FRAME, Frame, SAMPLE_RATE};
use super::{AudioDevice, Direction, MAX_DEVICES, MICROPHONE, SPEAKER};
use crate::error::MediaError;

/// Bytes of one sample.
const SAMPLE: u32 = 4;
/// Bytes of 10 ms: the slices in which sound goes between the server and us.
const PERIOD: u32 = BLOCK as u32 * SAMPLE;
/// Sound between us and the loudspeaker, the device's own buffer included: 30 ms. Less, and a busy machine stutters.
const PLAYBACK: u32 = 3 * PERIOD;
/// The most sound of a microphone that waits for us, in samples: 200 ms. Beyond it the oldest goes.
const RING: usize = 20 * BLOCK;
/// How often it is asked whether a stream is still there: the server does not tell this client.
const WATCH: Duration = Duration::from_millis(500);

fn connect() -> Result<Client, MediaError> {
    Client::from_env(c"Conclave").map_err(|error| MediaError::unavailable("PulseAudio", reason(&error)))
}

pub(super) fn list() -> Result<Vec<AudioDevice>, MediaError> {
    let client = connect()?;
    let failed = |error: ClientError| MediaError::unavailable("PulseAudio", reason(&error));
    let server = block_on(client.server_info()).map_err(failed)?;
    let mut devices = Vec::new();
    for source in block_on(client.list_sources()).map_err(failed)?.into_iter().take(MAX_DEVICES) {
        devices.push(AudioDevice {
            direction: Direction::Input,
            default: server.default_source_name.as_ref() == Some(&source.name),
            monitor: source.monitor_of_sink_index.is_some() || source.monitor_of_sink_name.is_some(),
            label: text(source.description.as_ref().unwrap_or(&source.name)),
            name: text(&source.name),
        });
    }
    for sink in block_on(client.list_sinks()).map_err(failed)?.into_iter().take(MAX_DEVICES) {
        devices.push(AudioDevice {
            direction: Direction::Output,
            default: server.default_sink_name.as_ref() == Some(&sink.name),
            monitor: false,
            label: text(sink.description.as_ref().unwrap_or(&sink.name)),
            name: text(&sink.name),
        });
    }
    Ok(devices)
}

fn text(text: &CString) -> String {
    text.to_string_lossy().into_owned()
}

/// The client's own errors hide what lies below them.
fn reason(error: &ClientError) -> String {
    match error {
        ClientError::ServerUnavailable => "no sound server is running".into(),
        ClientError::Disconnected => "the sound server has ended".into(),
        ClientError::Io(inner) => inner.to_string(),
        ClientError::Protocol(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

fn device_name(name: Option<&str>) -> Result<Option<CString>, MediaError> {
    let bad =
        |_| MediaError::BadSpec { spec: name.unwrap_or_default().escape_default().to_string(), reason: "a name has no zeros" };
    name.map(CString::new).transpose().map_err(bad)
}

fn mono() -> SampleSpec {
    let format = if cfg!(target_endian = "little") { SampleFormat::Float32Le } else { SampleFormat::Float32Be };
    SampleSpec { format, channels: 1, sample_rate: SAMPLE_RATE }
}

/// What people see in their mixer, and by which the server knows that this is a call.
fn props(name: &std::ffi::CStr) -> Props {
    let mut props = Props::new();
    props.set(Prop::MediaName, name);
    props.set(Prop::MediaRole, c"phone");
    props
}

pub(super) fn open_source(name: Option<String>) -> Result<PulseSource, MediaError> {
    let label = name.clone().unwrap_or_else(|| MICROPHONE.to_owned());
    let unavailable = |error: ClientError| MediaError::unavailable(&label, reason(&error));
    let params = RecordStreamParams {
        sample_spec: mono(),
        channel_map: ChannelMap::mono(),
        source_name: device_name(name.as_deref())?,
        buffer_attr: BufferAttr { fragment_size: PERIOD, ..BufferAttr::default() },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        props: props(c"Microphone"),
        ..RecordStreamParams::default()
    };
    let ring = Arc::new(SampleRing::new(RING));
    let into = Arc::clone(&ring);
    let take = move |bytes: &[u8]| {
        into.push(bytes.chunks_exact(SAMPLE as usize).map(|bytes| bytes.try_into().map_or(0.0, f32::from_ne_bytes)));
    };
    let stream = block_on(connect()?.create_record_stream(params, take)).map_err(unavailable)?;
    let failed = Arc::clone(&ring);
    let watched = stream.clone();
    let alive = move || block_on(watched.timing_info()).map(drop);
    let watch = Watch::start(alive, move |reason| failed.fail(reason))?;
    Ok(PulseSource { label, ring, stream, _watch: watch })
}

/// A microphone.
pub(super) struct PulseSource {
    label: String,
    ring: Arc<SampleRing>,
    stream: RecordStream,
    _watch: Watch,
}

impl AudioSource for PulseSource {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        match self.ring.take(block, deadline) {
            Waited::Ready => Ok(Heard::Block),
            Waited::TimedOut => Ok(Heard::Nothing),
            Waited::Failed(reason) => Err(MediaError::gone(&self.label, reason)),
        }
    }

    fn is_microphone(&self) -> bool {
        true
    }
}

impl Drop for PulseSource {
    fn drop(&mut self) {
        // Sends the request; the answer concerns nobody.
        let _ = self.stream.clone().delete().now_or_never();
    }
}

pub(super) fn open_sink(name: Option<String>) -> Result<PulseSink, MediaError> {
    let label = name.clone().unwrap_or_else(|| SPEAKER.to_owned());
    let unavailable = |error: ClientError| MediaError::unavailable(&label, reason(&error));
    let params = PlaybackStreamParams {
        sample_spec: mono(),
        channel_map: ChannelMap::mono(),
        sink_name: device_name(name.as_deref())?,
        // Without pre-buffering a stream that ran dry goes on at once, and what came too late is left out by the server.
        buffer_attr: BufferAttr {
            target_length: PLAYBACK,
            pre_buffering: 0,
            minimum_request_length: PERIOD,
            ..BufferAttr::default()
        },
        flags: StreamFlags { start_corked: true, adjust_latency: true, ..StreamFlags::default() },
        props: props(c"Call"),
        ..PlaybackStreamParams::default()
    };
    let demand = Arc::new(Demand::default());
    let stream = block_on(connect()?.create_playback_stream(params, Supply(Arc::clone(&demand)))).map_err(unavailable)?;
    block_on(stream.uncork()).map_err(unavailable)?;
    let failed = Arc::clone(&demand);
    let watched = stream.clone();
    let alive = move || block_on(watched.timing_info()).map(drop);
    let watch = Watch::start(alive, move |reason| failed.fail(reason))?;
    Ok(PulseSink { label, demand, stream, _watch: watch })
}

/// A speaker.
pub(super) struct PulseSink {
    label: String,
    demand: Arc<Demand>,
    stream: PlaybackStream,
    _watch: Watch,
}

impl AudioSink for PulseSink {
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError> {
        self.demand.wait(deadline).map_err(|reason| MediaError::gone(&self.label, reason))
    }

    fn write(&mut self, frame: &Frame) -> Result<(), MediaError> {
        self.demand.supply(frame);
        Ok(())
    }
}

impl Drop for PulseSink {
    fn drop(&mut self) {
        let _ = self.stream.clone().delete().now_or_never();
    }
}

/// What the server wants to play and what there is for it. No sound waits here but the rest of a frame: the server's own buffer is
/// the only one.
#[derive(Default)]
struct Demand {
    inner: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    rest: VecDeque<f32>,
    /// Set while the server waits for more than there is.
    waker: Option<Waker>,
    failure: Option<String>,
}

impl Demand {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, reason: String) {
        self.lock().failure = Some(reason);
        self.changed.notify_one();
    }

    /// Waits until the server wants more than there is.
    fn wait(&self, deadline: Instant) -> Result<bool, String> {
        let mut wanted = self.lock();
        loop {
            if let Some(reason) = wanted.failure.take() {
                return Err(reason);
            }
            if wanted.waker.is_some() {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            wanted = self.changed.wait_timeout(wanted, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn supply(&self, frame: &Frame) {
        let mut wanted = self.lock();
        // A frame that nobody asked for would only make what follows later.
        let excess = (wanted.rest.len() + FRAME).saturating_sub(2 * FRAME);
        wanted.rest.drain(..excess);
        wanted.rest.extend(frame);
        let waker = wanted.waker.take();
        drop(wanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The server's end of the demand.
struct Supply(Arc<Demand>);

impl PlaybackSource for Supply {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<usize> {
        let mut wanted = self.0.lock();
        let samples = wanted.rest.len().min(bytes.len() / SAMPLE as usize);
        if samples == 0 {
            wanted.waker = Some(context.waker().clone());
            drop(wanted);
            self.0.changed.notify_one();
            return Poll::Pending;
        }
        for (slot, sample) in bytes.chunks_exact_mut(SAMPLE as usize).zip(wanted.rest.drain(..samples)) {
            slot.copy_from_slice(&sample.to_ne_bytes());
        }
        Poll::Ready(samples * SAMPLE as usize)
    }
}

/// Asks now and then whether a stream is still there, on a thread of its own that ends soon after its owner.
struct Watch(Arc<(Mutex<bool>, Condvar)>);

impl Watch {
    fn start(
        alive: impl Fn() -> Result<(), ClientError> + Send + 'static,
        gone: impl FnOnce(String) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let watched = Arc::clone(&over);
        let watch = move || {
            let (ended, changed) = &*watched;
            loop {
                let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                let (ended, _) =
                    changed.wait_timeout_while(ended, WATCH, |ended| !*ended).unwrap_or_else(PoisonError::into_inner);
                if *ended {
                    return;
                }
                drop(ended);
                if let Err(error) = alive() {
                    return gone(reason(&error));
                }
            }
        };
        std::thread::Builder::new()
            .name("audio-watch".into())
            .spawn(watch)
            .map_err(|error| MediaError::Thread { what: "watching a sound device", reason: error.to_string() })?;
        Ok(Self(over))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn poll(demand: &Arc<Demand>, samples: usize) -> Option<usize> {
        let mut bytes = vec![0; samples * 4];
        let mut supply = Supply(Arc::clone(demand));
        match Pin::new(&mut supply).poll_read(&mut Context::from_waker(Waker::noop()), &mut bytes) {
            Poll::Ready(length) => Some(length / 4),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_frame_is_wanted_only_when_the_server_waits() {
        let demand = Arc::new(Demand::default());
        assert_eq!(demand.wait(Instant::now()), Ok(false));
        assert_eq!(poll(&demand, 480), None);
        assert_eq!(demand.wait(Instant::now()), Ok(true));
        demand.supply(&[0.5; FRAME]);
        assert_eq!(demand.wait(Instant::now()), Ok(false));
        assert_eq!((poll(&demand, 480), poll(&demand, 700), poll(&demand, 220)), (Some(480), Some(480), None));
        assert_eq!(demand.wait(Instant::now()), Ok(true));
    }

    #[test]
    fn frames_that_nobody_wants_do_not_pile_up() {
        let demand = Arc::new(Demand::default());
        for _ in 0..10 {
            demand.supply(&[0.5; FRAME]);
        }
        assert_eq!(poll(&demand, 100_000), Some(2 * FRAME));
    }

    #[test]
    fn a_lost_server_is_told_once() {
        let demand = Arc::new(Demand::default());
        demand.fail("over".into());
        assert_eq!(demand.wait(Instant::now()), Err("over".into()));
        assert_eq!(demand.wait(Instant::now()), Ok(false));
    }
}
