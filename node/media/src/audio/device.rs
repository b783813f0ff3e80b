//! Microphones and speakers of the system, through cpal: PulseAudio (which PipeWire serves as well) on Linux and the BSDs, the system's
//! own interface elsewhere. A callback only copies; a device that hangs holds up nobody for longer than [`OPEN_TIMEOUT`].
//!
//! Where `PULSE_SERVER` names a server that is not `unix:PATH`, it is not looked at: the server is local.

mod stream;

use std::sync::mpsc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};

pub use self::stream::{DeviceSink, DeviceSource};
use crate::error::MediaError;

/// How long a device may take to open or the server to answer.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(4);
/// The most devices that are listed.
const MAX_DEVICES: usize = 256;

/// By which interface devices are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioHost {
    /// PulseAudio or PipeWire's server of the same protocol.
    PulseAudio,
    /// What the system has: CoreAudio, WASAPI, or on Linux the first of PulseAudio and ALSA that answers.
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
    within_timeout("the sound system", move || {
        let host = connect(host)?;
        let default_input = host.default_input_device().and_then(|device| name_of(&device));
        let default_output = host.default_output_device().and_then(|device| name_of(&device));
        let devices = host.devices().map_err(|error| MediaError::unavailable("the sound system", error))?;
        let mut found = Vec::new();
        for device in devices.take(MAX_DEVICES) {
            let Some(name) = name_of(&device) else { continue };
            let label = device.description().map_or_else(|_| name.clone(), |description| description.name().to_owned());
            for (direction, default) in [(Direction::Input, &default_input), (Direction::Output, &default_output)] {
                let there = match direction {
                    Direction::Input => device.supports_input(),
                    Direction::Output => device.supports_output(),
                };
                if there {
                    found.push(AudioDevice {
                        direction,
                        monitor: direction == Direction::Input && name.ends_with(".monitor"),
                        default: default.as_deref() == Some(name.as_str()),
                        name: name.clone(),
                        label: label.clone(),
                    });
                }
            }
        }
        Ok(found)
    })
}

/// Opens a microphone; without a name the one that the system prefers. May block for [`OPEN_TIMEOUT`].
///
/// # Errors
/// It is not there, is refused, or does not answer.
pub fn open_source(host: AudioHost, name: Option<&str>) -> Result<DeviceSource, MediaError> {
    let name = name.map(str::to_owned);
    within_timeout(name.clone().as_deref().unwrap_or("the microphone"), move || {
        let (device, label) = find(host, Direction::Input, name)?;
        DeviceSource::open(&device, label)
    })
}

/// Opens a speaker; without a name the one that the system prefers. May block for [`OPEN_TIMEOUT`].
///
/// # Errors
/// As [`open_source`].
pub fn open_sink(host: AudioHost, name: Option<&str>) -> Result<DeviceSink, MediaError> {
    let name = name.map(str::to_owned);
    within_timeout(name.clone().as_deref().unwrap_or("the speaker"), move || {
        let (device, label) = find(host, Direction::Output, name)?;
        DeviceSink::open(&device, label)
    })
}

fn find(host: AudioHost, direction: Direction, name: Option<String>) -> Result<(cpal::Device, String), MediaError> {
    let host = connect(host)?;
    let Some(name) = name else {
        let (device, what) = match direction {
            Direction::Input => (host.default_input_device(), "the microphone"),
            Direction::Output => (host.default_output_device(), "the speaker"),
        };
        let device = device.ok_or_else(|| MediaError::unavailable(what, "the system has none"))?;
        return Ok((device, what.to_owned()));
    };
    let devices = host.devices().map_err(|error| MediaError::unavailable(&name, error))?;
    for device in devices.take(MAX_DEVICES) {
        let fits = match direction {
            Direction::Input => device.supports_input(),
            Direction::Output => device.supports_output(),
        };
        if fits && name_of(&device).is_some_and(|other| other == name) {
            return Ok((device, name));
        }
    }
    Err(MediaError::unavailable(name, "there is no such device"))
}

fn name_of(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

#[cfg(any(target_os = "linux", target_os = "dragonfly", target_os = "freebsd", target_os = "netbsd"))]
fn connect(host: AudioHost) -> Result<cpal::Host, MediaError> {
    match host {
        AudioHost::PulseAudio => {
            cpal::host_from_id(cpal::HostId::PulseAudio).map_err(|error| MediaError::unavailable("PulseAudio", error))
        }
        AudioHost::System => Ok(cpal::default_host()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "dragonfly", target_os = "freebsd", target_os = "netbsd")))]
fn connect(host: AudioHost) -> Result<cpal::Host, MediaError> {
    match host {
        AudioHost::PulseAudio => Err(MediaError::Unsupported { what: "PulseAudio".into() }),
        AudioHost::System => Ok(cpal::default_host()),
    }
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
