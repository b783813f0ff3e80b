//! Opus packets of 20 ms in an Ogg file (RFC 3533, RFC 7845). It writes only; each page goes out whole.

use std::io::{self, Write};

use crate::audio::FRAME;

/// Samples that a decoder drops at the beginning: what the encoder looks ahead, at 48 kHz.
const PRE_SKIP: u16 = 312;
/// The most packets on a page: a second of sound, of which a crash loses no more.
const PACKETS: usize = 50;
/// The most lacing values on a page.
const SEGMENTS: usize = 255;
/// The longest packet that is taken, in bytes; a larger one is left out.
const MAX_PACKET: usize = crate::codec::opus::MAX_PACKET;

/// 20 ms of digital silence: a packet of CELT, full band, mono.
pub const SILENT_PACKET: [u8; 3] = [0xf8, 0xff, 0xfe];

const FIRST_PAGE: u8 = 2;
const LAST_PAGE: u8 = 4;

/// Writes one mono voice.
#[derive(Debug)]
pub struct OggOpusWriter<W> {
    out: W,
    serial: u32,
    /// Pages written.
    pages: u32,
    /// Packets on pages that are written.
    packets: u64,
    /// Packets of the page to come.
    lengths: Vec<usize>,
    body: Vec<u8>,
}

impl<W: Write> OggOpusWriter<W> {
    /// Writes the headers. `serial` tells streams of one file apart.
    pub fn new(out: W, serial: u32) -> io::Result<Self> {
        let mut writer = Self { out, serial, pages: 0, packets: 0, lengths: Vec::new(), body: Vec::new() };
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(48_000u32.to_le_bytes());
        // No gain, and the mapping of one stream of one channel.
        head.extend([0, 0, 0]);
        writer.page(FIRST_PAGE, 0, &[head.len()], &head)?;
        let vendor = b"Conclave";
        let mut tags = b"OpusTags".to_vec();
        tags.extend((vendor.len() as u32).to_le_bytes());
        tags.extend(vendor);
        tags.extend(0u32.to_le_bytes());
        writer.page(0, 0, &[tags.len()], &tags)?;
        writer.out.flush()?;
        Ok(writer)
    }

    /// Packets so far, written or waiting for their page.
    pub fn packets(&self) -> u64 {
        self.packets + self.lengths.len() as u64
    }

    /// Adds 20 ms. An empty or overlong packet becomes silence, so that time goes on.
    pub fn push(&mut self, packet: &[u8]) -> io::Result<()> {
        let packet = if packet.is_empty() || packet.len() > MAX_PACKET { &SILENT_PACKET } else { packet };
        let segments: usize = self.lengths.iter().chain([&packet.len()]).map(|length| length / 255 + 1).sum();
        if self.lengths.len() >= PACKETS || segments > SEGMENTS {
            self.write_waiting(0, self.lengths.len())?;
        }
        self.lengths.push(packet.len());
        self.body.extend_from_slice(packet);
        Ok(())
    }

    /// Writes what waits but for one packet, which the last page will need.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.lengths.len() {
            0 | 1 => Ok(()),
            waiting => self.write_waiting(0, waiting - 1),
        }
    }

    /// Writes the last page.
    pub fn finish(&mut self) -> io::Result<()> {
        self.write_waiting(LAST_PAGE, self.lengths.len())
    }

    fn write_waiting(&mut self, kind: u8, packets: usize) -> io::Result<()> {
        let lengths: Vec<usize> = self.lengths.drain(..packets).collect();
        let end: usize = lengths.iter().sum();
        let body: Vec<u8> = self.body.drain(..end).collect();
        self.packets += lengths.len() as u64;
        self.page(kind, self.packets * FRAME as u64, &lengths, &body)?;
        self.out.flush()
    }

    fn page(&mut self, kind: u8, granule: u64, lengths: &[usize], body: &[u8]) -> io::Result<()> {
        let mut lacing = Vec::with_capacity(SEGMENTS);
        for length in lengths {
            lacing.extend(std::iter::repeat_n(255, length / 255));
            lacing.push((length % 255) as u8);
        }
        let segments = u8::try_from(lacing.len()).map_err(io::Error::other)?;
        let mut page = Vec::with_capacity(27 + lacing.len() + body.len());
        page.extend(b"OggS\0");
        page.push(kind);
        page.extend(granule.to_le_bytes());
        page.extend(self.serial.to_le_bytes());
        page.extend(self.pages.to_le_bytes());
        page.extend([0; 4]);
        page.push(segments);
        page.extend(lacing);
        page.extend(body);
        let checksum = crc(&page).to_le_bytes();
        for (slot, byte) in page.iter_mut().skip(22).zip(checksum) {
            *slot = byte;
        }
        self.pages = self.pages.wrapping_add(1);
        self.out.write_all(&page)
    }
}

