//! Capture, codecs and playback, on OS threads. It knows nothing of the network, of rooms or of people.
//!
//! A [`picture::Picture`] or a block of samples enters by a source, leaves encoded through a callback, and on the other side comes
//! back as encoded bytes that end in a [`picture::PictureSlot`] or in a sink.

pub mod picture;
