//! The few shapes the test card is made of, drawn into I420 planes and clipped at the edges. It knows nothing of what they mean.

use super::Yuv;
use crate::picture::PictureBuf;

/// In pixels; right and bottom are outside.
#[derive(Clone, Copy)]
pub(super) struct Rect {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) right: u32,
    pub(super) bottom: u32,
}

pub(super) struct Canvas<'a> {
    picture: &'a mut PictureBuf,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(picture: &'a mut PictureBuf) -> Self {
        Self { picture }
    }

    pub(super) fn fill(&mut self, rect: Rect, colour: Yuv) {
        for y in rect.top..rect.bottom.min(self.picture.height()) {
            self.luma_row(y, rect.left, rect.right, colour);
        }
        for y in rect.top / 2..rect.bottom.div_ceil(2).min(self.picture.height().div_ceil(2)) {
            self.chroma_row(y, rect.left / 2, rect.right.div_ceil(2), colour);
        }
    }

    /// From top to bottom.
    pub(super) fn gradient(&mut self, from: Yuv, to: Yuv) {
        let (width, height) = (self.picture.width(), self.picture.height());
        for y in 0..height {
            let mix = |a: u8, b: u8| ((u32::from(a) * (height - y) + u32::from(b) * y) / height) as u8;
            let colour = [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])];
            self.luma_row(y, 0, width, colour);
            if y.is_multiple_of(2) {
                self.chroma_row(y / 2, 0, width.div_ceil(2), colour);
            }
        }
    }

    pub(super) fn disc(&mut self, x: u32, y: u32, radius: u32, colour: Yuv) {
        for row in y.saturating_sub(radius)..(y + radius).min(self.picture.height()) {
            let (distance, reach) = (u64::from(row.abs_diff(y)), u64::from(radius));
            let half = (reach * reach - (distance * distance).min(reach * reach)).isqrt() as u32;
            self.luma_row(row, x.saturating_sub(half), x + half, colour);
            if row.is_multiple_of(2) {
                self.chroma_row(row / 2, x.saturating_sub(half) / 2, (x + half).div_ceil(2), colour);
            }
        }
    }

    /// A digit of seven segments that fills `rect`.
    pub(super) fn digit(&mut self, digit: u32, rect: Rect, colour: Yuv) {
        // Bit 6 down to 0: top, upper left, upper right, middle, lower left, lower right, bottom.
        const SEGMENTS: [u8; 10] = [
            0b111_0111, 0b001_0010, 0b101_1101, 0b101_1011, 0b011_1010, 0b110_1011, 0b110_1111, 0b101_0010, 0b111_1111,
            0b111_1011,
        ];
        let lit = SEGMENTS.get(digit as usize).copied().unwrap_or(0);
        let Rect { left, top, right, bottom } = rect;
        let stroke = ((right - left) / 5).max(1);
        let middle = (top + bottom) / 2;
        let (low, high) = (middle.saturating_sub(stroke / 2), middle + stroke.div_ceil(2));
        let segments = [
            Rect { bottom: top + stroke, ..rect },
            Rect { right: left + stroke, bottom: high, ..rect },
            Rect { left: right.saturating_sub(stroke), bottom: high, ..rect },
            Rect { top: low, bottom: high, ..rect },
            Rect { right: left + stroke, top: low, ..rect },
            Rect { left: right.saturating_sub(stroke), top: low, ..rect },
            Rect { top: bottom.saturating_sub(stroke), ..rect },
        ];
        for (bit, segment) in (0..7).rev().zip(segments) {
            if lit >> bit & 1 == 1 {
                self.fill(segment, colour);
            }
        }
    }

    fn luma_row(&mut self, y: u32, left: u32, right: u32, colour: Yuv) {
        let width = self.picture.width() as usize;
        fill_row(self.picture.planes_mut().y, width, y, left, right, colour[0]);
    }

    fn chroma_row(&mut self, y: u32, left: u32, right: u32, colour: Yuv) {
        let width = self.picture.chroma_width() as usize;
        let planes = self.picture.planes_mut();
        fill_row(planes.u, width, y, left, right, colour[1]);
        fill_row(planes.v, width, y, left, right, colour[2]);
    }
}

fn fill_row(plane: &mut [u8], width: usize, y: u32, left: u32, right: u32, value: u8) {
    let right = (right as usize).min(width);
    let left = (left as usize).min(right);
    let start = y as usize * width;
    if let Some(row) = plane.get_mut(start + left..start + right) {
        row.fill(value);
    }
}
