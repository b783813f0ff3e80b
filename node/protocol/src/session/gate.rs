//! Application payloads: the gate before them, and those that come. Nothing is ever encrypted to an epoch whose roster holds a device
//! that does not belong to the room.

use core::time::Duration;
use std::collections::VecDeque;

use openmls::prelude::{ContentType, ProcessedMessageContent, Sender};

use crate::id::DeviceId;
use crate::session::group::{EarlyApp, Group, MAX_EARLY, read_private};
use crate::session::message::{AppFrame, MAX_PAYLOAD, SessionFrame};
use crate::session::{Acl, LOST_AFTER, RefusalKind, SendError, Sent, Session, SessionOutput};

/// Payloads that wait for a session, or for the removal of someone.
const MAX_UNSENT: usize = 256;
/// Bytes of those.
const MAX_UNSENT_BYTES: usize = 1024 * 1024;
/// How long they wait.
const UNSENT_FOR: Duration = LOST_AFTER;

/// Payloads that wait.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    queue: VecDeque<(Duration, Vec<u8>)>,
    bytes: usize,
}

impl Unsent {
    fn push(&mut self, payload: Vec<u8>, now: Duration) -> Result<(), SendError> {
        if self.queue.len() >= MAX_UNSENT || self.bytes + payload.len() > MAX_UNSENT_BYTES {
            return Err(SendError::Full);
        }
        self.bytes += payload.len();
        self.queue.push_back((now, payload));
        Ok(())
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let (_, payload) = self.queue.pop_front()?;
        self.bytes -= payload.len();
        Some(payload)
    }

    /// Gives up what waits too long; how many.
    fn expire(&mut self, now: Duration) -> usize {
        let mut expired = 0;
        while self.queue.front().is_some_and(|(at, _)| *at + UNSENT_FOR <= now) {
            self.pop();
            expired += 1;
        }
        expired
    }

    pub(crate) fn clear(&mut self) -> usize {
        let payloads = self.queue.len();
        *self = Self::default();
        payloads
    }
}

