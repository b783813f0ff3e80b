//! From the feeds of many voices to one sink, on a thread of its own. It takes 20 ms of each voice whenever the sink wants them, and
//! goes on taking while the sink stalls, so that no feed grows old. Nothing that a voice carries can end it.

mod voice;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::voice::Voice;
use super::chime::{Chime, Ringing};
use super::mix::{Gain, Limiter};
use super::processing::EchoReference;
use super::sink::{AudioSink, NullSink};
use super::{FRAME, FRAME_TIME, Frame};
use crate::error::MediaError;

/// The most voices at once; a further one is refused.
pub const MAX_STREAMS: usize = 64;
/// Requests that wait for the thread, which looks every 20 ms. When it is full the caller waits for that long.
const COMMANDS: usize = 64;
/// A sink that is this late is taken for stalled; what it would have played is dropped.
const PATIENCE: Duration = Duration::from_millis(60);
/// Chimes at once; a further one is not heard, because nobody could tell them apart.
const CHIMES: usize = 2;

/// What a voice has for the next 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedItem {
    /// The opus packet of these 20 ms.
    Packet(Bytes),
    /// They are lost; this is the packet after them, from which they may be recovered. It comes again as a packet.
    Fec(Bytes),
    /// They are lost.
    Lost,
    /// There is nothing to play: the voice is muted, silent or has not begun.
    Idle,
}

/// Where a voice comes from: the reading end of a jitter buffer.
pub trait AudioFeed: Send {
    /// Called once for every 20 ms that are played, from the playout thread; it must not block.
    fn pull(&mut self) -> FeedItem;
}

/// What became of a voice, in samples of 48 kHz since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutCounters {
    /// Decoded from their packet.
    pub played: u64,
    /// Lost and guessed.
    pub concealed: u64,
    /// Lost and recovered from the packet after them.
    pub recovered: u64,
    /// Nothing to play.
    pub idle: u64,
    /// Packets that could not be decoded; what they held counts as concealed.
    pub damaged_packets: u64,
}

/// What can be seen of one voice while it plays, and after.
#[derive(Clone, Debug, Default)]
pub struct StreamMeter(Arc<Meter>);

#[derive(Debug, Default)]
struct Meter {
    level: AtomicU32,
    played: AtomicU64,
    concealed: AtomicU64,
    recovered: AtomicU64,
    idle: AtomicU64,
    damaged_packets: AtomicU64,
}

impl StreamMeter {
    /// The root mean square of the last 300 ms before the volume, 0.0..=1.0.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.0.level.load(Ordering::Relaxed))
    }

    /// The counts so far.
    pub fn counters(&self) -> PlayoutCounters {
        PlayoutCounters {
            played: self.0.played.load(Ordering::Relaxed),
            concealed: self.0.concealed.load(Ordering::Relaxed),
            recovered: self.0.recovered.load(Ordering::Relaxed),
            idle: self.0.idle.load(Ordering::Relaxed),
            damaged_packets: self.0.damaged_packets.load(Ordering::Relaxed),
        }
    }
}

/// Plays until it is dropped.
pub struct Playout {
    commands: SyncSender<Command>,
    ids: Mutex<BTreeSet<u64>>,
    played: EchoReference,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Playout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Playout({} streams)", self.ids.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

enum Command {
    Add(u64, Box<Voice>),
    Remove(u64),
    Volume(u64, f32),
    Deafen(bool),
    Chime(Chime),
    Sink(Box<dyn AudioSink>),
}

impl Playout {
    /// Starts to play. `on_error` is told, on the playout thread, that a sink is gone; sound goes nowhere until
    /// [`Playout::replace_sink`].
    ///
    /// # Errors
    /// No thread.
    pub fn start(sink: Box<dyn AudioSink>, on_error: impl FnMut(MediaError) + Send + 'static) -> Result<Self, MediaError> {
        let (commands, receiver) = sync_channel(COMMANDS);
        let stop = Arc::new(AtomicBool::new(false));
        let played = EchoReference::default();
        let player = Player {
            voices: Vec::new(),
            chimes: Vec::new(),
            played: played.clone(),
            limiter: Limiter::default(),
            master: Gain::rising_to(1.0),
            deafened: false,
            next_sink: None,
            commands: receiver,
            on_error,
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("audio-playout".into())
            .spawn(move || player.run(sink, &stopped))
            .map_err(|error| MediaError::Thread { what: "playout", reason: error.to_string() })?;
        Ok(Self { commands, ids: Mutex::default(), played, stop, thread: Some(thread) })
    }

    /// Adds a voice at full volume; one of the same id gives way to it.
    ///
    /// # Errors
    /// There are [`MAX_STREAMS`] already, or no decoder can be made.
    pub fn add(&self, id: u64, feed: Box<dyn AudioFeed>) -> Result<StreamMeter, MediaError> {
        let meter = StreamMeter::default();
        let voice = Box::new(Voice::new(feed, meter.clone())?);
        {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            if ids.len() >= MAX_STREAMS && !ids.contains(&id) {
                return Err(MediaError::unavailable("the playout", format!("it plays {MAX_STREAMS} streams already")));
            }
            ids.insert(id);
        }
        self.send(Command::Add(id, voice));
        Ok(meter)
    }

    /// Fades a voice out and forgets it.
    pub fn remove(&self, id: u64) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.send(Command::Remove(id));
    }

