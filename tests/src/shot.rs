//! What can be told from a picture of the window: filled buttons by their colour, and test cards with the time in them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use conclave_media::picture::PictureBuf;
use conclave_media::testcard::read_clock;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The bars of the test card as they arrive on the screen, left to right, without the grey one.
const YELLOW: Rgb = [192, 192, 0];
const BLUE: Rgb = [0, 0, 192];
/// How far a channel of a decoded bar may be from its colour.
const CODING: u8 = 24;
/// Where the yellow bar begins and the blue one ends, and where both begin and end, in thousandths of the card's width and height.
const BARS_ACROSS: (u32, u32) = (186, 940);
const BARS_DOWN: (u32, u32) = (330, 680);

/// A rectangle in pixels; right and bottom are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

impl Area {
    pub fn width(&self) -> u32 {
        self.right - self.left
    }

    pub fn height(&self) -> u32 {
        self.bottom - self.top
    }

    pub fn centre(&self) -> (u32, u32) {
        (self.left + self.width() / 2, self.top + self.height() / 2)
    }
}

/// A picture of the screen.
pub struct Shot {
    width: u32,
    height: u32,
    pixels: Vec<Rgb>,
}

impl Shot {
    /// From what an X server of 24 bits gives: blue, green, red, nothing.
    pub fn from_bgrx(width: u32, height: u32, data: Vec<u8>) -> Option<Self> {
        let pixels: Vec<Rgb> = data.chunks_exact(4).map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        (pixels.len() == (width * height) as usize).then_some(Self { width, height, pixels })
    }

    /// The colour of a pixel; black outside.
    pub fn at(&self, x: u32, y: u32) -> Rgb {
        if x >= self.width {
            return [0; 3];
        }
        self.pixels.get((y * self.width + x) as usize).copied().unwrap_or_default()
    }

