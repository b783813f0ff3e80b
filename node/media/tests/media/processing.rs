//! What is done to a microphone, with a loudspeaker, a room and two voices made of numbers: the same each time, and faster than the
//! clock. `--nocapture` shows the figures.

use conclave_media::audio::level::rms;
use conclave_media::audio::processing::{Processor, REFERENCE};
use conclave_media::audio::{BLOCK, Block, EchoReference, FRAME, SAMPLE_RATE, SoundProcessing};

use crate::echo::{self, decibels, intelligibility, share};

const RATE: usize = SAMPLE_RATE as usize;

/// Noise, the same for the same seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1u64 << 24) as f32) * 2.0 - 1.0
    }
}

/// Something like speech: a buzz and a hiss through three resonances that move, in syllables with pauses.
fn babble(seed: u64, pitch: f32, seconds: usize) -> Vec<f32> {
    let mut noise = Noise(seed);
    let mut out = vec![0.0f32; seconds * RATE];
    let (mut at, mut phase) = (0, 0.0f32);
    while at < out.len() {
        let length = (RATE as f32 * (0.12 + 0.12 * (noise.next() + 1.0))) as usize;
        let pause = if noise.next() > 0.6 { RATE / 3 } else { RATE / 50 };
        let formants = [450.0 + 250.0 * noise.next(), 1_500.0 + 600.0 * noise.next(), 2_600.0 + 400.0 * noise.next()];
        let pitch = pitch * (1.0 + 0.12 * noise.next());
        let mut state = [[0.0f32; 2]; 3];
        for i in 0..length.min(out.len() - at) {
            phase = (phase + pitch / RATE as f32).fract();
            let drive = if phase < 0.05 { 1.0 } else { 0.0 } + 0.03 * noise.next();
            let mut sum = 0.0;
            for (formant, memory) in formants.iter().zip(&mut state) {
                let turn = formant / RATE as f32 * std::f32::consts::TAU;
                let radius = 0.99f32;
                let next = drive + 2.0 * radius * turn.cos() * memory[0] - radius * radius * memory[1];
                *memory = [next, memory[0]];
                sum += next * (1.0 - radius);
            }
            let shape = (std::f32::consts::PI * i as f32 / length as f32).sin();
            out[at + i] = sum * shape;
        }
        at += length + pause;
    }
    let loud = rms(&out);
    out.iter_mut().for_each(|sample| *sample *= 0.08 / loud);
    out
}

/// What of the loudspeaker comes back to the microphone: after 37 ms, with a decaying tail of 60 ms.
fn room(played: &[f32]) -> Vec<f32> {
    let mut noise = Noise(7);
    let taps: Vec<(usize, f32)> = (0..60)
        .map(|n| (RATE * 37 / 1000 + n * 48, if n == 0 { 0.6 } else { 0.25 * noise.next() * (-(n as f32) / 15.0).exp() }))
        .collect();
    let mut heard = vec![0.0; played.len()];
    for (delay, gain) in taps {
        for (slot, sample) in heard[delay..].iter_mut().zip(played) {
            *slot += sample * gain;
        }
    }
    heard
}

/// Plays and listens as the two threads do: two blocks are played, then two are heard.
fn run(played: &[f32], mic: &[f32], wanted: SoundProcessing) -> Vec<f32> {
    let reference = EchoReference::default();
    let mut processor = Processor::new(reference.clone(), wanted);
    let mut out = Vec::new();
    for (played, mic) in played.chunks_exact(2 * BLOCK).zip(mic.chunks_exact(2 * BLOCK)) {
        reference.push(played.try_into().unwrap());
        for block in mic.chunks_exact(BLOCK) {
            let mut block: Block = block.try_into().unwrap();
            processor.process(&mut block);
            out.extend(block);
        }
    }
    out
}

