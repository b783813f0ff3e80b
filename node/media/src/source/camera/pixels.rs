//! The pixel formats of cameras, brought to I420. It reads memory that a device has filled and believes no length of it.

use std::time::Duration;

use yuv::{BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::v4l2::Format;
use crate::codec::copy_plane;
use crate::picture::{Picture, PictureBuf, PlanesMut};

/// A format that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelFormat {
    /// A luma plane, then a plane of interleaved chroma.
    Nv12,
    /// Luma and chroma interleaved, chroma halved in width.
    Yuyv,
    /// A JPEG a picture: what most cameras use for 720p at a full rate.
    Mjpeg,
}

impl PixelFormat {
    /// The cheapest to unpack first.
    pub(super) const BY_COST: [Self; 3] = [Self::Nv12, Self::Yuyv, Self::Mjpeg];

    /// The code of the format in V4L2.
    pub(super) fn fourcc(self) -> u32 {
        u32::from_le_bytes(*match self {
            Self::Nv12 => b"NV12",
            Self::Yuyv => b"YUYV",
            Self::Mjpeg => b"MJPG",
        })
    }

    pub(super) fn of(fourcc: u32) -> Option<Self> {
        Self::BY_COST.into_iter().find(|pixels| pixels.fourcc() == fourcc)
    }
}

/// Makes pictures of what a camera gives.
pub(super) struct Unpacker {
    pixels: PixelFormat,
    format: Format,
    /// Decoded JPEG, reused.
    rgb: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new(pixels: PixelFormat, format: Format) -> Self {
        Self { pixels, format, rgb: Vec::new() }
    }

    /// `None` where the bytes do not make a whole picture.
    pub(super) fn unpack(&mut self, bytes: &[u8], at: Duration) -> Option<Picture> {
        let (width, height) = (self.format.width, self.format.height);
        let mut picture = PictureBuf::new(width, height)?;
        match self.pixels {
            PixelFormat::Nv12 => nv12(&mut picture, bytes, self.format.bytes_per_line.max(width) as usize)?,
            PixelFormat::Yuyv => {
                // Pixels come in pairs.
                let stride = self.format.bytes_per_line.max(width.next_multiple_of(2) * 2);
                let used = stride as usize * height as usize;
                let packed = YuvPackedImage { yuy: bytes.get(..used)?, yuy_stride: stride, width, height };
                yuv::yuyv422_to_yuv420(&mut planar(&mut picture), &packed).ok()?;
            }
            PixelFormat::Mjpeg => self.mjpeg(&mut picture, bytes)?,
        }
        Some(picture.finish(at))
    }

    fn mjpeg(&mut self, picture: &mut PictureBuf, bytes: &[u8]) -> Option<()> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let options =
            DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB).set_max_width(width).set_max_height(height);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().ok()?;
        if decoder.dimensions() != Some((width, height)) {
            return None;
        }
        self.rgb.resize(width * height * 3, 0);
        decoder.decode_into(&mut self.rgb).ok()?;
        let stride = picture.width() * 3;
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
        yuv::rgb_to_yuv420(&mut planar(picture), &self.rgb, stride, range, matrix, YuvConversionMode::Balanced).ok()
    }
}

fn nv12(picture: &mut PictureBuf, bytes: &[u8], stride: usize) -> Option<()> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let chroma_width = picture.chroma_width() as usize;
    let (luma, chroma) = bytes.split_at_checked(stride * height)?;
    let PlanesMut { y, u, v } = picture.planes_mut();
    copy_plane(y, width, luma, stride)?;
    let rows = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
    for (row, (u, v)) in rows.enumerate() {
        let pairs = chroma.get(row * stride..)?.get(..chroma_width * 2)?;
        let (pairs, _) = pairs.as_chunks::<2>();
        for ((u, v), pair) in u.iter_mut().zip(v).zip(pairs) {
            [*u, *v] = *pair;
        }
    }
    Some(())
}

fn planar(picture: &mut PictureBuf) -> YuvPlanarImageMut<'_, u8> {
    let (width, height, chroma) = (picture.width(), picture.height(), picture.chroma_width());
    let PlanesMut { y, u, v } = picture.planes_mut();
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn unpacker(pixels: PixelFormat, width: u32, height: u32, bytes_per_line: u32) -> Unpacker {
        Unpacker::new(pixels, Format { fourcc: pixels.fourcc(), width, height, bytes_per_line })
    }

    #[test]
    fn yuyv_with_padded_rows_becomes_i420() {
        let row = |luma: u8| [[luma, 90, luma, 200], [luma, 90, luma, 200], [0; 4]].concat();
        let bytes = [row(50), row(60), row(70), row(80)].concat();
        let picture = unpacker(PixelFormat::Yuyv, 4, 4, 12).unpack(&bytes, Duration::ZERO).unwrap();
        assert_eq!(picture.y(), [[50; 4], [60; 4], [70; 4], [80; 4]].concat());
        assert_eq!((picture.u(), picture.v()), (&[90; 4][..], &[200; 4][..]));
    }

    #[test]
    fn nv12_with_padded_rows_becomes_i420() {
        let bytes = [[1, 2, 3, 4, 0], [5, 6, 7, 8, 0], [90, 200, 91, 201, 0]].concat();
        let picture = unpacker(PixelFormat::Nv12, 4, 2, 5).unpack(&bytes, Duration::ZERO).unwrap();
        assert_eq!(picture.y(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((picture.u(), picture.v()), (&[90, 91][..], &[200, 201][..]));
    }

    #[test]
    fn mjpeg_becomes_i420_of_limited_range() {
        let jpeg = include_bytes!("../../../tests/data/red_grey_32.jpg");
        let picture = unpacker(PixelFormat::Mjpeg, 32, 32, 0).unpack(jpeg, Duration::ZERO).unwrap();
        let (red, grey) = (16 * 32 + 4, 16 * 32 + 28);
        // What ffmpeg makes of the same file.
        assert!(picture.y()[red].abs_diff(86) < 4 && picture.y()[grey].abs_diff(126) < 4);
        assert!(picture.v()[8 * 16 + 2].abs_diff(226) < 8 && picture.v()[8 * 16 + 14].abs_diff(128) < 4);
    }

    #[test]
    fn short_buffers_and_damaged_jpeg_make_no_picture() {
        for pixels in PixelFormat::BY_COST {
            assert!(unpacker(pixels, 64, 64, 128).unpack(&[0x55; 1000], Duration::ZERO).is_none());
            assert!(unpacker(pixels, 64, 64, 128).unpack(&[], Duration::ZERO).is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), width in 1_u32..20, height in 1_u32..20, stride in 0_u32..50) {
            for pixels in PixelFormat::BY_COST {
                let _ = unpacker(pixels, width, height, stride).unpack(&bytes, Duration::ZERO);
            }
        }
    }
}
