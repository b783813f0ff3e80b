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
use std::collections::{BTreeMap, BTreeSet};

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
/// A keyframe that has begun behind a gap of this age is taken instead of waiting for the gap.
const SKIP_TO_KEYFRAME_AFTER: Duration = Duration::from_millis(40);
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

/// A whole frame, as its sender gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// RTP timestamp, in the units of the stream's clock (90 kHz for video).
    pub timestamp: u32,
    /// It can be decoded without any other.
    pub keyframe: bool,
    /// As given to [`Packetizer::packetize`].
    pub codec: u8,
    /// The frame's number, wrapping.
    pub number: u16,
    /// At most [`MAX_FRAME_LEN`] bytes.
    pub data: Vec<u8>,
}

/// What a [`Depacketizer`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DepacketizerOutput {
    /// Decode this. Frames come in order, and none comes whose reference was lost.
    Frame(Frame),
    /// Ask the sender for a keyframe (PLI). At most one in [`KEYFRAME_REQUEST_INTERVAL`].
    RequestKeyframe,
}

/// Figures since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DepacketizerStats {
    /// Packets that were taken.
    pub received: u64,
    /// Whole frames that came out.
    pub frames: u64,
    /// Gaps that were given up.
    pub gaps: u64,
    /// Packets seen before, or for a frame that was already given up or put out.
    pub late: u64,
    /// Packets that are no payload of ours, or contradict others of their frame.
    pub malformed: u64,
    /// Times the sequence numbers began anew.
    pub resyncs: u64,
}

#[derive(Debug)]
struct Fragment {
    header: PayloadHeader,
    timestamp: u32,
    arrived: Duration,
    body: Vec<u8>,
}

impl Fragment {
    fn starts_keyframe(&self) -> bool {
        self.header.first && self.header.keyframe
    }
}

/// Puts the packets of one stream in order and gives whole frames.
///
/// Lost packets are asked for again by the RTP layer below; this machine decides how long a gap is waited for. After that it drops to
/// the next keyframe and asks for one. Call [`Self::poll`] until it gives `None` after every [`Self::handle_packet`], and at
/// [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Depacketizer {
    deadline: Duration,
    /// By extended sequence number; at most [`MAX_PENDING`].
    pending: BTreeMap<u64, Fragment>,
    /// Those in `pending` with which a keyframe begins.
    keyframe_starts: BTreeSet<u64>,
    /// Where the next frame begins; `None` while a keyframe is looked for.
    next: Option<u64>,
    /// First sequence number behind `next` that was not yet looked at, and the bytes up to it.
    cursor: u64,
    cursor_bytes: usize,
    /// Highest extended sequence number.
    highest: Option<u64>,
    /// The sequence number that would prove that the sender began anew (RFC 3550, appendix A.1).
    probation: Option<u16>,
    /// Nothing but a keyframe can be decoded.
    needs_keyframe: bool,
    last_number: Option<u16>,
    requested: Option<Duration>,
    stats: DepacketizerStats,
}

impl Default for Depacketizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Depacketizer {
    /// With [`DEFAULT_DEADLINE`].
    pub fn new() -> Self {
        Self::with_deadline(DEFAULT_DEADLINE)
    }

    /// Waits `deadline` for a missing packet, held between 40 ms and 2 s.
    pub fn with_deadline(deadline: Duration) -> Self {
        Self {
            deadline: deadline.clamp(Duration::from_millis(40), Duration::from_secs(2)),
            pending: BTreeMap::new(),
            keyframe_starts: BTreeSet::new(),
            next: None,
            cursor: 0,
            cursor_bytes: 0,
            highest: None,
            probation: None,
            needs_keyframe: true,
            last_number: None,
            requested: None,
            stats: DepacketizerStats::default(),
        }
    }

    /// Takes one RTP payload. `now` is monotonic.
    pub fn handle_packet(&mut self, sequence: u16, timestamp: u32, payload: &[u8], now: Duration) {
        let Some((header, body)) = PayloadHeader::parse(payload) else {
            self.stats.malformed += 1;
            return;
        };
        let Some(extended) = self.extend(sequence) else { return };
        if self.next.is_some_and(|next| extended < next) || self.pending.contains_key(&extended) {
            self.stats.late += 1;
            return;
        }
        self.stats.received += 1;
        let fragment = Fragment { header, timestamp, arrived: now, body: body.to_vec() };
        if fragment.starts_keyframe() {
            self.keyframe_starts.insert(extended);
        }
        self.pending.insert(extended, fragment);
        if self.pending.len() > MAX_PENDING {
            self.stats.gaps += 1;
            self.give_up();
            while self.pending.len() > MAX_PENDING {
                self.pop_oldest();
            }
        }
    }

