//! The calls of `native/vp9.c`, each wrapped once. Whatever comes back from libvpx is turned into slices of checked length here, and no
//! pointer leaves this module.

// libvpx is a C library; its bridge is in native/vp9.c, and these declarations repeat the structures there field for field.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::{PhantomData, PhantomPinned};
use std::ptr::NonNull;

use super::NAME;
use crate::error::MediaError;
use crate::picture::Picture;

/// What an encoder is made for.
#[repr(C)]
pub(super) struct Settings {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bitrate_kbps: u32,
    pub(super) threads: u32,
    pub(super) screen: u32,
}

#[repr(C)]
struct RawFrame {
    data: *const u8,
    length: usize,
    keyframe: u32,
}

#[repr(C)]
struct RawImage {
    planes: [*const u8; 3],
    strides: [u32; 3],
    width: u32,
    height: u32,
    is_i420: u32,
}

#[repr(C)]
struct RawEncoder {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
struct RawDecoder {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

unsafe extern "C" {
    fn conclave_vp9_message(status: i32) -> *const c_char;
    fn conclave_vp9_encoder_new(settings: *const Settings, out: *mut *mut RawEncoder) -> i32;
    fn conclave_vp9_encoder_set_bitrate(encoder: *mut RawEncoder, bitrate_kbps: u32) -> i32;
    fn conclave_vp9_encoder_encode(
        encoder: *mut RawEncoder,
        planes: *const *const u8,
        strides: *const u32,
        pts_ms: i64,
        duration_ms: u32,
        force_keyframe: u32,
        frame: *mut RawFrame,
    ) -> i32;
    fn conclave_vp9_encoder_free(encoder: *mut RawEncoder);
    fn conclave_vp9_decoder_new(out: *mut *mut RawDecoder) -> i32;
    fn conclave_vp9_decoder_decode(decoder: *mut RawDecoder, data: *const u8, length: u32, image: *mut RawImage) -> i32;
    fn conclave_vp9_decoder_free(decoder: *mut RawDecoder);
}

fn check(status: i32) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: libvpx has a constant string for every status, known or not.
    let message = unsafe { CStr::from_ptr(conclave_vp9_message(status)) };
    Err(message.to_string_lossy().into_owned())
}

/// An encoder of libvpx for one size of picture.
pub(super) struct Encoder {
    raw: NonNull<RawEncoder>,
    size: (u32, u32),
}

// SAFETY: libvpx may be used from any thread as long as it is from one at a time, which `&mut self` ensures.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(settings: &Settings) -> Result<Self, MediaError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: both pointers are valid during the call.
        check(unsafe { conclave_vp9_encoder_new(settings, &raw mut raw) }).map_err(|reason| MediaError::codec(NAME, reason))?;
        let raw = NonNull::new(raw).ok_or_else(|| MediaError::codec(NAME, "no encoder"))?;
        Ok(Self { raw, size: (settings.width, settings.height) })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    pub(super) fn set_bitrate(&mut self, bitrate_kbps: u32) -> Result<(), MediaError> {
        // SAFETY: the encoder lives.
        check(unsafe { conclave_vp9_encoder_set_bitrate(self.raw.as_ptr(), bitrate_kbps) })
            .map_err(|reason| MediaError::codec(NAME, reason))
    }

