#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
use std::process::Command;
use std::sync::mpsc;

use bytes::Bytes;

use super::ogg::SILENT_PACKET;
use super::ogg::testing::pages;
use super::*;
use crate::audio::AudioSettings;
use crate::audio::source::testing::Voice;
use crate::codec::opus::OpusEncoder;

fn packet(n: u64, data: &[u8]) -> EncodedAudio {
    EncodedAudio { data: Bytes::copy_from_slice(data), at: Duration::from_millis(n * 20 + 7_000), level: 30 }
}

fn no_error(error: MediaError) {
    panic!("{error}");
}

fn packets_of(path: &Path) -> Vec<Vec<u8>> {
    pages(&std::fs::read(path).unwrap())[2..].iter().flat_map(|page| page.packets.clone()).collect()
}

#[test]
fn gaps_are_kept_order_is_restored_and_no_file_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let recorder = Recorder::start(dir.path(), no_error).unwrap();
        let ada = recorder.audio("Ada").unwrap();
        for n in [0, 1, 3, 2, 10, 11, 1, 30] {
            ada.push(packet(n, &[n as u8 + 100, 0, 0]));
        }
        drop(ada);
        drop(recorder);
        let packets = packets_of(&dir.path().join(if round == 0 { "Ada.ogg" } else { "Ada-2.ogg" }));
        let begin = packets.iter().position(|p| *p != SILENT_PACKET).unwrap();
        let sound = &packets[begin..];
        assert_eq!(sound.len(), 31);
        for (n, packet) in sound.iter().enumerate() {
            let there = [0, 1, 2, 3, 10, 11, 30].contains(&n);
            assert_eq!(*packet, if there { vec![n as u8 + 100, 0, 0] } else { SILENT_PACKET.to_vec() }, "packet {n}");
        }
    }
}

#[test]
fn a_track_that_begins_later_lies_later() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), no_error).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let bob = recorder.audio("Bob").unwrap();
    bob.push(packet(0, &[1, 2, 3]));
    drop((bob, recorder));
    let packets = packets_of(&dir.path().join("Bob.ogg"));
    assert!((10..100).contains(&packets.len()), "{} packets", packets.len());
}

#[test]
fn pictures_begin_with_a_keyframe() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), no_error).unwrap();
    let camera = recorder.video("Ada camera", VideoCodec::Vp9).unwrap();
    let frame = |n: u8, keyframe| EncodedFrame {
        data: Bytes::from(vec![n; 5]),
        codec: VideoCodec::Vp9,
        keyframe,
        at: Duration::from_millis(u64::from(n) * 33),
    };
    assert!(camera.wants_keyframe());
    camera.push(frame(1, false));
    camera.push(frame(2, true));
    assert!(!camera.wants_keyframe());
    camera.push(frame(3, false));
    camera.push(EncodedFrame { codec: VideoCodec::H264, ..frame(4, true) });
    drop((camera, recorder));
    let file = std::fs::read(dir.path().join("Ada camera.ivf")).unwrap();
    assert_eq!(file.len(), 32 + 2 * (12 + 5));
    assert_eq!((file[24], file[44], file[61]), (2, 2, 3));
    let at = |i: usize| u64::from_le_bytes(file[i..i + 8].try_into().unwrap());
    assert_eq!(at(53) - at(36), 33);
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), no_error).unwrap();
    for name in ["", "../x", "a/b", ".hidden", "a\\b", "c:d"] {
        assert!(recorder.audio(name).is_err(), "{name}");
        assert!(recorder.video(name, VideoCodec::H264).is_err(), "{name}");
    }
}

#[test]
fn a_disk_that_refuses_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("gone");
    let (error_tx, errors) = mpsc::channel();
    let recorder = Recorder::start(&folder, move |error| drop(error_tx.send(error))).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    let tracks = [recorder.audio("a").unwrap(), recorder.audio("b").unwrap()];
    for track in &tracks {
        track.push(packet(0, &[1]));
    }
    drop((tracks, recorder));
    assert!(matches!(errors.recv(), Ok(MediaError::Unavailable { .. })));
    assert!(errors.recv().is_err());
}

