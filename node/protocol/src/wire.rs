//! What travels: CBOR values, signed byte strings and length-prefixed frames. It must never trust a length that a peer announces,
//! and never re-encode what was signed.

use std::collections::HashSet;

use minicbor::{Decode, Encode};

/// Deepest nesting of arrays, maps and tags that any message may have.
pub const MAX_DEPTH: usize = 16;
/// Most CBOR items that one message may have, containers and map keys included.
pub const MAX_ITEMS: usize = 65_536;
/// Bytes of the length before a frame: an unsigned LEB128 varint of at most 28 bits.
pub const MAX_FRAME_PREFIX: usize = 4;
/// Longest payload that any [`Signed`] may carry, in bytes.
pub const MAX_SIGNED_PAYLOAD: usize = 64 * 1024;

/// Why bytes are not a value of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends before the value does.
    #[error("the message ends too early")]
    Truncated,
    /// Something follows the value.
    #[error("the message has bytes after its end")]
    Trailing,
    /// Nested deeper than [`MAX_DEPTH`] or more items than [`MAX_ITEMS`].
    #[error("the message is too deep or has too many items")]
    TooComplex,
    /// Longer than the limit of its kind.
    #[error("the message is too long")]
    TooLong,
    /// CBOR that this protocol does not use, or a value of another shape.
    #[error("the message is malformed")]
    Malformed,
}

/// A payload and its signature. What is signed, hashed and stored is exactly `payload`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Signed {
    /// The bytes that were signed, behind a label and a room (see [`crate::identity::verify`]).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub payload: Vec<u8>,
    /// Ed25519 (RFC 8032).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sig: [u8; 64],
}

impl Signed {
    /// BLAKE3 of the payload: the name of the operation.
    pub fn hash(&self) -> crate::id::OpHash {
        crate::id::OpHash(*blake3::hash(&self.payload).as_bytes())
    }

    /// Bytes this takes in a frame, a few more than it really does.
    pub fn wire_len(&self) -> usize {
        self.payload.len() + 64 + 16
    }
}

impl core::fmt::Debug for Signed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Signed").field("hash", &self.hash()).field("bytes", &self.payload.len()).finish()
    }
}

/// Encodes a value of ours.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    // Writing into a Vec has no error, and no Encode of this crate makes one.
    minicbor::to_vec(value).unwrap_or_default()
}

/// Decodes exactly one value. Depth, number of items and every announced length are checked over the whole message before anything
/// is allocated; bytes after the value are refused.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, WireError> {
    scan(bytes)?;
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|_| WireError::Malformed)?;
    if decoder.position() == bytes.len() { Ok(value) } else { Err(WireError::Trailing) }
}

/// [`decode`], refusing more than `limit` bytes first.
pub fn decode_within<'b, T: Decode<'b, ()>>(bytes: &'b [u8], limit: usize) -> Result<T, WireError> {
    if bytes.len() > limit { Err(WireError::TooLong) } else { decode(bytes) }
}

/// The keys of a map that were read: which of two with one key is taken must not depend on who reads it.
#[derive(Clone, Copy, Default)]
struct Keys {
    /// Where the map begins; none in an array.
    map: Option<usize>,
    /// Those from 0 to 63, a bit each.
    low: u64,
}

