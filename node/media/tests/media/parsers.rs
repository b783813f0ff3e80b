//! Everything that reads bytes of a stranger, over the corpus of the fuzz targets, its truncations and its mutations: an error or a
//! value, never a panic.

use std::path::PathBuf;

use conclave_media::audio::AudioSettings;
use conclave_media::codec::opus::OpusEncoder;
use conclave_media::codec::{self, EncoderSettings, VideoCodec};
use conclave_media::testcard::TestCard;

use crate::codecs::{card, content};

#[path = "../../fuzz/targets.rs"]
#[allow(unreachable_pub)]
mod targets;

const MUTATIONS: u64 = 60;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The same on every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

#[test]
fn corpus_of_every_fuzz_target_holds() {
    for (name, target) in targets::TARGETS {
        let files: Vec<_> =
            std::fs::read_dir(root().join("corpus").join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let seed = std::fs::read(&file).unwrap();
            target(&seed);
            let mut rng = Seeded(seed.len() as u64);
            for _ in 0..MUTATIONS {
                let mut bent = seed.clone();
                for _ in 0..=rng.below(6) {
                    let (byte, bit) = (rng.below(seed.len()), rng.below(8));
                    bent[byte] ^= 1 << bit;
                }
                if rng.below(3) == 0 {
                    bent.truncate(rng.below(seed.len()));
                }
                target(&bent);
            }
        }
    }
}

#[test]
fn every_fuzz_target_is_declared() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let source = std::fs::read_to_string(root().join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(source.contains(&format!("targets::{name}(data)")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::TARGETS.len());
}

/// Writes the seeds of the corpus anew: `WRITE_CORPUS=1 cargo test -p conclave-media --test media -- --ignored write_the_corpus`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    if std::env::var_os("WRITE_CORPUS").is_none() {
        return;
    }
    let write = |name: &str, number: u32, bytes: &[u8]| {
        let directory = root().join("corpus").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{number:02}")), bytes).unwrap();
    };
    for (codec, name) in [(VideoCodec::H264, "h264"), (VideoCodec::Vp9, "vp9")] {
        let settings = EncoderSettings { content: content(codec), bitrate_bps: 60_000, fps: 30 };
        let mut encoder = codec::encoder(codec, settings).unwrap();
        let still = TestCard::new(96, 64).unwrap();
        let frames: Vec<_> =
            (0..4).filter_map(|index| encoder.encode(&card(&still, index * 10).0, index == 2).unwrap()).collect();
        write(name, 1, &targets::joined(frames.iter().map(|frame| &frame.data[..])));
    }
    let mut y4m = b"YUV4MPEG2 W8 H6 F30:1 Ip A1:1 C420jpeg\n".to_vec();
    for luma in [16, 235] {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.extend([luma; 8 * 6 * 3 / 2]);
    }
    write("y4m", 1, &y4m);
    let mut wav = b"RIFF\x4c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data\x28\0\0\0".to_vec();
    wav.extend((0..20_i16).flat_map(|sample| (sample * 1000).to_le_bytes()));
    write("wav", 1, &wav);
    let mut encoder = OpusEncoder::new(AudioSettings::default()).unwrap();
    let packets: Vec<_> = (0..4)
        .map(|packet| {
            let frame = std::array::from_fn(|index| ((packet * 960 + index) as f32 * 0.06).sin() * 0.3);
            encoder.encode(&frame).unwrap()
        })
        .collect();
    write("opus", 1, &targets::joined(packets.iter().map(|packet| &packet[..])));
    for (number, name) in
        (1..).zip(["test:640x360@15", "x11::0+10,20,640x480", "x11:window:0x1a", "v4l2:/dev/video0", "file:a.wav"])
    {
        write("device_name", number, name.as_bytes());
    }
}