#[test]
fn what_was_heard_survives_a_crash_up_to_the_last_second() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), no_error).unwrap();
    let ada = recorder.audio("Ada").unwrap();
    // Less than the two seconds after which times that run ahead of the clock are taken for a jump.
    for n in 0..95 {
        ada.push(packet(n, &[7; 40]));
    }
    let path = dir.path().join("Ada.ogg");
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while std::fs::metadata(&path).map_or(0, |m| m.len()) < 50 * 40 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    // As a crash would leave it: nothing is closed.
    let file = std::fs::read(&path).unwrap();
    assert!(pages(&file).len() >= 3, "two of headers, and a second of sound");
    assert!(pages(&file[..file.len() - 1]).len() >= 2, "a page that is torn takes no other with it");
    drop((ada, recorder));
}

/// Needs ffmpeg, so it runs with the full suite.
#[test]
fn ffmpeg_reads_what_was_recorded() {
    if std::env::var_os("CONCLAVE_FULL").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(dir.path(), no_error).unwrap();
    let ada = recorder.audio("Ada").unwrap();
    let mut encoder = OpusEncoder::new(AudioSettings::default()).unwrap();
    let mut voice = Voice::default();
    for n in 0..90 {
        ada.push(packet(n, &encoder.encode(&voice.frame()).unwrap()));
    }
    for (name, kind) in [("camera", VideoCodec::H264), ("screen", VideoCodec::Vp9)] {
        let settings =
            crate::codec::EncoderSettings { content: crate::codec::VideoContent::Camera, bitrate_bps: 500_000, fps: 30 };
        let mut encoder = crate::codec::encoder(kind, settings).unwrap();
        let track = recorder.video(name, kind).unwrap();
        for n in 0..50u64 {
            let length = crate::picture::Picture::byte_len(320, 180).unwrap();
            let pixels: Vec<u8> = (0..length).map(|i| (i as u64 * 7 / 5 + n * 3) as u8).collect();
            let picture = crate::picture::Picture::new(320, 180, pixels, Duration::from_millis(n * 33)).unwrap();
            if let Some(frame) = encoder.encode(&picture, false).unwrap() {
                track.push(frame);
            }
        }
    }
    drop((ada, recorder));
    let probe = |file: &str, entries: &str| {
        let path = dir.path().join(file);
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-show_entries", entries, "-of", "default=nw=1"])
            .arg(&path)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && err.is_empty(), "{file}: {err}");
        let decode =
            Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i"]).arg(&path).args(["-f", "null", "-"]).output().unwrap();
        assert!(decode.status.success() && decode.stderr.is_empty(), "{file}: {}", String::from_utf8_lossy(&decode.stderr));
        out
    };
    let audio = probe("Ada.ogg", "stream=codec_name,channels:format=duration");
    assert!(audio.contains("codec_name=opus") && audio.contains("channels=1"), "{audio}");
    let seconds: f64 = audio.lines().find_map(|l| l.strip_prefix("duration=")).unwrap().parse().unwrap();
    assert!((1.75..2.4).contains(&seconds), "{seconds}");
    for (file, codec) in [("camera.ivf", "h264"), ("screen.ivf", "vp9")] {
        let video = probe(file, "stream=codec_name,width,height,nb_read_frames");
        assert!(video.contains(&format!("codec_name={codec}")), "{video}");
        assert!(video.contains("width=320") && video.contains("height=180"), "{video}");
        let frames: u32 = video.lines().find_map(|l| l.strip_prefix("nb_read_frames=")).unwrap().parse().unwrap();
        assert!((40..=50).contains(&frames), "{frames}");
    }
}
