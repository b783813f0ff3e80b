//! The names of sources and sinks of sound. Naming one opens nothing.
//!
//! | microphones | |
//! | --- | --- |
//! | `pulse`, `pulse:NAME` | a source of PulseAudio or PipeWire, the preferred one without a name |
//! | `default` | what the system prefers, on any system |
//! | `file:speech.wav` | a WAV file, over and over |
//! | `tone`, `tone:440` | a sine, in hertz |
//! | `silence` | nothing |
//!
//! | speakers | |
//! | --- | --- |
//! | `pulse`, `pulse:NAME`, `default` | as above |
//! | `file:out.wav` | a WAV file, made anew |
//! | `null` | nowhere |

use std::path::PathBuf;

use super::device::{AudioDevice, AudioHost, Direction, list, open_sink, open_source};
use super::sink::{AudioSink, NullSink, WavSink};
use super::source::{AudioSource, DEFAULT_TONE_HZ, Silence, Tone, WavSource};
use crate::device::{DeviceInfo, DeviceKind, MAX_SPEC_BYTES, shortened};
use crate::error::MediaError;

/// A source of sound by name.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioSourceSpec {
    Silence,
    /// In hertz.
    Tone(f32),
    File(PathBuf),
    /// Without a name the one that the system prefers.
    Device(AudioHost, Option<String>),
}

/// A sink of sound by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSinkSpec {
    Null,
    File(PathBuf),
    /// Without a name the one that the system prefers.
    Device(AudioHost, Option<String>),
}

impl AudioSourceSpec {
    /// Reads the name of a microphone.
    ///
    /// # Errors
    /// [`MediaError::BadSpec`].
    pub fn parse(spec: &str) -> Result<Self, MediaError> {
        let bad = |reason| MediaError::BadSpec { spec: shortened(spec), reason };
        if spec.len() > MAX_SPEC_BYTES {
            return Err(bad("the name is too long"));
        }
        match spec.split_once(':') {
            None if spec == "silence" => Ok(Self::Silence),
            None if spec == "tone" => Ok(Self::Tone(DEFAULT_TONE_HZ)),
            Some(("tone", hertz)) => match hertz.parse() {
                Ok(hertz) if (20.0..=20_000.0).contains(&hertz) => Ok(Self::Tone(hertz)),
                _ => Err(bad("expected tone:HERTZ between 20 and 20000")),
            },
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => match device(spec) {
                Some((host, name)) => Ok(Self::Device(host, name)),
                None => Err(bad("expected pulse, pulse:NAME, default, file:PATH, tone, tone:HERTZ or silence")),
            },
        }
    }

    /// # Errors
    /// The device or file cannot be used.
    pub fn open(self) -> Result<Box<dyn AudioSource>, MediaError> {
        Ok(match self {
            Self::Silence => Box::new(Silence::default()),
            Self::Tone(hertz) => Box::new(Tone::new(hertz)),
            Self::File(path) => Box::new(WavSource::open(&path)?),
            Self::Device(host, name) => open_source(host, name.as_deref())?,
        })
    }
}

impl AudioSinkSpec {
    /// Reads the name of a speaker.
    ///
    /// # Errors
    /// [`MediaError::BadSpec`].
    pub fn parse(spec: &str) -> Result<Self, MediaError> {
        let bad = |reason| MediaError::BadSpec { spec: shortened(spec), reason };
        if spec.len() > MAX_SPEC_BYTES {
            return Err(bad("the name is too long"));
        }
        match spec.split_once(':') {
            None if spec == "null" => Ok(Self::Null),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => match device(spec) {
                Some((host, name)) => Ok(Self::Device(host, name)),
                None => Err(bad("expected pulse, pulse:NAME, default, file:PATH or null")),
            },
        }
    }

    /// # Errors
    /// The device or file cannot be used.
    pub fn open(self) -> Result<Box<dyn AudioSink>, MediaError> {
        Ok(match self {
            Self::Null => Box::new(NullSink::default()),
            Self::File(path) => Box::new(WavSink::create(&path)?),
            Self::Device(host, name) => open_sink(host, name.as_deref())?,
        })
    }
}

/// Opens a microphone by its name. May block for [`super::device::OPEN_TIMEOUT`]: not for an async thread.
///
/// # Errors
/// The text is no name, or what it names cannot be used.
pub fn open_audio_source(spec: &str) -> Result<Box<dyn AudioSource>, MediaError> {
    AudioSourceSpec::parse(spec)?.open()
}

