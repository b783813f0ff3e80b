//! Screens. On X11 a whole display, a part of it, or one window, always named by whoever shares it: there is no default. Wayland, macOS
//! and Windows have their place here and say "not yet".

#[cfg(target_os = "linux")]
mod cursor;
#[cfg(target_os = "linux")]
mod shm;
#[cfg(target_os = "linux")]
mod x11;

use super::VideoSource;
use crate::device::{DeviceInfo, DeviceKind, X11Spec};
use crate::error::MediaError;

/// Opens what is shared of an X display.
#[cfg(target_os = "linux")]
pub(crate) fn open(spec: X11Spec) -> Result<Box<dyn VideoSource>, MediaError> {
    Ok(Box::new(x11::X11Source::open(spec)?))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_spec: X11Spec) -> Result<Box<dyn VideoSource>, MediaError> {
    Err(MediaError::Unsupported { what: "sharing the screen".to_owned() })
}

/// What can be shared: screens, then windows, then the test card.
pub(crate) fn list() -> Vec<DeviceInfo> {
    let mut devices = platform();
    devices.push(DeviceInfo::new(DeviceKind::Screen, "test:1280x720@15", "Test card"));
    devices
}

#[cfg(target_os = "linux")]
fn platform() -> Vec<DeviceInfo> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let wayland = set("WAYLAND_DISPLAY").is_some() || set("XDG_SESSION_TYPE").is_some_and(|kind| kind == "wayland");
    let mut devices = Vec::new();
    if wayland {
        let missing = MediaError::Unsupported { what: "sharing a Wayland screen".to_owned() };
        devices.push(unavailable("wayland", "Screen", missing));
    }
    match set("DISPLAY") {
        Some(display) => match x11::list(&display) {
            Ok(found) => devices.extend(found),
            // Under Wayland that is no news.
            Err(_) if wayland => {}
            Err(error) => devices.push(unavailable("x11", "Screen", error)),
        },
        None if wayland => {}
        None => devices.push(unavailable("x11", "Screen", MediaError::unavailable("the screen", "DISPLAY is not set"))),
    }
    devices
}

#[cfg(not(target_os = "linux"))]
fn platform() -> Vec<DeviceInfo> {
    vec![unavailable("screen", "Screen", MediaError::Unsupported { what: "sharing the screen".to_owned() })]
}

fn unavailable(spec: &str, label: &str, reason: MediaError) -> DeviceInfo {
    DeviceInfo { unavailable: Some(reason.to_string()), ..DeviceInfo::new(DeviceKind::Screen, spec, label) }
}
