//! The family `room/`, and of `call/` what a leaver does to the sound of those who stay.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::command::Command;
use conclave_node::view::RoomView;
use conclave_protocol::id::RoomId;

use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};

/// Sound below this part of the loudest is a gap.
const SILENT: f64 = 0.02;
/// Shorter ones are between two swings of the tone.
const SHORTEST: Duration = Duration::from_millis(2);

/// What one round found, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    pub(crate) session: Vec<u64>,
    pub(crate) revoke: Vec<u64>,
}

/// Three people on a LAN of their own share the keys of a room.
async fn three() -> Result<(Lan, RoomId, [Peer; 3])> {
    anyhow::ensure!(Lan::is_possible(), "a LAN of network namespaces needs root");
    let lan = Lan::new(3)?;
    let mut ada = Peer::start(PeerOptions::named("Ada").on(&lan, 1)).await?;
    let mut ben = Peer::start(PeerOptions::named("Ben").on(&lan, 2)).await?;
    let mut cleo = Peer::start(PeerOptions::named("Cleo").on(&lan, 3)).await?;
    let room = ada.create_room("Bench", false).await?;
    let link = ada.invite(room, 2).await?;
    ben.join(&link, None).await?;
    cleo.join(&link, None).await?;
    shares_keys(&mut cleo, room, 3).await?;
    Ok((lan, room, [ada, ben, cleo]))
}

/// One arrives, one is removed.
pub(crate) async fn round(all: &mut Rooms) -> Result<()> {
    let (_lan, room, [mut ada, mut ben, mut cleo]) = three().await?;
    // Away for long enough that the others have the session to themselves, then back: from the start of the process.
    cleo.stop().await?;
    shares_keys(&mut ada, room, 2).await?;
    let mut cleo = cleo.restart(None).await?;
    shares_keys(&mut cleo, room, 3).await?;
    all.session.push(cleo.started.elapsed().as_millis() as u64);

    let device = cleo.device();
    let start = Instant::now();
    ada.request(Command::RoomRevoke { room, device }).await?;
    let gone = |view: &RoomView| view.session.people == 2 && view.members.iter().all(|member| member.device != device);
    ada.wait_room(room, "without Cleo", gone).await?;
    ben.wait_room(room, "without Cleo", gone).await?;
    all.revoke.push(start.elapsed().as_millis() as u64);
    Ok(())
}

/// Ben records Ada's tone while Cleo leaves the call and the room's session: the longest silence in it.
pub(crate) async fn rekey_gap() -> Result<u64> {
    let (_lan, room, [mut ada, mut ben, mut cleo]) = three().await?;
    let scratch = tempfile::tempdir()?;
    let heard = scratch.path().join("heard.wav");
    let join = |mic: &str, mic_on, speaker: String| Command::CallJoin {
        room,
        mic: Some(mic.into()),
        mic_on,
        camera: None,
        speaker: Some(speaker),
    };
    cleo.request(join("silence", false, "null".into())).await?;
    ada.request(join("tone", true, "null".into())).await?;
    ben.request(join("silence", false, format!("file:{}", heard.display()))).await?;
    let connected = |event: &conclave_node::event::Event| match event {
        conclave_node::event::Event::CallConnected { device, .. } => Some(*device),
        _ => None,
    };
    let (from, other) = (ada.device(), cleo.device());
    let mut missing = vec![from, other];
    while !missing.is_empty() {
        let device = ben.wait("the others in the call", connected).await?;
        missing.retain(|wanted| *wanted != device);
    }
    // The tone stands before the one leaves, and for as long after as an old epoch is accepted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    cleo.stop().await?;
    shares_keys(&mut ben, room, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ben.request(Command::CallLeave {}).await?;
    ada.request(Command::CallLeave {}).await?;
    longest_silence(&heard)
}

async fn shares_keys(peer: &mut Peer, room: RoomId, people: u32) -> Result<()> {
    peer.wait_room(room, "the group key", |view| view.session.people == people && view.session.epoch.is_some()).await?;
    Ok(())
}

/// Between the first and the last sound of a WAV file of 16-bit samples, in milliseconds.
fn longest_silence(file: &Path) -> Result<u64> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let at = bytes.windows(4).position(|chunk| chunk == b"fmt ").context("no format")?;
    let number = |at: usize, length: usize| -> Option<u32> {
        bytes.get(at..at + length).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    let (channels, rate) = (number(at + 10, 2).context("no channels")?, number(at + 12, 4).context("no rate")?);
    anyhow::ensure!(number(at + 22, 2) == Some(16) && channels > 0 && rate > 0, "not 16-bit samples");
    let data = bytes.windows(4).position(|chunk| chunk == b"data").context("no samples")? + 8;
    let samples: Vec<f64> = bytes
        .get(data..)
        .unwrap_or_default()
        .chunks_exact(2 * channels as usize)
        .filter_map(|frame| Some(f64::from(i16::from_le_bytes([*frame.first()?, *frame.get(1)?])).abs()))
        .collect();
    let loudest = samples.iter().copied().fold(0.0, f64::max);
    anyhow::ensure!(loudest > 100.0, "nothing was heard");
    let loud = |sample: &f64| *sample > loudest * SILENT;
    let (first, last) = (samples.iter().position(loud).unwrap_or(0), samples.iter().rposition(loud).unwrap_or(0));
    let longest = samples.get(first..last).unwrap_or_default().split(loud).map(<[f64]>::len).max().unwrap_or(0);
    let gap = Duration::from_secs_f64(longest as f64 / f64::from(rate));
    Ok(if gap < SHORTEST { 0 } else { gap.as_millis() as u64 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_gap_in_a_tone_is_found_and_the_tone_itself_has_none() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("tone.wav");
        let tone = |sample: usize| (10_000.0 * (sample as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin()) as i16;
        let mut samples: Vec<i16> = (0..48_000).map(tone).collect();
        crate::clicks::write_wav(&file, &samples).unwrap();
        assert_eq!(longest_silence(&file).unwrap(), 0);
        // 30 ms, and silence before and after that does not count.
        samples[20_000..21_440].fill(0);
        samples[..4_000].fill(0);
        samples[47_000..].fill(0);
        crate::clicks::write_wav(&file, &samples).unwrap();
        assert!((29..=32).contains(&longest_silence(&file).unwrap()));
    }
}
