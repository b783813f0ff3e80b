//! How webrtc is set up: codecs, the packet chain, timers and addresses. Its defaults are not used, because they were measured to lose
//! calls.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use webrtc::peer_connection::{MediaEngine, Registry, SettingEngine, SettingEngineBuilder};
use webrtc_core::ice::mdns::MulticastDnsMode;
use webrtc_core::interceptor::{
    CongestionControlBuilder, NackGeneratorBuilder, NackResponderBuilder, ReceiverReportBuilder, SenderReportBuilder, Slot,
    TwccReceiverBuilder, TwccSenderBuilder,
};
use webrtc_core::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_OPUS};
use webrtc_core::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};

use super::tap::{Counters, Estimator, Tap};
use super::transport::{Track, TransportError, TransportEvent};
use super::webrtc_transport::engine_error;

/// A call whose cable was cut says so within this time, and tries again; presence ends it after 5 s of silence.
const ICE_DISCONNECTED: Duration = Duration::from_secs(2);
/// After being disconnected. Then ICE is restarted on new sockets.
const ICE_FAILED: Duration = Duration::from_secs(4);
const ICE_KEEPALIVE: Duration = Duration::from_millis(500);
/// Between two checks of a pair while connecting. The engine's 200 ms would be most of the time to connect on a LAN.
const ICE_CHECK: Duration = Duration::from_millis(50);
/// Local addresses that are bound for a connection. A machine with more (containers, bridges) uses the first ones.
const ADDRESSES: usize = 12;
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The codecs that are named to the peer. Only opus is what it says: a video payload is this project's own packets (a one-byte
/// header, then the sealed or encoded frame), and the codec is a carrier. Camera and screen have the same one: webrtc narrows the
/// video codecs of the whole connection to those of the first video section, so that packets of a screen named VP9 were dropped.
///
/// `video/rtx` is left out on purpose: with it, webrtc's NACK generator asks for recovered packets again and again (5,661 NACKs at
/// 2 % loss, 408 ms median latency); retransmissions travel in the stream itself.
pub(super) fn media_engine() -> Result<MediaEngine, TransportError> {
    let mut engine = MediaEngine::default();
    for track in [Track::Audio, Track::Camera] {
        engine.register_codec(codec(track), kind(track)).map_err(engine_error)?;
    }
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        engine.register_feedback(feedback("transport-cc", ""), kind);
        engine
            .register_header_extension(RTCRtpHeaderExtensionCapability { uri: TRANSPORT_CC.to_owned() }, kind, None)
            .map_err(engine_error)?;
    }
    // A lost voice packet of a near peer is back within the jitter buffer's reach, which error correction alone is not.
    engine.register_feedback(feedback("nack", ""), RtpCodecKind::Audio);
    for parameter in [("nack", ""), ("nack", "pli"), ("ccm", "fir")] {
        engine.register_feedback(feedback(parameter.0, parameter.1), RtpCodecKind::Video);
    }
    Ok(engine)
}

fn feedback(kind: &str, parameter: &str) -> RTCPFeedback {
    RTCPFeedback { typ: kind.to_owned(), parameter: parameter.to_owned() }
}

pub(super) fn kind(track: Track) -> RtpCodecKind {
    match track {
        Track::Audio => RtpCodecKind::Audio,
        Track::Camera | Track::Screen => RtpCodecKind::Video,
    }
}

pub(super) fn codec(track: Track) -> RTCRtpCodecParameters {
    let (mime_type, channels, fmtp, payload_type) = match track {
        Track::Audio => (MIME_TYPE_OPUS, 2, "minptime=10;useinbandfec=1;usedtx=1", 111),
        Track::Camera | Track::Screen => {
            (MIME_TYPE_H264, 0, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", 102)
        }
    };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate: track.clock_rate(),
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: Vec::new(),
        },
        payload_type,
    }
}

/// The packet chain.
///
/// - The tap is next to the wire.
/// - No `Slot::Pacer`: it is one queue for audio and video, and held both for 2.7 s when video was over the estimate. Encoders are
///   kept under the estimate instead.
/// - NACKs every 20 ms, at most 10 for a packet; the engine's 100 ms is longer than the whole jitter budget.
pub(super) fn chain(counters: &Arc<Counters>, own: [(u32, Track); 3], events: mpsc::Sender<TransportEvent>) -> Registry {
    Registry::new()
        .with(Slot::from(500), Tap::new(Arc::clone(counters), own, events))
        .with(Slot::CongestionControl, CongestionControlBuilder::new(Estimator::new(Arc::clone(counters))).build())
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::NackResponder, NackResponderBuilder::new().with_size(1024).build())
        .with(
            Slot::NackGenerator,
            NackGeneratorBuilder::new()
                .with_size(512)
                .with_interval(Duration::from_millis(20))
                .with_max_nacks_per_packet(10)
                .build(),
        )
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build())
}

pub(super) fn settings() -> SettingEngine {
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
        .with_ice_connection_attempts(Some(ICE_CHECK), None)
        // A restart takes new sockets on the interfaces that exist then: the old ones may belong to a network that is gone.
        .with_discard_local_candidates_during_ice_restart(true)
        // The certificate is compared with the *signed* fingerprint by whoever uses the transport, before anything is sent or
        // played, and a difference is told to the person. The engine's own comparison with the description would end the
        // handshake without an event. That the peer holds the key of its certificate is checked all the same.
        .with_disable_certificate_fingerprint_verification(true)
        .build()
}

/// The addresses to bind, looked up anew at each bind, so that an ICE restart follows a changed network.
pub(super) struct LocalAddresses(pub(super) Option<Vec<IpAddr>>);

impl ToSocketAddrs for LocalAddresses {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let addresses = match &self.0 {
            Some(fixed) => fixed.clone(),
            None => usable_addresses(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip())),
        };
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
    }
}

/// Every address a neighbour could reach; loopback alone where there is no other (a peer on this machine reaches any of them).
fn usable_addresses(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut usable: Vec<IpAddr> = all
        .filter(|ip| match ip {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_unspecified() && !v4.is_link_local(),
            // A link-local address means nothing without its zone, which a candidate cannot carry.
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && (v6.segments()[0] & 0xffc0) != 0xfe80,
        })
        .collect();
    usable.dedup();
    usable.truncate(ADDRESSES);
    if usable.is_empty() {
        usable.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_used_only_where_nothing_else_is() {
        let lan: IpAddr = Ipv4Addr::new(192, 168, 1, 2).into();
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        let link_local: IpAddr = Ipv4Addr::new(169, 254, 3, 4).into();
        assert_eq!(usable_addresses([loopback, lan, link_local].into_iter()), vec![lan]);
        assert_eq!(usable_addresses([loopback, link_local].into_iter()), vec![loopback]);
    }
}
