//! What a member of the call can do to another with its pictures, its voice and its descriptions: it has the keys, so all that it sends
//! is sealed as it should be. Each case runs in a process of its own, with an honest third, and asserts that the process lives, that
//! its memory stays under its ceiling, and that the honest peer is still served.

#[allow(dead_code)]
#[path = "../../../node/tests/rtc/hall.rs"]
mod hall;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use conclave_media::audio::AudioSettings;
use conclave_media::codec::opus::OpusEncoder;
use conclave_media::codec::{self, EncoderSettings, VideoCodec, VideoContent};
use conclave_media::testcard::TestCard;
use conclave_node::rtc::mesh::MeshEvent;
use conclave_node::rtc::transport::{
    OutgoingRtp, Track, Transport, TransportConfig, TransportError, TransportEvent, TransportFactory,
};
use conclave_node::rtc::webrtc_transport::WebRtcFactory;
use conclave_node::view::{LinkState, StreamKind};
use conclave_protocol::id::DeviceId;
use conclave_protocol::media::frame_cipher::{FrameKeys, Meta};
use conclave_protocol::media::packetizer::{Packetizer, audio_payload};
use conclave_protocol::negotiation::{Signal, SignalBody};
use conclave_tests::process::rss_kib;
use tokio::sync::mpsc;

use hall::{Hall, Member};

/// Of the victim, the attacker and the honest peer together, codecs included.
const CEILING_KIB: u64 = 400 * 1024;
/// How long an attack goes on.
const ATTACK: Duration = Duration::from_secs(4);
const CASE: &str = "CONCLAVE_MEDIA_CASE";

fn log() {}

#[test]
fn malformed_packets_are_dropped() {
    withstands("malformed");
}

#[test]
fn whoever_sends_ten_thousand_packets_a_second_is_set_aside() {
    withstands("flood");
}

#[test]
fn a_sender_of_keyframes_only_costs_the_others_nothing() {
    withstands("keyframes");
}

#[test]
fn a_picture_of_16k_by_16k_is_refused_before_it_is_decoded() {
    withstands("enormous");
}

#[test]
fn timestamps_that_leap_are_borne() {
    withstands("timestamps");
}

#[test]
fn silence_that_is_noise_at_full_scale_stays_within_its_own_voice() {
    withstands("noise");
}

#[test]
fn a_thousand_keyframe_requests_a_second_leave_the_others_their_pictures() {
    withstands("requests");
}

#[test]
fn hostile_descriptions_and_candidates_connect_nobody() {
    withstands("descriptions");
}

