//! One voice of the playout: its decoder, its volume and its counts. Whatever its feed gives ends in 20 ms of sound.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::level::LevelWindow;
use super::super::mix::Gain;
use super::super::{FRAME, Frame};
use super::{AudioFeed, FeedItem, StreamMeter};
use crate::codec::opus::OpusDecoder;
use crate::error::MediaError;

/// Frames over which the level is taken: 300 ms.
const LEVEL_FRAMES: usize = 15;
/// Samples over which a voice comes up that begins after nothing: 2.5 ms.
const ATTACK: usize = 120;

pub(super) struct Voice {
    feed: Box<dyn AudioFeed>,
    decoder: OpusDecoder,
    gain: Gain,
    /// Was there sound in the last frame, which must not break off?
    sounding: bool,
    leaving: bool,
    levels: LevelWindow,
    meter: StreamMeter,
}

impl Voice {
    pub(super) fn new(feed: Box<dyn AudioFeed>, meter: StreamMeter) -> Result<Self, MediaError> {
        Ok(Self {
            feed,
            decoder: OpusDecoder::new()?,
            gain: Gain::rising_to(1.0),
            sounding: false,
            leaving: false,
            levels: LevelWindow::new(LEVEL_FRAMES),
            meter,
        })
    }

    pub(super) fn set_volume(&mut self, volume: f32) {
        self.gain.set(volume);
    }

    /// Fades out with the next frame.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.gain.set(0.0);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    pub(super) fn mix_into(&mut self, mix: &mut Frame) {
        let frame = self.next();
        self.meter.0.level.store(self.levels.push(&frame).to_bits(), Ordering::Relaxed);
        self.gain.mix_into(mix, &frame);
    }

    fn next(&mut self) -> Frame {
        let mut frame: Frame = [0.0; FRAME];
        let meter = &self.meter.0;
        let count = |counter: &AtomicU64| {
            counter.fetch_add(FRAME as u64, Ordering::Relaxed);
        };
        let began = self.sounding;
        match self.feed.pull() {
            FeedItem::Packet(packet) => match self.decoder.decode(&packet, &mut frame) {
                Ok(()) => {
                    count(&meter.played);
                    self.sounding = true;
                }
                Err(error) => {
                    tracing::trace!(%error, "a voice could not be decoded");
                    meter.damaged_packets.fetch_add(1, Ordering::Relaxed);
                    count(&meter.concealed);
                    self.conceal(&mut frame);
                }
            },
            FeedItem::Fec(next) => match self.decoder.recover(&next, &mut frame) {
                Ok(true) => {
                    count(&meter.recovered);
                    self.sounding = true;
                }
                Ok(false) => count(&meter.concealed),
                Err(_) => {
                    count(&meter.concealed);
                    self.conceal(&mut frame);
                }
            },
            FeedItem::Lost => {
                count(&meter.concealed);
                self.conceal(&mut frame);
            }
            FeedItem::Idle => {
                count(&meter.idle);
                if std::mem::take(&mut self.sounding) {
                    // The guess at how it would have gone on, fading, in place of breaking off.
                    self.conceal(&mut frame);
                    for (i, sample) in frame.iter_mut().enumerate() {
                        *sample *= 1.0 - (i + 1) as f32 / FRAME as f32;
                    }
                }
            }
        }
        if self.sounding && !began {
            for (i, sample) in frame.iter_mut().take(ATTACK).enumerate() {
                *sample *= i as f32 / ATTACK as f32;
            }
        }
        frame
    }

    fn conceal(&mut self, frame: &mut Frame) {
        if let Err(error) = self.decoder.conceal(frame) {
            tracing::debug!(%error, "a loss could not be concealed");
            frame.fill(0.0);
        }
    }
}
