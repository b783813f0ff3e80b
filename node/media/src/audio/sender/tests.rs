#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::sync::mpsc;

use super::super::level::rms;
use super::super::source::Tone;
use super::*;
use crate::codec::opus::OpusDecoder;

/// Gives 20 blocks of a steady sound and then stalls, or is lost.
struct Faulty {
    inner: Tone,
    left: u32,
    lost: bool,
}

impl AudioSource for Faulty {
    fn read(&mut self, block: &mut Block, deadline: Instant) -> Result<Heard, MediaError> {
        if self.left > 0 {
            self.left -= 1;
            return self.inner.read(block, deadline);
        }
        if std::mem::take(&mut self.lost) {
            return Err(MediaError::gone("the test microphone", "unplugged"));
        }
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        Ok(Heard::Nothing)
    }
}

fn start(source: impl AudioSource + 'static) -> (AudioSender, mpsc::Receiver<EncodedAudio>, mpsc::Receiver<MediaError>) {
    let (packet_tx, packet_rx) = mpsc::channel();
    let (error_tx, error_rx) = mpsc::channel();
    let settings = AudioSettings { dtx: false, ..AudioSettings::default() };
    let sender = AudioSender::start(
        Box::new(source),
        settings,
        EchoReference::default(),
        move |packet| drop(packet_tx.send(packet)),
        move |error| drop(error_tx.send(error)),
    );
    (sender.unwrap(), packet_rx, error_rx)
}

fn take(packets: &mpsc::Receiver<EncodedAudio>, n: usize) -> Vec<EncodedAudio> {
    (0..n).map(|_| packets.recv_timeout(Duration::from_secs(5)).unwrap()).collect()
}

#[test]
fn packets_come_every_20_ms_with_their_level() {
    let (sender, packets, _) = start(Tone::new(440.0));
    let began = Instant::now();
    let got = take(&packets, 25);
    assert!(began.elapsed() > Duration::from_millis(400), "in real time");
    for pair in got.windows(2) {
        let step = pair[1].at - pair[0].at;
        assert!(step.as_millis().is_multiple_of(20) && !step.is_zero(), "{step:?}");
    }
    // A tone of -12 dBFS has an RMS of -15 dB.
    assert!(got[10..].iter().all(|p| p.level == 15), "{:?}", got[10].level);
    assert!((sender.level() - 0.177).abs() < 0.03, "{}", sender.level());
    let mut decoder = OpusDecoder::new().unwrap();
    let mut frame = [0.0; FRAME];
    for packet in &got {
        decoder.decode(&packet.data, &mut frame).unwrap();
    }
    assert!((rms(&frame) - 0.177).abs() < 0.03);
}

#[test]
fn muted_nothing_is_sent_and_time_goes_on() {
    let (sender, packets, _) = start(Tone::new(440.0));
    let before = take(&packets, 5).pop().unwrap();
    sender.set_muted(true);
    // What was on its way may still come; then nothing does.
    while packets.recv_timeout(Duration::from_millis(60)).is_ok() {}
    assert!(packets.recv_timeout(Duration::from_millis(100)).is_err());
    assert!(sender.level() > 0.1, "a muted microphone still has a level");
    sender.set_muted(false);
    let after = take(&packets, 1).pop().unwrap();
    assert!(after.at > before.at + Duration::from_millis(100));
}

#[test]
fn a_stalled_source_becomes_silence() {
    let (_sender, packets, errors) = start(Faulty { inner: Tone::new(440.0), left: 20, lost: false });
    let got = take(&packets, 30);
    assert!(got[5].level < 20 && got[29].level > 100);
    assert!(errors.try_recv().is_err());
}

#[test]
fn a_lost_source_is_told_and_another_takes_its_place() {
    let (sender, packets, errors) = start(Faulty { inner: Tone::new(440.0), left: 20, lost: true });
    assert!(matches!(errors.recv_timeout(Duration::from_secs(5)), Ok(MediaError::Gone { .. })));
    assert!(take(&packets, 20).pop().unwrap().level > 100);
    sender.replace_source(Box::new(Tone::new(440.0)));
    assert!(take(&packets, 20).pop().unwrap().level < 20);
    assert!(errors.try_recv().is_err(), "told once");
}

#[test]
fn a_jump_is_spread() {
    let mut declick = Declick::default();
    let mut heard = Vec::new();
    for level in [0.0, 0.8, -0.8, 0.0] {
        let mut block = [level; BLOCK];
        declick.begin();
        declick.apply(&mut block);
        heard.extend(block);
    }
    assert!(heard.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01));
    assert_eq!(heard[2 * BLOCK - 1], 0.8);
}
