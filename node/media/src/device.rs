//! The names of sources and sinks, one grammar for the command line, scripts and the app, and the list to choose from. Naming a
//! device opens nothing.
//!
//! | cameras and screens | |
//! | --- | --- |
//! | `test`, `test:1280x720@30` | the test card |
//! | `file:clip.y4m` | a Y4M file, over and over |
//! | `v4l2:/dev/video0` | a camera of Linux |
//! | `x11::0`, `x11:HOST:0.1` | the whole of an X display |
//! | `x11::0+X,Y,WxH` | a part of it, in pixels |
//! | `x11:window:0x1234` | one window of the display that `DISPLAY` names |
//! | `wayland` | known, and refused as not yet supported |
//!
//! Those of microphones and speakers are in [`crate::audio::spec`].

use std::path::PathBuf;

use crate::audio::spec::list_audio_devices;
pub use crate::audio::spec::{AudioSinkSpec, AudioSourceSpec, open_audio_sink, open_audio_source};
use crate::codec::{MIN_SIDE, check_size};
use crate::error::MediaError;
use crate::source::file::Y4mSource;
use crate::source::synthetic::TestCardSource;
use crate::source::{VideoSource, camera, screen};

/// The longest name of a device, in bytes.
pub const MAX_SPEC_BYTES: usize = 4096;

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    Camera,
    Microphone,
    Speaker,
    Screen,
}

/// A source or sink that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    pub kind: DeviceKind,
    /// What the command line and the commands take.
    pub spec: String,
    /// What a person reads.
    pub label: String,
    /// Why it cannot be used here, if it cannot.
    pub unavailable: Option<String>,
}

impl DeviceInfo {
    pub(crate) fn new(kind: DeviceKind, spec: impl Into<String>, label: impl Into<String>) -> Self {
        Self { kind, spec: spec.into(), label: label.into(), unavailable: None }
    }
}

/// A source of pictures by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoSpec {
    TestCard { width: u32, height: u32, fps: u32 },
    File(PathBuf),
    V4l2(PathBuf),
    X11(X11Spec),
}

/// What of an X display is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X11Spec {
    /// `None` is the display that `DISPLAY` names.
    pub display: Option<String>,
    pub area: X11Area,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X11Area {
    Whole,
    /// In pixels from the top left corner.
    Region {
        x: u16,
        y: u16,
        width: u16,
        height: u16,
    },
    Window(u32),
}

impl VideoSpec {
    /// Reads the name of a camera.
    pub fn camera(spec: &str) -> Result<Self, MediaError> {
        let bad = |reason| MediaError::BadSpec { spec: shortened(spec), reason };
        if spec.len() > MAX_SPEC_BYTES {
            return Err(bad("the name is too long"));
        }
        match spec.split_once(':').unwrap_or((spec, "")) {
            ("test", "") => Ok(Self::TestCard { width: 1280, height: 720, fps: 30 }),
            ("test", format) => {
                let (width, height, fps) =
                    format_of(format).ok_or(bad("expected test:WIDTHxHEIGHT@FPS, as in test:640x360@30"))?;
                Ok(Self::TestCard { width, height, fps })
            }
            ("file", path) if !path.is_empty() => Ok(Self::File(path.into())),
            ("v4l2", path) if path.starts_with("/dev/") => Ok(Self::V4l2(path.into())),
            ("v4l2", _) => Err(bad("expected v4l2:/dev/videoN")),
            _ => Err(bad("expected test, file:PATH or v4l2:/dev/videoN")),
        }
    }

    /// Reads the name of what is shared of a screen.
    pub fn screen(spec: &str) -> Result<Self, MediaError> {
        let bad = |reason| MediaError::BadSpec { spec: shortened(spec), reason };
        match spec.split_once(':').unwrap_or((spec, "")) {
            ("test" | "file", _) => Self::camera(spec),
            ("x11", rest) if rest.len() <= MAX_SPEC_BYTES => {
                let x11 = x11_of(rest).ok_or(bad("expected x11::0, x11::0+X,Y,WIDTHxHEIGHT or x11:window:0xID"))?;
                Ok(Self::X11(x11))
            }
            ("wayland", _) => Err(MediaError::Unsupported { what: "sharing a Wayland screen".to_owned() }),
            _ => Err(bad("expected x11:DISPLAY, x11:window:0xID, file:PATH or test")),
        }
    }

    /// Opens it. It may take as long as the device takes.
    pub fn open(self) -> Result<Box<dyn VideoSource>, MediaError> {
        Ok(match self {
            Self::TestCard { width, height, fps } => Box::new(TestCardSource::new(width, height, fps)?),
            Self::File(path) => Box::new(Y4mSource::open(&path)?),
            Self::V4l2(path) => camera::open(&path)?,
            Self::X11(spec) => screen::open(spec)?,
        })
    }
}

/// Opens a camera by its name. It may take as long as the device takes.
pub fn open_video(spec: &str) -> Result<Box<dyn VideoSource>, MediaError> {
    VideoSpec::camera(spec)?.open()
}

