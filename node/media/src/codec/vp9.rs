//! VP9 by libvpx, tuned for screens in real time: no look-ahead, keyframes only on request. What a peer sends reaches the library
//! only after its header was read here, so that no picture beyond the limits is ever allocated.

// libvpx is a C library without a safe wrapper; every call of it is in this module and says why it is sound.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use vpx_sys::*;

use super::{
    EncodedFrame, EncoderSettings, MAX_FRAME_BYTES, VideoCodec, VideoContent, VideoDecoder, VideoEncoder, check_encodable,
    check_size, copy_plane,
};
use crate::error::MediaError;
use crate::picture::{Picture, PictureBuf};

mod header;

const NAME: &str = "VP9";

/// Bitrates that the encoder is asked for, in bits per second.
const BITRATES: std::ops::RangeInclusive<u32> = 30_000..=50_000_000;

/// Speed over quality, 0 to 9: measured to encode a scrolling page of 1080p well within a frame.
const CPU_USED: c_int = 8;

/// Time stamps are in milliseconds.
const TIMEBASE: vpx_rational = vpx_rational { num: 1, den: 1000 };

/// A codec context of libvpx. Boxed, because the library keeps pointers into its own allocations only, yet hands the context's
/// address around during calls; freed on drop.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: a context may be used from any thread as long as it is from one at a time, which `&mut self` everywhere ensures.
unsafe impl Send for Context {}

