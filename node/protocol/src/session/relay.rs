//! Passing on what is for the writer, and back to the joiner. It never passes on what it could not have judged itself.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::id::DeviceId;
use crate::session::message::{ClaimError, JoinReq, SessionFrame, SignedJoinReq, WelcomeFrame};
use crate::session::{Acl, RefusalKind, Session};

/// The same request is passed on again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(700);
/// How many members a request is passed to where the writer is out of reach.
const FAN_OUT: usize = 3;
/// Requests whose way back is remembered; one more forgets the oldest.
const MAX_RELAYED: usize = 256;

/// Which requests were passed on, and where they came from.
#[derive(Debug, Default)]
pub(crate) struct Relayed(BTreeMap<DeviceId, Passed>);

#[derive(Debug)]
struct Passed {
    counter: u64,
    from: DeviceId,
    at: Duration,
}

impl Relayed {
    /// False where it was passed on lately or is older than what was.
    fn take(&mut self, device: DeviceId, counter: u64, from: DeviceId, now: Duration) -> Result<bool, RefusalKind> {
        if let Some(passed) = self.0.get(&device) {
            if counter < passed.counter {
                return Err(RefusalKind::Replayed);
            }
            if counter == passed.counter && passed.at + AGAIN_AFTER > now {
                return Ok(false);
            }
        } else if self.0.len() >= MAX_RELAYED {
            let oldest = self.0.iter().min_by_key(|(_, passed)| passed.at).map(|(device, _)| *device);
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(device, Passed { counter, from, at: now });
        Ok(true)
    }

    fn back_to(&self, device: &DeviceId) -> Option<DeviceId> {
        self.0.get(device).map(|passed| passed.from)
    }
}

impl Session {
    pub(super) fn take_join_req(
        &mut self,
        from: DeviceId,
        req: SignedJoinReq,
        acl: &impl Acl,
        now: Duration,
    ) -> Result<(), RefusalKind> {
        let join = JoinReq::open(&req, &self.room).map_err(refusal)?;
        let group = self.current.as_ref().filter(|group| group.id == join.session).ok_or(RefusalKind::UnknownSession)?;
        if join.device == self.me {
            return Err(RefusalKind::WrongSender);
        }
        if (!acl.is_member(&join.device) || self.revoked.contains(&join.device)) && !self.rules.accomplice {
            return Err(RefusalKind::NotMember);
        }
        if group.writer == self.me {
            return self.file_join(from, &join, now);
        }
        if !self.rules.relay {
            return Ok(());
        }
        self.pass_on(from, &join, req, now)
    }

    fn pass_on(&mut self, from: DeviceId, join: &JoinReq, req: SignedJoinReq, now: Duration) -> Result<(), RefusalKind> {
        let Some(group) = self.current.as_mut() else { return Ok(()) };
        super::group::read_key_package(&join.key_package, &join.device, &group.provider)?;
        if !self.relayed.take(join.device, join.counter, from, now)? {
            return Ok(());
        }
        // Only who asks here and now is owed an answer: what somebody else tells may be old.
        if from == join.device {
            let owed = group.owed.entry(join.device).or_insert((now, now));
            owed.1 = now;
        }
        let writer = group.writer;
        let to: Vec<DeviceId> = if self.connected.contains(&writer) {
            vec![writer]
        } else {
            let session = group.id;
            let others = self.voices.all(now).filter(|(device, heard)| heard.session == session && *device != from);
            others.map(|(device, _)| device).filter(|device| self.connected.contains(device)).take(FAN_OUT).collect()
        };
        self.send_to(to, SessionFrame::JoinReq(req));
        Ok(())
    }

    /// Towards the joiner.
    pub(super) fn pass_back(&mut self, from: DeviceId, welcome: WelcomeFrame) -> Result<(), RefusalKind> {
        let back = self.relayed.back_to(&welcome.to).ok_or(RefusalKind::WelcomeNotForMe)?;
        let to = if self.connected.contains(&welcome.to) { welcome.to } else { back };
        if to == from {
            return Err(RefusalKind::WelcomeNotForMe);
        }
        self.send_to([to], SessionFrame::Welcome(welcome));
        Ok(())
    }
}

pub(super) fn refusal(error: ClaimError) -> RefusalKind {
    match error {
        ClaimError::Wire(_) => RefusalKind::Malformed,
        ClaimError::Signature(_) => RefusalKind::BadSignature,
    }
}
