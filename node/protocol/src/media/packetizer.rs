//! An encoded frame as RTP payloads, and back. It never looks inside a frame, and never holds more than [`MAX_FRAME_LEN`] bytes for long.
//!
//! The payload format is generic, because frames may be sealed: every packet of a frame begins with one byte,
//!
//! ```text
//! bit  7      6     5         4–3           2–0
//!      first  last  keyframe  version (01)  codec
//! ```
//!
//! then the frame's number (u16, big endian, wrapping), then a piece of the frame. The number grows by one with each frame of a stream,
//! so a receiver sees that a sender left a frame out even where no packet is missing. All packets of a frame share the RTP timestamp;
//! the last one carries the marker bit.
//!
//! Sound is simpler: one byte of loudness (RFC 6464, −dBov in the lower seven bits), then one opus packet.

use core::time::Duration;

mod depacketizer;

pub use depacketizer::{Depacketizer, DepacketizerOutput, DepacketizerStats, Frame};

/// Longest RTP payload that [`Packetizer`] makes, in bytes: with RTP, SRTP, UDP and IPv6 headers and TURN framing it fits 1,280.
pub const MAX_PAYLOAD_LEN: usize = 1_150;
/// Bytes before the piece of the frame.
pub const HEADER_LEN: usize = 3;
/// Longest frame, in bytes. A longer one is refused at the sender and given up at the receiver.
pub const MAX_FRAME_LEN: usize = 2 << 20;
/// Most packets that wait in a [`Depacketizer`]; when it is full the oldest go and a keyframe is asked for.
pub const MAX_PENDING: usize = 2_048;
/// Highest value of the codec field.
pub const MAX_CODEC: u8 = 7;
/// Shortest time between two keyframe requests.
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// How long a gap is waited for, unless [`Depacketizer::with_deadline`] says otherwise: about ten retransmission requests.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(200);
/// Longest payload taken from the network, in bytes. Others' packets may be somewhat longer than ours.
const MAX_RECEIVED_PAYLOAD: usize = 1_500;

const FIRST: u8 = 0x80;
const LAST: u8 = 0x40;
const KEYFRAME: u8 = 0x20;
const VERSION_MASK: u8 = 0x18;
const VERSION: u8 = 0x08;
const CODEC_MASK: u8 = 0x07;

/// Why a frame was not cut into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketizeError {
    /// Nothing to send.
    #[error("the frame is empty")]
    Empty,
    /// Longer than [`MAX_FRAME_LEN`].
    #[error("the frame of {0} bytes is too long")]
    TooLong(usize),
    /// The codec field has three bits.
    #[error("codec {0} does not fit the header")]
    Codec(u8),
}

/// Cuts frames of one stream into payloads.
#[derive(Debug, Clone, Default)]
pub struct Packetizer {
    next_frame: u16,
}

impl Packetizer {
    /// The frames are numbered from 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The payloads of one frame, in order, each at most [`MAX_PAYLOAD_LEN`] bytes. The caller gives all of them one RTP timestamp and
    /// consecutive sequence numbers, and sets the marker bit on the last.
    pub fn packetize(&mut self, frame: &[u8], keyframe: bool, codec: u8) -> Result<Vec<Vec<u8>>, PacketizeError> {
        if frame.is_empty() {
            return Err(PacketizeError::Empty);
        }
        if frame.len() > MAX_FRAME_LEN {
            return Err(PacketizeError::TooLong(frame.len()));
        }
        if codec > MAX_CODEC {
            return Err(PacketizeError::Codec(codec));
        }
        let number = self.next_frame.to_be_bytes();
        self.next_frame = self.next_frame.wrapping_add(1);
        let count = frame.len().div_ceil(MAX_PAYLOAD_LEN - HEADER_LEN);
        // Pieces of equal length lose less to one lost packet than a full row and a crumb.
        let piece = frame.len().div_ceil(count);
        let payloads = frame
            .chunks(piece)
            .enumerate()
            .map(|(index, body)| {
                let mut head = VERSION | codec;
                head |= if index == 0 { FIRST } else { 0 };
                head |= if (index + 1) * piece >= frame.len() { LAST } else { 0 };
                head |= if keyframe { KEYFRAME } else { 0 };
                let mut payload = Vec::with_capacity(HEADER_LEN + body.len());
                payload.push(head);
                payload.extend_from_slice(&number);
                payload.extend_from_slice(body);
                payload
            })
            .collect();
        Ok(payloads)
    }
}

/// The header of one payload, as a forwarder or a drop policy needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadHeader {
    /// The first packet of its frame.
    pub first: bool,
    /// The last packet of its frame.
    pub last: bool,
    /// The frame can be decoded without any other.
    pub keyframe: bool,
    /// 0 to [`MAX_CODEC`]; the meaning is the application's.
    pub codec: u8,
    /// The frame's number, wrapping.
    pub frame: u16,
}

impl PayloadHeader {
    /// The header and the piece of the frame; `None` where the payload is too short, too long or of another version.
    pub fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        if payload.len() > MAX_RECEIVED_PAYLOAD {
            return None;
        }
        let (&[head, high, low], body) = payload.split_first_chunk::<HEADER_LEN>()?;
        if head & VERSION_MASK != VERSION || body.is_empty() {
            return None;
        }
        let header = Self {
            first: head & FIRST != 0,
            last: head & LAST != 0,
            keyframe: head & KEYFRAME != 0,
            codec: head & CODEC_MASK,
            frame: u16::from_be_bytes([high, low]),
        };
        Some((header, body))
    }
}

/// Longest opus packet in an RTP payload, in bytes (RFC 6716, section 3.4).
pub const MAX_OPUS_LEN: usize = 1_275;

/// Longest sealed opus packet in an RTP payload, in bytes.
pub const MAX_VOICE_LEN: usize = MAX_OPUS_LEN + super::frame_cipher::MAX_OVERHEAD;

/// The RTP payload of one sealed opus packet with its loudness in −dBov (RFC 6464: 0 is the loudest, 127 is silence).
pub fn audio_payload(level: u8, opus: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + opus.len());
    payload.push(level.min(127));
    payload.extend_from_slice(opus);
    payload
}

/// Loudness and sealed opus packet of an RTP payload; `None` where the packet is missing or longer than opus and its seal allow.
pub fn parse_audio_payload(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (level, opus) = payload.split_first()?;
    (!opus.is_empty() && opus.len() <= MAX_VOICE_LEN).then_some((level & 0x7f, opus))
}
