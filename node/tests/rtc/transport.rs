//! One connection between two transports, with the descriptions carried by hand.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use conclave_node::rtc::certificate::CallCertificate;
use conclave_node::rtc::transport::{
    OutgoingRtp, Track, Transport, TransportConfig, TransportEvent, TransportFactory, TransportState,
};
use conclave_node::rtc::webrtc_transport::WebRtcFactory;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

struct End {
    transport: Arc<dyn Transport>,
    events: mpsc::Receiver<TransportEvent>,
    certificate: Arc<CallCertificate>,
}

async fn end() -> End {
    super::log();
    let certificate = Arc::new(CallCertificate::generate().unwrap());
    let config =
        TransportConfig { certificate: Arc::clone(&certificate), addresses: Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) };
    let (transport, events) = WebRtcFactory.connect(config).await.unwrap();
    End { transport, events, certificate }
}

impl End {
    async fn until(&mut self, wanted: impl Fn(&TransportEvent) -> bool) -> TransportEvent {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the transport ended");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
        .expect("the event did not come")
    }

    async fn connected(&mut self) {
        self.until(|event| *event == TransportEvent::State(TransportState::Connected)).await;
    }
}

async fn exchange(offerer: &End, answerer: &End, ice_restart: bool) {
    let offer = offerer.transport.offer(ice_restart).await.unwrap();
    answerer.transport.apply_remote(offer).await.unwrap();
    let answer = answerer.transport.answer().await.unwrap();
    offerer.transport.apply_remote(answer).await.unwrap();
}

async fn pair() -> (End, End) {
    let (mut a, mut b) = (end().await, end().await);
    exchange(&a, &b, false).await;
    tokio::join!(a.connected(), b.connected());
    (a, b)
}

/// Sends until one arrives, then gives the payload. Packets before the peer's handshake is through may be lost.
async fn carries(from: &End, to: &End, track: Track, payload: &'static [u8]) -> Bytes {
    let sending = async {
        for i in 0u32.. {
            let packet = OutgoingRtp { timestamp: i * 960, marker: true, payload: Bytes::from_static(payload) };
            from.transport.send(track, packet).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let receiving = async { to.transport.receive(track).await.unwrap().payload };
    tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            _ = sending => unreachable!(),
            payload = receiving => payload,
        }
    })
    .await
    .unwrap_or_else(|_| panic!("nothing arrived on {track:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_streams_arrive_both_ways_and_certificates_are_seen() {
    let started = Instant::now();
    let (mut a, mut b) = pair().await;
    println!("connected after {:?}", started.elapsed());
    assert_eq!(a.transport.remote_fingerprint().await.unwrap(), *b.certificate.fingerprint());
    assert_eq!(b.transport.remote_fingerprint().await.unwrap(), *a.certificate.fingerprint());
    for (track, payload) in [(Track::Audio, &b"one"[..]), (Track::Camera, b"two"), (Track::Screen, b"three")] {
        assert_eq!(carries(&a, &b, track, payload).await, payload);
        assert_eq!(carries(&b, &a, track, payload).await, payload);
    }

    // A keyframe request reaches the sender of the very track, both for the camera and for the screen.
    for track in [Track::Camera, Track::Screen] {
        b.transport.request_keyframe(track).await;
        assert_eq!(
            a.until(|event| matches!(event, TransportEvent::KeyframeWanted(_))).await,
            TransportEvent::KeyframeWanted(track)
        );
    }

    a.transport.close().await;
    tokio::time::timeout(PATIENCE, async {
        while b.transport.state().await != TransportState::Closed {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the end was not seen");
    b.transport.close().await;
    assert!(b.transport.receive(Track::Audio).await.is_none());
    b.events.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_may_offer_at_once_when_one_rolls_back() {
    let (mut a, mut b) = (end().await, end().await);
    let (offer, unheard) = tokio::join!(a.transport.offer(false), b.transport.offer(false));
    unheard.unwrap();
    b.transport.rollback().await.unwrap();
    b.transport.apply_remote(offer.unwrap()).await.unwrap();
    let answer = b.transport.answer().await.unwrap();
    a.transport.apply_remote(answer).await.unwrap();
    tokio::join!(a.connected(), b.connected());
    for track in Track::ALL {
        assert_eq!(carries(&a, &b, track, b"glare").await, b"glare"[..]);
        assert_eq!(carries(&b, &a, track, b"glare").await, b"glare"[..]);
    }
    a.transport.close().await;
    b.transport.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ice_restart_takes_new_sockets_and_media_goes_on() {
    let (a, b) = pair().await;
    assert_eq!(carries(&a, &b, Track::Audio, b"before").await, b"before"[..]);
    // Either side may be the one to restart.
    exchange(&b, &a, true).await;
    while carries(&a, &b, Track::Audio, b"after").await != b"after"[..] {}
    assert_eq!(carries(&b, &a, Track::Camera, b"after").await, b"after"[..]);
    assert_eq!(a.transport.state().await, TransportState::Connected);
    a.transport.close().await;
    b.transport.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ice_restarts_of_both_sides_at_once_end_in_one_connection() {
    let (a, b) = pair().await;
    let (offer, unheard) = tokio::join!(a.transport.offer(true), b.transport.offer(true));
    unheard.unwrap();
    b.transport.rollback().await.unwrap();
    b.transport.apply_remote(offer.unwrap()).await.unwrap();
    let answer = b.transport.answer().await.unwrap();
    a.transport.apply_remote(answer).await.unwrap();
    assert_eq!(carries(&a, &b, Track::Audio, b"after").await, b"after"[..]);
    assert_eq!(carries(&b, &a, Track::Camera, b"after").await, b"after"[..]);
    a.transport.close().await;
    b.transport.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_for_a_description_is_an_error() {
    use conclave_node::rtc::transport::{Description, DescriptionKind};
    let a = end().await;
    for sdp in ["", "v=0", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 200\r\n", "\u{0}"] {
        let refused = a.transport.apply_remote(Description { kind: DescriptionKind::Offer, sdp: sdp.to_owned() }).await;
        assert!(refused.is_err(), "{sdp:?} was taken");
    }
    a.transport.close().await;
}
