//! A V4L2 camera with memory-mapped buffers (kernel documentation, "Video for Linux API"). It changes format and rate of the device it
//! was given and touches no other.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::{LONGEST_WAIT, VideoSource};
use super::pixels::{PixelFormat, Unpacker};
use crate::clock;
use crate::codec::check_size;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::MediaError;
use crate::picture::Picture;

mod abi;

pub(super) use abi::Format;
use abi::Mapping;

/// Pictures that the driver may fill ahead of us.
const BUFFERS: u32 = 4;
/// Sizes that are asked for, the best first.
const SIZES: [(u32, u32); 3] = [(1280, 720), (960, 540), (640, 480)];
/// A format that is slower than this at a size loses to a smaller size, in pictures a second.
const SMOOTH_FPS: u32 = 24;
/// The rate that is asked for.
const WANTED_FPS: u32 = 30;
/// A camera that gives nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// Devices that are looked at: `/dev/video0` and on.
const MAX_DEVICES: u32 = 64;

/// A camera that streams. Dropping it switches it off.
pub(super) struct V4l2Source {
    // Fields drop in this order: streaming ends before the memory goes.
    stream: Stream,
    buffers: Vec<Mapping>,
    unpacker: Unpacker,
    label: String,
    last_picture: Instant,
}

struct Stream {
    device: OwnedFd,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A camera that was unplugged cannot be switched off, and need not be.
        let _ = abi::stream_off(&self.device);
    }
}

impl V4l2Source {
    pub(super) fn open(path: &Path) -> Result<Self, MediaError> {
        let name = path.display().to_string();
        let unusable = |what: &str, error: Errno| MediaError::unavailable(&name, format_args!("{what}: {}", explain(error)));
        let device = open_device(path).map_err(|error| unusable("opening it", error))?;
        let capability = abi::query_capability(&device).map_err(|error| unusable("not a video device", error))?;
        if !capability.captures_by_streaming() {
            return Err(MediaError::unavailable(name, "it is not a single-plane capture device"));
        }
        let format = choose(&device).ok_or_else(|| MediaError::unavailable(&name, "none of NV12, YUYV and MJPEG is offered"))?;
        let format = abi::set_format(&device, format).map_err(|error| unusable("setting its format", error))?;
        let pixels = PixelFormat::of(format.fourcc)
            .ok_or_else(|| MediaError::unavailable(&name, "it changed to a format that is not taken"))?;
        check_size(format.width, format.height)?;
        // A camera that cannot change its rate keeps it.
        let _ = abi::set_rate(&device, WANTED_FPS);

        let count = abi::request_buffers(&device, BUFFERS).map_err(|error| unusable("asking for buffers", error))?;
        let mut buffers = Vec::new();
        for index in 0..count.min(BUFFERS) {
            let mapping = abi::map_buffer(&device, index).map_err(|error| unusable("mapping its memory", error))?;
            abi::queue(&device, index).map_err(|error| unusable("handing it a buffer", error))?;
            buffers.push(mapping);
        }
        if buffers.is_empty() {
            return Err(MediaError::unavailable(name, "it gave no buffers"));
        }
        abi::stream_on(&device).map_err(|error| unusable("switching it on", error))?;
        let unpacker = Unpacker::new(pixels, format);
        Ok(Self { stream: Stream { device }, buffers, unpacker, label: capability.card(), last_picture: Instant::now() })
    }

    fn gone(&self, reason: impl std::fmt::Display) -> MediaError {
        MediaError::gone(&self.label, reason)
    }
}

impl VideoSource for V4l2Source {
    fn next(&mut self) -> Result<Option<Picture>, MediaError> {
        let device = &self.stream.device;
        let mut fds = [PollFd::new(device, PollFlags::IN)];
        let wait = Timespec { tv_sec: 0, tv_nsec: LONGEST_WAIT.subsec_nanos().into() };
        match poll(&mut fds, Some(&wait)) {
            Ok(0) | Err(Errno::INTR) if self.last_picture.elapsed() > SILENCE => return Err(self.gone("no picture for 5 s")),
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(self.gone(explain(error))),
        }
        let filled = match abi::dequeue(device) {
            Ok(filled) => filled,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(self.gone(explain(error))),
        };
        let picture = self
            .buffers
            .get(filled.index as usize)
            .and_then(|mapping| mapping.bytes(filled.length as usize))
            // What a camera garbles is left out; the next one comes soon.
            .filter(|_| !filled.damaged)
            .and_then(|bytes| self.unpacker.unpack(bytes, clock::now()));
        abi::queue(device, filled.index).map_err(|error| self.gone(explain(error)))?;
        if picture.is_some() {
            self.last_picture = Instant::now();
        }
        Ok(picture)
    }

    fn describe(&self) -> String {
        self.label.clone()
    }
}

/// The cameras that are plugged in.
pub(super) fn list() -> Vec<DeviceInfo> {
    (0..MAX_DEVICES)
        .map(|number| PathBuf::from(format!("/dev/video{number}")))
        .filter(|path| path.exists())
        .filter_map(|path| info(&path))
        .collect()
}

fn info(path: &Path) -> Option<DeviceInfo> {
    let spec = format!("v4l2:{}", path.display());
    let device = match open_device(path) {
        Ok(device) => device,
        Err(error) => {
            let unknown = DeviceInfo::new(DeviceKind::Camera, spec, path.display().to_string());
            return Some(DeviceInfo { unavailable: Some(explain(error)), ..unknown });
        }
    };
    let capability = abi::query_capability(&device).ok()?;
    if !capability.captures_by_streaming() {
        // Many cameras have a second device for metadata; nobody can choose that.
        return None;
    }
    let unavailable = choose(&device).is_none().then(|| "none of NV12, YUYV and MJPEG is offered".to_owned());
    Some(DeviceInfo { unavailable, ..DeviceInfo::new(DeviceKind::Camera, spec, capability.card()) })
}

fn open_device(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags.cast_signed()).open(path);
    opened.map(OwnedFd::from).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// The largest size that is smooth, in the format that is cheapest to unpack; or else whatever is there.
fn choose(device: &OwnedFd) -> Option<Format> {
    let offered: Vec<PixelFormat> = abi::formats(device).into_iter().filter_map(PixelFormat::of).collect();
    let known = || PixelFormat::BY_COST.into_iter().filter(|pixels| offered.contains(pixels));
    for (width, height) in SIZES {
        for pixels in known() {
            let format = Format { fourcc: pixels.fourcc(), width, height, bytes_per_line: 0 };
            if abi::fastest(device, format) >= Some(SMOOTH_FPS) {
                return Some(format);
            }
        }
    }
    known().next().map(|pixels| Format { fourcc: pixels.fourcc(), width: 640, height: 480, bytes_per_line: 0 })
}

/// The error in words that say what to do, where there is something to do.
fn explain(error: Errno) -> String {
    match error {
        Errno::ACCESS | Errno::PERM => "no permission: the user must be in the group that owns the device, often `video`".into(),
        Errno::BUSY => "another program uses it".into(),
        Errno::NODEV | Errno::NXIO => "it was unplugged".into(),
        other => other.to_string(),
    }
}
