//! What an X display has to share. It reads names and sizes and no pixels.

use x11rb::connection::Connection;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::Frame;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::MediaError;

/// Windows that are offered, at most.
const MAX_WINDOWS: usize = 64;
/// The longest title that is read, in bytes.
const MAX_TITLE: u32 = 256;

/// What can be shared of a display: all of it, each of its monitors, each window that the window manager lists.
pub(in super::super) fn list(display: &str) -> Result<Vec<DeviceInfo>, MediaError> {
    let unusable = |reason: &dyn std::fmt::Display| MediaError::unavailable(display, reason);
    let (connection, number) = RustConnection::connect(Some(display)).map_err(|error| unusable(&error))?;
    let screen = connection.setup().roots.get(number).ok_or_else(|| unusable(&"it has no such screen"))?;
    let mut devices = Vec::new();
    if !has_extension(&connection, "XWAYLAND") {
        let label = format!("Whole screen, {}×{}", screen.width_in_pixels, screen.height_in_pixels);
        devices.push(DeviceInfo::new(DeviceKind::Screen, format!("x11:{display}"), label));
        let monitors = monitors(&connection, screen.root).unwrap_or_default();
        if monitors.len() > 1 {
            for (number, frame) in (1..).zip(monitors) {
                let Frame { x, y, width, height } = frame;
                let label = format!("Monitor {number}, {width}×{height}");
                devices.push(DeviceInfo::new(DeviceKind::Screen, format!("x11:{display}+{x},{y},{width}x{height}"), label));
            }
        }
    }
    for window in windows(&connection, screen.root).unwrap_or_default().into_iter().take(MAX_WINDOWS) {
        let label = title(&connection, window).unwrap_or_else(|| format!("Window {window:#x}"));
        devices.push(DeviceInfo::new(DeviceKind::Screen, format!("x11:window:{window:#x}"), label));
    }
    Ok(devices)
}

fn monitors(connection: &RustConnection, root: Window) -> Option<Vec<Frame>> {
    let monitors = connection.randr_get_monitors(root, true).ok()?.reply().ok()?.monitors;
    let frame = |monitor: &x11rb::protocol::randr::MonitorInfo| Frame {
        x: monitor.x.into(),
        y: monitor.y.into(),
        width: monitor.width,
        height: monitor.height,
    };
    Some(monitors.iter().map(frame).filter(|frame| frame.x >= 0 && frame.y >= 0).collect())
}

fn windows(connection: &RustConnection, root: Window) -> Option<Vec<Window>> {
    let list = atom(connection, b"_NET_CLIENT_LIST")?;
    let reply = connection.get_property(false, root, list, AtomEnum::WINDOW, 0, 1024).ok()?.reply().ok()?;
    reply.value32().map(Iterator::collect)
}

/// What the window calls itself.
pub(super) fn title(connection: &RustConnection, window: Window) -> Option<String> {
    let read = |property: u32| {
        let cookie = connection.get_property(false, window, property, AtomEnum::ANY, 0, MAX_TITLE / 4).ok()?;
        let bytes = cookie.reply().ok()?.value;
        let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(80).collect();
        (!text.trim().is_empty()).then_some(text)
    };
    atom(connection, b"_NET_WM_NAME").and_then(read).or_else(|| read(AtomEnum::WM_NAME.into()))
}

fn atom(connection: &RustConnection, name: &[u8]) -> Option<u32> {
    let atom = connection.intern_atom(true, name).ok()?.reply().ok()?.atom;
    (atom != 0).then_some(atom)
}

pub(super) fn has_extension(connection: &RustConnection, name: &str) -> bool {
    let reply = connection.query_extension(name.as_bytes()).ok().and_then(|cookie| cookie.reply().ok());
    reply.is_some_and(|reply| reply.present)
}
