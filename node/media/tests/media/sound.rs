//! Speech through a real sound server: espeak-ng → PulseAudio → microphone → opus → speaker → PulseAudio. Needs pulseaudio, its tools
//! and espeak-ng, so it runs with the full suite (`CONCLAVE_FULL=1`). `--nocapture` shows the figures.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use conclave_media::audio::{AudioFeed, AudioSender, AudioSettings, EchoReference, FeedItem, Playout, SoundProcessing};
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
        // A room in which the microphone stands before the loudspeaker.
        format!("module-null-sink sink_name=hall rate={RATE} channels=1 format=float32le"),
        "module-remap-source source_name=hall_mic master=hall.monitor".into(),
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
        Self::at("room.monitor", 2)
    }

    fn at(monitor: &str, channels: u8) -> Self {
        let mut process = Owned::spawn(
            Command::new("parec")
                .args(["--raw", "--format=float32le", "--rate=48000"])
                .args([format!("--channels={channels}"), format!("--device={monitor}")])
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
        self.close_mono().chunks_exact(2).map(|frame| (frame[0], frame[1])).unzip()
    }

    fn close_mono(self) -> Vec<f32> {
        drop(self.process);
        let bytes = self.heard.join().unwrap();
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
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
        let mic = open_audio_source("pulse:mic").unwrap();
        let sender = AudioSender::start(mic, settings, playout.played(), move |packet| into.push(packet.data), no_error).unwrap();
        // What is compared is the wave, which cleaning would change.
        sender.set_processing(SoundProcessing::NONE);
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
            playout.played(),
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

/// A WAV file as 48 kHz mono, and over again until it is this long.
fn samples_of(file: &Path, seconds: usize) -> Vec<f32> {
    let raw = Command::new("ffmpeg")
        .args(["-v", "error", "-stream_loop", "-1", "-i", file.to_str().unwrap(), "-t", &seconds.to_string()])
        .args(["-f", "f32le", "-ac", "1", "-ar", "48000", "-"])
        .output()
        .unwrap();
    assert!(raw.status.success(), "{}", String::from_utf8_lossy(&raw.stderr));
    raw.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Speech of somebody, louder or quieter, in a file of this length.
fn speech(folder: &Path, name: &str, voice: &str, text: &str, loudness: f32, seconds: usize) -> (std::path::PathBuf, Vec<f32>) {
    let (spoken, file) = (folder.join(format!("{name}-once.wav")), folder.join(format!("{name}.wav")));
    shell("espeak-ng", &["-v", voice, "-s", "160", "-w", spoken.to_str().unwrap(), text]);
    let volume = format!("volume={loudness}");
    let length = seconds.to_string();
    let arguments = ["-v", "error", "-y", "-stream_loop", "-1", "-i", spoken.to_str().unwrap(), "-t", &length, "-af", &volume];
    shell("ffmpeg", &[&arguments[..], &["-ar", "48000", "-ac", "1", file.to_str().unwrap()]].concat());
    let samples = samples_of(&file, seconds);
    (file, samples)
}

/// Decoded packets as one stretch of sound, silence where none came.
fn decoded(packets: &[conclave_media::audio::EncodedAudio]) -> Vec<f32> {
    let mut decoder = conclave_media::codec::opus::OpusDecoder::new().unwrap();
    let mut out = Vec::new();
    for packet in packets {
        let mut frame = [0.0; conclave_media::audio::FRAME];
        decoder.decode(&packet.data, &mut frame).unwrap();
        out.extend(frame);
    }
    out
}

#[test]
fn an_echo_through_a_sound_server_goes_while_both_talk() {
    with_sound_server("sound::an_echo_through_a_sound_server_goes_while_both_talk", |folder| {
        // A machine that is busy elsewhere lets the sound server stumble, and the path of the echo is another one for a while.
        let good = (0..3).map(|_| conversation_in_a_room(folder)).any(|(removed, after, alone)| {
            // The near voice is as clean as 0.7 before anything is done to it.
            removed >= 30.0 && after > 0.5 && alone >= 30.0
        });
        assert!(good, "three conversations, and an echo in each");
    });
}

/// Both sides talk where the microphone stands before the loudspeaker: decibels of echo that went while both talked, how like itself the
/// near voice still is (1 = clean), decibels that went while only the other side talked.
fn conversation_in_a_room(folder: &Path) -> (f64, f64, f64) {
    const SECONDS: usize = 50;
    // Long enough that nothing is said twice: what is said twice is like itself by more than chance.
    let far_text = "Could you tell me when the train to the harbour leaves today? I would like to be there before noon, if that works. \
                    My sister arrives with the ferry from the islands, and she carries three suitcases, a lamp and an old clock. \
                    Last winter we waited for her in the rain until the evening, because nobody knew that the boats had stopped. \
                    This time I asked at the office first. They said that everything runs on time, apart from the bus to the market. \
                    Perhaps we should walk along the river then, past the mill and the yellow bridge, and have a coffee on the way.";
    let near_text = "She sells sea shells by the sea shore. The quick brown fox jumps over the lazy dog, and nobody minds it at all. \
                     Every morning the baker opens his window and counts the pigeons on the roof of the town hall across the square. \
                     Some people think that he is waiting for a letter. Others believe he only likes the light before seven o'clock. \
                     When the first customers come he closes the window again, wipes the table, and sells them bread with poppy seed. \
                     Nobody has ever asked him about it, which is a pity, since he would gladly explain how many there were in June.";
    let (far_file, far) = speech(folder, "far", "en-us+m3", far_text, 0.42, SECONDS);
    let (near_file, near) = speech(folder, "near", "en-gb+f2", near_text, 0.42, SECONDS);
    let wire = Wire::default();
    let into = wire.clone();
    let playout = Playout::start(open_audio_sink("pulse:hall").unwrap(), no_error).unwrap();
    let settings = AudioSettings { dtx: false, ..AudioSettings::default() };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let mic = open_audio_source("pulse:hall_mic").unwrap();
    let _near =
        AudioSender::start(mic, settings, playout.played(), move |packet| keep.lock().unwrap().push(packet), no_error).unwrap();
    playout.add(1, Box::new(wire)).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let ear = Ear::at("hall.monitor", 1);
    heard.lock().unwrap().clear();
    // The other side talks through the call, this side into the room.
    let file = open_audio_source(&format!("file:{}", far_file.display())).unwrap();
    let other =
        AudioSender::start(file, settings, EchoReference::default(), move |packet| into.push(packet.data), no_error).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    shell("sh", &["-c", &format!("timeout 36 paplay --device=hall {} || true", near_file.display())]);
    std::thread::sleep(Duration::from_secs(4));
    drop(other);
    let raw = ear.close_mono();
    let out = decoded(&heard.lock().unwrap());
    // All on one axis, the room's. What both say is 4 s to 40 s after the beginning; the canceller has had 8 s by then.
    let span = 12 * RATE..38 * RATE;
    let room = &raw[span.clone()];
    let place = |said: &[f32]| {
        let lag = crate::echo::lag(&said[..15 * RATE], &raw);
        said.iter().copied().skip(span.start - lag).take(span.len()).collect::<Vec<f32>>()
    };
    let far_there = place(&far);
    let near_from = 4 * RATE + crate::echo::lag(&near[..8 * RATE], &raw[4 * RATE..]);
    let near_there: Vec<f32> = near.iter().copied().skip(span.start - near_from).take(span.len()).collect();
    let behind = crate::echo::lag(&near[2 * RATE..10 * RATE], &out[near_from + 2 * RATE - RATE / 4..]);
    let out_there = &out[span.start + behind - RATE / 4..][..span.len()];
    let share = crate::echo::share;
    let voice = share(&near_there, out_there) / share(&near_there, room);
    let (echo_before, echo_after) = (share(&far_there, room), share(&far_there, out_there));
    let removed = crate::echo::decibels(echo_before / echo_after * voice);
    let floor = crate::echo::decibels(echo_before / share(&far_there, &near_there));
    let before = crate::echo::intelligibility(&near_there, room);
    let after = crate::echo::intelligibility(&near_there, out_there);
    // And where only the other side talks, after the conversation.
    let alone = 41 * RATE..(43 * RATE).min(out.len()).min(raw.len());
    let quiet = (energy(&raw[alone.clone()]) / energy(&out[alone]).max(1e-9)) as f64;
    println!(
        "through PulseAudio, both talking: {removed:.1} dB of echo removed (up to {floor:.1} can be told), voice {:+.1} dB, intelligibility {before:.2} -> \
         {after:.2}; one talking: {:.1} dB",
        crate::echo::decibels(voice),
        crate::echo::decibels(quiet),
    );
    assert!(echo_before > share(&near_there, room) * 0.05, "there was no echo");
    (removed, after, crate::echo::decibels(quiet))
}
