//! What a picture costs, by the clock of the thread. Run by hand: `cargo test -p conclave-media --test media speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use conclave_media::codec::{self, EncoderSettings, VideoCodec};
use conclave_media::testcard::TestCard;

use crate::codecs::{card, content};

#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_picture_at_720p() {
    const COUNT: u32 = 200;
    let still = TestCard::new(1280, 720).unwrap();
    let begin = Instant::now();
    let pictures: Vec<_> = (0..u64::from(COUNT)).map(|index| card(&still, index).0).collect();
    eprintln!("test card: {:?} a picture", begin.elapsed() / COUNT);
    for codec in [VideoCodec::H264, VideoCodec::Vp9] {
        let settings = EncoderSettings { content: content(codec), bitrate_bps: 1_500_000, fps: 30 };
        let mut encoder = codec::encoder(codec, settings).unwrap();
        let begin = Instant::now();
        let frames: Vec<_> = pictures.iter().filter_map(|picture| encoder.encode(picture, false).unwrap()).collect();
        let encode = begin.elapsed() / COUNT;
        let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
        let mut decoder = codec::decoder(codec).unwrap();
        let begin = Instant::now();
        let decoded = frames.iter().filter(|frame| decoder.decode(&frame.data, frame.at).unwrap().is_some()).count();
        let decode = begin.elapsed() / COUNT;
        let fps = |cost: Duration| 1.0 / cost.as_secs_f64();
        eprintln!(
            "{codec:?}: encode {encode:?} ({:.0} fps), decode {decode:?} ({:.0} fps), {decoded} of {COUNT} coded, {} kb/s",
            fps(encode),
            fps(decode),
            bytes * 8 * 30 / 1000 / COUNT as usize,
        );
    }
    let mut rgba = Vec::new();
    let begin = Instant::now();
    for picture in &pictures {
        picture.to_rgba(&mut rgba);
    }
    eprintln!("to RGBA: {:?} a picture", begin.elapsed() / COUNT);
}
