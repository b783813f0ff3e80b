use std::time::Duration;

use conclave_protocol::media::packetizer::*;
use proptest::prelude::*;

use crate::support::{Seeded, ms};

/// A stream's packets with sequence numbers and timestamps, as an RTP layer would give them.
struct Sender {
    packetizer: Packetizer,
    sequence: u16,
    timestamp: u32,
    rng: Seeded,
}

#[derive(Clone, Debug)]
struct Packet {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Sender {
    fn new(sequence: u16, seed: u64) -> Self {
        Self { packetizer: Packetizer::new(), sequence, timestamp: 7, rng: Seeded(seed) }
    }

    fn frame(&mut self, bytes: usize, keyframe: bool) -> (Vec<u8>, Vec<Packet>) {
        let data: Vec<u8> = (0..bytes).map(|_| self.rng.next() as u8).collect();
        self.timestamp = self.timestamp.wrapping_add(3_000);
        let payloads = self.packetizer.packetize(&data, keyframe, 3).unwrap();
        let packets = payloads.into_iter().map(|payload| {
            let packet = Packet { sequence: self.sequence, timestamp: self.timestamp, payload };
            self.sequence = self.sequence.wrapping_add(1);
            packet
        });
        let packets = packets.collect();
        (data, packets)
    }
}

fn push(depacketizer: &mut Depacketizer, packet: &Packet, now: Duration) {
    depacketizer.handle_packet(packet.sequence, packet.timestamp, &packet.payload, now);
}

fn drain(depacketizer: &mut Depacketizer, now: Duration) -> (Vec<Vec<u8>>, usize) {
    let (mut frames, mut requests) = (Vec::new(), 0);
    while let Some(output) = depacketizer.poll(now) {
        match output {
            DepacketizerOutput::Frame(frame) => {
                assert_eq!(frame.codec, 3);
                frames.push(frame.data);
            }
            DepacketizerOutput::RequestKeyframe => requests += 1,
        }
    }
    (frames, requests)
}

#[test]
fn a_frame_of_any_size_comes_out_as_it_went_in() {
    for bytes in [1, 2, 1_146, 1_147, 1_148, 2_294, 2_295, 100_000, MAX_FRAME_LEN] {
        let mut sender = Sender::new(65_530, bytes as u64);
        let mut receiver = Depacketizer::new();
        let (data, packets) = sender.frame(bytes, true);
        assert!(packets.iter().all(|packet| packet.payload.len() <= MAX_PAYLOAD_LEN));
        for packet in &packets {
            push(&mut receiver, packet, ms(1));
        }
        assert_eq!(drain(&mut receiver, ms(1)).0, vec![data]);
    }
}

#[test]
fn frames_that_cannot_travel_are_refused_at_the_sender() {
    let mut packetizer = Packetizer::new();
    assert_eq!(packetizer.packetize(&[], true, 0), Err(PacketizeError::Empty));
    assert_eq!(packetizer.packetize(&[0], true, 8), Err(PacketizeError::Codec(8)));
    let long = vec![0; MAX_FRAME_LEN + 1];
    assert_eq!(packetizer.packetize(&long, true, 0), Err(PacketizeError::TooLong(MAX_FRAME_LEN + 1)));
}

#[test]
fn reordering_and_duplicates_change_nothing_across_the_wrap() {
    for seed in 0..40 {
        let mut rng = Seeded(seed);
        let mut sender = Sender::new(65_400, seed);
        let mut receiver = Depacketizer::new();
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        let mut flying: Vec<Packet> = Vec::new();
        for index in 0..120_u64 {
            let (data, packets) = sender.frame(1 + rng.below(6_000) as usize, index == 0);
            sent.push(data);
            flying.extend(packets);
            // The first packet of all comes first: nothing is known before it.
            if index == 0 {
                push(&mut receiver, &flying[0], ms(0));
            }
            while flying.len() > 6 {
                let at = rng.below(6) as usize;
                let packet = flying.remove(at);
                push(&mut receiver, &packet, ms(index));
                if rng.chance(20.0) {
                    push(&mut receiver, &packet, ms(index));
                }
                got.extend(drain(&mut receiver, ms(index)).0);
            }
        }
        for packet in flying {
            push(&mut receiver, &packet, ms(120));
        }
        got.extend(drain(&mut receiver, ms(120)).0);
        assert_eq!(sent, got, "seed {seed}");
    }
}

#[test]
fn a_packet_that_is_sent_again_in_time_fills_its_gap() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (key, packets) = sender.frame(5_000, true);
    let (next, more) = sender.frame(500, false);
    for packet in packets.iter().enumerate().filter(|(index, _)| *index != 2).map(|(_, packet)| packet).chain(&more) {
        push(&mut receiver, packet, ms(0));
    }
    assert_eq!(drain(&mut receiver, ms(0)), (vec![], 0), "a keyframe on its way is not asked for");
    push(&mut receiver, &packets[2], ms(150));
    assert_eq!(drain(&mut receiver, ms(150)), (vec![key, next], 0));
}

