//! A PulseAudio server of our own with null sinks: what is played into one can be heard on its monitor. No sound card is needed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::Owned;

/// Samples a second of everything here.
pub const RATE: u32 = 48_000;

/// A sound server that only those see who are given its environment. Ends when dropped.
#[derive(Debug)]
pub struct SoundServer {
    folder: tempfile::TempDir,
    _server: Owned,
}

impl SoundServer {
    /// Starts a server with a null sink of each name. A microphone that hears sink `x` is called `x_mic`.
    pub fn start(sinks: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cvsound").tempdir()?;
        let socket = folder.path().join("native");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes", "--system=no"]);
        command.arg("-L").arg(format!("module-native-protocol-unix socket={} auth-anonymous=1", socket.display()));
        for sink in sinks {
            command.arg("-L").arg(format!("module-null-sink sink_name={sink} rate={RATE} channels=1 format=float32le"));
            // Applications hide monitors from people: a remapped source looks like a microphone.
            command.arg("-L").arg(format!("module-remap-source master={sink}.monitor source_name={sink}_mic"));
        }
        command.env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path()).env("PULSE_RUNTIME_PATH", folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Owned::spawn(&mut command).context("pulseaudio")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        // The socket is there before the server takes clients: it serves once it answers.
        while !answers(&folder) {
            anyhow::ensure!(server.is_running(), "pulseaudio ended at once");
            anyhow::ensure!(Instant::now() < deadline, "pulseaudio does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { folder, _server: server })
    }

    /// What a program needs in its environment to use this server.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.folder)
    }

    /// Plays a WAV file into a sink, to its end.
    pub fn play(&self, sink: &str, file: &Path) -> Result<Owned> {
        let mut command = Command::new("paplay");
        command.arg(format!("--device={sink}")).arg(file).envs(self.environment()).stdin(Stdio::null()).stdout(Stdio::null());
        Owned::spawn(&mut command)
    }

    /// Begins to listen on a sink's monitor.
    pub fn listen(&self, sink: &str) -> Result<Ear> {
        let mut command = Command::new("parec");
        command
            .args(["--format=float32le", "--channels=1", "--latency-msec=10", "--raw"])
            .arg(format!("--rate={RATE}"))
            .arg(format!("--device={sink}.monitor"))
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = Owned::spawn(&mut command).context("parec")?;
        let mut pipe = process.child().stdout.take().context("parec has no output")?;
        let reader = std::thread::spawn(move || {
            let (mut samples, mut first, mut buffer, mut rest) = (Vec::new(), None, [0u8; 4096], Vec::new());
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                first.get_or_insert_with(Instant::now);
                rest.extend_from_slice(buffer.get(..length).unwrap_or_default());
                let whole = rest.len() / 4 * 4;
                samples.extend(
                    rest.drain(..whole).collect::<Vec<_>>().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
                );
            }
            (samples, first)
        });
        Ok(Ear { process, reader })
    }
}

fn environment(folder: &tempfile::TempDir) -> Vec<(String, String)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    vec![
        ("PULSE_SERVER".into(), format!("unix:{}", path(&folder.path().join("native")))),
        ("PULSE_RUNTIME_PATH".into(), path(folder.path())),
        ("PULSE_COOKIE".into(), path(&folder.path().join("cookie"))),
    ]
}

fn answers(folder: &tempfile::TempDir) -> bool {
    let mut command = Command::new("pactl");
    command.arg("info").envs(environment(folder)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Someone who listens on a monitor.
#[derive(Debug)]
pub struct Ear {
    process: Owned,
    reader: std::thread::JoinHandle<(Vec<f32>, Option<Instant>)>,
}

impl Ear {
    /// What was heard, and when its first sample arrived.
    pub fn finish(mut self) -> (Vec<f32>, Option<Instant>) {
        self.process.kill();
        self.reader.join().unwrap_or_default()
    }
}

/// Speaks a text into a WAV file.
pub fn speak(text: &str, file: &Path) -> Result<PathBuf> {
    crate::process::run("espeak-ng", &["-w", &file.to_string_lossy(), "-s", "150", text])?;
    Ok(file.to_owned())
}
