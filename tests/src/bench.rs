//! The measures of the project, family by family. Names and targets are fixed in `TARGETS`; docs/BENCHMARKS.md says what they mean.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::command::Command as NodeCommand;
use conclave_node::event::Event;
use serde::Serialize;

use crate::bench_room;
use crate::clicks::quantile;
use crate::display::Display;
use crate::frames::board_frame_ms;
use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};
use crate::process::{Owned, cpu_time, program};

/// What can be run by itself.
pub const FAMILIES: &[&str] = &["meet/", "room/", "call/", "board/", "app/", "build/"];

/// Name, target, unit.
const TARGETS: &[(&str, f64, &str)] = &[
    ("meet/discover_ms", 1000.0, "ms"),
    ("meet/join_ms", 1000.0, "ms"),
    ("meet/first_frame_ms", 1000.0, "ms"),
    ("room/session_ms", 1500.0, "ms"),
    ("room/revoke_ms", 1000.0, "ms"),
    ("room/heal_cpu_ms_49", 1000.0, "ms"),
    ("room/sframe_cpu_pct", 3.0, "%"),
    ("call/rekey_gap_ms", 40.0, "ms"),
    ("board/frame_ms_10k", 8.0, "ms CPU"),
    ("board/frame_ms_100k", 4.0, "ms CPU"),
    ("app/idle_cpu_pct", 1.0, "%"),
    ("app/start_ms", 1000.0, "ms"),
    ("build/test_min_warm", 15.0, "min"),
    ("build/test_min_cold", 40.0, "min"),
];

