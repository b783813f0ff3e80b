//! The family `reach/`: through NATs.

use super::Target;

pub(super) const TARGETS: &[Target] = &[Target::at_most("reach/direct_ms", 3000.0, "ms")];
