//! The structures and calls of `linux/videodev2.h` that a camera needs, on machines of 64 bits. Each call checks nothing but what the
//! kernel answers; the order of calls is the business of the caller.

// The kernel's interface is ioctl and mmap. Every structure that crosses it is held to its size and offsets by the tests below.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::ioctl::{self, Opcode, Setter, Updater, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const GROUP: u8 = b'V';
const QUERYCAP: Opcode = opcode::read::<Capability>(GROUP, 0);
const ENUM_FMT: Opcode = opcode::read_write::<FormatDescription>(GROUP, 2);
const S_FMT: Opcode = opcode::read_write::<FormatRequest>(GROUP, 5);
const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(GROUP, 8);
const QUERYBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 9);
const QBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 15);
const DQBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 17);
const STREAMON: Opcode = opcode::write::<c_int>(GROUP, 18);
const STREAMOFF: Opcode = opcode::write::<c_int>(GROUP, 19);
const S_PARM: Opcode = opcode::read_write::<StreamParameters>(GROUP, 22);
const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<FrameInterval>(GROUP, 75);

const BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
const MEMORY_MMAP: u32 = 1;
const FIELD_NONE: u32 = 1;
const CAP_VIDEO_CAPTURE: u32 = 0x0000_0001;
const CAP_STREAMING: u32 = 0x0400_0000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
const BUF_FLAG_ERROR: u32 = 0x0040;
const FRAMEINTERVAL_DISCRETE: u32 = 1;
/// Formats and intervals that are asked after, at most.
const MAX_ENTRIES: u32 = 64;

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Capability {
    driver: [u8; 16],
    card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

impl Capability {
    /// Gives single-plane pictures through mapped buffers.
    pub(super) fn captures_by_streaming(&self) -> bool {
        let own = if self.capabilities & CAP_DEVICE_CAPS == 0 { self.capabilities } else { self.device_caps };
        own & CAP_VIDEO_CAPTURE != 0 && own & CAP_STREAMING != 0
    }

    /// What the maker calls it.
    pub(super) fn card(&self) -> String {
        let text = self.card.split(|byte| *byte == 0).next().unwrap_or_default();
        let clean: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
        if clean.is_empty() { "Camera".to_owned() } else { clean }
    }
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FormatDescription {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pixelformat: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PixFormat {
    width: u32,
    height: u32,
    pixelformat: u32,
    field: u32,
    bytesperline: u32,
    sizeimage: u32,
    colorspace: u32,
    private: u32,
    flags: u32,
    ycbcr_enc: u32,
    quantization: u32,
    xfer_func: u32,
}

/// `struct v4l2_format`: the union after the type holds pointers in other variants, hence its alignment.
#[repr(C)]
#[derive(Clone, Copy)]
struct FormatRequest {
    kind: u32,
    padding: u32,
    pix: PixFormat,
    rest: [u8; 152],
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

/// `struct v4l2_buffer`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Buffer {
    index: u32,
    kind: u32,
    bytesused: u32,
    flags: u32,
    field: u32,
    padding: u32,
    timestamp: [i64; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    /// A union of eight bytes, of which mapped buffers use the first four.
    offset: u32,
    offset_rest: u32,
    length: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_streamparm` with `struct v4l2_captureparm` in it.
#[repr(C)]
#[derive(Clone, Copy)]
struct StreamParameters {
    kind: u32,
    capability: u32,
    capturemode: u32,
    numerator: u32,
    denominator: u32,
    rest: [u8; 184],
}

/// `struct v4l2_frmivalenum`; the union holds the fastest interval first in each variant.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FrameInterval {
    index: u32,
    pixel_format: u32,
    width: u32,
    height: u32,
    kind: u32,
    numerator: u32,
    denominator: u32,
    rest: [u32; 4],
    reserved: [u32; 2],
}

/// A format, as asked for or as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Format {
    pub(in super::super) fourcc: u32,
    pub(in super::super) width: u32,
    pub(in super::super) height: u32,
    /// Bytes from row to row; 0 where the format has no rows.
    pub(in super::super) bytes_per_line: u32,
}

/// A buffer that the driver has filled.
pub(super) struct Filled {
    pub(super) index: u32,
    pub(super) length: u32,
    pub(super) damaged: bool,
}

pub(super) fn query_capability(device: &OwnedFd) -> Result<Capability, Errno> {
    let mut capability = Capability::default();
    update::<QUERYCAP, _>(device, &mut capability)?;
    Ok(capability)
}

/// The pixel formats that the device offers.
pub(super) fn formats(device: &OwnedFd) -> Vec<u32> {
    (0..MAX_ENTRIES)
        .map_while(|index| {
            let mut entry = FormatDescription { index, kind: BUF_TYPE_VIDEO_CAPTURE, ..FormatDescription::default() };
            update::<ENUM_FMT, _>(device, &mut entry).ok()?;
            Some(entry.pixelformat)
        })
        .collect()
}

/// The highest whole rate at this format and size, in pictures a second; `None` where it is not offered.
pub(super) fn fastest(device: &OwnedFd, format: Format) -> Option<u32> {
    let mut best = None;
    for index in 0..MAX_ENTRIES {
        let mut entry = FrameInterval {
            index,
            pixel_format: format.fourcc,
            width: format.width,
            height: format.height,
            ..FrameInterval::default()
        };
        if update::<ENUM_FRAMEINTERVALS, _>(device, &mut entry).is_err() {
            break;
        }
        best = best.max(entry.denominator.checked_div(entry.numerator));
        if entry.kind != FRAMEINTERVAL_DISCRETE {
            break;
        }
    }
    best
}

/// Sets a format; the driver answers with the one it has set, which may differ.
pub(super) fn set_format(device: &OwnedFd, format: Format) -> Result<Format, Errno> {
    let pix = PixFormat {
        width: format.width,
        height: format.height,
        pixelformat: format.fourcc,
        field: FIELD_NONE,
        ..PixFormat::default()
    };
    let mut request = FormatRequest { kind: BUF_TYPE_VIDEO_CAPTURE, padding: 0, pix, rest: [0; 152] };
    update::<S_FMT, _>(device, &mut request)?;
    let PixFormat { width, height, pixelformat, bytesperline, .. } = request.pix;
    Ok(Format { fourcc: pixelformat, width, height, bytes_per_line: bytesperline })
}

pub(super) fn set_rate(device: &OwnedFd, fps: u32) -> Result<(), Errno> {
    let mut parameters = StreamParameters {
        kind: BUF_TYPE_VIDEO_CAPTURE,
        capability: 0,
        capturemode: 0,
        numerator: 1,
        denominator: fps,
        rest: [0; 184],
    };
    update::<S_PARM, _>(device, &mut parameters)
}

/// How many buffers the driver gives.
pub(super) fn request_buffers(device: &OwnedFd, count: u32) -> Result<u32, Errno> {
    let mut request = RequestBuffers { count, kind: BUF_TYPE_VIDEO_CAPTURE, memory: MEMORY_MMAP, ..RequestBuffers::default() };
    update::<REQBUFS, _>(device, &mut request)?;
    Ok(request.count)
}

pub(super) fn map_buffer(device: &OwnedFd, index: u32) -> Result<Mapping, Errno> {
    let mut buffer = buffer(index);
    update::<QUERYBUF, _>(device, &mut buffer)?;
    Mapping::new(device, buffer.length as usize, u64::from(buffer.offset))
}

pub(super) fn queue(device: &OwnedFd, index: u32) -> Result<(), Errno> {
    update::<QBUF, _>(device, &mut buffer(index))
}

/// Takes a filled buffer from the driver. `EAGAIN` where there is none.
pub(super) fn dequeue(device: &OwnedFd) -> Result<Filled, Errno> {
    let mut buffer = buffer(0);
    update::<DQBUF, _>(device, &mut buffer)?;
    Ok(Filled { index: buffer.index, length: buffer.bytesused, damaged: buffer.flags & BUF_FLAG_ERROR != 0 })
}

pub(super) fn stream_on(device: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the call reads one int through its pointer.
    unsafe { ioctl::ioctl(device, Setter::<STREAMON, c_int>::new(BUF_TYPE_VIDEO_CAPTURE.cast_signed())) }
}

pub(super) fn stream_off(device: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { ioctl::ioctl(device, Setter::<STREAMOFF, c_int>::new(BUF_TYPE_VIDEO_CAPTURE.cast_signed())) }
}

fn buffer(index: u32) -> Buffer {
    Buffer { index, kind: BUF_TYPE_VIDEO_CAPTURE, memory: MEMORY_MMAP, ..Buffer::default() }
}

fn update<const OPCODE: Opcode, T>(device: &OwnedFd, value: &mut T) -> Result<(), Errno> {
    // SAFETY: each number above is made of the structure it is used with, whose size it carries; the kernel reads and writes that
    // many bytes and keeps no pointer. A device that is not V4L2 refuses the number.
    unsafe { ioctl::ioctl(device, Updater::<OPCODE, T>::new(value)) }
}

/// Memory of the driver, mapped to read.
pub(super) struct Mapping {
    start: *mut c_void,
    length: usize,
}

// SAFETY: the memory belongs to this mapping alone, and reading it does not depend on the thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(device: &OwnedFd, length: usize, offset: u64) -> Result<Self, Errno> {
        // SAFETY: the kernel chooses an address that is free.
        let start = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, device, offset)? };
        Ok(Self { start, length })
    }

    /// What the driver has written. To be looked at only between dequeue and queue, while the buffer is ours.
    pub(super) fn bytes(&self, length: usize) -> Option<&[u8]> {
        if length > self.length {
            return None;
        }
        // SAFETY: the mapping is readable for its whole length and lives as long as `self`; while the buffer is dequeued the driver
        // does not write to it.
        Some(unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), length) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no slice of it outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// As a C compiler gives them for `linux/videodev2.h` on x86-64 and AArch64.
    #[test]
    fn structures_have_the_layout_of_the_kernel() {
        assert_eq!(size_of::<Capability>(), 104);
        assert_eq!(size_of::<FormatDescription>(), 64);
        assert_eq!(size_of::<PixFormat>(), 48);
        assert_eq!((size_of::<FormatRequest>(), offset_of!(FormatRequest, pix)), (208, 8));
        assert_eq!(size_of::<RequestBuffers>(), 20);
        assert_eq!(size_of::<Buffer>(), 88);
        assert_eq!((offset_of!(Buffer, timestamp), offset_of!(Buffer, timecode)), (24, 40));
        assert_eq!((offset_of!(Buffer, sequence), offset_of!(Buffer, memory)), (56, 60));
        assert_eq!((offset_of!(Buffer, offset), offset_of!(Buffer, length)), (64, 72));
        assert_eq!((size_of::<StreamParameters>(), offset_of!(StreamParameters, numerator)), (204, 12));
        assert_eq!((size_of::<FrameInterval>(), offset_of!(FrameInterval, numerator)), (52, 20));
    }

    #[test]
    fn calls_have_the_numbers_of_the_kernel() {
        let numbers =
            [QUERYCAP, ENUM_FMT, S_FMT, REQBUFS, QUERYBUF, QBUF, DQBUF, STREAMON, STREAMOFF, S_PARM, ENUM_FRAMEINTERVALS];
        let expected = [
            0x8068_5600,
            0xc040_5602,
            0xc0d0_5605,
            0xc014_5608,
            0xc058_5609,
            0xc058_560f,
            0xc058_5611,
            0x4004_5612,
            0x4004_5613,
            0xc0cc_5616,
            0xc034_564b,
        ];
        assert_eq!(numbers.map(u64::from), expected);
    }

    #[test]
    fn name_of_a_device_is_cut_at_its_end() {
        let mut capability = Capability::default();
        assert_eq!(capability.card(), "Camera");
        for (to, from) in capability.card.iter_mut().zip(b"Webcam\x07 C2\0junk") {
            *to = *from;
        }
        assert_eq!(capability.card(), "Webcam C2");
    }

    #[test]
    fn node_for_metadata_is_no_camera() {
        let capability = |capabilities, device_caps| Capability { capabilities, device_caps, ..Capability::default() };
        assert!(capability(CAP_STREAMING | CAP_VIDEO_CAPTURE, 0).captures_by_streaming());
        assert!(!capability(CAP_DEVICE_CAPS | CAP_STREAMING | CAP_VIDEO_CAPTURE, CAP_STREAMING).captures_by_streaming());
    }
}
