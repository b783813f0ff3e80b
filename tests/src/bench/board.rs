//! The family `board/`: the whiteboard, beside other CRDTs where that says something.

use super::frame::board_frame_ms;
use super::{Rounds, Target};

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("board/bytes_per_stroke", 150.0, "B"),
    Target::at_most("board/load_ms", 150.0, "ms"),
    Target::at_most("board/load_vs_yrs", 1.5, "ratio"),
    Target::at_most("board/remote_batch20_ms", 6.0, "ms"),
    Target::at_most("board/join_mb", 2.0, "MiB"),
    Target::at_most("board/join_ms", 400.0, "ms"),
    Target::at_most("board/diverged_kb", 300.0, "KB"),
    Target::at_most("board/rss_mib", 40.0, "MiB"),
    Target::at_most("board/frame_ms_10k", 8.0, "ms CPU"),
    Target::at_most("board/frame_ms_100k", 4.0, "ms CPU"),
    Target::at_most("board/stroke_visible_ms", 60.0, "ms"),
    Target::at_most("board/hostile_escaped", 0.0, "count"),
];

pub(super) fn run(rounds: &mut Rounds) {
    for _ in 0..rounds.count {
        rounds.add(["board/frame_ms_10k"], board_frame_ms(10_000, 10_000).map(|frame| [frame]));
        rounds.add(["board/frame_ms_100k"], board_frame_ms(100_000, 500).map(|frame| [frame]));
    }
}