impl Context {
    fn zeroed() -> Box<vpx_codec_ctx_t> {
        // SAFETY: every field is a pointer, an integer, or an enum whose zero is its first variant (`VPX_CODEC_OK`).
        Box::new(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    fn check(&mut self, status: vpx_codec_err_t) -> Result<(), MediaError> {
        if status == vpx_codec_err_t::VPX_CODEC_OK {
            return Ok(());
        }
        Err(MediaError::codec(NAME, describe(status)))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised, for a `Context` is made only after that succeeded, and is destroyed once.
        unsafe { vpx_codec_destroy(&raw mut *self.0) };
    }
}

fn describe(status: vpx_codec_err_t) -> String {
    // SAFETY: the function returns a constant string for every status.
    let text = unsafe { CStr::from_ptr(vpx_codec_err_to_string(status)) };
    text.to_string_lossy().into_owned()
}

/// The encoder. It makes its context anew for each size of picture.
pub struct Vp9Encoder {
    settings: EncoderSettings,
    inner: Option<Inner>,
}

struct Inner {
    context: Context,
    config: vpx_codec_enc_cfg_t,
    size: (u32, u32),
    last_pts: i64,
}

// SAFETY: as for the context; the pointers in the configuration belong to two-pass coding and stay null.
unsafe impl Send for Inner {}

impl Vp9Encoder {
    /// Nothing is allocated before the first picture.
    pub fn new(settings: EncoderSettings) -> Self {
        let mut encoder = Self { settings, inner: None };
        encoder.set_bitrate(settings.bitrate_bps);
        encoder
    }
}

impl VideoEncoder for Vp9Encoder {
    fn encode(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Option<EncodedFrame>, MediaError> {
        let size = (picture.width(), picture.height());
        check_encodable(size.0, size.1)?;
        if self.inner.as_ref().is_some_and(|inner| inner.size != size) {
            self.inner = None;
        }
        let inner = match &mut self.inner {
            Some(inner) => inner,
            empty => empty.insert(Inner::new(size, self.settings)?),
        };
        inner.apply_bitrate(self.settings.bitrate_bps)?;
        inner.encode(picture, force_keyframe, self.settings.fps)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.settings.bitrate_bps = bitrate_bps.clamp(*BITRATES.start(), *BITRATES.end());
    }
}

impl Inner {
    fn new(size: (u32, u32), settings: EncoderSettings) -> Result<Self, MediaError> {
        let config = configuration(size, settings)?;
        let mut raw = Context::zeroed();
        // SAFETY: context and configuration are initialised and outlive the call; the interface is libvpx's own constant.
        let status = unsafe {
            vpx_codec_enc_init_ver(&raw mut *raw, vpx_codec_vp9_cx(), &raw const config, 0, VPX_ENCODER_ABI_VERSION as c_int)
        };
        if status != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(MediaError::codec(NAME, describe(status)));
        }
        let mut inner = Self { context: Context(raw), config, size, last_pts: -1 };
        let (tune, aq) = match settings.content {
            VideoContent::Screen => (vp9e_tune_content::VP9E_CONTENT_SCREEN, 0),
            VideoContent::Camera => (vp9e_tune_content::VP9E_CONTENT_DEFAULT, 3),
        };
        let controls = [
            (vp8e_enc_control_id::VP8E_SET_CPUUSED, CPU_USED),
            (vp8e_enc_control_id::VP8E_SET_STATIC_THRESHOLD, 1),
            // A keyframe may take this much of the bits of an average frame, in percent: at 15 fps about a fifth of a second.
            (vp8e_enc_control_id::VP8E_SET_MAX_INTRA_BITRATE_PCT, 900),
            (vp8e_enc_control_id::VP9E_SET_TUNE_CONTENT, tune as c_int),
            (vp8e_enc_control_id::VP9E_SET_AQ_MODE, aq),
            (vp8e_enc_control_id::VP9E_SET_ROW_MT, 1),
            (vp8e_enc_control_id::VP9E_SET_TILE_COLUMNS, 1),
            (vp8e_enc_control_id::VP9E_SET_FRAME_PARALLEL_DECODING, 0),
            (vp8e_enc_control_id::VP9E_SET_GF_CBR_BOOST_PCT, 0),
            (vp8e_enc_control_id::VP9E_SET_NOISE_SENSITIVITY, 0),
        ];
        for (control, value) in controls {
            // SAFETY: each of these controls takes one int by value.
            let status = unsafe { vpx_codec_control_(&raw mut *inner.context.0, control as c_int, value) };
            inner.context.check(status)?;
        }
        Ok(inner)
    }

    fn apply_bitrate(&mut self, bitrate_bps: u32) -> Result<(), MediaError> {
        let kbps = bitrate_bps.div_ceil(1000);
        if self.config.rc_target_bitrate == kbps {
            return Ok(());
        }
        self.config.rc_target_bitrate = kbps;
        // SAFETY: context and configuration are initialised; the library copies the configuration.
        let status = unsafe { vpx_codec_enc_config_set(&raw mut *self.context.0, &raw const self.config) };
        self.context.check(status)
    }

    fn encode(&mut self, picture: &Picture, force_keyframe: bool, fps: u32) -> Result<Option<EncodedFrame>, MediaError> {
        let frame_ms = i64::from(1000 / fps.clamp(1, 60));
        let at_ms = i64::try_from(picture.at.as_millis()).unwrap_or(i64::MAX / 2);
        // Stamps must rise; a source that was replaced may begin earlier.
        let pts = at_ms.max(self.last_pts + 1);
        let duration = if self.last_pts < 0 { frame_ms } else { (pts - self.last_pts).clamp(1, 1000) };
        self.last_pts = pts;

        let image = image_of(picture)?;
        let flags = if force_keyframe { i64::from(VPX_EFLAG_FORCE_KF) } else { 0 };
        // SAFETY: the image points into `picture`, which outlives the call; without look-ahead the library copies what it keeps.
        let status = unsafe {
            vpx_codec_encode(&raw mut *self.context.0, &raw const image, pts, duration as _, flags as _, VPX_DL_REALTIME as _)
        };
        self.context.check(status)?;
        Ok(self.take_frame(picture.at))
    }

    fn take_frame(&mut self, at: Duration) -> Option<EncodedFrame> {
        let mut iter: vpx_codec_iter_t = std::ptr::null();
        let mut coded = None;
        loop {
            // SAFETY: the context is initialised; packets stay valid until the next call of encode.
            let packet = unsafe { vpx_codec_get_cx_data(&raw mut *self.context.0, &raw mut iter) };
            if packet.is_null() {
                return coded;
            }
            // SAFETY: a packet of the kind FRAME holds the `frame` member of the union, whose buffer is `sz` bytes long.
            unsafe {
                if (*packet).kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                    continue;
                }
                let frame = (*packet).data.frame;
                if frame.buf.is_null() || frame.sz == 0 {
                    continue;
                }
                let data = Bytes::copy_from_slice(std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize));
                let keyframe = frame.flags & VPX_FRAME_IS_KEY != 0;
                coded = Some(EncodedFrame { data, codec: VideoCodec::Vp9, keyframe, at });
            }
        }
    }
}

