//! A test card that moves, with a clock in it that a program can read back from the picture after coding and scaling. It shows the
//! time of day of this device and nothing else of it.
//!
//! The clock is a grid of [`CLOCK_COLUMNS`] by [`CLOCK_ROWS`] black and white blocks in the top left corner, each a fortieth of the
//! picture's width a side, row by row from the top left, most significant bit first, white for 1: 48 bits of UNIX time in
//! milliseconds, then their CRC-16 (CCITT, initial value `0xffff`).

use std::time::Duration;

use crate::picture::{Picture, PictureBuf};

mod draw;

use draw::{Canvas, Rect};

/// Blocks in a row of the clock.
pub const CLOCK_COLUMNS: u32 = 16;
/// Rows of blocks of the clock.
pub const CLOCK_ROWS: u32 = 4;
/// Blocks that would fit the picture's width; it makes the size of a block a matter of the picture alone.
pub const CLOCK_BLOCKS_ACROSS: u32 = 40;

const CLOCK_BITS: u32 = CLOCK_COLUMNS * CLOCK_ROWS;
const CHECK_BITS: u32 = 16;
const TIME_MASK: u64 = (1 << (CLOCK_BITS - CHECK_BITS)) - 1;

/// A colour in BT.601 limited range.
type Yuv = [u8; 3];

const BLACK: Yuv = [16, 128, 128];
const WHITE: Yuv = [235, 128, 128];
const INK: Yuv = [200, 124, 128];
const ACCENT: Yuv = [150, 72, 186];
const SHADE: Yuv = [30, 132, 126];
/// 75 % bars: white, yellow, cyan, green, magenta, red, blue.
const BARS: [Yuv; 7] =
    [[180, 128, 128], [162, 44, 142], [131, 156, 44], [112, 72, 58], [84, 184, 198], [65, 100, 212], [35, 212, 114]];

/// Is the block in this column and row white? For whoever draws the clock with other means than [`draw_clock`].
pub fn clock_block(time: Duration, column: u32, row: u32) -> bool {
    let bit = row * CLOCK_COLUMNS + column;
    bit < CLOCK_BITS && clock_word(time) >> (CLOCK_BITS - 1 - bit) & 1 == 1
}

/// Draws the clock over the top left corner. `time` is the time since the UNIX epoch.
pub fn draw_clock(picture: &mut PictureBuf, time: Duration) {
    let (width, word) = (picture.width(), clock_word(time));
    let mut canvas = Canvas::new(picture);
    for bit in 0..CLOCK_BITS {
        let (column, row) = (bit % CLOCK_COLUMNS, bit / CLOCK_COLUMNS);
        let edge = |index: u32| (index * width + CLOCK_BLOCKS_ACROSS / 2) / CLOCK_BLOCKS_ACROSS;
        let block = Rect { left: edge(column), top: edge(row), right: edge(column + 1), bottom: edge(row + 1) };
        let white = word >> (CLOCK_BITS - 1 - bit) & 1 == 1;
        canvas.fill(block, if white { WHITE } else { BLACK });
    }
}

/// Reads the clock back: the time since the UNIX epoch, in whole milliseconds. `None` where there is none, or where it is blurred.
pub fn read_clock(picture: &Picture) -> Option<Duration> {
    let mut word = 0_u64;
    for bit in 0..CLOCK_BITS {
        let luma = block_luma(picture, bit % CLOCK_COLUMNS, bit / CLOCK_COLUMNS)?;
        // Between the two lies no block, only a blur.
        if (96..=160).contains(&luma) {
            return None;
        }
        word = word << 1 | u64::from(luma > 128);
    }
    let time_ms = word >> CHECK_BITS;
    (clock_word(Duration::from_millis(time_ms)) == word).then(|| Duration::from_millis(time_ms))
}

/// The mean of the middle of a block, away from its smeared edges.
fn block_luma(picture: &Picture, column: u32, row: u32) -> Option<u32> {
    let width = picture.width();
    let span = |index: u32| {
        // In quarters of a block, rounded to pixels: from the first to the third.
        let from = ((index * 4 + 1) * width + CLOCK_BLOCKS_ACROSS * 2) / (CLOCK_BLOCKS_ACROSS * 4);
        let to = ((index * 4 + 3) * width + CLOCK_BLOCKS_ACROSS * 2) / (CLOCK_BLOCKS_ACROSS * 4);
        from..to.max(from + 1)
    };
    let (mut sum, mut count) = (0_u32, 0_u32);
    for y in span(row) {
        for x in span(column) {
            if y >= picture.height() {
                return None;
            }
            sum += u32::from(*picture.y().get((y * width + x) as usize)?);
            count += 1;
        }
    }
    sum.checked_div(count)
}

fn clock_word(time: Duration) -> u64 {
    let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX) & TIME_MASK;
    time_ms << CHECK_BITS | u64::from(crc16(time_ms))
}

