//! The family `files/`: what a transfer costs, beside other programs.

use super::Target;

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("files/wall_vs_sendme", 0.75, "ratio"),
    Target::at_most("files/wall_vs_libtorrent", 1.0, "ratio"),
    Target::at_most("files/cpu_vs_libtorrent", 0.75, "ratio"),
    Target::at_most("files/cpu_vs_sendme", 0.60, "ratio"),
    Target::at_most("files/swarm_vs_optimum", 1.10, "ratio"),
    Target::at_most("files/swarm_vs_libtorrent", 0.80, "ratio"),
    Target::at_most("files/seeder_bytes", 1.10, "× file"),
    Target::at_most("files/rss_mib_1g", 96.0, "MiB"),
    Target::at_most("files/rss_mib_100g", 96.0, "MiB"),
    Target::at_most("files/resume_refetched_mib", 64.0, "MiB"),
    Target::at_most("files/resume_ms", 2000.0, "ms"),
    Target::at_least("files/rtt40_vs_request_response", 4.0, "×"),
    Target::at_most("files/small_files", 2.0, "ratio"),
    Target::at_most("files/voice_latency_during", 1.30, "ratio"),
];
