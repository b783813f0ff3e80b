//! Whole streams: from a source through the threads to a slot, and what happens when a part of it fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use conclave_media::codec::{EncodedFrame, VideoCodec};
use conclave_media::device::{open_screen, open_video};
use conclave_media::error::MediaError;
use conclave_media::picture::{Picture, PictureBuf, PictureSlot};
use conclave_media::source::VideoSource;
use conclave_media::testcard::{TestCard, read_clock};
use conclave_media::video::{DecodeEvent, VideoPreview, VideoReceiver, VideoSender, VideoSettings};

use crate::codecs;

const PATIENCE: Duration = Duration::from_secs(20);

/// Gives the pictures it holds, then nothing, or fails.
struct Scripted {
    pictures: VecDeque<Picture>,
    fails: bool,
}

impl VideoSource for Scripted {
    fn next(&mut self) -> Result<Option<Picture>, MediaError> {
        match self.pictures.pop_front() {
            Some(picture) => Ok(Some(picture)),
            None if self.fails => Err(MediaError::Gone { device: "the camera".into(), reason: "unplugged".into() }),
            None => {
                std::thread::sleep(Duration::from_millis(20));
                Ok(None)
            }
        }
    }

    fn describe(&self) -> String {
        "scripted".into()
    }
}

fn still(width: u32, height: u32, fails: bool) -> Box<Scripted> {
    let picture = PictureBuf::new(width, height).unwrap().finish(conclave_media::clock::now());
    Box::new(Scripted { pictures: [picture].into(), fails })
}