/// One line of the output.
#[derive(Debug, Clone, Serialize)]
pub struct Measure {
    pub measure: &'static str,
    pub value: Option<f64>,
    pub unit: &'static str,
    pub target: f64,
    pub ok: bool,
    /// What it was compared with.
    #[serde(rename = "with")]
    pub with: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn measure(name: &'static str, value: Result<f64>) -> Measure {
    let (_, target, unit) = TARGETS.iter().find(|(found, _, _)| *found == name).copied().unwrap_or((name, 0.0, ""));
    let (value, why) = match value {
        Ok(value) => (Some((value * 100.0).round() / 100.0), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Measure {
        measure: name,
        value,
        unit,
        target,
        ok: value.is_some_and(|value| value <= target),
        with: "nothing: an absolute target",
        why,
    }
}

/// Runs one family.
pub async fn run(family: &str, rounds: usize) -> Vec<Measure> {
    match family {
        "meet/" => meet(rounds).await,
        "room/" => room(rounds).await,
        "call/" => call(rounds).await,
        "board/" => board(rounds),
        "app/" => app(rounds),
        "build/" => build(),
        _ => Vec::new(),
    }
}

#[derive(Default)]
struct Meetings {
    discover: Vec<u64>,
    join: Vec<u64>,
    first_frame: Vec<u64>,
}

async fn meet(rounds: usize) -> Vec<Measure> {
    let mut all = Meetings::default();
    let mut failure = None;
    for _ in 0..rounds {
        if let Err(error) = meet_once(&mut all).await {
            failure = Some(format!("{error:#}"));
        }
    }
    let median = |values: &[u64]| match (quantile(values, 0.5), &failure) {
        (Some(value), None) => Ok(value as f64),
        (_, failure) => Err(anyhow::anyhow!("{}", failure.as_deref().unwrap_or("nothing was measured"))),
    };
    vec![
        measure("meet/discover_ms", median(&all.discover)),
        measure("meet/join_ms", median(&all.join)),
        measure("meet/first_frame_ms", median(&all.first_frame)),
    ]
}

async fn call(rounds: usize) -> Vec<Measure> {
    let mut gaps = Vec::new();
    for _ in 0..rounds {
        match bench_room::rekey_gap().await {
            Ok(gap) => gaps.push(gap),
            Err(error) => return vec![measure("call/rekey_gap_ms", Err(error))],
        }
    }
    let median = quantile(&gaps, 0.5).map(|gap| gap as f64).context("nothing was measured");
    vec![measure("call/rekey_gap_ms", median)]
}

async fn room(rounds: usize) -> Vec<Measure> {
    let mut all = bench_room::Rooms::default();
    let mut failure = None;
    for _ in 0..rounds {
        if let Err(error) = bench_room::round(&mut all).await {
            failure = Some(format!("{error:#}"));
        }
    }
    let median = |values: &[u64]| match (quantile(values, 0.5), &failure) {
        (Some(value), None) => Ok(value as f64),
        (_, failure) => Err(anyhow::anyhow!("{}", failure.as_deref().unwrap_or("nothing was measured"))),
    };
    let by_hand =
        "a figure of the pure machine: cargo test --release -p conclave-protocol --test session -- --ignored --nocapture figures";
    vec![
        measure("room/session_ms", median(&all.session)),
        measure("room/revoke_ms", median(&all.revoke)),
        measure("room/heal_cpu_ms_49", Err(anyhow::anyhow!(by_hand))),
        measure("room/sframe_cpu_pct", Err(anyhow::anyhow!("no run tells the CPU of SFrame apart yet"))),
    ]
}

/// Two peers on a LAN of their own: found, joined, seen.
async fn meet_once(all: &mut Meetings) -> Result<()> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(2)?;
    let mut ada = Peer::start(PeerOptions::named("Ada").on(&lan, 1)).await?;
    let mut ben = Peer::start(PeerOptions::named("Ben").on(&lan, 2)).await?;
    // From the start of the second process: what a person waits for.
    ben.wait("a neighbour", |event| matches!(event, Event::PeerDiscovered { .. }).then_some(())).await?;
    all.discover.push(ben.started.elapsed().as_millis() as u64);
    let room = ada.create_room("Bench", false).await?;
    let link = ada.invite(room, 1).await?;
    let start = Instant::now();
    ben.join(&link, None).await?;
    all.join.push(start.elapsed().as_millis() as u64);
    ben.wait_room(room, "both online", |view| view.members.iter().all(|member| member.online || member.me)).await?;
    let join = |camera: &str| NodeCommand::CallJoin {
        room,
        mic: Some("silence".into()),
        mic_on: false,
        camera: Some(camera.into()),
        speaker: Some("null".into()),
    };
    ada.request(join("test:1280x720@30")).await?;
    let start = Instant::now();
    ben.request(join("test:640x360@15")).await?;
    ben.wait("a first picture", |event| matches!(event, Event::CallFirstFrame { .. }).then_some(())).await?;
    all.first_frame.push(start.elapsed().as_millis() as u64);
    Ok(())
}

fn app(rounds: usize) -> Vec<Measure> {
    let (mut starts, mut idle) = (Vec::new(), Vec::new());
    let mut failure = None;
    for _ in 0..rounds {
        match app_once() {
            Ok((start, cpu)) => {
                starts.push(start);
                idle.push((cpu * 100.0) as u64);
            }
            Err(error) => failure = Some(format!("{error:#}")),
        }
    }
    let median = |values: &[u64]| match (quantile(values, 0.5), &failure) {
        (Some(value), None) => Ok(value as f64),
        (_, failure) => Err(anyhow::anyhow!("{}", failure.as_deref().unwrap_or("nothing was measured"))),
    };
    vec![
        measure("app/idle_cpu_pct", median(&idle).map(|hundredths| hundredths / 100.0)),
        measure("app/start_ms", median(&starts)),
    ]
}

/// The window in a room of its own: ms from the start to the first frame, and the share of a core that it takes while nothing happens.
fn app_once() -> Result<(u64, f64)> {
    let display = Display::start(1280, 800)?;
    let data = tempfile::tempdir()?;
    let marker = data.path().join("first-frame");
    let mut command = Command::new(program("conclave")?);
    command.arg("--data").arg(data.path().join("data")).args(["--insecure-store", "--name", "Ada"]);
    command.env("DISPLAY", display.name()).env_remove("WAYLAND_DISPLAY").env("LIBGL_ALWAYS_SOFTWARE", "1");
    // The app touches this file when its first frame is on the screen.
    command.env("CONCLAVE_FIRST_FRAME", &marker);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut window = Owned::spawn(&mut command)?;
    while !marker.exists() {
        anyhow::ensure!(window.is_running(), "the app ended before its first frame");
        anyhow::ensure!(start.elapsed() < Duration::from_secs(30), "no first frame within 30 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    let first = start.elapsed().as_millis() as u64;
    // The first seconds belong to the start: fonts, the identity, the first look around the network.
    std::thread::sleep(Duration::from_secs(5));
    let span = Duration::from_secs(10);
    let before = cpu_time(window.id()).context("the app is gone")?;
    std::thread::sleep(span);
    let used = cpu_time(window.id()).context("the app is gone")?.saturating_sub(before);
    Ok((first, 100.0 * used.as_secs_f64() / span.as_secs_f64()))
}

/// A frame of the board, everything in view and a part of much more.
fn board(rounds: usize) -> Vec<Measure> {
    let median = |count, in_view| -> Result<f64> {
        let mut figures = (0..rounds.max(1)).map(|_| board_frame_ms(count, in_view)).collect::<Result<Vec<f64>>>()?;
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().context("nothing was measured")
    };
    vec![measure("board/frame_ms_10k", median(10_000, 10_000)), measure("board/frame_ms_100k", median(100_000, 500))]
}

/// CI leaves what `make test` took beside the build output.
fn build() -> Vec<Measure> {
    let read = |kind: &str| -> Result<f64> {
        let path = build_folder().join(format!("ci-test-seconds-{kind}"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {kind} run of .ci/run has left its time here"))?;
        Ok(text.trim().parse::<f64>()? / 60.0)
    };
    vec![measure("build/test_min_warm", read("warm")), measure("build/test_min_cold", read("cold"))]
}

fn build_folder() -> PathBuf {
    std::env::current_exe().ok().and_then(|own| Some(own.parent()?.parent()?.to_owned())).unwrap_or_default()
}