fn mixed(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// How many samples the chain holds back.
fn chain_delay(wanted: SoundProcessing) -> usize {
    let near = babble(3, 180.0, 3);
    let out = run(&vec![0.0; near.len()], &near, wanted);
    echo::lag(&near, &out)
}

#[test]
fn echo_goes_while_both_talk_and_the_near_voice_stays() {
    let (far, near) = (babble(1, 110.0, 24), babble(2, 210.0, 24));
    let echo = room(&far);
    let mic = mixed(&near, &echo);
    let wanted = SoundProcessing::default();
    let delay = chain_delay(wanted);
    let out = run(&far, &mic, wanted);
    // From the sixth second on: what the canceller needs to learn the room is heard once a call.
    let from = 6 * RATE;
    let (out, mic) = (&out[from + delay..], &mic[from..from + out.len() - from - delay]);
    let (near, echo, far) = (&near[from..from + out.len()], &echo[from..from + out.len()], &far[from..from + out.len()]);
    let voice = share(near, out) / share(near, mic);
    let removed = decibels(share(echo, mic) / share(echo, out) * voice);
    let (before, after) = (intelligibility(near, mic), intelligibility(near, out));
    println!(
        "both talk: {removed:.1} dB of echo removed, voice {:+.1} dB; intelligibility {before:.2} -> {after:.2}",
        decibels(voice)
    );
    assert!(share(echo, mic) > share(near, mic) * 0.2, "there was no echo to remove");
    assert!(rms(far) > 0.0 && removed >= 30.0, "{removed:.1} dB");
    // Babble is harder to follow than speech, and half of it is talked over here; the test with a sound server has speech.
    assert!(after > 0.55 && after > before - 0.15, "{before:.2} -> {after:.2}");
}

#[test]
fn an_echo_alone_is_not_heard() {
    let far = babble(1, 110.0, 12);
    let echo = room(&far);
    let out = run(&far, &echo, SoundProcessing::default());
    let tail = 5 * RATE..out.len();
    let removed = decibels((f64::from(rms(&echo[tail.clone()])) / f64::from(rms(&out[tail]))).powi(2));
    println!("one talks: {removed:.1} dB of echo removed");
    assert!(removed > 35.0, "{removed:.1} dB");
}

#[test]
fn steady_noise_is_turned_down_and_a_quiet_voice_up() {
    let mut noise = Noise(9);
    let hiss: Vec<f32> = (0..12 * RATE).map(|_| noise.next() * 0.01).collect();
    let quiet = vec![0.0; hiss.len()];
    let wanted = SoundProcessing { noise: true, ..SoundProcessing::NONE };
    let out = run(&quiet, &hiss, wanted);
    let tail = 6 * RATE..out.len();
    let less = decibels((f64::from(rms(&hiss[tail.clone()])) / f64::from(rms(&out[tail]))).powi(2));
    let voice: Vec<f32> = babble(4, 150.0, 20).iter().map(|sample| sample * 0.15).collect();
    let out = run(&vec![0.0; voice.len()], &voice, SoundProcessing { gain: true, ..SoundProcessing::NONE });
    let tail = 12 * RATE..out.len();
    let more = decibels((f64::from(rms(&out[tail.clone()])) / f64::from(rms(&voice[tail]))).powi(2));
    println!("noise {less:.1} dB lower, a voice of −38 dBFS {more:.1} dB louder");
    assert!(less > 12.0, "{less:.1} dB");
    assert!(more > 6.0, "{more:.1} dB");
    assert!(out.iter().all(|sample| sample.abs() <= 1.0));
}

#[test]
fn what_is_switched_off_leaves_the_sound_alone() {
    let voice = babble(5, 150.0, 1);
    assert_eq!(run(&voice, &voice, SoundProcessing::NONE), voice[..voice.len() / BLOCK / 2 * BLOCK * 2]);
}

#[test]
fn full_scale_noise_on_both_sides_stays_within_full_scale() {
    let mut noise = Noise(11);
    let loud: Vec<f32> = (0..2 * RATE).map(|_| if noise.next() > 0.0 { 1.0 } else { -1.0 }).collect();
    let out = run(&loud, &loud, SoundProcessing::default());
    assert!(out.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
}

#[test]
fn a_reference_that_nobody_takes_stays_small() {
    let reference = EchoReference::default();
    for _ in 0..1_000 {
        reference.push(&[0.1; FRAME]);
    }
    assert_eq!(reference.waiting(), REFERENCE);
}
