//! A Y4M file as a camera, over and over again. The file may come from anywhere: every length in it is bounded before it is used.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::{Pacer, VideoSource};
use crate::clock;
use crate::codec::check_size;
use crate::error::MediaError;
use crate::picture::{Picture, PictureBuf};

/// The longest header line, in bytes.
const MAX_LINE: u64 = 256;
const MAGIC: &[u8] = b"YUV4MPEG2";
const DEFAULT_INTERVAL: Duration = Duration::from_millis(40);
/// Rates beyond this are played at this, in pictures a second.
const MAX_FPS: u32 = 60;

/// Plays a file at the rate it names, from the beginning again when it ends.
pub struct Y4mSource {
    reader: Y4mReader<BufReader<File>>,
    pacer: Pacer,
    label: String,
}

impl Y4mSource {
    /// Opens a regular file and reads its header.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let label = path.display().to_string();
        let unavailable = |error: std::io::Error| MediaError::unavailable(&label, error);
        let file = File::open(path).map_err(unavailable)?;
        // A pipe could keep the thread for ever, and cannot begin again.
        if !file.metadata().map_err(unavailable)?.is_file() {
            return Err(MediaError::unavailable(label, "not a regular file"));
        }
        let reader = Y4mReader::new(BufReader::with_capacity(1 << 18, file))?;
        let pacer = Pacer::new(reader.interval());
        Ok(Self { reader, pacer, label })
    }
}

impl VideoSource for Y4mSource {
    fn next(&mut self) -> Result<Option<Picture>, MediaError> {
        if !self.pacer.wait() {
            return Ok(None);
        }
        if let Some(picture) = self.reader.next(clock::now())? {
            return Ok(Some(picture));
        }
        self.reader.rewind()?;
        match self.reader.next(clock::now())? {
            Some(picture) => Ok(Some(picture)),
            None => Err(MediaError::damaged("Y4M", "no whole picture in the file")),
        }
    }

    fn describe(&self) -> String {
        self.label.clone()
    }
}

/// Reads pictures of 4:2:0 with 8 bits from a Y4M stream.
pub struct Y4mReader<R> {
    input: R,
    width: u32,
    height: u32,
    interval: Duration,
    first_frame: u64,
}

impl<R: BufRead + Seek> Y4mReader<R> {
    /// Reads the header; refuses other layouts than 4:2:0 with 8 bits, and sizes beyond the limits.
    pub fn new(mut input: R) -> Result<Self, MediaError> {
        let line = read_line(&mut input)?.ok_or_else(|| damaged("empty"))?;
        let mut fields = line.split(|byte| *byte == b' ');
        if fields.next() != Some(MAGIC) {
            return Err(damaged("not a Y4M file"));
        }
        let (mut width, mut height, mut interval) = (0, 0, DEFAULT_INTERVAL);
        for field in fields {
            let Some((tag, value)) = field.split_first() else { continue };
            match tag {
                b'W' => width = number(value).ok_or_else(|| damaged("width"))?,
                b'H' => height = number(value).ok_or_else(|| damaged("height"))?,
                b'F' => interval = frame_interval(value).ok_or_else(|| damaged("frame rate"))?,
                b'C' if !matches!(value, b"420" | b"420jpeg" | b"420mpeg2" | b"420paldv") => {
                    return Err(damaged("only 4:2:0 with 8 bits is taken"));
                }
                _ => {}
            }
        }
        check_size(width, height)?;
        let first_frame = input.stream_position().map_err(damaged)?;
        Ok(Self { input, width, height, interval, first_frame })
    }

