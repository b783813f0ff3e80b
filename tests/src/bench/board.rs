//! The family `board/`: the whiteboard, beside other CRDTs where that says something.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use conclave_crdt::{ElementId, Kind, PageId, Point, Style};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{BoardLiveView, InkView};

use super::frame::board_frame_ms;
use super::page::{Drawn, STROKES, rss_mib};
use super::{Rounds, Target, milliseconds};
use crate::peer::{Peer, PeerOptions};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("board/bytes_per_stroke", 150.0, "B"),
    Target::at_most("board/load_ms", 150.0, "ms"),
    Target::at_most("board/load_vs_yrs", 1.5, "ratio"),
    Target::at_most("board/remote_batch20_ms", 6.0, "ms"),
    Target::at_most("board/join_mb", 2.0, "MiB"),
    Target::at_most("board/join_ms", 400.0, "ms"),
    Target::at_most("board/diverged_kb", 300.0, "KB"),
    Target::at_most("board/rss_mib", 40.0, "MiB"),
    Target::at_most("board/frame_ms_10k", 8.0, "ms CPU"),
    Target::at_most("board/frame_ms_100k", 4.0, "ms CPU"),
    Target::at_most("board/stroke_visible_ms", 60.0, "ms"),
    Target::at_most("board/hostile_escaped", 0.0, "count"),
];

/// The app tells of a pen that moves so often.
const TELL_EVERY: Duration = Duration::from_millis(50);
/// Moves of a pen that are timed in a round.
const MOVES: usize = 40;

pub(super) async fn run(rounds: &mut Rounds) {
    match Drawn::new(STROKES) {
        Ok(mut page) => {
            for _ in 0..rounds.count {
                on_the_page(rounds, &mut page);
            }
        }
        Err(error) => rounds.add(["board/bytes_per_stroke"], Err(error)),
    }
    for _ in 0..rounds.count {
        rounds.add(["board/rss_mib"], rss_mib().map(|mib| [mib]));
        rounds.add(["board/frame_ms_10k"], board_frame_ms(10_000, 10_000).map(|frame| [frame]));
        rounds.add(["board/frame_ms_100k"], board_frame_ms(100_000, 500).map(|frame| [frame]));
        rounds.add(["board/stroke_visible_ms"], stroke_visible().await.map(|ms| [ms]));
    }
    let mutants = if std::env::var("BENCH").is_ok_and(|bench| bench == "long") { 1_000_000 } else { 20_000 };
    rounds.add(["board/hostile_escaped"], super::hostile::escaped(mutants).map(|count| [count]));
}

fn on_the_page(rounds: &mut Rounds, page: &mut Drawn) {
    rounds.add(["board/bytes_per_stroke"], page.saved().map(|saved| [saved.len() as f64 / STROKES as f64]));
    match page.load() {
        Ok((ours, ratio, with)) => {
            rounds.add(["board/load_ms", "board/load_vs_yrs"], Ok([ours, ratio]));
            rounds.beside("board/load_vs_yrs", format!("name, version, bytes saved, ms a load: {with}"));
        }
        Err(error) => rounds.add(["board/load_ms", "board/load_vs_yrs"], Err(error)),
    }
    rounds.add(["board/remote_batch20_ms"], page.remote_batch().map(|ms| [ms]));
    rounds.add(["board/join_mb", "board/join_ms"], page.join());
    rounds.add(["board/diverged_kb"], page.diverged().map(|kb| [kb]));
}

/// From the move of a pen to the word of it at the other's window, in the rhythm in which the app tells: the median of many moves.
async fn stroke_visible() -> Result<f64> {
    let options = |name: &str| {
        PeerOptions::named(name).args([
            "--no-mdns",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
        ])
    };
    let (mut ada, mut ben) = (Peer::start(options("Ada")).await?, Peer::start(options("Ben")).await?);
    let room = ada.create_room("Pens", false).await?;
    let link = ada.invite(room, 1).await?;
    ben.join(&link, None).await?;
    for peer in [&mut ada, &mut ben] {
        peer.request(Command::BoardShow { room }).await?;
        peer.wait_room(room, "a session of two", |view| view.session.people == 2).await?;
    }
    let mut taken = Vec::with_capacity(MOVES);
    for step in 0..MOVES {
        // A pen moves at any moment between two words.
        let wait = TELL_EVERY.mul_f64((step * 7 % MOVES) as f64 / MOVES as f64);
        let moved = Instant::now();
        tokio::time::sleep(wait).await;
        let ink = InkView {
            element: ElementId::from_random(5),
            kind: Kind::Pen,
            style: (step == 0).then(Style::default),
            from: u32::try_from(step)?,
            points: vec![Point::new(step as f32, 1.0)],
            done: false,
        };
        let cursor = Some((step as f32, 1.0));
        let live =
            BoardLiveView { page: PageId::FIRST, cursor, laser: false, selection: Vec::new(), viewport: None, ink: Some(ink) };
        ada.request(Command::BoardLive { room, live }).await?;
        let seen = ben.wait("the pen", |event| match event {
            Event::BoardLive { live, .. } => (live.cursor == cursor).then_some(()),
            _ => None,
        });
        seen.await?;
        taken.push(milliseconds(moved));
    }
    if taken.len() < MOVES {
        bail!("a move was not seen");
    }
    taken.sort_by(f64::total_cmp);
    taken.get(MOVES / 2).copied().context("no move")
}
