//! The call as a person sees it.

use std::time::{Duration, Instant};

use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::media::quality::Quality;

use crate::driver::Driver;
use crate::event::Event;
use crate::view::{CallView, MyMediaView, ParticipantView, QualityView};

/// The call is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);

impl Driver {
    /// Who is in the room's call.
    pub(in crate::driver) fn room_call(&self, room: RoomId) -> Option<(CallId, Vec<DeviceId>)> {
        self.rooms.get(&room)?.call.people()
    }

    pub(in crate::driver) fn call_view(&self) -> Option<CallView> {
        let active = self.calls.active.as_ref()?;
        let entry = self.rooms.get(&active.room)?;
        let (call, people) = entry.call.people()?;
        let me = self.me.device.id();
        let people = people.into_iter().filter(|device| *device != me).filter_map(|device| {
            let told = entry.call.participant(&device)?;
            let seen = active.people.get(&device).cloned().unwrap_or_default();
            Some(ParticipantView {
                device,
                name: entry.room.acl().name_of(&device).unwrap_or_default().to_owned(),
                link: seen.link,
                mic_on: told.media.mic,
                camera_on: told.media.camera,
                screen_on: told.media.screen,
                deafened: told.media.deafened,
                recording: told.media.recording,
                level: seen.level,
                speaking: told.media.mic && active.speaking.contains(&device),
                hand_ms: told.hand_ms,
                volume: self.calls.volumes.get(&device).copied().unwrap_or(1.0),
                quality: seen.quality.quality().into(),
                stats: seen.stats,
            })
        });
        Some(CallView {
            room: active.room,
            call,
            since_ms: entry.call.since_ms().unwrap_or_default(),
            me: MyMediaView { hand_ms: entry.call.hand_ms(), sound: self.calls.sound, ..active.mine.clone() },
            people: people.collect(),
            speaker: active.speaker,
            hands: entry.call.hands().into_iter().map(|(_, device)| device).collect(),
        })
    }

    /// Tells how the call is, where it changed and it was not told just now.
    pub(in crate::driver) fn tell_call(&mut self) {
        if !self.calls.changed || self.calls.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        self.calls.changed = false;
        if let Some(call) = self.call_view() {
            self.calls.told = Some(Instant::now());
            self.publish(Event::CallChanged { call: Some(call) });
        }
    }
}

impl From<Quality> for QualityView {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Excellent => Self::Excellent,
            Quality::Good => Self::Good,
            Quality::Poor => Self::Poor,
            Quality::Lost => Self::Lost,
        }
    }
}
