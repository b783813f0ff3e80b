//! Voice to opus packets of 20 ms and back (RFC 6716). A packet comes from a stranger: whatever is in it ends in sound or in an error,
//! never in a panic, and never in more than one frame.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Signal};

use crate::audio::{AudioSettings, FRAME, Frame, SAMPLE_RATE};
use crate::error::MediaError;

/// The largest packet that the standard allows for one frame, in bytes.
pub const MAX_PACKET: usize = 1275;

/// Moderate: the gain above it is small for a voice, the cost is not.
const COMPLEXITY: i32 = 7;

/// The expected loss before anything is known, in percent. Above zero, so that packets carry the copy of the one before.
const FIRST_EXPECTED_LOSS: u8 = 10;

/// Encodes one voice.
#[derive(Debug)]
pub struct OpusEncoder {
    inner: opus::Encoder,
    packet: [u8; MAX_PACKET],
}

impl OpusEncoder {
    /// # Errors
    /// When the library cannot make an encoder.
    pub fn new(settings: AudioSettings) -> Result<Self, MediaError> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip).map_err(codec_error)?;
        inner.set_complexity(COMPLEXITY).map_err(codec_error)?;
        inner.set_signal(Signal::Voice).map_err(codec_error)?;
        inner.set_inband_fec(settings.fec).map_err(codec_error)?;
        inner.set_dtx(settings.dtx).map_err(codec_error)?;
        let mut encoder = Self { inner, packet: [0; MAX_PACKET] };
        encoder.set_bitrate(settings.bitrate_bps)?;
        encoder.set_expected_loss(FIRST_EXPECTED_LOSS)?;
        Ok(encoder)
    }

    /// In bits a second, clamped to 6,000..=128,000.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), MediaError> {
        let bits = bitrate_bps.clamp(6_000, 128_000).try_into().unwrap_or(32_000);
        self.inner.set_bitrate(Bitrate::Bits(bits)).map_err(codec_error)
    }

    /// How many of a hundred packets are thought to be lost on the way: the more, the stronger the copy of the last packet.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), MediaError> {
        self.inner.set_packet_loss_perc(i32::from(percent.min(100))).map_err(codec_error)
    }

    /// Forgets what was said, so that nothing of before a mute colours what follows it.
    pub fn reset(&mut self) -> Result<(), MediaError> {
        self.inner.reset_state().map_err(codec_error)
    }

    /// Encodes 20 ms. Empty where there is nothing to send.
    pub fn encode(&mut self, frame: &Frame) -> Result<Bytes, MediaError> {
        let length = self.inner.encode_float(frame, &mut self.packet).map_err(codec_error)?;
        // Two bytes or fewer are only a header that says "as before".
        let sent = if length <= 2 { 0 } else { length };
        Ok(Bytes::copy_from_slice(self.packet.get(..sent).unwrap_or_default()))
    }
}

/// Decodes one voice.
#[derive(Debug)]
pub struct OpusDecoder {
    inner: opus::Decoder,
}

impl OpusDecoder {
    /// # Errors
    /// When the library cannot make a decoder.
    pub fn new() -> Result<Self, MediaError> {
        Ok(Self { inner: opus::Decoder::new(SAMPLE_RATE, Channels::Mono).map_err(codec_error)? })
    }

    /// Decodes one packet of 20 ms.
    ///
    /// # Errors
    /// A packet that is damaged, too large or of another duration. The frame is then silent.
    pub fn decode(&mut self, packet: &[u8], frame: &mut Frame) -> Result<(), MediaError> {
        frame.fill(0.0);
        check(packet)?;
        self.run(packet, frame, false)
    }

    /// Recovers the packet before `next` from the coarse copy in it. `Ok(false)`: there was no copy, and it was concealed.
    ///
    /// # Errors
    /// As [`OpusDecoder::decode`].
    pub fn recover(&mut self, next: &[u8], frame: &mut Frame) -> Result<bool, MediaError> {
        frame.fill(0.0);
        check(next)?;
        self.run(next, frame, true)?;
        Ok(has_copy_of_the_last(next))
    }

    /// Guesses 20 ms that are lost, fading when much is lost.
    pub fn conceal(&mut self, frame: &mut Frame) -> Result<(), MediaError> {
        frame.fill(0.0);
        self.run(&[], frame, false)
    }

