//! VP9 by libvpx, tuned for screens in real time: no look-ahead, keyframes only on request. What a peer sends reaches the library
//! only after its header was read here, so that no picture beyond the limits is ever allocated.

use std::time::Duration;

use bytes::Bytes;

use super::{
    EncodedFrame, EncoderSettings, MAX_FRAME_BYTES, VideoCodec, VideoContent, VideoDecoder, VideoEncoder, check_encodable,
    check_size, copy_plane,
};
use crate::error::MediaError;
use crate::picture::{Picture, PictureBuf};

mod ffi;
mod header;

const NAME: &str = "VP9";

/// Bitrates that the encoder is asked for, in bits per second.
const BITRATES: std::ops::RangeInclusive<u32> = 30_000..=50_000_000;

/// Pictures of more pixels are encoded by two threads. Up to 720p a second one made nothing faster, and takes 6 MiB.
const ONE_THREAD_AREA: u32 = 1280 * 720;

/// The encoder. It makes its inner one anew for each size of picture.
pub struct Vp9Encoder {
    settings: EncoderSettings,
    inner: Option<ffi::Encoder>,
    /// What the library was last told, in kilobits per second.
    bitrate_kbps: u32,
    last_pts_ms: i64,
}

impl Vp9Encoder {
    /// Nothing is allocated before the first picture.
    pub fn new(settings: EncoderSettings) -> Self {
        let mut encoder = Self { settings, inner: None, bitrate_kbps: 0, last_pts_ms: -1 };
        encoder.set_bitrate(settings.bitrate_bps);
        encoder
    }

    fn make(&mut self, (width, height): (u32, u32)) -> Result<ffi::Encoder, MediaError> {
        self.bitrate_kbps = self.settings.bitrate_bps.div_ceil(1000);
        ffi::Encoder::new(&ffi::Settings {
            width,
            height,
            bitrate_kbps: self.bitrate_kbps,
            threads: if width * height > ONE_THREAD_AREA { 2 } else { 1 },
            screen: (self.settings.content == VideoContent::Screen).into(),
        })
    }
}

impl VideoEncoder for Vp9Encoder {
    fn encode(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Option<EncodedFrame>, MediaError> {
        let size = (picture.width(), picture.height());
        check_encodable(size.0, size.1)?;
        let mut inner = match self.inner.take().filter(|inner| inner.size() == size) {
            Some(inner) => inner,
            None => self.make(size)?,
        };
        let bitrate_kbps = self.settings.bitrate_bps.div_ceil(1000);
        if self.bitrate_kbps != bitrate_kbps {
            inner.set_bitrate(bitrate_kbps)?;
            self.bitrate_kbps = bitrate_kbps;
        }
        let at_ms = i64::try_from(picture.at.as_millis()).unwrap_or(i64::MAX / 2);
        // Stamps must rise; a source that was replaced may begin earlier.
        let pts_ms = at_ms.max(self.last_pts_ms + 1);
        let frame_ms = i64::from(1000 / self.settings.fps.clamp(1, 60));
        let duration_ms = if self.last_pts_ms < 0 { frame_ms } else { (pts_ms - self.last_pts_ms).clamp(1, 1000) };
        self.last_pts_ms = pts_ms;
        let coded = inner.encode(picture, pts_ms, duration_ms as u32, force_keyframe)?.map(|(data, keyframe)| {
            let data = Bytes::copy_from_slice(data);
            EncodedFrame { data, codec: VideoCodec::Vp9, keyframe, at: picture.at }
        });
        self.inner = Some(inner);
        Ok(coded)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.settings.bitrate_bps = bitrate_bps.clamp(*BITRATES.start(), *BITRATES.end());
    }
}

/// The decoder.
pub struct Vp9Decoder {
    inner: ffi::Decoder,
    /// A keyframe has been decoded since the beginning or the last error.
    in_step: bool,
    /// The frame with the index behind it, reused.
    framed: Vec<u8>,
}

impl Vp9Decoder {
    /// Fails only where the library cannot be set up.
    pub fn new() -> Result<Self, MediaError> {
        Ok(Self { inner: ffi::Decoder::new()?, in_step: false, framed: Vec::new() })
    }

    fn decode_checked(&mut self, data: &[u8], at: Duration) -> Result<Option<Picture>, MediaError> {
        self.frame_alone(data);
        let Some(image) = self.inner.decode(&self.framed)? else { return Ok(None) };
        let (width, height) = (image.width, image.height);
        check_size(width, height)?;
        let mut picture = PictureBuf::new(width, height).ok_or(MediaError::PictureSize { width, height })?;
        let chroma_width = picture.chroma_width() as usize;
        let targets = picture.planes_mut();
        let widths = [width as usize, chroma_width, chroma_width];
        for ((target, width), (plane, stride)) in [targets.y, targets.u, targets.v].into_iter().zip(widths).zip(image.planes) {
            copy_plane(target, width, plane, stride)
                .ok_or_else(|| MediaError::damaged(NAME, "planes shorter than the picture"))?;
        }
        Ok(Some(picture.finish(at)))
    }

    /// Puts a superframe index of exactly one frame behind the data (Annex B of the specification). Without one, libvpx takes what
    /// follows the first frame for further frames, whose headers nobody would have checked.
    fn frame_alone(&mut self, data: &[u8]) {
        // The marker 110, a size of four bytes (less one), one frame (less one).
        const MARKER: u8 = 0b110 << 5 | (4 - 1) << 3;
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.framed.clear();
        self.framed.extend_from_slice(data);
        self.framed.push(MARKER);
        self.framed.extend_from_slice(&size.to_le_bytes());
        self.framed.push(MARKER);
    }
}

impl VideoDecoder for Vp9Decoder {
    fn decode(&mut self, data: &[u8], at: Duration) -> Result<Option<Picture>, MediaError> {
        if data.len() > MAX_FRAME_BYTES {
            return Err(MediaError::damaged(NAME, "a frame beyond 4 MiB"));
        }
        let keyframe = matches!(header::check(data)?, header::Header::Sized { keyframe: true, .. });
        if !keyframe && !self.in_step {
            return Err(MediaError::damaged(NAME, "no keyframe before it"));
        }
        let result = self.decode_checked(data, at);
        self.in_step = result.is_ok();
        result
    }
}