#[test]
fn a_lost_packet_costs_the_frames_up_to_the_next_keyframe_and_one_request() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (key, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(0)));
    assert_eq!(drain(&mut receiver, ms(0)), (vec![key], 0));
    let _lost = sender.frame(500, false);
    let mut requests = Vec::new();
    for step in 1..=60_u64 {
        let now = ms(step * 33);
        let (_, packets) = sender.frame(500, false);
        packets.iter().for_each(|packet| push(&mut receiver, packet, now));
        let (frames, asked) = drain(&mut receiver, now);
        assert!(frames.is_empty(), "its reference is missing");
        requests.extend((0..asked).map(|_| now));
    }
    // The gap is seen at 33 ms and waited for 200 ms; then every 500 ms.
    assert_eq!(requests.len(), 4);
    assert!(requests[0] >= ms(233) && requests[0] <= ms(270));
    assert!(requests.windows(2).all(|pair| pair[1] - pair[0] >= KEYFRAME_REQUEST_INTERVAL));
    let (key, packets) = sender.frame(9_000, true);
    let (next, more) = sender.frame(100, false);
    packets.iter().chain(&more).for_each(|packet| push(&mut receiver, packet, ms(2_100)));
    assert_eq!(drain(&mut receiver, ms(2_100)).0, vec![key, next]);
}

#[test]
fn a_keyframe_behind_a_gap_is_taken_without_waiting_for_the_gap() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (_, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(0)));
    drain(&mut receiver, ms(0));
    let _lost = sender.frame(500, false);
    let (key, packets) = sender.frame(3_000, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(10)));
    assert_eq!(drain(&mut receiver, ms(20)).0.len(), 0, "it may only be out of order");
    let due = receiver.poll_timeout().unwrap();
    assert_eq!(due, ms(50));
    assert_eq!(drain(&mut receiver, due), (vec![key], 0));
}

#[test]
fn frames_that_the_sender_left_out_are_missed_though_no_packet_is() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (_, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(0)));
    drain(&mut receiver, ms(0));
    sender.packetizer.packetize(&[1; 10], false, 3).unwrap();
    let (_, packets) = sender.frame(500, false);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(1)));
    assert_eq!(drain(&mut receiver, ms(1)), (vec![], 1));
}

#[test]
fn the_lost_end_of_the_last_frame_is_noticed_though_nothing_follows() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (_, packets) = sender.frame(5_000, true);
    packets.iter().take(4).for_each(|packet| push(&mut receiver, packet, ms(0)));
    assert_eq!(drain(&mut receiver, ms(0)), (vec![], 0));
    let due = receiver.poll_timeout().unwrap();
    assert_eq!(due, DEFAULT_DEADLINE);
    assert_eq!(drain(&mut receiver, due), (vec![], 1));
}

#[test]
fn a_decoder_that_fails_gets_nothing_but_a_keyframe() {
    let mut sender = Sender::new(10, 1);
    let mut receiver = Depacketizer::new();
    let (_, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(0)));
    drain(&mut receiver, ms(0));
    receiver.handle_decode_failure();
    let (_, packets) = sender.frame(500, false);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(1)));
    assert_eq!(drain(&mut receiver, ms(1)), (vec![], 1));
    let (key, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(2)));
    assert_eq!(drain(&mut receiver, ms(2)), (vec![key], 0));
}

#[test]
fn a_sender_that_begins_anew_is_followed() {
    let mut receiver = Depacketizer::new();
    let mut sender = Sender::new(10, 1);
    let (_, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(0)));
    drain(&mut receiver, ms(0));
    let mut sender = Sender::new(40_000, 2);
    let (_, packets) = sender.frame(500, true);
    let (_, more) = sender.frame(500, false);
    packets.iter().chain(&more).for_each(|packet| push(&mut receiver, packet, ms(1)));
    assert_eq!(drain(&mut receiver, ms(1)), (vec![], 1));
    let (key, packets) = sender.frame(500, true);
    packets.iter().for_each(|packet| push(&mut receiver, packet, ms(2)));
    assert_eq!(drain(&mut receiver, ms(2)).0, vec![key]);
    assert_eq!(receiver.stats().resyncs, 1);
}