/// The three assertions.
fn withstands(case: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["media::scene", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .stdout(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = rss_kib(child.id()).map_or(peak, |(_, highest)| highest.max(peak));
        std::thread::sleep(Duration::from_millis(50));
    };
    println!("{case}: memory at most {peak} KiB");
    assert!(status.success(), "the process lives, and the honest peer is served");
    assert!(peak > 0 && peak < CEILING_KIB, "its memory reached {peak} KiB");
}

/// A case in a process of its own. By itself it does nothing.
#[test]
#[ignore = "the child process of the other tests"]
fn scene() {
    let Ok(case) = std::env::var(CASE) else { return };
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live(&case));
    // A task that panics takes nothing else with it: it would go unnoticed.
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

async fn live(case: &str) {
    static ATTACKER: OnceLock<DeviceId> = OnceLock::new();
    let descriptions = case == "descriptions";
    let bends = AtomicUsize::new(0);
    let hall = Hall::with_wire(Arc::new(move |from, to, signal| {
        let signal = match ATTACKER.get() {
            Some(attacker) if descriptions && *attacker == from => bent(signal, bends.fetch_add(1, Ordering::Relaxed)),
            _ => signal,
        };
        vec![(from, to, signal)]
    }));
    let (victim, honest) = (hall.member(), hall.member());
    let taken = Taken::default();
    let attacker = hall.member_with(Some(Arc::new(taken.clone())));
    ATTACKER.set(attacker.id).unwrap();
    for member in [&victim, &honest] {
        member.mesh.set_mic(Some("tone"), true).await.unwrap();
        member.mesh.set_camera(Some("test:320x180@15")).await.unwrap();
    }
    hall::introduce(&[&victim, &honest]);
    hall::introduce(&[&victim, &attacker]);
    honest.first_frame(victim.id, StreamKind::Camera).await;
    victim.first_frame(honest.id, StreamKind::Camera).await;
    if descriptions {
        // Long enough for several attempts.
        tokio::time::sleep(ATTACK).await;
        let link = |event: &MeshEvent| matches!(event, MeshEvent::Link { peer, state: LinkState::Connected, .. } if *peer == attacker.id);
        assert!(!victim.saw(link), "nobody is connected by a description that makes no sense");
    } else {
        victim.connected(attacker.id).await;
        let transport = taken.0.lock().unwrap().last().cloned().unwrap();
        let mut keys = FrameKeys::new(attacker.id);
        keys.set_epochs(&hall::epochs(&[victim.id, honest.id, attacker.id], 2), 0, |at| at);
        let attack = Attack { transport, keys, random: 7 };
        attack.run(case, &victim, attacker.id).await;
    }
    // Both ways.
    is_served(&honest, victim.id).await;
    is_served(&victim, honest.id).await;
    for member in [attacker, honest, victim] {
        member.close().await;
    }
}

/// Pictures go on coming, and a voice with them.
async fn is_served(member: &Member, by: DeviceId) {
    member.forget_events();
    let before = member.stats(by, "figures", |_, _| true).await.frames_decoded;
    member.stats(by, "pictures, and a voice", |stats, level| stats.frames_decoded > before + 10 && level > 0.0).await;
}

/// A description that another would not make.
fn bent(mut signal: Signal, turn: usize) -> Signal {
    if let SignalBody::Description(description) = &mut signal.body {
        let sdp = &mut description.sdp;
        match turn % 5 {
            0 => *sdp = "v=0\r\n".repeat(10_000),
            1 => *sdp = sdp.replace("a=ice-pwd", "a=ice-pwd\u{fffd}").replace("m=audio", "m=audio 99999999999"),
            2 => {
                let lines: Vec<&str> = sdp.lines().rev().collect();
                *sdp = lines.join("\r\n");
            }
            3 => *sdp = "a=candidate:1 1 udp 4294967295 255.255.255.255 0 typ host\r\n".repeat(900),
            _ => *sdp = sdp.chars().take(sdp.len() / 3).collect(),
        }
    }
    signal
}

/// The engine's own transports, which the attacker keeps a hand on.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Arc<dyn Transport>>>>);

#[async_trait]
impl TransportFactory for Taken {
    async fn connect(
        &self,
        config: TransportConfig,
    ) -> Result<(Arc<dyn Transport>, mpsc::Receiver<TransportEvent>), TransportError> {
        let made = WebRtcFactory.connect(config).await?;
        self.0.lock().unwrap().push(Arc::clone(&made.0));
        Ok(made)
    }
}

/// What is sent past the attacker's own encoders.
struct Attack {
    transport: Arc<dyn Transport>,
    keys: FrameKeys,
    random: u64,
}

impl Attack {
    async fn run(mut self, case: &str, victim: &Member, me: DeviceId) {
        let until = Instant::now() + ATTACK;
        match case {
            "malformed" => self.malformed(until).await,
            "flood" => self.flood(victim, me).await,
            "keyframes" => self.keyframes(until).await,
            "enormous" => self.enormous(until).await,
            "timestamps" => self.timestamps(until).await,
            "noise" => self.noise(until).await,
            "requests" => {
                while Instant::now() < until {
                    self.transport.request_keyframe(Track::Camera).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            other => panic!("no case {other}"),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound.max(1)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// The connection may be over by now: that is an answer too.
    async fn send(&self, track: Track, timestamp: u32, payload: Vec<u8>) -> bool {
        let packet = OutgoingRtp { timestamp, marker: true, payload: Bytes::from(payload) };
        !matches!(self.transport.send(track, packet).await, Err(TransportError::Closed))
    }

    /// One frame of the camera, sealed and cut as an honest peer does it.
    async fn frame(&mut self, packetizer: &mut Packetizer, timestamp: u32, frame: &[u8]) {
        let meta = Meta::Video { stream: 0, codec: 0, keyframe: true };
        let sealed = self.keys.seal(frame, meta, Duration::from_secs(1 << 20)).unwrap();
        for payload in packetizer.packetize(&sealed, true, 0).unwrap() {
            self.send(Track::Camera, timestamp, payload).await;
        }
    }

    async fn voice(&mut self, level: u8, timestamp: u32, opus: &[u8]) {
        let sealed = self.keys.seal(opus, Meta::Audio { level }, Duration::from_secs(1 << 20)).unwrap();
        self.send(Track::Audio, timestamp, audio_payload(level, &sealed)).await;
    }

    async fn malformed(&mut self, until: Instant) {
        while Instant::now() < until {
            for track in Track::ALL {
                let length = self.below(1_150);
                let mut payload = self.bytes(length);
                // Half of them begin as packets of a frame do.
                if let Some(first) = payload.first_mut()
                    && length % 2 == 0
                {
                    *first = *first & 0b1110_0111 | 0b0000_1000;
                }
                let timestamp = self.below(1 << 32) as u32;
                self.send(track, timestamp, payload).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn flood(&mut self, victim: &Member, me: DeviceId) {
        victim.forget_events();
        let flooding = async {
            let mut timestamp = 0;
            loop {
                timestamp += 90;
                for _ in 0..10 {
                    // The first packet of a frame that never ends.
                    let mut payload = self.bytes(40);
                    payload[0] = 0b1010_1000;
                    if !self.send(Track::Camera, timestamp, payload).await {
                        // It was set aside: what follows is the end of the wait below.
                        std::future::pending::<()>().await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let set_aside = victim.until("the flood set aside", |event| match event {
            MeshEvent::Link { peer, state: LinkState::Reconnecting, .. } if *peer == me => Some(()),
            _ => None,
        });
        tokio::select! {
            () = flooding => {}
            () = set_aside => {}
        }
    }

    async fn keyframes(&mut self, until: Instant) {
        let settings = EncoderSettings { content: VideoContent::Camera, bitrate_bps: 3_000_000, fps: 30 };
        let mut encoder = codec::encoder(VideoCodec::H264, settings).unwrap();
        let picture = TestCard::new(1280, 720).unwrap().draw(Duration::ZERO, Duration::ZERO);
        let keyframe = encoder.encode(&picture, true).unwrap().unwrap();
        let (mut packetizer, mut timestamp) = (Packetizer::new(), 0u32);
        while Instant::now() < until {
            timestamp = timestamp.wrapping_add(1_500);
            self.frame(&mut packetizer, timestamp, &keyframe.data).await;
            tokio::time::sleep(Duration::from_millis(16)).await;
        }
    }

    async fn enormous(&mut self, until: Instant) {
        let (mut packetizer, mut timestamp) = (Packetizer::new(), 0u32);
        while Instant::now() < until {
            timestamp = timestamp.wrapping_add(3_000);
            let mut frame = parameter_set(1_024, 1_024);
            frame.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65]);
            let rest = self.bytes(4_000);
            frame.extend(rest);
            self.frame(&mut packetizer, timestamp, &frame).await;
            tokio::time::sleep(Duration::from_millis(33)).await;
        }
    }

    async fn timestamps(&mut self, until: Instant) {
        let settings = EncoderSettings { content: VideoContent::Camera, bitrate_bps: 300_000, fps: 30 };
        let mut encoder = codec::encoder(VideoCodec::H264, settings).unwrap();
        let picture = TestCard::new(320, 180).unwrap().draw(Duration::ZERO, Duration::ZERO);
        let keyframe = encoder.encode(&picture, true).unwrap().unwrap();
        let opus = OpusEncoder::new(AudioSettings::default()).unwrap().encode(&[0.1; 960]).unwrap();
        let mut packetizer = Packetizer::new();
        while Instant::now() < until {
            let timestamp = self.below(1 << 32) as u32;
            self.frame(&mut packetizer, timestamp, &keyframe.data).await;
            for _ in 0..4 {
                let timestamp = self.below(1 << 32) as u32;
                self.voice(40, timestamp, &opus).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn noise(&mut self, until: Instant) {
        let mut encoder = OpusEncoder::new(AudioSettings { dtx: false, ..AudioSettings::default() }).unwrap();
        let mut timestamp = 0u32;
        while Instant::now() < until {
            timestamp = timestamp.wrapping_add(960);
            let frame = std::array::from_fn(|_| if self.below(2) == 0 { 1.0 } else { -1.0 });
            let opus = encoder.encode(&frame).unwrap();
            // It says that it is silent.
            self.voice(127, timestamp, &opus).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The parameter set of a baseline H.264 stream of so many macroblocks of 16 × 16 (ITU-T H.264, 7.3.2.1.1).
fn parameter_set(width: u32, height: u32) -> Vec<u8> {
    let golomb = |value: u32| {
        let bits = 32 - (value + 1).leading_zeros();
        "0".repeat(bits as usize - 1) + &format!("{:b}", value + 1)
    };
    let mut bits = format!("{:08b}{:08b}{:08b}", 66, 0xc0, 31);
    bits += &[0, 0, 2, 1].map(golomb).concat();
    bits += "0";
    bits += &[width - 1, height - 1].map(golomb).concat();
    bits += "11001";
    let mut bytes = vec![0, 0, 0, 1, 0x67];
    bytes.extend(bits.as_bytes().chunks(8).map(|chunk| {
        let text = format!("{:0<8}", std::str::from_utf8(chunk).unwrap());
        u8::from_str_radix(&text, 2).unwrap()
    }));
    bytes
}
