//! Hands, reactions, what those who lead a call ask for, and how loud each voice is played. Who may lead is read from the room's log.

use std::time::Duration;

use conclave_protocol::call::host::{HostAct, HostOrder, MAX_REACTION, Reaction, may_lead};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::live::LivePayload;

use super::{dbov, not_in_call};
use crate::command::{HostAsk, Reply};
use crate::driver::Driver;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;

/// The loudest that somebody can be played: twice as loud as they are.
const MAX_VOLUME: f32 = 2.0;
/// Who speaks for this long with the hand up has the floor: the hand goes down.
const HAND_DOWN_AFTER: Duration = Duration::from_millis(1_500);
/// Who speaks for this long while muted is told so.
const HINT_AFTER: Duration = Duration::from_millis(600);

impl Driver {
    pub(in crate::driver) fn call_hand(&mut self, on: bool) -> Result<Reply, CommandError> {
        let room = self.calls.active.as_ref().ok_or_else(not_in_call)?.room;
        let (now, now_ms) = (self.now(), crate::driver::now_ms());
        self.entry(room)?.call.set_hand(on.then_some(now_ms), now);
        self.calls.changed = true;
        self.carry_out(room);
        Ok(Reply::Done {})
    }

    pub(in crate::driver) fn call_react(&mut self, emoji: String) -> Result<Reply, CommandError> {
        let room = self.calls.active.as_ref().ok_or_else(not_in_call)?.room;
        let call = self.call_id().ok_or_else(not_in_call)?;
        if !(1..=MAX_REACTION).contains(&emoji.len()) || emoji.chars().any(char::is_control) {
            return Err(CommandError::new(ErrorCode::BadText, format!("A reaction has 1 to {MAX_REACTION} bytes.")));
        }
        self.say(room, &LivePayload::Reaction(Reaction { call, emoji: emoji.clone() }));
        let device = self.me.device.id();
        self.publish(Event::CallReaction { room, device, emoji });
        Ok(Reply::Done {})
    }

    pub(in crate::driver) fn call_host(&mut self, ask: HostAsk, device: Option<DeviceId>) -> Result<Reply, CommandError> {
        let room = self.calls.active.as_ref().ok_or_else(not_in_call)?.room;
        let call = self.call_id().ok_or_else(not_in_call)?;
        let target = if ask == HostAsk::End { None } else { device };
        if ask != HostAsk::End
            && target.is_none_or(|device| self.entry(room).is_ok_and(|entry| entry.call.participant(&device).is_none()))
        {
            return Err(CommandError::new(ErrorCode::UnknownDevice, "Nobody of that name is in the call."));
        }
        let me = self.me.device.id();
        if !self.may_lead(room, &me, target.as_ref()) {
            return Err(CommandError::new(
                ErrorCode::NotPermitted,
                "Only those who admit people lead the call, and nobody leads the owner.",
            ));
        }
        let act = match ask {
            HostAsk::Mute => HostAct::MUTE,
            HostAsk::LowerHand => HostAct::LOWER_HAND,
            HostAsk::Remove => HostAct::REMOVE,
            HostAsk::End => HostAct::END,
        };
        let order = HostOrder { call, act, target };
        self.say(room, &LivePayload::Host(order));
        let now = self.now();
        self.entry(room)?.call.handle_order(me, order, true, now);
        self.carry_out(room);
        Ok(Reply::Done {})
    }

    /// Somebody orders: their role here and now decides.
    pub(in crate::driver) fn handle_order(&mut self, room: RoomId, from: DeviceId, order: HostOrder) {
        let may = self.may_lead(room, &from, order.target.as_ref());
        let now = self.now();
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.call.handle_order(from, order, may, now);
        }
    }

    fn may_lead(&self, room: RoomId, device: &DeviceId, target: Option<&DeviceId>) -> bool {
        let Some(entry) = self.rooms.get(&room) else { return false };
        let acl = entry.room.acl();
        may_lead(acl.role(device), target.and_then(|target| acl.role(target)))
    }

    /// Muted by somebody who leads. Whoever is muted may unmute.
    pub(super) fn handle_muted_by(&mut self, room: RoomId, by: DeviceId) {
        let Some(active) = self.active_in(room).filter(|active| active.mine.mic_on) else { return };
        active.mesh.mute();
        active.mine.mic_on = false;
        self.tell_media(room);
        self.publish(Event::CallMutedBy { room, device: by });
    }

    pub(in crate::driver) fn call_volume(&mut self, device: DeviceId, volume: f32) -> Result<Reply, CommandError> {
        if !(0.0..=MAX_VOLUME).contains(&volume) {
            return Err(CommandError::new(ErrorCode::BadRequest, format!("A volume is 0 to {MAX_VOLUME}; 1 is as they are.")));
        }
        let active = self.calls.active.as_ref().ok_or_else(not_in_call)?;
        if !active.people.contains_key(&device) {
            return Err(CommandError::new(ErrorCode::UnknownDevice, "Nobody of that name is in the call."));
        }
        active.mesh.set_volume(device, volume);
        // Bounded by those who were in a call with this device since it started.
        self.calls.volumes.insert(device, volume);
        self.calls.changed = true;
        Ok(Reply::Done {})
    }

    /// What the own voice says of the hand, and of a microphone that was forgotten.
    pub(super) fn hear_myself(&mut self) {
        let now = self.now();
        let Some(active) = &mut self.calls.active else { return };
        let room = active.room;
        let level = active.mesh.mic_level();
        active.voice.handle_level(dbov(level), now);
        let (spoken, heard) = (active.voice.speaking_for(now), active.mine.state().mic);
        let (speaking, hint) = (heard && active.voice.is_speaking(now), !heard && spoken >= HINT_AFTER);
        if (speaking, hint) != (active.mine.speaking, active.mine.talking_muted) || (level - active.mine.level).abs() > 0.01 {
            (active.mine.speaking, active.mine.talking_muted, active.mine.level) = (speaking, hint, level);
            self.calls.changed = true;
        }
        if heard && spoken >= HAND_DOWN_AFTER {
            let lowered = self.rooms.get_mut(&room).is_some_and(|entry| entry.call.set_hand(None, now));
            if lowered {
                self.publish(Event::CallHandLowered { room, device: None });
                self.carry_out(room);
            }
        }
    }
}
