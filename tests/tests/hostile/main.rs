//! What strangers, and networks, can do to the transport of a node. Each case asserts three things: the process lives, its memory stays under its
//! ceiling, and an honest peer is still served. The numbers are those of the project's list of abuse cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attacker;
mod files;
mod gossip;
mod lan;
mod media;
mod quic;
mod victim;

use std::time::{Duration, Instant};

use conclave_node::net::StreamName;
use futures::AsyncWriteExt;

use crate::attacker::{Attacker, RawYamux};
use crate::victim::Victim;

/// Longest time that an offence may stay unanswered.
const ANSWER: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_01_oversize_length_prefix_is_closed_before_allocating() {
    let mut victim = Victim::start().await;
    for address in victim.addresses() {
        let mut attacker = Attacker::connect(address).await;
        for (index, prefix) in [&[0xff, 0xff, 0xff, 0x7f][..], &[0x81, 0x80, 0x04], &[0xff, 0xff, 0x7f]].iter().enumerate() {
            let mut stream = attacker.open(StreamName::ALL[index % 3]).await.unwrap();
            stream.write_all(prefix).await.unwrap();
            // And as much of the frame as it takes.
            let _ = stream.write_all(&vec![7; 64 * 1024]).await;
            attacker::expect_end(&mut stream, ANSWER).await;
        }
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_02_negative_or_overflowing_length_is_closed() {
    let mut victim = Victim::start().await;
    let minus_one: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let over_u32: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x10];
    let never_ends: &[u8] = &[0x80; 64];
    let not_minimal: &[u8] = &[0x85, 0x00, 1, 2, 3, 4, 5];
    for address in victim.addresses() {
        let mut attacker = Attacker::connect(address).await;
        for prefix in [minus_one, over_u32, never_ends, not_minimal] {
            let mut stream = attacker.open(StreamName::Live).await.unwrap();
            stream.write_all(prefix).await.unwrap();
            stream.flush().await.unwrap();
            attacker::expect_end(&mut stream, ANSWER).await;
        }
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_03_truncated_frame_times_out() {
    let mut victim = Victim::start().await;
    for address in victim.addresses() {
        let mut attacker = Attacker::connect(address).await;
        let mut stream = attacker.open(StreamName::Room).await.unwrap();
        stream.write_all(&[0x40, 1, 2, 3]).await.unwrap();
        stream.flush().await.unwrap();
        let began = Instant::now();
        // A byte now and then does not put it off.
        let ended = loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if stream.write_all(&[4]).await.is_err() || stream.flush().await.is_err() {
                break began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the frame is waited for");
        };
        assert!(ended >= Duration::from_secs(9), "an honest peer on a slow path has its 10 s, not {ended:?}");
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_04_yamux_syn_with_a_large_data_frame_is_closed() {
    let mut victim = Victim::start().await;
    const DATA: u8 = 0;
    const WINDOW: u8 = 1;
    const SYN: u16 = 1;
    let offences: [(&str, Vec<(u8, u16, u32, u32, usize)>); 5] = [
        ("a length of 4 GiB", vec![(DATA, SYN, 1, u32::MAX, 64 * 1024)]),
        ("a megabyte on a new stream", vec![(DATA, SYN, 1, 1024 * 1024, 1024 * 1024)]),
        ("one byte over the credit", vec![(DATA, SYN, 1, 256 * 1024 + 1, 256 * 1024 + 1)]),
        ("more than the credit in two frames", vec![(DATA, SYN, 1, 200_000, 200_000), (DATA, 0, 1, 200_000, 200_000)]),
        ("a window that overflows", vec![(WINDOW, SYN, 1, u32::MAX, 0), (WINDOW, 0, 1, u32::MAX, 0), (DATA, SYN, 1, 0, 0)]),
    ];
    for (offence, frames) in offences {
        let mut raw = RawYamux::connect(victim.tcp()).await;
        for (kind, flags, stream, length, body) in frames {
            if raw.frame(kind, flags, stream, length, &vec![9; body]).await.is_err() {
                break;
            }
        }
        assert!(raw.ends_within(ANSWER).await, "{offence} is answered by the end of the connection");
        assert!(victim.is_running(), "{offence}");
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_05_ten_thousand_streams_are_capped() {
    let mut victim = Victim::start().await;
    // Well-behaved otherwise: each stream is negotiated and held.
    for address in victim.addresses() {
        let mut attacker = Attacker::connect(address).await;
        let mut held = Vec::new();
        for n in 0..10_000 {
            match attacker.open(StreamName::ALL[n % 2]).await {
                Ok(stream) => held.push(stream),
                Err(_) => break,
            }
        }
        let mut accepted = 0;
        for stream in &mut held {
            accepted += usize::from(attacker::was_accepted(stream).await);
        }
        assert!(held.len() < 2_000, "the flood was cut short after {}", held.len());
        assert!(accepted <= 128, "{accepted} streams were accepted");
        victim.assert_serves().await;
    }
    // Not well-behaved: all at once, by hand.
    let mut raw = RawYamux::connect(victim.tcp()).await;
    let mut opened = 0_u32;
    let negotiation = attacker::negotiation(StreamName::Knock);
    while opened < 10_000 && raw.frame(0, 1, opened * 2 + 1, negotiation.len() as u32, &negotiation).await.is_ok() {
        opened += 1;
    }
    assert!(raw.ends_within(ANSWER).await, "the connection of the flood ends");
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_06_quic_gaps_take_bounded_memory() {
    let mut victim = Victim::start().await;
    for (bytes, packets) in [(2, 60_000), (1_000, 20_000)] {
        let address = victim.quic();
        let sent = tokio::task::spawn_blocking(move || quic::send_gaps(&address, bytes, packets)).await.unwrap();
        assert!(sent > 1_000, "the attack took place: {sent} packets");
        assert!(victim.is_running());
        victim.assert_serves().await;
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_09_a_peer_with_another_identity_is_refused() {
    let mut victim = Victim::start().await;
    let impostor = victim::Honest::start(99).await;
    // The victim looks for one device; at its address another one answers.
    for address in &impostor.addresses {
        let expected = victim::device(98);
        victim.tell(&format!("dial {expected} {address}")).await;
        assert_eq!(victim.said("dial-failed").await, "another device answers here");
    }
    assert!(impostor.is_alone().await, "no connection to the impostor was used");
    // And the other way round: whoever looks for someone else at the victim's address does not take the victim for them.
    for address in victim.addresses() {
        let outcome = impostor.dial_expecting(victim::device(97), &address).await;
        assert_eq!(outcome, "another device answers here");
    }
    victim.assert_well().await;
}