impl Session {
    /// Sends a payload to every member of the session, encrypted once. Where there is no session, or its roster holds a device that does
    /// not belong to the room, it waits up to 5 s.
    pub fn send(&mut self, payload: Vec<u8>, acl: &impl Acl, now: Duration) -> Result<Sent, SendError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong);
        }
        if !acl.is_member(&self.me) || self.revoked.contains(&self.me) {
            return Err(SendError::NotMember);
        }
        if self.unsent.queue.is_empty()
            && let Some(sent) = self.encrypt(&payload, acl)
        {
            return Ok(sent);
        }
        self.unsent.push(payload, now)?;
        Ok(Sent::Queued)
    }

    /// Sends what waits, as far as it may be.
    pub(super) fn flush(&mut self, acl: &impl Acl, now: Duration) {
        let payloads = self.unsent.expire(now);
        if payloads > 0 {
            self.push(SessionOutput::Unsent { payloads });
        }
        while let Some((_, payload)) = self.unsent.queue.front() {
            let payload = payload.clone();
            if self.encrypt(&payload, acl).is_none() {
                return;
            }
            self.unsent.pop();
        }
    }

    /// Every member of the roster belongs to the room, as far as is known.
    pub(super) fn may_encrypt_to(&self, group: &Group, acl: &impl Acl) -> bool {
        !self.rules.gate || group.roster.values().all(|device| acl.is_member(device) && !self.revoked.contains(device))
    }

    /// The session that is sent to: the one that was left, as long as nobody has come to the new one.
    pub(super) fn sending(&self) -> Option<&Group> {
        let current = self.current.as_ref()?;
        match &self.previous {
            Some((previous, _)) if current.size() == 1 => Some(previous),
            _ => Some(current),
        }
    }

    fn encrypt(&mut self, payload: &[u8], acl: &impl Acl) -> Option<Sent> {
        let may = self.may_encrypt_to(self.sending()?, acl);
        if !may {
            return None;
        }
        let group = match (&mut self.current, &mut self.previous) {
            (Some(current), Some((previous, _))) if current.size() == 1 => previous,
            (Some(current), _) => current,
            (None, _) => return None,
        };
        let (session, epoch) = (group.id, group.epoch());
        if group.size() > 1 {
            let message = group.mls.create_message(&group.provider, &self.signer, payload).ok()?;
            let mls = message.to_bytes().ok()?;
            let to: Vec<DeviceId> = group.roster.values().copied().collect();
            self.send_to(to, SessionFrame::App(AppFrame { session, mls }));
        }
        Some(Sent::Now { session, epoch })
    }

    pub(super) fn take_app(&mut self, from: DeviceId, frame: AppFrame, acl: &impl Acl, now: Duration) -> Result<(), RefusalKind> {
        let group = match (&mut self.current, &mut self.previous, &mut self.join) {
            (Some(group), ..) if group.id == frame.session => group,
            (_, Some((group, _)), _) if group.id == frame.session => group,
            (.., Some(join)) if join.session == frame.session => {
                if join.early.len() >= MAX_EARLY {
                    return Err(RefusalKind::QueueFull);
                }
                join.early.push_back(EarlyApp { from, frame, since: now });
                return Ok(());
            }
            _ => return Err(RefusalKind::UnknownSession),
        };
        let message = read_private(&frame.mls)?;
        if message.content_type() != ContentType::Application {
            return Err(RefusalKind::NotWriter);
        }
        if message.group_id().as_slice() != group.id.as_bytes() {
            return Err(RefusalKind::UnknownSession);
        }
        let epoch = message.epoch().as_u64();
        if epoch > group.epoch() {
            if group.early.len() >= MAX_EARLY {
                return Err(RefusalKind::QueueFull);
            }
            group.early.push_back(EarlyApp { from, frame, since: now });
            self.fetch_from(from, now);
            return Ok(());
        }
        let old = epoch < group.epoch();
        if old && group.forget_at.is_none() {
            return Err(RefusalKind::OldEpoch);
        }
        let processed = group.mls.process_message(&group.provider, message).map_err(|error| {
            tracing::trace!(%error, "an application message was refused");
            if old { RefusalKind::OldEpoch } else { RefusalKind::Undecryptable }
        })?;
        let Sender::Member(leaf) = *processed.sender() else { return Err(RefusalKind::NotMember) };
        let sender = openmls::prelude::BasicCredential::try_from(processed.credential().clone())
            .ok()
            .and_then(|credential| DeviceId::from_slice(credential.identity()))
            .ok_or(RefusalKind::ForeignLeaf)?;
        tracing::trace!(%sender, leaf = leaf.u32(), epoch, "an application message");
        if !acl.is_member(&sender) || self.revoked.contains(&sender) {
            return Err(RefusalKind::NotMember);
        }
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                self.push(SessionOutput::Received { from: sender, payload: message.into_bytes() });
                Ok(())
            }
            _ => Err(RefusalKind::Undecryptable),
        }
    }

    /// Messages that came before their epoch.
    pub(super) fn take_early(&mut self, acl: &impl Acl, now: Duration) {
        let Some(group) = &mut self.current else { return };
        for early in core::mem::take(&mut group.early) {
            if let Err(kind) = self.take_app(early.from, early.frame, acl, now) {
                self.refuse(kind);
            }
        }
    }

    /// Devices that do not belong to the room any more lose everything at once, whatever the writer does.
    pub(super) fn cut_off(&mut self, acl: &impl Acl) {
        if self.rules.accomplice {
            return;
        }
        let rosters = self.current.iter().chain(self.previous.iter().map(|(group, _)| group));
        let known = self.connected.iter().chain(rosters.flat_map(|group| group.roster.values()));
        let gone: Vec<DeviceId> = known
            .chain(&self.revoked)
            .filter(|device| **device != self.me && !self.cut.contains(*device))
            .filter(|device| self.revoked.contains(*device) || !acl.is_member(device))
            .copied()
            .collect();
        for device in gone {
            if self.cut.insert(device) {
                self.voices.forget(&device);
                self.handle_disconnected(&device);
                self.push(SessionOutput::Cut(device));
            }
        }
    }
}
