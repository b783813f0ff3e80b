//! Files beside what people use today: sendme and libtorrent, in the same run, one after the other; and figures of ours alone.

mod libtorrent;
mod ours;
mod request_response;
mod sendme;

pub(super) use self::request_response::work;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Rounds, Target};
use crate::lan::Lan;

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("files/wall_vs_sendme", 0.75, "ratio"),
    Target::at_most("files/wall_vs_libtorrent", 1.0, "ratio"),
    Target::at_most("files/cpu_vs_libtorrent", 0.75, "ratio"),
    Target::at_most("files/cpu_vs_sendme", 0.60, "ratio"),
    Target::at_most("files/swarm_vs_optimum", 1.10, "ratio"),
    Target::at_most("files/swarm_vs_libtorrent", 0.80, "ratio"),
    Target::at_most("files/seeder_bytes", 1.10, "× file"),
    Target::at_most("files/rss_mib_1g", 96.0, "MiB"),
    Target::at_most("files/rss_mib_100g", 96.0, "MiB"),
    Target::at_most("files/resume_refetched_mib", 64.0, "MiB"),
    Target::at_most("files/resume_ms", 2000.0, "ms"),
    Target::at_least("files/rtt40_vs_request_response", 4.0, "×"),
    Target::at_most("files/small_files", 2.0, "ratio"),
    Target::at_most("files/voice_latency_during", 1.30, "ratio"),
];

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// The uplinks of a swarm.
const UPLINK_MBIT: u32 = 100;
/// What is sent to four over such uplinks.
const SWARM: u64 = 256 * MIB;

/// Where a round takes longer, three are enough.
const LONG_ROUND: Duration = Duration::from_secs(60);

const SENDME: &str = "sendme 0.37.0, alternately in one run";
const LIBTORRENT: &str = "libtorrent-rasterbar 2.0 of Debian, alternately in one run";

/// What a transfer took on each side.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    /// CPU of the whole process, from its start: reading and hashing what is sent is in it.
    sender: Duration,
    receiver: Duration,
    /// Highest resident memory of the worse side, in KiB; 0 where it was not looked at.
    peak_kib: u64,
}

impl Cost {
    /// Ours to theirs: wall, and CPU of the worse side.
    fn ratios(&self, theirs: &Self) -> [f64; 2] {
        let of = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64().max(0.001);
        [of(self.wall, theirs.wall), of(self.sender, theirs.sender).max(of(self.receiver, theirs.receiver))]
    }
}

/// A folder in memory, gone when it is dropped.
fn memory_folder() -> Result<tempfile::TempDir> {
    let shm = Path::new("/dev/shm");
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("cvbench");
        builder
    };
    if shm.is_dir() { Ok(builder().tempdir_in(shm)?) } else { Ok(builder().tempdir()?) }
}

/// Bytes that one file has in the comparisons of one to one: `BENCH_MIB` for a quick look, 1 GiB otherwise.
fn size() -> u64 {
    std::env::var("BENCH_MIB").ok().and_then(|mib| mib.parse::<u64>().ok()).map_or(GIB, |mib| mib * MIB)
}

/// Takes every measure that is asked for.
pub(super) async fn run(rounds: &mut Rounds) {
    one_to_one(rounds).await;
    swarm(rounds).await;
    if rounds.wants("files/rss_mib_100g") {
        rounds.add(["files/rss_mib_100g"], ours::sparse().await.map(|peak| [peak]));
    }
    for _ in 0..rounds.count {
        if rounds.wants("files/resume_") {
            rounds.add(["files/resume_refetched_mib", "files/resume_ms"], ours::resume(size().min(512 * MIB)).await);
        }
        if rounds.wants("files/rtt40_vs_request_response") {
            rounds.beside(
                "files/rtt40_vs_request_response",
                "a stream of libp2p 0.57 for each request, 1 MiB × 8, as its request-response does",
            );
            rounds.add(["files/rtt40_vs_request_response"], rtt40().await.map(|ratio| [ratio]));
        }
        if rounds.wants("files/small_files") {
            rounds.add(["files/small_files"], small_files().await.map(|ratio| [ratio]));
        }
    }
    if rounds.wants("files/voice_latency_during") {
        rounds.add(["files/voice_latency_during"], ours::voice_latency().await.map(|ratio| [ratio]));
    }
}

