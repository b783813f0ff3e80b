//! Reads the uncompressed header of a VP9 frame (VP9 bitstream specification 0.6, 6.2) as far as the size of its picture. It decides
//! what the decoder may see; it decodes nothing.

use super::super::check_size;
use super::NAME;
use crate::error::MediaError;

const SYNC_CODE: u32 = 0x49_83_42;
const COLOR_SPACE_RGB: u32 = 7;

/// What the header tells before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Carries its own size: a keyframe, an intra-only frame, or one that departs from its references.
    Sized { width: u32, height: u32, keyframe: bool },
    /// Has the size of a frame before it, or shows that frame again.
    AsBefore,
}

/// Refuses a frame beyond the limits, or of a profile other than 0.
pub(super) fn check(frame: &[u8]) -> Result<Header, MediaError> {
    let header = read(&mut Bits { bytes: frame, position: 0 })
        .ok_or_else(|| MediaError::damaged(NAME, "a frame header that is not taken"))?;
    if let Header::Sized { width, height, .. } = header {
        check_size(width, height)?;
    }
    Ok(header)
}

fn read(bits: &mut Bits<'_>) -> Option<Header> {
    let (marker, profile) = (bits.take(2)?, bits.take(2)?);
    if marker != 2 || profile != 0 {
        return None;
    }
    if bits.flag()? {
        return Some(Header::AsBefore);
    }
    let (inter, shown, resilient) = (bits.flag()?, bits.flag()?, bits.flag()?);
    if !inter {
        sync_code(bits)?;
        if bits.take(3)? == COLOR_SPACE_RGB {
            return None;
        }
        bits.flag()?; // range
        return size(bits, true);
    }
    let intra_only = !shown && bits.flag()?;
    if !resilient {
        bits.take(2)?; // which contexts are reset
    }
    if intra_only {
        sync_code(bits)?;
        bits.take(8)?; // which references are replaced
        return size(bits, false);
    }
    bits.take(8)?;
    bits.take(12)?; // three references, and their signs
    for _ in 0..3 {
        if bits.flag()? {
            return Some(Header::AsBefore);
        }
    }
    size(bits, false)
}

fn sync_code(bits: &mut Bits<'_>) -> Option<()> {
    (bits.take(24)? == SYNC_CODE).then_some(())
}

fn size(bits: &mut Bits<'_>, keyframe: bool) -> Option<Header> {
    Some(Header::Sized { width: bits.take(16)? + 1, height: bits.take(16)? + 1, keyframe })
}

/// Reads bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// An unsigned number of `count` bits, 32 at most.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn keyframe(width: u16, height: u16) -> Vec<u8> {
        // Marker 10, profile 00, not shown again, key, shown, not resilient; sync code; colour space 1, limited range.
        let mut bits = String::from("10000010");
        bits += &format!("{SYNC_CODE:024b}");
        bits += "0010";
        bits += &format!("{width:016b}{height:016b}0000");
        (0..bits.len() / 8).map(|byte| u8::from_str_radix(bits.get(byte * 8..byte * 8 + 8).unwrap(), 2).unwrap()).collect()
    }

    #[test]
    fn size_of_a_keyframe_is_read() {
        assert_eq!(check(&keyframe(1279, 719)).unwrap(), Header::Sized { width: 1280, height: 720, keyframe: true });
    }

    #[test]
    fn oversized_keyframe_is_refused() {
        assert!(matches!(check(&keyframe(65_535, 65_535)), Err(MediaError::PictureSize { .. })));
        assert!(matches!(check(&keyframe(7680, 100)), Err(MediaError::PictureSize { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = check(&bytes);
        }
    }
}
