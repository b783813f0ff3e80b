//! Microphones and speakers of the system: PulseAudio's protocol, which PipeWire serves as well, on Linux and the BSDs; the system's
//! own interface by cpal elsewhere. A callback only copies; a device that hangs holds up nobody for longer than [`OPEN_TIMEOUT`].
//!
//! PulseAudio is spoken to directly, because through cpal its buffers cannot be set apart: playback stopped after each underrun until
//! the buffer was full again, and a slice of sound longer than the one asked for was dropped.

#[cfg(unix)]
mod pulse;
mod stream;

use std::sync::mpsc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};

use self::stream::{DeviceSink, DeviceSource};
use super::sink::AudioSink;
use super::source::AudioSource;
use crate::error::MediaError;

/// How long a device may take to open or the server to answer.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(4);
/// The most devices that are listed.
const MAX_DEVICES: usize = 256;
/// What a device is called when nobody named it.
const MICROPHONE: &str = "the microphone";
const SPEAKER: &str = "the speaker";

/// By which interface devices are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioHost {
    /// PulseAudio or PipeWire's server of the same protocol.
    PulseAudio,
    /// What the system has: CoreAudio, WASAPI, or on Linux ALSA.
    System,
}

/// Into the program or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Input,
    Output,
}

/// A device as the system names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioDevice {
    pub direction: Direction,
    /// By which it can be opened again.
    pub name: String,
    /// For people.
    pub label: String,
    /// An input that hears what an output plays.
    pub monitor: bool,
    /// What is taken when no name is given.
    pub default: bool,
}

/// What is there. Asks the system anew each time and may block for [`OPEN_TIMEOUT`].
///
/// # Errors
/// The interface is not there or does not answer.
pub fn list(host: AudioHost) -> Result<Vec<AudioDevice>, MediaError> {
    within_timeout("the sound system", move || match host {
        AudioHost::PulseAudio => pulse::list(),
        AudioHost::System => list_of_system(),
    })
}

/// Opens a microphone; without a name the one that the system prefers. May block for [`OPEN_TIMEOUT`].
///
/// # Errors
/// It is not there, is refused, or does not answer.
pub fn open_source(host: AudioHost, name: Option<&str>) -> Result<Box<dyn AudioSource>, MediaError> {
    let name = name.map(str::to_owned);
    within_timeout(name.clone().as_deref().unwrap_or(MICROPHONE), move || match host {
        AudioHost::PulseAudio => pulse::open_source(name).map(|source| Box::new(source) as Box<dyn AudioSource>),
        AudioHost::System => {
            let (device, label) = find(Direction::Input, name)?;
            Ok(Box::new(DeviceSource::open(&device, label)?) as Box<dyn AudioSource>)
        }
    })
}

/// Opens a speaker; without a name the one that the system prefers. May block for [`OPEN_TIMEOUT`].
///
/// # Errors
/// As [`open_source`].
pub fn open_sink(host: AudioHost, name: Option<&str>) -> Result<Box<dyn AudioSink>, MediaError> {
    let name = name.map(str::to_owned);
    within_timeout(name.clone().as_deref().unwrap_or(SPEAKER), move || match host {
        AudioHost::PulseAudio => pulse::open_sink(name).map(|sink| Box::new(sink) as Box<dyn AudioSink>),
        AudioHost::System => {
            let (device, label) = find(Direction::Output, name)?;
            Ok(Box::new(DeviceSink::open(&device, label)?) as Box<dyn AudioSink>)
        }
    })
}

#[cfg(not(unix))]
mod pulse {
    //! There is no PulseAudio on this system; it says so and does nothing else.

    use super::{AudioDevice, DeviceSink, DeviceSource};
    use crate::error::MediaError;

    fn unsupported<T>() -> Result<T, MediaError> {
        Err(MediaError::Unsupported { what: "PulseAudio".into() })
    }

    pub(super) fn list() -> Result<Vec<AudioDevice>, MediaError> {
        unsupported()
    }

    pub(super) fn open_source(_: Option<String>) -> Result<DeviceSource, MediaError> {
        unsupported()
    }

    pub(super) fn open_sink(_: Option<String>) -> Result<DeviceSink, MediaError> {
        unsupported()
    }
}

fn list_of_system() -> Result<Vec<AudioDevice>, MediaError> {
    let host = cpal::default_host();
    let default_input = host.default_input_device().and_then(|device| name_of(&device));
    let default_output = host.default_output_device().and_then(|device| name_of(&device));
    let devices = host.devices().map_err(|error| MediaError::unavailable("the sound system", error))?;
    let mut found = Vec::new();
    for device in devices.take(MAX_DEVICES) {
        let Some(name) = name_of(&device) else { continue };
        let label = device.description().map_or_else(|_| name.clone(), |description| description.name().to_owned());
        for (direction, default) in [(Direction::Input, &default_input), (Direction::Output, &default_output)] {
            if supports(&device, direction) {
                let default = default.as_deref() == Some(name.as_str());
                found.push(AudioDevice { direction, monitor: false, default, name: name.clone(), label: label.clone() });
            }
        }
    }
    Ok(found)
}

fn supports(device: &cpal::Device, direction: Direction) -> bool {
    match direction {
        Direction::Input => device.supports_input(),
        Direction::Output => device.supports_output(),
    }
}

fn find(direction: Direction, name: Option<String>) -> Result<(cpal::Device, String), MediaError> {
    let host = cpal::default_host();
    let Some(name) = name else {
        let (device, what) = match direction {
            Direction::Input => (host.default_input_device(), MICROPHONE),
            Direction::Output => (host.default_output_device(), SPEAKER),
        };
        let device = device.ok_or_else(|| MediaError::unavailable(what, "the system has none"))?;
        return Ok((device, what.to_owned()));
    };
    let devices = host.devices().map_err(|error| MediaError::unavailable(&name, error))?;
    let fits = |device: &cpal::Device| supports(device, direction) && name_of(device).is_some_and(|other| other == name);
    match devices.take(MAX_DEVICES).find(fits) {
        Some(device) => Ok((device, name)),
        None => Err(MediaError::unavailable(name, "there is no such device")),
    }
}

fn name_of(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

/// Does on a thread of its own what may never return, and gives up on it after [`OPEN_TIMEOUT`]. The thread is then left behind; what
/// it opens after all is closed at once.
fn within_timeout<T: Send + 'static>(
    device: &str,
    open: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    let (result_tx, result_rx) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("audio-open".into())
        .spawn(move || drop(result_tx.send(open())))
        .map_err(|error| MediaError::Thread { what: "opening a sound device", reason: error.to_string() })?;
    result_rx.recv_timeout(OPEN_TIMEOUT).unwrap_or_else(|_| Err(MediaError::unavailable(device, "it does not answer")))
}