    fn run(&mut self, packet: &[u8], frame: &mut Frame, recover: bool) -> Result<(), MediaError> {
        let decoded = self.inner.decode_float(packet, frame, recover).map_err(codec_error);
        for sample in frame.iter_mut() {
            *sample = if sample.is_finite() && decoded.is_ok() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        match decoded? {
            FRAME => Ok(()),
            other => Err(MediaError::damaged("opus packet", format!("{other} samples, not {FRAME}"))),
        }
    }
}

fn check(packet: &[u8]) -> Result<(), MediaError> {
    if packet.is_empty() || packet.len() > MAX_PACKET {
        return Err(MediaError::damaged("opus packet", format!("{} bytes", packet.len())));
    }
    match opus::packet::get_nb_samples(packet, SAMPLE_RATE).map_err(codec_error)? {
        FRAME => Ok(()),
        other => Err(MediaError::damaged("opus packet", format!("{other} samples, not {FRAME}"))),
    }
}

/// Whether a mono packet of one 20 ms frame carries a copy of the frame before it: RFC 6716, sections 3.1 and 4.2.3.
fn has_copy_of_the_last(packet: &[u8]) -> bool {
    match packet {
        // Configurations 16 and up are CELT, which has no copies. The first bit of SILK says voice, the second says copy.
        [header, first, ..] if header >> 3 < 16 && header & 0b111 == 0 => first >> 6 & 1 == 1,
        _ => false,
    }
}

fn codec_error(error: opus::Error) -> MediaError {
    MediaError::codec("opus", error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::audio::level::rms;
    use crate::audio::source::testing::Voice;
    use proptest::prelude::*;

    fn packets(frames: usize) -> Vec<Bytes> {
        let mut encoder = OpusEncoder::new(AudioSettings::default()).unwrap();
        let mut voice = Voice::default();
        (0..frames).map(|_| encoder.encode(&voice.frame()).unwrap()).collect()
    }

    /// How much of the energy is at one pitch: 1 for a pure tone of it.
    fn share_at(samples: &[f32], hertz: f32) -> f32 {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, s) in samples.iter().enumerate() {
            let angle = i as f32 * hertz * std::f32::consts::TAU / SAMPLE_RATE as f32;
            re += s * angle.cos();
            im += s * angle.sin();
        }
        let energy: f32 = samples.iter().map(|s| s * s).sum();
        2.0 * (re * re + im * im) / (energy * samples.len() as f32)
    }

    #[test]
    fn round_trip_keeps_a_tone() {
        let mut encoder = OpusEncoder::new(AudioSettings { dtx: false, ..AudioSettings::default() }).unwrap();
        let mut decoder = OpusDecoder::new().unwrap();
        let mut heard = Vec::new();
        for n in 0..50 {
            let frame: Frame =
                std::array::from_fn(|i| 0.5 * ((n * FRAME + i) as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin());
            let packet = encoder.encode(&frame).unwrap();
            assert!(packet.len() < 200, "32 kb/s is 80 bytes a packet on average");
            let mut out = [0.0; FRAME];
            decoder.decode(&packet, &mut out).unwrap();
            heard.extend(out);
        }
        let settled = &heard[9600..];
        assert!(share_at(settled, 440.0) > 0.95, "{}", share_at(settled, 440.0));
        assert!((rms(settled) - 0.354).abs() < 0.05, "{}", rms(settled));
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_next() {
        let mut encoder = OpusEncoder::new(AudioSettings { bitrate_bps: 24_000, dtx: false, fec: true }).unwrap();
        encoder.set_expected_loss(20).unwrap();
        let mut voice = Voice::default();
        let frames: Vec<Frame> = (0..100).map(|_| voice.frame()).collect();
        let packets: Vec<Bytes> = frames.iter().map(|f| encoder.encode(f).unwrap()).collect();
        let (mut whole, mut fec, mut plc) =
            (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
        let (mut fec_error, mut plc_error, mut copies) = (0.0, 0.0, 0);
        let (mut truth, mut a, mut b) = ([0.0; FRAME], [0.0; FRAME], [0.0; FRAME]);
        for n in 0..packets.len() - 1 {
            whole.decode(&packets[n], &mut truth).unwrap();
            if n % 5 == 4 {
                copies += u32::from(fec.recover(&packets[n + 1], &mut a).unwrap());
                plc.conceal(&mut b).unwrap();
                fec_error += truth.iter().zip(&a).map(|(t, x)| (t - x).powi(2)).sum::<f32>();
                plc_error += truth.iter().zip(&b).map(|(t, x)| (t - x).powi(2)).sum::<f32>();
            } else {
                fec.decode(&packets[n], &mut a).unwrap();
                plc.decode(&packets[n], &mut b).unwrap();
            }
        }
        assert!(copies >= 15, "{copies} of 19 lost packets had a copy");
        assert!(fec_error < plc_error * 0.5, "recovery {fec_error} must be closer than a guess {plc_error}");
    }

    #[test]
    fn silence_is_left_out() {
        let mut encoder = OpusEncoder::new(AudioSettings::default()).unwrap();
        let sent = (0..100).filter(|_| !encoder.encode(&[0.0; FRAME]).unwrap().is_empty()).count();
        assert!(sent < 30, "{sent} of 100 packets of silence sent");
    }

    #[test]
    fn other_durations_are_refused() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = [1.0; FRAME];
        // Three frames of 20 ms in one packet.
        assert!(decoder.decode(&[0b0000_1011, 3, 0, 0, 0], &mut out).is_err());
        assert!(decoder.decode(&[], &mut out).is_err());
        assert!(decoder.decode(&vec![0x78; 5000], &mut out).is_err());
        assert_eq!(rms(&out), 0.0);
    }

    proptest! {
        #[test]
        fn whatever_arrives_ends_in_bounded_sound(packet in prop::collection::vec(any::<u8>(), 0..1500), recover in any::<bool>()) {
            let mut decoder = OpusDecoder::new().unwrap();
            let mut out = [0.0; FRAME];
            let _ = if recover { decoder.recover(&packet, &mut out).map(|_| ()) } else { decoder.decode(&packet, &mut out) };
            prop_assert!(out.iter().all(|s| s.is_finite()));
            prop_assert!(decoder.conceal(&mut out).is_ok());
        }

        #[test]
        fn a_damaged_packet_ends_in_sound_or_an_error(at in 0usize..5, byte in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>()) {
            let packets = packets(6);
            let mut packet = packets[at].to_vec();
            let i = byte.index(packet.len());
            packet[i] ^= 1 << bit;
            packet.truncate(cut.index(packet.len()) + 1);
            let mut decoder = OpusDecoder::new().unwrap();
            let mut out = [0.0; FRAME];
            let _ = decoder.decode(&packet, &mut out);
            prop_assert!(out.iter().all(|s| s.is_finite()));
        }
    }
}
