//! Sources and sinks of a call: opened beside the loop, one change at a time, and answered when the device has. The loop never waits for
//! a camera.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use conclave_media::device::{self, DeviceKind};
use conclave_media::error::MediaError;
use conclave_media::video::VideoPreview;
use conclave_protocol::id::{CallId, RoomId};
use conclave_protocol::media::pacing::{Content, Share};

use super::{Answer, not_in_call};
use crate::command::Reply;
use crate::driver::Driver;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::view::{MediaDeviceView, MediaKind, PictureKey, ShareContent};

/// Pictures a second, width and height of the preview at most.
const PREVIEW: (u32, u32, u32) = (30, 1280, 720);

/// A change of this device's media that was asked for.
#[derive(Debug, Clone)]
pub(in crate::driver) enum Change {
    Mic { source: Option<String>, on: bool },
    Camera(Option<String>),
    Screen(Option<String>, Share),
    Speaker(String),
    Record(Option<PathBuf>),
}

/// What came of it.
pub(in crate::driver) struct Done {
    call: CallId,
    joining: u64,
    change: Change,
    result: Result<(), MediaError>,
    answer: Option<Answer>,
}

impl Driver {
    /// Answered when the device has been opened, or could not be.
    pub(in crate::driver) fn change(&mut self, change: Change, answer: Option<Answer>) {
        let call = self.call_id();
        let Some((active, call)) = self.calls.active.as_mut().zip(call) else {
            if let Some(answer) = answer {
                let _ = answer.send(Err(not_in_call()));
            }
            return;
        };
        let (mesh, doing, joining) = (Arc::clone(&active.mesh), self.calls.doing.clone(), active.joining);
        active.tasks.spawn(async move {
            let result = match &change {
                Change::Mic { source, on } => mesh.set_mic(source.as_deref(), *on).await,
                Change::Camera(source) => mesh.set_camera(source.as_deref()).await,
                Change::Screen(source, share) => mesh.set_screen(source.as_deref(), *share).await,
                Change::Speaker(sink) => mesh.set_speaker(sink).await,
                Change::Record(dir) => mesh.set_recording(dir.clone()).await,
            };
            drop(mesh);
            // The loop is gone when the node stops.
            let _ = doing.send(Done { call, joining, change, result, answer }).await;
        });
    }

    /// A device was opened, or could not be.
    pub(in crate::driver) fn handle_media_done(&mut self, done: Done) {
        let Done { call, joining, change, result, answer } = done;
        if self.call_id() != Some(call) {
            // Two calls became one while the device was opening: it is wanted in the one that stays.
            if self.calls.active.as_ref().is_some_and(|active| active.joining == joining) {
                return self.change(change, answer);
            }
            if let Some(answer) = answer {
                let _ = answer.send(Err(not_in_call()));
            }
            return;
        }
        let Some(active) = &mut self.calls.active else { return };
        while active.tasks.try_join_next().is_some() {}
        let (room, mine) = (active.room, &mut active.mine);
        match &result {
            Ok(()) => {
                mine.problem = None;
                match change {
                    Change::Mic { source, on } => {
                        mine.mic = source.or(mine.mic.take());
                        mine.mic_on = on;
                    }
                    Change::Camera(source) => mine.camera = source,
                    Change::Screen(source, share) => (mine.screen, active.share) = (source, share),
                    Change::Speaker(sink) => mine.speaker = Some(sink),
                    Change::Record(dir) => mine.recording = dir.map(|dir| dir.display().to_string()),
                }
            }
            Err(error) => mine.problem = Some(error.to_string()),
        }
        let recording = mine.recording.is_some();
        self.tell_media(room);
        self.note_recording(room, self.me.device.id(), recording);
        let outcome = result.map(|()| Reply::Done {}).map_err(|error| media_refused(&error));
        match (answer, outcome) {
            (Some(answer), outcome) => drop(answer.send(outcome)),
            (None, Err(error)) => self.publish(Event::Problem { error: error.into() }),
            (None, Ok(_)) => {}
        }
    }

    /// The others learn what this device sends and plays.
    pub(super) fn tell_media(&mut self, room: RoomId) {
        let now = self.now();
        let Some(state) = self.active_in(room).map(|active| active.mine.state()) else { return };
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.call.set_media(state, now);
        }
        self.calls.changed = true;
        self.carry_out(room);
    }

    pub(in crate::driver) fn call_deafen(&mut self, on: bool) -> Result<Reply, CommandError> {
        let active = self.calls.active.as_mut().ok_or_else(not_in_call)?;
        active.mine.deafened = on;
        active.mesh.set_deafened(on);
        let room = active.room;
        self.tell_media(room);
        Ok(Reply::Done {})
    }

    pub(in crate::driver) fn media_preview(&mut self, source: Option<String>, answer: Answer) {
        let (preview, slot) = (Arc::clone(&self.calls.preview), self.calls.pictures.get(PictureKey::Preview));
        // One at a time, in the order of the commands as the blocking pool takes them; the last one stays.
        tokio::task::spawn_blocking(move || {
            let mut preview = preview.lock().unwrap_or_else(PoisonError::into_inner);
            *preview = None;
            let started = source.map(|source| {
                let source = device::open_video(&source)?;
                VideoPreview::start(source, PREVIEW, slot, |error| tracing::debug!(%error, "the preview ended"))
            });
            let outcome = match started.transpose() {
                Ok(started) => {
                    *preview = started;
                    Ok(Reply::Done {})
                }
                Err(error) => Err(media_refused(&error)),
            };
            let _ = answer.send(outcome);
        });
    }
}

pub(super) fn media_refused(error: &MediaError) -> CommandError {
    let code = match error {
        MediaError::BadSpec { .. } => ErrorCode::BadRequest,
        MediaError::Unsupported { .. } => ErrorCode::Unsupported,
        _ => ErrorCode::DeviceFailed,
    };
    CommandError::new(code, error.to_string())
}

/// How a screen is to be shared, from what was asked for.
pub(in crate::driver) fn share(
    content: Option<ShareContent>,
    fps: Option<u32>,
    height: Option<u32>,
) -> Result<Share, CommandError> {
    let most = Share::of(match content.unwrap_or_default() {
        ShareContent::Text => Content::Text,
        ShareContent::Motion => Content::Motion,
    });
    let share = Share { fps: fps.unwrap_or(most.fps), height: height.unwrap_or(most.height), ..most };
    if !(1..=30).contains(&share.fps) || !(180..=2160).contains(&share.height) {
        let message = "A share has 1 to 30 pictures a second and 180 to 2160 lines.";
        return Err(CommandError::new(ErrorCode::BadRequest, message));
    }
    Ok(share)
}

/// Answers with what can be chosen here, beside the loop.
pub(in crate::driver) fn list_devices(answer: Answer) {
    // Whoever asked may have gone.
    tokio::task::spawn_blocking(move || drop(answer.send(Ok(Reply::Devices { devices: devices() }))));
}

/// The sources and sinks that can be chosen here.
pub(super) fn devices() -> Vec<MediaDeviceView> {
    device::list_devices()
        .into_iter()
        .map(|device| MediaDeviceView {
            kind: match device.kind {
                DeviceKind::Camera => MediaKind::Camera,
                DeviceKind::Microphone => MediaKind::Microphone,
                DeviceKind::Speaker => MediaKind::Speaker,
                DeviceKind::Screen => MediaKind::Screen,
            },
            spec: device.spec,
            label: device.label,
            unavailable: device.unavailable,
        })
        .collect()
}
