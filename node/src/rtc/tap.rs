//! Two small pieces in webrtc's packet chain: the tap, which counts packets, hears the reports and keyframe requests that the engine
//! keeps to itself, and lets each retransmission be asked for once a round trip; and the estimator, which lets the estimate out.
//! Neither changes or delays a media packet.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use webrtc_core::interceptor::{
    BandwidthEstimator, EstimatorStats, Gcc, Interceptor, Packet, PacketReport, StreamInfo, TaggedPacket,
};
use webrtc_core::rtcp;
use webrtc_core::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use webrtc_core::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use webrtc_core::rtcp::receiver_report::ReceiverReport;
use webrtc_core::rtcp::reception_report::ReceptionReport;
use webrtc_core::rtcp::sender_report::SenderReport;
use webrtc_core::rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use webrtc_core::sansio::Protocol;
use webrtc_core::shared::error::Error;

use super::guard::DelayGuard;
use super::transport::{Track, TransportEvent, TransportStats};

/// Sender reports whose echo is awaited: one a second for each of three tracks, for a path of up to 10 s.
const AWAITED_REPORTS: usize = 32;
/// Remote streams whose losses are kept: three are negotiated.
const REMOTE_STREAMS: usize = 8;

/// Retransmissions that are remembered: a second of a large stream.
const ANSWERED: usize = 1024;
/// Packets that one request may name; an honest one names what was lost in 20 ms.
const ASKED_AT_ONCE: usize = 512;
/// A round trip beyond this is taken for this when repeated requests are judged.
const LONGEST_RTT: Duration = Duration::from_millis(500);

/// What the tap has seen, shared with the transport.
#[derive(Default)]
pub(crate) struct Counters {
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    packets_received: AtomicU64,
    bytes_received: AtomicU64,
    nacks_sent: AtomicU64,
    nacks_received: AtomicU64,
    /// Microseconds; 0 = not known yet.
    rtt_us: AtomicU64,
    /// Thousandths.
    loss_sent: AtomicU32,
    lost: Mutex<HashMap<u32, u32>>,
    /// Bits per second.
    pub(crate) estimate: AtomicU64,
    queue_us: AtomicU64,
    full: AtomicBool,
}

impl Counters {
    pub(crate) fn stats(&self) -> TransportStats {
        let rtt = self.rtt_us.load(Relaxed);
        TransportStats {
            rtt: (rtt > 0).then(|| Duration::from_micros(rtt)),
            packets_sent: self.packets_sent.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            packets_received: self.packets_received.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            packets_lost: self.lost.lock().unwrap_or_else(PoisonError::into_inner).values().map(|&lost| u64::from(lost)).sum(),
            estimate_bps: self.estimate.load(Relaxed),
            queue: Duration::from_micros(self.queue_us.load(Relaxed)),
            full: self.full.load(Relaxed),
            loss_sent: self.loss_sent.load(Relaxed) as f32 / 1000.0,
            nacks_sent: self.nacks_sent.load(Relaxed),
            nacks_received: self.nacks_received.load(Relaxed),
        }
    }
}

