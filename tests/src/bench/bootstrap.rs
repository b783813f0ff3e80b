//! The family `bootstrap/`: a team's node under load.

use super::Target;

pub(super) const TARGETS: &[Target] = &[
    Target::at_most("bootstrap/idle_kib_per_peer", 100.0, "KiB"),
    Target::at_least("bootstrap/verify_per_s", 10000.0, "/s/core"),
    Target::at_most("bootstrap/turn_vs_coturn", 2.0, "ratio"),
    Target::at_least("bootstrap/logins_per_s", 200.0, "/s"),
    Target::at_most("bootstrap/start_ms_10k_users", 1000.0, "ms"),
];