    /// The coded bytes and whether they are a keyframe; `None` where the rate control left the picture out. The picture must have
    /// the size that the encoder was made for.
    pub(super) fn encode(
        &mut self,
        picture: &Picture,
        pts_ms: i64,
        duration_ms: u32,
        force_keyframe: bool,
    ) -> Result<Option<(&[u8], bool)>, MediaError> {
        let (width, height) = (picture.width(), picture.height());
        if (width, height) != self.size {
            return Err(MediaError::PictureSize { width, height });
        }
        let planes = [picture.y().as_ptr(), picture.u().as_ptr(), picture.v().as_ptr()];
        let strides = [width, picture.chroma_width(), picture.chroma_width()];
        let mut frame = RawFrame { data: std::ptr::null(), length: 0, keyframe: 0 };
        // SAFETY: the encoder lives; a `Picture` holds whole planes of its size, which is the encoder's; all are read during the
        // call only.
        let status = unsafe {
            conclave_vp9_encoder_encode(
                self.raw.as_ptr(),
                planes.as_ptr(),
                strides.as_ptr(),
                pts_ms,
                duration_ms,
                force_keyframe.into(),
                &raw mut frame,
            )
        };
        check(status).map_err(|reason| MediaError::codec(NAME, reason))?;
        if frame.data.is_null() || frame.length == 0 {
            return Ok(None);
        }
        // SAFETY: the bytes stay valid until the next call with this encoder, and the slice borrows it until then.
        let data = unsafe { std::slice::from_raw_parts(frame.data, frame.length) };
        Ok(Some((data, frame.keyframe != 0)))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: it was made by `conclave_vp9_encoder_new` and is freed once.
        unsafe { conclave_vp9_encoder_free(self.raw.as_ptr()) };
    }
}

/// A decoder of libvpx.
pub(super) struct Decoder {
    raw: NonNull<RawDecoder>,
}

// SAFETY: as for the encoder.
unsafe impl Send for Decoder {}

/// A decoded image in the memory of the decoder: 4:2:0 with 8 bits.
pub(super) struct Image<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Y, U and V, each with the bytes from row to row.
    pub(super) planes: [(&'a [u8], usize); 3],
}

impl Decoder {
    pub(super) fn new() -> Result<Self, MediaError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the pointer is valid during the call.
        check(unsafe { conclave_vp9_decoder_new(&raw mut raw) }).map_err(|reason| MediaError::codec(NAME, reason))?;
        let raw = NonNull::new(raw).ok_or_else(|| MediaError::codec(NAME, "no decoder"))?;
        Ok(Self { raw })
    }

    /// `None` where the frame shows no picture.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Option<Image<'_>>, MediaError> {
        let length = u32::try_from(data.len()).unwrap_or(0);
        if length == 0 {
            return Err(MediaError::damaged(NAME, "a frame of no length"));
        }
        let mut image = RawImage { planes: [std::ptr::null(); 3], strides: [0; 3], width: 0, height: 0, is_i420: 0 };
        // SAFETY: the decoder lives; the data is read during the call only, for it has no frame threads.
        let status = unsafe { conclave_vp9_decoder_decode(self.raw.as_ptr(), data.as_ptr(), length, &raw mut image) };
        check(status).map_err(|reason| MediaError::damaged(NAME, reason))?;
        let (width, height) = (image.width, image.height);
        if width == 0 || height == 0 {
            return Ok(None);
        }
        if image.is_i420 == 0 {
            return Err(MediaError::damaged(NAME, "not 4:2:0 with 8 bits"));
        }
        let chroma = (width.div_ceil(2), height.div_ceil(2));
        let mut planes = [(&[][..], 0); 3];
        let raw = image.planes.into_iter().zip(image.strides).zip([(width, height), chroma, chroma]);
        for (plane, ((start, stride), (width, height))) in planes.iter_mut().zip(raw) {
            if start.is_null() || stride < width {
                return Err(MediaError::damaged(NAME, "planes narrower than the picture"));
            }
            let length = stride as usize * (height as usize - 1) + width as usize;
            // SAFETY: an image of libvpx has `height` rows of `stride` bytes, the last at least `width` long; it stays valid until
            // the next call with this decoder, and the slice borrows it until then.
            *plane = (unsafe { std::slice::from_raw_parts(start, length) }, stride as usize);
        }
        Ok(Some(Image { width, height, planes }))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it was made by `conclave_vp9_decoder_new` and is freed once.
        unsafe { conclave_vp9_decoder_free(self.raw.as_ptr()) };
    }
}