/// Sits next to the wire, so that it sees retransmissions leave and everything arrive.
///
/// webrtc ends inbound RTCP inside the chain; what is marked for the application is routed by the first SSRC of a compound packet
/// only, so a PLI behind a receiver report would go to the wrong track. The tap reads the packets itself and sends an event.
pub(crate) struct Tap {
    counters: Arc<Counters>,
    /// The SSRCs under which this side sends.
    own: [(u32, Track); 3],
    events: mpsc::Sender<TransportEvent>,
    reports_sent: VecDeque<(u32, Instant)>,
    /// When each (SSRC, sequence number) was last sent again.
    answered: HashMap<(u32, u16), Instant>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl Tap {
    pub(crate) fn new(counters: Arc<Counters>, own: [(u32, Track); 3], events: mpsc::Sender<TransportEvent>) -> Self {
        Self {
            counters,
            own,
            events,
            reports_sent: VecDeque::new(),
            answered: HashMap::new(),
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }

    fn own_track(&self, ssrc: u32) -> Option<Track> {
        self.own.iter().find(|(own, _)| *own == ssrc).map(|(_, track)| *track)
    }

    fn wants_keyframe(&self, ssrc: u32) {
        if let Some(track) = self.own_track(ssrc)
            && self.events.try_send(TransportEvent::KeyframeWanted(track)).is_err()
        {
            tracing::debug!(track = track.name(), "keyframe request dropped: the peer's task is behind");
        }
    }

    fn hear_report(&mut self, now: Instant, report: &ReceptionReport) {
        if self.own_track(report.ssrc).is_none() {
            return;
        }
        let fraction = u32::from(report.fraction_lost) * 1000 / 256;
        // An average over the last few seconds: one report covers few packets.
        let before = self.counters.loss_sent.load(Relaxed);
        self.counters.loss_sent.store((before * 3 + fraction) / 4, Relaxed);
        let sent = self.reports_sent.iter().rev().find(|(stamp, _)| *stamp == report.last_sender_report).map(|(_, at)| *at);
        if report.last_sender_report != 0
            && let Some(sent) = sent
        {
            // RFC 3550, section 6.4.1: the delay is in units of 1/65,536 s.
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            let rtt = now.saturating_duration_since(sent).saturating_sub(held);
            self.counters.rtt_us.store((rtt.as_micros() as u64).max(1), Relaxed);
        }
    }

    /// What of a request is new: the peer asks every 20 ms, and an answer takes a round trip. Without this a path of 100 ms would get
    /// each lost packet five times.
    fn not_yet_answered(&mut self, now: Instant, nack: &TransportLayerNack) -> TransportLayerNack {
        let rtt = Duration::from_micros(self.counters.rtt_us.load(Relaxed)).min(LONGEST_RTT);
        self.answered.retain(|_, at| *at + rtt > now);
        let ssrc = nack.media_ssrc;
        let asked = nack.nacks.iter().flat_map(|pair| pair.packet_list()).take(ASKED_AT_ONCE);
        let new: Vec<u16> = asked.filter(|sequence| !self.answered.contains_key(&(ssrc, *sequence))).collect();
        let room = ANSWERED.saturating_sub(self.answered.len());
        self.answered.extend(new.iter().take(room).map(|sequence| ((ssrc, *sequence), now)));
        TransportLayerNack { sender_ssrc: nack.sender_ssrc, media_ssrc: ssrc, nacks: nack_pairs_from_sequence_numbers(&new) }
    }

    /// Leaves out of a compound packet what was answered already. False: nothing is left of it.
    fn thin(&mut self, now: Instant, packets: &mut Vec<Box<dyn rtcp::Packet>>) -> bool {
        let mut thinned = false;
        for packet in packets.iter_mut() {
            let new = packet.as_any().downcast_ref::<TransportLayerNack>().map(|nack| self.not_yet_answered(now, nack));
            if let Some(new) = new {
                thinned |= new.nacks.is_empty();
                *packet = Box::new(new);
            }
        }
        if thinned {
            let empty = |packet: &dyn rtcp::Packet| {
                packet.as_any().downcast_ref::<TransportLayerNack>().is_some_and(|nack| nack.nacks.is_empty())
            };
            packets.retain(|packet| !empty(packet.as_ref()));
        }
        !packets.is_empty()
    }

    fn hear(&mut self, now: Instant, packet: &dyn rtcp::Packet) {
        let any = packet.as_any();
        if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
            self.wants_keyframe(pli.media_ssrc);
        } else if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
            // A hostile peer may list thousands; there are three streams to ask for.
            fir.fir.iter().take(3).for_each(|entry| self.wants_keyframe(entry.ssrc));
        } else if let Some(report) = any.downcast_ref::<ReceiverReport>() {
            report.reports.iter().take(REMOTE_STREAMS).for_each(|report| self.hear_report(now, report));
        } else if let Some(report) = any.downcast_ref::<SenderReport>() {
            report.reports.iter().take(REMOTE_STREAMS).for_each(|report| self.hear_report(now, report));
        } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
            self.counters.nacks_received.fetch_add(asked_for(nack), Relaxed);
        }
    }

    fn say(&mut self, now: Instant, packet: &dyn rtcp::Packet) {
        let any = packet.as_any();
        if let Some(report) = any.downcast_ref::<SenderReport>() {
            // The middle 32 bits of the NTP time are what the peer echoes.
            self.reports_sent.push_back(((report.ntp_time >> 16) as u32, now));
            if self.reports_sent.len() > AWAITED_REPORTS {
                self.reports_sent.pop_front();
            }
        } else if let Some(report) = any.downcast_ref::<ReceiverReport>() {
            let mut lost = self.counters.lost.lock().unwrap_or_else(PoisonError::into_inner);
            for report in &report.reports {
                if lost.len() < REMOTE_STREAMS || lost.contains_key(&report.ssrc) {
                    // 24 bits signed: a duplicate makes it negative, which is no loss.
                    let total = if report.total_lost & 0x80_0000 != 0 { 0 } else { report.total_lost };
                    lost.insert(report.ssrc, total);
                }
            }
        } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
            self.counters.nacks_sent.fetch_add(asked_for(nack), Relaxed);
        }
    }
}

