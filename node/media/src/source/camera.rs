//! Cameras. On Linux those that V4L2 gives as single-plane capture devices, with NV12, YUYV or MJPEG pictures; macOS and Windows have
//! their place here and say "not yet". A camera is opened only when it was asked for by name.
//!
//! Unverified on a real camera: the machine this was written on has none. The structures and numbers of the kernel's interface are
//! held by tests.

#[cfg(target_os = "linux")]
mod pixels;
#[cfg(target_os = "linux")]
mod v4l2;

use std::path::Path;

use super::VideoSource;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::MediaError;

/// Opens a camera of V4L2 by the path of its device.
#[cfg(target_os = "linux")]
pub(crate) fn open(path: &Path) -> Result<Box<dyn VideoSource>, MediaError> {
    Ok(Box::new(v4l2::V4l2Source::open(path)?))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_path: &Path) -> Result<Box<dyn VideoSource>, MediaError> {
    Err(MediaError::Unsupported { what: "a camera".to_owned() })
}

/// The cameras of this machine, and the test card.
pub(crate) fn list() -> Vec<DeviceInfo> {
    let mut devices = platform();
    devices.push(DeviceInfo::new(DeviceKind::Camera, "test:1280x720@30", "Test card"));
    devices
}

#[cfg(target_os = "linux")]
fn platform() -> Vec<DeviceInfo> {
    v4l2::list()
}

#[cfg(not(target_os = "linux"))]
fn platform() -> Vec<DeviceInfo> {
    let missing = MediaError::Unsupported { what: "a camera".to_owned() };
    let camera = DeviceInfo::new(DeviceKind::Camera, "camera", "Camera");
    vec![DeviceInfo { unavailable: Some(missing.to_string()), ..camera }]
}