fn configuration(size: (u32, u32), settings: EncoderSettings) -> Result<vpx_codec_enc_cfg_t, MediaError> {
    let mut config = MaybeUninit::<vpx_codec_enc_cfg_t>::uninit();
    // SAFETY: on success the function has written the whole structure.
    let mut config = unsafe {
        let status = vpx_codec_enc_config_default(vpx_codec_vp9_cx(), config.as_mut_ptr(), 0);
        if status != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(MediaError::codec(NAME, describe(status)));
        }
        config.assume_init()
    };
    config.g_w = size.0;
    config.g_h = size.1;
    config.g_profile = 0;
    config.g_timebase = TIMEBASE;
    config.g_threads = if size.0 * size.1 > 640 * 480 { 2 } else { 1 };
    config.g_error_resilient = 0;
    config.g_pass = vpx_enc_pass::VPX_RC_ONE_PASS;
    config.g_lag_in_frames = 0;
    config.rc_end_usage = vpx_rc_mode::VPX_CBR;
    config.rc_target_bitrate = settings.bitrate_bps.div_ceil(1000);
    config.rc_min_quantizer = 4;
    config.rc_max_quantizer = 52;
    config.rc_undershoot_pct = 50;
    config.rc_overshoot_pct = 50;
    // Milliseconds of the bitrate.
    config.rc_buf_initial_sz = 500;
    config.rc_buf_optimal_sz = 600;
    config.rc_buf_sz = 1000;
    config.rc_dropframe_thresh = 30;
    config.rc_resize_allowed = 0;
    config.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
    Ok(config)
}

/// Describes the planes of a picture to libvpx; nothing is copied.
fn image_of(picture: &Picture) -> Result<vpx_image_t, MediaError> {
    let mut image = MaybeUninit::<vpx_image_t>::uninit();
    // SAFETY: the function fills the structure; the address is only stored. It is replaced below and never written through, for
    // the encoder takes its image as const.
    let mut image = unsafe {
        let wrapped = vpx_img_wrap(
            image.as_mut_ptr(),
            vpx_img_fmt::VPX_IMG_FMT_I420,
            picture.width(),
            picture.height(),
            1,
            picture.y().as_ptr().cast_mut(),
        );
        if wrapped.is_null() {
            return Err(MediaError::PictureSize { width: picture.width(), height: picture.height() });
        }
        image.assume_init()
    };
    let chroma = picture.chroma_width() as c_int;
    image.planes =
        [picture.y().as_ptr().cast_mut(), picture.u().as_ptr().cast_mut(), picture.v().as_ptr().cast_mut(), std::ptr::null_mut()];
    image.stride = [picture.width() as c_int, chroma, chroma, 0];
    Ok(image)
}

/// The decoder.
pub struct Vp9Decoder {
    context: Context,
    /// A keyframe has been decoded since the beginning or the last error.
    in_step: bool,
    /// The frame with the index behind it, reused.
    framed: Vec<u8>,
}

