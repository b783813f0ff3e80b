//! The one mesh of the call: begun, moved to another call, ended; and what it has to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::id::{CallId, RoomId};
use conclave_protocol::live::LiveFrame;
use conclave_protocol::media::pacing::{Content, Share};
use conclave_protocol::media::quality::Measured;
use conclave_protocol::media::speaker::Speech;
use conclave_protocol::wire;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::devices::Change;
use super::{Active, MESH_EVENTS, Person};
use crate::driver::Driver;
use crate::driver::links::LinkKey;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::net::StreamName;
use crate::rtc::mesh::{Mesh, MeshConfig, MeshEvent};
use crate::rtc::webrtc_transport::ServedFactory;
use crate::view::{LinkState, LinkStats, MediaKind, MyMediaView};

impl Driver {
    pub(super) fn start_mesh(&mut self, room: RoomId, call: CallId, mine: MyMediaView) -> Result<(), CommandError> {
        let (events, receiver) = mpsc::channel(MESH_EVENTS);
        let config = MeshConfig {
            me: Arc::clone(&self.me.device),
            room,
            call,
            events,
            pictures: self.calls.pictures.clone(),
            keys: self.entry(room)?.keys.clone(),
            processing: self.calls.sound.processing(),
            transports: Some(Arc::new(ServedFactory(self.team.servers()))),
            addresses: None,
        };
        let mesh = Mesh::start(config).map_err(|error| CommandError::new(ErrorCode::DeviceFailed, error.to_string()))?;
        self.calls.mesh_events = receiver;
        self.calls.active = Some(Active {
            room,
            mesh: Arc::new(mesh),
            mine,
            share: Share::of(Content::Text),
            people: BTreeMap::new(),
            tasks: JoinSet::new(),
            speaking: BTreeSet::new(),
            speaker: None,
            voice: Speech::default(),
            joining: self.calls.joinings,
        });
        self.dirty.insert(room);
        Ok(())
    }

    /// Two calls became one: the media begin anew under the other id, with the same devices.
    pub(super) fn move_mesh(&mut self, room: RoomId, call: CallId) {
        let Some((mine, share)) = self.active_in(room).map(|active| (active.mine.clone(), active.share)) else { return };
        self.end_mesh(room);
        if let Err(error) = self.start_mesh(room, call, MyMediaView { deafened: mine.deafened, ..MyMediaView::default() }) {
            return self.publish(Event::Problem { error: error.into() });
        }
        if let Some(active) = self.active_in(room) {
            active.mesh.set_deafened(mine.deafened);
        }
        if let Some(speaker) = mine.speaker {
            self.change(Change::Speaker(speaker), None);
        }
        if mine.mic.is_some() {
            self.change(Change::Mic { source: mine.mic, on: mine.mic_on }, None);
        }
        for change in [
            mine.camera.map(|source| Change::Camera(Some(source))),
            mine.screen.map(|source| Change::Screen(Some(source), share)),
        ] {
            change.into_iter().for_each(|change| self.change(change, None));
        }
        if let Some(dir) = mine.recording {
            self.change(Change::Record(Some(dir.into())), None);
        }
    }

    pub(super) fn end_mesh(&mut self, room: RoomId) {
        let Some(active) = self.calls.active.take_if(|active| active.room == room) else { return };
        let Active { mesh, mut tasks, .. } = active;
        self.calls.closing.spawn(async move {
            // Devices that are just being opened still hold the mesh.
            while tasks.join_next().await.is_some() {}
            if let Some(mesh) = Arc::into_inner(mesh) {
                mesh.close().await;
            }
        });
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.recorders.clear();
        }
    }

    pub(in crate::driver) fn handle_mesh(&mut self, event: MeshEvent) {
        let now = self.now();
        let Some(active) = &mut self.calls.active else { return };
        let room = active.room;
        self.calls.changed = true;
        match event {
            MeshEvent::Signal { to, signal } => {
                if let Some(link) = self.links.by_key(LinkKey { device: to, room, name: StreamName::Live }) {
                    link.send(wire::encode(&LiveFrame::Signal(signal)));
                }
            }
            MeshEvent::Link { peer, state, after_ms } => {
                // What was on its way when the media with them ended says nothing any more.
                let known = active.people.get_mut(&peer).filter(|person| person.link != LinkState::KeyChanged);
                let Some(person) = known else { return };
                person.link = state;
                if state == LinkState::Reconnecting {
                    person.quality.handle_measured(Measured { down: true, ..Measured::default() }, now);
                }
                if state == LinkState::Connected {
                    self.publish(Event::CallConnected { room, device: peer, after_ms });
                }
            }
            MeshEvent::Mismatch { peer, message } => {
                if let Some(entry) = self.rooms.get_mut(&room) {
                    entry.call.handle_mismatch(peer);
                }
                self.carry_out(room);
                if let Some(active) = self.active_in(room) {
                    active.people.insert(peer, Person { link: LinkState::Mismatch, ..Person::default() });
                }
                self.publish(Event::CallMismatch { room, device: peer, message });
            }
            MeshEvent::FirstFrame { peer, stream, after_ms } => {
                self.publish(Event::CallFirstFrame { room, device: peer, stream, after_ms });
            }
            MeshEvent::Stats { peer, stats, level } => {
                if let Some(person) = active.people.get_mut(&peer) {
                    (person.stats, person.level) = (stats, level);
                    person.quality.handle_measured(measured(&stats), now);
                }
            }
            MeshEvent::Speaking { who, current } => {
                active.speaking = who.into_iter().collect();
                active.speaker = current;
            }
            MeshEvent::SourceFailed { kind, message } => {
                match kind {
                    MediaKind::Camera => active.mine.camera = None,
                    MediaKind::Screen => active.mine.screen = None,
                    // The microphone and the speaker stay chosen: silence stands in until they are back or another is chosen.
                    MediaKind::Microphone | MediaKind::Speaker => {}
                }
                active.mine.problem = Some(message.clone());
                self.tell_media(room);
                self.problem(ErrorCode::DeviceFailed, message);
            }
            MeshEvent::RecordingFailed { message } => {
                active.mine.recording = None;
                active.mine.problem = Some(message.clone());
                self.tell_media(room);
                let me = self.me.device.id();
                self.note_recording(room, me, false);
                self.problem(ErrorCode::DeviceFailed, message);
            }
            MeshEvent::StreamGone { .. } => {}
        }
    }
}

fn measured(stats: &LinkStats) -> Measured {
    Measured {
        rtt: stats.rtt_ms.and_then(|ms| Duration::try_from_secs_f32(ms / 1_000.0).ok()),
        concealed: stats.audio_lost_now_pct / 100.0,
        loss_sent: stats.sent_lost_pct / 100.0,
        frozen: Duration::ZERO,
        down: false,
    }
}
