//! sendme beside ours: installed once into a cache outside the checkout, for the measures alone.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Cost;
use crate::process::{Owned, cpu_time};

const VERSION: &str = "0.37.0";

/// The program, installed where it is not yet: into `CONCLAVE_BENCH_CACHE`, or a folder among the caches of the person.
pub(super) fn program() -> Result<PathBuf> {
    let cache = match std::env::var_os("CONCLAVE_BENCH_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let home = std::env::var_os("HOME").context("HOME is not set: name a folder in CONCLAVE_BENCH_CACHE")?;
            let caches = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| PathBuf::from(home).join(".cache"), PathBuf::from);
            caches.join("conclave-bench")
        }
    };
    let root = cache.join(format!("sendme-{VERSION}"));
    let program = root.join("bin/sendme");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("files: installing sendme {VERSION} into {}, once; that takes some minutes", root.display());
    std::fs::create_dir_all(&root)?;
    // Not with what this project sets for its own builds.
    let built = Command::new("cargo")
        .args(["install", "sendme", "--locked", "--version", VERSION, "--root"])
        .arg(&root)
        .current_dir(&root)
        .env("CARGO_TARGET_DIR", cache.join("build"))
        .env_remove("RUSTFLAGS")
        .stdout(Stdio::null())
        .output()
        .context("starting cargo")?;
    let said = String::from_utf8_lossy(&built.stderr);
    anyhow::ensure!(built.status.success(), "sendme {VERSION} cannot be installed: {}", said.lines().last().unwrap_or_default());
    let _ = std::fs::remove_dir_all(cache.join("build"));
    Ok(program)
}

/// From one process to another, both without relays.
pub(super) async fn one(program: &Path, folder: &Path, source: &Path) -> Result<Cost> {
    let (program, folder, source) = (program.to_owned(), folder.to_owned(), source.to_owned());
    tokio::task::spawn_blocking(move || transfer(&program, &folder, &source)).await?
}

fn transfer(program: &Path, folder: &Path, source: &Path) -> Result<Cost> {
    let (from, to) = (folder.join("from"), folder.join("to"));
    std::fs::create_dir(&from)?;
    std::fs::create_dir(&to)?;
    let mut send = Command::new(program);
    send.args(["send", "--relay", "disabled", "--ticket-type", "addresses", "--no-progress"]).arg(source).current_dir(&from);
    let mut sender = Owned::spawn(send.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let said = BufReader::new(sender.child().stdout.take().context("no stdout")?);
    let ticket = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.trim().strip_prefix("sendme receive ").map(str::to_owned))
        .context("sendme gave no ticket")?;
    let began = Instant::now();
    // The shell's `times` tells what a child used that is gone already.
    let mut receive = Command::new("bash");
    receive
        .args(["-c", r#""$0" receive --relay disabled --no-progress "$1" >/dev/null 2>&1 && times"#])
        .arg(program)
        .arg(&ticket);
    let mut receiver = Owned::spawn(receive.current_dir(&to).stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut told = String::new();
    receiver.child().stdout.take().context("no stdout")?.read_to_string(&mut told)?;
    let wall = began.elapsed();
    let sender = cpu_time(sender.id()).context("the CPU time of sendme")?;
    let receiver = told.lines().nth(1).and_then(children).context("sendme received nothing")?;
    let name = source.file_name().context("no name")?;
    anyhow::ensure!(crate::files::same(source, &to.join(name))?, "what arrived is not what was sent");
    Ok(Cost { wall, sender, receiver, peak_kib: 0 })
}

/// `0m1.234s 0m0.567s`: user and system.
fn children(line: &str) -> Option<Duration> {
    line.split_whitespace().try_fold(Duration::ZERO, |sum, word| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(sum + Duration::from_secs_f64(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_shell_are_read() {
        assert_eq!(children("1m2.250s 0m0.750s"), Some(Duration::from_secs(63)));
        assert_eq!(children("nothing"), None);
    }
}
