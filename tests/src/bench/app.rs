//! The family `app/`: the window, from outside.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Rounds, Target, milliseconds};
use crate::display::Display;
use crate::process::{Owned, cpu_time, program};

pub(super) const TARGETS: &[Target] =
    &[Target::at_most("app/idle_cpu_pct", 1.0, "%"), Target::at_most("app/start_ms", 1000.0, "ms")];

pub(super) fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["app/start_ms", "app/idle_cpu_pct"], round());
    }
}

/// The window in a room of its own: ms from the start to the first frame, and the share of a core that it takes while nothing happens.
fn round() -> Result<[f64; 2]> {
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
    let first = milliseconds(start);
    // The first seconds belong to the start: fonts, the identity, the first look around the network.
    std::thread::sleep(Duration::from_secs(5));
    let span = Duration::from_secs(10);
    let before = cpu_time(window.id()).context("the app is gone")?;
    std::thread::sleep(span);
    let used = cpu_time(window.id()).context("the app is gone")?.saturating_sub(before);
    Ok([first, 100.0 * used.as_secs_f64() / span.as_secs_f64()])
}