impl Vp9Decoder {
    /// Fails only where the library cannot be set up.
    pub fn new() -> Result<Self, MediaError> {
        let mut raw = Context::zeroed();
        let config = vpx_codec_dec_cfg_t { threads: 1, w: 0, h: 0 };
        // SAFETY: context and configuration are initialised and outlive the call.
        let status = unsafe {
            vpx_codec_dec_init_ver(&raw mut *raw, vpx_codec_vp9_dx(), &raw const config, 0, VPX_DECODER_ABI_VERSION as c_int)
        };
        if status != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(MediaError::codec(NAME, describe(status)));
        }
        Ok(Self { context: Context(raw), in_step: false, framed: Vec::new() })
    }

    fn decode_checked(&mut self, data: &[u8], at: Duration) -> Result<Option<Picture>, MediaError> {
        self.frame_alone(data);
        // SAFETY: the buffer is valid for its length during the call and not kept; without frame threads decoding ends in the call.
        let status = unsafe {
            vpx_codec_decode(&raw mut *self.context.0, self.framed.as_ptr(), self.framed.len() as _, std::ptr::null_mut(), 0)
        };
        if status != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(MediaError::damaged(NAME, describe(status)));
        }
        let mut iter: vpx_codec_iter_t = std::ptr::null();
        // SAFETY: the context is initialised; the image stays valid until the next call of decode.
        let image = unsafe { vpx_codec_get_frame(&raw mut *self.context.0, &raw mut iter) };
        if image.is_null() {
            return Ok(None);
        }
        // SAFETY: the image was just given by the library and nothing else uses it.
        unsafe { picture_of(image, at) }.map(Some)
    }

    /// Puts a superframe index of exactly one frame behind the data (Annex B of the specification). Without one, libvpx takes what
    /// follows the first frame for further frames, whose headers nobody would have checked.
    fn frame_alone(&mut self, data: &[u8]) {
        // One frame, its size in four bytes.
        const MARKER: u8 = 0b110_11_000;
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

/// Copies a decoded image.
///
/// # Safety
/// `image` must come from `vpx_codec_get_frame` with no decoder call since.
unsafe fn picture_of(image: *const vpx_image_t, at: Duration) -> Result<Picture, MediaError> {
    // SAFETY: the caller vouches for the image. The format is read as a number, for a library newer than the bindings may know
    // more formats than the enum does.
    let (format, width, height, planes, strides) = unsafe {
        let format = (&raw const (*image).fmt).cast::<u32>().read();
        (format, (*image).d_w, (*image).d_h, (*image).planes, (*image).stride)
    };
    if format != vpx_img_fmt::VPX_IMG_FMT_I420 as u32 {
        return Err(MediaError::damaged(NAME, "not 4:2:0 with 8 bits"));
    }
    check_size(width, height)?;
    let mut picture = PictureBuf::new(width, height).ok_or(MediaError::PictureSize { width, height })?;
    let (chroma_width, chroma_height) = (picture.chroma_width(), height.div_ceil(2));
    let targets = picture.planes_mut();
    let sizes = [(width, height), (chroma_width, chroma_height), (chroma_width, chroma_height)];
    for (((target, (width, height)), plane), stride) in
        [targets.y, targets.u, targets.v].into_iter().zip(sizes).zip(planes).zip(strides)
    {
        let stride = usize::try_from(stride).unwrap_or(0);
        if plane.is_null() || stride < width as usize {
            return Err(MediaError::damaged(NAME, "planes narrower than the picture"));
        }
        let length = stride * (height as usize - 1) + width as usize;
        // SAFETY: an image of libvpx has `height` rows of `stride` bytes, of which the last is at least `width` long.
        let source = unsafe { std::slice::from_raw_parts(plane, length) };
        copy_plane(target, width as usize, source, stride)
            .ok_or_else(|| MediaError::damaged(NAME, "planes shorter than the picture"))?;
    }
    Ok(picture.finish(at))
}
