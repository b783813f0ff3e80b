//! Reads as much of an H.264 byte stream as tells how large its pictures will be (ITU-T H.264, 7.3.2.1.1 and Annex B). It decides
//! what the decoder may see; it decodes nothing.

use super::super::check_size;
use super::NAME;
use crate::error::MediaError;

/// NAL units in one frame. Ours have three at most: two parameter sets and a slice.
const MAX_NAL_UNITS: usize = 64;

/// Reference pictures a stream may keep. Ours keep one; each costs a whole picture of memory.
const MAX_REFERENCES: u32 = 4;

const NAL_SPS: u8 = 7;
const NAL_PREFIX: u8 = 14;
const NAL_SUBSET_SPS: u8 = 15;
const NAL_EXTENSIONS: std::ops::RangeInclusive<u8> = 20..=21;

const PROFILE_BASELINE: u32 = 66;
const PROFILE_MAIN: u32 = 77;
const PROFILE_HIGH: u32 = 100;

/// Refuses a frame with a parameter set beyond the limits, or of a kind that is not taken.
pub(super) fn check(frame: &[u8]) -> Result<(), MediaError> {
    let mut count = 0;
    for unit in nal_units(frame) {
        count += 1;
        if count > MAX_NAL_UNITS {
            return Err(MediaError::damaged(NAME, "too many NAL units"));
        }
        let Some((header, body)) = unit.split_first() else { continue };
        match header & 0x1f {
            NAL_SPS => {
                let (width, height) = picture_size(body)?;
                check_size(width, height)?;
            }
            kind if kind == NAL_PREFIX || kind == NAL_SUBSET_SPS || NAL_EXTENSIONS.contains(&kind) => {
                return Err(MediaError::damaged(NAME, "scalable and stereo streams are not taken"));
            }
            _ => {}
        }
    }
    if count == 0 {
        return Err(MediaError::damaged(NAME, "no start code"));
    }
    Ok(())
}

/// What stands between the start codes `00 00 01`.
fn nal_units(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(frame);
    std::iter::from_fn(move || {
        let unit = rest?;
        let end = unit.windows(3).position(|window| window == [0, 0, 1]).unwrap_or(unit.len());
        let (this, following) = unit.split_at_checked(end)?;
        rest = after_start_code(following);
        Some(this)
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.windows(3).position(|window| window == [0, 0, 1])?;
    bytes.get(start + 3..)
}

/// Coded width and height in pixels, before cropping.
fn picture_size(sps: &[u8]) -> Result<(u32, u32), MediaError> {
    let mut bits = Bits::new(sps);
    read_size(&mut bits).ok_or_else(|| MediaError::damaged(NAME, "a sequence parameter set that is not taken"))
}

fn read_size(bits: &mut Bits) -> Option<(u32, u32)> {
    let profile = bits.bits(8)?;
    bits.bits(16)?; // constraints and level
    bits.ue()?; // its id
    match profile {
        PROFILE_BASELINE | PROFILE_MAIN => {}
        PROFILE_HIGH => {
            let (chroma_format, luma_depth, chroma_depth) = (bits.ue()?, bits.ue()?, bits.ue()?);
            let (_bypass, scaling_matrix) = (bits.bits(1)?, bits.bits(1)?);
            if (chroma_format, luma_depth, chroma_depth, scaling_matrix) != (1, 0, 0, 0) {
                return None;
            }
        }
        _ => return None,
    }
    bits.ue()?; // bits of a frame number
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bits(1)?;
            bits.ue()?;
            bits.ue()?;
            let cycle = bits.ue()?;
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.ue()?;
            }
        }
        2 => {}
        _ => return None,
    }
    if bits.ue()? > MAX_REFERENCES {
        return None;
    }
    bits.bits(1)?; // gaps in frame numbers
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let rows = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let frames_only = bits.bits(1)? == 1;
    Some((width, if frames_only { rows } else { rows.checked_mul(2)? }))
}

/// Reads bits, most significant first, and skips the emulation prevention bytes.
struct Bits {
    /// At most this much of a parameter set is looked at; the size stands near its front.
    bytes: Vec<u8>,
    position: usize,
}

impl Bits {
    const MAX_BYTES: usize = 1024;

    fn new(payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len().min(Self::MAX_BYTES));
        let mut zeros = 0;
        for &byte in payload.iter().take(Self::MAX_BYTES) {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, position: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(u32::from(bit))
    }

    /// An unsigned number of `count` bits, 32 at most.
    fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | self.bit()?;
        }
        Some(value)
    }

    /// An Exp-Golomb number (9.1). A signed one is as long, and none is needed here.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some((1_u32 << zeros) - 1 + rest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    /// Writes the parameter set of a baseline stream of `width` by `height` macroblocks.
    fn sps(width_mbs: u32, height_mbs: u32, references: u32) -> Vec<u8> {
        let mut bits = String::new();
        let ue = |value: u32| {
            let value = value + 1;
            let length = 32 - value.leading_zeros();
            (0..length - 1).map(|_| '0').collect::<String>() + &format!("{value:b}")
        };
        bits += &format!("{:08b}{:08b}{:08b}", 66, 0xc0, 31);
        for value in [0, 0, 2, references] {
            bits += &ue(value);
        }
        bits += "0";
        bits += &ue(width_mbs - 1);
        bits += &ue(height_mbs - 1);
        bits += "11001";
        let mut bytes = vec![0, 0, 0, 1, 0x67];
        for chunk in bits.as_bytes().chunks(8) {
            let text = format!("{:0<8}", std::str::from_utf8(chunk).unwrap());
            bytes.push(u8::from_str_radix(&text, 2).unwrap());
        }
        bytes
    }

    #[test]
    fn size_of_a_parameter_set_is_read() {
        assert_eq!(picture_size(&sps(80, 45, 1)[5..]).unwrap(), (1280, 720));
        assert!(check(&sps(80, 45, 1)).is_ok());
    }

    #[test]
    fn oversized_parameter_set_is_refused() {
        assert!(matches!(check(&sps(257, 144, 1)), Err(MediaError::PictureSize { .. })));
        assert!(matches!(check(&sps(65_535, 65_535, 1)), Err(MediaError::PictureSize { .. })));
        assert!(check(&sps(256, 144, 1)).is_ok());
        assert!(check(&sps(80, 45, 16)).is_err());
    }

    #[test]
    fn scalable_extension_is_refused() {
        assert!(check(&[0, 0, 1, 0x6f, 66, 0, 31]).is_err());
        assert!(check(&[]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes);
            let _ = picture_size(&bytes);
        }

        #[test]
        fn no_size_beyond_the_limit_passes(width in 1_u32..2000, height in 1_u32..2000) {
            let taken = check(&sps(width, height, 1)).is_ok();
            prop_assert_eq!(taken, width * 16 * height * 16 <= super::super::super::MAX_AREA && width <= 480 && height <= 480);
        }
    }
}