/// Walks the message without recursion, and without allocating except for keys that no message of ours has: one well-formed item of
/// definite length, no key twice in a map, and nothing after it.
fn scan(bytes: &[u8]) -> Result<(), WireError> {
    let mut left = [0_u64; MAX_DEPTH + 1];
    let mut keys = [Keys::default(); MAX_DEPTH + 1];
    let mut high: HashSet<(usize, bool, u64)> = HashSet::new();
    let mut depth = 0_usize;
    if let Some(root) = left.first_mut() {
        *root = 1;
    }
    let mut at = 0_usize;
    let mut items = 0_usize;
    loop {
        // Close the containers that are complete.
        while left.get(depth).copied() == Some(0) {
            if depth == 0 {
                return if at == bytes.len() { Ok(()) } else { Err(WireError::Trailing) };
            }
            depth -= 1;
        }
        let mut is_key = false;
        if let Some(remaining) = left.get_mut(depth) {
            is_key = remaining.is_multiple_of(2) && keys.get(depth).is_some_and(|keys| keys.map.is_some());
            *remaining -= 1;
        }
        items += 1;
        if items > MAX_ITEMS {
            return Err(WireError::TooComplex);
        }
        let head = *bytes.get(at).ok_or(WireError::Truncated)?;
        at += 1;
        let argument = match head & 0x1f {
            small @ 0..=23 => u64::from(small),
            size @ 24..=27 => {
                let width = 1_usize << (size - 24);
                let field = bytes.get(at..at.saturating_add(width)).ok_or(WireError::Truncated)?;
                at += width;
                field.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
            }
            _ => return Err(WireError::Malformed), // indefinite lengths and reserved values
        };
        if is_key && let Some(Keys { map: Some(map), low }) = keys.get_mut(depth) {
            let new = match head >> 5 {
                0 if argument < 64 => {
                    let bit = 1 << argument;
                    let new = *low & bit == 0;
                    *low |= bit;
                    new
                }
                0 | 1 => high.insert((*map, head >> 5 == 1, argument)),
                _ => false, // keys are integers
            };
            if !new {
                return Err(WireError::Malformed);
            }
        }
        let room = (bytes.len() - at) as u64;
        let children = match head >> 5 {
            0 | 1 => continue,
            2 | 3 => {
                if argument > room {
                    return Err(WireError::Truncated);
                }
                at += argument as usize;
                continue;
            }
            4 => argument,
            5 => argument.checked_mul(2).ok_or(WireError::Truncated)?,
            6 => return Err(WireError::Malformed), // no message of ours has tags
            _ => match head & 0x1f {
                20..=23 => continue, // false, true, null, undefined
                _ => return Err(WireError::Malformed),
            },
        };
        if children > room {
            return Err(WireError::Truncated);
        }
        depth += 1;
        *left.get_mut(depth).ok_or(WireError::TooComplex)? = children;
        *keys.get_mut(depth).ok_or(WireError::TooComplex)? = Keys { map: (head >> 5 == 5).then_some(at), low: 0 };
    }
}

/// Why a byte stream is not a sequence of frames. The stream is to be closed: it cannot be resynchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over the stream's limit.
    #[error("a frame of {announced} bytes was announced where {limit} are allowed")]
    TooLong {
        /// In bytes.
        announced: usize,
        /// In bytes.
        limit: usize,
    },
    /// The length is not a minimal varint of at most [`MAX_FRAME_PREFIX`] bytes.
    #[error("the length of a frame is not a minimal varint")]
    BadLength,
}

/// Cuts a byte stream into frames. Holds at most one frame of `limit` bytes and what was pushed beyond it since the last `next`.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
    buffer: Vec<u8>,
    start: usize,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// `limit`: longest payload of a frame, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), start: 0, failed: None }
    }

    /// From here on another limit holds, also for what was pushed and not yet cut.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes bytes from the stream. Call [`Self::next`] until it gives `None` before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more is pushed. After an error it gives that error for ever.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.cut().inspect_err(|error| {
            self.failed = Some(*error);
            self.buffer = Vec::new();
            self.start = 0;
        })
    }

    /// Bytes of an unfinished frame are held: the peer owes the rest.
    pub fn is_partial(&self) -> bool {
        self.buffer.len() > self.start
    }

    fn cut(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let Some((length, prefix)) = frame_length(pending)? else { return Ok(None) };
        if length > self.limit {
            return Err(FrameError::TooLong { announced: length, limit: self.limit });
        }
        let Some(frame) = pending.get(prefix..prefix + length) else { return Ok(None) };
        let frame = frame.to_vec();
        self.start += prefix + length;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        Ok(Some(frame))
    }
}

/// The announced length and the bytes it took, or `None` where the prefix is incomplete.
///
/// # Errors
/// A length that is no number of ours.
pub fn frame_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().take(MAX_FRAME_PREFIX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if index > 0 && *byte == 0 {
                return Err(FrameError::BadLength); // not minimal
            }
            return Ok(Some((length, index + 1)));
        }
    }
    if bytes.len() >= MAX_FRAME_PREFIX { Err(FrameError::BadLength) } else { Ok(None) }
}

/// A payload with its length before it. Payloads must be shorter than 2^28 bytes; every stream's limit is far below.
pub fn encode_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + MAX_FRAME_PREFIX);
    begin_frame(payload.len(), &mut frame);
    frame.extend_from_slice(payload);
    frame
}

/// Writes the length that stands before a payload of so many bytes.
pub fn begin_frame(mut length: usize, frame: &mut Vec<u8>) {
    while length >= 0x80 {
        frame.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    frame.push(length as u8);
}