    /// The decoder cannot go on: nothing but a keyframe is of use to it.
    pub fn handle_decode_failure(&mut self) {
        if !self.needs_keyframe {
            self.give_up();
        }
    }

    /// What to do at `now`; call it until `None`.
    pub fn poll(&mut self, now: Duration) -> Option<DepacketizerOutput> {
        if let Some(frame) = self.assemble(now) {
            self.stats.frames += 1;
            return Some(DepacketizerOutput::Frame(frame));
        }
        if self.request_at().is_some_and(|at| at <= now) {
            self.requested = Some(now);
            return Some(DepacketizerOutput::RequestKeyframe);
        }
        None
    }

    /// When to call [`Self::poll`] even if no packet comes.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let gap = if self.next.is_some() {
            let begun = self.gap_since().map(|since| since + self.deadline);
            let skip =
                self.gap_since().filter(|_| self.keyframe_behind_gap().is_some()).map(|since| since + SKIP_TO_KEYFRAME_AFTER);
            begun.into_iter().chain(skip).min()
        } else {
            self.pending.first_key_value().map(|(_, fragment)| fragment.arrived + self.deadline)
        };
        gap.into_iter().chain(self.request_at()).min()
    }

    /// Figures since the start.
    pub fn stats(&self) -> DepacketizerStats {
        self.stats
    }

    /// The sequence number without its wrap; `None` where it is so far off that only a second one in order is believed.
    fn extend(&mut self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            // Room below, for packets that were sent before the first one that came.
            let extended = (1 << 32) + u64::from(sequence);
            self.highest = Some(extended);
            return Some(extended);
        };
        let step = sequence.wrapping_sub(highest as u16).cast_signed();
        if usize::from(step.unsigned_abs()) > MAX_PENDING {
            if self.probation != Some(sequence) {
                self.probation = Some(sequence.wrapping_add(1));
                self.stats.late += 1;
                return None;
            }
            self.stats.resyncs += 1;
            self.pending.clear();
            self.keyframe_starts.clear();
            self.give_up();
            // Farther away than anything that may still wait.
            let extended = (((highest >> 16) + 2) << 16) + u64::from(sequence);
            self.probation = None;
            self.highest = Some(extended);
            return Some(extended);
        }
        self.probation = None;
        let extended = highest.saturating_add_signed(i64::from(step));
        self.highest = Some(highest.max(extended));
        Some(extended)
    }

    /// A keyframe is to be asked for at this time, unless one is on its way in.
    fn request_at(&self) -> Option<Duration> {
        let wanted = self.needs_keyframe && self.next.is_none() && self.highest.is_some();
        wanted.then(|| self.requested.map_or(Duration::ZERO, |at| at + KEYFRAME_REQUEST_INTERVAL))
    }

    /// The stream cannot be followed from here: look for a keyframe.
    fn give_up(&mut self) {
        if let Some(next) = self.next.take() {
            // The frame at hand is incomplete; what begins it must not be taken for a new start.
            let behind = self.cursor.max(next + 1);
            self.drop_before(behind);
        }
        self.needs_keyframe = true;
        self.last_number = None;
    }

    fn drop_before(&mut self, sequence: u64) {
        self.pending = self.pending.split_off(&sequence);
        self.keyframe_starts = self.keyframe_starts.split_off(&sequence);
    }

    fn pop_oldest(&mut self) {
        if let Some((sequence, _)) = self.pending.pop_first() {
            self.keyframe_starts.remove(&sequence);
        }
    }

    fn start_at(&mut self, sequence: u64) {
        self.drop_before(sequence);
        self.next = Some(sequence);
        self.cursor = sequence;
        self.cursor_bytes = 0;
        self.needs_keyframe = true;
        self.last_number = None;
    }

    /// When the first packet behind the gap at the cursor came; where the rest of a frame is missing and nothing follows, when its
    /// latest packet came. A screen that stands still sends nothing that would show such a loss.
    fn gap_since(&self) -> Option<Duration> {
        let next = self.next?;
        let behind = self.pending.range(self.cursor..).next();
        behind.or_else(|| self.pending.range(next..self.cursor).next_back()).map(|(_, fragment)| fragment.arrived)
    }

    fn keyframe_behind_gap(&self) -> Option<u64> {
        self.keyframe_starts.range(self.cursor..).next().copied()
    }

    fn assemble(&mut self, now: Duration) -> Option<Frame> {
        // Each turn takes a packet out of `pending` or moves the cursor, so it ends.
        loop {
            let Some(next) = self.next else {
                if let Some(&start) = self.keyframe_starts.first() {
                    self.start_at(start);
                    continue;
                }
                while self.pending.first_key_value().is_some_and(|(_, oldest)| oldest.arrived + self.deadline <= now) {
                    self.pop_oldest();
                }
                return None;
            };
            let Some(fragment) = self.pending.get(&self.cursor) else {
                let since = self.gap_since()?;
                if let Some(start) = self.keyframe_behind_gap().filter(|_| since + SKIP_TO_KEYFRAME_AFTER <= now) {
                    self.stats.gaps += 1;
                    self.start_at(start);
                    continue;
                }
                if since + self.deadline <= now {
                    self.stats.gaps += 1;
                    self.give_up();
                    continue;
                }
                return None;
            };
            if !self.fits(next, fragment) {
                self.stats.malformed += 1;
                self.refuse_frame(next);
                continue;
            }
            let last = fragment.header.last;
            self.cursor_bytes += fragment.body.len();
            self.cursor += 1;
            if last && let Some(frame) = self.take_frame(next) {
                return Some(frame);
            }
        }
    }

    /// The packet at the cursor continues the frame that begins at `next`.
    fn fits(&self, next: u64, fragment: &Fragment) -> bool {
        if self.cursor_bytes + fragment.body.len() > MAX_FRAME_LEN || fragment.header.first != (self.cursor == next) {
            return false;
        }
        self.pending.get(&next).is_some_and(|first| {
            let (a, b) = (first.header, fragment.header);
            first.timestamp == fragment.timestamp && (a.keyframe, a.codec, a.frame) == (b.keyframe, b.codec, b.frame)
        })
    }

    /// The frame at `next` contradicts itself. What stands at the cursor may begin another one.
    fn refuse_frame(&mut self, next: u64) {
        self.drop_before(self.cursor.max(next + 1));
        self.next = None;
        self.needs_keyframe = true;
        self.last_number = None;
    }

    /// Takes the frame from `next` up to the cursor out; `None` where its reference is missing.
    fn take_frame(&mut self, next: u64) -> Option<Frame> {
        let first = self.pending.get(&next)?;
        let (header, timestamp) = (first.header, first.timestamp);
        let follows = self.last_number.is_some_and(|last| last.wrapping_add(1) == header.frame);
        if !header.keyframe && (self.needs_keyframe || !follows) {
            self.give_up();
            return None;
        }
        let mut data = Vec::with_capacity(self.cursor_bytes);
        for sequence in next..self.cursor {
            if let Some(fragment) = self.pending.remove(&sequence) {
                data.extend_from_slice(&fragment.body);
            }
        }
        self.keyframe_starts.remove(&next);
        self.next = Some(self.cursor);
        self.cursor_bytes = 0;
        self.needs_keyframe = false;
        self.last_number = Some(header.frame);
        Some(Frame { timestamp, keyframe: header.keyframe, codec: header.codec, number: header.frame, data })
    }
}

/// Longest opus packet in an RTP payload, in bytes (RFC 6716, section 3.4).
pub const MAX_OPUS_LEN: usize = 1_275;

/// The RTP payload of one opus packet with its loudness in −dBov (RFC 6464: 0 is the loudest, 127 is silence).
pub fn audio_payload(level: u8, opus: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + opus.len());
    payload.push(level.min(127));
    payload.extend_from_slice(opus);
    payload
}

/// Loudness and opus packet of an RTP payload; `None` where the packet is missing or longer than opus allows.
pub fn parse_audio_payload(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (level, opus) = payload.split_first()?;
    (!opus.is_empty() && opus.len() <= MAX_OPUS_LEN).then_some((level & 0x7f, opus))
}