    /// Time from picture to picture.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The next picture, or `None` at the end; a last picture that is cut short counts as the end.
    pub fn next(&mut self, at: Duration) -> Result<Option<Picture>, MediaError> {
        let Some(line) = read_line(&mut self.input)? else { return Ok(None) };
        if line != b"FRAME" && !line.starts_with(b"FRAME ") {
            return Err(damaged("no picture where one should begin"));
        }
        let (width, height) = (self.width, self.height);
        let mut picture = PictureBuf::new(width, height).ok_or(MediaError::PictureSize { width, height })?;
        match self.input.read_exact(picture.bytes_mut()) {
            Ok(()) => Ok(Some(picture.finish(at))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(damaged(error)),
        }
    }

    /// Back to the first picture.
    pub fn rewind(&mut self) -> Result<(), MediaError> {
        self.input.seek(SeekFrom::Start(self.first_frame)).map_err(damaged)?;
        Ok(())
    }
}

fn damaged(reason: impl std::fmt::Display) -> MediaError {
    MediaError::damaged("Y4M", reason)
}

/// A line without its end, or `None` at the end of the file.
fn read_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, MediaError> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(damaged)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(damaged("a line that does not end")),
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn frame_interval(rate: &[u8]) -> Option<Duration> {
    let mut parts = rate.split(|byte| *byte == b':');
    let (frames, seconds) = (number(parts.next()?)?, number(parts.next()?)?);
    if frames == 0 || seconds == 0 {
        // "Unknown", in the words of the format.
        return Some(DEFAULT_INTERVAL);
    }
    let interval = Duration::from_secs(u64::from(seconds)) / frames;
    Some(interval.clamp(Duration::from_secs(1) / MAX_FPS, Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn clip(width: u32, height: u32, frames: u8) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n").into_bytes();
        for frame in 0..frames {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend(std::iter::repeat_n(frame, Picture::byte_len(width, height).unwrap()));
        }
        bytes
    }

    fn read_all(bytes: &[u8]) -> Result<usize, MediaError> {
        let mut reader = Y4mReader::new(Cursor::new(bytes))?;
        let mut count = 0;
        while reader.next(Duration::ZERO)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn pictures_of_any_size_are_read_in_order_and_again() {
        for (width, height) in [(2, 2), (3, 5), (16, 9)] {
            let bytes = clip(width, height, 3);
            let mut reader = Y4mReader::new(Cursor::new(&bytes)).unwrap();
            for _ in 0..2 {
                for frame in 0..3 {
                    let picture = reader.next(Duration::ZERO).unwrap().unwrap();
                    assert_eq!((picture.width(), picture.height(), picture.v()[0]), (width, height, frame));
                }
                assert!(reader.next(Duration::ZERO).unwrap().is_none());
                reader.rewind().unwrap();
            }
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in [
            "",
            "YUV4MPEG2\n",
            "YUV4MPEG2 W99999999999 H2\n",
            "YUV4MPEG2 W65535 H65535\n",
            "YUV4MPEG2 W-2 H2\n",
            "RIFF W2 H2\n",
            "YUV4MPEG2 W2 H2 C444\n",
            "YUV4MPEG2 W2 H2 C420p10\n",
            "YUV4MPEG2 W2 H2 F30\n",
            "YUV4MPEG2 W2 H2",
        ] {
            assert!(read_all(header.as_bytes()).is_err(), "{header}");
        }
        assert!(read_all(&[b'Y'; 100_000]).is_err());
    }

    #[test]
    fn file_without_a_picture_ends_in_an_error() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), clip(16, 16, 0)).unwrap();
        let mut source = Y4mSource::open(path.path()).unwrap();
        assert!(source.next().is_err());
        assert!(Y4mSource::open(Path::new("/")).is_err());
    }

    proptest! {
        #[test]
        fn truncation_and_flipped_bits_never_panic(cut in 0_usize..400, flip in 0_usize..400, bit in 0_u8..8) {
            let mut bytes = clip(8, 8, 3);
            let flip = flip % bytes.len();
            bytes[flip] ^= 1 << bit;
            bytes.truncate(bytes.len().saturating_sub(cut));
            let _ = read_all(&bytes);
        }
    }
}