/// Opens a speaker by its name. May block for [`super::device::OPEN_TIMEOUT`]: not for an async thread.
///
/// # Errors
/// As [`open_audio_source`].
pub fn open_audio_sink(spec: &str) -> Result<Box<dyn AudioSink>, MediaError> {
    AudioSinkSpec::parse(spec)?.open()
}

/// The microphones and speakers that are there, the preferred ones and those that are real before the monitors. Without a sound
/// system one entry of each kind says why. May block for [`super::device::OPEN_TIMEOUT`].
pub fn list_audio_devices() -> Vec<DeviceInfo> {
    let (host, spec) = if cfg!(any(target_os = "macos", target_os = "windows")) {
        (AudioHost::System, "default")
    } else {
        (AudioHost::PulseAudio, "pulse")
    };
    let kinds = [DeviceKind::Microphone, DeviceKind::Speaker];
    match list(host) {
        Ok(mut devices) => {
            devices.sort_by_key(|device| (device.monitor, !device.default));
            devices.into_iter().map(|device| info(spec, &device)).collect()
        }
        Err(error) => kinds
            .map(|kind| DeviceInfo {
                kind,
                spec: spec.to_owned(),
                label: if kind == DeviceKind::Microphone { "Microphone".into() } else { "Speaker".into() },
                unavailable: Some(error.to_string()),
            })
            .into(),
    }
}

fn info(spec: &str, device: &AudioDevice) -> DeviceInfo {
    let kind = match device.direction {
        Direction::Input => DeviceKind::Microphone,
        Direction::Output => DeviceKind::Speaker,
    };
    let mut label = device.label.clone();
    // PulseAudio says so itself in the label, in the language of the server.
    if device.monitor && !label.starts_with("Monitor") {
        label.push_str(" (monitor)");
    }
    DeviceInfo::new(kind, format!("{spec}:{}", device.name), label)
}

fn device(spec: &str) -> Option<(AudioHost, Option<String>)> {
    match spec.split_once(':') {
        None if spec == "pulse" => Some((AudioHost::PulseAudio, None)),
        None if spec == "default" => Some((AudioHost::System, None)),
        Some(("pulse", name)) if !name.is_empty() => Some((AudioHost::PulseAudio, Some(name.to_owned()))),
        Some(("default", name)) if !name.is_empty() => Some((AudioHost::System, Some(name.to_owned()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_microphones_are_read() {
        let parse = |spec| AudioSourceSpec::parse(spec).unwrap();
        assert_eq!(parse("silence"), AudioSourceSpec::Silence);
        assert_eq!(parse("tone"), AudioSourceSpec::Tone(440.0));
        assert_eq!(parse("tone:1000"), AudioSourceSpec::Tone(1000.0));
        assert_eq!(parse("file:a b:c.wav"), AudioSourceSpec::File("a b:c.wav".into()));
        assert_eq!(parse("pulse"), AudioSourceSpec::Device(AudioHost::PulseAudio, None));
        assert_eq!(parse("pulse:a.b:c"), AudioSourceSpec::Device(AudioHost::PulseAudio, Some("a.b:c".into())));
        assert_eq!(parse("default"), AudioSourceSpec::Device(AudioHost::System, None));
        for wrong in ["", "null", "file:", "pulse:", "tone:", "tone:nan", "tone:0", "silence:x", "Tone", "mic"] {
            assert!(matches!(AudioSourceSpec::parse(wrong), Err(MediaError::BadSpec { .. })), "{wrong}");
        }
    }

    #[test]
    fn names_of_speakers_are_read() {
        let parse = |spec| AudioSinkSpec::parse(spec).unwrap();
        assert_eq!(parse("null"), AudioSinkSpec::Null);
        assert_eq!(parse("file:out.wav"), AudioSinkSpec::File("out.wav".into()));
        assert_eq!(parse("pulse:x"), AudioSinkSpec::Device(AudioHost::PulseAudio, Some("x".into())));
        for wrong in ["", "tone", "silence", "file:", "null:", "speaker"] {
            assert!(matches!(AudioSinkSpec::parse(wrong), Err(MediaError::BadSpec { .. })), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(spec in "(pulse|tone|file|null|default|silence)?:?.{0,40}") {
            let _ = AudioSourceSpec::parse(&spec);
            let _ = AudioSinkSpec::parse(&spec);
        }
    }
}
