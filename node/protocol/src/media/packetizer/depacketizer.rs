//! Puts packets in order and frames together, and decides what is lost. It never gives a frame whose reference is missing.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{DEFAULT_DEADLINE, KEYFRAME_REQUEST_INTERVAL, MAX_FRAME_LEN, MAX_PENDING, PayloadHeader};

/// A keyframe that has begun behind a gap of this age is taken instead of waiting for the gap.
const SKIP_TO_KEYFRAME_AFTER: Duration = Duration::from_millis(40);

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