#[test]
fn random_loss_with_retransmission_keeps_every_frame_in_order() {
    for seed in 0..20 {
        let mut rng = Seeded(seed);
        let mut sender = Sender::new(rng.next() as u16, seed);
        let mut receiver = Depacketizer::new();
        let mut arriving: Vec<(u64, Packet)> = Vec::new();
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for step in 0..3_000_u64 {
            if step % 33 == 0 && step < 2_500 {
                let (data, packets) = sender.frame(2_000 + rng.below(4_000) as usize, step == 0);
                sent.push(data);
                for packet in packets {
                    // 10 % lost, and there again 40 to 140 ms later; all delayed by up to 10 ms.
                    let delay = if rng.chance(10.0) { 40 + rng.below(100) } else { 5 + rng.below(10) };
                    arriving.push((step + delay, packet));
                }
            }
            for (_, packet) in arriving.extract_if(.., |(at, _)| *at <= step) {
                push(&mut receiver, &packet, ms(step));
            }
            let (frames, requests) = drain(&mut receiver, ms(step));
            assert!(requests == 0 || step < 200, "seed {seed}: nothing is lost for good, asked at {step}");
            got.extend(frames);
        }
        assert_eq!(sent, got, "seed {seed}");
    }
}

#[test]
fn hostile_packets_hold_bounded_memory_and_an_honest_keyframe_still_comes_through() {
    let mut rng = Seeded(9);
    let mut receiver = Depacketizer::new();
    // Frames that never end, firsts in the middle, numbers that contradict, every sequence number.
    for round in 0..20_000_u64 {
        let mut payload: Vec<u8> = (0..4 + rng.below(40)).map(|_| rng.next() as u8).collect();
        if rng.chance(90.0) {
            payload[0] = payload[0] & !0x18 | 0x08;
        }
        let sequence = if rng.chance(70.0) { round as u16 } else { rng.next() as u16 };
        receiver.handle_packet(sequence, rng.next() as u32 % 4, &payload, ms(round / 10));
        while receiver.poll(ms(round / 10)).is_some() {}
    }
    let mut sender = Sender::new(60_000, 1);
    let mut got = Vec::new();
    let mut key = Vec::new();
    for round in 0..3 {
        let (data, packets) = sender.frame(3_000, true);
        packets.iter().for_each(|packet| push(&mut receiver, packet, ms(20_000 + round * 300)));
        while let Some(output) = receiver.poll(ms(20_000 + round * 300)) {
            if let DepacketizerOutput::Frame(frame) = output {
                got.push(frame.data);
            }
        }
        key = data;
    }
    assert_eq!(got.last(), Some(&key));
}

#[test]
fn a_frame_longer_than_the_limit_is_given_up() {
    let mut receiver = Depacketizer::new();
    let mut taken = 0;
    for index in 0..4_000_u64 {
        let head = if index == 0 { 0x88 | 0x20 } else { 0x08 | 0x20 };
        let mut payload = vec![head, 0, 1];
        payload.resize(1_450, 7);
        receiver.handle_packet(index as u16, 5, &payload, ms(index / 100));
        while let Some(output) = receiver.poll(ms(index / 100)) {
            taken += usize::from(matches!(output, DepacketizerOutput::Frame(_)));
        }
    }
    assert_eq!(taken, 0);
    assert!(receiver.stats().malformed >= 1);
}

proptest! {
    #[test]
    fn any_bytes_are_a_header_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..1_600)) {
        if let Some((_, body)) = PayloadHeader::parse(&bytes) {
            prop_assert!(body.len() + HEADER_LEN == bytes.len());
        }
        if let Some((level, opus)) = parse_audio_payload(&bytes) {
            prop_assert!(level <= 127 && opus.len() <= MAX_VOICE_LEN);
        }
    }

    #[test]
    fn sound_comes_out_as_it_went_in(level in 0_u8..=127, opus in proptest::collection::vec(any::<u8>(), 1..MAX_VOICE_LEN)) {
        let payload = audio_payload(level, &opus);
        prop_assert_eq!(parse_audio_payload(&payload), Some((level, opus.as_slice())));
    }
}