/// The CRC of RFC 3533: polynomial 0x04c11db7, nothing reflected, nothing inverted.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc: u32, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
pub(super) mod testing {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    pub(crate) struct Page {
        pub(crate) kind: u8,
        pub(crate) granule: u64,
        pub(crate) packets: Vec<Vec<u8>>,
    }

    /// The pages of a file; every one is checked. What is cut short at the end is left out.
    pub(crate) fn pages(mut file: &[u8]) -> Vec<Page> {
        let mut pages = Vec::new();
        while file.len() >= 27 {
            assert_eq!(&file[..5], b"OggS\0");
            let (granule, sequence) = (u64::from_le_bytes(file[6..14].try_into().unwrap()), &file[18..22]);
            assert_eq!(u32::from_le_bytes(sequence.try_into().unwrap()), pages.len() as u32);
            let lacing = &file[27..27 + usize::from(file[26])];
            let start = 27 + lacing.len();
            let length = start + lacing.iter().map(|l| usize::from(*l)).sum::<usize>();
            if file.len() < length {
                break;
            }
            let mut checked = file[..length].to_vec();
            checked[22..26].fill(0);
            assert_eq!(super::crc(&checked), u32::from_le_bytes(file[22..26].try_into().unwrap()), "page {}", pages.len());
            let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), start);
            for l in lacing {
                packet.extend_from_slice(&file[at..at + usize::from(*l)]);
                at += usize::from(*l);
                if *l < 255 {
                    packets.push(std::mem::take(&mut packet));
                }
            }
            assert!(packet.is_empty(), "no packet goes on to another page");
            pages.push(Page { kind: file[5], granule, packets });
            file = &file[length..];
        }
        pages
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::testing::pages;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // From the definition: a single one shifted through the polynomial once.
        assert_eq!(crc(&[1]), 0x04c1_1db7);
        assert_eq!(crc(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn headers_and_positions_are_those_of_rfc_7845() {
        let mut writer = OggOpusWriter::new(Vec::new(), 7).unwrap();
        for n in 0..120u8 {
            writer.push(&[n; 80]).unwrap();
        }
        writer.finish().unwrap();
        let pages = pages(&writer.out);
        assert_eq!(pages[0].packets[0], b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        assert!(pages[1].packets[0].starts_with(b"OpusTags\x08\0\0\0Conclave\0\0\0\0"));
        let positions: Vec<_> = pages[2..].iter().map(|page| page.granule).collect();
        assert_eq!(positions, [50 * 960, 100 * 960, 120 * 960]);
        assert_eq!((pages[0].kind, pages[2].kind, pages[4].kind), (FIRST_PAGE, 0, LAST_PAGE));
        let packets: Vec<_> = pages[2..].iter().flat_map(|page| &page.packets).collect();
        assert!(packets.iter().enumerate().all(|(n, packet)| **packet == [n as u8; 80]) && packets.len() == 120);
    }

    proptest! {
        #[test]
        fn packets_of_any_length_come_back(lengths in prop::collection::vec(0usize..1400, 0..200), flush in 1usize..60) {
            let mut writer = OggOpusWriter::new(Vec::new(), 0).unwrap();
            for (n, length) in lengths.iter().enumerate() {
                writer.push(&vec![n as u8; *length]).unwrap();
                if n % flush == 0 {
                    writer.flush().unwrap();
                }
            }
            writer.finish().unwrap();
            let packets: Vec<_> = pages(&writer.out)[2..].iter().flat_map(|page| page.packets.clone()).collect();
            prop_assert_eq!(packets.len(), lengths.len());
            for (n, (packet, length)) in packets.iter().zip(lengths).enumerate() {
                let silent = length == 0 || length > 1275;
                prop_assert_eq!(packet, &if silent { SILENT_PACKET.to_vec() } else { vec![n as u8; length] });
            }
        }
    }
}
