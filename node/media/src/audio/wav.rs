//! RIFF WAVE files: a reader that trusts no size in the file, and a writer whose file is readable at any moment. The reader's memory
//! is bounded by what its caller asks for, not by what the file says.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::SAMPLE_RATE;
use crate::error::MediaError;

/// The chunks that are looked through before the sound must have come.
const MAX_CHUNKS: usize = 256;
/// The most channels that are mixed down.
const MAX_CHANNELS: u16 = 32;
/// Sample rates that are taken, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Frames that are read from the file at once.
const READ_FRAMES: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Coding {
    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    fn sample(self, bytes: &[u8]) -> f32 {
        let value = match (self, bytes) {
            (Self::Unsigned8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Self::Signed16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Self::Signed24, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
            (Self::Signed32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            (Self::Float32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::Float64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => 0.0,
        };
        if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// Reads PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, of any sensible rate and number of channels, mixed down to mono.
pub struct WavReader<R> {
    file: R,
    coding: Coding,
    channels: u16,
    rate: u32,
    data_start: u64,
    data_end: u64,
    position: u64,
}

impl<R> std::fmt::Debug for WavReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WavReader({:?}, {} channels, {} Hz)", self.coding, self.channels, self.rate)
    }
}

impl WavReader<BufReader<File>> {
    /// # Errors
    /// A file that cannot be opened or is not a wave file of the kinds above.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let file = File::open(path).map_err(|error| MediaError::unavailable(path.display().to_string(), error))?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read + Seek> WavReader<R> {
    /// # Errors
    /// What is not a wave file of the kinds above.
    pub fn new(mut file: R) -> Result<Self, MediaError> {
        let length = file.seek(SeekFrom::End(0)).map_err(damaged)?;
        file.seek(SeekFrom::Start(0)).map_err(damaged)?;
        let mut riff = [0; 12];
        file.read_exact(&mut riff).map_err(damaged)?;
        // The size in between is a lie in every file that was streamed.
        if !riff.starts_with(b"RIFF") || !riff.ends_with(b"WAVE") {
            return Err(damaged("not a RIFF WAVE file"));
        }
        let mut position = riff.len() as u64;
        let mut format = None;
        for _ in 0..MAX_CHUNKS {
            let mut header = [0; 8];
            file.read_exact(&mut header).map_err(damaged)?;
            position += 8;
            let [a, b, c, d, size @ ..] = header;
            let size = u64::from(u32::from_le_bytes(size));
            match &[a, b, c, d] {
                b"fmt " => format = Some(read_format(&mut file, size)?),
                b"data" => {
                    let (coding, channels, rate) = format.ok_or_else(|| damaged("sound before its format"))?;
                    // A stream that could not go back to write the size leaves 0 or all ones.
                    let left = length.saturating_sub(position);
                    let size = if size == 0 || size == u64::from(u32::MAX) { left } else { size.min(left) };
                    let frame = coding.bytes() as u64 * u64::from(channels);
                    let data_end = position + size / frame * frame;
                    return Ok(Self { file, coding, channels, rate, data_start: position, data_end, position });
                }
                _ => {}
            }
            // Chunks are padded to an even length.
            position = position.saturating_add(size).saturating_add(size % 2);
            if position > length {
                return Err(damaged("a chunk goes beyond the end"));
            }
            file.seek(SeekFrom::Start(position)).map_err(damaged)?;
        }
        Err(damaged("too many chunks before the sound"))
    }

    /// In hertz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples of each channel there are.
    pub fn frames(&self) -> u64 {
        (self.data_end - self.data_start) / self.frame_bytes() as u64
    }

    fn frame_bytes(&self) -> usize {
        self.coding.bytes() * usize::from(self.channels)
    }

    /// Back to the first sample.
    pub fn rewind(&mut self) -> Result<(), MediaError> {
        self.file.seek(SeekFrom::Start(self.data_start)).map_err(damaged)?;
        self.position = self.data_start;
        Ok(())
    }

    /// Adds up to `frames` mono samples to `out` and returns how many; 0 at the end. At most 4,096 are read in one call.
    pub fn read(&mut self, frames: usize, out: &mut Vec<f32>) -> Result<usize, MediaError> {
        let left = (self.data_end - self.position) / self.frame_bytes() as u64;
        let frames = frames.min(READ_FRAMES).min(usize::try_from(left).unwrap_or(READ_FRAMES));
        let mut bytes = vec![0; frames * self.frame_bytes()];
        self.file.read_exact(&mut bytes).map_err(damaged)?;
        self.position += bytes.len() as u64;
        let (coding, share) = (self.coding, 1.0 / f32::from(self.channels));
        out.extend(
            bytes
                .chunks_exact(self.frame_bytes())
                .map(|frame| frame.chunks_exact(coding.bytes()).map(|bytes| coding.sample(bytes)).sum::<f32>() * share),
        );
        Ok(frames)
    }
}

fn read_format(file: &mut impl Read, size: u64) -> Result<(Coding, u16, u32), MediaError> {
    let mut fields = [0; 26];
    let known = usize::try_from(size).unwrap_or(fields.len()).min(fields.len());
    if known < 16 {
        return Err(damaged("its format is cut short"));
    }
    file.read_exact(fields.get_mut(..known).unwrap_or_default()).map_err(damaged)?;
    let [tag0, tag1, ch0, ch1, r0, r1, r2, r3, _, _, _, _, align0, align1, bits0, bits1, .., sub0, sub1] = fields;
    let (channels, rate) = (u16::from_le_bytes([ch0, ch1]), u32::from_le_bytes([r0, r1, r2, r3]));
    let (align, bits) = (u16::from_le_bytes([align0, align1]), u16::from_le_bytes([bits0, bits1]));
    // The extensible format keeps the old tag in the first two bytes of its GUID.
    let tag = match u16::from_le_bytes([tag0, tag1]) {
        0xfffe => u16::from_le_bytes([sub0, sub1]),
        tag => tag,
    };
    let coding = match (tag, bits) {
        (1, 8) => Coding::Unsigned8,
        (1, 16) => Coding::Signed16,
        (1, 24) => Coding::Signed24,
        (1, 32) => Coding::Signed32,
        (3, 32) => Coding::Float32,
        (3, 64) => Coding::Float64,
        _ => return Err(damaged(format!("coding {tag} of {bits} bits is not supported"))),
    };
    if !(1..=MAX_CHANNELS).contains(&channels) || !RATES.contains(&rate) {
        return Err(damaged(format!("{channels} channels at {rate} Hz are not supported")));
    }
    if usize::from(align) != coding.bytes() * usize::from(channels) {
        return Err(damaged("its sizes contradict each other"));
    }
    Ok((coding, channels, rate))
}

fn damaged(reason: impl std::fmt::Display) -> MediaError {
    MediaError::damaged("WAV file", reason)
}

/// The most sound that the sizes in a header can tell, in bytes.
const MAX_DATA: u64 = u32::MAX as u64 - 64;

/// Writes 48 kHz mono of 16 bits. The header is brought up to date once a second and on drop.
pub struct WavWriter {
    file: BufWriter<File>,
    name: String,
    written: u64,
    told: u64,
}

impl std::fmt::Debug for WavWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WavWriter({}, {} bytes)", self.name, self.written)
    }
}

impl WavWriter {
    /// Makes the file or empties it.
    pub fn create(path: &Path) -> Result<Self, MediaError> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| MediaError::unavailable(&name, error))?;
        let mut writer = Self { file: BufWriter::new(file), name, written: 0, told: 0 };
        writer.write_header().map_err(|error| MediaError::unavailable(&writer.name, error))?;
        Ok(writer)
    }

    /// # Errors
    /// A disk that is full or gone, and a file that has grown to 4 GiB (12 hours).
    pub fn write(&mut self, samples: &[f32]) -> Result<(), MediaError> {
        if self.written + 2 * samples.len() as u64 > MAX_DATA {
            return Err(MediaError::gone(&self.name, "the file has reached 4 GiB"));
        }
        let bytes: Vec<u8> =
            samples.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32_767.0).round() as i16).to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(|error| MediaError::gone(&self.name, error))?;
        self.written += bytes.len() as u64;
        if self.written - self.told >= u64::from(SAMPLE_RATE) * 2 {
            self.update_header()?;
        }
        Ok(())
    }

    /// Makes the file whole up to here.
    pub fn update_header(&mut self) -> Result<(), MediaError> {
        self.told = self.written;
        self.write_header().map_err(|error| MediaError::gone(&self.name, error))
    }

    fn write_header(&mut self) -> std::io::Result<()> {
        let size = u32::try_from(self.written).unwrap_or(u32::MAX);
        let mut header = Vec::with_capacity(44);
        header.extend(b"RIFF");
        header.extend((size.saturating_add(36)).to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(16u32.to_le_bytes());
        header.extend(1u16.to_le_bytes());
        header.extend(1u16.to_le_bytes());
        header.extend(SAMPLE_RATE.to_le_bytes());
        header.extend((SAMPLE_RATE * 2).to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(16u16.to_le_bytes());
        header.extend(b"data");
        header.extend(size.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        if let Err(error) = self.update_header().and_then(|()| self.file.flush().map_err(|e| MediaError::gone(&self.name, e))) {
            tracing::warn!(%error, "the sound file is left incomplete");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn wav(tag: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
        let align = bits / 8 * channels;
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * u32::from(align)).to_le_bytes());
        file.extend(align.to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file
    }

    fn all(file: Vec<u8>) -> Result<Vec<f32>, MediaError> {
        let mut reader = WavReader::new(Cursor::new(file))?;
        let mut out = Vec::new();
        while reader.read(1000, &mut out)? > 0 {}
        Ok(out)
    }

    #[test]
    fn every_coding_is_read_and_stereo_is_mixed_down() {
        assert_eq!(all(wav(1, 8, 1, 8_000, &[128, 192, 0])).unwrap(), [0.0, 0.5, -1.0]);
        assert_eq!(all(wav(1, 16, 2, 44_100, &[0, 0x40, 0, 0, 0, 0x80, 0, 0x80])).unwrap(), [0.25, -1.0]);
        assert_eq!(all(wav(1, 24, 1, 48_000, &[0, 0, 0x40])).unwrap(), [0.5]);
        assert_eq!(all(wav(1, 32, 1, 48_000, &[0, 0, 0, 0xc0])).unwrap(), [-0.5]);
        assert_eq!(all(wav(3, 32, 1, 48_000, &0.75f32.to_le_bytes())).unwrap(), [0.75]);
        assert_eq!(all(wav(3, 64, 1, 48_000, &f64::NAN.to_le_bytes())).unwrap(), [0.0]);
    }

    #[test]
    fn lying_sizes_end_at_the_end_of_the_file() {
        let mut file = wav(1, 16, 1, 48_000, &[1, 2, 3, 4, 5]);
        let at = file.len() - 5 - 4;
        for size in [0u32, 4, 5, 1_000_000, u32::MAX] {
            file[at..at + 4].copy_from_slice(&size.to_le_bytes());
            assert_eq!(all(file.clone()).unwrap().len(), 2, "size {size}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        for (tag, bits, channels, rate) in
            [(1, 12, 1, 48_000), (2, 16, 1, 48_000), (1, 16, 0, 48_000), (1, 16, 1, 0), (1, 16, 99, 48_000)]
        {
            assert!(all(wav(tag, bits, channels, rate, &[0; 8])).is_err(), "{tag} {bits} {channels} {rate}");
        }
    }

    #[test]
    fn what_is_written_is_readable_at_any_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.wav");
        let mut writer = WavWriter::create(&path).unwrap();
        writer.write(&[0.5; 48_000]).unwrap();
        let mut early = WavReader::open(&path).unwrap();
        assert!(early.frames() > 40_000, "the header is kept up to date");
        let mut out = Vec::new();
        assert_eq!(early.read(10, &mut out).unwrap(), 10);
        writer.write(&[2.0, -2.0]).unwrap();
        drop(writer);
        let mut reader = WavReader::open(&path).unwrap();
        assert_eq!((reader.frames(), reader.rate()), (48_002, SAMPLE_RATE));
        out.clear();
        while reader.read(usize::MAX, &mut out).unwrap() > 0 {}
        assert!((out[0] - 0.5).abs() < 1e-4 && out[48_000] > 0.999 && out[48_001] < -0.999);
    }

    proptest! {
        #[test]
        fn truncated_files_end_in_sound_or_an_error(cut in 0usize..200) {
            let mut file = wav(1, 16, 2, 44_100, &[7; 140]);
            file.truncate(cut.min(file.len()));
            if let Ok(sound) = all(file) {
                prop_assert!(sound.len() <= 35);
            }
        }

        #[test]
        fn flipped_bits_end_in_sound_or_an_error(bits in prop::collection::vec((0usize..60, 0u8..8), 1..4)) {
            let mut file = wav(1, 16, 2, 44_100, &[7; 140]);
            for (at, bit) in bits {
                file[at] ^= 1 << bit;
            }
            if let Ok(sound) = all(file) {
                prop_assert!(sound.len() <= 140);
            }
        }

        #[test]
        fn any_bytes_end_in_sound_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
            file.extend(tail);
            if let Ok(sound) = all(file) {
                prop_assert!(sound.len() <= 300);
            }
        }
    }
}