fn asked_for(nack: &TransportLayerNack) -> u64 {
    nack.nacks.iter().map(|pair| 1 + u64::from(pair.lost_packets.count_ones())).sum()
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        let now = packet.now;
        match &mut packet.message.packet {
            Packet::Rtp(rtp) => {
                self.counters.packets_received.fetch_add(1, Relaxed);
                self.counters.bytes_received.fetch_add(rtp.payload.len() as u64, Relaxed);
            }
            Packet::Rtcp(packets) => {
                for rtcp in packets.iter() {
                    self.hear(now, rtcp.as_ref());
                }
                // An empty compound packet has a meaning of its own in the chain.
                if !packets.is_empty() && !self.thin(now, packets) {
                    return Ok(());
                }
            }
            _ => {}
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        match &packet.message.packet {
            Packet::Rtp(rtp) => {
                self.counters.packets_sent.fetch_add(1, Relaxed);
                self.counters.bytes_sent.fetch_add(rtp.payload.len() as u64, Relaxed);
            }
            Packet::Rtcp(packets) => {
                let now = packet.now;
                for rtcp in packets {
                    self.say(now, rtcp.as_ref());
                }
            }
            _ => {}
        }
        self.outbound.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// Where the estimate begins: a LAN carries this, and a path that does not shows it within a second.
const INITIAL_BPS: f64 = 2_000_000.0;
const MIN_BPS: f64 = 100_000.0;
const MAX_BPS: f64 = 10_000_000.0;
/// Below this much traffic an estimate says nothing about video.
const IDLE_BPS: f64 = 100_000.0;
const WINDOW: Duration = Duration::from_secs(1);

/// Google congestion control with its target published after each change.
///
/// webrtc has no bandwidth probing: a target that fell while only audio was sent would take half a minute at 8 % a second to allow
/// video. So an estimate made of audio alone is forgotten once there is more to send.
pub(crate) struct Estimator {
    gcc: Gcc,
    guard: DelayGuard,
    counters: Arc<Counters>,
    window: Option<(Instant, usize)>,
}

impl Estimator {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        let estimator =
            Self { gcc: Gcc::new(INITIAL_BPS, MIN_BPS, MAX_BPS), guard: DelayGuard::default(), counters, window: None };
        estimator.publish();
        estimator
    }

    fn publish(&self) {
        self.counters.estimate.store(self.target_bitrate() as u64, Relaxed);
        self.counters.queue_us.store(u64::try_from(self.guard.queue().as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.counters.full.store(self.guard.is_cut(), Relaxed);
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let bytes: usize = reports.iter().map(|report| report.size).sum();
        let (since, seen) = self.window.get_or_insert((now, 0));
        *seen += bytes;
        let elapsed = now.saturating_duration_since(*since);
        if elapsed >= WINDOW {
            let idle = (*seen as f64 * 8.0 / elapsed.as_secs_f64()) < IDLE_BPS;
            self.window = None;
            if idle && self.gcc.target_bitrate() < INITIAL_BPS {
                self.gcc = Gcc::new(INITIAL_BPS, MIN_BPS, MAX_BPS);
            }
        }
        self.gcc.on_reports(now, reports);
        let arrived = reports.iter().filter(|report| report.arrived);
        self.guard.handle_reports(now, arrived.filter_map(|report| Some((report.departure, report.arrival?, report.size))));
        self.publish();
    }

    fn target_bitrate(&self) -> f64 {
        self.guard.limit(self.gcc.target_bitrate())
    }

    fn stats(&self) -> EstimatorStats {
        self.gcc.stats()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use webrtc_core::interceptor::AttributedPacket;
    use webrtc_core::shared::TransportContext;

    const OWN: [(u32, Track); 3] = [(11, Track::Audio), (12, Track::Camera), (13, Track::Screen)];

    fn tap() -> (Tap, mpsc::Receiver<TransportEvent>) {
        let (events, receiver) = mpsc::channel(8);
        (Tap::new(Arc::default(), OWN, events), receiver)
    }

    fn read(tap: &mut Tap, now: Instant, packets: Vec<Box<dyn rtcp::Packet>>) -> Vec<u16> {
        let message = AttributedPacket::new(Packet::Rtcp(packets));
        tap.handle_read(TaggedPacket { now, transport: TransportContext::default(), message }).unwrap();
        let mut asked = Vec::new();
        while let Some(packet) = tap.poll_read() {
            let Packet::Rtcp(packets) = packet.message.packet else { panic!("another packet came out") };
            for packet in &packets {
                if let Some(nack) = packet.as_any().downcast_ref::<TransportLayerNack>() {
                    asked.extend(nack.nacks.iter().flat_map(|pair| pair.packet_list()));
                }
            }
        }
        asked
    }

    fn nack(sequences: &[u16]) -> Box<dyn rtcp::Packet> {
        Box::new(TransportLayerNack { sender_ssrc: 1, media_ssrc: 12, nacks: nack_pairs_from_sequence_numbers(sequences) })
    }

    #[test]
    fn a_packet_is_sent_again_once_a_round_trip_however_often_it_is_asked_for() {
        let (mut tap, _events) = tap();
        tap.counters.rtt_us.store(100_000, Relaxed);
        let begun = Instant::now();
        let answered: usize =
            (0..10u64).map(|i| read(&mut tap, begun + Duration::from_millis(i * 20), vec![nack(&[7, 8])]).len()).sum();
        assert_eq!(answered, 4, "twice each in 200 ms");
        // Another packet is not held back by them.
        assert_eq!(read(&mut tap, begun + Duration::from_millis(185), vec![nack(&[7, 9])]), vec![9]);
    }

    #[test]
    fn on_a_short_path_every_request_counts() {
        let (mut tap, _events) = tap();
        tap.counters.rtt_us.store(1_000, Relaxed);
        let begun = Instant::now();
        for i in 0..5u64 {
            assert_eq!(read(&mut tap, begun + Duration::from_millis(i * 20), vec![nack(&[7])]), vec![7]);
        }
    }

    #[test]
    fn what_is_remembered_of_a_flood_is_bounded() {
        let (mut tap, _events) = tap();
        tap.counters.rtt_us.store(500_000, Relaxed);
        let now = Instant::now();
        for first in 0..200u16 {
            let many: Vec<u16> = (0..300).map(|i| first.wrapping_mul(300).wrapping_add(i)).collect();
            read(&mut tap, now, vec![nack(&many)]);
            assert!(tap.answered.len() <= ANSWERED);
        }
    }

    #[test]
    fn a_keyframe_request_behind_another_report_reaches_its_own_track() {
        let (mut tap, mut events) = tap();
        let report = ReceiverReport { ssrc: 1, reports: Vec::new(), ..Default::default() };
        let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: 13 };
        read(&mut tap, Instant::now(), vec![Box::new(report), Box::new(pli)]);
        assert_eq!(events.try_recv().unwrap(), TransportEvent::KeyframeWanted(Track::Screen));
        let stranger = PictureLossIndication { sender_ssrc: 1, media_ssrc: 99 };
        read(&mut tap, Instant::now(), vec![Box::new(stranger)]);
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn what_voice_alone_said_of_the_path_is_forgotten_for_video() {
        let counters = Arc::new(Counters::default());
        let mut estimator = Estimator::new(Arc::clone(&counters));
        estimator.gcc = Gcc::new(MIN_BPS, MIN_BPS, MAX_BPS);
        let begun = Instant::now();
        for i in 0..20u64 {
            estimator.on_reports(begun + Duration::from_millis(i * 100), &[]);
        }
        assert!(counters.estimate.load(Relaxed) as f64 >= INITIAL_BPS);
    }
}
