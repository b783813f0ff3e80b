use std::time::Duration;

use conclave_protocol::id::DeviceId;
use conclave_protocol::media::quality::{Measured, Quality, QualityMeter};
use conclave_protocol::media::speaker::{ActiveSpeaker, Speech, TAKES_AFTER};
use proptest::prelude::*;

use crate::support::ms;

const ADA: DeviceId = DeviceId([1; 32]);
const BEN: DeviceId = DeviceId([2; 32]);

/// Packets every 20 ms from `from` to `to`, of a level by the millisecond; `None` is silence, in which none comes.
fn talk(speaker: &mut ActiveSpeaker, from: u64, to: u64, level: impl Fn(DeviceId, u64) -> Option<u8>) -> Vec<(u64, DeviceId)> {
    let mut changes = Vec::new();
    for at in (from..to).step_by(20) {
        for device in [ADA, BEN] {
            if let Some(level) = level(device, at) {
                speaker.handle_level(device, level, ms(at));
            }
        }
        let before = speaker.current();
        speaker.handle_timeout(ms(at));
        if speaker.current() != before {
            changes.extend(speaker.current().map(|device| (at, device)));
        }
    }
    changes
}

#[test]
fn the_ring_comes_at_once_and_the_large_picture_after_about_a_second() {
    let mut speaker = ActiveSpeaker::new();
    assert_eq!(talk(&mut speaker, 0, 2_000, |who, _| (who == ADA).then_some(25)), vec![(0, ADA)]);
    let mut rings = Vec::new();
    let mut changes = Vec::new();
    for at in (2_000..5_000).step_by(20) {
        changes.extend(talk(&mut speaker, at, at + 20, |who, _| (who == BEN).then_some(25)));
        rings.push((at, speaker.speaking(ms(at)).collect::<Vec<_>>()));
    }
    assert!(rings[0].1.contains(&BEN), "at once");
    let [(at, BEN)] = changes[..] else { panic!("{changes:?}") };
    assert!((2_800..3_300).contains(&at), "after {} ms", at - 2_000);
    assert!(rings.iter().rev().take(10).all(|(_, who)| who == &[BEN]));
}

#[test]
fn a_cough_and_a_slamming_door_take_nobodys_place() {
    let mut speaker = ActiveSpeaker::new();
    let level = |who: DeviceId, at: u64| match who {
        ADA => Some(28),
        _ => [500..700, 2_000..2_300, 6_000..6_600].iter().any(|loud| loud.contains(&at)).then_some(2),
    };
    assert_eq!(talk(&mut speaker, 0, 10_000, level), vec![(0, ADA)]);
}

#[test]
fn who_speaks_on_keeps_the_picture_until_the_other_is_clearly_louder() {
    let mut speaker = ActiveSpeaker::new();
    assert_eq!(talk(&mut speaker, 0, 6_000, |who, _| Some(if who == ADA { 28 } else { 26 })).len(), 1, "two dB are nothing");
    let first = speaker.current().unwrap();
    let changes = talk(&mut speaker, 6_000, 9_000, |who, _| Some(if who == first { 32 } else { 18 }));
    assert_eq!(changes.len(), 1);
    assert_ne!(changes[0].1, first);
}

#[test]
fn pauses_for_breath_do_not_end_a_turn_and_a_quiet_room_is_no_speech() {
    let mut voice = Speech::default();
    for at in (0..3_000u64).step_by(20) {
        if at % 600 < 350 {
            voice.handle_level(24, ms(at));
        }
        assert!(voice.is_speaking(ms(at)), "{at}");
    }
    assert!(voice.speaking_for(ms(2_980)) > Duration::from_millis(2_600));
    assert!(!voice.is_speaking(ms(4_000)));
    let mut hum = Speech::default();
    (0..500u64).for_each(|n| hum.handle_level(60, ms(n * 20)));
    assert!(!hum.is_speaking(ms(9_980)));
}

#[test]
fn somebody_who_is_gone_is_forgotten_and_strangers_are_bounded() {
    let mut speaker = ActiveSpeaker::new();
    talk(&mut speaker, 0, 1_000, |who, _| (who == ADA).then_some(20));
    speaker.forget(&ADA);
    assert_eq!((speaker.current(), speaker.speaking(ms(1_000)).count()), (None, 0));
    for n in 0..=255 {
        speaker.handle_level(DeviceId([n; 32]), 10, ms(1_000));
    }
    assert_eq!(speaker.speaking(ms(1_000)).count(), 64);
}

proptest! {
    #[test]
    fn any_levels_at_any_times_name_at_most_one_of_those_who_were_heard(steps in prop::collection::vec((any::<bool>(), any::<u8>(), 0u64..3_000), 0..200)) {
        let mut speaker = ActiveSpeaker::new();
        for (who, level, at) in steps {
            speaker.handle_level(if who { ADA } else { BEN }, level, ms(at));
            speaker.handle_timeout(ms(at));
            prop_assert!(speaker.current().is_none_or(|who| who == ADA || who == BEN));
        }
    }
}

#[test]
fn a_path_is_called_worse_at_once_and_better_after_a_while() {
    let mut meter = QualityMeter::new();
    let fine = Measured { rtt: Some(ms(30)), ..Measured::default() };
    let poor = Measured { concealed: 0.2, ..fine };
    assert_eq!(meter.handle_measured(fine, ms(0)), Quality::Excellent);
    assert_eq!(meter.handle_measured(poor, ms(1_000)), Quality::Poor);
    for at in 2..6 {
        assert_eq!(meter.handle_measured(fine, ms(at * 1_000)), Quality::Poor, "{at}");
    }
    assert_eq!(meter.handle_measured(fine, ms(6_000)), Quality::Excellent);
    assert_eq!(meter.handle_measured(Measured { down: true, ..fine }, ms(7_000)), Quality::Lost);
    let slow = Measured { rtt: Some(ms(300)), ..fine };
    assert_eq!(QualityMeter::new().handle_measured(slow, ms(0)), Quality::Good);
    assert!(TAKES_AFTER < ms(1_500));
}
