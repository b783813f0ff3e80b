//! Files beside a call on one uplink, in virtual time: the voice hardly waits, and the rest of the uplink is used.

use std::time::Duration;

use conclave_protocol::swarm::courtesy::{CallPath, Courtesy};

const KIB: f64 = 1024.0;

/// An uplink of `carries` bytes a second with an endless queue, of which the media take `media`; files send as much as they may. Gives for
/// each 100 ms how long the queue was and what files sent.
fn drive(courtesy: &mut Courtesy, from: Duration, seconds: u64, carries: f64, media: f64, queue: &mut f64) -> Vec<(f64, f64)> {
    let step = 0.1;
    (0..seconds * 10)
        .map(|turn| {
            let now = from + Duration::from_millis(turn * 100);
            let sending = courtesy.up().map_or(carries * 2.0, |up| up as f64);
            *queue = (*queue + (sending + media - carries) * step).max(0.0);
            let waits = *queue / carries;
            let path = CallPath { queue: Duration::from_secs_f64(waits), ..CallPath::default() };
            courtesy.handle_path(now, path, sending as u64, 0);
            (waits, sending)
        })
        .collect()
}

#[test]
fn the_voice_hardly_waits_and_the_rest_of_the_uplink_is_used() {
    for (carries, media) in [(1_000.0 * KIB, 150.0 * KIB), (250.0 * KIB, 20.0 * KIB), (8_000.0 * KIB, 150.0 * KIB)] {
        let (mut courtesy, mut queue) = (Courtesy::new(Duration::ZERO), 0.0);
        let seen = drive(&mut courtesy, Duration::ZERO, 60, carries, media, &mut queue);
        let settled = &seen[200..];
        let mut waits: Vec<f64> = settled.iter().map(|(waits, _)| *waits).collect();
        waits.sort_by(f64::total_cmp);
        let p95 = waits[waits.len() * 95 / 100];
        let used = settled.iter().map(|(_, sending)| sending).sum::<f64>() / settled.len() as f64;
        let longest = seen.iter().map(|(waits, _)| *waits).fold(0.0, f64::max);
        println!(
            "{carries} B/s: voice waits {p95:.3} s (p95), {longest:.3} s at most; files use {:.2}",
            used / (carries - media)
        );
        assert!(p95 < 0.045, "{p95}");
        assert!(longest < 0.12, "{longest}");
        assert!(used > 0.5 * (carries - media), "{used} of {}", carries - media);
    }
}

#[test]
fn a_path_that_narrows_is_left_to_the_call_and_taken_again_when_it_widens() {
    let (mut courtesy, mut queue) = (Courtesy::new(Duration::ZERO), 0.0);
    drive(&mut courtesy, Duration::ZERO, 30, 2_000.0 * KIB, 100.0 * KIB, &mut queue);
    let narrow = drive(&mut courtesy, Duration::from_secs(30), 30, 200.0 * KIB, 100.0 * KIB, &mut queue);
    assert!(narrow[100..].iter().all(|(_, sending)| *sending < 130.0 * KIB), "{narrow:?}");
    let wide = drive(&mut courtesy, Duration::from_secs(60), 30, 2_000.0 * KIB, 100.0 * KIB, &mut queue);
    assert!(wide.last().is_some_and(|(_, sending)| *sending > 800.0 * KIB), "{:?}", wide.last());
}

#[test]
fn no_transfer_comes_to_a_halt_and_a_path_without_end_gets_no_bound() {
    let mut courtesy = Courtesy::new(Duration::ZERO);
    let terrible =
        CallPath { queue: Duration::from_secs(2), rtt: Some(Duration::from_secs(4)), lost: (1.0, 1.0), spare: Some(0) };
    for turn in 0..600 {
        courtesy.handle_path(Duration::from_millis(turn * 100), terrible, 40_000, 40_000);
        assert!(courtesy.up().is_some_and(|up| up >= 24 * 1024) && courtesy.down().is_some_and(|down| down >= 24 * 1024));
    }
    let mut courtesy = Courtesy::new(Duration::ZERO);
    for turn in 0..600 {
        let (up, down) = (courtesy.up().unwrap_or(u64::MAX), courtesy.down().unwrap_or(u64::MAX));
        courtesy.handle_path(Duration::from_millis(turn * 100), CallPath::default(), up, down);
    }
    assert_eq!((courtesy.up(), courtesy.down()), (None, None));
}

#[test]
fn what_makes_the_round_trip_longer_and_is_not_our_queue_holds_back_what_is_asked_for() {
    let mut courtesy = Courtesy::new(Duration::ZERO);
    let path = |rtt| CallPath { rtt: Some(Duration::from_millis(rtt)), ..CallPath::default() };
    courtesy.handle_path(Duration::ZERO, path(20), 0, 100_000);
    let before = courtesy.down().unwrap();
    courtesy.handle_path(Duration::from_secs(1), path(120), 0, 100_000);
    assert!(courtesy.down().unwrap() < before);
    assert_eq!(courtesy.up(), Some(128 * 1024));
}
