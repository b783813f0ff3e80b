//! Writers that sign two things of one epoch. It never believes anything but two signatures.

use core::time::Duration;

use crate::id::{DeviceId, SessionId};
use crate::session::beacon::Heard;
use crate::session::message::{Claim, Evidence, SessionFrame};
use crate::session::relay::refusal;
use crate::session::{Acl, MAX_EXCLUDED, RefusalKind, Session};
use crate::wire::Signed;

/// Shortest time between two tellings of one thing to one member.
const SHOWN_AGAIN: Duration = Duration::from_secs(2);

impl Session {
    /// A member of this epoch has another authenticator than this device.
    pub(super) fn compare(&mut self, from: DeviceId, heard: &Heard, acl: &impl Acl, now: Duration) {
        let Some(group) = &self.current else { return };
        let Some((signed, _)) = group.statement_of(heard.epoch) else { return };
        let told_us = Claim { presence: false, signed: signed.clone() };
        if from == group.writer {
            let says = Claim { presence: true, signed: heard.signed.clone() };
            self.exclude(Evidence { claims: vec![told_us, says] }, acl, now);
        } else {
            // One of the two was told something else by the writer. The other will find out, and show what it was told.
            let about = (group.id, heard.epoch);
            self.show(from, about, Evidence { claims: vec![told_us] }, now);
        }
    }

    /// A member is in a session whose writer was proved to lie: it may not have heard.
    pub(super) fn warn(&mut self, from: DeviceId, heard: &Heard, now: Duration) {
        if let Some(proof) = self.excluded.get(&heard.writer).cloned() {
            self.show(from, (heard.session, heard.epoch), proof, now);
        }
    }

    /// What the writer signed of an epoch that this device refused.
    pub(super) fn show_all(&mut self, signed: Signed) {
        let to: Vec<DeviceId> = self.connected.iter().copied().collect();
        self.send_to(to, SessionFrame::Evidence(Evidence { claims: vec![Claim { presence: false, signed }] }));
    }

    fn show(&mut self, to: DeviceId, about: (SessionId, u64), evidence: Evidence, now: Duration) {
        let lately =
            self.shown.get(&to).is_some_and(|(session, epoch, at)| (*session, *epoch) == about && *at + SHOWN_AGAIN > now);
        if !lately {
            self.shown.insert(to, (about.0, about.1, now));
            self.send_to([to], SessionFrame::Evidence(evidence));
        }
    }

    pub(super) fn take_evidence(
        &mut self,
        from: DeviceId,
        evidence: Evidence,
        acl: &impl Acl,
        now: Duration,
    ) -> Result<(), RefusalKind> {
        match evidence.claims.as_slice() {
            [claim] => {
                let claimed = claim.open(&self.room).map_err(refusal)?;
                let group = self.current.as_ref().filter(|group| group.id == claimed.session);
                let group = group.ok_or(RefusalKind::UnknownSession)?;
                let (signed, authenticator) = group.statement_of(claimed.epoch).ok_or(RefusalKind::OldEpoch)?;
                if *authenticator == claimed.authenticator {
                    return Ok(());
                }
                let own = Claim { presence: false, signed: signed.clone() };
                self.exclude(Evidence { claims: vec![own, claim.clone()] }, acl, now);
                Ok(())
            }
            [first, second] => {
                let (one, other) = (first.open(&self.room).map_err(refusal)?, second.open(&self.room).map_err(refusal)?);
                let same = (one.session, one.epoch, one.writer) == (other.session, other.epoch, other.writer);
                if !same || one.authenticator == other.authenticator {
                    return Err(RefusalKind::BadSignature);
                }
                tracing::debug!(%from, writer = %one.writer, "a proof that a writer lies");
                self.exclude(evidence, acl, now);
                Ok(())
            }
            _ => Err(RefusalKind::Malformed),
        }
    }

    /// Takes a proof that was checked, or that is made of what was. No session of this writer is joined or stayed in any more.
    pub(super) fn exclude(&mut self, proof: Evidence, acl: &impl Acl, now: Duration) {
        let Some(Ok(claimed)) = proof.claims.first().map(|claim| claim.open(&self.room)) else { return };
        let writer = claimed.writer;
        // Keys that never belonged to the room could be made up by the thousand.
        if acl.rank(&writer).is_none() || self.excluded.contains_key(&writer) || self.excluded.len() >= MAX_EXCLUDED {
            return;
        }
        tracing::info!(%writer, "excluded as a writer: it signed two things of one epoch");
        self.excluded.insert(writer, proof.clone());
        let to: Vec<DeviceId> = self.connected.iter().copied().collect();
        self.send_to(to, SessionFrame::Evidence(proof));
        self.wake(now);
    }
}
