//! What two members say to each other about files: small words on the control stream, sealed chunks on the data stream. Reading one must
//! never allocate more than its own length.

use minicbor::{Decode, Encode};

use crate::id::FileId;
use crate::swarm::hashes::PAGE;
use crate::swarm::have::{Have, Range};
use crate::swarm::manifest::{LARGE_CHUNK, MAX_PAGES, TAG};
use crate::wire::{self, WireError};

/// Longest frame of the control stream, in bytes: a bitmap of a million chunks, and the rest.
pub const MAX_CONTROL_FRAME: usize = 160 * 1024;
/// Longest frame of the data stream, in bytes.
pub const MAX_DATA_FRAME: usize = LARGE_CHUNK as usize + TAG as usize + 128;
/// Most ranges in one message; beyond it a bitmap is sent.
pub const MAX_RANGES: usize = 2048;
/// Most chunks of one file.
pub const MAX_CHUNKS: u32 = MAX_PAGES as u32 * PAGE;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Too much is asked for at once: later again.
    Busy,
    /// The chunk, or the whole file, is not here.
    Gone,
    /// The file was changed since it was shared: what is here is not what the manifest names.
    Stale,
}

/// What of a file is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// As ranges.
    Ranges(Vec<Range>),
    /// As [`Have::to_bytes`].
    Bitmap(Vec<u8>),
}

impl Held {
    /// The shorter of both.
    pub fn of(have: &Have) -> Self {
        let ranges = have.ranges();
        if ranges.len() <= MAX_RANGES { Self::Ranges(ranges) } else { Self::Bitmap(have.to_bytes()) }
    }

    /// What it says of a file with so many chunks; `None` where it cannot be of that file.
    pub fn read(&self, chunks: u32) -> Option<Have> {
        match self {
            Self::Bitmap(bytes) => Have::from_bytes(bytes, chunks),
            Self::Ranges(ranges) => {
                if !ranges.iter().all(|(start, len)| start.checked_add(*len).is_some_and(|end| end <= chunks)) {
                    return None;
                }
                let mut have = Have::none(chunks);
                // Ranges that overlap would let a few bytes cost much time.
                if ranges.iter().map(|(_, len)| u64::from(*len)).sum::<u64>() > u64::from(chunks) {
                    return None;
                }
                ranges.iter().for_each(|range| have.insert_range(*range));
                Some(have)
            }
        }
    }
}

/// A word on the control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// This device fetches or serves the file, and holds this of it. Said first, and answered with the other side's if it has any part in
    /// the file too. `wants`: it fetches.
    Hello { file: FileId, root: [u8; 32], held: Held, wants: bool },
    /// Further chunks are held: every 200 ms, or after 16.
    Have { file: FileId, ranges: Vec<Range> },
    /// Asks for a page of hashes.
    GetHashes { file: FileId, page: u32 },
    /// A page of hashes.
    Hashes { file: FileId, page: u32, hashes: Vec<[u8; 32]> },
    /// From one who holds all: these were not handed out yet, fetch them here.
    Hint { file: FileId, ranges: Vec<Range> },
    /// Asks for a chunk; of no use after so many milliseconds.
    Request { file: FileId, id: u64, index: u32, within_ms: u32 },
    /// It is wanted no more.
    Cancel { file: FileId, id: u64 },
    /// A request is not served.
    Reject { file: FileId, id: u64, why: Why },
    /// No part in the file any more.
    Bye { file: FileId },
    /// No more than so many bytes a second of all files together are wanted from here on; 0: as many as there are.
    Pace { bytes_per_s: u64 },
    /// From a newer version: skipped.
    Unknown(u32),
}

#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    kind: u32,
    #[n(1)]
    file: Option<FileId>,
    #[n(2)]
    ranges: Option<Vec<(u32, u32)>>,
    #[cbor(n(3), with = "minicbor::bytes")]
    bytes: Option<Vec<u8>>,
    #[n(4)]
    id: Option<u64>,
    #[n(5)]
    index: Option<u32>,
    #[n(6)]
    number: Option<u32>,
    #[cbor(n(7), with = "minicbor::bytes")]
    root: Option<[u8; 32]>,
}

impl Control {
    /// The payload of a frame.
    pub fn encode(&self) -> Vec<u8> {
        let raw = match self.clone() {
            Self::Hello { file, root, held, wants } => {
                let (ranges, bytes) = match held {
                    Held::Ranges(ranges) => (Some(ranges), None),
                    Held::Bitmap(bytes) => (None, Some(bytes)),
                };
                let number = Some(u32::from(wants));
                Raw { kind: 1, file: Some(file), root: Some(root), ranges, bytes, number, ..Raw::default() }
            }
            Self::Have { file, ranges } => Raw { kind: 2, file: Some(file), ranges: Some(ranges), ..Raw::default() },
            Self::GetHashes { file, page } => Raw { kind: 3, file: Some(file), index: Some(page), ..Raw::default() },
            Self::Hashes { file, page, hashes } => {
                Raw { kind: 4, file: Some(file), index: Some(page), bytes: Some(hashes.concat()), ..Raw::default() }
            }
            Self::Hint { file, ranges } => Raw { kind: 5, file: Some(file), ranges: Some(ranges), ..Raw::default() },
            Self::Request { file, id, index, within_ms } => {
                Raw { kind: 6, file: Some(file), id: Some(id), index: Some(index), number: Some(within_ms), ..Raw::default() }
            }
            Self::Cancel { file, id } => Raw { kind: 7, file: Some(file), id: Some(id), ..Raw::default() },
            Self::Reject { file, id, why } => {
                let why = match why {
                    Why::Busy => 1,
                    Why::Gone => 2,
                    Why::Stale => 3,
                };
                Raw { kind: 8, file: Some(file), id: Some(id), number: Some(why), ..Raw::default() }
            }
            Self::Bye { file } => Raw { kind: 9, file: Some(file), ..Raw::default() },
            Self::Pace { bytes_per_s } => Raw { kind: 10, id: Some(bytes_per_s), ..Raw::default() },
            Self::Unknown(kind) => Raw { kind, ..Raw::default() },
        };
        wire::encode(&raw)
    }

