//! Pictures of boards as pixels. What they are decoded from may be hostile: what a file says of its size is looked at before a pixel of it
//! is decoded, and nothing but PNG and JPEG is read.

use std::io::Cursor;

use conclave_crdt::interchange::picture::{Format, Picture};
use image::{ImageReader, Limits, RgbaImage};

use crate::error::{CommandError, ErrorCode};

/// Widest and highest picture, in pixels.
pub(crate) const MAX_SIDE: u32 = 12_000;
/// Most pixels: 128 MiB once decoded.
pub(crate) const MAX_PIXELS: u64 = 32 * 1024 * 1024;
/// What a decoder may allocate, in bytes.
const MAX_ALLOC: u64 = 256 * 1024 * 1024;

/// Takes bytes for a picture, if they are one of a size that is shown; with its width and height.
pub(crate) fn accept(bytes: Vec<u8>) -> Result<(Picture, (u32, u32)), CommandError> {
    let refused = |message: &str| CommandError::new(ErrorCode::FileRefused, message);
    let picture = Picture::new(bytes).ok_or_else(|| refused("Only PNG and JPEG pictures of at most 16 MiB go on a board."))?;
    let size = size(&picture).ok_or_else(|| refused("The picture is damaged, or larger than 12,000 px a side."))?;
    // Damaged further inside: better said now than seen by everybody.
    decode(&picture).ok_or_else(|| refused("The picture is damaged."))?;
    Ok((picture, size))
}

/// Width and height as the file says; `None` where that is too much.
pub(crate) fn size(picture: &Picture) -> Option<(u32, u32)> {
    let (width, height) = reader(picture).into_dimensions().ok()?;
    let fits = width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE;
    (fits && u64::from(width) * u64::from(height) <= MAX_PIXELS).then_some((width, height))
}

/// The pixels.
pub(crate) fn decode(picture: &Picture) -> Option<RgbaImage> {
    size(picture)?;
    let mut reader = reader(picture);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_rgba8())
}

/// Reads what the bytes began as, whatever else they could be.
fn reader(picture: &Picture) -> ImageReader<Cursor<&[u8]>> {
    let format = match picture.format {
        Format::Png => image::ImageFormat::Png,
        Format::Jpeg => image::ImageFormat::Jpeg,
    };
    ImageReader::with_format(Cursor::new(picture.bytes.as_slice()), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG that says it is so large, and has nothing inside.
    fn claims(width: u32, height: u32) -> Vec<u8> {
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 6, 0, 0, 0]);
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        bytes.extend(&header);
        bytes.extend(crc32(&header).to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        bytes
    }

    /// Of a chunk of PNG (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn a_picture_that_says_it_is_huge_is_refused_before_it_is_decoded() {
        let within = Picture::new(claims(4000, 3000)).unwrap();
        assert_eq!(size(&within), Some((4000, 3000)), "the header itself is sound");
        for (width, height) in [(60_000, 60_000), (12_001, 1), (12_000, 12_000), (u32::MAX, u32::MAX), (0, 5)] {
            let bomb = Picture::new(claims(width, height)).unwrap();
            assert!(size(&bomb).is_none() && decode(&bomb).is_none());
            assert_eq!(accept(bomb.bytes).unwrap_err().code, ErrorCode::FileRefused);
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_no_picture() {
        let mut png = Vec::new();
        RgbaImage::new(30, 20).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        assert_eq!(accept(png.clone()).unwrap().1, (30, 20));
        png.truncate(png.len() / 2);
        assert!(accept(png).is_err());
        assert!(accept(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()).is_err());
        assert!(accept(b"GIF89a".to_vec()).is_err());
        assert!(accept(Vec::new()).is_err());
    }
}
