//! What is done to this device's microphone, and trying it and the speaker before a call. Kept by the node, for every face of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use conclave_media::audio::trial::{self, MicMeter};
use conclave_media::device::open_audio_source;
use serde_json::json;

use super::devices::media_refused;
use super::{Answer, Calls};
use crate::command::Reply;
use crate::driver::Driver;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::store::{Batch, Store};
use crate::view::SoundView;

/// Under which the choices are kept.
const KEY: &str = "media.sound";
/// Times a second that a meter is told.
const METER: Duration = Duration::from_millis(100);
/// The longest that somebody listens to their own microphone.
const MAX_TRIAL_S: u32 = 10;

/// A microphone that is tried before a call.
pub(super) type Meter = Arc<Mutex<Option<MicMeter>>>;

/// As it was chosen, or all of it.
pub(in crate::driver) fn load(store: &Store) -> SoundView {
    let kept = store.setting(KEY).ok().flatten();
    kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default()
}

impl Driver {
    pub(in crate::driver) async fn media_sound(
        &mut self,
        (echo, noise, gain, chimes): (Option<bool>, Option<bool>, Option<bool>, Option<bool>),
    ) -> Result<Reply, CommandError> {
        let now = self.calls.sound;
        let sound = SoundView {
            echo: echo.unwrap_or(now.echo),
            noise: noise.unwrap_or(now.noise),
            gain: gain.unwrap_or(now.gain),
            chimes: chimes.unwrap_or(now.chimes),
        };
        if sound != now {
            self.store.commit(Batch::new().setting(KEY, Some(&json!(sound).to_string()))).await?;
            self.calls.sound = sound;
            self.calls.changed = true;
            if let Some(active) = &self.calls.active {
                active.mesh.set_processing(sound.processing());
            }
        }
        Ok(Reply::Sound { sound })
    }

    /// Tells how loud a microphone is, until another one is tried or none.
    pub(in crate::driver) fn media_meter(&mut self, source: Option<String>, answer: Answer) {
        let (meter, events, processing) = (Arc::clone(&self.calls.meter), self.events.clone(), self.calls.sound.processing());
        tokio::task::spawn_blocking(move || {
            let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
            *meter = None;
            let started = source.map(|source| {
                let source = open_audio_source(&source)?;
                // Nobody may be listening.
                MicMeter::start(source, processing, METER, move |level| drop(events.send(Event::MediaLevel { level })))
            });
            let outcome = match started.transpose() {
                Ok(started) => {
                    *meter = started;
                    Ok(Reply::Done {})
                }
                Err(error) => Err(media_refused(&error)),
            };
            let _ = answer.send(outcome);
        });
    }

    /// Plays a few notes, or what a microphone heard in the seconds before; answered when it was played.
    pub(in crate::driver) fn media_try(&mut self, sink: String, source: Option<String>, seconds: u32, answer: Answer) {
        if !(1..=MAX_TRIAL_S).contains(&seconds) {
            let error = CommandError::new(ErrorCode::BadRequest, format!("A trial takes 1 to {MAX_TRIAL_S} seconds."));
            return drop(answer.send(Err(error)));
        }
        let processing = self.calls.sound.processing();
        let Ok(place) = Arc::clone(&self.calls.trial).try_lock_owned() else {
            return drop(answer.send(Err(CommandError::new(ErrorCode::Busy, "A trial is under way."))));
        };
        tokio::task::spawn_blocking(move || {
            let result = match source {
                None => trial::play_test(&sink),
                Some(source) => trial::hear_oneself(&source, &sink, Duration::from_secs(u64::from(seconds)), processing),
            };
            drop(place);
            let _ = answer.send(result.map(|()| Reply::Done {}).map_err(|error| media_refused(&error)));
        });
    }
}

impl Calls {
    /// A call opens the microphone itself.
    pub(super) fn end_meter(&self) {
        let meter = Arc::clone(&self.meter);
        tokio::task::spawn_blocking(move || drop(meter.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}