    /// How loud one voice is, 0.0..=4.0; 1.0 is as it came.
    pub fn set_volume(&self, id: u64, volume: f32) {
        self.send(Command::Volume(id, volume));
    }

    /// Deafened, nothing is heard, but the feeds are emptied and measured as before.
    pub fn set_deafened(&self, deafened: bool) {
        self.send(Command::Deafen(deafened));
    }

    /// A short sound beside the voices; not while deafened.
    pub fn chime(&self, chime: Chime) {
        self.send(Command::Chime(chime));
    }

    /// What is played, for whoever cancels its echo.
    pub fn played(&self) -> EchoReference {
        self.played.clone()
    }

    /// Goes on with another sink.
    pub fn replace_sink(&self, sink: Box<dyn AudioSink>) {
        self.send(Command::Sink(sink));
    }

    fn send(&self, command: Command) {
        // The thread lives as long as this does; it can only be gone by a panic, which drop reports.
        let _ = self.commands.send(command);
    }
}

impl Drop for Playout {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the playout thread panicked");
        }
    }
}

struct Player<E> {
    voices: Vec<(u64, Box<Voice>)>,
    /// At most [`CHIMES`].
    chimes: Vec<Ringing>,
    played: EchoReference,
    limiter: Limiter,
    /// Everything fades with it: deafening, and going from one sink to another.
    master: Gain,
    deafened: bool,
    next_sink: Option<Box<dyn AudioSink>>,
    commands: Receiver<Command>,
    on_error: E,
}

impl<E: FnMut(MediaError)> Player<E> {
    fn run(mut self, mut sink: Box<dyn AudioSink>, stop: &AtomicBool) {
        let mut deadline = Instant::now() + FRAME_TIME + PATIENCE;
        while !stop.load(Ordering::Relaxed) {
            let result = match sink.ready(deadline) {
                Ok(true) => {
                    deadline = Instant::now() + FRAME_TIME + PATIENCE;
                    self.handle_commands();
                    let frame = self.mix();
                    // Only what is heard comes back as an echo.
                    self.played.push(&frame);
                    sink.write(&frame)
                }
                Ok(false) => {
                    deadline = (deadline + FRAME_TIME).max(Instant::now());
                    self.handle_commands();
                    self.mix();
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                (self.on_error)(error);
                sink = Box::new(NullSink::default());
            }
            // The old sink got a frame that fades out; the new one begins with one that fades in.
            if let Some(next) = self.next_sink.take() {
                sink = next;
                self.master = Gain::rising_to(self.master_volume());
                deadline = Instant::now() + FRAME_TIME + PATIENCE;
            }
        }
    }

    fn master_volume(&self) -> f32 {
        if self.deafened || self.next_sink.is_some() { 0.0 } else { 1.0 }
    }

    fn handle_commands(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add(id, voice)) => {
                    self.leave(id);
                    self.voices.push((id, voice));
                }
                Ok(Command::Remove(id)) => self.leave(id),
                Ok(Command::Volume(id, volume)) => {
                    for (_, voice) in self.voices.iter_mut().filter(|(other, voice)| *other == id && !voice.is_leaving()) {
                        voice.set_volume(volume);
                    }
                }
                Ok(Command::Deafen(deafened)) => self.deafened = deafened,
                Ok(Command::Chime(chime)) if self.chimes.len() < CHIMES => self.chimes.push(Ringing::new(chime)),
                Ok(Command::Chime(_)) => {}
                Ok(Command::Sink(sink)) => self.next_sink = Some(sink),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.master.set(self.master_volume());
    }

    fn leave(&mut self, id: u64) {
        for (_, voice) in self.voices.iter_mut().filter(|(other, _)| *other == id) {
            voice.leave();
        }
    }

    fn mix(&mut self) -> Frame {
        let mut mix: Frame = [0.0; FRAME];
        for (_, voice) in &mut self.voices {
            voice.mix_into(&mut mix);
        }
        // One who leaves has faded out in the frame that was just mixed.
        self.voices.retain(|(_, voice)| !voice.is_leaving());
        self.chimes.retain_mut(|chime| chime.mix_into(&mut mix));
        self.master.apply(&mut mix);
        self.limiter.apply(&mut mix);
        mix
    }
}

#[cfg(test)]
mod tests;
