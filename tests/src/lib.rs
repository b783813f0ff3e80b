//! The harness: real peers as child processes, LANs made of network namespaces, a sound server and a display of their own.
//!
//! It looks at the project from outside. Nothing here may be used by the node or the app.

pub mod display;
pub mod lan;
pub mod peer;
pub mod process;
pub mod sound;
