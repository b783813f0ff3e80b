//! Capture, codecs and playback, on OS threads. It knows nothing of the network, of rooms or of people.
//!
//! A [`picture::Picture`] or a block of samples enters by a source, leaves encoded through a callback, and on the other side comes
//! back as encoded bytes that end in a [`picture::PictureSlot`] or in a sink.
//!
//! - [`device`]: the names of sources and sinks, one grammar for people and scripts, and what is there to choose from.
//! - [`source`]: cameras, screens, files and the [`testcard`], behind one trait.
//! - [`audio`]: microphones, speakers and voices: [`audio::AudioSender`], [`audio::Playout`].
//! - [`codec`]: H.264 for cameras, VP9 for screens.
//! - [`record`]: what is received, to files.
//! - [`memory`]: what a program that shows pictures tells its allocator.
//! - [`video`]: the threads that join them: [`video::VideoSender`], [`video::VideoReceiver`], [`video::VideoPreview`].

pub mod audio;
pub mod clock;
pub mod codec;
pub mod device;
pub mod error;
pub mod memory;
pub mod picture;
pub mod record;
mod scale;
pub mod source;
pub mod testcard;
pub mod video;