fn crc16(time_ms: u64) -> u16 {
    time_ms.to_be_bytes().iter().skip(2).fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

/// The card: what stands still is drawn once, what moves for each picture.
pub struct TestCard {
    still: PictureBuf,
}

impl TestCard {
    /// `None` where a side is zero or over [`crate::picture::MAX_SIDE`].
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let mut still = PictureBuf::new(width, height)?;
        let mut canvas = Canvas::new(&mut still);
        canvas.gradient([34, 140, 122], [74, 134, 124]);
        let at = |x: u32, y: u32| (width * x / 1000, height * y / 1000);
        let rect = |left, top, right, bottom| {
            let ((left, top), (right, bottom)) = (at(left, top), at(right, bottom));
            Rect { left, top, right, bottom }
        };
        for (bar, colour) in (0..).zip(BARS) {
            canvas.fill(rect(60 + bar * 126, 330, 60 + bar * 126 + 124, 680), colour);
        }
        for step in 0..22 {
            let luma = 16 + step * 10;
            canvas.fill(rect(60 + step * 40, 695, 60 + step * 40 + 40, 745), [luma as u8, 128, 128]);
        }
        canvas.fill(rect(60, 860, 940, 864), SHADE);
        Some(Self { still })
    }

    /// The card at this time since the UNIX epoch, captured `at` on the media clock.
    pub fn draw(&self, time: Duration, at: Duration) -> Picture {
        let mut picture = self.still.clone();
        let (width, height) = (picture.width(), picture.height());
        let mut canvas = Canvas::new(&mut picture);
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(0);

        let seconds = (time_ms / 1000 % 86_400) as u32;
        let digits =
            [seconds / 36_000, seconds / 3600 % 10, seconds / 600 % 6, seconds / 60 % 10, seconds / 10 % 6, seconds % 10];
        let digit_width = width / 22;
        let top = height * 6 / 100;
        for (place, digit) in (0..).zip(digits) {
            // Pairs stand a little apart.
            let left = width * 52 / 100 + place * digit_width * 4 / 3 + place / 2 * digit_width / 3;
            canvas.digit(digit, Rect { left, top, right: left + digit_width, bottom: top + digit_width * 9 / 5 }, INK);
        }

        // A light that crosses the bars in four seconds, and a ball that rolls to and fro below in three.
        let light = 60 + (time_ms % 4000) as u32 * 870 / 4000;
        let (left, right) = (width * light / 1000, width * (light + 10) / 1000);
        canvas.fill(Rect { left, top: height * 330 / 1000, right, bottom: height * 680 / 1000 }, WHITE);
        let phase = (time_ms % 3000) as u32;
        let way = if phase < 1500 { phase } else { 3000 - phase };
        let radius = height * 45 / 1000;
        canvas.disc(width * (80 + way * 840 / 1500) / 1000, height * 815 / 1000, radius, ACCENT);

        draw_clock(&mut picture, time);
        picture.finish(at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn card(width: u32, height: u32, time: Duration) -> Picture {
        TestCard::new(width, height).unwrap().draw(time, Duration::ZERO)
    }

    #[test]
    fn clock_is_read_back_at_every_usual_size() {
        let time = Duration::from_millis(1_790_000_123_457);
        for (width, height) in [(320, 180), (640, 360), (854, 480), (1280, 720), (1920, 1080), (641, 361)] {
            assert_eq!(read_clock(&card(width, height, time)), Some(time), "{width}x{height}");
        }
    }

    #[test]
    fn black_grey_and_white_have_no_clock() {
        for luma in [0, 16, 128, 235, 255] {
            let mut picture = PictureBuf::new(640, 360).unwrap();
            picture.planes_mut().y.fill(luma);
            assert_eq!(read_clock(&picture.finish(Duration::ZERO)), None);
        }
    }

    #[test]
    fn blocks_tell_what_is_drawn() {
        let time = Duration::from_millis(1_790_000_000_001);
        let picture = card(640, 360, time);
        for (column, row) in [(0, 0), (7, 0), (15, 3), (3, 2)] {
            let white = picture.y().get((row * 16 + 8) as usize * 640 + (column * 16 + 8) as usize).unwrap() > &128;
            assert_eq!(white, clock_block(time, column, row));
        }
    }

    proptest! {
        #[test]
        fn any_picture_is_read_without_panic(width in 1_u32..200, height in 1_u32..200, luma: u8) {
            let mut picture = PictureBuf::new(width, height).unwrap();
            picture.planes_mut().y.fill(luma);
            let _ = read_clock(&picture.finish(Duration::ZERO));
        }

        #[test]
        fn cards_of_any_size_are_drawn(width in 1_u32..300, height in 1_u32..300, time_ms: u64) {
            let _ = card(width, height, Duration::from_millis(time_ms));
        }
    }
}
