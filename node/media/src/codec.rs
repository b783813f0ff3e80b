//! Coded pictures, and one face for every video codec. A decoder is fed by strangers: it refuses by value and never panics.

pub mod h264;
pub mod opus;
pub mod vp9;

use std::time::Duration;

use bytes::Bytes;

use crate::error::MediaError;
use crate::picture::{MAX_SIDE, Picture};

/// The largest picture that is encoded or decoded, in pixels of area; the sides are bounded by [`MAX_SIDE`] besides.
pub const MAX_AREA: u32 = 4096 * 2304;

/// The smallest side that is encoded, in pixels.
pub const MIN_SIDE: u32 = 16;

/// The largest coded picture that is taken, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// Which video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// ITU-T H.264, constrained baseline, Annex B byte stream.
    H264,
    /// VP9 profile 0.
    Vp9,
}

/// What the pictures show; it decides how the encoder spends its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoContent {
    /// Faces and motion: keep the frame rate.
    Camera,
    /// Text and still areas: keep the detail.
    Screen,
}

/// One coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    pub data: Bytes,
    pub codec: VideoCodec,
    /// Decodable without any frame before it.
    pub keyframe: bool,
    /// When the picture was captured, on the sender's media clock.
    pub at: Duration,
}

/// What an encoder is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderSettings {
    pub content: VideoContent,
    /// Target in bits per second.
    pub bitrate_bps: u32,
    /// The most pictures a second that will come.
    pub fps: u32,
}

/// Turns pictures into coded frames, in order and without delay: one picture in, at most one frame out.
pub trait VideoEncoder: Send {
    /// Codes one picture. `None` where the rate control leaves it out. The first picture, and the first of another size, comes out
    /// as a keyframe. Sides are even, at least [`MIN_SIDE`].
    fn encode(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Option<EncodedFrame>, MediaError>;

    /// Takes effect with the next picture.
    fn set_bitrate(&mut self, bitrate_bps: u32);
}

/// Turns coded frames into pictures. After an error it needs a keyframe.
pub trait VideoDecoder: Send {
    /// Decodes one frame, which may be anything at all. `None` where it shows no picture.
    fn decode(&mut self, data: &[u8], at: Duration) -> Result<Option<Picture>, MediaError>;
}

/// Makes an encoder.
pub fn encoder(codec: VideoCodec, settings: EncoderSettings) -> Result<Box<dyn VideoEncoder>, MediaError> {
    Ok(match codec {
        VideoCodec::H264 => Box::new(h264::H264Encoder::new(settings)),
        VideoCodec::Vp9 => Box::new(vp9::Vp9Encoder::new(settings)),
    })
}

/// Makes a decoder.
pub fn decoder(codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, MediaError> {
    Ok(match codec {
        VideoCodec::H264 => Box::new(h264::H264Decoder::new()?),
        VideoCodec::Vp9 => Box::new(vp9::Vp9Decoder::new()?),
    })
}

/// Is a picture of this size taken from a peer?
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), MediaError> {
    let area_fits = width.checked_mul(height).is_some_and(|area| area <= MAX_AREA);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || !area_fits {
        return Err(MediaError::PictureSize { width, height });
    }
    Ok(())
}

/// Can a picture of this size be encoded?
pub(crate) fn check_encodable(width: u32, height: u32) -> Result<(), MediaError> {
    if width < MIN_SIDE || height < MIN_SIDE || !width.is_multiple_of(2) || !height.is_multiple_of(2) {
        return Err(MediaError::PictureSize { width, height });
    }
    check_size(width, height)
}

/// Copies a plane of `stride` bytes a row into `target`, `width` bytes a row. `None` where the source is too short.
pub(crate) fn copy_plane(target: &mut [u8], width: usize, source: &[u8], stride: usize) -> Option<()> {
    for (row, out) in target.chunks_exact_mut(width).enumerate() {
        let start = row.checked_mul(stride)?;
        out.copy_from_slice(source.get(start..start.checked_add(width)?)?);
    }
    Some(())
}
