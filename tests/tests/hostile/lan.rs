//! What a LAN does to a node: neighbours come, cables are cut, addresses change. Needs root for network namespaces.

use std::time::{Duration, Instant};

use conclave_tests::lan::Lan;

use crate::victim::{Victim, device};

/// A cut cable, a crash and a goodbye are each seen within this time.
const SEEN: Duration = Duration::from_secs(5);

/// Two neighbours that want each other, connected.
async fn pair(lan: &Lan) -> (Victim, Victim) {
    let (mut first, mut second) = (Victim::on(lan, 1, 1), Victim::on(lan, 2, 2));
    first.tell(&format!("want {}", device(2))).await;
    second.tell(&format!("want {}", device(1))).await;
    assert!(first.said("connected").await.starts_with(&device(2).to_string()));
    assert!(second.said("connected").await.starts_with(&device(1).to_string()));
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root for network namespaces"]
async fn neighbours_find_each_other_and_a_cut_cable_is_seen_within_5_s_and_mended() {
    let lan = Lan::new(2).unwrap();
    let (mut first, mut second) = pair(&lan).await;
    for _ in 0..3 {
        lan.set_cable(2, false).unwrap();
        let cut = Instant::now();
        first.said("disconnected").await;
        second.said("disconnected").await;
        println!("a cut cable was seen by both after {:?}", cut.elapsed());
        assert!(cut.elapsed() < SEEN, "{:?}", cut.elapsed());
        lan.set_cable(2, true).unwrap();
        let mended = Instant::now();
        first.said("connected").await;
        second.said("connected").await;
        println!("and mended after {:?}", mended.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root for network namespaces"]
async fn a_crashed_peer_is_seen_within_5_s_and_found_again_when_it_restarts() {
    let lan = Lan::new(2).unwrap();
    for (crashing, host) in [(2, 2), (1, 1)] {
        let (first, second) = pair(&lan).await;
        let (mut stays, crashes) = if crashing == 2 { (first, second) } else { (second, first) };
        let crash = Instant::now();
        drop(crashes);
        stays.said("disconnected").await;
        assert!(crash.elapsed() < SEEN, "{:?}", crash.elapsed());
        let back = Victim::on(&lan, host, crashing);
        let restarted = Instant::now();
        stays.said("connected").await;
        println!("device {crashing} was found again {:?} after its restart", restarted.elapsed());
        drop(back);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root for network namespaces"]
async fn an_interface_that_changes_its_address_is_followed() {
    let lan = Lan::new(2).unwrap();
    let (mut first, mut second) = pair(&lan).await;
    lan.change_address(2, "10.77.0.42").unwrap();
    loop {
        if second.said("listening").await.contains("10.77.0.42") {
            break;
        }
    }
    first.said("disconnected").await;
    let began = Instant::now();
    assert!(first.said("connected").await.starts_with(&device(2).to_string()));
    println!("reached again {:?} after the loss was seen", began.elapsed());
}
