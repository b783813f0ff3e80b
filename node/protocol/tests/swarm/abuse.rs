//! Peers that lie, stall, flood or go: they are set aside, and the file still completes from the others.

use std::time::Duration;

use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::manifest::Layout;
use conclave_protocol::swarm::schedule::{Aside, Download, Output};
use conclave_protocol::swarm::wire::{Control, Held};

use crate::network::{FILE, Kind, Network, device};
use crate::support::Seeded;

const MBIT: u64 = 1_000_000 / 8;
const MIB: u64 = 1 << 20;

fn completes_beside(kind: Kind) {
    for seed in 0..4 {
        let mut network = Network::new(24 * MIB, 256 * 1024, &[50 * MBIT; 4], Duration::from_millis(5), seed).kind(3, kind);
        let took = network.run(Duration::from_secs(180)).unwrap_or_else(|| panic!("{kind:?} held the others up, seed {seed}"));
        println!("{kind:?}, seed {seed}: {took:?}");
        for node in [1, 2] {
            assert!(network.nodes[node].download.as_ref().unwrap().is_complete());
            // One that is never asked for anything need not be noticed.
            assert!(kind == Kind::Silent || network.nodes[node].aside.contains(&3), "{kind:?} is set aside by {node}");
            assert!(
                !network.nodes[node].aside.contains(&(3 - node)) && !network.nodes[node].aside.contains(&0),
                "nobody else is"
            );
        }
    }
}

#[test]
fn a_peer_that_sends_wrong_chunks_is_set_aside() {
    completes_beside(Kind::Corrupt);
}

#[test]
fn a_peer_that_does_not_answer_is_set_aside() {
    completes_beside(Kind::Silent);
}

#[test]
fn a_peer_whose_bitmap_lies_is_set_aside() {
    completes_beside(Kind::Liar);
}

#[test]
fn a_peer_that_sends_what_nobody_asked_for_is_set_aside() {
    completes_beside(Kind::Spammer);
}

#[test]
fn the_sharer_may_leave_once_a_full_copy_is_in_the_swarm() {
    for seed in 0..6 {
        // At 5 MB/s, 48 MiB are out after 10 s.
        let mut network = Network::new(48 * MIB, 256 * 1024, &[40 * MBIT; 4], Duration::from_millis(5), seed)
            .leaves(0, Duration::from_millis(11_500));
        assert!(network.run(Duration::from_secs(60)).is_some(), "seed {seed}: {}", network.state());
    }
}

#[test]
fn a_taker_that_leaves_takes_nothing_along_that_others_need() {
    for seed in 0..6 {
        let mut network = Network::new(32 * MIB, 256 * 1024, &[40 * MBIT; 4], Duration::from_millis(5), seed)
            .leaves(2, Duration::from_millis(3_000 + seed * 400));
        assert!(network.run(Duration::from_secs(60)).is_some(), "seed {seed}");
    }
}

#[test]
fn one_who_comes_late_gets_the_file_too() {
    for seed in 0..4 {
        let mut network = Network::new(16 * MIB, 256 * 1024, &[40 * MBIT; 4], Duration::from_millis(5), seed)
            .joins(3, Duration::from_secs(8))
            .leaves(0, Duration::from_secs(7));
        assert!(network.run(Duration::from_secs(60)).is_some(), "seed {seed}");
        assert!(network.nodes[3].finished.is_some());
    }
}

#[test]
fn no_more_is_asked_for_than_the_budget_allows() {
    let layout = Layout { size: 1024 * MIB, chunk: 256 * 1024 };
    let chunks = layout.chunks();
    let mut download = Download::new(layout, Have::none(chunks), Have::all(chunks.div_ceil(1024)), 1);
    for peer in 1..40 {
        download.handle_peer(device(peer), Have::all(chunks), false, Duration::ZERO);
        download.handle_hint(device(peer), &[(0, chunks)]);
    }
    let mut budget = 32 * MIB;
    let asked = download.poll(Duration::from_secs(1), &mut budget, &mut Seeded(1));
    let requests = asked.iter().filter(|output| matches!(output, Output::Request { .. })).count() as u64;
    assert!(requests > 100 && requests * (256 * 1024 + 16) <= 32 * MIB, "{requests}");
    assert_eq!(download.outstanding(), requests * (256 * 1024 + 16));
}

#[test]
fn a_wrong_chunk_is_asked_of_another_and_a_new_stream_does_not_wash_it_off() {
    let layout = Layout { size: 256 * 1024, chunk: 256 * 1024 };
    let mut download = Download::new(layout, Have::none(1), Have::all(1), 1);
    let mut rng = Seeded(3);
    let now = Duration::from_secs(1);
    download.handle_peer(device(1), Have::all(1), false, now);
    download.handle_hint(device(1), &[(0, 1)]);
    let asked = download.poll(now, &mut MIB.clone(), &mut rng);
    let [Output::Request { id, index: 0, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    download.handle_data(device(1), *id, 0, now);
    download.handle_bad(device(1), 0);
    let asked = download.poll(now, &mut MIB.clone(), &mut rng);
    assert_eq!(asked, vec![Output::SetAside { peer: device(1), reason: Aside::Wrong }]);
    download.handle_gone(device(1));
    download.handle_peer(device(1), Have::all(1), false, now);
    download.handle_hint(device(1), &[(0, 1)]);
    assert!(download.poll(now, &mut MIB.clone(), &mut rng).is_empty(), "still aside");
    download.handle_peer(device(2), Have::all(1), false, now);
    download.handle_hint(device(2), &[(0, 1)]);
    assert!(matches!(download.poll(now, &mut MIB.clone(), &mut rng).as_slice(), [Output::Request { .. }]));
}

#[test]
fn ranges_that_would_cost_time_for_few_bytes_are_refused() {
    for ranges in [vec![(0, u32::MAX)], vec![(u32::MAX, 2)], vec![(0, 1_000_000); 2000], vec![(5, 0)], vec![(0, 1); 5000]] {
        let word = Control::Have { file: FILE, ranges };
        assert!(Control::decode(&word.encode()).is_err());
    }
    assert!(Held::Ranges(vec![(0, 60), (10, 60)]).read(100).is_none(), "they overlap beyond the whole");
    assert!(Held::Bitmap(vec![0xff; 13]).read(100).is_none(), "a bit beyond the end");
}
