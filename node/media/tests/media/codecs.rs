//! The codecs alone: what comes out of them, and what a hostile peer may put in.

use std::time::Duration;

use conclave_media::codec::{self, EncodedFrame, EncoderSettings, VideoCodec, VideoContent, VideoDecoder};
use conclave_media::error::MediaError;
use conclave_media::picture::{Picture, PictureBuf};
use conclave_media::testcard::{TestCard, read_clock};
use proptest::prelude::*;

const BEGIN_MS: u64 = 1_790_000_000_000;
const CODECS: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp9];

pub(crate) fn content(codec: VideoCodec) -> VideoContent {
    match codec {
        VideoCodec::H264 => VideoContent::Camera,
        VideoCodec::Vp9 => VideoContent::Screen,
    }
}

fn settings(codec: VideoCodec, bitrate_bps: u32) -> EncoderSettings {
    EncoderSettings { content: content(codec), bitrate_bps, fps: 30 }
}

/// Picture `index` of a test card at 30 pictures a second, and the time on its clock.
pub(crate) fn card(card: &TestCard, index: u64) -> (Picture, Duration) {
    let at = Duration::from_millis(index * 1000 / 30);
    let time = Duration::from_millis(BEGIN_MS) + at;
    (card.draw(time, at), time)
}

fn encode(codec: VideoCodec, (width, height): (u32, u32), bitrate_bps: u32, count: u64) -> Vec<EncodedFrame> {
    let still = TestCard::new(width, height).unwrap();
    let mut encoder = codec::encoder(codec, settings(codec, bitrate_bps)).unwrap();
    (0..count).filter_map(|index| encoder.encode(&card(&still, index).0, false).unwrap()).collect()
}

/// Every second sample of the mean of four.
fn halved(picture: &Picture) -> Picture {
    let (width, height) = (picture.width() / 2, picture.height() / 2);
    let mut half = PictureBuf::new(width, height).unwrap();
    let y = half.planes_mut().y;
    for row in 0..height as usize {
        for column in 0..width as usize {
            let at = row * 2 * picture.width() as usize + column * 2;
            let four = [at, at + 1, at + picture.width() as usize, at + picture.width() as usize + 1];
            let sum: u32 = four.iter().map(|at| u32::from(picture.y()[*at])).sum();
            y[row * width as usize + column] = (sum / 4) as u8;
        }
    }
    half.finish(picture.at)
}

#[test]
fn clock_survives_coding_at_300_kbps_and_scaling_to_a_half() {
    for codec in CODECS {
        let frames = encode(codec, (640, 360), 300_000, 150);
        let bits: usize = frames.iter().map(|frame| frame.data.len() * 8).sum();
        assert!(bits < 5 * 450_000, "{codec:?}: {bits} bits in 5 s");
        assert!(frames.len() >= 100, "{codec:?}: {} of 150 pictures", frames.len());
        let mut decoder = codec::decoder(codec).unwrap();
        let (mut whole, mut half) = (0, 0);
        for frame in &frames {
            let picture = decoder.decode(&frame.data, frame.at).unwrap().unwrap();
            let time = Some(Duration::from_millis(BEGIN_MS + frame.at.as_millis() as u64));
            whole += usize::from(read_clock(&picture) == time);
            half += usize::from(read_clock(&halved(&picture)) == time);
        }
        assert!(whole * 100 >= frames.len() * 97, "{codec:?}: {whole} of {} read", frames.len());
        assert!(half * 100 >= frames.len() * 97, "{codec:?}: {half} of {} read at half size", frames.len());
    }
}

#[test]
fn keyframes_come_first_on_request_and_with_a_new_size_only() {
    for codec in CODECS {
        let (small, large) = (TestCard::new(320, 180).unwrap(), TestCard::new(640, 360).unwrap());
        let mut encoder = codec::encoder(codec, settings(codec, 1_000_000)).unwrap();
        let mut decoder = codec::decoder(codec).unwrap();
        let mut keyframes = Vec::new();
        for index in 0..200 {
            let picture = card(if index < 150 { &small } else { &large }, index).0;
            let Some(frame) = encoder.encode(&picture, index == 100).unwrap() else { continue };
            if frame.keyframe {
                keyframes.push(index);
            }
            let decoded = decoder.decode(&frame.data, frame.at).unwrap().unwrap();
            assert_eq!((decoded.width(), decoded.at), (picture.width(), picture.at));
        }
        assert_eq!(keyframes, [0, 100, 150], "{codec:?}");
    }
}

#[test]
fn bitrate_follows_while_the_encoder_runs() {
    for codec in CODECS {
        let still = TestCard::new(640, 360).unwrap();
        let mut encoder = codec::encoder(codec, settings(codec, 300_000)).unwrap();
        let mut decoder = codec::decoder(codec).unwrap();
        let mut rates = Vec::new();
        for (step, bitrate_bps) in (0..).zip([300_000, 1_500_000, 150_000, 300_000]) {
            encoder.set_bitrate(bitrate_bps);
            let mut bytes = 0;
            for index in step * 120..(step + 1) * 120 {
                // Noise, so that there is always something to spend bits on.
                let mut picture = PictureBuf::from(card(&still, index).0);
                let mut seed = index as u32;
                for sample in picture.planes_mut().y.iter_mut().skip(640 * 240) {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *sample = sample.wrapping_add((seed >> 27) as u8);
                }
                let picture = picture.finish(Duration::from_millis(index * 1000 / 30));
                if let Some(frame) = encoder.encode(&picture, false).unwrap() {
                    decoder.decode(&frame.data, frame.at).unwrap().unwrap();
                    // The first second of each step is for the encoder to settle.
                    bytes += if index % 120 >= 30 { frame.data.len() } else { 0 };
                }
            }
            rates.push(bytes * 8 / 3);
        }
        eprintln!("{codec:?}: {rates:?} b/s for 300000, 1500000, 150000, 300000");
        assert!(rates[1] > rates[0] * 2 && rates[1] < 2_000_000, "{codec:?}: {rates:?}");
        assert!(rates[2] < rates[1] / 3 && rates[2] < 250_000, "{codec:?}: {rates:?}");
        assert!(rates[3] > rates[2], "{codec:?}: {rates:?}");
    }
}

