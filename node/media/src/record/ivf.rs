//! Coded pictures in an IVF file, in milliseconds. It writes only; the count in the header is kept up to date.

use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

use crate::codec::VideoCodec;

/// Ticks in a second.
const TIMEBASE: u32 = 1000;

/// Writes one stream of pictures.
#[derive(Debug)]
pub struct IvfWriter<W> {
    out: W,
    frames: u32,
    last: Option<u64>,
}

impl<W: Write + Seek> IvfWriter<W> {
    /// Writes the header. The size is for those who look at the header only; zeros are allowed.
    pub fn new(mut out: W, codec: VideoCodec, width: u32, height: u32) -> io::Result<Self> {
        let side = |side: u32| u16::try_from(side).unwrap_or(0).to_le_bytes();
        let mut header = b"DKIF\0\0\x20\0".to_vec();
        header.extend(match codec {
            VideoCodec::H264 => b"H264",
            VideoCodec::Vp9 => b"VP90",
        });
        header.extend(side(width));
        header.extend(side(height));
        header.extend(TIMEBASE.to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend([0; 8]);
        out.write_all(&header)?;
        Ok(Self { out, frames: 0, last: None })
    }

    /// Adds a frame at a time since the beginning. Times that do not grow are moved up to the next millisecond.
    pub fn push(&mut self, at: Duration, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX).max(self.last.map_or(0, |last| last.saturating_add(1)));
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&at.to_le_bytes())?;
        self.out.write_all(frame)?;
        self.last = Some(at);
        self.frames += 1;
        Ok(())
    }

    /// Puts the count into the header and everything onto the disk.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(24))?;
        self.out.write_all(&self.frames.to_le_bytes())?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_file_is_as_the_format_says() {
        let mut writer = IvfWriter::new(Cursor::new(Vec::new()), VideoCodec::Vp9, 640, 360).unwrap();
        writer.push(Duration::from_millis(40), b"abc").unwrap();
        writer.push(Duration::from_millis(40), b"d").unwrap();
        writer.flush().unwrap();
        let file = writer.out.into_inner();
        assert_eq!(&file[..16], b"DKIF\0\0\x20\0VP90\x80\x02\x68\x01");
        assert_eq!(&file[16..32], [0xe8, 3, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&file[32..47], b"\x03\0\0\0\x28\0\0\0\0\0\0\0abc");
        assert_eq!(&file[47..], b"\x01\0\0\0\x29\0\0\0\0\0\0\0d");
    }
}
