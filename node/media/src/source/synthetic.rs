//! The test card as a camera or a screen: for demos, tests and machines without either. It never pretends to be a real device.

use std::time::{Duration, SystemTime};

use super::{Pacer, VideoSource};
use crate::clock;
use crate::error::MediaError;
use crate::picture::Picture;
use crate::testcard::TestCard;

/// Draws the test card at a fixed rate.
pub struct TestCardSource {
    card: TestCard,
    pacer: Pacer,
    label: String,
}

impl TestCardSource {
    /// `fps` from 1 to 60. Refuses a size that cannot be drawn.
    pub fn new(width: u32, height: u32, fps: u32) -> Result<Self, MediaError> {
        let card = TestCard::new(width, height).ok_or(MediaError::PictureSize { width, height })?;
        let fps = fps.clamp(1, 60);
        let pacer = Pacer::new(Duration::from_secs(1) / fps);
        Ok(Self { card, pacer, label: format!("Test card {width}×{height}, {fps} fps") })
    }
}

impl VideoSource for TestCardSource {
    fn next(&mut self) -> Result<Option<Picture>, MediaError> {
        if !self.pacer.wait() {
            return Ok(None);
        }
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Some(self.card.draw(time, clock::now())))
    }

    fn describe(&self) -> String {
        self.label.clone()
    }
}
