use std::time::Duration;

use conclave_protocol::media::jitter::*;

use crate::support::{Seeded, ms};

/// A voice over a network, both in virtual time. Speech is loud but for a pause of 200 ms in each second.
struct Scenario {
    seed: u64,
    seconds: u64,
    loss_percent: f64,
    base_ms: u64,
    jitter_ms: u64,
    /// Nothing arrives in this span, and what was sent in it is lost.
    outage_ms: std::ops::Range<u64>,
    /// What was sent in this span arrives at its end, all at once.
    stall_ms: std::ops::Range<u64>,
    /// Nothing is sent in this span, and nothing lost: the sender is silent.
    dtx_ms: std::ops::Range<u64>,
    /// The path becomes slower by `step_by_ms` at this time.
    step_ms: u64,
    step_by_ms: u64,
    /// The receiver's clock, in parts of a million faster than the sender's.
    drift_ppm: i64,
    first_sequence: u16,
    first_timestamp: u32,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 20,
            loss_percent: 0.0,
            base_ms: 20,
            jitter_ms: 0,
            outage_ms: 0..0,
            stall_ms: 0..0,
            dtx_ms: 0..0,
            step_ms: u64::MAX,
            step_by_ms: 0,
            drift_ppm: 0,
            first_sequence: 65_000,
            first_timestamp: u32::MAX - 48_000 * 5,
        }
    }
}

#[derive(Default, Debug)]
struct Outcome {
    stats: JitterStats,
    /// Time from capture to playout of every played packet, in the order played, with the time of playing.
    played: Vec<(Duration, Duration)>,
    indices: Vec<u64>,
    idle: u64,
    sent: u64,
}

impl Outcome {
    fn delays_after(&self, from: Duration) -> Vec<u64> {
        let mut delays: Vec<u64> =
            self.played.iter().filter(|(at, _)| *at >= from).map(|(_, delay)| delay.as_millis() as u64).collect();
        delays.sort_unstable();
        delays
    }
}

fn level(sent_ms: u64) -> u8 {
    if sent_ms % 1_000 < 800 { 25 } else { 80 }
}

fn run(scenario: &Scenario) -> Outcome {
    let mut rng = Seeded(scenario.seed);
    let mut buffer = JitterBuffer::new();
    let mut outcome = Outcome::default();
    let mut flying: Vec<(u64, u64, AudioPacket)> = Vec::new();
    let mut sequence = scenario.first_sequence;
    for index in 0..scenario.seconds * 50 {
        let sent = index * 20;
        if scenario.dtx_ms.contains(&sent) {
            continue;
        }
        outcome.sent += 1;
        let packet = AudioPacket {
            sequence,
            timestamp: scenario.first_timestamp.wrapping_add(index as u32 * FRAME_TICKS),
            level: level(sent),
            payload: index.to_be_bytes().to_vec(),
        };
        sequence = sequence.wrapping_add(1);
        let lost = rng.chance(scenario.loss_percent) || scenario.outage_ms.contains(&sent);
        let mut arrival = sent + scenario.base_ms + rng.below(scenario.jitter_ms + 1);
        if sent >= scenario.step_ms {
            arrival += scenario.step_by_ms;
        }
        if scenario.stall_ms.contains(&arrival) {
            arrival = scenario.stall_ms.end;
        }
        if !lost {
            flying.push((arrival * 1_000, index, packet));
        }
    }
    flying.sort_by_key(|(at, index, _)| (*at, *index));
    let mut arriving = flying.into_iter().peekable();
    let step_us = 20_000_000_000 / (1_000_000 + scenario.drift_ppm).unsigned_abs();
    let end_us = scenario.seconds * 1_000_000;
    // The pull falls between the arrivals, as it will.
    let mut at_us = 7_000;
    while at_us < end_us {
        while let Some((arrival, _, packet)) = arriving.next_if(|(arrival, _, _)| *arrival <= at_us) {
            buffer.push(packet, Duration::from_micros(arrival));
        }
        let now = Duration::from_micros(at_us);
        match buffer.pull(now) {
            Pull::Packet(payload) => {
                let index = u64::from_be_bytes(payload.try_into().unwrap());
                outcome.indices.push(index);
                outcome.played.push((now, now.saturating_sub(ms(index * 20))));
            }
            Pull::Idle => outcome.idle += 1,
            Pull::Fec(_) | Pull::Lost => {}
        }
        assert!(buffer.len() <= CAPACITY);
        assert!(buffer.target_delay() >= MIN_DELAY && buffer.target_delay() <= MAX_DELAY);
        at_us += step_us;
    }
    assert!(outcome.indices.windows(2).all(|pair| pair[0] < pair[1]), "every packet is played once, in order");
    outcome.stats = buffer.stats();
    outcome
}

