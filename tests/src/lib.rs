//! The harness: real peers as child processes, LANs made of network namespaces, a sound server and a display of their own.
//!
//! It looks at the project from outside. Nothing here may be used by the node or the app.

pub mod bench;
pub mod clicks;
pub mod display;
pub mod files;
pub mod internet;
pub mod lan;
pub mod meeting;
pub mod painter;
pub mod peer;
pub mod probe;
pub mod process;
pub mod shot;
pub mod sound;
pub mod window;
pub mod wire;
