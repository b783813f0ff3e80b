//! Two small pieces in webrtc's packet chain: the tap, which counts packets and hears the reports and keyframe requests that the
//! engine keeps to itself, and the estimator, which lets the estimate out. Neither changes or delays a packet.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
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
use webrtc_core::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use webrtc_core::sansio::Protocol;
use webrtc_core::shared::error::Error;

use super::transport::{Track, TransportEvent, TransportStats};

/// Sender reports whose echo is awaited: one a second for each of three tracks, for a path of up to 10 s.
const AWAITED_REPORTS: usize = 32;
/// Remote streams whose losses are kept: three are negotiated.
const REMOTE_STREAMS: usize = 8;

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
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl Tap {
    pub(crate) fn new(counters: Arc<Counters>, own: [(u32, Track); 3], events: mpsc::Sender<TransportEvent>) -> Self {
        Self { counters, own, events, reports_sent: VecDeque::new(), inbound: VecDeque::new(), outbound: VecDeque::new() }
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

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        match &packet.message.packet {
            Packet::Rtp(rtp) => {
                self.counters.packets_received.fetch_add(1, Relaxed);
                self.counters.bytes_received.fetch_add(rtp.payload.len() as u64, Relaxed);
            }
            Packet::Rtcp(packets) => {
                let now = packet.now;
                for rtcp in packets {
                    self.hear(now, rtcp.as_ref());
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
    counters: Arc<Counters>,
    window: Option<(Instant, usize)>,
    idle: bool,
}

impl Estimator {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        let estimator = Self { gcc: Gcc::new(INITIAL_BPS, MIN_BPS, MAX_BPS), counters, window: None, idle: true };
        estimator.publish();
        estimator
    }

    fn publish(&self) {
        self.counters.estimate.store(self.target_bitrate() as u64, Relaxed);
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let bytes: usize = reports.iter().map(|report| report.size).sum();
        let (since, seen) = self.window.get_or_insert((now, 0));
        *seen += bytes;
        let elapsed = now.saturating_duration_since(*since);
        if elapsed >= WINDOW {
            self.idle = *seen as f64 * 8.0 / elapsed.as_secs_f64() < IDLE_BPS;
            self.window = None;
            if self.idle && self.gcc.target_bitrate() < INITIAL_BPS {
                self.gcc = Gcc::new(INITIAL_BPS, MIN_BPS, MAX_BPS);
            }
        }
        self.gcc.on_reports(now, reports);
        self.publish();
    }

    fn target_bitrate(&self) -> f64 {
        self.gcc.target_bitrate()
    }

    fn stats(&self) -> EstimatorStats {
        self.gcc.stats()
    }
}
