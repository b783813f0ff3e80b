#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::sync::mpsc;

use super::super::AudioSettings;
use super::super::level::rms;
use super::*;
use crate::codec::opus::OpusEncoder;

/// Takes frames as fast as they come, until it is told to stall.
struct Probe {
    frames: mpsc::SyncSender<Frame>,
    stalled: Arc<AtomicBool>,
}

impl AudioSink for Probe {
    fn ready(&mut self, deadline: Instant) -> Result<bool, MediaError> {
        let stalled = self.stalled.load(Ordering::Relaxed);
        if stalled {
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        }
        Ok(!stalled)
    }

    fn write(&mut self, frame: &Frame) -> Result<(), MediaError> {
        self.frames.send(*frame).map_err(|error| MediaError::gone("the test speaker", error))
    }
}

/// Gives what it is told by the number of the pull.
struct Script<F>(u64, F);

impl<F: FnMut(u64) -> FeedItem + Send> AudioFeed for Script<F> {
    fn pull(&mut self) -> FeedItem {
        self.0 += 1;
        (self.1)(self.0 - 1)
    }
}

fn feed(item: impl FnMut(u64) -> FeedItem + Send + 'static) -> Box<dyn AudioFeed> {
    Box::new(Script(0, item))
}

/// Packets of a tone of this amplitude, for ever.
fn tone(amplitude: f32) -> impl FnMut(u64) -> FeedItem + Send + 'static {
    let mut encoder = OpusEncoder::new(AudioSettings { dtx: false, ..AudioSettings::default() }).unwrap();
    move |n| {
        let frame: Frame = std::array::from_fn(|i| {
            let t = (n as usize * FRAME + i) as f32 / 48_000.0;
            amplitude * (t * 440.0 * std::f32::consts::TAU).sin()
        });
        FeedItem::Packet(encoder.encode(&frame).unwrap())
    }
}

struct Heard {
    playout: Option<Playout>,
    frames: mpsc::Receiver<Frame>,
    stalled: Arc<AtomicBool>,
    errors: mpsc::Receiver<MediaError>,
}

impl Heard {
    fn start() -> Self {
        let (frame_tx, frames) = mpsc::sync_channel(0);
        let (error_tx, errors) = mpsc::channel();
        let stalled = Arc::new(AtomicBool::new(false));
        let probe = Probe { frames: frame_tx, stalled: Arc::clone(&stalled) };
        let playout = Playout::start(Box::new(probe), move |error| drop(error_tx.send(error))).unwrap();
        Self { playout: Some(playout), frames, stalled, errors }
    }

    fn playout(&self) -> &Playout {
        self.playout.as_ref().unwrap()
    }

    fn next(&self, frames: usize) -> Vec<f32> {
        (0..frames).flat_map(|_| self.frames.recv_timeout(Duration::from_secs(5)).unwrap()).collect()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // The probe's channel is closed first, so that the thread does not wait in it.
        self.frames = mpsc::channel().1;
        drop(self.playout.take());
    }
}

fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
}

/// The largest step of a tone of 440 Hz, and some room.
fn smooth(amplitude: f32) -> f32 {
    amplitude * 440.0 * std::f32::consts::TAU / 48_000.0 * 1.5 + 0.01
}

#[test]
fn a_voice_is_heard_and_measured() {
    let heard = Heard::start();
    let meter = heard.playout().add(1, feed(tone(0.5))).unwrap();
    let sound = heard.next(40);
    assert!((rms(&sound[FRAME * 20..]) - 0.354).abs() < 0.04, "{}", rms(&sound[FRAME * 20..]));
    assert!((meter.level() - 0.354).abs() < 0.04);
    let counters = meter.counters();
    assert!(counters.played >= 35 * FRAME as u64 && counters.concealed == 0 && counters.idle == 0, "{counters:?}");
}

#[test]
fn voices_come_and_go_without_a_click() {
    let heard = Heard::start();
    let mut sound = heard.next(3);
    heard.playout().add(1, feed(tone(0.3))).unwrap();
    sound.extend(heard.next(20));
    heard.playout().set_volume(1, 2.0);
    sound.extend(heard.next(20));
    heard.playout().set_volume(1, 0.5);
    sound.extend(heard.next(20));
    heard.playout().set_deafened(true);
    sound.extend(heard.next(20));
    assert_eq!(rms(&sound[FRAME * 80..]), 0.0, "deafened");
    heard.playout().set_deafened(false);
    sound.extend(heard.next(20));
    heard.playout().remove(1);
    sound.extend(heard.next(20));
    assert!(rms(&sound[FRAME * 95..FRAME * 100]) > 0.09);
    assert_eq!(rms(&sound[sound.len() - FRAME * 10..]), 0.0, "removed");
    assert!(largest_step(&sound) < smooth(0.6), "{}", largest_step(&sound));
}