#[test]
fn on_a_quiet_network_everything_is_played_within_two_frames() {
    let outcome = run(&Scenario::default());
    assert_eq!(outcome.stats.concealed + outcome.stats.fec + outcome.stats.late, 0, "{:?}", outcome.stats);
    assert!(outcome.stats.played >= outcome.sent - 4);
    let delays = outcome.delays_after(ms(0));
    assert!(*delays.last().unwrap() <= 20 + 40, "{}", delays.last().unwrap());
}

#[test]
fn a_jitter_of_thirty_ms_is_absorbed() {
    for seed in 0..20 {
        let outcome = run(&Scenario { seed, jitter_ms: 30, ..Scenario::default() });
        let concealed = outcome.stats.concealed + outcome.stats.fec;
        assert!(concealed * 100 <= outcome.sent * 2, "seed {seed}: {:?}", outcome.stats);
        let delays = outcome.delays_after(ms(3_000));
        // The network takes 20 to 50 ms, the buffer waits for the slowest, and the pull comes every 20 ms.
        assert!(delays[delays.len() / 2] <= 20 + 30 + 25, "seed {seed}: median {}", delays[delays.len() / 2]);
        assert!(*delays.last().unwrap() <= 20 + 80 + 40, "seed {seed}: most {}", delays.last().unwrap());
    }
}

#[test]
fn single_losses_are_mended_by_error_correction() {
    for seed in 0..20 {
        let outcome = run(&Scenario { seed, loss_percent: 5.0, jitter_ms: 10, seconds: 40, ..Scenario::default() });
        let lost = outcome.sent - outcome.stats.received;
        assert!(lost > 40, "the network did lose some");
        let mended = outcome.stats.fec;
        assert!(mended * 100 >= lost * 50, "seed {seed}: {mended} of {lost}, {:?}", outcome.stats);
        // What is concealed is what was lost and not mended, and little besides.
        assert!(outcome.stats.concealed <= lost - mended + outcome.sent / 50, "seed {seed}: {:?}", outcome.stats);
        assert!(*outcome.delays_after(ms(3_000)).last().unwrap() <= 20 + 80 + 40);
    }
}

#[test]
fn ten_percent_loss_with_jitter_still_plays_or_mends_nearly_everything() {
    for seed in 0..10 {
        let outcome = run(&Scenario { seed, loss_percent: 10.0, jitter_ms: 30, seconds: 40, ..Scenario::default() });
        let spoken = outcome.stats.played + outcome.stats.fec;
        assert!(spoken * 100 >= outcome.sent * 92, "seed {seed}: {spoken} of {}, {:?}", outcome.sent, outcome.stats);
    }
}

#[test]
fn a_second_of_nothing_is_concealed_for_a_moment_and_then_silent() {
    let outcome = run(&Scenario { outage_ms: 5_000..6_000, ..Scenario::default() });
    assert!(outcome.stats.concealed <= 6, "{:?}", outcome.stats);
    assert!((40..=54).contains(&outcome.idle), "{}", outcome.idle);
    // It goes on as before.
    let delays = outcome.delays_after(ms(7_000));
    assert!(*delays.last().unwrap() <= 20 + 60, "{:?}", delays.last());
    assert!(outcome.stats.played >= outcome.sent - 60);
}

#[test]
fn a_burst_after_a_stall_does_not_lengthen_the_delay_for_good() {
    let outcome = run(&Scenario { stall_ms: 5_000..6_000, ..Scenario::default() });
    let delays = outcome.delays_after(ms(6_500));
    assert!(*delays.last().unwrap() <= 20 + 80 + 40, "{:?}", delays.last());
    let settled = outcome.delays_after(ms(17_500));
    assert!(*settled.last().unwrap() <= 20 + 45, "{:?}", settled.last());
}

#[test]
fn silence_of_the_sender_is_neither_loss_nor_delay() {
    for silence in [5_000..5_400_u64, 5_000..9_000, 5_800..5_840, 5_000..17_000] {
        let outcome = run(&Scenario { dtx_ms: silence.clone(), ..Scenario::default() });
        assert_eq!(outcome.stats.concealed, 0, "{silence:?}: {:?}", outcome.stats);
        assert_eq!(outcome.stats.fec, 0);
        assert_eq!(outcome.stats.played, outcome.sent - outcome.stats.accelerated - 2, "{silence:?}: {:?}", outcome.stats);
        assert!(*outcome.delays_after(ms(0)).last().unwrap() <= 20 + 60, "{silence:?}");
    }
}