    /// Writes it as PNG.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self.pixels.iter().flatten().copied().collect();
        image::RgbImage::from_raw(self.width, self.height, bytes).context("an empty picture")?.save(path)?;
        Ok(())
    }

    /// Connected areas of one colour, each with the number of its pixels, largest first.
    pub fn areas(&self, colour: Rgb, tolerance: u8) -> Vec<(Area, u32)> {
        let like = |pixel: Rgb| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= tolerance);
        let mut left_over: Vec<bool> = self.pixels.iter().map(|pixel| like(*pixel)).collect();
        let mut found = Vec::new();
        for start in 0..left_over.len() {
            if !left_over[start] {
                continue;
            }
            left_over[start] = false;
            let (mut area, mut count) = (None::<Area>, 0);
            let mut stack = vec![start as u32];
            while let Some(index) = stack.pop() {
                let (x, y) = (index % self.width, index / self.width);
                let grown = area.get_or_insert(Area { left: x, top: y, right: x + 1, bottom: y + 1 });
                grown.left = grown.left.min(x);
                grown.top = grown.top.min(y);
                grown.right = grown.right.max(x + 1);
                grown.bottom = grown.bottom.max(y + 1);
                count += 1;
                let neighbours = [
                    (x > 0).then(|| index - 1),
                    (x + 1 < self.width).then(|| index + 1),
                    (y > 0).then(|| index - self.width),
                    (y + 1 < self.height).then(|| index + self.width),
                ];
                for next in neighbours.into_iter().flatten() {
                    if std::mem::take(&mut left_over[next as usize]) {
                        stack.push(next);
                    }
                }
            }
            found.extend(area.map(|area| (area, count)));
        }
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    /// Buttons filled with one colour: wider than high, of a button's size, mostly that colour.
    pub fn buttons(&self, colour: Rgb) -> Vec<Area> {
        self.areas(colour, 2)
            .into_iter()
            .filter(|(area, count)| {
                (48..=480).contains(&area.width())
                    && (24..=64).contains(&area.height())
                    && count * 10 > area.width() * area.height() * 6
            })
            .map(|(area, _)| area)
            .collect()
    }

    /// Test cards as they came, not mirrored as one's own, from left to right and top to bottom, each with the time in it.
    pub fn cards(&self) -> Vec<(Area, Option<Duration>)> {
        let tall = |area: &Area| area.height() > 12 && area.height() > area.width() / 2;
        let bars = |colour| self.areas(colour, CODING).into_iter().map(|(area, _)| area).filter(tall).collect::<Vec<_>>();
        let (yellow, blue) = (bars(YELLOW), bars(BLUE));
        let mut cards: Vec<_> = yellow
            .iter()
            .filter_map(|first| {
                let same_row = |last: &&Area| last.top.abs_diff(first.top) < 8 && last.height().abs_diff(first.height()) < 12;
                let last = blue.iter().filter(same_row).filter(|last| last.left > first.right).min_by_key(|last| last.left)?;
                let width = (last.right - first.left) * 1000 / (BARS_ACROSS.1 - BARS_ACROSS.0);
                let height = first.height() * 1000 / (BARS_DOWN.1 - BARS_DOWN.0);
                let left = first.left.saturating_sub(width * BARS_ACROSS.0 / 1000);
                let top = first.top.saturating_sub(height * BARS_DOWN.0 / 1000);
                let card = Area { left, top, right: left + width, bottom: top + height };
                Some((card, self.clock(card)))
            })
            .collect();
        cards.sort_by_key(|(card, _)| (card.top / 16, card.left));
        cards
    }

    /// The edges of the card are known to a pixel or two: the clock is tried around them.
    fn clock(&self, card: Area) -> Option<Duration> {
        (0..5_u32).flat_map(|right| (0..5_u32).map(move |down| (right, down))).find_map(|(right, down)| {
            let (left, top) = ((card.left + right).checked_sub(2)?, (card.top + down).checked_sub(2)?);
            let (width, height) = (card.width() & !1, card.height() & !1);
            let mut picture = PictureBuf::new(width, height)?;
            let planes = picture.planes_mut();
            for (index, luma) in planes.y.iter_mut().enumerate() {
                let [r, g, b] = self.at(left + index as u32 % width, top + index as u32 / width);
                *luma = ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8;
            }
            read_clock(&picture.finish(Duration::ZERO))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use conclave_media::testcard::TestCard;

    /// A screen of one colour.
    fn blank(width: u32, height: u32, [r, g, b]: Rgb) -> Vec<u8> {
        [b, g, r, 0].repeat((width * height) as usize)
    }

    #[test]
    fn a_button_is_found_by_its_colour_and_a_line_of_that_colour_is_not_one() {
        let mut data = blank(300, 200, [10, 10, 12]);
        let mut fill = |area: Area| {
            for y in area.top..area.bottom {
                for x in area.left..area.right {
                    let at = ((y * 300 + x) * 4) as usize;
                    data[at..at + 3].copy_from_slice(&[0xf2, 0x7b, 0x6e]);
                }
            }
        };
        let button = Area { left: 50, top: 60, right: 150, bottom: 100 };
        fill(button);
        fill(Area { left: 10, top: 150, right: 290, bottom: 152 });
        let shot = Shot::from_bgrx(300, 200, data).unwrap();
        assert_eq!(shot.buttons([0x6e, 0x7b, 0xf2]), [button]);
    }

    #[test]
    fn the_time_is_read_from_a_card_on_the_screen_and_not_from_a_mirrored_one() {
        let time = Duration::from_millis(1_700_000_123_456);
        let card = TestCard::new(640, 360).unwrap().draw(time, Duration::ZERO);
        for (mirrored, expected) in [(false, Some(time)), (true, None)] {
            let mut rgba = Vec::new();
            if mirrored {
                card.to_rgba_mirrored(&mut rgba)
            } else {
                card.to_rgba(&mut rgba)
            }
            let mut data = blank(900, 500, [10, 11, 13]);
            for (index, pixel) in rgba.chunks_exact(4).enumerate() {
                let (x, y) = (index % 640 + 101, index / 640 + 37);
                data[(y * 900 + x) * 4..][..3].copy_from_slice(&[pixel[2], pixel[1], pixel[0]]);
            }
            let cards = Shot::from_bgrx(900, 500, data).unwrap().cards();
            assert_eq!(cards.first().and_then(|(_, time)| *time), expected, "mirrored: {mirrored}");
        }
    }
}