#[test]
fn many_loud_voices_stay_within_full_scale() {
    let heard = Heard::start();
    for id in 0..MAX_STREAMS as u64 {
        heard.playout().add(id, feed(tone(0.9))).unwrap();
        heard.playout().set_volume(id, 4.0);
        heard.next(1);
    }
    assert!(heard.playout().add(99, feed(tone(0.9))).is_err(), "no more than {MAX_STREAMS}");
    assert!(heard.playout().add(3, feed(tone(0.9))).is_ok(), "one may be replaced");
    let sound = heard.next(20);
    assert!(sound.iter().all(|s| s.abs() <= 1.0) && rms(&sound) > 0.3);
}

#[test]
fn losses_are_concealed_recovered_and_counted() {
    let heard = Heard::start();
    let mut voice = super::super::source::testing::Voice::default();
    let mut encoder = OpusEncoder::new(AudioSettings { dtx: false, bitrate_bps: 24_000, fec: true }).unwrap();
    let packets: Vec<_> = (0..101).map(|_| encoder.encode(&voice.frame()).unwrap()).collect();
    let meter = heard.playout().add(
        1,
        feed(move |n| match n as usize {
            n if n >= 100 => FeedItem::Idle,
            n if n % 10 == 8 => FeedItem::Fec(packets[n + 1].clone()),
            n if n % 10 == 5 => FeedItem::Lost,
            n if n % 10 == 2 => FeedItem::Packet(Bytes::from_static(b"\xff\xff\xffnot opus")),
            n => FeedItem::Packet(packets[n].clone()),
        }),
    );
    let sound = heard.next(110);
    let counters = meter.unwrap().counters();
    assert_eq!(counters.damaged_packets, 10);
    assert_eq!(counters.played, 70 * FRAME as u64);
    assert!(counters.recovered >= 7 * FRAME as u64, "{counters:?}");
    assert_eq!(counters.concealed + counters.recovered, 30 * FRAME as u64, "{counters:?}");
    assert!(counters.idle > 0);
    assert_eq!(rms(&sound[sound.len() - 2 * FRAME..]), 0.0);
}

#[test]
fn feeds_are_emptied_while_the_sink_stalls() {
    let heard = Heard::start();
    let meter = heard.playout().add(1, feed(tone(0.5))).unwrap();
    heard.next(2);
    heard.stalled.store(true, Ordering::Relaxed);
    // The frames that were on their way.
    while heard.frames.recv_timeout(Duration::from_millis(60)).is_ok() {}
    let before = meter.counters().played;
    let start = Instant::now();
    while meter.counters().played < before + 5 * FRAME as u64 {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    assert!(start.elapsed() > Duration::from_millis(70), "in real time");
    heard.stalled.store(false, Ordering::Relaxed);
    heard.next(2);
}

#[test]
fn a_lost_sink_is_told_and_another_takes_its_place() {
    let heard = Heard::start();
    let meter = heard.playout().add(1, feed(tone(0.5))).unwrap();
    let (frame_tx, frames) = mpsc::sync_channel(0);
    let probe = Probe { frames: frame_tx, stalled: Arc::default() };
    heard.next(5);
    heard.playout().replace_sink(Box::new(probe));
    // The old sink hears it fade.
    while let Ok(frame) = heard.frames.recv_timeout(Duration::from_secs(5)) {
        if frame[FRAME - 1] == 0.0 {
            break;
        }
    }
    let sound: Vec<f32> = (0..10).flat_map(|_| frames.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
    assert!(sound[0].abs() < 0.01 && largest_step(&sound) < smooth(0.5));
    drop(frames);
    assert!(matches!(heard.errors.recv_timeout(Duration::from_secs(5)), Ok(MediaError::Gone { .. })));
    let before = meter.counters().played;
    let start = Instant::now();
    while meter.counters().played < before + 3 * FRAME as u64 {
        assert!(start.elapsed() < Duration::from_secs(5), "without a sink the feeds are emptied all the same");
        std::thread::yield_now();
    }
}