fn sender(source: Box<dyn VideoSource>, settings: VideoSettings) -> (VideoSender, Receiver<EncodedFrame>, Receiver<MediaError>) {
    let (frames_in, frames) = channel();
    let (errors_in, errors) = channel();
    let on_frame = move |frame| drop(frames_in.send(frame));
    let on_error = move |error| drop(errors_in.send(error));
    (VideoSender::start(source, settings, on_frame, Arc::default(), on_error).unwrap(), frames, errors)
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

#[test]
fn picture_goes_from_source_to_slot_with_little_delay() {
    for (codec, settings) in [(VideoCodec::H264, VideoSettings::camera()), (VideoCodec::Vp9, VideoSettings::screen())] {
        let slot = Arc::new(PictureSlot::default());
        let (events_in, events) = channel();
        let receiver = VideoReceiver::start(codec, Arc::clone(&slot), move |event| drop(events_in.send(event))).unwrap();
        let preview = Arc::new(PictureSlot::default());
        let on_frame = move |frame| receiver.push(frame);
        let source = open_video("test:640x360@30").unwrap();
        let sender = VideoSender::start(source, settings, on_frame, Arc::clone(&preview), |error| panic!("{error}")).unwrap();

        let (mut seen, mut delays) = (0, Vec::new());
        while delays.len() < 20 {
            match events.recv_timeout(PATIENCE).unwrap() {
                DecodeEvent::Decoded { width, height, .. } => assert_eq!((width, height), (640, 360)),
                other => panic!("{other:?}"),
            }
            let Some((picture, count)) = slot.newer_than(seen) else { continue };
            seen = count;
            delays.push(unix_now().saturating_sub(read_clock(&picture).unwrap()));
        }
        assert!(!preview.is_empty());
        delays.sort();
        eprintln!("{codec:?}: {:?} from the test card to the slot, median of 20", delays[10]);
        assert!(delays[10] < Duration::from_millis(500));

        let stopping = Instant::now();
        drop(sender);
        eprintln!("{codec:?}: stopped in {:?}", stopping.elapsed());
        assert!(stopping.elapsed() < Duration::from_secs(2));
        assert!(preview.is_empty() && slot.is_empty());
    }
}

#[test]
fn larger_source_is_scaled_and_the_rate_is_capped() {
    let settings = VideoSettings { max_width: 320, max_height: 180, fps: 10, ..VideoSettings::camera() };
    let (_sender, frames, _errors) = sender(open_video("test:1280x720@60").unwrap(), settings);
    let frames: Vec<_> = (0..10).map(|_| frames.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(frames[9].at - frames[0].at > Duration::from_millis(800));
    let mut decoder = conclave_media::codec::decoder(VideoCodec::H264).unwrap();
    let picture = decoder.decode(&frames[0].data, Duration::ZERO).unwrap().unwrap();
    assert_eq!((picture.width(), picture.height()), (320, 180));
}

#[test]
fn keyframe_on_request_and_when_the_new_source_has_another_size() {
    let (sender, frames, _errors) = sender(open_video("test:320x180@30").unwrap(), VideoSettings::camera());
    let keyframe_within = |count: usize| (0..count).find(|_| frames.recv_timeout(PATIENCE).unwrap().keyframe);
    assert_eq!(keyframe_within(1), Some(0));
    assert_eq!(keyframe_within(15), None);
    sender.request_keyframe();
    assert!(keyframe_within(30).is_some());
    sender.replace_source(open_video("test:640x360@30").unwrap());
    assert!(keyframe_within(60).is_some());
    assert_eq!(keyframe_within(10), None);
}

#[test]
fn still_screen_answers_a_request_for_a_keyframe() {
    let (sender, frames, _errors) = sender(still(640, 360, false), VideoSettings::screen());
    let first = frames.recv_timeout(PATIENCE).unwrap();
    assert!(first.keyframe);
    for _ in 0..3 {
        sender.request_keyframe();
        let next = frames.recv_timeout(PATIENCE).unwrap();
        assert!(next.keyframe && next.at > first.at);
    }
}

#[test]
fn failed_source_is_reported_and_can_be_replaced() {
    let preview = Arc::new(PictureSlot::default());
    let (frames_in, frames) = channel();
    let (errors_in, errors) = channel();
    let on_frame = move |frame: EncodedFrame| drop(frames_in.send(frame));
    let on_error = move |error| drop(errors_in.send(error));
    let sender =
        VideoSender::start(still(320, 180, true), VideoSettings::camera(), on_frame, Arc::clone(&preview), on_error).unwrap();
    assert!(matches!(errors.recv_timeout(PATIENCE).unwrap(), MediaError::Gone { .. }));
    assert!(preview.is_empty());
    sender.replace_source(open_video("test:160x96@30").unwrap());
    let mut decoder = conclave_media::codec::decoder(VideoCodec::H264).unwrap();
    loop {
        let frame = frames.recv_timeout(PATIENCE).unwrap();
        let picture = decoder.decode(&frame.data, Duration::ZERO).unwrap().unwrap();
        if picture.width() == 160 {
            return;
        }
    }
}

#[test]
fn source_too_small_to_code_is_reported_once() {
    let pictures = (0..5).map(|_| PictureBuf::new(8, 8).unwrap().finish(Duration::ZERO)).collect();
    let (_sender, _frames, errors) = sender(Box::new(Scripted { pictures, fails: true }), VideoSettings::camera());
    let reported: Vec<_> = (0..2).map(|_| errors.recv_timeout(PATIENCE).unwrap()).collect();
    let sizes = reported.iter().filter(|error| matches!(error, MediaError::PictureSize { .. })).count();
    assert_eq!(sizes, 1, "{reported:?}");
}

#[test]
fn sender_of_a_silent_source_stops_promptly() {
    let (sender, frames, _errors) = sender(still(320, 180, false), VideoSettings::camera());
    frames.recv_timeout(PATIENCE).unwrap();
    let stopping = Instant::now();
    drop(sender);
    assert!(stopping.elapsed() < Duration::from_secs(1));
}

#[test]
fn preview_shows_a_source_and_leaves_nothing_behind() {
    let slot = Arc::new(PictureSlot::default());
    let (woken_in, woken) = channel();
    slot.on_change(move || {
        let _ = woken_in.send(());
    });
    let source = open_video("test:640x360@30").unwrap();
    let preview = VideoPreview::start(source, (30, 320, 320), Arc::clone(&slot), |error| panic!("{error}")).unwrap();
    woken.recv_timeout(PATIENCE).unwrap();
    let (picture, _) = slot.newer_than(0).unwrap();
    assert_eq!((picture.width(), picture.height()), (320, 180));
    drop(preview);
    assert!(slot.is_empty());
}

/// Coded frames of a test card: a keyframe, and what needs it.
fn coded(codec: VideoCodec, count: u64) -> Vec<EncodedFrame> {
    let settings = conclave_media::codec::EncoderSettings { content: codecs::content(codec), bitrate_bps: 500_000, fps: 30 };
    let mut encoder = conclave_media::codec::encoder(codec, settings).unwrap();
    let card = TestCard::new(320, 180).unwrap();
    (0..count).filter_map(|index| encoder.encode(&codecs::card(&card, index).0, false).unwrap()).collect()
}

fn receiver(codec: VideoCodec) -> (VideoReceiver, Arc<PictureSlot>, Receiver<DecodeEvent>) {
    let slot = Arc::new(PictureSlot::default());
    let (events_in, events) = channel();
    let receiver = VideoReceiver::start(codec, Arc::clone(&slot), move |event| drop(events_in.send(event))).unwrap();
    (receiver, slot, events)
}

#[test]
fn stream_joined_in_the_middle_asks_for_a_keyframe_until_it_comes() {
    let frames = coded(VideoCodec::H264, 10);
    let (receiver, slot, events) = receiver(VideoCodec::H264);
    receiver.push(frames[4].clone());
    for _ in 0..2 {
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::NeedKeyframe));
    }
    assert!(slot.is_empty());
    receiver.push(frames[0].clone());
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::Decoded { .. }));
}

