//! A code in a picture: a photograph or a screenshot that somebody drops on the window. It never opens anything but pictures, and none
//! that would take more memory than a photograph.

use std::io::{Cursor, Read};
use std::path::Path;

use image::{ImageReader, Limits};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// Largest side, in pixels, and most memory for the decoded picture, in bytes.
const MAX_SIDE: u32 = 10_000;
const MAX_DECODED: u64 = 256 * 1024 * 1024;
/// A larger picture is made smaller first: its code still has many pixels a module.
const WORKED_ON: u32 = 2_000;

/// What the first QR code in a picture file says; `None` where there is none, or no picture.
pub fn code_in_file(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    code_in(&bytes)
}

/// The same of a picture in memory: PNG or JPEG.
pub fn code_in(bytes: &[u8]) -> Option<String> {
    if bytes.len() as u64 > MAX_FILE {
        return None;
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(MAX_SIDE), Some(MAX_SIDE), Some(MAX_DECODED));
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let picture =
        if picture.width().max(picture.height()) > WORKED_ON { picture.thumbnail(WORKED_ON, WORKED_ON) } else { picture };
    let grey = picture.to_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let pixels = grey.into_raw();
    let at = |x: usize, y: usize| pixels.get(y * width + x).copied().unwrap_or(u8::MAX);
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
    prepared.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{GrayImage, ImageFormat, Luma};

    use super::*;

    fn picture_of(text: &str, module: u32) -> Vec<u8> {
        let code = qrcode::QrCode::new(text).unwrap();
        let (width, colours) = (code.width() as u32, code.to_colors());
        let side = (width + 8) * module;
        let picture = GrayImage::from_fn(side, side, |x, y| {
            let (column, row) = ((x / module).wrapping_sub(4), (y / module).wrapping_sub(4));
            let dark = column < width && row < width && colours[(row * width + column) as usize] == qrcode::Color::Dark;
            Luma([if dark { 20 } else { 235 }])
        });
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_code_is_found_in_a_small_and_in_a_large_picture() {
        let text = "conclave://verify/1#AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for module in [4, 60] {
            assert_eq!(code_in(&picture_of(text, module)).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_picture_or_has_no_code_gives_nothing() {
        assert_eq!(code_in(b"hello"), None);
        let mut bytes = Cursor::new(Vec::new());
        GrayImage::from_pixel(200, 200, Luma([128])).write_to(&mut bytes, ImageFormat::Png).unwrap();
        assert_eq!(code_in(bytes.get_ref()), None);
        let whole = picture_of("x", 4);
        assert_eq!(code_in(&whole[..whole.len() / 2]), None);
    }
}