#[test]
fn a_path_that_becomes_slower_is_followed_at_once() {
    for by in [60, 150, 400, 900] {
        let outcome = run(&Scenario { step_ms: 5_000, step_by_ms: by, ..Scenario::default() });
        assert!(outcome.stats.concealed <= 12, "{by} ms: {:?}", outcome.stats);
        let played_after = outcome.played.iter().filter(|(at, _)| *at >= ms(7_000)).count();
        assert!(played_after >= 13 * 50 - 10, "{by} ms: {played_after}");
        let settled = outcome.delays_after(ms(18_000));
        assert!(*settled.last().unwrap() <= 20 + by + 100, "{by} ms: {:?}", settled.last());
    }
}

#[test]
fn clocks_that_drift_apart_neither_starve_nor_fill_the_buffer() {
    for drift_ppm in [-300, -100, 100, 300] {
        let outcome = run(&Scenario { drift_ppm, seconds: 600, jitter_ms: 10, ..Scenario::default() });
        let delays = outcome.delays_after(ms(5_000));
        assert!(*delays.last().unwrap() <= 20 + 80, "{drift_ppm}: {:?}", delays.last());
        assert!(outcome.stats.concealed * 200 <= outcome.sent, "{drift_ppm}: {:?}", outcome.stats);
        let adjusted = outcome.stats.accelerated + outcome.stats.expanded;
        assert!(adjusted >= 600 * drift_ppm.unsigned_abs() / 1_000_000 * 50, "{drift_ppm}: {:?}", outcome.stats);
        assert!(adjusted <= 200, "{drift_ppm}: {:?}", outcome.stats);
    }
}

#[test]
fn a_sender_that_begins_anew_is_played_again_at_once() {
    let mut buffer = JitterBuffer::new();
    let mut heard_after = 0;
    for index in 0..200_u32 {
        let now = ms(u64::from(index) * 20);
        let (sequence, timestamp) = if index < 100 { (500, 48_000) } else { (30_000, 4_000_000_000) };
        let packet = AudioPacket {
            sequence: sequence + (index % 100) as u16,
            timestamp: timestamp + (index % 100) * FRAME_TICKS,
            level: 20,
            payload: vec![index as u8],
        };
        buffer.push(packet, now);
        if let Pull::Packet(payload) = buffer.pull(now + ms(5))
            && payload[0] >= 100
        {
            heard_after += 1;
        }
    }
    assert_eq!(buffer.stats().resyncs, 1);
    assert!(heard_after >= 94, "{heard_after}");
}

#[test]
fn a_claimed_gap_of_hours_costs_no_time() {
    let mut buffer = JitterBuffer::new();
    let started = std::time::Instant::now();
    for index in 0..1_000_u32 {
        let packet = AudioPacket {
            sequence: (index * 2) as u16,
            // Forward by eleven hours, and by half a frame less than the time that has passed.
            timestamp: (index / 2).wrapping_mul(2_000_000_000).wrapping_add(index * 480),
            level: 10,
            payload: vec![1],
        };
        buffer.push(packet, ms(u64::from(index) * 20));
        buffer.pull(ms(u64::from(index) * 20));
    }
    assert!(started.elapsed() < ms(5_000));
}

#[test]
fn hostile_packets_neither_fill_nor_stop_the_buffer() {
    let mut rng = Seeded(4);
    let mut buffer = JitterBuffer::new();
    for round in 0..10_000_u64 {
        let packet = AudioPacket {
            sequence: if rng.chance(60.0) { round as u16 } else { rng.next() as u16 },
            timestamp: if rng.chance(60.0) { round as u32 * 960 } else { rng.next() as u32 },
            level: rng.next() as u8,
            payload: vec![0; rng.below(2_000) as usize],
        };
        buffer.push(packet, ms(round * 3));
        if rng.chance(15.0) {
            buffer.pull(ms(round * 3));
        }
        assert!(buffer.len() <= CAPACITY);
    }
    let mut heard = 0;
    for index in 0..100_u32 {
        let now = ms(200_000 + u64::from(index) * 20);
        let packet =
            AudioPacket { sequence: 9_000 + index as u16, timestamp: 77_000 + index * 960, level: 10, payload: vec![1, 2, 3] };
        buffer.push(packet, now);
        heard += u32::from(buffer.pull(now + ms(2)) == Pull::Packet(vec![1, 2, 3]));
    }
    assert!(heard >= 85, "{heard}");
}