    /// Reads the payload of a frame.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let raw: Raw = wire::decode_within(payload, MAX_CONTROL_FRAME)?;
        let malformed = WireError::Malformed;
        match raw.kind {
            1..=9 => {}
            10 => return Ok(Self::Pace { bytes_per_s: raw.id.ok_or(malformed)? }),
            unknown => return Ok(Self::Unknown(unknown)),
        }
        let file = raw.file.ok_or(malformed)?;
        let short = |ranges: Option<Vec<Range>>| {
            let ranges = ranges.filter(|ranges| ranges.len() <= MAX_RANGES).ok_or(malformed)?;
            let sound =
                ranges.iter().all(|(start, len)| *len > 0 && start.checked_add(*len).is_some_and(|end| end <= MAX_CHUNKS));
            let total: u64 = ranges.iter().map(|(_, len)| u64::from(*len)).sum();
            if sound && total <= u64::from(MAX_CHUNKS) { Ok(ranges) } else { Err(malformed) }
        };
        Ok(match raw.kind {
            1 => {
                let held = match (raw.ranges, raw.bytes) {
                    (Some(ranges), None) => Held::Ranges(short(Some(ranges))?),
                    (None, Some(bytes)) => Held::Bitmap(bytes),
                    _ => return Err(malformed),
                };
                Self::Hello { file, root: raw.root.ok_or(malformed)?, held, wants: raw.number.unwrap_or(0) != 0 }
            }
            2 => Self::Have { file, ranges: short(raw.ranges)? },
            3 => Self::GetHashes { file, page: raw.index.ok_or(malformed)? },
            4 => {
                let bytes = raw.bytes.ok_or(malformed)?;
                if bytes.len() % 32 != 0 || bytes.len() > PAGE as usize * 32 {
                    return Err(malformed);
                }
                let hashes = bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
                Self::Hashes { file, page: raw.index.ok_or(malformed)?, hashes }
            }
            5 => Self::Hint { file, ranges: short(raw.ranges)? },
            6 => Self::Request {
                file,
                id: raw.id.ok_or(malformed)?,
                index: raw.index.ok_or(malformed)?,
                within_ms: raw.number.ok_or(malformed)?,
            },
            7 => Self::Cancel { file, id: raw.id.ok_or(malformed)? },
            8 => {
                let why = match raw.number.ok_or(malformed)? {
                    1 => Why::Busy,
                    3 => Why::Stale,
                    _ => Why::Gone,
                };
                Self::Reject { file, id: raw.id.ok_or(malformed)?, why }
            }
            _ => Self::Bye { file },
        })
    }

    /// Which file it is about.
    pub fn file(&self) -> Option<FileId> {
        match self {
            Self::Hello { file, .. }
            | Self::Have { file, .. }
            | Self::GetHashes { file, .. }
            | Self::Hashes { file, .. }
            | Self::Hint { file, .. }
            | Self::Request { file, .. }
            | Self::Cancel { file, .. }
            | Self::Reject { file, .. }
            | Self::Bye { file } => Some(*file),
            Self::Pace { .. } | Self::Unknown(_) => None,
        }
    }
}

/// A sealed chunk on the data stream.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Data<'a> {
    /// Of which file.
    #[n(0)]
    pub file: FileId,
    /// The request that it answers.
    #[n(1)]
    pub id: u64,
    /// Which chunk.
    #[n(2)]
    pub index: u32,
    /// What was sealed, and its tag.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub sealed: &'a [u8],
}

/// A whole frame of the data stream, length and all, as far as the place for a sealed chunk of `len` bytes: the chunk is to be put behind
/// it. It saves copying every chunk twice.
pub fn begin_data_frame(file: FileId, id: u64, index: u32, len: u32, frame: &mut Vec<u8>) {
    let mut head = Vec::with_capacity(64);
    let mut encoder = minicbor::Encoder::new(&mut head);
    // Writing into a Vec has no error.
    let _ = encoder.array(4).and_then(|encoder| encoder.encode(file)).and_then(|encoder| encoder.u64(id));
    let _ = encoder.u32(index).and_then(|encoder| encoder.bytes_len(u64::from(len)));
    wire::begin_frame(head.len() + len as usize, frame);
    frame.extend_from_slice(&head);
}

impl<'a> Data<'a> {
    /// The payload of a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.sealed.len() + 64);
        // Writing into a Vec has no error.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }

    /// Reads the payload of a frame without copying the chunk.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        wire::decode_within(payload, MAX_DATA_FRAME)
    }
}
