use conclave_protocol::media::pacing::{Content, Ladder, Share};
use proptest::prelude::*;

use crate::support::ms;

/// The rung after a budget for so many milliseconds, told every 200 ms.
fn after(ladder: &mut Ladder, bps: u32, from: u64, millis: u64) -> (u32, u32) {
    for at in (from..from + millis).step_by(200) {
        ladder.handle_budget(bps, ms(at));
    }
    (ladder.rung().max_height, ladder.rung().fps)
}

#[test]
fn a_camera_gives_up_size_at_once_and_takes_it_back_step_by_step() {
    let mut ladder = Ladder::new(Content::Motion);
    assert_eq!(after(&mut ladder, 1_200_000, 0, 1_000), (720, 30));
    assert_eq!(after(&mut ladder, 375_000, 1_000, 200), (480, 30), "at once");
    assert_eq!(after(&mut ladder, 80_000, 1_200, 200), (180, 15));
    assert_eq!(after(&mut ladder, 40_000, 1_400, 200), (180, 10), "still a face");
    assert_eq!(after(&mut ladder, 20_000, 1_600, 200).1, 0, "nothing: the voice needs it");
    assert_eq!(after(&mut ladder, 1_200_000, 2_000, 1_200).1, 0, "not on the first good word");
    assert_eq!(after(&mut ladder, 1_200_000, 3_200, 800), (180, 10));
    let (height, fps) = after(&mut ladder, 1_200_000, 4_000, 5_000);
    assert_eq!((height, fps), (720, 30), "back within ten seconds");
}

#[test]
fn writing_stays_sharp_and_gives_up_movement() {
    let mut ladder = Ladder::new(Content::Text);
    for (bps, fps) in [(2_000_000, 15), (400_000, 8), (250_000, 4), (120_000, 2)] {
        assert_eq!(after(&mut ladder, bps, 0, 200), (1080, fps));
    }
}

#[test]
fn a_share_is_never_more_than_was_chosen_and_gives_way_below_it() {
    let mut ladder = Ladder::within(Share { content: Content::Text, fps: 5, height: 720 });
    assert_eq!(after(&mut ladder, 2_000_000, 0, 200), (720, 5));
    assert_eq!(after(&mut ladder, 250_000, 200, 200), (720, 4));
    let mut ladder = Ladder::within(Share { content: Content::Motion, fps: 60, height: 4_000 });
    assert_eq!(after(&mut ladder, 2_000_000, 0, 200), (720, 30));
}

#[test]
fn a_path_that_wavers_does_not_make_the_picture_waver() {
    let mut ladder = Ladder::new(Content::Motion);
    ladder.handle_budget(330_000, ms(0));
    let mut seen = Vec::new();
    for n in 0..200u64 {
        ladder.handle_budget(if n % 2 == 0 { 600_000 } else { 700_000 }, ms(n * 200));
        seen.push(ladder.rung().max_height);
    }
    assert!(seen.iter().all(|height| *height == 480), "{seen:?}");
}

#[test]
fn an_overloaded_machine_lowers_its_own_load_and_tries_again_later() {
    let mut ladder = Ladder::new(Content::Motion);
    for at in (0..3_000).step_by(200) {
        ladder.handle_load(0.95, ms(at));
    }
    assert!(ladder.rung().max_height < 720);
    for at in (3_000..60_000).step_by(200) {
        ladder.handle_load(2.0, ms(at));
    }
    assert!(ladder.rung().fps > 0, "a small picture goes on");
    for at in (60_000..69_000).step_by(200) {
        ladder.handle_load(0.1, ms(at));
    }
    let low = ladder.rung().max_height;
    for at in (69_000..130_000).step_by(200) {
        ladder.handle_load(0.1, ms(at));
    }
    assert!(low < 720 && ladder.rung().max_height == 720);
}

proptest! {
    #[test]
    fn what_is_sent_always_fits_the_path(budgets in prop::collection::vec((0u32..3_000_000, 0.0f32..3.0), 1..200), text in any::<bool>()) {
        let mut ladder = Ladder::new(if text { Content::Text } else { Content::Motion });
        for (n, (bps, busy)) in budgets.into_iter().enumerate() {
            ladder.handle_budget(bps, ms(n as u64 * 200));
            ladder.handle_load(busy, ms(n as u64 * 200));
            prop_assert!(ladder.rung().least_bps <= bps);
        }
    }
}
