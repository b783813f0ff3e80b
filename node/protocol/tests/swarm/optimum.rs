//! How far from the best that a network allows: `max(size / seeder's uplink, (n × size) / all uplinks)`.

use std::time::Duration;

use crate::network::Network;
use crate::support::Seeded;

const MBIT: u64 = 1_000_000 / 8;
const MIB: u64 = 1 << 20;

fn optimum(size: u64, uplinks: &[u64]) -> f64 {
    let takers = (uplinks.len() - 1) as f64;
    let all: u64 = uplinks.iter().sum();
    (size as f64 / uplinks[0] as f64).max(takers * size as f64 / all as f64)
}

fn distance(size: u64, uplinks: &[u64], latency_ms: u64, seed: u64) -> (f64, f64) {
    let mut network = Network::new(size, 256 * 1024, uplinks, Duration::from_millis(latency_ms), seed);
    let best = optimum(size, uplinks);
    let took = network.run(Duration::from_secs_f64(best * 4.0 + 30.0)).expect("the file does not arrive");
    (took.as_secs_f64() / best, network.nodes[0].sent as f64 / size as f64)
}

#[test]
fn a_file_reaches_four_within_a_tenth_of_the_optimum() {
    let uplinks = [100 * MBIT; 5];
    let (mut worst, mut most) = (0.0_f64, 0.0_f64);
    for seed in 0..8 {
        let (distance, seeder) = distance(256 * MIB, &uplinks, 1, seed);
        worst = worst.max(distance);
        most = most.max(seeder);
    }
    println!("1 → 4, 256 MiB, 100 Mbit/s: {worst:.3} × the optimum, seeder sends {most:.3} × the file (worst of 8 seeds)");
    assert!(worst <= 1.10, "{worst}");
    assert!(most <= 1.10, "{most}");
}

#[test]
fn uneven_uplinks_and_delays_stay_near_the_optimum() {
    let mut rng = Seeded(7);
    let mut sum = 0.0;
    let mut worst = (0.0_f64, 0);
    let seeds = 24;
    for seed in 0..seeds {
        let takers = 1 + rng.below(8);
        // Where the takers' own uplinks are the bound, the optimum would use all of them to the last byte: nobody reaches that.
        let uplinks: Vec<u64> = (0..=takers).map(|_| (20 + rng.below(180) as u64) * MBIT).collect();
        let (distance, seeder) = distance(96 * MIB, &uplinks, 1 + rng.below(60) as u64, seed);
        let mbit: Vec<u64> = uplinks.iter().map(|uplink| uplink / MBIT).collect();
        println!("seed {seed}, {mbit:?} Mbit/s: {distance:.3} × the optimum, seeder sends {seeder:.3} × the file");
        sum += distance;
        if distance > worst.0 {
            worst = (distance, seed);
        }
    }
    println!(
        "{seeds} random networks, 96 MiB: mean {:.3} × the optimum, worst {:.3} (seed {})",
        sum / seeds as f64,
        worst.0,
        worst.1
    );
    assert!(sum / seeds as f64 <= 1.20, "{}", sum / seeds as f64);
    assert!(worst.0 <= 1.6, "{worst:?}");
}

#[test]
fn one_to_one_fills_a_long_fast_path() {
    let (distance, sent) = distance(512 * MIB, &[1000 * MBIT, MBIT], 20, 3);
    println!("1 → 1 at 40 ms RTT, 1 Gbit/s: {distance:.3} × the optimum, {sent:.3} × the file sent");
    assert!(distance <= 1.10, "{distance}");
    assert!(sent <= 1.02, "{sent}");
}