/// Ours, sendme and libtorrent in turn, each with the same bytes in memory.
async fn one_to_one(rounds: &mut Rounds) {
    const NAMES: [&str; 5] = [
        "files/wall_vs_sendme",
        "files/wall_vs_libtorrent",
        "files/cpu_vs_libtorrent",
        "files/cpu_vs_sendme",
        "files/rss_mib_1g",
    ];
    if !NAMES.iter().any(|name| rounds.wants(name)) {
        return;
    }
    let (size, program) = (size(), sendme::program());
    for name in ["files/wall_vs_sendme", "files/cpu_vs_sendme"] {
        rounds.beside(name, SENDME);
    }
    for name in ["files/wall_vs_libtorrent", "files/cpu_vs_libtorrent"] {
        rounds.beside(name, LIBTORRENT);
    }
    for round in 1..=rounds.count {
        let began = Instant::now();
        let ours = match one_of(size, |folder, source| async move { ours::one(&folder, &source).await }).await {
            Ok(ours) => ours,
            Err(error) => return rounds.add(NAMES, Err(error)),
        };
        eprintln!("files: ours {ours:?}");
        rounds.add(["files/rss_mib_1g"], Ok([ours.peak_kib as f64 / 1024.0]));
        let beside = |name: &str, theirs: Result<Cost>| {
            eprintln!("files: {name} {theirs:?}");
            theirs.map(|theirs| ours.ratios(&theirs))
        };
        let theirs = match &program {
            Ok(program) => one_of(size, |folder, source| async move { sendme::one(program, &folder, &source).await }).await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        rounds.add(["files/wall_vs_sendme", "files/cpu_vs_sendme"], beside("sendme", theirs));
        let theirs = one_of(size, |folder, source| async move { libtorrent::one(&folder, &source).await }).await;
        rounds.add(["files/wall_vs_libtorrent", "files/cpu_vs_libtorrent"], beside("libtorrent", theirs));
        if began.elapsed() > LONG_ROUND && round >= 3 {
            break;
        }
    }
}

/// One transfer with a source of its own, all in memory.
async fn one_of<F>(size: u64, transfer: impl FnOnce(PathBuf, PathBuf) -> F) -> Result<Cost>
where
    F: Future<Output = Result<Cost>>,
{
    let folder = memory_folder()?;
    let source = folder.path().join("source.bin");
    crate::files::write(&source, size, 7)?;
    transfer(folder.path().to_owned(), source).await
}

/// Five hosts, each behind an uplink of [`UPLINK_MBIT`].
fn uplinks() -> Result<Lan> {
    let lan = Lan::new(5)?;
    for host in 1..=5 {
        lan.set_link(host, &["tbf", "rate", &format!("{UPLINK_MBIT}mbit"), "burst", "64kb", "latency", "50ms"])?;
    }
    Ok(lan)
}

/// From one to four, ours and libtorrent in turn. A round is over a minute: three are enough.
async fn swarm(rounds: &mut Rounds) {
    const OURS: [&str; 2] = ["files/swarm_vs_optimum", "files/seeder_bytes"];
    const BOTH: &str = "files/swarm_vs_libtorrent";
    if !OURS.iter().chain([&BOTH]).any(|name| rounds.wants(name)) {
        return;
    }
    rounds.beside(BOTH, LIBTORRENT);
    let optimum = SWARM as f64 * 8.0 / (f64::from(UPLINK_MBIT) * 1e6);
    for _ in 0..rounds.count.min(3) {
        let ours = async {
            let (lan, folder) = (uplinks()?, memory_folder()?);
            ours::swarm(&lan, folder.path(), SWARM).await
        };
        let (took, seeder) = match ours.await {
            Ok(ours) => ours,
            Err(error) => {
                rounds.add([BOTH], Err(anyhow::anyhow!("ours failed: {error:#}")));
                return rounds.add(OURS, Err(error));
            }
        };
        eprintln!("files: 1 → 4 took {took:?}, the seeder sent {seeder} bytes");
        rounds.add(OURS, Ok([took.as_secs_f64() / optimum, seeder as f64 / SWARM as f64]));
        let theirs = async {
            let (lan, folder) = (uplinks()?, memory_folder()?);
            libtorrent::swarm(&lan, folder.path(), SWARM).await
        };
        let theirs = theirs.await;
        eprintln!("files: libtorrent 1 → 4 {theirs:?}");
        rounds.add([BOTH], theirs.map(|theirs| [took.as_secs_f64() / theirs.as_secs_f64()]));
    }
}

/// How many times faster than request-response ours is over a long path.
async fn rtt40() -> Result<f64> {
    let lan = Lan::new(3)?;
    let folder = memory_folder()?;
    let ours = ours::over(&lan, folder.path(), SWARM).await?;
    let theirs = request_response::over(&lan, SWARM).await?;
    eprintln!("files: 40 ms RTT: ours {ours:?}, request-response {theirs:?}");
    Ok(theirs.as_secs_f64() / ours.as_secs_f64())
}

/// Many files against one of as many bytes, from sharing to the last byte.
async fn small_files() -> Result<f64> {
    const FILES: u64 = 10_000;
    const EACH: usize = 4096;
    let folder = memory_folder()?;
    let many = folder.path().join("many");
    std::fs::create_dir(&many)?;
    for number in 0..FILES {
        std::fs::write(many.join(number.to_string()), crate::files::bytes(EACH, number))?;
    }
    let single = folder.path().join("one.bin");
    crate::files::write(&single, FILES * EACH as u64, 3)?;
    let (many, one) = ours::two(folder.path(), &many, &single).await?;
    eprintln!("files: {FILES} files {many:?}, one {one:?}");
    Ok(many.as_secs_f64() / one.as_secs_f64())
}
