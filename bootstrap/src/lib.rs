//! The bootstrap node.
