//! When each packet of a voice is played: enough delay that most packets are there, never more than that.
//!
//! Pull model: the playout thread asks every 20 ms what to decode. The buffer measures how much later than the fastest packets the
//! others arrive, keeps that delay (held between [`MIN_DELAY`] and [`MAX_DELAY`]), uses forward error correction where the packet after
//! a lost one is there, asks for concealment where it is not, tells a silent sender (DTX) from a lost packet, and follows clock drift
//! by leaving out or adding a frame, in silence where it can. It never decodes, and never holds more than [`CAPACITY`] packets.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::packetizer::MAX_OPUS_LEN;

/// One packet holds, and one pull plays, this much.
pub const FRAME: Duration = Duration::from_millis(20);
/// RTP timestamp units of [`FRAME`] at 48 kHz (RFC 7587).
pub const FRAME_TICKS: u32 = 960;
/// Least target delay.
pub const MIN_DELAY: Duration = Duration::from_millis(20);
/// Greatest target delay.
pub const MAX_DELAY: Duration = Duration::from_millis(80);
/// Most packets that wait, about 1.3 s. When it is full the oldest goes.
pub const CAPACITY: usize = 64;
/// Quieter than this, in −dBov, a frame can be left out or repeated without being heard.
pub const SILENCE_LEVEL: u8 = 60;

/// Microseconds of [`FRAME`].
const FRAME_US: i64 = 20_000;
/// Frames that are concealed in a row before the buffer stops and waits for the next packet.
const MAX_CONCEALED: u32 = 5;
/// The target covers this many of a thousand measured arrivals.
const COVERED_PER_MILLE: usize = 975;
/// Arrivals that are remembered: about five seconds of speech.
const HISTORY: usize = 256;
/// Packets between two regular surveys of the arrivals.
const SURVEY_INTERVAL: u32 = 8;
/// Arrivals older than this say nothing about the path, and clocks may have drifted since.
const HISTORY_AGE: Duration = Duration::from_secs(10);
/// A packet whose sequence number is this far off is believed when a second one confirms it.
const MAX_SEQUENCE_STEP: i64 = 1_000;
/// Likewise for a timestamp that goes back, in ticks: two seconds.
const MAX_TIMESTAMP_BACK: i64 = 96_000;
/// Late packets in a row after which the path is taken to have become slower.
const LATE_IN_A_ROW: u32 = 5;
/// Excess delay, in microseconds, that is cut at the next silence; that is cut in speech too; that is cut at once.
const EXCESS_SILENT_US: i64 = 15_000;
const EXCESS_SPEECH_US: i64 = 40_000;
const EXCESS_HARD_US: i64 = 120_000;
/// Pulls between two frames left out in speech.
const SPEECH_CUT_INTERVAL: u32 = 10;

/// One packet of a voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioPacket {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// Loudness in −dBov: 0 is the loudest, 127 silence.
    pub level: u8,
    /// One opus packet of 20 ms.
    pub payload: Vec<u8>,
}

/// What to decode for the next 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pull {
    /// This packet.
    Packet(Vec<u8>),
    /// The packet is lost; this is the one after it: decode its forward error correction.
    Fec(Vec<u8>),
    /// The packet is lost: let the decoder conceal.
    Lost,
    /// Nothing is being said: play silence.
    Idle,
}

/// Figures since the start. Frames are of 20 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets that arrived and were taken.
    pub received: u64,
    /// Frames played from their packet.
    pub played: u64,
    /// Frames concealed, error correction not counted.
    pub concealed: u64,
    /// Frames recovered by error correction.
    pub fec: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that are no opus packet by their length.
    pub malformed: u64,
    /// Frames left out to shorten the delay.
    pub accelerated: u64,
    /// Frames added to lengthen the delay.
    pub expanded: u64,
    /// Times the stream was taken up anew after a jump.
    pub resyncs: u64,
}

#[derive(Debug)]
struct Waiting {
    sequence: i64,
    level: u8,
    payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing plays; the first packet waits until the delay is reached.
    Buffering,
    /// The frame at `position` (extended ticks) is next.
    Playing { position: i64 },
}

