//! One file of a recording: where each packet or frame lies in time, and the file itself, made when the first one comes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::ivf::IvfWriter;
use super::ogg::{OggOpusWriter, SILENT_PACKET};
use crate::audio::{EncodedAudio, FRAME_TIME};
use crate::codec::{self, EncodedFrame, VideoCodec};
use crate::error::MediaError;

/// A sender's clock that is this far from ours has jumped, and is placed anew.
const JUMP: Duration = Duration::from_secs(2);
/// How long a voice waits for packets that were overtaken, in packets.
const OVERTAKEN: usize = 10;
/// The longest gap that is filled, in packets: twelve hours.
const MAX_GAP: u64 = 12 * 3600 * 50;
/// The names that are tried before giving up.
const MAX_NAMES: u32 = 1000;

/// Where a sender's times lie in the recording.
#[derive(Debug, Default)]
struct Placement {
    /// Recording time less the sender's time, in nanoseconds.
    offset: Option<i128>,
}

impl Placement {
    /// Puts a time of the sender, which arrived at `arrived`, into the recording.
    fn place(&mut self, at: Duration, arrived: Duration) -> Duration {
        let (at, arrived) = (at.as_nanos() as i128, arrived.as_nanos() as i128);
        let fresh = arrived - at;
        let offset = match self.offset {
            Some(offset) if (offset - fresh).unsigned_abs() <= JUMP.as_nanos() => offset,
            _ => *self.offset.insert(fresh),
        };
        Duration::from_nanos(u64::try_from((at + offset).max(0)).unwrap_or(u64::MAX))
    }
}

pub(super) struct AudioWriter {
    serial: u32,
    name: String,
    placement: Placement,
    /// Packets by their place, in frames since the recording began.
    waiting: BTreeMap<u64, Bytes>,
    file: Option<(OggOpusWriter<BufWriter<File>>, PathBuf)>,
}

impl AudioWriter {
    pub(super) fn new(serial: u32, name: &str) -> Self {
        Self { serial, name: name.to_owned(), placement: Placement::default(), waiting: BTreeMap::new(), file: None }
    }

    pub(super) fn push(&mut self, folder: &Path, arrived: Duration, packet: EncodedAudio) -> Result<(), MediaError> {
        if self.file.is_none() {
            let (file, path) = create(folder, &self.name, "ogg")?;
            let writer = OggOpusWriter::new(BufWriter::new(file), self.serial).map_err(|error| gone(&path, error))?;
            self.file = Some((writer, path));
        }
        let at = self.placement.place(packet.at, arrived);
        let place = (at.as_nanos() + FRAME_TIME.as_nanos() / 2) / FRAME_TIME.as_nanos();
        self.waiting.insert(u64::try_from(place).unwrap_or(u64::MAX), packet.data);
        self.write(OVERTAKEN)
    }

    /// Writes what is next in order, and what has waited for long enough.
    fn write(&mut self, may_wait: usize) -> Result<(), MediaError> {
        let Some((writer, path)) = &mut self.file else { return Ok(()) };
        while let Some(first) = self.waiting.first_entry() {
            let place = *first.key();
            let next = writer.packets();
            if place > next && self.waiting.len() <= may_wait {
                break;
            }
            let Some((_, packet)) = self.waiting.pop_first() else { break };
            // What comes after its place was written is too late; what lies half a day ahead is no gap.
            if place < next || place - next > MAX_GAP {
                continue;
            }
            let gap = (next..place).try_for_each(|_| writer.push(&SILENT_PACKET));
            gap.and_then(|()| writer.push(&packet)).map_err(|error| gone(path, error))?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), MediaError> {
        match &mut self.file {
            Some((writer, path)) => writer.flush().map_err(|error| gone(path, error)),
            None => Ok(()),
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), MediaError> {
        self.write(0)?;
        match &mut self.file {
            Some((writer, path)) => writer.finish().map_err(|error| gone(path, error)),
            None => Ok(()),
        }
    }
}

pub(super) struct VideoWriter {
    name: String,
    codec: VideoCodec,
    placement: Placement,
    file: Option<(IvfWriter<BufWriter<File>>, PathBuf)>,
}

impl VideoWriter {
    pub(super) fn new(name: &str, codec: VideoCodec) -> Self {
        Self { name: name.to_owned(), codec, placement: Placement::default(), file: None }
    }

    pub(super) fn push(&mut self, folder: &Path, arrived: Duration, frame: &EncodedFrame) -> Result<(), MediaError> {
        let at = self.placement.place(frame.at, arrived);
        let (writer, path) = match &mut self.file {
            Some(file) => file,
            None => {
                let (file, path) = create(folder, &self.name, "ivf")?;
                let (width, height) = size_of(frame);
                let writer =
                    IvfWriter::new(BufWriter::new(file), self.codec, width, height).map_err(|error| gone(&path, error))?;
                self.file.insert((writer, path))
            }
        };
        writer.push(at, &frame.data).map_err(|error| gone(path, error))
    }

    pub(super) fn flush(&mut self) -> Result<(), MediaError> {
        match &mut self.file {
            Some((writer, path)) => writer.flush().map_err(|error| gone(path, error)),
            None => Ok(()),
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), MediaError> {
        self.flush()
    }
}

/// The size of a keyframe's picture, for the header; zeros where it cannot be decoded.
fn size_of(keyframe: &EncodedFrame) -> (u32, u32) {
    let picture = codec::decoder(keyframe.codec).and_then(|mut decoder| decoder.decode(&keyframe.data, keyframe.at));
    picture.ok().flatten().map_or((0, 0), |picture| (picture.width(), picture.height()))
}

/// Makes a file that was not there: `NAME.EXT`, `NAME-2.EXT` and so on.
fn create(folder: &Path, name: &str, extension: &str) -> Result<(File, PathBuf), MediaError> {
    for n in 1..=MAX_NAMES {
        let path = folder.join(if n == 1 { format!("{name}.{extension}") } else { format!("{name}-{n}.{extension}") });
        match File::create_new(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(MediaError::unavailable(path.display().to_string(), error)),
        }
    }
    Err(MediaError::unavailable(folder.display().to_string(), format!("too many files are named {name}")))
}

fn gone(path: &Path, error: impl std::fmt::Display) -> MediaError {
    MediaError::gone(path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_keeps_its_own_time_until_it_jumps() {
        let ms = Duration::from_millis;
        let mut placement = Placement::default();
        assert_eq!(placement.place(ms(5000), ms(100)), ms(100));
        assert_eq!(placement.place(ms(5020), ms(190)), ms(120), "late by 70 ms");
        assert_eq!(placement.place(ms(5040), ms(130)), ms(140), "early");
        assert_eq!(placement.place(ms(10), ms(200)), ms(200), "a clock of another start");
        assert_eq!(placement.place(ms(30), ms(220)), ms(220));
    }
}