/// Opens what is shared of a screen, by its name.
pub fn open_screen(spec: &str) -> Result<Box<dyn VideoSource>, MediaError> {
    VideoSpec::screen(spec)?.open()
}

/// Everything that can be chosen, and what could be but for a reason. Looks anew each time; it may take some tens of milliseconds.
pub fn list_devices() -> Vec<DeviceInfo> {
    let mut devices = camera::list();
    devices.extend(screen::list());
    devices.extend(list_audio_devices());
    devices
}

/// `WIDTHxHEIGHT@FPS`.
fn format_of(format: &str) -> Option<(u32, u32, u32)> {
    let (size, fps) = format.split_once('@').unwrap_or((format, "30"));
    let (width, height) = size.split_once('x')?;
    let (width, height, fps) = (width.parse().ok()?, height.parse().ok()?, fps.parse().ok()?);
    let fits = width >= MIN_SIDE && height >= MIN_SIDE && check_size(width, height).is_ok();
    (fits && (1..=60).contains(&fps)).then_some((width, height, fps))
}

fn x11_of(rest: &str) -> Option<X11Spec> {
    if let Some(id) = rest.strip_prefix("window:") {
        let id = match id.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => id.parse().ok()?,
        };
        return Some(X11Spec { display: None, area: X11Area::Window(id) });
    }
    let (display, area) = match rest.split_once('+') {
        None => (rest, X11Area::Whole),
        Some((display, region)) => {
            let (x, region) = region.split_once(',')?;
            let (y, size) = region.split_once(',')?;
            let (width, height) = size.split_once('x')?;
            let (width, height): (u16, u16) = (width.parse().ok()?, height.parse().ok()?);
            if u32::from(width.min(height)) < MIN_SIDE {
                return None;
            }
            (display, X11Area::Region { x: x.parse().ok()?, y: y.parse().ok()?, width, height })
        }
    };
    // A display without a number is a slip of the pen, not a choice of what is shared.
    let (_, number) = display.rsplit_once(':')?;
    let is_number = number.starts_with(|c: char| c.is_ascii_digit());
    is_number.then(|| X11Spec { display: Some(display.to_owned()), area })
}

/// Enough of a wrong name to recognise it in a message.
pub(crate) fn shortened(spec: &str) -> String {
    spec.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_cameras_are_read() {
        assert_eq!(VideoSpec::camera("test").unwrap(), VideoSpec::TestCard { width: 1280, height: 720, fps: 30 });
        assert_eq!(VideoSpec::camera("test:640x360@15").unwrap(), VideoSpec::TestCard { width: 640, height: 360, fps: 15 });
        assert_eq!(VideoSpec::camera("file:a b:c.y4m").unwrap(), VideoSpec::File("a b:c.y4m".into()));
        assert_eq!(VideoSpec::camera("v4l2:/dev/video2").unwrap(), VideoSpec::V4l2("/dev/video2".into()));
        for wrong in ["", "x11::0", "file:", "v4l2:video0", "test:0x0", "test:640x360@0", "test:99999x99999@30", "Test"] {
            assert!(matches!(VideoSpec::camera(wrong), Err(MediaError::BadSpec { .. })), "{wrong}");
        }
    }

    #[test]
    fn names_of_screens_are_read() {
        let x11 = |spec| match VideoSpec::screen(spec) {
            Ok(VideoSpec::X11(x11)) => x11,
            other => panic!("{other:?}"),
        };
        assert_eq!(x11("x11::0"), X11Spec { display: Some(":0".into()), area: X11Area::Whole });
        let region = X11Area::Region { x: 10, y: 20, width: 640, height: 480 };
        assert_eq!(x11("x11::99.1+10,20,640x480"), X11Spec { display: Some(":99.1".into()), area: region });
        assert_eq!(x11("x11:window:0x1234"), X11Spec { display: None, area: X11Area::Window(0x1234) });
        for wrong in ["", "x11", "x11:", "x11::", "x11::0+1,2", "x11::0+1,2,3x4", "x11:window:zz", "v4l2:/dev/video0"] {
            assert!(matches!(VideoSpec::screen(wrong), Err(MediaError::BadSpec { .. })), "{wrong}");
        }
    }

    #[test]
    fn wayland_is_known_and_not_yet_there() {
        assert!(matches!(VideoSpec::screen("wayland"), Err(MediaError::Unsupported { .. })));
    }

    #[test]
    fn every_listed_device_that_is_available_has_a_name_that_is_read() {
        for device in list_devices().into_iter().filter(|device| device.unavailable.is_none()) {
            match device.kind {
                DeviceKind::Camera => drop(VideoSpec::camera(&device.spec).unwrap()),
                DeviceKind::Screen => drop(VideoSpec::screen(&device.spec).unwrap()),
                DeviceKind::Microphone | DeviceKind::Speaker => {}
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(spec in "(test|x11|file|v4l2)?:?.{0,40}") {
            let _ = VideoSpec::camera(&spec);
            let _ = VideoSpec::screen(&spec);
        }
    }
}
