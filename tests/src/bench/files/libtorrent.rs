//! libtorrent-rasterbar beside ours: the system's Python drives it, for that is how Debian packages it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Cost;
use crate::lan::Lan;

const SCRIPT: &str = include_str!("libtorrent.py");
const PYTHON: &str = "/usr/bin/python3";

/// A session of libtorrent as a child process; killed when it is dropped.
struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn start(mut command: Command, arguments: &[&str]) -> Result<Self> {
        command.args(["-c", SCRIPT]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {PYTHON}"))?;
        let input = child.stdin.take().context("no stdin")?;
        let output = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut session = Self { child, input, output };
        let said = session.line().context("libtorrent does not start: is Debian's python3-libtorrent installed?")?;
        anyhow::ensure!(said == "ready", "libtorrent says {said:?}");
        Ok(session)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.output.read_line(&mut line)? > 0, "it ended");
        Ok(line.trim().to_owned())
    }

    fn go(&mut self) -> Result<()> {
        writeln!(self.input)?;
        Ok(self.input.flush()?)
    }

    /// What it took, and its CPU time.
    fn done(&mut self) -> Result<(Duration, Duration)> {
        let line = self.line()?;
        let mut words = line.split(' ').skip(1).map(|word| Duration::from_secs_f64(word.parse().unwrap_or(0.0)));
        words.next().zip(words.next()).with_context(|| format!("libtorrent says {line:?}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From one session to another over loopback.
pub(super) async fn one(folder: &Path, source: &Path) -> Result<Cost> {
    let (folder, source) = (folder.to_owned(), source.display().to_string());
    tokio::task::spawn_blocking(move || {
        let torrent = folder.join("it.torrent").display().to_string();
        let target = folder.join("got");
        std::fs::create_dir(&target)?;
        let python = || Command::new(PYTHON);
        let mut seeder = Session::start(python(), &["seed", &source, "127.0.0.1:6901", &torrent])?;
        let fetch = ["fetch", &torrent, "127.0.0.1:6902", &target.display().to_string(), "127.0.0.1:6901"];
        let mut leecher = Session::start(python(), &fetch)?;
        leecher.go()?;
        let (wall, receiver) = leecher.done()?;
        seeder.go()?;
        let (_, sender) = seeder.done()?;
        anyhow::ensure!(crate::files::same(Path::new(&source), &target.join("source.bin"))?, "what arrived is not what was sent");
        Ok(Cost { wall, sender, receiver, peak_kib: 0 })
    })
    .await?
}

/// From one host to four, who begin at once and know each other: when the last is done.
pub(super) async fn swarm(lan: &Lan, folder: &Path, size: u64) -> Result<Duration> {
    let source = folder.join("source.bin");
    crate::files::write(&source, size, 7)?;
    let torrent = folder.join("it.torrent").display().to_string();
    let listen: Vec<String> = (1..=5).map(|host| format!("{}:6900", lan.address(host))).collect();
    let python = |host: usize| lan.command(host, Path::new(PYTHON));
    let first = listen.first().context("no host")?;
    let mut sessions = vec![Session::start(python(1), &["seed", &source.display().to_string(), first, &torrent])?];
    for (number, own) in listen.iter().enumerate().skip(1) {
        let target = folder.join(number.to_string());
        std::fs::create_dir(&target)?;
        let target = target.display().to_string();
        let others = listen.iter().filter(|other| *other != own).map(String::as_str);
        let arguments: Vec<&str> = ["fetch", &torrent, own, &target].into_iter().chain(others).collect();
        sessions.push(Session::start(python(number + 1), &arguments)?);
    }
    tokio::task::spawn_blocking(move || {
        for leecher in sessions.iter_mut().skip(1) {
            leecher.go()?;
        }
        let mut last = Duration::ZERO;
        for leecher in sessions.iter_mut().skip(1) {
            last = last.max(leecher.done()?.0);
        }
        Ok(last)
    })
    .await?
}
