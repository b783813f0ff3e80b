//! The mouse pointer, which the X server leaves out of its pictures, drawn over them. It shows where the pointer is and follows
//! nothing else of it.

use crate::picture::{PictureBuf, PlanesMut};

/// The largest pointer that is drawn, in pixels a side.
const MAX_SIDE: u16 = 256;

/// A pointer on the screen.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Top left corner on the screen; it may be outside.
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: u16,
    pub(super) height: u16,
    /// ARGB with premultiplied alpha, row by row.
    pub(super) pixels: Vec<u32>,
}

impl Cursor {
    /// Draws the pointer into a picture whose top left corner is at `origin` on the screen.
    pub(super) fn draw(&self, picture: &mut PictureBuf, origin: (i32, i32)) {
        if self.width == 0 || self.width > MAX_SIDE || self.height > MAX_SIDE {
            return;
        }
        let (width, height) = (picture.width(), picture.height());
        let chroma_width = picture.chroma_width();
        let PlanesMut { y: luma, u, v } = picture.planes_mut();
        for (row, pixels) in (0..).zip(self.pixels.chunks_exact(usize::from(self.width)).take(usize::from(self.height))) {
            let Some(y) = inside(self.top - origin.1 + row, height) else { continue };
            for (column, &argb) in (0..).zip(pixels) {
                let Some(x) = inside(self.left - origin.0 + column, width) else { continue };
                let [colour_y, colour_u, colour_v] = to_yuv(argb);
                let alpha = argb >> 24;
                blend(luma.get_mut((y * width + x) as usize), colour_y, alpha);
                // One pixel of four speaks for the chroma of all.
                if y.is_multiple_of(2) && x.is_multiple_of(2) {
                    let at = (y / 2 * chroma_width + x / 2) as usize;
                    blend(u.get_mut(at), colour_u, alpha);
                    blend(v.get_mut(at), colour_v, alpha);
                }
            }
        }
    }
}

fn inside(position: i32, side: u32) -> Option<u32> {
    u32::try_from(position).ok().filter(|position| *position < side)
}

/// BT.601 limited range, the offsets weighed by alpha as the colours are.
fn to_yuv(argb: u32) -> [i32; 3] {
    let [alpha, red, green, blue] = argb.to_be_bytes().map(i32::from);
    let offset = |of: i32| of * alpha / 255;
    [
        (66 * red + 129 * green + 25 * blue) / 256 + offset(16),
        (-38 * red - 74 * green + 112 * blue) / 256 + offset(128),
        (112 * red - 94 * green - 18 * blue) / 256 + offset(128),
    ]
}

fn blend(sample: Option<&mut u8>, colour: i32, alpha: u32) {
    if let Some(sample) = sample {
        let below = i32::from(*sample) * (255 - alpha.cast_signed()) / 255;
        *sample = (below + colour).clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn cursor(left: i32, top: i32, argb: u32) -> Cursor {
        Cursor { left, top, width: 2, height: 2, pixels: vec![argb; 4] }
    }

    #[test]
    fn opaque_pointer_covers_and_clear_one_does_not() {
        let mut picture = PictureBuf::new(8, 8).unwrap();
        cursor(2, 2, 0xffff_ffff).draw(&mut picture, (0, 0));
        cursor(4, 4, 0).draw(&mut picture, (0, 0));
        let y = picture.planes_mut().y;
        assert!(y[2 * 8 + 2] >= 234 && y[3 * 8 + 3] >= 234);
        assert_eq!((y[0], y[4 * 8 + 4]), (16, 16));
    }

    #[test]
    fn pointer_at_the_edge_is_clipped() {
        let mut picture = PictureBuf::new(4, 4).unwrap();
        for (left, top) in [(-1, -1), (3, 3), (-5, 0), (100, 100), (i32::from(i16::MIN), i32::from(i16::MAX))] {
            cursor(left, top, 0x80ff_0000).draw(&mut picture, (0, 0));
        }
        assert_ne!(picture.planes_mut().y[0], 16);
        assert_eq!(picture.planes_mut().y[5], 16);
    }
}
