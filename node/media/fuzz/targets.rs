//! The bodies of the fuzz targets: plain functions that panic when a rule is broken. `tests/media/parsers.rs` runs all of them on
//! stable, over the corpus, its truncations and its mutations.

use std::io::Cursor;
use std::time::Duration;

use conclave_media::audio::spec::{AudioSinkSpec, AudioSourceSpec};
use conclave_media::audio::wav::WavReader;
use conclave_media::codec::opus::OpusDecoder;
use conclave_media::codec::{self, MAX_AREA, VideoCodec};
use conclave_media::device::VideoSpec;
use conclave_media::picture::MAX_SIDE;
use conclave_media::source::file::Y4mReader;

/// Takes whatever bytes there are.
pub type Target = fn(&[u8]);

/// All targets, by the names under which cargo-fuzz knows them.
pub const TARGETS: &[(&str, Target)] =
    &[("h264", h264), ("vp9", vp9), ("y4m", y4m), ("wav", wav), ("opus", opus), ("device_name", device_name)];

/// Frames, or packets, each behind its length in two bytes, least significant first.
fn units(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (unit, rest) = rest.split_at(length);
        data = rest;
        Some(unit)
    })
}

/// The opposite of [`units`].
pub fn joined<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut data = Vec::new();
    for unit in units {
        let length = u16::try_from(unit.len()).expect("short units only");
        data.extend_from_slice(&length.to_le_bytes());
        data.extend_from_slice(unit);
    }
    data
}

fn decode(codec: VideoCodec, data: &[u8]) {
    let mut decoder = codec::decoder(codec).expect("a decoder");
    for frame in units(data).take(32) {
        if let Ok(Some(picture)) = decoder.decode(frame, Duration::ZERO) {
            assert!(picture.width() <= MAX_SIDE && picture.height() <= MAX_SIDE);
            assert!(picture.width() * picture.height() <= MAX_AREA);
        }
    }
}

/// Frames of a peer's camera.
pub fn h264(data: &[u8]) {
    decode(VideoCodec::H264, data);
}

/// Frames of a peer's screen.
pub fn vp9(data: &[u8]) {
    decode(VideoCodec::Vp9, data);
}

/// A file that is played as a camera.
pub fn y4m(data: &[u8]) {
    let Ok(mut reader) = Y4mReader::new(Cursor::new(data)) else { return };
    let mut bytes = 0;
    while let Ok(Some(picture)) = reader.next(Duration::ZERO) {
        bytes += picture.y().len();
        assert!(bytes <= data.len());
    }
}

/// A file that is played as a microphone.
pub fn wav(data: &[u8]) {
    let Ok(mut reader) = WavReader::new(Cursor::new(data)) else { return };
    let mut samples = Vec::new();
    for _ in 0..64 {
        samples.clear();
        match reader.read(960, &mut samples) {
            Ok(0) | Err(_) => return,
            Ok(_) => assert!(samples.len() <= 960),
        }
    }
}

/// Packets of a peer's voice.
pub fn opus(data: &[u8]) {
    let mut decoder = OpusDecoder::new().expect("a decoder");
    let mut frame = [0.0; 960];
    for packet in units(data).take(64) {
        let _ = decoder.decode(packet, &mut frame);
        let _ = decoder.recover(packet, &mut frame);
    }
}

/// What a person or a script calls a device.
pub fn device_name(data: &[u8]) {
    let Ok(name) = std::str::from_utf8(data) else { return };
    let _ = (VideoSpec::camera(name), VideoSpec::screen(name), AudioSourceSpec::parse(name), AudioSinkSpec::parse(name));
}
