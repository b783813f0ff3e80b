//! SFrame: published vectors, no pair of key and counter twice, nothing opened that is not what was sealed by whom it is said to be.

use std::collections::BTreeSet;
use std::time::Duration;

use conclave_protocol::id::{DeviceId, SessionId};
use conclave_protocol::media::frame_cipher::{BASE_KEY_LEN, FrameKeys, MAX_OVERHEAD, Meta, OpenError, SealError, key_id};
use conclave_protocol::session::Epoch;
use proptest::prelude::*;
use sframe::CipherSuite;
use sframe::frame::{EncryptedFrameView, MediaFrame, MonotonicCounter};
use sframe::header::SframeHeader;
use sframe::key::{DecryptionKey, EncryptionKey};
use zeroize::Zeroizing;

const CAMERA: Meta = Meta::Video { stream: 0, codec: 0, keyframe: false };
const SCREEN: Meta = Meta::Video { stream: 1, codec: 1, keyframe: false };
const VOICE: Meta = Meta::Audio { level: 30 };

fn device(index: u8) -> DeviceId {
    DeviceId([index; 32])
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An epoch of the people 0, 1, … in this order of leaves, whose keys are sent under from `send_from` on.
fn epoch(session: u8, number: u64, people: &[u8], send_from: Duration) -> Epoch {
    let secret = vec![session ^ number as u8; BASE_KEY_LEN];
    Epoch {
        session: SessionId([session; 32]),
        epoch: number,
        writer: device(0),
        roster: people.iter().enumerate().map(|(leaf, person)| (leaf as u32, device(*person))).collect(),
        authenticator: Zeroizing::new(vec![0; 32]),
        exports: vec![Zeroizing::new(secret)],
        send_from,
        accept_until: None,
    }
}

fn keys(me: u8, epochs: &[Epoch]) -> FrameKeys {
    let mut keys = FrameKeys::new(device(me));
    keys.set_epochs(epochs, 0, |time| time);
    keys
}

fn kid_and_counter(sealed: &[u8]) -> (u64, u64) {
    let header = SframeHeader::deserialize(sealed).unwrap();
    (header.key_id(), header.counter())
}

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// RFC 9605, appendix C.3, cipher suite 4.
#[test]
fn the_published_vector_of_suite_4_comes_out() {
    let base = bytes("000102030405060708090a0b0c0d0e0f");
    let (meta, plain) = (bytes("4945544620534672616d65205747"), bytes("64726166742d696574662d736672616d652d656e63"));
    let published = bytes("9901234567b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb");
    let seal = EncryptionKey::derive_from(CipherSuite::AesGcm128Sha256, 0x123_u64, &base).unwrap();
    let mut counter = MonotonicCounter::with_start_value(0x4567, u64::MAX);
    let frame = MediaFrame::try_with_meta_data(&mut counter, &plain, &meta).unwrap().encrypt(&seal).unwrap();
    assert_eq!(frame.sframe_cipher_text(), published);
    let open = DecryptionKey::derive_from(CipherSuite::AesGcm128Sha256, 0x123_u64, &base).unwrap();
    let opened = EncryptedFrameView::try_with_meta_data(&published, &meta).unwrap().decrypt(&open).unwrap();
    assert_eq!(opened.payload(), plain);
}

#[test]
fn a_key_id_is_session_leaf_and_epoch() {
    let mut id = [0; 32];
    id[..3].copy_from_slice(&[0xab, 0xcd, 0xef]);
    assert_eq!(key_id(&SessionId(id), 0x1_02, 3), Some(0xabcd << 18 | 3 << 8 | 2));
    assert_eq!(key_id(&SessionId(id), 0, 1 << 10), None, "no such leaf");
}

#[test]
fn no_key_and_counter_pair_repeats_across_tracks_and_encoder_restarts() {
    let first = epoch(1, 0, &[0, 1], ms(0));
    let second = epoch(1, 1, &[0, 1, 2], ms(1_000));
    let other_session = epoch(2, 0, &[1, 0], ms(5_000));
    let mut sender = keys(0, std::slice::from_ref(&first));
    let mut seen = BTreeSet::new();
    let mut send = |sender: &mut FrameKeys, now: u64| {
        for meta in [VOICE, CAMERA, SCREEN, VOICE] {
            assert!(seen.insert(kid_and_counter(&sender.seal(b"frame", meta, ms(now)).unwrap())), "at {now} ms");
        }
    };
    // Calls, cameras and encoders come and go: all they have is this one set of keys.
    for round in 0..50 {
        send(&mut sender, round);
        // Told again what it knows: the counter goes on.
        sender.set_epochs(std::slice::from_ref(&first), 0, |time| time);
    }
    for round in 0..50 {
        // While the new epoch is not everyone's yet, the old one goes on under its own counter.
        sender.set_epochs(&[first.clone(), second.clone()], 0, |time| time);
        send(&mut sender, 500 + round * 20);
    }
    sender.set_epochs(&[second, other_session], 0, |time| time);
    for round in 0..50 {
        send(&mut sender, 4_000 + round * 40);
    }
}

#[test]
fn the_switch_waits_for_everyone_and_what_is_over_is_not_opened() {
    let first = epoch(1, 0, &[0, 1], ms(0));
    let second = epoch(1, 1, &[0, 1, 2], ms(500));
    let (mut ada, mut ben) = (keys(0, &[first.clone(), second.clone()]), keys(1, std::slice::from_ref(&first)));
    let before = ada.seal(b"before", CAMERA, ms(499)).unwrap();
    let after = ada.seal(b"after", CAMERA, ms(500)).unwrap();
    assert_eq!(ben.open(&device(0), &before, CAMERA).unwrap(), b"before");
    assert_eq!(ben.open(&device(0), &after, CAMERA), Err(OpenError::UnknownKey));
    ben.set_epochs(&[first.clone(), second.clone()], 0, |time| time);
    assert_eq!(ben.open(&device(0), &after, CAMERA).unwrap(), b"after");
    let late = ada.seal(b"late", CAMERA, ms(0)).unwrap();
    ben.set_epochs(&[second], 0, |time| time);
    assert_eq!(ben.open(&device(0), &late, CAMERA), Err(OpenError::UnknownKey), "the epoch is over");
}

#[test]
fn nothing_leaves_without_a_key() {
    let mut nobody = FrameKeys::new(device(0));
    assert_eq!(nobody.seal(b"frame", VOICE, ms(0)), Err(SealError::NoKey));
    let mut outsider = keys(9, &[epoch(1, 0, &[0, 1], ms(0))]);
    assert_eq!(outsider.seal(b"frame", VOICE, ms(0)), Err(SealError::NoKey));
    assert!(outsider.is_empty());
}

#[test]
fn a_frame_is_opened_once_and_only_as_what_it_was_and_from_whom() {
    let now = epoch(1, 7, &[0, 1, 2], ms(0));
    let (mut ada, mut ben) = (keys(0, std::slice::from_ref(&now)), keys(1, std::slice::from_ref(&now)));
    let sealed = ada.seal(b"a picture", CAMERA, ms(0)).unwrap();
    assert!(sealed.len() <= b"a picture".len() + MAX_OVERHEAD);
    assert_eq!(ben.open(&device(2), &sealed, CAMERA), Err(OpenError::WrongSender));
    assert_eq!(ben.open(&device(0), &sealed, SCREEN), Err(OpenError::Forged), "of another stream");
    assert_eq!(ben.open(&device(0), &sealed, Meta::Video { stream: 0, codec: 0, keyframe: true }), Err(OpenError::Forged));
    assert_eq!(ben.open(&device(0), &sealed, CAMERA).unwrap(), b"a picture");
    assert_eq!(ben.open(&device(0), &sealed, CAMERA), Err(OpenError::Replayed));
}

#[test]
fn frames_that_come_out_of_order_are_opened_and_those_of_long_ago_are_not() {
    let now = epoch(1, 0, &[0, 1], ms(0));
    let (mut ada, mut ben) = (keys(0, std::slice::from_ref(&now)), keys(1, std::slice::from_ref(&now)));
    let sealed: Vec<Vec<u8>> = (0..5_000).map(|_| ada.seal(b"x", VOICE, ms(0)).unwrap()).collect();
    let mut open = |index: usize| ben.open(&device(0), &sealed[index], VOICE);
    assert!(open(10).is_ok() && open(3).is_ok() && open(9).is_ok());
    assert_eq!(open(3), Err(OpenError::Replayed));
    assert!(open(2_050).is_ok() && open(4).is_ok());
    assert_eq!(open(2), Err(OpenError::Replayed), "beyond the window");
    assert!(open(4_999).is_ok());
    for index in [10, 2_050, 2_951] {
        assert_eq!(open(index), Err(OpenError::Replayed), "{index}");
    }
    for index in [2_952, 4_998] {
        assert!(open(index).is_ok(), "{index}");
        assert_eq!(open(index), Err(OpenError::Replayed), "{index}");
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_and_any_truncation_is_refused(bit in 0_usize..400, length in 0_usize..50) {
        let now = epoch(1, 0, &[0, 1], ms(0));
        let (mut ada, mut ben) = (keys(0, std::slice::from_ref(&now)), keys(1, std::slice::from_ref(&now)));
        let sealed = ada.seal(b"fifteen letters", VOICE, ms(0)).unwrap();
        let mut flipped = sealed.clone();
        let bit = bit % (flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(ben.open(&device(0), &flipped, VOICE).is_err());
        prop_assert!(ben.open(&device(0), &sealed[..length.min(sealed.len() - 1)], VOICE).is_err());
        prop_assert!(ben.open(&device(0), &sealed, VOICE).is_ok(), "and what was refused has spoilt nothing");
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut ben = keys(1, &[epoch(1, 0, &[0, 1], ms(0))]);
        prop_assert!(ben.open(&device(0), &bytes, VOICE).is_err());
    }
}
