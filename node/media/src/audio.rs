//! Sound from a source to opus packets and from opus packets to a sink, on OS threads. It never encodes or decodes in a device's
//! callback and never lets one stalled device stall the rest.
//!
//! All sound inside is 48 kHz mono `f32`. A source hands over blocks of 10 ms, an opus frame is 20 ms. A device that speaks another
//! rate or more channels is converted at the edge.

pub mod chime;
pub mod device;
pub mod level;
pub mod mix;
pub mod playout;
pub mod processing;
pub mod resample;
mod ring;
pub mod sender;
pub mod sink;
pub mod source;
pub mod spec;
pub mod trial;
pub mod wav;

use std::time::Duration;

use bytes::Bytes;

pub use self::chime::Chime;
pub use self::playout::{AudioFeed, FeedItem, Playout, PlayoutCounters, StreamMeter};
pub use self::processing::{EchoReference, SoundProcessing};
pub use self::sender::AudioSender;
pub use self::sink::AudioSink;
pub use self::source::{AudioSource, Heard};

/// Samples in a second.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in a block of 10 ms, the unit of sources.
pub const BLOCK: usize = 480;
/// Samples in a frame of 20 ms, the unit of opus packets and of sinks.
pub const FRAME: usize = 960;
/// How long a block lasts.
pub const BLOCK_TIME: Duration = Duration::from_millis(10);
/// How long a frame lasts.
pub const FRAME_TIME: Duration = Duration::from_millis(20);

/// 10 ms of sound.
pub type Block = [f32; BLOCK];
/// 20 ms of sound.
pub type Frame = [f32; FRAME];

/// 20 ms of sound, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAudio {
    /// One opus packet of at most 1,275 bytes; empty where discontinuous transmission leaves nothing to send.
    pub data: Bytes,
    /// When its first sample was heard, on the media clock. From one packet to the next it grows by a multiple of 20 ms.
    pub at: Duration,
    /// The loudness as RFC 6464 has it: 0 is as loud as can be, 127 is silence, in −dBov.
    pub level: u8,
}

/// How a voice is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSettings {
    /// Aimed at, in bits a second; clamped to 6,000..=128,000.
    pub bitrate_bps: u32,
    /// Does each packet carry a coarse copy of the one before (in-band forward error correction)?
    pub fec: bool,
    /// Is silence left out of what is sent (discontinuous transmission)?
    pub dtx: bool,
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self { bitrate_bps: 32_000, fec: true, dtx: true }
    }
}
