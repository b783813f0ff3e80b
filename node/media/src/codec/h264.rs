//! H.264 by openh264: constrained baseline, one slice, keyframes only on request. What a peer sends reaches the library only after
//! its parameter sets were read here, so that no picture beyond the limits is ever allocated.

// The bitrate of a running encoder can only be changed through the raw C interface of openh264.
#![allow(unsafe_code)]

use std::time::Duration;

use bytes::Bytes;
use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig};
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, RateControlMode, UsageType,
};
use openh264::formats::YUVSource;
use openh264_sys2::{ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE, SBitrateInfo, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL};

use super::{
    EncodedFrame, EncoderSettings, MAX_FRAME_BYTES, VideoCodec, VideoContent, VideoDecoder, VideoEncoder, check_encodable,
    check_size, copy_plane,
};
use crate::error::MediaError;
use crate::picture::{Picture, PictureBuf};

mod sps;

const NAME: &str = "H.264";

/// Bitrates that the encoder is asked for, in bits per second.
const BITRATES: std::ops::RangeInclusive<u32> = 30_000..=50_000_000;

/// The encoder. It makes its inner one anew for each size of picture.
pub struct H264Encoder {
    settings: EncoderSettings,
    inner: Option<Inner>,
}

struct Inner {
    encoder: Encoder,
    size: (u32, u32),
    /// What the library was last told.
    bitrate_bps: u32,
}

impl H264Encoder {
    /// Nothing is allocated before the first picture.
    pub fn new(settings: EncoderSettings) -> Self {
        let mut encoder = Self { settings, inner: None };
        encoder.set_bitrate(settings.bitrate_bps);
        encoder
    }

    fn inner(&mut self, size: (u32, u32)) -> Result<&mut Inner, MediaError> {
        if self.inner.as_ref().is_some_and(|inner| inner.size != size) {
            self.inner = None;
        }
        match &mut self.inner {
            Some(inner) => Ok(inner),
            empty => Ok(empty.insert(Inner::new(size, self.settings)?)),
        }
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Option<EncodedFrame>, MediaError> {
        check_encodable(picture.width(), picture.height())?;
        let bitrate_bps = self.settings.bitrate_bps;
        let inner = self.inner((picture.width(), picture.height()))?;
        inner.encode(picture, force_keyframe, bitrate_bps)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.settings.bitrate_bps = bitrate_bps.clamp(*BITRATES.start(), *BITRATES.end());
    }
}

impl Inner {
    fn new(size: (u32, u32), settings: EncoderSettings) -> Result<Self, MediaError> {
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(settings.bitrate_bps))
            .max_frame_rate(FrameRate::from_hz(settings.fps.clamp(1, 60) as f32))
            .usage_type(match settings.content {
                VideoContent::Camera => UsageType::CameraVideoRealTime,
                VideoContent::Screen => UsageType::ScreenContentRealTime,
            })
            .profile(Profile::Baseline)
            .complexity(Complexity::Low)
            .rate_control_mode(RateControlMode::Bitrate)
            .skip_frames(true)
            .scene_change_detect(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(0))
            .num_threads(1);
        let encoder =
            Encoder::with_api_config(OpenH264API::from_source(), config).map_err(|error| MediaError::codec(NAME, error))?;
        Ok(Self { encoder, size, bitrate_bps: settings.bitrate_bps })
    }

    fn encode(&mut self, picture: &Picture, force_keyframe: bool, bitrate_bps: u32) -> Result<Option<EncodedFrame>, MediaError> {
        if self.bitrate_bps != bitrate_bps {
            self.apply_bitrate(bitrate_bps)?;
        }
        if force_keyframe {
            self.encoder.force_intra_frame();
        }
        let at_ms = u64::try_from(picture.at.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64);
        let coded = self
            .encoder
            .encode_at(&Planes(picture), openh264::Timestamp::from_millis(at_ms))
            .map_err(|error| MediaError::codec(NAME, error))?;
        let keyframe = match coded.frame_type() {
            FrameType::IDR | FrameType::I => true,
            FrameType::P | FrameType::IPMixed => false,
            FrameType::Skip => return Ok(None),
            FrameType::Invalid => return Err(MediaError::codec(NAME, "the encoder gave no frame")),
        };
        let data = Bytes::from(coded.to_vec());
        if data.is_empty() {
            return Ok(None);
        }
        Ok(Some(EncodedFrame { data, codec: VideoCodec::H264, keyframe, at: picture.at }))
    }

    /// The library refuses a target above its maximum, hence the order.
    fn apply_bitrate(&mut self, bitrate_bps: u32) -> Result<(), MediaError> {
        let target = i32::try_from(bitrate_bps).unwrap_or(i32::MAX);
        // Equal to the target, the maximum would hold the rate well below it.
        let maximum = target.saturating_add(target / 4);
        let options = if bitrate_bps > self.bitrate_bps {
            [(ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, maximum), (ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, target)]
        } else {
            [(ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, target), (ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, maximum)]
        };
        for (option, layer, bps) in options {
            let mut info = SBitrateInfo { iLayer: layer, iBitrate: bps };
            // SAFETY: both options read one `SBitrateInfo` through the pointer during the call and keep nothing of it. Bitrates are
            // not among what the wrapper relies on.
            let status = unsafe { self.encoder.raw_api().set_option(option, (&raw mut info).cast()) };
            if status != 0 {
                return Err(MediaError::codec(NAME, format_args!("bitrate {bps} refused with {status}")));
            }
        }
        self.bitrate_bps = bitrate_bps;
        Ok(())
    }
}

/// The decoder.
pub struct H264Decoder {
    decoder: Decoder,
}

impl H264Decoder {
    /// Fails only where the library cannot be set up.
    pub fn new() -> Result<Self, MediaError> {
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new())
            .map_err(|error| MediaError::codec(NAME, error))?;
        Ok(Self { decoder })
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, data: &[u8], at: Duration) -> Result<Option<Picture>, MediaError> {
        if data.len() > MAX_FRAME_BYTES {
            return Err(MediaError::damaged(NAME, "a frame beyond 4 MiB"));
        }
        sps::check(data)?;
        let Some(decoded) = self.decoder.decode(data).map_err(|error| MediaError::damaged(NAME, error))? else {
            return Ok(None);
        };
        let (width, height) = decoded.dimensions_i32();
        let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
        check_size(width, height)?;
        let mut picture = PictureBuf::new(width, height).ok_or(MediaError::PictureSize { width, height })?;
        let chroma_width = picture.chroma_width() as usize;
        let strides = decoded.strides();
        let planes = picture.planes_mut();
        copy_plane(planes.y, width as usize, decoded.y(), strides.0)
            .and_then(|()| copy_plane(planes.u, chroma_width, decoded.u(), strides.1))
            .and_then(|()| copy_plane(planes.v, chroma_width, decoded.v(), strides.2))
            .ok_or_else(|| MediaError::damaged(NAME, "planes shorter than the picture"))?;
        Ok(Some(picture.finish(at)))
    }
}

/// A picture as the library reads it.
struct Planes<'a>(&'a Picture);

impl YUVSource for Planes<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width() as usize, self.0.height() as usize)
    }

    fn strides(&self) -> (usize, usize, usize) {
        let chroma = self.0.chroma_width() as usize;
        (self.0.width() as usize, chroma, chroma)
    }

    fn y(&self) -> &[u8] {
        self.0.y()
    }

    fn u(&self) -> &[u8] {
        self.0.u()
    }

    fn v(&self) -> &[u8] {
        self.0.v()
    }
}
