//! Speech through a real sound server: espeak-ng → PulseAudio → microphone → opus → speaker → PulseAudio. Needs pulseaudio, its tools
//! and espeak-ng, so it runs with the full suite (`CONCLAVE_FULL=1`). `--nocapture` shows the figures.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use conclave_media::audio::{AudioFeed, AudioSender, AudioSettings, FeedItem, Playout};
use conclave_media::device::{DeviceKind, list_devices, open_audio_sink, open_audio_source};
use conclave_media::error::MediaError;

const RATE: usize = 48_000;
/// Set for the half of a test that runs with the server's environment.
const INSIDE: &str = "CONCLAVE_SOUND_TEST";

/// A process that ends with its owner.
struct Owned(Child);

impl Owned {
    fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `test` in a process of its own that sees only a sound server made for it. The server has one stereo sink, `room`: what goes
/// into sink `mouth` is its left channel and is heard by source `mic`; what goes into sink `ear` is its right channel. One recording of
/// `room.monitor` then holds both, to the sample. `spare` and `spare_mic` are there to be taken away.
fn with_sound_server(name: &str, test: impl FnOnce(&Path)) {
    if std::env::var_os("CONCLAVE_FULL").is_none() {
        return;
    }
    if let Some(folder) = std::env::var_os(INSIDE) {
        return test(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("native");
    let mut command = Command::new("pulseaudio");
    command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes", "--realtime=no"]);
    for module in [
        format!("module-native-protocol-unix socket={} auth-anonymous=1", socket.display()),
        format!("module-null-sink sink_name=room rate={RATE} channels=2 format=float32le"),
        "module-remap-sink sink_name=mouth master=room channels=1 channel_map=mono master_channel_map=front-left remix=no".into(),
        "module-remap-sink sink_name=ear master=room channels=1 channel_map=mono master_channel_map=front-right remix=no".into(),
        "module-remap-source source_name=mic master=room.monitor channels=1 channel_map=mono master_channel_map=front-left remix=no".into(),
        format!("module-null-sink sink_name=spare rate={RATE} channels=2"),
        "module-remap-source source_name=spare_mic master=spare.monitor".into(),
    ] {
        command.arg("-L").arg(module);
    }
    command.env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path()).env("PULSE_RUNTIME_PATH", folder.path());
    let _server = Owned::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let deadline = Instant::now() + Duration::from_secs(10);
    let address = format!("unix:{}", socket.display());
    // The socket is there before the modules are, and whoever comes too early is turned away.
    while !Command::new("pactl").args(["-s", &address, "info"]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "pulseaudio did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let inside = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("PULSE_SERVER", address)
        .env("PULSE_RUNTIME_PATH", folder.path())
        .env(INSIDE, folder.path())
        .status()
        .unwrap();
    assert!(inside.success(), "{name} failed");
}

/// The shortest path from sender to playout that bears a little jitter: as many packets as have come, but no more than three.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<VecDeque<Bytes>>>);

impl Wire {
    fn push(&self, packet: Bytes) {
        let mut queue = self.0.lock().unwrap();
        queue.push_back(packet);
        if queue.len() > 3 {
            queue.pop_front();
        }
    }
}

impl AudioFeed for Wire {
    fn pull(&mut self) -> FeedItem {
        match self.0.lock().unwrap().pop_front() {
            Some(packet) if packet.is_empty() => FeedItem::Idle,
            Some(packet) => FeedItem::Packet(packet),
            None => FeedItem::Lost,
        }
    }
}

/// Records the room until it is asked for what it heard: left and right.
struct Ear {
    process: Owned,
    heard: std::thread::JoinHandle<Vec<u8>>,
}

impl Ear {
    fn open() -> Self {
        let mut process = Owned::spawn(
            Command::new("parec")
                .args(["--raw", "--format=float32le", "--channels=2", "--rate=48000", "--device=room.monitor"])
                .stdout(Stdio::piped()),
        );
        let mut pipe = process.0.stdout.take().unwrap();
        let (begun_tx, begun) = mpsc::channel();
        let heard = std::thread::spawn(move || {
            let mut bytes = vec![0; 4];
            pipe.read_exact(&mut bytes).unwrap();
            begun_tx.send(()).unwrap();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        });
        begun.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { process, heard }
    }

    fn close(self) -> (Vec<f32>, Vec<f32>) {
        drop(self.process);
        let bytes = self.heard.join().unwrap();
        let sample = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        bytes.chunks_exact(8).map(|frame| (sample(&frame[..4]), sample(&frame[4..]))).unzip()
    }
}

fn shell(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output().unwrap();
    assert!(output.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Keeps one sample in six, after a mean over them: 8 kHz.
fn thinned(samples: &[f32]) -> Vec<f32> {
    samples.chunks_exact(6).map(|six| six.iter().sum::<f32>() / 6.0).collect()
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum()
}

/// For each 300 ms in which something was said: how much later it was heard in milliseconds, up to 300, and how alike it was, 0..=1.
fn delays(said: &[f32], heard: &[f32]) -> Vec<(f32, f32)> {
    const WINDOW: usize = 2_400;
    const LAGS: usize = 2_400;
    let (said, heard) = (thinned(said), thinned(heard));
    let windows = said.chunks_exact(WINDOW).enumerate().filter(|(_, window)| energy(window) / WINDOW as f32 > 1e-3);
    windows
        .filter_map(|(n, window)| {
            let heard = heard.get(n * WINDOW..(n + 1) * WINDOW + LAGS)?;
            let alike = |lag: usize| {
                let heard = &heard[lag..lag + WINDOW];
                let product: f32 = window.iter().zip(heard).map(|(a, b)| a * b).sum();
                product / (energy(window) * energy(heard)).sqrt().max(1e-9)
            };
            (0..LAGS).map(|lag| (lag as f32 / 8.0, alike(lag))).max_by(|a, b| a.1.total_cmp(&b.1))
        })
        .collect()
}

fn no_error(error: MediaError) {
    panic!("{error}");
}

#[test]
fn speech_goes_in_by_a_microphone_and_comes_out_of_a_speaker() {
    with_sound_server("sound::speech_goes_in_by_a_microphone_and_comes_out_of_a_speaker", |folder| {
        let speech = folder.join("speech.wav");
        let text =
            "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore, and the shells are sea shells.";
        shell("espeak-ng", &["-w", speech.to_str().unwrap(), text]);
        let wire = Wire::default();
        let into = wire.clone();
        let playout = Playout::start(open_audio_sink("pulse:ear").unwrap(), no_error).unwrap();
        let settings = AudioSettings { dtx: false, ..AudioSettings::default() };
        let sender =
            AudioSender::start(open_audio_source("pulse:mic").unwrap(), settings, move |packet| into.push(packet.data), no_error)
                .unwrap();
        let meter = playout.add(1, Box::new(wire)).unwrap();
        // Everything has started and the margins have settled.
        std::thread::sleep(Duration::from_secs(2));
        let before = meter.counters();
        let ear = Ear::open();
        shell("paplay", &["--device=mouth", speech.to_str().unwrap()]);
        std::thread::sleep(Duration::from_millis(500));
        let (mouth, heard) = ear.close();
        let after = meter.counters();
        let mut delays = delays(&mouth, &heard);
        delays.retain(|(_, alike)| *alike > 0.7);
        delays.sort_by(|a, b| a.0.total_cmp(&b.0));
        let voiced = mouth.chunks_exact(14_400).filter(|window| energy(window) / 14_400.0 > 1e-3).count();
        let at = |part: f32| delays[((delays.len() - 1) as f32 * part) as usize].0;
        println!(
            "mouth to ear without a network: p50 {:.1} ms, p95 {:.1} ms; {} of {voiced} stretches of 300 ms recognised; {} of {} ms concealed",
            at(0.5),
            at(0.95),
            delays.len(),
            (after.concealed - before.concealed) / 48,
            mouth.len() / 48,
        );
        assert!(voiced > 8, "nothing was said");
        assert!(delays.len() * 3 > voiced * 2, "what is heard is not what was said: {delays:?}");
        assert!(at(0.5) < 120.0);
        assert!(sender.level() < 1.0);
    });
}

#[test]
fn devices_are_listed_with_labels_and_monitors_last() {
    with_sound_server("sound::devices_are_listed_with_labels_and_monitors_last", |_| {
        let devices = list_devices();
        let find = |spec: &str| {
            devices.iter().position(|device| device.spec == spec).unwrap_or_else(|| panic!("{spec} in {devices:#?}"))
        };
        assert_eq!(devices[find("pulse:ear")].kind, DeviceKind::Speaker);
        assert_eq!(devices[find("pulse:spare_mic")].kind, DeviceKind::Microphone);
        let monitor = find("pulse:spare.monitor");
        assert!(monitor > find("pulse:spare_mic") && devices[monitor].label.contains("onitor"));
        assert!(devices.iter().all(|device| !device.label.is_empty()));
        assert!(open_audio_source("pulse:no_such").is_err());
        assert!(open_audio_source("pulse:ear").is_err(), "a speaker is no microphone");
    });
}

#[test]
fn a_sound_server_that_ends_is_told_and_the_voice_goes_on() {
    with_sound_server("sound::a_sound_server_that_ends_is_told_and_the_voice_goes_on", |_| {
        let (error_tx, errors) = mpsc::channel();
        let (packet_tx, packets) = mpsc::channel();
        let tell = error_tx.clone();
        let playout = Playout::start(open_audio_sink("pulse:spare").unwrap(), move |error| drop(tell.send(error))).unwrap();
        let sender = AudioSender::start(
            open_audio_source("pulse:spare_mic").unwrap(),
            AudioSettings { dtx: false, ..AudioSettings::default() },
            move |packet| drop(packet_tx.send((Instant::now(), packet))),
            move |error| drop(error_tx.send(error)),
        )
        .unwrap();
        let meter = playout.add(1, Box::new(Wire::default())).unwrap();
        let next = |after: Instant| loop {
            let (at, packet) = packets.recv_timeout(Duration::from_secs(5)).unwrap();
            if at > after {
                return packet;
            }
        };
        next(Instant::now());
        // The server moves streams to another device by itself when theirs is taken away.
        for line in shell("pactl", &["list", "short", "modules"]).lines().rev().filter(|line| line.contains("spare")) {
            shell("pactl", &["unload-module", line.split('\t').next().unwrap()]);
        }
        next(Instant::now() + Duration::from_millis(200));
        assert!(errors.try_recv().is_err());
        shell("pactl", &["exit"]);
        for _ in 0..2 {
            let error = errors.recv_timeout(Duration::from_secs(5)).unwrap();
            assert!(matches!(error, MediaError::Gone { .. }), "{error}");
        }
        let concealed = meter.counters().concealed;
        assert!(next(Instant::now() + Duration::from_millis(200)).level > 100, "silence takes its place");
        assert!(meter.counters().concealed > concealed, "the feeds are emptied all the same");
        assert!(open_audio_source("pulse").is_err());
        sender.replace_source(open_audio_source("tone").unwrap());
        playout.replace_sink(open_audio_sink("null").unwrap());
        assert!(next(Instant::now() + Duration::from_millis(300)).level < 30);
        assert!(errors.try_recv().is_err(), "told once each");
    });
}