#[test]
fn sizes_that_cannot_be_coded_are_refused() {
    for codec in CODECS {
        let mut encoder = codec::encoder(codec, settings(codec, 1_000_000)).unwrap();
        for (width, height) in [(8, 8), (641, 360), (640, 361), (4098, 2306), (16, 7680)] {
            let picture = PictureBuf::new(width, height).unwrap().finish(Duration::ZERO);
            let refused = matches!(encoder.encode(&picture, false), Err(MediaError::PictureSize { .. }));
            assert_eq!(refused, (width, height) != (16, 7680), "{codec:?} {width}x{height}");
        }
    }
}

#[test]
fn frame_after_a_gap_or_without_a_beginning_is_no_panic() {
    for codec in CODECS {
        let frames = encode(codec, (320, 180), 500_000, 20);
        let mut decoder = codec::decoder(codec).unwrap();
        assert!(!matches!(decoder.decode(&frames[3].data, Duration::ZERO), Ok(Some(_))), "{codec:?}");
        assert!(decoder.decode(&[], Duration::ZERO).is_err());
        assert!(matches!(decoder.decode(&frames[0].data, Duration::ZERO), Ok(Some(_))));
        let _ = decoder.decode(&frames[9].data, Duration::ZERO);
        assert!(matches!(decoder.decode(&frames[0].data, Duration::ZERO), Ok(Some(_))), "{codec:?} recovers");
    }
}

#[test]
fn frame_beyond_four_mebibytes_is_refused() {
    for codec in CODECS {
        let mut decoder = codec::decoder(codec).unwrap();
        assert!(decoder.decode(&vec![0; (4 << 20) + 1], Duration::ZERO).is_err());
    }
}

/// A second frame hidden behind the first one is never looked at: its header was not checked.
#[test]
fn vp9_frame_hidden_behind_another_is_not_decoded() {
    let frame = &encode(VideoCodec::Vp9, (320, 180), 500_000, 1)[0];
    let mut huge = frame.data.to_vec();
    // The size stands in the 33rd bit and on: 16 bits of width and 16 of height, less one.
    for byte in &mut huge[4..8] {
        *byte |= 0x0f;
    }
    let mut decoder = codec::decoder(VideoCodec::Vp9).unwrap();
    assert!(matches!(decoder.decode(&huge, Duration::ZERO), Err(MediaError::PictureSize { .. })));
    let both = [&frame.data[..], &huge].concat();
    if let Ok(Some(picture)) = decoder.decode(&both, Duration::ZERO) {
        assert_eq!((picture.width(), picture.height()), (320, 180));
    }
    assert!(resident_mib() < 1500);
}

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) / 1024
}

fn decode_all(decoder: &mut dyn VideoDecoder, frames: &[Vec<u8>]) {
    for data in frames {
        if let Ok(Some(picture)) = decoder.decode(data, Duration::ZERO) {
            assert!(u64::from(picture.width()) * u64::from(picture.height()) <= u64::from(codec::MAX_AREA));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truncated_and_altered_frames_end_in_errors_at_worst(
        vp9: bool,
        flips in proptest::collection::vec((0_usize..6, 0_usize..4000, 0_u8..8), 1..12),
        cut in proptest::option::of((0_usize..6, 0_usize..4000)),
    ) {
        let codec = CODECS[usize::from(vp9)];
        let mut frames: Vec<Vec<u8>> = encode(codec, (160, 96), 300_000, 6).iter().map(|frame| frame.data.to_vec()).collect();
        let count = frames.len();
        for (frame, byte, bit) in flips {
            let frame = &mut frames[frame % count];
            let byte = byte % frame.len();
            frame[byte] ^= 1 << bit;
        }
        if let Some((frame, length)) = cut {
            let frame = &mut frames[frame % count];
            let length = length % frame.len();
            frame.truncate(length);
        }
        let mut decoder = codec::decoder(codec).unwrap();
        decode_all(decoder.as_mut(), &frames);
        // A clean keyframe puts everything right.
        let clean = encode(codec, (160, 96), 300_000, 1);
        let recovered = (0..3).any(|_| matches!(decoder.decode(&clean[0].data, Duration::ZERO), Ok(Some(_))));
        prop_assert!(recovered);
    }

    #[test]
    fn noise_ends_in_errors_at_worst(vp9: bool, noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let codec = CODECS[usize::from(vp9)];
        let mut decoder = codec::decoder(codec).unwrap();
        let framed = [&[0, 0, 0, 1, 0x67][..], &noise].concat();
        decode_all(decoder.as_mut(), &[noise, framed]);
    }
}
