//! Saying where this device is, and taking what others say. A presence never adds or removes anybody: only a commit does.

use core::time::Duration;

use crate::allowance::Allowance;
use crate::id::{DeviceId, OpHash, SessionId};
use crate::session::beacon;
use crate::session::message::{Leave, Presence, SealedPresence, SessionFrame};
use crate::session::{Acl, HEARTBEAT, RefusalKind, Session, SessionOutput};

/// A presence older than this is not told on as heard.
pub(super) const TOLD_FOR: Duration = Duration::from_millis(2_500);
/// Shortest time between two requests for the ACL log to one member.
const FETCH_ACL_AGAIN: Duration = Duration::from_millis(500);
/// Shortest time between two presences.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

impl Session {
    pub(super) fn take_presence(
        &mut self,
        from: DeviceId,
        sealed: &SealedPresence,
        acl: &impl Acl,
        now: Duration,
    ) -> Result<(), RefusalKind> {
        let signed = beacon::open(sealed, &self.secrets, &self.room).ok_or(RefusalKind::BadSignature)?;
        let presence = Presence::read(&signed).map_err(|_| RefusalKind::Malformed)?;
        if presence.device != from {
            return Err(RefusalKind::WrongSender);
        }
        let room = self.room;
        let verify = {
            let signed = signed.clone();
            move || Presence::open(&signed, &room).is_ok()
        };
        let heard = self.voices.take(&room, presence, signed, now, verify)?.clone();
        if !acl.knows(&heard.acl_heads) {
            self.fetch_acl(from, heard.acl_heads.clone(), now);
        }
        self.warn(from, &heard, now);
        let lost = heard.writer == self.me && self.writes() != Some(heard.session);
        if lost {
            // This device made the session before it began anew, or left it: nobody need wait for its silence.
            self.send_to([from], SessionFrame::Leave(Leave { session: heard.session }));
        }
        let Some(group) = self.current.as_mut() else {
            self.wake(now);
            return Ok(());
        };
        if heard.session != group.id {
            if group.has(&from) {
                group.left.entry(from).or_insert(now);
            }
            self.wake(now);
            return Ok(());
        }
        if !group.has(&from) {
            return Ok(());
        }
        group.left.remove(&from);
        group.alive.insert(from, now);
        let indirectly = now.saturating_sub(TOLD_FOR);
        for device in group.roster.iter().filter(|(leaf, _)| heard.hears(**leaf)).map(|(_, device)| *device) {
            let alive = group.alive.entry(device).or_insert(indirectly);
            *alive = (*alive).max(indirectly);
        }
        let epoch = group.epoch();
        if heard.epoch > epoch {
            self.fetch_from(from, now);
        } else if heard.epoch == epoch && heard.authenticator != group.authenticator {
            self.compare(from, &heard, acl, now);
        } else if heard.epoch == epoch {
            let asks = heard.collecting && from == group.writer;
            self.look_whether_ready(now);
            if asks {
                self.propose_update(now);
            }
        }
        Ok(())
    }

    /// Whoever was added cannot read media of the epoch before. Once all are heard in the new one nobody needs that any more.
    fn look_whether_ready(&mut self, now: Duration) {
        let (Some(group), Some(epoch)) = (&self.current, self.epochs.last_mut()) else { return };
        if epoch.send_from <= now || (epoch.session, epoch.epoch) != (group.id, group.epoch()) {
            return;
        }
        let at = (group.id, group.epoch(), group.authenticator);
        let mut others = group.roster.iter().filter(|(_, device)| **device != self.me);
        if others.all(|(leaf, device)| self.voices.is_heard_in(&at, device, Some(*leaf), TOLD_FOR, now)) {
            epoch.send_from = now;
            let (session, epoch) = (epoch.session, epoch.epoch);
            self.push(SessionOutput::EpochReady { session, epoch });
        }
    }

    /// The session that this device writes.
    fn writes(&self) -> Option<SessionId> {
        self.current.as_ref().filter(|group| group.writer == self.me).map(|group| group.id)
    }

