//! Capture, codecs and streams as their users meet them: through the public interface, with the real codecs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "media/codecs.rs"]
mod codecs;
#[path = "media/echo.rs"]
mod echo;
#[path = "media/parsers.rs"]
mod parsers;
#[path = "media/processing.rs"]
mod processing;
#[cfg(target_os = "linux")]
#[path = "media/screen.rs"]
mod screen;
#[cfg(target_os = "linux")]
#[path = "media/sound.rs"]
mod sound;
#[path = "media/speed.rs"]
mod speed;
#[path = "media/streams.rs"]
mod streams;
