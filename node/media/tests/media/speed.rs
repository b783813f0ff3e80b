//! What a picture costs, in processor time of the whole process, which other programs do not disturb. Run by hand:
//! `cargo test -p conclave-media --test media speed -- --ignored --nocapture`.

use std::time::Duration;

use conclave_media::codec::{self, EncoderSettings, VideoCodec};
use conclave_media::testcard::TestCard;

use crate::codecs::{card, content};

/// What the process has used of all processors; to a hundredth of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "a measurement, not a test"]
fn cost_of_a_picture_at_720p() {
    const COUNT: u32 = 200;
    let still = TestCard::new(1280, 720).unwrap();
    let begin = processor_time();
    let pictures: Vec<_> = (0..u64::from(COUNT)).map(|index| card(&still, index).0).collect();
    eprintln!("test card: {:?} a picture", (processor_time() - begin) / COUNT);
    for codec in [VideoCodec::H264, VideoCodec::Vp9] {
        let settings = EncoderSettings { content: content(codec), bitrate_bps: 1_500_000, fps: 30 };
        let mut encoder = codec::encoder(codec, settings).unwrap();
        let begin = processor_time();
        let frames: Vec<_> = pictures.iter().filter_map(|picture| encoder.encode(picture, false).unwrap()).collect();
        let encode = (processor_time() - begin) / COUNT;
        let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
        let mut decoder = codec::decoder(codec).unwrap();
        let begin = processor_time();
        let decoded = frames.iter().filter(|frame| decoder.decode(&frame.data, frame.at).unwrap().is_some()).count();
        let decode = (processor_time() - begin) / COUNT;
        let fps = |cost: Duration| 1.0 / cost.as_secs_f64();
        eprintln!(
            "{codec:?}: encode {encode:?} ({:.0} fps), decode {decode:?} ({:.0} fps), {decoded} of {COUNT} coded, {} kb/s",
            fps(encode),
            fps(decode),
            bytes * 8 * 30 / 1000 / COUNT as usize,
        );
    }
    let mut rgba = Vec::new();
    let begin = processor_time();
    for picture in &pictures {
        picture.to_rgba(&mut rgba);
    }
    eprintln!("to RGBA: {:?} a picture", (processor_time() - begin) / COUNT);
}