    pub(super) fn take_leave(&mut self, from: DeviceId, leave: Leave, now: Duration) -> Result<(), RefusalKind> {
        if self.voices.fresh(&from, now).is_some_and(|heard| heard.session == leave.session) {
            self.voices.forget(&from);
        }
        let group = self.current.as_mut().filter(|group| group.id == leave.session && group.has(&from));
        let group = group.ok_or(RefusalKind::UnknownSession)?;
        group.left.entry(from).or_insert(now);
        self.wake(now);
        Ok(())
    }

    /// The presence is said again with the next look at the clock.
    pub(super) fn speak_soon(&mut self, now: Duration) {
        self.said = None;
        self.wake(now);
    }

    pub(super) fn speak(&mut self, acl: &impl Acl, now: Duration) {
        let Some(group) = &self.current else { return };
        let state = (group.id, group.epoch());
        let due = match self.said_at {
            None => true,
            Some(at) => at + HEARTBEAT <= now || (self.said != Some(state) && at + MIN_INTERVAL <= now),
        };
        if !due {
            if self.said != Some(state)
                && let Some(at) = self.said_at
            {
                self.wake(at + MIN_INTERVAL);
            }
            return;
        }
        let Some(secret) = self.secrets.last() else { return };
        let mut heard = vec![0; group.roster.last_key_value().map_or(0, |(leaf, _)| *leaf as usize / 8 + 1)];
        for (leaf, device) in &group.roster {
            let fresh = self.voices.fresh(device, now).is_some_and(|last| {
                (last.session, last.epoch, last.authenticator) == (group.id, state.1, group.authenticator)
                    && last.at + TOLD_FOR > now
                    && !last.interrupted
            });
            if (fresh || *device == self.me)
                && let Some(byte) = heard.get_mut(*leaf as usize / 8)
            {
                *byte |= 1 << (leaf % 8);
            }
        }
        self.counter += 1;
        let presence = Presence {
            device: self.me,
            writer: group.writer,
            random: group.random,
            epoch: group.epoch(),
            authenticator: group.authenticator,
            size: group.size(),
            acl_heads: acl.heads(),
            counter: self.counter,
            heard,
            collecting: group.desk.as_ref().and_then(|desk| desk.is_collecting().then_some(true)),
        };
        let signed = presence.sign(&self.signer.0, &self.room);
        let sealed = beacon::seal(&signed, secret, &self.room, self.seed.array());
        self.said_at = Some(now);
        self.said = Some(state);
        let to: Vec<DeviceId> =
            self.connected.iter().copied().filter(|peer| self.rules.accomplice || acl.is_member(peer)).collect();
        self.send_to(to, SessionFrame::Presence(sealed));
    }

    pub(super) fn fetch_acl(&mut self, from: DeviceId, heads: Vec<OpHash>, now: Duration) {
        let lately = self.fetched_acl.get(&from).is_some_and(|at| *at + FETCH_ACL_AGAIN > now);
        if !lately && self.connected.contains(&from) {
            self.fetched_acl.insert(from, now);
            self.push(SessionOutput::FetchAcl { from, heads });
        }
    }

    /// Counts a frame of a peer; false where it sends more than it may. At most [`super::MAX_PEERS`] peers have counts.
    pub(super) fn may_send(&mut self, from: DeviceId, frame: &SessionFrame, now: Duration) -> bool {
        let (kind, burst, interval_ms) = match frame {
            SessionFrame::Presence(_) => (0, 16, 200),
            SessionFrame::JoinReq(_) => (1, 256, 20),
            SessionFrame::Commit(_) => (2, 64, 50),
            SessionFrame::Welcome(_) => (3, 128, 50),
            SessionFrame::Fetch(_) => (4, 16, 100),
            SessionFrame::App(_) => (5, 512, 2),
            SessionFrame::Evidence(_) => (6, 16, 500),
            SessionFrame::Update(_) => (7, 4, 1_000),
            SessionFrame::Leave(_) => (8, 4, 1_000),
            SessionFrame::Unknown(_) => (9, 16, 1_000),
        };
        if !self.connected.contains(&from) && self.floods.len() >= super::MAX_PEERS * 10 {
            return false;
        }
        let full = Allowance::new(burst, Duration::from_millis(interval_ms), now);
        self.floods.entry((from, kind)).or_insert(full).take(now)
    }
}