#[test]
fn nothing_is_shown_between_a_lost_frame_and_the_next_keyframe() {
    for codec in [VideoCodec::H264, VideoCodec::Vp9] {
        let frames = coded(codec, 10);
        let (receiver, slot, events) = receiver(codec);
        receiver.push(frames[0].clone());
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::Decoded { .. }));
        receiver.frame_lost();
        for frame in &frames[2..6] {
            receiver.push(frame.clone());
        }
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::NeedKeyframe));
        receiver.push(EncodedFrame { at: Duration::from_secs(9), ..frames[0].clone() });
        match events.recv_timeout(PATIENCE).unwrap() {
            DecodeEvent::Decoded { at, .. } => assert_eq!(at, Duration::from_secs(9)),
            other => panic!("{other:?}"),
        }
        assert_eq!(slot.newer_than(0).unwrap().1, 2);
    }
}

#[test]
fn damaged_frame_leads_to_a_wish_for_a_keyframe_and_to_no_panic() {
    for codec in [VideoCodec::H264, VideoCodec::Vp9] {
        let frames = coded(codec, 2);
        let (receiver, _slot, events) = receiver(codec);
        receiver.push(EncodedFrame { data: Bytes::from_static(&[0xff; 500]), ..frames[0].clone() });
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::Error(_)));
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::NeedKeyframe));
    }
}

#[test]
fn flood_of_frames_keeps_memory_bounded_and_ends_in_a_wish_for_a_keyframe() {
    let frames = coded(VideoCodec::H264, 2);
    let (receiver, _slot, events) = receiver(VideoCodec::H264);
    receiver.push(frames[0].clone());
    let huge = Bytes::from(vec![0_u8; 4 << 20]);
    for _ in 0..1000 {
        receiver.push(EncodedFrame { data: huge.clone(), keyframe: false, ..frames[1].clone() });
    }
    let asked = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).any(|event| matches!(event, DecodeEvent::NeedKeyframe));
    assert!(asked);
    receiver.push(frames[0].clone());
    let decoded =
        std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).any(|event| matches!(event, DecodeEvent::Decoded { .. }));
    assert!(decoded);
}

#[test]
fn stream_may_change_its_codec_with_a_keyframe() {
    let (receiver, _slot, events) = receiver(VideoCodec::H264);
    for codec in [VideoCodec::H264, VideoCodec::Vp9, VideoCodec::H264] {
        receiver.push(coded(codec, 1)[0].clone());
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), DecodeEvent::Decoded { .. }), "{codec:?}");
    }
}

#[test]
fn devices_that_are_not_there_say_so() {
    assert!(matches!(
        open_video("v4l2:/dev/video63").err().unwrap(),
        MediaError::Unavailable { .. } | MediaError::Unsupported { .. }
    ));
    assert!(matches!(open_video("file:/nowhere.y4m").err().unwrap(), MediaError::Unavailable { .. }));
    assert!(matches!(open_screen("x11::9977").err().unwrap(), MediaError::Unavailable { .. } | MediaError::Unsupported { .. }));
}

#[test]
fn rgba_has_the_colours_of_the_picture_and_can_be_mirrored() {
    let mut picture = PictureBuf::new(4, 2).unwrap();
    // White on the left half, red on the right.
    let planes = picture.planes_mut();
    planes.y.copy_from_slice(&[235, 235, 81, 81, 235, 235, 81, 81]);
    planes.u.copy_from_slice(&[128, 90]);
    planes.v.copy_from_slice(&[128, 240]);
    let picture = picture.finish(Duration::ZERO);
    let mut rgba = Vec::new();
    picture.to_rgba(&mut rgba);
    assert_eq!(rgba.len(), 32);
    assert!(rgba[..3].iter().all(|c| *c > 250) && rgba[3] == 255);
    assert!(rgba[12] > 240 && rgba[13] < 15 && rgba[14] < 15);
    let mut mirrored = vec![0; 1000];
    picture.to_rgba_mirrored(&mut mirrored);
    assert_eq!((&mirrored[..4], mirrored.len()), (&rgba[12..16], 32));
}