/// The buffer of one voice.
#[derive(Debug)]
pub struct JitterBuffer {
    /// By extended timestamp.
    waiting: BTreeMap<i64, Waiting>,
    state: State,
    /// Extended sequence number of the latest frame that was played or given up.
    last_sequence: Option<i64>,
    last_level: u8,
    /// Extended sequence number and timestamp of the newest packet.
    newest: Option<(i64, i64)>,
    probation: Option<u16>,
    /// (arrival, transit in microseconds: arrival − media time), oldest first.
    arrivals: VecDeque<(Duration, i64)>,
    fastest_us: i64,
    since_survey: u32,
    target_us: i64,
    /// Concealed in a row with nothing to go on; not yet known to be a loss.
    unsure: u32,
    late_in_a_row: u32,
    since_speech_cut: u32,
    smoothed_delay_us: i64,
    stats: JitterStats,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// Empty, with the least delay.
    pub fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            state: State::Buffering,
            last_sequence: None,
            last_level: 127,
            newest: None,
            probation: None,
            arrivals: VecDeque::new(),
            fastest_us: 0,
            since_survey: 0,
            target_us: micros(MIN_DELAY),
            unsure: 0,
            late_in_a_row: 0,
            since_speech_cut: 0,
            smoothed_delay_us: 0,
            stats: JitterStats::default(),
        }
    }

    /// A packet came. `now` is monotonic.
    pub fn push(&mut self, packet: AudioPacket, now: Duration) {
        if packet.payload.is_empty() || packet.payload.len() > MAX_OPUS_LEN {
            self.stats.malformed += 1;
            return;
        }
        let Some((sequence, timestamp)) = self.extend(&packet) else { return };
        if self.waiting.contains_key(&timestamp) || self.waiting.values().any(|waiting| waiting.sequence == sequence) {
            self.stats.duplicates += 1;
            return;
        }
        self.measure(timestamp, now);
        if let State::Playing { position } = self.state
            && timestamp + i64::from(FRAME_TICKS) <= position
        {
            self.stats.late += 1;
            self.late_in_a_row += 1;
            if self.late_in_a_row < LATE_IN_A_ROW {
                return;
            }
            // The path has become slower for good.
            self.restart();
        } else if matches!(self.state, State::Buffering) && self.last_sequence.is_some_and(|last| sequence <= last) {
            self.stats.late += 1;
            return;
        }
        self.late_in_a_row = 0;
        self.stats.received += 1;
        self.waiting.insert(timestamp, Waiting { sequence, level: packet.level, payload: packet.payload });
        if self.waiting.len() > CAPACITY {
            self.waiting.pop_first();
        }
    }

    /// What to play for the next 20 ms.
    pub fn pull(&mut self, now: Duration) -> Pull {
        self.since_speech_cut = self.since_speech_cut.saturating_add(1);
        match self.state {
            State::Buffering => self.pull_buffering(now),
            State::Playing { position } => {
                let position = self.adapt(position, now);
                self.pull_playing(position, now)
            }
        }
    }

    /// The delay that is aimed at, beyond that of the fastest packets.
    pub fn target_delay(&self) -> Duration {
        Duration::from_micros(self.target_us.unsigned_abs())
    }

    /// The delay that is being kept, smoothed, beyond that of the fastest packets; zero while nothing plays.
    pub fn delay(&self) -> Duration {
        match self.state {
            State::Buffering => Duration::ZERO,
            State::Playing { .. } => Duration::from_micros(self.smoothed_delay_us.max(0).unsigned_abs()),
        }
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// No packet waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Figures since the start.
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    /// Sequence number and timestamp without their wraps; `None` where they are so far off that a second packet must confirm them.
    fn extend(&mut self, packet: &AudioPacket) -> Option<(i64, i64)> {
        let Some((sequence, timestamp)) = self.newest else {
            let first = (i64::from(packet.sequence), i64::from(packet.timestamp));
            self.newest = Some(first);
            return Some(first);
        };
        let sequence_step = i64::from(packet.sequence.wrapping_sub(sequence as u16).cast_signed());
        let timestamp_step = i64::from(packet.timestamp.wrapping_sub(timestamp as u32).cast_signed());
        // Time runs with the numbers: a packet that is newer by one and older by the other is of another run.
        let contradictory = sequence_step.signum() * timestamp_step.signum() < 0;
        if sequence_step.abs() > MAX_SEQUENCE_STEP || timestamp_step < -MAX_TIMESTAMP_BACK || contradictory {
            if self.probation != Some(packet.sequence) {
                self.probation = Some(packet.sequence.wrapping_add(1));
                return None;
            }
            self.stats.resyncs += 1;
            self.restart();
            self.waiting.clear();
            self.last_sequence = None;
            let first = (i64::from(packet.sequence), i64::from(packet.timestamp));
            self.newest = Some(first);
            return Some(first);
        }
        self.probation = None;
        let extended = (sequence + sequence_step, timestamp + timestamp_step);
        if sequence_step > 0 {
            self.newest = Some(extended);
        }
        Some(extended)
    }

    /// Begins anew with what waits; the path is measured afresh.
    fn restart(&mut self) {
        self.probation = None;
        self.state = State::Buffering;
        self.last_sequence = None;
        self.unsure = 0;
        self.late_in_a_row = 0;
        let last = self.arrivals.pop_back();
        self.arrivals.clear();
        self.arrivals.extend(last);
        self.fastest_us = last.map_or(0, |(_, transit)| transit);
    }

    fn measure(&mut self, timestamp: i64, now: Duration) {
        while self.arrivals.len() >= HISTORY || self.arrivals.front().is_some_and(|(at, _)| *at + HISTORY_AGE < now) {
            self.arrivals.pop_front();
        }
        let transit = micros(now) - media_us(timestamp);
        self.arrivals.push_back((now, transit));
        self.fastest_us = if self.arrivals.len() == 1 { transit } else { self.fastest_us.min(transit) };
        self.since_survey += 1;
        let regular = self.since_survey >= SURVEY_INTERVAL;
        if regular || transit - self.fastest_us > self.target_us {
            self.survey(regular);
        }
    }

    /// Takes the figures of the path from the arrivals: up at once, down slowly.
    fn survey(&mut self, regular: bool) {
        let mut transits: Vec<i64> = self.arrivals.iter().map(|(_, transit)| *transit).collect();
        let covered = transits.len() * COVERED_PER_MILLE / 1_000;
        if covered >= transits.len() {
            return;
        }
        let (below, &mut covered, _) = transits.select_nth_unstable(covered);
        self.fastest_us = below.iter().copied().min().unwrap_or(covered);
        let wanted = (covered - self.fastest_us).clamp(micros(MIN_DELAY), micros(MAX_DELAY));
        if wanted > self.target_us {
            self.target_us = wanted;
        } else if regular {
            self.target_us -= (self.target_us - wanted) * 3 / 8;
        }
        if regular {
            self.since_survey = 0;
        }
    }

    /// How long after the fastest packet's time the frame at `position` would be played now.
    fn delay_us(&self, position: i64, now: Duration) -> i64 {
        micros(now) - media_us(position) - self.fastest_us
    }

    fn pull_buffering(&mut self, now: Duration) -> Pull {
        // After a pause of the network much comes at once: what is older than the greatest delay is not worth being heard.
        while self.waiting.len() > 1
            && let Some((&oldest, _)) = self.waiting.first_key_value()
            && self.delay_us(oldest, now) > self.target_us + FRAME_US
        {
            if let Some((_, packet)) = self.waiting.pop_first() {
                self.last_sequence = Some(packet.sequence);
                self.stats.accelerated += 1;
            }
        }
        let Some((&position, _)) = self.waiting.first_key_value() else { return Pull::Idle };
        if self.delay_us(position, now) < self.target_us {
            return Pull::Idle;
        }
        self.settle_unsure();
        self.smoothed_delay_us = self.delay_us(position, now);
        self.play_first(position)
    }

    /// What was concealed with nothing to go on was no loss, if the next packet follows on the last one.
    fn settle_unsure(&mut self) {
        let next = self.waiting.first_key_value().map(|(_, packet)| packet.sequence);
        if let (Some(last), Some(next)) = (self.last_sequence, next)
            && next == last + 1
        {
            self.stats.concealed = self.stats.concealed.saturating_sub(u64::from(self.unsure));
            self.stats.expanded += u64::from(self.unsure);
        }
        self.unsure = 0;
    }

    fn play_first(&mut self, position: i64) -> Pull {
        let Some((_, packet)) = self.waiting.pop_first() else { return Pull::Idle };
        self.state = State::Playing { position: position + i64::from(FRAME_TICKS) };
        self.last_sequence = Some(packet.sequence);
        self.last_level = packet.level;
        self.stats.played += 1;
        Pull::Packet(packet.payload)
    }

    /// Leaves frames out where the delay has grown too long. Gives the position from which to play.
    fn adapt(&mut self, position: i64, now: Duration) -> i64 {
        let delay = self.delay_us(position, now);
        self.smoothed_delay_us += (delay - self.smoothed_delay_us) / 8;
        let mut position = position;
        if delay - self.target_us > EXCESS_HARD_US {
            while self.waiting.len() > 1
                && let Some((&oldest, _)) = self.waiting.first_key_value()
                && self.delay_us(oldest, now) > self.target_us
            {
                position = self.cut(oldest);
            }
            position = self.skip_gap(position, now);
            if self.delay_us(position, now) - self.target_us > EXCESS_HARD_US {
                // Everything that waits is old: the path has become slower.
                let newest = self.arrivals.back().copied();
                self.arrivals.clear();
                self.arrivals.extend(newest);
                self.fastest_us = newest.map_or(self.fastest_us, |(_, transit)| transit);
            }
            self.smoothed_delay_us = self.delay_us(position, now);
            return position;
        }
        let excess = self.smoothed_delay_us.min(delay) - self.target_us;
        let silent = self.waiting.first_key_value().is_some_and(|(_, packet)| packet.level >= SILENCE_LEVEL);
        let cut_speech = excess > EXCESS_SPEECH_US && self.since_speech_cut >= SPEECH_CUT_INTERVAL;
        if self.waiting.len() > 1 && ((silent && excess > EXCESS_SILENT_US) || cut_speech) {
            self.since_speech_cut = 0;
            self.smoothed_delay_us -= FRAME_US;
            position = self.cut(position);
        }
        position
    }

    /// Leaves out as much of a gap before the next packet as the delay is too long, at one stroke: a sender may claim any gap.
    fn skip_gap(&mut self, position: i64, now: Duration) -> i64 {
        let Some((&timestamp, next)) = self.waiting.first_key_value() else { return position };
        let gap = (timestamp - position) / i64::from(FRAME_TICKS);
        let excess = (self.delay_us(position, now) - self.target_us) / FRAME_US;
        let frames = gap.min(excess).max(0);
        self.stats.accelerated += frames.unsigned_abs();
        self.last_sequence = self.last_sequence.map(|last| last.saturating_add(frames).min(next.sequence - 1));
        position + frames * i64::from(FRAME_TICKS)
    }

    /// Leaves out the frame at `position`.
    fn cut(&mut self, position: i64) -> i64 {
        let behind = position + i64::from(FRAME_TICKS);
        self.stats.accelerated += 1;
        match self.waiting.first_key_value() {
            Some((&timestamp, _)) if timestamp < behind => {
                if let Some((_, packet)) = self.waiting.pop_first() {
                    self.last_sequence = Some(packet.sequence);
                }
                timestamp + i64::from(FRAME_TICKS)
            }
            first => {
                // A gap: what is left out is a frame that would have been concealed, or silence.
                let next = first.map(|(_, packet)| packet.sequence);
                if let (Some(last), Some(next)) = (self.last_sequence, next) {
                    self.last_sequence = Some((last + 1).min(next - 1));
                }
                behind
            }
        }
    }

    fn pull_playing(&mut self, position: i64, now: Duration) -> Pull {
        let frame = i64::from(FRAME_TICKS);
        let Some((&timestamp, next)) = self.waiting.first_key_value() else { return self.pull_empty(position, now) };
        let delay = self.delay_us(position, now);
        if timestamp < position + frame {
            let too_short = self.smoothed_delay_us.max(delay) < self.target_us - EXCESS_SILENT_US;
            if too_short && next.level >= SILENCE_LEVEL && self.last_level >= SILENCE_LEVEL {
                self.state = State::Playing { position };
                self.smoothed_delay_us += FRAME_US;
                self.stats.expanded += 1;
                return Pull::Lost;
            }
            self.settle_unsure();
            return self.play_first(timestamp);
        }
        let missing = self.last_sequence.map_or(0, |last| next.sequence - last - 1);
        if missing <= 0 {
            // Nothing was lost: the sender was silent. The next packet begins a new spurt.
            self.settle_unsure();
            self.state = State::Buffering;
            return self.pull_buffering(now);
        }
        self.unsure = 0;
        self.state = State::Playing { position: position + frame };
        self.last_sequence = self.last_sequence.map(|last| last + 1);
        if missing == 1 && timestamp < position + 2 * frame {
            self.stats.fec += 1;
            return Pull::Fec(next.payload.clone());
        }
        self.stats.concealed += 1;
        Pull::Lost
    }

    /// Nothing waits: the sender is silent, the packet is late, or it is lost. Time tells.
    fn pull_empty(&mut self, position: i64, now: Duration) -> Pull {
        if self.unsure >= MAX_CONCEALED || (self.unsure == 0 && self.last_level >= SILENCE_LEVEL) {
            self.state = State::Buffering;
            return Pull::Idle;
        }
        self.unsure += 1;
        self.stats.concealed += 1;
        // Holding on makes the delay longer, which a late packet needs and a lost one does not: not beyond the greatest delay.
        let hold = self.delay_us(position, now) < micros(MAX_DELAY);
        let position = if hold { position } else { position + i64::from(FRAME_TICKS) };
        self.state = State::Playing { position };
        Pull::Lost
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Extended timestamp to microseconds: 48 ticks a millisecond.
fn media_us(ticks: i64) -> i64 {
    ticks * 125 / 6
}
